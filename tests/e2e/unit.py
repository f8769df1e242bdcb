# SPDX-License-Identifier: GPL-2.0-only
"""The unit file of the agent: what systemd would let it do, and whether it does no more."""
import os
import re

from net import sh

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGING = os.path.join(HERE, "..", "..", "packaging")


def read(name):
    with open(os.path.join(PACKAGING, name + ".in"), encoding="utf-8") as f:
        return f.read()


def setting(text, key):
    return re.search(f"^{key}=(.*)$", text, re.M).group(1).split()


def syscalls(names):
    """A SystemCallFilter= with its sets taken apart."""
    out = set()
    for name in names:
        if not name.startswith("@"):
            out.add(name)
            continue
        lines = sh(["systemd-analyze", "syscall-filter", name]).stdout.split("\n")[1:]
        out |= syscalls(w for w in map(str.strip, lines) if w and not w.startswith("#"))
    return out


def sandbox(text, trace):
    """A program to run the agent under, with what of its unit can be had without systemd."""
    caps = ",".join("+" + c.lower()[4:] for c in setting(text, "CapabilityBoundingSet"))
    return ["strace", "-D", "-f", "-o", trace, "unshare", "-m", "--propagation", "slave",
            "setpriv", f"--bounding-set=-all,{caps}", "--no-new-privs"]


def beyond(text, trace, writable):
    """What of a trace the unit would not have let it do."""
    allowed = syscalls(setting(text, "SystemCallFilter"))
    families = setting(text, "RestrictAddressFamilies")
    with open(trace, encoding="utf-8", errors="replace") as f:
        lines = [line.split(None, 1)[1] for line in f]
    last = max(i for i, line in enumerate(lines) if line.startswith("execve("))
    out = set()
    for line in lines[last + 1:]:
        name, _, rest = line.partition("(")
        if re.fullmatch(r"\w+", name) and name not in allowed:
            out.add(name)
        if name == "socket" and rest.split(",")[0] not in families:
            out.add(f"socket {rest}")
        if name in ("mmap", "mprotect") and "PROT_WRITE" in rest and "PROT_EXEC" in rest:
            out.add("memory to be written and executed")
        if name == "setns" and "CLONE_NEWNET" not in rest:
            out.add(f"setns {rest}")
        path = re.match(r'AT_FDCWD, "([^"]*)", [^,)]*O_(WRONLY|RDWR)', rest)
        if name == "openat" and path and not path.group(1).startswith(tuple(writable)):
            out.add(f"write {path.group(1)}")
    assert len(lines) - last > 100, "hardly anything was traced"
    return out
