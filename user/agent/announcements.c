/* SPDX-License-Identifier: GPL-2.0-only */
/* Telling the shared network where addresses are, of routers that joined, moved or came up. */
#include "agent/agent_parts.h"
#include "host/netns.h"
#include "lib/log.h"
#include "probe/announce.h"

/*
 * A switch's port may not forward yet when an interface comes up, so all is said again, after so
 * many milliseconds.
 */
static const int again_after[] = { 0, 1000, 4000 };

void agent_drop_news(struct agent *a, struct bulletin *news)
{
	vec_free(&news->addrs.list);
	*news = a->news.v[--a->news.n];
}

void agent_push_news(struct agent *a, const struct kernel_state *have, const struct router_row *r,
		     bool own)
{
	struct bulletin *news;

	/* what is said of a router is never what was so before */
	for (size_t i = a->news.n; i-- > 0;) {
		if (a->news.v[i].router.id == r->id && a->news.v[i].own == own)
			agent_drop_news(a, &a->news.v[i]);
	}
	news = vec_push(&a->news);
	news->router = *r;
	news->router.netns = NULL;
	news->own = own;
	news->begun = now_ms();
	kernel_state_addrs(have, r->id, own, &news->addrs);
}

static int64_t due_of(const struct bulletin *news)
{
	return news->begun + again_after[news->times];
}

/* When there is something to be announced. */
int64_t agent_news_due(const struct agent *a)
{
	int64_t due = INT64_MAX;

	vec_each (news, &a->news) {
		if (due_of(news) < due)
			due = due_of(news);
	}
	return due;
}

/* The next few. A router that has gone meanwhile needs none. */
void agent_announce_some(struct agent *a)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct bulletin *news = a->news.v;
	const struct router_row *r;
	char name[IF_NAMESIZE];
	struct error err = { 0 };
	size_t count, told = 0;

	while (due_of(news) > now_ms())
		news++;
	r = &news->router;
	count = news->addrs.list.n - news->told;
	if (count > ANNOUNCE_SLICE)
		count = ANNOUNCE_SLICE;
	if (netns_enter_id(NULL, r->netns_dev, r->netns_ino, &ns) == 0 &&
	    if_indextoname(r->ifindex, name) &&
	    announce(r->ifindex, r->mac, news->own, news->addrs.list.v + news->told, count, &told,
		     &err))
		log_warning("tenant %s: %s", r->tenant, err.text);
	news->told += told;
	if (news->told == news->addrs.list.n) {
		news->told = 0;
		news->times++;
	}
	if (news->times == ARRAY_SIZE(again_after) || !told)
		agent_drop_news(a, news);
}
