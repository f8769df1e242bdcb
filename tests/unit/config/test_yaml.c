/* SPDX-License-Identifier: GPL-2.0-only */
/* How a file is written, and files that are no YAML. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "config_fixture.h"

static void expect_same(const struct model *a, const struct model *b)
{
	cr_assert_eq(a->subnets.n, b->subnets.n);
	cr_assert_eq(a->tenants.n, b->tenants.n);
	for (size_t i = 0; i < a->tenants.n; i++) {
		const struct tenant *t = &a->tenants.v[i], *u = &b->tenants.v[i];

		cr_expect_str_eq(t->name, u->name);
		cr_expect_eq(!t->router, !u->router);
		cr_expect_eq(t->pools.n, u->pools.n);
		cr_assert_eq(t->mappings.n, u->mappings.n);
		for (size_t k = 0; k < t->mappings.n; k++)
			cr_expect_eq(addr_cmp(&t->mappings.v[k].fixed, &u->mappings.v[k].fixed), 0);
	}
}

/* How a file is written does not matter: its ends of line, its markers, its quotes, its style. */
Test(config, style_does_not_matter)
{
	static const char json[] =
		"{\"tenants\": [\n"
		" {\"mappings\": [{\"fixed\": \"10.0.0.5\", \"shared\": \"100.64.1.9\",\n"
		"  \"name\": \"db\"},\n"
		"  {\"fixed\": \"fd00:10::5\", \"shared\": \"fd64::1:9\", \"name\": \"db\"},\n"
		"  {\"fixed\": \"10.0.0.6\"}], \"name\": \"red\",\n"
		"  \"router\": {\"netns\": \"red\"}, \"pool\": [\"100.64.1.0/24\", "
		"\"fd64::1:0/112\"]},\n"
		" {\"name\": \"blue\", \"router\": {},\n"
		"  \"mappings\": [{\"fixed\": \"10.0.0.5\"}]},\n"
		" {'name': 'host', 'pool': ['100.64.0.250'],\n"
		"  'mappings': [{'shared': '100.64.0.250', 'fixed': '10.9.9.9'}]}],\n"
		" \"shared-network\": {\"subnets\": [\"100.64.0.0/16\", \"fd64::/64\"]}}\n";
	_cleanup_model_ struct model plain = good(everything), other = good(json), dos = { 0 },
				     marked = { 0 };
	_cleanup_text_ struct text crlf = { 0 }, markers = { 0 };

	expect_same(&plain, &other);
	text_add(&markers, "\xef\xbb\xbf%%YAML 1.1\n---\n");
	for (const char *s = everything; *s; s++) {
		text_add(&crlf, "%s%c", *s == '\n' ? "\r" : "", *s);
		text_add(&markers, "%c", *s);
	}
	text_add(&markers, "...\n# the end\n");
	dos = good_bytes(crlf.v, crlf.n);
	expect_same(&plain, &dos);
	expect_pos(dos.tenants.v[0].mappings.v[1].pos, 17, 9);
	marked = good_bytes(markers.v, markers.n);
	expect_same(&plain, &marked);
}

Test(config, positions_with_crlf)
{
	static const char yaml[] = "shared-network: {subnets: [100.64.0.0/33]}\r\n"
				   "# \r\n\r\n"
				   "tenants: x\r\n";
	_cleanup_text_ struct text got = errors_of(yaml, strlen(yaml));

	cr_expect_str_eq(got.v, "1:28: `100.64.0.0/33` is not a prefix; write it like "
				"`100.64.0.0/16`\n"
				"4:10: `tenants` must be a list, not one value; write it like "
				"`tenants: [{name: red}]`\n");
}

Test(config, too_large)
{
	_cleanup_text_ struct text got = errors_of("x", ((size_t)512 << 20) + 1);

	cr_expect_str_eq(got.v, "1:1: the file is larger than 512 MiB; see whether it is the right "
				"one\n");
}

/* Brackets without end, keys without end: refused, and at once. */
Test(config, endless, .timeout = 60)
{
	static const char *const pieces[] = {
		"[",   "{",   "- ", "? ", "{a: ",  "[a, ", "a: [",  "\"", "&a ",
		"!t ", "*a ", "'",  "|",  "a:\n ", "#",	   "---\n", "%",  "- a\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		_cleanup_text_ struct text yaml = { 0 };
		struct config_errors errors;

		for (int k = 0; k < 30000; k++)
			text_add(&yaml, "%s", pieces[i]);
		cr_expect_eq(parse_any(yaml.v, yaml.n, &errors), -1, "%s", pieces[i]);
		config_errors_free(&errors);
	}
}

/* Cut off anywhere, a file is good or refused; the copy has no byte behind it to read. */
Test(config, cut_off_anywhere)
{
	size_t refused = 0, len = strlen(everything);

	for (size_t n = 0; n <= len; n++) {
		_cleanup_free_ char *bytes = xrealloc(NULL, n, 1);
		struct config_errors errors;

		memcpy(bytes, everything, n);
		refused += parse_any(bytes, n, &errors) < 0;
		config_errors_free(&errors);
	}
	cr_expect(refused > len / 2 && refused < len);
}

/* Bytes changed, swapped with others of the file, or doubled: good or refused. */
Test(config, damaged_anywhere, .timeout = 120)
{
	static const char alphabet[] = "\0\t\n\r :-,[]{}#&*!|>'\"%@`?<~/.0123459afx"
				       "\x7f\x80\xc3\xa9\xff";
	const uint32_t len = (uint32_t)strlen(everything);
	struct dice dice = { 20240229 };
	size_t refused = 0;

	for (int round = 0; round < 20000; round++) {
		_cleanup_free_ char *bytes = xrealloc(NULL, len, 1);
		struct config_errors errors;

		memcpy(bytes, everything, len);
		for (uint32_t n = 1 + roll(&dice, 4); n; n--) {
			uint32_t at = roll(&dice, len), from = roll(&dice, len);
			uint32_t size = roll(&dice, 40);

			switch (roll(&dice, 3)) {
			case 0:
				bytes[at] = alphabet[roll(&dice, sizeof(alphabet) - 1)];
				break;
			case 1:
				bytes[at] ^= (char)(1 << roll(&dice, 8));
				break;
			default:
				if (size > len - (at > from ? at : from))
					size = len - (at > from ? at : from);
				memmove(bytes + at, bytes + from, size);
			}
		}
		refused += parse_any(bytes, len, &errors) < 0;
		config_errors_free(&errors);
	}
	cr_expect(refused > 10000 && refused < 20000, "%zu", refused);
}
