# SPDX-License-Identifier: GPL-2.0-only
"""apply, --dry-run, map, show: what they say and do."""
import json
import os
import re
import sqlite3
import stat
from contextlib import closing

from case import equal, hook, once
from lab import BLUE1, FIXED, FIXED2, PLAIN, RED1, RED2
from media import has_netdev, has_tcx
from net import BPFFS, sh
from snapshot import machine, own_ids, pinned_ids, unchanged
from test_check import meanwhile
from traffic import ping


@hook
def test_apply_twice(lab):
    before = machine(lab)
    equal(lab.apply(), ["nothing to be done"], "the second apply says")
    unchanged(before, machine(lab), "the second apply")


def own_maps(lab, tenant):
    """The directory of a router's pins, and {name: id} of the maps that it has for itself."""
    with closing(sqlite3.connect(f"{lab.cli.state}/state.db")) as db:
        number, = db.execute("SELECT r.id FROM router r JOIN tenant t ON r.tenant = t.id "
                             "WHERE t.name = ?", (tenant,)).fetchone()
    top = f"{BPFFS}/tenantnat/routers/{number}"
    return top, {name: pinned_ids(f"{top}/{name}").get("map") for name in ("flows", "fragments")}


def used_flows():
    """Ids of the routers' maps of that name that are pinned."""
    ours = own_ids()["map"]
    shown = json.loads(sh(["bpftool", "-j", "map", "show"]).stdout)
    return {m["id"] for m in shown
            if m.get("name") == "flows" and m["type"] == "lru_hash" and m["id"] in ours}


@hook
def test_flows_outlive_the_programs(lab):
    """What a router knows of open flows is there after its programs were renewed."""
    top, before = own_maps(lab, "blue")
    assert None not in before.values(), f"not pinned: {before}"
    assert own_maps(lab, "red")[1].items().isdisjoint(before.items()), "red and blue share maps"
    flow = ["key", *["7"] * 56, "value", *["255"] * 3, *["0"] * 13]
    sh(["bpftool", "map", "update", "pinned", f"{top}/flows", *flow])
    renewed = lab.definitions()
    renewed["blue"].router["forwarding"] = "stack" if lab.forwarding == "auto" else "fast"
    programs = pinned_ids(f"{top}/tc_out")
    assert any(line.startswith("~ router blue") for line in lab.apply(renewed)), "not renewed"
    equal(own_maps(lab, "blue"), (top, before), "blue's maps")
    assert pinned_ids(f"{top}/tc_out") != programs, "the same programs"
    equal(used_flows(), {before["flows"], own_maps(lab, "red")[1]["flows"]}, "maps of flows")
    kept = {tuple(entry["key"]) for entry in
            json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", f"{top}/flows"]).stdout)}
    assert ("0x07",) * 56 in kept, "the flow is gone"
    os.unlink(f"{top}/fragments")
    lab.apply()
    now = own_maps(lab, "blue")[1]
    equal(now["flows"], before["flows"], "the map of flows")
    assert now["fragments"] not in (None, before["fragments"]), f"{now}, was {before}"
    equal(lab.apply(), ["nothing to be done"], "apply afterwards")
    sh(["bpftool", "map", "delete", "pinned", f"{top}/flows", *flow[:57]])


@hook
def test_dry_run_changes_nothing(lab):
    """The plan is the same as that of the apply after it."""
    path = lab.write(lab.definitions().having(lab.green_tenant())
                     .mapping("red", "10.0.0.7", None, "seven"))
    before = machine(lab)
    planned = lab.cli.apply(path, "--dry-run")
    unchanged(before, machine(lab), "--dry-run")
    done = lab.cli.apply(path)
    equal(done[:-1], planned[:-1], "the plan of the apply")
    shared = lab.cli.leases()["red", "10.0.0.7"]
    for line in ("+ tenant green", f"+ mapping red/seven 10.0.0.7 -> {shared}",
                 f"+ mapping green {FIXED} -> 100.64.3.5"):
        assert line in done, f"no line {line!r} in {done}"
    router = next(line for line in done if line.startswith("+ router green: "))
    assert lab.green.name in router and router.endswith(f", hook {lab.hook}"), router
    count = len(done) - 1
    equal((planned[-1], done[-1]), (f"{count} to add, 0 to change, 0 to remove",
                                    f"{count} added, 0 changed, 0 removed"), "the last lines")
    back = lab.apply()
    equal(back[-1], f"0 added, 0 changed, {count} removed", "the last line of the way back")
    assert all(line.startswith("- ") for line in back[:-1]), f"the way back: {back}"
    unchanged(before, machine(lab), "there and back")


@once
def test_dry_run_on_nothing(lab):
    """Not even the state directory is made."""
    cli = lab.cli.elsewhere(state=lab.scratch + "/never", bpffs=BPFFS + "/never")
    planned = cli.apply(lab.write(lab.definitions()), "--dry-run")
    assert planned[-1].endswith("to add, 0 to change, 0 to remove"), planned[-1]
    for path in (cli.state, BPFFS + "/never"):
        assert not os.path.exists(path), f"{path} was made"


@hook
def test_map_add_list_del(lab):
    """The address alone on stdout; it works at once, and is gone at once."""
    done = lab.cli.run("map", "add", "blue", FIXED2, "--name", "web")
    shared = done.stdout.strip()
    assert re.fullmatch(r"100\.64\.2\.\d+\n", done.stdout), f"stdout {done.stdout!r}"
    ping(lab.red1, shared)
    rows = lab.cli.json("map", "list", "blue")
    equal(rows, [{"tenant": "blue", "name": None, "fixed": FIXED, "shared": BLUE1}
                 if "name" in rows[0] else
                 {"tenant": "blue", "fixed": FIXED, "shared": BLUE1},
                 {"tenant": "blue", "name": "web", "fixed": FIXED2, "shared": shared}], "list -j")
    lines = lab.cli.lines("map", "list", "blue")
    equal(lines[0].split(), ["TENANT", "NAME", "FIXED", "SHARED"], "the header")
    equal(lines[2].split(), ["blue", "web", FIXED2, shared], "the line")
    equal(len(lines), 3, "lines")
    lab.cli.run("map", "del", "blue", "web")
    said = lab.red1.run("ping", "-nqc1", "-W0.2", shared, check=False).stdout
    assert "0 received" in said, "the address still answers"
    equal(lab.apply(), ["nothing to be done"], "apply afterwards")


@once
def test_map_add_pinned(lab):
    equal(lab.cli.run("map", "add", "blue", FIXED2, "--shared", "100.64.2.200").stdout,
          "100.64.2.200\n", "stdout")
    ping(lab.red1, "100.64.2.200")
    lab.cli.run("map", "del", "blue", FIXED2)
    equal(lab.cli.leases("blue"), {("blue", FIXED): BLUE1}, "leases")


@once
def test_map_refuses(lab):
    """Taken, outside the pool, unknown, no address: said in a sentence, nothing changed."""
    before = machine(lab)
    for words in (["add", "blue", FIXED], ["add", "blue", FIXED2, "--shared", BLUE1],
                  ["add", "blue", FIXED2, "--shared", "100.64.9.9"],
                  ["add", "blue", FIXED2, "--shared", "100.64.2.255", "--name", "Bad Name"],
                  ["add", "nobody", FIXED2], ["add", "blue", "10.0.0.300"],
                  ["add", "blue", "224.0.0.1"], ["del", "blue", FIXED2],
                  ["del", "nobody", FIXED], ["list", "nobody"]):
        lab.cli.fails("map", *words, code=2)
    unchanged(before, machine(lab), "a refused request")


@hook
def test_show(lab):
    shown = lab.cli.json("show")
    equal(shown["subnets"], ["100.64.0.0/16"], "subnets")
    tenants = {t["tenant"]: t for t in shown["tenants"]}
    equal(sorted(tenants), ["blue", "plain", "red"], "tenants")
    equal(tenants["plain"]["router"], None, "plain's router")
    equal((tenants["red"]["mappings"], tenants["red"]["pool"]), (2, ["100.64.1.0/24"]), "red's")
    tc = "tcx" if has_tcx() else "clsact"
    via = {"tc": {tc}, "clsact": {"clsact"}, "xdp": {tc, "xdp", "xdp-dispatcher"},
           "xdp-generic": {tc, "xdp-generic", "xdp-dispatcher"}}[lab.variant]
    for name in ("red", "blue"):
        router = tenants[name]["router"]
        equal((router["netns"], router["shared"], router["inside"], router["hook"],
               router["state"]),
              (lab.ns[name].name, "shared0", ["lan0", "lan1"], lab.hook, "attached"), f"{name}'s router")
        programs = router["programs"]
        places = {(p["interface"], p["direction"]) for p in programs}
        assert places >= {("shared0", "ingress"), ("shared0", "egress")}, f"attached at {places}"
        assert {p["via"] for p in programs} <= via, f"attached by {programs}"
        xdp = [p for p in programs if p["via"].startswith("xdp")]
        equal(len(xdp), int(lab.hook.startswith("xdp")), "XDP programs")
        on_device = next(l for l in lab.ns[name].links() if l["ifname"] == "shared0").get("xdp")
        equal(bool(on_device), lab.hook.startswith("xdp"), "XDP on the device")
        if on_device:
            equal(on_device["mode"], {"xdp": 1, "xdp-generic": 2}[lab.hook], "the mode of XDP")
    text = lab.cli.run("show").stdout
    for word in ("red", "blue", "plain", "shared0", lab.hook, lab.red.name):
        assert word in text, f"{word} is not in the text of show"


def interfaces(lab, tenant):
    """{name: what show has of the interface}"""
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == tenant)["router"]
    return {i["interface"]: i for i in router["interfaces"]}


@once
def test_show_interfaces(lab):
    """What they are, what they can, and who is at the other end, in another namespace."""
    found = interfaces(lab, "red")
    equal({name: one["role"] for name, one in found.items()},
          {"shared0": "shared", "lan0": "inside", "lan1": "inside"}, "roles")
    text = [line.split(None, 2) for line in lab.cli.lines("-v", "show")]
    for name, peer, ns in (("shared0", "pred", lab.shared), ("lan0", "prouter", lab.red_lan)):
        one, mac = found[name], lab.red.mac(name)
        equal((one["driver"], one["mac"], one["mtu"]), ("veth", mac, 1500), name)
        assert "tx-checksum-ip-generic" in one["offloads"], one
        xdp = ["basic", "redirect"] if has_netdev() else None
        equal(one["xdp"] and one["xdp"][:2], xdp, "XDP capability")
        for key, device, kind in (("peer", peer, "veth"), ("bridge", "br0", "bridge")):
            equal(one[key], {"interface": device, "kind": kind, "mtu": 1500, "elsewhere": True},
                  f"{key} of {name}")
            assert [name, key, f"{device}, MTU 1500, in another namespace"] in text, text
        assert [name, one["role"], f"driver veth, {mac}, MTU 1500"] in text, text
        assert [name, "xdp", " ".join(one["xdp"] or ["unknown"])] in text, text
        with meanwhile(ns, [f"link set {peer} nomaster mtu 1400"],
                       [f"link set {peer} master br0 mtu 1500"]):
            one = interfaces(lab, "red")[name]
        equal((one["peer"]["mtu"], one["bridge"]), (1400, None), "in no bridge")
    lab.red.run("ethtool", "-K", "lan0", "tx", "off")
    try:
        assert "tx-checksum-ip-generic" not in interfaces(lab, "red")["lan0"]["offloads"], "offload"
    finally:
        lab.red.run("ethtool", "-K", "lan0", "tx", "on")
    assert "driver" not in lab.cli.run("show").stdout, "without -v"
    lab.cli.run("detach", "red")
    equal(interfaces(lab, "red"), {}, "of a router that is detached")
    lab.apply()


@once
def test_pins_are_for_root_only(lab):
    for path in (BPFFS + "/tenantnat", lab.cli.state):
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o700, f"the mode of {path}")


@hook
def test_hook_can_be_changed(lab):
    """By the file: the attachments follow, the leases stay, and back."""
    changed = lab.definitions()
    other = "tc" if lab.hook != "tc" else "xdp"
    changed["blue"].router["hook"] = other
    leases = lab.cli.leases()
    done = lab.apply(changed)
    assert re.fullmatch("0 added, [1-9] changed, 0 removed", done[-1]), done
    ping(lab.red1, BLUE1)
    ping(lab.blue1, RED1)
    blue = next(l for l in lab.blue.links() if l["ifname"] == "shared0")
    equal("xdp" in blue, other == "xdp", "XDP on blue's shared0")
    lab.apply()
    equal(lab.cli.leases(), leases, "leases")
    equal(lab.apply(), ["nothing to be done"], "apply at last")
    ping(lab.red1, BLUE1)


@hook
def test_auto_is_tc_on_veth(lab):
    """And what the file leaves out is found: the shared interface, the inside ones."""
    guess = lab.definitions()
    guess["blue"].router = {"netns": f"/run/netns/{lab.blue.name}"}
    lab.apply(guess)
    ping(lab.red1, BLUE1)
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue")["router"]
    roles = {i["interface"]: i["role"] for i in router["interfaces"]}
    equal([name for name, role in roles.items() if role == "shared"], ["shared0"], "found")
    equal([roles.get(name) for name in ("lan0", "lan1")], ["inside"] * 2, "found")
    assert {p["interface"] for p in router["programs"]} >= {"shared0", "lan0", "lan1"}, router
    equal([p for p in router["programs"] if p["via"].startswith("xdp")], [], "XDP programs")
    lab.apply()
    equal(lab.apply(), ["nothing to be done"], "apply at last")


@once
def test_quiet_and_json_are_clean(lab):
    """-q says nothing; no colour where there is no terminal."""
    done = lab.cli.run("-q", "apply", "-f", lab.write(lab.definitions()))
    equal((done.stdout, done.stderr), ("", ""), "apply -q")
    for words in (["show"], ["stats"], ["map", "list"]):
        done = lab.cli.run(*words)
        assert "\x1b" not in done.stdout, f"{words} prints colours into a file"
        equal(done.stderr, "", f"stderr of {words}")


@once
def test_plain_leases(lab):
    equal(lab.cli.leases(), {("red", FIXED): RED1, ("red", FIXED2): RED2, ("blue", FIXED): BLUE1,
                             ("plain", "10.9.9.9"): PLAIN}, "leases")
