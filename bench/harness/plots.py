"""plots.py - the report's pictures, drawn by gnuplot from the summary.

Pictures:  latency.png      percentile curves, one panel per number of clients and rate
           throughput.png   what arrived beside what was due, per cell
           system.png       CPU and memory per cell, server and bots
           scaling.png      latency over clients and over message size
           drift.png        every round's p50 beside the cell's median: was the machine quiet, did it drift
           stress.png       of the stress scenario: latency and answers over users
           peers.png        other servers' figures as multiples of Tickwire's (with --peers)
Needs:     gnuplot (tools/setup.sh bench). Without it there are tables and no pictures, and the report says so.
"""
import math
import shutil
import subprocess

from harness import scenario, stats

COLORS = ["#1f5fa8", "#d1495b", "#2e8b57", "#e0a030", "#7b4fa3", "#3aa6b9", "#8c564b", "#555555", "#b5bd3c", "#e377c2",
          "#0b3c5d", "#ff7f50"]
HEAD = """set terminal pngcairo size {width},{height} noenhanced font "Sans,{font}" background "white"
set output "{path}"
set encoding utf8
set border 3 lc rgb "#666666"
set tics nomirror textcolor rgb "#333333"
set grid lc rgb "#dddddd" lt 1 lw 1
set key textcolor rgb "#222222"
set style fill solid 0.9 noborder
"""
DRIFT_MOST = 16  # multiples of the median; what is beyond is drawn at the edge
WIDTH, FONT = 1240, 12
SCALE_LEAST = 1.5  # times as large, or it is no scale


class PlotError(Exception):
    pass


def available():
    return shutil.which("gnuplot") is not None


def draw(path, script, height, width=WIDTH):
    text = HEAD.format(width=width, height=height, path=path, font=FONT) + script
    result = subprocess.run(["gnuplot", "-"], input=text, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode != 0:
        raise PlotError(result.stderr.strip()[-500:])


def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', "'") + '"'


def block(name, rows):
    """A named table of gnuplot."""
    lines = [" ".join(str(value) for value in row) for row in rows]
    return f"${name} << EOD\n" + "\n".join(lines) + "\nEOD\n"


def label(cell, short=False):
    """Of a cell, without what is the same in all of its panel."""
    work = [] if short else [cell.get("work") or f"{cell['payload']} {cell['clients']:,}×{cell['rate']:,}/s"]
    if cell["server"] not in ("tickwire", "limit"):
        return " ".join([cell["server"], *work])
    parts = ["limit" if cell["server"] == "limit" else "Tickwire"]
    if "work" not in cell:
        parts.append({"flatbuffers": "FlatBuffers", "json": "JSON"}[cell["codec"]])
    parts.append(cell["loop"])
    if cell["threads"] > 1:
        parts.append(f"{cell['threads']} threads")
    if cell["idle"] != "block":
        parts.append(cell["idle"])
    return " ".join(parts + work)


def measured(summary):
    return [row for row in summary if row["p50"]]


# ---- latency ----

def latency(path, folder, summary):
    panels = {}
    for row in measured(summary):
        cell = row["cell"]
        title = cell.get("work") or f"{cell['clients']:,} clients × {cell['rate']:,} messages/s, {cell['payload']}"
        panels.setdefault((cell["payload"] != "tick", cell["payload"], row["due_per_s"], cell["clients"], title),
                          []).append(row)
    keys = sorted(panels)
    columns = 1 if len(keys) == 1 else 2
    lines = math.ceil(len(keys) / columns)
    script = (f"set multiplot layout {lines},{columns} title 'Latency from the time a message was due to its arrival, by percentile "
              "(all iterations)' font 'Sans,15'\n"
              "set logscale x 10\nset logscale y 10\nset xlabel 'percentile'\nset ylabel 'latency (µs)'\n"
              "set xrange [1:200000]\nset format y '%.0s%c'\n"
              "set xtics ('50 %%' 2, '90 %%' 10, '99 %%' 100, '99.9 %%' 1000, '99.99 %%' 10000, '99.999 %%' 100000)\n"
              "set key bottom right samplen 2 spacing 1.0 font 'Sans,10'\n")
    colors = {}
    for row in measured(summary):  # a server has the same colour everywhere
        colors.setdefault(label(row["cell"], short=True), COLORS[len(colors) % len(COLORS)])
    for number, key in enumerate(keys):
        blocks, plots = "", []
        for index, row in enumerate(panels[key]):
            histogram = stats.merged(record["histogram"] for record in folder.of(row["cell"]["name"]))
            points = [(1 / (1 - share), value) for value, share, _ in stats.curve(histogram) if share < 1]
            total = sum(histogram.values())
            points = [point for point in points if point[0] <= total / 5]  # fewer than five samples say nothing
            if not points:
                continue
            blocks += block(f"d{number}x{index}", points)
            dashed = " dt 2" if row["cell"]["server"] == "limit" else ""
            name = label(row["cell"], short=True)
            plots.append(f"$d{number}x{index} with lines lw 2 lc rgb '{colors[name]}'{dashed} title {quoted(name)}")
        if not plots:
            continue
        script += blocks + f"set title '{key[-1]}'\n"
        script += "plot " + ", \\\n ".join(plots) + "\n"
    draw(path, script + "unset multiplot\n", 120 + 420 * lines)


# ---- bars ----

def names_axis(rows):
    """Horizontal bars: cells from top to bottom."""
    tics = ", ".join(f"{quoted(label(row['cell']))} {len(rows) - 1 - index}" for index, row in enumerate(rows))
    return f"set ytics ({tics}) font 'Sans,10'\nset yrange [-0.7:{len(rows) - 0.3}]\nunset ylabel\n"


def place(rows, index):
    return len(rows) - 1 - index


def throughput(path, summary):
    rows = measured(summary)
    data = []
    for index, row in enumerate(rows):
        figures = row["messages_per_s"]
        due = max(row["due_per_s"], 1)
        data.append((place(rows, index), max(figures["median"], 1), due))
    least = 10 ** math.floor(math.log10(min(min(point[1], point[2]) for point in data)) - 0.5)
    script = block("d", data) + names_axis(rows)
    script += ("set title 'Messages per second that arrived, at all clients together' font 'Sans,15'\n"
               "set logscale x 10\nset xlabel 'messages per second (log scale); the black line is what was due'\n"
               "set format x '%.0s%c'\nset key off\nset lmargin 46\n"
               f"set xrange [{least}:*]\n"
               f"plot $d using 2:1:({least}):2:($1-0.35):($1+0.35) with boxxyerror fc rgb '{COLORS[0]}', "
               "$d using 3:($1-0.45):(0):(0.9) with vectors nohead lc rgb 'black' lw 3\n")
    draw(path, script, 140 + 30 * len(rows))


def system(path, summary):
    rows = measured(summary)
    data = []
    for index, row in enumerate(rows):
        at = place(rows, index)
        server, memory = row["server_cpu_percent"], row["server_memory_bytes"]
        data.append((at, server["median"] if server else 0, row["bot_cpu_percent"]["median"] if row["bot_cpu_percent"] else 0,
                     memory["median"] / 1e6 if memory else 0))
    script = block("d", data) + "set multiplot layout 1,2 title 'CPU and memory (medians)' font 'Sans,15'\n"
    script += names_axis(rows) + "set key bottom right opaque\n"
    script += ("set lmargin at screen 0.31\nset rmargin at screen 0.63\nset title 'CPU'\n"
               f"set xrange [0:{1.3 * max(max(point[1], point[2]) for point in data) + 1}]\nset xlabel 'percent of one core'\n"
               f"plot $d using 2:1:(0):2:($1+0.02):($1+0.36) with boxxyerror fc rgb '{COLORS[0]}' title 'server', "
               f"$d using 3:1:(0):3:($1-0.36):($1-0.02) with boxxyerror fc rgb '{COLORS[3]}' title 'bots'\n"
               "set xrange [0:*]\nset title 'Resident memory of the server'\nset xlabel 'MB'\nset ytics ('' 0)\n"
               "set lmargin at screen 0.67\nset rmargin at screen 0.98\nset key off\n"
               f"plot $d using 4:1:(0):4:($1-0.3):($1+0.3) with boxxyerror fc rgb '{COLORS[2]}' notitle\n"
               "unset multiplot\n")
    draw(path, script, 160 + 30 * len(rows), WIDTH + 160)


# ---- scaling ----

def series(rows, what):
    """Rows that differ in `what` alone, as {label: [(what, p50, p50 low, p50 high, p99)]}."""
    out = {}
    for row in rows:
        cell = row["cell"]
        x = cell["clients"] if what == "clients" else round(row["message_bytes"]["median"])
        if what == "clients":
            # rates differ so that every server can carry them: the load per second is what is told
            key = label(cell, short=True) + (f", {cell['payload']}" if cell["payload"] != "tick" else "")
        else:
            key = label(cell, short=True) + f", {cell['clients']:,} × {cell['rate']:,}/s"
        p50 = row["p50"]
        low, high = (p50["median"], p50["median"]) if p50["low"] is None else (p50["low"], p50["high"])
        out.setdefault(key, {}).setdefault(x, (p50["median"], low, high, row["p99"]["median"]))
    return {key: [(x, *values) for x, values in sorted(points.items())] for key, points in out.items()
            if max(points) >= SCALE_LEAST * min(points)}


def scaling(path, summary):
    rows = [row for row in measured(summary) if "work" not in row["cell"]]
    low_rate = {}
    for row in rows:  # the lowest rate of each number of clients: latency of an unloaded server
        key = (label(row["cell"], short=True), row["cell"]["payload"], row["cell"]["clients"])
        if key not in low_rate or row["cell"]["rate"] < low_rate[key]["cell"]["rate"]:
            low_rate[key] = row
    panels = [("clients", "clients", "Latency over clients (each at its lowest rate)", series(low_rate.values(), "clients")),
              ("size", "message size (bytes)", "Latency over message size", series(rows, "size"))]
    panels = [panel for panel in panels if panel[3]]
    if not panels:
        return False
    script = f"set multiplot layout 1,{len(panels)} title 'Scaling: p50 with its interval (lines), p99 (dots)' font 'Sans,15'\n"
    script += "set logscale xy\nset format y '%.0s%c'\nset ylabel 'latency (µs)'\nset key top left reverse Left font 'Sans,10'\n"
    for number, (_, axis, title, lines) in enumerate(panels):
        blocks, plots = "", []
        for index, (name, points) in enumerate(lines.items()):
            color = COLORS[index % len(COLORS)]
            blocks += block(f"s{number}x{index}", [(x, p50, max(low, p50 / 10), high, p99) for x, p50, low, high, p99 in points])
            plots.append(f"$s{number}x{index} using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.8 lc rgb '{color}' title {quoted(name)}")
            plots.append(f"$s{number}x{index} using 1:5 with points pt 6 ps 1.2 lc rgb '{color}' notitle")
        xs = [x for points in lines.values() for x, *_ in points]
        ticks = sorted(set(xs)) if axis == "clients" else []
        tics = "set xtics (" + ", ".join(f"'{x:,}' {x}" for x in ticks) + ")\n" if ticks else "set xtics auto\nset format x '%.0s%c'\n"
        script += blocks + tics + f"set xrange [{min(xs) / 2}:{max(xs) * 2}]\nset title '{title}'\nset xlabel '{axis}'\n"
        script += "plot " + ", \\\n ".join(plots) + "\n"
    draw(path, script + "unset multiplot\n", 560)
    return True


# ---- drift ----

def drift(path, folder, summary):
    data = []
    for row in measured(summary):
        middle = row["p50"]["median"]
        if middle:
            data += [(record["round"] + 1, min(record["p50"] / middle, DRIFT_MOST)) for record in folder.of(row["cell"]["name"])]
    if len({number for number, _ in data}) < 3:
        return False
    rounds = {}
    for number, value in data:
        rounds.setdefault(number, []).append(value)
    script = block("all", data) + block("middle", [(number, stats.median(values)) for number, values in sorted(rounds.items())])
    script += ("set title 'Drift: p50 of every iteration as a multiple of its cell’s median' font 'Sans,15'\n"
               "set xlabel 'round'\nset ylabel 'multiple of the median'\nset logscale y 2\nset key top left\n"
               f"plot $all with points pt 7 ps 0.5 lc rgb '#b8cfe8' title 'one iteration ({DRIFT_MOST} and more: at the edge)', "
               f"$middle with lines lw 2 lc rgb '{COLORS[1]}' title 'median of the round', 1 with lines lc rgb '#444444' dt 2 notitle\n")
    draw(path, script, 420)
    return True


def peers(path, summary):
    rows = [row for row in summary if row["ratio"] and row["ratio"].get("p50") and
            row["cell"]["server"] not in ("tickwire", "limit")]
    if not rows:
        return False
    rows.sort(key=lambda row: (row["cell"]["clients"], row["cell"]["rate"], row["ratio"]["p50"]["median"]))
    data = []
    for index, row in enumerate(rows):
        at = place(rows, index)
        p50, p99, cpu = row["ratio"]["p50"], row["ratio"]["p99"], row["ratio"].get("server_cpu_percent")
        data.append((at, p50["median"], p50["low"], p50["high"], p99["median"], p99["low"], p99["high"],
                     *((cpu["median"], cpu["low"], cpu["high"]) if cpu else (1, 1, 1))))
    tics = ", ".join(f"{quoted(label(row['cell']) + ('' if row['kept_up'] else ' (falls behind)'))} {place(rows, index)}"
                     for index, row in enumerate(rows))
    script = block("d", data) + (
        f"set ytics ({tics}) font 'Sans,10'\nset yrange [-0.7:{len(rows) - 0.3}]\nset logscale x\nset lmargin 46\n"
        "set title 'Other servers as multiples of Tickwire’s figures' font 'Sans,15'\n"
        "set xlabel 'multiple of Tickwire’s figure (log scale); right of 1 is slower or costs more'\n"
        "set key tmargin right horizontal\nset arrow 1 from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb '#444444'\n"
        f"plot $d using 2:($1+0.2):3:4 with xerrorbars pt 7 lw 2 lc rgb '{COLORS[0]}' title 'p50', "
        f"$d using 5:1:6:7 with xerrorbars pt 5 lw 2 lc rgb '{COLORS[1]}' title 'p99', "
        f"$d using 8:($1-0.2):9:10 with xerrorbars pt 9 lw 2 lc rgb '{COLORS[2]}' title 'server CPU'\n")
    draw(path, script, 160 + 34 * len(rows))
    return True


def stress(path, points):
    """p99 and answers over users, a line per server."""
    blocks, waits, rates = "", [], []
    for index, (cell, records, _, _) in enumerate(points):
        good = [record for record in records if "error" not in record]
        if not good:
            continue
        color = COLORS[index % len(COLORS)]
        blocks += block(f"s{index}", [(record["users"], record["p99"] / 1e3, record["p50"] / 1e3, record["messages_per_s"])
                                      for record in good])
        name = quoted(label(cell, short=True))
        waits.append(f"$s{index} using 1:2 with linespoints lw 2 pt 7 lc rgb '{color}' title {name}")
        waits.append(f"$s{index} using 1:3 with lines lw 1 dt 2 lc rgb '{color}' notitle")
        rates.append(f"$s{index} using 1:4 with linespoints lw 2 pt 7 lc rgb '{color}' title {name}")
    if not waits:
        return False
    cell = points[0][0]
    limit_ms, interval_s = scenario.seconds(cell["latency_limit"]) * 1e3, scenario.seconds(cell["interval"])
    script = blocks + "set multiplot layout 1,2 title 'Stress: users are added until something gives way' font 'Sans,15'\n"
    script += (f"set xlabel 'users, each asking once per {cell['interval']}'\nset xrange [0:{cell['step'] * cell['steps'] * 1.05}]\n"
               "set key bottom right opaque\nset title 'Latency: p99 (points), p50 (dashed)'\nset ylabel 'ms'\nset logscale y\n"
               "plot " + ", ".join(waits) + f", {limit_ms} with lines lw 2 dt 3 lc rgb 'black' title 'limit of p99'\n"
               "unset logscale y\nset key top left reverse Left\nset title 'Answers'\nset ylabel 'answers per second'\nset format y '%.0s%c'\nset yrange [0:*]\n"
               "plot " + ", ".join(rates) + f", x / {interval_s} with lines lw 2 dt 3 lc rgb 'black' title 'asked for'\n"
               "unset multiplot\n")
    draw(path, script, 520)
    return True


def draw_all(folder, summary):
    """{name: text about it} of the pictures that were drawn, and what could not be drawn."""
    if not available():
        return {}, "gnuplot is not installed (tools/setup.sh bench): there are no pictures"
    if not measured(summary):
        return {}, "nothing was measured: there are no pictures"
    pictures, problems = {}, []
    for name, text, drawer in (
            ("latency.png", "Latency by percentile", lambda path: latency(path, folder, summary)),
            ("throughput.png", "Throughput", lambda path: throughput(path, summary)),
            ("system.png", "CPU and memory", lambda path: system(path, summary)),
            ("scaling.png", "Scaling with clients and message size", lambda path: scaling(path, summary)),
            ("peers.png", "Other servers beside Tickwire", lambda path: peers(path, summary)),
            ("drift.png", "Drift over the run", lambda path: drift(path, folder, summary))):
        try:
            if drawer(folder.file(name)) is not False:
                pictures[name] = text
        except (PlotError, subprocess.TimeoutExpired, OSError) as error:
            problems.append(f"{name}: {error}")
    return pictures, "; ".join(problems) or None
