/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/stat.h>

#include "change/change.h"
#include "change/cluster_change.h"
#include "change/cluster_wait.h"
#include "cluster/placement.h"
#include "cmd/cmd.h"
#include "cmd/consent.h"
#include "config/definitions.h"
#include "lib/background.h"
#include "lib/file.h"
#include "lib/host_name.h"
#include "lib/log.h"
#include "lib/output.h"
#include "model/select.h"

struct reading {
	const char *file;
	struct model wanted;
	struct error err;
	int ret;
};

static void read_file(void *arg)
{
	struct reading *r = arg;

	r->ret = definitions_read(r->file, &r->wanted, &r->err);
}

/* A file from this size on is read while what is in force is: that takes as long. */
#define READ_BESIDE (4 << 20)

/* Where nothing is in force, a file with errors is to leave nothing behind. */
static bool is_read_beside(const struct invocation *inv, const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= READ_BESIDE &&
	       store_exists(inv->settings.state);
}

static int begin(const struct invocation *inv, enum store_mode mode, struct reading *r,
		 struct change *c, struct error *err)
{
	struct model later = { 0 };
	struct background beside;
	int ret;

	if (!is_read_beside(inv, r->file)) {
		read_file(r);
		*err = r->err;
		return r->ret ? -1 : change_begin(&inv->settings, mode, &r->wanted, c, err);
	}
	background_begin(&beside, read_file, r);
	ret = change_begin(&inv->settings, mode, &later, c, err);
	background_end(&beside);
	if (!ret && r->ret)
		*err = r->err;
	if (ret || r->ret)
		return -1;
	c->will = r->wanted;
	r->wanted = later;
	model_locate(&c->will, host_name());
	return 0;
}

/* Tenants that were named, by --tenant and behind it. */
struct chosen {
	char *text; /* of the option, cut into names */
	VEC(const char *) names;
};

static void chosen_free(struct chosen *chosen)
{
	free(chosen->text);
	vec_free(&chosen->names);
}

static int choose(const struct invocation *inv, struct chosen *chosen, struct error *err)
{
	const char *value = cmd_value(inv, "tenant");
	char *rest, *name;

	if (!value && inv->nargs)
		return error_usage(err,
				   "`%s`: give the definitions with -f FILE, and tenants with "
				   "--tenant",
				   inv->args[0]);
	if (!value)
		return 0;
	rest = chosen->text = xstrdup(value);
	while ((name = strsep(&rest, ",")))
		*vec_push(&chosen->names) = name;
	for (int i = 0; i < inv->nargs; i++)
		*vec_push(&chosen->names) = inv->args[i];
	return 0;
}

/* What is in force, with those tenants as they are in the file. */
static int take_chosen(struct change *c, const struct chosen *chosen, struct error *err)
{
	_cleanup_model_ struct model will = { 0 };
	struct model file = c->will;

	if (store_load(c->store, &will, err) ||
	    model_take(&will, &file, chosen->names.v, chosen->names.n, err)) {
		c->will = file;
		return -1;
	}
	model_free(&file);
	c->will = will;
	will = (struct model){ 0 };
	return 0;
}

/* What one call of the command is about. */
struct applying {
	const struct invocation *inv;
	struct reading reading;
	struct chosen chosen;
	struct change_how how;
	struct scope only;
	bool warned; /* of what the file may lack: once, also when the user is asked */
	struct consent consent;
};

/* 1: the user has to be asked, and nothing is held meanwhile. */
static int attempt(struct applying *a, struct change *c, struct outcome *outcome, struct error *err)
{
	enum store_mode mode = a->how.dry_run ? STORE_READ : STORE_WRITE;
	int ret;

	if (begin(a->inv, mode, &a->reading, c, err) ||
	    (a->how.only && take_chosen(c, &a->chosen, err)) ||
	    definitions_check_alone(a->reading.file, &c->will, a->how.only, err))
		return -1;
	if (!a->warned)
		definitions_warn(a->reading.file, &c->will, a->how.only);
	if (!a->warned && !a->how.only)
		definitions_warn_host(a->reading.file, &c->will);
	a->warned = true;
	ret = consent_check(&a->consent, c, err);
	return ret ? ret : change_make(c, &a->how, outcome, err);
}

#ifndef TN_WITHOUT_CLUSTER

/* The definitions of the cluster, with those of the file in their place. */
static int take_for_cluster(struct applying *a, struct session *s, struct change *c,
			    struct error *err)
{
	struct model file = { 0 };

	read_file(&a->reading);
	if (a->reading.ret) {
		*err = a->reading.err;
		return -1;
	}
	if (cluster_had(s, &c->had, err))
		return -1;
	if (!a->how.only) {
		c->will = a->reading.wanted;
		a->reading.wanted = file;
		return 0;
	}
	return keys_read(&s->had, s->head.host, &c->will, err) ||
			       model_take(&c->will, &a->reading.wanted, a->chosen.names.v,
					  a->chosen.names.n, err)
		       ? -1
		       : 0;
}

static bool names(const struct router *r, const char *host)
{
	vec_each (one, &r->hosts) {
		if (strcmp(*one, host) == 0)
			return true;
	}
	return false;
}

/* Others' agents `cluster status` tells of. */
static void warn_without_agent(const struct settings *settings, const struct session *s,
			       const struct model *will, const struct scope *only)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/agent", settings->state);
	if (file_holder(path))
		return;
	vec_each (t, &will->tenants) {
		const struct router *r = tenant_router(t);

		if (r && r->active == ACTIVE_ELECTED && scope_has(only, t->name) &&
		    names(r, s->m.host))
			log_about(LOG_WARNING, t->name, NULL,
				  "tenant %s: no agent runs on this host, so it is never elected "
				  "for the router: run the agent",
				  t->name);
	}
}

static int warn_in_cluster(struct applying *a, const struct settings *settings,
			   const struct session *s, const struct model *will, struct error *err)
{
	_cleanup_placement_ struct placement found = { 0 };
	_cleanup_overview_ struct overview o = { 0 };

	definitions_warn(a->reading.file, will, a->how.only);
	warn_without_agent(settings, s, will, a->how.only);
	if (overview_read_hosts(s->etcd, &s->m, s->revision, &o, err))
		return -1;
	placement_of_hosts(will, &o, &found);
	placement_of_new(will, &o, cluster_has_netns, &found);
	vec_each (text, &found.list)
		log_warning("%s", *text);
	return 0;
}

/* 1: the user has to be asked. `c` has no more than the definitions. */
static int attempt_in_cluster(struct applying *a, struct session *s, struct change *c,
			      struct outcome *all, struct outcome *here, struct waiting *w,
			      struct error *err)
{
	const struct settings *settings = &a->inv->settings;
	_cleanup_entries_ struct entries will = { 0 };
	struct change_how how = a->how;
	int ret;

	how.attach = true;
	how.attach_only = how.only;
	how.only = NULL;
	if (take_for_cluster(a, s, c, err) || cluster_complete(settings, s, &c->will, &c->had, err))
		return -1;
	if (!a->warned && warn_in_cluster(a, settings, s, &c->will, err))
		return -1;
	a->warned = true;
	ret = consent_check(&a->consent, c, err);
	if (ret)
		return ret;
	all->text.keep = settings->all_lines ? 0 : HISTORY_LINES_MAX;
	cluster_describe(&c->had, &c->will, &all->text);
	if (keys_write(&c->will, &will, err) || cluster_try_here(s, settings, &will, &how, err))
		return -1;
	if (a->how.dry_run)
		return 0;
	if ((settings->waits_for_hosts && concern_of_change(&s->had, &will, &w->concern, err)) ||
	    cluster_commit(s, settings, &will, true, &all->text, err))
		return -1;
	w->revision = w->concern.tenants.list.n ? s->revision : 0;
	ret = cluster_converge(s, settings, &how, here, err);
	w->is_here = !ret;
	if (ret > 0)
		*err = (struct error){ 0 }; /* somebody is at the next change already */
	return ret < 0 ? error_prefix(err, "the cluster has the new definitions, but this host "
					   "could not be made so (`tenantnat cluster sync` tries "
					   "again)")
		       : 0;
}

/* In text before it is waited for, which takes a while. */
static int print_in_cluster(const struct applying *a, const struct session *s,
			    const struct outcome *all, const struct outcome *here,
			    struct error *err)
{
	if (cmd_print_outcome(a->inv, all, a->how.dry_run, err))
		return -1;
	if (!a->inv->json && !a->inv->settings.quiet && here->text.lines.n) {
		printf("on this host, %s:\n", s->m.host);
		outcome_print(here, false);
	}
	fflush(stdout);
	return 0;
}

static int wait_in_cluster(const struct applying *a, struct session *s, struct waiting *w,
			   const struct outcome *all, struct error *err)
{
	_cleanup_waited_ struct waited waited = { 0 };
	int ret = cluster_wait(s, &a->inv->settings, w, &waited, err);
	json_t *json;

	if (!a->inv->json) {
		if (!ret && !a->inv->settings.quiet)
			printf("%zu %s it\n", waited.list.n,
			       plural(waited.list.n, "host has", "hosts have"));
		return ret;
	}
	json = outcome_json(all);
	if (!json)
		return cmd_print_outcome(a->inv, all, false, err);
	json_object_set_new(json, "hosts", waited_json(&waited));
	return json_print(json, err) || ret ? -1 : 0;
}

static int apply_in_cluster(struct applying *a, struct session *s, struct error *err)
{
	_cleanup_outcome_ struct outcome all = { 0 }, here = { 0 };
	bool waits = a->inv->settings.waits_for_hosts && !a->how.dry_run;
	_cleanup_waiting_ struct waiting w = { 0 };
	int ret;

	do {
		struct change c = { 0 };

		ret = attempt_in_cluster(a, s, &c, &all, &here, &w, err);
		model_free(&c.had);
		model_free(&c.will);
	} while (ret == 1 && (ret = consent_ask(&a->consent, err)) == 0);
	if (ret)
		return -1;
	if ((!waits || !a->inv->json) && print_in_cluster(a, s, &all, &here, err))
		return -1;
	if (waits && wait_in_cluster(a, s, &w, &all, err))
		return -1;
	return outcome_failed(&here, "joined", err);
}

#endif

/* 0: this host is in no cluster; 1: it is, and that was it. */
static int run_in_cluster(struct applying *a, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_session_ struct session s;
	int ret = cluster_session(&a->inv->settings, &s, err);

	if (ret <= 0)
		return ret;
	return apply_in_cluster(a, &s, err) ? -1 : 1;
#else
	(void)a, (void)err;
	return 0;
#endif
}

static void applying_free(struct applying *a)
{
	model_free(&a->reading.wanted);
	chosen_free(&a->chosen);
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_(applying_free) struct applying a = {
		.inv = inv,
		.how = { .dry_run = cmd_value(inv, "dry-run"),
			 .no_probe = cmd_value(inv, "no-probe"),
			 .partial = cmd_value(inv, "partial") },
		.consent = { .given = cmd_value(inv, "yes") || cmd_value(inv, "dry-run") },
	};
	_cleanup_outcome_ struct outcome outcome = { 0 };
	int ret;

	if (choose(inv, &a.chosen, err))
		return -1;
	a.reading.file = cmd_file(inv, NULL, err);
	if (!a.reading.file)
		return -1;
	a.only = (struct scope){ (char *const *)a.chosen.names.v, (int)a.chosen.names.n };
	a.how.only = a.chosen.names.n ? &a.only : NULL;
	ret = run_in_cluster(&a, err);
	if (ret)
		return ret > 0 ? 0 : -1;
	do {
		_cleanup_change_ struct change c = { 0 };

		ret = attempt(&a, &c, &outcome, err);
	} while (ret == 1 && (ret = consent_ask(&a.consent, err)) == 0);
	if (ret)
		return -1;
	if (cmd_print_outcome(inv, &outcome, a.how.dry_run, err))
		return -1;
	return outcome_failed(&outcome, "joined", err);
}

const struct command cmd_apply = {
	.name = "apply",
	.synopsis = "[-f FILE] [--dry-run] [--no-probe] [--partial] [--tenant TENANT…] [--yes]",
	.summary = "Make the machine what a definitions file says",
	.help = "Prints what it does: `+` is added, `~` changed (old → new), `-` removed. What the "
		"file no\n"
		"longer names is removed. If anything fails, or after Ctrl-C, everything is as it "
		"was "
		"before.\n"
		"\n"
		"A router that joins is probed before it gets traffic: carrier, routes, duplicate\n"
		"addresses, neighbours, ping, MTU and checksums (`tenantnat check --help` has "
		"more).\n"
		"If the shared interface has addresses in no shared subnet, a warning says so "
		"before\n"
		"anything is changed: they stop working when the router joins.\n"
		"\n"
		"With --partial, routers that are missing or fail are named and left as they are, "
		"and "
		"the\n"
		"exit status is 1; all else is done. `restore` and the agent try these again, with "
		"the probes.\n"
		"With --tenant, only these tenants become what the file says; others stay as they "
		"are.\n"
		"On a host of a cluster the file is for all hosts: the cluster's definitions "
		"change "
		"first, then\n"
		"this host. If somebody else has changed the same meanwhile, nothing is changed. "
		"With --wait\n"
		"SECONDS it waits for the hosts that the change concerns, and names those that do "
		"not have it then\n"
		"(exit status 1); JSON has \"hosts\": [{\"name\", \"state\"}] besides.\n"
		"\n"
		"A file without tenants, or one that removes more than half of all mappings and at "
		"least ten,\n"
		"has to be confirmed: on a terminal you are asked, elsewhere --yes is needed.\n"
		"\n" OUTCOME_HELP,
	.options = { { "file", 'f', "FILE", FILE_HELP },
		     { "dry-run", 'n', NULL, "print what would be done, and do nothing" },
		     { "no-probe", 0, NULL, "let traffic through without the probes" },
		     { "partial", 0, NULL, "pass over routers that cannot be joined" },
		     { "tenant", 't', "TENANT,…", "change these tenants alone" },
		     { "yes", 'y', NULL, "also remove most of what is there" } },
	.max_args = -1,
	.run = run,
};
