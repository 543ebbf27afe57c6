"""recording.py - reads recorded exchange traffic (cryptofeed v1 and v2, hftbacktest) into one list by time.

Usage:     for record in read("folder or file"): record.kind is "connect", "sent", "received" or "http"
Formats:   cf1: text lines `URL <-> T`, `URL <- T: TEXT`, `URL -> T: BODY`, `T: PAYLOAD`; binary frames are Python bytes
           literals. cf2: JSON lines with t, ts, url or addr, conn, data. hft: `LOCAL_NS JSON` in gzip.
Non-goals: the engine's own captures, and times finer than the recorder's.
"""
import ast
import gzip
import json
import os
import re
from dataclasses import dataclass

TIME = re.compile(r"(\d+(?:\.\d+)?): ")
ARROW = re.compile(r"(\S+) (<->|<-|->) (\d+(?:\.\d+)?)(?:: (.*))?$", re.S)
KINDS = {"<->": "connect", "<-": "sent", "->": "http"}


@dataclass
class Record:
    time: float
    kind: str
    url: str
    data: object  # str, or bytes of a binary frame
    connection: str = ""


def lines_of(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
    with opened as file:
        for line in file:
            line = line.rstrip("\n")
            if line:
                yield line


def payload_of(text):
    return ast.literal_eval(text) if text.startswith(("b'", 'b"')) else text


def read_cf1(path):
    url = ""
    for line in lines_of(path):
        if line.startswith("configuration: "):
            continue
        match = TIME.match(line)
        if match:
            yield Record(float(match.group(1)), "received", url, payload_of(line[match.end():]), path)
            continue
        match = ARROW.match(line)
        if not match:
            raise ValueError(f"{path}: no line of a cryptofeed capture: {line[:80]}")
        kind, body = KINDS[match.group(2)], match.group(4) or ""
        if kind == "connect":
            url = match.group(1)
        if kind == "http":
            body = body.split(" header: {", 1)[0]
        yield Record(float(match.group(3)), kind, match.group(1), body, path)


def read_cf2(path):
    urls = {}
    for line in lines_of(path):
        entry = json.loads(line)
        kind = {"http": "http", "connect": "connect", "send": "sent", "recv": "received"}.get(entry["t"])
        if kind is None:
            continue
        connection = str(entry.get("conn", ""))
        url = entry.get("url") or entry.get("addr") or urls.get(connection, "")
        if kind == "connect":
            urls[connection] = url
        url = url or urls.get(connection, "")
        yield Record(float(entry.get("ts", 0)), kind, url, entry.get("data", ""), connection)


def read_hft(path):
    for line in lines_of(path):
        local_ns, text = line.split(" ", 1)
        kind = "http" if text.startswith('{"lastUpdateId"') else "received"
        yield Record(int(local_ns) / 1e9, kind, "", text, path)


def read_file(path):
    if path.endswith((".jsonl", ".jsonl.gz")):
        return list(read_cf2(path))
    if path.endswith(".gz"):
        return list(read_hft(path))
    return list(read_cf1(path))


def read(path):
    """All records of a file, or of all files of a recording's folder, in order of time."""
    names = [path]
    if os.path.isdir(path):
        names = sorted(os.path.join(path, name) for name in os.listdir(path)
                       if not name.endswith(".zst") and not name.startswith("."))
    records = []
    for name in names:
        records += read_file(name)
    records.sort(key=lambda record: record.time)
    return records
