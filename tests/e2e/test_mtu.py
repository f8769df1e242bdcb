# SPDX-License-Identifier: GPL-2.0-only
"""
Path MTU: what may not be fragmented finds its way over a smaller hop, wherever that is. A route
that is locked to an MTU makes a hop smaller to those who forward by it, and to nobody else.
"""
import contextlib
import errno
import socket
import time

from case import equal, hook
from defs import Tenant
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED2_V6, FIXED_V6, INSIDE, INSIDE_V6, PLAIN,
                 PLAIN_V6, RED1, RED1_V6, RED2, RED2_V6)
from test_six import client_v6, dual_stack, server_v6, tcp_v6
from traffic import bulk, client, server, udp

SMALL = 1300
IP_MTU, IP_MTU_DISCOVER, IPV6_MTU, IPV6_MTU_DISCOVER, PMTUDISC_DO = 14, 10, 24, 23, 2
# a VM behind a router of its own tenant, and one on the shared network behind a host of it
DEEP, DEEP_SHARED, DEEP_GATE = ("10.0.1.5", "fd00:10:0:1::5"), ("100.64.1.50", "fd64::1:50"), \
    ("10.0.0.7", "fd00:10::7")
FAR, FAR_GATE = ("100.64.9.5", "fd64::9:5"), ("100.64.0.77", "fd64::77")


@contextlib.contextmanager
def smaller(ns, *routes):
    """Routes, each as of ip(8), over which no more than SMALL bytes go."""
    ns.ip(*(f"route replace {route} mtu lock {SMALL}" for route in routes))
    time.sleep(0.15)    # past the stack, routes are asked for again after a tenth of a second
    try:
        yield
    finally:
        ns.ip(*(f"route del {route}" for route in routes))


def forget(*hosts):
    for ns in hosts:
        for family in ("-4", "-6"):
            ns.run("ip", family, "route", "flush", "cache", check=False)


def learned(source, address):
    """What the sender's kernel knows of the path by now."""
    said = source.run("ip", "route", "get", address).stdout
    assert f"mtu {SMALL} " in said + " ", f"to {address}: {' '.join(said.split())}"


def stream(source, target, address, seen):
    if ":" in address:
        tcp_v6(source, target, address, seen, 200_000)
    else:
        bulk(source, target, address, 200_000)
    learned(source, address)
    forget(source)


def probe(source, target, address, seen):
    """Datagrams that are never fragmented: the size that fits is told, and it does fit."""
    v6 = ":" in address
    listener, port = (server_v6 if v6 else server)(target, socket.SOCK_DGRAM)
    level, discover, mtu = ((socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_MTU) if v6 else
                            (socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_MTU))
    with listener, (client_v6 if v6 else client)(source, socket.SOCK_DGRAM, address, port) as sock:
        sock.setsockopt(level, discover, PMTUDISC_DO)
        fits = SMALL - (48 if v6 else 28)
        with contextlib.suppress(OSError):
            sock.send(bytes(fits + 1))
            sock.recv(1)        # nothing comes; the error wakes it, or the end of its patience
        equal(sock.getsockopt(level, mtu), SMALL, f"the path to {address}, as it was told")
        try:
            sock.send(bytes(fits + 1))
            raise AssertionError("one byte too many was sent")
        except OSError as error:
            equal(error.errno, errno.EMSGSIZE, "the error")
        sock.send(bytes(fits))
        got, peer = listener.recvfrom(2000)
        equal((len(got), peer[0]), (fits, seen), "what fits")
    forget(source)


def recovers(source, target, address, seen):
    """In one family."""
    stream(source, target, address, seen)
    probe(source, target, address, seen)


@hook
@dual_stack
def test_mtu_inside(lab):
    """The other router's inside link, and one's own router's way out."""
    for seen, address, fixed in ((RED1, BLUE1, FIXED), (RED1_V6, BLUE1_V6, FIXED_V6)):
        with smaller(lab.blue, f"{fixed} dev lan0"):
            recovers(lab.red1, lab.blue1, address, seen)
            recovers(lab.plain, lab.blue1, address, PLAIN_V6 if ":" in seen else PLAIN)
        with smaller(lab.red, f"{address} dev shared0"):
            recovers(lab.red1, lab.blue1, address, seen)


@hook
def test_mtu_fragmented_on_the_way(lab):
    """What may be fragmented is, by either router, and put together by who gets it."""
    before = lab.blue1.snmp()["IpReasmOKs"]
    for size in (1400, 4000):
        with smaller(lab.blue, f"{FIXED} dev lan0"), smaller(lab.red, f"{BLUE1} dev shared0"):
            udp(lab.red1, lab.blue1, BLUE1, RED1, size)
            udp(lab.plain, lab.blue1, BLUE1, PLAIN, size)
    equal(lab.blue1.snmp()["IpReasmOKs"] - before, 4, "datagrams that came in fragments")


@hook
@dual_stack
def test_mtu_in_hairpin(lab):
    """Between two VMs of one router: the link to the one that is spoken to."""
    for address, seen, fixed in ((RED2, RED1, FIXED2), (RED2_V6, RED1_V6, FIXED2_V6)):
        with smaller(lab.red, f"{fixed} dev lan0"):
            recovers(lab.red1, lab.red2, address, seen)


@hook
@dual_stack
def test_mtu_beyond_shared(lab):
    """A host of the shared network forwards to another one, and the link between is small."""
    lab.apply(lab.dual_definitions().having(
        Tenant("far", pool=[FAR[0] + "/32", FAR[1] + "/128"])))
    with lab.beyond("fargate", lab.shared, "far", fars=FAR, route=FAR_GATE,
                    gates=[FAR_GATE[0] + "/16", FAR_GATE[1] + "/64 nodad"]) as (gate, far):
        try:
            for address, hop, vm in zip(FAR, FAR_GATE, (RED1, RED1_V6)):
                lab.red.ip(f"route add {address} via {hop}")
                with smaller(gate, f"{address} dev far0"):
                    recovers(lab.red1, far, address, vm)
                gate.ip(f"route replace {address} dev far0")
                with smaller(gate, f"{vm} dev eth0"):
                    recovers(far, lab.red1, vm, address)
                fixed = FIXED_V6 if ":" in vm else FIXED
                with smaller(lab.red, f"{fixed} dev lan0"):
                    recovers(far, lab.red1, vm, address)
        finally:
            for address in FAR:
                lab.red.run("ip", "route", "del", address, check=False)
            lab.apply(lab.dual_definitions())


@hook
@dual_stack
def test_mtu_beyond_lan(lab):
    """
    A VM behind a router of its own tenant, which has no mapping itself, and tells of the small
    link between them.
    """
    with deep(lab) as (gate, vm):
        for address, shared, peer in zip(DEEP, DEEP_SHARED, (BLUE1, BLUE1_V6)):
            with smaller(gate, f"{address} dev far0"):
                recovers(lab.blue1, vm, shared, peer)
                recovers(lab.red2, vm, shared, RED2_V6 if ":" in peer else RED2)
            gate.ip(f"route replace {address} dev far0")
            with smaller(gate, f"{peer} via {INSIDE_V6 if ':' in peer else INSIDE}"):
                recovers(vm, lab.blue1, peer, shared)


@contextlib.contextmanager
def deep(lab):
    """The namespaces of a router within the LAN of red, and of a mapped VM behind it."""
    definitions = lab.dual_definitions()
    for fixed, shared in zip(DEEP, DEEP_SHARED):
        definitions["red"].mappings.append((fixed, shared, None))
    with lab.beyond("gate", lab.red_lan, "deep", fars=DEEP, route=("10.0.1.1", "fd00:10:0:1::1"),
                    gates=[DEEP_GATE[0] + "/24", DEEP_GATE[1] + "/64 nodad"]) as (gate, vm):
        gate.ip(f"route add default via {INSIDE}", f"route add default via {INSIDE_V6}")
        lab.red.ip(*(f"route add {there} via {hop}" for there, hop in zip(DEEP, DEEP_GATE)))
        lab.apply(definitions)
        try:
            yield gate, vm
        finally:
            lab.red.ip(*(f"route del {there}" for there in DEEP))
            lab.apply(lab.dual_definitions())
