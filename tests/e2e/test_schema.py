# SPDX-License-Identifier: GPL-2.0-only
"""
The JSON Schema of the definitions file, for editors and CI: it takes the files that are good, and refuses
what `validate` refuses for its form. What only a whole file shows is validate's alone. That kinds and required
keys are the parser's is a unit test (`test_schema_file.c`).
"""
import json
import pathlib
import re

import jsonschema
import yaml

from case import equal, once
from defs import Definitions, Tenant

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
NETWORK = "shared-network: {subnets: [100.64.0.0/16, 'fd64::/64']}\n"
DRAFT = jsonschema.Draft7Validator


def schema():
    return json.loads((TOP / "packaging/tenantnat.schema.json").read_text())


class Loader(yaml.SafeLoader):
    """As those who check schemas read YAML: a date is a text (YAML 1.2)."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in each if not tag.endswith(":timestamp")]
    for first, each in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def refusals(text):
    """What the schema says of a file."""
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
            for e in DRAFT(schema()).iter_errors(yaml.load(text, Loader))]


def complete_examples():
    """{where: text} of the pages' files; those that are a part of one begin otherwise."""
    for page in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]:
        for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)):
            if text.startswith("shared-network:"):
                yield f"{page.name} {number}", text
    yield "demo", (TOP / "demo/definitions.yaml").read_text()


def good_files(lab):
    yield from complete_examples()
    yield "the lab", lab.definitions().yaml()
    yield "the lab, dual", lab.dual_definitions().yaml()
    for i, lines in enumerate(GOOD):
        yield f"row {i}", NETWORK + "tenants:\n" + lines
    yield "limits", Definitions(Tenant("red", ("10.0.0.5",), limits={
        "10.0.0.5": "{rate: 100mbit, burst: 20mb, packets: 10000}"})).yaml()


# What may look wrong, and is not.
GOOD = [
    "  []\n",
    "  - {name: 9_The.Tenant-B, router: }\n",
    "  - {name: 1.5, router: {}, mappings: [], accept: []}\n",
    "  - {name: 10.0.0, mappings: [{fixed: 10.0.0.5, name: 123}]}\n",
    "  - {name: a, pool: [100.64.1.0/24, 100.64.2.5, 'fd64::1:0/112', 'fd64::7']}\n",
    "  - {name: a, router: {netns: /run/x y/z, shared: é-0, inside: ['*', 'qr-*', '[a-c]?']}}\n",
    "  - {name: a, router: {address: 'fd64::2', routes: []}}\n",
    "  - {name: a, router: {inside-routes: [{to: 10.1.0.0/24, via: 192.0.2.1}, {to: 'fd01::/64', via: 'fd00::1'}]}}\n",
    "  - {name: a, router: {address: [100.64.0.2], routes: [{to: 'fd64::9:0/112', via: 'fd64::1'}]}}\n",
    "  - {name: a, mappings: [{fixed: '::1:0:0:5'}, {fixed: '2001:DB8::5', shared: 'fd64::2:3:4:5'}]}\n",
    "  - {name: a, mappings: [{fixed: '64:ff9b::1.2.3.4'}, {fixed: '1:2:3:4:5:6:7:8'}]}\n",
    "  - {name: a, mappings: [{fixed: 10.0.0.5, limit: {packets: '10000'}}]}\n",
    "  - {name: a, mappings: [{fixed: 10.0.0.5, mac: 'FA:16:3e:00:00:05'}]}\n",
    "  - {name: a, router: {host: hv-1.Example, active: address}}\n",
    "  - {name: a, router: {hosts: [hv1, hv2], active: elected, address: 100.64.0.2}}\n",
    "  - {name: a, router: {hosts: [hv1, 7]}}\n  - {name: b, router: {host: hv2}}\n",
    "  - {name: a, mappings: [{fixed: 10.0.0.5, limit: {rate: 8000bit, burst: 131072b}}]}\n",
    "  - {name: a, accept: [{from: '*'}, {from: a, ports: tcp}]}\n",
    "  - {name: a, mappings: [{fixed: 10.0.0.5, name: db}],\n"
    "     accept: [{from: [a, a/db, a/10.0.0.5], to: [db, 10.0.0.5], ports: [udp/0-65535, sctp/7, dccp, udplite/1-2]},\n"
    "              {from: ['*'], ports: [icmp, icmp/13, esp, gre, protocol/89, tcp/00080]},\n"
    "              {from: [a], ports: [icmp/extended-echo-request, icmp/node-information-query]}]}\n",
    "  - {name: a, accept: [{from: a, until: 2027-03-31}, {from: a, until: '2027-03-31T18:00:00+02:00'},\n"
    "                       {from: a, until: '2000-01-01t00:00:00z', ports: tcp}]}\n",
]

# What both refuse.
BAD = {
    "no file": "",
    "a list": "- a\n",
    "no tenants": NETWORK,
    "no network": "tenants: []\n",
    "no subnets": "shared-network: {subnets: []}\ntenants: []\n",
    "a subnet that is none": "shared-network: {subnets: [100.64.0.0/33]}\ntenants: []\n",
    "a subnet with one number too many": "shared-network: {subnets: [100.64.0.0.0/16]}\ntenants: []\n",
    "seventeen subnets": "shared-network: {subnets: [" + ", ".join(
        f"100.{i}.0.0/16" for i in range(64, 81)) + "]}\ntenants: []\n",
    "tenants that are no list": NETWORK + "tenants: {name: red}\n",
}
# The same of one tenant.
BAD_TENANT = """
    {}
    [red]
    {name: [red]}
    {name: red/web}
    {name: -red}
    {name: .red}
    {name: a b}
    {name: 10.0.0.5}
    {name: 'fd00::5'}
    {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
    {name: a, pool: []}
    {name: a, pool: 100.64.1.0/24}
    {name: a, pool: [100.64.1.0/24, 100.64.1.0/24]}
    {name: a, pool: [red]}
    {name: a, pool: ['fd64::/129']}
    {name: a, router: here}
    {name: a, router: [here]}
    {name: a, router: {netns: a/b}}
    {name: a, router: {netns: ..}}
    {name: a, router: {netns: }}
    {name: a, router: {shared: sixteen-letters0}}
    {name: a, router: {shared: a/b}}
    {name: a, router: {shared: [a]}}
    {name: a, router: {inside: lan0}}
    {name: a, router: {inside: []}}
    {name: a, router: {inside: [lan0, lan0]}}
    {name: a, router: {inside: ['qr/*']}}
    {name: a, router: {hook: tcx}}
    {name: a, router: {hook: TC}}
    {name: a, router: {sources: none}}
    {name: a, router: {forwarding: slow}}
    {name: a, router: {active: never}}
    {name: a, router: {active: elected}}
    {name: a, router: {active: elected, hosts: [hv1], address: 100.64.0.2}}
    {name: a, router: {active: elected, hosts: [hv1, hv2]}}
    {name: a, router: {host: hv_1}}
    {name: a, router: {host: -1}}
    {name: a, router: {host: [hv1]}}
    {name: a, router: {hosts: hv1}}
    {name: a, router: {hosts: []}}
    {name: a, router: {hosts: [hv1, hv1]}}
    {name: a, router: {host: hv1, hosts: [hv2]}}
    {name: a, router: {address: red}}
    {name: a, router: {address: [100.64.0.2, 'fd64::2', 100.64.0.3]}}
    {name: a, router: {address: 100.64.0.2/16}}
    {name: a, router: {routes: [{to: 100.64.9.0/24}]}}
    {name: a, router: {inside-routes: [{to: 10.1.0.0/24}]}}
    {name: a, router: {inside-routes: [{to: 10.1.0.0/24, via: gateway}]}}
    {name: a, router: {routes: {to: 100.64.9.0/24, via: 100.64.0.1}}}
    {name: a, router: {routes: [{to: 100.64.9.0/24, via: gateway}]}}
    {name: a, mappings: {fixed: 10.0.0.5}}
    {name: a, mappings: [10.0.0.5]}
    {name: a, mappings: [{name: db}]}
    {name: a, mappings: [{fixed: 10.0.0.256}]}
    {name: a, mappings: [{fixed: 10.0.0}]}
    {name: a, mappings: [{fixed: 10.0.0.}]}
    {name: a, mappings: [{fixed: 10.0.0.0/}]}
    {name: a, mappings: [{fixed: 10.0.0.5, shared: 'fd64::/'}]}
    {name: a, mappings: [{fixed: 10.0.0.5, name: db/1}]}
    {name: a, mappings: [{fixed: 10.0.0.5, name: 10.0.0.9}]}
    {name: a, mappings: [{fixed: 10.0.0.5, mac: fa:16:3e:00:00}]}
    {name: a, mappings: [{fixed: 10.0.0.5, mac: fa-16-3e-00-00-05}]}
    {name: a, mappings: [{fixed: 10.0.0.5, mac: "01:00:5e:00:00:05"}]}
    {name: a, mappings: [{fixed: 10.0.0.5, mac: "00:00:00:00:00:00"}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: 1gbit}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {rate: 100}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {rate: 0mbit}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {rate: 1mbyte}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {burst: 1mb}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {burst: 1mb, packets: 7}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {rate: 1mbit, burst: 1}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {rate: 1mbit, burst: 0b}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {packets: -1}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {packets: 0}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {packets: 1000000001}}]}
    {name: a, mappings: [{fixed: 10.0.0.5, limit: {packets: many}}]}
    {name: a, accept: {from: a}}
    {name: a, accept: }
    {name: a, accept: [a]}
    {name: a, accept: [{to: [db]}]}
    {name: a, accept: [{from: []}]}
    {name: a, accept: [{from: [a, a]}]}
    {name: a, accept: [{from: ['*', a]}]}
    {name: a, accept: [{from: _a}]}
    {name: a, accept: [{from: a/}]}
    {name: a, accept: [{from: /a}]}
    {name: a, accept: [{from: a/b/c}]}
    {name: a, accept: [{from: a, to: []}]}
    {name: a, accept: [{from: a, to: '*'}]}
    {name: a, accept: [{from: a, ports: []}]}
    {name: a, accept: [{from: a, ports: [tcp/80, tcp/80]}]}
    {name: a, accept: [{from: a, ports: 80}]}
    {name: a, accept: [{from: a, ports: http}]}
    {name: a, accept: [{from: a, ports: 5432/tcp}]}
    {name: a, accept: [{from: a, ports: tcp/0}]}
    {name: a, accept: [{from: a, ports: tcp/}]}
    {name: a, accept: [{from: a, ports: tcp/80-}]}
    {name: a, accept: [{from: a, ports: icmp/ping}]}
    {name: a, accept: [{from: a, ports: protocol}]}
    {name: a, accept: [{from: a, ports: TCP/80}]}
    {name: a, accept: [{from: a, until: tomorrow}]}
    {name: a, accept: [{from: a, until: 2027}]}
    {name: a, accept: [{from: a, until: [2027-03-31]}]}
    {name: a, accept: [{from: a, until: 2027-3-31}]}
    {name: a, accept: [{from: a, until: '2027-03-31 18:00:00Z'}]}
    {name: a, accept: [{from: a, until: '2027-03-31T18:00:00'}]}
    {name: a, accept: [{from: a, until: '2027-03-31T18:00:00+0200'}]}
    {name: a, accept: [{from: a, flows: 2000}]}
"""


def bad_files():
    yield from BAD.items()
    for line in BAD_TENANT.split("\n"):
        if line:
            yield line.strip(), NETWORK + "tenants:\n  - " + line.strip() + "\n"


def verdict(lab, text):
    """(exit code, what it says) of validate."""
    done = lab.cli.run("validate", "-", code=None, input=text)
    return done.returncode, done.stderr


@once
def test_schema_takes_what_is_good(lab):
    DRAFT.check_schema(schema())
    examples = [where for where, _ in complete_examples()]
    assert {"README.md 0", "definitions.md 0", "demo"} <= set(examples), examples
    for where, text in good_files(lab):
        equal(verdict(lab, text)[0], 0, f"validate, of {where}: {verdict(lab, text)[1]}")
        equal(refusals(text), [], f"the schema, of {where}")


@once
def test_schema_refuses_a_wrong_form(lab):
    for what, text in bad_files():
        equal(verdict(lab, text)[0], 2, f"validate, of {what}")
        assert refusals(text), f"the schema lets through: {what}"


def levels(node, root, path=()):
    """(path, properties) of every level of keys; a path leads there through one item of each list."""
    while "$ref" in node:
        node = root["definitions"][node["$ref"].rpartition("/")[2]]
    if "properties" in node:
        yield path, node["properties"]
        for key, value in node["properties"].items():
            yield from levels(value, root, (*path, key))
    elif "properties" in json.dumps(node.get("items", {})) or "$ref" in node.get("items", {}):
        yield from levels(node["items"], root, (*path, 0))


@once
def test_schema_has_the_keys_of_each_level(lab):
    """An unknown key gets the parser's own list of those that it takes there."""
    root = schema()
    found = list(levels(root, root))
    equal(len(found), 10, f"levels: {[path for path, _ in found]}")
    for path, properties in found:
        value = {"no-such-key": 1}
        for key in reversed(path):
            value = [value] if key == 0 else {key: value}
        code, said = verdict(lab, json.dumps(value))
        equal(code, 2, f"validate, of {value}")
        line = next(line for line in said.splitlines() if "unknown key `no-such-key`" in line)
        equal(set(re.findall("`([a-z-]+)`", line.partition(" takes ")[2])), set(properties),
              f"keys of {path}")
        assert refusals(json.dumps(value)), f"the schema lets through: {value}"
