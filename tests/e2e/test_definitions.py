# SPDX-License-Identifier: GPL-2.0-only
"""The definitions as a file: checked without a machine."""
import json
import os

from case import equal, once
from defs import Definitions, Tenant

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
           "unlisted": 0}, "the same in JSON")
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
    assert "usage" in cli.run("validate", code=2).stderr


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
