#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Whether what the pages at the top and in docs/ point at is there: files and headings behind links, and every
source file that is named in `code`.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")])
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SOURCE = re.compile(r"`([\w./-]*\w\.(?:c|h|py|sh|mk))`")
# cmd_NAME.c stands for many
PLACEHOLDER = re.compile(r"[A-Z]{4}")
TREES = ("bpf", "include", "user", "tests", "demo", "packaging", "mk")


def anchors(page):
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def sources():
    """Every way to name a source file: by the end of its path."""
    out = set()
    for tree in TREES:
        for path in (TOP / tree).rglob("*.*"):
            parts = path.relative_to(TOP).parts
            out.update("/".join(parts[i:]) for i in range(len(parts)))
    return out


def link_fault(page, target):
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    there = (page.parent / name).resolve() if name else page
    if not there.exists():
        return "there is no such file"
    if anchor and there.suffix == ".md" and anchor not in anchors(there):
        return "there is no such heading"
    return None


def faults():
    known = sources()
    for page in PAGES:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            where = f"{page.relative_to(TOP)}:{number}"
            for target in LINK.findall(line):
                if why := link_fault(page, target):
                    yield f"{where}: {target}: {why}"
            for name in SOURCE.findall(line):
                if name not in known and not PLACEHOLDER.search(name):
                    yield f"{where}: {name}: there is no such source file"


if __name__ == "__main__":
    found = list(faults())
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
