/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One level of a file: keys and values, read by the table of the keys that it takes. Complains of
 * unknown, duplicate and missing keys, and of values of the wrong kind, so that the readers of the
 * sections get only what fits their table.
 */
#include "config/parse.h"
#include "lib/typo.h"

/* Returns the bit of the key that was probably meant, so that it is not called missing too. */
static unsigned int unknown_key(struct parse *p, const struct level *level, const char *name)
{
	char known[256] = "";

	for (const struct key *key = level->keys; key < level->keys + level->n; key++) {
		size_t n = strlen(known);

		if (typo_edits(name, key->name) != SIZE_MAX) {
			complain(p, event_pos(p), "unknown key `%s`; did you mean `%s`?",
				 QUOTE(name), key->name);
			return 1U << (key - level->keys);
		}
		snprintf(known + n, sizeof(known) - n, "%s`%s`", n ? ", " : "", key->name);
	}
	complain(p, event_pos(p), "unknown key `%s`; %s takes %s", QUOTE(name), level->what, known);
	return 0;
}

/* The text of the current node; NULL if it is a list, or keys and values. */
static const char *text_of(const struct parse *p)
{
	if (p->event.type != YAML_SCALAR_EVENT)
		return NULL;
	return (const char *)p->event.data.scalar.value;
}

static bool has_nul(struct parse *p)
{
	const char *text = text_of(p);
	size_t len = p->event.data.scalar.length;

	if (strlen(text) == len)
		return false;
	complain(p, event_pos(p), "`%s` has a NUL character in it; remove it",
		 quote(text, len, (char[QUOTE_TEXT]){ 0 }));
	return true;
}

/* The index of the current node in the level's table, or -1. */
static int key_index(struct parse *p, const struct level *level, struct seen *seen)
{
	const char *name = text_of(p);

	if (!name) {
		if (p->event.type != YAML_ALIAS_EVENT)
			complain(p, event_pos(p),
				 "a key must be one word, not a list or keys and values");
		skip_node(p);
		return -1;
	}
	if (has_nul(p))
		return -1;
	for (size_t i = 0; i < level->n; i++) {
		if (strcmp(name, level->keys[i].name) == 0)
			return (int)i;
	}
	if (strcmp(name, "<<") == 0)
		complain(p, event_pos(p),
			 "the merge key `<<` is not supported; write the keys out");
	else
		seen->bad |= unknown_key(p, level, name);
	return -1;
}

bool is_empty_value(const struct parse *p)
{
	return p->event.type == YAML_SCALAR_EVENT && p->event.data.scalar.length == 0;
}

/* Whether the current node is of the wanted type and not empty; if not, complains and skips it. */
static bool is_a(struct parse *p, const struct key *key, bool item, yaml_event_type_t wanted)
{
	static const char *const names[] = {
		[YAML_SCALAR_EVENT] = "one value",
		[YAML_SEQUENCE_START_EVENT] = "a list",
		[YAML_MAPPING_START_EVENT] = "keys and values",
	};
	bool empty = is_empty_value(p);
	const char *one = item ? "an item of " : "";

	if (p->event.type == wanted && !empty)
		return wanted != YAML_SCALAR_EVENT || !has_nul(p);
	if (has_properties(p))
		; /* as in `name: !red`: that was complained of */
	else if (empty)
		complain(p, event_pos(p), "%s`%s` has no value; write it like `%s`%s", one,
			 key->name, key->example,
			 key->flags & REQUIRED || item ? "" : ", or remove the key");
	else if (p->event.type != YAML_ALIAS_EVENT)
		complain(p, event_pos(p), "%s`%s` must be %s, not %s; write it like `%s`", one,
			 key->name, names[wanted], names[p->event.type], key->example);
	skip_node(p);
	return false;
}

static void take_list(struct parse *p, const struct key *key, yaml_event_type_t wanted)
{
	struct pos start = event_pos(p);
	size_t n = 0;

	while (next_event(p) && p->event.type != YAML_SEQUENCE_END_EVENT) {
		n++;
		if (is_a(p, key, true, wanted))
			key->take(p, text_of(p), event_pos(p));
	}
	if (n == 0 && !(key->flags & MAY_BE_EMPTY))
		complain(p, start, "`%s` is an empty list; write it like `%s`%s", key->name,
			 key->example, key->flags & REQUIRED ? "" : ", or remove the key");
}

static void take_value(struct parse *p, const struct key *key, struct pos key_at)
{
	switch (key->kind) {
	case TEXT:
		if (is_a(p, key, false, YAML_SCALAR_EVENT))
			key->take(p, text_of(p), event_pos(p));
		break;
	case MAP:
		if ((is_empty_value(p) && key->flags & MAY_BE_EMPTY) ||
		    is_a(p, key, false, YAML_MAPPING_START_EVENT))
			key->take(p, NULL, key_at);
		break;
	case TEXT_OR_TEXTS:
		if (p->event.type != YAML_SEQUENCE_START_EVENT) {
			if (is_a(p, key, false, YAML_SCALAR_EVENT))
				key->take(p, text_of(p), event_pos(p));
			break;
		}
		/* fall through */
	case TEXTS:
	case MAPS:
		if (is_a(p, key, false, YAML_SEQUENCE_START_EVENT))
			take_list(p, key,
				  key->kind == MAPS ? YAML_MAPPING_START_EVENT : YAML_SCALAR_EVENT);
		break;
	}
}

struct seen take_level(struct parse *p, const struct level *level)
{
	struct pos start = event_pos(p), first[KEYS_MAX];
	struct seen seen = { 0 };

	while (next_event(p) && p->event.type != YAML_MAPPING_END_EVENT) {
		struct pos at = event_pos(p);
		int i = key_index(p, level, &seen);
		unsigned int bit = i < 0 ? 0 : 1U << i;
		size_t complained = p->complained;

		if (seen.given & bit) {
			complain(p, at,
				 "the key `%s` is already given at line %u; remove one of them",
				 level->keys[i].name, first[i].line);
			seen.bad |= bit;
		}
		if (!next_event(p))
			break;
		if (i < 0 || seen.given & bit) {
			skip_node(p);
			continue;
		}
		first[i] = at;
		seen.given |= bit;
		take_value(p, &level->keys[i], at);
		if (p->over || p->complained != complained)
			seen.bad |= bit;
	}
	for (size_t i = 0; i < level->n; i++) {
		if (level->keys[i].flags & REQUIRED && !((seen.given | seen.bad) & 1U << i))
			complain(p, start, "the key `%s` of %s is missing; add it like `%s`",
				 level->keys[i].name, level->what, level->keys[i].example);
	}
	return seen;
}
