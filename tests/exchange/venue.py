"""venue.py - what the simulated venues share: decoded frames, the interface of a venue, rules that most of them have.

Job:       a venue class says how its frames read (decode), how it writes them (snapshot, delta, trade, quote: for
           synthetic streams and for fresh snapshots), what it answers to a client (on_text), and what its REST serves.
Usage:     class Kraken(Venue): ...; see venues_first.py and venues_more.py
Non-goals: sockets and time: simulator.py has them. Limits of venues (rates, counts) are not enforced.
"""
import json
from dataclasses import dataclass, field

TRADE, QUOTE, BOOK = "trade", "quote", "book"


@dataclass
class Trade:
    id: str  # None: the venue has none
    price: str
    amount: str
    side: str
    ms: int  # None: not told
    history: bool = False


@dataclass
class Change:
    """A whole book or a change of one, with the venue's sequences where it has some."""
    snapshot: bool
    bids: list
    asks: list
    first: int = 0
    last: int = 0
    previous: int = None
    row_seqs: list = None  # of venues that number each level: (bids' numbers, asks' numbers)


@dataclass
class Part:
    channel: str
    symbol: str
    trades: list = field(default_factory=list)
    change: Change = None
    quote: tuple = None  # (bid, amount, ask, amount); None: no such side or amount
    stream: tuple = None  # (channel, symbol) of the subscription that brings it; None: its own

    def key(self):
        return self.stream or (self.channel, self.symbol)


@dataclass
class Frame:
    text: str
    parts: list
    time: float = 0.0


class Venue:
    name = ""
    path = "/"
    repair = "resubscribe"  # "fetch": REST snapshot; "relink": a new connection; "wait": every message is a whole book
    joins_rest = False
    notices_loss = True     # a dropped delta shows
    notices_order = True    # two swapped deltas show
    notices_late = False    # ... but only by the older one, which comes last: one book is wrong before
    checksum = False
    doubts = False          # changes have no numbers: bytes that cannot be read may have been one of any book
    breaks_all = False      # a loss shows by numbers of the connection: all its books are broken
    huge_breaks = True      # a frame of 10 MB is more than the venue's largest snapshots
    dials_token = False     # the address to dial comes with a token from REST
    shutdown_text = None    # the venue's notice before it closes; None: only a close frame
    depth = None            # books are cut to it
    book_carries_trades = False  # one subscription, of the book, brings both
    quotes = True           # the adapter's quote channel is one that decode() reads
    exchange = None         # the name in the engine's configuration; None: `name`
    row_sequences = False   # every level of a delta has its own number
    wide_sequences = False  # a delta covers several sequences
    symbols = []            # of synthetic streams: (venue id, unified symbol)
    splits = ("USDT", "USDC", "BUSD", "FDUSD", "HUSD", "USD", "BTC", "ETH", "EUR", "GBP")

    def __init__(self):
        self.aggregates = False

    # ---- names ----

    def unified(self, symbol):
        """The unified symbol of a venue id, by the venue's own rule."""
        upper = symbol.upper()
        for quote in self.splits:
            if upper.endswith(quote) and len(upper) > len(quote):
                return f"{upper[:-len(quote)]}/{quote}"
        return symbol

    def shown(self, symbol):
        """The id as summaries show it."""
        return symbol

    # ---- books ----

    def stale(self, change, seq):
        return False

    def apply(self, book, change):
        """Applies a change as the venue's rule says; False: nothing of it shows (older than the book, or empty)."""
        if change.snapshot:
            book.replace(change.bids, change.asks)
        elif self.stale(change, book.seq):
            return False
        else:
            book.apply(change.bids, change.asks)
        book.seq = change.last
        if self.depth:
            book.cut(self.depth)
        return change.snapshot or bool(change.bids or change.asks)

    # ---- frames ----

    def prepare(self, records):
        """Looks at a whole recording before its frames are decoded."""

    def wants(self, record):
        """Whether a record of a recording belongs to this venue's stream."""
        return True

    def decode(self, text):
        """Frame of data, or None for control messages and for channels that nobody here reads."""
        raise NotImplementedError

    def snapshot(self, symbol, book, history=()):
        """The text of a fresh whole book."""
        raise NotImplementedError

    def opening(self, symbol, book, history):
        """The frames that a made stream of a symbol begins with; books whose snapshot is in the stream."""
        return [self.snapshot(symbol, book)]

    def render(self, connection, frame):
        """What goes out on this connection as text, or None."""
        return self.number(connection, frame.text)

    def number(self, connection, text):
        """Puts the connection's next number into a frame, where the venue counts them."""
        return text

    def pack(self, text):
        """The frame as it goes over the wire: text, or compressed bytes."""
        return text

    def corrupt(self, text):
        """The same frame with a wrong checksum; None: the venue has no checksum."""
        return None

    # ---- talk ----

    def hello(self, connection):
        """At the opening of a connection."""

    def on_text(self, connection, text):
        """A client's message: acknowledged, and its subscriptions entered."""
        raise NotImplementedError

    def heartbeat(self, connection, now):
        """Once a second on every connection."""

    def subscribed(self, connection, channel, symbol):
        """After the acknowledgement: whole books and history for who comes later."""
        if channel == BOOK and not self.joins_rest:
            connection.simulator.send_snapshot(connection, symbol)

    # ---- REST ----

    def rest(self, simulator, method, path, query):
        """(status, body) or None for an unknown path."""
        if self.is_book_request(path, query):
            return simulator.answer_book(self.book_symbol(path, query))
        return self.rest_other(simulator, method, path, query)

    def answer_key(self, path, query):
        """Recorded answers to requests of one key serve each other."""
        return path

    def rest_other(self, simulator, method, path, query):
        return None

    def listed(self, simulator):
        """(venue id, base, quote, settle or None) of every market in the tape."""
        for symbol, unified in simulator.markets():
            pair, _, settle = unified.partition(":")
            yield (symbol, *pair.split("/"), settle.split("-")[0] or None)

    def is_book_request(self, path, query):
        return False

    def book_target(self, symbol):
        """Path and query of a book request."""
        raise NotImplementedError

    def book_symbol(self, path, query):
        return query.get("symbol", "")

    def rest_book(self, symbol, book):
        """The body of a book snapshot."""
        raise NotImplementedError

    def read_rest_book(self, path, query, body):
        """(symbol, Book) of a recorded book snapshot."""
        raise NotImplementedError


def pairs(rows):
    return [(str(row[0]), str(row[1])) for row in rows]


def exact(text):
    """JSON whose numbers keep their text."""
    return json.loads(text, parse_float=str, parse_int=str)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def rows_text(rows, bare=False):
    """[["price","amount"],...] from texts; bare: as JSON numbers."""
    quote = "" if bare else '"'
    return "[" + ",".join(f"[{quote}{price}{quote},{quote}{amount}{quote}]" for price, amount in rows) + "]"


def iso(ms, digits=6):
    """RFC 3339 of milliseconds since 1970."""
    import datetime
    when = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}" + "0" * (digits - 3) + "Z"


def ms_of_iso(text):
    import datetime
    whole, _, fraction = text.rstrip("Z").partition(".")
    when = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return int(when.timestamp()) * 1000 + int((fraction + "000")[:3])


def ms_of_seconds(text):
    """Milliseconds of a decimal text of seconds, cut off."""
    whole, _, fraction = text.partition(".")
    return int(whole) * 1000 + int((fraction + "000")[:3])
