#!/usr/bin/env bash
# command_line_test.sh BIN SCRATCH - the engine's command line as a user meets it: what it prints and how it exits.
set -uo pipefail
bin=$1 scratch=$2 failures=0
rm -rf "$scratch" && mkdir -p "$scratch"

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$1"
    sed 's/^/    /' "$scratch/out"
}

# expect CODE PATTERN ARGUMENT...: runs the engine; its exit code and a line of its output must match.
expect() {
    local code=$1 pattern=$2
    shift 2
    timeout 20 "$bin/engine" "$@" >"$scratch/out" 2>&1 </dev/null
    local got=$?
    [ "$got" = "$code" ] || fail "engine $*: exit code $got instead of $code"
    grep -qE -- "$pattern" "$scratch/out" || fail "engine $*: no line like $pattern"
}

printf '[listen]\nprot = 1\n' >"$scratch/wrong.toml"
printf '[listen]\nport = 0\n[[feed]]\nrate = 10\n' >"$scratch/good.toml"

expect 0 '^engine - ' --help
expect 0 '^tickwire [0-9]' --version
expect 0 '^\[\[feed\]\]$' --example-config
expect 0 'is good$' -c "$scratch/good.toml" --check-config
expect 0 ' total +[0-9]+ MiB' -c "$scratch/good.toml" --check-config
expect 0 '^port = 0 .*good.toml:2$' -c "$scratch/good.toml" --print-config
expect 0 '^rate = 7 .*# flag$' -c "$scratch/good.toml" --feed.rate=7 --print-config
expect 2 'wrong.toml:2: listen.prot: unknown key; did you mean port\?' -c "$scratch/wrong.toml" --check-config
expect 2 'wrong.toml:2: listen.prot: unknown key' -c "$scratch/wrong.toml"
expect 2 'absent.toml: cannot be read: No such file' -c absent.toml
expect 2 'did you mean --port' --prot 1
TICKWIRE_LISTEN_PORT=99999 expect 2 'environment TICKWIRE_LISTEN_PORT: is 99999, the most is 65535'
expect 1 'error engine: bind 203.0.113.1 port 0: ' --port 0 --host 203.0.113.1
expect 1 'not an IPv4 or IPv6 address' --port 0 --host localhost

# What --example-config prints is a configuration that changes nothing.
"$bin/engine" --example-config >"$scratch/example.toml"
expect 0 'is good$' -c "$scratch/example.toml" --check-config
cmp -s "$scratch/example.toml" configs/feed.toml || fail "configs/feed.toml is not what --example-config prints"

[ "$failures" = 0 ] && echo "all as expected"
[ "$failures" = 0 ]
