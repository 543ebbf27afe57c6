"""feed.py - what the Python peers share: the command line, messages that arrive on standard input, telling the port.

Messages:  bench/peer_feed writes one per line when it is due, stamped with that time. A peer that is busy finds several at
           once, and the pipe holds the rest back: nothing is lost, everything is as late as it is.
Usage:     options = feed.options(); await feed.lines(on_message); feed.listening(sock)
Non-goals: anything that a peer's own documentation does differently. Broadcasting is in each peer's file.
"""
import argparse
import asyncio
import socket
import sys


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", metavar="FILE", help="answer GET requests with this file instead of streaming")
    parser.add_argument("--app", default="")
    return parser.parse_args()


def body(path):
    with open(path, "rb") as file:
        return file.read()


def listener():
    """A free port, with room for a thousand connections at once."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def listening(sock):
    print("listening", sock.getsockname()[1], flush=True)


class Lines(asyncio.Protocol):
    def __init__(self, on_message):
        self.on_message, self.rest = on_message, b""

    def data_received(self, data):
        *whole, self.rest = (self.rest + data).split(b"\n")
        for line in whole:
            self.on_message(line.decode())

    def connection_lost(self, exc):
        asyncio.get_running_loop().stop()


async def lines(on_message):
    """Calls on_message(text) for each, from the running loop."""
    await asyncio.get_running_loop().connect_read_pipe(lambda: Lines(on_message), sys.stdin.buffer)


async def queued(broadcast):
    """For peers that await while they broadcast: one message after the other, in order."""
    queue = asyncio.Queue()
    await lines(queue.put_nowait)
    while True:
        await broadcast(await queue.get())
