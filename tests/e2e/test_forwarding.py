# SPDX-License-Identifier: GPL-2.0-only
"""Past the stack, where that changes nothing but the price; through it, where it does."""
import contextlib
import socket
import struct

from agent import Agent
from case import datapath, equal, eventually, once, program
from lab import BLUE1, BLUE1_V6, FIXED, PLAIN, RED1, RED1_V6, RED2
from media import has_netdev, need_vxlan
from test_six import dual_stack
from traffic import Watch, client, complaint, ping, server, tcp, udp

FORWARDED = ("IpForwDatagrams", "Ip6OutForwDatagrams")
IP_XFRM_POLICY = 17     # linux/in.h
RULE = "table inet tests { chain f { type filter hook forward priority 0; counter; }; }"


def shown(lab, tenant="red"):
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == tenant)["router"]
    return router["forwarding"], router["because"]


@contextlib.contextmanager
def forwarded(ns):
    """A list that gets the number of packets that the stack of `ns` has forwarded meanwhile."""
    def count():
        now = ns.snmp()
        return sum(now[name] for name in FORWARDED)
    before, out = count(), []
    yield out
    out.append(count() - before)


def traffic(lab):
    for source, target, address in ((lab.blue1, lab.red1, RED1), (lab.red1, lab.blue1, BLUE1),
                                    (lab.plain, lab.red1, RED1)):
        seen = {lab.blue1: BLUE1, lab.red1: RED1, lab.plain: PLAIN}[source]
        udp(source, target, address, seen)
        tcp(source, target, address, seen)
        ping(source, address)


@contextlib.contextmanager
def netfilter(lab, name, text=RULE):
    ns = lab.ns[name]
    ns.run("nft", "-f", lab.put("rule.nft", text + "\n"))
    try:
        yield
    finally:
        ns.run("nft", "delete", "table", "inet", "tests")


@contextlib.contextmanager
def ipsec(lab, name, way="out"):
    """A policy for packets from the VMs, which lets them pass as they are."""
    ns, policy = lab.ns[name], f"src 10.0.0.0/8 dst 100.64.0.0/10 dir {way}"
    ns.ip(f"xfrm policy add {policy} action allow")
    try:
        yield
    finally:
        ns.ip(f"xfrm policy del {policy}")


def as_defined(lab, forwarding, more=()):
    definitions = lab.definitions().having(*more)
    for tenant in definitions.tenants:
        if tenant.router is not None:
            tenant.router["forwarding"] = forwarding
    return lab.apply(definitions)


@program
@dual_stack
def test_forwarding_is_fast(lab):
    """The stack forwards nothing, once neighbours are known; until then it asks for them."""
    if lab.forwarding != "stack":
        equal(shown(lab), ("fast", "netfilter has no rules there"), "red")
    for ns in (lab.red, lab.blue):
        ns.ip("neigh flush all")
    for source, address in ((lab.red1, BLUE1), (lab.blue1, RED1), (lab.plain, RED1),
                            (lab.plain, BLUE1), (lab.red1, PLAIN), (lab.blue1, PLAIN),
                            (lab.red1, BLUE1_V6), (lab.blue1, RED1_V6)):
        ping(source, address)
    with forwarded(lab.red) as red, forwarded(lab.blue) as blue:
        traffic(lab)
        ping(lab.red1, BLUE1_V6)
        ping(lab.blue1, RED1_V6)
    if lab.forwarding == "stack":
        assert red[0] > 20 and blue[0] > 20, f"{red} {blue} packets went through the stack"
    else:
        equal((red, blue), ([0], [0]), "packets that the stack has forwarded")


@datapath
def test_forwarding_takes_one_hop(lab):
    """Each router takes one from the hop limit, also between VMs of one router."""
    for source, target, address, hops in ((lab.plain, lab.red1, RED1, 63),
                                          (lab.red1, lab.blue1, BLUE1, 62),
                                          (lab.red1, lab.red2, RED2, 63)):
        with Watch(target, "eth0") as watch:
            ping(source, address, count=1)
            frame = watch.until(lambda f: f[12:14] == b"\x08\0" and f[23] == 1 and f[34] == 8)
        equal(frame[22], hops, f"the hop limit of {source.name} at {target.name}")


@program
def test_forwarding_by_netfilter(lab):
    """`auto` looks for rules that would be passed by; `fast` and `stack` are what they say."""
    try:
        with netfilter(lab, "red"):
            lines = lab.apply()
            equal(len([line for line in lines if line.startswith("~ router red")]), 1, "the plan")
            equal(shown(lab), ("stack", "netfilter has rules there"), "red")
            equal(shown(lab, "blue"), ("fast", "netfilter has no rules there"), "blue")
            assert "forwarding stack (netfilter has rules there)" in lab.cli.run("show").stdout
            with forwarded(lab.red) as red, forwarded(lab.blue) as blue:
                traffic(lab)
            assert red[0] > 20 and blue[0] == 0, f"{red} {blue} packets went through the stack"
            as_defined(lab, "fast")
            equal(shown(lab), ("fast", "it is defined so"), "red")
            with forwarded(lab.red) as red:
                traffic(lab)
            equal(red, [0], "packets that the stack has forwarded")
        as_defined(lab, "stack")
        equal(shown(lab), ("stack", "it is defined so"), "red")
        with forwarded(lab.red) as red:
            traffic(lab)
        assert red[0] > 20, f"{red} packets went through the stack"
    finally:
        lab.apply()
    equal(shown(lab)[0], "fast", "red, in the end")


@once
def test_forwarding_chains_without_rules(lab):
    """Empty chains do nothing, a policy does, and so does a rule on another way than forward."""
    empty = "table inet tests { chain f { type filter hook %s priority 0; %s; }; }"
    for hook, what, want in (("forward", "", "fast"), ("forward", "policy drop", "stack"),
                             ("input", "counter", "fast"), ("prerouting", "counter", "stack"),
                             ("postrouting", "counter", "stack")):
        with netfilter(lab, "red", empty % (hook, what)):
            lab.apply()
            equal(shown(lab)[0], want, f"forwarding with `{what}` in {hook}")
    lab.apply()


@once
def test_forwarding_by_ipsec(lab):
    """A policy for what is forwarded is not gone past; one for what comes in, or of a socket, is."""
    try:
        for way in ("out", "fwd"):
            with ipsec(lab, "red", way):
                lab.apply()
                equal(shown(lab), ("stack", "IPsec has policies there"), way)
                equal(shown(lab, "blue")[0], "fast", "blue")
                with forwarded(lab.red) as red:
                    traffic(lab)
                assert red[0] > 20, f"{red} packets went through the stack"
                with netfilter(lab, "red"):
                    lab.apply()
                    equal(shown(lab), ("stack", "netfilter has rules there"), "with both")
                lab.apply()
                equal(shown(lab), ("stack", "IPsec has policies there"), "without netfilter")
        with ipsec(lab, "red", "in"), lab.red.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            # linux/xfrm.h: out, allow, from and to anybody; what IKE has for its own packets
            sock.setsockopt(socket.SOL_IP, IP_XFRM_POLICY, own_policy())
            assert "socket out" in lab.red.run("ip", "xfrm", "policy").stdout
            lab.apply()
            equal(shown(lab), ("fast", "netfilter has no rules there"), "red")
    finally:
        lab.apply()


def own_policy():
    """struct xfrm_userpolicy_info: everything, out, allowed."""
    selector = bytes(40) + struct.pack("=HBBBBxxiI", socket.AF_INET, 0, 0, 0, 0, 0, 0)
    forever = struct.pack("=8Q", *[(1 << 64) - 1] * 4, 0, 0, 0, 0)
    return selector + forever + bytes(32) + struct.pack("=IIBBBBxxxx", 0, 0, 1, 0, 0, 0)


@once
def test_forwarding_without_an_answer(lab):
    """Netfilter cannot be asked: said, and nothing goes past it, until the next run."""
    file = lab.write(lab.definitions())
    lab.cli.apply(file)
    equal(shown(lab)[0], "fast", "forwarding")
    legacy, table = "/proc/self/net/ip6_tables_names", "table inet tests {}"
    # of nf_tables only the process that asks makes this call, and only where there is a table
    for inject, what in ((["-e", "inject=dup2:error=EIO"], "cannot ask netfilter"),
                         (["-P", legacy, "-e", "inject=openat:error=EIO"], f"cannot read {legacy}")):
        deaf = lab.cli.elsewhere(under=["strace", "-f", "-qq", "-o", "/dev/null", *inject])
        with netfilter(lab, "red", table), netfilter(lab, "blue", table):
            said = deaf.run("apply", "-f", file).stderr.splitlines()
        equal(len([line for line in said if what in line]), 2, f"routers in {said}")
        equal(shown(lab)[0], "stack", "forwarding")
        ping(lab.red1, BLUE1)
        lab.cli.apply(file)
        equal(shown(lab)[0], "fast", "forwarding afterwards")


@once
def test_forwarding_of_the_agent(lab):
    """It sees rules come and go, and changes over without a loss."""
    with Agent(lab):
        for _ in range(2):
            with netfilter(lab, "red"):
                eventually(lambda: equal(shown(lab)[0], "stack", "red"))
                with forwarded(lab.red) as red:
                    traffic(lab)
                assert red[0] > 20, f"{red} packets went through the stack"
            eventually(lambda: equal(shown(lab)[0], "fast", "red"))
        with ipsec(lab, "red"):
            eventually(lambda: equal(shown(lab)[0], "stack", "red, with IPsec"))
        eventually(lambda: equal(shown(lab)[0], "fast", "red"))


def sent_by(lab, tenant="red"):
    router = next(t for t in lab.cli.json("show")["tenants"] if t["tenant"] == tenant)["router"]
    return router["by"]


def take_xdp(lab, on):
    """Whether the other ends of the inside interfaces take what XDP sends to them."""
    for name in ("red", "blue"):
        lab.ns[name + "-lan"].run("ethtool", "-K", "prouter", "gro", "on" if on else "off")


@datapath
def test_forwarding_by_xdp(lab):
    """Only where it is asked for, and the other end of the veth takes it: else it would be lost."""
    if lab.variant != "xdp" or lab.forwarding == "stack":
        return
    try:
        take_xdp(lab, True)
        lab.apply()
        equal(sent_by(lab), "tc", "with `auto`, packets go on by")
        as_defined(lab, "fast")
        equal(sent_by(lab), "xdp" if has_netdev() else "tc", "with `fast`, packets go on by")
        equal(as_defined(lab, "fast"), ["nothing to be done"], "the same again")
        equal(", by XDP" in lab.cli.run("show").stdout, has_netdev(), "show")
        for _ in range(3):
            traffic(lab)
        take_xdp(lab, False)
        as_defined(lab, "fast")
        equal(sent_by(lab), "tc", "without GRO, packets go on by")
        traffic(lab)
    finally:
        take_xdp(lab, False)
        lab.apply()


@contextlib.contextmanager
def tunnel(lab, *options):
    """VXLAN between plain and a VM, by its shared address; gives the addresses in it."""
    ends = {"plain": (lab.plain, PLAIN, BLUE1), "blue1": (lab.blue1, FIXED, PLAIN)}
    inner = {name: f"192.168.77.{number}" for number, name in enumerate(ends, 1)}
    try:
        for name, (ns, local, remote) in ends.items():
            ns.ip(" ".join((f"link add vx0 type vxlan id 5 local {local} remote {remote}",
                            "dstport 4789", *options)),
                  f"addr add {inner[name]}/24 dev vx0", "link set vx0 up")
        yield inner
    finally:
        for ns, *_ in ends.values():
            ns.run("ip", "link", "del", "vx0", check=False)


@datapath
def test_forwarding_a_tunnel(lab):
    """
    What a local sender leaves to its device is a checksum in the tunnel, and nothing shows that
    outside. Where programs cannot ask, the tunnel's own (LCO) gets as wrong as by the kernel's NAT.
    """
    need_vxlan()
    try:
        take_xdp(lab, True)
        if lab.forwarding != "stack":
            as_defined(lab, "fast")
        for options in (("noudpcsum",), ("udpcsum",))[:2 if has_netdev() else 1]:
            with tunnel(lab, *options) as inner:
                for _ in range(5):
                    for source, target in (("plain", "blue1"), ("blue1", "plain")):
                        for exchange in udp, tcp:
                            exchange(lab.ns[source], lab.ns[target], inner[target], inner[source])
    finally:
        take_xdp(lab, False)
        lab.apply()


@contextlib.contextmanager
def doubting(ns, device):
    """Neighbours of that interface are asked again soon, as the kernel does of those in use."""
    usual = {"base_reachable_time_ms": 30000, "delay_first_probe_time": 5, "retrans_time_ms": 1000}
    soon = {"base_reachable_time_ms": 400, "delay_first_probe_time": 1, "retrans_time_ms": 100}
    ns.sysctl(**{f"ipv4__neigh__{device}__{key}": value for key, value in soon.items()})
    ns.ip(f"neigh flush dev {device}")      # those that are known have their timers
    try:
        yield
    finally:
        ns.sysctl(**{f"ipv4__neigh__{device}__{key}": value for key, value in usual.items()})


@program
def test_forwarding_sees_to_neighbours(lab):
    """A VM with another MAC address, which has told nobody, is found again while it is sent to."""
    there, port = server(lab.red1, socket.SOCK_DGRAM)
    with there, client(lab.plain, socket.SOCK_DGRAM, RED1, port) as here, doubting(lab.red, "lan0"):
        def arrives():
            here.send(b"here?")
            with complaint("nothing arrives"):
                assert there.recv(16) == b"here?"
        there.settimeout(0.02)
        eventually(arrives)
        mac = lab.red1.mac("eth0")
        lab.red1.ip("link set eth0 address 02:00:00:00:99:01")
        try:
            eventually(arrives)
        finally:
            lab.red1.ip(f"link set eth0 address {mac}")
            lab.red.ip("neigh flush dev lan0")


@once
def test_forwarding_large_packets(lab):
    """What does not fit is the stack's to answer, and so is what has no hop left."""
    with lab.red1.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 10, 2)       # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        lab.red.ip("link set shared0 mtu 1400")
        try:
            sock.connect((BLUE1, 9))
            with contextlib.suppress(OSError):
                for _ in range(3):
                    sock.send(bytes(1450))
            equal(sock.getsockopt(socket.IPPROTO_IP, 14), 1400, "the path MTU that red1 learned")
        finally:
            lab.red.ip("link set shared0 mtu 1500")
            lab.red1.ip("route flush cache")
    said = lab.red1.run("ping", "-nc1", "-W30", "-t1", BLUE1, check=False).stdout
    assert "Time to live exceeded" in said and "10.0.0.1" in said, said
    equal(lab.cli.leases("red")["red", FIXED], RED1, "red1")
