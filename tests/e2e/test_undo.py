# SPDX-License-Identifier: GPL-2.0-only
"""undo: back to what was in force before a change."""
import os

from case import equal, once
from defs import Definitions, Tenant
from lab import SUBNET, SUBNET_V6
from routers import Routers
from snapshot import difference
from test_handover import Dice


def seen(routers):
    """All of the machine and the state, and what commands say of it."""
    exported = routers.cli.run("export", "--pin", code=None)
    return {**routers.picture(), "export": exported.stdout, "list": routers.cli.json("map", "list")}


def same(before, routers, what):
    found = difference(before, seen(routers))
    assert not found, f"{what}: not as before: {found[:1500]}"


def two(routers, *more, **of_red):
    """red and blue with a VM each, whose addresses are allocated."""
    return Definitions(Tenant("red", ("10.0.0.5",), *more, router=routers.of(0), **of_red),
                       Tenant("blue", ("10.0.0.5",), ("fd00:10::5",), router=routers.of(1)),
                       subnets=(SUBNET, SUBNET_V6))


def newest(routers):
    return routers.cli.json("show", "history", "-n", "1")[0]


def undone_and_redone(routers, dice, number):
    """From one file to another, back and there again."""
    one, other = (routers.write(dice.definitions(), name) for name in ("one", "other"))
    routers.cli.apply(one)
    before = seen(routers)
    if routers.cli.apply(other) == ["nothing to be done"]:
        return
    after = seen(routers)
    routers.cli.lines("undo", "--yes")
    same(before, routers, f"pair {number}, undo")
    equal(routers.cli.apply(one), ["nothing to be done"], f"pair {number}: the one once more")
    routers.cli.lines("undo", "--yes")
    same(after, routers, f"pair {number}, undo of the undo")
    routers.forget()


@once
def test_undo_of_anything(lab):
    """What random files do to each other is undone, ids and leases included; and redone."""
    routers = Routers(lab, "undo", 3)
    try:
        first = int(os.environ.get("UNDO_SEED", "1"))
        count = int(os.environ.get("UNDO_PAIRS", "60" if lab.long else "4"))
        for number in range(first, first + count):
            undone_and_redone(routers, Dice(routers, number), number)
    finally:
        routers.close()


@once
def test_undo_of_each_command(lab):
    """The last change, whichever command made it; and one before it, with all that came later."""
    routers = Routers(lab, "undoes", 2)
    cli = routers.cli
    try:
        path = routers.write(two(routers), "two")
        cli.apply(path)
        first, before = newest(routers)["change"], seen(routers)
        for words in (["map", "add", "red", "10.0.0.9", "--name", "new"],
                      ["map", "del", "blue", "10.0.0.5"], ["detach", "red"], ["detach", "--all"],
                      ["apply", "--tenant", "red", "-f",
                       routers.write(two(routers, ("10.0.0.6",), accept=()), "more")]):
            cli.run(*words)
            plan = cli.lines("undo", "--dry-run")
            equal([line[0] for line in plan], [line[0] for line in cli.lines("undo")], str(words))
            same(before, routers, f"undo of {words}")
            equal(newest(routers)["command"], "undo", "the command")
            cli.lines("apply", "-f", path)
            same(before, routers, f"apply after the undo of {words}")
        # the undos are changes themselves: before the first of all these nothing was in force
        assert cli.fails("undo", str(first), code=2).endswith("say --yes")
        cli.run("undo", str(first), "--yes")
        equal(cli.json("map", "list"), [], "mappings")
        assert "no definitions" in cli.fails("export"), "something is in force"
        cli.run("undo", "--yes")
        same(before, routers, "undo of the undo of everything")
        for words, why in ((["0"], "not the number"), (["x"], "not the number"),
                           (["999"], "no change 999")):
            assert why in cli.fails("undo", *words, code=2), words
        same(before, routers, "after what was refused")
    finally:
        routers.close()


@once
def test_undo_gives_leases_back(lab):
    """An address that was freed, and not given to somebody else, comes back to whom it belonged."""
    routers = Routers(lab, "lost", 2)
    cli = routers.cli
    try:
        cli.apply(routers.write(two(routers, pool=["100.64.1.4/30"]), "two"))
        added = cli.lines("map", "add", "red", "10.1.0.5")[0]
        leases = cli.leases()
        cli.run("map", "del", "red", "10.0.0.5")
        cli.run("map", "del", "red", "10.1.0.5")
        cli.run("map", "add", "red", "10.1.0.5")
        assert cli.leases()["red", "10.1.0.5"] != added, "there is nothing to be seen here"
        cli.run("undo", str(newest(routers)["change"] - 2))
        equal(cli.leases(), leases, "leases")
        # a router has it now
        cli.run("map", "del", "red", "10.1.0.5")
        routers.ns[1].ip(f"addr add {added}/16 dev shared0")
        said = cli.run("undo").stderr
        assert added in said and "router's now" in said, said
        assert cli.leases()["red", "10.1.0.5"] != added, "two have it"
    finally:
        routers.close()


@once
def test_undo_that_fails(lab):
    """A router that is not there stops it, and nothing is changed; --partial passes over it."""
    routers = Routers(lab, "undid", 2)
    cli = routers.cli
    try:
        cli.apply(routers.write(two(routers), "two"))
        alone = Definitions(two(routers)["blue"], subnets=(SUBNET, SUBNET_V6))
        cli.apply(routers.write(alone, "alone"))
        count, leases = newest(routers)["change"], cli.leases()
        routers.ns.pop(0).remove()
        assert "undid-r0" in cli.fails("undo"), "it is not named"
        equal((newest(routers)["change"], cli.leases()), (count, leases), "after a failure")
        said = cli.run("undo", "--partial", code=1).stderr
        assert "undid-r0" in said, said
        equal(len(cli.leases()), 3, "mappings")
    finally:
        routers.close()
