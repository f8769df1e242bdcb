# SPDX-License-Identifier: GPL-2.0-only
"""traceroute and mtr through both routers, and how often a hop limit is counted down."""
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor

from scapy.all import ICMP, IP, TCP, UDP, Ether, ICMPv6EchoReply, IPv6, Raw

from case import equal, eventually, hook, once
from lab import (BLUE, BLUE1, BLUE1_V6, BLUE_V6, FIXED, FIXED_V6, INSIDE, INSIDE_V6, PLAIN,
                 PLAIN_V6, RED, RED1, RED1_V6, RED2, RED2_V6, RED_V6)
from test_guard import counted
from test_mtu import DEEP_SHARED, deep
from test_six import dual_stack, server_v6
from traffic import Watch, new_port, send_frames, server

# who asks, for whom, and every hop on the way
WAYS = [("red1", BLUE1, (INSIDE, BLUE, BLUE1)), ("blue1", RED1, (INSIDE, RED, RED1)),
        ("plain", RED1, (RED, RED1)), ("red1", PLAIN, (INSIDE, PLAIN)),
        ("red1", BLUE1_V6, (INSIDE_V6, BLUE_V6, BLUE1_V6)),
        ("blue1", RED1_V6, (INSIDE_V6, RED_V6, RED1_V6)),
        ("plain", RED1_V6, (RED_V6, RED1_V6)), ("red1", PLAIN_V6, (INSIDE_V6, PLAIN_V6)),
        ("red1", RED2, (RED, RED2)), ("red1", RED2_V6, (RED_V6, RED2_V6))]
WHO = {RED1: "red1", RED1_V6: "red1", BLUE1: "blue1", BLUE1_V6: "blue1", PLAIN: "plain",
       PLAIN_V6: "plain", RED2: "red2", RED2_V6: "red2"}


def hops(said):
    """Every address that traceroute(8) shows, in order."""
    out = []
    for line in said.splitlines()[1:]:
        words = line.split()
        out += [word for word in words[1:] if "*" in word or re.fullmatch(r"[0-9a-f.:]*[.:]"
                                                                          r"[0-9a-f.:]+", word)
                and not re.fullmatch(r"\d+\.\d+", word)]
    return out


def trace(ns, address, *options):
    return hops(ns.run("traceroute", "-n", "-q1", "-N4", "-m6", *options, address).stdout)


@hook
@dual_stack
def test_path_traceroute(lab):
    """By UDP, ICMP and TCP: the first hop is one's own router, all others are shared addresses."""
    for source, address, want in WAYS:
        listener, port = (server_v6 if ":" in address else server)(lab.ns[WHO[address]],
                                                                   socket.SOCK_STREAM)
        with listener:
            for options in (("-U",), (f"-p{new_port()}",), ("-I",), ("-T", f"-p{port}")):
                equal(trace(lab.ns[source], address, *options), list(want),
                      f"{source} to {address} by {options[0]}")


@hook
@dual_stack
def test_path_traceroute_beyond(lab):
    """A router in front of a VM shows itself by the address of the tenant's router."""
    with deep(lab) as (_, vm):
        for inside, router, shared in zip((INSIDE, INSIDE_V6), (RED, RED_V6), DEEP_SHARED):
            for options in (("-U",), ("-I",)):
                equal(trace(lab.blue1, shared, *options), [inside, router, router, shared],
                      f"to {shared} by {options[0]}")
        equal(trace(vm, BLUE1, "-I"), ["10.0.1.1", INSIDE, BLUE, BLUE1], "and back")


def report(ns, address, option):
    """The hops that mtr(8) reports as JSON; nothing got lost."""
    def reported():     # it takes for lost what comes a second later
        said = ns.run("mtr", "--report", "--json", "-n", "-c1", "-i0.1", "-G1", *option, address)
        hubs = json.loads(said.stdout)["report"]["hubs"]
        equal({hub["Loss%"] for hub in hubs}, {0.0}, f"losses to {address} {option}")
        return [hub["host"] for hub in hubs]
    return eventually(reported)


@once
@dual_stack
def test_path_mtr(lab):
    """All at a time: it takes its time."""
    asked = [(source, address, option, want) for source, address, want in WAYS
             for option in ((), ("--udp",), ("--tcp",))]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda a: report(lab.ns[a[0]], a[1], a[2]), asked))
    for (source, address, option, want), got in zip(asked, found):
        equal(got, list(want), f"{source} to {address} {option}")


@hook
def test_path_recorded(lab):
    """What writes down the addresses on its way does not get there; times alone do."""
    with counted(lab, red__record_route=2):
        for option in (("-R",), ("-T", "tsandaddr")):
            said = lab.plain.run("ping", "-nc1", "-W0.3", *option, RED1, check=False).stdout
            assert "0 received" in said and "10.0.0." not in said, f"ping {option}: {said}"
        said = lab.plain.run("ping", "-nc1", "-W30", "-T", "tsonly", RED1, check=False).stdout
        assert "1 received" in said, f"timestamps: {said}"


# hop limits

def counted_down(lab, source, target, to, packets, device="eth0"):
    """[(hop limit as sent, as it arrived)] of packets from one host to another."""
    sent_by = "shared0" if source == "plain" else "eth0"
    with Watch(lab.ns[target], device) as watch:
        send_frames(lab.ns[source], sent_by, [to / packet for packet in packets])
        last = bytes(packets[-1].lastlayer())
        assert watch.until(lambda f: last in f), f"{source} to {target}: did not arrive"
    out = {}
    for frame in watch.frames:
        for packet in packets:
            if bytes(packet.lastlayer()) in frame:
                out[packet.lastlayer().load] = frame[22] if frame[12:14] == b"\x08\0" else frame[21]
    return out


@hook
@dual_stack
def test_path_hop_limit(lab):
    """Once a router, also in a hairpin."""
    blue, red = lab.blue.mac("lan0"), lab.red.mac("lan0")
    vm, plain = lab.red1.mac("eth0"), lab.macs["plain"]
    ways = [("plain", "blue1", Ether(src=plain, dst=lab.macs["blue"]), (PLAIN, PLAIN_V6),
             (BLUE1, BLUE1_V6), 1),
            ("blue1", "plain", Ether(src=lab.blue1.mac("eth0"), dst=blue), (FIXED, FIXED_V6),
             (PLAIN, PLAIN_V6), 1),
            ("red1", "blue1", Ether(src=vm, dst=red), (FIXED, FIXED_V6), (BLUE1, BLUE1_V6), 2),
            ("red1", "red2", Ether(src=vm, dst=red), (FIXED, FIXED_V6), (RED2, RED2_V6), 1)]
    for source, target, to, sources, targets, routers in ways:
        packets, number = [], 0
        for src, dst in zip(sources, targets):
            for hops in (2 + routers, 64, 255):
                for l4 in l4s(":" in src):
                    number += 1
                    head = IPv6(src=src, dst=dst, hlim=hops) if ":" in src \
                        else IP(src=src, dst=dst, ttl=hops)
                    packets.append(head / l4 / Raw(b"hops %03d" % number))
        got = counted_down(lab, source, target, to, packets,
                           "shared0" if target == "plain" else "eth0")
        want = {packet.lastlayer().load: (packet.hlim if packet.version == 6 else packet.ttl)
                - routers for packet in packets}
        equal(got, want, f"hop limits, {source} to {target}")


def l4s(v6):
    return [UDP(sport=9, dport=9), TCP(sport=9, dport=9, flags="A"),
            ICMPv6EchoReply() if v6 else ICMP(type=0)]
