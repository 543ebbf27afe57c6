#!/usr/bin/env python3
"""matrix.py - many runs of endtoend.py, a few at a time: venues, breaks, recordings.

Usage:     matrix.py BIN SCRATCH SET [--venue NAME ...] [--jobs N]
Sets:      unbroken    every venue's made stream                 breaks    a choice of breaks, one run per venue of it
           recordings  the beginning of every recording          all       every break at every venue that can show it,
           whole       recordings from end to end                          for minutes
Recordings are looked for in the folder TICKWIRE_RECORDINGS, else at ../shared/data/exchanges beside the project; those
that are not there are left out.
Exit:      0 all good, 1 a run failed (its whole output is printed), 77 nothing to run.
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from venues import RECORDINGS, VENUES


RUN_SECONDS = 600  # the longest recordings take minutes
PREFIX_FRAMES = 1200
RECORDINGS_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data/exchanges")
# Binance spot grants a REST book every three seconds: one symbol is enough for a short test.
SHORT = {"binance": ["--symbols", "1"]}
CHOICE = [("kraken", "drop", "cut"), ("kraken_v1", "checksum"), ("gemini", "garble"),
          ("binanceusdm", "drop", "oldbook"), ("binanceusdm", "rest429"), ("coinbase", "reorder"),
          ("coinbaseexchange", "cut"), ("okx", "shutdown"), ("bybit", "garble", "noise"), ("gate", "huge"),
          ("deribit", "fragment"), ("bitfinex", "drop"), ("kraken", "wronghost"), ("gemini", "refuse")]
GROUPS = (("drop", "reorder"), ("checksum", "garble"), ("cut", "close"), ("shutdown", "noise"), ("length",),
          ("fragment",), ("huge",), ("stall",), ("refuse",), ("wronghost",), ("wrongca",), ("rest429",), ("rest503",),
          ("oldbook",))
VARIANTS = [("okx", ["--threads", "3"]), ("bitfinex", ["--unknown"]), ("kraken", ["--unknown"]),
            ("gate", ["--threads", "2", "--plain"]),
            ("binanceusdm", ["--set", "redundant = true", "--break", "cutone"])]
# Of each recording, the ids that the short test takes; empty: all.
ONLY = {"binance-spot-2021oct": "NKNUSDT", "kucoin-2021apr25": "BCHSV-USDT,SNX-BTC"}


def can(venue, kind):
    """Whether this break is one at this venue, and one that can be noticed."""
    if kind == "checksum":
        return venue.checksum
    if kind in ("rest429", "rest503", "oldbook"):
        return venue.joins_rest
    if kind in ("drop", "garble"):
        return venue.notices_loss or (kind == "garble" and venue.doubts)
    return kind != "reorder" or venue.notices_order


def jobs_of(chosen):
    """(title, arguments) of every run of the set."""
    names = [name for name in VENUES if not chosen.venue or name in chosen.venue]
    if chosen.set == "unbroken":
        jobs = [(name, ["--venue", name, *SHORT.get(name, [])]) for name in names]
        return jobs + [(" ".join((name, *more)), ["--venue", name, *more]) for name, more in VARIANTS if name in names]
    if chosen.set == "breaks":
        return [(" ".join(one), ["--venue", one[0], "--steps", "250", *SHORT.get(one[0], []),
                                 *(word for kind in one[1:] for word in ("--break", kind))])
                for one in CHOICE if one[0] in names]
    if chosen.set == "all":
        jobs = []
        for name in names:
            for group in GROUPS:
                kinds = [kind for kind in group if can(VENUES[name], kind)]
                lost = [kind for kind in group if kind in ("drop", "garble", "reorder") and kind not in kinds]
                if lost:
                    print(f"left out: {name} {' '.join(lost)}: the venue sends nothing to notice it by")
                if kinds:
                    jobs.append((f"{name} {' '.join(kinds)}", ["--venue", name] + [
                        word for kind in kinds for word in ("--break", kind)]))
        return jobs
    folder, jobs = os.environ.get("TICKWIRE_RECORDINGS") or RECORDINGS_FOLDER, []
    for name, title in RECORDINGS:
        path = os.path.join(folder, title)
        if name not in names or not os.path.isdir(path):
            continue
        short = ["--limit", str(PREFIX_FRAMES), "--only", ONLY.get(title, "")] if chosen.set == "recordings" else []
        jobs.append((f"{name} {title}", ["--venue", name, "--recording", path, *short]))
    return jobs


def run(chosen, number, title, arguments):
    scratch = os.path.join(chosen.scratch, f"{number:03d}")
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "endtoend.py")
    begun = time.monotonic()
    try:
        done = subprocess.run([sys.executable, program, chosen.bin, scratch, *arguments], capture_output=True,
                              text=True, timeout=RUN_SECONDS, check=False, stdin=subprocess.DEVNULL)
        code, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        code, output = "none in time", str(error.stdout)
    return title, code, output, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(
        prog="matrix.py", description="Runs endtoend.py for many venues, breaks, recordings.",
        epilog="example: matrix.py build/release/bin /tmp/matrix all --venue kraken --jobs 4")
    parser.add_argument("bin", help="folder of the programs")
    parser.add_argument("scratch", help="folder for configurations, certificates and logs")
    parser.add_argument("set", choices=("unbroken", "breaks", "recordings", "whole", "all"))
    parser.add_argument("--venue", action="append", default=[], choices=sorted(VENUES))
    parser.add_argument("--jobs", type=int, default=4, metavar="N",
                        help="runs at a time; they wait more than they work")
    parser.add_argument("--verbose", action="store_true", help="print what every run says")
    chosen = parser.parse_args()
    jobs = jobs_of(chosen)
    if not jobs:
        print("left out: nothing of this set is here (TICKWIRE_RECORDINGS names the folder of recordings)")
        return 77
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(chosen.jobs, 1)) as pool:
        runs = [pool.submit(run, chosen, number, *job) for number, job in enumerate(jobs)]
        for one in concurrent.futures.as_completed(runs):
            title, code, output, spent = one.result()
            failed += code != 0
            last = output.strip().splitlines()[-1:] or [""]
            print(f"{'good  ' if code == 0 else 'FAILED'} {title} ({spent:.1f} s) {last[0] if code == 0 else ''}")
            if code != 0 or chosen.verbose:
                print("".join(f"    {line}\n" for line in output.splitlines()), end="", flush=True)
    print(f"{len(jobs)} runs, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
