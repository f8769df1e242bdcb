/* SPDX-License-Identifier: GPL-2.0-only */
/* trace: what becomes of a packet, program by program, and which rule decides. */
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/random.h>

#include "change/inspect.h"
#include "cmd/cmd.h"
#include "lib/output.h"
#include "model/policy.h"
#include "model/service.h"
#include "observe/trace.h"

static const struct reason {
	const char *name;
	const char *meaning;
} reasons[] = {
#define X(id, name, meaning) { name, meaning },
	TN_REASONS(X)
#undef X
};

static const char *const programs[] = {
#define X(id, name) name,
	TN_PROGRAMS(X)
#undef X
};

static const char *const verdicts[] = { "pass", "drop", "translated", "turned", "held" };
static const char *const results[] = { "arrives", "dropped", "left", "astray" };

/* Programs of another build may know more of them. */
static const struct reason *reason_of(const struct trace_step *s)
{
	static const struct reason unknown = { "unknown", "no reason that this tenantnat knows; "
							  "`tenantnat apply` renews the programs" };

	return s->event.reason < ARRAY_SIZE(reasons) ? &reasons[s->event.reason] : &unknown;
}

static const char *verdict_text(const struct trace_step *s)
{
	return s->event.verdict < ARRAY_SIZE(verdicts) ? verdicts[s->event.verdict] : "unknown";
}

struct request {
	const struct invocation *inv;
	struct view view;
	struct trace trace;
	struct tn_addr from[FAMILIES]; /* that FROM may mean: shared, or fixed if it has none */
	struct tn_addr to[FAMILIES];   /* shared */
	const char *from_tenant;       /* whose fixed address FROM is; NULL: a shared one */
	uint32_t port;
	bool has_port;
};

/* ------------------------------------------------------------ whom the words mean */

static const struct shared_row *shared_row(const struct request *q, const struct tn_addr *a)
{
	vec_each (row, &q->view.kernel.shared) {
		if (addr_cmp(&row->shared, a) == 0)
			return row;
	}
	return NULL;
}

static const struct router_row *router_of(const struct request *q, const char *tenant)
{
	vec_each (r, &q->view.kernel.routers) {
		if (strcmp(r->tenant, tenant) == 0)
			return r;
	}
	return NULL;
}

static const char *tenant_name(const struct request *q, uint32_t id)
{
	vec_each (t, &q->view.model.tenants) {
		if (t->id == id)
			return t->name;
	}
	return NULL;
}

/* The mapping of that shared address; NULL: none. */
static const struct mapping *mapping_of(const struct request *q, const struct tn_addr *shared)
{
	vec_each (t, &q->view.model.tenants) {
		vec_each (m, &t->mappings) {
			if (addr_cmp(&m->shared, shared) == 0)
				return m;
		}
	}
	return NULL;
}

/* The shared addresses of TENANT/WHO, where WHO is a name or a fixed address; gives how many. */
static int find_mappings(const struct tenant *t, const char *who, struct tn_addr out[FAMILIES])
{
	struct tn_addr fixed = { 0 };
	bool by_fixed = addr_parse(who, &fixed);
	int found = 0;

	vec_each (m, &t->mappings) {
		if (by_fixed ? addr_cmp(&m->fixed, &fixed) : !m->name || strcmp(m->name, who))
			continue;
		out[addr_family(&m->shared)] = m->shared;
		found++;
	}
	return found;
}

/* "[A]" without its brackets. */
static char *bare(const char *text)
{
	size_t n = strlen(text);

	return n > 2 && text[0] == '[' && text[n - 1] == ']' ? strndup(text + 1, n - 2)
							     : xstrdup(text);
}

/* TENANT/WHO. `fixed` (or NULL) gets an address of the tenant that no mapping has. */
static int parse_vm(struct request *q, const char *text, const char *slash,
		    struct tn_addr out[FAMILIES], const char **fixed_of, struct error *err)
{
	_cleanup_free_ char *name = strndup(text, slash - text), *who = bare(slash + 1);
	struct tenant *t = model_tenant(&q->view.model, name);
	struct tn_addr fixed;

	if (!t)
		return error_usage(err, "%s: there is no tenant %s; `tenantnat show` lists them",
				   text, name);
	if (find_mappings(t, who, out))
		return 0;
	if (!fixed_of || !addr_parse(who, &fixed))
		return error_usage(err,
				   "%s: tenant %s has no such mapping; `tenantnat map list %s` "
				   "lists them",
				   text, name, name);
	if (!router_of(q, name))
		return error_usage(err, "%s: no mapping has it, and tenant %s has no router here",
				   text, name);
	out[addr_family(&fixed)] = fixed;
	*fixed_of = t->name;
	return 0;
}

static int parse_end(struct request *q, const char *text, struct tn_addr out[FAMILIES],
		     const char **fixed_of, struct error *err)
{
	const char *slash = strchr(text, '/');
	_cleanup_free_ char *plain = bare(text);
	struct tn_addr a;

	if (slash)
		return parse_vm(q, text, slash, out, fixed_of, err);
	if (!addr_parse(plain, &a))
		return error_usage(err,
				   "%s: give a shared address, or TENANT/NAME or TENANT/ADDRESS, "
				   "as in red/db",
				   text);
	out[addr_family(&a)] = a;
	return 0;
}

static int parse_number(const char *text, uint32_t max, uint32_t *out)
{
	unsigned long n;
	char *end;

	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || n > max)
		return -1;
	*out = n;
	return 0;
}

/* The text before ":PORT", to be freed; all of it when there is none. */
static char *split_port(struct request *q, const char *text)
{
	const char *colon = strrchr(text, ':'), *slash = strrchr(text, '/'),
		   *start = slash ? slash + 1 : text;
	struct tn_addr a;

	if (!colon || addr_parse(start, &a) || (start[0] == '[' && colon[-1] != ']') ||
	    parse_number(colon + 1, 0xffff, &q->port))
		return xstrdup(text);
	q->has_port = true;
	return strndup(text, colon - text);
}

static int parse_to(struct request *q, struct error *err)
{
	_cleanup_free_ char *who = split_port(q, q->inv->args[1]);

	if (parse_end(q, who, q->to, NULL, err))
		return -1;
	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&q->to[f]) && !model_shares(&q->view.model, &q->to[f]))
			return error_usage(err,
					   "%s: not in a shared subnet; give TENANT/ADDRESS, or "
					   "the shared address",
					   who);
	}
	return 0;
}

/* ------------------------------------------------------------ the packet */

static int parse_proto(struct request *q, bool v4, struct error *err)
{
	const char *text = cmd_value(q->inv, "proto");
	struct trace_packet *s = &q->trace.packet;
	uint32_t number = 0;

	if (!text)
		text = q->has_port ? "tcp" : "icmp";
	if (strcmp(text, "tcp") == 0)
		number = IPPROTO_TCP;
	else if (strcmp(text, "udp") == 0)
		number = IPPROTO_UDP;
	else if (strcmp(text, "icmp") && parse_number(text, 255, &number))
		return error_usage(err, "--proto %s: give tcp, udp, icmp or a number up to 255",
				   text);
	if (strcmp(text, "icmp") == 0 || number == IPPROTO_ICMP || number == IPPROTO_ICMPV6)
		number = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (number == IPPROTO_SCTP || number == IPPROTO_DCCP || number == IPPROTO_UDPLITE)
		return error_usage(err,
				   "--proto %s: of the protocols with ports, trace makes tcp "
				   "and udp",
				   text);
	s->proto = number;
	if ((number == IPPROTO_TCP || number == IPPROTO_UDP) != q->has_port)
		return error_usage(err,
				   q->has_port ? "--proto %s: it has no ports; leave out :%u"
					       : "--proto %s: to which port? give TO:PORT",
				   text, q->port);
	return 0;
}

static int make_sample(struct request *q, struct error *err)
{
	const char *sport = cmd_value(q->inv, "sport");
	struct trace_packet *s = &q->trace.packet;
	uint32_t port;

	if (getrandom(s->cookie, sizeof(s->cookie), 0) != sizeof(s->cookie))
		return error_set(err, "cannot have random bytes: %m");
	memcpy(&port, s->cookie, sizeof(port));
	port = 32768 + port % 28232; /* as Linux chooses by default */
	if (sport && parse_number(sport, 0xffff, &port))
		return error_usage(err, "--sport %s: give a port", sport);
	s->sport = port;
	s->dport = q->port;
	return parse_proto(q, addr_is_v4(&s->src), err);
}

/* ------------------------------------------------------------ the two ends */

static int choose_family(const struct request *q, struct error *err)
{
	for (int f = 0; f < FAMILIES; f++) {
		if (!addr_is_unset(&q->from[f]) && !addr_is_unset(&q->to[f]))
			return f;
	}
	return error_usage(err, "%s and %s have no addresses of the same family", q->inv->args[0],
			   q->inv->args[1]);
}

static void know_end(const struct request *q, const struct tn_addr *shared, struct trace_end *out)
{
	const struct shared_row *row = shared_row(q, shared);

	out->shared = *shared;
	if (row) {
		out->router =
			row->router ? kernel_state_router(&q->view.kernel, row->router) : NULL;
		out->is_own = row->flags & TN_SHARED_OWN;
		out->tenant = out->router ? out->router->tenant : tenant_name(q, row->tenant);
		if (!out->is_own)
			out->fixed = row->fixed;
		return;
	}
	vec_each (t, &q->view.model.tenants) {
		vec_each (p, &t->pools) {
			if (prefix_has(p, shared) && (!out->tenant || router_of(q, t->name)))
				out->tenant = t->name;
		}
	}
}

static void know_ends(struct request *q, int family)
{
	struct trace *t = &q->trace;
	bool from_vm;

	if (q->from_tenant) {
		t->from.fixed = q->from[family];
		t->from.tenant = q->from_tenant;
		t->from.router = router_of(q, q->from_tenant);
	} else {
		know_end(q, &q->from[family], &t->from);
	}
	from_vm = t->from.router && !t->from.is_own && !t->outside;
	know_end(q, &q->to[family], &t->to);
	/* nobody answers for what no mapping has; but who means harm asks for no MAC address */
	if (!shared_row(q, &t->to.shared)) {
		t->to.router = t->to.tenant && !from_vm ? router_of(q, t->to.tenant) : NULL;
		t->to.tenant = t->to.router ? t->to.tenant : NULL;
	}
	t->packet.src = from_vm ? t->from.fixed : t->from.shared;
	t->packet.dst = t->to.shared;
}

static int understand(struct request *q, struct error *err)
{
	struct trace *t = &q->trace;
	int family;

	t->outside = cmd_value(q->inv, "outside");
	if (parse_end(q, q->inv->args[0], q->from, &q->from_tenant, err) || parse_to(q, err))
		return -1;
	if (t->outside && q->from_tenant)
		return error_usage(err, "--outside: %s has no shared address", q->inv->args[0]);
	family = choose_family(q, err);
	if (family < 0)
		return -1;
	know_ends(q, family);
	if (!t->to.router && (!t->from.router || t->outside || t->from.is_own))
		return error_usage(err,
				   "neither %s nor %s has its router here; ask on the host that "
				   "has one",
				   q->inv->args[0], q->inv->args[1]);
	return make_sample(q, err);
}

/* ------------------------------------------------------------ in words */

static const struct rule *rule_of(const struct request *q, const struct trace_step *s)
{
	if (!s->told || !s->event.rule)
		return NULL;
	vec_each (t, &q->view.model.tenants) {
		vec_each (r, &t->accept) {
			if (r->id == s->event.rule)
				return r;
		}
	}
	return NULL;
}

static const char *proto_text(const struct trace_packet *s, char buf[SERVICE_TEXT])
{
	switch (s->proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		snprintf(buf, SERVICE_TEXT, "protocol/%u", s->proto);
		return buf;
	}
}

/* As `ports` of a rule names it. */
static const char *service_of(const struct trace_packet *s, char buf[SERVICE_TEXT])
{
	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6)
		return "icmp/echo-request";
	if (s->proto != IPPROTO_TCP && s->proto != IPPROTO_UDP)
		return proto_text(s, buf);
	snprintf(buf, SERVICE_TEXT, "%s/%u", s->proto == IPPROTO_TCP ? "tcp" : "udp", s->dport);
	return buf;
}

/* "db", or "". */
static const char *name_of(const struct request *q, const struct tn_addr *shared)
{
	const struct mapping *m = mapping_of(q, shared);

	return m && m->name ? m->name : "";
}

/* What would have the last step's drop not happen; the caller frees. NULL: nothing is known. */
static char *remedy_of(const struct request *q, const struct trace_step *s)
{
	const struct trace *t = &q->trace;
	char *text = NULL;

	if (s->event.verdict != TN_EVENT_DROP || s->event.reason != TN_DROP_NOT_ACCEPTED ||
	    !t->from.tenant || !t->to.tenant)
		return NULL;
	if (asprintf(&text, "add to tenant %s: accept: [{from: [%s], ports: [%s]}]", t->to.tenant,
		     t->from.tenant, service_of(&t->packet, (char[SERVICE_TEXT]){ 0 })) < 0)
		return NULL;
	return text;
}

/* The rule in words, as its line in the file has it; the caller frees. */
static char *rule_text(const struct request *q, const struct rule *r)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r),
			    *ports = rule_services_text(r);
	char *text = NULL;

	if (asprintf(&text, "%s:%u (from %s%s%s%s%s)",
		     q->view.model.file ? q->view.model.file : "line", r->pos.line, from,
		     *to ? ", to " : "", to, *ports ? ", ports " : "", ports) < 0)
		return NULL;
	return text;
}

static const char *accepted_by(const struct request *q, const struct trace_step *s, char **text)
{
	const struct rule *r = rule_of(q, s);

	*text = NULL;
	if (r)
		return *text = rule_text(q, r);
	if (s->told && s->event.rule)
		return "a rule that is not in the definitions any more";
	if (s->told && s->event.flow && s->event.verdict != TN_EVENT_DROP)
		return "as a flow that its VM opens";
	return NULL;
}

static void print_packet(const struct request *q)
{
	const struct trace_packet *s = &q->trace.packet;
	bool ports = s->proto == IPPROTO_TCP || s->proto == IPPROTO_UDP;
	char text[SERVICE_TEXT];

	printf("%s %s", proto_text(s, text), ADDR(&s->src));
	if (ports)
		printf(" port %u", s->sport);
	printf(" > %s", ADDR(&s->dst));
	if (ports)
		printf(" port %u", s->dport);
	printf("%s\n", ports							? ""
		       : s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6 ? ", echo request"
										: "");
}

static void print_change(const struct request *q, const char *what, const struct tn_addr *was,
			 const struct tn_addr *now)
{
	const char *name;

	if (addr_cmp(was, now) == 0)
		return;
	name = name_of(q, what[0] == 's' ? now : was);
	printf("    %s %s becomes %s%s%s\n", what, ADDR(was), ADDR(now), *name ? ", mapping " : "",
	       name);
}

static void print_changes(const struct request *q, const struct trace_step *s)
{
	struct tn_addr src, dst, src_now, dst_now;

	if (s->event.verdict == TN_EVENT_DROP ||
	    !trace_packet_ends(s->before, s->before_len, &src, &dst) ||
	    !trace_packet_ends(s->after, s->after_len, &src_now, &dst_now))
		return;
	print_change(q, "source", &src, &src_now);
	print_change(q, "destination", &dst, &dst_now);
	if (!trace_packet_is_sound(s->after, s->after_len))
		printf("    %schecksums are not valid%s\n", color_removed(), color_off());
	else if (addr_cmp(&src, &src_now) || addr_cmp(&dst, &dst_now))
		printf("    checksums are valid\n");
}

static void print_step(const struct request *q, const struct trace_step *s)
{
	bool dropped = s->event.verdict == TN_EVENT_DROP;
	_cleanup_free_ char *text = NULL, *remedy = remedy_of(q, s);
	const char *by = accepted_by(q, s, &text);

	printf("  %-12s %-10s %s%s%s%s\n", s->router->tenant, programs[s->program],
	       dropped ? color_removed() : color_added(), dropped ? "drop " : "",
	       dropped ? reason_of(s)->name : verdict_text(s), color_off());
	if (by)
		printf("    accepted %s%s\n", text ? "by " : "", by);
	print_changes(q, s);
	if (dropped)
		printf("    %s\n", reason_of(s)->meaning);
	if (remedy)
		printf("    %s\n", remedy);
}

static void print_end(const struct request *q)
{
	const struct trace *t = &q->trace;

	if (t->result == TRACE_ARRIVED && t->to.is_own)
		printf("arrives at the router of tenant %s itself\n", t->to.tenant);
	else if (t->result == TRACE_ARRIVED)
		printf("arrives behind the router of tenant %s, for %s\n", t->to.tenant,
		       ADDR(&t->to.fixed));
	else if (t->result == TRACE_LEFT)
		printf("left for the shared network; the router of tenant %s, which is not here, "
		       "judges there\n",
		       t->to.tenant);
}

/* ------------------------------------------------------------ JSON */

static json_t *ends_json(const uint8_t *frame, size_t len)
{
	struct tn_addr src, dst;

	if (!trace_packet_ends(frame, len, &src, &dst))
		return json_null();
	return json_pack("{s:s, s:s, s:i, s:b}", "src", ADDR(&src), "dst", ADDR(&dst), "hops",
			 trace_packet_hops(frame), "checksums", trace_packet_is_sound(frame, len));
}

static json_t *rule_json(const struct request *q, const struct rule *r)
{
	_cleanup_free_ char *from = NULL, *to = NULL, *ports = NULL;

	if (!r)
		return json_null();
	from = rule_from_text(r);
	to = rule_to_text(r);
	ports = rule_services_text(r);
	return json_pack("{s:o, s:i, s:s, s:s, s:s}", "file", json_text(q->view.model.file), "line",
			 (int)r->pos.line, "from", from, "to", to, "ports", ports);
}

static json_t *step_json(const struct request *q, const struct trace_step *s)
{
	bool dropped = s->event.verdict == TN_EVENT_DROP;
	_cleanup_free_ char *remedy = remedy_of(q, s);

	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "tenant",
			 s->router->tenant, "program", programs[s->program], "verdict",
			 verdict_text(s), "reason",
			 dropped ? json_string(reason_of(s)->name) : json_null(), "meaning",
			 dropped ? json_string(reason_of(s)->meaning) : json_null(), "remedy",
			 json_text(remedy), "rule", rule_json(q, rule_of(q, s)), "flow",
			 s->told && s->event.flow, "before", ends_json(s->before, s->before_len),
			 "after", ends_json(s->after, s->after_len));
}

static json_t *trace_json(const struct request *q)
{
	const struct trace_packet *s = &q->trace.packet;
	json_t *steps = json_array();

	vec_each (step, &q->trace.steps)
		json_array_append_new(steps, step_json(q, step));
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:i, s:i, s:i, s:o}", "result", results[q->trace.result],
		"why", json_text(q->trace.result == TRACE_ASTRAY ? q->trace.why : NULL), "from",
		json_text(q->trace.from.tenant), "to", json_text(q->trace.to.tenant), "protocol",
		s->proto, "sport", s->sport, "dport", s->dport, "steps", steps);
}

/* ------------------------------------------------------------ the command */

/* The one that dropped it; NULL: none did. */
static const struct trace_step *dropped_by(const struct trace *t)
{
	vec_each (s, &t->steps) {
		if (s->event.verdict == TN_EVENT_DROP)
			return s;
	}
	return NULL;
}

static int tell(const struct request *q, struct error *err)
{
	const struct trace *t = &q->trace;
	const struct trace_step *end = dropped_by(t);

	if (q->inv->json && json_print(trace_json(q), err))
		return -1;
	if (!q->inv->json) {
		print_packet(q);
		vec_each (s, &t->steps)
			print_step(q, s);
		print_end(q);
	}
	if (t->result == TRACE_ASTRAY)
		return error_set(err, "does not arrive: %s", t->why);
	if (end)
		return error_set(err, "dropped by the router of tenant %s: %s", end->router->tenant,
				 reason_of(end)->name);
	return 0;
}

static int trace(struct request *q, struct error *err)
{
	_cleanup_events_ struct events *events = NULL;

	q->trace.bpffs = q->inv->settings.bpffs;
	q->trace.kernel = &q->view.kernel;
	if (!q->view.dp)
		return error_set(err, "nothing is attached; run `tenantnat apply` first");
	if (understand(q, err) ||
	    events_open(q->inv->settings.bpffs, q->inv->settings.state, &events, err))
		return -1;
	q->trace.events = events;
	return trace_send(&q->trace, err) ? -1 : tell(q, err);
}

static int run(const struct invocation *inv, struct error *err)
{
	struct request q = { .inv = inv };
	int status;

	if (view_load(&inv->settings, &q.view, err))
		return -1;
	status = trace(&q, err);
	trace_free(&q.trace);
	view_free(&q.view);
	return status;
}

const struct command cmd_trace = {
	.name = "trace",
	.synopsis = "FROM TO[:PORT]",
	.summary = "Follow a packet from one VM to another, and say which rule decides",
	.help = "FROM and TO are a shared address, TENANT/NAME or TENANT/ADDRESS, with a fixed "
		"address;\n"
		"in front of a port, IPv6 addresses are in brackets. FROM may be any address of "
		"the\n"
		"shared network too: then only the router that gets the packet is asked.\n\n"
		"The first packet of a flow (SYN, datagram, echo request) goes through the "
		"programs\n"
		"themselves, in both routers; it is not sent. For each: what it decided, by which "
		"rule\n"
		"or as part of which flow, what it changed, and for a drop the reason and what to "
		"do.\n"
		"Counters, rules and limits count it. A flow that it opens is taken away again. "
		"It reads\n"
		"the events, so that no monitor may run.\n\n"
		"Exit status 0: it arrives, or leaves for a router that is not here, 1: it is "
		"dropped.\n"
		"JSON: {\"result\": \"arrives\", \"dropped\", \"left\" or \"astray\", \"why\", "
		"\"from\", \"to\",\n"
		"\"protocol\", \"sport\", \"dport\", \"steps\": [{\"tenant\", \"program\", "
		"\"verdict\", \"reason\",\n"
		"\"meaning\", \"remedy\", \"rule\": null or {\"file\", \"line\", \"from\", \"to\", "
		"\"ports\"},\n"
		"\"flow\", \"before\", \"after\": {\"src\", \"dst\", \"hops\", \"checksums\": "
		"true when valid}}]}.",
	.options = { { "proto", 'p', "PROTO",
		       "tcp (default with a port), udp, icmp (without), or a number" },
		     { "sport", 's', "PORT", "the source port, or identifier of the echo request" },
		     { "outside", 'o', NULL,
		       "whosever FROM is, somebody else on the shared network sends it" } },
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
