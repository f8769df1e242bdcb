# SPDX-License-Identifier: GPL-2.0-only
"""monitor: what was decided about each packet, as it happens."""
import contextlib
import json
import os
import signal
import subprocess
import time

from scapy.all import IP, UDP, Ether, PcapNgReader

from case import PATIENCE, equal, eventually, hook
from lab import BLUE1, FIXED, PLAIN, RED1, UNMAPPED
from net import BPFFS, sh
from traffic import ping, send_frames


MAPS = f"{BPFFS}/tenantnat/maps"


@contextlib.contextmanager
def monitor(lab, *args, out=None):
    """It runs and looks; ended by SIGINT, unless it ended before."""
    before = watched_until()
    # pylint: disable=consider-using-with
    running = subprocess.Popen(lab.cli.argv("monitor", *args), env=lab.cli.env, text=out is None,
                               stdout=out or subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: looks(running, before))
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def watched_until():
    """What the programs have been told (struct tn_watch): nanoseconds of the monotonic clock."""
    row, = json.loads(sh(["bpftool", "-j", "map", "dump", "pinned", f"{MAPS}/watch"]).stdout)
    return int.from_bytes(bytes(int(byte, 16) for byte in row["value"][:8]), "little")


def looks(running, before):
    """The programs have been told to tell it, or it has ended. Before it, another may have been killed."""
    until = watched_until()
    assert before != until > time.monotonic_ns() or running.poll() is not None, "does not look yet"


def ended(running, how=signal.SIGINT):
    """What it said on stdout and stderr."""
    if how and running.poll() is None:
        running.send_signal(how)
    out, err = running.communicate(timeout=60 * PATIENCE)
    equal(running.returncode, 0, f"the exit code ({err})")
    return out, err


def objects(out):
    return [json.loads(line) for line in out.splitlines()]


def attack(lab, source, target, count=1, router="blue"):
    """A datagram to a router that nobody on the shared network should send."""
    frame = (Ether(src=lab.macs["plain"], dst=lab.macs[router]) / IP(src=source, dst=target)
             / UDP(sport=7, dport=9) / b"attack")
    send_frames(lab.plain, "shared0", [bytes(frame)] * count)


ATTACKS = {"unmapped": (PLAIN, UNMAPPED), "direct-to-private": (PLAIN, FIXED),
           "spoofed-source": (BLUE1, BLUE1), "foreign-source": ("192.0.2.1", BLUE1),
           "stranger": ("100.64.9.9", BLUE1)}


@hook
def test_monitor_names_reasons(lab):
    """Each attack is one event, with the reason that the counters have, and what came."""
    before = lab.cli.drops()
    with monitor(lab, "-j", "--tenant", "blue") as running:
        for source, target in ATTACKS.values():
            attack(lab, source, target)
        attack(lab, PLAIN, "100.64.1.99", router="red")
        time.sleep(0.2)
        out, err = ended(running)
    after = lab.cli.drops()
    for reason, (source, target) in ATTACKS.items():
        key = ("blue", reason)
        equal(after.get(key, 0) - before.get(key, 0), 1, f"packets counted as {reason}")
        got = [e for e in objects(out) if e.get("reason") == reason]
        keys = ("tenant", "verdict", "protocol", "src", "sport", "dst", "dport")
        equal([tuple(e[key] for key in keys) for e in got],
              [("blue", "drop", "udp", source, 7, target, 9)], reason)
    equal({e["tenant"] for e in objects(out)}, {"blue"}, "the tenants")
    assert f"{len(objects(out))} events, 0 more were lost" in err, err
    with monitor(lab, "-n", "1") as running:
        attack(lab, *ATTACKS["stranger"])
        _, err = ended(running, how=None)
    assert "tenantnat: 1 event, 0 more were lost\n" in err, err


@hook
def test_monitor_passes(lab):
    """Passes with both addresses and the rule's line; only those asked for, and so many."""
    with monitor(lab, "-j", "--passes", "1/1", "--reason", "internal", "-n", "4") as running:
        attack(lab, *ATTACKS["stranger"])
        ping(lab.red1, BLUE1, 1)
        out, _ = ended(running, None)
    got = objects(out)
    equal([e["verdict"] for e in got], ["translated"] * 4, "the verdicts")
    ways = {(e["tenant"], e["src"], e["dst"], e["now"]) for e in got}
    equal(ways, {("red", FIXED, BLUE1, RED1), ("blue", RED1, BLUE1, FIXED),
                 ("blue", FIXED, RED1, BLUE1), ("red", BLUE1, RED1, FIXED)}, "the ways")
    with open(os.path.join(lab.scratch, "defs.yaml"), encoding="utf-8") as f:
        rules = [n for n, line in enumerate(f, 1) if "from:" in line]
    lines = {e["line"] for e in got if e["line"] is not None}
    assert lines and lines <= set(rules), f"lines {lines}, but rules are in {rules}"


@hook
def test_monitor_line_and_pcap(lab):
    """A line for people without colour in a pipe, and the frame with its comment."""
    path = os.path.join(lab.scratch, "monitor.pcapng")
    with monitor(lab, "--reason", "stranger", "--pcap", path, "-n", "1") as running:
        attack(lab, *ATTACKS["unmapped"])
        attack(lab, *ATTACKS["stranger"])
        out, _ = ended(running, None)
    words = out.split()
    equal(words[1:2] + words[4:], ["blue", "drop", "stranger", "udp", "100.64.9.9:7", ">",
                                   f"{BLUE1}:9"], "the line")
    with PcapNgReader(path) as reader:
        frames = list(reader)
    equal(len(frames), 1, "frames in the file")
    equal((frames[0][IP].src, frames[0][UDP].dport, bytes(frames[0][UDP].payload)[:6]),
          ("100.64.9.9", 9, b"attack"), "the frame")
    assert abs(frames[0].time - time.time()) < 60, f"at {frames[0].time}"
    assert b"stranger" in open(path, "rb").read(), "no comment"    # pylint: disable=R1732


@hook
def test_monitor_flood(lab):
    """More than can be shown: it says how many were lost, none is forgotten, and pings pass."""
    before = lab.cli.drops().get(("blue", "unmapped"), 0)
    with monitor(lab, "-j", "--tenant", "blue") as running:
        running.send_signal(signal.SIGSTOP)     # it reads nothing for a while
        attack(lab, *ATTACKS["unmapped"], count=6000)
        ping(lab.red1, BLUE1, 1)
        running.send_signal(signal.SIGCONT)
        out, err = ended(running)
    equal(lab.cli.drops()[("blue", "unmapped")] - before, 6000, "packets dropped")
    got = objects(out)
    lost = sum(e.get("lost", 0) for e in got)
    seen = sum(e.get("reason") == "unmapped" for e in got)
    assert lost > 0, "nothing was lost"
    equal(seen + lost, 6000, f"{seen} seen and {lost} lost ({err})")
    assert f"{seen} events, {lost} more were lost" in err, err


def readers():
    """Whether a process looks, or was killed while it did."""
    return os.path.exists(f"{MAPS}/readers")


@hook
def test_monitor_several_at_once(lab):
    """Each shows what it was asked for, and no more; a trace beside them finds what it looks for."""
    with monitor(lab, "-j", "--tenant", "blue") as all_drops, \
            monitor(lab, "-j", "--reason", "stranger") as strangers, \
            monitor(lab, "-j", "--reason", "internal", "--passes", "1/1") as passes:
        for source, target in ATTACKS.values():
            attack(lab, source, target)
        attack(lab, PLAIN, "100.64.1.99", router="red")
        ping(lab.red1, BLUE1, 1)
        # what it asks for is its own: the monitors go on as before
        equal(lab.cli.json("trace", "red/db", BLUE1)["result"], "arrives", "the trace")
        attack(lab, *ATTACKS["stranger"])
        time.sleep(0.2)
        got = [objects(ended(one)[0]) for one in (all_drops, strangers, passes)]
        equal(sorted(e["reason"] for e in got[0]), sorted([*ATTACKS, "stranger"]), "blue's drops")
        equal([(e["tenant"], e["reason"]) for e in got[1]], [("blue", "stranger")] * 2, "strangers")
        # `turned`: by the trace, the router asks its VM whether it knows the way back
        assert {e["verdict"] for e in got[2]} <= {"translated", "turned"}, "passes"
        ways = [(e["tenant"], e["src"], e["dst"]) for e in got[2]]
        for way in (("red", FIXED, BLUE1), ("blue", RED1, BLUE1), ("blue", FIXED, RED1)):
            assert way in ways, f"no {way} in {ways}"
    assert not readers(), "the last one left its map"
    for bad in (["--tenant", "nobody"], ["--reason", "whim"], ["--passes", "7"], ["-n", "0"]):
        lab.cli.fails("monitor", *bad, code=2)


@hook
def test_monitor_stopped(lab):
    """One that was killed, or is stopped, keeps nobody else from events; it says what it has lost."""
    before = sum(lab.cli.drops().values())
    # the second goes on asking for what the first asked for
    with monitor(lab) as stopped, monitor(lab, out=subprocess.DEVNULL):
        with monitor(lab) as killed:
            killed.kill()
            killed.wait()
        stopped.send_signal(signal.SIGSTOP)
        with monitor(lab, "-j", "--reason", "unmapped", "-n", "1") as other:
            def sees_one():
                attack(lab, *ATTACKS["stranger"], count=6000)     # more than there is room for
                attack(lab, *ATTACKS["unmapped"])
                time.sleep(0.2)
                assert other.poll() is not None, "no event behind those that nobody has read"
            eventually(sees_one, 60)
            got = [e["reason"] for e in objects(ended(other, None)[0]) if "lost" not in e]
            equal(got, ["unmapped"], "the event")
        stopped.send_signal(signal.SIGCONT)
        out, err = ended(stopped)
    lost = int(err.split(" events, ")[1].split()[0])
    equal(lost + len(out.splitlines()), sum(lab.cli.drops().values()) - before, "shown and lost")


@hook
def test_monitor_broken_pipe(lab):
    """Whoever reads it goes away: it ends without a word of complaint."""
    with monitor(lab, "-q") as running:
        running.stdout.close()
        equal(running.wait(60 * PATIENCE), 0, "the exit code")
        equal(running.stderr.read(), "", "what it said")
        running.stdout = None
