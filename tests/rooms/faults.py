# SPDX-License-Identifier: GPL-2.0-or-later
"""The checks of scripts/rooms, checked: each on a small tree with one fault, which it has to find."""
import pathlib
import shutil
import subprocess
import tempfile

SPDX = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n"
GOOD = {
    "ARCHITECTURE.md": """# Architecture
## Invariants
| | |
|---|---|
| **I1** | Synced means safe. |
## The store's traps
| | |
|---|---|
| **1** | Open ranges. |
| **2** | Ends. |
## Rooms
| room | owns | does without |
|---|---|---|
| `base/` | all | |
| `net/` | the net | |
| `vtl/low/` | little | `net/` |
| `vtl/high/` | much | |
### Only here
| what | who |
|---|---|
| `<sqlite3.h>` | `vtl/low` |
| `"net/*_ops.h"` | `net`, `vtl/high/high.c` |
| `"tgtd.h"` | `vtl/high` |
| `put_head()` | `vtl/low` |
### Circles
| room | files |
|---|---|
| `net/` | 2 |
## Threads
| name | started by |
|---|---|
| `pump` | `vtl/high/high.c:high` |
| the caller's | `vtl/low/low.c:low_start` |
## Locks
| rank | guards |
|---|---|
| `LOCK_A` | a |
| `LOCK_B` | b |
See `vtl/low/low.c:low`.
""",
    "base/lock.h": "#define LOCK_RANKS(X) \\\n X(LOCK_A, \"a\") \\\n X(LOCK_B, \"b\")\n",
    "base/thread.h": "int thread_start(void *t, const char *name, void *(*fn)(void *), void *arg);\n",
    "base/thread.c": '#include "base/thread.h"\nint pthread_create(void *);\n'
                     "int thread_start(void *t, const char *name, void *(*fn)(void *), void *arg)\n"
                     "{\n    return name && fn && arg ? pthread_create(t) : 0;\n}\n",
    "net/net_ops.h": "int net(void);\nint net_more(void);\n",
    "net/net.c": '#include "net/net_ops.h"\nint net(void)\n{\n    return net_more();\n}\n',
    "net/more.c": '#include "net/net_ops.h"\nint net_more(void)\n{\n    return net();\n}\n',
    "vtl/low/low.h": "int low(void);\nint put_head(void);\nint low_start(const char *);\n",
    "vtl/low/low_private.h": '#include <sqlite3.h>\n#include "vtl/low/low.h"\n',
    "vtl/low/low.c": '#include "vtl/low/low_private.h"\n#include "base/thread.h"\n/* Keeps I1. Traps 1 and 2. */\n'
                     "int low(void)\n{\n    return 1;\n}\nint put_head(void)\n{\n    return 2;\n}\n"
                     "int low_start(const char *own)\n{\n    return thread_start(0, own, 0, 0);\n}\n",
    "vtl/high/high.h": "int high(void);\n",
    "vtl/high/high.c": '#include "vtl/high/high.h"\n#include "tgtd.h"\n#include "base/thread.h"\n#include "net/net_ops.h"\n'
                       '#include "vtl/low/low.h"\nint high(void)\n{\n    thread_start(0, "pump", 0, 0);\n'
                       "    return low() + net();\n}\n",
}


def longer(text, lines):
    return text.replace("{\n    return 1;", "{\n" + "    ;\n" * lines + "    return 1;")


# The check that has to find it, and what is changed in which file: (before, after), (None, added) or a whole new file.
FAULTS = [
    ("every_file_is_in_a_room", "vtl/attic/attic.h", "int attic(void);\n"),
    ("no_include_upward", "vtl/low/low.c", (None, '#include "vtl/high/high.h"\n')),
    ("no_include_upward", "vtl/low/low.c", (None, '#include "net/net_ops.h"\n')),  # below, but it does without
    ("no_symbol_upward", "vtl/low/low.c", ("return 1;", "int high(void);\n    return high();")),
    ("no_symbol_upward", "vtl/low/low.c", ("return 1;", "int net(void);\n    return net();")),
    ("private_headers_stay_in_their_room", "vtl/high/high.c", ("low/low.h", "low/low_private.h")),
    ("private_headers_stay_in_their_room", "vtl/low/low.h", (None, '#include "vtl/low/low_private.h"\n')),
    ("only_here", "vtl/high/high.c", (None, "#include <sqlite3.h>\n")),
    ("only_here", "vtl/high/high.c", ("return low()", "return put_head()")),
    ("only_here", "vtl/low/low.h", (None, '#include "net/net_ops.h"\n')),
    ("only_here", "vtl/low/low.h", (None, '#include "tgtd.h"\n')),
    ("only_here", "vtl/high/high.h", (None, '#include "driver.h"\n')),
    ("no_circle_of_headers", "vtl/low/low.h", (None, '#include "vtl/low/low_private.h"\n')),
    ("no_circle_between_rooms", "base/thread.c",
     ("return name", "int low_start(const char *);\n    return low_start(0) + !!name")),
    ("circles_within_rooms_do_not_grow", "vtl/low/more.c",
     SPDX + '#include "vtl/low/low.h"\nint more(void);\nint more(void)\n{\n    return low();\n}\n',
     "vtl/low/low.c", ("return 1;", "int more(void);\n    return more();")),
    ("functions_are_short", "vtl/low/low.c", lambda t: longer(t, 47)),
    ("functions_have_few_parameters", "vtl/low/low.c",
     (None, "static inline int f(int a, int b, int c, int d, int e, int f, int (*g)(int, int), int h, int i)\n{\n"
            "    return a + b + c + d + e + f + g(1, 2) + h + i;\n}\n")),
    ("every_source_has_its_licence", "scripts/tool", "#!/bin/sh\n"),
    ("locks_are_in_the_table", "base/lock.h", ('X(LOCK_B, "b")', 'X(LOCK_B, "b") X(LOCK_C, "c")')),
    ("locks_are_in_the_table", "base/lock.h", ("LOCK_A", "LOCK_Z")),
    ("locks_are_in_the_table", "ARCHITECTURE.md",
     lambda t: t.replace("LOCK_A", "x").replace("LOCK_B", "LOCK_A").replace("`x`", "`LOCK_B`")),
    ("threads_are_in_the_table", "vtl/high/high.c", ('"pump"', '"pumps"')),
    ("threads_are_in_the_table", "vtl/low/low.c", ("return 1;", 'return thread_start(0, "extra", 0, 0);')),
    ("threads_are_in_the_table", "vtl/low/low.c",
     ("return 1;", "int pthread_create(void *);\n    return pthread_create(0);")),
    ("references_exist", "vtl/low/low.c", lambda t: t.replace("int low(void)", "int lower(void)")),
    ("references_exist", "ARCHITECTURE.md", (None, "See `vtl/low/lost.c`.\n")),
    ("citations_exist", "vtl/low/low.c", ("Keeps I1", "Keeps I1, I11")),
    ("citations_exist", "vtl/low/low.c", ("Traps 1 and 2", "Traps 1 to 3")),
]
# What looks like a fault and is none.
HARMLESS = [
    ("circles_within_rooms_do_not_grow", "net/more.c", ("return net()", "return 0")),
    ("functions_are_short", "vtl/low/low.c", lambda t: longer(t, 46)),
    ("functions_have_few_parameters", "vtl/low/low.c",
     (None, "static inline int f(int a, int b, int c, int d, int e, int f, int (*g)(int, int), int h)\n{\n"
            "    return a + b + c + d + e + f + g(1, 2) + h;\n}\n")),
    ("only_here", "vtl/high/high.c", (None, "/* put_head() is not for us. */\n")),
    ("private_headers_stay_in_their_room", "tests/t.c", SPDX + '#include "vtl/low/low_private.h"\n'),
    ("citations_exist", "vtl/low/low.c", (None, "static const char text[] = \"I42\";\n")),
]


def make_tree(root, changes):
    files = {f: (SPDX if f[-2:] in (".c", ".h") else "") + text for f, text in GOOD.items()}
    for f, change in changes:
        if isinstance(change, str):
            files[f] = change
        elif callable(change):
            files[f] = change(files[f])
        elif change[0] is None:
            files[f] += change[1]
        else:
            assert change[0] in files[f], change
            files[f] = files[f].replace(change[0], change[1])
    for f, text in {**files, "tgt/tgtd.h": SPDX, "tgt/driver.h": SPDX, "tgt/sqlite3.h": SPDX}.items():
        (root / f).parent.mkdir(parents=True, exist_ok=True)
        (root / f).write_text(text)
    return files


def compile_file(root, name):
    target = root / "build/obj" / (name[:-2] + ".o")
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-w", "-c", f"-I{root}", f"-I{root}/tgt", "-o", target, root / name], check=True)


def try_fault(changes, objects, run_checks):
    """objects: those of the tree without changes. Only what was changed is compiled again; a changed header changes none
    of them here."""
    with tempfile.TemporaryDirectory(prefix="rooms.") as d:
        root = pathlib.Path(d)
        make_tree(root, changes)
        shutil.copytree(objects, root / "build/obj")
        for f, _ in changes:
            if f.endswith(".c") and not f.startswith("tests/"):
                compile_file(root, f)
        return run_checks(root)


def self_test(report, run_checks):
    """run_checks(root): of each check, by name, what it found."""
    with tempfile.TemporaryDirectory(prefix="rooms.") as d:
        good = pathlib.Path(d)
        for f in filter(lambda f: f.endswith(".c"), make_tree(good, [])):
            compile_file(good, f)
        objects = good / "build/obj"
        found = try_fault([], objects, run_checks)
        report("a tree without a fault passes", [f"{k}: {x}" for k, v in found.items() for x in v])
        for expected, cases in ((True, FAULTS), (False, HARMLESS)):
            for check, *rest in cases:
                changes = list(zip(rest[::2], rest[1::2]))
                found = try_fault(changes, objects, run_checks)[check]
                what = f"{check} {'finds its fault' if expected else 'lets pass what is none'}: {changes[0][0]}"
                report(what, [] if bool(found) == expected else found or ["nothing was found"])
