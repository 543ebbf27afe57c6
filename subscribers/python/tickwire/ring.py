"""The engine's ring in shared memory, read in batches."""
import ctypes
import time

import numpy as np

from . import _library as c
from .events import EVENT, Symbols

HEARTBEAT_TIMEOUT_NS = 5_000_000_000
WAIT_STEP_S = 0.1  # so that Ctrl-C is seen


class Ring:
    """Reads a ring by name, beginning with the next event to come.

    Iterating gives batches: structured arrays of tickwire.EVENT that are views of one buffer, valid until the next
    one. It ends when the engine does. `lost` counts the events that were overwritten before they were read.
    """

    def __init__(self, name, batch=4096):
        self._reader, error = ctypes.c_void_p(), ctypes.create_string_buffer(c.ERROR_BYTES)
        c.check(c.ring_attach(name.encode(), ctypes.byref(self._reader), error, len(error)), error.value)
        self._buffer = np.empty(batch, EVENT)
        self._address = self._buffer.ctypes.data
        self._lost = ctypes.c_uint64(0)
        self.symbols = Symbols(c.ring_reader_symbols(self._reader))

    @property
    def lost(self):
        return self._lost.value

    @property
    def position(self):
        """The ring's number of the next event to read."""
        return c.ring_reader_position(self._open())

    @property
    def lag(self):
        """Events that are there and not read yet."""
        return c.ring_reader_lag(self._open())

    @property
    def epoch(self):
        """Differs for every engine that had this name."""
        return c.ring_reader_epoch(self._open())

    def read(self):
        """What is there now, at most one batch; an empty array if there is nothing."""
        count = c.ring_read(self._open(), self._address, len(self._buffer), ctypes.byref(self._lost))
        return self._buffer[:count]

    def wait(self, timeout=None):
        """Sleeps until there is something to read (True) or the timeout in seconds has passed (False).

        EOFError: the engine has ended and everything is read.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT_STEP_S if deadline is None else max(0.0, min(WAIT_STEP_S, deadline - time.monotonic()))
            status = c.status_name(c.ring_wait(self._open(), int(left * 1e9))).decode()
            if status == c.OK:
                return True
            if status == c.CLOSED or self.is_dead:
                raise EOFError("the engine has ended")
            if deadline is not None and time.monotonic() >= deadline:
                return False

    @property
    def is_dead(self):
        """The engine has ended, or gave no sign of life for five seconds."""
        return c.ring_reader_producer_dead(self._open(), time.time_ns(), HEARTBEAT_TIMEOUT_NS) != 0

    def last(self, instrument, kind):
        """The last TRADE, QUOTE or STATUS of an instrument, also from before this reader came; None: there is none."""
        event, sequence = np.empty(1, EVENT), ctypes.c_uint64()
        status = c.ring_last(self._open(), int(instrument), int(kind), event.ctypes.data, ctypes.byref(sequence))
        if c.status_name(status).decode() == c.EMPTY:
            return None
        c.check(status)
        return event[0]

    def __iter__(self):
        while True:
            batch = self.read()
            if len(batch):
                yield batch
                continue
            try:
                self.wait()
            except EOFError:
                return

    def close(self):
        if self._reader:
            if hasattr(self, "symbols"):
                self.symbols.close()
            c.ring_reader_close(self._reader)
            self._reader = ctypes.c_void_p()

    def _open(self):
        if not self._reader:
            raise ValueError("the ring is closed")
        return self._reader

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_reader"):
            self.close()
