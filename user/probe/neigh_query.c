/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/neigh_query.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/interrupt.h"
#include "probe/packet.h"

/* More than fit into the socket's queue. */
#define LATE_MAX 10000
/* So many are sent before what has come meanwhile is read: the queue holds a few thousand. */
#define SEND_BATCH 1024

int neigh_queries_open(struct neigh_queries *a, uint32_t ifindex, const uint8_t mac[6],
		       struct error *err)
{
	*a = NEIGH_QUERIES_NONE;
	memcpy(a->mac, mac, sizeof(a->mac));
	a->fd = packet_neighbours(ifindex, err);
	return a->fd < 0 ? -1 : 0;
}

void neigh_queries_free(struct neigh_queries *a)
{
	close_cleanup(&a->fd);
	vec_free(&a->list);
	*a = NEIGH_QUERIES_NONE;
}

struct unanswered {
	const uint8_t *mac;
	VEC(const struct neigh_query *) list;
	size_t from; /* the first of this batch */
};

static size_t make(const void *from, size_t i, uint8_t out[FRAME_ROOM])
{
	const struct unanswered *of = from;

	const struct neigh_query *query = of->list.v[of->from + i];

	return frame_ask(out, &query->target, &query->sender, of->mac);
}

static void take(struct neigh_queries *a, const struct claim *claim)
{
	if (memcmp(claim->mac, a->mac, sizeof(a->mac)) == 0)
		return;
	vec_each (query, &a->list) {
		struct neigh_query *one = &a->list.v[query - a->list.v];

		if (addr_cmp(&one->target, &claim->addr) != 0 ||
		    (claim->tentative && !addr_is_unset(&one->sender)))
			continue;
		one->answered = true;
		memcpy(one->mac, claim->mac, sizeof(one->mac));
	}
}

static bool all_answered(const struct neigh_queries *a)
{
	vec_each (query, &a->list) {
		if (!query->answered)
			return false;
	}
	return true;
}

/* 1: look again; 0: nothing came. That it could not be waited is no answer, neither way. */
static int wait_for(const struct neigh_queries *a, int ms, struct error *err)
{
	int ret;

	if (interrupt_check(err))
		return -1;
	ret = poll(&(struct pollfd){ .fd = a->fd, .events = POLLIN }, 1, ms);

	if (ret < 0 && errno == EINTR)
		return ms > 0;
	if (ret < 0)
		return error_set(err, "cannot wait for answers of neighbours: %s", strerror(errno));
	return ret != 0;
}

/* What waits at the end is read still, but not what goes on coming. */
int neigh_queries_collect(struct neigh_queries *a, unsigned int ms, struct error *err)
{
	uint64_t end = clock_ms() + ms;
	uint8_t frame[256];
	struct claim claim;
	size_t n, late = 0;
	int more;

	while (late < LATE_MAX) {
		n = packet_receive(a->fd, frame, sizeof(frame));
		if (n && frame_claim(frame, n, &claim))
			take(a, &claim);
		more = n ? 1 : all_answered(a) ? 0 : wait_for(a, clock_left(end), err);
		if (more <= 0)
			return more;
		late += !clock_left(end);
	}
	return 0;
}

int neigh_queries_send(struct neigh_queries *a, struct error *err)
{
	struct unanswered of = { .mac = a->mac };
	int ret = 0;

	vec_each (query, &a->list) {
		if (!query->answered)
			*vec_push(&of.list) = query;
	}
	for (; of.from < of.list.n && !ret; of.from += SEND_BATCH) {
		size_t left = of.list.n - of.from;

		if (of.from)
			ret = neigh_queries_collect(a, 1000 * PACKET_BATCH / PACKET_RATE, err);
		if (!ret)
			ret = packet_send(a->fd, make, &of, left < SEND_BATCH ? left : SEND_BATCH,
					  err);
	}
	vec_free(&of.list);
	return ret;
}
