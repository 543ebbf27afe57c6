#!/usr/bin/env bash
# lib.sh - what the tests of whole programs share: an engine that is started, waited for, stopped, and counted on.
# Sourced with BIN and SCRATCH as arguments; defines start_engine, stop_engine, check, finish.
set -uo pipefail
bin=$1 scratch=$2 failures=0 engine_pid='' url='' engine_log=$2/engine.log
rm -rf "$scratch" && mkdir -p "$scratch"

fail() { # MESSAGE [FILE WITH DETAILS]
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$1"
    [ -z "${2:-}" ] || sed 's/^/    /' "$2"
}

# Starts the engine with these arguments, waits until it says that it is ready, and sets `url`.
start_engine() {
    : >"$engine_log" # here, not in the child: what an earlier engine said must not be taken for this one's
    "$bin/engine" --port 0 "$@" >>"$engine_log" 2>&1 </dev/null &
    engine_pid=$!
    local deadline=$((SECONDS + 30))
    until grep -q '^ready$' "$engine_log"; do
        if ! kill -0 "$engine_pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            fail "engine $* does not start" "$engine_log"
            return 1
        fi
        read -r -t 0.05 <> <(:) || true
    done
    url=$(sed -n 's/^listening on \(ws:.*\)$/\1/p' "$engine_log" | head -n 1)
}

# Ends the engine as a service manager would; it must exit with 0 and its counts must add up.
stop_engine() {
    [ -n "$engine_pid" ] || return 0
    kill -TERM "$engine_pid" 2>/dev/null
    wait "$engine_pid"
    local code=$?
    engine_pid=
    [ "$code" = 0 ] || fail "the engine ends with exit code $code" "$engine_log"
    awk '/stopped; published/ { for (i = 1; i < NF; i++) n[$i] = $(i + 1); sum = n["delivered"] + n["lost"] + n["pending"]
         if (n["published"] == sum && sum > 0) good = 1 } END { exit !good }' "$engine_log" ||
        fail "published is not delivered + lost + pending" "$engine_log"
}

# check WHAT COMMAND...: the command must exit with 0.
check() {
    local what=$1
    shift
    "$@" >"$scratch/out" 2>&1 </dev/null || fail "$what: exit code $?: $*" "$scratch/out"
}

finish() {
    [ -z "$engine_pid" ] || kill -KILL "$engine_pid" 2>/dev/null
    [ "$failures" = 0 ] && echo "all as expected"
    exit "$((failures > 0))"
}
