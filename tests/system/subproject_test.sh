#!/usr/bin/env bash
# subproject_test.sh BIN SCRATCH - another project takes Tickwire with add_subdirectory(): its program has what it needs to be
# linked, and neither Tickwire's tests nor its programs are built with it. Nothing is compiled: ninja is only asked.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$@"
set -uo pipefail
trap finish EXIT
command -v ninja >/dev/null || { echo "ninja is not installed"; exit 77; }
source=$PWD

cat >"$scratch/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.22)
project(other LANGUAGES C)
add_subdirectory($source tickwire)
add_executable(other $source/examples/embed/publisher.c)
target_link_libraries(other PRIVATE Tickwire::tickwire)
add_executable(other_static $source/examples/embed/publisher.c)
target_link_libraries(other_static PRIVATE Tickwire::static)
EOF
check "another project configures with Tickwire inside" cmake -G Ninja -S "$scratch" -B "$scratch/build"
check "its build is complete" ninja -C "$scratch/build" -t commands all
grep -q 'tickwire/lib/libtickwire.so\|libtickwire.*dylib' "$scratch/out" || fail "it does not build the library" "$scratch/out"
grep -q -- '-o other ' "$scratch/out" || fail "it does not build its program"
if grep -E 'bin/engine|_test\.c|public_api' "$scratch/out" >"$scratch/more"; then
    fail "it builds Tickwire's programs, tests or manual" "$scratch/more"
fi
grep -q -- '-Werror' "$scratch/build/build.ninja" && fail "warnings of a newer compiler end its build"
