# SPDX-License-Identifier: GPL-2.0-only
"""
The topology that every test runs in, and one tenantnat that looks after it:

    red1  .5 -+                                          plain (100.64.0.250)
    red2  .6 -+- red-lan --- red   (100.64.0.2) --+        |
                                                  +--- shared (a bridge)
    blue1 .5 -+                                   |        |
    blue2 .6 -+- blue-lan -- blue  (100.64.0.3) --+   green (100.64.0.4), a router without VMs

Every LAN is 10.0.0.0/24 with its router at .1. Interfaces have the same names and, within a
kind of namespace, the same indexes. blue2 is not mapped. green is defined by those tests only
that attach and detach.

In a dual stack all of them have IPv6 addresses too, fd00:10::/64 in every LAN and fd64::/64
on the shared network. Else IPv6 is off, so that nothing is sent unasked.
"""
import contextlib
import os
import tempfile

from case import eventually
from cli import Cli
from defs import Definitions, Tenant
from media import VLAN, Medium
from net import Namespace, sh, veth
from sniffer import Sniffer
from traffic import ping

SUBNET = "100.64.0.0/16"
FIXED, FIXED2, INSIDE = "10.0.0.5", "10.0.0.6", "10.0.0.1"
RED1, RED2, BLUE1 = "100.64.1.5", "100.64.1.6", "100.64.2.5"
RED, BLUE, GREEN, PLAIN = "100.64.0.2", "100.64.0.3", "100.64.0.4", "100.64.0.250"
UNMAPPED = "100.64.2.99"

SUBNET_V6 = "fd64::/64"
FIXED_V6, FIXED2_V6, INSIDE_V6 = "fd00:10::5", "fd00:10::6", "fd00:10::1"
RED1_V6, RED2_V6, BLUE1_V6 = "fd64::1:5", "fd64::1:6", "fd64::2:5"
RED_V6, BLUE_V6, GREEN_V6, PLAIN_V6 = "fd64::2", "fd64::3", "fd64::4", "fd64::250"
UNMAPPED_V6 = "fd64::2:99"

ROUTERS = {"red": RED, "blue": BLUE, "green": GREEN}
VMS = {"red1": FIXED, "red2": FIXED2, "blue1": FIXED, "blue2": FIXED2}
SHARED_V6 = {"red": RED_V6, "blue": BLUE_V6, "green": GREEN_V6, "plain": PLAIN_V6}
VMS_V6 = {"red1": FIXED_V6, "red2": FIXED2_V6, "blue1": FIXED_V6, "blue2": FIXED2_V6}
SHARED_INDEX, INSIDE_INDEX = 20, 30

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
                eventually(lambda one=one, other=other: ping(self.ns[one], other), 10)
        self.cli = Cli(binary, os.path.join(self.scratch, "state"), env=env)
        self.sniffer = Sniffer(self.shared, self.scratch + "/frames",
                               ["p" + router for router in ROUTERS],
                               VLAN if medium == "vlan" else 0)

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

    def _bridge(self, name):
        """A bridge that only bridges: it floods groups, and netfilter judges no frame."""
        self._add(name).sysctl(**{f"bridge__bridge-nf-call-{kind}": 0
                                  for kind in ("iptables", "ip6tables", "arptables")})
        self.ns[name].ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")
        return self.ns[name]

    def _build(self):
        self._bridge("shared")
        for name, address in ROUTERS.items():
            router, lan = self._add(name), self._bridge(name + "-lan")
            router.sysctl(ipv4__ip_forward=1)
            self.plug(name, address)
            veth(router, "lan0", lan, "prouter", INSIDE_INDEX)
            lan.ip("link set prouter master br0")
            router.ip(f"addr add {INSIDE}/24 dev lan0")
        for name, address in VMS.items():
            vm, lan = self._add(name), self.ns[name[:-1] + "-lan"]
            veth(vm, "eth0", lan, "p" + name, INSIDE_INDEX)
            lan.ip(f"link set p{name} master br0")
            vm.ip(f"addr add {address}/24 dev eth0", f"route add default via {INSIDE}")
        # nobody looks after green most of the time
        self.green.sysctl(ipv4__conf__all__arp_ignore=1)
        self._add("plain")
        self.plug("plain", PLAIN)
        if self.offload == "off":
            for name in ROUTERS:
                self.checksums(name, "lan0", False)
            for name in VMS:
                self.checksums(name, "eth0", False)

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
        spare = Namespace(name)
        veth(spare, "shared0", self.shared, "pspare", SHARED_INDEX)
        veth(spare, "lan0", spare, "to-lan0", INSIDE_INDEX)
        self.shared.ip("link set pspare master br0")
        spare.ip("addr add 100.64.0.5/16 dev shared0")
        self.forget()
        eventually(lambda: ping(self.plain, "100.64.0.5"))     # until the bridge forwards
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
            for name in (gate, far):
                self.ns.pop(name).remove()

    def checksums(self, name, device, offloaded):
        """Whether the device's sender leaves checksums and segments to the device."""
        state = "on" if offloaded else "off"
        below = ["up0"] if device == "shared0" and self.medium.has_uplink(name) else []
        for each in [*below, device]:
            self.ns[name].run("ethtool", "-K", each, "tx", state, "rx", state, "tso", state,
                              "gso", state, "gro", state, check=False)

    def close(self):
        self.sniffer.close()
        self.cli.run("detach", "--all", code=None)
        self.medium.close()
        for ns in self.ns.values():
            ns.remove()

    # what is defined

    def router(self, name):
        more = {} if self.forwarding == "auto" else {"forwarding": self.forwarding}
        return {"netns": self.ns[name].name, "shared": "shared0", "inside": "[lan0]",
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
            for name in [*SHARED_V6, *VMS_V6]:
                self._enable_v6(name)
            self.apply(self.dual_definitions())

    def leave_dual_stack(self):
        if self.dual:
            self.dual = False
            for name in [*SHARED_V6, *VMS_V6]:
                self.ns[name].sysctl(ipv6__conf__all__disable_ipv6=1)
            self.apply()

    def _enable_v6(self, name):
        ns, vm = self.ns[name], name in VMS_V6
        devices = ["eth0"] if vm else ["shared0", "lan0"] if name in ROUTERS else ["shared0"]
        quiet = {f"ipv6__conf__{device}__{key}": 0 for device in ("all", *devices)
                 for key in ("accept_dad", "accept_ra", "router_solicitations")}
        ns.sysctl(**quiet, ipv6__icmp__ratelimit=0, ipv6__icmp__ratemask=127)
        ns.sysctl(ipv6__conf__all__disable_ipv6=0)
        if name in ROUTERS:
            ns.sysctl(ipv6__conf__all__forwarding=1)
            ns.ip(f"addr add {INSIDE_V6}/64 dev lan0 nodad")
        if vm:
            ns.ip(f"addr add {VMS_V6[name]}/64 dev eth0 nodad",
                  f"route add default via {INSIDE_V6}")
        else:
            ns.ip(f"addr add {SHARED_V6[name]}/64 dev shared0 nodad")

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
        for name, address in ROUTERS.items():
            if "shared0" not in [link["ifname"] for link in self.ns[name].links()]:
                self.plug(name, address)
        path = self.write(self.definitions())
        if self.cli.run("apply", "-f", path, code=None).returncode:
            for name in ("red", "blue"):    # something stands in the way on the interfaces
                self.medium.unplug(name, self.ns[name])
                self.plug(name, ROUTERS[name])
            self.cli.run("apply", "-f", path, code=None)

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
