"""classic.py - the scenarios about the HTTP answers: http-users, wrk, stress.

http:      bench/http_users: users spawned at a rate, each asks once per interval (open loop); a row per second in http.csv.
wrk:       wrk with bench/scenarios/wrk.lua; closed loop: a stall holds its requests back, so its percentiles are too good.
stress:    http_users again, `step` users more each time, until requests fail or p99 passes latency_limit. Two dated CSV
           files: stress-failures-DATE.csv and stress-execution-DATE.csv.
Servers:   Tickwire's own answer to the target; Flask, FastAPI and aiohttp give the same bytes from memory.
"""
import csv
import json
import math
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from harness import peers, servers, stats
from harness.measure import LATENCY_KEYS, Measurer
from harness.scenario import seconds

TARGETS = ("/v1/ticker/sim/BTC/USDT", "/healthz")  # the first that is answered, if the scenario names none
HTTP_PEERS = ("flask", "fastapi", "aiohttp")
SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenarios", "wrk.lua")
ANSWER_TIMEOUT_S = 3
FAILURES_ALLOWED = 0.001  # of the requests; more is a breaking point
SPARE_S = 20


class HttpMeasurer(Measurer):
    """Iterations of the kinds "http" and "wrk"; the journal and the report are those of the stream."""

    def __init__(self, stable, build, cores, payloads, folder, kind):
        super().__init__(stable, build, cores, payloads, folder)
        self.kind, self.bodies = kind, {}

    def engine(self, cell):
        settings = {"engine.loop": cell["loop"], "engine.threads": cell["threads"], "engine.idle": cell["idle"],
                    "feed.rate": 1000, "limits.connections_max": connections(cell) + 64, **cell["settings"]}
        server = servers.start_engine(self.stable, self.build, settings, self.server_cores(cell))
        server.url = "http" + server.url[2:].split("/v1/stream")[0]
        return server

    def target(self, cell):
        """(path, file with Tickwire's answer): asked for once."""
        wanted = cell.get("target") or ""
        if wanted not in self.bodies:
            server = self.engine(dict(cell, loop="auto", threads=1))
            try:
                self.bodies[wanted] = self.fetch(server, [wanted] if wanted else TARGETS)
            finally:
                server.end()
        return self.bodies[wanted]

    def fetch(self, server, candidates):
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        said = ""
        while time.monotonic() < deadline:
            for path in candidates:
                try:
                    with urllib.request.urlopen(server.url + path, timeout=ANSWER_TIMEOUT_S) as answer:
                        body = answer.read()
                except urllib.error.URLError as error:
                    said = f"{path}: {error}"
                    if getattr(error, "code", 0) not in (404, 405):
                        break  # a snapshot that is not there yet: again
                    continue
                name = os.path.join(self.folder, "body.json")
                with open(name, "wb") as file:
                    file.write(body)
                return path, name
            time.sleep(0.1)
        raise servers.ServerError(f"the engine does not answer {said}")

    def start_http(self, cell):
        path, body = self.target(cell)
        if cell["server"] == "tickwire":
            return self.engine(cell), path
        process, port = peers.start_server(self.stable, cell["server"], ["--http", body], self.server_core)
        return servers.Server(self.stable, process, f"http://127.0.0.1:{port}", True), path

    def iteration(self, cell):
        began = time.monotonic()
        server, record = None, {"cell": cell["name"]}
        try:
            server, path = self.start_http(cell)
            measure = self.wrk if self.kind == "wrk" else self.users
            record.update(measure(cell, server, path))
        except (servers.ServerError, OSError, subprocess.SubprocessError, ValueError) as error:
            record["error"] = str(error)
        if server is not None:
            server.end()
        record["wall_s"] = round(time.monotonic() - began, 3)
        return record

    # ---- http_users ----

    def users(self, cell, server, path):
        command = [os.path.join(self.build, "bin/http_users"), "--url", server.url + path, "--users", str(cell["users"]),
                   "--spawn-rate", str(cell.get("spawn_rate", 50)), "--interval", in_us(cell.get("interval", "1s")),
                   "--duration", in_us(cell["duration"]), "--phases"]
        out, samples = self.run_client(command, server, seconds(cell["duration"]) + SPARE_S)
        return {**user_figures(cell, out), **server_figures(samples)}

    # ---- wrk ----

    def wrk(self, cell, server, path):
        if not shutil.which("wrk"):
            raise servers.ServerError("wrk is not installed (tools/setup.sh bench)")
        command = ["wrk", f"-t{cell['wrk_threads']}", f"-c{cell['connections']}",
                   f"-d{max(1, math.ceil(seconds(cell['duration'])))}s", "-s", SCRIPT, server.url + path]
        before = (time.monotonic(), *servers.sample(server.process.pid))
        process = self.stable.start(command, self.bot_core)
        try:
            said = process.communicate(timeout=seconds(cell["duration"]) + SPARE_S)[0].decode(errors="replace")
        finally:
            self.stable.end(process)
        after = (time.monotonic(), *servers.sample(server.process.pid))
        lines = [line for line in said.splitlines() if line.startswith("{")]
        if not lines:
            raise servers.ServerError(f"wrk failed: {said.strip().splitlines()[-1] if said.strip() else 'it said nothing'}")
        return {**wrk_figures(cell, json.loads(lines[-1])), **server_figures([before, after])}


def connections(cell):
    return max(cell.get("users", 0), cell.get("connections", 0), cell.get("step", 0) * cell.get("steps", 0), 100)


def in_us(text):
    return f"{round(seconds(text) * 1e6)}us"


def server_figures(samples):
    if len(samples) < 2:
        return {}
    (t0, cpu0, _), (t1, cpu1, memory) = samples[0], samples[1]
    return {"server_cpu_percent": 100 * (cpu1 - cpu0) / max(t1 - t0, 1e-9), "server_memory_bytes": memory}


def requests_due(cell):
    """Of users who are spawned one after the other and then ask once per interval; None in a closed loop."""
    interval, duration, rate = seconds(cell.get("interval", "1s")), seconds(cell["duration"]), cell.get("spawn_rate", 50)
    if interval == 0:
        return None
    spawned = min(cell["users"], math.ceil(duration * rate))
    return sum(math.ceil((duration - number / rate) / interval) for number in range(spawned))


def user_figures(cell, out):
    due = requests_due(cell)
    elapsed = out["elapsed_s"] or 1e-9
    # What is still waited for at the end and has been for longer than the worst answer would be missing from the percentiles.
    record = {key: out["latency_us"][key] for key in LATENCY_KEYS}
    record.update({
        "messages": out["answers"], "messages_per_s": out["answers_per_s"], "bytes_per_s": out["bytes"] / elapsed,
        "expected_per_s": due / elapsed if due else out["answers_per_s"], "elapsed_s": elapsed,
        "message_bytes": out["bytes"] / max(out["answers"], 1), "errors": out["failures"], "clients": out["users"],
        "connected": out["users"], "samples": out["answers"], "bot_cpu_percent": out["cpu_percent"], "bot_loop": out["loop"],
        "unanswered": out["unanswered"], "oldest_unanswered_us": out["oldest_unanswered_us"], "seconds": out["seconds"],
        "errors_by_name": out["failures_by_name"], "histogram": stats.compact(out["latency_buckets_ns"])})
    record["kept_up"] = due is None or out["answers"] >= 0.97 * due
    if not out["answers"]:
        record["error"] = f"no answer ({out['failures_by_name']})"
    return record


def wrk_figures(cell, out):
    record = {key: out["latency_us"].get(key) for key in LATENCY_KEYS}
    errors = sum(out["errors"].values())
    per_s = out["requests"] / max(out["elapsed_s"], 1e-9)
    record.update({
        "messages": out["requests"], "messages_per_s": per_s, "expected_per_s": per_s, "elapsed_s": out["elapsed_s"],
        "bytes_per_s": out["bytes"] / max(out["elapsed_s"], 1e-9), "message_bytes": out["bytes"] / max(out["requests"], 1),
        "errors": errors, "errors_by_name": {key: value for key, value in out["errors"].items() if value},
        "clients": cell["connections"], "connected": cell["connections"], "samples": out["requests"], "kept_up": True,
        "histogram": stats.compact([[us * 1e3, count] for us, count in out["curve"]])})
    return record


# ---- files of their own ----

def write_seconds(folder):
    """http.csv: every second of every trial."""
    with open(folder.file("http.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "cell", "second", "users", "answers", "failures", "mean_us", "max_us"])
        for record in folder.records:
            for row in record.get("seconds", []) if record["round"] >= 0 else []:
                writer.writerow([record["round"] + 1, record["cell"], *row])


def breaks(record, limit_us):
    """Why this step is a breaking point; None if it is not."""
    if "error" in record:
        return record["error"]
    if record["errors"] > FAILURES_ALLOWED * max(record["messages"] + record["errors"], 1):
        names = ", ".join(f"{count} {name}" for name, count in record["errors_by_name"].items())
        return f"{record['errors']} of {record['messages'] + record['errors']} requests failed ({names})"
    worst = max(record["p99"], record["oldest_unanswered_us"] if record["unanswered"] > 0.01 * record["messages"] else 0)
    if worst > limit_us:
        return f"p99 is {worst / 1e3:,.0f} ms, more than {limit_us / 1e3:,.0f} ms"
    return None


def write_stress(folder):
    """The two dated CSV files, from the journal."""
    began = time.strftime("%Y%m%d-%H%M%S", time.localtime(folder.plan["began"]))
    cells = {cell["name"]: cell for cell in folder.plan["cells"]}
    with open(folder.file(f"stress-failures-{began}.csv"), "w", newline="", encoding="utf-8") as failures, \
            open(folder.file(f"stress-execution-{began}.csv"), "w", newline="", encoding="utf-8") as execution:
        failed, ran = csv.writer(failures), csv.writer(execution)
        failed.writerow(["time", "server", "step", "users", "requests", "failures", "failure", "count", "breaks"])
        ran.writerow(["time", "server", "step", "users", "requests_per_s", "mean_us", "p50_us", "p90_us", "p99_us", "max_us",
                      "server_cpu_percent", "server_memory_bytes", "client_cpu_percent"])
        for record in folder.records:
            if record["round"] < 0 or record["cell"] not in cells:
                continue
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record["time"]))
            head = [at, cells[record["cell"]]["server"], record["round"] + 1, record["users"]]
            why = breaks(record, seconds(cells[record["cell"]]["latency_limit"]) * 1e6)
            names = record.get("errors_by_name") or {record.get("error", ""): 0}
            for name, count in names.items():
                failed.writerow([*head, record.get("messages", 0) + record.get("errors", 0), record.get("errors", 0), name,
                                 count, why or ""])
            if "error" not in record:
                ran.writerow([*head, round(record["messages_per_s"], 1),
                              *(record[key] for key in ("mean", "p50", "p90", "p99", "max")),
                              round(record.get("server_cpu_percent", 0), 1), record.get("server_memory_bytes"),
                              round(record["bot_cpu_percent"], 1)])


def stress_points(folder):
    """[(cell, steps as records, step number that breaks or None, why)]"""
    out = []
    for cell in folder.plan["cells"]:
        records = [record for record in folder.records if record["cell"] == cell["name"] and record["round"] >= 0]
        found = [(record, breaks(record, seconds(cell["latency_limit"]) * 1e6)) for record in records]
        broken = [(record["round"] + 1, why) for record, why in found if why]
        out.append((cell, records, *(broken[0] if broken else (None, None))))
    return out


def stress(folder, measurer, progress, say):
    """Server after server: what one does at its end must not disturb another. Goes on where the journal ends."""
    done, _ = folder.done()
    for cell in folder.plan["cells"]:
        broken = False
        for step in range(cell["steps"]):
            if broken or (step, cell["name"]) in done:
                past = [record for record in folder.records if (record["round"], record["cell"]) == (step, cell["name"])]
                broken = broken or bool(past and breaks(past[0], seconds(cell["latency_limit"]) * 1e6))
                progress.step(seconds(cell["duration"]), cell["name"])
                continue
            users = cell["step"] * (step + 1)
            # All are there within a fifth of the time.
            load = dict(cell, users=users, spawn_rate=max(1, math.ceil(users * 5 / seconds(cell["duration"]))))
            record = {"round": step, "users": users, **measurer.iteration(load)}
            folder.add(record)
            why = breaks(record, seconds(cell["latency_limit"]) * 1e6)
            progress.step(seconds(cell["duration"]), f"{cell['name']} {users} users")
            if why:
                broken = True
                progress.clear()
                say(f"{cell['server']}: breaks at step {step + 1}, {users} users, {users / seconds(cell['interval']):,.0f} "
                    f"requests/s asked for: {why}")
        if not broken:
            progress.clear()
            say(f"{cell['server']}: no breaking point up to {cell['step'] * cell['steps']} users, "
                f"{cell['step'] * cell['steps'] / seconds(cell['interval']):,.0f} requests/s")
