#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
A large policy: many rules with ranges of ports at one tenant. What the first apply takes, another
one, one mapping more, restore and detach; and what the agent needs while nothing happens. Needs root.
"""
import argparse
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import rules                                                    # noqa: E402
from net import (BPFFS, mount_bpffs, private_machine,           # noqa: E402
                 unmount_bpffs)
from routers import Cloud, idle_agent, timed, used              # noqa: E402

VMS = 1000
SETTLE = 20     # seconds before the agent is watched


class LargePolicy(Cloud):
    """The first of two tenants has VMS mappings and that many rules, each with a range of ports."""

    def __init__(self, count):
        super().__init__(2, 0)
        self.count = count

    def definitions(self):
        yield from ("shared-network: {subnets: [100.64.0.0/10]}", "tenants:")
        for n, router in enumerate(self.routers):
            yield from (f"  - name: t{n}", f"    pool: [100.{65 + n}.0.0/16]",
                        f"    router: {{netns: {router.name}, shared: shared0, inside: [lan0]}}",
                        "    mappings:")
            for m in range(VMS if n == 0 else 1):
                yield f"      - {{name: vm{m}, fixed: 10.0.{1 + m // 250}.{m % 250}}}"
            yield from ("    accept:", *self.rules()) if n == 0 else ()

    def rules(self):
        for k in range(self.count):
            first = 1000 + k // VMS * 100
            yield (f"      - {{from: [t1], to: [vm{k % VMS}], "
                   f"ports: [tcp/{first}-{first + 60}]}}")


def agent(tool):
    """(share of a CPU while nothing happens, most memory in MiB)"""
    with idle_agent(tool, SETTLE) as (pid, share):
        return share, used(pid)[1]


def measure(scratch, binary, count):
    tool = [binary, "-q", "--state", os.path.join(scratch, "state"), "--bpffs", BPFFS + "/policy"]
    cloud = LargePolicy(count)
    try:
        path = rules.write(os.path.join(scratch, "policy.yaml"), cloud.definitions())
        yield "first apply", timed(*tool, "apply", "--no-probe", "-f", path)
        yield "second apply", timed(*tool, "apply", "-f", path)
        yield "map add", timed(*tool, "map", "add", "t0", "10.0.200.1")
        unmount_bpffs()     # as a reboot does: programs, links and maps are gone
        mount_bpffs()
        yield "restore", timed(*tool, "restore")
        yield "agent, idle", agent(tool)
        yield "detach --all", timed(*tool, "detach", "--all")
    finally:
        cloud.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--rules", type=int, default=100000, help="(%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    options = parser.parse_args()
    figures = {}
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        print(f"{options.rules} rules with a range of ports, {VMS} mappings\n\n"
              f"{'':26} {'seconds':>8} {'of a CPU':>9} {'peak MiB':>9}")
        for what, found in measure(scratch, binary, options.rules):
            figures[what] = found
            if what.startswith("agent"):
                print(f"{what:26} {'':8} {found[0]:9.2%} {found[1]:9.0f}", flush=True)
            else:
                print(f"{what:26} {found[0]:8.2f} {found[1]:9.2f} {found[2]:9.0f}", flush=True)
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump({"rules": options.rules, "mappings": VMS, **figures}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
