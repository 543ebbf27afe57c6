"""measure.py - one iteration of one cell: a server, the bots, one record with every figure.

Clock:     open loop. Messages are due at fixed times, whatever the server does; each carries that time as `recv_ns`, also
           those of the peers and of fanout_limit, and the bot measures from there to when it has the bytes. A server that
           falls behind cannot hide it.
Client:    `bot` for every server, Tickwire or not, on a core of its own.
CPU:       of the server, between the moments at which the bot says that it begins and ends to measure.
Errors:    an iteration that fails gives a record with "error"; three in a row end the cell, and the report names it.
"""
import json
import os
import select
import subprocess
import time

from harness import peers, servers, stats
from harness.scenario import CHANNELS, seconds

CONNECT_TIMEOUT_S = 20
SPARE_S = 10
DUMP_TICKS, DUMP_BOOKS = 1000, 50  # messages that others repeat
KEPT_UP = 0.97  # of the messages that were due
LATENCY_KEYS = ("mean", "stddev", "min", "p50", "p90", "p99", "p99_9", "p99_99", "max")


class Measurer:
    def __init__(self, stable, build, cores, payloads, folder):
        self.stable, self.build, self.payloads, self.folder = stable, build, payloads, folder
        self.server_core, self.bot_core = cores
        self.kept = {}      # peers that run on
        self.messages = {}  # payload: file with what the engine sends

    # ---- what is sent ----

    def messages_of(self, payload, instruments):
        """What the engine sends for this payload, as the lines that fanout_limit and peers repeat."""
        path = os.path.join(self.folder, f"messages-{payload}.jsonl")
        if payload in self.messages or os.path.exists(path):
            self.messages[payload] = path
            return path
        cell = {"clients": 1, "rate": 2000, "payload": payload, "loop": "auto", "threads": 1, "idle": "block",
                "instruments": instruments, "settings": {}}
        server = servers.start_engine(self.stable, self.build, servers.engine_settings(cell, self.payloads), None)
        try:
            subprocess.run([os.path.join(self.build, "bin/bot"), "--url", server.url, "--duration", "600ms", "--warmup",
                            "100ms", "--dump", path + ".part", "--dump-count", str(DUMP_BOOKS if "snapshot_share" in self.payloads[payload] else DUMP_TICKS),
                            "--json", "--channels",
                            self.channels(payload)], capture_output=True, timeout=60, check=False)
        finally:
            server.end()
        with open(path + ".part", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith('{"type":"') and '"publish_ns":' in line]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(plain(lines))
        os.remove(path + ".part")
        if not lines:
            raise servers.ServerError(f"the engine sent nothing for payload {payload}")
        self.messages[payload] = path
        return path

    def channels(self, payload):
        return self.payloads[payload].get("channels", CHANNELS.get(payload, "book"))

    # ---- servers ----

    def server_cores(self, cell):
        """With several threads the engine may use every core that the bots do not have, if there is more than one."""
        if cell["threads"] == 1 or self.server_core is None:
            return self.server_core
        others = sorted(os.sched_getaffinity(0) - {self.bot_core})
        return others if len(others) > 1 else sorted(os.sched_getaffinity(0))

    def start(self, cell):
        if cell["server"] == "tickwire":
            return servers.start_engine(self.stable, self.build, servers.engine_settings(cell, self.payloads),
                                        self.server_cores(cell))
        messages = self.messages_of(cell["payload"], cell["instruments"])
        if cell["server"] == "limit":
            return servers.start_limit(self.stable, self.build, cell, self.server_core, messages,
                                       ["--rate", str(cell["rate"])])
        key = (cell["server"], cell["payload"], cell["rate"])
        if key not in self.kept or not self.kept[key].alive():
            self.kept[key] = peers.start(self.stable, self.build, cell, self.server_core, messages)
        return self.kept[key]

    def finish(self, cell, server, failed=False):
        """Peers stay, unless they have failed or fallen behind: then their queues are full."""
        key = (cell["server"], cell["payload"], cell["rate"])
        server.pause()
        if key in self.kept and not failed:
            return
        self.kept.pop(key, None)
        server.end()

    # ---- bots ----

    def bot_command(self, cell, server):
        command = [os.path.join(self.build, "bin/bot"), "--url", server.url, "-n", str(cell["clients"]), "--codec",
                   cell["codec"], "--latency", "recv", "--duration", f"{round(seconds(cell['duration']) * 1e6)}us",
                   "--warmup", f"{round(seconds(cell['warmup']) * 1e6)}us", "--connect-timeout",
                   f"{CONNECT_TIMEOUT_S}s", "--json", "--buckets", "--phases", "--no-reconnect"]
        if server.raw:
            command.append("--raw")
        else:
            command += ["--channels", self.channels(cell["payload"])]
        return command

    def run_bot(self, cell, server):
        timeout_s = seconds(cell["duration"]) + seconds(cell["warmup"]) + CONNECT_TIMEOUT_S + SPARE_S
        return self.run_client(self.bot_command(cell, server), server, timeout_s)

    def run_client(self, command, server, timeout_s):
        """(the client's figures, the server's samples at the beginning and at the end of what is measured)"""
        process = self.stable.start(command, self.bot_core, stderr=subprocess.PIPE)
        name, deadline = os.path.basename(command[0]), time.monotonic() + timeout_s
        said, out, samples, fed = b"", b"", [], False
        pipes = {process.stdout, process.stderr}
        try:
            while pipes:
                ready, _, _ = select.select(list(pipes), [], [], max(0, deadline - time.monotonic()))
                if not ready:
                    raise servers.ServerError(f"{name} did not end in time")
                for pipe in ready:
                    piece = os.read(pipe.fileno(), 1 << 16)
                    if not piece:
                        pipes.discard(pipe)
                    elif pipe is process.stdout:
                        out += piece
                    else:
                        said += piece
                        if not fed and b"phase connected" in said:
                            fed = True
                            server.run()
                        while len(samples) < said.count(b"phase measur"):
                            samples.append((time.monotonic(), *servers.sample(server.process.pid)))
            process.wait(SPARE_S)
        finally:
            self.stable.end(process)
        try:
            return json.loads(out.decode().strip().splitlines()[-1]), samples
        except (IndexError, ValueError):
            last = said.decode(errors="replace").strip().splitlines()
            raise servers.ServerError(f"{name} failed: {last[-1] if last else 'it said nothing'}") from None

    # ---- one iteration ----

    def iteration(self, cell):
        """Never raises for what a server or the bot does: the record says it."""
        began = time.monotonic()
        server, record = None, {"cell": cell["name"]}
        try:
            server = self.start(cell)
            bot, samples = self.run_bot(cell, server)
            record.update(figures(cell, bot, samples))
        except (servers.ServerError, OSError, subprocess.SubprocessError) as error:
            record["error"] = str(error)
        if server is not None:
            self.finish(cell, server, "error" in record or not record["kept_up"])
        record["wall_s"] = round(time.monotonic() - began, 3)
        return record

    def headroom(self, codec, payload, instruments, clients=100):
        """What the bots can take: a server that sends as fast as it can. {messages_per_s, bot_cpu_percent, limited_by}."""
        cell = {"name": "headroom", "server": "tickwire", "clients": clients, "rate": 0, "payload": payload,
                "codec": codec, "loop": "auto", "threads": 1, "idle": "block", "instruments": instruments,
                "settings": {}, "duration": "400ms", "warmup": "150ms"}
        record = self.iteration(cell)
        if "error" in record or not record.get("messages"):
            return {"error": record.get("error", "nothing arrived")}
        busy = record["bot_cpu_percent"]
        return {"messages_per_s": record["messages_per_s"], "bot_cpu_percent": busy,
                "limited_by": "bots" if busy >= 90 else "server"}


def plain(lines):
    """Without the snapshots of joining; unless whole books are what the payload is made of: then these alone."""
    updates = [line for line in lines if '"snapshot":true' not in line]
    return updates if len(updates) > len(lines) / 2 else [line for line in lines if '"snapshot":true' in line]


def figures(cell, bot, samples):
    latency = bot["latency_us"]
    elapsed = bot["elapsed_s"] or 1e-9
    expected = cell["rate"] * cell["clients"]
    errors = bot["errors"] + bot["gaps"] + bot["duplicates"] + bot["losses"] + bot["connect_failures"]
    out = {key: latency[key] for key in LATENCY_KEYS}
    out.update({
        "messages": bot["messages"], "messages_per_s": bot["messages_per_s"], "bytes_per_s": bot["bytes_per_s"],
        "expected_per_s": expected, "message_bytes": bot["message_bytes"]["mean"],
        "message_bytes_min": bot["message_bytes"]["min"], "message_bytes_max": bot["message_bytes"]["max"],
        "errors": errors, "gaps": bot["gaps"], "duplicates": bot["duplicates"], "losses": bot["losses"],
        "connect_failures": bot["connect_failures"], "closes": bot["closes"], "connected": bot["connected"],
        "clients": cell["clients"], "elapsed_s": elapsed, "samples": latency["count"], "untimed": bot["untimed"],
        "bot_cpu_percent": bot["cpu_user_percent"] + bot["cpu_system_percent"],
        "bot_memory_bytes": bot["memory_bytes"], "bot_loop": bot["loop"],
    })
    if bot["errors_by_name"]:
        out["errors_by_name"] = bot["errors_by_name"]
    if bot["connected"] < cell["clients"]:
        out["errors"] += cell["clients"] - bot["connected"]
    if len(samples) >= 2:
        (t0, cpu0, _), (t1, cpu1, memory) = samples[0], samples[1]
        out["server_cpu_percent"] = 100 * (cpu1 - cpu0) / max(t1 - t0, 1e-9)
        out["server_memory_bytes"] = memory
    out["kept_up"] = expected == 0 or bot["messages_per_s"] >= KEPT_UP * expected
    out["histogram"] = stats.compact(bot["latency_buckets_ns"])
    if not bot["messages"]:
        out["error"] = "no message arrived" + (f" ({bot['errors_by_name']})" if bot["errors_by_name"] else "")
    return out
