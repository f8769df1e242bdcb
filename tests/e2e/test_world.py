# SPDX-License-Identifier: GPL-2.0-only
"""The world changes: what is said is true then, and the next restore or apply mends it."""
import contextlib
import ctypes
import glob
import json
import os
import signal
import struct

from case import equal, hook, once, only
from inject import Strace
from lab import BLUE, BLUE1, FIXED, FIXED2, GREEN, RED1, SHARED_INDEX
from net import BPFFS, CLONE_NEWNET, Child, Namespace, mount_bpffs, sh, unmount_bpffs, veth
from snapshot import attached, machine, own_ids, pins, tcx_programs, unchanged
from test_restore import another_spare, fails, states, with_green
from traffic import Stream, ping, reach, tcp

CONFIG = BPFFS + "/tenantnat/maps/config"
FOREIGN = ["protocol", "ip", "prio", "7", "u32", "match", "ip", "src", "203.0.113.77/32",
           "flowid", "1:7"]
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
_libc = ctypes.CDLL(None, use_errno=True)


def truth(lab, **changed):
    """show says of every router what it is, and map list knows every mapping."""
    equal(states(lab), {"red": "attached", "blue": "attached", **changed}, "routers in show")
    equal({k: v for k, v in lab.cli.leases().items() if k[0] in ("red", "blue")},
          {("red", FIXED): RED1, ("red", FIXED2): "100.64.1.6", ("blue", FIXED): BLUE1},
          "map list")


def restored(lab):
    """restore mends it, and then there is nothing left to be done."""
    assert lab.cli.lines("restore") != ["nothing to be done"], "restore did nothing"
    equal(lab.cli.lines("restore"), ["nothing to be done"], "restore again")
    truth(lab)
    reach(lab.red1, BLUE1)
    tcp(lab.blue1, lab.red1, RED1, BLUE1, FIXED)


def untouched(ns, device, hook_there="tc"):
    """Nothing hangs on that interface; XDP moves along with it, out of our sight."""
    now = attached(ns)
    equal([now[device, way] for way in ("ingress", "egress")], ["", ""], device)
    equal("clsact" in now[device, "qdisc"], False, f"{device} has a clsact qdisc")
    if hook_there != "tc":
        return
    equal(now[device, "xdp"], None, f"XDP on {device}")
    equal(tcx_programs(ns, device), [], f"tcx programs on {device}")


@only(hooks=["tc", "xdp", "clsact"])
@hook
def test_world_index_reused(lab):
    """Another interface gets the index of the one that is gone: it is not taken for ours."""
    assert tcx_programs(lab.blue, "shared0") or lab.variant == "clsact", "nothing to be lost"
    lab.blue.ip("link del shared0")
    truth(lab, blue="broken")
    veth(lab.blue, "evil0", lab.shared, "pevil", SHARED_INDEX)
    try:
        lab.blue.ip("addr add 100.64.9.9/16 dev evil0")
        truth(lab, blue="broken")
        blue = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue")
        equal({p["interface"] for p in blue["router"]["programs"]}, {"lan0", "lan1"}, "programs")
        equal(fails(lab, "blue", "shared0"), ["nothing to be done"], "restore")
        untouched(lab.blue, "evil0")
        ping(lab.red1, "100.64.0.2")
    finally:
        lab.blue.ip("link del evil0")
    lab.plug("blue", BLUE)
    truth(lab, blue="broken")
    restored(lab)


@once
def test_world_interface_renamed(lab):
    """Its programs stay, and work; restore misses the name, apply with the new one goes on."""
    lab.blue.ip("link set shared0 down", "link set shared0 name other0", "link set other0 up")
    try:
        truth(lab)
        blue = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue")
        equal({p["interface"] for p in blue["router"]["programs"]}, {"other0", "lan0", "lan1"},
              "programs")
        before = machine(lab)
        fails(lab, "blue", "shared0")
        unchanged(before, machine(lab), "restore of a router whose interface has another name")
        ping(lab.red1, BLUE1)
        renamed = lab.definitions()
        renamed["blue"].router["shared"] = "other0"
        with Stream(lab.red1, lab.blue1, BLUE1):
            lab.apply(renamed)
    finally:
        lab.blue.ip("link set other0 down", "link set other0 name shared0", "link set shared0 up")
        lab.apply()
    ping(lab.blue1, RED1)


@only(hooks=["tc", "xdp", "clsact"])
@hook
def test_world_interface_moved(lab):
    """Away it is missed, also where another one got its place; back it is joined again."""
    away = Namespace("away")
    try:
        lab.blue.ip(f"link set shared0 netns {away.name}")
        truth(lab, blue="broken")
        fails(lab, "blue", "shared0")
        away.ip(f"link set shared0 netns {lab.blue.name}")
        lab.blue.ip("link set shared0 up", f"addr add {BLUE}/16 dev shared0")
        lab.cli.run("restore")
        truth(lab)
        reach(lab.red1, BLUE1)
        # the name and the index, while links of ours still exist that say so
        lab.shared.ip("link set pblue name pold")
        lab.blue.ip(f"link set shared0 netns {away.name}")
        lab.plug("blue", BLUE)
        truth(lab, blue="broken")
        restored(lab)
        untouched(away, "shared0", lab.hook)
    finally:
        away.remove()


def moments_of_a_join(strace, words):
    """[(whether the programs are there, call)]: before they are attached, behind, and at the end."""
    _, some = strace.trace(*words)
    those = [i for i, call in enumerate(some) if call.phase == "attach"]
    written = [call for call in some[those[-1]:] if call.phase == "write rows"]
    return [(False, some[those[0] - 1]), (True, some[those[-1]])] + [(True, call)
                                                                     for call in written[-1:]]


def replug(lab, name, address, index=SHARED_INDEX):
    """Another interface in the place of the one on the shared network."""
    lab.ns[name].ip("link del shared0")
    if index == SHARED_INDEX:
        lab.plug(name, address)
        return
    veth(lab.ns[name], "shared0", lab.shared, "p" + name, index)
    lab.shared.ip(f"link set p{name} master br0")
    lab.ns[name].ip(f"addr add {address}/16 dev shared0")


def without(found, name):
    """What there is (snapshot.machine), but for what hangs on the interfaces of one."""
    del found["attached"][name]
    return found


def has_programs(ns):
    """At either end of its shared interface."""
    now = attached(ns)
    return bool(tcx_programs(ns, "shared0") or now["shared0", "ingress"] or now["shared0", "egress"])


@only(hooks=["tc", "xdp", "clsact"])
@hook
def test_world_interface_recreated_meanwhile(lab):
    """While a router joins: it is not, and all is as before; nobody takes the new one for the old."""
    strace = Strace(lab)
    words = ["apply", "-f", lab.write(with_green(lab), "green.yaml")]
    calls = moments_of_a_join(strace, words)
    lab.apply()
    for there, call in calls:
        for index in (SHARED_INDEX, 77):
            if index == 77:     # it gets one of ours then
                lab.green.ip("addr flush dev shared0 scope global")
            before = without(machine(lab), "green")
            with strace.stopped(call, *words) as run:
                equal(has_programs(lab.green), there, f"programs behind {call}")
                replug(lab, "green", GREEN, index)
            equal((run.returncode, run.said), (1, ""), "exit code and output of apply")
            said = run.complained.strip()
            assert "\n" not in said and "tenant green" in said, said
            unchanged(before, without(machine(lab), "green"), "an apply that was overtaken")
            untouched(lab.green, "shared0", lab.hook)
    replug(lab, "green", GREEN)
    lab.apply(with_green(lab))
    equal(states(lab)["green"], "attached", "green in show")
    lab.apply()


@only(hooks=["tc", "xdp", "clsact"])
@hook
def test_world_interface_recreated_while_restored(lab):
    """The one that restore finds is gone before it ends: it says so, and the next one mends it."""
    strace = Strace(lab)
    replug(lab, "blue", BLUE)
    for there, call in moments_of_a_join(strace, ["restore"]):
        replug(lab, "blue", BLUE)
        truth(lab, blue="broken")
        with strace.stopped(call, "restore") as run:
            equal(has_programs(lab.blue), there, f"programs behind {call}")
            replug(lab, "blue", BLUE)
        equal(run.returncode, 1, "exit code of restore")
        said = run.complained.splitlines()
        equal(len(said), 2, f"lines on stderr ({said})")
        assert "tenant blue" in said[0] and "shared0" in said[0], said
        truth(lab, blue="broken")
        restored(lab)


@once
def test_world_address_lost_while_restored(lab):
    """The interface is the same, but its address is not what the router goes by any more."""
    strace = Strace(lab)
    replug(lab, "blue", BLUE)
    (_, call), *_ = moments_of_a_join(strace, ["restore"])
    replug(lab, "blue", BLUE)
    with strace.stopped(call, "restore") as run:
        lab.blue.ip("addr flush dev shared0 scope global")
    equal(run.returncode, 1, "exit code of restore")
    assert "tenant blue" in run.complained, run.complained
    lab.blue.ip(f"addr add {BLUE}/16 dev shared0")
    lab.cli.run("restore")
    truth(lab)


@only(hooks=["tc", "xdp", "clsact"])
@hook
def test_world_interface_recreated_while_renewed(lab):
    """Programs that come in the place of others have no way back: that is no second error."""
    strace, other = Strace(lab), lab.definitions()
    other["blue"].router["forwarding"] = "stack"
    words = ["apply", "-f", lab.write(other, "stack.yaml")]
    lab.cli.run(*words)     # the programs of that variant are there from now on
    lab.apply()
    _, some = strace.trace(*words)
    call = [call for call in some if call.phase == "pin"][-1]
    lab.apply()
    for index in (SHARED_INDEX, 77):
        with strace.stopped(call, *words) as run:
            replug(lab, "blue", BLUE, index)
        equal((run.returncode, run.said), (1, ""), "exit code and output of apply")
        said = run.complained.strip()
        assert "\n" not in said and "tenant blue" in said and "shared0" in said, said
        truth(lab, blue="broken")
        untouched(lab.blue, "shared0", lab.hook)
        replug(lab, "blue", BLUE)
        restored(lab)


@once
def test_world_mac_address_changed(lab):
    """Programs that know another one are not what the router needs."""
    old = lab.blue.mac("shared0")
    lab.blue.ip("link set shared0 address 02:00:64:40:99:01")
    try:
        truth(lab, blue="broken")
        lab.forget()
        restored(lab)
    finally:
        lab.blue.ip(f"link set shared0 address {old}")
        lab.forget()
        lab.apply()


def stay_in(path, ready):
    """A process that holds the namespace, until it is ended."""
    with open(path, "rb") as there:
        assert _libc.setns(there.fileno(), CLONE_NEWNET) == 0
    os.write(ready, b".")
    signal.pause()


@once
def test_world_namespace_held(lab):
    """Deleted, but some process is in it: it is gone for us, and its successor is joined."""
    spare = lab.spare_router()
    ready, write = os.pipe()
    holder = None
    try:
        lab.apply(with_green(lab, spare))
        holder = Child(stay_in, spare.path, write)
        equal(os.read(ready, 1), b".", "the holder's answer")
        spare.remove()
        truth(lab, green="broken")
        equal(fails(lab, "green", spare.name), ["nothing to be done"], "restore")
        ids = own_ids()
        for bridge in (lab.shared, lab.uplink):
            bridge.ip("link del pspare")
        spare = another_spare(lab)
        truth(lab, green="broken")
        lab.cli.run("restore")
        truth(lab, green="attached")
        assert len(own_ids()["prog"]) <= len(ids["prog"]), "programs of the old one are pinned"
    finally:
        if holder:
            holder.kill()
        os.close(ready)
        os.close(write)
        spare.remove()
        lab.apply()
    truth(lab)


@once
def test_world_bpffs_unmounted(lab):
    """Nothing is pretended while it is away."""
    leases = lab.cli.leases()
    unmount_bpffs()
    try:
        for words in (["restore"], ["apply", "-f", lab.write(lab.definitions())]):
            said = lab.cli.fails(*words)
            assert "mount -t bpf" in said, f"no remedy in: {said}"
        equal(set(states(lab).values()), {"missing"}, "routers in show")
        equal(lab.cli.leases(), leases, "leases")
    finally:
        mount_bpffs()
    restored(lab)


def words_of(path):
    entry, = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", path]).stdout)
    return [int(byte, 16) for byte in entry["value"]]


def put_words(path, value):
    sh(["bpftool", "map", "update", "pinned", path, "key", "0", "0", "0", "0", "value",
        *map(str, value)])


@once
def test_world_pins_of_another_layout(lab):
    """Refused by every command that would read them, and left as they are."""
    before, kept = machine(lab), words_of(CONFIG)
    abi, = struct.unpack_from("=I", bytes(kept))
    try:
        for other in (abi - 1, abi + 1, 0):
            put_words(CONFIG, struct.pack("=I", other) + bytes(kept[4:]))
            was = pins()
            for words in (["restore"], ["apply", "-f", lab.write(lab.definitions())], ["stats"],
                          ["show"], ["detach", "--all"], ["agent"],
                          ["map", "add", "blue", FIXED2]):
                said = lab.cli.fails(*words)
                assert "another version" in said and "tenantnat" in said, said
            equal(pins(), was, "pins")
            equal(lab.cli.leases()["blue", FIXED], BLUE1, "a lease")
            ping(lab.red1, BLUE1)
    finally:
        put_words(CONFIG, kept)
    unchanged(before, machine(lab), "commands that met another layout")


@once
def test_world_maps_full(lab):
    """Said before anything is changed."""
    before = machine(lab)
    room, = struct.unpack("=I", bytes(words_of(CONFIG)[4:8]))
    full = lab.definitions()
    full.subnets = (*full.subnets, "100.96.0.0/12")
    full["blue"].pool = ["100.64.2.0/24", "100.96.0.0/14"]
    full["blue"].mappings += [(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}", None, None)
                              for i in range(1 << 16, (1 << 16) + room)]
    said = lab.cli.fails("apply", "-f", lab.write(full, "full.yaml"))
    assert f"room for {room} addresses" in said and "detach --all" in said, said
    truth(lab)
    equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
    unchanged(before, machine(lab), "an apply that does not fit")


@once
def test_world_disk_full(lab):
    """On a filesystem without room for one more mapping, and then with."""
    where = lab.scratch + "/small"
    os.mkdir(where)
    sh(["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", where])
    cli, lab.cli = lab.cli, lab.cli.elsewhere(state=where + "/state")
    many = lab.definitions()
    many["blue"].mappings += [(f"10.7.{i // 250}.{i % 250 + 1}", None, None) for i in range(200)]
    many["blue"].pool = ["100.64.2.0/23"]
    try:
        lab.apply()
        before = machine(lab)
        with contextlib.suppress(OSError), open(where + "/ballast", "wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))
        said = lab.cli.fails("apply", "-f", lab.write(many, "many.yaml"))
        assert "no space left" in said.lower() and where in said, said
        ping(lab.red1, BLUE1)
        os.unlink(where + "/ballast")
        unchanged(before, machine(lab), "an apply without room")
        truth(lab)
        equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
        lab.cli.apply(lab.write(many, "many.yaml"))
        equal(len(lab.cli.leases("blue")), 201, "mappings of blue")
    finally:
        lab.cli = cli
        lab.apply()
        sh(["umount", "-l", where])
    truth(lab)


@once
def test_world_no_descriptors(lab):
    """Too few for what is to be done: a sentence, and nothing is changed."""
    path = lab.write(with_green(lab).mapping("blue", FIXED2), "green.yaml")
    before = machine(lab)
    for limit in (5, 10, 20, 30, 127):
        cli = lab.cli.elsewhere(under=["prlimit", f"--nofile={limit}:{limit}"])
        said = cli.fails("apply", "-f", path)
        assert "file descriptors" in said and "ulimit -n" in said, f"with {limit}: {said}"
    unchanged(before, machine(lab), "an apply with few descriptors")
    lab.cli.elsewhere(under=["prlimit", "--nofile=128:128"]).apply(path)
    lab.apply()
    # the soft limit is ours to raise
    lab.cli.elsewhere(under=["prlimit", "--nofile=10:128"]).apply(path)
    lab.apply()


@once
def test_world_no_descriptors_for_others(lab):
    """The same of commands that find programs to be loaded; the agent does not begin."""
    unmount_bpffs()
    mount_bpffs()
    before, leases = machine(lab), lab.cli.leases()
    for words in (["restore"], ["map", "add", "blue", FIXED2], ["agent"]):
        for limit in (5, 20, 127):
            said = lab.cli.elsewhere(under=["prlimit", f"--nofile={limit}:{limit}"]).fails(*words)
            assert "file descriptors" in said and "ulimit -n" in said, f"{words}, {limit}: {said}"
        unchanged(before, machine(lab), f"{words} with few descriptors")
    equal(lab.cli.leases(), leases, "leases")
    restored(lab)


@once
def test_world_clock_set_back(lab):
    """Neither leases nor the lock go by the time of the day."""
    library, = glob.glob(FAKETIME)
    before, leases = machine(lab), lab.cli.leases()
    for when in ("-9000d", "+9000d", "-1d"):
        cli = lab.cli.elsewhere(env={"LD_PRELOAD": library, "FAKETIME": when,
                                     "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
        equal(cli.lines("restore"), ["nothing to be done"], f"restore, {when}")
        equal(cli.apply(lab.write(lab.definitions())), ["nothing to be done"], f"apply, {when}")
        given = cli.lines("map", "add", "blue", FIXED2)
        equal(lab.cli.leases(), {**leases, ("blue", FIXED2): given[0]}, "leases")
        equal(cli.lines("restore"), ["nothing to be done"], f"restore, {when}")
        cli.run("map", "del", "blue", FIXED2)
        truth(lab)
    unchanged(before, machine(lab), "another time of the day")


@only(hooks=["xdp"])
@hook
def test_world_xdp_replaced(lab):
    """Somebody puts an XDP program in the place of blue's: it is not ours to take away."""
    lab.blue.ip("link set dev shared0 xdp off")
    truth(lab, blue="broken")
    lab.blue.ip(f"link set dev shared0 xdp obj {os.environ['TN_FOREIGN']} sec xdp")
    try:
        before = attached(lab.blue)["shared0", "xdp"]
        truth(lab, blue="broken")
        fails(lab, "blue", "another XDP program")
        equal(attached(lab.blue)["shared0", "xdp"], before, "the XDP program")
        truth(lab, blue="broken")
        # tc, which is behind XDP, does all the same work
        ping(lab.red1, BLUE1)
    finally:
        lab.blue.ip("link set dev shared0 xdp off")
    restored(lab)


@only(hooks=["tc", "clsact"])
@hook
def test_world_tc_of_others(lab):
    """Added after ours, before a restore, and while ours come anew: they stay, and ours work."""
    tc = ["tc", "-n", lab.blue.name]
    sh([*tc, "qdisc", "add", "dev", "shared0", "clsact"], check=False)      # may be there
    for way in ("ingress", "egress"):
        sh([*tc, "filter", "add", "dev", "shared0", way, *FOREIGN])
    try:
        truth(lab)
        ping(lab.red1, BLUE1)
        equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")
        for router in glob.glob(BPFFS + "/tenantnat/routers/*"):
            sh(["rm", "-r", router])
        truth(lab, red="broken", blue="broken")
        restored(lab)
        for way in ("ingress", "egress"):
            assert "u32" in attached(lab.blue)["shared0", way], f"their filter at {way} is gone"
    finally:
        for way in ("ingress", "egress"):
            sh([*tc, "filter", "del", "dev", "shared0", way, "prio", "7"], check=False)
        lab.cli.run("detach", "--all")
        sh([*tc, "qdisc", "del", "dev", "shared0", "clsact"], check=False)
        lab.apply()
    truth(lab)
