/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads a tenant: its name, its pool, and the rules of `accept`. */
#include "config/parse.h"

#include "model/service.h"
#include "model/until.h"

static void tenant_name(struct parse *p, const char *text, struct pos at)
{
	if (!tenant_name_valid(text)) {
		bad_name(p, "tenant", text, at);
		return;
	}
	last(&p->model.tenants)->name = xstrdup(text);
	last(&p->tenants)->name = at;
}

static void tenant_pool(struct parse *p, const char *text, struct pos at)
{
	struct prefix prefix;

	if (!take_prefix(p, text, at, &prefix))
		return;
	*vec_push(&last(&p->model.tenants)->pools) = prefix;
	*vec_push(&p->pools) = (struct prefix_at){
		.prefix = prefix,
		.at = at,
		.tenant = (uint32_t)p->tenants.n - 1,
	};
}

static struct rule *rule_of(struct parse *p)
{
	return last(&last(&p->model.tenants)->accept);
}

static bool is_listed(char *const *v, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i], text) == 0)
			return true;
	}
	return false;
}

static struct named_at named_here(struct parse *p, const char *text, struct pos at)
{
	return (struct named_at){ at, (uint32_t)p->tenants.n - 1, text };
}

static void rule_from(struct parse *p, const char *text, struct pos at)
{
	struct rule *r = rule_of(p);
	struct sender sender;

	if (strcmp(text, "*") == 0) {
		if (r->any || r->from.n)
			complain(p, at, "`*` is every tenant; remove the others, or `*`");
		r->any = true;
	} else if (r->any) {
		complain(p, at, "`*` is every tenant; remove the others, or `*`");
	} else if (!sender_parse(text, &sender)) {
		complain(p, at,
			 "`%s` is not a tenant name; use that of a tenant, TENANT/MAPPING for one "
			 "of "
			 "its mappings, or \"*\" for all",
			 QUOTE(text));
	} else if (is_listed(r->from.v, r->from.n, text)) {
		complain(p, at, "`%s` is listed twice; remove one of them", QUOTE(text));
	} else {
		*vec_push(&r->from) = xstrdup(text);
		*vec_push(&p->from) = named_here(p, *last(&r->from), at);
	}
}

static void rule_to(struct parse *p, const char *text, struct pos at)
{
	struct rule *r = rule_of(p);

	if (is_listed(r->to.v, r->to.n, text)) {
		complain(p, at, "`%s` is listed twice; remove one of them", QUOTE(text));
		return;
	}
	*vec_push(&r->to) = xstrdup(text);
	*vec_push(&p->to) = named_here(p, *last(&r->to), at);
}

static void rule_ports(struct parse *p, const char *text, struct pos at)
{
	struct service parts[SERVICE_PARTS];
	struct rule *r = rule_of(p);
	struct error err = { 0 };
	size_t n = service_parse(QUOTE(text), parts, &err);

	if (!n) {
		complain(p, at, "%s", err.text);
		return;
	}
	if (service_is_port_zero(parts)) {
		complain(p, at,
			 "`%s`: port 0 is reserved, nobody can listen there; use 1 to 65535, or "
			 "`%.*s` for all ports",
			 text, (int)strcspn(text, "/"), text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		vec_each (s, &r->services) {
			if (!service_same(s, &parts[i]))
				continue;
			complain(p, at, "`%s` is listed twice; remove one of them", QUOTE(text));
			return;
		}
	}
	for (size_t i = 0; i < n; i++)
		*vec_push(&r->services) = parts[i];
}

static void rule_until(struct parse *p, const char *text, struct pos at)
{
	struct error err = { 0 };

	if (until_parse(QUOTE(text), &rule_of(p)->until, &err))
		complain(p, at, "%s", err.text);
}

static const struct key rule_keys[] = {
	{ "from", TEXT_OR_TEXTS, REQUIRED, rule_from, "from: [blue]", NULL },
	{ "to", TEXT_OR_TEXTS, 0, rule_to, "to: [db]", NULL },
	{ "ports", TEXT_OR_TEXTS, 0, rule_ports, "ports: [tcp/5432, icmp]", NULL },
	{ "until", TEXT, 0, rule_until, "until: 2027-03-31", NULL },
};
static const struct level rule_level = LEVEL("a rule", rule_keys);

static void accept_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	vec_push(&last(&p->model.tenants)->accept)->pos = at;
	take_level(p, &rule_level);
}

enum { TENANT_NAME, TENANT_ROUTER, TENANT_POOL, TENANT_ACCEPT, TENANT_MAPPINGS };
static const struct key tenant_keys[] = {
	[TENANT_NAME] = { "name", TEXT, REQUIRED, tenant_name, "name: red", NULL },
	[TENANT_ROUTER] = { "router", MAP, MAY_BE_EMPTY, tenant_takes_router,
			    "router: {netns: red}", &router_level },
	[TENANT_POOL] = { "pool", TEXTS, 0, tenant_pool, "pool: [100.64.1.0/24]", NULL },
	[TENANT_ACCEPT] = { "accept", MAPS, MAY_BE_EMPTY, accept_item, "accept: [{from: [blue]}]",
			    &rule_level },
	[TENANT_MAPPINGS] = { "mappings", MAPS, MAY_BE_EMPTY, mappings_item,
			      "mappings: [{fixed: 10.0.0.5}]", &mapping_level },
};
const struct level tenant_level = LEVEL("a tenant", tenant_keys);

void tenants_item(struct parse *p, const char *text, struct pos at)
{
	struct tenant_at *t = vec_push(&p->tenants);
	struct seen seen;

	(void)text;
	t->mappings = p->mappings.n;
	t->pools = p->pools.n;
	vec_push(&p->model.tenants)->pos = at;
	seen = take_level(p, &tenant_level);
	last(&p->model.tenants)->has_accept = seen.given & 1U << TENANT_ACCEPT;
	last(&p->tenants)->pool_known = !(seen.bad & 1U << TENANT_POOL);
	last(&p->tenants)->mappings_known = !(seen.bad & 1U << TENANT_MAPPINGS);
	p->names_lost |= seen.bad & 1U << TENANT_NAME && !last(&p->model.tenants)->name;
}
