#!/usr/bin/env bash
# refresh_test.sh BIN SCRATCH - a program that attaches to the ring of a running engine gets whole books within an interval,
# each once; subscribers of the same engine get nothing of it.
set -uo pipefail
# shellcheck source=tests/system/lib.sh disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
name=refresh-$$

start_engine --ring.name="$name" --ring.refresh=400ms --feed.instruments=5 --feed.rate=2000 || finish
"$bin/tw" sub --shm "$name" --channels book --duration 2s >"$scratch/late" 2>&1 || fail "tw sub --shm" "$scratch/late"
books=$(grep -c ' snapshot ' "$scratch/late")
[ "$books" = 5 ] || fail "5 books are wanted, each once; there are $books" <(grep ' snapshot ' "$scratch/late" | head)
grep -q ' change ' "$scratch/late" || fail "no changes behind the books" "$scratch/late"

# Ten intervals: a subscriber gets the five snapshots of its subscription, and no sequence is broken.
check "a bot on books" "$bin/bot" --url "$url" -n 2 --channels book,status --decode full --duration 2s --warmup 100ms
"$bin/tw" sub --url "$url" --channels book --json --duration 1500ms >"$scratch/stream" 2>&1
books=$(grep -c '"snapshot":true' "$scratch/stream")
[ "$books" = 5 ] || fail "5 snapshots are wanted on the stream; there are $books"
stop_engine
finish
