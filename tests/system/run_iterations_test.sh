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
assert all(cell["p50"]["low"] <= cell["p50"]["median"] <= cell["p50"]["high"] for cell in summary)
END

# A crash in the middle of a line, one iteration is left and one is torn: only these are measured again.
head -c -20 "$scratch/run/iterations.jsonl" | head -n 4 >"$scratch/torn"
tail -n 1 "$scratch/run/iterations.jsonl" | head -c 100 >>"$scratch/torn"
cp "$scratch/torn" "$scratch/run/iterations.jsonl"
run "going on" --no-headroom --resume "$scratch/run"
grep -q '2 cells, 2 iterations left' "$scratch/out" || fail "not two iterations are measured again" "$scratch/out"
[ "$(wc -l <"$scratch/run/raw.csv")" = 5 ] || fail "raw.csv has not 4 rows after going on"

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
