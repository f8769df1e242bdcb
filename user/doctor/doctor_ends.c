/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules of `accept` that have ended, or are about to. */
#include "doctor/doctor_internal.h"
#include "model/policy.h"
#include "model/until.h"

/* More of one tenant's are only counted. */
#define LISTED 20

/* "3 days", at least a minute. */
static const char *span_text(int64_t seconds, char buf[32])
{
	int64_t n = seconds >= 172800 ? seconds / 86400
		    : seconds >= 7200 ? seconds / 3600
		    : seconds >= 120  ? seconds / 60
				      : 1;
	const char *unit = seconds >= 172800 ? "days"
			   : seconds >= 7200 ? "hours"
			   : seconds >= 120  ? "minutes"
					     : "minute";

	snprintf(buf, 32, "%d %s", (int)n, unit);
	return buf;
}

static void judge_rule(const struct rule *r, const char *file, time_t now, struct diagnosis *out)
{
	_cleanup_free_ char *from = rule_from_text(r), *to = rule_to_text(r);
	int64_t left = (int64_t)r->until - now;
	char until[UNTIL_TEXT], span[32];

	until_text(r->until, until);
	span_text(left > 0 ? left : -left, span);
	if (left > 0)
		remedy(diagnosis_add(out, FINDING_ENDS, SEVERITY_WARNING, NULL,
				     "%s:%u: the rule for %s%s%s ends in %s (until %s)", file,
				     r->pos.line, from, *to ? " to " : "", to, span, until),
		       "give it a later `until` and apply, if it is to go on");
	else
		remedy(diagnosis_add(out, FINDING_ENDS, SEVERITY_WARNING, NULL,
				     "%s:%u: the rule for %s%s%s ended %s ago (until %s)", file,
				     r->pos.line, from, *to ? " to " : "", to, span, until),
		       "remove it, or give it a later `until`, and apply");
}

void doctor_ends(const struct tenant *t, const char *file, time_t now, struct diagnosis *out)
{
	size_t n = 0;

	out->tenant = t->name;
	vec_each (r, &t->accept) {
		if (rule_ends_soon(r, now) && n++ < LISTED)
			judge_rule(r, file ? file : "line", now, out);
	}
	if (n > LISTED)
		diagnosis_add(out, FINDING_ENDS, SEVERITY_WARNING, NULL, "and %zu more",
			      n - LISTED);
	out->tenant = NULL;
}
