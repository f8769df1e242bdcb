# SPDX-License-Identifier: GPL-2.0-only
"""restore: what state.db says, once, as far as the machine is there."""
import contextlib
import os
import sqlite3

from case import equal, hook, once
from lab import BLUE1, FIXED, INSIDE_INDEX, RED1
from net import mount_bpffs, unmount_bpffs
from snapshot import attached, machine, unchanged
from traffic import ping, reach, tcp


def with_green(lab, netns=None, **router):
    defs = lab.definitions().having(lab.green_tenant(netns))
    defs["green"].router.update(router)
    return defs


def states(lab):
    """{tenant: state of its router, as show says}"""
    return {t["tenant"]: t["router"]["state"] for t in lab.cli.json("show")["tenants"]
            if t["router"]}


def fails(lab, *words):
    """restore fails for a router, with a sentence that has these words; gives what it did."""
    done = lab.cli.run("restore", code=1)
    said = done.stderr.splitlines()
    equal(len(said), 2, f"lines on stderr ({said})")
    for word in words:
        assert word in said[0], f"no {word!r} in: {said[0]}"
    assert "1 of the routers" in said[1], said[1]
    return done.stdout.splitlines()


def another_spare(lab):
    """Its successor, with another MAC address, where the first one may still be known."""
    lab.plain.ip("neigh flush dev shared0")
    return lab.spare_router()


@hook
def test_restore_after_a_reboot(lab):
    """Nothing but state.db is left: all of it comes again, with the same leases."""
    lab.cli.run("map", "add", "blue", "10.0.0.77")      # in no file
    leases = lab.cli.leases()
    unmount_bpffs()
    mount_bpffs()
    for ns in (lab.red, lab.blue):      # nor would this outlive a reboot
        for device in ("shared0", "lan0", "lan1"):
            ns.run("tc", "qdisc", "del", "dev", device, "clsact", check=False)
    equal(set(states(lab).values()), {"missing"}, "the routers in show")
    said = lab.cli.lines("restore")
    equal([l for l in said if l.startswith("+ router ") and "netns" in l],
          [f"+ router {name}: netns {lab.ns[name].name}, hook {lab.hook}"
           for name in ("blue", "red")], "routers in the plan")
    ping(lab.red1, BLUE1)
    tcp(lab.blue1, lab.red1, RED1, BLUE1, FIXED)
    equal(lab.cli.leases(), leases, "leases")
    equal(lab.cli.lines("restore"), ["nothing to be done"], "restore again")
    lab.apply()


@once
def test_restore_without_a_namespace(lab):
    """The others are restored; the one that is missing is named, and comes later."""
    spare = lab.spare_router()
    try:
        lab.apply(with_green(lab, spare))
        counters = lab.cli.counters()["green", FIXED]
        spare.remove()
        unmount_bpffs()
        mount_bpffs()
        said = fails(lab, "green", spare.name)
        assert any("green" in l for l in said if l.startswith("+ mapping")), \
            f"green's mapping is not known: {said}"
        assert not any("router green" in l for l in said), said
        ping(lab.red1, BLUE1)
        equal(states(lab), {"red": "attached", "blue": "attached", "green": "missing"}, "show")
        equal(fails(lab, "green"), ["nothing to be done"], "restore again")
        spare = another_spare(lab)
        said = lab.cli.lines("restore")
        assert f"+ router green: netns {spare.name}, hook {lab.hook}" in said, said
        equal(states(lab)["green"], "attached", "green, restored")
        equal(lab.cli.counters()["green", FIXED], counters, "counters")
    finally:
        spare.remove()
        lab.apply()


@once
def test_restore_keeps_what_it_cannot_see(lab):
    """A router that is gone loses neither its counters nor its place, and others no packet."""
    green = lab.green
    try:
        lab.apply(with_green(lab))
        ping(lab.plain, "100.64.0.4")
        green.ip("link set shared0 down", "link set shared0 name other0")
        before = machine(lab)
        equal(fails(lab, "green", "shared0"), ["nothing to be done"], "the plan")
        unchanged(before, machine(lab), "restore without an interface")
        green.ip("link set other0 name shared0", "link set shared0 up")
        equal(lab.cli.lines("restore"), ["nothing to be done"], "renamed back")
    finally:
        green.run("ip", "link", "set", "other0", "name", "shared0", check=False)
        green.ip("link set shared0 up")
        lab.apply()


@once
def test_restore_an_inside_interface(lab):
    """Deleted it is missed, with everything of the others in order; recreated it is joined."""
    lab.blue.ip("link del lan0")
    fails(lab, "blue", "lan0")
    ping(lab.red1, "100.64.0.2")
    for index in (78, INSIDE_INDEX):    # another one, and the same as at first
        lab.plug_inside("blue", index=index)
        equal(states(lab)["blue"], "broken", "blue in show")
        equal(lab.cli.lines("restore")[-1], "0 added, 1 changed, 0 removed", "restore")
        equal(states(lab)["blue"], "attached", "blue in show")
        reach(lab.red1, BLUE1)
        tcp(lab.blue1, lab.red1, RED1, BLUE1, FIXED)
        if index != INSIDE_INDEX:
            lab.blue.ip("link del lan0")
    equal(lab.cli.lines("restore"), ["nothing to be done"], "restore at last")


@once
def test_restore_leaves_the_detached(lab):
    lab.cli.run("detach", "blue")
    equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
    equal(states(lab), {"red": "attached", "blue": "detached"}, "show")
    lab.apply()
    ping(lab.red1, BLUE1)


@once
def test_restore_past_a_route(lab):
    """Somebody's route is in the way of green's: the others are restored all the same."""
    green, theirs = lab.green, "route add 100.64.0.0/16 dev lan0"
    try:
        green.ip("addr flush dev shared0 scope global")
        lab.apply(with_green(lab))
        green.ip("route flush proto 116", theirs)
        unmount_bpffs()
        mount_bpffs()
        fails(lab, "green", "100.64.0.0/16")
        equal(states(lab), dict.fromkeys(["red", "blue", "green"], "attached"), "show")
        ping(lab.red1, BLUE1)
        green.ip(theirs.replace("add", "del"))
        equal(lab.cli.lines("restore"), ["+ route green 100.64.0.0/16 on shared0",
                                         "1 added, 0 changed, 0 removed"], "without it")
    finally:
        green.run("ip", *theirs.replace("add", "del").split(), check=False)
        green.ip("addr flush dev shared0 scope global", "addr add 100.64.0.4/16 dev shared0")
        lab.apply()


@once
def test_restore_past_an_xdp_program(lab):
    """Somebody's XDP program is where green's is to be: its router is as if it were detached."""
    green = lab.green
    try:
        lab.apply(with_green(lab, hook="xdp"))
        unmount_bpffs()
        mount_bpffs()
        green.ip("link set dev shared0 xdp off", "link set dev shared0 xdpgeneric off")
        green.ip(f"link set dev shared0 xdp obj {os.environ['TN_FOREIGN']} sec xdp")
        before = attached(green)
        fails(lab, "green", "another XDP program")
        equal(states(lab), {"red": "attached", "blue": "attached", "green": "broken"}, "show")
        unchanged(before, attached(green), "a router that could not be restored")
        ping(lab.red1, BLUE1)
        green.ip("link set dev shared0 xdp off")
        lab.cli.run("restore")
        equal(states(lab)["green"], "attached", "green, restored")
    finally:
        green.run("ip", "link", "set", "dev", "shared0", "xdp", "off", check=False)
        lab.apply()


@once
def test_restore_past_an_address_that_is_leased(lab):
    """A router's interface gets the shared address of a mapping: the lease does not move."""
    lab.apply(with_green(lab))
    leases = lab.cli.leases()
    lab.green.ip(f"addr add {RED1}/32 dev shared0")
    try:
        equal(fails(lab, "green", RED1), ["nothing to be done"], "restore")
        equal(lab.cli.leases(), leases, "leases")
    finally:
        lab.green.ip(f"addr del {RED1}/32 dev shared0")
        lab.apply()


@once
def test_restore_of_nothing(lab):
    cli = lab.cli.elsewhere(state=lab.scratch + "/nothing", bpffs="/sys/fs/bpf/nothing")
    equal(cli.lines("restore"), ["nothing to be done"], "restore")


def limited(lab, limit):
    """The lab's file, with a limit for red's first address."""
    definitions = lab.definitions()
    definitions["red"].limits = {FIXED: limit}
    return lab.put("limited.yaml", definitions.yaml())


@once
def test_restore_keeps_a_smaller_burst(lab):
    """What an earlier version took for enough stays in force; a file with it is refused."""
    old = 1250000
    line = "~ mapping red/db " + FIXED + ": limit 100000000 bit/s burst {} bytes → " \
        "100000000 bit/s burst {} bytes"
    lab.cli.apply(limited(lab, "{rate: 100mbit}"))
    try:
        with contextlib.closing(sqlite3.connect(lab.cli.state + "/state.db")) as db, db:
            equal(db.execute("UPDATE mapping SET burst = ? WHERE rate > 0", (old,)).rowcount, 1,
                  "mappings with a limit")
        equal(lab.cli.lines("restore")[0], line.format(12500000, old), "restore")
        lab.cli.run("map", "add", "blue", "10.0.0.77")
        equal(lab.cli.lines("restore"), ["nothing to be done"], "restore again")
        before = machine(lab)
        said = lab.cli.run("apply", "-f", limited(lab, f"{{rate: 100mbit, burst: {old}b}}"), code=2)
        assert "the burst is below 3663kb" in said.stderr, said.stderr
        unchanged(before, machine(lab), "a burst that is too small")
        said = lab.cli.apply(limited(lab, "{rate: 100mbit}"))
        assert line.format(old, 12500000) in said, said
    finally:
        lab.apply()
