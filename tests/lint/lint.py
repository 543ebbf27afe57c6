#!/usr/bin/env python3
"""lint.py - the project's rules that a compiler does not know, as a failing test.

Usage:     tests/lint/lint.py [RULE...] from the project's root; all rules without arguments. `format --fix` is
           `clang-format -i` by hand: this program never changes a file.
Output:    file:line: what is wrong and what to write instead. Exit 0 clean, 1 findings, 77 a tool is missing.
Non-goals: parsing C. Rules look at lines with comments and string literals blanked out.
"""
import os
import re
import shutil
import subprocess
import sys

LINES_MAX = 900
COLUMNS_MAX = 120
SKIPPED_FOLDERS = {"build", ".git", ".cache", "node_modules", "__pycache__", "results", "corpus"}
C_SUFFIXES = (".c", ".h", ".cpp")
TEXT_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".js", ".mjs", ".cmake", ".toml", ".fbs")
SCRIPT_SUFFIXES = (".py", ".sh", ".js", ".mjs", ".cmake", ".toml", ".fbs")
GENERATED = re.compile(r"_generated\.h$")

# Which folder may include from which. The longest matching prefix of a path is its layer.
LEAVES = ["include", "engine/base"]
MIDDLE = ["engine/ring", "engine/stats", "engine/proto", "engine/loop", "engine/book", "engine/candle"]
ENGINE = LEAVES + MIDDLE + ["engine/fanout", "engine/http", "engine/connect"]
LAYERS = {
    "include": ["include"],
    "engine/base": LEAVES,
    **{folder: LEAVES + [folder] for folder in MIDDLE},
    "engine/fanout": LEAVES + MIDDLE + ["engine/fanout"],
    "engine/http": [folder for folder in ENGINE if folder != "engine/connect"],
    "engine/connect": LEAVES + ["engine/stats", "engine/proto", "engine/loop", "engine/connect"],
    "engine/exchange": LEAVES + MIDDLE + ["engine/connect", "feed", "engine/exchange"],
    "engine": ENGINE + ["engine", "feed", "codecs"],
    "feed": LEAVES + ["engine/proto", "engine/book", "feed"],
    "codecs": LEAVES + ["engine/proto", "codecs"],
    "subscribers": LEAVES + ["engine/ring", "engine/stats", "engine/proto", "engine/loop", "engine/book", "codecs",
                            "subscribers"],
    "examples": ENGINE + ["feed", "codecs", "subscribers", "examples"],
    "bench": ENGINE + ["engine", "feed", "codecs", "subscribers", "bench"],
    "tools": ENGINE + ["engine", "feed", "codecs", "subscribers", "tools"],
    "tests": ENGINE + ["engine", "feed", "codecs", "subscribers", "tests"],
}

# A foreign interface is known to one file, so that it can be replaced there.
SEAMS = [
    (r"<toml\+\+/", r"^engine/base/toml_seam\.cpp$"),
    (r"<openssl/", r"^(engine/connect/tls\.c$|bench/|tests/)"),
    (r"<curl/", r"^engine/connect/rest\.c$"),
    (r"<liburing\.h>", r"^(engine/loop/|bench/|tests/)"),
    (r"<sys/epoll\.h>", r"^(engine/loop/|bench/|tests/)"),
    (r"<sys/event\.h>", r"^(engine/loop/|tests/)"),
    (r"<assert\.h>", r"^$"),
]

LIBRARIES = r"^(engine/[a-z]+/|feed/|codecs/|include/)"
# pattern, where it is banned, where it is allowed all the same, what to write instead
BANS = [
    (r"\b(strcpy|strcat|stpcpy)\s*\(", r"", None, "memcpy with a length that was checked"),
    (r"\bstrncpy\s*\(", r"", None, "memcpy with a length that was checked; strncpy may leave no end"),
    (r"\bv?sprintf\s*\(", r"", None, "snprintf, and look at its result"),
    (r"\bgets\s*\(", r"", None, "fgets"),
    (r"\bato(i|l|ll|f)\s*\(", r"", None, "strtoll with end and range checks"),
    (r"\bstrtok\s*\(", r"", None, "a scan with memchr"),
    (r"\b(localtime|gmtime|ctime|asctime)\s*\(", r"", None, "the _r variant"),
    (r"\bs?rand\s*\(", r"", None, "engine/base/prng.h with a seed that the report names"),
    (r"\balloca\s*\(", r"", None, "a bounded array or arena memory"),
    (r"\bvolatile\b", r"", None, "<stdatomic.h>"),
    (r"\b(u?sleep|nanosleep)\s*\(", r"^tests/", None, "the simulated clock, or a poll with a deadline"),
    (r"#\s*pragma\s+once", r"", None, "an include guard"),
    (r"\btypedef\b.*\b\w+_t\s*;", r"", None, "a name without _t: POSIX reserves it"),
    (r"\bexit\s*\(", LIBRARIES, None, "a tw_status; only main ends the process"),
    (r"\bf?printf\s*\(|\bputs\s*\(|\bperror\s*\(", LIBRARIES,
     r"^engine/base/(log|assert)\.c$", "engine/base/log.h, or a text buffer of the caller"),
    (r"\b(system|popen)\s*\(", LIBRARIES, None, "a function of your own: libraries start no shell"),
]
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b")

BLANK = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<][^">]+[">])', re.M)


def project_files():
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith("."))
        for name in sorted(names):
            path = os.path.normpath(os.path.join(folder, name))
            if name.endswith(TEXT_SUFFIXES) or name == "CMakeLists.txt":
                yield path


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


def blanked(text, keep_strings=False):
    """Comments and literals become spaces, so that positions and line numbers stay."""
    def blank(match):
        if keep_strings and match.group()[0] in "\"'":
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())
    return BLANK.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def is_c(path):
    return path.endswith(C_SUFFIXES) and not GENERATED.search(path)


def layer_of(path):
    folder = os.path.dirname(path)
    while folder and folder not in LAYERS:
        folder = os.path.dirname(folder)
    return folder


def resolve(path, name):
    for candidate in (name, os.path.join("include", name), os.path.join(os.path.dirname(path), name)):
        if os.path.exists(candidate):
            return os.path.normpath(candidate)
    return None


def check_includes(path, text):
    if not is_c(path):
        return
    layer = layer_of(path)
    for match in INCLUDE.finditer(blanked(text, keep_strings=True)):
        name, line = match.group(1), line_of(text, match.start(1))
        for seam, allowed in SEAMS:
            if re.match(seam, name) and not re.match(allowed, path):
                yield line, f"{name} is known to {allowed.strip('^$') or 'no file'} only"
        if name[0] == "<" and not name.startswith("<tickwire/"):
            continue
        target = resolve(path, name[1:-1])
        if not target or not layer:
            continue
        if layer_of(target) not in LAYERS[layer]:
            yield line, f"{layer} may not include {name}: includes go {' '.join(LAYERS[layer])} -> {layer}"
        elif path.startswith("include/") and name.startswith('"') and not name.startswith('"tickwire/'):
            yield line, f"a public header names {name} as \"tickwire/...\""


def check_bans(path, text):
    if is_c(path):
        code = blanked(text)
        for pattern, where, allowed, instead in BANS:
            if not re.match(where, path) or (allowed and re.match(allowed, path)):
                continue
            for match in re.finditer(pattern, code):
                yield line_of(text, match.start()), f"{match.group().strip(' (')}: write {instead}"
    if not path.startswith("tests/lint/"):
        for match in WORDS.finditer(text):
            yield line_of(text, match.start()), f"'{match.group()}': finish it, or open an issue"


def check_manuals(path, text):
    name = os.path.basename(path)
    head = "\n".join(text.split("\n", 4)[:4])
    if is_c(path):
        if not re.match(rf"/\* {re.escape(name)} - \S", text):
            yield 1, f"the file begins with its manual: /* {name} - job. Usage. Non-goals. */"
    elif name == "CMakeLists.txt" or name.endswith(SCRIPT_SUFFIXES):
        if not re.search(r"^(#|//|/\*|\"\"\"|<!--) ?[^!\s].{15,}", head, re.M):
            yield 1, "the file begins with a comment that says its job"


def check_whitespace(path, text):
    if "\r" in text:
        yield line_of(text, text.index("\r")), "carriage return"
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            yield number, "tab: write spaces"
        if line.endswith(" "):
            yield number, "space at the end of the line"
        if is_c(path) and len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns, {COLUMNS_MAX} are allowed"
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield line_of(text, len(text) - 1), "the file ends with one newline"


def check_length(path, text):
    count = text.count("\n")
    if count > LINES_MAX and not GENERATED.search(path):
        yield count, f"{count} lines, {LINES_MAX} are allowed: split it by job"


def check_guards(path, text):
    if not path.endswith(".h") or GENERATED.search(path):
        return
    prefix = "TICKWIRE" if path.startswith("include/") else "TW[IT]?"
    match = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
    if not match or match.group(1) != match.group(2) or not re.fullmatch(rf"{prefix}_\w+_H", match.group(1)):
        yield 1, f"the include guard is {prefix}_..._H"


def check_scripts(path, text):
    if path.endswith(".py"):
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            yield error.lineno or 1, f"does not compile: {error.msg}"
    elif path.endswith(".sh"):
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
        if done.returncode:
            yield 1, f"does not parse: {done.stderr.strip()}"
        if not text.startswith("#!/usr/bin/env bash\n"):
            yield 1, "the first line is #!/usr/bin/env bash"
        if not re.search(r"^set -[eu]*uo? pipefail|^set -euo pipefail|^set -u$", text, re.M):
            yield 1, "write set -euo pipefail, or set -uo pipefail where codes are looked at"


RULES = {
    "includes": check_includes,
    "bans": check_bans,
    "manuals": check_manuals,
    "whitespace": check_whitespace,
    "length": check_length,
    "guards": check_guards,
    "scripts": check_scripts,
}


def run_format():
    """The formatter's output changes with its version, so only the version that made the code is asked."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    if not program:
        print("clang-format is not installed")
        return 77
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    if " 14." not in version:
        print(f"needs clang-format 14, this is {version.strip()}")
        return 77
    files = [path for path in project_files() if is_c(path)]
    done = subprocess.run([program, "--dry-run", "--Werror", "--ferror-limit=3", *files], capture_output=True,
                          text=True, check=False)
    print(done.stderr, end="")
    if done.returncode:
        wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "code should be" in line})
        print(f"mend with: clang-format -i {' '.join(wrong)}")
    return 1 if done.returncode else 0


# Every rule must find its own example: a lint that finds nothing proves nothing.
SAMPLES = [
    ("includes", "engine/base/a.c", '#include "engine/loop/loop.h"\n'),
    ("includes", "engine/loop/a.c", '#include <toml++/toml.h>\n'),
    ("includes", "feed/a.c", '#include "engine/loop/loop.h"\n'),
    ("includes", "codecs/json/a.c", '#include <assert.h>\n'),
    ("bans", "engine/base/a.c", "strcpy(a, b);\n"),
    ("bans", "tests/unit/a.c", "usleep(5);\n"),
    ("bans", "engine/ring/a.c", "volatile int flag;\n"),
    ("bans", "feed/a.c", 'printf("x");\n'),
    ("bans", "feed/a.c", "/* TODO: more */\n"),
    ("manuals", "feed/a.c", "#include <stdio.h>\n"),
    ("manuals", "tools/a.sh", "#!/usr/bin/env bash\nset -euo pipefail\n"),
    ("whitespace", "feed/a.c", "int a;\t\n"),
    ("whitespace", "feed/a.c", "int a; \n"),
    ("length", "feed/a.c", "\n" * (LINES_MAX + 1)),
    ("guards", "include/tickwire/a.h", "#ifndef A_H\n#define A_H\n"),
    ("scripts", "tools/a.py", "def broken(:\n"),
]
CLEAN = [
    ("bans", "engine/base/a.c", '/* strcpy( */ const char *text = "volatile";\n'),
    ("includes", "engine/fanout/a.c", '#include "engine/loop/loop.h"\n'),
    ("manuals", "feed/a.c", "/* a.c - does a. */\n"),
]


def run_selftest():
    wrong = [sample for sample in SAMPLES if not list(RULES[sample[0]](sample[1], sample[2]))]
    wrong += [sample for sample in CLEAN if list(RULES[sample[0]](sample[1], sample[2]))]
    for sample in wrong:
        print(f"the rule {sample[0]} misjudges {sample[1]}: {sample[2]!r:.60}")
    return 1 if wrong else 0


def run_rule(name):
    if name == "format":
        return run_format()
    if name == "selftest":
        return run_selftest()
    findings = 0
    for path in project_files():
        for line, finding in RULES[name](path, read(path)):
            print(f"{path}:{line}: {finding}")
            findings += 1
    return 1 if findings else 0


def main():
    names = sys.argv[1:] or [*RULES, "format", "selftest"]
    unknown = [name for name in names if name not in RULES and name not in ("format", "selftest")]
    if unknown:
        print(f"unknown rule {unknown[0]}: one of {' '.join(RULES)} format selftest")
        return 2
    codes = [run_rule(name) for name in names]
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
