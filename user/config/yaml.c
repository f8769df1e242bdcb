/* SPDX-License-Identifier: GPL-2.0-only */
/* The bytes of a file to the events of libyaml, and where each of them is. */
#include "config/parse.h"

#define DEPTH_MAX 32

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

/* The first byte of the character at a place of the file, or 0 at its end. */
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

/* Before libyaml, which stops at a bad character and loses the events before it. */
bool text_valid(struct parse *p)
{
	const unsigned char *s = (const unsigned char *)p->bytes;
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < p->len; i += n) {
		n = 1;
		if ((s[i] >= 0x20 && s[i] < 0x7f) || s[i] == '\n' || s[i] == '\r' || s[i] == '\t')
			continue;
		n = utf8_char(s + i, p->len - i, &c);
		if (n && is_printable(c))
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

static struct pos pos_of_mark(yaml_mark_t mark)
{
	return (struct pos){ (uint32_t)mark.line + 1, (uint32_t)mark.column + 1 };
}

struct pos event_pos(const struct parse *p)
{
	return pos_of_mark(p->event.start_mark);
}

/* The first tab among the blanks that a line begins with; col 0: there is none. */
static struct pos indenting_tab(const struct parse *p, uint32_t line)
{
	struct pos at = { line, 1 };

	while (byte_at(p, at) == ' ')
		at.col++;
	return byte_at(p, at) == '\t' ? at : (struct pos){ line, 0 };
}

/* A character that no value can begin with, where the error is or what it is about began. */
static bool refuse_first_character(struct parse *p, struct pos at)
{
	const char *context = p->yaml.context ? p->yaml.context : "";
	bool is_alias = strstr(context, "scanning an a"); /* an alias, an anchor */
	struct pos first = is_alias ? pos_of_mark(p->yaml.context_mark) : at;
	char c = byte_at(p, first);

	if (p->yaml.error != YAML_SCANNER_ERROR || !c || !strchr(is_alias ? "*&" : "@`%", c))
		return false;
	give_up(p, first, "a value cannot begin with %c; put it in quotes%s", c,
		c == '*' ? ", as in \"*\"" : "");
	return true;
}

static void syntax_error(struct parse *p)
{
	const char *problem = p->yaml.problem ? p->yaml.problem : "out of memory";
	const char *context = p->yaml.context ? p->yaml.context : "";
	struct pos at = pos_of_mark(p->yaml.problem_mark), tab = indenting_tab(p, at.line);
	char from[32] = "";

	if (tab.col) {
		give_up(p, tab, "this line is indented with a tab; use spaces");
		return;
	}
	if (p->yaml.error == YAML_SCANNER_ERROR && byte_at(p, at) == '\t') {
		give_up(p, at, "a tab cannot be used here; use spaces");
		return;
	}
	if (refuse_first_character(p, at))
		return;
	if (strncmp(problem, "mapping values", 14) == 0 || strstr(problem, "unexpected ':'")) {
		give_up(p, at,
			"a `:` is out of place; check the indentation, and quote a value that "
			"ends with `:` or has `: ` in it");
		return;
	}
	if (*context && p->yaml.context_mark.line < p->yaml.problem_mark.line)
		snprintf(from, sizeof(from), " of line %zu", p->yaml.context_mark.line + 1);
	give_up(p, at, "not valid YAML: %s%s%s%s; check the indentation, quotes and brackets",
		context, from, *context ? ", " : "", problem);
}

/* YAML allows an anchor and a tag before any value; here neither is supported. */
static void refuse_properties(struct parse *p, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	static const char core_tags[] = "tag:yaml.org,2002:"; /* written `!!` */

	if (anchor)
		complain(p, event_pos(p), "the anchor `&%s` is not supported; write the value out",
			 QUOTE((const char *)anchor));
	if (tag) {
		const char *text = (const char *)tag;
		bool core = strncmp(text, core_tags, strlen(core_tags)) == 0;

		complain(p, event_pos(p), "the tag `%s%s` is not supported; remove it",
			 core ? "!!" : "", QUOTE(core ? text + strlen(core_tags) : text));
	}
}

bool has_properties(const struct parse *p)
{
	switch (p->event.type) {
	case YAML_SCALAR_EVENT:
		return p->event.data.scalar.anchor || p->event.data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return p->event.data.sequence_start.anchor || p->event.data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return p->event.data.mapping_start.anchor || p->event.data.mapping_start.tag;
	default:
		return false;
	}
}

static void descend(struct parse *p)
{
	if (++p->depth <= DEPTH_MAX)
		return;
	give_up(p, event_pos(p), "nested more than %d deep; look for a bracket that is not closed",
		DEPTH_MAX);
}

bool next_event(struct parse *p)
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
		complain(p, event_pos(p), "the alias `*%s` is not supported; write the value out",
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

void skip_node(struct parse *p)
{
	unsigned int depth = p->depth;

	if (p->event.type != YAML_SEQUENCE_START_EVENT && p->event.type != YAML_MAPPING_START_EVENT)
		return;
	while (next_event(p) && p->depth >= depth)
		;
}
