/* SPDX-License-Identifier: GPL-2.0-only */
/* undo: back to the definitions that were in force before a change. */
#include <inttypes.h>

#include "change/change.h"
#include "change/cluster_change.h"
#include "cmd/cmd.h"
#include "cmd/consent.h"
#include "lib/log.h"

/* An address that was allocated, and is to be so again. */
struct lease {
	const char *tenant; /* borrowed of `had` or `will`, which outlive it */
	struct tn_addr fixed;
	struct tn_addr shared;
};

struct leases {
	VEC(struct lease) list;
};

static void leases_free(struct leases *l)
{
	vec_free(&l->list);
}

/* What one call of the command is about. */
struct undoing {
	const struct invocation *inv;
	struct change_how how;
	struct consent consent;
	uint64_t number; /* of the change; 0: the last one */
};

/* An id is a number from 1. */
static int parse_number(const struct invocation *inv, uint64_t *out, struct error *err)
{
	const char *text = inv->nargs ? inv->args[0] : NULL;
	char *end;

	*out = 0;
	if (!text)
		return 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || !*out || *out > INT64_MAX)
		return error_usage(err,
				   "`%s` is not the number of a change; `tenantnat show history` "
				   "has them",
				   text);
	return 0;
}

static void leases_of(const struct model *m, struct leases *out)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings) {
			if (!mapping->pinned)
				*vec_push(&out->list) =
					(struct lease){ t->name, mapping->fixed, mapping->shared };
		}
	}
}

/* Somebody else has the address by now. */
static void say_lost(const struct leases *before, struct model *now)
{
	vec_each (l, &before->list) {
		struct tenant *t = model_tenant(now, l->tenant);
		const struct mapping *m = t ? tenant_mapping(t, &l->fixed) : NULL;

		if (m && addr_cmp(&m->shared, &l->shared) != 0)
			log_about(LOG_WARNING, l->tenant, NULL,
				  "tenant %s: %s had the shared address %s, which is a router's "
				  "now; it gets %s",
				  l->tenant, ADDR(&l->fixed), ADDR(&l->shared), ADDR(&m->shared));
	}
}

/* 1: the user has to be asked, and nothing is held meanwhile. */
static int attempt(struct undoing *u, struct change *c, struct outcome *outcome, struct error *err)
{
	enum store_mode mode = u->how.dry_run ? STORE_READ : STORE_WRITE;
	_cleanup_(leases_free) struct leases before = { 0 };
	int ret;

	if (change_begin(&u->inv->settings, mode, NULL, c, err) ||
	    store_go_back(c->store, &u->number, &c->will, err))
		return -1;
	ret = consent_check(&u->consent, c, err);
	if (ret)
		return ret;
	leases_of(&c->will, &before);
	ret = change_make(c, &u->how, outcome, err);
	if (!ret)
		say_lost(&before, &c->will);
	return ret;
}

/* The state of a member has what was before on this host alone. */
static int check_alone(const struct invocation *inv, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret > 0)
		error_usage(err, "this host is in a cluster, whose changes cannot be undone; apply "
				 "the definitions file of before");
	return ret ? -1 : 0;
#else
	(void)inv, (void)err;
	return 0;
#endif
}

static int run(const struct invocation *inv, struct error *err)
{
	struct undoing u = {
		.inv = inv,
		.how = { .dry_run = cmd_value(inv, "dry-run"),
			 .no_probe = cmd_value(inv, "no-probe"),
			 .partial = cmd_value(inv, "partial") },
		.consent = { .given = cmd_value(inv, "yes") || cmd_value(inv, "dry-run") },
	};
	_cleanup_outcome_ struct outcome outcome = { 0 };
	int ret;

	if (parse_number(inv, &u.number, err) || check_alone(inv, err))
		return -1;
	do {
		_cleanup_change_ struct change c = { 0 };

		ret = attempt(&u, &c, &outcome, err);
	} while (ret == 1 && (ret = consent_ask(&u.consent, err)) == 0);
	if (ret || cmd_print_outcome(inv, &outcome, u.how.dry_run, err))
		return -1;
	return outcome_failed(&outcome, "joined", err);
}

const struct command cmd_undo = {
	.name = "undo",
	.synopsis = "[CHANGE] [--dry-run] [--no-probe] [--partial] [--yes]",
	.summary = "Go back to the definitions before a change",
	.help = "Makes the machine what the definitions were before the last change of them, or "
		"before the\n"
		"one with that number in `tenantnat show history`: later changes are taken back "
		"with it.\n"
		"Allocated addresses come back to whom they belonged. It is a change like any "
		"other: the\n"
		"plan is printed, routers that join are probed, and another `undo` takes it back. "
		"It\n"
		"changes no file: the next `apply` makes the machine what its file says.\n"
		"\n"
		"What was in force before each of the last 10,000 changes is kept, up to 32 MiB "
		"compressed,\n"
		"which a change that removes a million mappings may take. The oldest goes first; "
		"of a change\n"
		"that is too old, `undo` says so.\n"
		"\n" OUTCOME_HELP,
	.options = { { "dry-run", 'n', NULL, "print what would be done, and do nothing" },
		     { "no-probe", 0, NULL, "let traffic through without the probes" },
		     { "partial", 0, NULL, "pass over routers that cannot be joined" },
		     { "yes", 'y', NULL, "also remove most of what is there" } },
	.max_args = 1,
	.run = run,
};
