# SPDX-License-Identifier: GPL-2.0-only
"""
A lab of bare routers, as many as a test asks for, on one shared network; with a state and a bpffs of
its own:

    r0 --- wire (a bridge, 100.64.255.250, fd64::ffff) --- r1, r2, …

Each has shared0, and lan0, a bridge with 10.0.0.1/24 and fd00:10::1/64. Nobody is behind it, and
nothing has an address on the shared network but what tenantnat gives.
"""
import contextlib
import os
import shutil
import sqlite3

from net import BPFFS, Namespace, veth
from pair import pins, portrait, tables

WIRE, WIRE_V6 = "100.64.255.250", "fd64::ffff"
QUIET = {f"ipv6__conf__{device}__{key}": 0 for device in ("all", "default")
         for key in ("accept_dad", "accept_ra", "router_solicitations", "disable_ipv6")}


def sorted_lists(found):
    """The order in which the kernel lists addresses and routes is that in which they came."""
    if isinstance(found, dict):
        return {key: sorted_lists(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return sorted((sorted_lists(each) for each in found), key=str)
    return found


class Routers:
    """The namespaces by number in `ns`, the one of the bridge in `wire`, and `cli`."""

    def __init__(self, lab, name, count, forwarding=True, env=None):
        self.name, self.scratch = name, os.path.join(lab.scratch, name)
        os.mkdir(self.scratch)
        self.bpffs = f"{BPFFS}/{name}"
        self.cli = lab.cli.elsewhere(state=self.scratch + "/state", bpffs=self.bpffs, env=env or {})
        self.forwarding, self.ns = forwarding, []
        self.wire = Namespace(f"{name}-wire")
        self.wire.sysctl(**QUIET)
        self.wire.ip("link set lo up", "link add br0 type bridge mcast_snooping 0",
                     "link set br0 up", f"addr add {WIRE}/16 dev br0",
                     f"addr add {WIRE_V6}/64 dev br0 nodad")
        for number in range(count):
            self.ns.append(self.router(number))

    def router(self, number):
        ns = Namespace(f"{self.name}-r{number}")
        ns.sysctl(**QUIET)
        veth(ns, "shared0", self.wire, f"p{number}", 20)
        self.wire.ip(f"link set p{number} master br0")
        ns.ip("link set lo up", "link add lan0 index 30 type bridge", "link set lan0 up",
              "addr add 10.0.0.1/24 dev lan0", "addr add fd00:10::1/64 dev lan0 nodad")
        if self.forwarding:
            ns.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        return ns

    def close(self):
        self.cli.run("detach", "--all", code=None)
        for ns in (*self.ns, self.wire):
            ns.remove()

    def of(self, number, **more):
        """The keys of the router in that namespace."""
        return {"netns": self.ns[number].name, "shared": "shared0", "inside": "[lan0]", **more}

    def write(self, definitions, name):
        return definitions.write(os.path.join(self.scratch, name + ".yaml"))

    def forget(self):
        """No state, no pins: as a machine that never saw tenantnat."""
        self.cli.run("detach", "--all")
        shutil.rmtree(self.cli.state, ignore_errors=True)

    def stored(self):
        """All rows of state.db but the history, byte for byte, read in a copy."""
        if not os.path.exists(self.cli.state + "/state.db"):
            return []
        copy = self.scratch + "/copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.cli.state, copy)
        with contextlib.closing(sqlite3.connect(copy + "/state.db")) as db:
            return [line for line in db.iterdump() if line.startswith("INSERT")
                    and "history" not in line and "sqlite_sequence" not in line]

    def shown(self):
        """show -j and map list -j; programs without their numbers, which are never the same again."""
        show = self.cli.json("show")
        for tenant in show["tenants"]:
            for program in tenant["router"]["programs"] if tenant["router"] else ():
                del program["id"]
        return {"show": show, "mappings": self.cli.json("-v", "map", "list")}

    def picture(self):
        """All of it, to be compared."""
        return self.picture_of(range(len(self.ns)))

    def picture_of(self, numbers):
        """The same, without the namespaces of other routers."""
        return {"stored": self.stored(), **self.shown(), "pins": pins(self.bpffs),
                "tables": tables(self.bpffs),
                **{f"r{number}": sorted_lists(portrait(self.ns[number])) for number in numbers}}
