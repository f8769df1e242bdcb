# SPDX-License-Identifier: GPL-2.0-only
"""neutron --ovn: sidecars of OVN's routers, in a Neutron that can be written to, and on this host."""
import contextlib
import json
import os
import shutil
import subprocess

from case import Skip, equal, eventually, once
from media import OVS_PROGRAMS, SCHEMA
from net import BPFFS, Namespace, end_with_parent, sh, veth
from neutron import SECRET, Cloud
from test_neutron import VMS, Alone, agent, failures, free_port, password, says

ALPHA, BETA = (f"100000{n}-00{n}-4000-8000-0000000000{n}" for n in (12, 13))
POOLS = {ALPHA: "100.96.1.0/24", BETA: "100.96.2.0/24"}
KINDS = ("networks", "subnets", "ports", "security-groups", "routers")


class OvnCloud(Cloud):
    """The samples as a cloud with OVN would have them: no L3 agents, no router's port on the shared network."""

    def __init__(self, *hosts, **options):
        super().__init__(**options)
        self.hosted.clear()
        self.lists["agents"] = []
        self.lists["ports"] = [p for p in self.lists["ports"] if not p["name"].startswith("tnat-")
                               and p["device_owner"] != "network:router_ha_interface"]
        self.lists["routers"] = [r for r in self.lists["routers"] if not r["ha"]]
        for router, host in zip((ALPHA, BETA), hosts):
            self.find("routers", router)["tags"].append(f"tenantnat:host={host}")

    def state(self):
        """What there is, without what differs from one making to the next."""
        def plain(value):
            if isinstance(value, dict):
                return {k: plain(v) for k, v in value.items() if k not in ("revision_number", "created_at")}
            if isinstance(value, list):
                return sorted((plain(v) for v in value), key=json.dumps)
            return value
        text = json.dumps({kind: plain(self.lists[kind]) for kind in KINDS}, sort_keys=True)
        return text

    def ours(self, kind):
        return sorted(one["name"] for one in self.lists[kind] if one.get("description") == "tenantnat:sidecar")


class OvnHost(Alone):
    """With an ovs-vsctl that makes veths into a namespace."""

    def __init__(self, lab, cloud, node):
        self.node = node
        super().__init__(lab)
        self.cloud, self.wire = cloud, Namespace("ovn-wire")
        self.bin, self.plugged = os.path.join(self.dir, "bin"), os.path.join(self.dir, "ovs")
        os.mkdir(self.bin)
        os.mkdir(self.plugged)
        os.symlink(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_ovs_vsctl.py"),
                   os.path.join(self.bin, "ovs-vsctl"))
        self.set(HOME=self.dir, OS_CLOUD="", OS_CLIENT_CONFIG_FILE="", OS_CLIENT_SECURE_FILE="",
                 PATH=f"{self.bin}:{os.environ['PATH']}", FAKE_OVS=self.plugged, FAKE_OVS_WIRE=self.wire.name,
                 FAKE_OVS_NEUTRON=cloud.url)

    def set(self, **env):
        self.cli = self.cli.elsewhere(state=os.path.join(self.dir, "state"), bpffs=f"{BPFFS}/neutron", env=env,
                                      under=["/usr/bin/nsenter", f"--net={self.node.path}"])

    def unplug(self):
        """What a start of the host would take away."""
        for name in self.here()[1]:
            self.node.run("ovs-vsctl", "--if-exists", "del-port", "br-int", name, env=self.cli.env)
        for name in self.here()[0]:
            sh(["ip", "netns", "del", name])

    def __exit__(self, *exc):
        self.cli.run("detach", "--all", code=None)
        for router in (ALPHA, BETA):
            sh(["ip", "netns", "del", f"tnat-{router}"], check=False)
        self.wire.remove()
        super().__exit__(*exc)

    def ovn(self, *args, code=0):
        return self.cli.run("neutron", "--url", self.cloud.url, "--host", "node1", "--ovn", *args, code=code)

    def here(self):
        """The namespaces of sidecars, and what is plugged."""
        return (sorted(name for name in os.listdir("/run/netns") if name.startswith("tnat-")),
                sorted(name for name in os.listdir(self.plugged) if not name.startswith(".")))


@contextlib.contextmanager
def scene(lab, *hosts, **options):
    """The host is a namespace, whose own ports are those that ovs-vsctl adds."""
    node = Namespace("ovn-host")
    node.ip("link set lo up")
    try:
        with OvnCloud(*hosts, ns=node, **options) as cloud, OvnHost(lab, cloud, node) as host:
            yield cloud, host
    finally:
        node.remove()


NAMES = {
    "networks": [f"tnat-{ALPHA}"], "subnets": [f"tnat-{ALPHA}-4"], "security-groups": ["tnat-sidecar"],
    "ports": [f"tnat-{ALPHA}-{part}" for part in ("router", "shared", "transit")],
}


def has_sidecar(cloud):
    """All that alpha's has in Neutron, once, and no more."""
    for kind, names in NAMES.items():
        equal(cloud.ours(kind), names, kind)
    ports = {one["name"].rsplit("-", 1)[1]: one for one in cloud.lists["ports"]
             if one.get("description") == "tenantnat:sidecar"}
    transit = cloud.find("networks", ports["transit"]["network_id"])
    equal(ports["router"]["device_owner"], "network:router_interface", "the router's port")
    equal(ports["router"]["device_id"], ALPHA, "whose it is")
    equal(transit["name"], f"tnat-{ALPHA}", "the transit network")
    group, = (g["id"] for g in cloud.lists["security-groups"] if g["name"] == "tnat-sidecar")
    for part, address, pairs in (("transit", "192.0.2.2", ["100.96.0.0/16"]), ("shared", None, [POOLS[ALPHA]])):
        port = ports[part]
        equal((port["device_owner"], port["device_id"], port["binding:host_id"], port["security_groups"]),
              ("tenantnat:sidecar", ALPHA, "node1", [group]), part)
        equal([pair["ip_address"] for pair in port["allowed_address_pairs"]], pairs, f"pairs of {part}")
        if address:
            equal([ip["ip_address"] for ip in port["fixed_ips"]], [address], f"addresses of {part}")
    equal(cloud.find("routers", ALPHA)["routes"], [{"destination": "100.96.0.0/16", "nexthop": "192.0.2.2"}], "routes")
    return ports


@once
def test_ovn_needs_a_host(lab):
    """Without the option nothing is written; without the tag nobody makes one, and it is said."""
    with scene(lab) as (cloud, host):
        before = cloud.state()
        said = host.ovn("--once").stderr
        assert "no tag says which host has its sidecar" in said and "tenantnat:host=HOST" in said, said
        equal(set(host.cli.leases()), {vm for vm in VMS if "gamma" not in vm[0]}, "mappings")
        cloud.find("routers", ALPHA)["tags"].append("tenantnat:host=node2")
        host.ovn("--once")
        equal((cloud.writes, cloud.state() == before), ([], False), "what was written")
        equal(host.here(), ([], []), "here")
        said = host.cli.fails("neutron", "--url", cloud.url, "--remove", code=2)
        assert "--ovn" in said, said


@once
def test_ovn_makes_and_removes(lab):
    """A sidecar of a router with the tag: said before, made once, and gone with the tag."""
    with scene(lab, "node1", "node2") as (cloud, host):
        before = cloud.state()
        for option in ("--dry-run", "--print"):
            done = host.ovn(option)
            for word in ("network tnat-", "port tnat-", "interface of the router", "namespace tnat-"):
                assert f"+ sidecar alpha-router: {word}" in done.stdout + done.stderr, done
        equal((cloud.writes, cloud.state()), ([], before), "a dry run writes")
        equal(host.here(), ([], []), "here")
        foreign = [{"destination": "10.99.0.0/24", "nexthop": "10.0.0.77"}]
        cloud.find("routers", ALPHA)["routes"] = list(foreign)
        done = host.ovn("--once")
        assert "+ sidecar alpha-router: route to 100.96.0.0/16 via 192.0.2.2" in done.stdout, done.stdout
        routes = cloud.find("routers", ALPHA)["routes"]
        equal(routes[:1], foreign, "a route of somebody else")
        routes.remove(foreign[0])
        ports = has_sidecar(cloud)
        cloud.find("routers", ALPHA)["routes"] = foreign + cloud.find("routers", ALPHA)["routes"]
        legs = [f"ti-{ports['transit']['id'][:11]}", f"ts-{ports['shared']['id'][:11]}"]
        equal(host.here(), ([f"tnat-{ALPHA}"], legs), "here")
        with open(os.path.join(host.plugged, legs[0]), encoding="ascii") as f:
            ids = json.load(f)
        equal((ids["iface-id"], ids["attached-mac"].strip('"')),
              (ports["transit"]["id"], ports["transit"]["mac_address"]), "how it is plugged")
        for leg, part in zip(legs, ("transit", "shared")):
            link = json.loads(sh(["ip", "-n", f"tnat-{ALPHA}", "-j", "link", "show", leg]).stdout)[0]
            equal((link["address"], link["mtu"], "UP" in link["flags"]),
                  (ports[part]["mac_address"], {"transit": 1442, "shared": 1450}[part], True), leg)
        equal(json.loads(host.cli.run("show", "-j").stdout)["tenants"][0]["router"]["state"], "attached", "alpha")
        writes, state = len(cloud.writes), cloud.state()
        done = host.ovn("--once")
        equal((done.stdout, len(cloud.writes), cloud.state()), ("nothing to be done\n", writes, state), "again")
        # another pool, and another address of the network card
        cloud.find("routers", ALPHA)["tags"][1] = "tenantnat:pool=100.96.9.0/24"
        assert "~ sidecar alpha-router: port" in host.ovn("--once").stdout
        POOLS[ALPHA] = "100.96.9.0/24"
        try:
            cloud.find("routers", ALPHA)["routes"].remove(foreign[0])
            has_sidecar(cloud)
        finally:
            POOLS[ALPHA] = "100.96.1.0/24"
            cloud.find("routers", ALPHA)["routes"] += foreign
        cloud.find("routers", ALPHA)["tags"].remove("tenantnat")
        said = host.ovn("--dry-run").stdout
        assert f"- sidecar alpha-router: network tnat-{ALPHA}" in said or f"- sidecar {ALPHA}: network" in said, said
        equal(len(cloud.ours("ports")), 3, "after a dry run")
        host.ovn("--once", "--yes")
        for kind in NAMES:
            equal(cloud.ours(kind), [], kind)
        equal(cloud.find("routers", ALPHA)["routes"], foreign, "a route of somebody else")
        equal(host.here(), ([], []), "here")


@once
def test_ovn_remove(lab):
    """All of this host's go, and nothing else; tenants and addresses are kept."""
    for atomic in (True, False):
        with scene(lab, "node1", "node1") as (cloud, host):
            cloud.atomic = atomic
            cloud.ignores = set() if atomic else {"description"}
            before = cloud.state()
            host.ovn("--once")
            leases = host.cli.leases()
            equal(len(host.here()[0]), 2, "namespaces")
            equal(len(cloud.find("routers", ALPHA)["routes"]), 1, "routes")
            host.ovn("--remove")
            equal(host.here(), ([], []), "here")
            equal(cloud.state(), before, "in Neutron")
            equal(host.cli.leases(), leases, "addresses")
            host.ovn("--once")
            equal(host.cli.leases(), leases, "and again")


@once
def test_ovn_another_host(lab):
    """With another tag the objects stay, and are bound there; here it goes."""
    with scene(lab, "node1") as (cloud, host):
        host.ovn("--once")
        ports = cloud.ours("ports")
        tags = cloud.find("routers", ALPHA)["tags"]
        tags[tags.index("tenantnat:host=node1")] = "tenantnat:host=node2"
        writes = len(cloud.writes)
        host.ovn("--once")
        equal((host.here(), cloud.ours("ports"), len(cloud.writes)), (([], []), ports, writes), "it is node2's")
        tags[tags.index("tenantnat:host=node2")] = "tenantnat:host=node1"
        host.ovn("--once")
        equal(host.here()[0], [f"tnat-{ALPHA}"], "and back")


@once
def test_ovn_cut_short(lab):
    """Whichever request fails, or is done without an answer: the next run completes it, and nothing is there twice."""
    with scene(lab, "node1") as (cloud, host):
        host.ovn("--once")
        makes = len(cloud.writes)
        host.ovn("--remove")
        removes = len(cloud.writes) - makes
        assert makes > 8 and removes > 4, (makes, removes)

        def refuse(after):
            had = len(cloud.writes)

            def fault(handler, _path, _query):
                if handler.command == "GET" or len(cloud.writes) - had < after:
                    return False
                handler.answer(500, {"NeutronError": {"message": "out of order"}})
                return True
            return [fault]

        for words, whole, steps in ((("--once",), has_sidecar, makes),
                                    (("--remove",), lambda c: equal(c.ours("ports") + c.ours("networks"), [], "left"),
                                     removes)):
            for step in range(steps):
                for kind in ("refused", "lost") if lab.long else (("refused", "lost")[step % 2],):
                    if words == ("--remove",):
                        host.ovn("--once")
                    if kind == "refused":
                        cloud.faults = refuse(step)
                        done = host.ovn(*words, code=1)
                        assert "status 500: out of order" in done.stderr, done.stderr
                    else:
                        cloud.lose = len(cloud.writes) + step + 1
                        done = host.ovn(*words, code=1)
                        assert "cannot read from Neutron" in done.stderr, done.stderr
                    cloud.faults, cloud.lose = [], 0
                    host.ovn(*words)
                    whole(cloud)
                    if words == ("--once",):
                        host.ovn("--remove")
                        equal(host.here(), ([], []), "here")


@once
def test_ovn_when_ovs_does_not_answer(lab):
    """It is said, and the next run plugs."""
    with scene(lab, "node1") as (cloud, host):
        down = os.path.join(host.plugged, ".down")
        with open(down, "w", encoding="ascii"):
            pass
        said = host.ovn("--once", code=1).stderr
        assert "the sidecar of router alpha-router: ovs-vsctl failed: ovs-vsctl: unix:" in said, said
        os.unlink(down)
        host.ovn("--once")
        has_sidecar(cloud)
        equal(len(host.here()[1]), 2, "plugged")
        os.unlink(os.path.join(host.bin, "ovs-vsctl"))
        sh(["ip", "netns", "del", f"tnat-{ALPHA}"])
        host.set(**{**host.cli.env, "PATH": "/nowhere"})
        said = host.ovn("--once", code=1).stderr
        assert "cannot run ip: it is not in PATH" in said, said


@once
def test_ovn_token_is_renewed(lab):
    """Also between two writes."""
    with scene(lab, "node1", keystone=SECRET) as (cloud, host):
        host.clouds(one=password(cloud))
        cloud.token_serves, cloud.open = 5, "GET /v2.0/ports?id="     # of ovs-vsctl, which has no token
        host.cli.run("neutron", "--host", "node1", "--ovn", "--once")
        has_sidecar(cloud)
        assert len(cloud.logins) > 4, f"{len(cloud.logins)} tokens were asked for"
        # who may read alone
        cloud.token_serves = 0
        cloud.faults = [lambda handler, *_: handler.command != "GET" and not handler.answer(403, {})]
        cloud.find("routers", BETA)["tags"].append("tenantnat:host=node1")
        said = host.cli.run("neutron", "--host", "node1", "--ovn", "--once", code=1).stderr
        assert "the sidecar of router beta-router: Neutron at" in said and "`POST networks` with status 403" in said, said


@once
def test_ovn_objects_of_tenants(lab):
    """Who calls an object of his as ours is not taken for us: nothing is plugged there, and nothing of his removed."""
    with scene(lab, "node1", keystone=SECRET) as (cloud, host):
        host.clouds(one=password(cloud))
        cloud.open = "GET /v2.0/ports?id="
        theirs = {"project_id": "evil", "description": "tenantnat:sidecar", "revision_number": 1, "tags": [], "mtu": 1500}
        network, port = (f"0000000{n}-0000-4000-8000-000000000000" for n in (1, 2))
        cloud.lists["networks"].append({**theirs, "id": network, "name": f"tnat-{ALPHA}"})
        like = cloud.find("ports", "10000016")
        cloud.lists["ports"].append({**like, **theirs, "id": port, "name": f"tnat-{ALPHA}-shared"})
        words = ["neutron", "--host", "node1", "--ovn"]
        host.cli.run(*words, "--once")
        ours = {p["name"].rsplit("-", 1)[1]: p for p in cloud.lists["ports"] if p["device_owner"] == "tenantnat:sidecar"}
        assert ours["transit"]["network_id"] != network, "the transit network is a tenant's"
        equal(host.here()[1], sorted((f"ti-{ours['transit']['id'][:11]}", f"ts-{ours['shared']['id'][:11]}")), "plugged")
        host.cli.run(*words, "--remove")
        equal((cloud.ours("networks"), cloud.ours("ports")), ([f"tnat-{ALPHA}"], [f"tnat-{ALPHA}-shared"]), "left")


class Ovs:
    """A real Open vSwitch, which forwards in its own process: no kernel has to have its module."""

    def __init__(self, host):
        missing = [program for program in OVS_PROGRAMS if not shutil.which(program)]
        if missing or not os.path.exists("/dev/net/tun"):
            raise Skip(f"no {(missing + ['/dev/net/tun'])[0]}")
        self.host, self.run = host, os.path.join(host.dir, "run")
        os.mkdir(self.run)
        self.env = {**os.environ, "OVS_RUNDIR": self.run, "OVS_LOGDIR": self.run, "OVS_DBDIR": self.run}
        self.processes, database, socket = [], self.run + "/conf.db", f"unix:{self.run}/db.sock"
        self.call("ovsdb-tool", "create", database, SCHEMA)
        self.start("ovsdb-server", database, f"--remote=p{socket}")
        eventually(lambda: equal(os.path.exists(f"{self.run}/db.sock"), True, "its socket"))
        self.call("ovs-vsctl", "--no-wait", "init")
        self.start("ovs-vswitchd", socket, "--disable-system")
        self.call("ovs-vsctl", "--timeout=60", "add-br", "br-int", "--", "set", "Bridge", "br-int",
                  "datapath_type=netdev", "fail-mode=standalone")
        host.set(**{**host.cli.env, "PATH": os.environ["PATH"], "OVS_RUNDIR": self.run})

    def start(self, *argv):
        # pylint: disable-next=consider-using-with
        self.processes.append(subprocess.Popen(["nsenter", f"--net={self.host.node.path}", *argv, "-vconsole:off", f"--unixctl={self.run}/{argv[0]}.ctl"],
                                               env=self.env, preexec_fn=end_with_parent))

    def call(self, *argv):
        return sh(argv, env=self.env).stdout

    def join(self, port, network, cloud):
        """Ports of one network hear each other alone, as OVN has it."""
        number = [one["id"] for one in cloud.lists["networks"]].index(network) + 1
        self.call("ovs-vsctl", "set", "Port", port, f"tag={number}")

    def end(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


class OvnRouter(Namespace):
    """What OVN would do of a router: on its own network, and on the transit network, with Neutron's routes."""

    def __init__(self, cloud, host, router, ovs=None):
        super().__init__("ovn-" + router[:8])
        self.vm = Namespace("ovn-vm-" + router[:8])
        private = next(p for p in cloud.lists["ports"] if p["device_id"] == router
                       and p["fixed_ips"][0]["ip_address"] == "10.0.0.1")
        facing = next(p for p in cloud.lists["ports"] if p["name"] == f"tnat-{router}-router")
        vm = next(p for p in cloud.lists["ports"] if p["network_id"] == private["network_id"]
                  and p["fixed_ips"][0]["ip_address"] == "10.0.0.10")
        veth(self, "vms", self.vm, "eth0")
        if ovs:
            veth(self, "transit", host.node, "r" + router[:8])
            ovs.call("ovs-vsctl", "add-port", "br-int", "r" + router[:8])
            ovs.join("r" + router[:8], facing["network_id"], cloud)
        else:
            veth(self, "transit", host.wire, "r" + router[:8])
            host.wire.ip(f"link set r{router[:8]} master n{facing['network_id'][:8]}")
        self.ip(f"link set transit address {facing['mac_address']}",
                f"addr add {facing['fixed_ips'][0]['ip_address']}/30 dev transit", "addr add 10.0.0.1/24 dev vms",
                *(f"route add {r['destination']} via {r['nexthop']}" for r in cloud.find("routers", router)["routes"]))
        self.sysctl(ipv4__ip_forward=1)
        self.vm.ip(f"link set eth0 address {vm['mac_address']}", "addr add 10.0.0.10/24 dev eth0",
                   "route add default via 10.0.0.1")

    def remove(self):
        self.vm.remove()
        super().remove()


@once
def test_ovn_traffic(lab):
    """Two tenants with the same addresses talk by their sidecars, with `sources: strict`, as long as Neutron says."""
    made = []
    with scene(lab, "node1", "node1") as (cloud, host):
        try:
            leases = (host.ovn("--once"), host.cli.leases())[1]
            at = {tenant: leases[f"{tenant}-router", "10.0.0.10"] for tenant in ("alpha", "beta")}
            alpha, beta = (OvnRouter(cloud, host, router) for router in (ALPHA, BETA))
            made += [alpha, beta]

            def reaches(router, address):
                return sh(["nsenter", f"--net={router.vm.path}", "ping", "-c", "2", "-i", "0.2", "-W", "2", address],
                          check=False).stdout.count("bytes from") == 2

            def reach(router, address):
                assert reaches(router, address), f"{router.name} does not reach {address}"

            # both pings: a VM that looked on-link would be dropped after the first
            eventually(lambda: reach(alpha, at["beta"]))
            eventually(lambda: reach(beta, at["alpha"]))
            drops = {d["reason"] for d in host.cli.json("stats")["drops"]}
            assert "spoofed-source" not in drops, drops
            group = cloud.find("security-groups", "10000023")
            group["tags"] = []
            host.ovn("--once")
            assert not reaches(alpha, at["beta"]), "without consent"
            group["tags"] = ["tenantnat"]
            host.ovn("--once")
            eventually(lambda: reach(alpha, at["beta"]))
            # the host is started anew: the namespace is gone, and so is what was plugged
            before = len(cloud.writes)
            host.unplug()
            host.ovn("--once")
            equal(len(cloud.writes), before, "what was written")
            eventually(lambda: reach(alpha, at["beta"]))
            equal(host.cli.leases(), leases, "addresses")
        finally:
            for ns in made:
                ns.remove()


@once
def test_ovn_with_open_vswitch(lab):
    """The real one plugs what the fake one does; traffic goes through it."""
    made = []
    with scene(lab, "node1", "node1") as (cloud, host):
        ovs = Ovs(host)
        try:
            host.ovn("--once", code=None)   # until it is told which networks there are, all ports hear each other
            ports = {f"t{kind[0]}-{p['id'][:11]}": p["network_id"] for p in cloud.lists["ports"]
                     for kind in ("inside", "shared") if p["name"].endswith("-transit" if kind == "inside" else "-shared")}
            plugged = set(ovs.call("ovs-vsctl", "list-ports", "br-int").split())
            equal(plugged, set(ports), "what is plugged")
            for port, network in ports.items():
                ovs.join(port, network, cloud)
            leases = (host.ovn("--once"), host.cli.leases())[1]
            made += [OvnRouter(cloud, host, router, ovs) for router in (ALPHA, BETA)]
            for here, there in zip(made, ("beta", "alpha")):
                eventually(lambda here=here, there=there: equal(
                    sh(["nsenter", f"--net={here.vm.path}", "ping", "-c", "2", "-i", "0.2", "-W", "2",
                        leases[f"{there}-router", "10.0.0.10"]], check=False).stdout.count("bytes from"), 2, "answers"))
            equal(host.ovn("--once").stdout, "nothing to be done\n", "again")
            host.ovn("--remove")
            equal(set(ovs.call("ovs-vsctl", "list-ports", "br-int").split()), {"r" + ALPHA[:8], "r" + BETA[:8]}, "left")
        finally:
            for ns in made:
                ns.remove()
            ovs.end()


@once
def test_ovn_agent(lab):
    """It follows, mends a namespace that is gone, and says a failure once, in its log and its metrics."""
    with scene(lab, "node1") as (cloud, host):
        port = free_port()
        with agent(host, "--url", cloud.url, "--ovn", "--metrics", f"127.0.0.1:{port}") as (_, lines):
            eventually(lambda: has_sidecar(cloud))
            eventually(lambda: says(lines, "sidecar alpha-router: namespace"))
            eventually(lambda: equal(json.loads(host.cli.run("show", "-j").stdout)["tenants"][0]["router"]["state"],
                                     "attached", "alpha"))

            def failed():
                with host.node.entered():
                    return failures(port, "sidecars")
            equal(failed(), 0, "failures")

            def fault(handler, _path, _query):
                if handler.command == "GET":
                    return False
                handler.answer(500, {"NeutronError": {"message": "out of order"}})
                return True
            cloud.faults = [fault]
            cloud.find("routers", BETA)["tags"].append("tenantnat:host=node1")
            cloud.find("routers", BETA)["revision_number"] += 1
            eventually(lambda: says(lines, "the sidecar of router beta-router: Neutron at"))
            eventually(lambda: equal(failed() > 1, True, "failures"))
            equal(sum("sidecar of router beta-router" in line for line in lines), 1, "how often it says so")
            has_sidecar(cloud)
            cloud.faults = []
            eventually(lambda: equal(len(host.here()[0]), 2, "namespaces"))
            eventually(lambda: says(lines, "in order again: the sidecars"))
            host.unplug()
            eventually(lambda: equal(len(host.here()[0]), 2, "namespaces"))
            eventually(lambda: equal(len(host.here()[1]), 4, "legs"))
