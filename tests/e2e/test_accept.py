# SPDX-License-Identifier: GPL-2.0-only
"""Who may talk to whom: only whom a rule accepts, for what it accepts, and for as long."""
import contextlib
import os
import socket
import struct
import threading
import time

from scapy.all import ICMP, IP, TCP, UDP, Ether, Raw

from case import PATIENCE, datapath, equal, eventually, hook, once, program
from lab import BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED_V6, PLAIN, RED1, RED1_V6, RED2
from snapshot import machine, unchanged
from test_six import dual_stack
from traffic import WAIT, Watch, new_port, ping, send_frames

SO_RCVBUFFORCE = 33
SHORT = 0.25 * PATIENCE     # what is not accepted does not come, however long one waits


@contextlib.contextmanager
def rules(lab, base=None, **accept):
    """These rules in force, for the tenants that are named; nobody accepts anything else."""
    definitions = base or (lab.dual_definitions() if lab.dual else lab.definitions())
    for tenant in definitions.tenants:
        if tenant.router is not None:
            tenant.accept = accept.get(tenant.name, ())
    lab.apply(definitions)
    try:
        yield definitions
    finally:
        lab.apply(lab.dual_definitions() if lab.dual else lab.definitions())


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(ns, kind, address, port, seconds=SHORT):
    sock = ns.socket(family(address), kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("::" if ":" in address else "0.0.0.0", port))
    sock.settimeout(seconds)
    return sock


def heard(sock):
    try:
        return sock.recv(1 << 16)
    except OSError:
        return None


def expect(want, what, comes, *where, **how):
    """Whether it `comes`: what is to come does so at once, but is waited for as long as it takes."""
    equal(comes(*where, **how, seconds=WAIT if want else SHORT), want, what)


def asks(source, target, address, port, seconds, sport=0, question=b"question"):
    """Whether a datagram comes to that port, and its answer comes back."""
    with bound(target, socket.SOCK_DGRAM, address, port, seconds) as there, \
            bound(source, socket.SOCK_DGRAM, address, sport, seconds) as here:
        here.connect((address, port))
        here.send(question)
        try:
            data, peer = there.recvfrom(1 << 16)
        except OSError:
            return False
        there.sendto(data[::-1], peer)
        return heard(here) == question[::-1]


def connects(source, target, address, port, seconds):
    """Whether a TCP connection comes about."""
    with bound(target, socket.SOCK_STREAM, address, port, seconds) as there, \
            source.socket(family(address), socket.SOCK_STREAM) as here:
        there.listen(1)
        here.settimeout(seconds)
        try:
            here.connect((address, port))
            conn, _ = there.accept()
        except OSError:
            return False
        conn.close()
        return True


def pings(source, address, seconds):
    try:
        ping(source, address, 1, wait=seconds)
    except AssertionError:
        return False
    return True


@datapath
@dual_stack
def test_accept_what_a_rule_says(lab):
    """By tenant, mapping, protocol, port, range; both families; and the provider does not open."""
    rule = {"from": ["red"], "to": [FIXED], "ports": ["udp/5000-5009", "tcp/80"]}
    six = {"from": ["red"], "ports": ["icmp/echo-request", "udp/53"]}
    with rules(lab, blue=(rule, six)):
        for port, want in ((4999, False), (5000, True), (5009, True), (5010, False)):
            expect(want, f"UDP to port {port}", asks, lab.red1, lab.blue1, BLUE1, port)
        for source, want in ((lab.red1, True), (lab.red2, True), (lab.plain, False)):
            expect(want, f"TCP from {source.name}", connects, source, lab.blue1, BLUE1, 80)
        expect(False, "TCP to another port", connects, lab.red1, lab.blue1, BLUE1, 81)
        expect(False, "a mapping that is not named", asks, lab.red1, lab.blue1, BLUE1_V6, 5000)
        expect(True, "IPv6", asks, lab.red1, lab.blue1, BLUE1_V6, 53)
        for address in (BLUE1, BLUE1_V6):
            expect(True, f"a ping to {address}", pings, lab.red1, address)
        for address in (RED1, RED1_V6):
            expect(False, f"a ping to {address}", pings, lab.blue1, address)
            expect(False, "the way back", asks, lab.blue1, lab.red1, address, 5000, sport=5000)
            expect(False, "the way back", connects, lab.blue1, lab.red1, address, 80)
        expect(False, "a ping of another tenant", pings, lab.plain, BLUE1)


@datapath
@dual_stack
def test_accept_from_a_mapping(lab):
    """`from` names a mapping: it may, its neighbour may not, as long as it is there; both families."""
    rule = {"from": [f"red/{FIXED}", f"red/{FIXED_V6}", "plain"],
            "ports": ["udp/5000", "icmp/echo-request"]}

    def only(what, first):
        for address in (BLUE1, BLUE1_V6):
            expect(first, f"{what}: to {address}", asks, lab.red1, lab.blue1, address, 5000)
            expect(first, f"{what}: a ping to {address}", pings, lab.red1, address)
            expect(False, f"{what}: another port", asks, lab.red1, lab.blue1, address, 5001)
            expect(False, f"{what}: its neighbour", asks, lab.red2, lab.blue1, address, 5000)
            expect(False, f"{what}: a ping of its neighbour", pings, lab.red2, address)
            expect(True, f"{what}: another tenant", asks, lab.plain, lab.blue1, address, 5000)
    with rules(lab, blue=(rule,)) as definitions:
        only("as it is", True)
        expect(True, "in pieces", asks, lab.red1, lab.blue1, BLUE1, 5000,
               question=os.urandom(8000))
        for fixed in (FIXED, FIXED_V6):
            lab.cli.run("map", "del", "red", fixed)
        only("without the mapping", False)
        for fixed, shared in ((FIXED, RED1), (FIXED_V6, RED1_V6)):
            lab.cli.run("map", "add", "red", fixed, "--shared", shared)
        only("with it again", True)
        definitions["blue"].accept = ({**rule, "from": [f"red/{FIXED2}", "plain"]},)
        lab.cli.run("apply", "-f", lab.write(definitions), "--tenant", "blue")
        expect(False, "a rule for the other", asks, lab.red1, lab.blue1, BLUE1, 5000)
        expect(True, "a rule for the other", asks, lab.red2, lab.blue1, BLUE1, 5000)


@hook
@dual_stack
def test_accept_large_datagrams(lab):
    """By a rule for a port all fragments come, and those of the answer go back; by none, none."""
    large = os.urandom(8000)
    with rules(lab, blue=({"from": ["red", "plain"], "ports": ["udp/5000"]},)):
        for source in (lab.red1, lab.plain):
            for address in (BLUE1, BLUE1_V6):
                for port, want in ((5000, True), (5001, False)):
                    expect(want, f"8,000 bytes of {source.name} to {address}, port {port}",
                           asks, source, lab.blue1, address, port, question=large)


@hook
def test_accept_own_vms(lab):
    """A tenant's own VMs reach each other by a rule for it, for what that says."""
    with rules(lab, red=({"from": ["red"], "ports": ["icmp/echo-request", "udp/5000"]},)):
        for address in (RED1, RED2):
            expect(True, f"a ping to {address}", pings, lab.red1, address)
        expect(True, "the port", asks, lab.red1, lab.red2, RED2, 5000)
        expect(False, "another port", asks, lab.red1, lab.red2, RED2, 5001)
        expect(False, "another protocol", connects, lab.red1, lab.red2, RED2, 5000)


@once
def test_accept_to_a_name(lab):
    """`to` names a mapping; a name that is gone is an error, and the rule stays as it was."""
    definitions = lab.definitions()

    def named(name):
        definitions["red"].mappings = [(fixed, shared, name if shared == RED1 else None)
                                       for fixed, shared, _ in definitions["red"].mappings]

    def to_db(what):
        expect(True, what, pings, lab.blue1, RED1)
        expect(False, what, pings, lab.blue1, RED2)
    named("db")
    with rules(lab, definitions, red=({"from": ["blue"], "to": ["db"]},)):
        to_db("to db")
        named("web")
        said = lab.cli.run("apply", "-f", lab.write(definitions), code=2).stderr
        assert "no mapping `db`" in said, said
        to_db("as before")


@hook
def test_accept_nobody(lab):
    """Without rules; to whom is judged elsewhere, a VM opens what it likes."""
    with rules(lab):
        for source, target, address in ((lab.red1, lab.blue1, BLUE1), (lab.plain, lab.red1, RED1),
                                        (lab.red1, lab.red2, RED2)):
            expect(False, f"{source.name} to {address}", asks, source, target, address, 53)
            expect(False, f"{source.name} to {address}", pings, source, address)
        expect(True, "to a tenant whose router is elsewhere", asks, lab.red1, lab.plain, PLAIN, 53)
        expect(True, "to a tenant whose router is elsewhere", pings, lab.red1, PLAIN)
        drops = lab.cli.drops()
        assert drops.get(("red", "not-accepted")), drops


@hook
def test_accept_any_and_strangers(lab):
    """`*` is every tenant of the file, one's own too, and no stranger."""
    definitions = lab.definitions()
    before = lab.cli.drops()
    with rules(lab, red=({"from": ["*"]},)):
        expect(True, "from blue", pings, lab.blue1, RED1)
        expect(True, "from a tenant elsewhere", pings, lab.plain, RED1)
        expect(True, "from itself", pings, lab.red1, RED2)
        definitions.tenants = [t for t in definitions.tenants if t.name != "plain"]
        with rules(lab, definitions, red=({"from": ["*"]},)):
            expect(False, "from a stranger", pings, lab.plain, RED1)
    after = lab.cli.drops()
    key = ("red", "stranger")
    assert after.get(key, 0) > before.get(key, 0), "not counted as a stranger's"


@hook
@dual_stack
def test_accept_no_holes(lab):
    """Two VMs that send to each other at once, from the ports that they send to, get nothing."""
    with rules(lab):
        for one, other in ((RED1, BLUE1), (RED1_V6, BLUE1_V6)):
            port = new_port()
            with bound(lab.red1, socket.SOCK_DGRAM, one, port) as here, \
                    bound(lab.blue1, socket.SOCK_DGRAM, one, port) as there:
                for _ in range(3):
                    here.sendto(b"hole", (other, port))
                    there.sendto(b"hole", (one, port))
                equal((heard(here), heard(there)), (None, None), "what came through")


@contextlib.contextmanager
def connection(client, server, address, port):
    """A TCP connection, both ends; nothing of it is left for other tests to see."""
    with bound(server, socket.SOCK_STREAM, address, port) as listening, \
            client.socket(family(address), socket.SOCK_STREAM) as here:
        listening.listen(1)
        here.settimeout(WAIT)
        here.connect((address, port))
        there, _ = listening.accept()
        with there:
            for sock in (here, there):
                sock.settimeout(WAIT)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            yield here, there


def both_ways(here, there):
    here.sendall(b"there")
    equal(there.recv(100), b"there", "what came")
    there.sendall(b"back")
    equal(here.recv(100), b"back", "what came back")


def neither_way(pairs):
    """All try again and again, and the servers' tries do not open the way for the clients'."""
    ends = [sock for pair in pairs for sock in pair]
    for _ in range(4):
        for sock in ends:
            sock.send(b"late")
        time.sleep(SHORT)
    for sock in ends:
        sock.settimeout(0)
        equal(heard(sock), None, "what came after the rule")


@hook
def test_accept_changes_of_rules(lab):
    """
    What still is accepted goes on without a loss; what is not any more ends at once, both ways,
    also for a tenant of which it is not known here whom it accepts.
    """
    both, port, question = ["red", "plain"], new_port(), new_port()
    ports = [f"tcp/{port}-{port + 1}", f"udp/{question}"]
    more = {"from": both, "ports": [f"tcp/{port}-{port + 9}", "udp"]}
    with rules(lab, blue=({"from": both, "ports": ports},)) as definitions, \
            contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(connection(client, lab.blue1, BLUE1, port + n))
                 for n, client in enumerate((lab.red1, lab.plain))]
        for client in (lab.red1, lab.plain):
            there = stack.enter_context(bound(lab.blue1, socket.SOCK_DGRAM, BLUE1, question, WAIT))
            here = stack.enter_context(bound(client, socket.SOCK_DGRAM, BLUE1, 0, WAIT))
            here.connect((BLUE1, question))
            here.send(b"hello")
            there.connect(there.recvfrom(100)[1])
            pairs.append((here, there))
        for accept in ((more,), ({"from": ["*"], "ports": ["udp"]}, more), ({"from": both},)):
            for pair in pairs:
                both_ways(*pair)
            definitions["blue"].accept = accept
            lab.apply(definitions)
        for pair in pairs:
            both_ways(*pair)
        definitions["blue"].accept = ({"from": ["red"], "ports": ["tcp/1"]},)
        lab.apply(definitions)
        neither_way(pairs)
        definitions["blue"].accept = (more,)
        lab.apply(definitions)
        for here, there in pairs[2:]:
            there.settimeout(WAIT)
            here.send(b"again")
            equal(there.recv(100), b"again", "what came under the rule that is back")


def attack(lab, reason, tenant, frames):
    """Nothing of these frames of `plain` comes to a VM, and all are counted under that reason."""
    before = lab.cli.drops().get((tenant, reason), 0)
    with Watch(lab.blue1, "eth0") as watch:
        send_frames(lab.plain, "shared0", [Ether(bytes(frame)) for frame in frames])
        eventually(lambda: equal(lab.cli.drops().get((tenant, reason), 0) - before, len(frames),
                                 f"drops for {reason}"))
    came = [frame for frame in watch.frames if b"attack" in frame]
    equal(came, [], f"what came to the VM, beside {reason}")


@hook
def test_accept_attacks(lab):
    """Each is counted under its own reason."""
    to = {"src": lab.macs["plain"], "dst": lab.macs["blue"]}
    with rules(lab, blue=({"from": ["red"], "ports": ["udp/53"]},)):
        for reason, packet in (
                ("spoofed-source", IP(src=RED1, dst=BLUE1) / UDP(sport=9, dport=53)),
                ("spoofed-source", IP(src=BLUE1, dst=BLUE1) / UDP(sport=9, dport=53)),
                ("direct-to-private", IP(src=PLAIN, dst=FIXED) / UDP(sport=9, dport=53)),
                ("not-accepted", IP(src=PLAIN, dst=BLUE1) / UDP(sport=9, dport=53)),
                ("stranger", IP(src="100.64.9.9", dst=BLUE1) / UDP(sport=9, dport=53)),
                ("foreign-source", IP(src="8.8.8.8", dst=BLUE1) / UDP(sport=9, dport=53)),
                ("fragment", IP(src=PLAIN, dst=BLUE1, frag=100, proto=17) / Raw(b"")),
                ("fragment", IP(src=PLAIN, dst=BLUE1, frag=1, proto=6) / Raw(b""))):
            attack(lab, reason, "blue", [Ether(**to) / packet / Raw(b"attack....")])
        quoted = IP(src=BLUE1, dst=PLAIN) / UDP(sport=53, dport=4000) / Raw(b"attack")
        attack(lab, "forged-error", "blue",
               [Ether(**to) / IP(src=PLAIN, dst=BLUE1) / ICMP(type=3, code=3) / Raw(bytes(quoted))])
        tiny = bytes(TCP(sport=9, dport=53))[:16]
        attack(lab, "malformed", "blue",
               [Ether(**to) / IP(src=PLAIN, dst=BLUE1, flags="MF", proto=6) / Raw(tiny)])


@program
def test_accept_flood_of_flows(lab):
    """Who opens flows without end pushes out his own, which come back; another's stay."""
    with rules(lab), bound(lab.plain, socket.SOCK_DGRAM, PLAIN, 53) as there, \
            bound(lab.blue1, socket.SOCK_DGRAM, PLAIN, 4000, WAIT) as blue, \
            bound(lab.red1, socket.SOCK_DGRAM, PLAIN, 4000, WAIT) as red:
        there.settimeout(WAIT)

        def answered(sock, address, again):
            if again:
                sock.sendto(b"hello", (PLAIN, 53))
                there.recv(100)
            there.sendto(b"answer", (address, 4000))
            return heard(sock)

        equal(answered(blue, BLUE1, True), b"answer", "to blue")
        equal(answered(red, RED1, True), b"answer", "to red")
        flood(lab.red1, 4 * 16384)    # some may be lost
        opened = {f["tenant"]: f["opened"] for f in lab.cli.json("stats")["flows"]}
        assert opened["red"] > 3 * 16384, opened
        equal(answered(blue, BLUE1, False), b"answer", "to blue, behind the flood")
        # whether it was pushed out is the kernel's to say
        equal(answered(red, RED1, True), b"answer", "to red, after its next packet")


def flood(ns, flows):
    """A datagram each to PLAIN, from as many ports as it takes, each to 2,048."""
    per = 2048
    for _ in range(0, flows, per):
        with ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for port in range(per):
                with contextlib.suppress(OSError):
                    sock.sendto(b"", (PLAIN, 1024 + port))


@program
def test_accept_limits(lab):
    """A mapping carries no more than it may, either way; others are not concerned."""
    definitions = lab.definitions()
    definitions["red"].mappings = [m for m in definitions["red"].mappings if m[1] != RED1]
    text = definitions.yaml().replace(
        "    mappings:\n", f"    mappings:\n      - {{name: db, fixed: {FIXED}, shared: {RED1}, "
        "limit: {packets: 100}}\n", 1)
    lab.cli.apply(lab.put("limit.yaml", text))
    try:
        shown = {row["shared"]: row["limit"] for row in lab.cli.json("-v", "map", "list", "red")}
        equal(shown, {RED1: {"rate": 0, "burst": 0, "packets": 100}, RED2: None}, "the limits")
        before = lab.cli.drops().get(("red", "limit"), 0)
        came = 0
        for source, target, address in ((lab.blue1, lab.red1, RED1), (lab.red1, lab.blue1, BLUE1)):
            start = time.monotonic()
            got = burst(source, target, address, 400)
            most = 129 + 100 * (time.monotonic() - start)
            assert 128 <= got <= most, f"{got} of 400 datagrams to {address} came, not {most:.0f}"
            came += got
        equal(burst(lab.blue1, lab.red2, RED2, 400), 400, "datagrams to another mapping")
        dropped = lab.cli.drops().get(("red", "limit"), 0) - before
        assert dropped >= 800 - came, f"{dropped} drops for `limit`, {came} datagrams came"
    finally:
        lab.apply()


def burst(source, target, address, count):
    """How many of so many datagrams come, sent as fast as can be."""
    port = new_port()
    with bound(target, socket.SOCK_DGRAM, address, port) as there, \
            source.socket(family(address), socket.SOCK_DGRAM) as here:
        there.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        for _ in range(count):
            here.sendto(b"x", (address, port))
        time.sleep(0.05)
        got = 0
        while heard(there):
            got += 1
        return got


@program
def test_accept_limit_of_a_transfer(lab):
    """TCP goes through a limit of bytes, no faster than that."""
    size, rate, allowance = 1 << 21, 20e6 / 8, 768 << 10
    definitions = lab.definitions()
    definitions["red"].mappings = [m for m in definitions["red"].mappings if m[1] != RED1]
    text = definitions.yaml().replace(
        "    mappings:\n", f"    mappings:\n      - {{fixed: {FIXED}, shared: {RED1}, "
        "limit: {rate: 20mbit, burst: 768kb}}\n", 1)
    lab.cli.apply(lab.put("rate.yaml", text))
    try:
        for source, target, address in ((lab.blue1, lab.red1, RED1), (lab.red1, lab.blue1, BLUE1)):
            took = transfer(source, target, address, size)
            assert size <= rate * took + allowance, f"{size} bytes to {address} in {took:.3f} s"
    finally:
        lab.apply()


def transfer(source, target, address, size):
    """Seconds from the first byte that was sent to the last one that came."""
    with connection(source, target, address, new_port()) as (here, there):
        for sock in (here, there):
            sock.settimeout(WAIT)
        start = time.monotonic()
        sender = threading.Thread(target=here.sendall, args=(bytes(size),))
        sender.start()
        left = size
        while left:
            got = len(there.recv(1 << 16))
            assert got, f"it ended {left} bytes early"
            left -= got
        took = time.monotonic() - start
        sender.join()
        return took


@once
def test_accept_more_rules_than_room(lab):
    """An error that says so, and nothing has changed."""
    definitions = lab.definitions()
    definitions["blue"].accept = ({"from": ["red"], "ports": [f"tcp/{port}" for port in
                                                              range(1, 40001, 2)]},)
    before = machine(lab)
    said = lab.cli.fails("apply", "-f", lab.write(definitions))
    assert "room for 16384 rules and services" in said, said
    unchanged(before, machine(lab), "more than there is room for")


@once
def test_accept_is_shown(lab):
    """Rules with their place in the file, and the limits of mappings."""
    rule = {"from": ["red", "plain"], "to": [FIXED], "ports": ["udp/53", "icmp/echo-request", "gre"]}
    with rules(lab, blue=(rule, {"from": ["*"]})) as definitions:
        path = lab.write(definitions)
        lab.cli.apply(path)
        line = definitions.yaml().splitlines().index("    accept:") + 2
        tenants = {t["tenant"]: t for t in lab.cli.json("show")["tenants"]}
        equal(tenants["blue"]["accept"],
              [{**rule, "until": None, "line": line},
               {"from": ["*"], "to": None, "ports": None, "until": None, "line": line + 1}],
              "blue's rules")
        equal((tenants["red"]["accept"], tenants["plain"]["accept"]), ([], None), "the others'")
        text = lab.cli.run("show").stdout
        for part in (f"accepts red, plain to {FIXED} for udp/53, icmp/echo-request, gre ",
                     f"({path}:{line})", "accepts * to all mappings for everything",
                     "accepts nobody", "accepts whom its own router says"):
            assert part in text, f"no `{part}` in {text}"
        hits = lab.cli.json("stats")["rules"]
        equal([(r["from"], r["to"], r["ports"], r["line"]) for r in hits],
              [(rule["from"], rule["to"], rule["ports"], line), (["*"], None, None, line + 1)],
              "the rules of stats")
