# SPDX-License-Identifier: GPL-2.0-only
"""Ten thousand mappings."""
import ipaddress
import itertools
import json
import os

from case import equal, once
from defs import Tenant
from lab import BLUE1, RED1
from net import BPFFS, sh
from traffic import Stream, ping

COUNT = 10_000
SLOT = slice(24, 28)     # in struct tn_shared


def in_bytes(number, size):
    return [str(b) for b in number.to_bytes(size, "little")]


def slots_by_address(maps):
    """{end of the shared address: number of its counters}, of mappings that have some."""
    rows = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", maps + "by_shared"]).stdout)
    found = {}
    for row in rows:
        key, value = (bytes(int(b, 16) for b in row[part]) for part in ("key", "value"))
        slot = int.from_bytes(value[SLOT], "little")
        if slot:
            found[int.from_bytes(key[-4:], "big")] = slot
    return found


def each_counter_is_read(lab):
    """Wherever in the map it stands: of some, their own number is counted, by every CPU."""
    cpus, maps = os.cpu_count(), BPFFS + "/tenantnat/maps/"
    pinned, taken = maps + "counters", slots_by_address(maps)
    of_each = json.loads(sh(["bpftool", "-j", "map", "show", "pinned",
                             pinned]).stdout)["max_entries"] // cpus
    equal(len(set(taken.values())), len(taken), "different counters")
    own = [slot for address, slot in taken.items() if slot == address & (of_each // 2 - 1)]
    assert len(own) > len(taken) * 0.9, f"{len(own)} of {len(taken)} where their address says"
    slots = sorted(taken.values())[-1:1:-len(taken) // 13]
    for cpu, slot in itertools.product(range(cpus), slots):
        sh(["bpftool", "map", "update", "pinned", pinned, "key", *in_bytes(cpu * of_each + slot, 4),
            "value", *in_bytes(slot, 8), *["0"] * 56])
    found = {m["in"]["packets"] for m in lab.cli.json("stats")["mappings"]
             if m["tenant"] == "green"}
    equal(found - {0}, {slot * cpus for slot in slots}, "what was counted")
    sums = [l for l in lab.cli.run("stats", "--prometheus").stdout.splitlines()
            if l.startswith('tenantnat_packets_total{tenant="green",direction="in"}')]
    equal([int(l.split()[-1]) for l in sums], [sum(found)], "the sum")


@once
def test_ten_thousand_mappings(lab):
    """Applied, listed, applied again; traffic over the old ones goes on; and away again."""
    fixed = [str(ipaddress.ip_address("10.1.0.0") + i) for i in range(1, COUNT + 1)]
    large = lab.definitions().having(
        Tenant("green", *[(f,) for f in fixed], router=lab.router("green"),
               pool=["100.64.128.0/17"]))
    path = lab.write(large, "large.yaml")
    with Stream(lab.red1, lab.blue1, BLUE1, rate=200):
        done = lab.cli.apply(path)
        equal(len(done) - 1 - COUNT <= 5, True, f"lines besides the mappings in {done[:5]}…")
        equal(done[-1], f"{len(done) - 1} added, 0 changed, 0 removed", "the last line")
        equal(lab.cli.apply(path), ["nothing to be done"], "apply again")
    leases = lab.cli.leases("green")
    equal(sorted(f for _, f in leases), sorted(fixed), "the fixed addresses")
    equal(len(set(leases.values())), COUNT, "different addresses")
    pool = ipaddress.ip_network("100.64.128.0/17")
    assert all(ipaddress.ip_address(a) in pool for a in leases.values()), "outside the pool"
    equal(sum(m["tenant"] == "green" for m in lab.cli.json("stats")["mappings"]), COUNT,
          "mappings in stats")
    each_counter_is_read(lab)
    ping(lab.red1, BLUE1)
    equal(lab.apply()[-1], f"0 added, 0 changed, {len(done) - 1} removed", "the last line back")
    ping(lab.blue1, RED1)
