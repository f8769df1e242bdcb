# SPDX-License-Identifier: GPL-2.0-only
"""The same mappings for everybody: addresses, and the files that they are loaded from, by lines."""
import ipaddress

SHARED = 0x64500000     # 100.80.0.0; for IPv6 the end of fd64::
FIXED = 0x0a100000      # 10.16.0.0; the end of fd00:10::
PEER = {False: "100.64.0.9", True: "fd64::9"}
PREFIX = {"shared": int(ipaddress.ip_address("fd64::")),
          "fixed": int(ipaddress.ip_address("fd00:10::"))}
NFT_STATEFUL = """
    chain pre { type nat hook prerouting priority dstnat; dnat to FAMILY daddr map @in; }
    chain post { type nat hook postrouting priority srcnat; snat to FAMILY saddr map @out; }"""
NFT_STATELESS = """
    chain pre { type filter hook prerouting priority raw;
                FAMILY daddr set FAMILY daddr map @in; }
    chain post { type filter hook postrouting priority srcnat;
                 FAMILY saddr set FAMILY saddr map @out; }"""


def address(number, six, side):
    """Of a side: "shared" or "fixed"."""
    if six:
        return str(ipaddress.IPv6Address(PREFIX[side] + number))
    return ".".join(str(byte) for byte in number.to_bytes(4, "big"))


def pairs(count, six=False):
    """(shared, fixed)"""
    for i in range(count):
        yield address(SHARED + i, six, "shared"), address(FIXED + i, six, "fixed")


def nft(chains, count, six=False):
    """A table `bench` instead of the one that there is."""
    family, kind = ("ip6", "ipv6_addr") if six else ("ip", "ipv4_addr")
    yield from (f"table {family} bench", f"delete table {family} bench", f"table {family} bench {{")
    for name, key in (("in", 0), ("out", 1)):
        yield f"map {name} {{ type {kind} : {kind}; elements = {{"
        yield from (f"{pair[key]} : {pair[1 - key]}," for pair in pairs(count, six))
        yield "} }"
    yield from (chains.replace("FAMILY", family), "}")


def neutron(count):
    """Floating IPs as Neutron's L3 agent writes them: two rules each, in chains of its own."""
    yield from ("*nat", ":agent-PREROUTING - [0:0]", ":agent-float-snat - [0:0]",
                "-A PREROUTING -j agent-PREROUTING", "-A POSTROUTING -j agent-float-snat")
    for shared, fixed in pairs(count):
        yield f"-A agent-PREROUTING -d {shared}/32 -j DNAT --to-destination {fixed}"
        yield f"-A agent-float-snat -s {fixed}/32 -j SNAT --to-source {shared}"
    yield "COMMIT"


def definitions(router, accept, count, six=False, prefix=False):
    """
    A tenant `t` with that router and these mappings, or one of a prefix that has all of them, and the
    peer, a VM behind another one.
    """
    yield from ('shared-network: {subnets: [100.64.0.0/10, "fd64::/64"]}', "tenants:",
                "  - name: peer", "    mappings:",
                f"      - {{fixed: 10.0.0.9, shared: {PEER[False]}}}",
                f'      - {{fixed: "fd00::9", shared: "{PEER[True]}"}}',
                "  - name: t", f"    router: {{{router}}}", f"    accept: {accept}",
                "    mappings:")
    length = f"/{(128 if six else 32) - (count - 1).bit_length()}" if prefix else ""
    for shared, fixed in pairs(1 if prefix else count, six):
        yield f'      - {{fixed: "{fixed}{length}", shared: "{shared}{length}"}}'


def write(path, lines):
    with open(path, "w", encoding="ascii") as f:
        f.writelines(line + "\n" for line in lines)
    return path
