# SPDX-License-Identifier: GPL-2.0-only
"""Routers that several hosts have, of which the agents elect the active one (`active: elected`)."""
import contextlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time

from agent import Agent, ask, free_port
from case import equal, eventually, once
from cli import Cli
from defs import Definitions, Tenant
from etcd import Etcd
from lab import FIXED, PLAIN, PLAIN_V6
from net import BPFFS, Namespace, end_with_parent, sh, veth
from test_failover import exchange, silent, state
from test_members import has, keys
from test_six import dual_stack
from traffic import client, packet_socket, ping, server

VIP, VIP_V6, GATE, SHARED, SHARED_V6 = "100.64.0.6", "fd64::6", "10.0.0.1", "100.64.6.5", "fd64::6:5"
FIXED_V6 = "fd00::6:5"


def soon(check):
    """What takes until a lease is over takes long where others have the CPU."""
    return eventually(check, 180)


class Relay:
    """TCP to etcd for one host, until it is cut: then what either says is lost, and nobody is told."""

    def __init__(self, etcd, number):
        self.etcd, self.is_cut = etcd, threading.Event()
        self.socket = etcd.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((f"127.0.1.{number}", 2379))
        self.socket.listen(64)
        self.url = f"http://127.0.1.{number}:2379"
        self.open = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self):
        self.is_cut.set()

    def mend(self):
        """Who was cut off finds its connections broken."""
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.is_cut.clear()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.mend()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.socket.accept()
                threading.Thread(target=self._connect, args=(here,), daemon=True).start()

    def _connect(self, here):
        there = self.etcd.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.open |= {here, there}
        with contextlib.suppress(OSError):
            there.connect((self.etcd.members[0].host, 2379))
            other = threading.Thread(target=self._pass_on, args=(there, here), daemon=True)
            other.start()
            self._pass_on(here, there)
            other.join()
        self.open -= {here, there}
        here.close()
        there.close()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.is_cut.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


class Host:
    """A host of its own, but for the kernel, with the router in a namespace that all of them call the same."""

    def __init__(self, lab, etcd, number, lan):
        self.name, self.etcd = f"hv{number}", etcd
        self.scratch = os.path.join(etcd.directory, self.name)
        os.mkdir(self.scratch)
        self.relay = Relay(etcd, number)
        self.ns = Namespace(f"el{number}")
        self.ns.ip("link set lo up")
        self.ns.sysctl(**{f"ipv6__conf__{device}__accept_dad": 0 for device in ("all", "default")})
        veth(self.ns, "shared0", lab.shared, "p" + self.name)
        lab.shared.ip(f"link set p{self.name} master br0")
        veth(self.ns, "lan0", lan, "p" + self.name)
        self.macs = {"shared0": self.ns.mac("shared0"), "eth0": self.ns.mac("lan0")}
        lan.ip(f"link set p{self.name} master br0")
        self.ns.ip(f"addr add {GATE}/24 dev lan0", "addr add fd00::1/64 dev lan0 nodad")
        self.cli = Cli(lab.cli.binary, self.scratch + "/state", f"{BPFFS}/{self.name}", under=self._under())

    def _under(self):
        """With a machine-id, and a name of the router's namespace, of its own."""
        machine, router = self.scratch + "/machine", self.etcd.directory + "/router"
        with open(machine, "w", encoding="ascii") as f:
            f.write(f"{int(self.name[2:]):032x}\n")
        with open(router, "w", encoding="ascii"):
            pass
        return ["nsenter", f"--net={self.etcd.ns.path}", "unshare", "-m", "sh", "-c",
                f"mount --bind {machine} /etc/machine-id && mount --bind {self.ns.path} {router} && exec \"$@\"",
                "--"]

    def join(self):
        self.cli.run("cluster", "join", self.relay.url, "--host", self.name)

    def addresses(self):
        shown = sh(["ip", "-n", self.ns.name, "-o", "addr", "show", "dev", "shared0"]).stdout
        return {address for address in (VIP, VIP_V6) if f" {address}/" in shown}

    def processes(self, agent):
        """The agent, and its children: which elect, follow, and hand flows over."""
        children = f"/proc/{agent.run.pid}/task/{agent.run.pid}/children"
        with open(children, encoding="ascii") as f:
            return [agent.run.pid, *(int(pid) for pid in f.read().split())]

    def elector(self, agent):
        """Of these, the one that elects."""
        for pid in self.processes(agent):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"elect" in f.read().split(b"\0"):
                    return pid
        raise AssertionError("nobody elects")

    def close(self):
        self.cli.run("detach", "--all", code=None)
        self.relay.close()
        self.ns.remove()


def definitions(lab, etcd, *hosts):
    router = {"hosts": f"[{', '.join(h.name for h in hosts)}]", "netns": etcd.directory + "/router",
              "shared": "shared0", "inside": "[lan0]", "hook": lab.hook, "active": "elected",
              "address": f'[{VIP}, "{VIP_V6}"]'}
    return Definitions(
        Tenant("ha", (FIXED, SHARED), (FIXED_V6, SHARED_V6), router=router,
               pool=["100.64.6.0/24", "fd64::6:0/112"]),
        Tenant("plain", ("10.9.9.9", PLAIN), ("fd00:99::9", PLAIN_V6), pool=[PLAIN + "/32", PLAIN_V6 + "/128"]),
        subnets=("100.64.0.0/16", "fd64::/64"))


class World:
    """Hosts that have one router, and a VM of it."""

    def __init__(self, lab, etcd, hosts, vm):
        self.lab, self.etcd, self.hosts, self.vm = lab, etcd, hosts, vm

    def path(self):
        return definitions(self.lab, self.etcd, *self.hosts).write(self.etcd.directory + "/elected.yaml")

    def holder(self):
        """Who has the key in etcd."""
        found = keys(self.etcd, "active/")
        return found["active/ha"]["host"] if found else None

    def elected_at(self):
        """The revision at which the key was made; 0: there is none."""
        said = json.loads(self.etcd.ctl("get", "/tenantnat/active/ha", "-w", "json"))
        return int(said["kvs"][0]["create_revision"]) if "kvs" in said else 0

    def active(self):
        """The one host that has both addresses; no other has any."""
        have = {h.name: h.addresses() for h in self.hosts if h.addresses()}
        assert list(have.values()) == [{VIP, VIP_V6}], f"addresses: {have}"
        return next(h for h in self.hosts if h.name in have)

    def others(self, host):
        return [h for h in self.hosts if h is not host]


@contextlib.contextmanager
def world(lab, count=2):
    lab.cli.run("detach", "--all")
    lan, vm, hosts = Namespace("el-lan"), Namespace("el-vm"), []
    with Etcd(lab) as etcd:
        try:
            lan.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")
            veth(vm, "eth0", lan, "pvm")
            lan.ip("link set pvm master br0")
            vm.sysctl(ipv6__conf__eth0__accept_dad=0)
            vm.ip("link set lo up", f"addr add {FIXED}/24 dev eth0", f"route add default via {GATE}",
                  f"addr add {FIXED_V6}/64 dev eth0 nodad", "route add default via fd00::1")
            hosts += [Host(lab, etcd, number, lan) for number in range(1, count + 1)]
            for host in hosts:
                host.join()
            there = World(lab, etcd, hosts, vm)
            hosts[0].cli.run("apply", "--yes", "-f", there.path())
            for host in hosts[1:]:
                host.cli.run("cluster", "sync")
            yield there
        finally:
            for host in hosts:
                host.close()
            vm.remove()
            lan.remove()
            lab.apply(lab.dual_definitions())


class Addresses:
    """Which host has its addresses when, as the kernel tells it, and in which order."""

    def __init__(self, hosts):
        self.runs = []
        for host in hosts:
            # pylint: disable-next=consider-using-with
            run = subprocess.Popen(["ip", "-n", host.ns.name, "-ts", "-o", "monitor", "address"],
                                   stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent)
            self.runs.append((host.name, run))
            soon(lambda ns=host.ns, run=run: self._hears(ns, run))

    @staticmethod
    def _hears(ns, run):
        """It listens: what happened before it did, it does not tell."""
        ns.ip("addr add 127.77.0.1/32 dev lo", "addr del 127.77.0.1/32 dev lo")
        assert select.select([run.stdout], [], [], 0.2)[0], "the monitor hears nothing"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, run in self.runs:
            run.kill()
            run.wait()

    def ends(self):
        """[(time, host, True: it comes, or False: it goes)], of VIP."""
        seen = []
        for name, run in self.runs:
            run.terminate()
            for line in run.communicate()[0].splitlines():
                if f" {VIP}/" in line:
                    seen.append((line[1:line.index("]")], name, "Deleted" not in line))
        return sorted(seen)


def never_two(events, has=()):
    """A host gets the address after all others have lost it."""
    has = set(has)
    for at, host, comes in events:
        if comes:
            assert not has - {host}, f"at {at} {host} gets the address, which {has} has: {events}"
            has.add(host)
        else:
            has.discard(host)
    return has


@once
@dual_stack
def test_elected_first(lab):
    """Of the hosts that are there one gets the addresses; when it ends, the other, at once."""
    with world(lab) as there:
        one, two = there.hosts
        for host in there.hosts:
            equal(state(lab, "ha", host.cli), "standby", "before an agent runs")
        silent(lab.plain, SHARED)
        equal(there.holder(), None, "elected, without agents")
        with Agent(one) as first:
            soon(lambda: equal(there.active().name, "hv1", "active"))
            first.says("ha: this host is elected, and active now")
            reach(lab.plain, SHARED)
            reach(lab.plain, SHARED_V6)
            reach(there.vm, PLAIN)
            reach(there.vm, PLAIN_V6)
            with Agent(two), Addresses(there.hosts) as addresses:
                listening, port = server(there.vm, socket.SOCK_STREAM)
                with listening, client(lab.plain, socket.SOCK_STREAM, SHARED, port) as here:
                    talking, _ = listening.accept()
                    with talking:
                        exchange(here, talking, b"before")
                        first.run.send_signal(signal.SIGTERM)
                        first.run.wait()
                        soon(lambda: equal(there.active().name, "hv2", "active"))
                        exchange(here, talking, b"after")
                equal(there.holder(), "hv2", "elected")
                equal(state(lab, "ha", one.cli), "standby", "the first")
                equal(never_two(addresses.ends(), {"hv1"}), {"hv2"}, "who has it")
        equal([h.addresses() for h in there.hosts], [set(), set()], "without agents")
        equal(there.holder(), None, "elected, at the end")


def reach(ns, address):
    """Soon: the agent has yet to add routes and forwarding, and what is sent before that is lost."""
    soon(lambda: ping(ns, address, count=1, wait=0.5))


class Asking:
    """Somebody asks all the time where these addresses are, and notes who answers."""

    def __init__(self, ns, device, senders, *addresses):
        self.senders, self.addresses, self.device = senders, addresses, device
        self.socket = packet_socket(ns, device, 1 << 20)
        self.mac = bytes.fromhex(ns.mac(device).replace(":", ""))
        self.answers, self.over = [], threading.Event()     # sets of MAC addresses, one for each request
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.socket.close()

    def _run(self):
        """Each time as another sender, by which the answer is told from those before."""
        for number in itertools.count():
            sender = socket.inet_aton(f"{self.senders}{number % 60 + 100}")
            target = socket.inet_aton(self.addresses[number % len(self.addresses)])
            self.socket.send(b"\xff" * 6 + self.mac + bytes.fromhex("0806 0001 0800 06 04 0001")
                             + self.mac + sender + bytes(6) + target)
            found = set()
            while select.select([self.socket], [], [], 0.03)[0]:
                frame = self.socket.recv(2048)
                if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[38:42] == sender:
                    found.add(frame[22:28].hex(":"))
            self.answers.append(found)
            if self.over.is_set():
                return

    def heard(self, host):
        mac = host.macs[self.device]
        assert any(mac in found for found in self.answers), f"{host.name} has not answered"

    def check(self, *hosts):
        """Each of these hosts has answered, and never two of them at once."""
        assert all(len(found) < 2 for found in self.answers), [f for f in self.answers if len(f) > 1]
        equal(set().union(*self.answers), {h.macs[self.device] for h in hosts}, "who has answered")


def asking_for(there):
    """On the shared network, for the router and a VM."""
    return Asking(there.lab.plain, "shared0", "100.64.200.", VIP, SHARED)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@once
@dual_stack
def test_elected_when_a_host_dies(lab):
    """Its addresses go, by the kernel's own clock, before another host gets them."""
    with world(lab) as there, Addresses(there.hosts) as addresses, asking_for(there) as asking, \
            Asking(there.vm, "eth0", "10.0.0.", GATE) as inside:
        one, two = there.hosts
        agents = []
        for host in there.hosts:
            agents.append(Agent(host))
            agents[-1].until("READY=1")
            if host is one:
                soon(lambda: equal(there.active(), one, "active"))
        # its children find out that it is gone, and give up
        agents[0].kill()
        soon(lambda: equal(there.active(), two, "active, when the first's agent was killed"))
        soon(lambda: asking.heard(two))
        # nobody is left who could give up
        agents[0] = Agent(one, log="again.log")
        agents[0].until("READY=1")
        soon(lambda: equal(len(one.processes(agents[0])), 4, "processes"))
        for pid in two.processes(agents[1]):
            kill(pid)
        agents[1].kill()
        soon(lambda: equal(two.addresses(), set(), "on the host that died"))
        soon(lambda: equal(there.active(), one, "active, when all of the second was killed"))
        soon(lambda: asking.heard(one))
        reach(lab.plain, SHARED)
        reach(lab.plain, SHARED_V6)
        agents[0].run.terminate()
        agents[0].run.wait()
        equal(never_two(addresses.ends()), set(), "who has it at the end")
    asking.check(one, two)
    inside.check(one, two)


@once
@dual_stack
def test_elected_when_the_process_dies(lab):
    """The next one takes away what the one before has left, before it gives up its key."""
    with world(lab) as there:
        one, two = there.hosts
        with Agent(one) as agent:
            soon(lambda: equal(there.active(), one, "active"))
            with Agent(two, log="two.log"), Addresses(there.hosts) as addresses, asking_for(there) as asking:
                soon(lambda: asking.heard(one))
                before = there.elected_at()
                kill(soon(lambda: one.elector(agent)))
                soon(lambda: equal(there.elected_at() > before, True, "elected anew"))
                # either may be the first to find it free
                soon(lambda: equal(there.active().name, there.holder(), "active"))
                equal(never_two(addresses.ends(), {"hv1"}), {there.holder()}, "who has it")
                reach(lab.plain, SHARED)
                active = there.active()
                soon(lambda: asking.heard(active))
    asking.check(*{one, active})


@contextlib.contextmanager
def stopped(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@once
@dual_stack
def test_elected_when_a_host_hangs(lab):
    """It is active no more, though it does nothing itself; when it goes on, another host has it."""
    with world(lab) as there, Addresses(there.hosts) as addresses, asking_for(there) as asking:
        one, two = there.hosts
        with Agent(one) as agent:
            soon(lambda: equal(there.active(), one, "active"))
            soon(lambda: equal(len(one.processes(agent)), 4, "processes"))
            with Agent(two, log="two.log"):
                pids = one.processes(agent)
                with stopped(pids):
                    soon(lambda: equal(there.active(), two, "active"))
                    equal(never_two(addresses.ends()), {"hv2"}, "who has it")
                    # the address by itself does not help
                    one.ns.ip(f"addr add {VIP}/32 dev shared0", f"addr add {VIP_V6}/128 dev shared0 nodad")
                    for _ in range(3):
                        lab.plain.ip("neigh flush dev shared0")
                        reach(lab.plain, SHARED)
                        reach(lab.plain, SHARED_V6)
                    soon(lambda: equal(set().union(*asking.answers[-4:]), {two.macs["shared0"]}, "who answers"))
                    one.ns.ip(f"addr del {VIP}/32 dev shared0", f"addr del {VIP_V6}/128 dev shared0")
                agent.says("ha: this host is not active any more")
                equal(there.active(), two, "active, after the first went on")
                equal(there.holder(), "hv2", "elected")
    asking.check(one, two)


@once
@dual_stack
def test_elected_when_etcd_is_away(lab):
    """Who is cut off steps down by time; without etcd nobody is active, which is said; later, one is."""
    with world(lab) as there, asking_for(there) as asking:
        one, two = there.hosts
        with Agent(one) as first, Agent(two, log="two.log") as second:
            soon(there.active)
            holder = there.active()
            other, = there.others(holder)
            holder.relay.cut()
            soon(lambda: equal(there.active(), other, "active, when the first is cut off"))
            (first if holder is one else second).says("ha: this host is not active any more",
                                                      "etcd has not answered in time")
            holder.relay.mend()
            reach(lab.plain, SHARED)
            # who comes back does not take it again
            soon(lambda: has(elections(holder)["file"], '"connected":true', f'"{other.name}"'))
            equal(there.active(), other, "active, when the first is back")

            there.etcd.members[0].kill()
            soon(lambda: equal([h.addresses() for h in there.hosts], [set(), set()], "without etcd"))
            silent(lab.plain, SHARED)
            there.etcd.members[0].start()
            there.etcd.wait()
            soon(there.active)
            reach(lab.plain, SHARED)
    asking.check(one, two)


def elections(host):
    with open(host.cli.state + "/elections", encoding="ascii") as f:
        return {"file": f.read()}


@once
@dual_stack
def test_elected_by_nobody(lab):
    """Who has the address and was not elected is a standby, in all that is said and done."""
    with world(lab) as there:
        one = there.hosts[0]
        one.ns.ip(f"addr add {VIP}/32 dev shared0", f"addr add {VIP_V6}/128 dev shared0 nodad")
        equal(state(lab, "ha", one.cli), "standby", "show")
        equal(one.cli.lines("restore"), ["nothing to be done"], "restore")
        equal(sh(["ip", "-n", one.ns.name, "route", "show", "100.64.0.0/16"]).stdout, "", "routes")
        has(one.cli.run("announce", "ha").stdout, "its router is a standby")
        equal({p["severity"] for p in one.cli.json("doctor", code=1)["findings"] if p["finding"] == "active"}
              , {"problem"}, "doctor")
        silent(lab.plain, SHARED)


@once
@dual_stack
def test_elected_gives_up_what_is_not_in_order(lab):
    """Without its interface, programs or namespace; and not for anybody who only comes back."""
    with world(lab) as there:
        one, two = there.hosts
        with Agent(one) as first:
            soon(lambda: equal(there.active(), one, "active"))
            with Agent(two, log="two.log"):
                one.ns.ip("link set shared0 down")
                soon(lambda: equal(there.active(), two, "active, without the first's interface"))
                first.says("ha: this host is not active any more", "not in order")
                one.ns.ip("link set shared0 up")
                soon(lambda: first.says("its router is a standby now"))
                two.cli.run("detach", "ha")
                soon(lambda: equal(there.active(), one, "active, without the second's programs"))
                two.cli.run("apply", "--yes", "-f", there.path())
                equal(there.active(), one, "active")
                # the address is the agent's to give: somebody else's would stay
                two.ns.ip(f"addr add {VIP}/32 dev shared0")
                there.hosts[0].cli.run("detach", "ha")
                soon(lambda: has(open(two.scratch + "/two.log", encoding="utf-8").read(),
                                       "somebody else has given it the address"))


def elected_problems(host):
    return [p["seen"] for t in host.cli.json("status", code=None)["tenants"] for p in t["problems"]
            if t["tenant"] == "ha" and p["finding"] == "active"]


@once
@dual_stack
def test_elected_is_shown(lab):
    """Who is active is known on each host, and in the cluster; that nobody is, is not well."""
    lab.cli.run("detach", "--all")
    with world(lab) as there:
        one, two = there.hosts
        said = one.cli.run("apply", "--yes", "-f", there.path()).stderr
        has(said, "tenant ha: no agent runs on this host, so it is never elected")
        has(elected_problems(one)[0], "no agent on this host takes part")
        has(one.cli.run("show", "ha").stdout, "elected: not known")
        equal(one.cli.json("show", "ha")["tenants"][0]["router"]["elected"],
              {"agent": False, "connected": False, "holder": None, "since": None}, "show, without an agent")
        equal([(e["tenant"], e["holder"]) for e in one.cli.json("cluster", "status", code=1)["elected"]],
              [("ha", None)], "cluster status, without agents")
        has(one.cli.run("cluster", "status", code=1).stdout, "nobody: no host is active")
        with Agent(one), Agent(two, log="two.log"):
            active = soon(there.active)
            other, = there.others(active)
            for host in there.hosts:
                soon(lambda host=host: equal(elected_problems(host), [], "problems"))
                shown = host.cli.json("show", "ha")["tenants"][0]["router"]
                equal((shown["active"], shown["elected"]["holder"], shown["elected"]["connected"]),
                      ("elected", active.name, True), "show")
                has(host.cli.run("show", "ha").stdout, f"elected: {active.name}, for ")
            soon(lambda: equal([state(lab, "ha", h.cli) for h in (active, other)],
                                     ["attached", "standby"], "show"))
            found = soon(lambda: one.cli.json("cluster", "status"))
            equal([(e["tenant"], e["holder"]) for e in found["elected"]], [("ha", active.name)], "cluster status")
            equal(one.cli.run("apply", "--yes", "-f", there.path()).stderr, "", "what an apply warns of")
            # both are not in order: nobody is active
            for host in there.hosts:
                host.ns.ip("link set shared0 down")
            soon(lambda: has(" ".join(elected_problems(one)), "no host is active for it"))
            has(one.cli.run("cluster", "status", code=1).stdout, "nobody: no host is active")
            for host in there.hosts:
                host.ns.ip("link set shared0 up")
            active = soon(there.active)
            # without etcd
            there.etcd.members[0].kill()
            soon(lambda: equal([h.addresses() for h in there.hosts], [set(), set()], "without etcd"))
            for host in there.hosts:
                soon(lambda host=host: has(" ".join(elected_problems(host)), "etcd is not reached"))
            there.etcd.members[0].start()
            there.etcd.wait()
            soon(there.active)


@once
@dual_stack
def test_elected_takes_a_cluster(lab):
    """Without one it is refused, and nothing is changed; with one, export and the plan have it."""
    with world(lab) as there:
        path, (one, two) = there.path(), there.hosts
        text = one.cli.run("export").stdout
        has(text, "active: elected", f'hosts: [{one.name}, {two.name}]')
        equal(one.cli.lines("diff", one_file(there, text)), ["nothing to be done"], "what is exported")
        with open(path, encoding="ascii") as f:
            again = f.read().replace("active: elected", "active: address")
        plan = one.cli.run("apply", "--yes", "-f", one_file(there, again)).stdout
        has(plan, "active elected → address")
        one.cli.run("apply", "--yes", "-f", path)
        # in no cluster
        before = lab.cli.run("export").stdout
        has(lab.cli.fails("apply", "--yes", "-f", path, code=2), "`ha` is `active: elected`", "takes a cluster",
            "cluster join")
        equal(lab.cli.run("export").stdout, before, "what is in force")
        with Agent(one), Agent(two, log="two.log") as second:
            soon(there.active)
            # who leaves gives up
            active = there.active()
            other, = there.others(active)
            active.cli.run("cluster", "leave", "--yes")
            soon(lambda: equal(there.active(), other, "active, when the first has left"))
            # and so does who may not be elected any more
            other.cli.run("apply", "--yes", "-f", one_file(there, again))
            soon(lambda: equal(other.addresses(), set(), "when nobody elects any more"))
            soon(lambda: equal(there.holder(), None, "elected"))
            assert second.run.poll() is None


def one_file(there, text):
    path = os.path.join(there.etcd.directory, f"file-{time.monotonic_ns()}.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


@once
@dual_stack
def test_elected_is_renewed_for_little(lab):
    """That the address lives on is no reason to look what there is to do, nor to write anything."""
    with world(lab) as there:
        host, port = there.hosts[0], free_port()
        with Agent(host, "--metrics", f"127.0.0.1:{port}"), Addresses(there.hosts) as addresses:
            soon(there.active)
            told = addresses.runs[0][1].stdout

            def looks():
                with there.etcd.ns.entered():
                    page = ask(port)[2]
                return next(line for line in page.splitlines() if line.startswith("tenantnat_agent_looks_total"))

            def written():
                return os.stat(host.cli.state + "/elections").st_mtime_ns

            def none_while_it_is_renewed():
                before, renewed = (looks(), written()), 0
                while renewed < 8:      # looks in vain become rare by themselves
                    renewed += f" {VIP}/" in told.readline()
                equal((looks(), written()), before, "looks, and what the process writes down")
            soon(none_while_it_is_renewed)


@once
@dual_stack
def test_elected_and_taken_out(lab):
    """A host that the cluster does not have any more gives up, and is not elected again."""
    with world(lab) as there:
        one, two = there.hosts
        with Agent(one) as first:
            soon(lambda: equal(there.active(), one, "active"))
            with Agent(two, log="two.log") as second:
                has(two.cli.fails("cluster", "leave", "--host", one.name), "is alive")
                there.etcd.ctl("del", "/tenantnat/hosts/" + one.name)
                soon(lambda: equal(there.active(), two, "active"))
                first.says("elections: the cluster has no host hv1 any more")
                second.run.terminate()
                second.run.wait()
                equal(there.holder(), None, "elected")
                equal([h.addresses() for h in there.hosts], [set(), set()], "addresses")
