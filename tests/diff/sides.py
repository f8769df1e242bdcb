# SPDX-License-Identifier: GPL-2.0-only
"""
A side of the comparison: a router between two bare interfaces, which translates by nftables or
by tenantnat. All sides have the same addresses, MAC addresses and neighbours:

    outside: eth0 ---- router: shared0, lan0, up0 ---- vm: eth0, provider: eth0

The ends have no addresses; they only send and record frames. The uplink up0 is not inside.
"""
import errno
import os
import select
import time

from cli import Cli
from defs import Definitions, Tenant
from generate import (BEHIND_UPLINK, HOSTS, MAC_INSIDE, MAC_OUTSIDE, MAC_PROVIDER, MAC_SHARED,
                      MAC_UPLINK, MAC_VM, MAPPINGS, ROUTER_INSIDE, ROUTER_SHARED, ROUTER_UPLINK,
                      SENTINEL, UNMAPPED_SHARED, UNMAPPED_VM, sentinel)
from net import Namespace, veth
from sniffer import PACKET_OUTGOING, packet_socket
from wire import HOP_OPTIONS, ICMP_V6, IGMP, V4, V6, word

PACKET_IGNORE_OUTGOING, SOL_PACKET = 23, 263
WAIT = 5
SUBNETS = ("100.64.0.0/16", "fd64::/64")
POOL = ("100.64.1.0/24", "100.64.165.0/24", "fd64::1:0/112", "fd64::ffaa:1:0/112")

ROUTER = {
    # nothing is sent unasked, nothing is held back, and nothing is chosen by chance
    "ipv4__ip_forward": 1, "ipv4__icmp_ratemask": 0, "ipv4__icmp_ratelimit": 0,
    "ipv4__ipfrag_time": 600, "ipv6__conf__all__forwarding": 1, "ipv6__icmp__ratelimit": 0,
    # 127: nobody sends that one; the others are then not held to icmp_msgs_per_sec either
    "ipv6__icmp__ratemask": 127,
    "ipv6__auto_flowlabels": 0, "ipv6__ip6frag_time": 600,
}
DEVICE = {
    "ipv4__conf__{}__rp_filter": 0, "ipv4__conf__{}__send_redirects": 0,
    "ipv4__conf__{}__accept_redirects": 0, "ipv4__conf__{}__accept_source_route": 0,
    "ipv6__conf__{}__accept_dad": 0, "ipv6__conf__{}__dad_transmits": 0,
    "ipv6__conf__{}__accept_ra": 0, "ipv6__conf__{}__router_solicitations": 0,
    "ipv6__conf__{}__addr_gen_mode": 1, "ipv6__conf__{}__accept_redirects": 0,
}


def nft_rules():
    """Stateless: notrack, one map a direction, and `set`, which knows the checksums."""
    out = ["table inet nat {"]
    for version, family, kind in ((4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")):
        for name, first in (("fixed", 1), ("shared", 0)):
            pairs = ", ".join(f"{m[first]} : {m[1 - first]}" for m in MAPPINGS[version])
            out.append(f"map {name}{version} {{ type {kind} : {kind}; elements = {{ {pairs} }}; }}")
    out.append("chain before { type filter hook prerouting priority raw; policy accept; notrack")
    for version, family in ((4, "ip"), (6, "ip6")):
        out.append(f'iifname "shared0" {family} daddr set {family} daddr map @fixed{version}')
    out.append("}\nchain after { type filter hook postrouting priority mangle; policy accept;")
    for version, family in ((4, "ip"), (6, "ip6")):
        out.append(f'oifname "shared0" {family} saddr set {family} saddr map @shared{version}')
    return "\n".join(out + ["}", "}"]) + "\n"


def is_noise(frame):
    """What the kernel says about itself to its links: ARP, neighbour discovery, group reports."""
    kind = word(frame, 12)
    if kind == V4:
        return len(frame) > 23 and frame[23] == IGMP and frame[30] == 224
    if kind != V6 or len(frame) < 56:
        return kind != V6
    if frame[20] == HOP_OPTIONS:
        return frame[54] == ICMP_V6 and frame[38] == 0xff
    return frame[20] == ICMP_V6 and frame[54] in (133, 134, 135, 136) and \
        (frame[38] == 0xff or frame[22] == 0xfe)


class End:
    """A bare interface: what is sent into it, and what comes out of it."""

    def __init__(self, ns, device):
        self.out = packet_socket(ns, device)
        self.sock = packet_socket(ns, device, 1 << 24)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setblocking(False)
        self.device = device

    def send(self, frame):
        """False: it is too long for the link."""
        try:
            self.out.send(frame)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return False
        return True

    def take(self):
        """Frames that have come, as (frame, whether it was a sentinel)."""
        while True:
            try:
                frame, where = self.sock.recvfrom(1 << 16)
            except BlockingIOError:
                return
            if where[2] != PACKET_OUTGOING and not is_noise(frame):
                yield frame, SENTINEL in frame

    def close(self):
        self.sock.close()
        self.out.close()


class Side:
    """A router and its three ends; `run` sends one frame and gives all that comes of it."""

    def __init__(self, name):
        self.name, self.serial, self.ends = name, 0, {}
        self.spaces = {part: Namespace(f"{name}-{part}") for part in ("outside", "router", "vm", "provider")}
        self.router = self.spaces["router"]
        self._build()

    def _build(self):
        outside, vm, router, provider = (self.spaces[n]
                                         for n in ("outside", "vm", "router", "provider"))
        for end in (outside, vm, provider):
            end.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        router.sysctl(**ROUTER)
        router.sysctl(**{key.format(d): v for key, v in DEVICE.items() for d in ("all", "default")})
        veth(router, "shared0", outside, "eth0", 20)
        veth(router, "lan0", vm, "eth0", 30)
        veth(router, "up0", provider, "eth0", 40)
        router.sysctl(**{key.format(device): value for key, value in DEVICE.items()
                         for device in ("shared0", "lan0", "up0")})
        for ns, device, mac in ((router, "shared0", MAC_SHARED), (router, "lan0", MAC_INSIDE),
                                (router, "up0", MAC_UPLINK), (outside, "eth0", MAC_OUTSIDE),
                                (vm, "eth0", MAC_VM), (provider, "eth0", MAC_PROVIDER)):
            ns.ip(f"link set {device} address {mac.hex(':')}")
        for ns in (outside, vm, provider):
            ns.ip("link set eth0 arp off")
        router.ip("link set lo up", *(
            f"addr add {a}/{n} dev {d}{' nodad' if v == 6 else ''}"
            for v, a, n, d in ((4, ROUTER_SHARED[4], 16, "shared0"),
                               (4, ROUTER_INSIDE[4], 24, "lan0"),
                               (6, ROUTER_SHARED[6], 64, "shared0"),
                               (6, ROUTER_INSIDE[6], 64, "lan0"))),
                  f"addr add {ROUTER_UPLINK[4]}/24 dev up0",
                  f"addr add {ROUTER_UPLINK[6]}/64 dev up0 nodad",
                  # not unreachable: the kernel says that only so often
                  "route add blackhole default", "route add blackhole ::/0")
        self._neighbours()

    def _neighbours(self):
        """Everybody's MAC address is known, so that no frame waits for an answer."""
        lines = []
        for v in (4, 6):
            shared = [*HOSTS[v], UNMAPPED_SHARED[v], *(m[1] for m in MAPPINGS[v])]
            inside = [UNMAPPED_VM[v], *(m[0] for m in MAPPINGS[v])]
            lines += [f"neigh replace {a} lladdr {mac.hex(':')} nud permanent dev {device}"
                      for addresses, mac, device in ((shared, MAC_OUTSIDE, "shared0"),
                                                     (inside, MAC_VM, "lan0")) for a in addresses]
        lines += [f"neigh replace {a} lladdr {MAC_PROVIDER.hex(':')} nud permanent dev up0"
                  for v in (4, 6) for a in BEHIND_UPLINK[v]]
        self.router.ip(*lines)

    def lead_astray(self, on):
        """The routes to some lead to the uplink, or do so no more."""
        self.router.ip(*(f"route {'add' if on else 'del'} {a}/{32 if v == 4 else 128} dev up0"
                         for v in (4, 6) for a in BEHIND_UPLINK[v]))

    def connect(self):
        """Once nothing is going to change any more: the sockets at both ends."""
        for ns, device in ((self.router, "shared0"), (self.router, "lan0"),
                           (self.router, "up0")):
            # what is put together on the way would not come in the order in which it was sent
            ns.run("ethtool", "-K", device, "gro", "off", check=False)
        self.ends = {"in": End(self.spaces["outside"], "eth0"),
                     "out": End(self.spaces["vm"], "eth0"),
                     "up": End(self.spaces["provider"], "eth0")}
        for way in self.ends:
            self.run(way, None)

    def mtu(self, device, size):
        """Of both ends of a link."""
        self.router.ip(f"link set {device} mtu {size}")
        self.spaces["outside" if device == "shared0" else "vm"].ip(f"link set eth0 mtu {size}")

    def run(self, way, frame):
        """
        What comes out, as ([frames on the shared network], [frames at the VM], [frames at the
        uplink]). It is all that comes before a sentinel that was sent behind it. None: it could
        not be sent.
        """
        here = self.ends[way]
        self.serial += 1
        if frame and not here.send(frame):
            return None
        here.send(sentinel(way, self.serial))
        mark, end = SENTINEL + b"%d" % self.serial, time.monotonic() + WAIT
        got = {"in": [], "out": [], "up": []}
        while True:
            seen = False
            for name, port in self.ends.items():
                for found, special in port.take():
                    if not special:
                        got[name].append(found)
                    elif found.endswith(mark):
                        seen = True
            if seen:
                return got["in"], got["out"], got["up"]
            left = end - time.monotonic()
            assert left > 0, f"{self.name}: nothing passes any more"
            select.select([port.sock for port in self.ends.values()], [], [], left)

    def prepare(self, scratch, binary):
        """Have it translate."""
        raise NotImplementedError

    def drops(self):
        return {}

    def close(self):
        for end in self.ends.values():
            end.close()
        for ns in self.spaces.values():
            ns.remove()


class Nftables(Side):
    """The oracle."""

    def prepare(self, scratch, binary):
        path = os.path.join(scratch, "nat.nft")
        with open(path, "w", encoding="ascii") as f:
            f.write(nft_rules())
        self.router.run("nft", "-f", path)


class Tenantnat(Side):
    """The side under test, with one of the hooks."""

    def __init__(self, name):
        super().__init__(name)
        self.hook, self.cli = name, None

    def prepare(self, scratch, binary):
        self.cli = Cli(binary, os.path.join(scratch, self.name), f"/sys/fs/bpf/{self.name}")
        router = {"netns": self.router.name, "shared": "shared0", "inside": "[lan0]",
                  "hook": self.hook}
        mappings = [pair for v in (4, 6) for pair in MAPPINGS[v]]
        others = [("10.9.9.9", HOSTS[4][1]), ("fd00:9::9", HOSTS[6][1])]
        # nftables knows no tenants: whoever sends is of one, and red accepts them all
        hosts = [f"{host}/{32 if v == 4 else 128}" for v in (4, 6) for host in HOSTS[v][::2]]
        self.cli.apply(Definitions(
            Tenant("red", *mappings, router=router, pool=POOL),
            Tenant("blue", *others, pool=[HOSTS[4][1] + "/32", HOSTS[6][1] + "/128"]),
            Tenant("green", pool=hosts),
            subnets=SUBNETS).write(os.path.join(scratch, self.name + ".yaml")))

    def drops(self):
        return {reason: count for (_, reason), count in self.cli.drops().items() if count}

    def close(self):
        if self.cli:
            self.cli.run("detach", "--all", code=None)
        super().close()

