/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has this address? Callers pass copies, never &p->src: a pointer into struct
 * pkt keeps the compiler from holding its fields, `xdp` above all, as constants.
 */
#ifndef TN_BPF_LOOKUP_H
#define TN_BPF_LOOKUP_H

#include <bpf/bpf_endian.h>

#include "scratch.h"

/*
 * Whether an address that has no row of its own is in a prefix mapping: one of the shared addresses
 * (`router` 0), or of the fixed ones of that router. The key of that row is in scratch.first.
 * Global, so that the verifier follows it once.
 */
__noinline int tn_find_prefix(const struct tn_addr *a, __u32 router)
{
	struct scratch *w = scratch_get();
	const struct tn_addr *first;

	if (!w || !a)
		return 0;
	w->prefix.len = TN_PREFIX_LEN(128);
	w->prefix.router = router;
	w->prefix.addr = *a;
	first = bpf_map_lookup_elem(&prefixes, &w->prefix);
	if (!first || !(first->w[0] | first->w[1] | first->w[2] | first->w[3]))
		return 0;
	w->first.router = router;
	w->first.fixed = *first;
	return 1;
}

/* Its own row, or that of its prefix. */
static __always_inline const struct tn_shared *lookup_shared(const struct tn_addr *a)
{
	const struct tn_shared *found = bpf_map_lookup_elem(&by_shared, a);
	struct scratch *w;

	if (found || !tn_find_prefix(a, 0))
		return found;
	w = scratch_get();
	return w ? bpf_map_lookup_elem(&by_shared, &w->first.fixed) : NULL;
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
	struct scratch *w = scratch_get();
	const struct tn_fixed *found;

	if (!w)
		return NULL;
	w->first.router = router;
	w->first.fixed = *a;
	found = bpf_map_lookup_elem(&by_fixed, &w->first);
	return found || !tn_find_prefix(a, router) ? found
						   : bpf_map_lookup_elem(&by_fixed, &w->first);
}

/* `with` is what a row has for the address `a`: it becomes the address that replaces that. */
static __always_inline void translate_by(struct tn_addr *with, __u32 flags, const struct tn_addr *a)
{
	if (!(flags & TN_SHARED_PREFIX))
		return;
	for (int i = 0; i < 4; i++)
		with->w[i] ^= a->w[i];
}

/* A shared address becomes that by which the tables name its mapping: of a prefix the first one. */
static __always_inline void name_mapping(struct tn_addr *shared, __u32 flags)
{
	__u32 bits = flags >> TN_PREFIX_BITS;

	if (!(flags & TN_SHARED_PREFIX))
		return;
	for (int i = 3; i >= 0; i--) {
		__u32 cut = bits < 32 ? bits : 32;

		shared->w[i] &= bpf_htonl((__u32)(~0ULL << cut));
		bits -= cut;
	}
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
