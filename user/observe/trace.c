/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/trace.h"

#include <limits.h>
#include <linux/bpf.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/random.h>

#include "host/netlink.h"
#include "host/netns.h"
#include "host/route_query.h"
#include "observe/trace_look.h"
#include "observe/trace_mtu.h"

static const char *const pins[] = {
	[TN_PROGRAM_XDP_SHARED_IN] = "xdp",
	[TN_PROGRAM_TC_SHARED_IN] = "tc_in",
	[TN_PROGRAM_TC_SHARED_OUT] = "tc_out",
	[TN_PROGRAM_TC_INSIDE_IN] = "tc_inside",
};

void trace_free(struct trace *t)
{
	vec_free(&t->steps);
	vec_free(&t->hops);
	trace_looks_free(t);
}

static void pin_path(const struct trace *t, const struct router_row *r, const char *pin,
		     char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/routers/%u/%s", t->bpffs, r->id, pin);
}

static int enter(const struct router_row *r, struct netns *ns, struct error *err)
{
	if (netns_enter_id(r->netns, r->netns_dev, r->netns_ino, ns) == 0)
		return 0;
	return error_set(err,
			 "tenant %s: the network namespace of its router is gone; see "
			 "`tenantnat doctor`",
			 r->tenant);
}

static int astray(struct trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int astray(struct trace *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(t->why, sizeof(t->why), format, args);
	va_end(args);
	t->result = TRACE_ASTRAY;
	return 0;
}

/* ------------------------------------------------------------ one program */

struct seek {
	const struct trace *trace;
	struct trace_step *step;
};

static bool on_event(const struct tn_event *e, void *context)
{
	const struct seek *s = context;
	size_t have = e->head_len < TN_EVENT_HEAD ? e->head_len : TN_EVENT_HEAD;

	if (e->router != s->step->router->id || e->program != s->step->program ||
	    !trace_packet_has(e->head, have, s->trace->packet.cookie))
		return true;
	s->step->event = *e;
	s->step->told = true;
	return false;
}

/* What of an event can be told without one. */
static uint8_t verdict_of(enum tn_program program, const struct testrun *run)
{
	if (program == TN_PROGRAM_XDP_SHARED_IN)
		return run->action != XDP_PASS ? TN_EVENT_DROP
		       : run->translated       ? TN_EVENT_TRANSLATED
					       : TN_EVENT_PASS;
	return run->action == TC_ACT_SHOT	? TN_EVENT_DROP
	       : run->action == TC_ACT_REDIRECT ? TN_EVENT_TURNED
						: TN_EVENT_PASS;
}

static int watch(struct trace *t, const struct trace_step *s, struct error *err)
{
	/* a drop also when the addresses could not be read */
	struct tn_watch want = { .reasons = ~0ULL, .router = s->router->id };

	if (!trace_packet_ends(s->before, s->before_len, &want.trace_src, &want.trace_dst))
		return error_set(err, "the frame is no IP packet any more");
	return events_trace(t->events, &want, err);
}

/* *ran false: the router has no such program, or it cannot be run; only of XDP. */
static int run_program(struct trace *t, const struct trace_step *s, struct testrun *run, bool *ran,
		       struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	char pin[PATH_MAX];

	*ran = true;
	pin_path(t, s->router, pins[s->program], pin);
	if (enter(s->router, &ns, err))
		return -1;
	return s->program == TN_PROGRAM_XDP_SHARED_IN ? testrun_xdp(pin, run, ran, err)
						      : testrun_tc(pin, run, err);
}

static int take_step(struct trace *t, const struct router_row *r, enum tn_program program,
		     struct testrun *run, bool *ran, struct error *err)
{
	struct trace_step s = { .router = r, .program = program, .before_len = run->len };
	struct seek seek = { .trace = t, .step = &s };

	memcpy(s.before, run->frame, run->len);
	if (watch(t, &s, err) || run_program(t, &s, run, ran, err) ||
	    events_read(t->events, on_event, &seek, err))
		return -1;
	events_stop(t->events);
	if (!*ran)
		return 0;
	memcpy(s.after, run->frame, run->len);
	s.after_len = run->len;
	if (!s.told)
		s.event.verdict = verdict_of(program, run);
	s.past = program == TN_PROGRAM_XDP_SHARED_IN ? r->fast : run->action == TC_ACT_REDIRECT;
	if (s.event.verdict == TN_EVENT_DROP)
		t->result = TRACE_DROPPED;
	*vec_push(&t->steps) = s;
	if (s.event.verdict == TN_EVENT_DROP && !s.told)
		return error_set(err,
				 "tenant %s: a program dropped the packet and gave no reason; "
				 "`tenantnat apply` renews the programs",
				 r->tenant);
	return 0;
}

static const struct trace_step *last(const struct trace *t)
{
	return &t->steps.v[t->steps.n - 1];
}

static bool is_dropped(const struct trace *t)
{
	return t->steps.n && last(t)->event.verdict == TN_EVENT_DROP;
}

/* ------------------------------------------------------------ the sender's router */

/* Of nobody, as far as we know: locally administered. */
static void any_mac(uint8_t mac[6])
{
	if (getrandom(mac, 6, 0) != 6)
		memset(mac, 0x5a, 6);
	mac[0] = (mac[0] & ~1) | 2;
}

/* The frame as the VM at `from` would send it to its router, and where it comes in. */
static int put_inside(struct trace *t, struct testrun *run, struct error *err)
{
	const struct router_row *r = t->from.router;
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	uint8_t mac[6];
	struct next_hop next_hop;

	if (enter(r, &ns, err) || route_query(&t->from.fixed, &next_hop, err) ||
	    netlink_ifaces(&ifaces, err))
		return -1;
	run->ifindex = r->inside[0];
	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++) {
		if (r->inside[i] == next_hop.ifindex)
			run->ifindex = next_hop.ifindex;
	}
	if (!run->ifindex)
		return error_set(err, "tenant %s: its router has no inside interface", r->tenant);
	any_mac(mac);
	neighbour_mac(run->ifindex,
		      addr_is_unset(&next_hop.gateway) ? &t->from.fixed : &next_hop.gateway, mac);
	vec_each (i, &ifaces.list) {
		if (i->index != run->ifindex)
			continue;
		if (iface_is_raw(i))
			return error_set(
				err,
				"tenant %s: %s is behind %s, whose frames have no Ethernet "
				"header, which the kernel's test runs need; use `tenantnat "
				"monitor` while the VM sends",
				r->tenant, ADDR(&t->from.fixed), i->name);
		trace_packet_address(run->frame, i->mac, mac);
	}
	return 0;
}

/* A drop that the kernel's route is the reason of. */
static bool is_led_astray(const struct trace *t)
{
	return is_dropped(t) && last(t)->event.reason == TN_DROP_WRONG_EGRESS;
}

/* What the kernel does between the programs. */
static void forward(const struct router_row *r, struct testrun *run)
{
	run->ingress = run->ifindex;
	run->ifindex = r->ifindex;
	trace_packet_hop(run->frame);
	trace_packet_address(run->frame, NULL, r->mac);
}

/* A VM's packet for its own router, which that does not forward. */
static bool is_for_itself(const struct trace *t)
{
	return t->to.is_own && t->to.router == t->from.router;
}

static bool turns_back(const struct trace *t)
{
	return t->to.router == t->from.router;
}

/* Where its VM is, and which way the kernel has for what it sends: *way. */
static int look_at_sender(struct trace *t, struct next_hop *way, struct error *err)
{
	const struct router_row *r = t->from.router;
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct next_hop to_vm;

	if (enter(r, &ns, err) || route_query(&t->from.fixed, &to_vm, err))
		return -1;
	if (!trace_look_inside(t, r, &t->from.fixed, &to_vm))
		return 0;
	if (!turns_back(t) &&
	    trace_look_route(t, r, &t->packet.src, &t->packet.dst, to_vm.ifindex, false, way, err))
		return -1;
	if (!turns_back(t) && !trace_failed_look(t))
		trace_mtu_router(t, r, to_vm.ifindex, way);
	if (!trace_failed_look(t))
		trace_look_vm(t, r, &t->from.fixed, &t->packet.dst);
	return 0;
}

static int look_at_rules(struct trace *t, uint32_t inside, struct error *err)
{
	const struct router_row *r = t->from.router;
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	if (enter(r, &ns, err))
		return -1;
	return trace_look_netfilter(t, r, &t->packet.src, &t->packet.dst, inside, r->ifindex, err);
}

static int look_at_link(struct trace *t, const struct next_hop *next_hop, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	if (enter(t->from.router, &ns, err))
		return -1;
	trace_look_link(t, t->from.router, next_hop);
	return 0;
}

/* Where a VM's packet leaves: the next hop is who it is to be. */
static int look_ahead(struct trace *t, const struct next_hop *way, struct error *err)
{
	return is_dropped(t) || !t->to.tenant || t->to.missing ? 0 : look_at_link(t, way, err);
}

/* Which way the router's own packet has: *way. */
static int look_at_itself(struct trace *t, struct next_hop *way, struct error *err)
{
	const struct router_row *r = t->from.router;
	const struct trace_packet *p = &t->packet;
	_cleanup_netns_ struct netns ns = NETNS_NONE;

	if (enter(r, &ns, err) || trace_look_route(t, r, &p->src, &p->dst, 0, false, way, err))
		return -1;
	return way->ifindex == r->ifindex
		       ? trace_look_netfilter(t, r, &p->src, &p->dst, 0, r->ifindex, err)
		       : 0;
}

/* What the router sends with a mapped address of its own: no interface has received it. */
static int leave_as_router(struct trace *t, struct testrun *run, struct error *err)
{
	const struct router_row *r = t->from.router;
	struct next_hop way = { 0 };
	bool ran;

	if (look_at_itself(t, &way, err))
		return -1;
	if (way.ifindex != r->ifindex)
		return astray(t, "the router of tenant %s has no way to %s", r->tenant,
			      ADDR(&t->packet.dst));
	run->ifindex = r->ifindex;
	trace_packet_address(run->frame, r->mac, r->mac);
	if (take_step(t, r, TN_PROGRAM_TC_SHARED_OUT, run, &ran, err))
		return -1;
	return turns_back(t) ? 0 : look_ahead(t, &way, err);
}

/* Into the kernel's stack, and out of it by the shared interface. */
static int pass_stack(struct trace *t, struct testrun *run, struct error *err)
{
	bool ran;

	if (look_at_rules(t, run->ifindex, err))
		return -1;
	forward(t->from.router, run);
	return take_step(t, t->from.router, TN_PROGRAM_TC_SHARED_OUT, run, &ran, err);
}

static int leave_router(struct trace *t, struct testrun *run, struct error *err)
{
	const struct router_row *r = t->from.router;
	struct next_hop way = { 0 };
	bool ran;

	if (look_at_sender(t, &way, err) || put_inside(t, run, err) ||
	    take_step(t, r, TN_PROGRAM_TC_INSIDE_IN, run, &ran, err))
		return -1;
	if (last(t)->event.verdict == TN_EVENT_HELD)
		return astray(
			t,
			"the router of tenant %s does not know the MAC address of %s yet, and "
			"asks for it first; ping the VM from the router, and trace again",
			r->tenant, ADDR(&t->from.fixed));
	if (is_dropped(t) || turns_back(t))
		return 0;
	if (way.ifindex != r->ifindex)
		return astray(t, "the router of tenant %s has no way to %s", r->tenant,
			      ADDR(&t->packet.dst));
	/* past the stack it has left by now */
	if (last(t)->event.verdict == TN_EVENT_PASS && pass_stack(t, run, err))
		return -1;
	return look_ahead(t, &way, err);
}

/* ------------------------------------------------------------ the receiver's router */

/* The MAC address that a frame of this sender has on the shared network. */
static void sender_mac(const struct trace *t, uint8_t mac[6])
{
	const struct router_row *r = t->from.router;

	any_mac(mac);
	if (r && !t->outside)
		memcpy(mac, r->mac, sizeof(r->mac));
}

/* The rest of the way, behind the programs of the shared interface. */
static int look_inward(struct trace *t, struct error *err)
{
	const struct router_row *r = t->to.router;
	const struct trace_step *s = last(t);
	/* what was dropped may be the error about itself by now */
	const uint8_t *frame = is_dropped(t) ? s->before : s->after;
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct tn_addr src, dst;
	struct next_hop next_hop;

	if (t->to.is_own)
		return 0;
	if (!trace_packet_ends(frame, is_dropped(t) ? s->before_len : s->after_len, &src, &dst))
		return error_set(err, "the frame is no IP packet any more");
	if (is_dropped(t))
		dst = t->to.fixed;
	if (enter(r, &ns, err) ||
	    trace_look_route(t, r, &src, &dst, r->ifindex, true, &next_hop, err))
		return -1;
	if (t->to.itself && !trace_failed_look(t) && trace_look_answer(t, r, &dst, &src, err))
		return -1;
	if (trace_failed_look(t) || is_dropped(t))
		return 0;
	if (!last(t)->past && trace_look_netfilter(t, r, &src, &dst, r->ifindex,
						   t->to.itself ? 0 : next_hop.ifindex, err))
		return -1;
	if (t->to.itself)
		return 0;
	trace_mtu_router(t, r, r->ifindex, &next_hop);
	trace_look_vm(t, r, &dst, &src);
	return 0;
}

static int reach_router(struct trace *t, struct testrun *run, struct error *err)
{
	bool ran, hairpin = run->mark == TN_HAIRPIN_MARK;
	const struct router_row *r = t->to.router;
	uint8_t mac[6];

	run->ifindex = r->ifindex;
	run->ingress = 0;
	if (!hairpin) {
		sender_mac(t, mac);
		trace_packet_address(run->frame, r->mac, mac);
		if (take_step(t, r, TN_PROGRAM_XDP_SHARED_IN, run, &ran, err))
			return -1;
		if (is_dropped(t))
			return is_led_astray(t) ? look_inward(t, err) : 0;
	}
	if ((hairpin || !run->translated) &&
	    take_step(t, r, TN_PROGRAM_TC_SHARED_IN, run, &ran, err))
		return -1;
	return is_dropped(t) && !is_led_astray(t) ? 0 : look_inward(t, err);
}

/* ------------------------------------------------------------ the whole way */

/* As policy_out() of the programs has it. */
static struct tn_flow_key flow_of(const struct trace *t)
{
	const struct trace_packet *s = &t->packet;
	struct tn_flow_key key = { .peer = s->dst,
				   .fixed = s->src,
				   .shared = t->from.shared,
				   .service = s->dport,
				   .port = s->sport,
				   .proto = s->proto };

	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6)
		key.service = s->type;
	else if (!trace_packet_has_ports(s->proto))
		key.service = key.port = s->proto;
	return key;
}

/* What failed besides programs is why it does not arrive. */
static void judge(struct trace *t)
{
	const struct trace_look *look = trace_failed_look(t);

	if (look && t->result != TRACE_DROPPED)
		astray(t, "tenant %s: %s", look->router->tenant, look->text);
}

static int send_frame(struct trace *t, bool from_vm, struct error *err)
{
	struct testrun run = { 0 };

	run.len = trace_packet_build(run.frame, &t->packet);
	if (from_vm)
		trace_look_programs(t, t->from.router);
	if (t->to.router && !(from_vm && turns_back(t)))
		trace_look_programs(t, t->to.router);
	if (from_vm &&
	    (t->from.itself ? leave_as_router(t, &run, err) : leave_router(t, &run, err)))
		return -1;
	if (is_dropped(t) || t->result == TRACE_ASTRAY || (from_vm && is_for_itself(t)))
		return 0;
	if (t->to.router)
		return reach_router(t, &run, err);
	if (t->to.missing)
		return astray(t, "the router of tenant %s %s", t->to.tenant, t->to.missing);
	if (t->to.tenant) {
		t->result = TRACE_LEFT;
		return 0;
	}
	return astray(t, "no mapping has %s, so that no router answers for it",
		      ADDR(&t->to.shared));
}

/* Whether the VM is the router itself, as the kernel has it. */
static int find_itself(struct trace_end *end, struct error *err)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct next_hop to;

	if (!end->router || end->is_own || addr_is_unset(&end->fixed))
		return 0;
	if (enter(end->router, &ns, err) || route_query(&end->fixed, &to, err))
		return -1;
	end->itself = to.local;
	return 0;
}

int trace_send(struct trace *t, struct error *err)
{
	bool from_vm = t->from.router && !t->from.is_own && !t->outside, known = false;
	struct tn_flow_key flow = flow_of(t);
	char pin[PATH_MAX];
	int status;

	t->result = TRACE_ARRIVED;
	if (find_itself(&t->from, err) || find_itself(&t->to, err))
		return -1;
	if (from_vm) {
		pin_path(t, t->from.router, "flows", pin);
		known = testrun_has_flow(pin, &flow);
	}
	status = send_frame(t, from_vm, err);
	if (!status && t->result != TRACE_DROPPED)
		trace_mtu_judge(t);
	judge(t);
	if (from_vm && !known)
		testrun_forget_flow(pin, &flow);
	return status;
}
