# SPDX-License-Identifier: GPL-2.0-only
"""Two runs at once: one after the other, or a sentence about who is first."""
import contextlib
import glob
import json
import os
import signal
import sys
import time

from case import equal, once
from defs import Definitions, Tenant
from lab import FIXED, FIXED2, SUBNET
from net import BPFFS, sh


@contextlib.contextmanager
def held(lab):
    """The lock is held: an apply is stopped while it has it. Gives its process."""
    path = lab.write(lab.definitions().having(lab.green_tenant()), "held.yaml")
    for _ in range(20):
        run = lab.cli.start("apply", "-f", path)
        while run.poll() is None and not has_lock(lab, run.pid):
            time.sleep(0.0005)
        run.send_signal(signal.SIGSTOP)
        if run.poll() is None and has_lock(lab, run.pid) and can_be_read(lab):
            break
        run.send_signal(signal.SIGCONT)
        run.communicate()
        lab.apply()
    else:
        raise RuntimeError("an apply could not be stopped while it had the lock")
    try:
        yield run
    finally:
        run.send_signal(signal.SIGCONT)
        run.communicate()


def has_lock(lab, pid):
    with contextlib.suppress(OSError), open(lab.cli.state + "/lock", encoding="ascii") as lock:
        return lock.read().split()[:1] == [str(pid)]


def can_be_read(lab):
    """Not in the short moments in which SQLite has its file for itself, as when it opens it."""
    return lab.cli.run("--wait", "0", "map", "list", code=None).returncode == 0


@once
def test_second_run_says_who_is_first(lab):
    """And does nothing; the first one, once it goes on, is not disturbed."""
    path = lab.write(lab.definitions().mapping("red", "10.0.0.7"))
    leases = lab.cli.leases()
    with held(lab) as first:
        for words in (["apply", "-f", path], ["map", "add", "blue", FIXED2],
                      ["detach", "--all"]):
            said = lab.cli.fails("--wait", "0", *words)
            assert str(first.pid) in said and "apply" in said, f"does not say who: {said}"
        equal(lab.cli.leases(), leases, "leases")
    equal(first.returncode, 0, "the exit code of the first")
    equal({k for k in lab.cli.leases() if k not in leases}, {("green", FIXED)}, "new leases")
    lab.apply()


@once
def test_second_run_waits(lab):
    with held(lab) as first:
        second = lab.cli.start("--wait", "100", "map", "add", "blue", FIXED2)
        time.sleep(0.3)
        equal(second.poll(), None, "the exit code of one that has to wait")
        first.send_signal(signal.SIGCONT)
        out, err = second.communicate(timeout=100)
    equal((second.returncode, out[:9]), (0, "100.64.2."), f"exit and address ({err.strip()})")
    assert ("green", FIXED) in lab.cli.leases(), "the first did not get done"
    lab.apply()


@once
def test_wait_ends(lab):
    with held(lab):
        start = time.monotonic()
        lab.cli.fails("-q", "--wait", "1", "map", "add", "blue", FIXED2)
        took = time.monotonic() - start
    assert 0.8 < took < 25, f"it waited {took:.2f} s, not 1"     # 30 when it is not told
    lab.apply()


@once
def test_readers_do_not_wait(lab):
    with held(lab):
        for words in (["show"], ["stats"], ["map", "list"]):
            lab.cli.run("--wait", "0", *words)
    lab.apply()


@once
def test_lock_of_a_dead_process(lab):
    """The kernel lets go of it; a stale name in the file means nothing."""
    with held(lab) as first:
        first.send_signal(signal.SIGKILL)
    assert has_lock(lab, first.pid), "the file does not even name the dead"
    lab.cli.run("--wait", "0", "map", "add", "blue", FIXED2)
    lab.apply()


@once
def test_many_at_once(lab):
    """All succeed, and each of them is in force afterwards."""
    fixed = [f"10.0.0.{i}" for i in range(100, 106)]
    runs = [lab.cli.start("map", "add", "blue", f) for f in fixed]
    given = []
    for run in runs:
        out, err = run.communicate(timeout=120)
        equal(run.returncode, 0, f"exit ({err.strip()})")
        given.append(out.strip())
    leases = lab.cli.leases("blue")
    equal([leases.get(("blue", f)) for f in fixed], given, "leases")
    equal(len(set(given)), len(given), "different addresses")
    lab.apply()


@once
def test_wait_is_said(lab):
    """For whom, and for how long; not when it is short, nor with -q."""
    path = lab.write(lab.definitions())
    with held(lab) as first:
        said = lab.cli.run("--wait", "1", "map", "add", "blue", FIXED2, code=1).stderr.splitlines()
        equal(said[0], f"tenantnat: waiting up to 1 s for process {first.pid} (apply), which changes "
                       "something", "what it says first")
        equal(len(said), 2, f"lines ({said})")
        lab.cli.fails("-q", "--wait", "1", "map", "add", "blue", FIXED2)
        lab.cli.fails("--wait", "0", "map", "add", "blue", FIXED2)
    lab.cli.apply(path)


# ---------------------------------------------------------------- where nothing can be written

class Small:
    """A state on a file system of its own that is small, and what reads it."""

    def __init__(self, lab, name):
        self.top = os.path.join(lab.scratch, name)
        os.mkdir(self.top)
        sh(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", self.top])
        self.cli = lab.cli.elsewhere(state=self.top + "/state", bpffs=f"{BPFFS}/{name}")
        self.file = Definitions(Tenant("red", (FIXED, "100.64.1.5"), accept=None),
                                subnets=(SUBNET,)).write(lab.scratch + f"/{name}.yaml")
        self.cli.apply(self.file)

    def close(self):
        sh(["umount", self.top])
        os.rmdir(self.top)

    def answers(self):
        return {" ".join(words): self.cli.run(*words).stdout for words in
                (["show"], ["map", "list", "-j"], ["stats"], ["show", "history"],
                 ["apply", "--dry-run", "-f", self.file])}

    def fill(self):
        with contextlib.suppress(OSError), open(self.top + "/full", "wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))
        equal(os.statvfs(self.top).f_bavail, 0, "blocks that are left")

    def leave_a_log(self, tenant):
        """As a killed process does that another name of the tenant was written by."""
        code = ("import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
                "db.execute('UPDATE tenant SET name = ?', (sys.argv[2],)); db.commit(); os._exit(0)")
        sh([sys.executable, "-c", code, self.cli.state + "/state.db", tenant])
        os.unlink(self.cli.state + "/state.db-shm")
        assert os.path.getsize(self.cli.state + "/state.db-wal"), "there is no log"


@once
def test_reading_on_a_full_disk(lab):
    """What only reads does; also where a log was left."""
    small = Small(lab, "full")
    try:
        before = small.answers()
        small.fill()
        equal(small.answers(), before, "what it reads")
        said = small.cli.fails("map", "add", "red", FIXED2)
        assert "make room" in said, said
        findings = {f["finding"]: f["severity"]
                    for f in json.loads(small.cli.run("-j", "doctor", code=None).stdout)["findings"]}
        equal(findings["state"], "ok", "the finding of doctor about the state")
        equal(findings["disk-space"], "problem", "the finding of doctor about room")
        os.unlink(small.top + "/full")
        small.leave_a_log("pink")
        small.fill()
        assert "pink: 1 mapping" in small.answers()["show"], "the log was not read"
        equal(glob.glob("/run/tenantnat-*"), [], "copies that are left")
        os.unlink(small.top + "/full")
        small.cli.apply(small.file)
    finally:
        small.close()


@once
def test_reading_where_it_is_read_only(lab):
    """The same of a file system that is read-only."""
    small = Small(lab, "fixed")
    try:
        before = small.answers()
        sh(["mount", "-o", "remount,ro", small.top])
        equal(small.answers(), before, "what it reads")
        assert "read-only" in small.cli.fails("map", "add", "red", FIXED2).lower()
        sh(["mount", "-o", "remount,rw", small.top])
        small.leave_a_log("pink")
        sh(["mount", "-o", "remount,ro", small.top])
        assert "pink: 1 mapping" in small.answers()["show"], "the log was not read"
        equal(glob.glob("/run/tenantnat-*"), [], "copies that are left")
    finally:
        small.close()
