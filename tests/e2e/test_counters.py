# SPDX-License-Identifier: GPL-2.0-only
"""Packets and bytes of each mapping."""
import re
import socket

from scapy.all import IP, UDP, Ether

from case import datapath, equal, once
from lab import BLUE1, FIXED, FIXED2, PLAIN, RED1
from traffic import bulk, client, ping, send_frames, server

RED1_IS, RED2_IS, BLUE1_IS = ("red", FIXED), ("red", FIXED2), ("blue", FIXED)


def grown(lab, traffic):
    """How the counters of each mapping grew: (in packets, bytes, out packets, bytes)"""
    before = lab.cli.counters()
    traffic()
    after = lab.cli.counters()
    return {key: tuple(after[key][way][unit] - before[key][way][unit]
                       for way in ("in", "out") for unit in ("packets", "bytes"))
            for key in (RED1_IS, RED2_IS, BLUE1_IS)}


@datapath
def test_counters_are_exact(lab):
    """Known datagrams in and out: each mapping counts its own, and IP bytes."""
    def traffic():
        there, port = server(lab.blue1, socket.SOCK_DGRAM)
        here = client(lab.red1, socket.SOCK_DGRAM, BLUE1, port)
        with there, here:
            for _ in range(7):
                here.send(bytes(100))
            peer = [there.recvfrom(200)[1] for _ in range(7)][0]
            for _ in range(3):
                there.sendto(bytes(1001), peer)
            for _ in range(3):
                here.recv(2000)

    there_bytes, back_bytes = 7 * (28 + 100), 3 * (28 + 1001)
    equal(grown(lab, traffic), {RED1_IS: (3, back_bytes, 7, there_bytes), RED2_IS: (0, 0, 0, 0),
                                BLUE1_IS: (7, there_bytes, 3, back_bytes)}, "counted")


@datapath
def test_counters_without_padding(lab):
    """A short frame is padded on the wire; bytes are those of the IP packet."""
    def traffic():
        there, port = server(lab.blue1, socket.SOCK_DGRAM)
        packet = IP(src=PLAIN, dst=BLUE1) / UDP(sport=9, dport=port) / b"x"
        frame = bytes(Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) / packet)
        with there:
            send_frames(lab.plain, "shared0", [frame + bytes(60 - len(frame))] * 5)
            for _ in range(5):
                there.recv(10)

    equal(grown(lab, traffic)[BLUE1_IS], (5, 5 * 29, 0, 0), "counted")


HEADERS = 20 + 32       # IPv4, and TCP with timestamps


@datapath
def test_counters_of_segments(lab):
    """A segment counts where the frame that carried it held many; both routers count the same."""
    size = 2_000_000

    def traffic():
        bulk(lab.red1, lab.blue1, BLUE1, size, rate=20_000_000)

    got = grown(lab, traffic)
    _, _, out_packets, out_bytes = got[RED1_IS]
    in_packets, in_bytes, _, _ = got[BLUE1_IS]
    equal(in_packets, out_packets, "packets in at blue, beside those out at red")
    # a frame of many counts its header once, and under XDP it is taken apart on the way
    apart = abs(in_bytes - out_bytes)
    assert apart % HEADERS == 0 and apart <= in_packets * HEADERS, f"{in_bytes}, not {out_bytes}"
    assert out_packets >= size // 1448, f"{out_packets} packets cannot hold {size} bytes"
    assert out_bytes > size, f"{out_bytes} bytes cannot hold {size}"


@datapath
def test_stats_name_the_mapping(lab):
    rows = {(m["tenant"], m["fixed"]): m["shared"] for m in lab.cli.json("stats")["mappings"]}
    equal(rows[BLUE1_IS], BLUE1, "the shared address of blue's mapping")
    equal(rows[RED1_IS], RED1, "the shared address of red's mapping")
    text = lab.cli.run("stats").stdout
    assert BLUE1 in text and "blue" in text, "the text does not name the mapping"


def section(lines, *header):
    """The rows of the table with that header, up to an empty line."""
    for at, line in enumerate(lines):
        if line.split()[:len(header)] == list(header):
            rows = lines[at + 1:]
            return [row.split() for row in rows[:rows.index("") if "" in rows else len(rows)]]
    return []


@once
def test_stats_live(lab):
    """Rates of what has changed, as plain lines where stdout is no terminal."""
    process = lab.cli.start("stats", "-w")
    try:
        lines = []
        while not section(lines, "TENANT", "FIXED"):
            ping(lab.red1, BLUE1)
            lines = []
            while not lines or lines[-1]:
                lines.append(process.stdout.readline().rstrip("\n"))
    finally:
        process.kill()
        process.wait()
    rows = {(row[0], row[1]): [int(n) for n in row[3:]]
            for row in section(lines, "TENANT", "FIXED")}
    assert rows and set(rows) <= {RED1_IS, BLUE1_IS}, f"rates of {rows}"
    for packets_in, bytes_in, packets_out, bytes_out in rows.values():
        assert packets_in or packets_out, f"nothing: {rows}"
        assert bytes_in >= 20 * packets_in and bytes_out >= 20 * packets_out, f"bytes: {rows}"
    assert "\033" not in "".join(lines), "escape sequences"


@once
def test_stats_explains(lab):
    """A reason alone, and with --explain what to do."""
    frame = bytes(Ether(src=lab.macs["plain"], dst=lab.macs["blue"]) /
                  IP(src=PLAIN, dst="100.64.2.99") / UDP(sport=9, dport=9) / b"x")
    send_frames(lab.plain, "shared0", [frame])
    brief, full = (section(lab.cli.lines("stats", *words), "TENANT", "DROPPED")
                   for words in ((), ("--explain",)))
    reasons = {row[2]: row for row in full if row[0] == "blue"}
    assert "mapping" in reasons["unmapped"][3:], f"unexplained: {reasons}"
    equal([row[:3] for row in full], brief, "without --explain")
    assert all(re.fullmatch(r"\d+", row[1]) for row in brief), f"numbers: {brief}"
