#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Whether dependencies point downward: a file in user/ includes headers of its own folder and of those
below it in LAYERS, by `folder/header.h`. docs/architecture.md says what each folder is for.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
# from the bottom to the top
LAYERS = """
    lib model config store cluster host dataplane probe change observe doctor handover neutron agent cmd
""".split()
CONTRACT = {header.name for header in (TOP / "include").glob("*.h")} | {"tenantnat.skel.h", "stub.skel.h", "page_text.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def fault(folder, name):
    """What is wrong with that #include of a file in the folder, or None."""
    if name in CONTRACT:
        return None
    there = name.partition("/")[0]
    if not (TOP / "user" / name).is_file() or there not in LAYERS:
        return "there is no such header: name it as folder/header.h"
    if folder in LAYERS and LAYERS.index(there) > LAYERS.index(folder):
        return f"{there}/ is above {folder}/"
    return None


def faults():
    for path in sorted((TOP / "user").rglob("*.[ch]")):
        folder = path.parent.name
        if folder not in [*LAYERS, "user"]:
            yield f"{path.relative_to(TOP)}: {folder}/ is not one of the layers"
        text = path.read_text()
        for found in INCLUDE.finditer(text):
            if why := fault(folder, found[1]):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{path.relative_to(TOP)}:{line}: #include \"{found[1]}\": {why}"


if __name__ == "__main__":
    all_faults = list(faults())
    print(*all_faults, sep="\n", end="\n" if all_faults else "")
    sys.exit(bool(all_faults))
