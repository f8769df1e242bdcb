/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the router tells the sender of a packet that it does not pass, where the kernel never gets
 * to see it: ICMP errors (RFC 792, RFC 4443, RFC 1812 4.3), made of the frame itself.
 */
#ifndef TN_BPF_TELL_H
#define TN_BPF_TELL_H

#include "icmp.h"
#include "nat.h"
#include "resolve.h"

#define TELL_RATE  100 /* errors a second, of one router */
#define TELL_BURST 50
/* Bytes of a packet that are quoted: the headers, and what tells programs apart. */
#define TELL_QUOTE 128

#define ICMP_UNREACHABLE_HOST	 0x0301 /* type and code: RFC 792 */
#define ICMPV6_UNREACHABLE_ROUTE 0x0100 /* RFC 4443, 3.1 */
#define TOS_INTERNET_CONTROL	 0xc0	/* RFC 1812, 4.3.2.5 */

struct icmp_head {
	__be16 kind; /* type and code */
	__sum16 check;
	__be32 rest;
};

/* In front: two bytes, so that what is behind the Ethernet header is aligned. */
struct error_v4 {
	__u8 pad[2];
	struct ethhdr eth;
	struct iphdr ip;
	struct icmp_head icmp;
} __attribute__((packed, aligned(4)));

struct error_v6 {
	__u8 pad[2];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct icmp_head icmp;
} __attribute__((packed, aligned(4)));

#define ERROR_PAD 2

struct telling {
	struct error_v4 four;
	struct error_v6 six;
	__u32 quote[TELL_QUOTE / 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct telling);
} tellings SEC(".maps");

/* What is judged of the frame: offsets, and the protocol of the header at l4. */
struct told {
	__u32 len; /* of the IP packet */
	__u32 l4;
	__u32 proto;
};

/*
 * The sum of what is quoted. A checksum that is left to the device is finished behind us: from
 * where it starts to the end the sum then is the complement of what the field holds now (LCO,
 * Documentation/networking/checksum-offloads.rst). Negative: it cannot be read.
 */
static __always_inline __s64 tell_quote(struct __sk_buff *skb, struct telling *t,
					const struct told *told, __u32 *quoted)
{
	__u32 n = told->len, field;
	__sum16 seed;
	__s64 sum = 0;

	if (n > TELL_QUOTE)
		n = TELL_QUOTE;
	*quoted = n;
	switch (tn_left_where(skb, told->l4, told->proto)) {
	case LEFT_NONE:
		break;
	case LEFT_AT_L4:
		n = told->l4 - ETH_HLEN;
		field = told->l4 + csum_left_offset[told->proto & 0xff];
		if (bpf_skb_load_bytes(skb, field, &seed, sizeof(seed)))
			return -1;
		sum = (__u16)~seed;
		break;
	default:
		return -1;
	}
	/* each bound by itself: see report_send() */
	asm volatile("" : "+r"(n));
	if (n < sizeof(struct iphdr))
		return -1;
	asm volatile("" : "+r"(n));
	if (n > TELL_QUOTE)
		return -1;
	__builtin_memset(t->quote, 0, sizeof(t->quote));
	if (bpf_skb_load_bytes(skb, ETH_HLEN, t->quote, n))
		return -1;
	return bpf_csum_diff(NULL, 0, t->quote, sizeof(t->quote), sum);
}

/* Its checksum field is zero, and it lies as the verifier wants words. */
static __always_inline __sum16 ipv4_checksum(const struct iphdr *ip)
{
	const __u32 *w = (const void *)ip;

	return ~csum_fold16((__u64)w[0] + w[1] + w[2] + w[3] + w[4]);
}

static __always_inline bool has_own_address(const struct tn_router_port *port, bool v4)
{
	const struct tn_addr *own = &port->own[v4 ? 0 : 1];

	return own->w[0] | own->w[1] | own->w[2] | own->w[3];
}

/* Back to where the frame came from. */
static __always_inline bool tell_turn_round(struct __sk_buff *skb, struct ethhdr *eth, __be16 proto)
{
	eth->h_proto = proto;
	return !bpf_skb_load_bytes(skb, ETH_ALEN, eth->h_dest, ETH_ALEN) &&
	       !bpf_skb_load_bytes(skb, 0, eth->h_source, ETH_ALEN);
}

static __always_inline bool tell_v4(struct __sk_buff *skb, struct telling *t, __be32 own, __be32 to,
				    __u32 quoted, __s64 sum)
{
	struct error_v4 *e = &t->four;

	__builtin_memset(e, 0, sizeof(*e));
	if (!tell_turn_round(skb, &e->eth, bpf_htons(ETH_P_IP)))
		return false;
	e->ip.version = 4;
	e->ip.ihl = sizeof(e->ip) / 4;
	e->ip.tos = TOS_INTERNET_CONTROL;
	e->ip.tot_len = bpf_htons(sizeof(e->ip) + sizeof(e->icmp) + quoted);
	e->ip.ttl = 64;
	e->ip.protocol = IPPROTO_ICMP;
	e->ip.saddr = own;
	e->ip.daddr = to;
	e->ip.check = ipv4_checksum(&e->ip);
	e->icmp.kind = bpf_htons(ICMP_UNREACHABLE_HOST);
	e->icmp.check = ~csum_fold16((__u32)sum + (__u64)e->icmp.kind);
	return !bpf_skb_change_head(skb, sizeof(*e) - ERROR_PAD - ETH_HLEN, 0) &&
	       !bpf_skb_store_bytes(skb, 0, &e->eth, sizeof(*e) - ERROR_PAD, 0);
}

static __always_inline bool tell_v6(struct __sk_buff *skb, struct telling *t,
				    const struct tn_addr *own, const struct tn_addr *to,
				    __u32 quoted, __s64 sum)
{
	struct error_v6 *e = &t->six;
	__u32 len = sizeof(e->icmp) + quoted;
	__u64 pseudo;

	__builtin_memset(e, 0, sizeof(*e));
	if (!tell_turn_round(skb, &e->eth, bpf_htons(ETH_P_IPV6)))
		return false;
	e->ip.version = 6;
	e->ip.payload_len = bpf_htons(len);
	e->ip.nexthdr = IPPROTO_ICMPV6;
	e->ip.hop_limit = 64;
	__builtin_memcpy(&e->ip.saddr, own, sizeof(*own));
	__builtin_memcpy(&e->ip.daddr, to, sizeof(*to));
	pseudo = (__u64)own->w[0] + own->w[1] + own->w[2] + own->w[3] + to->w[0] + to->w[1] +
		 to->w[2] + to->w[3] + bpf_htonl(len) + bpf_htonl(IPPROTO_ICMPV6);
	e->icmp.kind = bpf_htons(ICMPV6_UNREACHABLE_ROUTE);
	e->icmp.check = ~csum_fold16((__u32)sum + pseudo + e->icmp.kind);
	return !bpf_skb_change_head(skb, sizeof(*e) - ERROR_PAD - ETH_HLEN, 0) &&
	       !bpf_skb_store_bytes(skb, 0, &e->eth, sizeof(*e) - ERROR_PAD, 0);
}

/*
 * Makes of the frame, whose packet is for nobody on this router's routes, the error to its sender.
 * False: it is not to be told, or not so often. Global, because there is little room on the stack.
 */
__noinline int tn_unreachable(struct __sk_buff *skb, __u32 len, __u32 l4, __u32 proto, __u32 v4)
{
	const struct told told = { .len = len, .l4 = l4, .proto = proto & 0xff };
	struct scratch *w = scratch_get();
	const struct tn_router_port *port = self_port(w);
	__u32 zero = 0, quoted;
	struct telling *t;
	struct buckets *b;
	__s64 sum;

	t = bpf_map_lookup_elem(&tellings, &zero);
	if (!w || !port || !t)
		return 0;
	b = buckets_of(w->self.router);
	if (!b || !has_own_address(port, v4) ||
	    tn_place_in_subnets(&w->said.dst) == SUBNET_BROADCAST ||
	    !bucket_take(&b->tell, bpf_ktime_get_ns(), NS_PER_S / TELL_RATE,
			 TELL_BURST * NS_PER_S / TELL_RATE))
		return 0;
	sum = tell_quote(skb, t, &told, &quoted);
	if (sum < 0 || bpf_skb_change_tail(skb, ETH_HLEN + quoted, 0))
		return 0;
	return v4 ? tell_v4(skb, t, port->own[0].w[3], w->said.src.w[3], quoted, sum)
		  : tell_v6(skb, t, &port->own[1], &w->said.src, quoted, sum);
}

/* One host's, as a source has to be that is answered (RFC 1122, 3.2.2; RFC 4443, 2.4). */
static __always_inline bool is_single_host(const struct tn_addr *a, bool v4)
{
	__u32 last = bpf_ntohl(a->w[3]), first = last >> 24;

	if (v4)
		return first && first != 127 && first < 224;
	return !addr_is_multicast(a, false) && (a->w[0] | a->w[1] | a->w[2] || last > 1);
}

/*
 * Whether its sender is told of a packet: not about errors, and not this router, whose kernel would
 * not take it in. Global, as the other.
 */
__noinline int tn_may_be_told(struct __sk_buff *skb, __u32 l4, __u32 proto, __u32 v4)
{
	struct pkt p = { .ctx = skb, .l4 = l4, .proto = proto, .v4 = v4 };
	struct scratch *w = scratch_get();
	const struct tn_shared *ours;

	if (!w || !is_single_host(&w->said.src, v4) || addr_is_multicast(&w->said.dst, v4) ||
	    icmp_kind(&p) != ICMP_OTHER)
		return 0;
	ours = lookup_ours(w->self.router, &w->said.src);
	return !ours || !(ours->flags & TN_SHARED_OWN);
}

static __always_inline int tell(struct pkt *p, struct __sk_buff *skb)
{
	if (!p->told || p->later_fragment || !tn_may_be_told(skb, p->l4, p->proto, p->v4) ||
	    !tn_unreachable(skb, p->ip_bytes, p->l4, p->proto, p->v4))
		return TC_ACT_SHOT;
	skb->mark = 0; /* it was the packet's */
	return bpf_redirect(skb->ifindex, 0);
}

#endif
