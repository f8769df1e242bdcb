# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts of a cluster on one machine, which have one router, and a VM behind it."""
import contextlib
import json
import os

from agent import Agent
from case import equal
from cli import Cli
from defs import Definitions, Tenant
from etcd import Etcd
from lab import PLAIN
from net import BPFFS, PREFIX
from test_failover import GATE, SHARED, VIP, VM, Host, two_hosts

# how the router's namespace is called on both
NETNS = PREFIX + "ha"


class Member(Host):
    """Each has its own machine-id, and its own namespace by that name."""

    def __init__(self, lab, number, lan, etcd):
        super().__init__(lab, number, lan)
        self.name, self.etcd = f"hv{number}", etcd
        machine = self.scratch + "/machine-id"
        with open(machine, "w", encoding="ascii") as f:
            f.write(f"{number:032x}\n")
        with open(f"/run/netns/{NETNS}", "a", encoding="ascii"):
            pass
        under = ["nsenter", f"--net={etcd.ns.path}", "unshare", "-m", "sh", "-c",
                 f"mount --bind {machine} /etc/machine-id && "
                 f"mount --bind {self.ns.path} /run/netns/{NETNS} && exec \"$@\"", "--"]
        self.cli = Cli(lab.cli.binary, os.path.join(etcd.directory, f"ha{number}"), f"{BPFFS}/ha{number}", under=under)
        self.at = f"127.0.7.{number}"

    def join(self, flows):
        self.cli.run("cluster", "join", self.etcd.urls, "--host", self.name, "--flows-address", flows)

    def give(self):
        """What keepalived does."""
        self.ns.ip(f"addr add {VIP}/16 dev shared0", f"addr add {GATE}/24 dev lan0")

    def take(self):
        self.ns.ip(f"addr del {VIP}/16 dev shared0", f"addr del {GATE}/24 dev lan0")

    def flows(self):
        return [json.loads(line) for line in self.cli.lines("flows", "export", "ha")]

    def has_flow(self, port):
        assert [f for f in self.flows() if f["port"] == port], f"{self.name} has no flow of {port}"

    def streamed(self):
        """The file that `status` reads."""
        path = os.path.join(self.cli.state, "streamed")
        assert os.path.exists(path), f"{self.name} has not said a word yet"
        with open(path, encoding="ascii") as f:
            return json.load(f)

    def is_known_as(self, standby):
        """Whoever streams has seen that."""
        equal(self.streamed()["routers"]["ha"]["standby"], standby, f"a standby, for {self.name}")

    def said(self):
        """What `status` says of the flows of the router."""
        status = json.loads(self.cli.run("-j", "status", code=None).stdout)
        return next(t["flows"] for t in status["tenants"] if t["tenant"] == "ha")


class Pair:
    """Two members and the VM; `hosts[0]` is active at the beginning."""

    def __init__(self, lab, hosts, vm, etcd, streams):
        self.lab, self.hosts, self.vm, self.etcd, self.streams = lab, hosts, vm, etcd, streams

    def take_over(self, old, new):
        old.take()
        new.give()
        self.vm.ip("neigh flush dev eth0")     # keepalived announces the gateway


def definitions(lab, hosts="[hv1, hv2]", accept=(), grace="0s"):
    router = {"hosts": hosts, "netns": NETNS, "shared": "shared0", "inside": "[lan0]",
              "hook": lab.hook, "address": VIP, "takeover-grace": grace}
    return Definitions(Tenant("ha", (VM, SHARED), router=router, pool=["100.64.6.0/24"], accept=accept),
                       Tenant("plain", ("10.9.9.9", PLAIN), pool=[PLAIN + "/32"]))


@contextlib.contextmanager
def pair(lab, stream=True, accept=(), hosts=2, active=True, grace="0s"):
    with Etcd(lab) as etcd, two_hosts(lab, lambda *args: Member(*args, etcd), hosts) as (some, vm, _):
        for host in some:
            host.join(f"{host.at}:9117" if stream else "none")
        path = definitions(lab, accept=accept, grace=grace).write(os.path.join(lab.scratch, "ha.yaml"))
        if active:
            some[0].give()
        some[0].cli.apply(path)
        for host in some[1:]:
            host.cli.run("cluster", "sync")
        yield Pair(lab, some, vm, etcd, stream)


@contextlib.contextmanager
def agents(*hosts):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Agent(host)) for host in hosts]
