/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a packet is for the fast path: whole, without options, TCP or UDP, as nearly all of them
 * are. */
#ifndef TN_BPF_FAST_PARSE_H
#define TN_BPF_FAST_PARSE_H

#include <linux/tcp.h>

#include "classify.h"
#include "nat.h"

#define IPV4_PLAIN 0x45 /* version 4, five words (RFC 791, 3.1) */

/* The header of TCP or UDP at p->l4: `ports`, and of TCP its flags. */
struct fast_packet {
	__u16 sport; /* host byte order */
	__u16 dport;
	__u8 tcp;
	__u8 class;
};

static __always_inline bool fast_v4(struct pkt *p)
{
	struct iphdr *ip = p->data + ETH_HLEN;
	__u32 words[sizeof(*ip) / 4];

	if ((void *)(ip + 1) > p->data_end)
		return false;
	__builtin_memcpy(words, ip, sizeof(words));
	if (*(__u8 *)ip != IPV4_PLAIN || ip->ttl < 2 ||
	    ip->frag_off & bpf_htons(IP_OFFSET | IP_MORE_FRAGMENTS) ||
	    csum_fold16((__u64)words[0] + words[1] + words[2] + words[3] + words[4]) != 0xffff)
		return false;
	p->v4 = true;
	p->proto = ip->protocol;
	p->ip_bytes = bpf_ntohs(ip->tot_len);
	p->l4 = ETH_HLEN + sizeof(*ip);
	p->src = addr_v4(ip->saddr);
	p->dst = addr_v4(ip->daddr);
	return true;
}

static __always_inline bool fast_v6(struct pkt *p)
{
	struct ipv6hdr *ip = p->data + ETH_HLEN;

	if ((void *)(ip + 1) > p->data_end || *(__u8 *)ip >> 4 != 6 || ip->hop_limit < 2 ||
	    is_v4_mapped(ip->saddr.in6_u.u6_addr32) || is_v4_mapped(ip->daddr.in6_u.u6_addr32))
		return false;
	p->v4 = false;
	p->proto = ip->nexthdr;
	p->ip_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->l4 = ETH_HLEN + sizeof(*ip);
	__builtin_memcpy(&p->src, &ip->saddr, sizeof(p->src));
	__builtin_memcpy(&p->dst, &ip->daddr, sizeof(p->dst));
	return true;
}

/* All that is read later on is readable in place. */
static __always_inline bool fast_l4(struct pkt *p, struct fast_packet *q)
{
	__u32 header = p->proto == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	struct udphdr *udp = p->data + p->l4;

	if (ETH_HLEN + p->ip_bytes != p->len || p->l4 + header > p->len ||
	    (void *)udp + header > p->data_end)
		return false;
	p->l4_len = p->len - p->l4;
	q->sport = bpf_ntohs(udp->source);
	q->dport = bpf_ntohs(udp->dest);
	q->class = TN_CLASS_UDP;
	q->tcp = 0;
	if (p->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)udp;

		if ((void *)(tcp + 1) > p->data_end)
			return false;
		q->class = TN_CLASS_TCP;
		q->tcp = ((__u8 *)tcp)[TCP_FLAGS_OFFSET];
		return true;
	}
	return p->proto == IPPROTO_UDP;
}

/* See is_judged_whole(). */
static __always_inline bool fast_is_whole(const struct pkt *p)
{
	struct left left;

	if (p->xdp)
		return true;
	if (!tn_reads_kernel)
		return tn_left_where(p->ctx, p->l4, p->proto) <= LEFT_AT_L4;
	left = left_of(p->ctx);
	return !left.any ||
	       (left.start == p->l4 && left.field == (__u32)csum_offset(p->proto, p->v4));
}

static __always_inline bool fast_parse(struct pkt *p, struct fast_packet *q)
{
	struct ethhdr *eth = p->data;

	if ((void *)(eth + 1) > p->data_end)
		return false;
	switch (eth->h_proto) {
	case bpf_htons(ETH_P_IP):
		return fast_v4(p) && fast_l4(p, q) && fast_is_whole(p);
	case bpf_htons(ETH_P_IPV6):
		return fast_v6(p) && fast_l4(p, q) && fast_is_whole(p);
	default:
		return false;
	}
}

#endif
