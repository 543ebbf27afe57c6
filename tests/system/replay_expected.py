#!/usr/bin/env python3
"""replay_expected.py TW FOLDER - `tw replay --summary --json` against the figures that come with the recordings.

Job:       FOLDER/EXPECTED.md says in tables what a correct engine gets out of each recording beside it: per symbol the
           trades, the book and the best prices, per recording the sums. Every figure of those tables is compared, both
           ways: a symbol that only one side knows is a finding, and so is a gap, a crossed book or a failed checksum.
Output:    one line per finding, then the number of figures compared; exit 0 only if there was no finding.
Non-goals: candles, 24-hour tickers and the time span, which a summary does not tell.
"""
import decimal
import json
import re
import subprocess
import sys

TRADES = "| trades |"
BOOKS = "| book |"
OVERVIEW = "| dataset |"


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_expected(path):
    """{dataset: {"overview": row, "trades": {id: row}, "book": {id: row}, "quotes": {id: text}}}"""
    sets, current, table = {}, None, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("## "):
                current, table = sets.setdefault(line[3:].strip(), {"trades": {}, "book": {}, "quotes": {}}), None
            elif line.startswith((TRADES, BOOKS, OVERVIEW)):
                table = line.split("|")[1].strip()
            elif line.startswith("|---"):
                continue
            elif "line format `hft`" in line:
                current["hft"] = True
            elif line.startswith("|") and table == "dataset":
                row = cells(line)
                sets.setdefault(row[0], {"trades": {}, "book": {}, "quotes": {}})["overview"] = row
            elif line.startswith("|") and table:
                row = cells(line)
                current[table][row[0]] = row
            elif line.startswith("BBO ("):
                for entry in line.split("): ", 1)[1].split("; "):
                    name, figures = entry.strip().rsplit(": ", 1)
                    name, count = name.rsplit(" ", 1)
                    current["quotes"][name] = (count, figures)
            else:
                table = None
    return {name: figures for name, figures in sets.items() if "overview" in figures}


def plain(number):
    """A number without exponent and trailing zeros; "-" for none."""
    if number is None:
        return "-"
    text = format(decimal.Decimal(number), "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


class Comparison:
    def __init__(self):
        self.compared = self.findings = 0

    def same(self, what, expected, got):
        self.compared += 1
        if str(expected) != str(got):
            self.findings += 1
            print(f"{what}: expected {expected}, got {got}")


def trade_text(trade):
    return " ".join([trade["id"] or "-", plain(trade["price"]), plain(trade["amount"]), trade["side"],
                     str(trade["timestamp"])])


def level_text(level):
    return " x ".join(plain(number) for number in level) if level else "-"


def compare_trades(check, name, row, trades):
    check.same(f"{name} trades", row[1], trades["count"])
    check.same(f"{name} history", row[2], trades["history"])
    check.same(f"{name} buys", row[3], trades["buys"])
    check.same(f"{name} amount", row[4], plain(trades["amount"]))
    check.same(f"{name} first trade", row[5], trade_text(trades["first"]))
    check.same(f"{name} last trade", row[6], trade_text(trades["last"]))


def compare_book(check, name, row, book):
    for column, key in ((1, "snapshots"), (2, "deltas"), (3, "applied"), (4, "stale")):
        check.same(f"{name} {key}", row[column], book[key])
    check.same(f"{name} last seq", row[5], book["last_seq"] if book["last_seq"] is not None else "-")
    check.same(f"{name} best bid", row[6], level_text(book.get("bid")))
    check.same(f"{name} best ask", row[7], level_text(book.get("ask")))
    check.same(f"{name} levels", row[8], f"{book['bid_levels']}/{book['ask_levels']}")
    check.same(f"{name} digest25", row[9], book["digest25"])
    check.same(f"{name} state, gaps, crossed", "ok 0 0", f"{book['state']} {book['gaps']} {book['crossed']}")


def compare_quotes(check, name, expected, quotes):
    count, figures = expected
    check.same(f"{name} quotes", count, quotes["count"])
    last = (quotes.get("bid") or [0, 0]) + (quotes.get("ask") or [0, 0])
    check.same(f"{name} last quote", " ".join(plain(n) for n in figures.replace("-", "0").split()),
               " ".join(plain(number) for number in last))


def compare_overview(check, name, expected, summary):
    row = expected["overview"]
    books = [symbol["book"] for symbol in summary["symbols"]]
    trades = [symbol["trades"] for symbol in summary["symbols"]]
    history = sum(t["history"] for t in trades)
    counted = re.match(r"(\d+)(?: \((\d+)\))?$", row[3])
    # This format has the fetched snapshot in a line like all others, and it is counted with them.
    fetched = sum(book["snapshots"] for book in books) if expected.get("hft") else 0
    check.same(f"{name} messages", row[1], summary["messages"] + fetched)
    check.same(f"{name} trades", counted[1], sum(t["count"] for t in trades))
    check.same(f"{name} history", counted[2] or 0, history)
    check.same(f"{name} quotes", row[4], sum(symbol["quotes"]["count"] for symbol in summary["symbols"]))
    for column, key in ((7, "snapshots"), (8, "deltas"), (9, "applied"), (10, "stale"), (11, "gaps")):
        check.same(f"{name} {key}", row[column], sum(book[key] for book in books))
    equal, all_of_them = (sum(book[key] for book in books) for key in ("checksums_equal", "checksums"))
    check.same(f"{name} checksums", row[12], f"{equal}/{all_of_them}" if all_of_them else "-")
    for key in ("lost", "book_errors", "malformed", "gaps"):
        check.same(f"{name} {key}", 0, summary[key])


def compare(check, name, expected, summary):
    symbols = {symbol["id"]: symbol for symbol in summary["symbols"]}
    compare_overview(check, name, expected, summary)
    for table, key in (("trades", "count"), ("book", "snapshots"), ("quotes", "count")):
        told = {id for id, symbol in symbols.items() if symbol[table][key] > 0}
        check.same(f"{name} symbols with {table}", sorted(expected[table]), sorted(told))
        for id in sorted(told & set(expected[table])):
            function = {"trades": compare_trades, "book": compare_book, "quotes": compare_quotes}[table]
            function(check, f"{name} {id}", expected[table][id], symbols[id][table])


def main(tw, folder):
    check = Comparison()
    sets = read_expected(f"{folder}/EXPECTED.md")
    for name, expected in sets.items():
        run = subprocess.run([tw, "replay", f"{folder}/{name}", "--summary", "--json"], capture_output=True, check=False)
        if run.returncode != 0:
            check.same(f"{name} exit code", 0, run.returncode)
            continue
        compare(check, name, expected, json.loads(run.stdout, parse_float=decimal.Decimal))
    print(f"{len(sets)} recordings, {check.compared} figures compared, {check.findings} differ")
    return 0 if sets and check.findings == 0 else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
