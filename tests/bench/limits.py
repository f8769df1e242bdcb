#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What one TCP stream gets of a mapping's `limit`: a VM behind a router sends to a host of the shared
network for some seconds (`out`), or is sent to (`in`). `share` is the TCP payload that arrived, less
what the bucket held at the start, of what the rate lets through in that time (100 % is out of reach,
because headers count, too); `packets` are taken for full ones. The rate `none` is the same path
without a limit. A burst is `default`, `least` (the smallest one that a file may have), or
milliseconds of the rate, which are put into state.db, past the checks of the file.
`--rtt` is netem's where the kernel has it. Else a process delays what the receiver sends, by the
whole of it: data go their way undelayed, so that rates of some Gbit/s get through. Needs root.
"""
import argparse
import collections
import contextlib
import itertools
import json
import os
import re
import select
import shutil
import socket
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import bench                                                    # noqa: E402
from case import PATIENCE                                       # noqa: E402
from cli import Cli                                             # noqa: E402
from net import BPFFS, Child, Namespace, private_machine, sh, veth # noqa: E402

LIMITS = BPFFS + "/tenantnat/maps/limits"
FIXED, SHARED, PEER, PORT = "10.0.0.5", "100.64.1.5", "100.64.0.250", 5201
BUFFERS = f"4096 131072 {1 << 27}"      # so that they limit no stream
MSS = 1448      # of a segment on a path of 1500 bytes, with timestamps
PIECE = 1 << 20
NONE = "none"
UNITS = {"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
FRAME_MAX, FRAMES = 70000, 64
ETH_P_ALL = 3

DEFINITIONS = """\
shared-network: {{subnets: [100.64.0.0/16]}}
tenants:
  - name: red
    router: {{netns: {netns}, shared: shared0, inside: [lan0], hook: {hook}}}
    mappings: [{{fixed: {fixed}, shared: {shared}{limit}}}]
    accept: [{{from: ["*"]}}]
  - name: peer
    mappings: [{{fixed: 10.0.0.9, shared: {peer}}}]
"""


class Site:
    """peer0 - (w1 - wire - w0 -) shared0 router lan0 - vm0; rtt in milliseconds."""

    def __init__(self, binary, scratch, rtt, hook, direction):
        self.scratch, self.wire, self.hook, self.out = scratch, None, hook, direction == "out"
        self.peer, self.router, self.vm = (Namespace(f"l-{what}") for what in ("p", "r", "v"))
        self.namespaces = [self.peer, self.router, self.vm]
        self.cli = Cli(binary, scratch + "/state")
        veth(self.router, "lan0", self.vm, "vm0")
        self.connect(rtt)
        self.router.sysctl(ipv4__ip_forward=1)
        self.router.ip("addr add 100.64.0.2/16 dev shared0", "addr add 10.0.0.1/24 dev lan0")
        self.peer.ip(f"addr add {PEER}/16 dev peer0")
        self.vm.ip(f"addr add {FIXED}/24 dev vm0", "route add default via 10.0.0.1")
        for ns in (self.peer, self.vm):     # no connection knows what another one learned
            ns.sysctl(ipv4__tcp_rmem=BUFFERS, ipv4__tcp_wmem=BUFFERS, ipv4__tcp_no_metrics_save=1)

    def connect(self, rtt):
        """Half of it each way."""
        if not rtt or netem(self.vm, "vm0", rtt / 2):
            veth(self.router, "shared0", self.peer, "peer0")
            assert not rtt or netem(self.peer, "peer0", rtt / 2)
            return
        between = Namespace("l-w")
        self.namespaces.append(between)
        veth(self.router, "shared0", between, "w0")
        veth(between, "w1", self.peer, "peer0")
        data, back = ("w0", "w1") if self.out else ("w1", "w0")
        between.run("tc", "qdisc", "add", "dev", data, "clsact")
        between.run("tc", "filter", "add", "dev", data, "ingress", "u32", "match", "u32", "0", "0",
                    "action", "mirred", "egress", "redirect", "dev", back)
        self.wire = Child(hold, frames(between, back), frames(between, data), rtt / 1000)

    def close(self):
        self.cli.run("detach", "--all", code=None)
        if self.wire:
            self.wire.kill()
        for ns in self.namespaces:
            ns.remove()

    def apply(self, limit, **options):
        path = os.path.join(self.scratch, "limit.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(DEFINITIONS.format(netns=self.router.name, fixed=FIXED, shared=SHARED,
                                       peer=PEER, hook=self.hook,
                                       limit=limit and f", limit: {{{limit}}}"))
        return self.cli.run("-q", "apply", "--no-probe", "-f", path, **options)

    def put(self, what, amount, burst):
        """A limit with a bucket that is full; gives the bytes in it, also of packets."""
        self.apply("")      # or it would be as full as the last run left it
        if amount == NONE:
            return 0
        if what == "packets":
            self.apply(f"packets: {amount}")
        elif burst == "least":
            said = self.apply(f"rate: {amount}, burst: 1b", code=2).stderr
            self.apply(f"rate: {amount}, burst: {re.search('below ([0-9]+kb)', said)[1]}")
        else:
            self.apply(f"rate: {amount}")
            if burst != "default":
                self.store(round(bits(amount) / 8 * float(burst) / 1000))
        row, = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", LIMITS]).stdout)
        value = row["formatted"]["value"]
        return value["burst"] if what == "rate" else value["packet_burst"] * MSS

    def store(self, burst):
        with contextlib.closing(sqlite3.connect(self.scratch + "/state/state.db")) as db, db:
            db.execute("UPDATE mapping SET burst = ? WHERE rate > 0", (burst,))
        self.cli.run("-q", "restore")

    def run(self, congestion, seconds):
        """(bytes that arrived, in how many seconds, segments sent again)"""
        sender, receiver = (self.vm, self.peer) if self.out else (self.peer, self.vm)
        before = sender.snmp()["TcpRetransSegs"]
        with receiver.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((PEER if self.out else FIXED, PORT))
            listener.listen()
            child = Child(send, sender, PEER if self.out else SHARED, congestion)
            try:
                got, took = receive(listener, seconds)
            finally:
                child.kill()
        return got, took, sender.snmp()["TcpRetransSegs"] - before


# ------------------------------------------------------------ delay

def netem(ns, device, delay):
    """Whether the kernel has it."""
    return ns.run("tc", "qdisc", "add", "dev", device, "root", "netem", "delay", f"{delay}ms",
                  "limit", "1000000", check=False).returncode == 0


def frames(ns, device):
    """A socket for all frames of a device, with what their sender left to it."""
    with ns.entered():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        for buffer in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
            sock.setsockopt(socket.SOL_SOCKET, buffer, 1 << 29)
        sock.bind((device, ETH_P_ALL))
    sock.setblocking(False)
    return sock


def hold(source, target, delay):
    """What comes from one socket goes to the other one, so many seconds later."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    held = collections.deque()
    while True:
        select.select([source], [], [], max(0, held[0][0] - time.monotonic()) if held else None)
        with contextlib.suppress(BlockingIOError):
            for _ in range(FRAMES):
                held.append((time.monotonic() + delay, source.recv(FRAME_MAX)))
        while held and held[0][0] <= time.monotonic():
            target.send(held.popleft()[1])


# ------------------------------------------------------------ one stream

def send(ns, address, congestion):
    with ns.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        sock.connect((address, PORT))
        data = bytes(PIECE)
        while True:
            sock.sendall(data)


def receive(listener, seconds):
    listener.settimeout(10 * PATIENCE)
    with listener.accept()[0] as sock:
        sock.settimeout(seconds + 10 * PATIENCE)
        got, data = 0, bytearray(PIECE)
        start = now = time.monotonic()
        while now < start + seconds:
            got += sock.recv_into(data)
            now = time.monotonic()
        return got, now - start


def bits(rate):
    number, unit = re.fullmatch("([0-9]+)([kmg]?bit)", rate).groups()
    return int(number) * UNITS[unit]


def turns(options):
    """What is limited, to what, with which burst."""
    found = [("rate", amount, burst) for amount in options.rate
             for burst in (options.burst if amount != NONE else ["-"])]
    return found + [("packets", amount, "default") for amount in options.packets]


def share(what, amount, held, got, seconds):
    if amount == NONE:
        return None
    most = bits(amount) / 8 if what == "rate" else int(amount) * MSS
    return (got - held) / most / seconds


def measure(options, scratch):
    binary = shutil.copy(os.path.abspath(options.bin), scratch)
    for hook, direction, rtt in itertools.product(options.hook, options.direction, options.rtt):
        with contextlib.closing(Site(binary, scratch, rtt, hook, direction)) as site:
            for congestion in options.congestion:
                for what, amount, burst in turns(options) * options.rounds:
                    held = site.put(what, amount, burst)
                    got, seconds, again = site.run(congestion, options.seconds)
                    yield {"hook": hook, "direction": direction, "rtt": rtt,
                           "congestion": congestion, "what": what, "limit": amount,
                           "burst": burst, "held": held, "mbit": got * 8e-6 / seconds,
                           "share": share(what, amount, held, got, seconds), "sent again": again}


def medians(found):
    """One row for each setting, in the order in which they came."""
    keys = ("hook", "direction", "rtt", "congestion", "what", "limit", "burst")
    groups = {}
    for row in found:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [sorted(rows, key=lambda row: row["mbit"])[len(rows) // 2] for rows in groups.values()]


def line(row):
    limit = row["limit"] if row["what"] == "rate" else row["limit"] + " packets"
    part = "" if row["share"] is None else f"{row['share'] * 100:.1f} %"
    return (f"{row['hook']:>4} {row['direction']:>3} {limit:>15} {row['burst']:>8} "
            f"{row['held']:13,} {row['rtt']:6g} {row['congestion']:>7} {row['mbit']:9.2f} "
            f"{part:>9} {row['sent again']:10,}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--rate", nargs="*", help="or none (%(default)s)",
                        default=["1mbit", "10mbit", "100mbit", "1gbit", "10gbit"])
    parser.add_argument("--packets", nargs="*", default=["100", "1000", "10000", "100000"],
                        help="a second, as the only limit (%(default)s)")
    parser.add_argument("--burst", nargs="+", default=["least", "default"],
                        help="of rates: default, least, or milliseconds (%(default)s)")
    parser.add_argument("--rtt", nargs="+", type=float, default=[0, 20], metavar="MS",
                        help="of the path (%(default)s)")
    parser.add_argument("--hook", nargs="+", choices=["tc", "xdp"], default=["tc"],
                        help="(%(default)s)")
    parser.add_argument("--direction", nargs="+", choices=["out", "in"], default=["out"],
                        help="as the VM sees it (%(default)s)")
    parser.add_argument("--congestion", nargs="+", default=["cubic"], help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="of each run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    return parser.parse_args()


def main():
    options = arguments()
    if os.geteuid():
        print("the benchmark needs root", file=sys.stderr)
        return 2
    about = {**bench.head(), "seconds": options.seconds}
    print(f"{bench.machine(about)}\none TCP stream of {options.seconds:g} s\n"
          f"{'hook':>4} {'':3} {'limit':>15} {'burst':>8} {'bytes':>13} {'rtt ms':>6} {'TCP':>7} {'Mbit/s':>9} "
          f"{'share':>9} {'sent again':>10}")
    found = []
    with private_machine() as scratch:
        for row in measure(options, scratch):
            found.append(row)
            print(line(row), flush=True)
    if options.rounds > 1:
        print("medians:", *map(line, medians(found)), sep="\n")
    bench.save(options, {**about, "limits": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
