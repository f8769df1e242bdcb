/* SPDX-License-Identifier: GPL-2.0-only */
/* What is found out after programs are attached, and before they let traffic through. */
#include "change/change_parts.h"
#include "lib/log.h"
#include "probe/batch.h"

static const struct router_row *router_at(const struct kernel_state *m, const struct place *at)
{
	vec_each (r, &m->routers) {
		if (r->netns_dev == at->netns_dev && r->netns_ino == at->netns_ino &&
		    r->ifindex == at->ifindex && !r->out_of_scope)
			return r;
	}
	return NULL;
}

bool router_rejoins(const struct router_row *want, const struct router_row *have)
{
	return !have || want->netns_dev != have->netns_dev || want->netns_ino != have->netns_ino ||
	       want->ifindex != have->ifindex ||
	       memcmp(want->own, have->own, sizeof(want->own)) != 0;
}

/* Whose router is probed at all. */
struct probed {
	const struct model *had;
	const struct change_how *how;
	const struct failures *failed;
};

/*
 * What is only restored was probed when it joined, if it has joined. A standby has no way yet. `r`
 * NULL: none.
 */
static bool is_probed(const struct probed *who, const struct router_row *r)
{
	const struct tenant *t;

	if (!r || r->standby || is_passed_over(who->failed, r->tenant))
		return false;
	t = model_tenant((struct model *)who->had, r->tenant);
	return !who->how->restore || (t && t->router && t->router->passed_over);
}

/* Routers that join, or get other addresses or routes; and addresses that come to others. */
static void choose(const struct plan *p, const struct kernel_state *want,
		   const struct kernel_state *have, const struct probed *who, struct batch *t)
{
	const struct router_row *r;

	vec_each (row, &p->attach) {
		if (is_probed(who, *row))
			batch_add(t, *row, false);
	}
	vec_each (row, &p->renew) {
		if (is_probed(who, *row) &&
		    router_rejoins(*row, kernel_state_router(have, (*row)->id)))
			batch_add(t, *row, false);
	}
	vec_each (row, &p->addr_put) {
		if (is_probed(who, r = router_at(want, &(*row)->at)))
			batch_add(t, r, false);
	}
	vec_each (row, &p->route_put) {
		if (is_probed(who, r = router_at(want, &(*row)->at)))
			batch_add(t, r, false);
	}
	vec_each (row, &p->shared_put) {
		if (is_probed(who, r = kernel_state_router(want, (*row)->router)))
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
static int judge(const struct batch_router *one, enum log_level level, struct error *err)
{
	vec_each (f, &one->found.list) {
		struct error more = { 0 };

		if (f->result == PROBE_SKIPPED)
			say_skipped(one, f);
		if (f->result != PROBE_FAILED)
			continue;
		finding_error(one, f, err->set ? &more : err);
		if (more.set)
			log_line(level, "%s", more.text);
	}
	return err->set ? -1 : 0;
}

/* Of a change of some tenants only, others need not be in order. */
static int verdict(const struct batch *t, bool some, struct error *err)
{
	vec_each (one, &t->list) {
		struct error other = { 0 };

		if (!some || batch_is_at_fault(t, one))
			judge(one, LOG_WARNING, err);
		else if (judge(one, LOG_WARNING, &other))
			log_warning("%s", other.text);
	}
	return err->set ? -1 : 0;
}

/* The same, when the others go on without those who are at fault. */
static int verdict_of_each(const struct batch *t, struct failures *failed, bool quiet,
			   struct error *err)
{
	vec_each (one, &t->list) {
		if (!batch_is_at_fault(t, one))
			continue;
		judge(one, quiet ? LOG_DEBUG : LOG_WARNING, err);
		if (pass_over(failed, one->row->tenant, err))
			return -1;
	}
	return 0;
}

/* Whether the way is clear before traffic takes it. */
int change_probe(const struct change *c, const struct plan *p, const struct kernel_state *want,
		 const struct change_how *how, struct failures *failed, struct error *err)
{
	_cleanup_batch_ struct batch t = { .model = &c->will,
					   .kernel = want,
					   .patience = c->settings->patience };

	choose(p, want, &c->have, &(struct probed){ &c->had, how, failed }, &t);
	if (how->no_probe && t.list.n)
		log_warning("no probes were made (--no-probe)");
	if (how->no_probe || !t.list.n)
		return 0;
	if (batch_make(&t, err))
		return -1;
	return failed ? verdict_of_each(&t, failed, how->agent, err) : verdict(&t, how->only, err);
}

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
int change_confirm(const struct change *c, const struct plan *p, struct failures *failed,
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
