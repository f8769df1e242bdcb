/* SPDX-License-Identifier: GPL-2.0-only */
/* Definitions and machine change together, or neither does. */
#include "change/change_parts.h"
#include "dataplane/attach.h"
#include "lib/background.h"
#include "lib/log.h"

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
void change_undo(struct change *c, bool created)
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
		one = change_window_scope(c->window);
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
		change_maps_drop(c, &err);
	if (err.set)
		log_warning("not everything could be undone (%s); run the command again", err.text);
}

/* What the plan says, but for what can only be done when nothing can be taken back. */
static int carry_out(struct change *c, const struct change_how *how, const struct plan *plan,
		     const struct kernel_state *want, struct failures *failed, bool *created,
		     struct error *err)
{
	if (!c->dp && want->routers.n) {
		if (dataplane_create(c->settings->bpffs, 2 * want->shared.n,
				     change_maps_rules(want), &c->dp, err))
			return -1;
		*created = true;
	}
	if (c->dp && dataplane_begin(c->dp, c->window ? NULL : &c->have, err))
		return -1;
	/* what probes would find of an interface that was replaced would only mislead */
	if (execute_prepare(c->dp, plan, want, &c->have, failed, err) ||
	    change_confirm(c, plan, failed, err) || change_probe(c, plan, want, how, failed, err) ||
	    execute_complete(c->dp, plan, &c->have, err))
		return -1;
	return change_confirm(c, plan, failed, err);
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
int change_carry_out(struct change *c, const struct change_how *how, const struct plan *plan,
		     const struct kernel_state *want, struct outcome *out, bool *created,
		     struct error *err)
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
		change_undo(c, *created);
	return -1;
}
