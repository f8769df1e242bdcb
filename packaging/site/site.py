#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
site.py REFERENCE OUT: README, docs/ and the manuals of REFERENCE as a site with a search, in OUT. MkDocs makes it.

Every page has its place in PAGES, and every link has to lead somewhere; exit status 1 otherwise. Nothing is
loaded from elsewhere, so that it can be read without a network, by any web server.
"""
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import urllib.parse

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

# The order in which somebody needs them. MANUALS stands for a page for each command.
MANUALS = "manuals"
PAGES = {
    "Start": "index.md",
    "Where routers come from": {
        "libvirt and Proxmox": "libvirt.md",
        "Neutron": "neutron.md",
        "Neutron with OVN": "ovn.md",
    },
    "Operate": {
        "Operations": "operations.md",
        "Troubleshooting": "troubleshooting.md",
        "Limits of mappings": "limits.md",
        "Metrics": "metrics.md",
        "Names in DNS": "names.md",
        "Security": "security.md",
    },
    "Many hosts": {
        "Clusters": "cluster.md",
        "Failover": "failover.md",
        "Scale": "scale.md",
    },
    "Reference": {
        "The definitions file": "definitions.md",
        "Manuals": MANUALS,
        "Glossary": "glossary.md",
        "RFCs": "rfc.md",
        "Benchmarks": "benchmarks.md",
        "Comparison": "comparison.md",
        "Changes": "CHANGELOG.md",
    },
    "Internals": {
        "Architecture": "architecture.md",
        "Datapath": "datapath.md",
        "Hacking": "hacking.md",
        "Contributing": "CONTRIBUTING.md",
        "Reporting holes": "SECURITY.md",
    },
}


FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
IN_ITEM = re.compile(r"(?<=\n\n) {2,3}(?=\S)|^ {2,3}(?=([-*]|\d+\.) )", re.M)
FENCE_IN_ITEM = re.compile(r"^ {2,3}```\w*\n(.*?)^ {2,3}```$", re.M | re.S)


def indent(text):
    """Paragraphs, lists and code in an item of a list: for MkDocs they have four spaces, and code eight and no fence."""
    text = FENCE_IN_ITEM.sub(lambda block: textwrap.indent(textwrap.dedent(block[1]), " " * 8), text)
    fences = FENCE.findall(text)
    others = [IN_ITEM.sub("    ", part) for part in FENCE.split(text)]
    return "".join(part + fence for part, fence in zip(others, [*fences, ""]))


def copy_pages(into):
    """At the top they link to docs/X, in docs/ to ../X; here all lie beside each other."""
    for page in [*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")]:
        text = page.read_text()
        text = re.sub(r"\]\((docs/|\.\./)", "](", text).replace("](README.md", "](index.md")
        # in code of a table; MkDocs shows the backslash
        text = text.replace("\\|", "|")
        (into / page.name.replace("README", "index")).write_text(indent(text))
    for file in [TOP / "COPYING", *(file for file in (TOP / "docs").iterdir() if file.suffix != ".md")]:
        shutil.copy(file, into)


def manual(page):
    """HTML, with the headings of a page that is part of something."""
    text = subprocess.run(["mandoc", "-T", "html", "-O", "fragment", page], check=True, capture_output=True,
                          text=True).stdout
    text = text[text.index('<div class="manual-text">'):text.index('<table class="foot">')]
    text = re.sub(r"<(/?)h1", r"<\1h2", text)
    # it has a newline beside
    text = text.replace("<br/>\n", "\n")
    # within HTML, MkDocs takes an empty line for its end
    text = re.sub(r"\n\s*\n", "\n&#8203;\n", text)
    name, section = page.name.rsplit(".", 1)
    return f"# {name}({section})\n\n{text}\n"


def write_manuals(reference, into):
    """And where each is."""
    (into / MANUALS).mkdir()
    pages = sorted(reference.glob("man*/*.?"), key=lambda page: (page.suffix != ".8", page.stem))
    assert pages, f"{reference}: there are no manuals; `make reference` writes them"
    for page in pages:
        (into / MANUALS / f"{page.name}.md").write_text(manual(page))
    return [{page.name: f"{MANUALS}/{page.name}.md"} for page in pages]


def navigation(pages, manuals):
    if pages == MANUALS:
        return manuals
    if isinstance(pages, str):
        return pages
    return [{title: navigation(below, manuals)} for title, below in pages.items()]


def listed(pages):
    return {pages} if isinstance(pages, str) else set().union(*map(listed, pages.values()))


# what is left of ```sh
FENCE_IN_TEXT = re.compile(r"```|<code>(c|console|ini|json|sh|sql|text|xml|yaml)\n")


class Links(html.parser.HTMLParser):
    """Of a page: what it links to, what it loads, and where it can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(attrs[key] for key in ("id", "name") if key in attrs)
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        self.loads += [attrs[key] for key in ("src", "href") if key in attrs and tag != "a"]


def faults(out):
    """Of all pages of the site."""
    pages = {page: Links(page.read_text()) for page in out.rglob("*.html")}
    for page, of in pages.items():
        if page.name == "404.html":      # it is asked for from anywhere, and so links from the root
            continue
        where = page.relative_to(out)
        if FENCE_IN_TEXT.search(page.read_text()):
            yield f"{where}: a block of code was taken for text"
        for target in of.loads:
            if urllib.parse.urlsplit(target).netloc:
                yield f"{where} loads {target}"
        for target in of.links:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (page.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else page
            there = there / "index.html" if there.is_dir() else there
            if not there.exists():
                yield f"{where}: {target}: there is no such page"
            elif parts.fragment and there in pages and parts.fragment not in pages[there].ids:
                yield f"{where}: {target}: there is no such heading"


def build(reference, out, scratch):
    pages = scratch / "pages"
    pages.mkdir()
    copy_pages(pages)
    for name in sorted({page.name for page in pages.glob("*.md")} ^ (listed(PAGES) - {MANUALS})):
        print(f"{name}: it is a page, or has a place in PAGES of packaging/site/site.py, and not both")
        return 1
    config = {
        "site_name": "tenantnat", "docs_dir": str(pages), "site_dir": str(out),
        "theme": {"name": "readthedocs", "highlightjs": False, "include_homepage_in_sidebar": False,
                  "titles_only": True},
        "plugins": ["search"], "use_directory_urls": False,
        "markdown_extensions": [{"toc": {"permalink": False}}, "tables", "fenced_code", "sane_lists"],
        "nav": navigation(PAGES, write_manuals(reference, pages)),
    }
    (scratch / "mkdocs.yml").write_text(json.dumps(config))
    made = subprocess.run(["mkdocs", "build", "--strict", "--clean", "-f", scratch / "mkdocs.yml"], check=False,
                          capture_output=True, text=True)
    if made.returncode:
        print(*[line for line in made.stderr.splitlines() if not line.startswith("INFO")], sep="\n")
        return 1
    found = list(faults(out))
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


def main():
    reference, out = (pathlib.Path(path).resolve() for path in sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        return build(reference, out, pathlib.Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
