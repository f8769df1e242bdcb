/* SPDX-License-Identifier: GPL-2.0-only */
/* What a change says of definitions: the shared network, tenants and rules. */
#include "change/plan_text.h"

#include "change/differences.h"
#include "change/plan_internal.h"
#include "model/prefixes.h"
#include "model/until.h"

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

void plan_describe_network(const struct model *had, const struct model *will, struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	/* the first definitions of all change nothing */
	if (!had->subnets.n || !will->subnets.n)
		return;
	differ_prefixes(&d, "subnets", NULL, had->subnets.v, had->subnets.n, will->subnets.v,
			will->subnets.n);
	differ_text(&d, "zone of names", had->zone, will->zone);
	if (d.f)
		plan_say(out, '~', "shared network: %s", differences_text(&d));
}

const char *plan_mac_text(const uint8_t mac[6], char buf[MAC_TEXT])
{
	return mac_is_unset(mac) ? NULL : mac_text(mac, buf);
}

/* "10.0.0.1, 10.0.0.2"; NULL: none. The caller's to free. */
static char *except_text(const struct mapping *m)
{
	char *text = NULL;
	size_t size;
	FILE *f = m->except ? open_memstream(&text, &size) : NULL;

	if (!f)
		return NULL;
	for (size_t i = 0; i < m->except->list.n; i++)
		fprintf(f, "%s%s", i ? ", " : "", ADDR(&m->except->list.v[i]));
	fclose(f);
	return text;
}

/* A mapping's name or pinning can change without the machine noticing. */
static void describe_labels(const struct tenant *had, const struct tenant *will,
			    struct plan_text *out)
{
	char a[MAC_TEXT], b[MAC_TEXT];
	size_t h = 0;

	vec_each (m, &will->mappings) {
		_cleanup_free_ char *old_except = NULL, *new_except = NULL;
		_cleanup_differences_ struct differences d = { 0 };
		const struct mapping *old;

		while (h < had->mappings.n && addr_cmp(&had->mappings.v[h].fixed, &m->fixed) < 0)
			h++;
		old = h < had->mappings.n ? &had->mappings.v[h] : NULL;
		if (!old || addr_cmp(&old->fixed, &m->fixed) != 0 ||
		    (same_text(old->name, m->name) && old->pinned == m->pinned &&
		     same_exceptions(old->except, m->except) &&
		     memcmp(old->mac, m->mac, sizeof(m->mac)) == 0))
			continue;
		old_except = except_text(old);
		new_except = except_text(m);
		differ_text(&d, "name", old->name, m->name);
		differ_text(&d, "shared address", old->pinned ? "pinned" : "leased",
			    m->pinned ? "pinned" : "leased");
		differ_text(&d, "MAC address", plan_mac_text(old->mac, a),
			    plan_mac_text(m->mac, b));
		differ_text(&d, "exceptions", old_except, new_except);
		plan_say_of(out, '~', will->name, "mapping %s %s: %s", will->name, FIXED(m),
			    differences_text(&d));
	}
}

/* The index of the rule with that id, from `first` to before `end`; `end`: it is not there. */
static size_t find_rule(const struct tenant *t, uint32_t id, size_t first, size_t end)
{
	while (first < end && t->accept.v[first].id != id)
		first++;
	return first;
}

/* Whether the rules that are in both are in another order, in which the first one counts. */
static bool is_reordered(const struct tenant *had, const struct tenant *will)
{
	size_t last = 0;

	vec_each (r, &will->accept) {
		size_t at = find_rule(had, r->id, last, had->accept.n);

		if (at < had->accept.n)
			last = at;
		else if (find_rule(had, r->id, 0, last) < last)
			return true;
	}
	return false;
}

static const char *accept_text(const struct tenant *t)
{
	return !t->has_accept ? NULL : t->accept.n ? "rules" : "[]";
}

/* Of one that was there before. */
static void describe_tenant(const struct tenant *had, const struct tenant *will,
			    struct plan_text *out)
{
	_cleanup_differences_ struct differences d = { 0 };

	differ_prefixes(&d, "pool", "(all)", had->pools.v, had->pools.n, will->pools.v,
			will->pools.n);
	differ_text(&d, "router", had->router ? "here" : "elsewhere",
		    will->router ? "here" : "elsewhere");
	/* rules that come and go have lines of their own */
	if (!had->accept.n && !will->accept.n)
		differ_text(&d, "accept", accept_text(had), accept_text(will));
	if (is_reordered(had, will))
		differ_say(&d, "order of accept");
	if (d.f)
		plan_say_of(out, '~', will->name, "tenant %s: %s", will->name,
			    differences_text(&d));
	describe_labels(had, will, out);
}

void plan_describe_tenants(const struct model *had, const struct model *will, struct plan_text *out)
{
	const struct tenant *w = will->tenants.v, *wend = w + will->tenants.n;
	const struct tenant *h = had->tenants.v, *hend = h + had->tenants.n;

	while (w < wend || h < hend) {
		int order = w == wend ? 1 : h == hend ? -1 : strcmp(w->name, h->name);

		if (order < 0)
			plan_say_of(out, '+', w->name, "tenant %s", w->name);
		else if (order > 0)
			plan_say_of(out, '-', h->name, "tenant %s", h->name);
		else
			describe_tenant(h, w, out);
		w += order <= 0;
		h += order >= 0;
	}
}

static void describe_rule(struct plan_text *out, char sign, const struct tenant *t,
			  const struct rule *r)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r);
	_cleanup_free_ char *services = rule_services_text(r);
	char until[RULE_UNTIL_TEXT];

	plan_say_of(out, sign, t->name, "rule of %s: from %s%s%s%s%s%s", t->name, from,
		    *to ? " to " : "", to, *services ? " " : "", services,
		    rule_until_text(r, until));
}

static void rule_ids_of_model(const struct model *m, struct rule_ids *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept)
			*vec_push(&out->list) = r->id;
	}
	vec_sort_once(&out->list, rule_id_cmp);
}

void plan_describe_rules(const struct model *m, const struct model *other,
			 const struct kernel_state *machine, const struct kernel_state *without,
			 char sign, struct plan_text *out)
{
	struct rule_ids defined, rows, lacking;

	rule_ids_of_model(other, &defined);
	rule_ids_of_rows(&machine->policy, &rows);
	rule_ids_of_rows(&without->policy, &lacking);
	vec_each (t, &m->tenants) {
		vec_each (r, &t->accept) {
			if (!rule_ids_have(&defined, r->id) ||
			    (rule_ids_have(&rows, r->id) && !rule_ids_have(&lacking, r->id)))
				describe_rule(out, sign, t, r);
		}
	}
	vec_free(&defined.list);
	vec_free(&rows.list);
	vec_free(&lacking.list);
}
