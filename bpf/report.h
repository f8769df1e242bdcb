/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Telling whoever looks what became of a packet. Nobody looks, most of the time: then this is one
 * look at a map. While somebody does, a flood of events costs no more than tn_watch.rate of them.
 */
#ifndef TN_BPF_REPORT_H
#define TN_BPF_REPORT_H

#include "policy.h"

struct budget {
	__u64 second; /* of CLOCK_MONOTONIC, */
	__u64 used;   /* and events in it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct budget);
} budgets SEC(".maps");

static __always_inline bool is_translated(enum tn_verdict v)
{
	return v == TN_TRANSLATED || v == TN_TURN_BACK || v == TN_DELIVER;
}

static __always_inline bool is_traced(const struct tn_event *e, const struct tn_watch *w)
{
	return addr_equal(&e->src, &w->trace_src) && addr_equal(&e->dst, &w->trace_dst);
}

/* Whether somebody wants to know about that packet. */
static __always_inline bool is_wanted(const struct pkt *p, enum tn_verdict v, __u32 router,
				      const struct tn_watch *w)
{
	if (w->router && w->router != router)
		return false;
	if (v == TN_DROP)
		return w->reasons & 1ULL << p->reason;
	return w->sample && is_translated(v) && bpf_get_prandom_u32() % w->sample == 0;
}

static __always_inline bool is_affordable(const struct tn_watch *w, __u64 now)
{
	__u64 second = now / NS_PER_S;
	__u32 zero = 0;
	struct budget *b = bpf_map_lookup_elem(&budgets, &zero);

	if (!b)
		return false;
	if (b->second != second) {
		b->second = second;
		b->used = 0;
	}
	return b->used++ < w->rate;
}

static __always_inline void count_lost(__u32 router)
{
	struct tn_drops *d = router_counters(router);

	if (d)
		d->events_lost++;
}

static __always_inline __u8 report_verdict(enum tn_verdict v)
{
	switch (v) {
	case TN_DROP:
		return TN_EVENT_DROP;
	case TN_TRANSLATED:
		return TN_EVENT_TRANSLATED;
	case TN_TURN_BACK:
	case TN_DELIVER:
		return TN_EVENT_TURNED;
	case TN_HOLD:
		return TN_EVENT_HELD;
	default:
		return TN_EVENT_PASS;
	}
}

static __always_inline bool report_is_out(const struct tn_event *e)
{
	return e->program == TN_PROGRAM_TC_SHARED_OUT || e->program == TN_PROGRAM_TC_INSIDE_IN;
}

/* The address that was replaced, as it is now. */
static __always_inline void report_address(struct pkt *p, struct tn_event *e)
{
	bool out = report_is_out(e);

	if (e->verdict != TN_EVENT_TRANSLATED && e->verdict != TN_EVENT_TURNED)
		return;
	if (p->v4) {
		e->now.w[2] = bpf_htonl(0xffff);
		pkt_load(p,
			 ETH_HLEN + (out ? offsetof(struct iphdr, saddr)
					 : offsetof(struct iphdr, daddr)),
			 &e->now.w[3], sizeof(e->now.w[3]));
	} else {
		pkt_load(p,
			 ETH_HLEN + (out ? offsetof(struct ipv6hdr, saddr)
					 : offsetof(struct ipv6hdr, daddr)),
			 &e->now, sizeof(e->now));
	}
}

static __always_inline void report_service(struct pkt *p, struct tn_event *e)
{
	struct service s = {};

	if (p->l4 && !e->later_fragment && service_read(p, e->proto, p->l4, &s)) {
		e->sport = s.src;
		e->dport = s.dst;
	}
}

/*
 * Completes the event that report() has begun, and sends it. The frame is told as it leaves the
 * program, the addresses as they came.
 */
static __always_inline int report_send(struct pkt *p)
{
	struct scratch *w = scratch_get();
	struct tn_event *e, *out;
	__u32 n = p->len;

	if (!w)
		return 0;
	e = &w->said;
	report_service(p, e);
	report_address(p, e);
	if (n > TN_EVENT_HEAD)
		n = TN_EVENT_HEAD;
	/* each bound by itself, or the compiler makes one comparison that Linux 6.1 cannot follow
	 */
	asm volatile("" : "+r"(n));
	if (n < ETH_HLEN)
		return 0;
	asm volatile("" : "+r"(n));
	if (n > TN_EVENT_HEAD)
		return 0;
	if (pkt_load(p, 0, e->head, n))
		e->head_len = n;
	out = bpf_ringbuf_reserve(&events, sizeof(*out), 0);
	if (!out) {
		count_lost(w->self.router);
		return 0;
	}
	__builtin_memcpy(out, e, sizeof(*out));
	/* who looks does so some times a second, and is not woken for each of them */
	bpf_ringbuf_submit(out, BPF_RB_NO_WAKEUP);
	return 1;
}

/* Global, because there is no room left on the stack of the programs. */
__noinline int tn_report_xdp(struct xdp_md *xdp, __u32 l4, __u32 v4)
{
	struct pkt p = { .ctx = xdp, .xdp = true, .l4 = l4, .v4 = v4 };

	p.len = bpf_xdp_get_buff_len(xdp);
	return report_send(&p);
}

__noinline int tn_report_skb(struct __sk_buff *skb, __u32 l4, __u32 v4)
{
	struct pkt p = { .ctx = skb, .l4 = l4, .v4 = v4 };

	p.len = skb->len;
	return report_send(&p);
}

static __always_inline void report_begin(struct pkt *p, enum tn_verdict v, struct scratch *w)
{
	struct tn_event *e = &w->said;

	e->router = w->self.router;
	e->ifindex = w->self.ifindex;
	e->rule = p->rule;
	e->len = p->len;
	e->head_len = 0;
	e->sport = e->dport = 0;
	e->program = p->program;
	e->verdict = report_verdict(v);
	e->reason = p->reason;
	e->proto = p->proto;
	e->flow = p->by_flow;
	e->later_fragment = p->later_fragment;
	e->now = (struct tn_addr){};
	if (p->xdp)
		tn_report_xdp(p->ctx, p->l4, p->v4);
	else
		tn_report_skb(p->ctx, p->l4, p->v4);
}

static __always_inline void report(struct pkt *p, enum tn_verdict v)
{
	const struct tn_watch *w = &watch;
	struct tn_event *e;
	struct scratch *scratch;
	__u64 now;

	if (!w->expires)
		return;
	now = bpf_ktime_get_ns();
	scratch = scratch_get();
	if (w->expires <= now || !scratch)
		return;
	e = &scratch->said;
	e->at = now;
	/* from what is before an IP packet, or cut off in its header: nobody has told any */
	if (!p->told)
		e->src = e->dst = (struct tn_addr){};
	if (!is_traced(e, w) || addr_is_unset(&e->src)) {
		if (!is_wanted(p, v, scratch->self.router, w))
			return;
		if (!is_affordable(w, now)) {
			count_lost(scratch->self.router);
			return;
		}
	}
	report_begin(p, v, scratch);
}

#endif
