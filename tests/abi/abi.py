#!/usr/bin/env python3
"""abi.py - compares what libtickwire offers with the list in tests/abi/symbols.txt, which programs rely on.

Usage:     tests/abi/abi.py LIBRARY COMPILER     exported names, and sizes, offsets and constants of the public headers
           tests/abi/abi.py --archive LIBRARY    the static library defines no global names but tw_* (where it hides them)
Update:    TICKWIRE_UPDATE=1 adds what is new to the list, and refuses to change or remove a line.
           TICKWIRE_UPDATE=all also does that: right only while no version with the old line has been released, or
           together with a new SOVERSION.
Exit:      0 as listed, 1 not, 77 not comparable on this machine (the list is of 64-bit ABIs).
"""
import os
import platform
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIST = os.path.join(ROOT, "tests", "abi", "symbols.txt")
API = os.path.join(ROOT, "tools", "public_api.py")
HEAD = """# symbols.txt - what programs that use libtickwire rely on: exported names, and the sizes, offsets and constants of
# the public headers (64-bit). tests/abi/abi.py compares; adding is allowed (TICKWIRE_UPDATE=1), changing is not.
"""


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def exported(library):
    flags = ["-gU"] if platform.system() == "Darwin" else ["-D", "--defined-only"]
    names = set()
    for line in output("nm", *flags, library).splitlines():
        name = line.split()[-1].split("@")[0]
        if platform.system() == "Darwin":
            name = name[1:]
        if not name.startswith("TICKWIRE_"):
            names.add(name)
    return names


def layout(compiler):
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
        with open(source, "w", encoding="utf-8") as file:
            file.write(output(sys.executable, API, "layout"))
        subprocess.run([compiler, "-I", os.path.join(ROOT, "include"), source, "-o", program], check=True)
        return output(program).splitlines()


def key(line):
    """What a line is about: a change of the rest is a change of the ABI."""
    return re.split(r" at | size | = ", line, maxsplit=1)[0]


def may_grow(old, new):
    """A struct that carries its size may get new members at the end."""
    sizes = [re.fullmatch(r"\w+ size (\d+) or more", line) for line in (old, new)]
    return all(sizes) and int(sizes[1].group(1)) >= int(sizes[0].group(1))


def recorded():
    if not os.path.exists(LIST):
        return []
    with open(LIST, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]


def record(lines):
    with open(LIST, "w", encoding="utf-8") as file:
        file.write(HEAD + "\n".join(lines) + "\n")


def compare(library, compiler):
    names = exported(library)
    declared = set(output(sys.executable, API, "functions").split())
    bad = [f"{name} is exported, but no public header declares it: make it static or twi_" for name in names - declared]
    bad += [f"{name} is declared TW_API, but the library does not define it" for name in declared - names]
    now = ["export " + name for name in sorted(names)] + layout(compiler)
    new = {key(line): line for line in now}
    listed, old = recorded(), {}
    for line in listed:  # a merge of two branches may leave the old line beside the new one
        if old.get(key(line)) != new.get(key(line), ""):
            old[key(line)] = line
    changed = [(line, new.get(name, "nothing")) for name, line in old.items()
               if new.get(name) != line and not may_grow(line, new.get(name, ""))]
    added = [line for name, line in new.items() if name not in old]
    grown = [line for name, line in new.items() if name in old and old[name] != line and may_grow(old[name], line)]
    update = os.environ.get("TICKWIRE_UPDATE", "")
    for was, line in changed if update != "all" else []:
        bad.append(f"changed: {was}  ->  {line}\n  Programs that were compiled before break. Keep the old and add beside it;"
                   " see the head of tests/abi/abi.py")
    if added + grown and not update:
        bad += [f"new: {line}" for line in added + grown]
        bad.append("Adding is allowed: if it is meant to be public, list it with\n"
                   "  TICKWIRE_UPDATE=1 ctest --preset release -R abi_symbols\n"
                   "and commit tests/abi/symbols.txt; else declare it in a header outside of include/tickwire")
    elif update and not bad and listed != now:
        record(now)
        print(f"tests/abi/symbols.txt: {len(added)} lines added, {len(changed)} changed")
    return bad


def archive(library):
    """Names of the project only: C++ templates of the standard library may be global everywhere."""
    lines = output("nm", "-g", "--defined-only", library).splitlines()
    names = {line.split()[-1] for line in lines if len(line.split()) == 3}
    foreign = sorted(name for name in names if not re.match(r"_?(tw_|_Z|DW\.ref)", name))
    if any(name.startswith(("twi_", "_twi_")) for name in foreign):
        print("this build does not hide names in the archive (sanitizers, or no objcopy)")
        sys.exit(77)
    return [f"{name} is a global name in {os.path.basename(library)}" for name in foreign]


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    if platform.machine() not in ("x86_64", "aarch64", "arm64"):
        print("the list is of 64-bit ABIs")
        return 77
    bad = archive(sys.argv[2]) if sys.argv[1] == "--archive" else compare(sys.argv[1], sys.argv[2])
    for line in bad:
        print(line)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
