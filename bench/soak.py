#!/usr/bin/env python3
"""soak.py - what the engine must hold over time: bots without a gap, idle clients, a stalled reader, churn and garbage.

Usage:     bench/soak.py [bots|idle|stall|churn|readers]... [--build build/release] [--seconds 60] [--loop auto]
bots:      10, 100 and 1,000 bots on both codecs at 1,000 messages per second: no error, gap or duplicate, and the engine's
           counters add up (published = delivered + lost).
idle:      10,000 idle clients: engine memory per client (at most 1 KiB) and CPU time while they stay.
stall:     100 bots, ten times without and ten times with a 101st that never reads and provably falls behind the log: the
           ratio of the others' p99 with its interval (it must hold 1), what they missed, and the engine's memory.
churn:     1,000 connections per second come and go: killed bots, half handshakes, garbage, oversized frames; afterwards the
           engine has as many descriptors as before and its memory has not grown.
readers:   16 readers of the ring in shared memory, one of them stopped for a second, one killed: the rate of the producer with
           and without them, and what the others missed.
Needs:     Linux; quiet cores for stall. `--seconds` shortens a run for a first look. Exit code 1 if something did not hold.
"""
import argparse
import json
import os
import random
import re
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import urllib.request

IDLE_CLIENTS = 10000
IDLE_BYTES_MAX = 1024
IDLE_CPU_PERCENT_MAX = 1.0
STALL_P99_RATIO_MAX = 1.15
STALL_PAIRS = 10
READERS_ROUNDS = 5
READERS_RATE_DIFFERENCE_MAX = 0.01
CHURN_PER_SECOND = 1000
MEMORY_SLACK_BYTES = 8 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Engine:
    """A running engine on a free port; its figures from /metrics and /proc."""

    def __init__(self, options, *settings):
        self.process = subprocess.Popen(
            [f"{options.build}/bin/engine", "--port", "0", "--loop", options.loop, "--logging.level=error", *settings],
            stdout=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stdout:
            found = re.search(r"ws://[^:]+:(\d+)/", line)
            self.port = int(found.group(1)) if found else self.port
            if line.startswith("ready"):
                break
        if self.port is None:
            sys.exit("the engine did not start")

    def url(self):
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    def metrics(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30).read().decode()
        return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.M)}

    def memory(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE_BYTES

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def run_bot(options, engine, *arguments):
    out = subprocess.run([f"{options.build}/bin/bot", "--url", engine.url(), "--json", *arguments],
                         stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout)


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def bots(options):
    good = True
    for codec in ("json", "flatbuffers"):
        for count in (10, 100, 1000):
            engine = Engine(options, "--feed.rate=1000")
            result = run_bot(options, engine, "-n", str(count), "--codec", codec, "--channels", "trade,quote,book",
                             "--symbols", "*", "--duration", f"{options.seconds}s")
            wait_for(lambda: engine.metrics()["tickwire_connections_open"] == 0)
            metrics = engine.metrics()
            offered, delivered, lost = (metrics[f"tickwire_{name}_messages_total"]
                                        for name in ("offered", "delivered", "lost"))
            bad = sum(result[name] for name in ("errors", "gaps", "duplicates", "losses", "connect_failures"))
            holds = bad == 0 and offered == delivered + lost and result["messages"] > 0
            good &= holds
            print(f"bots {count:5} {codec:12} {result['messages']:10} messages, {result['messages_per_s']:.0f}/s, "
                  f"p50 {result['latency_us']['p50']:.0f} us, p99 {result['latency_us']['p99']:.0f} us, "
                  f"errors+gaps+duplicates {bad}, offered {offered:.0f} = delivered {delivered:.0f} + lost {lost:.0f}: "
                  f"{'holds' if holds else 'DOES NOT HOLD'}", flush=True)
            engine.stop()
    return good


def idle(options):
    small = Engine(options, "--feed.rate=1", "--limits.connections_max=10")  # what is there without the clients
    before = small.memory()
    small.stop()
    engine = Engine(options, "--feed.rate=1", f"--limits.connections_max={IDLE_CLIENTS + 10}")
    bot = subprocess.Popen([f"{options.build}/bin/bot", "--url", engine.url(), "-n", str(IDLE_CLIENTS), "--idle",
                            "--connect-rate", "5000", "--duration", f"{options.seconds + 30}s"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    connected = wait_for(lambda: engine.metrics()["tickwire_connections_open"] >= IDLE_CLIENTS, 60)
    time.sleep(2)
    per_client = (engine.memory() - before) / IDLE_CLIENTS
    cpu = engine.cpu_seconds()
    time.sleep(options.seconds)
    percent = (engine.cpu_seconds() - cpu) / options.seconds * 100
    stayed = engine.metrics()["tickwire_connections_open"]
    bot.terminate()
    bot.wait()
    engine.stop()
    holds = bool(connected) and stayed >= IDLE_CLIENTS and per_client <= IDLE_BYTES_MAX and percent <= IDLE_CPU_PERCENT_MAX
    print(f"idle {stayed:.0f} clients stayed {options.seconds} s, {per_client:.0f} bytes each, engine CPU {percent:.2f} %: "
          f"{'holds' if holds else 'DOES NOT HOLD'}")
    return holds


def stalled_reader(engine):
    """Subscribes to everything and never reads; its small buffer keeps the kernel from swallowing the stream for it."""
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.connect(("127.0.0.1", engine.port))
    silent.sendall(b"GET /v1/stream?channels=trade,quote,book&symbols=*&policy=drop HTTP/1.1\r\nHost: x\r\n"
                   b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    return silent


def ratio_interval(with_it, without_it):
    """The 95 % bootstrap interval of the ratio of two medians (seeded, so that a report can be repeated)."""
    dice = random.Random(1)
    ratios = sorted(statistics.median(dice.choices(with_it, k=len(with_it))) /
                    statistics.median(dice.choices(without_it, k=len(without_it))) for _ in range(4000))
    return ratios[100], ratios[-101]


def stall(options):
    p99, holds = ([], []), True
    engine = Engine(options, "--feed.rate=3000", "--wire_log.bytes=1MiB", "--book.depth_max=100")
    before, resyncs = engine.memory(), 0
    for turn in range(2 * STALL_PAIRS):
        stalled = (turn + turn // 2) % 2  # 0 1 1 0 0 1 1 0: a drift of the machine hits both alike
        silent = stalled_reader(engine) if stalled else None
        result = run_bot(options, engine, "-n", "100", "--channels", "trade,quote,book", "--symbols", "*",
                         "--duration", f"{max(options.seconds // 8, 2)}s")
        fell_behind = engine.metrics()["tickwire_slow_consumer_resyncs_total"] - resyncs
        resyncs += fell_behind
        bad = sum(result[name] for name in ("errors", "gaps", "duplicates", "losses"))
        holds &= bad == 0 and fell_behind == stalled  # else this turn has not tested what it says
        p99[stalled].append(result["latency_us"]["p99"])
        print(f"stall: {stalled} stalled, {fell_behind:.0f} fell behind the log, p99 of the 100 others "
              f"{p99[stalled][-1]:.0f} us, errors+gaps+losses {bad}, engine memory {before / 1e6:.0f} -> "
              f"{engine.memory() / 1e6:.0f} MB", flush=True)
        if silent is not None:
            silent.close()
    engine.stop()
    ratio = statistics.median(p99[1]) / statistics.median(p99[0])
    low, high = ratio_interval(p99[1], p99[0])
    holds &= low <= 1 and ratio <= STALL_P99_RATIO_MAX
    print(f"stall: median p99 {statistics.median(p99[0]):.0f} us without, {statistics.median(p99[1]):.0f} us with: "
          f"ratio {ratio:.2f}, 95 % interval {low:.2f} to {high:.2f}: {'holds' if holds else 'DOES NOT HOLD'}")
    return holds


HANDSHAKE = (b"GET /v1/stream?channels=trade&symbols=* HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
             b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
VISITS = (
    HANDSHAKE,                                              # leaves without a word
    HANDSHAKE[:60],                                         # half a handshake
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,    # TLS to a plain port
    HANDSHAKE + b"\x81\xff" + struct.pack(">Q", 1 << 40),   # a frame of a terabyte
    HANDSHAKE + os.urandom(200),                            # garbage after the upgrade
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",            # an answer that nobody reads
)


def churn(options):
    engine = Engine(options, "--feed.rate=1000", "--limits.handshake_timeout=1s")

    def wave(seconds):
        started = time.monotonic()
        for i in range(CHURN_PER_SECOND * seconds):
            visitor = socket.create_connection(("127.0.0.1", engine.port))
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", i % 2, 0))
            try:
                visitor.sendall(VISITS[i % len(VISITS)])
            except OSError:
                pass
            visitor.close()
            ahead = started + (i + 1) / CHURN_PER_SECOND - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        return CHURN_PER_SECOND * seconds / (time.monotonic() - started)

    def killed_bots():
        bot = subprocess.Popen([f"{options.build}/bin/bot", "--url", engine.url(), "-n", "200", "--duration", "60s"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: engine.metrics()["tickwire_connections_open"] >= 200)
        bot.kill()
        bot.wait()

    wave(2)
    killed_bots()
    quiet = lambda: engine.metrics()["tickwire_connections_open"] == 0  # noqa: E731
    wait_for(quiet)
    time.sleep(2)
    descriptors, memory = engine.descriptors(), engine.memory()
    rate = wave(options.seconds)
    killed_bots()
    wait_for(quiet)
    left = wait_for(lambda: engine.descriptors() <= descriptors, 10)
    grown = engine.memory() - memory
    holds = bool(left) and quiet() and grown <= MEMORY_SLACK_BYTES
    print(f"churn: {rate:.0f} connections/s for {options.seconds} s; descriptors {descriptors} -> {engine.descriptors()}, "
          f"memory grew by {grown / 1024:.0f} KiB: {'holds' if holds else 'DOES NOT HOLD'}")
    engine.stop()
    return holds


def readers(options):
    """The producer's rate alone, and beside sixteen readers of which one is stopped and one is killed."""
    name, wanted, seconds = f"soak.{os.getpid()}", 20000, max(options.seconds // 6, 4)
    engine = Engine(options, f"--ring.name={name}", f"--feed.rate={wanted}")

    def rate(during):
        before, started = engine.metrics(), time.monotonic()
        during()
        after, elapsed = engine.metrics(), time.monotonic() - started
        return sum(after[key] - before[key] for key in after if key.startswith("tickwire_feed_events_total")) / elapsed

    def sixteen():
        running = [subprocess.Popen(
            [f"{options.build}/bin/bot", "--shm", name, "--symbols", "*:*", "--channels", "trade,quote,book", "--warmup", "0s",
             "--duration", f"{seconds}s", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for _ in range(16)]
        time.sleep(1)
        running[0].send_signal(signal.SIGSTOP)
        running[1].kill()
        time.sleep(1)
        running[0].send_signal(signal.SIGCONT)
        results.extend(json.loads(each.communicate()[0]) for each in running[2:])
        running[0].communicate()
        running[1].communicate()

    results = []
    alone, beside = [], []
    for _ in range(READERS_ROUNDS):  # in turn: the simulated market itself is busier at one time than at another
        alone.append(rate(lambda: time.sleep(seconds)))
        beside.append(rate(sixteen))
    missed = sum(result["missing"] + result["gaps"] for result in results)
    ratio = statistics.median(beside) / statistics.median(alone)
    holds = missed == 0 and abs(ratio - 1) < READERS_RATE_DIFFERENCE_MAX and len(results) == 14 * READERS_ROUNDS
    print(f"readers: producer {statistics.median(alone):.0f} events/s alone ({min(alone):.0f} to {max(alone):.0f}), "
          f"{statistics.median(beside):.0f} beside 16 readers ({min(beside):.0f} to {max(beside):.0f}), one stopped and one "
          f"killed: ratio {ratio:.3f}; the {len(results)} others missed {missed:.0f}, p50 "
          f"{statistics.median(r['latency_us']['p50'] for r in results):.0f} us: {'holds' if holds else 'DOES NOT HOLD'}")
    engine.stop()
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    checks = {"bots": bots, "idle": idle, "stall": stall, "churn": churn, "readers": readers}
    parser.add_argument("checks", nargs="*", choices=[*checks, []], help="which; all if none is named")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--loop", default="auto")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = [checks[name](options) for name in (options.checks or checks)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
