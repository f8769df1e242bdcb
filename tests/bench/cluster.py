#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
A large cluster in one etcd: what an apply of everything takes, what the start of one host takes, how
long a change of one mapping is under way to all hosts, and what each of them is sent for it. One host
is real, with routers; the others are clients of etcd that hold a lease and watch what an agent
watches. Needs root.
"""
import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from agent import Agent                                         # noqa: E402
from cli import Cli                                             # noqa: E402
from etcd import Etcd                                           # noqa: E402
from net import BPFFS, private_machine                          # noqa: E402
from routers import Cloud, timed, used                          # noqa: E402

EACH = 100          # mappings of a tenant
OWN = 10            # tenants of the real host
PREFIX = "/tenantnat/"
# what an agent watches: follower.c
WATCHED = (PREFIX + "changing", PREFIX + "tenants/")
LEASE = 30


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Large(Cloud):
    """OWN tenants with routers on hv1, the others on simulated hosts, a hundred mappings each."""

    def __init__(self, tenants, hosts):
        super().__init__(OWN, EACH)
        self.tenants, self.hosts = tenants, hosts

    def definitions(self):
        yield from ("shared-network: {subnets: [100.64.0.0/10]}", "tenants:")
        for n in range(self.tenants):
            pool = n + 256      # the first one has the routers' own addresses
            host, netns = ("hv1", self.routers[n].name) if n < OWN else (f"s{n % self.hosts}", f"t{n}")
            yield from (f"  - name: t{n}", f"    pool: [100.{64 + (pool >> 8)}.{pool & 255}.0/24]",
                        f"    router: {{host: {host}, netns: {netns}, shared: shared0, inside: [lan0]}}",
                        '    accept: [{from: ["*"]}]', "    mappings:")
            for m in range(EACH):
                yield f"      - {{fixed: 10.0.1.{m}}}"


class Follower:
    """One simulated host: a lease that is kept, and a watch whose bytes are counted."""

    def __init__(self, number, address):
        self.number, self.address = number, address
        self.bytes, self.at = 0, None
        self.tasks = []

    async def post(self, path, body):
        reader, writer = await asyncio.open_connection(*self.address)
        text = json.dumps(body).encode()
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        return reader, writer

    async def ask(self, path, body):
        reader, writer = await self.post(path, body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        data = json.loads(await reader.readexactly(length))
        writer.close()
        return data

    async def start(self):
        lease = (await self.ask("/v3/lease/grant", {"TTL": str(LEASE)}))["ID"]
        for key, value, held in (("hosts/", {"id": "0" * 32, "joined": 1, "version": "bench"}, "0"),
                                 ("alive/", {"revision": 1, "at": 1, "failed": [], "found": []}, lease)):
            await self.ask("/v3/kv/put", {"key": b64(f"{PREFIX}{key}s{self.number}"), "value": b64(json.dumps(value)),
                                          "lease": held})
        reader, writer = await self.post("/v3/watch", {"create_request": {"key": b64(WATCHED[0]),
                                                                          "range_end": b64(WATCHED[1])}})
        await reader.readuntil(b"\n")
        self.tasks = [asyncio.ensure_future(self.watch(reader, writer)), asyncio.ensure_future(self.keep(lease))]

    async def watch(self, reader, _writer):
        while data := await reader.read(1 << 16):
            self.bytes += len(data)
            self.at = time.monotonic()

    async def keep(self, lease):
        while True:
            await asyncio.sleep(LEASE / 3)
            await self.ask("/v3/lease/keepalive", {"ID": lease})


async def quiet(followers):
    """Until nothing more comes: each is told of all that join after it. How many bytes have come."""
    settled = -1
    while settled != (settled := sum(one.bytes for one in followers)):
        await asyncio.sleep(1)
    return settled


async def follow(pipe, hosts, address):
    followers = [Follower(n, address) for n in range(hosts)]
    for n in range(0, hosts, 100):
        await asyncio.gather(*(one.start() for one in followers[n:n + 100]))
    await quiet(followers)
    pipe.send("ready")
    loop = asyncio.get_event_loop()
    while await loop.run_in_executor(None, pipe.recv) == "next":
        for one in followers:
            one.bytes, one.at = 0, None
        pipe.send("armed")
        while not all(one.at for one in followers):
            await asyncio.sleep(1)
        settled = await quiet(followers)
        # the first to hear is what a change takes without the others
        pipe.send(([one.at for one in followers], settled))


def simulate(pipe, hosts, address, ns):
    with ns.entered():
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        asyncio.run(follow(pipe, hosts, address))


def percentiles(values):
    values = sorted(values)
    return {"p50": statistics.median(values), "p99": values[min(len(values) - 1, round(len(values) * .99))]}


def change(one, pipe, number, log):
    """One mapping more of the real host's: (the command's seconds, until each simulated host, until the real one has it)."""
    if pipe:
        pipe.send("next")
        pipe.recv()
    begin = time.monotonic()
    shared = one.run("map", "add", "t0", f"10.0.2.{number}").stdout.strip()
    command = time.monotonic() - begin
    while shared not in log():
        time.sleep(0.005)
    real = time.monotonic() - begin
    if not pipe:
        return command, [], 0, real
    heard, size = pipe.recv()
    return command, [at - begin for at in heard], size, real


def measure(scratch, options):
    lab = types.SimpleNamespace(scratch=scratch)
    os.environ["TN_ETCD_DRIVER"] = options.bin
    tenants, out = options.mappings // EACH, {"mappings": options.mappings, "hosts": options.hosts}
    cloud = Large(tenants, options.hosts)
    quota = ["--quota-backend-bytes", str(8 << 30)]
    with Etcd(lab, options=quota) as etcd:
        def host(name):
            cli = Cli(options.bin, os.path.join(scratch, name), f"{BPFFS}/{name}",
                      under=["nsenter", f"--net={etcd.ns.path}"])
            cli.run("cluster", "join", etcd.urls, "--host", name)
            return cli
        zero, one = host("hv0"), host("hv1")
        path = os.path.join(scratch, "large.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(line + "\n" for line in cloud.definitions())
        out["apply"] = timed(*zero.argv("-q", "apply", "--yes", "--no-probe", "-f", path))
        print("apply", out["apply"], file=sys.stderr)
        out["start"] = timed(*one.argv("-q", "cluster", "sync", "--no-probe"))
        out["again"] = timed(*one.argv("-q", "cluster", "sync", "--no-probe"))
        out["own"] = len(one.leases())
        print("start", out["start"], out["again"], out["own"], file=sys.stderr)
        pipe, there = multiprocessing.Pipe()
        simulated = multiprocessing.Process(target=simulate, daemon=True, args=(
            there, options.hosts, (etcd.members[0].host, 2379), etcd.ns))
        simulated.start()
        there.close()       # so that its end is heard
        pipe.recv()
        with Agent(types.SimpleNamespace(scratch=scratch, cli=one)) as agent:
            def log():
                agent.drain()
                return "\n".join(agent.said())
            change(zero, None, 0, log)
            rows = [change(zero, pipe, n, log) for n in range(1, options.changes + 1)]
            out["command"] = percentiles([row[0] for row in rows])
            out["heard"] = percentiles([at for row in rows for at in row[1]])
            out["bytes"] = statistics.median(row[2] for row in rows) / options.hosts
            out["real"] = percentiles([row[3] for row in rows])
            child = next(int(p) for p in os.listdir("/proc") if p.isdigit() and is_follower(p, one.state))
            out["agent"], out["follower"] = used(agent.run.pid)[1], used(child)[1]
            out["together"] = proportional(agent.run.pid) + proportional(child)
        out["etcd"] = used(etcd.members[0].process.pid)[1]
        simulated.kill()
        out["disk"] = os.stat(os.path.join(etcd.members[0].data, "member/snap/db")).st_size / (1 << 20)
        for cli in zero, one:
            cli.run("detach", "--all")
    cloud.close()
    return out


def proportional(pid):
    """MiB that the process has now, of what it shares its part."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) / 1024


def is_follower(pid, state):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().decode(errors="replace").split("\0")
    except OSError:
        return False
    return "follow" in words and state in words


def ms(times):
    return f"p50 {1000 * times['p50']:.0f} ms, p99 {1000 * times['p99']:.0f} ms"


def show(o):
    print(f"{o['mappings']} mappings, {o['hosts']} hosts")
    for key, what in (("apply", "apply of all of it"), ("start", f"start of a host with {o['own']} mappings of its own"),
                      ("again", "the same when there is nothing to do")):
        clock, cpu, mib = o[key]
        print(f"  {what}: {clock:.1f} s, {cpu:.1f} s of a CPU, {mib:.0f} MiB")
    print(f"  agent: {o['agent']:.0f} MiB at the most, and `cluster follow` {o['follower']:.0f} MiB; "
          f"both, with what they share once, {o['together']:.0f} MiB now")
    print(f"  map add: {ms(o['command'])}; heard by all: {ms(o['heard'])}; in force on its host: {ms(o['real'])}")
    print(f"  sent to each host for it: {o['bytes']:.0f} bytes")
    print(f"  etcd: {o['etcd']:.0f} MiB of memory, {o['disk']:.0f} MiB on disk")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat")
    parser.add_argument("--mappings", type=int, default=100000)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.bin = os.path.abspath(options.bin)
    with private_machine() as scratch:
        out = measure(scratch, options)
    show(out)
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
