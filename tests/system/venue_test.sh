#!/usr/bin/env bash
# venue_test.sh BIN SCRATCH - the engine and a venue over real sockets: wss with a certificate of our own, certificates
# that are not good, frames that are too long, a venue that is not there, recording and replaying.
# Also under ThreadSanitizer: resolver, REST worker and loop are three threads.
set -uo pipefail
. tests/system/lib.sh
command -v python3 >/dev/null && command -v openssl >/dev/null || { echo "skipped: needs python3 and openssl"; exit 77; }
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; [ -z "$engine_pid" ] || kill -KILL "$engine_pid" 2>/dev/null' EXIT
unset HTTPS_PROXY https_proxy http_proxy ALL_PROXY all_proxy

# serve ARGUMENT...: sets server_port.
serve() {
    local log=$scratch/server.${#servers[@]}
    python3 tests/system/venue_server.py "$@" >"$log" 2>"$log.err" </dev/null &
    servers+=($!)
    wait_for '^port [0-9]+$' "$log"
    server_port=$(sed -n 's/^port //p' "$log")
}

wait_for() { # PATTERN FILE
    timeout 20 bash -c 'until grep -qE -- "$1" "$2" 2>/dev/null; do read -rt 0.05 <> <(:) || :; done' _ "$1" "$2" ||
        fail "no line like $1 in $2" "$2"
}

metric() { # NAME: its value in /metrics
    python3 -c 'import sys, urllib.request
text = urllib.request.urlopen(sys.argv[1].replace("ws://", "http://").replace("/v1/stream", "/metrics"), timeout=10).read().decode()
print(next((line.split()[-1] for line in text.splitlines() if line.startswith(sys.argv[2])), "none"))' "$url" "$1"
}

at_least() { # NAME COUNT: within ten seconds
    local deadline=$((SECONDS + 10)) value=
    while [ "$SECONDS" -lt "$deadline" ]; do
        value=$(metric "$1")
        [ "$value" != none ] && [ "${value%.*}" -ge "$2" ] && return
        read -r -t 0.1 <> <(:) || true
    done
    fail "$1 is $value, less than $2" "$engine_log"
}

config() { # NAME SCHEME PORT LINE...
    local file=$scratch/$1.toml scheme=$2 port=$3
    shift 3
    {
        printf '[limits]\nconnections_max = 100\n[[feed]]\ntype = "venue"\nexchange = "binance"\nsymbols = ["BTC/USDT"]\n'
        printf 'channels = ["trade", "book"]\nstream_url = "%s://localhost:%s/stream"\n' "$scheme" "$port"
        printf 'rest_url = "%s://localhost:%s"\nretry_max = "500ms"\n' "http${scheme#ws}" "$port"
        [ $# = 0 ] || printf '%s\n' "$@"
    } >"$file"
}

certificate() { # NAME SUBJECT-ALTERNATIVE-NAME
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$scratch/$1.key" -out "$scratch/$1.csr" \
        -subj "/CN=$1" >/dev/null 2>&1
    printf 'subjectAltName=%s\n' "$2" >"$scratch/$1.ext"
    openssl x509 -req -in "$scratch/$1.csr" -CA "$scratch/ca.pem" -CAkey "$scratch/ca.key" -set_serial "$RANDOM" -days 2 \
        -out "$scratch/$1.pem" -extfile "$scratch/$1.ext" >/dev/null 2>&1
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$scratch/ca.key" -out "$scratch/ca.pem" \
    -days 2 -subj "/CN=test authority" >/dev/null 2>&1
certificate good DNS:localhost
certificate other DNS:elsewhere.example

# ---- wss with one thread and with two: events come, and are counted ----
serve --cert "$scratch/good.pem" --key "$scratch/good.key"
good_port=$server_port
config good wss "$good_port" "ca_file = \"$scratch/ca.pem\""
for threads in 1 2; do
    start_engine -c "$scratch/good.toml" --engine.threads="$threads"
    at_least 'tickwire_feed_events_total{feed="binance"}' 20
    grep -q 'connected to localhost:.*TLSv1' "$engine_log" || fail "no word of the connection" "$engine_log"
    [ "$(metric tickwire_feed_up)" = 1 ] || fail "feed_up is not 1"
    kill -TERM "$engine_pid"
    wait "$engine_pid" || fail "threads=$threads: exit code $?" "$engine_log"
    engine_pid=
done

# ---- certificates that are not good: said with the remedy, counted, and the engine lives ----
config distrusted wss "$good_port"
start_engine -c "$scratch/distrusted.toml"
at_least 'tickwire_feed_connection_ends_total{feed="binance",reason="certificate"}' 2
grep -q 'error venue: .*localhost.*unable to get local issuer certificate.*ca_file' "$engine_log" ||
    fail "the refusal does not name host and remedy" "$engine_log"
kill -TERM "$engine_pid" && wait "$engine_pid"
serve --cert "$scratch/other.pem" --key "$scratch/other.key"
config misnamed wss "$server_port" "ca_file = \"$scratch/ca.pem\""
start_engine -c "$scratch/misnamed.toml"
at_least 'tickwire_feed_connection_ends_total{feed="binance",reason="certificate"}' 1
grep -q 'localhost.*hostname mismatch' "$engine_log" || fail "no word of the wrong name" "$engine_log"
kill -TERM "$engine_pid" && wait "$engine_pid"

# ---- too long, endless, refused ----
serve --mode big
config big ws "$server_port"
start_engine -c "$scratch/big.toml"
at_least 'tickwire_feed_connection_ends_total{feed="binance",reason="too_big"}' 1
grep -q 'at most 1048576 bytes' "$engine_log" || fail "the limit is not named" "$engine_log"
at_least 'tickwire_feed_reconnects_total{feed="binance"}' 1
kill -TERM "$engine_pid" && wait "$engine_pid"
serve --mode refuse
config refuse ws "$server_port"
start_engine -c "$scratch/refuse.toml"
at_least 'tickwire_feed_throttled_total{feed="binance"}' 1
grep -q '429 Too Many Requests' "$engine_log" || fail "no word of the refusal" "$engine_log"
kill -TERM "$engine_pid" && wait "$engine_pid"
engine_pid=

# ---- a venue that comes later ----
python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])' >"$scratch/free"
config absent ws "$(cat "$scratch/free")"
start_engine -c "$scratch/absent.toml"
at_least 'tickwire_feed_connection_ends_total{feed="binance",reason="connect"}' 2
grep -q "cannot open connection 0: localhost port" "$engine_log" || fail "no word of what cannot be reached" "$engine_log"
kill -TERM "$engine_pid" && wait "$engine_pid"
engine_pid=

# ---- recorded, and played ----
if [ -x "$bin/tw" ]; then
    check "tw record --venue" timeout 20 "$bin/tw" record --venue binance --symbols BTC/USDT --channels trade,book \
        --out "$scratch/x.twc" --count 30 --ca-file "$scratch/ca.pem" \
        --stream-url "wss://localhost:$good_port/stream" --rest-url "https://localhost:$good_port"
    check "tw replay of it" timeout 20 "$bin/tw" replay "$scratch/x.twc" --summary
    grep -qE 'BTCUSDT \(BTC/USDT\): trades=[1-9].* state=(syncing|ok)' "$scratch/out" ||
        fail "the recording has no trades, or ends with a lost connection" "$scratch/out"
fi
finish
