# SPDX-License-Identifier: GPL-2.0-only
"""
A client's own conntrack as the judge of ICMP errors: to it, one is `related` only if the outer
header and the quoted packet both name the client's flow, as the client itself knows it.

Every error has a number, in the IPv4 identification or the IPv6 flow label, so that the verdict
on each is known.
"""
import contextlib
import itertools
import socket
import struct

from scapy.all import (ICMP, IP, Ether, HBHOptUnknown, ICMPv6DestUnreach,
                       ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6,
                       IPv6ExtHdrHopByHop, Raw)

from case import equal, eventually, hook
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED2_V6, FIXED_V6, PLAIN, PLAIN_V6, RED1,
                 RED1_V6, RED2, RED2_V6)
from test_six import client_v6, dual_stack, server_v6
from traffic import Watch, client, send_frames, server

RULES = """
table inet judge {
    set four { typeof ip id . ct state; flags dynamic; size 4096; }
    set six { typeof ip6 flowlabel . ct state; flags dynamic; size 4096; }
    set kinds_four { typeof icmp type . icmp code . ct state; flags dynamic; counter; }
    set kinds_six { typeof icmpv6 type . icmpv6 code . ct state; flags dynamic; counter; }
    chain in {
        type filter hook input priority 0;
        icmp type { destination-unreachable, time-exceeded, parameter-problem } jump four
        icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } \
jump six
    }
    chain four {
        update @four { ip id . ct state }
        update @kinds_four { icmp type . icmp code . ct state }
    }
    chain six {
        update @six { ip6 flowlabel . ct state }
        update @kinds_six { icmpv6 type . icmpv6 code . ct state }
    }
}
"""

# host: how it sees itself in IPv4 and IPv6, how others see it, and its device
HOSTS = {"red1": ((FIXED, FIXED_V6), (RED1, RED1_V6), "eth0"),
         "red2": ((FIXED2, FIXED2_V6), (RED2, RED2_V6), "eth0"),
         "blue1": ((FIXED, FIXED_V6), (BLUE1, BLUE1_V6), "eth0"),
         "plain": ((PLAIN, PLAIN_V6), (PLAIN, PLAIN_V6), "shared0")}
# who had a flow with whom, and who sends the error about it
PAIRS = [("red1", "plain"), ("plain", "red1"), ("red1", "blue1"), ("red1", "red2")]

ERRORS_V4 = [ICMP(type=3, code=0), ICMP(type=3, code=1), ICMP(type=3, code=2),
             ICMP(type=3, code=3), ICMP(type=3, code=4, nexthopmtu=1400), ICMP(type=3, code=13),
             ICMP(type=11, code=0), ICMP(type=11, code=1), ICMP(type=12, code=0, ptr=8)]
ERRORS_V6 = [*(ICMPv6DestUnreach(code=code) for code in range(7)),
             ICMPv6PacketTooBig(mtu=1400), ICMPv6TimeExceeded(code=0), ICMPv6TimeExceeded(code=1),
             *(ICMPv6ParamProblem(code=code, ptr=6) for code in range(3))]
STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
STREAM, DATAGRAM, ECHO = 6, 17, {False: 1, True: 58}     # by protocol number
MARK = b"quote me, whole or in part, and say whose I am.."


class Judge:
    """The firewall of a host, while the block runs."""

    def __init__(self, lab, name):
        self.ns, self.rules = lab.ns[name], lab.put("judge.nft", RULES)

    def __enter__(self):
        self.ns.run("nft", "-f", self.rules)
        return self

    def __exit__(self, *_):
        self.ns.run("nft", "delete", "table", "inet", "judge")

    def _elements(self, name):
        """Each a list of the words that it is made of."""
        said = self.ns.run("nft", "-n", "list", "set", "inet", "judge", name).stdout
        if "elements" not in said:
            return []
        listed = said[said.index("elements"):].split("{")[1].split("}")[0]
        return [entry.replace(" . ", " ").split() for entry in listed.split(",")]

    def verdicts(self, v6):
        """{number: what conntrack said of it}"""
        return {int(number, 0): STATES[int(state, 0)] for number, state
                in self._elements("six" if v6 else "four")}

    def kinds(self, v6):
        """{(type, code, what conntrack said of it): how many}"""
        return {(int(kind), int(code), STATES[int(state, 0)]): int(packets)
                for kind, code, state, _, _, packets, _, _
                in self._elements("kinds_six" if v6 else "kinds_four")}


def echo(ns, address, v6):
    """A ping, sent by a socket, so that conntrack knows it; it is closed by the caller."""
    sock = ns.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, ECHO[v6])
    body = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 77, 1) + MARK
    if not v6:
        body = bytes(ICMP(type=8, id=77, seq=1) / Raw(MARK))
    sock.sendto(body, (address, 0))
    return sock


@contextlib.contextmanager
def flows(lab, here, there, v6):
    """{protocol: the packet of an open flow, as the far end got it, checksums complete}"""
    near, far, address = lab.ns[here], lab.ns[there], HOSTS[there][1][v6]
    serve, connect = (server_v6, client_v6) if v6 else (server, client)
    layer, kind = (IPv6, 0x86dd) if v6 else (IP, 0x0800)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Watch(far, HOSTS[there][2]))
        for sort in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener, port = serve(far, sort)
            stack.enter_context(listener)
            stack.enter_context(connect(near, sort, address, port)).send(MARK)
        stack.enter_context(echo(near, address, v6))
        got = {}
        for protocol in (STREAM, DATAGRAM, ECHO[v6]):
            where = 20 if v6 else 23

            def wanted(frame, protocol=protocol, where=where):
                return (MARK in frame and frame[12:14] == kind.to_bytes(2, "big")
                        and frame[where] == protocol)

            frame = next(filter(wanted, watch.frames), None) or watch.until(wanted, grace=0)
            assert frame, f"protocol {protocol} from {here} did not get to {there}"
            got[protocol] = complete(Ether(frame)[layer], v6)
        yield got


def complete(packet, v6):
    """With the checksums that its sender left to a device."""
    again = packet.copy()
    if not v6:
        del again.chksum
    for field in ("chksum", "cksum"):
        if hasattr(again.payload, field):
            delattr(again.payload, field)
    return type(again)(bytes(again))


def cases(quotes, v6):
    """(number, what it is, error with what it quotes), every error about every flow."""
    head = 40 if v6 else 20
    numbers = itertools.count(1)
    for error in ERRORS_V6 if v6 else ERRORS_V4:
        for protocol, quote in quotes.items():
            for length in (head + 8, len(quote)):
                yield (next(numbers), f"type {error.type} code {error.code} about protocol "
                       f"{protocol}, {length - head} bytes of it",
                       error / Raw(bytes(quote)[:length]))


def header(v6, number, src, dst):
    """One that carries the number; at least two routers may forward it."""
    return IPv6(src=src, dst=dst, fl=number) if v6 else IP(src=src, dst=dst, id=number)


def by_router(lab, name):
    """The Ethernet header of what a host sends by way of a router."""
    if name == "plain":
        return None
    router = name[:-1]
    return Ether(src=lab.ns[name].mac("eth0"), dst=lab.ns[router].mac("lan0"))


def told(judge, v6, listed, want, what):
    """The verdict on each of them, or which ones were judged otherwise."""
    def check():
        got = judge.verdicts(v6)
        odd = [f"{case}: {got.get(number, 'not seen')}" for number, case, _ in listed
               if got.get(number) != want]
        assert not odd, f"{what}: {len(odd)} of {len(listed)} errors are not {want}: {odd[:4]}"
    eventually(check)


def forget(lab):
    """The path MTU that the errors told of."""
    for name in HOSTS:
        for family in ("-4", "-6"):
            lab.ns[name].run("ip", family, "route", "flush", "cache", check=False)


def judge_pair(lab, here, there, v6):
    """
    Errors of `there` about the flows of `here`: by the routers they are related, and put on the
    last link as they are on the shared network, or as they left the VM, they are not.
    """
    with Judge(lab, here) as judge, flows(lab, here, there, v6) as quotes:
        listed = list(cases(quotes, v6))
        to = by_router(lab, there) or Ether(src=lab.macs["plain"], dst=lab.macs[here[:-1]])
        sent = [to / header(v6, number, HOSTS[there][0][v6], HOSTS[here][1][v6]) / error
                for number, _, error in listed]
        send_frames(lab.ns[there], HOSTS[there][2], sent)
        told(judge, v6, listed, "related", f"{there} to {here}")
        last = lab.shared if here == "plain" else lab.ns[here[:-1] + "-lan"]
        mac = lab.ns[here].mac(HOSTS[here][2])
        raw = [(number + 1000, case, error) for number, case, error in listed]
        send_frames(last, "p" + here, [
            Ether(src="02:00:00:00:00:99", dst=mac)
            / header(v6, number, HOSTS[there][1][v6], HOSTS[here][0][v6]) / error
            for number, _, error in raw])
        told(judge, v6, raw, "invalid", f"{there} to {here}, not translated")


@hook
@dual_stack
def test_conntrack_related(lab):
    """{every error} x {TCP, UDP, echo} x {8 bytes, all} x {in, out, both, hairpin}, in IPv4."""
    try:
        for here, there in PAIRS:
            judge_pair(lab, here, there, False)
    finally:
        forget(lab)


@hook
@dual_stack
def test_conntrack_related_v6(lab):
    """The same in IPv6."""
    try:
        for here, there in PAIRS:
            judge_pair(lab, here, there, True)
    finally:
        forget(lab)


# errors that the kernels of routers make

REJECT_V4 = ("net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable",
             "net-prohibited", "host-prohibited", "admin-prohibited")
REJECT_V6 = ("no-route", "admin-prohibited", "addr-unreachable", "port-unreachable",
             "policy-fail", "reject-route")
FORWARD = 1000      # the number of a packet that no rule refuses


@contextlib.contextmanager
def refusing(lab, router, target):
    """A router that refuses the packets 1, 2, … each in another way, and narrows the way on."""
    ns = lab.ns[router]
    rules = [f"{field} {number} reject with {family} type {kind}"
             for field, family, kinds in (("ip id", "icmp", REJECT_V4),
                                          ("ip6 flowlabel", "icmpv6", REJECT_V6))
             for number, kind in enumerate(kinds, 1)]
    text = "\n".join(["table inet refuse {", "chain f {", "type filter hook forward priority 0;",
                      *rules, "}", "}"])
    there = [HOSTS[target][0 if target[:-1] == router else 1][v6] for v6 in (False, True)]
    device = "lan0" if target[:-1] == router else "shared0"
    ns.run("nft", "-f", lab.put("refuse.nft", text + "\n"))
    lab.apply(lab.dual_definitions())   # now packets have to go through the stack
    ns.ip(*(f"route add {address} dev {device} mtu lock 1300" for address in there))
    try:
        yield
    finally:
        ns.ip(*(f"route del {address} dev {device}" for address in there))
        ns.run("nft", "delete", "table", "inet", "refuse")


def again(quote, v6, src, dst, number=FORWARD, hops=64, more=b"", options=False):
    """A packet of the same flow; with an option that no router understands."""
    l4 = quote.payload.copy()
    for field in ("chksum", "cksum", "len"):
        if hasattr(l4, field):
            delattr(l4, field)
    if more:
        l4 = l4 / Raw(more)
    if not v6:      # a timestamp whose pointer is before its first slot
        bad = [b"\x44\x08\x01\0\0\0\0\0"] if options else []
        return IP(src=src, dst=dst, id=number, ttl=hops, flags="DF",
                  options=[Raw(b) for b in bad]) / l4
    head = IPv6(src=src, dst=dst, fl=number, hlim=hops)
    if options:     # of a kind to be answered by an error
        return head / IPv6ExtHdrHopByHop(options=[HBHOptUnknown(otype=0x9e, optdata=b"what")]) / l4
    return head / l4


def judge_router(lab, here, there, router, v6):
    """Errors of a router about what `here` sends to `there` again, in flows that it has."""
    src, dst = HOSTS[here][0][v6], HOSTS[there][1][v6]
    first = here == "plain" or router == here[:-1]      # no other forwards before it
    kinds = REJECT_V6 if v6 else REJECT_V4
    with Judge(lab, here) as judge, flows(lab, here, there, v6) as quotes, \
            refusing(lab, router, there):
        packets = []
        for quote in quotes.values():
            def add(quote=quote, **how):
                packets.append(again(quote, v6, src, dst, **how))
            for number in range(1, len(kinds) + 1):
                add(number=number)
            add(hops=1 if first else 2)
            add(more=bytes(1340))
            if first:
                add(options=True)
        to = by_router(lab, here) or Ether(src=lab.macs["plain"], dst=lab.macs[router])
        send_frames(lab.ns[here], HOSTS[here][2], [to / packet for packet in packets])
        want = dict.fromkeys(wanted_kinds(v6, first), 3)
        eventually(lambda: equal(judge.kinds(v6), want, f"{router} to {here} about {there}"))


def wanted_kinds(v6, first):
    """Of the errors that refusing() and a broken option lead to."""
    if v6:
        out = [(1, code) for code in (0, 1, 3, 4, 5, 6)] + [(2, 0), (3, 0), (4, 2)]
    else:
        out = [(3, code) for code in (0, 1, 2, 3, 9, 10, 13, 4)] + [(11, 0), (12, 0)]
    return [(*kind, "related") for kind in (out if first else out[:-1])]


@hook
@dual_stack
def test_conntrack_related_router(lab):
    """
    Refused in every way that a firewall has, hop limit, path MTU, an option: by the router of the
    other tenant, to a VM and to a host without a router, and by one's own, also in a hairpin.
    """
    try:
        for v6 in (False, True):
            for here, there, router in (("blue1", "red1", "red"), ("plain", "red1", "red"),
                                        ("red1", "blue1", "red"), ("red1", "plain", "red"),
                                        ("red1", "red2", "red")):
                judge_router(lab, here, there, router, v6)
    finally:
        forget(lab)
        lab.apply(lab.dual_definitions())
