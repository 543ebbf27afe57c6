"""books.py - exact decimals as text, books of price levels, and the checksums that venues send with them.

Job:       a second opinion on the engine's books: nothing here is shared with it. Prices are compared by canonical
           text; the venue's own text is kept beside it, since checksums are made of it.
Usage:     book = Book(); book.replace(bids, asks); book.apply(bids, asks); book.fingerprint
Non-goals: speed.
"""
import zlib
from decimal import Decimal
from functools import lru_cache

BID, ASK = 0, 1


@lru_cache(maxsize=1 << 18)
def canonical(text):
    """A decimal without exponent, leading and trailing zeros: "0.350" -> "0.35", "9.1E-7" -> "0.00000091"."""
    if "e" in text or "E" in text:
        text = format(Decimal(text), "f")
    sign = "-" if text.startswith("-") else ""
    whole, _, fraction = text.lstrip("+-").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return sign + number if number != "0" else number


@lru_cache(maxsize=1 << 18)
def key_of(price):
    return Decimal(price)


@lru_cache(maxsize=1 << 18)
def mark(side, price, amount):
    """A level's share of the fingerprint of a book."""
    return hash((side, price, amount)) & 0xFFFFFFFFFFFFFFFF


class Book:
    """Two sides of price levels. sides[BID][canonical price] = (price text, amount text, canonical amount)."""

    def __init__(self):
        self.sides = ({}, {})
        self.fingerprint = 0  # the same for equal books, whatever way they came about
        self.seq = 0          # of the venue: covers everything up to it

    def set(self, side, price, amount):
        levels, at, value = self.sides[side], canonical(price), canonical(amount)
        old = levels.get(at)
        if old is not None:
            self.fingerprint ^= mark(side, at, old[2])
        if value == "0":
            levels.pop(at, None)
        else:
            levels[at] = (price, amount, value)
            self.fingerprint ^= mark(side, at, value)

    def apply(self, bids, asks):
        for price, amount in bids:
            self.set(BID, price, amount)
        for price, amount in asks:
            self.set(ASK, price, amount)

    def replace(self, bids, asks):
        self.sides = ({}, {})
        self.fingerprint = 0
        self.apply(bids, asks)

    def copy(self):
        other = Book()
        other.sides = (dict(self.sides[BID]), dict(self.sides[ASK]))
        other.fingerprint, other.seq = self.fingerprint, self.seq
        return other

    def rows(self, side, count=None):
        """(price text, amount text), best first."""
        prices = sorted(self.sides[side], key=key_of, reverse=side == BID)
        return [self.sides[side][price][:2] for price in prices[:count]]

    def cut(self, depth):
        """Drops what is worse than `depth` levels, as venues that never delete what falls out of the depth want it."""
        for side in (BID, ASK):
            if len(self.sides[side]) > depth:
                for price, _ in self.rows(side)[depth:]:
                    self.set(side, price, "0")

    def count(self, side):
        return len(self.sides[side])

    def best(self, side):
        rows = self.rows(side, 1)
        return canonical(rows[0][0]) if rows else None


# ---- checksums ----

def kraken_checksum(book):
    """CRC-32 over the ten best asks, then bids: price and amount text without point and leading zeros."""
    text = "".join(price.replace(".", "").lstrip("0") + amount.replace(".", "").lstrip("0")
                   for side in (ASK, BID) for price, amount in book.rows(side, 10))
    return zlib.crc32(text.encode())


def okx_checksum(book):
    """CRC-32, signed, over the best 25 levels, bids and asks in turn, as the venue wrote them."""
    bids, asks = book.rows(BID, 25), book.rows(ASK, 25)
    parts = []
    for index in range(max(len(bids), len(asks))):
        for rows in (bids, asks):
            if index < len(rows):
                parts += rows[index]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def digest25(book):
    """The figure that summaries of recordings carry: CRC-32 of the best 25 levels in canonical text."""
    text = "".join(f"{letter} {canonical(price)} {canonical(amount)}\n" for letter, side in (("b", BID), ("a", ASK))
                   for price, amount in book.rows(side, 25))
    return f"{zlib.crc32(text.encode()):08x}"
