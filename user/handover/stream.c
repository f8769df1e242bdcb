// SPDX-License-Identifier: GPL-2.0-only
#include "handover/stream.h"

#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "dataplane/standby.h"
#include "handover/stream_internal.h"
#include "lib/clock.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "store/member.h"

/* Milliseconds from one round to the next; and at most one part in so many of the time. */
enum { ROUND = 1000, ROUND_SHARE = 10 };
/* What nobody reports, as routers that were attached anew, is looked at so often. */
enum { LOOK = 5000 };
/* When an address comes or goes, a round begins; but so long after the last one at the least. */
enum { SOON = 50 };
/* A new standby tells for so long what is untold: hosts may have to be reached first. */
enum { FAREWELL = 15000 };

/* ------------------------------------------------------------ what there is */

struct shared_router *stream_router(struct stream *s, const char *tenant)
{
	size_t low = 0, high = s->routers.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(s->routers.v[mid].tenant->name, tenant);

		if (order == 0)
			return &s->routers.v[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

struct streamed_router *stream_said(struct stream *s, const struct shared_router *r)
{
	return &s->said.list.v[r - s->routers.v];
}

bool stream_has_host(const struct shared_router *r, const char *host)
{
	vec_each (one, &r->tenant->router->hosts) {
		if (strcmp(*one, host) == 0)
			return true;
	}
	return false;
}

void stream_trouble(struct stream *s, const char *text)
{
	if (strcmp(s->trouble, text) == 0)
		return;
	snprintf(s->trouble, sizeof(s->trouble), "%s", text);
	log_warning("flows: %s", text);
}

static bool is_shared(const struct tenant *t)
{
	return t->router && !t->router->detached && t->router->hosts.n > 1 &&
	       t->router->active != ACTIVE_ALWAYS;
}

/* The routers that count, with what was known of them before. */
static void list_routers(struct stream *s)
{
	__typeof__(s->routers) routers = s->routers;
	__typeof__(s->said.list) list = s->said.list;

	memset(&s->routers, 0, sizeof(s->routers));
	memset(&s->said.list, 0, sizeof(s->said.list));
	vec_each (t, &s->view.model.tenants) {
		struct streamed_router *said;
		struct shared_router *r;

		if (!is_shared(t))
			continue;
		r = vec_push(&s->routers);
		said = vec_push(&s->said.list);
		snprintf(said->tenant, sizeof(said->tenant), "%s", t->name);
		/* both lists have the same order */
		for (size_t i = 0; i < list.n; i++) {
			if (strcmp(list.v[i].tenant, t->name) == 0) {
				*said = list.v[i];
				*r = routers.v[i];
			}
		}
		r->tenant = t;
		r->row = NULL;
	}
	vec_free(&routers);
	vec_free(&list);
	s->said_changed = true;
}

/* ------------------------------------------------------------ reading it */

enum { STATE, STATE_LOG, PEERS };

/* Whether the file is another than it was. */
static bool has_changed(struct stream *s, int which, const char *name)
{
	struct stat now = { 0 }, *was = &s->files[which];
	char path[PATH_MAX];
	bool changed;

	snprintf(path, sizeof(path), "%s/%s", s->settings->state, name);
	if (stat(path, &now))
		memset(&now, 0, sizeof(now));
	changed = now.st_ino != was->st_ino || now.st_size != was->st_size ||
		  now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
		  now.st_mtim.tv_nsec != was->st_mtim.tv_nsec;
	*was = now;
	return changed;
}

/* 1: this host is in no cluster. */
static int read_definitions(struct stream *s, struct error *err)
{
	_cleanup_membership_ struct membership m = { 0 };
	_cleanup_store_ struct store *store = NULL;
	struct model model;
	int ret;

	if (store_open(s->settings->state, STORE_READ, 0, s->settings->command, &store, err))
		return -1;
	ret = store_membership(store, &m, err);
	if (ret == 0)
		return 1;
	if (ret < 0 || store_load(store, &model, err))
		return -1;
	/* the rows of routers borrow of it */
	kernel_state_free(&s->view.kernel);
	tenants_by_id_free(&s->by_id);
	model_free(&s->view.model);
	s->view.model = model;
	tenants_by_id(&s->view.model, &s->by_id);
	list_routers(s);
	malloc_trim(0);
	return 0;
}

/* What cannot be read now is tried again; until then all is as it was. */
static int see_definitions(struct stream *s, struct error *err)
{
	struct error why = { 0 };
	int ret = read_definitions(s, &why);

	if (ret > 0) {
		streamed_forget(s->settings->state);
		return error_set(err,
				 "this host is in no cluster; `tenantnat cluster join` joins one");
	}
	if (ret < 0) {
		stream_trouble(s, why.text);
		memset(&s->files[STATE], 0, sizeof(s->files[STATE]));
	}
	return 0;
}

/* Another map is an empty one. */
static void see_map(struct stream *s, struct shared_router *r)
{
	struct stat st = { 0 };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/routers/%u/flows", s->settings->bpffs, r->row->id);
	if (stat(path, &st))
		return;
	if (r->ino && (r->ino != st.st_ino || r->ctime != (uint64_t)st.st_ctim.tv_sec))
		stream_lose(s, r);
	r->ino = st.st_ino;
	r->ctime = (uint64_t)st.st_ctim.tv_sec;
}

static void read_routers(struct stream *s, struct error *err)
{
	struct dataplane *dp = NULL;
	struct kernel_state now = { 0 };

	kernel_state_free(&s->view.kernel);
	dataplane_close(s->view.dp);
	s->view.dp = NULL;
	vec_each (r, &s->routers)
		r->row = NULL;
	if (!s->routers.n || dataplane_open(s->settings->bpffs, &dp, err) || !dp)
		return;
	s->view.dp = dp;
	if (dataplane_read_routers(dp, &now, err))
		return;
	s->view.kernel = now;
	vec_each (row, &s->view.kernel.routers) {
		struct shared_router *r = stream_router(s, row->tenant);

		if (!r || !row->by_address)
			continue;
		row->netns = r->tenant->router->netns;
		r->row = row;
		see_map(s, r);
	}
}

static void end_links(struct stream *s)
{
	stream_end_in(s);
	stream_end_out(s);
	close_cleanup(&s->listener);
	s->listener = -1;
}

/* Whoever was known by the key of before is to show that they have the new one. */
static void read_peers(struct stream *s)
{
	struct error why = { 0 };

	end_links(s);
	peers_free(&s->peers);
	if (peers_read(s->settings->state, &s->peers, &why) < 0)
		stream_trouble(s, why.text);
}

/* Of all namespaces that this one has given a number to, as the agent's watch does. */
static int open_events(void)
{
	static const int groups[] = { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), on = 1;

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0 &&
	    setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
			setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
				   sizeof(groups[i]));
		return fd;
	}
	close(fd);
	return -1;
}

/* An address has come or gone, perhaps one that makes a router active: then a round is due. */
static void read_events(struct stream *s)
{
	static char data[1 << 13];
	uint64_t soon = s->begun + SOON;

	while (recv(s->events, data, sizeof(data), 0) > 0 || errno == ENOBUFS || errno == EINTR)
		;
	if (soon < s->round)
		s->round = soon;
}

static void begin_listening(struct stream *s)
{
	struct error why = { 0 };

	if (s->listener >= 0 || !s->peers.listen || !s->routers.n)
		return;
	s->listener = link_listen(s->peers.listen, &why);
	if (s->listener < 0)
		stream_trouble(s, why.text);
}

/* 1: the definitions are others than before. */
static int look(struct stream *s, struct error *err)
{
	struct error why = { 0 };
	bool changed = has_changed(s, STATE, "state.db");

	changed |= has_changed(s, STATE_LOG, "state.db-wal");
	if (changed && see_definitions(s, err))
		return -1;
	if (changed || !clock_left(s->looked + LOOK)) {
		read_routers(s, &why);
		if (why.set)
			stream_trouble(s, why.text);
		s->looked = clock_ms();
	}
	if (has_changed(s, PEERS, "peers"))
		read_peers(s);
	begin_listening(s);
	return changed;
}

/* ------------------------------------------------------------ who is active */

static void judge_silence(struct stream *s, struct shared_router *r)
{
	const struct streamed_router *said = stream_said(s, r);
	uint64_t since = said->heard > said->waits ? said->heard : said->waits;
	bool silent = r->standby && !clock_left(since + STREAMED_SILENT);

	if (silent && !r->warned)
		log_about(LOG_WARNING, r->tenant->name, "flows-missing",
			  "tenant %s: its router is a standby here, and no flows have come from "
			  "another host for %d seconds: those of before this are lost when it "
			  "becomes active",
			  r->tenant->name, STREAMED_SILENT / 1000);
	if (!silent && r->warned && r->standby)
		log_about(LOG_NOTICE, r->tenant->name, "flows", "tenant %s: its flows come again",
			  r->tenant->name);
	s->said_changed |= silent != r->warned;
	r->warned = silent;
}

static void see_who_is_active(struct stream *s)
{
	const struct kernel_state *k = &s->view.kernel;

	vec_each (r, &s->routers) {
		struct streamed_router *said = stream_said(s, r);
		bool standby =
			r->row && standby_now(s->view.dp, r->row, k->subnets.v, k->subnets.n);

		if (standby && (!r->standby || !said->waits))
			said->waits = clock_ms();
		s->said_changed |= standby != said->standby;
		r->standby = said->standby = standby;
		if (!standby)
			r->farewell = 0;
		else if (r->active)
			r->farewell = clock_ms() + FAREWELL;
		r->active = r->row && !standby;
		if (!standby)
			said->heard = said->waits = 0;
		judge_silence(s, r);
	}
}

static void write_said(struct stream *s)
{
	struct error ignored = { 0 };

	if (!s->said_changed && clock_left(s->written + STREAMED_PAUSE))
		return;
	s->said.at = s->written = clock_ms();
	s->said_changed = false;
	streamed_write(s->settings->state, &s->said, &ignored);
}

/* ------------------------------------------------------------ the loop */

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool says_farewell(const struct stream *s)
{
	vec_each (r, &s->routers) {
		if (r->farewell && clock_left(r->farewell))
			return true;
	}
	return false;
}

static int do_round(struct stream *s, struct error *err)
{
	uint64_t begun = clock_ms(), before = cpu_ms(), took;
	int ret = look(s, err);

	if (ret < 0)
		return -1;
	see_who_is_active(s);
	stream_look_after_in(s, ret);
	stream_send(s);
	write_said(s);
	took = (cpu_ms() - before) * ROUND_SHARE;
	s->begun = begun;
	s->round = begun + (took > ROUND ? took : ROUND);
	if (says_farewell(s) && took < ROUND)
		s->round = begun + (took > SOON ? took : SOON);
	return 0;
}

/* What is waited for besides connections. */
enum { OWN = 4 };

struct waiting {
	VEC(struct pollfd) list;
};

static struct pollfd *add(struct waiting *w, int fd, short events)
{
	struct pollfd *p = vec_push(&w->list);

	*p = (struct pollfd){ .fd = fd, .events = events };
	return p;
}

/* Whoever reads stdout is gone; a file has no end. */
static bool wait_and_run(struct stream *s)
{
	struct waiting w = { 0 };
	struct pollfd *at;
	size_t n;
	bool over;

	stream_sweep_in(s);
	n = s->in.n;
	add(&w, interrupt_fd(), POLLIN);
	add(&w, STDOUT_FILENO, 0);
	add(&w, s->listener, POLLIN);
	add(&w, s->events, POLLIN);
	vec_each (in, &s->in)
		*vec_push(&w.list) = stream_poll_in(*in);
	vec_each (o, &s->out)
		*vec_push(&w.list) = o->link ? link_poll(o->link) : (struct pollfd){ .fd = -1 };
	poll(w.list.v, w.list.n, clock_left(s->round));
	over = interrupt_is_noted() || (w.list.v[1].revents & (POLLERR | POLLNVAL));
	at = w.list.v + OWN;
	for (size_t i = 0; i < n; i++, at++) {
		if (at->revents)
			stream_run_in(s, s->in.v[i], at->revents);
	}
	vec_each (o, &s->out) {
		if (at->revents)
			stream_run_out(s, o, at->revents);
		at++;
	}
	if (w.list.v[2].revents)
		stream_accept(s);
	if (w.list.v[3].revents)
		read_events(s);
	vec_free(&w.list);
	return over;
}

static void stream_cleanup(struct stream *s)
{
	end_links(s);
	close_cleanup(&s->events);
	peers_free(&s->peers);
	tenants_by_id_free(&s->by_id);
	vec_free(&s->routers);
	streamed_free(&s->said);
	view_free(&s->view);
}

int stream_run(const struct settings *settings, struct error *err)
{
	_cleanup_(stream_cleanup) struct stream s = { .settings = settings,
						      .listener = -1,
						      .events = open_events() };

	srandom((unsigned int)getpid() ^ (unsigned int)time(NULL));
	interrupt_catch();
	do {
		if (!clock_left(s.round) && do_round(&s, err))
			return -1;
	} while (!wait_and_run(&s));
	return 0;
}
