# SPDX-License-Identifier: GPL-2.0-only
"""Bars as SVG."""
from xml.sax.saxutils import escape

ROW, BAR, LEFT, WIDTH, RIGHT = 22, 14, 270, 420, 70
COLOURS = {"tc": "#2a7ab0", "xdp": "#2a7ab0", "nft": "#b0632a", "iptables": "#b0632a"}


def plot(path, figures):
    """Nanoseconds a packet of every row but the generators'; lines are the quartiles."""
    rows = {name: f for name, f in figures.items() if not name.startswith("generator")}
    most = max(f["high"] for f in rows.values())
    height = ROW * len(rows) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
           f'height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="100%" height="{height}" fill="white"/>']
    for number, (name, f) in enumerate(rows.items()):
        y = 8 + number * ROW
        colour = COLOURS.get(name.split()[0], "#888888")

        def x(ns):
            return LEFT + WIDTH * max(ns, 0) / most
        out += [f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{LEFT}" y="{y}" width="{x(f["ns"]) - LEFT:.1f}" height="{BAR}" '
                f'fill="{colour}"/>',
                f'<line x1="{x(f["low"]):.1f}" x2="{x(f["high"]):.1f}" y1="{y + BAR / 2}" '
                f'y2="{y + BAR / 2}" stroke="black"/>',
                f'<text x="{x(f["high"]) + 6:.1f}" y="{y + 11}">{f["ns"]:.0f}</text>']
    out += [f'<text x="{LEFT}" y="{height - 8}">nanoseconds a packet, less the generator</text>',
            "</svg>"]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")
