// SPDX-License-Identifier: GPL-2.0-only
/* What this host has of elected routers, and what it says of the elections. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "agent/elector_internal.h"
#include "dataplane/attach.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/output.h"
#include "observe/elections.h"

/* ---------------------------------------------------------------- what is told */

void elector_log_trouble(struct elector *x, const char *tenant, const struct error *err)
{
	char text[sizeof(x->trouble)];

	snprintf(text, sizeof(text), "%s%s%.900s", tenant ? tenant : "", tenant ? ": " : "",
		 err->text);
	if (strcmp(x->trouble, text) == 0)
		return;
	memcpy(x->trouble, text, sizeof(text));
	log_about(LOG_WARNING, tenant, "failed", tenant ? "tenant %s" : "elections: %s", text);
}

static void describe(const struct elector *x, struct elections *out)
{
	*out = (struct elections){ .connected = x->connected };
	vec_each (s, &x->e.seats) {
		if (s->defined)
			*vec_push(&out->list) =
				(struct elected){ .tenant = xstrdup(s->tenant),
						  .holder = s->holder ? xstrdup(s->holder) : NULL,
						  .since = s->since,
						  .here = s->active };
	}
}

static char *line_of(const struct elections *e, bool json)
{
	size_t nobody = 0, here = 0;
	char *line = NULL;

	vec_each (one, &e->list) {
		nobody += !one->holder;
		here += one->here;
	}
	if (asprintf(&line,
		     json ? "{\"connected\": %s, \"active\": %zu, \"nobody\": %zu}"
			  : "%s, active for %zu, nobody for %zu",
		     json ? (e->connected ? "true" : "false")
			  : (e->connected ? "connected" : "not connected"),
		     here, nobody) < 0)
		abort();
	return line;
}

void elector_tell(struct elector *x)
{
	_cleanup_elections_ struct elections now;
	_cleanup_free_ char *text = NULL, *line = NULL;
	struct error err = { 0 };

	describe(x, &now);
	text = elections_text(&now);
	if (x->told && strcmp(x->told, text) == 0)
		return;
	if (elections_write(x->settings->state, text, &err))
		elector_log_trouble(x, NULL, &err);
	line = line_of(&now, x->json);
	puts(line);
	fflush(stdout);
	free(x->told);
	x->told = text;
	text = NULL;
}

/* ---------------------------------------------------------------- what this host has */

struct post *post_of(struct post *v, size_t n, const char *tenant)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].tenant, tenant) == 0)
			return &v[i];
	}
	return NULL;
}

void posts_forget(struct post *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		post_clear(&v[i]);
}

static void read_stamp(const struct elector *x, struct stamp *out)
{
	char path[PATH_MAX];
	struct stat st;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "%s/state.db", x->settings->state);
	if (stat(path, &st) == 0)
		out->db = st.st_mtim;
	snprintf(path, sizeof(path), "%s/state.db-wal", x->settings->state);
	if (stat(path, &st) == 0) {
		out->wal = st.st_mtim;
		out->size = st.st_size;
	}
}

static bool is_candidate(const struct tenant *t)
{
	const struct router *r = t->router;

	return r && r->active == ACTIVE_ELECTED && !r->detached && !r->passed_over &&
	       (r->own[IPV4].pinned || r->own[IPV6].pinned);
}

static void set_posts(struct elector *x, const struct model *m)
{
	posts_forget(x->posts.v, x->posts.n);
	x->posts.n = 0;
	vec_each (t, &m->tenants) {
		if (is_candidate(t))
			post_set(vec_push(&x->posts), t);
	}
}

/* Where something happens that counts. */
static bool watch_candidates(struct elector *x, struct model *m)
{
	vec_each (t, &m->tenants) {
		if (t->router && !is_candidate(t))
			t->router->detached = true;
	}
	return watch_namespaces(x->watch, m);
}

/* The last change that this host has is what etcd's history has to have. */
static int read_change(struct elector *x, struct store *store, struct error *err)
{
	_cleanup_membership_ struct membership now = { 0 };
	int ret = store_membership(store, &now, err);

	if (ret <= 0)
		return ret;
	free(x->m.change);
	x->m.change = now.change;
	now.change = NULL;
	return 0;
}

/* 0: it is as it was. */
static int read_definitions(struct elector *x, struct model *out, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;
	struct stamp now;

	read_stamp(x, &now);
	if (memcmp(&now, &x->stamp, sizeof(now)) == 0)
		return 0;
	if (store_open(x->settings->state, STORE_READ, 0, x->settings->command, &store, err) ||
	    read_change(x, store, err) || store_load(store, out, err))
		return -1;
	x->stamp = now;
	return 1;
}

static bool is_in_order(struct elector *x, const struct post *p)
{
	if (p->state != POST_BROKEN)
		return p->state == POST_READY;
	if (!x->mended_by)
		x->mended_by = clock_ms() + MENDED_IN;
	x->look_at = x->mended_by < x->look_at ? x->mended_by : x->look_at;
	return clock_ms() < x->mended_by;
}

static void look_at_posts(struct elector *x, const struct kernel_state *routers)
{
	bool broken = false;

	vec_each (p, &x->posts) {
		char path[PATH_MAX];

		post_look(p, x->dp, routers);
		attach_pins(x->settings->bpffs, p->router, path);
		watch_pins(x->watch, path, p->router);
		broken |= p->state == POST_BROKEN;
	}
	if (!broken)
		x->mended_by = 0;
}

void elector_stop_post(struct elector *x, struct seat *seat, const char *why)
{
	struct post *p = POST(x->started, seat->tenant);
	struct error err = { 0 };

	if (p && post_stop(p, x->dp, &err))
		elector_log_trouble(x, seat->tenant, &err);
	log_about(LOG_NOTICE, seat->tenant, "standby",
		  "tenant %s: this host is not active any more: %s", seat->tenant, why);
	election_stopped(seat);
	if (!p)
		return;
	post_clear(p);
	*p = x->started.v[--x->started.n];
}

/* Who may be elected, by what was looked at; what is active is to be so as it is now. */
static void set_seats(struct elector *x)
{
	vec_each (p, &x->posts)
		election_seat(&x->e, p->tenant);
	vec_each (s, &x->e.seats) {
		const struct post *p = POST(x->posts, s->tenant);
		const struct post *was = POST(x->started, s->tenant);

		s->defined = p;
		s->wanted = p && is_in_order(x, p);
		if (s->active && s->wanted && !(was && post_same(was, p)))
			elector_stop_post(x, s, "it is another interface or address now");
		/* the maps may be others than before */
		s->until = 0;
	}
	election_tidy(&x->e);
}

static int look(struct elector *x, struct error *err)
{
	_cleanup_(kernel_state_free) struct kernel_state routers = { 0 };
	_cleanup_model_ struct model m = { 0 };
	int ret = read_definitions(x, &m, err);

	x->look_at = clock_ms() + LOOK_ANYWAY;
	if (ret < 0)
		return -1;
	if (ret > 0) {
		set_posts(x, &m);
		if (watch_candidates(x, &m))
			x->look_at = clock_ms() + LOOK;
	}
	dataplane_close(x->dp);
	x->dp = NULL;
	if (dataplane_open(x->settings->bpffs, &x->dp, err) ||
	    (x->dp && dataplane_read_routers(x->dp, &routers, err)))
		return -1;
	look_at_posts(x, &routers);
	set_seats(x);
	return 0;
}

/* What cannot be looked at is not in order. */
void elector_look_around(struct elector *x)
{
	struct error err = { 0 };

	if (clock_ms() < x->look_at)
		return;
	if (look(x, &err) == 0)
		return;
	elector_log_trouble(x, NULL, &err);
	x->look_at = clock_ms() + MENDED_IN;
	vec_each (s, &x->e.seats)
		s->wanted = false;
}
