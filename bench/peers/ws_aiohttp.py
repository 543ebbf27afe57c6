"""ws_aiohttp.py - aiohttp: a set of WebSocketResponse, send_str() to each; with --http a plain handler."""
import asyncio

import feed
from aiohttp import WSMsgType, web

SOCKETS = set()


async def handler(request):
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    SOCKETS.add(ws)
    try:
        async for message in ws:
            if message.type == WSMsgType.ERROR:
                break
    finally:
        SOCKETS.discard(ws)
    return ws


async def broadcast(message):
    for ws in list(SOCKETS):
        try:
            await ws.send_str(message)
        except ConnectionError:
            SOCKETS.discard(ws)


async def main(options):
    sock = feed.listener()
    app = web.Application()
    if options.http:
        content = feed.body(options.http)

        async def ticker(_):
            return web.Response(body=content, content_type="application/json")
        app.router.add_get("/{path:.*}", ticker)
    else:
        app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock, backlog=4096).start()
    feed.listening(sock)
    if options.http:
        await asyncio.get_running_loop().create_future()
    await feed.queued(broadcast)


asyncio.run(main(feed.options()))
