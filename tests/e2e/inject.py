# SPDX-License-Identifier: GPL-2.0-only
"""
System calls of a run of tenantnat, as strace(1) tells them, and the N-th of a name killed or refused.

strace counts `when=` by name, so a place in a run is a name and a number. A kill comes before its
call is done: what it meets is what all calls before it have left. Every call in its turn is every
moment between two calls.

A process that it starts for a moment is not traced.
"""
import os
import re
import signal

LINE = re.compile(r"^(\w+)\((.*)$")
TABLES = re.compile(r'pathname="[^"]*/maps/(\w+)".* = (\d+)<anon_inode:bpf-map>')
ERRNO = re.compile(r"= -1 [A-Z]")

# What calls do that change something which is there when the process is gone: the first that
# matches. All others only look, or change the process. strace does not know the numbers of
# <linux/rtnetlink.h> in every kind of call.
PHASES = {
    "lock": r"flock |fcntl .*/lock>|ftruncate .*/lock>|pwrite64 .*/lock>|openat .*/lock\".*O_CREAT",
    "make the state": r"(openat|pwrite64|ftruncate|fchown|fdatasync|unlink) .*state\.db-journal"
                      r"|mkdir .*/state\"|fdatasync .*/state>|openat .*/state\.db\".*O_CREAT",
    "open the log": r"openat .*state\.db-(wal|shm)\".*O_CREAT|(pwrite64|ftruncate|fchown) .*-shm>"
                    r"|fchown .*-wal>",
    "write the log": r"pwrite64 .*state\.db-wal>",
    "commit": r"fdatasync .*state\.db-wal>|ftruncate .*state\.db-wal>",
    "checkpoint": r"(pwrite64|fdatasync|ftruncate) .*state\.db>",
    "close the state": r"unlink .*state\.db-(wal|shm)\"",
    "pin maps": r"mkdir .*/(kill[-\w]*|MAPS|routers)\"|bpf BPF_OBJ_PIN .*/MAPS/|rename ",
    "write rows": r"bpf BPF_MAP_(UPDATE|DELETE)\w* .*<(by_shared|by_fixed|changes)>",
    "write rules": r"bpf BPF_MAP_(UPDATE|DELETE)\w* .*"
                   r"<(accepts|services|withdrawn|pools|limits|hits)>",
    "write down a router": r"bpf BPF_MAP_(UPDATE|DELETE)\w* .*"
                           r"<(routers|stations|config|drops|counters)>"
                           r"|mkdir .*/routers/\d+\"",
    "address and routes": r"send(to|msg) .*nlmsg_type=(0x14|0x18|RTM_NEW(ADDR|ROUTE))\b"
                          r"|write .*/proc/sys/",
    "attach": r"bpf BPF_LINK_(CREATE|UPDATE) |send(to|msg) .*nlmsg_type="
              r"(0x13|0x24|0x2c|RTM_(SETLINK|NEWQDISC|NEWTFILTER))\b",
    "pin": r"bpf BPF_OBJ_PIN ",
    "detach": r"unlink(at)? .*|rmdir |send(to|msg) .*nlmsg_type=(0x15|0x19|0x25|0x2d|RTM_DEL)",
    "end": r"exit_group ",
}
# the first that main() does
MAIN = "rt_sigaction"


class Call:
    """The `number`-th call of `name` in a run."""

    def __init__(self, name, number, text):
        self.name, self.number, self.text = name, number, text
        self.failed = bool(ERRNO.search(text))
        self.phase = self.after = None  # `after`: the phase of the call before
        if not self.failed:
            said = f"{name} {text}"
            self.phase = next((p for p, which in PHASES.items() if re.match(which, said)), None)

    def __str__(self):
        return f"{self.name} {self.number} ({self.text[:70]})"


def calls(path):
    """Those of a trace, from the first of main()."""
    out, numbers, tables, begun = [], {}, {}, False
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            found = LINE.match(line)
            if not found:
                continue
            name, text = found.groups()
            numbers[name] = numbers.get(name, 0) + 1
            if known := TABLES.search(text):
                tables[known[2]] = known[1]
            text = re.sub(r"map_fd=(\d+)<[^>]*>",
                          lambda m: f"map_fd=<{tables.get(m[1], 'unknown')}>", text)
            if name == "bpf":
                text = text.replace(",", " ,", 1)
            begun = begun or name == MAIN
            if begun:
                out.append(Call(name, numbers[name], text))
                out[-1].after = out[-2].phase if len(out) > 1 else None
    return out


class Strace:
    """Runs commands of a Cli under strace; `state` and `bpffs` are those of the Cli."""

    def __init__(self, pair):
        self.pair, self.path = pair, os.path.join(pair.scratch, "trace")

    def _cli(self, *options):
        return self.pair.cli.elsewhere(
            state=self.pair.cli.state, bpffs=self.pair.bpffs,
            under=["strace", "-qq", "-y", "-s", "96", "-o", self.path,
                   *options])

    def trace(self, *words):
        """(what became of it, its calls)"""
        done = self._cli().run(*words, code=None)
        return done, calls(self.path)

    def at(self, call, what, *words):
        """
        With `what` ("signal=KILL", "error=ENOSPC") at that call: (what became of it, whether it
        came so far)
        """
        inject = f"inject={call.name}:{what}:when={call.number}"
        done = self._cli("-e", f"trace={call.name}", "-e", inject).run(
            *words, code=None, timeout=30)
        with open(self.path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if what == "signal=KILL":
            return done, done.returncode == -signal.SIGKILL
        return done, "(INJECTED)" in text


def moments(some):
    """
    Calls before which something may have changed since the one before, and the last: a kill
    elsewhere leaves the same. SQLite writes to the -shm file without calls, between those that lock it.
    """
    return [call for index, call in enumerate(some)
            if not index or call.after or "-shm>" in some[index - 1].text or call is some[-1]]


def spread(some, count):
    """So many of them, evenly."""
    if len(some) <= count:
        return list(some)
    return [some[i * len(some) // count] for i in range(count)]


def chosen(some, count, planned):
    """
    Calls that change something, `count` of them, in order: of each phase one, first of those with
    the least in `planned`, which counts them.
    """
    phases = {}
    for index, call in enumerate(some):
        if call.phase:
            phases.setdefault(call.phase, []).append(index)
    first = sorted(phases, key=lambda phase: planned[phase])[:count]
    picked = {phases[phase][len(phases[phase]) // 2] for phase in first}
    rest = [i for indexes in phases.values() for i in indexes if i not in picked]
    picked.update(spread(sorted(rest), count - len(picked)))
    planned.update(some[i].phase for i in picked)
    return [some[i] for i in sorted(picked)]
