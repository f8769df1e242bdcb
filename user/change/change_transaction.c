/* SPDX-License-Identifier: GPL-2.0-only */
/* Definitions and machine change together, or neither does. */
#include "change/change_parts.h"
#include "dataplane/attach.h"
#include "lib/background.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "lib/progress.h"

/* Lines of a plan from which on the machine is changed while the definitions are written. */
#define SAVE_BESIDE 50000

struct transaction {
	struct change *change;
	const struct change_how *how;
	struct course *way;
	struct outcome *out;
	struct background saving;
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

static void save(void *arg)
{
	struct transaction *t = arg;
	struct change *c = t->change;

	t->saved = store_save(c->store, &c->had, &c->will, &t->save_error) == 0;
}

/* The definitions say who was passed over. */
static int save_again(struct transaction *t, struct error *err)
{
	store_rollback(t->change->store);
	t->saved = false;
	save(t);
	if (!t->saved)
		*err = t->save_error;
	return t->saved ? 0 : -1;
}

/* That of which something is left to be put back is no error of the others. */
static void note_lost(const struct failures *lost, struct failures *failed)
{
	vec_each (f, &lost->list) {
		struct error err = { 0 };

		error_set(&err, "%s", f->text);
		if (!is_passed_over(failed, f->tenant))
			pass_over(failed, f->tenant, &err);
	}
}

static bool is_left_in(const struct kernel_state *m, const struct place *at)
{
	vec_each (r, &m->routers) {
		if (r->netns_dev == at->netns_dev && r->netns_ino == at->netns_ino)
			return true;
	}
	return false;
}

/* What settings were before, where only routers are that are passed over. */
static void want_old_settings(const struct kernel_state *have, const struct failures *failed,
			      struct kernel_state *want)
{
	vec_each (row, &have->settings) {
		if (is_passed_over(failed, row->at.tenant) && !is_left_in(want, &row->at))
			*vec_push(&want->settings) = *row;
	}
}

/*
 * Without those that have failed. What was done for them is put back, by a plan from what there is
 * now to what there is to be without them.
 */
static int go_on_without(struct transaction *t, const struct failures *those, struct error *err)
{
	_cleanup_failures_ struct failures lost = { 0 };
	struct course *way = t->way;
	struct change *c = t->change;

	/* it reads the definitions */
	background_end(&t->saving);
	change_facts_pass_over(c, t->how, those, &way->facts);
	if (save_again(t, err) ||
	    kernel_state_load_again(c->dp, &c->will, &c->have, c->scope, NULL, &way->now, err))
		return -1;
	plan_free(&way->plan);
	kernel_state_free(&way->want);
	kernel_state_wanted(&c->will, &way->facts, &c->have, t->how->scope, &way->want);
	want_old_settings(&c->have, those, &way->want);
	plan_text_restart(&t->out->text);
	change_plan(c, way, &t->out->text);
	way->anew = true;
	plan_make(&way->want, &way->now, &way->rest);
	if (execute_prepare(c->dp, &way->rest, &way->want, &way->now, &lost, err))
		return -1;
	note_lost(&lost, &t->out->failed);
	return 0;
}

/*
 * Of those that failed, from the one at `first` on: whose router is to be as it was before. One
 * that is restored was joined once, by the same definitions: half of it is better than nothing.
 */
static void taken_back(const struct transaction *t, size_t first, struct failures *out)
{
	for (size_t i = first; i < t->out->failed.list.n; i++) {
		const struct failure *f = &t->out->failed.list.v[i];
		const struct tenant *had = model_tenant(&t->change->had, f->tenant);
		struct error err = { 0 };

		if (t->how->restore && !(had && had->router && had->router->passed_over))
			continue;
		error_set(&err, "%s", f->text);
		pass_over(out, f->tenant, &err);
	}
}

/* What the plan says, but for what can only be done when nothing can be taken back. */
static int execute_plan(struct transaction *t, struct error *err)
{
	struct failures *failed = t->how->partial ? &t->out->failed : NULL;
	_cleanup_failures_ struct failures those = { 0 };
	size_t before = t->out->failed.list.n;
	struct course *way = t->way;
	struct change *c = t->change;

	if (!c->dp && way->want.routers.n) {
		if (change_maps_make(c, &way->want, err))
			return -1;
		t->created = true;
	}
	if (c->dp && dataplane_begin(c->dp, c->window ? NULL : &c->have, err))
		return -1;
	/* what probes would find of an interface that was replaced would only mislead */
	if (execute_prepare(c->dp, &way->plan, &way->want, &c->have, failed, err) ||
	    change_confirm(c, &way->plan, failed, err) ||
	    change_probe(c, &way->plan, &way->want, t->how, failed, err))
		return -1;
	taken_back(t, before, &those);
	if (those.list.n && go_on_without(t, &those, err))
		return -1;
	if (execute_complete(c->dp, way->anew ? &way->rest : &way->plan,
			     way->anew ? &way->now : &c->have, err))
		return -1;
	return change_confirm(c, &way->plan, failed, err);
}

/*
 * Write the definitions first: where there is no room for them, nothing has happened yet. But a
 * million of them take as long as all the rest, so then both are done at the same time.
 */
static int save_and_execute(struct transaction *t, struct error *err)
{
	const struct plan_text *text = &t->out->text;
	int ret = 0;

	if (text->added + text->changed + text->removed < SAVE_BESIDE)
		save(t);
	else
		background_begin(&t->saving, save, t);
	t->begun = t->saving.started || t->saved;
	if (t->begun)
		ret = execute_plan(t, err);
	progress_begin("saving the definitions", 0);
	background_end(&t->saving);
	progress_end();
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

int change_carry_out(struct change *c, const struct change_how *how, struct course *way,
		     struct outcome *out, struct error *err)
{
	struct transaction t = { .change = c, .how = how, .way = way, .out = out };

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
