# SPDX-License-Identifier: GPL-2.0-only
"""What doctor finds: each thing is made wrong for real, found, and right again by its remedy."""
import contextlib
import ctypes
import json
import os
import re

from case import Skip, equal, eventually, hook, once, only
from defs import Definitions
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED_V6, OUTSIDE, OUTSIDE_V6, RED1, SHARED_INDEX, SUBNET,
                 SUBNET_V6)
from net import BPFFS, sh, veth
from snapshot import machine, unchanged
from test_check import meanwhile
from test_join import many
from test_six import dual_stack
from traffic import ping, reach

TCX_EGRESS = 47     # <linux/bpf.h>
PINS = BPFFS + "/tenantnat"


def findings(cli, *args, code=0):
    """What is not in order: {(finding, tenant): it}. The exit code says whether it is a problem."""
    said = json.loads(cli.run("-j", "doctor", *args, code=code).stdout)
    wrong = {}
    for one in said["findings"]:
        if one["severity"] != "ok":
            assert one["remedy"], f"no remedy: {one}"
            wrong.setdefault((one["finding"], one["tenant"]), one)
    equal(said["problems"] > 0, code == 1, f"exit {code}, and problems")
    return wrong


def of_routers(wrong):
    """Without the machine's own, which can be as it likes (JIT) where the tests run."""
    return {key: one for key, one in wrong.items() if key[1]}


def healthy(lab, *but):
    """Nothing is wrong with any router, but these findings."""
    equal(sorted(name for name, _ in of_routers(findings(lab.cli))), sorted(but), "findings")


def ill(lab, name, severity="problem", tenant="red", interface="shared0", cli=None):
    """The finding, which is the only one of that tenant."""
    wrong = findings(cli or lab.cli, code=int(severity == "problem"))
    assert (name, tenant) in wrong, f"no {name} of {tenant}: {list(wrong)}"
    one = wrong[name, tenant]
    equal((one["severity"], one["interface"]), (severity, interface), one["seen"])
    return one


def type_in(text):
    """The remedy, as a shell command."""
    quoted = re.search("`(.*?)`", text)
    sh(["bash", "-c", "set -e; " + (quoted[1] if quoted else text)])


@hook
def test_doctor_finds_nothing(lab):
    """In a lab where all is well; XDP on a veth is slow, and no problem."""
    healthy(lab, *(["hook"] * 2 if lab.hook == "xdp" else []))
    text = lab.cli.run("-v", "doctor").stdout
    for word in ("kernel", "bpffs", "red shared0: all attached, hook " + lab.hook, "0 problems"):
        assert word in text, f"no `{word}` in {text}"
    assert "all attached" not in lab.cli.run("doctor").stdout, "ok lines without -v"


@once
def test_doctor_changes_nothing(lab):
    before = machine(lab)
    # and takes no lock: a writer holds it meanwhile
    cli = lab.cli.elsewhere(under=["flock", "-n", os.path.join(lab.cli.state, "lock")])
    equal(cli.run("--wait", "0", "apply", "-f", lab.write(lab.definitions()), code=1).returncode, 1,
          "apply under the lock")
    cli.run("--wait", "0", "doctor")
    unchanged(before, machine(lab), "doctor")


@once
def test_doctor_of_some_tenants(lab):
    lab.red.sysctl(ipv4__conf__lan0__forwarding=0)
    try:
        equal(of_routers(findings(lab.cli, "blue")), {}, "findings of blue")
        equal({t for _, t in of_routers(findings(lab.cli, "blue", "red", code=1))}, {"red"}, "both")
        assert "there is no tenant nobody" in lab.cli.fails("doctor", "nobody", code=2)
    finally:
        lab.red.sysctl(ipv4__conf__lan0__forwarding=1)


@once
def test_doctor_on_a_fresh_machine(lab):
    """No state, no pins: the machine alone, and none are made."""
    cli = lab.cli.elsewhere(state=lab.scratch + "/none", bpffs=BPFFS + "/none")
    equal(of_routers(findings(cli)), {}, "findings")
    assert "nothing was applied" in cli.run("-v", "doctor").stdout
    equal([path for path in (lab.scratch + "/none", BPFFS + "/none") if os.path.exists(path)], [],
          "made by doctor")


@once
def test_doctor_for_everybody(lab):
    """Without privileges: says so, and what it could not look at, and goes on."""
    cli = lab.cli.elsewhere(bpffs=PINS,
                            under=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    wrong = findings(cli, code=1)
    equal({name for (name, _), one in wrong.items() if one["severity"] == "problem"},
          {"privileges"}, "problems")
    equal({name for (name, _), one in wrong.items() if one["severity"] == "not checked"}
          >= {"state", "maps", "tc"}, True, f"not checked: {list(wrong)}")


@once
def test_doctor_finds_settings(lab):
    for key, wrong, name in (("ipv4__conf__lan0__forwarding", 0, "forwarding"),
                             ("ipv4__conf__shared0__forwarding", 0, "forwarding"),
                             ("ipv4__conf__shared0__proxy_arp_pvlan", 1, "neighbours"),
                             ("ipv4__conf__shared0__arp_ignore", 8, "neighbours")):
        device = key.split("__")[2]
        lab.red.sysctl(**{key: wrong})
        type_in(ill(lab, name, interface=device)["remedy"])
        healthy(lab)
    lab.red.sysctl(ipv4__conf__shared0__arp_ignore=0)
    ping(lab.red1, BLUE1)


@once
def test_doctor_finds_routes(lab):
    """A strict rp_filter is fine by itself; where the route leads elsewhere, it drops."""
    lab.red.sysctl(ipv4__conf__shared0__rp_filter=1)
    try:
        healthy(lab)
        lab.red.ip("route add 100.64.2.0/24 dev lan0")
        one = ill(lab, "rp-filter")
        assert "lan0" in one["seen"] and "100.64.2." in one["seen"], one["seen"]
        assert "lan0 instead of shared0" in ill(lab, "routes")["seen"]
        type_in(one["remedy"])
        equal({name for name, _ in of_routers(findings(lab.cli, code=1))}, {"routes"}, "findings")
        lab.red.ip("route del 100.64.2.0/24")
        healthy(lab)
        lab.red.ip("route add unreachable 10.0.0.6")
        assert "10.0.0.6 is reached by no route" in ill(lab, "routes", interface=None)["seen"]
        lab.red.ip("route del unreachable 10.0.0.6")
    finally:
        lab.red.sysctl(ipv4__conf__shared0__rp_filter=0)
    healthy(lab)


def cured(lab, name, words, how=ill, **where):
    """The finding says these words, and its remedy makes all well again."""
    one = how(lab, name, **where)
    assert words in one["seen"], one["seen"]
    if "tenantnat restore" in one["remedy"]:
        before = re.search("`(.*?)tenantnat restore`", one["remedy"])
        if before and before[1]:
            sh(["sh", "-c", before[1]])
        lab.cli.run("restore")
    else:
        type_in(one["remedy"])
    healthy(lab)


@once
def test_doctor_mends_routes(lab):
    """Of the whole subnet, whatever address it was found by: a narrower route, or none at all."""
    for route in ("100.64.2.0/24 dev lan0", "unreachable 100.64.128.0/17"):
        lab.red.ip("route add " + route)
        cured(lab, "routes", "is reached by")
    ping(lab.red1, BLUE1)
    # what the address brought with it
    lab.red.ip(f"route del {SUBNET} dev shared0")
    cured(lab, "routes", "is reached by no route instead of shared0")
    ping(lab.red1, BLUE1)
    lab.red.run("ip", "route", "del", SUBNET, "dev", "shared0", "proto", "116", check=False)
    lab.red.ip("addr del 100.64.0.2/16 dev shared0", "addr add 100.64.0.2/16 dev shared0")
    lab.apply()


@once
@dual_stack
def test_doctor_finds_rules_that_lead_elsewhere(lab):
    """By source, or by the interface that packets come in by: as the kernel asks for them."""
    def rule(family, what, *words):
        lab.red.run("ip", family, "rule", what, *words, "lookup", "100", "pref", "30000")

    lab.red.ip(f"route add default via {OUTSIDE} dev up0 table 100",
               f"route add default via {OUTSIDE_V6} dev up0 table 100")
    cases = [("-4", ["from", "10.0.0.0/24"], f"what {FIXED} sends to the shared subnet {SUBNET} leaves by up0"),
             ("-4", ["from", SUBNET, "iif", "shared0"], f"for {FIXED} leaves by up0"),
             ("-6", ["iif", "lan0"], f"what {FIXED_V6} sends to the shared subnet {SUBNET_V6} leaves by up0"),
             ("-6", ["from", SUBNET_V6], f"for {FIXED_V6} leaves by up0")]
    try:
        for family, words, said in cases:
            rule(family, "add", *words)
            cured(lab, "routes", said, interface=None if said.startswith("for") else "shared0")
            ping(lab.red1, BLUE1)
            ping(lab.red1, BLUE1_V6)
            rule(family, "del", *words)
            lab.red.run("ip", family, "rule", "del", "pref", "1")
    finally:
        for family in ("-4", "-6"):
            for pref in ("1", "30000"):
                lab.red.run("ip", family, "rule", "del", "pref", pref, check=False)
            lab.red.run("ip", family, "route", "flush", "table", "100", check=False)
    healthy(lab)


@once
def test_doctor_finds_networks_that_cover_the_shared_one(lab):
    """VMs there hold shared addresses for neighbours, until the router answers for them."""
    lab.red.ip("addr add 100.127.0.1/10 dev lan0")
    lab.red1.ip(f"route add 100.64.0.0/10 dev eth0 src {FIXED}")
    try:
        one = ill(lab, "inside-network", interface="lan0")
        assert f"100.64.0.0/10 covers the shared subnet {SUBNET}" in one["seen"], one["seen"]
        type_in(one["remedy"])
        healthy(lab)
        eventually(lambda: reach(lab.red1, BLUE1))
    finally:
        lab.red.sysctl(ipv4__conf__lan0__proxy_arp=0)
        lab.red.ip("addr del 100.127.0.1/10 dev lan0")
        lab.red1.ip("route del 100.64.0.0/10 dev eth0")
        lab.red1.run("ip", "neigh", "flush", "dev", "eth0")
    healthy(lab)


@once
def test_doctor_finds_two_interfaces_in_one_network(lab):
    """What a VM sends by the one that answers do not go by is dropped, unless by `loose`."""
    lab.red.ip("addr add 10.0.0.2/25 dev lan1")
    loose = lab.definitions()
    loose["red"].router["sources"] = "loose"
    try:
        wrong = of_routers(findings(lab.cli, "red"))
        equal([name for name, _ in wrong], ["sources"], f"findings: {wrong}")
        one = wrong["sources", "red"]
        assert "10.0.0.0/24, but answers to it go by lan1" in one["seen"], one["seen"]
        lab.apply(loose)
        healthy(lab)
    finally:
        lab.red.ip("addr del 10.0.0.2/25 dev lan1")
        lab.apply()
    healthy(lab)


@once
def test_doctor_finds_late_interfaces(lab):
    """No program is attached to one that came, or came again, after the apply."""
    all_of_them = lab.definitions()
    all_of_them["red"].router["inside"] = '["lan*"]'
    lab.apply(all_of_them)
    try:
        veth(lab.red, "lan9", lab.red_lan, "plate")
        cured(lab, "programs", "no program is attached to it", interface="lan9")
        lab.red.ip("link del lan9")
        lab.cli.run("restore")
    finally:
        lab.red.run("ip", "link", "del", "lan9", check=False)
        lab.apply()
    healthy(lab)


@once
def test_doctor_finds_the_detached(lab):
    lab.cli.run("detach", "red")
    try:
        one = ill(lab, "programs", interface=None)
        assert "it was detached" in one["seen"], one
        equal(of_routers(findings(lab.cli, "blue")), {}, "blue")
    finally:
        lab.apply()
    healthy(lab)


@once
def test_doctor_finds_what_restore_would_do(lab):
    """Rows of the maps, addresses and routes of ours that are gone, seen by a dry run of it."""
    maps = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", PINS + "/maps/by_shared"]).stdout)
    key = maps[0]["key"] if isinstance(maps[0]["key"], list) else maps[0]["formatted"]["key"]
    sh(["bpftool", "map", "delete", "pinned", PINS + "/maps/by_shared", "key", "hex",
        *(byte[2:] for byte in key)])
    one = findings(lab.cli, code=1)["drift", None]
    assert "restore would do this: + " in one["seen"], one["seen"]
    lab.cli.run("restore")
    assert ("drift", None) not in findings(lab.cli), "afterwards"
    healthy(lab)


@once
def test_doctor_finds_that_the_state_cannot_be_written(lab):
    """Read-only, as a file system that had an error is; and what it says to do mends it."""
    where, cli = os.path.join(lab.scratch, "disk"), lab.cli
    os.mkdir(where)
    sh(["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", where])
    try:
        sh(["cp", "-a", cli.state, where + "/state"])
        there = cli.elsewhere(state=where + "/state")
        assert ("state", None) not in findings(there), "before"
        sh(["mount", "-o", "remount,ro", where])
        one = findings(there, code=1)["state", None]
        assert "not written to" in one["seen"], one
        assert "Read-only file system" in one["seen"], one
        fresh = findings(cli.elsewhere(state=where + "/none", bpffs=BPFFS + "/none"), code=1)
        assert "cannot be made" in fresh["state", None]["seen"], fresh
        type_in(one["remedy"])
        assert ("state", None) not in findings(there), "afterwards"
        with open(where + "/fill", "wb") as f:
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(1 << 20))
        wrong = {name for (name, _), one in findings(there, code=1).items()
                 if one["severity"] == "problem"}
        assert wrong & {"disk-space", "state"}, f"a full disk: {wrong}"
    finally:
        sh(["umount", where])
        os.rmdir(where)


@once
def test_doctor_before_the_first_apply(lab):
    """`-f FILE`: nothing is attached, nothing of what apply adds is missing, and the rest is found."""
    spare = lab.spare_router()
    spare.sysctl(ipv6__conf__all__disable_ipv6=1, ipv4__ip_forward=0)
    spare.ip("addr flush dev shared0", "addr add 10.0.0.1/24 dev lan0")
    path = lab.write(Definitions(lab.green_tenant(spare)), "first.yaml")
    cli = lab.cli.elsewhere(state=lab.scratch + "/none", bpffs=BPFFS + "/none")
    try:
        equal(of_routers(findings(cli, "-f", path)), {}, "findings")
        equal([p for p in (lab.scratch + "/none", BPFFS + "/none") if os.path.exists(p)], [], "made")
        spare.ip("addr add 192.0.2.1/24 dev shared0", "link set lan0 down")
        wrong = of_routers(findings(cli, "-f", path, code=1))
        equal({name for name, _ in wrong} >= {"other-addresses", "link"}, True, f"{list(wrong)}")
        equal(of_routers(findings(cli, "-f", path, "green", code=1)), wrong, "of green")
        assert "there is no tenant red" in cli.fails("doctor", "-f", path, "red", code=2)
        spare.remove()
        assert ("netns", "green") in findings(cli, "-f", path, code=1)
        said = cli.run("doctor", "-f", lab.put("broken.yaml", "tenants: [\n"), code=2).stderr
        assert "broken.yaml:" in said, said
    finally:
        spare.remove()
    healthy(lab)


@once
@dual_stack
def test_doctor_of_one_family(lab):
    """A tenant with IPv4 alone, in a router without IPv6, on a network that has both."""
    spare = lab.spare_router()
    spare.sysctl(ipv6__conf__all__disable_ipv6=1, ipv4__ip_forward=1)
    spare.ip("addr add 10.0.0.1/24 dev lan0")
    try:
        lab.apply(lab.dual_definitions().having(lab.green_tenant(spare)))
        healthy(lab)
    finally:
        lab.apply(lab.dual_definitions())
        spare.remove()
    healthy(lab)


@once
def test_doctor_finds_no_unreachable_route(lab):
    lab.red.ip(f"route del unreachable {SUBNET} metric 4294967295")
    one = ill(lab, "routes", "warning", interface=None)
    type_in(one["remedy"])
    healthy(lab)
    equal(lab.apply(), ["nothing to be done"], "apply afterwards")


@once
def test_doctor_finds_other_addresses(lab):
    """Of the shared interface, in no shared subnet: whoever put them there."""
    lab.red.ip("addr add 192.0.2.1/24 dev shared0")
    one = ill(lab, "other-addresses")
    assert "192.0.2.1 is in no shared subnet" in one["seen"], one["seen"]
    type_in(one["remedy"])
    healthy(lab)


@once
def test_doctor_finds_no_address(lab):
    spare = lab.spare_router()
    spare.sysctl(ipv6__conf__all__disable_ipv6=1)
    spare.ip("addr flush dev shared0", "addr add 10.0.0.1/24 dev lan0")
    try:
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        healthy(lab)
        spare.ip("addr flush dev shared0")
        assert ("address", "green") in findings(lab.cli, "green", code=1), "no finding"
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        healthy(lab)
    finally:
        lab.apply()
        spare.remove()


@once
def test_doctor_finds_links(lab):
    larger, usual = ([f"link set {port} mtu {mtu}" for port in ("prouter", "pred1", "pred2")]
                     for mtu in (1600, 1500))
    with meanwhile(lab.red_lan, larger, usual):
        lab.red.ip("link set lan0 mtu 1600")
        one = ill(lab, "mtu", "warning", interface="lan0")
        type_in(one["remedy"].split(",")[0])
        # and what it is connected to there
        type_in(ill(lab, "mtu", interface="lan0")["remedy"])
        healthy(lab)
    lab.red.ip("link set lan0 down")
    type_in(ill(lab, "link", interface="lan0")["remedy"])
    lab.red_lan.ip("link set prouter down")
    assert "no carrier" in ill(lab, "link", interface="lan0")["seen"]
    lab.red_lan.ip("link set prouter up")
    healthy(lab)


@once
def test_doctor_finds_the_mtu_of_the_host(lab):
    """Of the veth's other end and the bridge there, which are in another namespace."""
    with meanwhile(lab.shared, ["link set pred mtu 1400"], ["link set pred mtu 1500"]):
        one = ill(lab, "mtu")
        assert "its MTU is 1500, but that of pred, which it is connected to, is 1400" in \
            one["seen"], one
        # the bridge is as small then, which is whom blue's other end is connected to
        one = ill(lab, "mtu", tenant="blue")
        assert "that of br0, which it is connected to, is 1400" in one["seen"], one
        type_in(one["remedy"])
        equal([link["mtu"] for link in lab.blue.links() if link["ifname"] == "shared0"], [1400],
              "blue's MTU")
        lab.blue.ip("link set shared0 mtu 1500")
    healthy(lab)
    lab.shared.ip("link set pred mtu 2000")
    try:
        one = ill(lab, "mtu")
        equal(one["remedy"], f"ip netns exec {lab.shared.name} ip link set pred mtu 1500", "remedy")
        there = lab.cli.elsewhere(under=["nsenter", "--net=" + lab.shared.path])
        equal(ill(lab, "mtu", cli=there)["remedy"], "ip link set pred mtu 1500", "from there")
        type_in(one["remedy"])
        healthy(lab)
    finally:
        lab.shared.ip("link set pred mtu 1500")


@once
def test_doctor_finds_the_mtu_below(lab):
    """Of the veth that a stacked device stands on: this kernel's macvlan, as a VLAN device would."""
    lab.red.ip("link set shared0 down", "link set shared0 name below0", "link set below0 up")
    try:
        if lab.red.run("ip", "link", "add", "link", "below0", "name", "shared0", "type", "macvlan",
                       check=False).returncode:
            raise Skip("the kernel has no macvlan")
        with meanwhile(lab.shared, ["link set pred mtu 1400"], ["link set pred mtu 1500"]):
            one = ill(lab, "mtu")
            assert "that of pred, which it is connected to, is 1400" in one["seen"], one
            type_in(one["remedy"])
            found = findings(lab.cli, code=1)
            assert ("mtu", "red", "shared0") not in {(*key, found[key]["interface"])
                                                     for key in found}, found
        with meanwhile(lab.shared, ["link set pred mtu 2000"], ["link set pred mtu 1500"]):
            found = findings(lab.cli, code=1).get(("mtu", "red"), {"interface": None})
            assert found["interface"] != "shared0", found
    finally:
        lab.red.run("ip", "link", "del", "shared0", check=False)
        lab.red.ip("link set below0 down", "link set below0 name shared0", "link set shared0 up")
    healthy(lab)


@once
def test_doctor_finds_the_neighbour_table_small(lab):
    """It is one for all namespaces: so many mappings are made that what there is does not do."""
    path = "/proc/sys/net/ipv4/neigh/default/gc_thresh3"
    with open(path, encoding="ascii") as f:
        had = f.read().strip()
    if int(had) > 4096:
        raise Skip(f"there is room for {had} neighbours")
    lab.red.ip("route add 10.5.0.0/16 dev lan0")
    try:
        lab.apply(many(lab.definitions(), "red", int(had)), "--no-probe")
        one = ill(lab, "neighbour-table", "warning", None, None)
        type_in(one["remedy"])
        healthy(lab)
        equal([key for key in findings(lab.cli) if key[0] == "neighbour-table"], [], "findings")
    finally:
        with open(path, "w", encoding="ascii") as f:
            f.write(had)
        lab.red.ip("route del 10.5.0.0/16 dev lan0")
        lab.apply()


RULES = {
    "nat": "table inet t { chain c { type nat hook postrouting priority 100\n"
           "oifname \"shared0\" masquerade\n}\n}",
    "filter": "table inet t { chain c { type filter hook forward priority 0; policy drop\n"
              "ct state established,related accept\n}\n}",
    "conntrack": "table ip t { chain c { type filter hook prerouting priority raw\n"
                 "iifname \"shared0\" notrack\n}\n}",
    "conntrack zone": "table ip t { chain c { type filter hook prerouting priority raw\n"
                      "iifname \"shared0\" ct zone set 7\n}\n}",
}


@once
def test_doctor_finds_rules_of_nftables(lab):
    for name, rules in RULES.items():
        lab.red.run("nft", "-f", "-", input=rules)
        lab.apply()     # red's packets go through the stack now
        try:
            finding = name.split()[0]
            one = ill(lab, finding, "warning" if finding == "conntrack" else "problem")
            assert "in the chain c of table" in one["seen"], one["seen"]
            type_in(one["remedy"].split(", unless")[0])
            healthy(lab)
        finally:
            lab.red.run("nft", "flush", "ruleset")
    # nothing that we have to do with
    lab.red.run("nft", "-f", "-", input="table ip t { chain c { type nat hook postrouting priority "
                "100\n oifname \"ext0\" masquerade\n ip daddr 8.0.0.0/8 snat to 1.2.3.4\n}\n}")
    healthy(lab)
    lab.red.run("nft", "flush", "ruleset")
    lab.apply()


# As the L3 agent writes them; qg- is up0 here, and qr- are the others.
NEUTRON = """*raw
:agent-PREROUTING - [0:0]
-A PREROUTING -j agent-PREROUTING
COMMIT
*mangle
:agent-PREROUTING - [0:0]
:agent-mark - [0:0]
:agent-scope - [0:0]
:agent-floatingip - [0:0]
-A PREROUTING -j agent-PREROUTING
-A agent-PREROUTING -j agent-mark
-A agent-PREROUTING -j agent-scope
-A agent-PREROUTING -m connmark ! --mark 0x0/0xffff0000 -j CONNMARK --restore-mark --nfmask 0xffff0000 --ctmask 0xffff0000
-A agent-PREROUTING -j agent-floatingip
-A agent-PREROUTING -d 169.254.169.254/32 -i lan+ -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x1/0xffff
-A agent-mark -i up0 -j MARK --set-xmark 0x2/0xffff
-A agent-scope -i lan0 -j MARK --set-xmark 0x4000000/0xffff0000
-A agent-scope -i lan1 -j MARK --set-xmark 0x4000000/0xffff0000
-A agent-scope -i shared0 -j MARK --set-xmark 0x4000000/0xffff0000
-A agent-scope -i up0 -j MARK --set-xmark 0x4000000/0xffff0000
COMMIT
*nat
:agent-PREROUTING - [0:0]
:agent-POSTROUTING - [0:0]
:agent-float-snat - [0:0]
:agent-snat - [0:0]
:postrouting-bottom - [0:0]
-A PREROUTING -j agent-PREROUTING
-A POSTROUTING -j agent-POSTROUTING
-A POSTROUTING -j postrouting-bottom
-A agent-PREROUTING -d 169.254.169.254/32 -i lan+ -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 9697
-A agent-PREROUTING -d 203.0.113.50/32 -j DNAT --to-destination 10.0.0.5
ACCEPT-A agent-float-snat -s 10.0.0.5/32 -j SNAT --to-source 203.0.113.50 --random-fully
-A agent-snat -j agent-float-snat
-A agent-snat -o up0 -j SNAT --to-source 203.0.113.2 --random-fully
-A agent-snat -m mark ! --mark 0x2/0xffff -m conntrack --ctstate DNAT -j SNAT --to-source 203.0.113.2 --random-fully
-A postrouting-bottom -j agent-snat
COMMIT
*filter
:agent-scope - [0:0]
:agent-FORWARD - [0:0]
-A FORWARD -j agent-FORWARD
-A agent-FORWARD -j agent-scope
-A agent-scope -o lan0 -m mark ! --mark 0x4000000/0xffff0000 -j DROP
-A agent-scope -o lan1 -m mark ! --mark 0x4000000/0xffff0000 -j DROP
-A agent-scope -o shared0 -m mark ! --mark 0x4000000/0xffff0000 -j DROP
COMMIT
"""
# which keeps what was not sent to a floating IP from being translated
ACCEPT = "-A agent-POSTROUTING ! -o up0 -m conntrack ! --ctstate DNAT -j ACCEPT\n"


@contextlib.contextmanager
def neutron(lab, accept=ACCEPT):
    lab.red.run("iptables-restore", input=NEUTRON.replace("ACCEPT-A", accept + "-A"))
    lab.red.ip("addr add 203.0.113.50/32 dev up0")
    try:
        lab.apply()
        yield
    finally:
        lab.red.ip("addr del 203.0.113.50/32 dev up0")
        lab.red.run("nft", "flush", "ruleset")
        lab.apply()


@once
def test_doctor_takes_neutron_for_healthy(lab):
    """Its NAT is for what goes to floating IPs and by the uplink; its marks drop nothing of ours."""
    with neutron(lab):
        healthy(lab)
        ping(lab.red1, BLUE1)
        ping(lab.outside, "203.0.113.50")


@once
def test_doctor_keeps_packets_from_nat(lab):
    """Without the rule that accepts them before; its remedy leaves floating IPs alone."""
    with neutron(lab, ""):
        wrong = ill(lab, "nat", "warning")
        assert "`SNAT` in the chain agent-float-snat of table ip nat" in wrong["seen"], wrong
        type_in(wrong["remedy"])
        healthy(lab)
        ping(lab.red1, BLUE1)
        ping(lab.blue1, RED1)
        ping(lab.outside, "203.0.113.50")
        ping(lab.red1, OUTSIDE)


@once
def test_doctor_finds_rules_that_are_passed_by(lab):
    """They came when nobody looked: no agent."""
    lab.red.run("nft", "add table ip t; add chain ip t c { type filter hook forward priority 0; }; "
                "add rule ip t c counter")
    try:
        one = ill(lab, "bypassed")
        assert "tenantnat restore" in one["remedy"], one["remedy"]
        lab.cli.run("restore")
        healthy(lab)
    finally:
        lab.red.run("nft", "flush", "ruleset")
        lab.apply()
    healthy(lab)


@once
def test_doctor_finds_ipsec_that_is_passed_by(lab):
    policy = "src 10.0.0.0/8 dst 100.64.0.0/10 dir out"
    lab.red.ip(f"xfrm policy add {policy} action allow")
    try:
        assert "IPsec has policies" in ill(lab, "bypassed")["seen"]
        lab.cli.run("restore")
        healthy(lab)
    finally:
        lab.red.ip(f"xfrm policy del {policy}")
        lab.apply()
    healthy(lab)


@once
def test_doctor_finds_rules_by_mark(lab):
    """With `stack`, and where they lead somewhere that other packets do not go to."""
    healthy(lab)
    stack = lab.definitions()
    stack["red"].router["forwarding"] = "stack"
    try:
        lab.red.ip("rule add fwmark 7 lookup main pref 99", "rule add fwmark 7 prohibit pref 98",
                   "rule add fwmark 7 iif up0 lookup 9 pref 97", "rule add from 192.0.2.1 lookup 9 pref 96",
                   "rule add fwmark 0x7/0xff lookup 9 pref 100")
        healthy(lab)        # past the stack
        lab.apply(stack)
        one = ill(lab, "rules-by-mark", "warning")
        assert "the routing rule 100 of IPv4 goes by the mark 0x7/0xff" in one["seen"], one["seen"]
        type_in(one["remedy"])
        healthy(lab)
    finally:
        for pref in range(96, 101):
            lab.red.run("ip", "rule", "del", "pref", str(pref), check=False)
        lab.apply()
    healthy(lab)


@once
def test_doctor_finds_rules_of_iptables(lab):
    for name, rule in (("nat", "-t nat -A POSTROUTING -o shared0 -j MASQUERADE"),
                       ("nat", "-t nat -A PREROUTING -i shared0 -j DNAT --to 10.0.0.9"),
                       ("filter", "-P FORWARD DROP")):
        lab.red.run("iptables-nft", *rule.split())
        lab.apply()
        try:
            type_in(ill(lab, name)["remedy"].replace("iptables ", "iptables-nft "))
            healthy(lab)
        finally:
            lab.red.run("nft", "flush", "ruleset")
    lab.apply()
    healthy(lab)


@contextlib.contextmanager
def other_abi(path):
    """The map says that it is of another layout, meanwhile."""
    raw = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", path]).stdout)[0]["value"]
    values = [[byte.removeprefix("0x") for byte in v] for v in (["0x63", *raw[1:]], raw)]
    write = ["bpftool", "map", "update", "pinned", path, "key", "hex", "0", "0", "0", "0",
             "value", "hex"]
    sh([*write, *values[0]])
    try:
        yield
    finally:
        sh([*write, *values[1]])


@once
def test_doctor_finds_pins(lab):
    with other_abi(PINS + "/maps/config"):
        one = ill(lab, "maps", tenant=None, interface=None)
        assert "another version" in one["seen"] and "detach --all" in one["remedy"], one
    healthy(lab)
    os.mkdir(PINS + "/MAPS")
    type_in(re.sub(".*: (rm )", r"\1", ill(lab, "leftovers", "warning", None, None)["remedy"]))
    equal(os.path.exists(PINS + "/MAPS"), False, "the leftover is there")
    equal([key for key in findings(lab.cli) if key[0] == "leftovers"], [], "leftovers")


@once
def test_doctor_finds_no_bpffs(lab):
    where = lab.scratch + "/nobpf"
    cli = lab.cli.elsewhere(state=lab.scratch + "/none", bpffs=where + "/tenantnat")
    type_in(ill(lab, "bpffs", tenant=None, interface=None, cli=cli)["remedy"])
    try:
        equal([key for key in findings(cli) if key[0] == "bpffs"], [], "bpffs")
        sh(["umount", where])
        one = ill(lab, "bpffs", tenant=None, interface=None, cli=cli)
        assert "no BPF file system is mounted" in one["seen"], one
        type_in(one["remedy"])
        sh(["mount", "-o", "remount,ro", where])
        type_in(ill(lab, "bpffs", tenant=None, interface=None, cli=cli)["remedy"])
        equal([key for key in findings(cli) if key[0] == "bpffs"], [], "bpffs")
    finally:
        sh(["umount", where])
        os.rmdir(where)


@once
def test_doctor_finds_the_state(lab):
    os.chmod(lab.cli.state, 0o777)
    try:
        one = ill(lab, "state", tenant=None, interface=None)
        type_in(one["remedy"])
        healthy(lab)
    finally:
        os.chmod(lab.cli.state, 0o700)


@once
def test_doctor_finds_programs(lab):
    """Of ours, one that is gone."""
    pins = next(os.path.join(top, "link_in") for top, _, files in os.walk(PINS + "/routers")
                if "link_in" in files)
    os.unlink(pins)
    wrong = of_routers(findings(lab.cli, code=1))
    equal({name for name, _ in wrong}, {"programs"}, "findings")
    lab.apply()
    healthy(lab)


@contextlib.contextmanager
def foreign(kind):
    """Somebody else's program, loaded as XDP or for tc, where it drops all. Its pin."""
    pin = BPFFS + "/foreign"
    sh(["bpftool", "prog", "load", os.environ["TN_FOREIGN"], pin, "type", kind])
    try:
        yield pin
    finally:
        for path in (pin, BPFFS + "/seen"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@once
def test_doctor_finds_xdp_of_others(lab):
    with foreign("xdp") as pin:
        lab.red.run("bpftool", "net", "attach", "xdpgeneric", "pinned", pin, "dev", "shared0")
        try:
            assert "xdp-generic" in ill(lab, "other-programs", "warning")["seen"]
        finally:
            lab.red.run("bpftool", "net", "detach", "xdpgeneric", "dev", "shared0")
    healthy(lab)


def others(lab):
    """What it says of other programs at red: those before ours, those behind."""
    said = [one for one in lab.cli.json("doctor", "red")["findings"]
            if one["finding"] == "other-programs"]
    return [[one["seen"] for one in said if one["severity"] == severity]
            for severity in ("warning", "ok")]


@hook
@only(hooks=["tc", "clsact"])
def test_doctor_finds_filters_of_others(lab):
    """A filter of clsact, before ours or behind: tcx comes before all of them."""
    with foreign("classifier") as pin:
        for way in ("ingress", "egress"):
            for priority, before in ((7, lab.variant == "clsact"), (60000, False)):
                lab.red.run("tc", "qdisc", "add", "dev", "shared0", "clsact", check=False)
                lab.red.run("tc", "filter", "add", "dev", "shared0", way, "prio", str(priority),
                            "bpf", "da", "pinned", pin)
                first, last = others(lab)
                equal([f"a tc filter (clsact, {way}) runs before ours" in seen for seen in first],
                      [True] if before else [], f"{way}, priority {priority}: {first}")
                equal(len(last), int(lab.variant == "tc"), f"{way}, priority {priority}: {last}")
                lab.red.run("tc", "filter", "del", "dev", "shared0", way, "prio", str(priority))
        if lab.variant == "tc":
            lab.red.run("tc", "qdisc", "del", "dev", "shared0", "clsact")
    equal(others(lab), [[], []], "afterwards")
    ping(lab.red1, BLUE1)


@once
def test_doctor_finds_tcx_of_others(lab):
    """A new link comes behind those that are there."""
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    with foreign("classifier") as pin:
        program = libbpf.bpf_obj_get(pin.encode())
        with lab.red.entered():
            link = libbpf.bpf_link_create(program, SHARED_INDEX, TCX_EGRESS, None)
        if link < 0:
            raise Skip("this kernel has no tcx")
        try:
            first, last = others(lab)
            equal((first, ["(tcx, egress) runs behind ours" in seen for seen in last]),
                  ([], [True]), f"behind: {last}")
            lab.cli.run("detach", "red")
            said = lab.cli.fails("apply", "-f", lab.write(lab.definitions()))
            assert "the probe `ping`" in said, f"everything is dropped: {said}"
            lab.apply(None, "--no-probe")
            first, last = others(lab)
            equal((["(tcx, egress) runs before ours" in seen for seen in first], last),
                  ([True], []), f"before: {first}")
        finally:
            os.close(link)
            os.close(program)
    healthy(lab)
    ping(lab.red1, BLUE1)


@once
def test_doctor_finds_the_namespace_gone(lab):
    """And tables of iptables-legacy, which stay for as long as a namespace does."""
    spare = lab.spare_router()
    try:
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        spare.sysctl(ipv4__ip_forward=1)
        spare.ip("addr add 10.0.0.1/24 dev lan0")
        type_in(ill(lab, "accept-ra", "warning", "green")["remedy"])
        healthy(lab)
        spare.ip("link set to-lan0 mtu 1400")
        type_in(ill(lab, "mtu", tenant="green", interface="lan0")["remedy"])
        spare.ip("link set to-lan0 mtu 1500", "link set lan0 mtu 1500")
        spare.run("iptables-legacy", "-t", "nat", "-L", "-n")
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        one = ill(lab, "iptables-legacy", "warning", "green", None)
        assert "(nat)" in one["seen"] and "iptables-legacy-save" in one["remedy"], one
    finally:
        spare.remove()
    assert "ip netns add" in ill(lab, "netns", tenant="green", interface=None)["remedy"]
    equal({tenant for _, tenant in of_routers(findings(lab.cli, code=1))}, {"green"}, "tenants")
    lab.apply()
    healthy(lab)
    equal(next(i["ifindex"] for i in lab.red.links() if i["ifname"] == "shared0"), SHARED_INDEX,
          "red's shared interface")
