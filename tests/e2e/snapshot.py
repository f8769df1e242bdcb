# SPDX-License-Identifier: GPL-2.0-only
"""Everything on the machine that tenantnat may change, as one value to compare."""
import ctypes
import glob
import json
import os
import re
import socket
import sqlite3
import sys

from case import eventually
from net import BPFFS, sh

NOT_OURS = [f"{BPFFS}/{name}" for name in ("maps.debug", "progs.debug", "xdp")]
_libbpf = ctypes.CDLL("libbpf.so.1")

# maps that change without anybody's doing, or remember what was
TRAFFIC = ("counters", "drops", "hits", "limits", "events", "withdrawn", "table_seq", "pairs",
           "pairs_v6", "hops", "slots", "scratches")
# grows with every change, also with one there and back
HISTORY = ('INSERT INTO "history', 'INSERT INTO "sqlite_sequence"')


def pins():
    """Paths of everything in bpffs but what the kernel and libxdp have there for themselves."""
    return sorted(path for top, dirs, files in os.walk(BPFFS)
                  for path in (os.path.join(top, name) for name in dirs + files)
                  if path not in NOT_OURS)


def listed(kind):
    """What bpftool shows; it fails on a link that somebody is making at that moment (EAGAIN)."""
    def ask():
        done = sh(["bpftool", "-j", kind, "show"], check=False)
        assert not done.returncode, f"bpftool {kind} show: {done.stdout.strip()}"
        return json.loads(done.stdout or "[]")
    return eventually(ask)


def bpf_ids(*kinds):
    """{kind: ids} of all programs, maps and links of the machine."""
    return {kind: {o["id"] for o in listed(kind)}
            for kind in kinds or ("prog", "map", "link")}


def pinned_ids(path):
    """{"prog": ID, …} of what is pinned at a path, as the kernel tells of a descriptor of it."""
    fd = _libbpf.bpf_obj_get(path.encode())
    if fd < 0:
        return {}
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
            facts = dict(line.split(":", 1) for line in f if ":" in line)
    finally:
        os.close(fd)
    return {kind: int(facts[kind + "_id"]) for kind in ("prog", "map", "link")
            if kind + "_id" in facts}


def tcx_programs(ns, device):
    """Ids of the programs at both ends of a device; bpftool does not know of tcx everywhere."""
    out, ids, count = [], (ctypes.c_uint32 * 64)(), ctypes.c_uint32()
    with ns.entered():
        index = socket.if_nametoindex(device)
        for kind in (46, 47):       # BPF_TCX_INGRESS, BPF_TCX_EGRESS
            count.value = 64
            if _libbpf.bpf_prog_query(index, kind, 0, None, ids, ctypes.byref(count)) == 0:
                out += ids[:count.value]
    return out


def own_ids():
    """{kind: ids} of what is pinned, and of the maps and programs that hang on it."""
    out = {"prog": set(), "map": set(), "link": set()}
    for path in pins():
        for kind, number in pinned_ids(path).items():
            out[kind].add(number)
    for prog in listed("prog"):
        if prog["id"] in out["prog"]:
            out["map"].update(prog.get("map_ids", []))
    return out


def called_programs():
    """Ids of the programs that the stubs of routers call."""
    return {int.from_bytes(bytes(int(byte, 16) for byte in entry["value"]), sys.byteorder)
            for name in ("programs_tc", "programs_xdp")
            for entry in json.loads(sh(["bpftool", "-j", "map", "dump", "pinned",
                                        f"{BPFFS}/tenantnat/maps/{name}"]).stdout)
            if "value" in entry and "error" not in entry["value"]}


def forget_free_counters(entries):
    """Which they are is nothing that was asked for; that there are any says that all is done."""
    for entry in entries:
        found = entry["formatted"]["value"]
        found["settled"] = found.pop("free_from") < found.pop("free_to")
        del entry["key"], entry["value"]


def tables():
    """{pin: entries} of the maps that hold what was asked for."""
    out = {}
    for path in pins():
        if os.path.isfile(path) and "/maps/" in path and os.path.basename(path) not in TRAFFIC:
            entries = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", path]).stdout)
            if os.path.basename(path) == "config":
                forget_free_counters(entries)
            out[path] = sorted(json.dumps(e, sort_keys=True) for e in entries)
    return out


def state(directory):
    """All rows of all tables of the databases in the state directory."""
    out = {}
    for path in glob.glob(os.path.join(directory, "*.db")):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            out[os.path.basename(path)] = [line for line in db.iterdump()
                                           if not line.startswith(HISTORY)]
    return out


def settled_addresses(ns):
    """None of them is still being asked for (duplicate address detection)."""
    def ask():
        said = sh(["ip", "-n", ns.name, "-j", "address"]).stdout
        assert "tentative" not in said, said
        return said
    return eventually(ask)


def attached(ns):
    """What hangs on the interfaces of a namespace: XDP, qdiscs, filters."""
    out = {}
    qdiscs = sh(["tc", "-n", ns.name, "qdisc", "show"]).stdout.splitlines()
    for link in ns.links():
        name = link["ifname"]
        out[name, "xdp"] = link.get("xdp")
        out[name, "flags"] = (link["flags"], link.get("promiscuity"), link["mtu"])
        out[name, "qdisc"] = "\n".join(q for q in qdiscs if f" dev {name} " in q)
        for way in ("ingress", "egress"):
            out[name, way] = ""
            if "clsact" in out[name, "qdisc"]:
                out[name, way] = sh(["tc", "-n", ns.name, "filter", "show", "dev", name,
                                     way]).stdout
    out["addresses"] = settled_addresses(ns)
    out["routes"] = [sh(["ip", family, "-n", ns.name, "route"]).stdout for family in ("-4", "-6")]
    out["proxies"] = sh(["ip", "-n", ns.name, "-6", "neigh", "show", "proxy"]).stdout
    out["groups"] = sorted(sh(["ip", "-n", ns.name, "maddr"]).stdout.splitlines())
    return out


def machine(lab):
    """All of it; `addresses` hold no lifetimes because all of ours are for ever."""
    return {"pins": pins(), "tables": tables(), "state": state(lab.cli.state),
            "progs": own_ids()["prog"], "leases": lab.cli.leases(), "show": lab.cli.json("show"),
            "attached": {name: attached(lab.ns[name]) for name in ("red", "blue", "green")}}


# what a run that succeeds on another way may leave: where it read a rule, and that it ran
PLACE = re.compile(r'^(INSERT INTO "rule" VALUES\(\d+,\d+,\d+,\d+),\d+,\d+(,.*\);)$')
BY_THE_WAY = ('INSERT INTO "origin"', *HISTORY)


def rows_in_force(db):
    """The rows of an open state.db that say what is in force."""
    return sorted(PLACE.sub(r"\1\2", line) for line in db.iterdump()
                  if line.startswith("INSERT") and not line.startswith(BY_THE_WAY))


def difference(before, after, where=""):
    """Where two snapshots differ, as text."""
    if before == after:
        return ""
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [difference(before.get(k), after.get(k), f"{where}/{k}")
                 for k in sorted({*before, *after}, key=str)]
        return "; ".join(part for part in parts if part)
    if isinstance(before, list) and isinstance(after, list):
        gone, come = ([x for x in a if x not in b] for a, b in ((before, after), (after, before)))
        if gone or come:
            before, after = gone, come
    return f"{where}: {str(before)[:200]} became {str(after)[:200]}"


def unchanged(before, after, what):
    found = difference(before, after)
    assert not found, f"{what} changed {found}"
