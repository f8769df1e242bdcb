# SPDX-License-Identifier: GPL-2.0-only
"""Allocated addresses stay the same for as long as the mapping exists."""
import ipaddress
import os

from case import equal, hook, once
from defs import Definitions, Tenant
from lab import BLUE, BLUE1, FIXED, FIXED2, LANS, PLAIN, RED, RED1, RED2
from net import BPFFS, mount_bpffs, unmount_bpffs
from traffic import ping, udp


def other(lab, name):
    """A tenantnat with state and maps of its own, for tenants without routers."""
    return lab.cli.elsewhere(state=f"{lab.scratch}/{name}", bpffs=f"{BPFFS}/{name}")


def tenant(name, pool, count, first=0):
    return Tenant(name, *[(f"10.1.0.{i + 1}",) for i in range(first, first + count)], pool=[pool])


@once
def test_same_file_same_addresses(lab):
    cli = other(lab, "lease-same")
    path = lab.write(Definitions(tenant("a", "100.64.8.0/24", 20)), "lease.yaml")
    cli.apply(path)
    leases = cli.leases()
    equal(cli.apply(path), ["nothing to be done"], "apply again")
    equal(cli.leases(), leases, "leases")
    cli.run("detach", "--all")
    equal(cli.leases(), leases, "leases, detached")
    cli.apply(path)
    equal(cli.leases(), leases, "leases, attached again")
    cli.run("detach", "--all")


@once
def test_deterministic(lab):
    """Two machines that know nothing of each other give the same addresses."""
    path = lab.write(Definitions(tenant("a", "100.64.8.0/24", 20)), "lease.yaml")
    found = []
    for name in ("lease-one", "lease-two"):
        cli = other(lab, name)
        cli.apply(path)
        found.append(cli.leases())
        cli.run("detach", "--all")
    equal(found[0], found[1], "leases")


@once
def test_mapping_added_at_the_top(lab):
    """And one removed from the middle, whose address comes back only when nobody has it."""
    cli = other(lab, "lease-top")
    defs = Definitions(tenant("a", "100.64.8.0/24", 10))
    cli.apply(lab.write(defs, "lease.yaml"))
    old = cli.leases()
    cli.apply(lab.write(defs.mapping("a", "10.1.0.200"), "lease.yaml"))
    new = cli.leases()
    equal({k: v for k, v in new.items() if k in old}, old, "the old leases")
    equal(len(set(new.values())), 11, "different addresses")
    fewer = defs.copy()
    del fewer["a"].mappings[4]
    cli.apply(lab.write(fewer, "lease.yaml"))
    equal(cli.leases(), {k: v for k, v in old.items() if k != ("a", "10.1.0.5")}, "fewer")
    cli.run("detach", "--all")


@once
def test_allocated_addresses_are_free_ones(lab):
    """In the pool; not its network's, broadcast, a router's or a pinned one; full is said."""
    cli = other(lab, "lease-free")
    # the routers of red and blue are inside of the pool: 100.64.0.2 and .3
    defs = lab.definitions()
    defs["red"].pool = None
    defs["red"].mappings = [(FIXED, RED1, None), (FIXED2, RED2, None)]
    defs.tenants.append(Tenant("small", *[(f"10.1.0.{i}",) for i in range(1, 4)],
                               ("10.1.0.9", "100.64.0.1"), pool=["100.64.0.0/29"]))
    lab.apply(defs)
    given = {v for (name, _), v in lab.cli.leases("small").items() if name == "small"}
    pool = ipaddress.ip_network("100.64.0.0/29")
    assert all(ipaddress.ip_address(a) in pool for a in given), f"outside the pool: {given}"
    equal(given & {"100.64.0.0", RED, BLUE, PLAIN}, set(), "reserved addresses given away")
    equal(len(given), 4, "different addresses")
    lab.apply()
    full = Definitions(tenant("a", "100.64.8.0/30", 5))
    said = cli.run("apply", "-f", lab.write(full, "lease.yaml"), code=None)
    assert said.returncode in (1, 2), f"five mappings in a pool of four: exit {said.returncode}"
    assert "pool" in said.stderr and "10.1.0." in said.stderr, said.stderr
    equal(cli.leases(), {}, "leases after a refused file")


@hook
def test_reboot(lab):
    """bpffs is empty and nothing is attached, as after a reboot: apply, and all is as it was."""
    lab.cli.run("map", "add", "blue", FIXED2)
    leases = lab.cli.leases()
    for name in ("red", "blue"):
        lab.ns[name].ip("link del shared0")
    unmount_bpffs()
    mount_bpffs()
    for name, address in (("red", RED), ("blue", BLUE)):
        lab.plug(name, address)
    equal(lab.cli.leases(), leases, "leases before the apply")
    lab.apply(lab.definitions().mapping("blue", FIXED2))
    equal(lab.cli.leases(), leases, "leases after it")
    ping(lab.red1, leases["blue", FIXED2])
    udp(lab.blue1, lab.red1, RED1, BLUE1)
    lab.apply()
    equal(lab.apply(), ["nothing to be done"], "apply at last")


@hook
def test_bpffs_wiped(lab):
    """The pins are gone, the interfaces and what hangs on them are not. Traffic goes on."""
    leases = lab.cli.leases()
    unmount_bpffs()
    mount_bpffs()
    lab.apply()
    equal(lab.cli.leases(), leases, "leases")
    ping(lab.red1, BLUE1)
    ping(lab.blue1, RED1)
    equal(lab.apply(), ["nothing to be done"], "apply again")
    for name, address in (("red", RED), ("blue", BLUE)):    # nobody knows whose qdiscs those were
        for device in LANS:
            lab.ns[name].run("tc", "qdisc", "del", "dev", device, "clsact", check=False)
        lab.ns[name].ip("link del shared0")
        lab.plug(name, address)
    lab.apply()


@hook
def test_interface_recreated(lab):
    """One router's interface is another one of the same name; apply attaches to it."""
    lab.blue.ip("link del shared0")
    lab.plug("blue", BLUE)
    done = lab.apply()
    assert done != ["nothing to be done"], "it was not noticed"
    ping(lab.red1, BLUE1)
    ping(lab.blue1, RED1)
    equal(lab.apply(), ["nothing to be done"], "apply again")


def whole(lab):
    """Every router that is here is attached, and both tenants talk."""
    states = {t["tenant"]: t["router"]["state"] for t in lab.cli.json("show")["tenants"]
              if t["router"]}
    equal(set(states.values()), {"attached"}, "the routers")
    ping(lab.red1, BLUE1)
    ping(lab.blue1, RED1)


@hook
def test_router_changes_hands(lab):
    """A tenant gets another name, and then the two change places: nobody is left without."""
    renamed = lab.definitions()
    renamed["red"].name = "crimson"
    swapped = lab.definitions()
    for one, other in (("red", "blue"), ("blue", "red")):
        swapped[one].name = other + "-"
    for tenant in swapped.tenants:
        tenant.name = tenant.name.rstrip("-")
    for definitions in (renamed, lab.definitions(), swapped, lab.definitions()):
        lab.apply(definitions)
        whole(lab)
        equal(lab.apply(definitions), ["nothing to be done"], "apply again")


@hook
def test_state_lost(lab):
    """The definitions say it all again, whatever the programs that are attached belong to."""
    lab.apply(lab.definitions().having(lab.green_tenant()))
    for name in os.listdir(lab.cli.state):
        os.unlink(os.path.join(lab.cli.state, name))
    lab.apply()
    whole(lab)
    equal(lab.apply(), ["nothing to be done"], "apply again")
    equal([r for r in os.listdir(BPFFS + "/tenantnat/routers")
           if not os.listdir(f"{BPFFS}/tenantnat/routers/{r}")], [], "empty directories of routers")
