/* SPDX-License-Identifier: GPL-2.0-only */
#include "cluster/commit.h"

#include <inttypes.h>

#include "cluster/blocks.h"

static void step_clear(struct step *s)
{
	vec_each (compare, &s->compares)
		free(compare->key);
	vec_free(&s->compares);
	vec_each (write, &s->writes) {
		free(write->key);
		free(write->value);
	}
	vec_free(&s->writes);
}

void commit_free(struct commit *c)
{
	vec_each (step, &c->steps)
		step_clear(step);
	vec_free(&c->steps);
	step_clear(&c->undo);
	free(c->changing);
	c->changing = NULL;
}

/* ------------------------------------------------------------ head */

void head_free(struct head *h)
{
	free(h->host);
	free(h->user);
	free(h->command);
	memset(h, 0, sizeof(*h));
}

static char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));

	return xstrdup(text ? text : "?");
}

static int read_open(const json_t *open, struct head *out, struct error *err)
{
	static const char *const known[] = { "at", "command", "host", "user", NULL };

	if (!json_is_object(open))
		return key_damaged(err, KEY_HEAD, "`open` is no object");
	if (key_fields(KEY_HEAD, open, known, err))
		return -1;
	out->host = text_of(open, "host");
	out->user = text_of(open, "user");
	out->command = text_of(open, "command");
	out->at = json_integer_value(json_object_get(open, "at"));
	return 0;
}

int head_read(const struct entries *e, struct head *out, struct error *err)
{
	static const char *const known[] = { "changes", "open", NULL };
	const struct entry *entry = entries_find(e, KEY_HEAD);
	json_t *object, *changes, *open;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (!entry)
		return 0;
	object = key_object(KEY_HEAD, entry->value, err);
	if (!object)
		return -1;
	changes = json_object_get(object, "changes");
	open = json_object_get(object, "open");
	if (key_fields(KEY_HEAD, object, known, err))
		ret = -1;
	else if (!json_is_integer(changes) || json_integer_value(changes) < 0)
		ret = key_damaged(err, KEY_HEAD, "it has no number of changes");
	else if (open)
		ret = read_open(open, out, err);
	out->changes = (uint64_t)json_integer_value(changes);
	json_decref(object);
	return ret;
}

static json_t *by_json(const struct commit_by *by)
{
	return json_pack("{s:I, s:s, s:s, s:s}", "at", (json_int_t)by->at, "command", by->command,
			 "host", by->host, "user", by->user);
}

/* `open` NULL: none is. */
static char *head_value(uint64_t changes, const struct commit_by *open)
{
	json_t *value = json_pack("{s:I}", "changes", (json_int_t)changes);

	if (open)
		json_object_set_new(value, "open", by_json(open));
	return json_compact(value);
}

char *head_open_text(const struct entries *e, const struct head *h)
{
	bool is_under_way = entries_find(e, KEY_CHANGING);
	char *text = NULL;
	int n;

	if (!h->host)
		return NULL;
	n = is_under_way
		    ? asprintf(&text,
			       "%s on %s is changing the definitions (%s); wait until that is done",
			       h->user, h->host, h->command)
		    : asprintf(&text,
			       "a change by %s on %s was cut short (%s), and is done by half; "
			       "apply again",
			       h->user, h->host, h->command);
	return n < 0 ? NULL : text;
}

/* ------------------------------------------------------------ differences */

/* A key that is to be written, or only compared. */
struct difference {
	const char *key; /* the entries' */
	int64_t revision;
	const char *value; /* NULL: it goes */
	bool is_new;
};

struct planning {
	const struct commit_what *what;
	VEC(struct difference) list;
	struct names tenants; /* that change */
	struct head head;
	struct commit *out;
	size_t ops;
	size_t bytes;
};

static void planning_free(struct planning *p)
{
	vec_free(&p->list);
	names_free(&p->tenants);
	head_free(&p->head);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool is_definition(const char *key)
{
	return strcmp(key, KEY_NETWORK) == 0 || begins(key, KEY_TENANTS) || begins(key, KEY_BLOCKS);
}

static int note_difference(void *arg, const struct entry *had, const struct entry *will,
			   struct error *err)
{
	struct planning *p = arg;
	const char *key = had ? had->key : will->key;

	if (!is_definition(key))
		return 0;
	*vec_push(&p->list) = (struct difference){ .key = key,
						   .revision = had ? had->revision : 0,
						   .value = will ? will->value : NULL,
						   .is_new = !had };
	return begins(key, KEY_BLOCKS) ? block_touches(key, had ? had->value : NULL,
						       will ? will->value : NULL, &p->tenants, err)
				       : 0;
}

static int difference_cmp(const void *a, const void *b)
{
	return strcmp(((const struct difference *)a)->key, ((const struct difference *)b)->key);
}

/* The key of each tenant of which something changes is written, too. */
static void touch_tenants(struct planning *p)
{
	size_t n = p->list.n;

	names_sort(&p->tenants);
	vec_each (name, &p->tenants.list) {
		const char *key = KEY_TENANT(*name);
		const struct difference like = { .key = key };
		const struct entry *had = entries_find(p->what->had, key);

		if (!had || (n && bsearch(&like, p->list.v, n, sizeof(like), difference_cmp)))
			continue;
		*vec_push(&p->list) = (struct difference){ .key = had->key,
							   .revision = had->revision,
							   .value = had->value };
	}
}

/* Additions before removals; a tenant before its addresses, and after them when it goes. */
static int rank(const struct difference *d)
{
	bool is_block = begins(d->key, KEY_BLOCKS);

	return d->value	  ? (strcmp(d->key, KEY_NETWORK) == 0 ? 0
			     : is_block			      ? 2
							      : 1)
	       : is_block ? 3
			  : 4;
}

static int order_cmp(const void *a, const void *b)
{
	int order = rank(a) - rank(b);

	return order ? order : difference_cmp(a, b);
}

/* ------------------------------------------------------------ steps */

static void add_compare(struct step *s, const char *key, int64_t revision, const char *value)
{
	*vec_push(&s->compares) = (struct compare){ xstrdup(key), revision, value };
	s->bytes += strlen(key) + (value ? strlen(value) : 0) + COMMIT_OP_BYTES;
}

static void add_write(struct step *s, const char *key, const char *value, bool leased)
{
	*vec_push(&s->writes) =
		(struct write){ xstrdup(key), value ? xstrdup(value) : NULL, leased };
	s->bytes += strlen(key) + (value ? strlen(value) : 0) + COMMIT_OP_BYTES;
}

static void compare_as_read(struct planning *p, struct step *s, const char *key)
{
	const struct entry *had = entries_find(p->what->had, key);

	add_compare(s, key, had ? had->revision : 0, NULL);
}

/* What holds for any change, of things that it does not write itself. */
static void compare_ground(struct planning *p, struct step *s, bool with_network)
{
	compare_as_read(p, s, KEY_CLUSTER);
	compare_as_read(p, s, KEY_HEAD);
	if (with_network)
		compare_as_read(p, s, KEY_NETWORK);
	add_compare(s, KEY_CHANGING, 0, NULL);
}

static void compare_difference(struct step *s, const struct difference *d)
{
	add_compare(s, d->key, d->revision, NULL);
}

static void write_difference(struct step *s, const struct difference *d)
{
	add_write(s, d->key, d->value, false);
}

static char *history_key(const struct planning *p)
{
	char *key = NULL;

	if (asprintf(&key, KEY_HISTORY "%s", p->what->by.run) < 0)
		key = xstrdup(KEY_HISTORY);
	return key;
}

/* `head` counts what an apply does. Of anything else it says nothing, but that it was begun. */
static uint64_t changes_then(const struct planning *p)
{
	return p->head.changes + p->what->whole;
}

/* What ends a change, and tells of it. */
static void write_end(struct planning *p, struct step *s)
{
	_cleanup_free_ char *head = head_value(changes_then(p), NULL);
	_cleanup_free_ char *key = history_key(p);

	if (p->what->whole || p->out->changing)
		add_write(s, KEY_HEAD, head, false);
	add_write(s, key, p->what->history, false);
}

static bool has_network(const struct planning *p)
{
	vec_each (d, &p->list) {
		if (strcmp(d->key, KEY_NETWORK) == 0)
			return true;
	}
	return false;
}

static struct step *new_step(struct planning *p)
{
	return vec_push(&p->out->steps);
}

/* All in one transaction; false: it is too large. */
static bool plan_one(struct planning *p)
{
	_cleanup_free_ char *key = history_key(p);
	struct step *s = new_step(p);

	compare_ground(p, s, !has_network(p));
	add_compare(s, key, 0, NULL);
	vec_each (d, &p->list) {
		compare_difference(s, d);
		write_difference(s, d);
	}
	write_end(p, s);
	if (s->compares.n <= p->ops && s->writes.n <= p->ops && s->bytes <= p->bytes)
		return true;
	step_clear(s);
	p->out->steps.n = 0;
	return false;
}

static void plan_begin(struct planning *p)
{
	_cleanup_free_ char *head = head_value(p->head.changes, &p->what->by);
	struct step *s = new_step(p);

	compare_ground(p, s, true);
	add_write(s, KEY_CHANGING, p->out->changing, true);
	add_write(s, KEY_HEAD, head, false);
}

/* The next one, which is this change's own. */
static struct step *own_step(struct planning *p)
{
	struct step *s = new_step(p);

	add_compare(s, KEY_CHANGING, 0, p->out->changing);
	return s;
}

static void plan_checks(struct planning *p)
{
	_cleanup_free_ char *key = history_key(p);
	struct step *s = own_step(p);

	add_compare(s, key, 0, NULL);
	vec_each (d, &p->list) {
		if (s->compares.n == p->ops ||
		    s->bytes + strlen(d->key) + COMMIT_OP_BYTES > p->bytes)
			s = own_step(p);
		compare_difference(s, d);
	}
	p->out->checks = p->out->steps.n;
}

static size_t size_of(const struct difference *d)
{
	return 2 * (strlen(d->key) + COMMIT_OP_BYTES) + (d->value ? strlen(d->value) : 0);
}

static void plan_writes(struct planning *p)
{
	struct step *s = NULL;

	vec_each (d, &p->list) {
		if (!s || s->compares.n == p->ops || s->bytes + size_of(d) > p->bytes)
			s = own_step(p);
		compare_difference(s, d);
		write_difference(s, d);
	}
	s = own_step(p);
	write_end(p, s);
	add_write(s, KEY_CHANGING, NULL, false);
}

/* As if it had not been begun; but one that was unfinished before still is. */
static void plan_undo(struct planning *p)
{
	const struct entry *head = entries_find(p->what->had, KEY_HEAD);

	add_compare(&p->out->undo, KEY_CHANGING, 0, p->out->changing);
	add_write(&p->out->undo, KEY_HEAD, head ? head->value : NULL, false);
	add_write(&p->out->undo, KEY_CHANGING, NULL, false);
}

static void plan_several(struct planning *p)
{
	json_t *value = by_json(&p->what->by);

	json_object_set_new(value, "run", json_string(p->what->by.run));
	p->out->changing = json_compact(value);
	plan_begin(p);
	plan_checks(p);
	plan_writes(p);
	plan_undo(p);
}

static int check_sizes(const struct planning *p, struct error *err)
{
	vec_each (d, &p->list) {
		if (size_of(d) + COMMIT_OP_BYTES + strlen(KEY_CHANGING) > p->bytes / 2)
			return error_usage(err,
					   "%s takes more than %zu KiB in etcd; make it smaller: "
					   "rules of `accept` can name several tenants and ports",
					   d->key, p->bytes >> 11);
	}
	return 0;
}

int commit_plan(const struct commit_what *what, struct commit *out, struct error *err)
{
	_cleanup_(planning_free) struct planning p = {
		.what = what,
		.out = out,
		.ops = what->ops ? what->ops : COMMIT_OPS,
		.bytes = what->bytes ? what->bytes : COMMIT_BYTES,
	};

	memset(out, 0, sizeof(*out));
	if (head_read(what->had, &p.head, err) ||
	    entries_differ(what->had, what->will, note_difference, &p, err))
		return -1;
	touch_tenants(&p);
	if (!p.list.n && !(what->whole && p.head.host))
		return 0;
	if (check_sizes(&p, err))
		return -1;
	vec_sort(&p.list, order_cmp);
	if (!plan_one(&p))
		plan_several(&p);
	return 0;
}

/* ------------------------------------------------------------ conflicts */

static int compare_cmp(const void *a, const void *b)
{
	const struct compare *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

void commit_compared(const struct commit *c, struct compared *out)
{
	memset(out, 0, sizeof(*out));
	vec_each (step, &c->steps) {
		vec_each (compare, &step->compares) {
			if (!compare->value)
				*vec_push(&out->list) = compare;
		}
	}
	vec_sort_once(&out->list, compare_cmp);
}

static void say_key(FILE *f, const char *key)
{
	struct prefix block;

	if (begins(key, KEY_TENANTS)) {
		fprintf(f, "tenant %s", key + strlen(KEY_TENANTS));
	} else if (block_parse(key, &block)) {
		struct tn_addr end = prefix_last(&block);

		fprintf(f, "addresses %s to %s", ADDR(&block.addr), ADDR(&end));
	} else if (strcmp(key, KEY_NETWORK) == 0) {
		fprintf(f, "the shared network");
	} else if (strcmp(key, KEY_CLUSTER) == 0) {
		fprintf(f, "the cluster itself");
	} else {
		fprintf(f, "the definitions");
	}
}

#define CONFLICTS_SAID 5

char *commit_conflict(const struct commit *c, const struct entries *now)
{
	size_t n = 0, size;
	struct compared compared;
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("");
	commit_compared(c, &compared);
	vec_each (had, &compared.list) {
		const struct entry *is = entries_find(now, (*had)->key);

		if ((*had)->revision == (is ? is->revision : 0) || n++ >= CONFLICTS_SAID)
			continue;
		fputs(n > 1 ? ", " : "", f);
		say_key(f, (*had)->key);
	}
	if (n > CONFLICTS_SAID)
		fprintf(f, " and %zu more", n - CONFLICTS_SAID);
	fclose(f);
	vec_free(&compared.list);
	return text;
}
