# SPDX-License-Identifier: GPL-2.0-only
"""
A small lab for what has to be done hundreds of times, with a state and a bpffs of its own:

    red1  .5 .6 .7 .8 .9 --- red  (100.64.0.2) --+
                              | 203.0.113.2      |
             outside (a bridge, 203.0.113.1)     +--- wire (a bridge, 100.64.0.250)
                              | 203.0.113.3      |
    blue1 .5 .6 ------------ blue (100.64.0.3) --+

The default routes of the routers are by up0 to outside, and lan1 is a second inside interface, behind
which is nobody. With `six`, all of them have IPv6 addresses too: the first address of each VM has
fd00:10::5 beside it, red fd64::2, blue fd64::3, the wire fd64::250 and outside 2001:db8:9::1.

While Pair.talking() is entered, every VM address sends to everybody several times in a tick, and
the wire and outside keep every frame that a router puts there until leaks() judges them.
"""
import contextlib
import ctypes
import json
import os
import select
import shutil
import socket

from case import PATIENCE
from defs import Definitions, Tenant
from lab import (ADDRESSES, BLUE_V6, FIXED_V6, INDEXES, INSIDE_V6, OUTSIDE, OUTSIDE_V6, PLAIN_V6,
                 RED1_V6, RED_V6, SUBNET, SUBNET_V6)
from media import has_tcx
from net import BPFFS, Child, Namespace, sh, veth
from sniffer import Tap, faults, uplink_faults

ROUTERS = {"red": "100.64.0.2", "blue": "100.64.0.3"}
ROUTERS_V6 = {"red": RED_V6, "blue": BLUE_V6}
VMS = {"red1": [f"10.0.0.{i}" for i in range(5, 10)], "blue1": ["10.0.0.5", "10.0.0.6"]}
PLAIN, RED1, BLUE1 = "100.64.0.250", "100.64.1.5", "100.64.2.5"
NOBODY = "100.64.2.99"
ECHO, TICK = 7007, 0.02
SHARED_INDEX, INSIDE_INDEX = 20, 30
TCX_TYPES = {"ingress": 46, "egress": 47}
# of include/tn_abi.h: sizes of key and value, and where the number of its counters is in that, or
# when a rule accepted last
TABLES = {"by_shared": (16, 32, 24), "by_fixed": (20, 36, 16), "accepts": (40, 20, 8),
          "services": (44, 12, 8), "pools": (20, 4, 4), "limits": (16, 32, 32)}
UNSTABLE = ("flush", "stable_secret")

_libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)


class Pair:
    """
    The namespaces, `cli`, and the definitions that the tests of faults go between. Routers in
    `bare` get address, routes and forwarding with the join, and so let nothing out before it.
    """

    def __init__(self, lab, name, env=None, hooks=("tc", "tc"), bare=("blue",), six=False):
        self.name, self.six = name, six
        self.hooks, self.bare = dict(zip(ROUTERS, hooks)), bare
        self.scratch = os.path.join(lab.scratch, name)
        os.mkdir(self.scratch)
        self.bpffs = f"{BPFFS}/{name}"
        self.cli = lab.cli.elsewhere(state=self.scratch + "/state", bpffs=self.bpffs,
                                     env=env or {})
        self.ns, self.taps, self.uplinks = {}, {}, {}
        self._build(name)

    def _add(self, name, lab):
        ns = self.ns[name] = Namespace(f"{lab}-{name}")
        ns.sysctl(**{f"ipv6__conf__{device}__{key}": value for device in ("all", "default")
                     for key, value in (("accept_dad", 0), ("accept_ra", 0),
                                        ("router_solicitations", 0),
                                        ("disable_ipv6", int(not self.six)))})
        ns.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0,
                  ipv4__icmp_ratelimit=0, ipv6__icmp__ratelimit=0,
                  ipv4__icmp_ratemask=0, ipv6__icmp__ratemask=127)
        ns.ip("link set lo up")
        return ns

    def _bridge(self, name, lab, address, v6):
        ns = self._add(name, lab)
        ns.sysctl(**{f"bridge__bridge-nf-call-{kind}": 0
                     for kind in ("iptables", "ip6tables", "arptables")})
        ns.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up",
              f"addr add {address} dev br0",
              *([f"addr add {v6} dev br0 nodad"] if self.six else []))
        return ns

    def _build(self, lab):
        wire = self._bridge("wire", lab, PLAIN + "/16", PLAIN_V6 + "/64")
        outside = self._bridge("outside", lab, OUTSIDE + "/24", OUTSIDE_V6 + "/64")
        for name, address in ROUTERS.items():
            router, vm = self._add(name, lab), self._add(name + "1", lab)
            veth(router, "shared0", wire, "p" + name, SHARED_INDEX)
            wire.ip(f"link set p{name} master br0")
            veth(router, "lan0", vm, "eth0", INSIDE_INDEX)
            veth(router, "lan1", vm, "eth1", INDEXES["lan1"])
            veth(router, "up0", outside, "p" + name, INDEXES["up0"])
            outside.ip(f"link set p{name} master br0")
            router.ip("addr add 10.0.0.1/24 dev lan0", "addr add 10.0.1.1/24 dev lan1",
                      f"addr add {ADDRESSES[name]['up0'][0]} dev up0",
                      f"route add default via {OUTSIDE}")
            if name not in self.bare:
                router.ip(f"addr add {address}/16 dev shared0")
            vm.ip(*(f"addr add {a}/24 dev eth0" for a in VMS[name + "1"]),
                  "route add default via 10.0.0.1")
            if self.six:
                self._build_v6(name)
            self.taps[name] = Tap(wire, ["p" + name], faults)
            self.uplinks[name] = Tap(outside, ["p" + name], uplink_faults)

    def _build_v6(self, name):
        router, vm = self.ns[name], self.ns[name + "1"]
        router.ip(f"addr add {INSIDE_V6}/64 dev lan0 nodad",
                  f"addr add {ADDRESSES[name]['up0'][1]} dev up0 nodad",
                  f"route add default via {OUTSIDE_V6}")
        if name not in self.bare:
            router.ip(f"addr add {ROUTERS_V6[name]}/64 dev shared0 nodad")
        vm.ip(f"addr add {FIXED_V6}/64 dev eth0 nodad", f"route add default via {INSIDE_V6}")

    def close(self):
        for name in ROUTERS:
            self.forward(name, False)
        self.cli.run("detach", "--all", code=None)
        for tap in (*self.taps.values(), *self.uplinks.values()):
            tap.close()
        for ns in self.ns.values():
            ns.remove()

    def forward(self, name, on):
        """
        Before a router that is not bare is joined, and after any left, nothing of ours stops what it
        forwards: then the lab says for how long that is nothing.
        """
        each = {f"ipv4__conf__{device}__forwarding": int(on) for device in ("shared0", "lan0", "lan1")}
        if self.six:
            each["ipv6__conf__all__forwarding"] = int(on)
        self.ns[name].sysctl(ipv4__ip_forward=int(on), **each)

    def forget(self):
        """No state, no pins: as a machine that never saw tenantnat."""
        self.cli.run("detach", "--all")
        for name in ROUTERS:
            self.forward(name, False)
        shutil.rmtree(self.cli.state, ignore_errors=True)

    # definitions

    def router(self, name, **more):
        if name in self.bare:
            more["address"] = f'[{ROUTERS[name]}, "{ROUTERS_V6[name]}"]' if self.six \
                else ROUTERS[name]
        return {"netns": self.ns[name].name, "shared": "shared0", "inside": "[lan0, lan1]",
                "hook": self.hooks[name], **more}

    def alone(self, **router):
        """red without blue; addresses of the right pools, one of them allocated."""
        return self._both_families(Definitions(
            Tenant("red", ("10.0.0.5", RED1, "db"), ("10.0.0.6",), ("10.0.0.8", "100.64.1.8"),
                   router=self.router("red", **router), pool=["100.64.1.0/24"],
                   accept=({"from": ["plain"], "to": ["db"], "ports": [f"udp/{ECHO}"]},
                           {"from": ["*"]}), limits={"10.0.0.8": "{packets: 1000}"}),
            Tenant("plain", ("10.9.9.9", PLAIN), pool=[PLAIN + "/32"])))

    def _both_families(self, defs):
        """With IPv6, red's first VM can be reached by that too, and nobody else."""
        if self.six:
            defs.subnets = (SUBNET, SUBNET_V6)
            defs["red"].mappings.append((FIXED_V6, RED1_V6, "db"))
            defs["red"].pool.append("fd64::1:0/112")
            defs["plain"].mappings.append(("fd00:99::9", PLAIN_V6, None))
            defs["plain"].pool.append(PLAIN_V6 + "/128")
        return defs

    def both(self):
        """One mapping of red less, one more, one other; other rules; blue has come."""
        return self._both_families(Definitions(
            Tenant("blue", ("10.0.0.5", BLUE1), ("10.0.0.6",), router=self.router("blue"),
                   pool=["100.64.2.0/24"]),
            Tenant("red", ("10.0.0.5", RED1, "db"), ("10.0.0.7", None, "new"),
                   ("10.0.0.8", "100.64.1.88"), router=self.router("red"),
                   pool=["100.64.1.0/24"], limits={"10.0.0.5": "{rate: 100mbit}"},
                   accept=({"from": ["plain"], "ports": ["udp", "icmp"]},
                           {"from": ["blue"], "to": ["db"], "ports": ["tcp/22"]})),
            Tenant("plain", ("10.9.9.9", PLAIN), pool=[PLAIN + "/32"])))

    def write(self, definitions, name):
        return definitions.write(os.path.join(self.scratch, name + ".yaml"))

    # traffic

    def _flows(self):
        """(socket, target) of everything that is sent in a tick."""
        for name, addresses in VMS.items():
            for address in addresses:
                sock = self.ns[name].socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.bind((address, 0))
                for target in (PLAIN, RED1, BLUE1, NOBODY):
                    yield sock, target
            if self.six:
                sock = self.ns[name].socket(socket.AF_INET6, socket.SOCK_DGRAM)
                sock.bind((FIXED_V6, 0))
                for target in (PLAIN_V6, RED1_V6):
                    yield sock, target
        plain = self.ns["wire"].socket(socket.AF_INET, socket.SOCK_DGRAM)
        for target in (RED1, BLUE1, "100.64.1.8", "100.64.1.88"):
            yield plain, target

    def _talk(self):
        flows = list(self._flows())
        while True:
            for sock, target in flows:
                with contextlib.suppress(OSError):
                    sock.sendto(b"x" * 40, (target, 9))
            select.select([], [], [], TICK)

    @contextlib.contextmanager
    def talking(self):
        child = Child(self._talk)
        try:
            yield
        finally:
            child.kill()

    def echo(self, name, address):
        """A datagram from the wire to the first address of a VM in that family, and back."""
        family, fixed = (socket.AF_INET6, FIXED_V6) if ":" in address else \
            (socket.AF_INET, VMS[name][0])
        there = self.ns[name].socket(family, socket.SOCK_DGRAM)
        here = self.ns["wire"].socket(family, socket.SOCK_DGRAM)
        with there, here:
            there.bind((fixed, ECHO))
            here.connect((address, ECHO))
            # who asked for it in vain a moment ago may ask again after a second only
            for _ in range(int(60 * PATIENCE)):
                here.send(b"ping")
                for sock, answer in ((there, True), (here, False)):
                    if not select.select([sock], [], [], 0.05)[0]:
                        break
                    data, seen = sock.recvfrom(64)
                    if not answer:
                        return
                    sock.sendto(data, seen)
        raise AssertionError(f"no traffic between {PLAIN} and {address}")

    def leaks(self):
        """{router: (what is wrong on the wire, what is on its uplink)} of all since the last call."""
        return {name: tuple(sorted(tap.faults()[0]) for tap in (self.taps[name], self.uplinks[name]))
                for name in self.taps}

    # what there is

    def picture(self, full=True):
        """All of the routers' machine, without numbers that differ between two equal ones."""
        out = {"pins": self.pins(), "tables": self.tables()}
        for name, ns in self.ns.items() if full else ():
            if name in ROUTERS:
                out[name] = portrait(ns)
        return out

    def pins(self):
        return pins(self.bpffs)

    def tables(self):
        return tables(self.bpffs)

    def guarded(self, name):
        return guarded(self.ns[name])


def pins(bpffs):
    """What is pinned there, and the directories."""
    return sorted(os.path.relpath(os.path.join(top, name), bpffs)
                  for top, dirs, files in os.walk(bpffs) for name in dirs + files)


def tables(bpffs):
    """Who is who in the maps; not the numbers of counters."""
    return {table: sorted(entries(f"{bpffs}/maps/{table}", *layout))
            for table, layout in TABLES.items()}


def entries(path, key_size, size, slot):
    """(key, value without the four bytes at `slot`) of a pinned hash map, in hex."""
    fd = _libbpf.bpf_obj_get(path.encode())
    if fd < 0:
        return
    try:
        key, value = ctypes.create_string_buffer(64), ctypes.create_string_buffer(4096)
        before = None
        while _libbpf.bpf_map_get_next_key(fd, before, key) == 0:
            if _libbpf.bpf_map_lookup_elem(fd, key, value) == 0:
                yield key.raw[:key_size].hex(), (value.raw[:slot] + value.raw[slot + 4:size]).hex()
            before = ctypes.create_string_buffer(key.raw, 64)
    finally:
        os.close(fd)


def program_name(number):
    """The kernel's name of a program, by its id."""
    fd = _libbpf.bpf_prog_get_fd_by_id(number)
    info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
    try:
        if fd < 0 or _libbpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
            return f"program {number}"
    finally:
        if fd >= 0:
            os.close(fd)
    return info.raw[64:80].split(b"\0")[0].decode()     # struct bpf_prog_info


def tcx(index):
    """Names of the programs on the interface, by direction; the caller is in its namespace."""
    out = {}
    for way, kind in TCX_TYPES.items():
        ids, count = (ctypes.c_uint32 * 64)(), ctypes.c_uint32(64)
        if has_tcx() and _libbpf.bpf_prog_query(index, kind, 0, None, ids,
                                                ctypes.byref(count)) == 0:
            out[way] = [program_name(ids[i]) for i in range(count.value)]
    return out


def guarded(ns):
    """Whether a program of ours judges what leaves the router's shared interface."""
    with ns.entered():
        programs = tcx(SHARED_INDEX).get("egress", [])
    if not programs:
        programs = [row[2] for row in filters(ns, "shared0", "egress")]
    return any(program.startswith("tn_") for program in programs)


def sysctls():
    """Everything that an interface has below net.ipv4 and net.ipv6, and the machine's forwarding."""
    out = {}
    paths = ["/proc/sys/net/ipv4/ip_forward"]
    for family in ("ipv4", "ipv6"):
        for top, _, files in os.walk(f"/proc/sys/net/{family}/conf"):
            paths += [os.path.join(top, name) for name in files if name not in UNSTABLE]
    for path in paths:
        with contextlib.suppress(OSError), open(path, encoding="ascii") as f:
            out[path] = f.read()
    return out


def plain_link(link):
    xdp = link.get("xdp")
    return {"flags": link["flags"], "mtu": link["mtu"], "address": link["address"],
            "promiscuity": link.get("promiscuity"), "altnames": link.get("altnames"),
            "xdp": xdp and [xdp["mode"], program_name(xdp["prog"]["id"])]}


def filters(ns, dev, way):
    """Priority, handle and program of the filters on a device."""
    said = sh(["tc", "-n", ns.name, "-j", "filter", "show", "dev", dev, way], check=False).stdout
    options = [(f.get("pref"), f.get("options", {})) for f in json.loads(said or "[]")]
    # tc puts an id behind the name
    return [[pref, o.get("handle"), o["bpf_name"].split(":")[0]] for pref, o in options
            if "bpf_name" in o]


def decoded(text):
    """The JSON values that stand in a text one behind the other."""
    decoder, at, out = json.JSONDecoder(), 0, []
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        out.append(value)
    return out


def portrait(ns):
    """Addresses, routes, sysctls, qdiscs, links and programs of a namespace."""
    said = sh(["ip", "-n", ns.name, "-d", "-j", "-batch", "-"],
              input="link\naddress\nroute show table all\nrule\n").stdout
    links, addresses, *routes = decoded(said)
    routes += decoded(sh(["ip", "-n", ns.name, "-6", "-j", "route", "show", "table", "all"]).stdout)
    qdiscs = json.loads(sh(["tc", "-n", ns.name, "-j", "qdisc", "show"]).stdout)
    proxies = sh(["ip", "-n", ns.name, "-6", "neigh", "show", "proxy"]).stdout
    out = {"links": {link["ifname"]: plain_link(link) for link in links},
           "proxies": proxies.splitlines(),
           "addresses": [(a["ifname"], a["addr_info"]) for a in addresses],
           "routes": [[r for r in some if r.get("type") != "broadcast"] for some in routes],
           "qdiscs": [(q["dev"], q["kind"], q.get("parent")) for q in qdiscs], "filters": {}}
    for dev in {q["dev"] for q in qdiscs if q["kind"] == "clsact"}:
        for way in TCX_TYPES:
            out["filters"][dev, way] = filters(ns, dev, way)
    with ns.entered():
        out["tcx"] = {link["ifname"]: tcx(link["ifindex"]) for link in links}
        out["sysctls"] = sysctls()
    return out
