/* SPDX-License-Identifier: GPL-2.0-only */
#include "probe/findings.h"

#include <stdarg.h>

const char *probe_name(enum probe probe)
{
	static const char *const names[] = {
#define X(id, name) name,
		PROBES(X)
#undef X
	};

	return names[probe];
}

const char *probe_result_name(enum probe_result result)
{
	static const char *const names[] = {
#define X(id, name) name,
		PROBE_RESULTS(X)
#undef X
	};

	return names[result];
}

void findings_free(struct findings *f)
{
	vec_each (one, &f->list) {
		free(one->subject);
		free(one->text);
		free(one->remedy);
	}
	vec_free(&f->list);
}

const struct finding *findings_failure(const struct findings *f)
{
	vec_each (one, &f->list) {
		if (one->result == PROBE_FAILED)
			return one;
	}
	return NULL;
}

static char *format_text(const char *format, va_list args)
{
	char *text;

	return vasprintf(&text, format, args) < 0 ? xstrdup("") : text;
}

struct finding *findings_add(struct findings *f, enum probe probe, enum probe_result result,
			     const char *subject, const char *format, ...)
{
	struct finding *one = vec_push(&f->list);
	va_list args;

	one->probe = probe;
	one->result = result;
	one->subject = xstrdup(subject);
	va_start(args, format);
	one->text = format_text(format, args);
	va_end(args);
	return one;
}

void finding_remedy(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	f->remedy = format_text(format, args);
	va_end(args);
}

void findings_add_error(struct findings *f, enum probe probe, const char *subject,
			const struct error *err)
{
	size_t cut = strcspn(err->text, ";");
	const char *rest = err->text + cut + strspn(err->text + cut, "; ");
	struct finding *one =
		findings_add(f, probe, PROBE_FAILED, subject,
			     "expected an answer of the kernel; seen: %.*s", (int)cut, err->text);

	finding_remedy(one, "%s", *rest ? rest : "see to that, and run `tenantnat check` again");
}

bool finding_is_about(const struct finding *f, const char *tenant)
{
	const char *who = strchr(f->subject, '(');
	size_t n = strlen(tenant);

	return who && strncmp(who + 1, tenant, n) == 0 && strcmp(who + 1 + n, ")") == 0;
}
