# SPDX-License-Identifier: GPL-2.0-only
"""A Neutron and a Keystone that play the answers in tests/neutron/, on loopback, and can be written to."""
import contextlib
import copy
import http.server
import ipaddress
import json
import os
import threading
import urllib.parse

SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "neutron")
# path: (file, key of the list)
LISTS = {
    "networks": ("networks", "networks"), "subnets": ("subnets", "subnets"),
    "routers": ("routers", "routers"), "agents": ("agents", "agents"), "ports": ("ports", "ports"),
    "security-groups": ("security-groups", "security_groups"),
    "rbac-policies": ("rbac-policies", "rbac_policies"),
}
ONE = {"networks": "network", "subnets": "subnet", "routers": "router", "ports": "port",
       "security-groups": "security_group", "security-group-rules": "security_group_rule"}
NOT_FOUND = 404, {"NeutronError": {"message": "The resource could not be found."}}
# what may be given when one is made, and (a part of it) changed
TAKES = {
    "networks": {"name", "description", "admin_state_up"},
    "subnets": {"name", "description", "network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp"},
    "ports": {"name", "description", "network_id", "admin_state_up", "fixed_ips", "device_id", "device_owner",
              "binding:host_id", "allowed_address_pairs", "security_groups"},
    "security-groups": {"name", "description", "stateful"},
    "security-group-rules": {"security_group_id", "direction", "ethertype"},
}
AGENT = "10000033-0033-4000-8000-000000000033"
SECRET = "s3cret-of-tests"


def sample(name):
    with open(os.path.join(SAMPLES, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def has(value, wanted):
    """Whether an object with this value of a field is among those that are asked for, a set."""
    return not wanted.isdisjoint(value) if isinstance(value, list) else str(value) in wanted


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True

    def refused(self):
        """Whether the request has been answered: by a fault, or for its token."""
        cloud = self.server.cloud
        path, _, query = self.path.partition("?")
        for fault in cloud.faults:
            if fault(self, path, query):
                return True
        if cloud.open and f"{self.command} {self.path}".startswith(cloud.open):
            return False
        if cloud.keystone and self.headers.get("X-Auth-Token") not in cloud.tokens:
            self.answer(401, {"error": {"code": 401, "title": "Unauthorized"}})
            return True
        if not cloud.keystone and self.headers.get("X-Auth-Token"):
            self.answer(500, {"token": "sent to whom nobody asked for"})
            return True
        cloud.served += 1
        if cloud.token_serves and cloud.served % cloud.token_serves == 0:
            cloud.tokens.clear()
        return False

    def do_GET(self):
        cloud = self.server.cloud
        cloud.requests.append(self.path)
        if not self.refused():
            path, _, query = self.path.partition("?")
            with cloud.lock:
                self.answer(*cloud.get(path, query))

    def body(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return json.loads(text) if text else None

    def write(self):
        cloud, body = self.server.cloud, self.body()
        if self.refused():
            return
        with cloud.lock:
            done = cloud.write(self.command, self.path, body)
        if cloud.lose == len(cloud.writes):     # it is done, and nobody is told
            self.close_connection = True
        else:
            self.answer(*done)

    do_PUT = do_DELETE = write

    def do_POST(self):
        cloud = self.server.cloud
        if self.path != "/identity/v3/auth/tokens":
            self.write()
            return
        body = self.body()
        cloud.logins.append(body)
        if cloud.keystone not in json.dumps(body):
            self.answer(401, {"error": {"message": f"{SECRET} is what was sent"}})
        else:
            token = f"token-{len(cloud.logins)}"
            cloud.tokens.add(token)
            self.answer(201, {"token": {"catalog": cloud.catalog(), "project": {"id": "admin"}}}, [("X-Subject-Token", token)])


class Refused(Exception):
    """(status, message)"""


# as the API has all of them
RULE = {"protocol": None, "port_range_min": None, "port_range_max": None, "remote_group_id": None,
        "remote_ip_prefix": None, "remote_address_group_id": None}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Of clients that do not wait for their answer."""


class Cloud:
    """
    Serves the samples, which a test may change in `lists`; `keystone`: the secret that it takes to
    get a token, None: no token is asked for. Pages have at most `page` objects. `ns`: the namespace on whose
    loopback it is.
    """

    def __init__(self, keystone=None, page=1000, ns=None):
        self.lists = {path: sample(name)[key] for path, (name, key) in LISTS.items()}
        self.hosted = {AGENT: sample("l3-routers")["routers"]}
        self.keystone, self.page = keystone, page
        self.made = 0                   # objects
        self.writes = []                # (method, path) of those that were done
        self.ignores = set()            # fields that it does not filter by
        self.open = ""                  # what such a request begins with takes no token
        self.lose = 0                   # the answer to that write, from 1, does not come
        self.atomic = True              # single routes of a router can be added and removed
        self.lock = threading.Lock()
        self.token_serves = 0           # after so many answers all tokens are refused; 0: never
        self.faults = []                # called before each answer; true: it has answered
        self.requests, self.logins, self.tokens, self.served = [], [], set(), 0
        with ns.entered() if ns else contextlib.nullcontext():
            self.server = Server(("127.0.0.1", 0), Handler)
        self.server.cloud = self
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def find(self, path, begin):
        return next(one for one in self.lists[path] if one["id"].startswith(begin))

    def drop(self, path, begin):
        self.lists[path].remove(self.find(path, begin))

    def catalog(self):
        def endpoint(interface, region, url):
            return {"interface": interface, "region": region, "region_id": region, "url": url}
        nowhere = "http://127.0.0.1:1"
        return [{"type": "compute", "endpoints": [endpoint("public", "one", nowhere)]},
                {"type": "network", "endpoints": [
                    endpoint("admin", "one", nowhere), endpoint("public", "two", nowhere),
                    endpoint("public", "one", self.url), endpoint("internal", "two", self.url + "/v2.0/")]}]

    def get(self, path, query):
        """(status, answer)"""
        parts = path.strip("/").split("/")
        asked = urllib.parse.parse_qs(query, keep_blank_values=True)
        if parts[:2] == ["v2.0", "agents"] and parts[3:] == ["l3-routers"]:
            return 200, {"routers": self.hosted.get(parts[2], [])}
        if parts == ["v2.0", "extensions"]:
            names = ["stateful-security-group"] + ["extraroute-atomic"] * self.atomic
            return 200, {"extensions": [{"alias": name} for name in names]}
        if len(parts) == 3 and parts[1] in ONE:
            found = [one for one in self.lists[parts[1]] if one["id"] == parts[2]]
            fields = asked.get("fields", [])
            return (200, {ONE[parts[1]]: {k: v for k, v in found[0].items() if not fields or k in fields}}) \
                if found else NOT_FOUND
        if len(parts) != 2 or parts[0] != "v2.0" or parts[1] not in LISTS:
            return NOT_FOUND
        key = LISTS[parts[1]][1]
        # as a real one does
        if "sort_key" in asked:
            return 400, {"NeutronError": {"message": "sort_key is invalid"}}
        fields = asked.pop("fields", [])
        limit = min(int(asked.pop("limit", ["1000000"])[0]), self.page)
        marker = asked.pop("marker", [None])[0]
        wanted = {field: set(values) for field, values in asked.items() if field not in self.ignores}
        found = sorted((one for one in self.lists[parts[1]]
                        if all(has(one.get(field), values) for field, values in wanted.items())),
                       key=lambda one: one["id"])
        if marker:
            found = [one for one in found if one["id"] > marker]
        rows, rest = found[:limit], found[limit:]
        answer = {key: [{k: v for k, v in one.items() if not fields or k in fields} for one in rows]}
        if rest:
            again = urllib.parse.urlencode(
                [*((f, v) for f, values in asked.items() for v in values),
                 *(("fields", f) for f in fields), ("limit", limit), ("marker", rows[-1]["id"])])
            # a server behind a proxy does not know what it is called
            answer[key + "_links"] = [{"rel": "previous", "href": "http://inner:9696/?x"},
                                      {"rel": "next", "href": f"http://inner:9696{path}?{again}"}]
        return 200, answer

    # what is written

    def write(self, method, path, body):
        """(status, answer), as Neutron refuses and does it."""
        parts = path.strip("/").split("/")[1:]
        try:
            if method == "POST":
                done = 201, {ONE[parts[0]]: self.make(parts[0], body[ONE[parts[0]]])}
            elif method == "DELETE":
                done = self.delete(*parts)
            elif len(parts) == 3:
                done = 200, self.change_router(self.one("routers", parts[1]), parts[2], body)
            else:
                done = 200, {ONE[parts[0]]: self.change(parts[0], parts[1], body[ONE[parts[0]]])}
        except Refused as refused:
            return refused.args[0], {"NeutronError": {"message": refused.args[1]}}
        self.writes.append((method, path))
        return done

    def one(self, kind, begin):
        found = [one for one in self.lists[kind] if one["id"] == begin]
        if not found:
            raise Refused(404, f"{kind} {begin} could not be found")
        return found[0]

    def make(self, kind, body):
        strange = set(body) - TAKES[kind]
        if strange:
            raise Refused(400, f"Unrecognized attribute(s) '{', '.join(strange)}'")
        self.made += 1
        new = {"id": f"3{self.made:07x}-{self.made:04x}-4000-8000-{self.made:012x}",
               "name": "", "description": "", "project_id": "admin", "tags": [], "revision_number": 1,
               "created_at": f"2026-02-02T00:00:{self.made % 60:02}Z", **copy.deepcopy(body)}
        if kind == "security-group-rules":
            group = self.one("security-groups", body["security_group_id"])
            if any((r["direction"], r["ethertype"]) == (body["direction"], body["ethertype"])
                   for r in group["security_group_rules"]):
                raise Refused(409, "Security group rule already exists")
            group["security_group_rules"].append({**RULE, **new})
            return new
        {"networks": self.make_network, "subnets": self.make_subnet, "ports": self.make_port,
         "security-groups": self.make_group}[kind](new)
        self.lists[kind].append(new)
        return new

    def make_network(self, new):
        new["mtu"] = 1442

    def make_subnet(self, new):
        self.one("networks", new["network_id"])
        first, *_, last = ipaddress.ip_network(new["cidr"]).hosts()
        new["allocation_pools"] = [{"start": str(first), "end": str(last)}]

    def make_group(self, new):
        new["security_group_rules"] = [{**RULE, "id": new["id"][:-4] + f"000{i}", "direction": "egress",
                                        "ethertype": kind} for i, kind in enumerate(("IPv4", "IPv6"))]

    def make_port(self, new):
        self.one("networks", new["network_id"])
        new["mac_address"] = f"fa:16:3e:30:{self.made >> 8:02x}:{self.made & 255:02x}"
        new.update(status="DOWN", dns_name="", **{key: new.get(key, empty) for key, empty in (
            ("device_id", ""), ("device_owner", ""), ("binding:host_id", ""), ("security_groups", []),
            ("allowed_address_pairs", []))})
        taken = {ip["ip_address"] for port in self.lists["ports"] if port["network_id"] == new["network_id"]
                 for ip in port["fixed_ips"]}
        for ip in new["fixed_ips"]:
            subnet = self.one("subnets", ip["subnet_id"])
            pool = subnet["allocation_pools"][0]
            at = int(ipaddress.ip_address(pool["start"]))
            while "ip_address" not in ip:
                address = str(ipaddress.ip_address(at))
                if address not in taken:
                    ip["ip_address"] = address
                at += 1
            if ip["ip_address"] in taken:
                raise Refused(409, f"IP address {ip['ip_address']} already allocated")
            if ipaddress.ip_address(ip["ip_address"]) not in ipaddress.ip_network(subnet["cidr"]):
                raise Refused(400, f"IP address {ip['ip_address']} is not a valid IP for the subnet")
        self.add_macs(new, new["allowed_address_pairs"])

    def add_macs(self, port, pairs):
        for pair in pairs:
            pair.setdefault("mac_address", port["mac_address"])

    def change(self, kind, begin, body):
        one = self.one(kind, begin)
        if kind == "ports":
            self.add_macs(one, body.get("allowed_address_pairs", []))
        if kind == "routers":
            self.check_routes(one, body.get("routes", []))
        one.update(body)
        one["revision_number"] += 1
        return one

    def networks_of(self, router):
        """The subnets that it has ports on."""
        return [ipaddress.ip_network(self.one("subnets", ip["subnet_id"])["cidr"])
                for port in self.lists["ports"]
                if port["device_id"] == router["id"] and port["device_owner"].startswith("network:router")
                for ip in port["fixed_ips"]]

    def check_routes(self, router, routes):
        for route in routes:
            if not any(ipaddress.ip_address(route["nexthop"]) in net for net in self.networks_of(router)):
                raise Refused(400, "Invalid format for routes: the nexthop is not connected with router")

    def change_router(self, router, verb, body):
        routes = router.setdefault("routes", [])
        if verb == "add_router_interface":
            port = self.one("ports", body["port_id"])
            nets = [ipaddress.ip_network(self.one("subnets", ip["subnet_id"])["cidr"]) for ip in port["fixed_ips"]]
            if port["device_id"]:
                raise Refused(409, "Unable to complete operation: the port is in use")
            if any(net.version == other.version and net.overlaps(other)
                   for net in nets for other in self.networks_of(router)):
                raise Refused(400, "Cidr overlaps with a cidr of another subnet of the router")
            port.update(device_id=router["id"], device_owner="network:router_interface", status="ACTIVE")
            return {"id": router["id"], "port_id": port["id"]}
        if verb == "remove_router_interface":
            port = self.one("ports", body["port_id"])
            nets = [ipaddress.ip_network(self.one("subnets", ip["subnet_id"])["cidr"]) for ip in port["fixed_ips"]]
            if any(ipaddress.ip_address(route["nexthop"]) in net for route in routes for net in nets):
                raise Refused(409, "Router interface is required by one or more routes")
            self.lists["ports"].remove(port)
            return {"id": router["id"], "port_id": port["id"]}
        if not self.atomic:
            raise Refused(404, "no such extension")
        wanted = body["router"]["routes"]
        if verb == "add_extraroutes":
            self.check_routes(router, wanted)
            routes += [route for route in wanted if route not in routes]
        else:
            routes[:] = [route for route in routes if route not in wanted]
        router["revision_number"] += 1
        return {"router": router}

    def delete(self, kind, begin):
        one = self.one(kind, begin)
        if kind == "ports" and one["device_owner"].startswith("network:"):
            raise Refused(409, "Port cannot be deleted directly via the port API")
        if kind == "networks":
            if any(port["network_id"] == begin for port in self.lists["ports"]):
                raise Refused(409, "There are one or more ports still in use on the network")
            self.lists["subnets"] = [s for s in self.lists["subnets"] if s["network_id"] != begin]
        if kind == "security-groups" and any(begin in port.get("security_groups", [])
                                             for port in self.lists["ports"]):
            raise Refused(409, "Security Group in use")
        self.lists[kind].remove(one)
        return 204, b""
