/* SPDX-License-Identifier: GPL-2.0-only */
/* Definitions and machine change together, or neither does. */
#include "change/change_parts.h"
#include "dataplane/attach.h"
#include "lib/background.h"
#include "lib/interrupt.h"
#include "lib/log.h"

/* Lines of a plan from which on the machine is changed while the definitions are written. */
#define SAVE_BESIDE 50000

struct transaction {
	struct change *change;
	const struct change_how *how;
	const struct plan *plan;
	const struct kernel_state *want;
	struct outcome *out;
	bool begun;   /* the machine may have been changed */
	bool created; /* the maps were made for it */
	bool saved;
	struct error save_error;
};

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

/* Back to what was read at the beginning. What cannot be undone is logged. */
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
		one = change_window_scope(c->window);
	if (kernel_state_load_again(c->dp, &c->will, &c->have, c->window ? &one : c->scope,
				    c->window ? &c->keys : NULL, &now, &err) == 0) {
		leave_out(&c->have, &lost);
		known = lost.list.n;
		plan_make(&c->have, &now, &plan);
		plan.withdrawn.n = 0; /* it was accepted for a moment only */
		plan.drops_maps = false;
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
static int execute_plan(struct transaction *t, struct error *err)
{
	struct failures *failed = t->how->partial ? &t->out->failed : NULL;
	struct change *c = t->change;

	if (!c->dp && t->want->routers.n) {
		if (change_maps_make(c, t->want, err))
			return -1;
		t->created = true;
	}
	if (c->dp && dataplane_begin(c->dp, c->window ? NULL : &c->have, err))
		return -1;
	/* what probes would find of an interface that was replaced would only mislead */
	if (execute_prepare(c->dp, t->plan, t->want, &c->have, failed, err) ||
	    change_confirm(c, t->plan, failed, err) ||
	    change_probe(c, t->plan, t->want, t->how, failed, err) ||
	    execute_complete(c->dp, t->plan, &c->have, err))
		return -1;
	return change_confirm(c, t->plan, failed, err);
}

static void save(void *arg)
{
	struct transaction *t = arg;
	struct change *c = t->change;

	t->saved = store_save(c->store, &c->had, &c->will, &t->save_error) == 0;
}

/*
 * Write the definitions first: where there is no room for them, nothing has happened yet. But a
 * million of them take as long as all the rest, so then both are done at the same time.
 */
static int save_and_execute(struct transaction *t, struct error *err)
{
	const struct plan_text *text = &t->out->text;
	struct background saving = { 0 };
	int ret = 0;

	if (text->added + text->changed + text->removed < SAVE_BESIDE)
		save(t);
	else
		background_begin(&saving, save, t);
	t->begun = saving.started || t->saved;
	if (t->begun)
		ret = execute_plan(t, err);
	background_end(&saving);
	if (!ret && !t->saved)
		*err = t->save_error;
	return ret || !t->saved ? -1 : 0;
}

/* From here on it is as it is to be, or taken back; neither is cut short. */
static int finish(struct transaction *t, struct error *err)
{
	if (interrupt_check(err))
		return -1;
	interrupt_hold(true);
	return change_note(t->change, t->how, t->out, err) || store_commit(t->change->store, err)
		       ? -1
		       : 0;
}

/* Whatever has failed because of it, that is the error. */
static void name_interrupt(struct error *err)
{
	if (!interrupt_is_due())
		return;
	*err = (struct error){ 0 };
	interrupt_check(err);
}

int change_carry_out(struct change *c, const struct change_how *how, const struct plan *plan,
		     const struct kernel_state *want, struct outcome *out, struct error *err)
{
	struct transaction t = { .change = c, .how = how, .plan = plan, .want = want, .out = out };

	if (save_and_execute(&t, err) || finish(&t, err)) {
		name_interrupt(err);
		interrupt_hold(true);
		if (t.begun)
			undo(c, t.created);
		return -1;
	}
	if (c->dp)
		dataplane_end(c->dp);
	return 0;
}
