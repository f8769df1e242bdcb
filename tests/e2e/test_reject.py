# SPDX-License-Identifier: GPL-2.0-only
"""
What netfilter in a router refuses (REJECT): the sender is told, by an ICMP error or a reset with the
addresses that it knows, whoever it is and wherever in the router the rule is.
"""
import contextlib
import errno
import itertools
import socket

from case import Skip, equal, hook
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED_V6, OUTSIDE, OUTSIDE_V6, PLAIN, PLAIN_V6, RED1,
                 RED1_V6, RED2, RED2_V6)
from test_six import dual_stack
from test_check import meanwhile
from test_uplink import BY_UPLINK, NOT_BY_UPLINK, PREF, TABLE, upset
from traffic import WAIT, family, reach

IP_RECVERR, IPV6_RECVERR = 11, 25
PORT = 7
# who sends to whom; in the middle is red, which refuses
PAIRS = [(*pair, v6) for v6 in (False, True) for pair in (
    ("blue1", (RED1, RED1_V6)[v6]), ("plain", (RED1, RED1_V6)[v6]), ("red1", (BLUE1, BLUE1_V6)[v6]),
    ("red1", (PLAIN, PLAIN_V6)[v6]), ("red1", (RED2, RED2_V6)[v6]))]
TCP_RULE, UDP_RULE = f"tcp dport {PORT} reject with tcp reset", f"udp dport {PORT} reject"
CHAINS = {
    "forward": ("inet", "hook forward priority 0"),
    "prerouting": ("inet", "hook prerouting priority 0"),
    "shared0": ("netdev", "hook ingress device shared0 priority 0"),
    "lan0": ("netdev", "hook ingress device lan0 priority 0"),
}


@contextlib.contextmanager
def by_nft(lab, chain):
    """Rules in one chain of red; in an ingress only where the kernel has it there."""
    kind, where = CHAINS[chain]
    text = f"table {kind} no {{ chain c {{ type filter {where}; {TCP_RULE}; {UDP_RULE}; }}; }}\n"
    done = lab.red.run("nft", "-f", lab.put("reject.nft", text), check=kind != "netdev")
    if done.returncode:
        raise Skip(f"this kernel has no reject in {kind}")
    try:
        yield
    finally:
        lab.red.run("nft", "delete", "table", kind, "no")


@contextlib.contextmanager
def by_iptables(lab, variant):
    """The same in FORWARD of red, by iptables-legacy or -nft."""
    rules = [(command + variant, "FORWARD", "-p", protocol, "--dport", str(PORT), "-j", "REJECT", *how)
             for command in ("iptables", "ip6tables")
             for protocol, how in (("tcp", ("--reject-with", "tcp-reset")), ("udp", ()))]
    added = []
    try:
        for command, *rule in rules:
            if lab.red.run(command, "-A", *rule, check=False).returncode:
                raise Skip(f"this kernel has no REJECT of {command}")
            added.append((command, *rule))
        yield
    finally:
        for command, *rule in added:
            lab.red.run(command, "-D", *rule)


def told(vm, kind, address):
    """What a sender hears of its packet: an errno."""
    with vm.socket(family(address), kind) as sock:
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        sock.settimeout(WAIT)
        try:
            sock.connect((address, PORT))
            sock.send(b"x")
            sock.recv(1)
        except socket.timeout:
            return "nothing"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
        return "an answer"


def all_are_told(lab, what, pairs=PAIRS):
    for (here, address, _), kind in itertools.product(pairs, (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
        equal(told(lab.ns[here], kind, address), "ECONNREFUSED",
              f"{what}: what {here} hears of {kind.name} to {address}")


def refuse(lab, what, rules, pairs=PAIRS):
    """With the rules in force, and applied again: now packets go through the stack."""
    try:
        with rules:
            lab.apply(lab.dual_definitions())
            all_are_told(lab, what, pairs)
    finally:
        lab.apply(lab.dual_definitions())


@hook
@dual_stack
def test_reject_by_nft(lab):
    """Where packets are forwarded, and before that, by the interface that they come by."""
    refuse(lab, "forward", by_nft(lab, "forward"))
    refuse(lab, "prerouting", by_nft(lab, "prerouting"))
    with contextlib.suppress(Skip):
        refuse(lab, "ingress of shared0", by_nft(lab, "shared0"),
               [pair for pair in PAIRS if pair[0] != "red1"])
        refuse(lab, "ingress of lan0", by_nft(lab, "lan0"),
               [pair for pair in PAIRS if pair[0] == "red1"])


@hook
@dual_stack
def test_reject_by_iptables(lab):
    """The same by REJECT of both kinds of iptables, as far as the kernel has them."""
    skipped = []
    for variant in ("-nft", "-legacy"):
        try:
            refuse(lab, "iptables" + variant, by_iptables(lab, variant))
        except Skip as skip:
            skipped.append(skip)
    if len(skipped) == 2:
        raise skipped[0]


@hook
@dual_stack
def test_reject_that_would_leave_by_the_uplink(lab):
    """Where the router's own way to the sender leads there, netfilter gets nothing to answer."""
    leads = [f"{PLAIN}/32 via {OUTSIDE}", f"{PLAIN_V6}/128 via {OUTSIDE_V6}"]
    try:
        with by_nft(lab, "forward"):
            lab.apply(lab.dual_definitions())
            for vm in (FIXED, FIXED_V6):    # of whom nobody knows, the kernel would have to tell
                reach(lab.red, vm)
            with meanwhile(lab.red, [f"route add {route}" for route in leads],
                           [f"route del {route}" for route in leads]):
                for address, heard in ((RED1, "EHOSTUNREACH"), (RED1_V6, "ENETUNREACH")):
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        equal(told(lab.plain, kind, address), heard, f"{kind.name} to {address}")
    finally:
        lab.apply(lab.dual_definitions())


def resets_by_the_uplink(lab, rules):
    """The router's own packets by these rules, one of each family."""
    lines = [f"{six}rule add {rule} lookup {TABLE} pref {PREF}" for six, rule in zip(("", "-6 "), rules)]
    back = [f"{six}rule del pref {PREF}" for six in ("", "-6 ")]
    return upset(lab, "red", BY_UPLINK + lines, back + NOT_BY_UPLINK)


@hook
@dual_stack
def test_reject_by_a_reset_from_a_vm(lab):
    """
    A reset comes from whom the packet was for, and goes by rules about that. Where these lead to the
    uplink netfilter gets no TCP; its errors about UDP come from the router.
    """
    try:
        with by_nft(lab, "forward"):
            lab.apply(lab.dual_definitions())
            for vm in (FIXED, FIXED_V6):
                reach(lab.red, vm)
            with resets_by_the_uplink(lab, (f"from {FIXED}", f"from {FIXED_V6}")):
                for address, heard in ((RED1, "EHOSTUNREACH"), (RED1_V6, "ENETUNREACH")):
                    equal(told(lab.plain, socket.SOCK_STREAM, address), heard, f"TCP to {address}")
                    equal(told(lab.plain, socket.SOCK_DGRAM, address), "ECONNREFUSED",
                          f"UDP to {address}")
            with resets_by_the_uplink(lab, (f"from {PLAIN} iif lo", f"from {PLAIN_V6} iif lo")):
                for address, heard in ((PLAIN, "EHOSTUNREACH"), (PLAIN_V6, "ENETUNREACH")):
                    equal(told(lab.red1, socket.SOCK_STREAM, address), heard, f"TCP to {address}")
                    equal(told(lab.red1, socket.SOCK_DGRAM, address), "ECONNREFUSED",
                          f"UDP to {address}")
    finally:
        lab.apply(lab.dual_definitions())
