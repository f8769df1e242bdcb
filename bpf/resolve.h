/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Neighbours that the kernel does not know. Its table has room for 1,024 (net.ipv4.neigh.default
 * .gc_thresh3), for all namespaces of the machine together, and one that does not answer takes a
 * place for seconds: so no router may have it ask for more than so many at once.
 */
#ifndef TN_BPF_RESOLVE_H
#define TN_BPF_RESOLVE_H

#include "bucket.h"
#include "route.h"

#define RESOLVE_TIME 3	  /* seconds for which the kernel asks (mcast_solicit times retrans_time) */
#define RESOLVE_MAX  4096 /* of all routers: few have any at a time */

/* Whom the kernel has been allowed to ask for, and until when that holds, in seconds. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RESOLVE_MAX);
	__type(key, struct tn_fixed_key);
	__type(value, __u32);
} unresolved SEC(".maps");

/* Of each router; see bucket_take(). */
struct buckets {
	__u64 resolve;
	__u64 tell;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TN_ROUTERS_MAX);
	__type(key, __u32);
	__type(value, struct buckets);
} buckets SEC(".maps");

static __always_inline struct buckets *buckets_of(__u32 router)
{
	return bpf_map_lookup_elem(&buckets, &router);
}

/* Whether the kernel may take up that neighbour, whom it does not know. */
static __always_inline bool may_resolve(__u32 router, const struct tn_addr *neighbour)
{
	struct tn_fixed_key key = { .router = router, .fixed = *neighbour };
	struct buckets *b = buckets_of(router);
	const __u32 *until;
	__u32 new;

	if (!b)
		return false;
	until = bpf_map_lookup_elem(&unresolved, &key);
	if (until && *until > seconds())
		return true;
	if (!bucket_take(&b->resolve, bpf_ktime_get_ns(), NS_PER_S / TN_RESOLVE_RATE,
			 TN_RESOLVE_BURST * NS_PER_S / TN_RESOLVE_RATE))
		return false;
	new = seconds() + RESOLVE_TIME;
	bpf_map_update_elem(&unresolved, &key, &new, BPF_ANY);
	return true;
}

__noinline int tn_may_resolve(const struct tn_addr *neighbour)
{
	struct scratch *w = scratch_get();

	return w && neighbour && may_resolve(w->self.router, neighbour);
}

/*
 * Somebody on the shared network, or inside, makes himself known to the kernel by what he sends by
 * that interface: whom it knows there already it may go on knowing.
 */
__noinline int tn_may_be_known(struct __sk_buff *skb, __u32 ifindex, const struct tn_addr *sender)
{
	struct scratch *w = scratch_get();
	struct tn_addr nobody = {}, copy;

	if (!w || !sender)
		return 0;
	copy = *sender;
	if (!addr_is_link_local(&copy, false) &&
	    fib_route(skb, ifindex, &nobody, &copy, 0, &w->fib) == BPF_FIB_LKUP_RET_SUCCESS &&
	    w->fib.ifindex == ifindex)
		return 1;
	return may_resolve(w->self.router, &copy);
}

static __always_inline enum tn_verdict resolve_sender(struct pkt *p, __u32 ifindex,
						      const struct tn_addr *sender)
{
	return tn_may_be_known(p->ctx, ifindex, sender) ? TN_GO_ON : drop(p, TN_DROP_UNRESOLVED);
}

#endif
