# SPDX-License-Identifier: GPL-2.0-only
"""What cannot be done is said in one sentence with the remedy, and nothing is half done."""
import os

from case import equal, once
from defs import rule_yaml
from lab import ADDRESSES, BLUE, FIXED2, GREEN, INSIDE
from net import BPFFS
from snapshot import machine, unchanged


def fails(lab, definitions, *words, code=1, cli=None):
    """Applying them fails with a sentence that has these words, and changes nothing."""
    before = machine(lab)
    said = (cli or lab.cli).fails("apply", "-f", lab.write(definitions, "bad.yaml"), code=code)
    for word in words:
        assert word in said, f"no {word!r} in: {said}"
    unchanged(before, machine(lab), "a failed apply")
    return said


def with_green(lab, **router):
    """Definitions with changes before and behind the one that cannot be done."""
    defs = lab.definitions().having(lab.green_tenant()).mapping("blue", FIXED2)
    defs["green"].router.update(router)
    return defs.mapping("red", "10.0.0.7")


@once
def test_no_such_namespace(lab):
    fails(lab, with_green(lab, netns="tne-nowhere"), "tne-nowhere", "green")


@once
def test_no_such_interface(lab):
    fails(lab, with_green(lab, shared="shared7"), "shared7", "green")
    fails(lab, with_green(lab, inside="[lan7]"), "lan7", "green")


@once
def test_shared_interface_is_not_to_be_guessed(lab):
    """None is named, and none of them, or two, have a shared address: it says what there is."""
    guess = with_green(lab)
    guess["green"].router = {"netns": lab.green.name}
    others = "".join(f", {device} {ADDRESSES['green'][device][0].split('/')[0]}"
                     for device in ("lan1", "up0", "tun0") if device in lab.devices("green"))
    lab.green.ip(f"addr flush dev shared0 to {GREEN}")
    try:
        fails(lab, guess, "tenant green: no interface has an address in the shared subnets; "
              f"seen: lo, shared0, lan0 {INSIDE}{others}. Name the one")
    finally:
        lab.green.ip(f"addr add {GREEN}/16 dev shared0")
    lab.green.ip("addr add 100.64.7.7/24 dev lan0")
    try:
        fails(lab, guess, "tenant green: shared0 and lan0 have an address in the shared subnets; "
              f"seen: lo, shared0 {GREEN}, lan0 {INSIDE} 100.64.7.7{others}. Name one")
    finally:
        lab.green.ip("addr del 100.64.7.7/24 dev lan0")


@once
def test_not_a_namespace(lab):
    fails(lab, with_green(lab, netns=lab.put("file", "")), lab.scratch + "/file")


@once
def test_router_address_is_mapped(lab):
    """Only the machine knows the routers' addresses: refused before anything is done."""
    defs = lab.definitions()
    defs["blue"].pool = None
    fails(lab, defs.mapping("blue", FIXED2, BLUE), BLUE, code=2)


def nothing_made(cli, *paths):
    for path in paths:
        assert not os.path.exists(path), f"{path} was made"
    equal(cli.elsewhere(state=cli.state).leases(), {}, "leases")


@once
def test_bpffs_not_mounted(lab):
    cli = lab.cli.elsewhere(state=lab.scratch + "/nobpffs", under=[
        "unshare", "-m", "sh", "-c", f'while umount {BPFFS} 2>&-; do :; done; exec "$@"', "sh"])
    fails(lab, lab.definitions(), "mount -t bpf", BPFFS, cli=cli)
    nothing_made(cli)


@once
def test_no_privileges(lab):
    state = lab.scratch + "/nobody"
    os.mkdir(state)
    os.chown(state, 65534, 65534)
    os.chmod(lab.scratch, 0o755)
    cli = lab.cli.elsewhere(state=state, under=["setpriv", "--reuid", "65534", "--regid", "65534",
                                                "--clear-groups"])
    said = fails(lab, lab.definitions(), cli=cli)
    assert "root" in said or "CAP_" in said, f"no remedy in: {said}"
    equal(os.listdir(state), [], "in the state directory")


@once
def test_unsupported_kernel(lab):
    cli = lab.cli.elsewhere(state=lab.scratch + "/old", under=["setarch", "--uname-2.6"])
    fails(lab, lab.definitions(), "2.6", "6.1", cli=cli)
    nothing_made(cli)


@once
def test_state_cannot_be_made(lab):
    path = lab.put("in-the-way", "")
    cli = lab.cli.elsewhere(state=path + "/state", bpffs=BPFFS + "/elsewhere")
    fails(lab, lab.definitions(), path, cli=cli)
    assert not os.path.exists(BPFFS + "/elsewhere"), "pins were made"


@once
def test_state_is_not_a_database(lab):
    cli = lab.cli.elsewhere(state=lab.scratch + "/broken", bpffs=BPFFS + "/elsewhere")
    os.mkdir(cli.state)
    lab.put("broken/state.db", "this is no database, however long one looks at it\n" * 50)
    fails(lab, lab.definitions(), "state.db", cli=cli)


@once
def test_no_such_file(lab):
    said = lab.cli.run("apply", "-f", lab.scratch + "/missing.yaml", code=None)
    assert said.returncode in (1, 2), f"exit {said.returncode}"
    assert "missing.yaml" in said.stderr and said.stderr.count("\n") == 1, said.stderr


@once
def test_broken_file(lab):
    """Every error, each with its place; nothing changed."""
    text = lab.definitions().mapping("red", "10.0.0.7").yaml()
    text += "  - name: Bad Name\n    colour: green\n    mappings:\n      - {fixed: 10.0.0.300}\n"
    path = lab.put("broken.yaml", text)
    lines = text.splitlines()
    before = machine(lab)
    done = lab.cli.run("apply", "-f", path, code=2)
    equal(done.stdout, "", "stdout")
    errors = done.stderr.splitlines()
    last = errors.pop()
    assert "3 errors" in last, f"the last line: {last}"
    for word in ("Bad Name", "colour", "10.0.0.300"):
        line = next(i for i, l in enumerate(lines, 1) if word in l)
        column = lines[line - 1].index(word) + 1
        assert any(e.startswith(f"{path}:{line}:{column}: ") for e in errors), \
            f"nothing at {line}:{column} ({word}) in {errors}"
    equal(len(errors), 3, "errors")
    unchanged(before, machine(lab), "a broken file")


@once
def test_rules_that_are_wrong(lab):
    """Each with its place; nothing is changed."""
    before = machine(lab)
    for rule, word in (({"from": ["nobody"]}, "nobody"), ({"from": ["red"], "to": ["x"]}, "`x`"),
                       ({"from": ["red"], "ports": ["http"]}, "http"), ({"to": ["db"]}, "from")):
        definitions = lab.definitions()
        definitions["red"].accept = (rule,)
        path = lab.write(definitions, "rule.yaml")
        line = 1 + definitions.yaml().splitlines().index("      - " + rule_yaml(rule))
        done = lab.cli.run("apply", "-f", path, code=2)
        assert f"{path}:{line}:" in done.stderr and word in done.stderr, done.stderr
    unchanged(before, machine(lab), "a wrong rule")


@once
def test_wrong_usage(lab):
    """Exit 2 and a hint."""
    path = lab.write(lab.definitions())
    for words in ([], ["frobnicate"], ["apply", "-f"], ["apply", "-f", path, "more"],
                  ["apply", "--frobnicate"], ["map"], ["map", "frob"], ["map", "add"],
                  ["map", "add", "red"], ["map", "del", "red"], ["detach"],
                  ["detach", "--all", "red"], ["--wait", "soon", "show"], ["--wait", "-1", "show"],
                  ["status", "--frobnicate"], ["--frobnicate", "show"]):
        done = lab.cli.run(*words, code=2)
        hint = any(word in done.stderr for word in ("--help", "give ", "is needed"))
        assert hint, f"no hint for {words}: {done.stderr!r}"
        equal(done.stdout, "", f"stdout of {words}")


@once
def test_help(lab):
    """Every command has one, on stdout, exit 0, also for those who may do nothing."""
    cli = lab.cli.elsewhere(under=["setpriv", "--reuid", "65534", "--clear-groups"])
    for words in ([], ["diff"], ["export"], ["neutron"], ["validate"], ["apply"], ["map"], ["map", "add"],
                  ["map", "del"], ["map", "list"], ["status"], ["show"], ["show", "history"], ["undo"], ["init"],
                  ["names"], ["stats"], ["graph"], ["monitor"], ["trace"], ["check"],
                  ["announce"], ["doctor"], ["restore"], ["agent"], ["detach"], ["cluster", "join"],
                  ["cluster", "leave"], ["cluster", "follow"], ["cluster", "status"]):
        done = cli.run(*words, "--help")
        usage = " ".join(["Usage: tenantnat [OPTION…]", *words])
        assert done.stdout.startswith(usage), f"{words} --help: {done.stdout!r}"
        equal([line for line in done.stdout.splitlines() if line.endswith(" ")], [],
              f"lines of {words} --help that end in a space")
        equal(done.stderr, "", f"stderr of {words} --help")
    for command in ("add", "del", "list"):
        assert f"map {command}" in cli.run("map", "-h").stdout, f"map -h does not name {command}"
    for command in ("apply", "map", "show", "stats", "restore", "agent", "detach"):
        assert command in cli.run("--help").stdout, f"--help does not name {command}"
    assert "tenantnat" in cli.run("--version").stdout, "--version"


@once
def test_mistyped_command(lab):
    """The command that was meant is named, if one is near; a group by its first word."""
    for words, meant in (
            (["aply", "-f", "x"], "apply"), (["statz"], "stats"), (["shwo"], "show"),
            (["mpa"], "map"), (["map", "ad", "red"], "map add"), (["mpa", "list"], "map list"),
            (["shwo", "history"], "show history"), (["showhistory"], "show history"),
            (["DOCTOR"], "doctor"), (["frobnicate"], None), (["map", "frobnicate"], None)):
        done = lab.cli.run(*words, code=2)
        first, hint = done.stderr.splitlines()
        typed = " ".join(words[:2]) if words[0] == "map" else words[0]
        end = f"; did you mean `{meant}`?" if meant else ""
        equal(first, f"tenantnat: there is no command `{typed}`{end}", "what it says")
        equal((hint, done.stdout), ("Try `tenantnat --help`.", ""), "what else")


@once
def test_wrong_option(lab):
    """One sentence that begins with the command, and where to look; whatever is wrong with it."""
    for words, command, said in (
            ("stats --exlpain", "stats", "there is no option --exlpain; did you mean `--explain`?"),
            ("stats --frobnicate=7", "stats", "there is no option --frobnicate"),
            ("stats -x", "stats", "there is no option -x"),
            ("stats -jx", "stats", "there is no option -x"),
            ("stats --sort=name -xj", "stats", "there is no option -x"),
            ("stats --sort", "stats", "--sort needs a value: --sort KEY"),
            ("apply -f", "apply", "--file needs a value: --file FILE"),
            ("apply --dry-run=yes", "apply", "--dry-run takes no value"),
            ("apply --pa", "apply", "--pa can be more than one option: --patience, --partial"),
            ("map add --shraed 1 red 2", "map add",
             "there is no option --shraed; did you mean `--shared`?"),
            ("show --=3", "show", "there is no option --"), ("--jsno show", "",
                                                              "there is no option --jsno; did you "
                                                              "mean `--json`?"),
            ("-x show", "", "there is no option -x"),
            ("--wait", "", "--wait needs a value: --wait SECONDS")):
        done = lab.cli.run(*words.split(), code=2)
        name = " ".join(["tenantnat", *command.split()])
        equal(done.stderr, f"{name}: {said}\nTry `{name} --help`.\n", words)
        equal(done.stdout, "", f"stdout of {words}")


@once
def test_metrics_address_is_wrong(lab):
    """As other wrong values: exit 2, before anything is made."""
    cli = lab.cli.elsewhere(state=lab.scratch + "/metrics", bpffs=BPFFS + "/elsewhere")
    for where in ("9876", ":9876", "127.0.0.1:0", "localhost:9876", "[::1:9876"):
        said = cli.fails("agent", "--metrics", where, code=2)
        assert said.startswith(f"tenantnat: --metrics {where}: "), said
    assert not os.path.exists(cli.state), "a state was made"


@once
def test_one_of_a_thing(lab):
    """Is not many."""
    one = lab.definitions()
    one["red"].mappings.pop()
    one["blue"].mappings.pop()
    lab.apply(one)
    try:
        lines = lab.cli.lines("show")
        assert any(line.startswith("red: 1 mapping,") for line in lines), lines
        assert "1 router," in lab.cli.run("validate", lab.put("one.yaml", (
            "shared-network: {subnets: [100.64.0.0/16]}\n"
            "tenants: [{name: a, router: {netns: a}, mappings: [{fixed: 10.0.0.1}]}]"))).stdout
        # the routers' own addresses count
        equal(sorted(lab.cli.lines("announce")), ["tenant blue: 1 address announced",
                                                  "tenant red: 2 addresses announced"], "announced")
    finally:
        lab.apply()


@once
def test_options_anywhere(lab):
    """Global options before and behind the command."""
    for words in (["-j", "map", "list"], ["map", "list", "-j"], ["map", "list", "--json"]):
        assert lab.cli.run(*words).stdout.startswith("["), f"{words} is not JSON"


@once
def test_nothing_yet(lab):
    """Listings of a machine that has never seen an apply."""
    cli = lab.cli.elsewhere(state=lab.scratch + "/fresh", bpffs=BPFFS + "/fresh")
    equal(cli.leases(), {}, "leases")
    equal(cli.json("show"), {"file": None, "subnets": [], "zone": None, "tenants": [], "leftovers": []}, "show")
    equal(cli.json("stats"), {"mappings": [], "rules": [], "drops": [], "flows": []}, "stats")
    assert "apply -f FILE" in cli.fails("export")
    cli.run("detach", "--all")
    assert not os.path.exists(BPFFS + "/fresh"), "pins were made"
