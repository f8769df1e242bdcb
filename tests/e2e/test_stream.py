# SPDX-License-Identifier: GPL-2.0-only
"""The flows of a router that two hosts have: handed over all the time, so that a takeover loses none."""
import contextlib
import json
import os
import signal
import socket
import subprocess

from case import equal, eventually, hook, once
from defs import Tenant
from ha import agents, definitions, pair
from inject import children
from lab import PLAIN
from test_failover import SHARED, SHORT, VM, silent
from traffic import WAIT, client, server


class Download:
    """A VM that has asked plain for something, and only receives from then on."""

    def __init__(self, there, stack):
        listening, self.service = server(there.lab.plain, socket.SOCK_STREAM)
        stack.enter_context(listening)
        self.vm = stack.enter_context(client(there.vm, socket.SOCK_STREAM, PLAIN, self.service))
        self.plain = stack.enter_context(listening.accept()[0])
        self.port = self.vm.getsockname()[1]
        self.vm.settimeout(WAIT)
        self.vm.sendall(b"GET")
        equal(self.plain.recv(16), b"GET", "the request")
        self.arrives(b"before")

    def arrives(self, text):
        self.plain.sendall(text)
        equal(self.vm.recv(64), text, "what arrives at the VM")


@hook
def test_stream_a_download_survives(lab):
    """The standby has the flow before it forwards, and what comes next comes in."""
    with pair(lab) as there, agents(*there.hosts), contextlib.ExitStack() as stack:
        one, two = there.hosts
        download = Download(there, stack)
        eventually(lambda: two.has_flow(download.port))
        for old, new in (one, two), (two, one), (one, two):
            there.take_over(old, new)
            download.arrives(b"to " + new.name.encode())
            other = Download(there, stack)
            eventually(lambda: old.has_flow(other.port), 60)


@once
def test_stream_that_is_off_a_download_dies(lab):
    """The control: the same without it."""
    with pair(lab, stream=False) as there, agents(*there.hosts), contextlib.ExitStack() as stack:
        one, two = there.hosts
        download = Download(there, stack)
        one.has_flow(download.port)
        there.take_over(one, two)
        download.plain.sendall(b"after")

        def refused():
            assert two.cli.drops().get(("ha", "not-accepted"), 0) > 0, "nothing was refused"
        eventually(refused)
        download.vm.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"{download.vm.recv(64)} arrived")
        equal(two.flows(), [], "flows of the other host")


@once
def test_stream_to_a_standby_that_begins_anew(lab):
    """Whatever it has lost, it gets again: after a restart of its agent, and with maps that are new."""
    with pair(lab) as there, contextlib.ExitStack() as stack:
        one, two = there.hosts
        with agents(one):
            download = Download(there, stack)
            one.has_flow(download.port)
            with agents(two):
                eventually(lambda: two.has_flow(download.port), 60)
            with agents(two) as [agent]:
                agent.says("its flows come from host hv1")
                two.cli.run("detach", "ha")
                agent.drain()
                equal(two.flows(), [], "flows of a router that is detached")
                two.cli.run("apply", "--yes", "-f", os.path.join(lab.scratch, "ha.yaml"))
                eventually(lambda: two.has_flow(download.port), 60)
                agent.kill()
            two.cli.run("detach", "ha")
            two.cli.run("apply", "--yes", "-f", os.path.join(lab.scratch, "ha.yaml"))
            with agents(two):
                eventually(lambda: two.has_flow(download.port), 60)
                there.take_over(one, two)
                download.arrives(b"after")


@once
def test_stream_without_etcd(lab):
    """The hosts that were known last go on, also when their agents begin anew; then all dies at once."""
    with pair(lab) as there, contextlib.ExitStack() as stack:
        one, two = there.hosts
        with agents(one, two):
            eventually(lambda: two.has_flow(Download(there, stack).port), 60)
        there.etcd.members[0].kill()
        with agents(one, two) as [agent, _]:
            download = Download(there, stack)
            eventually(lambda: two.has_flow(download.port), 60)
            agent.kill()
            there.take_over(one, two)
            download.arrives(b"after")


@once
def test_stream_after_two_were_active(lab):
    """A host that was active beside the other one is told everything when it is a standby again."""
    with pair(lab) as there, agents(*there.hosts), contextlib.ExitStack() as stack:
        one, two = there.hosts
        download = Download(there, stack)
        eventually(lambda: two.has_flow(download.port), 60)
        two.give()
        lab.plain.ip("neigh flush dev shared0")
        there.vm.ip("neigh flush dev eth0")
        two.take()
        other = Download(there, stack)
        eventually(lambda: two.has_flow(other.port), 60)
        eventually(lambda: equal(two.said()["from"], "hv1", "where flows come from"))


def key_of(etcd):
    return json.loads(etcd.ctl("get", "--print-value-only", "/tenantnat/secret"))["key"]


def connect(there, host, identity, key):
    """A client of TLS 1.3 with a key that both are to have, at the port of a host."""
    # pylint: disable=consider-using-with
    return subprocess.Popen(
        ["nsenter", f"--net={there.etcd.ns.path}", "openssl", "s_client", "-quiet", "-tls1_3",
         "-connect", f"{host.at}:9117", "-psk", key, "-psk_identity", identity],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def listens(there, host):
    """Whether somebody is at the port, which is some moments after the agent has begun."""
    with there.etcd.ns.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(WAIT)
        equal(sock.connect_ex((host.at, 9117)), 0, "a connection")


def say(run, text):
    with contextlib.suppress(BrokenPipeError):
        run.stdin.write(text)
        run.stdin.flush()


def hung_up_on(there, host, identity, key, text):
    with connect(there, host, identity, key) as run:
        say(run, text)
        run.stdout.read()       # until the host ends it


def line(**changes):
    flow = {"tenant": "ha", "fixed": VM, "shared": SHARED, "protocol": 6, "port": 1234, "peer": PLAIN,
            "peer_tenant": "plain", "service": 80, "closing": False, "left": 7440}
    return (json.dumps({**flow, **changes}) + "\n").encode()


@once
def test_stream_and_strangers(lab):
    """Who has not the key, is no peer, or says nonsense, is hung up on, and keeps nobody else waiting."""
    with pair(lab) as there, agents(*there.hosts), contextlib.ExitStack() as stack:
        one, two = there.hosts
        download = Download(there, stack)
        eventually(lambda: two.has_flow(download.port), 60)
        key, before = key_of(there.etcd), two.streamed()["refused"]
        with open(os.path.join(two.cli.state, "peers"), encoding="ascii") as f:
            equal(json.load(f)["key"], key, "the local copy")
        equal(os.stat(os.path.join(two.cli.state, "peers")).st_mode & 0o777, 0o600, "whose it is")
        wrong = "00" * 32
        for identity, with_key, text in (("hv1>hv2", wrong, line()), ("hv3>hv2", key, line()),
                                         ("hv1>hv3", key, line()), ("hv1", key, line()),
                                         (">", key, line()), ("x" * 120 + ">hv2", key, line()),
                                         ("hv1>hv2", key, b"nonsense\n"),
                                         ("hv1>hv2", key, b"x" * 5000),
                                         ("hv1>hv2", key, line(port=1, left=100000)),
                                         ("hv1>hv2", key, b'{"again":"ha"}\n'),
                                         ("hv1>hv2", key, b'{"tenant\0"}\n')):
            hung_up_on(there, two, identity, with_key, text)
        # as many that say nothing, or nonsense, as can be: those that are known go on
        silent = [there.etcd.ns.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(100)]
        for n, sock in enumerate(silent):
            stack.enter_context(sock)
            sock.connect((two.at, 9117))
            with contextlib.suppress(OSError):
                sock.sendall(b"" if n % 2 else os.urandom(300))
        other = Download(there, stack)
        eventually(lambda: two.has_flow(other.port), 60)
        for sock in silent:
            sock.settimeout(WAIT)
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(4096):      # an alert of TLS
                    pass

        def counted():
            assert two.streamed()["refused"] >= before + 11 + len(silent), two.streamed()["refused"] - before
        eventually(counted, 60)
        equal([f for f in two.flows() if f["port"] in (1, 1234)], [], "flows of strangers")


@once
def test_stream_of_a_peer_that_has_no_part_in_a_router(lab):
    """It is a host of the cluster and known, but of another router: what it says of this one is nothing."""
    with pair(lab, hosts=3) as there, contextlib.ExitStack() as stack:
        one, two, three = there.hosts
        path = os.path.join(lab.scratch, "three.yaml")
        whole = definitions(lab)
        whole.having(Tenant("more", ("10.0.0.5", None), pool=["100.64.7.0/24"], router={
            "hosts": "[hv2, hv3]", "netns": "nowhere"})).write(path)
        one.cli.run("apply", "--yes", "--partial", "-f", path, code=None)
        with agents(two):
            def known():
                assert os.path.exists(os.path.join(two.cli.state, "peers")), "no hosts are known"
                with open(os.path.join(two.cli.state, "peers"), encoding="ascii") as f:
                    equal(sorted(json.load(f)["peers"]), ["hv1", "hv3"], "hosts that are known")
            with agents(one, three):     # they say where they are
                eventually(known, 60)
            eventually(lambda: listens(there, two), 60)
            key = key_of(there.etcd)
            for identity, port in ("hv3>hv2", 1), ("hv1>hv2", 2):
                run = stack.enter_context(connect(there, two, identity, key))
                stack.callback(run.kill)
                say(run, line(port=port) + b'{"router":"ha","unsent":0}\n')
            eventually(lambda: two.has_flow(2), 60)
            equal([f["port"] for f in two.flows()], [2], "flows")


@once
def test_stream_is_told_by_status(lab):
    with pair(lab) as there, contextlib.ExitStack() as stack:
        one, two = there.hosts
        with agents(one, two):
            download = Download(there, stack)
            eventually(lambda: two.has_flow(download.port), 60)

            def both():
                said = two.said()
                equal((said["from"], said["unsent"]), ("hv1", 0), "of a standby")
                assert said["age"] is not None and said["received"] > 0, said
                said = one.said()
                equal((said["from"], said["age"], said["received"]), (None, None, 0), "of the active one")
                assert said["sent"] > 0, said
            eventually(both, 60)
            text = two.cli.run("status", code=None).stdout
            assert "ha: flows come from host hv1" in text, text
            where = {h["name"]: h["flows"] for h in two.cli.json("cluster", "status", code=None)["hosts"]}
            assert all(where.values()) and len(set(where.values())) == 2, f"where hosts take flows: {where}"
            text = two.cli.run("cluster", "status", code=None).stdout
            assert all(f" {at} " in text for at in where.values()), text
        # nobody tells it any more
        path = os.path.join(two.cli.state, "streamed")
        with open(path, encoding="ascii") as f:
            said = json.load(f)
        said["at"] -= 200000
        said["routers"]["ha"]["heard"] = said["routers"]["ha"]["waits"] = said["at"] - 100000
        with open(path, "w", encoding="ascii") as f:
            json.dump(said, f)
        text = two.cli.run("status", code=None).stdout
        assert "no flows have come from another host for 5 minutes" in text, text
        found = [f for f in two.cli.json("doctor", "ha", code=None)["findings"] if f["finding"] == "handover"]
        equal([(f["tenant"], f["severity"]) for f in found], [("ha", "warning")], "doctor")
        assert found[0]["seen"] in text and found[0]["remedy"] in text, f"{found}: {text}"
        two.cli.run("cluster", "leave", "--yes")
        assert not os.path.exists(path) and not os.path.exists(os.path.join(two.cli.state, "peers"))


@once
def test_stream_of_the_last_moment(lab):
    """Who gives a router up tells what has been opened since the last second, also where it is active by then."""
    with pair(lab) as there, agents(*there.hosts), contextlib.ExitStack() as stack:
        one, two = there.hosts
        first = Download(there, stack)
        eventually(lambda: two.has_flow(first.port), 60)
        for old, new in (one, two), (two, one), (one, two):
            eventually(lambda host=old: host.is_known_as(standby=False), 60)
            download = Download(there, stack)
            there.take_over(old, new)
            eventually(lambda host=new, port=download.port: host.has_flow(port))
            download.arrives(b"to " + new.name.encode())


@contextlib.contextmanager
def stream_stopped(agent):
    """The kernel goes on taking connections for it, and nothing else."""
    pids = []
    for pid in children(agent.run.pid):
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
            pids += [pid] if "\0stream\0" in f.read() else []
    [pid] = pids
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


@once
def test_stream_of_the_last_moment_to_a_host_that_is_late(lab):
    """Who gives a router up while the others are still being reached tells them then."""
    with pair(lab) as there, contextlib.ExitStack() as stack:
        one, two = there.hosts
        with agents(two) as [late]:
            eventually(lambda: listens(there, two), 60)
            with stream_stopped(late) as stopped, agents(one):
                eventually(lambda: one.is_known_as(standby=False), 60)
                download = Download(there, stack)
                there.take_over(one, two)
                eventually(lambda: one.is_known_as(standby=True), 60)
                os.kill(stopped, signal.SIGCONT)
                eventually(lambda: two.has_flow(download.port), 60)
                download.arrives(b"after")


@hook
def test_stream_grace_after_a_takeover(lab):
    """Without flows, and without an agent: what goes on comes in, and the VM's answer makes the flow."""
    with pair(lab, stream=False, grace="60s") as there, contextlib.ExitStack() as stack:
        one, two = there.hosts
        download = Download(there, stack)
        # whatever a standby sees
        lab.plain.ip("neigh flush dev shared0")
        silent(lab.plain, "100.64.6.99")
        there.take_over(one, two)
        two.cli.run("announce", "ha")
        # what a rule has to accept, it still has to
        with lab.plain.socket(socket.AF_INET, socket.SOCK_STREAM) as opening:
            opening.settimeout(SHORT)
            with contextlib.suppress(OSError):
                opening.connect((SHARED, 7))
                raise AssertionError("a connection was opened")
        equal(two.flows(), [], "flows")
        download.arrives(b"after")
        equal([f["port"] for f in two.flows()], [download.port], "flows")
