# SPDX-License-Identifier: GPL-2.0-only
"""
Frames as bytes: their headers, read independently of the programs under test, and ones'
complement sums as numbers modulo 0xffff, in which 0x0000 and 0xffff are the same.
"""
import struct

ETH, V4, V6 = 14, 0x0800, 0x86dd
ICMP, IGMP, TCP, UDP, DCCP, ROUTING, FRAGMENT, ESP, AH = 1, 2, 6, 17, 33, 43, 44, 50, 51
ICMP_V6, NONE, DEST_OPTIONS, SCTP, UDPLITE, HOP_OPTIONS = 58, 59, 60, 132, 136, 0
RECORD_ROUTE, TIMESTAMP, LOOSE_ROUTE, STRICT_ROUTE, ROUTER_ALERT = 7, 68, 131, 137, 148

WALKED = (HOP_OPTIONS, ROUTING, FRAGMENT, DEST_OPTIONS)
WALKED_MAX = 6
ERRORS_V4, REDIRECT_V4 = (3, 4, 11, 12), 5
# the least header of the protocols that are looked into
LEAST = {TCP: 20, UDP: 8, UDPLITE: 8, ICMP: 8, ICMP_V6: 8, DCCP: 12, SCTP: 12}


def word(data, at):
    return data[at] << 8 | data[at + 1]


def put(data, at, value):
    """The same bytes with another 16-bit word, or with other bytes."""
    if isinstance(value, int):
        value = struct.pack("!H", value)
    return data[:at] + value + data[at + len(value):]


def total(data):
    """The sum of the 16-bit words modulo 0xffff."""
    return int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xffff


def complement(amount):
    """What a sender writes into a checksum field so that all comes to zero."""
    return 0xffff - amount % 0xffff if amount % 0xffff else 0xffff


def checksum(data):
    """RFC 1071, as the kernel writes it: never 0xffff but for a sum of nothing."""
    return 0xffff ^ (total(data) or (0xffff if any(data) else 0))


def checksum_at(protocol, version):
    """Where an L4 header has a checksum over the pseudo-header."""
    if protocol == ICMP_V6:
        return 2 if version == 6 else None
    return {TCP: 16, UDP: 6, UDPLITE: 6, DCCP: 6}.get(protocol)


def never_zero(protocol):
    """Where a checksum of zero means that there is none, or is not allowed."""
    return protocol in (UDP, UDPLITE)


def pseudo(src, dst, protocol, length):
    return src + dst + struct.pack("!IHBB", length, 0, 0, protocol)


def covered(protocol, data):
    """How many bytes of an L4 packet its checksum covers; None: it says nonsense."""
    length = len(data)
    if protocol == UDPLITE:
        length = word(data, 4) or length
        return length if 8 <= length <= len(data) else None
    if protocol == DCCP:
        coverage = data[5] & 15
        length = min(len(data), data[4] * 4 + (coverage - 1) * 4) if coverage else length
    return length


class Fault(Exception):
    """A packet that cannot be believed; the argument is the reason that it is dropped for."""


class Packet:
    """The headers of an IP packet that lies in `data` from `at` on. Raises Fault."""

    def __init__(self, data, at=ETH, version=None, quoted=False):
        self.data, self.at, self.quoted = data, at, quoted
        if version is None:
            version = {V4: 4, V6: 6}[word(data, 12)]
        self.version = version
        self.rest = self.routed = False
        self.offset = 0     # of a fragment, in bytes
        self.options = []
        self.fault = None
        (self._read_v4 if version == 4 else self._read_v6)()
        self.l4_end = max(min(self.end, len(data)), self.l4)
        self.l4_len = self.l4_end - self.l4
        if not quoted and not self.rest and self.l4_len < LEAST.get(self.protocol, 0):
            raise Fault("malformed")
        if not quoted and self.fault:
            raise Fault(self.fault)

    def _read_v4(self):
        data, at = self.data, self.at
        if len(data) < at + 20 or data[at] >> 4 != 4 or data[at] & 15 < 5:
            raise Fault("malformed")
        size, length = (data[at] & 15) * 4, word(data, at + 2)
        if not self.quoted and (length < size or at + length > len(data)):
            raise Fault("malformed")
        self.src, self.dst = data[at + 12:at + 16], data[at + 16:at + 20]
        self.protocol, self.ttl = data[at + 9], data[at + 8]
        self.offset = (word(data, at + 6) & 0x1fff) * 8
        self.rest = self.offset != 0
        self.fragment = word(data, at + 6) & 0x3fff != 0
        self.l4, self.end = at + size, at + length
        self.address_at = {"src": at + 12, "dst": at + 16}
        if not self.quoted and total(data[at:at + size]):
            raise Fault("bad-checksum")
        self._read_options(data[at + 20:at + size])

    def _read_options(self, data):
        at = 0
        while at < len(data) and data[at] != 0:
            if data[at] == 1:
                at += 1
                continue
            if at + 1 >= len(data) or data[at + 1] < 2 or at + data[at + 1] > len(data):
                self.fault = "malformed"
                return
            self.options.append((data[at], self.at + 20 + at, data[at + 1]))
            at += data[at + 1]
        for kind, at, length in self.options:
            if not self.fault and kind in (LOOSE_ROUTE, STRICT_ROUTE):
                self.fault = "source-route"
            elif not self.fault and (kind == RECORD_ROUTE or kind == TIMESTAMP and length > 3
                                     and self.data[at + 3] & 15):   # with addresses
                self.fault = "record-route"

    def _read_v6(self):
        data, at = self.data, self.at
        if len(data) < at + 40 or data[at] >> 4 != 6:
            raise Fault("malformed")
        self.end = at + 40 + word(data, at + 4)
        if not self.quoted and self.end > len(data):
            raise Fault("malformed")
        self.src, self.dst = data[at + 8:at + 24], data[at + 24:at + 40]
        self.protocol, self.ttl = data[at + 6], data[at + 7]
        self.address_at = {"src": at + 8, "dst": at + 24}
        self.fragment = False
        self.l4 = at + 40
        if not self.quoted and bytes(10) + b"\xff\xff" in (self.src[:12], self.dst[:12]):
            raise Fault("malformed")
        self._walk(len(data) if self.quoted else self.end)

    def _walk(self, end):
        walked = 0
        while self.protocol in WALKED and not self.rest:
            walked += 1
            if walked > WALKED_MAX or self.l4 + 4 > len(self.data):
                raise Fault("malformed")
            kind, head = self.protocol, self.data[self.l4:self.l4 + 4]
            if kind == FRAGMENT:
                self.fragment = True
                self.offset = word(head, 2) & 0xfff8
                self.rest = self.offset != 0
            if kind == ROUTING and head[3]:
                self.fault = "source-route"
            self.l4 += 8 if kind == FRAGMENT else 8 + head[1] * 8
            self.protocol = head[0]
            if not self.quoted and self.l4 > end:
                raise Fault("malformed")

    def overwrites(self):
        """A fragment that would write over the header by which the first one is judged."""
        return self.rest and self.offset < LEAST.get(self.protocol, 0)

    def icmp(self):
        """"error", "redirect", "nd" or None."""
        if self.rest or self.protocol != (ICMP if self.version == 4 else ICMP_V6) \
                or not self.l4_len:
            return None
        kind = self.data[self.l4]
        if self.version == 4:
            return "error" if kind in ERRORS_V4 else "redirect" if kind == REDIRECT_V4 else None
        return "error" if kind < 128 else "nd" if 133 <= kind <= 137 else None

    def quote(self):
        """The packet that an ICMP error quotes. Raises Fault."""
        if self.l4_len < 8 + (20 if self.version == 4 else 40):
            raise Fault("malformed")
        try:
            return Packet(self.data[:self.l4_end], self.l4 + 8, self.version, quoted=True)
        except Fault:
            if self.version == 4 or self.data[self.l4 + 8] >> 4 != 6:
                raise
        # its addresses are there; what is behind them cannot be found
        head = put(self.data[:self.l4 + 48], self.l4 + 14, bytes((NONE,)))
        return Packet(head, self.l4 + 8, self.version, quoted=True)

    def sum_at(self):
        """Where the L4 checksum lies that covers the addresses; None: there is none here."""
        at = checksum_at(self.protocol, self.version)
        if at is None or self.rest or self.l4 + at + 2 > self.l4_end:
            return None
        return self.l4 + at

    def sums(self):
        """{name: whether it is right} of all checksums that can be verified in full."""
        out = {}
        if self.version == 4 and self.l4 <= len(self.data):
            out["IP header"] = total(self.data[self.at:self.l4]) == 0
        whole = not self.fragment and self.end <= len(self.data)
        data = self.data[self.l4:self.end]
        if not whole or len(data) < LEAST.get(self.protocol, 0):
            return out
        if self.protocol == ICMP and self.version == 4:
            out["ICMP"] = total(data) == 0
        at = self.sum_at()
        if at is not None:
            length = covered(self.protocol, data)
            nothing = word(self.data, at) == 0 and never_zero(self.protocol)
            if length is not None and not nothing:
                head = pseudo(self.src, self.dst, self.protocol, len(data))
                out["L4"] = (total(head) + total(data[:length])) % 0xffff == 0
        return out


def right_sums(frame):
    """The names of all checksums that are right, also those of a quoted packet."""
    packet = Packet(frame)
    out = {name for name, right in packet.sums().items() if right}
    if packet.icmp() == "error":
        out |= {"quoted " + name for name, right in packet.quote().sums().items() if right}
    return out


def replace(frame, packet, side, new):
    """
    The frame with one address of `packet`, which lies in it, replaced, and the checksums that
    cover it corrected; and where those lie. Its L4 checksum of zero stays if that means none.
    """
    at = packet.address_at[side]
    old, where = getattr(packet, side), []
    change = total(old) - total(new)
    frame = put(frame, at, new)
    if packet.version == 4:
        where.append(packet.at + 10)
    l4 = packet.sum_at()
    if l4 is not None and (word(frame, l4) or not never_zero(packet.protocol)):
        where.append(l4)
    for field in where:
        value = (word(frame, field) + change) % 0xffff
        frame = put(frame, field, value or (0xffff if field == l4 else 0))
    return frame, where


def resum_icmp(before, after):
    """
    `after` with the checksum of its ICMP message as wrong, or right, as the one of `before` is:
    computed over all of both. And where it lies.
    """
    def everything(frame, packet):
        message = total(frame[packet.l4:packet.l4_end])
        if packet.version == 6:
            message += total(packet.src) + total(packet.dst)
        return message

    packet = Packet(after)
    at = packet.l4 + 2
    defect = everything(before, Packet(before))
    now = everything(put(after, at, 0), packet)
    return put(after, at, (defect - now) % 0xffff), at
