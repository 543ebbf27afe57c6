"""Decodes the binary stream with the official Python FlatBuffers library and flatc's code; argv: URL, folder of that code."""
import asyncio
import json
import sys
from decimal import Decimal

import websockets

sys.path.insert(0, sys.argv[2])
from tickwire.Book import Book  # noqa: E402
from tickwire.Data import Data  # noqa: E402
from tickwire.Message import Message  # noqa: E402
from tickwire.Quote import Quote  # noqa: E402
from tickwire.Trade import Trade  # noqa: E402

WANTED = 300


def read(frame, counts):
    assert Message.MessageBufferHasIdentifier(frame, 0)
    message = Message.GetRootAs(frame, 0)
    kind = {Data.Trade: Trade, Data.Quote: Quote, Data.Book: Book}.get(message.DataType())
    assert kind is not None and message.Seq() > 0 and message.Symbol(), message.DataType()
    record = kind()
    record.Init(message.Data().Bytes, message.Data().Pos)
    counts[kind.__name__] = counts.get(kind.__name__, 0) + 1
    if kind is Trade:
        assert Decimal(record.Price()).scaleb(record.PriceExponent()) > 0
    elif kind is Quote:
        assert record.Bid() < record.Ask()
    else:
        assert record.BidsLength() + record.AsksLength() > 0


async def main(url):
    counts = {}
    async with websockets.connect(url, subprotocols=["tickwire.v1.flatbuffers"]) as ws:
        assert json.loads(await ws.recv())["codec"] == "flatbuffers"
        await ws.send(json.dumps({"op": "subscribe", "channels": ["trade", "quote", "book"], "symbols": ["*"]}))
        assert json.loads(await ws.recv())["op"] == "subscribed"
        for _ in range(WANTED):
            read(await ws.recv(), counts)
    print(f"FlatBuffers in Python: {counts}")


asyncio.run(main(sys.argv[1]))
