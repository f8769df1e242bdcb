// SPDX-License-Identifier: GPL-2.0-only
/* From the host where a router is active. */
#include <sys/socket.h>

#include "dataplane/standby.h"
#include "handover/stream_internal.h"
#include "handover/stream_line.h"
#include "lib/clock.h"
#include "lib/log.h"

/* Milliseconds: for a stranger to say who it is; and that a host may be silent. */
enum { KNOWN_IN = 5000, SILENT = 60000 };
/* Strangers at a time; connections that are accepted at once; and those that there can be. */
enum { STRANGERS = 16, AT_ONCE = 16 };
/* Lines of one host in a second: more are read in the next. */
enum { LINES = 4 * STREAM_FLOWS };
/* Milliseconds between two complaints about who is refused. */
enum { COMPLAIN = 60000 };
/* Routers of one host that flows were lost of. */
enum { LOST_MAX = TN_ROUTERS_MAX };

/* ------------------------------------------------------------ connections */

static void end(struct incoming *in)
{
	link_close(in->link);
	in->link = NULL;
}

static void refuse(struct stream *s, struct incoming *in, const struct error *why)
{
	s->said.refused++;
	if (!clock_left(s->complained + COMPLAIN) || !s->complained) {
		log_warning("flows: a connection%s%s is refused: %s",
			    *link_peer(in->link) ? " of host " : "", link_peer(in->link),
			    why->text);
		s->complained = clock_ms();
	}
	end(in);
}

void stream_sweep_in(struct stream *s)
{
	size_t n = 0;

	vec_each (in, &s->in) {
		if ((*in)->link) {
			s->in.v[n++] = *in;
			continue;
		}
		vec_free(&(*in)->lost);
		free(*in);
	}
	s->in.n = n;
}

void stream_end_in(struct stream *s)
{
	vec_each (in, &s->in)
		end(*in);
	stream_sweep_in(s);
	vec_free(&s->in);
	vec_free(&s->taken);
}

/* Of those that have not said who they are, the oldest makes room. */
static void make_room(struct stream *s)
{
	struct incoming *oldest = NULL;
	struct error why = { 0 };
	size_t n = 0;

	vec_each (in, &s->in) {
		if (!(*in)->link || link_is_open((*in)->link))
			continue;
		oldest = oldest ?: *in;
		n++;
	}
	if (n <= STRANGERS)
		return;
	error_set(&why, "too many connections do not say who they are");
	refuse(s, oldest, &why);
}

void stream_accept(struct stream *s)
{
	for (int i = 0; i < AT_ONCE; i++) {
		struct error why = { 0 };
		struct link *link;
		struct incoming *in;
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		link = link_accept(fd, &s->peers, &why);
		if (!link) {
			stream_trouble(s, why.text);
			continue;
		}
		in = *vec_push(&s->in) = xzalloc(sizeof(*in));
		in->stream = s;
		in->link = link;
		make_room(s);
	}
}

/* The one that has come last is the host's. */
static void supersede(struct stream *s, const struct incoming *by)
{
	vec_each (in, &s->in) {
		if (*in != by && (*in)->link && link_is_open((*in)->link) &&
		    strcmp(link_peer((*in)->link), link_peer(by->link)) == 0)
			end(*in);
	}
}

/* ------------------------------------------------------------ lines */

static int lose(struct incoming *in, const char *tenant, bool later, struct error *err)
{
	struct lost *l;

	vec_each (one, &in->lost) {
		if (strcmp(one->tenant, tenant) == 0) {
			one->later &= later;
			return 0;
		}
	}
	if (in->lost.n == LOST_MAX)
		return error_set(err, "it speaks of too many routers that are not here");
	l = vec_push(&in->lost);
	snprintf(l->tenant, sizeof(l->tenant), "%s", tenant);
	l->later = later;
	return 0;
}

static void take_beat(struct stream *s, const struct shared_router *r, const struct incoming *in,
		      const struct stream_line *line)
{
	struct streamed_router *said = stream_said(s, r);
	const char *from = link_peer(in->link);

	if (strcmp(said->from, from) != 0 || !said->heard) {
		log_about(LOG_NOTICE, r->tenant->name, "flows",
			  "tenant %s: its flows come from host %s", r->tenant->name, from);
		s->said_changed = true;
	}
	snprintf(said->from, sizeof(said->from), "%s", from);
	said->heard = clock_ms();
	said->unsent = line->unsent;
}

/* link_take */
static int take(void *arg, char *text, struct error *err)
{
	struct incoming *in = arg;
	struct stream *s = in->stream;
	const struct shared_router *r;
	struct stream_line line;
	struct taken taken;

	in->lines++;
	if (stream_line_parse(text, &line, err) || line.kind == LINE_AGAIN)
		return error_set(err, "it says what is not expected");
	r = stream_router(s, line.tenant);
	/* the definitions may be known there and not yet here */
	if (!r || !r->row || !stream_has_host(r, link_peer(in->link)))
		return lose(in, line.tenant, false, err);
	if (line.kind == LINE_BEAT) {
		if (r->standby)
			take_beat(s, r, in, &line);
		return 0;
	}
	if (flow_find(&s->view, &line.flow, flows_now(), &taken) != FLOWS_LEFT_OUT_COUNT)
		return lose(in, line.tenant, true, err);
	*vec_push(&s->taken) = taken;
	stream_said(s, r)->received++;
	return 0;
}

static const struct router_row *row_of(const struct stream *s, uint32_t router)
{
	vec_each (r, &s->routers) {
		if (r->row && r->row->id == router)
			return r->row;
	}
	return NULL;
}

/*
 * Whether it is a standby is asked anew: that may have changed since the last second. Of one that
 * has just become active the host before may have more to tell; what is known here already stays.
 */
static void put(struct stream *s, uint32_t router, const struct flows *flows)
{
	const struct kernel_state *k = &s->view.kernel;
	const struct router_row *row = row_of(s, router);
	struct error why = { 0 };
	int ret;

	if (!row)
		return;
	ret = standby_now(s->view.dp, row, k->subnets.v, k->subnets.n)
		      ? dataplane_mirror_flows(s->view.dp, router, flows->list.v, flows->list.n,
					       &why)
		      : dataplane_put_flows(s->view.dp, router, flows->list.v, flows->list.n, &why);
	if (ret)
		stream_trouble(s, why.text);
}

/* In the order in which they have come: what is said twice, was said last. */
static void put_all(struct stream *s)
{
	_cleanup_flows_ struct flows flows = { 0 };

	for (size_t i = 0; i < s->taken.n; i++) {
		const struct taken *taken = &s->taken.v[i];

		*vec_push(&flows.list) = taken->flow;
		if (i + 1 < s->taken.n && taken[1].router == taken->router)
			continue;
		put(s, taken->router, &flows);
		flows.list.n = 0;
	}
	s->taken.n = 0;
}

/* Who has said too much in this second is not heard until the next. */
struct pollfd stream_poll_in(const struct incoming *in)
{
	return in->lines < LINES ? link_poll(in->link) : (struct pollfd){ .fd = -1 };
}

void stream_run_in(struct stream *s, struct incoming *in, short events)
{
	struct error why = { 0 };
	bool was_open;
	int ret;

	/* another of the same host may have come meanwhile */
	if (!in->link || in->lines >= LINES)
		return;
	was_open = link_is_open(in->link);
	ret = link_run(in->link, events, take, in, &why);
	put_all(s);
	if (!was_open && link_is_open(in->link))
		supersede(s, in);
	if (ret && link_is_open(in->link) && link_has_ended(in->link))
		end(in);
	else if (ret)
		refuse(s, in, &why);
}

/* ------------------------------------------------------------ once a second */

void stream_lose(struct stream *s, const struct shared_router *r)
{
	struct error ignored = { 0 };

	vec_each (in, &s->in) {
		if ((*in)->link && link_is_open((*in)->link) &&
		    stream_has_host(r, link_peer((*in)->link)))
			lose(*in, r->tenant->name, false, &ignored);
	}
}

static bool can_take(struct stream *s, const struct lost *l, const struct incoming *in)
{
	const struct shared_router *r = stream_router(s, l->tenant);

	return !l->later && r && r->row && stream_has_host(r, link_peer(in->link));
}

static void ask_again(struct stream *s, struct incoming *in)
{
	size_t n = 0, size;
	char *text = NULL;
	FILE *to;

	if (!in->lost.n || !link_is_idle(in->link))
		return;
	to = open_memstream(&text, &size);
	if (!to)
		abort();
	vec_each (l, &in->lost) {
		if (can_take(s, l, in))
			stream_line_again(l->tenant, to);
		else
			in->lost.v[n++] = *l;
	}
	in->lost.n = n;
	fclose(to);
	link_send(in->link, text, size);
	stream_run_in(s, in, 0);
}

void stream_look_after_in(struct stream *s, bool changed)
{
	vec_each (in, &s->in) {
		struct error why = { 0 };

		(*in)->lines = 0;
		if (!(*in)->link)
			continue;
		if (!link_is_open((*in)->link)) {
			if (!clock_left(link_begun((*in)->link) + KNOWN_IN)) {
				error_set(&why, "it does not say who it is");
				refuse(s, *in, &why);
			}
			continue;
		}
		if (!clock_left(link_heard((*in)->link) + SILENT)) {
			end(*in);
			continue;
		}
		vec_each (l, &(*in)->lost)
			l->later &= !changed;
		ask_again(s, *in);
	}
}
