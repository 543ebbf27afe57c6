"""Finds and loads libtickwire, and declares what of it is called. Internal to the package."""
import ctypes
import ctypes.util
import os
import pathlib
import sys

OK, EMPTY, CLOSED = "OK", "EMPTY", "CLOSED"
ERROR_BYTES = 1024


class TickwireError(RuntimeError):
    """What the library refused; .status is its name, e.g. "UNAVAILABLE"."""

    def __init__(self, status, text):
        super().__init__(text or status)
        self.status = status


def _candidates():
    name = "libtickwire.dylib" if sys.platform == "darwin" else "libtickwire.so"
    if "TICKWIRE_LIBRARY" in os.environ:
        yield os.environ["TICKWIRE_LIBRARY"]
        return
    found = ctypes.util.find_library("tickwire")
    if found:
        yield found
    yield name
    for folder in pathlib.Path(__file__).resolve().parents:
        yield str(folder / "build" / "release" / "lib" / name)


def _load():
    tried = []
    for candidate in _candidates():
        try:
            return ctypes.CDLL(candidate)
        except OSError as error:
            tried.append(f"{candidate}: {error}")
    raise ImportError("libtickwire was not found; build and install it, or set TICKWIRE_LIBRARY to its path. Tried:\n  " +
                      "\n  ".join(tried[:4]))


lib = _load()

_p, _s, _u8, _u32, _u64, _i64, _size = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint8, ctypes.c_uint32,
                                        ctypes.c_uint64, ctypes.c_int64, ctypes.c_size_t)


class StreamMessage(ctypes.Structure):
    """tw_stream_message"""
    _fields_ = [("symbols", _p), ("events", _p), ("event_count", _u32), ("is_state", _u32), ("seq", _u64),
                ("publish_ns", _i64), ("arrival_ns", _i64), ("bytes", _p), ("bytes_len", _size)]


ON_MESSAGE = ctypes.CFUNCTYPE(None, _p, ctypes.POINTER(StreamMessage))
ON_GAP = ctypes.CFUNCTYPE(None, _p, _u64)
ON_NOTE = ctypes.CFUNCTYPE(None, _p, _s)


class StreamOptions(ctypes.Structure):
    """tw_stream_options"""
    _fields_ = [("size", _size), ("source", _s), ("channels", _s), ("symbols", _s), ("codec", _s), ("token", _s),
                ("wait", _u32), ("on_message", ON_MESSAGE), ("on_gap", ON_GAP), ("on_note", ON_NOTE), ("owner", _p)]


class EngineOptions(ctypes.Structure):
    """tw_engine_options"""
    _fields_ = [("size", _size), ("config_path", _s), ("config_text", _s), ("settings", _p), ("setting_count", _u32),
                ("parts", _u32), ("drive", _u32), ("use_environment", _u32), ("sources", _p), ("source_count", _u32),
                ("codec_count", _u32), ("codecs", _p), ("log", _p), ("log_owner", _p)]


def _declare(name, result, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_status = ctypes.c_int
status_name = _declare("tw_status_name", _s, _status)
ring_attach = _declare("tw_ring_attach", _status, _s, ctypes.POINTER(_p), ctypes.c_char_p, _size)
ring_reader_close = _declare("tw_ring_reader_close", None, _p)
ring_read = _declare("tw_ring_read", _size, _p, _p, _size, ctypes.POINTER(_u64))
ring_wait = _declare("tw_ring_wait", _status, _p, _i64)
ring_reader_position = _declare("tw_ring_reader_position", _u64, _p)
ring_reader_lag = _declare("tw_ring_reader_lag", _u64, _p)
ring_reader_symbols = _declare("tw_ring_reader_symbols", _p, _p)
ring_reader_epoch = _declare("tw_ring_reader_epoch", _u64, _p)
ring_reader_producer_dead = _declare("tw_ring_reader_producer_dead", ctypes.c_int, _p, _i64, _i64)
ring_last = _declare("tw_ring_last", _status, _p, _u32, _u8, _p, ctypes.POINTER(_u64))
symbols_count = _declare("tw_symbols_count", _u32, _p)
symbols_get = _declare("tw_symbols_get", _p, _p, _u32)
symbols_find = _declare("tw_symbols_find", _u32, _p, _s, _size, _s, _size)
stream_options_init = _declare("tw_stream_options_init", None, ctypes.POINTER(StreamOptions), _size)
stream_open = _declare("tw_stream_open", _status, ctypes.POINTER(StreamOptions), ctypes.POINTER(_p), ctypes.c_char_p,
                       _size)
stream_close = _declare("tw_stream_close", None, _p)
stream_poll = _declare("tw_stream_poll", _status, _p, _i64)
stream_is_ready = _declare("tw_stream_is_ready", ctypes.c_int, _p)
stream_reason = _declare("tw_stream_reason", _s, _p)
engine_options_init = _declare("tw_engine_options_init", None, ctypes.POINTER(EngineOptions), _size)
engine_open = _declare("tw_engine_open", _status, ctypes.POINTER(EngineOptions), ctypes.POINTER(_p), ctypes.c_char_p,
                       _size)
engine_start = _declare("tw_engine_start", _status, _p)
engine_stop = _declare("tw_engine_stop", None, _p)
engine_close = _declare("tw_engine_close", None, _p)
engine_port = _declare("tw_engine_port", ctypes.c_uint16, _p)
engine_counter_find = _declare("tw_engine_counter_find", _status, _p, _s, ctypes.POINTER(_u64))


def check(status, text=b""):
    """Raises for everything but TW_OK."""
    if status != 0:
        raise TickwireError(status_name(status).decode(), text.decode(errors="replace"))
