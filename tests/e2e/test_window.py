# SPDX-License-Identifier: GPL-2.0-only
"""One mapping is changed without reading all, and comes out as if all had been read."""
import contextlib
import ctypes
import ipaddress
import json
import os
import random
import sqlite3

from case import equal, once
from defs import Definitions, Tenant
from inject import Strace
from pair import BLUE1, PLAIN, RED1, Pair, _libbpf
from snapshot import unchanged

# of include/tn_abi.h: struct tn_config, struct tn_shared and struct tn_fixed
CONFIG, FREE = 24 + 32 * 16, slice(16, 24)
ELSEWHERE, OWN = 0, 1
ROUNDS = 70


class Map:
    """A pinned map, read and written as bytes."""

    def __init__(self, pair, name, key, value):
        self.path, self.key, self.value = f"{pair.bpffs}/maps/{name}", key, value

    def __enter__(self):
        self.fd = _libbpf.bpf_obj_get(self.path.encode())
        assert self.fd >= 0, f"no map {self.path}"
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def get(self, key):
        value = ctypes.create_string_buffer(4096)
        found = _libbpf.bpf_map_lookup_elem(self.fd, key, value)
        return value.raw[:self.value] if found == 0 else None

    def put(self, key, value):
        assert _libbpf.bpf_map_update_elem(self.fd, key, value, 0) == 0, self.path

    def items(self):
        key, before = ctypes.create_string_buffer(64), None
        while _libbpf.bpf_map_get_next_key(self.fd, before, key) == 0:
            yield key.raw[:self.key], self.get(key.raw[:self.key])
            before = key.raw[:self.key]


def free_counters(pair):
    """(first, end) of those that nobody has by the maps."""
    with Map(pair, "config", 4, CONFIG) as config:
        found = config.get(bytes(4))[FREE]
    return tuple(int.from_bytes(found[i:i + 4], "little") for i in (0, 4))


def changing(pair):
    """Whether programs are told that the tables are changing, and keep nothing of them."""
    with Map(pair, "table_seq", 4, 8) as changes:
        return changes.get(bytes(4))[0] & 1


def unsettle(pair):
    """As a process leaves it that is killed: all has to be read."""
    with Map(pair, "config", 4, CONFIG) as config:
        value = bytearray(config.get(bytes(4)))
        value[FREE] = bytes(8)
        config.put(bytes(4), bytes(value))
    with Map(pair, "table_seq", 4, 8) as changes:
        value = bytearray(changes.get(bytes(4)))
        value[0] |= 1
        changes.put(bytes(4), bytes(value))


def counters(pair):
    """{(router, fixed): number of its counters}, which both tables agree on."""
    with Map(pair, "by_shared", 16, 32) as by_shared:
        shared = {(v[20:24], v[:16]): int.from_bytes(v[24:28], "little")
                  for _, v in by_shared.items()
                  if int.from_bytes(v[20:24], "little") != ELSEWHERE and any(v[:16])}
    with Map(pair, "by_fixed", 20, 36) as by_fixed:
        fixed = {(k[:4], k[4:]): int.from_bytes(v[16:20], "little") for k, v in by_fixed.items()}
    equal(shared, fixed, "counters by the two tables")
    return fixed


def definitions(pair, red_pool="100.64.1.0/28"):
    """A pool that runs out, rules that name what comes and goes, a limit."""
    return Definitions(
        Tenant("red", ("10.0.0.5", RED1, "db"), ("10.0.0.6",), ("10.0.0.8", "100.64.1.8"),
               ("10.0.3.4",),
               router=pair.router("red"), pool=[red_pool], limits={"10.0.0.8": "{packets: 1000}"},
               accept=({"from": ["plain"], "to": ["db"], "ports": ["udp/7007"]},
                       {"from": ["blue"], "to": ["10.0.0.6", "10.0.3.4"]}, {"from": ["*"]})),
        Tenant("blue", ("10.0.0.5", BLUE1, "web"), ("10.0.0.6",), router=pair.router("blue"),
               pool=["100.64.2.0/24"], accept=({"from": ["red"], "to": ["web"]},)),
        Tenant("far", ("10.0.0.5", "100.64.3.5"), pool=["100.64.3.0/28"]),
        Tenant("plain", ("10.9.9.9", PLAIN), pool=[PLAIN + "/32"]))


def any_change(dice):
    """The words of a command; most are possible, some are not."""
    tenant = dice.choices(["red", "blue", "far", "nobody"], [60, 20, 15, 5])[0]
    fixed = f"10.0.3.{dice.randrange(40)}"
    names = ["db", "web", "new", "10.0.0.9", "no name"]
    if dice.random() < 0.35:
        return "map", "del", tenant, dice.choice([fixed] * 4 + ["10.0.0.6", "10.0.0.8"] + names[:3])
    words = ["map", "add", tenant, fixed]
    if dice.random() < 0.3:
        words += ["--name", dice.choices(names, [3, 3, 6, 1, 1])[0]]
    if dice.random() < 0.3:
        net = dice.choice(["100.64.1.0/28", "100.64.1.0/28", "100.64.2.0/28", "100.64.3.0/28"])
        words += ["--shared", str(ipaddress.ip_network(net)[dice.randrange(16)])]
    if dice.random() < 0.8:
        words.append("--no-probe")
    return tuple(words)


def what_there_is(pair):
    return {"rows": json.loads(pair.cli.run("-j", "-v", "map", "list").stdout),
            "tables": pair.tables()}


def settled(pair, what):
    first, end = free_counters(pair)
    assert first < end, f"nothing is said of free counters {what}"
    assert not changing(pair), f"programs are told that the tables change {what}"
    taken = list(counters(pair).values())
    equal(len(set(taken) - {0}), len(taken), f"different counters {what}")
    assert not [n for n in taken if first <= n < end], f"counters {first} to {end} are not free"


@once
def test_window_and_all(lab):
    """The same changes with and without reading all: the same answers and the same machine."""
    dice = random.Random(20261123)
    near, far = Pair(lab, "near"), Pair(lab, "far")
    try:
        for pair in (near, far):
            pair.cli.apply(pair.write(definitions(pair), "first"))
        done = set()
        for turn in range(ROUNDS):
            words = any_change(dice)
            unsettle(far)
            one, all_ = (pair.cli.run(*words, code=None) for pair in (near, far))
            equal((one.returncode, one.stdout, one.stderr),
                  (all_.returncode, all_.stdout, all_.stderr), f"{turn}: answers to {words}")
            equal(what_there_is(near), what_there_is(far), f"{turn}: after {words}")
            settled(near, f"after {words}")
            done.add((words[1], one.returncode))
        equal(done, {("add", 0), ("add", 1), ("add", 2), ("del", 0), ("del", 2)}, "what came up")
        equal(near.cli.run("restore").stdout, "nothing to be done\n", "restore")
    finally:
        near.close()
        far.close()


def batches(pair, *words):
    """How often a whole table was asked for."""
    done, calls = Strace(pair).trace(*words)
    equal(done.returncode, 0, f"exit of {words} ({done.stderr})")
    return sum("BPF_MAP_LOOKUP_BATCH" in call.text for call in calls)


@once
def test_window_is_narrow(lab):
    """A mapping is added and removed without a look at those of others; unless somebody was killed."""
    pair = Pair(lab, "narrow")
    try:
        file = pair.write(definitions(pair), "first")
        pair.cli.apply(file)
        few = batches(pair, "map", "add", "red", "10.0.3.1", "--no-probe")
        equal(batches(pair, "map", "del", "red", "10.0.3.1"), few, "tables that are read")
        unsettle(pair)
        more = batches(pair, "map", "add", "red", "10.0.3.1", "--no-probe")
        equal(more - few, 3, "tables that are read besides")      # by_shared, by_fixed, limits
        equal(batches(pair, "map", "add", "red", "10.0.3.2", "--no-probe"), few,
              "tables that are read afterwards")
        pair.cli.apply(file)
        unsettle(pair)
        equal(pair.cli.apply(file), ["nothing to be done"], "apply of the same")
        settled(pair, "after nothing was to be done")
    finally:
        pair.close()


@once
def test_window_after_a_kill(lab):
    """What a run that was killed has left goes away with the next change, whatever that is."""
    pair = Pair(lab, "left")
    try:
        pair.cli.apply(pair.write(definitions(pair), "first"))
        strace, before = Strace(pair), what_there_is(pair)
        words = "map", "add", "red", "10.0.3.1", "--no-probe"
        commit = [c for c in strace.trace(*words)[1] if c.phase == "commit"][0]
        pair.cli.run("map", "del", "red", "10.0.3.1")
        done, so_far = strace.at(commit, "signal=KILL", *words)
        assert so_far, f"it was not killed: {done.stderr}"
        first, end = free_counters(pair)
        equal(first, end, "counters that are said to be free by a run that was killed")
        assert what_there_is(pair)["tables"] != before["tables"], "it left nothing"
        pair.cli.run("map", "add", "blue", "10.0.3.9", "--no-probe")
        pair.cli.run("map", "del", "blue", "10.0.3.9")
        equal(what_there_is(pair), before, "what there is after the next change")
        settled(pair, "after the next change")
    finally:
        pair.close()


def router_number(pair, tenant):
    with contextlib.closing(sqlite3.connect(pair.cli.state + "/state.db")) as db:
        return db.execute("SELECT router.id FROM router JOIN tenant ON tenant.id = tenant "
                          "WHERE name = ?", (tenant,)).fetchone()[0]


@once
def test_window_without_a_router(lab):
    """Where more is to be done than a mapping, it is done."""
    pair = Pair(lab, "wider")
    try:
        pair.cli.apply(pair.write(definitions(pair), "first"))
        before = pair.picture()
        os.unlink(f"{pair.bpffs}/routers/{router_number(pair, 'red')}/link_out")
        assert pair.picture() != before, "nothing is missing"
        pair.cli.run("map", "add", "red", "10.0.3.1", "--no-probe")
        pair.cli.run("map", "del", "red", "10.0.3.1")
        unchanged(before, pair.picture(), "a program that was there again")
    finally:
        pair.close()
