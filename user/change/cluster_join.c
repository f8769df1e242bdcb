/* SPDX-License-Identifier: GPL-2.0-only */
/* A host that joins brings in what it has. */
#include "change/cluster_change.h"

#ifndef TN_WITHOUT_CLUSTER

#include "cluster/merge.h"

#define COLLISIONS_SAID 4

static int refuse_collisions(const struct collisions *c, struct error *err)
{
	size_t n = 0;

	error_usage(err, "%s", c->list.v[0]);
	while (++n < c->list.n && n < COLLISIONS_SAID)
		snprintf(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text),
			 "; %s", c->list.v[n]);
	if (c->list.n > n)
		snprintf(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text),
			 "; and %zu more", c->list.n - n);
	return error_prefix(err, "what this host has does not go with what the cluster has, and "
				 "nothing was changed");
}

/* The whole with what this host has; -1 also when it is not valid together. */
static int merge_local(struct session *s, struct store *store, struct entries *will,
		       struct error *err)
{
	_cleanup_model_ struct model into = { 0 }, local = { 0 }, again = { 0 };
	_cleanup_collisions_ struct collisions c = { 0 };

	if (store_load(store, &local, err) || session_read_all(s, err) ||
	    session_check_open(s, false, err) ||
	    (entries_find(&s->had, KEY_NETWORK) && keys_read(&s->had, false, &into, err)))
		return -1;
	merge_in(&into, &local, s->m.host, &c);
	if (c.list.n)
		return refuse_collisions(&c, err);
	return keys_write(&into, will, err) || keys_read(will, false, &again, err) ? -1 : 0;
}

int cluster_bring_in(void *arg, struct store *store, const struct membership *m, struct error *err)
{
	const struct settings *settings = arg;
	const struct plan_text text = { .added = 1 };
	_cleanup_session_ struct session s;

	if (session_open_as(m, &s, err))
		return -1;
	for (int i = 0; i < CLUSTER_TRIES; i++) {
		_cleanup_entries_ struct entries will = { 0 };
		int ret;

		*err = (struct error){ 0 };
		if (merge_local(&s, store, &will, err))
			return -1;
		ret = cluster_commit(&s, settings, &will, true, &text, err);
		if (ret <= 0)
			return ret;
		cluster_wait_a_little(i);
	}
	return -1;
}

#endif
