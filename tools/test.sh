#!/usr/bin/env bash
# test.sh - installs what is missing, builds, and runs every test. The README's test command, and what CI runs.
#
# Usage:     tools/test.sh [STAGE...]     all stages without arguments: release lint asan tsan cross fuzz quickstart
# Output:    one line per stage with its time; a failed stage shows the end of its log; logs are in build/test-logs/.
#            The last line is the total, "N passed, N failed[, N skipped]"; the exit code is 0 only if nothing failed.
# Counting:  a ctest case counts as one test, a build or a check without cases as one when it fails or stands alone.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

all_stages=(release lint asan tsan cross fuzz quickstart)
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
logs=build/test-logs
runner=(env)
passed=0 failed=0 skipped=0
stage_passed=0 stage_failed=0 stage_skipped=0 stage_note=
log=

# One value of the <testsuite ...> element that ctest writes.
junit_value() { sed -n "s/.*[[:space:]]$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

build() { # PRESET [TARGET...]
    local preset=$1
    shift
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs" --target "${@:-all}"; } >>"$log" 2>&1; then
        stage_failed=$((stage_failed + 1)) stage_note='build failed'
        return 1
    fi
}

# Runs the ctest cases of a preset and adds them up; further arguments choose among them.
cases() { # PRESET [CTEST ARGUMENT...]
    local preset=$1 report
    shift
    report=$PWD/$logs/$stage.xml
    rm -f "$report"
    "${runner[@]}" ctest --preset "$preset" -j "$jobs" --output-junit "$report" "$@" >>"$log" 2>&1
    local code=$? tests bad idle
    tests=$(junit_value "$report" tests 2>/dev/null) bad=$(junit_value "$report" failures 2>/dev/null)
    idle=$(($(junit_value "$report" skipped 2>/dev/null || echo 0) + $(junit_value "$report" disabled 2>/dev/null || echo 0)))
    if [ -z "$tests" ] || { [ "$code" != 0 ] && [ "${bad:-0}" = 0 ]; }; then
        stage_failed=$((stage_failed + 1)) stage_note='ctest could not run'
        return 1
    fi
    stage_passed=$((stage_passed + tests - bad - idle))
    stage_failed=$((stage_failed + bad)) stage_skipped=$((stage_skipped + idle))
    [ "$bad" = 0 ] || stage_note=$(sed -n 's/^[[:space:]]*[0-9]* - \([^ ]*\) (\(Failed\|Timeout\|SEGFAULT\|.*\)).*/\1/p' "$log" |
        sort -u | tr '\n' ' ')
}

stage_release() { build release && cases release -LE lint; }
stage_lint() { build release && cases release -L lint; }
stage_asan() { build asan && cases asan -LE lint; }

# Old ThreadSanitizers refuse to start where the kernel randomises addresses by more bits than they know.
stage_tsan() {
    ! setarch -R true 2>/dev/null || runner=(setarch -R)
    build tsan threaded_tests && cases tsan -L threads
    runner=(env)
}

stage_cross() {
    if [ "$(uname -s)" != Linux ] || [ ! -x tools/cross_check.sh ]; then
        stage_skipped=1 stage_note='nothing to cross-compile here'
    elif tools/cross_check.sh >>"$log" 2>&1; then
        stage_passed=1
    else
        stage_failed=1 stage_note='the code does not compile for arm64 macOS'
    fi
}

stage_fuzz() {
    if [ ! -e tests/fuzz/CMakeLists.txt ] || ! command -v clang >/dev/null 2>&1; then
        stage_skipped=1 stage_note='needs clang and tests/fuzz'
        return
    fi
    build fuzz fuzz_targets engine bot && cases fuzz -L fuzz
}

# The README's other command, short.
stage_quickstart() {
    if tools/quickstart.sh --duration 2s >>"$log" 2>&1; then
        stage_passed=1
    else
        stage_failed=1 stage_note='tools/quickstart.sh does not end well'
    fi
}

run_stage() {
    stage=$1 log=$logs/$1.log
    local start=$SECONDS
    stage_passed=0 stage_failed=0 stage_skipped=0 stage_note=
    : >"$log"
    "stage_$stage"
    [ "$stage_failed" = 0 ] || tail -n 80 "$log"
    summary+=$(printf '%-8s %4d passed %4d failed %4d skipped %5d s  %s' "$stage" "$stage_passed" "$stage_failed" \
        "$stage_skipped" $((SECONDS - start)) "$stage_note")$'\n'
    printf '%s' "$summary" | tail -n 1
    passed=$((passed + stage_passed)) failed=$((failed + stage_failed)) skipped=$((skipped + stage_skipped))
}

[ $# -gt 0 ] || set -- "${all_stages[@]}"
for stage in "$@"; do
    case " ${all_stages[*]} " in
    *" $stage "*) ;;
    *)
        echo "test: unknown stage '$stage': one of ${all_stages[*]}" >&2
        exit 2
        ;;
    esac
done
mkdir -p "$logs"
bash tools/setup.sh run test || exit 1

summary=
for stage in "$@"; do
    run_stage "$stage"
done
printf '\nall stages, %d s\n%s\n' "$SECONDS" "$summary"
if [ "$skipped" = 0 ]; then
    echo "$passed passed, $failed failed"
else
    echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
