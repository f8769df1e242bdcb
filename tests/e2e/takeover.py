# SPDX-License-Identifier: GPL-2.0-only
"""Takeovers by real keepalived between two hosts of a cluster (ha.py), and what connections of each kind go through."""
import contextlib
import os
import socket
import time

from agent import Agent
from case import equal, eventually
from lab import PLAIN
from test_failover import SHARED, only

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
        for host in there.hosts:
            self._stay(host)
        self.agents = {host: self._agent(host) for host in there.hosts}

    @staticmethod
    def _stay(host):
        """Who comes back takes nothing from whom has it: until that one hears of it, both would be active."""
        with open(host.conf, encoding="ascii") as f:
            conf = f.read()
        with open(host.conf, "w", encoding="ascii") as f:
            f.write(conf.replace("state BACKUP", "state BACKUP\n  nopreempt"))

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
    if there.streams:
        # one that comes back may take some seconds
        eventually(lambda: equal(other.said()["from"], active.name, "from where flows come"), 60)
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
