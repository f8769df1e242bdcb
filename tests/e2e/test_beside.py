# SPDX-License-Identifier: GPL-2.0-only
"""From four routers on, programs are loaded beside each other: five of them, all or none."""
import os
import shutil

from case import equal, eventually, once
from defs import Definitions, Tenant
from lab import INSIDE, VARIANTS
from net import BPFFS, Namespace, veth
from pair import INSIDE_INDEX, SHARED_INDEX, guarded, pins, portrait, tables
from snapshot import difference

COUNT = 5


class Five:
    """Routers on a bridge, with nobody behind them, that get their addresses with the join."""

    def __init__(self, lab, name):
        self.hook, env = VARIANTS[lab.variant]
        self.name, self.scratch = name, os.path.join(lab.scratch, name)
        os.mkdir(self.scratch)
        self.bpffs = f"{BPFFS}/{name}"
        self.cli = lab.cli.elsewhere(state=self.scratch + "/state", bpffs=self.bpffs, env=env)
        self.wire = self._add("wire")
        self.wire.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")
        self.routers = [self._router(i) for i in range(1, COUNT + 1)]
        self.file = self._definitions().write(self.scratch + "/five.yaml")
        self.bare = self.picture()

    def _add(self, name):
        ns = Namespace(f"{self.name}-{name}")
        ns.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1,
                  ipv4__ip_forward=1)
        ns.ip("link set lo up")
        return ns

    def _router(self, number):
        ns = self._add(f"r{number}")
        veth(ns, "shared0", self.wire, f"p{number}", SHARED_INDEX)
        self.wire.ip(f"link set p{number} master br0")
        veth(ns, "lan0", ns, "far0", INSIDE_INDEX)
        ns.ip(f"addr add {INSIDE}/24 dev lan0")
        return ns

    def _definitions(self):
        return Definitions(*(
            Tenant(f"t{i}", ("10.0.0.5",), pool=[f"100.64.{i}.0/24"],
                   router={"netns": ns.name, "shared": "shared0", "inside": "[lan0]",
                           "hook": self.hook})
            for i, ns in enumerate(self.routers, 1)))

    def close(self):
        self.cli.run("detach", "--all", code=None)
        for ns in [*self.routers, self.wire]:
            ns.remove()

    def apply(self):
        return self.cli.apply(self.file)

    def refused(self, *words):
        """What it says when there is no room for the fourth router's pins."""
        inject = ["-e", "inject=mkdir:error=ENOSPC", "-P", self.bpffs + "/routers/4"]
        return self.cli.elsewhere(
            state=self.cli.state, bpffs=self.bpffs,
            under=["strace", "-qq", "-o", "/dev/null", *inject]).fails(*words)

    def picture(self):
        """All of the routers, and what is pinned."""
        return {"pins": pins(self.bpffs), "tables": tables(self.bpffs),
                **{ns.name: portrait(ns) for ns in self.routers}}

    def check(self, picture, what):
        found = difference(picture, self.picture())
        assert not found, f"{what}: {found[:600]}"


@once
def test_five_routers(lab):
    """Killed in between, and the same again; restored; detached; one that fails takes all back."""
    some = Five(lab, "five")
    try:
        run = some.cli.start("apply", "-f", some.file)
        eventually(lambda: equal(os.path.exists(some.bpffs + "/routers/2/link_inside_30"), True,
                                 "whether the second is attached"))
        run.kill()                  # the next two are being loaded
        run.communicate()
        there = [ns for ns in some.routers if guarded(ns)]
        assert len(there) < COUNT, "it was not killed in between"
        some.apply()
        joined = some.picture()
        assert all(guarded(ns) for ns in some.routers), "a router has no programs"
        equal(some.apply(), ["nothing to be done"], "apply again")
        shutil.rmtree(some.bpffs)
        some.cli.run("restore")
        some.check(joined, "restored")
        some.cli.run("detach", "--all")
        some.check(some.bare, "detached")
        said = some.refused("apply", "-f", some.file)
        assert "tenant t4" in said and "routers/4" in said, said
        some.check(some.bare, "one failed")
    finally:
        some.close()
