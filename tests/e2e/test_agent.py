# SPDX-License-Identifier: GPL-2.0-only
"""The agent keeps what state.db says, whatever happens to the machine."""
import contextlib
import os
import signal
import socket
import sqlite3
import time

import unit
from agent import Agent, ask, free_port
from case import PATIENCE, equal, eventually, hook, once, only
from lab import BLUE, BLUE1, FIXED, GREEN, RED1, SHARED_INDEX, SUBNET
from net import BPFFS, Namespace, mount_bpffs, sh, unmount_bpffs, veth
from snapshot import machine, unchanged
from test_join import addresses, forwarding, routes
from test_lock import held
from test_restore import states, with_green
from traffic import Stream, Watch, ping, reach

GREEN1 = "100.64.3.5"


SOON = 1.0      # second


def took(lab, agent, start, whole=lambda: None):
    """Seconds from the start (Agent.clock) until all are attached, and the lab talks."""
    def talks():
        whole()
        equal(set(states(lab).values()), {"attached"}, "states in show")
        ping(lab.red1, BLUE1, 1, wait=0.1 * PATIENCE)
    eventually(talks)
    seconds = agent.clock() - start
    mended(lab)
    return seconds


def soon(lab, seconds):
    """In a long run alone: with other tests beside it, what counts is that it is mended."""
    assert not lab.long or seconds < SOON * PATIENCE, f"mended after {seconds:.2f} s"


def mended(lab):
    """All routers are attached again, and the lab talks; nothing is left to be done."""
    eventually(lambda: equal(set(states(lab).values()), {"attached"}, "states in show"))
    reach(lab.red1, BLUE1)
    ping(lab.blue1, RED1)
    eventually(lambda: equal(lab.cli.lines("restore"), ["nothing to be done"], "restore"))


def broken(lab, tenant="blue", state="broken"):
    eventually(lambda: equal(states(lab)[tenant], state, f"{tenant} in show"))


@once
def test_agent_start_and_end(lab):
    """Ready when all is in order; neither its start nor its end loses a packet."""
    before = machine(lab)
    with Stream(lab.red1, lab.blue1, BLUE1):
        with Agent(lab) as agent:
            equal(agent.run.poll(), None, "its exit code")
        with Agent(lab) as agent:
            agent.run.send_signal(signal.SIGINT)
            agent.run.wait(60)
    unchanged(before, machine(lab), "an agent that has nothing to do")
    equal(agent.said(), [], "its log")


@once
def test_agent_interface_recreated(lab):
    """With another index, and by what somebody plugs in; also when it is gone for a while."""
    with Agent(lab) as agent:
        lab.blue.ip("link del shared0")
        broken(lab)
        lab.plug("blue", BLUE)
        mended(lab)
        lab.blue.ip("link del shared0")
        agent.says("tenant blue", "shared0")
        ping(lab.red1, "100.64.0.2")
        veth(lab.blue, "shared0", lab.shared, "pblue", 77)
        lab.shared.ip("link set pblue master br0")
        agent.says("tenant blue", "shared0 has lost its IPv4 address")
        start = agent.clock()
        lab.blue.ip(f"addr add {BLUE}/16 dev shared0")
        soon(lab, took(lab, agent, start))
        agent.says("tenant blue", "in order again")
        assert not [l for l in agent.said() if "+ address" in l], "an address was leased"
    lab.blue.ip("link del shared0")
    lab.plug("blue", BLUE)
    lab.apply()


@once
def test_agent_inside_interface_recreated(lab):
    """One that is gone is said; the next of that name is judged again, whatever its index."""
    with Agent(lab) as agent:
        lab.blue.ip("link del lan0")
        agent.says("tenant blue", "lan0")
        start = agent.clock()
        lab.plug_inside("blue", index=78)
        soon(lab, took(lab, agent, start))
    lab.blue.ip("link del lan0")
    lab.plug_inside("blue")
    lab.apply()


@once
def test_agent_inside_by_pattern(lab):
    """What comes and matches is inside, and its VM is reached; what goes is nobody's trouble."""
    def inside():
        return {p["interface"] for t in lab.cli.json("show")["tenants"] if t["tenant"] == "blue"
                for p in t["router"]["programs"]} - {"shared0"}

    definitions = lab.definitions()
    definitions["blue"].router["inside"] = '[lan0, "qr-*"]'
    definitions["blue"].mappings.append(("10.0.7.5", "100.64.2.7", None))
    vm = Namespace("late")
    try:
        lab.apply(definitions)
        with Agent(lab) as agent:
            for index in (71, 72):
                veth(lab.blue, "other1", vm, "eth1")
                veth(lab.blue, f"qr-{index}", vm, "eth0", index)
                lab.blue.ip(f"addr add 10.0.7.1/24 dev qr-{index}")
                vm.ip("addr add 10.0.7.5/24 dev eth0", "route add default via 10.0.7.1")
                eventually(lambda i=index: equal(inside(), {"lan0", f"qr-{i}"}, "inside"))
                reach(lab.red1, "100.64.2.7")
                ping(vm, RED1)
                mended(lab)
                lab.blue.ip(f"link del qr-{index}", "link del other1")
                eventually(lambda: equal(inside(), {"lan0"}, "inside"))
                mended(lab)
            # renamed it is another
            veth(lab.blue, "qr-9", vm, "eth0")
            eventually(lambda: equal(inside(), {"lan0", "qr-9"}, "inside"))
            lab.blue.ip("link set qr-9 down", "link set qr-9 name other9", "link set other9 up")
            eventually(lambda: equal(inside(), {"lan0"}, "inside"))
        assert not [l for l in agent.said() if "tenant blue" in l], f"its log: {agent.said()}"
    finally:
        vm.remove()
        lab.apply()


@once
def test_agent_finds_the_shared_interface(lab):
    """Where the file does not name it, a new name of it changes nothing."""
    anywhere = lab.definitions()
    del anywhere["blue"].router["shared"]
    lab.apply(anywhere)
    try:
        with Agent(lab) as agent:
            start = agent.clock()
            lab.blue.ip("link set shared0 down", "link set shared0 name other0",
                        "link set other0 up")
            soon(lab, took(lab, agent, start))
            equal({p["interface"] for t in lab.cli.json("show")["tenants"]
                   if t["tenant"] == "blue" for p in t["router"]["programs"]},
                  {"other0", "lan0", "lan1"}, "interfaces of blue")
        # it may have come to tell of the router while the interface was down
        equal([l for l in agent.said() if "could not be announced" not in l], [], "its log")
    finally:
        lab.blue.ip("link set other0 down", "link set other0 name shared0", "link set shared0 up")
        lab.apply()


@once
def test_agent_interface_renamed(lab):
    """It is known by its name; one of another name is not it."""
    def rename(name, other):
        lab.blue.ip(f"link set {name} down", f"link set {name} name {other}",
                    f"link set {other} up")

    with Agent(lab) as agent:
        rename("shared0", "other0")
        agent.says("tenant blue", "shared0")
        start = agent.clock()
        rename("other0", "shared0")
        lab.macs["blue"] = lab.blue.mac("shared0")
        soon(lab, took(lab, agent, start))


@only(hooks=["tc", "xdp"])
@hook
def test_agent_interface_moved(lab):
    """Into another namespace, and back with the same index and name."""
    away = Namespace("away")
    try:
        with Agent(lab) as agent:
            lab.blue.ip(f"link set shared0 netns {away.name}")
            broken(lab)
            away.ip(f"link set shared0 netns {lab.blue.name}")
            start = agent.clock()
            lab.blue.ip("link set shared0 up", f"addr add {BLUE}/16 dev shared0")
            soon(lab, took(lab, agent, start))
    finally:
        away.remove()


@once
def test_agent_namespace_made_again(lab):
    """A deleted one really goes away, though it is watched; its successor is attached."""
    spare, other = lab.spare_router(), None
    try:
        lab.apply(with_green(lab, spare))
        with Agent(lab) as agent:
            mended(lab)
            spare.remove()

            def gone():
                names = [link["ifname"] for link in lab.shared.links()]
                assert "pspare" not in names, "its interfaces are still there"
            eventually(gone)
            broken(lab, "green")
            eventually(lambda: equal([fd for fd in agent.fds() if "net:" in fd], [],
                                     "namespaces that it has open"))
            lab.plain.ip("neigh flush dev shared0")
            other = lab.spare_router("other")
            start = agent.clock()
            spare.become(other)
            soon(lab, took(lab, agent, start))
            equal(states(lab)["green"], "attached", "green in show")
    finally:
        spare.remove()
        if other:
            other.remove()
        lab.apply()


def pins_of(lab, tenant):
    with contextlib.closing(sqlite3.connect(lab.cli.state + "/state.db")) as db:
        number, = db.execute("SELECT router.id FROM router JOIN tenant ON tenant.id = tenant "
                             "WHERE name = ?", (tenant,)).fetchone()
    return f"{BPFFS}/tenantnat/routers/{number}"


def mends(agent):
    return len([line for line in agent.said() if "~ router blue" in line])


@only(hooks=["tc", "xdp", "clsact"])
@hook
def test_agent_programs_removed(lab):
    """By whatever way there is to take a program off, or its pin away."""
    tc, pins = ["tc", "-n", lab.blue.name], pins_of(lab, "blue")
    ways = [["rm", "-r", pins]]
    if lab.variant == "clsact":
        ways += [[*tc, "filter", "del", "dev", "shared0", "egress"],
                 [*tc, "qdisc", "del", "dev", "shared0", "clsact"]]
    else:
        ways += [["bpftool", "link", "detach", "pinned", pins + "/link_out"]]
    if lab.hook.startswith("xdp"):
        ways += [["ip", "-n", lab.blue.name, "link", "set", "dev", "shared0",
                  "xdp" if lab.hook == "xdp" else "xdpgeneric", "off"]]
    with Agent(lab) as agent:
        def remove(way):
            time.sleep(0.5)     # until the restore of before is not looked after any more
            had, start = mends(agent), agent.clock()
            sh(way)
            # more than once where it looks while not all of it is gone yet
            return took(lab, agent, start, lambda: equal(mends(agent) > had, True, "mended"))

        for way in ways:    # to load the programs is most of it: the best of three, if it counts
            soon(lab, min(remove(way) for _ in range(3 if lab.long else 1)))


@once
def test_agent_bpffs_emptied(lab):
    """Unmounted and mounted again: the agent says what is missing, and starts anew."""
    with Agent(lab) as agent:
        unmount_bpffs()
        agent.says("mount -t bpf")
        mount_bpffs()
        mended(lab)
        agent.says("in order again")
        equal(len(agent.says("mount -t bpf")), 1, "lines about bpffs")


@once
def test_agent_router_settings(lab):
    """An address, a route, forwarding, taken away by somebody, come again."""
    green = lab.green
    try:
        green.ip("addr flush dev shared0 scope global")
        lab.apply(with_green(lab))
        kept = addresses(green), routes(green)
        equal(kept[1], [SUBNET, f"unreachable {SUBNET}"], "routes of green")
        with Agent(lab):
            def whole():
                equal((addresses(green), routes(green)), kept, "addresses and routes")
                equal(forwarding(green)["shared0"], 1, "forwarding of shared0")
            for line in ("route flush proto 116", f"addr del {kept[0][0]} dev shared0"):
                green.ip(line)
                eventually(whole)
            green.sysctl(ipv4__conf__shared0__forwarding=0)
            eventually(whole)
    finally:
        lab.apply()
        green.ip("addr flush dev shared0 scope global", f"addr add {GREEN}/16 dev shared0")


@once
def test_agent_follows_the_others(lab):
    """What other commands put in force is watched; what they detach stays detached."""
    with Agent(lab) as agent:
        lab.apply(with_green(lab))
        lab.green.ip("link set shared0 down", "link set shared0 name other0")
        agent.says("tenant green", "shared0")
        lab.green.ip("link set other0 name shared0", "link set shared0 up")
        agent.says("tenant green", "in order again")
        lab.cli.run("detach", "green")
        lab.green.ip("link set shared0 down", "link set shared0 up")
        time.sleep(0.3)
        equal(states(lab)["green"], "detached", "green in show")
        for i in range(10, 15):
            lab.cli.run("map", "add", "blue", f"10.0.0.{i}")
        lab.apply()
        time.sleep(0.3)
        equal(lab.apply(), ["nothing to be done"], "apply")


@once
def test_agent_mends_what_was_killed(lab):
    """An apply that is stopped holds the agent up; killed, the agent brings back what was."""
    with Agent(lab) as agent:
        before = machine(lab)
        with held(lab) as run:
            lab.blue.ip("link set lan0 down", "link set lan0 up")
            time.sleep(0.3)
            equal(agent.said(), [], "its log while another one has the lock")
            run.send_signal(signal.SIGKILL)
        eventually(lambda: unchanged(before, machine(lab), "an apply that was killed"))
    lab.apply()


@once
def test_agent_file(lab):
    """-f FILE at start and on SIGHUP; a file that is wrong changes nothing."""
    path = lab.write(lab.definitions().mapping("blue", "10.0.0.9"), "agent.yaml")
    with Agent(lab, "-f", path) as agent:
        equal(("blue", "10.0.0.9") in lab.cli.leases(), True, "the new mapping is there")
        lab.write(lab.definitions().mapping("blue", "10.0.0.8"), "agent.yaml")
        agent.run.send_signal(signal.SIGHUP)
        lines = agent.until("RELOADING=1")
        equal([l.split("=")[0] for l in lines], ["RELOADING", "MONOTONIC_USEC"], "notified")
        agent.until("READY=1")
        leases = lab.cli.leases()
        equal([("blue", f"10.0.0.{i}") in leases for i in (8, 9)], [True, False], "mappings")
        bad = lab.definitions().mapping("blue", "10.0.0.300")
        taken = lab.definitions().mapping("blue", "10.0.0.7", BLUE)     # the router's own
        taken["blue"].pool = None
        for defs, word in ((bad, "10.0.0.300"), (taken, BLUE)):
            lab.write(defs, "agent.yaml")
            agent.run.send_signal(signal.SIGHUP)
            agent.until("READY=1")
            agent.says(word)
            agent.says("the definitions in force stay")
            equal(lab.cli.leases(), leases, "leases")
        os.unlink(path)
        agent.run.send_signal(signal.SIGHUP)
        agent.until("READY=1")
        agent.says("agent.yaml", "No such file")
    equal(lab.cli.leases(), leases, "leases")
    with Agent(lab, "-f", path) as agent:   # which is not there
        equal(lab.cli.leases(), leases, "leases")
        agent.says("agent.yaml", "No such file")
    lab.apply()


@once
def test_agent_alone(lab):
    with Agent(lab) as agent:
        said = lab.cli.fails("agent")
        assert str(agent.run.pid) in said, f"does not say who is first: {said}"
        agent.kill()
        ping(lab.red1, BLUE1)
        with Agent(lab, log="second.log"):
            ping(lab.red1, BLUE1)


@once
def test_agent_watchdog(lab):
    cli = lab.cli
    lab.cli = cli.elsewhere(env={"WATCHDOG_USEC": "200000"})
    try:
        with Agent(lab) as agent:
            agent.until("WATCHDOG=1")
            agent.until("WATCHDOG=1")
    finally:
        lab.cli = cli


@once
def test_agent_says_it_once(lab):
    """What cannot be mended is one line, until it changes; and the others are looked after."""
    theirs = f"route add {SUBNET} dev lan0"
    try:
        lab.green.ip("addr flush dev shared0 scope global")
        lab.apply(with_green(lab))
        with Agent(lab) as agent:
            lab.green.ip("route flush proto 116", theirs)
            agent.says("tenant green", "route", SUBNET)
            lab.blue.ip("link del shared0")
            lab.plug("blue", BLUE)
            reach(lab.red1, BLUE1)
            time.sleep(0.7)
            equal(len(agent.says("tenant green", "cannot")), 1, "lines about green")
            lab.green.ip(theirs.replace("add", "del"))
            agent.says("tenant green", "in order again")
            equal(routes(lab.green), [SUBNET, f"unreachable {SUBNET}"], "routes of green")
    finally:
        lab.green.run("ip", *theirs.replace("add", "del").split(), check=False)
        lab.apply()
        lab.green.ip("addr flush dev shared0 scope global", f"addr add {GREEN}/16 dev shared0")


def resting(agent):
    """Its descriptors while it does nothing: the fewest, for as long as it takes to find none less."""
    fewest, since = agent.fds(), 0
    while since < 20:
        time.sleep(0.02)
        now = agent.fds()
        fewest, since = (now, 0) if len(now) < len(fewest) else (fewest, since + 1)
    return fewest


@only(hooks=["tc", "xdp"])
@hook
def test_agent_keeps_nothing(lab):
    """Descriptors and memory are the same after many events as after a few."""
    def storm(times):
        for i in range(times):
            lab.blue.ip("link set lan0 down", "link set lan0 up",
                        f"route add 192.0.2.{i + 1}/32 dev lan0",
                        f"route del 192.0.2.{i + 1}/32 dev lan0")
            if i % 10 == 0:
                lab.blue.ip("link del shared0")
                lab.plug("blue", BLUE)
            time.sleep(0.01)
        mended(lab)
        time.sleep(0.3)
    with Agent(lab) as agent:
        storm(6)
        fds, resident = resting(agent), agent.resident()
        storm(21)
        eventually(lambda: equal(resting(agent), fds, "descriptors"))
        grown = agent.resident() - resident
        assert grown < 1024, f"it has grown by {grown} KiB"
        assert resident < 64 << 10, f"{resident} KiB are resident"


def announces(frame, address):
    """By ARP that it is at the sender's."""
    return frame[12:14] == b"\x08\x06" and frame[28:32] == socket.inet_aton(address)


@once
def test_agent_announces(lab):
    """Neighbours are told when the interface comes up, and when there is another one."""
    def tells(frame):
        return announces(frame, BLUE1)

    with Agent(lab), contextlib.ExitStack() as stack:
        time.sleep(0.2)
        watch = stack.enter_context(Watch(lab.plain, "shared0"))
        lab.blue.ip("link set shared0 down", "link set shared0 up")
        frame = watch.until(tells)
        assert frame, "not announced after the link came up"
        equal(frame[6:12].hex(":"), lab.macs["blue"], "the sender")
        lab.blue.ip("link del shared0")
        lab.plug("blue", BLUE)
        frame = watch.until(lambda f: tells(f) and f[6:12].hex(":") == lab.macs["blue"])
        assert frame, "not announced on the new interface"
        mended(lab)


@once
def test_agent_announces_no_other_interface(lab):
    """What is said again later is not said of a new interface that has the index of the old one."""
    with Agent(lab) as agent, Watch(lab.plain, "shared0") as watch:
        lab.blue.ip("link set shared0 down", "link set shared0 up")
        old = lab.macs["blue"]
        assert watch.until(lambda f: announces(f, BLUE1), grace=0), "not announced at first"
        lab.blue.ip("link del shared0")
        veth(lab.blue, "shared0", lab.shared, "pblue", SHARED_INDEX)
        lab.shared.ip("link set pblue master br0")
        watch.frames.clear()
        watch.until(lambda f: False, 1.5)
        equal([f[6:12].hex(":") for f in watch.frames if announces(f, BLUE1)], [],
              f"announced, when {old} is gone")
        start = agent.clock()
        lab.blue.ip(f"addr add {BLUE}/16 dev shared0")
        soon(lab, took(lab, agent, start))
    lab.blue.ip("link del shared0")
    lab.plug("blue", BLUE)
    lab.apply()


@once
def test_agent_without_a_state(lab):
    """state.db is lost while routers are attached: nothing is taken off, and it is said."""
    with Agent(lab) as agent:
        os.rename(lab.cli.state, lab.cli.state + ".away")
        try:
            agent.says("no definitions", lab.cli.state)
            ping(lab.red1, BLUE1)
        finally:
            os.rename(lab.cli.state + ".away", lab.cli.state)
        agent.says("in order again")
        mended(lab)
    equal(lab.cli.leases()["blue", FIXED], BLUE1, "a lease")


@once
def test_agent_in_its_unit(lab):
    """With the privileges, mounts and system calls that its unit leaves it, it does all the same."""
    text, trace = unit.read("tenantnat-agent.service"), lab.scratch + "/trace"
    cli = lab.cli
    lab.cli = cli.elsewhere(under=unit.sandbox(text, trace))
    port = free_port()
    agent = Agent(lab, "--metrics", f"127.0.0.1:{port}")
    lab.cli = cli
    spare = None
    try:
        with agent:
            spare = lab.spare_router()
            lab.apply(with_green(lab, spare, hook="xdp"))
            lab.blue.ip("link del shared0")
            lab.plug("blue", BLUE)
            mended(lab)
            equal(ask(port)[0], 200, "status of the metrics")
            spare.remove()
            broken(lab, "green")
            eventually(lambda: equal([link for link in lab.shared.links()
                                      if link["ifname"] == "pspare"], [], "its interfaces"))
            lab.apply()
    finally:
        if spare:
            spare.remove()
    equal([line for line in agent.said() if "announced" in line], [], "what was not announced")
    found = unit.beyond(text, trace, [cli.state, BPFFS, "/proc/", "/dev/null"])
    equal(found, set(), "what the unit does not let it do")


@once
def test_restore_in_its_unit(lab):
    """The same of the unit for the boot: all is gone, and comes back."""
    text, trace = unit.read("tenantnat-restore.service"), lab.scratch + "/trace"
    confined = lab.cli.elsewhere(under=unit.sandbox(text, trace))
    sh(["rm", "-rf", BPFFS + "/tenantnat"])
    confined.run("restore")
    mended(lab)
    ping(lab.red1, BLUE1)
    found = unit.beyond(text, trace, [lab.cli.state, BPFFS, "/proc/", "/dev/null"])
    equal(found, set(), "what the unit does not let it do")


@once
def test_units_are_right(lab):
    """systemd has nothing to say about them, and calls them no more exposed than 3.0 of 10."""
    paths = []
    for name in ("tenantnat-agent.service", "tenantnat-restore.service"):
        text = unit.read(name).replace("@SBINDIR@", os.path.dirname(lab.cli.binary))
        paths.append(lab.put(name, text.replace("@DOCDIR@", "/usr/share/doc/tenantnat")))
    done = sh(["systemd-analyze", "--man=no", "verify", *paths], check=False)
    equal((done.returncode, done.stdout + done.stderr), (0, ""), "systemd-analyze verify")
    sh(["systemd-analyze", "security", "--offline=true", "--threshold=30", *paths])
