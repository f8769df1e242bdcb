# SPDX-License-Identifier: GPL-2.0-only
"""Changes lose no packet of a mapping that they do not concern, even when they are cut short."""
import contextlib
import glob
import json
import os
import signal
import subprocess
import time

from agent import Agent
from case import equal, hook
from cli import Cli
from lab import BLUE1, FIXED, FIXED2, RED1, RED2
from net import BPFFS, Child, sh
from snapshot import called_programs, pinned_ids
from traffic import Stream, bulk, ping, udp


@hook
def test_map_changes_lose_nothing(lab):
    """Mappings come and go, singly and by file, while numbered datagrams run over others."""
    more = lab.definitions().mapping("red", "10.0.0.7").mapping("blue", "10.0.0.8")
    with Stream(lab.red1, lab.blue1, BLUE1):
        for _ in range(3):
            lab.cli.run("map", "add", "blue", FIXED2)
            lab.cli.run("map", "add", "red", "10.0.0.9")
            lab.cli.run("map", "del", "blue", FIXED2)
            lab.cli.run("map", "del", "red", "10.0.0.9")
            lab.apply(more)
            lab.apply()


@hook
def test_router_changes_lose_nothing(lab):
    """Another tenant's router comes and goes."""
    with Stream(lab.red1, lab.blue1, BLUE1):
        for _ in range(2):
            lab.apply(lab.definitions().having(lab.green_tenant()))
            lab.cli.run("detach", "green")
            lab.apply(lab.definitions().having(lab.green_tenant()))
            lab.apply()


def of_another_build():
    """The rows of all routers say that other programs are attached than this executable has."""
    path, build = f"{BPFFS}/tenantnat/maps/routers", 32     # its offset in struct tn_router
    for row in json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", path]).stdout):
        key, value = ([byte.removeprefix("0x") for byte in row[part]] for part in ("key", "value"))
        value[build] = f"{int(value[build], 16) ^ 1:02x}"
        sh(["bpftool", "map", "update", "pinned", path, "key", "hex", *key, "value", "hex", *value])


@hook
def test_new_version_loses_nothing(lab):
    """It renews the programs of all routers, under the packets of their mappings."""
    pins = glob.glob(f"{BPFFS}/tenantnat/routers/*/tc_out")
    before = [pinned_ids(pin) for pin in pins]
    of_another_build()
    with Stream(lab.red1, lab.blue1, BLUE1):
        said = lab.cli.run("restore").stdout.splitlines()
    equal([line.split(":")[0] for line in said[:-1]], ["~ router blue", "~ router red"], "changes")
    for pin, old in zip(pins, before):
        assert pinned_ids(pin) != old, f"{pin}: the same program"
    equal(lab.apply(), ["nothing to be done"], "apply afterwards")


@hook
def test_tcp_during_changes(lab):
    """No segment of a transfer over another mapping is lost."""
    transfer = Child(bulk, lab.red1, lab.blue1, BLUE1, 24_000_000, 16_000_000)
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        lab.cli.run("map", "add", "red", "10.0.0.9")
        lab.cli.run("map", "del", "red", "10.0.0.9")
        lab.apply(lab.definitions().mapping("blue", FIXED2))
        lab.apply()
    done = transfer.result()
    assert done.seconds > 1.2, f"over in {done.seconds:.1f} s, before the changes were"
    equal(done.lost, 0, "segments that were lost")


@hook
def test_change_takes_effect(lab):
    """A mapping that is moved answers at the new address and no longer at the old one."""
    moved = lab.definitions()
    moved["red"].mappings[1] = (FIXED2, "100.64.1.77", None)
    lab.apply(moved)
    udp(lab.red2, lab.blue1, BLUE1, seen="100.64.1.77")
    udp(lab.blue1, lab.red2, "100.64.1.77", seen=BLUE1)
    said = lab.blue1.run("ping", "-nqc1", "-W0.2", RED2, check=False).stdout
    assert "0 received" in said, "the old address still answers"
    lab.apply()
    ping(lab.blue1, RED2)


@hook
def test_killed_anywhere(lab):
    """kill -9 at many points of an apply: nothing lost elsewhere, and the next one mends it."""
    points = 20 if lab.variant == "tc" else 10
    base = lab.definitions()
    other = base.having(lab.green_tenant()).mapping("red", "10.0.0.7").mapping("blue", FIXED2)
    files = [lab.write(base, "base.yaml"), lab.write(other, "other.yaml")]
    whole = [0.0, 0.0]      # how long an apply of each file takes, undisturbed
    for which in (1, 0):
        start = time.monotonic()
        lab.cli.apply(files[which])
        whole[which] = time.monotonic() - start
    killed = 0
    with Stream(lab.red1, lab.blue1, BLUE1):
        for i in range(points):
            which, start = (i + 1) % 2, time.monotonic()
            run = lab.cli.start("apply", "-f", files[which])
            try:
                run.wait(whole[which] * (i + 0.5) / points)
                # others left it more of the CPU than when that was measured
                whole[which] = min(whole[which], time.monotonic() - start)
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                killed += 1
            run.communicate()
            if i % 5 == 4:      # what was cut short is finished by the next, either way
                lab.cli.apply(files[i % 2])
    assert killed >= points / 4, f"only {killed} of {points} still ran when they were to be killed"
    for path in (files[1], files[0]):
        lab.cli.apply(path)
        equal(lab.cli.apply(path)[-1], "nothing to be done", "the second apply")
    equal(lab.cli.leases(), {("red", FIXED): RED1, ("red", FIXED2): RED2, ("blue", FIXED): BLUE1,
                             ("plain", "10.9.9.9"): "100.64.0.250"}, "leases")
    ping(lab.red2, BLUE1)


@hook
def test_no_process_is_needed(lab):
    """Nothing of ours runs once the command is over."""
    running = lab.red.run("pgrep", "-f", lab.cli.binary + " ", check=False).stdout.split()
    equal(running, [], "processes of ours")
    ping(lab.red1, BLUE1)


def newer(lab):
    """A tenantnat whose programs are others: one of their functions has another name."""
    with open(lab.cli.binary, "rb") as f:
        old = f.read()
    assert b"\0tn_place_in_subnets\0" in old, "there is no such name any more; take another one"
    path = f"{lab.scratch}/newer"
    with open(path, "wb") as f:
        f.write(old.replace(b"\0tn_place_in_subnets\0", b"\0tn_place_in_subnetz\0"))
    os.chmod(path, 0o755)
    return Cli(path, lab.cli.state, env=lab.cli.env)


@contextlib.contextmanager
def agent_of(lab, cli):
    """An agent of that binary."""
    kept, lab.cli = lab.cli, cli
    try:
        with Agent(lab):
            lab.cli = kept
            yield
    finally:
        lab.cli = kept


def programs(lab):
    return {p["id"] for t in lab.cli.json("show")["tenants"] if t["router"]
            for p in t["router"]["programs"]}


@hook
def test_upgrade_loses_nothing(lab):
    """
    Every program that judges is put in the place of another one, there and back, under traffic both
    ways; what is attached stays, as it is the same.
    """
    path = lab.write(lab.definitions())
    attached, old = programs(lab), called_programs()
    with Stream(lab.red1, lab.blue1, BLUE1), Stream(lab.blue1, lab.red1, RED1):
        for cli in (newer(lab), lab.cli):
            said = cli.apply(path)
            equal(len([line for line in said if line.startswith("~ router ")]), 2, f"{said}")
            equal(programs(lab), attached, "programs that are attached")
            now = called_programs()
            equal(len(now), len(old), "programs that are called")
            equal(now & old, set(), "programs of before")
            old = now
    equal(lab.apply(), ["nothing to be done"], "apply at last")


@hook
def test_upgrade_of_the_agent_loses_nothing(lab):
    """Ended, and started from a binary with other programs, there and back, under TCP as well."""
    old, new, (stop, write) = called_programs(), newer(lab), os.pipe()
    transfer = Child(bulk, lab.red1, lab.blue1, BLUE1, 1 << 30, 16_000_000, stop)
    with Stream(lab.red1, lab.blue1, BLUE1), Stream(lab.blue1, lab.red1, RED1):
        for before, after in ((lab.cli, new), (new, lab.cli)):
            with agent_of(lab, before):
                equal(called_programs(), old, "programs, with the agent of before")
            with agent_of(lab, after):      # ready when all is as it is to be
                now = called_programs()
            equal((len(now), now & old), (len(old), set()), "programs, all of them others")
            old = now
        os.write(write, b"stop")
    done = transfer.result()
    os.close(stop)
    os.close(write)
    equal(done.lost, 0, "segments that were lost")
