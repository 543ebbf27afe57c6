#!/usr/bin/env bash
# setup.sh - installs what Tickwire is built from, on Debian (apt-get) or macOS (Homebrew).
#
# Usage:     tools/setup.sh [run|test|bench]...   run: build and run it; test: also run every test; bench: the comparisons.
# Again:     does nothing, and asks nobody, when everything is there.
# Non-goals: other systems (it lists what is needed and fails), pinned versions, anything outside the package manager.
set -euo pipefail

run_debian=(gcc g++ cmake ninja-build pkg-config libc6-dev libssl-dev libcurl4-openssl-dev zlib1g-dev libtomlplusplus-dev libjansson-dev
    liburing-dev libjemalloc-dev libcmocka-dev libzstd-dev)
test_debian=(git python3 python3-pip python3-numpy clang libclang-rt-14-dev clang-format libflatbuffers-dev flatbuffers-compiler)
bench_debian=(gnuplot-nox wrk python3 python3-venv nodejs npm libsimdjson-dev libck-dev)

run_brew=(cmake ninja pkg-config openssl@3 curl zlib tomlplusplus jansson jemalloc cmocka zstd)
test_brew=(git python3 clang-format flatbuffers)
bench_brew=(gnuplot wrk python3 node simdjson concurrencykit)

say() { printf 'setup: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "need root to run: $*" >&2
        return 1
    fi
}

setup_debian() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        say "all $# packages are installed"
        return
    fi
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq </dev/null
    as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
    say "installed ${#missing[@]} packages"
}

setup_brew() {
    local missing=() package
    for package in "$@"; do
        brew list --versions "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        say "all $# packages are installed"
        return
    fi
    say "installing ${missing[*]}"
    HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet "${missing[@]}" </dev/null
}

[ $# -gt 0 ] || set -- run test
debian=() brew=()
for group in "$@"; do
    case $group in
    run) debian+=("${run_debian[@]}") brew+=("${run_brew[@]}") ;;
    test) debian+=("${test_debian[@]}") brew+=("${test_brew[@]}") ;;
    bench) debian+=("${bench_debian[@]}") brew+=("${bench_brew[@]}") ;;
    *)
        say "unknown group '$group': run, test or bench" >&2
        exit 2
        ;;
    esac
done

if command -v apt-get >/dev/null 2>&1; then
    setup_debian "${debian[@]}"
elif command -v brew >/dev/null 2>&1; then
    setup_brew "${brew[@]}"
else
    say "neither apt-get nor brew here; install what corresponds to these Debian packages, then build with cmake:" >&2
    say "${debian[*]}" >&2
    exit 1
fi
