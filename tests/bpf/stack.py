#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
stack.py OBJECT: how much of the stack each program takes at most, with the functions that it calls. A
program and what it calls have 512 bytes in all. Linux 6.1 counts each function in steps of 32; newer
kernels count less, so that a program which loads here may be refused there. Exit 1 if one takes more.
"""
import re
import subprocess
import sys

MOST, STEP = 512, 32
FUNCTION = re.compile(r"^[0-9a-f]+ <(?!LBB)(\S+)>:")
SLOT = re.compile(r"r10 - (0x[0-9a-f]+|[0-9]+)")
ADDRESS = re.compile(r"r[0-9] \+= -(0x[0-9a-f]+|[0-9]+)")
CALL = re.compile(r"R_BPF_64_32\s+(\S+)")


def read(path):
    """By function: the bytes that it uses itself, and what it calls."""
    done = subprocess.run(["llvm-objdump", "-d", "-r", "--no-show-raw-insn", path], check=True, capture_output=True,
                          text=True)
    used, calls, name = {}, {}, None
    for line in done.stdout.splitlines():
        if found := FUNCTION.match(line):
            name = found.group(1)
            used[name], calls[name] = 0, set()
        elif name:
            for slot in SLOT.findall(line) + [a for a in ADDRESS.findall(line) if int(a, 0) <= MOST]:
                used[name] = max(used[name], int(slot, 0))
            calls[name].update(CALL.findall(line))
    return used, calls


def deepest(name, used, calls):
    """The most that a chain of calls takes, and the chain."""
    own = -(-max(used[name], 1) // STEP) * STEP
    below = [deepest(callee, used, calls) for callee in calls[name] if callee in used]
    size, chain = max(below, default=(0, []))
    return own + size, [f"{name} {used[name]}", *chain]


def main():
    used, calls = read(sys.argv[1])
    programs = set(used) - set().union(*calls.values())
    assert programs, f"{sys.argv[1]} has no programs"
    over = [(size, chain) for size, chain in (deepest(p, used, calls) for p in sorted(programs)) if size > MOST]
    for size, chain in over:
        print(f"{size} bytes of the stack, and there are {MOST}: {', '.join(chain)}")
    return bool(over)


if __name__ == "__main__":
    sys.exit(main())
