#!/usr/bin/env python3
"""fanout.py - the engine's fan-out beside the plain program that only sends (fanout_limit), interleaved, as ratios.

Usage:     bench/fanout.py [--build build/release] [--rounds 5] [--clients 100,1000] [--loops io_uring,epoll]
           [--what saturation,latency] [--seconds 3] [--rates 1000] [--json FILE]
Saturation: both programs send as fast as they can, everything pending for a client in one send, as many messages per
           pass as the engine turns out to make; fanout_drain receives, which is never the limit (its own load is shown). Deliveries per
           second of the sender's CPU time, engine / limit: at least 0.85 is wanted. Both senders never rest, so that
           this is deliveries per second on an idle machine, and still means something on a shared one.
Latency:   both send at the same low rate, one message at a time, each when it is due; bot follows every message to the
           last of the receivers. Median from when it was due (recv_ns) to the last receiver, engine / limit: at most 1.15
           is wanted.
Same bytes: the messages that fanout_limit sends are taken from the engine by a bot at the start.
Method:    one thread each, sender on one core, receiver on the other, both spinning; who goes first alternates from
           round to round; figures are medians over the rounds, ratios are medians of the ratios of each round.
Needs:     Linux, two cores that are otherwise idle. Exit code 1 if a wanted ratio is missed, or if the
           rounds differ so much that nothing can be said (UNSTABLE).
"""
import argparse
import atexit
import json
import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

CONFIG = """
[listen]
port = 0
[engine]
threads = 1
loop = "{loop}"
idle = "spin"
pin_cpus = [{core}]
[[feed]]
type = "sim"
rate = {rate}
trade_share = 50
quote_share = 50
book_share = 0
[wire_log]
bytes = "{log_bytes}"
[limits]
connections_max = {connections}
[logging]
level = "warn"
"""
LOG_BYTES = 16 << 20
START_TIMEOUT_S = 30
WANTED_SATURATION = 0.85
WANTED_LATENCY = 1.15
SPREAD_MAX = 2


started = []  # processes: none may outlive this program


def end_all():
    for process in started:
        if process.poll() is None:
            process.kill()


def start(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    started.append(process)
    return process


def fail(text):
    sys.exit(f"fanout.py: {text}")


def wait_line(process, pattern):
    """The first match of the pattern in what the process prints; stdout and stderr are one pipe."""
    deadline = time.monotonic() + START_TIMEOUT_S
    seen = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.1)
        if ready:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            seen += piece
        found = re.search(pattern, seen.decode(errors="replace"))
        if found:
            return found
    process.kill()
    fail(f"{process.args[0]} did not start:\n{seen.decode(errors='replace')}")


class Engine:
    def __init__(self, args, loop, rate, folder, clients):
        path = os.path.join(folder, "engine.toml")
        with open(path, "w") as file:
            file.write(CONFIG.format(loop=loop, core=args.cores[0], rate=rate, log_bytes=f"{LOG_BYTES >> 20}MiB",
                                     connections=clients + 64))
        self.process = start([os.path.join(args.build, "bin/engine"), "-c", path])
        self.port = int(wait_line(self.process, r"listening on ws://[^\s:]+:(\d+)[\s\S]*ready").group(1))

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}

    def stop(self):
        self.process.terminate()
        try:
            self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Limit:
    def __init__(self, args, loop, clients, extra, messages):
        method = "io_uring" if loop == "io_uring" else "send"
        command = [os.path.join(args.build, "bin/fanout_limit"), "--listen", "127.0.0.1:0", "--clients", str(clients),
                   "--method", method, "--core", str(args.cores[0]), "--messages", messages, "--log-bytes",
                   str(LOG_BYTES), "--json", *extra]
        self.process = start(command)
        self.port = int(wait_line(self.process, r"listening [^\s:]+:(\d+)").group(1))

    def stop(self):
        try:
            output, _ = self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return {}
        lines = [line for line in output.decode().splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}


def run_json(command, timeout):
    result = subprocess.run(command, capture_output=True, timeout=timeout)
    lines = [line for line in result.stdout.decode().splitlines() if line.startswith("{")]
    if not lines:
        fail(f"{' '.join(command)}\n{result.stderr.decode()}")
    return json.loads(lines[-1])


def take_messages(args, folder):
    """What the engine sends, as the lines that fanout_limit repeats."""
    path = os.path.join(folder, "messages.jsonl")
    engine = Engine(args, "epoll", 2000, folder, 1)
    run_json([os.path.join(args.build, "bin/bot"), "--url", f"ws://127.0.0.1:{engine.port}/v1/stream", "--duration",
              "1s", "--warmup", "100ms", "--dump", path, "--dump-count", "2000", "--json"], 30)
    engine.stop()
    return path


def drain(args, sender, clients):
    return run_json([os.path.join(args.build, "bin/fanout_drain"), "--connect", f"127.0.0.1:{sender.port}", "-n",
                     str(clients), "--core", str(args.cores[1]), "--warmup", "1", "--duration", str(args.seconds),
                     "--sender-pid", str(sender.process.pid), "--json"], args.seconds + 90)


def bot(args, loop, port, clients, raw):
    command = [os.path.join(args.build, "bin/bot"), "--url", f"ws://127.0.0.1:{port}/v1/stream", "-n", str(clients),
               "--last-receiver", "--latency", "recv", "--cores", str(args.cores[1]), "--spin", "--loop", loop,
               "--duration", f"{args.seconds}s", "--warmup", "1s", "--json"]
    return run_json(command + (["--raw"] if raw else []), args.seconds + 90)


def saturation_engine(args, loop, clients, folder):
    engine = Engine(args, loop, 0, folder, clients)
    result = drain(args, engine, clients)
    metrics = engine.metrics() if result["open"] else {}
    engine.stop()
    sends = metrics.get("tickwire_sends_total", 0)
    result["per_send"] = metrics.get("tickwire_delivered_messages_total", 0) / sends if sends else 0
    return result


def saturation_limit(args, loop, clients, batch, messages):
    limit = Limit(args, loop, clients, ["--batch", str(batch)], messages)
    result = drain(args, limit, clients)
    result["per_send"] = limit.stop().get("messages_per_send", 0)
    return result


def latency_engine(args, loop, clients, rate, folder):
    engine = Engine(args, loop, rate, folder, clients)
    result = bot(args, loop, engine.port, clients, False)
    engine.stop()
    return result


def latency_limit(args, loop, clients, rate, messages):
    limit = Limit(args, loop, clients, ["--rate", str(rate)], messages)
    result = bot(args, loop, limit.port, clients, True)
    limit.stop()
    return result


def interleave(rounds, first, second):
    """[(first(), second())] per round; who goes first alternates."""
    pairs = []
    for index in range(rounds):
        if index % 2 == 0:
            one = first()
            two = second()
        else:
            two = second()
            one = first()
        pairs.append((one, two))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return pairs


def median(values):
    return statistics.median(values)


def verdict(ratios, good):
    """Rounds that differ by more than SPREAD_MAX say that something else was running, not how the engine does."""
    if min(ratios) <= 0 or max(ratios) / min(ratios) > SPREAD_MAX:
        return "UNSTABLE"
    return "good" if good else "MISSED"


def ratio_text(ratios):
    return f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def saturation(args, clients, loop, folder, messages):
    batch = max(1, round(saturation_engine(args, loop, clients, folder)["per_send"]))
    pairs = interleave(args.rounds, lambda: saturation_engine(args, loop, clients, folder),
                       lambda: saturation_limit(args, loop, clients, batch, messages))
    key = "deliveries_per_sender_cpu_s"
    ratios = [e[key] / max(l[key], 1) for e, l in pairs]
    wall = [e["deliveries_per_s"] / max(l["deliveries_per_s"], 1) for e, l in pairs]
    row = {"what": "saturation", "clients": clients, "loop": loop, "ratio": median(ratios), "ratios": ratios,
           "wanted": WANTED_SATURATION, "verdict": verdict(ratios, median(ratios) >= WANTED_SATURATION), "rounds": pairs}
    for who, side in (("engine", 0), ("limit", 1)):
        results = [pair[side] for pair in pairs]
        row[who] = median([r[key] for r in results])
        print(f"  {who:7} {row[who] / 1e6:8.2f} M deliveries per CPU second, "
              f"{median([r['deliveries_per_s'] for r in results]) / 1e6:.2f} M/s;  {median([r['per_send'] for r in results]):6.1f} per send  "
              f"{median([r['frame_bytes'] for r in results]):.0f} bytes each  receiver busy "
              f"{median([r['cpu_percent'] for r in results]):.0f} %  connections lost "
              f"{sum(r['connections'] - r['open'] for r in results)}")
    print(f"  ratio   {ratio_text(ratios)}, at least {WANTED_SATURATION} wanted: {row['verdict']};  "
          f"by the clock on the wall {median(wall):.3f}")
    return row


def latency(args, clients, loop, rate, folder, messages):
    pairs = interleave(args.rounds, lambda: latency_engine(args, loop, clients, rate, folder),
                       lambda: latency_limit(args, loop, clients, rate, messages))
    ratios = [e["last_receiver_us"]["p50"] / l["last_receiver_us"]["p50"] for e, l in pairs]
    row = {"what": "latency", "clients": clients, "loop": loop, "rate": rate, "ratio": median(ratios),
           "ratios": ratios, "wanted": WANTED_LATENCY, "verdict": verdict(ratios, median(ratios) <= WANTED_LATENCY),
           "rounds": pairs}
    for who, side in (("engine", 0), ("limit", 1)):
        results = [pair[side] for pair in pairs]
        row[who] = median([r["last_receiver_us"]["p50"] for r in results])
        print(f"  {who:7} last receiver p50 {row[who]:8.1f} us, p99 "
              f"{median([r['last_receiver_us']['p99'] for r in results]):8.1f};  first receiver p50 "
              f"{median([r['first_receiver_us']['p50'] for r in results]):6.1f};  errors "
              f"{sum(r['errors'] + r['gaps'] + r['duplicates'] for r in results)}")
    print(f"  ratio   {ratio_text(ratios)}, at most {WANTED_LATENCY} wanted: {row['verdict']}")
    return row


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=numbers, default=[100, 1000], help="of the saturation test")
    parser.add_argument("--latency-clients", type=numbers, default=[100])
    parser.add_argument("--loops", type=lambda text: text.split(","), default=["io_uring", "epoll"])
    parser.add_argument("--what", type=lambda text: text.split(","), default=["saturation", "latency"])
    parser.add_argument("--rates", type=numbers, default=[1000], help="messages per second of the latency test")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--cores", type=numbers, default=[0, 1], help="sender's and receiver's")
    parser.add_argument("--json", help="write all rounds to this file")
    args = parser.parse_args()
    rows = []
    atexit.register(end_all)
    with tempfile.TemporaryDirectory() as folder:
        messages = take_messages(args, folder)
        for loop in args.loops:
            for clients in args.clients if "saturation" in args.what else []:
                print(f"saturation, {clients} subscribers, {loop}", flush=True)
                rows.append(saturation(args, clients, loop, folder, messages))
            for clients in args.latency_clients if "latency" in args.what else []:
                for rate in args.rates:
                    print(f"latency, {clients} subscribers, {rate} messages/s, {loop}", flush=True)
                    rows.append(latency(args, clients, loop, rate, folder, messages))
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)
    sys.exit(0 if all(row["verdict"] == "good" for row in rows) else 1)


if __name__ == "__main__":
    main()
