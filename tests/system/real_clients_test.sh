#!/usr/bin/env bash
# real_clients_test.sh BIN SCRATCH - clients that others wrote read from a running engine: Python websockets and aiohttp,
# Node ws, FlatBuffers in Python by flatc's code, a browser page. A client that cannot be installed or is not there is
# named and left out; exit 77 if none ran.
set -u
bin=$1
scratch=$2
clients=$(cd "$(dirname "$0")/clients" && pwd)
schema=$(cd "$(dirname "$0")/../.." && pwd)/codecs/flatbuffers/market.fbs
mkdir -p "$scratch"
ran=0
failed=0

rm -f "$scratch/engine" # of an earlier run
"$bin/engine" --port 0 --feed.rate=2000 >"$scratch/engine" 2>"$scratch/engine.log" &
engine=$!
trap 'kill "$engine" 2>/dev/null; wait "$engine" 2>/dev/null' EXIT
until grep -qs ready "$scratch/engine"; do
  kill -0 "$engine" 2>/dev/null || { cat "$scratch/engine.log"; exit 1; }
  read -rt 0.05 <> <(:) || :
done
url=$(grep -o 'ws://[^ ]*' "$scratch/engine")

check() { # NAME COMMAND...
  local name=$1
  shift
  ran=$((ran + 1))
  if timeout 60 "$@" >"$scratch/out" 2>&1; then
    tail -n 1 "$scratch/out"
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
    tail -n 15 "$scratch/out"
  fi
}

if [ ! -x "$scratch/venv/bin/python" ]; then
  python3 -m venv "$scratch/venv" && timeout 60 "$scratch/venv/bin/pip" -q install --retries 1 websockets aiohttp flatbuffers
fi >"$scratch/pip.log" 2>&1
python=$scratch/venv/bin/python
if "$python" -c 'import websockets, aiohttp, flatbuffers' 2>/dev/null; then
  check websockets "$python" "$clients/with_websockets.py" "$url"
  check aiohttp "$python" "$clients/with_aiohttp.py" "$url"
  if command -v flatc >/dev/null && flatc --python -o "$scratch/generated" "$schema"; then
    check flatbuffers "$python" "$clients/flatbuffers_python.py" "$url" "$scratch/generated"
  else
    echo "left out: FlatBuffers in Python (no flatc)"
  fi
else
  echo "left out: Python clients (the packages could not be installed)"
fi

if command -v npm >/dev/null && { [ -d "$scratch/node_modules/ws" ] || timeout 40 npm install --silent --prefix "$scratch" ws >"$scratch/npm.log" 2>&1; }; then
  cp "$clients/with_ws.mjs" "$scratch/"
  check ws node "$scratch/with_ws.mjs" "$url"
else
  echo "left out: Node ws (no npm, or the package could not be installed)"
fi

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || :)
if [ -n "$browser" ] && [ -d "$scratch/node_modules/ws" ]; then
  cp "$clients/with_browser.mjs" "$scratch/"
  check browser node "$scratch/with_browser.mjs" "$browser" "$clients/page.html" "$url" "$scratch/profile"
else
  echo "left out: browser page (no chromium, or no Node ws to drive it)"
fi

[ "$ran" -gt 0 ] || exit 77
[ "$failed" = 0 ]
