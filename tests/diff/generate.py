# SPDX-License-Identifier: GPL-2.0-only
"""
Packets of all kinds, each made from (seed, number) alone. Most are what a network carries; a
part of them have one thing odd, and a few more than one.
"""
import random
import socket
import struct

from wire import (AH, DCCP, DEST_OPTIONS, ESP, FRAGMENT, HOP_OPTIONS, ICMP, ICMP_V6, IGMP,
                  LOOSE_ROUTE, RECORD_ROUTE, ROUTER_ALERT, ROUTING, SCTP, STRICT_ROUTE, TCP,
                  TIMESTAMP, UDP, UDPLITE, V4, V6, checksum, checksum_at, complement, covered,
                  never_zero, pseudo, put, total, word)


def packed(*addresses):
    return [socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a)
            for a in addresses]


# per address family; the third mapping changes no checksum (the sums of its addresses are equal)
MAPPINGS = {4: [("10.0.0.5", "100.64.1.5"), ("10.0.0.6", "100.64.1.6"),
                ("10.0.0.7", "100.64.165.198")],
            6: [("fd00:10::5", "fd64::1:5"), ("fd00:10::6", "fd64::1:6"),
                ("fd00:10::7", "fd64::ffaa:1:7")]}
ROUTER_SHARED = {4: "100.64.0.2", 6: "fd64::2"}
ROUTER_INSIDE = {4: "10.0.0.1", 6: "fd00:10::1"}
ROUTER_UPLINK = {4: "203.0.113.1", 6: "2001:db8:113::1"}
# a plain host, a VM of another tenant, and another host
HOSTS = {4: ["100.64.0.250", "100.64.2.5", "100.64.77.7"],
         6: ["fd64::250", "fd64::2:5", "fd64::77:7"]}
UNMAPPED_SHARED = {4: "100.64.1.99", 6: "fd64::1:99"}
UNMAPPED_VM = {4: "10.0.0.9", 6: "fd00:10::9"}
FOREIGN = {4: ["198.51.100.7", "172.16.3.4"], 6: ["2001:db8::7", "fd00:99::4"]}
GROUPS = {4: ["224.0.0.9", "255.255.255.255", "100.64.255.255", "10.0.0.255"],
          6: ["ff02::9", "ff05::9", "ff0e::9"]}
NOBODY = {4: ["0.0.0.0", "127.0.0.1"], 6: ["::", "::1", "::ffff:100.64.0.250"]}

FIXED = {v: packed(*(m[0] for m in MAPPINGS[v])) for v in (4, 6)}
SHARED = {v: packed(*(m[1] for m in MAPPINGS[v])) for v in (4, 6)}
TO_FIXED = {v: dict(zip(SHARED[v], FIXED[v])) for v in (4, 6)}
TO_SHARED = {v: dict(zip(FIXED[v], SHARED[v])) for v in (4, 6)}
OWN = {v: packed(ROUTER_SHARED[v], ROUTER_INSIDE[v]) for v in (4, 6)}
UPLINK = {v: packed(ROUTER_UPLINK[v]) for v in (4, 6)}
_HOSTS = {v: packed(*HOSTS[v]) for v in (4, 6)}
_FOREIGN = {v: packed(*FOREIGN[v]) for v in (4, 6)}
_GROUPS = {v: packed(*GROUPS[v]) for v in (4, 6)}
_NOBODY = {v: packed(*NOBODY[v]) for v in (4, 6)}
_UNMAPPED_SHARED = {v: packed(UNMAPPED_SHARED[v])[0] for v in (4, 6)}
_UNMAPPED_VM = {v: packed(UNMAPPED_VM[v])[0] for v in (4, 6)}

# the same on all sides, or captures would differ
MAC_OUTSIDE = bytes.fromhex("020064400099")
MAC_SHARED = bytes.fromhex("020064400001")
MAC_INSIDE = bytes.fromhex("020010000001")
MAC_VM = bytes.fromhex("020010000005")
MAC_UPLINK = bytes.fromhex("0200c6330001")      # the router's there, and who is behind it
MAC_PROVIDER = bytes.fromhex("0200c63300fe")
MAC_OTHER = bytes.fromhex("0200aabbccdd")

# where the field is that a sum can be steered with: the urgent pointer, a port, an identifier
STEERED = {TCP: 18, UDP: 0, UDPLITE: 0, DCCP: 0, ICMP_V6: 4}
SENTINEL = b"tenantnat-sentinel:"


# of a stretch whose routes lead there: the last VM and the last host are behind the uplink
BEHIND_UPLINK = {v: [MAPPINGS[v][2][0], HOSTS[v][2]] for v in (4, 6)}


class Case:
    """
    One frame to be sent to the router: `way` "in" from the shared network, "out" from a VM, "up"
    from the uplink, where it is otherwise as one of the two others.
    """

    def __init__(self, number, way, version, frame, notes):
        self.number, self.way, self.version = number, way, version
        self.frame, self.notes = frame, notes

    def from_uplink(self):
        """The same packet by the router's uplink."""
        mac = self.frame[:6]
        if mac in (MAC_SHARED, MAC_INSIDE):
            mac = MAC_UPLINK
        return Case(self.number, "up", self.version, mac + MAC_PROVIDER + self.frame[12:],
                    f"{self.notes or 'nothing odd'}, as if {self.way}")


class Maker:
    """Everything about the packet with one number."""

    def __init__(self, seed, number):
        self.number = number
        self.r = random.Random(f"{seed}/{number}")
        self.notes = []

    def odd(self, percent):
        return self.r.random() * 100 < percent

    def note(self, text):
        self.notes.append(text)

    def pick(self, *choices):
        """One of (weight, what)."""
        what = self.r.choices([c[1] for c in choices], [c[0] for c in choices])[0]
        return what

    # L4

    def size(self, most):
        size = self.pick((3, self.r.randint(0, 12)), (4, self.r.randint(0, 200)),
                         (2, self.r.randint(0, most)), (1, most), (1, most - self.r.randint(0, 9)))
        return max(0, min(size, most))

    def data(self, most):
        return self.r.randbytes(self.size(most))

    def port(self):
        return self.pick((6, self.r.randint(1, 65535)), (1, 53), (1, 443), (1, 5060))

    def tcp(self, most):
        options = self.r.randbytes(4 * self.pick((3, 0), (1, self.r.randint(1, 10))))
        most = max(most - 20 - len(options), 0)
        return struct.pack("!HHIIBBHHH", self.port(), self.port(), self.r.getrandbits(32),
                           self.r.getrandbits(32), (5 + len(options) // 4) << 4,
                           self.r.getrandbits(8), self.r.getrandbits(16), 0,
                           self.r.getrandbits(16)) + options + self.data(most)

    def udp(self, most):
        data = self.data(most - 8)
        return struct.pack("!HHHH", self.port(), self.port(), 8 + len(data), 0) + data

    def udplite(self, most):
        data = self.data(most - 8)
        length = self.pick((1, 0), (1, 8), (1, 8 + self.r.randint(0, len(data))))
        return struct.pack("!HHHH", self.port(), self.port(), length, 0) + data

    def dccp(self, most):
        # a DCCP-Data or DCCP-Request packet; checksum coverage 0: all of it, 1: the header
        header = struct.pack("!HHBBHBBHI", self.port(), self.port(), 4, self.r.randint(0, 1), 0,
                             self.r.choice((1, 5)), 0, self.r.getrandbits(16),
                             self.r.getrandbits(32))
        return header + self.data(most - 16)

    def sctp(self, most):
        return struct.pack("!HHII", self.port(), self.port(), self.r.getrandbits(32),
                           self.r.getrandbits(32)) + self.data(most - 12)

    def icmp(self, most):
        kind = self.pick((6, 8), (3, 0), (1, 13), (1, 15), (1, 17), (1, 18), (1, 42),
                         (1, self.r.choice((9, 10, 40, 41, 253))))
        body = struct.pack("!BBHHH", kind, 0, 0, self.r.getrandbits(16), self.r.getrandbits(16))
        body += self.data(most - 8)
        return put(body, 2, checksum(body))

    def icmp_v6(self, most):
        kind = self.pick((6, 128), (3, 129), (1, self.r.choice((130, 134, 136, 139, 200, 255))))
        return struct.pack("!BBHHH", kind, 0, 0, self.r.getrandbits(16),
                           self.r.getrandbits(16)) + self.data(most - 8)

    def message(self, version, protocol, most):
        """An L4 packet, its checksum still to be made."""
        makers = {TCP: self.tcp, UDP: self.udp, UDPLITE: self.udplite, DCCP: self.dccp,
                  SCTP: self.sctp}
        makers.update({ICMP: self.icmp} if version == 4 else {ICMP_V6: self.icmp_v6})
        return makers.get(protocol, self.data)(max(most, 0))

    def protocol(self, version):
        return self.pick((8, TCP), (8, UDP), (4, UDPLITE), (4, DCCP), (2, SCTP),
                         (6, ICMP if version == 4 else ICMP_V6), (2, 47), (2, ESP), (1, 4),
                         (1, 41), (1, 89), (1, 253), (1, 99), (1, 46), (1, 112), (1, 115),
                         (1, ICMP_V6 if version == 4 else ICMP), (1, AH if self.odd(50) else IGMP))

    def checksummed(self, version, src, dst, protocol, data, towards=None):
        """
        With the checksum right, wrong, or absent; now and then one that is zero once
        `towards` = (src, dst) are the addresses, or that looks like an unfinished one.
        """
        at = checksum_at(protocol, version)
        if at is None or len(data) < at + 2:
            return data
        head = pseudo(src, dst, protocol, len(data))
        length = covered(protocol, data) or len(data)

        def missing(of):
            return complement(total(of) + total(put(data, at, 0)[:length])) % 0xffff

        steer, kind = STEERED[protocol], self.pick(
            (72, "right"), (8, "wrong"), (5, "absent"), (8, "zero"), (4, "unfinished"),
            (3, "looks unfinished"))
        if kind == "absent":
            return put(data, at, 0)
        if kind == "wrong":
            return put(data, at, self.r.getrandbits(16))
        if kind == "unfinished":
            return put(data, at, total(head))
        if kind == "zero" and towards and steer + 2 <= length:
            later = pseudo(*towards, protocol, len(data))
            data = put(data, steer, (word(data, steer) + missing(later)) % 0xffff)
        elif kind == "looks unfinished" and steer + 2 <= length:
            data = put(data, steer, (word(data, steer) + missing(head) - total(head)) % 0xffff)
        if kind != "right":
            self.note("sum " + kind)
        value = missing(head)
        if not value:
            value = 0xffff if never_zero(protocol) else self.r.choice((0, 0, 0xffff))
        return put(data, at, value)

    # ICMP errors

    def extension(self, body, unit):
        """RFC 4884: padded to 128 bytes or more, then an extension structure."""
        body = body[:1016]
        body += b"\0" * (-len(body) % unit if len(body) > 128 else 128 - len(body))
        objects = b"".join(struct.pack("!HBB", 8, self.r.randint(1, 3), 1) + self.r.randbytes(4)
                           for _ in range(self.r.randint(1, 3)))
        extension = b"\x20\0\0\0" + objects
        return body, put(extension, 2, checksum(extension))

    def error(self, version, src, dst, quoted, most):
        """An ICMP error of any kind about a packet, which it quotes in part or as a whole."""
        least = 20 if version == 4 else 40
        most = min(most - 8, self.pick((1, 548 if version == 4 else 1232), (1, most)))
        header = (quoted[0] & 15) * 4 if version == 4 else 40
        cut = self.pick((4, len(quoted)), (4, header + 8), (2, self.r.randint(least, most)),
                        (1, header), (1 if self.odd(50) else 0.1, self.r.randint(0, least)))
        quoted, tail, length = quoted[:min(cut, most)], b"", 0
        if self.odd(20) and len(quoted) >= least and most > 400:
            unit = 4 if version == 4 else 8
            quoted, tail = self.extension(quoted[:most - 100], unit)
            length = len(quoted) // unit
            self.note("RFC 4884")
        if version == 4:
            kind, code = self.pick((8, (3, self.r.randint(0, 15))), (2, (3, 4)), (4, (11, 0)),
                                   (1, (11, 1)), (2, (12, self.r.randint(0, 2))), (1, (4, 0)),
                                   (1, (5, self.r.randint(0, 3))))
            rest = struct.pack("!BBH", self.r.getrandbits(8), length,
                               self.r.choice((0, 576, 1300, 1500)))
        else:
            kind, code = self.pick((8, (1, self.r.randint(0, 7))), (4, (2, 0)), (4, (3, 0)),
                                   (1, (3, 1)), (2, (4, self.r.randint(0, 3))),
                                   (1, (self.r.choice((0, 5, 100, 127)), 0)))
            rest = struct.pack("!BBH", length, 0, 0) if length else \
                struct.pack("!I", self.r.choice((0, 1280, 1300, 40)))
        self.note(f"error {kind}/{code} about {len(quoted)} bytes")
        body = struct.pack("!BBH", kind, code, 0) + rest + quoted + tail
        head = pseudo(src, dst, ICMP_V6, len(body)) if version == 6 else b""
        right = complement(total(head) + total(body)) % 0xffff
        return put(body, 2, self.r.getrandbits(16) if self.odd(5) else right)

    # IPv4

    def options_v4(self, ttl, address_stamps):
        """Whole options, now and then broken ones; the time of day needs a packet that passes."""
        route = self.r.randbytes(4 * self.r.randint(1, 2))
        stamps = self.r.randint(1, 3)
        flags = self.r.choice((0, 1)) if address_stamps else 0
        out = self.pick(
            (6, b"\1" * self.r.randint(1, 8)), (3, bytes((ROUTER_ALERT, 4, 0, 0))),
            (3, bytes((130, 11)) + self.r.randbytes(9)), (2, bytes((136, 4)) + self.r.randbytes(2)),
            (2, bytes((0x9e, 6)) + self.r.randbytes(4)),
            (2, bytes((RECORD_ROUTE, 3 + len(route), 4)) + route),
            (2, bytes((LOOSE_ROUTE, 3 + len(route), 4)) + route),
            (2, bytes((STRICT_ROUTE, 3 + len(route), 4)) + route),
            (3 if ttl == 64 else 0, bytes((TIMESTAMP, 4 + 4 * (1 + flags) * stamps, 5, flags))
             + bytes(4 * (1 + flags) * stamps)),
            (1, b"\0" + self.r.randbytes(3)),
            (1, bytes((self.r.choice((7, 130, 0x9e)), self.r.choice((0, 1, 39))))))
        if len(out) < 37 and self.odd(30):
            out = bytes((1,)) * self.r.randint(1, 3) + out
        if self.odd(20) and len(out) < 30:
            out += self.r.choice((bytes((RECORD_ROUTE, 7, 4)) + bytes(4), b"\1\1",
                                  bytes((ROUTER_ALERT, 4, 0, 0))))
        return out + bytes(-len(out) % 4)

    def header_v4(self, src, dst, protocol, length, ttl, options=b""):
        flags = self.pick((3, 0x4000), (3, 0), (0.1, 0x8000))
        header = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, self.r.getrandbits(8),
                             20 + len(options) + length, self.r.getrandbits(16), flags, ttl,
                             protocol, 0) + src + dst + options
        return put(header, 10, checksum(header))

    def cut_v4(self, header, data):
        """One fragment of the packet."""
        kind = self.pick((3, "first"), (1, "tiny first"), (3, "middle"), (3, "last"), (1, "far"))
        self.note(kind + " fragment")
        blocks = len(data) // 8
        at = self.r.randint(1, max(blocks - 1, 1))
        offset, more, part = {
            "first": (0, True, data[:at * 8]),
            "tiny first": (0, True, data[:8]),
            "middle": (at, True, data[at * 8:at * 8 + 8 * self.r.randint(1, 20)]),
            "last": (at, False, data[at * 8:]),
            "far": (self.r.randint(1, 8000), self.odd(50), data[:self.r.randint(0, 64)]),
        }[kind]
        header = put(header, 6, (0x2000 if more else 0) | offset)
        header = put(put(header, 2, len(header) + len(part)), 10, 0)
        return put(header, 10, checksum(header)), part

    def packet_v4(self, src, dst, protocol, data, ttl, oddities=True):
        # a hairpin is met on another way, where the router has another address to write
        turns = src in FIXED[4] and dst in SHARED[4]
        options = self.options_v4(ttl, not turns) if oddities and self.odd(15) else b""
        header = self.header_v4(src, dst, protocol, len(data), ttl, options)
        if oddities and self.odd(12):
            header, data = self.cut_v4(header, data)
        return header + data

    def steer_header_v4(self, packet, old, new):
        """The identification such that the header's checksum is zero once it was forwarded."""
        size = (packet[0] & 15) * 4
        after = put(packet[:size].replace(old, new, 1), 8, bytes((packet[8] - 1, packet[9])))
        need = complement(total(put(put(after, 10, 0), 4, 0))) % 0xffff
        packet = put(put(packet, 4, need), 10, 0)
        self.note("zero IP sum")
        return put(packet, 10, checksum(packet[:size]))

    # IPv6

    def extensions(self, protocol, data):
        """A chain of extension headers in front of L4, and the first one's number."""
        chain = []
        if self.odd(30):
            option = self.pick((4, bytes((1, 4, 0, 0, 0, 0))), (2, bytes((5, 2, 0, 0, 1, 0))),
                               (1, bytes((self.r.choice((0x1e, 0x5e, 0x9e, 0xde)), 4)) + bytes(4)))
            chain.append((HOP_OPTIONS, option))
        for _ in range(self.pick((3, 1), (3, 2), (1, 4), (1, 7))):
            kind = self.pick((4, DEST_OPTIONS), (2, ROUTING), (1, FRAGMENT if self.odd(40) else
                                                               DEST_OPTIONS))
            chain.append((kind, {
                DEST_OPTIONS: bytes((1, 4, 0, 0, 0, 0)),
                ROUTING: bytes((self.r.choice((0, 2, 3, 4)), self.pick((3, 0), (1, 1)))) + bytes(4),
                FRAGMENT: struct.pack("!HI", self.pick((2, 0), (1, 1)), self.r.getrandbits(32)),
            }[kind]))
            if kind == DEST_OPTIONS and self.odd(30):
                chain[-1] = (kind, bytes((1, 12)) + bytes(12))
        if self.odd(10):
            chain.append((AH, struct.pack("!HII", 0, self.r.getrandbits(32), 1) + bytes(4)))
        if self.odd(5):
            chain.append((self.r.choice((135, 139, 140)), bytes(6)))
        self.note("extensions " + " ".join(str(c[0]) for c in chain))
        for kind, body in reversed(chain):
            length = 2 if kind == AH else (len(body) + 2) // 8 - 1
            if self.odd(1):
                length = self.r.choice((0, 3, 40, 255))
            data = bytes((protocol, 0 if kind == FRAGMENT else length)) + body + data
            protocol = kind
        return protocol, data

    def cut_v6(self, protocol, data):
        kind = self.pick((3, "first"), (1, "tiny first"), (3, "middle"), (3, "last"), (1, "atomic"))
        self.note(kind + " fragment")
        at = self.r.randint(1, max(len(data) // 8 - 1, 1))
        offset, part = {
            "first": (1, data[:at * 8]), "tiny first": (1, data[:8]), "atomic": (0, data),
            "middle": (at * 8 + 1, data[at * 8:at * 8 + 8 * self.r.randint(1, 20)]),
            "last": (at * 8, data[at * 8:])}[kind]
        return FRAGMENT, struct.pack("!BBHI", protocol, 0, offset, self.r.getrandbits(32)) + part

    def packet_v6(self, src, dst, protocol, data, ttl, oddities=True):
        if oddities and self.odd(12):
            protocol, data = self.cut_v6(protocol, data)
        if oddities and self.odd(15):
            protocol, data = self.extensions(protocol, data)
        return struct.pack("!IHBB", 6 << 28 | self.r.getrandbits(28), len(data), protocol,
                           ttl) + src + dst + data

    def packet(self, version, *args, **options):
        return (self.packet_v4 if version == 4 else self.packet_v6)(*args, **options)

    # who to whom

    def ends(self, version, way):
        """Source and destination; most are a VM and somebody on the shared network."""
        host, vm = self.r.choice(_HOSTS[version]), self.r.randrange(3)
        if way == "in":
            src, dst = host, SHARED[version][vm]
            if self.odd(9):
                src = self.pick((3, self.r.choice(_FOREIGN[version])),
                                (3, self.r.choice(SHARED[version])), (2, OWN[version][0]),
                                (2, self.r.choice(FIXED[version])),
                                (1, self.r.choice(_GROUPS[version])),
                                (1, self.r.choice(_NOBODY[version])))
            if self.odd(12):
                dst = self.pick((3, _UNMAPPED_SHARED[version]), (3, FIXED[version][vm]),
                                (4, OWN[version][0]), (1, OWN[version][1]), (1, host),
                                (1, self.r.choice(_FOREIGN[version])),
                                (1, self.r.choice(_GROUPS[version])))
            return src, dst
        src, dst = FIXED[version][vm], host
        if self.odd(9):
            src = self.pick((4, _UNMAPPED_VM[version]), (2, self.r.choice(SHARED[version])),
                            (2, OWN[version][1]), (2, self.r.choice(_FOREIGN[version])),
                            (1, host), (1, self.r.choice(_GROUPS[version])),
                            (1, self.r.choice(_NOBODY[version])))
        if self.odd(20):
            dst = self.pick((16, self.r.choice(SHARED[version])), (2, _UNMAPPED_SHARED[version]),
                            (2, OWN[version][1]), (1, OWN[version][0]),
                            (2, self.r.choice(_FOREIGN[version])),
                            (1, self.r.choice(_GROUPS[version])))
        return src, dst

    def quoted(self, version, way, src, dst):
        """What an error from `src` to `dst` may be about: a packet that `dst` sent."""
        other = self.r.choice(_HOSTS[version])
        first, second = (dst, other) if way == "in" else (dst, src)
        if way == "out" and src == _UNMAPPED_VM[version] and self.odd(80):
            second = self.r.choice(FIXED[version])      # it is a router in front of a VM
        if self.odd(30 if src in FIXED[version] and dst in SHARED[version] else 10):
            self.note("forged")
            everybody = [*SHARED[version], *FIXED[version], *OWN[version], *_HOSTS[version],
                         *_FOREIGN[version]]
            if way == "in" or self.odd(50):
                first = self.r.choice(everybody)
            else:
                second = self.r.choice(everybody)
        protocol = self.protocol(version)
        most = self.r.choice((40, 200, 1400))
        if self.odd(15):
            inner = self.packet(version, second, first, UDP, self.message(version, UDP, 60), 3)
            data = self.error(version, first, second, inner, 200)
            protocol = ICMP if version == 4 else ICMP_V6
            self.note("within an error")
        else:
            data = self.message(version, protocol, most)
            data = self.checksummed(version, first, second, protocol, data)
        return self.packet(version, first, second, protocol, data, self.r.choice((1, 2, 60)))

    def tamper(self, version, packet):
        """A header that is short or lies."""
        kind = self.pick((2, "version"), (2, "length too long"), (2, "length too short"),
                         (2, "cut off"), (2, "L4 cut off"), (3, "header sum" if version == 4 else
                                                             "L4 cut off"),
                         (2, "header length" if version == 4 else "no data"))
        self.note(kind)
        at = 2 if version == 4 else 4
        if kind == "version":
            return bytes((packet[0] ^ self.r.choice((0x10, 0x20, 0x40, 0x80)),)) + packet[1:]
        if kind == "header length":
            packet = bytes((0x40 | self.r.choice((0, 1, 4, 6, 15)),)) + packet[1:]
        elif kind == "length too long":
            packet = put(packet, at, min(word(packet, at) + self.r.choice((1, 7, 4000)), 65535))
        elif kind == "length too short":
            packet = put(packet, at, self.r.choice((0, 1, 19, 20, 24, 27, 30)))
        elif kind == "no data":
            packet = put(packet, at, 0)
        elif kind == "cut off":
            return packet[:self.r.randint(0, len(packet) - 1)]
        elif kind == "L4 cut off":
            keep = ((packet[0] & 15) * 4 if version == 4 else 40) + self.r.randint(0, 19)
            packet = put(packet[:keep], at, min(len(packet), keep) - (0 if version == 4 else 40))
        else:
            return put(packet, 10, word(packet, 10) ^ 1 << self.r.randrange(16))
        if version == 4 and len(packet) >= 20:
            packet = put(put(packet, 10, 0), 10, checksum(put(packet, 10, 0)[:20]))
        return packet

    # what is too rare by chance

    def to_everybody(self, version):
        """A datagram from afar, or an error by which no kernel goes, not even nftables' one."""
        src, dst = self.r.choice(_HOSTS[version]), _GROUPS[version][0]
        if self.odd(40):
            src, protocol = self.r.choice(_FOREIGN[version]), UDP
            data = self.checksummed(version, src, dst, UDP, self.message(version, UDP, 100))
        else:
            protocol = ICMP if version == 4 else ICMP_V6
            data = self.error(version, src, dst, self.quoted(version, "in", src, dst), 1400)
            kind = self.r.choice((5, 11)) if version == 4 else 3
            data = put(bytes((kind, 0)) + data[2:], 2, 0)
            head = b"" if version == 4 else pseudo(src, dst, protocol, len(data))
            data = put(data, 2, checksum(head + data))
        self.note("to everybody")
        mac = "01005e000009" if version == 4 else "333300000009"
        return "in", src, dst, protocol, data, bytes.fromhex(mac) + MAC_OUTSIDE

    def discovery(self):
        """A message of neighbour discovery that is not of the link."""
        way = self.r.choice(("in", "in", "out"))
        src, dst = self.r.choice(_HOSTS[6]), self.r.choice(SHARED[6])
        if way == "out":
            src, dst = FIXED[6][0], src
        elif self.odd(40):
            src = self.r.choice(_FOREIGN[6])
        data = struct.pack("!BBHI", self.r.choice((134, 136)), 0, 0, 0) + self.r.randbytes(24)
        data = put(data, 2, checksum(pseudo(src, dst, ICMP_V6, len(data)) + data))
        self.note("neighbour discovery")
        macs = MAC_SHARED + MAC_OUTSIDE if way == "in" else MAC_INSIDE + MAC_VM
        return way, src, dst, ICMP_V6, data, macs

    def answer(self, version):
        """To a question that nobody has asked."""
        src, dst = FIXED[version][0], _UNMAPPED_SHARED[version]
        protocol, kind = (ICMP, 0) if version == 4 else (ICMP_V6, 129)
        data = struct.pack("!BBHHH", kind, 0, 0, 1, 1) + self.data(100)
        head = b"" if version == 4 else pseudo(src, dst, protocol, len(data))
        self.note("an answer")
        return "out", src, dst, protocol, put(data, 2, checksum(head + data)), MAC_INSIDE + MAC_VM

    def hairpin(self):
        """A fragment for another VM that overwrites the first one's header, or a redirect."""
        src, dst, data = FIXED[4][0], SHARED[4][1], self.r.randbytes(24)
        if self.odd(50):
            header = put(self.header_v4(src, dst, TCP, len(data), 64), 6, 1)
        else:
            header = self.header_v4(src, dst, ICMP, len(data), 64)
            data = put(bytes((5, 1)) + data[2:], 2, checksum(b"\5\1\0\0" + data[4:]))
        header = put(header, 10, 0)
        self.note("hairpin")
        return Case(self.number, "out", 4, MAC_INSIDE + MAC_VM + struct.pack("!H", V4)
                    + put(header, 10, checksum(header)) + data, ", ".join(self.notes))

    def rare(self):
        version = self.r.choice((4, 6))
        kind = self.pick((5, "everybody"), (4, "discovery"), (1, "answer"), (2, "hairpin"))
        if kind == "hairpin":
            return self.hairpin()
        if kind == "discovery":
            version = 6
        way, src, dst, protocol, data, macs = \
            self.to_everybody(version) if kind == "everybody" else \
            self.discovery() if kind == "discovery" else self.answer(version)
        packet = self.packet(version, src, dst, protocol, data, 64, oddities=False)
        return Case(self.number, way, version,
                    macs + struct.pack("!H", V4 if version == 4 else V6) + packet[:1500],
                    ", ".join(self.notes))

    def case(self):
        if self.odd(2):
            return self.rare()
        version, way = self.r.choice((4, 4, 6)), self.r.choice(("in", "out"))
        src, dst = self.ends(version, way)
        ttl = self.pick((10, 64), (3, 1), (3, 2), (2, 255), (1, 0), (2, self.r.randint(3, 254)))
        if way == "in" and version == 4 and self.odd(0.7):
            src, ttl = _GROUPS[4][2], 1     # the router answers to everybody
        most = 1500 - (20 if version == 4 else 40)
        after = (src, TO_FIXED[version].get(dst, dst)) if way == "in" else \
            (TO_SHARED[version].get(src, src), dst)
        hairpin = way == "out" and dst in TO_FIXED[version]
        own = dst in OWN[version]
        # the router would learn path MTUs from errors, and treat what comes later by them
        if self.odd(30) and not own:
            protocol = ICMP if version == 4 else ICMP_V6
            data = self.error(version, src, dst, self.quoted(version, way, src, dst), most)
        else:
            # the router's own answers are to be the same each time, and to come at once
            protocol = self.r.choice((TCP, UDP, 253)) if own else self.protocol(version)
            data = self.message(version, protocol, most)
            data = self.checksummed(version, src, dst, protocol, data, after)
        packet = self.packet(version, src, dst, protocol, data, ttl, oddities=not own)
        if len(packet) > 1500:
            packet = self.fit(version, packet)
        if version == 4 and ttl > 1 and not hairpin and self.odd(4):
            packet = self.steer_header_v4(packet, src if way == "out" else dst,
                                          after[0] if way == "out" else after[1])
        if self.odd(5):
            packet = self.tamper(version, packet)
        if self.odd(10):
            packet += self.r.randbytes(self.r.randint(1, max(1, min(40, 1500 - len(packet)))))
        packet = packet[:1500]
        return Case(self.number, way, version, self.ethernet(version, way) + packet,
                    ", ".join(self.notes))

    def fit(self, version, packet):
        """Options or extensions have made it too long for the link: end it earlier."""
        packet = packet[:1500]
        if version == 6:
            return put(packet, 4, len(packet) - 40)
        packet = put(put(packet, 2, len(packet)), 10, 0)
        return put(packet, 10, checksum(packet[:(packet[0] & 15) * 4]))

    def ethernet(self, version, way):
        src, dst = (MAC_OUTSIDE, MAC_SHARED) if way == "in" else (MAC_VM, MAC_INSIDE)
        if self.odd(3):
            dst = self.r.choice((MAC_OTHER, b"\xff" * 6, bytes.fromhex("01005e000009"),
                                 bytes.fromhex("333300000009")))
            self.note("frame to " + dst.hex(":"))
        if way == "out" and self.odd(2):
            src = MAC_OTHER
            self.note("frame from " + src.hex(":"))
        return dst + src + struct.pack("!H", V4 if version == 4 else V6)


def case(seed, number):
    return Maker(seed, number).case()


def sentinel(way, serial):
    """A plain datagram that both sides let through."""
    data = SENTINEL + b"%d" % serial
    src, dst = packed(HOSTS[4][0])[0], SHARED[4][0]
    macs = MAC_SHARED + MAC_OUTSIDE
    if way == "out":
        src, dst, macs = FIXED[4][0], src, MAC_INSIDE + MAC_VM
    if way == "up":     # what a router passes on
        src, dst, macs = _FOREIGN[4][0], FIXED[4][0], MAC_UPLINK + MAC_PROVIDER
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0, 64, UDP, 0) + src + dst
    return macs + struct.pack("!H", V4) + put(header, 10, checksum(header)) + \
        struct.pack("!HHHH", 7, 7, 8 + len(data), 0) + data

