# SPDX-License-Identifier: GPL-2.0-only
"""
Shared interfaces that take in only the groups which somebody has joined: macvlan devices, and ports
of a bridge with MLD snooping and a querier. Neighbours find mapped IPv6 addresses all the same.
"""
import contextlib
import json
import os
import tempfile

from agent import Agent
from case import PATIENCE, equal, eventually, hook, once
from defs import Definitions, Tenant
from inject import Strace
from lab import (BLUE1, BLUE1_V6, BLUE_V6, FIXED, FIXED_V6, INSIDE, INSIDE_V6, PLAIN, PLAIN_V6, RED1,
                 RED1_V6, RED_V6, ROUTERS, SUBNET, SUBNET_V6)
from net import BPFFS, Namespace, sh, veth
from snapshot import attached, unchanged
from test_six import group_of
from traffic import ping

MARK = 116
BOUND = 256     # GROUPS_MAX of user/model/model.h
PEERS = (("red1", BLUE1_V6), ("blue1", RED1_V6), ("x", RED1_V6), ("x", BLUE1_V6),
         ("red1", PLAIN_V6))


class Filtered:
    """red and blue with a VM each, and x, a host on the shared network; a state of its own."""

    def __init__(self, lab, kind):
        self.scratch = tempfile.mkdtemp(prefix=kind + "-", dir=lab.scratch)
        self.bpffs = f"{BPFFS}/{os.path.basename(self.scratch)}"
        self.ns = {name: Namespace(f"{kind}-{name}")
                   for name in ("host", "x", "red", "blue", "red1", "blue1")}
        for ns in self.ns.values():
            ns.sysctl(**{f"ipv6__conf__{device}__{key}": 0 for device in ("all", "default")
                         for key in ("accept_dad", "accept_ra", "router_solicitations")})
            ns.ip("link set lo up")
        getattr(self, kind)()
        self.address("x", "shared0", f"{PLAIN}/16", f"{PLAIN_V6}/64")
        for name, own in (("red", RED_V6), ("blue", BLUE_V6)):
            router, vm = self.ns[name], self.ns[name + "1"]
            veth(router, "lan0", vm, "eth0")
            self.address(name, "shared0", f"{ROUTERS[name]}/16", f"{own}/64")
            self.address(name, "lan0", f"{INSIDE}/24", f"{INSIDE_V6}/64")
            self.address(name + "1", "eth0", f"{FIXED}/24", f"{FIXED_V6}/64")
            router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
            vm.ip(f"route add default via {INSIDE}", f"route add default via {INSIDE_V6}")
        self.cli = lab.cli.elsewhere(state=self.scratch + "/state", bpffs=self.bpffs)
        # a macvlan device has no XDP of its own
        self.hook = "tc" if kind == "macvlan" and lab.hook == "xdp" else lab.hook

    def macvlan(self):
        """x at the other end of a cable, and the routers on devices on this end."""
        host = self.ns["host"]
        veth(host, "up0", self.ns["x"], "shared0")
        for name in ROUTERS.keys() & self.ns.keys():
            host.ip(f"link add mv{name} link up0 type macvlan mode bridge",
                    f"link set mv{name} netns {self.ns[name].name} name shared0")
            self.ns[name].ip("link set shared0 up")

    def snooping(self):
        """A bridge that floods no group of which it knows members elsewhere."""
        host = self.ns["host"]
        host.ip("link add br0 type bridge mcast_snooping 1 mcast_query_response_interval 10",
                "link set br0 up")
        for name in ("red", "blue", "x"):
            veth(self.ns[name], "shared0", host, "p" + name)
            host.ip(f"link set p{name} master br0")

        def has_an_address():
            said = host.run("ip", "-6", "addr", "show", "dev", "br0").stdout
            assert "fe80::" in said and "tentative" not in said, said
        eventually(has_an_address)   # a querier without one is none
        host.ip("link set br0 type bridge mcast_querier 1")

    def leave(self, address):
        """red's entry is gone, and at once what switches know of it."""
        self.ns["red"].ip(f"neigh del proxy {address} dev shared0")
        sh(["bridge", "-n", self.ns["host"].name, "mdb", "del", "dev", "br0", "port", "pred", "grp",
            group_of(address)[0], "temp"], check=False)

    def address(self, name, device, *addresses):
        self.ns[name].ip(*(f"addr add {a} dev {device} {'nodad' if ':' in a else ''}"
                           for a in addresses))

    def close(self):
        self.cli.run("detach", "--all", code=None)
        for ns in self.ns.values():
            ns.remove()

    def definitions(self, more=0):
        """With so many more IPv6 mappings of red."""
        return Definitions(
            *(Tenant(name, (FIXED, four), (FIXED_V6, six),
                     router={"netns": self.ns[name].name, "shared": "shared0", "inside": "[lan0]",
                             "hook": self.hook})
              for name, four, six in (("red", RED1, RED1_V6), ("blue", BLUE1, BLUE1_V6))),
            Tenant("plain", ("10.9.9.9", PLAIN), ("fd00:99::9", PLAIN_V6)),
            subnets=(SUBNET, SUBNET_V6)) if not more else self._more(more)

    def _more(self, more):
        defs = self.definitions()
        defs["red"].mappings += [(f"fd00:10::1:{i:x}", f"fd64::3:{i:x}", None)
                                 for i in range(more)]
        return defs

    def apply(self, more=0, *words):
        return self.cli.apply(self.definitions(more).write(self.scratch + "/defs.yaml"), *words)

    def reached(self):
        """Everybody is found by who has forgotten them all."""
        for ns in self.ns.values():
            sh(["ip", "-n", ns.name, "-6", "neigh", "flush", "all"], check=False)
        for name, address in PEERS:
            ping(self.ns[name], address, wait=PATIENCE)

    def found_by_multicast(self):
        """{tenant: result} of the probe."""
        said = self.cli.run("-j", "check", code=None).stdout
        return {f["tenant"]: f["result"] for f in json.loads(said)
                if f["probe"] == "solicitation" and "IPv4" not in f["subject"]}

    def proxies(self, name="red", ours=True):
        """Addresses that the kernel has entries for, with our mark or without."""
        said = sh(["ip", "-n", self.ns[name].name, "-6", "-j", "neigh", "show", "proxy"]).stdout
        return sorted(p["dst"] for p in json.loads(said or "[]")
                      if (p.get("protocol") == str(MARK)) == ours)

    def all_multicast(self, name="red"):
        """(set, with our mark)"""
        link, = [l for l in self.ns[name].links() if l["ifname"] == "shared0"]
        return ("ALLMULTI" in link["flags"],
                any(n.startswith("tenantnat-") for n in link.get("altnames", ())))

    def state_of(self, *names):
        return {name: attached(self.ns[name]) for name in names or ("red", "blue")}


@contextlib.contextmanager
def filtered(lab, kind):
    there = Filtered(lab, kind)
    try:
        yield there
    finally:
        there.close()


def found_and_left(there):
    before = there.state_of()
    there.apply()
    eventually(there.reached)
    equal(there.found_by_multicast(), {"red": "ok", "blue": "ok"}, "the probe")
    # the filter is one, and the probe sees it
    there.leave(RED1_V6)

    def missed():
        equal(there.found_by_multicast(), {"red": "failed", "blue": "ok"}, "the probe without it")
    eventually(missed)
    there.cli.run("restore")
    eventually(there.reached)
    there.cli.run("detach", "red")
    unchanged(before["red"], there.state_of()["red"], "red, after detach,")
    there.cli.run("detach", "--all")
    unchanged(before, there.state_of(), "detach --all")


@hook
def test_groups_of_macvlan(lab):
    with filtered(lab, "macvlan") as there:
        found_and_left(there)


@hook
def test_groups_behind_snooping(lab):
    with filtered(lab, "snooping") as there:
        found_and_left(there)


@once
def test_groups_follow_mappings(lab):
    """map add, map del, apply; an entry of somebody else's is neither ours to make nor to remove."""
    with filtered(lab, "macvlan") as there:
        there.apply()
        equal(there.proxies(), [RED1_V6], "after apply")
        other, theirs = "fd64::1:7", "fd64::1:8"
        there.ns["red"].ip(f"neigh add proxy {theirs} dev shared0")
        there.address("red1", "eth0", "fd00:10::7/64", "fd00:10::8/64")
        there.cli.run("map", "add", "red", "fd00:10::7", "--shared", other)
        there.cli.run("map", "add", "red", "fd00:10::8", "--shared", theirs)
        equal(there.proxies(), [RED1_V6, other], "after map add")
        ping(there.ns["x"], other)
        ping(there.ns["x"], theirs)
        there.cli.run("map", "del", "red", "fd00:10::7")
        there.cli.run("map", "del", "red", "fd00:10::8")
        equal(there.proxies(), [RED1_V6], "after map del")
        there.cli.run("map", "del", "red", FIXED_V6)
        equal(there.proxies(), [], "after map del of the last")
        said = there.apply()
        assert "+ solicited-node groups red 1 on shared0" in said, said
        equal(there.apply(), ["nothing to be done"], "apply again")
        equal(there.proxies(ours=False), [theirs], "those of others")


@once
def test_groups_come_back(lab):
    """The kernel forgets them with the link; restore and the agent put them there again."""
    with filtered(lab, "macvlan") as there:
        red = there.ns["red"]

        def flap():
            red.ip("link set shared0 down", "link set shared0 up",
                   f"addr add {RED_V6}/64 dev shared0 nodad")
        there.apply()
        flap()
        equal(there.proxies(), [], "without the link")
        there.cli.run("restore")
        eventually(there.reached)
        with Agent(there):
            flap()
            eventually(lambda: equal(there.proxies(), [RED1_V6], "of the agent"))
            eventually(there.reached)
        # what the definitions say is gone by hand, and so are the programs' pins
        there.cli.run("detach", "red")
        red.ip(f"neigh add proxy {RED1_V6} dev shared0 protocol {MARK}")
        there.apply()
        equal(there.proxies(), [RED1_V6], "found")
        there.cli.run("detach", "--all")
        equal(there.proxies(), [], "after detach")


@once
def test_groups_too_many(lab):
    """Beyond the bound it is all-multicast, which goes when the number falls or the router leaves."""
    with filtered(lab, "macvlan") as there:
        before = there.state_of()
        there.apply(BOUND - 1)
        equal((len(there.proxies()), there.all_multicast()), (BOUND, (False, False)), "at the bound")
        said = there.apply(BOUND)
        assert "+ all-multicast red on shared0" in said, said[:9]
        assert f"- solicited-node groups red {BOUND} on shared0" in said, said[:9]
        equal((there.proxies(), there.all_multicast()), ([], (True, True)), "one more")
        eventually(there.reached)
        equal(there.found_by_multicast(), {"red": "ok", "blue": "ok"}, "the probe")
        there.cli.run("map", "del", "red", "fd00:10::1:7")
        equal((len(there.proxies()), there.all_multicast()), (BOUND, (False, False)), "map del")
        there.cli.run("map", "add", "red", "fd00:10::1:7")
        equal((there.proxies(), there.all_multicast()), ([], (True, True)), "map add")
        # somebody takes it off by hand
        there.ns["red"].ip("link set shared0 allmulticast off")
        there.cli.run("restore")
        equal(there.all_multicast(), (True, True), "after restore")
        there.cli.run("detach", "--all")
        unchanged(before, there.state_of(), "detach --all")


@once
def test_groups_too_many_behind_snooping(lab):
    """All-multicast opens no switch: the probe says so, and a port for multicast routers helps."""
    with filtered(lab, "snooping") as there:
        there.apply(BOUND)
        equal(there.found_by_multicast(), {"red": "failed", "blue": "ok"}, "the probe")
        one, = [f for f in json.loads(there.cli.run("-j", "doctor", "red", code=1).stdout)["findings"]
                if f["finding"] == "groups"]
        assert one["severity"] == "problem" and "br0 hands groups to members alone" in one["seen"], one
        sh(["sh", "-c", one["remedy"]])
        there.cli.run("doctor", "red")
        equal(there.found_by_multicast(), {"red": "ok", "blue": "ok"}, "the probe then")
        eventually(there.reached)


@once
def test_groups_with_all_multicast_of_others(lab):
    """What somebody else has set is enough, and stays."""
    with filtered(lab, "macvlan") as there:
        there.ns["red"].ip("link set shared0 allmulticast on")
        there.apply(BOUND)
        equal((there.proxies(), there.all_multicast()), ([], (True, False)), "theirs")
        there.apply()
        equal((there.proxies(), there.all_multicast()), ([RED1_V6], (True, False)), "one mapping")
        there.apply(BOUND)
        there.cli.run("detach", "--all")
        equal(there.all_multicast(), (True, False), "after detach")


@once
def test_groups_of_a_killed_run(lab):
    """Killed before each call that has to do with them: the same again mends it, detach removes it."""
    with filtered(lab, "macvlan") as there:
        before, strace = there.state_of(), Strace(there)
        few, many = (there.definitions(more).write(f"{there.scratch}/{more}.yaml")
                     for more in (0, BOUND))
        for here, other in ((few, many), (many, few)):
            there.cli.run("apply", "--yes", "--no-probe", "-f", here)
            done, calls = strace.trace("-q", "apply", "--yes", "--no-probe", "-f", other)
            equal(done.returncode, 0, f"exit of a run that is watched ({done.stderr})")
            places = [i for i, call in enumerate(calls) if call.phase == "groups of IPv6"]
            assert len(places) > 2, f"only {len(places)} calls of the phase"
            for i in (places[0], places[1], places[len(places) // 2], places[-1], places[-1] + 1):
                there.cli.run("apply", "--yes", "--no-probe", "-f", here)
                _, struck = strace.at(calls[i], "signal=KILL", "-q", "apply", "--yes", "--no-probe", "-f",
                                      other)
                assert struck, f"not killed at {calls[i]}"
                there.cli.run("-q", "apply", "--yes", "--no-probe", "-f", other)
                equal((len(there.proxies()), there.all_multicast()[0]),
                      (0, True) if other is many else (1, False), f"after {calls[i]}")
            there.cli.run("apply", "--yes", "--no-probe", "-f", here)
            strace.at(calls[places[1]], "signal=KILL", "-q", "apply", "--yes", "--no-probe", "-f", other)
            there.cli.run("detach", "--all")
            unchanged(before, there.state_of(), "killed, and detach,")


@once
def test_groups_that_nobody_asks_for(lab):
    """With nobody to ask from the probe is skipped; no mapped IPv6 address, no probe."""
    with filtered(lab, "snooping") as there:
        defs = there.definitions()
        defs["blue"].router, defs["blue"].accept = None, None
        there.cli.apply(defs.write(there.scratch + "/one.yaml"))
        equal(there.found_by_multicast(), {"red": "skipped"}, "alone")
        there.apply()
        # what does not find red itself says nothing about its groups
        there.ns["host"].ip("link set pred nomaster")
        equal(there.found_by_multicast(), {"red": "skipped", "blue": "skipped"}, "red is cut off")
        there.ns["blue"].ip("link set shared0 down")
        equal(there.found_by_multicast()["red"], "skipped", "beside one that is down")
        there.cli.run("map", "del", "red", FIXED_V6)
        equal("red" in there.found_by_multicast(), False, "without a mapping")
