#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
The pictures of the agent's page for the README: of a real agent's page, which is given the metrics of a small
cloud. The same every time, as far as Chromium and its fonts are. Needs root.
"""
import argparse
import os
import struct
import sys
import types
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from agent import Agent, free_port                      # noqa: E402
from browser import Browser, Picture, Stand             # noqa: E402
from cli import Cli                                     # noqa: E402
from net import private_machine                         # noqa: E402
from test_page import metrics_of                        # noqa: E402

CLOUD = metrics_of(
    [("shop", "attached", 4200, 0), ("payment", "attached", 1300, 2), ("warehouse", "attached", 310, 45),
     ("monitoring", "attached", 640, 0), ("staging", "detached", 0, 0), ("partner", None, 0, 0)],
    [("payment", "shop/web", "api", "tcp/443", 1180), ("warehouse", "shop, payment", "db", "tcp/5432", 290),
     ("shop", "partner", "web", "tcp/443", 2600), ("monitoring", "*", "collector", "tcp/4317", 640),
     ("staging", "monitoring", "", "icmp/echo-request", 0)],
    [("shop", "web", "10.0.0.5", "100.64.1.5", 4200), ("payment", "api", "10.0.0.9", "100.64.2.9", 1300),
     ("monitoring", "collector", "10.0.0.5", "100.64.4.5", 640), ("warehouse", "db", "10.0.0.6", "100.64.3.6", 310)])
# (file, width, height, dark)
PICTURES = [("page-light.png", 1100, 930, False), ("page-dark.png", 390, 930, True)]
# bytes, of each
LARGEST = 60000


def indexed(picture):
    """The PNG again, with as many bits of each channel as come to 256 colours at most."""
    for bits in range(8, 2, -1):
        mask = 256 - (1 << 8 - bits)
        rows = [[tuple(channel & mask | channel >> bits for channel in picture.pixel(x, y)) for x in range(picture.width)]
                for y in range(picture.height)]
        colors = sorted({color for row in rows for color in row})
        if len(colors) <= 256:
            break
    numbers = {color: i for i, color in enumerate(colors)}
    data = b"".join(b"\0" + bytes(numbers[color] for color in row) for row in rows)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", picture.width, picture.height, 8, 3, 0, 0, 0))
            + chunk(b"PLTE", b"".join(map(bytes, colors))) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/tenantnat", help="the executable (%(default)s)")
    parser.add_argument("--out", default="docs", help="where they are put (%(default)s)")
    options = parser.parse_args()
    with private_machine() as scratch:
        where = types.SimpleNamespace(scratch=scratch, cli=Cli(os.path.abspath(options.bin), os.path.join(scratch, "state")))
        port = free_port()
        with Agent(where, "--metrics", f"127.0.0.1:{port}"), Browser() as browser:
            for name, width, height, dark in PICTURES:
                browser.window(width, height, dark)
                with Stand(port, CLOUD) as stand:
                    browser.go(stand.url)
                    browser.until("document.querySelector('.arrow.live')")
                    png = indexed(Picture(browser.png()))
                assert len(png) <= LARGEST, f"{name}: {len(png)} bytes, more than {LARGEST}"
                with open(os.path.join(options.out, name), "wb") as out:
                    out.write(png)
                print(f"{os.path.join(options.out, name)}: {len(png)} bytes")


if __name__ == "__main__":
    main()
