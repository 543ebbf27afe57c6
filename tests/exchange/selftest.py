#!/usr/bin/env python3
"""selftest.py - the simulator by itself: a client that speaks as the engine's adapters do gets what the tape says.

Usage:     selftest.py SCRATCH [VENUE...]; TICKWIRE_RECORDINGS names a folder with recordings and their EXPECTED.md
Checks:    per venue: over TLS, every frame of subscribed streams and no other arrives, books and trades are those of
           the tape, a late subscriber gets a whole book that continues, each break does what it says; and that books
           read from recordings have the digests that EXPECTED.md gives.
Exit:      0 all as expected, 1 otherwise.
"""
import asyncio
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire
from books import Book, digest25
from simulator import Simulator
from tape import expect, load, synthesize
from talk import SUBSCRIBE, UNSUBSCRIBE, unpack
from venue import BOOK, TRADE
from venues import RECORDINGS, VENUES

STEPS = 150
SECONDS = 30
BREAKS = ("drop", "reorder", "garble", "stall", "cut", "close", "shutdown", "noise", "length", "fragment")
THOROUGH = ("binance", "coinbase", "htx")  # what breaks does not know the venue, but for these forms of it
failures = []


def check(good, what):
    if not good:
        failures.append(what)
        print(f"FAILED: {what}")


class Reader:
    """What a correct client makes of a venue's stream; REST books are asked for as the venue wants it."""

    def __init__(self, venue, simulator, tls):
        self.venue, self.simulator, self.tls = venue, simulator, tls
        self.books, self.trades, self.fingerprints, self.frames = {}, {}, {}, 0
        self.kept, self.other, self.bad = {}, [], 0
        self.code = None

    async def open(self):
        self.socket = await wire.connect("localhost", self.simulator.port, self.venue.path, self.tls)

    async def subscribe(self, channels, symbols):
        for text in SUBSCRIBE[self.venue.name](channels, symbols):
            self.socket.send(text)
        await self.socket.drain()

    async def unsubscribe(self, channels, symbols):
        for text in UNSUBSCRIBE[self.venue.name](channels, symbols, self.other):
            self.socket.send(text)
        await self.socket.drain()

    async def fetch(self, symbol):
        status, headers, body = await wire.http_get("localhost", self.simulator.port, self.venue.book_target(symbol),
                                                    self.tls)
        if status != 200:
            return status, headers
        path, _, query = self.venue.book_target(symbol).partition("?")
        fields = dict(part.partition("=")[::2] for part in query.split("&") if part)
        _, book = self.venue.read_rest_book(path, fields, body.decode())
        self.books[symbol] = book
        self.fingerprints.setdefault(symbol, []).append(book.fingerprint)
        for change in self.kept.pop(symbol, []):
            self.change(symbol, change)
        return status, headers

    def change(self, symbol, change):
        if symbol not in self.books and not change.snapshot:
            self.kept.setdefault(symbol, []).append(change)
            return
        book = self.books.setdefault(symbol, Book())
        if self.venue.apply(book, change):
            self.fingerprints.setdefault(symbol, []).append(book.fingerprint)

    async def read(self):
        try:
            while True:
                text = unpack(await self.socket.receive())
                try:
                    frame = self.reader_decode(text)
                except (ValueError, KeyError, TypeError, IndexError):
                    self.bad += 1
                    continue
                if frame is None:
                    self.other.append(text)
                    continue
                self.frames += 1
                for part in frame.parts:
                    if part.change is not None:
                        self.change(part.symbol, part.change)
                    self.trades.setdefault(part.symbol, []).extend(part.trades)
                    self.last = part
        except (wire.Closed, wire.WireError) as error:
            self.code = getattr(error, "code", None)

    def reader_decode(self, text):
        return self.venue.decode(text)

    async def reaches(self, predicate):
        deadline = asyncio.get_running_loop().time() + SECONDS
        while not predicate():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.002)
        return True


async def rig(name, scratch_tls, seed, breaks=()):
    venue, reading = VENUES[name](), VENUES[name]()
    tape = synthesize(venue, seed, STEPS)
    simulator = Simulator(venue, tape)
    for one in breaks:
        simulator.breaks.add(**one)
    ca, cert, key = scratch_tls
    await simulator.start(tls=(cert, key))
    reader = Reader(reading, simulator, wire.client_tls(ca))
    return simulator, reader


async def unbroken(name, tls):
    simulator, reader = await rig(name, tls, 1)
    tape, venue = simulator.tape, simulator.venue
    await reader.open()
    task = asyncio.create_task(reader.read())
    for channel in (TRADE, BOOK):
        await reader.subscribe([channel], tape.symbols)
    count = len(tape.symbols)
    await simulator.until(lambda: len({one for one in simulator.subscribed_streams() if one[1] in tape.symbols}) >=
                          (count if venue.book_carries_trades else 2 * count), SECONDS)
    await simulator.play(until=40)
    if venue.joins_rest:
        for symbol in tape.symbols:
            await reader.fetch(symbol)
    await simulator.play()
    expected = expect(venue, tape)
    wanted = len(simulator.delivered)
    check(await reader.reaches(lambda: reader.frames >= wanted), f"{name}: {reader.frames} of {wanted} frames arrive")
    for symbol, its in expected.items():
        got = [(one.id, one.price, one.amount, one.side, one.ms) for one in reader.trades.get(symbol, [])]
        check(got == [(one.id, one.price, one.amount, one.side, one.ms) for one in its.trades],
              f"{name}: trades of {symbol}")
        prints = reader.fingerprints.get(symbol, [])
        if venue.joins_rest and prints[:1] == prints[1:2]:
            prints = prints[1:]  # the delta that ends where the snapshot stands may be applied to it once more
        check(prints and prints == its.books[-len(prints):] and len(prints) > 20, f"{name}: books of {symbol}")
        check(reader.books[symbol].fingerprint == simulator.books[symbol].fingerprint, f"{name}: last book of {symbol}")
    quotes = [frame for frame in tape.frames if frame.parts and frame.parts[0].quote and not frame.parts[0].trades]
    check(reader.frames < len(tape.frames) or not quotes, f"{name}: streams that nobody subscribed arrive")
    task.cancel()
    await simulator.stop()


async def late(name, tls):
    """Subscribes when the market has moved on, unsubscribes, comes back."""
    simulator, reader = await rig(name, tls, 2)
    tape, venue = simulator.tape, simulator.venue
    symbol = tape.symbols[0]
    await simulator.play(until=60)
    await reader.open()
    task = asyncio.create_task(reader.read())
    for until in (100, 150):
        await reader.subscribe([BOOK], [symbol])
        await simulator.until(lambda: (BOOK, symbol) in simulator.subscribed_streams(), SECONDS)
        await simulator.play(until=until)
        if venue.joins_rest:
            reader.books.pop(symbol, None)
            reader.kept.clear()
            await reader.fetch(symbol)
        check(await reader.reaches(lambda: symbol in reader.books and reader.books[symbol].fingerprint ==
                                   simulator.books[symbol].fingerprint), f"{name}: late subscriber's book at {until}")
        await reader.unsubscribe([BOOK], [symbol])
        check(await simulator.until(lambda: (BOOK, symbol) not in simulator.subscribed_streams(), SECONDS),
              f"{name}: unsubscribe")
    check(tape.symbols[1] not in reader.books, f"{name}: a book that nobody asked for")
    task.cancel()
    await simulator.stop()


async def one_break(name, tls, kind):
    simulator, reader = await rig(name, tls, 3)
    tape, venue = simulator.tape, simulator.venue
    await reader.open()
    task = asyncio.create_task(reader.read())
    await reader.subscribe([BOOK], tape.symbols)
    await simulator.until(lambda: len(simulator.subscribed_streams()) >= len(tape.symbols), SECONDS)
    await simulator.play(until=30)
    if venue.joins_rest:
        for symbol in tape.symbols:
            await reader.fetch(symbol)
    broken = simulator.breaks.add(kind, at=60)
    playing = asyncio.create_task(simulator.play())
    if kind == "fragment":
        await reader.reaches(lambda: broken.fired is not None)
        await asyncio.sleep(0)
        task.cancel()
        reader.socket.abort()
    check(await reader.reaches(playing.done), f"{name}: {kind}: the tape ends")
    check(broken.fired is not None, f"{name}: {kind}: happens")
    ended = kind in ("cut", "close", "shutdown", "length")
    if ended and (kind != "shutdown" or venue.shutdown_text is None):
        check(await reader.reaches(task.done), f"{name}: {kind}: the connection ends")
    elif kind in ("drop", "reorder", "checksum", "garble", "stall"):
        wanted = len(simulator.delivered) + (kind == "garble")
        await reader.reaches(lambda: reader.frames + reader.bad >= wanted)
        differs = [symbol for symbol in tape.symbols
                   if reader.fingerprints[symbol][-15:] != expect(venue, tape)[symbol].books[-15:]]
        if kind in ("drop", "stall", "garble"):
            check(broken.symbol in reader.fingerprints, f"{name}: {kind}: the victim is known")
            check(all(symbol == broken.symbol for symbol in differs), f"{name}: {kind}: hits others than its victim")
    elif kind == "noise":
        check(await reader.reaches(lambda: reader.bad == 1), f"{name}: noise is one bad frame")
    task.cancel()
    playing.cancel()
    await simulator.stop()


async def requests(name, tls):
    simulator, reader = await rig(name, tls, 4, [{"kind": "refuse", "left": 2}])
    for attempt in range(3):
        try:
            await reader.open()
        except wire.WireError:
            check(attempt < 2, f"{name}: handshake {attempt} is refused")
            continue
        check(attempt == 2, f"{name}: handshake {attempt} is accepted")
    if simulator.venue.joins_rest:
        symbol = simulator.tape.symbols[0]
        simulator.breaks.add("rest429", left=1)
        status, headers = await reader.fetch(symbol)
        check(status == 429 and headers.get("retry-after") == "1", f"{name}: 429 with Retry-After")
        simulator.breaks.add("oldbook", left=1)
        await reader.fetch(symbol)
        old = reader.books[symbol].seq
        await reader.fetch(symbol)
        check(old < reader.books[symbol].seq and reader.books[symbol].fingerprint ==
              simulator.books[symbol].fingerprint, f"{name}: one old book, then the right one")
    await simulator.stop()


def digests(folder):
    """Books of recordings, read by the classes here, against the figures that came with the recordings."""
    with open(os.path.join(folder, "EXPECTED.md"), encoding="utf-8") as file:
        sections = re.split(r"^## ", file.read(), flags=re.M)
    wanted = {}
    for section in sections:
        title = section.split("\n", 1)[0].strip()
        wanted[title] = {match.group(1): match.group(2) for match in
                         re.finditer(r"^\| (\S+) \|.*\| ([0-9a-f]{8}) \|$", section, re.M)}
    compared = 0
    for name, title in RECORDINGS:
        path = os.path.join(folder, title)
        if not os.path.isdir(path):
            continue
        venue = VENUES[name]()
        tape = load(venue, path)
        books = {symbol: base.copy() for symbol, base in tape.bases.items()}
        for frame in tape.frames:
            for part in frame.parts:
                if part.change is not None and (part.change.snapshot or part.symbol in books):
                    venue.apply(books.setdefault(part.symbol, Book()), part.change)
        for symbol, book in books.items():
            shown = venue.shown(symbol)
            compared += 1
            check(digest25(book) == wanted[title].get(shown), f"{title}: digest of {shown}")
    print(f"{compared} books of recordings compared")


async def timed(what, coroutine):
    begun = asyncio.get_running_loop().time()
    await coroutine
    spent = asyncio.get_running_loop().time() - begun
    if spent > 1:
        print(f"{what} took {spent:.1f} s")


async def run(names, tls):
    for name in names:
        await timed(f"{name}: unbroken", unbroken(name, tls))
        await timed(f"{name}: late", late(name, tls))
        await timed(f"{name}: requests", requests(name, tls))
        for kind in BREAKS if name in THOROUGH else ("drop", "shutdown"):
            await timed(f"{name}: {kind}", one_break(name, tls, kind))
        if VENUES[name].checksum:
            await timed(f"{name}: checksum", one_break(name, tls, "checksum"))


def main():
    scratch, names = sys.argv[1], sys.argv[2:] or list(VENUES)
    tls = wire.make_certificates(os.path.join(scratch, "tls"))
    asyncio.run(run(names, tls))
    folder = os.environ.get("TICKWIRE_RECORDINGS", "")
    if os.path.exists(os.path.join(folder, "EXPECTED.md")):
        digests(folder)
    else:
        print("no recordings: their digests are not compared")
    print("all as expected" if not failures else f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
