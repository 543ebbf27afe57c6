"""report.py - the page and the table at the end: one self-contained HTML file, readable without a network.

Non-goals: JavaScript, styles from elsewhere. Pictures are embedded, and lie beside the page as files too.
"""
import base64
import html
import json
import time

from harness import plots
from harness.progress import clock

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1d2733; background: #fff;
       max-width: 1280px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: 13px; width: 100%; } .wide { overflow-x: auto; }
th, td { padding: .28rem .5rem; text-align: right; border-bottom: 1px solid #e8ebee; white-space: nowrap; }
th { background: #f4f6f8; position: sticky; top: 0; } th:first-child, td:first-child { text-align: left; }
td small { color: #6b7784; } tr.bad td { background: #fdf1f0; } .note { color: #55616d; } img { max-width: 100%; height: auto; }
.facts td { text-align: left; white-space: normal; } .facts td:first-child { white-space: nowrap; color: #55616d; }
.warn { background: #fff6df; border-left: 4px solid #e0a030; padding: .5rem .9rem; margin: .6rem 0; }
"""
METHOD = """
<ul>
<li><b>Open loop.</b> Messages are due at fixed times, whatever the server does. Latency is from that time to when the client
has the bytes: a server that stalls cannot hide it (no coordinated omission).</li>
<li><b>One client for all.</b> The same <code>bot</code> measures Tickwire, the yardstick and every other server.</li>
<li><b>Interleaved.</b> Every round runs each cell once, in a new order, so that drift of the machine hits all alike. The first
round is a trial and not counted; every iteration begins with a warm-up that is not counted either.</li>
<li><b>Fresh engine per iteration</b>; other servers are started once and kept running, which favours them.</li>
<li><b>Figures</b> are medians over the iterations. The interval in brackets (from three iterations on) is where the median of another run of the same
scenario on this machine is expected: the widest of a block bootstrap, the range over five parts of the run, and a floor.</li>
<li><b>Ratios</b> are formed round by round; their interval is a 99 % bootstrap interval.</li>
</ul>
"""


def number(value, digits=None):
    if value is None:
        return "–"
    if digits is not None:
        return f"{value:,.{digits}f}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:,.1f}" if size >= 10 else f"{value:,.2f}"


def spread(figure, scale=1.0):
    if not figure:
        return "–"
    if figure["low"] is None:
        return number(figure["median"] * scale)
    return (f"{number(figure['median'] * scale)} <small>({number(figure['low'] * scale)}–"
            f"{number(figure['high'] * scale)})</small>")


def times(figure):
    return f"{figure['median']:.2f} <small>({figure['low']:.2f}–{figure['high']:.2f})</small>" if figure else "–"


def middle(figure, scale=1.0):
    return number(figure["median"] * scale) if figure else "–"


def row_class(row):
    return " class=bad" if not row["p50"] or row["errors"] or row["failed"] or not row["kept_up"] else ""


def cell_table(summary):
    out = ["<h2>Latency, µs</h2><div class=wide><table><tr><th>cell<th>n<th>p50<th>p90<th>p99<th>p99.9<th>max<th>mean"
           "<th>standard deviation<th>errors</tr>"]
    for row in summary:
        head = f"<tr{row_class(row)}><td>{html.escape(plots.label(row['cell']))}<td>{row['iterations']}"
        if not row["p50"]:
            out.append(f"{head}<td colspan=8 style='text-align:left'>{html.escape(str(row['given_up'] or row['last_error'] or 'not measured'))}</tr>")
            continue
        out.append(f"{head}<td>{spread(row['p50'])}<td>{middle(row['p90'])}<td>{spread(row['p99'])}<td>{middle(row['p99_9'])}"
                   f"<td>{middle(row['max'])}<td>{middle(row['mean'])}<td>{middle(row['stddev'])}"
                   f"<td>{row['errors'] + row['failed']}</tr>")
    out.append("</table></div><p class=note>Medians of the iterations; in brackets the interval in which another run is expected. "
               "p99.9 and more of an iteration of half a second rest on few samples: for these see the curves, which add all "
               "iterations up. Errors are gaps, duplicates, losses, failed connections and failed iterations. Rows with errors, or "
               "with less than 97 % of what was due, are marked.</p>"
               "<h2>Throughput, size, CPU, memory</h2><div class=wide><table><tr><th>cell<th>messages/s<th>of what was due"
               "<th>message bytes<th>MB/s<th>server CPU %<th>bots CPU %<th>server memory MB</tr>")
    for row in summary:
        if not row["p50"]:
            continue
        share = 100 * row["messages_per_s"]["median"] / max(row["due_per_s"], 1e-9)
        out.append(f"<tr{row_class(row)}><td>{html.escape(plots.label(row['cell']))}<td>{number(row['messages_per_s']['median'], 0)}"
                   f"<td>{share:.0f} %<td>{number(row['message_bytes']['median'], 0)}<td>{middle(row['bytes_per_s'], 1e-6)}"
                   f"<td>{spread(row['server_cpu_percent'])}<td>{spread(row['bot_cpu_percent'])}"
                   f"<td>{spread(row['server_memory_bytes'], 1e-6)}</tr>")
    out.append("</table></div><p class=note>CPU in percent of one core. The yardstick (limit), and cells named spin, never "
               "sleep: their CPU says nothing.</p>")
    return "\n".join(out)


def ratio_table(summary):
    rows = [row for row in summary if row["ratio"] and row["ratio"]["p50"]]
    if not rows:
        return ""
    out = ["<h2>Beside Tickwire on the same work</h2><div class=wide><table><tr><th>server and work<th>p50<th>p99<th>messages/s"
           "<th>server CPU<th>server memory<th>n</tr>"]
    for row in rows:
        ratio = row["ratio"]
        bad = "" if row["kept_up"] else " class=bad"
        out.append(f"<tr{bad}><td>{html.escape(plots.label(row['cell']))}" + "".join(
                       f"<td>{times(ratio[key])}" for key in ("p50", "p99", "messages_per_s", "server_cpu_percent",
                                                              "server_memory_bytes")) + f"<td>{ratio['p50']['n']}</tr>")
    out.append("</table></div><p class=note>Multiples of Tickwire’s figure in the same rounds, with 99 % intervals; more than 1 is "
               "slower or costs more (messages/s: less than 1 is behind). “limit” is the yardstick, a plain program that "
               "sends the same bytes and does nothing else. Marked rows fell behind what was due.</p>")
    return "\n".join(out)


def headroom(plan):
    out = []
    for key, figures in (plan.get("headroom") or {}).items():
        cells = [cell for cell in plan["cells"] if f"{cell['payload']}-{cell['codec']}" == key]
        if "error" in figures:
            out.append(f"<li>{html.escape(key)}: {html.escape(figures['error'])}</li>")
            continue
        asked = max((cell["rate"] * cell["clients"] for cell in cells), default=1)
        more = "" if figures["limited_by"] == "bots" else "at least "
        out.append(f"<li>{html.escape(key)}: {more}{figures['messages_per_s'] / 1e6:.2f} M messages/s with "
                   f"{figures['bot_cpu_percent']:.0f} % of a core; the busiest cell asks for {asked / 1e6:.3f} M/s, "
                   f"{more}{figures['messages_per_s'] / asked:.1f} times less</li>")
    return "<h2>Headroom of the bots</h2><ul>" + "".join(out) + "</ul>" if out else ""


def warnings(folder, summary, interrupted, problem):
    plan, out = folder.plan, []
    if interrupted:
        out.append("The run was interrupted: this is what there was until then.")
    if problem:
        out.append(problem)
    if plan.get("cores", {}).get("note"):
        out.append(plan["cores"]["note"])
    for name, why in plan.get("peers_missing", {}).items():
        out.append(f"{name} was not measured: {why}")
    for name in plan.get("skipped", []):
        out.append(f"{name} was not measured: it needs Linux")
    for row in summary:
        if row.get("given_up"):
            out.append(f"{row['cell']['name']} was given up: {row['given_up']}")
        if row.get("overloaded"):
            out.append(f"{row['cell']['name']} does not keep up with what is due, and was measured {row['iterations']} times only")
        if row.get("bot_cpu_percent") and row["bot_cpu_percent"]["median"] > 70:
            out.append(f"{row['cell']['name']}: the bots were {row['bot_cpu_percent']['median']:.0f} % busy; latency includes "
                       "waiting for them")
    facts = machine_facts(folder)
    if facts.get("system") and facts["system"] != "Linux":
        out.append("Pinning, fanout_limit and CPU time finer than 10 ms need Linux.")
    if facts.get("hypervisor"):
        out.append("A virtual machine: beyond p99 much is the host’s scheduling; compare within this report only.")
    if facts.get("load_before") and facts["load_before"] > 0.3 * (facts.get("cores") or 1):
        out.append(f"The machine was not idle before the run (load {facts['load_before']:.1f}).")
    return "".join(f"<div class=warn>{html.escape(line)}</div>" for line in out)


def machine_facts(folder):
    try:
        with open(folder.file("machine.json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def facts_table(folder):
    out = []
    for key, value in machine_facts(folder).items():
        if value is None:
            value = "cannot be had on this system"
        if isinstance(value, dict):
            value = "; ".join(f"{name}: {text}" for name, text in value.items())
        if key.endswith("_bytes") and isinstance(value, int):
            value = f"{value / 1e9:.1f} GB"
        out.append(f"<tr><td>{html.escape(key.replace('_', ' '))}<td>{html.escape(str(value))}</tr>")
    for name, version in folder.plan.get("peer_versions", {}).items():
        if name in ("tornado", "starlette", "aiohttp", "fastapi", "flask", "flask_sock", "websockets", "uvicorn", "uvloop",
                    "socketify", "wsproto", "waitress", "node:ws"):
            out.append(f"<tr><td>{html.escape(name)}<td>{html.escape(version)}</tr>")
    return "<h2>Machine</h2><table class=facts>" + "".join(out) + "</table>"


def page(folder, title, about, parts):
    with open(folder.file("report.html"), "w", encoding="utf-8") as file:
        file.write(f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{html.escape(title)}</title>\n"
                   f"<meta name=viewport content='width=device-width, initial-scale=1'><style>{STYLE}</style></head><body>\n"
                   f"<h1>{html.escape(title)}</h1><p class=note>{html.escape(about)}</p>\n")
        file.write("\n".join(part for part in parts if part))
        file.write("\n</body></html>\n")


def images(folder, pictures):
    out = []
    for name, text in pictures.items():
        with open(folder.file(name), "rb") as file:
            data = base64.b64encode(file.read()).decode()
        out.append(f"<h2>{html.escape(text)}</h2><img alt='{html.escape(text)}' src='data:image/png;base64,{data}'>")
    return "\n".join(out)


def when(plan):
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(plan["began"])) if plan.get("began") else ""
    took = f", took {clock(plan['took_s'])} (announced: {clock(plan['announced_s'])})" if plan.get("took_s") and plan.get("announced_s") else ""
    return f"{began}{took}"


def write(folder, summary, interrupted=False):
    pictures, problem = plots.draw_all(folder, summary)
    plan = folder.plan
    cores = plan.get("cores", {})
    where = f"server on core {cores['server']}, bots on core {cores['bots']}" if cores.get("server") is not None else "not pinned"
    about = f"{plan['about']} {len(plan['cells'])} cells × {plan['iterations']} iterations, {where}. {when(plan)}"
    page(folder, f"Tickwire: {plan['title']}", about,
         [warnings(folder, summary, interrupted, problem), cell_table(summary), ratio_table(summary), images(folder, pictures),
          headroom(plan), "<h2>Method</h2>" + METHOD, facts_table(folder)])


def with_interval(figure):
    interval = "" if figure["low"] is None else f" ({number(figure['low'])}-{number(figure['high'])})"
    return f"{number(figure['median']):>9}{interval}"


def table(summary):
    """For a terminal."""
    out = [f"\n{'cell':52} {'n':>4} {'p50 us':>24} {'p99 us':>26} {'messages/s':>11} {'errors':>6}"]
    for row in summary:
        name = plots.label(row["cell"]).replace("×", "x")
        if not row["p50"]:
            out.append(f"{name:52} {row['iterations']:4} {row['given_up'] or row['last_error'] or 'not measured'}")
            continue
        p50, p99 = row["p50"], row["p99"]
        out.append(f"{name:52} {row['iterations']:4} {with_interval(p50)}".ljust(83) + with_interval(p99).ljust(27) +
                   f"{row['messages_per_s']['median']:>11,.0f} {row['errors'] + row['failed']:>6}" +
                   ("" if row["kept_up"] else "  falls behind"))
    return "\n".join(out)


def write_stress(folder, points, interrupted):
    """Where each server breaks, and its steps."""
    plan, pictures, problem = folder.plan, {}, None
    if plots.available():
        try:
            if plots.stress(folder.file("stress.png"), points):
                pictures["stress.png"] = "Latency over load"
        except plots.PlotError as error:
            problem = str(error)
    else:
        problem = "gnuplot is not installed (tools/setup.sh bench): there are no pictures"
    out = ["<h2>Breaking points</h2><table><tr><th>server<th>breaks at users<th>requests/s reached"
           "<th style='text-align:left'>why</tr>"]
    for cell, records, step, why in points:
        reached = max((record["messages_per_s"] for record in records if "error" not in record), default=0)
        where = f"{step * cell['step']:,} (step {step})" if step else f"not up to {cell['step'] * cell['steps']:,}"
        if not step and len(records) < cell["steps"]:
            where = f"not up to {len(records) * cell['step']:,} (interrupted)"
        out.append(f"<tr><td>{html.escape(plots.label(cell))}<td>{where}<td>{reached:,.0f}"
                   f"<td style='text-align:left;white-space:normal'>{html.escape(why or '–')}</tr>")
    out.append("</table><h2>Steps</h2><div class=wide><table><tr><th>server<th>users<th>requests/s<th>mean µs<th>p50<th>p90"
               "<th>p99<th>max<th>failures<th>server CPU %<th>client CPU %</tr>")
    for cell, records, _, _ in points:
        for record in records:
            if "error" in record:
                out.append(f"<tr class=bad><td>{html.escape(cell['server'])}<td>{record['users']:,}<td colspan=9 "
                           f"style='text-align:left'>{html.escape(record['error'])}</tr>")
                continue
            figures = [number(record[key]) for key in ("mean", "p50", "p90", "p99", "max")]
            figures += [f"{record['errors']:,}", number(record.get("server_cpu_percent")), number(record["bot_cpu_percent"])]
            out.append(f"<tr><td>{html.escape(cell['server'])}<td>{record['users']:,}<td>{record['messages_per_s']:,.0f}" +
                       "".join(f"<td>{figure}" for figure in figures) + "</tr>")
    out.append("</table></div>")
    page(folder, f"Tickwire: {plan['title']}", f"{plan['about']} {when(plan)}",
         [warnings(folder, [], interrupted, problem), "\n".join(out), images(folder, pictures), facts_table(folder)])
