# SPDX-License-Identifier: GPL-2.0-only
"""
Killed anywhere, and refused anything: a command ends before its N-th system call, or the kernel
says no to that. `make test` tries some of every phase; `make test-kill` a kill wherever something has
changed since the call before, and each error at some calls of each name; with EVERY=1 at every one.
"""
import collections
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess

from case import equal, once
from inject import (PHASES, PHASES_OF_IPV6, Call, Strace, chosen, chosen_refusals, moments,
                    refusable, spread)
from lab import RED1_V6, VARIANTS
from pair import BLUE1, RED1, ROUTERS, Pair
from snapshot import difference, rows_in_force

# In a short run: in how many places a command is killed; and which part of the errors it gets where
# nothing changes, beside one in each phase.
JOIN, CHANGE, ONE = 25, 10, 2
SOME, FEW = 12, 24
# in a long one: at how many calls of a name and phase each error that these can give
AGAIN = 8
# which errors a call can give
REFUSALS = {
    "bpf": ["EPERM", "ENOMEM"], "openat": ["EMFILE", "EINTR", "ENOSPC", "ENOMEM", "EPERM"],
    "pwrite64": ["ENOSPC", "EINTR"], "write": ["ENOSPC", "EINTR"], "read": ["EIO", "EINTR"],
    "pread64": ["EIO", "EINTR"], "fdatasync": ["ENOSPC"], "ftruncate": ["ENOSPC", "EINTR"],
    "mkdir": ["ENOSPC", "EPERM"], "rename": ["ENOSPC", "EPERM"], "unlink": ["EPERM"],
    "unlinkat": ["EPERM"], "rmdir": ["EPERM"], "fchown": ["EPERM"], "statfs": ["ENOMEM"],
    "sendto": ["ENOBUFS", "EPERM", "EINTR", "ENOMEM"], "recvfrom": ["ENOMEM", "EINTR"],
    "sendmsg": ["ENOBUFS", "EPERM", "EINTR", "ENOMEM"], "recvmsg": ["ENOMEM", "EINTR"],
    "sendmmsg": ["ENOBUFS", "EPERM", "ENOMEM"], "poll": ["EINTR", "ENOMEM"],
    "socket": ["EMFILE", "EPERM"], "bind": ["ENOMEM"], "getsockname": ["ENOBUFS"],
    "setsockopt": ["ENOMEM"], "ioctl": ["EPERM"], "setns": ["EPERM", "ENOMEM"],
    "fcntl": ["ENOLCK", "EINTR"], "flock": ["ENOLCK", "EINTR"], "mmap": ["ENOMEM"],
    "mremap": ["ENOMEM"], "newfstatat": ["ENOMEM"], "getdents64": ["ENOMEM"],
    "access": ["ENOMEM"], "dup3": ["EMFILE"], "pipe2": ["EMFILE"], "clone": ["EAGAIN"],
    "wait4": ["EINTR"], "capget": ["EPERM"],
    # not brk: it tells by what it returns, which is another address in each run
}
# What a restore comes through, with the definitions as they are and the router's own address there;
# and what a change does to a machine that is joined.
RESTORED = set(PHASES) - PHASES_OF_IPV6 - {
    "make the state", "write the log", "commit", "checkpoint", "address", "routes", "detach", "end"}
CHANGED = set(PHASES) - PHASES_OF_IPV6 - {"pin maps", "settings", "end"}
# what `show` says where netfilter or IPsec could not be asked: as if they had something
UNASKED = ("netfilter has rules there", "IPsec has policies there")
# where EINTR is no error: the others cannot give it, as no signal is caught
INTERRUPTIBLE = ("flock", "pwrite64", "ftruncate", "recvmsg", "recvfrom", "poll", "wait4")
# what goes on past the commit, or ends without an undo: as after a kill, the same again mends it
AS_KILLED = ("out of memory", "return to our own network namespace", "the definitions are changed")


class Place:
    """A machine at rest: what is defined, and everything that is to be seen of it."""

    def __init__(self, pair, name, file):
        self.pair, self.name, self.file = pair, name, file
        self.joined = self.rows = self.stored = self.picture = self.files = None

    def look(self):
        """Remember it as it is now."""
        self.rows, self.stored = rows(self.pair.cli), stored(self.pair)
        self.picture, self.files = self.pair.picture(), files(self.pair)
        self.joined = {name for name in ROUTERS if self.pair.guarded(name)}

    def check(self, what, full, log=False):
        """It is this one again, to the byte; but for a log of SQLite, which could not be closed."""
        there = [name for name in files(self.pair)
                 if not log or name not in ("state.db-wal", "state.db-shm")]
        if not self.files and set(there) <= {"lock", "state.db", "state.db-journal"}:
            there = self.files      # a state without any definitions may be left
        for name, was, now in (("state.db", self.stored, stored(self.pair)),
                               ("the state directory", self.files, there),
                               ("machine", self.picture, self.pair.picture(full))):
            if name == "machine":
                was = {key: was[key] for key in now}
            found = difference(was, now, name)
            assert not found, f"{what}: not as {self.name}: {found[:600]}"


class Way:
    """A command that leads from one place to another."""

    def __init__(self, start, end, *words):
        self.start, self.end, self.words = start, end, words

    def __str__(self):
        return f"{self.words[0]} {self.words[1]}" if self.words[0] == "map" else \
            f"{self.words[0]} to {self.end.name}"


def rows(cli):
    return json.loads(cli.run("-j", "map", "list").stdout)


def files(pair):
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(pair.cli.state))
    return []


def stored(pair):
    """All rows of state.db, read in a copy: to open the real one would mend it."""
    if not os.path.exists(pair.cli.state + "/state.db"):
        return []
    copy = pair.scratch + "/copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(pair.cli.state, copy)
    with contextlib.closing(sqlite3.connect(copy + "/state.db")) as db:
        equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity_check")
        equal(db.execute("PRAGMA foreign_key_check").fetchall(), [], "foreign_key_check")
        return rows_in_force(db)


def consistent(found):
    """No address is given twice."""
    for key in (("shared",), ("tenant", "fixed")):
        keys = [tuple(row[k] for k in key) for row in found]
        equal(len(set(keys)), len(keys), f"different {' and '.join(key)} in {found}")


def each_refusal(some, times):
    """Each error of each name, at so many of its calls in each phase."""
    seen = {}
    for call, error in some:
        seen.setdefault((call.name, error, call.phase), []).append((call, error))
    return [one for those in seen.values() for one in spread(those, times)]


class Walk:
    """Goes to and fro between places, and is struck down on the way."""

    def __init__(self, pair, long=False, every=False):
        self.pair, self.long, self.every, self.strace = pair, long, every, Strace(pair)
        self.phases, self.struck, self.missed, self.at = set(), 0, [], None
        self.forwarding, self.rested, self.failures = set(), 0, []
        self.planned, self.names = collections.Counter(), ()    # all of REFUSALS

    def place(self, name, definitions):
        return Place(self.pair, name, definitions and self.pair.write(definitions, name))

    # around one strike

    def forward(self, some):
        """
        Those routers forward, and those do not that the lab told to do so before. Bare ones are told
        to by their join, and never again by anybody once they left.
        """
        bare = set(self.pair.bare)
        for name in self.forwarding ^ (set(some) - bare) | bare - set(some):
            self.pair.forward(name, name in some)
        self.forwarding = set(some) - bare

    def before(self, way, forward):
        self.forward(ROUTERS if forward else way.start.joined)
        self.pair.leaks()

    def judge_leaks(self, what, way, leaks, strict):
        """
        Those routers let out nothing; bare ones do not know the shared network before they join. One
        that leaves has a default route and nothing of ours in the end, so its uplink is not ours.
        """
        for name, (wire, uplink) in leaks.items():
            found = wire if name in strict or name in self.pair.bare else []
            found += uplink if name in strict & way.end.joined else []
            assert not found, f"{what}: {name} let out {found}"

    def judge_run(self, what, way, forward):
        """Nothing untranslated came meanwhile of routers that are guarded; these."""
        leaks = self.pair.leaks()   # first: the kernel may let go of a program later than it says
        now = {name for name in ROUTERS if self.pair.guarded(name)}
        joining = set() if forward else way.end.joined - way.start.joined
        self.judge_leaks(what, way, leaks, way.start.joined & now | joining)
        return now

    def rest(self, place, what, full=False, log=False):
        """The machine is at that place, and nothing is left to be done; traffic flows."""
        if place.file:
            said = self.pair.cli.apply(place.file)
            equal(said, ["nothing to be done"], f"{what}: apply afterwards")
        self.forward(place.joined)
        self.rested += 1
        place.check(what, full or self.long or self.rested % 4 == 0, log)
        for name, vm, address in (("red", "red1", RED1), ("blue", "blue1", BLUE1)):
            if name in place.joined:
                self.pair.echo(vm, address)
        if self.pair.six and "red" in place.joined:
            self.pair.echo("red1", RED1_V6)
        self.at = place

    def settle(self, way, what, index):
        """After a kill: old or new, and the same command, or the file of before, mends it."""
        found = stored(self.pair)
        if not found and not way.start.stored:  # the file may be there, with nothing in it
            found = []
        place = next((p for p in (way.start, way.end) if p.stored == found), None)
        assert place, f"{what}: definitions are neither old nor new: {found}"
        listed = rows(self.pair.cli)
        consistent(listed)
        equal(listed, place.rows, f"{what}: map list")
        if index % 3 == 2 and way.start.file:
            self.pair.cli.run("apply", "-f", way.start.file)
            return way.start
        again = self.pair.cli.run(*way.words, code=None)
        done = place is way.end and way.words[0] == "map"
        equal(again.returncode, 2 if done else 0, f"{what}: exit of the same again "
              f"({again.stderr.strip()})")
        return way.end

    def kill(self, way, call, index):
        what, forward = f"{way}, killed at {call}", bool(index % 2)
        self.before(way, forward)
        done, struck = self.strace.at(call, "signal=KILL", *way.words)
        if not struck:
            equal(done.returncode, 0, f"{what}: exit of one that was not ({done.stderr.strip()})")
            self.missed.append(what)
            self.rest(way.end, what)
            return
        self.struck += 1
        self.phases.update({call.phase, call.after} if self.long else {call.phase})
        guards = self.judge_run(what, way, forward)
        place = self.settle(way, what, index)
        self.judge_leaks(what + ", and after", way, self.pair.leaks(),
                         guards & way.end.joined & place.joined)
        self.rest(place, what)

    def could_not_ask(self):
        """Whether a router goes through the stack for rules or policies, which nobody has here."""
        found = [t["router"] for t in self.pair.cli.json("show")["tenants"] if t["router"]]
        return any(router["because"] in UNASKED for router in found)

    def refuse(self, way, call, _):
        """It copes with that, or all is as before, and it says what failed."""
        call, error = call
        what, forward = f"{way}, {error} at {call}", False
        self.before(way, forward)
        done, struck = self.strace.at(call, f"error={error}", *way.words)
        if not struck:
            self.missed.append(what)
        self.struck += struck
        self.phases.update({call.phase} if struck else ())
        said = done.stderr.strip()
        self.judge_run(what, way, forward)
        if done.returncode == 0:
            if self.could_not_ask():
                assert "until the next run" in said or "-q" in way.words, f"{what}: it said {said!r}"
                self.pair.cli.run("apply", "-f", way.end.file)
            self.rest(way.end, what, full=True, log="/state.db" in call.text)
            return
        assert any(word in said for word in AS_KILLED) or done.returncode in (1, 2), \
            f"{what}: exit {done.returncode}: {said}"
        restore = way.words[0] == "restore"     # of many routers: keeps those that it could
        lines = said.split("\n")
        assert all(line.startswith("tenantnat: ") for line in lines) and \
            len(lines) <= 1 + restore, f"{what}: it said {said!r}"
        assert error != "EINTR" or call.name not in INTERRUPTIBLE, f"{what}: not coped with: {said}"
        if restore or any(word in said for word in AS_KILLED):
            place = self.settle(way, what, 0)
        else:
            place = way.end if "stdout" in said else way.start
        self.rest(place, what, full=True, log="/state.db" in call.text)

    # many of them

    def plain(self, way):
        """As it goes without a fault."""
        self.before(way, False)
        self.pair.cli.run(*way.words)
        self.forward(way.end.joined)
        self.at = way.end

    def points(self, how, way, count):
        """Where to strike, of a run that gets through."""
        self.before(way, False)
        done, some = self.strace.trace(*way.words)
        equal(done.returncode, 0, f"{way}: exit of a run that is only watched ({done.stderr})")
        self.forward(way.end.joined)
        self.at = way.end
        if how == self.refuse:
            some = [(call, error) for call, error in refusable(some, REFUSALS)
                    if call.name in (self.names or REFUSALS)]
            return each_refusal(some, len(some) if self.every else AGAIN) if self.long \
                else chosen_refusals(some, count, self.planned)
        if self.long:
            return some if self.every else moments(some)
        return chosen(some, count, self.planned)

    def tell(self, how, way, left):
        """A long run says now and then how far it is."""
        if self.long and left % 50 == 0:
            print(f"   {how.__name__} {way}: {left} to go, {len(self.failures)} failures", flush=True)

    def strike(self, how, way, call, index, again):
        """What fails is kept, and the next one starts anew from there."""
        try:
            how(way, call, index)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self.failures.append(str(error))
            print(f"   {error}"[:500], flush=True)
            again()
            self.at = way.start

    def from_start(self, how, way, count, again):
        """One way, from where it starts each time; `again` goes back there."""
        some = self.points(how, way, count)
        again()
        for index, call in enumerate(some):
            self.tell(how, way, len(some) - index)
            self.strike(how, way, call, index, again)
            again()     # also where it ended there: a state without definitions is not none
            self.at = way.start

    def to_and_fro(self, how, forth, back, count, again):
        """Both ways, until both have been struck everywhere that was asked for."""
        left = {way: list(enumerate(self.points(how, way, count))) for way in (forth, back)}
        while any(left.values()):
            way = forth if self.at is forth.start else back
            if left[way]:
                self.tell(how, way, len(left[way]))
                index, call = left[way].pop(0)
                failed = len(self.failures)
                self.strike(how, way, call, index, again)
                if len(self.failures) > failed:
                    self.at = forth.start
            else:
                self.plain(way)
        if self.at is not forth.start:
            self.plain(back)

    def judge(self, what, least, phases):
        print(f"   {self.pair.name}: {what} {self.struck} times, in {len(self.phases)} phases; "
              f"{len(self.missed)} calls were not met", flush=True)
        assert not self.failures, f"{len(self.failures)} failures: " + " | ".join(self.failures[:3])
        assert self.struck >= least, f"{what} only {self.struck} times"
        never = [phase for phase in phases if phase not in self.phases]
        assert not never, f"never {what} in: {', '.join(never)}; not met: {self.missed}"


@contextlib.contextmanager
def walking(lab, name, **options):
    hook, env = VARIANTS[lab.variant]
    pair = Pair(lab, f"{name}-{lab.variant}", env=env, hooks=(hook, hook), **options)
    try:
        with pair.talking():
            yield Walk(pair, lab.long, lab.every)
    finally:
        pair.close()


def places(walk, *ways):
    """Goes each way once without a fault, and looks at where it ends."""
    for way in ways:
        walk.pair.cli.run(*way.words)
        walk.forward({name for name in ROUTERS if walk.pair.guarded(name)})
        way.end.look()


def first(walk):
    """The way from a machine that never saw tenantnat."""
    nothing = walk.place("nothing", None)
    nothing.look()
    return Way(nothing, walk.place("joined", walk.pair.alone()), "apply", "-f",
               walk.pair.scratch + "/joined.yaml")


def back(walk):
    """As if tenantnat had never been there."""
    walk.forward(())
    walk.pair.forget()


@once
def test_killed_in_first_join(lab):
    """No state, no pins, and nothing leaks from a router that is half set up, by IPv6 neither."""
    with walking(lab, "killjoin", bare=("red",), six=True) as walk:
        way = first(walk)
        places(walk, way)
        back(walk)
        walk.from_start(walk.kill, way, JOIN, lambda: back(walk))
        walk.judge("killed", JOIN - 2, set(PHASES) - {"detach"})


@once
def test_refused_in_first_join(lab):
    """Errors at any call: coped with, or said, and all is as before to the byte, IPv6 as well."""
    with walking(lab, "killno", bare=("red",), six=True) as walk:
        way = first(walk)
        places(walk, way)
        back(walk)
        walk.from_start(walk.refuse, way, SOME, lambda: back(walk))
        walk.judge("refused", len(PHASES), set(PHASES) - {"detach", "end"})


# what the probes and announcements call
ON_THE_NETWORK = ("sendmmsg", "sendmsg", "recvfrom", "poll", "ioctl", "socket", "bind",
                  "setsockopt", "getsockname")


@once
def test_refused_in_probes_of_a_peer(lab):
    """blue joins beside red, which it asks; what cannot be asked is not taken for an answer."""
    with walking(lab, "killask") as walk:
        walk.names = ON_THE_NETWORK
        alone, both = (walk.place(name, defs) for name, defs in
                       (("alone", walk.pair.alone()), ("both", walk.pair.both())))
        join, leave = Way(alone, both, "apply", "-f", both.file), \
            Way(both, alone, "apply", "-f", alone.file)
        places(walk, leave, join, leave)
        walk.from_start(walk.refuse, join, SOME, lambda: walk.plain(leave))
        walk.judge("refused", 3, ["probe and announce"])


@once
def test_duplicate_in_spite_of_refusals(lab):
    """Somebody has an address that is to be red's: no interruption, and no error, hides that."""
    with walking(lab, "killdup", bare=("red",)) as walk:
        pair, way = walk.pair, first(walk)
        pair.ns["wire"].ip("addr add 100.64.1.8/32 dev br0")
        for error, said in (("EINTR", "probe `duplicate` of 100.64.1.8 failed"),
                            ("ENOMEM", "cannot wait for answers")):
            done, struck = walk.strace.at(Call("poll", "1+", ""), f"error={error}", *way.words)
            assert struck, "nothing waited"
            equal(done.returncode, 1, f"exit with {error}")
            assert said in done.stderr, done.stderr
            back(walk)
            way.start.check(f"with {error}", True)


class Ways:
    """Between definitions, from red alone to each of the others and back."""

    def __init__(self, walk):
        self.walk, pair = walk, walk.pair
        alone = self.alone = walk.place("alone", pair.alone())
        both = walk.place("both", pair.both())
        loose = walk.place("loose", pair.alone(sources="loose", flows=4096))
        nine = walk.place("nine", pair.alone().mapping("red", "10.0.0.9"))
        off = walk.place("off", None)
        # the first join is killed in its probes too
        quick = ("-q", "apply", "--no-probe", "-f")
        self.join = Way(off, alone, *quick, alone.file)
        self.change = (Way(alone, both, *quick, both.file), Way(both, alone, *quick, alone.file))
        self.renew = (Way(alone, loose, "apply", "-f", loose.file),
                      Way(loose, alone, "apply", "-f", alone.file))
        self.map = (Way(alone, nine, "map", "add", "red", "10.0.0.9"),
                    Way(nine, alone, "map", "del", "red", "10.0.0.9"))
        self.detach = (Way(alone, off, "detach", "red"), self.join)
        places(walk, self.join, *self.change, *self.renew, *self.map, *self.detach)

    def again(self):
        """After a failure: as at first."""
        back(self.walk)
        for way in (self.join, *self.change):
            self.walk.plain(way)


@once
def test_killed_at_any_call(lab):
    """apply, map add, map del, detach: old or new, nothing leaks, and the same again mends it."""
    with walking(lab, "kill") as walk:
        ways = Ways(walk)
        for way, count in ((ways.change, CHANGE), (ways.renew, ONE), (ways.map, ONE),
                           (ways.detach, ONE)):
            walk.to_and_fro(walk.kill, *way, count, ways.again)
        walk.judge("killed", CHANGE + 3 * ONE,
                   set(PHASES) - PHASES_OF_IPV6 - (set() if lab.long else {"settings"}))


@once
def test_refused_at_any_call(lab):
    """As in the first join, of what is there already."""
    with walking(lab, "killerr") as walk:
        ways = Ways(walk)
        more = (ways.renew, ways.map, ways.detach) if lab.long else ()
        for way in (ways.change, *more):
            walk.to_and_fro(walk.refuse, *way, FEW, ways.again)
        walk.judge("refused", len(CHANGED),
                   set(PHASES) - PHASES_OF_IPV6 - {"end"} if lab.long else CHANGED)


def wiped(walk):
    """As after a reboot: what is pinned is gone, and with it the programs; the router is there."""
    pair = walk.pair
    shutil.rmtree(pair.bpffs, ignore_errors=True)
    pair.forward("red", False)


def restoring(walk):
    """The way back from there."""
    alone, hurt = walk.place("alone", walk.pair.alone()), walk.place("hurt", None)
    places(walk, Way(hurt, alone, "apply", "-f", alone.file))
    wiped(walk)
    hurt.look()
    return Way(hurt, alone, "restore")


@once
def test_killed_in_restore(lab):
    """The definitions stay what they are; a router that is half there lets nothing through."""
    with walking(lab, "killagain", bare=("red",)) as walk:
        walk.from_start(walk.kill, restoring(walk), CHANGE, lambda: wiped(walk))
        walk.judge("killed", CHANGE - 1,
                   RESTORED if lab.long else ["pin maps", "write rows", "attach"])


@once
def test_refused_in_restore(lab):
    """As in any command: restored, or as before, and it says why."""
    with walking(lab, "killback", bare=("red",)) as walk:
        walk.from_start(walk.refuse, restoring(walk), FEW, lambda: wiped(walk))
        walk.judge("refused", len(RESTORED), RESTORED)


def tenant_of(pair, address):
    """Tenant and router of a shared address, by the maps."""
    key = "00" * 10 + "ffff" + socket.inet_aton(address).hex()
    return dict(pair.tables()["by_shared"])[key][32:48]


@once
def test_address_of_a_killed_run(lab):
    """What a killed `map add` left in the maps goes to nobody, and gets into nobody's way."""
    with walking(lab, "killrow") as walk:
        pair = walk.pair
        defs = pair.both()
        for name in ROUTERS:
            defs[name].pool = None      # both take from one pool
        file = pair.write(defs, "file")
        pair.cli.apply(file)
        done, some = walk.strace.trace("map", "add", "red", "10.0.0.9")
        shared = done.stdout.strip()
        pair.cli.run("map", "del", "red", "10.0.0.9")
        last = max(i for i, call in enumerate(some) if call.phase == "write rows")
        commit = next(call for call in some[last:] if call.phase == "write the log")
        _, struck = walk.strace.at(commit, "signal=KILL", "map", "add", "red", "10.0.0.9")
        assert struck, f"not killed at {commit}"
        # it is red's now, by the maps alone
        assert tenant_of(pair, shared) == tenant_of(pair, RED1), "the maps were not ahead"
        equal(pair.cli.run("map", "add", "blue", "10.0.0.9").stdout.strip(), shared, "blue's")
        equal(tenant_of(pair, shared), tenant_of(pair, BLUE1), "whose it is")
        pair.cli.run("map", "add", "blue", "10.0.0.10")
        equal(tenant_of(pair, shared), tenant_of(pair, BLUE1), "whose it is in the end")
        pair.cli.apply(file)
        equal(pair.cli.apply(file), ["nothing to be done"], "apply afterwards")
