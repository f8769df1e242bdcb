# SPDX-License-Identifier: GPL-2.0-only
"""
The topology that every test runs in, and one tenantnat that looks after it:

    red1  .5 -+
    red2  .6 -+ lan0                                     plain (100.64.0.250)
              +- red-lan ---- red   (100.64.0.2) --+        |
    red3 1.5 -+ lan1           |  (203.0.113.2)    +--- shared (a bridge)
                               |                   |        |
                outside --- uplink (a bridge)      |     green (100.64.0.4), a router without VMs
                 (.1)          |                   |
    blue1 .5 -+ lan0           |  (203.0.113.3)    |
    blue2 .6 -+- blue-lan --- blue  (100.64.0.3) --+

Every router has two LANs, 10.0.0.0/24 behind lan0 and 10.0.1.0/24 behind lan1, and is .1 in both. Its
default route is by up0 to outside, and tun0 is a VXLAN tunnel to there. Interfaces have the same
names and, within a kind of namespace, the same indexes. blue2 and red3 are not mapped. green is
defined by those tests only that attach and detach.

What routers put on the uplink is watched all the time: leaks() says what should not be there.

In a dual stack all of them have IPv6 addresses too, fd00:10::/64 and fd00:11::/64 in the LANs,
fd64::/64 on the shared network and 2001:db8:9::/64 on the uplink. Else IPv6 is off, so that nothing
is sent unasked.
"""
import contextlib
import os
import tempfile

from cli import Cli
from defs import Definitions, Tenant
from media import VLAN, Medium, has_vxlan
from net import Namespace, sh, veth
from sniffer import VXLAN, Sniffer, Tap, uplink_faults
from traffic import reach

SUBNET = "100.64.0.0/16"
FIXED, FIXED2, INSIDE = "10.0.0.5", "10.0.0.6", "10.0.0.1"
RED1, RED2, BLUE1 = "100.64.1.5", "100.64.1.6", "100.64.2.5"
RED, BLUE, GREEN, PLAIN = "100.64.0.2", "100.64.0.3", "100.64.0.4", "100.64.0.250"
UNMAPPED = "100.64.2.99"
FIXED3, INSIDE2 = "10.0.1.5", "10.0.1.1"        # behind lan1
OUTSIDE = "203.0.113.1"

SUBNET_V6 = "fd64::/64"
FIXED_V6, FIXED2_V6, INSIDE_V6 = "fd00:10::5", "fd00:10::6", "fd00:10::1"
RED1_V6, RED2_V6, BLUE1_V6 = "fd64::1:5", "fd64::1:6", "fd64::2:5"
RED_V6, BLUE_V6, GREEN_V6, PLAIN_V6 = "fd64::2", "fd64::3", "fd64::4", "fd64::250"
UNMAPPED_V6 = "fd64::2:99"
FIXED3_V6, INSIDE2_V6 = "fd00:11::5", "fd00:11::1"
OUTSIDE_V6 = "2001:db8:9::1"

ROUTERS = {"red": RED, "blue": BLUE, "green": GREEN}
ROUTERS_V6 = {"red": RED_V6, "blue": BLUE_V6, "green": GREEN_V6}
VMS = {"red1": FIXED, "red2": FIXED2, "red3": FIXED3, "blue1": FIXED, "blue2": FIXED2}
VMS_V6 = {"red1": FIXED_V6, "red2": FIXED2_V6, "red3": FIXED3_V6,
          "blue1": FIXED_V6, "blue2": FIXED2_V6}
# of the inside interfaces: the bridge and its port at the other end
LANS = {"lan0": ("br0", "prouter"), "lan1": ("br1", "prouter1")}
GATES = {"lan0": (INSIDE, INSIDE_V6), "lan1": (INSIDE2, INSIDE2_V6)}


def _addresses():
    """{namespace: {device: (its IPv4 address, its IPv6 address)}}, with the lengths of prefixes."""
    out = {"plain": {"shared0": (PLAIN + "/16", PLAIN_V6 + "/64")},
           "outside": {"eth0": (OUTSIDE + "/24", OUTSIDE_V6 + "/64")}}
    for i, name in enumerate(ROUTERS, 2):
        out[name] = {"shared0": (ROUTERS[name] + "/16", ROUTERS_V6[name] + "/64"),
                     **{device: (v4 + "/24", v6 + "/64") for device, (v4, v6) in GATES.items()},
                     "up0": (f"203.0.113.{i}/24", f"2001:db8:9::{i}/64"),
                     "tun0": (f"198.51.100.{i * 2}/31", f"2001:db8:{i}::2/64")}
        out["outside"]["tun-" + name] = (f"198.51.100.{i * 2 + 1}/31", f"2001:db8:{i}::1/64")
    return out | {name: {"eth0": (VMS[name] + "/24", VMS_V6[name] + "/64")} for name in VMS}


def lan_of(vm):
    """The router's interface to that VM."""
    return "lan1" if vm == "red3" else "lan0"


ADDRESSES = _addresses()
# default routes: by which device, and the gateways
DEFAULTS = {**{name: ("up0", OUTSIDE, OUTSIDE_V6) for name in ROUTERS},
            **{name: ("eth0", *GATES[lan_of(name)]) for name in VMS}}
SHARED_INDEX, INSIDE_INDEX, UP_INDEX = 20, 30, 40
INDEXES = {"lan0": INSIDE_INDEX, "lan1": INSIDE_INDEX + 1, "up0": UP_INDEX, "tun0": UP_INDEX + 1}

# A run with `clsact` is one with hook tc, told to do without tcx.
VARIANTS = {"tc": ("tc", {}), "xdp": ("xdp", {}), "xdp-generic": ("xdp-generic", {}),
            "clsact": ("tc", {"TENANTNAT_NO_TCX": "1"})}


class Lab:
    """All namespaces, by name as attributes (`red_lan` for red-lan), and `cli`."""

    def __init__(self, binary, scratch, variant, offload, medium="veth", forwarding="auto"):
        self.variant, self.offload, self.long, self.every = variant, offload, False, False
        self.forwarding = forwarding
        self.hook, env = VARIANTS[variant]
        self.scratch = tempfile.mkdtemp(prefix=f"{variant}-{offload}-{medium}-", dir=scratch)
        os.chmod(self.scratch, 0o755)
        self.medium = Medium(medium, self.scratch)
        self.ns, self.macs, self.plugged, self.dual = {}, {}, 0, False
        self._build()
        if medium == "ovs":     # whose first frames may be lost
            for one, other in (("plain", RED), ("plain", BLUE), ("red", BLUE)):
                reach(self.ns[one], other)
        self.cli = Cli(binary, os.path.join(self.scratch, "state"), env=env)
        self.sniffer = Sniffer(self.shared, self.scratch + "/frames",
                               ["p" + router for router in ROUTERS],
                               VLAN if medium == "vlan" else 0)
        self.tap = Tap(self.uplink, ["p" + router for router in (*ROUTERS, "spare")],
                       uplink_faults)

    def __getattr__(self, name):
        try:
            return self.__dict__["ns"][name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None

    # what stands

    def _add(self, name):
        self.ns[name] = Namespace(name)
        self.ns[name].sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1,
                             ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0,
                             ipv4__icmp_ratelimit=0, ipv4__icmp_ratemask=0)
        self.ns[name].ip("link set lo up")
        return self.ns[name]

    def _bridge(self, name, *bridges):
        """Bridges that only bridge: they flood groups, and netfilter judges no frame."""
        self._add(name).sysctl(**{f"bridge__bridge-nf-call-{kind}": 0
                                  for kind in ("iptables", "ip6tables", "arptables")})
        for bridge in bridges or ("br0",):
            self.ns[name].ip(f"link add {bridge} type bridge mcast_snooping 0",
                             f"link set {bridge} up")

    def _build(self):
        self._bridge("shared")
        self._bridge("uplink")
        veth(self._add("outside"), "eth0", self.uplink, "poutside")
        self.uplink.ip("link set poutside master br0")
        self.settle("outside", "eth0")
        for name, address in ROUTERS.items():
            self._add(name).sysctl(ipv4__ip_forward=1)
            self._bridge(name + "-lan", *(bridge for bridge, _ in LANS.values()))
            self.plug(name, address)
            for device in LANS:
                self.plug_inside(name, device)
            self.plug_uplink(name)
        for name in VMS:
            vm, lan, bridge = self._add(name), self.ns[name[:-1] + "-lan"], LANS[lan_of(name)][0]
            veth(vm, "eth0", lan, "p" + name, INSIDE_INDEX)
            lan.ip(f"link set p{name} master {bridge}")
            self.settle(name, "eth0")
        # nobody looks after green most of the time
        self.green.sysctl(ipv4__conf__all__arp_ignore=1)
        self._add("plain")
        self.plug("plain", PLAIN)
        if self.offload == "off":
            for name in VMS:
                self.checksums(name, "eth0", False)

    def settle(self, name, *devices):
        """The addresses that these devices have in the lab, and the default routes by them."""
        lines = []
        gate, *hops = DEFAULTS.get(name, (None,))
        for device in devices:
            for six, address in enumerate(ADDRESSES[name][device][:1 + self.dual]):
                lines.append(f"addr replace {address} dev {device}" + " nodad" * six)
                lines += [f"route replace default via {hops[six]}"] if device == gate else []
        self.ns[name].ip(*lines)

    def plug_inside(self, name, device="lan0", index=None):
        """An inside interface of that router, which it does not have now."""
        router, lan, (bridge, port) = self.ns[name], self.ns[name + "-lan"], LANS[device]
        veth(router, device, lan, port, index or INDEXES[device])
        lan.ip(f"link set {port} master {bridge}")
        self.settle(name, device)
        for vm in VMS:      # which know another MAC address of it
            if vm in self.ns and (vm[:-1], lan_of(vm)) == (name, device):
                self.ns[vm].ip("neigh flush dev eth0")
        if self.offload == "off":
            self.checksums(name, device, False)

    def plug_uplink(self, name):
        """up0 of that router, which it does not have now, and the tunnel through it."""
        router, number = self.ns[name], list(ROUTERS).index(name)
        veth(router, "up0", self.uplink, "p" + name, INDEXES["up0"])
        self.uplink.ip(f"link set p{name} master br0")
        self.settle(name, "up0")
        if not has_vxlan():
            return
        own, other = ADDRESSES[name]["up0"][0].split("/")[0], "tun-" + name
        sh(["ip", "-n", self.outside.name, "link", "del", other], check=False)
        for ns, there, below, local, remote in (
                (router, f"tun0 index {INDEXES['tun0']}", "up0", own, OUTSIDE),
                (self.outside, other, "eth0", OUTSIDE, own)):
            ns.ip(f"link add {there} type vxlan id {number} dev {below} local {local} "
                  f"remote {remote} dstport {VXLAN}", f"link set {there.split()[0]} up")
        self.settle(name, "tun0")
        self.settle("outside", other)

    def plug(self, name, address):
        """Join a namespace to the shared network, where nobody has met it yet."""
        # a new address each time, and one for blue that looks like the start of an IPv6 header
        self.plugged += 1
        mac = f"{'66' if name == 'blue' else '02'}:00:64:40:{self.plugged:02x}:{len(name):02x}"
        self.medium.plug(name, self.ns[name], self.shared, mac, SHARED_INDEX)
        self.ns[name].ip(f"addr add {address}/16 dev shared0")
        if name in self.macs:
            self.forget()
        self.macs[name] = self.ns[name].mac("shared0")
        if self.offload == "off":
            self.checksums(name, "shared0", False)

    def forget(self):
        """Nobody remembers anybody on the shared network."""
        for ns in self.ns.values():
            sh(["ip", "-n", ns.name, "neigh", "flush", "dev", "shared0"], check=False)

    def spare_router(self, name="spare"):
        """A router to be destroyed by a test; there is nobody behind it."""
        # of the one before, whose namespace may be held
        sh(["ip", "-n", self.uplink.name, "link", "del", "pspare"], check=False)
        spare = Namespace(name)
        veth(spare, "shared0", self.shared, "pspare", SHARED_INDEX)
        for device in LANS:
            veth(spare, device, spare, "to-" + device, INDEXES[device])
        veth(spare, "up0", self.uplink, "pspare", INDEXES["up0"])
        self.uplink.ip("link set pspare master br0")
        self.shared.ip("link set pspare master br0")
        spare.ip("addr add 100.64.0.5/16 dev shared0", "addr add 203.0.113.5/24 dev up0",
                 f"route add default via {OUTSIDE}")
        self.forget()
        reach(self.plain, "100.64.0.5")     # until the bridge forwards
        return spare

    @contextlib.contextmanager
    def beyond(self, gate, bridge, far, *, gates, fars, route):
        """
        Two more hosts, meanwhile: `gate` on that bridge, which forwards to `far`, of which nobody
        else knows. Addresses are by family; `route` is what far has as its first hops.
        """
        near, host = self._add(gate), self._add(far)
        try:
            veth(near, "eth0", bridge, "p" + gate)
            veth(near, "far0", host, "eth0")
            bridge.ip(f"link set p{gate} master br0")
            for ns in (near, host):
                quiet = {f"ipv6__conf__{device}__{key}": 0 for device in ("all", "eth0", "far0")
                         for key in ("accept_dad", "accept_ra", "router_solicitations")}
                ns.sysctl(**quiet, ipv6__icmp__ratelimit=0, ipv4__ip_forward=1)
                ns.sysctl(ipv6__conf__all__disable_ipv6=0, ipv6__conf__all__forwarding=1)
            for address, there, hop in zip(gates, fars, route):
                near.ip(f"addr add {address} dev eth0", f"addr add {hop}/32 dev far0"
                        if "." in hop else f"addr add {hop}/128 dev far0",
                        f"route add {there} dev far0")
                host.ip(f"addr add {there} dev eth0", f"route add {hop} dev eth0",
                        f"route add default via {hop}")
            for ns in self.ns.values():     # others may have had these addresses
                sh(["ip", "-n", ns.name, "neigh", "flush", "all"], check=False)
            yield near, host
        finally:
            # a namespace takes its time to go, and until then its veths have the peers' names
            with contextlib.suppress(RuntimeError):
                near.ip("link del eth0", "link del far0")
            for name in (gate, far):
                self.ns.pop(name).remove()

    def checksums(self, name, device, offloaded):
        """Whether the device's sender leaves checksums and segments to the device."""
        state = "on" if offloaded else "off"
        below = ["phys0"] if device == "shared0" and self.medium.has_phys(name) else []
        for each in [*below, device]:
            self.ns[name].run("ethtool", "-K", each, "tx", state, "rx", state, "tso", state,
                              "gso", state, "gro", state, check=False)

    def close(self):
        self.sniffer.close()
        self.tap.close()
        self.cli.run("detach", "--all", code=None)
        self.medium.close()
        for ns in self.ns.values():
            ns.remove()

    # what is defined

    def router(self, name):
        more = {} if self.forwarding == "auto" else {"forwarding": self.forwarding}
        return {"netns": self.ns[name].name, "shared": "shared0", "inside": f"[{', '.join(LANS)}]",
                "hook": self.hook, **more}

    def definitions(self):
        """What every test finds in force, and leaves in force."""
        return Definitions(
            Tenant("red", (FIXED, RED1, "db"), (FIXED2, RED2), router=self.router("red"),
                   pool=["100.64.1.0/24"]),
            Tenant("blue", (FIXED, BLUE1), router=self.router("blue"), pool=["100.64.2.0/24"]),
            Tenant("plain", ("10.9.9.9", PLAIN), pool=[PLAIN + "/32"]))

    def dual_definitions(self):
        """What is in force in a dual stack."""
        both = self.definitions()
        both.subnets = (SUBNET, SUBNET_V6)
        both["red"].mappings += [(FIXED_V6, RED1_V6, None), (FIXED2_V6, RED2_V6, None)]
        both["red"].pool.append("fd64::1:0/112")
        both["blue"].mappings.append((FIXED_V6, BLUE1_V6, None))
        both["blue"].pool.append("fd64::2:0/112")
        both["plain"].mappings.append(("fd00:99::9", PLAIN_V6, None))
        both["plain"].pool.append(PLAIN_V6 + "/128")
        return both

    def enter_dual_stack(self):
        """IPv6 addresses and mappings everywhere; the next test without a need of them ends it."""
        if not self.dual:
            self.dual = True
            for name in ADDRESSES:
                self._enable_v6(name)
            self.apply(self.dual_definitions())

    def leave_dual_stack(self):
        if self.dual:
            self.dual = False
            for name in ADDRESSES:
                self.ns[name].sysctl(ipv6__conf__all__disable_ipv6=1)
            self.apply()

    def _enable_v6(self, name):
        ns, devices = self.ns[name], self.devices(name)
        quiet = {f"ipv6__conf__{device}__{key}": 0 for device in ("all", *devices)
                 for key in ("accept_dad", "accept_ra", "router_solicitations")}
        ns.sysctl(**quiet, ipv6__icmp__ratelimit=0, ipv6__icmp__ratemask=127)
        ns.sysctl(ipv6__conf__all__disable_ipv6=0)
        if name in ROUTERS:
            ns.sysctl(ipv6__conf__all__forwarding=1)
        self.settle(name, *devices)

    def devices(self, name):
        """Those of a namespace that have addresses in the lab and are there."""
        there = [link["ifname"] for link in self.ns[name].links()]
        return [device for device in ADDRESSES[name] if device in there]

    def green_tenant(self, netns=None):
        router = self.router("green")
        router["netns"] = netns.name if netns else router["netns"]
        return Tenant("green", (FIXED, "100.64.3.5"), router=router, pool=["100.64.3.0/24"])

    def write(self, definitions, name="defs.yaml"):
        return definitions.write(os.path.join(self.scratch, name))

    def apply(self, definitions=None, *args):
        """Put definitions in force, those of definitions() when none are given."""
        return self.cli.apply(self.write(definitions or self.definitions()), *args)

    def reset(self):
        """After a test that failed: back to what the next one expects."""
        with contextlib.suppress(AssertionError):
            self.leave_dual_stack()
        for name in ROUTERS:
            self.mend(name)
        path = self.write(self.definitions())
        if self.cli.run("apply", "--yes", "-f", path, code=None).returncode:
            for name in ("red", "blue"):    # something stands in the way on the interfaces
                self.medium.unplug(name, self.ns[name])
                self.plug(name, ROUTERS[name])
            self.cli.run("apply", "--yes", "-f", path, code=None)

    def mend(self, name):
        """All that the lab gives to a router and that it has lost: interfaces, addresses, routes."""
        there = self.devices(name)
        if "shared0" not in there:
            self.plug(name, ROUTERS[name])
        for device in LANS:
            if device not in there:
                self.plug_inside(name, device)
        if "up0" not in there:
            self.plug_uplink(name)
        there = self.devices(name)
        self.ns[name].ip(*(f"link set {device} up" for device in there))
        self.settle(name, *there)

    def leaks(self):
        """{what should not have been on the uplink: a frame that shows it} since the last call."""
        return self.tap.faults()[0]

    def put(self, name, text):
        """A file with that text in the scratch directory."""
        path = os.path.join(self.scratch, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def checksum_errors(self):
        """{(namespace, counter): how many} of those that are not zero, in all namespaces."""
        return {(name, key): value for name, ns in self.ns.items()
                for key, value in ns.snmp().items() if "InCsumErrors" in key and value}
