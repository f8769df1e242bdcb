/* SPDX-License-Identifier: GPL-2.0-only */
/* A change of the cluster: its transactions, and what is said when somebody else was faster. */
#include <inttypes.h>
#include <sys/random.h>
#include <time.h>

#include "cluster/concern.h"
#include "cluster/etcd.h"
#include "cluster/heard.h"
#include "cluster/lease_keeper.h"
#include "cluster/membership.h"
#include "cluster/session_internal.h"
#include "lib/interrupt.h"

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

/*
 * By which others know what to ask for (heard.h); NULL: they are to ask for all. Of what a change
 * that was cut short has left they have heard nothing.
 */
static json_t *changed_tenants(const struct session *s, const struct entries *will,
			       struct error *err)
{
	_cleanup_concern_ struct concern c = { 0 };
	json_t *list;

	if (concern_of_change(&s->had, will, &c, err) || s->head.host || !c.tenants.list.n ||
	    c.tenants.list.n > HEARD_MAX)
		return NULL;
	list = json_array();
	vec_each (name, &c.tenants.list)
		json_array_append_new(list, json_string(*name));
	return list;
}

/* Takes the tenants. */
static char *history_value(const struct commit_by *by, const struct session_change *how,
			   json_t *tenants)
{
	json_t *lines = json_array();

	for (size_t i = 0; i < how->nlines && i < LINES_MAX; i++) {
		char sign[] = { how->lines[i].sign, '\0' };

		json_array_append_new(
			lines, json_pack("{s:s, s:s}", "sign", sign, "text", how->lines[i].text));
	}
	return json_compact(json_pack(
		"{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o*}", "at", (json_int_t)by->at, "user",
		by->user, "host", by->host, "command", by->command, "added", (json_int_t)how->added,
		"changed", (json_int_t)how->changed, "removed", (json_int_t)how->removed, "lines",
		lines, "tenants", tenants));
}

struct committing {
	struct session *s;
	const struct commit *commit;
	struct lease_keeper keeper;
};

/* Others wait for so long when a writer dies; an election of etcd's takes less. */
#define LEASE_SECONDS 10

static void make_txn(const struct committing *c, const struct step *step, struct etcd_txn *out)
{
	vec_each (compare, &step->compares) {
		_cleanup_free_ char *key = session_key(c->s, compare->key);

		if (compare->value)
			etcd_txn_if_value(out, key, compare->value, strlen(compare->value));
		else
			etcd_txn_if_mod(out, key, compare->revision);
	}
	vec_each (write, &step->writes) {
		_cleanup_free_ char *key = session_key(c->s, write->key);

		if (write->value)
			etcd_txn_put(out, key, write->value, strlen(write->value),
				     write->leased ? c->keeper.lease : 0);
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
	_cleanup_free_ char *key = w ? session_key(c->s, w->key) : NULL;
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
	return c->commit->steps.n > 1
		       ? lease_keeper_begin(&c->keeper, &c->s->m, c->s->etcd, LEASE_SECONDS, err)
		       : 0;
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
		int ret = i <= commit->checks ? interrupt_check(err) : 0;

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
	struct session_taking taking = { .each = note_faster, .arg = &f };
	struct error ignored = { 0 };
	char from[64];

	snprintf(from, sizeof(from), KEY_HISTORY "%016" PRIx64,
		 (uint64_t)(read_at - CLOCKS_DIFFER) * 1000000);
	session_read_range(s, from, BEHIND_HISTORY, &taking, &ignored);
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
	session_forget(&now);
	return ret ? -1 : 1;
}

/* Of what is more than the history keeps, the oldest goes. That it is too long yet is no error. */
static void prune_history(struct session *s)
{
	_cleanup_free_ char *from = session_key(s, KEY_HISTORY),
			    *to = session_key(s, BEHIND_HISTORY);
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
	json_t *tenants = changed_tenants(s, will, err);
	_cleanup_free_ char *history = history_value(&what.by, how, tenants);
	_cleanup_commit_ struct commit commit;
	struct committing c = { .s = s, .commit = &commit };
	int ret;

	if (err->set)
		return -1;
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
	lease_keeper_end(&c.keeper, s->etcd); /* `changing` goes with it, if it is still there */
	interrupt_hold(false);
	if (!ret && how->whole)
		prune_history(s);
	return ret;
}
