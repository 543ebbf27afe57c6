"""Tests of the Python package against engines inside this process; argv: none. Needs NumPy and libtickwire."""
import decimal
import os
import unittest

import numpy as np
import tickwire

CONFIG = """
listen.port = 0
logging.level = "error"
ring.name = "{name}"
ring.instruments_max = 64
wire_log.bytes = "4MiB"
book.depth_max = 100
[[feed]]
type = "sim"
instruments = 3
rate = 5000
"""


class WithEngine(unittest.TestCase):
    def setUp(self):
        self.name = f"twpy.{os.getpid()}"
        self.engine = tickwire.Engine(CONFIG.format(name=self.name))
        self.addCleanup(self.engine.close)
        while self.engine.counter("tickwire_ring_events_total") < 200:
            pass  # every instrument has a state by then

    def batches(self, ring, events):
        """So many events or a few more, as copies."""
        taken = []
        for batch in ring:
            taken.append(batch.copy())
            if sum(map(len, taken)) >= events:
                return np.concatenate(taken)


class RingTest(WithEngine):
    def test_batches_are_whole_and_in_order(self):
        with tickwire.Ring(self.name) as ring:
            begin = ring.position
            events = self.batches(ring, 2000)
            self.assertEqual(ring.position - begin, len(events))
            self.assertEqual(ring.lost, 0)
            self.assertTrue(set(events["kind"]) <= {tickwire.TRADE, tickwire.QUOTE, tickwire.LEVEL, tickwire.STATUS,
                                                    tickwire.BOOK_CLEAR})
            self.assertTrue((np.diff(events["recv_ns"]) >= 0).all())
            self.assertTrue((events["instrument"] < len(ring.symbols)).all())

    def test_a_batch_is_a_view_of_one_buffer(self):
        with tickwire.Ring(self.name, batch=64) as ring:
            addresses = set()
            for batch in ring:
                addresses.add(batch.ctypes.data)
                if ring.position > 1000:
                    break
            self.assertEqual(len(addresses), 1)

    def test_prices_are_exact_and_fast(self):
        with tickwire.Ring(self.name) as ring:
            events = self.batches(ring, 3000)
            trades = events[events["kind"] == tickwire.TRADE]
            self.assertGreater(len(trades), 0)
            exact = [tickwire.decimal(each["price"], each["price_exponent"]) for each in trades]
            self.assertIsInstance(exact[0], decimal.Decimal)
            np.testing.assert_allclose(tickwire.prices(trades), [float(each) for each in exact], rtol=1e-12)
            self.assertTrue((tickwire.amounts(trades) > 0).all())

    def test_names_and_last_values(self):
        with tickwire.Ring(self.name) as ring:
            self.batches(ring, 500)
            index = ring.symbols.find("sim:BTC/USDT")
            self.assertEqual(ring.symbols[index].name, "sim:BTC/USDT")
            self.assertIsNone(ring.symbols.find("sim:NO/SUCH"))
            quote = ring.last(index, tickwire.QUOTE)
            self.assertEqual(quote["instrument"], index)
            self.assertLessEqual(quote["bid"], quote["ask"])
            with self.assertRaises(tickwire.TickwireError):
                ring.last(index, tickwire.LEVEL)

    def test_it_ends_with_the_engine(self):
        with tickwire.Ring(self.name) as ring:
            self.batches(ring, 10)
            self.engine.close()
            for _ in ring:
                pass
            self.assertTrue(ring.is_dead)
            with self.assertRaises(EOFError):
                ring.wait(1)

    def test_a_name_that_is_not_there_says_what_to_do(self):
        with self.assertRaisesRegex(tickwire.TickwireError, "is the engine running"):
            tickwire.Ring("no.such.ring")


class StreamTest(WithEngine):
    def messages(self, source, **options):
        with tickwire.Stream(source, symbols="sim:BTC/USDT", **options) as stream:
            taken = []
            for message in stream:
                self.assertIsInstance(message, tickwire.Message)
                taken.append(message)
                if len(taken) == 300:
                    return taken

    def check(self, messages):
        self.assertEqual({each.name for each in messages}, {"sim:BTC/USDT"})
        self.assertTrue(all(each.arrival_ns > 0 for each in messages))
        news = [each for each in messages if not each.is_state]
        self.assertGreater(len(news), 200)
        self.assertTrue(any(each.is_state for each in messages))

    def test_websocket_flatbuffers(self):
        self.check(self.messages(self.engine.url, channels="quote,trade"))

    def test_websocket_json(self):
        self.check(self.messages(self.engine.url, channels="quote,trade", codec="json"))

    def test_shared_memory(self):
        self.check(self.messages(f"shm:{self.name}", channels="quote,trade"))

    def test_books_are_groups(self):
        messages = self.messages(self.engine.url, channels="book")
        self.assertTrue(messages[0].events["flags"][0] & tickwire.FLAG_SNAPSHOT)
        self.assertGreater(len(messages[0].events), 5)

    def test_wrong_options_say_what_is_wrong(self):
        with self.assertRaisesRegex(tickwire.TickwireError, "trade, quote, book, status"):
            tickwire.Stream("shm:x", channels="nope")
        with self.assertRaises(tickwire.TickwireError):
            tickwire.Stream("http://127.0.0.1/")


class EngineTest(unittest.TestCase):
    def test_counters_and_errors(self):
        with tickwire.Engine("listen.port = 0", settings=["logging.level=error"]) as engine:
            self.assertGreater(engine.port, 0)
            self.assertIsNone(engine.counter("no_such_counter"))
            self.assertIsNotNone(engine.counter("tickwire_connections_total"))
        with self.assertRaisesRegex(tickwire.TickwireError, "nonsense"):
            tickwire.Engine("nonsense = 1")
        with self.assertRaises(ValueError):
            engine.port


if __name__ == "__main__":
    unittest.main()
