/* SPDX-License-Identifier: GPL-2.0-only */
#include "store/member.h"

#include "lib/host_name.h"
#include "store/store_internal.h"

void membership_free(struct membership *m)
{
	free(m->urls);
	free(m->ca);
	free(m->cert);
	free(m->key);
	free(m->user);
	if (m->password)
		explicit_bzero(m->password, strlen(m->password));
	free(m->password);
	free(m->prefix);
	free(m->host);
	free(m->id);
	free(m->flows);
	free(m->change);
	memset(m, 0, sizeof(*m));
}

/* Whatever wrote the row, it is what a join would have written. */
static bool is_sound(const struct membership *m)
{
	size_t n = m->prefix ? strlen(m->prefix) : 0;

	return m->urls && m->host && host_name_valid(m->host) && m->id && n > 1 &&
	       m->prefix[0] == '/' && m->prefix[n - 1] != '/' && !m->cert == !m->key &&
	       !m->user == !m->password && m->revision >= 0;
}

int store_membership(struct store *s, struct membership *out, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = NULL;
	bool bad = false;
	int more;

	memset(out, 0, sizeof(*out));
	if (!s->db)
		return 0;
	stmt = query_begin(s, SHOW_CLUSTER, err, "");
	if (!stmt || (more = query_next(s, stmt, err)) < 0)
		return -1;
	if (!more)
		return 0;
	out->urls = column_text(stmt, 0, &bad);
	out->ca = column_text(stmt, 1, &bad);
	out->cert = column_text(stmt, 2, &bad);
	out->key = column_text(stmt, 3, &bad);
	out->user = column_text(stmt, 4, &bad);
	out->password = column_text(stmt, 5, &bad);
	out->prefix = column_text(stmt, 6, &bad);
	out->host = column_text(stmt, 7, &bad);
	out->id = column_text(stmt, 8, &bad);
	out->etcd = (uint64_t)sqlite3_column_int64(stmt, 9);
	out->revision = sqlite3_column_int64(stmt, 10);
	out->flows = column_text(stmt, 11, &bad);
	out->change = column_text(stmt, 12, &bad);
	if (!bad && is_sound(out))
		return 1;
	membership_free(out);
	return damaged(s, err, "what is remembered of the cluster makes no sense");
}

int store_member(struct store *s, struct membership *out, struct error *err)
{
	int ret = store_membership(s, out, err);

	if (ret == 0)
		return error_set(err,
				 "this host is in no cluster; `tenantnat cluster join` joins one");
	return ret < 0 ? -1 : 0;
}

/*
 * Definitions that name this host go with what it is called: else its routers would be elsewhere
 * from now on, and be taken off.
 */
static int call_host(struct store *s, const char *name, struct error *err)
{
	_cleanup_reset_ sqlite3_stmt *stmt = NULL;
	const char *before = host_name();

	if (strcmp(before, name) == 0)
		return 0;
	stmt = query_begin(s, CALL_HOST, err, "tt", name, before);
	/* what was in force before names it as it was called then */
	return !stmt || query_next(s, stmt, err) < 0 ? -1 : history_forget_before(s, err);
}

int store_save_membership(struct store *s, const struct membership *m, struct error *err)
{
	int ret = sql_exec(s, "BEGIN IMMEDIATE; DELETE FROM cluster", err);

	if (ret == 0 && m)
		ret = query_run(s, ADD_CLUSTER, 1, err, "tttttttttlltt", m->urls, m->ca, m->cert,
				m->key, m->user, m->password, m->prefix, m->host, m->id, m->etcd,
				(uint64_t)m->revision, m->flows, m->change);
	if (ret == 0)
		ret = call_host(s, m ? m->host : host_name_of_machine(), err);
	if (ret) {
		store_rollback(s);
		return -1;
	}
	return store_commit(s, err);
}

int store_see_revision(struct store *s, int64_t revision, const char *change, struct error *err)
{
	return query_run(s, SEE_CLUSTER, 1, err, "lt", (uint64_t)revision, change);
}

int membership_name_host(struct store *s, struct error *err)
{
	static char name[HOST_NAME_MAX_LEN + 1];
	_cleanup_membership_ struct membership m = { 0 };
	int ret = store_membership(s, &m, err);

	if (ret <= 0)
		return ret;
	snprintf(name, sizeof(name), "%s", m.host);
	host_name_set(name);
	return 0;
}
