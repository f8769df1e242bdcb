#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What a large cloud takes: a Neutron that is played (tests/e2e/neutron.py) has many routers with VMs, and
some of the routers are on this host. In CPU seconds and memory of tenantnat alone, without the server's:

    print      all is read, and definitions are made of it
    dry-run    and a plan
    once       and it is applied, with the routers of this host
    again      the same, when nothing has changed
    poll       one poll that finds nothing changed, while following
"""
import argparse
import copy
import ipaddress
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/e2e"))
from net import BPFFS, Namespace, private_machine, sh, veth  # noqa: E402 pylint: disable=wrong-import-position
from neutron import AGENT, Cloud  # noqa: E402 pylint: disable=wrong-import-position

# of the samples: what all others are made like
ROUTER, VM, SHARED, INSIDE = "10000012", "10000016", "10000024", "10000026"
POLLED = "/v2.0/agents?"    # once in every poll


def uuid(kind, number):
    return f"{kind:08x}-{number >> 16:04x}-{number & 0xffff:04x}-8000-000000000000"


def mac(number):
    return "fa:16:" + ":".join(f"{number >> shift & 0xff:02x}" for shift in (24, 16, 8, 0))


def copied(one, number, kind, **fields):
    new = copy.deepcopy(one)
    new.update(id=uuid(kind, number), **fields)
    if "mac_address" in new:
        new["mac_address"] = mac(kind << 20 | number)
    return new


def large(cloud, routers, ports, here):
    """Each router has a network of its own with the same addresses; the first ones are on this host."""
    one = {path: cloud.find(kind, begin) for path, kind, begin in (
        ("router", "routers", ROUTER), ("vm", "ports", VM), ("shared", "ports", SHARED),
        ("inside", "ports", INSIDE))}
    subnet = next(s for s in cloud.lists["subnets"] if s["id"] == one["vm"]["fixed_ips"][0]["subnet_id"])
    shared = next(s for s in cloud.lists["subnets"] if s["network_id"] == one["shared"]["network_id"])
    shared.update(cidr="100.96.0.0/14", allocation_pools=[{"start": "100.99.0.1", "end": "100.99.255.254"}])
    cloud.lists["routers"].clear()
    cloud.lists["ports"].clear()
    cloud.lists["subnets"] = [shared]
    first = int(ipaddress.ip_address("100.99.0.10"))
    for r in range(routers):
        router, network, behind = uuid(0xa, r), uuid(0xb, r), uuid(0xc, r)
        cloud.lists["routers"].append(copied(one["router"], r, 0xa, name=f"router-{r}", tags=["tenantnat"]))
        cloud.lists["subnets"].append(copied(subnet, r, 0xc, network_id=network))
        cloud.lists["ports"] += [
            copied(one["shared"], r, 0xd0 + (r >> 12), device_id=router, fixed_ips=[
                {"subnet_id": shared["id"], "ip_address": str(ipaddress.ip_address(first + r))}]),
            copied(one["inside"], r, 0xe0 + (r >> 12), device_id=router, network_id=network, fixed_ips=[
                {"subnet_id": behind, "ip_address": "10.0.0.1"}])]
        for v in range(ports):
            cloud.lists["ports"].append(copied(
                one["vm"], r * ports + v, 0xf, name=f"vm-{v}", network_id=network,
                fixed_ips=[{"subnet_id": behind, "ip_address": f"10.0.{v // 250}.{v % 250 + 2}"}]))
    cloud.hosted = {AGENT: cloud.lists["routers"][:here]}


class Qrouter(Namespace):
    """Its name is as it is."""

    def __init__(self, name):       # pylint: disable=super-init-not-called
        self.name, self.path = name, f"/run/netns/{name}"
        sh(["ip", "netns", "add", name])


def build(cloud, here):
    """The namespaces of those routers, as the L3 agent makes them, on one bridge."""
    wire = Namespace("bench-wire")
    wire.ip("link add br0 type bridge", "link set br0 up")
    for r in range(here):
        ports = [p for p in cloud.lists["ports"] if p["device_id"] == uuid(0xa, r)]
        ns = Qrouter("qrouter-" + uuid(0xa, r))
        ns.ip("link set lo up")
        for i, port in enumerate(ports):
            name = "qr-" + port["id"][:11]
            veth(ns, name, wire, f"p{r}-{i}")
            ns.ip(f"addr add {port['fixed_ips'][0]['ip_address']}/{14 if i == 0 else 24} dev {name}")
            if i == 0:
                wire.ip(f"link set p{r}-0 master br0")
        ns.sysctl(ipv4__ip_forward=1)


def used(argv):
    """(seconds by the clock, of a CPU, MiB) that a command takes."""
    begun = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)     # pylint: disable=consider-using-with
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{argv}: exit status {status}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def cpu(pid):
    """Seconds of a CPU that a process of one thread has taken."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def polls(cloud):
    return sum(request.startswith(POLLED) for request in cloud.requests)


def poll(cloud, argv, wanted):
    """(seconds by the clock, of a CPU, MiB) of one poll, on average."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
        try:
            before = polls(cloud)
            while polls(cloud) < before + 2:    # all was read, and one poll is at its end or nearly
                time.sleep(0.01)
            time.sleep(2)
            begun, taken, before = time.monotonic(), cpu(process.pid), polls(cloud)
            while polls(cloud) < before + wanted:
                time.sleep(0.01)
            time.sleep(2)
            n, taken = polls(cloud) - before, cpu(process.pid) - taken
            with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
                peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
            return (time.monotonic() - begun) / n, taken / n, peak / 1024
        finally:
            process.terminate()


def measure(args, cloud, state):
    cli = [args.bin, "--state", state, "--bpffs", f"{BPFFS}/bench"]
    neutron = [*cli, "neutron", "--url", cloud.url, "--host", "node1"]
    yield "print", used([*neutron, "--print"])
    yield "dry-run", used([*neutron, "--dry-run"])
    yield "once", used([*neutron, "--once"])
    yield "again", used([*neutron, "--once"])
    yield "poll", poll(cloud, neutron, args.polls)
    subprocess.run([*cli, "detach", "--all"], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--routers", type=int, default=1000)
    parser.add_argument("--ports", type=int, default=20, help="of VMs, behind each router")
    parser.add_argument("--here", type=int, default=10, help="routers on this host")
    parser.add_argument("--polls", type=int, default=5)
    parser.add_argument("--json", help="write the figures there, too")
    args = parser.parse_args()
    figures = {}
    with private_machine() as scratch, Cloud() as cloud:
        large(cloud, args.routers, args.ports, args.here)
        build(cloud, args.here)
        print(f"{args.routers} routers, {args.here} of them here, {len(cloud.lists['ports'])} ports")
        for what, (clock, taken, mib) in measure(args, cloud, os.path.join(scratch, "state")):
            figures[what] = {"clock": clock, "cpu": taken, "mib": mib}
            print(f"{what:8} {taken:8.3f} s of a CPU {clock:8.3f} s {mib:7.1f} MiB", flush=True)
    if args.json:
        with open(args.json, "w", encoding="ascii") as f:
            json.dump(figures, f, indent=1)


if __name__ == "__main__":
    main()
