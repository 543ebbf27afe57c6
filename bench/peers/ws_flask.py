"""ws_flask.py - Flask with flask-sock: a thread and a queue per client; with --http a view behind waitress."""
import queue
import sys
import threading

import feed
from flask import Flask, Response

OPTIONS = feed.options()
STACK_BYTES = 256 * 1024  # per client's thread
app = Flask(__name__)
QUEUES = set()
LOCK = threading.Lock()


def read_feed():
    for line in sys.stdin.buffer:
        message = line[:-1].decode()
        with LOCK:
            waiting = list(QUEUES)
        for one in waiting:
            one.put(message)


def serve_stream(sock):
    from flask_sock import ConnectionClosed, Sock
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
    sockets = Sock(app)

    @sockets.route("/<path:path>")
    def stream(ws, path):
        mine = queue.SimpleQueue()
        with LOCK:
            QUEUES.add(mine)
        try:
            while ws.connected:
                try:
                    ws.send(mine.get(timeout=1))
                except queue.Empty:
                    continue
        except (ConnectionClosed, OSError):
            pass
        finally:
            with LOCK:
                QUEUES.discard(mine)

    class Quiet(WSGIRequestHandler):
        def log(self, *_):
            pass
    threading.Thread(target=read_feed, daemon=True).start()
    sock.setblocking(True)
    server = ThreadedWSGIServer("127.0.0.1", sock.getsockname()[1], app, Quiet, fd=sock.fileno())
    feed.listening(sock)
    server.serve_forever()


def serve_http(sock, content):
    from waitress import serve

    @app.get("/<path:path>")
    def ticker(path):
        return Response(content, mimetype="application/json")
    feed.listening(sock)
    serve(app, sockets=[sock], threads=8, connection_limit=4096)


if OPTIONS.http:
    serve_http(feed.listener(), feed.body(OPTIONS.http))
else:
    threading.stack_size(STACK_BYTES)
    serve_stream(feed.listener())
