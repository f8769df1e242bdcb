# SPDX-License-Identifier: GPL-2.0-only
"""Hosts of a cluster and members of etcd on one link, each in a namespace of its own, so that what is
between them can be cut. For what is in one namespace, etcd.py and test_members.py."""
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import time

from case import PATIENCE
from cli import Cli
from etcd import have_etcd
from net import BPFFS, Namespace, end_with_parent, sh

# A loaded machine is slow, and one that is being tortured elects often.
TIMES = ["--heartbeat-interval", "200", "--election-timeout", "2000"]
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


class Node:
    """A namespace with an address on the link."""

    def __init__(self, cloud, name, address):
        self.cloud, self.name, self.address = cloud, name, address
        self.ns = Namespace(f"{name}-{cloud.number}")
        self.ns.ip("link set lo up")
        sh(["ip", "link", "add", "eth0", "netns", self.ns.name, "type", "veth", "peer", "name", name,
            "netns", cloud.link.name])
        cloud.link.ip(f"link set {name} master br0 up")
        self.ns.ip(f"addr add {address}/24 dev eth0", "link set eth0 up")
        self.ns.run("nft", "add table inet cut; add chain inet cut in "
                    "{ type filter hook input priority 0 ; } ; add set inet cut them { type ipv4_addr ; } ; "
                    "add rule inet cut in ip saddr @them drop")

    def cut(self, others):
        """Nothing that they send arrives any more; for both directions both have to do it."""
        self.ns.run("nft", "flush set inet cut them")
        if others:
            self.ns.run("nft", f"add element inet cut them {{ {', '.join(o.address for o in others)} }}")


class Member(Node):
    """One etcd."""

    def __init__(self, cloud, number):
        super().__init__(cloud, f"m{number}", f"10.9.0.{number}")
        self.url, self.peer = f"http://{self.address}:2379", f"http://{self.address}:2380"
        self.data = os.path.join(cloud.directory, self.name)
        self.process = None

    def start(self):
        argv = ["etcd", "--name", self.name, "--data-dir", self.data, "--logger", "zap", "--log-level", "error",
                "--listen-client-urls", f"{self.url},http://127.0.0.1:2379", "--advertise-client-urls", self.url,
                "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                "--initial-cluster", ",".join(f"{m.name}={m.peer}" for m in self.cloud.members), *TIMES]
        with open(self.data + ".log", "a", encoding="utf-8") as log:
            # pylint: disable-next=consider-using-with,subprocess-popen-preexec-fn
            self.process = subprocess.Popen(["nsenter", f"--net={self.ns.path}", *argv], stdout=log, stderr=log,
                                            preexec_fn=end_with_parent)

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


class Host(Node):
    """A tenantnat with its state, a machine id and a clock of its own."""

    def __init__(self, cloud, number, binary):
        super().__init__(cloud, f"hv{number}", f"10.9.0.{100 + number}")
        self.scratch = os.path.join(cloud.directory, self.name)
        os.mkdir(self.scratch)
        machine, self.clock = (os.path.join(self.scratch, name) for name in ("machine-id", "clock"))
        with open(machine, "w", encoding="ascii") as f:
            f.write(f"{number:032x}\n")
        self.set_clock(0)
        library = glob.glob(FAKETIME)
        env = {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": self.clock, "FAKETIME_NO_CACHE": "1",
               "DONT_FAKE_MONOTONIC": "1"} if library else {}
        self.has_clock = bool(library)
        under = ["nsenter", f"--net={self.ns.path}", "unshare", "-m", "sh", "-c",
                 f"mount --bind {machine} /etc/machine-id && exec env \"$@\"", "--",
                 *(f"{key}={value}" for key, value in env.items())]
        self.cli = Cli(binary, os.path.join(self.scratch, "state"), f"{BPFFS}/{self.name}", under=under)

    def set_clock(self, seconds):
        """How far it is from the machine's; of what runs already, too."""
        new = self.clock + ".new"
        with open(new, "w", encoding="ascii") as f:
            f.write(f"{seconds:+d}\n")
        os.rename(new, self.clock)

    def processes(self):
        """The pids of everything in the namespace."""
        return [int(pid) for pid in sh(["ip", "netns", "pids", self.ns.name]).stdout.split()]

    def signal(self, number):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


class Cloud:
    """`with Cloud(lab, members=3, hosts=4) as cloud`: etcd can be written to, and all hosts have joined."""

    def __init__(self, lab, members, hosts):
        have_etcd()
        self.number = time.monotonic_ns() % 10 ** 6
        self.directory = os.path.join(lab.scratch, f"cloud-{self.number}")
        os.mkdir(self.directory)
        self.link = Namespace(f"link-{self.number}")
        self.link.ip("link add br0 type bridge", "link set br0 up", "link set lo up")
        self.members = [Member(self, n) for n in range(1, members + 1)]
        self.hosts = [Host(self, n, lab.cli.binary) for n in range(1, hosts + 1)]

    @property
    def urls(self):
        return ",".join(m.url for m in self.members)

    def __enter__(self):
        try:
            for member in self.members:
                member.start()
            self.wait()
            for host in self.hosts:
                host.cli.run("cluster", "join", self.urls, "--host", host.name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            host.signal(signal.SIGKILL)
        for member in self.members:
            member.kill()
        for node in [*self.hosts, *self.members]:
            node.ns.remove()
        self.link.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ctl(self, *args, **options):
        """etcdctl, from the link's first member."""
        argv = ["nsenter", f"--net={self.members[0].ns.path}", "etcdctl", "--endpoints", self.urls,
                "--command-timeout", "30s", "--dial-timeout", "30s", *args]
        return sh(argv, env={**os.environ, "ETCDCTL_API": "3"}, **options).stdout

    def wait(self):
        """Until etcd can be written to."""
        end = time.monotonic() + 120 * PATIENCE
        while True:
            try:
                self.ctl("put", "nothing", "")
                return
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def partition(self, *groups):
        """Nodes of different groups do not hear each other; those of none hear everybody."""
        for node in [*self.members, *self.hosts]:
            mine = [g for g in groups if node in g]
            node.cut([other for g in groups if mine and g is not mine[0] for other in g])
