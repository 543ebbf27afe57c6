"""ws_starlette.py - three ways on uvicorn: Starlette (wsproto), FastAPI (its ConnectionManager), bare ASGI (uvloop).

Usage: ws_starlette.py --app starlette|fastapi|plain [--http FILE]
"""
import asyncio
import contextlib
import json

import feed
import uvicorn

OPTIONS = feed.options()
SENDERS = set()


async def broadcast(message):
    for send in list(SENDERS):
        try:
            await send(message)
        except Exception:  # noqa: BLE001 - whatever a closed connection raises in three libraries
            SENDERS.discard(send)


@contextlib.asynccontextmanager
async def lifespan(_):
    task = None if OPTIONS.http else asyncio.ensure_future(feed.queued(broadcast))
    yield
    if task:
        task.cancel()


class ConnectionManager:
    """As in FastAPI's documentation; Starlette's WebSocket is the same class."""

    async def connect(self, websocket):
        await websocket.accept()
        SENDERS.add(websocket.send_text)

    def disconnect(self, websocket):
        SENDERS.discard(websocket.send_text)


async def stay(websocket):
    manager = ConnectionManager()
    await manager.connect(websocket)
    try:
        while True:
            await websocket.receive_text()
    except Exception:  # noqa: BLE001 - the client has gone, one way or another
        manager.disconnect(websocket)


def starlette_app():
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route, WebSocketRoute
    content = feed.body(OPTIONS.http) if OPTIONS.http else b""

    async def ticker(_):
        return Response(content, media_type="application/json")
    return Starlette(routes=[Route("/{path:path}", ticker), WebSocketRoute("/{path:path}", stay)], lifespan=lifespan)


def fastapi_app():
    from fastapi import FastAPI, WebSocket
    content = json.loads(feed.body(OPTIONS.http)) if OPTIONS.http else {}
    app = FastAPI(lifespan=lifespan)

    @app.get("/{path:path}")
    async def ticker(path: str):
        return content

    @app.websocket("/{path:path}")
    async def stream(websocket: WebSocket, path: str):
        await stay(websocket)
    return app


async def plain_app(scope, receive, send):
    """ASGI without a framework."""
    if scope["type"] == "lifespan":
        await receive()
        task = asyncio.ensure_future(feed.queued(broadcast))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        task.cancel()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})

    async def send_text(message):
        await send({"type": "websocket.send", "text": message})
    SENDERS.add(send_text)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    SENDERS.discard(send_text)


def main():
    ws, loop, app = {"starlette": ("wsproto", "asyncio", starlette_app), "fastapi": ("websockets", "asyncio", fastapi_app),
                     "plain": ("websockets", "uvloop", lambda: plain_app)}[OPTIONS.app]
    if OPTIONS.http:
        loop = "auto"
    sock = feed.listener()
    config = uvicorn.Config(app(), ws=ws, loop=loop, log_level="error", access_log=False, ws_ping_interval=None,
                            ws_per_message_deflate=False, lifespan="on", backlog=4096)
    server = uvicorn.Server(config)
    feed.listening(sock)
    server.run(sockets=[sock])


main()
