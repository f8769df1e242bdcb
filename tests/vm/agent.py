#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
One end of the traffic between two machines: takes orders as lines of JSON from a file, a pipe or
a serial port, and answers each with one. Serves TCP and UDP meanwhile, on both families.

    {"do": "bulk", "address": "100.64.2.5", "size": 1000000}
"""
import hashlib
import itertools
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

TCP_SINK, UDP_ECHO, UDP_ECHO_BARE, UDP_BURSTS = 5001, 5002, 5003, 5004
UDP_SEGMENT, UDP_NO_CHECK6_TX, UDP_NO_CHECK6_RX, SO_NO_CHECK = 103, 101, 102, 11
# offsets in struct tcp_info of <linux/tcp.h>
TOTAL_RETRANS, DATA_IN, DATA_OUT, TCP_INFO_SIZE = 100, 152, 156, 232
WINDOW, BURST = 24, 30000
ANSWER = struct.Struct("!32sI")


def tcp_info(sock, at):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
    return struct.unpack_from("=I", info, at)[0]


def no_checksum(sock):
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    else:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_TX, 1)
        sock.setsockopt(socket.IPPROTO_UDP, UDP_NO_CHECK6_RX, 1)


# what is served

def sink(conn):
    """The digest of all that came, and in how many segments."""
    digest = hashlib.sha256()
    while data := conn.recv(1 << 20):
        digest.update(data)
    conn.sendall(ANSWER.pack(digest.digest(), tcp_info(conn, DATA_IN)))
    conn.close()


def listen(listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=sink, args=(conn,), daemon=True).start()


def echo(sock):
    while True:
        data, peer = sock.recvfrom(2048)
        sock.sendto(data, peer)


def take_bursts(sock):
    """The digest of each BURST bytes; one that is not whole after a second is forgotten."""
    while True:
        digest, left = hashlib.sha256(), BURST
        while left > 0:
            if left < BURST and not select.select([sock], [], [], 1)[0]:
                digest, left = hashlib.sha256(), BURST
            data, peer = sock.recvfrom(1 << 16)
            digest.update(data)
            left -= len(data)
        sock.sendto(digest.digest(), peer)


def addresses():
    """Our own, each: what serves them all would answer from another one."""
    for link in json.loads(run(["ip", "-j", "address", "show", "scope", "global"])):
        yield from (entry["local"] for entry in link.get("addr_info", []) if "local" in entry)


def serve():
    for address in addresses():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port, kind, server in ((TCP_SINK, socket.SOCK_STREAM, listen),
                                   (UDP_ECHO, socket.SOCK_DGRAM, echo),
                                   (UDP_ECHO_BARE, socket.SOCK_DGRAM, echo),
                                   (UDP_BURSTS, socket.SOCK_DGRAM, take_bursts)):
            sock = socket.socket(family, kind)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # a window that fits into the queue of a tap; room for many small datagrams
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                            1 << (18 if kind == socket.SOCK_STREAM else 21))
            if port == UDP_ECHO_BARE:
                no_checksum(sock)
            sock.bind((address, port))
            if kind == socket.SOCK_STREAM:
                sock.listen(8)
            threading.Thread(target=server, args=(sock,), daemon=True).start()


# what is asked for

def client(kind, address, port, source):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.settimeout(10)
    if source:
        sock.bind((source, 0))
    sock.connect((address, port))
    return sock


def bulk(address, size, source=None):
    """So many bytes over TCP; segments that were lost, and sent again."""
    with client(socket.SOCK_STREAM, address, TCP_SINK, source) as sock:
        block, digest = os.urandom(1 << 18), hashlib.sha256()
        start = time.monotonic()
        for at in range(0, size, len(block)):
            part = block[:size - at]
            digest.update(part)
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        answer = sock.recv(ANSWER.size, socket.MSG_WAITALL)
        took = time.monotonic() - start
        got, arrived = ANSWER.unpack(answer)
        sent, again = tcp_info(sock, DATA_OUT), tcp_info(sock, TOTAL_RETRANS)
        # a frame from virtio does not tell of how many segments it is, and counts as one
        return {"whole": got == digest.digest(), "lost": min(sent - arrived, again),
                "again": again, "seconds": round(took, 2)}


def sweep(address, sizes, checksum=True, source=None):
    """A datagram of each size there and back; the sizes that did not return, or changed."""
    bad = []
    with client(socket.SOCK_DGRAM, address, UDP_ECHO if checksum else UDP_ECHO_BARE,
                source) as sock:
        if not checksum:
            no_checksum(sock)
        sock.settimeout(2)
        block, sizes = random.Random(1).randbytes(2048), iter(sizes)
        while len(bad) < 3 * WINDOW and (some := set(itertools.islice(sizes, WINDOW))):
            for size in sorted(some):
                sock.send(block[:size])
            try:
                while some:
                    data = sock.recv(2048)
                    if data == block[:len(data)]:
                        some.discard(len(data))
            except TimeoutError:
                bad += sorted(some)
    return bad


def bursts(address, count, segments=True, source=None):
    """Datagrams of 1399 bytes, with `segments` many in one frame; how many bursts came whole."""
    good = 0
    with client(socket.SOCK_DGRAM, address, UDP_BURSTS, source) as sock:
        if segments:
            sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1399)
        sock.settimeout(3)
        for _ in range(count):
            data = os.urandom(BURST)
            for at in range(0, BURST, BURST if segments else 1399):
                sock.send(data[at:at + (BURST if segments else 1399)])
            try:
                good += sock.recv(100) == hashlib.sha256(data).digest()
            except TimeoutError:
                break
    return good


def run(argv):
    """What a program says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def counters():
    """Those of nstat(8), of both families."""
    out = {}
    for path in ("/proc/net/snmp", "/proc/net/netstat"):
        with open(path, encoding="ascii") as f:
            lines = f.read().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            group, *names = names.split()
            out.update(zip((group[:-1] + n for n in names), map(int, values.split()[1:])))
    with open("/proc/net/snmp6", encoding="ascii") as f:
        out.update((name, int(value)) for name, value in map(str.split, f))
    return out


ORDERS = {"bulk": bulk, "sweep": sweep, "bursts": bursts, "run": run, "counters": counters}


def obey(line):
    try:
        order = json.loads(line)
        if order["do"] == "end":
            return None
        return {"answer": ORDERS[order.pop("do")](**order)}
    except Exception:   # pylint: disable=broad-except
        return {"error": traceback.format_exc(limit=-3)}


def say(fd, what):
    line = json.dumps(what).encode() + b"\n"
    while line:
        line = line[os.write(fd, line):]


def main():
    source, target = 0, 1
    if len(sys.argv) > 1:
        source = target = os.open(sys.argv[1], os.O_RDWR)
    serve()
    say(target, {"answer": "ready"})
    line = b""
    while data := os.read(source, 1 << 16):
        line += data
        if not line.endswith(b"\n"):
            continue
        said, line = obey(line), b""
        if said is None:
            return
        say(target, said)


if __name__ == "__main__":
    main()
