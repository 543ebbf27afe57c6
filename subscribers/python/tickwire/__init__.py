"""Market data from a Tickwire engine as NumPy arrays: shared memory, WebSocket, or an engine inside this process.

Ring     the engine's ring in shared memory: batches of events, no system call while there is something to read
Stream   whole messages, over WebSocket or shared memory
Engine   an engine inside this process, with its configuration as text
"""
from ._library import TickwireError
from .engine import Engine
from .events import (BOOK_CLEAR, CANDLE, CANDLE_TAIL, FLAG_ASK, FLAG_FIRST, FLAG_HISTORY, FLAG_LAST, FLAG_SELL,
                     FLAG_SNAPSHOT, LEVEL, LOSS, QUOTE, STATUS, TRADE, EVENT, Instrument, amounts, decimal, prices)
from .ring import Ring
from .stream import Gap, Message, Note, Stream

__all__ = [
    "BOOK_CLEAR", "CANDLE", "CANDLE_TAIL", "EVENT", "FLAG_ASK", "FLAG_FIRST", "FLAG_HISTORY", "FLAG_LAST", "FLAG_SELL",
    "FLAG_SNAPSHOT", "LEVEL", "LOSS", "QUOTE", "STATUS", "TRADE", "Engine", "Gap", "Instrument", "Message", "Note",
    "Ring", "Stream", "TickwireError", "amounts", "decimal", "prices",
]
__version__ = "0.1.0"
