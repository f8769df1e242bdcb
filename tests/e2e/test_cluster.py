# SPDX-License-Identifier: GPL-2.0-only
"""cluster join, leave and status, against real etcds (etcd.py)."""
import collections
import contextlib
import http.client
import json
import os
import shutil
import sqlite3

from agent import Agent
from case import equal, eventually, once
from cli import Cli
from defs import Definitions, Tenant
from etcd import Answerer, Authority, Etcd, passed_on
from inject import Strace, chosen, moments, spread
from test_json import keys as keys_of

SECRET = "s3cret-of-tests"


def has(said, *wants):
    for want in wants:
        assert want in said, f"not {want!r}: {said}"


class Host:
    """A host of the cluster: a state directory, and what the machine is called."""

    def __init__(self, lab, etcd, name, machine=None):
        self.etcd, self.name = etcd, name
        self.scratch = os.path.join(etcd.directory, f"host-{name}-{machine}")
        os.makedirs(self.scratch, exist_ok=True)
        under = ["nsenter", f"--net={etcd.ns.path}"]
        if machine:
            path = os.path.join(self.scratch, "machine-id")
            with open(path, "w", encoding="ascii") as f:
                f.write(machine * 32 + "\n")
            under += ["unshare", "-m", "sh", "-c",
                      f"mount --bind {path} /etc/machine-id && exec \"$@\"", "--"]
        self.cli = Cli(lab.cli.binary, os.path.join(self.scratch, "state"),
                       f"/sys/fs/bpf/{os.path.basename(self.scratch)}", under=under)

    def words(self, *args):
        return ["cluster", "join", self.etcd.urls, "--host", self.name, *args]

    def join(self, *args):
        return self.cli.run(*self.words(*args)).stdout

    def refused(self, *args, code=1):
        return self.cli.fails(*self.words(*args), code=code)

    def status(self, code=1):
        return self.cli.json("cluster", "status", code=code)

    def remembered(self):
        """The row in state.db, or None."""
        path = os.path.join(self.cli.state, "state.db")
        if not os.path.exists(path):
            return None
        copy = os.path.join(self.scratch, "copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.cli.state, copy)   # to open the real one would mend it
        with contextlib.closing(sqlite3.connect(os.path.join(copy, "state.db"))) as db:
            db.row_factory = sqlite3.Row
            with contextlib.suppress(sqlite3.OperationalError):
                return db.execute("SELECT * FROM cluster").fetchone()
        return None


def keys(etcd):
    """{key: value} of etcd, below /tenantnat."""
    lines = etcd.ctl("get", "--prefix", "/tenantnat/").splitlines()
    return dict(zip(lines[::2], map(json.loads, lines[1::2])))


@once
def test_cluster_is_joined_and_left(lab):
    with Etcd(lab) as etcd:
        one, two = Host(lab, etcd, "hv1"), Host(lab, etcd, "hv2")
        has(one.cli.fails("cluster", "status"), "in no cluster", "cluster join")
        has(one.join(), "host hv1 has joined")
        there = keys(etcd)
        equal(sorted(there), ["/tenantnat/cluster", "/tenantnat/hosts/hv1"], "keys")
        equal(there["/tenantnat/cluster"]["format"], 1, "format")
        two.join()
        equal(keys(etcd)["/tenantnat/cluster"], there["/tenantnat/cluster"], "one cluster")
        row = one.remembered()
        equal((row["id"], row["host"], row["prefix"], row["password"]),
              (there["/tenantnat/cluster"]["id"], "hv1", "/tenantnat", None), "remembered")
        with open("/etc/machine-id", encoding="ascii") as f:
            machine = f.read().strip()
        assert machine not in json.dumps(keys(etcd)), "machine-id(5) is told to others"

        status = one.status()
        equal((status["host"], status["cluster"], status["problems"]), ("hv1", row["id"], []), "status")
        equal([(h["name"], h["state"]) for h in status["hosts"]], [("hv1", "silent"), ("hv2", "silent")],
              "hosts")
        equal([(m["name"], m["leader"], m["healthy"]) for m in status["members"]], [("m1", True, True)],
              "members")
        manual = one.cli.run("cluster", "status", "--help").stdout
        equal([key for key in keys_of(status) if f'"{key}"' not in manual], [], "keys without help")
        text = one.cli.run("cluster", "status", code=1).stdout
        has(text, "hv1", "hv2", "leads", etcd.members[0].url)

        has(one.join(), "host hv1 is still in")
        equal(keys(etcd)["/tenantnat/hosts/hv1"], there["/tenantnat/hosts/hv1"], "joined again")
        has(one.cli.fails("cluster", "join", etcd.urls, "--host", "hv3"), "already", "cluster leave")
        has(one.cli.fails("cluster", "join", etcd.urls, "--host", "hv1", "--prefix", "/x"), "already")
        has(one.cli.fails("cluster", "leave", "--host", "hv3"), "has no host hv3")
        has(two.cli.run("cluster", "leave").stdout, "host hv2 has left")
        equal(two.remembered(), None, "forgotten")
        equal(sorted(keys(etcd)), ["/tenantnat/cluster", "/tenantnat/hosts/hv1"], "its key is gone")
        two.join()

        # gone from outside
        etcd.ctl("del", "/tenantnat/hosts/hv2")
        has(" ".join(two.status()["problems"]), "no host hv2 any more", "cluster join")
        two.join()
        equal(two.status()["problems"], [], "mended")


@once
def test_cluster_has_one_machine_of_a_name(lab):
    with Etcd(lab) as etcd:
        one, two = Host(lab, etcd, "hv1", "a"), Host(lab, etcd, "hv1", "b")
        one.join()
        before = keys(etcd)
        has(two.refused(), "another machine is host hv1", "--host", "cluster leave --host hv1")
        equal(two.remembered(), None, "not joined")
        equal(keys(etcd), before, "nothing was changed")
        # the same machine, without its state
        shutil.rmtree(one.cli.state)
        one.join()
        equal(keys(etcd), before, "the same host again")
        # a host that is gone, and one that is not
        other = Host(lab, etcd, "hv2", "c")
        other.join()
        etcd.ctl("put", "/tenantnat/alive/hv1", '{"revision":1,"at":1}')
        has(other.cli.fails("cluster", "leave", "--host", "hv1"), "host hv1 is alive")
        etcd.ctl("del", "/tenantnat/alive/hv1")
        other.cli.run("cluster", "leave", "--host", "hv1")
        two.join()
        # what is another machine's stays when the one before leaves
        one.cli.run("cluster", "leave")
        has(json.dumps(keys(etcd)), "hosts/hv1")
        two.cli.run("cluster", "leave")


@once
def test_cluster_hosts_join_at_once(lab):
    """Another host joins between what one has read and what it writes."""
    with Etcd(lab) as etcd:
        def other_first(other, lose=False):
            """A stand-in for etcd, before whose first transaction the other joins; it may lose its answer."""
            done = []

            def answer(request):
                if b"/v3/kv/txn" not in request or done:
                    return passed_on(etcd.ns, request)
                done.append(other.join())
                said = passed_on(etcd.ns, request)
                return b"" if lose else said
            return Answerer(etcd.ns, answer)

        one, two = Host(lab, etcd, "hv1"), Host(lab, etcd, "hv2")
        with other_first(two) as between:
            one.cli.run("cluster", "join", between.url, "--host", "hv1")
        equal(one.remembered()["id"], two.remembered()["id"], "one cluster")
        equal(one.remembered()["id"], keys(etcd)["/tenantnat/cluster"]["id"], "that of etcd")

        three, four = Host(lab, etcd, "hv3", "a"), Host(lab, etcd, "hv3", "b")
        with other_first(four) as between:
            has(three.cli.fails("cluster", "join", between.url, "--host", "hv3"), "another machine is host hv3")
        equal(three.remembered(), None, "not joined")

        five, six = Host(lab, etcd, "hv5"), Host(lab, etcd, "hv6")
        with other_first(six, lose=True) as between:
            five.cli.run("cluster", "join", f"{between.url},{etcd.urls}", "--host", "hv5")
        has(json.dumps(keys(etcd)), "hosts/hv5", "hosts/hv6")


@once
def test_cluster_with_definitions_on_both_sides(lab):
    with Etcd(lab) as etcd:
        one, two = Host(lab, etcd, "hv1"), Host(lab, etcd, "hv2")
        path = os.path.join(one.scratch, "defs.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(Definitions(Tenant("far", ("10.0.0.5",))).yaml())
        one.cli.apply(path)
        one.join()      # into a cluster that has none
        equal(keys(etcd)["/tenantnat/tenants/far"], {"name": "far"}, "brought in")
        two.join()      # a host that has none
        two.cli.run("cluster", "leave")
        two.cli.apply(path)
        two.join()      # the same on both sides
        one.join()      # a member stays one
        status = one.status()
        assert status["changed"] and status["changed"] < status["revision"], status


@once
def test_cluster_is_not_another_one(lab):
    with Etcd(lab) as etcd:
        one = Host(lab, etcd, "hv1")
        one.join()
        before = keys(etcd)
        etcd.ctl("put", "/tenantnat/cluster", '{"format":2,"id":"x"}')
        has(" ".join(one.status()["problems"]), "of format 2")
        has(Host(lab, etcd, "hv2").refused(), "of format 2")
        etcd.ctl("put", "/tenantnat/cluster", '{"format":1,"id":"x"}')
        has(" ".join(one.status()["problems"]), "is another one now")
        has(one.refused(), "in another cluster")
        etcd.ctl("put", "/tenantnat/cluster", "not ours")
        has(" ".join(one.status()["problems"]), "none of tenantnat's")
        etcd.ctl("del", "/tenantnat/cluster")
        has(" ".join(one.status()["problems"]), "is gone")
        etcd.ctl("put", "/tenantnat/cluster", json.dumps(before["/tenantnat/cluster"]))
        equal(one.status()["problems"], [], "as before")

        # an older snapshot: the revision goes back
        snapshot = etcd.snapshot()
        for i in range(3):
            etcd.ctl("put", "x", str(i))
        etcd.ctl("put", "/tenantnat/network", '{"subnets":["100.64.0.0/16"]}')
        one.cli.run("cluster", "sync")
        seen = one.remembered()["revision"]
        member = etcd.members[0]
        etcd.restore(snapshot)
        has(" ".join(one.status()["problems"]), "restored from an older snapshot")
        has(one.refused(), "restored from an older snapshot", "cluster leave --forget")
        equal(one.remembered()["revision"], seen, "not forgotten")
        one.cli.run("cluster", "leave", "--forget")
        one.join()
        equal(one.status()["problems"], [], "joined anew")

        # another etcd in its place
        member.kill()
        shutil.rmtree(member.data)
        etcd.options += ["--initial-cluster-token", "another"]
        member.start()
        etcd.wait()
        has(" ".join(one.status()["problems"]), "another etcd cluster")


@once
def test_cluster_without_etcd(lab):
    with Etcd(lab, members=3) as etcd:
        one = Host(lab, etcd, "hv1")
        one.join()
        for member in etcd.members[1:]:
            member.kill()
        status = one.status()
        equal((status["revision"], status["hosts"]), (None, []), "nothing can be read")
        has(" ".join(status["problems"]), "etcd has no quorum now")
        whys = {m["url"]: m["why"] for m in status["members"]}
        equal(sorted(whys), sorted(m.url for m in etcd.members), "members")
        has(whys[etcd.members[1].url], "Connection refused")
        has(one.cli.fails("cluster", "leave"), "no quorum")
        has(one.refused(), "no quorum")
        etcd.members[0].kill()
        has(" ".join(one.status()["problems"]), "no etcd answers")
        has(one.cli.fails("cluster", "leave"), "no etcd answers")
        assert one.remembered(), "left, without etcd"
        has(one.cli.run("cluster", "leave", "--forget").stdout, "has not been told")
        equal(one.remembered(), None, "forgotten")


@once
def test_cluster_with_a_user_over_tls(lab):
    ours = Authority(os.path.join(lab.scratch, "tls"), "cluster")
    theirs = Authority(os.path.join(lab.scratch, "tls"), "others")
    server, named = ours.sign("server"), ours.sign("named")
    client = ours.sign("client", subject="O")
    tls = {"cert": server[0], "key": server[1], "ca": ours.file, "client": client[0],
           "client_key": client[1]}
    with Etcd(lab, tls=tls) as etcd:
        for line in (f"user add root:{SECRET}", f"user add tn:{SECRET}", "role add tn",
                     "role grant-permission tn readwrite /tenantnat/ /tenantnat0",
                     "user grant-role tn tn", "auth enable"):
            etcd.ctl(*line.split(), user=f"root:{SECRET}" if line == "auth enable" else None)
        one = Host(lab, etcd, "hv1")
        password, wrong = (os.path.join(one.scratch, name) for name in ("password", "wrong"))
        for path, text in ((password, SECRET), (wrong, "wrong")):
            with open(path, "w", encoding="ascii") as f:
                f.write(text + "\n")
            os.chmod(path, 0o600)
        os.chmod(client[1], 0o600)
        user = ["--user", "tn", "--password-file", password]
        files = ["--ca", ours.file, "--cert", client[0], "--key", client[1]]

        has(one.refused("--ca", theirs.file, *files[2:], *user), "is not of the CA in")
        has(one.refused("--ca", ours.file, *user), "asks for a certificate of this host")
        has(one.refused(*files), "asks for a user and a password")
        os.chmod(named[1], 0o600)
        has(one.refused(*files[:2], "--cert", named[0], "--key", named[1], *user), "common name")
        has(one.refused(*files, "--user", "tn", "--password-file", wrong), "the password is wrong")
        has(one.refused(*files, *user, "--prefix", "/elsewhere"), "does not let user tn do that")
        has(one.refused(*files, "--user", "tn", code=2), "--password-file")
        has(one.refused(*files, "--password-file", password, code=2), "--user")
        os.chmod(password, 0o644)
        has(one.refused(*files, *user, code=2), "can be read by others", "chmod 600")
        os.chmod(password, 0o600)
        os.chmod(client[1], 0o640)
        has(one.refused(*files, *user, code=2), "can be read by others", "chmod 600")
        os.chmod(client[1], 0o600)
        equal(one.remembered(), None, "not joined")

        said = one.cli.run(*one.words(*files, *user))
        assert SECRET not in said.stdout + said.stderr, "the password is told"
        row = one.remembered()
        equal((row["user"], row["password"], row["key"]), ("tn", SECRET, client[1]), "remembered")
        equal({name: oct(os.stat(os.path.join(one.cli.state, name)).st_mode & 0o777)
               for name in os.listdir(one.cli.state)}, {"lock": "0o600", "state.db": "0o600"}, "modes")
        status = one.cli.run("-j", "cluster", "status", code=1).stdout
        equal(json.loads(status)["problems"], [], "with what is remembered")
        assert SECRET not in status, "the password is told"
        etcd.ctl("user", "delete", "tn", user=f"root:{SECRET}")
        has(" ".join(one.status()["problems"]), "the user has been removed")


@once
def test_cluster_words(lab):
    with Etcd(lab) as etcd:
        one = Host(lab, etcd, "hv1")
        for prefix in ("x", "/", "/x/", "/x//y", "/ü", "/a b"):
            has(one.refused("--prefix", prefix, code=2), "--prefix")
        has(one.cli.fails("cluster", "join", etcd.urls, "--host", "a/b", code=2), "no name of a host")
        has(one.refused("--ca", "/nowhere", code=2), "cannot read /nowhere")
        has(one.cli.fails("cluster", "join", "127.0.0.1:2379", code=2), "http://HOST:PORT")
        has(one.cli.fails("cluster", "join", etcd.members[0].peer), "port for clients")
        one.join("--prefix", "/a/b")
        has(one.cli.fails("cluster", "leave", "--host", "x", "--forget", code=2), "--forget")
        has(etcd.ctl("get", "--prefix", "/a/b/", "--keys-only"), "/a/b/hosts/hv1")
        equal(keys(etcd), {}, "elsewhere")


@once
def test_cluster_join_is_killed_anywhere(lab):
    with Etcd(lab) as etcd, etcd.ns.entered():
        host = Host(lab, etcd, "hv1")
        host.cli = host.cli.elsewhere(under=[])
        strace = Strace(host)

        def anew():
            shutil.rmtree(host.cli.state, ignore_errors=True)
            etcd.ctl("del", "--prefix", "/tenantnat/")

        done, calls = strace.trace(*host.words())
        equal(done.returncode, 0, done.stderr)
        network = [c for c in calls if c.name in ("connect", "sendto", "recvfrom")]
        behind = calls[calls.index(network[-1]):]   # it is registered, and does not know it yet
        some = chosen(calls, 8, collections.Counter()) + spread(network, 8) + spread(behind, 10)
        left = set()
        for call in calls if lab.every else moments(calls) + network if lab.long else some:
            anew()
            if not strace.at(call, "signal=KILL", *host.words())[1]:
                continue    # it did not come so far this time
            row, there = host.remembered(), keys(etcd)
            what = f"killed at {call}"
            left.add((bool(row), bool(there)))
            assert not row or "/tenantnat/hosts/hv1" in there, f"{what}: {there}"
            assert len(there) in (0, 2), f"{what}: {there}"
            if not row:
                has(host.cli.fails("cluster", "status"), "in no cluster")
            has(host.join(), "has joined" if not row else "is still in")
            row, there = host.remembered(), keys(etcd)
            equal(sorted(there), ["/tenantnat/cluster", "/tenantnat/hosts/hv1"], what)
            equal(row["id"], there["/tenantnat/cluster"]["id"], what)
            equal(host.status()["problems"], [], what)
        equal(left, {(False, False), (False, True), (True, True)}, "what was left")


def metrics(etcd, port):
    """{name: value} of those about the cluster."""
    with etcd.ns.entered():
        page = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        page.request("GET", "/metrics")
        lines = page.getresponse().read().decode().splitlines()
        page.close()
    return {line.split()[0]: float(line.split()[1]) for line in lines
            if line.startswith("tenantnat_cluster_")}


def state(host, of):
    """What `cluster status` there says of a host, with whether all is well."""
    done = host.cli.run("-j", "cluster", "status", code=None)
    said = json.loads(done.stdout)
    equal(done.returncode, int(not said["well"]), "exit status")
    return next(h["state"] for h in said["hosts"] if h["name"] == of), said["well"]


def sees(host, of, want, well):
    eventually(lambda: equal(state(host, of), (want, well), "state"), 60)


@once
def test_cluster_hears_of_an_agent(lab):
    with Etcd(lab) as etcd:
        one = Host(lab, etcd, "hv1")
        has(one.cli.fails("cluster", "follow"), "in no cluster")
        one.join()
        equal(state(one, "hv1"), ("silent", False), "without an agent")
        with Agent(one, "--metrics", "127.0.0.1:9876") as agent:
            sees(one, "hv1", "current", True)
            eventually(lambda: equal(metrics(etcd, 9876)["tenantnat_cluster_connected"], 1, "metric"))
            equal(metrics(etcd, 9876)["tenantnat_cluster_behind_seconds"], 0, "metric")
            # the definitions are changed, and cannot be in force
            etcd.ctl("put", "/tenantnat/network", '{"subnets":["nonsense"]}')
            sees(one, "hv1", "behind", False)

            def is_behind():
                assert metrics(etcd, 9876)["tenantnat_cluster_behind_seconds"] > 0
            eventually(is_behind)
            agent.says("cluster", "network")
            # and now they can
            etcd.ctl("put", "/tenantnat/network", '{"subnets":["100.64.0.0/16"]}')
            sees(one, "hv1", "current", True)
            equal(one.cli.run("export").stdout.count("100.64.0.0/16"), 1, "what is in force")

            def has_all():
                found = metrics(etcd, 9876)
                assert found.pop("tenantnat_cluster_revision") > 1
                equal(found, {"tenantnat_cluster_connected": 1, "tenantnat_cluster_older": 0,
                              "tenantnat_cluster_behind_seconds": 0},
                      "metrics")
            eventually(has_all)
            # what somebody else's lease takes away comes back
            for lease in etcd.ctl("lease", "list").splitlines()[1:]:
                etcd.ctl("lease", "revoke", lease)
            equal(state(one, "hv1"), ("silent", False), "revoked")
            sees(one, "hv1", "current", True)
            assert agent.run.poll() is None
        equal(state(one, "hv1"), ("silent", False), "it has ended")
        equal(etcd.ctl("lease", "list").split()[1], "0", "leases")

        with Agent(one) as agent:
            sees(one, "hv1", "current", True)
            agent.kill()
            sees(one, "hv1", "silent", False)


@once
def test_cluster_without_etcd_the_agent_goes_on(lab):
    with Etcd(lab) as etcd:
        one = Host(lab, etcd, "hv1")
        one.join()
        etcd.members[0].kill()
        with Agent(one, "--metrics", "127.0.0.1:9876"):
            eventually(lambda: equal(metrics(etcd, 9876)["tenantnat_cluster_connected"], 0, "metric"))
            etcd.members[0].start()
            etcd.wait()
            sees(one, "hv1", "current", True)
            eventually(lambda: equal(metrics(etcd, 9876)["tenantnat_cluster_connected"], 1, "metric"))
            etcd.members[0].kill()
            eventually(lambda: equal(metrics(etcd, 9876)["tenantnat_cluster_connected"], 0, "metric"))
        etcd.members[0].start()
        etcd.wait()


@once
def test_cluster_is_joined_while_an_agent_runs(lab):
    with Etcd(lab) as etcd:
        one, two = Host(lab, etcd, "hv1"), Host(lab, etcd, "hv2")
        two.join()
        with Agent(one, "--metrics", "127.0.0.1:9876") as agent:
            equal(metrics(etcd, 9876), {}, "of no cluster")
            one.join()
            sees(two, "hv1", "current", False)
            # taken out by hand: it does not come back by itself
            etcd.ctl("del", "/tenantnat/hosts/hv1")
            eventually(lambda: has("\n".join(agent.said()), "no host hv1 any more"))
            one.join()
            sees(two, "hv1", "current", False)
            has(one.cli.fails("agent", "-f", "/etc/hosts", code=2), "in a cluster", "-f")
            one.cli.run("cluster", "leave")
            eventually(lambda: equal(metrics(etcd, 9876), {}, "of no cluster"))
            equal(sorted(keys(etcd)), ["/tenantnat/cluster", "/tenantnat/hosts/hv2", "/tenantnat/secret"], "keys")
