/* SPDX-License-Identifier: GPL-2.0-only */
/* What is remembered of a cluster. */
#include "lib/host_name.h"
#include "store/member.h"
#include "store_fixture.h"

static struct membership whole(void)
{
	return (struct membership){ .urls = "https://a:1,https://b:2",
				    .ca = "/ca",
				    .cert = "/cert",
				    .key = "/key",
				    .user = "me",
				    .password = "s3cret",
				    .prefix = "/tenantnat",
				    .host = "hv1",
				    .id = "an id",
				    .flows = "192.0.2.1:9117",
				    .etcd = UINT64_MAX - 1,
				    .revision = 7,
				    .change = "0006-7" };
}

static void save_it(const struct membership *m)
{
	struct store *s = open_store(STORE_WRITE);
	struct error err = { 0 };

	must(store_save_membership(s, m, &err) == 0, err);
	store_close(s);
}

/* What a reader finds. */
static int read_it(struct membership *out)
{
	struct store *s = open_store(STORE_READ);
	struct error err = { 0 };
	int ret = store_membership(s, out, &err);

	must(ret >= 0, err);
	store_close(s);
	return ret;
}

Test(store, a_membership_is_remembered)
{
	struct membership m = whole(), got;

	cr_expect_eq(read_it(&got), 0, "without a state");
	put(&empty);
	cr_expect_eq(read_it(&got), 0, "of none");
	save_it(&m);
	cr_assert_eq(read_it(&got), 1);
	cr_expect_str_eq(got.urls, m.urls);
	cr_expect_str_eq(got.ca, m.ca);
	cr_expect_str_eq(got.cert, m.cert);
	cr_expect_str_eq(got.key, m.key);
	cr_expect_str_eq(got.user, m.user);
	cr_expect_str_eq(got.password, m.password);
	cr_expect_str_eq(got.prefix, m.prefix);
	cr_expect_str_eq(got.host, m.host);
	cr_expect_str_eq(got.id, m.id);
	cr_expect_str_eq(got.flows, m.flows);
	cr_expect_eq(got.etcd, m.etcd);
	cr_expect_eq(got.revision, 7);
	cr_expect_str_eq(got.change, "0006-7");
	membership_free(&got);

	m = (struct membership){
		.urls = "http://c:3", .prefix = "/p", .host = "hv1", .id = "another"
	};
	save_it(&m);
	cr_assert_eq(read_it(&got), 1);
	cr_expect_str_eq(got.id, "another", "instead of the one before");
	cr_expect_null(got.ca);
	cr_expect_null(got.password);
	cr_expect_null(got.flows);
	membership_free(&got);
	save_it(NULL);
	cr_expect_eq(read_it(&got), 0, "forgotten");
}

Test(store, a_revision_never_goes_back)
{
	struct membership m = whole(), got;
	struct error err = { 0 };
	struct store *s;

	save_it(&m);
	s = open_store(STORE_WRITE);
	must(store_see_revision(s, 9, "0006-9", &err) == 0, err);
	must(store_see_revision(s, 8, "0006-8", &err) == 0, err);
	store_close(s);
	cr_assert_eq(read_it(&got), 1);
	cr_expect_eq(got.revision, 9);
	cr_expect_str_eq(got.change, "0006-9", "with its change");
	membership_free(&got);
	s = open_store(STORE_WRITE);
	must(store_see_revision(s, 9, NULL, &err) == 0, err);
	store_close(s);
	cr_assert_eq(read_it(&got), 1);
	cr_expect_null(got.change);
	membership_free(&got);
}

/* Of the change that it belongs to, or not at all. */
Test(store, a_revision_is_committed_with_its_change)
{
	_cleanup_model_ struct model want = { 0 };
	struct membership m = whole(), got;
	struct error err = { 0 };
	struct store *s;

	save_it(&m);
	rich(&want);
	s = open_store(STORE_WRITE);
	save(s, &empty, &want);
	must(store_see_revision(s, 9, "0006-9", &err) == 0, err);
	store_close(s);
	cr_assert_eq(read_it(&got), 1);
	cr_expect_eq(got.revision, 7);
	membership_free(&got);
}

Test(store, a_member_is_called_as_in_its_cluster)
{
	struct membership m = whole();

	m.host = "as-nobody-else";
	save_it(&m);
	host_name_set(NULL);
	store_close(open_store(STORE_READ));
	cr_expect_str_eq(host_name(), "as-nobody-else");
}

/* What was before names the host as it was called then. */
Test(store, nobody_goes_back_to_another_name)
{
	struct history_change c = { .at = 1, .user = xstrdup("root"), .command = xstrdup("apply") };
	_cleanup_model_ struct model all = { 0 };
	struct membership m = whole();
	struct error err = { 0 };
	struct model before = { 0 };
	struct store *s;
	uint64_t id = 0;

	rich(&all);
	s = open_store(STORE_WRITE);
	save(s, &empty, &all);
	must(store_note(s, &c, &empty, &all, &err) == 0, err);
	must(store_commit(s, &err) == 0, err);
	m.host = (char *)host_name();
	must(store_save_membership(s, &m, &err) == 0, err);
	must(store_go_back(s, &id, &before, &err) == 0, err);
	model_free(&before);
	m.host = "another";
	must(store_save_membership(s, &m, &err) == 0, err);
	id = 0;
	cr_assert_eq(store_go_back(s, &id, &before, &err), -1);
	cr_expect(strstr(err.text, "is not kept"), "%s", err.text);
	model_free(&before);
	store_close(s);
	history_change_clear(&c);
}

Test(store, a_membership_that_makes_no_sense)
{
	static const char *const rows[] = {
		"UPDATE cluster SET prefix = '/'",
		"UPDATE cluster SET prefix = '/a/'",
		"UPDATE cluster SET host = '../x'",
		"UPDATE cluster SET host = 'a' || char(0) || 'b'",
		"UPDATE cluster SET cert = NULL",
		"UPDATE cluster SET password = NULL",
	};
	struct membership m = whole();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		save_it(&m);
		sql(rows[i]);
		assert_refused(STORE_READ, "damaged", "cluster", NULL);
		assert_refused(STORE_WRITE, "damaged", "cluster", NULL);
		remove_state();
	}
}
