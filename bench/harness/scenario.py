"""scenario.py - reads scenario files and makes cells of them: what is measured, how often, for how long.

Format:    TOML (or JSON with the same members); bench/scenarios/README.md describes every key, default.toml is an example.
Cells:     every [[cells]] is a cross product over those of its keys that hold lists. A cell is a plain dict.
Errors:    ScenarioError names file, cell, key and what to write instead.
"""
import itertools
import json
import os
import re

try:
    import tomllib
except ImportError:  # Python before 3.11
    tomllib = None

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scenarios")
KINDS = ("stream", "http", "wrk", "stress")
LOOPS = ("best", "all", "io_uring", "epoll", "kqueue")
CODECS = ("json", "flatbuffers")
# Settings of the engine by which each payload is made: of its feed, or with a dot of any section.
PAYLOADS = {
    "tick": {"trade_share": 50, "quote_share": 50, "book_share": 0},
    "book": {"trade_share": 0, "quote_share": 0, "book_share": 100},
    # Whole books again and again; the few changes between them do not count for much.
    "book-1k": {"book_depth": 26, "trade_share": 0, "quote_share": 0, "book_share": 1, "snapshot_share": 1000},
    "book-4k": {"book_depth": 128, "trade_share": 0, "quote_share": 0, "book_share": 1, "snapshot_share": 1000},
    "book-16k": {"book_depth": 530, "trade_share": 0, "quote_share": 0, "book_share": 1, "snapshot_share": 1000},
    "book-64k": {"book_depth": 2150, "trade_share": 0, "quote_share": 0, "book_share": 1, "snapshot_share": 1000,
                 "book.depth_max": 2200},
}
CHANNELS = {"tick": "trade,quote"}
TOP_KEYS = {"title": str, "about": str, "kind": str, "iterations": int, "quick_iterations": int, "duration": str,
            "warmup": str, "cells": list, "payloads": dict, "seed": int}
CELL_KEYS = {"clients": int, "rate": int, "payload": str, "codec": str, "loop": str, "threads": int, "server": str,
             "peers": bool, "duration": str, "warmup": str, "idle": str, "instruments": int, "settings": dict,
             # kinds http and stress
             "users": int, "spawn_rate": int, "interval": str, "target": str, "step": int, "steps": int,
             "latency_limit": str,
             # kind wrk
             "wrk_threads": int, "connections": int}
CELL_DEFAULTS = {"clients": 100, "rate": 1000, "payload": "tick", "codec": "json", "loop": "best", "threads": 1,
                 "server": "tickwire", "peers": False, "idle": "block", "instruments": 10, "settings": {}}
KIND_DEFAULTS = {
    "stream": {}, "http": {"users": 2000, "spawn_rate": 50, "interval": "1s"},
    "wrk": {"wrk_threads": 12, "connections": 400},
    "stress": {"step": 50, "steps": 15, "interval": "20ms", "latency_limit": "500ms"},
}


class ScenarioError(Exception):
    pass


def seconds(text, where="duration"):
    """'500ms', '2s', '1m' as seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)?", str(text))
    if not found:
        raise ScenarioError(f"{where}: '{text}' is no duration; write 500ms, 2s or 1m")
    return float(found.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, None: 1}[found.group(2)]


def names():
    return sorted(name.rsplit(".", 1)[0] for name in os.listdir(FOLDER) if name.endswith((".toml", ".json")))


def find(name):
    """A name in bench/scenarios/ or a path."""
    for path in (os.path.join(FOLDER, name + ".toml"), os.path.join(FOLDER, name + ".json"), name):
        if os.path.isfile(path):
            return path
    raise ScenarioError(f"no scenario '{name}': there are {', '.join(names())}; or give the path of a file")


def load(name):
    path = find(name)
    try:
        with open(path, "rb") as file:
            if path.endswith(".json"):
                raw = json.load(file)
            elif tomllib is None:
                raise ScenarioError(f"{path}: reading TOML needs Python 3.11; install it or write the scenario as JSON")
            else:
                raw = tomllib.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    except Exception as error:
        if tomllib is not None and isinstance(error, tomllib.TOMLDecodeError):
            raise ScenarioError(f"{path}: {error}") from None
        raise
    scenario = check(raw, path)
    scenario["name"] = os.path.basename(path).rsplit(".", 1)[0]
    return scenario


def check_keys(given, allowed, where):
    for key, value in given.items():
        if key not in allowed:
            raise ScenarioError(f"{where}: unknown key '{key}'; there are {', '.join(sorted(allowed))}")
        items = value if isinstance(value, list) and allowed[key] is not list else [value]
        for item in items:
            if not isinstance(item, allowed[key]) or (allowed[key] is int and isinstance(item, bool)):
                raise ScenarioError(f"{where}: {key} is {item!r}; write a {allowed[key].__name__}")


def check_choice(cell, key, choices, where):
    if cell.get(key) is not None and cell[key] not in choices:
        raise ScenarioError(f"{where}: {key} is '{cell[key]}'; write one of {', '.join(choices)}")


def check_cell(cell, payloads, where):
    check_choice(cell, "payload", payloads, where)
    check_choice(cell, "codec", CODECS, where)
    check_choice(cell, "loop", LOOPS, where)
    check_choice(cell, "idle", ("block", "yield", "spin"), where)
    for key, least, most in (("clients", 1, 60000), ("rate", 1, 10000000), ("threads", 1, 64), ("users", 1, 60000),
                             ("spawn_rate", 1, 100000), ("step", 1, 10000), ("steps", 1, 1000),
                             ("wrk_threads", 1, 256), ("connections", 1, 60000)):
        if key in cell and not least <= cell[key] <= most:
            raise ScenarioError(f"{where}: {key} is {cell[key]}; write {least} to {most}")
    for key in ("duration", "warmup", "interval", "latency_limit"):
        if key in cell and seconds(cell[key], f"{where}: {key}") == 0 and key in ("duration", "latency_limit"):
            raise ScenarioError(f"{where}: {key} is 0; write more, such as 500ms")
    if cell.get("interval") and "step" in cell and seconds(cell["interval"]) == 0:
        raise ScenarioError(f"{where}: interval is 0; a stress needs a rate, such as 20ms between a user's requests")


def check(raw, path):
    check_keys(raw, TOP_KEYS, path)
    if raw.get("kind", "stream") not in KINDS:
        raise ScenarioError(f"{path}: kind is '{raw['kind']}'; write one of {', '.join(KINDS)}")
    if not raw.get("cells"):
        raise ScenarioError(f"{path}: has no [[cells]]; write at least one")
    payloads = {**PAYLOADS, **raw.get("payloads", {})}
    scenario = {"title": "", "about": "", "kind": "stream", "iterations": 100, "quick_iterations": 5,
                "duration": "500ms", "warmup": "100ms", "seed": 1, **raw, "payloads": payloads, "path": path}
    seconds(scenario["duration"], f"{path}: duration")
    seconds(scenario["warmup"], f"{path}: warmup")
    defaults = {**CELL_DEFAULTS, **KIND_DEFAULTS[scenario["kind"]]}
    cells = []
    for number, block in enumerate(raw["cells"], 1):
        where = f"{path}: cells {number}"
        check_keys(block, CELL_KEYS, where)
        block = {**defaults, "duration": scenario["duration"], "warmup": scenario["warmup"], **block}
        lists = {key: value if isinstance(value, list) else [value] for key, value in block.items()}
        for values in itertools.product(*lists.values()):
            cell = dict(zip(lists.keys(), values))
            check_cell(cell, payloads, where)
            cells.append(cell)
    scenario["cells"] = cells
    return scenario


def cell_name(cell, kind="stream"):
    """Short, a file name, and different for different cells."""
    own = [cell["loop"]] if cell["server"] in ("tickwire", "limit") else []
    if kind == "stream":
        parts = [cell["payload"], cell["codec"]]
        parts += own
        if cell["threads"] > 1:
            parts.append(f"{cell['threads']}threads")
        if cell["idle"] != "block":
            parts.append(cell["idle"])
        parts.append(f"{cell['clients']}x{cell['rate']}")
    elif kind == "wrk":
        parts = [*own, f"{cell['wrk_threads']}threads", f"{cell['connections']}connections"]
    elif kind == "http":
        parts = [*own, f"{cell['users']}users-{cell['interval']}"]
    else:
        parts = [*own, f"{cell['steps']}steps-of-{cell['step']}-{cell['interval']}"]
    return "-".join([cell["server"], *parts]).replace("/", "_")


def work(cell, kind):
    """What is asked of a server, for tables."""
    if kind == "wrk":
        return f"{cell['wrk_threads']} threads, {cell['connections']} connections"
    if kind == "http":
        return f"{cell['users']:,} users, one request per {cell['interval']}"
    return f"{cell['steps']} steps of {cell['step']} users, one request per {cell['interval']}"


def expand(scenario, loops, peers):
    """The cells that this machine can run: loops resolved, each peer beside the cells that are marked for it."""
    out, seen = [], {}
    for cell in scenario["cells"]:
        if scenario["kind"] != "stream":
            cell["work"] = work(cell, scenario["kind"])
        wanted = {"best": loops[:1], "all": loops}.get(cell["loop"], [cell["loop"]] if cell["loop"] in loops else [])
        variants = [dict(cell, loop=loop) for loop in wanted]
        if cell["peers"] and cell["server"] == "tickwire" and cell["codec"] == "json":
            variants += [dict(cell, server=peer, loop="its own", threads=1) for peer in peers]
        for variant in variants:
            variant["name"] = cell_name(variant, scenario["kind"])
            loop = variant["loop"] if variant["loop"] in loops else loops[0]
            variant["base"] = cell_name(dict(variant, server="tickwire", loop=loop), scenario["kind"])
            if seen.setdefault(variant["name"], variant) == variant:
                if variant not in out:
                    out.append(variant)
                continue
            raise ScenarioError(f"{scenario['path']}: two different cells are called {variant['name']}; settings and "
                                "instruments are not part of a name: put them into a payload of their own")
    return out
