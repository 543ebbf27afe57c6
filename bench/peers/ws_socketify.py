"""ws_socketify.py - socketify, uWebSockets for Python: publish() to a topic that every connection is subscribed to."""
import os

import feed
from socketify import App, AppListenOptions, CompressOptions, OpCode

PIECE_BYTES = 1 << 16


def main():
    app = App()
    rest = b""

    def readable():
        """Called by asyncio, which socketify runs in turn with its own loop."""
        nonlocal rest
        data = os.read(0, PIECE_BYTES)
        if not data:
            os._exit(0)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            app.publish("all", line, OpCode.TEXT)

    app.ws("/*", {"compression": CompressOptions.DISABLED, "max_payload_length": 1 << 20, "idle_timeout": 0,
                  "open": lambda ws: ws.subscribe("all"), "message": lambda ws, message, opcode: None,
                  "max_backpressure": 1 << 28})
    sock = feed.listener()
    port = sock.getsockname()[1]
    sock.close()
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: print("listening", port, flush=True))
    app.loop.loop.add_reader(0, readable)
    app.run()


main()
