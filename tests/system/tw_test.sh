#!/usr/bin/env bash
# tw_test.sh BIN SCRATCH - the verbs of `tw` against a running engine: exit codes, output, what a kill leaves behind.
set -uo pipefail
bin=$1 scratch=$2 failures=0 engine_pid=
rm -rf "$scratch" && mkdir -p "$scratch"
ring=twt$$

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$1"
    sed 's/^/    /' "$scratch/out"
}

# expect CODE PATTERN ARGUMENT...: runs tw; its exit code and a line of its output must match.
expect() {
    local code=$1 pattern=$2 got
    shift 2
    timeout 30 "$bin/tw" "$@" >"$scratch/out" 2>&1 </dev/null
    got=$?
    [ "$got" = "$code" ] || fail "tw $*: exit code $got instead of $code"
    grep -qE -- "$pattern" "$scratch/out" || fail "tw $*: no line like $pattern"
}

# wait_for PATTERN FILE: until a line of the file matches, for at most ten seconds.
wait_for() {
    timeout 10 bash -c 'until grep -qE -- "$1" "$2" 2>/dev/null; do read -rt 0.05 <> <(:) || :; done' _ "$1" "$2" ||
        fail "no line like $1 in $2"
}

end_engine() {
    [ -z "$engine_pid" ] || kill -TERM "$engine_pid" 2>/dev/null
    wait 2>/dev/null
}
trap end_engine EXIT

# ---- without an engine ----
expect 2 '^usage: tw VERB'
expect 0 '^  record +writes' --help
expect 0 '^tw [0-9]' --version
expect 2 "no verb 'recrod'" recrod
for verb in sub record replay info doctor; do
    expect 0 "^usage: tw $verb" "$verb" --help
    expect 2 "no option '--nonsense'" "$verb" --nonsense
done
expect 2 'out FILE' record
expect 2 'wants a whole number' sub --count many
expect 2 'wants a duration' sub --duration long
expect 2 'which file' replay
expect 2 '--speed fast' replay --speed fast "$scratch/absent"
expect 1 'cannot open' replay "$scratch/absent"
expect 1 'cannot open' info "$scratch/absent"
expect 1 'no connection' sub --url ws://127.0.0.1:1/ --wait 200ms
expect 1 'no ring' sub --shm "$ring" --wait 100ms
expect 1 'No such file' record --out "$scratch/absent/x.twc"
expect 0 '[0-9]+ checks: ' doctor
expect 0 '"check":"open files"' doctor --json

# ---- with one ----
"$bin/engine" -c configs/feed.toml --listen.port=0 --ring.name="$ring" >"$scratch/engine" 2>&1 </dev/null &
engine_pid=$!
wait_for '^ready' "$scratch/engine"
url=$(sed -n 's/^listening on \(ws:.*\)$/\1/p' "$scratch/engine")

expect 0 'trade +sim:BTC/USDT +(buy|sell)' sub --url "$url" --channels trade --symbols 'sim:BTC/USDT' --count 3
[ "$(wc -l <"$scratch/out")" = 3 ] || fail 'tw sub --count 3: not three lines'
expect 0 '^\{"type":"quote"' sub --url "$url" --channels quote --json --count 2
expect 0 'quote +sim:(BTC|ETH)/USDT' sub --shm "$ring" --channels quote --symbols 'sim:BTC*,sim:ETH/USDT' --count 3
expect 0 '^\{"type":"trade"' sub --shm "$ring" --channels trade --json --count 1
expect 2 'channels nonsense' sub --shm "$ring" --channels nonsense
expect 0 'BadSymbol' sub --url "$url" --symbols sim:NOPE/USDT --duration 500ms

expect 0 '500 messages' record --url "$url" --out "$scratch/a.twc" --count 500
expect 1 'exists' record --url "$url" --out "$scratch/a.twc" --count 1
expect 0 '50 messages' record --url "$url" --out "$scratch/a.twc" --count 50 --replace --compression zlib
expect 0 '50 messages' record --shm "$ring" --out "$scratch/b.twc" --count 50 --channels trade,quote
expect 0 'closed +yes' info "$scratch/a.twc"
expect 0 '"compression":"zlib".*"closed":true' info --json "$scratch/a.twc"
expect 0 '^BTC/USDT .*snapshots=1 .*state=ok' replay "$scratch/a.twc" --summary
expect 0 '"symbol":"BTC/USDT"' replay "$scratch/b.twc" --summary --json
expect 0 'book +sim:BTC/USDT +snapshot' replay "$scratch/a.twc"
expect 0 '^\{"type":"book".*"snapshot":true' replay "$scratch/a.twc" --json

# Ctrl-C ends a recording in good order.
"$bin/tw" record --url "$url" --out "$scratch/c.twc" >"$scratch/record" 2>&1 &
record_pid=$!
until [ -s "$scratch/c.twc" ]; do read -rt 0.05 <> <(:) || :; done
expect 0 sim sub --url "$url" --count 300 # some time passes
kill -INT "$record_pid"
wait "$record_pid" || fail 'tw record: exit code after Ctrl-C'
grep -qE '[0-9]+ messages' "$scratch/record" || fail 'tw record: no figures after Ctrl-C'
expect 0 'closed +yes' info "$scratch/c.twc"

# A kill leaves everything but the last second, and the tear is reported.
"$bin/tw" record --url "$url" --out "$scratch/d.twc" >"$scratch/record" 2>&1 &
record_pid=$!
longer_than() { [ -s "$scratch/d.twc" ] && [ "$(wc -c <"$scratch/d.twc")" -gt "$1" ]; }
until longer_than 20000; do read -rt 0.05 <> <(:) || :; done
first=$(wc -c <"$scratch/d.twc")
until longer_than "$first"; do read -rt 0.05 <> <(:) || :; done # a second block: one may be torn, one is left
kill -KILL "$record_pid"
wait "$record_pid" 2>/dev/null
expect 1 'closed +no' info "$scratch/d.twc"
expect 0 '^BTC/USDT .*state=ok' replay "$scratch/d.twc" --summary
head -c -100 "$scratch/d.twc" >"$scratch/e.twc"
expect 1 'torn +[0-9]+ bytes' info "$scratch/e.twc"
expect 1 'bytes torn off' replay "$scratch/e.twc" --summary

# The engine's end is told, and a capture is complete with it.
"$bin/tw" sub --url "$url" --channels trade >"$scratch/trades" 2>"$scratch/sub" &
sub_pid=$!
wait_for ' trade ' "$scratch/trades" # on a busy machine it takes a while to be connected
kill -TERM "$engine_pid"
wait_for 'bye|ended' "$scratch/sub"
kill -INT "$sub_pid"
wait "$sub_pid" || fail 'tw sub: exit code after Ctrl-C'
engine_pid=

[ "$failures" = 0 ] && echo "all as expected"
[ "$failures" = 0 ]
