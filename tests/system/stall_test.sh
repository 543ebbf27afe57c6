#!/usr/bin/env bash
# stall_test.sh BIN SCRATCH - an engine that rests on purpose shows it in the bot's percentiles at the right size.
#
# Arithmetic: messages are due evenly. With a rest of S = 60 ms once per T = 400 ms, the part of them that is late by more
#             than x is (S - x) / T: 15 % are late at all; p90 is S - 0.10 T = 20 ms, p99 is S - 0.01 T = 56 ms, the most
#             is S. A measurement that starts its clock when the engine gets to the message (--latency publish) sees
#             nothing of it.
# A machine that does something else meanwhile adds latency of its own, never takes any away: what is too much may be tried
# again, what is too little fails at once.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
attempts=5

latency() { # FROM: percentiles in us, as shell variables
    eval "$("$bin/bot" --url "$url" -n 5 --latency "$1" --warmup 50ms --duration 1200ms --json </dev/null | python3 -c '
import json, sys
latency = json.load(sys.stdin)["latency_us"]
print(" ".join("%s=%d" % (key, latency[key]) for key in ("p50", "p90", "p99", "max")))')"
}

# The percentiles of a stalled engine with these arguments are what the arithmetic says.
stalled() { # WHAT ARGUMENT...
    local what=$1 attempt
    shift
    start_engine "$@" --feed.rate=2000 --feed.book_share=0 --test.stall=60ms --test.stall_interval=400ms
    for ((attempt = 0; attempt < attempts; attempt++)); do
        latency recv
        if [ "$p90" -lt 10000 ] || [ "$p99" -lt 40000 ] || [ "$max" -lt 55000 ]; then
            fail "$what: a stall of 60 ms is not seen: p90 $p90, p99 $p99, most $max us"
            break
        fi
        [ "$p90" -gt 40000 ] || [ "$p99" -gt 75000 ] || break
    done
    [ "$attempt" -lt "$attempts" ] || fail "$what: a stall of 60 ms is seen as p90 $p90, p99 $p99, most $max us"
    local recv_p99=$p99
    if [ "$what" = epoll ]; then
        latency publish
        [ "$p90" -lt "$recv_p99" ] || fail "from publish_ns p90 is $p90 us, although from recv_ns p99 is $recv_p99"
    fi
    stop_engine
}

stalled epoll --loop epoll
stalled auto --loop auto
stalled "two shards" --engine.threads=2
check "a stall is shorter than its interval" bash -c \
    "! '$bin/engine' --check-config --test.stall=2s && '$bin/engine' --check-config --test.stall=999ms"
finish
