/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdarg.h>

#include "doctor/doctor_internal.h"

static const struct {
	const char *name, *meaning;
} kinds[] = {
#define X(id, name, meaning) [FINDING_##id] = { name, meaning },
	FINDINGS(X)
#undef X
};

static const char *const severities[] = {
#define X(id, name) [SEVERITY_##id] = name,
	SEVERITIES(X)
#undef X
};

const char *finding_name(enum finding_id id)
{
	return kinds[id].name;
}

const char *finding_meaning(enum finding_id id)
{
	return kinds[id].meaning;
}

const char *severity_name(enum severity severity)
{
	return severities[severity];
}

void diagnosis_free(struct diagnosis *f)
{
	vec_each (one, &f->list) {
		free(one->tenant);
		free(one->interface);
		free(one->seen);
		free(one->remedy);
	}
	vec_free(&f->list);
}

size_t diagnosis_count(const struct diagnosis *f, enum severity severity)
{
	size_t n = 0;

	vec_each (one, &f->list)
		n += one->severity == severity;
	return n;
}

static char *format(const char *text, va_list args)
{
	char *out;

	return vasprintf(&out, text, args) < 0 ? xstrdup("") : out;
}

struct diagnosed *diagnosis_add(struct diagnosis *out, enum finding_id id, enum severity severity,
				const char *interface, const char *seen, ...)
{
	struct diagnosed *f = vec_push(&out->list);
	va_list args;

	f->id = id;
	f->severity = severity;
	f->tenant = out->tenant ? xstrdup(out->tenant) : NULL;
	f->interface = interface ? xstrdup(interface) : NULL;
	va_start(args, seen);
	f->seen = format(seen, args);
	va_end(args);
	return f;
}

void remedy(struct diagnosed *f, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	f->remedy = format(text, args);
	va_end(args);
}

/* An error says what is wrong, and behind the first semicolon what to do. */
void diagnosis_add_error(struct diagnosis *out, enum finding_id id, enum severity severity,
			 const struct error *err)
{
	size_t cut = strcspn(err->text, ";");
	struct diagnosed *f = diagnosis_add(out, id, severity, NULL, "%.*s", (int)cut, err->text);

	if (err->text[cut])
		remedy(f, "%s", err->text + cut + strspn(err->text + cut, "; "));
	else
		remedy(f, "%s",
		       severity == SEVERITY_UNCHECKED ? "run as root"
						      : "see to that, and run doctor again");
}
