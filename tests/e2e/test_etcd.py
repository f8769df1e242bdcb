# SPDX-License-Identifier: GPL-2.0-only
"""The etcd client (user/cluster/etcd.h) against real etcds, and against what is none."""
import os
import time

from case import equal, eventually, once
from etcd import Answerer, Authority, Etcd, Failed, http, passed_on

SECRET = "s3cret-of-tests"


def has(said, *wants):
    for want in wants:
        assert want in said, f"not {want!r}: {said}"


@once
def test_etcd_keys_and_transactions(lab):
    with Etcd(lab) as etcd:
        c = etcd.client()
        equal(c.get("a", "z"), {}, "nothing yet")
        first = c.ask("txn", absent=["a"], put={"a": "1", "b": "ü\0\n"})
        equal(first["succeeded"], True, "created")
        equal(c.get("a", "z"), {"a": "1", "b": "ü\0\n"}, "both")
        equal(c.ask("txn", absent=["a"], put={"a": "2"}),
              {"succeeded": False, "revision": first["revision"]}, "there is one")
        equal(c.ask("txn", mod={"a": first["revision"], "c": 0}, value={"b": "ü\0\n"},
                    put={"a": "2"}, delete=[["b"]])["succeeded"], True, "all hold")
        equal(c.ask("txn", mod={"a": first["revision"]}, put={"a": "3"})["succeeded"], False,
              "an old revision")
        equal(c.ask("txn", value={"a": "1"}, put={"a": "3"})["succeeded"], False, "another value")
        equal(c.get("a", "z"), {"a": "2"}, "after all")
        equal(c.get("a", "z", revision=first["revision"]), {"a": "1", "b": "ü\0\n"}, "as it was")
        kv = c.ask("range", key="a")["kvs"][0]
        equal((kv["create"], kv["mod"], kv["version"]), (first["revision"], first["revision"] + 1, 2),
              "revisions")
        c.put(**{"p/1": "", "p/2": "", "q": ""})
        c.ask("txn", delete=[["p/", "p0"]])
        equal(c.get("a", "z", keys_only=True), {"a": "", "q": ""}, "a range deleted")
        c.fails("future", "range", key="a", revision=10 ** 9)
        etcd.ctl("compaction", str(first["revision"] + 1))
        c.fails("compacted", "range", key="a", revision=first["revision"])
        equal(etcd.ctl("get", "a", "--print-value-only").strip(), "2", "etcdctl reads the same")


@once
def test_etcd_pages_are_of_one_revision(lab):
    with Etcd(lab) as etcd:
        c = etcd.client()
        want = {f"k{i:03}": str(i) for i in range(100)}
        revision = c.put(**want)
        got = c.ask("range", key="k", end="l", page=7)
        equal({kv["key"]: kv["value"] for kv in got["kvs"]}, want, "in pages")
        equal(got["revision"], revision, "their revision")
        # somebody writes while the second page is asked for
        pages = []

        def write_between(request):
            pages.append(request)
            if b"/v3/kv/range" in request and sum(b"/v3/kv/range" in p for p in pages) == 2:
                c.put(k000="new", k099="new", k0505="new")
            return passed_on(etcd.ns, request)

        with Answerer(etcd.ns, write_between) as between:
            other = etcd.client(urls=between.url)
            got = other.ask("range", key="k", end="l", page=30)
        equal({kv["key"]: kv["value"] for kv in got["kvs"]}, want, "while somebody writes")
        equal(got["revision"], revision, "their revision")


@once
def test_etcd_takes_what_is_large(lab):
    with Etcd(lab) as etcd:
        c = etcd.client()
        large = "x" * (1 << 20)
        for i in range(40):
            c.put(**{f"l/{i:02}": large[:1000000]})
        got = c.ask("range", key="l/", end="l0", sizes=True)
        equal(got["kvs"], [1000000] * 40, "more than one answer may have")
        c.ask("watch", key="l/", end="l0", revision=1)
        equal(len(c.events(40)), 40, "and of a watch")
        c.fails("too large", "txn", put={f"k{i}": "" for i in range(129)})
        c.fails("too large", "txn", put={"k": large})
        equal(c.get("k", "l"), {}, "nothing was written")
        c.put(**{f"k{i}": "" for i in range(128)})


@once
def test_etcd_watch_tells_all_in_order(lab):
    with Etcd(lab) as etcd:
        c, writer = etcd.client(), etcd.client()
        begin = writer.put(a="1", b="1")
        writer.ask("txn", put={"a": "2"}, delete=[["b"]])
        writer.put(other="1")
        c.ask("watch", key="a", end="c", revision=begin)
        equal(sorted(c.events(2)), [("a", "1"), ("b", "1")], "from that revision on")
        equal(sorted(c.events(2), key=str), [("a", "2"), ("b", None)], "and on")
        writer.put(a="3")
        equal(c.events(1), [("a", "3")], "what is new")
        equal(c.ask("next", ms=50), {"nothing": True}, "what another key has is not told")
        c.ask("watch", key="a")
        equal(c.next()["events"], [], "it has begun")
        writer.put(a="4")
        equal(c.events(1), [("a", "4")], "from now on, of one key")
        c.ask("watch", key="a", end="c", revision=1)
        c.next()
        now = writer.put(a="5")
        etcd.ctl("compaction", str(now))
        c.ask("watch", key="a", revision=begin)
        try:
            while True:
                c.next()
        except Failed as failed:
            equal((failed.fault, failed.compacted), ("compacted", now), "of compacted history")
        c.ask("watch", key="a", revision=now)
        equal(c.events(1), [("a", "5")], "from the oldest on that there is")


@once
def test_etcd_watch_takes_lines_as_they_come(lab):
    """In pieces, many at once, and cut off."""
    header = '"header":{"cluster_id":"7","member_id":"1","revision":"9","raft_term":"2"}'
    status = f'{{{header},"version":"3.4.23","leader":"1"}}'
    events = ['{"result":{%s,"created":true}}\n' % header]
    events += ['{"result":{%s,"events":[{"kv":{"key":"YQ==","mod_revision":"%d","value":"eA=="}}]}}\n'
               % (header, i) for i in range(3)]
    text = "".join(events) + '{"result":{'

    def slowly(request):
        if b"/v3/watch" not in request:
            return http(status)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
            b"1\r\n" + text[i:i + 1].encode() + b"\r\n" for i in range(len(text))) + b"0\r\n\r\n"

    with Etcd(lab) as etcd, Answerer(etcd.ns, slowly) as fake:
        c = etcd.client(urls=fake.url)
        c.ask("watch", key="a")
        equal(c.next()["events"], [], "it has begun")
        equal(c.events(3), [("a", "x")] * 3, "all of them")
        c.fails("unreachable", "next", ms=60000)


@once
def test_etcd_leases(lab):
    with Etcd(lab) as etcd:
        c = etcd.client()
        lease = c.ask("grant", seconds=600)
        equal(lease["seconds"], 600, "as asked for")
        c.ask("txn", put={"a": "1"}, lease=lease["lease"])
        equal(c.ask("range", key="a")["kvs"][0]["lease"], lease["lease"], "the key's")
        equal(c.ask("keep", lease=lease["lease"])["seconds"], 600, "kept")
        c.ask("watch", key="a")
        c.next()
        c.ask("revoke", lease=lease["lease"])
        equal(c.events(1), [("a", None)], "goes with its lease")
        c.ask("revoke", lease=lease["lease"])
        c.fails("no lease", "keep", lease=lease["lease"])
        c.fails("no lease", "txn", put={"a": "1"}, lease=lease["lease"])
        equal(c.get("a"), {}, "not put without its lease")
        short = c.ask("grant", seconds=1)["lease"]
        c.ask("txn", put={"a": "1"}, lease=short)
        eventually(lambda: equal(c.get("a"), {}, "expires"), 60)


@once
def test_etcd_restarted_and_killed(lab):
    with Etcd(lab) as etcd:
        c = etcd.client(connect_ms=2000)
        c.ask("watch", key="a")
        c.next()
        revision = c.put(a="1")
        equal(c.events(1), [("a", "1")], "before")
        etcd.members[0].kill()
        said = c.fails("unreachable", "next", ms=60000)
        assert etcd.urls in said, said
        said = c.fails("unreachable", "range", key="a")
        assert etcd.urls in said and "Connection refused" in said, said
        c.fails("unreachable", "txn", put={"a": "2"})
        c.fails("unreachable", "watch", key="a")
        etcd.members[0].start()
        etcd.wait()
        equal(c.get("a"), {"a": "1"}, "kept")
        c.put(a="3")
        c.ask("watch", key="a", revision=revision + 1)
        equal(c.events(1), [("a", "3")], "the watch goes on where it was")


@once
def test_etcd_without_quorum(lab):
    with Etcd(lab, members=3) as etcd:
        c = etcd.client()
        c.put(a="1")
        equal(sorted(m["name"] for m in c.ask("members")["members"]), ["m1", "m2", "m3"], "members")
        assert sum(c.ask("status", url=m.url)["leads"] for m in etcd.members) == 1
        equal(c.ask("status")["version"][:2], "3.", "version")
        etcd.members[0].kill()
        eventually(lambda: c.put(a="2"), 120)
        equal(c.get("a"), {"a": "2"}, "by another member")
        etcd.members[1].kill()
        quick = etcd.client(connect_ms=2000, request_ms=3000)
        said = quick.fails("no quorum", "range", key="a")
        assert "no quorum" in said and etcd.members[2].url in said, said

        def is_certain():
            try:
                quick.ask("txn", put={"a": "3"})
            except Failed as failed:
                assert failed.fault == "no quorum", failed.text
        # until the last one has noticed that it is alone, it cannot be known
        eventually(is_certain, 120)
        said = quick.fails("unreachable", "status", url=etcd.members[0].url)
        assert etcd.members[0].url in said, said
        quick.ask("status", url=etcd.members[2].url)
        etcd.members[0].start()
        eventually(lambda: equal(c.get("a")["a"] in ("2", "3"), True, "kept"), 120)


@once
def test_etcd_says_when_an_outcome_is_unknown(lab):
    """The answer gets lost behind a connection that was used before, and libcurl would ask again."""
    with Etcd(lab) as etcd:
        def lose(request):
            said = passed_on(etcd.ns, request)
            return b"" if b"/v3/kv/txn" in request else said

        with Answerer(etcd.ns, lose) as loses:
            c = etcd.client(urls=f"{loses.url},{etcd.members[0].url}")
            c.get("a")
            said = c.fails("unknown outcome", "txn", put={"a": "1"}, absent=["a"])
            assert "not known whether" in said and loses.url in said, said
            equal(sum(b"/v3/kv/txn" in r for r in loses.requests), 1, "sent once")
        equal(etcd.client().get("a"), {"a": "1"}, "done")

        with Answerer(etcd.ns, lambda r: b"" if b"/v3/kv/range" in r else passed_on(etcd.ns, r)) as loses:
            c = etcd.client(urls=f"{loses.url},{etcd.members[0].url}")
            equal(c.get("a"), {"a": "1"}, "what only reads is asked elsewhere")

        def late(request):
            if b"/v3/kv/txn" in request:
                time.sleep(2)
            return passed_on(etcd.ns, request)

        with Answerer(etcd.ns, late) as slow:
            c = etcd.client(urls=slow.url, connect_ms=500, request_ms=500)
            c.fails("unknown outcome", "txn", put={"a": "2"})
        # certainly not begun
        c = etcd.client(urls=f"http://127.0.0.7:2379,{etcd.urls}")
        c.put(a="3")


@once
def test_etcd_over_tls(lab):
    ours = Authority(os.path.join(lab.scratch, "tls"), "ours")
    theirs = Authority(os.path.join(lab.scratch, "tls"), "theirs")
    server, client, stranger = ours.sign("server"), ours.sign("client"), theirs.sign("stranger")
    old, elsewhere = ours.sign("old", expired=True), ours.sign("elsewhere", ["127.0.0.9"])
    tls = {"cert": server[0], "key": server[1], "ca": ours.file, "client": client[0], "client_key": client[1]}
    good = {"ca": ours.file, "cert": client[0], "tls_key": client[1]}
    with Etcd(lab, tls=tls) as etcd:
        c = etcd.client(**good)
        c.put(a="1")
        equal(c.get("a"), {"a": "1"}, "with all of it")
        c.ask("watch", key="a", revision=1)
        equal(c.events(1), [("a", "1")], "a watch")

        def said(**options):
            return etcd.client(**{**good, **options}).fails("untrusted", "range", key="a")

        has(said(ca=theirs.file), "is not of the CA in")
        has(said(ca=None), "is of no CA that this host knows")
        has(said(cert=None, tls_key=None), "asks for a certificate of this host")
        has(said(cert=stranger[0], tls_key=stranger[1]), "refuses the certificate in")
        has(etcd.client(
            urls=etcd.urls.replace("https", "http")).fails("unreachable", "range", key="a"), "does it serve https:// there?")
        has(etcd.refusal(**{**good, "cert": old[0], "tls_key": old[1]}), "has expired (2020-01-02")
        has(etcd.refusal(**{**good, "tls_key": stranger[1]}), "is not that of the certificate")
        has(etcd.refusal(**{**good, "urls": "http://127.0.0.1:2379"}), "without TLS")
        has(etcd.refusal(**{**good, "ca": "/nowhere"}), "cannot read the CA")
        has(etcd.refusal(**{**good, "ca": client[1]}), "is no CA")
        has(etcd.refusal(**{**good, "tls_key": None}), "need each other")
    for cert, key, want in ((*old, "has expired (2020-01-02"), (*elsewhere, "for another name or address")):
        with Etcd(lab, tls={**tls, "cert": cert, "key": key}) as etcd:
            said = etcd.client(**good).fails("untrusted", "range", key="a")
            assert want in said, said
    with Etcd(lab) as etcd:
        said = etcd.client(urls=etcd.urls.replace("http", "https"), ca=ours.file).fails(
            "untrusted", "range", key="a")
        has(said, "does etcd serve http:// there?")


@once
def test_etcd_with_users(lab):
    with Etcd(lab) as etcd:
        said = etcd.client(user="tn", password=SECRET).fails("denied", "range", key="a")
        has(said, "asks nobody for a password")
        for line in (f"user add root:{SECRET}", f"user add tn:{SECRET}", f"user add poor:{SECRET}",
                     "role add tn", "role grant-permission tn readwrite a c", "user grant-role tn tn",
                     "role add poor", "role grant-permission poor read a", "user grant-role poor poor",
                     "auth enable"):
            etcd.ctl(*line.split(), user=f"root:{SECRET}" if line == "auth enable" else None)
        root = f"root:{SECRET}"

        def said(fault="denied", do="range", **ask):
            options = {k: ask.pop(k) for k in ("user", "password") if k in ask}
            text = etcd.client(**options).fails(fault, do, **{"key": "a", **ask})
            assert SECRET not in text, "the password is told"
            return text

        has(said(), "asks for a user")
        has(said(user="tn", password="wrong" + SECRET), "the password is wrong")
        has(said(user="nobody", password=SECRET), "the password is wrong")
        c, poor = (etcd.client(user=user, password=SECRET) for user in ("tn", "poor"))
        c.put(a="1")
        equal(poor.get("a"), {"a": "1"}, "may read")
        has(poor.fails("denied", "txn", put={"a": "2"}), "does not let user poor do that")
        has(c.fails("denied", "range", key="x"), "does not let user tn do that")
        c.ask("watch", key="a", revision=1)
        equal(c.events(1), [("a", "1")], "a watch")
        c.ask("watch", key="x")
        c.fails("denied", "next", ms=60000)
        c.ask("status"), c.ask("members")

        # a restarted etcd knows no token that it gave before
        etcd.members[0].kill()
        etcd.members[0].start()
        eventually(lambda: c.put(b="1"), 60)
        equal(c.get("b"), {"b": "1"}, "with a new token")
        etcd.ctl("user", "revoke-role", "tn", "tn", user=root)
        c.fails("denied", "range", key="a")
        etcd.ctl("user", "delete", "tn", user=root)
        has(c.fails("denied", "range", key="a"), "has been removed")
        has(c.fails("denied", "txn", put={"a": "4"}), "has been removed")
        has(c.fails("denied", "watch", key="a"), "has been removed")


@once
def test_etcd_token_is_renewed(lab):
    with Etcd(lab, options=["--auth-token-ttl", "1"]) as etcd:
        for line in (f"user add root:{SECRET}", "auth enable"):
            etcd.ctl(*line.split(), user=f"root:{SECRET}" if line == "auth enable" else None)
        c = etcd.client(user="root", password=SECRET)
        c.put(a="1")
        time.sleep(3)
        equal(c.get("a"), {"a": "1"}, "after it has expired")
        time.sleep(3)
        c.put(a="2")


@once
def test_etcd_or_something_else(lab):
    header = '"header":{"cluster_id":"7","member_id":"1","revision":"9","raft_term":"2"}'
    old = '{"etcdserver":"3.3.25","etcdcluster":"3.3.0"}'
    with Etcd(lab) as etcd:
        def said(answer, fault="unsupported"):
            with Answerer(etcd.ns, answer) as other:
                return etcd.client(urls=other.url).fails(fault, "range", key="a")

        has(said(
            lambda r: http(old) if b"GET /version" in r else http("404 page not found", "404 Not Found")), "it is etcd 3.3.25, and 3.4 or later is needed")
        has(said(lambda r: http("<html>", kind="text/html")), "it is no etcd")
        has(said(lambda r: http("<html>", "404 Not Found", "text/html")), "it is no etcd")
        has(said(lambda r: http("[]")), "it is no etcd")
        has(said(lambda r: http("{}")), "it is no etcd")
        has(said(lambda r: b"220 smtp.example.org\r\n" * 10), "it is no etcd")
        has(said(lambda r: b"", "unreachable"), "it closed the connection")
        has(said(lambda r: http("<html>", "503 Service Unavailable"), "unreachable"), "HTTP 503")
        status = http(f'{{{header},"version":"3.4.23","leader":"1"}}')
        has(said(
            lambda r: status if b"status" in r else http('{"kvs": 5}')), "answers what etcd does not")
        has(said(
            lambda r: status if b"status" in r else http(f'{{{header},"kvs":[{{"key":"!"}}]}}')), "answers what etcd does not")
        much = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * (33 << 20)
        has(said(lambda r: status if b"status" in r else much, "too large"), "larger than 32 MiB")

        has(etcd.client(cluster_id=5).fails("other cluster", "range", key="a"), "another etcd cluster")
        etcd.client(urls=f"http://127.0.0.7:1,http://127.0.0.7:2,{etcd.urls}").put(a="1")
        said = etcd.client(urls="http://127.0.0.7:1,http://127.0.0.7:2", connect_ms=2000).fails(
            "unreachable", "range", key="a")
        has(said, "http://127.0.0.7:1 (Connection refused), http://127.0.0.7:2")
        for urls in ("127.0.0.1:2379", "ftp://a", "http://a/b", "", "http://a,,http://b", "http://"):
            has(etcd.refusal(urls=urls), "is no URL of etcd")
        refusal = etcd.refusal(urls=f"http://me:{SECRET}@a")
        assert "--user" in refusal and SECRET not in refusal, refusal
