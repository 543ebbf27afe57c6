#!/usr/bin/env bash
# language_clients_test.sh BIN SCRATCH - the Python package and the JavaScript client of subscribers/ against running
# engines. What is not there (NumPy, Node, a package registry) is named and left out; exit 77 if nothing ran.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
set -uo pipefail
trap finish EXIT
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
subscribers=$(cd "$here/../../subscribers" && pwd)
ran=0

library=$(find "$bin/../lib" -name 'libtickwire.so' -o -name 'libtickwire.dylib' 2>/dev/null | head -n 1)
cache=$bin/../language-clients # kept between runs
mkdir -p "$cache"

python_with_numpy() {
    local python
    for python in python3 "$cache/venv/bin/python"; do
        "$python" -c 'import numpy' 2>/dev/null && printf '%s\n' "$python" && return
    done
    python3 -m venv "$cache/venv" && timeout 60 "$cache/venv/bin/pip" -q install --retries 1 numpy && printf '%s\n' "$python"
} 2>"$scratch/pip.log"

test_python() {
    local python
    if [ -z "$library" ] || grep -q __asan_init "$library" || grep -q __tsan_init "$library"; then
        echo 'left out: Python (no shared library that a plain Python can load)'
    elif ! python=$(python_with_numpy); then
        echo 'left out: Python (no NumPy, and it could not be installed)'
    else
        ran=$((ran + 1))
        check 'the Python package' env TICKWIRE_LIBRARY="$library" PYTHONPATH="$subscribers/python" \
            PYTHONDONTWRITEBYTECODE=1 timeout 60 "$python" "$here/clients/python_package.py"
    fi
}

node_can() {
    command -v node >/dev/null || return 1
    node -e 'process.exit(globalThis.WebSocket ? 0 : 1)' && return
    [ -d "$cache/node_modules/ws" ] || timeout 60 npm install --silent --prefix "$cache" ws >"$scratch/npm.log" 2>&1
}

test_javascript() {
    if ! node_can; then
        echo 'left out: JavaScript (no Node, or no WebSocket for it)'
        return
    fi
    ran=$((ran + 1))
    cp "$here/clients/js_client.mjs" "$cache/"
    start_engine --feed.rate=2000 || return
    check 'the JavaScript client' timeout 60 node "$cache/js_client.mjs" "$url" "$subscribers/js"
    cat "$scratch/out"
    stop_engine
}

test_python
test_javascript
if [ "$ran" = 0 ]; then
    trap - EXIT
    exit 77
fi
