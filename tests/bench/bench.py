#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What a packet costs in a router: generator, router and sink are namespaces, the generator sends
live frames of BPF_PROG_TEST_RUN, and every row has a router of its own. Rows take turns, so
what the machine does meanwhile meets all of them. Figures are medians over the rounds of
nanoseconds a packet, less what the generator takes for itself: of one CPU, and of its time for
this alone. Sizes are of frames without their FCS. Needs root.
"""
import argparse
import datetime
import ipaddress
import json
import os
import platform
import shutil
import statistics
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import control                                          # noqa: E402
import net                                              # noqa: E402
import rules                                            # noqa: E402
from cli import Cli                                     # noqa: E402
from kernel import Clock, Object                        # noqa: E402
from net import Namespace, private_machine, sh, veth    # noqa: E402
from plot import plot                                   # noqa: E402
from rules import FIXED, PEER, SHARED                   # noqa: E402

net.PREFIX = f"tnb-{os.getpid()}-"
GENERATE, SINK, HOP = range(3)
CPU = 1 % os.cpu_count()
MAPPINGS = 1000
LOST = 0.005
CAME = "right", "wrong", "bad_sums"     # struct came


def words_sum(data):
    data += bytes(len(data) % 2)
    return sum(struct.unpack(f">{len(data) // 2}H", data))


class Path:
    """gen0 - shared0 router lan0 - vm0; `out`: from vm0 to gen0."""

    def __init__(self, name, bench, size=64, mappings=MAPPINGS, six=False, out=False,
                 flows=False):
        self.name, self.size, self.mappings = name, size, mappings
        self.six, self.out, self.flows = six, out, flows
        self.gen, self.router, self.vm = (Namespace(f"{name}-{what}") for what in "grv")
        veth(self.router, "shared0", self.gen, "gen0")
        veth(self.router, "lan0", self.vm, "vm0")
        self.router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1,
                           ipv4__conf__all__rp_filter=0, ipv4__conf__shared0__rp_filter=0,
                           ipv4__conf__lan0__rp_filter=0)
        mac = {d: ns.mac(d) for ns, d in ((self.gen, "gen0"), (self.vm, "vm0"))}
        self.router.ip(
            "addr add 100.64.0.2/10 dev shared0", "addr add fd64::2/64 dev shared0 nodad",
            "addr add 10.255.0.1/30 dev lan0", "addr add fd00:ff::1/64 dev lan0 nodad",
            "route add 10.16.0.0/12 via 10.255.0.2", "route add fd00:10::/64 via fd00:ff::2",
            f"neigh replace 10.255.0.2 lladdr {mac['vm0']} dev lan0 nud permanent",
            f"neigh replace fd00:ff::2 lladdr {mac['vm0']} dev lan0 nud permanent",
            f"neigh replace {PEER[False]} lladdr {mac['gen0']} dev shared0 nud permanent",
            f"neigh replace {PEER[True]} lladdr {mac['gen0']} dev shared0 nud permanent")
        for device in ("shared0", "lan0"):      # or what is redirected there is lost
            self.router.run("ethtool", "-K", device, "gro", "on")
        self.object, self.clock, self.sent = bench.object, bench.clock, 0
        self.source, self.target = (self.vm, self.gen) if out else (self.gen, self.vm)
        self.devices = ("vm0", "lan0", "shared0", "gen0") if out else \
            ("gen0", "shared0", "lan0", "vm0")
        self.object.attach(self.vm, "vm0", "sink")
        self.object.attach(self.gen, "gen0", "sink")
        self._make_jobs(mac)

    def close(self):
        for ns in (self.gen, self.router, self.vm):
            ns.remove()

    def _frame(self):
        """The headers with zeros where the program writes, and the sums of what does not vary."""
        first, entry = self.devices[:2]
        eth = bytes.fromhex(self.router.mac(entry).replace(":", "")) + \
            bytes.fromhex(self.source.mac(first).replace(":", ""))
        length = self.size - 14
        peer = ipaddress.ip_address(PEER[self.six]).packed
        varying = bytes(4)
        if self.six:
            prefix = "fd00:10::" if self.out else "fd64::"
            varying = ipaddress.ip_address(prefix).packed[:12] + bytes(4)
        addresses = varying + peer if self.out else peer + varying
        udp = struct.pack(">4H", 0, 0, length - (40 if self.six else 20), 0)
        pseudo = addresses + struct.pack(">2H", 17, length - (40 if self.six else 20))
        l4_sum = words_sum(pseudo) + words_sum(udp)
        if self.six:
            ip = struct.pack(">IHBB", 0x60000000, length - 40, 17, 64) + addresses
            return eth + b"\x86\xdd" + ip + udp, 0, l4_sum
        ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0x4000, 64, 17, 0) + addresses
        return eth + b"\x08\0" + ip + udp, words_sum(ip), l4_sum

    def _make_jobs(self, mac):
        frame, *self.sums = self._frame()
        before, after = (FIXED, SHARED) if self.out else (SHARED, FIXED)

        def index(ns, device):
            return next(link["ifindex"] for link in ns.links() if link["ifname"] == device)

        to = bytes.fromhex(mac[self.devices[3]].replace(":", "")) + \
            bytes.fromhex(self.router.mac(self.devices[2]).replace(":", ""))
        self.jobs = {GENERATE: (before, frame, index(self.source, self.devices[0])),
                     SINK: (after, b"", 0),
                     HOP: (before, to, index(self.router, self.devices[2]))}

    def _take_jobs(self, verify):
        """All paths have the same programs: they work for this one."""
        for which, (base, head, ifindex) in self.jobs.items():
            self.object.put("jobs", which, head.ljust(64, b"\0") + struct.pack(
                "=Q10I", self.sent, base, self.mappings, *self.sums, ifindex, self.six, self.out,
                self.flows, verify, verify))

    def untranslated(self):
        """What comes is to have the addresses that it was sent with."""
        self.jobs[SINK] = self.jobs[GENERATE][0], b"", 0

    def came(self):
        """What the sink has counted: {"right": …}"""
        size = 8 * len(CAME) * os.cpu_count()
        numbers = struct.unpack(f"={size // 8}Q", self.object.get("came", 0, size))
        return {name: sum(numbers[i::len(CAME)]) for i, name in enumerate(CAME)}

    def measure(self, frames, batch, verify=False):
        """
        (nanoseconds a frame, share that did not arrive right); after some frames more, since the
        caches are still those of the row before.
        """
        self._take_jobs(verify)
        self._send(frames // 16, batch)
        return self._send(frames, batch)

    def _send(self, frames, batch):
        self.sent += frames
        before, clock = self.came()["right"], self.clock
        start = clock.now()
        self.object.live_frames(self.source, "generate", self.size, frames, batch)
        took = clock.now() - start
        last, now = -1, self.came()["right"]
        while now != last and now - before < frames:    # what waits in queues
            time.sleep(0.001)
            last, now = now, self.came()["right"]
            if now != last:
                took = clock.now() - start
        return took / max(frames, 1), 1 - (now - before) / max(frames, 1)

    def verify(self, frames, batch):
        """
        To warm up, twice for every mapping: what arrives has right checksums, or there is nothing
        to measure.
        """
        before = self.came()["bad_sums"]
        self.measure(max(frames, 2 * self.mappings), batch, verify=True)
        bad = self.came()["bad_sums"] - before
        if bad:
            raise RuntimeError(f"{self.name}: {bad} frames of {frames} had wrong checksums")


# ------------------------------------------------------------ kinds of routers

def nothing(path, _bench):
    """The generator alone: dropped at the router's entry."""
    path.object.attach(path.router, path.devices[1], "drop")


def xdp_redirect(path, _bench):
    path.untranslated()
    path.object.attach(path.router, path.devices[1], "hop")


def xdp_look(path, _bench):
    path.untranslated()
    path.object.attach(path.router, path.devices[1], "look")


def forwarding(path, _bench):
    """Plain: what comes from the VMs' side has their addresses, and goes to them by these."""
    path.untranslated()
    path.router.ip("route add 100.80.0.0/12 via 10.255.0.2")
    if path.six:
        path.router.ip("route add fd64::6450:0/108 via fd00:ff::2")


def nft(chains):
    def build(path, bench):
        file = rules.write(bench.file("rules.nft"), rules.nft(chains, path.mappings, path.six))
        path.router.run("nft", "-f", file, timeout=600)
    return build


def iptables(path, bench):
    file = rules.write(bench.file("iptables.rules"), rules.neutron(path.mappings))
    path.router.run("iptables-restore", file, timeout=600)


def tenantnat(hook, mode, accept='[{from: ["*"]}]', prefix=False):
    def build(path, bench):
        router = (f"netns: {path.router.name}, shared: shared0, inside: [lan0], hook: {hook}, "
                  f"forwarding: {mode}")
        file = rules.write(bench.file(f"{path.name}.yaml"),
                           rules.definitions(router, accept, path.mappings, path.six, prefix))
        cli = Cli(bench.binary, bench.file(path.name + "-state"), f"/sys/fs/bpf/{path.name}")
        bench.clis.append(cli)
        cli.run("-q", "apply", "--no-probe", "--yes", "-f", file, timeout=600)
    return build


PORT = '[{from: ["*"], ports: [udp/53, udp/1024-65535]}]'

ROUTERS = {
    "generator": nothing,
    "XDP redirect, no NAT": xdp_redirect,
    "XDP redirect, one look": xdp_look,
    "forwarding, no NAT": forwarding,
    "nft stateful": nft(rules.NFT_STATEFUL),
    "nft stateless": nft(rules.NFT_STATELESS),
    "iptables as Neutron": iptables,
    "xdp fast": tenantnat("xdp", "fast"),
    "xdp stack": tenantnat("xdp", "stack"),
    "tc fast": tenantnat("tc", "fast"),
    "tc stack": tenantnat("tc", "stack"),
    "tc fast by port": tenantnat("tc", "fast", PORT),
    "tc fast prefix": tenantnat("tc", "fast", prefix=True),
    "xdp fast prefix": tenantnat("xdp", "fast", prefix=True),
}
GENERATOR = "generator"
# whom the others are compared with, and the heads of these columns
PEERS = {"nft stateful": "x nft", "forwarding, no NAT": "x forw.", "XDP redirect, no NAT": "x XDP"}
SOME = ["nft stateful", "xdp fast", "tc fast"]
LIMITS = ["XDP redirect, no NAT", "forwarding, no NAT"]
MANY = ["XDP redirect, one look", *SOME, "nft stateless", "tc stack"]

INWARD = ["tc fast by port", "tc fast prefix", "xdp fast prefix", "XDP redirect, one look"]

# What varies, one thing at a time, and for which routers; the generators come by themselves.
VARIANTS = [
    ("in", {}, list(ROUTERS)),
    ("out", {"out": True}, [r for r in ROUTERS if r not in INWARD]),
    ("in, new flows", {"flows": True},
     [*LIMITS, *SOME, "nft stateless", "iptables as Neutron", "tc stack"]),
    ("in IPv6", {"six": True}, [*LIMITS, *SOME, "nft stateless", "tc stack"]),
    ("out IPv6", {"six": True, "out": True}, ["forwarding, no NAT", *SOME]),
    ("in, 512 bytes", {"size": 512}, [*LIMITS, *SOME]),
    ("in, 1400 bytes", {"size": 1400}, [*LIMITS, *SOME]),
    ("in, 1 mapping", {"mappings": 1}, SOME),
    ("in, 100,000 mappings", {"mappings": 100000}, MANY),
    ("in, 1,000,000 mappings", {"mappings": 1000000}, MANY),
    ("out, 1,000,000 mappings", {"out": True, "mappings": 1000000},
     ["nft stateful", "nft stateless", "tc fast", "tc stack"]),
]
QUICK = {"in": [GENERATOR, *LIMITS, *SOME, "tc stack"],
         "out": [GENERATOR, "forwarding, no NAT", "nft stateful", "tc fast"]}


class Row:
    """A router and what it gets."""

    def __init__(self, router, label, how):
        self.router, self.label, self.how = router, label, how
        self.name = f"{router} {label}"

    def frames(self):
        """What makes a difference to the generator."""
        return tuple(self.how.get(k) for k in ("six", "out", "size", "flows"))


def rows(most):
    """Of the whole benchmark, by name."""
    found = []
    for label, how, routers in VARIANTS:
        if how.get("mappings", 0) > most:
            continue
        own = {row.frames() for row in found if row.router == GENERATOR}
        new = [Row(r, label, how) for r in routers if r != GENERATOR]
        if new[0].frames() not in own:
            found.append(Row(GENERATOR, label, how))
        found += new
    return {row.name: row for row in found}


def generator_of(row, known):
    """The generator of the same frames."""
    return next(g for g in known.values()
                if g.router == GENERATOR and g.frames() == row.frames())


def named(part, row, known):
    """A whole name is that row's alone."""
    return part == row.name if part in known else part in row.name


def chosen(options):
    """The rows that are asked for, and the generators that they need."""
    known = rows(options.mappings)
    want = [row for row in known.values()
            if (not options.quick or row.router in QUICK.get(row.label, ())) and
            (not options.only or any(named(part, row, known) for part in options.only))]
    if not want:
        raise SystemExit("no row has that in its name")
    want += [generator_of(row, known) for row in want]
    return {name: row for name, row in known.items() if row in want}


class Bench:
    """
    What rows have in common, so also generator and sink: of more than 48 attached XDP programs
    (BPF_DISPATCHER_MAX, kernel/bpf/dispatcher.c) the kernel calls the others by a retpoline, which
    costs what they are measured for.
    """

    def __init__(self, binary, scratch, programs=None):
        self.binary, self.object, self.scratch, self.clis = binary, programs, scratch, []
        self.clock = Clock(CPU)

    def file(self, name):
        return os.path.join(self.scratch, name)

    @staticmethod
    def sh(*argv, **options):
        return sh(list(argv), **options)


def measure(options, bench, wanted):
    """{row: [(nanoseconds, share lost)]}, one a round."""
    paths, out = {}, {name: [] for name in wanted}
    try:
        for number, (name, row) in enumerate(wanted.items()):
            paths[name] = Path(f"b{number}", bench, **row.how)
            ROUTERS[row.router](paths[name], bench)
            paths[name].verify(options.frames, options.batch)
        for turn in range(options.rounds):
            for name in wanted:
                out[name].append(paths[name].measure(options.frames, options.batch))
            print(f"round {turn + 1} of {options.rounds}", file=sys.stderr)
    finally:
        for cli in bench.clis:
            cli.run("detach", "--all", code=None)
        for path in paths.values():
            path.close()
    return out


def quartiles(values):
    values = values * 2 if len(values) == 1 else values
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"ns": middle, "low": low, "high": high}


def results(measured, wanted):
    """{row: figures}; net, by round. A row that lost packets has none."""
    out = {}
    for name, turns in measured.items():
        row = wanted[name]
        lost = statistics.median(share for _, share in turns)
        less = measured[generator_of(row, wanted).name]
        net = [ns for ns, _ in turns]
        if row.router == GENERATOR:
            lost = 0
        else:
            net = [ns - own for ns, (own, _) in zip(net, less)]
        figures = quartiles(net) if lost <= LOST else {"ns": None, "low": None, "high": None}
        out[name] = {"router": row.router, "variant": row.label, **figures, "lost": lost,
                     "gross": [ns for ns, _ in turns]}
    for name, figures in out.items():
        figures["ratios"] = ratios(wanted[name], out)
    return out


def ratios(row, figures):
    """{peer: how many times as much}, with the same frames; of itself, with the basic ones."""
    if row.router == GENERATOR or figures[row.name]["ns"] is None:
        return {}
    base = "out" if row.how.get("out") else "in"
    peers = {peer: f"{peer} {row.label}" for peer in PEERS}
    for peer in LIMITS:
        if peers[peer] not in figures and not set(row.how) & {"six", "size"}:
            peers[peer] = f"{peer} {base}"
    peers["base"] = f"{row.router} {base}"
    return {peer: figures[row.name]["ns"] / figures[name]["ns"] for peer, name in peers.items()
            if name != row.name and (figures.get(name, {}).get("ns") or 0) > 0}


def head():
    """What ran, where."""
    return {"date": datetime.date.today().isoformat(), "kernel": platform.release(),
            "cpus": os.cpu_count(), "processor": processor()}


def machine(about):
    return f"Linux {about['kernel']}, {about['cpus']} CPUs, {about['processor']}, {about['date']}"


def table(about, figures):
    print(machine(about))
    print(f"medians of {about['rounds']} rounds of {about['frames']:,} frames, {about['clock']} "
          "time; 64 bytes, 1,000 mappings, IPv4, if not said otherwise")
    columns = {**PEERS, "base": "x basic"}
    print(f"{'':44} {'ns a packet':>11} {'quartiles':>13}  " +
          " ".join(f"{title:>7}" for title in columns.values()))
    for name, f in figures.items():
        if f["ns"] is None:
            print(f"{name:44} {'failed:':>11} {f['lost'] * 100:.1f} % did not arrive")
            continue
        found = [f"{f['ratios'][c]:7.2f}" if c in f["ratios"] else " " * 7 for c in columns]
        print(f"{name:44} {f['ns']:11.0f} {f['low']:6.0f}-{f['high']:<6.0f}  " +
              " ".join(found).rstrip())


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")),
                    platform.machine())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--object", default="build/bench.bpf.o", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--frames", type=int, default=1 << 19, help="a measurement (%(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="frames at a time (%(default)s)")
    parser.add_argument("--mappings", type=int, default=1000000, metavar="N",
                        help="leave out rows with more (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="the main rows alone")
    parser.add_argument("--only", nargs="+", metavar="PART",
                        help="rows of that name, or with this in it")
    parser.add_argument("--control", nargs="+", type=int, metavar="N",
                        help="instead: what changes take with so many mappings")
    parser.add_argument("--list", action="store_true", help="name the rows, and do nothing")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    parser.add_argument("--svg", metavar="FILE", help="a plot")
    options = parser.parse_args()
    if options.rounds < 1 or options.frames < 1 or not 1 <= options.batch <= 256:
        parser.error("--rounds and --frames are at least 1, --batch is from 1 to 256")
    return options


def save(options, figures):
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump(figures, f, indent=1)


def control_plane(options, bench):
    about = {**head(), "rounds": options.rounds, "start": control.starts(bench)}
    found = control.measure(bench, options.control, options.rounds)
    print(f"{machine(about)}\nmedians of {about['rounds']} rounds; a peak of 10 MiB can be less")
    control.start_table(about["start"])
    control.table(found)
    save(options, {**about, "control": found})
    return 0


def main():
    options = arguments()
    wanted = chosen(options)
    if options.list:
        print("\n".join(wanted))
        return 0
    if os.geteuid():
        print("the benchmark needs root", file=sys.stderr)
        return 2
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        if options.control:
            return control_plane(options, Bench(binary, scratch))
        most = max(row.how.get("mappings", MAPPINGS) for row in wanted.values())
        bench = Bench(binary, scratch, Object(os.path.abspath(options.object), {"lines": most}))
        os.sched_setaffinity(0, {CPU})
        figures = results(measure(options, bench, wanted), wanted)
        about = {**head(), "rounds": options.rounds, "frames": options.frames,
                 "batch": options.batch, "clock": bench.clock.kind}
    table(about, figures)
    save(options, {**about, "rows": figures})
    if options.svg:
        plot(options.svg, figures)
    return int(any(f["ns"] is None for f in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
