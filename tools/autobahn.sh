#!/usr/bin/env bash
# autobahn.sh - runs the public WebSocket conformance suite (Autobahn, 517 cases) against ws_echo and ws_echo_client.
#
# Usage:     tools/autobahn.sh [--role server|client|both] [--loop NAME] [--cases "1.* 2.*"] [--setup]
#            --setup builds an environment with the suite in build/autobahn-env. It needs a Python 2.7 (the suite has no
#            release that runs on Python 3): PYTHON27=/path/to/python2.7, or python2.7 in the PATH. Or set WSTEST to a
#            wstest program, for example a wrapper of the container image crossbario/autobahn-testsuite.
# Output:    the verdicts counted, each case that did not pass, and the suite's own pages in build/autobahn/.
#            Exit 0: every case is OK, or informational where the suite gives no verdict. All cases take about 25 minutes
#            for each role; sections 9, 12 and 13 are nearly all of it (--cases "1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.*": 10 s).
# Non-goals: being part of the ordinary test run; tests/conformance/websocket is the fast suite of the project's own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

role=both loop=auto cases='*' setup=no
build=${TICKWIRE_BUILD:-build/release}
environment=build/autobahn-env
reports=build/autobahn

while [ $# -gt 0 ]; do
    case $1 in
    --role) role=$2 && shift ;;
    --loop) loop=$2 && shift ;;
    --cases) cases=$2 && shift ;;
    --setup) setup=yes ;;
    *) sed -n '2,12p' "${BASH_SOURCE[0]}" && exit 2 ;;
    esac
    shift
done

fail() { echo "autobahn: $*" >&2 && exit 1; }

set_up() {
    local python=${PYTHON27:-$(command -v python2.7 || true)}
    [ -n "$python" ] || fail 'no python2.7; set PYTHON27, or WSTEST to a wstest that works'
    "$python" -m virtualenv --version >/dev/null 2>&1 || "$python" -m pip install --user 'virtualenv<20.22'
    "$python" -m virtualenv "$environment"
    "$environment/bin/pip" install 'autobahntestsuite==0.8.2'
}

# A port that nobody listens on; the suite's server cannot choose one itself.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The patterns as a JSON list.
case_list() { python3 -c 'import json, sys; print(json.dumps(sys.argv[1].split()))' "$cases"; }

wait_for() { # FILE PATTERN
    local i
    for i in $(seq 300); do
        grep -q "$2" "$1" 2>/dev/null && return
        sleep 0.1
    done
    fail "nothing like '$2' in $1"
}

verdicts() { # REPORT
    python3 - "$1" <<'PYTHON'
import collections, json, sys
counts, bad = collections.Counter(), []
for agent in json.load(open(sys.argv[1])).values():
    for case, verdict in agent.items():
        pair = (verdict["behavior"], verdict["behaviorClose"])
        counts[pair] += 1
        if pair != ("OK", "OK") and pair[0] != "INFORMATIONAL":
            bad.append((case, *pair))
for pair, count in counts.most_common():
    print(f"  {count:4} {pair[0]} / {pair[1]}")
for case in sorted(bad):
    print("  not passed:", *case)
sys.exit(1 if bad or not counts else 0)
PYTHON
}

running=
stop() { [ -z "$running" ] || kill "$running" 2>/dev/null || true; }
trap stop EXIT

test_server() {
    local log=$reports/ws_echo.log port
    "$build/bin/ws_echo" --port 0 --loop "$loop" >"$log" 2>&1 &
    running=$!
    wait_for "$log" 'listening'
    port=$(sed -n 's/.* port \([0-9]*\)$/\1/p' "$log")
    cat >"$reports/client.json" <<JSON
{"outdir": "$reports/server", "cases": $(case_list), "exclude-cases": [], "exclude-agent-cases": {},
 "servers": [{"agent": "tickwire", "url": "ws://127.0.0.1:$port"}]}
JSON
    "$wstest" -m fuzzingclient -s "$reports/client.json" >"$reports/fuzzingclient.log" 2>&1
    stop
    echo 'ws_echo:' && verdicts "$reports/server/index.json"
}

test_client() {
    local log=$reports/fuzzingserver.log port
    port=$(free_port)
    cat >"$reports/server.json" <<JSON
{"url": "ws://127.0.0.1:$port", "outdir": "$reports/client", "cases": $(case_list), "exclude-cases": [],
 "exclude-agent-cases": {}}
JSON
    "$wstest" -m fuzzingserver -u 0 -s "$reports/server.json" >"$log" 2>&1 &
    running=$!
    for _ in $(seq 100); do # until it listens
        "$build/bin/ws_echo_client" --port "$port" --loop "$loop" >"$reports/ws_echo_client.log" 2>&1 && break
        kill -0 "$running" 2>/dev/null || fail "the suite's server ended, see $log"
        sleep 0.3
    done
    stop
    echo 'ws_echo_client:' && verdicts "$reports/client/index.json"
}

[ $setup = no ] || set_up
wstest=${WSTEST:-$environment/bin/wstest}
[ -x "$wstest" ] || command -v "$wstest" >/dev/null || fail "no $wstest; see --setup"
[ -x "$build/bin/ws_echo" ] || fail "no $build/bin/ws_echo: cmake --preset release && cmake --build --preset release"
mkdir -p "$reports"
case $role in
server) test_server ;;
client) test_client ;;
both) test_server && test_client ;;
*) fail "unknown role $role" ;;
esac
