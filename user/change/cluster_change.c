/* SPDX-License-Identifier: GPL-2.0-only */
#include "change/cluster_change.h"

#ifndef TN_WITHOUT_CLUSTER

#include <sys/random.h>
#include <sys/stat.h>

#include "change/cluster_wait.h"
#include "cluster/edit.h"
#include "cluster/merge.h"
#include "cluster/placement.h"
#include "host/netns.h"
#include "lib/host_name.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "model/ipam.h"

static int open_session(const struct settings *settings, struct session *out, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	return store_open(settings->state, STORE_READ, 0, settings->command, &store, err)
		       ? -1
		       : session_open(store, out, err);
}

int cluster_session(const struct settings *settings, struct session *out, struct error *err)
{
	int ret;

	memset(out, 0, sizeof(*out));
	interrupt_block(true);
	ret = open_session(settings, out, err);
	interrupt_block(false);
	return ret;
}

/* ------------------------------------------------------------ the whole */

/* What is in force here. */
static int load_had(const struct settings *settings, struct model *out, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	return store_open(settings->state, STORE_READ, 0, settings->command, &store, err) ||
			       store_load(store, out, err)
		       ? -1
		       : 0;
}

static const struct addr_list nothing_reserved;

/* Numbers of a moment, for what compares models by them. */
static int number(struct model *m, struct error *err)
{
	static const struct model none;

	model_locate(m, host_name());
	return ipam_assign(m, &none, &nothing_reserved, err);
}

int cluster_had(struct session *s, struct model *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (session_read_all(s, err) || session_check_open(s, true, err))
		return -1;
	if (!entries_find(&s->had, KEY_NETWORK))
		return 0;
	if (s->head.host)
		log_warning(
			"the last change of the cluster, by %s on %s, was cut short: this one goes "
			"over it",
			s->head.user, s->head.host);
	return keys_read(&s->had, s->head.host, out, err) || number(out, err) ? -1 : 0;
}

/* In a cluster it has to be clear which host a router is on. */
static int check_hosts(const struct model *will, struct error *err)
{
	vec_each (t, &will->tenants) {
		const struct router *r = tenant_router(t);

		if (r && !r->hosts.n && !r->netns)
			return error_usage(err,
					   "tenant %s: in a cluster its router needs `host` or "
					   "`netns`, or nobody knows which host has it",
					   t->name);
	}
	return 0;
}

int cluster_complete(const struct settings *settings, const struct session *s, struct model *will,
		     const struct model *had, struct error *err)
{
	_cleanup_model_ struct model local = { 0 };
	bool is_first = !entries_find(&s->had, KEY_NETWORK);

	if (check_hosts(will, err) || (is_first && load_had(settings, &local, err)))
		return -1;
	had = is_first ? &local : had;
	model_locate(will, host_name());
	edit_keep_own(will, had);
	return ipam_assign(will, had, &nothing_reserved, err);
}

void cluster_describe(const struct model *had, const struct model *will, struct plan_text *out)
{
	_cleanup_kernel_state_ struct kernel_state was = { 0 }, is = { 0 };
	const struct kernel_state nothing = { 0 };
	const struct facts none = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };

	kernel_state_wanted(had, &none, &nothing, NULL, &was);
	kernel_state_wanted(will, &none, &nothing, NULL, &is);
	plan_make(&is, &was, &plan);
	plan_describe(&plan, &is, &was, had, will, out);
}

int cluster_commit(struct session *s, const struct settings *settings, const struct entries *will,
		   bool whole, const struct plan_text *text, struct error *err)
{
	_cleanup_free_ char *user = change_user();
	struct session_change how = {
		.user = user,
		.command = settings->line,
		.whole = whole,
		.added = text->added,
		.changed = text->changed,
		.removed = text->removed,
	};
	VEC(struct history_line) lines = { 0 };
	int ret;

	vec_each (line, &text->lines)
		*vec_push(&lines) = (struct history_line){ line->sign, line->text };
	how.lines = lines.v;
	how.nlines = lines.n;
	ret = session_commit(s, will, &how, err);
	vec_free(&lines);
	return ret < 0 ? error_prefix(err, "the cluster cannot be changed now") : ret;
}

/* ------------------------------------------------------------ this host */

bool cluster_has_netns(const struct router *r)
{
	char path[PATH_MAX];
	struct stat st;

	if (!r->netns)
		return false;
	netns_path(r->netns, path);
	return stat(path, &st) == 0;
}

/* Without hosts, the host that has the namespace. */
static bool is_here(void *arg, const struct tenant *t)
{
	const struct session *s = arg;
	const struct router *r = tenant_router(t);

	vec_each (host, &r->hosts) {
		if (strcmp(*host, s->m.host) == 0)
			return true;
	}
	return !r->hosts.n && cluster_has_netns(r);
}

void cluster_wait_a_little(int tries)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), 0) < 0)
		chance = (uint32_t)getpid();
	usleep(1000 * (5 + chance % (unsigned int)(10 << (tries < 6 ? tries : 6))));
}

struct giving {
	struct session *s;
	const struct settings *settings;
};

static int give_one(struct giving *g, const struct tenant *t, int family,
		    const struct addr_list *reserved, struct tn_addr *out, struct error *err)
{
	struct plan_text text = { .added = 1 };

	for (int i = 0; i < CLUSTER_TRIES; i++) {
		_cleanup_entries_ struct entries will = { 0 };
		int ret;

		*err = (struct error){ 0 };
		if (session_read_tenant(g->s, t->name, err) ||
		    session_check_open(g->s, false, err) ||
		    edit_own(&g->s->had, t->name, family, reserved, out, &will, err))
			return -1;
		ret = cluster_commit(g->s, g->settings, &will, false, &text, err);
		if (ret <= 0)
			return ret;
		cluster_wait_a_little(i);
	}
	return -1;
}

static int give(void *arg, struct model *will, const struct addr_list *reserved, struct error *err)
{
	vec_each (t, &will->tenants) {
		for (int f = 0; t->router && f < FAMILIES; f++) {
			struct own_address *own = &t->router->own[f];

			if (own->wanted && addr_is_unset(&own->addr) &&
			    give_one(arg, t, f, reserved, &own->addr, err))
				return -1;
		}
	}
	return 0;
}

/* `detached` and the file are this host's own. */
static int keep_local(const struct settings *settings, const struct change_how *how,
		      struct model *will, struct error *err)
{
	_cleanup_model_ struct model loaded = { 0 };
	struct model *had = &loaded;

	if (load_had(settings, had, err))
		return -1;
	if (had->file)
		will->file = xstrdup(had->file);
	vec_each (t, &will->tenants) {
		const struct tenant *was = model_tenant(had, t->name);

		if (t->router && was && was->router) {
			t->router->detached =
				was->router->detached &&
				!(how->attach && scope_has(how->attach_only, t->name));
			t->router->passed_over = was->router->passed_over;
		}
	}
	return 0;
}

/*
 * `is_part`: it is what this host had when the session began, but for some tenants. 1: it has
 * something else by now.
 */
static int make(struct session *s, const struct settings *settings, struct model *will,
		bool is_part, const struct change_how *how, struct outcome *out, struct error *err)
{
	struct giving giving = { s, settings };
	struct change_how mine = *how;
	_cleanup_membership_ struct membership now = { 0 };
	_cleanup_change_ struct change c = { 0 };
	/* to give addresses, it is read once more */
	_cleanup_free_ char *last = s->change ? xstrdup(s->change) : NULL;
	int64_t changed = s->changed;

	mine.give = give;
	mine.arg = &giving;
	if (keep_local(settings, how, will, err) ||
	    change_begin(settings, STORE_WRITE, will, &c, err) ||
	    store_membership(c.store, &now, err) < 0)
		return -1;
	/* another process was faster: it has what is later, or something else than was looked at */
	if (now.revision != s->m.revision && (is_part || now.revision > changed))
		return is_part;
	if (change_make(&c, &mine, out, err))
		return -1;
	return how->dry_run ? 0 : store_see_revision(c.store, changed, last, err);
}

int cluster_try_here(struct session *s, const struct settings *settings, const struct entries *will,
		     const struct change_how *how, struct error *err)
{
	_cleanup_model_ struct model part = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };
	_cleanup_change_ struct change c = { 0 };
	struct change_how dry = *how;

	dry.dry_run = true;
	if (keys_read(will, false, &part, err))
		return -1;
	projection_make(&part, is_here, s);
	vec_each (t, &part.tenants)
		t->id = 0; /* they were the projection's */
	return keep_local(settings, how, &part, err) ||
			       change_begin(settings, STORE_READ, &part, &c, err) ||
			       change_make(&c, &dry, &out, err)
		       ? -1
		       : 0;
}

int cluster_converge(struct session *s, const struct settings *settings,
		     const struct change_how *how, struct outcome *out, struct error *err)
{
	_cleanup_model_ struct model will = { 0 };

	memset(out, 0, sizeof(*out));
	if (session_read_projection(s, is_here, s, &will, err))
		return -1;
	if (session_check_open(s, false, err))
		return 1;
	return make(s, settings, &will, false, how, out, err);
}

/* Of what has changed, what is this host's own; nothing else of it is stored here. */
static void keep_own(struct session *s, const struct model *mine, struct model *changed)
{
	size_t kept = 0;

	vec_each (t, &changed->tenants) {
		if (concern_of_tenant(mine, t, is_here, s) == CONCERN_OWN)
			changed->tenants.v[kept++] = *t;
		else
			tenant_clear(t);
	}
	changed->tenants.n = kept;
}

/* `into` has them all; what it had of them goes. */
static void put_in(struct model *into, struct model *changed)
{
	vec_each (t, &changed->tenants) {
		struct tenant *had = model_tenant_sorted(into, t->name);

		tenant_clear(had);
		*had = *t;
	}
	changed->tenants.n = 0;
	/* it is what this host has besides: keep_local() */
	free(into->file);
	into->file = NULL;
}

/* `mine` with what has changed of these tenants alone; 1 as of make(). */
static int converge_own(struct session *s, const struct settings *settings,
			const struct change_how *how, struct model *mine, struct model *changed,
			struct outcome *out, struct error *err)
{
	keep_own(s, mine, changed);
	if (session_read_mappings(s, changed, err))
		return -1;
	put_in(mine, changed);
	return make(s, settings, mine, true, how, out, err);
}

static int note_revision(const struct session *s, const struct settings *settings,
			 struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	return store_open(settings->state, STORE_WRITE, settings->wait, settings->command, &store,
			  err) ||
			       store_see_revision(store, s->changed, s->change, err)
		       ? -1
		       : 0;
}

/* By what has changed alone. 1: that is not enough, and nothing was done. */
static int follow_changes(struct session *s, const struct settings *settings,
			  const struct change_how *how, const struct heard *heard,
			  struct outcome *out, struct error *err)
{
	_cleanup_model_ struct model mine = { 0 }, changed = { 0 };
	enum concern_of of;
	int ret;

	if (!s->m.revision)
		return 1;
	if (load_had(settings, &mine, err))
		return -1;
	if (!mine.subnets.n)
		return 1;
	ret = session_read_changed(s, heard, mine.tenants.n, &changed, err);
	if (ret <= 0)
		return ret < 0 ? -1 : 1;
	of = concern_of_host(&mine, &changed, is_here, s);
	if (of == CONCERN_ALL)
		return 1;
	return of == CONCERN_NONE ? note_revision(s, settings, err)
				  : converge_own(s, settings, how, &mine, &changed, out, err);
}

int cluster_follow(struct session *s, const struct settings *settings, const struct change_how *how,
		   const struct heard *heard, struct outcome *out, struct error *err)
{
	int ret;

	memset(out, 0, sizeof(*out));
	if (session_read_ground(s, err))
		return -1;
	if (session_check_open(s, false, err))
		return 1;
	if (s->is_forgotten)
		log_notice("so much was changed since this host followed the cluster last that "
			   "it cannot be told whether etcd was restored from a snapshot "
			   "meanwhile; everything is read anew");
	ret = follow_changes(s, settings, how, heard, out, err);
	return ret > 0 ? cluster_converge(s, settings, how, out, err) : ret;
}

/* ------------------------------------------------------------ single mappings */

/* What became of that tenant here; that of others the agent says. */
static int check_failed(const struct outcome *out, const char *tenant, struct error *err)
{
	vec_each (f, &out->failed.list) {
		if (strcmp(f->tenant, tenant) == 0)
			return error_set(err, "%s", f->text);
	}
	return 0;
}

/* That the router of a tenant is on no host is said to whoever maps for it. */
static void warn_unplaced(const struct session *s, const char *tenant)
{
	const struct entry *network = entries_find(&s->had, KEY_NETWORK);
	const struct entry *entry = entries_find(&s->had, KEY_TENANT(tenant));
	_cleanup_placement_ struct placement found = { 0 };
	_cleanup_overview_ struct overview o = { 0 };
	_cleanup_reader_ struct reader r = { 0 };
	struct error ignored = { 0 };

	if (!network || !entry || reader_network(&r, network->value, &ignored) ||
	    reader_tenant(&r, entry->key, entry->value, &ignored) ||
	    overview_read_hosts(s->etcd, &s->m, s->revision, &o, &ignored))
		return;
	placement_of_hosts(&r.m, &o, &found);
	vec_each (text, &found.list)
		log_warning("%s", *text);
}

static bool is_mapping_of(const struct plan_line *line, const char *tenant)
{
	size_t n = strlen(tenant);

	return strncmp(line->text, "mapping ", 8) == 0 && strncmp(line->text + 8, tenant, n) == 0 &&
	       strchr(" /", line->text[8 + n]);
}

#define ALSO_SAID 5

/* What this host had yet to follow came with it. */
static void say_also(const struct outcome *out, const char *tenant)
{
	size_t n = 0;

	vec_each (line, &out->text.lines) {
		if (!is_mapping_of(line, tenant) && n++ < ALSO_SAID)
			log_notice("also on this host: %c %s", line->sign, line->text);
	}
	if (n > ALSO_SAID)
		log_notice("also on this host: %zu more", n - ALSO_SAID);
}

/* One tenant, of which a mapping was changed. */
static int wait_after(struct session *s, const struct settings *settings, const char *tenant,
		      struct waiting *w, struct error *err)
{
	_cleanup_waited_ struct waited waited = { 0 };

	if (!settings->waits_for_hosts)
		return 0;
	*vec_push(&w->concern.tenants.list) = xstrdup(tenant);
	return cluster_wait(s, settings, w, &waited, err);
}

static int converge_after(struct session *s, const struct settings *settings, const char *tenant,
			  bool no_probe, struct error *err)
{
	struct change_how how = { .no_probe = no_probe, .partial = true };
	_cleanup_waiting_ struct waiting w = { .revision = s->revision };
	_cleanup_outcome_ struct outcome out = { 0 };
	int ret = cluster_follow(s, settings, &how, NULL, &out, err);

	w.is_here = !ret;
	if (ret > 0)
		*err = (struct error){ 0 }; /* the agent does it when that is over */
	say_also(&out, tenant);
	if (ret < 0 || check_failed(&out, tenant, err))
		return error_prefix(err, "the cluster has the change, but this host could not be "
					 "made so (`tenantnat cluster sync` tries again)");
	return wait_after(s, settings, tenant, &w, err);
}

static void say(struct plan_text *text, char sign, const char *tenant, const struct mapping *m)
{
	char *line = NULL;

	if (asprintf(&line, "mapping %s %s -> %s", tenant, ADDR(&m->fixed), ADDR(&m->shared)) < 0)
		return;
	*vec_push(&text->lines) = (struct plan_line){ .sign = sign, .text = line };
	text->added += sign == '+';
	text->removed += sign == '-';
}

/* 1: somebody was faster. */
static int try_add(struct session *s, const struct settings *settings, const char *tenant,
		   struct mapping *m, struct error *err)
{
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_entries_ struct entries will = { 0 };

	if (session_read_tenant(s, tenant, err) || session_check_open(s, false, err) ||
	    edit_add(&s->had, tenant, m, &will, err))
		return -1;
	say(&text, '+', tenant, m);
	return cluster_commit(s, settings, &will, false, &text, err);
}

int cluster_map_add(struct session *s, const struct settings *settings, const char *tenant,
		    struct mapping *m, bool no_probe, struct error *err)
{
	for (int i = 0; i < CLUSTER_TRIES; i++) {
		int ret;

		*err = (struct error){ 0 };
		if (!m->pinned)
			m->shared = (struct tn_addr){ 0 };
		ret = try_add(s, settings, tenant, m, err);
		if (ret == 0)
			warn_unplaced(s, tenant);
		if (ret <= 0)
			return ret ? ret : converge_after(s, settings, tenant, no_probe, err);
		cluster_wait_a_little(i);
	}
	return -1;
}

static int try_del(struct session *s, const struct settings *settings, const char *tenant,
		   const char *word, struct gone *gone, struct error *err)
{
	_cleanup_plan_text_ struct plan_text text = { 0 };
	_cleanup_entries_ struct entries will = { 0 };

	if (session_read_tenant(s, tenant, err) || session_check_open(s, false, err) ||
	    edit_del(&s->had, tenant, word, gone, &will, err))
		return -1;
	vec_each (m, &gone->list)
		say(&text, '-', tenant, m);
	return cluster_commit(s, settings, &will, false, &text, err);
}

int cluster_map_del(struct session *s, const struct settings *settings, const char *tenant,
		    const char *word, struct gone *gone, struct error *err)
{
	memset(gone, 0, sizeof(*gone));
	for (int i = 0; i < CLUSTER_TRIES; i++) {
		int ret;

		*err = (struct error){ 0 };
		gone_free(gone);
		ret = try_del(s, settings, tenant, word, gone, err);
		if (ret <= 0)
			return ret ? ret : converge_after(s, settings, tenant, false, err);
		cluster_wait_a_little(i);
	}
	return -1;
}

#endif
