/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second pass, and what its parts share: finding what is there twice, and what overlaps. Checks
 * the names of tenants and what rules name. All by sorting: a file may have a million mappings.
 */
#include "config/parse.h"

#include <arpa/inet.h>

#include "model/dns.h"

int bytes_cmp(const struct tn_addr *a, const struct tn_addr *b)
{
	for (int i = 0; i < 4; i++) {
		if (a->w[i] != b->w[i])
			return ntohl(a->w[i]) < ntohl(b->w[i]) ? -1 : 1;
	}
	return 0;
}

static int taken_cmp(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;
	int order = bytes_cmp(&x->addr, &y->addr);

	if (!order)
		order = strcmp(x->name, y->name);
	return order ? order : x->index < y->index ? -1 : 1;
}

struct taken taken_name(const char *name, bool v6, uint32_t tenant, uint32_t index)
{
	struct taken taken = { .name = name, .tenant = tenant, .index = index };

	taken.addr.w[0] = v6;
	memcpy(&taken.addr.w[1], name,
	       strnlen(name, sizeof(taken.addr.w) - sizeof(taken.addr.w[0])));
	return taken;
}

void check_once(struct parse *p, taken_vec *taken,
		void (*twice)(struct parse *p, const struct taken *first,
			      const struct taken *again))
{
	const struct taken *first = taken->v;

	vec_sort(taken, taken_cmp);
	for (size_t i = 1; i < taken->n; i++) {
		const struct taken *again = &taken->v[i];

		if (bytes_cmp(&first->addr, &again->addr) == 0 &&
		    strcmp(first->name, again->name) == 0)
			twice(p, first, again);
		else
			first = again;
	}
}

int prefix_at_cmp(const void *a, const void *b)
{
	const struct prefix_at *x = a, *y = b;
	int order = bytes_cmp(&x->prefix.addr, &y->prefix.addr);

	if (!order)
		order = (int)x->prefix.len - (int)y->prefix.len;
	return order ? order : pos_cmp(x->at, y->at);
}

bool check_disjoint(struct parse *p, const char *what, struct prefix_at *v, size_t n)
{
	struct prefix_at *outer = v;
	bool disjoint = true;

	sort_rows(v, n, sizeof(*v), prefix_at_cmp);
	for (size_t i = 1; i < n; i++) {
		const struct prefix_at *early = outer, *late = &v[i];

		if (!prefix_overlap(&outer->prefix, &v[i].prefix)) {
			outer = &v[i];
			continue;
		}
		disjoint = false;
		if (pos_cmp(early->at, late->at) > 0) {
			early = &v[i];
			late = outer;
		}
		complain(p, late->at, "the %s `%s` overlaps `%s` at line %u; remove one of them",
			 what, PREFIX(&late->prefix), PREFIX(&early->prefix), early->at.line);
	}
	return disjoint;
}

const struct prefix *subnet_of(const struct parse *p, const struct tn_addr *a)
{
	vec_each (subnet, &p->model.subnets) {
		if (prefix_has(subnet, a))
			return subnet;
	}
	return NULL;
}

const char *reserved_for(const struct prefix *subnet, const struct tn_addr *a)
{
	if (!addr_is_v4(a))
		return "subnet-router anycast";
	return addr_cmp(a, &subnet->addr) == 0 ? "network" : "broadcast";
}

const char *tenant_text(const struct tenant *t, char buf[TENANT_TEXT])
{
	if (t->name)
		snprintf(buf, TENANT_TEXT, "tenant `%s`", t->name);
	else
		snprintf(buf, TENANT_TEXT, "a tenant without a name");
	return buf;
}

static void tenant_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, p->tenants.v[again->index].name,
		 "the tenant `%s` is already at line %u; use another name, or merge them",
		 again->name, p->tenants.v[first->index].name.line);
}

static void check_tenant_names(struct parse *p)
{
	taken_vec names = { 0 };

	for (uint32_t i = 0; i < p->tenants.n; i++) {
		if (p->model.tenants.v[i].name)
			*vec_push(&names) = taken_name(p->model.tenants.v[i].name, false, i, i);
	}
	check_once(p, &names, tenant_twice);
	vec_free(&names);
}

/* ------------------------------------------------------------ names in DNS */

static struct pos name_pos(const struct parse *p, const struct tenant *t, const struct mapping *m)
{
	size_t first = p->tenants.v[t - p->model.tenants.v].mappings;

	return p->mappings.v[first + (size_t)(m - t->mappings.v)].name;
}

static void complain_bad(struct parse *p, const struct tenant *t, const struct mapping *m,
			 struct pos at)
{
	char buf[DNS_FAULT];

	complain(p, at,
		 "`%s-%s` cannot be a name in the zone `%s`: %s; use letters, digits and `-`, or "
		 "leave out %s",
		 t->name, m ? m->name : "…", p->model.zone,
		 dns_fault(t->name, m ? m->name : NULL, buf), m ? "the name" : "`names`");
}

static void complain_twice(struct parse *p, const struct dns_name *a, const struct dns_name *b)
{
	struct pos one = name_pos(p, a->tenant, a->mapping);
	struct pos other = name_pos(p, b->tenant, b->mapping);
	bool swapped = pos_cmp(one, other) > 0;
	char label[DNS_LABEL_MAX + 1];

	complain(p, swapped ? one : other,
		 "the name `%s.%s` is already that of the mapping at line %u; rename one of them",
		 dns_label(a, label), p->model.zone, swapped ? other.line : one.line);
}

/* A tenant's own name is one mistake, however many mappings it has. */
static void check_dns_names(struct parse *p)
{
	_cleanup_dns_names_ struct dns_names names;
	const struct tenant *told = NULL;
	char buf[DNS_FAULT];

	dns_names_make(&p->model, &names);
	vec_each (one, &names.bad) {
		const struct tenant *t = one->tenant;
		bool whole = dns_fault(t->name, NULL, buf);

		if (!whole)
			complain_bad(p, t, one->mapping, name_pos(p, t, one->mapping));
		else if (told != t)
			complain_bad(p, t, NULL, p->tenants.v[t - p->model.tenants.v].name);
		told = whole ? t : told;
	}
	for (size_t i = 1; i < names.twice.n; i++) {
		if (dns_same(&names.twice.v[i - 1], &names.twice.v[i]))
			complain_twice(p, &names.twice.v[i - 1], &names.twice.v[i]);
	}
}

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef VEC(const char *) text_vec;

static bool text_has(const text_vec *sorted, const char *text)
{
	return sorted->n && bsearch(&text, sorted->v, sorted->n, sizeof(text), text_cmp);
}

static int addr_order(const void *a, const void *b)
{
	return bytes_cmp(a, b);
}

/* What a rule can name of a tenant: its mappings, by name or by fixed address; sorted. */
struct targets {
	text_vec names;
	VEC(struct tn_addr) fixed;
};

static void targets_of(const struct tenant *t, struct targets *out)
{
	out->names.n = out->fixed.n = 0;
	vec_each (m, &t->mappings) {
		if (m->name)
			*vec_push(&out->names) = m->name;
		*vec_push(&out->fixed) = m->fixed;
	}
	vec_sort(&out->names, text_cmp);
	vec_sort(&out->fixed, addr_order);
}

static bool targets_have(const struct targets *targets, const char *text)
{
	struct tn_addr addr;

	if (!addr_parse(text, &addr))
		return text_has(&targets->names, text);
	return targets->fixed.n &&
	       bsearch(&addr, targets->fixed.v, targets->fixed.n, sizeof(addr), addr_order);
}

static int named_cmp(const void *a, const void *b)
{
	const struct named_at *x = a, *y = b;

	return x->tenant < y->tenant ? -1 : x->tenant > y->tenant;
}

/* That the tenant of each entry has the mapping that it names. Sorts them by tenant. */
static void check_mappings_named(struct parse *p, named_vec *list)
{
	uint32_t sorted = UINT32_MAX;
	struct targets targets = { 0 };

	vec_sort(list, named_cmp);
	vec_each (named, list) {
		const struct tenant *t = &p->model.tenants.v[named->tenant];

		if (sorted != named->tenant)
			targets_of(t, &targets);
		sorted = named->tenant;
		if (p->tenants.v[named->tenant].mappings_known &&
		    !targets_have(&targets, named->text))
			complain(p, named->at,
				 "%s has no mapping `%s`; use the name or the fixed address of one",
				 TENANT(t), QUOTE(named->text));
	}
	vec_free(&targets.names);
	vec_free(&targets.fixed);
}

static int tenant_at_cmp(const void *a, const void *b)
{
	const struct tenant *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Names of tenants; what names a mapping of one is left in `mappings`. */
static void check_senders(struct parse *p, named_vec *mappings)
{
	VEC(const struct tenant *) tenants = { 0 };

	vec_each (t, &p->model.tenants) {
		if (t->name)
			*vec_push(&tenants) = t;
	}
	vec_sort(&tenants, tenant_at_cmp);
	vec_each (f, &p->from) {
		struct sender sender = { 0 };
		const struct tenant like = { .name = sender.tenant }, *key = &like, **found;

		sender_parse(f->text, &sender);
		found = tenants.n ? bsearch(&key, tenants.v, tenants.n, sizeof(key), tenant_at_cmp)
				  : NULL;
		if (!found)
			complain(p, f->at,
				 "there is no tenant `%s` in this file; add it, with its pool or "
				 "mappings if its router is elsewhere, or correct the name",
				 sender.tenant);
		else if (sender.mapping)
			*vec_push(mappings) =
				(struct named_at){ f->at, (uint32_t)(*found - p->model.tenants.v),
						   sender.mapping };
	}
	vec_free(&tenants);
}

static void check_from(struct parse *p)
{
	named_vec mappings = { 0 };

	if (p->names_lost)
		return;
	check_senders(p, &mappings);
	check_mappings_named(p, &mappings);
	vec_free(&mappings);
}

void check_file(struct parse *p)
{
	check_disjoint(p, "shared subnet", p->subnets.v, p->subnets.n);
	check_tenants(p);
	check_tenant_names(p);
	check_dns_names(p);
	if (!p->is_part) {
		check_from(p);
		check_mappings_named(p, &p->to);
	}
	check_router_addresses(p);
	check_router_interfaces(p);
	check_pinned(p);
}
