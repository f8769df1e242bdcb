# SPDX-License-Identifier: GPL-2.0-only
"""Where addresses are, told to the shared network: by hand, and in the background."""
import os
import signal

from agent import Agent
from case import equal, eventually, once
from lab import FIXED, GREEN, RED, RED1, RED2
from net import announcing
from test_join import announced
from test_restore import with_green
from traffic import Watch, ping

AT_ONCE = 1000      # user/probe/announce.h
FIRST = 10 << 24 | 1 << 16


def with_many(lab, count):
    """green with so many mappings, and the one of the lab."""
    many = with_green(lab)
    many["green"].mappings += [(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}", None, None)
                               for i in range(FIRST, FIRST + count)]
    many["green"].pool = ["100.64.3.0/24", "100.64.32.0/19"]
    return many


def leased(lab, tenant):
    return {address for (name, _), address in lab.cli.leases().items() if name == tenant}


def told(watch, lab, tenant):
    """The addresses that have been announced there."""
    found = {announced(frame, lab.macs[tenant]) for frame in watch.frames}
    watch.frames.clear()
    return found - {None}


def hear_all(watch, lab, wanted):
    """green announces all of these in the end, and nothing else but its own address."""
    seen = set()

    def all_told():
        watch.until(lambda frame: False, 0.05)
        seen.update(told(watch, lab, "green"))
        equal(wanted - seen, set(), "what was not announced")
    eventually(all_told)
    equal(seen - wanted - {GREEN}, set(), "what else was announced")


def silent(lab):
    eventually(lambda: equal(announcing(lab.cli.state), [], "announcing"))


@once
def test_announce(lab):
    """By hand: all of one router, or of all; nothing is changed by it."""
    with Watch(lab.plain, "shared0") as watch:
        equal(lab.cli.lines("announce", "red"), ["tenant red: 3 addresses announced"], "said")
        equal({f["tenant"]: f["announced"] for f in lab.cli.json("announce", "red", "blue")},
              {"red": 3, "blue": 2}, "JSON")

        def all_told():
            watch.until(lambda frame: False, 0.05)
            frames = [announced(frame, lab.macs["red"]) for frame in watch.frames]
            equal(sorted(f for f in frames if f), sorted([RED, RED1, RED2] * 2), "announced")
        eventually(all_told)
        equal(lab.cli.run("-q", "announce").stdout, "", "said with -q")
        inside = lab.cli.elsewhere(under=["ip", "netns", "exec", lab.red.name])
        said = inside.fails("announce", "red")
        assert "no BPF file system is mounted" in said and "leave out `ip netns exec`" in said, said
    assert "there is no tenant brown" in lab.cli.fails("announce", "red", "brown", code=2)
    lab.cli.run("detach", "red")
    assert "no router here that is attached" in lab.cli.fails("announce", "red", code=2)
    equal([f["tenant"] for f in lab.cli.json("announce")], ["blue"], "routers")
    lab.apply()


@once
def test_announced_at_once(lab):
    """As many as there is time for, when the command ends; no other process is needed."""
    with Watch(lab.plain, "shared0", 1 << 25) as watch:
        done = lab.cli.run("apply", "-f", lab.write(with_many(lab, AT_ONCE - 1)), "--no-probe")
        hear_all(watch, lab, leased(lab, "green") | {GREEN})
    assert "background" not in done.stderr, done.stderr
    equal(announcing(lab.cli.state), [], "announcing")
    lab.apply()


@once
def test_announced_in_the_background(lab):
    """All of them, also when they are many, and by nobody who holds the terminal or the lock."""
    with Watch(lab.plain, "shared0", 1 << 25) as watch:
        done = lab.cli.run("apply", "-f", lab.write(with_many(lab, 3000)), "--no-probe")
        assert "3001 addresses are being announced in the background" in done.stderr, done.stderr
        wanted = leased(lab, "green") | {GREEN}
        equal(len(wanted), 3002, "addresses")
        hear_all(watch, lab, wanted)
    silent(lab)
    lab.apply()


@once
def test_announced_while_it_is_true(lab):
    """Who leaves meanwhile is not announced any more; what comes to others is theirs."""
    with Watch(lab.plain, "shared0", 1 << 25) as watch:
        lab.cli.run("apply", "-f", lab.write(with_many(lab, 8000)), "--no-probe")
        pids = announcing(lab.cli.state)
        equal(len(pids), 1, "processes that announce")
        first = watch.until(lambda f: announced(f, lab.macs["green"]) not in (None, GREEN), 10, 0)
        os.kill(pids[0], signal.SIGSTOP)
        assert first, "nothing was announced"
        lab.cli.run("detach", "green")
        watch.until(lambda frame: False, 0.1)
        before = told(watch, lab, "green")
        assert len(before) < 7000, "the rest is too few to see anything"
        os.kill(pids[0], signal.SIGCONT)
        silent(lab)
        watch.until(lambda frame: False, 0.1)
        seen = told(watch, lab, "green")
    assert len(seen) <= 500, f"{len(seen)} addresses were announced after the router had left"
    lab.apply()


@once
def test_announced_by_the_agent(lab):
    """Many new addresses of a router that is there: the agent does it itself."""
    path = lab.write(with_green(lab), "agent.yaml")
    with Agent(lab, "-f", path) as agent, Watch(lab.plain, "shared0", 1 << 25) as watch:
        ping(lab.red1, RED2)
        lab.write(with_many(lab, 2000), "agent.yaml")
        agent.run.send_signal(signal.SIGHUP)
        agent.until("READY=1")
        equal(announcing(lab.cli.state), [], "other processes")
        wanted = leased(lab, "green")
        assert len(wanted) == 2001 and lab.cli.leases()["green", FIXED] in wanted, len(wanted)
        hear_all(watch, lab, wanted)
    lab.apply()
