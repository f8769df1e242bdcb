# SPDX-License-Identifier: GPL-2.0-only
"""A Neutron and a Keystone that play the answers in tests/neutron/, on loopback."""
import http.server
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

    def do_GET(self):
        cloud = self.server.cloud
        path, _, query = self.path.partition("?")
        cloud.requests.append(self.path)
        for fault in cloud.faults:
            done = fault(self, path, query)
            if done:
                return
        if cloud.keystone and self.headers.get("X-Auth-Token") not in cloud.tokens:
            self.answer(401, {"error": {"code": 401, "title": "Unauthorized"}})
            return
        if not cloud.keystone and self.headers.get("X-Auth-Token"):
            self.answer(500, {"token": "sent to whom nobody asked for"})
            return
        cloud.served += 1
        if cloud.token_serves and cloud.served % cloud.token_serves == 0:
            cloud.tokens.clear()
        self.answer(*cloud.get(path, query))

    def do_POST(self):
        cloud = self.server.cloud
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        cloud.logins.append(body)
        if self.path != "/identity/v3/auth/tokens":
            self.answer(404, {})
        elif cloud.keystone not in json.dumps(body):
            self.answer(401, {"error": {"message": f"{SECRET} is what was sent"}})
        else:
            token = f"token-{len(cloud.logins)}"
            cloud.tokens.add(token)
            self.answer(201, {"token": {"catalog": cloud.catalog()}}, [("X-Subject-Token", token)])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Of clients that do not wait for their answer."""


class Cloud:
    """
    Serves the samples, which a test may change in `lists`; `keystone`: the secret that it takes to
    get a token, None: no token is asked for. Pages have at most `page` objects.
    """

    def __init__(self, keystone=None, page=1000):
        self.lists = {path: sample(name)[key] for path, (name, key) in LISTS.items()}
        self.hosted = {AGENT: sample("l3-routers")["routers"]}
        self.keystone, self.page = keystone, page
        self.token_serves = 0           # after so many answers all tokens are refused; 0: never
        self.faults = []                # called before each answer; true: it has answered
        self.requests, self.logins, self.tokens, self.served = [], [], set(), 0
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
        if len(parts) != 2 or parts[0] != "v2.0" or parts[1] not in LISTS:
            return 404, {"NeutronError": {"message": "The resource could not be found."}}
        key = LISTS[parts[1]][1]
        # as a real one does
        if "sort_key" in asked:
            return 400, {"NeutronError": {"message": "sort_key is invalid"}}
        fields = asked.pop("fields", [])
        limit = min(int(asked.pop("limit", ["1000000"])[0]), self.page)
        marker = asked.pop("marker", [None])[0]
        wanted = {field: set(values) for field, values in asked.items()}
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
