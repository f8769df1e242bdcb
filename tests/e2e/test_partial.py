# SPDX-License-Identifier: GPL-2.0-only
"""One bad router keeps no other from its place; some tenants of a file; and what removes most of it."""
import os
import pty
import subprocess

from agent import Agent
from case import equal, eventually, once
from defs import Definitions, Tenant
from lab import SUBNET
from pair import portrait
from routers import Routers, sorted_lists
from snapshot import unchanged
from traffic import ping

COUNT = 4


def defined(routers, names=range(COUNT), name="defs", more=(), **router):
    """Tenants t0, t1, …, with two mappings each; nothing but those addresses is pinned."""
    return routers.write(Definitions(
        *(Tenant(f"t{i}", ("10.0.0.5", f"100.64.{i}.5"), ("10.0.0.6", f"100.64.{i}.6"),
                 router=routers.of(i, **router), pool=[f"100.64.{i}.0/24"]) for i in names),
        *more, subnets=(SUBNET,)), name)


def passed_over(routers):
    return [t["tenant"] for t in routers.cli.json("show")["tenants"] if t["router"]["passed_over"]]


def states(routers):
    return {t["tenant"]: t["router"]["state"] for t in routers.cli.json("show")["tenants"]}


class Broken:
    """A lab in which t1 has no namespace, and somebody has an address of t2."""

    def __init__(self, lab, name):
        self.routers = Routers(lab, name, COUNT, forwarding=False)
        self.routers.ns[1].remove()
        self.routers.wire.ip("addr add 100.64.2.6/32 dev br0")

    def bring_namespace(self):
        self.routers.ns[1] = self.routers.router(1)

    def free_address(self):
        self.routers.wire.ip("addr del 100.64.2.6/32 dev br0")

    def close(self):
        self.routers.close()


def named(said, *tenants):
    """A line for each of them, and one for all."""
    lines = said.strip().splitlines()
    for tenant in tenants:
        assert any(f"tenant {tenant}:" in line for line in lines), f"{tenant} is not named: {said}"
    assert f"{len(tenants)} of the routers could not be" in lines[-1], said
    others = {f"t{i}" for i in range(COUNT)} - set(tenants)
    assert not [o for o in others if f"tenant {o}:" in said], said


def looks(routers, number):
    return sorted_lists(portrait(routers.ns[number]))


@once
def test_partial_apply(lab):
    """Missing, and refused by a probe: named, left as they were, and joined by restore, with probes."""
    broken = Broken(lab, "part")
    routers = broken.routers
    try:
        before, path = looks(routers, 2), defined(routers)
        clean = routers.picture_of([0, 2, 3])
        assert "t1" in routers.cli.fails("apply", "-f", path)
        unchanged(clean, routers.picture_of([0, 2, 3]), "an apply of all")
        done = routers.cli.run("apply", "--partial", "-f", path, code=1)
        named(done.stderr, "t1", "t2")
        assert "probe `duplicate` of 100.64.2.6" in done.stderr, done.stderr
        assert not [l for l in done.stdout.splitlines() if l.startswith("+ router t2")], done.stdout
        equal(states(routers), {"t0": "attached", "t1": "missing", "t2": "missing",
                                "t3": "attached"}, "states")
        equal(passed_over(routers), ["t1", "t2"], "who was passed over")
        equal(len(routers.cli.json("map", "list")), 2 * COUNT, "mappings that are known")
        unchanged(before, looks(routers, 2), "a router that was passed over")
        for address in ("100.64.0.254", "100.64.3.254"):
            ping(routers.wire, address)
        # again, and once more by restore: it is probed there, too
        for words in (("apply", "--partial", "-f", path), ("restore",)):
            done = routers.cli.run(*words, code=1)
            named(done.stderr, "t1", "t2")
            equal(done.stdout, "nothing to be done\n", f"what {words[0]} does")
            unchanged(before, looks(routers, 2), f"{words[0]} once more")
        broken.free_address()
        named(routers.cli.run("restore", code=1).stderr, "t1")
        broken.bring_namespace()
        routers.cli.run("restore")
        equal(set(states(routers).values()), {"attached"}, "states in the end")
        equal(passed_over(routers), [], "who is passed over in the end")
        for i in range(COUNT):
            ping(routers.wire, f"100.64.{i}.254")
        equal(routers.cli.apply(path), ["nothing to be done"], "the whole file in the end")
    finally:
        broken.close()


@once
def test_partial_apply_keeps_what_was(lab):
    """A router that has joined, and cannot be what it is to be, goes on as it was; the others change."""
    routers = Routers(lab, "partkept", 2)
    try:
        routers.cli.apply(defined(routers, range(2)))
        before = looks(routers, 1)
        programs = [p["id"] for t in routers.cli.json("show")["tenants"]
                    for p in t["router"]["programs"] if t["tenant"] == "t1"]
        routers.wire.ip("addr add 100.64.1.99/32 dev br0")
        path = defined(routers, range(2), sources="loose")
        with open(path, encoding="ascii") as f:
            text = f.read()
        head, tail = text.split("  - name: t1")
        with open(path, "w", encoding="ascii") as f:
            f.write(head + "  - name: t1" + tail.replace("      sources: loose",
                                                         "      address: 100.64.1.99"))
        done = routers.cli.run("apply", "--partial", "-f", path, code=1)
        assert "tenant t1: the probe `duplicate` of 100.64.1.99" in done.stderr, done.stderr
        assert [l for l in done.stdout.splitlines() if l.startswith("~ router t0")], done.stdout
        unchanged(before, looks(routers, 1), "a router that could not change")
        ping(routers.wire, "100.64.1.254")
        assert programs, "no programs"
        equal(set(states(routers).values()), {"attached"}, "states")
        assert "t1" in routers.cli.run("restore", code=1).stderr
        routers.wire.ip("addr del 100.64.1.99/32 dev br0")
        routers.cli.run("restore")
        ping(routers.wire, "100.64.1.99")
        equal(routers.cli.apply(path), ["nothing to be done"], "the file in the end")
    finally:
        routers.close()


@once
def test_partial_apply_past_an_island(lab):
    """A router on another network answers nobody: it is at fault, and none of those that ask it."""
    routers = Routers(lab, "island", COUNT)
    try:
        # one that has joined already is no hindrance either
        routers.cli.apply(defined(routers, (0,)))
        routers.ns[0].ip("addr flush dev shared0 scope global")
        routers.wire.ip("link set p2 nomaster")
        done = routers.cli.run("apply", "--partial", "-f", defined(routers), code=1)
        named(done.stderr.replace("(t0)", ""), "t2")
        routers.wire.ip("link set p2 master br0")
        routers.cli.run("restore")
        equal(set(states(routers).values()), {"attached"}, "states in the end")
    finally:
        routers.close()


@once
def test_agent_tries_again(lab):
    """What a file names and cannot be joined is tried again, with the probes; nobody sends SIGHUP."""
    broken = Broken(lab, "partagent")
    routers = broken.routers
    try:
        path = defined(routers)
        with Agent(routers, "-f", path) as agent:
            equal(states(routers), {"t0": "attached", "t1": "missing", "t2": "missing",
                                    "t3": "attached"}, "states when it is ready")
            agent.says("tenant t1", "no network namespace")
            agent.says("tenant t2", "probe `duplicate` of 100.64.2.6")
            broken.free_address()
            eventually(lambda: equal(states(routers)["t2"], "attached", "t2"), 60)
            broken.bring_namespace()
            eventually(lambda: equal(states(routers)["t1"], "attached", "t1"), 60)
            agent.says("tenant t1 is in order again")
        equal(routers.cli.apply(path), ["nothing to be done"], "the file in the end")
    finally:
        broken.close()


# ---------------------------------------------------------------- some tenants

@once
def test_apply_of_some_tenants(lab):
    """They come, change and go; the others stay as they are, also what is wrong with them."""
    routers = Routers(lab, "some", COUNT)
    cli = routers.cli
    try:
        cli.apply(defined(routers, (0, 1)))
        before = looks(routers, 0)
        routers.ns[0].ip("route flush proto 116")     # for nobody here to mend
        bare = looks(routers, 0)
        path = defined(routers, (0, 1, 2, 3), "more", sources="loose")
        said = cli.apply(path, "--tenant", "t2", "--tenant", "t1")
        assert not [l for l in said if "t0" in l or "t3" in l], said
        assert [l for l in said if l.startswith("~ router t1")], said
        equal(states(routers), {"t0": "attached", "t1": "attached", "t2": "attached"}, "states")
        unchanged(bare, looks(routers, 0), "a router of somebody else")
        equal(cli.apply(path, "--tenant", "t1,t2"), ["nothing to be done"], "the same again")
        # gone from the file
        said = cli.apply(defined(routers, (0, 3), "less"), "--tenant", "t1", "t3")
        equal(states(routers), {"t0": "attached", "t2": "attached", "t3": "attached"}, "states")
        unchanged(bare, looks(routers, 0), "a router of somebody else")
        cli.run("restore")
        unchanged(before, looks(routers, 0), "a router that was restored")
        for words, complaint in (
                (("--tenant", "nobody"), "there is no tenant nobody"),
                (("t0",), "give the definitions with -f FILE, and tenants with --tenant")):
            assert complaint in cli.fails("apply", "-f", path, *words, code=2)
        other = routers.write(Definitions(Tenant("t2", pool=["100.65.0.0/24"]),
                                          subnets=("100.65.0.0/16",)), "other")
        assert "shared subnets" in cli.fails("apply", "-f", other, "--tenant", "t2", code=2)
        friends = routers.write(Definitions(
            Tenant("t2", router=routers.of(2), accept=({"from": ["t1"]},)), Tenant("t1"),
            subnets=(SUBNET,)), "friends")
        assert "accepts tenant t1, which is not in force" in \
            cli.fails("apply", "-f", friends, "--tenant", "t2", code=2)
    finally:
        routers.close()


@once
def test_new_tenant_alone_is_accepted(lab):
    """By those who accept everybody: they do not change, and who is everybody does."""
    routers = Routers(lab, "somenew", 2)
    try:
        path = defined(routers, (0, 1))
        routers.cli.apply(path, "--tenant", "t0")
        routers.cli.apply(path, "--tenant", "t1")
        equal(routers.cli.lines("restore"), ["nothing to be done"], "what is left to be done")
    finally:
        routers.close()


# ---------------------------------------------------------------- to remove most of it

def typed(cli, answer, *words):
    """The exit status of a command on a terminal, where that is typed in; and what it asked."""
    here, there = pty.openpty()
    with subprocess.Popen(cli.argv(*words), env=cli.env, stdin=there, stdout=subprocess.DEVNULL,
                          stderr=there) as run:
        os.write(here, answer.encode())
        code = run.wait(120)
    os.close(there)
    said = os.read(here, 4096).decode()
    os.close(here)
    return code, said


@once
def test_removing_most_has_to_be_meant(lab):
    """More than half and ten at least, or all of it: on a terminal it asks, elsewhere it says --yes."""
    routers = Routers(lab, "most", 1)
    cli = routers.cli

    def file(count, name):
        many = [(f"10.0.0.{i}", f"100.64.0.{i}") for i in range(5, 5 + count)]
        return routers.write(Definitions(
            Tenant("t0", *many, router=routers.of(0)), subnets=(SUBNET,)), name)

    try:
        all_of, half, few = file(21, "all"), file(11, "half"), file(10, "few")
        nobody = lab.put("nobody.yaml", f"shared-network: {{subnets: [{SUBNET}]}}\ntenants: []\n")
        cli.apply(all_of)
        before = routers.picture()
        said = cli.fails("apply", "-f", few, code=2)
        assert "removes 11 of 21 mappings" in said and "--yes" in said, said
        said = cli.fails("apply", "-f", nobody, code=2)
        assert "no tenant is left: this removes 1 tenant, with 21 mappings" in said, said
        for answer in ("n\n", "\n"):
            code, said = typed(cli, answer, "apply", "-f", few)
            equal(code, 1, "exit when that is not meant")
            assert "removes 11 of 21 mappings; go on? [y/N]" in said, said
        unchanged(before, routers.picture(), "what was not meant")
        cli.run("apply", "--dry-run", "-f", nobody)
        with Agent(routers, "-f", nobody) as agent:
            agent.says("no tenant is left", "tenantnat apply --yes -f " + nobody)
        unchanged(before, routers.picture(), "an agent with an empty file")
        cli.apply(half)                     # no more than half
        cli.apply(all_of)
        equal(typed(cli, "y\n", "apply", "-f", few)[0], 0, "exit when it is meant")
        equal(len(cli.leases()), 10, "mappings")
        cli.apply(nobody, "--yes")
        equal(cli.leases(), {}, "mappings in the end")
    finally:
        routers.close()
