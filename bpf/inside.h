/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What VMs send, where it comes in. What is translated goes between the shared interface and an
 * inside one; what leads anywhere else is dropped.
 */
#ifndef TN_BPF_INSIDE_H
#define TN_BPF_INSIDE_H

#include "shared_in.h"
#include "shared_out.h"

/*
 * What a VM sends to an address of this router itself. The router sees the VM by its shared
 * address where the rules know the VM by it: so it can talk to its VMs by these. Else it goes to
 * the router as it is.
 */
static __always_inline enum tn_verdict
judge_to_own(struct pkt *p, enum icmp_kind icmp, struct scratch *w, const struct tn_fixed *mapping)
{
	enum tn_verdict v;

	if (!mapping || icmp == ICMP_ND)
		return TN_PASS;
	v = judge_mapped_out(p, icmp, w, mapping);
	if (v == TN_TRANSLATED)
		return TN_TURN_BACK;
	/* what the rules do not know has not been changed */
	return v == TN_DROP && (p->reason == TN_DROP_INTERNAL || p->reason == TN_DROP_LIMIT ||
				p->reason == TN_DROP_MALFORMED)
		       ? v
		       : TN_PASS;
}

/*
 * A frame from a VM, of which only what goes to the shared subnets is judged. No VM sends as
 * a shared address, anybody's. What goes to a shared address of this very router turns back
 * (hairpin): its source is translated here, and the shared interface takes it in as if it had
 * come over the shared network, so that either VM sees the other by its shared address, and
 * the kernel forwards it once.
 */
static __always_inline enum tn_verdict handle_inside(struct pkt *p, __u32 pkt_type)
{
	__u16 ethertype = pkt_ethertype(p);
	const struct tn_shared *ours;
	const struct tn_fixed *mapping;
	struct scratch *w = scratch_get();
	struct endpoints *e = &w->endpoints;
	enum icmp_kind icmp;
	enum tn_verdict v;
	int fault;

	if (pkt_type == PACKET_OTHERHOST)
		return TN_PASS;
	if (ethertype == ETH_P_ARP)
		return verdict_unpack(p, tn_arp_inside(p->ctx));
	if (is_wrapped(ethertype))
		return drop(p, TN_DROP_MALFORMED);
	if (ethertype != ETH_P_IP && ethertype != ETH_P_IPV6)
		return TN_PASS;
	fault = pkt_parse(p, ethertype);
	if (fault == TN_DROP_BAD_CHECKSUM)
		return TN_PASS; /* the kernel's to drop */
	/* addresses that could not be read are nobody's, and the packet the kernel's to drop */
	if (!w)
		return drop(p, TN_DROP_INTERNAL);
	e->fixed = w->said.src = pkt_copy(&p->src);
	e->peer = w->said.dst = pkt_copy(&p->dst);
	p->told = true;
	if (in_shared_subnets(&e->fixed))
		return drop(p, TN_DROP_SPOOFED_SOURCE);
	if (!p->v4 && fault == PKT_SOUND && icmp_kind(p) == ICMP_ND)
		return nd_inside(p, w);
	if (pkt_type != PACKET_HOST || !in_shared_subnets(&e->peer))
		return TN_PASS;
	/* what is for this host itself is the kernel's */
	if (is_standby(w))
		return is_kernels_own(w, &e->peer, p->v4) ? TN_PASS : drop(p, TN_DROP_STANDBY);
	if (fault != PKT_SOUND)
		return drop(p, fault);
	if (!is_judged_whole(p))
		return drop(p, TN_DROP_MALFORMED);
	if (is_loose(w)) {
		if (tn_is_of_no_vm(p->ctx))
			return drop(p, TN_DROP_SPOOFED_SOURCE);
	} else {
		v = check_reverse_path(p);
		if (v != TN_GO_ON)
			return v;
	}
	if (w->self.flags & TN_PORT_BINDS && !tn_comes_from_vm(p->ctx))
		return drop(p, TN_DROP_WRONG_MAC);
	ours = lookup_ours(w->self.router, &e->peer);
	mapping = ours || tn_forward_fast ? lookup_fixed(w->self.router, &e->fixed) : NULL;
	icmp = icmp_kind(p);
	if (ours && ours->flags & TN_SHARED_OWN)
		return judge_to_own(p, icmp, w, mapping);
	/* what needs no more than translation leaves by the shared interface at once */
	if (!ours && (!tn_forward_fast || icmp != ICMP_OTHER || !mapping || !forward_out(p))) {
		v = check_stack(p, true, icmp == ICMP_OTHER);
		if (v != TN_GO_ON)
			return v;
		note_inside(p, w);
		return TN_PASS;
	}
	if (!mapping)
		return judge_unmapped_out(p, icmp, w);
	v = judge_mapped_out(p, icmp, w, mapping);
	return ours && v == TN_TRANSLATED ? TN_TURN_BACK : v;
}

#endif
