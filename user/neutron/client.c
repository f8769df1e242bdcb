/* SPDX-License-Identifier: GPL-2.0-only */
/* One request after the other, and the token that each takes. */
#include "neutron/client.h"

#include "lib/interrupt.h"
#include "lib/log.h"
#include "neutron/client_internal.h"

/* Of a page of 500 objects: it is some hundred KiB. */
#define ANSWER_MAX ((size_t)64 << 20)
#define CONNECT_S  10L
/* A page takes Neutron some hundred milliseconds; more than this no page may take. */
#define REQUEST_S 60L

struct answer {
	VEC(char) body;
	char *token; /* of Keystone's */
	long status;
	bool too_large;
};

static void answer_free(struct answer *a)
{
	/* Keystone's has the catalogue alone, but its token is a header */
	free_secret(&a->token);
	vec_free(&a->body);
}

void free_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

/* ------------------------------------------------------------ one request */

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	n *= size;
	if (a->body.n + n > ANSWER_MAX) {
		a->too_large = true;
		return 0;
	}
	while (a->body.cap < a->body.n + n + 1) {
		a->body.cap = a->body.cap ? 2 * a->body.cap : 16384;
		a->body.v = xrealloc(a->body.v, a->body.cap, 1);
	}
	memcpy(a->body.v + a->body.n, data, n);
	a->body.n += n;
	return n;
}

static size_t take_header(char *data, size_t size, size_t n, void *arg)
{
	static const char name[] = "X-Subject-Token:";
	struct answer *a = arg;
	size_t len = n * size, at = strlen(name);

	if (len <= at || strncasecmp(data, name, at) != 0)
		return len;
	while (at < len && (data[at] == ' ' || data[at] == '\t'))
		at++;
	while (len > at && strchr("\r\n \t", data[len - 1]))
		len--;
	free_secret(&a->token);
	a->token = strndup(data + at, len - at);
	return n * size;
}

static int stop_when_due(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)arg, (void)a, (void)b, (void)c, (void)d;
	return interrupt_is_due();
}

static void set_tls(CURL *curl, const struct cloud *c)
{
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (c->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->cacert);
	if (c->cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, c->cert);
	if (c->key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, c->key);
	if (c->verify && strcasecmp(c->verify, "false") == 0) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static struct curl_slist *headers_of(const struct neutron_client *n, bool with_token)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	_cleanup_free_ char *line = NULL;

	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	if (!with_token || !n->token || asprintf(&line, "X-Auth-Token: %s", n->token) < 0)
		return headers;
	headers = curl_slist_append(headers, line);
	explicit_bzero(line, strlen(line));
	return headers;
}

/* `who` and its `url` are what errors name; `method` NULL: to log in, without a token. */
static int exchange(struct neutron_client *n, const char *who, const char *method, const char *url,
		    const char *body, struct answer *a, struct error *err)
{
	struct curl_slist *headers = headers_of(n, method != NULL);
	char detail[CURL_ERROR_SIZE] = "";
	CURL *curl = n->curl;
	CURLcode code;

	curl_easy_reset(curl);
	set_tls(curl, n->cloud);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, n->timeout_s);
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_when_due);
	if (body)
		curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
	if (method && strcmp(method, "GET") != 0)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	if (code == CURLE_OK)
		return 0;
	if (interrupt_check(err))
		return -1;
	if (a->too_large)
		return error_set(err, "%s at %s answers with more than %zu MiB", who, n->shown,
				 ANSWER_MAX >> 20);
	return error_set(err, "cannot read from %s at %s: %s", who, n->shown,
			 *detail ? detail : curl_easy_strerror(code));
}

/* SCHEME://HOST:PORT, for errors; NULL: it is no URL to use. */
static char *shown_url(const char *text)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *out = NULL;
	CURLU *url = curl_url();

	if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
	    asprintf(&out, "%s://%s:%s", scheme, host, port) < 0)
		out = NULL;
	curl_free(user);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(url);
	return out;
}

/* From now on requests go there. */
static int turn_to(struct neutron_client *n, const char *what, const char *url, struct error *err)
{
	char *shown = shown_url(url);

	if (!shown)
		return error_usage(err,
				   "%s is no URL to use: write http://HOST:PORT or "
				   "https://HOST:PORT, without user and password",
				   what);
	free(n->shown);
	n->shown = shown;
	return 0;
}

/* ------------------------------------------------------------ the token */

static char *join(const char *url, const char *version, const char *rest)
{
	size_t len = strlen(url), v = strlen(version);
	char *out;

	while (len && url[len - 1] == '/')
		len--;
	if (len > v && strncmp(url + len - v, version, v) == 0 && url[len - v - 1] == '/')
		len -= v + 1;
	if (asprintf(&out, "%.*s/%s%s", (int)len, url, version, rest) < 0)
		out = xstrdup("");
	return out;
}

static json_t *domain_of(const char *id, const char *name)
{
	if (id || !name)
		return json_pack("{s:s}", "id", id ? id : "default");
	return json_pack("{s:s}", "name", name);
}

static json_t *user_of(const struct cloud *c)
{
	json_t *user = json_object();

	if (c->user_id) {
		json_object_set_new(user, "id", json_string(c->user_id));
		return user;
	}
	json_object_set_new(user, "name", json_string(c->username));
	json_object_set_new(user, "domain", domain_of(c->user_domain_id, c->user_domain_name));
	return user;
}

static json_t *by_application(const struct cloud *c)
{
	json_t *one = json_pack("{s:s}", "secret", c->application_secret);

	if (c->application_id) {
		json_object_set_new(one, "id", json_string(c->application_id));
	} else {
		json_object_set_new(one, "name", json_string(c->application_name));
		json_object_set_new(one, "user", user_of(c));
	}
	return json_pack("{s:{s:{s:[s], s:o}}}", "auth", "identity", "methods",
			 "application_credential", "application_credential", one);
}

static json_t *by_password(const struct cloud *c)
{
	json_t *user = user_of(c), *project = json_object();

	json_object_set_new(user, "password", json_string(c->password));
	if (c->project_id) {
		json_object_set_new(project, "id", json_string(c->project_id));
	} else {
		json_object_set_new(project, "name", json_string(c->project_name));
		json_object_set_new(project, "domain",
				    domain_of(c->project_domain_id, c->project_domain_name));
	}
	return json_pack("{s:{s:{s:[s], s:{s:o}}, s:{s:o}}}", "auth", "identity", "methods",
			 "password", "password", "user", user, "scope", "project", project);
}

/* NULL: what the file has is no UTF-8. */
static char *login_body(const struct cloud *c)
{
	bool application = c->application_id || c->application_name;
	json_t *body = application ? by_application(c) : by_password(c);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	return text;
}

static bool is_same(const json_t *object, const char *field, const char *wish)
{
	const char *text = json_string_value(json_object_get(object, field));

	return text && strcmp(text, wish) == 0;
}

/* `public` and `publicURL` are one. */
static bool is_interface(const json_t *endpoint, const char *wish)
{
	const char *text = json_string_value(json_object_get(endpoint, "interface"));
	size_t len = strcspn(wish, "U");

	return text && strlen(text) == len && strncmp(text, wish, len) == 0;
}

static const char *endpoint_in(const json_t *service, const struct cloud *c)
{
	const json_t *endpoint;
	size_t i;

	json_array_foreach(json_object_get(service, "endpoints"), i, endpoint)
	{
		if (!is_interface(endpoint, c->interface ? c->interface : "public"))
			continue;
		if (!c->region || is_same(endpoint, "region", c->region) ||
		    is_same(endpoint, "region_id", c->region))
			return json_string_value(json_object_get(endpoint, "url"));
	}
	return NULL;
}

static int find_neutron(struct neutron_client *n, const json_t *token, struct error *err)
{
	const struct cloud *c = n->cloud;
	const json_t *service;
	const char *url = c->override;
	size_t i;

	json_array_foreach(json_object_get(token, "catalog"), i, service)
	{
		if (!url && is_same(service, "type", "network"))
			url = endpoint_in(service, c);
	}
	if (!url)
		return error_set(
			err,
			"Keystone at %s knows no network service with the interface `%s`%s%s; "
			"see `openstack catalog list`, and `region_name` and `interface` in "
			"clouds.yaml",
			n->shown, c->interface ? c->interface : "public",
			c->region ? " in the region " : "", c->region ? c->region : "");
	if (turn_to(n, "the endpoint of the network service", url, err))
		return -1;
	free(n->base);
	n->base = join(url, "v2.0", "/");
	return 0;
}

static void take_project(struct neutron_client *n, const json_t *token)
{
	const char *id =
		json_string_value(json_object_get(json_object_get(token, "project"), "id"));

	free(n->project);
	n->project = id ? xstrdup(id) : NULL;
}

static int take_token(struct neutron_client *n, struct answer *a, struct error *err)
{
	json_t *json = NULL;
	int ret = -1;

	if (a->status == 401)
		error_usage(
			err,
			"Keystone at %s does not know the user of the cloud `%s`, or refuses the "
			"password or secret",
			n->shown, SHOWN(n->cloud->name));
	else if (a->status != 200 && a->status != 201)
		error_set(err, "Keystone at %s answers with status %ld instead of a token",
			  n->shown, a->status);
	else if (!a->token || !(json = json_loadb(a->body.v, a->body.n, 0, NULL)))
		error_set(err, "Keystone at %s answers with no token", n->shown);
	else
		ret = find_neutron(n, json_object_get(json, "token"), err);
	if (!ret)
		take_project(n, json_object_get(json, "token"));
	json_decref(json);
	if (ret)
		return -1;
	free_secret(&n->token);
	n->token = a->token;
	a->token = NULL;
	return 0;
}

static int log_in(struct neutron_client *n, struct error *err)
{
	_cleanup_(answer_free) struct answer a = { 0 };
	_cleanup_free_ char *url = join(n->cloud->auth_url, "v3", "/auth/tokens");
	char *body = login_body(n->cloud);
	int ret;

	if (!body)
		return error_usage(err, "the cloud `%s` has something that is no UTF-8",
				   SHOWN(n->cloud->name));
	if (turn_to(n, "`auth_url`", url, err)) {
		free_secret(&body);
		return -1;
	}
	ret = exchange(n, "Keystone", NULL, url, body, &a, err);
	free_secret(&body);
	return ret ? -1 : take_token(n, &a, err);
}

static int ensure_token(struct neutron_client *n, struct error *err)
{
	const struct cloud *c = n->cloud;
	const char *url = c->endpoint ? c->endpoint : c->override;

	if (n->token || (cloud_is_open(c) && n->base))
		return 0;
	if (!cloud_is_open(c))
		return log_in(n, err);
	if (turn_to(n, "the URL of Neutron", url, err))
		return -1;
	n->base = join(url, "v2.0", "/");
	return 0;
}

/* ------------------------------------------------------------ what Neutron answers */

/* What Neutron says is wrong; "": nothing. */
static const char *message_of(const json_t *json)
{
	const json_t *error = json_object_get(json, "NeutronError");
	const char *text = json_string_value(json_object_get(error, "message"));

	return text ? text : "";
}

static const char *remedy(long status)
{
	return status == 401 ? "; it knows no such token: is it the Neutron of this Keystone?"
	       : status == 403
		       ? "; the user needs to see everybody's objects: give it the role admin"
	       : status == 404
		       ? "; is the URL that of Neutron, with its extensions for routers, tags "
			 "and agents?"
		       : "";
}

static bool is_done(const char *method, long status)
{
	if (strcmp(method, "GET") == 0)
		return status == 200;
	/* who deletes what is gone already wanted just that */
	return status == 200 || status == 201 || status == 204 ||
	       (status == 404 && strcmp(method, "DELETE") == 0);
}

static int judge(const struct neutron_client *n, const char *method, const char *path,
		 const struct answer *a, json_t **out, struct error *err)
{
	bool get = strcmp(method, "GET") == 0;
	json_error_t where;
	int ret = 0;

	*out = a->body.n ? json_loadb(a->body.v, a->body.n, 0, &where) : NULL;
	if (!is_done(method, a->status)) {
		char message[200];

		neutron_shown(message_of(*out), message, sizeof(message));
		ret = error_set(err, "Neutron at %s answers to `%s%s%s` with status %ld%s%s%s",
				n->shown, get ? "" : method, get ? "" : " ", path, a->status,
				*message ? ": " : "", message, get ? remedy(a->status) : "");
	} else if (!*out && a->status != 204 && strcmp(method, "DELETE") != 0) {
		ret = error_set(err,
				"Neutron at %s answers to `%s` with what is no JSON, or not all of "
				"it",
				n->shown, path);
	}
	if (ret) {
		json_decref(*out);
		*out = NULL;
	}
	return ret;
}

/* The answer is *out, the caller's to free; NULL: it is empty. */
static int request(struct neutron_client *n, const char *method, const char *path,
		   const char *query, const char *body, json_t **out, struct error *err)
{
	*out = NULL;
	/* a token may have expired, or been taken back */
	for (int tries = 0; tries < 2; tries++) {
		_cleanup_(answer_free) struct answer a = { 0 };
		_cleanup_free_ char *url = NULL;

		if (ensure_token(n, err))
			return -1;
		if (asprintf(&url, "%s%s%s%s", n->base, path, *query ? "?" : "", query) < 0)
			return error_set(err, "out of memory");
		log_debug("%s %s", method, url);
		if (exchange(n, "Neutron", method, url, body, &a, err))
			return -1;
		if (a.status != 401 || tries || !n->token)
			return judge(n, method, path, &a, out, err);
		free_secret(&n->token);
	}
	return -1;
}

int neutron_get(struct neutron_client *n, const char *path, const char *query, json_t **out,
		struct error *err)
{
	return request(n, "GET", path, query, NULL, out, err);
}

int neutron_send(struct neutron_client *n, const char *method, const char *path, json_t *body,
		 json_t **out, struct error *err)
{
	_cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	bool has_body = body != NULL;
	json_t *answer = NULL;
	int ret;

	json_decref(body);
	if (has_body && !text)
		return error_set(err, "what Neutron is to have is no UTF-8");
	ret = request(n, method, path, "", text, &answer, err);
	if (out)
		*out = answer;
	else
		json_decref(answer);
	return ret;
}

/* ------------------------------------------------------------ the client */

struct neutron_client *neutron_open(const struct cloud *cloud, struct error *err)
{
	struct neutron_client *n = xzalloc(sizeof(*n));
	const char *wish = getenv("TENANTNAT_NEUTRON_TIMEOUT"); /* of tests */

	n->cloud = cloud;
	n->timeout_s = wish && atol(wish) > 0 ? atol(wish) : REQUEST_S;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (n->curl = curl_easy_init()))
		return n;
	error_set(err, "cannot begin with libcurl: out of memory");
	neutron_close(n);
	return NULL;
}

void neutron_close(struct neutron_client *n)
{
	if (!n)
		return;
	if (n->curl)
		curl_easy_cleanup(n->curl);
	free_secret(&n->token);
	free(n->project);
	free(n->base);
	free(n->shown);
	free(n);
}
