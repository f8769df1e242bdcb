# SPDX-License-Identifier: GPL-2.0-only
"""Which interfaces are inside: by themselves, by name, by pattern; and what a raw one makes of the rest."""
import contextlib
import json

from case import equal, hook, once
from lab import BLUE1, SHARED_INDEX
from net import Namespace, sh, veth
from traffic import ping

# What a router may have, each as lines of ip(8). Kernels have not all of them.
BY_THEMSELVES = {
    "br-vm": ["link add br-vm type bridge"],
    "d0": ["link add d0 type dummy"],
    "v20": ["link add link lan0 name v20 type vlan id 20"],
    "mv0": ["link add link lan0 name mv0 type macvlan"],
    "bo0": ["link add bo0 type bond"],
    "tap0": ["tuntap add tap0 mode tap"],
}
NAMED = {
    "port0": ["link add port0 type veth peer name port1", "link add br-p type bridge",
              "link set port0 master br-p"],
    "slave0": ["link add slave0 type dummy", "link add bo1 type bond",
               "link set slave0 master bo1"],
    "mvs0": ["link add link shared0 name mvs0 type macvlan"],
    "vx0": ["link add vx0 type vxlan id 5 dstport 4789"],
    "ge0": ["link add ge0 type geneve id 5 remote 10.0.0.9"],
    "gt0": ["link add gt0 type gretap remote 10.0.0.9"],
    "g60": ["link add g60 type ip6gretap remote fd00:10::9 local fd00:10::1"],
    "er0": ["link add er0 type erspan remote 10.0.0.9 local 10.0.0.1 seq key 5 erspan_ver 1"],
    "l2tpeth0": ["l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap udp local 10.0.0.1 "
                 "remote 10.0.0.9 udp_sport 5000 udp_dport 5000",
                 "l2tp add session tunnel_id 1 session_id 1 peer_session_id 1"],
    "raw0": ["tuntap add raw0 mode tun"],
    "wg0": ["link add wg0 type wireguard"],
}
REFUSED = {
    "vrf0": ["link add vrf0 type vrf table 5"],
    "gre1": ["link add gre1 type gre remote 10.0.0.9"],
    "ipip1": ["link add ipip1 type ipip remote 10.0.0.9"],
    "sit1": ["link add sit1 type sit remote 10.0.0.9"],
    "xfrm1": ["link add xfrm1 type xfrm dev lan0 if_id 7"],
}
# beside these: what they stand on
MORE = {"br-p", "bo1", "port1"}
# what every router of the lab has besides its shared interface; the tunnel has to be named
ETHERNET = {"lan0", "lan1", "up0"}
TUNNEL = {"tun0"}


@contextlib.contextmanager
def having(ns, kinds):
    """Those of the interfaces that this kernel has, meanwhile; gives their names."""
    before = {link["ifname"] for link in ns.links()}
    made = set()
    for name, lines in kinds.items():
        with contextlib.suppress(RuntimeError):
            ns.ip(*lines)
            made.add(name)
    try:
        yield made
    finally:
        for link in ns.links():
            if link["ifname"] not in before:    # some go with others, and some cannot
                sh(["ip", "-n", ns.name, "link", "del", link["ifname"]], check=False)


def with_inside(lab, *entries, **more):
    """The definitions, with that as blue's `inside`; nothing: without."""
    definitions = lab.definitions()
    router = definitions["blue"].router
    router.update(more)
    if entries:
        router["inside"] = "[" + ", ".join(f'"{entry}"' for entry in entries) + "]"
    else:
        del router["inside"]
    return definitions


def blue(lab):
    return next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue")["router"]


def inside(lab):
    """The interfaces of blue that have a program, but the shared one."""
    return {p["interface"] for p in blue(lab)["programs"]} - {"shared0"}


def warnings(lab, definitions, *args):
    return lab.cli.run("apply", "-f", lab.write(definitions), *args).stderr.splitlines()


@hook
def test_inside_by_themselves(lab):
    """Without `inside`: no port of anything, no tunnel, nothing without an Ethernet header."""
    with having(lab.blue, {**BY_THEMSELVES, **NAMED, **REFUSED}) as made:
        try:
            equal(warnings(lab, with_inside(lab)), [], "warnings")
            equal(inside(lab) - MORE, ETHERNET | made & set(BY_THEMSELVES), "inside interfaces")
            ping(lab.red1, BLUE1)
            equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
        finally:
            lab.apply()


@once
def test_inside_by_name(lab):
    """Whatever its frames begin with, and whatever its master, but nothing that cannot be read."""
    with having(lab.blue, {**NAMED, **REFUSED}) as made:
        try:
            good = made & set(NAMED)
            said = warnings(lab, with_inside(lab, "lan0", *sorted(good)))
            equal(inside(lab), {"lan0"} | good, "inside interfaces")
            # what it is a port of is what the router gets its frames by
            equal(len(said), 1, f"warnings ({said})")
            assert "port0 is a port of br-p" in said[0], said
            ping(lab.red1, BLUE1)
            for name in made - good:
                path = lab.write(with_inside(lab, "lan0", name))
                said = lab.cli.fails("apply", "-f", path)
                assert f"{name} cannot be an inside interface" in said, said
            equal(inside(lab), {"lan0"} | good, "inside interfaces after the refusals")
        finally:
            lab.apply()


@once
def test_inside_by_pattern(lab):
    """What comes later is taken by the next run; until then it is said that nothing matches."""
    definitions = with_inside(lab, "qr-*", "ta[np]?")
    try:
        for args in (["--dry-run"], []):
            said = warnings(lab, definitions, *args)
            equal(len(said), 1, f"warnings ({said})")
            assert "no interface matches `qr-*`, `ta[np]?`" in said[0], said
        equal((inside(lab), blue(lab)["inside"]), (set(), ["qr-*", "ta[np]?"]), "inside")
        found = [f for f in lab.cli.json("doctor", "blue")["findings"]
                 if f["finding"] == "inside-interfaces"]
        equal([f["severity"] for f in found], ["warning"], "doctor")
        veth(lab.blue, "qr-1", lab.blue, "qg-1")
        lab.blue.ip("tuntap add tap7 mode tap", "tuntap add tan7 mode tun")
        assert any(line.startswith("~ router blue") for line in lab.cli.lines("restore"))
        equal(inside(lab), {"qr-1", "tap7", "tan7"}, "inside interfaces")
        done = lab.cli.run("restore")
        equal((done.stdout, done.stderr), ("nothing to be done\n", ""), "restore again")
        # the shared interface is never one, nor loopback
        equal(warnings(lab, with_inside(lab, "*")), [], "warnings")
        every = ETHERNET | TUNNEL | {"qr-1", "qg-1", "tap7", "tan7"}
        equal(inside(lab), every, "inside interfaces of *")
        ping(lab.red1, BLUE1)
        # beside a pattern a name still has to be there
        said = lab.cli.fails("apply", "-f", lab.write(with_inside(lab, "*", "lan9")))
        assert "there is no interface lan9" in said, said
        equal(inside(lab), every, "inside interfaces afterwards")
    finally:
        for name in ("qr-1", "tap7", "tan7"):
            sh(["ip", "-n", lab.blue.name, "link", "del", name], check=False)
        lab.apply()


@once
def test_inside_none(lab):
    """A router without any leads nowhere, which is said."""
    bare = Namespace("bare")
    try:
        veth(bare, "shared0", lab.shared, "pbare", SHARED_INDEX)
        lab.shared.ip("link set pbare master br0")
        bare.ip("addr add 100.64.0.6/16 dev shared0", *NAMED["raw0"])
        definitions = lab.definitions()
        definitions["blue"].router = {"netns": bare.name, "shared": "shared0"}
        said = warnings(lab, definitions, "--no-probe")
        equal([line for line in said if "there is no inside interface" in line], said[:1], "said")
        equal(inside(lab), set(), "inside interfaces")
    finally:
        lab.apply()
        bare.remove()


@hook
def test_inside_without_ethernet(lab):
    """Nothing that looks at inside interfaces takes one without MAC addresses for another."""
    definitions = with_inside(lab, "lan0", "raw0", forwarding="fast")
    definitions["blue"].mappings.append(("10.8.0.2", "100.64.2.8", "vpn"))
    lab.blue.ip(*NAMED["raw0"], "addr add 10.8.0.1/24 dev raw0", "link set raw0 up")
    try:
        lab.apply(definitions)
        equal(inside(lab), {"lan0", "raw0"}, "inside interfaces")
        macs = {i["interface"]: i["mac"] for i in blue(lab)["interfaces"]}
        equal((macs["raw0"], macs["lan0"]), (None, lab.blue.mac("lan0")), "MAC addresses")
        assert "no MAC address" in lab.cli.run("-v", "show").stdout
        # nobody holds the other end: doctor misses its carrier
        said = json.loads(lab.cli.run("-j", "check", "blue", code=1).stdout)
        equal([f["subject"] for f in said if f["result"] == "failed"], ["raw0"], "what failed")
        found = {f["subject"]: f for f in said if f["probe"] == "vm"}
        equal({s: f["result"] for s, f in found.items()},
              {"10.0.0.5": "ok", "10.8.0.2 (vpn)": "skipped"}, "VMs of check")
        assert "no ARP" in found["10.8.0.2 (vpn)"]["text"], found
        said = lab.cli.fails("trace", "blue/vpn", "red/db:80")
        assert "raw0" in said and "monitor" in said, said
        lab.cli.run("doctor", "blue", code=None)
        ping(lab.red1, BLUE1)
        equal(lab.apply(definitions), ["nothing to be done"], "apply again")
    finally:
        sh(["ip", "-n", lab.blue.name, "link", "del", "raw0"], check=False)
        lab.apply()


@once
def test_inside_sources(lab):
    """Each kind is kept: in state.db, in the maps, by a restore."""
    try:
        for sources in ("feasible", "loose", "feasible", "strict"):
            definitions = with_inside(lab, "lan0", sources=sources)
            said = lab.apply(definitions)
            assert [line for line in said if line.startswith("~ router blue: ")
                    and line.endswith(f" → {sources}")], said
            equal(lab.apply(definitions), ["nothing to be done"], f"{sources} again")
            equal(blue(lab)["sources"], sources, "sources of show")
            assert f"sources {sources}" in lab.cli.run("show").stdout
            ping(lab.red1, BLUE1)
        lab.apply(with_inside(lab, "lan0", sources="feasible"))
        lab.cli.run("detach", "blue")
        lab.apply(with_inside(lab, "lan0", sources="feasible"))
        equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
    finally:
        lab.apply()
