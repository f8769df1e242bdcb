/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/change.h"
#include "cmd/cmd.h"
#include "lib/output.h"
#include "model/selection.h"

static void mark_all(struct model *m)
{
	vec_each (t, &m->tenants) {
		if (t->router)
			t->router->detached = true;
	}
}

static int mark_named(const struct invocation *inv, struct model *m, struct error *err)
{
	for (int i = 0; i < inv->nargs; i++) {
		struct tenant *t = tenant_named(m, inv->args[i], err);

		if (!t)
			return -1;
		if (!t->router)
			return error_usage(err, "tenant %s has no router here to detach", t->name);
		t->router->detached = true;
	}
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	struct scope scope = { .tenants = inv->args, .n = inv->nargs };
	bool all = cmd_value(inv, "all");
	_cleanup_change_ struct change c = { 0 };
	struct change_how how = { .scope = all ? NULL : &scope };
	_cleanup_outcome_ struct outcome outcome = { 0 };

	if (all == (inv->nargs > 0))
		return error_usage(err, "give tenants, or --all");
	if (change_begin(&inv->settings, STORE_WRITE, NULL, &c, err))
		return -1;
	if (all)
		mark_all(&c.will);
	else if (mark_named(inv, &c.will, err))
		return -1;
	if (change_make(&c, &how, &outcome, err))
		return -1;
	/* who names what goes is told what is wrong, and nothing else */
	return inv->json ? cmd_print_outcome(inv, &outcome, false, err) : 0;
}

const struct command cmd_detach = {
	.name = "detach",
	.synopsis = "TENANT…|--all",
	.summary = "Take the programs off routers",
	.help = "Definitions and leases stay. A router stays detached until the next `apply`, by "
		"hand or\n"
		"by `agent -f FILE`; `restore`, `map add` and the agent's repairs leave it alone. "
		"With the\n"
		"last router the maps go too, and nothing of tenantnat is left in the kernel.\n"
		"\n" OUTCOME_HELP,
	.options = { { "all", 'a', NULL, "every router of this machine" } },
	.max_args = -1,
	.run = run,
};
