#!/usr/bin/env bash
# cross_check.sh - compiles the portable sources for arm64 macOS and arm64 Linux, on a Linux host without their SDKs.
#
# Usage:     tools/cross_check.sh [macos] [linux]     both without arguments
# Compiler:  zig, from the package `ziglang` of the Python package index (clang, and the C libraries' own headers for
#            every target). ZIG="path/to/zig" takes another one. It is kept in build/cross/, as are the objects: a second
#            run compiles only what has changed.
# Headers:   of OpenSSL, curl, zlib, jansson, zstd, toml++ and liburing are the host's. All of them are the same text on every
#            64-bit little-endian Unix; they are copied to a folder of their own, so that no other header of the host
#            can answer for one that the target lacks.
# Checks:    warnings are errors, as in the build; then every internal name that some object needs must be defined by
#            one that is built for the same target (tools/cross_symbols.py). Nothing is run.
# Non-goals: linking with the libraries; the tests (which find their way with the build on a real machine).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

zig_version=0.17.0
folder=build/cross
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

say() { printf 'cross_check: %s\n' "$*"; }

# Compiled by one system only. The build says the same (tw_folder_library in tools/cmake/TickwireBuild.cmake).
linux_only='/(loop_uring|uring_setup|loop_epoll)\.c$'
other_only='/loop_kqueue\.c$'

get_zig() {
    if [ -n "${ZIG:-}" ]; then
        zig=$ZIG
        return
    fi
    local home=$folder/zig-$zig_version
    if [ ! -e "$home/ready" ]; then
        say "getting zig $zig_version"
        rm -rf "$home"
        mkdir -p "$home"
        python3 -m pip install -q --disable-pip-version-check --no-deps --target "$home" "ziglang==$zig_version" ||
            python3 -m pip install -q --disable-pip-version-check --break-system-packages --no-deps --target "$home" \
                "ziglang==$zig_version"
        touch "$home/ready"
    fi
    zig=$PWD/$home/ziglang/zig
}

# Copies a header, or a folder of them, from the host's include path.
copy_header() { # NAME
    local from found=
    for from in /usr/include "/usr/include/$(gcc -print-multiarch 2>/dev/null || true)"; do
        [ -e "$from/$1" ] || continue
        mkdir -p "$(dirname "$headers/$1")"
        cp -R "$from/$1" "$(dirname "$headers/$1")/"
        found=1
    done
    [ -n "$found" ] || say "the host has no $1; what needs it will not compile"
}

stage_headers() {
    headers=$folder/include
    rm -rf "$headers.new"
    local kept=$headers
    headers=$headers.new
    for name in openssl curl zlib.h zconf.h jansson.h jansson_config.h zstd.h zstd_errors.h toml++; do
        copy_header "$name"
    done
    headers=$kept
    local uring=$folder/include-linux
    rm -rf "$uring.new"
    headers=$uring.new
    for name in liburing liburing.h; do
        copy_header "$name"
    done
    # Unchanged headers keep their times, so that nothing is compiled again for them.
    for name in "$kept" "$uring"; do
        if diff -rq "$name" "$name.new" >/dev/null 2>&1; then
            rm -rf "$name.new"
        else
            rm -rf "$name"
            mv "$name.new" "$name"
        fi
    done
    headers=$kept
}

list_sources() { # TARGET
    local leave=$other_only
    [ "$1" = linux ] || leave=$linux_only
    cmake -DFILE=engine/http/dashboard.html -DHEADER=engine/http/dashboard.h -DNAME=twi_dashboard_page \
        -DOUT="$folder/twi_dashboard_page.c" -P tools/cmake/TickwireEmbed.cmake
    echo "$folder/twi_dashboard_page.c"
    find engine feed codecs subscribers tools examples -name '*.c' -o -name '*.cpp' | grep -Ev "$leave" | sort
}

# One ninja file per target: compiles in parallel, and only what has changed.
write_rules() { # TARGET TRIPLE FLAGS
    local source object objects=
    {
        printf 'builddir = %s/%s\n' "$folder" "$1"
        printf 'flags = -target %s -I include -I . -isystem %s %s' "$2" "$headers" "$3"
        printf ' -O1 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wundef -Wvla'
        printf ' -Wno-unterminated-string-initialization -DTWI_HAVE_ZSTD=1\n'
        printf 'rule cc\n  command = %s cc $flags -std=gnu11 -Wstrict-prototypes -Wmissing-prototypes' "$zig"
        printf ' -MMD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n  description = %s $in\n' "$1"
        printf 'rule cxx\n  command = %s c++ $flags -std=gnu++17 -DTOML_HEADER_ONLY=0 -DTOML_SHARED_LIB=1' "$zig"
        printf ' -MMD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n  description = %s $in\n' "$1"
        for source in $(list_sources "$1"); do
            object=$folder/$1/$source.o
            objects+=" $object"
            case $source in
            *.cpp) printf 'build %s: cxx %s\n' "$object" "$source" ;;
            *) printf 'build %s: cc %s\n' "$object" "$source" ;;
            esac
        done
        printf 'rule symbols\n  command = python3 tools/cross_symbols.py $in && touch $out\n  description = %s names\n' "$1"
        printf 'build %s/%s.ok: symbols%s | tools/cross_symbols.py\n' "$folder" "$1" "$objects"
    } >"$folder/$1.ninja"
}

check() { # TARGET TRIPLE FLAGS
    write_rules "$@"
    ZIG_GLOBAL_CACHE_DIR=$PWD/$folder/zig-cache ZIG_LOCAL_CACHE_DIR=$PWD/$folder/zig-cache \
        nice ninja -f "$folder/$1.ninja" -j "$jobs" -k 20 --quiet "$folder/$1.ok" || return 1
    say "$2: $(list_sources "$1" | wc -l) files compile"
}

[ $# -gt 0 ] || set -- macos linux
mkdir -p "$folder"
get_zig
stage_headers
failed=0
for target in "$@"; do
    case $target in
    macos) check macos aarch64-macos.13.0 '' || failed=1 ;;
    linux) check linux aarch64-linux-gnu.2.36 "-D_GNU_SOURCE -isystem $folder/include-linux" || failed=1 ;;
    *)
        say "unknown target '$target': macos, linux" >&2
        exit 2
        ;;
    esac
done
exit "$failed"
