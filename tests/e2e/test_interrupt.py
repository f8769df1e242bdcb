# SPDX-License-Identifier: GPL-2.0-only
"""
SIGINT, SIGTERM and SIGHUP at any moment of a change: it is taken back to the byte, or done. The second
one ends it at once, and what is left is told.
"""
import glob
import random
import signal
import time

from agent import Agent
from case import equal, eventually, once
from defs import Definitions, Tenant
from inject import moments
from lab import SUBNET
from routers import Routers
from snapshot import unchanged
from test_kill import Ways, back, first, places, restoring, walking, wiped
from test_lock import has_lock

SIGNALS = ("INT", "TERM", "HUP")
# of each command, in a short run and in a long one
SOME, MANY = 6, 50


def where(walk, way):
    """Calls of an undisturbed run: some of those behind which something has changed."""
    walk.before(way, False)
    done, some = walk.strace.trace(*way.words)
    equal(done.returncode, 0, f"{way}: exit of a run that is only watched ({done.stderr})")
    walk.forward(way.end.joined)
    walk.at = way.end
    some = moments(some)
    dice = random.Random(str(way))
    return sorted(dice.sample(some, min(len(some), MANY if walk.long else SOME)),
                  key=some.index)


def interrupt(walk, way, call, number):
    """As before, or as after; and it says which."""
    name = SIGNALS[number % len(SIGNALS)]
    what = f"{way}, SIG{name} at {call}"
    walk.before(way, False)
    done, _ = walk.strace.at(call, f"signal={name}", *way.words)
    walk.judge_run(what, way, False)
    said = done.stderr.strip()
    if done.returncode == 1:
        equal(said, f"tenantnat: interrupted (SIG{name}); everything is as it was before", what)
    else:   # before it could change anything, it is nobody's to take back
        killed = done.returncode == -getattr(signal, "SIG" + name)
        assert done.returncode == 0 or killed, f"{what}: exit {done.returncode}: {said}"
    place = way.end if done.returncode == 0 else way.start
    walk.struck += done.returncode == 1
    walk.rest(place, what, full=True)


def to_and_fro(walk, forth, back_again):
    """Each way as often as asked for, from wherever the one before has ended."""
    left = {way: where(walk, way) for way in (forth, back_again)}
    number = 0
    while any(left.values()):
        way = forth if walk.at is forth.start else back_again
        if left[way]:
            interrupt(walk, way, left[way].pop(0), number)
            number += 1
        else:
            walk.plain(way)
    if walk.at is not forth.start:
        walk.plain(back_again)


@once
def test_interrupted_in_first_join(lab):
    """No state, no pins: it is as if tenantnat had never been there."""
    with walking(lab, "intjoin", bare=("red",), six=True) as walk:
        way = first(walk)
        places(walk, way)
        back(walk)
        some = where(walk, way)
        back(walk)
        for number, call in enumerate(some):
            interrupt(walk, way, call, number)
            back(walk)
        assert walk.struck > len(some) / 2, f"only {walk.struck} of {len(some)} were taken back"


@once
def test_interrupted_anywhere(lab):
    """apply, map add, map del, detach."""
    with walking(lab, "int") as walk:
        ways = Ways(walk)
        for forth, back_again in (ways.change, ways.map, ways.detach):
            to_and_fro(walk, forth, back_again)
        assert walk.struck > 2, f"only {walk.struck} were taken back"


@once
def test_interrupted_in_restore(lab):
    """What was not there is not there again, or all of it is."""
    with walking(lab, "intback", bare=("red",)) as walk:
        way = restoring(walk)
        some = where(walk, way)
        wiped(walk)
        for number, call in enumerate(some):
            interrupt(walk, way, call, number)
            wiped(walk)
        assert walk.struck > 1, f"only {walk.struck} were taken back"


# ---------------------------------------------------------------- many routers

COUNT = 8


def defined(routers, count, name):
    return routers.write(Definitions(
        *(Tenant(f"t{i}", ("10.0.0.5", f"100.64.{i}.5"), router=routers.of(i))
          for i in range(count)), subnets=(SUBNET,)), name)


def attached(routers):
    return len(glob.glob(routers.bpffs + "/routers/*"))


def started(routers, path, least):
    """An apply that has attached so many routers."""
    run = routers.cli.start("-q", "apply", "-f", path)
    while run.poll() is None and attached(routers) < least:
        time.sleep(0.001)
    return run


def ended(run):
    said = run.communicate(timeout=120)[1]
    return run.returncode, said.strip()


@once
def test_interrupted_with_many_routers(lab):
    """Some are attached, in parallel: all of them go again, by SIGINT and SIGTERM."""
    routers = Routers(lab, "intmany", COUNT)
    try:
        two, all_of = defined(routers, 2, "two"), defined(routers, COUNT, "all")
        routers.cli.apply(two)
        before = routers.picture()
        for name, least in (("INT", 3), ("TERM", 5)):
            run = started(routers, all_of, least)
            run.send_signal(getattr(signal, "SIG" + name))
            equal(ended(run), (1, f"tenantnat: interrupted (SIG{name}); everything is as it was "
                                  "before"), "exit, and what it says")
            unchanged(before, routers.picture(), f"SIG{name}")
    finally:
        routers.close()


@once
def test_interrupted_while_it_waits(lab):
    """For the lock of another one."""
    routers = Routers(lab, "intwait", 2)
    try:
        one, two = defined(routers, 1, "one"), defined(routers, 2, "two")
        routers.cli.apply(one)
        run = routers.cli.start("apply", "-f", two)
        while not has_lock(routers, run.pid):
            time.sleep(0.001)
        run.send_signal(signal.SIGSTOP)
        second = routers.cli.start("--wait", "600", "map", "add", "t0", "10.0.0.6")
        eventually(lambda: equal(catches(second.pid), True, "whether it waits"))
        second.send_signal(signal.SIGINT)
        code, said = ended(second)
        equal(code, 1, "exit")
        assert said.endswith("interrupted (SIGINT); everything is as it was before"), said
        run.send_signal(signal.SIGCONT)
        run.communicate()
        equal(run.returncode, 0, "exit of the first")
    finally:
        routers.close()


def catches(pid):
    """Whether the process has a handler for SIGINT."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        caught = next(int(line.split()[1], 16) for line in f if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGINT - 1) & 1)


@once
def test_second_signal_ends_it_at_once(lab):
    """What is left is told by show and doctor, with the command that takes it off."""
    routers = Routers(lab, "int2", COUNT)
    try:
        two, all_of = defined(routers, 2, "two"), defined(routers, COUNT, "all")
        for path, count, remedy in ((None, 0, "detach --all"), (two, 2, "restore")):
            if path:
                routers.cli.apply(path)
            run = started(routers, all_of, count + 2)
            run.send_signal(signal.SIGSTOP)     # both come before it can do anything
            run.send_signal(signal.SIGINT)
            run.send_signal(signal.SIGTERM)
            run.send_signal(signal.SIGCONT)
            code, _ = ended(run)
            assert code in (-signal.SIGINT, -signal.SIGTERM), f"exit {code}"
            told(routers, count, remedy)
            routers.cli.run(*remedy.split())
            equal(leftovers(routers), [], "leftovers in the end")
            equal(attached(routers), count, "routers that are attached in the end")
    finally:
        routers.close()


def leftovers(routers):
    return [row["tenant"] for row in routers.cli.json("show")["leftovers"]]


def told(routers, count, remedy):
    left = leftovers(routers)
    assert left, "nothing is left"
    text = routers.cli.lines("show")
    for tenant in left:
        number = int(tenant[1:])
        assert number >= count, f"{tenant} is defined"
        assert any(f"router of {tenant} in netns {routers.ns[number].name}" in line and
                   f"`tenantnat {remedy}`" in line for line in text), text
    findings = [f for f in routers.cli.json("doctor", code=1)["findings"]
                if f["finding"] == "leftovers"]
    equal([(f["severity"], f["remedy"]) for f in findings], [("problem", f"tenantnat {remedy}")],
          "what doctor says")
    for tenant in left:
        assert tenant in findings[0]["seen"], findings[0]["seen"]


@once
def test_agent_interrupted_at_its_start(lab):
    """While it puts a file in force: taken back, and a clean end."""
    routers = Routers(lab, "intagent", COUNT)
    try:
        two, all_of = defined(routers, 2, "two"), defined(routers, COUNT, "all")
        routers.cli.apply(two)
        before = routers.picture()
        agent = Agent(routers, "-f", all_of)
        while attached(routers) < 4:
            time.sleep(0.001)
        agent.__exit__(None, None, None)
        equal(agent.said(), [], "its log")
        unchanged(before, routers.picture(), "an agent that was ended at its start")
    finally:
        routers.close()
