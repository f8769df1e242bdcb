# SPDX-License-Identifier: GPL-2.0-only
"""Bars as SVG, which is light or dark as its reader's screen is, and brings its own background."""
from xml.sax.saxutils import escape

ROW, BAR, LEFT, WIDTH, RIGHT, FOOT = 22, 14, 200, 420, 170, 14
OURS, PEER, LIMIT = "ours", "peer", "limit"
KINDS = {"tc": OURS, "xdp": OURS, "nft": PEER, "iptables": PEER}    # by a router's first word
LEGEND = {LIMIT: "no NAT: the limits", PEER: "what is used today", OURS: "tenantnat"}
NFT = "nft stateful"
STYLE = """
svg { font: 12px system-ui, sans-serif; fill: #1f2328 }
.page { fill: #ffffff } .head { font-size: 15px; font-weight: bold } .group { font-weight: bold }
.faint { fill: #59636e } .bold { font-weight: bold } .spread { stroke: #1f2328; stroke-width: 1.5 }
.limit { fill: #9aa4ae } .peer { fill: #c9752f } .ours { fill: #2a7ab0 }
@media (prefers-color-scheme: dark) {
svg { fill: #f0f6fc } .page { fill: #0d1117 } .faint { fill: #9198a1 } .spread { stroke: #f0f6fc }
.limit { fill: #6e7781 } .peer { fill: #b3611f } .ours { fill: #2f81c0 }
}
"""


def kind(router):
    return KINDS.get(router.split()[0], LIMIT)


def text(x, y, said, style="", **more):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    style = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y}"{style}{attributes}>{escape(said)}</text>'


def rect(x, y, width, style):
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" class="{style}"/>'


def legend(y):
    x, out = 10, []
    for style, said in LEGEND.items():
        out += [rect(x, y - 11, BAR, style), text(x + BAR + 6, y, said)]
        x += 50 + 7 * len(said)
    return out


def bar(y, figure, scale):
    """The median as a bar, the quartiles as a line on it, and the ratio to what most use."""
    router, style = figure["router"], kind(figure["router"])
    ours = style == OURS
    out = [text(LEFT - 8, y + 11, f"tenantnat, {router}" if ours else router,
                "bold" if ours else "", text_anchor="end")]
    if figure["ns"] is None:
        return [*out, text(LEFT + 6, y + 11, f"{figure['lost'] * 100:.1f} % did not arrive",
                           "faint")]
    median, low, high = (max(figure[key], 0) * scale for key in ("ns", "low", "high"))
    ratio, middle = figure["ratios"].get(NFT), y + BAR / 2
    said = f"{figure['ns']:,.0f}" + (f" ({ratio:.2f} x {NFT})" if ours and ratio else "")
    return [*out, rect(LEFT, y, median, style),
            f'<line x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{middle}" y2="{middle}" '
            'class="spread"/>',
            text(LEFT + max(median, high) + 6, y + 11, said)]


def grouped(figures):
    """{variant: its rows but the generator's: limits, peers, ours}"""
    groups = {}
    for figure in figures.values():
        if figure["router"] != "generator":
            groups.setdefault(figure["variant"], []).append(figure)
    return {variant: sorted(members, key=lambda f: list(LEGEND).index(kind(f["router"])))
            for variant, members in groups.items()}


def plot(path, figures):
    """Nanoseconds a packet, a group for each variant."""
    out = [text(10, 24, "Nanoseconds a packet in the router: less is better", "head"), *legend(46),
           text(10, 66, "64 bytes, 1,000 mappings, IPv4, if not said otherwise; in: to a VM, "
                "out: from it.", "faint"),
           text(10, 82, "Medians less the generator's own cost; a line from quartile to quartile; "
                "a scale for each group.", "faint")]
    y = 104
    for variant, members in grouped(figures).items():
        # a new flow costs some peers ten times as much
        scale = WIDTH / max([f["high"] for f in members if f["high"]], default=1)
        out.append(text(10, y + 12, variant, "group"))
        for member in members:
            y += ROW
            out += bar(y, member, scale)
        y += ROW + 8
    width, height = LEFT + WIDTH + RIGHT, y + FOOT
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" role="img">\n'
                f"<title>What a packet costs in a router</title>\n<style>{STYLE}</style>\n"
                '<rect width="100%" height="100%" class="page"/>\n' + "\n".join(out) + "\n</svg>\n")
