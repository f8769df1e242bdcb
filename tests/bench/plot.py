# SPDX-License-Identifier: GPL-2.0-only
"""Bars as SVG."""
from xml.sax.saxutils import escape

ROW, BAR, LEFT, WIDTH, RIGHT, FOOT = 22, 14, 190, 460, 90, 24
COLOURS = {"tc": "#2a7ab0", "xdp": "#2a7ab0", "nft": "#b0632a", "iptables": "#b0632a"}


def text(x, y, said, **more):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y}"{attributes}>{escape(said)}</text>'


def bar(y, figure, scale):
    """The median as a bar, the quartiles as a line on it."""
    router = figure["router"]
    out = [text(LEFT - 8, y + 11, router, text_anchor="end")]
    if figure["ns"] is None:
        return [*out, text(LEFT + 6, y + 11, f"{figure['lost'] * 100:.1f} % did not arrive")]
    median, low, high = (max(figure[key], 0) * scale for key in ("ns", "low", "high"))
    colour, middle = COLOURS.get(router.split()[0], "#888888"), y + BAR / 2
    return [*out,
            f'<rect x="{LEFT}" y="{y}" width="{median:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<line x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{middle}" y2="{middle}" '
            'stroke="black"/>',
            text(LEFT + max(median, high) + 6, y + 11, f"{figure['ns']:,.0f}")]


def plot(path, figures):
    """Nanoseconds a packet of every row but the generators', a group for each variant."""
    groups = {}
    for figure in figures.values():
        if figure["router"] != "generator":
            groups.setdefault(figure["variant"], []).append(figure)
    y, out = 4, []
    for variant, members in groups.items():
        # a scale of its own: a new flow costs some peers ten times as much
        scale = WIDTH / max([f["high"] for f in members if f["high"]], default=1)
        out.append(text(8, y + 12, variant, font_weight="bold"))
        for member in members:
            y += ROW
            out += bar(y, member, scale)
        y += ROW + 8
    out.append(text(8, y + 12, "nanoseconds a packet, less the generator; a line is the quartiles; "
                    "each group has its own scale"))
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" '
                f'height="{y + FOOT}" font-family="sans-serif" font-size="12">\n'
                '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")
