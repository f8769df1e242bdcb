# SPDX-License-Identifier: GPL-2.0-only
"""
What changes take, and the most memory that they need: tenantnat beside nft and iptables-restore,
which load the same mappings. Every measurement has a router of its own, and all take turns. And how
long a program takes that has nothing to do.
"""
import contextlib
import os
import signal
import statistics
import sys
import time

import rules
from net import BPFFS, Namespace, announcing, mount_bpffs, unmount_bpffs, veth

# In a process of its own, because a child starts with its parent's peak.
RUN = """
import os, sys, time
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
took = time.perf_counter() - start
print("\\n", took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024,
      os.waitstatus_to_exitcode(status))
"""
TIMEOUT = 1800
STARTS = 50


class Site:
    """A router that nobody has changed yet, and the files that say what it is to have."""

    def __init__(self, bench, count):
        self.bench, self.count = bench, count
        self.router, self.other = Namespace("c-r"), Namespace("c-o")
        veth(self.router, "shared0", self.other, "other0")
        veth(self.router, "lan0", self.other, "vm0")
        self.router.ip("addr add 100.64.0.2/10 dev shared0", "addr add 10.255.0.1/30 dev lan0",
                       "route add 10.16.0.0/12 via 10.255.0.2")
        self.router.sysctl(ipv4__ip_forward=1)

    def close(self):
        self.router.remove()
        self.other.remove()

    def timed(self, *argv, inside=True):
        """(seconds, of these by a CPU, MiB) of a program that has to succeed."""
        helper = [sys.executable, "-I", "-S", "-c", RUN, *argv]
        where = self.router.run if inside else self.bench.sh
        done = where(*helper, timeout=TIMEOUT)
        *figures, code = done.stdout.rsplit("\n", 2)[-2].split()
        if int(code):
            raise RuntimeError(f"{' '.join(argv)}: exit {code}: {done.stderr.strip()[:400]}")
        return tuple(map(float, figures))


# ------------------------------------------------------------ who is measured

def end_announcing(state):
    """What the last command has left in the background would be measured with the next."""
    for pid in announcing(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def tenantnat(site):
    """After `restore`, every mapping has to be there, or nothing was measured."""
    state = site.bench.file("control-state")
    tool = [site.bench.binary, "-q", "--state", state, "--bpffs", BPFFS + "/control"]

    def run(*argv):
        figures = site.timed(*tool, *argv, inside=False)
        end_announcing(state)
        return figures

    def counted():
        got = len(site.bench.sh(*tool, "map", "list", "t").stdout.splitlines())
        if got < site.count:
            raise RuntimeError(f"{got} mappings instead of {site.count}")

    router = f"netns: {site.router.name}, shared: shared0, inside: [lan0], hook: tc"
    path = rules.write(site.bench.file("control.yaml"),
                       rules.definitions(router, '[{from: ["*"]}]', site.count))
    try:
        yield "first apply", run("apply", "--no-probe", "-f", path)
        counted()
        yield "second apply", run("apply", "--no-probe", "-f", path)
        yield "map add", run("map", "add", "--no-probe", "t", "10.15.0.1")
        unmount_bpffs()     # as a reboot does: programs, links and maps are gone
        mount_bpffs()
        yield "restore", run("restore")
        counted()
    finally:
        site.bench.sh(*tool, "detach", "--all", check=False)
        for name in os.listdir(state):
            os.unlink(os.path.join(state, name))


def nft(site):
    path = rules.write(site.bench.file("control.nft"), rules.nft(rules.NFT_STATEFUL, site.count))
    one = rules.write(site.bench.file("one.nft"), [
        "add element ip bench in { 100.79.0.1 : 10.15.0.1 }",
        "add element ip bench out { 10.15.0.1 : 100.79.0.1 }"])
    yield "nft -f", site.timed("nft", "-f", path)
    yield "nft -f again", site.timed("nft", "-f", path)
    yield "nft add element", site.timed("nft", "-f", one)


def iptables(site):
    """It writes all of them for each change, as Neutron does."""
    first = rules.write(site.bench.file("control.rules"), rules.neutron(site.count))
    more = rules.write(site.bench.file("more.rules"), rules.neutron(site.count + 1))
    yield "iptables-restore", site.timed("iptables-restore", first)
    yield "iptables-restore, one more", site.timed("iptables-restore", more)


KINDS = {"tenantnat": tenantnat, "nft": nft, "iptables": iptables}


def measure(bench, counts, rounds):
    """{count: {what: {"seconds", "low", "high", "cpu", "mib"}}}"""
    out = {}
    for count in counts:
        taken = {}
        for turn in range(rounds):
            for kind in KINDS.values():
                site = Site(bench, count)
                try:
                    for what, figures in kind(site):
                        taken.setdefault(what, []).append(figures)
                finally:
                    site.close()
            print(f"{count:,} mappings: round {turn + 1} of {rounds}", file=sys.stderr)
        out[count] = {what: summary(figures) for what, figures in taken.items()}
    return out


def started(argv):
    """Milliseconds from start to end of a program that has to succeed."""
    begin = time.perf_counter_ns()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter_ns() - begin
    if status:
        raise RuntimeError(f"{' '.join(argv)}: exit {os.waitstatus_to_exitcode(status)}")
    return took / 1e6


def starts(bench):
    """{what: {"ms", "low", "high"}}, in turns; the last is what any program takes."""
    programs = {"map list, none": [bench.binary, "--state", bench.file("no-state"), "map", "list"],
                "nft list tables": ["nft", "list", "tables"], "true": ["true"]}
    taken = {what: [] for what in programs}
    for _ in range(STARTS):
        for what, argv in programs.items():
            taken[what].append(started(argv))
    return {what: dict(zip(("low", "ms", "high"),
                           statistics.quantiles(ms, n=4, method="inclusive")))
            for what, ms in taken.items()}


def start_table(found):
    print(f"\n{f'start to end, {STARTS} times':28} {'ms':>10} {'quartiles':>17}")
    for what, f in found.items():
        print(f"{what:28} {f['ms']:10.2f} {f['low']:8.2f}-{f['high']:<8.2f}")


def summary(figures):
    seconds, cpu, peaks = zip(*figures)
    low, middle, high = statistics.quantiles(seconds * (1 + (len(seconds) == 1)), n=4,
                                             method="inclusive")
    return {"seconds": middle, "low": low, "high": high, "cpu": statistics.median(cpu),
            "mib": max(peaks)}


def table(found):
    """Whole runs of the programs, from start to end."""
    for count, rows in found.items():
        title = f"{count:,} mappings"
        print(f"\n{title:28} {'seconds':>10} {'quartiles':>17} {'of a CPU':>10} {'peak MiB':>10}")
        for what, f in rows.items():
            print(f"{what:28} {f['seconds']:10.3f} {f['low']:8.3f}-{f['high']:<8.3f} "
                  f"{f['cpu']:10.3f} {f['mib']:10.0f}")
