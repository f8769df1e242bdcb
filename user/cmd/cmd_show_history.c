/* SPDX-License-Identifier: GPL-2.0-only */
/* show history: who changed what, and when. */
#include <inttypes.h>
#include <time.h>

#include "change/cluster_change.h"
#include "cmd/cmd.h"
#include "lib/output.h"
#include "store/store.h"

#define CHANGES	    20
#define CHANGES_MAX 1000000
#define LINES	    10 /* of each change, unless all are asked for */

/* RFC 3339, with the offset of the time zone. */
static const char *time_text(int64_t at, char out[32])
{
	time_t t = at;
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%S%z", &tm)) {
		snprintf(out, 32, "%lld", (long long)at);
		return out;
	}
	/* +0000 to +00:00 */
	memmove(out + 23, out + 22, 3);
	out[22] = ':';
	return out;
}

static const char *color_of(char sign)
{
	return sign == '+' ? color_added() : sign == '-' ? color_removed() : color_changed();
}

static json_t *lines_json(const struct history_change *c)
{
	json_t *list = json_array();

	vec_each (line, &c->lines) {
		char sign[] = { line->sign, '\0' };

		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "sign", sign, "text", line->text));
	}
	return list;
}

/* NULL: something is no text, which nobody may take for no change. */
static json_t *history_json(const struct history *h)
{
	json_t *list = json_array();
	char at[32];

	vec_each (c, &h->list) {
		json_t *change = json_pack(
			"{s:I, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:b, s:o}", "change",
			(json_int_t)c->id, "time", time_text(c->at, at), "uid", (json_int_t)c->uid,
			"user", c->user, "command", c->command, "added", (json_int_t)c->added,
			"changed", (json_int_t)c->changed, "removed", (json_int_t)c->removed,
			"undoable", (int)c->undoable, "lines", lines_json(c));

		if (json_array_append_new(list, change)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* What is known of it besides its first line and the plan. */
static void print_details(const struct history_change *c)
{
	printf("  uid %" PRIu32 ", %" PRIu64 " added, %" PRIu64 " changed, %" PRIu64
	       " removed, %s\n",
	       c->uid, c->added, c->changed, c->removed,
	       c->undoable ? "can be undone" : "too old to be undone");
}

/* Of so many lines those that are not printed, and why. */
static void print_rest(uint64_t all, uint64_t printed, const char *why)
{
	uint64_t n = all > printed ? all - printed : 0;

	if (n)
		printf("  %" PRIu64 " more %s %s\n", n, n == 1 ? "line" : "lines", why);
}

static void print_change(const struct history_change *c, bool details)
{
	char at[32];

	printf("%s%" PRIu64 " %s%s %s: %s\n", color_bold(), c->id, time_text(c->at, at),
	       color_off(), c->user, c->command);
	if (details)
		print_details(c);
	vec_each (line, &c->lines)
		printf("  %s%c %s%s\n", color_of(line->sign), line->sign, line->text, color_off());
	print_rest(c->kept, c->lines.n, "with -v");
	print_rest(history_change_all(c), c->kept, "that are not kept");
}

/* A number from 1; the error says what is to be given. */
static int parse(const char *text, const char *what, uint64_t most, uint64_t *out,
		 struct error *err)
{
	char *end;

	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || !*out || *out > most)
		return error_usage(err, "%s", what);
	return 0;
}

/* 0: this host is in no cluster; 1: it is, and *out is that one's. */
static int load_of_cluster(const struct invocation *inv, size_t n, uint64_t id, size_t lines,
			   struct history *out, struct error *err)
{
#ifndef TN_WITHOUT_CLUSTER
	_cleanup_session_ struct session s;
	int ret = cluster_session(&inv->settings, &s, err);

	if (ret <= 0)
		return ret;
	return session_history(&s, n, id, lines, out, err) ? -1 : 1;
#else
	(void)inv, (void)n, (void)id, (void)lines, (void)out, (void)err;
	return 0;
#endif
}

static int load(const struct invocation *inv, size_t lines, struct history *out, struct error *err)
{
	const char *number = cmd_value(inv, "number");
	_cleanup_store_ struct store *store = NULL;
	uint64_t n = CHANGES, id = 0;
	int ret;

	if (number && inv->nargs)
		return error_usage(err, "give the number of one change, or how many with --number");
	if (number &&
	    parse(number, "--number: give how many changes to show, from 1", CHANGES_MAX, &n, err))
		return -1;
	if (inv->nargs &&
	    parse(inv->args[0], "give the number of a change, as `tenantnat show history` has it",
		  INT64_MAX, &id, err))
		return -1;
	ret = load_of_cluster(inv, n, id, lines, out, err);
	if (ret)
		return ret > 0 ? 0 : -1;
	if (store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err))
		return -1;
	return inv->nargs ? store_history_one(store, id, lines, out, err)
			  : store_history(store, n, lines, out, err);
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_history_ struct history h = { 0 };

	if (load(inv, inv->json || inv->verbose ? HISTORY_LINES_MAX : LINES, &h, err))
		return -1;
	if (inv->json) {
		json_t *list = history_json(&h);

		return list ? json_print(list, err)
			    : error_set(err,
					"a change in %s/state.db is no text; look at the table "
					"`history` with sqlite3",
					inv->settings.state);
	}
	vec_each (c, &h.list)
		print_change(c, inv->verbose);
	return 0;
}

const struct command cmd_show_history = {
	.name = "show history",
	.synopsis = "[CHANGE] [-v]",
	.summary = "Show who changed what, and when",
	.help = "The last changes of the definitions, the newest last: number, time, who, command, "
		"and the\n"
		"first lines of the plan. With -v all of its lines, and whether `tenantnat undo` "
		"can take it\n"
		"back. With the number of a change, that one alone. Repairs by `restore` and the "
		"agent are\n"
		"not among them.\n"
		"\n"
		"They are kept in state.db, in the transaction of the change itself: 10,000 "
		"changes, 20,000\n"
		"lines of each, and 200,000 of all. The oldest lines go first. On a host of a "
		"cluster they are\n"
		"the cluster's, from all hosts, with 200 lines of each; the numbers are revisions "
		"of "
		"etcd.\n"
		"\n"
		"JSON: [{\"change\": number, \"time\", \"uid\", \"user\", \"command\", \"added\", "
		"\"changed\",\n"
		"\"removed\": numbers, \"undoable\": true or false, \"lines\": [{\"sign\", "
		"\"text\"}]}]",
	.options = { { "number", 'n', "N", "how many changes to show (default 20)" } },
	.max_args = 1,
	.run = run,
};
