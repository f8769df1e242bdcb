/* SPDX-License-Identifier: GPL-2.0-only */
#include "config_fixture.h"

#include <criterion/criterion.h>
#include <stdarg.h>

const char everything[] = "shared-network:\n"
			  "  subnets: [100.64.0.0/16, \"fd64::/64\"]\n"
			  "tenants:\n"
			  "  - name: red                  # a comment\n"
			  "    router:\n"
			  "      netns: red\n"
			  "      shared: shared0\n"
			  "      inside: [lan0, lan1]\n"
			  "      hook: auto\n"
			  "      address: [100.64.0.2, \"fd64::2\"]\n"
			  "      routes: [{to: 100.64.9.0/24, via: 100.64.0.1}]\n"
			  "    pool: [100.64.1.0/24, \"fd64::1:0/112\"]\n"
			  "    mappings:\n"
			  "      - name: db\n"
			  "        fixed: 10.0.0.5\n"
			  "        shared: 100.64.1.9\n"
			  "      - {name: db, fixed: fd00:10::5, shared: \"fd64::1:9\"}\n"
			  "      - fixed: 10.0.0.6\n"
			  "  - name: blue\n"
			  "    router: {hook: xdp-generic, netns: /run/netns/blue}\n"
			  "    mappings:\n"
			  "      - fixed: 10.0.0.5\n"
			  "  - name: host\n"
			  "    pool: [100.64.0.250]\n"
			  "    mappings: [{fixed: 10.9.9.9, shared: 100.64.0.250}]\n"
			  "# caf\xc3\xa9\n";

void text_free(struct text *t)
{
	vec_free(t);
}

void __attribute__((format(printf, 2, 3))) text_add(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	while (t->n + 512 > t->cap) {
		t->cap = 2 * t->cap + 512;
		t->v = xrealloc(t->v, t->cap, 1);
	}
	va_start(args, format);
	n = vsnprintf(t->v + t->n, t->cap - t->n, format, args);
	va_end(args);
	cr_assert(n >= 0 && n < 512);
	t->n += (size_t)n;
}

struct model good_bytes(const char *bytes, size_t len)
{
	struct config_errors errors;
	struct model m;
	int ret = config_parse(bytes, len, "t.yaml", &m, &errors);

	cr_assert_eq(errors.list.n, 0, "%s", errors.list.v ? errors.list.v[0] : "");
	cr_assert_eq(ret, 0);
	cr_assert_eq(errors.dropped, 0);
	return m;
}

struct model good(const char *yaml)
{
	return good_bytes(yaml, strlen(yaml));
}

int parse_any(const char *bytes, size_t len, struct config_errors *errors)
{
	_cleanup_model_ struct model m = { 0 };
	unsigned int line = 0, col = 0;
	int ret = config_parse(bytes, len, "t.yaml", &m, errors);

	cr_assert(ret == 0 || ret == -1);
	cr_assert_eq(ret == 0, errors->list.n == 0);
	cr_assert_leq(errors->list.n, (size_t)CONFIG_ERRORS_MAX);
	if (ret < 0)
		cr_assert(!m.tenants.v && !m.subnets.v);
	else
		cr_assert(m.subnets.n > 0);
	vec_each (text, &errors->list) {
		unsigned int at_line, at_col;
		int end = 0;

		cr_assert_eq(sscanf(*text, "t.yaml:%u:%u: %n", &at_line, &at_col, &end), 2, "%s",
			     *text);
		cr_assert(at_line > 0 && at_col > 0 && end > 0 && (*text)[end], "%s", *text);
		cr_assert(at_line > line || (at_line == line && at_col >= col), "order: %s", *text);
		line = at_line;
		col = at_col;
	}
	return ret;
}

struct text errors_of(const char *bytes, size_t len)
{
	struct config_errors errors;
	struct text text = { 0 };

	cr_assert_eq(parse_any(bytes, len, &errors), -1);
	vec_each (error, &errors.list)
		text_add(&text, "%s\n", *error + strlen("t.yaml:"));
	config_errors_free(&errors);
	return text;
}

void expect_pos(struct pos at, uint32_t line, uint32_t col)
{
	cr_expect(at.line == line && at.col == col, "%u:%u, not %u:%u", at.line, at.col, line, col);
}
