# SPDX-License-Identifier: GPL-2.0-only
"""
Faults as operators meet them, each made for real. FAULTS is a table: what status, trace, check and
doctor say of each, that none of them calls well what is not, and that the remedy that each of them
prints, typed in, cures it.
"""
import collections
import contextlib
import functools
import json
import os
import re
import socket

from case import equal, eventually, hook, once
from lab import (BLUE1, BLUE1_V6, FIXED, FIXED2, FIXED3, FIXED3_V6, FIXED_V6, INSIDE, INSIDE_V6,
                 OUTSIDE, OUTSIDE_V6, RED1, RED1_V6, RED2, SUBNET, SUBNET_V6)
from net import BPFFS, sh, veth
from snapshot import machine, unchanged
from test_doctor import type_in
from test_forwarding import as_defined
from test_six import dual_stack
from test_trace import trace
from traffic import client, complaint, ping, server

PINS = BPFFS + "/tenantnat"
FROM, TO = "red/db", BLUE1 + ":22"


@contextlib.contextmanager
def after(*commands):
    """Run these at the end, whether they can be or not."""
    try:
        yield
    finally:
        for argv in commands:
            sh(argv, check=False)


def pin_of(lab, tenant):
    """The pin of the link of its program at shared ingress."""
    router = next(row for row in lab.cli.json("show")["tenants"] if row["tenant"] == tenant)
    ids = {p["id"] for p in router["router"]["programs"]}
    return next(os.path.join(top, "link_in") for top, _, files in os.walk(PINS + "/routers")
                if "link_in" in files and pinned_program(os.path.join(top, "link_in")) in ids)


def pinned_program(pin):
    """The id of the program of a link."""
    shown = sh(["bpftool", "-j", "link", "show", "pinned", pin]).stdout
    return json.loads(shown)["prog_id"]


# ---------------------------------------------------------------- how faults are staged

# What the traffic of a family goes by: red's VM and blue's, as trace takes them and as they are.
Way = collections.namedtuple("Way", "source target shared seen fixed subnet outside inside late ip six")
V4 = Way(FROM, TO, BLUE1, RED1, FIXED, SUBNET, OUTSIDE, INSIDE, (FIXED3, "100.64.1.7"), "ip", False)
V6 = Way("red/" + FIXED_V6, f"[{BLUE1_V6}]:22", BLUE1_V6, RED1_V6, FIXED_V6, SUBNET_V6, OUTSIDE_V6,
         INSIDE_V6, (FIXED3_V6, "fd64::1:7"), "ip -6", True)


def defined(lab):
    return lab.dual_definitions() if lab.dual else lab.definitions()


@contextlib.contextmanager
def lines(lab, ns, there, back):
    """Lines of ip(8), and those that take them back, if the remedy has not."""
    del lab
    try:
        for line in there:
            sh(["ip", "-n", ns.name, *line.split()])
        yield
    finally:
        for line in back:
            sh(["ip", "-n", ns.name, *line.split()], check=False)


@contextlib.contextmanager
def policy(lab, way):
    """Other ports are accepted; the port that is asked for is not."""
    closed = defined(lab)
    closed["blue"].accept = [{"from": ["red"], "ports": ["tcp/23", "icmp"]}]
    lab.apply(closed)
    try:
        yield
    finally:
        lab.apply(defined(lab))


@contextlib.contextmanager
def vm_off(lab, way):
    lab.blue1.ip("link set eth0 down")
    try:
        yield
    finally:
        lab.blue1.ip("link set eth0 up")
        lab.settle("blue1", "eth0")


@contextlib.contextmanager
def no_way_back(lab, way):
    lab.blue1.run(*way.ip.split(), "route", "del", "default")
    try:
        yield
    finally:
        sh([*f"ip -n {lab.blue1.name}".split(), "-6" if way.six else "-4", "route", "del", way.subnet],
           check=False)
        lab.settle("blue1", "eth0")


def route_to_vm(lab, way):
    return lines(lab, lab.blue, [f"route add {way.fixed} via {way.outside}"],
                 [f"route del {way.fixed} via {way.outside}"])


def route_to_shared(lab, way):
    return lines(lab, lab.red, [f"route add {way.shared} via {way.outside}"],
                 [f"route del {way.shared} via {way.outside}"])


def rule_by_source(lab, way):
    """All that VMs send is led by another table, as a multi-homed router has it."""
    six = "-6 " * way.six
    return lines(lab, lab.red,
                 [f"{six}route add default via {way.outside} table 100",
                  f"{six}rule add from {way.fixed} lookup 100 pref 30000"],
                 [f"{six}rule del pref 30000", f"{six}rule del pref 1",
                  f"{six}route flush table 100"])


def netfilter(lab, way):
    """A rule that drops all that VMs send to the shared network."""
    family = "ip6" if way.six else "ip"
    return rules_of(lab, lab.red, "add table inet t",
                    "add chain inet t c { type filter hook forward priority 0; policy accept; }",
                    f"add rule inet t c {family} daddr {way.subnet} drop")


@contextlib.contextmanager
def one_port(lab, way, router, match):
    """A rule that drops one port, which `accept` names."""
    named = defined(lab)
    named["blue"].accept = ({"from": [way.source], "ports": ["tcp/22", "icmp"]},)
    named["red"].accept = ()
    try:
        for line in ("add table inet t",
                     "add chain inet t c { type filter hook forward priority 0; policy accept; }",
                     f"add rule inet t c {match} tcp dport 22 drop"):
            router.run("nft", line)
        lab.apply(named)
        yield
    finally:
        router.run("nft", "flush ruleset")
        lab.apply(defined(lab))


def port_in(lab, way):
    return one_port(lab, way, lab.blue, f"{'ip6' if way.six else 'ip'} daddr {way.fixed}")


def port_out(lab, way):
    return one_port(lab, way, lab.red, f"{'ip6' if way.six else 'ip'} daddr {way.shared}")


@contextlib.contextmanager
def late_interface(lab, way):
    """A VM's interface, which `inside` takes, came when the router was attached already."""
    late = defined(lab)
    late["red"].router["inside"] = '["lan*"]'
    late["red"].mappings.append((*way.late, "late"))
    lab.red.ip("link del lan1")
    lab.apply(late)
    lab.plug_inside("red", "lan1")
    try:
        yield
    finally:
        lab.apply(defined(lab))


@contextlib.contextmanager
def lost_program(lab, way):
    os.unlink(pin_of(lab, "blue"))
    try:
        yield
    finally:
        lab.apply(defined(lab))


@contextlib.contextmanager
def read_only_state(lab, way):
    state = lab.cli.state
    sh(["mount", "--bind", state, state])
    sh(["mount", "-o", "remount,bind,ro", state])
    try:
        yield
    finally:
        sh(["umount", state])


@contextlib.contextmanager
def smaller(lab, ns, device):
    """An interface that is not the router's carries less than its neighbours."""
    ns.ip(f"link set {device} mtu 1300")
    try:
        yield
    finally:
        for one, its in ((ns, device), (lab.blue, "lan0"), (lab.blue, "shared0"),
                         (lab.red, "shared0"), (lab.shared, "pred"),
                         (lab.shared, "pblue"), (lab.blue_lan, "prouter"), (lab.blue1, "eth0")):
            one.ip(f"link set {its} mtu 1500")
        for fixed in (FIXED, FIXED_V6):
            sh(["ip", "-n", lab.blue.name, "route", "del", fixed], check=False)
        for host in (lab.red1, lab.blue1, lab.red, lab.blue):
            for family in ("-4", "-6"):
                host.run("ip", family, "route", "flush", "cache", check=False)


def hole_inside(lab, way):
    return smaller(lab, lab.blue_lan, "prouter")


def hole_shared(lab, way):
    return smaller(lab, lab.shared, "pblue")


def hole_behind(lab, way):
    """Behind all that can be seen from the router: only a large packet finds it."""
    return smaller(lab, lab.blue1, "eth0")


# ---------------------------------------------------------------- what a human does

def accept_it(lab, said):
    """The rule that trace prints, in the file, and apply."""
    rule = re.search(r"add to tenant blue: accept: \[\{(.*)\}\]", said)[1]
    more = defined(lab)
    more["blue"].accept = [{"from": ["red"], "ports": ["tcp/23", "icmp"]},
                           {key: values.replace('"', "").split(", ")
                            for key, values in re.findall(r"(\w+): \[(.*?)\]", rule)}]
    lab.apply(more)


def start_vm(lab, said):
    assert said.startswith("start the VM"), said
    lab.blue1.ip("link set eth0 up")
    lab.settle("blue1", "eth0")


def command(lab, said):
    """As a shell command: in the VM or the router if it says so, else where tenantnat runs."""
    quoted = re.search("`(.*?)`(.*)", said)
    line, where = (quoted[1], quoted[2]) if quoted else (said.split(", or ")[0], "")
    line = re.sub(r"\btenantnat\b", " ".join(lab.cli.argv()), line)
    if where.startswith(" in the VM"):
        lab.blue1.run("sh", "-ec", line)
    elif where.startswith(" in the router"):
        (lab.red if "100.64" in line or "fd64" in line else lab.blue).run("sh", "-ec", line)
    else:
        sh(["bash", "-ec", line], env=lab.cli.env)


def set_mtu(lab, said):
    """One of the commands, or all on the shared network as large as the router."""
    if said.startswith("give all interfaces"):
        lab.shared.ip("link set pblue mtu 1500")
        return
    command(lab, said)
    if "in the VMs" in said:
        lab.blue1.ip("link set eth0 mtu 1300")


# ---------------------------------------------------------------- the table

class Blind(str):
    """Why a command cannot see it. What it says instead must not sound as if it had."""


SENDS_NOTHING = Blind("it sends nothing, and no table of the kernel tells")
NO_FAULT = Blind("what `accept` has is what somebody wants")
# what each of them says of what it did not look at
WHAT_IS_LEFT = {"status": ("tenantnat check", "tenantnat trace"), "check": ("tenantnat trace",),
                "doctor": ("tenantnat check", "tenantnat trace"), "trace": ()}

# name, how it is staged, what each command says of it, how its remedy is followed
Fault = collections.namedtuple("Fault", "name stage seen follow source", defaults=(command, None))
FAULTS = (
    Fault("policy", policy,
          {"status": NO_FAULT, "trace": "not-accepted", "check": NO_FAULT, "doctor": NO_FAULT},
          accept_it),
    Fault("vm_is_off", vm_off,
          {"status": SENDS_NOTHING, "trace": "{fixed}: expected it to answer",
           "check": "expected it to answer", "doctor": SENDS_NOTHING}, start_vm),
    Fault("no_way_back", no_way_back,
          {"status": SENDS_NOTHING, "trace": "in its own network alone",
           "check": "in its own network alone", "doctor": SENDS_NOTHING}),
    Fault("route_to_vm", route_to_vm,
          {"status": "{fixed} is reached by up0", "trace": "by up0 via {outside}",
           "check": "by up0 via {outside}", "doctor": "{fixed} is reached by up0"}),
    Fault("route_to_shared", route_to_shared,
          {"status": "reached by up0 instead of shared0", "trace": "by up0 via {outside}",
           "check": "reached by up0 instead of shared0", "doctor": "reached by up0 instead of shared0"}),
    Fault("rule_by_source", rule_by_source,
          {"status": "a routing rule leads there", "trace": "by a routing rule (table 100)",
           "check": "a routing rule leads", "doctor": "a routing rule leads there"}),
    Fault("netfilter", netfilter,
          dict.fromkeys(("status", "trace", "check", "doctor"), "`drop` in the chain c of table inet t")),
    Fault("netfilter_port", port_in,
          dict.fromkeys(("status", "trace", "check", "doctor"), "`drop` in the chain c of table inet t")),
    Fault("netfilter_port_out", port_out,
          dict.fromkeys(("status", "trace", "check", "doctor"), "`drop` in the chain c of table inet t")),
    Fault("late_interface", late_interface,
          dict.fromkeys(("status", "trace", "check", "doctor"), "later than the last apply"),
          source="red/late"),
    Fault("lost_program", lost_program,
          dict.fromkeys(("status", "trace", "check", "doctor"), "a program, its link or its interface")),
    Fault("mtu_hole_inside", hole_inside,
          {"status": "that of prouter", "trace": "silently lost: the MTU of prouter",
           "check": "silently lost behind lan0", "doctor": "that of prouter"}, set_mtu),
    Fault("mtu_hole_shared", hole_shared,
          {"status": "that of pblue", "trace": "silently lost: the MTU of br0",
           "check": "expected packets of 1500 bytes to pass", "doctor": "that of pblue"}, set_mtu),
    Fault("mtu_hole_behind", hole_behind,
          {"status": SENDS_NOTHING, "trace": "silently lost behind lan0",
           "check": "silently lost behind lan0", "doctor": SENDS_NOTHING}, set_mtu),
    Fault("read_only_state", read_only_state,
          {"status": "can be read, but not written to", "check": "can be read, but not written to",
           "doctor": "can be read, but not written to",
           "trace": Blind("the packet arrives: nothing that carries it is written")}),
)
# what is the same for both families
ONE_FAMILY = ("lost_program", "read_only_state")
# the remedy as each of them prints it
REMEDY = {"status": r"to do: (.*)", "doctor": r"^problem .*\n.*\n    to do: (.*)",
          "check": r"; what to do: (.*)",
          "trace": r"(?:to do: |^    (?=add to tenant))(.*)"}


def say(lab, command_name, source, way):
    args = [source, way.target] if command_name == "trace" else []
    done = lab.cli.run(command_name, *args, code=None)
    return done.returncode, done.stdout + done.stderr


def staged(lab, fault, way):
    """Each names it, or does not vouch for it; gives the remedies that they print, by command."""
    remedies, source = {}, fault.source or way.source
    for name, words in fault.seen.items():
        code, said = say(lab, name, source, way)
        what = f"{name} of {fault.name}"
        if isinstance(words, Blind):
            equal(code, 0, f"{what}, which is not to see it: {said}")
            assert not [w for w in WHAT_IS_LEFT[name] if w not in said], f"{what} vouches for it: {said}"
            continue
        equal(code, 1, f"exit of {what}: {said}")
        words = words.format(**way._asdict())
        assert words in said, f"{what} does not say `{words}`: {said}"
        found = re.findall(REMEDY[name], said, re.M)
        assert found, f"no remedy in {what}: {said}"
        for one in found:
            if (V4 if way.six else V6).fixed in one.replace(" ", "\n").splitlines():
                continue    # the other family's
            remedies.setdefault(one, what)
    return {what: one for one, what in reversed(remedies.items())}


def whole_packet(source, address):
    """An echo that fills the links; one that is told that it does not fit is sent in pieces next."""
    done = source.run("ping", "-c", "1", "-W", "1", "-s", "1400", address, check=False)
    equal(done.returncode, 0, f"ping with 1400 bytes to {address}: {done.stdout[-300:]}")


def passes(lab, way, source="red1", seen=None):
    """Real traffic to the port that trace asks for: TCP, and whole packets."""
    there, port = server(lab.blue1, socket.SOCK_STREAM, "::" if way.six else "0.0.0.0", 22)
    with there, complaint(f"TCP to {way.shared}"), \
            client(lab.ns[source], socket.SOCK_STREAM, way.shared, port) as here:
        conn, peer = there.accept()
        with conn:
            equal(peer[0], seen or way.seen, "who asks")
            here.sendall(bytes(20000))
            got = 0
            while got < 20000:
                got += len(conn.recv(20000))
            conn.sendall(b"answer")
            equal(here.recv(100), b"answer", "the answer")
    eventually(lambda: whole_packet(lab.ns[source], way.shared))


def all_well(lab, fault, way, what):
    """All four say so, and traffic passes."""
    for name in fault.seen:
        code, said = say(lab, name, fault.source or way.source, way)
        equal(code, 0, f"{name} after {what}: {said}")
    if fault.source:
        passes(lab, way, "red3", way.late[1])
    else:
        passes(lab, way)


def run_again(lab, fault, way):
    """One link has several interfaces, and both families: so both are run again, until they are content."""
    for name in ["doctor", "check"] * 8:
        code, said = say(lab, name, way.source, way)
        if code:
            fault.follow(lab, re.search(REMEDY[name], said, re.M)[1])
        elif name == "check":
            return


def play(fault, way, lab):
    """Staged once for each remedy that somebody prints."""
    ping(lab.red1, way.shared, 1)
    with fault.stage(lab, way):
        remedies = staged(lab, fault, way)
    for what, remedy in remedies.items():
        with fault.stage(lab, way):
            fault.follow(lab, remedy)
            if fault.follow is set_mtu:
                run_again(lab, fault, way)
            eventually(lambda: all_well(lab, fault, way, f"the remedy of {what}, `{remedy}`"))
    passes(lab, way)


def tests_of_table():
    for fault in FAULTS:
        for way in (V4, V6)[:1 + (fault.name not in ONE_FAMILY)]:
            test = functools.partial(play, fault, way)
            test.__name__ = f"test_faults_{fault.name}{'_v6' * way.six}"
            test.__module__ = __name__
            test.__doc__ = "Named by all who can see it; cured by the remedy of each."
            hook(functools.update_wrapper(dual_stack(test), test) if way.six else test)


tests_of_table()

# ---------------------------------------------------------------- one trace

def arrives(lab, *args):
    code, said = trace(lab, *(args or (FROM, TO)))
    equal((code, said["result"]), (0, "arrives"), f"trace in order: {said['why']}")


def failed(lab, look, tenant, words, *args):
    """The trace does not arrive because of that look; gives it."""
    code, said = trace(lab, *(args or (FROM, TO)))
    assert code == 1 and said["result"] != "arrives", f"{look}: all is well: {said}"
    found = [one for one in said["looks"] if one["result"] == "failed"]
    assert found, f"{look}: nothing failed: {said['looks']}"
    equal((found[0]["look"], found[0]["tenant"]), (look, tenant), found[0]["seen"])
    for word in words:
        assert word in found[0]["seen"], f"no `{word}` in {found[0]['seen']}"
    assert found[0]["remedy"], f"no remedy: {found[0]}"
    return found[0]


# ---------------------------------------------------------------- VMs

@hook
def test_faults_vm_is_off(lab):
    """Either end's."""
    for name, tenant in (("blue1", "blue"), ("red1", "red")):
        lab.ns[name].ip("link set eth0 down")
        try:
            failed(lab, "vm", tenant, [FIXED])
        finally:
            lab.ns[name].ip("link set eth0 up")
            lab.settle(name, "eth0")
        eventually(lambda: arrives(lab))


@hook
def test_faults_vm_without_a_way_back(lab):
    """It answers on its link, and nobody else."""
    for name, tenant in (("blue1", "blue"), ("red1", "red")):
        vm = lab.ns[name]
        ping(lab.ns[tenant], FIXED, 1)
        vm.ip("route del default")
        try:
            one = failed(lab, "vm", tenant, [FIXED, "alone"])
            assert f"route add {SUBNET} via {INSIDE}" in one["remedy"], one["remedy"]
            vm.ip(f"route add {SUBNET} via {INSIDE}")
            arrives(lab)
        finally:
            sh(["ip", "-n", vm.name, "route", "del", SUBNET], check=False)
            lab.settle(name, "eth0")
    arrives(lab)


# ---------------------------------------------------------------- routes

@hook
def test_faults_route(lab):
    """To the VM, and to the shared network: by an interface that is not meant to be the way."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.blue.name, "route", "del", FIXED],
               ["ip", "-n", lab.red.name, "route", "del", BLUE1]):
        lab.blue.ip(f"route add {FIXED} via {OUTSIDE}")
        one = failed(lab, "route", "blue", [FIXED, "up0", "not by an inside interface"])
        type_in(one["remedy"])
        eventually(lambda: arrives(lab))
        lab.red.ip(f"route add {BLUE1} via {OUTSIDE}")
        failed(lab, "route", "red", [BLUE1, "up0", "shared0"])


@hook
@dual_stack
def test_faults_size(lab):
    """What the smallest link on the way lets through, and what becomes of more: as of real packets."""
    for way in (V4, V6):
        with lines(lab, lab.blue, [f"{way.ip[3:]} route add {way.fixed} dev lan0 mtu lock 1300".strip()],
                   [f"{way.ip[3:]} route del {way.fixed}".strip()]):
            code, said = trace(lab, way.source, way.target)
            one, = [look for look in said["looks"] if look["look"] == "mtu"]
            equal((code, one["result"], one["tenant"]), (0, "ok", "blue"), one["seen"])
            answer = "packet too big" if way.six else "fragmentation needed"
            assert 'a packet of 1500 bytes' in one["seen"] and f'"{answer}", MTU 1300' in one["seen"], one
            arrives(lab, way.source, way.target, "--size", "1300")
            one = failed(lab, "mtu", "blue", [answer, "1301 bytes"], way.source, way.target, "--size",
                         "1301")
            assert "at most 1300 bytes" in one["remedy"], one["remedy"]
            for size, fits in ((1300, True), (1301, False)):
                done = lab.red1.run("ping", "-M", "do", "-c", "1", "-W", "5", "-s",
                                    str(size - (48 if way.six else 28)), way.shared, check=False)
                equal(done.returncode == 0, fits, f"{size} bytes: {done.stdout}")
            lab.red1.run("ip", "-6" if way.six else "-4", "route", "flush", "cache")
        arrives(lab, way.source, way.target, "--size", "1500")
    for size in ("67", "65536", "x"):
        assert f"--size {size}: give a number" in lab.cli.fails("trace", FROM, TO, "--size", size, code=2)


@once
def test_faults_rule_by_port(lab):
    """It concerns that port alone, and by the stack alone."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.red.name, "rule", "del", "pref", "30000"],
               ["ip", "-n", lab.red.name, "route", "flush", "table", "100"]):
        lab.red.ip(f"route add default via {OUTSIDE} table 100",
                   "rule add iif lan0 ipproto tcp dport 22 lookup 100 pref 30000")
        arrives(lab)
        as_defined(lab, "stack")
        try:
            failed(lab, "route", "red", [BLUE1, "up0", "table 100"])
            arrives(lab, FROM, BLUE1 + ":23")
        finally:
            lab.apply()


# ---------------------------------------------------------------- netfilter

@contextlib.contextmanager
def rules_of(lab, router, *lines):
    """Rules of nftables, which the router knows of."""
    try:
        for line in lines:
            router.run("nft", line)
        lab.apply(defined(lab))
        yield
    finally:
        router.run("nft", "flush ruleset")
        lab.apply(defined(lab))


@once
def test_faults_netfilter(lab):
    """What drops it, and what translates it before tenantnat: for just that packet."""
    chain = "add chain inet t c { type %s hook %s priority 0; policy accept; }"
    cases = ((lab.red, "filter", "forward", "tcp dport 22 drop", "drop"),
             (lab.blue, "filter", "forward", f"ip daddr {FIXED} tcp dport {{ 20-30 }} drop", "drop"),
             (lab.red, "nat", "postrouting", 'oifname "shared0" masquerade', "masquerade"),
             (lab.red, "nat", "prerouting", f"ip daddr {BLUE1} tcp dport 22 dnat ip to {RED2}",
              "dnat"))
    for router, kind, at, rule, what in cases:
        with rules_of(lab, router, "add table inet t", chain % (kind, at), "add rule inet t c " + rule):
            name = "red" if router is lab.red else "blue"
            one = failed(lab, "netfilter", name, [f"`{what}`", "chain c of table inet t"])
            assert "nft insert" in one["remedy"] if what == "drop" else \
                f"tenantnat doctor {name}" in one["remedy"], one["remedy"]
            if "dport" in rule:
                arrives(lab, FROM, BLUE1 + ":33")
    arrives(lab)


# ---------------------------------------------------------------- routers

@hook
def test_faults_lost_programs(lab):
    """Programs that can be run are no proof that packets meet them."""
    ping(lab.red1, BLUE1, 1)
    for tenant in ("red", "blue"):
        router = next(row for row in lab.cli.json("show")["tenants"] if row["tenant"] == tenant)
        ids = {p["id"] for p in router["router"]["programs"]}
        pin = next(os.path.join(top, "link_in") for top, _, files in os.walk(PINS + "/routers")
                   if "link_in" in files and pinned_program(os.path.join(top, "link_in")) in ids)
        os.unlink(pin)
        one = failed(lab, "programs", tenant, ["missing"])
        type_in(one["remedy"].replace("tenantnat", " ".join(lab.cli.argv())))
        arrives(lab)


@hook
def test_faults_shared_network(lab):
    """It does not carry frames from one router to the other; or another host has the address."""
    ping(lab.red1, BLUE1, 1)
    with after(["ip", "-n", lab.plain.name, "addr", "del", BLUE1 + "/32", "dev", "shared0"]):
        lab.shared.ip("link set pblue nomaster")
        try:
            failed(lab, "link", "red", [BLUE1, "nobody"])
            lab.plain.ip(f"addr add {BLUE1}/32 dev shared0")
            failed(lab, "link", "red", [BLUE1, lab.macs["plain"], lab.macs["blue"]])
            lab.plain.ip(f"addr del {BLUE1}/32 dev shared0")
        finally:
            lab.shared.ip("link set pblue master br0")
        eventually(lambda: arrives(lab))


@hook
def test_faults_not_accepted(lab):
    """A policy is no fault of the host: trace names it, and nothing else."""
    closed = lab.definitions()
    closed["blue"].accept = [{"from": ["red"], "ports": ["tcp/23"]}]
    lab.apply(closed)
    try:
        code, said = trace(lab, FROM, TO)
        equal((code, said["steps"][-1]["reason"]), (1, "not-accepted"), "the trace")
        equal([one for one in said["looks"] if one["result"] == "failed"], [], "looks that failed")
        arrives(lab, FROM, BLUE1 + ":23")
    finally:
        lab.apply()


@hook
def test_faults_none(lab):
    """In a lab where all is well, also to the same router and back to itself."""
    for args in ((FROM, TO), (FROM, RED2 + ":80"), (FROM, BLUE1), ("blue/" + FIXED, RED1),
                 ("red/" + FIXED2, BLUE1 + ":7", "-p", "udp")):
        arrives(lab, *args)


# ---------------------------------------------------------------- status, and who agrees with it

def verdicts(lab, code, *words):
    """Status, doctor and check all say that it is well, or all that it is not; gives what status says."""
    said = json.loads(lab.cli.run("-j", "status", code=code).stdout)
    equal((said["well"], said["why"] is None), (code == 0, code == 0), f"status: {said['why']}")
    for command in ("doctor", "check"):
        equal(lab.cli.run(command, code=None).returncode, code, f"{command} beside status")
    problems = said["problems"] + [one for t in said["tenants"] for one in t["problems"]]
    for word in words:
        assert any(word in f"{one['interface']} {one['seen']}" for one in problems), f"no `{word}` in {problems}"
    for one in said["tenants"]:
        equal(one["well"], one["router"] in ("attached", "elsewhere") and not one["problems"],
              one["tenant"])
    for tenant in lab.cli.json("show")["tenants"]:
        there = next(one for one in said["tenants"] if one["tenant"] == tenant["tenant"])
        if tenant["router"]:
            equal((tenant["router"]["state"], tenant["router"]["problems"]),
                  (there["router"], len(there["problems"])), f"show of {tenant['tenant']}")
    return said


def of(said, tenant):
    return next(one for one in said["tenants"] if one["tenant"] == tenant)


@hook
def test_faults_status_in_order(lab):
    """All is well: what was carried and dropped, and over which time, with an agent and without."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(lab.cli.state + "/traffic")   # of an agent that has ended
    said = verdicts(lab, 0)
    equal((said["agent"], of(said, "red")["router"], of(said, "plain")["router"],
           of(said, "red")["mappings"]), (None, "attached", "elsewhere", 2), "status")
    ping(lab.red1, BLUE1, 3)
    after_it = lab.cli.json("status")
    for tenant in ("red", "blue"):
        for way in ("in", "out"):
            assert of(after_it, tenant)[way]["packets"] >= of(said, tenant)[way]["packets"] + 3
    assert after_it["seconds"] is not None, "over which time"
    text = lab.cli.run("status").stdout
    for word in ("not running", "since counting began", "well", "tenantnat check"):
        assert word in text, f"no `{word}` in {text}"
    assert len(text.splitlines()) < 24, f"more than a screenful: {text}"
    lab.cli.run("status", "red")
    assert "there is no tenant nobody" in lab.cli.fails("status", "nobody", code=2)


@once
def test_faults_status_of_the_last_minute(lab):
    """The agent keeps what the last minute is counted from."""
    ping(lab.red1, BLUE1, 1)
    running = lab.cli.start("agent")
    try:
        eventually(lambda: equal(lab.cli.json("status")["agent"], running.pid, "the agent"))
        eventually(lambda: equal(os.path.exists(lab.cli.state + "/traffic"), True, "its file"))
        ping(lab.red1, BLUE1, 3)
        said = verdicts(lab, 0)
        equal((of(said, "red")["in"]["packets"], of(said, "red")["out"]["packets"]), (3, 3),
              "packets since the agent began")
        assert "of the last" in lab.cli.run("status").stdout
    finally:
        running.terminate()
        running.communicate()
        os.unlink(lab.cli.state + "/traffic")
    equal(lab.cli.json("status")["agent"], None, "without the agent")


@once
def test_faults_vm_with_two_nics(lab):
    """It answers by one for both: check, doctor and status name it, with an agent and without."""
    def warned():
        said = lab.cli.json("doctor", "red")["findings"]
        found = [f["seen"] for f in said if f["finding"] == "sources" and f["severity"] == "warning"]
        equal(["spoofed-source" in one for one in found], [True], f"doctor: {said}")
        assert "(red sources)" in lab.cli.run("status", "red").stdout

    both = lab.definitions()
    both["red"].mappings.append(("10.0.1.7", "100.64.1.7", "second"))
    veth(lab.red1, "eth1", lab.red_lan, "psecond")
    lab.red_lan.ip("link set psecond master br1")
    lab.red1.ip("addr add 10.0.1.7/24 dev eth1")
    agent = lab.cli.start("agent")
    try:
        lab.apply(both)
        eventually(lambda: equal(os.path.exists(lab.cli.state + "/traffic"), True, "its file"))
        equal([f for f in lab.cli.json("doctor", "red")["findings"]
               if f["finding"] == "sources" and f["severity"] != "ok"], [], "doctor before")
        lab.blue1.run("ping", "-nc3", "-i0.2", "-W1", "100.64.1.7", check=False)
        warned()
        said = lab.cli.run("check", "red", code=1).stdout
        assert "10.0.1.7" in said, said
        agent.terminate()
        agent.communicate()
        warned()
        assert "10.0.1.7 was sent" in lab.cli.run("doctor", "red").stdout
    finally:
        agent.terminate()
        agent.communicate()
        os.unlink(lab.cli.state + "/traffic")
        lab.red1.ip("link del eth1")
        lab.apply()


@hook
def test_faults_status_of_routers(lab):
    """Detached, lost, with an interface that came later."""
    lab.cli.run("detach", "blue")
    said = verdicts(lab, 1, "it was detached")
    equal((of(said, "blue")["router"], of(said, "red")["well"]), ("detached", True), "detached")
    text = lab.cli.run("show").stdout
    assert "detached" in text and "not well: 1 problem" in text, text
    equal(lab.cli.run("status", "red").returncode, 0, "of the others")
    lab.apply()
    pin = next(os.path.join(top, "link_in") for top, _, files in os.walk(PINS + "/routers")
               if "link_in" in files)
    os.unlink(pin)
    said = verdicts(lab, 1, "missing")
    equal(sorted(t["router"] for t in said["tenants"]), ["attached", "broken", "elsewhere"], "lost")
    lab.apply()
    verdicts(lab, 0)


@once
def test_faults_status_of_namespaces(lab):
    """A router whose namespace is gone."""
    spare = lab.spare_router()
    spare.sysctl(ipv6__conf__all__disable_ipv6=1)
    try:
        lab.apply(lab.definitions().having(lab.green_tenant(spare)))
        spare.remove()
        said = json.loads(lab.cli.run("-j", "status", code=1).stdout)
        assert of(said, "green")["problems"], said
        equal((of(said, "green")["well"], of(said, "red")["well"]), (False, True), "status")
        lab.cli.run("status", "green", code=1)
        lab.cli.run("doctor", code=1)
    finally:
        lab.apply()
    verdicts(lab, 0)


@once
def test_faults_status_of_the_state(lab):
    """One that cannot be read, one that is damaged, and none at all."""
    os.chmod(lab.cli.state, 0o777)
    try:
        assert "cannot tell" in lab.cli.run("status", code=1).stderr
        lab.cli.run("doctor", code=1)
    finally:
        os.chmod(lab.cli.state, 0o700)
    fresh = lab.cli.elsewhere(state=lab.scratch + "/none", bpffs=BPFFS + "/none")
    assert "nothing was applied" in fresh.run("status", code=1).stderr
    equal(json.loads(fresh.run("-j", "status", code=1).stdout)["well"], False, "without a state")
    equal(os.path.exists(lab.scratch + "/none"), False, "made by status")
    nobody = lab.cli.elsewhere(bpffs=PINS, under=["setpriv", "--reuid=65534", "--regid=65534",
                                                  "--clear-groups"])
    nobody.run("status", code=1)
    verdicts(lab, 0)


@once
def test_faults_status_of_ways(lab):
    """Routes, rules and netfilter: what doctor finds."""
    with after(["ip", "-n", lab.blue.name, "route", "del", FIXED],
               ["ip", "-n", lab.red.name, "rule", "del", "pref", "30000"],
               ["ip", "-n", lab.red.name, "route", "flush", "table", "100"]):
        lab.blue.ip(f"route add {FIXED} via {OUTSIDE}")
        equal(of(verdicts(lab, 1, "up0"), "blue")["well"], False, "a route")
        lab.blue.ip(f"route del {FIXED}")
        lab.red.ip(f"route add default via {OUTSIDE} table 100",
                   "rule add from 10.0.0.0/24 lookup 100 pref 30000")
        equal(of(verdicts(lab, 1, "up0"), "red")["well"], False, "a rule")
    with rules_of(lab, lab.red, "add table inet t",
                  "add chain inet t c { type filter hook forward priority 0; policy drop; }"):
        equal(of(verdicts(lab, 1, "policy drop"), "red")["well"], False, "netfilter")
    verdicts(lab, 0)


@once
def test_faults_status_changes_nothing(lab):
    """It only looks."""
    before = machine(lab)
    lab.cli.run("status")
    unchanged(before, machine(lab), "status")
