#!/usr/bin/env bash
# install_test.sh BIN SCRATCH - an installed copy, moved away from where it was installed, builds and runs every example of
# examples/embed with pkg-config only and with CMake only, against the shared and the static library; headers, manual and
# the rest are where they belong.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
set -uo pipefail
build=$(dirname "$bin")
if ! grep -q '^TICKWIRE_SANITIZE:[A-Z]*=$' "$build/CMakeCache.txt"; then
    echo "a library with sanitizers wants programs with the same ones: not tested here"
    exit 77
fi
command -v pkg-config >/dev/null || { echo "pkg-config is not installed"; exit 77; }
scratch=$(cd "$scratch" && pwd)
prefix=$scratch/moved
example= venue=
trap 'for pid in $example $venue; do kill -KILL "$pid" 2>/dev/null; done; finish' EXIT

check "installs" cmake --install "$build" --prefix "$scratch/first"
mv "$scratch/first" "$prefix"
lib=$(dirname "$(find "$prefix" -name tickwire.pc)")/..
for file in bin/engine bin/bot bin/tw include/tickwire/engine.h share/tickwire/market.fbs share/tickwire/configs/feed.toml \
    share/man/man1/engine.1 share/man/man1/tw.1 share/man/man3/tw_engine_open.3 share/man/man3/tickwire-engine.3 \
    share/doc/tickwire/reference/engine.md; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
check "the installed engine knows its version" "$prefix/bin/engine" --version
if grep -rlF "$scratch/first" "$prefix" >"$scratch/named"; then
    fail "these files name the prefix, so the copy cannot be moved" "$scratch/named"
fi

sources=$prefix/share/tickwire/examples/embed
export PKG_CONFIG_PATH=$lib/pkgconfig LD_LIBRARY_PATH=$lib DYLD_LIBRARY_PATH=$lib

with_pkg_config() { # MODULE FOLDER
    local source output
    mkdir -p "$2"
    for source in "$sources"/*.c "$sources"/*.cpp; do
        output=$2/$(basename "${source%.*}")
        case $source in
        *.c) check "pkg-config $1 builds $(basename "$source")" \
            bash -c "${CC:-cc} -Wall -Werror '$source' -o '$output' \$(pkg-config --cflags --libs $1)" ;;
        *) check "pkg-config $1 builds $(basename "$source")" \
            bash -c "${CXX:-c++} -std=c++17 -Wall -Werror '$source' -o '$output' \$(pkg-config --cflags --libs $1)" ;;
        esac
    done
}

with_cmake() { # ON|OFF FOLDER
    check "cmake finds Tickwire (static: $1)" env PKG_CONFIG_PATH= cmake -G Ninja -S "$sources" -B "$2" \
        -DCMAKE_PREFIX_PATH="$prefix" -DTICKWIRE_STATIC="$1" -DCMAKE_BUILD_TYPE=Release
    check "cmake builds the examples (static: $1)" cmake --build "$2" -j 2
}

# Starts an example that serves, and sets `url`.
serve() { # PROGRAM ARGUMENT...
    : >"$scratch/example.log"
    "$@" >"$scratch/example.log" 2>&1 </dev/null &
    example=$!
    local deadline=$((SECONDS + 20))
    until grep -q '^listening on' "$scratch/example.log"; do
        if ! kill -0 "$example" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            fail "$* does not start" "$scratch/example.log"
            return 1
        fi
        read -r -t 0.02 <> <(:) || true
    done
    url=$(sed -n 's/^listening on \(ws:.*\)$/\1/p' "$scratch/example.log" | head -n 1)
}

end() {
    kill -TERM "$example" 2>/dev/null
    wait "$example" || fail "an example does not end well: exit code $?" "$scratch/example.log"
    example=
}

# A subscriber without a library: the CSV lines must be well-formed and numbered without holes.
read_csv() { # URL
    python3 - "$1" <<'EOF'
import re, socket, sys
host, port, path = re.fullmatch(r"ws://([^:/]+):(\d+)(/.*)", sys.argv[1]).groups()
link = socket.create_connection((host, int(port)), timeout=10)
link.sendall((f"GET {path}&channels=trade&symbols=* HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
lines, received, last = [], b"", {}
while len(lines) < 20:
    piece = link.recv(65536)
    assert piece, received
    received += piece
    lines = re.findall(rb"trade,sim,([A-Z0-9/]+),(\d+),([\d.]+),([\d.]+),(\d{19})\n", received)
for symbol, seq, *_ in lines:
    assert int(seq) == last.get(symbol, int(seq) - 1) + 1, (symbol, seq)
    last[symbol] = int(seq)
EOF
}

run() { # FOLDER
    serve "$1/publisher" listen.port=0 ring.name="tw-install-$$" || return
    check "$1: the subscriber reads the publisher" "$1/subscriber" "$url" 20
    check "$1: the consumer reads the ring" timeout 20 "$1/consumer" "tw-install-$$" 20
    venue=$example
    if serve "$1/custom_venue" "$url" BTC/USDT listen.port=0; then
        check "$1: the subscriber reads the venue that relays the publisher" "$1/subscriber" "$url" 20
        end
    fi
    example=$venue venue=
    end
    serve "$1/custom_feed" listen.port=0 || return
    check "$1: the subscriber reads the feed" "$1/subscriber" "$url" 20
    end
    serve "$1/custom_codec" listen.port=0 feed.rate=2000 feed.trade_share=100 || return
    check "$1: lines of the codec" read_csv "$url"
    end
    if command -v ldd >/dev/null && ldd "$1/publisher" | grep jemalloc; then
        fail "$1: the library forces an allocator on its user"
    fi
}

with_pkg_config tickwire "$scratch/pc-shared"
with_pkg_config tickwire-static "$scratch/pc-static"
with_cmake OFF "$scratch/cmake-shared"
with_cmake ON "$scratch/cmake-static"
for folder in pc-shared pc-static cmake-shared cmake-static; do
    run "$scratch/$folder"
done
if command -v ldd >/dev/null; then
    for folder in pc-static cmake-static; do
        ldd "$scratch/$folder/publisher" | grep -q libtickwire && fail "$folder is not static"
    done
fi
