/* SPDX-License-Identifier: GPL-2.0-only */
/* What there is of the routers that a change is about, and whether it can be what is defined. */
#include "change/change_parts.h"
#include "dataplane/attach.h"
#include "lib/host_name.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/progress.h"
#include "model/join.h"
#include "model/on_link.h"
#include "model/prefixes.h"

static const struct router_facts *owner_of(const struct facts *facts, const struct tn_addr *a)
{
	vec_each (f, &facts->list) {
		vec_each (own, &f->own) {
			if (addr_cmp(own, a) == 0)
				return f;
		}
	}
	return NULL;
}

/* Of two routers with the same address, one would be looked for at the other. */
static int check_own(const struct facts *facts, const struct router_facts *f, struct error *err)
{
	vec_each (a, &f->own) {
		const struct router_facts *other = owner_of(facts, a);

		if (other != f)
			return error_set(err,
					 "the routers of %s and %s both have the address %s; "
					 "give one of them another",
					 other->row.tenant, f->row.tenant, ADDR(a));
	}
	return 0;
}

static const struct mapping *mapping_of(const struct model *m, const struct tn_addr *shared)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (mapping_has_shared(mapping, shared))
				return mapping;
		}
	}
	return NULL;
}

/* No lease moves because a router got its address: that would be a change of the definitions. */
static int check_leases(const struct model *had, const struct router_facts *f, struct error *err)
{
	vec_each (a, &f->own) {
		const struct mapping *m = mapping_of(had, a);
		struct tn_addr fixed;

		if (!m)
			continue;
		fixed = mapping_fixed_of(m, a);
		return error_set(err,
				 "%s has the address %s, which is the shared address of %s; remove "
				 "it from the interface",
				 f->at.name, ADDR(a), ADDR(&fixed));
	}
	return 0;
}

/* Somebody else's address goes and comes with the interface; ours in its place would do neither. */
static int check_address(const struct model *had, const struct tenant *t,
			 const struct router_facts *f, struct error *err)
{
	const struct tenant *before = model_tenant((struct model *)had, t->name);

	if (before && before->router && before->router->passed_over)
		return 0;
	for (int i = 0; before && before->router && i < FAMILIES; i++) {
		if (t->router->own[i].wanted && addr_is_unset(&before->router->own[i].addr))
			return error_set(
				err,
				"%s has lost its %s address in the shared subnets; give it "
				"one, or let `tenantnat apply` lease one",
				f->at.name, i == IPV4 ? "IPv4" : "IPv6");
	}
	return 0;
}

/* An unreachable route is everybody's in that namespace. */
static bool is_of(const struct place *route, const struct router_facts *f)
{
	struct place any = f->at;

	any.ifindex = 0;
	return place_cmp(route, &f->at) == 0 || place_cmp(route, &any) == 0 ||
	       router_row_has_inside(&f->row, route);
}

/* Of a router that is passed over, in favour of the others. */
struct unseen {
	const struct change *c;
	struct tenant *tenant;
	const struct facts *facts;     /* of the others */
	const struct failures *failed; /* who else is passed over */
};

/* Whether somebody else has that address of it by the new definitions. */
static bool is_taken(const struct unseen *u, const struct tn_addr *a)
{
	vec_each (t, &u->c->will.tenants) {
		if (t != u->tenant && t->router && !is_passed_over(u->failed, t->name) &&
		    t->router->own[addr_family(a)].pinned &&
		    addr_cmp(&t->router->own[addr_family(a)].addr, a) == 0)
			return true;
	}
	return owner_of(u->facts, a) || mapping_of(&u->c->will, a);
}

/* What bears our mark in the namespace of the router. */
static void copy_marked(const struct unseen *u, struct router_facts *f)
{
	const struct kernel_state *have = &u->c->have;

	vec_each (addr, &have->addrs) {
		if (place_cmp(&addr->at, &f->at) == 0 && !is_taken(u, &addr->addr))
			*vec_push(&f->addrs) = *addr;
	}
	vec_each (route, &have->routes) {
		if (is_of(&route->at, f))
			*vec_push(&f->routes) = *route;
	}
	vec_each (group, &have->groups) {
		if (place_cmp(&group->at, &f->at) == 0)
			*vec_push(&f->groups) = *group;
	}
}

static const struct router_row *row_of(const struct kernel_state *have, const struct tenant *t)
{
	vec_each (r, &have->routers) {
		if (t && t->router && r->id == t->router->id)
			return r;
	}
	return NULL;
}

/* The facts about a router that is passed over: what the machine has of it, to be kept. */
static void keep_unseen(const struct unseen *u, struct facts *facts)
{
	struct tenant *t = u->tenant;
	const struct tenant *had = model_tenant((struct model *)&u->c->had, t->name);
	const struct router_row *row = row_of(&u->c->have, had);
	struct router_facts f = { 0 };

	for (int i = 0; had && had->router && i < FAMILIES; i++) {
		if (!t->router->own[i].pinned && !addr_is_unset(&had->router->own[i].addr))
			t->router->own[i] = had->router->own[i];
	}
	if (!row)
		return;
	f.row = *row;
	f.row.out_of_scope = true;
	snprintf(f.row.tenant, sizeof(f.row.tenant), "%s", t->name);
	f.at.netns_dev = row->netns_dev;
	f.at.netns_ino = row->netns_ino;
	f.at.ifindex = row->ifindex;
	vec_each (own, &u->c->have.shared) {
		if (own->flags & TN_SHARED_OWN && own->router == row->id &&
		    !is_taken(u, &own->shared))
			*vec_push(&f.own) = own->shared;
	}
	copy_marked(u, &f);
	*vec_push(&facts->list) = f;
}

static bool is_left_alone(const struct change_how *how, const struct tenant *t)
{
	return how->only && !scope_has(how->only, t->name);
}

/* One that was joined before, by the same definitions, is only restored when it comes back. */
static void note_passed_over(const struct change *c, const struct change_how *how, struct tenant *t)
{
	const struct tenant *had = model_tenant((struct model *)&c->had, t->name);

	t->router->passed_over = !how->restore || (had && had->router && had->router->passed_over);
}

/*
 * What was right when it was defined does not keep a router from being restored: a gateway whose
 * interface has no address yet gets its route when it has.
 */
static int check_inside_routes(const struct change_how *how, const struct tenant *t,
			       const struct router_facts *f, struct error *err)
{
	struct error later = { 0 };

	if (!how->restore)
		return join_check_inside_routes(t->router, f, err);
	if (join_check_inside_routes(t->router, f, &later) && !how->agent)
		log_warning("tenant %s: %s", t->name, later.text);
	return 0;
}

static int look_closely(struct change *c, const struct change_how *how, struct tenant *t,
			struct facts *facts, struct error *err)
{
	struct router_facts *f = vec_push(&facts->list);

	if (inspect_router(&c->will, t, &c->have, f, err) || check_own(facts, f, err) ||
	    check_inside_routes(how, t, f, err))
		return -1;
	/* an agent looks all the time, and a change of one mapping is about something else */
	if (f->doubt.set && !how->scope && !(how->agent && how->restore))
		log_about(LOG_WARNING, t->name, NULL, "tenant %s: %s", t->name, f->doubt.text);
	if (f->row.standby && !how->restore && !how->agent)
		log_about(LOG_NOTICE, t->name, "standby",
			  "tenant %s: its router is a standby: %s has not its own address, which "
			  "%s",
			  t->name, f->at.name,
			  f->row.elected ? "the host that is elected gets (`active: elected`)"
					 : "others give it (`active: address`)");
	if (how->partial && check_leases(&c->had, f, err))
		return -1;
	return how->restore ? check_address(&c->had, t, f, err) : 0;
}

static void note_elsewhere(const struct tenant *t)
{
	_cleanup_free_ char *hosts = t->remote ? router_hosts_text(t->remote) : NULL;

	if (hosts)
		log_debug("tenant %s: its router is elsewhere, on %s; this host is %s", t->name,
			  hosts, host_name());
}

int change_facts_gather(struct change *c, const struct change_how *how, struct facts *facts,
			struct failures *failed, struct error *err)
{
	struct model *m = &c->will;

	memset(facts, 0, sizeof(*facts));
	progress_begin("tenants looked at", m->tenants.n);
	vec_each (t, &m->tenants) {
		if (interrupt_check(err))
			return -1;
		progress_step(1);
		note_elsewhere(t);
		if (!t->router || t->router->detached || !scope_has(how->scope, t->name))
			continue;
		if (is_left_alone(how, t)) {
			keep_unseen(&(struct unseen){ c, t, facts, failed }, facts);
			continue;
		}
		if (look_closely(c, how, t, facts, err) == 0) {
			t->router->passed_over = false;
			continue;
		}
		error_prefix(err, "tenant %s", t->name);
		if (pass_over(failed, t->name, err))
			return -1;
		router_facts_free(&facts->list.v[--facts->list.n]);
		note_passed_over(c, how, t);
		keep_unseen(&(struct unseen){ c, t, facts, failed }, facts);
	}
	progress_end();
	kernel_state_sort(&c->have);
	return 0;
}

static void drop_facts(struct facts *facts, const char *tenant)
{
	size_t n = 0;

	for (size_t i = 0; i < facts->list.n; i++) {
		struct router_facts f = facts->list.v[i];

		if (strcmp(f.row.tenant, tenant) == 0)
			router_facts_free(&f);
		else
			facts->list.v[n++] = f;
	}
	facts->list.n = n;
}

void change_facts_pass_over(struct change *c, const struct change_how *how,
			    const struct failures *failed, struct facts *facts)
{
	vec_each (one, &failed->list)
		drop_facts(facts, one->tenant);
	vec_each (one, &failed->list) {
		struct tenant *t = model_tenant(&c->will, one->tenant);
		size_t known = facts->list.n;

		note_passed_over(c, how, t);
		keep_unseen(&(struct unseen){ c, t, facts, failed }, facts);
		/* what this change has done to it is put back, where that can be done */
		for (; known < facts->list.n; known++) {
			struct router_row *row = &facts->list.v[known].row;

			row->out_of_scope = row->broken || !attach_has_place(row);
		}
	}
}

static bool is_given(const struct model *m, const struct tn_addr *a)
{
	int family = addr_family(a);

	vec_each (t, &m->tenants) {
		if (t->router && addr_cmp(&t->router->own[family].addr, a) == 0)
			return true;
	}
	return false;
}

static const struct router *router_of_facts(const struct model *m, const struct router_facts *f)
{
	return model_tenant((struct model *)m, f->row.tenant)->router;
}

/*
 * Nobody gets the address of a router, whether it is looked at now or was before. Those that
 * routers have by the definitions are ipam_assign()'s to keep.
 */
void change_facts_reserve(const struct change *c, const struct facts *facts,
			  const struct scope *scope, struct addr_list *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (f, &facts->list) {
		const struct router *r = router_of_facts(&c->will, f);

		vec_each (a, &f->own) {
			const struct own_address *own = &r->own[addr_family(a)];
			bool keeps = own->pinned || f->row.out_of_scope;

			if (!keeps || addr_cmp(&own->addr, a) != 0)
				*vec_push(&out->list) = *a;
		}
	}
	vec_each (row, &c->have.shared) {
		if (scope && row->flags & TN_SHARED_OWN && !is_given(&c->had, &row->shared))
			*vec_push(&out->list) = row->shared;
	}
}

void change_facts_complete(const struct model *m, struct facts *facts)
{
	vec_each (f, &facts->list) {
		const struct tenant *t = model_tenant((struct model *)m, f->row.tenant);

		if (f->row.out_of_scope)
			continue;
		f->row.id = t->router->id;
		join_settle(m, t, f);
	}
}

static bool is_attached(const struct kernel_state *m, const struct place *at)
{
	vec_each (r, &m->routers) {
		if (r->netns_dev == at->netns_dev && r->netns_ino == at->netns_ino &&
		    r->ifindex == at->ifindex)
			return true;
	}
	return false;
}

static const struct iface *shared_of(const struct router_facts *f)
{
	vec_each (i, &f->ifaces.list) {
		if (i->index == f->at.ifindex)
			return i;
	}
	return NULL;
}

static void warn_on_link(const struct change *c, const struct router_facts *f)
{
	const struct tenant *t = model_tenant((struct model *)&c->will, f->row.tenant);
	char text[ON_LINK_TEXT];
	struct on_link found;

	if (f->row.standby || f->row.out_of_scope)
		return;
	on_link_find(&f->ifaces, t, f->row.inside, &found);
	if (found.n && (found.covered || t->router->sources == SOURCES_STRICT))
		log_warning("tenant %s: %s; " ON_LINK_REMEDY, t->name,
			    on_link_text(&found, t->router, text), found.name);
}

void change_facts_warn(const struct change *c, const struct facts *facts)
{
	vec_each (f, &facts->list)
		warn_on_link(c, f);
	vec_each (f, &facts->list) {
		const struct iface *shared = shared_of(f);
		bool attached = is_attached(&c->have, &f->at);

		if (!shared)
			continue;
		vec_each (a, &shared->addrs) {
			bool is_new = !attached || !iface_addr_is_cut_off(a, &c->had);

			if (is_new && iface_addr_is_cut_off(a, &c->will))
				log_about(LOG_WARNING, f->row.tenant, NULL,
					  "tenant %s: %s on %s is in no shared subnet: over %s "
					  "nobody reaches this address any more, and the router "
					  "cannot send from it; put it on another interface",
					  f->row.tenant, ADDR(&a->addr), shared->name,
					  shared->name);
		}
	}
}
