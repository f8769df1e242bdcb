# SPDX-License-Identifier: GPL-2.0-only
"""The router's own traffic on the shared network: what the kernel and DHCP do there goes on."""
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess

from scapy.all import (ICMPv6MLQuery, ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptPrefixInfo,
                       ICMPv6NDOptSrcLLAddr, IP, Ether, IPv6, IPv6ExtHdrHopByHop, Raw,
                       RouterAlert)

from case import equal, eventually, hook
from lab import BLUE, BLUE_V6, PLAIN, PLAIN_V6
from test_guard import counted
from test_six import dual_stack
from traffic import WAIT, Watch, ping, send_frames

GROUP, GROUP_V6 = "239.7.7.7", "ff05::7:7"
SCRIPT = """#!/bin/sh
echo "$1 $ip $serverid" >>{log}
"""
SERVER = """
interface shared0
start {address}
end {address}
max_leases 1
lease_file {leases}
pidfile {pid}
option subnet 255.255.0.0
option lease 600
"""


class Dhcp:
    """A server in plain and a client in blue, which asks for the address that blue has."""

    def __init__(self, lab):
        self.lab, self.log = lab, lab.put("dhcp.log", "")
        script = lab.put("dhcp.sh", SCRIPT.format(log=self.log))
        os.chmod(script, 0o755)
        leases = lab.put("dhcp.leases", "")
        conf = lab.put("dhcp.conf", SERVER.format(address=BLUE, leases=leases,
                                                  pid=lab.scratch + "/dhcp.pid"))
        self.server = ["udhcpd", "-f", conf]
        self.client = ["udhcpc", "-f", "-i", "shared0", "-s", script, "-t10", "-T1", "-A1"]

    def start(self, ns, argv):
        # pylint: disable=consider-using-with
        return subprocess.Popen(["nsenter", f"--net={ns.path}", *argv], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def said(self):
        with open(self.log, encoding="ascii") as f:
            return [line.split() for line in f]


def stop(*running):
    for one in running:
        one.kill()
        one.wait()


@hook
def test_control_dhcp(lab):
    """Discover, offer, request, acknowledgement, by broadcast; then a renewal between the two."""
    dhcp = Dhcp(lab)
    with counted(lab):
        server = dhcp.start(lab.plain, dhcp.server)
        client = dhcp.start(lab.blue, dhcp.client)
        try:
            bound, renewed = ["bound", BLUE, PLAIN], ["renew", BLUE, PLAIN]
            eventually(lambda: equal(dhcp.said()[1:], [bound], "what the client was given"))
            client.send_signal(signal.SIGUSR1)
            eventually(lambda: equal(dhcp.said()[1:], [bound, renewed], "and once more"))
        finally:
            stop(client, server)


def joined(ns, v6):
    """A socket in blue that is a member of the group, at a port of its own."""
    sock = ns.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("::" if v6 else "0.0.0.0", 0))
    with ns.entered():
        index = socket.if_nametoindex("shared0")
    if v6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                        socket.inet_pton(socket.AF_INET6, GROUP_V6) + struct.pack("=I", index))
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(GROUP) + socket.inet_aton("0.0.0.0")
                        + struct.pack("=I", index))
    sock.settimeout(WAIT)
    return sock, sock.getsockname()[1]


@hook
@dual_stack
def test_control_multicast(lab):
    """A group is joined, and told of when somebody asks; what is sent to it arrives."""
    mac = lab.macs["plain"]
    for v6, group, source in ((False, GROUP, PLAIN), (True, GROUP_V6, PLAIN_V6)):
        wire = socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, group)

        def report(frame, v6=v6, wire=wire):
            kind = frame[12:14] == (b"\x86\xdd" if v6 else b"\x08\x00")
            return kind and (frame[20] == 0 if v6 else frame[23] == 2) and wire in frame[34:]

        with counted(lab), contextlib.ExitStack() as stack:
            watch = stack.enter_context(Watch(lab.plain, "shared0"))
            sock, port = joined(lab.blue, v6)
            stack.enter_context(sock)
            assert watch.until(report, grace=0), f"joining {group} was not reported"
            del watch.frames[:]
            query = (Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src="fe80::77", dst="ff02::1",
                                                                    hlim=1)
                     / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLQuery(mrd=100)
                     if v6 else Ether(src=mac, dst="01:00:5e:00:00:01")
                     / IP(src=PLAIN, dst="224.0.0.1", ttl=1, proto=2)
                     / Raw(b"\x11\x01\xee\xfe\0\0\0\0"))
            send_frames(lab.plain, "shared0", [query])
            assert watch.until(report, grace=0), f"the query for {group} was not answered"
            sent = [b"%03d" % number * 100 for number in range(100)]
            publish(lab.plain, v6, group, port, sent)
            got = [sock.recvfrom(1000) for _ in sent]
            equal([body for body, _ in got], sent, f"the stream to {group}")
            equal({peer[0] for _, peer in got}, {source}, "its sender")
            publish(lab.blue, v6, group, port, [b"to us all"])
            equal(sock.recvfrom(1000)[0], b"to us all", "what the member itself sent")


def publish(ns, v6, group, port, bodies):
    """Datagrams to a group, over the shared network."""
    with ns.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as out:
        with ns.entered():
            index = struct.pack("=I", socket.if_nametoindex("shared0"))
        if v6:
            out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:       # struct ip_mreqn
            out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + index)
        for body in bodies:
            out.sendto(body, (group, port))


PREFIX, BY_RA = "fd64::", "fe80::aa"


def given(ns):
    """The addresses that it was given by router advertisements."""
    return re.findall(PREFIX + r"\S+", ns.run("ip", "-6", "addr", "show", "dev", "shared0",
                                              "dynamic").stdout)


@hook
@dual_stack
def test_control_router_advertisement(lab):
    """A router of the shared network is asked for, answers, and is believed."""
    blue = lab.blue
    blue.sysctl(ipv6__conf__shared0__accept_ra=2, ipv6__conf__shared0__autoconf=1,
                ipv6__conf__shared0__router_solicitations=3)
    mac = lab.macs["plain"]
    advert = (Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src=BY_RA, dst="ff02::1", hlim=255)
              / ICMPv6ND_RA(routerlifetime=600) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
              / ICMPv6NDOptPrefixInfo(prefix=PREFIX, prefixlen=64))
    try:
        with counted(lab), Watch(lab.plain, "shared0") as watch:
            own = re.search(r"fe80::\S+", blue.run("ip", "-6", "addr", "show", "dev",
                                                   "shared0").stdout)[0]
            blue.ip(f"addr del {own} dev shared0", f"addr add {own} dev shared0")
            assert watch.until(lambda f: ICMPv6ND_RS in Ether(f), 6, 0), "no solicitation"
            send_frames(lab.plain, "shared0", [advert])

            def believed():
                routes = blue.run("ip", "-6", "route", "show", "default").stdout
                assert f"via {BY_RA} dev shared0" in routes, f"routes: {routes!r}"
                assert given(blue), "no address by it"
            eventually(believed)
    finally:
        blue.sysctl(ipv6__conf__shared0__accept_ra=0)
        blue.run("ip", "-6", "route", "del", "default", "via", BY_RA, "dev", "shared0",
                 check=False)
        for address in given(blue):
            blue.ip(f"addr del {address} dev shared0")


@hook
@dual_stack
def test_control_neighbours_of_the_router(lab):
    """The router's own addresses: found, defended, and looked for before they are taken."""
    with counted(lab):
        for source, target in ((lab.plain, BLUE), (lab.plain, BLUE_V6), (lab.blue, PLAIN),
                               (lab.blue, PLAIN_V6)):
            source.ip("neigh flush dev shared0")
            ping(source, target, 1)
        probe = lab.plain
        probe.sysctl(ipv6__conf__shared0__accept_dad=1)
        try:
            probe.ip(f"addr add {BLUE_V6}/64 dev shared0")
            duplicate(probe, BLUE_V6)
        finally:
            probe.run("ip", "addr", "del", BLUE_V6 + "/64", "dev", "shared0", check=False)
            probe.sysctl(ipv6__conf__shared0__accept_dad=0)
        lab.blue.sysctl(ipv6__conf__shared0__accept_dad=1)
        try:
            lab.blue.ip(f"addr add {PLAIN_V6}/64 dev shared0")
            duplicate(lab.blue, PLAIN_V6)
        finally:
            lab.blue.run("ip", "addr", "del", PLAIN_V6 + "/64", "dev", "shared0", check=False)
            lab.blue.sysctl(ipv6__conf__shared0__accept_dad=0)


def duplicate(ns, address):
    """The kernel has found out that somebody has it."""
    def seen():
        said = ns.run("ip", "-6", "addr", "show", "dev", "shared0", "dadfailed").stdout
        assert f" {address}/" in said, f"{address} is not known for a duplicate: {said!r}"
    eventually(seen)
