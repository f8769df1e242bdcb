/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/select.h"

#include "lib/typo.h"
#include "model/dns.h"
#include "model/selection.h"

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static int take_network(struct model *into, const struct model *from, struct error *err)
{
	if (!into->tenants.n) {
		into->subnets.n = 0;
		vec_each (p, &from->subnets)
			*vec_push(&into->subnets) = *p;
		free(into->zone);
		into->zone = from->zone ? xstrdup(from->zone) : NULL;
	}
	if (!same_text(into->zone, from->zone))
		return error_usage(err, "the file has another zone for names than what is in "
					"force; apply all of it");
	return prefixes_equal(into->subnets.v, into->subnets.n, from->subnets.v, from->subnets.n)
		       ? 0
		       : error_usage(err, "the shared subnets of the file are others than those in "
					  "force; apply all of it");
}

static void take_tenant(struct model *into, const char *name, struct tenant *from)
{
	struct tenant *old = model_tenant(into, name);

	if (old) {
		tenant_clear(old);
		*old = into->tenants.v[--into->tenants.n];
	}
	if (from) {
		*vec_push(&into->tenants) = *from;
		memset(from, 0, sizeof(*from));
		/* a tenant without a name is none that can be looked for */
		from->name = xstrdup("");
	}
}

static int check_sender(struct model *m, const struct tenant *t, const char *from,
			struct error *err)
{
	const struct tenant *tenant;
	struct sender sender;
	struct called by;

	if (!sender_parse(from, &sender))
		return 0;
	tenant = model_tenant(m, sender.tenant);
	if (!tenant)
		return error_usage(
			err,
			"tenant %s accepts tenant %s, which is not in force; apply that as well",
			t->name, sender.tenant);
	if (!sender.mapping)
		return 0;
	by = called(sender.mapping);
	if (!has_called(tenant, &by))
		return error_usage(
			err,
			"tenant %s accepts %s, which is not in force; apply tenant %s as "
			"well",
			t->name, from, sender.tenant);
	return 0;
}

static int check_from(struct model *m, const struct tenant *t, struct error *err)
{
	vec_each (rule, &t->accept) {
		vec_each (from, &rule->from) {
			if (check_sender(m, t, *from, err))
				return -1;
		}
	}
	return 0;
}

static int check_place(const struct model *m, const struct tenant *t, struct error *err)
{
	vec_each (other, &m->tenants) {
		if (other != t && t->router && other->router && t->router->shared &&
		    same_text(t->router->netns, other->router->netns) &&
		    same_text(t->router->shared, other->router->shared))
			return error_usage(err,
					   "the routers of %s and %s have the same interface; "
					   "apply both",
					   t->name, other->name);
	}
	return 0;
}

/* What comes was checked, and so was what stays; but not together. */
static int check_dns(const struct model *m, struct error *err)
{
	_cleanup_dns_names_ struct dns_names names;
	const struct dns_name *twice;

	dns_names_make(m, &names);
	twice = names.twice.v;
	if (!names.twice.n)
		return 0;
	return error_usage(err,
			   "%s/%s and %s/%s would have the same name in the zone %s; rename one",
			   twice[0].tenant->name, twice[0].mapping->name, twice[1].tenant->name,
			   twice[1].mapping->name, m->zone);
}

static int no_tenant(const struct model *into, const struct model *from, const char *name,
		     struct error *err)
{
	struct typo near = { .typed = name };

	vec_each (t, &from->tenants)
		typo_try(&near, t->name, strlen(t->name));
	vec_each (t, &into->tenants)
		typo_try(&near, t->name, strlen(t->name));
	return error_usage(err, "there is no tenant %s, neither in the file nor in force%s%s%s",
			   name, near.meant[0] ? "; did you mean `" : "", near.meant,
			   near.meant[0] ? "`?" : "");
}

int model_take(struct model *into, struct model *from, const char *const *names, size_t n,
	       struct error *err)
{
	if (take_network(into, from, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct tenant *t = model_tenant(from, names[i]);

		if (!t && !model_tenant(into, names[i]))
			return no_tenant(into, from, names[i], err);
		take_tenant(into, names[i], t);
	}
	free(into->file);
	into->file = from->file;
	from->file = NULL;
	model_sort(into);
	vec_each (t, &into->tenants) {
		if (check_from(into, t, err) || check_place(into, t, err))
			return -1;
	}
	return check_dns(into, err);
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

size_t model_lost(const struct model *had, const struct model *will)
{
	struct addr_list kept = { 0 };
	size_t lost = 0;

	vec_each (t, &will->tenants) {
		vec_each (m, &t->mappings) {
			if (!addr_is_unset(&m->shared))
				*vec_push(&kept.list) = m->shared;
		}
	}
	vec_sort(&kept.list, addr_order);
	vec_each (t, &had->tenants) {
		struct tenant *now = model_tenant((struct model *)will, t->name);

		vec_each (m, &t->mappings) {
			bool stays = (now && tenant_mapping(now, &m->fixed)) ||
				     (kept.list.n && bsearch(&m->shared, kept.list.v, kept.list.n,
							     sizeof(m->shared), addr_order));

			lost += !stays;
		}
	}
	vec_free(&kept.list);
	return lost;
}

size_t model_mappings(const struct model *m)
{
	size_t n = 0;

	vec_each (t, &m->tenants)
		n += t->mappings.n;
	return n;
}
