/* SPDX-License-Identifier: GPL-2.0-only */
#include <bpf/bpf.h>
#include <errno.h>
#include <time.h>

#include "dataplane/dataplane_internal.h"
#include "dataplane/router_maps.h"
#include "dataplane/stubs.h"
#include "lib/progress.h"

int map_error(enum map_id id, struct error *err)
{
	if (errno == E2BIG)
		return error_set(err,
				 "the map %s is full; `tenantnat detach --all` and then apply "
				 "makes a larger one, but interrupts traffic",
				 map_names[id]);
	return error_set(err, "cannot change the map %s: %s", map_names[id], strerror(errno));
}

/* See tn_abi.h, changes. Nobody else writes there, as we hold the lock. */
static int read_changes(struct dataplane *dp, uint64_t *out, struct error *err)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(dp->fd[MAP_table_seq], &zero, out)
		       ? map_error(MAP_table_seq, err)
		       : 0;
}

static int raise_changes(struct dataplane *dp, bool under_way, struct error *err)
{
	uint32_t zero = 0;
	uint64_t now, next;

	if (read_changes(dp, &now, err))
		return -1;
	next = (now | 1) + !under_way;
	if (next != now && bpf_map_update_elem(dp->fd[MAP_table_seq], &zero, &next, BPF_ANY))
		return map_error(MAP_table_seq, err);
	return 0;
}

/* What a process that was killed had under way has come to its end with it. */
int settle_changes(struct dataplane *dp, struct error *err)
{
	uint64_t now;

	if (read_changes(dp, &now, err))
		return -1;
	return now & 1 ? raise_changes(dp, false, err) : 0;
}

/* `ret` is that of the writing; what was written before it failed counts too. */
static int change_over(struct dataplane *dp, int ret, struct error *err)
{
	return raise_changes(dp, false, err) || ret ? -1 : 0;
}

/*
 * Write `n` rows. Meanwhile programs look at the tables alone, and so they do when this process
 * ends before it is over, until the next one settles it; afterwards they keep what they find
 * there.
 */
#define change_rows(dp, n, write, err) \
	(!(n) ? 0 : raise_changes(dp, true, err) ? -1 : change_over(dp, write, err))

int dataplane_put_subnets(struct dataplane *dp, const struct kernel_state *m, struct error *err)
{
	struct tn_config *config = &dp->config;

	if (m->subnets.n > TN_SUBNETS_MAX)
		return error_usage(err, "more than %d shared subnets", TN_SUBNETS_MAX);
	memset(config->subnets, 0, sizeof(config->subnets));
	config->nsubnets = m->subnets.n;
	for (size_t i = 0; i < m->subnets.n; i++) {
		config->subnets[i].prefix = m->subnets.v[i].addr;
		config->subnets[i].mask = prefix_mask(&m->subnets.v[i]);
	}
	if (change_rows(dp, 1, config_write(dp), err))
		return error_set(err, "cannot write the shared subnets: %s", strerror(errno));
	return 0;
}

/* Those of `keys`, and in their order, as the kernel goes through them. */
static int update_batch(struct dataplane *dp, enum map_id id, const void *keys, const void *values,
			uint32_t n, struct error *err)
{
	if (n && bpf_map_update_batch(dp->fd[id], keys, values, &n, NULL))
		return map_error(id, err);
	return 0;
}

/* The same. A key that is not there any more, where the kernel stops, is as good as deleted. */
static int delete_batch(struct dataplane *dp, enum map_id id, const char *keys, size_t key_size,
			size_t n, struct error *err)
{
	while (n) {
		uint32_t done = n;
		int ret = bpf_map_delete_batch(dp->fd[id], keys, &done, NULL);

		if (!ret)
			return 0;
		if (errno != ENOENT)
			return map_error(id, err);
		done++;
		keys += done * key_size;
		n -= done;
	}
	return 0;
}

/* What a row has for the address of the other side: of a prefix the difference of both. */
static struct tn_addr difference(const struct tn_addr *a, uint32_t flags,
				 const struct tn_addr *other)
{
	struct tn_addr value = *a;

	for (int i = 0; flags & TN_SHARED_PREFIX && i < 4; i++)
		value.w[i] ^= other->w[i];
	return value;
}

static int put_fixed(struct dataplane *dp, const struct kernel_state *have,
		     const struct fixed_row *const *rows, size_t n, struct error *err)
{
	_cleanup_free_ struct tn_fixed_key *keys = xrealloc(NULL, ROWS_BATCH, sizeof(*keys));
	_cleanup_free_ struct tn_fixed *values = xrealloc(NULL, ROWS_BATCH, sizeof(*values));
	size_t filled = 0;

	for (size_t i = 0; i < n; i++) {
		keys[filled].router = rows[i]->router;
		keys[filled].fixed = rows[i]->fixed;
		values[filled] =
			(struct tn_fixed){ .shared = difference(&rows[i]->shared, rows[i]->flags,
								&rows[i]->fixed),
					   .flags = rows[i]->flags,
					   .tenant = rows[i]->tenant };
		memcpy(values[filled].mac, rows[i]->mac, sizeof(rows[i]->mac));
		values[filled].slot = rows[i]->slot;
		if (!rows[i]->slot &&
		    slot_for(dp, have, &rows[i]->shared, &rows[i]->fixed, rows[i]->router,
			     rows[i]->pair, &values[filled].slot))
			return map_error(MAP_counters, err);
		if (++filled < ROWS_BATCH && i + 1 < n)
			continue;
		if (update_batch(dp, MAP_by_fixed, keys, values, filled, err))
			return -1;
		progress_step(filled);
		filled = 0;
	}
	return 0;
}

int dataplane_put_fixed(struct dataplane *dp, const struct kernel_state *have,
			const struct fixed_row *const *rows, size_t n, struct error *err)
{
	return change_rows(dp, n, put_fixed(dp, have, rows, n, err), err);
}

static int put_shared(struct dataplane *dp, const struct kernel_state *have,
		      const struct shared_row *const *rows, size_t n, struct error *err)
{
	_cleanup_free_ struct tn_addr *keys = xrealloc(NULL, ROWS_BATCH, sizeof(*keys));
	_cleanup_free_ struct tn_shared *values = xrealloc(NULL, ROWS_BATCH, sizeof(*values));
	size_t filled = 0;

	for (size_t i = 0; i < n; i++) {
		const struct shared_row *row = rows[i];

		keys[filled] = row->shared;
		values[filled] = (struct tn_shared){ .fixed = difference(&row->fixed, row->flags,
									 &row->shared),
						     .tenant = row->tenant,
						     .router = row->router,
						     .flags = row->flags };
		values[filled].slot = row->slot;
		if (!row->slot && row->router && row->flags & TN_SHARED_MAPPED &&
		    slot_for(dp, have, &row->shared, &row->fixed, row->router, row->pair,
			     &values[filled].slot))
			return map_error(MAP_counters, err);
		if (++filled < ROWS_BATCH && i + 1 < n)
			continue;
		if (update_batch(dp, MAP_by_shared, keys, values, filled, err))
			return -1;
		progress_step(filled);
		filled = 0;
	}
	return 0;
}

int dataplane_put_shared(struct dataplane *dp, const struct kernel_state *have,
			 const struct shared_row *const *rows, size_t n, struct error *err)
{
	return change_rows(dp, n, put_shared(dp, have, rows, n, err), err);
}

static int del_shared(struct dataplane *dp, const struct shared_row *const *rows, size_t n,
		      struct error *err)
{
	_cleanup_free_ struct tn_addr *keys = xrealloc(NULL, n, sizeof(*keys));

	for (size_t i = 0; i < n; i++)
		keys[i] = rows[i]->shared;
	return delete_batch(dp, MAP_by_shared, (const char *)keys, sizeof(*keys), n, err);
}

int dataplane_del_shared(struct dataplane *dp, const struct shared_row *const *rows, size_t n,
			 struct error *err)
{
	return change_rows(dp, n, del_shared(dp, rows, n, err), err);
}

static int del_fixed(struct dataplane *dp, const struct fixed_row *const *rows, size_t n,
		     struct error *err)
{
	_cleanup_free_ struct tn_fixed_key *keys = xrealloc(NULL, n, sizeof(*keys));

	for (size_t i = 0; i < n; i++)
		keys[i] =
			(struct tn_fixed_key){ .router = rows[i]->router, .fixed = rows[i]->fixed };
	return delete_batch(dp, MAP_by_fixed, (const char *)keys, sizeof(*keys), n, err);
}

int dataplane_del_fixed(struct dataplane *dp, const struct fixed_row *const *rows, size_t n,
			struct error *err)
{
	return change_rows(dp, n, del_fixed(dp, rows, n, err), err);
}

/* One member of each row, in one piece. */
static char *gather(const void *rows, size_t row_size, size_t n, size_t offset, size_t size)
{
	char *out = xrealloc(NULL, n, size);

	for (size_t i = 0; i < n; i++)
		memcpy(out + i * size, (const char *)rows + i * row_size + offset, size);
	return out;
}

#define gather_member(rows, n, member)                                              \
	gather((rows), sizeof(*(rows)), (n), offsetof(__typeof__(*(rows)), member), \
	       sizeof((rows)->member))

#define put_rows(dp, id, rows, n, value, err)                                 \
	({                                                                    \
		_cleanup_free_ char *_keys = gather_member(rows, n, key);     \
		_cleanup_free_ char *_values = gather_member(rows, n, value); \
		update_batch(dp, id, _keys, _values, n, err);                 \
	})

#define del_rows(dp, id, rows, n, key, err)                               \
	({                                                                \
		_cleanup_free_ char *_keys = gather_member(rows, n, key); \
		delete_batch(dp, id, _keys, sizeof((rows)->key), n, err); \
	})

static int put_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
		       struct error *err)
{
	_cleanup_free_ char *keys = gather_member(rows, n, key);
	_cleanup_free_ struct tn_accept *values = xrealloc(NULL, n, sizeof(*values));

	for (size_t i = 0; i < n; i++) {
		values[i] = rows[i].value;
		values[i].until = until_to_map(rows[i].value.until);
	}
	return update_batch(dp, MAP_accepts, keys, values, n, err);
}

int dataplane_put_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
			  struct error *err)
{
	return change_rows(dp, n, put_accepts(dp, rows, n, err), err);
}

int dataplane_del_accepts(struct dataplane *dp, const struct accept_row *rows, size_t n,
			  struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_accepts, rows, n, key, err), err);
}

static int put_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			struct error *err)
{
	_cleanup_free_ char *keys = gather_member(rows, n, key);
	_cleanup_free_ struct tn_service *values = xrealloc(NULL, n, sizeof(*values));

	for (size_t i = 0; i < n; i++)
		values[i] = (struct tn_service){ .rule = rows[i].rule,
						 .until = until_to_map(rows[i].until) };
	return update_batch(dp, MAP_services, keys, values, n, err);
}

int dataplane_put_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			   struct error *err)
{
	return change_rows(dp, n, put_services(dp, rows, n, err), err);
}

int dataplane_del_services(struct dataplane *dp, const struct service_row *rows, size_t n,
			   struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_services, rows, n, key, err), err);
}

static bool same_pair(const struct tn_service_key *a, const struct tn_service_key *b)
{
	return a->accept.tenant == b->accept.tenant && a->accept.from == b->accept.from;
}

/*
 * The map holds TN_WITHDRAWN, and evicts the least recently used: of more, the last ones would
 * stay. The row that leads to those of a tenant and a sender comes behind them.
 */
int dataplane_put_withdrawn(struct dataplane *dp, const struct tn_service_key *keys, size_t n,
			    struct error *err)
{
	struct timespec t = { 0 };
	uint32_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec;
	for (size_t i = n > TN_WITHDRAWN ? n - TN_WITHDRAWN : 0; i < n; i++) {
		struct tn_service_key any = { .accept = { .tenant = keys[i].accept.tenant,
							  .from = keys[i].accept.from },
					      .class = TN_WITHDRAWN_ANY };
		bool last = i + 1 == n || !same_pair(&keys[i], &keys[i + 1]);

		if (bpf_map_update_elem(dp->fd[MAP_withdrawn], &keys[i], &now, BPF_ANY) ||
		    (last && bpf_map_update_elem(dp->fd[MAP_withdrawn], &any, &now, BPF_ANY)))
			return map_error(MAP_withdrawn, err);
	}
	return 0;
}

int dataplane_put_pools(struct dataplane *dp, const struct pool_row *rows, size_t n,
			struct error *err)
{
	return change_rows(dp, n, put_rows(dp, MAP_pools, rows, n, tenant, err), err);
}

int dataplane_del_pools(struct dataplane *dp, const struct pool_row *rows, size_t n,
			struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_pools, rows, n, key, err), err);
}

int dataplane_put_prefixes(struct dataplane *dp, const struct prefix_row *rows, size_t n,
			   struct error *err)
{
	return change_rows(dp, n, put_rows(dp, MAP_prefixes, rows, n, first, err), err);
}

int dataplane_del_prefixes(struct dataplane *dp, const struct prefix_row *rows, size_t n,
			   struct error *err)
{
	return change_rows(dp, n, del_rows(dp, MAP_prefixes, rows, n, key, err), err);
}

int dataplane_put_limits(struct dataplane *dp, const struct limit_row *rows, size_t n,
			 struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct tn_limit value = { .rate = rows[i].rate,
					  .burst = rows[i].burst,
					  .packets = rows[i].packets,
					  .packet_burst = rows[i].packet_burst };

		if (bpf_map_update_elem(dp->fd[MAP_limits], &rows[i].shared, &value, BPF_ANY))
			return map_error(MAP_limits, err);
	}
	return 0;
}

int dataplane_del_limits(struct dataplane *dp, const struct limit_row *rows, size_t n,
			 struct error *err)
{
	return del_rows(dp, MAP_limits, rows, n, shared, err);
}

int dataplane_zero_hits(struct dataplane *dp, const uint32_t *rules, size_t n, struct error *err)
{
	for (size_t i = 0; !dp->fresh && i < n; i++) {
		if (zero_percpu(dp->fd[MAP_hits], rules[i], sizeof(uint64_t)))
			return map_error(MAP_hits, err);
	}
	return 0;
}

int dataplane_put_port(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	struct tn_router_port port = {
		.self = { .router = r->id, .ifindex = r->ifindex, .raw = r->raw }
	};

	memcpy(port.mac, r->mac, sizeof(port.mac));
	port.grace = r->grace < TN_GRACE_MAX ? r->grace : TN_GRACE_MAX;
	if (r->sources == SOURCES_LOOSE)
		port.self.flags |= TN_PORT_LOOSE;
	if (r->sources == SOURCES_FEASIBLE)
		port.self.flags |= TN_PORT_FEASIBLE;
	if (r->via == HOOK_XDP_GENERIC)
		port.self.flags |= TN_PORT_GUARDS;
	if (r->by_address)
		port.self.flags |= TN_PORT_BY_ADDRESS;
	if (r->needs[IPV4])
		port.self.flags |= TN_PORT_NEEDS_V4;
	if (r->needs[IPV6])
		port.self.flags |= TN_PORT_NEEDS_V6;
	if (r->binds)
		port.self.flags |= TN_PORT_BINDS;
	if (r->elected)
		port.self.flags |= TN_PORT_ELECTED;
	memcpy(port.inside, r->inside, sizeof(port.inside));
	memcpy(port.xmit, r->xmit, sizeof(port.xmit));
	memcpy(port.own, r->own, sizeof(port.own));
	if (change_rows(dp, 1,
			bpf_map_update_elem(dp->fd[MAP_router_ports], &r->id, &port, BPF_ANY), err))
		return map_error(MAP_router_ports, err);
	return 0;
}

int dataplane_grant(struct dataplane *dp, uint32_t router, uint64_t until, struct error *err)
{
	if (bpf_map_update_elem(dp->fd[MAP_elected], &router, &until, BPF_ANY))
		return map_error(MAP_elected, err);
	return 0;
}

bool dataplane_is_granted(const struct dataplane *dp, uint32_t router)
{
	struct timespec now;
	uint64_t until;

	if (!dp || bpf_map_lookup_elem(dp->fd[MAP_elected], &router, &until))
		return false;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec < until;
}

int dataplane_grant_nobody(struct dataplane *dp, struct error *err)
{
	for (uint32_t i = 0; i < TN_ROUTERS_MAX; i++) {
		if (dataplane_grant(dp, i, 0, err))
			return -1;
	}
	return 0;
}

/* Of the stubs, unless the program itself is attached. */
static uint64_t attached_build(const struct router_row *r)
{
	return r->flags & TN_ROUTER_XDP_WHOLE ? dataplane_build() : stubs_build();
}

int dataplane_put_router(struct dataplane *dp, const struct router_row *r, struct error *err)
{
	struct tn_router value = { .hook = r->hook,
				   .via = r->via,
				   .ifindex = r->ifindex,
				   .flags = r->flags,
				   .netns_dev = r->netns_dev,
				   .netns_ino = r->netns_ino };

	if (r->build == dataplane_build())
		value.build = attached_build(r);
	memcpy(value.mac, r->mac, sizeof(value.mac));
	if (r->sources == SOURCES_LOOSE)
		value.flags |= TN_ROUTER_LOOSE;
	if (r->sources == SOURCES_FEASIBLE)
		value.flags |= TN_ROUTER_FEASIBLE;
	if (r->fast)
		value.flags |= TN_ROUTER_FAST;
	if (r->ruled)
		value.flags |= TN_ROUTER_RULED;
	if (r->ipsec)
		value.flags |= TN_ROUTER_IPSEC;
	if (r->veth)
		value.flags |= TN_ROUTER_VETH;
	if (r->by_address)
		value.flags |= TN_ROUTER_BY_ADDRESS;
	if (r->needs[IPV4])
		value.flags |= TN_ROUTER_NEEDS_V4;
	if (r->needs[IPV6])
		value.flags |= TN_ROUTER_NEEDS_V6;
	if (r->binds)
		value.flags |= TN_ROUTER_BINDS;
	if (r->elected)
		value.flags |= TN_ROUTER_ELECTED;
	memcpy(value.inside, r->inside, sizeof(value.inside));
	value.raw = r->raw;
	value.flows = r->flows;
	value.grace = r->grace;
	memcpy(value.xmit, r->xmit, sizeof(value.xmit));
	memcpy(value.own, r->own, sizeof(value.own));
	snprintf(value.tenant, sizeof(value.tenant), "%s", r->tenant);
	if (dataplane_put_port(dp, r, err))
		return -1;
	if (bpf_map_update_elem(dp->fd[MAP_routers], &r->id, &value, BPF_ANY))
		return map_error(MAP_routers, err);
	return 0;
}

int dataplane_put_router_unfinished(struct dataplane *dp, const struct router_row *r,
				    struct error *err)
{
	struct router_row row = *r;

	row.build = 0;
	return dataplane_put_router(dp, &row, err);
}

int dataplane_del_routers(struct dataplane *dp, const uint32_t *ids, size_t n, struct error *err)
{
	static const struct tn_router_port nobody;

	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (change_rows(dp, 1,
				bpf_map_update_elem(dp->fd[MAP_router_ports], &ids[i], &nobody,
						    BPF_ANY),
				err))
			return map_error(MAP_router_ports, err);
		zero_percpu(dp->fd[MAP_drops], ids[i], sizeof(struct tn_drops));
	}
	router_maps_drop(dp, ids, n);
	return delete_batch(dp, MAP_routers, (const char *)ids, sizeof(*ids), n, err);
}
