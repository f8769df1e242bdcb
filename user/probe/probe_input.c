/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/probe_input.h"

#include "model/prefixes.h"

void probe_input_free(struct probe_input *in)
{
	vec_free(&in->own);
	vec_free(&in->others);
	vec_free(&in->mapped);
	vec_free(&in->prefixes);
	vec_free(&in->peers);
	vec_free(&in->vms);
	vec_free(&in->unprobed);
	vec_free(&in->solicited);
}

static struct probe_host host_of(const struct tenant *t, const struct shared_row *row)
{
	const struct mapping *m = t ? tenant_mapping((struct tenant *)t, &row->fixed) : NULL;
	struct probe_host host = { .addr = row->fixed,
				   .who = m ? m->name : NULL,
				   .bits = row_bits(row->flags) };

	if (m)
		memcpy(host.mac, m->mac, sizeof(host.mac));
	return host;
}

static void take_addresses(const struct kernel_state *machine, const struct tenant *t, bool vms,
			   uint32_t router, struct probe_input *out)
{
	size_t solicited[FAMILIES] = { 0 };

	vec_each (row, &machine->shared) {
		if (row->router != router)
			continue;
		if (row->flags & TN_SHARED_OWN) {
			*vec_push(&out->own) = row->shared;
			continue;
		}
		if (row->flags & TN_SHARED_PREFIX) {
			if (vms)
				*vec_push(&out->unprobed) = host_of(t, row);
			continue;
		}
		*vec_push(&out->mapped) = row->shared;
		if (vms && solicited[addr_family(&row->shared)]++ < GROUPS_MAX)
			*vec_push(&out->solicited) = row->shared;
		if (vms)
			*vec_push(&out->vms) = host_of(t, row);
	}
}

static bool speaks(const struct probe_input *in, const struct tn_addr *like)
{
	vec_each (own, &in->own) {
		if (addr_is_v4(own) == addr_is_v4(like))
			return true;
	}
	vec_each (mapped, &in->mapped) {
		if (addr_is_v4(mapped) == addr_is_v4(like))
			return true;
	}
	return false;
}

/* The addresses of another router that this one can speak to; gives how many. */
static size_t take_peer(const struct kernel_state *machine, const struct router_row *peer,
			struct probe_input *out)
{
	size_t before = out->peers.n;

	vec_each (row, &machine->shared) {
		if (row->flags & TN_SHARED_OWN && row->router == peer->id &&
		    speaks(out, &row->shared))
			*vec_push(&out->peers) =
				(struct probe_host){ .addr = row->shared, .who = peer->tenant };
	}
	return out->peers.n - before;
}

static bool same_netns(const struct router_row *a, const struct router_row *b)
{
	return a->netns_ino == b->netns_ino && a->netns_dev == b->netns_dev && a->netns_ino;
}

const struct router_row *probe_asker(const struct kernel_state *machine,
				     const struct router_row *row, int family,
				     bool (*is_up)(const struct router_row *))
{
	size_t n = machine->routers.n, self = 0;

	while (self < n && machine->routers.v[self].id != row->id)
		self++;
	for (size_t i = 1; i < n; i++) {
		const struct router_row *peer = &machine->routers.v[(self + i) % n];

		if (!peer->standby && !addr_is_unset(&peer->own[family]) &&
		    !same_netns(peer, row) && is_up(peer))
			return peer;
	}
	return NULL;
}

static size_t peers_max(size_t routers)
{
	size_t max = PROBE_PAIRS / routers;

	return max < 1 ? 1 : max < PROBE_PEERS_MAX ? max : PROBE_PEERS_MAX;
}

static void take_routers(const struct kernel_state *machine, uint32_t router,
			 bool (*is_up)(const struct router_row *), struct probe_input *out)
{
	size_t n = machine->routers.n, self = 0, taken = 0;

	while (self < n && machine->routers.v[self].id != router)
		self++;
	for (size_t i = 1; i < n; i++) {
		const struct router_row *peer = &machine->routers.v[(self + i) % n];

		if (taken == peers_max(n))
			out->unasked++;
		else if (!peer->standby && !same_netns(peer, &machine->routers.v[self % n]) &&
			 is_up(peer))
			taken += take_peer(machine, peer, out) > 0;
	}
}

static bool has_peer(const struct probe_input *in, const struct tn_addr *a)
{
	vec_each (peer, &in->peers) {
		if (addr_cmp(&peer->addr, a) == 0)
			return true;
	}
	return false;
}

/* A gateway may be one of the routers too. */
static void take_routes(const struct router *r, struct probe_input *out)
{
	vec_each (route, &r->routes) {
		if (!speaks(out, &route->via))
			continue;
		*vec_push(&out->prefixes) =
			(struct probe_prefix){ .prefix = route->to, .gateway = route->via };
		if (!has_peer(out, &route->via))
			*vec_push(&out->peers) =
				(struct probe_host){ .addr = route->via, .who = "gateway" };
	}
}

/* A peer that is there, or else any address of the subnet that is nobody's here. */
static struct tn_addr far_in(const struct probe_input *in, const struct kernel_state *machine,
			     const struct prefix *p)
{
	struct tn_addr a = addr_add(&p->addr, 1);

	vec_each (peer, &in->peers) {
		if (prefix_has(p, &peer->addr))
			return peer->addr;
	}
	while (kernel_state_shared(machine, &a) && prefix_has(p, &a))
		a = addr_add(&a, 1);
	return a;
}

static void take_far(const struct model *m, const struct kernel_state *machine,
		     struct probe_input *out)
{
	vec_each (p, &m->subnets) {
		struct probe_far *far = &out->far[addr_family(&p->addr)];

		if (speaks(out, &p->addr) && addr_is_unset(&far->addr))
			*far = (struct probe_far){ .addr = far_in(out, machine, p), .subnet = *p };
	}
}

void probe_input_of(const struct model *m, const struct kernel_state *machine,
		    const struct router_row *row, bool vms,
		    bool (*is_up)(const struct router_row *), struct probe_input *out)
{
	const struct tenant *t = model_tenant((struct model *)m, row->tenant);

	memcpy(out->inside, row->inside, sizeof(out->inside));
	take_addresses(machine, t, vms, row->id, out);
	vec_each (p, &m->subnets) {
		if (speaks(out, &p->addr))
			*vec_push(&out->prefixes) = (struct probe_prefix){ .prefix = *p };
	}
	take_routers(machine, row->id, is_up, out);
	out->router = t ? t->router : NULL;
	if (out->router)
		take_routes(out->router, out);
	out->sources = row->sources;
	out->guarded = !row->broken;
	if (vms)
		take_far(m, machine, out);
}
