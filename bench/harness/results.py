"""results.py - the results folder: a journal that survives a crash, and what is made from it.

plan.json          the cells and options of the run; --resume reads it
iterations.jsonl   one line per iteration, appended and flushed: the journal. A torn last line is dropped on resume
raw.csv            the same without histograms, one row per iteration
summary.json       per cell: medians, spread, intervals, ratios
hgrm/CELL.hgrm     latencies of all iterations of the cell, for HdrHistogram's tools
machine.json       what it was measured on
"""
import csv
import json
import os
import time

from harness import stats

COLUMNS = ["round", "cell", "server", "clients", "rate", "payload", "codec", "loop", "threads", "time", "p50_us", "p90_us",
           "p99_us", "p99_9_us", "p99_99_us", "max_us", "mean_us", "median_us", "stddev_us", "min_us", "errors", "gaps",
           "duplicates", "losses", "connected", "messages", "messages_per_s", "expected_per_s", "bytes_per_s",
           "message_bytes", "elapsed_s", "server_cpu_percent", "server_memory_bytes", "bot_cpu_percent",
           "bot_memory_bytes", "kept_up", "error"]
FIGURES = ["p50", "p90", "p99", "p99_9", "p99_99", "max", "mean", "stddev", "messages_per_s", "bytes_per_s",
           "message_bytes", "server_cpu_percent", "server_memory_bytes", "bot_cpu_percent"]
RATIOS = ["p50", "p99", "messages_per_s", "server_cpu_percent", "server_memory_bytes"]
FAILURES_MAX = 3
BEHIND_MAX = 5  # iterations of another server that falls behind every time: more would say the same


class Folder:
    def __init__(self, path, plan=None):
        """With a plan: a new folder. Without: an existing one, to go on with."""
        self.path, self.announced = path, time.monotonic()
        if plan is not None:
            os.makedirs(path, exist_ok=True)
            self.write_json("plan.json", plan)
            self.plan, self.records = plan, []
        else:
            with open(os.path.join(path, "plan.json"), encoding="utf-8") as file:
                self.plan = json.load(file)
            self.records = self.read_journal()
        self.journal = open(self.file("iterations.jsonl"), "a", encoding="utf-8")

    def file(self, *names):
        return os.path.join(self.path, *names)

    def write_json(self, name, value):
        part = self.file(name + ".part")
        with open(part, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.replace(part, self.file(name))

    def read_journal(self):
        path, good, records = self.file("iterations.jsonl"), 0, []
        if not os.path.exists(path):
            return records
        with open(path, "rb") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n"):
                    break
                good += len(line)
                records.append(record)
        with open(path, "r+b") as file:
            file.truncate(good)
        return records

    def add(self, record):
        record["time"] = round(time.time(), 3)
        self.records.append(record)
        self.journal.write(json.dumps(record, separators=(",", ":")) + "\n")
        self.journal.flush()

    def done(self):
        """{(round, cell)} and the cells that need not be measured again."""
        done = {(record["round"], record["cell"]) for record in self.records}
        return done, self.overloaded() | set(self.given_up())

    def given_up(self):
        """Cells whose last FAILURES_MAX iterations all failed."""
        out, row = {}, {}
        for record in self.records:
            row[record["cell"]] = row.get(record["cell"], 0) + 1 if "error" in record else 0
            if row[record["cell"]] >= FAILURES_MAX:
                out[record["cell"]] = record["error"]
        return out

    def overloaded(self):
        """Cells of other servers that fell behind BEHIND_MAX times and never did not."""
        out = {}
        for record in self.records:
            if record["round"] >= 0 and "error" not in record and "kept_up" in record:
                out.setdefault(record["cell"], []).append(record["kept_up"])
        own = {cell["name"] for cell in self.plan["cells"] if cell.get("server") in ("tickwire", "limit")}
        return {cell for cell, kept in out.items() if len(kept) >= BEHIND_MAX and not any(kept) and cell not in own}

    def of(self, cell):
        """Good records of a cell in the order of time, without the trial round."""
        return [record for record in self.records
                if record["cell"] == cell and record["round"] >= 0 and "error" not in record]

    # ---- what is made from the journal ----

    def write_csv(self):
        cells = {cell["name"]: cell for cell in self.plan["cells"]}
        with open(self.file("raw.csv"), "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            for record in self.records:
                if record["round"] < 0 or record["cell"] not in cells:
                    continue
                cell = cells[record["cell"]]
                row = {key: cell.get(key) for key in ("server", "rate", "payload", "codec", "loop", "threads", "clients")}
                row.update(record)
                for key in ("p50", "p90", "p99", "p99_9", "p99_99", "max", "mean", "stddev", "min"):
                    row[key + "_us"] = record.get(key)
                row["median_us"] = record.get("p50")
                writer.writerow(row)

    def write_hgrm(self):
        os.makedirs(self.file("hgrm"), exist_ok=True)
        for cell in self.plan["cells"]:
            histogram = stats.merged(record["histogram"] for record in self.of(cell["name"]))
            if histogram:
                with open(self.file("hgrm", cell["name"] + ".hgrm"), "w", encoding="utf-8") as file:
                    file.write(stats.hgrm(histogram))

    def summary(self):
        given_up, overloaded, out = self.given_up(), self.overloaded(), []
        for cell in self.plan["cells"]:
            records = self.of(cell["name"])
            row = {"cell": cell, "iterations": len(records),
                   "failed": sum(1 for record in self.records if record["cell"] == cell["name"] and "error" in record),
                   "given_up": given_up.get(cell["name"]), "overloaded": cell["name"] in overloaded}
            errors = [record["error"] for record in self.records if record["cell"] == cell["name"] and "error" in record]
            row["last_error"] = errors[-1] if errors else None
            for key in FIGURES:
                values = [record[key] for record in records if record.get(key) is not None]
                row[key] = stats.spread(values, key)
            row["errors"] = sum(record["errors"] for record in records)
            row["messages"] = sum(record["messages"] for record in records)
            row["kept_up"] = bool(records) and stats.median([int(record["kept_up"]) for record in records]) >= 1
            histogram = stats.merged(record["histogram"] for record in records)
            row["all_us"] = {key: round((stats.percentile_ns(histogram, share) or 0) / 1e3, 3) for key, share in
                             (("p50", .5), ("p90", .9), ("p99", .99), ("p99_9", .999), ("p99_99", .9999), ("max", 1))}
            row["due_per_s"] = stats.median([record["expected_per_s"] for record in records])
            row["ratio"] = self.ratios(cell, records)
            out.append(row)
        return out

    def ratios(self, cell, records):
        """To Tickwire's cell with the same work, round by round; None where there is none."""
        if cell["server"] == "tickwire" or cell.get("base") == cell["name"]:
            return None
        base = {record["round"]: record for record in self.of(cell["base"])}
        if not base:
            return None
        return {key: stats.ratio([(record[key], base[record["round"]][key]) for record in records
                                  if record["round"] in base and record.get(key) and base[record["round"]].get(key)])
                for key in RATIOS}
