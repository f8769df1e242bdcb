#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
A real guest as the VM: qemu with virtio-net, in the end-to-end tests' lab, in the place of red1.
Frames of 64 KB and checksums that nobody has made yet come from where they come from in
production. The guest has two network interfaces: one on a tap in red's LAN bridge, one on a
tap that is itself an inside interface of red. The other end is blue1. Both run agent.py.
"""
import argparse
import contextlib
import functools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
E2E = os.path.join(os.path.dirname(HERE), "e2e")
sys.path.insert(0, E2E)
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import run as e2e                                                       # noqa: E402
from case import equal                                                  # noqa: E402
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED_V6, INSIDE, INSIDE_V6,   # noqa: E402
                 RED1, RED1_V6, Lab)
from net import private_machine                                         # noqa: E402
from sniffer import faults                                              # noqa: E402
from test_offload import MTU, features, frame_size, set_features        # noqa: E402

DIRECT, DIRECT_V6, VIA, VIA_V6 = "10.0.5.5", "fd00:15::5", "10.0.5.1", "fd00:15::1"
RED3, RED3_V6 = "100.64.1.8", "fd64::1:8"
NICS = [f"eth0,{FIXED}/24,{FIXED_V6}/64,{INSIDE},{INSIDE_V6}",
        f"eth1,{DIRECT}/24,{DIRECT_V6}/64,{VIA},{VIA_V6}"]
# way: (device in the guest, its tap, where that is), then per family (its own, its shared address)
WAYS = {"bridge": (("eth0", "tap0", "red-lan"), (FIXED, RED1), (FIXED_V6, RED1_V6)),
        "direct": (("eth1", "tap1", "red"), (DIRECT, RED3), (DIRECT_V6, RED3_V6))}
VIRTIO = ["csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ufo", "guest_ecn",
          "host_tso4", "host_tso6", "host_ufo", "host_ecn", "mrg_rxbuf"]
OFFLOADS = ("tx-checksumming", "scatter-gather", "tcp-segmentation-offload",
            "generic-segmentation-offload")
PLACES = ("offloads on", "guest off", "filled in for the receiver")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--kernel", default="build/kernels/6.1", metavar="DIR",
                        help="the guest's, where kernel.sh put it (%(default)s)")
    parser.add_argument("--hook", default="all", choices=["tc", "xdp", "xdp-generic", "all"])
    parser.add_argument("--way", choices=[*WAYS], action="append",
                        help="one way alone from the guest to its router")
    parser.add_argument("--size", type=int, default=12_000_000,
                        help="bytes of each transfer over TCP (%(default)s)")
    parser.add_argument("-v", "--verbose", action="store_true", help="times, and where it failed")
    parser.add_argument("--keep", action="store_true", help="leave it standing after a failure")
    options = parser.parse_args()
    options.hooks = ["tc", "xdp", "xdp-generic"] if options.hook == "all" else [options.hook]
    options.names = []
    return options


class Agent:
    """agent.py somewhere else, behind a pair of file descriptors."""

    def __init__(self, name, orders, answers, seconds):
        self.name, self.orders, self.answers, self.line = name, orders, answers, b""
        equal(self._answer(seconds), "ready", f"the first word of {name}")

    def _answer(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.line:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.answers], [], [], left)[0], \
                f"{self.name} does not answer"
            data = os.read(self.answers, 1 << 16)
            assert data, f"{self.name} has ended"
            self.line += data
        line, self.line = self.line.split(b"\n", 1)
        said = json.loads(line)
        if "error" in said:
            raise RuntimeError(f"{self.name}: {said['error']}")
        return said["answer"]

    def do(self, order, **how):
        os.write(self.orders, json.dumps({"do": order, **how}).encode() + b"\n")
        return self._answer(60)

    def end(self):
        with contextlib.suppress(OSError):
            os.write(self.orders, b'{"do": "end"}\n')


class Machines:
    """The lab with a guest in it, and an agent at either end."""

    def __init__(self, options, binary, scratch):
        self.lab = lab = Lab(binary, scratch, options.hooks[0], "on")
        self.processes, self.channel, self.guest, self.peer = [], None, None, None
        self.console = open(os.path.join(lab.scratch, "guest.log"), "w+b")
        lab.red_lan.ip("link set pred1 down")
        for tap in ("tap0", "tap1"):
            lab.red_lan.ip(f"tuntap add {tap} mode tap vnet_hdr", f"link set {tap} up")
        lab.red_lan.ip("link set tap0 master br0")
        self.socket = os.path.join(lab.scratch, "agent")

    def definitions(self):
        both = self.lab.dual_definitions()
        both["red"].router["inside"] = "[lan0, tap1]"
        both["red"].mappings += [(DIRECT, RED3, None), (DIRECT_V6, RED3_V6, None)]
        return both

    def _start(self, name, argv, **how):
        # pylint: disable=consider-using-with
        self.processes.append(subprocess.Popen(
            ["nsenter", f"--net={self.lab.ns[name].path}", *argv], **how))
        return self.processes[-1]

    def boot(self, kernel):
        """The guest runs, and both agents answer."""
        devices = []
        for number in (0, 1):
            on = ",".join(f"{feature}=on" for feature in VIRTIO)
            devices += ["-netdev", f"tap,id=n{number},ifname=tap{number},script=no,downscript=no",
                        "-device", f"virtio-net-pci,netdev=n{number},"
                        f"mac=52:54:00:00:00:0{number + 1},{on}"]
        devices += ["-device", "virtio-serial-pci", "-chardev",
                    f"socket,id=agent,path={self.socket},server=on,wait=off",
                    "-device", "virtserialport,chardev=agent,name=agent"]
        self._start("red-lan", [sys.executable, HERE + "/boot.py", "--kernel", kernel,
                                "--memory", "1G", "--timeout", "3600",
                                *["--qemu=" + d for d in devices], "--",
                                "sh", HERE + "/guest.sh", *NICS],
                    stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)
        self.channel = self._connect()
        self.guest = Agent("the guest", self.channel.fileno(), self.channel.fileno(), 240)
        other = self._start("blue1", [sys.executable, HERE + "/agent.py"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.peer = Agent("blue1", other.stdin.fileno(), other.stdout.fileno(), 10)

    def _connect(self):
        channel = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            with contextlib.suppress(OSError):
                channel.connect(self.socket)
                return channel
            time.sleep(0.1)
        raise AssertionError("qemu did not start: " + self.said())

    def said(self):
        """The end of what qemu and the guest printed."""
        self.console.seek(0)
        return self.console.read().decode(errors="replace")[-400:]

    def plug(self):
        """tap1 becomes an inside interface of red, once qemu has it."""
        self.lab.red_lan.ip(f"link set tap1 netns {self.lab.red.name}")
        self.lab.red.ip("link set tap1 up", f"addr add {VIA}/24 dev tap1",
                        f"addr add {VIA_V6}/64 dev tap1 nodad", "neigh flush dev lan0")

    def close(self):
        for agent in (self.guest, self.peer):
            if agent:
                agent.end()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
        self.lab.close()


# what is judged

def has_offloads(machines):
    """The guest leaves checksums and segments to its devices."""
    for device in ("eth0", "eth1"):
        said = json.loads(machines.guest.do("run", argv=["ethtool", "--json", "-k", device]))[0]
        equal({name: said[name]["active"] for name in (*OFFLOADS, "rx-checksumming")},
              dict.fromkeys((*OFFLOADS, "rx-checksumming"), True), f"offloads of {device}")


@contextlib.contextmanager
def place(machines, what, nic):
    """Whose device makes the checksums that are left to it, meanwhile."""
    device, tap, where = nic
    toggled = " ".join(f"{name} {{0}}" for name in OFFLOADS)

    def guest(state):
        machines.guest.do("run", argv=["ethtool", "-K", device, *toggled.format(state).split()])

    receivers = [(machines.lab.ns[where], tap), (machines.lab.blue, "lan0")]
    if what == "guest off":
        guest("off")
    had = [features(ns, name) for ns, name in receivers]
    if what == "filled in for the receiver":
        for ns, name in receivers:
            set_features(ns, name, {"tx-checksumming": False})
    try:
        yield
    finally:
        if what == "guest off":
            guest("on")
        for (ns, name), before in zip(receivers, had):
            set_features(ns, name, {key: before[key] for key in OFFLOADS if key in before})


def steady(agent, size, **how):
    """TCP without loss, of three: what else this machine does may fill a queue."""
    tries = []
    while len(tries) < 3:
        got = agent.do("bulk", size=size, **how)
        assert got["whole"], f"TCP from {agent.name} arrived changed"
        tries.append(got)
        if got["lost"] <= size / 1448 / 1000 and got["again"] <= size / 1448 / 10:
            return
    raise AssertionError(f"TCP from {agent.name}: {tries}")


def exchange(agent, size, segments, **how):
    steady(agent, size, **how)
    # without an offload for checksums a kernel of 6.1 refuses to send many datagrams as one
    equal(agent.do("bursts", count=10, segments=segments, **how), 10,
          f"whole bursts of UDP from {agent.name}")
    for sizes, checksum in ((range(1473), True), (range(0, 1473, 31), False)):
        missing = agent.do("sweep", sizes=list(sizes), checksum=checksum, **how)
        if missing:     # what a full queue dropped passes the second time
            missing = agent.do("sweep", sizes=missing, checksum=checksum, **how)
        equal(missing, [], f"sizes of UDP from {agent.name} that did not return"
              + ("" if checksum else ", without checksum"))


def packets_out(lab, guest):
    return lab.cli.counters()[("red", guest)]["out"]["packets"]


def judge_cell(machines, *args):
    try:
        cell(machines, *args)
    except (AssertionError, RuntimeError) as error:
        raise AssertionError(f"{error} {checksum_errors(machines)}") from error
    equal(checksum_errors(machines), {}, "checksum errors")


def cell(machines, size, what, nic, guest, shared, peer):
    """Both ways between the guest and blue1."""
    lab, (_, tap, where) = machines.lab, nic
    with place(machines, what, nic):
        mean, counted = frame_size(lab, where, tap), packets_out(lab, guest)
        exchange(machines.guest, size, what != "guest off", address=peer, source=guest)
        if what != "guest off":
            assert mean() > MTU, f"frames from the guest have {mean():.0f} bytes: no offload"
        assert packets_out(lab, guest) - counted >= size / 1448, \
            f"{packets_out(lab, guest) - counted} packets counted for {size} bytes from the guest"
        exchange(machines.peer, size, True, address=shared)


def checksum_errors(machines):
    errors = {(agent.name, key): value for agent in (machines.guest, machines.peer)
              for key, value in agent.do("counters").items() if "InCsumErrors" in key and value}
    return errors | machines.lab.checksum_errors()


def quiet(machines):
    """Nothing wrong on the shared network, and large frames with checksums that nobody had made."""
    large, found = 0, {}
    sources = [socket.inet_aton(RED1), socket.inet_aton(RED3)]
    for frame, not_ready in machines.lab.sniffer.frames():
        large += not_ready and len(frame) > MTU and frame[26:30] in sources
        for fault in faults(frame, not_ready):
            found.setdefault(fault, frame)
    assert not found, "; ".join(f"{what} [{frame[:54].hex()}]"
                                for what, frame in list(found.items())[:4])
    assert large > 100, f"only {large} large frames with a checksum to be filled in"


def judge_all(run, machines):
    options = run.options
    started = time.monotonic()
    if not run.judge("guest_boots", "", machines.boot, os.path.abspath(options.kernel)):
        print(machines.said())
        return
    print(f"the guest answered after {time.monotonic() - started:.1f} s")
    machines.plug()
    run.judge("guest_has_offloads", "", has_offloads, machines)
    for hook in options.hooks:
        machines.lab.hook = hook
        if not run.judge("apply", hook, machines.lab.apply, machines.definitions()):
            continue
        for way in options.way or WAYS:
            nic, v4, v6 = WAYS[way]
            for family, (guest, shared), peer in (("IPv4", v4, BLUE1), ("IPv6", v6, BLUE1_V6)):
                for what in PLACES:
                    run.judge(f"guest_{way}_{family}", f"{hook}, {what}", functools.partial(
                        judge_cell, machines, options.size, what, nic, guest, shared, peer))
    run.judge("sniffer_saw_nothing_wrong", "", quiet, machines)


def main():
    options = arguments()
    if os.geteuid():
        print("namespaces and taps need root", file=sys.stderr)
        return 2
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        run = e2e.Run(options, binary, scratch)
        machines = Machines(options, binary, scratch)
        try:
            machines.lab.enter_dual_stack()
            judge_all(run, machines)
            if run.failed:
                run.keep(machines.lab)
        except KeyboardInterrupt as error:
            print(f"interrupted {error}".strip(), file=sys.stderr)
            run.failed += 1
        finally:
            machines.close()
    print(f"{run.passed} passed, {run.failed} failed")
    return int(run.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
