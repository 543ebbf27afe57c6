"""An engine inside this process: for tests, notebooks, and programs that bring their market with them."""
import ctypes

from . import _library as c


class Engine:
    """Runs an engine from a configuration (TOML as text, or a file) on threads of its own, until it is closed.

    >>> with tickwire.Engine('listen.port = 0') as engine:
    ...     stream = tickwire.Stream(engine.url)
    """

    def __init__(self, config_text=None, config_path=None, settings=()):
        self._engine, error = ctypes.c_void_p(), ctypes.create_string_buffer(4 * c.ERROR_BYTES)
        texts = (ctypes.c_char_p * len(settings))(*[each.encode() for each in settings])
        options = c.EngineOptions()
        c.engine_options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.config_text = config_text.encode() if config_text is not None else None
        options.config_path = str(config_path).encode() if config_path is not None else None
        options.settings, options.setting_count = ctypes.cast(texts, ctypes.c_void_p), len(settings)
        c.check(c.engine_open(ctypes.byref(options), ctypes.byref(self._engine), error, len(error)), error.value)
        try:
            c.check(c.engine_start(self._engine))
        except c.TickwireError:
            self.close()
            raise

    @property
    def port(self):
        return c.engine_port(self._open())

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    def counter(self, name):
        """A counter as in /metrics, all labels summed; None: no such name."""
        value = ctypes.c_uint64()
        status = c.engine_counter_find(self._open(), name.encode(), ctypes.byref(value))
        return value.value if status == 0 else None

    def close(self):
        if self._engine:
            c.engine_close(self._engine)
            self._engine = ctypes.c_void_p()

    def _open(self):
        if not self._engine:
            raise ValueError("the engine is closed")
        return self._engine

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_engine"):
            self.close()
