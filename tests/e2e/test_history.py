# SPDX-License-Identifier: GPL-2.0-only
"""The audit trail: what was changed, by whom, in the words of the plan."""
import datetime
import time

from case import equal, once
from lab import PLAIN


def newest(lab, count):
    return lab.cli.json("show", "history", "-n", str(count))


@once
def test_history_of_changes(lab):
    definitions = lab.definitions()
    definitions["blue"].accept = ({"from": ["red"], "ports": ["tcp/80"]},)
    path = lab.write(definitions, "history.yaml")
    start = int(time.time())
    try:
        lab.cli.apply(path)
        lab.cli.apply(path)                                             # changes nothing
        lab.cli.run("map", "add", "blue", "10.0.0.77", "--name", "new")
        lab.cli.fails("map", "add", "blue", "10.0.0.77", code=2)        # nor does this
        lab.cli.run("map", "del", "blue", "10.0.0.77")
        applied, added, removed = newest(lab, 3)
        equal(applied["command"], f"apply --file {path} --yes", "the command")
        rule = [line for line in applied["lines"] if "rule of blue" in line["text"]]
        assert {line["sign"] for line in rule} == {"+", "-"}, applied["lines"]
        assert any("tcp/80" in line["text"] for line in rule), rule
        equal(added["command"], "map add --name new blue 10.0.0.77", "the command")
        equal([line["sign"] for line in added["lines"]], ["+"], "what was added")
        equal([line["sign"] for line in removed["lines"]], ["-"], "what was removed")
        for change in (applied, added, removed):
            equal((change["uid"], change["user"].split(" ")[0]), (0, "root"), "who")
            when = datetime.datetime.strptime(change["time"], "%Y-%m-%dT%H:%M:%S%z")
            assert start <= when.timestamp() <= time.time(), change["time"]
        text = lab.cli.run("show", "history", "-n", "1").stdout
        assert "map del blue 10.0.0.77" in text and "  - " in text, text
        equal(lab.cli.json("show", "history", str(added["change"])), [added], "one of them")
        assert (removed["removed"], removed["undoable"]) == (1, True), removed
    finally:
        lab.apply()


@once
def test_history_of_what_fails(lab):
    """A change that is taken back was none; who asked in another's name is named with him."""
    before = newest(lab, 1)
    definitions = lab.definitions()
    definitions["red"].mappings.append(("10.0.0.99", PLAIN, None))
    lab.cli.run("apply", "-f", lab.write(definitions, "refused.yaml"), code=2)
    equal(newest(lab, 1), before, "the newest change")
    lab.cli.elsewhere(state=lab.cli.state, under=["env", "SUDO_USER=alice"]).run(
        "map", "add", "blue", "10.0.0.78")
    try:
        equal(newest(lab, 1)[0]["user"], "root (sudo alice)", "who")
    finally:
        lab.cli.run("map", "del", "blue", "10.0.0.78")
    weird = lab.write(lab.definitions().mapping("blue", "10.0.0.80"), "it's\n\udcff odd.yaml")
    lab.cli.run("apply", "-f", weird)
    lab.apply()
    said = newest(lab, 2)[0]["command"]
    assert said.endswith("/it\\'s\\x0a\\xff odd.yaml'") and "\n" not in said, said
    equal(len(lab.cli.run("show", "history", "-n", "1").stdout.splitlines()[0].split(": ")), 2,
          "parts of the first line")
    for words in (("-n", "0"), ("-n", "x"), ("-n", "-1")):
        lab.cli.fails("show", "history", *words, code=2)


@once
def test_history_in_full(lab):
    """The first lines of each change, with -v all of them; -j always has all."""
    definitions = lab.definitions()
    definitions["blue"].mappings += [(f"10.0.9.{i}", None, None) for i in range(1, 41)]
    try:
        lab.cli.apply(lab.write(definitions, "forty.yaml"))
        change = newest(lab, 1)[0]
        equal((len(change["lines"]), change["added"]), (40, 40), "lines")
        for number in (["-n", "1"], [str(change["change"])]):
            few = lab.cli.lines("show", "history", *number)
            equal((len(few), few[-1]), (12, "  30 more lines with -v"), f"lines with {number}")
            all_of_it = lab.cli.lines("show", "history", "-v", *number)
            equal(all_of_it[1].strip(), "uid 0, 40 added, 0 changed, 0 removed, can be undone",
                  "what is known besides")
            equal([line.strip() for line in all_of_it[2:]],
                  [f"{line['sign']} {line['text']}" for line in change["lines"]], "with -v")
    finally:
        lab.apply()
    for words in (("999999",), ("0",), ("x",), ("1", "-n", "1")):
        lab.cli.fails("show", "history", *words, code=2)
