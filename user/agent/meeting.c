// SPDX-License-Identifier: GPL-2.0-only
#include "agent/meeting.h"

#include <limits.h>

#include "cluster/reach.h"
#include "lib/log.h"
#include "model/model.h"

_Static_assert(REACH_KEY == PEERS_KEY, "one key");

static void forget_wanted(struct meeting *m)
{
	vec_each (name, &m->wanted)
		free(*name);
	vec_free(&m->wanted);
}

void meeting_free(struct meeting *m)
{
	peers_free(&m->all);
	peers_free(&m->known);
	forget_wanted(m);
}

/* ---------------------------------------------------------------- what etcd has */

static struct peer *find(struct meeting *m, const char *name)
{
	vec_each (peer, &m->all.list) {
		if (strcmp(peer->name, name) == 0)
			return peer;
	}
	return NULL;
}

/* `at` NULL: it cannot be reached; else it is the meeting's from then on. */
static void set(struct meeting *m, const char *name, char *at)
{
	struct peer *peer = find(m, name);

	if (peer) {
		free(peer->at);
		peer->at = at;
		if (at)
			return;
		free(peer->name);
		*peer = m->all.list.v[--m->all.list.n];
	} else if (at) {
		*vec_push(&m->all.list) = (struct peer){ xstrdup(name), at };
	}
}

/* The name of the host whose key that is; NULL: it is no host's. */
static const char *host_of(const struct membership *in, const char *key)
{
	_cleanup_free_ char *hosts = membership_key(in, "hosts/", "");
	size_t n = strlen(hosts);

	return strncmp(key, hosts, n) == 0 && host_name_valid(key + n) ? key + n : NULL;
}

static int read_hosts(struct meeting *m, struct etcd *e, const struct membership *in,
		      struct error *err)
{
	_cleanup_free_ char *from = membership_key(in, "hosts/", ""), *end = etcd_prefix_end(from);
	struct etcd_query query = { .key = from, .end = end };
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

	if (etcd_range(e, &query, &kvs, err))
		return -1;
	vec_each (kv, &kvs.list) {
		const char *name = host_of(in, kv->key);

		if (name && strcmp(name, in->host) != 0)
			set(m, name, reach_there(kv->value));
	}
	return 0;
}

int meeting_read(struct meeting *m, struct etcd *e, const struct membership *in, struct error *err)
{
	const char *why;
	int64_t mod;

	peers_free(&m->all);
	m->is_read = false;
	/* one that was taken out of the cluster changes nothing there */
	if (membership_check_host(e, in, 0, &mod, err))
		return -1;
	m->all.cluster = xstrdup(in->id);
	m->all.host = xstrdup(in->host);
	if (reach_key(e, in, m->all.key, err) || read_hosts(m, e, in, err))
		return -1;
	m->all.listen = reach_here(in, e, &why);
	if (why && !m->said)
		log_warning("cluster: %s: it takes no flows of them; `tenantnat cluster join` with "
			    "--flows-address says it",
			    why);
	m->said = why;
	if (reach_tell(e, in, m->all.listen, err))
		return -1;
	m->is_read = true;
	return 0;
}

bool meeting_hear(struct meeting *m, const struct membership *in, const struct etcd_event *event)
{
	_cleanup_free_ char *secret = membership_key(in, "secret", "");
	const char *name = host_of(in, event->kv.key);

	if (name && strcmp(name, in->host) != 0)
		set(m, name, event->deleted ? NULL : reach_there(event->kv.value));
	return m->is_read && strcmp(event->kv.key, secret) == 0 &&
	       (event->deleted || !reach_is_key(event->kv.value, m->all.key));
}

/* ---------------------------------------------------------------- what is written */

void meeting_want(struct meeting *m, const struct model *model)
{
	forget_wanted(m);
	vec_each (t, &model->tenants) {
		if (!t->router || t->router->hosts.n < 2)
			continue;
		vec_each (host, &t->router->hosts)
			*vec_push(&m->wanted) = xstrdup(*host);
	}
}

static bool is_wanted(const struct meeting *m, const char *name)
{
	vec_each (one, &m->wanted) {
		if (strcmp(*one, name) == 0)
			return true;
	}
	return false;
}

/* The caller's to free. */
static char *text_of(const struct meeting *m)
{
	struct peers wanted = m->all;
	char *text;

	memset(&wanted.list, 0, sizeof(wanted.list));
	vec_each (peer, &m->all.list) {
		if (is_wanted(m, peer->name))
			*vec_push(&wanted.list) = *peer;
	}
	text = peers_text(&wanted);
	vec_free(&wanted.list);
	return text;
}

static void drop(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

int meeting_write(struct meeting *m, const char *state, struct error *err)
{
	char *now, *before, path[PATH_MAX];
	bool same;
	int ret = 0;

	if (!m->is_read)
		return 0;
	now = text_of(m);
	before = m->known.host ? peers_text(&m->known) : NULL;
	peers_path(state, path, sizeof(path));
	same = before && strcmp(now, before) == 0 && access(path, F_OK) == 0;
	drop(before);
	if (!same) {
		peers_free(&m->known);
		ret = peers_parse(now, &m->known);
		if (ret)
			error_set(err, "the hosts of the cluster make no sense");
		else
			ret = peers_write(state, &m->known, err);
		if (ret)
			peers_free(&m->known);
	}
	drop(now);
	return ret;
}
