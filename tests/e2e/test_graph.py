# SPDX-License-Identifier: GPL-2.0-only
"""The picture of who may reach whom: its formats, whose it is, and what the last minute makes of it."""
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree

from agent import Agent
from case import equal, eventually, once
from lab import BLUE1
from net import sh
from traffic import ping

PLAIN_FILL, AWAY, CARRIES = "#ffffff", "#e6e6e6", "#c9e7c5"


def graph(lab, *words):
    return lab.cli.run("graph", *words).stdout


def fills(text):
    """{tenant: its colour} of dot."""
    return {m[1]: m[2] for m in re.finditer(r'\[label="(\S+?)\\n.*fillcolor="(.*?)"', text)}


@once
def test_graph_without_an_agent(lab):
    """It says that nobody keeps the last minute; the same again to the byte; only what was asked for."""
    done = lab.cli.run("graph")
    assert "no colours: no agent" in done.stderr and "No colours: no agent" in done.stdout, done
    equal(fills(done.stdout), {"blue": PLAIN_FILL, "red": PLAIN_FILL, "plain": AWAY}, "colours")
    assert " -> " in done.stdout, done.stdout
    equal(graph(lab), done.stdout, "the same again")
    equal(graph(lab, "--format", "dot"), done.stdout, "dot is the default")
    assert graph(lab, "--format", "mermaid").startswith("flowchart LR\n")
    definitions = lab.definitions()
    definitions["red"].accept = ({"from": ["blue"], "to": ["db"], "ports": ["tcp/5432"]},)
    definitions["blue"].accept = ()
    lab.apply(definitions)
    try:
        assert "db: tcp/5432" in graph(lab, "red"), graph(lab, "red")
        equal(sorted(fills(graph(lab, "plain"))), ["plain"], "plain alone")
        equal(sorted(fills(graph(lab, "blue"))), ["blue", "red"], "blue, and who accepts it")
    finally:
        lab.apply()


@once
def test_graph_of_a_router_that_is_off(lab):
    """It has a border of its own."""
    try:
        lab.cli.run("detach", "blue")
        text = graph(lab)
        assert re.search(r"blue\\nrouter detached.*penwidth=3", text), text
        assert not re.search(r"red\\nrouter attached.*penwidth", text), text
    finally:
        lab.apply()


@once
def test_graph_of_the_last_minute(lab):
    """While an agent runs, colours and figures are those since a moment that it has kept."""
    with Agent(lab):
        eventually(lambda: os.stat(os.path.join(lab.cli.state, "traffic")))
        eventually(lambda: equal("Packets of the last" in graph(lab), True, "a moment"))
        ping(lab.red1, BLUE1, 5)
        text = graph(lab)
        equal({name: fills(text)[name] for name in ("red", "plain")}, {"red": CARRIES, "plain": AWAY}, "colours")
        assert re.search(r"red\\n.*in \d+, out \d+, dropped \d+", text), text
    assert "No colours: no agent" in graph(lab), "moments of an agent that is gone"


@once
def test_graph_as_svg(lab):
    """By dot of Graphviz; without it, the error names the package and nothing is printed."""
    root = xml.etree.ElementTree.fromstring(graph(lab, "--format", "svg"))
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"red", "blue", "plain"} <= set(texts), texts
    sh([shutil.which("dot"), "-Tcanon"], input=graph(lab))
    said = lab.cli.elsewhere(env={"PATH": "/nonexistent"}).fails("graph", "--format", "svg")
    assert "install the package graphviz" in said.splitlines()[-1], said
    # dot itself would not notice
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(lab.cli.argv("graph", "--format", "svg"), stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False)
    equal((done.returncode, "cannot write to stdout" in done.stderr), (1, True), f"a full disk: {done.stderr}")


@once
def test_graph_refused(lab):
    """What there is not, before anything is read."""
    for words, what in ((["--format", "png"], "write dot, svg or mermaid"), (["-j"], "leave out --json"),
                        (["bleu"], "did you mean `blue`?")):
        said = lab.cli.fails("graph", *words, code=2)
        assert what in said, said
