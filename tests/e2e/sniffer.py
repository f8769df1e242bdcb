# SPDX-License-Identifier: GPL-2.0-only
"""
What the routers put on the shared network: every frame, recorded during the whole run and
judged afterwards (Sniffer). No private address in an IP header, an ARP payload or the packet that
an ICMP error quotes, and no bad checksum.

What they put on an uplink is kept by a Tap, and judged after each test: neither private addresses
nor those of the shared network, in any of these places, nor within a tunnel (uplink_faults).

The kernel tells for each frame whether its checksum is still to be filled in by the device
(TP_STATUS_CSUMNOTREADY). Then it has to be the sum of the pseudo-header; if not, the right one.
"""
import contextlib
import ipaddress
import os
import select
import socket
import struct
import time

from net import Child

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, PACKET_AUXDATA = 3, 263, 6, 8
SO_RCVBUFFORCE, PACKET_OUTGOING, CSUM_NOT_READY = 33, 4, 1 << 3
VLAN_VALID, VLAN_ID = 1 << 4, 0xfff
AUXDATA = struct.Struct("=IIIHHHH")     # struct tpacket_auxdata
RECORD = struct.Struct("=IB")

ETH_IP, ETH_ARP, ETH_V6 = 0x0800, 0x0806, 0x86dd
VLAN_TAGS = 0x8100, 0x88a8

PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "fd00:10::/64", "::1")]
# of everybody who is behind a router, or on the shared network: nothing for an uplink
NOT_OUTSIDE = [ipaddress.ip_network(n) for n in
               ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "fd00::/8", "::1")]
TCP, UDP, ICMP, ICMP_V6 = 6, 17, 1, 58
V6_OPTIONS, V6_FRAGMENT = (0, 43, 60), 44
CHECKSUM_AT = {TCP: 16, UDP: 6}
ICMP_ERRORS = (3, 4, 5, 11, 12)
ND_WITH_TARGET = (135, 136, 137)
VXLAN, VXLAN_HEADERS = 4789, 8 + 8 + 14     # its port; UDP, itself and Ethernet


def packet_socket(ns, device=None, room=1 << 20):
    sock = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, room)
    if device:
        sock.bind((device, 0))
    return sock


class Sniffer:
    """Records what arrives at the given ports of the bridge in a VLAN, until read or closed."""

    def __init__(self, ns, path, ports, vlan=0):
        self.path, self.lost, self.vlan = path, None, vlan
        self.sock = packet_socket(ns, room=1 << 28)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setblocking(False)
        stop, self.stop = os.pipe()
        self.child = Child(self._record, set(ports), stop)
        os.close(stop)

    def _record(self, ports, stop):
        with open(self.path, "wb") as out:
            done = False
            while not done:
                done = stop in select.select([self.sock, stop], [], [])[0]
                self._drain(out, ports)
        _, lost = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return lost

    def _drain(self, out, ports):
        while True:
            try:
                frame, notes, _, where = self.sock.recvmsg(1 << 17, 64)
            except BlockingIOError:
                return
            if where[2] != PACKET_OUTGOING and where[0] in ports:
                status, *_, tag, _ = AUXDATA.unpack_from(notes[0][2])
                if (tag & VLAN_ID if status & VLAN_VALID else 0) != self.vlan:
                    continue
                out.write(RECORD.pack(len(frame), bool(status & CSUM_NOT_READY)) + frame)

    def close(self):
        """Stop recording."""
        if self.stop is None:
            return
        stop, self.stop = self.stop, None
        os.write(stop, b"stop")     # other children hold the pipe open too
        os.close(stop)
        self.lost = self.child.result()
        self.sock.close()

    def frames(self):
        """(frame, whether its checksum is to be filled in) of all frames, which ends it."""
        time.sleep(0.05)
        self.close()
        assert self.lost == 0, f"the sniffer missed {self.lost} frames"
        with open(self.path, "rb") as f:
            while head := f.read(RECORD.size):
                length, not_ready = RECORD.unpack(head)
                yield f.read(length), bool(not_ready)


class Tap:
    """
    Keeps what arrives at ports of a bridge until it is asked what is wrong with it. `judge` gives
    the sentences about a frame, which says itself whether its checksum is to be filled in.
    """

    def __init__(self, ns, ports, judge, room=1 << 26):
        self.ports, self.judge = set(ports), judge
        self.sock = packet_socket(ns, ports[0] if len(ports) == 1 else None, room)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setblocking(False)

    def _frames(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, notes, _, where = self.sock.recvmsg(1 << 17, 64)
                if where[2] != PACKET_OUTGOING and where[0] in self.ports:
                    yield frame, bool(AUXDATA.unpack_from(notes[0][2])[0] & CSUM_NOT_READY)

    def faults(self):
        """({what is wrong: the first such frame}, how many frames) since the last call."""
        found, count = {}, 0
        for frame, not_ready in self._frames():
            count += 1
            for fault in self.judge(frame, not_ready):
                found.setdefault(fault, frame)
        _, lost = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert not lost, f"{lost} frames were not seen"
        return found, count

    def close(self):
        self.sock.close()


def told(found):
    """What faults() gives, as text with the frames."""
    return "; ".join(f"{what} [{frame[:118].hex()}]" for what, frame in list(found.items())[:4])


def ones_sum(data):
    """The ones' complement sum of 16-bit words; 0xffff stands for zero too."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    return int.from_bytes(data, "big") % 0xffff or 0xffff


def pseudo_header(ip, protocol, length):
    return ip[12:20] + struct.pack("!HH", protocol, length)


def faults(frame, not_ready=False):
    """What is wrong with a frame of the shared network, as a list of sentences."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0806:
        return [f"private address {a} in an ARP payload"
                for a in private(frame[28:32], frame[38:42])]
    if kind == 0x86dd:
        return ip_v6_faults(frame[14:], not_ready)
    return ip_faults(frame[14:], not_ready) if kind == 0x0800 else []


def private(*addresses):
    found = (ipaddress.ip_address(bytes(a)) for a in addresses if len(a) in (4, 16))
    return [a for a in found if any(a in n for n in PRIVATE)]


def ip_v6_faults(packet, not_ready):
    length, protocol, at = 40 + struct.unpack_from("!H", packet, 4)[0], packet[6], 40
    out = [f"private address {a} in an IPv6 header" for a in private(packet[8:24], packet[24:40])]
    while protocol in V6_OPTIONS:
        protocol, at = packet[at], at + 8 + packet[at + 1] * 8
    if protocol == V6_FRAGMENT:
        return out
    rest = packet[at:length]
    pseudo = packet[8:40] + struct.pack("!II", len(rest), protocol)
    if protocol == ICMP_V6:
        if ones_sum(pseudo + (filled_in(rest, True) if not_ready else rest)) != 0xffff:
            out.append("bad checksum in an ICMPv6 header")
        if rest[0] < 128:
            out += [f"private address {a} quoted in an ICMPv6 error"
                    for a in private(rest[16:32], rest[32:48])]
        elif rest[0] in ND_WITH_TARGET:
            out += [f"private address {a} in neighbour discovery" for a in private(rest[8:24])]
    elif protocol in CHECKSUM_AT:
        out += l4_faults(pseudo, protocol, rest, not_ready)
    return out


def ip_faults(packet, not_ready):
    size, length = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)[0]
    ip, rest = packet[:size], packet[size:length]
    out = [f"private address {a} in an IP header" for a in private(ip[12:16], ip[16:20])]
    if ones_sum(ip) != 0xffff:
        out.append("bad checksum in an IP header")
    fragment = struct.unpack_from("!H", ip, 6)[0] & 0x3fff
    if fragment:
        return out
    protocol = ip[9]
    if protocol == ICMP:
        if ones_sum(filled_in(rest, False) if not_ready else rest) != 0xffff:
            out.append("bad checksum in an ICMP header")
        if rest[0] in ICMP_ERRORS:
            out += [f"private address {a} quoted in an ICMP error"
                    for a in private(rest[20:24], rest[24:28])]
    elif protocol in CHECKSUM_AT:
        out += l4_faults(pseudo_header(ip, protocol, len(rest)), protocol, rest, not_ready)
    return out


def filled_in(error, v6):
    """
    An ICMP error whose sum is that of the one that leaves, when the checksum left to the device is
    that of the packet which it quotes (is_vxlan_filled_in).
    """
    quoted = error[8:]
    protocol, at = (quoted[6], 40) if v6 else (quoted[9], (quoted[0] & 15) * 4)
    if error[0] not in (range(1, 128) if v6 else ICMP_ERRORS) or protocol not in CHECKSUM_AT:
        return error
    now = struct.unpack_from("!H", quoted, at + CHECKSUM_AT[protocol])[0]
    return error[:8 + at] + struct.pack("!H", 0xffff ^ now)


def is_vxlan_filled_in(pseudo, protocol, rest):
    """
    Whether what is left to the device is the checksum of the IPv4 packet within: then its own is
    right, or absent. The device makes all that the one within covers the complement of what is
    there now.
    """
    if protocol != UDP or struct.unpack_from("!H", rest, 2)[0] != VXLAN:
        return False
    within, at = rest[VXLAN_HEADERS:], VXLAN_HEADERS + 20
    if within[0] != 0x45 or within[9] not in CHECKSUM_AT:
        return False
    now = struct.unpack_from("!H", rest, at + CHECKSUM_AT[within[9]])[0]
    sent = rest[:at] + struct.pack("!H", 0xffff ^ now)
    return rest[6:8] == bytes(2) or ones_sum(pseudo + sent) == 0xffff


def l4_faults(pseudo, protocol, rest, not_ready):
    at = CHECKSUM_AT[protocol]
    field = struct.unpack_from("!H", rest, at)[0]
    if not_ready:
        good = field % 0xffff == ones_sum(pseudo) % 0xffff or \
            is_vxlan_filled_in(pseudo, protocol, rest)
    elif protocol == UDP and field == 0:
        good = True
    else:
        good = ones_sum(pseudo + rest) == 0xffff
    name = {TCP: "TCP", UDP: "UDP"}[protocol]
    return [] if good else [f"bad checksum {field:#06x} in a {name} header"
                            + (" (to be filled in)" if not_ready else "")]


# ---------------------------------------------------------------- an uplink

def uplink_faults(frame, _not_ready=False):
    """Which addresses in a frame of an uplink belong behind the router, as a list of sentences."""
    found = ((ipaddress.ip_address(bytes(address)), place) for address, place in shown(frame)
             if len(address) in (4, 16))
    return [f"{address} in {place} on an uplink" for address, place in found
            if any(address in network for network in NOT_OUTSIDE)]


def shown(frame):
    """(address, where it is) of every header of a frame."""
    at = 12
    while (kind := int.from_bytes(frame[at:at + 2], "big")) in VLAN_TAGS:
        at += 4
    rest = frame[at + 2:]
    if kind == ETH_ARP:
        yield from ((rest[14:18], "an ARP payload"), (rest[24:28], "an ARP payload"))
    elif kind == ETH_IP:
        yield from shown_v4(rest)
    elif kind == ETH_V6:
        yield from shown_v6(rest)


def shown_v4(packet, place="an IP header"):
    if len(packet) < 20:
        return
    yield from ((packet[12:16], place), (packet[16:20], place))
    size, offset = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 6)[0] & 0x1fff
    rest = packet[size:] if not offset else b""
    if packet[9] == ICMP and rest and rest[0] in ICMP_ERRORS:
        yield from shown_v4(rest[8:], "the quote of an ICMP error")
    yield from shown_in_tunnel(packet[9], rest)


def shown_v6(packet, place="an IPv6 header"):
    if len(packet) < 40:
        return
    yield from ((packet[8:24], place), (packet[24:40], place))
    protocol, rest = packet[6], packet[40:]
    while protocol in V6_OPTIONS and len(rest) >= 8:
        protocol, rest = rest[0], rest[8 + rest[1] * 8:]
    if protocol == ICMP_V6 and rest and rest[0] < 128:
        yield from shown_v6(rest[8:], "the quote of an ICMPv6 error")
    elif protocol == ICMP_V6 and rest and rest[0] in ND_WITH_TARGET:
        yield rest[8:24], "neighbour discovery"
    yield from shown_in_tunnel(protocol, rest)


def shown_in_tunnel(protocol, rest):
    if protocol == UDP and rest[2:4] == VXLAN.to_bytes(2, "big"):
        yield from ((address, f"{place} in the tunnel")
                    for address, place in shown(rest[8 + 8:]))
