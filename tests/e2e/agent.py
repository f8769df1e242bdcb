# SPDX-License-Identifier: GPL-2.0-only
"""A running `tenantnat agent`, as systemd would run it."""
import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time

from case import PATIENCE, equal, eventually

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Agent:
    """Ready when the block begins; ended by SIGTERM with it, and its exit has to be clean."""

    def __init__(self, lab, *args, log="agent.log"):
        self.lab, self.path = lab, os.path.join(lab.scratch, log)
        self.where = os.path.join(lab.scratch, log + ".notify")
        self.heard, self.killed = [], False
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.where)
        with open(self.path, "w", encoding="utf-8") as out:
            # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
            self.run = subprocess.Popen(
                lab.cli.argv("agent", *args), env={**lab.cli.env, "NOTIFY_SOCKET": self.where},
                stdout=out, stderr=out,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def __enter__(self):
        self.until("READY=1")
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.drain()
            if self.run.poll() is None:
                self.run.terminate()
            code = self.run.wait(60 * PATIENCE)
            if kind is None and not self.killed:
                equal(code, 0, f"the exit code of the agent ({self.said()[-3:]})")
                self.drain()
                assert ["STOPPING=1"] in self.heard, f"no STOPPING=1: {self.heard[-3:]}"
        finally:
            self.run.kill()
            self.run.wait()
            self.notify.close()
            os.unlink(self.where)

    def kill(self):
        """As kill -9 does; then there is nothing clean about its end."""
        self.run.kill()
        self.run.wait()
        self.killed = True

    def until(self, word, seconds=60):
        """Wait for a notification that has this word; gives all of its lines."""
        self.notify.settimeout(seconds * PATIENCE)
        while True:
            try:
                lines = self.notify.recv(4096).decode().split("\n")
            except TimeoutError:
                raise AssertionError(f"no {word} from the agent: {self.heard[-5:]}, "
                                     f"{self.said()[-5:]}") from None
            self.heard.append(lines)
            if word in lines:
                return lines

    def drain(self):
        """The queue is short, and the agent waits for whoever reads it."""
        self.notify.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.notify.recv(4096).decode().split("\n"))

    def said(self):
        with open(self.path, encoding="utf-8") as f:
            return f.read().splitlines()

    def says(self, *words, seconds=60):
        """Wait for a line of its log that has all of these words."""
        def check():
            self.drain()
            found = [l for l in self.said() if all(word in l for word in words)]
            assert found, f"no line with {words} in {self.said()[-8:]}"
            return found
        return eventually(check, seconds)

    def clock(self):
        """Seconds, of which those do not count in which it waits for a CPU that others have."""
        self.drain()
        with open(f"/proc/{self.run.pid}/schedstat", encoding="ascii") as f:
            return time.monotonic() - int(f.read().split()[1]) / 1e9

    def fds(self):
        return sorted(os.readlink(f"/proc/{self.run.pid}/fd/{fd}")
                      for fd in os.listdir(f"/proc/{self.run.pid}/fd"))

    def resident(self):
        """KiB"""
        with open(f"/proc/{self.run.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, path="/metrics", method="GET", seconds=30):
    """Status, headers and body."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds * PATIENCE)
    with contextlib.closing(link):
        link.request(method, path)
        got = link.getresponse()
        return got.status, dict(got.getheaders()), got.read().decode()
