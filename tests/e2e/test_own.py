# SPDX-License-Identifier: GPL-2.0-only
"""
A mapping of an address that the router has inside: it is spoken to like a VM, and speaks, with its
shared address; nobody else does so.

The test with a rule of routing comes last: a namespace that had one is another one for the programs.
"""
import contextlib
import json
import os
import socket

from scapy.all import (ICMP, IP, UDP, Ether, ICMPv6EchoReply, ICMPv6PacketTooBig, IPv6, Raw)

from case import datapath, equal, eventually, hook, once
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED_V6, INSIDE, INSIDE_V6, OUTSIDE, OUTSIDE_V6, PLAIN,
                 PLAIN_V6, RED1, RED1_V6)
from test_check import check, meanwhile
from test_doctor import findings, of_routers
from test_guard import counted
from test_icmp import UNREACHABLE, error_of, refused
from test_six import dual_stack, tcp_v6
from traffic import (WAIT, Watch, any_address, client, complaint, family, new_port, ping, reach,
                     send_frames, server, tcp)

GATE, GATE_V6 = "100.64.1.1", "fd64::1:1"
MOVES, MOVES_V6, MOVED, MOVED_V6 = "10.0.0.77", "fd00:10::77", "100.64.1.77", "fd64::1:77"
# of both families: the router as itself, as others see it, and who speaks with it
FAMILIES = [(INSIDE, GATE, BLUE1, PLAIN, RED1), (INSIDE_V6, GATE_V6, BLUE1_V6, PLAIN_V6, RED1_V6)]


def with_gate(lab, *more, **keys):
    """The definitions with both addresses of red's lan0, and with `more` mappings."""
    both = lab.dual_definitions()
    for fixed, shared, name in ((INSIDE, GATE, "gw"), (INSIDE_V6, GATE_V6, "gw"), *more):
        both = both.mapping("red", fixed, shared, name)
    both["red"].router.update(keys)
    return both


@contextlib.contextmanager
def gate(lab, *more, **keys):
    lab.apply(with_gate(lab, *more, **keys))
    try:
        yield
    finally:
        lab.apply(lab.dual_definitions())


def ask(lab, source, own, address, seen, size):
    """
    A datagram from `source` to the router, which sees it as `seen`, and back. What listens on all
    addresses would answer with the one on the shared network, as on any host with several.
    """
    there, port = server(lab.red, socket.SOCK_DGRAM, own)
    what = f"UDP with {size} bytes to {address}"
    with there, client(source, socket.SOCK_DGRAM, address, port) as here, complaint(what):
        data = os.urandom(size)
        here.send(data)
        got, peer = there.recvfrom(1 << 16)
        equal((got == data, peer[0]), (True, seen), what)
        there.sendto(data[::-1], peer)
        assert here.recv(1 << 16) == data[::-1], what + ": the answer arrived changed"


def speak(lab, own, address, target, seen):
    """From the router with its address `own` to a VM, which sees it as `seen`."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        there, port = server(lab.ns[target], kind, any_address(address))
        with there, lab.red.socket(family(address), kind) as here:
            here.settimeout(WAIT)
            here.bind((own, 0))
            here.connect((address, port))
            here.send(b"a question")
            if kind == socket.SOCK_STREAM:
                conn, peer = there.accept()
                data = conn.recv(1 << 16)
                conn.send(data[::-1])
                conn.close()
            else:
                data, peer = there.recvfrom(1 << 16)
                there.sendto(data[::-1], peer)
            equal(peer[0], seen, f"{kind.name}: who speaks to {target}")
            equal(here.recv(1 << 16), data[::-1], f"{kind.name}: the answer of {target}")


@datapath
@dual_stack
def test_own_is_reached(lab):
    """From another tenant's VM and a plain host: TCP, UDP from empty to fragmented, pings."""
    with gate(lab):
        for own, address, blue, plain, _ in FAMILIES:
            for source, seen in ((lab.blue1, blue), (lab.plain, plain)):
                ping(source, address)
                if ":" in address:
                    equal(tcp_v6(source, lab.red, address, seen), own, "its own address")
                else:
                    tcp(source, lab.red, address, seen)
                for size in (0, 1, 1452, 1473, 8000):
                    ask(lab, source, own, address, seen, size)
        for address in (GATE, GATE_V6):
            said = lab.blue1.run("ping", "-nqc1", "-W30", "-s", "6000", address, check=False).stdout
            assert "1 received" in said, f"no answer to a large ping of {address}"


@datapath
@dual_stack
def test_own_speaks(lab):
    """With that address to a VM and a plain host; without a mapping nothing goes out."""
    with counted(lab, red__untranslated=1), lab.red.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((INSIDE_V6, 0))
        sock.sendto(b"must not", (BLUE1_V6, 9))
        ping(lab.red, BLUE1_V6)
    with gate(lab):
        for own, address, blue, plain, _ in FAMILIES:
            ping(lab.red, blue, source=own)
            ping(lab.red, plain, source=own)
            speak(lab, own, blue, "blue1", address)
            said = lab.red.run("ping", "-nqc1", "-W30", "-s", "6000", "-I", own, blue,
                               check=False).stdout
            assert "1 received" in said, f"no answer to a large ping from {own}"


@datapath
@dual_stack
def test_own_hairpin(lab):
    """Between the router and a VM of its own, by shared addresses."""
    with gate(lab):
        for own, address, _, _, red in FAMILIES:
            ping(lab.red1, address)
            ask(lab, lab.red1, own, address, red, 100)
            ask(lab, lab.red1, own, address, red, 8000)
            equal(refused(lab.red1, address), address, "who refused")
            ping(lab.red, red, source=own)
            speak(lab, own, red, "red1", address)


@hook
@dual_stack
def test_own_errors(lab):
    """It says that nobody listens, as the address that was asked; and hears so of others."""
    with gate(lab):
        for own, address, blue, _, _ in FAMILIES:
            equal(refused(lab.blue1, address), address, "who refused")
            equal(refused(lab.plain, address), address, "who refused")
            with lab.red.socket(family(blue), socket.SOCK_DGRAM) as sock:
                sock.bind((own, 0))
                sock.settimeout(WAIT)
                sock.connect((blue, new_port()))
                sock.send(b"anybody?")
                try:
                    sock.recv(1)
                    raise AssertionError(f"an answer of {blue}")
                except ConnectionRefusedError:
                    pass


@hook
@dual_stack
def test_own_policy(lab):
    """`accept` holds for it as for a VM: what is not named is not accepted."""
    both = with_gate(lab)
    both["red"].accept = [{"from": ["blue"], "to": ["gw"], "ports": ["udp/53", "icmp"]}]
    lab.apply(both)
    try:
        for _, address, _, _, _ in FAMILIES:
            ping(lab.blue1, address)
            there, _ = server(lab.red, socket.SOCK_DGRAM, any_address(address), 53)
            with there, client(lab.blue1, socket.SOCK_DGRAM, address, 53) as here:
                here.send(b"q")
                equal(there.recv(9), b"q", "what is accepted")
            with counted(lab, red__not_accepted=2), \
                    lab.blue1.socket(family(address), socket.SOCK_DGRAM) as sock:
                sock.sendto(b"must not", (address, 54))
                with lab.plain.socket(family(address), socket.SOCK_DGRAM) as other:
                    other.sendto(b"must not", (address, 53))
                ping(lab.blue1, address)
    finally:
        lab.apply(lab.dual_definitions())


def spoofed(lab, source, target, data):
    layer = IPv6 if ":" in source else IP
    return Ether(src=lab.red1.mac("eth0"), dst=lab.red.mac("lan0")) / layer(src=source, dst=target) \
        / UDP(sport=9, dport=9) / data


@hook
@dual_stack
def test_own_is_nobody_else(lab):
    """A VM that sends with the router's address, however VMs may send, past the stack or by it."""
    for sources in ("strict", "feasible", "loose"):
        with gate(lab, sources=sources):
            for own, address, blue, _, _ in FAMILIES:
                ping(lab.blue1, address)
                ping(lab.red1, blue)
                with Watch(lab.blue1, "eth0") as there, counted(lab, red__spoofed_source=1):
                    send_frames(lab.red1, "eth0", [spoofed(lab, own, blue, b"must not")])
                    ping(lab.red1, blue)
                equal([f for f in there.frames if b"must not" in f], [], f"{sources}: arrived")


@hook
@dual_stack
def test_own_address_moves(lab):
    """From the router to a VM and back, without an apply: whose it is the kernel says."""
    more = ((MOVES, MOVED, "vip"), (MOVES_V6, MOVED_V6, "vip"))
    to = [f"addr add {MOVES}/32 dev lo", f"addr add {MOVES_V6}/128 dev lo nodad"]
    away = [line.replace(" add ", " del ").replace(" nodad", "") for line in to]
    vm, vm_away = ([f"addr {what} {MOVES}/24 dev eth0", f"addr {what} {MOVES_V6}/64 dev eth0" + nodad]
                   for what, nodad in (("add", " nodad"), ("del", "")))

    def arrives(there, here):
        """What is cached of the way is believed for a tenth of a second."""
        here.send(b"whose?")
        there.settimeout(0.2)
        try:
            equal(there.recv(9), b"whose?", "what arrived")
        except TimeoutError as error:
            raise AssertionError("nothing arrived") from error

    def answers(whose):
        for address in (MOVED, MOVED_V6):
            reach(lab.blue1, address)
            there, port = server(whose, socket.SOCK_DGRAM, any_address(address))
            with there, client(lab.blue1, socket.SOCK_DGRAM, address, port) as here:
                eventually(lambda there=there, here=here: arrives(there, here))

    with gate(lab, *more):
        for _ in range(2):
            with meanwhile(lab.red, to, away):
                answers(lab.red)
            lab.red.ip("neigh flush dev lan0")
            with meanwhile(lab.red2, vm, vm_away):
                answers(lab.red2)


def forged(lab, own, plain):
    """Path MTUs about an answer to a ping that was never sent, and that no socket confirms."""
    ether = Ether(src=lab.macs["plain"], dst=lab.macs["red"])
    if ":" in own:
        return ether / IPv6(src=plain, dst=own) / ICMPv6PacketTooBig(mtu=1280) \
            / IPv6(src=own, dst=plain) / ICMPv6EchoReply(id=7) / Raw(b"x" * 40)
    return ether / IP(src=plain, dst=own) / ICMP(type=3, code=4, nexthopmtu=600) \
        / IP(src=own, dst=plain) / ICMP(type=0, id=7) / Raw(b"x" * 40)


@hook
@dual_stack
def test_own_learns_nothing(lab):
    """Its kernel believes nobody on the shared network a path MTU."""
    with gate(lab):
        for _, address, _, plain, _ in FAMILIES:
            ping(lab.plain, address)
            with counted(lab, red__forged_error=1):
                send_frames(lab.plain, "shared0", [forged(lab, address, plain)])
                ping(lab.plain, address)
            said = lab.red.run("ip", "route", "get", plain).stdout
            assert " mtu " not in said, said


def trace(lab, *args, code=0):
    return json.loads(lab.cli.run("-j", "trace", *args, code=code).stdout)


# XDP costs more on a veth; and tables of iptables-legacy stay from tests before this one
OF_OTHERS = {"hook", "iptables-legacy"}


def ill(lab, code=0):
    """What doctor says of routers, but for what is not about mappings."""
    return {key: one for key, one in of_routers(findings(lab.cli, code=code)).items() if key[0] not in OF_OTHERS}


def results(said):
    return {(one["tenant"], one["look"]): one["result"] for one in said["looks"]}


@hook
@dual_stack
def test_own_is_said(lab):
    """check, doctor and trace know it for what it is; a rule that opens all of it is worth a word."""
    both = with_gate(lab)
    with gate(lab):
        rows = {f.subject: f for f in check(lab, "red") if f.probe == "vm"}
        for own in (INSIDE, INSIDE_V6):
            equal(rows[f"{own} (gw)"][3:], ("ok", "it is an address of this router, which answers "
                                            "itself", None), "check")
        wrong = ill(lab)
        equal(set(wrong), {("router-mapped", "red")}, "findings")
        assert "opens all of its ports" in wrong["router-mapped", "red"]["seen"], wrong
        assert "red" in lab.cli.run("status").stdout
        for _, address, _, _, _ in FAMILIES:
            said = trace(lab, PLAIN_V6 if ":" in address else PLAIN, address)
            equal((said["result"], results(said)),
                  ("arrives", {("red", "route"): "ok", ("red", "netfilter"): "ok"}), "in")
            said = trace(lab, "blue/" + (FIXED_V6 if ":" in address else FIXED),
                         f"[{address}]:53" if ":" in address else f"{address}:53")
            equal((said["result"], said["steps"][-1]["after"]["dst"]),
                  ("arrives", INSIDE_V6 if ":" in address else INSIDE), "from a VM")
            said = trace(lab, "red/" + (FIXED_V6 if ":" in address else FIXED), address)
            equal(said["result"], "arrives", "a hairpin")
        for own, address, blue, _, red in FAMILIES:
            said = trace(lab, f"red/{own}", blue)
            equal((said["result"], said["steps"][0]["program"], said["steps"][0]["after"]["src"]),
                  ("arrives", "shared out", address), f"out: {said}")
            equal(trace(lab, f"red/{own}", red)["result"], "arrives", "out, to a VM of its own")
    both["red"].accept = [{"from": ["*"], "to": ["db"]},
                          {"from": ["*"], "to": ["gw"], "ports": ["udp/53"]}]
    lab.apply(both)
    try:
        equal(ill(lab), {}, "findings, where it is named")
    finally:
        lab.apply(lab.dual_definitions())


INPUT = """table inet guard {
    chain in { type filter hook input priority 0; udp dport 53 drop; }
    chain out { type filter hook output priority 0; tcp dport 5432 drop; }
    chain through { type filter hook forward priority 0; udp dport 54 drop; }
}
"""


@once
@dual_stack
def test_own_and_its_packet_filter(lab):
    """What it receives and sends goes by `input` and `output`, and not by `forward`."""
    both = with_gate(lab)
    both["red"].accept = [{"from": ["*"], "to": ["db"]},
                          {"from": ["*"], "to": ["gw"], "ports": ["udp/53", "udp/54"]}]
    lab.apply(both)
    lab.red.run("nft", "-f", lab.put("guard.nft", INPUT))
    try:
        lab.apply(both)
        wrong = ill(lab, code=1)
        equal(set(wrong), {("filter", "red")}, "findings")
        assert "`drop` in the chain in " in wrong["filter", "red"]["seen"], wrong
        assert "udp/53 to 10.0.0.1" in wrong["filter", "red"]["seen"], wrong
        for port, result in (("53", "failed"), ("54", "ok")):
            said = trace(lab, PLAIN, f"{GATE}:{port}", "--proto", "udp", code=int(result == "failed"))
            equal(results(said)["red", "netfilter"], result, f"udp/{port}")
        for port, result in (("5432", "failed"), ("5433", "ok")):
            said = trace(lab, f"red/{INSIDE}", f"{BLUE1}:{port}", code=int(result == "failed"))
            equal(results(said)["red", "netfilter"], result, f"tcp/{port}")
    finally:
        lab.red.run("nft", "delete", "table", "inet", "guard")
        lab.apply(lab.dual_definitions())


@once
@dual_stack
def test_own_behind_a_rule(lab):
    """Its answers would leave by the uplink: the sender is told, and everything says so."""
    def rules(what):
        for ip, own in (("-4", INSIDE), ("-6", INSIDE_V6)):
            lab.red.run("ip", ip, "rule", what, "from", own, "lookup", "100", "pref", "30000")

    with gate(lab):
        for _, address, _, _, _ in FAMILIES:
            ping(lab.plain, address)
        rules("add")
        lab.red.ip(f"route add default via {OUTSIDE} dev up0 table 100",
                   f"route add default via {OUTSIDE_V6} dev up0 table 100")
        try:
            for address in (GATE, GATE_V6):
                with counted(lab, red__wrong_egress=1):
                    kind, *_ = error_of(lab.plain, address)
                    assert kind in UNREACHABLE, kind
                ping(lab.plain, RED1_V6 if ":" in address else RED1)
            rows = {f.subject: f for f in check(lab, "red", code=1) if f.probe == "vm"}
            for own in (INSIDE, INSIDE_V6):
                assert "by shared0; seen: by up0" in rows[f"{own} (gw)"].text, rows
            wrong = ill(lab, code=1)
            equal(wrong["routes", "red"]["severity"], "problem", "doctor")
            equal(trace(lab, PLAIN, GATE, code=1)["result"], "dropped", "trace")
            said = trace(lab, f"red/{INSIDE}", BLUE1, code=1)
            equal((said["result"], results(said)["red", "route"]), ("astray", "failed"), "trace out")
        finally:
            rules("del")
            for ip in ("-4", "-6"):
                lab.red.run("ip", ip, "route", "flush", "table", "100")
        for _, address, _, _, _ in FAMILIES:
            eventually(lambda address=address: ping(lab.plain, address, 1, wait=1))
