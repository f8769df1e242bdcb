/* SPDX-License-Identifier: GPL-2.0-only */
/* trace: what becomes of a packet, program by program, and which rule decides. */
#include <inttypes.h>
#include <netinet/in.h>
#include <sys/random.h>

#include "cmd/cmd.h"
#include "config/write.h"
#include "lib/output.h"
#include "model/policy.h"
#include "observe/explain.h"
#include "observe/names.h"
#include "observe/trace_look.h"

static const char *const programs[] = {
#define X(id, name) name,
	TN_PROGRAMS(X)
#undef X
};

static const char *const looks[] = {
#define X(id, name) name,
	TRACE_LOOKS(X)
#undef X
};

static const char *const results[] = { "arrives", "dropped", "left", "astray" };

/* What every link carries. */
enum { SIZE_LEAST = 68 };

struct request {
	const struct invocation *inv;
	struct view view;
	struct trace trace;
	bool has_port; /* TO has one */
};

/* ------------------------------------------------------------ the packet */

static int make_sample(struct request *q, struct error *err)
{
	const char *sport = cmd_value(q->inv, "sport"), *size = cmd_value(q->inv, "size");
	struct trace_packet *s = &q->trace.packet;
	uint32_t port;

	if (getrandom(s->cookie, sizeof(s->cookie), 0) != sizeof(s->cookie))
		return error_set(err, "cannot get random bytes: %m");
	memcpy(&port, s->cookie, sizeof(port));
	port = 32768 + port % 28232; /* as Linux chooses by default */
	if (sport && (names_number(sport, 0xffff, &port) || !port))
		return error_usage(err, "--sport %s: give a number from 1 to 65535", sport);
	s->sport = port;
	if (size && (names_number(size, 0xffff, &q->trace.size) || q->trace.size < SIZE_LEAST))
		return error_usage(err, "--size %s: give a number of bytes from %d to 65535", size,
				   SIZE_LEAST);
	return names_service(cmd_value(q->inv, "proto"), q->has_port, &q->trace, err);
}

static int understand(struct request *q, struct error *err)
{
	const struct invocation *inv = q->inv;

	q->trace.outside = cmd_value(inv, "outside");
	if (names_resolve(&q->view, inv->args[0], inv->args[1], &q->trace, &q->has_port, err))
		return -1;
	return make_sample(q, err);
}

/* ------------------------------------------------------------ in words */

static void print_packet(const struct request *q)
{
	const struct trace_packet *s = &q->trace.packet;
	char text[SERVICE_TEXT];

	if (trace_packet_has_ports(s->proto)) {
		printf("%s %s port %u > %s port %u\n", explain_protocol(s, text), ADDR(&s->src),
		       s->sport, ADDR(&s->dst), s->dport);
		return;
	}
	service_text(q->trace.services, q->trace.nservices, text);
	printf("%s %s > %s\n", text, ADDR(&s->src), ADDR(&s->dst));
}

static void print_change(const struct request *q, const char *what, const struct tn_addr *was,
			 const struct tn_addr *now)
{
	const char *name;

	if (addr_cmp(was, now) == 0)
		return;
	name = names_mapping(&q->view.model, what[0] == 's' ? now : was);
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
	_cleanup_free_ char *text = NULL, *remedy = explain_remedy(&q->trace, s);
	const char *by = explain_accepted(&q->view.model, s, &text);
	bool ended = dropped && s->event.reason == TN_DROP_RULE_ENDED;

	printf("  %-12s %-10s %s%s%s%s\n", s->router->tenant, programs[s->program],
	       dropped ? color_removed() : color_added(), dropped ? "drop " : "",
	       dropped ? explain_reason(s) : explain_verdict(s), color_off());
	if (by)
		printf("    %s %s%s\n", ended ? "accepted until its end" : "accepted",
		       text ? "by " : "", by);
	print_changes(q, s);
	if (dropped)
		printf("    %s\n", explain_meaning(s));
	if (remedy)
		printf("    %s\n", remedy);
}

static void print_look(const struct trace_look *look)
{
	const char *color = look->result == PROBE_OK	   ? color_added()
			    : look->result == PROBE_FAILED ? color_removed()
							   : color_changed();

	printf("  %-12s %-10s %s%s%s%s\n", look->router->tenant, looks[look->id], color,
	       look->result == PROBE_FAILED    ? "failed: "
	       : look->result == PROBE_SKIPPED ? "not sure: "
					       : "",
	       look->text, color_off());
	if (look->remedy)
		printf("    to do: %s\n", look->remedy);
}

/* What was found before the step with that number. */
static void print_looks(const struct trace *t, size_t step)
{
	vec_each (look, &t->looks) {
		if (look->after == step)
			print_look(look);
	}
}

static void print_end(const struct request *q)
{
	const struct trace *t = &q->trace;

	if (t->result == TRACE_ARRIVED && t->to.is_own)
		printf("arrives at the router of tenant %s itself\n", t->to.tenant);
	else if (t->result == TRACE_ARRIVED && t->to.itself)
		printf("arrives at the router of tenant %s itself, which has %s\n", t->to.tenant,
		       ADDR(&t->to.fixed));
	else if (t->result == TRACE_ARRIVED)
		printf("arrives behind the router of tenant %s, for %s\n", t->to.tenant,
		       ADDR(&t->to.fixed));
	else if (t->result == TRACE_LEFT)
		printf("left for the shared network, for tenant %s: its router is on another host, "
		       "and decides there, or %s is itself a host on the shared network\n",
		       t->to.tenant, ADDR(&t->to.shared));
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
	return json_pack("{s:o, s:i, s:s, s:s, s:s, s:o}", "file", json_text(q->view.model.file),
			 "line", (int)r->pos.line, "from", from, "to", to, "ports", ports, "until",
			 until_json(r));
}

static json_t *step_json(const struct request *q, const struct trace_step *s)
{
	bool dropped = s->event.verdict == TN_EVENT_DROP;
	_cleanup_free_ char *remedy = explain_remedy(&q->trace, s);

	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "tenant", s->router->tenant,
		"program", programs[s->program], "verdict", explain_verdict(s), "reason",
		dropped ? json_string(explain_reason(s)) : json_null(), "meaning",
		dropped ? json_string(explain_meaning(s)) : json_null(), "remedy",
		json_text(remedy), "rule", rule_json(q, explain_rule(&q->view.model, s)), "flow",
		s->told && s->event.flow, "before", ends_json(s->before, s->before_len), "after",
		ends_json(s->after, s->after_len));
}

static json_t *looks_json(const struct trace *t)
{
	json_t *list = json_array();

	vec_each (look, &t->looks)
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:s, s:s, s:s, s:o}", "tenant",
						look->router->tenant, "after",
						(json_int_t)look->after, "look", looks[look->id],
						"result", probe_result_name(look->result), "seen",
						look->text, "remedy", json_text(look->remedy)));
	return list;
}

static json_t *trace_json(const struct request *q)
{
	const struct trace_packet *s = &q->trace.packet;
	json_t *steps = json_array();

	vec_each (step, &q->trace.steps)
		json_array_append_new(steps, step_json(q, step));
	return json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:i, s:o, s:o}", "result",
			 results[q->trace.result], "why",
			 json_text(q->trace.result == TRACE_ASTRAY ? q->trace.why : NULL), "from",
			 json_text(q->trace.from.tenant), "to", json_text(q->trace.to.tenant),
			 "protocol", s->proto, "sport", s->sport, "dport", s->dport, "steps", steps,
			 "looks", looks_json(&q->trace));
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
	const struct trace_look *look = trace_failed_look(t);
	const struct trace_step *end = dropped_by(t);

	if (q->inv->json && json_print(trace_json(q), err))
		return -1;
	if (!q->inv->json) {
		print_packet(q);
		for (size_t i = 0; i < t->steps.n; i++) {
			print_looks(t, i);
			print_step(q, &t->steps.v[i]);
		}
		print_looks(t, t->steps.n);
		print_end(q);
	}
	if (t->result == TRACE_ASTRAY)
		return error_set(err, "does not arrive: %s", t->why);
	if (end)
		return error_set(err, "dropped by the router of tenant %s: %s%s%s",
				 end->router->tenant, explain_reason(end), look ? "; " : "",
				 look ? look->text : "");
	return 0;
}

static int trace(struct request *q, struct error *err)
{
	_cleanup_events_ struct events *events = NULL;

	q->trace.bpffs = q->inv->settings.bpffs;
	q->trace.kernel = &q->view.kernel;
	q->trace.model = &q->view.model;
	q->trace.patience = q->inv->settings.patience;
	if (!q->view.model.tenants.n)
		return error_set(err, "nothing is attached; run `tenantnat apply` first");
	if (understand(q, err) || events_open(q->inv->settings.bpffs, &events, err))
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
	.help = "FROM and TO are each a shared address, TENANT/NAME or TENANT/ADDRESS (a fixed "
		"address).\n"
		"Put IPv6 addresses into brackets when a port follows. FROM may also be any other "
		"address\n"
		"of the shared network: then only the router of TO is asked.\n"
		"\n"
		"The first packet of a flow (SYN, datagram, request) runs through the programs of "
		"both\n"
		"routers. It is not sent. For each program it prints the verdict, the rule or flow "
		"that\n"
		"accepted the packet, what was changed, and for a drop the reason and what to do. "
		"Counters,\n"
		"rules and limits count the packet. A flow that it opens is removed again.\n"
		"\n"
		"Between the programs it looks at what else the packet meets:\n"
		"  programs      something of the router is missing\n"
		"  route         where the kernel sends it, by its source and incoming interface\n"
		"  netfilter     rules of the router that drop or translate it, if it takes the "
		"stack\n"
		"  link          the next hop on the shared network answers ARP, and has the right "
		"address\n"
		"  mtu           how large packets may be: larger ones are answered by a router, "
		"or lost\n"
		"  vm            the VM at either end answers, and knows the way back: see "
		"`tenantnat "
		"check`\n"
		"\n"
		"Verdicts: `pass`, `translated`, `drop`, `turned` (back to a VM of the same "
		"router) and\n"
		"`held` (the router does not know the sender's MAC address).\n"
		"\n"
		"Exit status 0: the packet arrives, or leaves for a router or host that is not on "
		"this host.\n"
		"1: it does not arrive, or the VM could not answer; it says why.\n"
		"\n"
		"JSON: {\"result\": \"arrives\", \"dropped\", \"left\" or \"astray\", \"why\", "
		"\"from\", \"to\",\n"
		"\"protocol\", \"sport\", \"dport\", \"steps\": [{\"tenant\", \"program\", "
		"\"verdict\", \"reason\",\n"
		"\"meaning\", \"remedy\", \"rule\": null or {\"file\", \"line\", \"from\", \"to\", "
		"\"ports\", \"until\"},\n"
		"\"flow\", \"before\", \"after\": {\"src\", \"dst\", \"hops\", \"checksums\": true "
		"when valid}}],\n"
		"\"looks\": [{\"tenant\", \"after\": so many steps come before it, \"look\", "
		"\"result\": \"ok\",\n"
		"\"failed\" or \"skipped\" (nobody can tell), \"seen\", \"remedy\": null or "
		"text}]}.",
	.options = { { "proto", 'p', "PROTO",
		       "as `ports` in the file: tcp, udp/53, sctp, icmp/echo-request, gre, …; or a "
		       "number. Default: tcp with a port, else an echo request" },
		     { "sport", 's', "PORT", "the source port, or identifier of the request" },
		     { "size", 'z', "BYTES",
		       "whether an IP packet of that size passes. Default: what VMs send at most" },
		     { "outside", 'o', NULL,
		       "a host on the shared network sends it, also when FROM is a VM of this "
		       "host" } },
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
