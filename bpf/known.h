/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What XDP sends on itself of packets of which all is known: as plain.h would do it, and tried
 * before that. It keeps nothing when it fails, so that the compiler needs no memory for what one
 * attempt would leave to the next; and what is known of an IPv4 packet is looked at with little
 * more than its way and its counters.
 */
#ifndef TN_BPF_KNOWN_H
#define TN_BPF_KNOWN_H

#include "plain.h"

/* ---------------------------------------------------------------- IPv4 */

/* TCP or UDP over IPv4. */
struct four {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *l4; /* of TCP the ports are at the same place */
	void *end;
	__sum16 *check; /* in the header at l4 */
	__u32 len;	/* of the IP packet */
	__u32 class;
};

static __always_inline bool four_begin(struct four *f, const struct xdp_md *xdp)
{
	f->end = (void *)(long)xdp->data_end;
	f->eth = (void *)(long)xdp->data;
	f->ip = (void *)(f->eth + 1);
	f->l4 = (void *)(f->ip + 1);
	return (void *)(f->l4 + 1) <= f->end && mac_is_ours(f->eth->h_dest);
}

static __always_inline struct tn_way *four_way(const struct four *f)
{
	struct tn_addr vm = addr_v4(f->ip->daddr), peer = addr_v4(f->ip->saddr);

	return way_at(way_place(&vm, &peer, TN_WAY_IN));
}

/* See plain_v4() and plain_l4(). */
static __always_inline bool four_is_plain(struct four *f)
{
	const struct iphdr *ip = f->ip;
	const __u32 *w = (const __u32 *)ip;

	f->len = bpf_ntohs(ip->tot_len);
	return *(const __u8 *)ip == IPV4_PLAIN && ip->ttl > 1 &&
	       !(ip->frag_off & bpf_htons(IP_OFFSET | IP_MORE_FRAGMENTS)) &&
	       csum_fold_few((__u64)w[0] + w[1] + w[2] + w[3] + w[4]) == 0xffff &&
	       (void *)f->eth + ETH_HLEN + f->len == f->end;
}

static __always_inline bool four_l4(struct four *f)
{
	struct tcphdr *tcp = (void *)f->l4;

	switch (f->ip->protocol) {
	case IPPROTO_UDP:
		f->class = TN_CLASS_UDP;
		f->check = &f->l4->check;
		return true;
	case IPPROTO_TCP:
		f->class = TN_CLASS_TCP;
		f->check = &tcp->check;
		return (void *)(tcp + 1) <= f->end;
	default:
		return false;
	}
}

/* See way_is_of() and way_leads(); what XDP can send to is an interface. */
static __always_inline bool four_is_led(const struct four *f, const struct tn_way *way)
{
	return !((way->whose ^ (way_whose(true, TN_WAY_IN) | TN_WAY_XDP)) |
		 (way->peer ^ f->ip->saddr) | (way->vm ^ f->ip->daddr)) &&
	       f->len <= way->mtu && way->until > bpf_jiffies64() &&
	       mac_equal(f->eth->h_source, way->sender);
}

/* See is_known(). */
static __always_inline bool four_is_accepted(const struct four *f, const struct tn_way *way,
					     __u64 change)
{
	return way->rule && way_holds(way, change) &&
	       (way->service == TN_WAY_ANY ||
		way->service == (f->class << 16 | bpf_ntohs(f->l4->dest)));
}

/* See csum_is_partial(). */
static __always_inline bool four_is_partial(const struct four *f)
{
	const struct iphdr *ip = f->ip;
	__u32 sum = csum_fold_few((__u64)ip->saddr + ip->daddr + bpf_htons(f->len - sizeof(*ip)) +
				  bpf_htons(ip->protocol));

	return (__u16)(sum + (sum >> 16)) == *f->check;
}

/* See nat_rewrite(). A hop less is the same difference in every packet. */
static __always_inline void four_translate(struct four *f, __be32 now)
{
	__u32 diff = csum_fold_few((__u64)(__u32)~f->ip->daddr + now);
	bool udp = f->class == TN_CLASS_UDP;

	f->ip->check = csum_apply_few(f->ip->check, diff + (__u16)~bpf_htons(1 << 8));
	f->ip->ttl--;
	f->ip->daddr = now;
	if (diff == 0xffff || (udp && !*f->check))
		return;
	*f->check = csum_apply_few(*f->check, diff);
	if (udp && !*f->check)
		*f->check = 0xffff;
}

#define NOT_KNOWN (-1)

static __always_inline int known_v4(struct xdp_md *xdp)
{
	__u64 change = changes_so_far();
	struct pkt p = { .packets = 1 };
	const struct tn_way *way;
	struct four f;

	if (is_watched() || !four_begin(&f, xdp) || !four_is_plain(&f) || !four_l4(&f))
		return NOT_KNOWN;
	way = four_way(&f);
	if (!way || !four_is_led(&f, way) || !four_is_accepted(&f, way, change) ||
	    four_is_partial(&f))
		return NOT_KNOWN;
	four_translate(&f, way->now);
	p.data = f.eth;
	p.data_end = f.end;
	p.ip_bytes = f.len;
	p.rule = way->rule;
	count_in(&p, record_there(way->record));
	account(&p, TN_TRANSLATED);
	return plain_send_xdp(&p, way);
}

/* ---------------------------------------------------------------- IPv6 */

static __always_inline int known_v6(struct xdp_md *xdp)
{
	struct course c = { .to = TN_WAY_IN, .past = true, .change = changes_so_far() };
	const struct tn_way *by;
	struct pkt p = {};
	struct plain q;

	if (!plain_init_xdp(&p, xdp) || is_watched() || !plain_v6(&p) || !plain_l4(&p, &q) ||
	    !course_begin(&p, &c) || !is_known(&c, &q) || !(c.way->whose & TN_WAY_XDP) ||
	    plain_known(&p, &c, &by) != TN_TRANSLATED)
		return NOT_KNOWN;
	account(&p, TN_TRANSLATED);
	return plain_send_xdp(&p, c.way);
}

/* The action for a packet of which all is known, and else NOT_KNOWN, with nothing done. */
static __always_inline int known_xdp(struct xdp_md *xdp)
{
	const struct ethhdr *eth = (void *)(long)xdp->data;

	if (!tn_forward_fast || tn_xdp_guards_only ||
	    (void *)(eth + 1) > (void *)(long)xdp->data_end)
		return NOT_KNOWN;
	switch (eth->h_proto) {
	case bpf_htons(ETH_P_IP):
		return known_v4(xdp);
	case bpf_htons(ETH_P_IPV6):
		return known_v6(xdp);
	default:
		return NOT_KNOWN;
	}
}

#endif
