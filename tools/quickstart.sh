#!/usr/bin/env bash
# quickstart.sh - installs what is missing, builds, and shows the main job: the engine streams a simulated market to ten
# bots that check every message, with a line of figures each second. The README's first command.
#
# Usage:     tools/quickstart.sh [BOT OPTION...]     e.g. --duration 60s, -n 100, --codec flatbuffers
# Ends:      by itself after 15 seconds, or on Ctrl-C. Leaves nothing running. Exit 0 if every message arrived.
# Non-goals: measuring. For that see bench/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=build/release/bin
log=build/quickstart.log
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
engine_pid=

say() { printf '\n== %s\n' "$*"; }

build_programs() {
    local build_log=build/quickstart-build.log
    mkdir -p build
    if ! { cmake --preset release && cmake --build --preset release -j "$jobs" --target engine bot; } \
        >"$build_log" 2>&1; then
        tail -n 40 "$build_log" >&2
        echo "quickstart: the build failed; all of it is in $build_log" >&2
        exit 1
    fi
}

stop_engine() {
    [ -z "$engine_pid" ] || kill -TERM "$engine_pid" 2>/dev/null || true
    [ -z "$engine_pid" ] || wait "$engine_pid" || true
    engine_pid=
}

# Starts the engine on a free port and sets `url` as soon as it says that it listens.
start_engine() {
    local deadline=$((SECONDS + 20))
    : >"$log"
    set -m # in a process group of its own, so that Ctrl-C reaches the bots only
    "$bin/engine" -c configs/feed.toml --port 0 >>"$log" 2>&1 </dev/null &
    engine_pid=$!
    set +m
    while ! grep -q '^ready$' "$log"; do
        if ! kill -0 "$engine_pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            cat "$log" >&2
            echo "quickstart: the engine did not start" >&2
            exit 1
        fi
        sleep 0.1
    done
    cat "$log"
    url=$(sed -n 's/^listening on \(ws:.*\)$/\1/p' "$log" | head -n 1)
}

say "installing what is missing"
bash tools/setup.sh run

say "building"
build_programs
echo "$bin/engine and $bin/bot are ready"

trap stop_engine EXIT
say "starting the engine: $bin/engine -c configs/feed.toml --port 0"
start_engine
shown=$(wc -l <"$log")

bot=("$bin/bot" --url "$url" -n 10 --channels trade,quote,book --duration 15s --live "$@")
say "ten bots for 15 seconds, Ctrl-C ends it: ${bot[*]}"
trap : INT # the bots get Ctrl-C themselves; this script goes on to its end
code=0
"${bot[@]}" || code=$?

say "stopping the engine"
stop_engine
tail -n +$((shown + 1)) "$log"

if [ "$code" != 0 ]; then
    echo "quickstart: the bots met errors (exit code $code), see above" >&2
    exit "$code"
fi
cat <<TEXT

== what to try next

  $bin/engine -c configs/feed.toml
      keeps it running on port 9001; then in another terminal:
  $bin/bot -n 1000 --duration 30s
      a thousand subscribers; bot --help lists what it can measure
  $bin/engine --feed.rate=100000 --feed.mode=burst
      a busier market; every key is in docs/CONFIGURATION.md
  curl -s http://127.0.0.1:9001/metrics
      the engine's figures, for Prometheus
  tools/test.sh
      every test
TEXT
