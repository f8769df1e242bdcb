/* SPDX-License-Identifier: GPL-2.0-only */
/* What is said of a change: to people, and to the history. */
#include "change/change_parts.h"

#include <pwd.h>
#include <time.h>

#include "lib/log.h"
#include "lib/output.h"
#include "model/select.h"

void outcome_free(struct outcome *out)
{
	plan_text_free(&out->text);
	failures_free(&out->failed);
	vec_each (tenant, &out->unannounced)
		free(*tenant);
	vec_free(&out->unannounced);
}

/* Of fewer mappings it is seen in the plan. */
#define LOST_MIN 10

size_t change_loss(struct change *c, char text[CHANGE_LOSS])
{
	size_t all = model_mappings(&c->had), lost;

	model_sort(&c->will);
	lost = model_lost(&c->had, &c->will);
	text[0] = '\0';
	if (!c->will.tenants.n && c->had.tenants.n)
		snprintf(text, CHANGE_LOSS, "no tenant is left: this removes %zu %s, with %zu %s",
			 c->had.tenants.n, plural(c->had.tenants.n, "tenant", "tenants"), all,
			 plural(all, "mapping", "mappings"));
	else if (lost >= LOST_MIN && 2 * lost > all)
		snprintf(text, CHANGE_LOSS, "this removes %zu of %zu mappings", lost, all);
	return lost;
}

void outcome_print(const struct outcome *o, bool dry_run)
{
	const char *to = dry_run ? "to " : "";

	vec_each (line, &o->text.lines)
		printf("%s%c %s%s\n",
		       line->sign == '+'   ? color_added()
		       : line->sign == '-' ? color_removed()
					   : color_changed(),
		       line->sign, line->text, color_off());
	if (!o->text.lines.n)
		printf("nothing to be done\n");
	else
		printf("%zu %s%s, %zu %s%s, %zu %s%s\n", o->text.added, to,
		       dry_run ? "add" : "added", o->text.changed, to,
		       dry_run ? "change" : "changed", o->text.removed, to,
		       dry_run ? "remove" : "removed");
}

json_t *outcome_json(const struct outcome *o)
{
	json_t *lines = json_array(), *failed = json_array();
	bool is_text = true;

	vec_each (line, &o->text.lines) {
		char sign[] = { line->sign, '\0' };

		is_text &= !json_array_append_new(
			lines, json_pack("{s:s, s:s}", "sign", sign, "text", line->text));
	}
	vec_each (f, &o->failed.list)
		is_text &= !json_array_append_new(
			failed, json_pack("{s:s, s:s}", "tenant", f->tenant, "text", f->text));
	if (!is_text) {
		json_decref(lines);
		json_decref(failed);
		return NULL;
	}
	return json_pack("{s:o, s:I, s:I, s:I, s:o}", "lines", lines, "added",
			 (json_int_t)o->text.added, "changed", (json_int_t)o->text.changed,
			 "removed", (json_int_t)o->text.removed, "failed", failed);
}

void outcome_log(const struct outcome *o)
{
	char tenant[TENANT_NAME_MAX + 1];

	vec_each (line, &o->text.lines)
		log_about(LOG_NOTICE, plan_line_tenant(line, tenant), "changed", "%c %s",
			  line->sign, line->text);
}

int outcome_failed(const struct outcome *out, const char *what, struct error *err)
{
	fflush(stdout);
	vec_each (f, &out->failed.list)
		log_about(LOG_ERROR, f->tenant, "failed", "%s", f->text);
	if (!out->failed.list.n)
		return 0;
	return error_set(err, "%zu of the routers could not be %s; correct that, and restore again",
			 out->failed.list.n, what);
}

/* What names are made of; all else is replaced. */
static void put_name(FILE *f, const char *name)
{
	for (; *name; name++)
		fputc(*name > 0x20 && *name < 0x7f ? *name : '?', f);
}

char *change_user(void)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("?");
	put_name(f, pw ? pw->pw_name : "?");
	if (sudo && *sudo) {
		fputs(" (sudo ", f);
		put_name(f, sudo);
		fputc(')', f);
	}
	fclose(f);
	return text;
}

/*
 * For `show history`. What changes nothing is no change, nor is what puts back what the definitions
 * say: a router that needs that again and again would push out all else.
 */
int change_note(struct change *c, const struct change_how *how, const struct outcome *out,
		struct error *err)
{
	struct history_change change = { .at = time(NULL),
					 .uid = getuid(),
					 .added = out->text.added,
					 .changed = out->text.changed,
					 .removed = out->text.removed };
	int ret;

	if (!out->text.lines.n || how->restore)
		return 0;
	change.user = change_user();
	change.command = xstrdup(c->settings->line);
	for (size_t i = 0; i < out->text.lines.n && i < HISTORY_LINES_MAX; i++)
		*vec_push(&change.lines) =
			(struct history_line){ out->text.lines.v[i].sign,
					       xstrdup(out->text.lines.v[i].text) };
	ret = store_note(c->store, &change, &c->had, &c->will, err);
	history_change_clear(&change);
	return ret;
}
