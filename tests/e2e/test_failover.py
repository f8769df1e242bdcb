# SPDX-License-Identifier: GPL-2.0-only
"""Routers that several hosts have: active where the address is, silent everywhere else."""
import contextlib
import os
import signal
import socket
import subprocess

from agent import Agent
from case import equal, eventually, hook, once
from defs import Definitions, Tenant
from lab import (BLUE1, BLUE1_V6, FIXED, INSIDE, OUTSIDE, PLAIN, PLAIN_V6, RED, RED1, RED1_V6,
                 RED2, RED_V6)
from net import Namespace, sh, veth
from test_join import announced
from test_six import dual_stack
from traffic import WAIT, Watch, client, ping, server

SHORT = 0.3         # seconds, to wait for what must not come
MAPPED = {RED1, RED2}


def by_address(lab, **more):
    """red is active while it has both of its addresses."""
    definitions = lab.dual_definitions() if lab.dual else lab.definitions()
    own = f'[{RED}, "{RED_V6}"]' if lab.dual else RED
    definitions["red"].router.update(active="address", address=own, **more)
    return definitions


def give(lab, *families):
    for family in families or ("4", "6"):
        lab.red.ip(f"addr add {RED}/16 dev shared0" if family == "4" else
                   f"addr add {RED_V6}/64 dev shared0 nodad")


def take(lab, *families):
    for family in families or ("4", "6"):
        lab.red.ip(f"addr del {RED}/16 dev shared0" if family == "4" else
                   f"addr del {RED_V6}/64 dev shared0")


def state(lab, tenant="red", cli=None):
    return next(t["router"]["state"] for t in (cli or lab.cli).json("show", tenant)["tenants"])


def silent(ns, address, source=None):
    """Nobody answers: neither the question where it is, nor an echo request."""
    try:
        ping(ns, address, count=1, source=source, wait=SHORT)
    except AssertionError:
        return
    raise AssertionError(f"{address} answers")


def learned(ns, address):
    """The MAC address that the namespace knows it by."""
    shown = sh(["ip", "-n", ns.name, "neigh", "show", address]).stdout.split()
    return shown[shown.index("lladdr") + 1] if "lladdr" in shown else None


def sent_by(frames, mac):
    return [frame for frame in frames if frame[6:12].hex(":") == mac]


def standby_drops(lab):
    return lab.cli.drops().get(("red", "standby"), 0)


def check_silence(lab):
    """Of a standby, from all sides; what it drops is counted."""
    before, lost = standby_drops(lab), lab.leaks()
    assert not lost, lost
    with Watch(lab.plain, "shared0") as watch:
        for address in (RED1, RED1_V6):     # who asks where it is, hears nothing
            lab.plain.ip("neigh flush dev shared0")
            silent(lab.plain, address)
            equal(learned(lab.plain, address), None, f"where {address} is")
        assert standby_drops(lab) > before, "no question was counted"
        for address in (RED1, RED1_V6, RED, RED_V6):     # who knows it, gets no answer
            lab.plain.ip(f"neigh replace {address} lladdr {lab.macs['red']} dev shared0")
            before = standby_drops(lab)
            silent(lab.plain, address)
            assert standby_drops(lab) > before, f"to {address}"
            lab.plain.ip(f"neigh del {address} dev shared0")
        for address in (PLAIN, PLAIN_V6, BLUE1, BLUE1_V6):     # and of its VMs nobody hears
            before = standby_drops(lab)
            silent(lab.red1, address)
            assert standby_drops(lab) > before, f"from a VM to {address}"
        said = [frame for frame in sent_by(watch.frames, lab.macs["red"])
                if frame[12:14] in (b"\x08\x00", b"\x08\x06")]
    equal(said, [], "what the standby has said")
    equal(lab.leaks(), {}, "what left by the uplink")
    ping(lab.red, OUTSIDE)      # what is not of the shared network goes on
    ping(lab.red1, INSIDE)


def check_traffic(lab):
    for address in (RED1, RED1_V6):
        ping(lab.plain, address)
    for address in (PLAIN, PLAIN_V6):
        ping(lab.red1, address)
    for address in (BLUE1, BLUE1_V6):
        ping(lab.red1, address)


def restore_lab(lab):
    """The address first: else the router is to get one."""
    lab.mend("red")
    lab.apply(lab.dual_definitions())


@hook
@dual_stack
def test_failover_by_the_programs_alone(lab):
    """No process looks: the next packet after the address has gone, or come, finds it so."""
    path = lab.write(by_address(lab), "failover.yaml")
    try:
        lab.cli.apply(path)
        equal(state(lab), "attached", "with its addresses")
        check_traffic(lab)
        for families in (("4", "6"), ("4",), ("6",)):
            take(lab, *families)
            check_silence_of(lab, families)
            give(lab, *families)
            lab.plain.ip("neigh flush dev shared0")
            check_traffic(lab)
    finally:
        restore_lab(lab)


def check_silence_of(lab, families):
    """Both have to be there; the router answers for the one that is."""
    if len(families) == 2:
        check_silence(lab)
        return
    silent(lab.plain, RED1)
    silent(lab.plain, RED1_V6)
    silent(lab.red1, PLAIN)


@once
@dual_stack
def test_failover_of_a_standby_nothing_is_wrong(lab):
    """It is well, without an address or routes; nothing is probed, and nothing is given to it."""
    path = lab.write(by_address(lab), "failover.yaml")
    try:
        take(lab)
        plan = lab.cli.apply(path)
        added = [line for line in plan if line.startswith("+ ") or "→ 1" in line]
        assert not any(word in line for line in added
                       for word in ("address red", "route red", "setting red", "groups red")), plan
        equal(state(lab), "standby", "show")
        again = lab.cli.run("apply", "-f", path)
        equal(again.stdout.splitlines(), ["nothing to be done"], "the same again")
        assert "its router is a standby: shared0 has not its own address" in again.stderr, again
        equal(lab.cli.run("restore").stdout.splitlines(), ["nothing to be done"], "restore")
        shown = sh(["ip", "-n", lab.red.name, "addr", "show", "dev", "shared0"]).stdout
        assert RED not in shown and RED_V6 not in shown, shown
        for family in "46":
            equal(sh(["ip", "-n", lab.red.name, f"-{family}", "route", "show", "proto",
                      "116"]).stdout, "", "routes of ours")
        equal(sh(["ip", "-n", lab.red.name, "-6", "neigh", "show", "proxy"]).stdout, "", "proxies")
        lab.cli.run("doctor", "red")
        tenants = {t["tenant"]: (t["router"], t["well"])
                   for t in lab.cli.json("status")["tenants"]}
        equal(tenants["red"], ("standby", True), "status")
        probed = [f for f in lab.cli.json("check", "red") if f["tenant"] == "red"]
        equal([(f["probe"], f["result"]) for f in probed],
              [("duplicate", "skipped"), ("doctor", "ok")], "check")
        assert "standby" in probed[0]["text"], probed
        # of others it is no peer
        lab.cli.run("check", "blue")
        with Watch(lab.plain, "shared0") as watch:
            said = lab.cli.lines("announce", "red")
            equal(said, ["tenant red: 0 addresses announced, its router is a standby"], "announce")
        equal(sent_by(watch.frames, lab.macs["red"]), [], "what was announced")
        explained = lab.cli.run("stats", "--explain").stdout
        if standby_drops(lab):
            assert "another host forwards" in explained, explained
        # attached anew, it is given no address either
        lab.cli.run("detach", "red")
        plan = lab.cli.apply(path)
        assert f"+ router address red {RED}, which others give it" in plan, plan
        # with the address, it is joined as any other
        give(lab)
        equal(state(lab), "attached", "with its addresses")
        plan = lab.cli.apply(path)
        assert any(line.startswith("+ route red") for line in plan), plan
        check_traffic(lab)
        assert "attached, active" in lab.cli.run("show", "red").stdout
        lab.cli.run("check", "red")
        # who moves the address keeps it
        lab.cli.run("detach", "red")
        assert RED in sh(["ip", "-n", lab.red.name, "addr", "show", "dev", "shared0"]).stdout
    finally:
        restore_lab(lab)


@once
@dual_stack
def test_failover_with_an_agent(lab):
    path = lab.write(by_address(lab), "failover.yaml")
    try:
        lab.cli.apply(path)
        with Agent(lab) as agent:
            for _ in range(2):
                take(lab)
                agent.says("its router is a standby now")
                eventually(lambda: equal(ours(lab), "", "routes of ours"))
                check_silence(lab)
                with Watch(lab.plain, "shared0") as watch:
                    watch.until(lambda frame: False, 1.5)     # rounds of before would be due
                equal([f for f in watch.frames if announced(f, lab.macs["red"])], [],
                      "what a standby announces")
                with Watch(lab.plain, "shared0") as watch:
                    give(lab)
                    told = set()

                    def all_told():
                        watch.until(lambda frame: False, 0.05)
                        told.update(announced(f, lab.macs["red"]) for f in watch.frames)
                        assert MAPPED <= told, told
                    eventually(all_told)
                agent.says("its router is active now")
                eventually(lambda: ours(lab) or 1 / 0)
                check_traffic(lab)
        equal(state(lab), "attached", "at the end")
    finally:
        restore_lab(lab)


def ours(lab):
    return sh(["ip", "-n", lab.red.name, "route", "show", "proto", "116"]).stdout


@once
def test_failover_without_an_address_in_the_file(lab):
    """Then any address in the shared subnets makes it active, and none is leased for it."""
    definitions = lab.definitions()
    definitions["red"].router["active"] = "address"
    path = lab.write(definitions, "failover.yaml")
    try:
        lab.cli.apply(path)
        ping(lab.plain, RED1)
        take(lab, "4")
        silent(lab.plain, RED1)
        lab.cli.run("status", "red")     # the address that it had is another host's now
        lab.cli.run("doctor", "red")
        lab.cli.apply(path)
        equal(state(lab), "standby", "without an address")
        lab.red.ip("addr add 100.64.0.77/16 dev shared0")
        lab.plain.ip("neigh flush dev shared0")
        ping(lab.plain, RED1)
        lab.red.ip("addr del 100.64.0.77/16 dev shared0")
    finally:
        lab.mend("red")
        lab.apply()


# ---------------------------------------------------------------- two hosts, and keepalived

VIP, GATE, VM, SHARED = "100.64.0.6", "10.0.0.1", FIXED, "100.64.6.5"
CONF = """global_defs {{
  vrrp_version 3
  vrrp_garp_master_delay 1
}}
vrrp_instance ha {{
  state BACKUP
  interface vrrp0
  virtual_router_id 7
  priority {priority}
  advert_int 0.2
  virtual_ipaddress {{
    {VIP}/16 dev shared0
    {GATE}/24 dev lan0
  }}
}}
"""


class Host:
    """A host of its own, but for the kernel: a router, with its tenantnat and its keepalived."""

    def __init__(self, lab, number, lan):
        self.name, self.run = f"ha{number}", None
        self.ns, self.scratch = Namespace(self.name), os.path.join(lab.scratch, self.name)
        os.makedirs(self.scratch, exist_ok=True)
        self.ns.ip("link set lo up")
        self.ns.sysctl(ipv4__ip_forward=1, ipv6__conf__all__disable_ipv6=1)
        veth(self.ns, "shared0", lab.shared, "p" + self.name)
        lab.shared.ip(f"link set p{self.name} master br0")
        for number_, device in enumerate(("lan0", "vrrp0")):
            veth(self.ns, device, lan, f"p{self.name}-{number_}")
            lan.ip(f"link set p{self.name}-{number_} master br{number_}")
        self.ns.ip(f"addr add 169.254.77.{number}/24 dev vrrp0")
        self.cli = lab.cli.elsewhere(state=self.scratch + "/state",
                                     bpffs=f"/sys/fs/bpf/{self.name}")
        self.conf = os.path.join(self.scratch, "keepalived.conf")
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(CONF.format(priority=100 - number, VIP=VIP, GATE=GATE))

    def definitions(self, lab):
        router = {"netns": self.ns.name, "shared": "shared0", "inside": "[lan0]",
                  "hook": lab.hook, "active": "address", "address": VIP}
        return Definitions(
            Tenant("ha", (VM, SHARED), router=router, pool=["100.64.6.0/24"]),
            Tenant("plain", ("10.9.9.9", PLAIN), pool=[PLAIN + "/32"]))

    def begin(self):
        # pylint: disable=consider-using-with
        pids = [f"--{kind}={self.scratch}/{kind}" for kind in ("pid", "vrrp_pid")]
        with open(self.scratch + "/log", "a", encoding="ascii") as log:
            self.run = subprocess.Popen(
                ["nsenter", f"--net={self.ns.path}", "keepalived", "--dont-fork", "--vrrp",
                 "--log-console", "--use-file", self.conf, *pids], stdout=log, stderr=log)

    def end(self):
        if self.run:
            self.run.send_signal(signal.SIGTERM)
            self.run.wait(WAIT)
        self.run = None

    def has_address(self):
        return VIP in sh(["ip", "-n", self.ns.name, "addr", "show", "dev", "shared0"]).stdout

    def close(self):
        self.end()
        self.cli.run("detach", "--all", code=None)
        self.ns.remove()


@contextlib.contextmanager
def two_hosts(lab, make=None, number=2):
    """`make` makes a host, instead of one that definitions are applied to."""
    lan, vm = Namespace("ha-lan"), Namespace("ha-vm")
    hosts = []
    try:
        for bridge in ("br0", "br1"):
            lan.ip(f"link add {bridge} type bridge mcast_snooping 0", f"link set {bridge} up")
        veth(vm, "eth0", lan, "pvm")
        lan.ip("link set pvm master br0")
        vm.ip("link set lo up", f"addr add {VM}/24 dev eth0", f"route add default via {GATE}")
        hosts += [(make or Host)(lab, n, lan) for n in range(1, number + 1)]
        for host in hosts if not make else ():
            host.cli.apply(host.definitions(lab).write(host.scratch + "/defs.yaml"))
        yield hosts, vm, lan
    finally:
        for host in hosts:
            host.close()
        vm.remove()
        lan.remove()


def only(hosts):
    """The one that has the address; the other one has not."""
    have = [host for host in hosts if host.has_address()]
    equal(len(have), 1, "hosts with the address")
    return have[0], next(host for host in hosts if host is not have[0])


def exchange(here, there, text):
    here.settimeout(WAIT)
    there.settimeout(WAIT)
    here.sendall(text)
    equal(there.recv(64), text, "what arrives at the VM")
    there.sendall(text[::-1])
    equal(here.recv(64), text[::-1], "what arrives outside")


@once
def test_failover_with_keepalived(lab):
    """A connection to a VM's server goes on over takeovers; of two hosts, one is ever active."""
    with two_hosts(lab) as (hosts, vm, lan):
        for host in hosts:
            equal(state(lab, "ha", host.cli), "standby", "before keepalived runs")
        silent(lab.plain, SHARED)
        with Agent(hosts[0]) as one, Agent(hosts[1]) as two:
            for host in hosts:
                host.begin()
            eventually(lambda: only(hosts))
            eventually(lambda: ping(lab.plain, SHARED))
            listening, port = server(vm, socket.SOCK_STREAM)
            with listening, client(lab.plain, socket.SOCK_STREAM, SHARED, port) as here:
                there, _ = listening.accept()
                with there:
                    exchange(here, there, b"before")
                    for turn in range(4):
                        active, other = only(hosts)
                        active.end()
                        eventually(lambda host=other: host.has_address() or 1 / 0)
                        exchange(here, there, b"after %d" % turn)
                        eventually(lambda host=active: equal(state(lab, "ha", host.cli), "standby",
                                                             "the one that lost it"))
                        eventually(lambda host=other: equal(state(lab, "ha", host.cli), "attached",
                                                            "the one that has it"))
                        active.begin()
                        eventually(lambda: only(hosts))
                        exchange(here, there, b"again %d" % turn)
            split_brain(hosts, lan)
            for agent in (one, two):
                agent.says("its router is active now")


def split_brain(hosts, lan):
    """When neither hears the other, both take the address: that is found, and named."""
    lan.ip("link set pha1-1 nomaster")
    eventually(lambda: equal([host.has_address() for host in hosts], [True, True], "both"))

    def named():
        found = [f for f in hosts[0].cli.json("check", "ha", code=1)
                 if f["probe"] == "duplicate" and f["result"] == "failed"]
        assert found, "no duplicate was found"
        assert {VIP, SHARED} & {f["subject"] for f in found}, found
        assert hosts[1].ns.mac("shared0") in found[0]["text"], found
        assert "two hosts have the router active" in found[0]["remedy"], found
    eventually(named)
    lan.ip("link set pha1-1 master br1")
    eventually(lambda: only(hosts))
