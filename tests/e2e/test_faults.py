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
from snapshot import machine, unchanged
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


# ---------------------------------------------------------------- status, and who agrees with it

def verdicts(lab, code, *words):
    """Status, doctor and check all say that it is well, or all that it is not; gives what status says."""
    said = json.loads(lab.cli.run("-j", "status", code=code).stdout)
    equal((said["well"], said["why"] is None), (code == 0, code == 0), f"status: {said['why']}")
    for command in ("doctor", "check"):
        equal(lab.cli.run(command, code=None).returncode, code, f"{command} beside status")
    problems = said["problems"] + [one for t in said["tenants"] for one in t["problems"]]
    for word in words:
        assert any(word in f"{one['interface']} {one['seen']}" for one in problems), f"no `{word}` in {problems}"
    for one in said["tenants"]:
        equal(one["well"], one["router"] in ("attached", "elsewhere") and not one["problems"],
              one["tenant"])
    for tenant in lab.cli.json("show")["tenants"]:
        there = next(one for one in said["tenants"] if one["tenant"] == tenant["tenant"])
        if tenant["router"]:
            equal((tenant["router"]["state"], tenant["router"]["problems"]),
                  (there["router"], len(there["problems"])), f"show of {tenant['tenant']}")
    return said


def of(said, tenant):
    return next(one for one in said["tenants"] if one["tenant"] == tenant)


@hook
def test_faults_status_in_order(lab):
    """All is well: what was carried and dropped, and over which time, with an agent and without."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(lab.cli.state + "/traffic")   # of an agent that has ended
    said = verdicts(lab, 0)
    equal((said["agent"], of(said, "red")["router"], of(said, "plain")["router"],
           of(said, "red")["mappings"]), (None, "attached", "elsewhere", 2), "status")
    ping(lab.red1, BLUE1, 3)
    after_it = lab.cli.json("status")
    for tenant in ("red", "blue"):
        for way in ("in", "out"):
            assert of(after_it, tenant)[way]["packets"] >= of(said, tenant)[way]["packets"] + 3
    assert after_it["seconds"] is not None, "over which time"
    text = lab.cli.run("status").stdout
    for word in ("not running", "since counting began", "well", "tenantnat check"):
        assert word in text, f"no `{word}` in {text}"
    assert len(text.splitlines()) < 24, f"more than a screenful: {text}"
    lab.cli.run("status", "red")
    assert "there is no tenant nobody" in lab.cli.fails("status", "nobody", code=2)


@once
def test_faults_status_of_the_last_minute(lab):
    """The agent keeps what the last minute is counted from."""
    ping(lab.red1, BLUE1, 1)
    running = lab.cli.start("agent")
    try:
        eventually(lambda: equal(lab.cli.json("status")["agent"], running.pid, "the agent"))
        eventually(lambda: equal(os.path.exists(lab.cli.state + "/traffic"), True, "its file"))
        ping(lab.red1, BLUE1, 3)
        said = verdicts(lab, 0)
        equal((of(said, "red")["in"]["packets"], of(said, "red")["out"]["packets"]), (3, 3),
              "packets since the agent began")
        assert "of the last" in lab.cli.run("status").stdout
    finally:
        running.terminate()
        running.communicate()
        os.unlink(lab.cli.state + "/traffic")
    equal(lab.cli.json("status")["agent"], None, "without the agent")


@hook
def test_faults_status_of_routers(lab):
    """Detached, lost, with an interface that came later."""
    lab.cli.run("detach", "blue")
    said = verdicts(lab, 1, "it was detached")
    equal((of(said, "blue")["router"], of(said, "red")["well"]), ("detached", True), "detached")
    text = lab.cli.run("show").stdout
    assert "detached" in text and "not well: 1 problem" in text, text
    equal(lab.cli.run("status", "red").returncode, 0, "of the others")
    lab.apply()
    pin = next(os.path.join(top, "link_in") for top, _, files in os.walk(PINS + "/routers")
               if "link_in" in files)
    os.unlink(pin)
    said = verdicts(lab, 1, "missing")
    equal(sorted(t["router"] for t in said["tenants"]), ["attached", "broken", "elsewhere"], "lost")
    lab.apply()
    verdicts(lab, 0)


@once
def test_faults_status_of_late_interfaces(lab):
    """One that matches `inside`, and came after the apply."""
    late = lab.definitions()
    late["red"].router["inside"] = '["lan*"]'
    lab.apply(late)
    lab.red.ip("link add lan9 type veth peer name far9", "link set lan9 up", "link set far9 up")
    try:
        verdicts(lab, 1, "lan9")
        lab.cli.run("restore")
        verdicts(lab, 0)
    finally:
        lab.red.ip("link del lan9")
        lab.apply()


@once
def test_faults_status_of_namespaces(lab):
    """A router whose namespace is gone."""
    spare = lab.spare_router()
    spare.sysctl(ipv6__conf__all__disable_ipv6=1)
    try:
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        spare.remove()
        said = json.loads(lab.cli.run("-j", "status", code=1).stdout)
        assert of(said, "green")["problems"], said
        equal((of(said, "green")["well"], of(said, "red")["well"]), (False, True), "status")
        lab.cli.run("status", "green", code=1)
        lab.cli.run("doctor", code=1)
    finally:
        lab.apply()
    verdicts(lab, 0)


@once
def test_faults_status_of_the_state(lab):
    """One that cannot be read, one that is damaged, and none at all."""
    os.chmod(lab.cli.state, 0o777)
    try:
        assert "cannot tell" in lab.cli.run("status", code=1).stderr
        lab.cli.run("doctor", code=1)
    finally:
        os.chmod(lab.cli.state, 0o700)
    fresh = lab.cli.elsewhere(state=lab.scratch + "/none", bpffs=BPFFS + "/none")
    assert "nothing was applied" in fresh.run("status", code=1).stderr
    equal(json.loads(fresh.run("-j", "status", code=1).stdout)["well"], False, "without a state")
    equal(os.path.exists(lab.scratch + "/none"), False, "made by status")
    nobody = lab.cli.elsewhere(bpffs=PINS, under=["setpriv", "--reuid=65534", "--regid=65534",
                                                  "--clear-groups"])
    nobody.run("status", code=1)
    verdicts(lab, 0)


@once
def test_faults_status_of_ways(lab):
    """Routes, rules and netfilter: what doctor finds."""
    with after(["ip", "-n", lab.blue.name, "route", "del", FIXED],
               ["ip", "-n", lab.red.name, "rule", "del", "pref", "30000"],
               ["ip", "-n", lab.red.name, "route", "flush", "table", "100"]):
        lab.blue.ip(f"route add {FIXED} via {OUTSIDE}")
        equal(of(verdicts(lab, 1, "up0"), "blue")["well"], False, "a route")
        lab.blue.ip(f"route del {FIXED}")
        lab.red.ip(f"route add default via {OUTSIDE} table 100",
                   "rule add from 10.0.0.0/24 lookup 100 pref 30000")
        equal(of(verdicts(lab, 1, "up0"), "red")["well"], False, "a rule")
    with rules_of(lab, lab.red, "add table inet t",
                  "add chain inet t c { type filter hook forward priority 0; policy drop; }"):
        equal(of(verdicts(lab, 1, "policy drop"), "red")["well"], False, "netfilter")
    verdicts(lab, 0)


@once
def test_faults_status_changes_nothing(lab):
    """It only looks."""
    before = machine(lab)
    lab.cli.run("status")
    unchanged(before, machine(lab), "status")
