#!/usr/bin/env bash
# bot_test.sh BIN SCRATCH - bots attached to a running engine: every way in, figures that must be zero, exit codes.
set -uo pipefail
bin=$1 scratch=$2 failures=0
rm -rf "$scratch" && mkdir -p "$scratch"
engine_pid=
# A Unix socket's path has room for about a hundred bytes: not for every scratch folder.
sockets=$(mktemp -d)
trap '[ -z "$engine_pid" ] || kill "$engine_pid" 2>/dev/null; rm -rf "$sockets"' EXIT

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$1"
    sed 's/^/    /' "$scratch/out" "$scratch/err"
}

# wait_for PATTERN FILE: until a line of the file matches, ten seconds at most.
wait_for() {
    for _ in $(seq 200); do
        grep -q "$1" "$2" && return
        read -rt 0.05 <> <(:) || :
    done
    fail "$2 never had a line like $1"
}

# start_engine ARGUMENT...: sets engine_pid and url.
start_engine() {
    : >"$scratch/engine" # here, not in the child: what an earlier engine said must not be taken for this one's
    "$bin/engine" --port "${port:-0}" --unix "$sockets/engine" --feed.rate=2000 "$@" >"$scratch/engine" 2>&1 &
    engine_pid=$!
    wait_for '^ready' "$scratch/engine"
    url=$(sed -n 's#^listening on \(ws://.*\)#\1#p' "$scratch/engine")
    [ -n "$url" ] || fail "the engine did not start: $(cat "$scratch/engine")"
    port=${url##*:}
    port=${port%%/*}
}

stop_engine() {
    kill "$engine_pid" && wait "$engine_pid"
    engine_pid=
}

# bot CODE ARGUMENT...: runs a bot; its exit code must match.
bot() {
    local code=$1
    shift
    timeout 60 "$bin/bot" --url "$url" --warmup 50ms --duration 200ms "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    local got=$?
    [ "$got" = "$code" ] || fail "bot $*: exit code $got instead of $code"
}

# figure EXPRESSION: true of the last bot's JSON, d.
figure() {
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$scratch/out" "$1" ||
        fail "not so: $1"
}

in_order='d["gaps"] == d["duplicates"] == d["losses"] == d["errors"] == d["reconnects"] == 0 and d["messages"] > 0'

start_engine
for loop in epoll io_uring; do
    for codec in json flatbuffers; do
        for decode in scan full; do
            bot 0 -n 5 --loop "$loop" --codec "$codec" --decode "$decode" --channels trade,quote,book,status --json
            # A machine may refuse io_uring; then auto is what users get.
            figure "$in_order"
            figure 'd["connected"] == 5 and d["latency_us"]["count"] == d["messages"] - d["untimed"]'
        done
    done
done
bot 0 -n 4 --threads 2 --json
figure "$in_order"
bot 0 -n 4 --by-url --last-receiver --json
figure "$in_order"
figure 'd["last_receiver_us"]["p50"] >= d["first_receiver_us"]["p50"] > 0'
bot 0 --url "unix:$sockets/engine" -n 3 --json
figure "$in_order"
bot 0 -n 20 --idle --json
figure 'd["connected"] == 20 and d["messages"] == 0'
bot 0 -n 2 --dump "$scratch/dump" --dump-count 10 --hgrm "$scratch/hgrm"
grep -q 'p99.99' "$scratch/out" || fail "no table of latencies"
[ "$(wc -l <"$scratch/dump")" = 10 ] || fail "the dump has not 10 lines"
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$scratch/dump" || fail "the dump is no JSON"
grep -q 'Percentile' "$scratch/hgrm" || fail "no percentiles in the hgrm file"

# One connection stops reading: the others have everything.
bot 0 -n 4 --slow 1 --stall-after 0s --json
figure "$in_order"
bot 0 -n 4 --slow 2 --read-delay 5ms --json
figure "$in_order"' and d["slow_messages"] > 0'

# What goes wrong is counted by name and makes the exit code 1.
bot 1 -n 2 --symbols sim:NO/SUCH --json
figure 'd["errors_by_name"] == {"BadSymbol": 2}'
bot 1 --url "${url%/v1/stream}/nothing" -n 2 --connect-timeout 5s --json
figure 'd["connect_failures"] == 2 and d["errors_by_name"] == {"upgrade_404": 2}'
bot 1 --url ws://127.0.0.1:1/ --connect-timeout 300ms --json
figure 'd["errors_by_name"].get("refused", 0) >= 1'
bot 2 --url nonsense
bot 2 --duration soon
bot 2 --no-such-option
bot 2 --threads 4
bot 2 --loop no_such_loop
bot 0 --help
grep -q '^examples' "$scratch/out" || fail "help has no examples"

# Ctrl-C ends the measurement and prints what there is.
: >"$scratch/err"
"$bin/bot" --url "$url" -n 2 --warmup 0s --duration 60s --live --json >"$scratch/out" 2>"$scratch/err" &
bot_pid=$!
wait_for '^measuring' "$scratch/err"
kill -INT "$bot_pid"
wait "$bot_pid" || fail "Ctrl-C made the exit code $?"
figure "$in_order"' and d["interrupted"]'

# The engine goes away and comes back: bots say so, and go on with the new epoch.
: >"$scratch/err" # here, not in the child: what an earlier bot said must not be taken for this one's
"$bin/bot" --url "$url" -n 3 --warmup 0s --duration 4s --live --json >"$scratch/out" 2>"$scratch/err" &
bot_pid=$!
wait_for '^measuring' "$scratch/err"
stop_engine
start_engine
wait "$bot_pid"
[ $? = 1 ] || fail "a restart of the engine went unnoticed"
figure 'd["reconnects"] == 3 and d["gaps"] == d["duplicates"] == 0 and d["errors_by_name"].get("close_4001") == 3'
stop_engine
grep -q 'stopped' "$scratch/engine" || fail "the engine did not say that it stopped"

[ "$failures" = 0 ] && echo "all as expected"
[ "$failures" = 0 ]
