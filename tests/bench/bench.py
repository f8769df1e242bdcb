#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What a packet costs in a router: generator, router and sink are namespaces, the generator sends
live frames of BPF_PROG_TEST_RUN, and every row has a router of its own. Rows take turns, so
what the machine does meanwhile meets all of them. Figures are medians over the rounds of
nanoseconds a packet, less what the generator takes for itself. Needs root.
"""
import argparse
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
from cli import Cli                                     # noqa: E402
from kernel import Object                               # noqa: E402
from net import Namespace, private_machine, veth        # noqa: E402
from plot import plot                                   # noqa: E402

GENERATE, SINK, HOP = range(3)
CPU = 1
SHARED = {False: 0x64500000, True: 0x64500000}      # 100.80.0.0; the end of fd64::
FIXED = 0x0a100000                                  # 10.16.0.0; the end of fd00:10::
PEER = {False: "100.64.0.9", True: "fd64::9"}
LOST = 0.005


def address(number, six, shared):
    if six:
        prefix = "fd64::" if shared else "fd00:10::"
        return str(ipaddress.ip_address(int(ipaddress.ip_address(prefix)) + number))
    return str(ipaddress.ip_address(number))


def words_sum(data):
    data += bytes(len(data) % 2)
    return sum(struct.unpack(f">{len(data) // 2}H", data))


class Path:
    """gen0 - shared0 router lan0 - vm0; `out`: from vm0 to gen0."""

    def __init__(self, name, bench, size=64, mappings=1000, six=False, out=False, flows=False):
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
        self.object = Object(bench.object)
        self.source, self.target = (self.vm, self.gen) if out else (self.gen, self.vm)
        self.devices = ("vm0", "lan0", "shared0", "gen0") if out else \
            ("gen0", "shared0", "lan0", "vm0")
        self.object.attach(self.vm, "vm0", "sink")
        self.object.attach(self.gen, "gen0", "sink")
        self._jobs(mac)

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

    def _jobs(self, mac):
        frame, ip_sum, l4_sum = self._frame()
        before, after = (FIXED, SHARED[self.six]) if self.out else (SHARED[self.six], FIXED)

        def index(ns, device):
            return next(link["ifindex"] for link in ns.links() if link["ifname"] == device)

        def job(which, base, head=b"", ifindex=0):
            self.object.put("jobs", which, head.ljust(64, b"\0") + struct.pack(
                "=Q8I", 0, base, self.mappings, ip_sum, l4_sum, ifindex, self.six, self.out,
                self.flows))
        job(GENERATE, before, frame, index(self.source, self.devices[0]))
        job(SINK, after)
        to = bytes.fromhex(mac[self.devices[3]].replace(":", "")) + \
            bytes.fromhex(self.router.mac(self.devices[2]).replace(":", ""))
        job(HOP, after, to, index(self.router, self.devices[2]))
        self.sink_expects = job

    def untranslated(self):
        """What comes is to have the addresses that it was sent with."""
        self.sink_expects(SINK, FIXED if self.out else SHARED[self.six])

    def came(self):
        size = 16 * os.cpu_count()
        numbers = struct.unpack(f"={size // 8}Q", self.object.get("came", 0, size))
        return sum(numbers[::2]), sum(numbers[1::2])

    def measure(self, frames):
        """(nanoseconds a frame, share that did not arrive right)"""
        before, start = self.came()[0], time.perf_counter()
        took = self.object.live_frames(self.source, "generate", self.size, frames)
        last, now = -1, self.came()[0]
        while now != last and now - before < frames:    # what waits in queues
            time.sleep(0.001)
            last, now = now, self.came()[0]
            if now != last:
                took = time.perf_counter() - start
        return took / frames * 1e9, 1 - (now - before) / frames


# ------------------------------------------------------------ kinds of routers

def nothing(path, _bench):
    """The generator alone: dropped at the router's entry."""
    path.object.attach(path.router, path.devices[1], "drop")


def xdp_redirect(path, _bench):
    path.untranslated()
    path.object.attach(path.router, path.devices[1], "hop")


def forwarding(path, _bench):
    """Plain: what comes from the VMs' side has their addresses, and goes to them by these."""
    path.untranslated()
    path.router.ip("route add 100.80.0.0/12 via 10.255.0.2")
    if path.six:
        path.router.ip("route add fd64::6450:0/108 via fd00:ff::2")


def pairs(path):
    for i in range(path.mappings):
        yield (address(SHARED[path.six] + i, path.six, True), address(FIXED + i, path.six, False))


def nft(path, bench, rules):
    family, kind = ("ip6", "ipv6_addr") if path.six else ("ip", "ipv4_addr")
    with open(bench.file("rules.nft"), "w", encoding="ascii") as f:
        f.write(f"table {family} bench {{\n")
        for name, swap in (("in", False), ("out", True)):
            f.write(f"map {name} {{ type {kind} : {kind}; elements = {{\n")
            f.writelines(f"{b if swap else a} : {a if swap else b},\n" for a, b in pairs(path))
            f.write("} }\n")
        f.write(rules.replace("FAMILY", family) + "}\n")
    path.router.run("nft", "-f", f.name, timeout=600)


def nft_stateful(path, bench):
    nft(path, bench, """
        chain pre { type nat hook prerouting priority dstnat; dnat to FAMILY daddr map @in; }
        chain post { type nat hook postrouting priority srcnat; snat to FAMILY saddr map @out; }
        """)


def nft_stateless(path, bench):
    nft(path, bench, """
        chain pre { type filter hook prerouting priority raw;
                    FAMILY daddr set FAMILY daddr map @in; }
        chain post { type filter hook postrouting priority srcnat;
                     FAMILY saddr set FAMILY saddr map @out; }
        """)


def iptables(path, bench):
    """As Neutron's L3 agent writes floating IPs: two rules each, in chains of its own."""
    lines = ["*nat", ":agent-PREROUTING - [0:0]", ":agent-float-snat - [0:0]",
             "-A PREROUTING -j agent-PREROUTING", "-A POSTROUTING -j agent-float-snat"]
    for shared, fixed in pairs(path):
        lines += [f"-A agent-PREROUTING -d {shared}/32 -j DNAT --to-destination {fixed}",
                  f"-A agent-float-snat -s {fixed}/32 -j SNAT --to-source {shared}"]
    path.router.run("iptables-restore", input="\n".join([*lines, "COMMIT", ""]), timeout=600)


def tenantnat(hook, mode, accept='[{from: ["*"]}]'):
    def build(path, bench):
        name = f"{path.name}.yaml"
        with open(bench.file(name), "w", encoding="ascii") as f:
            f.write("shared-network: {subnets: [100.64.0.0/10, \"fd64::/64\"]}\ntenants:\n"
                    "  - name: peer\n    mappings:\n"
                    f"      - {{fixed: 10.0.0.9, shared: {PEER[False]}}}\n"
                    f"      - {{fixed: \"fd00::9\", shared: \"{PEER[True]}\"}}\n"
                    f"  - name: t\n    router: {{netns: {path.router.name}, shared: shared0, "
                    f"inside: [lan0], hook: {hook}, forwarding: {mode}}}\n"
                    f"    accept: {accept}\n    mappings:\n")
            f.writelines(f'      - {{fixed: "{b}", shared: "{a}"}}\n' for a, b in pairs(path))
        cli = Cli(bench.binary, bench.file(path.name + "-state"), f"/sys/fs/bpf/{path.name}")
        bench.clis.append(cli)
        cli.run("-q", "apply", "--no-probe", "-f", f.name, timeout=600)
    return build


FAST, STACK, XDP = tenantnat("tc", "fast"), tenantnat("tc", "stack"), tenantnat("xdp", "fast")
PORT = '[{from: ["*"], ports: [udp/53, udp/1024-65535]}]'


def rows(most):
    """{row: (router, how)}; `generator` is what the rows of its kind are less of."""
    out = {}
    for way in ("in", "out"):
        how = {"out": way == "out"}
        out |= {f"generator {way}": (nothing, how), f"XDP redirect, no NAT {way}": (xdp_redirect, how),
                f"forwarding, no NAT {way}": (forwarding, how),
                f"nft stateful {way}": (nft_stateful, how),
                f"nft stateless {way}": (nft_stateless, how),
                f"iptables as Neutron {way}": (iptables, how),
                f"tc fast {way}": (FAST, how), f"tc stack {way}": (STACK, how)}
    out |= {"xdp fast in": (XDP, {}), "tc fast in, ports": (tenantnat("tc", "fast", PORT), {}),
            "generator in IPv6": (nothing, {"six": True}),
            "forwarding, no NAT in IPv6": (forwarding, {"six": True}),
            "nft stateful in IPv6": (nft_stateful, {"six": True}),
            "tc fast in IPv6": (FAST, {"six": True})}
    for count in (1, 100000, 1000000):
        if count <= most:
            out[f"tc fast in, {count:,} mappings"] = (FAST, {"mappings": count})
    for size in (512, 1400):
        out |= {f"generator in, {size} bytes": (nothing, {"size": size}),
                f"nft stateful in, {size} bytes": (nft_stateful, {"size": size}),
                f"tc fast in, {size} bytes": (FAST, {"size": size})}
    new = {"flows": True}
    out |= {"generator in, new flows": (nothing, new), "nft stateful in, new flows": (nft_stateful, new),
            "iptables as Neutron in, new flows": (iptables, new),
            "tc fast in, new flows": (FAST, new)}
    return out


QUICK = ["generator in", "generator out", "XDP redirect, no NAT in", "forwarding, no NAT in",
         "forwarding, no NAT out", "nft stateful in", "nft stateful out", "tc fast in",
         "tc fast out", "tc stack in", "xdp fast in"]


def generator_of(row, known):
    """The row of the generator with the same frames."""
    way, comma, kind = row.rsplit(" NAT ", 1)[-1].partition(", ")
    words = f"{way}{comma}{kind}".split()
    start = max(i for i, word in enumerate(words) if word.rstrip(",") in ("in", "out"))
    own = "generator " + " ".join(words[start:])
    return own if own in known else f"generator {words[start].rstrip(',')}"


class Bench:
    """What rows have in common."""

    def __init__(self, binary, objects, scratch):
        self.binary, self.object, self.scratch, self.clis = binary, objects, scratch, []

    def file(self, name):
        return os.path.join(self.scratch, name)


def measure(options, bench):
    """{row: [(nanoseconds, share lost)]}, one a round."""
    wanted = rows(options.mappings)
    names = QUICK if options.quick else list(wanted)
    if options.only:
        names = [n for n in names if any(part in n for part in options.only) or "generator" in n]
    paths, out = {}, {name: [] for name in names}
    try:
        for number, name in enumerate(names):
            build, how = wanted[name]
            paths[name] = Path(f"b{number}", bench, **how)
            build(paths[name], bench)
        for turn in range(options.rounds + 1):
            for name in names:
                got = paths[name].measure(options.frames)
                if turn:    # the first one is to warm up
                    out[name].append(got)
            print(f"round {turn} of {options.rounds}", file=sys.stderr)
    finally:
        for cli in bench.clis:
            cli.run("detach", "--all", code=None)
        for path in paths.values():
            path.close()
    return out


def results(measured):
    """{row: {ns, spread, lost}}; net, by round."""
    own = {name: [ns for ns, _ in turns] for name, turns in measured.items()
           if name.startswith("generator")}
    out = {}
    for name, turns in measured.items():
        base = own[generator_of(name, own)] if name not in own else [0] * len(turns)
        net = sorted(ns - less for (ns, _), less in zip(turns, base))
        low, _, high = statistics.quantiles(net, n=4) if len(net) > 1 else net * 3
        lost = 0 if name in own else statistics.median(share for _, share in turns)
        out[name] = {"ns": statistics.median(net), "low": low, "high": high, "lost": lost}
    return out


def compared(name, figures):
    """Against whom, and how many times as much."""
    way = " out" if " out" in name else " in"
    family = " IPv6" if "IPv6" in name else ""
    more = name.partition(",")[2] if "no NAT" not in name else ""
    for peer in (f"nft stateful{way}{family}" + ("," + more if "bytes" in more or "new" in more
                                                 else ""), f"forwarding, no NAT{way}{family}",
                 f"XDP redirect, no NAT{way}"):
        if peer in figures and peer != name and not name.startswith("generator"):
            yield peer, figures[name]["ns"] / figures[peer]["ns"]


def table(figures):
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs, {processor()}")
    print(f"{'':42} {'ns a packet':>12} {'quartiles':>15}   ratios")
    for name, f in figures.items():
        if f["lost"] > LOST:
            print(f"{name:42} {f['lost'] * 100:11.1f}% did not arrive")
            continue
        ratios = ", ".join(f"{ratio:.2f} of {peer}" for peer, ratio in compared(name, figures))
        print(f"{name:42} {f['ns']:12.0f} {f['low']:7.0f}-{f['high']:<7.0f}   {ratios}")


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
    parser.add_argument("--mappings", type=int, default=1000000, metavar="N",
                        help="leave out rows with more (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="the main rows alone")
    parser.add_argument("--only", action="append", metavar="PART", help="rows with this in them")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    parser.add_argument("--svg", metavar="FILE", help="a plot")
    return parser.parse_args()


def main():
    options = arguments()
    if os.geteuid():
        print("the benchmark needs root", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {CPU % os.cpu_count()})
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        measured = measure(options, Bench(binary, os.path.abspath(options.object), scratch))
    figures = results(measured)
    table(figures)
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump({"kernel": platform.release(), "cpus": os.cpu_count(),
                       "processor": processor(), "rows": figures}, f, indent=1)
    if options.svg:
        plot(options.svg, figures)
    return int(any(f["lost"] > LOST for f in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
