# SPDX-License-Identifier: GPL-2.0-only
"""neutron: definitions from a Neutron that plays what a real one has answered."""
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import urllib.request

import yaml

from case import equal, eventually, once
from etcd import Etcd
from net import BPFFS, Namespace, sh, veth
from neutron import AGENT, SECRET, Cloud
from test_cluster import Host

VMS = {("alpha-router", "10.0.0.10"), ("alpha-router", "10.0.0.20"), ("beta-router", "10.0.0.10"),
       ("beta-router", "10.0.0.20"), ("gamma-router", "10.0.0.10")}


class Alone:
    """tenantnat with a state, a home and an environment of its own."""

    def __init__(self, lab, **env):
        self.dir = tempfile.mkdtemp(dir=lab.scratch)
        self.cli = lab.cli
        self.set(HOME=self.dir, OS_CLOUD="", OS_CLIENT_CONFIG_FILE="", OS_CLIENT_SECURE_FILE="", **env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cli.run("detach", "--all", code=None)
        shutil.rmtree(self.dir)

    def set(self, **env):
        self.cli = self.cli.elsewhere(state=os.path.join(self.dir, "state"),
                                      bpffs=f"{BPFFS}/neutron", env=env)

    def clouds(self, name="clouds.yaml", **clouds):
        """Writes the file of clouds where it is looked for."""
        path = os.path.join(self.dir, ".config/openstack")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, name), "w", encoding="utf-8") as f:
            yaml.safe_dump({"clouds": clouds}, f)

    def neutron(self, cloud, *args):
        return ["neutron", "--url", cloud.url, "--host", "node1", *args]

    def printed(self, *args):
        done = self.cli.run("neutron", "--host", "node1", "--print", *args)
        equal(done.stderr, "", "what is said beside")
        return done.stdout


def password(cloud, **changes):
    auth = {"auth_url": cloud.url + "/identity", "username": "tester", "password": SECRET,
            "project_name": "admin", "user_domain_name": "Default", "project_domain_id": "default"}
    return {"auth": {**auth, **changes}, "region_name": "one"}


# ---------------------------------------------------------------- what is printed

@once
def test_neutron_print(lab):
    """It is a file that can be applied, and says what Neutron has."""
    with Cloud() as cloud, Alone(lab) as alone:
        text = alone.printed("--url", cloud.url)
        path = os.path.join(alone.dir, "printed.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        equal(alone.cli.run("validate", path).stderr, "", "validate")
        tenants = {t["name"]: t for t in yaml.safe_load(text)["tenants"]}
        equal({(name, m["fixed"]) for name, t in tenants.items() for m in t["mappings"]}, VMS, "VMs")
        equal(tenants["beta-router"]["router"],
              {"netns": "qrouter-10000013-0013-4000-8000-000000000013", "shared": "qr-1000001a-00",
               "inside": ["qr-1000002c-00"], "address": "100.96.255.54"}, "a router")
        said = alone.cli.json(*alone.neutron(cloud, "--print"))
        equal([t["name"] for t in said["definitions"]["tenants"]], sorted(tenants), "as JSON")
        equal(said["findings"], [], "findings")
        assert not os.path.exists(alone.cli.state), "it left a state behind"
        for request in cloud.requests:
            assert request.startswith("/v2.0/") and "fields=id" in request and "limit=" in request, \
                request


@once
def test_neutron_pages(lab):
    """However short they are; and whatever Neutron calls itself in its links."""
    with Cloud() as cloud, Alone(lab) as alone:
        want = alone.printed("--url", cloud.url)
        whole = len(cloud.requests)
        cloud.page = 1
        equal(alone.printed("--url", cloud.url), want, "in pages of one")
        assert len(cloud.requests) > 3 * whole, "there were no pages"
        # what is moved from one page to the other is there twice
        vm = cloud.find("ports", "10000016")
        cloud.lists["ports"].append(vm)
        equal(alone.printed("--url", cloud.url), want, "one is there twice")


@once
def test_neutron_findings(lab):
    """Each is a line; what is meant is printed nevertheless."""
    with Cloud() as cloud, Alone(lab) as alone:
        cloud.find("routers", "10000012")["distributed"] = True
        cloud.find("ports", "10000020")["status"] = "DOWN"
        done = alone.cli.run(*alone.neutron(cloud, "--print"))
        said = done.stderr.splitlines()
        equal(len(said), 2, f"lines of {done.stderr!r}")
        assert "router alpha-router" in said[0] and "distributed (DVR)" in said[0], said
        assert "the port beta-vm1 is DOWN" in said[1], said
        equal(len(alone.cli.json(*alone.neutron(cloud, "--print"))["findings"]), 2, "as JSON")


# ---------------------------------------------------------------- who we are

@once
def test_neutron_logs_in(lab):
    with Cloud(keystone=SECRET) as cloud, Alone(lab) as alone:
        alone.clouds(one=password(cloud))
        want = alone.printed()
        equal(cloud.logins, [{"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "tester", "domain": {"name": "Default"}, "password": SECRET}}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}], "by password")
        cloud.logins.clear()
        alone.clouds(one=password(cloud), two={
            "auth_type": "v3applicationcredential", "region_name": "two", "interface": "internal",
            "auth": {"auth_url": cloud.url + "/identity/v3/",
                     "application_credential_id": "an-id", "application_credential_secret": SECRET}})
        equal(alone.printed("--cloud", "two"), want, "the other one")
        equal(cloud.logins, [{"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": "an-id", "secret": SECRET}}}}], "by application")


@once
def test_neutron_finds_clouds(lab):
    """By option and environment, in the usual places, with secrets in a file of their own."""
    with Cloud(keystone=SECRET) as cloud, Alone(lab) as alone:
        bare = password(cloud)
        del bare["auth"]["password"]
        assert "no clouds.yaml" in alone.cli.fails("neutron", "--print", code=2), "nowhere"
        alone.clouds(one=bare, two=password(cloud, username="other"))
        assert "several clouds, `one`, `two`" in alone.cli.fails("neutron", "--print", code=2)
        assert "no cloud `three`; it has" in alone.cli.fails(
            "neutron", "--print", "--cloud", "three", code=2)
        assert "`one` has neither" in alone.cli.fails("neutron", "--print", "--cloud", "one", code=2)
        alone.printed("--cloud", "two")
        alone.clouds("secure.yaml", one={"auth": {"password": SECRET}})
        alone.printed("--cloud", "one")
        alone.set(OS_CLOUD="one")
        alone.printed()
        path = os.path.join(alone.dir, "elsewhere.yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump({"clouds": {"one": {"auth_type": "none", "endpoint": "x",
                                               "auth": {"endpoint": cloud.url}}}}, f)
        cloud.keystone = None
        alone.set(OS_CLIENT_CONFIG_FILE=path)
        alone.printed()
        with open(path, "w", encoding="utf-8") as f:
            f.write("clouds: {one: [\n  password: " + SECRET)
        said = alone.cli.fails("neutron", "--print", code=2)
        assert "elsewhere.yaml:" in said and "no valid YAML" in said and SECRET not in said, said


@once
def test_neutron_renews_its_token(lab):
    with Cloud(keystone=SECRET, page=2) as cloud, Alone(lab) as alone:
        alone.clouds(one=password(cloud))
        want = alone.printed()
        equal(len(cloud.logins), 1, "logins")
        cloud.token_serves = 5
        equal(alone.printed(), want, "with tokens that expire")
        assert len(cloud.logins) > 3, f"{len(cloud.logins)} logins"


@once
def test_neutron_refuses_to_be_refused(lab):
    """One sentence, without the secret; and no login after the other."""
    with Cloud(keystone="another secret") as cloud, Alone(lab) as alone:
        alone.clouds(one=password(cloud))
        said = alone.cli.fails("neutron", "--print", code=2)
        assert "does not know the user" in said and SECRET not in said, said
        cloud.keystone = SECRET
        cloud.faults.append(lambda h, *_: h.answer(401, {}) or True)
        cloud.logins.clear()
        said = alone.cli.fails("neutron", "--print")
        assert "status 401; it knows no such token" in said, said
        equal(len(cloud.logins), 2, "logins")
        cloud.faults.clear()
        for changes, want in (({"region_name": "three"}, "in the region three"),
                              ({"interface": "private"}, "with the interface `private`"),
                              ({"auth_type": "v3kerberos"}, "`auth_type` `v3kerberos`")):
            alone.clouds(one={**password(cloud), **changes})
            done = alone.cli.run("neutron", "--print", code=None)
            assert done.returncode and want in done.stderr, f"{changes}: {done.stderr}"
            assert SECRET not in done.stderr, done.stderr


# ---------------------------------------------------------------- what goes wrong

def half(handler, *_):
    """Less than it said."""
    handler.answer(200, b'{"networks": [', [("Content-Length", "1000")])
    return True


def silent(ended):
    """Takes the request, and says nothing until the test is over."""
    def fault(*_):
        ended.wait()
        return True
    return fault


def answers(status, body, headers=()):
    def fault(handler, *_):
        handler.answer(status, body, headers)
        return True
    return fault


def endless(handler, path, _):
    if not path.endswith("/ports"):
        return False
    port = handler.server.cloud.lists["ports"][0]
    handler.answer(200, {"ports": [port], "ports_links": [
        {"rel": "next", "href": "http://x/v2.0/ports?marker=" + port["id"]}]})
    return True


def second_page_fails(handler, _, query):
    if "marker=" not in query:
        return False
    handler.answer(404, {"NeutronError": {"message": "The marker \x1b[31mis gone"}})
    return True


@once
def test_neutron_that_fails_changes_nothing(lab):
    ended = threading.Event()
    message = {"NeutronError": {"message": "ports are none of your business"}}
    cases = (
        ("in parts", half, "cannot read from Neutron"),
        ("not at all", silent(ended), "cannot read from Neutron"),
        ("no JSON", answers(200, b"<html>"), "with what is no JSON"),
        ("empty", answers(200, b""), "with what is no JSON"),
        ("something else", answers(200, {"nets": []}), "it has no list `networks`"),
        ("forbidden", answers(403, message), "ports are none of your business; the user needs"),
        ("unable", answers(503, b"busy"), "with status 503"),
        ("elsewhere", answers(302, b"", [("Location", "http://127.0.0.1:1/")]), "with status 302"),
        ("endless", endless, "the pages of `ports` do not end"),
        ("a page", second_page_fails, "status 404: The marker ?[31mis gone"),
    )
    with Cloud(page=2) as cloud, Alone(lab) as alone:
        cloud.hosted.clear()
        alone.cli.run(*alone.neutron(cloud, "--once"))
        had = alone.cli.run("export").stdout
        cloud.drop("ports", "10000016")
        try:
            for name, fault, want in cases:
                cloud.faults = [fault]
                alone.set(TENANTNAT_NEUTRON_TIMEOUT="1" if name == "not at all" else "")
                said = alone.cli.fails(*alone.neutron(cloud, "--once"))
                assert want in said, f"{name}: {said}"
                equal(alone.cli.run("export").stdout, had, f"after {name}")
        finally:
            ended.set()
        cloud.faults = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            said = alone.cli.fails("neutron", "--once", "--url", f"http://127.0.0.1:{port}")
            assert f"cannot read from Neutron at http://127.0.0.1:{port}" in said, said
        equal(alone.cli.run("export").stdout, had, "after nobody was there")


@once
def test_neutron_options(lab):
    with Cloud() as cloud, Alone(lab) as alone:
        for words, want in (
                (("--print", "--once"), "give one of --print, --dry-run and --once"),
                (("--print", "--url", "127.0.0.1:9696"), "write http://HOST:9696"),
                (("--print", "--url", f"http://me:{SECRET}@127.0.0.1:1"), "without user and password"),
                (("--print", "--url", cloud.url, "--cloud", "x"), "--cloud or --url, not both"),
                (("--print", "--url", cloud.url, "--host", "no%2"), "no L3 agent of a host `no%2`")):
            said = alone.cli.fails("neutron", *words, code=2)
            assert want in said and SECRET not in said, f"{words}: {said}"


# ---------------------------------------------------------------- applying

@once
def test_neutron_once(lab):
    """VMs come and go; most of them do not go unasked."""
    with Cloud() as cloud, Alone(lab) as alone:
        cloud.hosted.clear()
        plan = alone.cli.lines(*alone.neutron(cloud, "--dry-run"))
        assert "+ tenant alpha-router" in plan, plan
        equal(alone.cli.leases(), {}, "a dry run")
        alone.cli.run(*alone.neutron(cloud, "--once"))
        had = alone.cli.leases()
        equal(set(had), VMS, "mappings")
        equal(alone.cli.lines(*alone.neutron(cloud, "--once")), ["nothing to be done"], "again")
        cloud.drop("ports", "10000016")
        cloud.find("routers", "10000013")["admin_state_up"] = False
        alone.cli.run(*alone.neutron(cloud, "--once"))
        del had["alpha-router", "10.0.0.10"]
        equal(alone.cli.leases(), had, "one is gone, a disabled router keeps its own")
        cloud.lists["routers"].clear()
        said = alone.cli.fails(*alone.neutron(cloud, "--once"), code=2)
        assert "no tenant is left" in said and "--yes" in said, said
        equal(alone.cli.leases(), had, "unasked")
        alone.cli.run(*alone.neutron(cloud, "--once", "--yes"))
        equal(alone.cli.leases(), {}, "confirmed")


@once
def test_neutron_once_without_its_routers(lab):
    """The L3 agent has not made them yet: nobody waits for them, and they are named."""
    with Cloud() as cloud, Alone(lab) as alone:
        done = alone.cli.run(*alone.neutron(cloud, "--once"), code=1)
        for name in ("alpha-router", "beta-router", "gamma-router"):
            assert f"tenant {name}" in done.stderr, done.stderr
        equal(set(alone.cli.leases()), VMS, "mappings")


def of_two_hosts(cloud):
    """hv1 has alpha's router, hv2 beta's, and both the HA router of gamma."""
    agent = cloud.find("agents", AGENT)
    agent["host"] = "hv1"
    other = {**agent, "id": AGENT.replace("33-0033", "34-0034"), "host": "hv2"}
    cloud.lists["agents"] = [agent, other]
    alpha, beta, gamma = (cloud.find("routers", begin) for begin in ("10000012", "10000013", "10000011"))
    cloud.hosted = {AGENT: [alpha, gamma], other["id"]: [beta, gamma]}


@once
def test_neutron_in_a_cluster(lab):
    """The definitions are for all hosts: one of them follows, and another one when it has gone."""
    with Etcd(lab) as etcd, contextlib.ExitStack() as stack:
        with etcd.ns.entered():     # hosts of the cluster are there
            cloud = stack.enter_context(Cloud())
        of_two_hosts(cloud)
        hosts = [Host(lab, etcd, name) for name in ("hv1", "hv2")]
        for host in hosts:
            host.join()
        one, two = hosts
        said = one.cli.fails("neutron", "--url", cloud.url, "--host", "x", "--print", code=2)
        assert "leave --host out" in said, said
        plan = one.cli.lines("neutron", "--url", cloud.url, "--dry-run")
        assert "+ tenant alpha-router" in plan, plan
        following = {host: host.cli.start("neutron", "--url", cloud.url) for host in hosts}
        try:
            def defined(host):
                return yaml.safe_load(host.cli.run("export").stdout)

            def tenants(host):
                return {t["name"]: t for t in defined(host)["tenants"]}

            eventually(lambda: equal(set(tenants(two)), {"alpha-router", "beta-router", "gamma-router"},
                                     "tenants of the cluster"))
            found = tenants(two)
            equal([found[t + "-router"]["router"].get("host") for t in ("alpha", "beta")],
                  ["hv1", "hv2"], "hosts")
            equal(found["gamma-router"]["router"]["hosts"], ["hv1", "hv2"], "hosts of the HA router")
            def those_who_lead():
                return [host for host in hosts if os.path.exists(host.cli.state + "/neutron")]

            eventually(lambda: equal(len(those_who_lead()), 1, "how many follow"))
            asked = len(cloud.requests)
            eventually(lambda: equal(len(cloud.requests) > asked + 20, True, "polls"))
            equal(len(those_who_lead()), 1, "how many follow")
            leads = those_who_lead()
            # a process that is dead leaves its turn to the next one on its host, if that comes before the lease is over

            def turn():
                kv, = json.loads(etcd.ctl("get", "/tenantnat/actor/neutron", "-w", "json")).get("kvs") or [None]
                assert kv, "it is nobody's turn"
                return {**json.loads(base64.b64decode(kv["value"])), "since": kv["create_revision"]}

            for _ in range(5):      # a machine that is stopped for so long may be late
                had = turn()
                following[leads[0]].kill()
                following[leads[0]].wait()
                following[leads[0]] = leads[0].cli.start("neutron", "--url", cloud.url)
                eventually(lambda: equal(turn()["pid"] in [p.pid for p in following.values()], True, "whose turn"), 120)
                if turn()["since"] == had["since"]:
                    break
                leads = [next(h for h, p in following.items() if p.pid == turn()["pid"])]
            equal((turn()["pid"], turn()["since"]), (following[leads[0]].pid, had["since"]), "whose turn it is")
            # a host that has gone without a word is missed when its lease is over
            following[leads[0]].kill()
            cloud.find("routers", "10000012")["name"] = "renamed"
            cloud.drop("ports", "10000016")
            left, = (host for host in hosts if host is not leads[0])
            eventually(lambda: equal({m["fixed"] for m in tenants(left)["alpha-router"]["mappings"]},
                                     {"10.0.0.20"}, "mappings"), 120)
            assert "renamed" not in tenants(left), "a router that was renamed"
            # and one that ends at once
            following[left].terminate()
            equal(following[left].wait(60), 0, "exit status")
            cloud.drop("ports", "10000020")
            one.cli.run("neutron", "--url", cloud.url, "--once", code=None)
            equal({m["fixed"] for m in tenants(one)["beta-router"]["mappings"]}, {"10.0.0.20"}, "mappings")
            had = defined(one)
            cloud.lists["routers"].clear()
            said = one.cli.fails("neutron", "--url", cloud.url, "--once")
            assert "no tenant is left" in said and "--yes" in said, said
            equal(defined(one), had, "most would go")
        finally:
            for process in following.values():
                process.kill()
                process.wait()


@once
def test_neutron_keeps_the_zone(lab):
    """Neutron knows nothing of names in DNS: the zone is what a file has said."""
    with Cloud() as cloud, Alone(lab) as alone:
        cloud.hosted.clear()
        alone.cli.run(*alone.neutron(cloud, "--once"))
        text = alone.cli.run("export").stdout.replace("tenants:\n", "  names: {zone: a.internal}\ntenants:\n", 1)
        path = os.path.join(alone.dir, "zone.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        alone.cli.run("apply", "-f", path)
        cloud.find("ports", "10000016")["name"] = "new-vm"
        alone.cli.run(*alone.neutron(cloud, "--once"))
        equal(alone.cli.json("show")["zone"], "a.internal", "the zone")
        assert "alpha-router-new-vm.a.internal" in alone.cli.run("names").stdout, "the name of a VM"


@once
def test_neutron_renames(lab):
    """A port and a router are the same by whatever name: what is theirs stays theirs."""
    with Cloud() as cloud, Alone(lab) as alone:
        cloud.hosted.clear()
        alone.cli.run(*alone.neutron(cloud, "--once"))
        had = alone.cli.leases()
        cloud.find("ports", "10000016")["name"] = "new-vm"
        cloud.find("routers", "10000013")["name"] = "new-router"
        # somebody else takes the name
        cloud.find("routers", "10000012")["name"] = "beta-router"
        alone.cli.run(*alone.neutron(cloud, "--once"))
        equal(alone.cli.leases(), had, "mappings")
        equal([m["name"] for m in alone.cli.json("map", "list", "alpha-router/10.0.0.10")], ["new-vm"],
              "the VM's name")
        # one that is deleted and made again has its name
        router = cloud.find("routers", "10000013")
        cloud.lists["routers"].remove(router)
        alone.cli.run(*alone.neutron(cloud, "--once"))
        assert ("beta-router", "10.0.0.10") not in alone.cli.leases()
        cloud.lists["routers"].append(router)
        alone.cli.run(*alone.neutron(cloud, "--once"))
        equal({tenant for tenant, _ in alone.cli.leases()},
              {"alpha-router", "gamma-router", "new-router"}, "tenants")


# ---------------------------------------------------------------- with routers

class Qrouter(Namespace):
    """A router as the L3 agent makes it, with a VM behind it."""

    def __init__(self, cloud, begin, wire):     # pylint: disable=super-init-not-called
        router = cloud.find("routers", begin)
        self.name = "qrouter-" + router["id"]
        self.path = f"/run/netns/{self.name}"
        self.vm = Namespace(f"neutron-vm-{begin}")
        self.build(cloud, begin, wire)

    def build(self, cloud, begin, wire, pause=0.0):
        """Interface by interface."""
        router = cloud.find("routers", begin)
        sh(["ip", "netns", "add", self.name])
        time.sleep(pause)
        ports = [p for p in cloud.lists["ports"] if p["device_id"] == router["id"]
                 and p["device_owner"] == "network:router_interface"]
        shared, inside = sorted(ports, key=lambda p: p["name"], reverse=True)
        self.ip("link set lo up")
        veth(self, "qr-" + shared["id"][:11], wire, "p" + begin)
        wire.ip(f"link set p{begin} master br0")
        time.sleep(pause)
        self.ip(f"addr add {shared['fixed_ips'][0]['ip_address']}/16 dev qr-{shared['id'][:11]}")
        time.sleep(pause)
        veth(self, "qr-" + inside["id"][:11], self.vm, "eth0")
        time.sleep(pause)
        self.ip(f"addr add 10.0.0.1/24 dev qr-{inside['id'][:11]}")
        time.sleep(pause)
        port = next(p for p in cloud.lists["ports"] if p["network_id"] == inside["network_id"]
                    and p["fixed_ips"][0]["ip_address"] == "10.0.0.10")
        self.vm.ip(f"link set eth0 address {port['mac_address']}",
                   "addr add 10.0.0.10/24 dev eth0", "route add default via 10.0.0.1")
        self.sysctl(ipv4__ip_forward=1)

    def remove(self):
        self.vm.remove()
        super().remove()


@once
def test_neutron_traffic(lab):
    """Two tenants with the same addresses talk, by what Neutron says alone, and as long as it does."""
    wire = Namespace("neutron-wire")
    wire.ip("link add br0 type bridge", "link set br0 up")
    made = [wire]
    try:
        with Cloud() as cloud, Alone(lab) as alone:
            cloud.hosted = {agent: [r for r in routers if not r["ha"]]
                            for agent, routers in cloud.hosted.items()}
            cloud.drop("ports", "1000002d")     # the second VM of each, which is not here
            cloud.drop("ports", "10000030")
            alpha, beta = (Qrouter(cloud, begin, wire) for begin in ("10000012", "10000013"))
            made += [alpha, beta]

            def once_more(*args):
                alone.cli.run(*alone.neutron(cloud, "--once", *args))
                return alone.cli.leases()

            def reaches(router, address):
                return sh(["nsenter", f"--net={router.vm.path}", "ping", "-c", "1", "-W", "2", address],
                          check=False).returncode == 0

            def reach(router, address):
                assert reaches(router, address), f"{router.name} does not reach {address}"

            leases = once_more()
            at = {tenant: leases[f"{tenant}-router", "10.0.0.10"] for tenant in ("alpha", "beta")}
            eventually(lambda: reach(alpha, at["beta"]))
            eventually(lambda: reach(beta, at["alpha"]))
            group = cloud.find("security-groups", "10000023")
            group["tags"] = []
            once_more()
            assert not reaches(alpha, at["beta"]), "without consent"
            eventually(lambda: reach(beta, at["alpha"]))
            group["tags"] = ["tenantnat"]
            once_more()
            eventually(lambda: reach(alpha, at["beta"]))
            # another VM with the address of the old one is unknown, and then somebody else
            beta.vm.ip("link set eth0 address fa:16:3e:00:00:0b")
            beta.ip("neigh flush all")
            assert not reaches(alpha, at["beta"]), "another VM answers"
            assert not reaches(beta, at["alpha"]), "another VM sends"
            port = {**cloud.find("ports", "10000020"), "mac_address": "fa:16:3e:00:00:0b",
                    "name": "new", "id": "100000ff-00ff-4000-8000-0000000000ff"}
            cloud.drop("ports", "10000020")
            cloud.lists["ports"].append(port)
            now = once_more()
            assert now["beta-router", "10.0.0.10"] != at["beta"], "it has the old one's address"
            leases, at["beta"] = now, now["beta-router", "10.0.0.10"]
            eventually(lambda: reach(alpha, at["beta"]))
            cloud.find("routers", "10000013")["admin_state_up"] = False
            equal(once_more(), leases, "a disabled router's")
            assert not reaches(alpha, at["beta"]), "a disabled router forwards"
            cloud.find("routers", "10000013")["admin_state_up"] = True
            equal(once_more(), leases, "and again")
            eventually(lambda: reach(alpha, at["beta"]))
    finally:
        for ns in made:
            ns.remove()


# ---------------------------------------------------------------- following

@once
def test_neutron_follows(lab):
    """What changes in Neutron changes here, and nothing while Neutron fails or has lost most of it."""
    with Cloud() as cloud, Alone(lab) as alone:
        def is_as(want):
            equal(alone.cli.leases(), want, "mappings")

        def says(lines, text):
            assert any(text in line for line in lines), f"{text!r} is not in {lines}"

        # one that never comes keeps nobody else waiting
        cloud.hosted = {agent: [r for r in routers if r["name"] == "alpha-router"]
                        for agent, routers in cloud.hosted.items()}
        process = alone.cli.start(*alone.neutron(cloud))
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")),
                         daemon=True).start()
        try:
            eventually(lambda: equal(set(alone.cli.leases()), VMS, "mappings"))
            eventually(lambda: says(lines, "tenantnat: tenant alpha-router: there is no network namespace"))
            want = alone.cli.leases()
            # in between, only revisions are asked for
            eventually(lambda: says(cloud.requests, "fields=id&fields=revision_number&limit"))
            port = cloud.find("ports", "10000016")
            cloud.lists["ports"].remove(port)
            del want["alpha-router", "10.0.0.10"]
            eventually(lambda: is_as(want))
            # a new one with the address and name of the old
            cloud.lists["ports"].append({**port, "id": port["id"].replace("16-0016", "ff-00ff")})
            eventually(lambda: equal(set(alone.cli.leases()), VMS, "mappings"))
            want = alone.cli.leases()
            cloud.faults = [answers(503, b"")]
            eventually(lambda: says(lines, "with status 503"))
            cloud.find("ports", "10000020")["fixed_ips"][0]["ip_address"] = "10.0.0.99"
            cloud.find("ports", "10000020")["revision_number"] += 1
            is_as(want)
            cloud.faults = []
            del want["beta-router", "10.0.0.10"]
            eventually(lambda: equal({*alone.cli.leases()}, {*want, ("beta-router", "10.0.0.99")},
                                     "when it answers again"))
            eventually(lambda: says(lines, "in order again"))
            want = alone.cli.leases()
            routers, cloud.lists["routers"] = cloud.lists["routers"], []
            eventually(lambda: says(lines, "no tenant is left"))
            is_as(want)
            cloud.lists["routers"] = routers
            for text in ("no tenant is left", "tenant alpha-router: "):
                equal(sum(text in line for line in lines), 1, f"how often it says {text!r}")
            process.terminate()
            equal(process.wait(), 0, "exit status")
            gone = [line for line in process.stdout.read().splitlines()
                    if line.startswith("- ") and "10.0.0.10" in line and "alpha" in line]
            equal(len(gone), 1, f"what was done: {gone}")
        finally:
            process.kill()
            process.wait()


# ---------------------------------------------------------------- the agent

def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def metrics(port):
    """{name{labels}: value} of what is about Neutron."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines
                                                   if line.startswith("tenantnat_neutron_"))}


def failures(port, reason):
    return metrics(port)[f'tenantnat_neutron_failures_total{{reason="{reason}"}}']


@contextlib.contextmanager
def agent(alone, *args):
    """The lines that it logs."""
    process, lines = alone.cli.start("agent", "--neutron", "--host", "node1", *args), []
    threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")),
                     daemon=True).start()
    try:
        yield process, lines
        process.terminate()
        equal(process.wait(60), 0, "exit status")
    finally:
        process.kill()
        process.wait()


def says(lines, text):
    assert any(text in line for line in lines), f"{text!r} is not in {lines}"


@once
def test_neutron_agent(lab):
    """It follows, and says when it cannot: in its log, its metrics, status and doctor."""
    with Cloud() as cloud, Alone(lab) as alone:
        cloud.hosted.clear()
        port = free_port()
        with agent(alone, "--url", cloud.url, "--metrics", f"127.0.0.1:{port}") as (_, lines):
            eventually(lambda: equal(set(alone.cli.leases()), VMS, "mappings"))
            eventually(lambda: says(lines, "+ tenant alpha-router"))
            eventually(lambda: equal(metrics(port)["tenantnat_neutron_last_read_timestamp_seconds"] > 0,
                                     True, "it was read"))
            for reason in "read", "refused", "loss":
                equal(failures(port, reason), 0, reason)
            had = alone.cli.leases()
            cloud.faults = [answers(503, b"")]
            cloud.drop("ports", "10000016")
            eventually(lambda: says(lines, "with status 503"))
            eventually(lambda: equal(failures(port, "read") > 1, True, "failures"))
            equal(alone.cli.leases(), had, "mappings")
            shown = alone.cli.run("status", code=None).stdout
            assert "neutron  not followed for" in shown and "status 503" in shown, shown
            shown = json.loads(alone.cli.run("status", "-j", code=None).stdout)["neutron"]
            equal((shown["source"], shown["failing_since"] > 0), (cloud.url, True), "status -j")
            shown = alone.cli.run("doctor", code=None).stdout
            assert "nothing of Neutron" in shown and "status 503" in shown, shown
            equal(sum("status 503" in line for line in lines), 1, "how often it says so")
            cloud.faults = []
            del had["alpha-router", "10.0.0.10"]
            eventually(lambda: equal(alone.cli.leases(), had, "when it answers again"))
            eventually(lambda: says(lines, "in order again"))
            shown = alone.cli.run("status", code=None).stdout
            assert "neutron  read " in shown and cloud.url in shown, shown
            # what cannot be
            cloud.find("routers", "10000012")["distributed"] = True
            cloud.find("routers", "10000012")["revision_number"] += 1
            eventually(lambda: equal(metrics(port)["tenantnat_neutron_findings"], 1, "findings"))
            assert "distributed (DVR)" in alone.cli.run("doctor", code=None).stdout, "doctor"
            networks = cloud.lists["networks"]
            networks.append({**networks[0], "id": "100000ff-00ff-4000-8000-0000000000ff",
                             "tags": ["tenantnat"]})
            networks.append({**networks[0], "id": "100000fe-00fe-4000-8000-0000000000fe",
                             "tags": ["tenantnat"]})
            eventually(lambda: says(lines, "networks in Neutron have the tag"))
            eventually(lambda: equal(failures(port, "refused") > 0, True, "refused"))
            del networks[-2:]
            eventually(lambda: equal("failing" in lines[-1] or sum("in order again" in line for line in lines), 2,
                                     "when there is one again"))
            routers, cloud.lists["routers"] = cloud.lists["routers"], []
            eventually(lambda: says(lines, "no tenant is left"))
            eventually(lambda: equal(failures(port, "loss") > 0, True, "loss"))
            equal(alone.cli.leases(), had, "most would go")
            cloud.lists["routers"] = routers


@once
def test_neutron_agent_reads_clouds_again(lab):
    """On SIGHUP; what is wrong there changes nothing."""
    with Cloud(keystone=SECRET) as one, Cloud(keystone=SECRET) as two, Alone(lab) as alone:
        for cloud in one, two:
            cloud.hosted.clear()
        two.drop("ports", "10000016")
        alone.clouds(one=password(one))
        with agent(alone) as (process, lines):
            eventually(lambda: equal(set(alone.cli.leases()), VMS, "mappings"))
            alone.clouds(one={**password(one), "auth_type": "v3kerberos"})
            process.send_signal(signal.SIGHUP)
            eventually(lambda: says(lines, "v3kerberos"))
            asked = len(one.requests)
            eventually(lambda: equal(len(one.requests) > asked, True, "it goes on asking"))
            alone.clouds(one=password(two))
            process.send_signal(signal.SIGHUP)
            eventually(lambda: equal(set(alone.cli.leases()), VMS - {("alpha-router", "10.0.0.10")},
                                     "mappings of the other cloud"))


@once
def test_neutron_agent_and_namespaces(lab):
    """One that comes back interface by interface is attached once; until then it is said what to do."""
    wire = Namespace("neutron-wire")
    wire.ip("link add br0 type bridge", "link set br0 up")
    made = [wire]
    try:
        with Cloud() as cloud, Alone(lab) as alone:
            cloud.hosted = {agent: [r for r in routers if r["id"].startswith("10000012")]
                            for agent, routers in cloud.hosted.items()}
            alpha = Qrouter(cloud, "10000012", wire)
            made.append(alpha)

            def state():
                return next(t["router"]["state"] for t in alone.cli.json("show")["tenants"]
                            if t["tenant"] == "alpha-router")

            def mends(lines):
                return len([line for line in lines if " router alpha-router:" in line])

            with agent(alone, "--url", cloud.url) as (_, lines):
                eventually(lambda: equal(set(alone.cli.leases()), VMS, "mappings"))
                eventually(lambda: equal(state(), "attached", "state"))
                sh(["ip", "netns", "del", alpha.name])
                eventually(lambda: equal(state(), "broken", "state"))
                shown = alone.cli.run("show", "-v", "alpha-router").stdout
                assert f"the network namespace {alpha.name} is gone" in shown, shown
                assert "`tenantnat apply` puts" not in shown, shown
                had = mends(lines)
                alpha.build(cloud, "10000012", wire, pause=0.4)
                eventually(lambda: equal(state(), "attached", "state"))
                equal(mends(lines) - had, 1, f"how often it is attached: {lines}")
    finally:
        for ns in made:
            ns.remove()


@once
def test_neutron_agent_options(lab):
    with Alone(lab) as alone:
        for words, want in ((("--url", "http://127.0.0.1:1"), "--url says which Neutron is meant: add --neutron"),
                            (("--host", "x"), "--host says which Neutron is meant"),
                            (("--neutron", "-f", "x.yaml"), "give --neutron or -f FILE, not both"),
                            (("--neutron", "--url", "x"), "write http://HOST:9696"),
                            (("--neutron",), "no clouds.yaml")):
            said = alone.cli.fails("agent", *words, code=2)
            assert want in said, f"{words}: {said}"
