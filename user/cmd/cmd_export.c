/* SPDX-License-Identifier: GPL-2.0-only */
/* export: the definitions in force as a definitions file. */
#include "change/cluster_change.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "config/write.h"
#include "lib/output.h"
#include "store/store.h"

/* What was leased, as if the user had given it. */
static void pin(struct model *m)
{
	vec_each (t, &m->tenants) {
		vec_each (mapping, &t->mappings)
			mapping->pinned = true;
		for (int f = 0; tenant_router(t) && f < FAMILIES; f++) {
			struct own_address *own = &tenant_router(t)->own[f];

			own->pinned = !addr_is_unset(&own->addr);
		}
	}
}

/* 0: this host is in no cluster; 1: it is, and *out is what that one has. */
static int load_of_cluster(const struct invocation *inv, struct model *m, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret <= 0)
		return ret;
	return cluster_had(&s, m, err) ? -1 : 1;
#else
	(void)inv, (void)m, (void)err;
	return 0;
#endif
}

static int load(const struct invocation *inv, struct model *m, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;
	int ret = load_of_cluster(inv, m, err);

	if (ret < 0)
		return -1;
	if (ret == 0 &&
	    (store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err) ||
	     store_load(store, m, err)))
		return -1;
	if (!m->subnets.n)
		return error_set(err,
				 "there are no definitions in %s; `tenantnat apply -f FILE` puts "
				 "some in force",
				 ret ? "the cluster" : inv->settings.state);
	if (cmd_value(inv, "pin"))
		pin(m);
	return 0;
}

/* Commands that change single mappings check less than the whole of a file is checked for. */
static int check(const char *text, size_t len, struct error *err)
{
	_cleanup_model_ struct model m = { 0 };
	struct config_errors errors;
	int ret = config_parse(text, len, "<export>", &m, &errors);

	fflush(stdout);
	vec_each (line, &errors.list)
		fprintf(stderr, "%s\n", *line);
	if (ret)
		error_set(err, "`apply` would refuse that file; correct the lines named above");
	config_errors_free(&errors);
	return ret;
}

static int print(const struct invocation *inv, const struct model *m, const char *text, size_t len,
		 struct error *err)
{
	if (inv->json)
		return json_print(definitions_json(m, err), err);
	fwrite(text, 1, len, stdout);
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_model_ struct model m = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f;
	int ret;

	if (load(inv, &m, err))
		return -1;
	f = open_memstream(&text, &len);
	if (!f)
		return error_set(err, "out of memory");
	ret = definitions_write(&m, f, err);
	fclose(f);
	if (ret || print(inv, &m, text, len, err))
		return -1;
	return check(text, len, err);
}

const struct command cmd_export = {
	.name = "export",
	.synopsis = "[--pin]",
	.summary = "Print the definitions in force as a definitions file",
	.help = "To apply what it prints changes nothing, also when the definitions were changed "
		"with\n"
		"`map add` and `map del`. Addresses that were leased are not in it: they stay "
		"where the\n"
		"state is, and are given anew elsewhere. With --pin they are in it, as `shared` "
		"and\n"
		"`address`, so that a host without the state gives the same ones. Routers that "
		"were taken\n"
		"off with `detach` are attached when the file is applied. On a host of a cluster "
		"they are the\n"
		"cluster's definitions, of all hosts.\n"
		"\n"
		"JSON: the keys of the definitions file.",
	.options = { { "pin", 0, NULL, "also addresses that were leased" } },
	.run = run,
};
