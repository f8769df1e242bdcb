/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include <sys/resource.h>
#include <time.h>

#include "../config/config_fixture.h"
#include "../fixture.h"
#include "../store/store_fixture.h"
#include "cluster/blocks.h"

/* ------------------------------------------------------------ names of keys */

Test(keys, blocks_sort_as_addresses_do)
{
	static const char *const rows[][2] = {
		{ "100.64.1.0", "blocks/4/64400100" },
		{ "100.64.1.255", "blocks/4/64400100" },
		{ "100.64.2.0", "blocks/4/64400200" },
		{ "223.255.255.1", "blocks/4/dfffff00" },
		{ "fd64::1", "blocks/6/fd640000000000000000000000000000" },
		{ "fd64::ff", "blocks/6/fd640000000000000000000000000000" },
		{ "fd64::abcd:1", "blocks/6/fd6400000000000000000000abcd0000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tn_addr a = addr_of(rows[i][0]);
		struct prefix block;

		cr_expect_str_eq(KEY_BLOCK(&a), rows[i][1]);
		cr_expect(block_parse(rows[i][1], &block));
		cr_expect(prefix_has(&block, &a));
		cr_expect(i == 0 || strcmp(rows[i - 1][1], rows[i][1]) <= 0);
	}
}

Test(keys, of_no_block)
{
	static const char *const keys[] = { "blocks/4/6440010",
					    "blocks/4/644001000",
					    "blocks/4/64400101",
					    "blocks/4/6440A100",
					    "blocks/4/ 6440100",
					    "blocks/4/644001-1",
					    "blocks/6/64400100",
					    "blocks/6/00000000000000000000ffff64400100",
					    "blocks/5/64400100",
					    "tenants/red",
					    "" };
	struct prefix block;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		cr_expect_not(block_parse(keys[i], &block), "%s", keys[i]);
}

static char *ranges_of(const char *const *prefixes)
{
	_cleanup_key_ranges_ struct key_ranges r = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (; *prefixes; prefixes++) {
		struct prefix p = prefix_of(*prefixes);

		key_ranges_add(&r, &p);
	}
	key_ranges_merge(&r);
	vec_each (range, &r.list)
		fprintf(f, "%s-%s\n", range->from, range->to);
	fclose(f);
	return text;
}

#define RANGES(...) ranges_of((const char *const[]){ __VA_ARGS__, NULL })

Test(keys, ranges_of_pools)
{
	expect_text(RANGES("100.64.1.0/24"), "blocks/4/64400100-blocks/4/64400101\n", "one block");
	expect_text(RANGES("100.64.1.64/26", "100.64.1.200/32"),
		    "blocks/4/64400100-blocks/4/64400101\n", "parts of one");
	expect_text(RANGES("100.64.0.0/16"), "blocks/4/64400000-blocks/4/6440ff01\n", "many");
	expect_text(RANGES("100.64.2.0/24", "100.64.0.0/16", "100.64.3.0/30"),
		    "blocks/4/64400000-blocks/4/6440ff01\n", "nested");
	expect_text(RANGES("100.64.2.0/24", "100.64.1.0/24", "100.64.4.0/24"),
		    "blocks/4/64400100-blocks/4/64400201\nblocks/4/64400400-blocks/4/64400401\n",
		    "beside each other");
	expect_text(RANGES("fd64::/64"),
		    "blocks/6/fd640000000000000000000000000000-"
		    "blocks/6/fd64000000000000ffffffffffffff01\n",
		    "IPv6");
}

Test(keys, ranges_have_keys)
{
	_cleanup_key_ranges_ struct key_ranges r = { 0 };
	struct prefix a = prefix_of("100.64.1.0/24"), b = prefix_of("100.65.0.0/16");

	key_ranges_add(&r, &b);
	key_ranges_add(&r, &a);
	key_ranges_merge(&r);
	cr_expect_not(key_ranges_have(&r, "blocks/4/64400000"));
	cr_expect(key_ranges_have(&r, "blocks/4/64400100"));
	cr_expect_not(key_ranges_have(&r, "blocks/4/64400200"));
	cr_expect(key_ranges_have(&r, "blocks/4/64410000"));
	cr_expect(key_ranges_have(&r, "blocks/4/6441ff00"));
	cr_expect_not(key_ranges_have(&r, "blocks/4/64420000"));
}

/* ------------------------------------------------------------ there */

static char *entries_text(const struct model *m)
{
	_cleanup_entries_ struct entries e;
	struct error err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_eq(keys_write(m, &e, &err), 0, "%s", err.text);
	vec_each (entry, &e.list)
		fprintf(f, "%s %s\n", entry->key, entry->value);
	fclose(f);
	return text;
}

static void expect_entries(const char *definitions, const char *want)
{
	_cleanup_model_ struct model m = model_of(definitions);

	model_sort(&m);
	expect_text(entries_text(&m), want, definitions);
}

Test(keys, as_they_are)
{
	expect_entries(
		"net 100.64.0.0/16 fd64::/64;"
		"tenant red id=7 pool=100.64.1.0/24; router id=3 netns=red pin=100.64.0.2 "
		"lease=fd64::9 "
		"detached;"
		"map 10.0.0.5 db pin=100.64.1.9; map 10.0.0.6 lease=100.64.1.10 rate=2000000;"
		"map 10.0.0.7 lease=100.64.2.1 mac=FA:16:3e:00:00:05 packets=5;"
		"map fd00::5 db lease=fd64::5 rate=2000000 packets=7;"
		"accept id=4 from=blue to=db tcp/5432; accept id=5 from=*;"
		"tenant blue;",
		"blocks/4/64400000 "
		"{\"100.64.0.2\":{\"pinned\":true,\"router\":true,\"tenant\":\"red\"}}\n"
		"blocks/4/64400100 "
		"{\"100.64.1.10\":{\"fixed\":\"10.0.0.6\",\"limit\":{\"burst\":2000000,"
		"\"rate\":2000000},\"tenant\":\"red\"},"
		"\"100.64.1.9\":{\"fixed\":\"10.0.0.5\",\"name\":\"db\",\"pinned\":true,"
		"\"tenant\":\"red\"}}\n"
		"blocks/4/64400200 "
		"{\"100.64.2.1\":{\"fixed\":\"10.0.0.7\",\"limit\":{\"packets\":5},"
		"\"mac\":\"fa:16:3e:00:00:05\",\"tenant\":\"red\"}}\n"
		"blocks/6/fd640000000000000000000000000000 "
		"{\"fd64::5\":{\"fixed\":\"fd00::5\",\"limit\":{\"burst\":2000000,\"packets\":7,"
		"\"rate\":2000000},\"name\":\"db\",\"tenant\":\"red\"},"
		"\"fd64::9\":{\"router\":true,\"tenant\":\"red\"}}\n"
		"network {\"subnets\":[\"100.64.0.0/16\",\"fd64::/64\"]}\n"
		"tenants/blue {\"name\":\"blue\"}\n"
		"tenants/red {\"accept\":[{\"from\":[\"blue\"],\"ports\":[\"tcp/5432\"],"
		"\"to\":[\"db\"]},{\"from\":[\"*\"]}],\"name\":\"red\",\"pool\":"
		"[\"100.64.1.0/24\"],\"router\":{\"address\":\"100.64.0.2\",\"netns\":\"red\"}}\n");
}

Test(keys, two_owners_are_a_fault_of_ours)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16; tenant red;"
						  "map 10.0.0.5 pin=100.64.1.9;"
						  "tenant blue; map 10.0.0.5 pin=100.64.1.9;");
	_cleanup_entries_ struct entries e = { 0 };
	struct error err = { 0 };

	cr_expect_eq(keys_write(&m, &e, &err), -1);
	cr_expect(strstr(err.text, "two owners"), "%s", err.text);
}

/* ------------------------------------------------------------ and back */

/* What no key has. */
static void forget(struct model *m)
{
	free(m->file);
	m->file = NULL;
	vec_each (t, &m->tenants) {
		t->id = 0;
		vec_each (r, &t->accept) {
			r->id = 0;
			r->pos = (struct pos){ 0 };
		}
		if (!t->router)
			continue;
		t->router->id = 0;
		t->router->detached = t->router->passed_over = false;
	}
}

static void expect_back(const struct model *m)
{
	_cleanup_entries_ struct entries e, again;
	_cleanup_model_ struct model back = { 0 };
	struct error err = { 0 };

	cr_assert_eq(keys_write(m, &e, &err), 0, "%s", err.text);
	for (size_t i = 1; i < e.list.n; i++)
		cr_assert(strcmp(e.list.v[i - 1].key, e.list.v[i].key) < 0, "%s before %s",
			  e.list.v[i - 1].key, e.list.v[i].key);
	cr_assert_eq(keys_read(&e, false, &back, &err), 0, "%s", err.text);
	assert_same(&back, m);
	cr_assert_eq(keys_write(&back, &again, &err), 0, "%s", err.text);
	for (size_t i = 0; i < e.list.n; i++)
		cr_assert_str_eq(e.list.v[i].value, again.list.v[i].value);
}

Test(keys, reading_gives_the_same_again)
{
	static const struct model nothing;
	static const struct addr_list none;
	struct dice dice = { 23 };
	int good = 0;

	for (int round = 0; round < 2000; round++) {
		_cleanup_model_ struct model m = { 0 };
		struct error err = { 0 };

		make_model(&dice, &m, chance(&dice, 30));
		vec_each (t, &m.tenants) {
			for (int f = 0; t->router && f < FAMILIES; f++)
				t->router->own[f].wanted = t->router->own[f].pinned ||
							   (chance(&dice, 50) && t->pools.n &&
							    addr_family(&t->pools.v[0].addr) == f);
		}
		if (ipam_assign(&m, &nothing, &none, &err))
			continue;
		vec_each (t, &m.tenants) {
			for (int f = 0; t->router && f < FAMILIES; f++)
				t->router->own[f].wanted = false;
		}
		good++;
		forget(&m);
		expect_back(&m);
	}
	cr_expect_gt(good, 1000);
}

/* One mapping at a time comes to the same bytes, whatever the order. */
Test(keys, one_by_one)
{
	_cleanup_model_ struct model m = model_of(
		"net 100.64.0.0/16; tenant red; map 10.0.0.5 db pin=100.64.1.9 rate=2000000;"
		"map 10.0.0.6 lease=100.64.1.10; map 10.0.0.7 lease=100.64.1.100 packets=7;");
	_cleanup_entries_ struct entries e;
	_cleanup_free_ char *value = NULL;
	struct tenant *red = &m.tenants.v[0];
	struct error err = { 0 };

	cr_assert_eq(keys_write(&m, &e, &err), 0, "%s", err.text);
	for (size_t i = red->mappings.n; i-- > 0;) {
		char *with = block_with("b", value, "red", &red->mappings.v[i], &err);

		free(value);
		value = with;
	}
	cr_expect_str_eq(value, e.list.v[0].value);
	vec_each (mapping, &red->mappings) {
		char *without = block_without("b", value, &mapping->shared, &err);

		free(value);
		value = without;
	}
	cr_expect_str_eq(value, "{}");
	cr_expect_null(block_with("b", "[", "red", &red->mappings.v[0], &err));
}

/* ------------------------------------------------------------ damaged, or of others */

/* The definitions of the others, with one key's value in the place of theirs; NULL: without it. */
static void expect_fault(const char *key, const char *value, bool unfinished, const char *fault)
{
	_cleanup_model_ struct model m =
		model_of("net 100.64.0.0/16 fd64::/64;"
			 "tenant blue; router pin=100.64.0.3;"
			 "tenant red pool=100.64.1.0/24 pool=fd64::1:0/112; map 10.0.0.5 db "
			 "pin=100.64.1.9;");
	_cleanup_entries_ struct entries e;
	_cleanup_model_ struct model back = { 0 };
	struct error err = { 0 };
	struct entry *entry;
	int ret;

	cr_assert_eq(keys_write(&m, &e, &err), 0, "%s", err.text);
	entry = entries_find(&e, key);
	if (entry && value) {
		free(entry->value);
		entry->value = xstrdup(value);
	} else if (entry) {
		entry->key[0] = '\x7f';
	} else {
		entries_add(&e, key, value, 1);
	}
	entries_sort(&e);
	ret = keys_read(&e, unfinished, &back, &err);
	cr_expect_eq(ret, fault ? -1 : 0, "%s %s: %s", key, value, err.text);
	if (!fault)
		return;
	cr_expect(strstr(err.text, fault), "%s %s: `%s` is not in: %s", key, value, fault,
		  err.text);
	cr_expect(strstr(err.text, key) || !value, "no %s in: %s", key, err.text);
	cr_expect_null(back.tenants.v);
}

#define NET    "network"
#define RED    "tenants/red"
#define BLOCK  "blocks/4/64400100"
#define BLOCK6 "blocks/6/fd640000000000000000000000010000"
#define OTHER  "blocks/4/64400200"
#define VM     "{\"tenant\":\"red\",\"fixed\":\"10.0.0.6\"}"

Test(keys, what_is_damaged_is_named)
{
	static const struct {
		const char *key, *value, *fault;
	} rows[] = {
		{ NET, NULL, "no definitions" },
		{ NET, "", "no JSON" },
		{ NET, "[]", "no JSON object" },
		{ NET, "{\"subnets\":[\"100.64.0.0/16\"],\"mtu\":9}", "unknown key `mtu`" },
		{ NET, "{\"subnets\":[]}", "`subnets`" },
		{ NET, "{\"subnets\":[\"100.64.0.1/16\"]}", "100.64.0.1/16" },
		{ RED, "{", "no JSON" },
		{ RED, "{}", "`name`" },
		{ RED, "{\"name\":\"green\"}", "about tenant green" },
		{ RED, "{\"name\":\"red\",\"name\":\"red\"}", "duplicate" },
		{ RED, "{\"name\":\"red\",\"pool\":null}", "null" },
		{ RED, "{\"name\":\"red\",\"pool\":[1.5]}", "fraction" },
		{ RED, "{\"name\":\"red\",\"pool\":[\"10.0.0.0/8\"]}",
		  "not inside a shared subnet" },
		{ RED, "{\"name\":\"red\",\"qos\":{}}", "unknown key `qos`" },
		{ RED, "{\"name\":\"red\",\"mappings\":[{\"fixed\":\"10.0.0.7\"}]}", "`mappings`" },
		{ RED, "{\"name\":\"red\",\"router\":{\"hook\":\"ebpf\"}}", "ebpf" },
		{ RED, "{\"name\":\"red\",\"router\":{\"netns\":\"a\\u0007b\"}}", "namespace" },
		{ BLOCK, "{\"100.64.1.9\":1}", "100.64.1.9 has no owner" },
		{ BLOCK, "{\"100.64.1.9\":{}}", "100.64.1.9 has no valid tenant" },
		{ BLOCK, "{\"100.64.1.9\":{\"tenant\":7}}", "no valid tenant" },
		{ BLOCK, "{\"100.64.1.9\":{\"tenant\":\"red\"}}", "no valid fixed address" },
		{ BLOCK, "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"fd00::5\"}}", "fixed" },
		{ BLOCK, "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"127.0.0.1\"}}", "fixed" },
		{ BLOCK, "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"100.64.9.9\"}}",
		  "in a shared subnet" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"zone\":\"a\"}}",
		  "`zone`, which this version of tenantnat does not know; update" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"mac\":\"a\"}}",
		  "no valid MAC address" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\","
		  "\"mac\":\"01:00:5e:00:00:05\"}}",
		  "no valid MAC address" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"name\":\"-\"}}",
		  "no valid name" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"pinned\":1}}",
		  "not true" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"limit\":{}}}",
		  "a limit that it cannot have" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\","
		  "\"limit\":{\"rate\":-1}}}",
		  "a limit that it cannot have" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\","
		  "\"limit\":{\"flows\":1}}}",
		  "`flows`" },
		{ BLOCK, "{\"100.64.1.9\":{\"tenant\":\"green\",\"fixed\":\"10.0.0.5\"}}",
		  "belongs to tenant green, which is not there" },
		{ BLOCK, "{\"100.64.2.9\":" VM "}", "100.64.2.9 is in another block" },
		{ BLOCK, "{\"100.64.01.9\":" VM "}", "no address" },
		{ BLOCK6, "{\"fd64::1:0005\":" VM "}", "no address as tenantnat writes it" },
		{ BLOCK, "{\"100.64.1.9\":" VM ",\"100.64.1.9\":" VM "}", "duplicate" },
		{ OTHER, "{\"100.64.2.9\":" VM "}", "outside the pool of tenant red" },
		{ OTHER, "{\"100.64.2.9\":{\"router\":true,\"tenant\":\"red\"}}",
		  "which has none" },
		{ OTHER, "{\"100.64.2.9\":{\"router\":true,\"tenant\":\"blue\"}}",
		  "not the address that the router of tenant blue has by its definition" },
		{ OTHER,
		  "{\"100.64.2.9\":{\"fixed\":\"10.0.0.5\",\"router\":true,\"tenant\":\"blue\"}}",
		  "`fixed`" },
		{ "blocks/4/64400000", NULL, "100.64.0.3 is the address of the router" },
		{ "blocks/4/64400000",
		  "{\"100.64.0.3\":{\"tenant\":\"blue\",\"fixed\":\"10.0.0.6\"}}",
		  "100.64.0.3 is the address of the router of tenant blue, and has no owner or "
		  "another" },
		{ "blocks/4/0a000000", "{\"10.0.0.9\":{\"tenant\":\"red\",\"fixed\":\"10.1.0.6\"}}",
		  "in no shared subnet" },
		{ "blocks/4/644001", "{}", "no block's" },
		{ BLOCK, "{\"100.64.1.9\":" VM ",\"100.64.1.10\":" VM "}",
		  "tenant red has 10.0.0.6 at 100.64.1.9 and at 100.64.1.10" },
		{ BLOCK,
		  "{\"100.64.1.9\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.6\",\"name\":\"db\"},"
		  "\"100.64.1.10\":{\"tenant\":\"red\",\"fixed\":\"10.0.0.7\",\"name\":\"db\"}}",
		  "tenant red has db at 100.64.1." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_fault(rows[i].key, rows[i].value, false, rows[i].fault);
}

/* Not the whole: rules may name whom one does not know. */
Test(keys, rules_name_others)
{
	expect_fault(
		RED,
		"{\"name\":\"red\",\"accept\":[{\"from\":[\"green\",\"blue/x\"],\"to\":[\"y\"]}]}",
		false, NULL);
}

Test(keys, a_change_that_was_cut_short_can_be_read)
{
	expect_fault(BLOCK, "{\"100.64.1.9\":" VM ",\"100.64.1.10\":" VM "}", true, NULL);
	expect_fault(BLOCK, "{\"100.64.1.9\":{\"tenant\":\"green\",\"fixed\":\"10.0.0.5\"}}", true,
		     NULL);
	expect_fault(OTHER, "{\"100.64.2.9\":" VM "}", true, NULL);
	expect_fault("blocks/4/64400000", NULL, true, NULL);
	expect_fault(BLOCK, "{\"100.64.1.9\":1}", true, "has no owner");
}

/* ------------------------------------------------------------ how much it takes */

static double seconds(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)(now.tv_sec - from->tv_sec) + 1e-9 * (double)(now.tv_nsec - from->tv_nsec);
}

static long rss_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss >> 10;
}

/* MAPPINGS=1000000 build/unit-tests --filter keys/large --verbose=1 says what a large cluster
 * takes. */
Test(keys, large)
{
	const char *asked = getenv("MAPPINGS");
	uint32_t n = asked ? (uint32_t)atoi(asked) : 20000, each = n / 100;
	_cleanup_model_ struct model m = { 0 }, back = { 0 };
	_cleanup_entries_ struct entries e;
	struct error err = { 0 };
	struct timespec at;
	char name[32];

	add_prefix(&m.subnets, "100.64.0.0/10");
	for (uint32_t i = 0; i < n; i++) {
		struct tn_addr fixed = addr_of("10.0.0.0"), shared = addr_of("100.64.0.0");
		struct mapping *added;

		if (i % each == 0) {
			snprintf(name, sizeof(name), "tenant-%04u", i / each);
			vec_push(&m.tenants)->name = xstrdup(name);
		}
		added = vec_push(&m.tenants.v[m.tenants.n - 1].mappings);
		added->fixed = addr_add(&fixed, i % each + 1);
		added->shared = addr_add(&shared, i + 1);
	}
	printf("%ld MiB: the model\n", rss_mib());
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	cr_assert_eq(keys_write(&m, &e, &err), 0, "%s", err.text);
	printf("%ld MiB: %zu keys written in %.1f s of a CPU\n", rss_mib(), e.list.n, seconds(&at));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	cr_assert_eq(keys_read(&e, false, &back, &err), 0, "%s", err.text);
	printf("%ld MiB: read in %.1f s of a CPU\n", rss_mib(), seconds(&at));
	cr_expect_eq(back.tenants.v[99].mappings.n, m.tenants.v[99].mappings.n);
}

/* Blocks are of 256 single addresses. */
Test(keys, no_prefixes)
{
	_cleanup_model_ struct model m = model_of(
		"net 100.64.0.0/16; tenant red id=1; map 10.0.0.0/24 lease=100.64.1.0/24;");
	_cleanup_entries_ struct entries e = { 0 };
	struct error err = { 0 };

	cr_expect_eq(keys_write(&m, &e, &err), -1);
	cr_expect(err.usage);
	cr_expect_str_eq(err.text,
			 "tenant red: 10.0.0.0/24 is a prefix, and a cluster has mappings of "
			 "single addresses alone; give its VMs mappings of their own, or leave "
			 "the cluster");
}
