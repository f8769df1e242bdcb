/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may talk to whom. What a rule accepts passes without any state, and so does its answer,
 * which the same rule knows by its other end. What a VM opens itself is in `flows`, and
 * only there. The number of look-ups does not depend on the number of rules: tn_abi.h, accepts.
 */
#ifndef TN_BPF_POLICY_H
#define TN_BPF_POLICY_H

#include "active.h"
#include "flows.h"
#include "fragments.h"

static __always_inline enum tn_verdict accepted(struct pkt *p, bool out)
{
	__u32 id;

	if (!p->fragment)
		return TN_GO_ON;
	return fragment_id(p, &id) && !tn_fragment_keep(id, fragment_proto(p), out, p->rule,
							fragment_judged(p))
		       ? TN_GO_ON
		       : drop(p, TN_DROP_INTERNAL);
}

/*
 * After a takeover: a segment of TCP that goes on, from a tenant. It makes no flow: that does the
 * VM with its answer, unless that is RST.
 */
static __always_inline bool is_graced(struct pkt *p, const struct scratch *w)
{
	__u8 tcp;

	return p->proto == IPPROTO_TCP && w->endpoints.peer_tenant && tn_is_in_grace() &&
	       pkt_load(p, p->l4 + TCP_FLAGS_OFFSET, &tcp, sizeof(tcp)) &&
	       (tcp & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST)) == TCP_ACK;
}

/* No rule accepts it, and no flow; one that has ended is said to be the reason. */
static __always_inline enum tn_verdict refuse(struct pkt *p, const struct scratch *w)
{
	p->rule = w->ended;
	return drop(p, p->rule ? TN_DROP_RULE_ENDED : TN_DROP_NOT_ACCEPTED);
}

/* From the shared network to a VM. */
static __always_inline enum tn_verdict policy_in(struct pkt *p, struct scratch *w)
{
	struct service s;

	if (p->later_fragment)
		return fragment_judge(p, false);
	if (!service_read(p, p->proto, p->l4, &s))
		return drop(p, TN_DROP_MALFORMED);
	p->rule = tn_rule(false, s.talk == TALK_REPLY ? CLASS_NONE : s.class, s.dst);
	if (!p->rule) {
		if (s.talk == TALK_REQUEST ||
		    (!tn_flow_lives(p->proto, flow_ports(s.src, s.dst)) && !is_graced(p, w)))
			return w->endpoints.peer_tenant ? refuse(p, w) : drop(p, TN_DROP_STRANGER);
		p->by_flow = true;
	}
	return accepted(p, false);
}

static __always_inline bool is_judged(const struct scratch *w)
{
	return w->endpoints.peer_flags & TN_SHARED_JUDGED;
}

/* The VM opens a flow, or goes on with one: its peer has to accept that, if that is known here. */
static __always_inline enum tn_verdict policy_open(struct pkt *p, struct scratch *w,
						   const struct service *s)
{
	__u32 ports = flow_ports(s->dst, s->src), flow = p->proto | (__u32)s->class << 8;
	__u8 tcp = 0;

	if (s->talk == TALK_REPLY || (is_judged(w) && !tn_rule(true, s->class, s->dst)))
		return refuse(p, w);
	if (s->class == TN_CLASS_TCP && !pkt_load(p, p->l4 + TCP_FLAGS_OFFSET, &tcp, sizeof(tcp)))
		return drop(p, TN_DROP_MALFORMED);
	/* nested, these calls would need more stack than there is */
	if (!tn_flow_refresh(flow, ports, tcp)) {
		/* what a rule of the peer accepts is no answer to what a rule of before accepted */
		if (!is_judged(w) && tn_was_accepted(s->class, ports))
			return refuse(p, w);
		tn_flow_refresh(flow | FLOW_MAKE, ports, tcp);
	}
	p->by_flow = true;
	return TN_GO_ON;
}

/* From a VM to the shared network. */
static __always_inline enum tn_verdict policy_out(struct pkt *p, struct scratch *w)
{
	enum tn_verdict v = TN_GO_ON;
	struct service s;

	if (p->later_fragment)
		return fragment_judge(p, true);
	if (!service_read(p, p->proto, p->l4, &s))
		return drop(p, TN_DROP_MALFORMED);
	p->rule = tn_rule(false, s.talk == TALK_REQUEST ? CLASS_NONE : s.class, s.src);
	if (!p->rule)
		v = policy_open(p, w, &s);
	return v == TN_GO_ON ? accepted(p, true) : v;
}

/*
 * An ICMP error: whether the packet that it quotes, of protocol `proto` with its header at `l4`,
 * is of a flow that there is; `l4` is zero when that is not quoted. `by_vm`: the VM has sent
 * that packet, and gets the error; else it is the other way round.
 */
static __always_inline bool policy_quoted(struct pkt *p, __u8 proto, __u32 l4, bool by_vm)
{
	struct service s;

	if (!l4) {
		p->rule = tn_rule(false, CLASS_NONE, 0);
		return p->rule;
	}
	if (!service_read(p, proto, l4, &s))
		return false;
	/* a rule knows requests that come to the VM, and replies that it sends */
	p->rule =
		tn_rule(false, s.talk == (by_vm ? TALK_REQUEST : TALK_REPLY) ? CLASS_NONE : s.class,
			by_vm ? s.src : s.dst);
	if (p->rule)
		return true;
	if (s.talk == (by_vm ? TALK_REPLY : TALK_REQUEST))
		return false;
	p->by_flow =
		tn_flow_lives(proto, by_vm ? flow_ports(s.dst, s.src) : flow_ports(s.src, s.dst));
	return p->by_flow;
}

#endif
