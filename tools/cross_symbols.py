#!/usr/bin/env python3
"""cross_symbols.py - finds internal names that objects of a foreign system need and none of them defines.

Usage:     cross_symbols.py OBJECT...     Mach-O or ELF, 64 bits, little-endian
Job:       what a linker would say about tw_ and twi_ names, without a linker or the libraries of that system. A source
           that is left out on one system, and is still called there, is found in this way.
Non-goals: other names (they belong to libraries), linking.
"""
import struct
import sys

PREFIXES = ("tw_", "twi_")


def text_at(data, offset):
    return data[offset:data.index(b"\0", offset)].decode("ascii", "replace")


def mach_o_names(data):
    """Yields (name, is_defined) of external symbols; see <mach-o/loader.h> and <mach-o/nlist.h>."""
    command_count = struct.unpack_from("<I", data, 16)[0]
    at = 32
    for _ in range(command_count):
        command, size = struct.unpack_from("<II", data, at)
        if command == 2:  # LC_SYMTAB
            symbols, count, strings, _ = struct.unpack_from("<IIII", data, at + 8)
            for index in range(count):
                name, kind, _, _, value = struct.unpack_from("<IBBHQ", data, symbols + 16 * index)
                if kind & 0x01 and not kind & 0xE0:  # N_EXT, and no debugging entry
                    defined = kind & 0x0E != 0 or value != 0
                    yield text_at(data, strings + name).removeprefix("_"), defined
        at += size


def elf_names(data):
    """Yields (name, is_defined) of global symbols; see <elf.h>."""
    sections_at = struct.unpack_from("<Q", data, 40)[0]
    entry_size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, sections_at + i * entry_size) for i in range(count)]
    for section in sections:
        if section[1] != 2:  # SHT_SYMTAB
            continue
        strings = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, info, _, index, _, _ = struct.unpack_from("<IBBHQQ", data, at)
            if info >> 4 != 0:  # not local
                yield text_at(data, strings + name), index != 0


def names_of(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"\x7fELF":
        return elf_names(data)
    if data[:4] == b"\xcf\xfa\xed\xfe":
        return mach_o_names(data)
    sys.exit(f"{path}: neither a 64-bit ELF nor a Mach-O object")


def main():
    defined, needed = set(), {}
    for path in sys.argv[1:]:
        for name, is_defined in names_of(path):
            if is_defined:
                defined.add(name)
            elif name.startswith(PREFIXES):
                needed.setdefault(name, path)
    missing = {name: path for name, path in needed.items() if name not in defined}
    for name, path in sorted(missing.items()):
        print(f"{path}: needs {name}, which is not built for this system")
    sys.exit(1 if missing else 0)


main()
