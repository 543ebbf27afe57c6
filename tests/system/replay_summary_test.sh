#!/usr/bin/env bash
# replay_summary_test.sh BIN SCRATCH - `tw replay --summary` of every public recording gives the figures of
# tests/vectors/recordings.txt, and so does the same recording after it went through a capture. Where the recordings'
# own EXPECTED.md lies beside them, `tw replay --summary --json` gives every figure of it (replay_expected.py).
#
# The recordings are looked for at $TICKWIRE_RECORDINGS, else at ../shared/data/exchanges; without them this is skipped.
set -uo pipefail
bin=$1 scratch=$2 failures=0 compared=0
recordings=${TICKWIRE_RECORDINGS:-../shared/data/exchanges}
vectors=tests/vectors/recordings.txt
rm -rf "$scratch" && mkdir -p "$scratch"
if [ ! -d "$recordings" ]; then
    echo "no recordings at $recordings (set TICKWIRE_RECORDINGS): skipped"
    exit 77
fi

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$1"
}

# compare FOLDER FILE: the summary of FILE, as "ID figures" lines, is what the vectors say of FOLDER.
compare() {
    timeout 60 "$bin/tw" replay "$2" --summary >"$scratch/out" 2>"$scratch/errors" ||
        fail "$1: $(head -n 1 "$scratch/errors")"
    sed -n '2,$s/^\([^ ]*\) ([^)]*):/\1/p' "$scratch/out" | sort >"$scratch/got"
    sed -n "s|^$1 ||p" "$vectors" | sort >"$scratch/wanted"
    diff "$scratch/wanted" "$scratch/got" >"$scratch/diff" && return
    fail "$1 ($2)"
    head -n 4 "$scratch/diff" | cut -c 1-160
}

for folder in $(sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$vectors" | sort -u); do
    "$bin/tw" replay "$recordings/$folder" --count 1 >"$scratch/out" 2>&1
    if grep -q 'no venue that is known' "$scratch/out"; then
        echo "$folder: its venue is not in this build"
        continue
    fi
    compare "$folder" "$recordings/$folder"
    timeout 60 "$bin/tw" record --from "$recordings/$folder" --out "$scratch/$folder.twc" >/dev/null ||
        fail "$folder: tw record --from"
    compare "$folder" "$scratch/$folder.twc"
    "$bin/tw" info "$scratch/$folder.twc" >/dev/null || fail "$folder: the capture is not whole"
    compared=$((compared + 1))
done
if [ -e "$recordings/EXPECTED.md" ]; then
    timeout 100 python3 tests/system/replay_expected.py "$bin/tw" "$recordings" || fail "EXPECTED.md"
fi
[ "$failures" = 0 ] && echo "$compared recordings as expected"
[ "$failures" = 0 ] && [ "$compared" -gt 0 ]
