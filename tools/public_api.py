#!/usr/bin/env python3
"""public_api.py - what include/tickwire declares: its functions, types and comments, for the reference and the ABI list.

Usage:     tools/public_api.py reference DIR     DIR/HEADER.md: every call, type and constant of each header
           tools/public_api.py man DIR           DIR/NAME.3, one page per function and one per header (tickwire-engine.3)
           tools/public_api.py program FILE PAGE the page of a program, section 1, from its --help and those of its verbs
           tools/public_api.py undocumented      functions without a comment; exit 1 if there are any
           tools/public_api.py layout            a C program that prints sizes, offsets and constants
           tools/public_api.py functions         the names of what is exported
Form:      a declaration is documented by the comment above it or behind it on its line; if it has none, by the comment
           that stands above those right before it. A blank line ends what a comment speaks of. The first comment of a
           header is its manual. Headers are looked for beside this file, in ../include/tickwire.
Non-goals: C in general. It reads the plain declarations that the headers keep to, and fails loudly on others.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = os.path.join(os.path.dirname(HERE), "include", "tickwire")


def comment_text(comment):
    """The words of a /* comment */, lines joined as they stand."""
    lines = comment[2:-2].split("\n")
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() if n else line.strip() for n, line in enumerate(lines)).strip()


class Item:
    """One declaration: kind is function, data, struct, enum, callback, alias or macro."""

    def __init__(self, kind, name, text, doc):
        self.kind, self.name, self.text, self.doc = kind, name, text, doc


class Header:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-2]
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.manual = comment_text(re.match(r"/\*.*?\*/", self.source, re.S).group())
        self.items = list(read_items(self.source))


def headers():
    return [Header(os.path.join(INCLUDE, name)) for name in sorted(os.listdir(INCLUDE)) if name.endswith(".h")]


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def statements(source):
    """(comment above, the same of the declarations right before, declaration, comment behind), for each outside of #if."""
    body = source[re.match(r"/\*.*?\*/", source, re.S).end():]
    body = re.sub(r"^#ifdef __cplusplus\n.*?^#(?:else|endif)\b[^\n]*\n", "", body, flags=re.S | re.M)
    body = re.sub(r"^#(?!define)[^\n]*\n", "\n", body, flags=re.M)
    position, above, group = 0, "", ""
    token = re.compile(r"\s*(/\*.*?\*/|#define[^\n]*\n|[^\s/#])", re.S)
    while True:
        match = token.match(body, position)
        if not match:
            break
        gap = body[position:match.start(1)]
        if gap.count("\n") > 1:
            above = group = ""
        text = match.group(1)
        if text.startswith("/*"):
            above = group = comment_text(text)
            position = match.end()
            continue
        if text.startswith("#define"):
            yield above, group, text.strip(), ""
            above, position = "", match.end() - 1
            continue
        end = declaration_end(body, match.start(1))
        behind = re.compile(r"[ \t]*(/\*.*?\*/)", re.S).match(body, end)
        yield above, group, body[match.start(1):end], comment_text(behind.group(1)) if behind else ""
        above, position = "", behind.end() if behind else end


def declaration_end(body, start):
    """After the ; (or the } of an inline function) that ends what begins at start."""
    depth, position = 0, start
    while position < len(body):
        if body.startswith("/*", position):
            position = body.index("*/", position) + 2
            continue
        letter = body[position]
        depth += (letter in "{(") - (letter in "})")
        if depth == 0 and letter == ";":
            return position + 1
        if depth == 0 and letter == "}" and body.startswith("static inline", start):
            return position + 1
        position += 1
    raise SystemExit(f"a declaration has no end: {body[start:start + 60]!r}")


def read_items(source):
    for above, group, text, behind in statements(source):
        doc = "\n".join(filter(None, [above, behind])) or group
        bare = re.sub(r"\s+", " ", without_comments(text)).strip()
        for pattern, kind in (
            (r"#define (TW_(?!API\b|MUST_USE\b)\w+)", "macro"),
            (r"typedef struct (\w+) \{", "struct"),
            (r"typedef struct (\w+) \w+;", "alias"),
            (r"typedef enum (\w+) \{", "enum"),
            (r"enum \{", "enum"),
            (r"typedef .*\(\*(\w+)\)\(", "callback"),
            (r"static inline .*?\b(tw_\w+)\(", "inline"),
            (r"extern TW_API .*?\b(tw_\w+)(?:\[\])?;", "data"),
            (r"TW_API .*?\b(tw_\w+)\(", "function"),
        ):
            match = re.match(pattern, bare)
            if match:
                yield Item(kind, match.group(1) if match.groups() else "", text, doc)
                break
        else:
            if not bare.startswith(("static_assert", "_Static_assert", "#define")):
                raise SystemExit(f"not understood: {bare[:80]!r}: teach tools/public_api.py this form")


def prototype(item):
    text = re.sub(r"\s+", " ", without_comments(item.text)).strip()
    if item.kind == "inline":
        text = text[:text.index("{")].strip().replace("static inline ", "") + ";"
    return re.sub(r"\b(TW_API|TW_MUST_USE|extern) ", "", text)


# ---- reference ----

def write_markdown(folder):
    os.makedirs(folder, exist_ok=True)
    index = ["# The C API", ""]
    for header in headers():
        lines = [f"# tickwire/{header.name}.h", "", "```text", header.manual, "```", ""]
        for item in header.items:
            if item.kind in ("function", "inline", "data"):
                lines += [f"## {item.name}", "", "```c", prototype(item), "```", "", *quoted(item.doc), ""]
            else:
                lines += [f"## {item.name or 'constants'}", "", *quoted(item.doc), "```c", item.text, "```", ""]
        write(os.path.join(folder, header.name + ".md"), "\n".join(lines).rstrip() + "\n")
        summary = header.manual.split("\n")[0].split(" - ", 1)[-1]
        index.append(f"- [tickwire/{header.name}.h]({header.name}.md): {summary}")
    write(os.path.join(folder, "README.md"), "\n".join(index) + "\n")


def quoted(doc):
    return [re.sub(r"([<>*_|])", r"\\\1", line) for line in doc.split("\n")] if doc else []


def roff(text):
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def page(name, section, summary, *parts):
    """A man page of (heading, text, is_literal) parts."""
    lines = [f'.TH {name.upper()} {section} "" "Tickwire" "Tickwire manual"', ".SH NAME", f"{name} \\- {roff(summary)}"]
    for heading, text, is_literal in parts:
        if text:
            lines += [f".SH {heading}", *([".nf", roff(text), ".fi"] if is_literal else [roff(text)])]
    return "\n".join(lines) + "\n"


def summary_of(text, name):
    sentence = re.split(r"(?<=[.;:])\s", " ".join(text.split()), maxsplit=1)[0].rstrip(".;:")
    return sentence[:90] or name


def write_man(folder):
    os.makedirs(folder, exist_ok=True)
    for header in headers():
        include = f"#include <tickwire/{header.name}.h>"
        calls = [item for item in header.items if item.kind in ("function", "inline", "data")]
        types = [item for item in header.items if item not in calls]
        overview = f"tickwire-{header.name}"
        for item in calls:
            names = [other.name for other in calls if other is not item]
            write(os.path.join(folder, item.name + ".3"),
                  page(item.name, 3, summary_of(item.doc, item.name),
                       ("SYNOPSIS", include + "\n\n" + prototype(item), True), ("DESCRIPTION", item.doc, False),
                       ("NOTES", header.manual, True),
                       ("SEE ALSO", ", ".join(f"{n}(3)" for n in [overview, *names]), False)))
        declared = "\n\n".join((f"/* {item.doc} */\n" if item.doc else "") + item.text for item in types)
        write(os.path.join(folder, overview + ".3"),
              page(overview, 3, header.manual.split("\n")[0].split(" - ", 1)[-1], ("SYNOPSIS", include, True),
                   ("DESCRIPTION", header.manual, True), ("TYPES", declared, True),
                   ("CALLS", "\n".join(prototype(item) for item in calls), True)))


def help_of(*command):
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def write_program(program, path):
    """Verbs are lines of two blanks, a word and more blanks, if the program says "VERB --help"."""
    name, text = os.path.basename(program), help_of(program)
    verbs = re.findall(r"^  ([a-z]+) {2,}\S", text, re.M) if "VERB --help" in text else []
    parts = [("SYNOPSIS", re.sub(r"^usage: ", "", text.split("\n")[0]), True), ("DESCRIPTION", text, True)]
    parts += [(f"{name} {verb}".upper(), help_of(program, verb), True) for verb in verbs]
    summaries = {"engine": "Tickwire's engine: feeds in, WebSocket and shared memory out",
                 "bot": "attaches to a Tickwire engine, checks and measures", "tw": "Tickwire's tools"}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, page(name, 1, summaries.get(name, name), *parts))


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def list_undocumented():
    missing = [f"include/tickwire/{header.name}.h: {item.name}" for header in headers() for item in header.items
               if item.kind in ("function", "inline", "data") and not item.doc]
    for line in missing:
        print(f"{line} has no comment: say what it does, units, ownership, thread and errors")
    return 1 if missing else 0


# ---- layout ----

def split_members(body):
    """The declarations between the braces of a struct or union."""
    depth, start = 0, 0
    for position, letter in enumerate(body):
        depth += (letter in "{(") - (letter in "})")
        if depth == 0 and letter == ";":
            yield body[start:position].strip()
            start = position + 1


def members(body, prefix=""):
    """Paths of all members, those of nested structs and unions included."""
    for text in split_members(body):
        nested = re.match(r"(?:struct|union) \{(.*)\} (\w+)(?:\[[^\]]*\])?$", text, re.S)
        if nested:
            yield prefix + nested.group(2)
            yield from members(nested.group(1), prefix + nested.group(2) + ".")
            continue
        pointer = re.search(r"\(\*(\w+)\)\s*\(", text)
        if pointer:
            yield prefix + pointer.group(1)
            continue
        for part in text.split(","):
            yield prefix + re.search(r"(\w+)(?:\s*\[[^\]]*\])*$", part.strip()).group(1)


def layout_program():
    lines = ["/* Made by tools/public_api.py: sizes, offsets and constants of the public headers. */", "#include <stddef.h>",
             "#include <stdio.h>"]
    found = headers()
    lines += [f"#include <tickwire/{header.name}.h>" for header in found]
    lines += ["#define M(t, m) printf(\"%s.%s at %zu size %zu\\n\", #t, #m, offsetof(t, m), sizeof(((t *)0)->m))",
              "#define C(c) printf(\"%s = %lld\\n\", #c, (long long)(c))",
              "#define S(t, g) printf(\"%s size %zu%s\\n\", #t, sizeof(t), g)", "int main(void)", "{"]
    for header in found:
        for item in header.items:
            body = re.sub(r"\s+", " ", without_comments(item.text))
            if item.kind == "struct":
                inner = body[body.index("{") + 1:body.rindex("}")]
                paths = list(members(inner))
                grows = inner.strip().startswith("size_t size;")
                lines.append(f"    S({item.name}, \"{' or more' if grows else ''}\");")
                lines += [f"    M({item.name}, {path});" for path in paths]
            elif item.kind == "enum":
                lines += [f"    C({name});" for name in re.findall(r"\b(TW_\w+)\b(?=\s*(?:=|,|\}))", constants(body))]
            elif item.kind == "macro":
                lines.append(f"    C({item.name});")
    lines += ["    return 0;", "}"]
    return "\n".join(lines)


def constants(body):
    """An enum's names only, without the expressions that may name others."""
    inner = body[body.index("{") + 1:body.rindex("}")]
    return ", ".join(re.split(r"=", part)[0].strip() for part in inner.split(",") if part.strip()) + ","


def main():
    if len(sys.argv) == 3 and sys.argv[1] in ("reference", "man"):
        (write_markdown if sys.argv[1] == "reference" else write_man)(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "program":
        write_program(sys.argv[2], sys.argv[3])
    elif sys.argv[1:] == ["undocumented"]:
        return list_undocumented()
    elif sys.argv[1:] == ["layout"]:
        print(layout_program())
    elif sys.argv[1:] == ["functions"]:
        print("\n".join(sorted(item.name for header in headers() for item in header.items
                               if item.kind in ("function", "data"))))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
