/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "cluster/placement.h"

/* A tenant whose router has the namespace of its name; `host` NULL: on no host that is named. */
static void add_tenant(struct model *m, const char *name, const char *host)
{
	struct tenant *t = vec_push(&m->tenants);

	t->name = xstrdup(name);
	t->router = xzalloc(sizeof(*t->router));
	t->router->netns = xstrdup(name);
	if (host)
		*vec_push(&t->router->hosts) = xstrdup(host);
}

static struct overview_host *add_host(struct overview *o, const char *name, const char *alive)
{
	struct overview_host *h = vec_push(&o->hosts);

	h->name = xstrdup(name);
	if (alive)
		cr_assert_eq(overview_read_alive(alive, h), 0);
	h->state = overview_judge(h, 7);
	return h;
}

static void says(struct placement *p, const char *want)
{
	char all[4000] = "";

	vec_each (text, &p->list) {
		strcat(all, *text);
		strcat(all, "\n");
	}
	cr_expect_str_eq(all, want);
	placement_free(p);
	memset(p, 0, sizeof(*p));
}

Test(placement, hosts_that_are_no_members)
{
	struct placement found = { 0 };
	struct names_text naming;
	struct overview o = { 0 };
	struct model m = { 0 };

	add_host(&o, "hv1", NULL);
	add_host(&o, "hv2", NULL);
	add_tenant(&m, "red", "hv22");
	add_tenant(&m, "blue", "hv1");
	add_tenant(&m, "pink", NULL);
	for (char name[] = "t0"; name[1] < '7'; name[1]++)
		add_tenant(&m, name, "storage");
	model_locate(&m, "hv1");
	placement_of_hosts(&m, &o, &found);
	says(&found, "the cluster has no host hv22, which the router of red names; did you mean "
		     "`hv2`?\n"
		     "the cluster has no host storage, which the routers of t0, t1, t2, t3, t4 and "
		     "2 more name\n");
	placement_naming(&m, "storage", &naming);
	cr_expect_str_eq(naming.text, "t0, t1, t2, t3, t4 and 2 more");
	placement_naming(&m, "hv2", &naming);
	cr_expect_eq(naming.n, 0);
	placement_here(&m, &naming);
	cr_expect_str_eq(naming.text, "blue, pink");
	model_free(&m);
	overview_free(&o);
}

#define SAYS(found) "{\"revision\":7,\"at\":1,\"failed\":[],\"found\":[" found "]}"

Test(placement, namespaces)
{
	static const struct {
		const char *one, *two, *said;
	} cases[] = {
		{ SAYS("\"red\""), SAYS(""), "" },
		{ SAYS("\"red\""), NULL, "" },
		{ SAYS(""), SAYS(""),
		  "no host that is heard of has the namespace of the router of red\n" },
		{ SAYS(""), NULL,
		  "no host that is heard of has the namespace of the router of red\n" },
		{ SAYS("\"red\""), SAYS("\"red\""),
		  "hosts hv1 and hv2 both have the namespace of tenant red's router; say with "
		  "`host` which is meant\n" },
		/* of an older tenantnat, and one that has not heard of it yet */
		{ SAYS(""), "{\"revision\":7,\"at\":1,\"failed\":[]}", "" },
		{ SAYS(""), "{\"revision\":6,\"at\":1,\"failed\":[],\"found\":[]}", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct placement found = { 0 };
		struct overview o = { 0 };
		struct model m = { 0 };

		add_host(&o, "hv1", cases[i].one);
		add_host(&o, "hv2", cases[i].two);
		add_tenant(&m, "red", NULL);
		add_tenant(&m, "blue", "hv1");
		placement_of_namespaces(&m, &o, &found);
		says(&found, cases[i].said);
		model_free(&m);
		overview_free(&o);
	}
}

static bool has_here(const struct router *r)
{
	return strcmp(r->netns, "here") == 0;
}

Test(placement, namespaces_of_a_new_file)
{
	struct placement found = { 0 };
	struct overview o = { 0 };
	struct model m = { 0 };

	add_host(&o, "hv1", SAYS("\"there\""));
	add_tenant(&m, "here", NULL);
	add_tenant(&m, "there", NULL);
	add_tenant(&m, "named", "hv1");
	placement_of_new(&m, &o, has_here, &found);
	says(&found, "");
	add_tenant(&m, "ghost", NULL);
	placement_of_new(&m, &o, has_here, &found);
	says(&found, "the router of ghost names no `host`, and the namespace is not here; "
		     "`tenantnat cluster status` says then whether a host has it\n");
	model_free(&m);
	overview_free(&o);
}
