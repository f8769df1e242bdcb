# SPDX-License-Identifier: GPL-2.0-only
"""
The power fails while state.db is written: everything that a disk may hold then opens, and says
what was, or what was to be.

What is written to the state is recorded, and the disk made anew for every moment: what was synced
is there, and of what was not, any part, in any order, also half of the last write. Files come and
go in the order in which they did, as with file systems that keep a journal, and a sync of any of
them means that all have come and gone that did before it. What is only memory (state.db-shm) has
anything in it.
"""
import collections
import contextlib
import itertools
import os
import random
import re
import shutil
import sqlite3

from case import equal, once
from pair import RED1, ROUTERS, Pair
from snapshot import difference, rows_in_force
from test_kill import files, rows

NAMES = ("state.db", "state.db-wal", "state.db-journal")
OPEN = re.compile(r'openat\([^,]*, "([^"]*)", [^,]*O_CREAT.* = \d+<')
UNLINK = re.compile(r'unlink\("([^"]*)"\) += 0')
WRITE = re.compile(r'pwrite64\(\d+<([^>]*)>, "((?:[^"\\]|\\.)*)", \d+, (\d+)\) += \d+$')
TRUNCATE = re.compile(r"ftruncate\(\d+<([^>]*)>, (\d+)\) += 0")
SYNC = re.compile(r"(?:fdatasync|fsync)\(\d+<([^>]*)>\) += 0")
SECTOR = 512
# so many disks are for one that is restored besides, in a short run and in a long one
RESTORE, RESTORE_LONG = 400, 20

Step = collections.namedtuple("Step", "kind name at data")


def recorded(path, state):
    """What a trace says that was done to the files of the state."""
    out = []
    with open(path, encoding="ascii") as f:
        for line in f:
            for kind, pattern in (("create", OPEN), ("unlink", UNLINK), ("write", WRITE),
                                  ("truncate", TRUNCATE), ("sync", SYNC)):
                found = pattern.search(line)
                if not found or not found[1].startswith(state):
                    continue
                name = os.path.basename(found[1])
                if name not in NAMES and kind != "sync":
                    continue
                data = found[2].encode("latin1").decode("unicode_escape").encode("latin1") \
                    if kind == "write" else b""
                at = int(found[3]) if kind == "write" else int(found[2]) \
                    if kind == "truncate" else 0
                out.append(Step(kind, name, at, data))
    return out


def done(disk, step):
    """The files, {name: bytes}, after a step."""
    if step.kind == "create":
        disk.setdefault(step.name, b"")
    elif step.kind == "unlink":
        disk.pop(step.name, None)
    elif step.name in disk and step.kind in ("write", "truncate"):
        old, end = disk[step.name], step.at + len(step.data)
        if step.kind == "truncate":
            disk[step.name] = old[:step.at].ljust(step.at, b"\0")
        else:
            disk[step.name] = old[:step.at].ljust(step.at, b"\0") + step.data + old[end:]


class Disk:
    """What is certain to be on it, and what may be."""

    def __init__(self, start):
        self.certain, self.open = dict(start), []

    def do(self, step):
        if step.kind != "sync":
            self.open.append(step)
            return
        rest = []
        for each in self.open:
            if each.kind in ("create", "unlink") or each.name == step.name:
                done(self.certain, each)
            else:
                rest.append(each)
        self.open = rest

    def image(self, chosen):
        """With these of the steps that may have happened."""
        disk = dict(self.certain)
        for step in chosen:
            done(disk, step)
        return disk

    def images(self, count, dice):
        """All, none, and others, `count` at most."""
        steps = self.open
        yield self.image(steps)
        yield self.image([])
        if steps and steps[-1].kind == "write" and len(steps[-1].data) > SECTOR:
            half = steps[-1]._replace(data=steps[-1].data[:SECTOR * 3])
            yield self.image([*steps[:-1], half])
        some = [step for step in steps if step.kind in ("write", "truncate")]
        if 2 ** len(some) <= count:
            choices = itertools.product((False, True), repeat=len(some))
        else:
            choices = ([dice.random() < 0.5 for _ in some] for _ in range(count))
        for choice in choices:
            lost = {id(step) for step, kept in zip(some, choice) if not kept}
            yield self.image([step for step in steps if id(step) not in lost])
        # files come and go in order
        for cut, step in enumerate(steps):
            if step.kind in ("create", "unlink"):
                yield self.image([s for s in steps[:cut] if s.kind in ("create", "unlink")])


def lay(disk, state, dice):
    """The files of a disk in a directory that has nothing else."""
    shutil.rmtree(state, ignore_errors=True)
    os.mkdir(state, 0o700)
    for name, data in disk.items():
        with open(os.path.join(state, name), "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(data)
    if "state.db-wal" in disk and dice.random() < 0.5:
        with open(state + "/state.db-shm", "wb") as f:
            f.write(dice.randbytes(1 << 15))


def definitions(state):
    """Rows of state.db; [] when there are none yet."""
    if not os.path.exists(state + "/state.db"):
        return []
    with contextlib.closing(sqlite3.connect(state + "/state.db")) as db:
        db.execute("PRAGMA synchronous = OFF")
        equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity_check")
        return rows_in_force(db)


def kept(state):
    """{name: bytes} of the files that matter."""
    out = {}
    for name in set(files_in(state)) & set(NAMES):
        with open(os.path.join(state, name), "rb") as f:
            out[name] = f.read()
    return out


def files_in(state):
    return os.listdir(state) if os.path.isdir(state) else []


class Cuts:
    """Commands, and the power cut during each."""

    def __init__(self, pair, every):
        self.pair, self.every, self.dice = pair, every, random.Random(4)
        self.trace = pair.scratch + "/trace"
        self.cli = pair.cli.elsewhere(
            state=pair.cli.state, bpffs=pair.bpffs,
            under=["strace", "-f", "-qq", "-y", "-s", "70000", "-o", self.trace, "-e",
                   "trace=openat,unlink,pwrite64,ftruncate,fdatasync,fsync"])
        self.copy = pair.cli.elsewhere(state=pair.scratch + "/cut", bpffs=pair.bpffs)
        self.moments, self.images, self.opened, self.restored = 0, 0, 0, 0

    def run(self, *words):
        """The command, then each disk that it could have left."""
        state, old_rows, start = self.pair.cli.state, rows(self.pair.cli), kept(self.pair.cli.state)
        machines = {"old": self.machine()}
        before = self.meaning(start)
        self.cli.run(*words)
        new_rows, after = rows(self.pair.cli), self.meaning(kept(state))
        assert before != after, f"{words} changes nothing"
        machines["new"] = self.machine()
        disk, seen, some, ends = Disk(start), {}, {}, {}
        for step in recorded(self.trace, state):
            disk.do(step)
            self.moments += 1
            for image in disk.images(64 if self.every else 4, self.dice):
                key = hash(tuple(sorted(image.items())))
                if key not in seen:
                    what = f"{words[0]} cut after {step.kind} of {step.name}, disk {len(seen)}"
                    side = seen[key] = self.judge(image, what, {"old": (before, old_rows),
                                                                "new": (after, new_rows)})
                    if self.images % (RESTORE_LONG if self.every else RESTORE) == 0:
                        some[what] = (side, image)
                    elif side == "old" or "new" not in ends:    # around the moment of the commit
                        ends[side] = (side, image)
        # a command that said that it is done has to stand
        equal(self.meaning(disk.image([])), after, f"what is certain after {words}")
        equal(set(seen.values()), {"old", "new"}, f"what disks of {words} say")
        for what, (side, image) in [*some.items(), ("the last", ends["old"]),
                                    ("the first", ends["new"])]:
            lay(image, self.copy.state, self.dice)
            self.restore(machines[side], f"{words[0]}, {what} disk that is {side}")

    def machine(self):
        """What of the routers' machine does not outlive a power cut."""
        out = self.pair.picture()
        for name in ROUTERS:
            del out[name]["sysctls"]    # a router that leaves keeps them
        return out

    def restore(self, machine, what):
        """When the power has come back, there are neither pins nor addresses and routes of ours."""
        shutil.rmtree(self.pair.bpffs, ignore_errors=True)
        for name in ROUTERS:
            self.pair.ns[name].ip("route flush proto 116")
        for name in self.pair.bare:
            self.pair.ns[name].ip("addr flush dev shared0")
        self.copy.run("restore")
        found = difference(machine, self.machine())
        assert not found, f"{what}: {found}"
        self.restored += 1

    def meaning(self, image):
        lay(image, self.copy.state, self.dice)
        return definitions(self.copy.state)

    def judge(self, image, what, sides):
        self.images += 1
        try:
            found = self.meaning(image)
        except sqlite3.Error as error:
            raise AssertionError(f"{what}: {error}") from error
        side = next((name for name, (stored, _) in sides.items() if stored == found), None)
        assert side, f"{what}: neither old nor new: {found}"
        if self.every or self.images % 5 == 0:
            self.opened += 1
            lay(image, self.copy.state, self.dice)
            equal(rows(self.copy), sides[side][1], f"{what}: map list")
        return side


@once
def test_power_cut_at_any_write(lab):
    """
    state.db of every moment opens, and has the old or the new definitions, never others; restore
    makes the machine of them.
    """
    pair = Pair(lab, "power")
    try:
        cuts = Cuts(pair, lab.long)
        alone, both = pair.write(pair.alone(), "alone"), pair.write(pair.both(), "both")
        for words in (["apply", "-f", alone], ["apply", "-f", both],
                      ["map", "add", "red", "10.0.0.9"], ["map", "del", "red", "10.0.0.9"],
                      ["detach", "blue"], ["apply", "-f", alone]):
            cuts.run(*words)
        print(f"   {cuts.images} disks of {cuts.moments} moments, {cuts.opened} of them opened by "
              f"tenantnat, {cuts.restored} restored", flush=True)
        assert cuts.moments > 150 and cuts.images > 300, "too few were looked at"
    finally:
        pair.close()


@once
def test_machine_after_power_cut(lab):
    """With the log not yet written back, and no pins: apply puts everything where it was."""
    pair = Pair(lab, "powered")
    try:
        alone = pair.write(pair.alone(), "alone")
        pair.cli.apply(alone)
        pair.forward("red", True)
        leases = pair.cli.leases()
        for moment in ("unlink 1", "fdatasync 3"):
            name, number = moment.split()
            cut = pair.cli.elsewhere(
                state=pair.cli.state, bpffs=pair.bpffs,
                under=["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                       f"inject={name}:signal=KILL:when={number}"])
            equal(cut.run("map", "add", "red", "10.0.0.9", code=None).returncode, -9,
                  f"exit of one killed at {moment}")
            with contextlib.suppress(FileNotFoundError):
                os.remove(pair.cli.state + "/state.db-shm")
            shutil.rmtree(pair.bpffs)
            pair.cli.apply(alone)
            equal(pair.cli.apply(alone), ["nothing to be done"], "apply afterwards")
            equal(pair.cli.leases(), leases, "leases")
            equal(files(pair), ["lock", "state.db"], "files of the state")
            pair.echo("red1", RED1)
    finally:
        pair.close()
