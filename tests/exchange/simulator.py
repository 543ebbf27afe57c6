"""simulator.py - a venue's WebSocket and REST ends on one port, playing a tape, breaking it on request.

Job:       accepts connections, lets the venue class talk, sends the frames of subscribed streams in the tape's order,
           keeps the venue's own books, serves fresh snapshots from them, and applies breaks.
Usage:     sim = Simulator(venue, tape); await sim.start(tls=...); sim.breaks.add("drop", 50); await sim.play()
Clock:     none of its own but heartbeats: play() sends as fast as connections take it, or `rate` frames a second.
Non-goals: being a venue for trading; limits on rates and counts of subscriptions.
"""
import asyncio
import ssl
import struct
import time

import wire
from books import Book
from breaks import Breaks
from venue import BOOK

HEARTBEAT_S = 1.0
SHARE_FRAMES = 64         # the loop gets its turn after so many frames
FRAGMENT_BYTES = 64 * 1024
ENDLESS_BYTES_MAX = 256 * 1024 * 1024
HUGE_BYTES = 10 * 1024 * 1024


class Connection:
    """A client of the simulated venue."""

    def __init__(self, simulator, socket, number):
        self.simulator, self.socket, self.number = simulator, socket, number
        self.streams = set()  # (channel, symbol)
        self.stalled = set()  # streams that stay silent until they are subscribed again
        self.state = {}       # of the venue class
        self.sent = []        # numbers of frames
        self.received = []    # the client's messages
        self.pings = []

    def reply(self, text, numbered=False):
        """Sends a frame of the venue's own; numbered: counts in the connection's numbers, as data does."""
        if numbered:
            text = self.simulator.venue.number(self, text)
        self.socket.send(self.simulator.venue.pack(text))

    def enter(self, channel, symbol):
        self.streams.add((channel, symbol))
        self.stalled.discard((channel, symbol))
        self.simulator.changed()

    def subscribe(self, channel, symbol):
        self.enter(channel, symbol)
        self.simulator.venue.subscribed(self, channel, symbol)

    def unsubscribe(self, channel, symbol):
        self.streams.discard((channel, symbol))
        self.stalled.discard((channel, symbol))
        self.simulator.unsubscriptions += 1
        self.simulator.changed()

    def ping(self, payload):
        self.pings.append(payload)
        self.socket.send_frame(payload, wire.PING)


class Simulator:
    def __init__(self, venue, tape, log=None):
        self.venue, self.tape = venue, tape
        self.breaks = Breaks(self)
        self.position = 0
        self.books = {symbol: base.copy() for symbol, base in tape.bases.items()}
        self.trades = {symbol: [] for symbol in tape.symbols}
        self.delivered = set()  # numbers of frames that a connection was sent
        self.uncertain = set()  # ... that may have been on their way when a connection ended after a break
        self.connections = []
        self.everyone = []      # every connection that there was
        self.handshakes = self.refused = self.unsubscriptions = 0
        self.requests = []      # (method, path, query, status)
        self.book_answers = []  # (symbol, status, seq)
        self.port = None
        self.condition = asyncio.Condition()
        self.log = log or (lambda text: None)
        self.tasks = set()
        self.context = None

    # ---- life ----

    async def start(self, host="127.0.0.1", port=0, tls=None):
        """tls: (certificate, key) paths, None for plain."""
        if tls:
            self.context = wire.server_tls(*tls)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.on_loop_error)
        self.server = await asyncio.start_server(self.on_connection, host, port, ssl=self.context, limit=1 << 20)
        self.port = self.server.sockets[0].getsockname()[1]
        self.spawn(self.beat())

    def on_loop_error(self, loop, context):
        """Failed handshakes of TLS end up here: the other side says more about them."""
        if not isinstance(context.get("exception"), (ssl.SSLError, ConnectionError)):
            loop.default_exception_handler(context)

    async def stop(self):
        self.server.close()
        for connection in list(self.connections):
            connection.socket.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def changed(self):
        """Wakes those who wait for something to happen here."""
        async def wake():
            async with self.condition:
                self.condition.notify_all()
        self.spawn(wake())

    async def until(self, predicate, seconds):
        """True when the predicate holds; False after so many seconds."""
        async def wait():
            async with self.condition:
                await self.condition.wait_for(predicate)
        try:
            await asyncio.wait_for(wait(), seconds)
            return True
        except asyncio.TimeoutError:
            return predicate()

    # ---- facts ----

    def knows(self, symbol):
        return symbol in self.tape.names

    def markets(self):
        return sorted(self.tape.names.items())

    def subscribed_streams(self):
        streams = set()
        for connection in self.connections:
            streams |= connection.streams
        return streams

    def history(self, symbol, count):
        """The last trades before now, oldest first."""
        return self.trades.get(symbol, [])[-count:]

    # ---- connections ----

    async def on_connection(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        try:
            while True:
                head = await wire.read_head(reader)
                if head is None:
                    break
                if head.has_token("upgrade", "websocket"):
                    await self.serve_stream(head, reader, writer)
                    break
                if not await self.serve_rest(head, reader, writer):
                    break
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.CancelledError,
                wire.WireError) as error:
            self.log(f"connection ended: {error}")
        finally:
            writer.close()

    async def serve_stream(self, head, reader, writer):
        self.handshakes += 1
        refusal = self.breaks.handshake()
        path = head.start.split()[1]
        if refusal is None and path.split("?")[0] != self.venue.path:
            refusal = 404
        answer = wire.upgrade_answer(head)
        if refusal is not None or answer is None:
            self.refused += 1
            self.changed()
            writer.write(wire.http_answer(refusal or 400, b"refused", keep=False))
            await writer.drain()
            return
        writer.write(answer)
        connection = Connection(self, wire.WebSocket(reader, writer, client=False), len(self.everyone))
        self.everyone.append(connection)
        self.connections.append(connection)
        self.venue.hello(connection)
        self.changed()
        try:
            while True:
                text = await connection.socket.receive()
                connection.received.append(text)
                self.venue.on_text(connection, text)
        except (wire.Closed, wire.WireError, ValueError, UnicodeDecodeError) as error:
            self.log(f"stream {connection.number} ended: {error}")
        finally:
            connection.socket.closed = True
            fired = [one.fired for one in self.breaks.all if one.fired is not None]
            self.uncertain |= {number for number in connection.sent if fired and number >= max(fired)}
            if connection in self.connections:
                self.connections.remove(connection)
            self.changed()

    async def beat(self):
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for connection in list(self.connections):
                self.venue.heartbeat(connection, time.time())

    # ---- REST ----

    async def serve_rest(self, head, reader, writer):
        method, target = head.start.split()[:2]
        await reader.readexactly(int(head.headers.get("content-length", "0")))
        path, _, query = target.partition("?")
        query = dict(part.partition("=")[::2] for part in query.split("&") if part)
        status, body, headers = self.answer(method, path, query)
        self.requests.append((method, path, query, status))
        self.changed()
        keep = not head.has_token("connection", "close")
        writer.write(wire.http_answer(status, body.encode(), headers, keep))
        await writer.drain()
        return keep

    def answer(self, method, path, query):
        limited = self.breaks.rest(self.venue.is_book_request(path, query))
        if limited is not None:
            return limited
        key = self.venue.answer_key(path, query)
        if not self.venue.is_book_request(path, query) and key in self.tape.answers:
            return 200, self.tape.answers[key], {}
        found = self.venue.rest(self, method, path, query)
        if found is None:
            return 404, '{"error":"no such path in the simulator"}', {}
        return found[0], found[1], {}

    def answer_book(self, symbol):
        """For the venue class: (status, body) of a book snapshot at the present position."""
        book = self.books.get(symbol)
        if book is None:
            return 404, '{"error":"no such symbol"}'
        book = self.breaks.rest_book(symbol, book)
        self.book_answers.append((symbol, 200, book.seq))
        return 200, self.venue.rest_book(symbol, book)

    # ---- play ----

    def send_snapshot(self, connection, symbol):
        """A fresh whole book, if the tape has shown one: otherwise it comes with the tape."""
        book = self.books.get(symbol)
        if book is not None:
            connection.reply(self.venue.snapshot(symbol, book, self.history(symbol, 30)), numbered=True)

    async def play(self, until=None, rate=0, stop=None):
        """Plays to the frame number `until` (all without one), at `rate` frames a second (0: as fast as taken), or
        until stop() is true. Returns the position."""
        until = len(self.tape.frames) if until is None else min(until, len(self.tape.frames))
        begun, first = time.monotonic(), self.position
        while self.position < until and not (stop and stop()):
            await self.step()
            if rate:
                ahead = begun + (self.position - first) / rate - time.monotonic()
                if ahead > 0:
                    await asyncio.sleep(ahead)
            elif self.position % SHARE_FRAMES == 0:
                await asyncio.sleep(0)
        await self.drain()
        return self.position

    async def step(self):
        """One frame: into the venue's own books, then to whom it concerns."""
        number, frame = self.position, self.tape.frames[self.position]
        self.position += 1
        actions = self.breaks.before(number, frame)
        for part in frame.parts:
            self.trades[part.symbol] += part.trades
            if part.change is not None and (part.change.snapshot or part.symbol in self.books):
                self.venue.apply(self.books.setdefault(part.symbol, Book()), part.change)
        for action in actions:
            await action
        for connection in list(self.connections):
            self.deliver(connection, number, frame)
        if self.position % SHARE_FRAMES == 0:
            await self.drain()

    def deliver(self, connection, number, frame):
        wanted = [part for part in frame.parts if part.key() in connection.streams and
                  part.key() not in connection.stalled]
        if not wanted or connection.socket.closed:
            return
        message = self.venue.render(connection, frame)
        if message is None:
            return
        for text in self.breaks.change(connection, number, frame, message):
            connection.socket.send(self.venue.pack(text) if isinstance(text, str) else text)
        connection.sent.append(number)
        if not self.breaks.swallowed(number):
            self.delivered.add(number)

    async def drain(self):
        for connection in list(self.connections):
            try:
                await connection.socket.drain()
            except wire.Closed:
                pass

    # ---- rough handling ----

    async def cut(self, graceful=False, count=None):
        """Ends the first connections (all without a count) in the middle of a frame, or with a close frame."""
        for connection in self.connections[:count]:
            if graceful:
                connection.socket.close(1001, "going away")
                continue
            connection.socket.writer.write(b"\x81\x7e\x10\x00" + b'{"half a frame":"')
            try:
                await connection.socket.drain()
            except wire.Closed:
                pass
            connection.socket.abort()

    async def endless(self, connection):
        """A message of fragments without an end, until the client has enough. Returns the bytes that were sent."""
        sent = 0
        connection.socket.send_frame(b"[" * FRAGMENT_BYTES, wire.TEXT, fin=False)
        while sent < ENDLESS_BYTES_MAX and not connection.socket.closed:
            connection.socket.send_frame(b"[" * FRAGMENT_BYTES, wire.CONTINUATION, fin=False)
            sent += FRAGMENT_BYTES
            try:
                await connection.socket.drain()
            except wire.Closed:
                break
            await asyncio.sleep(0)
        return sent

    async def huge(self, connection):
        connection.socket.send('{"huge":"' + "x" * HUGE_BYTES + '"}')
        try:
            await connection.socket.drain()
        except wire.Closed:
            pass

    async def unfinished(self, connection):
        """A frame that announces more than there will ever be: 2^62 bytes."""
        connection.socket.writer.write(b"\x81\x7f" + struct.pack("!Q", 1 << 62))
        try:
            await connection.socket.drain()
        except wire.Closed:
            pass


__all__ = ["BOOK", "Connection", "Simulator"]
