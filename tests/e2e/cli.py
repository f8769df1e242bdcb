# SPDX-License-Identifier: GPL-2.0-only
"""Running tenantnat, and what it says."""
import json
import os
import subprocess

from case import PATIENCE
from net import sh


class Cli:
    """One tenantnat with its state and bpffs directories."""

    def __init__(self, binary, state, bpffs=None, env=None, under=()):
        self.binary, self.state = binary, state
        self.where = ["--state", state] + (["--bpffs", bpffs] if bpffs else [])
        self.where += ["--patience", str(round(PATIENCE))] if PATIENCE > 1 else []
        self.env = {**os.environ, **(env or {})}
        self.under = list(under)    # a program to run it under, as of env(1)

    def elsewhere(self, **changes):
        """The same program with another state, bpffs, or under another program."""
        return Cli(self.binary, changes.get("state", self.state), changes.get("bpffs"),
                   {**self.env, **changes.get("env", {})}, changes.get("under", ()))

    def argv(self, *args):
        return [*self.under, self.binary, *self.where, *args]

    def run(self, *args, code=0, **options):
        """Run it; `code` is the exit code that is expected, None for any."""
        done = sh(self.argv(*args), check=False, env=self.env, **options)
        if code is not None and done.returncode != code:
            raise AssertionError(f"tenantnat {' '.join(args)}: exit {done.returncode}, not {code}: "
                                 f"{done.stderr.strip()[:400] or done.stdout.strip()[-400:]}")
        return done

    def start(self, *args):
        # pylint: disable=consider-using-with
        return subprocess.Popen(self.argv(*args), env=self.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def fails(self, *args, code=1, **options):
        """It has to fail with one sentence on stderr and nothing on stdout; gives the sentence."""
        done = self.run(*args, code=code, **options)
        said = done.stderr.strip()
        assert said, f"tenantnat {' '.join(args)}: exit {code} without a word"
        assert "\n" not in said, f"more than one line on stderr: {said!r}"
        return said

    def json(self, *args, code=0):
        return json.loads(self.run("-j", *args, code=code).stdout)

    def lines(self, *args, **options):
        return self.run(*args, **options).stdout.splitlines()

    def apply(self, path, *args, **options):
        """The lines of the plan; that mappings go is meant."""
        return self.lines("apply", "--yes", "-f", path, *args, **options)

    def leases(self, tenant=None):
        """{(tenant, fixed): shared}"""
        rows = self.json("map", "list", *([tenant] if tenant else []))
        return {(row["tenant"], row["fixed"]): row["shared"] for row in rows}

    def drops(self):
        """{(tenant, reason): packets}"""
        return {(d["tenant"], d["reason"]): d["packets"] for d in self.json("stats")["drops"]}

    def counters(self):
        """{(tenant, fixed): {"in": {…}, "out": {…}}}"""
        return {(m["tenant"], m["fixed"]): {"in": m["in"], "out": m["out"]}
                for m in self.json("stats")["mappings"]}
