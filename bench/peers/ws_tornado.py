"""ws_tornado.py - Tornado: write_message() to each handler, as in its chat demo."""
import asyncio

import feed
import tornado.web
import tornado.websocket
from tornado.httpserver import HTTPServer


class Stream(tornado.websocket.WebSocketHandler):
    waiters = set()

    def open(self):
        Stream.waiters.add(self)

    def on_close(self):
        Stream.waiters.discard(self)

    def check_origin(self, origin):
        return True


def broadcast(message):
    for waiter in list(Stream.waiters):
        try:
            waiter.write_message(message)
        except tornado.websocket.WebSocketClosedError:
            Stream.waiters.discard(waiter)


async def main():
    sock = feed.listener()
    server = HTTPServer(tornado.web.Application([(r"/.*", Stream)]))
    server.add_socket(sock)
    await feed.lines(broadcast)
    feed.listening(sock)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
