/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "model/selection.h"

#define DEFINITIONS                                                                         \
	"net 100.64.0.0/16; net fd64::/64;"                                                 \
	"tenant blue id=1; map 10.0.0.5 web pin=100.64.2.5; map 10.0.0.9 pin=100.64.2.9;"   \
	"tenant red id=2; map 10.0.0.5 Web pin=100.64.1.5; map 10.0.0.6 db pin=100.64.1.6;" \
	"map fd00::6 db pin=fd64::6;"                                                       \
	"accept from=blue to=db tcp/5432-5432; accept from=blue to=10.0.0.5 tcp/80-80;"     \
	"accept from=* udp; tenant redder id=3;"

/* "blue/10.0.0.5 red/10.0.0.6 | red 1 3": mappings, and tenants with the rules that it has. */
static char *selected(const char *words, struct error *err)
{
	_cleanup_model_ struct model m = model_of(DEFINITIONS);
	_cleanup_selection_ struct selection s = { 0 };
	_cleanup_free_ char *copy = strdup(words);
	char *list[8], *rest = copy, *word, *text = NULL;
	size_t size;
	int n = 0;
	FILE *f = open_memstream(&text, &size);

	model_sort(&m);
	while ((word = strsep(&rest, ",")))
		list[n++] = word;
	if (selection_read(list, *words ? n : 0, &s, err) || selection_check(&s, &m, err)) {
		fprintf(f, "%s%s", err->usage ? "" : "not a usage error: ", err->text);
		fclose(f);
		return text;
	}
	vec_each (t, &m.tenants) {
		vec_each (one, &t->mappings) {
			if (selection_has_mapping(&s, t, one))
				fprintf(f, "%s/%s ", t->name, ADDR(&one->fixed));
		}
	}
	fputc('|', f);
	vec_each (t, &m.tenants) {
		if (!selection_has(&s, t))
			continue;
		fprintf(f, " %s%s", t->name, selection_is_narrow(&s, t) ? "," : "");
		vec_each (r, &t->accept) {
			if (selection_has_rule(&s, t, r))
				fprintf(f, " %zu", r - t->accept.v + 1);
		}
	}
	fclose(f);
	return text;
}

Test(selection, tenants_and_mappings)
{
	static const struct {
		const char *words, *expected;
	} rows[] = {
		{ "", "blue/10.0.0.5 blue/10.0.0.9 red/10.0.0.5 red/10.0.0.6 red/fd00::6 "
		      "| blue red 1 2 3 redder" },
		{ "red", "red/10.0.0.5 red/10.0.0.6 red/fd00::6 | red 1 2 3" },
		{ "redder,blue", "blue/10.0.0.5 blue/10.0.0.9 | blue redder" },
		/* a name is in both families, and what it is named by in a rule does not matter */
		{ "red/db", "red/10.0.0.6 red/fd00::6 | red, 1 3" },
		{ "red/10.0.0.6", "red/10.0.0.6 | red, 1 3" },
		{ "red/Web", "red/10.0.0.5 | red, 2 3" },
		{ "red/FD00::6", "red/fd00::6 | red, 1 3" },
		{ "red/db,blue/10.0.0.9",
		  "blue/10.0.0.9 red/10.0.0.6 red/fd00::6 | blue, red, 1 3" },
		{ "red/db,red", "red/10.0.0.5 red/10.0.0.6 red/fd00::6 | red 1 2 3" },
		{ "red,red/db", "red/10.0.0.5 red/10.0.0.6 red/fd00::6 | red 1 2 3" },
		/* who is not there, and who may be meant */
		{ "bleu", "there is no tenant bleu; did you mean `blue`?" },
		{ "green", "there is no tenant green; `tenantnat show` lists them" },
		{ "green/db", "there is no tenant green; `tenantnat show` lists them" },
		{ "Web", "there is no tenant Web; did you mean `red/Web`?" },
		{ "db", "there is no tenant db; did you mean `red/db`?" },
		{ "100.64.2.9", "there is no tenant 100.64.2.9; did you mean `blue/10.0.0.9`?" },
		{ "red/bd", "tenant red has no mapping bd; did you mean `db`?" },
		{ "red/wEb", "tenant red has no mapping wEb; did you mean `Web`?" },
		{ "red/mail",
		  "tenant red has no mapping mail; `tenantnat map list red` lists them" },
		{ "red/10.0.0.7",
		  "tenant red has no mapping 10.0.0.7; `tenantnat map list red` lists them" },
		{ "red,nobody", "there is no tenant nobody; `tenantnat show` lists them" },
		/* what is no name */
		{ "red,/db", "`/db` names nothing; give TENANT or TENANT/MAPPING" },
		{ "red/", "`red/` names nothing; give TENANT or TENANT/MAPPING" },
		{ "red,", "`` names nothing; give TENANT or TENANT/MAPPING" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = { 0 };

		expect_text(selected(rows[i].words, &err), rows[i].expected, rows[i].words);
	}
}

Test(selection, of_commands_about_tenants)
{
	_cleanup_model_ struct model m = model_of(DEFINITIONS);
	struct error err = { 0 };

	cr_expect_str_eq(tenant_named(&m, "red", &err)->name, "red");
	cr_expect_null(tenant_named(&m, "red/db", &err));
	cr_expect(err.usage);
	cr_expect_str_eq(err.text,
			 "red/db: this is about tenants, not single mappings; give `red`");
}
