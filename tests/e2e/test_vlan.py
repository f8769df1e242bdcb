# SPDX-License-Identifier: GPL-2.0-only
"""
VLANs: frames with a tag on the shared interface, VLAN devices above it, and a VLAN device, or
another interface that is not veth, as the shared interface. See "VLAN" in docs/architecture.md.
"""
import contextlib
import socket

from scapy.all import ICMP, IP, UDP, Dot1AD, Dot1Q, Ether

from case import equal, hook, only
from lab import BLUE, BLUE1, FIXED, FIXED2, INSIDE, PLAIN, RED1
from media import has_netdev, need_vlan
from test_guard import arrivals, counted, must_not
from traffic import Watch, ping, send_frames, server, tcp, udp

OTHER, BLUE_30, PLAIN_30 = 30, "192.168.30.1", "192.168.30.2"


def tagged(lab, tags, **ip):
    frame = Ether(src=lab.macs["plain"], dst=lab.macs["blue"])
    for tag in tags:
        frame /= tag
    return frame / IP(**{"src": PLAIN, **ip})


@contextlib.contextmanager
def tags_in_frames(lab, *names):
    """XDP gets to see the tags: the other ends of the interfaces do not hand them on beside."""
    devices = [(lab.shared, "p" + name) for name in names if lab.hook != "tc"]
    try:
        for ns, device in devices:
            ns.run("ethtool", "-K", device, "txvlan", "off", "tx-vlan-stag-hw-insert", "off")
        yield
    finally:
        for ns, device in devices:
            ns.run("ethtool", "-K", device, "txvlan", "on", "tx-vlan-stag-hw-insert", "on")


def judged_otherwise(lab, tags):
    """Frames that would be translated or dropped without tags."""
    return [tagged(lab, tags, **ip) / must_not()
            for ip in ({"dst": BLUE1}, {"dst": FIXED}, {"dst": "100.64.2.99"},
                       {"dst": BLUE1, "src": "8.8.8.8"}, {"dst": BLUE1, "src": BLUE1})]


@hook
def test_vlan_tag_of_nobody(lab):
    """Not the shared network's: neither judged nor translated, and the kernel drops it."""
    frames = [frame for tags in ([Dot1Q(vlan=7)], [Dot1AD(vlan=7)], [Dot1Q(vlan=4095, prio=7)],
                                 [Dot1Q(vlan=7), Dot1Q(vlan=5)], [Dot1Q(vlan=7), Dot1Q(vlan=0)])
              for frame in judged_otherwise(lab, tags)]
    before = lab.cli.counters()["blue", FIXED]["in"]["packets"]
    with tags_in_frames(lab, "blue"), counted(lab), \
            server(lab.blue, socket.SOCK_DGRAM)[0] as there, Watch(lab.blue, "lan0") as inside:
        own = tagged(lab, [Dot1Q(vlan=7)], dst=BLUE) / must_not(there.getsockname()[1])
        equal(arrivals(lab, [*frames, own]), [], "arrived")
        there.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"the router got {there.recv(100)}")
    equal([Ether(f).summary() for f in inside.frames if b"must not" in f], [], "inside")
    equal(lab.cli.counters()["blue", FIXED]["in"]["packets"], before + 1, "packets counted")


@hook
def test_vlan_priority_tag(lab):
    """VLAN id 0 is no VLAN: judged and translated like a frame without a tag, which ends here."""
    with server(lab.blue1, socket.SOCK_DGRAM)[0] as there, Watch(lab.blue1, "eth0") as watch:
        udp(lab.plain, lab.blue1, BLUE1, PLAIN)
        for tag in (Dot1Q(vlan=0, prio=5), Dot1AD(vlan=0)):
            frame = tagged(lab, [tag], dst=BLUE1) \
                / UDP(sport=9, dport=there.getsockname()[1]) / b"priority"
            send_frames(lab.plain, "shared0", [frame])
            equal(there.recvfrom(100), (b"priority", (PLAIN, 9)), "what came")
    equal([f for f in watch.tagged if b"priority" in f], [], "came with a tag")
    out = Ether(src=lab.blue1.mac("eth0"), dst=lab.blue.mac("lan0")) / Dot1Q(vlan=0, prio=5) / \
        IP(src=FIXED, dst=PLAIN) / UDP(sport=9, dport=9) / b"priority"
    with Watch(lab.plain, "shared0") as watch:
        send_frames(lab.blue1, "eth0", [out] * 2)
        assert watch.until(lambda f: b"priority" in f), "nothing came from the VM"
    equal([f for f in watch.tagged if b"priority" in f], [], "came from the VM with a tag")
    with counted(lab, blue__direct_to_private=1, blue__unmapped=1, blue__foreign_source=1,
                 blue__spoofed_source=1):
        equal(arrivals(lab, judged_otherwise(lab, [Dot1Q(vlan=0)])[1:]), [], "arrived")


@hook
def test_vlan_second_tag(lab):
    """Behind a priority tag, where the kernel would take it off after us."""
    frames = [frame for inner in (0, 5)
              for frame in judged_otherwise(lab, [Dot1Q(vlan=0), Dot1Q(vlan=inner)])]
    with counted(lab, blue__malformed=len(frames)):
        equal(arrivals(lab, frames), [], "arrived")


@contextlib.contextmanager
def other_network(lab):
    """VLAN 30 on the shared interfaces of blue and plain, where blue leads to its VMs."""
    need_vlan()
    try:
        for name, address in (("blue", BLUE_30), ("plain", PLAIN_30)):
            ns = lab.ns[name]
            ns.ip(f"link add link shared0 name other0 type vlan id {OTHER}",
                  "link set other0 up", f"addr add {address}/24 dev other0")
        lab.plain.ip(f"route add 10.0.0.0/24 via {BLUE_30}")
        yield
    finally:
        for name in ("blue", "plain"):
            with contextlib.suppress(RuntimeError):
                lab.ns[name].ip("link del other0")


@hook
def test_vlan_above_the_shared_interface(lab):
    """It is another network: its traffic passes as it is, also between it and the VMs."""
    with other_network(lab), tags_in_frames(lab, "blue"):
        with counted(lab):
            ping(lab.plain, BLUE_30)
            ping(lab.blue, PLAIN_30)
            for exchange in (udp, tcp):
                exchange(lab.plain, lab.blue, BLUE_30, PLAIN_30)
                exchange(lab.blue, lab.plain, PLAIN_30, BLUE_30)
                exchange(lab.blue1, lab.plain, PLAIN_30, FIXED)
                exchange(lab.plain, lab.blue1, FIXED, PLAIN_30)
                exchange(lab.plain, lab.blue2, FIXED2, PLAIN_30)
            udp(lab.blue1, lab.plain, PLAIN_30, FIXED, 5000)
            ping(lab.plain, INSIDE)
        ping(lab.red1, BLUE1)
        udp(lab.plain, lab.blue1, BLUE1, PLAIN)
        udp(lab.blue1, lab.red1, RED1, BLUE1)


@hook
def test_vlan_tag_that_xdp_does_not_see(lab):
    """Handed on beside the frame: what XDP takes for the shared network's does not get through."""
    need_vlan()
    to = Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / IP(src=PLAIN, dst=BLUE1)
    # of UDP XDP may leave to tc what goes on by the kernel; of ICMP it translates all
    echo, datagram = to / ICMP(id=1) / b"must not", to / must_not()
    sees = lab.forwarding != "stack" and has_netdev()   # past the stack XDP asks a veth, since 6.3
    lab.plain.ip(f"link add link shared0 name other0 type vlan id {OTHER}", "link set other0 up")
    try:
        with Watch(lab.blue1, "eth0") as watch:
            with counted(lab, **({"blue__malformed": 3} if lab.hook == "xdp" and not sees else {})):
                send_frames(lab.plain, "other0", [echo] * 3)
                ping(lab.plain, BLUE1)
            send_frames(lab.plain, "other0", [datagram] * 3)
            ping(lab.plain, BLUE1)
        equal([f for f in watch.frames if b"must not" in f], [], "arrived")
    finally:
        lab.plain.ip("link del other0")


# what is not veth as the shared interface

@hook
@only(media=["vlan"])
def test_vlan_parent_is_inside_by_default(lab):
    """The interface below the shared one is an inside interface where none are named."""
    changed = lab.definitions()
    for name in ("red", "blue"):
        del changed[name].router["inside"]
    lab.apply(changed)
    programs = next(t for t in lab.cli.json("show")["tenants"]
                    if t["tenant"] == "blue")["router"]["programs"]
    assert "phys0" in {p["interface"] for p in programs}, "phys0 is no inside interface"
    try:
        with counted(lab):
            ping(lab.red1, BLUE1)
            for exchange in (udp, tcp):
                exchange(lab.red1, lab.blue1, BLUE1, RED1)
                exchange(lab.plain, lab.blue1, BLUE1, PLAIN)
                exchange(lab.blue1, lab.plain, PLAIN, BLUE1)
    finally:
        lab.apply()


@hook
@only(media=["vlan", "ovs"])
def test_medium_native_xdp_is_refused(lab):
    """Its driver has none; the router goes on as before, and `auto` means tc."""
    changed = lab.definitions()
    changed["blue"].router["hook"] = "xdp"
    said = lab.cli.fails("apply", "-f", lab.write(changed, "native.yaml"))
    assert "native XDP" in said, said
    ping(lab.red1, BLUE1)
    changed["blue"].router["hook"] = "auto"
    lab.apply(changed)
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue")["router"]
    equal(router["hook"], "tc", "the hook that auto means")
    ping(lab.red1, BLUE1)
    lab.apply()
