# SPDX-License-Identifier: GPL-2.0-only
"""
A headless Chromium, told what to do by its DevTools protocol over a pipe; pictures, and what is in them; and
a server before the agent's, which passes its page on with what a test puts into it.
"""
import base64
import collections
import contextlib
import fcntl
import http.server
import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import zlib

from agent import ask
from case import PATIENCE, Skip, eventually

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")


class Browser:
    """One tab. Gone with the block."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise Skip("no Chromium here; Debian has it as chromium-headless-shell")
        self.home = tempfile.mkdtemp(prefix="tn-browser-")
        to_it, from_it = os.pipe(), os.pipe()
        # it reads from 3 and writes to 4; a shell moves them there, from numbers out of the way
        inherited = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_it[0], from_it[1])]
        # pylint: disable-next=consider-using-with
        self.run = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{inherited[0]} 4>&{inherited[1]}', "bash", program, "--headless",
             "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
             "--disable-background-networking", f"--user-data-dir={self.home}", "about:blank"],
            pass_fds=inherited, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "HOME": self.home})
        for fd in (*inherited, to_it[0], from_it[1]):
            os.close(fd)
        self.to_it, self.from_it = os.fdopen(to_it[1], "wb", 0), os.fdopen(from_it[0], "rb")
        self.number, self.events, self.session = 0, [], None

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.run.pid, signal.SIGKILL)
        self.run.wait()
        self.to_it.close()
        self.from_it.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _receive(self):
        text = bytearray()
        while (letter := self.from_it.read(1)) != b"\0":
            assert letter, "Chromium has ended"
            text += letter
        return json.loads(text)

    def call(self, method, **params):
        """The result; what is told meanwhile goes to `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to_it.write(json.dumps(message).encode() + b"\0")
        while (got := self._receive()).get("id") != self.number:
            self.events.append(got)
        assert "error" not in got, f"{method}: {got.get('error')}"
        return got["result"]

    def value(self, expression):
        """Of a JavaScript expression, in the page; its policy is not asked."""
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, f"{expression}: {got['exceptionDetails']}"
        return got["result"].get("value")

    def until(self, expression, seconds=60):
        """Until it is true."""
        def check():
            assert self.value(f"!!({expression})"), f"not true: {expression}; the page: {self.value('document.body.innerText')[:2000]}"
        eventually(check, seconds)

    def window(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def go(self, url):
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.until(f"location.href == {json.dumps(url)} && document.readyState == 'complete'")

    def key(self, name, text=None, code=0):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code,
                      **({"text": text} if text and kind == "keyDown" else {}))

    def types(self, text):
        self.call("Input.insertText", text=text)

    def png(self, clip=None):
        """Of the window, or of (x, y, width, height) in it."""
        part = {"clip": dict(zip(("x", "y", "width", "height"), clip), scale=1)} if clip else {}
        return base64.b64decode(self.call("Page.captureScreenshot", **part)["data"])

    def evaluates(self, expression):
        """Whether the page's policy lets a script do that."""
        return "exceptionDetails" not in self.call("Runtime.evaluate", expression=expression,
                                                   allowUnsafeEvalBlockedByCSP=False)

    def complaints(self):
        """What it logged: refused by the policy, not found, exceptions."""
        self.value("1")
        out = [e["params"]["entry"]["text"] for e in self.events if e.get("method") == "Log.entryAdded"]
        return out + [str(e["params"]) for e in self.events if e.get("method") == "Runtime.exceptionThrown"]


class Picture:
    """Of a PNG with 8 bits a channel, as Chromium makes it."""

    def __init__(self, png):
        assert png[:8] == b"\x89PNG\r\n\x1a\n", png[:8]
        at, data = 8, b""
        while at < len(png):
            size, kind = struct.unpack(">I4s", png[at:at + 8])
            body = png[at + 8:at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", body)
                assert depth == 8 and color in (2, 6) and not interlaced, (depth, color, interlaced)
                self.step = 3 if color == 2 else 4
            data += body if kind == b"IDAT" else b""
            at += size + 12
        self.rows = self._rows(zlib.decompress(data))

    def _rows(self, raw):
        length, out, before = self.width * self.step, [], bytearray(self.width * self.step)
        for y in range(self.height):
            kind, row = raw[y * (length + 1)], bytearray(raw[y * (length + 1) + 1:(y + 1) * (length + 1)])
            for i in range(length if kind else 0):
                left = row[i - self.step] if i >= self.step else 0
                corner = before[i - self.step] if i >= self.step else 0
                row[i] = (row[i] + [0, left, before[i], (left + before[i]) // 2,
                                    _paeth(left, before[i], corner)][kind]) & 255
            out.append(row)
            before = row
        return out

    def pixel(self, x, y):
        return tuple(self.rows[y][x * self.step:x * self.step + 3])

    def colors(self):
        """How many pixels have which color, the most first."""
        counts = collections.Counter()
        for row in self.rows:
            counts.update(zip(row[0::self.step], row[1::self.step], row[2::self.step]))
        return counts


def _paeth(left, above, corner):
    start = left + above - corner
    return min((abs(start - left), 0, left), (abs(start - above), 1, above), (abs(start - corner), 2, corner))[2]


def rgb(text):
    """#fbfbfa"""
    return tuple(bytes.fromhex(text[1:]))


class Stand:
    """
    A server before the agent's at `port`. `metrics`, if given, makes the metrics, or gives None where there
    are none; `body` and `headers` may change what the page is passed on with.
    """

    def __init__(self, port, metrics=None, body=lambda text: text, headers=lambda headers: headers):
        stand = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                stand.asked.append(self.path)
                if metrics and self.path == "/metrics":
                    text = metrics(stand)
                    status, head = 200 if text else 503, {"Content-Type": "text/plain; charset=utf-8"}
                    text = text or "as if there were none"
                else:
                    status, head, text = ask(port, self.path)
                    if self.path == "/":
                        head, text = headers(head), body(text)
                self.send_response(status)
                for name, value in head.items():
                    if name not in ("Content-Length", "Date", "Connection"):
                        self.send_header(name, value)
                data = text.encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.asked = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join(60 * PATIENCE)
        self.server.server_close()
