/* SPDX-License-Identifier: GPL-2.0-only */
/* Rules in words. */
#include "model/policy.h"
#include "model/service.h"

static char *join_names(char *const *names, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("");
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%s", i ? ", " : "", names[i]);
	fclose(f);
	return text;
}

char *rule_from_text(const struct rule *r)
{
	return r->any ? xstrdup("*") : join_names(r->from.v, r->from.n);
}

char *rule_to_text(const struct rule *r)
{
	return join_names(r->to.v, r->to.n);
}

char *rule_services_text(const struct rule *r)
{
	char one[SERVICE_TEXT];
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return xstrdup("");
	for (size_t i = 0; i < r->services.n;) {
		const char *comma = i ? ", " : "";

		i += service_text(&r->services.v[i], r->services.n - i, one);
		fprintf(f, "%s%s", comma, one);
	}
	fclose(f);
	return text;
}
