# SPDX-License-Identifier: GPL-2.0-only
"""Mappings of prefixes: every VM of a network, also those that come later, by one line."""
import contextlib
import json
import socket

from case import datapath, equal, eventually, hook, once
from lab import (BLUE1, BLUE1_V6, INSIDE, INSIDE_V6, PLAIN, PLAIN_V6, RED1, RED1_V6, RED2, RED2_V6)
from test_guard import counted
from test_icmp import refused
from test_six import dual_stack, tcp_v6, udp_v6
from traffic import ping, tcp, udp

LAN, LAN_V6 = "10.0.0.0/24", "fd00:10::/112"
RED_LAN, RED_LAN_V6 = "100.64.1.0/24", "fd64::1:0/112"
BLUE_LAN, BLUE_LAN_V6 = "100.64.2.0/24", "fd64::2:0/112"
# a VM that is not there when the definitions are applied, as it is and as others see it
LATER, LATER_V6, LATER_RED, LATER_RED_V6 = "10.0.0.77", "fd00:10::77", "100.64.1.77", "fd64::1:77"
GATE, GATE_V6 = "100.64.1.1", "fd64::1:1"       # what the routers' own would be, which are excepted


def of_prefixes(lab, **keys):
    """red's given in the file, blue's allocated; both as a whole."""
    both = lab.dual_definitions()
    both["red"].mappings = [(LAN, RED_LAN, "lan"), (LAN_V6, RED_LAN_V6, "lan")]
    both["blue"].mappings = [(LAN, None, "lan"), (LAN_V6, None, "lan")]
    for name in ("red", "blue"):
        both[name].excepts = {LAN: [INSIDE], LAN_V6: [INSIDE_V6]}
    both["red"].router.update(keys)
    return both


@contextlib.contextmanager
def prefixes(lab, definitions=None, **keys):
    lab.apply(definitions or of_prefixes(lab, **keys))
    try:
        yield
    finally:
        lab.apply(lab.dual_definitions(), "--yes")


@contextlib.contextmanager
def later(lab):
    """red1 gets two more addresses."""
    lab.red1.run("ip", "addr", "add", LATER + "/24", "dev", "eth0")
    lab.red1.run("ip", "addr", "add", LATER_V6 + "/64", "dev", "eth0", "nodad")
    try:
        yield
    finally:
        lab.red1.run("ip", "addr", "del", LATER + "/24", "dev", "eth0")
        lab.red1.run("ip", "addr", "del", LATER_V6 + "/64", "dev", "eth0")


@datapath
@dual_stack
def test_prefix_talks(lab):
    """Two tenants with the same network; each sees the other by its shared prefix."""
    with prefixes(lab):
        for source, target, address, seen in ((lab.red1, lab.blue1, BLUE1, RED1),
                                              (lab.red2, lab.blue1, BLUE1, RED2),
                                              (lab.blue1, lab.red2, RED2, BLUE1),
                                              (lab.blue2, lab.red1, RED1, "100.64.2.6"),
                                              (lab.plain, lab.red1, RED1, PLAIN)):
            ping(source, address)
            tcp(source, target, address, seen)
            for size in (0, 1, 1472, 1473, 8000):
                udp(source, target, address, seen, size)
        for source, target, address, seen in ((lab.red1, lab.blue1, BLUE1_V6, RED1_V6),
                                              (lab.blue1, lab.red2, RED2_V6, BLUE1_V6),
                                              (lab.plain, lab.red1, RED1_V6, PLAIN_V6)):
            ping(source, address)
            tcp_v6(source, target, address, seen)
            for size in (0, 1, 1452, 1453, 8000):
                udp_v6(source, target, address, seen, size)


@datapath
@dual_stack
def test_prefix_has_vms_that_come_later(lab):
    with prefixes(lab), later(lab):
        tcp(lab.blue1, lab.red1, LATER_RED, BLUE1)
        tcp_v6(lab.blue1, lab.red1, LATER_RED_V6, BLUE1_V6)
        ping(lab.red1, BLUE1, source=LATER)
        ping(lab.red1, BLUE1_V6, source=LATER_V6)


@datapath
@dual_stack
def test_prefix_turns_back(lab):
    """From one VM of it to another, by their shared addresses."""
    with prefixes(lab):
        tcp(lab.red1, lab.red2, RED2, RED1)
        tcp_v6(lab.red2, lab.red1, RED1_V6, RED2_V6)


@datapath
@dual_stack
def test_prefix_errors(lab):
    """Who refuses is the VM that was asked, by its shared address."""
    with prefixes(lab):
        for address in (RED1, RED2, RED1_V6, RED2_V6):
            equal(refused(lab.blue1, address), address, "who refused")


@hook
@dual_stack
def test_prefix_excepts(lab):
    """Nobody gets an address of an exception, and it sends nothing untranslated."""
    with prefixes(lab), counted(lab, red__untranslated=2):
        for sender, target in ((INSIDE, BLUE1), (INSIDE_V6, BLUE1_V6)):
            family = socket.AF_INET6 if ":" in target else socket.AF_INET
            with lab.red.socket(family, socket.SOCK_DGRAM) as sock:
                sock.bind((sender, 0))
                sock.sendto(b"must not", (target, 9))
        for address in (GATE, GATE_V6):
            said = lab.plain.run("ping", "-nqc1", "-W1", address, check=False).stdout
            assert " 0 received" in said, f"{address} answers: {said}"
        ping(lab.plain, RED1)


@hook
@dual_stack
def test_prefix_beside_a_mapping_of_its_own(lab):
    """A VM of it has its own name and counters, with the address that it has in the prefix."""
    both = of_prefixes(lab).mapping("red", "10.0.0.6", None, "db")
    both["blue"].accept = [{"from": ["red/db"]}]
    with prefixes(lab, both):
        equal(lab.cli.leases("red")["red", "10.0.0.6"], RED2, "its shared address")
        ping(lab.red2, BLUE1)
        with counted(lab, blue__not_accepted=1):
            lab.red1.run("ping", "-nqc1", "-W1", BLUE1, check=False)
        before = lab.cli.counters()
        udp(lab.blue1, lab.red2, RED2, BLUE1, 100)
        after = lab.cli.counters()
        for key, bytes_in in ((("red", "10.0.0.6"), 128), (("red", LAN), 0)):
            equal(after[key]["in"]["bytes"] - before[key]["in"]["bytes"], bytes_in, f"bytes of {key}")


@hook
@dual_stack
def test_prefix_is_named_by_rules(lab):
    both = of_prefixes(lab)
    both["red"].accept = [{"from": ["blue/lan"], "to": ["lan"], "ports": ["icmp/echo-request"]}]
    with prefixes(lab, both):
        ping(lab.blue1, RED1)
        ping(lab.blue2, RED2_V6)
        with counted(lab, red__not_accepted=1):
            lab.plain.run("ping", "-nqc1", "-W1", RED1, check=False)


@hook
@dual_stack
def test_prefix_restored(lab):
    """By `restore` after a reboot, and by `undo`: the same as before."""
    with prefixes(lab):
        listed = lab.cli.leases()
        lab.cli.run("detach", "--all")
        lab.apply(of_prefixes(lab))
        equal(lab.cli.leases(), listed, "what was leased")
        lab.cli.run("map", "del", "red", LAN)
        lab.cli.run("undo", "--yes")
        equal(lab.cli.leases(), listed, "after undo")
        ping(lab.blue1, RED1)
        said = lab.cli.run("restore").stdout
        assert "nothing to be done" in said or not said.strip(), said


@once
@dual_stack
def test_prefix_stays_when_its_router_gets_an_address_of_it(lab):
    """`restore` gives it no other addresses, and restores all other routers."""
    with prefixes(lab):
        listed = lab.cli.leases()
        for address, fixed in (("100.64.2.77/16", LATER), ("fd64::2:77/64", LATER_V6)):
            lab.blue.ip(f"addr add {address} dev shared0")
            try:
                said = lab.cli.run("restore", code=1).stderr
            finally:
                lab.blue.ip(f"addr del {address} dev shared0")
            assert f"is the shared address of {fixed}" in said, said
            assert "1 of the routers could not be restored" in said, said
            equal(lab.cli.leases(), listed, "what is leased")
            lab.cli.run("restore")


@hook
@dual_stack
def test_prefix_changes(lab):
    """An exception comes and goes; another length; and nothing of it is left."""
    with prefixes(lab):
        both = of_prefixes(lab)
        both["red"].excepts = {LAN: [INSIDE, "10.0.0.5"], LAN_V6: [INSIDE_V6]}
        lab.apply(both)
        with counted(lab, red__unmapped=1):
            lab.plain.run("ping", "-nqc1", "-W1", RED1, check=False)
        ping(lab.plain, RED2)
        lab.apply(of_prefixes(lab))
        ping(lab.plain, RED1)
        both = of_prefixes(lab)
        both["red"].mappings = [("10.0.0.0/29", "100.64.1.0/29", "lan")]
        both["red"].excepts = {}
        lab.apply(both, "--yes")
        ping(lab.plain, RED1)
    ping(lab.plain, RED1)


@once
@dual_stack
def test_prefix_by_commands(lab):
    """map add, del and list; show, check and trace say that it is one."""
    both = lab.dual_definitions()
    both["red"].mappings, both["red"].pool = [], ["100.64.1.0/24", "100.64.5.0/24"]
    with prefixes(lab, both):
        added = lab.cli.run("map", "add", "red", LAN, "--name", "lan", "--except", INSIDE).stdout
        equal(added.strip(), RED_LAN, "what was added")
        ping(lab.plain, RED1)
        listed = json.loads(lab.cli.run("map", "list", "red", "-j").stdout)
        equal(listed, [{"tenant": "red", "name": "lan", "fixed": LAN, "shared": RED_LAN}], "map list")
        for args in (("10.0.0.0/25",), ("10.0.0.0",), ("10.0.0.5", "--shared", "100.64.5.5"),
                     ("10.7.0.0/24", "--shared", "100.64.5.0/25"), ("10.7.0.1/24",),
                     ("10.7.0.0/16",), ("10.7.0.5", "--except", "10.7.0.5")):
            lab.cli.run("map", "add", "red", *args, code=None if args == ("10.7.0.0/16",) else 2)
        said = lab.cli.run("check", "red", code=None).stdout
        assert f"{LAN} (lan)" in said and "none is probed" in said, said
        eventually(lambda: ping(lab.red1, BLUE1))
        traced = json.loads(lab.cli.run("trace", "-j", "red/10.0.0.5", BLUE1, code=None).stdout)
        assert traced, "trace says nothing"
        lab.cli.run("trace", "red/lan", BLUE1, code=2)
        lab.cli.run("map", "del", "red", "lan")
        equal(json.loads(lab.cli.run("map", "list", "red", "-j").stdout), [], "map list")
        with counted(lab, red__unmapped=1):
            lab.plain.run("ping", "-nqc1", "-W1", RED1, check=False)
