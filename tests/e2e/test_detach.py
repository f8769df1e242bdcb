# SPDX-License-Identifier: GPL-2.0-only
"""detach takes away everything of ours, and nothing of others."""
import glob
import os
import time

from case import equal, eventually, hook, once
from lab import BLUE1, FIXED, RED1
from net import BPFFS, sh
from snapshot import attached, bpf_ids, listed, own_ids, pins, unchanged
from traffic import ping

FOREIGN = ["protocol", "ip", "prio", "7", "u32", "match", "ip", "src", "203.0.113.77/32",
           "flowid", "1:7"]


def gone(ids):
    """
    None of these programs, maps and links exists any more. To look opens each map, and to close a
    map of programs that nobody else has open takes a reference until its programs are let go of: the
    kernel takes one more each time, and gives one back (prog_array_map_clear()). So not too often.
    """
    def check():
        time.sleep(0.5)
        now = bpf_ids()
        left = {kind: ids[kind] & now[kind] for kind in ids if ids[kind] & now[kind]}
        names = [(kind, o["id"], o.get("name")) for kind, some in left.items() for o in listed(kind)
                 if o["id"] in some]
        assert not left, f"left over: {names or left}"
    eventually(check)


@hook
def test_detach_tenant(lab):
    """One router is as it was before, the others go on; the definitions and leases stay."""
    clean = attached(lab.green)
    before = pins()
    lab.apply(lab.definitions().having(lab.green_tenant()))
    leases, ids = lab.cli.leases(), own_ids()
    assert attached(lab.green) != clean or own_ids()["link"], "green was not attached at all"
    lab.cli.run("detach", "green")
    unchanged({"green": clean}, {"green": attached(lab.green)}, "green, after detach,")
    equal([p for p in pins() if p not in before and "green" in p], [], "pins of green")

    def shrunk():
        now = bpf_ids()
        assert any(ids[kind] - now[kind] for kind in ("prog", "link")), "no program was taken away"
    eventually(shrunk)
    equal(lab.cli.leases(), leases, "leases")
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "green")["router"]
    equal((router["state"], router["programs"]), ("detached", []), "green in show")
    ping(lab.red1, BLUE1)
    lab.apply(lab.definitions().having(lab.green_tenant()))
    assert attached(lab.green) != clean or lab.hook == "tc", "not attached again"
    ping(lab.plain, "100.64.0.4")
    lab.apply()
    unchanged({"green": clean}, {"green": attached(lab.green)}, "green, after its removal,")
    equal(pins(), before, "pins")


@hook
def test_detach_all(lab):
    """Nothing is left: interfaces, tc, XDP, pins, programs, maps, links."""
    ids, leases = own_ids(), lab.cli.leases()
    assert ids["prog"] and ids["map"], f"nothing is pinned: {ids}"
    lab.cli.run("detach", "--all")
    equal(pins(), [], "pins")
    gone(ids)
    clean = attached(lab.green)
    for name in ("red", "blue"):
        now = attached(lab.ns[name])
        for device in ("shared0", "lan0", "lan1"):
            for what in ("xdp", "qdisc", "ingress", "egress", "flags"):
                equal(now[device, what], clean[device, what], f"{what} of {name}'s {device}")
    said = lab.plain.run("ping", "-nqc1", "-W0.2", BLUE1, check=False).stdout
    assert "0 received" in said, "still translated"
    equal(lab.cli.leases(), leases, "leases")
    states = [t["router"]["state"] for t in lab.cli.json("show")["tenants"] if t["router"]]
    equal(states, ["detached", "detached"], "the routers in show")
    lab.cli.run("detach", "--all")
    assert lab.apply()[-1] != "nothing to be done", "the next apply attaches nothing"
    ping(lab.red1, BLUE1)
    ping(lab.blue1, RED1)
    equal(lab.cli.leases(), leases, "leases, attached again")


@once
def test_detach_cannot_remove_the_maps(lab):
    """That is said, and the same again removes them."""
    refused = lab.cli.elsewhere(under=["strace", "-qq", "-o", "/dev/null", "-e", "trace=rename",
                                       "-e", "inject=rename:error=EPERM"])
    try:
        said = refused.run("detach", "--all", code=1).stderr
        assert "maps stay" in said and "again" in said, said
        lab.cli.run("detach", "--all")
        equal(pins(), [], "pins")
    finally:
        lab.apply()


@hook
def test_others_are_left_alone(lab):
    """A foreign clsact, a foreign filter on it, a foreign pin."""
    tc = ["tc", "-n", lab.green.name]
    pin = BPFFS + "/foreign"
    sh([*tc, "qdisc", "add", "dev", "shared0", "clsact"])
    for way in ("ingress", "egress"):
        sh([*tc, "filter", "add", "dev", "shared0", way, *FOREIGN])
    sh(["bpftool", "map", "create", pin, "type", "array", "key", "4", "value", "4",
        "entries", "1", "name", "foreign"])
    try:
        before = attached(lab.green)
        assert "u32" in before["shared0", "ingress"], "the foreign filter is not there"
        for leave in (["detach", "green"], ["detach", "--all"]):
            lab.apply(lab.definitions().having(lab.green_tenant()))
            assert "clsact" in attached(lab.green)["shared0", "qdisc"], "the qdisc is gone"
            assert "u32" in attached(lab.green)["shared0", "egress"], "the filter is gone"
            lab.cli.run(*leave)
            unchanged({"green": before}, {"green": attached(lab.green)}, " ".join(leave))
            equal(os.path.exists(pin), True, "the foreign pin exists")
        lab.apply()
        ping(lab.red1, BLUE1)
    finally:
        sh([*tc, "qdisc", "del", "dev", "shared0", "clsact"], check=False)
        os.unlink(pin)


@hook
def test_detach_when_the_namespace_is_gone(lab):
    """A router deleted under our feet is no reason to fail."""
    spare = lab.spare_router()
    try:
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        spare.remove()
        lab.cli.run("detach", "green")
    finally:
        spare.remove()
    lab.apply()
    equal(lab.apply(), ["nothing to be done"], "apply at last")
    equal([p for p in pins() if "green" in p], [], "pins of green")
    assert not glob.glob(lab.cli.state + "/*.tmp"), "temporary files in the state"
    equal(("green", FIXED) in lab.cli.leases(), False, "green still has its lease")
