# SPDX-License-Identifier: GPL-2.0-only
"""
Faults as operators meet them, each made for real: what trace and status say of it, that none of them
calls well what is not, and that the remedy, typed in, cures.
"""
import contextlib
import json
import os

from case import eventually, equal, hook, once
from lab import BLUE1, FIXED, FIXED2, INSIDE, OUTSIDE, RED1, RED2, SUBNET
from net import BPFFS, sh
from test_doctor import type_in
from test_forwarding import as_defined
from test_trace import trace
from traffic import ping

PINS = BPFFS + "/tenantnat"
FROM, TO = "red/db", BLUE1 + ":22"


def arrives(lab, *args):
    code, said = trace(lab, *(args or (FROM, TO)))
    equal((code, said["result"]), (0, "arrives"), f"trace in order: {said['why']}")


def failed(lab, look, tenant, words, *args):
    """The trace does not arrive because of that look; gives it."""
    code, said = trace(lab, *(args or (FROM, TO)))
    assert code == 1 and said["result"] != "arrives", f"{look}: all is well: {said}"
    found = [one for one in said["looks"] if one["result"] == "failed"]
    assert found, f"{look}: nothing failed: {said['looks']}"
    equal((found[0]["look"], found[0]["tenant"]), (look, tenant), found[0]["seen"])
    for word in words:
        assert word in found[0]["seen"], f"no `{word}` in {found[0]['seen']}"
    assert found[0]["remedy"], f"no remedy: {found[0]}"
    return found[0]


@contextlib.contextmanager
def after(*commands):
    """Run these at the end, whether they can be or not."""
    try:
        yield
    finally:
        for argv in commands:
            sh(argv, check=False)


# ---------------------------------------------------------------- VMs

@hook
def test_faults_vm_is_off(lab):
    """Either end's."""
    for name, tenant in (("blue1", "blue"), ("red1", "red")):
        lab.ns[name].ip("link set eth0 down")
        try:
            failed(lab, "vm", tenant, [FIXED])
        finally:
            lab.ns[name].ip("link set eth0 up")
            lab.settle(name, "eth0")
        eventually(lambda: arrives(lab))


@hook
def test_faults_vm_without_a_way_back(lab):
    """It answers on its link, and nobody else."""
    for name, tenant in (("blue1", "blue"), ("red1", "red")):
        vm = lab.ns[name]
        ping(lab.ns[tenant], FIXED, 1)
        vm.ip("route del default")
        try:
            one = failed(lab, "vm", tenant, [FIXED, "alone"])
            assert f"route add {SUBNET} via {INSIDE}" in one["remedy"], one["remedy"]
            vm.ip(f"route add {SUBNET} via {INSIDE}")
            arrives(lab)
        finally:
            sh(["ip", "-n", vm.name, "route", "del", SUBNET], check=False)
            lab.settle(name, "eth0")
    arrives(lab)


# ---------------------------------------------------------------- routes

@hook
def test_faults_route(lab):
    """To the VM, and to the shared network: by an interface that is not meant to be the way."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.blue.name, "route", "del", FIXED],
               ["ip", "-n", lab.red.name, "route", "del", BLUE1]):
        lab.blue.ip(f"route add {FIXED} via {OUTSIDE}")
        one = failed(lab, "route", "blue", [FIXED, "up0", "not by an inside interface"])
        assert f"ip route get {FIXED} from {RED1} iif shared0" in one["remedy"], one["remedy"]
        lab.blue.ip(f"route del {FIXED}")
        eventually(lambda: arrives(lab))
        lab.red.ip(f"route add {BLUE1} via {OUTSIDE}")
        failed(lab, "route", "red", [BLUE1, "up0", "shared0"])


@hook
def test_faults_policy_rule(lab):
    """A rule by the source leads what VMs send elsewhere: the remedy, typed in, cures."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.red.name, "rule", "del", "pref", "30000"],
               ["ip", "-n", lab.red.name, "rule", "del", "pref", "1"],
               ["ip", "-n", lab.red.name, "route", "flush", "table", "100"]):
        lab.red.ip(f"route add default via {OUTSIDE} table 100",
                   "rule add from 10.0.0.0/24 lookup 100 pref 30000")
        one = failed(lab, "route", "red", [BLUE1, "up0", "table 100"])
        type_in(one["remedy"])
        eventually(lambda: arrives(lab))
        eventually(lambda: ping(lab.red1, BLUE1, 1))


@once
def test_faults_rule_by_port(lab):
    """It concerns that port alone, and by the stack alone."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.red.name, "rule", "del", "pref", "30000"],
               ["ip", "-n", lab.red.name, "route", "flush", "table", "100"]):
        lab.red.ip(f"route add default via {OUTSIDE} table 100",
                   "rule add iif lan0 ipproto tcp dport 22 lookup 100 pref 30000")
        arrives(lab)
        as_defined(lab, "stack")
        try:
            failed(lab, "route", "red", [BLUE1, "up0", "table 100"])
            arrives(lab, FROM, BLUE1 + ":23")
        finally:
            lab.apply()


# ---------------------------------------------------------------- netfilter

@contextlib.contextmanager
def rules_of(lab, router, *lines):
    """Rules of nftables, which the router knows of."""
    try:
        for line in lines:
            router.run("nft", line)
        lab.apply()
        yield
    finally:
        router.run("nft", "flush ruleset")
        lab.apply()


@once
def test_faults_netfilter(lab):
    """What drops it, and what translates it before tenantnat: for just that packet."""
    chain = "add chain inet t c { type %s hook %s priority 0; policy accept; }"
    cases = ((lab.red, "filter", "forward", "tcp dport 22 drop", "drop"),
             (lab.blue, "filter", "forward", f"ip daddr {FIXED} tcp dport {{ 20-30 }} drop", "drop"),
             (lab.red, "nat", "postrouting", 'oifname "shared0" masquerade', "masquerade"),
             (lab.red, "nat", "prerouting", f"ip daddr {BLUE1} tcp dport 22 dnat ip to {RED2}",
              "dnat"))
    for router, kind, at, rule, what in cases:
        with rules_of(lab, router, "add table inet t", chain % (kind, at), "add rule inet t c " + rule):
            name = "red" if router is lab.red else "blue"
            one = failed(lab, "netfilter", name, [f"`{what}`", "chain c of table inet t"])
            assert f"tenantnat doctor {name}" in one["remedy"], one["remedy"]
            if "dport" in rule:
                arrives(lab, FROM, BLUE1 + ":33")
    arrives(lab)


# ---------------------------------------------------------------- routers

@hook
def test_faults_lost_programs(lab):
    """Programs that can be run are no proof that packets meet them."""
    ping(lab.red1, BLUE1, 1)
    for tenant in ("red", "blue"):
        router = next(row for row in lab.cli.json("show")["tenants"] if row["tenant"] == tenant)
        ids = {p["id"] for p in router["router"]["programs"]}
        pin = next(os.path.join(top, "link_in") for top, _, files in os.walk(PINS + "/routers")
                   if "link_in" in files and pinned_program(os.path.join(top, "link_in")) in ids)
        os.unlink(pin)
        one = failed(lab, "programs", tenant, ["missing"])
        type_in(one["remedy"].replace("tenantnat", " ".join(lab.cli.argv())))
        arrives(lab)


def pinned_program(pin):
    """The id of the program of a link."""
    shown = sh(["bpftool", "-j", "link", "show", "pinned", pin]).stdout
    return json.loads(shown)["prog_id"]


@hook
def test_faults_shared_network(lab):
    """It does not carry frames from one router to the other; or another host has the address."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.plain.name, "addr", "del", BLUE1 + "/32", "dev", "shared0"]):
        lab.shared.ip("link set pblue nomaster")
        try:
            failed(lab, "link", "red", [BLUE1, "nobody"])
            lab.plain.ip(f"addr add {BLUE1}/32 dev shared0")
            failed(lab, "link", "red", [BLUE1, lab.macs["plain"], lab.macs["blue"]])
            lab.plain.ip(f"addr del {BLUE1}/32 dev shared0")
        finally:
            lab.shared.ip("link set pblue master br0")
        eventually(lambda: arrives(lab))


@hook
def test_faults_not_accepted(lab):
    """A policy is no fault of the host: trace names it, and nothing else."""
    closed = lab.definitions()
    closed["blue"].accept = [{"from": ["red"], "ports": ["tcp/23"]}]
    lab.apply(closed)
    try:
        code, said = trace(lab, FROM, TO)
        equal((code, said["steps"][-1]["reason"]), (1, "not-accepted"), "the trace")
        equal([one for one in said["looks"] if one["result"] == "failed"], [], "looks that failed")
        arrives(lab, FROM, BLUE1 + ":23")
    finally:
        lab.apply()


@hook
def test_faults_none(lab):
    """In a lab where all is well, also to the same router and back to itself."""
    for args in ((FROM, TO), (FROM, RED2 + ":80"), (FROM, BLUE1), ("blue/" + FIXED, RED1),
                 ("red/" + FIXED2, BLUE1 + ":7", "-p", "udp")):
        arrives(lab, *args)
