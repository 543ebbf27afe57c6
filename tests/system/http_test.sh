#!/usr/bin/env bash
# http_test.sh BIN SCRATCH - /v1/... of a running engine, with one thread and with several, while it streams; and the candles
# of a replayed recording, digit by digit, against those that Python makes of the same file.
# Also under ThreadSanitizer.
set -uo pipefail
# shellcheck source=tests/system/lib.sh disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
command -v python3 >/dev/null || { echo "no python3: skipped"; exit 77; }
client=tests/system/clients/http_snapshots.py
recordings=${TICKWIRE_RECORDINGS:-../shared/data/exchanges}

port_of() { sed 's|.*:\([0-9]*\)/.*|\1|' <<<"$url"; }

for threads in 1 2; do
    start_engine --engine.threads="$threads" --feed.rate=20000 --feed.instruments=3 || finish
    "$bin/bot" --url "$url" -n 10 --duration 1s --warmup 100ms >"$scratch/bot-$threads" 2>&1 &
    bot=$!
    check "16 connections, $threads threads" python3 "$client" load "$(port_of)" 16 8
    wait "$bot" || fail "the bots beside it" "$scratch/bot-$threads"
    stop_engine
done

# Returns when the replay has put its last event.
wait_for_replay() {
    local deadline=$((SECONDS + 60))
    until python3 - "$(port_of)" <<'END'
import sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics").read().decode()
figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
fed = [float(v) for k, v in figures.items() if k.startswith("tickwire_feed_events_total")]
up = [float(v) for k, v in figures.items() if k.startswith("tickwire_feed_up")]
sys.exit(0 if sum(up) == 0 and sum(fed) == float(figures["tickwire_ring_events_total"]) else 1)
END
    do
        [ "$SECONDS" -lt "$deadline" ] || { fail "the replay does not end" "$engine_log"; return 1; }
        read -r -t 0.05 <> <(:) || true
    done
}

replay_candles() { # FOLDER SYMBOL
    local file
    file=$(find "$recordings/$1" -name '*.gz' | head -n 1)
    printf '[[feed]]\ntype = "replay"\nfile = "%s"\nspeed = "max"\n[candles]\nhistory = 4000\n' "$file" >"$scratch/replay.toml"
    start_engine -c "$scratch/replay.toml" || return
    wait_for_replay && check "candles of $1" python3 "$client" candles "$(port_of)" "$2" "$file"
    kill -TERM "$engine_pid" && wait "$engine_pid"
    engine_pid=
}

if [ -d "$recordings" ]; then
    replay_candles binance-spot-btcusdt-20240808 binance/BTC%2FUSDT
    replay_candles binance-usdm-ethusdt-20240808 binanceusdm/ETH%2FUSDT:USDT
else
    echo "no recordings at $recordings (set TICKWIRE_RECORDINGS): their candles are not compared"
fi
finish
