# SPDX-License-Identifier: GPL-2.0-only
"""Namespaces, veth pairs, sockets inside of them, and children that do not outlive the run."""
import contextlib
import ctypes
import glob
import json
import os
import pickle
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from case import PATIENCE

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC_PRIVATE = 0x4000 | 0x40000
MNT_DETACH, PR_SET_PDEATHSIG = 2, 1
BPFFS = "/sys/fs/bpf"
PREFIX = f"tne-{os.getpid()}-"

_libc = ctypes.CDLL(None, use_errno=True)
_children = set()


def _call(name, *args):
    if getattr(_libc, name)(*args):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def mount_bpffs():
    _call("mount", b"bpf", BPFFS.encode(), b"bpf", 0, b"mode=0700")


def unmount_bpffs():
    _call("umount2", BPFFS.encode(), MNT_DETACH)


def end_with_parent():
    """For a child to call: it gets SIGTERM when the parent ends, however that does."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def private_machine():
    """
    A mount namespace of our own with an empty /run/netns and an empty bpffs, so that runs
    do not see each other, and a directory for scratch files. The kernel takes the namespaces
    and programs away with the mounts, even when this process is killed.
    """
    def stop(signum, _frame):
        raise KeyboardInterrupt(f"signal {signum}")

    _call("unshare", CLONE_NEWNS)
    _call("mount", None, b"/", None, MS_REC_PRIVATE, None)
    where = "/run/netns" if os.path.isdir("/run/netns") else "/run"
    _call("mount", b"tmpfs", where.encode(), b"tmpfs", 0, None)
    os.makedirs("/run/netns", exist_ok=True)
    with contextlib.suppress(OSError):
        while True:     # also what a test unmounts is not the machine's
            unmount_bpffs()
    mount_bpffs()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    scratch = tempfile.mkdtemp(prefix=PREFIX)
    os.chmod(scratch, 0o755)
    try:
        yield scratch
    finally:
        for child in list(_children):
            child.kill()
        for name in os.listdir("/run/netns"):
            subprocess.run(["ip", "netns", "del", name], check=False)
        shutil.rmtree(scratch, ignore_errors=True)


def announcing(state):
    """The pids of what announces in the background by that state."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path, "rb") as f:
            words = f.read().split(b"\0")
            if b"announce" in words and state.encode() in words:
                found.append(int(path.split("/")[2]))
    return found


def sh(argv, check=True, timeout=120, **options):
    """Run a program; a failure is an exception that says what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout * PATIENCE,
                          check=False, **options)
    if check and done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}: {said}")
    return done


class Child:
    """`fn(*args)` in a forked process; result() is what it returned, or raises what it raised."""

    def __init__(self, fn, *args):
        self.read, write = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(write, fn, args)
        os.close(write)
        _children.add(self)

    def _run(self, write, fn, args):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)   # the parent cleans up, and ends us
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            answer = (True, fn(*args))
        except BaseException as error:  # pylint: disable=broad-except
            answer = (False, f"{type(error).__name__}: {error}")
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)

    def result(self, timeout=60):
        data = b""
        try:
            while True:
                if not select.select([self.read], [], [], timeout * PATIENCE)[0]:
                    raise TimeoutError(f"a child gave no answer in {timeout} s")
                part = os.read(self.read, 1 << 20)
                if not part:
                    break
                data += part
        finally:
            self.kill()
        good, value = pickle.loads(data) if data else (False, "a child died")
        if not good:
            raise RuntimeError(value)
        return value

    def kill(self):
        if self in _children:
            _children.remove(self)
            os.close(self.read)
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class Namespace:
    """A network namespace, entered with setns only: `ip netns exec` would hide bpffs."""

    def __init__(self, name):
        self.name = PREFIX + name
        self.path = f"/run/netns/{self.name}"
        sh(["ip", "netns", "add", self.name])

    def remove(self):
        sh(["ip", "netns", "del", self.name], check=False)

    def become(self, other):
        """The name, of which there is no namespace now, is one of that namespace, too."""
        with open(self.path, "x", encoding="ascii"):
            sh(["mount", "--bind", other.path, self.path])

    @contextlib.contextmanager
    def entered(self):
        """This process is in the namespace meanwhile; sockets opened here stay in it."""
        with open("/proc/self/ns/net", "rb") as home, open(self.path, "rb") as there:
            _call("setns", there.fileno(), CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", home.fileno(), CLONE_NEWNET)

    def socket(self, *args):
        with self.entered():
            return socket.socket(*args)

    def run(self, *argv, **options):
        return sh(["nsenter", f"--net={self.path}", *argv], **options)

    def ip(self, *lines):
        """Lines of ip(8), all in one process."""
        sh(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines) + "\n")

    def links(self):
        return json.loads(sh(["ip", "-n", self.name, "-d", "-j", "link"]).stdout)

    def mac(self, device):
        return next(link["address"] for link in self.links() if link["ifname"] == device)

    def sysctl(self, **values):
        """Below /proc/sys/net, as a__b__c=value; what this kernel does not have is passed over."""
        with self.entered():
            for key, value in values.items():
                path = "/proc/sys/net/" + key.replace("__", "/")
                if os.path.exists(path):
                    with open(path, "w", encoding="ascii") as f:
                        f.write(str(value))

    def snmp(self):
        """The counters of nstat(8), of both families, as {"TcpInCsumErrors": 0, …}."""
        out = {}
        with self.entered():
            for path in ("/proc/self/net/snmp", "/proc/self/net/netstat"):
                with open(path, encoding="ascii") as f:
                    lines = f.read().splitlines()
                for names, values in zip(lines[::2], lines[1::2]):
                    group, *names = names.split()
                    out.update(zip((group[:-1] + n for n in names),
                                   map(int, values.split()[1:])))
            with open("/proc/self/net/snmp6", encoding="ascii") as f:
                out.update((name, int(value)) for name, value in map(str.split, f))
        return out


def veth(one, device, other, peer, index=None):
    """A veth pair between two namespaces, both ends up."""
    where = ["index", str(index)] if index else []
    sh(["ip", "link", "add", device, *where, "netns", one.name,
        "type", "veth", "peer", "name", peer, "netns", other.name])
    one.ip(f"link set {device} up")
    other.ip(f"link set {peer} up")
