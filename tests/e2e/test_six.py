# SPDX-License-Identifier: GPL-2.0-only
"""IPv6: the same 1:1 translation, neighbour discovery for mapped addresses, the same guard."""
import contextlib
import functools
import hashlib
import os
import socket

from scapy.all import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
                       ICMPv6NDOptSrcLLAddr, UDP, Ether, IPv6, IPv6ExtHdrDestOpt,
                       in6_chksum)

from case import datapath, equal, hook
from lab import (BLUE1, BLUE1_V6, BLUE_V6, FIXED2_V6, FIXED_V6, GREEN_V6, INSIDE_V6, PLAIN_V6,
                 RED1, RED1_V6, RED2_V6, RED_V6, UNMAPPED_V6)
from net import Child
from test_guard import counted
from traffic import WAIT, Watch, complaint, new_port, ping, send_frames, udp

ALL_NODES, PROBE = "ff02::1", "::"


def dual_stack(test):
    """The test finds IPv6 everywhere, and Lab.dual_definitions() in force."""
    @functools.wraps(test)
    def within(lab):
        lab.enter_dual_stack()
        test(lab)
    within.dual = True
    return within


def server_v6(ns, kind):
    sock = ns.socket(socket.AF_INET6, kind)
    room = 1 << (21 if kind == socket.SOCK_DGRAM else 18)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    sock.bind(("::", new_port()))
    sock.settimeout(WAIT)
    if kind == socket.SOCK_STREAM:
        sock.listen(8)
    return sock, sock.getsockname()[1]


def client_v6(ns, kind, address, port):
    sock = ns.socket(socket.AF_INET6, kind)
    sock.settimeout(WAIT)
    try:
        sock.connect((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def udp_v6(source, target, address, seen, size=100):
    """A datagram there and back; the server has to see the client as `seen`."""
    there, port = server_v6(target, socket.SOCK_DGRAM)
    what = f"UDP with {size} bytes to {address}"
    with there, client_v6(source, socket.SOCK_DGRAM, address, port) as here, complaint(what):
        data = os.urandom(size)
        here.send(data)
        got, peer = there.recvfrom(1 << 16)
        assert got == data, what + ": arrived changed"
        equal(peer[0], seen, what + ": the sender")
        there.sendto(data[::-1], peer)
        assert here.recv(1 << 16) == data[::-1], what + ": the answer arrived changed"


def _sink(listener):
    conn, peer = listener.accept()
    conn.settimeout(WAIT * 7)
    digest = hashlib.sha256()
    while data := conn.recv(1 << 20):
        digest.update(data)
    conn.sendall(digest.digest())
    return peer[0], conn.getsockname()[0]


def tcp_v6(source, target, address, seen, size=1000):
    """So many bytes over TCP, and their digest back; the server's address as it sees it itself."""
    there, port = server_v6(target, socket.SOCK_STREAM)
    sink = Child(_sink, there)
    with there, complaint(f"TCP with {size} bytes to {address}"), \
            client_v6(source, socket.SOCK_STREAM, address, port) as here:
        here.settimeout(WAIT * 7)
        data = os.urandom(size)
        here.sendall(data)
        here.shutdown(socket.SHUT_WR)
        assert here.recv(64) == hashlib.sha256(data).digest(), f"TCP to {address}: changed"
    peer, own = sink.result(30)
    equal(peer, seen, f"TCP to {address}: the client")
    return own


@datapath
@dual_stack
def test_six_ping(lab):
    for source, address in ((lab.red1, BLUE1_V6), (lab.blue1, RED1_V6), (lab.red2, BLUE1_V6),
                            (lab.plain, RED1_V6), (lab.red1, PLAIN_V6)):
        ping(source, address)
    for size in ("0", "1", "1452", "6000"):
        said = lab.red1.run("ping", "-nqc1", "-W30", "-s", size, BLUE1_V6, check=False).stdout
        assert "1 received" in said, f"no answer to a ping of {size} bytes"


@datapath
@dual_stack
def test_six_tcp(lab):
    """Both ends have the same private address, and see shared ones."""
    equal(tcp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6), FIXED_V6, "the server's own address")
    equal(tcp_v6(lab.blue1, lab.red1, RED1_V6, BLUE1_V6), FIXED_V6, "the server's own address")
    tcp_v6(lab.blue1, lab.red2, RED2_V6, BLUE1_V6)
    tcp_v6(lab.plain, lab.blue1, BLUE1_V6, PLAIN_V6)
    tcp_v6(lab.red1, lab.plain, PLAIN_V6, RED1_V6)


@datapath
@dual_stack
def test_six_udp_sizes(lab):
    """From empty to fragmented."""
    for size in (0, 1, 2, 7, 8, 511, 1451, 1452, 1453, 3000, 8000, 60000):
        udp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6, size)
        udp_v6(lab.blue1, lab.red1, RED1_V6, BLUE1_V6, size)
    udp_v6(lab.plain, lab.blue1, BLUE1_V6, PLAIN_V6)
    udp_v6(lab.red2, lab.plain, PLAIN_V6, RED2_V6, 3000)


@datapath
@dual_stack
def test_six_bulk(lab):
    """No checksum error anywhere, also where only one side leaves checksums to its device."""
    size = 16_000_000 if lab.offload == "on" else 4_000_000
    tcp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6, size)
    tcp_v6(lab.blue1, lab.red1, RED1_V6, BLUE1_V6, size)
    for router in ("red", "blue"):
        lab.checksums(router, "lan0", False)
    try:
        for length in (0, 1, 1452):
            udp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6, length)
        tcp_v6(lab.blue1, lab.red1, RED1_V6, BLUE1_V6, 500_000)
    finally:
        for router in ("red", "blue"):
            lab.checksums(router, "lan0", lab.offload == "on")
    equal(lab.checksum_errors(), {}, "checksum errors")
    with lab.blue1.entered(), open("/proc/self/net/snmp6", encoding="ascii") as f:
        bad = [line.split() for line in f if "InCsumErrors" in line]
    equal([b for b in bad if b[1] != "0"], [], "IPv6 checksum errors")


@hook
@dual_stack
def test_six_both_families(lab):
    """IPv4 goes on beside it, and each mapping counts its own."""
    before = lab.cli.counters()
    udp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6, 100)
    after = lab.cli.counters()
    key, other = ("blue", FIXED_V6), ("blue", "10.0.0.5")
    grown = tuple(after[key][way][unit] - before[key][way][unit]
                  for way in ("in", "out") for unit in ("packets", "bytes"))
    equal(grown, (1, 148, 1, 148), "counted for IPv6")
    equal(after[other], before[other], "counted for IPv4")
    udp(lab.red1, lab.blue1, BLUE1, RED1)


@hook
@dual_stack
def test_six_extension_headers(lab):
    there, port = server_v6(lab.blue1, socket.SOCK_DGRAM)
    with there, complaint("destination options"):
        send_frames(lab.plain, "shared0", [to_blue(lab, dst=BLUE1_V6) / IPv6ExtHdrDestOpt()
                                           / UDP(sport=9, dport=port) / b"options"])
        equal(there.recvfrom(100)[0], b"options", "the content")


# neighbour discovery

def group_of(address):
    """The solicited-node group of an address, and its MAC address."""
    low = socket.inet_pton(socket.AF_INET6, address)[13:]
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + low
    return socket.inet_ntop(socket.AF_INET6, group), "33:33:ff:" + low.hex(":")


def asks(lab, target, source=PLAIN_V6, router=None, hops=255):
    """A solicitation: to the group of the target, or with `router` to the target at that MAC."""
    ip, mac = (target, lab.macs[router]) if router else group_of(target)
    packet = (Ether(src=lab.macs["plain"], dst=mac) / IPv6(src=source, dst=ip, hlim=hops)
              / ICMPv6ND_NS(tgt=target))
    return packet if source == PROBE else packet / ICMPv6NDOptSrcLLAddr(lladdr=lab.macs["plain"])


def answers(lab, *questions):
    """The advertisements that came to these, up to that of the last, a question to green."""
    with Watch(lab.plain, "shared0") as watch:
        send_frames(lab.plain, "shared0", [*questions, asks(lab, GREEN_V6)])
        found = watch.until(lambda f: ICMPv6ND_NA in Ether(f)
                            and Ether(f)[ICMPv6ND_NA].tgt == GREEN_V6)
        assert found, "not even green answered"
    all_of_them = [Ether(f) for f in watch.frames]
    return [p for p in all_of_them if ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt != GREEN_V6]


def checked(packet):
    """(target, link-layer address) of a well-formed advertisement."""
    advert = packet[ICMPv6ND_NA]
    equal(packet[IPv6].hlim, 255, "the hop limit")
    equal(in6_chksum(58, packet[IPv6], bytes(packet[IPv6].payload)), 0, "the checksum's rest")
    equal(packet.src, packet[ICMPv6NDOptDstLLAddr].lladdr, "who sends it")
    return advert.tgt, packet[ICMPv6NDOptDstLLAddr].lladdr


@hook
@dual_stack
def test_six_nd_for_mapped_only(lab):
    mine = (BLUE1_V6, RED1_V6, RED2_V6)
    others = (UNMAPPED_V6, FIXED_V6, FIXED2_V6, INSIDE_V6, "fd64::9")
    got = answers(lab, *[asks(lab, a) for a in (*mine, *others)])
    equal(sorted(checked(p) for p in got),
          sorted([(BLUE1_V6, lab.macs["blue"]), (RED1_V6, lab.macs["red"]),
                  (RED2_V6, lab.macs["red"])]), "answers to groups")
    for packet in got:
        advert = packet[ICMPv6ND_NA]
        equal((packet.dst, packet[IPv6].dst, packet[IPv6].src), (lab.macs["plain"], PLAIN_V6,
                                                                 advert.tgt), "an answer")
        equal((advert.S, advert.R), (1, 0), "solicited, router")


@hook
@dual_stack
def test_six_nd_unicast(lab):
    """As neighbours ask again whether it is still there; not the router that has it not."""
    got = answers(lab, asks(lab, BLUE1_V6, router="blue"), asks(lab, RED1_V6, router="blue"),
                  asks(lab, UNMAPPED_V6, router="blue"), asks(lab, FIXED_V6, router="blue"))
    equal([checked(p) for p in got], [(BLUE1_V6, lab.macs["blue"])], "answers")


@hook
@dual_stack
def test_six_nd_probe(lab):
    """Somebody about to take a mapped address learns that it is in use, and so does everybody."""
    got = answers(lab, asks(lab, BLUE1_V6, PROBE), asks(lab, UNMAPPED_V6, PROBE),
                  asks(lab, FIXED_V6, PROBE))
    equal([checked(p) for p in got], [(BLUE1_V6, lab.macs["blue"])], "answers")
    equal((got[0].dst, got[0][IPv6].dst, got[0][ICMPv6ND_NA].S),
          ("33:33:00:00:00:01", ALL_NODES, 0), "to everybody, not solicited")


@hook
@dual_stack
def test_six_nd_refused(lab):
    """Solicitations from elsewhere, from ourselves, or that a router has forwarded."""
    refused = {f"{router}__{reason}": 1 for router in ("red", "blue")
               for reason in ("foreign_source", "spoofed_source", "malformed")}
    with counted(lab, **refused):   # they go to a group, so that red hears them, too
        got = answers(lab, asks(lab, BLUE1_V6, FIXED_V6), asks(lab, BLUE1_V6, BLUE1_V6),
                      asks(lab, BLUE1_V6, hops=254))
    equal([p.summary() for p in got], [], "answers")


@hook
@dual_stack
def test_six_nd_by_the_kernel(lab):
    """Neighbours forgotten everywhere on the shared network are found again."""
    for name in ("red", "blue", "plain"):
        lab.ns[name].ip("neigh flush dev shared0")
    ping(lab.plain, BLUE1_V6)
    ping(lab.red1, BLUE1_V6)
    ping(lab.plain, BLUE_V6)
    ping(lab.blue, PLAIN_V6)
    ping(lab.blue, FIXED_V6)


# the guard

def to_blue(lab, **ip):
    return Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / IPv6(**{"src": PLAIN_V6, **ip})


def must_not():
    return UDP(sport=9, dport=9) / b"must not"


def arrivals(lab, frames):
    """What reached blue1 of these frames, before one that may pass."""
    there, port = server_v6(lab.blue1, socket.SOCK_DGRAM)
    with there, Watch(lab.blue1, "eth0") as watch, Watch(lab.blue, "lan0") as inside:
        good = to_blue(lab, dst=BLUE1_V6) / UDP(sport=9, dport=port) / b"may pass"
        send_frames(lab.plain, "shared0", [*frames, good])
        assert watch.until(lambda f: b"may pass" in f), "what may pass did not arrive either"
    return [Ether(f).summary() for f in watch.frames + inside.frames if b"must not" in f]


@hook
@dual_stack
def test_six_direct_to_private(lab):
    targets = (FIXED_V6, FIXED2_V6, INSIDE_V6, "2001:db8::1")
    with counted(lab, blue__direct_to_private=len(targets) + 1):
        equal(arrivals(lab, [to_blue(lab, dst=a) / must_not() for a in targets]
                       + [to_blue(lab, dst=FIXED_V6) / ICMPv6EchoRequest(data=b"must not")]), [],
              "arrived")


@hook
@dual_stack
def test_six_spoofed_source(lab):
    with counted(lab, blue__spoofed_source=2):
        equal(arrivals(lab, [to_blue(lab, src=a, dst=BLUE1_V6) / must_not()
                             for a in (BLUE1_V6, BLUE_V6)]), [], "arrived")


@hook
@dual_stack
def test_six_foreign_source(lab):
    sources = (FIXED_V6, FIXED2_V6, "fd00:99::9", "2001:db8::1", "fd64:0:0:1::1", "::1", "::",
               "fe80::1", "ff02::1")
    with counted(lab, blue__foreign_source=len(sources)):
        equal(arrivals(lab, [to_blue(lab, src=a, dst=BLUE1_V6) / must_not() for a in sources]),
              [], "arrived")


@hook
@dual_stack
def test_six_unmapped_destination(lab):
    """Nobody's address, and those of another router, sent to this router."""
    targets = (UNMAPPED_V6, RED1_V6, RED_V6, GREEN_V6)
    with counted(lab, blue__unmapped=len(targets)), Watch(lab.red1, "eth0") as red:
        equal(arrivals(lab, [to_blue(lab, dst=a) / must_not() for a in targets]), [], "arrived")
    equal([f for f in red.frames if b"must not" in f], [], "bounced to red")


@hook
@dual_stack
def test_six_unmapped_vm_does_not_leak(lab):
    with counted(lab, blue__untranslated=3), Watch(lab.plain, "shared0") as outside:
        with lab.blue2.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            for _ in range(3):
                sock.sendto(b"must not", (PLAIN_V6, 9))
        udp_v6(lab.blue1, lab.plain, PLAIN_V6, BLUE1_V6)
    equal([Ether(f).summary() for f in outside.frames if b"must not" in f], [], "leaked")


@hook
@dual_stack
def test_six_router_inside_address_does_not_leak(lab):
    """The sniffer judges the rest: also what the router asks its neighbours is not private."""
    lab.blue.ip("neigh flush dev shared0")
    with Watch(lab.plain, "shared0") as outside, contextlib.suppress(RuntimeError):
        lab.blue.run("ping", "-nqc2", "-i0.05", "-W0.2", "-I", INSIDE_V6, PLAIN_V6)
    private = socket.inet_pton(socket.AF_INET6, INSIDE_V6)
    equal([Ether(f).summary() for f in outside.frames if private in f], [], "leaked")
