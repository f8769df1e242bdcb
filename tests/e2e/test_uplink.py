# SPDX-License-Identifier: GPL-2.0-only
"""
Between a VM and the shared network, and nowhere else: what is translated out came in by an inside
interface and leaves by the shared one, and the other way round, whatever other interfaces, routes
and rules a router has. After each test, nothing of it was on the uplink (Lab.leaks()).

Rules of routing come last: a namespace that had one is another one for the programs.
"""
import contextlib
import itertools
import socket
import time

from scapy.all import (ARP, ICMP, IP, UDP, Ether, ICMPv6ND_NS, ICMPv6TimeExceeded, IPerror, IPv6,
                       IPv6ExtHdrFragment, Raw, UDPerror)

from case import PATIENCE, Skip, equal, eventually, hook, once, only, program
from lab import (ADDRESSES, BLUE, BLUE1, BLUE1_V6, BLUE_V6, FIXED, FIXED2, FIXED3, FIXED3_V6, FIXED_V6,
                 INSIDE, INSIDE_V6, OUTSIDE, OUTSIDE_V6, PLAIN, PLAIN_V6, RED1, RED1_V6, RED2,
                 RED2_V6, RED_V6, UNMAPPED, UNMAPPED_V6)
from media import has_netdev, has_vxlan
from net import veth
from sniffer import told
from test_forwarding import sent_by, take_xdp
from test_guard import counted
from test_icmp import UNREACHABLE, error_of
from test_six import dual_stack, tcp_v6, udp_v6
from traffic import WAIT, Watch, ping, reach, send_frames, server, tcp, udp

LATE, LATE_V6 = "192.0.2.1", "2001:db8:c::1"
RED3, RED3_V6 = "100.64.1.35", "fd64::1:35"
TABLE, PREF = 100, 100


def own(name, device, six=False):
    """The address that a namespace has there."""
    return ADDRESSES[name][device][six].split("/")[0]


def put(lab, **keys):
    """The definitions of a dual stack, with these keys in both routers."""
    both = lab.dual_definitions()
    for name in ("red", "blue"):
        both[name].router.update(keys)
    lab.apply(both)


def clean(lab, what):
    found = lab.leaks()
    assert not found, f"{what}: {told(found)}"


@once
@dual_stack
def test_uplink_is_watched(lab):
    """The watch itself: it sees an address that should not be there wherever one can be."""
    clean(lab, "before")
    up, tunnel = (Ether(src=lab.red.mac(device), dst=lab.outside.mac(other))
                  for device, other in (("up0", "eth0"), ("tun0", "tun-red")))
    quote = IPerror(src="10.0.0.7", dst=OUTSIDE) / UDPerror(sport=1, dport=2)
    v6_error = IPv6(src=OUTSIDE_V6, dst=OUTSIDE_V6) / ICMPv6TimeExceeded() \
        / IPv6(src="fd00:10::7", dst=OUTSIDE_V6) / UDP()
    probe = IPv6(src="::", dst="ff02::1:ff00:9") / ICMPv6ND_NS(tgt="fd64::9")
    send_frames(lab.red, "up0", [
        up / IP(src="10.0.0.5", dst=OUTSIDE) / UDP(), up / IP(src=OUTSIDE, dst="100.64.2.5") / UDP(),
        up / ARP(psrc="10.0.0.6", pdst=OUTSIDE), up / IPv6(src=OUTSIDE_V6, dst="fd64::1:5") / UDP(),
        up / IP(src=OUTSIDE, dst=OUTSIDE) / ICMP(type=11) / quote, up / v6_error, up / probe])
    send_frames(lab.red, "tun0", [tunnel / IP(src="10.0.0.8", dst=OUTSIDE) / UDP()])
    ping(lab.red, OUTSIDE)
    ping(lab.red, own("outside", "tun-red"))
    want = {f"{address} in {place} on an uplink" for address, place in (
        ("10.0.0.5", "an IP header"), ("100.64.2.5", "an IP header"), ("10.0.0.6", "an ARP payload"),
        ("fd64::1:5", "an IPv6 header"), ("10.0.0.7", "the quote of an ICMP error"),
        ("fd00:10::7", "the quote of an ICMPv6 error"), ("fd64::9", "neighbour discovery"),
        ("10.0.0.8", "an IP header in the tunnel"))}
    found = {}
    eventually(lambda: equal(set(found.update(lab.leaks()) or found), want, "what was seen"))


# ---------------------------------------------------------------- who is no VM

@contextlib.contextmanager
def late_interface(lab):
    """late0 of red, which came after it was joined; its other end is late1 of outside."""
    veth(lab.red, "late0", lab.outside, "late1")
    try:
        lab.red.sysctl(ipv6__conf__late0__accept_dad=0)
        lab.red.ip(f"addr add {LATE}/24 dev late0", f"addr add {LATE_V6}/64 dev late0 nodad")
        lab.outside.ip("addr add 192.0.2.2/24 dev late1")
        yield
    finally:
        lab.red.ip("link del late0")


# how outside gets to red: by its device, red's device, and red's address there
ENTRIES = [("eth0", "up0", own("red", "up0")), ("tun-red", "tun0", own("red", "tun0")),
           ("late1", "late0", LATE)]


def frames_as(ether, *sources):
    """Frames with these sources to whoever takes them by shared addresses."""
    for source, i in itertools.product(sources, range(3)):
        layer, targets = (IPv6, (BLUE1_V6, PLAIN_V6, RED2_V6)) if ":" in source else \
            (IP, (BLUE1, PLAIN, RED2))
        yield ether / layer(src=source, dst=targets[i]) / UDP(sport=9, dport=9) / b"must not"


def nobody_sends_as_a_vm(lab, entries=tuple(ENTRIES)):
    present = [entry for entry in entries if entry[1] in
               [link["ifname"] for link in lab.red.links()]]
    for source, target in ((lab.red1, BLUE1), (lab.red1, PLAIN), (lab.plain, RED2),
                           (lab.red1, BLUE1_V6), (lab.red1, PLAIN_V6), (lab.plain, RED2_V6)):
        ping(source, target)        # all are known
    for device, there, address in present:
        ether = Ether(src=lab.outside.mac(device), dst=lab.red.mac(there))
        mapped = list(frames_as(ether, FIXED, FIXED_V6))
        # nobody's, one's without a mapping, the router's, and shared ones: by whatever reason
        others = list(frames_as(ether, "10.0.0.77", FIXED3, INSIDE, RED1,
                                "fd00:10::77", FIXED3_V6, INSIDE_V6, RED1_V6))
        with Watch(lab.blue1, "eth0") as blue, Watch(lab.plain, "shared0") as plain, \
                Watch(lab.red2, "eth0") as red2:
            with counted(lab, red__wrong_ingress=len(mapped)):
                send_frames(lab.outside, device, mapped)
                ping(lab.outside, address)      # behind them
            send_frames(lab.outside, device, others)
            ping(lab.outside, address)
        equal([Ether(f).summary() for watch in (blue, plain, red2) for f in watch.frames
               if b"must not" in f], [], f"arrived by {there}")
        clean(lab, there)


@hook
@dual_stack
def test_uplink_nobody_sends_as_a_vm(lab):
    """From the uplink, a tunnel, or an interface that came later: no VM's address is believed."""
    with late_interface(lab):
        nobody_sends_as_a_vm(lab)


@once
@dual_stack
def test_uplink_of_later_interfaces(lab):
    """Where `inside` is left out, what came after the join is not inside."""
    found = lab.dual_definitions()
    del found["red"].router["inside"]
    lab.apply(found)
    try:
        with late_interface(lab):
            nobody_sends_as_a_vm(lab, ENTRIES[2:])
    finally:
        lab.apply(lab.dual_definitions())


CONNTRACK = """table inet seen {
    chain through { type filter hook forward priority 0; ct state established accept; }
}
"""


@contextlib.contextmanager
def taken_apart(lab):
    """
    What red forwards as fragments of IPv6 is put together, for conntrack, and made anew: its shared
    interface wants more room in front of a frame than these have, for a tunnel behind it.
    """
    if not has_vxlan():
        raise Skip("this kernel has no VXLAN")
    lab.red.run("nft", "-f", lab.put("seen.nft", CONNTRACK))
    try:
        lab.shared.ip("link add wide0 type vxlan id 77 local 127.0.0.1 dstport 4790",
                      "link set wide0 master br0")
        lab.apply(lab.dual_definitions())
        yield
    finally:
        lab.shared.ip("link del wide0")
        lab.red.run("nft", "delete", "table", "inet", "seen")
        lab.apply(lab.dual_definitions())


def pieces_as(source, number):
    """A datagram in two frames, from outside."""
    data = bytes(UDP(sport=9, dport=9, len=1608)) + b"must not" * 200
    for at, more in ((0, data[:1200]), (1200, data[1200:])):
        yield IPv6(src=source, dst=PLAIN_V6) / IPv6ExtHdrFragment(
            id=number, nh=17, offset=at // 8, m=int(at == 0)) / Raw(more)


@hook
@dual_stack
def test_uplink_fragments_that_are_taken_apart(lab):
    """The kernel forgets where they came in; those of VMs and the router itself go on, and no others."""
    ether = Ether(src=lab.outside.mac("eth0"), dst=lab.red.mac("up0"))
    with taken_apart(lab):
        udp_v6(lab.red1, lab.plain, PLAIN_V6, RED1_V6, 3000)
        said = lab.red.run("ping", "-nqc1", "-W30", "-s", "3000", PLAIN_V6, check=False).stdout
        assert "1 received" in said, "no answer to a large ping of the router's"
        before = lab.cli.drops().get(("red", "wrong-ingress"), 0)     # behind the first the kernel gives up
        with Watch(lab.plain, "shared0") as there:
            send_frames(lab.outside, "eth0", [
                ether / piece for number, source in enumerate((FIXED_V6, RED_V6), 7000)
                for piece in pieces_as(source, number)])
            ping(lab.red1, PLAIN_V6)
        equal([f for f in there.frames if b"must not" in f], [], "arrived")
        after = lab.cli.drops().get(("red", "wrong-ingress"), 0)
        assert after - before >= 2, f"{after - before} pieces were dropped"


# ---------------------------------------------------------------- no way to a VM

@contextlib.contextmanager
def upset(lab, name, lines, back):
    """ip(8) does these lines in a router meanwhile; what is lost comes again."""
    ns = lab.ns[name]
    for line in lines:
        ns.run("ip", *line.split())
    time.sleep(0.2)     # what programs know of the kernel's routes holds for a tenth of a second
    try:
        yield
    finally:
        for line in back:
            ns.run("ip", *line.split())
        lab.mend(name)
        lab.cli.run("restore")


def unreachable(lab, source, address, what, wait=WAIT):
    """Whoever sends there is told so, and nothing of it is on the uplink."""
    try:
        kind, _ = error_of(source, address, wait=wait)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}; uplink: {told(lab.leaks())}") from error
    equal(kind, UNREACHABLE[":" in address], f"{what}: the type of the error about {address}")
    clean(lab, f"{what}, {address}")


BY_UPLINK = [f"route add default via {OUTSIDE} table {TABLE}",
             f"-6 route add default via {OUTSIDE_V6} dev up0 table {TABLE}"]
NOT_BY_UPLINK = [f"route flush table {TABLE}", f"-6 route flush table {TABLE}"]
# what becomes of the way to a VM: (what, lines that do it, lines that take it back)
LOST_INSIDE = [
    ("lan0 is down", ["link set lan0 down"], []),
    ("lan0 is gone", ["link del lan0"], []),
    ("the VM's route leads out", [f"route add {FIXED}/32 via {OUTSIDE}",
                                  f"route add {FIXED_V6}/128 via {OUTSIDE_V6} dev up0"],
     [f"route del {FIXED}/32", f"route del {FIXED_V6}/128"]),
]
RULED_INSIDE = [
    ("a rule leads out", BY_UPLINK + [f"{six}rule add iif shared0 lookup {TABLE} pref {PREF}"
                                      for six in ("", "-6 ")],
     [f"{six}rule del pref {PREF}" for six in ("", "-6 ")] + NOT_BY_UPLINK),
]


def no_way_to_a_vm(lab, ways):
    for what, lines, back in ways:
        for address in (BLUE1, BLUE1_V6):
            reach(lab.plain, address, count=1)
        with upset(lab, "blue", lines, back):
            with counted(lab, blue__wrong_egress=2):
                for address in (BLUE1, BLUE1_V6):
                    unreachable(lab, lab.plain, address, what)


@hook
@dual_stack
def test_uplink_without_a_way_to_a_vm(lab):
    """Down, deleted, or with a route elsewhere: what is for a VM does not leave by the default."""
    no_way_to_a_vm(lab, LOST_INSIDE)


@contextlib.contextmanager
def impatient(ns, device):
    """The kernel gives up sooner on neighbours there that do not answer."""
    usual = {"retrans_time_ms": 1000, "base_reachable_time_ms": 30000, "delay_first_probe_time": 5}
    soon = {"retrans_time_ms": 100, "base_reachable_time_ms": 400, "delay_first_probe_time": 1}
    for values in (soon, usual):
        ns.sysctl(**{f"{family}__neigh__{device}__{key}": value for key, value in values.items()
                     for family in ("ipv4", "ipv6")})
        ns.ip(f"neigh flush dev {device}")      # those that are known have their timers
        if values is soon:
            yield


@hook
@dual_stack
def test_uplink_and_a_vm_that_is_off(lab):
    """The sender is told that nobody is there, also when it was there a moment ago."""
    with impatient(lab.red, "lan0"):
        for address in (RED2, RED2_V6):
            ping(lab.plain, address)
        lab.red_lan.ip("link set pred2 down")
        try:
            for address in (RED2, RED2_V6):
                # what it knows of the VM holds for a while
                eventually(lambda to=address: unreachable(lab, lab.plain, to, "off", 3 * PATIENCE))
            lab.red.ip("neigh flush dev lan0")
            for address in (RED2, RED2_V6):
                unreachable(lab, lab.plain, address, "unknown")
        finally:
            lab.red_lan.ip("link set pred2 up")
    for address in (RED2, RED2_V6):
        reach(lab.plain, address)


# ---------------------------------------------------------------- what the router says itself

PEER_BY_UPLINK = [f"route add {PLAIN}/32 via {OUTSIDE}",
                  f"-6 route add {PLAIN_V6}/128 via {OUTSIDE_V6} dev up0"]
PEER_AS_EVER = [f"route del {PLAIN}/32", f"-6 route del {PLAIN_V6}/128"]


def is_unreachable_v4(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == UNREACHABLE[False]


def is_unreachable_v6(frame):
    return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == UNREACHABLE[True]


def to_mapped(lab, vm, *sizes, ttl=64):
    """Datagrams of the plain host to a VM of red's, by both families."""
    pairs = {FIXED: (RED1, RED1_V6), FIXED2: (RED2, RED2_V6)}[vm]
    ether = Ether(src=lab.macs["plain"], dst=lab.macs["red"])
    for size, address in itertools.product(sizes, pairs):
        head = IPv6(src=PLAIN_V6, dst=address, hlim=ttl) if ":" in address else \
            IP(src=PLAIN, dst=address, ttl=ttl, flags="DF")
        yield ether / head / UDP(sport=9, dport=9) / (size * b"x")


@hook
@dual_stack
def test_uplink_and_what_the_router_says(lab):
    """
    A peer's own route leads to the uplink. What the router's kernel would say to him about a packet
    for a VM, by that route and with the VM's address, it does not come to say: the last hop, too
    large, nobody there, now or any more.
    """
    for address in (RED1, RED1_V6, RED2, RED2_V6):
        ping(lab.plain, address)
    small = ["link set lan0 mtu 1280", "link set lan1 mtu 1280"]
    usual = ["link set lan0 mtu 1500", "link set lan1 mtu 1500"]
    lab.red_lan.ip("link set pred2 down")
    try:
        with impatient(lab.red, "lan0"), upset(lab, "red", PEER_BY_UPLINK + small, PEER_AS_EVER + usual):
            for what, frames in (("the last hop", list(to_mapped(lab, FIXED, 8, ttl=1))),
                                 ("too large", list(to_mapped(lab, FIXED, 1300))),
                                 ("nobody there", list(to_mapped(lab, FIXED2, 8)))):
                with counted(lab, red__wrong_egress=len(frames)), \
                        Watch(lab.plain, "shared0") as watch:
                    send_frames(lab.plain, "shared0", frames)
                    watch.until(is_unreachable_v6)      # it was sent last
                told_so = [any(map(is_unreachable, watch.frames)) for is_unreachable in
                           (is_unreachable_v4, is_unreachable_v6)]
                equal(told_so, [True, True], f"{what}: told by IPv4, and by IPv6")
                clean(lab, what)
    finally:
        lab.red_lan.ip("link set pred2 up")
    for address in (RED2, RED2_V6):
        reach(lab.plain, address)


# ---------------------------------------------------------------- no way to the shared network

LOST_SHARED = [
    ("shared0 is down", ["link set shared0 down"], []),
    ("shared0 is gone", ["link del shared0"], []),
    ("its routes are gone", ["route del 100.64.0.0/16 dev shared0",
                             "-6 route del fd64::/64 dev shared0"],
     ["route add 100.64.0.0/16 dev shared0 proto kernel scope link src 100.64.0.2",
      "-6 route add fd64::/64 dev shared0 proto kernel metric 256"]),
]
RULED_SHARED = [
    ("a rule leads out", BY_UPLINK + [f"rule add from 10.0.0.0/8 lookup {TABLE} pref {PREF}",
                                      f"-6 rule add from fd00::/16 lookup {TABLE} pref {PREF}"],
     [f"{six}rule del pref {PREF}" for six in ("", "-6 ")] + NOT_BY_UPLINK),
]


def no_way_to_the_shared_network(lab, ways):
    """
    With each way, a VM is told about one address in each family: of errors about routes the kernel
    sends a host five, and then one a second (net.ipv4.route.error_burst).
    """
    addresses = ((BLUE1, BLUE1_V6), (PLAIN, PLAIN_V6), (UNMAPPED, UNMAPPED_V6))
    for (what, lines, back), targets in zip(ways, addresses):
        with upset(lab, "red", lines, back):
            for vm, address in itertools.product((lab.red1, lab.red3), targets):
                unreachable(lab, vm, address, f"{what}, from {vm.name[-4:]}")   # red3 is not mapped
        for address in (BLUE1, BLUE1_V6):
            reach(lab.red1, address, count=1)


@hook
@dual_stack
def test_uplink_without_a_way_to_the_shared_network(lab):
    """Down, deleted, or without its routes: what VMs send there does not leave by the default."""
    no_way_to_the_shared_network(lab, LOST_SHARED)


@hook
@dual_stack
def test_uplink_and_the_router_itself(lab):
    """Nor does what it sends to the shared network itself."""
    for what, lines, back in LOST_SHARED:
        with upset(lab, "red", lines, back):
            for address in (BLUE, BLUE1, BLUE_V6, BLUE1_V6):
                said = lab.red.run("ping", "-nqc1", "-W1", address, check=False)
                assert said.returncode, f"{what}: {address} answers"
                clean(lab, f"{what}, {address}")


# ---------------------------------------------------------------- what goes on

@contextlib.contextmanager
def red3_mapped(lab):
    both = lab.dual_definitions().mapping("red", FIXED3, RED3).mapping("red", FIXED3_V6, RED3_V6)
    lab.apply(both)
    try:
        yield
    finally:
        lab.apply(lab.dual_definitions())


@hook
@dual_stack
def test_uplink_two_lans(lab):
    """VMs behind either inside interface reach each other by shared addresses, and are reached."""
    with red3_mapped(lab), counted(lab):
        for source, target, address, seen in (
                (lab.red1, lab.red3, (RED3, RED3_V6), (RED1, RED1_V6)),
                (lab.red3, lab.red1, (RED1, RED1_V6), (RED3, RED3_V6)),
                (lab.red3, lab.red3, (RED3, RED3_V6), (RED3, RED3_V6)),
                (lab.red1, lab.red2, (RED2, RED2_V6), (RED1, RED1_V6)),
                (lab.red3, lab.blue1, (BLUE1, BLUE1_V6), (RED3, RED3_V6)),
                (lab.blue1, lab.red3, (RED3, RED3_V6), (BLUE1, BLUE1_V6)),
                (lab.plain, lab.red3, (RED3, RED3_V6), (PLAIN, PLAIN_V6))):
            for each in address:
                ping(source, each)
            for size in (0, 1473, 4000):
                udp(source, target, address[0], seen[0], size)
                udp_v6(source, target, address[1], seen[1], size)
            tcp(source, target, address[0], seen[0])
            tcp_v6(source, target, address[1], seen[1])


@hook
@dual_stack
def test_uplink_between_lans(lab):
    """A VM does not send as one behind the other inside interface."""
    with red3_mapped(lab):
        for target in (PLAIN, PLAIN_V6):
            ping(lab.red3, target)
        ether = Ether(src=lab.red1.mac("eth0"), dst=lab.red.mac("lan0"))
        frames = [ether / layer(src=source, dst=target) / UDP(sport=9, dport=9) / b"must not"
                  for layer, source, target in ((IP, FIXED3, PLAIN), (IPv6, FIXED3_V6, PLAIN_V6))]
        with counted(lab, red__spoofed_source=2), Watch(lab.plain, "shared0") as plain:
            send_frames(lab.red1, "eth0", frames)
            udp(lab.red1, lab.plain, PLAIN, RED1)
        equal([f for f in plain.frames if b"must not" in f], [], "arrived")


# ---------------------------------------------------------------- in other modes, and by rules

# a rule that asks for more than addresses, and what it asks for in a datagram
APART = [("ipproto udp dport 443", {"dport": 443}), ("ipproto udp sport 5000", {"sport": 5000}),
         ("ipproto udp", {}), ("tos 0x08", {"tos": 8})]


def datagram(ether, source, target, what, tos=0, sport=9, dport=9):
    ip = IPv6(src=source, dst=target, tc=tos) if ":" in source else \
        IP(src=source, dst=target, tos=tos)
    return ether / ip / UDP(sport=sport, dport=dport) / what


@contextlib.contextmanager
def led_by_uplink(lab, name, rule):
    """What the rule is about, in both families."""
    lines = BY_UPLINK + [f"{six}rule add {rule} lookup {TABLE} pref {PREF}" for six in ("", "-6 ")]
    back = [f"{six}rule del pref {PREF}" for six in ("", "-6 ")] + NOT_BY_UPLINK
    with upset(lab, name, lines, back):
        yield


def goes_past_the_stack(lab):
    return lab.cli.json("show")["tenants"][0]["router"]["forwarding"] == "fast"


def rules_by_more_than_addresses(lab):
    """
    What they lead to the uplink does not go into the stack. Past it, routes are asked for by
    addresses alone: there it goes the right way.
    """
    fast = goes_past_the_stack(lab)
    into = (lab.blue, lab.plain, "shared0", lab.macs["blue"], (PLAIN, BLUE1), (PLAIN_V6, BLUE1_V6))
    out = (lab.red, lab.red1, "eth0", lab.red.mac("lan0"), (FIXED, PLAIN), (FIXED_V6, PLAIN_V6))
    unmapped = (lab.red, lab.red3, "eth0", lab.red.mac("lan1"), (FIXED3, PLAIN),
                (FIXED3_V6, PLAIN_V6))
    for way, (rule, keys) in itertools.product((into, out, unmapped), APART):
        router, source, device, mac, *ends = way
        target, port = (lab.blue1, "eth0") if way is into else (lab.plain, "shared0")
        for each in (BLUE1, BLUE1_V6, RED1, RED1_V6):
            ping(lab.plain, each)       # all are known
        name = "blue" if router is lab.blue else "red"
        ether = Ether(src=source.mac(device), dst=mac)
        frames = 3 * [datagram(ether, *pair, b"led by a rule", **keys) for pair in ends]
        past = fast and way is not unmapped
        # whom nobody answers with errors, which a rule may be about as well
        with server(target, socket.SOCK_DGRAM, "::", keys.get("dport", 9))[0], \
                led_by_uplink(lab, name, rule), Watch(target, port) as watch, \
                counted(lab, **{} if past else {f"{name}__wrong_egress": len(frames)}):
            send_frames(source, device, frames)
            ping(lab.plain, BLUE1)      # behind them
        arrived = sum(b"led by a rule" in frame[42:] for frame in watch.frames
                      if frame[12:14] in (b"\x08\x00", b"\x86\xdd") and frame[23] != 1)
        equal(arrived, len(frames) if past else 0, f"{name}, {rule}: what has arrived")
        clean(lab, f"{name}, {rule}")


def rules(lab):
    rules_by_more_than_addresses(lab)
    no_way_to_a_vm(lab, RULED_INSIDE)
    no_way_to_the_shared_network(lab, RULED_SHARED)


def everything(lab):
    with late_interface(lab):
        nobody_sends_as_a_vm(lab)
    no_way_to_a_vm(lab, LOST_INSIDE)
    no_way_to_the_shared_network(lab, LOST_SHARED)
    rules(lab)


@hook
@dual_stack
def test_uplink_by_rules(lab):
    """A rule by interface, or by source, does not lead past it either (as DVR has them)."""
    rules(lab)


@only(hooks=["tc"])
@hook
@dual_stack
def test_uplink_with_loose_sources(lab):
    """The same where nobody asks by which MAC address a VM sends."""
    put(lab, sources="loose")
    try:
        everything(lab)
    finally:
        put(lab)


@program
@dual_stack
def test_uplink_by_xdp(lab):
    """The same where XDP sends to VMs itself, by strict sources and by loose ones."""
    if lab.variant != "xdp" or lab.forwarding == "stack":
        return
    try:
        take_xdp(lab, True)
        for sources in ("strict", "loose"):
            put(lab, forwarding="fast", sources=sources)
            equal(sent_by(lab), "xdp" if has_netdev() else "tc", "packets go on by")
            no_way_to_a_vm(lab, LOST_INSIDE[::2] + RULED_INSIDE)
    finally:
        take_xdp(lab, False)
        put(lab)
