/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <errno.h>

#include "dataplane/dataplane_internal.h"

bool dataplane_is_settled(const struct dataplane *dp)
{
	return dp->config.free_from < dp->config.free_to;
}

static void find_used_slots(struct dataplane *dp, const struct kernel_state *have)
{
	dp->slots_used = xzalloc(dp->config.capacity);
	dp->slots_used[0] = 1; /* slot 0: not counted */
	vec_each (row, &have->shared) {
		if (row->slot < dp->config.capacity)
			dp->slots_used[row->slot] = 1;
	}
	vec_each (row, &have->fixed) {
		if (row->slot < dp->config.capacity)
			dp->slots_used[row->slot] = 1;
	}
}

int dataplane_begin(struct dataplane *dp, const struct kernel_state *all, struct error *err)
{
	dp->slot_next = all ? TN_SLOTS_OWN(dp->config.capacity) : dp->config.free_from;
	dp->slot_end = all ? dp->config.capacity : dp->config.free_to;
	free(dp->slots_used);
	dp->slots_used = NULL;
	if (all)
		find_used_slots(dp, all);
	dp->config.free_from = 0;
	dp->config.free_to = 0;
	if (config_write(dp))
		return error_set(err, "cannot write the configuration map: %s", strerror(errno));
	return settle_changes(dp, err);
}

static bool is_free_slot(const struct dataplane *dp, uint32_t slot)
{
	return !dp->slots_used || !dp->slots_used[slot];
}

/* Where the most are next to each other: the more there are, the later all have to be read. */
static void keep_free_slots(struct dataplane *dp)
{
	uint32_t from = dp->slot_next;

	for (uint32_t at = from; at <= dp->slot_end; at++) {
		if (at < dp->slot_end && is_free_slot(dp, at))
			continue;
		if (at - from > dp->config.free_to - dp->config.free_from) {
			dp->config.free_from = from;
			dp->config.free_to = at;
		}
		from = at + 1;
	}
}

void dataplane_end(struct dataplane *dp)
{
	keep_free_slots(dp);
	(void)config_write(dp); /* without it, the next change reads all */
}

/* The counters that the mapping has already, in either table; 0: none. */
static uint32_t slot_of(const struct kernel_state *have, const struct tn_addr *shared,
			const struct tn_addr *fixed, uint32_t router)
{
	struct fixed_row fixed_key = { .router = router, .fixed = *fixed };
	struct shared_row shared_key = { .shared = *shared };
	const struct shared_row *s = NULL;
	const struct fixed_row *f = NULL;

	if (have->fixed.n)
		f = bsearch(&fixed_key, have->fixed.v, have->fixed.n, sizeof(*f), fixed_row_cmp);
	if (f && memcmp(&f->shared, shared, sizeof(*shared)) == 0)
		return f->slot;
	if (have->shared.n)
		s = bsearch(&shared_key, have->shared.v, have->shared.n, sizeof(*s),
			    shared_row_cmp);
	if (s && s->router == router && memcmp(&s->fixed, fixed, sizeof(*fixed)) == 0)
		return s->slot;
	return 0;
}

/* The one that is its own by its address: see tn_abi.h, struct tn_record. 0: it has none. */
static uint32_t own_slot(const struct dataplane *dp, const struct tn_addr *shared)
{
	uint32_t slot = ntohl(shared->w[3]) & (TN_SLOTS_OWN(dp->config.capacity) - 1);

	return dp->slots_used && addr_is_v4(shared) && is_free_slot(dp, slot) ? slot : 0;
}

/* Of those in turn; when they are used up, of those by address that nobody has. */
static uint32_t slot_in_turn(struct dataplane *dp)
{
	uint32_t own = TN_SLOTS_OWN(dp->config.capacity);

	while (dp->slot_next < dp->slot_end && !is_free_slot(dp, dp->slot_next))
		dp->slot_next++;
	if (dp->slot_next < dp->slot_end)
		return dp->slot_next++;
	if (!dp->slots_used || dp->slot_end <= own)
		return 0;
	dp->slot_next = 1;
	dp->slot_end = own;
	return slot_in_turn(dp);
}

static int new_slot(struct dataplane *dp, const struct tn_addr *shared, uint32_t *out)
{
	*out = own_slot(dp, shared);
	if (!*out)
		*out = slot_in_turn(dp);
	if (!*out) {
		errno = E2BIG;
		return -1;
	}
	if (dp->slots_used)
		dp->slots_used[*out] = 1;
	return dp->fresh ? 0 : zero_counters(dp, *out);
}

/*
 * The counters of the mapping (fixed, shared) of a router. A mapping that is there
 * keeps its own; one that comes new, or with another fixed address, gets others.
 */
int slot_for(struct dataplane *dp, const struct kernel_state *have, const struct tn_addr *shared,
	     const struct tn_addr *fixed, uint32_t router, uint32_t pair, uint32_t *out)
{
	*out = slot_of(have, shared, fixed, router);
	if (*out)
		return 0;
	if (!pair)
		return new_slot(dp, shared, out);
	while (dp->new_slots.n <= pair)
		vec_push(&dp->new_slots);
	if (!dp->new_slots.v[pair] && new_slot(dp, shared, &dp->new_slots.v[pair]))
		return -1;
	*out = dp->new_slots.v[pair];
	return 0;
}
