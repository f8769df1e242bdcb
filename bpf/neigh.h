/* SPDX-License-Identifier: GPL-2.0-only */
/* ARP for addresses that the kernel does not own. */
#ifndef TN_BPF_NEIGH_H
#define TN_BPF_NEIGH_H

/* ARP over Ethernet for IPv4 (RFC 826); <linux/if_arp.h> cannot be had without a libc. */
struct arp_v4 {
	__be16 hrd;
	__be16 pro;
	__u8 hln;
	__u8 pln;
	__be16 op;
	__u8 sha[ETH_ALEN];
	__be32 spa;
	__u8 tha[ETH_ALEN];
	__be32 tpa;
} __attribute__((packed));

enum { ARP_ETHERNET = 1, ARP_REQUEST = 1, ARP_REPLY = 2 };

static __always_inline struct arp_v4 *arp_of(struct pkt *p)
{
	struct arp_v4 *arp;

	if (!pkt_pull(p, ETH_HLEN + sizeof(*arp)))
		return NULL;
	arp = p->data + ETH_HLEN;
	if (arp->hrd != bpf_htons(ARP_ETHERNET) || arp->pro != bpf_htons(ETH_P_IP) ||
	    arp->hln != ETH_ALEN || arp->pln != 4)
		return NULL;
	return arp;
}

/*
 * A request for one of this router's mapped addresses is answered, also a probe
 * for a duplicate (RFC 5227, sender address zero). Requests for addresses that
 * are not on the shared network are dropped: the kernel would answer them for any
 * address that it has on any interface. All else is the kernel's.
 */
static __always_inline enum tn_verdict arp_in(struct pkt *p)
{
	struct arp_v4 *arp = arp_of(p);
	struct tn_addr target, sender;
	const struct tn_shared *ours;
	struct ethhdr *eth;

	if (!arp || arp->op != bpf_htons(ARP_REQUEST))
		return TN_PASS;
	target = addr_v4(arp->tpa);
	sender = addr_v4(arp->spa);
	if (arp->spa && !in_shared_subnets(&sender))
		return drop(p, TN_DROP_FOREIGN_SOURCE);
	ours = lookup_ours(&target);
	if (!ours && !in_shared_subnets(&target))
		return drop(p, TN_DROP_DIRECT_TO_PRIVATE);
	if (!ours || !(ours->flags & TN_SHARED_MAPPED) || arp->spa == arp->tpa)
		return TN_PASS;

	eth = p->data;
	arp->op = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->tha, arp->sha, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, arp->sha, ETH_ALEN);
	arp->tpa = arp->spa;
	arp->spa = target.w[3];
	for (int i = 0; i < ETH_ALEN; i++)
		arp->sha[i] = eth->h_source[i] = tn_mac[i];
	return TN_ANSWER;
}

/* What the router asks and answers itself must not tell the shared network a private address. */
static __always_inline enum tn_verdict arp_out(struct pkt *p)
{
	struct arp_v4 *arp = arp_of(p);
	struct tn_addr sender;

	if (!arp)
		return TN_PASS;
	sender = addr_v4(arp->spa);
	if (arp->spa && !in_shared_subnets(&sender))
		return drop(p, TN_DROP_UNTRANSLATED);
	return TN_PASS;
}

#endif
