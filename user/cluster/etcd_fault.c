// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a failure means. A change is either certainly not begun, or its outcome is unknown: that is
 * what everything here is ordered by. `etcdserver: no leader` is certain: the request says that it
 * needs a leader, and etcd looks before it begins.
 */
#include <ctype.h>

#include "cluster/etcd_internal.h"

/* codes of gRPC */
enum {
	CANCELED = 1,
	UNKNOWN = 2,
	INVALID = 3,
	DEADLINE = 4,
	NOT_FOUND = 5,
	DENIED = 7,
	EXHAUSTED = 8,
	PRECONDITION = 9,
	OUT_OF_RANGE = 11,
	UNAVAILABLE = 14,
	UNAUTHENTICATED = 16
};

#define SAY(out, what, ...)                                              \
	do {                                                             \
		(out)->fault = (what);                                   \
		snprintf((out)->text, sizeof((out)->text), __VA_ARGS__); \
	} while (0)

/* About this URL: another one may do. */
#define SAY_HERE(out, what, ...)             \
	do {                                 \
		(out)->elsewhere = true;     \
		SAY(out, what, __VA_ARGS__); \
	} while (0)

void etcd_reply_free(struct etcd_reply *r)
{
	free(r->certificate);
	vec_free(&r->body);
	json_decref(r->json);
	memset(r, 0, sizeof(*r));
}

/* What others have written, as a part of a sentence: one line, and not all of it. */
static const char *quote(const char *text, char *out, size_t room)
{
	size_t n = 0;

	for (; *text && n + 1 < room; text++)
		out[n++] = isprint((unsigned char)*text) ? *text : ' ';
	while (n && strchr(". ", out[n - 1]))
		n--;
	out[n] = 0;
	return out;
}

static void say_unknown(const struct etcd_manner *how, const char *why, struct etcd_verdict *out)
{
	SAY(out, ETCD_UNKNOWN_OUTCOME,
	    "it is not known whether the change was made: %s %s; look before it is made again",
	    how->url, why);
}

/* ---------------------------------------------------------------- without an answer */

static void judge_server_certificate(const struct etcd_reply *r, const struct etcd_manner *how,
				     struct etcd_verdict *out)
{
	char date[128] = "";

	if (r->certificate)
		etcd_certificate_date(r->certificate, strlen(r->certificate), date, sizeof(date));
	if (*date)
		SAY_HERE(out, ETCD_UNTRUSTED, "its certificate %s", date);
	else if (strstr(r->detail, "does not match"))
		SAY_HERE(out, ETCD_UNTRUSTED,
			 "its certificate is for another name or address: use the one in it");
	else if (how->ca)
		SAY_HERE(out, ETCD_UNTRUSTED, "its certificate is not of the CA in %s", how->ca);
	else
		SAY_HERE(out, ETCD_UNTRUSTED,
			 "its certificate is of no CA that this host knows: use --ca FILE");
}

/* Without a word of the server, it may as well have taken what TLS begins with for bad HTTP. */
static void judge_alert(const struct etcd_reply *r, const struct etcd_manner *how,
			struct etcd_verdict *out)
{
	if (how->cert && !strstr(r->detail, " alert"))
		SAY_HERE(out, ETCD_UNTRUSTED,
			 "it refuses the certificate in %s: is that of the CA that etcd trusts "
			 "(--trusted-ca-file), and good for clients? Or does etcd serve http:// "
			 "there?",
			 how->cert);
	else if (how->cert)
		SAY_HERE(out, ETCD_UNTRUSTED,
			 "it refuses the certificate in %s: is that of the CA that etcd trusts "
			 "(--trusted-ca-file), and good for clients?",
			 how->cert);
	else
		SAY_HERE(out, ETCD_UNTRUSTED,
			 "it asks for a certificate of this host: use --cert FILE --key FILE%s",
			 strstr(r->detail, " alert") ? "" : "; or does etcd serve http:// there?");
}

static bool speaks_tls(const char *url)
{
	return strncmp(url, "https:", strlen("https:")) == 0;
}

static bool is_closed(const struct etcd_reply *r)
{
	return r->code == CURLE_SEND_ERROR || r->code == CURLE_RECV_ERROR ||
	       r->code == CURLE_GOT_NOTHING || r->code == CURLE_PARTIAL_FILE;
}

/*
 * The server is done with this client's certificate, and has said so. With TLS 1.3 the client goes
 * on before the server looks at it, and the alert may get lost behind the end of the connection.
 */
static bool is_alert(const struct etcd_reply *r, const struct etcd_manner *how)
{
	bool broken = is_closed(r) && how->first && speaks_tls(how->url);

	if (r->code == CURLE_SSL_CONNECT_ERROR)
		broken = strstr(r->detail, "Send failure:");
	return broken || strstr(r->detail, " alert");
}

static bool judge_tls(const struct etcd_reply *r, const struct etcd_manner *how,
		      struct etcd_verdict *out)
{
	char said[200];

	if (r->code == CURLE_PEER_FAILED_VERIFICATION) {
		judge_server_certificate(r, how, out);
		return true;
	}
	if (is_alert(r, how)) {
		judge_alert(r, how, out);
		return true;
	}
	switch (r->code) {
	case CURLE_SSL_CONNECT_ERROR:
		SAY_HERE(out, ETCD_UNTRUSTED, "TLS fails: %s; does etcd serve http:// there?",
			 quote(r->detail, said, sizeof(said)));
		return true;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ENGINE_INITFAILED:
		SAY(out, ETCD_UNTRUSTED, "cannot begin with TLS: %s",
		    quote(r->detail, said, sizeof(said)));
		return true;
	default:
		return false;
	}
}

static const char *why_not(const struct etcd_reply *r, char *out, size_t room)
{
	switch (r->code) {
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(out, room, "no %s within %g s", r->sent ? "answer" : "connection",
			 r->ms / 1000.0);
		return out;
	case CURLE_COULDNT_RESOLVE_HOST:
		return "there is no host of that name";
	case CURLE_COULDNT_CONNECT:
		if (r->os_error)
			return quote(strerror(r->os_error), out, room);
		return "no connection";
	default:
		if (is_closed(r))
			return "it closed the connection";
		return quote(*r->detail ? r->detail : curl_easy_strerror(r->code), out, room);
	}
}

static void judge_silence(const struct etcd_reply *r, const struct etcd_manner *how,
			  struct etcd_verdict *out)
{
	bool no_http = r->code == CURLE_UNSUPPORTED_PROTOCOL || r->code == CURLE_WEIRD_SERVER_REPLY;
	bool late = r->code == CURLE_OPERATION_TIMEDOUT && r->sent && !how->first;
	char why[200], text[256];

	if (r->too_large) {
		SAY(out, how->change ? ETCD_UNKNOWN_OUTCOME : ETCD_TOO_LARGE,
		    "the answer of %s is larger than %d MiB", how->url, ETCD_ANSWER_MAX >> 20);
	} else if (judge_tls(r, how, out)) {
		return;
	} else if (how->change && r->sent) {
		snprintf(text, sizeof(text), "did not answer (%s)", why_not(r, why, sizeof(why)));
		say_unknown(how, text, out);
	} else if (r->code == CURLE_ABORTED_BY_CALLBACK) {
		SAY(out, ETCD_INTERRUPTED, "interrupted");
	} else if (is_closed(r) && how->first) {
		SAY_HERE(out, ETCD_UNREACHABLE,
			 "it closed the connection: does it serve https:// there?");
	} else if (no_http) {
		SAY_HERE(out, ETCD_UNSUPPORTED, "it is no etcd: it does not speak HTTP");
	} else {
		SAY_HERE(out, late ? ETCD_NO_QUORUM : ETCD_UNREACHABLE, "%s",
			 why_not(r, why, sizeof(why)));
	}
}

/* ---------------------------------------------------------------- what etcd says */

static void judge_user(const char *text, const struct etcd_manner *how, struct etcd_verdict *out)
{
	const char *user = how->user ? how->user : "";

	if (strstr(text, "authentication failed"))
		SAY(out, ETCD_DENIED,
		    "etcd at %s does not let user %s in: the password is wrong, or the user has "
		    "been removed",
		    how->url, user);
	else if (strstr(text, "user name is empty"))
		SAY(out, ETCD_DENIED,
		    "etcd at %s asks for a user and a password: use --user; a certificate alone "
		    "does not tell it who this is",
		    how->url);
	else if (strstr(text, "authentication is not enabled"))
		SAY(out, ETCD_DENIED,
		    "etcd at %s asks nobody for a password, so everybody may change it: enable "
		    "that (etcdctl auth enable), or leave --user out",
		    how->url);
	else if (strstr(text, "permission denied"))
		SAY(out, ETCD_DENIED,
		    "etcd at %s does not let user %s do that: give it a role that may read and "
		    "write these keys (etcdctl role grant-permission)",
		    how->url, user);
}

static void judge_revision(const char *text, const struct etcd_manner *how,
			   struct etcd_verdict *out)
{
	if (strstr(text, "compacted"))
		SAY(out, ETCD_COMPACTED,
		    "etcd at %s has compacted its history: the revision asked for is gone",
		    how->url);
	else if (strstr(text, "future"))
		SAY(out, ETCD_FUTURE,
		    "etcd at %s has not been at the revision asked for: it was restored from an "
		    "older snapshot",
		    how->url);
}

static void judge_limit(const char *text, const struct etcd_manner *how, struct etcd_verdict *out)
{
	if (strstr(text, "too large") || strstr(text, "larger than") ||
	    strstr(text, "too many operations"))
		SAY(out, ETCD_TOO_LARGE, "the request is larger than etcd at %s takes (%.200s)",
		    how->url, text);
	else if (strstr(text, "space exceeded"))
		SAY(out, ETCD_FULL,
		    "etcd at %s is full: compact and defragment it, then `etcdctl alarm disarm`, "
		    "or raise --quota-backend-bytes",
		    how->url);
}

/* Whether nothing was begun, as etcd says. */
static bool is_certain(int64_t code, const char *text)
{
	switch (code) {
	case INVALID:
	case NOT_FOUND:
	case DENIED:
	case EXHAUSTED:
	case PRECONDITION:
	case OUT_OF_RANGE:
	case UNAUTHENTICATED:
		return true;
	default:
		return strstr(text, "no leader");
	}
}

/* Of a request that may be made again. */
static void judge_state(int64_t code, const char *text, struct etcd_verdict *out)
{
	if (strstr(text, "no leader"))
		SAY_HERE(out, ETCD_NO_QUORUM, "it knows no leader");
	else if (code == DEADLINE || strstr(text, "timed out") || strstr(text, "leader changed"))
		SAY_HERE(out, ETCD_NO_QUORUM, "%.200s", text);
	else if (code == UNAVAILABLE || code == CANCELED)
		SAY_HERE(out, ETCD_UNREACHABLE, "%.200s", text);
}

void etcd_judge_text(int64_t code, const char *text, const struct etcd_manner *how,
		     struct etcd_verdict *out)
{
	char said[256], why[300];

	quote(text, said, sizeof(said));
	memset(out, 0, sizeof(*out));
	if (how->change && !is_certain(code, said)) {
		snprintf(why, sizeof(why), "says: %s", said);
		say_unknown(how, why, out);
		return;
	}
	out->token = strstr(said, "invalid auth token") || strstr(said, "auth store is old");
	if (out->token)
		SAY(out, ETCD_DENIED, "etcd at %s does not know user %s any more", how->url,
		    how->user ? how->user : "");
	if (!out->fault)
		judge_user(said, how, out);
	if (!out->fault)
		judge_revision(said, how, out);
	if (!out->fault)
		judge_limit(said, how, out);
	if (!out->fault && strstr(said, "lease not found"))
		SAY(out, ETCD_NO_LEASE, "etcd at %s knows no such lease: it has expired", how->url);
	if (!out->fault)
		judge_state(code, said, out);
	if (!out->fault)
		SAY(out, ETCD_REFUSED, "etcd at %s refuses that: %s", how->url, said);
}

/* ---------------------------------------------------------------- an answer, or none of etcd's */

static void judge_strange(const struct etcd_reply *r, const struct etcd_manner *how,
			  struct etcd_verdict *out)
{
	const char *body = r->body.n ? r->body.v : "";
	char why[64];

	if (strstr(body, "HTTP request to an HTTPS server")) {
		SAY_HERE(out, ETCD_UNTRUSTED, "it speaks TLS: write https://");
	} else if (strstr(body, "CommonName of client")) {
		SAY(out, ETCD_DENIED,
		    "etcd at %s has users, and so takes no certificate with a common name by its "
		    "gateway: make one without (openssl -subj /O=…) for --cert",
		    how->url);
	} else if (r->status == 421) {
		SAY_HERE(out, ETCD_REFUSED,
			 "it does not want to be called by that name: see its --host-whitelist");
	} else if (how->change && (r->status < 400 || r->status >= 500)) {
		snprintf(why, sizeof(why), "gives no answer of etcd's (HTTP %ld)", r->status);
		say_unknown(how, why, out);
	} else if (r->status >= 500 && r->status <= 504) {
		SAY_HERE(out, ETCD_UNREACHABLE, "HTTP %ld", r->status);
	} else {
		SAY_HERE(out, ETCD_UNSUPPORTED, "it is no etcd: HTTP %ld, and no answer of etcd's",
			 r->status);
	}
}

/* As an answer has it, or a stream. */
static const char *error_of(const json_t *json, int64_t *code)
{
	const json_t *error = json_object_get(json, "error");
	bool stream = json_is_object(error);
	const char *text = json_string_value(stream ? json_object_get(error, "message") : error);

	if (!text || etcd_read_int(stream ? error : json, stream ? "grpc_code" : "code", code))
		return NULL;
	return text;
}

void etcd_judge(const struct etcd_reply *r, const struct etcd_manner *how, struct etcd_verdict *out)
{
	const char *text;
	int64_t code;

	memset(out, 0, sizeof(*out));
	if (r->code != CURLE_OK) {
		judge_silence(r, how, out);
		return;
	}
	text = error_of(r->json, &code);
	if (text)
		etcd_judge_text(code, text, how, out);
	else if (!json_is_object(r->json) || r->status != 200)
		judge_strange(r, how, out);
}

static bool has_gateway(const char *version)
{
	unsigned int major, minor;

	return sscanf(version, "%u.%u", &major, &minor) == 2 &&
	       (major > 3 || (major == 3 && minor >= 4));
}

void etcd_judge_version(const struct etcd_reply *r, const struct etcd_manner *how,
			struct etcd_verdict *out)
{
	const char *version = json_string_value(json_object_get(r->json, "etcdserver"));
	char said[64];

	(void)how;
	memset(out, 0, sizeof(*out));
	if (r->code == CURLE_OK && version && has_gateway(version))
		SAY_HERE(out, ETCD_UNSUPPORTED,
			 "it is etcd %s, without /v3/: give its port for clients, and let it have "
			 "--enable-grpc-gateway",
			 quote(version, said, sizeof(said)));
	else if (r->code == CURLE_OK && version)
		SAY_HERE(out, ETCD_UNSUPPORTED, "it is etcd %s, and 3.4 or later is needed",
			 quote(version, said, sizeof(said)));
	else
		SAY_HERE(out, ETCD_UNSUPPORTED, "it is no etcd: it has no /v3/");
}

int etcd_say_none(enum etcd_fault fault, const char *told, struct error *err)
{
	switch (fault) {
	case ETCD_UNREACHABLE:
		return error_set(err,
				 "no etcd answers: %s; is it running, and does the network lead "
				 "there?",
				 told);
	case ETCD_NO_QUORUM:
		return error_set(err,
				 "etcd has no quorum now: %s; most of its members have to run, and "
				 "to reach each other",
				 told);
	default:
		return error_set(err, "no etcd can be used: %s", told);
	}
}
