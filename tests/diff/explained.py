# SPDX-License-Identifier: GPL-2.0-only
"""
Where tenantnat may differ from nftables, why, and what it has to do there instead: EXPLAINED is
the whole list. What no entry explains has to be equal, byte by byte, and so has what an entry
makes of the frames that came through nftables. An entry is of one of four kinds:

    enters    the packet is dropped as it enters, with a reason
    leaves    a frame that nftables lets out to the shared network is dropped, with a reason
    changes   a frame is to be another one, or to come out at the other end
    hides     what depends on time or chance is taken out of both frames before they are compared
"""
import ipaddress
import struct
from collections import namedtuple

from generate import (BEHIND_UPLINK, FIXED, GROUPS, HOSTS, MAC_INSIDE, MAC_OTHER, MAC_VM, OWN,
                      SHARED, TO_FIXED, TO_SHARED, UPLINK, packed)
from wire import (AH, DCCP, ETH, Fault, ICMP, ICMP_V6, Packet, TCP, TIMESTAMP, UDP, UDPLITE, V4, V6,
                  checksum, never_zero, pseudo, put, replace, resum_icmp, total, word)

SUBNETS = [ipaddress.ip_network(n) for n in ("100.64.0.0/16", "fd64::/64")]
INSIDE = [ipaddress.ip_network(n) for n in ("10.0.0.0/24", "fd00:10::/64")]
# RFC 792, 950, 8335, 4443 and 4620
ICMP_REPLIES = (0, 14, 16, 18, 43, 129, 140, 161)
ROUTER = OWN[4] + UPLINK[4]
ASTRAY = {v: packed(*BEHIND_UPLINK[v]) for v in (4, 6)}
BROADCAST = packed(*(a for a in GROUPS[4] if not a.startswith("224.")))

Entry = namedtuple("Entry", "name kind reason does why")
EXPLAINED = []


def within(address, networks):
    address = ipaddress.ip_address(address)
    return any(address in n for n in networks)


def shared(address):
    """In the tables, and so here, an IPv4-mapped IPv6 address is an IPv4 address."""
    return within(address[12:] if address[:12] == bytes(10) + b"\xff\xff" else address, SUBNETS)


def known(address):
    """Of a tenant: in a mapping, a router's, or a host's that the definitions have."""
    return address in SHARED[4] + SHARED[6] + packed(*HOSTS[4], *HOSTS[6]) \
        or address in (OWN[4][0], OWN[6][0])


def is_group(address):
    return address[0] >= 0xe0 and len(address) == 4 and address not in BROADCAST \
        and address[0] < 0xf0 or len(address) == 16 and address[0] == 0xff


def entry(name, kind, why, reason=None):
    """Puts a function into the table; its docstring is not needed: `why` is printed."""
    def decorate(does):
        EXPLAINED.append(Entry(name, kind, reason or (name if kind in ("enters", "leaves")
                                                      else None), does, why))
        return does
    return decorate


class Sight:
    """
    A case as the rules see it: its packet, or the fault for which it cannot be believed; `astray`:
    the routes to some lead to the uplink.
    """

    def __init__(self, case, astray=False):
        self.astray = astray
        self.case, self.way, self.version = case, case.way, case.version
        self.packet, self.fault = None, None
        packet = Packet.__new__(Packet)
        try:
            packet.__init__(case.frame)
            self.packet = packet
        except Fault as fault:
            self.fault = str(fault)
        # known also of a packet that is refused for what is behind them
        self.ends = (packet.src, packet.dst) if hasattr(packet, "dst") else None
        self.mac, self.sender = case.frame[:6], case.frame[6:12]
        self.for_others = self.mac == MAC_OTHER
        self.to_many = self.mac[0] & 1
        self.inward = self.way == "in" and not self.for_others
        # a VM's packet to another VM of the same router, or to itself
        self.hairpin = bool(self.way == "out" and self.packet and not self.to_many
                            and not self.for_others and self.packet.dst in SHARED[self.version])

# ------------------------------------------------------------ entering from the shared network

@entry("malformed", "enters", "nftables translates what it can and leaves it to others to look at "
       "lengths, extension headers without end, and L4 headers that are cut off; the router's own "
       "stack drops a part of these")
def malformed(see):
    return see.inward and see.fault == "malformed"


@entry("bad-checksum", "enters", "the kernel drops an IPv4 header with a wrong checksum itself, "
       "uncounted by anybody's name; tenantnat must see it first, because it would correct the sum "
       "by increment otherwise")
def bad_checksum(see):
    return see.inward and see.fault == "bad-checksum"


@entry("source-route", "enters", "a packet that names its own way could lead around the "
       "translation")
def source_route(see):
    return see.inward and see.fault == "source-route"


@entry("record-route", "enters", "the router would write private addresses into a packet that the "
       "answer carries over the shared network")
def record_route(see):
    return see.inward and see.fault == "record-route"


def to_groups(see):
    p = see.packet
    return bool(see.to_many and (is_group(p.dst) or p.dst in BROADCAST[:2]))


@entry("error to everybody", "enters", "nobody sends an error about what was sent to many (RFC "
       "1122, 3.2.2), but a kernel might believe one", "forged-error")
def error_to_groups(see):
    return see.inward and see.packet and to_groups(see) and see.packet.icmp() == "error"


@entry("redirect to everybody", "enters", "as an error", "icmp-redirect")
def redirect_to_groups(see):
    return see.inward and see.packet and to_groups(see) and see.packet.icmp() == "redirect"


@entry("foreign source to everybody", "enters", "what the router would answer is from the shared "
       "network", "foreign-source")
def foreign_to_groups(see):
    p = see.packet
    return bool(see.inward and p and to_groups(see) and p.protocol in (ICMP, ICMP_V6, TCP, UDP)
                and not shared(p.src) and any(p.src))


def arriving(see):
    return see.inward and see.packet and not to_groups(see)


def ours(see):
    """A mapped address of this router, or its own on the shared network."""
    p = see.packet
    return p.dst == OWN[p.version][0] or p.dst in SHARED[p.version] and not see.to_many


def discovery(see):
    return bool(see.packet and see.packet.icmp() == "nd")


@entry("discovery of a foreign source", "enters", "neighbour discovery is of the link: nobody from "
       "elsewhere sends it", "foreign-source")
def discovery_foreign(see):
    p = see.packet
    return see.inward and discovery(see) and not shared(p.src) and any(p.src) \
        and p.src[:2] != b"\xfe\x80"


@entry("discovery from afar", "enters", "neighbour discovery is of the link, which its hop limit "
       "proves, and whole; nftables forwards it", "malformed")
def discovery_forwarded(see):
    p = see.packet
    return see.inward and discovery(see) and p.data[p.l4] in (135, 136) \
        and (p.ttl != 255 or p.l4_len < 24 or p.data[p.l4 + 1] != 0)


@entry("discovery to a VM", "enters", "neighbour discovery is of the link: none is for a VM, to which "
       "nftables forwards it", "unmapped")
def discovery_to_vm(see):
    p = see.packet
    return see.inward and discovery(see) and p.data[p.l4] != 137 and p.dst in SHARED[6]


@entry("unmapped", "enters", "nftables lets the router forward what it does not translate, back "
       "to the shared network here")
def unmapped(see):
    return arriving(see) and not ours(see) and shared(see.packet.dst)


@entry("direct-to-private", "enters", "nftables lets anybody on the shared network write to "
       "private addresses")
def direct_to_private(see):
    return arriving(see) and not ours(see) and not shared(see.packet.dst)


def mapped_arrival(see):
    return arriving(see) and ours(see)


@entry("spoofed-source", "enters", "nftables does not know whose a source is: one of this "
       "router's own shared addresses does not come in from the shared network")
def spoofed_source(see):
    p = see.packet
    return mapped_arrival(see) and (p.src in SHARED[p.version] or p.src == OWN[p.version][0])


@entry("foreign-source", "enters", "nftables asks for no source: only shared addresses come in, "
       "and none that is everybody's")
def foreign_source(see):
    p = see.packet
    return mapped_arrival(see) and (not shared(p.src) or p.src in BROADCAST)


def translated(see):
    return mapped_arrival(see) and see.packet.dst in SHARED[see.version]


@entry("auth-header", "enters", "IPsec AH covers the addresses: translated, it would be refused "
       "by the receiver, who has no word for why")
def auth_header(see):
    return translated(see) and see.packet.protocol == AH


@entry("icmp-redirect", "enters", "the gateway that a redirect names is on the wrong side of the "
       "translation")
def redirect(see):
    return translated(see) and see.packet.icmp() == "redirect"


def leads_astray(see):
    """To a VM behind the uplink."""
    return see.astray and translated(see) \
        and TO_FIXED[see.version][see.packet.dst] in ASTRAY[see.version]


@entry("wrong-egress of an error", "enters", "nftables translates whatever the routes say; what is "
       "for a VM leaves by an inside interface, or not at all", "wrong-egress")
def wrong_egress_error(see):
    return leads_astray(see) and see.packet.icmp() == "error"


def quotes_nothing(packet):
    try:
        packet.quote()
    except Fault:
        return True
    return False


@entry("error without quote", "enters", "an error that quotes less than an IP header concerns "
       "nobody; nftables does not look inside", "malformed")
def error_malformed(see):
    return translated(see) and see.packet.icmp() == "error" and quotes_nothing(see.packet)


@entry("forged-error", "enters", "nftables does not look inside: an error about a packet that "
       "the receiver cannot have sent")
def forged_error(see):
    p = see.packet
    return translated(see) and p.icmp() == "error" and p.quote().src != p.dst


def talks(see):
    return translated(see) and see.packet.icmp() not in ("error", "redirect")


@entry("fragment", "enters", "nftables lets fragments overwrite the header of the first one, and "
       "those pass whose first one nobody has accepted")
def fragment(see):
    p = see.packet
    return talks(see) and p.rest and (p.overwrites() or not known(p.src))


@entry("wrong-egress", "enters", "nftables translates whatever the routes say: what is for a VM "
       "would leave by the uplink, with its private address")
def wrong_egress(see):
    return leads_astray(see)


@entry("wrong-egress of an answer", "enters", "the router's own kernel answers a packet whose hops "
       "are over, and one with options or extension headers if it does not like them; to a sender "
       "whose route leads to the uplink it would do so there, and quote the VM's private address",
       "wrong-egress")
def wrong_egress_answer(see):
    p = see.packet
    return talks(see) and see.astray and p.src in ASTRAY[see.version] \
        and (p.ttl < 2 or p.l4 != p.at + (20 if p.version == 4 else 40))


def told(see):
    """The frame by which the sender hears that there is no way; None: he is not to hear of it."""
    p = see.packet
    if p.rest or p.icmp() or not is_one_host(p.src) or is_group(p.dst):
        return None
    quote = p.data[p.at:p.end][:128]
    own, to, macs = OWN[p.version][0], p.src, see.sender + see.mac
    if p.version == 4:
        icmp = struct.pack("!BBHI", 3, 1, 0, 0) + quote
        icmp = put(icmp, 2, checksum(icmp))
        header = struct.pack("!BBHHHBBH", 0x45, 0xc0, 20 + len(icmp), 0, 0, 64, ICMP, 0) + own + to
        return macs + struct.pack("!H", V4) + put(header, 10, checksum(header)) + icmp
    icmp = struct.pack("!BBHI", 1, 0, 0, 0) + quote
    icmp = put(icmp, 2, checksum(pseudo(own, to, ICMP_V6, len(icmp)) + icmp))
    return macs + struct.pack("!HIHBB", V6, 6 << 28, len(icmp), ICMP_V6, 64) + own + to + icmp


def is_one_host(address):
    if len(address) == 4:
        return address[0] not in (0, 127) and address[0] < 224
    return address[0] != 0xff and address not in (bytes(16), bytes(15) + b"\1")


# ------------------------------------------------------------------ entering from a VM

def speaking(see):
    """Only what the kernel is going to take for a packet is judged."""
    return see.way == "out" and not see.for_others and see.ends and see.fault != "bad-checksum"


def sending(see):
    """And what it may forward."""
    return speaking(see) and not see.to_many


@entry("spoofed shared source", "enters", "nftables asks no VM who it is: none sends as a shared "
       "address, not even as its own", "spoofed-source")
def spoofed_shared(see):
    return speaking(see) and shared(see.ends[0])


@entry("discovery of a VM", "enters", "neighbour discovery is of the link: none goes to the shared "
       "network, where nftables forwards it", "malformed")
def discovery_vm(see):
    return speaking(see) and discovery(see) and not shared(see.ends[0]) and shared(see.ends[1]) \
        and see.packet.dst != OWN[6][0]


def to_shared(see):
    return sending(see) and not shared(see.ends[0]) and shared(see.ends[1])


@entry("malformed packet of a VM", "enters", "as from the shared network", "malformed")
def vm_malformed(see):
    return to_shared(see) and see.fault == "malformed"


@entry("source-route of a VM", "enters", "as from the shared network", "source-route")
def vm_source_route(see):
    return to_shared(see) and see.fault == "source-route"


@entry("record-route of a VM", "enters", "as from the shared network", "record-route")
def vm_record_route(see):
    return to_shared(see) and see.fault == "record-route"


@entry("spoofed VM source", "enters", "nftables asks no VM who it is: an answer would have to go "
       "to where the packet came from", "spoofed-source")
def spoofed_vm(see):
    if not to_shared(see):
        return False
    src = see.packet.src
    neighbour = within(src, INSIDE) and src not in (*OWN[see.version], *BROADCAST)
    return not neighbour or see.sender != MAC_VM or see.astray and src in ASTRAY[see.version]


@entry("wrong-egress of a VM", "enters", "nftables lets out what the routes lead past the shared "
       "interface, by the uplink and as it is", "wrong-egress")
def wrong_egress_vm(see):
    return see.astray and to_shared(see) and see.packet.dst in ASTRAY[see.version]


def hairpin(see):
    return see.hairpin and see.packet.src in FIXED[see.version]


@entry("hairpin of nobody", "enters", "a VM without a mapping has no address that another VM could "
       "answer to", "untranslated")
def hairpin_untranslated(see):
    if not see.hairpin or hairpin(see) or see.packet.icmp() != "error":
        return see.hairpin and not hairpin(see)
    if quotes_nothing(see.packet):
        return False
    quote = see.packet.quote()      # a router between ours and a VM has none either
    return quote.src == see.packet.dst and quote.dst not in FIXED[see.version]


@entry("hairpin with auth-header", "enters", "as from the shared network", "auth-header")
def hairpin_auth_header(see):
    return hairpin(see) and see.packet.protocol == AH


@entry("hairpin of a redirect", "enters", "as from the shared network", "icmp-redirect")
def hairpin_redirect(see):
    return hairpin(see) and see.packet.icmp() == "redirect"


def hairpin_error(see):
    """Also of somebody without a mapping: it may be a router between ours and a VM."""
    return see.hairpin and see.packet.icmp() == "error"


@entry("hairpin of an error without quote", "enters", "as from the shared network", "malformed")
def hairpin_malformed(see):
    return hairpin_error(see) and quotes_nothing(see.packet)


@entry("hairpin of a forged error", "enters", "as from the shared network: it is about what was "
       "sent to its sender, by the one it is for", "forged-error")
def hairpin_forged(see):
    return hairpin(see) and hairpin_error(see) and see.packet.quote().dst != see.packet.src


@entry("hairpin of a leaking error", "enters", "as to the shared network: it quotes a packet of "
       "nobody there", "untranslated")
def hairpin_leaks(see):
    return hairpin_error(see) and not shared(see.packet.quote().src)


@entry("hairpin of another's error", "enters", "as from the shared network: it is about what "
       "somebody else sent", "forged-error")
def hairpin_not_yours(see):
    return hairpin_error(see) and see.packet.quote().src != see.packet.dst


@entry("hairpin of a fragment", "enters", "as from the shared network", "fragment")
def hairpin_fragment(see):
    return hairpin(see) and see.packet.overwrites()


# ------------------------------------------------------------------ leaving to the shared network

class Leaving:
    """
    A frame that came out of nftables to the shared network: as a packet, with the source that it
    had before; whether the router made it itself.
    """

    def __init__(self, see, frame):
        self.see, self.frame = see, frame
        self.version = 4 if word(frame, 12) == V4 else 6
        at, size = (ETH + 12, 4) if self.version == 4 else (ETH + 8, 16)
        wire = frame[at:at + size]
        self.own = wire == OWN[self.version][0]
        self.src = TO_FIXED[self.version].get(wire, wire)
        self.mapped = self.src in FIXED[self.version]
        self.packet, self.fault = None, None
        try:
            self.packet = Packet(frame)
        except Fault as fault:
            self.fault = str(fault)

    def error(self):
        """The quoted packet of an error; None: it is no error, or quotes nothing."""
        if not self.packet or self.packet.icmp() != "error" or quotes_nothing(self.packet):
            return None
        return self.packet.quote()


def of_uplink(leaving):
    """Forwarded from there."""
    sent = leaving.see.packet
    return leaving.see.way == "up" and not (leaving.own and sent and
                                            sent.src != OWN[leaving.version][0])


@entry("malformed of the uplink", "leaves", "as from a VM, but by who forwards it", "malformed")
def uplink_malformed(leaving):
    return of_uplink(leaving) and "malformed" in (leaving.fault, leaving.see.fault)


@entry("source-route of the uplink", "leaves", "as from a VM", "source-route")
def uplink_source_route(leaving):
    return of_uplink(leaving) and leaving.fault == "source-route"


@entry("record-route of the uplink", "leaves", "as from a VM", "record-route")
def uplink_record_route(leaving):
    return of_uplink(leaving) and leaving.fault == "record-route"


@entry("wrong-ingress", "leaves", "nftables translates by the source alone: whoever is outside sends "
       "as a VM, or as the router")
def wrong_ingress(leaving):
    p = leaving.packet
    return bool(of_uplink(leaving) and p
                and (leaving.mapped and leaving.see.packet
                     and leaving.see.packet.src == leaving.src
                     or leaving.own or p.icmp() == "error" and not shared(p.src)))


@entry("untranslated of the uplink", "leaves", "as of a VM; nobody out there is asked for an error "
       "either", "untranslated")
def uplink_untranslated(leaving):
    return of_uplink(leaving) and leaving.packet


@entry("untranslated", "leaves", "nftables lets out what it does not translate: the shared network "
       "would see a private source")
def untranslated(leaving):
    p = leaving.packet
    if not p or leaving.own or leaving.mapped or p.icmp() == "error" and quotes_nothing(p):
        return False
    return not error_of_router_inside(leaving) and not leaving_not_yours(leaving)


def error_of_router_inside(leaving):
    """About a packet to a VM, by somebody without a mapping: a router between it and ours."""
    quote = leaving.error()
    return bool(quote and not leaving.own and not leaving.mapped and not shared(leaving.src)
                and quote.src == leaving.packet.dst and shared(quote.src)
                and quote.dst in FIXED[leaving.version])


@entry("leaving auth-header", "leaves", "as on the way in", "auth-header")
def leaving_auth_header(leaving):
    p = leaving.packet
    return leaving.mapped and p and p.protocol == AH


@entry("leaving redirect", "leaves", "as on the way in", "icmp-redirect")
def leaving_redirect(leaving):
    return leaving.mapped and leaving.packet and leaving.packet.icmp() == "redirect"


@entry("leaving error without quote", "leaves", "as on the way in", "malformed")
def leaving_error_malformed(leaving):
    p = leaving.packet
    return not leaving.own and p and p.icmp() == "error" and quotes_nothing(p)


@entry("leaving forged error", "leaves", "nftables does not look inside: an error about a packet "
       "that the VM cannot have got", "forged-error")
def leaving_forged(leaving):
    quote = leaving.error()
    return leaving.mapped and quote and quote.dst != leaving.src


@entry("leaving error leaks", "leaves", "nftables does not look inside: the quoted source is a "
       "private address", "untranslated")
def leaving_leaks(leaving):
    quote = leaving.error()
    return leaving.mapped and quote and not shared(quote.src)


@entry("leaving another's error", "leaves", "nftables does not look inside: an error goes to whom "
       "the packet came from that it is about", "forged-error")
def leaving_not_yours(leaving):
    quote = leaving.error()
    return bool(quote and shared(quote.src) and quote.src != leaving.packet.dst
                and (leaving.mapped or not shared(leaving.src)))


@entry("leaving error about a stranger", "leaves", "as on the way in", "forged-error")
def leaving_about_a_stranger(leaving):
    quote = leaving.error()
    return bool(quote and shared(quote.src) and not known(quote.src)
                and quote.dst in FIXED[leaving.version])


@entry("leaving answer to a stranger", "leaves", "nobody has asked: only a rule could have accepted "
       "what the VM says it answers", "not-accepted")
def leaving_answer(leaving):
    p = leaving.packet
    return bool(leaving.mapped and p and not p.rest and not known(p.dst)
                and p.protocol in (ICMP, ICMP_V6) and p.data[p.l4] in ICMP_REPLIES)


@entry("leaving fragment", "leaves", "as on the way in: what the router itself takes apart is whole "
       "before", "fragment")
def leaving_fragment(leaving):
    p, sent = leaving.packet, leaving.see.packet
    return leaving.mapped and p and p.icmp() != "error" and \
        (p.overwrites() or bool(sent and sent.rest and not known(p.dst)))


# ------------------------------------------------------------------ other bytes

class Frame:
    """
    What is expected: a frame, the end it comes out of, and `loose`: {offset: never zero}, where
    a checksum may be written either way, 0x0000 or 0xffff.
    """

    def __init__(self, end, data):
        self.end, self.data, self.loose = end, data, {}

    def state(self):
        return self.end, self.data

    def set(self, packet, side, new):
        """Replace an address of the packet, or of one quoted in it, with all of its checksums."""
        self.data, where = replace(self.data, packet, side, new)
        l4 = packet.sum_at()
        self.loose.update({at: at == l4 and never_zero(packet.protocol) for at in where})

    def resum(self, before):
        self.data, at = resum_icmp(before, self.data)
        self.loose[at] = False

    def equals(self, other):
        """Whether the other frame is this one."""
        mine = self.data
        for at, never in self.loose.items():
            if other[at:at + 2] in (b"\0\0", b"\xff\xff") and mine[at:at + 2] in (b"\0\0",
                                                                                  b"\xff\xff"):
                if not (never and other[at] == 0):
                    mine = put(mine, at, other[at:at + 2])
        return mine == other


def packet_of(frame):
    try:
        return Packet(frame.data)
    except Fault:
        return None


def forwarded(see, frame, packet):
    """Whether the router only passed it on."""
    return bool(see.packet and packet and packet.src not in OWN[packet.version])


@entry("quoted source", "changes", "nftables does not look inside: the packet that an error "
       "quotes has to be the one that the VM sent, with all of its checksums")
def quoted_source(see, frame):
    packet = packet_of(frame)
    if see.way != "in" or frame.end != "out" or not forwarded(see, frame, packet) \
            or packet.icmp() != "error" or not translated(see):
        return
    before, quote = frame.data, packet.quote()
    frame.set(quote, "src", TO_FIXED[see.version][quote.src])
    frame.resum(before)


@entry("quoted destination", "changes", "nftables does not look inside: the packet that an error "
       "of a VM quotes has to be the one that its sender sent")
def quoted_destination(see, frame):
    packet = packet_of(frame)
    if see.way != "out" or frame.end != "in" or not forwarded(see, frame, packet) \
            or packet.icmp() != "error" or see.packet.src not in FIXED[see.version]:
        return
    before, quote = frame.data, packet.quote()
    frame.set(quote, "dst", TO_SHARED[see.version][quote.dst])
    frame.resum(before)


@entry("error of a router inside", "changes", "nobody out there knows a router between ours and a "
       "VM: ours lends its address to the error (RFC 5508, 4.2), which nftables lets out as it is")
def error_inside(see, frame):
    packet = packet_of(frame)
    if see.way != "out" or frame.end != "in" \
            or not error_of_router_inside(Leaving(see, frame.data)):
        return
    before, quote = frame.data, packet.quote()
    frame.set(quote, "dst", TO_SHARED[see.version][quote.dst])
    if packet.version == 4:
        frame.resum(before)
        frame.set(packet, "src", OWN[4][0])
    else:
        frame.set(packet, "src", OWN[6][0])
        frame.resum(before)


@entry("quoted by the router", "changes", "the router's own error quotes the packet as it was "
       "after the translation; its sender has to find the one that it sent")
def quoted_by_router(see, frame):
    packet = packet_of(frame)
    if see.way != "in" or frame.end != "in" or not packet or packet.icmp() != "error" \
            or packet.src not in OWN[packet.version]:
        return
    quote = packet.quote()
    if quote.dst not in FIXED[packet.version]:
        return
    before = frame.data
    frame.set(quote, "dst", see.packet.dst)
    at, was = quote.sum_at(), see.packet.sum_at()
    if packet.version == 4 and quote.protocol == ICMP_V6 and not quote.rest:
        at, was = quote.l4 + 2, see.packet.l4 + 2
    if at is not None and was is not None:
        # what nftables made of it is not asked: it has to be what was sent
        frame.data = put(frame.data, at, word(see.case.frame, was))
        frame.loose[at] = never_zero(quote.protocol)
    frame.resum(before)


def put_hops(data, packet):
    """The hop limit of another packet: the kernel neither counts down what is delivered past it,
    nor cuts off what is behind it."""
    if packet.version == 6:
        return put(data, ETH + 7, packet.data[ETH + 7:ETH + 8])
    data = put(put(data, ETH + 8, packet.data[ETH + 8:ETH + 9]), ETH + 10, 0)
    return put(data, ETH + 10, checksum(data[ETH:header_end(data)]))


def header_end(data):
    """Of the IPv4 header."""
    return ETH + 4 * (data[ETH] & 15)


@entry("hairpin", "changes", "nftables sends a VM's packet for a shared address of the same router "
       "out, where nobody sends it back; tenantnat turns it round, and the other VM sees the "
       "shared address")
def turned_round(see, frame):
    packet = packet_of(frame)
    if frame.end != "in" or not packet:
        return
    lent = see.hairpin and packet.icmp() == "error" and packet.src == OWN[see.version][0]
    if not lent and not hairpin(see):
        return
    if lent:
        frame.data = put_hops(frame.data, see.packet) + see.case.frame[len(frame.data):]
        packet = packet_of(frame)
    before, new = frame.data, TO_FIXED[see.version][packet.dst]
    if packet.icmp() == "error":
        frame.set(packet.quote(), "src", new)
    frame.set(packet, "dst", new)
    if packet.icmp() == "error":
        frame.resum(before)
    frame.end = "out"
    frame.data = MAC_VM + MAC_INSIDE + frame.data[12:]


@entry("error about a hairpin", "changes", "the router meets a packet that turns round as one from "
       "the shared network: it answers with its shared address, and the answer turns round too")
def error_about_hairpin(see, frame):
    packet = packet_of(frame)
    if hairpin(see) and frame.end == "out" and packet and packet.icmp() == "error" \
            and packet.src == OWN[see.version][1]:
        frame.set(packet, "src", OWN[see.version][0])
        quote = packet.quote()      # translated, and back again
        if quote.sum_at() is not None:
            frame.loose[quote.sum_at()] = never_zero(quote.protocol)


@entry("DCCP", "changes", "nftables does not know that the checksum of DCCP covers the addresses")
def dccp(see, frame):
    packet = packet_of(frame)
    if not forwarded(see, frame, packet) or packet.protocol != DCCP:
        return
    at, was = packet.sum_at(), see.packet.sum_at()
    if at is None or was is None:
        return
    change = sum(total(a) for a in (see.packet.src, see.packet.dst)) - \
        sum(total(a) for a in (packet.src, packet.dst))
    frame.data = put(frame.data, at, (word(see.case.frame, was) + change) % 0xffff)
    frame.loose[at] = False


@entry("ICMPv6 in IPv4", "changes", "nftables corrects a checksum over a pseudo-header there, "
       "which ICMPv6 has in IPv6 alone (RFC 4443, 2.3); tenantnat changes the addresses only")
def icmp_v6_in_v4(see, frame):
    packet = packet_of(frame)
    if not forwarded(see, frame, packet) or packet.version != 4 or packet.protocol != ICMP_V6 \
            or packet.rest or packet.l4_len < 4 or see.packet.rest:
        return
    frame.data = put(frame.data, packet.l4 + 2, word(see.case.frame, see.packet.l4 + 2))


@entry("UDP-Lite without checksum", "changes", "nftables computes with a checksum of zero, which "
       "RFC 3828 forbids; tenantnat leaves it alone, for the receiver to refuse")
def udplite(see, frame):
    packet = packet_of(frame)
    if not forwarded(see, frame, packet) or packet.protocol != UDPLITE:
        return
    at, was = packet.sum_at(), see.packet.sum_at()
    if at is not None and was is not None and not word(see.case.frame, was):
        frame.data = put(frame.data, at, 0)
        frame.loose.pop(at, None)


@entry("zero sums", "changes", "nftables writes a checksum that comes to zero as 0xffff "
       "everywhere; tenantnat does so only where zero means that there is none. Both"
       " are right (RFC 1624)")
def zero_sums(see, frame):
    packet = packet_of(frame)
    if not forwarded(see, frame, packet):
        return
    fields = [packet.at + 10] if packet.version == 4 and frame.end == "in" else []
    if packet.sum_at() is not None and not never_zero(packet.protocol):
        fields.append(packet.sum_at())
    for at in fields:
        if word(frame.data, at) in (0, 0xffff) and at not in frame.loose:
            frame.data = put(frame.data, at, 0)
            frame.loose[at] = False


# ------------------------------------------------------------------ what is not the same twice

# A function of this kind reads one frame, and blanks the same places in another.

@entry("identification", "hides", "the kernel numbers its own IPv4 packets by chance")
def identification(data, less):
    if word(data, 12) != V4 or data[ETH + 12:ETH + 16] not in ROUTER:
        return less
    assert Packet(data, quoted=True).sums()["IP header"], "the router has made a wrong checksum"
    return put(put(less, ETH + 4, 0), ETH + 10, 0)


def without_stamps(less, packet):
    """The stamps of one IP header, and its checksum with them."""
    for kind, at, length in packet.options:
        if kind == TIMESTAMP:
            step, first = (8, 8) if packet.data[at + 3] & 15 else (4, 4)
            for slot in range(at + first, at + length - 3, step):
                less = put(less, slot, b"\0\0\0\0")
            less = put(less, packet.at + 10, 0)
    return less


@entry("time of day", "hides", "routers write the time into the timestamp option (RFC 791)")
def time_of_day(data, less):
    if word(data, 12) != V4:
        return less
    packet = Packet(data, quoted=True)      # whatever else may be wrong with its options
    quote = packet.quote() if packet.icmp() == "error" and not quotes_nothing(packet) else None
    less = without_stamps(less, packet)
    if not quote or packet.src not in ROUTER:
        return less
    quiet = without_stamps(less, quote)
    if quiet != less:
        assert packet.sums()["ICMP"], "the router has made a wrong checksum"
        quiet = put(quiet, packet.l4 + 2, 0)
    return quiet
