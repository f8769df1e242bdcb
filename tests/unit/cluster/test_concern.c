/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "cluster/concern.h"

#define NETWORK "network", "{\"subnets\":[\"100.64.0.0/16\"]}"
#define RED	"tenants/red"
#define RED_IS(more) \
	"{\"name\":\"red\",\"pool\":[\"100.64.1.0/24\"],\"router\":{\"host\":\"hv1\"}" more "}"
#define BLUE                                                                                     \
	"tenants/blue", "{\"name\":\"blue\",\"pool\":[\"100.64.2.0/"                             \
			"24\"],\"router\":{\"hosts\":[\"hv2\",\"hv3\"]},\"accept\":[{\"from\":[" \
			"\"pink/web\"]}]}"
#define PINK_IS(pool) "{\"name\":\"pink\",\"pool\":[\"" pool "\"],\"router\":{\"host\":\"hv4\"}}"
#define PLAIN	      "tenants/plain", "{\"name\":\"plain\",\"router\":{\"host\":\"hv5\"}}"
#define LOST            \
	"tenants/lost", \
		"{\"name\":\"lost\",\"pool\":[\"100.64.6.0/24\"],\"router\":{\"netns\":\"lost\"}}"

/* The definitions, with this instead of what is there of that key; `value` NULL: without it. */
static void with(struct entries *out, const char *key, const char *value)
{
	static const char *const all[][2] = {
		{ NETWORK },
		{ RED, RED_IS("") },
		{ BLUE },
		{ PLAIN },
		{ LOST },
		{ "tenants/pink", PINK_IS("100.64.4.0/24") },
		{ "blocks/4/64400100",
		  "{\"100.64.1.5\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\"}}" },
	};

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!key || strcmp(all[i][0], key) != 0)
			entries_add(out, all[i][0], all[i][1], 1);
	}
	if (key && value)
		entries_add(out, key, value, 1);
	entries_sort(out);
}

static char *concerned(const char *key, const char *value)
{
	_cleanup_concern_ struct concern c = { 0 };
	struct entries had, will;
	struct error err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	with(&had, NULL, NULL);
	with(&will, key, value);
	cr_assert_eq(concern_of_change(&had, &will, &c, &err), 0, "%s", err.text);
	cr_assert_eq(concern_find_hosts(&will, &c, &err), 0, "%s", err.text);
	fputs(c.everybody ? "all" : "", f);
	for (size_t i = 0; !c.everybody && i < c.hosts.list.n; i++)
		fprintf(f, "%s%s", i ? " " : "", c.hosts.list.v[i]);
	fclose(f);
	entries_free(&had);
	entries_free(&will);
	return text;
}

#define OF(tenant) "{\"100.64.9.5\":{\"tenant\":\"" tenant "\",\"fixed\":\"10.0.0.6\"}}"

Test(concern, hosts)
{
	static const struct {
		const char *key, *value, *hosts;
	} cases[] = {
		{ NULL, NULL, "all" }, /* nothing: whoever asks means all */
		{ "blocks/4/64400900", OF("red"), "hv1" },
		{ "blocks/4/64400100", NULL, "hv1" },
		{ "blocks/4/64400900", OF("blue"), "hv2 hv3" },
		{ "blocks/4/64400900", OF("pink"), "hv2 hv3 hv4" }, /* a rule of blue's names it */
		{ "blocks/4/64400900", OF("plain"), "all" },	    /* which no pool tells of */
		{ "blocks/4/64400900", OF("lost"), "all" },
		{ RED, RED_IS(",\"accept\":[]"), "hv1" },
		{ RED, NULL, "all" },
		{ "tenants/pink", PINK_IS("100.64.5.0/24"), "all" },
		{ "network", "{\"subnets\":[\"100.64.0.0/15\"]}", "all" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *got = concerned(cases[i].key, cases[i].value);

		cr_expect_str_eq(got, cases[i].hosts, "%zu: %s", i, got);
		free(got);
	}
}

static bool is_on_hv1(void *arg, const struct tenant *t)
{
	const struct router *r = tenant_router(t);

	(void)arg;
	return r->hosts.n && strcmp(r->hosts.v[0], "hv1") == 0;
}

/* Of hv1, which has red's router, whose rules name pink/web. */
#define MINE                                                                                 \
	"net 100.64.0.0/16; tenant red id=1 pool=100.64.1.0/24; router id=1 netns=red; map " \
	"10.0.0.5 lease=100.64.1.5; accept from=pink/web;"                                   \
	"tenant blue id=2 pool=100.64.2.0/24; tenant pink id=3 pool=100.64.4.0/24;"          \
	"tenant one id=4 pool=100.64.6.0/24; tenant two id=5 pool=100.64.6.0/25;"            \
	"tenant plain id=6; map 10.0.0.7 lease=100.64.9.7;"

static enum concern_of of_hv1(const char *tenant)
{
	_cleanup_reader_ struct reader r = { 0 };
	_cleanup_model_ struct model mine = model_of(MINE);
	struct error err = { 0 };
	json_t *value = json_loads(tenant, 0, NULL);
	char key[128];

	snprintf(key, sizeof(key), KEY_TENANTS "%s",
		 json_string_value(json_object_get(value, "name")));
	json_decref(value);
	model_sort(&mine);
	cr_assert_eq(reader_network(&r, "{\"subnets\":[\"100.64.0.0/16\"]}", &err), 0);
	cr_assert_eq(reader_tenant(&r, key, tenant, &err), 0, "%s", err.text);
	return concern_of_host(&mine, &r.m, is_on_hv1, NULL);
}

#define RED_ON(host, more)                                           \
	"{\"name\":\"red\",\"pool\":[\"100.64.1.0/24\"],\"router\":" \
	"{\"host\":\"" host "\",\"netns\":\"red\"" more "}"

Test(concern, of_one_host)
{
	static const struct {
		const char *tenant;
		enum concern_of of;
	} cases[] = {
		{ "{\"name\":\"blue\",\"pool\":[\"100.64.2.0/24\"],\"router\":{\"host\":\"hv2\"}}",
		  CONCERN_NONE },
		{ "{\"name\":\"blue\",\"pool\":[\"100.64.2.0/24\"]}", CONCERN_NONE },
		{ "{\"name\":\"blue\",\"pool\":[\"100.64.2.0/24\"],\"router\":{\"host\":\"hv1\"}}",
		  CONCERN_ALL },
		{ "{\"name\":\"blue\",\"pool\":[\"100.64.3.0/24\"]}", CONCERN_ALL },
		/* red's router is here, and stays */
		{ RED_ON("hv1", "") "}", CONCERN_OWN },
		{ RED_ON("hv1", "") ",\"accept\":[{\"from\":[\"blue\"]}]}", CONCERN_OWN },
		{ RED_ON("hv1", "") ",\"accept\":[{\"from\":[\"pink/web\"]}]}", CONCERN_OWN },
		{ RED_ON("hv1",
			 ",\"sources\":\"loose\"") ",\"accept\":[{\"from\":[\"pink/web\"]}]}",
		  CONCERN_OWN },
		{ RED_ON("hv1", "") ",\"accept\":[{\"from\":[\"pink/web\",\"blue/db\"]}]}",
		  CONCERN_ALL },
		{ RED_ON("hv2", "") ",\"accept\":[{\"from\":[\"pink/web\"]}]}", CONCERN_ALL },
		{ "{\"name\":\"red\",\"pool\":[\"100.64.1.0/24\"]}", CONCERN_ALL },
		{ "{\"name\":\"new\",\"pool\":[\"100.64.7.0/24\"]}", CONCERN_ALL },
		{ "{\"name\":\"pink\",\"pool\":[\"100.64.4.0/24\"]}", CONCERN_ALL },
		{ "{\"name\":\"one\",\"pool\":[\"100.64.6.0/24\"]}", CONCERN_ALL },
		{ "{\"name\":\"plain\"}", CONCERN_ALL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_eq(of_hv1(cases[i].tenant), cases[i].of, "%s", cases[i].tenant);
}
