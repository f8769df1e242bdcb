# SPDX-License-Identifier: GPL-2.0-only
"""A real etcd of one or several members, on loopback addresses of a namespace; and its client by itself."""
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time

from case import PATIENCE, Skip
from net import Namespace, end_with_parent, sh

# Nobody's time: members of a busy machine think that their leader is gone.
CALM = ["--heartbeat-interval", "500", "--election-timeout", "5000"]


def have_etcd():
    if not shutil.which("etcd") or not shutil.which("etcdctl"):
        raise Skip("etcd is not installed")


class Member:
    """One etcd process; `tls` are its --*-file options."""

    def __init__(self, cluster, number):
        self.cluster, self.name = cluster, f"m{number}"
        self.host = f"127.0.0.{number}"
        self.url = f"{cluster.scheme}://{self.host}:2379"
        self.peer = f"http://{self.host}:2380"
        self.data = os.path.join(cluster.directory, self.name)
        self.process = None

    def start(self):
        argv = ["etcd", "--name", self.name, "--data-dir", self.data,
                "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                "--initial-cluster", ",".join(f"{m.name}={m.peer}" for m in self.cluster.members),
                "--logger", "zap", "--log-level", "error", *self.cluster.options]
        argv += CALM if len(self.cluster.members) > 1 else []
        with open(self.data + ".log", "a", encoding="utf-8") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(
                ["nsenter", f"--net={self.cluster.ns.path}", *argv], stdout=log, stderr=log,
                preexec_fn=end_with_parent)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Etcd:
    """
    `with Etcd(lab, members=3) as etcd`. `tls` has the files of the server: {"cert", "key"}, and those of a
    client, {"client", "client_key"}; with "ca" all clients need a certificate of that.
    """

    def __init__(self, lab, members=1, tls=None, options=()):
        have_etcd()
        self.driver_path = os.environ["TN_ETCD_DRIVER"]
        if not os.path.exists(self.driver_path):
            raise Skip("the etcd client is not in this build")
        self.tls, self.scheme = tls, "https" if tls else "http"
        self.options = list(options)
        if tls:
            self.options += ["--cert-file", tls["cert"], "--key-file", tls["key"]]
        if tls and "ca" in tls:
            self.options += ["--client-cert-auth", "--trusted-ca-file", tls["ca"]]
        self.directory = os.path.join(lab.scratch, f"etcd-{time.monotonic_ns()}")
        os.mkdir(self.directory)
        self.ns = Namespace(f"etcd{time.monotonic_ns() % 10 ** 6}")
        self.ns.ip("link set lo up")
        self.members = []
        self.members = [Member(self, n) for n in range(1, members + 1)]
        self.clients = []

    def __enter__(self):
        try:
            for member in self.members:
                member.start()
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()
        for member in self.members:
            member.kill()
        self.ns.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def urls(self):
        return ",".join(m.url for m in self.members)

    def ctl(self, *args, check=True, user=None, url=None):
        """etcdctl, as everybody or as `user` (NAME:PASSWORD)."""
        argv = ["nsenter", f"--net={self.ns.path}", "etcdctl", "--endpoints", url or self.urls,
                "--command-timeout", "60s", "--dial-timeout", "60s"]
        argv += ["--user", user] if user else []
        if self.tls:
            # the certificate may be a bad one: that is for the client to find
            argv += ["--insecure-skip-tls-verify", "--insecure-transport=false",
                     "--cert", self.tls["client"], "--key", self.tls["client_key"]]
        return sh([*argv, *args], check=check, env={**os.environ, "ETCDCTL_API": "3"}).stdout

    def wait(self):
        """Until it can be written to."""
        end = time.monotonic() + 60 * PATIENCE
        while True:
            try:
                self.ctl("get", "nothing")
                return
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def snapshot(self):
        """The path of one, of the first member."""
        path = os.path.join(self.directory, "snapshot")
        self.ctl("snapshot", "save", path, url=self.members[0].url)
        return path

    def restore(self, path):
        """Go back to it; there is one member."""
        member = self.members[0]
        member.kill()
        shutil.rmtree(member.data)
        self.ctl("snapshot", "restore", path, "--name", member.name, "--data-dir", member.data,
                 "--initial-cluster", f"{member.name}={member.peer}", "--initial-advertise-peer-urls", member.peer)
        member.start()
        self.wait()

    def client(self, **options):
        """The client, with these options of `struct etcd_options`; patient, because others have the CPU."""
        options = {"urls": self.urls, "connect_ms": 30000, "request_ms": 60000, **options}
        client = Client(self, options)
        self.clients.append(client)
        return client

    def refusal(self, **options):
        """What opening a client with these options says."""
        with contextlib.closing(Client(self, {"urls": self.urls, **options})) as client:
            assert client.opened.get("usage"), client.opened
            return client.opened["error"]


class Failed(AssertionError):
    def __init__(self, answer):
        super().__init__(answer["error"])
        self.fault, self.text, self.compacted = (answer["fault"], answer["error"],
                                                 answer["compacted"])


class Client:
    def __init__(self, etcd, options):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            ["nsenter", f"--net={etcd.ns.path}", etcd.driver_path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent,
            # nothing of the environment may lead elsewhere
            env={**os.environ, "http_proxy": "http://127.0.0.9:1", "https_proxy": "http://127.0.0.9:1"})
        self.seen = []      # events that came, and were not asked for yet
        self.opened = self._ask(options)

    def _ask(self, ask):
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client ended with {self.process.wait()}"
        return json.loads(line)

    def ask(self, do, **ask):
        answer = self._ask({"do": do, **ask})
        if "error" in answer:
            raise Failed(answer)
        return answer

    def fails(self, fault, do, **ask):
        """It has to fail in that way; gives the sentence."""
        try:
            answer = self.ask(do, **ask)
        except Failed as failed:
            assert failed.fault == fault, f"{failed.fault}, not {fault}: {failed.text}"
            assert "\n" not in failed.text and len(failed.text) < 1000, failed.text
            return failed.text
        raise AssertionError(f"{do} {ask}: {answer}, not a fault: {fault}")

    def get(self, key, end=None, **ask):
        """{key: value}"""
        return {kv["key"]: kv["value"] for kv in self.ask("range", key=key, end=end, **ask)["kvs"]}

    def put(self, **values):
        done = self.ask("txn", put=values)
        assert done["succeeded"], done
        return done["revision"]

    def next(self, seconds=60):
        return self.ask("next", ms=int(seconds * 1000 * PATIENCE))

    def events(self, count):
        """The next `count` events, as (key, value or None where deleted)."""
        while len(self.seen) < count:
            got = self.next()
            assert "nothing" not in got, f"no event after {self.seen}"
            self.seen += [(e["key"], None if e["deleted"] else e["value"])
                          for e in got["events"]]
        out, self.seen = self.seen[:count], self.seen[count:]
        return out

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Answerer:
    """Something else at an address of the namespace: `answer(request) -> bytes`; b"": the connection is closed."""

    def __init__(self, ns, answer, host="127.0.0.8", port=2379):
        self.url = f"http://{host}:{port}"
        self.answer, self.requests = answer, []
        self.socket = ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, port))
        self.socket.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError), connection:
            while request := read_request(connection):
                self.requests.append(request)
                if not (said := self.answer(request)):
                    return
                connection.sendall(said)


class Relay:
    """Hands on what etcd is asked, and its answers as they come; `asked()` is all that it was asked."""

    def __init__(self, ns, host="127.0.0.8", to=("127.0.0.1", 2379)):
        self.ns, self.to, self.parts = ns, to, []
        self.url = f"http://{host}:2379"
        self.socket = ns.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, 2379))
        self.socket.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def asked(self):
        return b"".join(self.parts)

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.socket.accept()
                there = self.ns.socket(socket.AF_INET, socket.SOCK_STREAM)
                there.connect(self.to)
                for one, other, parts in (here, there, self.parts), (there, here, None):
                    threading.Thread(target=self._pump, args=(one, other, parts), daemon=True).start()

    @staticmethod
    def _pump(one, other, parts):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if parts is not None:
                    parts.append(data)
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)


def read_request(connection):
    """One request of HTTP with its body; b"": the connection is closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65536)):
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        if not (part := connection.recv(65536)):
            return b""
        body += part
    return head + b"\r\n\r\n" + body


def http(body, status="200 OK", kind="application/json"):
    body = body if isinstance(body, bytes) else body.encode()
    return (f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def passed_on(ns, request, host="127.0.0.1", port=2379):
    """What etcd there answers to the request."""
    with ns.socket(socket.AF_INET, socket.SOCK_STREAM) as there:
        there.connect((host, port))
        head, _, body = request.partition(b"\r\n\r\n")
        there.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
        data = b""
        while part := there.recv(65536):
            data += part
        return data.replace(b"Connection: close\r\n", b"")


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Authority:
    """A CA of openssl's, and what it signs."""

    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        os.makedirs(directory, exist_ok=True)
        self.file, self.key = self._path("ca.pem"), self._path("ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", f"/CN={name}", "-days", "30", "-keyout", self.key, "-out", self.file)

    def _path(self, name):
        return os.path.join(self.directory, f"{self.name}-{name}")

    def _openssl(self, *args):
        sh(["openssl", *args])

    def sign(self, name, addresses=("127.0.0.1", "127.0.0.2", "127.0.0.3"), expired=False, subject="CN"):
        """(certificate, key) for server and client alike; etcd's gateway uses its own as a client."""
        key, request, out, extra = (self._path(f"{name}.{end}") for end in ("key", "csr", "pem", "ext"))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", f"/{subject}={name}", "-keyout", key, "-out", request)
        with open(extra, "w", encoding="ascii") as f:
            f.write("extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName="
                    + ",".join(f"IP:{a}" for a in addresses) + "\n")
        if expired:
            self._sign_dated(request, out, extra)
        else:
            self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key,
                          "-CAcreateserial", "-days", "30", "-extfile", extra, "-out", out)
        return out, key

    def _sign_dated(self, request, out, extra):
        """By `openssl ca`, which takes dates."""
        home = self._path("ca")
        os.makedirs(home, exist_ok=True)
        for name, text in (("index.txt", ""), ("serial", "01\n"), ("ca.cnf", f"""
[ca]
default_ca = here
[here]
new_certs_dir = {home}
database = {home}/index.txt
serial = {home}/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
""")):
            with open(os.path.join(home, name), "w", encoding="ascii") as f:
                f.write(text)
        self._openssl("ca", "-batch", "-config", f"{home}/ca.cnf", "-cert", self.file, "-keyfile", self.key,
                      "-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-notext",
                      "-extfile", extra, "-in", request, "-out", out)
