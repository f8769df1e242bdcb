# SPDX-License-Identifier: GPL-2.0-only
"""A mapping with a MAC address is one VM's: the next one with its fixed address gets nothing of it."""
import contextlib

from case import datapath, equal, eventually, once
from lab import BLUE1, BLUE1_V6, FIXED, FIXED_V6, PLAIN, RED1, RED1_V6
from test_flows import Opened, exported
from test_six import dual_stack
from traffic import ping, reach

ANOTHER = "02:00:00:00:aa:05"


@contextlib.contextmanager
def bound(lab):
    """red1 is known by its MAC address."""
    definitions = lab.dual_definitions()
    mac = lab.red1.mac("eth0")
    definitions["red"].macs = {FIXED: mac, FIXED_V6: mac}
    lab.apply(definitions)
    try:
        yield definitions
    finally:
        lab.red1.ip(f"link set eth0 address {mac}")
        lab.apply(lab.dual_definitions())


def forget(lab):
    """Who was where."""
    for ns in (lab.red, lab.red1):
        ns.ip("neigh flush all")


def fails(source, address):
    try:
        ping(source, address, count=1, wait=0.2)
    except AssertionError:
        return
    raise AssertionError(f"{address} answers")


def dropped(lab):
    return lab.cli.drops().get(("red", "wrong-mac"), 0)


@datapath
@dual_stack
def test_mac_is_of_one_vm(lab):
    """Both ways, in both families; before the router has met the VM and afterwards."""
    with bound(lab) as definitions:
        equal(dropped(lab), 0, "drops")
        for source, address in ((lab.blue1, RED1), (lab.red1, BLUE1), (lab.plain, RED1),
                                (lab.blue1, RED1_V6), (lab.red1, BLUE1_V6)):
            reach(source, address)
        equal(dropped(lab), 0, "drops")
        lab.red1.ip(f"link set eth0 address {ANOTHER}")
        for source, address in ((lab.blue1, RED1), (lab.red1, BLUE1), (lab.red1, PLAIN),
                                (lab.blue1, RED1_V6), (lab.red1, BLUE1_V6)):
            before = dropped(lab)
            forget(lab)
            fails(source, address)
            eventually(lambda b=before: equal(dropped(lab) > b, True, "another drop"))
            fails(source, address)
        reach(lab.red1, "10.0.0.1")     # what is not for the shared network goes on
        lab.red1.ip("link set eth0 address " + definitions["red"].macs[FIXED])
        forget(lab)
        for source, address in ((lab.blue1, RED1), (lab.red1, BLUE1), (lab.blue1, RED1_V6)):
            reach(source, address)


@once
@dual_stack
def test_mac_is_named(lab):
    """Another VM has the address: trace and check say so, and by whose MAC address."""
    with bound(lab) as definitions:
        mac = definitions["red"].macs[FIXED]
        for fixed, family in ((FIXED, "IPv4"), (FIXED_V6, "IPv6")):
            said = lab.cli.run("trace", f"blue/{fixed}", f"red/{fixed}").stdout
            assert "wrong-mac" not in said, f"{family}: {said}"
        lab.red1.ip(f"link set eth0 address {ANOTHER}")
        forget(lab)
        want = f"expected the MAC address {mac} of its mapping; seen: {ANOTHER} answers"
        for fixed, family in ((FIXED, "IPv4"), (FIXED_V6, "IPv6")):
            said = lab.cli.run("trace", f"blue/{fixed}", f"red/{fixed}", code=1).stdout
            for part in (want, "(wrong-mac)", "correct `mac` of the mapping"):
                assert part in " ".join(said.split()), f"{family}: no {part!r} in {said}"
        said = " ".join(lab.cli.run("check", "red", code=1).stdout.split())
        equal(said.count(want), 2, f"what check says: {said}")


@once
@dual_stack
def test_mac_changes(lab):
    """Another VM's mapping has nothing of the first one's: no address that was leased, no flows."""
    with bound(lab) as definitions, contextlib.ExitStack() as stack:
        definitions["red"].accept = []      # what it sends opens flows
        lab.apply(definitions)
        opened = Opened(lab, stack, PLAIN)
        equal(len([f for f in exported(lab) if f["port"] == opened.port]), 1, "flows")
        definitions["red"].macs = {FIXED: ANOTHER}
        lab.apply(definitions)
        equal([f for f in exported(lab) if f["fixed"] == FIXED], [], "flows")
        # and where the address is not the user's
        definitions["red"].mappings[0] = (FIXED, None, None)
        lab.apply(definitions)
        equal(lab.cli.leases()["red", FIXED], RED1, "the lease that it had")
        definitions["red"].macs = {FIXED: "02:00:00:00:aa:06"}
        plan = lab.cli.lines("apply", "--dry-run", "-f", lab.write(definitions))
        assert any(line.startswith(f"~ mapping red {FIXED}: shared address {RED1} → ") for line in plan), plan
        assert f"~ mapping red {FIXED}: MAC address {ANOTHER} → 02:00:00:00:aa:06" in plan, plan
        lab.apply(definitions)
        assert lab.cli.leases()["red", FIXED] != RED1, "the new one has the address of the old"


@once
def test_map_add_mac(lab):
    try:
        said = lab.cli.fails("map", "add", "red", "10.0.0.77", "--mac", "01:00:5e:00:00:01", code=2)
        assert "no MAC address that a VM can have" in said, said
        lab.cli.run("map", "add", "red", "10.0.0.77", "--mac", "FA:16:3E:00:00:77")
        shown = {m["fixed"]: m["mac"] for m in lab.cli.json("map", "list", "-v", "red")}
        equal(shown["10.0.0.77"], "fa:16:3e:00:00:77", "as JSON")
        equal(shown[FIXED], None, "of one without")
        assert "10.0.0.77, shared address" in lab.cli.run("show", "red/10.0.0.77").stdout
        assert "mac fa:16:3e:00:00:77" in lab.cli.run("show", "red/10.0.0.77").stdout
        named = next(t["named"] for t in lab.cli.json("show", "red/10.0.0.77")["tenants"] if t["named"])
        equal(named[0]["mac"], "fa:16:3e:00:00:77", "show -j")
        assert "mac: \"fa:16:3e:00:00:77\"" in lab.cli.run("export").stdout
        equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
    finally:
        lab.apply()
