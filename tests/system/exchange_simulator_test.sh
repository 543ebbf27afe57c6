#!/usr/bin/env bash
# exchange_simulator_test.sh BIN SCRATCH - the simulated venues (tests/exchange) by themselves: what the tests of the
# engine's live connections rest on. Needs python3 and the openssl program; without them it is left out.
set -uo pipefail
scratch=$2
command -v python3 >/dev/null && python3 -c 'import ssl, sys; sys.exit(sys.version_info < (3, 9))' ||
    { echo "left out: no python3 with ssl, 3.9 or newer"; exit 77; }
command -v openssl >/dev/null || { echo "left out: no openssl program"; exit 77; }
rm -rf "$scratch" && mkdir -p "$scratch"
export PYTHONDONTWRITEBYTECODE=1
folder=$(dirname "${BASH_SOURCE[0]}")/../exchange

timeout 100 python3 "$folder/selftest.py" "$scratch" || exit 1

# The program: address, help, wrong arguments, Ctrl-C.
sim() { timeout 20 python3 "$folder/exchange_sim.py" "$@"; }
sim --help | grep -q 'examples:' || { echo "FAILED: --help"; exit 1; }
sim --venue kraken --break nonsense@1 2>"$scratch/err"
[ $? = 2 ] && grep -q 'nonsense' "$scratch/err" || { echo "FAILED: a wrong break"; exit 1; }
python3 "$folder/exchange_sim.py" --venue kraken --tls --folder "$scratch/tls2" --steps 50 >"$scratch/out" &
program=$!
until grep -q '^stream_url=wss://localhost:[0-9]*/v2 rest_url=https' "$scratch/out"; do
    kill -0 "$program" 2>/dev/null || break
    read -rt 0.05 <> <(:) || :
done
kill -INT "$program"
wait "$program" || { echo "FAILED: exit code after Ctrl-C"; exit 1; }
grep -q '^played 0 delivered 0 connections 0' "$scratch/out" || { echo "FAILED: end on a signal"; cat "$scratch/out"; exit 1; }
