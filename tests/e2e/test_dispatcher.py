# SPDX-License-Identifier: GPL-2.0-only
"""Another XDP program on the shared interface, beside ours in libxdp's dispatcher."""
import contextlib
import json
import os
import re
import shutil

from case import Skip, equal, hook, only
from lab import BLUE, BLUE1, FIXED, PLAIN, RED1
from net import BPFFS, sh
from snapshot import attached
from test_guard import arrivals, counted, must_not, to_blue
from traffic import ping, reach, tcp, udp

PIN = BPFFS + "/foreign-maps"
OURS = "tn_xdp_shared_in"
BEFORE, AFTER = 10, 90      # ours has libxdp's usual priority, 50


def loaded(ns):
    """{name: (priority, id)} of the programs in the dispatcher on shared0; none without one."""
    said = ns.run("xdp-loader", "status", "shared0").stdout
    rows = re.findall(r"^ => +(\d+) +(\S+) +(\d+)", said, re.M)
    return {name: (int(priority), int(number)) for priority, name, number in rows}


class Foreign:
    """The foreign program on blue's shared interface."""

    def __init__(self, lab, priority):
        self.lab, self.mode = lab, "native" if lab.hook == "xdp" else "skb"
        self.priority = priority

    def load(self, *under):
        program = os.environ["TN_FOREIGN"]
        sh(["rm", "-rf", PIN])
        self.lab.blue.run(*under, "xdp-loader", "load", "-m", self.mode, "-p", PIN, "-P",
                          str(self.priority), "-n", "foreign", "shared0", program)

    def unload(self):
        number = loaded(self.lab.blue)["foreign"][1]
        self.lab.blue.run("xdp-loader", "unload", "-i", str(number), "shared0")
        equal("foreign" in loaded(self.lab.blue), False, "the foreign program is still loaded")

    def count(self):
        entries = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", PIN + "/seen"]).stdout)
        return entries[0]["formatted"]["value"]

    @contextlib.contextmanager
    def working(self, frames=1):
        """It sees frames meanwhile."""
        before = self.count()
        yield
        assert self.count() >= before + frames, "the foreign program does not see the frames"


def need_dispatcher(lab):
    if not shutil.which("xdp-loader"):
        raise Skip("no xdp-loader: install xdp-tools")
    if OURS not in loaded(lab.blue):
        raise Skip("libxdp's dispatcher needs a kernel with EXT programs; those that move packet "
                   "data, as ours, need an older kernel (6.1) or a newer libxdp (1.5)")


@contextlib.contextmanager
def foreign(lab, priority):
    other = Foreign(lab, priority)
    try:
        yield other
    finally:
        lab.blue.run("xdp-loader", "unload", "--all", "shared0", check=False)
        sh(["rm", "-rf", PIN])
        lab.apply()


def ours_works(lab):
    """Translation and guard on blue's shared interface, and what `show` says."""
    ping(lab.red1, BLUE1)
    for exchange in (udp, tcp):
        exchange(lab.red1, lab.blue1, BLUE1, RED1)
        exchange(lab.blue1, lab.plain, PLAIN, BLUE1)
    with counted(lab, blue__direct_to_private=1):
        equal(arrivals(lab, [to_blue(lab, dst=FIXED) / must_not()]), [], "arrived")
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue")["router"]
    equal((router["state"], {p["via"] for p in router["programs"] if "xdp" in p["via"]}),
          ("attached", {"xdp-dispatcher"}), "blue in show")
    equal(lab.apply(), ["nothing to be done"], "apply")


def order(lab):
    """The programs in the order in which they run."""
    return [name for name, _ in sorted(loaded(lab.blue).items(), key=lambda entry: entry[1])]


def in_order(priority):
    return ["foreign", OURS] if priority == BEFORE else [OURS, "foreign"]


def without_blue(lab):
    lab.cli.run("detach", "blue")
    equal(OURS in loaded(lab.blue), False, "ours is still loaded")


def plain_router(lab, other):
    """The foreign program alone is on its way. Programs of ours take a moment to be gone."""
    with other.working(3):
        reach(lab.plain, BLUE)


def foreign_first(lab, priority):
    """It is there before us, and stays when we go."""
    need_dispatcher(lab)
    without_blue(lab)
    with foreign(lab, priority) as other:
        other.load()
        alone = attached(lab.blue)
        lab.apply()
        equal(order(lab), in_order(priority), "the order")
        with other.working(10):
            ours_works(lab)
        without_blue(lab)
        equal(order(lab), ["foreign"], "after detach")
        equal(attached(lab.blue)["shared0", "flags"], alone["shared0", "flags"], "flags")
        plain_router(lab, other)
        lab.apply()
        other.unload()
        equal(order(lab), [OURS], "when it is gone")
        ours_works(lab)


def foreign_second(lab, priority):
    """It comes while we work, goes, comes again, and stays when we go."""
    need_dispatcher(lab)
    with foreign(lab, priority) as other:
        other.load()
        equal(order(lab), in_order(priority), "the order")
        with other.working(10):
            ours_works(lab)
        lab.apply(lab.definitions().mapping("blue", "10.0.0.9"))
        lab.apply()
        other.unload()
        ours_works(lab)
        other.load()
        without_blue(lab)
        equal(order(lab), ["foreign"], "after detach")
        plain_router(lab, other)


@hook
@only(hooks=["xdp", "xdp-generic"])
def test_dispatcher_is_not_used_by_the_other(lab):
    """A program that shares with nobody: refused in words, and it stays."""
    with foreign(lab, BEFORE) as other:
        lab.cli.run("detach", "blue")
        other.load("env", "LIBXDP_SKIP_DISPATCHER=1")
        plain_router(lab, other)
        said = lab.cli.fails("apply", "-f", lab.write(lab.definitions()))
        assert "another XDP program" in said, said
        plain_router(lab, other)
        lab.blue.run("xdp-loader", "unload", "--all", "shared0")
        lab.apply()
        ping(lab.red1, BLUE1)


@hook
@only(hooks=["xdp", "xdp-generic"])
def test_dispatcher_foreign_first(lab):
    foreign_first(lab, BEFORE)


@hook
@only(hooks=["xdp", "xdp-generic"])
def test_dispatcher_foreign_first_runs_last(lab):
    foreign_first(lab, AFTER)


@hook
@only(hooks=["xdp", "xdp-generic"])
def test_dispatcher_foreign_second(lab):
    foreign_second(lab, AFTER)


@hook
@only(hooks=["xdp", "xdp-generic"])
def test_dispatcher_foreign_second_runs_first(lab):
    foreign_second(lab, BEFORE)


@hook
@only(hooks=["xdp", "xdp-generic"])
def test_dispatcher_hook_changes(lab):
    """From XDP to tc and back, beside it."""
    need_dispatcher(lab)
    with foreign(lab, BEFORE) as other:
        other.load()
        changed = lab.definitions()
        changed["blue"].router["hook"] = "tc"
        lab.apply(changed)
        equal(order(lab), ["foreign"], "with hook tc")
        with other.working(3):
            ping(lab.red1, BLUE1)
        lab.apply()
        equal(order(lab), ["foreign", OURS], "with XDP again")
        with other.working(3):
            ping(lab.red1, BLUE1)
        ours_works(lab)
