/* SPDX-License-Identifier: GPL-2.0-only */
#include "doctor/collect_drift.h"

/* What a router has that became a standby while no agent ran: it does no harm. */
static bool is_too_much(const struct plan_line *line)
{
	return line->sign == '-' && (strncmp(line->text, "route ", 6) == 0 ||
				     strncmp(line->text, "solicited-node groups ", 22) == 0 ||
				     strncmp(line->text, "all-multicast ", 14) == 0 ||
				     strstr(line->text, PLAN_GIVEN_BY_OTHERS));
}

/* Programs that are only of another build, and what counts only when an interface is lost. */
static bool is_minor(const struct plan_line *line)
{
	return is_too_much(line) || (line->sign == '~' && strncmp(line->text, "router ", 7) == 0) ||
	       strstr(line->text, " unreachable, as the last resort");
}

static void take(const struct outcome *from, struct drift *out)
{
	vec_each (line, &from->text.lines) {
		struct drift_line *l = vec_push(&out->lines);

		if (asprintf(&l->text, "%c %s", line->sign, line->text) < 0)
			l->text = xstrdup(line->text);
		l->minor = is_minor(line);
	}
	vec_each (failure, &from->failed.list) {
		struct drift_failure *f = vec_push(&out->failed);

		f->tenant = xstrdup(failure->tenant);
		f->text = xstrdup(failure->text);
	}
}

void collect_drift(const struct settings *settings, const struct scope *scope, struct drift *out)
{
	struct change_how how = {
		.scope = scope, .dry_run = true, .partial = true, .restore = true, .agent = true
	};
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome done = { 0 };

	out->writer = store_holder(settings->state);
	if (out->writer)
		return;
	if ((scope ? change_begin_some(settings, STORE_READ, scope, &c, &out->error)
		   : change_begin(settings, STORE_READ, NULL, &c, &out->error)) == 0 &&
	    change_make(&c, &how, &done, &out->error) == 0)
		take(&done, out);
	/* it may have come meanwhile */
	out->writer = store_holder(settings->state);
}
