/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has this address? Callers pass copies, never &p->src: a pointer into struct
 * pkt keeps the compiler from holding its fields, `xdp` above all, as constants.
 */
#ifndef TN_BPF_LOOKUP_H
#define TN_BPF_LOOKUP_H

#include <bpf/bpf_endian.h>

#include "maps.h"

/* NULL: there is no such router. */
static __always_inline const struct tn_router_port *router_port(__u32 router)
{
	const struct tn_router_port *port = bpf_map_lookup_elem(&router_ports, &router);

	return port && port->self.router ? port : NULL;
}

static __always_inline const struct tn_shared *lookup_shared(const struct tn_addr *a)
{
	return bpf_map_lookup_elem(&by_shared, a);
}

/* Only if it is that router's; NULL also for another router's. */
static __always_inline const struct tn_shared *lookup_ours(__u32 router, const struct tn_addr *a)
{
	const struct tn_shared *found = lookup_shared(a);

	return found && found->router == router ? found : NULL;
}

/* Only if it is the shared address of a mapping of that router. */
static __always_inline const struct tn_shared *lookup_our_mapping(__u32 router,
								  const struct tn_addr *a)
{
	const struct tn_shared *found = lookup_ours(router, a);

	return found && found->flags & TN_SHARED_MAPPED ? found : NULL;
}

static __always_inline const struct tn_fixed *lookup_fixed(__u32 router, const struct tn_addr *a)
{
	struct tn_fixed_key key = { .router = router, .fixed = *a };

	return bpf_map_lookup_elem(&by_fixed, &key);
}

enum subnet_place {
	SUBNET_NONE,
	SUBNET_HOST,
	SUBNET_BROADCAST, /* the last address of an IPv4 subnet (RFC 919) */
};

static __always_inline bool is_last_of(const struct tn_addr *a, const struct tn_subnet *s)
{
	bool v4 = !(s->prefix.w[0] | s->prefix.w[1]) && s->prefix.w[2] == bpf_htonl(0xffff);

	/* a subnet of one or two addresses has none to spare (RFC 3021) */
	return v4 && !~(a->w[3] | s->mask.w[3]) && bpf_ntohl(~s->mask.w[3]) > 1;
}

/* Global, so that the verifier follows its loop once and not from every caller on. */
__noinline int tn_place_in_subnets(const struct tn_addr *a)
{
	const struct tn_config *c;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&config, &zero);
	if (!c || !a)
		return SUBNET_NONE;
	for (__u32 i = 0; i < TN_SUBNETS_MAX && i < c->nsubnets; i++) {
		const struct tn_subnet *s = &c->subnets[i];

		/* half written: the map is not updated in one piece, and no subnet is all of IPv6
		 */
		if (!s->mask.w[0])
			continue;
		if (!(((a->w[0] & s->mask.w[0]) ^ s->prefix.w[0]) |
		      ((a->w[1] & s->mask.w[1]) ^ s->prefix.w[1]) |
		      ((a->w[2] & s->mask.w[2]) ^ s->prefix.w[2]) |
		      ((a->w[3] & s->mask.w[3]) ^ s->prefix.w[3])))
			return is_last_of(a, s) ? SUBNET_BROADCAST : SUBNET_HOST;
	}
	return SUBNET_NONE;
}

static __always_inline bool in_shared_subnets(const struct tn_addr *a)
{
	return tn_place_in_subnets(a) != SUBNET_NONE;
}

#endif
