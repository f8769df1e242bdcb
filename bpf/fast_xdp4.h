/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What XDP sends on itself of packets of which all is known: as fast.h would do it, and tried
 * before that. It keeps nothing when it fails, so that the compiler needs no memory for what one
 * attempt would leave to the next; and what is known of an IPv4 packet is asked for by its
 * destination and its source one by one, so that it is known for very many pairs of them.
 */
#ifndef TN_BPF_FAST_XDP4_H
#define TN_BPF_FAST_XDP4_H

#include "cache.h"
#include "fast_xdp.h"
#include "veth.h"

/* ---------------------------------------------------------------- IPv4 */

/* TCP or UDP over IPv4. */
struct v4_headers {
	const struct tn_router_port *port;
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *l4; /* of TCP the ports are at the same place */
	void *end;
	__sum16 *check; /* in the header at l4 */
	__u32 len;	/* of the IP packet */
	__u32 class;
};

static __always_inline bool v4_begin(struct v4_headers *f, struct xdp_md *xdp)
{
	f->end = (void *)(long)xdp->data_end;
	f->eth = (void *)(long)xdp->data;
	f->ip = (void *)(f->eth + 1);
	f->l4 = (void *)(f->ip + 1);
	return (void *)(f->l4 + 1) <= f->end && mac_is_ours(f->port, f->eth->h_dest) &&
	       is_in_one_piece(xdp);
}

/* See fast_v4() and fast_l4(). */
static __always_inline bool v4_is_plain(struct v4_headers *f)
{
	const struct iphdr *ip = f->ip;
	const __u32 *w = (const __u32 *)ip;

	f->len = bpf_ntohs(ip->tot_len);
	return *(const __u8 *)ip == IPV4_PLAIN && ip->ttl > 1 &&
	       !(ip->frag_off & bpf_htons(IP_OFFSET | IP_MORE_FRAGMENTS)) &&
	       csum_fold_few((__u64)w[0] + w[1] + w[2] + w[3] + w[4]) == 0xffff &&
	       (void *)f->eth + ETH_HLEN + f->len == f->end;
}

static __always_inline bool v4_l4(struct v4_headers *f)
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

/* See fast_service(). */
static __always_inline __u32 v4_service(const struct v4_headers *f)
{
	return f->class << 16 | bpf_ntohs(f->l4->dest);
}

/* See csum_is_partial(). Of a veth is_for_stack() has been asked. */
static __always_inline bool v4_is_partial(const struct v4_headers *f)
{
	const struct iphdr *ip = f->ip;
	__u32 sum;

	if (tn_on_veth)
		return false;
	sum = csum_fold_few((__u64)ip->saddr + ip->daddr + bpf_htons(f->len - sizeof(*ip)) +
			    bpf_htons(ip->protocol));

	return (__u16)(sum + (sum >> 16)) == *f->check;
}

/* See nat_rewrite(). A hop less is the same difference in every packet. */
static __always_inline void v4_translate(struct v4_headers *f, __be32 now)
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

static __always_inline int v4_send(struct v4_headers *f, const struct tn_hop *hop)
{
	const __u16 *macs = (const __u16 *)hop->macs;
	__u16 *words = (__u16 *)f->eth;

	for (__u32 i = 0; i < sizeof(hop->macs) / sizeof(*words); i++)
		words[i] = macs[i];
	return bpf_redirect(hop->link, 0);
}

/*
 * The hop of that mapping. Mostly it is that of the packet before: to guess so, and
 * to compare, is to go on without having waited for the mapping.
 */
static __always_inline const struct tn_hop *v4_hop(const struct tn_cached *n, struct tn_peer *from)
{
	const struct tn_hop *h = hop_at(from->guess);

	if (h && from->guess == n->hop && h->generation == n->generation)
		return h;
	from->guess = n->hop;
	return hop_get(n->hop, n->generation);
}

/* By what is cached of the peer and of the mapping, and the next hop. */
static __always_inline enum quick fast_xdp4(const struct tn_router_port *port, struct xdp_md *xdp,
					    int *action)
{
	struct pkt p = { .packets = 1 };
	__u64 seq = table_seq_now(), now = bpf_jiffies64();
	const struct tn_hop *hop;
	struct tn_peer *from;
	struct tn_record *r;
	struct v4_headers f = { .port = port };

	if (is_watched() || !v4_begin(&f, xdp) || !v4_is_plain(&f) || !v4_l4(&f))
		return QUICK_MISS;
	from = sender_recall(port->self.router, f.ip->saddr, f.eth->h_source, v4_service(&f), seq,
			     now);
	if (!from || v4_is_partial(&f))
		return QUICK_MISS;
	r = cached_record(port->self.router, f.ip->daddr, seq);
	if (!r || r->cached.tenant != from->tenant ||
	    (r->cached.flags & (TN_SHARED_NAMED | TN_CACHED_IN)) != TN_CACHED_IN ||
	    r->cached.route_gen != route_gen_of(from->seen, f.ip->daddr, now) ||
	    !r->cached.generation)
		return QUICK_MISS;
	hop = v4_hop(&r->cached, from);
	if (!hop || !hop->xdp || !hop_is_usable(hop, f.len, now))
		return QUICK_MISS;
	v4_translate(&f, r->cached.fixed);
	p.ip_bytes = f.len;
	p.rule = from->rule;
	count_in(&p, r);
	account(&p, TN_TRANSLATED);
	*action = v4_send(&f, hop);
	return QUICK_DONE;
}

/* ---------------------------------------------------------------- IPv6 */

static __always_inline enum quick fast_xdp6(const struct tn_router_port *port, struct xdp_md *xdp,
					    int *action)
{
	struct course c = { .to = TN_PAIR_IN, .past = true, .seq = table_seq_now() };
	const struct tn_pair *by;
	struct pkt p = {};
	struct fast_packet q;

	if (!fast_init_xdp(&p, port, xdp) || is_watched() || !fast_v6(&p) || !fast_l4(&p, &q) ||
	    !course_begin(&p, &q, port->self.router, &c) || !is_known(&c, &q) ||
	    !(c.pair->whose & TN_PAIR_XDP) || fast_known(&p, &c, &by) != TN_TRANSLATED)
		return QUICK_MISS;
	account(&p, TN_TRANSLATED);
	*action = fast_send_xdp(&p, c.pair);
	return QUICK_DONE;
}

/* A packet of which all is known. QUICK_DONE: *action is what to do. */
static __always_inline enum quick fast_xdp_known(const struct tn_router_port *port,
						 struct xdp_md *xdp, int *action)
{
	const struct ethhdr *eth = (void *)(long)xdp->data;

	if (!tn_forward_fast || tn_xdp_guards_only ||
	    (void *)(eth + 1) > (void *)(long)xdp->data_end)
		return QUICK_MISS;
	switch (eth->h_proto) {
	case bpf_htons(ETH_P_IP):
		return fast_xdp4(port, xdp, action);
	case bpf_htons(ETH_P_IPV6):
		return fast_xdp6(port, xdp, action);
	default:
		return QUICK_MISS;
	}
}

#endif
