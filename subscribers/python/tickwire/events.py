"""Events as they lie in the ring: one NumPy record of 56 bytes each, and what their numbers mean."""
import ctypes
import decimal as _decimal
from typing import NamedTuple

import numpy as np

from . import _library as c

TRADE, QUOTE, LEVEL, STATUS, CANDLE, CANDLE_TAIL, LOSS, BOOK_CLEAR = range(1, 9)
FLAG_ASK = FLAG_SELL = 1 << 0
FLAG_FIRST, FLAG_SNAPSHOT, FLAG_HISTORY, FLAG_LAST = 1 << 4, 1 << 5, 1 << 6, 1 << 7

_FIELDS = [
    ("instrument", "<u4", 0), ("kind", "u1", 4), ("flags", "u1", 5), ("price_exponent", "i1", 6),
    ("amount_exponent", "i1", 7), ("venue_ns", "<i8", 8), ("recv_ns", "<i8", 16),
    ("price", "<i8", 24), ("amount", "<i8", 32), ("id_lo", "<u8", 40), ("id_hi", "<u8", 48),          # TRADE, LEVEL
    ("bid", "<i8", 24), ("bid_amount", "<i8", 32), ("ask", "<i8", 40), ("ask_amount", "<i8", 48),     # QUOTE
    ("venue_seq", "<u8", 40),                                                                         # LEVEL
    ("state", "<u2", 24), ("reason", "<u2", 26), ("status_from", "<u8", 32), ("status_to", "<u8", 40),  # STATUS
    ("open", "<i8", 24), ("high", "<i8", 32), ("low", "<i8", 40), ("close", "<i8", 48),               # CANDLE
    ("volume", "<i8", 24), ("interval_ns", "<i8", 32), ("trade_count", "<u8", 40),                    # CANDLE_TAIL
    ("loss_from", "<u8", 24), ("loss_to", "<u8", 32), ("loss_count", "<u8", 40),                      # LOSS
]
#: tw_event of include/tickwire/event.h; which of the overlapping fields mean something depends on "kind".
EVENT = np.dtype({"names": [f[0] for f in _FIELDS], "formats": [f[1] for f in _FIELDS],
                  "offsets": [f[2] for f in _FIELDS], "itemsize": 56})


class Instrument(NamedTuple):
    """One row of the instrument table; `instrument` of an event is its index."""
    exchange: str
    symbol: str
    venue_id: str

    @property
    def name(self):
        """"binance:BTC/USDT\""""
        return f"{self.exchange}:{self.symbol}"


class _InstrumentStruct(ctypes.Structure):
    _fields_ = [("exchange", ctypes.c_char * 17), ("symbol", ctypes.c_char * 48), ("venue_id", ctypes.c_char * 48)]


class Symbols:
    """The instrument table of a ring or stream, as Python objects; rows are read once."""

    def __init__(self, table):
        self._table, self._rows = table, []

    def close(self):
        """The table goes away; rows that were read stay."""
        if self._table and len(self):
            _ = self[len(self) - 1]  # reads all of them
        self._table = None

    def __len__(self):
        return c.symbols_count(self._table) if self._table else len(self._rows)

    def __getitem__(self, index):
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"instrument {index} of {len(self)}")
        while len(self._rows) <= index:
            row = _InstrumentStruct.from_address(c.symbols_get(self._table, len(self._rows)))
            self._rows.append(Instrument(row.exchange.decode(), row.symbol.decode(), row.venue_id.decode()))
        return self._rows[index]

    def find(self, name):
        """The index of "exchange:symbol", or None."""
        if not self._table:
            return next((i for i, row in enumerate(self._rows) if row.name == name), None)
        exchange, _, symbol = name.partition(":")
        index = c.symbols_find(self._table, exchange.encode(), len(exchange.encode()), symbol.encode(),
                               len(symbol.encode()))
        return None if index == 0xFFFFFFFF else index


def decimal(mantissa, exponent):
    """One price or amount, exact."""
    return _decimal.Decimal(int(mantissa)).scaleb(int(exponent))


def _scaled(events, field, exponent_field):
    return events[field] * np.power(10.0, events[exponent_field])


def prices(events, field="price"):
    """float64 of a price field ("price", "bid", "ask", "open", ...) for all events of the array."""
    return _scaled(events, field, "price_exponent")


def amounts(events, field="amount"):
    """float64 of an amount field ("amount", "bid_amount", "ask_amount", "volume")."""
    return _scaled(events, field, "amount_exponent")
