#!/usr/bin/env python3
"""stats_test.py - bench/harness/stats.py against figures that are known, and scenario files that are wrong.

Usage: tests/system/run_iterations/stats_test.py, from the project's root; run by run_iterations_test.sh.
"""
import os
import random
import sys
import tempfile
import unittest

sys.path.insert(0, "bench")

from harness import results, scenario, stats  # noqa: E402


class Medians(unittest.TestCase):
    def test_median_and_quantiles(self):
        self.assertEqual(stats.median([3, 1, 2]), 2)
        self.assertEqual(stats.median([4, 1, 2, 3]), 2.5)
        self.assertIsNone(stats.median([]))
        self.assertEqual(stats.quantile([0, 10], 0.25), 2.5)
        self.assertEqual(stats.quantile(list(range(101)), 0.99), 99)
        self.assertEqual(stats.stddev([2, 4, 4, 4, 5, 5, 7, 9]), 2)

    def test_bootstrap_repeats_and_covers(self):
        generator = random.Random(7)
        covered = 0
        for _ in range(12):
            values = [generator.lognormvariate(0, 0.5) for _ in range(60)]
            low, high = stats.bootstrap(values)
            self.assertEqual((low, high), stats.bootstrap(values))
            covered += low <= 1.0 <= high
        self.assertGreaterEqual(covered, 11)  # of 12: the true median is 1

    def test_interval_holds_the_median_of_another_run(self):
        generator = random.Random(3)
        held = 0
        for _ in range(15):
            shift = generator.gauss(1, 0.02)  # runs differ by more than their iterations say
            one = [100 * generator.lognormvariate(0, 0.1) for _ in range(50)]
            other = [100 * shift * generator.lognormvariate(0, 0.1) for _ in range(50)]
            low, high = stats.interval(one, "p50")
            held += low <= stats.median(other) <= high
        self.assertGreaterEqual(held, 14)

    def test_interval_sees_drift_and_has_a_floor(self):
        low, high = stats.interval([100.0] * 40, "p50")
        self.assertAlmostEqual(low, 100 * (1 - stats.FLOOR["p50"]))
        self.assertAlmostEqual(high, 100 * (1 + stats.FLOOR["p50"]))
        low, high = stats.interval([100.0] * 20 + [200.0] * 20, "p50")
        self.assertLessEqual(low, 100)
        self.assertGreaterEqual(high, 200)

    def test_few_values_have_a_wide_interval_or_none(self):
        self.assertEqual(stats.interval([1, 2]), (None, None))
        low, high = stats.interval([100.0, 150.0, 120.0, 90.0], "p50")
        self.assertLessEqual(low, 90)
        self.assertGreaterEqual(high, 150)

    def test_ratio_is_by_round(self):
        found = stats.ratio([(2.0, 1.0), (20.0, 10.0), (200.0, 100.0), (1.0, 0)])
        self.assertEqual((found["median"], found["low"], found["high"], found["n"]), (2, 2, 2, 3))
        self.assertIsNone(stats.ratio([]))


class Histograms(unittest.TestCase):
    def test_percentiles_of_known_values(self):
        histogram = stats.compact([[value * 1000, 1] for value in range(1, 10001)])
        for share in (0.5, 0.9, 0.99, 0.999):
            self.assertAlmostEqual(stats.percentile_ns(histogram, share) / (share * 1e7), 1, delta=0.011)

    def test_stall_arithmetic(self):
        """Rests of 50 ms once per second: 5 % late, evenly from 0 to 50 ms, so that p99 is 40 ms and p99.9 is 49 ms."""
        latencies = [max(0.05 - due / 10000, 0.0001) for due in range(10000)]
        histogram = stats.compact([[round(latency * 1e9), 1] for latency in latencies])
        self.assertAlmostEqual(stats.percentile_ns(histogram, 0.99) / 1e6, 40, delta=1)
        self.assertAlmostEqual(stats.percentile_ns(histogram, 0.999) / 1e6, 49, delta=1)
        self.assertLess(stats.percentile_ns(histogram, 0.94) / 1e6, 1)

    def test_merge_adds(self):
        one = stats.compact([[1000, 2], [5, 1]])
        both = stats.merged([one, {str(key): value for key, value in one.items()}])
        self.assertEqual(sum(both.values()), 6)
        self.assertEqual(stats.percentile_ns({}, 0.5), None)

    def test_hgrm_is_what_the_tools_read(self):
        text = stats.hgrm(stats.compact([[value * 1000, 1] for value in range(1, 1001)]))
        lines = text.splitlines()
        self.assertEqual(lines[0].split(), ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
        rows = [line.split() for line in lines[2:] if not line.startswith("#")]
        shares = [float(row[1]) for row in rows]
        counts = [int(row[2]) for row in rows]
        self.assertEqual(shares, sorted(shares))
        self.assertEqual(counts, sorted(counts))
        self.assertEqual((shares[-1], counts[-1]), (1.0, 1000))
        self.assertTrue(all(len(row) == 4 for row in rows[:-1]) and len(rows[-1]) == 3)
        self.assertEqual(sum(line.startswith("#[") for line in lines), 3)


class Scenarios(unittest.TestCase):
    def test_all_of_the_project_are_good(self):
        for name in scenario.names():
            cells = scenario.expand(scenario.load(name), ["io_uring", "epoll"], ["tornado", "ws"])
            self.assertTrue(cells, name)
            self.assertEqual(len({cell["name"] for cell in cells}), len(cells), name)
            self.assertTrue(scenario.expand(scenario.load(name), ["kqueue"], []), name)

    def wrong(self, text, expected, suffix=".toml"):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x" + suffix)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            with self.assertRaises(scenario.ScenarioError) as caught:
                scenario.expand(scenario.load(path), ["epoll"], [])
            self.assertIn(expected, str(caught.exception))

    def test_errors_say_what_is_wrong(self):
        self.wrong("[[cells]]\nclinets = 1\n", "unknown key 'clinets'")
        self.wrong("[[cells]]\nclients = [1, 'x']\n", "clients is 'x'; write a int")
        self.wrong("[[cells]]\nclients = 0\n", "clients is 0; write 1 to")
        self.wrong("[[cells]]\npayload = 'nothing'\n", "payload is 'nothing'; write one of tick")
        self.wrong("duration = 'long'\n[[cells]]\n", "'long' is no duration")
        self.wrong("title = 'x'\n", "has no [[cells]]")
        self.wrong("kind = 'dance'\n[[cells]]\n", "kind is 'dance'")
        self.wrong("{", "", ".json")
        self.wrong("[[cells]\n", "")
        self.wrong("[[cells]]\nclients=2\n[[cells]]\nclients=2\ninstruments=3\n", "two different cells are called")
        with self.assertRaises(scenario.ScenarioError):
            scenario.load("no-such-scenario")


class Journal(unittest.TestCase):
    def test_torn_line_is_dropped_and_failures_end_a_cell(self):
        with tempfile.TemporaryDirectory() as path:
            folder = results.Folder(path, {"cells": []})
            for number in range(3):
                folder.add({"round": number, "cell": "a", "error": "refused"})
                folder.add({"round": number, "cell": "b", "p50": 1})
            folder.journal.write('{"round":3,"cell":"b","p5')
            folder.journal.close()
            again = results.Folder(path)
            self.assertEqual(len(again.records), 6)
            self.assertEqual(again.given_up(), {"a": "refused"})
            again.add({"round": 3, "cell": "b", "p50": 2})
            again.journal.close()
            last = results.Folder(path)
            self.assertEqual(len(last.of("b")), 4)
            last.journal.close()


if __name__ == "__main__":
    unittest.main()
