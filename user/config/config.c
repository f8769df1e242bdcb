/* SPDX-License-Identifier: GPL-2.0-only */
#include "config/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <yaml.h>

#include "model/service.h"

/* Two passes: the file's events fill the model, and every place is noted; then all is checked. */

#define FILE_MAX	 ((size_t)1 << 31)
#define DEPTH_MAX	 32
#define KEYS_MAX	 16
#define MAPPING_NAME_MAX 63

struct complaint {
	struct pos at;
	size_t seq;
	char *text;
};

/* A shared subnet, or a prefix of a tenant's pool. */
struct prefix_at {
	struct prefix prefix;
	struct pos at;
	uint32_t tenant;
	uint32_t told; /* the last tenant, from 1, told that this pool overlaps its own */
	int other;     /* the narrowest pool around it that is of another tenant, or -1 */
};

/* Something that may be there only once. 32 bytes: glibc sorts what is larger by pointers. */
struct taken {
	struct tn_addr addr; /* with a name: the family that counts, and how the name begins */
	const char *name;    /* "" where the address counts */
	uint32_t tenant;
	uint32_t index; /* in the list that holds its place, so in the order of the file */
};
typedef VEC(struct taken) taken_vec;

struct mapping_at {
	struct pos name;
	struct pos fixed;
	struct pos shared;
};

/* A name in `from`, or a name or an address in `to`, of a rule. */
struct named_at {
	struct pos at;
	uint32_t tenant;
	const char *text; /* the rule's */
};

struct route_at {
	struct pos to;
	struct pos via;
};

/* What the model does not keep about the tenant of the same index. */
struct tenant_at {
	struct pos name;
	size_t mappings; /* the index of its first one in parse.mappings */
	size_t pools;	 /* the same in parse.pools */
	bool pool_known; /* nothing is wrong with its pool, so that it can be held against others */
	bool router_known;
	struct pos own[FAMILIES]; /* of the router's addresses */
};

struct parse {
	const char *bytes;
	size_t len;
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one: the first event of a node when it is handed on */
	unsigned int depth;
	bool over; /* the rest of the file cannot be read */

	struct model model;
	VEC(struct prefix_at) subnets;
	VEC(struct prefix_at) pools; /* of all tenants, in the order of the file */
	VEC(struct tenant_at) tenants;
	VEC(struct mapping_at) mappings; /* of all tenants, in the order of the file */
	VEC(struct pos) inside;		 /* of the current router */
	struct pos burst;		 /* of the current limit */
	VEC(struct named_at) from;	 /* of all rules, in the order of the file */
	VEC(struct named_at) to;	 /* the same */
	VEC(struct route_at) routes;	 /* of all routers, in the order of the file */
	bool subnets_known;
	size_t routers;

	VEC(struct complaint) complaints;
	size_t complained; /* how many there were, also those that were not kept */
	struct pos cutoff; /* what comes behind is not kept any more; line 0: all is */
};

#define last(vec) (&(vec)->v[(vec)->n - 1])

/* --- complaints --- */

static int pos_cmp(struct pos a, struct pos b)
{
	if (a.line != b.line)
		return a.line < b.line ? -1 : 1;
	return a.col < b.col ? -1 : a.col > b.col;
}

static int complaint_cmp(const void *a, const void *b)
{
	const struct complaint *x = a, *y = b;
	int order = pos_cmp(x->at, y->at);

	return order ? order : x->seq < y->seq ? -1 : 1;
}

/* Keep the first CONFIG_ERRORS_MAX, sorted. */
static void complaints_prune(struct parse *p)
{
	vec_sort(&p->complaints, complaint_cmp);
	while (p->complaints.n > CONFIG_ERRORS_MAX) {
		free(last(&p->complaints)->text);
		p->complaints.n--;
		p->cutoff = last(&p->complaints)->at;
	}
}

static void __attribute__((format(printf, 3, 4)))
complain(struct parse *p, struct pos at, const char *format, ...)
{
	struct complaint *c;
	char text[1024];
	va_list args;

	p->complained++;
	if (p->cutoff.line && pos_cmp(at, p->cutoff) >= 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	c = vec_push(&p->complaints);
	*c = (struct complaint){ .at = at, .seq = p->complained, .text = xstrdup(text) };
	if (p->complaints.n == (size_t)2 * CONFIG_ERRORS_MAX)
		complaints_prune(p);
}

void config_errors_free(struct config_errors *errors)
{
	vec_each (text, &errors->list)
		free(*text);
	vec_free(&errors->list);
	errors->dropped = 0;
}

static void complaints_give(struct parse *p, const char *file, struct config_errors *errors)
{
	complaints_prune(p);
	vec_each (c, &p->complaints) {
		size_t size = strlen(file) + strlen(c->text) + 32;
		char *text = xrealloc(NULL, size, 1);

		snprintf(text, size, "%s:%u:%u: %s", file, c->at.line, c->at.col, c->text);
		*vec_push(&errors->list) = text;
	}
	errors->dropped = p->complained - p->complaints.n;
}

/* --- text --- */

/* The bytes of the UTF-8 character at `s`, or 0 when there is none. */
static size_t utf8_char(const unsigned char *s, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t n = 1;

	if (c >= 0x80) {
		n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
		c &= 0x7fU >> n;
	}
	if (n > len || (s[0] >= 0x80 && s[0] < 0xc0) || s[0] >= 0xf8)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n;
}

/* Neither control characters nor those that break, reorder or hide what a terminal shows. */
static bool printable(uint32_t c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c != 0x200e &&
	       c != 0x200f && c != 0xfeff && c < 0x110000 && (c & 0xfffe) != 0xfffe;
}

#define QUOTE_TEXT 104

/* Text of the file as it may be shown: on one line, not too long. `buf` is returned. */
static const char *quote(const char *text, size_t len, char buf[QUOTE_TEXT])
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = 0, used;
	uint32_t c;

	for (size_t i = 0; i < len; i += used) {
		if (n > QUOTE_TEXT - 16) {
			memcpy(buf + n, "...", 3);
			n += 3;
			break;
		}
		used = utf8_char(s + i, len - i, &c);
		if (used && printable(c)) {
			memcpy(buf + n, s + i, used);
			n += used;
		} else {
			c = used ? c : s[i];
			used = used ? used : 1;
			snprintf(buf + n, QUOTE_TEXT - n, c > 0xff ? "\\u%04x" : "\\x%02x", c);
			n += strlen(buf + n);
		}
	}
	buf[n] = '\0';
	return buf;
}
#define QUOTE(text) quote((text), strlen(text), (char[QUOTE_TEXT]){ 0 })

/* Whether a line ends with byte `i`: LF, CR LF or CR. */
static bool ends_line(const struct parse *p, size_t i)
{
	return p->bytes[i] == '\n' ||
	       (p->bytes[i] == '\r' && (i + 1 == p->len || p->bytes[i + 1] != '\n'));
}

/* Where byte `offset` of the file is. */
static struct pos pos_of(const struct parse *p, size_t offset)
{
	struct pos at = { 1, 1 };

	for (size_t i = 0; i < offset; i++) {
		if (ends_line(p, i))
			at = (struct pos){ at.line + 1, 1 };
		else if ((p->bytes[i] & 0xc0) != 0x80)
			at.col++;
	}
	return at;
}

/* The byte at a place of the file, or 0 at its end. */
static char byte_at(const struct parse *p, struct pos at)
{
	uint32_t line = 1;
	size_t i = 0;

	for (; i < p->len && line < at.line; i++)
		line += ends_line(p, i);
	for (uint32_t col = 1; i < p->len; i++) {
		if ((p->bytes[i] & 0xc0) == 0x80)
			continue;
		if (col++ == at.col)
			return p->bytes[i];
	}
	return '\0';
}

/* libyaml stops at a bad character only after losing the events before it: look for them first. */
static bool text_valid(struct parse *p)
{
	const unsigned char *s = (const unsigned char *)p->bytes;
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < p->len; i += n) {
		n = 1;
		if ((s[i] >= 0x20 && s[i] < 0x7f) || s[i] == '\n' || s[i] == '\r' || s[i] == '\t')
			continue;
		n = utf8_char(s + i, p->len - i, &c);
		if (n && printable(c))
			continue;
		if (n)
			complain(p, pos_of(p, i),
				 "the character U+%04X cannot be used here; delete it", c);
		else
			complain(p, pos_of(p, i),
				 "byte 0x%02x is not UTF-8; save the file in that encoding", s[i]);
		return false;
	}
	return true;
}

/* --- events --- */

static struct pos pos_of_mark(yaml_mark_t mark)
{
	return (struct pos){ (uint32_t)mark.line + 1, (uint32_t)mark.column + 1 };
}

static struct pos here(const struct parse *p)
{
	return pos_of_mark(p->event.start_mark);
}

static void syntax_error(struct parse *p)
{
	const char *problem = p->yaml.problem ? p->yaml.problem : "out of memory";
	const char *context = p->yaml.context ? p->yaml.context : "";
	struct pos at = pos_of_mark(p->yaml.problem_mark);
	char from[32] = "", c;

	p->over = true;
	c = byte_at(p, at);
	if (p->yaml.error == YAML_SCANNER_ERROR && c == '\t') {
		complain(p, at, "a tab cannot be used here; indent with spaces");
		return;
	}
	if (p->yaml.error == YAML_SCANNER_ERROR && c && strchr("@`%", c)) {
		complain(p, at, "a value cannot begin with %c; put it in quotes", c);
		return;
	}
	if (strncmp(problem, "mapping values", 14) == 0 || strstr(problem, "unexpected ':'")) {
		complain(p, at,
			 "a `:` is out of place; check the indentation, and quote a value that "
			 "ends with `:` or has `: ` in it");
		return;
	}
	if (*context && p->yaml.context_mark.line < p->yaml.problem_mark.line)
		snprintf(from, sizeof(from), " of line %zu", p->yaml.context_mark.line + 1);
	complain(p, at, "not valid YAML: %s%s%s%s; check the indentation, quotes and brackets",
		 context, from, *context ? ", " : "", problem);
}

/* What YAML can say about a node besides its value. */
static void refuse_properties(struct parse *p, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	static const char core_tags[] = "tag:yaml.org,2002:"; /* written `!!` */

	if (anchor)
		complain(p, here(p), "the anchor `&%s` is not supported; write the value out",
			 QUOTE((const char *)anchor));
	if (tag) {
		const char *text = (const char *)tag;
		bool core = strncmp(text, core_tags, strlen(core_tags)) == 0;

		complain(p, here(p), "the tag `%s%s` is not supported; remove it", core ? "!!" : "",
			 QUOTE(core ? text + strlen(core_tags) : text));
	}
}

static void descend(struct parse *p)
{
	if (++p->depth <= DEPTH_MAX)
		return;
	complain(p, here(p), "nested more than %d deep; look for a bracket that is not closed",
		 DEPTH_MAX);
	p->over = true;
}

/* The next event; false when there can be none. */
static bool next(struct parse *p)
{
	if (p->over)
		return false;
	yaml_event_delete(&p->event);
	if (!yaml_parser_parse(&p->yaml, &p->event)) {
		syntax_error(p);
		return false;
	}
	switch (p->event.type) {
	case YAML_ALIAS_EVENT:
		complain(p, here(p), "the alias `*%s` is not supported; write the value out",
			 QUOTE((const char *)p->event.data.alias.anchor));
		break;
	case YAML_SCALAR_EVENT:
		refuse_properties(p, p->event.data.scalar.anchor, p->event.data.scalar.tag);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_properties(p, p->event.data.sequence_start.anchor,
				  p->event.data.sequence_start.tag);
		descend(p);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_properties(p, p->event.data.mapping_start.anchor,
				  p->event.data.mapping_start.tag);
		descend(p);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		p->depth--;
		break;
	default:
		break;
	}
	return !p->over;
}

/* Go to the last event of the node whose first is the current one. */
static void skip(struct parse *p)
{
	unsigned int depth = p->depth;

	if (p->event.type != YAML_SEQUENCE_START_EVENT && p->event.type != YAML_MAPPING_START_EVENT)
		return;
	while (next(p) && p->depth >= depth)
		;
}

/* --- what may be there only once --- */

/* Numerically; unlike addr_cmp() it takes the families for one, as prefixes do. */
static int bytes_cmp(const struct tn_addr *a, const struct tn_addr *b)
{
	for (int i = 0; i < 4; i++) {
		if (a->w[i] != b->w[i])
			return ntohl(a->w[i]) < ntohl(b->w[i]) ? -1 : 1;
	}
	return 0;
}

static int taken_cmp(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;
	int order = bytes_cmp(&x->addr, &y->addr);

	if (!order)
		order = strcmp(x->name, y->name);
	return order ? order : x->index < y->index ? -1 : 1;
}

static struct taken taken_name(const char *name, bool v6, uint32_t tenant, uint32_t index)
{
	struct taken taken = { .name = name, .tenant = tenant, .index = index };

	taken.addr.w[0] = v6;
	memcpy(&taken.addr.w[1], name,
	       strnlen(name, sizeof(taken.addr.w) - sizeof(taken.addr.w[0])));
	return taken;
}

/* Sorts; calls `twice` for each that is there again, with the first of its kind. */
static void check_once(struct parse *p, taken_vec *taken,
		       void (*twice)(struct parse *p, const struct taken *first,
				     const struct taken *again))
{
	const struct taken *first = taken->v;

	vec_sort(taken, taken_cmp);
	for (size_t i = 1; i < taken->n; i++) {
		const struct taken *again = &taken->v[i];

		if (bytes_cmp(&first->addr, &again->addr) == 0 &&
		    strcmp(first->name, again->name) == 0)
			twice(p, first, again);
		else
			first = again;
	}
}

/* --- levels: one table for each kind of YAML mapping --- */

enum kind {
	TEXT,
	MAP,
	TEXTS, /* a list */
	MAPS,
	TEXT_OR_TEXTS,
};

enum {
	REQUIRED = 1,
	MAY_BE_EMPTY = 2,
};

struct key {
	const char *name;
	enum kind kind;
	unsigned int flags;
	/* Called for the value, or each item of a list; `text` is NULL for keys and values. */
	void (*take)(struct parse *p, const char *text, struct pos at);
	const char *example;
};

struct level {
	const char *what;
	size_t n;
	const struct key *keys;
};
#define LEVEL(what, keys)                    \
	{                                    \
		what, ARRAY_SIZE(keys), keys \
	}

/* Bits by index of the level's table. */
struct seen {
	unsigned int given;
	unsigned int bad; /* something is wrong with it, also with its name: do not judge by it */
};

/* Edits from `a` (in any case) to `b`: a character more, less, another, or two swapped. */
static size_t distance(const char *a, const char *b)
{
	enum { MAX = 24 };
	size_t n = strlen(a), m = strlen(b), d[MAX + 1][MAX + 1];

	if (n > MAX || m > MAX)
		return MAX;
	for (size_t i = 0; i <= n; i++) {
		for (size_t j = 0; j <= m; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = d[i - 1][j - 1] + (tolower((unsigned char)a[i - 1]) != b[j - 1]);
			if (d[i - 1][j] + 1 < d[i][j])
				d[i][j] = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < d[i][j])
				d[i][j] = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[n][m];
}

/* The key that was probably meant, as a bit. */
static unsigned int unknown_key(struct parse *p, const struct level *level, const char *name)
{
	char known[256] = "";

	for (const struct key *key = level->keys; key < level->keys + level->n; key++) {
		size_t n = strlen(known);

		if (distance(name, key->name) <= (strlen(key->name) > 4 ? 2 : 1)) {
			complain(p, here(p), "unknown key `%s`; did you mean `%s`?", QUOTE(name),
				 key->name);
			return 1U << (key - level->keys);
		}
		snprintf(known + n, sizeof(known) - n, "%s`%s`", n ? ", " : "", key->name);
	}
	complain(p, here(p), "unknown key `%s`; %s takes %s", QUOTE(name), level->what, known);
	return 0;
}

/* The text of the current node, NULL when that is a list, or keys and values. */
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
	complain(p, here(p), "`%s` has a NUL character in it; remove it",
		 quote(text, len, (char[QUOTE_TEXT]){ 0 }));
	return true;
}

/* The index of the current node in the level's table, or -1. */
static int key_index(struct parse *p, const struct level *level, struct seen *seen)
{
	const char *name = text_of(p);

	if (!name) {
		if (p->event.type != YAML_ALIAS_EVENT)
			complain(p, here(p),
				 "a key must be one word, not a list or keys and values");
		skip(p);
		return -1;
	}
	if (has_nul(p))
		return -1;
	for (size_t i = 0; i < level->n; i++) {
		if (strcmp(name, level->keys[i].name) == 0)
			return (int)i;
	}
	if (strcmp(name, "<<") == 0)
		complain(p, here(p), "the merge key `<<` is not supported; write the keys out");
	else
		seen->bad |= unknown_key(p, level, name);
	return -1;
}

static bool is_empty(const struct parse *p)
{
	return p->event.type == YAML_SCALAR_EVENT && p->event.data.scalar.length == 0;
}

/* Whether the current node is of the type that the key needs; if not, it is left behind. */
static bool is_a(struct parse *p, const struct key *key, bool item, yaml_event_type_t wanted)
{
	static const char *const names[] = {
		[YAML_SCALAR_EVENT] = "one value",
		[YAML_SEQUENCE_START_EVENT] = "a list",
		[YAML_MAPPING_START_EVENT] = "keys and values",
	};
	bool empty = is_empty(p);
	const char *one = item ? "an item of " : "";

	if (p->event.type == wanted && !empty)
		return wanted != YAML_SCALAR_EVENT || !has_nul(p);
	if (empty)
		complain(p, here(p), "%s`%s` has no value; write it like `%s`%s", one, key->name,
			 key->example, key->flags & REQUIRED || item ? "" : ", or remove the key");
	else if (p->event.type != YAML_ALIAS_EVENT)
		complain(p, here(p), "%s`%s` must be %s, not %s; write it like `%s`", one,
			 key->name, names[wanted], names[p->event.type], key->example);
	skip(p);
	return false;
}

static void take_list(struct parse *p, const struct key *key, yaml_event_type_t wanted)
{
	struct pos start = here(p);
	size_t n = 0;

	while (next(p) && p->event.type != YAML_SEQUENCE_END_EVENT) {
		n++;
		if (is_a(p, key, true, wanted))
			key->take(p, text_of(p), here(p));
	}
	if (!p->over && n == 0 && !(key->flags & MAY_BE_EMPTY))
		complain(p, start, "`%s` is an empty list; write it like `%s`%s", key->name,
			 key->example, key->flags & REQUIRED ? "" : ", or remove the key");
}

static void take_value(struct parse *p, const struct key *key, struct pos key_at)
{
	switch (key->kind) {
	case TEXT:
		if (is_a(p, key, false, YAML_SCALAR_EVENT))
			key->take(p, text_of(p), here(p));
		break;
	case MAP:
		if ((is_empty(p) && key->flags & MAY_BE_EMPTY) ||
		    is_a(p, key, false, YAML_MAPPING_START_EVENT))
			key->take(p, NULL, key_at);
		break;
	case TEXT_OR_TEXTS:
		if (p->event.type != YAML_SEQUENCE_START_EVENT) {
			if (is_a(p, key, false, YAML_SCALAR_EVENT))
				key->take(p, text_of(p), here(p));
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

static struct seen take_level(struct parse *p, const struct level *level)
{
	struct pos start = here(p), first[KEYS_MAX];
	struct seen seen = { 0 };

	while (next(p) && p->event.type != YAML_MAPPING_END_EVENT) {
		struct pos at = here(p);
		int i = key_index(p, level, &seen);
		unsigned int bit = i < 0 ? 0 : 1U << i;
		size_t complained = p->complained;

		if (seen.given & bit) {
			complain(p, at,
				 "the key `%s` is already given at line %u; remove one of them",
				 level->keys[i].name, first[i].line);
			seen.bad |= bit;
		}
		if (!next(p))
			break;
		if (i < 0 || seen.given & bit) {
			skip(p);
			continue;
		}
		first[i] = at;
		seen.given |= bit;
		take_value(p, &level->keys[i], at);
		if (p->over || p->complained != complained)
			seen.bad |= bit;
	}
	for (size_t i = 0; i < level->n && !p->over; i++) {
		if (level->keys[i].flags & REQUIRED && !((seen.given | seen.bad) & 1U << i))
			complain(p, start, "the key `%s` of %s is missing; add it like `%s`",
				 level->keys[i].name, level->what, level->keys[i].example);
	}
	return seen;
}

/* --- addresses --- */

static bool refuse_special(struct parse *p, const char *text, struct pos at,
			   const struct prefix *prefix)
{
	const struct special_range *range = prefix_special(prefix);

	if (range && prefix->len == 128)
		complain(p, at, "`%s` is a %s address; use one that a VM can have", QUOTE(text),
			 range->what);
	else if (range)
		complain(p, at, "`%s` has %s addresses (%s) in it; use another prefix", QUOTE(text),
			 range->what, range->prefix);
	return range;
}

/* The address before the slash, if that is one. */
static bool host_parse(const char *text, struct tn_addr *out)
{
	size_t n = strcspn(text, "/");
	char host[ADDR_TEXT];

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return addr_parse(host, out);
}

static bool is_v4_as_v6(const char *text, struct tn_addr *out)
{
	size_t n = strcspn(text, "/");
	char host[ADDR_TEXT];
	uint8_t raw[16];

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(AF_INET6, host, raw) != 1)
		return false;
	*out = addr_from_bytes(raw, sizeof(raw));
	return addr_is_v4(out);
}

static void bad_addr(struct parse *p, const char *text, struct pos at)
{
	struct tn_addr addr;

	if (is_v4_as_v6(text, &addr))
		complain(p, at, "`%s` is an IPv4 address written as IPv6; write `%s`", QUOTE(text),
			 ADDR(&addr));
	else if (strchr(text, '/') && host_parse(text, &addr))
		complain(p, at, "`%s` is a prefix, not an address; write `%s`", QUOTE(text),
			 ADDR(&addr));
	else
		complain(p, at, "`%s` is not an IPv4 or IPv6 address; correct it", QUOTE(text));
}

static bool take_addr(struct parse *p, const char *text, struct pos at, struct tn_addr *out)
{
	struct prefix one = { .len = 128 };

	if (!addr_parse(text, &one.addr) && strcmp(text, "::") != 0) {
		bad_addr(p, text, at);
		return false;
	}
	if (addr_is_special(&one.addr) && refuse_special(p, text, at, &one))
		return false;
	*out = one.addr;
	return true;
}

static void bad_prefix(struct parse *p, const char *text, struct pos at)
{
	const char *slash = strchr(text, '/');
	struct prefix whole = { 0 };
	struct tn_addr addr, mask;
	char zero[ADDR_TEXT];

	if (is_v4_as_v6(text, &addr)) {
		complain(p, at, "`%s` is IPv4 written as IPv6; write it like `100.64.0.0/16`",
			 QUOTE(text));
		return;
	}
	if (slash && host_parse(text, &addr)) {
		snprintf(zero, sizeof(zero), "%s%s", addr_is_v4(&addr) ? "0.0.0.0" : "::", slash);
		if (strlen(slash) < 8 && prefix_parse(zero, &whole)) {
			mask = prefix_mask(&whole);
			whole.addr = addr;
			for (int i = 0; i < 4; i++)
				whole.addr.w[i] &= mask.w[i];
			complain(p, at, "`%s` has bits set behind its length; write `%s`",
				 QUOTE(text), PREFIX(&whole));
			return;
		}
	}
	complain(p, at, "`%s` is not a prefix; write it like `100.64.0.0/16`", QUOTE(text));
}

static bool take_prefix(struct parse *p, const char *text, struct pos at, struct prefix *out)
{
	if (!prefix_parse(text, out)) {
		bad_prefix(p, text, at);
		return false;
	}
	return !refuse_special(p, text, at, out);
}

static const char *family_name(const struct tn_addr *a)
{
	return addr_is_v4(a) ? "IPv4" : "IPv6";
}

/* --- mappings[] --- */

static void mapping_name(struct parse *p, const char *text, struct pos at)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t n = strspn(text, allowed);
	struct tn_addr addr;

	if (n > MAPPING_NAME_MAX || text[n] || strchr("._-", text[0])) {
		complain(p, at,
			 "`%s` is not a mapping name; use up to %d of A-Z a-z 0-9 . _ - and "
			 "begin with a letter or digit",
			 QUOTE(text), MAPPING_NAME_MAX);
		return;
	}
	if (addr_parse(text, &addr)) {
		complain(p, at,
			 "the name `%s` is an address; use a name that cannot be taken for one",
			 QUOTE(text));
		return;
	}
	last(&last(&p->model.tenants)->mappings)->name = xstrdup(text);
	last(&p->mappings)->name = at;
}

static void mapping_fixed(struct parse *p, const char *text, struct pos at)
{
	last(&p->mappings)->fixed = at;
	take_addr(p, text, at, &last(&last(&p->model.tenants)->mappings)->fixed);
}

static void mapping_shared(struct parse *p, const char *text, struct pos at)
{
	struct mapping *m = last(&last(&p->model.tenants)->mappings);

	last(&p->mappings)->shared = at;
	m->pinned = true;
	take_addr(p, text, at, &m->shared);
}

/* --- mappings[].limit --- */

/* X("unit", how many of the smallest one it is), as tc(8) writes them */
#define RATE_UNITS(X) X("bit", 1) X("kbit", 1000) X("mbit", 1000000) X("gbit", 1000000000)
#define SIZE_UNITS(X) X("b", 1) X("kb", 1024) X("mb", 1048576)

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit rate_units[] = {
#define X(name, factor) { name, factor },
	RATE_UNITS(X)
#undef X
};

static const struct unit size_units[] = {
#define X(name, factor) { name, factor },
	SIZE_UNITS(X)
#undef X
};

/* A whole number with one of the units behind it, as a number of the first one. */
static bool amount(const char *text, const struct unit *units, size_t n, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value = 0;

	if (!digits || digits > 12)
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text + digits, units[i].name) == 0) {
			*out = value * units[i].factor;
			return value <= UINT64_MAX / units[i].factor;
		}
	}
	return false;
}

static struct limit *limit_of(struct parse *p)
{
	return &last(&last(&p->model.tenants)->mappings)->limit;
}

static void limit_rate(struct parse *p, const char *text, struct pos at)
{
	uint64_t bits;

	if (!amount(text, rate_units, ARRAY_SIZE(rate_units), &bits)) {
		complain(p, at,
			 "`%s` is no rate; write it like `100mbit`, in bit, kbit, mbit or gbit",
			 QUOTE(text));
		return;
	}
	limit_of(p)->rate = bits / 8;
	if (bits < 8000 || bits / 8 > LIMIT_RATE_MAX)
		complain(p, at, "the rate `%s` is not between 8kbit and 1000gbit; use another one",
			 QUOTE(text));
}

static void limit_burst(struct parse *p, const char *text, struct pos at)
{
	p->burst = at;
	if (!amount(text, size_units, ARRAY_SIZE(size_units), &limit_of(p)->burst))
		complain(p, at, "`%s` is no size; write it like `20mb`, in b, kb or mb",
			 QUOTE(text));
}

/* Behind the last key, because `rate` may come after `burst`. */
static void check_burst(struct parse *p, const struct limit *l)
{
	uint64_t least = limit_burst_least(l->rate);

	if (l->burst < least)
		complain(p, p->burst,
			 "the burst is below %" PRIu64 "kb, without which TCP does not reach that "
			 "rate; use at least that, or leave `burst` out",
			 least / 1024);
	else if (l->burst > LIMIT_BURST_MAX)
		complain(p, p->burst, "the burst is above %" PRIu64 "mb; use a smaller one",
			 LIMIT_BURST_MAX >> 20);
}

static void limit_packets(struct parse *p, const char *text, struct pos at)
{
	static const struct unit none = { "", 1 };
	uint64_t *packets = &limit_of(p)->packets;

	if (!amount(text, &none, 1, packets) || !*packets || *packets > LIMIT_PACKETS_MAX)
		complain(p, at,
			 "`%s` is no number of packets a second; write it like `10000`, at least 1",
			 QUOTE(text));
}

enum { LIMIT_RATE, LIMIT_BURST, LIMIT_PACKETS };
static const struct key limit_keys[] = {
	[LIMIT_RATE] = { "rate", TEXT, 0, limit_rate, "rate: 100mbit" },
	[LIMIT_BURST] = { "burst", TEXT, 0, limit_burst, "burst: 20mb" },
	[LIMIT_PACKETS] = { "packets", TEXT, 0, limit_packets, "packets: 10000" },
};
static const struct level limit_level = LEVEL("a limit", limit_keys);

static void mapping_limit(struct parse *p, const char *text, struct pos at)
{
	static const unsigned int rate = 1U << LIMIT_RATE, burst = 1U << LIMIT_BURST,
				  packets = 1U << LIMIT_PACKETS;
	struct seen seen = take_level(p, &limit_level);
	struct limit *l = limit_of(p);

	(void)text;
	if (!p->over && !(~seen.given & (rate | burst)) && !(seen.bad & (rate | burst)))
		check_burst(p, l);
	if (seen.bad || p->over)
		return;
	if (!(seen.given & (rate | packets)))
		complain(p, at,
			 "the limit limits nothing; add `rate: 100mbit` or `packets: 10000`");
	else if (seen.given & burst && !l->rate)
		complain(p, at, "the limit has a `burst` and no `rate`; add `rate: 100mbit`");
	if (l->rate && !(seen.given & burst))
		l->burst = limit_burst_default(l->rate);
}

static const struct key mapping_keys[] = {
	{ "name", TEXT, 0, mapping_name, "name: db" },
	{ "fixed", TEXT, REQUIRED, mapping_fixed, "fixed: 10.0.0.5" },
	{ "shared", TEXT, 0, mapping_shared, "shared: 100.64.1.9" },
	{ "limit", MAP, 0, mapping_limit, "limit: {rate: 100mbit, burst: 20mb}" },
};
static const struct level mapping_level = LEVEL("a mapping", mapping_keys);

static void mappings_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	vec_push(&p->mappings);
	vec_push(&last(&p->model.tenants)->mappings)->pos = at;
	take_level(p, &mapping_level);
}

/* --- router --- */

static void router_netns(struct parse *p, const char *text, struct pos at)
{
	if (!netns_valid(text)) {
		complain(p, at,
			 "`%s` is not a namespace; use its name under /run/netns, or an "
			 "absolute path",
			 QUOTE(text));
		return;
	}
	last(&p->model.tenants)->router->netns = xstrdup(text);
}

static bool take_interface(struct parse *p, const char *text, struct pos at)
{
	if (interface_name_valid(text))
		return true;
	complain(p, at,
		 "`%s` is not an interface name; use up to %d characters without `/`, `:` and "
		 "spaces",
		 QUOTE(text), INTERFACE_NAME_MAX);
	return false;
}

static void router_shared(struct parse *p, const char *text, struct pos at)
{
	if (take_interface(p, text, at))
		last(&p->model.tenants)->router->shared = xstrdup(text);
}

static bool take_pattern(struct parse *p, const char *text, struct pos at)
{
	if (pattern_is_open(text)) {
		complain(p, at, "the pattern `%s` has a `[` without `]`; close it", QUOTE(text));
		return false;
	}
	if (pattern_valid(text))
		return true;
	complain(p, at,
		 "`%s` is not a pattern of interface names; use up to %d characters without `/` "
		 "and spaces",
		 QUOTE(text), PATTERN_MAX);
	return false;
}

static void router_inside(struct parse *p, const char *text, struct pos at)
{
	if (inside_is_pattern(text) ? !take_pattern(p, text, at) : !take_interface(p, text, at))
		return;
	*vec_push(&last(&p->model.tenants)->router->inside) = xstrdup(text);
	*vec_push(&p->inside) = at;
}

static void router_hook(struct parse *p, const char *text, struct pos at)
{
	char known[128] = "";

	if (hook_parse(text, &last(&p->model.tenants)->router->hook))
		return;
	for (unsigned int i = 0; i < HOOKS_COUNT; i++) {
		size_t n = strlen(known);

		snprintf(known + n, sizeof(known) - n, "%s`%s`", n ? ", " : "", hook_name(i));
	}
	complain(p, at, "`%s` is not a hook; use one of %s", QUOTE(text), known);
}

static void router_forwarding(struct parse *p, const char *text, struct pos at)
{
	if (!forwarding_parse(text, &last(&p->model.tenants)->router->forwarding))
		complain(p, at, "`%s` is not one of `auto`, `fast` and `stack`", QUOTE(text));
}

static void router_sources(struct parse *p, const char *text, struct pos at)
{
	if (!sources_parse(text, &last(&p->model.tenants)->router->sources))
		complain(p, at, "`%s` is not one of `strict`, `feasible` and `loose`", QUOTE(text));
}

static void router_address(struct parse *p, const char *text, struct pos at)
{
	struct router *r = last(&p->model.tenants)->router;
	struct tn_addr addr;
	int family;

	if (!take_addr(p, text, at, &addr))
		return;
	family = addr_family(&addr);
	if (r->own[family].pinned)
		complain(p, at,
			 "the router has the %s address `%s` already; give one of each family",
			 family_name(&addr), ADDR(&r->own[family].addr));
	r->own[family] = (struct own_address){ .addr = addr, .pinned = true, .wanted = true };
	last(&p->tenants)->own[family] = at;
}

static void route_to(struct parse *p, const char *text, struct pos at)
{
	last(&p->routes)->to = at;
	take_prefix(p, text, at, &last(&last(&p->model.tenants)->router->routes)->to);
}

static void route_via(struct parse *p, const char *text, struct pos at)
{
	last(&p->routes)->via = at;
	take_addr(p, text, at, &last(&last(&p->model.tenants)->router->routes)->via);
}

static const struct key route_keys[] = {
	{ "to", TEXT, REQUIRED, route_to, "to: 100.65.0.0/16" },
	{ "via", TEXT, REQUIRED, route_via, "via: 100.64.0.1" },
};
static const struct level route_level = LEVEL("a route", route_keys);

static void routes_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	(void)at;
	vec_push(&p->routes);
	vec_push(&last(&p->model.tenants)->router->routes);
	take_level(p, &route_level);
}

enum { ROUTER_NETNS, ROUTER_SHARED };
static const struct key router_keys[] = {
	[ROUTER_NETNS] = { "netns", TEXT, 0, router_netns, "netns: red" },
	[ROUTER_SHARED] = { "shared", TEXT, 0, router_shared, "shared: shared0" },
	{ "inside", TEXTS, 0, router_inside, "inside: [lan0]" },
	{ "hook", TEXT, 0, router_hook, "hook: tc" },
	{ "sources", TEXT, 0, router_sources, "sources: loose" },
	{ "address", TEXT_OR_TEXTS, 0, router_address, "address: 100.64.0.2" },
	{ "routes", MAPS, MAY_BE_EMPTY, routes_item,
	  "routes: [{to: 100.65.0.0/16, via: 100.64.0.1}]" },
	{ "forwarding", TEXT, 0, router_forwarding, "forwarding: stack" },
};
static const struct level router_level = LEVEL("a router", router_keys);
_Static_assert(ARRAY_SIZE(router_keys) <= KEYS_MAX, "raise KEYS_MAX");

static void inside_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, p->inside.v[again->index],
		 "`%s` is already listed at line %u; remove one of them", QUOTE(again->name),
		 p->inside.v[first->index].line);
}

static void check_inside(struct parse *p, const struct router *r)
{
	taken_vec names = { 0 };

	for (size_t i = 0; i < r->inside.n; i++) {
		*vec_push(&names) = taken_name(r->inside.v[i], false, 0, (uint32_t)i);
		if (r->shared && strcmp(r->shared, r->inside.v[i]) == 0)
			complain(p, p->inside.v[i],
				 "`%s` is the router's shared interface; remove it from `inside`",
				 QUOTE(r->shared));
	}
	check_once(p, &names, inside_twice);
	vec_free(&names);
}

static void tenant_router(struct parse *p, const char *text, struct pos at)
{
	struct tenant *t = last(&p->model.tenants);
	struct seen seen = { 0 };

	(void)text;
	if (++p->routers == TN_ROUTERS_MAX)
		complain(p, at, "more than %d routers; leave this and the others to other machines",
			 TN_ROUTERS_MAX - 1);
	t->router = xzalloc(sizeof(*t->router));
	t->router->hook = HOOK_AUTO;
	t->router->pos = at;
	p->inside.n = 0;
	if (p->event.type == YAML_MAPPING_START_EVENT)
		seen = take_level(p, &router_level);
	check_inside(p, t->router);
	last(&p->tenants)->router_known =
		!p->over && !(seen.bad & (1U << ROUTER_NETNS | 1U << ROUTER_SHARED));
}

/* --- tenants[] --- */

static void tenant_name(struct parse *p, const char *text, struct pos at)
{
	if (!tenant_name_valid(text)) {
		complain(p, at,
			 "`%s` is not a tenant name; use up to %d of a-z 0-9 - and do not begin "
			 "with -",
			 QUOTE(text), TENANT_NAME_MAX);
		return;
	}
	last(&p->model.tenants)->name = xstrdup(text);
	last(&p->tenants)->name = at;
}

static void tenant_pool(struct parse *p, const char *text, struct pos at)
{
	struct prefix prefix;

	if (!take_prefix(p, text, at, &prefix))
		return;
	*vec_push(&last(&p->model.tenants)->pools) = prefix;
	*vec_push(&p->pools) = (struct prefix_at){
		.prefix = prefix,
		.at = at,
		.tenant = (uint32_t)p->tenants.n - 1,
	};
}

/* --- accept[] --- */

static struct rule *rule_of(struct parse *p)
{
	return last(&last(&p->model.tenants)->accept);
}

static bool is_listed(char *const *v, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i], text) == 0)
			return true;
	}
	return false;
}

static struct named_at named_here(struct parse *p, const char *text, struct pos at)
{
	return (struct named_at){ at, (uint32_t)p->tenants.n - 1, text };
}

static void rule_from(struct parse *p, const char *text, struct pos at)
{
	struct rule *r = rule_of(p);

	if (strcmp(text, "*") == 0) {
		if (r->any || r->from.n)
			complain(p, at, "`*` is every tenant; remove the others, or `*`");
		r->any = true;
	} else if (r->any) {
		complain(p, at, "`*` is every tenant; remove the others, or `*`");
	} else if (!tenant_name_valid(text)) {
		complain(p, at, "`%s` is not a tenant name; use that of a tenant, or \"*\" for all",
			 QUOTE(text));
	} else if (is_listed(r->from.v, r->from.n, text)) {
		complain(p, at, "`%s` is listed twice; remove one of them", QUOTE(text));
	} else {
		*vec_push(&r->from) = xstrdup(text);
		*vec_push(&p->from) = named_here(p, *last(&r->from), at);
	}
}

static void rule_to(struct parse *p, const char *text, struct pos at)
{
	struct rule *r = rule_of(p);

	if (is_listed(r->to.v, r->to.n, text)) {
		complain(p, at, "`%s` is listed twice; remove one of them", QUOTE(text));
		return;
	}
	*vec_push(&r->to) = xstrdup(text);
	*vec_push(&p->to) = named_here(p, *last(&r->to), at);
}

static void rule_ports(struct parse *p, const char *text, struct pos at)
{
	struct service parts[SERVICE_PARTS];
	struct rule *r = rule_of(p);
	struct error err = { 0 };
	size_t n = service_parse(QUOTE(text), parts, &err);

	if (!n) {
		complain(p, at, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		vec_each (s, &r->services) {
			if (!service_same(s, &parts[i]))
				continue;
			complain(p, at, "`%s` is listed twice; remove one of them", QUOTE(text));
			return;
		}
	}
	for (size_t i = 0; i < n; i++)
		*vec_push(&r->services) = parts[i];
}

static const struct key rule_keys[] = {
	{ "from", TEXT_OR_TEXTS, REQUIRED, rule_from, "from: [blue]" },
	{ "to", TEXT_OR_TEXTS, 0, rule_to, "to: [db]" },
	{ "ports", TEXT_OR_TEXTS, 0, rule_ports, "ports: [tcp/5432, icmp]" },
};
static const struct level rule_level = LEVEL("a rule", rule_keys);

static void accept_item(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	vec_push(&last(&p->model.tenants)->accept)->pos = at;
	take_level(p, &rule_level);
}

enum { TENANT_NAME, TENANT_ROUTER, TENANT_POOL, TENANT_ACCEPT };
static const struct key tenant_keys[] = {
	[TENANT_NAME] = { "name", TEXT, REQUIRED, tenant_name, "name: red" },
	[TENANT_ROUTER] = { "router", MAP, MAY_BE_EMPTY, tenant_router, "router: {netns: red}" },
	[TENANT_POOL] = { "pool", TEXTS, 0, tenant_pool, "pool: [100.64.1.0/24]" },
	[TENANT_ACCEPT] = { "accept", MAPS, MAY_BE_EMPTY, accept_item, "accept: [{from: [blue]}]" },
	{ "mappings", MAPS, MAY_BE_EMPTY, mappings_item, "mappings: [{fixed: 10.0.0.5}]" },
};
static const struct level tenant_level = LEVEL("a tenant", tenant_keys);

static void tenants_item(struct parse *p, const char *text, struct pos at)
{
	struct tenant_at *t = vec_push(&p->tenants);
	struct seen seen;

	(void)text;
	t->mappings = p->mappings.n;
	t->pools = p->pools.n;
	vec_push(&p->model.tenants)->pos = at;
	seen = take_level(p, &tenant_level);
	last(&p->model.tenants)->has_accept = seen.given & 1U << TENANT_ACCEPT;
	last(&p->tenants)->pool_known = !p->over && !(seen.bad & 1U << TENANT_POOL);
}

/* --- shared-network --- */

static void network_subnet(struct parse *p, const char *text, struct pos at)
{
	struct prefix prefix;

	if (!take_prefix(p, text, at, &prefix))
		return;
	if (prefix.len == 128) {
		complain(p, at, "the shared subnet `%s` has one address only; make it larger",
			 PREFIX(&prefix));
		return;
	}
	if (p->subnets.n == TN_SUBNETS_MAX) {
		complain(p, at, "more than %d shared subnets; remove this one, or merge some",
			 TN_SUBNETS_MAX);
		return;
	}
	*vec_push(&p->model.subnets) = prefix;
	*vec_push(&p->subnets) = (struct prefix_at){ .prefix = prefix, .at = at };
}

static const struct key network_keys[] = {
	{ "subnets", TEXTS, REQUIRED, network_subnet, "subnets: [100.64.0.0/16, \"fd64::/64\"]" },
};
static const struct level network_level = LEVEL("the shared network", network_keys);

static void file_network(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	(void)at;
	p->subnets_known = take_level(p, &network_level).bad == 0 && p->subnets.n;
}

/* --- the file --- */

static const struct key file_keys[] = {
	{ "shared-network", MAP, REQUIRED, file_network,
	  "shared-network: {subnets: [100.64.0.0/16]}" },
	{ "tenants", MAPS, REQUIRED | MAY_BE_EMPTY, tenants_item, "tenants: [{name: red}]" },
};
static const struct level file_level = LEVEL("the file", file_keys);

static void take_file(struct parse *p)
{
	next(p); /* the start of the stream */
	if (next(p) && p->event.type == YAML_DOCUMENT_START_EVENT)
		next(p);
	if (p->over)
		return;
	if (p->event.type == YAML_STREAM_END_EVENT || is_empty(p)) {
		complain(p, (struct pos){ 1, 1 },
			 "the file is empty; it needs `shared-network` and `tenants`");
		return;
	}
	if (p->event.type == YAML_MAPPING_START_EVENT) {
		take_level(p, &file_level);
	} else {
		if (p->event.type != YAML_ALIAS_EVENT)
			complain(p, here(p),
				 "the file must be keys and values; it needs `shared-network` and "
				 "`tenants`");
		skip(p);
	}
	next(p); /* the end of the document */
	if (next(p) && p->event.type != YAML_STREAM_END_EVENT)
		complain(p, here(p), "a second document begins here; put everything into one");
}

/* --- what only the whole file can tell; by sorting, so that a million mappings are few --- */

/* Every prefix behind those that hold it. */
static int prefix_at_cmp(const void *a, const void *b)
{
	const struct prefix_at *x = a, *y = b;
	int order = bytes_cmp(&x->prefix.addr, &y->prefix.addr);

	if (!order)
		order = (int)x->prefix.len - (int)y->prefix.len;
	return order ? order : pos_cmp(x->at, y->at);
}

/* Sorts; whether no two of them overlap. Prefixes overlap only if one holds the other. */
static bool check_disjoint(struct parse *p, const char *what, struct prefix_at *v, size_t n)
{
	struct prefix_at *outer = v;
	bool disjoint = true;

	sort_rows(v, n, sizeof(*v), prefix_at_cmp);
	for (size_t i = 1; i < n; i++) {
		const struct prefix_at *early = outer, *late = &v[i];

		if (!prefix_overlap(&outer->prefix, &v[i].prefix)) {
			outer = &v[i];
			continue;
		}
		disjoint = false;
		if (pos_cmp(early->at, late->at) > 0) {
			early = &v[i];
			late = outer;
		}
		complain(p, late->at, "the %s `%s` overlaps `%s` at line %u; remove one of them",
			 what, PREFIX(&late->prefix), PREFIX(&early->prefix), early->at.line);
	}
	return disjoint;
}

static const struct prefix *subnet_of(const struct parse *p, const struct tn_addr *a)
{
	vec_each (subnet, &p->model.subnets) {
		if (prefix_has(subnet, a))
			return subnet;
	}
	return NULL;
}

static const char *reserved_for(const struct prefix *subnet, const struct tn_addr *a)
{
	if (!addr_is_v4(a))
		return "subnet-router anycast";
	return addr_cmp(a, &subnet->addr) == 0 ? "network" : "broadcast";
}

static void check_pool_prefix(struct parse *p, const struct prefix_at *pool)
{
	const struct prefix *subnet = subnet_of(p, &pool->prefix.addr);

	if (p->subnets_known && (!subnet || subnet->len > pool->prefix.len))
		complain(p, pool->at,
			 "the pool `%s` is not inside a shared subnet; use a part of one",
			 PREFIX(&pool->prefix));
	else if (subnet && pool->prefix.len == 128 && prefix_reserves(subnet, &pool->prefix.addr))
		complain(p, pool->at,
			 "the pool `%s` is only the %s address of `%s`; use another one",
			 PREFIX(&pool->prefix), reserved_for(subnet, &pool->prefix.addr),
			 PREFIX(subnet));
}

/* Whether one of `n` sorted, disjoint prefixes holds the address. */
static bool pool_has(const struct prefix_at *v, size_t n, const struct tn_addr *a)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (bytes_cmp(&v[mid].prefix.addr, a) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 && prefix_has(&v[low - 1].prefix, a);
}

#define WHO_TEXT (TENANT_NAME_MAX + 32)

static const char *who(const struct tenant *t, char buf[WHO_TEXT])
{
	if (t->name)
		snprintf(buf, WHO_TEXT, "tenant `%s`", t->name);
	else
		snprintf(buf, WHO_TEXT, "a tenant without a name");
	return buf;
}
#define WHO(t) who((t), (char[WHO_TEXT]){ 0 })

/* One tenant, its pools sorted, with what each family has to take shared addresses from. */
struct realm {
	const struct tenant *tenant;
	const struct prefix_at *pools;
	bool pool_known;
	bool has_v4;
	bool has_v6;
};

static void realm_families(struct realm *realm, const struct prefix *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (addr_is_v4(&v[i].addr))
			realm->has_v4 = true;
		else
			realm->has_v6 = true;
	}
}

static void check_shared(struct parse *p, const struct realm *realm, const struct mapping *m,
			 struct pos at)
{
	const struct prefix *subnet = subnet_of(p, &m->shared);

	if (!addr_is_unset(&m->fixed) && addr_is_v4(&m->fixed) != addr_is_v4(&m->shared))
		complain(p, at,
			 "`%s` is an %s address, but the fixed address `%s` is %s; use one family",
			 ADDR(&m->shared), family_name(&m->shared), ADDR(&m->fixed),
			 family_name(&m->fixed));
	else if (!subnet && p->subnets_known)
		complain(p, at, "the shared address `%s` is in no shared subnet; use one that is",
			 ADDR(&m->shared));
	else if (subnet && prefix_reserves(subnet, &m->shared))
		complain(p, at, "`%s` is the %s address of the shared subnet `%s`; use another one",
			 ADDR(&m->shared), reserved_for(subnet, &m->shared), PREFIX(subnet));
	else if (realm->pool_known && realm->tenant->pools.n &&
		 !pool_has(realm->pools, realm->tenant->pools.n, &m->shared))
		complain(p, at,
			 "the shared address `%s` is outside the pool of %s; use one of the "
			 "pool, or extend it",
			 ADDR(&m->shared), WHO(realm->tenant));
}

static void check_mapping(struct parse *p, const struct realm *realm, const struct mapping *m,
			  const struct mapping_at *at)
{
	const struct prefix *subnet;

	if (!addr_is_unset(&m->shared))
		check_shared(p, realm, m, at->shared);
	if (addr_is_unset(&m->fixed))
		return;
	subnet = subnet_of(p, &m->fixed);
	if (subnet)
		complain(p, at->fixed,
			 "the fixed address `%s` is in the shared subnet `%s`; use the "
			 "VM's private address",
			 ADDR(&m->fixed), PREFIX(subnet));
	else if (!m->pinned && p->subnets_known && realm->pool_known &&
		 !(addr_is_v4(&m->fixed) ? realm->has_v4 : realm->has_v6))
		complain(p, at->fixed,
			 "`%s` has no %s prefix to take a shared address from; add one to %s",
			 ADDR(&m->fixed), family_name(&m->fixed),
			 realm->tenant->pools.n ? "`pool`" : "`subnets`");
}

static void mapping_name_twice(struct parse *p, const struct taken *first,
			       const struct taken *again)
{
	complain(p, p->mappings.v[again->index].name,
		 "%s already has an %s mapping named `%s` at line %u; use another name",
		 WHO(&p->model.tenants.v[again->tenant]), again->addr.w[0] ? "IPv6" : "IPv4",
		 again->name, p->mappings.v[first->index].name.line);
}

static void fixed_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, p->mappings.v[again->index].fixed,
		 "the fixed address `%s` is already mapped at line %u; remove one of them",
		 ADDR(&again->addr), p->mappings.v[first->index].fixed.line);
}

static void check_mappings_once(struct parse *p, uint32_t tenant, taken_vec *names,
				taken_vec *fixed)
{
	uint32_t i = (uint32_t)p->tenants.v[tenant].mappings;

	names->n = 0;
	fixed->n = 0;
	vec_each (m, &p->model.tenants.v[tenant].mappings) {
		if (!addr_is_unset(&m->fixed)) {
			*vec_push(fixed) = (struct taken){ m->fixed, "", tenant, i };
			if (m->name)
				*vec_push(names) =
					taken_name(m->name, !addr_is_v4(&m->fixed), tenant, i);
		}
		i++;
	}
	check_once(p, names, mapping_name_twice);
	check_once(p, fixed, fixed_twice);
}

static void check_tenants(struct parse *p)
{
	taken_vec fixed = { 0 }, names = { 0 };

	for (size_t i = 0; i < p->tenants.n; i++) {
		const struct tenant *t = &p->model.tenants.v[i];
		const struct mapping_at *places = p->mappings.v + p->tenants.v[i].mappings;
		struct prefix_at *pools = p->pools.v + p->tenants.v[i].pools;
		struct realm realm = { .tenant = t, .pools = pools };

		for (size_t k = 0; k < t->pools.n; k++)
			check_pool_prefix(p, &pools[k]);
		realm.pool_known =
			check_disjoint(p, "pool", pools, t->pools.n) && p->tenants.v[i].pool_known;
		realm_families(&realm, t->pools.n ? t->pools.v : p->model.subnets.v,
			       t->pools.n ? t->pools.n : p->model.subnets.n);
		for (size_t k = 0; k < t->mappings.n; k++)
			check_mapping(p, &realm, &t->mappings.v[k], &places[k]);
		check_mappings_once(p, (uint32_t)i, &names, &fixed);
	}
	vec_free(&fixed);
	vec_free(&names);
}

static void tenant_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, p->tenants.v[again->index].name,
		 "the tenant `%s` is already at line %u; use another name, or merge them",
		 again->name, p->tenants.v[first->index].name.line);
}

static void check_tenant_names(struct parse *p)
{
	taken_vec names = { 0 };

	for (uint32_t i = 0; i < p->tenants.n; i++) {
		if (p->model.tenants.v[i].name)
			*vec_push(&names) = taken_name(p->model.tenants.v[i].name, false, i, i);
	}
	check_once(p, &names, tenant_twice);
	vec_free(&names);
}

/* --- rules: whom and what they name --- */

static int text_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef VEC(const char *) text_vec;

static bool text_has(const text_vec *sorted, const char *text)
{
	return sorted->n && bsearch(&text, sorted->v, sorted->n, sizeof(text), text_cmp);
}

static void check_from(struct parse *p)
{
	text_vec names = { 0 };

	vec_each (t, &p->model.tenants) {
		if (t->name)
			*vec_push(&names) = t->name;
	}
	vec_sort(&names, text_cmp);
	vec_each (f, &p->from) {
		if (!text_has(&names, f->text))
			complain(p, f->at,
				 "there is no tenant `%s` in this file; add it, with its pool or "
				 "mappings if its router is elsewhere, or correct the name",
				 QUOTE(f->text));
	}
	vec_free(&names);
}

static int addr_order(const void *a, const void *b)
{
	return bytes_cmp(a, b);
}

/* What rules of one tenant can name: its mappings, by name and by fixed address; sorted. */
struct targets {
	text_vec names;
	VEC(struct tn_addr) fixed;
};

static void targets_of(const struct tenant *t, struct targets *out)
{
	out->names.n = out->fixed.n = 0;
	vec_each (m, &t->mappings) {
		if (m->name)
			*vec_push(&out->names) = m->name;
		*vec_push(&out->fixed) = m->fixed;
	}
	vec_sort(&out->names, text_cmp);
	vec_sort(&out->fixed, addr_order);
}

static bool targets_have(const struct targets *targets, const char *text)
{
	struct tn_addr addr;

	if (!addr_parse(text, &addr))
		return text_has(&targets->names, text);
	return targets->fixed.n &&
	       bsearch(&addr, targets->fixed.v, targets->fixed.n, sizeof(addr), addr_order);
}

static void check_to(struct parse *p)
{
	uint32_t sorted = UINT32_MAX;
	struct targets targets = { 0 };

	vec_each (to, &p->to) {
		const struct tenant *t = &p->model.tenants.v[to->tenant];

		if (sorted != to->tenant)
			targets_of(t, &targets);
		sorted = to->tenant;
		if (!targets_have(&targets, to->text))
			complain(p, to->at,
				 "%s has no mapping `%s`; use the name or the fixed address of one",
				 WHO(t), QUOTE(to->text));
	}
	vec_free(&targets.names);
	vec_free(&targets.fixed);
}

/* --- routers: their addresses and routes --- */

static void check_own(struct parse *p, const struct tn_addr *a, struct pos at)
{
	const struct prefix *subnet = subnet_of(p, a);

	if (!subnet && p->subnets_known)
		complain(p, at, "the router's address `%s` is in no shared subnet; use one that is",
			 ADDR(a));
	else if (subnet && prefix_reserves(subnet, a))
		complain(p, at, "`%s` is the %s address of the shared subnet `%s`; use another one",
			 ADDR(a), reserved_for(subnet, a), PREFIX(subnet));
}

static void check_route(struct parse *p, const struct route *r, const struct route_at *at)
{
	const struct prefix *subnet = subnet_of(p, &r->to.addr);

	if (!r->to.len || addr_is_unset(&r->via) || !p->subnets_known)
		return;
	if (!subnet || subnet->len > r->to.len)
		complain(p, at->to,
			 "`%s` is not inside a shared subnet; only what is needs a route here",
			 PREFIX(&r->to));
	else if (addr_is_v4(&r->to.addr) != addr_is_v4(&r->via))
		complain(p, at->via, "the gateway `%s` is %s, but `%s` is %s; use one family",
			 ADDR(&r->via), family_name(&r->via), PREFIX(&r->to),
			 family_name(&r->to.addr));
	else if (prefix_has(&r->to, &r->via))
		complain(p, at->via,
			 "the gateway `%s` is itself in `%s`; use the one on this side of it",
			 ADDR(&r->via), PREFIX(&r->to));
	else if (!subnet_of(p, &r->via))
		complain(p, at->via, "the gateway `%s` is in no shared subnet; use one that is",
			 ADDR(&r->via));
}

/* Few: every route of a router with those before it. */
static void check_routes(struct parse *p, const struct router *router, const struct route_at *at)
{
	for (size_t i = 0; i < router->routes.n; i++) {
		const struct route *r = &router->routes.v[i];

		check_route(p, r, &at[i]);
		for (size_t k = 0; r->to.len && k < i; k++) {
			const struct prefix *other = &router->routes.v[k].to;

			if (other->len == r->to.len && addr_cmp(&other->addr, &r->to.addr) == 0) {
				complain(p, at[i].to,
					 "`%s` has a route already at line %u; remove one of them",
					 PREFIX(other), at[k].to.line);
				break;
			}
		}
	}
}

static void check_ways(struct parse *p)
{
	const struct route_at *at = p->routes.v;

	for (size_t i = 0; i < p->tenants.n; i++) {
		const struct router *r = p->model.tenants.v[i].router;

		if (!r)
			continue;
		for (int f = 0; f < FAMILIES; f++) {
			if (r->own[f].pinned)
				check_own(p, &r->own[f].addr, p->tenants.v[i].own[f]);
		}
		check_routes(p, r, at);
		at += r->routes.n;
	}
}

/* --- routers: no two may find the same interface --- */

struct router_in {
	const char *netns;  /* "": our own */
	const char *shared; /* "": to be found */
	uint32_t tenant;
};

/* A namespace by one name, however it is written. */
static const char *netns_key(const char *netns)
{
	static const char *const dirs[] = { "/run/netns/", "/var/run/netns/" };

	if (!netns)
		return "";
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		size_t n = strlen(dirs[i]);

		if (strncmp(netns, dirs[i], n) == 0 && netns[n] && !strchr(netns + n, '/'))
			return netns + n;
	}
	return netns;
}

static int router_in_cmp(const void *a, const void *b)
{
	const struct router_in *x = a, *y = b;
	int order = strcmp(x->netns, y->netns);

	if (!order)
		order = strcmp(x->shared, y->shared);
	return order ? order : x->tenant < y->tenant ? -1 : 1;
}

static void refuse_router(struct parse *p, const struct router_in *a, const struct router_in *b)
{
	const struct router_in *early = a->tenant < b->tenant ? a : b, *late = early == a ? b : a;
	const struct tenant *t = &p->model.tenants.v[early->tenant];
	struct pos at = p->model.tenants.v[late->tenant].router->pos;

	if (*a->shared && *b->shared)
		complain(p, at,
			 "the router of %s at line %u has the same namespace and shared interface; "
			 "use others",
			 WHO(t), t->router->pos.line);
	else
		complain(p, at,
			 "the router of %s at line %u is in the same namespace; give both a "
			 "`shared` interface of their own",
			 WHO(t), t->router->pos.line);
}

static void check_routers(struct parse *p)
{
	VEC(struct router_in) routers = { 0 };

	for (size_t i = 0; i < p->tenants.n; i++) {
		const struct router *r = p->model.tenants.v[i].router;

		if (r && p->tenants.v[i].router_known)
			*vec_push(&routers) =
				(struct router_in){ netns_key(r->netns), r->shared ? r->shared : "",
						    (uint32_t)i };
	}
	vec_sort(&routers, router_in_cmp);
	for (size_t i = 1, first = 0; i < routers.n; i++) {
		const struct router_in *head = &routers.v[first], *r = &routers.v[i];

		/* of a namespace's routers, those without `shared` come first */
		if (strcmp(head->netns, r->netns) != 0)
			first = i;
		else if (!*head->shared)
			refuse_router(p, head, r);
		else if (strcmp(r[-1].shared, r->shared) == 0)
			refuse_router(p, &r[-1], r);
	}
	vec_free(&routers);
}

/* --- shared addresses, and the pools of others that they lie in --- */

/* In the place of a mapping's index: the address is the own one of the router of that tenant. */
#define OF_ROUTER (1U << 31)

static struct pos pinned_at(const struct parse *p, const struct taken *t)
{
	return t->index & OF_ROUTER ? p->tenants.v[t->tenant].own[addr_family(&t->addr)]
				    : p->mappings.v[t->index].shared;
}

static void shared_twice(struct parse *p, const struct taken *first, const struct taken *again)
{
	complain(p, pinned_at(p, again),
		 "the %s address `%s` is already used at line %u by %s%s; use another one, or "
		 "remove `%s` to be given one",
		 again->index & OF_ROUTER ? "router's" : "shared", ADDR(&again->addr),
		 pinned_at(p, first).line, first->index & OF_ROUTER ? "the router of " : "",
		 WHO(&p->model.tenants.v[first->tenant]),
		 again->index & OF_ROUTER ? "address" : "shared");
}

/* Indexes of pools that hold each other, the widest first. */
typedef VEC(int) enclosing_vec;

/*
 * The narrowest pool around the address that is not its tenant's own, or -1. Addresses and
 * pools are sorted, so one walk over both finds all: `open` holds the pools around here.
 */
static int foreign_pool(struct parse *p, enclosing_vec *open, size_t *next_pool,
			const struct taken *a)
{
	int top;

	for (; *next_pool < p->pools.n &&
	       bytes_cmp(&p->pools.v[*next_pool].prefix.addr, &a->addr) <= 0;
	     (*next_pool)++) {
		struct prefix_at *pool = &p->pools.v[*next_pool];

		while (open->n && !prefix_has(&p->pools.v[*last(open)].prefix, &pool->prefix.addr))
			open->n--;
		top = open->n ? *last(open) : -1;
		if (top >= 0 && p->pools.v[top].tenant == pool->tenant)
			top = p->pools.v[top].other;
		pool->other = top;
		*vec_push(open) = (int)*next_pool;
	}
	while (open->n && !prefix_has(&p->pools.v[*last(open)].prefix, &a->addr))
		open->n--;
	if (!open->n)
		return -1;
	top = *last(open);
	return p->pools.v[top].tenant != a->tenant ? top : p->pools.v[top].other;
}

/*
 * Pools may overlap, but not where a tenant has pinned an address: the other would
 * take it one day. A tenant without a pool is not asked to keep clear of anything.
 */
static void check_foreign_pools(struct parse *p, const taken_vec *pinned)
{
	enclosing_vec open = { 0 };
	size_t next_pool = 0;

	vec_sort(&p->pools, prefix_at_cmp);
	vec_each (a, pinned) {
		int found = foreign_pool(p, &open, &next_pool, a);
		struct prefix_at *pool;

		if (found < 0 || a->index & OF_ROUTER || !p->model.tenants.v[a->tenant].pools.n)
			continue;
		pool = &p->pools.v[found];
		if (pool->told == a->tenant + 1)
			continue;
		pool->told = a->tenant + 1;
		complain(p, p->mappings.v[a->index].shared,
			 "the shared address `%s` is also in the pool `%s` of %s at line %u; "
			 "make the pools disjoint, or remove `shared`",
			 ADDR(&a->addr), PREFIX(&pool->prefix),
			 WHO(&p->model.tenants.v[pool->tenant]), pool->at.line);
	}
	vec_free(&open);
}

static void check_pinned(struct parse *p)
{
	taken_vec pinned = { 0 };
	uint32_t i = 0;

	for (uint32_t t = 0; t < p->tenants.n; t++) {
		const struct router *r = p->model.tenants.v[t].router;

		for (int f = 0; r && f < FAMILIES; f++) {
			if (r->own[f].pinned)
				*vec_push(&pinned) =
					(struct taken){ r->own[f].addr, "", t, OF_ROUTER | t };
		}
		vec_each (m, &p->model.tenants.v[t].mappings) {
			if (!addr_is_unset(&m->shared))
				*vec_push(&pinned) = (struct taken){ m->shared, "", t, i };
			i++;
		}
	}
	check_once(p, &pinned, shared_twice);
	check_foreign_pools(p, &pinned);
	vec_free(&pinned);
}

/* --- all of it --- */

static void parse_bytes(struct parse *p)
{
	static const char bom[] = "\xef\xbb\xbf";
	size_t head = strlen(bom);

	if (p->len >= head && memcmp(p->bytes, bom, head) == 0) {
		p->bytes += head;
		p->len -= head;
	}
	if (!text_valid(p))
		return;
	if (!yaml_parser_initialize(&p->yaml)) {
		complain(p, (struct pos){ 1, 1 }, "out of memory; free some and try again");
		return;
	}
	yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p->yaml, (const unsigned char *)p->bytes, p->len);
	take_file(p);
	yaml_event_delete(&p->event);
	yaml_parser_delete(&p->yaml);

	check_disjoint(p, "shared subnet", p->subnets.v, p->subnets.n);
	check_tenants(p);
	check_tenant_names(p);
	check_from(p);
	check_to(p);
	check_ways(p);
	check_routers(p);
	check_pinned(p);
}

static void parse_free(struct parse *p)
{
	vec_each (c, &p->complaints)
		free(c->text);
	vec_free(&p->complaints);
	vec_free(&p->subnets);
	vec_free(&p->pools);
	vec_free(&p->tenants);
	vec_free(&p->mappings);
	vec_free(&p->inside);
	vec_free(&p->from);
	vec_free(&p->to);
	vec_free(&p->routes);
	model_free(&p->model);
}

int config_parse(const char *bytes, size_t len, const char *file, struct model *out,
		 struct config_errors *errors)
{
	struct parse p = { .bytes = bytes, .len = len };
	int ret;

	memset(errors, 0, sizeof(*errors));
	memset(out, 0, sizeof(*out));
	if (len > FILE_MAX)
		complain(&p, (struct pos){ 1, 1 },
			 "the file is larger than 2 GiB; make it smaller");
	else
		parse_bytes(&p);
	complaints_give(&p, file, errors);
	ret = errors->list.n ? -1 : 0;
	if (ret == 0) {
		*out = p.model;
		memset(&p.model, 0, sizeof(p.model));
	}
	parse_free(&p);
	return ret;
}
