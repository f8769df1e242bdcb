# SPDX-License-Identifier: GPL-2.0-only
"""JSON of every command: one document on stdout, with the keys that its help has; errors are text."""
import json
import pathlib
import re

from case import equal, once
from lab import BLUE1, FIXED2
from test_monitor import ATTACKS, attack, ended, monitor

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def keys(value):
    """All that are in it, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def document(lab, *words, code=0):
    """What `words -j` prints: one document on one line, of which the help describes every key."""
    done = lab.cli.run(*words, "-j", code=code)
    said = json.loads(done.stdout)
    equal(done.stdout.count("\n"), 1, f"lines of {words} -j")
    described(lab, words, said)
    return said


def described(lab, words, said):
    commands = re.findall(r"^  (\w+(?: \w+)?) {2,}", lab.cli.run("--help").stdout, re.M)
    name = next(n for n in (" ".join(words[:2]), words[0]) if n in commands)
    text = lab.cli.run(*name.split(), "--help").stdout
    text = text[text.index("JSON"):]
    unknown = sorted(key for key in keys(said) if f'"{key}"' not in text)
    equal(unknown, [], f"keys that `{name} --help` does not have")


@once
def test_json_of_what_looks(lab):
    """Of what only reads, with as much in it as there can be."""
    attack(lab, *ATTACKS["stranger"])
    for words in (["map", "list"], ["map", "list", "-v"], ["status"], ["show"], ["show", "red/db"],
                  ["show", "history"], ["stats"], ["check"], ["check", "red"], ["doctor"],
                  ["doctor", "-v"], ["trace", "red/db", f"{BLUE1}:80"],
                  ["announce"], ["validate", lab.write(lab.definitions())],
                  ["diff", lab.write(lab.definitions())]):
        assert document(lab, *words), f"{words} -j is empty"
    tenant, = document(lab, "status", "red")["tenants"]
    equal((tenant["tenant"], tenant["well"]), ("red", True), "status red")
    equal(document(lab, "diff", lab.write(lab.definitions())),
          {"lines": [], "added": 0, "changed": 0, "removed": 0, "failed": []}, "no differences")


@once
def test_json_of_definitions(lab):
    """export: the keys are those of the file, which the manual has."""
    manual = (DOCS / "definitions.md").read_text(encoding="utf-8")
    said = lab.cli.json("export", "--pin")
    unknown = [key for key in keys(said) if not re.search(rf"\b{key}\b", manual)]
    equal((unknown, len(said["tenants"])), ([], 3), "export")


@once
def test_json_of_changes(lab):
    """Of what changes something: what was done, as text says it; -q says no less."""
    path = lab.write(lab.definitions().mapping("blue", FIXED2, "100.64.2.200", "new"), "json.yaml")
    plan = lab.cli.lines("apply", "--dry-run", "-f", path)[:-1]
    try:
        for words in (["apply", "--dry-run", "-f", path], ["diff", path], ["-q", "apply", "-f", path]):
            said = lab.cli.json(*words, code=words[0] == "diff")
            equal((said["added"], said["changed"], said["removed"], said["failed"]), (1, 0, 0, []),
                  f"{words}")
            equal([f"{line['sign']} {line['text']}" for line in said["lines"]], plan, f"{words}")
        described(lab, ["apply"], said)
        equal(document(lab, "map", "add", "blue", "10.0.0.77", "--name", "x", "-s", "100.64.2.77"),
              {"tenant": "blue", "name": "x", "fixed": "10.0.0.77", "shared": "100.64.2.77"}, "added")
        equal(document(lab, "map", "del", "blue", "x"),
              [{"tenant": "blue", "name": "x", "fixed": "10.0.0.77", "shared": "100.64.2.77"}],
              "removed")
        # the whole of a document comes also of what is not read as a whole
        equal(document(lab, "map", "del", "blue", FIXED2)[0]["shared"], "100.64.2.200", "removed")
    finally:
        lab.apply()
    equal(lab.cli.run("map", "add", "blue", "10.0.0.78", "-s", "100.64.2.78").stdout,
          "100.64.2.78\n", "map add without -j")
    equal(lab.cli.run("map", "del", "blue", "10.0.0.78").stdout, "", "map del without -j")


@once
def test_json_of_routers(lab):
    """detach says what goes, apply and restore what comes back; who is passed over has a reason."""
    try:
        said = document(lab, "detach", "blue")
        gone = [line["text"] for line in said["lines"] if line["sign"] == "-"]
        assert any(text.startswith("router blue") for text in gone), said
        assert document(lab, "status", "blue", code=1)["why"], "why it is not well"
        document(lab, "show", "blue")
        document(lab, "check", "blue", code=1)
        document(lab, "doctor", "blue", code=1)
        equal(document(lab, "restore")["lines"], [], "what restore did")
        definitions = lab.definitions()
        definitions["blue"].router["netns"] = "tne-nowhere"
        path = lab.write(definitions, "json.yaml")
        done = lab.cli.run("apply", "--partial", "-j", "-f", path, code=1)
        (failed,) = json.loads(done.stdout)["failed"]
        described(lab, ["apply"], json.loads(done.stdout))
        equal(failed["tenant"], "blue", "who failed")
        assert "tne-nowhere" in failed["text"] and failed["text"] in done.stderr, failed
        (failed,) = document(lab, "restore", code=1)["failed"]
        equal(failed["tenant"], "blue", "who failed")
    finally:
        lab.apply()
    equal(lab.cli.run("detach", "blue").stdout, "", "detach without -j")
    assert any("router blue" in line["text"]
               for line in lab.cli.json("apply", "-f", lab.write(lab.definitions()))["lines"])


@once
def test_json_of_events(lab):
    """monitor: an object a line."""
    with monitor(lab, "-j", "-n", "2") as running:
        attack(lab, *ATTACKS["stranger"], count=2)
        out, _ = ended(running, how=None)
    lines = out.splitlines()
    equal(len(lines), 2, "lines")
    for line in lines:
        described(lab, ["monitor"], json.loads(line))


@once
def test_json_of_what_fails(lab):
    """An error is text on stderr, and stdout is empty; what has no JSON says so."""
    path = lab.put("broken.yaml", "tenants: [\n")
    for words, code in ((["apply", "-f", path], 2), (["diff", path], 2), (["map", "add", "x", "y"], 2),
                        (["map", "list", "nobody"], 2), (["detach", "nobody"], 2),
                        (["trace", "red/x", BLUE1], 2), (["agent"], 2), (["graph"], 2),
                        (["stats", "--prometheus"], 2), (["monitor", "--pcap", "-"], 2)):
        done = lab.cli.run("-j", *words, code=code)
        equal(done.stdout, "", f"stdout of {words}")
        assert done.stderr.startswith(("tenantnat: ", path)), f"{words}: {done.stderr!r}"
    assert "status -j" in lab.cli.fails("agent", "-j", code=2)
    assert json.loads(lab.cli.run("validate", path, "-j", code=2).stdout)["errors"]
