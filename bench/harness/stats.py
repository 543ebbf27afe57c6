"""stats.py - medians, intervals and histograms: plain functions over lists, nothing that runs or prints.

interval():   where the median of another run of the same scenario on the same machine is expected. One run alone cannot
              know how runs differ, so three things are combined, and the widest wins:
              1. a moving-block bootstrap of the median over the rounds in the order of time (blocks, because neighbours
                 in time resemble each other), 99 %, times the square root of 2, since two medians are compared;
              2. the range of the medians of five consecutive parts of the run: slow drift within it (with fewer than
                 ten iterations: the range of all);
              3. a floor of FLOOR of the median: what runs of this harness differed by although 1 and 2 were smaller.
ratio():      round by round, since cells are interleaved: what hit one hit the other. The interval is of kind 1 alone.
Histograms:   log-linear latencies are kept as {index: count} with steps of 1 %: small enough to keep one per iteration.
Non-goals:    NumPy. What is here takes a second or two for a full run.
"""
import math
import random

SEED = 20240229
RESAMPLES = 400
CONFIDENCE = 0.99
PARTS = 5
LEAST = 3  # iterations, for an interval
# Of the median; verified by repeated runs (docs/BENCHMARKS.md). The tail moves more than the middle.
FLOOR = {"p50": 0.10, "p90": 0.15, "p99": 0.25, "p99_9": 0.5, "p99_99": 0.7, "max": 0.7, "mean": 0.12, "stddev": 0.5,
         "messages_per_s": 0.03, "message_bytes": 0.01, "server_cpu_percent": 0.12, "bot_cpu_percent": 0.12,
         "server_memory_bytes": 0.05}
FLOOR_DEFAULT = 0.10
STEP = math.log(1.01)


def median(values):
    """The middle; the mean of the two middle ones for an even number. None of an empty list."""
    if not values:
        return None
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def quantile(values, share):
    """By linear interpolation between the neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values):
    return sum(values) / len(values) if values else None


def stddev(values):
    """Of the population."""
    if not values:
        return None
    middle = mean(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / len(values))


def bootstrap(values, seed=SEED, resamples=RESAMPLES):
    """Low and high bound of the median by a moving-block bootstrap; the same values give the same bounds."""
    count = len(values)
    if count < 2:
        return (values[0], values[0]) if values else (None, None)
    block = max(1, round(count ** (1 / 3)))
    generator = random.Random(seed)
    medians = []
    for _ in range(resamples):
        sample = []
        while len(sample) < count:
            start = generator.randrange(count)
            sample.extend(values[(start + i) % count] for i in range(block))
        medians.append(median(sample[:count]))
    return quantile(medians, (1 - CONFIDENCE) / 2), quantile(medians, (1 + CONFIDENCE) / 2)


def interval(values, key=""):
    """(low, high): see the top. `values` in the order of time. (None, None) of so few that they say nothing."""
    middle = median(values)
    if len(values) < LEAST:
        return None, None
    low, high = bootstrap(values)
    below, above = (middle - low) * math.sqrt(2), (high - middle) * math.sqrt(2)
    if len(values) < 2 * PARTS:
        below, above = max(below, middle - min(values)), max(above, max(values) - middle)
    else:
        parts = [median(values[len(values) * i // PARTS:len(values) * (i + 1) // PARTS]) for i in range(PARTS)]
        below, above = max(below, middle - min(parts)), max(above, max(parts) - middle)
    floor = abs(middle) * FLOOR.get(key, FLOOR_DEFAULT)
    return max(middle - max(below, floor), 0), middle + max(above, floor)


def spread(values, key=""):
    """What the tables show of one figure over all iterations."""
    if not values:
        return None
    low, high = interval(values, key)
    return {"median": median(values), "low": low, "high": high, "p25": quantile(values, 0.25),
            "p75": quantile(values, 0.75), "min": min(values), "max": max(values), "mean": mean(values),
            "stddev": stddev(values), "n": len(values)}


def ratio(pairs):
    """Of [(figure, the other's figure in the same round)]: median of the ratios and its interval; None without pairs."""
    ratios = [one / other for one, other in pairs if other]
    if not ratios:
        return None
    low, high = bootstrap(ratios)
    return {"median": median(ratios), "low": low, "high": high, "n": len(ratios)}


# ---- histograms ----

def compact(buckets):
    """[[ns, count], ...] as {index: count} in steps of 1 %. What came before it was sent counts as 1 ns."""
    out = {}
    for value, count in buckets:
        index = round(math.log(max(value, 1)) / STEP)
        out[index] = out.get(index, 0) + count
    return out


def merged(histograms):
    out = {}
    for histogram in histograms:
        for index, count in histogram.items():
            out[int(index)] = out.get(int(index), 0) + count
    return out


def value_ns(index):
    return math.exp(index * STEP)


def percentile_ns(histogram, share):
    """None of an empty histogram."""
    total, seen = sum(histogram.values()), 0
    for index in sorted(histogram):
        seen += histogram[index]
        if seen >= share * total:
            return value_ns(index)
    return None


def curve(histogram, ticks_per_half=10):
    """[(latency in us, share, count so far)] at the percentiles at which HdrHistogram prints."""
    total = sum(histogram.values())
    if not total:
        return []
    out, seen, share = [], 0, 0.0
    for index in sorted(histogram):
        seen += histogram[index]
        while share <= seen / total and share < 1:
            out.append((value_ns(index) / 1e3, share, seen))
            halvings = math.floor(math.log2(1 / (1 - share))) + 1
            share += 1 / (ticks_per_half * 2 ** halvings)
            if share > 1 - 0.5 / total:
                share = 1
    out.append((value_ns(max(histogram)) / 1e3, 1.0, total))
    return out


def hgrm(histogram):
    """The text of a .hgrm file, in us, as HdrHistogram's tools write and plot it."""
    total = sum(histogram.values())
    lines = ["%12s %14s %10s %14s" % ("Value", "Percentile", "TotalCount", "1/(1-Percentile)"), ""]
    for value, share, seen in curve(histogram):
        if share < 1:
            lines.append("%12.3f %2.12f %10d %14.2f" % (value, share, seen, 1 / (1 - share)))
        else:
            lines.append("%12.3f %2.12f %10d" % (value, share, seen))
    middle = sum(value_ns(i) * c for i, c in histogram.items()) / total / 1e3 if total else 0
    square = sum((value_ns(i) / 1e3 - middle) ** 2 * c for i, c in histogram.items()) / total if total else 0
    lines.append("#[Mean    = %12.3f, StdDeviation   = %12.3f]" % (middle, math.sqrt(square)))
    lines.append("#[Max     = %12.3f, Total count    = %12d]" % (value_ns(max(histogram)) / 1e3 if total else 0, total))
    lines.append("#[Buckets = %12d, SubBuckets     = %12d]" % (len(histogram), 70))
    return "\n".join(lines) + "\n"
