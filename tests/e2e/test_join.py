# SPDX-License-Identifier: GPL-2.0-only
"""A router that has nothing yet: its address, routes and forwarding come with the join."""
import contextlib
import ipaddress
import json
import os
import re
import socket
import struct
import time

from scapy.all import Ether, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6

from case import PATIENCE, equal, eventually, hook, once
from cli import Cli
from lab import (BLUE, BLUE1, FIXED, FIXED_V6, GREEN, INSIDE, INSIDE_V6, PLAIN, RED, RED1,
                 RED1_V6, RED2, SUBNET, SUBNET_V6)
from net import Child, mount_bpffs, sh, unmount_bpffs, veth
from snapshot import machine, unchanged
from test_check import cable, meanwhile
from test_six import ALL_NODES, dual_stack
from traffic import Watch, ping, reach, tcp

MARK = 116
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_DONE = 0x1, 0x300, 3       # linux/netlink.h
RTM_NEWADDR, RTM_GETADDR = 20, 22                           # linux/rtnetlink.h
RTMGRP_IPV6_ROUTE, RTM_PROTOCOL = 0x400, 16 + 5             # the latter's place in a message
IFA_ADDRESS, IFA_PROTO = 1, 11                              # linux/if_addr.h
GREEN1, GREEN1_V6 = "100.64.3.5", "fd64::3:5"
OWN_V6 = "fd64::3:fffe"     # that green is given
MANY_LAST = "100.64.127.250"


def addresses(ns):
    """["ADDRESS/LEN"] that bear the mark (IFA_PROTO), which older ip(8) do not show."""
    out = []
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII4xI", 24, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0))
        done = False
        while not done:
            data = sock.recv(1 << 16)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                done |= kind == NLMSG_DONE
                attributes = dict(parts(data[24:size])) if kind == RTM_NEWADDR else {}
                if attributes.get(IFA_PROTO) == bytes([MARK]):
                    out.append(f"{ipaddress.ip_address(attributes[IFA_ADDRESS])}/{data[17]}")
                data = data[size:]
    return out


def parts(data):
    """(type, bytes) of the attributes of a netlink message."""
    while data:
        size, kind = struct.unpack_from("=HH", data)
        yield kind, data[4:size]
        data = data[size + 3 & ~3:]


def routes(ns):
    """["[unreachable] PREFIX [via GATEWAY]"] that bear the mark, both families."""
    out = []
    for family in ("-4", "-6"):
        found = json.loads(ns.run("ip", family, "-j", "route", "show", "proto", str(MARK)).stdout)
        out += [("" if r.get("type", "unicast") == "unicast" else r["type"] + " ") + r["dst"] +
                (f" via {r['gateway']}" if "gateway" in r else "") for r in found]
    return out


def forwarding(ns, family=4):
    """{interface: value}"""
    with ns.entered():
        lines = sh(["grep", "-r", ".", f"/proc/sys/net/ipv{family}/conf", "--include=forwarding"])
    return {line.split("/")[-2]: int(line.rsplit(":", 1)[1])
            for line in lines.stdout.splitlines()}


def settings(ns):
    return {family: forwarding(ns, family) for family in (4, 6)}


def whole(lab):
    """A snapshot, with every route and setting of green."""
    green = lab.green
    return {**machine(lab), "routes": green.run("ip", "-6", "route").stdout,
            "settings": settings(green),
            "all": green.run("ip", "route", "show", "table", "all").stdout}


@contextlib.contextmanager
def bare(lab):
    """
    green without address, route and forwarding, and with a VM behind it; in the end all is as
    it was, and the definitions are those of the lab.
    """
    green, vm = lab.green, lab._add("green1")
    kept = settings(green)
    try:
        veth(vm, "eth0", lab.green_lan, "pgreen1")
        lab.green_lan.ip("link set pgreen1 master br0")
        vm.ip(f"addr add {FIXED}/24 dev eth0", f"route add default via {INSIDE}")
        if lab.dual:
            vm.sysctl(ipv6__conf__all__disable_ipv6=0, ipv6__conf__eth0__accept_dad=0)
            vm.ip(f"addr add {FIXED_V6}/64 dev eth0 nodad", f"route add default via {INSIDE_V6}")
        green.ip("addr flush dev shared0 scope global")
        green.sysctl(ipv4__ip_forward=0, ipv6__conf__all__forwarding=0)
        reach(vm, INSIDE)    # until the bridge forwards
        yield vm
    finally:
        vm.ip("link del eth0")      # the namespace takes its time to go
        lab.ns.pop("green1").remove()
        # an answer that comes when the address has gone is not forwarded, with an error by the uplink
        green.sysctl(ipv4__ip_forward=0, ipv6__conf__all__forwarding=0)
        lab.apply(lab.dual_definitions() if lab.dual else lab.definitions())
        green.sysctl(ipv4__ip_forward=kept[4]["all"], ipv6__conf__all__forwarding=kept[6]["all"])
        green.ip("addr flush dev shared0 scope global", f"addr add {GREEN}/16 dev shared0")
        if lab.dual:
            green.ip("addr add fd64::4/64 dev shared0 nodad")


def with_green(lab, **router):
    defs = (lab.dual_definitions() if lab.dual else lab.definitions()).having(lab.green_tenant())
    defs["green"].router.update(router)
    if lab.dual:
        defs["green"].mappings.append((FIXED_V6, GREEN1_V6, None))
        defs["green"].pool.append("fd64::3:0/112")
    return defs


@hook
def test_join_of_a_bare_router(lab):
    with bare(lab) as vm:
        before = forwarding(lab.green)
        said = lab.apply(with_green(lab))
        for line in ("+ address green 100.64.3.254/32 on shared0",
                     f"+ route green {SUBNET} unreachable, as the last resort",
                     f"+ route green {SUBNET} on shared0",
                     "~ setting green ipv4/conf/lan0/forwarding 0 → 1",
                     "~ setting green ipv4/conf/lan1/forwarding 0 → 1",
                     "~ setting green ipv4/conf/shared0/forwarding 0 → 1"):
            assert line in said, f"no `{line}` in {said}"
        equal(addresses(lab.green), ["100.64.3.254/32"], "addresses")
        equal(routes(lab.green), [SUBNET, f"unreachable {SUBNET}"], "routes")
        green, = [t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "green"]
        equal([green["router"][what] for what in ("addresses", "routes", "unreachable")],
              [["100.64.3.254"], [{"to": SUBNET, "via": None}], [SUBNET]], "show")
        # and of nobody else
        equal({k: v for k, v in forwarding(lab.green).items() if v != before[k]},
              {"lan0": 1, "lan1": 1, "shared0": 1}, "forwarding that changed")
        ping(vm, RED1)
        ping(lab.red1, GREEN1)
        tcp(vm, lab.red1, RED1, GREEN1)
        equal(lab.apply(with_green(lab)), ["nothing to be done"], "apply again")
        # the router's own errors come from its shared address
        ping(lab.plain, "100.64.3.254")


@once
def test_leave_takes_its_own_along(lab):
    """Addresses and routes of ours; not the forwarding, which others may count on by then."""
    with bare(lab):
        lab.green.ip("route add 100.64.77.0/24 dev lan0", "addr add 100.99.0.1/32 dev shared0")
        before = lab.green.run("ip", "-4", "route", "show", "table", "all").stdout
        had = lab.green.run("ip", "-4", "address").stdout
        lab.apply(with_green(lab))
        lease = addresses(lab.green)
        kept = forwarding(lab.green)
        equal((kept["lan0"], kept["shared0"]), (1, 1), "forwarding of a router that joined")
        lab.cli.run("detach", "green")
        equal(forwarding(lab.green), kept, "forwarding after detach")
        equal(addresses(lab.green), [], "addresses after detach")
        equal(lab.green.run("ip", "-4", "route", "show", "table", "all").stdout, before, "routes")
        equal(lab.green.run("ip", "-4", "address").stdout, had, "addresses of others")
        lab.apply(with_green(lab))
        equal(addresses(lab.green), lease, "the lease of before")
        lab.apply()
        equal(routes(lab.green), [], "routes of a router that is not defined any more")
        equal(forwarding(lab.green), kept, "its forwarding")
        lab.green.ip("route del 100.64.77.0/24")


@once
def test_router_address_is_pinned(lab):
    """And changed, and given back; the traffic of the VMs has nothing to do with it."""
    with bare(lab) as vm:
        for address in ("100.64.0.77", "100.64.0.78"):
            lab.apply(with_green(lab, address=address))
            equal(addresses(lab.green), [address + "/32"], "addresses")
            ping(vm, RED1)
            ping(lab.plain, address)
        # what the operator has given meanwhile is his
        lab.green.ip("addr add 100.64.0.79/16 dev shared0 noprefixroute")
        lab.apply(with_green(lab))
        equal(addresses(lab.green), [], "addresses of ours")
        ping(vm, RED1)
        # who takes it back is given one
        lab.green.ip("addr del 100.64.0.79/16 dev shared0")
        lab.apply(with_green(lab))
        equal(addresses(lab.green), ["100.64.3.254/32"], "the address after it")
        ping(vm, RED1)
        # the same, but given by somebody else: left alone
        lab.green.ip("addr add 100.64.0.80/16 dev shared0")
        lab.apply(with_green(lab, address="100.64.0.80"))
        equal(addresses(lab.green), [], "addresses of ours")
        ping(vm, RED1)


@contextlib.contextmanager
def another_gateway(lab):
    lab.plain.ip("addr add 100.64.0.251/16 dev shared0")
    try:
        yield
    finally:
        lab.plain.ip("addr del 100.64.0.251/16 dev shared0")


@once
@dual_stack
def test_join_of_a_wider_subnet(lab):
    """What was the last resort in the narrow one leads nowhere while the wide one is probed."""
    wide = ["100.64.0.0/15", "fd64::/48"]
    more = with_green(lab)
    more.subnets = wide
    with bare(lab):
        lab.apply(with_green(lab))
        equal(sorted(routes(lab.green)),
              sorted([SUBNET, SUBNET_V6, f"unreachable {SUBNET}", f"unreachable {SUBNET_V6}"]), "routes")
        lab.apply(more)
        equal(sorted(routes(lab.green)), sorted(wide + [f"unreachable {to}" for to in wide]), "routes")
        ping(lab.green1, RED1)
        lab.apply(with_green(lab))
        ping(lab.green1, RED1)


@once
def test_routes_behind_a_gateway(lab):
    """A part of the shared subnets by way of plain, then of another one."""
    other = "100.65.0.0/16"

    def definitions(*ways):
        defs = with_green(lab, routes="[" + ", ".join(
            f"{{to: {to}, via: {via}}}" for to, via in ways) + "]")
        defs.subnets = (*defs.subnets, other)
        return defs

    def way(address):
        return lab.green.run("ip", "route", "get", address).stdout.split(" src ")[0].strip()

    with bare(lab), another_gateway(lab):
        lab.apply(definitions((other, PLAIN), ("100.64.9.0/24", PLAIN)))
        equal(sorted(routes(lab.green)),
              sorted([SUBNET, f"{other} via {PLAIN}", f"100.64.9.0/24 via {PLAIN}",
                      f"unreachable {SUBNET}", f"unreachable {other}"]), "routes")
        equal(way("100.65.3.4"), f"100.65.3.4 via {PLAIN} dev shared0", "the way")
        said = lab.apply(definitions((other, "100.64.0.251")))
        assert f"~ route green {other} on shared0: via {PLAIN} → 100.64.0.251" in said, said
        assert f"- route green 100.64.9.0/24 via {PLAIN} on shared0" in said, said
        equal(way("100.65.3.4"), "100.65.3.4 via 100.64.0.251 dev shared0", "the way")
        # of others, in the way
        lab.green.ip("addr add 192.0.2.1/24 dev lan0")
        lab.apply(with_green(lab))
        lab.green.ip(f"route add {other} via 192.0.2.9 proto static")
        before = whole(lab)
        said = lab.cli.fails("apply", "-f", lab.write(definitions((other, PLAIN)), "bad.yaml"))
        assert other in said and "ip route" in said and "green" in said, said
        unchanged(before, whole(lab), "a route that is somebody else's")
        lab.green.ip(f"route del {other}", "addr del 192.0.2.1/24 dev lan0")


@once
def test_what_was_lost_comes_back(lab):
    """Taken away by hand, and with the link: routes go down with it, IPv6 addresses too."""
    with bare(lab) as vm:
        lab.apply(with_green(lab))
        for lost in (f"route del {SUBNET}", "route flush proto 116", "addr flush dev shared0 scope global",
                     "link set shared0 down"):
            lab.green.ip(lost, "link set shared0 up")
            said = lab.apply(with_green(lab))
            assert f"+ route green {SUBNET} on shared0" in said, f"{lost}: {said}"
            equal(addresses(lab.green), ["100.64.3.254/32"], "addresses")
            reach(vm, RED1)
        equal(lab.apply(with_green(lab)), ["nothing to be done"], "at last")


@once
def test_map_add_on_a_bare_router(lab):
    """The first mapping of a family brings its address."""
    with bare(lab):
        defs = with_green(lab)
        defs["green"].mappings = []
        lab.apply(defs)
        had = addresses(lab.green)
        equal(lab.cli.lines("map", "add", "green", FIXED), ["100.64.3.5"], "the shared address")
        equal(addresses(lab.green), had, "addresses")
        ping(lab.red1, GREEN1)


@contextlib.contextmanager
def stubborn(lab, path):
    """A setting of green, below /proc/sys/net, that reads 0 and cannot be written."""
    zero, path = lab.put("zero", "0\n"), "/proc/sys/net/" + path
    with lab.green.entered():
        sh(["mount", "--bind", zero, path])
        sh(["mount", "-o", "remount,bind,ro", path])
    try:
        yield
    finally:
        with lab.green.entered():
            sh(["umount", path])


def fails_without_a_trace(lab, *words, probe=None, definitions=None):
    """Of a probe it is said which one failed, what was expected and what was seen."""
    before = whole(lab)
    path = lab.write(definitions or with_green(lab), "bad.yaml")
    said = lab.cli.run("apply", "-f", path, code=1).stderr
    last = said.splitlines()[-1]
    for word in ("tenant green: ", *words):
        assert word in last, f"no `{word}` in {said}"
    equal(re.findall(r"the probe `(.*?)` of .* failed: expected .*; seen: .*; ", last),
          [probe] if probe else [], said)
    unchanged(before, whole(lab), "a join that failed")


@once
def test_nothing_stays_of_a_join_that_fails(lab):
    """At the route, and at the last setting: the programs are attached by then."""
    with bare(lab):
        lab.green.ip("link set shared0 down")
        try:
            fails_without_a_trace(lab, "set the interface up")
        finally:
            lab.green.ip("link set shared0 up")
        with stubborn(lab, "ipv4/conf/lan0/forwarding"):
            fails_without_a_trace(lab, "ipv4/conf/lan0/forwarding")
        lab.apply(with_green(lab))
        with stubborn(lab, "ipv4/conf/lan0/forwarding"):
            lab.green.ip("route del " + SUBNET)
            fails_without_a_trace(lab, "ipv4/conf/lan0/forwarding")


@once
def test_state_lost_with_addresses_there(lab):
    """Who knows nothing of it any more finds what it gave, and gives it again."""
    with bare(lab) as vm:
        lab.apply(with_green(lab))
        had = addresses(lab.green), routes(lab.green)
        fresh = lab.cli.elsewhere(state=lab.scratch + "/fresh-state")
        lab.cli, kept = Cli(fresh.binary, fresh.state, env=lab.cli.env), lab.cli
        try:
            said = lab.apply(with_green(lab))
            assert not [line for line in said if "address green" in line and line[0] == "-"], said
            equal((addresses(lab.green), routes(lab.green)), had, "what is there")
            ping(vm, RED1)
        finally:
            lab.cli = kept


@hook
@dual_stack
def test_join_in_both_families(lab):
    with bare(lab) as vm:
        said = lab.apply(with_green(lab))
        assert "~ setting green ipv6/conf/all/forwarding 0 → 1" in said, said
        equal(sorted(addresses(lab.green)), ["100.64.3.254/32", "fd64::3:fffe/128"], "addresses")
        equal(routes(lab.green), [SUBNET, f"unreachable {SUBNET}",
                                  SUBNET_V6, f"unreachable {SUBNET_V6}"], "routes")
        ping(vm, RED1_V6)
        ping(lab.red1, GREEN1_V6)
        lab.cli.run("detach", "green")
        equal((addresses(lab.green), routes(lab.green)), ([], []), "after detach")


@once
@dual_stack
def test_join_finds_who_has_its_ipv6_addresses(lab):
    with bare(lab):
        for address in (GREEN1_V6, "fd64::3:fffe"):
            with meanwhile(lab.plain, [f"addr add {address}/128 dev shared0 nodad"],
                           [f"addr del {address}/128 dev shared0"]):
                fails_without_a_trace(lab, f"of {address} ", lab.macs["plain"], probe="duplicate")


def spin_and_send(lab, cpu, ready):
    """
    On that CPU, before all that has no real-time priority: a third of a second from green's next
    IPv6 route of ours on. Meanwhile plain sends to the address that green is to have.
    """
    with lab.green.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as routes_of, \
            lab.plain.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        routes_of.bind((0, RTMGRP_IPV6_ROUTE))
        os.sched_setaffinity(0, [cpu])
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        os.write(ready, b"x")
        while routes_of.recv(1 << 16)[RTM_PROTOCOL] != MARK:
            pass
        end, due = time.monotonic() + 0.3, 0
        while (now := time.monotonic()) < end:
            if now >= due:
                sock.sendto(b"early", (OWN_V6, 9))
                due = now + 0.001


@contextlib.contextmanager
def no_kernel_workers(lab):
    """See spin_and_send(): none of them gets a CPU for that long."""
    came, ready = os.pipe()
    cpus = os.sched_getaffinity(0)
    spinning = [Child(spin_and_send, lab, cpu, ready) for cpu in cpus]
    os.close(ready)
    for _ in cpus:
        os.read(came, 1)    # nothing of one that has failed: result() says why
    try:
        yield
        for each in spinning:
            each.result()
    finally:
        for each in spinning:
            each.kill()
        os.close(came)


@once
@dual_stack
def test_join_waits_for_its_ipv6_addresses(lab):
    """Until the kernel takes in what is for them: else it forwards that, and tells of it later."""
    with bare(lab):
        lab.green.sysctl(ipv6__conf__all__forwarding=1)
        before = lab.green.snmp()["Ip6OutForwDatagrams"]
        lab.plain.ip(f"neigh replace {OWN_V6} lladdr {lab.macs['green']} dev shared0")
        with no_kernel_workers(lab):
            eager = lab.cli.elsewhere(under=("chrt", "--fifo", "20"))
            eager.apply(lab.write(with_green(lab)))
        equal(sorted(addresses(lab.green)), ["100.64.3.254/32", OWN_V6 + "/128"], "addresses")
        lab.plain.ip(f"neigh del {OWN_V6} dev shared0")
        ping(lab.plain, OWN_V6)
        equal(lab.green.snmp()["Ip6OutForwDatagrams"], before, "packets that it has forwarded")


@once
@dual_stack
def test_every_interface_keeps_its_setting(lab):
    """Writing `all` of IPv6 writes every interface; to take that back is to write them all."""
    with bare(lab):
        lab.green.ip("link add other type bridge", "link add one type bridge")
        lab.green.sysctl(ipv6__conf__other__forwarding=1, ipv6__conf__default__forwarding=1)
        try:
            with stubborn(lab, "ipv6/conf/lan0/forwarding"):
                equal(forwarding(lab.green, 6)["all"], 0, "before")
                fails_without_a_trace(lab, "ipv6/conf/lan0/forwarding")
        finally:
            lab.green.ip("link del other", "link del one")


def cut_off(lab, *options, definitions=None):
    """The addresses that apply warns of."""
    done = lab.cli.run("apply", "-f", lab.write(definitions or with_green(lab)), *options)
    found = [re.search(r"tenant green: (\S+) on shared0 is in no shared subnet: over shared0 nobody "
                       "reaches this address any more", line) for line in done.stderr.splitlines()]
    return [one[1] for one in found if one]


@once
@dual_stack
def test_join_says_which_addresses_stop(lab):
    """Those of the shared interface in no shared subnet; before it, and once."""
    others = ["169.254.7.1", "192.0.2.1", "2001:db8::1"]
    with bare(lab):
        lab.green.ip("addr add 192.0.2.1/24 dev shared0", "addr add 169.254.7.1/16 dev shared0",
                     "addr add 2001:db8::1/64 dev shared0 nodad", "addr add fe80::7/64 dev shared0")
        lab.plain.ip("addr add 192.0.2.2/24 dev shared0")
        try:
            ping(lab.plain, "192.0.2.1")
            before = whole(lab)
            equal(sorted(cut_off(lab, "--dry-run")), others, "warnings of a dry run")
            unchanged(before, whole(lab), "a dry run")
            equal(sorted(cut_off(lab)), others, "warnings")
            equal(cut_off(lab), [], "warnings of an apply that finds it joined")
            lab.plain.run("ping", "-nqc1", f"-W{PATIENCE:g}", "192.0.2.1", check=False)
            assert lab.cli.drops()["green", "direct-to-private"], "it is reached"
            # of other shared subnets, what was in one before
            more = with_green(lab)
            more.subnets = (*more.subnets, "192.0.2.0/24")
            equal(cut_off(lab, definitions=more), [], "warnings of one subnet more")
            equal(cut_off(lab), ["192.0.2.1"], "warnings of one less")
            lab.cli.run("detach", "green")
            equal(lab.cli.run("restore").stderr, "", "restore")
        finally:
            lab.plain.ip("addr del 192.0.2.2/24 dev shared0")
            lab.green.ip("addr del 169.254.7.1/16 dev shared0", "addr del fe80::7/64 dev shared0")


# before traffic

def plain_having(lab, address):
    return meanwhile(lab.plain, [f"addr add {address}/32 dev shared0"],
                     [f"addr del {address}/32 dev shared0"])


@hook
def test_join_finds_who_has_its_addresses(lab):
    """A mapped address, and the router's own; nothing stays, and --no-probe does without."""
    with bare(lab):
        for address in (GREEN1, "100.64.3.254"):
            with plain_having(lab, address):
                fails_without_a_trace(lab, address, lab.macs["plain"], probe="duplicate")
        with plain_having(lab, GREEN1):
            done = lab.cli.run("apply", "-f", lab.write(with_green(lab)), "--no-probe")
            assert "no probes were made" in done.stderr, done.stderr


def many(definitions, tenant, n, pool="100.64.64.0/18"):
    """With so many more mappings in another pool, the last one of which has its last address."""
    definitions[tenant].pool.append(pool)
    definitions[tenant].mappings += [
        (f"10.5.{i // 250}.{i % 250 + 1}", MANY_LAST if i == n - 1 else None, None)
        for i in range(n)]
    return definitions


@once
def test_join_asks_for_every_address(lab):
    """However many: the last one of 1,100 is somebody else's."""
    with bare(lab), plain_having(lab, MANY_LAST):
        fails_without_a_trace(lab, f"`duplicate` of {MANY_LAST} ", lab.macs["plain"],
                              probe="duplicate", definitions=many(with_green(lab), "green", 1100))


@once
def test_addresses_that_are_not_asked_for(lab):
    """More than there is time for: it is said how many, and does not fail."""
    try:
        done = lab.cli.run("apply", "-f", lab.write(many(lab.definitions(), "red", 10007)))
    finally:
        lab.apply()
    assert "tenant red: the probe `duplicate` of 7 addresses was skipped: " in done.stderr, \
        done.stderr


@once
def test_map_add_finds_who_has_the_address(lab):
    with plain_having(lab, "100.64.1.99"):
        before = machine(lab)
        said = lab.cli.fails("map", "add", "red", "10.0.0.99")
        assert "100.64.1.99" in said and lab.macs["plain"] in said, said
        unchanged(before, machine(lab), "a map add that failed")
        lab.cli.run("map", "add", "red", "10.0.0.99", "--no-probe")
    lab.cli.run("map", "del", "red", "10.0.0.99")


@once
def test_join_finds_a_narrow_path(lab):
    with bare(lab):
        lab.green.ip("link set shared0 mtu 1600")
        try:
            fails_without_a_trace(lab, "expected packets of 1600 bytes to pass; seen: 150",
                                  probe="mtu")
        finally:
            lab.green.ip("link set shared0 mtu 1500")


@once
def test_join_asks_the_peers_that_are_up(lab):
    """One that is silent is in the way of a join; one without a carrier is not asked."""
    with bare(lab):
        lab.blue.ip("link set shared0 arp off")     # asks nobody either, whom it knows of earlier
        try:
            fails_without_a_trace(lab, f"of {BLUE} (blue)", "an answer to ARP; seen: none",
                                  probe="neighbour")
            with meanwhile(lab.shared, ["link set pblue down"], ["link set pblue up"]):
                lab.apply(with_green(lab))
        finally:
            lab.blue.ip("link set shared0 arp on")


@once
def test_join_finds_a_peer_that_does_not_answer_ping(lab):
    with bare(lab):
        lab.blue.sysctl(ipv4__icmp_echo_ignore_all=1)
        try:
            fails_without_a_trace(lab, f"of {BLUE} (blue)", "to ping from 100.64.3.254; seen: none",
                                  probe="ping")
        finally:
            lab.blue.sysctl(ipv4__icmp_echo_ignore_all=0)


@once
def test_join_finds_broken_checksums(lab):
    """Offloads that are promised and not done."""
    with bare(lab), cable(lab, "green"):
        fails_without_a_trace(lab, "right checksums of what shared0 sends; seen: UDP is answered",
                              "ethtool -K shared0 tx off", probe="checksum")


@once
def test_join_finds_a_route_that_leads_elsewhere(lab):
    """A narrower one than that to the shared subnet."""
    with bare(lab):
        lab.green.ip("route add blackhole 100.64.0.0/24")
        try:
            fails_without_a_trace(lab, "expected packets to 100.64.0.1 by shared0; seen: no route",
                                  probe="route")
        finally:
            lab.green.ip("route del blackhole 100.64.0.0/24")


@hook
def test_join_tells_neighbours(lab):
    """Who remembers somebody else at a mapped address learns of it, without asking."""
    def remembered(address):
        found = json.loads(lab.plain.run("ip", "-j", "neigh", "show", address).stdout)
        return [n["lladdr"] for n in found if "lladdr" in n]

    with bare(lab):
        for address in (GREEN1, "100.64.3.254"):
            lab.plain.ip(f"neigh replace {address} lladdr 02:bb:bb:bb:bb:bb dev shared0 nud stale")
        lab.apply(with_green(lab))
        for address in (GREEN1, "100.64.3.254"):
            eventually(lambda a=address: equal(remembered(a), [lab.macs["green"]], a))
        lab.plain.ip("neigh replace 100.64.3.9 lladdr 02:bb:bb:bb:bb:bb dev shared0 nud stale")
        lab.cli.run("map", "add", "green", "10.0.0.9")
        eventually(lambda: equal(remembered("100.64.3.9"), [lab.macs["green"]], "map add"))


@once
@dual_stack
def test_join_tells_neighbours_of_ipv6(lab):
    """By unsolicited advertisements (RFC 4861, 7.2.6): a router's own say that it is one."""
    with bare(lab), Watch(lab.plain, "shared0") as watch:
        lab.apply(with_green(lab))
        own = next(a.split("/")[0] for a in addresses(lab.green) if ":" in a)
        watch.until(lambda _: {GREEN1_V6, own} <= set(map(target_of, watch.frames)))
        told = {target_of(frame): IPv6(frame[14:]) for frame in watch.frames
                if frame[6:12].hex(":") == lab.macs["green"] and target_of(frame)}
        for address, router in ((GREEN1_V6, 0), (own, 1)):
            assert address in told, f"{address} is not announced: {list(told)}"
            packet = told[address]
            advert = packet[ICMPv6ND_NA]
            equal((packet.src, packet.dst, packet.hlim), (address, ALL_NODES, 255), "packet")
            equal((advert.R, advert.S, advert.O), (router, 0, 1), f"flags of {address}")
            equal(advert[ICMPv6NDOptDstLLAddr].lladdr, lab.macs["green"], f"MAC of {address}")


def target_of(frame):
    """Whom an advertisement is about; None: it is none."""
    packet = Ether(frame)
    return packet[ICMPv6ND_NA].tgt if ICMPv6ND_NA in packet else None


@once
def test_announced_by_restore(lab):
    """All of a router that comes to another place, once."""
    with Watch(lab.plain, "shared0") as watch:
        unmount_bpffs()
        mount_bpffs()
        lab.cli.run("restore")

        def announcements():
            return {name: [a for a in (announced(f, lab.macs[name]) for f in watch.frames) if a]
                    for name in ("red", "blue")}
        watch.until(lambda _: sum(map(len, announcements().values())) == 5)
        found = announcements()
    equal({name: sorted(some) for name, some in found.items()},
          {"red": [RED, RED1, RED2], "blue": [BLUE, BLUE1]}, "announced")


def announced(frame, mac):
    """The address that is announced by ARP at that MAC address."""
    if frame[12:14] != b"\x08\x06" or frame[28:32] != frame[38:42] or frame[6:12].hex(":") != mac:
        return None
    return socket.inet_ntoa(frame[28:32])
