/* SPDX-License-Identifier: GPL-2.0-only */
/* cluster status: etcd's members, and the hosts of the cluster. */
#include <inttypes.h>
#include <time.h>

#include "change/cluster_change.h"
#include "cluster/overview.h"
#include "cmd/cmd_cluster.h"
#include "lib/output.h"

#ifndef TN_WITHOUT_CLUSTER

static json_t *members_json(const struct overview *o)
{
	json_t *list = json_array();

	vec_each (m, &o->members)
		json_array_append_new(list, json_pack("{ss ss so sb sb so}", "name", m->name, "url",
						      m->url, "version", json_text(m->version),
						      "leader", (int)m->leads, "healthy", !m->why,
						      "why", json_text(m->why)));
	return list;
}

static json_t *texts_json(char *const *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_text(v[i]));
	return list;
}

static json_t *number_or_null(int64_t n)
{
	return n ? json_integer((json_int_t)n) : json_null();
}

static int64_t seconds_since(int64_t then)
{
	int64_t age = then ? time(NULL) - then : 0;

	return age < 0 ? 0 : age;
}

static json_t *hosts_json(const struct overview *o)
{
	json_t *list = json_array();

	vec_each (h, &o->hosts)
		json_array_append_new(
			list, json_pack("{ss ss so so so so so so}", "name", h->name, "state",
					host_state_name(h->state), "revision",
					number_or_null(h->revision), "age",
					h->at ? json_integer(seconds_since(h->at)) : json_null(),
					"joined", number_or_null(h->joined), "version",
					json_text(h->version), "flows", json_text(h->flows),
					"failed", texts_json(h->failed.v, h->failed.n)));
	return list;
}

static json_t *elected_json(const struct overview *o)
{
	json_t *list = json_array();

	vec_each (r, &o->elected)
		json_array_append_new(list, json_pack("{ss so so}", "tenant", r->tenant, "holder",
						      json_text(r->holder), "since",
						      number_or_null(r->since)));
	return list;
}

static json_t *overview_json(const struct membership *m, const struct overview *o)
{
	return json_pack("{sb ss ss ss so so so so so so}", "well", (int)overview_is_well(o),
			 "cluster", m->id, "prefix", m->prefix, "host", m->host, "revision",
			 number_or_null(o->revision), "changed", number_or_null(o->changed),
			 "members", members_json(o), "hosts", hosts_json(o), "elected",
			 elected_json(o), "problems", texts_json(o->problems.v, o->problems.n));
}

static void print_members(const struct overview *o)
{
	_cleanup_table_ struct table t = { .columns = 4 };

	table_cell(&t, "MEMBER");
	table_cell(&t, "URL");
	table_cell(&t, "VERSION");
	table_cell(&t, "STATE");
	vec_each (m, &o->members) {
		table_cell(&t, "%s", *m->name ? m->name : "-");
		table_cell(&t, "%s", m->url);
		table_cell(&t, "%s", m->version ? m->version : "-");
		table_cell(&t, "%s", m->why ? m->why : m->leads ? "leads" : "follows");
	}
	table_print(&t);
}

static void state_cell(struct table *t, const struct overview_host *h)
{
	switch (h->state) {
	case HOST_CURRENT:
		table_cell(t, "current");
		break;
	case HOST_BEHIND:
		table_cell(t, "behind");
		break;
	case HOST_FAILED:
		table_cell(t, "failed: %s%s", h->failed.v[0], h->failed.n > 1 ? " and others" : "");
		break;
	case HOST_SILENT:
		table_cell(t, "silent: does its agent run?");
		break;
	}
}

static void print_hosts(const struct overview *o)
{
	_cleanup_table_ struct table t = { .columns = 6 };

	table_cell(&t, "HOST");
	table_cell(&t, "REVISION");
	table_cell(&t, "AGE");
	table_cell(&t, "VERSION");
	table_cell(&t, "FLOWS TO");
	table_cell(&t, "STATE");
	vec_each (h, &o->hosts) {
		table_cell(&t, "%s", h->name);
		if (h->at) {
			table_cell(&t, "%" PRId64, h->revision);
			table_cell(&t, "%" PRId64 " s", seconds_since(h->at));
		} else {
			table_cell(&t, "-");
			table_cell(&t, "-");
		}
		table_cell(&t, "%s", h->version ? h->version : "-");
		table_cell(&t, "%s", h->flows ? h->flows : "-");
		state_cell(&t, h);
	}
	if (o->hosts.n)
		table_print(&t);
}

static void print_elected(const struct overview *o)
{
	_cleanup_table_ struct table t = { .columns = 3 };

	table_cell(&t, "ELECTED FOR");
	table_cell(&t, "HOST");
	table_cell(&t, "FOR");
	vec_each (r, &o->elected) {
		table_cell(&t, "%s", r->tenant);
		table_cell(&t, "%s", r->holder ? r->holder : "nobody: no host is active");
		if (r->holder)
			table_cell(&t, "%" PRId64 " s", seconds_since(r->since));
		else
			table_cell(&t, "-");
	}
	if (o->elected.n)
		table_print(&t);
}

static void print_overview(const struct membership *m, const struct overview *o)
{
	printf("%scluster%s %s (%s), this is host %s\n", color_bold(), color_off(), m->prefix,
	       m->id, m->host);
	if (o->revision)
		printf("revision %" PRId64 "%s", o->revision,
		       o->changed ? "" : ", no definitions yet\n");
	if (o->changed)
		printf(", definitions changed at %" PRId64 "\n", o->changed);
	print_members(o);
	print_hosts(o);
	print_elected(o);
	vec_each (problem, &o->problems)
		printf("%sproblem%s %s\n", color_removed(), color_off(), *problem);
}

static int status(const struct invocation *inv, struct error *err)
{
	_cleanup_membership_ struct membership m = { 0 };
	_cleanup_overview_ struct overview o = { 0 };
	_cleanup_store_ struct store *store = NULL;

	if (cmd_open_member(inv, STORE_READ, &store, &m, err) || overview_read(&m, &o, err))
		return -1;
	if (inv->json && json_print(overview_json(&m, &o), err))
		return -1;
	if (!inv->json && !inv->settings.quiet)
		print_overview(&m, &o);
	return overview_is_well(&o) ? 0 : 1;
}

#else

static int status(const struct invocation *inv, struct error *err)
{
	(void)inv;
	return cluster_check(err);
}

#endif

const struct command cmd_cluster_status = {
	.name = "cluster status",
	.summary = "Show etcd's members and the hosts of the cluster" CLUSTER_HELP,
	.synopsis = "",
	.help = "Exit status 1 when something is not well: a member that is not healthy, a host "
		"that does not\n"
		"have what is in force, a router with `active: elected` that no host is active "
		"for.\n"
		"\n"
		"A host is `current` when it has the last change, `behind` when not yet, `failed` "
		"when not for all\n"
		"tenants, `silent` when its agent is not heard of. Ages are wrong by as much as "
		"the two clocks\n"
		"differ.\n"
		"\n"
		"JSON: {\"well\": true or false, \"cluster\", \"prefix\", \"host\": this one, "
		"\"revision\": etcd's,\n"
		"\"changed\": of the last change, \"members\": [{\"name\", \"url\", \"version\", "
		"\"leader\",\n"
		"\"healthy\", \"why\": it is not}], \"hosts\": [{\"name\", \"state\", "
		"\"revision\", "
		"\"age\": seconds,\n"
		"\"joined\": seconds since 1970, \"version\", \"flows\": null or where it takes "
		"flows of others,\n"
		"\"failed\": [tenants]}],\n"
		"\"elected\": [{\"tenant\", \"holder\": null (nobody) or host, \"since\": seconds "
		"since "
		"1970}], \"problems\": "
		"[text]}",
	.run = status,
};
