/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <errno.h>

#include "dataplane/dataplane_internal.h"
#include "dataplane/programs.h"
#include "dataplane/stubs.h"
#include "lib/background.h"
#include "lib/clock.h"

/* One row of a hash map, handed to the reader of that map. */
typedef void (*row_fn)(struct kernel_state *out, const void *key, const void *value);

static int read_map(struct dataplane *dp, enum map_id id, size_t key_size, size_t value_size,
		    row_fn row, struct kernel_state *out, struct error *err)
{
	_cleanup_free_ char *keys = xrealloc(NULL, ROWS_BATCH, key_size);
	_cleanup_free_ char *values = xrealloc(NULL, ROWS_BATCH, value_size);
	uint64_t cursor[4]; /* as large as the kernel's for any map */
	bool first = true;
	int ret;

	do {
		uint32_t n = ROWS_BATCH;

		ret = bpf_map_lookup_batch(dp->fd[id], first ? NULL : cursor, cursor, keys, values,
					   &n, NULL);
		if (ret && errno != ENOENT)
			return error_set(err, "cannot read the map %s: %s", map_names[id],
					 strerror(errno));
		for (uint32_t i = 0; i < n; i++)
			row(out, keys + i * key_size, values + i * value_size);
		first = false;
	} while (!ret);
	return 0;
}

/* A row of a prefix has the difference of both sides. */
static void undo_difference(struct tn_addr *a, uint32_t flags, const struct tn_addr *other)
{
	for (int i = 0; flags & TN_SHARED_PREFIX && i < 4; i++)
		a->w[i] ^= other->w[i];
}

static void shared_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct shared_row *row = vec_push(&out->shared);
	const struct tn_shared *v = value;

	memcpy(&row->shared, key, sizeof(row->shared));
	row->fixed = v->fixed;
	undo_difference(&row->fixed, v->flags, &row->shared);
	row->tenant = v->tenant;
	row->router = v->router;
	row->flags = v->flags;
	row->slot = v->slot;
}

static void fixed_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct fixed_row *row = vec_push(&out->fixed);
	const struct tn_fixed_key *k = key;
	const struct tn_fixed *v = value;

	row->router = k->router;
	row->fixed = k->fixed;
	row->shared = v->shared;
	undo_difference(&row->shared, v->flags, &row->fixed);
	row->tenant = v->tenant;
	row->flags = v->flags;
	row->slot = v->slot;
	memcpy(row->mac, v->mac, sizeof(row->mac));
}

static uint32_t until_moved(uint32_t until, int64_t seconds)
{
	int64_t moved = (int64_t)until + seconds;

	return !until ? 0 : moved < 1 ? 1 : moved > UINT32_MAX ? UINT32_MAX : (uint32_t)moved;
}

uint32_t until_to_map(uint32_t until)
{
	return until ? until_moved(until, clock_tai_ahead()) : 0;
}

uint32_t until_from_map(uint32_t until)
{
	return until ? until_moved(until, -clock_tai_ahead()) : 0;
}

static void accept_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct accept_row *row = vec_push(&out->policy.accepts);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->value, value, sizeof(row->value));
	row->value.until = until_from_map(row->value.until);
	row->value.used = 0;
}

static void service_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct service_row *row = vec_push(&out->policy.services);
	const struct tn_service *v = value;

	memcpy(&row->key, key, sizeof(row->key));
	row->rule = v->rule;
	row->until = until_from_map(v->until);
}

static void pool_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct pool_row *row = vec_push(&out->policy.pools);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->tenant, value, sizeof(row->tenant));
}

static void prefix_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct prefix_row *row = vec_push(&out->prefixes);

	memcpy(&row->key, key, sizeof(row->key));
	memcpy(&row->first, value, sizeof(row->first));
}

static void limit_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct limit_row *row = vec_push(&out->policy.limits);
	const struct tn_limit *v = value;

	memcpy(&row->shared, key, sizeof(row->shared));
	row->rate = v->rate;
	row->burst = v->burst;
	row->packets = v->packets;
	row->packet_burst = v->packet_burst;
}

static void router_from_map(struct kernel_state *out, const void *key, const void *value)
{
	struct router_row *row = vec_push(&out->routers);
	const struct tn_router *v = value;

	memcpy(&row->id, key, sizeof(row->id));
	/* without its end it is none */
	if (memchr(v->tenant, '\0', sizeof(v->tenant)))
		snprintf(row->tenant, sizeof(row->tenant), "%s", v->tenant);
	memcpy(row->mac, v->mac, sizeof(row->mac));
	row->ifindex = v->ifindex;
	row->netns_dev = v->netns_dev;
	row->netns_ino = v->netns_ino;
	row->hook = v->hook;
	row->via = v->via;
	row->build = v->build; /* see know_builds() */
	row->flags = v->flags & ~(TN_ROUTER_LOOSE | TN_ROUTER_FEASIBLE | TN_ROUTER_FAST |
				  TN_ROUTER_RULED | TN_ROUTER_IPSEC | TN_ROUTER_VETH |
				  TN_ROUTER_BY_ADDRESS | TN_ROUTER_NEEDS_V4 | TN_ROUTER_NEEDS_V6 |
				  TN_ROUTER_BINDS | TN_ROUTER_ELECTED);
	row->sources = v->flags & TN_ROUTER_LOOSE      ? SOURCES_LOOSE
		       : v->flags & TN_ROUTER_FEASIBLE ? SOURCES_FEASIBLE
						       : SOURCES_STRICT;
	row->fast = v->flags & TN_ROUTER_FAST;
	row->ruled = v->flags & TN_ROUTER_RULED;
	row->ipsec = v->flags & TN_ROUTER_IPSEC;
	row->veth = v->flags & TN_ROUTER_VETH;
	row->binds = v->flags & TN_ROUTER_BINDS;
	row->by_address = v->flags & TN_ROUTER_BY_ADDRESS;
	row->needs[IPV4] = v->flags & TN_ROUTER_NEEDS_V4;
	row->needs[IPV6] = v->flags & TN_ROUTER_NEEDS_V6;
	row->elected = v->flags & TN_ROUTER_ELECTED;
	memcpy(row->inside, v->inside, sizeof(row->inside));
	row->raw = v->raw;
	row->flows = v->flows ? v->flows : TN_FLOWS;
	row->grace = v->grace;
	memcpy(row->xmit, v->xmit, sizeof(row->xmit));
	memcpy(row->own, v->own, sizeof(row->own));
}

static int read_subnets(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	const struct tn_config *config = &dp->config;

	if (config_read(dp))
		return error_set(err, "cannot read the configuration map: %s", strerror(errno));
	for (uint32_t i = 0; i < config->nsubnets && i < TN_SUBNETS_MAX; i++) {
		struct prefix *p = vec_push(&out->subnets);

		p->addr = config->subnets[i].prefix;
		for (int w = 0; w < 4; w++)
			p->len += __builtin_popcount(config->subnets[i].mask.w[w]);
	}
	return 0;
}

static bool router_is_ours(const struct router_row *r)
{
	return r->id && r->id < TN_ROUTERS_MAX && tenant_name_valid(r->tenant) && r->ifindex &&
	       r->hook < HOOKS_COUNT && r->via < HOOKS_COUNT && r->via != HOOK_AUTO;
}

static bool service_is_ours(const struct tn_service_key *key)
{
	return key->class < TN_CLASSES_COUNT && key->shift <= TN_SHIFT_ALL &&
	       key->shift % TN_SHIFT_STEP == 0;
}

/* Of rows whose numbers are used for more than to be compared. */
static int check_rows(const struct dataplane *dp, const struct kernel_state *m, struct error *err)
{
	char path[PATH_MAX], maps[PATH_MAX];

	path_join(dp->dir, "maps", maps);
	vec_each (r, &m->routers) {
		if (!router_is_ours(r))
			return foreign_pin(dp, path_join(maps, map_names[MAP_routers], path), err);
	}
	vec_each (row, &m->policy.services) {
		if (!service_is_ours(&row->key))
			return foreign_pin(dp, path_join(maps, map_names[MAP_services], path), err);
	}
	return 0;
}

/*
 * A row says which stubs are attached, and the configuration what they call. So `build` of a router
 * is this executable's if both are.
 */
static void know_builds(const struct dataplane *dp, struct kernel_state *m)
{
	vec_each (r, &m->routers) {
		r->stubs_current = r->build == (r->flags & TN_ROUTER_XDP_WHOLE ? dataplane_build()
									       : stubs_build());
		if (r->stubs_current)
			r->build = programs_are_current(dp, r) ? dataplane_build() : 0;
	}
}

static int read_routers(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	if (read_subnets(dp, out, err) ||
	    read_map(dp, MAP_routers, sizeof(uint32_t), sizeof(struct tn_router), router_from_map,
		     out, err))
		return -1;
	vec_each (row, &out->routers)
		row->granted = row->elected && dataplane_is_granted(dp, row->id);
	return 0;
}

/* What is not about single mappings. */
static int read_common(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	if (read_routers(dp, out, err) ||
	    read_map(dp, MAP_accepts, sizeof(struct tn_accept_key), sizeof(struct tn_accept),
		     accept_from_map, out, err) ||
	    read_map(dp, MAP_services, sizeof(struct tn_service_key), sizeof(struct tn_service),
		     service_from_map, out, err) ||
	    read_map(dp, MAP_pools, sizeof(struct tn_pool_key), sizeof(uint32_t), pool_from_map,
		     out, err) ||
	    read_map(dp, MAP_prefixes, sizeof(struct tn_prefix_key), sizeof(struct tn_addr),
		     prefix_from_map, out, err))
		return -1;
	know_builds(dp, out);
	return check_rows(dp, out, err);
}

/* The rows of by_fixed, which are read and sorted beside the others. */
struct fixed_reading {
	struct dataplane *dp;
	struct kernel_state rows;
	struct error err;
	int ret;
};

static void read_fixed(void *arg)
{
	struct fixed_reading *r = arg;

	r->ret = read_map(r->dp, MAP_by_fixed, sizeof(struct tn_fixed_key), sizeof(struct tn_fixed),
			  fixed_from_map, &r->rows, &r->err);
	kernel_state_sort(&r->rows);
}

static int read_shared(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	if (read_common(dp, out, err) ||
	    read_map(dp, MAP_limits, sizeof(struct tn_addr), sizeof(struct tn_limit),
		     limit_from_map, out, err) ||
	    read_map(dp, MAP_by_shared, sizeof(struct tn_addr), sizeof(struct tn_shared),
		     shared_from_map, out, err))
		return -1;
	kernel_state_sort(out);
	return 0;
}

int dataplane_read(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	struct fixed_reading fixed = { .dp = dp };
	bool large = dp->config.capacity > CAPACITY_MIN;
	struct background beside;
	int ret;

	memset(out, 0, sizeof(*out));
	if (large)
		background_begin(&beside, read_fixed, &fixed);
	else
		read_fixed(&fixed);
	ret = read_shared(dp, out, err);
	if (large)
		background_end(&beside);
	if (!ret && fixed.ret)
		*err = fixed.err;
	memcpy(&out->fixed, &fixed.rows.fixed, sizeof(out->fixed));
	if (!ret && !fixed.ret)
		return 0;
	kernel_state_free(out);
	return -1;
}

int dataplane_read_routers(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (read_routers(dp, out, err) || check_rows(dp, out, err)) {
		kernel_state_free(out);
		return -1;
	}
	kernel_state_sort(out);
	return 0;
}

int dataplane_read_common(struct dataplane *dp, struct kernel_state *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (read_common(dp, out, err)) {
		kernel_state_free(out);
		return -1;
	}
	kernel_state_sort(out);
	return 0;
}

/* A row that is not there is none of `out`. */
static int look_up(struct dataplane *dp, enum map_id id, const void *key, size_t value_size,
		   row_fn row, struct kernel_state *out, struct error *err)
{
	_cleanup_free_ char *value = xzalloc(value_size);

	if (bpf_map_lookup_elem(dp->fd[id], key, value) == 0)
		row(out, key, value);
	else if (errno != ENOENT)
		return error_set(err, "cannot read the map %s: %s", map_names[id], strerror(errno));
	return 0;
}

int dataplane_look_up(struct dataplane *dp, const struct row_keys *keys, struct kernel_state *out,
		      struct error *err)
{
	vec_each (shared, &keys->shared) {
		if (look_up(dp, MAP_by_shared, shared, sizeof(struct tn_shared), shared_from_map,
			    out, err) ||
		    look_up(dp, MAP_limits, shared, sizeof(struct tn_limit), limit_from_map, out,
			    err))
			return -1;
	}
	vec_each (key, &keys->fixed) {
		if (look_up(dp, MAP_by_fixed, key, sizeof(struct tn_fixed), fixed_from_map, out,
			    err))
			return -1;
	}
	kernel_state_sort(out);
	return 0;
}
