"""Whole messages of a running engine, over WebSocket or shared memory."""
import collections
import ctypes
import time
from typing import NamedTuple

import numpy as np

from . import _library as c
from .events import EVENT, Instrument, Symbols

POLL_S = 0.1  # so that Ctrl-C is seen
WAITS = {"sleep": 0, "yield": 1, "spin": 2}


class Message(NamedTuple):
    """One message; `events` has one record, or the levels of a book change, or a candle and its tail."""
    events: np.ndarray
    instrument: Instrument
    is_state: bool  # not news, but what was known when the subscription began
    seq: int
    publish_ns: int
    arrival_ns: int

    @property
    def name(self):
        """"binance:BTC/USDT\""""
        return self.instrument.name


class Gap(NamedTuple):
    """Messages are missing here: so many, 0 if nobody knows."""
    count: int


class Note(NamedTuple):
    """What happened to the connection."""
    text: str


class Stream:
    """One subscription. `source`: "ws://host:port", "unix:/socket" or "shm:name".

    Iterating gives Message and Gap objects (and Note, with notes=True), for ever: it reconnects by itself. poll() gives
    what has come as a list. A message's events are a copy: they stay valid.
    """

    def __init__(self, source, channels="trade,quote,book,status", symbols="*:*", codec="flatbuffers", token=None,
                 wait="sleep", notes=False):
        self._stream, error = ctypes.c_void_p(), ctypes.create_string_buffer(c.ERROR_BYTES)
        self._pending, self._tables, self._notes = collections.deque(), {}, notes
        options = c.StreamOptions()
        c.stream_options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.source, options.channels, options.symbols = source.encode(), channels.encode(), symbols.encode()
        options.codec, options.token = codec.encode(), token.encode() if token else None
        options.wait = WAITS[wait]
        options.on_message = self._on_message = c.ON_MESSAGE(self._take_message)
        options.on_gap = self._on_gap = c.ON_GAP(lambda owner, count: self._pending.append(Gap(count)))
        options.on_note = self._on_note = c.ON_NOTE(self._take_note)
        c.check(c.stream_open(ctypes.byref(options), ctypes.byref(self._stream), error, len(error)), error.value)

    def _take_message(self, _, pointer):
        message = pointer.contents
        size = message.event_count * EVENT.itemsize
        events = np.frombuffer(ctypes.string_at(message.events, size), EVENT)
        symbols = self._tables.get(message.symbols)
        if symbols is None:
            symbols = self._tables[message.symbols] = Symbols(message.symbols)
        instrument = symbols[events[0]["instrument"]]
        self._pending.append(Message(events, instrument, bool(message.is_state), message.seq, message.publish_ns,
                                     message.arrival_ns))

    def _take_note(self, _, text):
        self._tables.clear()  # it may be another engine, with other instruments
        if self._notes:
            self._pending.append(Note(text.decode(errors="replace")))

    @property
    def is_ready(self):
        """Connected, and the subscription is answered."""
        return c.stream_is_ready(self._open()) != 0

    @property
    def reason(self):
        """Why it is not ready."""
        return c.stream_reason(self._open()).decode(errors="replace")

    def poll(self, timeout=0.0):
        """What has come, as a list; waits for it at most `timeout` seconds. TickwireError: turned away for good."""
        deadline = time.monotonic() + timeout
        while True:
            left = min(POLL_S, max(0.0, deadline - time.monotonic()))
            status = c.stream_poll(self._open(), int(left * 1e9))
            c.check(status, self.reason.encode() if status else b"")
            if self._pending or time.monotonic() >= deadline:
                came = list(self._pending)
                self._pending.clear()
                return came

    def __iter__(self):
        while True:
            yield from self.poll(POLL_S)

    def close(self):
        if self._stream:
            c.stream_close(self._stream)
            self._stream = ctypes.c_void_p()

    def _open(self):
        if not self._stream:
            raise ValueError("the stream is closed")
        return self._stream

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_stream"):
            self.close()
