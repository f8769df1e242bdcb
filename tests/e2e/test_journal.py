# SPDX-License-Identifier: GPL-2.0-only
"""
What goes to systemd's journal: a socket of ours stands where journald's would, in a mount namespace of the
process, and reads the native protocol. (https://systemd.io/JOURNAL_NATIVE_PROTOCOL)
"""
import contextlib
import os
import socket
import subprocess

from agent import Agent
from case import PATIENCE, equal, eventually, once
from lab import BLUE1, PLAIN, UNMAPPED
from test_agent import with_green
from test_monitor import ended, monitor
from traffic import ping


def fields_of(data):
    """{name: value} of an entry."""
    out = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:      # a value that may have more lines: its length, then itself
            size = int.from_bytes(data[:8], "little")
            value, data = data[8:8 + size], data[8 + size + 1:]
        out[name.decode()] = value.decode()
    return out


class Journal:
    """Meanwhile the lab's tenantnat finds it at /run/systemd/journal/socket."""

    def __init__(self, lab):
        self.lab, self.entries = lab, []
        self.run = os.path.join(lab.scratch, "systemd")
        os.makedirs(self.run + "/journal", exist_ok=True)
        self.where = self.run + "/journal/socket"

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(self.where)
        self.lab.cli.under = ["unshare", "-m", "sh", "-c", f'mount --bind {self.run} /run/systemd && exec "$@"', "--"]
        return self

    def __exit__(self, *_):
        self.lab.cli.under = []
        self.lab.cli.env.pop("JOURNAL_STREAM", None)
        self.socket.close()
        os.unlink(self.where)

    def stream(self, path):
        """What is written to that file from now on is said to go to the journal."""
        with open(path, "w", encoding="utf-8") as f:
            st = os.fstat(f.fileno())
        self.lab.cli.env["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
        return path

    def read(self):
        self.socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.entries.append(fields_of(self.socket.recv(1 << 16)))
        return self.entries

    def has(self, **fields):
        """Wait for an entry with these; gives the first."""
        def check():
            found = [e for e in self.read() if all(e.get(k) == v for k, v in fields.items())]
            assert found, f"no entry with {fields} in {self.entries[-8:]}"
            return found[0]
        return eventually(check)


def is_sound(entries):
    for entry in entries:
        equal(entry["SYSLOG_IDENTIFIER"], "tenantnat", f"identifier of {entry}")
        assert not [name for name in entry if name.startswith("CODE_")], entry
        assert not entry["MESSAGE"].startswith("tenantnat"), entry


@once
def test_journal_of_the_agent(lab):
    """One entry a line, with the tenant, the router and what it is about; nothing on stderr."""
    spare, log = lab.spare_router(), os.path.join(lab.scratch, "agent.log")
    try:
        with Journal(lab) as journal:
            journal.stream(log)
            path = lab.write(with_green(lab, spare), "agent.yaml")
            with Agent(lab, "-f", path) as agent:
                new = journal.has(TENANT="green", REASON="changed", PRIORITY="5")
                equal(new["ROUTER"], spare.name, "router")
                assert new["MESSAGE"].startswith("+ "), new
                spare.ip("link del shared0")
                failed = journal.has(TENANT="green", REASON="failed", PRIORITY="3")
                equal(failed["ROUTER"], spare.name, "router")
                assert "green" in failed["MESSAGE"], failed
            is_sound(journal.read())
            equal(agent.said(), [], "what it said on stderr")
    finally:
        spare.remove()
        lab.apply()


@once
def test_journal_only_where_stderr_is(lab):
    """As before, if stderr is something else, or nobody reads the journal."""
    with Journal(lab) as journal:
        for stream in None, "1:2", "x":
            lab.cli.env.pop("JOURNAL_STREAM", None)
            if stream:
                lab.cli.env["JOURNAL_STREAM"] = stream
            said = lab.cli.run("check", "nobody", code=2).stderr
            assert said.startswith("tenantnat: there is no tenant nobody"), said
        equal(journal.read(), [], "entries")
        path = journal.stream(os.path.join(lab.scratch, "stderr"))
        with open(path, "a", encoding="utf-8") as err:
            subprocess.run(lab.cli.argv("check", "nobody"), env=lab.cli.env, stderr=err, check=False)
        journal.has(PRIORITY="3", MESSAGE="there is no tenant nobody; `tenantnat show` lists them")
        os.unlink(journal.where)
        with open(path, "a", encoding="utf-8") as err:
            subprocess.run(lab.cli.argv("check", "nobody"), env=lab.cli.env, stderr=err, check=False)
        with open(path, encoding="utf-8") as f:
            assert f.read().startswith("tenantnat: there is no tenant nobody"), "a line on stderr"
        said = lab.cli.fails("monitor", "--journal")
        assert "there is no journal" in said, said
        open(journal.where, "w", encoding="ascii").close()


@once
def test_journal_of_monitor(lab):
    """--journal: an entry for each packet, instead of a line."""
    with Journal(lab) as journal:
        with monitor(lab, "--journal", "--tenant", "blue", "-n", "1") as running:
            with contextlib.suppress(AssertionError):
                ping(lab.plain, UNMAPPED, 1, wait=0.2)
            lab.plain.ip(f"neigh replace {UNMAPPED} lladdr {lab.macs['blue']} dev shared0")
            with contextlib.suppress(AssertionError):
                ping(lab.plain, UNMAPPED, 1, wait=1 * PATIENCE)
            out, _ = ended(running, how=None)
            equal(out, "", "stdout")
        lab.plain.ip(f"neigh del {UNMAPPED} dev shared0")
        entry = journal.has(TENANT="blue", REASON="unmapped")
        for name, value in (("ROUTER", lab.blue.name), ("VERDICT", "drop"), ("PROTOCOL", "icmp"), ("SRC", PLAIN),
                            ("DST", UNMAPPED), ("PRIORITY", "5")):
            equal(entry.get(name), value, f"{name} of {entry}")
        assert "drop unmapped icmp" in entry["MESSAGE"] and "SPORT" not in entry, entry
        is_sound(journal.read())
        with monitor(lab, "--journal", "--passes", "1/1", "-n", "1") as running:
            ping(lab.plain, BLUE1, 1)
            ended(running, how=None)
        entry = journal.has(VERDICT="translated", PRIORITY="6", DST=BLUE1)
        assert "REASON" not in entry, entry
        lab.cli.fails("monitor", "--journal", "-j", code=2)
