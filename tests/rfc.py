#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""docs/rfc.md names tests: every one of them has to exist, and every row has to have a verdict."""
import glob
import re
import sys

PAGE = "docs/rfc.md"
VERDICTS = ("met: ", "not met: ", "does not apply: ")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def known():
    """Everything that a row may name."""
    out = set()
    for path in glob.glob("tests/e2e/test_*.py"):
        out.update(re.findall(r"^@(?:datapath|hook|once)\n(?:@\w+\n)*def test_(\w+)\(lab\)",
                              read(path), re.M))
    for path in glob.glob("tests/unit/**/*.c", recursive=True) + glob.glob("tests/bpf/*.c"):
        text = read(path)
        out.update("/".join(found) for found in re.findall(r"^Test\((\w+), (\w+)", text, re.M))
        name = path.rsplit("/", 1)[1]
        rows = re.findall(r'(?:\{|KIND\()\s*"([^"]+)",', text)
        out.update(f"{name}: {row}" for row in rows)
    return out


def rows():
    """(line, verdict) of every row of every table."""
    for number, line in enumerate(read(PAGE).splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not re.fullmatch(r"[-| ]+", line) and cells[-1] != "verdict":
            yield number, cells[-1]


def faults():
    tests, count = known(), 0
    for number, verdict in rows():
        count += 1
        named = re.findall(r"`([^`]+)`", verdict)
        if not verdict.startswith(VERDICTS):
            yield f"{number}: no verdict: {verdict[:60]}"
        if verdict.startswith("met: ") and not named:
            yield f"{number}: met, but by no test"
        for name in named:
            if name not in tests:
                yield f"{number}: there is no test {name}"
    if count < 50:
        yield f"0: only {count} rows were read"


if __name__ == "__main__":
    FOUND = [f"{PAGE}:{fault}" for fault in faults()]
    print("\n".join(FOUND), end="\n" if FOUND else "")
    sys.exit(bool(FOUND))
