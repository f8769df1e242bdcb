# SPDX-License-Identifier: GPL-2.0-only
"""
Inside interfaces that are members of a VRF, with routes between its table and the main one: all that
works without programs does with them, and nothing leaves by the uplink of either table.

A namespace that had a VRF has a rule of routing ever after: these tests come last.
"""
import contextlib

from scapy.all import IP, UDP, Ether, IPv6

from agent import Agent
from case import Skip, equal, eventually, hook, once
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED_V6, LANS, OUTSIDE, OUTSIDE_V6, PLAIN, PLAIN_V6, RED1,
                 RED1_V6, SUBNET, SUBNET_V6)
from net import sh
from test_six import dual_stack, tcp_v6, udp_v6
from test_unreachable import told_and_nothing_leaves
from traffic import Watch, ping, reach, send_frames, tcp, udp

TABLE = 50
# of the VRF to the shared network, of both tables to the uplink, of the main one to VMs
LEAD_OUT = [f"route add {SUBNET} dev shared0 table {TABLE}",
            f"route add {SUBNET_V6} dev shared0 table {TABLE}"]
UPLINK = [f"route add default via {OUTSIDE} dev up0 table {TABLE} onlink",
          f"route add default via {OUTSIDE_V6} dev up0 table {TABLE} onlink"]
LEAD_IN = ["route add 10.0.0.0/24 dev lan0", "route add fd00:10::/64 dev lan0"]


@contextlib.contextmanager
def vrf(lab):
    """vrf0 of red, with all that leads to VMs as members."""
    red = lab.red
    if red.run("ip", "link", "add", "vrf0", "type", "vrf", "table", str(TABLE),
               check=False).returncode:
        raise Skip("this kernel has no VRF")
    try:
        red.ip("link set vrf0 up", *(f"link set {device} master vrf0" for device in LANS))
        lab.settle("red", *LANS)    # IPv6 addresses are lost
        red.ip(*LEAD_OUT, *UPLINK, *LEAD_IN)
        yield
    finally:
        sh(["ip", "-n", red.name, "link", "del", "vrf0"], check=False)
        for version in ("-4", "-6"):
            red.run("ip", version, "route", "flush", "table", str(TABLE), check=False)
        lab.mend("red")
        lab.apply(lab.dual_definitions())


def put(lab, **keys):
    """The definitions of a dual stack, with these keys in red; gives the warnings."""
    both = lab.dual_definitions()
    both["red"].router.update(keys)
    return lab.cli.run("apply", "-f", lab.write(both)).stderr


def talk(lab):
    """In both directions and families, also with whom nobody knows yet."""
    lab.red.ip("neigh flush dev shared0", "neigh flush dev lan0")
    for here, there in ((lab.blue1, RED1), (lab.blue1, RED1_V6), (lab.red1, BLUE1),
                        (lab.red1, BLUE1_V6), (lab.red1, PLAIN), (lab.red1, PLAIN_V6)):
        ping(here, there)
    udp(lab.red1, lab.blue1, BLUE1, RED1)
    udp(lab.red1, lab.blue1, BLUE1, RED1, size=4000)
    udp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6)
    tcp(lab.blue1, lab.red1, RED1, BLUE1)
    tcp_v6(lab.red1, lab.blue1, BLUE1_V6, RED1_V6)
    said = lab.red1.run("ping", "-nc1", "-W30", "-t1", BLUE1, check=False).stdout
    assert "Time to live exceeded" in said, said


@hook
@dual_stack
def test_vrf_of_inside_interfaces(lab):
    """Past the stack and through it; the shared network is lost to the table of the VRF."""
    with vrf(lab):
        for address in (PLAIN, PLAIN_V6):   # without programs VMs are not translated, but sent
            reach(lab.red, address)
        for forwarding in ("stack", "fast"):
            equal(put(lab, forwarding=forwarding), "", f"what apply warns of, {forwarding}")
            talk(lab)
            lab.red.ip(*(line.replace(" add ", " del ") for line in LEAD_OUT))
            told_and_nothing_leaves(lab, f"the route of the VRF is gone, {forwarding}")
            lab.red.ip(*LEAD_OUT)
            talk(lab)
        equal(lab.cli.lines("restore"), ["nothing to be done"], "restore")


def sent_as_vm(lab):
    """What outside sends by the uplink with the addresses of a VM, as plain gets it."""
    to = Ether(src=lab.outside.mac("eth0"), dst=lab.red.mac("up0"))
    frames = [to / layer(src=source, dst=target) / UDP(sport=9, dport=9) / b"must not"
              for layer, source, target in ((IP, FIXED, PLAIN), (IPv6, FIXED_V6, PLAIN_V6))]
    with Watch(lab.plain, "shared0") as watch:
        send_frames(lab.outside, "eth0", frames)
        for address in (PLAIN, PLAIN_V6):       # what was sent before has arrived, if it came
            reach(lab.blue1, address)
    return [Ether(f).summary() for f in watch.frames if b"must not" in f]


@once
@dual_stack
def test_vrf_with_the_uplink_in_it(lab):
    """The kernel does not tell it from VMs: that is said, and nobody sends as one of them."""
    with vrf(lab):
        for address in (PLAIN, PLAIN_V6):
            ping(lab.red, address)
        lab.red.ip("link set up0 master vrf0")
        lab.red.ip(*(f"neigh replace {address} dev shared0 lladdr {lab.macs['plain']}"
                     for address in (PLAIN, PLAIN_V6)))
        for forwarding in ("stack", "fast"):
            said = put(lab, forwarding=forwarding)
            assert "is in the VRF vrf0 together with up0" in said, said
            before = lab.cli.drops().get(("red", "wrong-ingress"), 0)
            equal(sent_as_vm(lab), [], f"sent as a VM, {forwarding}")
            eventually(lambda b=before: equal(
                lab.cli.drops()["red", "wrong-ingress"] - b, 2, "wrong-ingress"))
        found = [f["severity"] for f in lab.cli.json("doctor", "red")["findings"]
                 if f["finding"] == "inside-interfaces"]
        equal(found, ["warning"], "doctor")


def doctor_of_red(lab):
    """Which of these findings doctor has that are not in order, with the least severe."""
    found = lab.cli.json("doctor", "red", code=None)["findings"]
    return sorted((f["finding"], f["severity"]) for f in found if f["severity"] != "ok"
                  and f["finding"] in ("drift", "inside-interfaces"))


@once
@dual_stack
def test_vrf_gets_another_member_later(lab):
    """Doctor says so; the agent is told by the kernel, and then nobody sends as a VM from there."""
    mixed = [("inside-interfaces", "warning")]
    with vrf(lab):
        put(lab, forwarding="stack")
        for address in (PLAIN, PLAIN_V6):
            ping(lab.red, address)
        lab.red.ip("link set up0 master vrf0")
        lab.red.ip(*(f"neigh replace {address} dev shared0 lladdr {lab.macs['plain']}"
                     for address in (PLAIN, PLAIN_V6)))
        equal(doctor_of_red(lab), [("drift", "warning"), *mixed], "without an agent")
        with Agent(lab):
            for line, said in (("master vrf0", mixed), ("nomaster", []), ("master vrf0", mixed)):
                lab.red.ip("link set up0 " + line)
                eventually(lambda s=said: equal(doctor_of_red(lab), s, "doctor"))
                if said:
                    equal(sent_as_vm(lab), [], "sent as a VM")


@once
@dual_stack
def test_vrf_is_refused(lab):
    """As an inside interface by its name, and around the shared interface."""
    with vrf(lab):
        said = lab.cli.fails("apply", "-f", lab.write(named(lab, "vrf0")))
        assert "vrf0 cannot be an inside interface: it is a VRF" in said, said
        lab.red.ip("link set shared0 master vrf0")
        try:
            said = lab.cli.fails("apply", "-f", lab.write(lab.dual_definitions()))
            assert "shared0 is in the VRF vrf0" in said, said
        finally:
            lab.red.ip("link set shared0 nomaster")
            lab.settle("red", "shared0")


def named(lab, *inside):
    both = lab.dual_definitions()
    both["red"].router["inside"] = f"[{', '.join(inside)}]"
    return both
