/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/trace_look.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>

#include "host/netlink.h"
#include "host/netns.h"
#include "host/nft.h"
#include "host/ruleset.h"
#include "lib/clock.h"
#include "lib/output.h"
#include "probe/neigh_query.h"
#include "probe/probe_one.h"
#include "probe/probe_run.h"

const struct trace_look *trace_failed_look(const struct trace *t)
{
	vec_each (look, &t->looks) {
		if (look->result == PROBE_FAILED)
			return look;
	}
	return NULL;
}

void trace_looks_free(struct trace *t)
{
	vec_each (look, &t->looks) {
		free(look->text);
		free(look->remedy);
	}
	vec_free(&t->looks);
}

static char *format(const char *text, va_list args)
{
	char *out;

	return vasprintf(&out, text, args) < 0 ? xstrdup("") : out;
}

struct trace_look *trace_look_add(struct trace *t, const struct router_row *r,
				  enum trace_look_id id, enum probe_result result, const char *text,
				  ...)
{
	struct trace_look *look = vec_push(&t->looks);
	va_list args;

	*look = (struct trace_look){ .router = r, .after = t->steps.n, .id = id, .result = result };
	va_start(args, text);
	look->text = format(text, args);
	va_end(args);
	return look;
}

void trace_look_remedy(struct trace_look *look, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	look->remedy = format(text, args);
	va_end(args);
}

static const char *name_of(uint32_t ifindex, char name[IF_NAMESIZE])
{
	if (!if_indextoname(ifindex, name))
		snprintf(name, IF_NAMESIZE, "?");
	return name;
}
#define NAME(ifindex) name_of((ifindex), (char[IF_NAMESIZE]){ 0 })

/* ------------------------------------------------------------ programs and VMs */

void trace_look_programs(struct trace *t, const struct router_row *r)
{
	if (r->broken)
		trace_look_remedy(
			trace_look_add(t, r, TRACE_LOOK_PROGRAMS, PROBE_FAILED,
				       "a program, its link or its interface is missing, or the "
				       "interface has "
				       "another MAC address: no packet takes this way now"),
			"`tenantnat restore` puts it back");
}

void trace_look_vm(struct trace *t, const struct router_row *r, const struct tn_addr *fixed,
		   const struct tn_addr *peer)
{
	_cleanup_findings_ struct findings found = { 0 };

	probe_one(t->kernel, r, fixed, peer, t->patience, &found);
	vec_each (f, &found.list) {
		struct trace_look *look =
			trace_look_add(t, r, TRACE_LOOK_VM, f->result, "%s: %s",
				       f->probe == PROBE_VM ? ADDR(fixed) : f->subject, f->text);

		if (f->remedy)
			trace_look_remedy(look, "%s", f->remedy);
	}
}

/* ------------------------------------------------------------ routes */

bool trace_is_inside(const struct router_row *r, uint32_t ifindex)
{
	for (size_t i = 0; i < TN_INSIDE_MAX && r->inside[i]; i++) {
		if (r->inside[i] == ifindex)
			return true;
	}
	return false;
}

#define WAY_TEXT (ADDR_TEXT + IF_NAMESIZE + 64)

/* "by lan0 via 10.0.0.9, by table 100" */
static const char *way_text(const struct next_hop *n, char buf[WAY_TEXT])
{
	bool plain = n->table == RT_TABLE_MAIN || n->table == RT_TABLE_LOCAL || !n->table;
	size_t len;

	if (n->local)
		return "to the router itself";
	if (!n->ifindex) {
		snprintf(buf, WAY_TEXT, "nowhere (%s)", n->why[0] ? n->why : "no route");
		return buf;
	}
	len = snprintf(buf, WAY_TEXT, "by %s", NAME(n->ifindex));
	if (!addr_is_unset(&n->gateway))
		len += snprintf(buf + len, WAY_TEXT - len, " via %s", ADDR(&n->gateway));
	if (!plain)
		snprintf(buf + len, WAY_TEXT - len, ", by a routing rule (table %u)", n->table);
	return buf;
}
#define WAY(n) way_text((n), (char[WAY_TEXT]){ 0 })

/* The shared subnet of an address, or the address alone. */
static struct prefix whole(const struct trace *t, const struct tn_addr *a)
{
	vec_each (p, &t->kernel->subnets) {
		if (prefix_has(p, a))
			return *p;
	}
	return (struct prefix){ *a, 128 };
}

/* The interfaces by which it is right to leave. */
static size_t right_ones(const struct router_row *r, bool in, uint32_t out[TN_INSIDE_MAX])
{
	size_t n = 0;

	if (!in) {
		out[0] = r->ifindex;
		return 1;
	}
	while (n < TN_INSIDE_MAX && r->inside[n]) {
		out[n] = r->inside[n];
		n++;
	}
	return n;
}

/* The command against a route of the main table that leads there; false: that is not it. */
static bool del_astray(const struct router_row *r, const struct tn_addr *to, bool in,
		       char buf[IFACE_ROUTE_DEL])
{
	uint32_t right[TN_INSIDE_MAX];

	return route_astray_del(to, right, right_ones(r, in, right), buf);
}

static void remedy_route(struct trace *t, const struct router_row *r, const struct route_packet *p,
			 const struct next_hop *n, bool in, struct trace_look *look)
{
	const char *ip = addr_is_v4(&p->to) ? "ip" : "ip -6";
	struct prefix to = whole(t, &p->to);
	char enter[NETNS_COMMAND], buf[IFACE_ROUTE_DEL];
	bool del = del_astray(r, &p->to, in, buf);

	netns_command(r->netns, enter);
	if (n->ifindex && !n->local && n->table && n->table != RT_TABLE_MAIN &&
	    n->table != RT_TABLE_LOCAL)
		trace_look_remedy(
			look,
			"`%s%s rule add pref 1 to %s lookup main`, so that no other rule leads "
			"it elsewhere",
			enter, ip, PREFIX(&to));
	else if (del)
		trace_look_remedy(look, "`%s%s`", enter, buf);
	else
		trace_look_remedy(
			look,
			"`%s%s route get %s from %s%s%s` shows it; correct the routes, rules "
			"and forwarding of this router",
			enter, ip, ADDR(&p->to), ADDR(&p->from), p->iif ? " iif " : "",
			p->iif ? NAME(p->iif) : "");
}

/* An interface that came after the router was attached. */
static bool is_late(const struct trace *t, const struct router_row *r, uint32_t ifindex)
{
	const struct tenant *tenant = model_tenant((struct model *)t->model, r->tenant);
	_cleanup_ifaces_ struct ifaces ifaces = { 0 };
	struct error ignored = { 0 };

	if (!tenant || !tenant->router || netlink_ifaces(&ifaces, &ignored))
		return false;
	vec_each (i, &ifaces.list) {
		if (i->index == r->ifindex)
			return iface_is_late(&ifaces, tenant->router, i, r->inside, ifindex);
	}
	return false;
}

static void say_late(struct trace *t, const struct router_row *r, uint32_t ifindex)
{
	trace_look_remedy(
		trace_look_add(t, r, TRACE_LOOK_PROGRAMS, PROBE_FAILED,
			       "%s leads to VMs, and no program is attached to it: it came later "
			       "than the last "
			       "apply",
			       NAME(ifindex)),
		"`tenantnat restore`, or run the agent, which sees interfaces come and go");
}

bool trace_look_inside(struct trace *t, const struct router_row *r, const struct tn_addr *fixed,
		       const struct next_hop *way)
{
	char enter[NETNS_COMMAND], buf[IFACE_ROUTE_DEL];
	struct trace_look *look;

	if (!way->local && trace_is_inside(r, way->ifindex))
		return true;
	if (!way->local && is_late(t, r, way->ifindex)) {
		say_late(t, r, way->ifindex);
		return false;
	}
	look = trace_look_add(t, r, TRACE_LOOK_ROUTE, PROBE_FAILED,
			      "%s, which sends it, is reached %s, and not by an inside interface",
			      ADDR(fixed), WAY(way));
	netns_command(r->netns, enter);
	if (del_astray(r, fixed, true, buf))
		trace_look_remedy(look, "`%s%s`", enter, buf);
	else
		trace_look_remedy(
			look,
			"`%s%s route get %s` shows it; give an inside interface an address in the "
			"VM's subnet, or correct `fixed` and `inside`",
			enter, addr_is_v4(fixed) ? "ip" : "ip -6", ADDR(fixed));
	return false;
}

int trace_look_route(struct trace *t, const struct router_row *r, const struct tn_addr *src,
		     const struct tn_addr *dst, uint32_t iif, bool in, struct next_hop *out,
		     struct error *err)
{
	/* past the stack nobody asks for more than the addresses */
	const struct route_packet p = { .to = *dst,
					.from = *src,
					.iif = iif,
					.proto = r->fast ? 0 : t->packet.proto,
					.sport = t->packet.sport,
					.dport = t->packet.dport };
	bool right;

	if (route_query_packet(&p, out, err))
		return -1;
	if (in && t->to.itself)
		right = out->local;
	else
		right = !out->local &&
			(in ? trace_is_inside(r, out->ifindex) : out->ifindex == r->ifindex);
	if (in && !out->local && is_late(t, r, out->ifindex))
		say_late(t, r, out->ifindex);
	else if (right)
		trace_look_add(t, r, TRACE_LOOK_ROUTE, PROBE_OK, "%s from %s: %s", ADDR(dst),
			       ADDR(src), WAY(out));
	else
		remedy_route(t, r, &p, out, in,
			     trace_look_add(t, r, TRACE_LOOK_ROUTE, PROBE_FAILED,
					    "%s from %s%s%s, goes %s, and not by %s%s", ADDR(dst),
					    ADDR(src), iif ? ", coming in by " : "",
					    iif ? NAME(iif) : ", the router itself", WAY(out),
					    in ? "an inside interface" : "the shared interface ",
					    in ? "" : NAME(r->ifindex)));
	return 0;
}

int trace_look_answer(struct trace *t, const struct router_row *r, const struct tn_addr *fixed,
		      const struct tn_addr *peer, struct error *err)
{
	const struct route_packet p = { .to = *peer,
					.from = *fixed,
					.proto = t->packet.proto,
					.sport = t->packet.dport,
					.dport = t->packet.sport };
	struct next_hop out;

	if (route_query_packet(&p, &out, err))
		return -1;
	if (out.local || out.ifindex != r->ifindex)
		remedy_route(
			t, r, &p, &out, false,
			trace_look_add(t, r, TRACE_LOOK_ROUTE, PROBE_FAILED,
				       "what %s, the router itself, answers %s goes %s, and not "
				       "by the shared interface %s",
				       ADDR(fixed), ADDR(peer), WAY(&out), NAME(r->ifindex)));
	return 0;
}

/* ------------------------------------------------------------ netfilter */

static enum probe_result result_of(const struct ruleset_hit *h)
{
	return h->sure && h->effect != RULESET_UNTRACKED ? PROBE_FAILED : PROBE_SKIPPED;
}

static const char *effect_of(const struct ruleset_hit *h)
{
	switch (h->effect) {
	case RULESET_NAT:
		return h->sure ? "translates it, besides tenantnat" : "may translate it";
	case RULESET_DROP:
		return h->sure ? "drops it" : "may drop it";
	case RULESET_UNTRACKED:
		break;
	}
	return "keeps conntrack from knowing it: stateful rules do not recognize the answer";
}

/* What refuses it may be somebody's policy: no more than these two are let past. */
static void remedy_hit(const struct router_row *r, const struct ruleset_hit *h,
		       const struct tn_addr *src, const struct tn_addr *dst,
		       struct trace_look *look)
{
	char enter[NETNS_COMMAND], buf[RULESET_PAST];

	netns_command(r->netns, enter);
	if (h->effect == RULESET_DROP)
		trace_look_remedy(
			look, "`%s`, unless the rule is meant to do that",
			ruleset_past(h, enter, !addr_is_v4(dst), ADDR(src), ADDR(dst), buf));
	else
		trace_look_remedy(look, "`tenantnat doctor %s` has a command that lets it past",
				  r->tenant);
}

static void say_hits(struct trace *t, const struct router_row *r, const struct ruleset_hits *hits,
		     const struct tn_addr *src, const struct tn_addr *dst)
{
	vec_each (h, &hits->list) {
		char rule[300];

		ruleset_hit_text(h, rule, sizeof(rule));
		remedy_hit(r, h, src, dst,
			   trace_look_add(t, r, TRACE_LOOK_NETFILTER, result_of(h), "%s %s", rule,
					  effect_of(h)));
	}
}

/* What nobody can look into from here. */
static bool has_legacy(struct trace *t, const struct router_row *r, bool six, struct error *err)
{
	char tables[120];

	if (nft_legacy_tables(six, tables, sizeof(tables), err) || !tables[0])
		return err->set;
	trace_look_add(
		t, r, TRACE_LOOK_NETFILTER, PROBE_SKIPPED,
		"there are tables of ip%stables-legacy (%s), which cannot be looked into from here",
		six ? "6" : "", tables);
	return true;
}

int trace_look_netfilter(struct trace *t, const struct router_row *r, const struct tn_addr *src,
			 const struct tn_addr *dst, uint32_t iif, uint32_t oif, struct error *err)
{
	struct ruleset_path path = { .six = !addr_is_v4(dst),
				     .proto = t->packet.proto,
				     .sport = t->packet.sport,
				     .dport = t->packet.dport };
	_cleanup_json_ json_t *ruleset = NULL;
	struct ruleset_hits hits = { 0 };
	char in[IF_NAMESIZE], out[IF_NAMESIZE];
	bool legacy = has_legacy(t, r, path.six, err);

	if (err->set || nft_ruleset(&ruleset, true, err))
		return -1;
	path.itself = !iif || !oif;
	if (iif)
		*vec_push(&path.in) = name_of(iif, in);
	if (oif)
		*vec_push(&path.out) = name_of(oif, out);
	*vec_push(&path.src) = (struct prefix){ *src, 128 };
	*vec_push(&path.dst) = (struct prefix){ *dst, 128 };
	ruleset_judge(ruleset, &path, &hits);
	say_hits(t, r, &hits, src, dst);
	if (!hits.list.n && !legacy)
		trace_look_add(t, r, TRACE_LOOK_NETFILTER, PROBE_OK,
			       "no rule drops or translates it");
	ruleset_hits_free(&hits);
	ruleset_path_free(&path);
	return 0;
}

/* ------------------------------------------------------------ the shared network */

static bool ask_link(const struct trace *t, const struct router_row *r,
		     struct neigh_query *question, struct error *err)
{
	unsigned int ms = PROBE_ASK_MS * (t->patience ? t->patience : 1);
	_cleanup_neigh_queries_ struct neigh_queries queries = NEIGH_QUERIES_NONE;

	if (neigh_queries_open(&queries, r->ifindex, r->mac, err))
		return false;
	*vec_push(&queries.list) = *question;
	for (int i = 0; i < 2 && !queries.list.v[0].answered; i++) {
		if (neigh_queries_send(&queries, err) || neigh_queries_collect(&queries, ms, err))
			return false;
	}
	*question = queries.list.v[0];
	return question->answered;
}

/* The MAC address that the router of the other end has, if it is on the link itself. */
static const uint8_t *expected_mac(const struct trace *t, const struct next_hop *next_hop)
{
	return t->to.router && addr_is_unset(&next_hop->gateway) ? t->to.router->mac : NULL;
}

void trace_look_link(struct trace *t, const struct router_row *r, const struct next_hop *next_hop)
{
	const struct tn_addr *hop =
		addr_is_unset(&next_hop->gateway) ? &t->to.shared : &next_hop->gateway;
	struct neigh_query question = { .target = *hop, .sender = r->own[addr_family(hop)] };
	const uint8_t *mac = expected_mac(t, next_hop);
	struct error err = { 0 };

	if (!ask_link(t, r, &question, &err))
		trace_look_remedy(
			trace_look_add(t, r, TRACE_LOOK_LINK, PROBE_FAILED,
				       "nobody on the shared network answers %s for %s%s%s",
				       addr_is_v4(hop) ? "ARP" : "neighbour solicitation",
				       ADDR(hop), err.set ? ": " : "", err.set ? err.text : ""),
			"see whether %s is up and on the same network as %s; `tenantnat check %s` "
			"probes it",
			t->to.router ? "the router of the other tenant" : "that host",
			NAME(r->ifindex), r->tenant);
	else if (mac && memcmp(mac, question.mac, sizeof(question.mac)) != 0)
		trace_look_remedy(
			trace_look_add(t, r, TRACE_LOOK_LINK, PROBE_FAILED,
				       "%s is at %s, but the router of tenant %s has %s: another "
				       "host has the "
				       "address",
				       ADDR(hop), MAC(question.mac), t->to.tenant, MAC(mac)),
			"find the host with that MAC address, and take the address from it");
	else
		trace_look_add(t, r, TRACE_LOOK_LINK, PROBE_OK, "%s is at %s", ADDR(hop),
			       MAC(question.mac));
}
