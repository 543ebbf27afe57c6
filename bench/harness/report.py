"""report.py - the page and the table at the end."""


def write(folder, summary):
    with open(folder.file("report.html"), "w", encoding="utf-8") as file:
        file.write("<!doctype html><title>Tickwire</title>")


def table(summary, out):
    for row in summary:
        p50, p99 = row["p50"], row["p99"]
        if not p50:
            continue
        print(f"{row['cell']['name']:42} {row['iterations']:4} p50 {p50['median']:9.1f} ({p50['low']:.0f}-{p50['high']:.0f}) "
              f"p99 {p99['median']:9.1f} ({p99['low']:.0f}-{p99['high']:.0f}) {row['messages_per_s']['median']:10.0f}/s "
              f"{row['message_bytes']['median']:.0f} B cpu {row['server_cpu_percent']['median']:.1f} bot {row['bot_cpu_percent']['median']:.1f}"
              f" err {row['errors']}", file=out)
