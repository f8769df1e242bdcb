# SPDX-License-Identifier: GPL-2.0-only
"""`check`: every probe seen in order, and failing for the reason that it is there for."""
import collections
import contextlib
import json
import os
import select
import socket
import time

from scapy.all import ARP, Ether, ICMPv6ND_NS, IPv6

from case import equal, hook, once
from defs import Definitions, Tenant
from lab import (BLUE, BLUE_V6, FIXED, FIXED2, FIXED2_V6, FIXED_V6, INSIDE, INSIDE_V6, OUTSIDE,
                 OUTSIDE_V6, PLAIN, PLAIN_V6, RED, RED1, RED1_V6, RED2_V6, RED_V6, SUBNET, SUBNET_V6)
from net import Child, veth
from snapshot import machine, unchanged
from sniffer import PACKET_OUTGOING, packet_socket
from test_six import dual_stack
from traffic import Watch, ping

Finding = collections.namedtuple("Finding", "tenant probe subject result text remedy")


def check(lab, *tenant, code=0):
    """The findings; the exit status has to be this one."""
    said = lab.cli.run("-j", "check", *tenant, code=code)
    found = [Finding(**row) for row in json.loads(said.stdout)]
    equal(any(f.result == "failed" for f in found), code == 1, "whether anything failed")
    equal({f.tenant for f in found}, {f.tenant for f in found if f.probe == "doctor"}, "with a doctor")
    return [f for f in found if f.probe != "doctor"]


def results(found, *probes):
    """{(tenant, probe, subject): result}"""
    return {f[:3]: f.result for f in found if not probes or f.probe in probes}


def only(lab, wanted, tenant="red"):
    """These fail and no others, and their texts have these words; gives all findings."""
    all_of_them = check(lab, tenant, code=1)
    found = {(f.probe, f.subject): f for f in all_of_them if f.result == "failed"}
    equal(set(found), set(wanted), "what failed")
    for key, words in wanted.items():
        text = found[key].text
        assert text.startswith("expected ") and "; seen: " in text, text
        assert found[key].remedy, f"no remedy: {found[key]}"
        for word in words if isinstance(words, tuple) else (words,):
            assert word in text, f"{key}: {text!r} does not say {word!r}"
    return all_of_them


def peer_results(tenant, peers, result):
    return {(tenant, probe, peer): result for probe in ("neighbour", "ping", "mtu", "checksum")
            for peer in peers}


@contextlib.contextmanager
def meanwhile(ns, there, back):
    """Lines of ip(8) in a namespace, and others that take them back."""
    ns.ip(*there)
    try:
        yield
    finally:
        ns.ip(*back)


# ---------------------------------------------------------------- in order


def wanted(tenant, own, peers, mapped, vms):
    """What `check` says of a router with which all is well."""
    out = {(tenant, "carrier", "shared0"): "ok"}
    for subject in (SUBNET, SUBNET_V6, *peers):
        out[tenant, "route", subject] = "ok"
    out[tenant, "duplicate", f"{own + mapped} addresses"] = "ok"
    out.update(peer_results(tenant, peers, "ok"))
    out.update({(tenant, "vm", vm): "ok" for vm in vms})
    for family, colon in (("IPv4", False), ("IPv6", True)):
        n = sum((":" in vm) == colon for vm in vms)
        out[tenant, "solicitation", f"{n} {family} address{'es' * (n > 1)}"] = "ok"
    out.update({(tenant, "source", peer): "ok" for peer in peers})
    return out


@hook
@dual_stack
def test_check_all_is_well(lab):
    """Every probe of both routers, in both families, and nothing is changed by them."""
    before = machine(lab) if lab.variant == "tc" else None
    found = check(lab)
    want = wanted("red", 2, [f"{BLUE} (blue)", f"{BLUE_V6} (blue)"], 4,
                  [f"{FIXED} (db)", FIXED2, FIXED_V6, FIXED2_V6])
    want.update(wanted("blue", 2, [f"{RED} (red)", f"{RED_V6} (red)"], 2, [FIXED, FIXED_V6]))
    equal(results(found), want, "the findings")
    equal([f for f in found if f.remedy], [], "what there is to do")
    places = {f.subject: f.text for f in found if f.probe == "neighbour"}
    assert lab.macs["blue"] in places[f"{BLUE} (blue)"], places
    assert lab.macs["blue"] in places[f"{BLUE_V6} (blue)"], places
    pings = [f.text for f in found if f.probe == "vm"]
    assert all("answers ping" in text and "lan0" in text for text in pings), pings
    if before:
        unchanged(before, machine(lab), "check")


# ---------------------------------------------------------------- failures


@once
@dual_stack
def test_check_duplicates(lab):
    """Somebody else has a mapped address and the router's own, in both families: named by MAC."""
    both = [f"{a}/32" for a in (RED, RED1)] + [f"{a}/128" for a in (RED_V6, RED1_V6)]
    with meanwhile(lab.plain, [f"addr add {a} dev shared0 {'nodad' if ':' in a else ''}"
                               for a in both], [f"addr del {a} dev shared0" for a in both]):
        only(lab, {("duplicate", a): lab.macs["plain"] for a in (RED, RED1, RED_V6, RED1_V6)})
    for name in ("red", "blue"):    # which may have learned the other one
        lab.ns[name].ip("neigh flush dev shared0")
    equal(results(check(lab, "red"), "duplicate"), {("red", "duplicate", "6 addresses"): "ok"},
          "duplicates afterwards")


@once
@dual_stack
def test_check_floating_ips(lab):
    """Addresses that the router stands in for are not its own: not looked for, and not spoken from."""
    floating = ["100.64.0.1/32", "100.64.77.7/32", "fd64::1/128"]
    with meanwhile(lab.red, [f"addr add {a} dev shared0 {'nodad' if ':' in a else ''}" for a in floating],
                   [f"addr del {a} dev shared0" for a in floating]), \
            meanwhile(lab.plain, [f"addr add {a} dev shared0 {'nodad' if ':' in a else ''}" for a in floating],
                      [f"addr del {a} dev shared0" for a in floating]):
        lab.cli.run("restore")
        with Watch(lab.plain, "shared0") as watch:
            found = check(lab, "red")
        equal([f for f in found if f.result != "ok"], [], "what is not in order")
        equal(results(found, "duplicate"), {("red", "duplicate", "6 addresses"): "ok"}, "duplicates")
        # who asks by ARP
        senders = {socket.inet_ntoa(f[28:32]) for f in watch.frames if f[12:14] == b"\x08\x06"}
        assert not senders & {"100.64.0.1", "100.64.77.7"}, senders
        assert RED in senders, senders
    lab.cli.run("restore")


@once
@dual_stack
def test_check_from_own_addresses(lab):
    """Peers are spoken to from the shared network, whatever address the routes prefer."""
    routes = [f"{BLUE}/32 dev shared0 src {INSIDE}", f"{BLUE_V6}/128 dev shared0 src {INSIDE_V6}"]
    with meanwhile(lab.red, ["route add " + r for r in routes], ["route del " + r for r in routes]):
        found = check(lab, "red")
    equal([f for f in found if f.result != "ok"], [], "what is not in order")


def _repeat(sock, frames):
    while True:
        for frame in frames:
            sock.send(frame)
        time.sleep(0.02)


@once
@dual_stack
def test_check_somebody_about_to_take_an_address(lab):
    """Who probes for it himself just now has no answer to give yet, and will have the address."""
    mac = lab.macs["plain"]
    frames = [Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=mac, psrc="0.0.0.0", pdst=RED1),
              Ether(src=mac, dst="33:33:ff:01:00:05") / IPv6(src="::", dst="ff02::1:ff01:5")
              / ICMPv6ND_NS(tgt=RED1_V6)]
    with packet_socket(lab.plain, "shared0") as sock:
        child = Child(_repeat, sock, [bytes(frame) for frame in frames])
        try:
            only(lab, {("duplicate", a): mac for a in (RED1, RED1_V6)})
        finally:
            child.kill()


@once
@dual_stack
def test_check_a_peer_that_is_gone(lab):
    """Nobody answers on the link: that alone has failed, and all that needs it is skipped."""
    peers = [f"{BLUE} (blue)", f"{BLUE_V6} (blue)"]
    with meanwhile(lab.shared, ["link set pblue down"], ["link set pblue up"]):
        found = only(lab, {
            ("neighbour", peers[0]): "an answer to ARP; seen: none",
            ("neighbour", peers[1]): "an answer to neighbour solicitation; seen: none"})
        want = peer_results("red", peers, "skipped")
        want.update({("red", "neighbour", peer): "failed" for peer in peers})
        equal(results(found, "neighbour", "ping", "mtu", "checksum"), want, "of the peer")
        # and from the other end, which cannot send at all
        only(lab, {("carrier", "shared0"): "expected a carrier; seen: none"}, "blue")
    ping(lab.red, BLUE)


@once
@dual_stack
def test_check_a_peer_that_does_not_answer_ping(lab):
    lab.blue.sysctl(ipv4__icmp_echo_ignore_all=1, ipv6__icmp__echo_ignore_all=1)
    try:
        only(lab, {("ping", f"{BLUE} (blue)"): f"an answer to ping from {RED}; seen: none",
                   ("ping", f"{BLUE_V6} (blue)"): f"from {RED_V6}; seen: none"})
    finally:
        lab.blue.sysctl(ipv4__icmp_echo_ignore_all=0, ipv6__icmp__echo_ignore_all=0)


@once
@dual_stack
def test_check_routes_that_lead_elsewhere(lab):
    """To a peer, to the last host of a subnet, and to no place at all."""
    routes = [f"100.64.255.254/32 via {FIXED} dev lan0", f"{BLUE}/32 dev lan0"]
    v6_routes = [f"unreachable {BLUE_V6}/128"]
    with meanwhile(lab.red, ["route add " + r for r in routes + v6_routes],
                   ["route del " + r for r in routes + v6_routes]):
        only(lab, {("route", SUBNET): ("100.64.255.254 by shared0", f"by lan0 via {FIXED}"),
                   ("route", f"{BLUE} (blue)"): (f"{BLUE} by shared0", "seen: by lan0"),
                   ("route", f"{BLUE_V6} (blue)"): ("by shared0; seen: no route (",)})
    with meanwhile(lab.red, ["route add prohibit 100.64.0.1/32"], ["route del 100.64.0.1/32"]):
        only(lab, {("route", SUBNET): ("100.64.0.1 by shared0", "seen: no route (")})


@once
@dual_stack
def test_check_a_smaller_mtu_on_the_link(lab):
    """A port that drops what is longer, without a word: the size that passes is found."""
    with meanwhile(lab.shared, ["link set pblue mtu 1400"], ["link set pblue mtu 1500"]):
        # a veth takes four bytes more, for a VLAN tag
        only(lab, {("mtu", f"{peer} (blue)"): "of 1500 bytes to pass; seen: 1404 bytes at most"
                   for peer in (BLUE, BLUE_V6)})


@once
@dual_stack
def test_check_a_smaller_mtu_behind_a_gateway(lab):
    """
    A gateway with a link of 1400 bytes says so, and is believed when it proves right. Of IPv6 what
    it says is not let in: the kernel would believe anybody who says so of the router's ICMP.
    """
    to = [f"{BLUE}/32 via {PLAIN} dev shared0", f"{BLUE_V6}/128 via {PLAIN_V6} dev shared0"]
    on = [f"{BLUE}/32 dev shared0 mtu 1400", f"{BLUE_V6}/128 dev shared0 mtu 1400"]
    # the way back is the same: frames that come by another one would be those of an impostor
    back = [f"{RED}/32 via {PLAIN} dev shared0", f"{RED_V6}/128 via {PLAIN_V6} dev shared0"]
    forwards = {"ipv4__ip_forward": 1, "ipv6__conf__all__forwarding": 1,
                "ipv4__conf__all__send_redirects": 0, "ipv4__conf__shared0__send_redirects": 0}
    lab.plain.sysctl(**forwards)
    try:
        with meanwhile(lab.plain, ["route add " + r for r in on], ["route del " + r for r in on]), \
                meanwhile(lab.red, ["route add " + r for r in to], ["route del " + r for r in to]), \
                meanwhile(lab.blue, ["route add " + r for r in back],
                          ["route del " + r for r in back]):
            found = only(lab, {("mtu", f"{BLUE} (blue)"):
                               "seen: 1400 bytes at most, and an ICMP error that says 1400",
                               ("mtu", f"{BLUE_V6} (blue)"): "seen: 1400 bytes at most"})
            equal(results(found, "neighbour"), {("red", "neighbour", f"{peer} (blue)"): "skipped"
                                                for peer in (BLUE, BLUE_V6)}, "neighbours")
    finally:
        lab.plain.sysctl(**{key: int("redirects" in key) for key in forwards})


@once
@dual_stack
def test_check_a_gateway(lab):
    """Routes of the file lead through their gateway, which is a peer, and through no other."""
    parts = {"100.64.128.0/17": PLAIN, "fd64::8000:0:0:0/65": PLAIN_V6}
    routes = ", ".join(f'{{to: "{to}", via: "{via}"}}' for to, via in parts.items())
    definitions = lab.dual_definitions()
    definitions["red"].router["routes"] = f"[{routes}]"
    lab.apply(definitions)
    try:
        found = results(check(lab, "red"))
        for key in [("route", to) for to in parts] + [
                (probe, f"{via} (gateway)") for via in parts.values()
                for probe in ("route", "neighbour", "ping", "mtu", "checksum")]:
            equal(found.get(("red", *key)), "ok", key)
        there = [f"100.64.128.1/32 via {BLUE} dev shared0", "fd64::8000:0:0:1/128 dev shared0"]
        with meanwhile(lab.red, ["route add " + r for r in there],
                       ["route del " + r for r in there]):
            only(lab, {("route", "100.64.128.0/17"): (f"by shared0 via {PLAIN}; seen: ",
                                                      f"by shared0 via {BLUE}"),
                       ("route", "fd64::8000:0:0:0/65"): f"via {PLAIN_V6}; seen: by shared0"})
    finally:
        lab.apply(lab.dual_definitions())


def _carry(one, other, drops):
    ends = {one: other, other: one}
    while True:
        for sock in select.select(list(ends), [], [])[0]:
            frame, where = sock.recvfrom(1 << 16)
            if where[2] != PACKET_OUTGOING and not drops(frame):
                with contextlib.suppress(OSError):
                    ends[sock].send(frame)


@contextlib.contextmanager
def cable(lab, name, drops=lambda frame: False):
    """
    Between that namespace and the bridge a cable that carries frames as they are: a checksum
    that the sender left to its interface stays unfinished, as with hardware that promises to
    fill it in, and does not. Frames that `drops` is true of are lost.
    """
    lab.shared.ip(f"link set p{name} nomaster")
    veth(lab.shared, "joint", lab.shared, "pjoint")
    lab.shared.ip("link set pjoint master br0")
    ends = [packet_socket(lab.shared, device) for device in ("p" + name, "joint")]
    child = Child(_carry, *ends, drops)
    try:
        yield
    finally:
        child.kill()
        for end in ends:
            end.close()
        lab.shared.ip("link del joint", f"link set p{name} master br0")


@once
@dual_stack
def test_check_broken_checksums(lab):
    """Offloads that are promised and not done fail; what the finding says to do mends it."""
    peers = [f"{BLUE} (blue)", f"{BLUE_V6} (blue)"]
    with cable(lab, "red"):
        errors = lab.blue.snmp()
        found = [f for f in check(lab, "red", code=1) if f.result == "failed"]
        equal({f[1:3] for f in found}, {("checksum", peer) for peer in peers}, "what failed")
        after = lab.blue.snmp()
        for counter in ("UdpInCsumErrors", "Udp6InCsumErrors"):
            assert after[counter] > errors[counter], f"nobody saw a wrong checksum: {counter}"
        remedy, = {f.remedy for f in found}
        equal(remedy, "`ethtool -K shared0 tx off` in the router", "the remedy")
        lab.red.run(*remedy.split("`")[1].split())
        try:
            found = check(lab, "red")
            equal(results(found, "checksum"), {("red", "checksum", p): "ok" for p in peers},
                  "without offloads")
        finally:
            lab.red.run("ethtool", "-K", "shared0", "tx", "on")


class FirstOfEach:
    """Of frames from a host that are alike but for what IPv4 counts up, the first; not of UDP."""

    def __init__(self, mac):
        self.mac, self.seen = bytes.fromhex(mac.replace(":", "")), set()

    def __call__(self, frame):
        known = frame[26:] in self.seen
        self.seen.add(frame[26:])
        udp = socket.IPPROTO_UDP in (frame[20], frame[23])  # of IPv6, of IPv4
        return not known and not udp and frame[6:12] == self.mac


@once
@dual_stack
def test_check_tries_again(lab):
    """What is lost once, each frame from the router, is no failure."""
    with cable(lab, "red", FirstOfEach(lab.macs["red"])):
        lab.red.run("ethtool", "-K", "shared0", "tx", "off")
        try:
            found = check(lab, "red")
        finally:
            lab.red.run("ethtool", "-K", "shared0", "tx", "on")
    equal([f for f in found if f.result != "ok"], [], "what is not in order")


@contextlib.contextmanager
def port_security(lab, port, *rules):
    """A filter of the bridge, of frames that come by that port."""
    lab.shared.run("nft", "-f", "-", input="table bridge f { chain c { type filter hook forward "
                   "priority 0;\n" + "".join(f"iifname {port} {rule} drop\n" for rule in rules) + "}\n}")
    try:
        yield
    finally:
        lab.shared.run("nft", "delete", "table", "bridge", "f")


@once
@dual_stack
def test_check_filters_that_know_the_router_alone(lab):
    """Port security without the pool: the router's own address passes, those of its VMs do not."""
    own = (f"ip saddr != {RED}", f"ip6 saddr {RED1_V6} icmpv6 type echo-reply")
    with port_security(lab, "pred", *own):
        only(lab, {("source", f"{BLUE} (blue)"): f"what is sent from {RED1}; seen: it hears the "
                                                 "router's own address alone",
                   ("source", f"{BLUE_V6} (blue)"): f"what is sent from {RED1_V6}; seen: it hears"})
        equal([f for f in check(lab, "blue") if f.result == "failed"], [], "blue's")
    with port_security(lab, "pred", f"arp saddr ip != {RED}",
                       f"ip6 saddr {RED2_V6} icmpv6 type nd-neighbor-advert"):
        only(lab, {("solicitation", "2 IPv4 addresses"):
                   f"to ARP requests that blue sends; seen: none for 2 of them, {RED1} the first",
                   ("solicitation", "2 IPv6 addresses"): f"none for 1 of them, {RED2_V6} the first"})
    # who lets nothing through at all is not one of these
    with port_security(lab, "pred", "ip saddr 0.0.0.0/0"):
        found = check(lab, "red", code=1)
        equal(results(found, "source")["red", "source", f"{BLUE} (blue)"], "skipped", "sources")
    equal([f for f in check(lab) if f.result != "ok"], [], "afterwards")


@once
@dual_stack
def test_check_a_filter_is_no_broken_checksum(lab):
    """Whoever answers no UDP at all proves nothing about checksums."""
    lab.blue.run("nft", "add table inet t; add chain inet t c "
                 "{ type filter hook input priority 0; }; add rule inet t c meta l4proto udp drop")
    try:
        found = check(lab, "red")
        equal(results(found, "checksum"), {("red", "checksum", f"{peer} (blue)"): "skipped"
                                           for peer in (BLUE, BLUE_V6)}, "checksums")
    finally:
        lab.blue.run("nft", "delete table inet t")


@once
@dual_stack
def test_check_vms(lab):
    """One that is off has failed; one that answers its link, but no ping, has not."""
    lab.red1.sysctl(ipv4__icmp_echo_ignore_all=1, ipv6__icmp__echo_ignore_all=1)
    try:
        with meanwhile(lab.red_lan, ["link set pred2 down"], ["link set pred2 up"]):
            found = only(lab, {
                ("vm", FIXED2): "it to answer ARP; seen: no answer, by lan0",
                ("vm", FIXED2_V6): "it to answer neighbour solicitation; seen: no answer"})
    finally:
        lab.red1.sysctl(ipv4__icmp_echo_ignore_all=0, ipv6__icmp__echo_ignore_all=0)
    texts = {f.subject: (f.result, f.text) for f in found if f.probe == "vm"}
    for subject in (f"{FIXED} (db)", FIXED_V6):
        result, text = texts[subject]
        equal(result, "ok", subject)
        assert lab.red1.mac("eth0") in text and "the VM no ping" in text, text


def cured(lab, ns, wanted):
    """These of red fail, and what each says to do, typed in there, cures it."""
    found = {f.subject: f for f in only(lab, {("vm", vm): words for vm, words in wanted.items()})}
    for subject in wanted:
        ns.run("sh", "-c", found[subject].remedy.split("`")[1])
    equal([f for f in check(lab, "red") if f.result == "failed"], [], "afterwards")


VM1, VM1_V6 = f"{FIXED} (db)", FIXED_V6


@once
@dual_stack
def test_check_vms_without_a_way_back(lab):
    """They answer ARP, and ping of the router, but know no way to the shared network."""
    for family in ("-4", "-6"):
        lab.red1.run("ip", family, "route", "del", "default")
    try:
        cured(lab, lab.red1, {
            VM1: f"an answer to ping from {BLUE}; seen: it answers the router's address",
            VM1_V6: f"an answer to ping from {BLUE_V6}; seen: it answers the router's address"})
    finally:
        for subnet in (SUBNET, SUBNET_V6):
            lab.red1.run("ip", "route", "del", subnet, check=False)
        lab.settle("red1", "eth0")
    ping(lab.red1, BLUE)


@once
@dual_stack
def test_check_vms_whose_network_covers_the_shared_one(lab):
    """Of IPv4 the router's own kernel answers for its own address there, and for no other."""
    wide = ["100.64.0.0/10 dev eth0", "fd64::/48 dev eth0"]
    with meanwhile(lab.red1, ["route add " + r for r in wide], ["route del " + r for r in wide]):
        try:
            cured(lab, lab.red1, {VM1: (f"answer {BLUE} by the router", "asks its own link"),
                                  VM1_V6: (f"answer {BLUE_V6} by the router", "asks its own link")})
        finally:
            for subnet in (SUBNET, SUBNET_V6):
                lab.red1.run("ip", "route", "del", subnet, check=False)


@once
@dual_stack
def test_check_rules_that_lead_elsewhere(lab):
    """By the VM's address alone: the router's own packets take another way."""
    def rules(what):
        for family, vm in (("-4", FIXED), ("-6", FIXED_V6)):
            lab.red.run("ip", family, "rule", what, "from", vm, "lookup", "100", "pref", "30000")

    rules("add")
    lab.red.ip(f"route add default via {OUTSIDE} dev up0 table 100",
               f"route add default via {OUTSIDE_V6} dev up0 table 100")
    try:
        cured(lab, lab.red, {VM1: f"expected what it sends to {BLUE} by shared0; seen: by up0",
                             VM1_V6: f"expected what it sends to {BLUE_V6} by shared0; seen: by up0"})
        ping(lab.red1, BLUE)
        for family in ("-4", "-6"):
            lab.red.run("ip", family, "rule", "del", "pref", "1")
        # and of what comes from there
        rules("del")
        lab.red.ip(f"rule add from {SUBNET} to {FIXED} lookup 100 pref 30000")
        only(lab, {("vm", VM1): "expected a route to it by an inside interface; seen: by up0"})
    finally:
        for family in ("-4", "-6"):
            for pref in ("1", "30000"):
                lab.red.run("ip", family, "rule", "del", "pref", pref, check=False)
            lab.red.run("ip", family, "route", "flush", "table", "100", check=False)


@once
@dual_stack
def test_check_a_vm_that_answers_another_way(lab):
    """Two network cards, and one default route: its answers come by the other one."""
    definitions = lab.dual_definitions().mapping("red", "10.0.1.77", None, "second")
    veth(lab.red1, "eth1", lab.red_lan, "pred1b")
    lab.red_lan.ip("link set pred1b master br1")
    lab.red1.ip("addr add 10.0.1.77/24 dev eth1")
    try:
        lab.apply(definitions)
        found = only(lab, {("vm", "10.0.1.77 (second)"): (
            "by lan1 from " + lab.red1.mac("eth1"), "seen: by lan0 from " + lab.red1.mac("eth0"))})
        one, = [f for f in found if f.result == "failed"]
        assert "`sources: loose`" in one.remedy, one
        definitions["red"].router["sources"] = "loose"
        lab.apply(definitions)
        equal([f for f in check(lab, "red") if f.result == "failed"], [], "with what it says")
        ping(lab.blue1, lab.cli.leases("red")["red", "10.0.1.77"])
    finally:
        lab.red1.ip("link del eth1")
        lab.apply(lab.dual_definitions())


@once
@dual_stack
def test_check_goes_on(lab):
    """An inside interface without a carrier: that is said of the VMs behind it, and all else is probed."""
    with meanwhile(lab.red_lan, ["link set prouter down"], ["link set prouter up"]):
        found = check(lab, code=1)
    vms = {f"{FIXED} (db)", FIXED2, FIXED_V6, FIXED2_V6}
    failed = {f.subject: f for f in found if f.result == "failed"}
    equal({(f.tenant, f.probe, f.subject) for f in failed.values()},
          {("red", "vm", vm) for vm in vms}, "what failed")
    for one in failed.values():
        assert "lan0 cannot be asked: it has no carrier" in one.text and one.remedy, one
    equal({f.probe for f in found if f.tenant == "blue" and f.result == "ok"} >= {"vm", "ping"}, True,
          "blue's probes")
    with meanwhile(lab.red, ["link set lan0 down"], ["link set lan0 up"]):
        found = check(lab, code=1)
    lab.settle("red", "lan0")
    texts = {f.text for f in found if (f.tenant, f.probe) == ("red", "vm")}
    assert all("it is down" in text or "by an inside interface; seen: " in text for text in texts), texts


# ---------------------------------------------------------------- IPv4 alone


@once
def test_check_vms_elsewhere(lab):
    """Without a route, out by the default one, on the wrong side, and behind a router's MAC."""
    definitions = lab.definitions()
    definitions["red"].mappings += [("10.7.7.7", None, "lost"), ("10.8.8.8", None, "behind"),
                                    ("10.6.6.6", None, "outside"), ("10.9.9.1", None, "dead"),
                                    ("10.5.5.5", None, "away")]
    routes = [f"10.8.8.8/32 via {FIXED}", f"10.6.6.6/32 via {PLAIN}", "10.9.9.1/32 via 10.0.0.99",
              "unreachable 10.7.7.7/32"]
    lab.apply(definitions)
    try:
        with meanwhile(lab.red, ["route add " + r for r in routes],
                       ["route del " + r for r in routes]):
            found = only(lab, {
                ("vm", "10.7.7.7 (lost)"): "by an inside interface; seen: no route (",
                ("vm", "10.5.5.5 (away)"): f"by an inside interface; seen: by up0 via {OUTSIDE}",
                ("vm", "10.6.6.6 (outside)"): f"seen: by shared0 via {PLAIN}",
                ("vm", "10.9.9.1 (dead)"): "expected 10.0.0.99 to answer ARP; seen: no"})
        texts = {f.subject: (f.result, f.text) for f in found}
        # that its gateway is there says nothing of it
        result, text = texts["10.8.8.8 (behind)"]
        equal(result, "skipped", "a VM behind a router")
        assert text.startswith(f"{FIXED}, by which it is reached, answers ARP from "), text
    finally:
        lab.apply()


@once
def test_check_more_addresses_than_a_batch(lab):
    """All are looked for, and so are all VMs."""
    definitions = lab.definitions()
    definitions["red"].pool = ["100.64.64.0/18", "100.64.1.0/24"]
    definitions["red"].mappings += [(f"10.5.{i // 250}.{i % 250 + 1}", None, None)
                                    for i in range(1100)]
    lab.apply(definitions)
    try:
        found = check(lab, "red", code=1)
        equal(results(found, "duplicate"), {("red", "duplicate", "1103 addresses"): "ok"},
              "duplicates")
        equal(sorted(collections.Counter(f.result for f in found if f.probe == "vm").items()),
              [("failed", 1100), ("ok", 2)], "VMs")
    finally:
        lab.apply()


@once
def test_check_an_empty_network(lab):
    """The first router there: what cannot be probed is skipped, and that is no failure."""
    lab.apply(Definitions(lab.definitions()["red"]))
    try:
        found = check(lab)
        want = {("red", "carrier", "shared0"): "ok", ("red", "route", SUBNET): "ok",
                ("red", "duplicate", "3 addresses"): "ok", ("red", "vm", f"{FIXED} (db)"): "ok",
                ("red", "vm", FIXED2): "ok"}
        want.update(peer_results("red", ["shared0"], "skipped"))
        want.update({("red", probe, "shared0"): "skipped" for probe in ("solicitation", "source")})
        equal(results(found), want, "the findings")
        # with a mapping of nobody's and of nothing: the interface alone
        lab.apply(Definitions(Tenant("red", router=lab.router("red"))))
        equal(results(check(lab), "duplicate", "vm"),
              {("red", "duplicate", "1 address"): "ok"}, "without mappings")
    finally:
        lab.apply()


@once
def test_check_interface_down(lab):
    with meanwhile(lab.red, ["link set shared0 down"], ["link set shared0 up"]):
        found = only(lab, {("carrier", "shared0"): "expected it up; seen: it is down"})
        want = peer_results("red", ["shared0"], "skipped")
        want.update({("red", probe, "shared0"): "skipped" for probe in ("route", "duplicate", "solicitation", "source")})
        want["red", "carrier", "shared0"] = "failed"
        # the VMs are probed all the same
        want.update({("red", "vm", f"{FIXED} (db)"): "ok", ("red", "vm", FIXED2): "ok"})
        equal(results(found), want, "the findings")


@once
def test_check_a_router_that_is_gone(lab):
    """Its interface, then its namespace; the others are checked all the same."""
    spare = lab.spare_router()
    router = {**lab.router("red"), "netns": spare.name}
    lab.apply(lab.definitions().having(
        Tenant("green", (FIXED, "100.64.3.5"), router=router, pool=["100.64.3.0/24"])))
    try:
        spare.ip("link del shared0")
        found = [f for f in check(lab, code=1) if f.result == "failed" and f.tenant == "green"]
        equal([(f.probe, f.subject) for f in found], [("carrier", "-")], "without an interface")
        spare.remove()
        found = check(lab, code=1)
        equal({f[1:4] for f in found if f.tenant == "green"},
              {("carrier", spare.name, "failed")}, "without a namespace")
        # whoever has it as a peer misses it
        equal({f[:3] for f in found if f.result == "failed" and f.tenant != "green"},
              {(tenant, "neighbour", "100.64.0.5 (green)") for tenant in ("red", "blue")},
              "of the others")
    finally:
        spare.remove()
        lab.apply()


def doctors(lab, *tenant, code=1):
    """{(tenant, subject): text} of what it takes over from doctor and is not in order."""
    return {(f["tenant"], f["subject"]): f["text"]
            for f in json.loads(lab.cli.run("-j", "check", *tenant, code=code).stdout)
            if f["probe"] == "doctor" and f["result"] == "failed"}


@once
def test_check_agrees_with_doctor(lab):
    """Problems of a router that no probe meets: filters, lost programs, one that is not attached."""
    equal(doctors(lab, code=0), {}, "in order")
    lab.red.run("nft", "add table ip t; add chain ip t c { type filter hook forward priority 0; policy drop; }")
    lab.apply()
    try:
        said = doctors(lab)
        equal(set(said), {("red", "shared0")}, "a filter")
        assert "no problem of `filter`" in said["red", "shared0"], said
    finally:
        lab.red.run("nft", "flush", "ruleset")
        lab.apply()
    pin = next(os.path.join(top, "link_in") for top, _, files in os.walk("/sys/fs/bpf/tenantnat/routers")
               if "link_in" in files)
    os.unlink(pin)
    assert "no problem of `programs`" in " ".join(doctors(lab).values()), "lost programs"
    lab.cli.run("restore")
    lab.cli.run("detach", "blue")
    try:
        assert "it was detached" in doctors(lab)["blue", "-"], "detached"
        assert "it was detached" in doctors(lab, "blue")["blue", "-"], "detached"
        equal(doctors(lab, "red", code=0), {}, "red's")
    finally:
        lab.apply()
    equal(doctors(lab, code=0), {}, "afterwards")


@once
def test_check_says_it(lab):
    """The table for people, nothing for nobody, and what is wrong with the request."""
    lines = lab.cli.lines("check", "red")
    equal(lines[0].split(), ["TENANT", "PROBE", "SUBJECT", "RESULT", "SEEN"], "the header")
    assert all(line.startswith("red ") for line in lines[1:-2]), lines
    equal(lines[-2].split(), ["machine", "doctor", "-", "ok", "no", "problem"], "the machine's")
    assert "tenantnat trace" in lines[-1], "what was not probed"
    with meanwhile(lab.red_lan, ["link set pred2 down"], ["link set pred2 up"]):
        done = lab.cli.run("check", "red", code=1)
    failed, = [line for line in done.stdout.splitlines() if " failed " in line]
    assert FIXED2 in failed and "; what to do: " in failed, failed
    assert "1 of 14 probes failed" in done.stderr, done.stderr
    for args in (["nobody"], ["plain"]):
        lab.cli.fails("check", *args, code=2)
    for patience in ("0", "x", "101", "-1"):
        said = lab.cli.run("check", "red", "--patience", patience, code=2).stderr
        assert f"--patience {patience}: give a number from 1 to 100" in said, said
    nothing = lab.cli.elsewhere(state=os.path.join(lab.scratch, "none"), bpffs="/sys/fs/bpf/none")
    equal(nothing.lines("check"), ["no router is attached; there is nothing to probe"], "alone")
    equal([(one["tenant"], one["result"]) for one in nothing.json("check")], [(None, "ok")],
          "alone, in JSON")
