"""ws_websockets.py - the websockets library: its broadcast() to all connections, as its documentation recommends."""
import asyncio

import feed
from websockets.asyncio.server import broadcast, serve

CONNECTIONS = set()


async def handler(connection):
    CONNECTIONS.add(connection)
    try:
        await connection.wait_closed()
    finally:
        CONNECTIONS.discard(connection)


async def main():
    sock = feed.listener()
    async with serve(handler, sock=sock, compression=None, ping_interval=None):
        await feed.lines(lambda message: broadcast(CONNECTIONS, message))
        feed.listening(sock)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
