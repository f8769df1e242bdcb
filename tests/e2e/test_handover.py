# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of routers and VMs that go, or change hands, within one change."""
import json
import os
import random

from scapy.all import ICMP, IP, UDP, Ether, ICMPv6EchoReply, IPv6

from case import equal, once
from defs import Definitions, Tenant, quoted
from inject import Strace
from lab import PLAIN_V6, SUBNET, SUBNET_V6
from pair import PLAIN, ROUTERS, ROUTERS_V6, Pair
from routers import Routers
from snapshot import difference, unchanged
from traffic import Watch, ping, send_frames


def late_answers(pair):
    """What hosts that were asked before may still send to the addresses of red."""
    here, there = pair.ns["wire"].mac("br0"), pair.ns["red"].mac("shared0")
    frame = Ether(src=here, dst=there)
    return [frame / IP(src=PLAIN, dst=ROUTERS["red"]) / ICMP(type=0),
            frame / IP(src=PLAIN, dst=ROUTERS["red"]) / UDP(sport=53, dport=9),
            frame / IPv6(src=PLAIN_V6, dst=ROUTERS_V6["red"]) / ICMPv6EchoReply()]


def is_of_us(pair):
    """Whether a frame on the uplink is about an address of red on the shared network."""
    addresses = [bytes(IP(dst=ROUTERS["red"]))[16:20], bytes(IPv6(dst=ROUTERS_V6["red"]))[24:40]]
    return lambda frame: any(address in frame for address in addresses)


def moments_of_leaving(some):
    """The calls that take addresses and routes from the kernel: the first, the last, and one between."""
    gone = [call for call in some if call.phase == "detach" and call.name.startswith("send")]
    assert len(gone) > 4, f"hardly anything was taken from the kernel: {gone}"
    return gone[0], gone[len(gone) // 2], gone[-1]


def leaving(lab, name, words, back, alone):
    """red leaves, and is stopped on the way; what comes late for it goes nowhere."""
    pair = Pair(lab, name, bare=("red",), six=True)
    try:
        strace, defs = Strace(pair), pair.alone() if alone else pair.both()
        joined = pair.write(defs, "joined")
        defs.tenants = [tenant for tenant in defs.tenants if tenant.name != "red"]
        pair.write(defs, "left")
        words = [word.replace("FILE", pair.scratch + "/left.yaml") for word in words]
        pair.cli.apply(joined)
        some = strace.trace(*words)[1]
        for call in moments_of_leaving(some):
            pair.cli.run(*(word.replace("FILE", joined) for word in back))
            pair.forward("red", True)
            with strace.stopped(call, *words) as run, Watch(pair.ns["outside"], "pred") as uplink:
                send_frames(pair.ns["wire"], "br0", late_answers(pair))
                # what is sent behind it comes behind it
                pair.ns["red"].run("ping", "-nqc1", "-W5", "203.0.113.1")
                uplink.until(lambda frame: False, 0.1)
            equal(run.returncode, 0, f"exit ({run.complained})")
            found = [frame.hex() for frame in uplink.frames if is_of_us(pair)(frame)]
            equal(found, [], f"frames on the uplink, stopped behind {call}")
    finally:
        pair.close()


@once
def test_late_answer_while_detached(lab):
    """With the last router the maps go, and their rows with them: own addresses are forgotten first."""
    leaving(lab, "late", ["detach", "red"], ["apply", "-f", "FILE"], True)


@once
def test_late_answer_while_removed(lab):
    """The same of a tenant that a file names no more, while another router stays."""
    leaving(lab, "later", ["apply", "-f", "FILE"], ["apply", "-f", "FILE"], False)


# ---------------------------------------------------------------- there and back

PINNED = [[f"100.64.200.{i}" for i in range(1, 21)], [f"fd64::200:{i}" for i in range(1, 21)]]
NAMES = ["red", "blue", "green", "pink", "cyan"]


class Dice:
    """
    Random definitions of a lab of routers, in which names and addresses are few. What is pinned in
    one is pinned in all that have it: who lets go of a pin keeps the address.
    """

    def __init__(self, lab, seed):
        self.lab, self.seed, self.dice = lab, seed, random.Random(seed)

    def chance(self, share):
        return self.dice.random() < share

    def pin(self, tenant, what, free):
        """One of the free addresses, or none if this is not pinned here."""
        pinned = random.Random(f"{self.seed} {tenant} {what}").random() < 0.6
        return free.pop() if pinned else None

    def some(self, things, most):
        return self.dice.sample(things, self.dice.randint(0, most))

    def definitions(self):
        # what is a router's may be a VM's the next time
        free = [self.dice.sample(PINNED[family], len(PINNED[family])) for family in range(2)]
        names = self.dice.sample(NAMES, self.dice.randint(1, len(NAMES) - 1))
        places = self.dice.sample(range(len(self.lab.ns)), len(self.lab.ns))
        return Definitions(*(self.tenant(name, places, free, names) for name in names),
                           subnets=(SUBNET, SUBNET_V6))

    def tenant(self, name, places, free, names):
        router = None
        if places and self.chance(0.8):
            router = self.lab.of(places.pop(), sources=self.dice.choice(["strict", "loose"]))
            own = [self.pin(name, f"own {family}", free[family]) for family in range(2)]
            if any(own):
                router["address"] = f"[{', '.join(quoted([a for a in own if a]))}]"
        mappings = [(prefix + str(host), self.pin(name, prefix + str(host), free[family]),
                     self.dice.choice([None, f"vm{host}"]))
                    for family, prefix in enumerate(["10.0.0.", "fd00:10::"])
                    for host in self.some(range(5, 9), 3)]
        accept = [{"from": [self.dice.choice(names)]} for _ in range(self.dice.randint(0, 2))]
        return Tenant(name, *mappings, router=router, accept=accept)


def there_and_back(lab, dice, number):
    """From one file to another, and back: as it was, byte for byte."""
    one, other = (lab.write(dice.definitions(), name) for name in ("one", "other"))
    lab.cli.apply(one)
    before = lab.picture()
    lab.cli.apply(other)
    equal(lab.cli.apply(other), ["nothing to be done"], f"pair {number}: the other once more")
    lab.cli.apply(one)
    found = difference(before, lab.picture())
    assert not found, f"pair {number}: not as before: {found[:1500]}"
    equal(lab.cli.apply(one), ["nothing to be done"], f"pair {number}: the one once more")
    lab.forget()


@once
def test_there_and_back(lab):
    """
    Names, routers and addresses change hands at random, and go back: nothing stands in the way, with
    all probes, and in the end all is as at first. HANDOVER_SEED and HANDOVER_PAIRS: from which pair
    on, and how many.
    """
    routers = Routers(lab, "hands", 3)
    try:
        first = int(os.environ.get("HANDOVER_SEED", "1"))
        count = int(os.environ.get("HANDOVER_PAIRS", "100" if lab.long else "6"))
        for number in range(first, first + count):
            there_and_back(routers, Dice(routers, number), number)
    finally:
        routers.close()


def swapped(routers, first, second, **more):
    """Two routers with each other's addresses."""
    defs = Definitions(*(Tenant(name, ("10.0.0.5", shared), ("fd00:10::5", shared_v6),
                                router=routers.of(number, address=f'[{own}, "{own_v6}"]', **more))
                         for number, (name, (shared, shared_v6), (own, own_v6)) in
                         enumerate(zip(("red", "blue"), first, second))),
                       subnets=(SUBNET, SUBNET_V6))
    return routers.write(defs, "defs")


@once
def test_addresses_swapped(lab):
    """Of two routers, of their VMs, of a router and a VM; also where the kernel answers for VMs."""
    routers = Routers(lab, "swap", 2)
    sets = [(f"100.64.200.{i}", f"fd64::200:{i}") for i in range(1, 5)]
    try:
        for ns in routers.ns:
            ns.sysctl(ipv6__conf__shared0__proxy_ndp=1)
        for order in ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 0, 1, 2), (1, 2, 3, 0)):
            a, b, c, d = (sets[i] for i in order)
            path = swapped(routers, (a, b), (c, d))
            routers.cli.apply(path)
            equal(routers.cli.apply(path), ["nothing to be done"], f"{order} once more")
            own = [{a["local"] for link in json.loads(ns.run("ip", "-j", "addr", "show", "shared0")
                    .stdout) for a in link["addr_info"] if not a["local"].startswith("fe80")}
                   for ns in routers.ns]
            equal(own, [set(c), set(d)], f"{order}: addresses of the routers")
            for address in (*c, *d):
                ping(routers.wire, address)
    finally:
        routers.close()


@once
def test_swap_is_taken_back(lab):
    """A probe fails when addresses have changed hands already: each has its own again."""
    routers = Routers(lab, "unswap", 2)
    sets = [(f"100.64.200.{i}", f"fd64::200:{i}") for i in range(1, 5)]
    try:
        first = swapped(routers, (sets[0], sets[1]), (sets[2], sets[3]))
        routers.cli.apply(first)
        before = routers.picture()
        taken = ("100.64.200.9", "fd64::200:9")
        routers.wire.ip(f"addr add {taken[0]}/32 dev br0")
        said = routers.cli.fails(
            "apply", "-f", swapped(routers, (sets[2], taken), (sets[3], sets[0])))
        assert "probe `duplicate` of 100.64.200.9" in said, said
        unchanged(before, routers.picture(), "a swap that failed")
    finally:
        routers.close()
