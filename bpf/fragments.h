/* SPDX-License-Identifier: GPL-2.0-only */
/* The later fragments of a datagram follow the first one, which the rules have judged. */
#ifndef TN_BPF_FRAGMENTS_H
#define TN_BPF_FRAGMENTS_H

#include "account.h"
#include "rules.h"

/* Which datagram it is a part of: RFC 791, 3.1 and RFC 8200, 4.5. */
static __always_inline bool fragment_id(struct pkt *p, __u32 *id)
{
	*id = 0;
	return p->v4 ? pkt_load(p, p->fragment + offsetof(struct iphdr, id), id, sizeof(__be16))
		     : pkt_load(p, p->fragment + offsetof(struct fragment_header, id), id,
				sizeof(*id));
}

static __always_inline void fragment_key(struct scratch *w, __u32 id, __u32 proto, __u32 out)
{
	const struct endpoints *e = &w->endpoints;
	struct tn_fragment_key *key = &w->fragment;

	key->src = out ? e->shared : e->peer;
	key->dst = out ? e->peer : e->shared;
	key->id = id;
	key->proto = proto;
}

/* Those of the router; NULL: it has none. */
static __always_inline void *fragments_of(const struct scratch *w)
{
	__u32 router = w->self.router;

	return bpf_map_lookup_elem(&fragments, &router);
}

static __always_inline __u8 fragment_proto(const struct pkt *p)
{
	return p->v4 ? p->proto : 0;
}

/* The first one was accepted by that rule, or with 0 as part of a flow: the others may follow. */
__noinline int tn_fragment_keep(__u32 id, __u32 proto, __u32 out, __u32 rule, __u32 judged)
{
	struct scratch *w = scratch_get();
	struct tn_fragment value = { .expires = seconds() + TN_FRAGMENT_LIFE,
				     .rule = rule,
				     .judged = judged };
	void *open;

	if (!w)
		return -1;
	open = fragments_of(w);
	if (!open)
		return -1;
	fragment_key(w, id, proto, out);
	return bpf_map_update_elem(open, &w->fragment, &value, BPF_ANY);
}

/* The rule that was kept so, plus one; 0: none, or what belongs `at` there was judged. */
__noinline __u64 tn_fragment_follows(__u32 id, __u32 proto, __u32 out, __u32 at)
{
	struct scratch *w = scratch_get();
	const struct tn_fragment *first;
	void *open;

	if (!w)
		return 0;
	open = fragments_of(w);
	if (!open)
		return 0;
	fragment_key(w, id, proto, out);
	first = bpf_map_lookup_elem(open, &w->fragment);
	return first && first->expires > seconds() && at >= first->judged ? (__u64)first->rule + 1
									  : 0;
}

/*
 * One that is not the first. It cannot be judged by what it does not have, nor may it overwrite
 * what was judged (RFC 1858, RFC 3128, RFC 5722). The protocol that it names itself counts in IPv4
 * alone: who puts IPv6 together goes by that of the first one (RFC 8200, 4.5).
 */
static __always_inline enum tn_verdict fragment_judge(struct pkt *p, bool out)
{
	__u64 first;
	__u32 id;

	if (p->fragment_at < l4_header_min[p->proto])
		return drop(p, TN_DROP_FRAGMENT);
	p->rule = tn_rule(false, p->v4 ? service_class[p->proto] : CLASS_NONE, SERVICE_UNKNOWN);
	if (p->rule)
		return TN_GO_ON;
	if (!fragment_id(p, &id))
		return drop(p, TN_DROP_INTERNAL);
	first = tn_fragment_follows(id, fragment_proto(p), out, p->fragment_at);
	if (!first)
		return drop(p, TN_DROP_FRAGMENT);
	p->rule = first - 1;
	p->by_flow = !p->rule;
	return TN_GO_ON;
}

/* Where the header ends by which a first fragment was judged, in bytes of the datagram. */
static __always_inline __u32 fragment_judged(const struct pkt *p)
{
	__u32 before = p->v4 ? 0 : p->l4 - p->fragment - sizeof(struct fragment_header);

	return before + l4_header_min[p->proto];
}

#endif
