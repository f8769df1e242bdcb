/* SPDX-License-Identifier: GPL-2.0-only */
/* What VMs have opened themselves: the only state that there is of connections. */
#ifndef TN_BPF_FLOWS_H
#define TN_BPF_FLOWS_H

#include "account.h"
#include "rules.h"

/* `ports`: the service of the peer's end, and above it the port of the VM's. */
static __always_inline void flow_key(struct scratch *w, __u32 proto, __u32 ports)
{
	struct tn_flow_key *key = &w->flow; /* field by field: there is no room on the stack */

	key->peer = w->endpoints.peer;
	key->fixed = w->endpoints.fixed;
	key->shared = w->endpoints.shared;
	key->service = ports;
	key->port = ports >> 16;
	key->proto = proto;
}

static __always_inline __u32 flow_ports(__u16 service, __u16 port)
{
	return service | (__u32)port << 16;
}

/* Those of the router; NULL: it has none. */
static __always_inline void *flows_of(const struct scratch *w)
{
	__u32 router = w->self.router;

	return bpf_map_lookup_elem(&flows, &router);
}

static __always_inline bool flow_is_live(const struct tn_flow *f, const struct endpoints *e)
{
	return f->expires > seconds() && f->tenant == e->peer_tenant && f->owner == e->tenant;
}

__noinline int tn_flow_lives(__u32 proto, __u32 ports)
{
	struct scratch *w = scratch_get();
	const struct tn_flow *f;
	void *open;

	if (!w)
		return 0;
	open = flows_of(w);
	if (!open)
		return 0;
	flow_key(w, proto, ports);
	f = bpf_map_lookup_elem(open, &w->flow);
	return f && flow_is_live(f, &w->endpoints);
}

static __always_inline __u32 flow_life(__u8 class)
{
	switch (class) {
	case TN_CLASS_TCP:
	case TN_CLASS_SCTP:
	case TN_CLASS_DCCP:
		return TN_FLOW_TCP;
	case TN_CLASS_UDP:
	case TN_CLASS_UDPLITE:
		return TN_FLOW_UDP;
	case TN_CLASS_ICMP:
	case TN_CLASS_ICMPV6:
		return TN_FLOW_ICMP;
	default:
		return TN_FLOW_OTHER;
	}
}

/* Whether that was in the last `life` seconds; 0: it never was. */
static __always_inline bool is_recent(__u32 since, __u32 life)
{
	return since && since + life > seconds();
}

/* The row that w->service names, in the last `life` seconds. Global, as tn_rule_in_row(). */
__noinline int tn_was_withdrawn(__u32 life)
{
	struct scratch *w = scratch_get();
	const __u32 *since = w ? bpf_map_lookup_elem(&withdrawn, &w->service) : NULL;

	return since && is_recent(*since, life);
}

/*
 * Whether a rule of the VM's tenant that is no more accepted this service of the VM, and not
 * longer ago than a flow lives. First those that have ended, which tn_rule() has just met; then the
 * row that says whether there is anything else to look for.
 * A rule for all ports says nothing about which end is the server's: but for TCP, which
 * is_opening() knows, that is then the one with the lower port.
 */
__noinline int tn_was_accepted(__u32 class, __u32 ports)
{
	struct scratch *w = scratch_get();
	struct tn_service_key *key;
	__u32 life = flow_life(class), service = ports >> 16;
	bool any = false, all = class == TN_CLASS_TCP || service <= (ports & 0xffff);

	if (!w)
		return 0;
	if (is_recent(w->ended_since, life) || (all && is_recent(w->ended_all_since, life)))
		return 1;
	key = &w->service;
	*key = (struct tn_service_key){ .accept.tenant = w->endpoints.tenant,
					.class = TN_WITHDRAWN_ANY };
	for (__u32 i = 0; i < 2 && !any; i++) {
		key->accept.from = i ? 0 : w->endpoints.peer_tenant;
		any = tn_was_withdrawn(life);
	}
	if (!any)
		return 0;
		/* the flags say what there is now, not what there was */
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 * FROM_KINDS; i++) {
		__u32 kind = i % FROM_KINDS;

		key->accept.from = kind == FROM_ANY ? 0 : w->endpoints.peer_tenant;
		key->accept.sender = (struct tn_addr){};
		if (kind == FROM_SENDER)
			tn_rule_end(true, true);
		if (i == FROM_KINDS)
			tn_rule_end(false, false);
		key->class = TN_WITHDRAWN_ALL;
		key->shift = key->block = 0;
		if (all && tn_was_withdrawn(life))
			return 1;
		key->class = class;
#pragma clang loop unroll(disable)
		for (__u32 shift = 0; shift <= TN_SHIFT_ALL; shift += TN_SHIFT_STEP) {
			key->shift = shift;
			key->block = service >> shift;
			if ((all || shift < TN_SHIFT_ALL) && tn_was_withdrawn(life))
				return 1;
		}
	}
	return 0;
}

/* Whether a packet begins a flow by what it is; 0 for `tcp`: it has no such flags. */
static __always_inline bool is_opening(__u8 class, __u32 tcp)
{
	if (class == TN_CLASS_TCP)
		return (tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return class == TN_CLASS_ICMP ||
	       class == TN_CLASS_ICMPV6; /* a request: see policy_open() */
}

/*
 * The VM has sent a packet of that flow: `tcp` are its TCP flags. What is not there any more is
 * made again, so that a flow that had to make room for others comes back by itself. 0: it is
 * not there, and the packet does not say that it opens one; with FLOW_MAKE it is made.
 */
#define FLOW_MAKE 0x10000
__noinline int tn_flow_refresh(__u32 class_proto, __u32 ports, __u32 tcp)
{
	struct scratch *w = scratch_get();
	__u8 class = class_proto >> 8;
	__u32 life = flow_life(class);
	struct tn_flow new = {};
	struct tn_drops *count;
	struct tn_flow *f;
	void *open;
	bool lives;

	if (!w)
		return 1;
	open = flows_of(w);
	if (!open)
		return 1;
	flow_key(w, class_proto & 0xff, ports);
	f = bpf_map_lookup_elem(open, &w->flow);
	new.tenant = w->endpoints.peer_tenant;
	new.owner = w->endpoints.tenant;
	lives = f && flow_is_live(f, &w->endpoints);
	if (!lives && !(class_proto & FLOW_MAKE) && !is_opening(class, tcp))
		return 0;
	/* it says that there is no connection, whatever was let in */
	if (!lives && tcp & TCP_RST)
		return 1;
	if (lives && !(tcp & TCP_SYN))
		new.flags = f->flags;
	if (tcp & (TCP_FIN | TCP_RST))
		new.flags |= TN_FLOW_CLOSING;
	if (tcp & TCP_SYN || new.flags &TN_FLOW_CLOSING)
		life = TN_FLOW_TCP_BRIEF;
	new.expires = seconds() + life;
	if (f) {
		/* several CPUs share it: no write that changes nothing */
		if (f->expires != new.expires)
			f->expires = new.expires;
		if (f->flags != new.flags)
			f->flags = new.flags;
		if (f->tenant != new.tenant)
			f->tenant = new.tenant;
		if (f->owner != new.owner)
			f->owner = new.owner;
		return 1;
	}
	if (bpf_map_update_elem(open, &w->flow, &new, BPF_ANY))
		return 1;
	count = router_counters(w->self.router);
	if (count)
		count->flows_opened++;
	return 1;
}

#endif
