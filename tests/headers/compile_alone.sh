#!/usr/bin/env bash
# compile_alone.sh HEADER - compiles one public header by itself, twice included, as strict C11 and C++17, with gcc and
# clang where they are installed. Needs at least one of each language's compilers.
set -uo pipefail
header=$1 tried=0
unit=$(printf '#include "%s"\n#include "%s"\n' "$header" "$header")
flags=(-Iinclude -Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror -fsyntax-only)

compile() { # COMPILER LANGUAGE STANDARD
    command -v "$1" >/dev/null 2>&1 || return 0
    tried=$((tried + 1))
    if ! printf '%s\n' "$unit" | "$1" -x "$2" -std="$3" "${flags[@]}" -; then
        echo "$header does not compile alone as $3 with $1"
        exit 1
    fi
}

compile gcc c c11
compile clang c c11
compile g++ c++ c++17
compile clang++ c++ c++17
[ "$tried" -gt 1 ] || { echo "no compiler found"; exit 1; }
