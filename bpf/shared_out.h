/* SPDX-License-Identifier: GPL-2.0-only */
/* What goes out to the shared network: what VMs send, and what the router sends itself. */
#ifndef TN_BPF_SHARED_OUT_H
#define TN_BPF_SHARED_OUT_H

#include "antispoof.h"
#include "icmp.h"
#include "limits.h"
#include "neigh.h"
#include "report.h"

/* The rewriting of what a VM may send. */
static __always_inline enum tn_verdict translate_out(struct pkt *p, enum icmp_kind icmp,
						     struct scratch *w)
{
	struct endpoints *e = &w->endpoints;
	enum tn_verdict v;

	if (p->proto == IPPROTO_AH)
		return drop(p, TN_DROP_AUTH_HEADER);
	if (icmp == ICMP_REDIRECTS)
		return drop(p, TN_DROP_ICMP_REDIRECT);
	if (icmp == ICMP_ERROR)
		return icmp_error_out(p, w);
	v = policy_out(p, w);
	return v == TN_GO_ON ? nat_rewrite(p, TN_SRC, &e->shared) : v;
}

/* What the VM at w->endpoints.fixed sends to w->endpoints.peer. */
static __always_inline enum tn_verdict judge_mapped_out(struct pkt *p, enum icmp_kind icmp,
							struct scratch *w,
							const struct tn_fixed *mapping)
{
	__u32 slot = mapping->slot;
	struct endpoints *e = &w->endpoints;
	enum tn_verdict v;

	endpoints_know_vm(e, mapping);
	endpoints_know_peer(e, lookup_shared(&e->peer));
	v = limit(p, e, LIMIT_OUT, translate_out(p, icmp, w));
	if (v == TN_TRANSLATED)
		count_out(p, record_of(slot));
	return v;
}

/* As the router sends it, or with its address; one about a hairpin is for a VM of its own. */
static __always_inline enum tn_verdict judge_error_out(struct pkt *p, struct scratch *w)
{
	enum tn_verdict v = icmp_error_on_the_way(p, w);

	return v != TN_DROP && lookup_our_mapping(w->self.router, &w->endpoints.peer) ? TN_TURN_BACK
										      : v;
}

/*
 * What w->endpoints.fixed sends to w->endpoints.peer, and is no VM with a mapping: the router's own
 * traffic, answers that we made, other routers.
 */
static __always_inline enum tn_verdict judge_unmapped_out(struct pkt *p, enum icmp_kind icmp,
							  struct scratch *w)
{
	const struct tn_addr *src = &w->endpoints.fixed;
	const struct tn_shared *ours = lookup_ours(w->self.router, src);

	if (ours && ours->flags & TN_SHARED_OWN) {
		if (!comes_from_router(p, w) || is_of_unknown_origin(p, w))
			return drop(p, TN_DROP_WRONG_INGRESS);
		w->own = *src;
		if (icmp == ICMP_ERROR || icmp == ICMP_REDIRECTS)
			return judge_error_out(p, w);
		if (icmp == ICMP_ND)
			return nd_out(p, w);
		/* nobody on the shared network answers for a VM of this router */
		return lookup_our_mapping(w->self.router, &w->endpoints.peer) ? TN_TURN_BACK
									      : TN_PASS;
	}
	if (ours && icmp == ICMP_ND && nd_is_ours(p))
		return TN_PASS;
	if (!tn_own_address(p->v4))
		return drop(p, TN_DROP_INTERNAL);
	if (icmp == ICMP_ERROR && !addr_is_unset(&w->own) && !in_shared_subnets(src))
		return comes_from_elsewhere(p) ? drop(p, TN_DROP_WRONG_INGRESS)
					       : judge_error_out(p, w);
	return drop(p, TN_DROP_UNTRANSLATED);
}

/*
 * IPv6 traffic of the link itself: to its own kind and to groups, and neighbour
 * discovery; not redirects and errors, which quote what may be translated already.
 */
static __always_inline enum tn_verdict judge_link_local_out(struct pkt *p, enum icmp_kind icmp,
							    const struct scratch *w)
{
	struct tn_addr dst = w->endpoints.peer;
	__u8 type = 0;

	if (icmp == ICMP_ERROR)
		return drop(p, TN_DROP_UNTRANSLATED);
	if (icmp == ICMP_ND) {
		if (!pkt_load(p, p->l4, &type, sizeof(type)) || type == ND_REDIRECT)
			return drop(p, TN_DROP_ICMP_REDIRECT);
		return nd_out(p, w);
	}
	if (addr_is_link_local(&dst, false) || addr_is_multicast(&dst, false))
		return TN_PASS;
	return drop(p, TN_DROP_UNTRANSLATED);
}

/* A frame on its way to the shared network. */
static __always_inline enum tn_verdict handle_shared_out(struct pkt *p)
{
	__u16 ethertype = pkt_ethertype(p);
	const struct tn_fixed *mapping;
	enum icmp_kind icmp;
	struct scratch *w = scratch_get();
	struct endpoints *e = &w->endpoints;
	enum tn_verdict v;
	int fault;

	if (ethertype == ETH_P_ARP)
		return w ? arp_out(p, w) : drop(p, TN_DROP_INTERNAL);
	if (is_wrapped(ethertype))
		return drop(p, TN_DROP_UNTRANSLATED);
	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_PASS;
	fault = pkt_parse(p, ethertype);
	if (fault != PKT_SOUND)
		return drop(p, fault);
	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	e->fixed = w->said.src = pkt_copy(&p->src);
	e->peer = w->said.dst = pkt_copy(&p->dst);
	p->told = true;
	icmp = icmp_kind(p);
	/* an error of nobody's quotes what nobody has translated */
	if (addr_is_unspecified(&e->fixed, p->v4))
		return icmp == ICMP_ERROR || icmp == ICMP_REDIRECTS ? drop(p, TN_DROP_UNTRANSLATED)
								    : TN_PASS;
	if (!p->v4 && addr_is_link_local(&e->fixed, false))
		return judge_link_local_out(p, icmp, w);
	mapping = lookup_fixed(w->self.router, &e->fixed);
	/* what tell() has made of a frame may have a checksum within its quote that is left */
	if (!mapping)
		return judge_unmapped_out(p, icmp, w);
	if (!is_judged_whole(p))
		return drop(p, TN_DROP_MALFORMED);
	if (comes_from_elsewhere(p) || is_of_unknown_origin(p, w))
		return drop(p, TN_DROP_WRONG_INGRESS);
	if (is_standby(w))
		return drop(p, TN_DROP_STANDBY);
	v = judge_mapped_out(p, icmp, w, mapping);
	/* what netfilter has answered for a VM to another one of this router */
	return v == TN_TRANSLATED && lookup_our_mapping(w->self.router, &e->peer) ? TN_TURN_BACK
										  : v;
}

#endif
