# SPDX-License-Identifier: GPL-2.0-only
"""
System calls of a run of tenantnat, as strace(1) tells them, and the N-th of a name killed or refused.

strace counts `when=` by name, so a place in a run is a name and a number. A kill comes before its
call is done: what it meets is what all calls before it have left. Every call in its turn is every
moment between two calls.

A process that it starts for a moment is not traced.
"""
import contextlib
import os
import re
import signal

from case import eventually

LINE = re.compile(r"^(\w+)\((.*)$")
TABLES = re.compile(r'pathname="[^"]*/maps/(\w+)".* = (\d+)<anon_inode:bpf-map>')
ERRNO = re.compile(r"= -1 [A-Z]")
# the family comes first behind the head of a request
SIX = r".*(\}, \"\\x0a|_family=AF_INET6)"

# What calls do that change something which is there when the process is gone: the first that
# matches. All others only look, or change the process. strace does not know the numbers of
# <linux/rtnetlink.h> in every kind of call. Those of IPv6 are met where it is on.
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
    "pin maps": r"mkdir .*/(kill[-\w]*|MAPS|routers)\"|bpf BPF_OBJ_PIN .*/MAPS/|rename (?!.*/routers/)",
    "write rows": r"bpf BPF_MAP_(UPDATE|DELETE)\w* .*<(by_shared|by_fixed|table_seq)>",
    "write rules": r"bpf BPF_MAP_(UPDATE|DELETE)\w* .*"
                   r"<(accepts|services|withdrawn|pools|limits|hits)>",
    "write down a router": r"bpf BPF_MAP_(UPDATE|DELETE)\w* .*"
                           r"<(routers|router_ports|config|drops|counters|flows|fragments|programs_\w+)>"
                           r"|mkdir .*/routers/\d+\"",
    "address of IPv6": r"send(to|msg) .*nlmsg_type=(0x14|RTM_NEWADDR)\b" + SIX,
    "routes of IPv6": r"send(to|msg) .*nlmsg_type=(0x18|RTM_NEWROUTE)\b" + SIX,
    "settings of IPv6": r"write .*/proc/sys/net/ipv6/",
    "address": r"send(to|msg) .*nlmsg_type=(0x14|RTM_NEWADDR)\b",
    "routes": r"send(to|msg) .*nlmsg_type=(0x18|RTM_NEWROUTE)\b",
    "settings": r"write .*/proc/sys/",
    "probe and announce": r"sendmmsg |sendmsg .*msg_name=\{sa_family=AF_INET6?,",
    # RTM_NEWLINK there is all-multicast, which comes behind its mark, a name of the link
    "groups of IPv6": r"send(to|msg) .*nlmsg_type=(0x10|0x1c|0x1d|0x6c|0x6d"
                      r"|RTM_(NEWLINK|(NEW|DEL)NEIGH|(NEW|DEL)LINKPROP))\b",
    "attach": r"bpf BPF_LINK_(CREATE|UPDATE) |send(to|msg) .*nlmsg_type="
              r"(0x13|0x24|0x2c|RTM_(SETLINK|NEWQDISC|NEWTFILTER))\b",
    "pin": r"bpf BPF_OBJ_PIN |rename ",
    # 0x15 is also what asks for the policies of IPsec
    "detach": r"unlink(at)? .*|rmdir "
              r"|send(to|msg) (?!.*(NLM_F_DUMP|0x300)).*nlmsg_type=(0x15|0x19|0x25|0x2d|RTM_DEL)",
    "end": r"exit_group ",
}
PHASES_OF_IPV6 = {phase for phase in PHASES if phase.endswith("of IPv6")}
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
            # a setting that finds the network locked is written again, by the kernel itself
            if not found or "= ? ERESTART" in line:
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
    """Runs commands of the Cli of a Pair or a Lab under strace."""

    def __init__(self, pair):
        self.pair, self.path = pair, os.path.join(pair.scratch, "trace")

    def _cli(self, *options):
        return self.pair.cli.elsewhere(
            bpffs=getattr(self.pair, "bpffs", None),
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
            *words, code=None, timeout=120)
        with open(self.path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if what == "signal=KILL":
            return done, done.returncode == -signal.SIGKILL
        return done, "(INJECTED)" in text

    @contextlib.contextmanager
    def stopped(self, call, *words):
        """Stopped behind that call while the block runs; then it ends. Gives its process."""
        inject = f"inject={call.name}:signal=STOP:when={call.number}"
        open(self.path, "w", encoding="utf-8").close()      # that of the run before
        with self._cli("-e", f"trace={call.name}", "-e", inject).start(*words) as run:
            def stands():
                with open(self.path, encoding="utf-8", errors="replace") as f:
                    assert "stopped by SIGSTOP" in f.read(), f"it did not come to {call}"
            try:
                eventually(stands)
                yield run
            finally:
                for pid in children(run.pid):
                    os.kill(pid, signal.SIGCONT)
                run.said, run.complained = run.communicate()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def refusable(some, errors):
    """(call, error) of all that can be refused: `errors` has those of each name."""
    for call in some:
        if call.name == "fcntl" and "LK" not in call.text or \
                call.name == "ioctl" and "SIOC" not in call.text:
            continue    # only locks, and questions about interfaces
        for error in errors.get(call.name, ()):
            if error != "ENOSPC" or call.name != "openat" or "O_CREAT" in call.text:
                yield call, error


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


def chosen_refusals(some, part, planned):
    """
    One of each phase that is not in `planned` yet, of the errors with the least in that, which
    counts both; and every `part`-th error of each name, at calls that change nothing.
    """
    phases, rest = {}, {}
    for call, error in some:
        where = phases.setdefault(call.phase, []) if call.phase else \
            rest.setdefault((call.name, error), [])
        where.append((call, error))
    picked = []
    for phase in [phase for phase in phases if phase not in planned]:
        least = min(planned[call.name, error] for call, error in phases[phase])
        those = [(call, error) for call, error in phases[phase]
                 if planned[call.name, error] == least]
        call, error = those[len(those) // 2]
        picked.append((call, error))
        planned.update([phase, (call.name, error)])
    for index, those in list(enumerate(rest.values()))[::part]:
        picked.append(those[(index * 7 + 3) % len(those)])     # another part of the run for each
    return picked


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
