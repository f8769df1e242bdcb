# SPDX-License-Identifier: GPL-2.0-only
"""VMs of one router that talk by shared addresses, and what they must not send."""
import socket

from scapy.all import IP, UDP, Ether, IPv6

from case import datapath, equal, hook
from lab import (BLUE1, FIXED, FIXED2, FIXED2_V6, FIXED_V6, INSIDE, INSIDE_V6, PLAIN, PLAIN_V6, RED,
                 RED1, RED1_V6, RED2, RED2_V6, RED_V6)
from test_guard import counted
from test_icmp import refused
from test_six import dual_stack, tcp_v6, udp_v6
from traffic import Watch, bulk, ping, send_frames, tcp, udp


@datapath
def test_hairpin_v4(lab):
    """Each sees the other, and itself, by the shared address."""
    for source, target, address, seen in ((lab.red1, lab.red2, RED2, RED1),
                                          (lab.red2, lab.red1, RED1, RED2),
                                          (lab.red1, lab.red1, RED1, RED1)):
        ping(source, address)
        tcp(source, target, address, seen)
        for size in (0, 1, 1472, 1473, 8000):
            udp(source, target, address, seen, size)
    udp(lab.red1, lab.red2, RED2, RED1, checksum=False)


@datapath
@dual_stack
def test_hairpin_v6(lab):
    for source, target, address, seen in ((lab.red1, lab.red2, RED2_V6, RED1_V6),
                                          (lab.red2, lab.red1, RED1_V6, RED2_V6),
                                          (lab.red1, lab.red1, RED1_V6, RED1_V6)):
        ping(source, address)
        tcp_v6(source, target, address, seen)
        for size in (0, 1, 1452, 1453, 8000):
            udp_v6(source, target, address, seen, size)


@datapath
@dual_stack
def test_hairpin_bulk(lab):
    bulk(lab.red1, lab.red2, RED2, 4_000_000)
    tcp_v6(lab.red2, lab.red1, RED1_V6, RED2_V6, 4_000_000)
    equal(lab.checksum_errors(), {}, "checksum errors")


@hook
def test_hairpin_stays_inside(lab):
    """Nothing of it is on the shared network, and nothing shows a private address to the other."""
    with Watch(lab.plain, "shared0") as outside, Watch(lab.shared, "pred") as port, \
            Watch(lab.red2, "eth0") as there:
        udp(lab.red1, lab.red2, RED2, RED1, 33)
    equal([f for f in outside.frames + port.frames if f[12:14] == b"\x08\x00"
           and len(f) == 14 + 28 + 33], [], "on the shared network")
    got = [Ether(f) for f in there.frames if f[12:14] == b"\x08\x00"]
    equal({(p[IP].src, p[IP].dst) for p in got}, {(RED1, FIXED2)}, "what red2 got")


@hook
def test_hairpin_counts_both(lab):
    before = lab.cli.counters()
    udp(lab.red1, lab.red2, RED2, RED1, 100)
    after = lab.cli.counters()
    for fixed in (FIXED, FIXED2):
        key = ("red", fixed)
        equal([after[key][way]["bytes"] - before[key][way]["bytes"] for way in ("in", "out")],
              [128, 128], f"bytes of {fixed}")


@datapath
@dual_stack
def test_hairpin_refused(lab):
    """The error comes back, from the shared address that was asked."""
    for source, address in ((lab.red1, RED2), (lab.red2, RED1), (lab.red1, RED2_V6),
                            (lab.red2, RED1_V6)):
        equal(refused(source, address), address, "who refused")


@hook
@dual_stack
def test_hairpin_of_unmapped_vm(lab):
    """One without a shared address does not reach its neighbour by the neighbour's."""
    with counted(lab, blue__untranslated=2), Watch(lab.blue1, "eth0") as there:
        for family, address in ((socket.AF_INET, BLUE1), (socket.AF_INET6, "fd64::2:5")):
            with lab.blue2.socket(family, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"must not", (address, 9))
        ping(lab.plain, BLUE1)
    equal([f for f in there.frames if b"must not" in f], [], "arrived")


@hook
@dual_stack
def test_vm_with_shared_source(lab):
    """A VM that sends as a shared address of its router: its own, its neighbour's, the router's."""
    gate = lab.red.mac("lan0")
    frames = [Ether(src=lab.red1.mac("eth0"), dst=gate) / layer(src=source, dst=target)
              / UDP(sport=9, dport=9) / b"must not"
              for layer, sources, targets in
              ((IP, (RED1, RED2, RED), (PLAIN, RED2, FIXED2)),
               (IPv6, (RED1_V6, RED2_V6, RED_V6), (PLAIN_V6, RED2_V6, FIXED2_V6)))
              for source in sources for target in targets]
    with counted(lab, red__spoofed_source=len(frames)), Watch(lab.red2, "eth0") as neighbour, \
            Watch(lab.plain, "shared0") as outside:
        send_frames(lab.red1, "eth0", frames)
        udp(lab.red1, lab.plain, PLAIN, RED1)
        udp_v6(lab.red1, lab.red2, FIXED2_V6, FIXED_V6)
    equal([Ether(f).summary() for f in neighbour.frames + outside.frames if b"must not" in f],
          [], "arrived")


def as_somebody_else(lab, who):
    """Frames of red1 with another's source: of red2, of the router, of one that is nowhere."""
    source, gate = lab.red1.mac("eth0"), lab.red.mac("lan0")
    return [Ether(src=source, dst=gate) / layer(src=src, dst=target) / UDP(sport=9, dport=9)
            / b"must not"
            for layer, sources, targets in
            ((IP, (FIXED2, INSIDE, "192.0.2.1"), (PLAIN, RED2)),
             (IPv6, (FIXED2_V6, INSIDE_V6, "2001:db8::1"), (PLAIN_V6, RED2_V6)))
            for src in sources[:who] for target in targets]


@hook
@dual_stack
def test_vm_as_somebody_else(lab):
    """Strict sources: a VM sends as itself alone, once the router knows its neighbour."""
    ping(lab.red2, PLAIN)
    ping(lab.red2, PLAIN_V6)
    frames = as_somebody_else(lab, 3)
    with counted(lab, red__spoofed_source=len(frames)), Watch(lab.red2, "eth0") as neighbour, \
            Watch(lab.plain, "shared0") as outside:
        send_frames(lab.red1, "eth0", frames)
        udp(lab.red1, lab.plain, PLAIN, RED1)
        udp(lab.red1, lab.red2, RED2, RED1)
    equal([Ether(f).summary() for f in neighbour.frames + outside.frames if b"must not" in f],
          [], "arrived")


@hook
def test_loose_sources(lab):
    """With `sources: loose` nobody asks by which MAC address a fixed address comes."""
    ping(lab.red2, PLAIN)
    frames = as_somebody_else(lab, 1)[:1]
    loose = lab.definitions()
    loose["red"].router["sources"] = "loose"
    try:
        said = "\n".join(lab.apply(loose))
        assert "~ router red: sources strict → loose\n" in said, said
        with counted(lab), Watch(lab.plain, "shared0") as outside:
            send_frames(lab.red1, "eth0", frames)
            outside.until(lambda f: b"must not" in f)
        equal([Ether(f)[IP].src for f in outside.frames if b"must not" in f], [RED2], "seen as")
        equal(lab.apply(loose), ["nothing to be done"], "again")
    finally:
        lab.apply()
    with counted(lab, red__spoofed_source=1):
        send_frames(lab.red1, "eth0", frames)
        udp(lab.red1, lab.plain, PLAIN, RED1)
