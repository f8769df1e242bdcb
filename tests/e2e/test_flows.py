# SPDX-License-Identifier: GPL-2.0-only
"""Flows go from one host to another as text: what a VM has opened is answered after that, too."""
import contextlib
import json
import socket

from case import datapath, equal, once
from lab import FIXED, FIXED_V6, PLAIN, PLAIN_V6, RED1, RED1_V6
from test_accept import SHORT, bound, flood, heard, rules
from test_six import dual_stack
from traffic import WAIT, any_address, family, new_port

UDP = 17
FLOW = {"tenant", "fixed", "shared", "protocol", "port", "peer", "peer_tenant", "service", "closing", "left"}


class Opened:
    """A datagram that red1 has sent to plain, and the sockets of both ends."""

    def __init__(self, lab, stack, address):
        # the higher port is the client's, where a rule for all ports is no more
        self.address, self.service, self.port = address, new_port(), new_port()
        self.there = stack.enter_context(bound(lab.plain, socket.SOCK_DGRAM, address, self.service, WAIT))
        self.here = stack.enter_context(lab.red1.socket(family(address), socket.SOCK_DGRAM))
        self.here.bind((any_address(address), self.port))
        self.here.sendto(b"question", (address, self.service))
        _, self.vm = self.there.recvfrom(100)

    def answered(self, wait):
        """Whether what plain sends now comes to red1."""
        self.here.settimeout(wait)
        self.there.sendto(b"answer", self.vm)
        return heard(self.here) == b"answer"


def exported(lab, *what):
    return [json.loads(line) for line in lab.cli.lines("flows", "export", *what)]


def one(flows, port):
    """The flow of that port of red1, without what its clock says."""
    [flow] = [f for f in flows if f["port"] == port]
    equal(set(flow), FLOW, "the keys of a flow")
    left = flow.pop("left")
    assert 0 < left <= 300, left
    return flow


def lose(lab, definitions):
    """What the router of red remembers is gone: it is taken off and attached again."""
    lab.cli.run("detach", "red")
    lab.apply(definitions, "--no-probe")


@datapath
@dual_stack
def test_flows_are_handed_over(lab):
    """In both families: before the import an answer does not come, after it it does."""
    with rules(lab, red=()) as definitions, contextlib.ExitStack() as stack:
        opened = [Opened(lab, stack, address) for address in (PLAIN, PLAIN_V6)]
        lines = lab.cli.run("flows", "export", "red").stdout
        flows = [json.loads(line) for line in lines.splitlines()]
        for o, fixed, shared in zip(opened, (FIXED, FIXED_V6), (RED1, RED1_V6)):
            equal(one(flows, o.port), {"tenant": "red", "fixed": fixed, "shared": shared, "protocol": UDP,
                                       "port": o.port, "peer": o.address, "peer_tenant": "plain",
                                       "service": o.service, "closing": False}, "a flow")
        lose(lab, definitions)
        for o in opened:
            equal(o.answered(SHORT), False, "an answer to a flow that is lost")
        done = json.loads(lab.cli.run("-j", "flows", "import", input=lines).stdout)
        equal(done, {"taken": len(flows), "left_out": {"mapping": 0, "peer": 0}}, "the import")
        done = json.loads(lab.cli.run("-j", "flows", "import", input=lines + lines).stdout)
        equal(done["taken"], len(flows), "of flows that are there twice")
        for o in opened:
            equal(o.answered(WAIT), True, "an answer after the import")


@once
def test_flows_of_some(lab):
    """A tenant, a mapping; what has no counterpart here is counted, and the rest taken over."""
    with rules(lab, red=()) as definitions, contextlib.ExitStack() as stack:
        opened = Opened(lab, stack, PLAIN)
        flow = json.loads(next(line for line in lab.cli.lines("flows", "export", f"red/{FIXED}")
                               if json.loads(line)["port"] == opened.port))
        equal([f for f in exported(lab, "blue") if f["tenant"] != "blue"], [], "flows of blue")
        assert "no mapping" in lab.cli.fails("flows", "export", "red/nobody", code=2)
        lose(lab, definitions)
        lines = [flow, {**flow, "tenant": "nobody"}, {**flow, "shared": "100.64.1.77"},
                 {**flow, "peer_tenant": "nobody"}]
        done = lab.cli.run("flows", "import", "-", input="\n".join(map(json.dumps, lines)))
        equal(done.stdout.splitlines(),
              ["1 flow taken over",
               "2 left out: this host has no router that is attached with such a mapping",
               "1 left out: no such tenant of the peer"], "what import says")
        equal(opened.answered(WAIT), True, "an answer after the import")


@once
def test_flows_that_are_here_stay(lab):
    """An import shortens no life, and ends nothing."""
    with rules(lab, red=()), contextlib.ExitStack() as stack:
        opened = Opened(lab, stack, PLAIN)
        [flow] = [f for f in exported(lab, "red") if f["port"] == opened.port]
        lab.cli.run("-q", "flows", "import", input=json.dumps({**flow, "left": 1}))
        [after] = [f for f in exported(lab, "red") if f["port"] == opened.port]
        assert after["left"] > 200, after


@once
def test_flows_wrong_lines(lab):
    """One error with its line, and nothing is taken over, not the lines before it either."""
    with rules(lab, red=()) as definitions, contextlib.ExitStack() as stack:
        opened = Opened(lab, stack, PLAIN)
        [flow] = [f for f in exported(lab, "red") if f["port"] == opened.port]
        lose(lab, definitions)
        for wrong, said in (("{", "no flow as `flows export` writes it"),
                            (json.dumps({**flow, "more": 1}), "more"),
                            (json.dumps({**flow, "left": 100000}), "`left` is 100000; it is 1 to 7440"),
                            (json.dumps({**flow, "port": -1}), "`port` is -1"),
                            (json.dumps({**flow, "peer": "fd64::1"}), "different families"),
                            (json.dumps({**flow, "peer": "224.0.0.1"}), "not an address of a host"),
                            (json.dumps({**flow, "peer_tenant": 1}), "or null"),
                            (json.dumps({**flow, "tenant": "a/b"}), "cannot be a tenant's name"),
                            ("[" * 2000, "more than")):
            text = "\n".join([json.dumps(flow), "", wrong, json.dumps(flow)])
            error = lab.cli.fails("flows", "import", code=2, input=text)
            assert "<stdin>:3: " in error and said in error, error
            equal([f for f in exported(lab, "red") if f["port"] == opened.port], [], wrong)
        assert "a directory" in lab.cli.fails("flows", "import", "/", code=2)


def sized(lab, definitions, room):
    """Apply them with so much room for flows in red; None: what is the default. What plan says."""
    router = definitions["red"].router
    router.pop("flows", None)
    if room:
        router["flows"] = room
    return "\n".join(lab.apply(definitions))


def room_of(lab):
    """What show, stats and metrics say, and how many flows are open by the first."""
    [red] = [t for t in lab.cli.json("show", "red")["tenants"] if t["tenant"] == "red"]
    [stats] = lab.cli.json("stats", "red")["flows"]
    shown = red["router"]["flows"]
    equal(stats["room"], shown["room"], "the room that stats tells")
    page = lab.cli.lines("stats", "--prometheus")
    assert f'tenantnat_flows_max{{tenant="red"}} {shown["room"]}' in page, page
    assert f"  flows {shown['open']} of {shown['room']}" in lab.cli.lines("show", "red")
    return shown


@datapath
@dual_stack
def test_flows_room(lab):
    """A router gets more room, and less: what is open goes on, and what is new finds room."""
    with rules(lab, red=()) as definitions, contextlib.ExitStack() as stack:
        opened = [Opened(lab, stack, address) for address in (PLAIN, PLAIN_V6)]
        equal(room_of(lab)["room"], 16384, "the room by default")
        for room in (65536, 1024, None):
            said = sized(lab, definitions, room)
            assert f"flows {room_before(room)} → {room or 16384}" in said, said
            shown = room_of(lab)
            equal(shown["room"], room or 16384, "the room")
            assert len(opened) <= shown["open"] <= shown["room"], shown
            for o in opened:
                equal(o.answered(WAIT), True, f"with room for {shown['room']}")
            opened += [Opened(lab, stack, address) for address in (PLAIN, PLAIN_V6)]
            equal([o.answered(WAIT) for o in opened[-2:]], [True, True], "what is new")
            equal(sized(lab, definitions, room), "nothing to be done", "the same again")


def room_before(room):
    return {65536: 16384, 1024: 65536, None: 1024}[room]


@once
def test_flows_fill_their_room(lab):
    """Of more flows than there is room for some are evicted; a larger room keeps them all."""
    with rules(lab, red=()) as definitions:
        for room, most in ((1024, 1024), (65536, 65536)):
            sized(lab, definitions, room)
            flood(lab.red1, 8192)
            shown = room_of(lab)
            equal(shown["room"], room, "the room")
            assert shown["open"] <= most, shown
            assert shown["open"] > (6000 if room > 8192 else 500), shown


@once
def test_flows_room_is_checked(lab):
    """A room out of bounds is refused, and nothing changes."""
    with rules(lab, red=()) as definitions:
        before = room_of(lab)["room"]
        for wrong in (1023, 4194305, "many"):
            other = definitions.copy()
            other["red"].router["flows"] = wrong
            error = lab.cli.run("apply", "-f", lab.put("wrong.yaml", other.yaml()), code=2).stderr
            assert f"`{wrong}` is no number of flows; write one from 1024 to 4194304" in error, error
        equal(room_of(lab)["room"], before, "the room")
