# SPDX-License-Identifier: GPL-2.0-only
"""
Rules with `until` end by themselves, at the second that is said, also for what goes on. Packets say when
they were sent: what comes was sent before the end, however busy the machine is.
"""
import contextlib
import os
import socket
import struct
import threading
import time

from case import PATIENCE, datapath, equal, eventually, hook, once
from lab import BLUE1, BLUE1_V6, FIXED
from test_accept import asks, bound, connection, connects, expect, pings, rules
from test_six import dual_stack
from traffic import WAIT, new_port

STAMP = struct.Struct("!d")
LATER, LONG_AGO = "2105-12-31", "2020-02-29"


def moment(seconds):
    """That many seconds from now, as a whole one, and how a file has it."""
    until = int(time.time() + seconds)
    return until, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))


def now():
    return STAMP.pack(time.time())


class Talk:
    """
    A client and a server send to each other all the time: datagrams, and by a connection. What they
    send is when they do; `came` has these times, of what came to the server and to the client.
    """

    def __init__(self, stack, client, server, address):
        port = new_port()
        self.over = threading.Event()
        there = stack.enter_context(bound(server, socket.SOCK_DGRAM, address, port, WAIT))
        here = stack.enter_context(bound(client, socket.SOCK_DGRAM, address, 0, WAIT))
        here.connect((address, port))
        here.send(now())
        there.connect(there.recvfrom(100)[1])
        pairs = [(here, there)]
        pairs.append(stack.enter_context(connection(client, server, address, new_port())))
        self.threads = [threading.Thread(target=self.talk, args=pair) for pair in pairs]
        self.kinds = ("datagrams", "connection")
        self.came = {thread: ([], []) for thread in self.threads}
        stack.callback(self.end)
        for thread in self.threads:
            thread.start()

    def talk(self, here, there):
        """Both ends send on, whatever comes."""
        asked, answered = self.came[threading.current_thread()]
        rest = {here: b"", there: b""}      # of a stream, what is not all of a time yet
        for sock in (here, there):
            sock.setblocking(False)
        while not self.over.wait(0.01):
            for sock in (here, there):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    sock.send(now())
            for sock, came in ((there, asked), (here, answered)):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    data = rest[sock] + sock.recv(800)
                    whole = len(data) // STAMP.size * STAMP.size
                    came += [stamp for stamp, in STAMP.iter_unpack(data[:whole])]
                    rest[sock] = data[whole:]

    def goes_on(self, since):
        """Both ways, of what was sent after that."""
        for kind, came in zip(self.kinds, self.came.values()):
            for what, stamps in zip(("asked", "answered"), came):
                assert stamps and stamps[-1] > since, f"{kind}: nothing {what} since"

    def last(self):
        return max(stamps[-1] for came in self.came.values() for stamps in came)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


@datapath
@dual_stack
def test_ends_by_itself(lab):
    """
    What goes on, with all that is cached of it, and what comes new end at that second, both ways; of a
    tenant of this host, and of one of which it is not known here whom it accepts; both families.
    """
    both = ["red", "plain"]
    with rules(lab, blue=({"from": both, "until": LATER},)) as definitions, \
            contextlib.ExitStack() as stack:
        talks = [Talk(stack, client, lab.blue1, address)
                 for client in (lab.red1, lab.plain) for address in (BLUE1, BLUE1_V6)]
        begun = time.time()
        eventually(lambda: [talk.goes_on(begun) for talk in talks])
        until, text = moment(3 * PATIENCE)
        definitions["blue"].accept = ({"from": both, "until": text},)
        lab.apply(definitions)
        while time.time() < until:
            time.sleep(0.1)
        for client in (lab.red1, lab.plain):
            for address in (BLUE1, BLUE1_V6):
                expect(False, "a datagram after the end", asks, client, lab.blue1, address, 5000)
                expect(False, "a connection after the end", connects, client, lab.blue1, address,
                       5001)
                expect(False, "a ping after the end", pings, client, address)
        for talk in talks:
            assert talk.last() < until, f"{talk.last() - until} s after the end"
        drops = lab.cli.drops()
        assert drops.get(("blue", "rule-ended")), drops
        definitions["blue"].accept = ({"from": both, "until": LATER},)
        lab.apply(definitions)
        for client in (lab.red1, lab.plain):
            expect(True, "with a later end", asks, client, lab.blue1, BLUE1, 5000)


@hook
def test_ends_of_one_of_two(lab):
    """Where rules overlap, a packet is accepted as long as one accepts it."""
    ended = {"from": ["*"], "until": LONG_AGO}
    with rules(lab, blue=(ended, {"from": ["red"], "ports": ["udp/5000-5003"], "until": LATER},
                          {**ended, "ports": ["udp/5004"]}, {"from": ["red"], "ports": ["udp/5005"]},
                          {**ended, "from": ["red"], "ports": ["udp/5000-5009"]})):
        for port, want in ((5000, True), (5003, True), (5004, False), (5005, True), (5006, False)):
            expect(want, f"port {port}", asks, lab.red1, lab.blue1, BLUE1, port)


@once
def test_ends_without_us(lab):
    """What has ended stays so when all is detached, and restored as after a reboot."""
    ended, lasts = {"from": ["red"], "ports": ["udp/5000"], "until": LONG_AGO}, {
        "from": ["red"], "ports": ["udp/5001"], "until": LATER}
    with rules(lab, blue=(ended, lasts)):
        for what, do in (("applied", []), ("restored", ["restore"]),
                         ("as after a reboot", ["detach", "--all"])):
            if do:
                lab.cli.run(*do)
            if do and do[0] == "detach":
                lab.cli.run("apply", "-f", os.path.join(lab.scratch, "defs.yaml"))
            expect(False, what, asks, lab.red1, lab.blue1, BLUE1, 5000)
            expect(True, what, asks, lab.red1, lab.blue1, BLUE1, 5001)


@once
def test_ends_are_said(lab):
    """By every command that shows rules; a rule that has ended is no failure of any."""
    rule = {"from": ["red"], "to": [FIXED], "ports": ["udp/5000"]}
    _, soon = moment(86400)
    with rules(lab, blue=({**rule, "until": LONG_AGO}, {"from": ["plain"], "until": soon},
                          {"from": ["red"], "ports": ["tcp"], "until": LATER})) as definitions:
        path = lab.write(definitions)
        said = lab.cli.run("apply", "-f", path)
        assert f"has ended already (`until: {LONG_AGO}`)" in said.stderr, said.stderr
        assert "othing to be done" in said.stdout + said.stderr, said
        warned = lab.cli.json("validate", path)["warnings"]
        equal(len([w for w in warned if "has ended already" in w["text"]]), 1, f"warnings {warned}")
        blue = {t["tenant"]: t for t in lab.cli.json("show")["tenants"]}["blue"]
        equal([r["until"] for r in blue["accept"]], [LONG_AGO, soon, LATER], "show -j")
        text = lab.cli.run("show", "blue").stdout
        assert f"accepted red to {FIXED} for udp/5000 until {LONG_AGO}" in text, text
        assert f"accepts plain to all mappings for everything until {soon}" in text, text
        equal([r["until"] for r in lab.cli.json("stats", "blue")["rules"]], [LONG_AGO, soon, LATER],
              "stats -j")
        status = {t["tenant"]: t for t in lab.cli.json("status")["tenants"]}["blue"]
        equal([(e["until"], e["ended"]) for e in status["ending"]], [(LONG_AGO, True), (soon, False)],
              "status -j")
        text = lab.cli.run("status").stdout
        assert "ends in" in text and f"(until {LONG_AGO})" in text and LATER not in text, text
        text = lab.cli.run("stats", "--prometheus").stdout
        assert 'tenantnat_rules_ended{tenant="blue"} 1\n' in text, text
        there = [f'tenantnat_rule_packets_total{{tenant="blue",rule="{i}",' in text for i in (1, 2, 3)]
        equal(there, [False, True, True], "metrics of rules")
        assert 'tenantnat_rule_ends_timestamp_seconds{tenant="blue"} ' in text, text
        text = lab.cli.run("graph", "blue").stdout
        assert LONG_AGO not in text and f"until {LATER}" in text and f"until {soon}" in text, text
        trace = ["trace", "red/db", f"blue/{FIXED}:5000", "--proto", "udp"]
        steps = lab.cli.json(*trace, code=1)["steps"]
        equal((steps[-1]["reason"], steps[-1]["rule"]["until"]), ("rule-ended", LONG_AGO), "trace -j")
        assert "a later `until`" in steps[-1]["remedy"], steps[-1]
        text = lab.cli.run(*trace, code=1).stdout
        assert f"until {LONG_AGO}" in text and "a later `until`" in text, text
        lab.put("exported.yaml", lab.cli.run("export").stdout)
        text = lab.cli.run("apply", "--dry-run", "-f", os.path.join(lab.scratch, "exported.yaml"))
        assert "othing" in text.stdout + text.stderr, text
        definitions["blue"].accept = (rule,)
        text = lab.cli.run("apply", "-f", lab.write(definitions)).stdout
        assert f"- rule of blue: from red to {FIXED} udp/5000 until {LONG_AGO}" in text, text
        expect(True, "without an end", asks, lab.red1, lab.blue1, BLUE1, 5000)
        lab.cli.run("undo")
        expect(False, "ended again", asks, lab.red1, lab.blue1, BLUE1, 5000)
        blue = {t["tenant"]: t for t in lab.cli.json("show")["tenants"]}["blue"]
        equal([r["until"] for r in blue["accept"]], [LONG_AGO, soon, LATER], "after undo")
