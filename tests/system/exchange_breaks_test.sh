#!/usr/bin/env bash
# exchange_breaks_test.sh BIN SCRATCH - simulated venues through the whole engine to WebSocket bots, over TLS;
# a choice of breaks: each is told with its reason, repaired, and the books are the venue's again.
set -uo pipefail
command -v openssl >/dev/null && command -v python3 >/dev/null &&
    python3 -c 'import ssl, sys; sys.exit(sys.version_info < (3, 9))' ||
    { echo "left out: no openssl program, or no python3 with ssl, 3.9 or newer"; exit 77; }
rm -rf "$2" && mkdir -p "$2"
export PYTHONDONTWRITEBYTECODE=1 TICKWIRE_PATIENCE=30
exec timeout 110 python3 "$(dirname "${BASH_SOURCE[0]}")/../exchange/matrix.py" "$1" "$2" breaks --jobs 5
