# SPDX-License-Identifier: GPL-2.0-only
"""The shared network is not there: VMs are told so, and nothing leaves by the default route."""
import errno
import ipaddress
import json
import socket

from case import equal, eventually, hook, once
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED_V6, OUTSIDE, OUTSIDE_V6, RED, RED_V6, SUBNET, SUBNET_V6, UNMAPPED,
                 UNMAPPED_V6)
from snapshot import machine, unchanged
from test_join import routes
from test_six import dual_stack
from traffic import Watch, client, reach

IP_RECVERR, IPV6_RECVERR = 11, 25
UNREACHABLE = [f"unreachable {SUBNET}", f"unreachable {SUBNET_V6}"]
LAST = "metric 4294967295 proto 116"

# how it is lost, and what brings it back but for the programs
LOST = {"down": ("link set shared0 down",),
        "route": (f"route del {SUBNET} dev shared0", f"route del {SUBNET_V6} dev shared0"),
        "deleted": ("link del shared0",)}


def found_again(lab, how):
    if how == "deleted":
        lab.plug("red", RED)
    lines = {"down": ("link set shared0 up", f"addr add {RED_V6}/64 dev shared0 nodad"),
             "route": (f"route add {SUBNET} dev shared0 scope link src {RED}",
                       f"route add {SUBNET_V6} dev shared0 metric 256"),
             "deleted": (f"addr add {RED_V6}/64 dev shared0 nodad",)}
    lab.red.ip(*lines[how])


def told(vm, address):
    """A datagram of the VM is answered by an ICMP error of its router."""
    with client(vm, socket.SOCK_DGRAM, address, 9) as sock:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        sock.settimeout(0.5)
        sock.send(b"x")
        try:
            sock.recv(64)
        except OSError as error:
            equal(error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH), True,
                  f"what is heard of {address} ({error})")
            return
    raise AssertionError(f"{address} answered")


def to_shared_network(frame):
    """Where a frame goes to, if that is in a shared subnet."""
    at, size = {b"\x08\x00": (30, 4), b"\x86\xdd": (38, 16)}.get(frame[12:14], (0, 0))
    if not size:
        return None
    to = ipaddress.ip_address(frame[at:at + size])
    return to if any(to in ipaddress.ip_network(net) for net in (SUBNET, SUBNET_V6)) else None


def told_and_nothing_leaves(lab, what):
    """To whom it sends is mapped or not, in both families."""
    with Watch(lab.outside, "eth0") as watch:
        for address in (BLUE1, BLUE1_V6, UNMAPPED, UNMAPPED_V6):
            eventually(lambda a=address: told(lab.red1, a))
        for address in (OUTSIDE, OUTSIDE_V6):   # what was sent before has arrived, if it came
            reach(lab.red, address)
    leaks = [str(to) for to in map(to_shared_network, watch.frames) if to]
    equal(leaks, [], f"on the uplink, {what}")


def lose(lab, definitions, ways):
    """Each of these ways, with these definitions in force."""
    for how in ways:
        lab.red.ip(*LOST[how])
        try:
            told_and_nothing_leaves(lab, how)
            equal(routes(lab.red), UNREACHABLE, how)
        finally:
            found_again(lab, how)
            lab.apply(definitions)


@hook
@dual_stack
def test_shared_network_is_lost(lab):
    """Its interface is down, or the route is gone; and afterwards all is as before."""
    lose(lab, lab.dual_definitions(), ("down", "route"))
    for address in (BLUE1, BLUE1_V6):
        reach(lab.red1, address)


@once
@dual_stack
def test_shared_network_is_lost_however_it_is_forwarded(lab):
    """Past the stack or through it, without a mapping of IPv6, and with the interface deleted."""
    for forwarding, sources in (("fast", "strict"), ("stack", "loose"), ("stack", "strict")):
        defs = lab.dual_definitions()
        defs["red"].router.update(sources=sources, forwarding=forwarding)
        if forwarding == "stack":
            defs["red"].mappings = [m for m in defs["red"].mappings if ":" not in m[0]]
        lab.apply(defs)
        lose(lab, defs, LOST)
    lab.apply(lab.dual_definitions())


@once
@dual_stack
def test_unreachable_routes_are_ours(lab):
    """They come back, go with the router, and others' are left alone."""
    red = lab.red
    equal(routes(red), UNREACHABLE, "routes of red")
    red_shown, = [t["router"] for t in lab.cli.json("show")["tenants"] if t["tenant"] == "red"]
    equal((red_shown["routes"], red_shown["unreachable"]), ([], [SUBNET, SUBNET_V6]), "show")
    for again in (("restore",), ("apply", "-f", lab.write(lab.dual_definitions()))):
        red.ip(f"route del unreachable {SUBNET} {LAST}",
               f"route del unreachable {SUBNET_V6} {LAST}")
        equal(lab.cli.lines(*again),
              [f"+ route red {net} unreachable, as the last resort" for net in (SUBNET, SUBNET_V6)]
              + ["2 added, 0 changed, 0 removed"], again[0])
        equal(routes(red), UNREACHABLE, "routes of red")
        equal(lab.cli.lines(*again), ["nothing to be done"], f"{again[0]} again")
    lab.cli.run("detach", "red")
    equal(routes(red), [], "routes after detach")
    # somebody's own do the same
    red.ip(f"route add unreachable {SUBNET} metric 500")
    lab.apply(lab.dual_definitions())
    equal(routes(red), UNREACHABLE[1:], "routes beside somebody's")
    red.ip(f"route del unreachable {SUBNET} metric 500")
    # or are in the way
    red.ip(f"route add blackhole {SUBNET} metric 4294967295")
    before = machine(lab)
    said = lab.cli.fails("apply", "-f", lab.write(lab.dual_definitions()))
    assert f"tenant red: cannot add the unreachable route to {SUBNET}: " in said and \
        "the same metric" in said, said
    unchanged(before, machine(lab), "a failed apply")
    red.ip(f"route del blackhole {SUBNET} metric 4294967295")
    lab.apply(lab.dual_definitions())
    equal(routes(red), UNREACHABLE, "routes in the end")


@once
@dual_stack
def test_unreachable_routes_stay_while_the_interface_is_not_there(lab):
    """What cannot be looked at keeps them: they are needed then."""
    lab.red.ip("link del shared0")
    try:
        said = lab.cli.run("restore", code=1).stderr
        assert "tenant red" in said, said
        equal(routes(lab.red), UNREACHABLE, "routes of red")
    finally:
        found_again(lab, "deleted")
        lab.apply(lab.dual_definitions())
    lab.cli.run("detach", "--all")
    equal((routes(lab.red), routes(lab.blue)), ([], []), "routes after detach")
    lab.apply(lab.dual_definitions())


def leads_to(ns, address):
    """The interface that the kernel would send to that address by."""
    return json.loads(ns.run("ip", "-j", "route", "get", address).stdout)[0]["dev"]


@once
@dual_stack
def test_narrower_networks_go_on(lab):
    """An inside network within the shared subnet, and addresses that the router has there."""
    lab.red.ip("addr add 100.64.200.1/24 dev lan0", "addr add fd64::c8:1/120 dev lan0 nodad")
    try:
        lab.apply(lab.dual_definitions())
        lab.red.ip(*LOST["route"])
        ways = {address: leads_to(lab.red, address) for address in
                ("100.64.200.5", "fd64::c8:5", "100.64.200.1", "fd64::c8:1", FIXED, FIXED_V6)}
        found_again(lab, "route")
        equal(list(ways.values()), ["lan0", "lan0", "lo", "lo", "lan0", "lan0"], str(ways))
    finally:
        lab.red.ip("addr del 100.64.200.1/24 dev lan0", "addr del fd64::c8:1/120 dev lan0")
    lab.apply(lab.dual_definitions())
