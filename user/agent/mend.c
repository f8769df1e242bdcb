/* SPDX-License-Identifier: GPL-2.0-only */
/* Looking what restore would do, and doing it. */
#include <malloc.h>

#include "agent/agent_parts.h"
#include "dataplane/standby.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/systemd.h"

/* Of tenants; borrowed. */
struct names {
	VEC(char *) list;
};

static uint64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct known_router *known_router(const struct agent *a, uint32_t id)
{
	vec_each (known, &a->routers) {
		if (known->row.id == id && !known->row.broken)
			return known;
	}
	return NULL;
}

static bool is_elsewhere(const struct router_row *a, const struct router_row *b)
{
	return a->netns_dev != b->netns_dev || a->netns_ino != b->netns_ino ||
	       a->ifindex != b->ifindex || memcmp(a->mac, b->mac, sizeof(a->mac)) != 0;
}

static bool watch_all_pins(struct agent *a)
{
	char path[PATH_MAX];
	bool new;

	dataplane_maps_dir(a->settings.bpffs, path);
	new = watch_pins(a->watch, path, 0);
	vec_each (known, &a->routers) {
		attach_pins(a->settings.bpffs, known->row.id, path);
		new |= watch_pins(a->watch, path, known->row.id);
	}
	return new;
}

void agent_forget_names(struct agent *a)
{
	vec_each (one, &a->names)
		free(one->netns);
	vec_free(&a->names);
}

static void know_names(struct agent *a, const struct model *m)
{
	agent_forget_names(a);
	vec_each (t, &m->tenants) {
		struct router_name *one = t->router ? vec_push(&a->names) : NULL;

		if (!one)
			continue;
		snprintf(one->tenant, sizeof(one->tenant), "%s", t->name);
		one->netns = t->router->netns ? xstrdup(t->router->netns) : NULL;
	}
}

const char *agent_router_of(const char *tenant, void *arg)
{
	const struct agent *a = arg;

	vec_each (one, &a->names) {
		if (strcmp(one->tenant, tenant) == 0)
			return one->netns;
	}
	return NULL;
}

static void say_standby(const struct router_row *r)
{
	log_about(LOG_NOTICE, r->tenant, r->standby ? "standby" : "active",
		  "tenant %s: its router is %s now", r->tenant,
		  r->standby ? "a standby" : "active");
}

/*
 * What the routers are now. Neighbours may remember something else of those that are new, have
 * moved or came up: these are announced as soon as nothing is left to be done.
 */
static void update_routers(struct agent *a, struct dataplane *dp, const struct kernel_state *have,
			   bool done)
{
	struct addr_list own = { 0 }, mapped = { 0 };
	__typeof__(a->routers) routers = { 0 };

	announcements_know(&a->announcements, have);
	vec_each (r, &have->routers) {
		const struct known_router *was = known_router(a, r->id);
		bool up = watch_came_up(a->watch, r->id);
		struct known_router *now;

		now = vec_push(&routers);
		*now = (struct known_router){ .row = *r };
		now->row.netns = NULL; /* the definitions' */
		if (r->broken)
			continue;
		attach_links(dp, r, &now->links);
		if (was && was->row.standby != r->standby)
			say_standby(r);
		now->unannounced = !was || was->unannounced || up || is_elsewhere(&was->row, r) ||
				   was->row.standby;
		if (r->by_address) {
			kernel_state_addrs(have, r->id, true, &now->own);
			kernel_state_addrs(have, r->id, false, &now->mapped);
		}
		if (!done || r->standby || !now->unannounced)
			continue;
		own.list.n = mapped.list.n = 0;
		kernel_state_addrs(have, r->id, true, &own);
		kernel_state_addrs(have, r->id, false, &mapped);
		announcements_add(&a->announcements, r, &own, &mapped, clock_ms());
		now->unannounced = false;
	}
	vec_free(&own.list);
	vec_free(&mapped.list);
	agent_forget_routers(a);
	a->routers.v = routers.v;
	a->routers.n = routers.n;
	a->routers.cap = routers.cap;
	watch_routers(a->watch, have);
	/* what was not watched until now may have changed since it was read */
	if (watch_all_pins(a))
		schedule_at_once(&a->schedule, clock_ms());
}

void agent_forget_routers(struct agent *a)
{
	vec_each (known, &a->routers) {
		vec_free(&known->own.list);
		vec_free(&known->mapped.list);
	}
	vec_free(&a->routers);
}

void agent_see_active(struct agent *a)
{
	vec_each (known, &a->routers) {
		const struct announcements *all = &a->announcements;
		struct router_row *r = &known->row;
		bool standby;

		if (!r->by_address || r->broken || !watch_is_touched(a->watch, r->id))
			continue;
		standby = standby_now_at(a->settings.bpffs, r, all->subnets.v, all->subnets.n);
		if (standby == r->standby)
			continue;
		r->standby = standby;
		say_standby(r);
		if (standby)
			announcements_drop(&a->announcements, r->id);
		else
			announcements_add(&a->announcements, r, &known->own, &known->mapped,
					  clock_ms());
		known->unannounced = false;
		schedule_at_once(&a->schedule, clock_ms());
	}
}

/* That it cannot be written down is no trouble of the routers. */
static void note_traffic(struct agent *a, const struct change *c)
{
	struct error ignored = { 0 };
	struct traffic now;

	if (!traffic_log_is_due(&a->traffic, clock_ms()))
		return;
	traffic_read(c->dp, &c->have, &now);
	traffic_log_add(&a->traffic, &now);
	traffic_log_write(a->settings.state, &a->traffic, &ignored);
}

/* What restore would do now: the lines of its plan, or -1. */
static ssize_t look(struct agent *a, struct error *err)
{
	struct change_how how = {
		.dry_run = true, .partial = true, .restore = true, .agent = true
	};
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };

	if (change_begin(&a->settings, STORE_READ, NULL, &c, err))
		return -1;
	member_look(&a->member, c.store);
	member_look_at(&a->member, &c.had);
	/* what was not watched until now may have changed since it was read */
	if (watch_namespaces(a->watch, &c.had))
		schedule_at_once(&a->schedule, clock_ms());
	if (change_make(&c, &how, &out, err))
		return -1;
	know_names(a, &c.had);
	hosts_file_update(&a->hosts, &c.had, a->member.is);
	update_routers(a, c.dp, &c.have, !out.text.lines.n);
	note_traffic(a, &c);
	if (!out.text.lines.n)
		troubles_update(&a->troubles, &out.failed, clock_ms());
	return out.text.lines.n;
}

/* Of routers that were there before; others are announced anyway. */
static void note_unannounced(struct agent *a, const struct outcome *out)
{
	vec_each (tenant, &out->unannounced) {
		vec_each (known, &a->routers)
			known->unannounced |= strcmp(known->row.tenant, *tenant) == 0;
	}
}

ssize_t agent_mend(struct agent *a, struct error *err)
{
	struct change_how how = { .partial = true, .restore = true, .agent = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };

	if (change_begin(&a->settings, STORE_WRITE, NULL, &c, err) ||
	    change_make(&c, &how, &out, err))
		return -1;
	note_unannounced(a, &out);
	know_names(a, &c.will);
	/* of what is tried again and again, only the failure is worth saying, and once */
	if (!out.failed.list.n || !a->unmended)
		outcome_log(&out);
	troubles_update(&a->troubles, &out.failed, clock_ms());
	return out.failed.list.n;
}

/* Said once, also when it is tried again and again. */
static void say_refused(struct agent *a, const struct error *why)
{
	if (strcmp(a->refused.text, why->text) != 0)
		log_about(LOG_ERROR, NULL, "refused", "%s: %s; the definitions in force stay",
			  a->options.file, why->text);
	a->refused = *why;
}

/* Most of what is there would go: that is for somebody to confirm. */
static bool is_too_much(struct agent *a, struct change *c)
{
	char loss[CHANGE_LOSS];
	struct error why = { 0 };

	change_loss(c, loss);
	if (!*loss)
		return false;
	error_set(&why, "%s, which `tenantnat apply --yes -f %s` does", loss, a->options.file);
	say_refused(a, &why);
	return true;
}

/* Those that could not be put in force are pending again, as they were in the file. */
static void keep_pending(struct agent *a, struct change *c)
{
	a->pending = c->will;
	c->will = (struct model){ 0 };
	model_forget_given(&a->pending);
	a->has_pending = true;
}

int agent_put_in_force(struct agent *a, struct error *err)
{
	struct change_how how = { .partial = true, .agent = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };
	struct error refused = { 0 };

	if (change_begin(&a->settings, STORE_WRITE, &a->pending, &c, err))
		return -1;
	a->has_pending = false;
	if (is_too_much(a, &c))
		return 0;
	if (change_make(&c, &how, &out, &refused)) {
		keep_pending(a, &c);
		if (!interrupt_is_noted())
			say_refused(a, &refused);
		return interrupt_is_noted() ? -1 : 0;
	}
	a->refused = (struct error){ 0 };
	know_names(a, &c.will);
	outcome_log(&out);
	note_unannounced(a, &out);
	return 0;
}

/*
 * After some could not be mended. What happened meanwhile was mostly this itself, and is no
 * reason to hurry, unless something else remains to be done than the last time.
 */
static void wait_for_better(struct agent *a)
{
	struct error err = { 0 };
	size_t before = a->unmended;
	ssize_t todo;

	watch_read(a->watch);
	todo = look(a, &err);
	a->unmended = todo > 0 ? todo : 0;
	schedule_retry(&a->schedule, clock_ms(),
		       a->unmended != before || a->schedule.look != UINT64_MAX);
}

/* Without a lock: systemd may take its time to read it. */
static void tell_status(struct agent *a)
{
	char status[64];
	size_t good = 0;

	vec_each (known, &a->routers)
		good += !known->row.broken;
	snprintf(status, sizeof(status), "STATUS=%zu %s in order, %zu not", good,
		 plural(good, "router", "routers"), a->troubles.list.n);
	if (strcmp(status, a->status) != 0)
		sd_notify(0, status);
	memcpy(a->status, status, sizeof(status));
}

/* What came of a look, for the metrics. */
static void count(struct agent *a, ssize_t todo, ssize_t failed)
{
	struct timespec t;

	a->stats.looks++;
	a->stats.mends += todo > 0;
	a->stats.failures += todo < 0 || failed != 0;
	if (todo < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	a->stats.looked = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What restore would do for these alone; with STORE_WRITE it is done. */
static bool change_some(struct agent *a, enum store_mode mode, const struct scope *scope)
{
	struct change_how how = { .scope = scope,
				  .dry_run = mode == STORE_READ,
				  .partial = true,
				  .restore = true,
				  .agent = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };
	struct error err = { 0 };

	if (change_begin_some(&a->settings, mode, scope, &c, &err) ||
	    change_make(&c, &how, &out, &err) || out.failed.list.n)
		return false;
	if (mode == STORE_WRITE)
		outcome_log(&out);
	note_unannounced(a, &out);
	return out.text.lines.n;
}

/*
 * Those that something is known of come first: to look at all takes a tenth of a second for every
 * hundred. What fails is for that look to find.
 */
static bool mend_first(struct agent *a, const struct names *names)
{
	struct scope scope = { .tenants = names->list.v, .n = (int)names->list.n };
	bool mended = scope.n && !store_holder(a->settings.state) &&
		      change_some(a, STORE_READ, &scope) && change_some(a, STORE_WRITE, &scope);

	a->stats.mends += mended;
	return mended;
}

/* Not while some cannot be mended: then it is mostly these. */
static bool mend_touched(struct agent *a)
{
	struct names names = { 0 };
	bool mended = false;

	vec_each (known, &a->routers) {
		if (watch_touched(a->watch, known->row.id))
			*vec_push(&names.list) = known->row.tenant;
	}
	if (!a->unmended && !a->has_pending)
		mended = mend_first(a, &names);
	vec_free(&names.list);
	return mended;
}

/* What follows from a look that found so much to do, and failed to mend so many. */
static void follow_up(struct agent *a, ssize_t todo, ssize_t failed, const struct error *err)
{
	if (todo < 0 || failed < 0) {
		if (!store_holder(a->settings.state))
			troubles_update_error(&a->troubles, err, clock_ms());
		agent_forget_routers(a);
		schedule_retry(&a->schedule, clock_ms(), false);
	} else if (failed) {
		wait_for_better(a);
	} else if (todo) {
		a->unmended = 0;
		schedule_mended(&a->schedule, clock_ms());
	} else if (a->troubles.list.n || a->has_pending) {
		schedule_retry(&a->schedule, clock_ms(), false);
	} else {
		a->unmended = 0;
		schedule_in_order(&a->schedule);
	}
}

void agent_look(struct agent *a)
{
	uint64_t start = clock_ms(), before = cpu_us();
	struct error err = { 0 };
	ssize_t todo, failed = 0;
	bool mended;

	if (store_holder(a->settings.state)) {
		schedule_busy(&a->schedule, start);
		return;
	}
	mended = mend_touched(a);
	if (mended)
		before = cpu_us();
	schedule_begin(&a->schedule);
	if (a->has_pending && agent_put_in_force(a, &err)) {
		todo = -1;
	} else {
		/* what that attempt itself has changed, and put back, is no reason for another */
		if (a->has_pending)
			watch_read(a->watch);
		todo = look(a, &err);
	}
	if (todo > 0)
		failed = agent_mend(a, &err);
	count(a, todo, failed);
	schedule_end(&a->schedule, start, clock_ms(), (cpu_us() - before) / 1000,
		     todo > 0 || mended);
	if (interrupt_is_noted())
		return;
	follow_up(a, todo, failed, &err);
	/* to load programs takes many times what the agent takes by itself */
	if (todo != 0 || mended)
		malloc_trim(0);
	tell_status(a);
}

void agent_poll_links(struct agent *a)
{
	uint64_t before = cpu_us(), took;
	struct names broken = { 0 };

	vec_each (known, &a->routers) {
		if (!known->row.broken && !attach_is_linked(&known->row, &known->links))
			*vec_push(&broken.list) = known->row.tenant;
	}
	took = cpu_us() - before;
	if (broken.list.n) {
		mend_first(a, &broken);
		schedule_event(&a->schedule, clock_ms());
	}
	vec_free(&broken.list);
	schedule_polled(&a->schedule, clock_ms(), took);
}
