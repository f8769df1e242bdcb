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
