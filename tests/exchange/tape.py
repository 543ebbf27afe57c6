"""tape.py - what the simulator plays: frames of a venue in order, from a recording or made from a seed.

Job:       load() reads a recording through the venue's decode(); synthesize() makes a small market per symbol and
           writes it in the venue's format. Both give a Tape, and expect() says what a correct reader gets out of it.
Usage:     tape = load(venue, "recording", limit=3000); tape = synthesize(venue, seed=7, steps=400)
Non-goals: realism of the made markets beyond what parsers and book rules can tell.
"""
import random
from dataclasses import dataclass, field

import recording
from books import ASK, BID, Book, canonical
from venue import BOOK, QUOTE, TRADE, Change, Trade

START_MS = 1_700_000_000_000
LEVELS_MIN = 14  # a checksum over ten levels always has them


@dataclass
class Tape:
    frames: list
    bases: dict = field(default_factory=dict)    # symbol -> Book as REST gave it (venues that join one)
    answers: dict = field(default_factory=dict)  # Venue.answer_key() -> recorded REST body
    symbols: list = field(default_factory=list)  # venue ids in the tape
    names: dict = field(default_factory=dict)    # venue id -> unified symbol


@dataclass
class Expected:
    """Of one symbol: what a reader of the whole tape gets, in order."""
    trades: list = field(default_factory=list)  # Trade
    quotes: list = field(default_factory=list)  # tuple of texts
    books: list = field(default_factory=list)   # fingerprint after each change that shows; first: the whole book
    frames: list = field(default_factory=list)  # number of the frame that brought books[i]; -1: REST


def expect(venue, tape):
    """symbol -> Expected."""
    expected = {symbol: Expected() for symbol in tape.symbols}
    books = {symbol: base.copy() for symbol, base in tape.bases.items()}
    for symbol, book in books.items():
        expected[symbol].books.append(book.fingerprint)
        expected[symbol].frames.append(-1)
    for number, frame in enumerate(tape.frames):
        for part in frame.parts:
            its = expected[part.symbol]
            its.trades += part.trades
            if part.quote is not None:
                its.quotes.append(part.quote)
            if part.change is None or (part.symbol not in books and not part.change.snapshot):
                continue
            book = books.setdefault(part.symbol, Book())
            if venue.apply(book, part.change):
                its.books.append(book.fingerprint)
                its.frames.append(number)
    return expected


# ---- recordings ----

def load(venue, path, limit=0, symbols=()):
    """limit: frames of data, 0 for all. symbols: venue ids to keep, empty for all."""
    records = [record for record in recording.read(path) if venue.wants(record)]
    venue.prepare(records)
    tape = Tape([])
    for record in records:
        if record.kind == "http":
            load_answer(venue, tape, record, symbols)
        if record.kind != "received" or (limit and len(tape.frames) >= limit):
            continue
        frame = venue.decode(record.data)
        if frame is None or (symbols and not all(part.symbol in symbols for part in frame.parts)):
            continue
        frame.time = record.time
        tape.frames.append(frame)
    found = {part.symbol for frame in tape.frames for part in frame.parts} | set(tape.bases)
    tape.symbols = sorted(found)
    tape.names = {symbol: venue.unified(symbol) for symbol in tape.symbols}
    return tape


def split_url(url):
    path, _, query = url.partition("?")
    path = "/" + path.split("/", 3)[3] if "://" in path else path
    return path, dict(part.partition("=")[::2] for part in query.split("&") if part)


def load_answer(venue, tape, record, symbols):
    path, query = split_url(record.url)
    if record.url and not venue.is_book_request(path, query):
        tape.answers.setdefault(venue.answer_key(path, query), record.data)
        return
    if not venue.joins_rest:
        return
    symbol, book = venue.read_rest_book(path, query, record.data)
    if symbol and symbol not in tape.bases and (not symbols or symbol in symbols):
        tape.bases[symbol] = book


# ---- made markets ----

class Market:
    """A book of integer ticks and lots around a price that walks; changes never cross it."""

    def __init__(self, dice, price_digits, amount_digits):
        self.dice, self.price_digits, self.amount_digits = dice, price_digits, amount_digits
        self.middle = dice.randrange(20_000, 90_000)
        self.levels = ({}, {})
        self.seq = dice.randrange(10_000, 99_999_999)
        self.trade_id = dice.randrange(1000, 9_999_999)
        for side in (BID, ASK):
            for _ in range(2 * LEVELS_MIN):
                self.add(side)

    def price(self, ticks):
        digits = f"{ticks:0{self.price_digits + 1}d}"
        return f"{digits[:-self.price_digits]}.{digits[-self.price_digits:]}"

    def amount(self, lots):
        digits = f"{lots:0{self.amount_digits + 1}d}"
        return f"{digits[:-self.amount_digits]}.{digits[-self.amount_digits:]}"

    def best(self, side):
        return (max if side == BID else min)(self.levels[side])

    def some_lots(self):
        return self.dice.randrange(1, 10 ** self.dice.randrange(2, self.amount_digits + 3))

    def add(self, side):
        away = 1 + int(self.dice.expovariate(0.08))
        ticks = self.middle - away if side == BID else self.middle + away
        self.levels[side][ticks] = self.some_lots()
        return ticks

    def change(self):
        """Rows (price, amount) per side as texts, after a small step of the market."""
        touched = (set(), set())
        if self.dice.random() < 0.25:
            self.middle += self.dice.choice((-2, -1, 1, 2))
            for side, crossed in ((BID, lambda at: at >= self.middle), (ASK, lambda at: at <= self.middle)):
                for ticks in [at for at in self.levels[side] if crossed(at)]:
                    del self.levels[side][ticks]
                    touched[side].add(ticks)
        for side in (BID, ASK):
            for _ in range(self.dice.randrange(0, 3)):
                touched[side].add(self.add(side))
            if self.dice.random() < 0.4 and len(self.levels[side]) > LEVELS_MIN:
                near = sorted(self.levels[side], reverse=side == BID)[:12]
                gone = self.dice.choice(near)
                del self.levels[side][gone]
                touched[side].add(gone)
            while len(self.levels[side]) < LEVELS_MIN:
                touched[side].add(self.add(side))
        return tuple([(self.price(at), self.amount(self.levels[side].get(at, 0))) for at in sorted(touched[side])]
                     for side in (BID, ASK))

    def rows(self, side):
        return [(self.price(at), self.amount(lots)) for at, lots in self.levels[side].items()]

    def trade(self, ms):
        side = self.dice.choice((BID, ASK))
        self.trade_id += 1
        ticks = self.best(side)
        return Trade(str(self.trade_id), self.price(ticks), self.amount(self.some_lots()),
                     "sell" if side == BID else "buy", ms)

    def quote(self):
        return tuple(text for side in (BID, ASK)
                     for text in (self.price(self.best(side)), self.amount(self.levels[side][self.best(side)])))


def next_change(market, venue):
    bids, asks = market.change()
    if not bids and not asks:
        bids = [(market.price(market.best(BID)), market.amount(market.levels[BID][market.best(BID)]))]
    first, previous = market.seq + 1, market.seq
    last = first + (market.dice.randrange(0, 4) if venue.wide_sequences else 0)
    if venue.row_sequences:
        last = first + len(bids) + len(asks) - 1
    market.seq = last
    return Change(False, bids, asks, first, last, previous)


def synthesize(venue, seed, steps, symbol_count=2, stale=3):
    """A tape of `steps` frames after the whole books. stale: deltas per symbol that are older than the REST book."""
    dice = random.Random(f"{venue.name}/{seed}")
    tape = Tape([])
    listed = venue.symbols[:symbol_count]
    tape.symbols, tape.names = [symbol for symbol, _ in listed], dict(listed)
    markets = {symbol: Market(dice, 2, 8 - 3 * (number % 2)) for number, symbol in enumerate(tape.symbols)}
    books = {symbol: Book() for symbol in tape.symbols}
    for symbol, market in markets.items():
        books[symbol].replace(market.rows(BID), market.rows(ASK))
        books[symbol].seq = market.seq
        if venue.joins_rest:
            for _ in range(stale):
                put_change(venue, tape, symbol, market, books[symbol], START_MS)
            tape.bases[symbol] = books[symbol].copy()
        else:
            history = [market.trade(START_MS - 1000 + number) for number in range(3)]
            for text in venue.opening(symbol, books[symbol], history):
                put(venue, tape, text, START_MS)
    for step in range(steps):
        ms = START_MS + 10 * step
        symbol = dice.choice(tape.symbols)
        market, kind = markets[symbol], dice.random()
        if kind < 0.6:
            put_change(venue, tape, symbol, market, books[symbol], ms)
        elif kind < 0.85 or not venue.quotes:
            put(venue, tape, venue.trade(symbol, market.trade(ms)), ms)
        else:
            put(venue, tape, venue.quote(symbol, market.quote(), ms), ms)
    return tape


def put_change(venue, tape, symbol, market, book, ms):
    change = next_change(market, venue)
    book.apply(change.bids, change.asks)
    book.seq = change.last
    texts = venue.delta(symbol, change, book, ms)
    for text in [texts] if isinstance(texts, str) else texts:
        put(venue, tape, text, ms)


def put(venue, tape, text, ms):
    """The text is decoded again: what the tape says is what a reader sees, not what the market meant."""
    frame = venue.decode(text)
    if frame is None:
        raise ValueError(f"{venue.name} cannot read what it wrote: {text[:200]}")
    frame.time = ms / 1000
    tape.frames.append(frame)


def plain(quote):
    """A quote's figures in canonical text; "0" and nothing are the same."""
    return tuple(canonical(str(value)) if value not in (None, "") and canonical(str(value)) != "0" else None
                 for value in quote)


__all__ = ["BOOK", "QUOTE", "TRADE", "Expected", "Tape", "expect", "load", "plain", "synthesize"]
