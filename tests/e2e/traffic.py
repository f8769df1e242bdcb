# SPDX-License-Identifier: GPL-2.0-only
"""Talking between namespaces, and watching what arrives."""
import collections
import contextlib
import hashlib
import itertools
import os
import select
import socket
import struct
import time

from case import PATIENCE, eventually
from net import Child
from sniffer import (AUXDATA, PACKET_AUXDATA, PACKET_OUTGOING, SOL_PACKET, VLAN_VALID, ones_sum,
                     packet_socket)

IP_MTU_DISCOVER, SO_NO_CHECK = 10, 11
# offsets in struct tcp_info of <linux/tcp.h>
TCP_INFO_TOTAL_RETRANS, TCP_INFO_DATA_IN, TCP_INFO_DATA_OUT, TCP_INFO_SIZE = 100, 152, 156, 232
WAIT = 30 * PATIENCE    # bounds a failure: what is to come does so at once
# by family: protocol, request and reply
PINGS = {socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0),
         socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129)}
PING_DATA = bytes(range(56))
# of one transfer: segments that were lost, and sent again
Bulk = collections.namedtuple("Bulk", "lost again seconds")
_ports = itertools.count(20000)
_pings = itertools.count(os.getpid())


def new_port():
    return next(_ports)


def ping(ns, address, count=3, source=None, wait=WAIT):
    """Each of the echo requests is answered, in `wait` seconds, before the next one is sent."""
    # not ping(8): once it has an answer, it waits for the next no longer than for twice a round trip
    protocol, request, _ = PINGS[family(address)]
    number = next(_pings) & 0xffff
    with complaint(f"ping {address}"), ns.socket(family(address), socket.SOCK_RAW, protocol) as sock:
        if source:
            sock.bind((source, 0))
        sock.connect((address, 0))
        for turn in range(count):
            time.sleep(0.01 * (turn > 0))
            sock.send(echo(request, number, turn))
            answered(sock, number, turn, wait)


def echo(kind, number, turn):
    """An echo message with the checksum of IPv4; that of IPv6 is the kernel's to write."""
    head = struct.pack("!BxHHH", kind, 0, number, turn)
    return head[:2] + struct.pack("!H", 0xffff ^ ones_sum(head + PING_DATA)) + head[4:] + PING_DATA


def answered(sock, number, turn, seconds):
    """Wait for the reply to that echo request, among all that comes from there."""
    _, _, reply = PINGS[sock.family]
    end = time.monotonic() + seconds
    while True:
        sock.settimeout(max(0.001, end - time.monotonic()))
        got = sock.recv(2048)
        got = got[(got[0] & 15) * 4:] if sock.family == socket.AF_INET else got
        if got[0] == reply and got[4:8] == struct.pack("!HH", number, turn):
            return


def reach(ns, address, count=3, source=None):
    """The same in the end, where it may take a moment until somebody is to be reached."""
    eventually(lambda: ping(ns, address, count, source, 0.5 * PATIENCE))


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def any_address(address):
    """What a server binds that is reached by this one."""
    return "::" if family(address) == socket.AF_INET6 else "0.0.0.0"


def server(ns, kind, address="0.0.0.0", port=None):
    sock = ns.socket(family(address), kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # room for datagrams; a window that fits into the queue of frames between two devices
    room = 1 << (21 if kind == socket.SOCK_DGRAM else 18)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    sock.bind((address, port or new_port()))
    sock.settimeout(WAIT)
    if kind == socket.SOCK_STREAM:
        sock.listen(8)
    return sock, sock.getsockname()[1]


def client(ns, kind, address, port):
    sock = ns.socket(family(address), kind)
    sock.settimeout(WAIT)
    if kind == socket.SOCK_DGRAM and sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)  # large ones are fragmented
    try:
        sock.connect((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def udp(source, target, address, seen, size=100, checksum=True):
    """A datagram there and back; the server has to see the client as `seen`."""
    there, port = server(target, socket.SOCK_DGRAM)
    here = client(source, socket.SOCK_DGRAM, address, port)
    here.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, int(not checksum))
    there.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, int(not checksum))
    what = f"UDP with {size} bytes to {address}"
    with there, here:
        data = os.urandom(size)
        with complaint(what + ": the request did not arrive"):
            here.send(data)
            got, client_address = there.recvfrom(1 << 16)
        assert got == data, what + ": arrived changed"
        assert client_address[0] == seen, f"{what}: from {client_address[0]}, not {seen}"
        with complaint(what + ": the answer did not arrive"):
            there.sendto(data[::-1], client_address)
            assert here.recv(1 << 16) == data[::-1], what + ": the answer arrived changed"


def tcp(source, target, address, seen, private=None):
    """A request and an answer; `private` is the server's own address as the server sees it."""
    there, port = server(target, socket.SOCK_STREAM)
    with there, complaint(f"TCP to {address}"), \
            client(source, socket.SOCK_STREAM, address, port) as here:
        conn, client_address = there.accept()
        with conn:
            conn.settimeout(WAIT)
            assert client_address[0] == seen, f"from {client_address[0]}, not {seen}"
            own = (here.getsockname()[0], conn.getsockname()[0])
            assert private is None or own == (private, private), f"the two ends are {own}"
            here.sendall(b"request")
            assert conn.recv(100) == b"request"
            conn.sendall(b"answer")
            assert here.recv(100) == b"answer"


@contextlib.contextmanager
def complaint(what):
    try:
        yield
    except OSError as error:
        raise AssertionError(f"{what} ({error})") from error


def _sink(conn):
    conn.settimeout(WAIT)
    digest = hashlib.sha256()
    while data := conn.recv(1 << 20):
        digest.update(data)
    conn.sendall(digest.digest())


def bulk(source, target, address, size, rate=None, stop=None):
    """
    Send so many bytes over TCP, at most `rate` bytes a second, or until `stop` can be read. `again` counts what was needless
    too: frames overtake each other between two CPUs, and the reports of what came twice
    (RFC 2883) are incomplete, because acknowledgements are held back. `lost` is exact.
    """
    there, port = server(target, socket.SOCK_STREAM, any_address(address))
    with there, client(source, socket.SOCK_STREAM, address, port) as here:
        conn, _ = there.accept()
        sink = Child(_sink, conn)
        if rate:
            here.setsockopt(socket.SOL_SOCKET, 47, rate)    # SO_MAX_PACING_RATE
        block, digest = os.urandom(1 << 20), hashlib.sha256()
        start = time.monotonic()
        for at in range(0, size, len(block)):
            if stop is not None and select.select([stop], [], [], 0)[0]:
                break
            part = block[:size - at]
            digest.update(part)
            here.sendall(part)
        here.shutdown(socket.SHUT_WR)
        assert here.recv(64) == digest.digest(), f"TCP to {address}: arrived changed"
        took = time.monotonic() - start
        with conn:
            lost, again = _lost(here, conn), _segments(here, TCP_INFO_TOTAL_RETRANS)
    sink.result()
    return Bulk(lost, again, took)


def _segments(sock, counter):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
    return struct.unpack_from("=I", info, counter)[0]


def _lost(sender, receiver):
    """Segments sent that did not arrive, when the last had a moment."""
    for _ in range(100):
        lost = _segments(sender, TCP_INFO_DATA_OUT) - _segments(receiver, TCP_INFO_DATA_IN)
        if lost <= 0:
            break
        time.sleep(0.01)
    return lost


def _echo(sock):
    sock.settimeout(None)
    while True:
        data, peer = sock.recvfrom(2048)
        sock.sendto(data, peer)


BEGUN = 10      # datagrams; from then on a stream runs
# of them at the most are on their way: more do not fit into the queues, when who is to read them waits
# for a CPU
UNDERWAY = 64


def _ticker(sock, stop, rate, begun):
    """
    Numbered datagrams until `stop` can be read; how many, and those that were not echoed. The
    first of them are told to `begun`.
    """
    missing, number, late = set(), 0, None
    sock.setblocking(False)
    begin = time.monotonic()
    while True:
        now = time.monotonic()
        if late is None and stop in select.select([stop], [], [], 0)[0]:
            late = now + WAIT
        if late is None and now >= begin + number / rate and len(missing) < UNDERWAY:
            sock.send(struct.pack("!I", number))
            missing.add(number)
            number += 1
            if number == BEGUN:
                os.write(begun, b"begun")
        if select.select([sock], [], [], 0.0005)[0]:
            missing.discard(struct.unpack("!I", sock.recv(64))[0])
        if late is not None and (not missing or now > late):
            return number, sorted(missing)


class Stream:
    """
    UDP echo with numbered datagrams, running while the block runs. A loss fails it; every
    exchange crosses both routers both ways.
    """

    def __init__(self, source, target, address, rate=1000):
        self.sock, port = server(target, socket.SOCK_DGRAM)
        self.echo = Child(_echo, self.sock)
        self.client = client(source, socket.SOCK_DGRAM, address, port)
        self.rate, self.stop, self.ticker, self.sent = rate, None, None, 0

    def __enter__(self):
        self.client.send(b"wake")   # neighbours are known when the count begins
        with complaint("the stream does not run at all"):
            self.client.recv(64)
        stop, self.stop = os.pipe()
        ready, begun = os.pipe()
        self.ticker = Child(_ticker, self.client, stop, self.rate, begun)
        os.close(stop)
        os.close(begun)
        # or the block may be over before there is any traffic
        assert os.read(ready, 5), "the stream has ended before it ran"
        os.close(ready)
        return self

    def __exit__(self, kind, value, trace):
        os.write(self.stop, b"stop")
        os.close(self.stop)
        self.sent, missing = self.ticker.result()
        self.echo.kill()
        self.sock.close()
        self.client.close()
        if kind is None:
            assert not missing, (f"{len(missing)} of {self.sent} datagrams lost, "
                                 f"numbers {missing[:5]}…")


def send_frames(ns, device, frames):
    with packet_socket(ns, device) as sock:
        for frame in frames:
            sock.send(bytes(frame))


class Watch:
    """The frames that arrive at a device while the block runs, and those with a VLAN tag."""

    def __init__(self, ns, device, room=1 << 20):
        self.sock = packet_socket(ns, device, room)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.frames, self.tagged = [], []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.until(lambda frame: False, 0)
        self.sock.close()

    def until(self, wanted, seconds=30, grace=0.05):
        """Watch until a frame is `wanted`, and a moment longer; None when none came."""
        end, found = time.monotonic() + seconds * PATIENCE, None
        while True:
            left = max(0, end - time.monotonic())
            if not select.select([self.sock], [], [], left)[0]:
                return found
            frame, notes, _, where = self.sock.recvmsg(1 << 17, 64)
            if where[2] == PACKET_OUTGOING:
                continue
            self.frames.append(frame)
            if AUXDATA.unpack_from(notes[0][2])[0] & VLAN_VALID:
                self.tagged.append(frame)
            if found is None and wanted(frame):
                found, end = frame, time.monotonic() + grace * PATIENCE
