#!/usr/bin/env bash
# stall_test.sh BIN SCRATCH - an engine that rests on purpose shows it in the bot's percentiles at the right size.
#
# Arithmetic: messages are due evenly. With a rest of S = 60 ms once per T = 400 ms, the part of them that is late by more
#             than x is (S - x) / T: 15 % are late at all; p90 is S - 0.10 T = 20 ms, p99 is S - 0.01 T = 56 ms, the most
#             is S. A measurement that starts its clock when the engine gets to the message (--latency publish) sees
#             nothing of it. What the machine adds is allowed for: the same without the rest is measured and taken off.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

latency() { # FROM: p90 and p99 in us, as shell variables
    eval "$("$bin/bot" --url "$url" -n 5 --latency "$1" --warmup 100ms --duration 1200ms --json </dev/null | python3 -c '
import json, sys
latency = json.load(sys.stdin)["latency_us"]
print(" ".join("%s=%d" % (key, latency[key]) for key in ("p50", "p90", "p99", "max")))')"
}

between() { # WHAT VALUE LEAST MOST
    if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        fail "$1 is $2 us; expected $3 to $4"
    fi
}

start_engine --feed.rate=2000 --feed.book_share=0
latency recv
plain_p90=$p90 plain_p99=$p99
stop_engine

for loop in epoll auto; do
    start_engine --loop "$loop" --feed.rate=2000 --feed.book_share=0 --test.stall=60ms --test.stall_interval=400ms
    latency recv
    between "$loop: p90" "$p90" 10000 $((40000 + plain_p90))
    between "$loop: p99" "$p99" 40000 $((80000 + plain_p99))
    between "$loop: most" "$max" 55000 600000
    stop_engine
done

# With threads of its own the shard rests, not the feed.
start_engine --engine.threads=2 --feed.rate=2000 --feed.book_share=0 --test.stall=60ms --test.stall_interval=400ms
latency recv
between "two shards: p99" "$p99" 40000 $((80000 + plain_p99))
with=$p99
latency publish
[ "$p90" -lt "$with" ] || fail "from publish_ns p90 is $p90 us, although from recv_ns p99 is $with us"
stop_engine
check "a stall must be shorter than its interval" bash -c \
    "! '$bin/engine' --check-config --test.stall=2s && '$bin/engine' --check-config --test.stall=999ms"
finish
