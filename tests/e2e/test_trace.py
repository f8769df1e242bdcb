# SPDX-License-Identifier: GPL-2.0-only
"""trace: it names what becomes of a packet, and that is what becomes of the packet."""
import contextlib
import json
import os
import re
import subprocess

from scapy.all import ICMP, IP, SCTP, TCP, UDP, Ether, ICMPv6EchoRequest, IPv6, SCTPChunkInit

from case import equal, eventually, hook, once
from lab import (BLUE, BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED_V6, INSIDE, PLAIN, PLAIN_V6, RED, RED1,
                 RED1_V6, RED2, RED2_V6, UNMAPPED)
from net import sh
from test_forwarding import as_defined
from test_six import dual_stack
from traffic import Watch, ping, send_frames

STRANGER = "100.64.9.9"
ACCEPT = [{"from": ["red"], "ports": ["tcp/22", "udp/53", "icmp"]}]
RED_ACCEPT = [{"from": ["red"]}]


def policy(lab):
    new = lab.dual_definitions() if lab.dual else lab.definitions()
    new["blue"].accept, new["red"].accept = ACCEPT, RED_ACCEPT
    return new


@contextlib.contextmanager
def rules(lab, definitions=None):
    """Red is accepted by blue for some things, and by itself; VMs and routers know each other."""
    ping(lab.red1, BLUE1, 1)
    ping(lab.red2, BLUE1, 1)
    if lab.dual:
        ping(lab.red1, BLUE1_V6, 1)
    try:
        lab.apply(definitions or policy(lab))
        yield
    finally:
        lab.apply(lab.dual_definitions() if lab.dual else None)


def trace(lab, *args):
    done = lab.cli.run("-j", "trace", *args, code=None)
    assert done.stdout, f"trace {' '.join(args)}: {done.stderr}"
    return done.returncode, json.loads(done.stdout)


@contextlib.contextmanager
def grown(lab, expected=None):
    """Drops that are counted meanwhile: {(tenant, reason): packets}; `expected` may take a moment."""
    out, before = {}, lab.cli.drops()

    def look():
        out.clear()
        out.update({key: n - before.get(key, 0) for key, n in lab.cli.drops().items()
                    if n != before.get(key, 0)})
        assert out or not expected, "nothing was counted"
    yield out
    eventually(look, 1)


def from_vm(lab, *packets):
    ether = Ether(src=lab.red1.mac("eth0"), dst=lab.red.mac("lan0"))
    send_frames(lab.red1, "eth0", [ether / layers / b"for real" for layers in packets])


def from_outside(lab, layers):
    send_frames(lab.plain, "shared0",
                [Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / layers / b"for real"])


def same(lab, args, reason, send, layers):
    """
    What trace says, and what the same packet is counted as when it is sent: `reason` is (tenant,
    reason), or None for one that arrives. Gives what trace said.
    """
    with grown(lab) as by_trace:
        code, said = trace(lab, *args)
    target = lab.red2 if RED2 in args[1] or RED2_V6 in args[1] else lab.blue1
    want = {} if reason is None else {reason: 1}
    with grown(lab, want) as really, Watch(target, "eth0") as there:
        send(lab, layers)
        came = there.until(lambda f: b"for real" in f, *(() if reason is None else (0.1,)))
    equal(really, want, f"{args}: drops of the packet itself")
    equal(by_trace, want, f"{args}: drops of the trace")
    equal((code, said["result"], bool(came)),
          (0, "arrives", True) if reason is None else (1, "dropped", False), f"{args}: {said}")
    end = said["steps"][-1]
    equal((end["tenant"], end["reason"]) if reason else end["reason"], reason, f"{args}: the end")
    for step in said["steps"]:
        if step["verdict"] != "drop":
            assert step["after"]["checksums"], f"{args}: checksums in {step}"
    return said


def line_of(lab, text):
    with open(os.path.join(lab.scratch, "defs.yaml"), encoding="utf-8") as f:
        return next(n for n, line in enumerate(f, 1) if text in line)


def programs_in(lab):
    """Those that see what comes in. Generic XDP leaves what may pass to tc."""
    return {"xdp": ["shared xdp"], "xdp-generic": ["shared xdp", "shared in"]}.get(
        lab.hook, ["shared in"])


def ways(said):
    return [(s["tenant"], s["after"]["src"], s["after"]["dst"], s["after"]["hops"])
            for s in said["steps"] if s["verdict"] in ("translated", "turned")]


def hops(lab):
    """Left at blue's VM: tc sends it past the stack at once, for XDP it does that unseen."""
    return 63 if lab.hook == "xdp" else 62


@hook
def test_trace_accepted(lab):
    """By a rule, with its line, over both routers: TCP, UDP and ICMP."""
    with rules(lab):
        packet = IP(src=FIXED, dst=BLUE1)
        for args, layers in (((BLUE1 + ":22",), TCP(sport=4001, dport=22, flags="S")),
                             ((BLUE1 + ":53", "-p", "udp"), UDP(sport=4001, dport=53)),
                             ((BLUE1,), ICMP(id=4001))):
            said = same(lab, ["red/db", *args], None, from_vm, packet / layers)
            equal(ways(said), [("red", RED1, BLUE1, 63), ("blue", RED1, FIXED, hops(lab))],
                  "the way")
            end = said["steps"][-1]
            equal((end["rule"]["line"], end["rule"]["from"], end["flow"]),
                  (line_of(lab, "tcp/22"), "red", False), "accepted by")
            equal([s["flow"] for s in said["steps"] if s["program"] == "inside in"], [True],
                  "a flow of red's")
            equal([s["program"] for s in said["steps"]],
                  ["inside in", *programs_in(lab)], "the programs")


@hook
def test_trace_not_accepted(lab):
    """At the sender's router, at the receiver's; what it says to add is what lets it pass."""
    with rules(lab):
        said = same(lab, ["red/" + FIXED, BLUE1 + ":23"], ("red", "not-accepted"), from_vm,
                    IP(src=FIXED, dst=BLUE1) / TCP(sport=4001, dport=23, flags="S"))
        same(lab, [PLAIN, "blue/" + FIXED + ":53", "-p", "udp"], ("blue", "not-accepted"),
             from_outside, IP(src=PLAIN, dst=BLUE1) / UDP(sport=4001, dport=53))
        found = re.fullmatch(r"add to tenant (\w+): accept: \[{from: \[(\S+)\], to: \[(\S+)\], "
                             r"ports: \[(.+)\]}\]", said["steps"][-1]["remedy"])
        changed = policy(lab)
        changed[found[1]].accept = ACCEPT + [{"from": [found[2]], "to": [found[3]],
                                              "ports": [found[4]]}]
        lab.apply(changed)
        equal(trace(lab, "red/" + FIXED, BLUE1 + ":23")[0], 0, "with the rule that it named")


@hook
def test_trace_attacks(lab):
    """Strangers, addresses of the router itself and of other tenants, nobody's destination."""
    with rules(lab):
        udp = UDP(sport=4001, dport=53)
        for args, reason, source, target in (
                ([STRANGER, BLUE1], "stranger", STRANGER, BLUE1),
                ([BLUE, BLUE1], "spoofed-source", BLUE, BLUE1),
                (["-o", RED1, BLUE1], "spoofed-source", RED1, BLUE1),
                (["192.0.2.1", BLUE1], "foreign-source", "192.0.2.1", BLUE1),
                ([PLAIN, UNMAPPED], "unmapped", PLAIN, UNMAPPED)):
            args[-1] += ":53"
            same(lab, [*args, "-p", "udp"], ("blue", reason), from_outside,
                 IP(src=source, dst=target) / udp)
        ping(lab.blue2, INSIDE)     # whom its router does not know, that asks for first
        same(lab, ["blue/" + FIXED2, RED2 + ":9", "-p", "udp"], ("blue", "untranslated"),
             lambda *_: send_frames(lab.blue2, "eth0", [
                 Ether(src=lab.blue2.mac("eth0"), dst=lab.blue.mac("lan0"))
                 / IP(src=FIXED2, dst=RED2) / UDP(sport=4001, dport=9) / b"for real"]), None)


@hook
def test_trace_hairpin(lab):
    """Within a router: in from the inside, and at once in at the shared interface."""
    with rules(lab):
        said = same(lab, ["red/db", RED2 + ":80"], None, from_vm,
                    IP(src=FIXED, dst=RED2) / TCP(sport=4001, dport=80, flags="S"))
        equal(ways(said), [("red", RED1, RED2, 64), ("red", RED1, FIXED2, 63)], "the way")
        equal([s["program"] for s in said["steps"]], ["inside in", "shared in"], "programs")


@hook
@dual_stack
def test_trace_v6(lab):
    with rules(lab):
        packet = IPv6(src=FIXED_V6, dst=BLUE1_V6)
        said = same(lab, [RED1_V6, f"[{BLUE1_V6}]:22"], None, from_vm,
                    packet / TCP(sport=4001, dport=22, flags="S"))
        equal(ways(said), [("red", RED1_V6, BLUE1_V6, 63), ("blue", RED1_V6, FIXED_V6, hops(lab))],
              "the way")
        same(lab, ["red/" + FIXED_V6, BLUE1_V6], None, from_vm, packet / ICMPv6EchoRequest(id=4))
        same(lab, ["red/" + FIXED_V6, f"blue/[{FIXED_V6}]:54", "-p", "udp"],
             ("red", "not-accepted"), from_vm, packet / UDP(sport=4001, dport=54))
        same(lab, ["fd64::9:9", f"[{BLUE1_V6}]:53", "-p", "udp"], ("blue", "stranger"),
             from_outside, IPv6(src="fd64::9:9", dst=BLUE1_V6) / UDP(sport=4001, dport=53))
        same(lab, [RED1_V6, f"[{RED2_V6}]:80"], None, from_vm,
             IPv6(src=FIXED_V6, dst=RED2_V6) / TCP(sport=4001, dport=80, flags="S"))


@hook
@dual_stack
def test_trace_other_protocols(lab):
    """One without ports, as GRE is, SCTP, and AH, which no translation leaves valid."""
    ping(lab.red1, BLUE1, 1)                    # or it is held: the router does not know the VM
    equal(trace(lab, "red/db", BLUE1, "-p", "47")[1]["result"], "arrives", "GRE")
    with rules(lab):
        code, said = trace(lab, PLAIN_V6, BLUE1_V6, "-p", "47")
        end = said["steps"][-1]
        equal((code, end["reason"], end["remedy"]),
              (1, "not-accepted",
               f"add to tenant blue: accept: [{{from: [\"plain/fd00:99::9\"], "
               f"to: [\"{FIXED_V6}\"], ports: [gre]}}]"), "GRE")
        said = same(lab, ["red/db", BLUE1 + ":7", "-p", "sctp"], ("red", "not-accepted"), from_vm,
                    IP(src=FIXED, dst=BLUE1) / SCTP(sport=4001, dport=7) / SCTPChunkInit())
        equal(said["steps"][-1]["remedy"],
              f"add to tenant blue: accept: [{{from: [red/db], to: [{FIXED}], ports: [sctp/7]}}]",
              "SCTP")
    code, said = trace(lab, "red/db", BLUE1, "-p", "51")
    equal((code, said["steps"][-1]["reason"]), (1, "auth-header"), "AH")


@hook
def test_trace_limit(lab):
    """A mapping that carries all that it may: also of a packet that is made up."""
    path = os.path.join(lab.scratch, "defs.yaml")
    with rules(lab):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        limited = text.replace(f"shared: {BLUE1}}}",
                               f"shared: {BLUE1}, limit: {{packets: 1}}}}")
        assert limited != text, text
        with open(path, "w", encoding="utf-8") as f:
            f.write(limited)
        lab.cli.apply(path)
        packet = IP(src=FIXED, dst=BLUE1) / UDP(sport=4001, dport=53)

        def within_the_second():
            from_vm(lab, *[packet] * 200)
            same(lab, ["red/db", BLUE1 + ":53", "-p", "udp"], ("blue", "limit"), from_vm, packet)
        eventually(within_the_second, 60)


def flows(lab):
    """The entries in all maps of flows."""
    pins = sh(["sh", "-c", "ls -d /sys/fs/bpf/tenantnat/routers/*/flows"]).stdout.split()
    return {pin: sorted(str(e["key"]) for e in
                        json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", pin]).stdout))
            for pin in pins}


@hook
def test_trace_leaves_no_flow(lab):
    """What it opens is taken away again; what was open before stays."""
    with rules(lab):
        before = flows(lab)
        trace(lab, "red/db", BLUE1 + ":22", "--sport", "4101")
        equal(flows(lab), before, "flows after a trace")
        trace(lab, "red/db", BLUE1)
        equal(flows(lab), before, "flows after a trace of an echo request")
        from_vm(lab, IP(src=FIXED, dst=BLUE1) / TCP(sport=4102, dport=22, flags="S"))
        opened = flows(lab)
        assert opened != before, "the packet itself opened no flow"
        trace(lab, "red/db", BLUE1 + ":22", "--sport", "4102")
        equal(flows(lab), opened, "flows after a trace of one that was open")


@hook
def test_trace_knows_its_own(lab):
    """While others talk between the same two, it is its own packet that it tells of."""
    with rules(lab), subprocess.Popen(
            ["ip", "netns", "exec", lab.red1.name, "ping", "-qf", BLUE1],
            stdout=subprocess.DEVNULL) as talk:
        try:
            for _ in range(15):
                code, said = trace(lab, "red/db", BLUE1 + ":23")
                equal((code, said["steps"][-1]["reason"]), (1, "not-accepted"), f"{said}")
        finally:
            talk.kill()


@hook
def test_trace_elsewhere(lab):
    """A destination whose router is not here: it left; in words too, and without colour."""
    ping(lab.red1, BLUE1, 1)                    # or it is held: the router does not know the VM
    code, said = trace(lab, "red/db", PLAIN + ":80")
    equal((code, said["result"], said["to"]), (0, "left", "plain"), "to plain")
    text = lab.cli.run("trace", "red/db", PLAIN + ":80").stdout
    assert f"source {FIXED} becomes {RED1}, mapping db" in text, text
    assert "left for the shared network, for tenant plain" in text, text
    code, said = trace(lab, "red/db", RED)
    equal((code, said["result"], [s["program"] for s in said["steps"]]),
          (0, "arrives", ["inside in"]), "to the router itself")
    for nobody in ("100.64.77.7", UNMAPPED, "100.64.1.99"):
        code, said = trace(lab, "red/db", nobody + ":80")
        equal((code, said["result"], [s["program"] for s in said["steps"]]),
              (1, "astray", ["inside in", "shared out"]), "to nobody, by the stack, which asks")


@hook
def test_trace_plain_host(lab):
    """In the pool of a tenant without a router, and no mapping of it: a destination like any other."""
    hosts = lab.definitions()
    hosts["plain"].mappings = []
    with rules(lab, hosts):
        code, said = trace(lab, "red/db", PLAIN + ":80")
        equal((code, said["result"], said["to"]), (0, "left", "plain"), "to a plain host")


@hook
def test_trace_detached(lab):
    """A router that was taken off is said to be that, at either end; so is one that was lost."""
    ping(lab.red1, BLUE1, 1)                    # or it is held: the router does not know the VM
    lab.cli.run("detach", "blue")
    try:
        code, said = trace(lab, "red/db", BLUE1 + ":22")
        equal((code, said["result"]), (1, "astray"), "to a detached router")
        assert "the router of tenant blue is detached; `tenantnat apply`" in said["why"], said
        assert "is detached" in lab.cli.fails("trace", "blue/" + FIXED, RED1)
        lab.cli.run("detach", "red")
        for one in ("red/db", "blue/" + FIXED):
            assert "is detached" in lab.cli.fails("trace", one, PLAIN), "with nothing attached"
    finally:
        lab.apply()


@once
def test_trace_through_the_stack(lab):
    """There what a VM sends is translated where it leaves."""
    as_defined(lab, "stack")
    try:
        ping(lab.red1, BLUE1, 1)                # or it is held: the router does not know the VM
        for target, want in ((PLAIN, (0, "left")), ("100.64.77.7", (1, "astray"))):
            code, said = trace(lab, "red/db", target + ":80")
            equal((code, said["result"]), want, f"to {target}")
            equal([(s["program"], s["after"]["hops"]) for s in said["steps"]],
                  [("inside in", 64), ("shared out", 63)], f"the way to {target}")
    finally:
        lab.apply()


@hook
def test_trace_without_a_route(lab):
    """The kernel of the router would not forward it: no program is to blame."""
    ping(lab.red1, BLUE1, 1)                    # or it is held: the router does not know the VM
    lab.blue.ip(f"route add unreachable {FIXED}")
    try:
        code, said = trace(lab, "red/db", BLUE1 + ":22")
        equal((code, said["result"], said["steps"][-1]["tenant"]), (1, "astray", "blue"), "to blue")
        assert f"tenant blue: {FIXED} from {RED1}, coming in by shared0, goes nowhere" in said["why"]
        lab.red.ip(f"route add {PLAIN} dev lan0")
        code, said = trace(lab, "red/db", PLAIN)
        equal((code, said["result"], [step["reason"] for step in said["steps"]]),
              (1, "dropped", ["wrong-egress"]), "from red")
    finally:
        sh(["ip", "-n", lab.blue.name, "route", "del", "unreachable", FIXED], check=False)
        sh(["ip", "-n", lab.red.name, "route", "del", PLAIN], check=False)


@hook
def test_trace_refused(lab):
    """Bad requests."""
    for bad in ((RED1, "nobody"), (RED1, "red/nothing"), ("black/db", BLUE1), (RED1, FIXED),
                (RED1, BLUE1, "-p", "tcp"), (RED1, BLUE1 + ":7", "-p", "icmp"),
                (RED1, BLUE1 + ":70000"), (RED1, BLUE1 + ":0"), (RED1, "blue/" + FIXED + ":ssh"),
                (RED1, BLUE1, "-p", "tcp/x"), (RED1, BLUE1 + ":7", "-p", "tcp/8"), (RED1, BLUE1, "-p", "300"), (RED1, BLUE1, "-p", "132"),
                (RED1, BLUE1, "--sport", "x"), (PLAIN, STRANGER), (RED1, BLUE1_V6),
                ("plain/10.9.9.8", BLUE1)):
        lab.cli.fails("trace", *bad, code=2)
