# SPDX-License-Identifier: GPL-2.0-only
"""The page of metrics: what it says, who reads it, and who tries to hold it up."""
import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from agent import Agent, ask, free_port
from case import PATIENCE, equal, eventually, once
from defs import Tenant
from lab import BLUE, BLUE1
from net import sh
from test_agent import mended
from traffic import client, server

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGING = os.path.join(TOP, "packaging")
TOOLS = os.path.join(TOP, "build/prometheus/usr/bin")
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
WANTED = re.compile(r"\btenantnat_\w+")
# only on a host in a cluster: test_cluster.py and test_stream.py scrape one
OF_CLUSTER = {"tenantnat_cluster_connected", "tenantnat_cluster_behind_seconds", "tenantnat_cluster_older",
              "tenantnat_cluster_unheld", "tenantnat_flows_silent_seconds"}
# and where Neutron is read: test_neutron.py
OF_NEUTRON = {"tenantnat_neutron_last_read_timestamp_seconds", "tenantnat_neutron_failures_total"}
OF_RULES = {"tenantnat_rule_ends_timestamp_seconds"}    # those that end


def samples(page):
    """{(name, labels): value}"""
    found = [SAMPLE.match(line) for line in page.splitlines() if not line.startswith("#")]
    assert all(found), f"not the text format: {page[:400]}"
    return {(m[1], m[2] or ""): float(m[3]) for m in found}


def files(agent):
    """How many it has open; some of its looks' come and go meanwhile."""
    return len(os.listdir(f"/proc/{agent.run.pid}/fd"))


def promtool(*args, **options):
    return sh([os.path.join(TOOLS, "promtool"), *args], **options)


def datagrams(lab, n):
    there, port = server(lab.blue1, socket.SOCK_DGRAM)
    here = client(lab.red1, socket.SOCK_DGRAM, BLUE1, port)
    with there, here:
        for _ in range(n):
            here.send(bytes(100))
        for _ in range(n):
            there.recv(200)


RED_OUT = ("tenantnat_packets_total", 'tenant="red",direction="out"')


@once
def test_metrics_page(lab):
    """To stdout and by HTTP it is the same page, one that promtool has nothing to say about."""
    datagrams(lab, 3)
    printed = lab.cli.run("stats", "--prometheus").stdout
    port = free_port()
    with Agent(lab, "--metrics", f"127.0.0.1:{port}", "--metrics-mappings"):
        status, headers, page = ask(port)
        equal(status, 200, "status")
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
        equal(ask(port, method="HEAD")[::2], (200, ""), "HEAD")
        equal(ask(port, "/other")[0], 404, "another page")
        equal(ask(port, method="POST")[0], 405, "POST")
        assert "/metrics" in ask(port, "/")[2]
        said = lab.cli.fails("agent", "--metrics", f"127.0.0.1:{port}",
                             "--state", os.path.join(lab.scratch, "other"))
        assert "in use" in said and str(port) in said, said
    equal(promtool("check", "metrics", input=page).stdout, "", "promtool")
    promtool("check", "metrics", input=printed)
    mine, served = samples(printed), samples(page)
    for key in mine:
        if key[0] != "tenantnat_read_duration_seconds":
            equal(served[key], mine[key], f"served {key}")
    equal(served["tenantnat_router_state", 'tenant="red",state="attached"'], 1, "red's state")
    assert 0 < served["tenantnat_map_entries", 'map="by_shared"'] \
        < served["tenantnat_map_max_entries", 'map="by_shared"']
    assert served["tenantnat_map_entries", 'map="hits"'] > 2, "each of the routers has a rule"
    for other in ("-j", "-w"):
        assert "format of its own" in lab.cli.fails("stats", "--prometheus", other, code=2)
    assert time.time() - 60 < served["tenantnat_agent_last_look_timestamp_seconds", ""] \
        <= time.time()
    assert not any(name.startswith("tenantnat_mapping_") for name, _ in mine)
    assert any(name == "tenantnat_mapping_packets_total" for name, _ in served)


@once
def test_metrics_hostile_clients(lab):
    """200 at once that never finish: the agent mends and answers meanwhile, and after."""
    port = free_port()
    with Agent(lab, "--metrics", f"127.0.0.1:{port}") as agent, contextlib.ExitStack() as stack:
        ask(port)
        before, had = agent.resident(), files(agent)
        links = []
        for i in range(200):
            time.sleep(0.02 * (i % 10 == 0))     # the kernel's queue is short
            link = stack.enter_context(socket.socket())
            link.setblocking(False)
            link.connect_ex(("127.0.0.1", port))
            links.append(link)
        time.sleep(0.2)
        for link in links:
            with contextlib.suppress(OSError):
                link.send(b"GET /metrics HTTP/1.1\r\nX: ")
        assert files(agent) <= had + 30, "too many connections"
        equal(ask(port)[0], 200, "status while they stay")
        lab.blue.ip("link del shared0")
        lab.plug("blue", BLUE)
        mended(lab)
        with open(f"/proc/{agent.run.pid}/stat", encoding="ascii") as f:
            ticks = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        time.sleep(0.5)
        with open(f"/proc/{agent.run.pid}/stat", encoding="ascii") as f:
            busy = sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) - ticks
        assert busy < 40, f"it spins: {busy} ticks in half a second"
        assert agent.resident() < before + 4096, "memory"
        stack.close()
        equal(ask(port)[0], 200, "status")


def children(agent):
    with open(f"/proc/{agent.run.pid}/task/{agent.run.pid}/children", encoding="ascii") as f:
        return [int(pid) for pid in f.read().split()]


def reading(agent):
    """A process that has maps open, if there is one."""
    for pid in children(agent):
        with contextlib.suppress(OSError):
            if any("bpf-map" in os.readlink(f"/proc/{pid}/fd/{fd}")
                   for fd in os.listdir(f"/proc/{pid}/fd")):
                return pid
    return None


def makes_page(pid):
    """It keeps nobody out, and has let go of the agent's lock, unlike one that asks netfilter."""
    with open("/proc/locks", encoding="ascii") as f:
        locking = {int(line.split()[4]) for line in f if " WRITE " in line and "->" not in line}
    held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return pid not in locking and not any(what.endswith("/state/agent") for what in held)


@contextlib.contextmanager
def urgent():
    """This process has the CPU before others, meanwhile: what it looks for is there for a moment only."""
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def stopped(agent, link):
    """The process that makes the page for that link, stopped; None: it was too quick."""
    with urgent():
        while not (writer := reading(agent)):
            if select.select([link], [], [], 0.001)[0]:
                return None
        with contextlib.suppress(OSError):
            os.kill(writer, signal.SIGSTOP)
            time.sleep(0.05)
            if reading(agent) == writer and makes_page(writer):
                return writer
            os.kill(writer, signal.SIGCONT)
    return None


@contextlib.contextmanager
def held_up(agent, port):
    """Somebody waits for a page, and the process that makes it is stopped: (link, its pid)."""
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", port), 30 * PATIENCE) as link:
            link.send(b"GET /metrics HTTP/1.0\r\n\r\n")
            if writer := stopped(agent, link):
                yield link, writer
                return
        time.sleep(0.3)     # the page is still good
    raise AssertionError("no process that makes a page was seen")


@once
def test_metrics_take_their_time(lab):
    """While a page is made the agent mends; one that does not come is an error, and no more."""
    port = free_port()
    with Agent(lab, "--metrics", f"127.0.0.1:{port}") as agent:
        start = time.monotonic()
        with held_up(agent, port) as (link, writer):
            lab.blue.ip("link del shared0")
            lab.plug("blue", BLUE)
            mended(lab)
            equal(len(children(agent)), 1, "processes that make pages")
            os.kill(writer, signal.SIGKILL)
            equal(link.recv(4096).split()[1:2], [b"503"], "the answer")
        # the next one is made when four times as long has passed
        eventually(lambda: equal(ask(port)[0], 200, "status after"),
                   30 + 5 * (time.monotonic() - start))
        with held_up(agent, port) as (link, writer):
            agent.run.terminate()
            agent.run.wait(60 * PATIENCE)
            assert not os.path.exists(f"/proc/{writer}"), "it outlived the agent"


MANY = 20000


def with_many(lab):
    """Definitions whose page has some ten megabytes, with metrics of mappings."""
    many = Tenant("many", *((f"10.{100 + i // 65536}.{i // 256 % 256}.{i % 256}",)
                            for i in range(1, MANY)), pool=["100.64.128.0/17"])
    return lab.definitions().having(many)


def reader(stack, port, host="127.0.0.1"):
    """Somebody who asks for the page, takes the head of the answer, and no more."""
    link = stack.enter_context(socket.socket())
    link.settimeout(60 * PATIENCE)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect((host, port))
    link.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head = link.recv(64)
    assert head.startswith(b"HTTP/1.1 200"), head
    return link


def rest_of(link):
    """Bytes until the end; that it is cut off is an error."""
    got = 0
    while True:
        part = link.recv(1 << 20)
        if not part:
            return got
        got += len(part)


def connect_only(stack, port, number):
    for _ in range(number):
        link = stack.enter_context(socket.socket())
        link.settimeout(60 * PATIENCE)
        link.connect(("127.0.0.1", port))


@once
def test_metrics_slow_readers(lab):
    """A page is held once, however many read it, and slowly; Prometheus gets it beside them."""
    port = free_port()
    lab.apply(with_many(lab))
    try:
        with Agent(lab, "--metrics", f"127.0.0.1:{port}", "--metrics-mappings") as agent, \
                contextlib.ExitStack() as stack:
            page = len(ask(port)[2]) >> 10      # KiB
            assert page > 5 << 10, f"{page} KiB"
            before = agent.resident()
            peak = 0
            for i in range(40):
                reader(stack, port)
                peak = max(peak, agent.resident())
                if i % 10 == 9:
                    status, _, got = ask(port)
                    equal((status, len(got) >> 10 > page // 2), (200, True), "a page beside them")
            # the one before, and the one that is being made
            assert peak < before + 3 * page, f"{before} KiB, {peak} with 40 readers of {page} KiB"
            stack.close()
            eventually(lambda: equal(agent.resident() < before + 2 * page, True, "memory"))
    finally:
        lab.apply()


@once
def test_metrics_newcomers(lab):
    """Hundreds that only connect do not end what is being read, nor who waits."""
    port = free_port()
    lab.apply(with_many(lab))
    try:
        with Agent(lab, "--metrics", f"127.0.0.1:{port}", "--metrics-mappings") as agent, \
                contextlib.ExitStack() as stack:
            page = len(ask(port)[2])
            link = reader(stack, port)
            connect_only(stack, port, 300)
            assert rest_of(link) > page // 2, "a page that is read was cut off"
            with held_up(agent, port) as (waiting, writer):
                connect_only(stack, port, 300)
                os.kill(writer, signal.SIGCONT)
                waiting.settimeout(60 * PATIENCE)
                assert rest_of(waiting) > page // 2, "who waits was hung up on"
            equal(ask(port)[0], 200, "status beside them")
    finally:
        lab.apply()


@once
def test_metrics_flood(lab):
    """
    While connections come without an end, scrapes get through that have to wait for their page: most
    of them, as who is quicker is a race.
    """
    port = free_port()
    flood = r"""
import socket, sys, time
links = []
while True:
    for _ in range(20):
        link = socket.socket()
        link.setblocking(False)
        link.connect_ex(("127.0.0.1", int(sys.argv[1])))
        links.append(link)
    for link in links[:-400]:
        link.close()
    del links[:-400]
    time.sleep(0.05)
"""
    lab.apply(with_many(lab))
    try:
        with Agent(lab, "--metrics", f"127.0.0.1:{port}", "--metrics-mappings"):
            ask(port)
            with subprocess.Popen(["/usr/bin/python3", "-c", flood, str(port)]) as run:
                try:
                    through = 0
                    for _ in range(6):
                        time.sleep(1.5)     # the last page is too old then
                        with contextlib.suppress(OSError, http.client.HTTPException):
                            through += ask(port)[0] == 200
                    assert through > 2, f"{through} of 6 scrapes got through"
                finally:
                    run.kill()
    finally:
        lab.apply()


@contextlib.contextmanager
def prometheus(port, where):
    """A real one that scrapes that port; gives a function that queries it."""
    own = free_port()
    config = os.path.join(where, "prometheus.yml")
    with open(config, "w", encoding="ascii") as f:
        json.dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": "tenantnat", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}, f)

    def query(expr):
        url = f"http://127.0.0.1:{own}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
        try:
            with urllib.request.urlopen(url, timeout=30 * PATIENCE) as got:
                return json.load(got)["data"]["result"]
        except urllib.error.HTTPError as e:
            assert e.code != 503, "it begins"
            raise ValueError(f"{expr}: {e.read().decode()}") from None
        except OSError as e:
            raise AssertionError(f"no answer: {e}") from None

    with open(os.path.join(where, "log"), "w", encoding="utf-8") as log, subprocess.Popen(
            [os.path.join(TOOLS, "prometheus"), f"--config.file={config}",
             f"--storage.tsdb.path={where}/data", f"--web.listen-address=127.0.0.1:{own}"],
            stdout=log, stderr=log) as run:
        try:
            yield query
        finally:
            run.send_signal(signal.SIGKILL)


def expressions():
    with open(os.path.join(PACKAGING, "tenantnat-dashboard.json"), encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    for panel in panels:
        for target in panel["targets"]:
            yield (target["expr"].replace("$__rate_interval", "5m")
                   .replace("$instance", ".*").replace("$tenant", ".*"))


@once
def test_metrics_scraped(lab):
    """Prometheus says how many packets were sent; the dashboard and the alerts ask what it has."""
    port = free_port()
    alerts = os.path.join(PACKAGING, "tenantnat-alerts.yml")
    promtool("check", "rules", alerts)
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), tempfile.TemporaryDirectory() as where:
        names = {name for name, _ in samples(ask(port)[2])}
        before = samples(ask(port)[2])[RED_OUT]
        datagrams(lab, 17)
        idle = socket.create_connection(("127.0.0.1", port), 10 * PATIENCE)
        idle.send(b"GET /metrics HTTP/1.1\r\nX: ")
        with prometheus(port, where) as query:
            def counted():
                got = query("%s{%s}" % RED_OUT)
                equal([float(r["value"][1]) for r in got], [before + 17], "packets of red")
            eventually(counted)
            for expr in expressions():
                used = set(WANTED.findall(expr))
                assert used and used <= names, f"{expr}: {used - names}"
                got = query(expr)
                assert got or "rate(" in expr, f"{expr}: nothing"
        with idle:
            while idle.recv(4096):      # it may be told why, and is hung up on
                pass
    with open(alerts, encoding="utf-8") as f:
        used = {name for line in f if "expr:" in line for name in WANTED.findall(line)}
    assert used and used <= names | OF_CLUSTER | OF_NEUTRON | OF_RULES, f"alerts: {used - names}"
