#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
An ovs-vsctl whose bridge is a namespace: `add-port` makes a veth, whose other end is in $FAKE_OVS_WIRE, in the
bridge of the network that Neutron at $FAKE_OVS_NEUTRON says the port is on, as OVN would. What is plugged is in
the directory $FAKE_OVS, a file for each, with its external ids. It knows no more than what tenantnat says.
"""
import json
import os
import subprocess
import sys
import urllib.request


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def add(name, words):
    ids = dict(word.split(":", 1)[1].split("=", 1) for word in words if word.startswith("external_ids:"))
    if "type=internal" not in words:
        sys.exit("ovs-vsctl: the fake one adds internal ports alone")
    with urllib.request.urlopen(f"{os.environ['FAKE_OVS_NEUTRON']}/v2.0/ports?id={ids['iface-id']}") as answer:
        network = json.load(answer)["ports"][0]["network_id"]
    wire, bridge, peer = os.environ["FAKE_OVS_WIRE"], "n" + network[:8], "o" + name[:12]
    subprocess.run(["ip", "-n", wire, "link", "add", bridge, "type", "bridge"], check=False, capture_output=True)
    ip("-n", wire, "link", "set", bridge, "up")
    ip("link", "add", name, "type", "veth", "peer", "name", peer, "netns", wire)
    ip("-n", wire, "link", "set", peer, "master", bridge, "up")
    with open(os.path.join(os.environ["FAKE_OVS"], name), "w", encoding="ascii") as f:
        json.dump(ids, f)


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("--timeout")]
    with open(os.path.join(os.environ["FAKE_OVS"], ".log"), "a", encoding="ascii") as f:
        f.write(" ".join(words) + "\n")
    if os.path.exists(os.path.join(os.environ["FAKE_OVS"], ".down")):
        sys.exit("ovs-vsctl: unix:/run/openvswitch/db.sock: database connection failed")
    option, verb, bridge, name = words[:4]
    known = os.path.join(os.environ["FAKE_OVS"], name)
    if (option, verb, bridge) == ("--may-exist", "add-port", "br-int"):
        if not os.path.exists(known):
            add(name, words[4:])
    elif (option, verb, bridge) == ("--if-exists", "del-port", "br-int"):
        if os.path.exists(known):
            os.unlink(known)
            ip("-n", os.environ["FAKE_OVS_WIRE"], "link", "del", "o" + name[:12])
    else:
        sys.exit(f"ovs-vsctl: the fake one does not know: {words}")


main()
