# SPDX-License-Identifier: GPL-2.0-only
"""What has to be dropped is, under its reason; what has to be left alone is."""
import contextlib
import socket

from scapy.all import ARP, BOOTP, DHCP, ICMP, IP, TCP, UDP, Ether, IPerror

from case import equal, hook
from lab import BLUE, BLUE1, FIXED, FIXED2, GREEN, INSIDE, PLAIN, RED1, UNMAPPED
from sniffer import faults
from traffic import Watch, ping, send_frames, server, udp

BROADCAST, GROUP = "ff:ff:ff:ff:ff:ff", "224.0.0.251"


@contextlib.contextmanager
def counted(lab, **expected):
    """
    Exactly these drops are counted meanwhile: TENANT__REASON=packets, with underscores for
    hyphens. Redirects are told only where they are asked for: kernels send one now and then.
    """
    before = lab.cli.drops()
    yield
    after = lab.cli.drops()
    grown = {key: after[key] - before.get(key, 0) for key in after
             if after[key] != before.get(key, 0)}
    want = {tuple(key.replace("_", "-").split("--")): count for key, count in expected.items()}
    if not any(reason == "icmp-redirect" for _, reason in want):
        grown = {key: count for key, count in grown.items() if key[1] != "icmp-redirect"}
    equal(grown, want, "drops")


def to_blue(lab, **ip):
    return Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / IP(**{"src": PLAIN, **ip})


def arrivals(lab, frames, vm="blue1"):
    """Send frames from the plain host, then one that may pass; what reached the VM before it."""
    with server(lab.ns[vm], socket.SOCK_DGRAM)[0] as last, Watch(lab.ns[vm], "eth0") as watch:
        port = last.getsockname()[1]
        good = to_blue(lab, dst=BLUE1) / UDP(sport=9, dport=port) / b"may pass"
        send_frames(lab.plain, "shared0", [*frames, good])
        assert watch.until(lambda f: b"may pass" in f), "what may pass did not arrive either"
        found = [Ether(f) for f in watch.frames if b"must not" in f]
    return [p.summary() for p in found]


def must_not(port=9):
    return UDP(sport=9, dport=port) / b"must not"


@hook
def test_direct_to_private(lab):
    frames = [to_blue(lab, dst=FIXED) / must_not(), to_blue(lab, dst=FIXED2) / must_not(),
              to_blue(lab, dst=INSIDE) / must_not(), to_blue(lab, dst="8.8.8.8") / must_not()]
    frames.append(to_blue(lab, dst=FIXED) / TCP(sport=1, dport=22, flags="S"))
    with counted(lab, blue__direct_to_private=5), Watch(lab.blue, "lan0") as inside:
        equal(arrivals(lab, frames), [], "arrived")
        equal([Ether(f).summary() for f in inside.frames if b"must not" in f], [], "inside")


@hook
def test_spoofed_own_source(lab):
    """One of this router's shared addresses as the source, a VM's or the router's own."""
    frames = [to_blue(lab, src=source, dst=BLUE1) / must_not() for source in (BLUE1, BLUE)]
    with counted(lab, blue__spoofed_source=2):
        equal(arrivals(lab, frames), [], "arrived")


@hook
def test_foreign_source(lab):
    """Private, public, loopback and other sources outside the shared subnets."""
    sources = (FIXED, FIXED2, "10.99.0.1", "8.8.8.8", "127.0.0.1", "0.0.0.0", "100.65.0.1",
               "192.168.1.1", "224.0.0.1", "255.255.255.255")
    frames = [to_blue(lab, src=source, dst=BLUE1) / must_not() for source in sources]
    with counted(lab, blue__foreign_source=len(sources)):
        equal(arrivals(lab, frames), [], "arrived")


@hook
def test_foreign_source_to_router(lab):
    """The router's own address is not a way in for them either."""
    with counted(lab, blue__foreign_source=2), server(lab.blue, socket.SOCK_DGRAM)[0] as there:
        port = there.getsockname()[1]
        frames = [to_blue(lab, src=source, dst=BLUE) / must_not(port)
                  for source in (FIXED, "8.8.8.8")]
        equal(arrivals(lab, frames), [], "arrived")
        there.settimeout(0.05)
        try:
            raise AssertionError(f"the router got it: {there.recvfrom(100)}")
        except TimeoutError:
            pass


@hook
def test_unmapped_destination(lab):
    """Nobody's address, and that of another router, sent to this router."""
    frames = [to_blue(lab, dst=UNMAPPED) / must_not(), to_blue(lab, dst=RED1) / must_not(),
              to_blue(lab, dst=GREEN) / must_not()]
    with counted(lab, blue__unmapped=3), Watch(lab.red1, "eth0") as red:
        equal(arrivals(lab, frames), [], "arrived")
        equal([f for f in red.frames if b"must not" in f], [], "bounced to red")


@hook
def test_malformed(lab):
    """Headers that are short, lie about their length, or are cut off."""
    short = to_blue(lab, dst=BLUE1, ihl=4, proto=17) / must_not()
    lies = to_blue(lab, dst=BLUE1, len=400) / must_not()
    cut = to_blue(lab, dst=BLUE1, proto=6) / b"must not"
    with counted(lab, blue__malformed=3):
        equal(arrivals(lab, [short, lies, cut]), [], "arrived")


@hook
def test_unmapped_vm_does_not_leak(lab):
    """Sent by a VM without a mapping: dropped on its way out, counted."""
    with counted(lab, blue__untranslated=3), Watch(lab.plain, "shared0") as outside:
        with lab.blue2.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(3):
                sock.sendto(b"must not", (PLAIN, 9))
        udp(lab.blue1, lab.plain, PLAIN, BLUE1)
        equal([Ether(f).summary() for f in outside.frames if b"must not" in f], [], "leaked")


@hook
def test_unmapped_vm_is_not_reached(lab):
    """Its mapped neighbour's shared address is no way to it, and it cannot use it."""
    with Watch(lab.blue2, "eth0") as watch:
        udp(lab.plain, lab.blue1, BLUE1, PLAIN)
        equal([f for f in watch.frames if f[12:14] == b"\x08\x00"
               and not (f[0] & 1)], [], "reached the unmapped VM")


@hook
def test_router_inside_address_does_not_leak(lab):
    """What the router itself sends from its inside address, in IP and in ARP."""
    lab.blue.ip(f"neigh flush {PLAIN}")
    with Watch(lab.plain, "shared0") as outside:
        lab.blue.run("ping", "-nqc2", "-i0.05", "-W0.2", "-I", INSIDE, PLAIN, check=False)
    leaks = [fault for frame in outside.frames for fault in faults(frame, True)
             if "private" in fault]
    equal(leaks, [], "leaked")


@hook
def test_arp_for_mapped_only(lab):
    def asks(address, source=PLAIN):
        return (Ether(src=lab.macs["plain"], dst=BROADCAST)
                / ARP(op=1, hwsrc=lab.macs["plain"], psrc=source, pdst=address))

    questions = [asks(a) for a in (FIXED, FIXED2, INSIDE, UNMAPPED, GREEN.replace(".4", ".9"),
                                   RED1, BLUE1, BLUE, GREEN)]
    lab.plain.ip("neigh flush dev shared0")     # or the kernel asks too, when it comes to check
    with Watch(lab.plain, "shared0") as watch:
        send_frames(lab.plain, "shared0", questions)

        def answered():
            arp = [Ether(f) for f in watch.frames if f[12:14] == b"\x08\x06"]
            return [p for p in arp if p[ARP].op == 2]
        watch.until(lambda _: {RED1, BLUE1, BLUE, GREEN} <= {p[ARP].psrc for p in answered()})
    answers = answered()
    got = {p[ARP].psrc: p[ARP].hwsrc for p in answers}
    equal(got, {RED1: lab.macs["red"], BLUE1: lab.macs["blue"], BLUE: lab.macs["blue"],
                GREEN: lab.macs["green"]}, "answers")
    for answer in answers:
        equal((answer.dst, answer[ARP].hwdst, answer[ARP].pdst, answer.src),
              (lab.macs["plain"], lab.macs["plain"], PLAIN, answer[ARP].hwsrc), "an answer")
    equal(len(answers), 4, "number of answers")


@hook
def test_arp_by_the_kernel(lab):
    """Neighbours forgotten everywhere on the shared network are found again."""
    for name in ("red", "blue", "plain"):
        lab.ns[name].ip("neigh flush dev shared0")
    ping(lab.plain, BLUE1)
    ping(lab.red1, BLUE1)


@hook
def test_router_itself_reachable(lab):
    """The router's own services, both ways, by its own address."""
    ping(lab.plain, BLUE)
    ping(lab.blue, PLAIN)
    udp(lab.plain, lab.blue, BLUE, PLAIN)
    udp(lab.blue, lab.plain, PLAIN, BLUE)
    ping(lab.blue, FIXED, source=INSIDE)


@hook
def test_control_traffic_untouched(lab):
    """Multicast, broadcast and DHCP reach the router as they were sent."""
    plain, blue = lab.macs["plain"], lab.macs["blue"]
    frames = {
        "multicast": Ether(src=plain, dst="01:00:5e:00:00:fb")
        / IP(src=PLAIN, dst=GROUP, ttl=1) / UDP(sport=5353, dport=5353) / b"multicast",
        "subnet broadcast": Ether(src=plain, dst=BROADCAST)
        / IP(src=PLAIN, dst="100.64.255.255") / UDP(sport=9, dport=5353) / b"subnet broadcast",
        "broadcast": Ether(src=plain, dst=BROADCAST)
        / IP(src=PLAIN, dst="255.255.255.255") / UDP(sport=9, dport=5353) / b"broadcast",
        "discover": Ether(src=plain, dst=BROADCAST) / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67) / BOOTP(op=1, chaddr=bytes(6), sname=b"discover")
        / DHCP(options=[("message-type", "discover"), "end"]),
        "offer": Ether(src=plain, dst=BROADCAST) / IP(src=PLAIN, dst="255.255.255.255")
        / UDP(sport=67, dport=68) / BOOTP(op=2, chaddr=bytes(6), sname=b"offer")
        / DHCP(options=[("message-type", "offer"), "end"]),
        "not IP": Ether(src=plain, dst=blue, type=0x88b5) / b"not IP at all",
    }
    ports = [server(lab.blue, socket.SOCK_DGRAM, port=port)[0] for port in (5353, 67, 68)]
    ports[0].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton(GROUP) + socket.inet_aton(BLUE))
    with counted(lab), Watch(lab.blue, "shared0") as watch:
        send_frames(lab.plain, "shared0", frames.values())
        watch.until(lambda f: b"not IP" in f)
    for name, frame in frames.items():
        assert bytes(frame) in watch.frames, f"{name} did not reach the router as it was"
    got = []
    for sock in ports:
        sock.settimeout(0.1)
        with sock, contextlib.suppress(TimeoutError):
            while True:
                got.append(sock.recv(2000))
    equal(sorted(got), sorted(bytes(f[UDP].payload) for f in frames.values() if UDP in f),
          "what the router's sockets got")


@hook
def test_router_sends_control_traffic(lab):
    """DHCP from an interface without an address, and multicast of the router itself."""
    with lab.blue.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(BLUE))
        with Watch(lab.plain, "shared0") as watch:
            sock.sendto(b"hello group", (GROUP, 5353))
            dhcp = (Ether(src=lab.macs["blue"], dst=BROADCAST)
                    / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
                    / BOOTP(chaddr=bytes(6)) / DHCP(options=[("message-type", "discover"), "end"]))
            send_frames(lab.blue, "shared0", [dhcp])
            watch.until(lambda f: bytes(dhcp) == f)
    assert any(b"hello group" in f for f in watch.frames), "multicast did not leave"
    assert bytes(dhcp) in watch.frames, "DHCP did not leave"


@hook
def test_icmp_error_of_a_vm_does_not_leak(lab):
    """Port unreachable quotes a packet to the VM's fixed address: translated, or not sent."""
    with Watch(lab.plain, "shared0") as watch:
        send_frames(lab.plain, "shared0",
                    [to_blue(lab, dst=BLUE1) / UDP(sport=9, dport=9) / b"closed"])
        watch.until(lambda f: f[23] == 1 and f[34] == 3, 0.3)
    quotes_nothing_private(watch.frames)


@hook
def test_icmp_error_of_the_router_does_not_leak(lab):
    """Time exceeded is made after the translation."""
    with Watch(lab.plain, "shared0") as watch:
        send_frames(lab.plain, "shared0",
                    [to_blue(lab, dst=BLUE1, ttl=1) / UDP(sport=9, dport=9) / b"too far"])
        watch.until(lambda f: f[23] == 1 and f[34] == 11, 0.3)
    quotes_nothing_private(watch.frames)


def quotes_nothing_private(frames):
    for packet in map(Ether, frames):
        if ICMP in packet and IPerror in packet:
            inner = (packet[IPerror].src, packet[IPerror].dst)
            assert not [a for a in inner if a.startswith("10.")], f"quotes {inner}"
