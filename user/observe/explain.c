/* SPDX-License-Identifier: GPL-2.0-only */
#include <netinet/in.h>
#include <stdio.h>

#include "model/policy.h"
#include "model/prefixes.h"
#include "model/until.h"
#include "observe/explain.h"
#include "tn_reasons.h"

static const struct reason {
	const char *name;
	const char *meaning;
} reasons[] = {
#define X(id, name, meaning) { name, meaning },
	TN_REASONS(X)
#undef X
};

static const char *const verdicts[] = { "pass", "drop", "translated", "turned", "held" };

/* Programs of another build may know more of them. */
static const struct reason *reason_of(const struct trace_step *s)
{
	static const struct reason unknown = { "unknown", "no reason that this tenantnat knows; "
							  "`tenantnat apply` renews the programs" };

	return s->event.reason < ARRAY_SIZE(reasons) ? &reasons[s->event.reason] : &unknown;
}

const char *explain_reason(const struct trace_step *s)
{
	return reason_of(s)->name;
}

const char *explain_meaning(const struct trace_step *s)
{
	return reason_of(s)->meaning;
}

const char *explain_verdict(const struct trace_step *s)
{
	return s->event.verdict < ARRAY_SIZE(verdicts) ? verdicts[s->event.verdict] : "unknown";
}

const struct rule *explain_rule(const struct model *m, const struct trace_step *s)
{
	if (!s->told || !s->event.rule)
		return NULL;
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept) {
			if (r->id == s->event.rule)
				return r;
		}
	}
	return NULL;
}

const char *explain_protocol(const struct trace_packet *s, char buf[SERVICE_TEXT])
{
	const struct service other = { TN_CLASS_OTHER, s->proto, s->proto };

	if (s->proto == IPPROTO_ICMPV6)
		return "icmp";
#define X(id, name, protocol)                     \
	if ((protocol) && s->proto == (protocol)) \
		return name;
	TN_CLASSES(X)
#undef X
	service_text(&other, 1, buf);
	return buf;
}

/* As an entry of a list, as YAML takes it; the caller frees. */
static char *entry_text(const char *tenant, const struct mapping *m)
{
	const char *name = !m ? "" : m->name ? m->name : FIXED(m);
	const char *quote = strchr(name, ':') ? "\"" : "";
	char *text;

	if (asprintf(&text, "%s%s%s%s%s", quote, tenant, *tenant && m ? "/" : "", name, quote) < 0)
		return NULL;
	return text;
}

/* The rule that has ended has to get a later end, by the line that it is in. */
static char *renewal(const struct model *m, const struct trace_step *s)
{
	const struct rule *r = explain_rule(m, s);
	char *text = NULL, until[UNTIL_TEXT];

	if (!r ||
	    asprintf(&text, "give the rule in %s:%u a later `until` than %s, or none",
		     m->file ? m->file : "line", r->pos.line, until_text(r->until, until)) < 0)
		return NULL;
	return text;
}

char *explain_remedy(const struct trace *t, const struct trace_step *s)
{
	_cleanup_free_ char *from = NULL, *to = NULL;
	char *text = NULL, service[SERVICE_TEXT];

	if (s->event.verdict == TN_EVENT_DROP && s->event.reason == TN_DROP_RULE_ENDED)
		return renewal(t->model, s);
	if (s->event.verdict != TN_EVENT_DROP || s->event.reason != TN_DROP_NOT_ACCEPTED ||
	    !t->from.tenant || !t->to.tenant || !t->nservices)
		return NULL;
	from = entry_text(t->from.tenant, t->from.mapping);
	to = entry_text("", t->to.mapping);
	service_text(t->services, t->nservices, service);
	if (!from || !to ||
	    asprintf(&text, "add to tenant %s: accept: [{from: [%s]%s%s%s, ports: [%s]}]",
		     t->to.tenant, from, *to ? ", to: [" : "", to, *to ? "]" : "", service) < 0)
		return NULL;
	return text;
}

/* The rule in words, as its line in the file has it; the caller frees. */
static char *rule_text(const struct model *m, const struct rule *r)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r),
			    *ports = rule_services_text(r);
	char *text = NULL, until[UNTIL_TEXT];

	if (asprintf(&text, "%s:%u (from %s%s%s%s%s%s%s)", m->file ? m->file : "line", r->pos.line,
		     from, *to ? ", to " : "", to, *ports ? ", ports " : "", ports,
		     r->until ? ", until " : "", until_text(r->until, until)) < 0)
		return NULL;
	return text;
}

const char *explain_accepted(const struct model *m, const struct trace_step *s, char **text)
{
	const struct rule *r = explain_rule(m, s);

	*text = NULL;
	if (r)
		return *text = rule_text(m, r);
	if (s->told && s->event.rule)
		return "a rule that is not in the definitions any more";
	if (s->told && s->event.flow && s->event.verdict != TN_EVENT_DROP)
		return "as a flow that its VM opens";
	return NULL;
}
