/* SPDX-License-Identifier: GPL-2.0-only */
/* Answers are those of etcd 3.4.23, as its gateway wrote them. */
#include <criterion/criterion.h>

#include "cluster/etcd_internal.h"

#define HEADER                                                                            \
	"\"header\":{\"cluster_id\":\"14841639068965178418\",\"member_id\":\"10276657743" \
	"932975437\",\"revision\":\"4\",\"raft_term\":\"2\"}"

static json_t *json(const char *text)
{
	json_t *out = json_loads(text, 0, NULL);

	cr_assert(out, "%s", text);
	return out;
}

/* RFC 4648, section 10, and bytes that are no text */
Test(etcd_message, base64)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xfe", "+//+" },
	};
	char bytes[256];
	json_t *all;
	char *back;
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *text = etcd_base64(cases[i].plain, strlen(cases[i].plain));

		cr_expect_str_eq(json_string_value(text), cases[i].coded);
		back = etcd_from_base64(cases[i].coded, &size);
		cr_expect_str_eq(back, cases[i].plain);
		cr_expect_eq(size, strlen(cases[i].plain));
		free(back);
		json_decref(text);
	}
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	all = etcd_base64(bytes, sizeof(bytes));
	back = etcd_from_base64(json_string_value(all), &size);
	cr_expect_eq(size, sizeof(bytes));
	cr_expect_arr_eq(back, bytes, sizeof(bytes));
	free(back);
	json_decref(all);
}

Test(etcd_message, what_is_no_base64)
{
	static const char *const texts[] = { "Z",    "Zg=",	 "Zg",	 "Zm9v\n", "Zm 9",
					     "!m9v", "Zg==Zg==", "=Zm9", "Z===",   "Zm9v=" };
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect_null(etcd_from_base64(texts[i], &size), "%s", texts[i]);
}

Test(etcd_message, a_prefix_ends_behind_its_last_key)
{
	static const char *const cases[][2] = { { "/tenantnat/", "/tenantnat0" },
						{ "a", "b" },
						{ "a\xff", "b" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *end = etcd_prefix_end(cases[i][0]);

		cr_expect_str_eq(end, cases[i][1]);
		free(end);
	}
}

Test(etcd_message, a_range)
{
	json_t *answer = json("{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":\"2\","
			      "\"mod_revision\":\"3\",\"version\":\"2\",\"value\":\"aGVsbG8=\"},"
			      "{\"key\":\"Yg==\",\"create_revision\":\"4\",\"mod_revision\":\"4\","
			      "\"version\":\"1\",\"lease\":\"7668682572935460879\"}],"
			      "\"more\":true,\"count\":\"3\"}");
	struct etcd_kvs kvs = { 0 };
	bool more = false;

	cr_assert_eq(etcd_read_range(answer, &kvs, &more), 0);
	cr_expect(more);
	cr_expect_eq(kvs.header.cluster_id, 14841639068965178418u);
	cr_expect_eq(kvs.header.revision, 4);
	cr_assert_eq(kvs.list.n, 2);
	cr_expect_str_eq(kvs.list.v[0].key, "a");
	cr_expect_str_eq(kvs.list.v[0].value, "hello");
	cr_expect_eq(kvs.list.v[0].size, 5);
	cr_expect_eq(kvs.list.v[0].create_revision, 2);
	cr_expect_eq(kvs.list.v[0].mod_revision, 3);
	cr_expect_eq(kvs.list.v[0].version, 2);
	cr_expect_eq(kvs.list.v[0].lease, 0);
	cr_expect_eq(kvs.list.v[1].lease, 7668682572935460879);
	cr_expect_str_eq(kvs.list.v[1].value, "", "an empty value is left out");
	cr_expect_eq(etcd_kvs_find(&kvs, "b"), &kvs.list.v[1]);
	cr_expect_null(etcd_kvs_find(&kvs, "aa"));
	etcd_kvs_free(&kvs);
	json_decref(answer);

	answer = json("{" HEADER "}");
	cr_expect_eq(etcd_read_range(answer, &kvs, &more), 0);
	cr_expect(!more);
	cr_expect_eq(kvs.list.n, 0);
	json_decref(answer);
}

Test(etcd_message, what_is_no_range)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"header\":{}}",
		"{\"header\":{\"cluster_id\":\"x\"}}",
		"{\"header\":{\"cluster_id\":\"-1\"}}",
		"{\"header\":{\"cluster_id\":\"99999999999999999999999\"}}",
		"{" HEADER ",\"kvs\":5}",
		"{" HEADER ",\"kvs\":[5]}",
		"{" HEADER ",\"kvs\":[{}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"!\"}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"YQBi\"}]}", /* a NUL */
		"{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"value\":5}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"1x\"}]}",
		"{" HEADER ",\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"\"}]}",
		"{" HEADER ",\"more\":\"yes\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *answer = json(texts[i]);
		struct etcd_kvs kvs = { 0 };
		bool more;

		cr_expect_eq(etcd_read_range(answer, &kvs, &more), -1, "%s", texts[i]);
		etcd_kvs_free(&kvs);
		json_decref(answer);
	}
}

Test(etcd_message, requests)
{
	struct etcd_query query = { .key = "a", .end = "b", .keys_only = true };
	json_t *range = etcd_write_range(&query, "a", 2, 256, 7);
	json_t *want = json("{\"key\":\"YQA=\",\"range_end\":\"Yg==\",\"limit\":\"256\","
			    "\"revision\":\"7\",\"keys_only\":true}");
	struct etcd_txn t = { 0 };
	json_t *compares, *does;

	cr_expect(json_equal(range, want), "on behind a key");
	json_decref(range);
	json_decref(want);

	etcd_txn_if_mod(&t, "a", 7);
	etcd_txn_if_absent(&t, "b");
	etcd_txn_if_value(&t, "c", "\0", 1);
	etcd_txn_put(&t, "a", "x", 1, 9);
	etcd_txn_delete(&t, "b", NULL);
	compares = json("[{\"key\":\"YQ==\",\"target\":\"MOD\",\"result\":\"EQUAL\","
			"\"mod_revision\":\"7\"},"
			"{\"key\":\"Yg==\",\"target\":\"CREATE\",\"result\":\"EQUAL\","
			"\"create_revision\":\"0\"},"
			"{\"key\":\"Yw==\",\"target\":\"VALUE\",\"result\":\"EQUAL\","
			"\"value\":\"AA==\"}]");
	does = json("[{\"request_put\":{\"key\":\"YQ==\",\"value\":\"eA==\",\"lease\":\"9\"}},"
		    "{\"request_delete_range\":{\"key\":\"Yg==\"}}]");
	cr_expect(json_equal(t.compare, compares));
	cr_expect(json_equal(t.success, does));
	cr_expect_eq(etcd_txn_ops(&t), 3, "compares, or what it does");
	cr_expect_geq(t.bytes, 7);
	etcd_txn_free(&t);
	json_decref(compares);
	json_decref(does);
}

Test(etcd_message, lines_of_a_watch)
{
	json_t *result =
		json("{" HEADER ",\"events\":[{\"kv\":{\"key\":\"YQ==\",\"create_revision\""
		     ":\"4\",\"mod_revision\":\"4\",\"version\":\"1\",\"value\":\"eA==\"}},"
		     "{\"type\":\"DELETE\",\"kv\":{\"key\":\"Yg==\",\"mod_revision\":"
		     "\"4\"}}],\"fragment\":true}");
	struct etcd_message m = { 0 };

	cr_assert_eq(etcd_read_message(result, &m), 0);
	cr_assert_eq(m.events.list.n, 2);
	cr_expect(!m.events.list.v[0].deleted);
	cr_expect_str_eq(m.events.list.v[0].kv.value, "x");
	cr_expect(m.events.list.v[1].deleted);
	cr_expect_str_eq(m.events.list.v[1].kv.key, "b");
	cr_expect(m.events.more);
	cr_expect(!m.canceled);
	etcd_message_free(&m);
	json_decref(result);

	/* without a revision in its header */
	result = json("{\"header\":{\"cluster_id\":\"2037210783374497686\",\"member_id\":"
		      "\"13195394291058371180\",\"raft_term\":\"2\"},\"canceled\":true,"
		      "\"compact_revision\":\"3\"}");
	cr_assert_eq(etcd_read_message(result, &m), 0);
	cr_expect(m.canceled);
	cr_expect_eq(m.compacted, 3);
	etcd_message_free(&m);
	json_decref(result);

	result = json("{" HEADER ",\"events\":[{\"type\":\"MOVED\",\"kv\":{\"key\":\"YQ==\"}}]}");
	cr_expect_eq(etcd_read_message(result, &m), -1);
	etcd_message_free(&m);
	json_decref(result);
}

Test(etcd_message, status_and_members)
{
	json_t *answer = json("{" HEADER ",\"version\":\"3.4.23\",\"dbSize\":\"20480\",\"leader\":"
			      "\"13195394291058371180\",\"raftIndex\":\"15\",\"raftTerm\":\"2\","
			      "\"errors\":[\"NOSPACE\",\"CORRUPT\"]}");
	struct etcd_members members = { 0 };
	struct etcd_status status = { 0 };

	cr_assert_eq(etcd_read_status(answer, &status), 0);
	cr_expect_str_eq(status.version, "3.4.23");
	cr_expect_eq(status.leader, 13195394291058371180u);
	cr_expect_eq(status.db_size, 20480);
	cr_expect_eq(status.raft_index, 15);
	cr_expect_str_eq(status.alarms, "NOSPACE, CORRUPT");
	etcd_status_free(&status);
	json_decref(answer);

	answer = json("{" HEADER ",\"members\":[{\"ID\":\"13195394291058371180\",\"name\":\"m1\","
		      "\"peerURLs\":[\"http://127.0.0.1:2380\"],\"clientURLs\":"
		      "[\"http://127.0.0.1:2379\"]},{\"ID\":\"5\",\"isLearner\":true}]}");
	cr_assert_eq(etcd_read_members(answer, &members), 0);
	cr_assert_eq(members.list.n, 2);
	cr_expect_eq(members.list.v[0].id, 13195394291058371180u);
	cr_expect_str_eq(members.list.v[0].name, "m1");
	cr_expect_str_eq(members.list.v[0].urls.v[0], "http://127.0.0.1:2379");
	cr_expect_str_eq(members.list.v[1].name, "");
	cr_expect(members.list.v[1].learner);
	etcd_members_free(&members);
	json_decref(answer);
}
