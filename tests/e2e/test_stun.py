# SPDX-License-Identifier: GPL-2.0-only
"""
What STUN (RFC 3489) finds out about the translation that it crosses. Its server needs two
addresses, and tells of them in its answers, so it has to know the shared ones: its VM has them on
its loopback interface, and exchanges them for its private ones by itself, without state.
"""
import contextlib
import re
import signal
import subprocess

from case import equal, eventually, hook
from lab import BLUE1, FIXED, RED1
from traffic import new_port

SECOND_FIXED, SECOND = "10.0.0.8", "100.64.2.8"
PORTS = (3478, 3479)
RULES = f"""
table ip self {{
    map here {{ type ipv4_addr : ipv4_addr; elements = {{ {FIXED} : {BLUE1}, \
{SECOND_FIXED} : {SECOND} }}; }}
    map there {{ type ipv4_addr : ipv4_addr; elements = {{ {BLUE1} : {FIXED}, \
{SECOND} : {SECOND_FIXED} }}; }}
    chain in {{
        type filter hook prerouting priority raw;
        ip daddr set ip daddr map @here
    }}
    chain out {{
        type filter hook postrouting priority raw;
        ip saddr set ip saddr map @there
    }}
}}
"""


@contextlib.contextmanager
def server(lab):
    """In blue1, with two mappings."""
    lab.apply(lab.definitions().mapping("blue", SECOND_FIXED, SECOND))
    lab.blue1.ip(f"addr add {SECOND_FIXED}/24 dev eth0",
                 *(f"addr add {address}/32 dev lo" for address in (BLUE1, SECOND)))
    lab.blue1.run("nft", "-f", lab.put("self.nft", RULES))
    argv = ["nsenter", f"--net={lab.blue1.path}", "stund", "-h", BLUE1, "-a", SECOND]
    try:
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as running:
            try:
                eventually(lambda: equal(listening(lab.blue1), 4, "sockets of the server"))
                yield
            finally:
                running.send_signal(signal.SIGTERM)
    finally:
        lab.blue1.run("nft", "delete", "table", "ip", "self")
        lab.blue1.ip(f"addr del {SECOND_FIXED}/24 dev eth0",
                     *(f"addr del {address}/32 dev lo" for address in (BLUE1, SECOND)))
        lab.apply()


def listening(ns):
    said = ns.run("ss", "-Hnlu").stdout
    return len(re.findall(rf":(?:{PORTS[0]}|{PORTS[1]})\s", said))


def ask(ns, address, number, port):
    """(the address that answered, as whom it saw us) in one of the tests of RFC 3489, 10.1."""
    done = ns.run("stun", address, str(number), "-v", "-p", str(port), check=False)
    said = dict(re.findall(r"^(\w+) = (\S+)$", done.stdout + done.stderr, re.M))
    return said.get("SourceAddress", "").split(":")[0], said.get("MappedAddress")


@hook
def test_stun(lab):
    """An independent mapping, no filter, no change of port, and a hairpin."""
    with server(lab):
        said = lab.red1.run("stun", BLUE1, check=False).stdout
        assert "Primary: Independent Mapping, Independent Filter, preserves ports, will hairpin" \
            in said, said
        port = new_port()
        me = f"{RED1}:{port}"
        for number, address, answered in ((1, BLUE1, BLUE1), (1, SECOND, SECOND),
                                          (2, BLUE1, SECOND), (3, BLUE1, BLUE1)):
            equal(ask(lab.red1, address, number, port), (answered, me),
                  f"test {number} of {address}")
