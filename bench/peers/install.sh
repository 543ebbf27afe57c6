#!/usr/bin/env bash
# install.sh - installs the peers of bench/run_iterations --peers into build/peers, from the package registries.
#
# Usage:     bench/peers/install.sh [PACKAGE...]   all that requirements.txt and package.json pin, or only these
# Needs:     python3 with venv; node and npm for ws. What cannot be installed is named and left out; --peers then skips it.
# Exit code: 0 if at least one peer is there, 1 otherwise.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$here/../../build/peers
mkdir -p "$target" && cd "$target" || exit 1
good=0 bad=()

python3 -m venv venv || {
    echo "install: python3 has no venv; install python3-venv" >&2
    exit 1
}
wanted=("$@")
if [ ${#wanted[@]} = 0 ]; then
    # All at once is faster; one by one if that fails, so that one missing package does not cost the others.
    if venv/bin/pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" 2>pip.log; then
        good=1
    else
        while read -r package; do
            wanted+=("${package%%==*}")
        done < <(grep -E '^[a-z]' "$here/requirements.txt")
    fi
fi
for package in ${wanted[@]+"${wanted[@]}"}; do
    [ "$package" != ws ] || continue
    pinned=$(grep -E "^$package(==|$)" "$here/requirements.txt" || echo "$package")
    if venv/bin/pip install --quiet --disable-pip-version-check "$pinned" 2>pip.log; then
        good=1
    else
        bad+=("$package: $(tail -n 1 pip.log)")
    fi
done
if [ $# = 0 ] || [[ " $* " = *" ws "* ]]; then
    cp "$here/package.json" .
    if ! command -v npm >/dev/null 2>&1; then
        bad+=("ws: npm is missing")
    elif npm install --silent --no-audit --no-fund >npm.log 2>&1; then
        good=1
    else
        bad+=("ws: $(tail -n 1 npm.log)")
    fi
fi
for line in ${bad[@]+"${bad[@]}"}; do
    echo "install: left out $line" >&2
done
venv/bin/pip list --disable-pip-version-check --format=freeze 2>/dev/null
[ ! -e node_modules/ws/package.json ] || echo "ws $(node -p "require('./node_modules/ws/package.json').version")"
[ "$good" = 1 ]
