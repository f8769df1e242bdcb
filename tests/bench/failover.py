#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What connections go through when their router goes to another host: two hosts of a cluster with real
keepalived, connections of each kind, and takeovers, planned ones and of a host that is dead at once.
Which are lost, and how long the others were silent; with flows streamed, and without. And what the
stream takes of a CPU. Needs root.
"""
import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from agent import Agent                             # noqa: E402
from case import eventually                         # noqa: E402
from ha import pair                                 # noqa: E402
from lab import PLAIN, Lab                          # noqa: E402
from net import private_machine                     # noqa: E402
from test_failover import SHARED, only              # noqa: E402

TICK = 0.01
SETTLED = 3         # seconds from the opening of connections to the takeover
LOST = 12           # seconds after which who has not been heard of again is lost
SERVICE = 7777      # that the VM serves
KINDS = {
    "server": "to a VM's server",
    "sends": "of a VM that sends",
    "receives": "of a VM that only receives",
    "idle": "of a VM, idle, and then pushed to",
    "young": "of a VM that only receives, opened just before",
}


class Talk:
    """A connection: `sender` says something all the time, and `receiver` hears it."""

    def __init__(self, there, kind):
        self.kind = kind
        vm, plain = there.vm, there.lab.plain
        server, client, address = (vm, plain, SHARED) if kind == "server" else (plain, vm, PLAIN)
        with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("0.0.0.0", SERVICE if kind == "server" else 0))
            listening.listen()
            here = client.socket(socket.AF_INET, socket.SOCK_STREAM)
            here.settimeout(30)
            here.connect((address, listening.getsockname()[1]))
            other, _ = listening.accept()
        self.sender, self.receiver = (here, other) if kind in ("server", "sends") else (other, here)
        for sock in here, other:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.quiet = kind == "idle"
        self.last, self.gap = time.monotonic(), 0.0

    def turn(self):
        now = time.monotonic()
        if not self.quiet:
            with contextlib.suppress(BlockingIOError):
                self.sender.send(b"12345678")
        with contextlib.suppress(BlockingIOError):
            if self.receiver.recv(1 << 16):
                self.gap, self.last = max(self.gap, now - self.last), now

    def close(self):
        self.sender.close()
        self.receiver.close()


def talk_until(talks, done, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        for talk in talks:
            talk.turn()
        time.sleep(TICK)


def streamer(agent):
    """The process of that agent that streams flows."""
    with open(f"/proc/{agent.run.pid}/task/{agent.run.pid}/children", encoding="ascii") as f:
        for pid in f.read().split():
            with open(f"/proc/{pid}/cmdline", encoding="ascii") as line:
                if line.read().endswith("flows\0stream\0"):
                    return int(pid)
    raise AssertionError("no process streams flows")


class Hosts:
    """The two, with their agents and keepalived."""

    def __init__(self, there):
        self.there = there
        self.agents = {host: self._agent(host) for host in there.hosts}

    @staticmethod
    def _agent(host):
        agent = Agent(host)
        agent.__enter__()       # pylint: disable=unnecessary-dunder-call
        return agent

    def _links(self, host, state):
        for device in "shared0", "lan0", "vrrp0":
            host.ns.ip(f"link set {device} {state}")

    def leave(self, host, dead):
        """It is stopped; or it has no power any more."""
        if not dead:
            host.end()
            return
        os.kill(streamer(self.agents[host]), 9)
        self.agents[host].kill()
        self._links(host, "down")
        host.run.kill()
        host.run.wait()

    def come_back(self, host, dead):
        if dead:
            for device in "shared0", "lan0":
                host.ns.ip(f"addr flush dev {device} scope global")
            self._links(host, "up")
            with contextlib.suppress(Exception):
                self.agents[host].__exit__(RuntimeError, None, None)
            self.agents[host] = self._agent(host)
        host.begin()

    def close(self):
        for host in self.there.hosts:
            host.end()
            self.agents[host].__exit__(RuntimeError, None, None)


def take_over(hosts, dead):
    """{kind: seconds of silence, or None: lost}"""
    there = hosts.there
    active, other = only(there.hosts)
    talks = [Talk(there, kind) for kind in KINDS if kind != "young"]
    talk_until(talks, lambda: False, SETTLED)
    talks.append(Talk(there, "young"))
    for talk in talks:
        talk.turn()
        talk.gap = 0.0
    begun = time.monotonic()
    hosts.leave(active, dead)
    # has_address() takes as long as many ticks: asked for now and then
    asked = [begun]

    def has_come():
        if time.monotonic() - asked[0] < 0.1:
            return False
        asked[0] = time.monotonic()
        return other.has_address()
    talk_until(talks, has_come, 30)
    came = time.monotonic()
    talk_until(talks, lambda: time.monotonic() - came > 1, 2)
    idle = next(talk for talk in talks if talk.kind == "idle")
    idle.quiet, idle.last = False, time.monotonic()
    pushed = time.monotonic()
    talk_until(talks, lambda: all(talk.last > (pushed if talk is idle else came) + 2 * TICK
                                  for talk in talks), LOST)
    out = {}
    for talk in talks:
        heard = talk.last > (pushed if talk is idle else came)
        out[talk.kind] = talk.gap if heard else None
        talk.close()
    hosts.come_back(active, dead)
    time.sleep(2)
    eventually(lambda: only(there.hosts), 60)
    return out


def takeovers(lab, stream, dead, rounds, grace):
    accept = ({"from": ["plain"], "ports": [f"tcp/{SERVICE}"]},)
    with pair(lab, stream=stream, accept=accept, active=False, grace=grace) as there, \
            contextlib.closing(Hosts(there)) as hosts:
        for host in there.hosts:
            host.begin()
        eventually(lambda: only(there.hosts), 60)
        time.sleep(3)
        found = [take_over(hosts, dead) for _ in range(rounds)]
    return {kind: [one[kind] for one in found] for kind in KINDS}


def report(stream, dead, grace, found):
    print(f"\n{'host dead at once' if dead else 'host gives it up'}, "
          f"{'flows streamed' if stream else 'without a stream'}"
          f"{', takeover-grace: ' + grace if grace != '0s' else ''}")
    for kind, values in found.items():
        kept = sorted(value for value in values if value is not None)
        text = f"silent {statistics.median(kept):.2f} s (median), {kept[-1]:.2f} s (most)" if kept else ""
        print(f"  {KINDS[kind]:50} lost {len(values) - len(kept):2} of {len(values)}  {text}", flush=True)


# ---------------------------------------------------------------- what it takes

def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def watch(what, pids, seconds):
    before = [cpu(pid) for pid in pids]
    time.sleep(seconds)
    used = [100 * (cpu(pid) - b) / seconds for pid, b in zip(pids, before)]
    print(f"  {what:50} active {used[0]:.2f} % of a CPU, {resident(pids[0]):.1f} MiB; "
          f"standby {used[1]:.2f} %, {resident(pids[1]):.1f} MiB", flush=True)
    return used


def costs(lab, seconds):
    print("\nwhat it takes")
    with pair(lab) as there, contextlib.closing(Hosts(there)) as hosts:
        one, two = there.hosts
        pids = eventually(lambda: [streamer(hosts.agents[host]) for host in there.hosts])
        time.sleep(10)
        out = {"idle": watch("a router without flows", pids, seconds)}
        with there.vm.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for port in range(1, 16385):
                sock.sendto(b"x", (PLAIN, port))
        begun, before = time.monotonic(), [cpu(pid) for pid in pids]
        there_are = len(one.flows())

        def all_there():
            assert len(two.flows()) >= 0.98 * there_are
        eventually(all_there, 60)
        print(f"  {there_are} flows were there after {time.monotonic() - begun:.1f} s, which took "
              f"{cpu(pids[0]) - before[0]:.2f} s of a CPU, and {cpu(pids[1]) - before[1]:.2f} s", flush=True)
        out["full"] = watch(f"a router with {there_are} flows", pids, seconds)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat")
    parser.add_argument("--takeovers", type=int, default=10, help="of each kind (%(default)s)")
    parser.add_argument("--seconds", type=int, default=30, help="that a CPU is watched (%(default)s)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    out = {}
    os.environ["TN_ETCD_DRIVER"] = os.path.abspath(options.bin)
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        with contextlib.closing(Lab(binary, scratch, "tc", "on")) as lab:
            out["costs"] = costs(lab, options.seconds)
            for dead, stream, grace in ((False, True, "0s"), (True, True, "0s"), (True, True, "5s"),
                                        (False, False, "0s"), (True, False, "0s")):
                found = takeovers(lab, stream, dead, options.takeovers, grace)
                report(stream, dead, grace, found)
                out[f"{'dead' if dead else 'planned'} {'stream' if stream else 'none'} {grace}"] = found
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
