/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/change.h"

#include "change/change_parts.h"
#include "dataplane/dataplane.h"
#include "lib/host_name.h"
#include "lib/interrupt.h"
#include "lib/progress.h"

static int open_store(const struct settings *settings, enum store_mode mode, struct change *c,
		      struct error *err)
{
	memset(c, 0, sizeof(*c));
	c->settings = settings;
	interrupt_hold(false);
	if (mode == STORE_WRITE)
		interrupt_catch();
	return dataplane_check(settings->bpffs, err) ||
			       store_open(settings->state, mode, settings->wait, settings->command,
					  &c->store, err)
		       ? -1
		       : 0;
}

static int load(struct change *c, struct model *will, struct error *err)
{
	progress_begin("reading what is in force", 0);
	if (store_load(c->store, &c->had, err) || (!will && store_load(c->store, &c->will, err)) ||
	    kernel_state_load(c->settings->bpffs, &c->had, c->scope, &c->dp, &c->have, err))
		return -1;
	if (will) {
		c->will = *will;
		*will = (struct model){ 0 };
		/* the state says what this host is called, and the file may have been read before
		 */
		model_locate(&c->will, host_name());
	}
	progress_end();
	return 0;
}

/* Of a machine without maps, or after a process that was killed, all has to be read. */
static int load_part(struct change *c, const struct window *w, struct error *err)
{
	struct scope scope = change_window_scope(w);

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
	progress_end();
	unload(c);
	store_close(c->store);
	memset(c, 0, sizeof(*c));
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
		plural(c->have.routers.n, "router is", "routers are"),
		plural(c->have.routers.n, "it", "them"));
}

/* What the machine is to have, by facts that are read only now. */
static int find_wanted(struct change *c, const struct change_how *how, struct failures *failed,
		       struct facts *facts, struct kernel_state *want, struct error *err)
{
	struct addr_list reserved = { 0 };
	int ret;

	if (change_facts_gather(c, how, facts, failed, err))
		return -1;
	change_facts_reserve(c, facts, how->scope, &reserved);
	ret = change_assign_given(c, how, &reserved, err);
	vec_free(&reserved.list);
	if (ret)
		return ret;
	change_facts_complete(&c->will, facts);
	if (c->window && change_window_look_up(c, facts, err))
		return -1;
	kernel_state_wanted(&c->will, facts, &c->have, how->scope, want);
	return 0;
}

/*
 * Without a router the machine is to have nothing, so its plan says nothing about the definitions.
 * Described is the difference between what the machine would have by the old and by the new ones.
 */
static void describe_alone(struct change *c, const struct kernel_state *want, struct plan_text *out)
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
	plan_describe(&shown, want, &was, &c->had, &c->will, out);
}

void course_free(struct course *way)
{
	plan_free(&way->rest);
	plan_free(&way->plan);
	kernel_state_free(&way->now);
	kernel_state_free(&way->want);
	facts_free(&way->facts);
}

void change_plan(struct change *c, struct course *way, struct plan_text *text)
{
	if (way->want.routers.n) {
		plan_make(&way->want, &c->have, &way->plan);
		plan_describe(&way->plan, &way->want, &c->have, &c->had, &c->will, text);
		return;
	}
	describe_alone(c, &way->want, text);
	kernel_state_free(&way->want);
	plan_make(&way->want, &c->have, &way->plan);
}

/* What can only be done when nothing can be taken back. */
static int leave(struct change *c, const struct plan *plan, const struct kernel_state *want,
		 struct error *err)
{
	if (execute_leave(c->dp, plan, err))
		return error_prefix(err, "the definitions are changed, but programs stay; run the "
					 "command again");
	/* also what a run that was killed has left of them */
	if (!want->routers.n && change_maps_drop(c, err))
		return error_prefix(err, "the definitions are changed, but maps stay; run the "
					 "command again");
	return 0;
}

int change_make(struct change *c, const struct change_how *how, struct outcome *out,
		struct error *err)
{
	struct failures *failed = how->partial ? &out->failed : NULL;
	_cleanup_course_ struct course way = { 0 };
	int ret;

	memset(out, 0, sizeof(*out));
	out->text.keep = c->settings->all_lines ? 0 : HISTORY_LINES_MAX;
	if (how->partial && check_lost(c, err))
		return -1;
	ret = find_wanted(c, how, failed, &way.facts, &way.want, err);
	if (ret)
		return ret;
	change_plan(c, &way, &out->text);
	if (c->window && (!way.want.routers.n || plan_changes_routers(&way.plan)))
		return CHANGE_TOO_NARROW;
	if (policy_check(&way.want.policy, err) || change_maps_check(c, &way.plan, &way.want, err))
		return -1;
	if (!how->restore)
		change_facts_warn(c, &way.facts);
	if (how->dry_run)
		return 0;

	if (change_carry_out(c, how, &way, out, err))
		return -1;
	change_announce(&way.plan, &way.want, &c->have, out);
	if (!how->agent)
		change_announce_rest(c->settings, out);
	return leave(c, way.anew ? &way.rest : &way.plan, &way.want, err);
}
