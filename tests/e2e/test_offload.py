# SPDX-License-Identifier: GPL-2.0-only
"""
Where checksums and segments are made, and by whom, makes no difference: the same traffic with
offloads off at each place in turn, and with frames put together by receivers.

A checksum that was left to a device is trusted by whoever gets the frame before that device has
filled it in. So a wrong one shows only where a device behind the translation has no offload
(the receiving router's inside interface), or one before it (the sender, the sending router);
"everywhere on" is the cell that shows the least, and production's.
"""
import contextlib
import fcntl
import hashlib
import itertools
import json
import random
import socket
import struct

from scapy.all import IP, TCP, UDP, Ether, IPv6

from case import PATIENCE, equal, program
from lab import BLUE1, BLUE1_V6, RED1, RED1_V6
from net import Child
from sniffer import faults, ones_sum
from test_six import dual_stack
from traffic import (SO_NO_CHECK, Watch, any_address, bulk, client, complaint, server)

UDP_SEGMENT, UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX = 103, 101, 102
BULK, LONG_BULK = 3_000_000, 20_000_000
RATE = 60_000_000                       # bytes a second where all are single frames
MTU = 1514
WINDOW = 24                             # datagrams that are under way at a time

SEND = ("rx-checksumming", "tx-checksumming", "scatter-gather", "tcp-segmentation-offload",
        "generic-segmentation-offload", "tx-udp-segmentation")
MERGE = ("generic-receive-offload", "rx-udp-gro-forwarding")

SENDER, RECEIVER = (("red1", "eth0"),), (("blue1", "eth0"),)
SHARED = (("red", "shared0"), ("blue", "shared0"))
INSIDE = (("red", "lan0"), ("blue", "lan0"))
ALL = SENDER + SHARED + INSIDE + RECEIVER

# what: (devices without offloads, devices that put frames together)
PLACES = {
    "on everywhere": ((), ()),
    "off at the sender": (SENDER, ()),
    "off at the routers' inside": (INSIDE, ()),
    "off at the routers' shared": (SHARED, ()),
    "off at the routers": (SHARED + INSIDE, ()),
    "off at the receiver": (RECEIVER, ()),
    "off everywhere": (ALL, ()),
    "on everywhere, GRO": ((), ALL),
    "off at the sender, GRO": (SENDER, ALL),
    "off at the routers, GRO": (SHARED + INSIDE, ALL),
}
FAMILIES = {"IPv4": (BLUE1, RED1), "IPv6": (BLUE1_V6, RED1_V6)}


# devices

def features(ns, device):
    """{name as of ethtool -k: on or not} of those that can be changed."""
    said = json.loads(ns.run("ethtool", "--json", "-k", device).stdout)[0]
    return {name: value["active"] for name, value in said.items()
            if isinstance(value, dict) and not value["fixed"]}


def set_features(ns, device, wanted):
    """All of these have to be as wanted afterwards."""
    if not wanted:
        return
    args = [word for name, on in wanted.items() for word in (name, "on" if on else "off")]
    ns.run("ethtool", "-K", device, *args)
    now = features(ns, device)
    equal({name: now[name] for name in wanted}, wanted, f"offloads of {ns.name} {device}")


@contextlib.contextmanager
def place(lab, off, merging):
    """Offloads on at all devices but those, and merging of received frames at these."""
    before = {}
    try:
        for where in ALL:
            name, device = where
            had = features(lab.ns[name], device)
            wanted = dict.fromkeys(SEND, where not in off)
            wanted |= dict.fromkeys(MERGE, where in merging)
            before[where] = {key: had[key] for key in wanted if had[key] != wanted[key]}
            set_features(lab.ns[name], device, wanted)
        yield
    finally:
        for (name, device), wanted in before.items():
            set_features(lab.ns[name], device, wanted)


def frame_size(lab, name, device):
    """Gives a function that tells the mean size of the frames received since."""
    def count():
        said = lab.ns[name].run("ip", "-s", "-j", "link", "show", device).stdout
        return json.loads(said)[0]["stats64"]["rx"]
    start = count()

    def mean():
        now = count()
        return (now["bytes"] - start["bytes"]) / max(1, now["packets"] - start["packets"])
    return mean


# traffic

def no_checksum(sock):
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    else:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 1)
        sock.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)


def _echo(sock):
    sock.settimeout(None)
    while True:
        data, peer = sock.recvfrom(2048)
        sock.sendto(data, peer)


def sweep(source, target, address, sizes, checksum=True):
    """A datagram of each size there and back, many at a time; the server's port."""
    there, port = server(target, socket.SOCK_DGRAM, any_address(address))
    here = client(source, socket.SOCK_DGRAM, address, port)
    if not checksum:
        no_checksum(there)
        no_checksum(here)
    echo = Child(_echo, there)
    here.settimeout(10 * PATIENCE)
    block, missing = random.Random(port).randbytes(2048), set()
    with there, here:
        sizes = iter(sizes)
        while some := set(itertools.islice(sizes, WINDOW)):
            for size in sorted(some):
                here.send(block[size % 7:size % 7 + size])
            with contextlib.suppress(TimeoutError):
                while some:
                    data = here.recv(2048)
                    size = len(data)
                    assert data == block[size % 7:size % 7 + size], f"{size} bytes came changed"
                    some.discard(size)
            missing |= some
            if len(missing) > 3 * WINDOW:
                break
    echo.kill()
    assert not missing, f"no answer to UDP with {sorted(missing)[:8]} bytes, {len(missing)} sizes"
    return port


def udp_checksums(frames, port):
    """The checksum fields of the datagrams from or to that port."""
    for frame in frames:
        at = 34 if frame[12:14] == b"\x08\x00" and frame[23] == 17 else \
            54 if frame[12:14] == b"\x86\xdd" and frame[20] == 17 else None
        if at and port.to_bytes(2, "big") in (frame[at:at + 2], frame[at + 2:at + 4]):
            yield int.from_bytes(frame[at + 6:at + 8], "big")


def sweep_without_checksum(lab, address, step):
    """Both VMs get 0 where 0 was sent."""
    with Watch(lab.blue1, "eth0", 1 << 23) as there, \
            Watch(lab.red1, "eth0", 1 << 23) as here:
        sizes = range(0, 1453, step)
        port = sweep(lab.red1, lab.blue1, address, sizes, checksum=False)
        sweep(lab.red1, lab.blue1, address, range(1453, 1473, 6), checksum=False)
    for watch in (there, here):
        fields = list(udp_checksums(watch.frames, port))
        equal((len(fields), set(fields)), (len(sizes), {0}), "datagrams, their checksums")


def _take_bursts(sock, size):
    """Answer with the digest of every `size` bytes that came, until killed."""
    sock.settimeout(None)
    while True:
        digest, left = hashlib.sha256(), size
        while left > 0:
            data, peer = sock.recvfrom(1 << 16)
            digest.update(data)
            left -= len(data)
        sock.sendto(digest.digest(), peer)


def udp_bulk(source, target, address, segment=1399, segments=40, bursts=20):
    """Bursts of datagrams that are one frame until a device, or the sender's, takes it apart."""
    there, port = server(target, socket.SOCK_DGRAM, any_address(address))
    here = client(source, socket.SOCK_DGRAM, address, port)
    here.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
    data = random.Random(port).randbytes(segment * segments - 3)
    want = hashlib.sha256(data).digest()
    sink = Child(_take_bursts, there, len(data))
    with there, here, complaint("a burst of UDP did not arrive"):
        for _ in range(bursts):
            here.send(data)
            assert here.recv(100) == want, "a burst of UDP came changed"
    sink.kill()


# the matrix

def bulks(lab, address, back, segments, paced):
    """Each way; `segments`: the sender leaves it to its device to make them."""
    size = LONG_BULK if lab.long else BULK
    for source, target, to in ((lab.red1, lab.blue1, address), (lab.blue1, lab.red1, back)):
        mean = frame_size(lab, "red", "lan0")
        steady_bulk(source, target, to, size, RATE if paced else None)
        if to == address:
            equal(mean() > MTU, segments, f"larger frames than {MTU} from the sender")
        udp_bulk(source, target, to, bursts=100 if lab.long else 5)


def steady_bulk(source, target, to, size, rate):
    """
    Less than one segment in a thousand is lost, and less than one in ten sent again. The queues
    between devices are the whole machine's, so a loss may be somebody else's doing: what is
    wrong is wrong ten times.
    """
    tries = []
    while len(tries) < 10:
        tries.append(bulk(source, target, to, size, rate))
        if tries[-1].lost <= size / 1448 / 1000 and tries[-1].again <= size / 1448 / 10:
            return
    raise AssertionError(f"TCP to {to}: segments lost and sent again: "
                         f"{[(b.lost, b.again) for b in tries]}")


def cell(lab, off, addresses):
    bulks(lab, *addresses, segments=not set(SENDER) & set(off), paced=bool(off))
    sweep(lab.red1, lab.blue1, addresses[0], range(1473))
    sweep_without_checksum(lab, addresses[0], 1 if lab.long else 29)
    equal(lab.checksum_errors(), {}, "checksum errors")


@program
@dual_stack
def test_offload_matrix(lab):
    """Bulk, UDP of every size, UDP without checksum, with offloads off at each place in turn."""
    for what, (off, merging) in PLACES.items():
        with place(lab, off, merging):
            for family, addresses in FAMILIES.items():
                try:
                    cell(lab, off, addresses)
                except (AssertionError, OSError) as error:
                    raise AssertionError(f"{family}, {what}: {error} "
                                         f"{lab.checksum_errors()}") from error


# frames as a guest hands them over, without one: also what guests of today do not send any more

TUNSETIFF, TAP, NO_PI, VNET_HDR = 0x400454ca, 0x2, 0x1000, 0x4000
NEEDS_CSUM, NO_GSO, GSO_TCP4, GSO_UDP, GSO_TCP6, GSO_UDP_L4 = 1, 0, 1, 3, 4, 5
GUEST_MAC = "52:54:00:00:00:09"
GUEST, GUEST_V6, RED3, RED3_V6 = "10.0.5.5", "fd00:15::5", "100.64.1.8", "fd64::1:8"


@contextlib.contextmanager
def tap(lab):
    """A tap that is an inside interface of red, as a file that takes and gives frames."""
    with lab.red.entered(), open("/dev/net/tun", "r+b", buffering=0) as guest:
        fcntl.ioctl(guest, TUNSETIFF, struct.pack("16sH22x", b"tap1", TAP | NO_PI | VNET_HDR))
        lab.red.ip("link set tap1 up", "addr add 10.0.5.1/24 dev tap1",
                   "addr add fd00:15::1/64 dev tap1 nodad",     # and nobody answers for it
                   *(f"neigh replace {address} lladdr {GUEST_MAC} dev tap1 nud permanent"
                     for address in (GUEST, GUEST_V6)))
        definitions = lab.dual_definitions()
        definitions["red"].router["inside"] = "[lan0, tap1]"
        definitions["red"].mappings += [(GUEST, RED3, None), (GUEST_V6, RED3_V6, None)]
        lab.apply(definitions)
        try:
            yield guest
        finally:
            lab.apply(lab.dual_definitions())


def left_to_device(lab, packet, gso, size):
    """The frame behind the header of virtio-net: its checksum is the pseudo-header's sum."""
    l4 = packet.payload
    l4.chksum = 0
    frame = bytearray(bytes(Ether(src=GUEST_MAC, dst=lab.red.mac("tap1")) / packet))
    start, at = len(frame) - len(l4), 16 if TCP in packet else 6
    pseudo = frame[start - (8 if IP in packet else 32):start] + struct.pack(
        "!II", len(l4), 6 if TCP in packet else 17)
    frame[start + at:start + at + 2] = struct.pack("!H", ones_sum(pseudo))
    header = start + (20 if TCP in packet else 8)
    return struct.pack("<BBHHHH", NEEDS_CSUM, gso, header, size, start, at) + bytes(frame)


def arrives(lab, guest, address, ip, gso):
    """Each kind of frame at blue1, in whole datagrams or in segments."""
    # the lengths just fit: a header more would be a packet more
    there, port = server(lab.blue1, socket.SOCK_DGRAM, any_address(address))
    data, counted = random.Random(port).randbytes(8000), lab.cli.counters()
    with there, Watch(lab.blue1, "eth0") as watch, complaint(f"a guest's frame to {address}"):
        for kind, size, length, parts in ((NO_GSO, 0, 1001, [1001]),
                                          (GSO_UDP_L4, 1000, 4000, [1000] * 4),
                                          (GSO_UDP, 1480 if ip is IP else 1448, 8000, [8000])):
            packet = ip(src=ip_of(ip, GUEST, GUEST_V6), dst=address) / UDP(sport=9, dport=port)
            guest.write(left_to_device(lab, packet / data[:length], kind, size))
            got = [there.recv(1 << 16) for _ in parts]
            equal(([len(part) for part in got], b"".join(got)), (parts, data[:length]),
                  f"datagrams of GSO kind {kind}")
        packet = ip(src=ip_of(ip, GUEST, GUEST_V6), dst=address) / TCP(sport=9, dport=port,
                                                                      flags="A")
        guest.write(left_to_device(lab, packet / data[:4200], gso, 1400))
        last = data[2800:4200]
        assert watch.until(lambda frame: frame.endswith(last)), "a segment of TCP did not arrive"
    segments = [frame for frame in watch.frames if TCP in Ether(frame)]
    equal(b"".join(bytes(Ether(frame)[TCP].payload) for frame in segments), data[:4200], "TCP")
    wrong = [fault for frame in watch.frames for fault in faults(frame) if "checksum" in fault]
    equal(wrong, [], "what blue1 got")
    key = ("red", ip_of(ip, GUEST, GUEST_V6))
    equal(lab.cli.counters()[key]["out"]["packets"] - counted[key]["out"]["packets"],
          1 + 4 + 6 + 3, "packets counted")


def ip_of(ip, v4, v6):
    return v4 if ip is IP else v6


@program
@dual_stack
def test_offload_guest(lab):
    """Frames from a tap with all kinds of segmentation; their checksums are whole at blue1."""
    with tap(lab) as guest, place(lab, (("blue", "lan0"),), ()):
        arrives(lab, guest, BLUE1, IP, GSO_TCP4)
        arrives(lab, guest, BLUE1_V6, IPv6, GSO_TCP6)
    equal(lab.checksum_errors(), {}, "checksum errors")
