#!/usr/bin/env bash
# shm_test.sh BIN SCRATCH - programs on the engine's host, without a socket: readers of the ring beside WebSocket bots,
# one of them stopped, one killed; strategies over both ways in; an engine that is killed and comes back.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
set -uo pipefail
trap finish EXIT
name=twt.$$

# A measuring reader in the background; its report goes to $scratch/NAME.json.
reader() { # NAME DURATION ARGUMENT...
    local to=$1 duration=$2
    shift 2
    "$bin/bot" --shm "$name" --symbols '*:*' --channels trade,quote,book --warmup 0s --duration "$duration" --json "$@" \
        >"$scratch/$to.json" 2>"$scratch/$to.err" </dev/null &
    pids+=($!)
}

value() { sed -n "s/.*\"$2\":\([0-9.]*\).*/\1/p" "$scratch/$1.json"; }

# Sixteen readers; one is stopped for a second, one is killed: nobody else misses anything.
sixteen() {
    local i pids=()
    start_engine --ring.name="$name" --ring.slots=65536 --feed.rate=20000 || return
    for i in $(seq 16); do
        reader "reader$i" 2s
    done
    check 'a WebSocket bot beside sixteen readers' timeout 60 "$bin/bot" --url "$url" -n 4 --duration 300ms --warmup 100ms
    kill -STOP "${pids[0]}"
    kill -KILL "${pids[1]}"
    read -r -t 1 <> <(:) || true
    kill -CONT "${pids[0]}"
    for i in $(seq 3 16); do
        wait "${pids[i - 1]}" || fail "reader $i of 16: exit code $?" "$scratch/reader$i.err"
        [ "$(value "reader$i" gaps)" = 0 ] || fail "reader $i of 16 missed something" "$scratch/reader$i.json"
        awk -v n="$(value "reader$i" messages)" 'BEGIN { exit !(n > 1000) }' ||
            fail "reader $i of 16 has too few messages" "$scratch/reader$i.json"
    done
    wait "${pids[0]}" "${pids[1]}" 2>/dev/null
    [ -s "$scratch/reader1.json" ] || fail "the reader that was stopped does not end"
    stop_engine
}

# Each strategy over both ways in, all side by side.
strategies() {
    local program from way pids=()
    cat >"$scratch/two.toml" <<TOML
[[feed]]
type = "sim"
exchange = "alpha"
instruments = 2
rate = 1000
[[feed]]
type = "sim"
exchange = "beta"
instruments = 2
rate = 1000
seed = 9
TOML
    start_engine -c "$scratch/two.toml" --ring.name="$name" || return
    for program in print_bot latency_bot spread_monitor imbalance_bot; do
        for from in "shm:$name" "$url"; do
            way=${from%%:*}
            "$bin/$program" --from "$from" --duration 1.5 >"$scratch/$program.$way" 2>&1 </dev/null &
            pids+=($!)
        done
    done
    for program in "${pids[@]}"; do
        wait "$program" || fail "a strategy ends with exit code $?"
    done
    for way in shm ws; do
        for program in 'print_bot:^alpha:BTC/USDT .*trade' 'latency_bot:p99' 'spread_monitor:2 venues, best spread' \
            'imbalance_bot:books looked at'; do
            grep -q -- "${program#*:}" "$scratch/${program%%:*}.$way" ||
                fail "${program%%:*} over $way does not say '${program#*:}'" "$scratch/${program%%:*}.$way"
        done
    done
    stop_engine
}

# The reader sees a killed producer die, waits, and goes on with the next one of that name.
comes_back() {
    local reading deadline
    start_engine --ring.name="$name" || return
    "$bin/tw" sub --shm "$name" --channels trade >"$scratch/sub" 2>"$scratch/sub.err" </dev/null &
    reading=$!
    wait_for_text "$scratch/sub" trade
    kill -KILL "$engine_pid"
    wait "$engine_pid" 2>/dev/null
    wait_for_text "$scratch/sub.err" 'the engine ended'
    : >"$scratch/sub"
    start_engine --ring.name="$name" || return
    wait_for_text "$scratch/sub.err" 'attached again'
    wait_for_text "$scratch/sub" trade
    check 'a WebSocket bot on the second engine' timeout 60 "$bin/bot" --url "$url" --duration 100ms --warmup 50ms
    kill -INT "$reading"
    wait "$reading" || fail "tw sub ends with exit code $? on Ctrl-C" "$scratch/sub.err"
    stop_engine
}

wait_for_text() { # FILE TEXT
    local deadline=$((SECONDS + 20))
    until grep -q "$2" "$1"; do
        [ "$SECONDS" -lt "$deadline" ] || { fail "no '$2' in ${1##*/}" "$1" && return; }
        read -r -t 0.05 <> <(:) || true
    done
}

sixteen
strategies
comes_back
