/* SPDX-License-Identifier: GPL-2.0-only */
/* The changes that the cluster remembers. */
#include <inttypes.h>

#include "cluster/session_internal.h"

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
	struct session_taking taking = { .each = remember, .arg = &r };

	memset(out, 0, sizeof(*out));
	if (session_read_ground(s, err) ||
	    session_read_range(s, KEY_HISTORY, BEHIND_HISTORY, &taking, err)) {
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
