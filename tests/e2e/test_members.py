# SPDX-License-Identifier: GPL-2.0-only
"""Hosts that share definitions: each is a state and maps of its own, and all know one etcd (etcd.py)."""
import contextlib
import json
import os
import random
import re
import socket
import threading
import time

from agent import Agent
from case import equal, eventually, once
from cli import Cli
from defs import Definitions, Tenant
from etcd import Answerer, Etcd, Relay, b64, passed_on
from inject import Strace, moments, spread
from lab import BLUE1, FIXED, FIXED2, RED1
from net import BPFFS, sh
from test_cluster import metrics
from traffic import ping, reach


def has(said, *wants):
    for want in wants:
        assert want in said, f"not {want!r}: {said}"


class Member:
    """A host of the cluster: its tenantnat, where etcd is to be reached."""

    def __init__(self, lab, etcd, name):
        self.name, self.etcd, self.scratch = name, etcd, os.path.join(etcd.directory, "host-" + name)
        os.makedirs(self.scratch, exist_ok=True)
        state = os.path.join(etcd.directory, "state-" + name)
        # the second host of one machine
        machine = os.path.join(etcd.directory, "machine-" + name)
        with open(machine, "w", encoding="ascii") as f:
            f.write(f"{int(name[2:]):032x}\n")
        under = ["nsenter", f"--net={etcd.ns.path}", "unshare", "-m", "sh", "-c",
                 f"mount --bind {machine} /etc/machine-id && exec \"$@\"", "--"]
        self.cli = Cli(lab.cli.binary, state, f"{BPFFS}/{name}", under=under)

    def join(self):
        self.cli.run("cluster", "join", self.etcd.urls, "--host", self.name)

    def sync(self, code=0):
        return self.cli.lines("cluster", "sync", code=code)

    def routers(self):
        return {t["tenant"]: t["router"] and t["router"]["state"] for t in self.cli.json("show")["tenants"]}


@contextlib.contextmanager
def cluster(lab, *names, members=1):
    """An etcd, and hosts that have joined; nobody else looks after the lab's routers meanwhile."""
    lab.cli.run("detach", "--all")
    with Etcd(lab, members=members) as etcd:
        hosts = [Member(lab, etcd, name) for name in names]
        try:
            for host in hosts:
                host.join()
            yield (etcd, *hosts)
        finally:
            for host in hosts:
                host.cli.run("detach", "--all", code=None)
            lab.apply()


def keys(etcd, kind=""):
    """{key: value} of etcd, below the prefix."""
    prefix = "/tenantnat/"
    lines = etcd.ctl("get", "--prefix", prefix + kind).splitlines()
    return {key[len(prefix):]: json.loads(value) for key, value in zip(lines[::2], lines[1::2])}


def definitions(lab):
    """Red on hv1, blue on hv2."""
    there = lab.definitions()
    for name, host in ("red", "hv1"), ("blue", "hv2"):
        there[name].router["host"] = host
        there[name].pool = [f"100.64.{1 if name == 'red' else 2}.0/24"]
    return there


@once
def test_members_have_one_definition(lab):
    """Applied on one host, it comes to the others; VMs of both talk."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        said = one.cli.run("apply", "--yes", "-f", path).stdout
        has(said, "+ tenant red", "+ tenant blue", "on this host, hv1:", "router red")
        equal((one.routers()["red"], one.routers()["blue"]), ("attached", None), "on hv1")
        equal(sorted(keys(etcd, "tenants/")), ["tenants/blue", "tenants/plain", "tenants/red"], "tenants")
        equal(keys(etcd, "head")["head"], {"changes": 1}, "head")
        block = keys(etcd, "blocks/4/64400100")["blocks/4/64400100"]
        equal(block[RED1], {"fixed": FIXED, "name": "db", "pinned": True, "tenant": "red"}, "an owner")

        # looked at, it is not done, and nothing says that it is
        for _ in range(2):
            has("\n".join(two.cli.lines("cluster", "sync", "--dry-run")), "router blue")
        with Agent(two):
            eventually(lambda: equal(two.routers().get("blue"), "attached", "by the agent"), 60)
        two.cli.run("detach", "blue")
        two.cli.run("apply", "--yes", "-f", path)
        equal((two.routers()["red"], two.routers()["blue"]), (None, "attached"), "on hv2")
        reach(lab.red1, BLUE1)
        reach(lab.blue1, RED1)
        has(one.cli.run("show", "red").stdout, "accepts * to all mappings for everything\n")
        equal(two.sync(), ["nothing to be done"], "again")
        equal(one.cli.run("apply", "--yes", "-f", path).stdout, "nothing to be done\n", "the same file")
        equal(keys(etcd, "head")["head"], {"changes": 1}, "nothing was written")
        one.cli.run("detach", "red")
        equal(one.sync(), ["nothing to be done"], "what was taken off")
        one.cli.run("apply", "--tenant", "blue", "-f", path)
        equal(one.routers()["red"], "detached", "red, after an apply of blue")
        has(one.cli.run("apply", "--yes", "-f", path).stdout, "router red")
        equal(one.routers()["red"], "attached", "red, after an apply")
        # of red hv2 knows the pool
        equal({t for t, _ in two.cli.leases()}, {"blue"}, "mappings that hv2 has")


@once
def test_members_follow_by_their_agents(lab):
    """What is changed on one host comes to the others by itself, also after etcd was away."""
    whole = definitions(lab)
    path = lab.write(whole, "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        def state():
            hosts = one.cli.run("-j", "cluster", "status", code=None).stdout
            return next((h["state"], h["failed"]) for h in json.loads(hosts)["hosts"] if h["name"] == "hv2")

        def has_blue(fixed):
            assert ("blue", fixed) in two.cli.leases(), "hv2 does not have it"

        with Agent(two) as agent:
            one.cli.run("apply", "--yes", "-f", path)
            eventually(lambda: equal(two.routers().get("blue"), "attached", "on hv2"), 60)
            reach(lab.red1, BLUE1)
            eventually(lambda: equal(state(), ("current", []), "hv2"), 60)
            one.cli.run("map", "add", "blue", "10.0.0.77")
            eventually(lambda: has_blue("10.0.0.77"), 60)

            etcd.members[0].kill()
            reach(lab.red1, BLUE1)
            etcd.members[0].start()
            etcd.wait()
            one.cli.run("map", "add", "blue", "10.0.0.78")
            now = etcd.ctl("get", "x", "-w", "json")
            etcd.ctl("compaction", str(json.loads(now)["header"]["revision"]))
            eventually(lambda: has_blue("10.0.0.78"), 60)
            eventually(lambda: equal(state(), ("current", []), "hv2"), 60)

            # a router that is not there
            ghost = Tenant("ghost", ("10.0.0.5",), pool=["100.64.9.0/24"],
                           router={"host": "hv2", "netns": "nowhere"})
            one.cli.run("apply", "--yes", "-f", lab.write(whole.having(ghost), "ghost.yaml"))
            eventually(lambda: equal(state(), ("failed", ["ghost"]), "hv2"), 60)
            reach(lab.red1, BLUE1)
            one.cli.run("apply", "--yes", "-f", path)
            eventually(lambda: equal(state(), ("current", []), "hv2"), 60)
            assert "ghost" not in two.routers()
            assert agent.run.poll() is None


@once
def test_members_single_mappings(lab):
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        # for a router that is elsewhere
        shared = two.cli.run("map", "add", "red", "10.0.0.77", "--name", "web").stdout.strip()
        has(shared, "100.64.1.")
        equal(keys(etcd, "blocks/4/64400100")["blocks/4/64400100"][shared],
              {"fixed": "10.0.0.77", "name": "web", "tenant": "red"}, "in its block")
        has("\n".join(one.sync()), "10.0.0.77", shared)
        equal(one.cli.leases("red")["red", "10.0.0.77"], shared, "on hv1")
        has(one.cli.fails("map", "add", "red", "10.0.0.77", code=2), "has a mapping of 10.0.0.77 already")
        has(two.cli.fails("map", "add", "rad", "10.0.0.78", code=2), "no tenant", "red")
        # everybody gets another one
        more = {(one if i % 2 else two).cli.run("map", "add", "red", f"10.0.1.{i}").stdout for i in range(1, 7)}
        equal(len(more), 6, "addresses")
        equal(two.cli.json("map", "del", "red", "web"),
              [{"tenant": "red", "name": "web", "fixed": "10.0.0.77", "shared": shared}], "removed")
        assert shared not in keys(etcd, "blocks/4/64400100")["blocks/4/64400100"]
        one.sync()
        assert ("red", "10.0.0.77") not in one.cli.leases("red")
        has(one.cli.fails("map", "del", "red", "web", code=2), "no mapping web")
        history = [line["command"] for line in keys(etcd, "history/").values()]
        has(history[0], "apply")
        has(history[1], "map add", "red 10.0.0.77")
        # the file of before takes all of them away
        one.cli.run("apply", "--yes", "-f", path)
        equal(sorted(f for _, f in one.cli.leases("red")), [FIXED, FIXED2], "mappings")


@once
def test_members_whose_routers_are_nowhere(lab):
    """A host that is no member, and a namespace that nobody has, are named by whoever can know it."""
    there = definitions(lab)
    there["blue"].router["host"] = "hv22"
    typo = lab.write(there, "typo.yaml")
    there["blue"].router["host"] = "hv2"
    good = lab.write(there, "good.yaml")
    ghost = Tenant("ghost", ("10.0.0.5",), pool=["100.64.9.0/24"], router={"netns": "nowhere"})
    ghost_path = lab.write(there.having(ghost), "ghost.yaml")
    missing = "the cluster has no host hv22, which the router of blue names"

    def problems(host):
        return " ".join(host.cli.json("cluster", "status", code=1)["problems"])

    def found(host):
        said = json.loads(host.cli.run("-j", "doctor", code=None).stdout)["findings"]
        return " ".join(f["seen"] for f in said if (f["finding"], f["severity"]) == ("cluster", "warning"))

    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        for words in ["--dry-run"], ["--yes"]:
            has(one.cli.run("apply", *words, "-f", typo).stderr, missing, "did you mean `hv2`?")
        has(problems(two), missing)
        has(found(two), missing, "this host, hv2, is silent")
        has(one.cli.run("map", "add", "blue", "10.0.0.77").stderr, missing)
        assert missing not in one.cli.run("map", "add", "red", "10.0.0.77").stderr
        assert "no host" not in one.cli.run("apply", "--yes", "-f", good).stderr
        equal(problems(two), "", "mended")
        nowhere = "the router of ghost names no `host`, and the namespace is not here"
        has(one.cli.run("apply", "--yes", "-f", ghost_path).stderr, nowhere)
        with Agent(one), Agent(two):
            eventually(lambda: has(problems(one), "no host that is heard of has the namespace of the router of ghost"),
                       60)
            eventually(lambda: has(found(one), "of ghost"), 60)


@once
def test_members_read_what_concerns_them(lab):
    """Of a change of another host's tenant, an agent reads that it is none of its own; and follows all the same."""
    whole = definitions(lab)
    pink = whole.having(Tenant("pink", ("10.0.0.5",), pool=["100.64.9.0/24"]))
    path = lab.write(whole, "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        with Relay(etcd.ns) as relay:
            two.cli.run("cluster", "join", relay.url, "--host", "hv2")
            whole_of_it = re.compile(rb'\{"key":"' + b64("/tenantnat/tenants/").encode() + rb'"[^}]*\}')

            def current():
                hosts = json.loads(one.cli.run("-j", "cluster", "status", code=None).stdout)["hosts"]
                assert [h for h in hosts if h["name"] == "hv2" and h["state"] == "current"], hosts

            def all_read():
                return [r for r in whole_of_it.findall(relay.asked())
                        if b"keys_only" not in r and b"min_mod_revision" not in r]

            with Agent(two):
                eventually(lambda: one.cli.run("apply", "--yes", "--wait", "5", "-f", path), 60)
                assert all_read(), "it has not read through the relay"
                relay.parts.clear()
                one.cli.run("map", "add", "red", "10.0.0.77")
                eventually(current, 60)
                equal(all_read(), [], "how often it has read all tenants")
                equal([r for r in whole_of_it.findall(relay.asked()) if b"keys_only" not in r], [],
                      "and looked for what has changed: it has heard that")
                one.cli.run("map", "add", "blue", "10.0.0.77", "--wait", "60")
                assert ("blue", "10.0.0.77") in two.cli.leases(), "it has not followed"
                equal(all_read(), [], "and of its own tenant, it reads that alone")
                one.cli.run("map", "del", "blue", "10.0.0.77", "--wait", "60")
                assert ("blue", "10.0.0.77") not in two.cli.leases(), "it has not followed"
                # rules and settings of the tenant, and what is not only its own
                other = whole.copy()
                other["blue"].accept = [{"from": ["red"]}]
                one.cli.run("apply", "--yes", "--wait", "60", "-f", lab.write(other, "other.yaml"))
                equal(all_read(), [], "how often it has read all tenants")
                equal([r["from"] for r in two.cli.json("show", "blue")["tenants"][0]["accept"]], [["red"]], "rules")
                other["blue"].accept = [{"from": ["red/db"]}]
                one.cli.run("apply", "--yes", "--wait", "60", "-f", lab.write(other, "other.yaml"))
                assert all_read(), "it has not read whom a rule names"
                # a tenant that goes, and one that comes
                for there, comes in (pink, True), (whole, False), (pink, True):
                    one.cli.run("apply", "--yes", "-f", lab.write(there, "pink.yaml"))
                    eventually(lambda comes=comes: equal("pink" in two.routers(), comes, "pink"), 60)
            # one that goes while nobody hears of it
            one.cli.run("apply", "--yes", "-f", path)
            with Agent(two):
                eventually(lambda: equal("pink" in two.routers(), False, "pink"), 60)
                eventually(current, 60)


@once
def test_members_are_waited_for(lab):
    """With --wait a change ends when those whom it concerns have it; who has it not is named."""
    whole = definitions(lab)
    path = lab.write(whole, "members.yaml")
    with cluster(lab, "hv1", "hv2") as (_, one, two):
        has(one.cli.run("apply", "--yes", "--wait", "1", "-f", path, code=1).stderr, "the cluster has the change",
            "hv2 is silent")
        one.cli.run("map", "add", "red", "10.0.0.77", "--wait", "1")      # of nobody but hv1
        has(one.cli.fails("map", "add", "blue", "10.0.0.77", "--wait", "1"), "hv2 is silent")
        with Agent(two):
            eventually(lambda: one.cli.run("apply", "--yes", "--wait", "5", "-f", path), 60)
            one.cli.run("map", "add", "blue", "10.0.0.78", "--wait", "60")
            assert ("blue", "10.0.0.78") in two.cli.leases(), "it has not been waited for"
            done = json.loads(one.cli.run("-j", "apply", "--yes", "--wait", "60", "-f", path).stdout)
            equal(done["hosts"], [{"name": "hv2", "state": "current"}], "hosts that it concerns")
            has(one.cli.run("apply", "--yes", "--wait", "60", "-f", path).stdout, "nothing to be done", "2 hosts have it")
            ghost = Tenant("ghost", ("10.0.0.5",), pool=["100.64.9.0/24"],
                           router={"host": "hv2", "netns": "nowhere"})
            has(one.cli.run("apply", "--yes", "--wait", "60", "-f", lab.write(whole.having(ghost), "ghost.yaml"),
                            code=1).stderr, "hv2 failed with ghost")
            has(one.cli.run("apply", "--yes", "--wait", "60", "-f", path).stdout, "2 hosts have it")


@once
def test_members_leave_tenants_behind(lab):
    """Which the cluster goes on giving addresses of: a host that has routers leaves on purpose alone."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2", "hv3") as (etcd, one, two, three):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        has(two.cli.fails("cluster", "leave", code=2), "the router of blue", "goes on giving addresses", "--yes")
        assert "hosts/hv2" in keys(etcd, "hosts/"), "it has left"
        three.cli.run("cluster", "leave")
        has(two.cli.run("cluster", "leave", "--yes").stdout, "host hv2 has left",
            "the cluster still has the tenant whose router was there: blue")
        has(one.cli.run("map", "add", "blue", "10.0.0.77").stderr, "the cluster has no host hv2")
        two.join()
        # one that is gone for good is taken out without a question, and it is said what it had
        equal(json.loads(one.cli.run("-j", "cluster", "leave", "--host", "hv2").stdout),
              {"host": "hv2", "tenants": 1}, "of a host that is gone")


@once
def test_members_say_what_else_they_follow(lab):
    """Whoever adds a mapping elsewhere takes over what this host had yet to follow, and is told so."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (_, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        done = two.cli.run("map", "add", "red", "10.0.0.77")
        has(done.stderr, "also on this host: + router blue")
        has(done.stdout, "100.64.1.")
        equal(two.cli.run("map", "add", "blue", "10.0.0.77").stderr, "", "nothing else")


class Between:
    """What stands between a host and etcd, and does something before the first transaction goes on."""

    def __init__(self, etcd, first):
        self.etcd, self.first = etcd, first

    def __call__(self, request):
        if request.startswith(b"POST /v3/kv/txn ") and self.first:
            first, self.first = self.first, None
            first()
        with self.etcd.ns.socket(socket.AF_INET, socket.SOCK_STREAM) as there:
            there.connect((self.etcd.members[0].host, 2379))
            there.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            return b"".join(iter(lambda: there.recv(65536), b""))


@once
def test_members_single_mappings_beside_a_router_that_is_missing(lab):
    """A router that is not in order is no matter of another tenant's mapping."""
    there = definitions(lab)
    there["blue"].router["host"] = "hv1"
    path = lab.write(there, "members.yaml")
    with cluster(lab, "hv1") as (_, one):
        one.cli.run("apply", "--yes", "-f", path)
        there["blue"].router["netns"] = "nowhere"
        gone = lab.write(there, "gone.yaml")
        has(one.cli.fails("apply", "--yes", "-f", gone), "no network namespace nowhere")
        equal(one.cli.run("diff", path).stdout, "nothing to be done\n", "the cluster is as it was")
        one.cli.run("apply", "--yes", "--partial", "-f", gone, code=1)
        shared = one.cli.run("map", "add", "red", "10.0.0.77").stdout.strip()
        equal(one.cli.leases()["red", "10.0.0.77"], shared, "here")
        has(one.cli.fails("map", "add", "blue", "10.0.0.78"), "the cluster has the change",
            "no network namespace nowhere")


@once
def test_members_two_at_once(lab):
    """Of two at once the second changes nothing, and an apply says what the first has changed."""
    there = Definitions(Tenant("a", ("10.1.0.1",), pool=["100.64.8.0/24"]),
                        Tenant("b", ("10.1.0.1",), pool=["100.64.9.0/24"]))
    path = lab.write(there.mapping("a", "10.1.0.2"), "other.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", lab.write(there, "members.yaml"))
        between = Between(etcd, None)
        with Answerer(etcd.ns, between) as proxy:
            two.cli.run("cluster", "join", proxy.url, "--host", "hv2")
            between.first = lambda: one.cli.run("map", "add", "a", "10.1.0.3")
            has(two.cli.fails("apply", "--yes", "-f", path), "was changed meanwhile", "tenant a",
                "addresses 100.64.8.0 to 100.64.8.255", "root on hv1: map add a 10.1.0.3",
                "nothing was changed")
            equal(keys(etcd, "head"), {"head": {"changes": 1}}, "head")
            equal(two.cli.leases(), {}, "what hv2 has")
            # what others change is no matter
            between.first = lambda: one.cli.run("map", "add", "b", "10.1.0.3")
            two.cli.run("apply", "--yes", "-f", path)
            equal(keys(etcd, "head"), {"head": {"changes": 2}}, "head")
            equal(len(keys(etcd, "blocks/4/64400900")["blocks/4/64400900"]), 2, "of b")
            # two applies
            between.first = lambda: one.cli.run("apply", "--yes", "-f", lab.write(there, "members.yaml"))
            has(two.cli.fails("apply", "--yes", "-f", lab.write(there.mapping("b", "10.1.0.4"), "third.yaml")),
                "was changed meanwhile", "the definitions", "tenant b", "root on hv1: apply")
            # single mappings try again by themselves, and one address is given once
            between.first = lambda: one.cli.run("map", "add", "a", "10.1.0.5")
            two.cli.run("map", "add", "a", "10.1.0.6")
            block = keys(etcd, "blocks/4/64400800")["blocks/4/64400800"]
            equal({owner["fixed"] for owner in block.values()}, {"10.1.0.1", "10.1.0.5", "10.1.0.6"}, "of a")
            # the same one twice
            between.first = lambda: one.cli.run("map", "add", "a", "10.1.0.7", "--shared", "100.64.8.77")
            has(two.cli.fails("map", "add", "a", "10.1.0.7", "--shared", "100.64.8.78", code=2),
                "has a mapping of 10.1.0.7 already: 100.64.8.77")


@once
def test_members_without_etcd(lab):
    """Nothing is changed, one sentence says so, and traffic goes on."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        reach(lab.red1, BLUE1)
        leases = one.cli.leases()
        etcd.members[0].kill()
        for words in (["map", "add", "red", "10.0.0.77"], ["map", "del", "red", FIXED2],
                      ["apply", "--yes", "-f", path], ["cluster", "sync"]):
            has(one.cli.fails(*words), etcd.members[0].url)
        equal(one.cli.leases(), leases, "leases")
        ping(lab.red1, BLUE1)
        equal(one.cli.lines("restore"), ["nothing to be done"], "restore")
        etcd.members[0].start()
        etcd.wait()
        one.cli.run("map", "add", "red", "10.0.0.77")


@once
def test_members_after_an_older_snapshot(lab):
    """Nothing is changed, on any host or in etcd, until somebody decides; traffic goes on."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        snapshot = etcd.snapshot()
        shared = one.cli.run("map", "add", "blue", "10.0.0.77").stdout.strip()
        two.sync()
        leases, said = two.cli.leases(), "restored from an older snapshot"
        with Agent(two) as agent:
            etcd.restore(snapshot)
            agent.says(said)
            for words in (["cluster", "sync"], ["map", "add", "blue", "10.0.0.78"], ["map", "del", "red", FIXED2],
                          ["apply", "--yes", "-f", path], ["export"]):
                has(two.cli.fails(*words), said, "cluster leave --forget")
            has(" ".join(two.cli.json("cluster", "status", code=1)["problems"]), said)
            assert shared not in json.dumps(keys(etcd, "blocks/")), "it is not the older one"
            equal(two.cli.leases(), leases, "what it has stays")
            reach(lab.red1, BLUE1)
        # who decides for the cluster's joins again; what the host has comes in, with its addresses
        two.cli.run("cluster", "leave", "--forget")
        two.join()
        equal(keys(etcd, "blocks/4/64400200")["blocks/4/64400200"][shared]["fixed"], "10.0.0.77", "its lease")


@once
def test_members_after_a_snapshot_that_has_gone_on(lab):
    """An older snapshot is one also when its revision has overtaken what a host has seen."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2", "hv3") as (etcd, one, two, three):
        one.cli.run("apply", "--yes", "-f", path)
        for host in two, three:
            host.sync()
        snapshot = etcd.snapshot()
        lost = one.cli.run("map", "add", "blue", "10.0.0.77").stdout.strip()
        two.sync()
        seen = two.cli.json("cluster", "status", code=1)["revision"]
        leases, said = two.cli.leases(), "restored from an older snapshot"
        etcd.restore(snapshot)
        # hv3 has seen nothing that is not there
        for n in range(seen):
            etcd.ctl("put", "x", str(n))
        three.cli.run("map", "add", "blue", "10.0.0.78", "--shared", lost)
        assert three.cli.json("cluster", "status", code=1)["revision"] > seen, "it has not overtaken"
        has(" ".join(two.cli.json("cluster", "status", code=1)["problems"]), said, "cluster leave --forget")
        for words in (["cluster", "sync"], ["map", "add", "blue", "10.0.0.79"], ["map", "del", "red", FIXED2],
                      ["apply", "--yes", "-f", path], ["export"], ["cluster", "join", etcd.urls, "--host", "hv2"]):
            has(two.cli.fails(*words), said, "cluster leave --forget")
        has(two.cli.run("doctor", code=None).stdout, said)
        with Agent(two, "--metrics", "127.0.0.1:9876") as agent:
            agent.says(said)
            eventually(lambda: equal(metrics(etcd, 9876)["tenantnat_cluster_older"], 1, "metric"))
        equal(two.cli.leases(), leases, "what it has stays")
        # its address was given to somebody else meanwhile
        two.cli.run("cluster", "leave", "--forget")
        has(two.cli.fails("cluster", "join", etcd.urls, "--host", "hv2", code=2), lost)
        three.cli.run("map", "del", "blue", "10.0.0.78")
        two.join()
        equal([p for p in two.cli.json("cluster", "status", code=1)["problems"] if said in p], [], "joined anew")
        two.sync()


@once
def test_members_after_a_snapshot_that_has_lost_nothing(lab):
    """Of what this host has: it goes on, and misses nothing of what was changed since."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        snapshot = etcd.snapshot()
        for n in range(20):
            etcd.ctl("put", "x", str(n))
        two.sync()
        etcd.restore(snapshot)
        one.cli.run("map", "add", "blue", "10.0.0.77")
        for n in range(40):
            etcd.ctl("put", "x", str(n))

        def has_blue(fixed):
            assert ("blue", fixed) in two.cli.leases(), "it has missed a change"
        with Agent(two):
            eventually(lambda: has_blue("10.0.0.77"))
            one.cli.run("map", "add", "blue", "10.0.0.78", "--wait", "60")
            has_blue("10.0.0.78")


@once
def test_members_that_have_slept_long(lab):
    """What a host had last may be older than all that the history keeps: then it reads everything."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        line = next(iter(keys(etcd, "history/")))
        etcd.ctl("del", "/tenantnat/" + line)
        one.cli.run("cluster", "leave", "--forget")
        one.join()
        one.cli.run("map", "add", "blue", "10.0.0.77")
        has(two.cli.fails("cluster", "sync"), "restored from an older snapshot")
        c, full = etcd.client(), 10000
        for n in range(0, full, 100):
            c.put(**{f"/tenantnat/history/f{i:015x}-0": "{}" for i in range(n, n + 100)})
        two.sync()
        assert ("blue", "10.0.0.77") in two.cli.leases(), "it has not followed"


@once
def test_members_lease_for_routers(lab):
    """The address that a router needs is the cluster's to give, and nobody else gets it."""
    lab.red.ip("addr flush dev shared0 scope global")
    try:
        with cluster(lab, "hv1", "hv2") as (etcd, one, two):
            one.cli.run("apply", "--yes", "-f", lab.write(definitions(lab), "members.yaml"))
            owned = [(address, owner) for block in keys(etcd, "blocks/").values()
                     for address, owner in block.items() if owner.get("router")]
            equal(owned, [("100.64.1.254", {"router": True, "tenant": "red"})], "in the cluster")
            has(sh(["ip", "-n", lab.red.name, "addr", "show", "dev", "shared0"]).stdout, "100.64.1.254/32")
            two.sync()
            reach(lab.red1, BLUE1)
            has(two.cli.fails("map", "add", "red", "10.0.0.9", "--shared", "100.64.1.254", code=2),
                "or of a router")
            one.cli.run("apply", "--yes", "-f", lab.write(definitions(lab), "members.yaml"))
            has(sh(["ip", "-n", lab.red.name, "addr", "show", "dev", "shared0"]).stdout, "100.64.1.254/32")
    finally:
        lab.settle("red", "shared0")
        lab.apply()


@once
def test_members_show_the_cluster(lab):
    """export, diff and history are of the whole, on each host."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (_, one, two):
        has(two.cli.fails("export"), "no definitions in the cluster")
        has(two.cli.run("diff", path, code=1).stdout, "+ tenant red")
        one.cli.run("apply", "--yes", "-f", path)
        exported = two.cli.run("export").stdout
        equal(one.cli.run("export").stdout, exported, "the same on both")
        has(exported, "name: red", "host: hv1", "name: blue", "host: hv2")
        two.cli.run("diff", lab.put("exported.yaml", exported))
        two.cli.run("diff", path)
        shared = two.cli.run("map", "add", "red", "10.0.0.77").stdout.strip()
        has(two.cli.run("diff", path, code=1).stdout, f"- mapping red 10.0.0.77 -> {shared}")
        has(one.cli.run("export", "--pin").stdout, shared)
        for host in one, two:
            history = host.cli.json("show", "history")
            equal([(c["user"].split()[-1], c["command"].split()[0], c["added"] > 0) for c in history],
                  [("hv1", "apply", True), ("hv2", "map", True)], "history")
            equal(history[1]["lines"], [{"sign": "+", "text": f"mapping red 10.0.0.77 -> {shared}"}], "lines")
            equal(host.cli.json("show", "history", str(history[1]["change"])), history[1:], "one of them")
            has(host.cli.fails("show", "history", "1", code=2), "no change 1")
            has(host.cli.fails("undo", code=2), "cannot be undone")


@once
def test_members_bring_in_what_they_had(lab):
    """Hosts that were alone become one cluster; every address stays."""
    lab.cli.run("detach", "--all")
    with Etcd(lab) as etcd:
        one, two, three = (Member(lab, etcd, name) for name in ("hv1", "hv2", "hv3"))
        try:
            # each knows the other from afar
            for host, mine in (one, "red"), (two, "blue"):
                there = lab.definitions()
                for name in "red", "blue":
                    there[name].pool = [f"100.64.{1 if name == 'red' else 2}.0/24"]
                    if name != mine:
                        there[name].router, there[name].accept, there[name].mappings = None, None, []
                host.cli.run("apply", "--yes", "-f", lab.write(there, f"{host.name}.yaml"))
            one.cli.run("map", "add", "red", "10.0.0.77")
            leases = {**one.cli.leases(), **two.cli.leases()}
            reach(lab.red1, BLUE1)
            one.join()
            equal(sorted(keys(etcd, "tenants/")), ["tenants/blue", "tenants/plain", "tenants/red"], "of hv1")
            two.join()
            there = keys(etcd, "tenants/")
            equal([there["tenants/" + name]["router"]["host"] for name in ("red", "blue")], ["hv1", "hv2"], "hosts")
            owned = {(owner["tenant"], owner["fixed"]): address for block in keys(etcd, "blocks/").values()
                     for address, owner in block.items()}
            equal(owned, leases, "addresses")
            for host in one, two:
                said = host.sync()
                assert not [line for line in said if line[2:].startswith("router ") and line[0] != "~"], said
            ping(lab.red1, BLUE1)

            # what does not go together
            before = keys(etcd)
            other = Definitions(Tenant("red", (FIXED, "100.64.1.99"), pool=["100.64.1.0/24"]),
                                Tenant("pink", ("10.2.0.1", RED1)))
            three.cli.run("apply", "--yes", "-f", lab.write(other, "other.yaml"))
            has(three.cli.fails("cluster", "join", etcd.urls, "--host", "hv3", code=2), "nothing was changed",
                f"tenant red: {FIXED} has 100.64.1.99 here, and {RED1} in the cluster",
                f"{RED1} is the address of", "of tenant pink")
            equal(keys(etcd), before, "etcd")
            has(three.cli.fails("cluster", "status"), "in no cluster")
        finally:
            for host in one, two, three:
                host.cli.run("detach", "--all", code=None)
            lab.apply()


@once
def test_members_attach_again_what_was_detached(lab):
    """An apply does, of the tenants that it is about; what follows the cluster does not."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1") as (_, one):
        one.cli.run("apply", "--yes", "-f", path)
        for words, state in ((["cluster", "sync"], "detached"), (["map", "add", "red", "10.0.0.77"], "detached"),
                             (["apply", "--tenant", "blue", "-f", path], "detached"),
                             (["apply", "--dry-run", "-f", path], "detached"),
                             (["apply", "--yes", "-f", path], "attached"),
                             (["apply", "--tenant", "red", "-f", path], "attached")):
            if one.routers()["red"] == "attached":
                one.cli.run("detach", "red")
            one.cli.run(*words)
            equal(one.routers()["red"], state, f"red after {words}")


@once
def test_members_keep_their_routers_under_another_name(lab):
    """Definitions that name the host go with its name, when it joins and when it leaves."""
    machine = socket.gethostname()
    there = lab.definitions()
    there["red"].router["host"] = machine
    there["blue"].router.update(hosts=f"[{machine}, hv9]", active="always")
    for name, pool in ("red", "100.64.1.0/24"), ("blue", "100.64.2.0/24"):
        there[name].pool = [pool]

    def names(host):
        return [line.split(":")[1].strip() for line in host.cli.lines("export") if " host" in line]

    def stay(host, want):
        """Whatever looks after routers finds nothing to do."""
        for words in want:
            equal(host.cli.lines(*words), ["nothing to be done"], " ".join(words))
        ping(lab.red1, BLUE1)

    lab.cli.run("detach", "--all")
    with Etcd(lab) as etcd:
        one = Member(lab, etcd, "hv1")
        try:
            one.cli.run("apply", "--yes", "-f", lab.write(there, "named.yaml"))
            reach(lab.red1, BLUE1)
            one.join()
            equal(names(one), ["[hv1, hv9]", "hv1"], "in the cluster")
            equal(one.cli.lines("restore"), ["nothing to be done"], "restore before it has followed")
            one.sync()
            stay(one, (["restore"], ["cluster", "sync"]))
            for forget in [], ["--forget"]:
                one.cli.run("cluster", "leave", "--yes", *forget)
                equal(names(one), [f"[{machine}, hv9]", machine], "on the host alone")
                stay(one, (["restore"],))
                one.join()
                one.sync()
                stay(one, (["restore"], ["cluster", "sync"]))
        finally:
            one.cli.run("detach", "--all", code=None)
            lab.apply()


@once
def test_members_that_were_taken_out(lab):
    """They follow and change nothing any more, above all when another machine has their name."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        three = Member(lab, etcd, "hv3")
        leases = two.cli.leases()
        for come_back, said in ((lambda: None, "the cluster has no host hv2 any more"),
                                (lambda: three.cli.run("cluster", "join", etcd.urls, "--host", "hv2"),
                                 "another machine is host hv2 of the cluster now")):
            one.cli.run("cluster", "leave", "--host", "hv2", code=None)
            come_back()
            before = keys(etcd)
            for words in (["cluster", "sync"], ["map", "add", "blue", "10.0.0.77"], ["map", "del", "red", FIXED2],
                          ["apply", "--yes", "-f", path], ["export"]):
                has(two.cli.fails(*words), said, "tenantnat cluster leave")
            has(" ".join(two.cli.json("cluster", "status", code=1)["problems"]), said)
            with Agent(two) as agent:
                agent.says(said)
            equal(keys(etcd), before, "etcd")
            equal(two.cli.leases(), leases, "what it has stays")
        two.cli.run("cluster", "leave", "--yes")
        assert "hosts/hv2" in keys(etcd, "hosts/"), "the other machine's"


@once
def test_members_refuse_what_is_damaged(lab):
    """One sentence names the key; this host stays as it is."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        leases = two.cli.leases()
        for key, value, what in (
                ("tenants/blue", '{"name":"blue","qos":1}', "unknown key `qos`"),
                ("tenants/blue", "no json", "no JSON"),
                ("blocks/4/64400200", '{"100.64.2.5":{"tenant":"blue","fixed":"10.0.0.5","zone":"x"}}', "`zone`"),
                ("head", '{"changes":1,"era":2}', "`era`")):
            before = etcd.ctl("get", "--print-value-only", "/tenantnat/" + key).strip()
            etcd.ctl("put", "/tenantnat/" + key, value)
            for words in ["cluster", "sync"], ["apply", "--yes", "-f", path], ["map", "add", "blue", "10.0.0.9"]:
                has(two.cli.fails(*words), key, what)
            equal(two.cli.leases(), leases, "leases")
            etcd.ctl("put", "/tenantnat/" + key, before)
        equal(two.sync(), ["nothing to be done"], "mended")


@once
def test_members_go_over_a_change_that_was_cut_short(lab):
    """While it is there nobody changes or converges; whoever applies mends it."""
    path = lab.write(definitions(lab), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        etcd.ctl("put", "/tenantnat/head", '{"changes":1,"open":{"at":1,"command":"apply -f x",'
                 '"host":"hv9","user":"root"}}')
        etcd.ctl("del", "/tenantnat/tenants/blue")      # and its mappings are left
        etcd.ctl("put", "/tenantnat/changing", "{}")
        for words in ["cluster", "sync"], ["map", "add", "red", "10.0.0.9"], ["apply", "--yes", "-f", path]:
            has(two.cli.fails(*words), "root on hv9 is changing the definitions", "apply -f x")
        etcd.ctl("del", "/tenantnat/changing")
        for words in ["cluster", "sync"], ["map", "add", "red", "10.0.0.9"]:
            has(two.cli.fails(*words), "root on hv9 was cut short", "apply again")
        equal(two.routers()["blue"], "attached", "nothing was changed")
        said = one.cli.run("apply", "--yes", "-f", path).stderr
        has(said, "by root on hv9, was cut short")
        equal(keys(etcd, "head")["head"], {"changes": 2}, "head")
        equal(two.sync(), ["nothing to be done"], "mended")


@once
def test_members_wait_for_no_dead_writer(lab):
    """A writer that waits for an answer keeps its lease; after one that is killed others go on soon."""
    many = [Tenant(f"t{i}", ("10.1.0.1",), pool=["100.64.8.0/22"]) for i in range(300)]
    path = lab.write(Definitions(*many), "many.yaml")
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        stuck, go_on, txns = threading.Event(), threading.Event(), []

        def answer(request):
            if request.startswith(b"POST /v3/kv/txn "):
                txns.append(request)
                if len(txns) == 6:      # in the midst of what it writes
                    stuck.set()
                    go_on.wait(120)
            return passed_on(etcd.ns, request)

        def left():
            lease = json.loads(etcd.ctl("get", "/tenantnat/changing", "-w", "json"))["kvs"][0]["lease"]
            return json.loads(etcd.ctl("lease", "timetolive", f"{lease:x}", "-w", "json"))

        with Answerer(etcd.ns, answer) as proxy:
            one.cli.run("cluster", "join", proxy.url, "--host", "hv1")
            txns.clear()
            writer = one.cli.start("apply", "--yes", "-f", path)
            try:
                assert stuck.wait(60), "it has not come so far"
                assert left()["granted-ttl"] <= 10, left()
                seen = [left()["ttl"]]

                def kept():
                    seen.append(left()["ttl"])
                    assert min(seen) + 1 < seen[-1], f"not kept: {seen}"
                eventually(kept, 60)
                has(two.cli.fails("cluster", "sync"), "is changing the definitions")
            finally:
                writer.kill()
                writer.wait()
                go_on.set()
        eventually(lambda: equal(keys(etcd, "changing"), {}, "changing"), 60)
        two.cli.run("apply", "--yes", "-f", path)
        equal(keys(etcd, "head")["head"], {"changes": 1}, "head")


@once
def test_members_change_more_than_a_transaction_takes(lab):
    """Thousands of tenants and mappings at once, and all of them away again."""
    many = [Tenant(f"t{i}", *[(f"10.{i % 250}.{n}.1",) for n in range(4)]) for i in range(300)]
    with cluster(lab, "hv1", "hv2") as (etcd, one, two):
        one.cli.run("apply", "--yes", "-f", lab.write(Definitions(*many), "many.yaml"))
        equal(len(keys(etcd, "tenants/")), 300, "tenants")
        equal(sum(len(block) for block in keys(etcd, "blocks/").values()), 1200, "addresses")
        equal(keys(etcd, "head")["head"], {"changes": 1}, "head")
        assert "changing" not in keys(etcd, "changing")
        two.sync()
        equal(two.cli.leases(), one.cli.leases(), "leases")
        none = lab.put("none.yaml", "shared-network: {subnets: [100.64.0.0/16]}\ntenants: []\n")
        one.cli.run("apply", "--yes", "-f", none)
        equal((keys(etcd, "tenants/"), keys(etcd, "blocks/")), ({}, {}), "all gone")


class Caller(threading.Thread):
    """Adds and removes mappings of its own at random, and notes what it was told."""

    def __init__(self, hosts, number, seed):
        super().__init__(daemon=True)
        self.hosts, self.number, self.dice = hosts, number, random.Random(f"{seed} {number}")
        self.told = {}      # (tenant, fixed): the shared address, None, or "unknown" after an error
        self.refused = []
        self.start()

    def run(self):
        for _ in range(10):
            tenant, fixed = self.dice.choice("ab"), f"10.{self.number}.0.{self.dice.randrange(1, 5)}"
            host, had = self.dice.choice(self.hosts), self.told.get((tenant, fixed))
            if had == "unknown":
                continue
            done = host.cli.run("map", "del" if had else "add", tenant, fixed, code=None)
            self.told[tenant, fixed] = None if had else done.stdout.strip()
            if done.returncode:
                self.told[tenant, fixed] = "unknown"
                self.refused.append(done.stderr.strip())


@once
def test_members_many_callers_and_etcds_that_die(lab):
    """No address with two owners, no lease that is lost, none reported and not kept."""
    seed = os.environ.get("SEED", "23")
    there = Definitions(*[Tenant(name, pool=["100.64.8.0/25"]) for name in "ab"])
    with cluster(lab, "hv1", "hv2", "hv3", members=3) as (etcd, *hosts):
        hosts[0].cli.run("apply", "--yes", "-f", lab.write(there, "members.yaml"))
        callers = [Caller(hosts, number, seed) for number in range(6)]
        for member in etcd.members:
            time.sleep(1)
            member.kill()
            time.sleep(1)
            member.start()
        for caller in callers:
            caller.join()
        etcd.wait()
        owned = {}
        for block in keys(etcd, "blocks/").values():
            for address, owner in block.items():
                assert (owner["tenant"], owner["fixed"]) not in owned, f"{owner} has two addresses"
                owned[owner["tenant"], owner["fixed"]] = address
        told = {what: address for caller in callers for what, address in caller.told.items()}
        refused = [said for caller in callers for said in caller.refused]
        for what, address in told.items():
            assert address == "unknown" or owned.get(what) == address, \
                f"{what} was told {address}, and has {owned.get(what)}"
        assert set(owned) <= set(told), f"of nobody: {set(owned) - set(told)}"
        assert [a for a in told.values() if a not in (None, "unknown")], f"all failed: {refused}"
        for host in hosts:
            host.sync()
            equal(host.cli.leases(), owned, "leases")


@once
def test_members_apply_is_killed_anywhere(lab):
    """What is left is the cluster before or after, or a change that the next apply goes over."""
    with Etcd(lab) as etcd, etcd.ns.entered():
        host = Member(lab, etcd, "hv1")
        host.cli = host.cli.elsewhere(under=[], bpffs=f"{BPFFS}/hv1")
        host.scratch, host.bpffs = etcd.directory, f"{BPFFS}/hv1"
        host.join()
        # more keys than a transaction takes
        many = [Tenant(f"t{i}", ("10.1.0.1",), pool=["100.64.8.0/22"]) for i in range(300)]
        before = lab.write(Definitions(*many[:150]), "before.yaml")
        after = lab.write(Definitions(*many[75:]), "after.yaml")
        words = ["apply", "--yes", "-f", after]
        strace = Strace(host)
        host.cli.run("apply", "--yes", "-f", before)
        done, calls = strace.trace(*words)
        equal(done.returncode, 0, done.stderr)
        network = [c for c in calls if c.name in ("connect", "sendto", "recvfrom")]
        txns = [c for c in network if "/v3/kv/txn" in c.text]
        assert len(txns) > 4, f"one transaction: {txns}"
        few = spread(network, 6) + txns + spread(calls[calls.index(txns[-1]):], 4)
        some = calls if lab.every else moments(calls) + network if lab.long else few
        left = set()
        for call in some:
            host.cli.run("apply", "--yes", "-f", before)
            leases = owners(etcd)
            if not strace.at(call, "signal=KILL", *words)[1]:
                continue    # it did not come so far this time
            head, there = keys(etcd, "head")["head"], owners(etcd)
            what = f"killed at {call}"
            if "open" in head:
                left.add("unfinished")
                has(host.cli.fails("cluster", "sync"), "is changing the definitions", "apply --file")
                etcd.ctl("del", "/tenantnat/changing")      # its lease ends
                has(host.cli.fails("cluster", "sync"), "cut short", "apply again")
            else:
                left.add("after" if there != leases else "before")
                assert there == leases or set(there) == {f"t{i}" for i in range(75, 300)}, f"{what}: {there}"
            host.cli.run(*words)
            there = owners(etcd)
            equal(set(there), {f"t{i}" for i in range(75, 300)}, what)
            for tenant in set(leases) & set(there):
                equal(there[tenant], leases[tenant], f"{what}: the lease of {tenant}")
            assert "open" not in keys(etcd, "head")["head"], what
        equal(left, {"before", "unfinished", "after"}, "what was left")


def owners(etcd):
    """{tenant: its address}, of tenants with one."""
    return {owner["tenant"]: address for block in keys(etcd, "blocks/").values()
            for address, owner in block.items()}
