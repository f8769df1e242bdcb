// SPDX-License-Identifier: GPL-2.0-only
/* Where etcd is, who we are there, and one request after the other. */
#include <inttypes.h>

#include "cluster/etcd_internal.h"
#include "lib/interrupt.h"

/* ---------------------------------------------------------------- options */

/* SCHEME://HOST:PORT, the caller's to free; NULL: that is no URL to use. */
static char *plain_url(CURLU *url)
{
	static const CURLUPart unwanted[] = { CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY,
					      CURLUPART_FRAGMENT };
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *part, *out = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++) {
		if (curl_url_get(url, unwanted[i], &part, 0) == CURLUE_OK) {
			curl_free(part);
			return NULL;
		}
	}
	if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") == 0 &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    asprintf(&out, "%s://%s:%s", scheme, host, port) < 0)
		abort();
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	return out;
}

static int add_url(struct etcd *e, const char *text, struct error *err)
{
	CURLU *url = curl_url();
	char *plain = NULL;

	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK)
		plain = plain_url(url);
	curl_url_cleanup(url);
	if (!plain && strchr(text, '@'))
		return error_usage(err, "a URL of etcd has no user in it: use --user NAME");
	if (!plain)
		return error_usage(err,
				   "%s is no URL of etcd: write http://HOST:PORT or "
				   "https://HOST:PORT",
				   text);
	vec_push(&e->endpoints)->url = plain;
	return 0;
}

static int add_urls(struct etcd *e, const char *urls, struct error *err)
{
	_cleanup_free_ char *list = xstrdup(urls);
	char *rest = list, *text;

	while ((text = strsep(&rest, ","))) {
		if (add_url(e, text, err))
			return -1;
	}
	vec_each (endpoint, &e->endpoints)
		*vec_push(&e->urls) = endpoint->url;
	return 0;
}

static bool speaks_tls(const char *url)
{
	return strncmp(url, "https:", strlen("https:")) == 0;
}

/* What is given for TLS, and not used, would be taken for security. */
static int check_tls(const struct etcd *e, struct error *err)
{
	vec_each (endpoint, &e->endpoints) {
		if ((e->ca || e->cert) && !speaks_tls(endpoint->url))
			return error_usage(err,
					   "%s is without TLS, so --ca, --cert and --key are of no "
					   "use there: write https://, or leave them out",
					   endpoint->url);
	}
	if (!e->cert != !e->key)
		return error_usage(err, "--cert and --key need each other: give both files");
	if (e->ca && etcd_check_ca(e->ca, err))
		return -1;
	return e->cert ? etcd_check_cert(e->cert, e->key, err) : 0;
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

int etcd_open(const struct etcd_options *options, struct etcd **out, struct error *err)
{
	_cleanup_etcd_ struct etcd *e = xzalloc(sizeof(*e));

	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(e->curl = curl_easy_init()))
		return error_set(err, "cannot begin with libcurl: out of memory");
	e->ca = copy(options->ca);
	e->cert = copy(options->cert);
	e->key = copy(options->key);
	e->user = copy(options->user);
	e->password = copy(options->password ? options->password : "");
	e->cluster_id = options->cluster_id;
	e->connect_ms = options->connect_ms ? options->connect_ms : ETCD_CONNECT_MS;
	e->request_ms = options->request_ms ? options->request_ms : ETCD_REQUEST_MS;
	if (add_urls(e, options->urls, err) || check_tls(e, err))
		return -1;
	*out = e;
	e = NULL;
	return 0;
}

static void free_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void etcd_close(struct etcd *e)
{
	if (!e)
		return;
	curl_easy_cleanup(e->curl);
	vec_each (endpoint, &e->endpoints)
		free(endpoint->url);
	vec_free(&e->endpoints);
	vec_free(&e->urls);
	free(e->ca);
	free(e->cert);
	free(e->key);
	free(e->user);
	free_secret(&e->password);
	free_secret(&e->token);
	free(e);
}

enum etcd_fault etcd_fault(const struct etcd *e)
{
	return e->fault;
}

const char *etcd_why(const struct etcd *e)
{
	return e->why;
}

int64_t etcd_compacted(const struct etcd *e)
{
	return e->compacted;
}

const char *etcd_local_address(const struct etcd *e)
{
	return e->local;
}

size_t etcd_urls(const struct etcd *e, const char *const **out)
{
	*out = e->urls.v;
	return e->urls.n;
}

/* ---------------------------------------------------------------- one request */

struct curl_slist *etcd_set_up(const struct etcd *e, CURL *curl, const char *url, const char *path,
			       bool known)
{
	_cleanup_free_ char *whole = NULL;
	struct curl_slist *headers;

	if (asprintf(&whole, "%s%s", url, path) < 0)
		abort();
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, whole);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)e->connect_ms);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
	if (e->ca) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, e->ca);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (e->cert) {
		curl_easy_setopt(curl, CURLOPT_SSLCERT, e->cert);
		curl_easy_setopt(curl, CURLOPT_SSLKEY, e->key);
	}

	headers = curl_slist_append(NULL, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	if (known)
		headers = curl_slist_append(headers, "Grpc-Metadata-hasleader: true");
	if (known && e->token) {
		_cleanup_free_ char *line = NULL;

		if (asprintf(&line, "Authorization: %s", e->token) < 0)
			abort();
		headers = curl_slist_append(headers, line);
		explicit_bzero(line, strlen(line));
	}
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	return headers;
}

size_t etcd_reply_add(struct etcd_reply *r, const char *data, size_t n)
{
	if (r->body.n + n > ETCD_ANSWER_MAX) {
		r->too_large = true;
		return 0;
	}
	while (r->body.cap < r->body.n + n + 1) {
		r->body.cap = r->body.cap ? 2 * r->body.cap : 4096;
		r->body.v = xrealloc(r->body.v, r->body.cap, 1);
	}
	memcpy(r->body.v + r->body.n, data, n);
	r->body.n += n;
	r->body.v[r->body.n] = 0;
	return n;
}

static size_t take(char *data, size_t size, size_t n, void *arg)
{
	(void)size;
	return etcd_reply_add(arg, data, n);
}

static int end_when_interrupted(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return interrupt_is_due();
}

static char *server_certificate(CURL *curl)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
	    !info->num_of_certs)
		return NULL;
	for (struct curl_slist *line = info->certinfo[0]; line; line = line->next) {
		if (strncmp(line->data, "Cert:", strlen("Cert:")) == 0)
			return xstrdup(line->data + strlen("Cert:"));
	}
	return NULL;
}

/* `body` NULL: GET. */
static void exchange(const struct etcd *e, const struct etcd_manner *how, const char *path,
		     const char *body, bool known, struct etcd_reply *r)
{
	struct curl_slist *headers = etcd_set_up(e, e->curl, how->url, path, known);
	curl_off_t pretransfer = 0;
	long os_error = 0;

	if (body) {
		curl_easy_setopt(e->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(e->curl, CURLOPT_POSTFIELDS, body);
	}
	/* libcurl sends a request again when a connection that it has used before was closed */
	if (how->change)
		curl_easy_setopt(e->curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e->curl, CURLOPT_TIMEOUT_MS, (long)e->connect_ms + e->request_ms);
	curl_easy_setopt(e->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(e->curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(e->curl, CURLOPT_ERRORBUFFER, r->detail);
	curl_easy_setopt(e->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(e->curl, CURLOPT_XFERINFOFUNCTION, end_when_interrupted);

	r->code = curl_easy_perform(e->curl);
	curl_easy_getinfo(e->curl, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
	curl_easy_getinfo(e->curl, CURLINFO_OS_ERRNO, &os_error);
	curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &r->status);
	r->sent = pretransfer > 0;
	r->os_error = (int)os_error;
	r->ms = r->sent ? e->request_ms : e->connect_ms;
	if (r->code == CURLE_PEER_FAILED_VERIFICATION)
		r->certificate = server_certificate(e->curl);
	if (r->code == CURLE_OK && r->body.n)
		r->json = json_loadb(r->body.v, r->body.n, 0, NULL);
	curl_easy_setopt(e->curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
}

/* ---------------------------------------------------------------- an endpoint */

struct etcd_manner etcd_manner(const struct etcd *e, const char *url, bool change)
{
	return (struct etcd_manner){
		.url = url, .ca = e->ca, .cert = e->cert, .user = e->user, .change = change
	};
}

static void judge_cluster(const struct etcd *e, const char *url, const struct etcd_header *header,
			  struct etcd_verdict *v)
{
	if (!e->cluster_id || header->cluster_id == e->cluster_id)
		return;
	v->fault = ETCD_OTHER_CLUSTER;
	snprintf(v->text, sizeof(v->text),
		 "%s is another etcd cluster (%" PRIx64 ", not %" PRIx64
		 "): is the URL right, or was etcd set up anew?",
		 url, header->cluster_id, e->cluster_id);
}

/* Before anything else is asked there. */
static void meet(const struct etcd *e, struct etcd_endpoint *endpoint, struct etcd_verdict *v)
{
	struct etcd_manner how = etcd_manner(e, endpoint->url, false);
	_cleanup_(etcd_status_free) struct etcd_status status = { 0 };
	_cleanup_(etcd_reply_free) struct etcd_reply r = { 0 };

	how.first = true;
	exchange(e, &how, "/v3/maintenance/status", "{}", false, &r);
	etcd_judge(&r, &how, v);
	if (r.code == CURLE_OK && r.status == 404) {
		_cleanup_(etcd_reply_free) struct etcd_reply version = { 0 };

		exchange(e, &how, "/version", NULL, false, &version);
		etcd_judge_version(&version, &how, v);
	}
	if (v->fault)
		return;
	if (etcd_read_status(r.json, &status)) {
		v->fault = ETCD_UNSUPPORTED;
		v->elsewhere = true;
		snprintf(v->text, sizeof(v->text), "it is no etcd: it answers what etcd does not");
		return;
	}
	judge_cluster(e, endpoint->url, &status.header, v);
	endpoint->met = !v->fault;
}

void etcd_forget_token(struct etcd *e)
{
	free_secret(&e->token);
}

static void log_in(struct etcd *e, const char *url, struct etcd_verdict *v)
{
	struct etcd_manner how = etcd_manner(e, url, false);
	_cleanup_(etcd_reply_free) struct etcd_reply r = { 0 };
	json_t *body = json_pack("{ss ss}", "name", e->user, "password", e->password);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *token;

	json_decref(body);
	memset(v, 0, sizeof(*v));
	if (!text) {
		v->fault = ETCD_DENIED;
		snprintf(v->text, sizeof(v->text), "the user or the password is no UTF-8");
		return;
	}
	exchange(e, &how, "/v3/auth/authenticate", text, true, &r);
	free_secret(&text);
	etcd_judge(&r, &how, v);
	token = json_string_value(json_object_get(r.json, "token"));
	if (!v->fault && token && !strpbrk(token, "\r\n"))
		e->token = xstrdup(token);
	else if (!v->fault)
		v->fault = ETCD_REFUSED,
		snprintf(v->text, sizeof(v->text), "%s gives no token", url);
	if (r.body.n)
		explicit_bzero(r.body.v, r.body.n);
}

/* As a known user at a known endpoint; without a fault in *v that is so. */
static void enter(struct etcd *e, struct etcd_endpoint *endpoint, struct etcd_verdict *v)
{
	memset(v, 0, sizeof(*v));
	if (!endpoint->met)
		meet(e, endpoint, v);
	if (!v->fault && e->user && !e->token)
		log_in(e, endpoint->url, v);
}

static void note_local_address(struct etcd *e)
{
	char *local = NULL;

	if (curl_easy_getinfo(e->curl, CURLINFO_LOCAL_IP, &local) == CURLE_OK && local)
		snprintf(e->local, sizeof(e->local), "%s", local);
}

static void attempt(struct etcd *e, struct etcd_endpoint *endpoint, const struct etcd_call *c,
		    const char *body, json_t **out, struct etcd_verdict *v)
{
	struct etcd_manner how = etcd_manner(e, endpoint->url, c->change);
	struct etcd_header header;

	/* a token may have expired, or not be known to an etcd that was restarted */
	for (int tries = 0; tries < 2; tries++) {
		_cleanup_(etcd_reply_free) struct etcd_reply r = { 0 };

		enter(e, endpoint, v);
		if (v->fault)
			return;
		exchange(e, &how, c->path, body, true, &r);
		etcd_judge(&r, &how, v);
		if (!v->fault) {
			note_local_address(e);
			if (etcd_read_header(r.json, &header) == 0)
				judge_cluster(e, endpoint->url, &header, v);
			*out = v->fault ? NULL : json_incref(r.json);
			return;
		}
		if (!v->token || !e->user)
			return;
		etcd_forget_token(e);
	}
}

/* ---------------------------------------------------------------- all endpoints */

/* What each came to, and the fault that says most. */
struct told {
	enum etcd_fault fault;
	char text[900];
};

/* The higher one says more of why nothing can be done. */
static int weight(enum etcd_fault fault)
{
	switch (fault) {
	case ETCD_FINE:
		return 0;
	case ETCD_UNREACHABLE:
		return 1;
	case ETCD_NO_QUORUM:
		return 3;
	default:
		return 2;
	}
}

static void note(struct etcd *e, struct told *told, const char *url, const struct etcd_verdict *v)
{
	size_t n = strlen(told->text);

	snprintf(e->why, sizeof(e->why), "%.255s", v->text);

	snprintf(told->text + n, sizeof(told->text) - n, "%s%s (%s)", n ? ", " : "", url, v->text);
	if (weight(v->fault) > weight(told->fault))
		told->fault = v->fault;
}

static int fail_everywhere(struct etcd *e, const struct told *told, struct error *err)
{
	e->fault = told->fault;
	return etcd_say_none(told->fault, told->text, err);
}

int etcd_fail(struct etcd *e, const char *url, const struct etcd_verdict *v, struct error *err)
{
	struct told told = { 0 };

	e->fault = v->fault;
	if (v->elsewhere) {
		note(e, &told, url, v);
		return fail_everywhere(e, &told, err);
	}
	snprintf(e->why, sizeof(e->why), "%.255s", v->text);
	if (v->fault == ETCD_INTERRUPTED && interrupt_check(err))
		return -1;
	return error_set(err, "%s", v->text);
}

int etcd_strange(struct etcd *e, bool change, struct error *err)
{
	struct etcd_verdict v = { .fault = ETCD_UNSUPPORTED };
	const char *url = e->endpoints.v[e->at].url;

	if (change) {
		v.fault = ETCD_UNKNOWN_OUTCOME;
		snprintf(v.text, sizeof(v.text),
			 "it is not known whether the change was made: %s answers what etcd does "
			 "not; look before it is made again",
			 url);
	} else {
		snprintf(v.text, sizeof(v.text), "%s answers what etcd does not", url);
	}
	return etcd_fail(e, url, &v, err);
}

void etcd_pass_over(struct etcd *e)
{
	e->endpoints.v[e->at].met = false;
	e->at = (e->at + 1) % e->endpoints.n;
}

/* With each endpoint, until one will do. NULL: only enter there. */
static int with_each(struct etcd *e, const struct etcd_call *c, const char *body, json_t **out,
		     struct error *err)
{
	struct told told = { 0 };

	e->fault = ETCD_FINE;
	for (size_t i = 0; i < e->endpoints.n; i++) {
		struct etcd_endpoint *endpoint = &e->endpoints.v[e->at];
		struct etcd_verdict v;

		if (c)
			attempt(e, endpoint, c, body, out, &v);
		else
			enter(e, endpoint, &v);
		if (!v.fault)
			return 0;
		if (!v.elsewhere)
			return etcd_fail(e, endpoint->url, &v, err);
		note(e, &told, endpoint->url, &v);
		etcd_pass_over(e);
	}
	return fail_everywhere(e, &told, err);
}

int etcd_call(struct etcd *e, const struct etcd_call *c, json_t **out, struct error *err)
{
	_cleanup_free_ char *body = json_dumps(c->body, JSON_COMPACT);

	*out = NULL;
	return with_each(e, c, body, out, err);
}

int etcd_prepare(struct etcd *e, struct error *err)
{
	return with_each(e, NULL, NULL, NULL, err);
}

/* ---------------------------------------------------------------- one member */

int etcd_status(struct etcd *e, const char *url, struct etcd_status *out, struct error *err)
{
	_cleanup_(etcd_reply_free) struct etcd_reply r = { 0 };
	struct etcd_manner how;
	struct etcd_verdict v;

	memset(out, 0, sizeof(*out));
	if (!url && etcd_prepare(e, err))
		return -1;
	how = etcd_manner(e, url ? url : e->endpoints.v[e->at].url, false);
	how.first = true;
	/* a member may be named by others only: it gets no token */
	exchange(e, &how, "/v3/maintenance/status", "{}", false, &r);
	etcd_judge(&r, &how, &v);
	if (v.fault)
		return etcd_fail(e, how.url, &v, err);
	if (etcd_read_status(r.json, out)) {
		etcd_status_free(out);
		return etcd_strange(e, false, err);
	}
	return 0;
}
