/* SPDX-License-Identifier: GPL-2.0-only */
/* Names for DNS: which there are, and whom they mean. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "model/dns.h"
#include "model/selection.h"

#define SIXTY "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

Test(dns, zones)
{
	static const char *const good[] = { "internal", "shared.internal", "A-1.b", "1.a",
					    SIXTY "abc.x" };
	static const char *const bad[] = { "",		 ".",
					   "a.",	 ".a",
					   "a..b",	 "-a",
					   "a-",	 "a-.b",
					   "a_b",	 "10.0.0.1",
					   "a b",	 "é",
					   SIXTY "abcd", SIXTY "." SIXTY "." SIXTY "." SIXTY };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(dns_zone_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(dns_zone_valid(bad[i]), "%s", bad[i]);
}

Test(dns, labels)
{
	static const struct {
		const char *tenant, *mapping, *fault;
	} rows[] = {
		{ "blue", "web", NULL },
		{ "Blue", "WEB-1", NULL },
		{ SIXTY, "ab", NULL },
		{ SIXTY, "abc", "it has 64 characters, and 63 is the most" },
		{ "a_b", "c", "it has a `_`" },
		{ "a", "b.c", "it has a `.`" },
		{ "a", "b-", "it ends with a hyphen" },
		{ "a-", "b", NULL },
		{ "a-", NULL, NULL },
		{ "a.b", NULL, "it has a `.`" },
		{ SIXTY "ab", NULL, "it has 64 characters, and 63 is the most" },
	};
	char buf[DNS_FAULT];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *fault = dns_fault(rows[i].tenant, rows[i].mapping, buf);

		cr_expect(rows[i].fault ? fault && strcmp(fault, rows[i].fault) == 0 : !fault,
			  "%s %s: %s", rows[i].tenant, rows[i].mapping, fault);
	}
}

#define DEFINITIONS                                                                      \
	"net 100.64.0.0/16 fd64::/64; zone shared.internal;"                             \
	"tenant blue; map 10.0.0.5 Web lease=100.64.2.5; map 10.0.0.6 lease=100.64.2.6;" \
	"map fd00::5 Web lease=fd64::2:5; map 10.0.0.7 my_db lease=100.64.2.7;"          \
	"tenant a; map 10.0.0.5 b-c lease=100.64.1.5; map 10.0.0.6 b lease=100.64.1.6;"  \
	"tenant a-b; map 10.0.0.5 C lease=100.64.3.5; map fd00::9 d lease=fd64::3:9;"    \
	"tenant shared.internal; tenant x.shared.internal; map 10.0.0.5 q lease=100.64.4.5;"

static void write_names(FILE *f, const char *what, const struct dns_name *v, size_t n)
{
	char label[DNS_LABEL_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		fprintf(f, "%s%s", what, dns_label(&v[i], label));
		for (int family = 0; family < FAMILIES; family++) {
			if (!addr_is_unset(&v[i].shared[family]))
				fprintf(f, " %s", ADDR(&v[i].shared[family]));
		}
		fputc('\n', f);
	}
}

Test(dns, all_names)
{
	_cleanup_model_ struct model m = model_of(DEFINITIONS);
	struct dns_names names;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	model_sort(&m);
	dns_names_make(&m, &names);
	write_names(f, "", names.list.v, names.list.n);
	write_names(f, "bad ", names.bad.v, names.bad.n);
	write_names(f, "twice ", names.twice.v, names.twice.n);
	fclose(f);
	expect_text(text,
		    "a-b 100.64.1.6\n"
		    "a-b-d fd64::3:9\n"
		    "blue-web 100.64.2.5 fd64::2:5\n"
		    "bad blue-my_db 100.64.2.7\n"
		    "bad x.shared.internal-q 100.64.4.5\n"
		    "twice a-b-c 100.64.1.5\n"
		    "twice a-b-c 100.64.3.5\n",
		    "names");
	dns_names_free(&names);
	free(m.zone);
	m.zone = NULL;
	dns_names_make(&m, &names);
	cr_expect_eq(names.list.n + names.bad.n + names.twice.n, 0);
}

Test(dns, prefixes_have_none)
{
	_cleanup_model_ struct model m = model_of("net 100.64.0.0/16; zone shared.internal; tenant "
						  "a; map 10.0.0.0/24 b lease=100.64.1.0/24;"
						  "map 10.0.1.5 c lease=100.64.2.5;");
	struct dns_names names;
	const char *mapping;

	model_sort(&m);
	dns_names_make(&m, &names);
	cr_expect_eq(names.list.n, 1);
	cr_expect_eq(names.bad.n, 0);
	cr_expect(dns_find(&m, "a-c.shared.internal", &mapping));
	cr_expect_null(dns_find(&m, "a-b.shared.internal", &mapping));
	dns_names_free(&names);
}

Test(dns, whom_a_name_means)
{
	static const struct {
		const char *word, *means;
	} rows[] = {
		{ "blue-web.shared.internal", "blue/Web" },
		{ "BLUE-WEB.Shared.Internal.", "blue/Web" },
		{ "a-b-d.shared.internal", "a-b/d" },
		{ "a-b.shared.internal", "a/b" },
		/* of two */
		{ "a-b-c.shared.internal", NULL },
		{ "blue-my_db.shared.internal", "blue/my_db" },
		{ "blue-web", NULL },
		{ "blue-web.shared", NULL },
		{ "blue-web.unshared.internal", NULL },
		{ ".shared.internal", NULL },
		{ "shared.internal", NULL },
		{ "", NULL },
	};
	_cleanup_model_ struct model m = model_of(DEFINITIONS);
	const char *mapping;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct tenant *t = dns_find(&m, rows[i].word, &mapping);
		char got[160] = "";

		if (t)
			snprintf(got, sizeof(got), "%s/%s", t->name, mapping);
		cr_expect_str_eq(got, rows[i].means ?: "", "%s: %s", rows[i].word, got);
	}
}

/* As an argument: a tenant of that name comes first. */
Test(dns, as_an_argument)
{
	static const struct {
		char *word;
		const char *tenant, *mapping;
	} rows[] = {
		{ "blue-web.shared.internal", "blue", "Web" },
		{ "x.shared.internal", "x.shared.internal", NULL },
	};
	_cleanup_model_ struct model m = model_of(DEFINITIONS);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_selection_ struct selection s = { 0 };
		struct error err = { 0 };

		cr_assert_eq(selection_read(&(char *){ rows[i].word }, 1, &s, &err), 0);
		cr_assert_eq(selection_check(&s, &m, &err), 0, "%s", err.text);
		cr_expect_str_eq(s.list.v[0].tenant, rows[i].tenant);
		cr_expect_str_eq(selection_scope(&s)->tenants[0], rows[i].tenant);
		cr_expect_str_eq(s.list.v[0].mapping ?: "", rows[i].mapping ?: "");
	}
}

/* What `map add` may not. */
Test(dns, a_mapping_that_is_added)
{
	static const struct {
		const char *tenant, *name, *error;
	} rows[] = {
		{ "blue", "db", NULL },
		{ "blue", "x_y",
		  "`blue-x_y` cannot be a name in the zone shared.internal: it has" },
		{ "a-b", "c2", NULL },
		{ "a", "B", "a/B would be called `a-B.shared.internal`, as a/b is" },
		{ "a", "b-D", "a/b-D would be called `a-b-D.shared.internal`, as a-b/d is" },
	};
	_cleanup_model_ struct model m = model_of(DEFINITIONS);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mapping added = { .name = (char *)rows[i].name };
		struct error err = { 0 };
		int ret;

		cr_assert(addr_parse("10.7.7.7", &added.fixed));
		ret = model_check_mapping(&m, model_tenant(&m, rows[i].tenant), &added, &err);
		cr_expect_eq(ret, rows[i].error ? -1 : 0, "%s", err.text);
		cr_expect(!rows[i].error || (err.usage && strstr(err.text, rows[i].error)), "%s",
			  err.text);
	}
	/* the other family of one that is there */
	{
		struct mapping added = { .name = (char *)"d" };
		struct error err = { 0 };

		cr_assert(addr_parse("10.7.7.7", &added.fixed));
		cr_expect_eq(model_check_mapping(&m, model_tenant(&m, "a-b"), &added, &err), 0,
			     "%s", err.text);
	}
}
