/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/session.h"

#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

#include "cluster/edit.h"
#include "cluster/etcd.h"
#include "cluster/membership.h"
#include "lib/interrupt.h"

int session_open(struct store *store, struct session *out, struct error *err)
{
	int ret;

	memset(out, 0, sizeof(*out));
	ret = store_membership(store, &out->m, err);
	if (ret > 0 && membership_open(&out->m, &out->etcd, err))
		ret = -1;
	if (ret <= 0)
		session_close(out);
	return ret;
}

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

int session_open_as(const struct membership *m, struct session *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	out->m = (struct membership){
		copy(m->urls), copy(m->ca),	  copy(m->cert),	  copy(m->key),
		copy(m->user), copy(m->password), copy(m->prefix),	  copy(m->host),
		copy(m->id),   .etcd = m->etcd,	  .revision = m->revision
	};
	if (membership_open(&out->m, &out->etcd, err) == 0)
		return 0;
	session_close(out);
	return -1;
}

static void forget_read(struct session *s)
{
	entries_free(&s->had);
	head_free(&s->head);
	s->is_under_way = false;
}

void session_close(struct session *s)
{
	forget_read(s);
	etcd_close(s->etcd);
	s->etcd = NULL;
	membership_free(&s->m);
}

/* ------------------------------------------------------------ reading */

static char *full_key(const struct session *s, const char *key)
{
	return membership_key(&s->m, key, "");
}

struct taking {
	const struct session *s;
	int (*each)(void *arg, const char *key, char *value, int64_t revision, struct error *err);
	void *arg;
};

static int take(void *arg, struct etcd_kv *kv, struct error *err)
{
	const struct taking *t = arg;
	const char *key = kv->key + strlen(t->s->m.prefix) + 1;

	if (strlen(kv->value) != kv->size)
		return key_damaged(err, key, "its value is no text");
	return t->each(t->arg, key, kv->value, kv->mod_revision, err);
}

/* Keys from `from` on that are before `to` (NULL: that one alone), as they were at s->revision. */
static int read_range(struct session *s, const char *from, const char *to, struct taking *taking,
		      struct error *err)
{
	_cleanup_free_ char *key = full_key(s, from), *end = to ? full_key(s, to) : NULL;
	struct etcd_query query = { .key = key, .end = end, .revision = s->revision };

	taking->s = s;
	return etcd_range_each(s->etcd, &query, take, taking, NULL, err);
}

static int add_entry(void *arg, const char *key, char *value, int64_t revision, struct error *err)
{
	(void)err;
	entries_add(arg, key, value, revision);
	return 0;
}

static int read_entries(struct session *s, const char *from, const char *to, struct error *err)
{
	struct taking taking = { .each = add_entry, .arg = &s->had };
	int ret = read_range(s, from, to, &taking, err);

	entries_sort(&s->had);
	return ret;
}

/* What every change goes by, and at which revision all else is read. */
static int read_ground(struct session *s, struct error *err)
{
	_cleanup_free_ char *from = full_key(s, KEY_CHANGING), *to = full_key(s, KEY_HEAD "!");
	_cleanup_free_ char *cluster = full_key(s, KEY_CLUSTER);
	struct etcd_query query = { .key = from, .end = to };
	struct taking taking = { .s = s, .each = add_entry, .arg = &s->had };
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

	forget_read(s);
	s->read_at = time(NULL);
	if (etcd_range(s->etcd, &query, &kvs, err) ||
	    membership_check(&s->m, etcd_kvs_find(&kvs, cluster), &kvs.header, err))
		return -1;
	s->revision = kvs.header.revision;
	vec_each (kv, &kvs.list) {
		if (take(&taking, kv, err))
			return -1;
	}
	entries_sort(&s->had);
	s->is_under_way = entries_find(&s->had, KEY_CHANGING);
	return head_read(&s->had, &s->head, err);
}

/* The first key behind all those that begin with it. */
#define BEHIND_TENANTS "tenants0"
#define BEHIND_BLOCKS  "blocks0"
#define BEHIND_HISTORY "history0"

int session_read_all(struct session *s, struct error *err)
{
	return read_ground(s, err) || read_entries(s, KEY_NETWORK, NULL, err) ||
			       read_entries(s, KEY_TENANTS, BEHIND_TENANTS, err) ||
			       read_entries(s, KEY_BLOCKS, BEHIND_BLOCKS, err)
		       ? -1
		       : 0;
}

/* Whether the others count: the tenant has no pool, or is not there and may be misspelt. */
static bool needs_others(const struct session *s, const char *tenant)
{
	const struct entry *entry = entries_find(&s->had, KEY_TENANT(tenant));
	json_t *value = entry ? json_loads(entry->value, 0, NULL) : NULL;
	bool has_pool = json_array_size(json_object_get(value, "pool")) > 0;

	json_decref(value);
	return !has_pool;
}

int session_read_tenant(struct session *s, const char *tenant, struct error *err)
{
	_cleanup_key_ranges_ struct key_ranges ranges = { 0 };

	if (!tenant_name_valid(tenant))
		return error_usage(err, "`%s` cannot be the name of a tenant", tenant);
	if (read_ground(s, err) || read_entries(s, KEY_NETWORK, NULL, err) ||
	    read_entries(s, KEY_TENANT(tenant), NULL, err))
		return -1;
	if (needs_others(s, tenant)) {
		struct entry *entry = entries_find(&s->had, KEY_TENANT(tenant));

		if (entry) {
			free(entry->key);
			free(entry->value);
			*entry = s->had.list.v[--s->had.list.n];
			entries_sort(&s->had);
		}
		if (read_entries(s, KEY_TENANTS, BEHIND_TENANTS, err))
			return -1;
	}
	if (edit_ranges(&s->had, tenant, &ranges, err))
		return -1;
	vec_each (range, &ranges.list) {
		if (read_entries(s, range->from, range->to, err))
			return -1;
	}
	return 0;
}

/* ---- of this host */

struct projecting {
	struct reader r;
	struct projection p;
};

static bool wants(void *arg, const struct tenant *t, const struct owner *o)
{
	const struct projecting *j = arg;

	return projection_takes(&j->p, &j->r.m, t, o);
}

static int read_block(void *arg, const char *key, char *value, int64_t revision, struct error *err)
{
	(void)revision;
	return reader_block(arg, key, value, err);
}

static int read_tenants(struct session *s, struct reader *r, struct error *err)
{
	const struct entry *network = entries_find(&s->had, KEY_NETWORK);

	if (reader_network(r, network->value, err))
		return -1;
	vec_each (entry, &s->had.list) {
		if (strncmp(entry->key, KEY_TENANTS, strlen(KEY_TENANTS)) == 0 &&
		    reader_tenant(r, entry->key, entry->value, err))
			return -1;
	}
	return 0;
}

static int read_blocks(struct session *s, struct projecting *j, struct error *err)
{
	struct taking taking = { .each = read_block, .arg = &j->r };
	_cleanup_key_ranges_ struct key_ranges ranges;

	projection_ranges(&j->p, &j->r.m, &ranges);
	vec_each (range, &ranges.list) {
		if (read_range(s, range->from, range->to, &taking, err))
			return -1;
	}
	return reader_end(&j->r, err);
}

int session_read_projection(struct session *s, bool (*is_here)(void *arg, const struct tenant *t),
			    void *arg, struct model *out, struct error *err)
{
	struct projecting j = { .r = { .wants = wants } };
	int ret = -1;

	j.r.arg = &j;
	memset(out, 0, sizeof(*out));
	if (read_ground(s, err) || read_entries(s, KEY_NETWORK, NULL, err) ||
	    read_entries(s, KEY_TENANTS, BEHIND_TENANTS, err))
		return -1;
	if (!entries_find(&s->had, KEY_NETWORK))
		return 0;
	if (read_tenants(s, &j.r, err) == 0) {
		projection_begin(&j.p, &j.r.m, is_here, arg);
		ret = read_blocks(s, &j, err);
	}
	if (ret == 0) {
		*out = j.r.m;
		j.r.m = (struct model){ 0 };
		vec_each (t, &out->tenants)
			t->id = 0; /* they were the projection's */
	}
	projection_free(&j.p);
	reader_free(&j.r);
	return ret;
}

int session_check_open(const struct session *s, bool whole, struct error *err)
{
	_cleanup_free_ char *text = head_open_text(&s->had, &s->head);

	if (!text || (whole && !s->is_under_way))
		return 0;
	return error_set(err, "%s", text);
}

/* ------------------------------------------------------------ writing */

/* Of no other change, and in the order of time. */
#define RUN_TEXT 40
static void new_run(char run[RUN_TEXT])
{
	struct timespec now;
	uint32_t chance = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	if (getrandom(&chance, sizeof(chance), 0) < 0)
		chance = (uint32_t)getpid();
	snprintf(run, RUN_TEXT, "%016" PRIx64 "-%08" PRIx32,
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, chance);
}

/* Of its lines in the history, which many changes share with the definitions. */
#define LINES_MAX 200

static char *history_value(const struct commit_by *by, const struct session_change *how)
{
	json_t *lines = json_array();

	for (size_t i = 0; i < how->nlines && i < LINES_MAX; i++) {
		char sign[] = { how->lines[i].sign, '\0' };

		json_array_append_new(
			lines, json_pack("{s:s, s:s}", "sign", sign, "text", how->lines[i].text));
	}
	return json_compact(json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "at",
				      (json_int_t)by->at, "user", by->user, "host", by->host,
				      "command", by->command, "added", (json_int_t)how->added,
				      "changed", (json_int_t)how->changed, "removed",
				      (json_int_t)how->removed, "lines", lines));
}

struct committing {
	struct session *s;
	const struct commit *commit;
	int64_t lease; /* 0: none */
};

/* Long enough that nobody begins another change beside a slow one. */
#define LEASE_SECONDS 60

static void make_txn(const struct committing *c, const struct step *step, struct etcd_txn *out)
{
	vec_each (compare, &step->compares) {
		_cleanup_free_ char *key = full_key(c->s, compare->key);

		if (compare->value)
			etcd_txn_if_value(out, key, compare->value, strlen(compare->value));
		else
			etcd_txn_if_mod(out, key, compare->revision);
	}
	vec_each (write, &step->writes) {
		_cleanup_free_ char *key = full_key(c->s, write->key);

		if (write->value)
			etcd_txn_put(out, key, write->value, strlen(write->value),
				     write->leased ? c->lease : 0);
		else
			etcd_txn_delete(out, key, NULL);
	}
}

/* One that nobody else writes: its line in the history, or `changing`. */
static const struct write *witness(const struct step *step)
{
	vec_each (write, &step->writes) {
		if (strcmp(write->key, KEY_CHANGING) == 0 ||
		    strncmp(write->key, KEY_HISTORY, strlen(KEY_HISTORY)) == 0)
			return write;
	}
	return step->writes.n ? &step->writes.v[0] : NULL;
}

/* Whether it was done, although its answer was lost. */
static int look_again(const struct committing *c, const struct step *step, bool *done,
		      struct error *err)
{
	const struct write *w = witness(step);
	_cleanup_free_ char *key = w ? full_key(c->s, w->key) : NULL;
	struct etcd_query query = { .key = key };
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };

	*done = false;
	if (!w)
		return 0;
	if (etcd_range(c->s->etcd, &query, &kvs, err))
		return error_prefix(err, "it is not known whether the change was made (see "
					 "`tenantnat show history` when etcd answers)");
	*done = !w->value ? !kvs.list.n : kvs.list.n && strcmp(kvs.list.v[0].value, w->value) == 0;
	c->s->revision = kvs.header.revision;
	return 0;
}

#define TRIES 3

/* 0: done; 1: what it compares is not so. */
static int do_step(const struct committing *c, const struct step *step, struct error *err)
{
	_cleanup_etcd_txn_ struct etcd_txn txn = { 0 };
	struct etcd_outcome out;

	make_txn(c, step, &txn);
	for (int i = 0; i < TRIES; i++) {
		struct error why = { 0 };
		bool done;

		if (etcd_txn_commit(c->s->etcd, &txn, &out, &why) == 0) {
			if (out.succeeded)
				c->s->revision = out.header.revision;
			return out.succeeded ? 0 : 1;
		}
		if (etcd_fault(c->s->etcd) != ETCD_UNKNOWN_OUTCOME) {
			*err = why;
			return -1;
		}
		if (look_again(c, step, &done, err))
			return -1;
		if (done)
			return 0;
	}
	return error_set(err, "etcd's answers are lost again and again");
}

/* Before the first: what etcd does not take is to be known while nothing is done. */
static int check_steps(const struct committing *c, struct error *err)
{
	vec_each (step, &c->commit->steps) {
		_cleanup_etcd_txn_ struct etcd_txn txn = { 0 };

		make_txn(c, step, &txn);
		if (etcd_txn_ops(&txn) > ETCD_TXN_OPS || txn.bytes > ETCD_TXN_BYTES)
			return error_set(err,
					 "a part of the change is larger than etcd takes; please "
					 "report this");
	}
	return 0;
}

static int begin_lease(struct committing *c, struct error *err)
{
	int64_t seconds = LEASE_SECONDS;

	return c->commit->steps.n > 1 ? etcd_lease_grant(c->s->etcd, &seconds, &c->lease, err) : 0;
}

/* `changing` goes with it, if it is still there. */
static void end_lease(struct committing *c)
{
	struct error ignored = { 0 };

	if (c->lease)
		etcd_lease_revoke(c->s->etcd, c->lease, &ignored);
}

static int keep_lease(const struct committing *c, struct error *err)
{
	return c->lease ? etcd_lease_keep(c->s->etcd, c->lease, NULL, err) : 0;
}

static int take_back(const struct committing *c, size_t at)
{
	struct error ignored = { 0 };

	return at && c->commit->undo.writes.n ? do_step(c, &c->commit->undo, &ignored) : 0;
}

/* From the first write on there is no way back but an apply. */
static int cut_short(struct error *err)
{
	return error_prefix(err, "the change of the cluster was cut short, and is done by half; "
				 "apply again");
}

static int do_steps(struct committing *c, struct error *err)
{
	const struct commit *commit = c->commit;

	for (size_t i = 0; i < commit->steps.n; i++) {
		int ret = keep_lease(c, err);

		if (!ret && i <= commit->checks)
			ret = interrupt_check(err);
		if (!ret)
			ret = do_step(c, &commit->steps.v[i], err);
		if (ret && (i < commit->checks || commit->steps.n == 1)) {
			take_back(c, i);
			return ret;
		}
		if (ret > 0)
			error_set(err, "somebody else has changed the same keys");
		if (ret)
			return cut_short(err);
		/* what is begun is brought to its end */
		if (i + 1 >= commit->checks)
			interrupt_hold(true);
	}
	return 0;
}

/* ------------------------------------------------------------ who was faster */

struct faster {
	int64_t since; /* a revision */
	char *text;
	int64_t at; /* the revision of that */
};

static int note_faster(void *arg, const char *key, char *value, int64_t revision, struct error *err)
{
	struct faster *f = arg;
	json_t *line = json_loads(value, 0, NULL);
	const char *user = NULL, *host = NULL, *command = NULL;

	(void)key;
	(void)err;
	json_unpack(line, "{s:s, s:s, s:s}", "user", &user, "host", &host, "command", &command);
	if (revision > f->since && revision > f->at && command) {
		free(f->text);
		if (asprintf(&f->text, " (by %s on %s: %s)", user, host, command) < 0)
			f->text = NULL;
		f->at = revision;
	}
	json_decref(line);
	return 0;
}

/* Clocks of hosts are not the same. */
#define CLOCKS_DIFFER 3600

static char *who_was_faster(struct session *s, int64_t since, int64_t read_at)
{
	struct faster f = { .since = since };
	struct taking taking = { .each = note_faster, .arg = &f };
	struct error ignored = { 0 };
	char from[64];

	snprintf(from, sizeof(from), KEY_HISTORY "%016" PRIx64,
		 (uint64_t)(read_at - CLOCKS_DIFFER) * 1000000);
	read_range(s, from, BEHIND_HISTORY, &taking, &ignored);
	return f.text ? f.text : xstrdup("");
}

/* Returns 1, or -1 when it cannot be found out. */
static int say_lost(struct session *s, const struct commit *commit, struct error *err)
{
	struct session now = { .m = s->m, .etcd = s->etcd };
	_cleanup_free_ char *what = NULL, *who = NULL, *open = NULL;
	int ret = session_read_all(&now, err);

	if (ret == 0) {
		what = commit_conflict(commit, &now.had);
		open = now.is_under_way ? head_open_text(&now.had, &now.head) : NULL;
		who = who_was_faster(&now, s->revision, s->read_at);
		if (open)
			error_set(err, "%s; nothing was changed", open);
		else
			error_set(err,
				  "the cluster was changed meanwhile: %s%s; nothing was changed by "
				  "this; look at that, and try again",
				  what, who);
	}
	forget_read(&now);
	return ret ? -1 : 1;
}

/* Of what is more than the history keeps, the oldest goes. That it is too long yet is no error. */
static void prune_history(struct session *s)
{
	_cleanup_free_ char *from = full_key(s, KEY_HISTORY), *to = full_key(s, BEHIND_HISTORY);
	struct etcd_query query = { .key = from, .end = to, .keys_only = true, .page = 2000 };
	_cleanup_etcd_kvs_ struct etcd_kvs kvs = { 0 };
	_cleanup_etcd_txn_ struct etcd_txn txn = { 0 };
	struct error ignored = { 0 };
	struct etcd_outcome out;

	if (etcd_range(s->etcd, &query, &kvs, &ignored) || kvs.list.n <= HISTORY_MAX)
		return;
	etcd_txn_delete(&txn, from, kvs.list.v[kvs.list.n - HISTORY_MAX].key);
	etcd_txn_commit(s->etcd, &txn, &out, &ignored);
}

int session_commit(struct session *s, const struct entries *will, const struct session_change *how,
		   struct error *err)
{
	char run[RUN_TEXT];
	struct commit_what what = {
		.had = &s->had,
		.will = will,
		.whole = how->whole,
		.by = { s->m.host, how->user, how->command, time(NULL), run },
	};
	_cleanup_free_ char *history = history_value(&what.by, how);
	_cleanup_commit_ struct commit commit;
	struct committing c = { .s = s, .commit = &commit };
	int ret;

	new_run(run);
	what.history = history;
	if (!history)
		return error_set(err,
				 "a name in this change is no UTF-8, as etcd's JSON has to be");
	ret = commit_plan(&what, &commit, err);
	if (ret || !commit.steps.n)
		return ret;
	ret = check_steps(&c, err) || begin_lease(&c, err) ? -1 : do_steps(&c, err);
	if (ret > 0)
		ret = say_lost(s, &commit, err);
	end_lease(&c);
	interrupt_hold(false);
	if (!ret && how->whole)
		prune_history(s);
	return ret;
}

/* ------------------------------------------------------------ history */

struct remembering {
	struct history *out;
	size_t n, lines;
	uint64_t id;
};

static uint64_t number_of(const json_t *value, const char *field)
{
	return (uint64_t)json_integer_value(json_object_get(value, field));
}

static char *user_of(const json_t *value)
{
	const char *user = NULL, *host = NULL;
	char *text = NULL;

	json_unpack((json_t *)value, "{s:s, s:s}", "user", &user, "host", &host);
	return asprintf(&text, "%s on %s", user ? user : "?", host ? host : "?") < 0 ? xstrdup("?")
										     : text;
}

static void take_lines(const json_t *list, size_t most, struct history_change *out)
{
	const json_t *line;
	size_t i;

	out->kept = json_array_size(list);
	json_array_foreach(list, i, line)
	{
		const char *sign = json_string_value(json_object_get(line, "sign"));
		const char *text = json_string_value(json_object_get(line, "text"));

		if (sign && text && i < most)
			*vec_push(&out->lines) = (struct history_line){ *sign, xstrdup(text) };
	}
}

/* Keys are in the order of time, as far as the hosts' clocks are the same. */
static int remember(void *arg, const char *key, char *text, int64_t revision, struct error *err)
{
	struct remembering *r = arg;
	struct history_change *c;
	json_t *value;

	if (r->id && r->id != (uint64_t)revision)
		return 0;
	value = key_object(key, text, err);
	if (!value)
		return -1;
	if (r->out->list.n == r->n) {
		history_change_clear(&r->out->list.v[0]);
		memmove(r->out->list.v, r->out->list.v + 1, --r->out->list.n * sizeof(*c));
	}
	c = vec_push(&r->out->list);
	c->id = (uint64_t)revision;
	c->at = (int64_t)number_of(value, "at");
	c->user = user_of(value);
	c->command = xstrdup(json_string_value(json_object_get(value, "command")) ?: "?");
	c->added = number_of(value, "added");
	c->changed = number_of(value, "changed");
	c->removed = number_of(value, "removed");
	take_lines(json_object_get(value, "lines"), r->lines, c);
	json_decref(value);
	return 0;
}

static int change_cmp(const void *a, const void *b)
{
	const struct history_change *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

int session_history(struct session *s, size_t n, uint64_t id, size_t lines, struct history *out,
		    struct error *err)
{
	struct remembering r = { .out = out, .n = n, .lines = lines, .id = id };
	struct taking taking = { .each = remember, .arg = &r };

	memset(out, 0, sizeof(*out));
	if (read_ground(s, err) || read_range(s, KEY_HISTORY, BEHIND_HISTORY, &taking, err)) {
		history_free(out);
		return -1;
	}
	if (id && !out->list.n)
		return error_usage(err,
				   "there is no change %" PRIu64 " in the cluster; `tenantnat show "
				   "history` has them",
				   id);
	vec_sort(&out->list, change_cmp);
	return 0;
}
