"""breaks.py - what the simulator does wrong on request.

Usage:     breaks.add("drop", at=100, symbol="BTCUSDT"); later its .fired is the frame's number, its .symbol the victim.
           parse("drop@100:BTCUSDT") reads the form of the command line.

  at a frame (the first one at or after N that fits):
    drop        a book change is not sent                   reorder     a book change comes after the next one
    checksum    its checksum is wrong                       garble      the second half of a book change is missing
    stall       the symbol's book stream falls silent until it is subscribed again
    cut         every connection ends in the middle of a frame          close       ... with a close frame
    cutone      the first connection ends so, the others go on
    shutdown    the venue's notice of a planned end, then the close frame
    noise       a frame that is no JSON                     huge        a frame of 10 MB
    fragment    a message without an end                    length      a frame that announces 2^62 bytes
  of requests (N of them):
    refuse      handshakes are answered with 503            rest429     REST answers 429, with Retry-After
    rest503     REST answers 503                            oldbook     book snapshots are older than the stream
"""
from dataclasses import dataclass

from books import ASK, BID
from venue import BOOK

AT_FRAME = ("drop", "reorder", "checksum", "garble", "stall", "cut", "cutone", "close", "shutdown", "noise", "huge",
            "fragment", "length")
OF_REQUESTS = ("refuse", "rest429", "rest503", "oldbook")
ON_A_CHANGE = ("drop", "reorder", "checksum", "garble", "stall")
SEQUENCES_BACK = 5_000_000  # how much older an old snapshot is: more than a stream ever has; 5 s in microseconds
RETRY_AFTER_S = 1


@dataclass
class Break:
    kind: str
    at: int = 0
    symbol: str = None
    left: int = 1          # requests
    fired: int = None      # number of the frame
    done: bool = False
    held: object = None    # the message that reorder keeps back
    held_number: int = None
    bytes_sent: int = 0


def parse(text):
    """KIND@N[:SYMBOL] or KIND=COUNT. Raises ValueError with what is wrong."""
    name, mark, rest = text.partition("@")
    if mark:
        number, _, symbol = rest.partition(":")
        if name not in AT_FRAME or not number.isdigit():
            raise ValueError(f"--break {text}: write KIND@FRAME with one of {', '.join(AT_FRAME)}")
        return {"kind": name, "at": int(number), "symbol": symbol or None}
    name, mark, count = text.partition("=")
    if name not in OF_REQUESTS or (mark and not count.isdigit()):
        raise ValueError(f"--break {text}: write KIND=COUNT with one of {', '.join(OF_REQUESTS)}, "
                         f"or KIND@FRAME with one of {', '.join(AT_FRAME)}")
    return {"kind": name, "left": int(count or 1)}


class Breaks:
    def __init__(self, simulator):
        self.simulator, self.all = simulator, []

    def add(self, kind, at=0, symbol=None, left=1):
        if kind not in AT_FRAME + OF_REQUESTS:
            raise ValueError(f"no break {kind!r}")
        if kind == "checksum" and not self.simulator.venue.checksum:
            raise ValueError(f"{self.simulator.venue.name} has no checksums")
        one = Break(kind, at, symbol, left)
        self.all.append(one)
        return one

    # ---- frames ----

    def shows(self, number, part):
        """Whether its loss shows with the book's next change: where only a checksum of the best levels tells, they must
        differ then. The simulator's book does not have the change yet."""
        venue = self.simulator.venue
        if not venue.checksum:
            return True
        lacking = self.simulator.books[part.symbol].copy()
        whole = lacking.copy()
        venue.apply(whole, part.change)
        for frame in self.simulator.tape.frames[number + 1:]:
            for its in frame.parts:
                if its.symbol == part.symbol and its.change is not None:
                    venue.apply(whole, its.change)
                    venue.apply(lacking, its.change)
                    return any(whole.rows(side, 10) != lacking.rows(side, 10) for side in (BID, ASK))
        return False

    def fits(self, one, number, frame):
        if one.fired is not None or number < one.at or one.kind in OF_REQUESTS:
            return False
        if one.kind not in ON_A_CHANGE:
            return True
        if len(frame.parts) != 1 or frame.parts[0].channel != BOOK or frame.parts[0].change is None:
            return False
        part = frame.parts[0]
        whole = part.change.snapshot and self.simulator.venue.repair != "wait"
        if whole or not (part.change.bids or part.change.asks):
            return False
        if one.symbol not in (None, part.symbol) or not self.synced(part):
            return False
        return one.kind not in ("drop", "reorder", "garble") or self.shows(number, part)

    def synced(self, part):
        """The clients have its whole book: a break before that is none."""
        venue = self.simulator.venue
        if venue.joins_rest:
            return any(symbol == part.symbol for symbol, _, _ in self.simulator.book_answers)
        return part.symbol in self.simulator.books

    def before(self, number, frame):
        """Awaitables to run before the frame goes out; asked before the simulator's own books have it."""
        actions = []
        for one in self.all:
            if not self.fits(one, number, frame):
                continue
            one.fired = number
            if frame.parts and one.kind in ON_A_CHANGE:
                one.symbol = frame.parts[0].symbol
            if one.kind not in ("drop", "reorder", "checksum", "garble"):
                actions.append(self.act(one))
        return actions

    async def act(self, one):
        simulator, venue = self.simulator, self.simulator.venue
        for connection in list(simulator.connections):
            if one.kind == "stall":
                connection.stalled.add((BOOK, one.symbol))
            elif one.kind == "noise":
                connection.socket.send(venue.pack('{"this is":not JSON'))
            elif one.kind == "huge":
                await simulator.huge(connection)
            elif one.kind == "length":
                await simulator.unfinished(connection)
            elif one.kind == "fragment":
                one.bytes_sent += await simulator.endless(connection)
            elif one.kind == "shutdown" and venue.shutdown_text:
                connection.reply(venue.shutdown_text)
        if one.kind in ("cut", "cutone"):
            await simulator.cut(count=1 if one.kind == "cutone" else None)
        elif one.kind == "close" or (one.kind == "shutdown" and not venue.shutdown_text):
            await simulator.cut(graceful=True)
        one.done = True

    def change(self, connection, number, frame, message):
        """The messages that go out instead of this one."""
        for one in self.all:
            if one.kind == "reorder" and one.held is not None and number != one.held_number and \
                    any(part.symbol == one.symbol and part.channel == BOOK for part in frame.parts):
                held, one.held, one.done = one.held, None, True
                self.simulator.delivered.add(one.held_number)
                return [message, held]
            if one.fired != number or one.done:
                continue
            if one.kind == "drop":
                return []
            if one.kind == "garble":
                return [message[:len(message) // 2]]
            if one.kind == "checksum":
                one.done = True
                return [self.simulator.venue.corrupt(message)]
            if one.kind == "reorder":
                one.held, one.held_number = message, number
                return []
        return [message]

    def swallowed(self, number):
        return any(one.fired == number and one.kind in ("drop", "garble", "reorder") for one in self.all)

    # ---- requests ----

    def take(self, kind):
        for one in self.all:
            if one.kind == kind and one.left > 0:
                one.left -= 1
                one.fired = self.simulator.position
                return True
        return False

    def handshake(self):
        return 503 if self.take("refuse") else None

    def rest(self, is_book):
        """(status, body, headers) instead of the answer; only book requests are broken."""
        if is_book and self.take("rest429"):
            return 429, '{"code":-1003,"msg":"Too many requests"}', {"Retry-After": str(RETRY_AFTER_S)}
        if is_book and self.take("rest503"):
            return 503, "<html>down for maintenance</html>", {"Content-Type": "text/html"}
        return None

    def rest_book(self, symbol, book):
        if not self.take("oldbook"):
            return book
        old = book.copy()
        for side in (BID, ASK):  # not what it is now either: who takes it has a wrong book
            for price, _ in old.rows(side, 3):
                old.set(side, price, "0")
        old.seq -= SEQUENCES_BACK
        return old
