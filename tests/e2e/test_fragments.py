# SPDX-License-Identifier: GPL-2.0-only
"""Fragments in any order, of one packet or of several at a time: the VM puts them together."""
import random
import socket

from scapy.all import (ICMP, IP, TCP, UDP, Ether, ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment,
                       Raw, fragment, fragment6)

from case import equal, hook
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED2_V6, FIXED_V6, PLAIN, PLAIN_V6, RED1,
                 RED1_V6, RED2, RED2_V6)
from test_six import dual_stack, server_v6
from traffic import WAIT, Watch, complaint, new_port, send_frames, server

SIZE, PIECE, SAME = 4000, 1200, 0x5a5a

ORDERS = {"in order": list, "reversed": lambda parts: list(reversed(parts)),
          "last first": lambda parts: parts[-1:] + parts[:-1],
          "first last": lambda parts: parts[1:] + parts[:1],
          "one of them twice": lambda parts: parts[:2] + parts[1:]}


def pieces(src, dst, l4, number=SAME):
    """The fragments of one packet."""
    if ":" in src:
        whole = IPv6(src=src, dst=dst) / IPv6ExtHdrFragment(id=number) / l4
        return fragment6(IPv6(bytes(whole)), PIECE)
    return fragment(IP(bytes(IP(src=src, dst=dst, id=number) / l4)), PIECE)


def interleaved(*packets):
    """One fragment of each in turn."""
    return [part for turn in zip(*packets) for part in turn]


def bodies(number):
    return random.Random(number).randbytes(SIZE)


def senders(lab):
    """(who sends, its device, its Ethernet header, its address as it knows it, as others do)"""
    def vm(name, fixed, shared):
        ns, router = lab.ns[name], lab.ns[name[:-1]]
        return ns, "eth0", Ether(src=ns.mac("eth0"), dst=router.mac("lan0")), fixed, shared

    return {"plain": (lab.plain, "shared0", None, (PLAIN, PLAIN_V6), (PLAIN, PLAIN_V6)),
            "red1": vm("red1", (FIXED, FIXED_V6), (RED1, RED1_V6)),
            "red2": vm("red2", (FIXED2, FIXED2_V6), (RED2, RED2_V6)),
            "blue1": vm("blue1", (FIXED, FIXED_V6), (BLUE1, BLUE1_V6))}


# who sends to whom: in, out, through both routers, and in a hairpin
WAYS = [("plain", "blue1"), ("blue1", "plain"), ("red1", "blue1"), ("red1", "red2")]


def sends(lab, known, source, target, parts):
    ns, device, to, _, _ = known[source]
    if to is None:
        to = Ether(src=lab.macs["plain"], dst=lab.macs[target[:-1]])
    send_frames(ns, device, [to / part for part in parts])


@hook
@dual_stack
def test_fragments_udp(lab):
    """In every order, and of two packets with one identification from two senders."""
    known = senders(lab)
    for v6 in (False, True):
        for source, target in WAYS:
            there, port = (server_v6 if v6 else server)(known[target][0], socket.SOCK_DGRAM)
            src, dst, seen = known[source][3][v6], known[target][4][v6], known[source][4][v6]
            with there, complaint(f"{source} to {target}"):
                for number, (name, order) in enumerate(ORDERS.items()):
                    body = bodies(number)
                    parts = pieces(src, dst, UDP(sport=9, dport=port) / Raw(body), SAME + number)
                    sends(lab, known, source, target, order(parts))
                    got, peer = there.recvfrom(65536)
                    equal((got == body, peer[0]), (True, seen), f"{source} to {target}, {name}")


@hook
@dual_stack
def test_fragments_mixed(lab):
    """Of two senders at a time, with the same identification, to the same VM."""
    known = senders(lab)
    for v6 in (False, True):
        there, port = (server_v6 if v6 else server)(lab.blue1, socket.SOCK_DGRAM)
        with there, complaint("mixed fragments"):
            sent = {name: pieces(known[name][3][v6], known["blue1"][4][v6],
                                 UDP(sport=9, dport=port) / Raw(bodies(number)))
                    for number, name in enumerate(("red1", "red2", "plain"))}
            for turn in zip(*(reversed(parts) for parts in sent.values())):
                for name, part in zip(sent, turn):
                    sends(lab, known, name, "blue1", [part])
            got = dict(reversed(there.recvfrom(65536)) for _ in sent)
            equal({peer[0]: body for peer, body in got.items()},
                  {known[name][4][v6]: bodies(number) for number, name in enumerate(sent)},
                  "who sent what")


@hook
@dual_stack
def test_fragments_tcp(lab):
    """A SYN in fragments, its header and checksum in the first, is answered by a SYN of its own."""
    known = senders(lab)
    for v6 in (False, True):
        there, port = (server_v6 if v6 else server)(lab.blue1, socket.SOCK_STREAM)
        sequence = 1000
        with there, Watch(lab.plain, "shared0") as watch:
            for order in ORDERS.values():
                sequence += 1000
                syn = TCP(sport=new_port(), dport=port, flags="S", seq=sequence) / Raw(bytes(SIZE))
                parts = pieces((PLAIN, PLAIN_V6)[v6], known["blue1"][4][v6], syn, sequence)
                sends(lab, known, "plain", "blue1", order(parts))

                def answer(frame, want=sequence + 1, port=port):
                    tcp = Ether(frame)
                    return TCP in tcp and tcp[TCP].sport == port and tcp[TCP].ack == want \
                        and tcp[TCP].flags == "SA"
                assert watch.until(answer, grace=0), f"no answer to {syn.summary()}"


@hook
@dual_stack
def test_fragments_echo(lab):
    """A large ping in every order: the answer, in fragments too, is put together by the asker."""
    known = senders(lab)
    for v6 in (False, True):
        for source, target in WAYS:
            if target == "plain":
                continue
            with known[source][0].socket(socket.AF_INET6 if v6 else socket.AF_INET,
                                         socket.SOCK_RAW, 58 if v6 else 1) as sock, \
                    complaint(f"a ping from {source} to {target}"):
                sock.settimeout(WAIT)
                for number, (name, order) in enumerate(ORDERS.items()):
                    body = bodies(100 + number)
                    ask = (ICMPv6EchoRequest(id=7, seq=number, data=body) if v6
                           else ICMP(id=7, seq=number) / Raw(body))
                    parts = pieces(known[source][3][v6], known[target][4][v6], ask, 70 + number)
                    sends(lab, known, source, target, order(parts))
                    while True:
                        packet, peer = sock.recvfrom(65536)
                        message = packet if v6 else packet[20:]
                        if message[0] == (129 if v6 else 0):
                            break
                    equal((message[8:] == body, peer[0]), (True, known[target][4][v6]),
                          f"{source} to {target}, {name}")
