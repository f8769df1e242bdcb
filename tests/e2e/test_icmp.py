# SPDX-License-Identifier: GPL-2.0-only
"""ICMP errors: they find the socket that they are about, and tell nothing private."""
import contextlib
import os
import select
import socket
import time

from scapy.all import (ICMP, IP, TCP, UDP, Ether, ICMPv6DestUnreach, ICMPv6PacketTooBig, IPerror,
                       IPv6, Raw, UDPerror)

from case import datapath, equal, hook
from lab import (BLUE, BLUE1, BLUE1_V6, BLUE_V6, FIXED, FIXED_V6, INSIDE, INSIDE_V6, PLAIN,
                 PLAIN_V6, RED, RED1, RED1_V6, RED2, RED2_V6, RED_V6)
from test_guard import counted
from test_six import dual_stack, tcp_v6
from traffic import WAIT, Watch, bulk, new_port, ping, send_frames

IP_RECVERR, MSG_ERRQUEUE, IPV6_RECVERR = 11, 0x2000, 25
UNREACHABLE, EXCEEDED = (3, 1), (11, 3)     # in IPv4 and IPv6


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def error_of(ns, address, ttl=64, data=b"anybody?", wait=WAIT):
    """(ICMP type, who sent it, what it quotes) of the error that comes back to a socket's owner."""
    v6 = ":" in address
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    with ns.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, 1)
        sock.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, ttl)
        sock.connect((address, new_port()))
        sock.send(data)
        poll = select.poll()
        poll.register(sock, select.POLLERR)
        assert poll.poll(wait * 1000), f"no error came back from {address} with ttl {ttl}"
        quoted, notes, _, target = sock.recvmsg(2000, 512, MSG_ERRQUEUE)
    equal(target[0], address, "the destination that the error is about")
    equal(quoted, data[:len(quoted)], "the data that it quotes")
    note = notes[0][2]
    kind = note[5]          # struct sock_extended_err, then the offender's sockaddr
    at = 16 + (8 if v6 else 4)
    offender = socket.inet_ntop(family_of(address), note[at:at + (16 if v6 else 4)])
    return kind, offender


def refused(ns, address):
    """Who said that nobody listens there. A socket without an error queue is refused too."""
    with ns.socket(family_of(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.connect((address, new_port()))
        sock.send(b"anybody?")
        try:
            raise AssertionError(f"an answer of {address}: {sock.recv(100)}")
        except ConnectionRefusedError:
            pass
        except TimeoutError as error:
            raise AssertionError(f"nobody at {address}, and no error came back") from error
    kind, offender = error_of(ns, address)
    assert kind in UNREACHABLE, f"an error of type {kind}"
    return offender


@datapath
@dual_stack
def test_icmp_refused(lab):
    """Both ways, and to and from a host without a router; by the shared address."""
    for source, address in ((lab.red1, BLUE1), (lab.blue1, RED1), (lab.plain, BLUE1),
                            (lab.red1, PLAIN), (lab.red1, BLUE1_V6), (lab.blue1, RED1_V6),
                            (lab.plain, BLUE1_V6), (lab.red1, PLAIN_V6)):
        equal(refused(source, address), address, "who refused")


@datapath
def test_icmp_quotes_what_was_sent(lab):
    """With all of its checksums right, at the one who gets it and on the way."""
    for size in (0, 1, 100, 1400):
        with Watch(lab.red1, "eth0") as here:
            error_of(lab.red1, BLUE1, data=os.urandom(size))
            frame = here.until(lambda f: ICMP in Ether(f) and Ether(f)[ICMP].type == 3)
        packet = Ether(frame)
        equal((packet[IP].src, packet[IP].dst), (BLUE1, FIXED), "the error")
        equal((packet[IPerror].src, packet[IPerror].dst), (FIXED, BLUE1), "what it quotes")
        for layer in (IP, ICMP, IPerror):
            again = Ether(frame)
            del again[layer].chksum
            equal(packet[layer].chksum, Ether(bytes(again))[layer].chksum, layer.__name__)
        if lab.offload == "off" and packet[UDPerror].len == len(bytes(packet[UDPerror])):
            again = Ether(frame)[UDPerror]
            quoted = IP(src=FIXED, dst=BLUE1) / UDP(sport=again.sport, dport=again.dport) \
                / Raw(bytes(again.payload))
            equal(again.chksum, IP(bytes(quoted))[UDP].chksum, "the quoted UDP checksum")


@contextlib.contextmanager
def narrow(lab, router):
    """The inside link behind that router is smaller than all others, and nobody knows it yet."""
    lab.ns[router].ip("link set lan0 mtu 1300")
    try:
        yield
    finally:
        lab.ns[router].ip("link set lan0 mtu 1500")
        for name in ("red1", "blue1", "plain", "red2"):
            lab.ns[name].run("ip", "route", "flush", "cache", check=False)
            lab.ns[name].run("ip", "-6", "route", "flush", "cache", check=False)


def learns(source, address, mtu=1300):
    """A ping that may not be fragmented is told what fits."""
    said = source.run("ping", "-nc1", "-W30", "-Mdo", "-s1400", address, check=False)
    text = (said.stdout + said.stderr).lower()
    assert "mtu" in text and str(mtu) in text, f"{address}: no error: {text[-200:]}"


@datapath
@dual_stack
def test_icmp_path_mtu_ping(lab):
    for router, sources, addresses in (("blue", (lab.red1, lab.plain), (BLUE1, BLUE1_V6)),
                                       ("red", (lab.blue1, lab.plain), (RED1, RED1_V6))):
        for source in sources:
            for address in addresses:
                with narrow(lab, router):
                    learns(source, address)


@datapath
@dual_stack
def test_icmp_path_mtu_tcp(lab):
    """Transfers over the smaller link, both ways."""
    with narrow(lab, "blue"):
        bulk(lab.red1, lab.blue1, BLUE1, 500_000)
    with narrow(lab, "red"):
        bulk(lab.blue1, lab.red1, RED1, 500_000)
    with narrow(lab, "blue"):
        tcp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6, 500_000)
    with narrow(lab, "red"):
        tcp_v6(lab.blue1, lab.red1, RED1_V6, BLUE1_V6, 500_000)


@datapath
@dual_stack
def test_icmp_traceroute(lab):
    """The way to a VM of another tenant shows one's own router, its router, and it."""
    for address, hops in ((BLUE1, (INSIDE, BLUE, BLUE1)),
                          (BLUE1_V6, (INSIDE_V6, BLUE_V6, BLUE1_V6))):
        for ttl, hop in enumerate(hops, 1):
            kind, offender = error_of(lab.red1, address, ttl)
            assert kind in (UNREACHABLE if hop == address else EXCEEDED), f"type {kind}"
            equal(offender, hop, f"hop {ttl} to {address}")
    for address, hops in ((BLUE1, (BLUE, BLUE1)), (BLUE1_V6, (BLUE_V6, BLUE1_V6))):
        equal([error_of(lab.plain, address, ttl)[1] for ttl in (1, 2)], list(hops), "from outside")


@hook
@dual_stack
def test_icmp_traceroute_hairpin(lab):
    """To a neighbour by its shared address: the neighbour itself is the second hop."""
    for address in (RED2, RED2_V6):
        equal(error_of(lab.red1, address, 2)[1], address, "the second hop")


@hook
@dual_stack
def test_icmp_router_in_hairpin(lab):
    """The router is the first hop to a neighbour, and says so by its shared address."""
    for address, hop in ((RED2, RED), (RED2_V6, RED_V6)):
        kind, offender = error_of(lab.red1, address, 1)
        assert kind in EXCEEDED, f"type {kind}"
        equal(offender, hop, f"the first hop to {address}")


# errors that are not right

def to_blue(lab, layer, **ip):
    return Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / layer(**ip)


def quote(layer, src, dst, port=9):
    return Raw(bytes(layer(src=src, dst=dst) / UDP(sport=port, dport=port) / b"must not"))


def passed(lab, frames, vm="blue1", device="eth0", sender="plain", out="shared0"):
    """What got to the VM of the frames that say `must not`."""
    with Watch(lab.ns[vm], device) as watch:
        send_frames(lab.ns[sender], out, frames)
        time.sleep(0.1)
        ping(lab.plain, BLUE1)
    return [Ether(f).summary() for f in watch.frames if b"must not" in f]


@hook
@dual_stack
def test_icmp_forged_in(lab):
    """Errors to a VM about packets that it cannot have sent."""
    frames = [to_blue(lab, IP, src=PLAIN, dst=BLUE1) / ICMP(type=kind, code=code)
              / quote(IP, source, PLAIN)
              for kind, code in ((3, 3), (3, 4), (11, 0), (12, 0), (4, 0))
              for source in (FIXED, RED1, BLUE, PLAIN)]
    frames += [to_blue(lab, IPv6, src=PLAIN_V6, dst=BLUE1_V6) / error / quote(IPv6, source, PLAIN_V6)
               for error in (ICMPv6DestUnreach(code=4), ICMPv6PacketTooBig(mtu=1280))
               for source in (FIXED_V6, RED1_V6, BLUE_V6, PLAIN_V6)]
    with counted(lab, blue__forged_error=len(frames)):
        equal(passed(lab, frames), [], "arrived")


@hook
@dual_stack
def test_icmp_forged_out(lab):
    """Errors of a VM about packets that it cannot have got, or that quote a private source."""
    gate, mac = lab.blue.mac("lan0"), lab.blue1.mac("eth0")
    head4 = Ether(src=mac, dst=gate) / IP(src=FIXED, dst=PLAIN) / ICMP(type=3, code=3)
    head6 = Ether(src=mac, dst=gate) / IPv6(src=FIXED_V6, dst=PLAIN_V6) / ICMPv6DestUnreach(code=4)
    forged = [head4 / quote(IP, PLAIN, a) for a in ("10.0.0.6", BLUE1, RED1)]
    forged += [head6 / quote(IPv6, PLAIN_V6, a) for a in ("fd00:10::6", BLUE1_V6, RED1_V6)]
    private = [head4 / quote(IP, "10.0.0.9", FIXED), head6 / quote(IPv6, "fd00:10::9", FIXED_V6)]
    with counted(lab, blue__forged_error=len(forged), blue__untranslated=len(private)):
        equal(passed(lab, forged + private, "plain", "shared0", "blue1", "eth0"), [], "left")


@hook
def test_icmp_redirect(lab):
    """Dropped in both directions."""
    come = to_blue(lab, IP, src=PLAIN, dst=BLUE1) / ICMP(type=5, code=1, gw=PLAIN) \
        / quote(IP, BLUE1, PLAIN)
    go = Ether(src=lab.blue1.mac("eth0"), dst=lab.blue.mac("lan0")) / IP(src=FIXED, dst=PLAIN) \
        / ICMP(type=5, code=1, gw="10.0.0.9") / quote(IP, PLAIN, FIXED)
    with counted(lab, blue__icmp_redirect=1):
        equal(passed(lab, [come]), [], "arrived")
    with counted(lab, blue__icmp_redirect=1):
        equal(passed(lab, [go], "plain", "shared0", "blue1", "eth0"), [], "left")


RULES = """
table inet seen {
    counter related { }
    counter other { }
    chain in {
        type filter hook input priority 0;
        icmp type destination-unreachable ct state related counter name related accept
        icmp type destination-unreachable counter name other
        icmpv6 type { destination-unreachable, packet-too-big } ct state related \
counter name related accept
        icmpv6 type { destination-unreachable, packet-too-big } counter name other
    }
}
"""


def seen_by_conntrack(ns):
    said = ns.run("nft", "list", "counters", "table", "inet", "seen").stdout.split()
    found = [int(said[i + 1]) for i, word in enumerate(said) if word == "packets"]
    return dict(zip([said[i + 1] for i, word in enumerate(said) if word == "counter"], found))


@hook
@dual_stack
def test_icmp_related(lab):
    """
    The client's own firewall knows an error about its flow. What quotes its address, but no flow
    of its own, gets there, and is not related.
    """
    rules = lab.put("related.nft", RULES)
    for source, address in ((lab.red1, BLUE1), (lab.red1, BLUE1_V6), (lab.blue1, RED1),
                            (lab.red1, RED2), (lab.red1, RED2_V6)):
        source.run("nft", "-f", rules)
        try:
            refused(source, address)
            equal(seen_by_conntrack(source), {"related": 2, "other": 0}, f"errors of {address}")
        finally:
            source.run("nft", "delete", "table", "inet", "seen")
    lab.blue1.run("nft", "-f", rules)
    try:
        send_frames(lab.plain, "shared0",
                    [to_blue(lab, IP, src=PLAIN, dst=BLUE1) / ICMP(type=3, code=3)
                     / quote(IP, BLUE1, PLAIN, 7),
                     to_blue(lab, IPv6, src=PLAIN_V6, dst=BLUE1_V6) / ICMPv6DestUnreach(code=4)
                     / quote(IPv6, BLUE1_V6, PLAIN_V6, 7)])
        ping(lab.plain, BLUE1)
        equal(seen_by_conntrack(lab.blue1), {"related": 0, "other": 2}, "about no flow")
    finally:
        lab.blue1.run("nft", "delete", "table", "inet", "seen")


@hook
def test_icmp_quotes_little(lab):
    """Eight bytes of TCP, which end before its checksum, as RFC 792 has it; and less than that."""
    inner = bytes(IP(src=BLUE1, dst=PLAIN) / TCP(sport=7, dport=7))[:28]
    head = to_blue(lab, IP, src=PLAIN, dst=BLUE1) / ICMP(type=3, code=1)
    with Watch(lab.blue1, "eth0") as watch:
        send_frames(lab.plain, "shared0", [head / Raw(inner)])
        frame = watch.until(lambda f: ICMP in Ether(f) and Ether(f)[ICMP].type == 3)
        assert frame, "did not arrive"
    packet = Ether(frame)
    equal((packet[IP].dst, packet[IPerror].src), (FIXED, FIXED), "the addresses")
    for layer in (IP, ICMP, IPerror):
        again = Ether(frame)
        del again[layer].chksum
        equal(packet[layer].chksum, Ether(bytes(again))[layer].chksum, layer.__name__)
    with counted(lab, blue__malformed=1):
        send_frames(lab.plain, "shared0", [head / Raw(inner[:12])])
        ping(lab.plain, BLUE1)
