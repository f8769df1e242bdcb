# SPDX-License-Identifier: GPL-2.0-only
"""Definitions files as values: copy, change, write."""
import copy


def quoted(addresses):
    """For YAML, where a colon means something."""
    return [f'"{a}"' if ":" in a else a for a in addresses]


# A rule of `accept`: everybody, everything.
ANYBODY = {"from": ["*"]}


def rule_yaml(rule):
    """A rule, whose values are lists; `until` is one."""
    return "{" + ", ".join(f"{key}: {values}" if isinstance(values, str)
                           else f"{key}: [{', '.join(quoted_text(v) for v in values)}]"
                           for key, values in rule.items()) + "}"


def quoted_text(text):
    return f'"{text}"' if set(text) & set("*:") else text


class Tenant:
    """
    One tenant of a definitions file; `mappings` are (fixed, shared or None, name or None). `accept`
    are rules, lists by their keys; None leaves it out. One with a router accepts all, if it is
    not said: who may talk to whom is a matter of few tests. `limits` are by fixed address.
    """

    def __init__(self, name, *mappings, router=None, pool=None, accept=(ANYBODY,), limits=()):
        self.name, self.router, self.pool, self.limits = name, router, pool, dict(limits)
        self.macs = {}      # by fixed address, too
        self.excepts = {}   # the same, of prefixes
        self.accept = accept if router is not None or accept != (ANYBODY,) else None
        self.mappings = [(m + (None, None))[:3] for m in mappings]

    def yaml(self):
        out = [f"  - name: {self.name}"]
        if self.router is not None:
            out.append("    router:")
            out += [f"      {key}: {value}" for key, value in self.router.items()]
        if self.pool:
            out.append(f"    pool: [{', '.join(quoted(self.pool))}]")
        if self.mappings:
            out.append("    mappings:")
        for fixed, shared, name in self.mappings:
            fields = [f"name: {name}"] if name else []
            fields.append("fixed: " + quoted([fixed])[0])
            fields += ["shared: " + quoted([shared])[0]] if shared else []
            if fixed in self.excepts:
                fields.append(f"except: [{', '.join(quoted(self.excepts[fixed]))}]")
            fields += [f'mac: "{self.macs[fixed]}"'] if fixed in self.macs else []
            fields += ["limit: " + self.limits[fixed]] if fixed in self.limits else []
            out.append("      - {" + ", ".join(fields) + "}")
        if self.accept is not None:
            out.append("    accept:" if self.accept else "    accept: []")
            out += ["      - " + rule_yaml(rule) for rule in self.accept]
        return out


class Definitions:
    """A definitions file."""

    def __init__(self, *tenants, subnets=("100.64.0.0/16",)):
        self.tenants, self.subnets = list(tenants), subnets
        self.zone = None    # of names in DNS

    def copy(self):
        return copy.deepcopy(self)

    def __getitem__(self, name):
        return next(t for t in self.tenants if t.name == name)

    def having(self, *tenants):
        """A copy with more tenants."""
        new = self.copy()
        new.tenants += tenants
        return new

    def mapping(self, tenant, *mapping):
        """A copy with one more mapping, at the top."""
        new = self.copy()
        new[tenant].mappings.insert(0, (mapping + (None, None))[:3])
        return new

    def yaml(self):
        out = ["shared-network:", f"  subnets: [{', '.join(quoted(self.subnets))}]"]
        out += [f"  names: {{zone: {self.zone}}}"] if self.zone else []
        out.append("tenants:")
        for tenant in self.tenants:
            out += tenant.yaml()
        return "\n".join(out) + "\n"

    def write(self, path):
        with open(path, "w", encoding="ascii") as f:
            f.write(self.yaml())
        return path
