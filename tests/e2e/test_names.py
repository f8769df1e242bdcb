# SPDX-License-Identifier: GPL-2.0-only
"""
Names of mappings in DNS. What `names` prints, and the file that the agent keeps, are read by a real dnsmasq on
the shared network, which VMs of two tenants ask with dig.
"""
import contextlib
import ipaddress
import os
import signal
import subprocess

from agent import Agent
from case import equal, eventually, once
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED_V6, PLAIN, RED1, RED1_V6, RED2_V6)
from test_members import cluster, definitions as cluster_definitions
from test_six import dual_stack
from traffic import reach

ZONE = "shared.internal"
WEB, DB = f"blue-web.{ZONE}", f"red-db.{ZONE}"


def named(definitions, zone=ZONE):
    """With that zone, and blue1 called web."""
    new = definitions.copy()
    new.zone = zone
    new["blue"].mappings = [(fixed, shared, "web") for fixed, shared, _ in new["blue"].mappings]
    new["red"].mappings = [(fixed, shared, "db" if fixed in (FIXED, FIXED_V6) else None)
                           for fixed, shared, _ in new["red"].mappings]
    return new


@contextlib.contextmanager
def dnsmasq(lab, *options):
    """In plain, which is a host on the shared network; it knows what the options give it."""
    argv = ["nsenter", f"--net={lab.plain.path}", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
            "--no-hosts", "--no-resolv", "--pid-file", f"--local=/{ZONE}/", "--log-facility=-", *options]
    with open(os.path.join(lab.scratch, "dnsmasq.log"), "w", encoding="utf-8") as log, \
            subprocess.Popen(argv, stdout=log, stderr=log) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)


def dig(ns, *question):
    """The answers, sorted; nothing for a name that is not there."""
    done = ns.run("dig", "+short", "+tries=1", "+time=2", f"@{PLAIN}", *question, check=False)
    assert done.returncode == 0, f"dig {question}: {done.stdout} {done.stderr}"
    return sorted(done.stdout.split())


def answers(ns, want, *question):
    eventually(lambda: equal(dig(ns, *question), want, f"dig {question}"))


@once
@dual_stack
def test_names_between_two_tenants(lab):
    """A VM finds another tenant's by its name, in both families, and the name of who calls it."""
    lab.apply(named(lab.dual_definitions()))
    try:
        hosts = lab.put("hosts", lab.cli.run("names").stdout)
        with dnsmasq(lab, f"--addn-hosts={hosts}"):
            answers(lab.red1, [BLUE1], WEB, "A")
            answers(lab.red1, [BLUE1_V6], WEB, "AAAA")
            for family in "A", "AAAA":
                address, = dig(lab.red1, WEB, family)
                reach(lab.red1, address)
            answers(lab.blue1, [RED1], DB, "A")
            answers(lab.blue1, [DB + "."], "-x", RED1)
            answers(lab.blue1, [DB + "."], "-x", RED1_V6)
            answers(lab.blue1, [], "-x", RED2_V6)       # it has no name
        conf = lab.put("records.conf", lab.cli.run("names", "--format", "dnsmasq").stdout)
        with dnsmasq(lab, f"--conf-file={conf}"):
            answers(lab.red1, [BLUE1_V6], WEB, "AAAA")
            answers(lab.red1, [WEB + "."], "-x", BLUE1)
    finally:
        lab.apply(lab.dual_definitions())


@once
@dual_stack
def test_names_in_every_format(lab):
    lab.apply(named(lab.dual_definitions()))
    try:
        equal(lab.cli.lines("names"), [f"{BLUE1} {WEB}", f"{BLUE1_V6} {WEB}", f"{RED1} {DB}", f"{RED1_V6} {DB}"],
              "hosts")
        equal(lab.cli.lines("names", "--format", "zone"),
              [f"{WEB}. 60 IN A {BLUE1}", f"{WEB}. 60 IN AAAA {BLUE1_V6}", f"{DB}. 60 IN A {RED1}",
               f"{DB}. 60 IN AAAA {RED1_V6}"], "zone")
        for subnet, addresses in ("100.64.0.0/16", (BLUE1, RED1)), ("fd64::1:0/112", (RED1_V6,)):
            equal(lab.cli.lines("names", "--format", "zone", "--reverse", subnet),
                  [f"{ipaddress.ip_address(a).reverse_pointer}. 60 IN PTR {WEB if a == BLUE1 else DB}."
                   for a in addresses], f"reverse names of {subnet}")
        said = lab.cli.json("names")
        equal(said["zone"], ZONE, "zone")
        equal(said["names"][0], {"name": WEB, "tenant": "blue", "mapping": "web", "shared": [BLUE1, BLUE1_V6]},
              "a name")
        equal(said["left_out"], [], "left out")
        for words in (("--format", "bind"), ("--reverse", "100.64.0.0/16"),
                      ("--format", "zone", "--reverse", "100.64.0.0/33")):
            lab.cli.fails("names", *words, code=2)
        equal(lab.cli.json("show")["zone"], ZONE, "zone of show")
    finally:
        lab.apply(lab.dual_definitions())
    equal(lab.cli.json("show")["zone"], None, "zone of show")
    said = lab.cli.fails("names")
    assert "names: {zone: shared.internal}" in said, said


@once
def test_names_as_arguments(lab):
    """Where TENANT/MAPPING can be given, the name can be."""
    lab.apply(named(lab.definitions()))
    try:
        for name in WEB, WEB.upper() + ".":
            equal([row["fixed"] for row in lab.cli.json("stats", name)["mappings"]], [FIXED], f"stats {name}")
            equal([row["tenant"] for row in lab.cli.json("map", "list", name)], ["blue"], f"map list {name}")
            said = lab.cli.json("trace", DB, name + ":80")
            equal((said["steps"][0]["before"]["dst"], said["dport"]), (BLUE1, 80), f"trace to {name}")
            said = [f for f in lab.cli.json("check", name) if f["probe"] == "vm"]
            assert said and all(f["tenant"] == "blue" for f in said), f"check {name}: {said}"
        # of red's two VMs the named one alone
        for words, vms in ((["red"], 2), ([DB], 1), (["red/db"], 1)):
            asked = {f["subject"] for f in lab.cli.json("check", *words) if f["probe"] == "vm"}
            equal(len([vm for vm in asked if FIXED in vm or FIXED2 in vm]), vms, f"VMs of check {words}: {asked}")
        for command in ("stats",), ("check",), ("show",):
            said = lab.cli.fails(*command, f"blue-nobody.{ZONE}", code=2)
            assert "there is no tenant" in said, said
    finally:
        lab.apply()


@once
def test_names_that_cannot_be(lab):
    """In the file, and with `map add`: nothing is changed then."""
    lab.apply(named(lab.definitions()))
    try:
        for tenant, name, says in (("red", "a_b", "it has a `_`"), ("red", "DB", "as red/db is")):
            said = lab.cli.fails("map", "add", tenant, "10.0.0.77", "--name", name, code=2)
            assert says in said, said
            bad = named(lab.definitions()).mapping(tenant, "10.0.0.77", None, name)
            path = lab.write(bad, "bad.yaml")
            said = lab.cli.run("apply", "-f", path, code=2).stderr
            assert "bad.yaml:" in said, said
        lab.cli.run("map", "add", "red", "10.0.0.77", "--name", "vm-1")
        equal([name.split()[1] for name in lab.cli.lines("names")], [WEB, DB, f"red-vm-1.{ZONE}"], "names")
        # from before there was a zone, or another name
        lab.cli.run("map", "del", "red", "vm-1")
        said = lab.apply(named(lab.definitions(), "other.example"))
        equal(said[0], f"~ shared network: zone of names {ZONE} → other.example", "another zone")
        equal(lab.apply(named(lab.definitions(), "Other.example")), ["nothing to be done"], "the same zone")
        lab.cli.run("undo", "--yes")
        equal(lab.cli.json("show")["zone"], ZONE, "after undo")
        exported = lab.put("exported.yaml", lab.cli.run("export").stdout)
        equal(lab.cli.lines("apply", "-f", exported), ["nothing to be done"], "what export has")
    finally:
        lab.apply()


@once
def test_names_of_the_agent(lab):
    """It keeps a file that dnsmasq reads by itself: written when names change, gone with the zone."""
    where = os.path.join(lab.scratch, "names.d")
    hosts = os.path.join(where, "hosts")
    os.mkdir(where)

    def has(*lines):
        def check():
            with contextlib.suppress(FileNotFoundError), open(hosts, encoding="ascii") as f:
                head, *rest = f.read().splitlines()
                assert head.startswith(f"# Names of tenantnat in {ZONE}"), head
                equal(rest, list(lines), hosts)
                return
            raise AssertionError(f"no {hosts}")
        eventually(check)

    lab.apply(named(lab.definitions()))
    try:
        with Agent(lab, "--names", hosts) as agent, dnsmasq(lab, f"--hostsdir={where}"):
            has(f"{BLUE1} {WEB}", f"{RED1} {DB}")
            equal(os.stat(hosts).st_mode & 0o777, 0o644, "mode")
            answers(lab.red1, [BLUE1], WEB, "A")
            answers(lab.blue1, [DB + "."], "-x", RED1)
            # a change of something else leaves it as it is
            before = os.stat(hosts)
            lab.cli.run("map", "add", "red", "10.0.0.88", "--shared", "100.64.1.88")
            lab.cli.run("map", "add", "red", "10.0.0.99", "--shared", "100.64.1.99", "--name", "new")
            has(f"{BLUE1} {WEB}", f"{RED1} {DB}", f"100.64.1.99 red-new.{ZONE}")
            answers(lab.blue1, ["100.64.1.99"], f"red-new.{ZONE}", "A")
            now = os.stat(hosts)
            assert now.st_ino != before.st_ino, "it was not replaced by another file"
            lab.cli.run("map", "del", "red", "10.0.0.88")
            lab.cli.run("map", "del", "red", "new")
            has(f"{BLUE1} {WEB}", f"{RED1} {DB}")
            answers(lab.blue1, [], f"red-new.{ZONE}", "A")
            # whoever changes it does so for nothing
            with open(hosts, "a", encoding="ascii") as f:
                f.write("10.1.1.1 evil\n")
            lab.cli.run("map", "add", "red", "10.0.0.88")
            has(f"{BLUE1} {WEB}", f"{RED1} {DB}")
            lab.apply(named(lab.definitions(), None))
            eventually(lambda: equal(os.listdir(where), [], "what is left"))
            answers(lab.red1, [], WEB, "A")
            # a file of somebody else is not written to
            with open(hosts, "w", encoding="ascii") as f:
                f.write("127.0.0.1 localhost\n")
            lab.apply(named(lab.definitions()))
            agent.says("was not written by an agent")
            with open(hosts, encoding="ascii") as f:
                equal(f.read(), "127.0.0.1 localhost\n", "the file")
    finally:
        lab.apply()


@once
def test_names_by_default(lab):
    """In the unit's runtime directory, or below the state; no file is none."""
    assert "--names" in lab.cli.fails("agent", "--names", "", code=2)
    lab.apply(named(lab.definitions()))
    run = os.path.join(lab.scratch, "run")
    os.mkdir(run)
    under_state = os.path.join(lab.cli.state, "names/hosts")
    try:
        with Agent(lab):
            eventually(lambda: equal(os.path.exists(under_state), True, under_state))
        lab.cli.env["RUNTIME_DIRECTORY"] = run
        with Agent(lab):
            eventually(lambda: equal(os.path.exists(f"{run}/names/hosts"), True, "in the runtime directory"))
            equal(os.stat(f"{run}/names").st_mode & 0o777, 0o755, "mode of its directory")
    finally:
        lab.cli.env.pop("RUNTIME_DIRECTORY", None)
        lab.apply()


@once
def test_names_of_a_cluster(lab):
    """`names` has those of all hosts; the file of an agent, and --here, those that the host knows."""
    path = lab.write(named(cluster_definitions(lab)), "members.yaml")
    with cluster(lab, "hv1", "hv2") as (_, one, two):
        one.cli.run("apply", "--yes", "-f", path)
        two.sync()
        for host in one, two:
            equal(host.cli.lines("names"), [f"{BLUE1} {WEB}", f"{RED1} {DB}"], f"of {host.name}")
        equal(one.cli.lines("names", "--here"), [f"{RED1} {DB}"], "what hv1 knows")
        equal(two.cli.lines("names", "--here"), [f"{BLUE1} {WEB}"], "what hv2 knows")
