"""Reads the stream with aiohttp, subscribed on the URL; argv[1] is the ws:// URL."""
import asyncio
import sys

import aiohttp

WANTED = 300


async def main(url):
    types = {}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url + "?channels=trade,quote&symbols=sim:BTC/USDT,sim:ETH/USDT") as ws:
            while sum(types.values()) < WANTED:
                record = await ws.receive_json()
                kind = record.get("type", record.get("op"))
                types[kind] = types.get(kind, 0) + 1
    assert types["hello"] == 1 and types["subscribed"] == 1 and types["trade"] > 0 and types["quote"] > 0, types
    print(f"aiohttp {aiohttp.__version__}: {types}")


asyncio.run(main(sys.argv[1]))
