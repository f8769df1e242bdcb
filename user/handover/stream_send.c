// SPDX-License-Identifier: GPL-2.0-only
/* To the hosts where a router is a standby. */
#include <gnutls/crypto.h>

#include "handover/stream_internal.h"
#include "handover/stream_line.h"
#include "lib/clock.h"
#include "lib/log.h"

_Static_assert(NAMED_FLOW_LINE <= LINK_LINE, "a flow is a line");

/* Milliseconds: after a failure, and at most; and until a connection has to be there. */
enum { BACK_OFF = 1000, BACK_OFF_MAX = 30000, OPEN_IN = 5000 };

/* ------------------------------------------------------------ connections */

static struct outgoing *find(struct stream *s, const char *name)
{
	vec_each (o, &s->out) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static void forget_told(struct outgoing *o)
{
	vec_each (t, &o->told)
		delta_free(&t->delta);
	vec_free(&o->told);
}

static void close_out(struct outgoing *o)
{
	link_close(o->link);
	o->link = NULL;
	forget_told(o);
}

static void fail(struct outgoing *o, const struct error *why)
{
	close_out(o);
	if (!o->failed)
		log_warning("flows: host %s: %s; it is tried again", o->name, why->text);
	o->failed = true;
	o->again = clock_ms() + o->pause / 2 + (uint64_t)random() % (o->pause / 2);
	o->pause = o->pause * 2 < BACK_OFF_MAX ? o->pause * 2 : BACK_OFF_MAX;
}

static void want(struct stream *s, const char *name)
{
	struct outgoing *o = find(s, name);

	if (!o) {
		o = vec_push(&s->out);
		snprintf(o->name, sizeof(o->name), "%s", name);
		o->pause = BACK_OFF;
	}
	o->wanted = true;
}

static void begin(struct stream *s, struct outgoing *o)
{
	const struct peer *peer = peers_find(&s->peers, o->name);
	struct error why = { 0 };

	if (!peer) {
		error_set(&why, "it does not say where it takes flows");
	} else {
		o->link = link_connect(&s->peers, peer, &why);
		if (o->link)
			return;
	}
	fail(o, &why);
}

static bool is_told(const struct shared_router *r)
{
	return r->row && (!r->standby || r->farewell);
}

/* One to each host that has a router which is active here, and none to others. */
static void connect_all(struct stream *s)
{
	size_t n = 0;

	vec_each (o, &s->out)
		o->wanted = false;
	vec_each (r, &s->routers) {
		if (!is_told(r))
			continue;
		vec_each (host, &r->tenant->router->hosts) {
			if (strcmp(*host, s->peers.host) != 0)
				want(s, *host);
		}
	}
	vec_each (o, &s->out) {
		if (o->wanted)
			s->out.v[n++] = *o;
		else
			close_out(o);
	}
	s->out.n = n;
	vec_each (o, &s->out) {
		struct error why = { 0 };

		if (!o->link && !clock_left(o->again)) {
			begin(s, o);
		} else if (o->link && !link_is_open(o->link) &&
			   !clock_left(link_begun(o->link) + OPEN_IN)) {
			error_set(&why, "it does not answer");
			fail(o, &why);
		}
	}
}

/* ------------------------------------------------------------ what it is told */

static struct told_router *told_of(struct outgoing *o, const char *tenant)
{
	struct told_router *t;

	vec_each (one, &o->told) {
		if (strcmp(one->tenant, tenant) == 0)
			return one;
	}
	t = vec_push(&o->told);
	snprintf(t->tenant, sizeof(t->tenant), "%s", tenant);
	if (gnutls_rnd(GNUTLS_RND_NONCE, &t->delta.seed, sizeof(t->delta.seed)) < 0)
		abort();
	return t;
}

static size_t room_of(const struct outgoing *o)
{
	size_t used = (size_t)ftell(o->text);
	size_t flows = used < STREAM_BYTES ? (STREAM_BYTES - used) / NAMED_FLOW_LINE : 0;

	return flows < STREAM_FLOWS ? flows : STREAM_FLOWS;
}

/* How many flows there are yet to be told; *nothing: none had to be told. */
static size_t tell(struct stream *s, struct outgoing *o, const struct shared_router *r,
		   const struct flows *open, uint32_t now, bool *nothing)
{
	struct told_router *told = told_of(o, r->tenant->name);
	struct streamed_router *said = stream_said(s, r);
	_cleanup_chosen_ struct chosen chosen;
	struct error ignored = { 0 };

	told->is_active = true;
	delta_choose(&told->delta, open->list.v, open->list.n, now, room_of(o), &chosen);
	vec_each (i, &chosen.list) {
		struct named_flow named;

		if (!flow_name(&s->by_id, r->tenant, &open->list.v[*i], now, &named))
			continue;
		named_flow_write(&named, o->text, &ignored);
		said->sent++;
	}
	stream_line_beat(r->tenant->name, chosen.left, o->text);
	*nothing = !chosen.list.n && !chosen.left;
	return chosen.left;
}

/* A host that cannot be told now has not all of them, for all that is known. */
static void tell_all_of(struct stream *s, struct shared_router *r)
{
	struct streamed_router *said = stream_said(s, r);
	_cleanup_flows_ struct flows open = { 0 };
	uint32_t now = flows_now();

	if (!is_told(r))
		return;
	r->untold = true;
	if (dataplane_flows(s->view.dp, r->row->id, &open))
		return;
	said->unsent = 0;
	r->untold = false;
	vec_each (o, &s->out) {
		bool nothing = false;
		size_t left;

		if (!stream_has_host(r, o->name))
			continue;
		if (o->text) {
			left = tell(s, o, r, &open, now, &nothing);
			said->unsent = left > said->unsent ? left : said->unsent;
		}
		r->untold |= !nothing;
	}
}

static void end_farewells(struct stream *s)
{
	vec_each (r, &s->routers) {
		if (r->farewell && (!r->untold || !clock_left(r->farewell)))
			r->farewell = 0;
	}
}

/* What it knew of a router that is active here no more, it is told anew. */
static void forget_passive(struct outgoing *o)
{
	size_t n = 0;

	vec_each (t, &o->told) {
		if (t->is_active)
			o->told.v[n++] = *t;
		else
			delta_free(&t->delta);
	}
	o->told.n = n;
}

void stream_send(struct stream *s)
{
	if (!s->peers.host)
		return;
	connect_all(s);
	vec_each (o, &s->out) {
		vec_each (t, &o->told)
			t->is_active = false;
		/* who has not taken all of the last round gets no more */
		if (o->link && link_is_open(o->link) && link_is_idle(o->link))
			o->text = open_memstream(&o->v, &o->size);
	}
	/* when not all can be told, all have their turn */
	for (size_t i = 0; i < s->routers.n; i++)
		tell_all_of(s, &s->routers.v[(s->turn + i) % s->routers.n]);
	s->turn++;
	end_farewells(s);
	vec_each (o, &s->out) {
		if (!o->text)
			continue;
		fclose(o->text);
		o->text = NULL;
		forget_passive(o);
		link_send(o->link, o->v, o->size);
		stream_run_out(s, o, 0);
	}
}

/* ------------------------------------------------------------ what it says */

/* link_take */
static int hear(void *arg, char *text, struct error *err)
{
	struct outgoing *o = arg;
	struct stream_line line;

	if (stream_line_parse(text, &line, err) || line.kind != LINE_AGAIN)
		return error_set(err, "it says what is not expected");
	vec_each (t, &o->told) {
		if (strcmp(t->tenant, line.tenant) == 0)
			delta_free(&t->delta);
	}
	return 0;
}

void stream_run_out(struct stream *s, struct outgoing *o, short events)
{
	struct error why = { 0 };
	bool was_open;

	(void)s;
	if (!o->link)
		return;
	was_open = link_is_open(o->link);
	if (link_run(o->link, events, hear, o, &why)) {
		fail(o, &why);
		return;
	}
	if (was_open || !link_is_open(o->link))
		return;
	if (o->failed)
		log_notice("flows: host %s takes them again", o->name);
	o->failed = false;
	o->pause = BACK_OFF;
}

void stream_end_out(struct stream *s)
{
	vec_each (o, &s->out)
		close_out(o);
	vec_free(&s->out);
}
