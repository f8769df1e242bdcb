# SPDX-License-Identifier: GPL-2.0-only
"""
The kernel's neighbour table has room for few, for all namespaces together. Nobody fills it by what he
sends through a router, or to it: others go on meeting whom they have not met.
"""
import contextlib
import ipaddress
import json
import time

from scapy.all import ARP, IP, UDP, Ether, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6

from case import hook
from lab import BLUE1, BLUE1_V6, PLAIN, PLAIN_V6, RED, RED1, RED1_V6, RED_V6
from net import Child
from test_six import dual_stack
from traffic import ping, reach, send_frames

MANY = 1500     # more than the table has room for (net.ipv4.neigh.default.gc_thresh3)
AT_ONCE, A_SECOND = 128, 64
MAC = "02:00:00:00:%02x:%02x"


def addresses(first, n=MANY):
    start = ipaddress.ip_address(first)
    return [str(start + i) for i in range(n)]


def off(lab):
    """The definitions, with as many VMs of red as that, all of them off."""
    both = lab.dual_definitions()
    both["red"].pool += ["100.64.16.0/20"]
    both["red"].mappings += [*zip(addresses("10.0.16.1"), addresses("100.64.16.1"), [None] * MANY),
                             *zip(addresses("fd00:10::a:1"), addresses("fd64::1:1000"), [None] * MANY)]
    return both


def datagrams(ns, device, mac, own, targets):
    """Raw ones: of a socket the sender would be the one to ask for them."""
    to, layer = Ether(src=ns.mac(device), dst=mac), IPv6 if ":" in own else IP
    return [bytes(to / layer(src=own, dst=target) / UDP(sport=9, dport=9)) for target in targets]


def asking(lab, own, sources):
    """Who has the router's address, in the names of many."""
    for i, source in enumerate(sources):
        mac = MAC % (i >> 8, i & 255)
        if ":" in own:
            yield bytes(Ether(src=mac, dst=lab.macs["red"]) / IPv6(src=source, dst=own, hlim=255)
                        / ICMPv6ND_NS(tgt=own) / ICMPv6NDOptSrcLLAddr(lladdr=mac))
        else:
            yield bytes(Ether(src=mac, dst=lab.macs["red"])
                        / ARP(op=1, hwsrc=mac, psrc=source, pdst=own))


def known(ns, v6):
    """How many have a place in the table; the groups that are asked (NOARP) make room at once."""
    listed = json.loads(ns.run("ip", "-j", "-6" if v6 else "-4", "neigh", "show", "nud",
                               "all").stdout)
    return sum("NOARP" not in each.get("state", []) for each in listed)


def floods(lab, v6):
    """(what it is, who sends, by which device, the frames)"""
    own, vm, unused, away, to_vm = (
        (RED_V6, "fd00:10::5", "fd64::c:1", "fd64::d:1", "fd64::1:1000") if v6 else
        (RED, "10.0.0.5", "100.64.64.1", "100.64.80.1", "100.64.16.1"))
    plain = PLAIN_V6 if v6 else PLAIN
    yield ("a VM, to addresses that nobody has", lab.red1, "eth0",
           datagrams(lab.red1, "eth0", lab.red.mac("lan0"), vm, addresses(unused)))
    yield ("a host, to VMs that are off", lab.plain, "shared0",
           datagrams(lab.plain, "shared0", lab.macs["red"], plain, addresses(to_vm)))
    yield ("a host that asks in the name of many", lab.plain, "shared0",
           list(asking(lab, own, addresses(away))))


@contextlib.contextmanager
def sending(ns, device, frames):
    """All of them again and again, while the block runs."""
    def run():
        while True:
            send_frames(ns, device, frames)
    child = Child(run)
    try:
        yield
    finally:
        child.kill()


def bounded(lab, what, ns, device, frames, v6):
    """How many places a flood takes, and whether somebody else is met meanwhile."""
    for router in (lab.red, lab.blue):
        router.ip("neigh flush all nud all")
    begin, before = time.monotonic(), known(lab.red, v6)
    with sending(ns, device, frames):
        send_frames(ns, device, frames)
        lab.blue.ip("neigh flush all nud all")
        for host, address in ((lab.blue1, PLAIN_V6 if v6 else PLAIN),
                              (lab.plain, BLUE1_V6 if v6 else BLUE1)):
            ping(host, address, 1)
        taken = known(lab.red, v6) - before
        most = AT_ONCE + A_SECOND * (time.monotonic() - begin + 1)
    assert taken <= most, f"{what}: {taken} places in the table, not {most:.0f} at most"


@hook
@dual_stack
def test_neighbours_are_bounded(lab):
    """Past the stack and through it, in both families."""
    lab.red.ip("addr add 10.0.31.254/20 dev lan0")
    try:
        for forwarding in ("fast", "stack"):
            both = off(lab)
            for name in ("red", "blue"):
                both[name].router["forwarding"] = forwarding
            lab.apply(both)
            for v6 in (False, True):
                for flood in floods(lab, v6):
                    bounded(lab, *flood, v6)
    finally:
        lab.red.ip("addr del 10.0.31.254/20 dev lan0", "neigh flush all nud all")
        lab.apply(lab.dual_definitions())
    for address in (RED1, RED1_V6):     # as soon as those that did not answer have gone
        reach(lab.blue1, address)
