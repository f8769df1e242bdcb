# SPDX-License-Identifier: GPL-2.0-only
"""What the commands that read show: of whom, in which order, and what they say when there is nobody."""
from case import equal, once
from lab import BLUE1, FIXED, FIXED2, PLAIN, RED1, RED2
from traffic import ping

SHOWN = {"map list": lambda said: [(row["tenant"], row["fixed"]) for row in said],
         "stats": lambda said: [(row["tenant"], row["fixed"]) for row in said["mappings"]],
         "show": lambda said: [tenant["tenant"] for tenant in said["tenants"]],
         "status": lambda said: [tenant["tenant"] for tenant in said["tenants"]],
         "doctor": lambda said: sorted({f["tenant"] for f in said["findings"]} - {None})}
OF_MAPPINGS = ["map list", "stats"]


def shown(lab, command, *words):
    return SHOWN[command](lab.cli.json(*command.split(), *words))


@once
def test_view_of_tenants_and_mappings(lab):
    """TENANT and TENANT/MAPPING mean the same everywhere; in JSON as in text."""
    red, blue = [("red", FIXED), ("red", FIXED2)], [("blue", FIXED)]
    for words, mappings, tenants in (
            ((), blue + [("plain", "10.9.9.9")] + red, ["blue", "plain", "red"]),
            (("red",), red, ["red"]), (("red", "blue"), blue + red, ["blue", "red"]),
            (("red/db",), red[:1], ["red"]), ((f"red/{FIXED2}",), red[1:], ["red"]),
            (("red/db", "red"), red, ["red"]), (("red/db", "blue"), blue + red[:1], ["blue", "red"])):
        for command in SHOWN:
            want = mappings if command in OF_MAPPINGS else tenants
            if command == "doctor":     # has nothing to say of who has no router here
                want = [tenant for tenant in want if tenant != "plain"]
            equal(shown(lab, command, *words), want, f"{command} {words}")
    text = lab.cli.run("map", "list", "red/db").stdout
    equal([line.split()[2] for line in text.splitlines()], ["FIXED", FIXED], "map list in text")
    text = lab.cli.run("stats", "blue").stdout
    assert BLUE1 in text and RED1 not in text, f"stats blue: {text}"


@once
def test_view_of_rules(lab):
    """Of a mapping, the rules that are about it; drops and flows are its router's."""
    definitions = lab.definitions()
    definitions["red"].accept = ({"from": ["blue"], "to": ["db"], "ports": ["tcp/5432"]},
                                 {"from": ["blue"], "to": [FIXED2], "ports": ["icmp"]})
    lab.apply(definitions)
    try:
        for words, ports in ((["red"], ["tcp/5432", "icmp"]), (["red/db"], ["tcp/5432"]),
                             ([f"red/{FIXED2}"], ["icmp"]), (["blue"], None)):
            said = lab.cli.json("stats", *words)
            equal([row["ports"] for row in said["rules"]],
                  [[port] for port in ports] if ports else [None], f"rules of stats {words}")
            equal({row["tenant"] for row in said["flows"]}, {words[0].split("/")[0]}, "flows")
            said, = lab.cli.json("show", *words)["tenants"]
            equal([rule["ports"] for rule in said["accept"]],
                  [[port] for port in ports] if ports else [None], f"rules of show {words}")
        equal(lab.cli.json("show", "red/db")["tenants"][0]["named"],
              [{"name": "db", "fixed": FIXED, "shared": RED1, "mac": None}], "what was named")
        equal(lab.cli.json("show", "red")["tenants"][0]["named"], None, "what was named")
        text = lab.cli.run("show", "red/db").stdout
        assert "mapping db " in text and "tcp/5432" in text and "icmp" not in text, text
    finally:
        lab.apply()


@once
def test_view_of_nobody(lab):
    """One error for all, with who may have been meant."""
    equal(lab.cli.fails("graph", "blue", "red/bd", code=2),
          "tenantnat: tenant red has no mapping bd; did you mean `db`?", "graph")
    for command in (*SHOWN, "check", "announce", "detach"):
        words = command.split()
        equal(lab.cli.fails(*words, "bleu", code=2),
              "tenantnat: there is no tenant bleu; did you mean `blue`?", command)
        equal(lab.cli.fails(*words, "nobody", code=2),
              "tenantnat: there is no tenant nobody; `tenantnat show` lists them", command)
        if command in SHOWN:
            equal(lab.cli.fails(*words, "blue", "red/bd", code=2),
                  "tenantnat: tenant red has no mapping bd; did you mean `db`?", command)
            equal(lab.cli.fails(*words, "db", code=2),
                  "tenantnat: there is no tenant db; did you mean `red/db`?", command)
            equal(lab.cli.fails(*words, "red/", code=2),
                  "tenantnat: `red/` names nothing; give TENANT or TENANT/MAPPING", command)
        elif command == "check":
            equal(lab.cli.fails("check", "red/bd", code=2),
                  "tenantnat: tenant red has no mapping bd; did you mean `db`?", command)
        else:
            assert "give `red`" in lab.cli.fails(*words, "red/db", code=2), command
    # for one mapping not all are read; a mistake is looked for among all
    lab.apply(lab.definitions().mapping("red", "10.0.0.7", "100.64.1.7", "mail"))
    try:
        equal(lab.cli.fails("map", "del", "red", "mial", code=2),
              "tenantnat: tenant red has no mapping mial; did you mean `mail`?", "map del")
    finally:
        lab.apply()
    equal(lab.cli.fails("map", "add", "rde", "10.0.0.9", code=2),
          "tenantnat: there is no tenant rde; did you mean `red`?", "map add")
    equal(lab.cli.fails("map", "del", "red", "bd", code=2),
          "tenantnat: tenant red has no mapping bd; did you mean `db`?", "map del")
    equal(lab.cli.fails("map", "del", "red", "10.0.0.99", code=2),
          "tenantnat: tenant red has no mapping 10.0.0.99; `tenantnat map list red` lists them",
          "map del")
    equal(lab.cli.fails("show", "histroy", code=2),
          "tenantnat: there is no tenant histroy; did you mean `show history`?", "show histroy")


@once
def test_view_sorted(lab):
    """By the keys that --help names; what is equal stays as it was."""
    ping(lab.blue1, RED2, 5)
    definitions = lab.definitions().mapping("red", "10.0.0.4", "100.64.1.200", "Zoe")
    lab.apply(definitions)
    try:
        for key, want in (
                ("tenant", [BLUE1, PLAIN, "100.64.1.200", RED1, RED2]),
                ("name", ["100.64.1.200", RED1, BLUE1, PLAIN, RED2]),
                ("fixed", ["100.64.1.200", BLUE1, RED1, RED2, PLAIN]),
                ("shared", [PLAIN, RED1, RED2, "100.64.1.200", BLUE1])):
            rows = lab.cli.json("map", "list", "--sort", key)
            equal([row["shared"] for row in rows], want, f"by {key}")
            text = lab.cli.run("map", "list", "--sort", key).stdout
            equal([line.split()[-1] for line in text.splitlines()[1:]], want, f"by {key} in text")
        rows = lab.cli.json("map", "list", "red", "--sort", "shared")
        equal([row["shared"] for row in rows], [RED1, RED2, "100.64.1.200"], "those of red")
        for key, want in (("name", ["blue", "plain", "red"]), ("mappings", ["red", "blue", "plain"])):
            equal([t["tenant"] for t in lab.cli.json("show", "--sort", key)["tenants"]], want,
                  f"show by {key}")
            text = lab.cli.run("show", "--sort", key).stdout
            at = [text.index(f"{tenant}: ") for tenant in want]
            equal(at, sorted(at), f"show by {key} in text: {text}")
        rows = lab.cli.json("stats", "--sort", "traffic")["mappings"]
        carried = [row["in"]["bytes"] + row["out"]["bytes"] for row in rows]
        equal(carried, sorted(carried, reverse=True), "stats by traffic")
        for name in ("drops", "flows"):
            said = lab.cli.json("stats", "--sort", name)
            equal(sorted(map(str, said["mappings"])),
                  sorted(map(str, lab.cli.json("stats")["mappings"])), f"mappings, by {name}")
            counts = [row["packets" if name == "drops" else "open"] for row in said[name]]
            equal(counts, sorted(counts, reverse=True), f"stats by {name}")
    finally:
        lab.apply()


@once
def test_view_unknown_key(lab):
    """The keys are in the error, and the same in the help."""
    for words, keys in ((["map", "list"], "tenant, name, fixed or shared"),
                        (["show"], "name or mappings"),
                        (["stats"], "name, traffic, drops or flows")):
        equal(lab.cli.fails(*words, "--sort", "size", code=2),
              f"tenantnat: --sort size: there is no such key; sort by {keys}", f"{words}")
        text = lab.cli.run(*words, "--help").stdout
        option = text[text.index("--sort KEY  "):]
        for key in keys.replace(" or ", ", ").split(", "):
            assert key in option.splitlines()[0], f"{words} --help does not name {key}: {option}"
    for words in (["--sort", "name"], ["red"], ["--explain"], ["-w"]):
        assert "format of its own" in lab.cli.fails("stats", "--prometheus", *words, code=2), words
