#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What connections go through when their router goes to another host: two hosts of a cluster with real
keepalived, connections of each kind, and takeovers, planned ones and of a host that is dead at once.
Which are lost, and how long the others were silent; with flows streamed, and without. And what the
stream takes of a CPU. Needs root.
"""
import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from case import eventually                                         # noqa: E402
from ha import pair                                                 # noqa: E402
from lab import PLAIN, Lab                                          # noqa: E402
from net import private_machine                                     # noqa: E402
from takeover import KINDS, SERVICE, Hosts, streamer, take_over     # noqa: E402
from test_failover import only                                      # noqa: E402

def takeovers(lab, stream, dead, rounds, grace):
    accept = ({"from": ["plain"], "ports": [f"tcp/{SERVICE}"]},)
    with pair(lab, stream=stream, accept=accept, active=False, grace=grace) as there, \
            contextlib.closing(Hosts(there)) as hosts:
        for host in there.hosts:
            host.begin()
        eventually(lambda: only(there.hosts), 60)
        time.sleep(3)
        found = [take_over(hosts, dead) for _ in range(rounds)]
    return {kind: [one[kind] for one in found] for kind in KINDS}


def report(stream, dead, grace, found):
    print(f"\n{'host dead at once' if dead else 'host gives it up'}, "
          f"{'flows streamed' if stream else 'without a stream'}"
          f"{', takeover-grace: ' + grace if grace != '0s' else ''}")
    for kind, values in found.items():
        kept = sorted(value for value in values if value is not None)
        text = f"silent {statistics.median(kept):.2f} s (median), {kept[-1]:.2f} s (most)" if kept else ""
        print(f"  {KINDS[kind]:50} lost {len(values) - len(kept):2} of {len(values)}  {text}", flush=True)


# ---------------------------------------------------------------- what it takes

def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def watch(what, pids, seconds):
    before = [cpu(pid) for pid in pids]
    time.sleep(seconds)
    used = [100 * (cpu(pid) - b) / seconds for pid, b in zip(pids, before)]
    print(f"  {what:50} active {used[0]:.2f} % of a CPU, {resident(pids[0]):.1f} MiB; "
          f"standby {used[1]:.2f} %, {resident(pids[1]):.1f} MiB", flush=True)
    return used


def costs(lab, seconds):
    print("\nwhat it takes")
    with pair(lab) as there, contextlib.closing(Hosts(there)) as hosts:
        one, two = there.hosts
        pids = eventually(lambda: [streamer(hosts.agents[host]) for host in there.hosts])
        time.sleep(10)
        out = {"idle": watch("a router without flows", pids, seconds)}
        with there.vm.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for port in range(1, 16385):
                sock.sendto(b"x", (PLAIN, port))
        begun, before = time.monotonic(), [cpu(pid) for pid in pids]
        there_are = len(one.flows())

        def all_there():
            assert len(two.flows()) >= 0.98 * there_are
        eventually(all_there, 60)
        print(f"  {there_are} flows were there after {time.monotonic() - begun:.1f} s, which took "
              f"{cpu(pids[0]) - before[0]:.2f} s of a CPU, and {cpu(pids[1]) - before[1]:.2f} s", flush=True)
        out["full"] = watch(f"a router with {there_are} flows", pids, seconds)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat")
    parser.add_argument("--takeovers", type=int, default=10, help="of each kind (%(default)s)")
    parser.add_argument("--seconds", type=int, default=30, help="that a CPU is watched (%(default)s)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    out = {}
    os.environ["TN_ETCD_DRIVER"] = os.path.abspath(options.bin)
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        with contextlib.closing(Lab(binary, scratch, "tc", "on")) as lab:
            out["costs"] = costs(lab, options.seconds)
            for dead, stream, grace in ((False, True, "0s"), (True, True, "0s"), (True, True, "5s"),
                                        (False, False, "0s"), (True, False, "0s")):
                found = takeovers(lab, stream, dead, options.takeovers, grace)
                report(stream, dead, grace, found)
                out[f"{'dead' if dead else 'planned'} {'stream' if stream else 'none'} {grace}"] = found
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
