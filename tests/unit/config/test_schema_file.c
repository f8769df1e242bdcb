/* SPDX-License-Identifier: GPL-2.0-only */
/* The JSON Schema has what the parser's tables have: every key, its kind, what is required. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "config/parse.h"

static json_t *schema;

static void read_schema(void)
{
	const char *tests = strstr(__FILE__, "tests/unit/config/");
	json_error_t err;
	char path[4096];

	cr_assert(tests);
	snprintf(path, sizeof(path), "%.*spackaging/tenantnat.schema.json", (int)(tests - __FILE__),
		 __FILE__);
	schema = json_load_file(path, JSON_REJECT_DUPLICATES, &err);
	cr_assert(schema, "%s:%d: %s", path, err.line, err.text);
}

static void free_schema(void)
{
	json_decref(schema);
}

TestSuite(schema, .init = read_schema, .fini = free_schema);

/* What a node stands for: "$ref" leads to a definition. */
static const json_t *resolve(const json_t *node)
{
	static const char definitions[] = "#/definitions/";
	const char *ref = json_string_value(json_object_get(node, "$ref"));

	if (!ref)
		return node;
	cr_assert_eq(strncmp(ref, definitions, strlen(definitions)), 0, "%s", ref);
	node = json_object_get(json_object_get(schema, "definitions"), ref + strlen(definitions));
	cr_assert(node, "%s leads nowhere", ref);
	return resolve(node);
}

/* Whether `type` is, or has, that one. */
static bool has_type(const json_t *node, const char *type)
{
	const json_t *types = json_object_get(node, "type"), *one;
	size_t i;

	if (json_is_string(types))
		return strcmp(json_string_value(types), type) == 0;
	json_array_foreach((json_t *)types, i, one)
	{
		if (strcmp(json_string_value(one), type) == 0)
			return true;
	}
	return false;
}

static bool has_text(const json_t *list, const char *text)
{
	const json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
	{
		if (strcmp(json_string_value(one), text) == 0)
			return true;
	}
	return false;
}

static void expect_level(const struct level *level, const json_t *node);

static void expect_list(const struct key *key, const json_t *node, bool of_maps)
{
	const json_t *items = resolve(json_object_get(node, "items"));

	cr_expect(has_type(node, "array"), "`%s` is no list", key->name);
	cr_expect_eq(!json_object_get(node, "minItems"), !!(key->flags & MAY_BE_EMPTY),
		     "`%s`: minItems", key->name);
	cr_expect_eq(has_type(items, "object"), of_maps, "items of `%s`", key->name);
	if (of_maps)
		expect_level(key->level, items);
}

static void expect_text(const struct key *key, const json_t *node)
{
	cr_expect(!has_type(node, "array") && !has_type(node, "object"), "`%s` is no text",
		  key->name);
}

static void expect_key(const struct key *key, const json_t *property)
{
	const json_t *node = resolve(property), *forms = json_object_get(node, "anyOf");
	const char *description = json_string_value(json_object_get(property, "description"));

	cr_expect(description && *description, "`%s` is not described", key->name);
	switch (key->kind) {
	case TEXT:
		expect_text(key, node);
		break;
	case MAP:
		cr_expect(has_type(node, "object"), "`%s` are no keys and values", key->name);
		cr_expect_eq(has_type(node, "null"), !!(key->flags & MAY_BE_EMPTY), "`%s`: null",
			     key->name);
		expect_level(key->level, node);
		break;
	case TEXTS:
	case MAPS:
		expect_list(key, node, key->kind == MAPS);
		break;
	case TEXT_OR_TEXTS:
		cr_assert_eq(json_array_size(forms), 2, "`%s` has not two forms", key->name);
		expect_text(key, resolve(json_array_get(forms, 0)));
		expect_list(key, json_array_get(forms, 1), false);
		break;
	}
}

static void expect_level(const struct level *level, const json_t *node)
{
	const json_t *properties = json_object_get(node, "properties");
	const json_t *required = json_object_get(node, "required");
	size_t n = 0;

	cr_assert(level && properties, "%s", level ? level->what : "a key without a level");
	cr_expect(json_is_false(json_object_get(node, "additionalProperties")),
		  "%s: other keys are let through", level->what);
	cr_expect_eq(json_object_size(properties), level->n, "%s: %zu keys, not %zu", level->what,
		     json_object_size(properties), level->n);
	for (const struct key *key = level->keys; key < level->keys + level->n; key++) {
		const json_t *property = json_object_get(properties, key->name);

		cr_assert(property, "%s: no `%s`", level->what, key->name);
		expect_key(key, property);
		n += key->flags & REQUIRED;
		cr_expect_eq(has_text(required, key->name), key->flags & REQUIRED,
			     "%s: `%s` is required in one only", level->what, key->name);
	}
	cr_expect_eq(json_array_size(required), n, "%s: what is required", level->what);
}

Test(schema, has_the_keys_of_the_parser)
{
	expect_level(&file_level, schema);
}

static void expect_words(const char *key, unsigned int n, const char *(*name)(unsigned int))
{
	const json_t *router = json_object_get(json_object_get(schema, "definitions"), "router");
	const json_t *words = json_object_get(
		json_object_get(json_object_get(router, "properties"), key), "enum");

	cr_expect_eq(json_array_size(words), n, "%s has %zu words, not %u", key,
		     json_array_size(words), n);
	for (unsigned int i = 0; i < n; i++)
		cr_expect(has_text(words, name(i)), "%s: no `%s`", key, name(i));
}

static const char *hook_word(unsigned int i)
{
	return hook_name(i);
}

static const char *sources_word(unsigned int i)
{
	return sources_name(i);
}

static const char *forwarding_word(unsigned int i)
{
	return forwarding_name(i);
}

static const char *active_word(unsigned int i)
{
	return active_name(i);
}

static void expect_bounds(const char *key, int least, int most, int absent)
{
	const json_t *router = json_object_get(json_object_get(schema, "definitions"), "router");
	const json_t *node = json_object_get(json_object_get(router, "properties"), key);

	cr_expect_eq(json_integer_value(json_object_get(node, "minimum")), least);
	cr_expect_eq(json_integer_value(json_object_get(node, "maximum")), most);
	cr_expect_eq(json_integer_value(json_object_get(node, "default")), absent);
}

Test(schema, has_the_bounds_of_the_parser)
{
	expect_bounds("flows", TN_FLOWS_MIN, TN_FLOWS_MAX, TN_FLOWS);
}

Test(schema, has_the_words_of_the_parser)
{
	expect_words("hook", HOOKS_COUNT, hook_word);
	expect_words("sources", SOURCES_COUNT, sources_word);
	expect_words("forwarding", FORWARDINGS_COUNT, forwarding_word);
	expect_words("active", ACTIVES_COUNT, active_word);
}
