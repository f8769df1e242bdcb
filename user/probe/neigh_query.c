/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/neigh_query.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/clock.h"
#include "probe/packet.h"

/* More than fit into the socket's queue. */
#define LATE_MAX 10000
/* So many are sent before what has come meanwhile is read: the queue holds a few thousand. */
#define SEND_BATCH 1024

int asks_open(struct asks *a, uint32_t ifindex, const uint8_t mac[6], struct error *err)
{
	*a = ASKS_NONE;
	memcpy(a->mac, mac, sizeof(a->mac));
	a->fd = packet_neighbours(ifindex, err);
	return a->fd < 0 ? -1 : 0;
}

void asks_free(struct asks *a)
{
	close_cleanup(&a->fd);
	vec_free(&a->list);
	*a = ASKS_NONE;
}

struct unanswered {
	const uint8_t *mac;
	VEC(const struct ask *) list;
	size_t from; /* the first of this batch */
};

static size_t make(const void *from, size_t i, uint8_t out[FRAME_ROOM])
{
	const struct unanswered *of = from;

	const struct ask *ask = of->list.v[of->from + i];

	return frame_ask(out, &ask->target, &ask->sender, of->mac);
}

static void take(struct asks *a, const struct claim *claim)
{
	if (memcmp(claim->mac, a->mac, sizeof(a->mac)) == 0)
		return;
	vec_each (ask, &a->list) {
		struct ask *one = &a->list.v[ask - a->list.v];

		if (addr_cmp(&one->target, &claim->addr) != 0 ||
		    (claim->tentative && !addr_is_unset(&one->sender)))
			continue;
		one->answered = true;
		memcpy(one->mac, claim->mac, sizeof(one->mac));
	}
}

static bool all_answered(const struct asks *a)
{
	vec_each (ask, &a->list) {
		if (!ask->answered)
			return false;
	}
	return true;
}

/* 1: look again; 0: nothing came. That it could not be waited is no answer, neither way. */
static int wait_for(const struct asks *a, int ms, struct error *err)
{
	int ret = poll(&(struct pollfd){ .fd = a->fd, .events = POLLIN }, 1, ms);

	if (ret < 0 && errno == EINTR)
		return ms > 0;
	if (ret < 0)
		return error_set(err, "cannot wait for answers of neighbours: %s", strerror(errno));
	return ret != 0;
}

/* What waits at the end is read still, but not what goes on coming. */
int asks_collect(struct asks *a, unsigned int ms, struct error *err)
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

int asks_send(struct asks *a, struct error *err)
{
	struct unanswered of = { .mac = a->mac };
	int ret = 0;

	vec_each (ask, &a->list) {
		if (!ask->answered)
			*vec_push(&of.list) = ask;
	}
	for (; of.from < of.list.n && !ret; of.from += SEND_BATCH) {
		size_t left = of.list.n - of.from;

		if (of.from)
			ret = asks_collect(a, 1000 * PACKET_BATCH / PACKET_RATE, err);
		if (!ret)
			ret = packet_send(a->fd, make, &of, left < SEND_BATCH ? left : SEND_BATCH,
					  err);
	}
	vec_free(&of.list);
	return ret;
}
