#!/usr/bin/env bash
# run_iterations_test.sh BIN SCRATCH - bench/run_iterations, small: statistics, a run, what it leaves, going on, errors.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")/run_iterations

python3 -c 'import tomllib' 2>/dev/null || { echo "needs Python 3.11"; exit 77; }
check "statistics and scenarios" python3 "$here/stats_test.py"
run() { check "$1" python3 bench/run_iterations --build "$(dirname "$bin")" "${@:2}"; }

run "two cells, twice" --no-headroom --scenario "$here/tiny.json" --out "$scratch/run"
for file in raw.csv summary.json machine.json plan.json report.html hgrm/tickwire-tick-json-*-2x1000.hgrm; do
    [ -s "$scratch"/run/$file ] || fail "there is no $file"
done
check "what it left" python3 - "$scratch/run" <<'END'
import csv, json, sys
folder = sys.argv[1]
rows = list(csv.DictReader(open(folder + "/raw.csv")))
assert len(rows) == 4, len(rows)
for row in rows:
    assert not row["error"] and row["errors"] == "0", row
    assert 0 < float(row["p50_us"]) <= float(row["p99_us"]) <= float(row["max_us"]), row
    assert abs(float(row["messages_per_s"]) / float(row["expected_per_s"]) - 1) < 0.5, row
summary = json.load(open(folder + "/summary.json"))["cells"]
assert len(summary) == 2 and all(cell["iterations"] == 2 for cell in summary)
assert all(cell["p50"]["min"] <= cell["p50"]["median"] <= cell["p50"]["max"] for cell in summary)
assert all(cell["p50"]["low"] is None for cell in summary)  # of two iterations there is no interval
END

# A crash in the middle of a line, one iteration is left and one is torn: only these are measured again.
head -c -20 "$scratch/run/iterations.jsonl" | head -n 4 >"$scratch/torn"
tail -n 1 "$scratch/run/iterations.jsonl" | head -c 100 >>"$scratch/torn"
cp "$scratch/torn" "$scratch/run/iterations.jsonl"
run "going on" --no-headroom --resume "$scratch/run"
grep -q '2 cells, 2 iterations left' "$scratch/out" || fail "not two iterations are measured again" "$scratch/out"
[ "$(wc -l <"$scratch/run/raw.csv")" = 5 ] || fail "raw.csv has not 4 rows after going on"

check "the page" python3 - "$scratch/run/report.html" <<'END'
import html.parser, os, shutil, sys
class Page(html.parser.HTMLParser):
    images, rows, external = [], 0, []
    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.rows += tag == "tr"
        if tag == "img":
            self.images.append(attributes["src"])
        self.external += [value for key, value in attributes.items() if key in ("src", "href") and value.startswith("http")]
page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
assert page.rows > 10 and not page.external, (page.rows, page.external)
if shutil.which("gnuplot"):
    assert len(page.images) >= 3 and all(image.startswith("data:image/png;base64,") for image in page.images)
    for name in ("latency.png", "throughput.png", "system.png"):
        assert open(os.path.join(os.path.dirname(sys.argv[1]), name), "rb").read(8) == b"\x89PNG\r\n\x1a\n", name
END

run "users over HTTP" --scenario "$here/http.json" --out "$scratch/http"
[ "$(wc -l <"$scratch/http/http.csv")" -ge 2 ] || fail "http.csv has no second" "$scratch/http/http.csv"
grep -q ',200,\|tickwire' "$scratch/http/raw.csv" || fail "raw.csv has no trial"

# No answer takes a second; every answer takes more than a microsecond.
run "stress" --scenario "$here/stress.json" --out "$scratch/stress"
grep -q 'no breaking point up to 10 users' "$scratch/out" || fail "a breaking point where there is none" "$scratch/out"
grep -q 'breaks at step 1, 2 users' "$scratch/out" || fail "no breaking point where there is one" "$scratch/out"
[ "$(cat "$scratch"/stress/stress-execution-*.csv | wc -l)" = 4 ] || fail "not three steps and a head in the CSV file"
grep -q 'p99 is .* more than 0 ms' "$scratch"/stress/stress-failures-*.csv || fail "the breaking point is not in the CSV file"

# SIGTERM (as Ctrl-C): what there is becomes a report, and it says how to go on.
python3 bench/run_iterations --build "$(dirname "$bin")" --no-headroom --scenario "$here/tiny.json" --n 500 \
    --out "$scratch/ended" >"$scratch/out" 2>&1 </dev/null &
pid=$!
deadline=$((SECONDS + 30))
until [ "$(cat "$scratch/ended/iterations.jsonl" 2>/dev/null | wc -l)" -ge 4 ] || [ "$SECONDS" -ge "$deadline" ]; do
    read -r -t 0.05 <> <(:) || true
done
kill -TERM "$pid"
wait "$pid"
[ $? = 130 ] || fail "SIGTERM does not give exit code 130" "$scratch/out"
grep -q 'go on with: .*--resume' "$scratch/out" || fail "it does not say how to go on" "$scratch/out"
[ -s "$scratch/ended/report.html" ] || fail "no report of what there was"

wrong() { # PATTERN ARGUMENT...
    local pattern=$1
    shift
    python3 bench/run_iterations --build "$(dirname "$bin")" "$@" >"$scratch/out" 2>&1
    [ $? = 2 ] || fail "$*: exit code is not 2" "$scratch/out"
    grep -q -- "$pattern" "$scratch/out" || fail "$*: no line like $pattern" "$scratch/out"
}
wrong "no scenario 'nothing': there are" --scenario nothing
wrong "no peer 'nobody'; there are" --peers nobody
wrong 'holds results already' --scenario "$here/tiny.json" --out "$scratch/run"
wrong 'is no results folder' --resume "$scratch"
wrong 'write two core numbers' --cores x
finish
