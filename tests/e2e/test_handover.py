# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of routers and VMs that go, or change hands, within one change."""
from scapy.all import ICMP, IP, UDP, Ether, ICMPv6EchoReply, IPv6

from case import equal, once
from inject import Strace
from lab import PLAIN_V6
from pair import PLAIN, ROUTERS, ROUTERS_V6, Pair
from traffic import Watch, send_frames


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
