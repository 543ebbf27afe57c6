#!/usr/bin/env bash
# stream_test.sh BIN SCRATCH - engine and bots as programs: both codecs, one and several threads, every loop that this
# machine has, TCP and Unix socket. Bots exit with 0 only if nothing is missing, doubled or refused.
# Also under ThreadSanitizer.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
set -uo pipefail
trap finish EXIT

bots() { # CODEC ARGUMENT...
    local codec=$1
    shift
    check "bots read $codec" timeout 60 "$bin/bot" -n 8 --codec "$codec" --channels trade,quote,book,status \
        --warmup 100ms --duration 500ms "$@"
}

# run ENGINE ARGUMENT...: one engine, read in both codecs one after the other and at the same time.
run() {
    start_engine --feed.rate=2000 --feed.mode=burst --unix "$scratch/engine.sock" "$@" || return
    bots json --url "$url"
    bots flatbuffers --url "$url" --by-url
    bots json --url "unix:$scratch/engine.sock"
    stop_engine
}

run --threads 1 --loop auto
run --threads 1 --loop epoll --idle yield
run --threads 2 --loop auto
run --threads 3 --loop epoll --idle yield
