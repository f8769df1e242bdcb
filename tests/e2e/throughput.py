#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
TCP through two routers, translated by tenantnat and plainly routed: the same namespaces, the
same cables, in turns. For the plain rounds the programs are detached and the VMs use addresses
that do not overlap. Prints the medians and their ratio; a slow machine is no failure.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from lab import BLUE, BLUE1, FIXED, RED, VARIANTS, Lab  # noqa: E402
from net import private_machine                         # noqa: E402

PLAIN_RED, PLAIN_BLUE = "172.16.1", "172.16.2"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--hook", default="tc", choices=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5, help="of each kind (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="of each round (%(default)s)")
    parser.add_argument("--streams", type=int, default=1, help="parallel streams (%(default)s)")
    return parser.parse_args()


def route_plainly(lab):
    """A second network in each LAN, and a route to it on the other tenant's router."""
    for tenant, own, other, via in (("red", PLAIN_RED, PLAIN_BLUE, BLUE),
                                    ("blue", PLAIN_BLUE, PLAIN_RED, RED)):
        lab.ns[tenant].ip(f"addr add {own}.1/24 dev lan0",
                          f"route add {other}.0/24 via {via} dev shared0")
        lab.ns[tenant + "1"].ip(f"addr add {own}.5/24 dev eth0")


def iperf(lab, options, source, target, listen):
    """Gbit/s that arrived."""
    # pylint: disable=consider-using-with
    server = subprocess.Popen(["nsenter", f"--net={lab.blue1.path}", "iperf3", "-s", "-1",
                               "-B", listen, "--forceflush"], stdout=subprocess.PIPE, text=True)
    try:
        while "listening" not in (line := server.stdout.readline()):
            if not line:
                raise RuntimeError("the iperf3 server did not start")
        said = lab.red1.run("iperf3", "-c", target, "-B", source, "-J", "-O", "0.3",
                            "-t", str(options.seconds), "-P", str(options.streams)).stdout
    finally:
        server.kill()
        server.communicate()
    return json.loads(said)["end"]["sum_received"]["bits_per_second"] / 1e9


def measure(lab, options):
    plain, translated = [], []

    def plainly():
        lab.cli.run("detach", "--all")
        plain.append(iperf(lab, options, PLAIN_RED + ".5", PLAIN_BLUE + ".5", PLAIN_BLUE + ".5"))

    def by_tenantnat():
        lab.apply()
        translated.append(iperf(lab, options, FIXED, BLUE1, FIXED))

    for number in range(1, options.rounds + 1):
        turns = (plainly, by_tenantnat)
        for turn in turns if number % 2 else turns[::-1]:
            turn()
        print(f"round {number}: plain routing {plain[-1]:6.2f} Gbit/s, "
              f"tenantnat {translated[-1]:6.2f} Gbit/s", flush=True)
    return statistics.median(plain), statistics.median(translated)


def main():
    options = arguments()
    if os.geteuid():
        print("network namespaces need root", file=sys.stderr)
        return 2
    with private_machine() as scratch:
        binary = shutil.copy(os.path.abspath(options.bin), os.path.join(scratch, "tenantnat"))
        lab = Lab(binary, scratch, options.hook, "on")
        try:
            lab.sniffer.close()
            route_plainly(lab)
            plain, translated = measure(lab, options)
        finally:
            lab.close()
    print(f"medians of {options.rounds}: plain routing {plain:.2f} Gbit/s, tenantnat with hook "
          f"{options.hook} {translated:.2f} Gbit/s: {100 * translated / plain:.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
