# SPDX-License-Identifier: GPL-2.0-only
"""Fifty at once end as if they had come one after the other."""
import collections
import json
import random
import re

from case import equal, once
from pair import ROUTERS, Pair
from test_kill import consistent, rows

RUNS = 50
TAKEN = re.compile(r"already|no mapping|there is no")


class Crowd:
    """Runs that are started at once, and what each of them asked for."""

    def __init__(self, pair):
        self.pair, self.runs = pair, []

    def start(self, *words):
        # nobody is to fail because others are slow
        self.runs.append((words, self.pair.cli.start("--wait", "600", *words)))

    def ended(self):
        """[(words, exit, stdout, stderr)]"""
        out = []
        for words, run in self.runs:
            said, complaint = run.communicate(timeout=600)
            out.append((words, run.returncode, said, complaint.strip()))
        return out


def machine_agrees(pair, found):
    """The kernel's tables have these mappings, both ways, and no others."""
    tables = pair.tables()
    mapped = [row for row in found if row["tenant"] != "plain"]
    equal(len(tables["by_fixed"]), len(mapped), "entries of by_fixed")
    # a router's own address each
    equal(len(tables["by_shared"]), len(found) + len(ROUTERS), "entries of by_shared")


@once
def test_fifty_changes_at_once(lab):
    """Additions, removals and readers: none is lost, no address is given twice."""
    pair = Pair(lab, "many")
    try:
        pair.cli.apply(pair.write(pair.both(), "both"))
        kept = rows(pair.cli)
        old = [f"10.0.1.{i}" for i in range(1, 11)]
        for fixed in old:
            pair.cli.run("map", "add", "red", fixed)
        crowd, dice = Crowd(pair), random.Random(50)
        # two ask for each of the last five: one of them has to be refused
        new = [f"10.0.2.{i % 20}" for i in range(25)]
        words = [("map", "add", "red" if i % 2 else "blue", fixed) for i, fixed in enumerate(new)]
        words += [("map", "add", "red", "10.0.2.90"), ("map", "add", "red", "10.0.2.90")]
        words += [("map", "del", "red", fixed) for fixed in old] + [("map", "del", "red", old[0])]
        words += [("show", "-j"), ("map", "list", "-j")] * ((RUNS - len(words)) // 2)
        dice.shuffle(words)
        for each in words:
            crowd.start(*each)
        ended = crowd.ended()
        assert len(ended) >= RUNS - 1, f"only {len(ended)} runs"
        judge_serial(pair, kept, old, ended)
    finally:
        pair.close()


def judge_serial(pair, kept, old, ended):
    found = rows(pair.cli)
    consistent(found)
    now = {(row["tenant"], row["fixed"]): row["shared"] for row in found}
    for row in kept:
        equal(now.pop((row["tenant"], row["fixed"]), None), row["shared"], "what was not touched")
    added, counts = {}, collections.Counter()
    for words, code, said, complaint in ended:
        if words[:2] == ("map", "add") and code == 0:
            assert words[2:] not in added, f"{words} succeeded twice"
            added[words[2:]] = said.strip()
        elif words[:2] in (("map", "add"), ("map", "del")) and code:
            equal(code, 2, f"exit of {words} ({complaint})")
            assert TAKEN.search(complaint), f"{words}: {complaint}"
        else:
            equal(code, 0, f"exit of {words} ({complaint})")
        if words[:2] == ("map", "list"):
            consistent(json.loads(said))
        counts[words, code] += 1
    equal(now, added, "what each was told it got, and what is in force")
    for words in {words for words, *_ in ended if words[:2] in (("map", "add"), ("map", "del"))}:
        equal(counts[words, 0], 1, f"successes of {words}")
    assert not [key for key in now if key[1] in old], "a mapping outlived its removal"
    machine_agrees(pair, found)


@once
def test_files_at_once(lab):
    """Of whole files one is the last, and in force completely; what readers see is one of them."""
    pair = Pair(lab, "files")
    try:
        files, meant = [], []
        for i in range(4):
            defs = pair.both() if i % 2 else pair.alone()
            for n in range(3):
                defs = defs.mapping("red", f"10.0.{i + 1}.{n}", f"100.64.1.{100 + 10 * i + n}")
            files.append(pair.write(defs, f"file{i}"))
            pair.cli.apply(files[-1])
            meant.append(rows(pair.cli))
        crowd = Crowd(pair)
        for i in range(10):
            crowd.start("apply", "-f", files[i % 4])
            crowd.start("map", "list", "-j")
        crowd.start("map", "add", "red", "10.0.9.9")
        for words, code, said, complaint in crowd.ended():
            equal(code, 0, f"exit of {words} ({complaint})")
            if words[:2] == ("map", "list"):
                seen = [row for row in json.loads(said) if row["fixed"] != "10.0.9.9"]
                assert seen in meant, f"a reader saw what no file says: {seen}"
        found = rows(pair.cli)
        consistent(found)
        bare = [row for row in found if row["fixed"] != "10.0.9.9"]
        assert bare in meant, f"in the end there is what no file says: {bare}"
        again = pair.cli.apply(files[meant.index(bare)])
        assert len(found) > len(bare) or again == ["nothing to be done"], again
    finally:
        pair.close()
