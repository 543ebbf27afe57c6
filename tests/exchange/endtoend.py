#!/usr/bin/env python3
"""endtoend.py - simulated venue, whole engine, WebSocket bots: what comes out is what the venue's tape says.

Usage:     endtoend.py BIN SCRATCH --venue NAME [--recording FOLDER --limit N | --seed N] [--break KIND ...] [--plain]
Way:       the engine is started with a configuration that points to the simulator (TLS with a certificate of a test
           authority); bots subscribe; the tape is played; breaks come one after the other, each is waited for until the
           engine has said so and its books are the venue's again; one bot joins in the middle.
Judges:    trades and quotes one by one, the book after every message, status and reason of every break, the engine's
           end. See bots.py.
Exit:      0 all as expected, 1 otherwise, 2 wrong arguments.
"""
import argparse
import asyncio
import json
import logging
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire
from bots import Bot, judge
from breaks import AT_FRAME, OF_REQUESTS
from simulator import Simulator
from tape import expect, load, synthesize
from venue import BOOK, QUOTE, TRADE
from venues import VENUES

SECONDS = float(os.environ.get("TICKWIRE_PATIENCE", "20"))  # for each thing that is waited for
SLOW_RATE = 300      # frames a second while something is going on
JOIN_FRAMES = 20     # so many are played slowly when everything has been fetched
SOON_FRAMES = 60     # so many follow a break quickly, then the market calms down until it is repaired
LAST_RATE = 10
FRAMES_PER_BREAK = 260
OF_TLS = ("wronghost", "wrongca")  # the first certificate is for another name, or from an authority nobody knows
# kind -> (states that tell it, what the reason says)
TELLS = {"drop": (("gap",), r"sequence|checksum"), "reorder": (("gap",), r"sequence|checksum"),
         "garble": (("gap",), r"sequence|checksum|malformed"), "checksum": (("gap",), r"checksum"),
         "stall": (("stale",), r"silen"), "cut": (("stale",), r"."), "close": (("stale",), r"."),
         "shutdown": (("stale",), r"."), "length": (("stale",), r"."), "fragment": (("stale",), r"."),
         "huge": (("stale",), r"."), "noise": ((), ""), "cutone": ((), "")}


def arguments():
    parser = argparse.ArgumentParser(
        prog="endtoend.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Plays a simulated venue through the whole engine to WebSocket bots and compares.",
        epilog="examples:\n  endtoend.py build/release/bin /tmp/e2e --venue kraken --break drop --break cut\n"
               "  endtoend.py build/release/bin /tmp/e2e --venue binance --recording DIR --limit 2000\n"
               f"\nbreaks: {' '.join(AT_FRAME + OF_REQUESTS + OF_TLS)}")
    parser.add_argument("bin", help="folder of the programs")
    parser.add_argument("scratch", help="folder for configuration, certificates and logs")
    parser.add_argument("--venue", required=True, choices=sorted(VENUES))
    parser.add_argument("--recording", metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="frames to take of the recording; 0: all")
    parser.add_argument("--only", default="", metavar="IDS", help="of the recording: these venue ids, with commas")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--steps", type=int, default=400, metavar="N", help="frames to make, besides those for breaks")
    parser.add_argument("--symbols", type=int, default=2, metavar="N")
    parser.add_argument("--break", dest="breaks", action="append", default=[], metavar="KIND",
                        choices=AT_FRAME + OF_REQUESTS + OF_TLS)
    parser.add_argument("--unknown", action="store_true", help="configure a symbol that the venue does not list, too")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the engine")
    parser.add_argument("--plain", action="store_true", help="ws and http instead of wss and https")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                        help="a line of the feed's configuration")
    return parser.parse_args()


class Run:
    def __init__(self, chosen):
        self.chosen = chosen
        self.venue = VENUES[chosen.venue]()
        self.problems = []
        self.engine = self.url = None
        self.log = []
        self.bots = []
        self.shown, self.looked_at = set(), 0         # see began()
        self.required, self.required_for = {}, None   # see required_trades()

    def problem(self, text):
        self.problems.append(text)
        print(f"FAILED: {self.chosen.venue}: {text}", flush=True)

    # ---- parts ----

    def make_tape(self):
        chosen = self.chosen
        if chosen.recording:
            only = [name for name in chosen.only.split(",") if name]
            return load(self.venue, chosen.recording, chosen.limit, only)
        breaks = sum(kind in AT_FRAME for kind in chosen.breaks)
        return synthesize(self.venue, chosen.seed, chosen.steps + FRAMES_PER_BREAK * breaks, chosen.symbols)

    def certificates(self, name, host="localhost", authority=None):
        folder = os.path.join(self.chosen.scratch, name)
        return wire.make_certificates(folder, host, authority and os.path.join(self.chosen.scratch, authority))

    async def start_simulator(self):
        self.tape = self.make_tape()
        self.expected = expect(self.venue, self.tape)
        self.simulator = Simulator(self.venue, self.tape)
        for kind in self.chosen.breaks:
            if kind in OF_REQUESTS:
                self.simulator.breaks.add(kind, left=2)
        tls = self.ca = None
        if not self.chosen.plain:
            self.ca, *tls = self.certificates("tls")
            self.good_tls = tls
            if "wronghost" in self.chosen.breaks:
                _, *tls = self.certificates("wronghost", "example.org", authority="tls")
            elif "wrongca" in self.chosen.breaks:
                _, *tls = self.certificates("wrongca")
        await self.simulator.start(tls=tls)

    def unknown(self):
        """A symbol that the venue does not list, if one is asked for."""
        known = next(iter(self.tape.names.values()))
        return ["NOPE/" + known.split("/", 1)[1]] if self.chosen.unknown else []

    def configuration(self):
        secure = "" if self.chosen.plain else "s"
        address = f"localhost:{self.simulator.port}"
        channels = ["trade", "book"] + (["quote"] if self.venue.quotes else [])
        lines = ["[listen]", "port = 0", "[engine]", f"threads = {self.chosen.threads}", "[book]",
                 "depth_max = 16384", "[ring]", "instruments_max = 64", "[[feed]]", 'type = "venue"',
                 f'exchange = "{self.venue.exchange or self.venue.name}"',
                 f"symbols = {json.dumps(sorted(self.tape.names.values()) + self.unknown())}",
                 f"channels = {json.dumps(channels)}",
                 f'rest_url = "http{secure}://{address}"']
        if not self.venue.dials_token:
            lines.append(f'stream_url = "ws{secure}://{address}{self.venue.path}"')
        if self.ca:
            lines.append(f"ca_file = {json.dumps(self.ca)}")
        return "\n".join(lines + self.chosen.settings) + "\n"

    async def start_engine(self):
        path = os.path.join(self.chosen.scratch, "engine.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self.engine = await asyncio.create_subprocess_exec(
            os.path.join(self.chosen.bin, "engine"), "-c", path, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env=environment)
        self.reading = asyncio.get_running_loop().create_task(self.read_engine())
        return await self.wait(lambda: self.url and "ready" in self.log, "the engine starts")

    async def read_engine(self):
        while line := (await self.engine.stdout.readline()).decode("utf-8", "replace"):
            self.log.append(line.rstrip("\n"))
            if line.startswith("listening on ws:"):
                self.url = line.split()[2]

    async def wait(self, predicate, what, seconds=SECONDS):
        """Waits for bots, simulator and engine; a problem if it does not come."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not predicate():
            if asyncio.get_running_loop().time() > deadline or (self.engine and self.engine.returncode is not None):
                self.problem(f"{what}: not within {seconds} s")
                return False
            await asyncio.sleep(0.005)
        return True

    async def add_bot(self, name):
        channels = [TRADE, BOOK, "status"] + ([QUOTE] if self.venue.quotes else [])
        bot = Bot(self.url, name)
        await bot.open(channels)
        self.bots.append(bot)
        return bot

    # ---- facts ----

    def streams(self):
        """What the engine must subscribe to."""
        channels = [BOOK] if self.venue.book_carries_trades else [TRADE, BOOK]
        channels += [QUOTE] if self.venue.quotes else []
        return {(channel, symbol) for channel in channels for symbol in self.tape.symbols}

    def subscribed(self):
        return self.streams() <= self.simulator.subscribed_streams()

    def began(self):
        """Symbols whose book the tape has shown something of so far."""
        for frame in self.tape.frames[self.looked_at:self.simulator.position]:
            self.shown |= {part.symbol for part in frame.parts if part.change is not None}
        self.looked_at = self.simulator.position
        return self.shown

    def equal(self, bot, symbol):
        view = bot.view(self.tape.names[symbol])
        book = self.simulator.books.get(symbol)
        return book is not None and view.state == "ok" and view.book.fingerprint == book.fingerprint

    def all_equal(self, symbols=None):
        return all(self.equal(bot, symbol) for bot in self.bots for symbol in symbols or self.began())

    def required_trades(self, symbol):
        """Numbers of the trades that reached the engine."""
        certain = self.simulator.delivered - self.simulator.uncertain
        if len(certain) != self.required_for:
            self.required_for, self.required = len(certain), {each: set() for each in self.tape.symbols}
            count = dict.fromkeys(self.tape.symbols, 0)
            for index, frame in enumerate(self.tape.frames):
                for part in frame.parts:
                    number = count[part.symbol]
                    count[part.symbol] += len(part.trades)
                    if index in certain:
                        self.required[part.symbol].update(range(number, count[part.symbol]))
        return self.required[symbol]

    def trades_came(self, bot):
        return all(len(bot.view(self.tape.names[symbol]).trades) >= len(self.required_trades(symbol))
                   for symbol in self.tape.symbols)

    def quotes_came(self, bot):
        """Of an unbroken run: after a break nobody can say how many there are."""
        judged = self.venue.quotes and not self.chosen.breaks
        return not judged or all(len(bot.view(self.tape.names[symbol]).quotes) >= len(self.expected[symbol].quotes)
                                 for symbol in self.tape.symbols)

    def legs_joined(self):
        """With two connections for every stream: both have fetched their books, where books are fetched."""
        fetched = sum("depth" in path for _, path, _, _ in self.simulator.requests)
        if "redundant = true" not in self.chosen.settings or fetched == 0:
            return True
        return fetched >= 2 * len(self.tape.symbols)

    # ---- play ----

    async def join(self):
        """The beginning: slowly, until all books that began are whole; the last frames are kept for later."""
        simulator = self.simulator
        last = simulator.position + len(self.tape.frames) // 3
        begun = simulator.position
        while simulator.position < last:
            await simulator.play(until=simulator.position + 1, rate=SLOW_RATE)
            if not self.legs_joined():
                begun = simulator.position
            elif simulator.position - begun > JOIN_FRAMES and self.began() and self.all_equal():
                break
        await self.wait(self.all_equal, "books at the beginning")

    async def one_break(self, kind):
        """Breaks, waits until it is told, and until the books are the venue's again; the tape goes on slowly."""
        simulator, bot = self.simulator, self.bots[0]
        marks = {symbol: len(bot.view(self.tape.names[symbol]).timeline) for symbol in self.tape.symbols}
        if not await self.wait(lambda: self.all_equal() and self.trades_came(bot), f"calm before {kind}"):
            return
        doubtful = self.venue.doubts and kind in ("garble", "noise")
        states, pattern = ((), "") if kind == "huge" and not self.venue.huge_breaks else \
            (("gap",), "malformed") if doubtful else TELLS[kind]
        bad = await self.malformed() if kind in ("noise", "garble") else 0
        broken = simulator.breaks.add(kind, at=simulator.position)
        end = min(simulator.position + (FRAMES_PER_BREAK if states else SOON_FRAMES), len(self.tape.frames))

        def victims():
            if broken.symbol is not None and not self.venue.breaks_all and not doubtful:
                return [broken.symbol]
            return sorted(self.began())

        def told(symbol):
            return any(entry[1] in states for entry in bot.view(self.tape.names[symbol]).statuses(marks[symbol]))

        def over():
            return broken.fired is not None and all(told(symbol) for symbol in victims()) and self.all_equal()

        async def go_on():
            while simulator.position < end and not (states and over()):
                after = simulator.position - broken.fired if broken.fired is not None else -1
                rate = SLOW_RATE if after < 0 else SLOW_RATE / 2 if after < SOON_FRAMES else LAST_RATE
                await simulator.play(until=simulator.position + 1, rate=rate)

        playing = asyncio.get_running_loop().create_task(go_on())
        if not states:
            await playing
            if await self.wait(self.all_equal, f"books after {kind}"):
                await self.judge_count(kind, bad)
            said = [entry for symbol in self.tape.symbols
                    for entry in bot.view(self.tape.names[symbol]).statuses(marks[symbol])]
            if kind == "cutone" and said:
                self.problem(f"one of two connections was cut, and it shows: {said}")
            return
        good = await self.wait(lambda: broken.fired is not None and over(), f"{kind} told and repaired", 3 * SECONDS)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        if not good:
            for symbol in self.tape.symbols:
                view = bot.view(self.tape.names[symbol])
                print(f"    {symbol}: equal {self.equal(bot, symbol)} state {view.state} statuses since "
                      f"{view.statuses(marks[symbol])} fired {broken.fired} victim {broken.symbol}")
            return
        self.judge_break(kind, broken, victims(), marks, states, pattern)
        await self.judge_count(kind, bad)

    async def judge_count(self, kind, before):
        """Frames that are no JSON are counted."""
        deadline = asyncio.get_running_loop().time() + SECONDS
        while kind == "noise" and not await self.malformed() > before:
            if asyncio.get_running_loop().time() > deadline:
                self.problem(f"{kind}: no counter of malformed messages rises")
                return
            await asyncio.sleep(0.05)

    def judge_break(self, kind, broken, victims, marks, states, pattern):
        bot = self.bots[0]
        for symbol in self.tape.symbols:
            said = bot.view(self.tape.names[symbol]).statuses(marks[symbol])
            first = next((entry for entry in said if entry[1] in states), None)
            if symbol in victims and first and not re.search(pattern, first[2], re.I):
                self.problem(f"{kind}: the reason is {first[2]!r}")
            if symbol not in victims and said:
                self.problem(f"{kind} of {broken.symbol}: {symbol} is touched as well: {said}")
        said = bot.view(self.tape.names[victims[0]]).statuses(marks[victims[0]])
        print(f"{self.chosen.venue}: {kind} at {broken.fired}: " +
              ", ".join(f"{entry[1]} ({entry[2]})" if entry[2] else entry[1] for entry in said[:5]), flush=True)

    async def malformed(self):
        """The sum of the engine's figures that count malformed messages of venues."""
        port = int(self.url.split(":")[2].split("/")[0])
        _, _, body = await wire.http_get("127.0.0.1", port, "/metrics")
        return sum(float(value) for name, value in
                   re.findall(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+]+)$", body.decode(), re.M) if "malformed" in name)

    async def play(self):
        simulator = self.simulator
        if {"wronghost", "wrongca"} & set(self.chosen.breaks):
            refusals = re.compile(r"certificate.*localhost|localhost.*certificate|host ?name mismatch", re.I)
            await self.wait(lambda: any(refusals.search(line) for line in self.log), "a refused certificate in the log")
            if simulator.everyone:
                self.problem("the engine connected in spite of the certificate")
            simulator.context.load_cert_chain(*self.good_tls)
        await self.add_bot("first bot")
        if not await self.wait(self.subscribed, "subscriptions", 2 * SECONDS):
            print(f"    missing {sorted(self.streams() - simulator.subscribed_streams())[:4]}; the engine said "
                  f"{[text for one in simulator.everyone for text in one.received][-30:]}")
            return
        await self.join()
        for kind in self.chosen.breaks:
            if kind in AT_FRAME:
                await self.one_break(kind)
        await simulator.play(until=simulator.position + (len(self.tape.frames) - simulator.position) // 2,
                             rate=0)
        await self.add_bot("late bot")
        await simulator.play()
        await self.wait(self.all_equal, "books at the end")
        await self.wait(lambda: self.trades_came(self.bots[0]), "trades at the end")
        await self.wait(lambda: self.quotes_came(self.bots[0]), "quotes at the end")
        await self.judge_unknown()
        self.judge()

    async def judge_unknown(self):
        """A symbol that is not is named in the log and by its state; the others were not held up."""
        for symbol in self.unknown():
            await self.wait(lambda: any("BadSymbol" in line and symbol in line for line in self.log),
                            f"the unknown symbol {symbol} in the log")
            state = self.bots[0].view(symbol).state
            if state not in ("stale", "syncing"):
                self.problem(f"the unknown symbol {symbol} is said to be {state}")

    def judge(self):
        broken = bool(self.chosen.breaks)
        for bot in self.bots:
            for text in bot.problems + [f"refused: {error}" for error in bot.errors]:
                self.problem(f"{bot.name}: {text}")
            late = bot is not self.bots[0]
            for symbol in self.tape.symbols:
                required = self.required_trades(symbol)
                quotes = self.venue.quotes and not broken
                view_name = self.tape.names[symbol]
                for text in judge(bot, view_name, self.expected[symbol], required, late, quotes,
                                  self.venue.notices_late and broken):
                    self.problem(text)
        for kind, fired in ((one.kind, one.fired) for one in self.simulator.breaks.all):
            if fired is None:
                self.problem(f"{kind} never happened")

    async def stop(self):
        for bot in self.bots:
            await bot.close()
        if self.engine and self.engine.returncode is None:
            self.engine.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.engine.wait(), 10)
            except asyncio.TimeoutError:
                self.engine.kill()
                self.problem("the engine does not end on SIGTERM")
        if self.engine and self.engine.returncode not in (0, None):
            self.problem(f"the engine ends with exit code {self.engine.returncode}")
        await self.simulator.stop()

    def report(self):
        first = self.bots[0] if self.bots else None
        if first:
            views = list(first.views.values())
            books = sum(entry[0] == "book" for view in views for entry in view.timeline)
            print(f"{self.chosen.venue}: {len(self.tape.frames)} frames, "
                  f"{sum(len(view.trades) for view in views)} trades, "
                  f"{sum(len(view.quotes) for view in views)} quotes, {books} books compared, "
                  f"{len(self.simulator.everyone)} connections, {len(self.simulator.requests)} requests")
        if self.problems:
            print("    the engine's last lines:")
            for line in self.log[-25:]:
                print(f"    {line}")

    async def run(self):
        await self.start_simulator()
        try:
            if await self.start_engine():
                await self.play()
        finally:
            await self.stop()
        self.report()
        return 1 if self.problems else 0


def main():
    chosen = arguments()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what a broken connection did not take is no news here
    os.makedirs(chosen.scratch, exist_ok=True)
    return asyncio.run(Run(chosen).run())


if __name__ == "__main__":
    sys.exit(main())
