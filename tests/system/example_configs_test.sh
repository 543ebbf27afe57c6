#!/usr/bin/env bash
# example_configs_test.sh BIN SCRATCH - every configuration that comes with the project is good.
set -uo pipefail
bin=$1 scratch=$2 failures=0
rm -rf "$scratch" && mkdir -p "$scratch"
for config in configs/*.toml configs/examples/*.toml; do
    timeout 20 "$bin/engine" -c "$config" --check-config >"$scratch/out" 2>&1 </dev/null && continue
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$config"
    sed 's/^/    /' "$scratch/out"
done
[ "$failures" = 0 ] && echo "all as expected"
[ "$failures" = 0 ]
