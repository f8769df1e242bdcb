# SPDX-License-Identifier: GPL-2.0-only
"""Clients that allocate and free at random, while network, etcd and hosts fail; and what must hold of it."""
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

from agent import Agent
from case import PATIENCE, equal, eventually, once
from cloud import Cloud
from defs import Definitions, Tenant

CLIENTS = 20
SHORT, LONG = 15, 600       # seconds of it; CHAOS_SECONDS says otherwise
TENANTS = ["a", "b", "c", "d"]
MANY = [f"t{n}" for n in range(150)]       # more than one transaction takes
UNKNOWN = "unknown"


class Client(threading.Thread):
    """
    Adds and removes mappings of its own, and notes what it asked for and was told:
    (begin, end, tenant, fixed, "add" or "del", the shared address, None or UNKNOWN).
    """

    def __init__(self, cloud, number, dice, over):
        super().__init__(daemon=True)
        self.cloud, self.number, self.dice, self.over = cloud, number, dice, over
        self.log, self.errors, self.wrong = [], {}, []
        self.state = {}     # (tenant, fixed): the shared address, None, or UNKNOWN
        self.start()

    def call(self, words):
        host = self.dice.choice(self.cloud.hosts)
        with subprocess.Popen(host.cli.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env=host.cli.env) as done:
            out, err = done.communicate()
        return done.returncode, out.strip(), err.strip()

    def add(self, tenant, fixed):
        code, out, err = self.call(["map", "add", tenant, fixed, "--no-probe"])
        there = re.search(r"has a mapping of \S+ already: (\S+)", err)
        # that the cluster has it, and only the host could not follow, is no answer for a script
        if out and code == 0:
            return out
        if there:
            return there[1].rstrip(";,.")
        self.note(code, err)
        return UNKNOWN

    def delete(self, tenant, fixed):
        code, _, err = self.call(["map", "del", tenant, fixed])
        if code == 0 or "has no mapping" in err:
            return None
        self.note(code, err)
        return UNKNOWN

    def note(self, code, err):
        text = err.splitlines()[-1][:200] if err else f"ended with {code}"
        self.errors[text] = self.errors.get(text, 0) + 1

    def run(self):
        while not self.over.is_set():
            what = self.dice.choice(TENANTS), f"10.{self.number}.0.{self.dice.randrange(1, 9)}"
            had, begin = self.state.get(what), time.monotonic()
            adds = not had or (had == UNKNOWN and self.dice.random() < .5)
            now = self.add(*what) if adds else self.delete(*what)
            self.log.append((begin, time.monotonic(), *what, "add" if adds else "del", now))
            if adds and had and had != UNKNOWN and now != had:
                self.wrong.append(f"{what}: {had}, then {now}")
            self.state[what] = now


class Applier(threading.Thread):
    """Applies one of two files of many tenants, about these alone: changes of several transactions."""

    def __init__(self, cloud, lab, dice, over):
        super().__init__(daemon=True)
        self.cloud, self.dice, self.over, self.done, self.failed = cloud, dice, over, 0, 0
        self.files = [lab.write(chaos_file(MANY, n), f"many-{n}.yaml") for n in (1, 2)]
        self.start()

    def apply(self, host, path, code=None):
        done = host.cli.run("apply", "--yes", "--no-probe", "-f", path, "--tenant", ",".join(MANY), code=None)
        assert code is None or done.returncode == code, done.stderr
        return done

    def run(self):
        while not self.over.wait(self.dice.uniform(0, 4)):
            done = self.apply(self.dice.choice(self.cloud.hosts), self.dice.choice(self.files))
            self.done += 1
            self.failed += done.returncode != 0


def chaos_file(many, mappings=0):
    """With so many mappings of each of the many."""
    there = [Tenant(name, pool=[f"100.64.{8 if name in 'ab' else 9}.0/24"]) for name in TENANTS]
    return Definitions(*there, *[Tenant(name, *[(f"10.1.0.{n}",) for n in range(1, mappings + 1)], pool=["100.64.16.0/22"])
                                for name in many])


class Watcher:
    """Every change of the blocks, one after the other, as etcd has kept it."""

    def __init__(self, cloud):
        text = cloud.ctl("get", "--prefix", "/tenantnat/blocks/", "-w", "json")
        last = json.loads(text)["header"]["revision"]
        cloud.ctl("put", "/tenantnat/blocks/end", "{}")
        self.faults, self.revisions = [], 0
        self.blocks, self.owned = {}, {}
        argv = ["nsenter", f"--net={cloud.members[0].ns.path}", "etcdctl", "--endpoints", cloud.urls, "watch",
                "--prefix", "/tenantnat/blocks/", "--rev", "1"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "ETCDCTL_API": "3"}) as run:
            lines = iter(run.stdout.readline, "")
            for kind in lines:
                key, value = next(lines).strip(), next(lines).strip()
                if key.endswith("/end"):
                    break
                self.take(key, json.loads(value) if kind.strip() == "PUT" else {})
            run.kill()
        cloud.ctl("del", "/tenantnat/blocks/end")
        assert self.revisions and last, "nothing was changed"

    def take(self, key, block):
        self.revisions += 1
        before = self.blocks.get(key, {})
        for address, owner in before.items():
            if block.get(address) != owner:
                self.owned.pop((owner["tenant"], owner["fixed"]), None)
        for address, owner in block.items():
            what = owner["tenant"], owner["fixed"]
            # an apply may free and give an address in one transaction
            if address in before and before[address] != owner and what[0] in TENANTS:
                self.faults.append(f"{address} passed from {before[address]} to {owner} at once")
            if self.owned.get(what, address) != address:
                self.faults.append(f"{what} has {self.owned[what]} and {address}")
            self.owned[what] = address
        self.blocks[key] = block


class Nemesis:
    """One fault after the other, each of which ends."""

    def __init__(self, cloud, agents, dice):
        self.cloud, self.agents, self.dice, self.done = cloud, agents, dice, {}
        self.faults = [self.isolate_member, self.isolate_majority, self.isolate_host, self.split, self.kill_member,
                       self.kill_majority, self.stop_member, self.kill_host, self.stop_host]
        if cloud.hosts[0].has_clock:
            self.faults.append(self.jump)

    def strike(self):
        fault = self.dice.choice(self.faults)
        self.done[fault.__name__] = self.done.get(fault.__name__, 0) + 1
        fault()

    def pause(self, least=1, most=6):
        time.sleep(self.dice.uniform(least, most))

    def cut(self, *groups):
        self.cloud.partition(*groups)
        self.pause()
        self.cloud.partition()

    def some(self, nodes, n=1):
        return self.dice.sample(nodes, n)

    def rest(self, nodes):
        return [n for n in [*self.cloud.members, *self.cloud.hosts] if n not in nodes]

    def isolate_member(self):
        one = self.some(self.cloud.members)
        self.cut(one, self.rest(one))

    def isolate_majority(self):
        """No two members hear each other."""
        self.cut(*([m] for m in self.cloud.members))

    def isolate_host(self):
        one = self.some(self.cloud.hosts)
        self.cut(one, self.rest(one))

    def split(self):
        """Half of the hosts are with a member that the others do not hear."""
        half = [*self.some(self.cloud.members), *self.some(self.cloud.hosts, len(self.cloud.hosts) // 2)]
        self.cut(half, self.rest(half))

    def kill(self, members):
        for member in members:
            member.kill()
        self.pause()
        for member in members:
            member.start()
        self.pause(1, 3)

    def kill_member(self):
        self.kill(self.some(self.cloud.members))

    def kill_majority(self):
        self.kill(self.some(self.cloud.members, 2))

    def stop_member(self):
        member = self.some(self.cloud.members)[0]
        member.process.send_signal(signal.SIGSTOP)
        self.pause(1, 12)       # also longer than the leases
        member.process.send_signal(signal.SIGCONT)

    def kill_host(self):
        host = self.some(self.cloud.hosts)[0]
        host.signal(signal.SIGKILL)
        self.agents.restart(host)

    def stop_host(self):
        host = self.some(self.cloud.hosts)[0]
        stopped = host.processes()
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.pause(1, 12)
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def jump(self):
        self.some(self.cloud.hosts)[0].set_clock(self.dice.choice([-86400, -3600, -60, 60, 3600, 86400, 0]))


class Agents:
    """One on each host; whoever is killed is started again, as systemd does."""

    def __init__(self, cloud, stack):
        self.stack, self.runs = stack, {}
        for host in cloud.hosts:
            self.start(host)
        stack.callback(self.end)

    def start(self, host):
        self.runs[host] = Agent(host, log=f"agent-{time.monotonic_ns()}.log")

    def restart(self, host):
        self.end_one(self.runs[host])
        self.start(host)

    def end_one(self, agent):
        agent.kill()
        with contextlib.suppress(AssertionError, OSError):
            agent.__exit__(None, None, None)

    def drain(self):
        for agent in self.runs.values():
            agent.drain()

    def end(self):
        for agent in self.runs.values():
            self.end_one(agent)


def check_told(clients, owned):
    """What clients were told last is so; nobody was told of an address while somebody else had it."""
    told = {what: now for client in clients for what, now in client.state.items()}
    faults = [f"{what} was told {now}, and has {owned.get(what)}" for what, now in told.items()
              if now != UNKNOWN and owned.get(what) != now]
    faults += [f"{what} has {owned[what]}, and nobody asked for it" for what in owned
               if what not in told and what[0] not in MANY]
    return faults + [fault for client in clients for fault in client.wrong]


def spans(client):
    """[(from, to, address, what)]: when it was sure to have the address, by what it was told."""
    held, out = {}, []
    for begin, end, tenant, fixed, _, now in client.log:
        what = tenant, fixed
        if what in held and now != held[what][1]:
            since, address = held.pop(what)
            out.append((since, begin, address, what))
        if now and now != UNKNOWN and what not in held:
            held[what] = end, now
    return out + [(since, float("inf"), address, what) for what, (since, address) in held.items()]


def check_spans(clients):
    """No address is held by two at once."""
    by_address, faults = {}, []
    for client in clients:
        for since, until, address, what in spans(client):
            by_address.setdefault(address, []).append((since, until, what))
    for address, held in by_address.items():
        held.sort()
        for (_, until, one), (since, _, two) in zip(held, held[1:]):
            if since < until and one != two:
                faults.append(f"{address} was {one}'s and {two}'s at once")
    return faults


def finds(clients, owned):
    return check_told(clients, owned) + check_spans(clients)


@once
def test_chaos(lab):
    """No address with two owners, no lease that is lost, none reported and not kept; and every host follows."""
    seed = os.environ.get("SEED", "23")
    seconds = float(os.environ.get("CHAOS_SECONDS", LONG if lab.long else SHORT))
    dice = random.Random(seed)
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(Cloud(lab, members=3, hosts=4))
        first = cloud.hosts[0]
        first.cli.run("apply", "--yes", "-f", lab.write(chaos_file([]), "chaos.yaml"))
        agents, over = Agents(cloud, stack), threading.Event()
        stack.callback(over.set)
        clients = [Client(cloud, number, random.Random(f"{seed} {number}"), over) for number in range(CLIENTS)]
        applier = Applier(cloud, lab, random.Random(f"{seed} applier"), over)
        nemesis, end = Nemesis(cloud, agents, dice), time.monotonic() + seconds
        while time.monotonic() < end:
            nemesis.strike()
            nemesis.pause(0.5, 3)
            agents.drain()
        over.set()
        for client in [*clients, applier]:
            client.join(300 * PATIENCE)
            assert not client.is_alive(), "a command does not end"
        cloud.wait()
        # over what the last one may have left half done, as soon as nobody is at it
        eventually(lambda: applier.apply(first, applier.files[0], code=0), 60)
        watcher = Watcher(cloud)
        errors = {}
        for client in clients:
            for text, n in client.errors.items():
                errors[text] = errors.get(text, 0) + n
        done = sum(len(client.log) for client in clients)
        unknown = sum(n for n in errors.values())
        if lab.long:
            print(f"seed {seed}: {done} commands of {CLIENTS} clients, {unknown} without an answer, "
                  f"{watcher.revisions} changes of blocks; {applier.done} applies, {applier.failed} failed; "
                  f"faults: {nemesis.done}")
            for text, n in sorted(errors.items(), key=lambda e: -e[1])[:12]:
                print(f"  {n} x {text}")
        equal(watcher.faults, [], "what etcd has kept")
        equal(finds(clients, watcher.owned), [], f"with SEED={seed}, by what was told")
        assert [what for what in watcher.owned if what[0] in TENANTS], f"all failed: {errors}"

        def follows():
            agents.drain()
            for host in cloud.hosts:
                equal(host.cli.leases(), watcher.owned, f"what {host.name} has")
        eventually(follows, 180)


@once
def test_chaos_etcd_is_away(lab):
    """For an hour, with AWAY_SECONDS=3600: the agent goes on, grows by nothing, and is back soon afterwards."""
    away = float(os.environ.get("AWAY_SECONDS", "3"))
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(Cloud(lab, members=1, hosts=2))
        one, two = cloud.hosts
        one.cli.run("apply", "--yes", "-f", lab.write(chaos_file([]), "chaos.yaml"))
        agents = Agents(cloud, stack)
        one.cli.run("map", "add", "a", "10.0.0.1", "--wait", "60")
        before = {host: (agent.resident(), len(agent.fds())) for host, agent in agents.runs.items()}
        cloud.members[0].kill()
        begin = time.monotonic()
        agents.runs[two].says("no etcd answers")
        while time.monotonic() < begin + away:
            time.sleep(1)
            agents.drain()
        assert "no etcd answers" in one.cli.fails("map", "add", "a", "10.0.0.2")
        equal(two.cli.lines("restore"), ["nothing to be done"], "restore meanwhile")
        for host, agent in agents.runs.items():
            assert agent.run.poll() is None, f"the agent of {host.name} has ended"
            assert len(agent.fds()) <= before[host][1] + 2, f"files: {agent.fds()}"
            assert agent.resident() < 1.5 * before[host][0] + 4096, f"KiB: {agent.resident()}, not {before[host]}"
        cloud.members[0].start()
        cloud.wait()
        # what it has missed is not in the history any more
        one.cli.run("map", "add", "a", "10.0.0.3")
        cloud.ctl("compaction", str(json.loads(cloud.ctl("get", "x", "-w", "json"))["header"]["revision"]))
        one.cli.run("map", "add", "a", "10.0.0.4", "--wait", "120")

        def follows():
            agents.drain()
            equal({fixed for _, fixed in two.cli.leases()}, {"10.0.0.1", "10.0.0.3", "10.0.0.4"}, "what hv2 has")
        eventually(follows, 120)


@once
def test_chaos_checker(_lab):
    """What it has to find, it finds."""
    class Told:
        wrong = []

        def __init__(self, *log):
            self.log = log
            self.state = {(tenant, fixed): now for _, _, tenant, fixed, _, now in log}

    one = Told((0, 1, "a", "1", "add", "X"), (4, 5, "a", "1", "del", None))
    early = Told((2, 3, "b", "2", "add", "X"))
    late = Told((4, 6, "b", "2", "add", "X"))
    equal(finds([one, late], {("b", "2"): "X"}), [], "one after the other")
    equal(len(finds([one, early], {("b", "2"): "X"})), 1, "two owners at once")
    equal(len(finds([one, late], {})), 1, "reported and not kept")
    equal(len(finds([one, late], {("b", "2"): "Y"})), 1, "another address")
    equal(len(finds([one], {("a", "1"): "X"})), 1, "removed, and still there")
    equal(finds([Told((0, 1, "a", "1", "add", UNKNOWN))], {("a", "1"): "X"}), [], "not known")
    equal(len(finds([], {("a", "1"): "X"})), 1, "of nobody")
