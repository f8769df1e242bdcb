#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
TCP through a router: client - router - server are namespaces on veth with their offloads as they
come, and every router has a client and a server of its own. Bulk by iperf3 and short connections
have all three on one CPU, which then is what limits them: what the router takes, they lack, and
two CPUs would reorder packets. The CPU's time is that of client, server and softirqs alone, so it
says the same where other processes want that CPU. Round trips of 64 bytes have a CPU for each end,
and nobody sleeps. Routers take turns, each round in another order; a ratio is the median of those
within a round. What is refused, lost or wrong leaves a row without figures, but bulk may lose as
little as other rows of the benchmark: TCP asks for that. Needs root.
"""
import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import bench                                                    # noqa: E402
import rules                                                    # noqa: E402
from kernel import Clock                                        # noqa: E402
from net import Namespace, end_with_parent, private_machine, veth   # noqa: E402
from rules import FIXED, PEER, SHARED                           # noqa: E402

MAPPING = 5         # the VM's
NEAR, FAR = bench.CPU, 0     # CPUs
OUTSIDE = PEER[False]
TIMEOUT = 30


class Site:
    """client0 - shared0 router lan0 - vm0; the VM has a mapping's addresses."""

    def __init__(self, name, mappings):
        self.name, self.mappings, self.six = name, mappings, False
        self.outside, self.router, self.vm = (Namespace(f"{name}-{what}") for what in "orv")
        veth(self.router, "shared0", self.outside, "client0")
        veth(self.router, "lan0", self.vm, "vm0")
        self.router.sysctl(ipv4__ip_forward=1)
        self.router.ip("addr add 100.64.0.2/10 dev shared0", "addr add 10.255.0.1/30 dev lan0",
                       "route add 10.16.0.0/12 via 10.255.0.2")
        self.outside.ip(f"addr add {OUTSIDE}/10 dev client0",
                        "route add 100.80.0.0/12 via 100.64.0.2")
        self.vm.ip("addr add 10.255.0.2/30 dev vm0")
        for ns in (self.outside, self.vm):      # a connection in TIME_WAIT is no obstacle
            ns.sysctl(ipv4__ip_local_port_range="10000 65000", ipv4__tcp_tw_reuse=1)
        self.at_vm = rules.address(FIXED + MAPPING, False, "fixed")
        self.at_shared = rules.address(SHARED + MAPPING, False, "shared")

    def settle(self):
        self.vm.ip(f"addr add {self.at_vm}/32 dev vm0",
                   f"route add default via 10.255.0.1 src {self.at_vm}")

    def close(self):
        for ns in (self.outside, self.router, self.vm):
            ns.remove()

    def ends(self, out):
        """(the client, the server, the server's address there, and for the client)"""
        if out:
            return self.vm, self.outside, OUTSIDE, OUTSIDE
        return self.outside, self.vm, self.at_vm, self.at_shared

    def segments(self):
        """How many were sent; sent again, less those that had arrived; wrong."""
        def count(key):
            return sum(ns.get(key, 0) for ns in seen)
        seen = [ns.snmp() for ns in (self.outside, self.vm)]
        return (count("TcpOutSegs"), count("TcpRetransSegs") - count("TcpExtTCPDSACKRecvSegs"),
                count("TcpInCsumErrors"))


# ------------------------------------------------------------ kinds of routers

def forwarding(site, _bench):
    """Plain: the VM has its shared address itself."""
    site.at_vm = site.at_shared
    site.router.ip("route add 100.80.0.0/12 via 10.255.0.2")


def nft_stateful(site, common):
    """As it comes, but for connections that were closed: thousands a second fill its table."""
    bench.nft(rules.NFT_STATEFUL)(site, common)
    site.router.sysctl(netfilter__nf_conntrack_tcp_timeout_time_wait=1)


def xdp_fast(site, common):
    """veth takes what XDP redirects to it when its peer has GRO, or a program."""
    bench.tenantnat("xdp", "fast")(site, common)
    site.outside.run("ethtool", "-K", "client0", "gro", "on")
    site.vm.run("ethtool", "-K", "vm0", "gro", "on")


ROUTERS = {
    "forwarding, no NAT": forwarding,
    "nft stateful": nft_stateful,
    "auto hook, fast": bench.tenantnat("auto", "fast"),
    "auto hook, stack": bench.tenantnat("auto", "stack"),
    "xdp, fast": xdp_fast,
}
PEERS = {"forwarding, no NAT": "x forw.", "nft stateful": "x nft"}


# ------------------------------------------------------------ what is measured

class Machine:
    """Programs in namespaces, each on a CPU, and what they use."""

    def __init__(self, requests, seconds):
        self.requests, self.seconds, self.clock = requests, seconds, Clock(NEAR)

    def used(self):
        """Seconds of processes that have ended, and of the CPU's softirqs that none paid for."""
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(self.clock.softirq, encoding="ascii") as f:
            return usage.ru_utime + usage.ru_stime + int(f.read().split()[0]) / 1e9

    @staticmethod
    def start(ns, cpu, *argv):
        # pylint: disable=consider-using-with, subprocess-popen-preexec-fn
        return subprocess.Popen(["nsenter", f"--net={ns.path}", "taskset", "-c", str(cpu), *argv],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=end_with_parent)

    def client(self, ns, cpu, *argv):
        """Its JSON."""
        process = self.start(ns, cpu, *argv)
        try:
            said, complaint = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
            process.wait()
        found = json.loads(said) if said else {}
        if process.returncode or "error" in found:      # iperf3 succeeds with one
            raise RuntimeError(complaint.strip() or found.get("error", "no figures"))
        return found

    @contextlib.contextmanager
    def server(self, ns, cpu, ready, *argv):
        process = self.start(ns, cpu, *argv)
        try:
            while ready not in (line := process.stdout.readline()):
                if not line:
                    raise RuntimeError(f"{argv[0]}: {process.stderr.read().strip()}")
            yield
        finally:
            process.kill()
            process.communicate()


def bulk(streams):
    def run(machine, client, server, listen, to):
        with machine.server(server, NEAR, "listening", "iperf3", "-s", "-1", "-B", listen,
                            "--forceflush"):
            said = machine.client(client, NEAR, "iperf3", "-c", to, "-J", "-P",
                                  str(streams), "-t", str(machine.seconds))["end"]["sum_received"]
        return {"value": said["bits_per_second"] / 1e9, "amount": said["bytes"] / 1e9}
    return run


def connections(machine, client, server, listen, to):
    with machine.server(server, NEAR, "ready", machine.requests, "serve", listen):
        said = machine.client(client, NEAR, machine.requests, "connect", to,
                              str(round(machine.seconds * 1000)))
    return {"value": said["count"] / said["seconds"], "amount": said["count"] / 1e6}


def round_trips(machine, client, server, listen, to):
    with machine.server(server, FAR, "ready", machine.requests, "serve", listen, "spin"):
        said = machine.client(client, NEAR, machine.requests, "ask", to,
                              str(round(machine.seconds * 1000)))
    return {key: said[key] / 1000 for key in PERCENTILES}


class Test:
    """`out`: the VM is the client. Without `cpu_unit`: percentiles. `loss` is a share."""

    def __init__(self, run, unit, cpu_unit=None, out=False, loss=0):
        self.run, self.unit, self.cpu_unit, self.out, self.loss = run, unit, cpu_unit, out, loss


PERCENTILES = "p50", "p90", "p99", "p99.9"
TESTS = {
    **{f"bulk, {streams} stream{'s' * (streams > 1)}, {'out' if out else 'in'}":
       Test(bulk(streams), "Gbit/s", "CPU s/GB", out, bench.LOST)
       for streams in (1, 8) for out in (False, True)},
    "connections, in": Test(connections, "a second", "CPU us each"),
    "connections, out": Test(connections, "a second", "CPU us each", out=True),
    "round trips, in": Test(round_trips, "us"),
}


def turn(machine, test, site):
    """What one run gives, or why it gives nothing."""
    tells = test.cpu_unit and machine.clock.kind == "cpu"
    before, used = site.segments(), machine.used() if tells else 0
    try:
        found = test.run(machine, *site.ends(test.out))
    except subprocess.TimeoutExpired:
        return {"failed": f"it did not end in {TIMEOUT} s"}
    except RuntimeError as error:
        return {"failed": str(error)}
    sent, lost, wrong = (now - then for now, then in zip(site.segments(), before))
    if lost > sent * test.loss or wrong:
        return {"failed": f"of {sent} segments {max(lost, 0)} lost, {wrong} wrong"}
    if tells:
        found["cpu"] = (machine.used() - used) / found["amount"]
    found.pop("amount", None)
    return {**found, "lost": max(lost, 0) / sent}


def measure(machine, tests, sites, rounds):
    """{test: {router: [what each round gave]}}"""
    out = {name: {router: [] for router in sites} for name in tests}
    order = list(sites)
    for number in range(rounds):
        for name, test in tests.items():
            for router in order if number % 2 else order[::-1]:
                out[name][router].append(turn(machine, test, sites[router]))
            order = order[1:] + order[:1]
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return out


# ------------------------------------------------------------ what came out

def quartiles(values):
    values = values * 2 if len(values) == 1 else values
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def row(turns, peers):
    """Figures of a router, and ratios to the peers in the same rounds."""
    failures = [t["failed"] for t in turns if "failed" in t]
    if failures:
        return {"failed": failures[0], "failures": len(failures), "turns": turns}
    lost = max(t["lost"] for t in turns)
    out = {key: quartiles([t[key] for t in turns]) for key in turns[0] if key != "lost"}
    ratios = {peer: {key: quartiles([t[key] / p[key] for t, p in zip(turns, others)])
                     for key in out}
              for peer, others in peers.items() if not any("failed" in p for p in others)}
    return {"figures": out, "ratios": ratios, "lost": lost, "turns": turns}


def results(measured):
    """{test: {router: row}}"""
    return {test: {router: row(turns, {p: routers[p] for p in PEERS if p != router})
                   for router, turns in routers.items()}
            for test, routers in measured.items()}


def ratio(found, peer, key, spread=False):
    """As a column's text."""
    width = 20 if spread else 7
    r = found["ratios"].get(peer, {}).get(key)
    if not r:
        return " " * width
    return f"{r['median']:7.3f}" + (f" ({r['low']:.3f}-{r['high']:.3f})" if spread else "")


def throughput_table(test, routers):
    digits = 2 if test.unit == "Gbit/s" else 0
    yield (f"{test.unit:>9} {'quartiles':>13}  " + " ".join(f"{t:>21}" for t in PEERS.values()) +
           f" {test.cpu_unit:>11} " + " ".join(f"{t:>7}" for t in PEERS.values()) +
           f" {'lost':>8}")
    for found in routers.values():
        if "failed" in found:
            yield failure(found)
            continue
        v, cpu = (found["figures"].get(key) for key in ("value", "cpu"))
        quarters = f"{v['low']:.{digits}f}-{v['high']:.{digits}f}"
        yield (f"{v['median']:9.{digits}f} {quarters:>13}  " +
               " ".join(f"{ratio(found, p, 'value', True):21}" for p in PEERS) +
               (f" {cpu['median']:11.2f} " if cpu else f" {'':11} ") +
               " ".join(ratio(found, p, "cpu") for p in PEERS) + f" {found['lost'] * 100:6.3f} %")


def round_trip_table(test, routers):
    yield (" ".join(f"{p + ' ' + test.unit:>9}" for p in PERCENTILES) + " " +
           " ".join(f"{p + ' ' + t:>12}" for t in PEERS.values() for p in ("p50", "p99")))
    for found in routers.values():
        if "failed" in found:
            yield failure(found)
            continue
        yield (" ".join(f"{found['figures'][p]['median']:9.1f}" for p in PERCENTILES) + " " +
               " ".join(f"{ratio(found, peer, p):>12}" for peer in PEERS for p in ("p50", "p99")))


def failure(found):
    return f"failed in {found['failures']} of {len(found['turns'])} rounds: {found['failed']}"


def table(about, tests, found):
    print(bench.machine(about))
    print(f"medians of {about['rounds']} rounds of {about['seconds']} s, {about['mappings']:,} "
          "mappings; client, router and server share one CPU, but for round trips;\n"
          "`lost` is the worst round's; out: the VM opens the connection and sends")
    for name, routers in found.items():
        lines = (throughput_table if tests[name].cpu_unit else round_trip_table)(tests[name],
                                                                                 routers)
        print(f"\n{name:22} {next(lines)}")
        for router, line in zip(routers, lines):
            print(f"{router:22} {line.rstrip()}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--requests", default="build/requests",
                        help="client and server of short requests (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--seconds", type=int, default=1, help="of a measurement (%(default)s)")
    parser.add_argument("--mappings", type=int, default=1000, help="(%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="PART", default=[""],
                        help="what is measured, with this in its name")
    parser.add_argument("--list", action="store_true", help="name it, and do nothing")
    parser.add_argument("--json", metavar="FILE", help="all figures")
    options = parser.parse_args()
    if options.rounds < 1 or not 1 <= options.seconds <= TIMEOUT // 2:
        parser.error(f"--rounds is at least 1, --seconds from 1 to {TIMEOUT // 2}")
    if not MAPPING < options.mappings <= 1000000:
        parser.error(f"--mappings is from {MAPPING + 1} to 1000000")
    for path in (options.bin, options.requests):
        if not os.path.isfile(path):
            parser.error(f"{path} is not there; `make bench-tcp` builds it")
    return options


def run(options, tests):
    with private_machine() as scratch, contextlib.ExitStack() as stack:
        def program(path):
            return shutil.copy(os.path.abspath(path), scratch)

        common = bench.Bench(program(options.bin), scratch)
        sites = {}
        for number, (name, build) in enumerate(ROUTERS.items()):
            site = sites[name] = Site(f"t{number}", options.mappings)
            stack.callback(site.close)
            build(site, common)
            site.settle()
        stack.callback(lambda: [cli.run("detach", "--all", code=None) for cli in common.clis])
        machine = Machine(program(options.requests), options.seconds)
        return results(measure(machine, tests, sites, options.rounds))


def main():
    options = arguments()
    tests = {name: test for name, test in TESTS.items() if any(p in name for p in options.only) and
             (test.cpu_unit or NEAR != FAR)}    # who does not sleep needs a CPU each
    if options.list:
        print("\n".join(tests))
        return 0
    if not tests:
        print("nothing has that in its name", file=sys.stderr)
        return 2
    if os.geteuid():
        print("the benchmark needs root", file=sys.stderr)
        return 2
    found = run(options, tests)
    about = {**bench.head(), "rounds": options.rounds, "seconds": options.seconds,
             "mappings": options.mappings, "clock": Clock(NEAR).kind}
    table(about, tests, found)
    bench.save(options, {**about, "tcp": found})
    return int(any("failed" in row for routers in found.values() for row in routers.values()))


if __name__ == "__main__":
    sys.exit(main())
