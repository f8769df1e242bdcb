# SPDX-License-Identifier: GPL-2.0-only
"""The definitions as a file: checked without a machine, written by us, and compared."""
import fcntl
import json
import os
import shutil
import subprocess

from agent import Agent
from case import equal, once
from defs import Definitions, Tenant
from lab import SUBNET, SUBNET_V6
from pair import portrait
from routers import Routers, sorted_lists
from snapshot import unchanged

WRONG = """shared-network: {subnets: [100.64.0.0/16]}
tenants:
  - name: red
    pool: [100.64.1.0/24]
    mappings:
      - {name: web, fixed: 10.0.0.5, shared: 100.64.9.5}
      - {fixd: 10.0.0.6}
"""


def nobody(lab):
    """tenantnat of a user who may do nothing, where there is no state."""
    os.chmod(lab.scratch, 0o755)
    return lab.cli.elsewhere(state="/nowhere", bpffs="/nowhere", under=[
        "setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
        "unshare", "--user", "--net"])


@once
def test_validate(lab):
    """Of all files: what is in them, or every error that apply has, by who may do nothing."""
    cli = nobody(lab)
    good = lab.write(lab.dual_definitions(), "valid.yaml")
    equal(cli.lines("validate", good),
          [f"{good} is valid: 3 tenants, 2 routers, 8 mappings"], "what it says")
    equal(cli.json("validate", good),
          {"file": good, "valid": True, "tenants": 3, "routers": 2, "mappings": 8, "errors": [],
           "warnings": [], "unlisted": 0}, "the same in JSON")
    equal(cli.lines("validate", "-q", good), [], "what it says with -q")
    with open(good, encoding="ascii") as f:
        equal(cli.lines("validate", "-", stdin=f),
              ["<stdin> is valid: 3 tenants, 2 routers, 8 mappings"], "what it says of stdin")
    wrong = lab.put("wrong.yaml", WRONG)
    done = cli.run("validate", wrong, code=2)
    equal(done.stdout, "", "stdout for a file with errors")
    equal(done.stderr, lab.cli.run("apply", "-f", wrong, code=2).stderr, "the errors, as of apply")
    done = json.loads(cli.run("-j", "validate", wrong, code=2).stdout)
    equal((done["valid"], done["mappings"]), (False, None), "what JSON says of it")
    equal([(e["line"], e["column"]) for e in done["errors"]], [(6, 46), (7, 10)], "places")
    equal(done["errors"][1]["text"], "unknown key `fixd`; did you mean `fixed`?", "an error")
    assert "cannot read /nowhere" in cli.fails("validate", "/nowhere", code=2)


@once
def test_validate_what_no_line_says(lab):
    """Too few addresses, and too many pools: apply would refuse them."""
    cli = nobody(lab)
    mappings = [(f"10.0.0.{i}",) for i in range(1, 6)]
    small = lab.write(Definitions(Tenant("red", *mappings, pool=["100.64.1.0/30"])), "small.yaml")
    said = cli.fails("validate", small, code=2)
    assert said.startswith(f"tenantnat: {small}: tenant red: no free address is left"), said
    error, = cli.json("validate", small, code=2)["errors"]
    equal((error["line"], error["column"]), (None, None), "the place of an error without one")
    pools = [f"100.{64 + i // 256}.{i % 256}.{k}" for i in range(520) for k in range(1, 255, 2)]
    many = lab.write(Definitions(Tenant("red", pool=pools), subnets=("100.64.0.0/10",)), "many.yaml")
    assert "put some together" in cli.fails("validate", many, code=2)


FULL = """shared-network:
  subnets: [100.64.0.0/16, "fd64::/64"]
tenants:
- name: away
  pool: [100.64.9.0/24, "fd64::9:0/112"]
- name: "no"
  router:
    netns: {0}
    shared: shared0
    inside: [lan0, qr-*]
    hook: tc
    sources: feasible
    forwarding: stack
    address: [100.64.0.3, "fd64::3"]
    routes:
    - {{to: 100.64.9.0/24, via: 100.64.255.250}}
  pool: [100.64.2.0/24, "fd64::2:0/112"]
  mappings:
  - {{name: db, fixed: 10.0.0.5}}
  - {{name: db, fixed: "fd00:10::5"}}
  accept:
  - {{from: ["*"], ports: [icmp]}}
- name: red
  router:
    netns: {1}
    shared: shared0
    inside: [lan0]
  pool: [100.64.1.0/24, "fd64::1:0/112"]
  mappings:
  - {{name: "1e5", fixed: 10.0.0.5, shared: 100.64.1.9, limit: {{rate: 100mbit, burst: 20mb, packets: 10000}}}}
  - {{fixed: 10.0.0.6}}
  - {{name: web, fixed: "fd00:10::5", shared: "fd64::1:9"}}
  accept:
  - {{from: ["no", away], to: ["1e5", web], ports: [tcp/5432, tcp/8000-8099, udp/53, icmp/echo-request, gre]}}
  - {{from: [red], to: [10.0.0.6]}}
"""


def definitions_only(rows):
    """Rows of state.db without those that say where in which file something was."""
    return [row for row in rows if not row.startswith(('INSERT INTO "rule"', 'INSERT INTO "origin"'))]


@once
def test_export(lab):
    """What is in force, to the byte of a file in its own style; to apply it changes nothing."""
    routers = Routers(lab, "export", 2)
    cli = routers.cli
    try:
        text = FULL.format(routers.ns[0].name, routers.ns[1].name)
        cli.apply(lab.put("full.yaml", text))
        equal(cli.run("export").stdout, text, "what is in force")
        before = routers.picture()
        out = lab.put("out.yaml", cli.run("export").stdout)
        equal(cli.apply(out), ["nothing to be done"], "to apply that")
        after = routers.picture()
        for picture in (before, after):
            picture["stored"] = definitions_only(picture["stored"])
            del picture["show"]["file"]
        unchanged(before, after, "what was exported and applied")
        equal(cli.apply(lab.put("out.json", cli.run("-j", "export").stdout)),
              ["nothing to be done"], "to apply it as JSON")
        cli.run("map", "add", "red", "10.0.0.77", "--name", "more")
        cli.run("detach", "red")
        changed = cli.run("export").stdout
        assert "  - {name: more, fixed: 10.0.0.77}\n" in changed, changed
    finally:
        routers.close()


def looks(routers):
    return sorted_lists(portrait(routers.ns[0]))


@once
def test_export_gives_the_same_elsewhere(lab):
    """With --pin: a host without the state gives the same addresses."""
    routers = Routers(lab, "exportpin", 1)
    cli = routers.cli
    try:
        # in another order than the file's, and one that went
        path = routers.write(Definitions(
            Tenant("red", ("10.0.0.5",), ("10.0.1.5",), ("fd00:10::5",), router=routers.of(0),
                   pool=["100.64.1.0/24", "fd64::1:0/112"]), subnets=(SUBNET, SUBNET_V6)), "defs")
        cli.apply(path)
        cli.run("map", "add", "red", "10.0.2.5")
        cli.run("map", "del", "red", "10.0.0.5")
        leases, router = cli.leases(), looks(routers)
        plain, pinned = cli.run("export").stdout, cli.run("export", "--pin").stdout
        assert "shared: 100" not in plain and "address" not in plain, plain
        routers.forget()
        cli.apply(lab.put("pinned.yaml", pinned))
        equal(cli.leases(), leases, "addresses of a new host")
        unchanged(router, looks(routers), "its router")
    finally:
        routers.close()


@once
def test_export_of_what_no_file_can_say(lab):
    """An address that `map add` pins in somebody else's pool: it is named."""
    lab.apply(Definitions(Tenant("a", pool=["100.64.1.0/24"]), Tenant("b", pool=["100.64.1.0/28"])))
    try:
        lab.cli.run("map", "add", "a", "10.0.0.5", "--shared", "100.64.1.5")
        done = lab.cli.run("export", code=1)
        assert "  - {fixed: 10.0.0.5, shared: 100.64.1.5}\n" in done.stdout, done.stdout
        place, said = done.stderr.splitlines()
        assert place.startswith("<export>:7:31: the shared address `100.64.1.5` is also in"), place
        assert "`apply` would refuse that file" in said, said
    finally:
        lab.apply()


def compared(cli, path, code, *words):
    """What diff prints, which is what a dry run does."""
    said = cli.lines("diff", path, *words, code=code)
    equal(said, cli.lines("apply", "--dry-run", "-f", path), "diff, and a dry run")
    return said


@once
def test_diff(lab):
    """Nothing, differences, and errors have an exit status each; nothing is changed or waited for."""
    routers = Routers(lab, "diff", 2)
    cli = routers.cli
    try:
        tenants = [Tenant(f"t{i}", ("10.0.0.5", f"100.64.{i}.5", "db"), router=routers.of(i),
                          pool=[f"100.64.{i}.0/24"]) for i in range(2)]
        path = routers.write(Definitions(*tenants, subnets=(SUBNET,)), "defs")
        before = routers.picture()
        assert "+ tenant t1" in compared(cli, path, 1), "all of it is new"
        unchanged(before, routers.picture(), "diff before the first apply")
        assert not os.path.exists(cli.state), "diff made a state"
        cli.apply(path)
        equal(compared(cli, path, 0), ["nothing to be done"], "what is in force")
        tenants[0].mappings[0] = ("10.0.0.5", "100.64.0.5", "web")
        other = routers.write(Definitions(tenants[0], subnets=(SUBNET,)), "other")
        before = routers.picture()
        with open(cli.state + "/lock", "r+", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            said = compared(cli, other, 1, "--wait", "0")
            done = cli.json("diff", other, code=1)
        for line in ("- tenant t1", "~ mapping t0 10.0.0.5: name db → web", "- router t1"):
            assert [s for s in said if s.startswith(line)], f"no {line} in {said}"
        equal([f"{l['sign']} {l['text']}" for l in done["lines"]], said[:-1], "lines of JSON")
        equal(f"{done['added']} to add, {done['changed']} to change, {done['removed']} to remove",
              said[-1], "the sum of JSON")
        equal(cli.lines("diff", "-q", other, code=1), [], "what it says with -q")
        # what apply would put back
        routers.ns[0].ip("route flush proto 116")
        assert [s for s in compared(cli, path, 1) if s.startswith("+ route t0")]
        cli.run("restore")
        unchanged(before, routers.picture(), "comparisons")
        # 1 is for differences alone
        wrong = lab.put("wrong.yaml", WRONG)
        equal(cli.run("diff", wrong, code=2).stderr, cli.run("validate", wrong, code=2).stderr,
              "errors of the file")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(cli.argv("diff", other), stdout=full, stderr=subprocess.PIPE,
                                  text=True, check=False)
        equal((done.returncode, "cannot write to stdout" in done.stderr), (2, True), "a full disk")
        routers.ns[1].remove()
        assert "no network namespace" in cli.fails("diff", path, code=2)
    finally:
        routers.close()


@once
def test_names_of_tenants(lab):
    """Capitals, dots and underscores: in the file, on the command line, in what is stored and shown."""
    routers = Routers(lab, "names", 2)
    cli, names = routers.cli, ["9_The.Tenant-B", "red", "Red"]
    try:
        tenants = [Tenant(name, ("10.0.0.5", f"100.64.{i}.5", "db.1"), pool=[f"100.64.{i}.0/24"],
                          router=routers.of(i) if i < 2 else None, accept=({"from": [names[0]]},))
                   for i, name in enumerate(names)]
        path = routers.write(Definitions(*tenants, subnets=(SUBNET,)), "defs")
        assert f"+ tenant {names[0]}" in cli.apply(path)
        equal(cli.apply(path), ["nothing to be done"], "a second apply")
        equal({tenant for tenant, _ in cli.leases()}, set(names), "tenants with mappings")
        equal(list(cli.leases("Red").values()), ["100.64.2.5"], "the mapping of the one in capitals")
        equal(cli.apply(routers.scratch + "/defs.yaml", "--tenant", f"Red,{names[0]}"),
              ["nothing to be done"], "two of them by name")
        equal(cli.apply(lab.put("names.yaml", cli.run("export").stdout)), ["nothing to be done"],
              "what is exported")
        said = cli.run("trace", f"{names[0]}/db.1", "red/db.1:80", code=None).stdout
        assert f"\n  {names[0]} route " in said, said
        cli.run("map", "add", names[0], "10.0.0.6")
        cli.run("map", "del", names[0], "db.1")
        equal({m["tenant"] for m in cli.json("stats")["mappings"]}, set(names), "of stats")
        cli.run("detach", names[0])
        equal({t["tenant"]: t["router"] and t["router"]["state"] for t in cli.json("show")["tenants"]},
              {names[0]: "detached", "red": "attached", "Red": None}, "what is attached")
        for wrong in ("red/web", "10.0.0.7", ".red"):
            bad = lab.put("bad.yaml", f"shared-network: {{subnets: [{SUBNET}]}}\n"
                                      f"tenants: [{{name: {wrong}}}]\n")
            first = cli.run("validate", bad, code=2).stderr.splitlines()[0]
            assert first.startswith(f"{bad}:2:18: ") and f"`{wrong}`" in first, first
    finally:
        routers.close()


LACKING = """shared-network: {{subnets: [100.64.0.0/16]}}
tenants:
  - name: open
    router: {{netns: {0}, shared: shared0, inside: [lan0]}}
    mappings: [{{fixed: 10.0.0.5}}]
  - name: closed
    router: {{netns: {1}, shared: shared0, inside: [lan0]}}
    mappings: [{{fixed: 10.0.0.5}}]
    accept: []
  - name: empty
    router: {{netns: {2}, shared: shared0, inside: [lan0]}}
  - name: away
    mappings: [{{fixed: 10.0.0.5}}]
"""


@once
def test_tenants_that_accept_nobody(lab):
    """Who may have forgotten `accept` is told once a command; who cannot have is not."""
    routers = Routers(lab, "lacking", 3)
    cli = routers.cli
    try:
        path = lab.put("lacking.yaml", LACKING.format(*(ns.name for ns in routers.ns)))
        text = ("tenant `open` has no `accept`, so nobody can reach it; say who may, or `accept: []` "
                "if that is meant")
        said = f"tenantnat: {path}:3:5: {text}\n"
        for words, code in ((["validate", path], 0), (["diff", path], 1),
                            (["apply", "-n", "-f", path], 0), (["apply", "-f", path], 0),
                            (["apply", "-f", path, "--tenant", "open"], 0), (["diff", path], 0),
                            (["doctor", "-f", path], None)):
            equal(cli.run(*words, code=code).stderr, said, f"stderr of {words}")
        for words in (["validate", path, "-q"], ["apply", "-f", path, "--tenant", "closed"],
                      ["doctor", "-f", path, "closed"], ["restore"]):
            equal(cli.run(*words, code=None).stderr, "", f"stderr of {words}")
        done = cli.run("-j", "validate", path)
        equal((done.stderr, json.loads(done.stdout)["warnings"]),
              ("", [{"line": 3, "column": 5, "text": text}]), "JSON")
        with Agent(routers, "-f", path) as agent:
            agent.says(text)
    finally:
        routers.close()


class DefaultFile:
    """tenantnat in a mount namespace of its own, whose /etc is that of a directory here."""
    PATH = "/etc/tenantnat/tenantnat.yaml"

    def __init__(self, cli, scratch):
        self.etc, self.scratch = scratch + "/etc", scratch
        os.makedirs(self.etc + "/tenantnat")
        for name in ("passwd", "ld.so.cache"):
            shutil.copy("/etc/" + name, self.etc)
        self.cli = cli.elsewhere(bpffs=cli.where[3], under=[
            "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', self.etc])

    def put(self, text):
        with open(self.etc + "/tenantnat/tenantnat.yaml", "w", encoding="ascii") as f:
            f.write(text)


@once
def test_default_file(lab):
    """apply, validate and diff read it without -f; the agent does not; without it they say so."""
    routers = Routers(lab, "default", 1)
    try:
        default = DefaultFile(routers.cli, routers.scratch)
        cli, one = default.cli, Definitions(
            Tenant("t0", ("10.0.0.5", "100.64.0.5"), router=routers.of(0)), subnets=(SUBNET,))
        for words in (["apply"], ["apply", "--dry-run"], ["validate"], ["diff"]):
            said = cli.fails(*words, code=2)
            assert f"there is no {default.PATH}; put the definitions there, or give" in said, said
        default.put(one.yaml())
        equal(cli.lines("validate"),
              [f"{default.PATH} is valid: 1 tenant, 1 router, 1 mapping"], "the default file")
        assert "+ tenant t0" in cli.lines("diff", code=1)
        assert "+ tenant t0" in cli.lines("apply")
        equal(cli.json("show")["file"], default.PATH, "where the definitions are from")
        equal(cli.lines("diff"), ["nothing to be done"], "what is in force")
        # a file that is named is read instead
        path = routers.write(one.mapping("t0", "10.0.0.6", "100.64.0.6"), "other")
        for words in (["diff", path], ["diff", "-f", path]):
            assert "+ mapping t0 10.0.0.6 -> 100.64.0.6" in cli.lines(*words, code=1), words
        assert f"there are two files, {path} and /x" in cli.fails("diff", "-f", path, "/x", code=2)
        assert "2 mappings" in cli.run("validate", "-f", path).stdout
        cli.run("apply", "-f", path)
        routers.cli = cli
        with Agent(routers):
            equal(len(cli.leases()), 2, "mappings, beside an agent without -f")
    finally:
        routers.close()
