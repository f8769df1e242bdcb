# SPDX-License-Identifier: GPL-2.0-only
"""One file for many hosts: each takes the routers that are its own."""
import json

from case import equal, once
from lab import BLUE1, FIXED, RED, RED1
from traffic import ping

NAMED = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"']


def host(lab, name):
    """The same program, on a host that is called so."""
    return lab.cli.elsewhere(under=[*NAMED, name])


def routers(lab, name):
    """{tenant: the state of its router, or None} that such a host shows."""
    tenants = host(lab, name).json("show")["tenants"]
    return {t["tenant"]: t["router"] and t["router"]["state"] for t in tenants}


def shared_file(lab):
    definitions = lab.definitions()
    definitions["red"].router.update(host="hv1", address=RED)
    definitions["blue"].router.update(hosts="[hv2, hv3]", active="always")
    return definitions


@once
def test_hosts_have_their_own_routers(lab):
    path = lab.write(shared_file(lab), "hosts.yaml")
    try:
        plan = host(lab, "hv2").apply(path)
        assert "~ tenant red: router here → elsewhere" in plan, plan
        assert any(line.startswith("- router red: ") for line in plan), plan
        assert any(line.startswith("~ router blue: hosts (any) → hv2, hv3") for line in plan), plan
        equal(routers(lab, "hv2"), {"red": None, "blue": "attached", "plain": None}, "on hv2")
        equal(host(lab, "hv2").apply(path)[-1:], ["nothing to be done"], "the same file again")
        equal([t["hosts"] for t in lab.cli.json("show")["tenants"]],
              [["hv2", "hv3"], None, ["hv1"]], "hosts")
        shown = host(lab, "hv2").run("show", "red").stdout
        assert "router elsewhere: on hv1; this host is hv2" in shown, shown
        said = host(lab, "hv2").run("apply", "-v", "-f", path).stderr
        assert "tenant red: its router is elsewhere, on hv1; this host is hv2" in said, said
        twice = "the router of tenant `blue` has several hosts and is `active: always`"
        assert twice in said, said
        assert twice in host(lab, "hv9").run("validate", path).stderr
        assert twice in json.dumps(host(lab, "hv9").json("validate", path)["warnings"])
        ping(lab.plain, BLUE1)
        host(lab, "hv1").apply(path)
        equal(routers(lab, "hv1"), {"red": "attached", "blue": None, "plain": None}, "on hv1")
        ping(lab.plain, RED1)
        said = host(lab, "hv9").run("apply", "-f", path, "--dry-run").stderr
        assert "no router is on this host, which is called `hv9`" in said, said
    finally:
        lab.apply()


@once
def test_hosts_elsewhere_keep_their_address(lab):
    """What the file gives to a router is nobody else's, whichever host has it."""
    definitions = shared_file(lab)
    definitions["plain"].mappings.append(("10.9.9.8", RED, None))
    definitions["plain"].pool.append(RED + "/32")
    path = lab.write(definitions, "taken.yaml")
    said = host(lab, "hv2").run("apply", "-f", path, code=2).stderr
    assert f"{RED}" in said and "router" in said, said


@once
def test_hosts_in_what_is_written(lab):
    path = lab.write(shared_file(lab), "hosts.yaml")
    try:
        host(lab, "hv3").apply(path)
        exported = {t["name"]: t.get("router") for t in lab.cli.json("export")["tenants"]}
        equal((exported["red"]["host"], exported["red"]["address"]), ("hv1", RED), "of red")
        equal((exported["blue"]["hosts"], exported["blue"]["active"]), (["hv2", "hv3"], "always"),
              "of blue")
        again = lab.put("exported.yaml", lab.cli.run("export").stdout)
        equal(host(lab, "hv3").lines("diff", again), ["nothing to be done"], "what is exported is in force")
        # a change is taken back as a whole, hosts and all
        lab.apply()
        host(lab, "hv3").run("undo")
        equal(routers(lab, "hv3"), {"red": None, "blue": "attached", "plain": None}, "undone")
        assert FIXED in lab.cli.run("map", "list", "red").stdout
    finally:
        lab.apply()
