/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/change.h"

#include <pwd.h>
#include <time.h>

#include "dataplane/attach.h"
#include "host/netns.h"
#include "lib/background.h"
#include "lib/log.h"
#include "lib/output.h"
#include "lib/spawn_detached.h"
#include "model/ipam.h"
#include "model/join.h"
#include "probe/announce.h"
#include "probe/batch.h"

static int open_store(const struct settings *settings, enum store_mode mode, struct change *c,
		      struct error *err)
{
	memset(c, 0, sizeof(*c));
	c->settings = settings;
	return dataplane_check(settings->bpffs, err) ||
			       store_open(settings->state, mode, settings->wait, settings->command,
					  &c->store, err)
		       ? -1
		       : 0;
}

static int load(struct change *c, struct model *will, struct error *err)
{
	if (store_load(c->store, &c->had, err) || (!will && store_load(c->store, &c->will, err)) ||
	    kernel_state_load(c->settings->bpffs, &c->had, c->scope, &c->dp, &c->have, err))
		return -1;
	if (will) {
		c->will = *will;
		*will = (struct model){ 0 };
	}
	return 0;
}

/* Whose routers a change through a window looks at. */
static struct scope scope_of(const struct window *w)
{
	return (struct scope){ .tenants = (char *const *)&w->tenant, .n = 1 };
}

/* Of a machine without maps, or after a process that was killed, all has to be read. */
static int load_part(struct change *c, const struct window *w, struct error *err)
{
	struct scope scope = scope_of(w);

	if (dataplane_open(c->settings->bpffs, &c->dp, err))
		return -1;
	if (!c->dp || !dataplane_is_settled(c->dp))
		return change_widen(c, err);
	c->window = w;
	if (store_load_part(c->store, w, &c->had, err) ||
	    store_load_part(c->store, w, &c->will, err) ||
	    kernel_state_load_part(c->dp, &c->had, &scope, &c->have, err))
		return -1;
	return 0;
}

static void unload(struct change *c)
{
	c->window = NULL;
	row_keys_free(&c->keys);
	kernel_state_free(&c->have);
	dataplane_close(c->dp);
	c->dp = NULL;
	model_free(&c->will);
	model_free(&c->had);
}

int change_begin(const struct settings *settings, enum store_mode mode, struct model *will,
		 struct change *c, struct error *err)
{
	if (open_store(settings, mode, c, err) == 0 && load(c, will, err) == 0)
		return 0;
	change_end(c);
	return -1;
}

int change_begin_some(const struct settings *settings, enum store_mode mode,
		      const struct scope *scope, struct change *c, struct error *err)
{
	if (open_store(settings, mode, c, err) == 0) {
		c->scope = scope;
		if (load(c, NULL, err) == 0)
			return 0;
	}
	change_end(c);
	return -1;
}

int change_begin_part(const struct settings *settings, const struct window *w, struct change *c,
		      struct error *err)
{
	if (open_store(settings, STORE_WRITE, c, err) == 0 && load_part(c, w, err) == 0)
		return 0;
	change_end(c);
	return -1;
}

int change_widen(struct change *c, struct error *err)
{
	unload(c);
	return load(c, NULL, err);
}

void change_end(struct change *c)
{
	unload(c);
	store_close(c->store);
	memset(c, 0, sizeof(*c));
}

/* ------------------------------------------------------------ facts */

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

/* Two routers that believe to have the same address: one of them would be looked for at the other.
 */
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
			if (addr_cmp(&mapping->shared, shared) == 0)
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

		if (m)
			return error_set(err,
					 "%s has the address %s, which is the shared address of "
					 "%s; remove it from the interface",
					 f->at.name, ADDR(a), ADDR(&m->fixed));
	}
	return 0;
}

/* Somebody else's address goes and comes with the interface; ours in its place would do neither. */
static int check_address(const struct model *had, const struct tenant *t,
			 const struct router_facts *f, struct error *err)
{
	const struct tenant *before = model_tenant((struct model *)had, t->name);

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
static bool is_of(const struct place *route, const struct place *router)
{
	struct place any = *router;

	any.ifindex = 0;
	return place_cmp(route, router) == 0 || place_cmp(route, &any) == 0;
}

/* The facts about a router that cannot be looked at: what the machine has of it, to be kept. */
static void remember(const struct change *c, struct tenant *t, struct facts *facts)
{
	const struct tenant *had = model_tenant((struct model *)&c->had, t->name);
	const struct router_row *row = NULL;
	struct router_facts *f;

	for (int i = 0; had && had->router && i < FAMILIES; i++) {
		if (!t->router->own[i].pinned)
			t->router->own[i] = had->router->own[i];
	}
	vec_each (r, &c->have.routers) {
		if (had && had->router && r->id == had->router->id)
			row = r;
	}
	if (!row)
		return;
	f = vec_push(&facts->list);
	f->row = *row;
	f->row.out_of_scope = true;
	snprintf(f->row.tenant, sizeof(f->row.tenant), "%s", t->name);
	f->at.netns_dev = row->netns_dev;
	f->at.netns_ino = row->netns_ino;
	f->at.ifindex = row->ifindex;
	vec_each (own, &c->have.shared) {
		if (own->flags & TN_SHARED_OWN && own->router == row->id &&
		    !owner_of(facts, &own->shared) && !mapping_of(&c->will, &own->shared))
			*vec_push(&f->own) = own->shared;
	}
	vec_each (addr, &c->have.addrs) {
		if (place_cmp(&addr->at, &f->at) == 0)
			*vec_push(&f->addrs) = *addr;
	}
	vec_each (route, &c->have.routes) {
		if (is_of(&route->at, &f->at))
			*vec_push(&f->routes) = *route;
	}
	vec_each (group, &c->have.groups) {
		if (place_cmp(&group->at, &f->at) == 0)
			*vec_push(&f->groups) = *group;
	}
}

static int look_closely(struct change *c, const struct change_how *how, struct tenant *t,
			struct facts *facts, struct error *err)
{
	struct router_facts *f = vec_push(&facts->list);

	if (inspect_router(&c->will, t, &c->have, f, err) || check_own(facts, f, err))
		return -1;
	/* an agent looks all the time, and a change of one mapping is about something else */
	if (f->doubt.set && !how->scope && !(how->agent && how->restore))
		log_warning("tenant %s: %s", t->name, f->doubt.text);
	if (how->partial && check_leases(&c->had, f, err))
		return -1;
	return how->restore ? check_address(&c->had, t, f, err) : 0;
}

/* `failed`: NULL when all of them have to be there. */
static int gather(struct change *c, const struct change_how *how, struct facts *facts,
		  struct failures *failed, struct error *err)
{
	struct model *m = &c->will;

	memset(facts, 0, sizeof(*facts));
	vec_each (t, &m->tenants) {
		if (!t->router || t->router->detached || !scope_has(how->scope, t->name) ||
		    look_closely(c, how, t, facts, err) == 0)
			continue;
		error_prefix(err, "tenant %s", t->name);
		if (pass_over(failed, t->name, err))
			return -1;
		router_facts_free(&facts->list.v[--facts->list.n]);
		remember(c, t, facts);
	}
	kernel_state_sort(&c->have);
	return 0;
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
static void reserve(const struct change *c, const struct facts *facts, const struct scope *scope,
		    struct addr_list *out)
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

/* What hangs on ids and addresses that were given only now. */
static void settle(const struct model *m, struct facts *facts)
{
	vec_each (f, &facts->list) {
		const struct tenant *t = model_tenant((struct model *)m, f->row.tenant);

		if (f->row.out_of_scope)
			continue;
		f->row.id = t->router->id;
		join_settle(m, t, f);
	}
}

/* ------------------------------------------------------------ a window */

/* Leases that are asked for at first, and that are known of before all are read. */
#define LEASES_FIRST 16
#define LEASES_MAX   65536

/* Whether the lease is one that this change makes. */
static bool is_new(const struct change *c, const struct tenant *t, const struct mapping *m)
{
	struct tenant *had = model_tenant((struct model *)&c->had, t->name);

	return !had || !tenant_mapping(had, &m->fixed);
}

/* A router's address is nobody else's; of what else is there, the definitions have to know. */
static int reserve_own(struct change *c, const struct tn_addr *shared, struct addr_list *reserved,
		       struct error *err)
{
	struct row_keys key = { .shared = { .v = (struct tn_addr *)shared, .n = 1 } };
	_cleanup_kernel_state_ struct kernel_state found = { 0 };

	if (dataplane_look_up(c->dp, &key, &found, err))
		return -1;
	if (found.shared.n && !(found.shared.v->flags & TN_SHARED_OWN))
		return CHANGE_TOO_NARROW;
	if (found.shared.n)
		*vec_push(&reserved->list) = *shared;
	return 0;
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* Of the leases from the one at `first` on, those that are seen are no secret to ipam_assign(). */
static void drop_seen(const struct change *c, struct addr_list *leases, size_t first)
{
	struct tn_addr *run = leases->list.v + first;
	size_t n = leases->list.n - first, kept = 0;
	_cleanup_free_ bool *seen = xzalloc(n + 1);

	vec_each (t, &c->had.tenants) {
		vec_each (m, &t->mappings) {
			const struct tn_addr *found =
				n ? bsearch(&m->shared, run, n, sizeof(*run), addr_order) : NULL;

			if (found)
				seen[found - run] = true;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (!seen[i])
			run[kept++] = run[i];
	}
	leases->list.n = first + kept;
}

/* Those of the addresses that were just given to new mappings that somebody has. */
static int reserve_taken(struct change *c, size_t leases, struct addr_list *reserved,
			 struct error *err)
{
	vec_each (t, &c->will.tenants) {
		vec_each (m, &t->mappings) {
			size_t known = reserved->list.n;
			int ret = 0;

			if (!is_new(c, t, m))
				continue;
			if (!m->pinned)
				ret = store_leases(c->store, &m->shared, leases, reserved, err);
			drop_seen(c, reserved, known);
			if (!ret && reserved->list.n == known)
				ret = reserve_own(c, &m->shared, reserved, err);
			if (ret)
				return ret;
		}
	}
	return reserved->list.n > LEASES_MAX ? CHANGE_TOO_NARROW : 0;
}

/*
 * Through a window not all leases are seen. So what is given to a new mapping is looked up, and if
 * somebody has it, that is known in the next attempt. In the end it is what it would be if
 * all were seen.
 */
static int assign(struct change *c, struct addr_list *reserved, struct error *err)
{
	size_t leases = LEASES_FIRST, known;
	int ret;

	do {
		known = reserved->list.n;
		ret = ipam_assign(&c->will, &c->had, reserved, err);
		if (!ret && c->window)
			ret = reserve_taken(c, leases, reserved, err);
		leases *= 2;
	} while (!ret && reserved->list.n > known);
	return ret;
}

static void add_keys(const struct model *m, struct row_keys *keys)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			*vec_push(&keys->shared) = mapping->shared;
			if (t->router)
				*vec_push(&keys->fixed) =
					(struct tn_fixed_key){ t->router->id, mapping->fixed };
		}
	}
}

/* What the maps have of the mappings that are seen. */
static int look_up(struct change *c, const struct facts *facts, struct error *err)
{
	add_keys(&c->had, &c->keys);
	add_keys(&c->will, &c->keys);
	vec_each (f, &facts->list) {
		vec_each (own, &f->own)
			*vec_push(&c->keys.shared) = *own;
	}
	row_keys_sort(&c->keys);
	return dataplane_look_up(c->dp, &c->keys, &c->have, err);
}

/* ------------------------------------------------------------ probing */

static const struct router_row *router_at(const struct kernel_state *m, const struct place *at)
{
	vec_each (r, &m->routers) {
		if (r->netns_dev == at->netns_dev && r->netns_ino == at->netns_ino &&
		    r->ifindex == at->ifindex && !r->out_of_scope)
			return r;
	}
	return NULL;
}

static bool joins_elsewhere(const struct router_row *want, const struct router_row *have)
{
	return !have || want->netns_dev != have->netns_dev || want->netns_ino != have->netns_ino ||
	       want->ifindex != have->ifindex ||
	       memcmp(want->own, have->own, sizeof(want->own)) != 0;
}

/* Routers that join, or get other addresses or routes; and addresses that come to others. */
static void choose(const struct plan *p, const struct kernel_state *want,
		   const struct kernel_state *have, const struct failures *failed, struct batch *t)
{
	const struct router_row *r;

	vec_each (row, &p->attach) {
		if (!is_passed_over(failed, (*row)->tenant))
			batch_add(t, *row, false);
	}
	vec_each (row, &p->renew) {
		if (joins_elsewhere(*row, kernel_state_router(have, (*row)->id)) &&
		    !is_passed_over(failed, (*row)->tenant))
			batch_add(t, *row, false);
	}
	vec_each (row, &p->addr_put) {
		if ((r = router_at(want, &(*row)->at)))
			batch_add(t, r, false);
	}
	vec_each (row, &p->route_put) {
		if ((r = router_at(want, &(*row)->at)))
			batch_add(t, r, false);
	}
	vec_each (row, &p->shared_put) {
		if ((r = kernel_state_router(want, (*row)->router)))
			batch_add_address(t, r, &(*row)->shared);
	}
}

static void finding_error(const struct batch_router *one, const struct finding *f,
			  struct error *err)
{
	error_set(err, "tenant %s: the probe `%s` of %s failed: %s%s%s", one->row->tenant,
		  probe_name(f->probe), f->subject, f->text, f->remedy ? "; " : "",
		  f->remedy ? f->remedy : "");
}

static void say_skipped(const struct batch_router *one, const struct finding *f)
{
	log_line(f->unasked ? LOG_WARNING : LOG_DEBUG,
		 "tenant %s: the probe `%s` of %s was skipped: %s", one->row->tenant,
		 probe_name(f->probe), f->subject, f->text);
}

/* The first failure is the error, the others are said before it. */
static int verdict(const struct batch *t, struct error *err)
{
	vec_each (one, &t->list) {
		vec_each (f, &one->found.list) {
			struct error more = { 0 };

			if (f->result == PROBE_SKIPPED)
				say_skipped(one, f);
			if (f->result != PROBE_FAILED)
				continue;
			finding_error(one, f, err->set ? &more : err);
			if (more.set)
				log_warning("%s", more.text);
		}
	}
	return err->set ? -1 : 0;
}

/* Whether the way is clear before traffic takes it. */
static int probe(const struct change *c, const struct plan *p, const struct kernel_state *want,
		 const struct change_how *how, const struct failures *failed, struct error *err)
{
	_cleanup_batch_ struct batch t = { .model = &c->will,
					   .kernel = want,
					   .patience = c->settings->patience };

	if (how->restore)
		return 0;
	choose(p, want, &c->have, failed, &t);
	if (how->no_probe && t.list.n)
		log_warning("the probes were left out, as asked for");
	if (how->no_probe || !t.list.n)
		return 0;
	return batch_make(&t, err) ? -1 : verdict(&t, err);
}

/* ------------------------------------------------------------ confirming */

static int confirm_one(const struct change *c, const struct kernel_state *now,
		       const struct router_row *want, struct failures *failed, struct error *err)
{
	const struct tenant *t = model_tenant((struct model *)&c->will, want->tenant);

	if (is_passed_over(failed, want->tenant) ||
	    inspect_confirm(c->dp, &c->will, t, kernel_state_router(now, want->id), err) == 0)
		return 0;
	error_prefix(err, "tenant %s", want->tenant);
	return pass_over(failed, want->tenant, err);
}

/*
 * It takes a while to load programs, and by then an interface may have gone or be another one. What
 * is put in force is what is there; from here on, what happens has happened after the change.
 */
static int confirm(const struct change *c, const struct plan *p, struct failures *failed,
		   struct error *err)
{
	_cleanup_kernel_state_ struct kernel_state now = { 0 };

	if (!p->attach.n && !p->renew.n)
		return 0;
	if (dataplane_read_common(c->dp, &now, err))
		return -1;
	vec_each (r, &p->attach) {
		if (confirm_one(c, &now, *r, failed, err))
			return -1;
	}
	vec_each (r, &p->renew) {
		if (confirm_one(c, &now, *r, failed, err))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------ warning */

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

/* What works until now, and stops with this change: with the join, or with other shared subnets. */
static void warn_of_addresses(const struct change *c, const struct facts *facts)
{
	vec_each (f, &facts->list) {
		const struct iface *shared = shared_of(f);
		bool attached = is_attached(&c->have, &f->at);

		if (!shared)
			continue;
		vec_each (a, &shared->addrs) {
			bool is_new = !attached || !iface_addr_is_cut_off(a, &c->had);

			if (is_new && iface_addr_is_cut_off(a, &c->will))
				log_warning("tenant %s: %s on %s is in no shared subnet: over %s "
					    "nobody reaches this address any more, and the router "
					    "cannot send from it; put it on another interface",
					    f->row.tenant, ADDR(&a->addr), shared->name,
					    shared->name);
		}
	}
}

/* ------------------------------------------------------------ announcing */

static bool moved_in(const struct plan *p, const struct router_row *row,
		     const struct kernel_state *have)
{
	const struct router_row *was = kernel_state_router(have, row->id);

	vec_each (r, &p->attach) {
		if (*r == row)
			return true;
	}
	vec_each (r, &p->renew) {
		if (*r == row)
			return joins_elsewhere(row, was) ||
			       memcmp(row->mac, was->mac, sizeof(row->mac)) != 0;
	}
	return false;
}

static void tell(const struct router_row *r, bool own, const struct addr_list *addrs)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct error err = { 0 };
	size_t told;

	if (!addrs->list.n || netns_enter_id(r->netns, r->netns_dev, r->netns_ino, &ns))
		return;
	if (announce(r->ifindex, r->mac, own, addrs->list.v, addrs->list.n, &told, &err))
		log_warning("tenant %s: %s; neighbours find them by asking", r->tenant, err.text);
}

/*
 * To neighbours who may remember somebody else: all addresses of a router that is at a new
 * place, and those that come to others. They find out by themselves too, only later, so
 * what fails here is no reason to take anything back. Routers with more addresses than there
 * is time for are named in `out`.
 */
static void announce_all(const struct plan *p, const struct kernel_state *want,
			 const struct kernel_state *have, struct outcome *out)
{
	size_t all = 0, new = 0; /* both lists are in the order of the routers */
	size_t left = ANNOUNCE_AT_ONCE;

	vec_each (r, &want->routers) {
		bool moved = moved_in(p, r, have);
		struct addr_list addrs = { 0 }, own = { 0 };

		for (; all < want->fixed.n && want->fixed.v[all].router <= r->id; all++) {
			if (moved && want->fixed.v[all].router == r->id)
				*vec_push(&addrs.list) = want->fixed.v[all].shared;
		}
		for (; new < p->fixed_put.n && p->fixed_put.v[new]->router <= r->id; new ++) {
			if (!moved && p->fixed_put.v[new]->router == r->id)
				*vec_push(&addrs.list) = p->fixed_put.v[new]->shared;
		}
		for (int f = 0; moved && f < FAMILIES; f++) {
			if (!addr_is_unset(&r->own[f]))
				*vec_push(&own.list) = r->own[f];
		}
		if (!is_passed_over(&out->failed, r->tenant)) {
			tell(r, true, &own);
			if (addrs.list.n > left) {
				*vec_push(&out->untold) = xstrdup(r->tenant);
				out->untold_addrs += addrs.list.n;
			} else {
				tell(r, false, &addrs);
				left -= addrs.list.n;
			}
		}
		vec_free(&own.list);
		vec_free(&addrs.list);
	}
}

/* Nobody waits for as many as that. */
static void announce_later(const struct settings *settings, const struct outcome *out)
{
	struct error err = { 0 };

	if (!out->untold.n)
		return;
	if (spawn_detached(settings, "announce", out->untold.v, out->untold.n, &err))
		log_warning("%s; %zu addresses are not announced: `tenantnat announce` does it, or "
			    "neighbours find them by asking",
			    err.text, out->untold_addrs);
	else
		log_notice("%zu addresses are being announced in the background, which takes %zu s",
			   out->untold_addrs, out->untold_addrs / PACKET_RATE + 1);
}

void outcome_free(struct outcome *out)
{
	plan_text_free(&out->text);
	failures_free(&out->failed);
	vec_each (tenant, &out->untold)
		free(*tenant);
	vec_free(&out->untold);
}

void outcome_print(const struct outcome *o, bool dry_run)
{
	const char *to = dry_run ? "to " : "";

	vec_each (line, &o->text.lines)
		printf("%s%c %s%s\n",
		       line->sign == '+'   ? color_added()
		       : line->sign == '-' ? color_removed()
					   : color_changed(),
		       line->sign, line->text, color_off());
	if (!o->text.lines.n)
		printf("nothing to be done\n");
	else
		printf("%zu %s%s, %zu %s%s, %zu %s%s\n", o->text.added, to,
		       dry_run ? "add" : "added", o->text.changed, to,
		       dry_run ? "change" : "changed", o->text.removed, to,
		       dry_run ? "remove" : "removed");
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static int check_rules(const struct change *c, const struct plan *p,
		       const struct kernel_state *want, struct error *err)
{
	size_t accepts = c->have.policy.accepts.n + p->accept_grow.n;
	size_t services = c->have.policy.services.n + p->service_put.n;
	size_t need = larger(larger(accepts, services), policy_rule_max(&want->policy) + 1);

	if (need <= dataplane_rules(c->dp))
		return 0;
	return error_set(
		err,
		"the maps have room for %zu rules and services, and this needs up to %zu; "
		"`tenantnat detach --all` and then apply makes larger ones, but interrupts traffic",
		dataplane_rules(c->dp), need);
}

/* Additions come before removals, so for a moment the maps hold both. */
static int check_capacity(const struct change *c, const struct plan *p,
			  const struct kernel_state *want, struct error *err)
{
	size_t need = c->have.shared.n + p->own_put.n + p->shared_put.n + 1;

	if (!c->dp)
		return 0;
	if (need <= dataplane_capacity(c->dp))
		return check_rules(c, p, want, err);
	return error_set(
		err,
		"the maps have room for %zu addresses, and this needs up to %zu; `tenantnat "
		"detach --all` and then apply makes larger ones, but interrupts traffic",
		dataplane_capacity(c->dp), need);
}

/* Without a program to read them, maps are of no use. */
static int drop_maps(struct change *c, struct error *err)
{
	dataplane_close(c->dp);
	c->dp = NULL;
	return dataplane_destroy(c->settings->bpffs, err);
}

/* What was broken before is no business of an undo, and what lost its place has nowhere to go. */
static void leave_out(struct kernel_state *have, struct failures *lost)
{
	vec_each (r, &have->routers) {
		struct error err = { 0 };

		r->out_of_scope = r->broken || !attach_has_place(r);
		if (!r->out_of_scope || r->broken)
			continue;
		error_set(&err, "its interfaces have gone");
		pass_over(lost, r->tenant, &err);
	}
}

/* Back to what was read at the beginning; what cannot be undone is said, not hidden. */
static void undo(struct change *c, bool created)
{
	_cleanup_kernel_state_ struct kernel_state now = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_failures_ struct failures lost = { 0 };
	struct error err = { 0 };
	struct scope one;
	size_t known;

	if (!c->dp)
		return;
	if (c->window)
		one = scope_of(c->window);
	if (kernel_state_load_again(c->dp, &c->will, &c->have, c->window ? &one : c->scope,
				    c->window ? &c->keys : NULL, &now, &err) == 0) {
		leave_out(&c->have, &lost);
		known = lost.list.n;
		plan_make(&c->have, &now, &plan);
		plan.withdrawn.n = 0; /* it was accepted for a moment only */
		if (execute_prepare(c->dp, &plan, &c->have, &now, &lost, &err) == 0 &&
		    execute_complete(c->dp, &plan, &now, &err) == 0)
			execute_leave(c->dp, &plan, &err);
		if (lost.list.n > known && !err.set)
			error_set(&err, "%s", lost.list.v[known].text);
	}
	if (!err.set)
		dataplane_end(c->dp);
	if (created && !err.set)
		drop_maps(c, &err);
	if (err.set)
		log_warning("not everything could be undone (%s); run the command again", err.text);
}

/*
 * Without a router the machine is to have nothing, and so tells nothing about the
 * definitions: what changes is what it would have by them.
 */
static void describe_alone(struct change *c, const struct kernel_state *want, struct outcome *out)
{
	_cleanup_kernel_state_ struct kernel_state was = { 0 };
	_cleanup_plan_ struct plan shown = { 0 };
	struct facts none = { 0 };

	kernel_state_wanted(&c->had, &none, &c->have, NULL, &was);
	plan_make(want, &was, &shown);
	vec_each (r, &c->have.routers)
		*vec_push(&shown.detach) = r;
	vec_each (row, &c->have.groups)
		*vec_push(&shown.group_del) = row;
	vec_each (row, &c->have.routes)
		*vec_push(&shown.route_del) = row;
	vec_each (row, &c->have.addrs)
		*vec_push(&shown.addr_del) = row;
	plan_describe(&shown, want, &was, &c->had, &c->will, &out->text);
}

/* Routers that nobody has defined were defined by a state that is not there any more. */
static int check_lost(const struct change *c, struct error *err)
{
	if (c->will.subnets.n || !c->have.routers.n)
		return 0;
	return error_set(
		err,
		"%s has no definitions, but %zu %s attached: put a backup of state.db there or "
		"apply your definitions file; `tenantnat detach --all` takes %s off",
		c->settings->state, c->have.routers.n,
		c->have.routers.n == 1 ? "router is" : "routers are",
		c->have.routers.n == 1 ? "it" : "them");
}

static size_t rules_needed(const struct kernel_state *want)
{
	const struct policy *p = &want->policy;

	return 2 * larger(larger(p->accepts.n, p->services.n), policy_rule_max(p) + 1);
}

/* What names are made of; all else is replaced. */
static void put_name(FILE *f, const char *name)
{
	for (; *name; name++)
		fputc(*name > 0x20 && *name < 0x7f ? *name : '?', f);
}

/* "root", or "root (sudo alice)". */
static char *user_text(void)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("?");
	put_name(f, pw ? pw->pw_name : "?");
	if (sudo && *sudo) {
		fputs(" (sudo ", f);
		put_name(f, sudo);
		fputc(')', f);
	}
	fclose(f);
	return text;
}

/*
 * For `show history`. What changes nothing is no change, nor is what puts back what the definitions
 * say: a router that needs that again and again would push out all else.
 */
static int note(struct change *c, const struct change_how *how, const struct outcome *out,
		struct error *err)
{
	struct history_change change = { .at = time(NULL), .uid = getuid() };
	int ret;

	if (!out->text.lines.n || how->restore)
		return 0;
	change.user = user_text();
	change.command = xstrdup(c->settings->line);
	for (size_t i = 0; i < out->text.lines.n && i < HISTORY_LINES_MAX; i++)
		*vec_push(&change.lines) =
			(struct history_line){ out->text.lines.v[i].sign,
					       xstrdup(out->text.lines.v[i].text) };
	change.more = out->text.added + out->text.changed + out->text.removed - change.lines.n;
	ret = store_note(c->store, &change, err);
	history_change_clear(&change);
	return ret;
}

/* What the plan says, but for what can only be done when nothing can be taken back. */
static int carry_out(struct change *c, const struct change_how *how, const struct plan *plan,
		     const struct kernel_state *want, struct failures *failed, bool *created,
		     struct error *err)
{
	if (!c->dp && want->routers.n) {
		if (dataplane_create(c->settings->bpffs, 2 * want->shared.n, rules_needed(want),
				     &c->dp, err))
			return -1;
		*created = true;
	}
	if (c->dp && dataplane_begin(c->dp, c->window ? NULL : &c->have, err))
		return -1;
	/* what probes would find of an interface that was replaced would only mislead */
	if (execute_prepare(c->dp, plan, want, &c->have, failed, err) ||
	    confirm(c, plan, failed, err) || probe(c, plan, want, how, failed, err) ||
	    execute_complete(c->dp, plan, &c->have, err))
		return -1;
	return confirm(c, plan, failed, err);
}

struct saving {
	struct change *change;
	struct error err;
	int ret;
};

static void save(void *arg)
{
	struct saving *s = arg;

	s->ret = store_save(s->change->store, &s->change->had, &s->change->will, &s->err);
}

/* Lines of a plan from which on the machine is changed while the definitions are written. */
#define SAVE_BESIDE 50000

/*
 * The new definitions go into an open transaction, which the caller commits. To write them comes
 * first, so that where there is no room for them nothing has happened yet; but a million of them
 * take as long as all the rest. On failure the machine is as it was.
 */
static int save_and_carry_out(struct change *c, const struct change_how *how,
			      const struct plan *plan, const struct kernel_state *want,
			      struct outcome *out, bool *created, struct error *err)
{
	struct failures *failed = how->partial ? &out->failed : NULL;
	struct saving saving = { .change = c };
	struct background beside = { 0 };
	bool begun;
	int ret = 0;

	if (out->text.added + out->text.changed + out->text.removed < SAVE_BESIDE)
		save(&saving);
	else
		background_begin(&beside, save, &saving);
	begun = beside.started || !saving.ret;
	if (begun)
		ret = carry_out(c, how, plan, want, failed, created, err);
	background_end(&beside);
	if (!ret && saving.ret)
		*err = saving.err;
	if (!ret && !saving.ret)
		return 0;
	if (begun)
		undo(c, *created);
	return -1;
}

int change_make(struct change *c, const struct change_how *how, struct outcome *out,
		struct error *err)
{
	struct failures *failed = how->partial ? &out->failed : NULL;
	const struct scope *scope = how->scope;
	_cleanup_kernel_state_ struct kernel_state want = { 0 };
	_cleanup_facts_ struct facts facts = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	struct addr_list reserved = { 0 };
	bool created = false;
	int ret;

	memset(out, 0, sizeof(*out));
	out->text.keep = c->settings->quiet ? HISTORY_LINES_MAX : 0;
	if (how->partial && check_lost(c, err))
		return -1;
	if (gather(c, how, &facts, failed, err))
		return -1;
	reserve(c, &facts, scope, &reserved);
	ret = assign(c, &reserved, err);
	vec_free(&reserved.list);
	if (ret)
		return ret;
	settle(&c->will, &facts);
	if (c->window && look_up(c, &facts, err))
		return -1;
	kernel_state_wanted(&c->will, &facts, &c->have, scope, &want);
	if (!want.routers.n) {
		describe_alone(c, &want, out);
		kernel_state_free(&want);
		plan_make(&want, &c->have, &plan);
	} else {
		plan_make(&want, &c->have, &plan);
		plan_describe(&plan, &want, &c->have, &c->had, &c->will, &out->text);
	}
	if (c->window && (!want.routers.n || plan_changes_routers(&plan)))
		return CHANGE_TOO_NARROW;
	if (policy_check(&want.policy, err) || check_capacity(c, &plan, &want, err))
		return -1;
	if (!how->restore)
		warn_of_addresses(c, &facts);
	if (how->dry_run)
		return 0;

	if (save_and_carry_out(c, how, &plan, &want, out, &created, err))
		return -1;
	if (note(c, how, out, err) || store_commit(c->store, err)) {
		undo(c, created);
		return -1;
	}
	if (c->dp)
		dataplane_end(c->dp);
	announce_all(&plan, &want, &c->have, out);
	if (!how->agent)
		announce_later(c->settings, out);
	if (execute_leave(c->dp, &plan, err))
		return error_prefix(err, "the definitions are changed, but programs stay; run the "
					 "command again");
	/* also what a run that was killed has left of them */
	if (!want.routers.n && drop_maps(c, err))
		return error_prefix(err, "the definitions are changed, but maps stay; run the "
					 "command again");
	return 0;
}
