#!/usr/bin/env python3
"""venue_server.py - as much of Binance spot as a test of connections needs: one symbol, over ws or wss, and its REST.

Usage:     venue_server.py [--cert PEM --key PEM] [--mode MODE]; prints "port N" and serves until it is killed.
Modes:     good      a trade and a book change every 20 ms
           big       after ten of them a frame of 10 MB
           refuse    429 to every handshake
Non-goals: other venues, recordings.
"""
import argparse
import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
import time

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MARKETS = {"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
                        "isSpotTradingAllowed": True, "filters": []}]}
sequence = 1000


def frame(first_byte, payload):
    if len(payload) < 126:
        return bytes([first_byte, len(payload)]) + payload
    if len(payload) < 65536:
        return bytes([first_byte, 126]) + struct.pack(">H", len(payload)) + payload
    return bytes([first_byte, 127]) + struct.pack(">Q", len(payload)) + payload


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def confirm(sock, lock):
    """Answers every message of the client."""
    try:
        while True:
            first, length = read_exactly(sock, 2)
            length &= 127
            if length == 126:
                length = struct.unpack(">H", read_exactly(sock, 2))[0]
            mask, payload = read_exactly(sock, 4), read_exactly(sock, length)
            if first & 15 == 1:
                text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
                with lock:
                    sock.sendall(frame(0x81, json.dumps({"result": None, "id": json.loads(text)["id"]}).encode()))
    except (OSError, ValueError):
        pass


def stream(sock, mode):
    global sequence
    lock = threading.Lock()
    threading.Thread(target=confirm, args=(sock, lock), daemon=True).start()
    for count in range(1 << 30):
        time.sleep(0.02)
        sequence += 1
        now = int(time.time() * 1000)
        trade = {"e": "trade", "E": now, "s": "BTCUSDT", "t": sequence, "p": "100.5", "q": "0.1", "T": now, "m": True}
        book = {"e": "depthUpdate", "E": now, "s": "BTCUSDT", "U": sequence, "u": sequence,
                "b": [["100.0", f"{count % 9 + 1}.5"]], "a": []}
        with lock:
            for name, data in (("btcusdt@trade", trade), ("btcusdt@depth@100ms", book)):
                sock.sendall(frame(0x81, json.dumps({"stream": name, "data": data}).encode()))
            if count == 10 and mode == "big":
                sock.sendall(frame(0x81, b"x" * (10 << 20)))


def serve(sock, mode):
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(4096)
        if not more:
            return
        head += more
    lines = head.decode().split("\r\n")
    path = lines[0].split()[1]
    fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:] if ":" in line}
    if "sec-websocket-key" not in fields:
        depth = {"lastUpdateId": sequence, "bids": [["100.0", "1"]], "asks": [["101.0", "2"]]}
        body = json.dumps(depth if "depth" in path else MARKETS).encode()
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return
    if mode == "refuse":
        sock.sendall(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        return
    accept = base64.b64encode(hashlib.sha1((fields["sec-websocket-key"] + GUID).encode()).digest()).decode()
    sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    stream(sock, mode)


def run(sock, context, mode):
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        serve(sock, mode)
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--mode", default="good")
    args = parser.parse_args()
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    while True:
        sock = listener.accept()[0]
        threading.Thread(target=run, args=(sock, context, args.mode), daemon=True).start()


main()
