# SPDX-License-Identifier: GPL-2.0-only
"""The agent's page for people, in a headless Chromium: what it shows, how it looks, and what it lets nobody do."""
import re

from agent import Agent, ask, free_port
from browser import Browser, Picture, Stand, rgb
from case import equal, eventually, once
from lab import BLUE1, FIXED, RED1
from test_monitor import ATTACKS, attack
from traffic import ping

STATES = ("attached", "broken", "detached", "standby")
MARKUP = ['<img src="x" onerror="document.title=\'owned\'">', '"><script>document.title="owned"</script>',
          "</script><script>document.title='owned'</script>", "javascript:document.title='owned'", "<b>bold</b> & \\ '"]
TEXT = "document.body.innerText"


def label(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def metrics_of(tenants, rules=(), mappings=()):
    """
    A function for Stand, whose counters grow from one call to the next. Tenants are (name, state or None, packets,
    dropped), rules (tenant, from, to, ports, packets), mappings (tenant, name, fixed, shared, packets).
    """
    def metrics(stand):
        n, out = stand.asked.count("/metrics"), ['tenantnat_build_info{version="1.2.3"} 1']
        for name, state, packets, dropped in tenants:
            name = label(name)
            out.append(f'tenantnat_mappings{{tenant="{name}"}} 2')
            if not state:
                continue
            out += [f'tenantnat_router_state{{tenant="{name}",state="{each}"}} {int(each == state)}' for each in STATES]
            out += [f'tenantnat_{what}_total{{tenant="{name}",direction="{way}"}} {n * packets * by}'
                    for way in ("in", "out") for what, by in (("packets", 1), ("bytes", 900))]
            out.append(f'tenantnat_dropped_packets_total{{tenant="{name}",reason="not-accepted"}} {n * dropped}')
            out += [f'tenantnat_flows{{tenant="{name}"}} 3', f'tenantnat_flows_max{{tenant="{name}"}} 16384']
        for i, (tenant, *what, packets) in enumerate(rules, 1):
            pairs = "".join(f',{key}="{label(text)}"' for key, text in zip(("from", "to", "ports"), what))
            out.append(f'tenantnat_rule_packets_total{{tenant="{label(tenant)}",rule="{i}"{pairs}}} {n * packets}')
        for tenant, *what, packets in mappings:
            pairs = "".join(f',{key}="{label(text)}"' for key, text in zip(("name", "fixed", "shared"), what))
            out += [f'tenantnat_mapping_{unit}_total{{tenant="{label(tenant)}"{pairs},direction="{way}"}} {n * packets}'
                    for way in ("in", "out") for unit in ("packets", "bytes")]
        return "\n".join(out) + "\n"
    return metrics


SOME = metrics_of(
    [("red", "attached", 1000, 0), ("blue", "attached", 100, 40), ("green", "broken", 0, 0), ("far", None, 0, 0)],
    [("red", "blue", "db", "tcp/5432", 900), ("far", "red", "", "", 0), ("blue", "*", "web", "tcp/80", 100)],
    [("red", "db", "10.0.0.5", "100.64.1.5", 1000), ("blue", "", "10.0.0.6", "100.64.2.6", 10)])


def cells(browser, name):
    """Rows of a table, as lists of texts."""
    return browser.value(f"[...document.querySelectorAll('#{name}-table tbody tr')].map(r => [...r.cells].map(c => c.innerText))")


def shown(browser, stand, drawn=".arrow"):
    browser.go(stand.url)
    browser.until(f"document.querySelector({drawn!r})")


@once
def test_page_and_its_headers(lab):
    """GET and HEAD alone, with a policy that lets nothing in; off with --no-page."""
    port = free_port()
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"):
        status, headers, text = ask(port, "/")
        equal((status, text[:15]), (200, "<!DOCTYPE html>"), "the page")
        status, others, empty = ask(port, "/", "HEAD")
        equal((status, others | {"Date": ""}, empty), (200, headers | {"Date": ""}, ""), "HEAD")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            equal(ask(port, "/", method)[0], 405, method)
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy.pop("script-src")), headers
        assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy.pop("style-src")), headers
        equal(policy, {"default-src": "'none'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
                       "frame-ancestors": "'none'", "require-trusted-types-for": "'script'"}, "the policy")
        equal({name: headers.get(name) for name in ("X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options",
                                                    "Cross-Origin-Resource-Policy", "Content-Type")},
              {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
               "Cross-Origin-Resource-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8"}, "headers")
        equal(ask(port)[1]["X-Content-Type-Options"], "nosniff", "of the metrics, too")
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text), "something from elsewhere"
    with Agent(lab, "--metrics", f"127.0.0.1:{port}", "--no-page"):
        status, headers, text = ask(port, "/")
        equal((status, text), (200, "tenantnat: the metrics are at /metrics\n"), "without the page")
        equal(ask(port)[0], 200, "the metrics")
    assert "--metrics" in lab.cli.fails("agent", "--no-page", code=2)


@once
def test_page_of_a_router(lab):
    """With a real agent: routers, who reaches whom, what was dropped and the product's words for it, mappings."""
    port = free_port()
    ping(lab.red1, BLUE1, 3)
    attack(lab, *ATTACKS["stranger"])
    with Agent(lab, "--metrics", f"127.0.0.1:{port}", "--metrics-mappings"), Browser() as browser:
        browser.window(1280, 900)
        browser.go(f"http://127.0.0.1:{port}/")
        browser.until("document.querySelectorAll('#mappings-table tbody tr').length == 4")
        equal([row[:3] for row in sorted(cells(browser, "routers"))],
              [["blue", "attached", "1"], ["red", "attached", "2"]], "routers")
        equal(sorted(browser.value("[...document.querySelectorAll('[data-box]')].map(b => b.dataset.box)")),
              ["from *", "to blue", "to red"], "who is on the map")
        equal(sorted(row[2] for row in cells(browser, "mappings") if row[0] != "plain"), sorted([FIXED, FIXED, "10.0.0.6"]),
              "fixed addresses")
        assert ["red", RED1] in [[row[0], row[3]] for row in cells(browser, "mappings")], cells(browser, "mappings")
        said = {row[1]: row[4] for row in cells(browser, "drops")}
        explained = lab.cli.run("stats", "--explain").stdout
        assert "stranger" in said, said
        assert said["stranger"] and said["stranger"] in explained.replace("`", ""), said
        # packets of now have a rate, which only two readings have
        def flows():
            ping(lab.red1, BLUE1, 3)
            row, = [row for row in cells(browser, "routers") if row[0] == "red"]
            assert row[4] not in ("–", "0"), row
        eventually(flows, 60)
        equal(browser.complaints(), [], "what Chromium complains about")


@once
def test_page_pictures(lab):
    """In two sizes, light and dark: nothing wider than the window, and the colours of what happens, where it does."""
    port = free_port()
    fills = {False: {"back": "#fbfbfa", "carries": "#c9e7c5", "loses": "#f3b5ae", "away": "#e6e6e6"},
             True: {"back": "#17181a", "carries": "#1f4d28", "loses": "#6a2620", "away": "#35373b"}}
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Stand(port, SOME) as stand, Browser() as browser:
        for width, height in ((1280, 900), (390, 844)):
            for dark in (False, True):
                where = f"{width} x {height}, {'dark' if dark else 'light'}"
                browser.window(width, height, dark)
                shown(browser, stand, ".arrow.live")
                assert browser.value("document.documentElement.scrollWidth") <= width, f"{where}: wider than the window"
                picture = Picture(browser.png())
                equal((picture.width, picture.height), (width, height), "its size")
                equal(picture.pixel(2, 2), rgb(fills[dark]["back"]), f"{where}: the corner")
                counts = picture.colors()
                back, other = rgb(fills[dark]["back"]), rgb(fills[not dark]["back"])
                assert counts[back] > width * height / 2, f"{where}: {counts.most_common(3)}"
                equal(counts[other], 0, f"{where}: pixels of the other scheme")
                assert len(counts) > 50, f"{where}: no text"
                for name, look in (("from red", "carries"), ("from blue", "loses"), ("to far", "away")):
                    browser.value(f"document.querySelector('[data-box=\"{name}\"]').scrollIntoView({{block: 'center'}})")
                    x, y, high = browser.value("(r => [r.x + scrollX, r.y + scrollY, r.height])(document.querySelector("
                                               f"'[data-box=\"{name}\"] rect').getBoundingClientRect())")
                    picture = Picture(browser.png((int(x) + 6, int(y + high / 2), 2, 2)))
                    equal(picture.pixel(0, 0), rgb(fills[dark][look]), f"{where}: {name}")
        equal(browser.complaints(), [], "what Chromium complains about")


@once
def test_page_takes_names_as_text(lab):
    """Markup in every label, which no name can have: it is shown, and nothing of it is made or runs."""
    port = free_port()
    hostile = metrics_of([(text, "attached", 10, 5) for text in MARKUP],
                         [(text, text, text, text, 7) for text in MARKUP],
                         [(text, text, text, text, 7) for text in MARKUP])
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Stand(port, hostile) as stand, Browser() as browser:
        browser.window(1280, 900)
        shown(browser, stand, ".arrow.live")
        browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
        equal(browser.value("document.title"), "tenantnat", "the title")
        equal(browser.value("document.querySelectorAll('img, b, script').length"), 1, "elements that names have made")
        equal(sorted(row[0] for row in cells(browser, "routers")), sorted(MARKUP), "tenants")
        for name in ("rules", "mappings", "drops"):
            equal(sorted(row[0] for row in cells(browser, name)), sorted(MARKUP), name)
        equal(browser.complaints(), [], "what Chromium complains about")


# what somebody could get into the page, if it took markup
INTRUDER = ("<script>document.title = 'owned'</script><img src='x' onerror=\"document.title = 'owned'\">"
            "<script src='/metrics'></script><style>body { display: none }</style><p id='styled' style='display: none'>p</p>"
            "<iframe src='/metrics'></iframe>")


@once
def test_page_policy_is_strict(lab):
    """Scripts and styles that are not the page's own do nothing; without the policy they do."""
    port = free_port()

    def invaded(text):
        assert "<main" in text
        return text.replace("<main", INTRUDER + "<main")

    def without(headers):
        return {name: value for name, value in headers.items() if name != "Content-Security-Policy"}

    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Browser() as browser:
        browser.window(1280, 900)
        with Stand(port, SOME, invaded) as stand:
            shown(browser, stand, ".arrow.live")
            equal(browser.value("document.title"), "tenantnat", "the title")
            equal(browser.value("getComputedStyle(document.body).display"), "block", "the style of the body")
            equal(browser.value("getComputedStyle(document.getElementById('styled')).display"), "block", "a style attribute")
            equal([path for path in stand.asked if path not in ("/", "/metrics")], [], "what was loaded")
            refused = [text for text in browser.complaints() if "Content Security Policy" in text]
            assert len(refused) >= 5, refused
            # nor does the page's own script make code or markup of text
            for attempt in ("eval('1')", "Function('1')", "document.body.innerHTML = '<p>'",
                            "document.createElement('script').text = '1'", "document.write('<p>')"):
                assert not browser.evaluates(attempt), attempt
            assert browser.evaluates("document.createElement('p').textContent = '<p>'")
        with Stand(port, SOME, invaded, without) as stand:
            browser.go(stand.url)
            browser.until("document.title == 'owned'")


@once
def test_page_by_keyboard(lab):
    """The filter, a tenant of the map, and the pause, without a mouse; all that takes the focus has a name."""
    port = free_port()
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Stand(port, SOME) as stand, Browser() as browser:
        browser.window(1280, 900)
        shown(browser, stand, ".arrow.live")
        order = []
        for _ in range(20):
            browser.key("Tab", code=9)
            order.append(browser.value("document.activeElement.dataset.box ?? (document.activeElement.id || "
                                       "document.activeElement.getAttribute('href'))"))
        equal(order[:3], ["#main", "filter", "pause"], "what comes first")
        assert "from red" in order and "to red" in order, order
        unnamed = [node for node in browser.call("Accessibility.getFullAXTree")["nodes"]
                   if any(p["name"] == "focusable" and p["value"].get("value") for p in node.get("properties", []))
                   and not node.get("name", {}).get("value") and node["role"]["value"] != "RootWebArea"]
        equal(unnamed, [], "what has the focus and no name")
        browser.value("document.getElementById('filter').focus()")
        browser.types("100.64.2")
        equal([row[0] for row in cells(browser, "mappings")], ["blue"], "mappings, filtered")
        assert "No router here is like that" in browser.value(TEXT)
        browser.value("document.getElementById('filter').select()")
        browser.key("Backspace", code=8)
        browser.value("document.querySelector('[data-box=\"to red\"]').focus()")
        browser.key("Enter", "\r", 13)
        equal(browser.value("document.getElementById('filter').value"), "red", "the filter")
        equal([row[0] for row in cells(browser, "routers")], ["red"], "routers, filtered")
        equal(browser.value("document.activeElement.dataset.box"), "to red", "the focus, though all was drawn anew")
        browser.value("document.getElementById('pause').focus()")
        browser.key(" ", " ", 32)
        equal(browser.value("document.getElementById('pause').getAttribute('aria-pressed')"), "true", "paused")


@once
def test_page_with_many(lab):
    """A thousand tenants and mappings: what has room, the busiest first, and how many more there are."""
    port = free_port()
    many = metrics_of([(f"t{i}", "attached", i, 0) for i in range(1000)],
                      [(f"t{i}", f"t{(i + 1) % 1000}", "", "", i) for i in range(1000)],
                      [(f"t{i}", "", f"10.0.{i // 250}.{i % 250}", "100.64.0.1", i) for i in range(1000)])
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Stand(port, many) as stand, Browser() as browser:
        browser.window(1280, 900)
        shown(browser, stand, ".arrow.live")
        equal((len(cells(browser, "routers")), cells(browser, "routers")[0][0]), (200, "t999"), "routers")
        assert "and 800 more" in browser.value(TEXT)
        equal(browser.value("document.querySelectorAll('[data-box^=from]').length"), 24, "senders")
        assert "of 1,000 arrows" in browser.value(TEXT)
        browser.value("document.getElementById('filter').focus()")
        browser.types("t77")
        equal(cells(browser, "routers")[0][0], "t779", "the busiest of these")


@once
def test_page_with_too_many_mappings(lab):
    """More than a browser bears are not kept; the page says where they are, and has all else."""
    port = free_port()
    many = metrics_of([("red", "attached", 1, 0)], [],
                      [("red", "", f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", "100.64.0.1", 1) for i in range(20001)])
    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Stand(port, many) as stand, Browser() as browser:
        browser.window(1280, 900)
        browser.go(stand.url)
        browser.until(f"{TEXT}.includes('more mappings than a browser bears')")
        equal((len(cells(browser, "routers")), cells(browser, "mappings")), (1, []), "rows")


@once
def test_page_without_metrics(lab):
    """When the agent is gone, the page says that what it shows is old, and goes on when it is back."""
    port = free_port()
    fails = []

    def metrics(stand):
        if fails:
            return None
        return SOME(stand)

    with Agent(lab, "--metrics", f"127.0.0.1:{port}"), Stand(port, metrics) as stand, Browser() as browser:
        browser.window(1280, 900)
        shown(browser, stand)
        fails.append(True)
        browser.until(f"{TEXT}.includes('cannot be read') && document.querySelector('main.old')")
        fails.clear()
        browser.until(f"!{TEXT}.includes('cannot be read') && !document.querySelector('main.old')")
