#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Many routers on one machine, each in a namespace of its own and all on one bridge: what the first
apply takes, with its probes and without, another one, one mapping more, restore after a reboot and
detach; what the agent needs while nothing happens, and how long one router of the many is broken.
Needs root.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import rules                                                    # noqa: E402
from control import RUN, TIMEOUT                                # noqa: E402
from net import (BPFFS, Namespace, mount_bpffs, private_machine, sh,    # noqa: E402
                 unmount_bpffs, veth)
from snapshot import tcx_programs                               # noqa: E402

IDLE = 60       # seconds that the agent is watched; it looks at the maps once in that time
SETTLE = 60     # before: it announces every address three times
BROKEN = 8      # routers that are broken, one after the other, in each way
PAUSE = 3       # seconds after each


class Cloud:
    """Routers t0, t1, … with `mappings` each."""

    def __init__(self, routers, mappings):
        self.mappings = mappings
        self.wire, self.vms = Namespace("r-wire"), Namespace("r-vms")
        self.wire.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")
        self.routers = [self._router(n) for n in range(routers)]

    def _router(self, n):
        router = Namespace(f"r-{n}")
        self.plug(router, n)
        veth(router, "lan0", self.vms, f"v{n}")
        router.ip("addr add 10.0.0.1/16 dev lan0")
        router.sysctl(ipv4__ip_forward=1)
        return router

    def plug(self, router, n):
        veth(router, "shared0", self.wire, f"p{n}")
        self.wire.ip(f"link set p{n} master br0")
        router.ip(f"addr add 100.64.{n >> 8}.{n & 255}/10 dev shared0")

    def close(self):
        for ns in (*self.routers, self.wire, self.vms):
            ns.remove()

    def definitions(self):
        yield from ("shared-network: {subnets: [100.64.0.0/10]}", "tenants:")
        for n, router in enumerate(self.routers):
            yield from (f"  - name: t{n}", f"    pool: [100.{65 + (n >> 8)}.{n & 255}.0/24]",
                        f"    router: {{netns: {router.name}, shared: shared0, inside: [lan0]}}",
                        '    accept: [{from: ["*"]}]', "    mappings:")
            for m in range(self.mappings):
                yield f"      - {{fixed: 10.0.1.{m}}}"


def timed(*argv):
    """(seconds, of these by a CPU, MiB) of a program that has to succeed."""
    done = sh([sys.executable, "-I", "-S", "-c", RUN, *argv], timeout=TIMEOUT)
    *figures, code = done.stdout.rsplit("\n", 2)[-2].split()
    if int(code):
        raise RuntimeError(f"{' '.join(argv)}: exit {code}: {done.stderr.strip()[:400]}")
    return tuple(map(float, figures))


def used(pid):
    """(seconds of a CPU, most memory in MiB) of a process until now."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        peak = next(line.split()[1] for line in f if line.startswith("VmHWM"))
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK"), int(peak) / 1024


def detach_link(_cloud, _n, pins):
    sh(["bpftool", "link", "detach", "pinned", pins + "/link_out"])


def remove_pins(_cloud, _n, pins):
    sh(["rm", "-r", pins])


def recreate_interface(cloud, n, _pins):
    router = cloud.routers[n]
    router.ip("link del shared0")
    cloud.plug(router, n)


BREAKS = {"link detached": detach_link, "pins removed": remove_pins,
          "interface recreated": recreate_interface}


def is_whole(router):
    with contextlib.suppress(OSError):
        return len(tcx_programs(router, "shared0") + tcx_programs(router, "lan0")) == 4
    return False


def wait_until_bare(cloud):
    """The kernel takes off the programs of links that are gone by and by, and lets nobody between."""
    for router in cloud.routers:
        while tcx_programs(router, "shared0") + tcx_programs(router, "lan0"):
            time.sleep(0.1)


def pins_of(state, n):
    with contextlib.closing(sqlite3.connect(state + "/state.db")) as db:
        number, = db.execute("SELECT router.id FROM router JOIN tenant ON tenant.id = tenant "
                             "WHERE name = ?", (f"t{n}",)).fetchone()
    return f"{BPFFS}/routers/routers/{number}"


def mended(cloud, state):
    """{what: the longest that one router was broken, in seconds}"""
    worst = dict.fromkeys(BREAKS, 0.0)
    for turn in range(BROKEN):
        for what, do in BREAKS.items():
            n = turn * len(cloud.routers) // BROKEN
            do(cloud, n, pins_of(state, n))
            start = time.monotonic()
            while not is_whole(cloud.routers[n]):
                if time.monotonic() > start + TIMEOUT:
                    raise RuntimeError(f"{what}: router {n} is not mended")
                time.sleep(0.005)
            worst[what] = max(worst[what], time.monotonic() - start)
            time.sleep(PAUSE + turn / 7)    # at any time of its poll
    return worst


@contextlib.contextmanager
def idle_agent(tool, settle):
    """A running agent: (its pid, its share of a CPU while nothing happens)"""
    with subprocess.Popen([*tool, "agent"], stdout=subprocess.DEVNULL) as process:
        try:
            time.sleep(settle)
            before, start = used(process.pid)[0], time.monotonic()
            time.sleep(IDLE)
            after = used(process.pid)[0]
            yield process.pid, (after - before) / (time.monotonic() - start)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def agent(tool, cloud, state):
    """(share of a CPU while nothing happens, most memory in MiB, mended())"""
    with idle_agent(tool, SETTLE) as (pid, share):
        worst = mended(cloud, state)
        return share, used(pid)[1], worst


def measure(scratch, binary, options):
    state = os.path.join(scratch, "state")
    tool = [binary, "-q", "--state", state, "--bpffs", BPFFS + "/routers"]
    cloud = Cloud(options.routers, options.mappings)
    try:
        path = rules.write(os.path.join(scratch, "routers.yaml"), cloud.definitions())
        yield "first apply", timed(*tool, "apply", "-f", path)
        yield "detach --all", timed(*tool, "detach", "--all")
        yield "first apply --no-probe", timed(*tool, "apply", "--no-probe", "-f", path)
        yield "second apply", timed(*tool, "apply", "-f", path)
        yield "map add", timed(*tool, "map", "add", "t0", "10.0.2.1")
        unmount_bpffs()     # as a reboot does: programs, links and maps are gone
        mount_bpffs()
        wait_until_bare(cloud)
        yield "restore", timed(*tool, "restore")
        yield "agent", agent(tool, cloud, state)
        yield "detach --all ", timed(*tool, "detach", "--all")
    finally:
        with contextlib.suppress(RuntimeError):
            sh([*tool, "detach", "--all"], check=False)
        cloud.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--routers", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--mappings", type=int, default=50, help="of each (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    options = parser.parse_args()
    figures = {}
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        print(f"{options.routers} routers, {options.mappings} mappings each\n\n"
              f"{'':26} {'seconds':>8} {'of a CPU':>9} {'peak MiB':>9}")
        for what, found in measure(scratch, binary, options):
            figures[what.strip()] = found
            if what == "agent":
                print(f"{what + ', idle':26} {'':8} {found[0]:9.2%} {found[1]:9.0f}")
                for one, seconds in found[2].items():
                    print(f"{'  ' + one:26} {seconds:8.2f}", flush=True)
            else:
                print(f"{what:26} {found[0]:8.2f} {found[1]:9.2f} {found[2]:9.0f}", flush=True)
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump({"routers": options.routers, "mappings": options.mappings, **figures}, f,
                      indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
