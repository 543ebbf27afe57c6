"""Reads the stream with the Python package `websockets` and checks it: argv[1] is the ws:// URL."""
import asyncio
import json
import sys

import websockets

WANTED = 300


async def main(url):
    seqs = {}
    async with websockets.connect(url, subprotocols=["tickwire.v1.json"]) as ws:
        hello = json.loads(await ws.recv())
        assert hello["op"] == "hello" and hello["codec"] == "json", hello
        await ws.send(json.dumps({"op": "subscribe", "id": 1, "channels": ["trade", "quote", "book"], "symbols": ["sim:*"]}))
        answer = json.loads(await ws.recv())
        assert answer["op"] == "subscribed" and answer["id"] == 1 and not answer.get("errors"), answer
        for topic in answer["topics"]:
            seqs[(topic["symbol"], topic["channel"])] = topic["seq"]
        for _ in range(WANTED):
            record = json.loads(await ws.recv())
            key = (record["symbol"], record["type"])
            snapshot = record.get("snapshot") or record["type"] == "quote" and record["seq"] == seqs[key]
            assert record["seq"] == seqs[key] + (0 if snapshot else 1), record
            seqs[key] = record["seq"]
    print(f"websockets {websockets.__version__}: {WANTED} records in order")


asyncio.run(main(sys.argv[1]))
