#!/usr/bin/env bash
# exchange_api_test.sh - the example programs of the exchange API against the simulated venues: markets, trades and books over
# plain and encrypted connections, and what they say and return when something is not as it should be.
# Usage: exchange_api_test.sh BIN SCRATCH
set -uo pipefail
bin=$1 scratch=$2
mkdir -p "$scratch"
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }
failures=0
simulator=

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

stop() {
    [ -n "$simulator" ] && kill "$simulator" 2>/dev/null && wait "$simulator" 2>/dev/null
    simulator=
}
trap stop EXIT

# Starts a simulated venue and sets stream, rest and ca.
start() { # VENUE ARGUMENT...
    local deadline=$((SECONDS + 20))
    stop
    : >"$scratch/simulator"
    python3 tests/exchange/exchange_sim.py --venue "$@" --folder "$scratch" >"$scratch/simulator" 2>&1 </dev/null &
    simulator=$!
    until grep -q '^stream_url=' "$scratch/simulator"; do
        if ! kill -0 "$simulator" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            fail "the simulated venue does not start"
            cat "$scratch/simulator"
            exit 1
        fi
        read -r -t 0.02 <> <(:) || true
    done
    stream=$(sed -n 's/.*stream_url=\([^ ]*\).*/\1/p' "$scratch/simulator")
    rest=$(sed -n 's/.*rest_url=\([^ ]*\).*/\1/p' "$scratch/simulator")
    ca=$(sed -n 's/.*ca_file=\([^ ]*\).*/\1/p' "$scratch/simulator")
}

# Runs a program with a time limit; its words are in out and err. Fails if the exit code is another.
run() { # CODE PROGRAM ARGUMENT...
    local want=$1 code
    shift
    timeout 20 "$bin/$@" >"$scratch/out" 2>"$scratch/err"
    code=$?
    [ "$code" = "$want" ] || { fail "$* gave exit code $code, not $want"; cat "$scratch/out" "$scratch/err"; }
}

said() { # FILE PATTERN
    grep -qE "$2" "$scratch/$1" || { fail "\"$2\" is not in what was said:"; cat "$scratch/$1"; }
}

export https_proxy='' http_proxy='' no_proxy='*'
start binance --seed 3 --steps 1500 --speed 1
run 0 fetch_markets binance --url "$rest"
said out '^BTC/USDT +id BTCUSDT +price 0\.01 amount 0\.00001'
run 0 watch_trades binance BTC/USDT ETH/USDT --count 5 --url "$rest" --stream-url "$stream"
said out '^(BTC|ETH)/USDT [0-9]+ (buy|sell) [0-9.]+ at [0-9.]+$'
[ "$(wc -l <"$scratch/out")" = 5 ] || fail "five trades were asked for, $(wc -l <"$scratch/out") came"
run 0 watch_order_book binance BTC/USDT --levels 2 --count 2 --url "$rest" --stream-url "$stream"
said out '^BTC/USDT nonce [0-9]+$'
said err '^BTC/USDT is ok$'
awk '/nonce/ { ask = "" } / ask / { ask = $2 } / bid / { if (ask != "" && $2 + 0 >= ask + 0) exit 1 }' \
    "$scratch/out" || fail "a book is crossed or out of order"
run 1 watch_trades binance BTC/NOTHING --url "$rest" --stream-url "$stream"
said err '^BadSymbol: binance watch_trades BTC/NOTHING: .*there is "BTC/USDT"'
run 1 fetch_markets nowhere
said err '^NotSupported: .*"nowhere"; there are binance '
run 1 fetch_markets binance --url http://127.0.0.1:1
said err '^NetworkError: binance load_markets: '
run 2 watch_trades binance
said err '^usage: watch_trades'

start kraken --seed 4 --steps 1500 --speed 1 --tls
run 0 watch_order_book kraken BTC/USD --levels 1 --count 2 --url "$rest" --stream-url "$stream" --ca-file "$ca"
said out '^BTC/USD nonce 0$'
run 1 fetch_markets kraken --url "$rest"
said err '^NetworkError: .*certificate'
exit $((failures > 0))
