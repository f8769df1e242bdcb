/* SPDX-License-Identifier: GPL-2.0-only */
/* show history: who changed what, and when. */
#include <time.h>

#include "cmd/cmd.h"
#include "lib/output.h"
#include "store/store.h"

#define CHANGES	    20
#define CHANGES_MAX 1000000

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
		json_t *change = json_pack("{s:s, s:I, s:s, s:s, s:o}", "time",
					   time_text(c->at, at), "uid", (json_int_t)c->uid, "user",
					   c->user, "command", c->command, "lines", lines_json(c));

		if (json_array_append_new(list, change)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static void print_change(const struct history_change *c)
{
	char at[32];

	printf("%s%s%s %s: %s\n", color_bold(), time_text(c->at, at), color_off(), c->user,
	       c->command);
	vec_each (line, &c->lines)
		printf("  %s%c %s%s\n", color_of(line->sign), line->sign, line->text, color_off());
}

static int changes_asked(const struct invocation *inv, size_t *out, struct error *err)
{
	const char *text = cmd_value(inv, "number");
	char *end;

	*out = CHANGES;
	if (!text)
		return 0;
	*out = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || !*out || *out > CHANGES_MAX)
		return error_usage(err, "--number %s: give how many changes to show, from 1", text);
	return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;
	_cleanup_history_ struct history h = { 0 };
	size_t n;

	if (changes_asked(inv, &n, err) ||
	    store_open(inv->settings.state, STORE_READ, 0, inv->settings.command, &store, err) ||
	    store_history(store, n, &h, err))
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
		print_change(c);
	return 0;
}

const struct command cmd_show_history = {
	.name = "show history",
	.synopsis = "",
	.summary = "Show who changed what, and when",
	.help = "The last changes of the definitions, the newest last, with the lines that their\n"
		"plans had. They are kept in state.db, in the transaction of the change itself:\n"
		"10,000 changes, and 1,000 lines of each. Repairs by `restore` and the agent are\n"
		"not among them.\n\n"
		"JSON: [{\"time\", \"uid\", \"user\", \"command\", \"lines\": [{\"sign\", "
		"\"text\"}]}]",
	.options = { { "number", 'n', "N", "how many changes to show (default 20)" } },
	.run = run,
};
