// SPDX-License-Identifier: GPL-2.0-only
#include "cluster/overview.h"

#include "cluster/election.h"
#include "cluster/keys.h"
#include "cluster/placement.h"
#include "lib/output.h"
#include "model/model.h"

static void free_texts(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
}

static void host_clear(struct overview_host *h)
{
	free(h->name);
	free(h->version);
	free(h->flows);
	free_texts(h->failed.v, h->failed.n);
	vec_free(&h->failed);
	free_texts(h->found.v, h->found.n);
	vec_free(&h->found);
}

void overview_free(struct overview *o)
{
	vec_each (m, &o->members) {
		free(m->name);
		free(m->url);
		free(m->version);
		free(m->why);
	}
	vec_free(&o->members);
	vec_each (h, &o->hosts)
		host_clear(h);
	vec_free(&o->hosts);
	vec_each (r, &o->elected) {
		free(r->tenant);
		free(r->holder);
	}
	vec_free(&o->elected);
	free_texts(o->problems.v, o->problems.n);
	vec_free(&o->problems);
}

const char *host_state_name(enum host_state s)
{
	static const char *const names[] = { [HOST_CURRENT] = "current",
					     [HOST_BEHIND] = "behind",
					     [HOST_FAILED] = "failed",
					     [HOST_SILENT] = "silent" };

	return names[s];
}

static void add_problem(struct overview *o, const struct error *err)
{
	*vec_push(&o->problems) = xstrdup(err->text);
}

/* ---------------------------------------------------------------- members */

static void read_member(struct etcd *e, const char *name, const char *url, struct overview *o)
{
	struct overview_member *m = vec_push(&o->members);
	_cleanup_etcd_status_ struct etcd_status status = { 0 };
	struct error err = { 0 };

	m->name = xstrdup(name);
	m->url = xstrdup(url);
	if (etcd_status(e, url, &status, &err)) {
		m->why = xstrdup(etcd_why(e));
		return;
	}
	m->version = xstrdup(status.version);
	m->leads = status.leader && status.leader == status.header.member_id;
	if (!status.leader)
		m->why = xstrdup("it knows no leader");
	else if (status.alarms)
		m->why = xstrdup(status.alarms);
}

static void read_members(struct etcd *e, struct overview *o)
{
	_cleanup_etcd_members_ struct etcd_members members = { 0 };
	struct error err = { 0 };
	const char *const *urls;
	size_t n = etcd_urls(e, &urls);

	/* this list asks for a leader, and without one it is not known who else there is */
	if (etcd_members(e, &members, &err)) {
		for (size_t i = 0; i < n; i++)
			read_member(e, "", urls[i], o);
		return;
	}
	vec_each (m, &members.list) {
		if (m->urls.n)
			read_member(e, m->name, m->urls.v[0], o);
	}
}

/* ---------------------------------------------------------------- hosts */

int overview_read_host(const char *value, struct overview_host *out)
{
	_cleanup_json_ json_t *json = json_loads(value, 0, NULL);
	const char *version = json_string_value(json_object_get(json, "version"));
	const char *flows = json_string_value(json_object_get(json, "flows"));

	out->joined = json_integer_value(json_object_get(json, "joined"));
	if (!version || !out->joined)
		return -1;
	out->version = xstrdup(version);
	out->flows = flows ? xstrdup(flows) : NULL;
	return 0;
}

static bool take_tenant(const json_t *tenant, char **out)
{
	*out = json_is_string(tenant) ? xstrdup(json_string_value(tenant)) : NULL;
	return *out;
}

int overview_read_alive(const char *value, struct overview_host *out)
{
	_cleanup_json_ json_t *json = json_loads(value, 0, NULL);
	const json_t *failed = json_object_get(json, "failed"), *tenant;
	const json_t *found = json_object_get(json, "found");
	size_t i;

	out->revision = json_integer_value(json_object_get(json, "revision"));
	out->at = json_integer_value(json_object_get(json, "at"));
	if (!json_is_object(json) || !out->at)
		return -1;
	json_array_foreach(failed, i, tenant)
	{
		if (!take_tenant(tenant, vec_push(&out->failed)))
			return -1;
	}
	json_array_foreach(found, i, tenant)
	{
		if (!take_tenant(tenant, vec_push(&out->found)))
			return -1;
	}
	out->says_found = json_is_array(found);
	return 0;
}

enum host_state overview_judge(const struct overview_host *h, int64_t changed)
{
	if (!h->at)
		return HOST_SILENT;
	if (h->revision < changed)
		return HOST_BEHIND;
	return h->failed.n ? HOST_FAILED : HOST_CURRENT;
}

static int read_range(struct etcd *e, const struct membership *m, const char *kind,
		      int64_t revision, bool newest, struct etcd_kvs *out, struct error *err)
{
	_cleanup_free_ char *key = membership_key(m, kind, ""), *end = etcd_prefix_end(key);
	struct etcd_query query = {
		.key = key, .end = end, .revision = revision, .keys_only = newest, .newest = newest
	};

	return etcd_range(e, &query, out, err);
}

/* What is below the prefix of keys, and is definitions. */
static const char *const definitions[] = { "network", "tenants/", "blocks/" };

bool membership_is_definition(const struct membership *m, const char *key)
{
	size_t n = strlen(m->prefix) + 1;

	for (size_t i = 0; i < ARRAY_SIZE(definitions); i++) {
		if (strlen(key) > n &&
		    strncmp(key + n, definitions[i], strlen(definitions[i])) == 0)
			return true;
	}
	return false;
}

int membership_changed(struct etcd *e, const struct membership *m, int64_t revision, int64_t *out,
		       char **change, struct error *err)
{
	/* what is removed leaves nothing but its line in the history */
	static const char *const all[] = { KEY_HISTORY, "network", "tenants/", "blocks/" };

	*out = 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

		if (read_range(e, m, all[i], revision, true, &kvs, err))
			return -1;
		if (kvs.list.n && change && !i)
			*change = xstrdup(kvs.list.v[0].key + strlen(m->prefix) + 1 +
					  strlen(KEY_HISTORY));
		if (kvs.list.n && kvs.list.v[0].mod_revision > *out)
			*out = kvs.list.v[0].mod_revision;
	}
	return 0;
}

/* A key that says nonsense is a host that says nothing. */
static void add_host(struct overview *o, const struct etcd_kv *kv, size_t skip,
		     const struct etcd_kvs *alive, const struct membership *m)
{
	struct overview_host *h = vec_push(&o->hosts);
	const char *name = kv->key + skip;
	_cleanup_free_ char *key = membership_key(m, "alive/", name);
	const struct etcd_kv *says = etcd_kvs_find(alive, key);

	h->name = xstrdup(name);
	overview_read_host(kv->value, h);
	if (says && overview_read_alive(says->value, h))
		h->at = 0;
	h->state = overview_judge(h, o->changed);
}

int overview_read_hosts(struct etcd *e, const struct membership *m, int64_t revision,
			struct overview *o, struct error *err)
{
	_cleanup_etcd_kvs_ struct etcd_kvs hosts = { 0 }, alive = { 0 };
	_cleanup_free_ char *prefix = membership_key(m, "hosts/", "");

	o->revision = revision;
	if (membership_changed(e, m, o->revision, &o->changed, NULL, err) ||
	    read_range(e, m, "hosts/", o->revision, false, &hosts, err) ||
	    read_range(e, m, "alive/", o->revision, false, &alive, err))
		return -1;
	vec_each (kv, &hosts.list)
		add_host(o, kv, strlen(prefix), &alive, m);
	return 0;
}

static int read_tenants(struct etcd *e, const struct membership *m, int64_t revision,
			struct reader *out, struct error *err)
{
	_cleanup_etcd_kvs_ struct etcd_kvs network = { 0 }, tenants = { 0 };
	size_t skip = strlen(m->prefix) + 1;

	if (read_range(e, m, KEY_NETWORK, revision, false, &network, err) ||
	    read_range(e, m, KEY_TENANTS, revision, false, &tenants, err))
		return -1;
	if (!network.list.n)
		return 0;
	if (reader_network(out, network.list.v[0].value, err))
		return -1;
	vec_each (kv, &tenants.list) {
		if (reader_tenant(out, kv->key + skip, kv->value, err))
			return -1;
	}
	return 0;
}

int overview_read_tenants(struct etcd *e, const struct membership *m, int64_t revision,
			  struct model *out, struct error *err)
{
	_cleanup_reader_ struct reader r = { 0 };

	memset(out, 0, sizeof(*out));
	if (read_tenants(e, m, revision, &r, err))
		return -1;
	*out = r.m;
	r.m = (struct model){ 0 };
	return 0;
}

static void judge_routers(struct etcd *e, const struct membership *m, struct overview *o)
{
	_cleanup_placement_ struct placement found = { 0 };
	_cleanup_model_ struct model all = { 0 };
	struct error err = { 0 };

	if (overview_read_tenants(e, m, o->revision, &all, &err)) {
		add_problem(o, &err);
		return;
	}
	placement_of_hosts(&all, o, &found);
	placement_of_namespaces(&all, o, &found);
	vec_each (text, &found.list)
		*vec_push(&o->problems) = xstrdup(*text);
}

static int read_hosts(struct etcd *e, const struct membership *m, struct overview *o,
		      struct error *err)
{
	_cleanup_etcd_kvs_ struct etcd_kvs cluster = { 0 };
	_cleanup_free_ char *key = membership_key(m, "cluster", "");
	struct etcd_query query = { .key = key };
	bool forgotten;
	int64_t mod;

	if (etcd_range(e, &query, &cluster, err) ||
	    membership_check(m, etcd_kvs_find(&cluster, key), &cluster.header, err) ||
	    membership_check_past(e, m, cluster.header.revision, &forgotten, err))
		return -1;
	if (overview_read_hosts(e, m, cluster.header.revision, o, err))
		return -1;
	judge_routers(e, m, o);
	return membership_check_host(e, m, o->revision, &mod, err);
}

/* ---------------------------------------------------------------- elections */

bool overview_is_elected(const char *tenant)
{
	_cleanup_json_ json_t *json = json_loads(tenant, 0, NULL);
	const json_t *router = json_object_get(json, "router");
	const char *active = json_string_value(json_object_get(router, "active"));

	return active && strcmp(active, active_name(ACTIVE_ELECTED)) == 0;
}

int overview_read_active(const char *value, struct overview_router *out)
{
	_cleanup_json_ json_t *json = json_loads(value, 0, NULL);
	const char *host = json_string_value(json_object_get(json, "host"));

	if (!host)
		return -1;
	out->holder = xstrdup(host);
	out->since = json_integer_value(json_object_get(json, "since"));
	return 0;
}

struct electing {
	struct overview *o;
	const struct membership *m;
	const struct etcd_kvs *active;
	size_t skip; /* of a key, what comes before the tenant */
};

static int take_elected(void *arg, struct etcd_kv *kv, struct error *err)
{
	const struct electing *e = arg;
	const char *tenant = kv->key + e->skip;
	_cleanup_free_ char *key = membership_key(e->m, KEY_ACTIVE, tenant);
	const struct etcd_kv *says = etcd_kvs_find(e->active, key);
	struct overview_router *r;

	(void)err;
	if (!overview_is_elected(kv->value))
		return 0;
	r = vec_push(&e->o->elected);
	r->tenant = xstrdup(tenant);
	if (says && overview_read_active(says->value, r))
		r->holder = xstrdup("(unknown)");
	return 0;
}

static int read_elected(struct etcd *e, const struct membership *m, struct overview *o,
			struct error *err)
{
	_cleanup_free_ char *key = membership_key(m, "tenants/", ""), *end = etcd_prefix_end(key);
	struct etcd_query query = { .key = key, .end = end, .revision = o->revision };
	_cleanup_etcd_kvs_ struct etcd_kvs active = { 0 };
	struct electing electing = { o, m, &active, strlen(key) };

	return read_range(e, m, KEY_ACTIVE, o->revision, false, &active, err) ||
			       etcd_range_each(e, &query, take_elected, &electing, NULL, err)
		       ? -1
		       : 0;
}

int overview_read(const struct membership *m, struct overview *out, struct error *err)
{
	_cleanup_etcd_ struct etcd *e = NULL;
	struct error why = { 0 };

	memset(out, 0, sizeof(*out));
	if (membership_open(m, &e, err))
		return -1;
	read_members(e, out);
	if (read_hosts(e, m, out, &why) || read_elected(e, m, out, &why))
		add_problem(out, &why);
	return 0;
}

bool overview_is_well(const struct overview *o)
{
	vec_each (m, &o->members) {
		if (m->why)
			return false;
	}
	vec_each (h, &o->hosts) {
		if (h->state != HOST_CURRENT)
			return false;
	}
	vec_each (r, &o->elected) {
		if (!r->holder)
			return false;
	}
	return !o->problems.n;
}
