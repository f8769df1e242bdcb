/* SPDX-License-Identifier: GPL-2.0-only */
/* What a failure means. What etcd says is as etcd 3.4.23 says it. */
#include <criterion/criterion.h>

#include "cluster/etcd_internal.h"

static const struct etcd_manner reads = { .url = "http://a:1", .user = "me" };
static const struct etcd_manner changes = { .url = "http://a:1", .user = "me", .change = true };
static const struct etcd_manner first = { .url = "http://a:1", .first = true };

static struct etcd_verdict judge(CURLcode code, bool sent, const char *detail,
				 const struct etcd_manner *how)
{
	struct etcd_reply r = { .code = code, .sent = sent, .ms = 5000 };
	struct etcd_verdict v;

	snprintf(r.detail, sizeof(r.detail), "%s", detail);
	etcd_judge(&r, how, &v);
	return v;
}

static struct etcd_verdict judge_answer(long status, const char *body,
					const struct etcd_manner *how)
{
	struct etcd_reply r = { .status = status, .json = json_loads(body, 0, NULL) };
	struct etcd_verdict v;

	r.body.n = strlen(body);
	r.body.v = xstrdup(body);
	etcd_judge(&r, how, &v);
	etcd_reply_free(&r);
	return v;
}

/* A change is either certainly not begun, or nobody knows. */
Test(etcd_fault, of_a_change_whose_answer_got_lost)
{
	static const struct {
		CURLcode code;
		bool sent;
		enum etcd_fault reads, changes;
	} cases[] = {
		{ CURLE_COULDNT_CONNECT, false, ETCD_UNREACHABLE, ETCD_UNREACHABLE },
		{ CURLE_COULDNT_RESOLVE_HOST, false, ETCD_UNREACHABLE, ETCD_UNREACHABLE },
		{ CURLE_OPERATION_TIMEDOUT, false, ETCD_UNREACHABLE, ETCD_UNREACHABLE },
		{ CURLE_OPERATION_TIMEDOUT, true, ETCD_NO_QUORUM, ETCD_UNKNOWN_OUTCOME },
		{ CURLE_SEND_ERROR, true, ETCD_UNREACHABLE, ETCD_UNKNOWN_OUTCOME },
		{ CURLE_RECV_ERROR, true, ETCD_UNREACHABLE, ETCD_UNKNOWN_OUTCOME },
		{ CURLE_GOT_NOTHING, true, ETCD_UNREACHABLE, ETCD_UNKNOWN_OUTCOME },
		{ CURLE_PARTIAL_FILE, true, ETCD_UNREACHABLE, ETCD_UNKNOWN_OUTCOME },
		{ CURLE_ABORTED_BY_CALLBACK, true, ETCD_INTERRUPTED, ETCD_UNKNOWN_OUTCOME },
		{ CURLE_ABORTED_BY_CALLBACK, false, ETCD_INTERRUPTED, ETCD_INTERRUPTED },
		{ CURLE_PEER_FAILED_VERIFICATION, false, ETCD_UNTRUSTED, ETCD_UNTRUSTED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct etcd_verdict v = judge(cases[i].code, cases[i].sent, "", &reads);

		cr_expect_eq(v.fault, cases[i].reads, "%d: %d", cases[i].code, v.fault);
		v = judge(cases[i].code, cases[i].sent, "", &changes);
		cr_expect_eq(v.fault, cases[i].changes, "%d: %d", cases[i].code, v.fault);
		cr_expect_eq(v.elsewhere,
			     v.fault != ETCD_UNKNOWN_OUTCOME && v.fault != ETCD_INTERRUPTED,
			     "%d: nobody repeats what may have been done", cases[i].code);
	}
}

Test(etcd_fault, what_etcd_says)
{
	static const struct {
		long status;
		const char *body;
		enum etcd_fault reads, changes;
		const char *text;
	} cases[] = {
		{ 503, "{\"error\":\"etcdserver: no leader\",\"code\":14}", ETCD_NO_QUORUM,
		  ETCD_NO_QUORUM, "knows no leader" },
		{ 503, "{\"error\":\"etcdserver: request timed out\",\"code\":14}", ETCD_NO_QUORUM,
		  ETCD_UNKNOWN_OUTCOME, "request timed out" },
		{ 503, "{\"error\":\"etcdserver: leader changed\",\"code\":14}", ETCD_NO_QUORUM,
		  ETCD_UNKNOWN_OUTCOME, "leader changed" },
		{ 504, "{\"error\":\"context deadline exceeded\",\"code\":4}", ETCD_NO_QUORUM,
		  ETCD_UNKNOWN_OUTCOME, "deadline" },
		{ 503, "{\"error\":\"transport is closing\",\"code\":14}", ETCD_UNREACHABLE,
		  ETCD_UNKNOWN_OUTCOME, "transport" },
		{ 500, "{\"error\":\"something new\",\"code\":13}", ETCD_REFUSED,
		  ETCD_UNKNOWN_OUTCOME, "something new" },
		{ 400,
		  "{\"error\":\"etcdserver: authentication failed, invalid user ID or "
		  "password\",\"code\":3}",
		  ETCD_DENIED, ETCD_DENIED, "the password is wrong" },
		{ 400, "{\"error\":\"etcdserver: user name is empty\",\"code\":3}", ETCD_DENIED,
		  ETCD_DENIED, "--user" },
		{ 403, "{\"error\":\"etcdserver: permission denied\",\"code\":7}", ETCD_DENIED,
		  ETCD_DENIED, "does not let user me do that" },
		{ 412, "{\"error\":\"etcdserver: authentication is not enabled\",\"code\":9}",
		  ETCD_DENIED, ETCD_DENIED, "asks nobody for a password" },
		{ 400,
		  "{\"error\":\"etcdserver: mvcc: required revision has been compacted\","
		  "\"code\":11}",
		  ETCD_COMPACTED, ETCD_COMPACTED, "compacted" },
		{ 400,
		  "{\"error\":\"etcdserver: mvcc: required revision is a future revision\","
		  "\"code\":11}",
		  ETCD_FUTURE, ETCD_FUTURE, "older snapshot" },
		{ 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}",
		  ETCD_NO_LEASE, ETCD_NO_LEASE, "expired" },
		{ 400, "{\"error\":\"etcdserver: request is too large\",\"code\":3}",
		  ETCD_TOO_LARGE, ETCD_TOO_LARGE, "larger" },
		{ 400, "{\"error\":\"etcdserver: too many operations in txn request\",\"code\":3}",
		  ETCD_TOO_LARGE, ETCD_TOO_LARGE, "larger" },
		{ 429, "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}",
		  ETCD_FULL, ETCD_FULL, "alarm disarm" },
		{ 400, "{\"error\":\"etcdserver: duplicate key given in txn request\",\"code\":3}",
		  ETCD_REFUSED, ETCD_REFUSED, "duplicate key" },
		{ 200,
		  "{\"error\":{\"grpc_code\":7,\"http_code\":403,\"message\":\"etcdserver: "
		  "permission denied\"}}",
		  ETCD_DENIED, ETCD_DENIED, "does not let user me do that" },
		{ 200, "<html>", ETCD_UNSUPPORTED, ETCD_UNKNOWN_OUTCOME, "" },
		{ 200, "{\"header\":", ETCD_UNSUPPORTED, ETCD_UNKNOWN_OUTCOME, "" },
		{ 502, "<html>", ETCD_UNREACHABLE, ETCD_UNKNOWN_OUTCOME, "502" },
		{ 400,
		  "CommonName of client sending a request against gateway will be ignored and not "
		  "used as expected\n",
		  ETCD_DENIED, ETCD_DENIED, "common name" },
		{ 421, "etcd received your request, but the Host header was unrecognized.",
		  ETCD_REFUSED, ETCD_REFUSED, "--host-whitelist" },
		{ 404, "<html>", ETCD_UNSUPPORTED, ETCD_UNSUPPORTED, "no etcd" },
		{ 200, "{\"header\":{}}", ETCD_FINE, ETCD_FINE, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct etcd_verdict v = judge_answer(cases[i].status, cases[i].body, &reads);

		cr_expect_eq(v.fault, cases[i].reads, "%s: %d", cases[i].body, v.fault);
		cr_expect(strstr(v.text, cases[i].text), "%s: %s", cases[i].body, v.text);
		v = judge_answer(cases[i].status, cases[i].body, &changes);
		cr_expect_eq(v.fault, cases[i].changes, "%s: %d", cases[i].body, v.fault);
		cr_expect(strstr(v.text, cases[i].text), "%s: %s", cases[i].body, v.text);
	}
}

Test(etcd_fault, a_token_is_asked_for_again)
{
	struct etcd_verdict v = judge_answer(
		401, "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", &changes);

	cr_expect(v.token);
	cr_expect_eq(v.fault, ETCD_DENIED);
	v = judge_answer(400,
			 "{\"error\":\"etcdserver: revision of auth store is old\",\"code\":3}",
			 &changes);
	cr_expect(v.token);
}

Test(etcd_fault, over_tls)
{
	struct etcd_manner own = { .url = "https://a:1", .first = true, .cert = "own.pem" };
	struct etcd_manner none = { .url = "https://a:1", .first = true };
	struct etcd_verdict v;

	v = judge(CURLE_RECV_ERROR, true,
		  "GnuTLS recv error (-12): A TLS fatal alert has been received.", &changes);
	cr_expect_eq(v.fault, ETCD_UNTRUSTED, "it was not read");
	v = judge(CURLE_SEND_ERROR, false, "getpeername() failed with errno 107", &none);
	cr_expect(strstr(v.text, "asks for a certificate"), "%s", v.text);
	v = judge(CURLE_SSL_CONNECT_ERROR, false, "Send failure: Broken pipe", &own);
	cr_expect(strstr(v.text, "refuses the certificate in own.pem"), "%s", v.text);
	v = judge(CURLE_SSL_CONNECT_ERROR, false,
		  "gnutls_handshake() failed: An unexpected TLS packet was received.", &own);
	cr_expect(strstr(v.text, "does etcd serve http://"), "%s", v.text);
	v = judge(CURLE_PEER_FAILED_VERIFICATION, false,
		  "SSL: certificate subject name 'x' does not match target host name 'a'", &own);
	cr_expect(strstr(v.text, "another name"), "%s", v.text);
}

/* What a stranger says is one line, and not all of it. */
Test(etcd_fault, strangers_do_not_write_our_errors)
{
	struct etcd_verdict v =
		judge_answer(400, "{\"error\":\"a\\nb\\u001b[31m\",\"code\":3}", &reads);

	cr_expect_null(strpbrk(v.text, "\n\033"));
	v = judge(CURLE_GOT_NOTHING, true, "", &first);
	cr_expect(strstr(v.text, "https://"), "%s", v.text);
}
