# SPDX-License-Identifier: GPL-2.0-only
"""Tenants with the same private addresses talk by their shared ones."""
import socket

from scapy.all import IP, UDP, Ether, IPOption_NOP

from case import datapath, equal, eventually, hook
from lab import BLUE1, FIXED, FIXED2, PLAIN, RED1, RED2
from traffic import (WAIT, Watch, bulk, client, new_port, ping, send_frames, server, tcp, udp)


@datapath
def test_ping_both_ways(lab):
    ping(lab.red1, BLUE1)
    ping(lab.blue1, RED1)
    ping(lab.red2, BLUE1)


@datapath
def test_ping_sizes(lab):
    for size in ("0", "1", "1472", "6000"):
        said = lab.red1.run("ping", "-nqc1", "-W30", "-s", size, BLUE1, check=False).stdout
        assert "1 received" in said, f"no answer to a ping of {size} bytes"


@datapath
def test_tcp_same_private_address_on_both_ends(lab):
    tcp(lab.red1, lab.blue1, BLUE1, seen=RED1, private=FIXED)
    tcp(lab.blue1, lab.red1, RED1, seen=BLUE1, private=FIXED)
    tcp(lab.blue1, lab.red2, RED2, seen=BLUE1)


@hook
def test_tcp_simultaneous_open(lab):
    """Both call, neither listens: the first calls are lost, the other's meets the caller."""
    here, there = new_port(), new_port()
    with lab.red1.socket(socket.AF_INET, socket.SOCK_STREAM) as one, \
            lab.blue1.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        one.bind(("0.0.0.0", here))
        other.bind(("0.0.0.0", there))
        one.setblocking(False)
        other.settimeout(WAIT)
        lab.blue1.run("nft", f"table ip lost {{ chain in {{ type filter hook input priority 0; "
                      f"tcp dport {there} tcp flags & (syn | ack) == syn counter drop; }}; }}")
        try:
            one.connect_ex((BLUE1, there))
            eventually(lambda: lost(lab.blue1))
            other.connect((RED1, here))
        finally:
            lab.blue1.run("nft", "delete", "table", "ip", "lost")
        one.settimeout(WAIT)
        other.sendall(b"both called")
        equal(one.recv(100), b"both called", "what came")
        equal((one.getpeername(), other.getpeername()), ((BLUE1, there), (RED1, here)), "the ends")


def lost(ns):
    said = ns.run("nft", "list", "table", "ip", "lost").stdout
    assert "packets 0 " not in said, "the first call is still to come"


@datapath
def test_udp_server_sees_shared_address(lab):
    udp(lab.red1, lab.blue1, BLUE1, seen=RED1)
    udp(lab.blue1, lab.red1, RED1, seen=BLUE1)
    udp(lab.red2, lab.blue1, BLUE1, seen=RED2)
    udp(lab.blue1, lab.red2, RED2, seen=BLUE1)


@datapath
def test_plain_host(lab):
    """A host on the shared network without a router, both ways."""
    for exchange in (udp, tcp):
        exchange(lab.plain, lab.blue1, BLUE1, PLAIN)
        exchange(lab.red1, lab.plain, PLAIN, RED1)


@datapath
def test_udp_sizes(lab):
    for size in (0, 1, 2, 7, 8, 511, 512, 1471, 1472):
        udp(lab.red1, lab.blue1, BLUE1, RED1, size)
        udp(lab.blue1, lab.red1, RED1, BLUE1, size)


@datapath
def test_udp_fragments(lab):
    for size in (1473, 3000, 8000, 60000):
        udp(lab.red1, lab.blue1, BLUE1, RED1, size)
        udp(lab.blue1, lab.red1, RED1, BLUE1, size)


@datapath
def test_udp_without_checksum(lab):
    """Checksum 0 stays 0, on the wire of the receiver too."""
    there, port = server(lab.blue1, socket.SOCK_DGRAM)
    here = client(lab.red1, socket.SOCK_DGRAM, BLUE1, port)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_NO_CHECK
                    if hasattr(socket, "SO_NO_CHECK") else 11, 1)
    with there, here, Watch(lab.blue1, "eth0") as watch:
        here.send(b"none")
        frame = watch.until(lambda f: b"none" in f)
        assert frame, "did not arrive"
        equal(Ether(frame)[UDP].chksum, 0, "the checksum")
        equal(there.recvfrom(100)[1][0], RED1, "the sender")
    udp(lab.blue1, lab.red1, RED1, BLUE1, checksum=False)


@datapath
def test_udp_checksum_computed_to_zero(lab):
    """A sum of 0 is sent as 0xffff; the receiver accepts it."""
    there, port = server(lab.blue1, socket.SOCK_DGRAM)
    frame = (Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / IP(src=PLAIN, dst=FIXED)
             / UDP(sport=7, dport=port) / b"\0\0")
    zero = Ether(bytes(frame))[UDP].chksum      # as payload, it makes the translated sum 0
    frame[IP].dst = BLUE1
    frame[UDP].payload = type(frame[UDP].payload)(zero.to_bytes(2, "big"))
    with there, Watch(lab.blue1, "eth0") as watch:
        send_frames(lab.plain, "shared0", [frame])
        got = watch.until(lambda f: f[36:38] == port.to_bytes(2, "big"))
        assert got, "did not arrive"
        equal(Ether(got)[UDP].chksum, 0xffff, "the checksum")
        there.recvfrom(100)


@datapath
def test_tcp_bulk(lab):
    """No checksum error anywhere, and hardly a segment lost."""
    size, rate = (24_000_000, None) if lab.offload == "on" else (8_000_000, 40_000_000)
    for source, target, address in ((lab.red1, lab.blue1, BLUE1), (lab.blue1, lab.red1, RED1)):
        lost = bulk(source, target, address, size, rate).lost
        assert lost <= size / 1448 / 50, f"{lost} segments lost"
    equal(lab.checksum_errors(), {}, "checksum errors")


@datapath
def test_far_side_verifies(lab):
    """Senders with offloads, receivers that get the checksum as the router's device fills it in."""
    for router in ("red", "blue"):
        lab.checksums(router, "lan0", False)
    try:
        for source, target, address, seen in ((lab.red1, lab.blue1, BLUE1, RED1),
                                              (lab.blue1, lab.red1, RED1, BLUE1)):
            for size in (0, 1, 1472):
                udp(source, target, address, seen, size)
            tcp(source, target, address, seen)
            bulk(source, target, address, 1_000_000)
    finally:
        for router in ("red", "blue"):
            lab.checksums(router, "lan0", lab.offload == "on")
    equal(lab.checksum_errors(), {}, "checksum errors")


@datapath
def test_near_side_only(lab):
    """The routers' shared interfaces fill in the checksums that the VMs left to them."""
    for router in ("red", "blue"):
        lab.checksums(router, "shared0", False)
    try:
        udp(lab.red1, lab.blue1, BLUE1, RED1, 1000)
        tcp(lab.blue1, lab.red1, RED1, BLUE1)
        bulk(lab.red1, lab.blue1, BLUE1, 1_000_000)
    finally:
        for router in ("red", "blue"):
            lab.checksums(router, "shared0", lab.offload == "on")
    equal(lab.checksum_errors(), {}, "checksum errors")


@datapath
def test_other_protocols(lab):
    """Address only: what follows the IP header is not looked at."""
    for protocol in (47, 132, 253):
        with lab.blue1.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as there, \
                lab.red1.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as here:
            there.settimeout(2)
            here.sendto(b"\0\0\x88\xb5any bytes at all", (BLUE1, 0))
            packet, source = there.recvfrom(2000)
            equal(source[0], RED1, "the sender")
            equal(packet[20:], b"\0\0\x88\xb5any bytes at all", "the content")


@datapath
def test_ip_options(lab):
    there, port = server(lab.blue1, socket.SOCK_DGRAM)
    frame = (Ether(src=lab.macs["plain"], dst=lab.macs["blue"])
             / IP(src=PLAIN, dst=BLUE1, options=[IPOption_NOP()] * 8)
             / UDP(sport=new_port(), dport=port) / b"options")
    with there:
        send_frames(lab.plain, "shared0", [frame])
        equal(there.recvfrom(100)[0], b"options", "the content")


@datapath
def test_fixed_address_stays_inside(lab):
    """VMs of one LAN still talk by their fixed addresses, and to their router."""
    udp(lab.red1, lab.red2, FIXED2, FIXED)
    ping(lab.red1, "10.0.0.1")


@datapath
def test_hairpin(lab):
    """A VM reaches its neighbour, and itself, by shared address, and is seen by its own."""
    for exchange in (udp, tcp):
        exchange(lab.red1, lab.red2, RED2, RED1)
        exchange(lab.red2, lab.red1, RED1, RED2)
        exchange(lab.red1, lab.red1, RED1, RED1)
    udp(lab.red1, lab.red2, RED2, RED1, size=8000)
    ping(lab.red1, RED2)


@datapath
def test_refused(lab):
    """Port unreachable finds the socket that it is about, over the network and in a hairpin."""
    for source, address in ((lab.red1, BLUE1), (lab.blue1, RED1), (lab.plain, BLUE1),
                            (lab.red1, PLAIN), (lab.red1, RED2)):
        with client(source, socket.SOCK_DGRAM, address, new_port()) as here:
            here.send(b"anybody?")
            try:
                here.recv(100)
            except ConnectionRefusedError:
                continue
            raise AssertionError(f"nobody at {address}, and no error came back")


@datapath
def test_path_mtu(lab):
    """A smaller link behind the other router: its error comes back, with the size that fits."""
    lab.blue.ip("link set lan0 mtu 1300")
    try:
        said = lab.red1.run("ping", "-nc2", "-W30", "-Mdo", "-s1400", BLUE1, check=False)
        assert "mtu" in (said.stdout + said.stderr).lower(), f"no error: {said.stdout[-200:]}"
        bulk(lab.red1, lab.blue1, BLUE1, 300_000)
    finally:
        lab.blue.ip("link set lan0 mtu 1500")
        lab.red1.ip("route flush cache")


@datapath
def test_addresses_of_the_same_sum(lab):
    """Allocated by itself where there is one; then XDP need not know which checksums are whole."""
    even = "100.64.165.196"     # 0x6440 + 0xa5c4 = 0x0a00 + 0x0005, in ones' complement
    definitions = lab.definitions()
    red = definitions["red"]
    red.pool = ["100.64.160.0/20"]
    red.mappings = [(FIXED, None, None)]
    try:
        lab.apply(definitions)
        row, = [row for row in lab.cli.json("-v", "map", "list", "red") if row["fixed"] == FIXED]
        equal((row["shared"], row["neutral"]), (even, True), "red1")
        assert "NEUTRAL" in lab.cli.run("-v", "map", "list").stdout
        udp(lab.plain, lab.red1, even, PLAIN)
        tcp(lab.plain, lab.red1, even, PLAIN)
        udp(lab.red1, lab.plain, PLAIN, even)
        tcp(lab.red1, lab.plain, PLAIN, even)
        ping(lab.plain, even)
    finally:
        lab.apply()
    row, = [row for row in lab.cli.json("-v", "map", "list", "red") if row["fixed"] == FIXED]
    equal((row["shared"], row["neutral"]), (RED1, False), "red1, in the end")
