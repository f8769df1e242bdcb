# SPDX-License-Identifier: GPL-2.0-only
"""
What kind of interface `shared0` is, which joins a namespace to the shared network:

    veth    an end of a veth pair
    vlan    a VLAN device on such an end, with id VLAN: the network is tagged
    ovs     in a router, an internal port of an Open vSwitch that has such an end as a port

The end is `phys0` where it is not `shared0` itself, and the other end is in the bridge.
"""
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import subprocess

from case import PATIENCE, Skip
from net import Namespace, sh, veth

VLAN = 20
PHYS_INDEX = 19
OVS_PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def is_kernel(*least):
    return tuple(map(int, os.uname().release.split(".")[:2])) >= least


def has_tcx():
    """The kernel attaches tc programs by links; older ones have clsact only."""
    return is_kernel(6, 6)


def has_netdev():
    """The kernel says what a device can do for XDP."""
    return is_kernel(6, 3)


@contextlib.contextmanager
def _trial():
    ns = Namespace("trial")
    try:
        yield ns
    finally:
        ns.remove()


def need_vlan():
    with _trial() as ns:
        veth(ns, "one", ns, "two")
        done = sh(["ip", "-n", ns.name, "link", "add", "link", "one", "name", "v", "type", "vlan",
                   "id", "5"], check=False)
    if done.returncode:
        raise Skip("this kernel has no VLAN devices")


@functools.cache
def has_vxlan():
    with _trial() as ns:
        done = sh(["ip", "-n", ns.name, "link", "add", "v", "type", "vxlan", "id", "5",
                   "dstport", "4789"], check=False)
    return done.returncode == 0


def need_vxlan():
    if not has_vxlan():
        raise Skip("this kernel has no VXLAN")


def need_ovs():
    missing = [program for program in OVS_PROGRAMS if not shutil.which(program)]
    if missing:
        raise Skip(f"no {missing[0]}: install openvswitch-switch")
    sh(["modprobe", "openvswitch"], check=False)
    with _trial() as ns:
        done = ns.run("ovs-dpctl", "add-dp", "trial", check=False)
        ns.run("ovs-dpctl", "del-dp", "trial", check=False)
    if done.returncode:
        raise Skip("this kernel has no Open vSwitch")


NEEDS = {"veth": lambda: None, "vlan": need_vlan, "ovs": need_ovs}


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Switch:
    """An Open vSwitch of its own in a namespace, with a bridge `br0`."""

    def __init__(self, ns, directory):
        self.ns, self.where, self.running = ns, directory, []
        self.env = {**os.environ, "OVS_RUNDIR": directory, "OVS_DBDIR": directory}
        os.mkdir(directory)
        db = f"unix:{directory}/db.sock"
        sh(["ovsdb-tool", "create", directory + "/conf.db", SCHEMA], env=self.env)
        self._start("ovsdb-server", f"--remote=p{db}", directory + "/conf.db")
        self.db = "--db=" + db
        self.vsctl("--no-wait", "init")
        self._start("ovs-vswitchd", db)
        self.vsctl("add-br", "br0")

    def _start(self, program, *args):
        # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        self.running.append(subprocess.Popen(
            ["nsenter", f"--net={self.ns.path}", program, f"--unixctl={self.where}/{program}.ctl",
             "--pidfile", *args],
            env=self.env, preexec_fn=_die_with_parent, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def vsctl(self, *args):
        self.ns.run("ovs-vsctl", self.db, "--retry", f"--timeout={30 * PATIENCE:.0f}", *args,
                    env=self.env)

    def close(self):
        with contextlib.suppress(RuntimeError):
            self.vsctl("del-br", "br0")
        for process in reversed(self.running):
            process.terminate()
            process.wait()
        self.ns.run("ovs-dpctl", "del-dp", "ovs-system", check=False)
        shutil.rmtree(self.where)


class Medium:
    """How the namespaces of a lab are joined to its shared network."""

    def __init__(self, kind, scratch):
        self.kind, self.scratch, self.switches = kind, scratch, {}

    def has_phys(self, name):
        return self.kind == "vlan" or name in self.switches

    def plug(self, name, ns, bridge, mac, index):
        """`shared0` in the namespace, up, with that MAC address."""
        phys = self.kind == "vlan" or self.kind == "ovs" and name in ("red", "blue")
        end = "phys0" if phys else "shared0"
        veth(ns, end, bridge, "p" + name, PHYS_INDEX if phys else index)
        bridge.ip(f"link set p{name} master br0")
        if not phys:
            ns.ip(f"link set shared0 address {mac}")
        elif self.kind == "vlan":
            ns.ip(f"link set phys0 address {mac}",
                  f"link add link phys0 name shared0 index {index} type vlan id {VLAN}",
                  "link set shared0 up")
        else:
            switch = self.switches[name] = Switch(ns, f"{self.scratch}/switch-{name}")
            switch.vsctl("add-port", "br0", "phys0", "--", "add-port", "br0", "shared0", "--",
                         "set", "interface", "shared0", "type=internal",
                         f'mac="{mac}"')
            ns.ip("link set shared0 up")

    def unplug(self, name, ns):
        if name in self.switches:
            self.switches.pop(name).close()
        for device in ("shared0", "phys0"):
            sh(["ip", "-n", ns.name, "link", "del", device], check=False)

    def close(self):
        while self.switches:
            self.switches.popitem()[1].close()
