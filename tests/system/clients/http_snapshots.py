#!/usr/bin/env python3
"""http_snapshots.py - asks an engine's /v1/... from many connections at once, and checks what it says.

Usage:     http_snapshots.py load PORT CONNECTIONS ROUNDS    keep-alive and pipelined requests; every answer must be sound
           http_snapshots.py candles PORT SYMBOL RECORDING   candles of a replay against those made of the file's trades
Checks:    load: books are not crossed and their seq never goes back, candles hold their prices, trades are in order,
           answers come in the order of their requests. candles: every digit, all intervals.
Exit:      0 all is well, 1 something is not, with a line that says what.
"""
import gzip
import json
import socket
import sys
import threading
from decimal import Decimal

INTERVALS = {"1s": 1, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400}


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.rest = b""

    def ask(self, targets):
        """Pipelined; the bodies in order, as (status, parsed with exact numbers)."""
        self.socket.sendall(b"".join(f"GET {t} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for t in targets))
        return [self.answer() for _ in targets]

    def answer(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        length = next(int(line[16:]) for line in lines if line.startswith("Content-Length: "))
        while len(self.rest) < length:
            self.more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return int(lines[0].split()[1]), json.loads(body, parse_float=Decimal, parse_int=Decimal)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the engine closed the connection")
        self.rest += data


def check_book(book, last_seq):
    bids, asks = book["bids"], book["asks"]
    assert all(a[0] > b[0] for a, b in zip(bids, bids[1:])), f"bids out of order: {bids}"
    assert all(a[0] < b[0] for a, b in zip(asks, asks[1:])), f"asks out of order: {asks}"
    assert not bids or not asks or bids[0][0] < asks[0][0], f"crossed: {bids[0]} {asks[0]}"
    assert book["seq"] >= last_seq, f"seq went back from {last_seq} to {book['seq']}"
    return book["seq"]


def check_candles(rows):
    for time, first, high, low, last, volume in rows:
        assert low <= first <= high and low <= last <= high and volume > 0, f"candle {time}: {first} {high} {low} {last}"
    assert all(a[0] < b[0] for a, b in zip(rows, rows[1:])), "candles out of order"


def run_load(port, rounds, number, failures):
    try:
        connection = Connection(port)
        symbol = ["BTC/USDT", "ETH%2FUSDT", "SOL/USDT"][number % 3]
        seq = 0
        for i in range(rounds):
            answers = connection.ask([f"/v1/book/sim/{symbol}?depth={1 + i % 20}", f"/v1/ohlcv/sim/{symbol}?interval=1s",
                                      "/v1/ticker/sim/NONE", f"/v1/trades/sim/{symbol}?limit=20",
                                      f"/v1/ticker/sim/{symbol}"])
            assert [status for status, _ in answers] == [200, 200, 404, 200, 200], answers
            (_, book), (_, candles), _, (_, trades), (_, ticker) = answers
            seq = check_book(book, seq)
            check_candles(candles)
            ids = [int(trade["id"]) for trade in trades]
            assert ids == list(range(ids[0], ids[0] + len(ids))), f"trades out of order: {ids}"
            assert ticker["bid"] is None or ticker["ask"] is None or ticker["bid"] < ticker["ask"], ticker
            assert ticker["low"] <= ticker["last"] <= ticker["high"], ticker
    except (AssertionError, OSError, EOFError, KeyError, IndexError) as error:
        failures.append(f"connection {number}: {type(error).__name__}: {error}")


def load(port, connections, rounds):
    failures = []
    threads = [threading.Thread(target=run_load, args=(port, rounds, i, failures)) for i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def trades_of(path):
    """(time ms, price, amount) of Binance's trade messages in a recording of hftbacktest."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line.split(" ", 1)[1])
            if message.get("stream", "").endswith("@trade"):
                data = message["data"]
                if data.get("X", "MARKET") == "MARKET":
                    yield data["T"], Decimal(data["p"]), Decimal(data["q"])


def candles(port, symbol, path):
    trades = list(trades_of(path))
    connection = Connection(port)
    failures = []
    for name, seconds in INTERVALS.items():
        made = {}
        for time, price, amount in trades:
            row = made.setdefault(time - time % (seconds * 1000), [time, price, price, price, time, price, Decimal(0)])
            row[2], row[3], row[6] = max(row[2], price), min(row[3], price), row[6] + amount
            if time < row[0]:
                row[0], row[1] = time, price
            if time >= row[4]:
                row[4], row[5] = time, price
        wanted = [[start, r[1], r[2], r[3], r[5], r[6]] for start, r in sorted(made.items())]
        status, got = connection.ask([f"/v1/ohlcv/{symbol}?interval={name}"])[0]
        if status != 200 or got != wanted:
            differing = next((pair for pair in zip(got, wanted) if pair[0] != pair[1]), (len(got), len(wanted)))
            failures.append(f"{name}: status {status}, {len(got)} candles for {len(wanted)}; first difference {differing}")
    print(f"{len(trades)} trades")
    return failures


def main():
    if sys.argv[1] == "load":
        failures = load(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        failures = candles(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    for failure in failures[:10]:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
