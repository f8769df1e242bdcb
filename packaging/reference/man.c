/* SPDX-License-Identifier: GPL-2.0-only */
#include <ctype.h>
#include <string.h>

#include "lib/util.h"
#include "reference.h"

/* Bytes in a line of the source, as mandoc wants them at most. */
#define LINE_MAX_LEN 78

const char *dashed(const struct command *c, char out[64])
{
	snprintf(out, 64, "%s", c->name);
	for (char *at = strchr(out, ' '); at; at = strchr(at, ' '))
		*at = '-';
	return out;
}

/* ------------------------------------------------------------ text */

/* What follows in UTF-8 as one character; `n` is of how many bytes it is. */
static unsigned int character(const char *text, size_t *n)
{
	const unsigned char *c = (const unsigned char *)text;

	*n = *c < 0x80 ? 1 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
	return *n == 1	 ? c[0]
	       : *n == 2 ? (c[0] & 0x1fU) << 6 | (c[1] & 0x3fU)
	       : *n == 3 ? (c[0] & 0x0fU) << 12 | (c[1] & 0x3fU) << 6 | (c[2] & 0x3fU)
			 : (c[0] & 0x07U) << 18 | (c[1] & 0x3fU) << 12 | (c[2] & 0x3fU) << 6 |
				   (c[3] & 0x3fU);
}

/* Text, escaped; what is in backquotes is bold, and *bold says whether the last one is open. */
static void put(FILE *out, const char *text, size_t size, bool *bold)
{
	size_t n;

	for (size_t i = 0; i < size; i += n) {
		unsigned int c = character(text + i, &n);

		if (c == '`' && bold) {
			*bold = !*bold;
			fputs(*bold ? "\\fB" : "\\fR", out);
		} else if (c == '\\') {
			fputs("\\e", out);
		} else if (c == '-') {
			fputs("\\-", out);
		} else if (n > 1) {
			fprintf(out, "\\[u%04X]", c);
		} else {
			fputc((int)c, out);
		}
	}
}

static void put_text(FILE *out, const char *text)
{
	put(out, text, strlen(text), NULL);
}

/* How long it is when it is escaped. */
static size_t length_of(const char *text, size_t size)
{
	char *buf = NULL;
	size_t n = 0;
	bool bold = false;
	FILE *f = open_memstream(&buf, &n);

	if (!f)
		return 0;
	put(f, text, size, &bold);
	fclose(f);
	free(buf);
	return n;
}

/* Words, filled into lines. */
static void fill(FILE *out, const char *text, size_t size, size_t *column, bool *bold)
{
	const char *end = text + size;

	while (text < end) {
		size_t n = strcspn(text, " \n"), length;

		n = n < (size_t)(end - text) ? n : (size_t)(end - text);
		length = length_of(text, n);
		if (*column && *column + 1 + length > LINE_MAX_LEN) {
			fputc('\n', out);
			*column = 0;
		} else if (*column) {
			fputc(' ', out);
		}
		/* else it would be a request */
		if (!*column && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		put(out, text, n, bold);
		*column += length + 1;
		text += n;
		while (text < end && (*text == ' ' || *text == '\n'))
			text++;
	}
}

static void paragraph_text(FILE *out, const char *text)
{
	size_t column = 0;
	bool bold = false;

	fill(out, text, strlen(text), &column, &bold);
	fputc('\n', out);
}

/* Lines as they are. */
static void literal(FILE *out, const char *text, size_t size)
{
	const char *end = text + size;

	fputs(".nf\n", out);
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = newline ? (size_t)(newline - text) : (size_t)(end - text);

		if (*text == '.' || *text == '\'')
			fputs("\\&", out);
		put(out, text, n, NULL);
		fputc('\n', out);
		text += n + 1;
	}
	fputs(".fi\n", out);
}

/*
 * The help of a command: paragraphs are separated by empty lines; what is indented is a table or an
 * example, also behind lines that are not. Those that begin with `JSON: ` or `Exit status` get a
 * heading of their own.
 */
static void help_text(FILE *out, const char *help)
{
	while (*help) {
		const char *end = strstr(help, "\n\n");
		size_t size = end ? (size_t)(end - help) : strlen(help);
		bool json = strncmp(help, "JSON", 4) == 0;
		bool status = strncmp(help, "Exit status", 11) == 0;
		bool bold = false, open = false;
		size_t column = 0, at = 0;

		if (json)
			fputs(".SH JSON\n", out);
		else if (status)
			fputs(".SH EXIT STATUS\n", out);
		if (json || status)
			at = strlen(json ? "JSON: " : "Exit status ");
		while (at < size) {
			const char *newline = memchr(help + at, '\n', size - at);
			size_t n = newline ? (size_t)(newline - help) - at : size - at;

			if (help[at] == ' ') {
				size_t from = at;

				/* all that is indented, in one */
				while (at < size && help[at] == ' ') {
					newline = memchr(help + at, '\n', size - at);
					at = newline ? (size_t)(newline - help) + 1 : size;
				}
				fputs(open ? "\n.PP\n" : ".PP\n", out);
				open = false;
				column = 0;
				literal(out, help + from, at - from - (help[at - 1] == '\n'));
				continue;
			}
			if (!open && !json && !status)
				fputs(".PP\n", out);
			open = true;
			fill(out, help + at, n, &column, &bold);
			at += n + 1;
		}
		if (open)
			fputc('\n', out);
		help += size;
		while (*help == '\n')
			help++;
	}
}

/* ------------------------------------------------------------ pages */

static void head(FILE *out, const char *date, const char *name, int section, const char *summary)
{
	char said[128];

	fputs(".\\\" SPDX-License-Identifier: GPL-2.0-only\n.\\\" Written by the build.\n.TH ",
	      out);
	for (const char *c = name; *c; c++)
		fprintf(out, *c == '-' ? "\\-" : "%c", toupper(*c));
	fprintf(out, " %d \"%s\" \"tenantnat %s\"\n.SH NAME\n", section, date, tenantnat_version);
	put_text(out, name);
	fputs(" \\-\n", out);
	/* a summary is a sentence without its full stop */
	snprintf(said, sizeof(said), "%s", summary);
	said[0] = (char)tolower(said[0]);
	paragraph_text(out, said);
}

static void option(FILE *out, const struct cmd_option *o)
{
	fputs(".TP\n", out);
	if (o->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", out);
	put_text(out, o->name);
	fputs("\\fR", out);
	if (o->arg) {
		fputs(" \\fI", out);
		put_text(out, o->arg);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	paragraph_text(out, o->help);
}

static void globals(FILE *out)
{
	for (size_t i = 0; i < CMD_GLOBALS; i++)
		option(out, &cmd_globals[i].option);
}

static void usual_status(FILE *out)
{
	fputs(".SH EXIT STATUS\n"
	      "0: done. 1: it failed. 2: the request or the input was wrong.\n",
	      out);
}

void man_command(FILE *out, const char *date, const struct command *c)
{
	char name[80], word[64], said[128];

	snprintf(name, sizeof(name), "tenantnat-%s", dashed(c, word));
	head(out, date, name, 8, c->summary);
	fputs(".SH SYNOPSIS\n\\fBtenantnat\\fR [\\fIOPTION\\fR...] \\fB", out);
	put_text(out, c->name);
	fputs("\\fR", out);
	fputc('\n', out);
	if (*c->synopsis)
		paragraph_text(out, c->synopsis);
	fputs(".SH DESCRIPTION\n", out);
	snprintf(said, sizeof(said), "%s.", c->summary);
	paragraph_text(out, said);
	if (c->help)
		help_text(out, c->help);
	if (!c->help || !strstr(c->help, "\nExit status"))
		usual_status(out);
	fputs(".SH OPTIONS\n", out);
	for (const struct cmd_option *o = c->options; o->name; o++)
		option(out, o);
	if (c->options[0].name)
		fputs(".SS Options of every command\n", out);
	globals(out);
	fputs(".SH SEE ALSO\n.BR tenantnat (8),\n.BR tenantnat.yaml (5)\n", out);
}

void man_overview(FILE *out, const char *date)
{
	head(out, date, "tenantnat", 8,
	     "Cross-tenant communication over an internal shared network");
	fputs(".SH SYNOPSIS\n\\fBtenantnat\\fR [\\fIOPTION\\fR...] \\fICOMMAND\\fR ...\n"
	      ".SH DESCRIPTION\n",
	      out);
	paragraph_text(out,
		       "Every tenant has a virtual router with an interface on an internal shared "
		       "network. Programs in the kernel (XDP and tc) translate there between the "
		       "private address of a VM and the shared address that is mapped to it. A "
		       "definitions file says who the tenants are and who may reach whom: see "
		       "tenantnat.yaml(5). Everything else is dropped.");
	fputs(".SH COMMANDS\nEach has a manual of its own.\n", out);
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		char word[64];

		fputs(".TP\n.BR tenantnat\\-", out);
		put_text(out, dashed(cmd_table[i], word));
		fputs(" (8)\n", out);
		paragraph_text(out, cmd_table[i]->summary);
	}
	fputs(".SH OPTIONS\n", out);
	globals(out);
	usual_status(out);
	fputs(".SH FILES\n", out);
	fputs(".TP\n.I " DEFAULT_FILE "\n", out);
	paragraph_text(out, "The definitions, where no other file is given.");
	fputs(".TP\n.I /var/lib/tenantnat/state.db\n", out);
	paragraph_text(out, "The definitions in force, leases, and the history of changes.");
	fputs(".TP\n.I /sys/fs/bpf/tenantnat\n", out);
	paragraph_text(out, "Pinned programs and maps. Traffic needs nothing else.");
	fputs(".SH SEE ALSO\n.BR tenantnat.yaml (5)\n", out);
}

/* ------------------------------------------------------------ the definitions file */

static const json_t *definition(const json_t *schema, const json_t *node)
{
	const char *ref = json_string_value(json_object_get(node, "$ref"));

	return ref ? json_object_get(json_object_get(schema, "definitions"), strrchr(ref, '/') + 1)
		   : node;
}

/* The first of its forms, where it may have several; of a list, what is in it. */
static const json_t *one_of(const json_t *schema, const json_t *node)
{
	const json_t *any = json_object_get(node, "anyOf"), *items;

	if (any && json_object_get(json_array_get(any, 0), "$ref"))
		node = json_array_get(any, 0);
	node = definition(schema, node);
	items = json_object_get(node, "items");
	return items ? definition(schema, items) : node;
}

static void put_words(FILE *out, const json_t *words)
{
	const json_t *word;
	size_t i;

	json_array_foreach(words, i, word)
	{
		fprintf(out, "%s\\fB", i ? ", " : "");
		put_text(out, json_string_value(word));
		fputs("\\fR", out);
	}
}

static bool is_required(const json_t *level, const char *key)
{
	const json_t *word;
	size_t i;

	json_array_foreach(json_object_get(level, "required"), i, word)
	{
		if (strcmp(json_string_value(word), key) == 0)
			return true;
	}
	return false;
}

/* What its values may be, as far as the schema can say it in words. */
static void put_values(FILE *out, const json_t *node)
{
	const json_t *words = json_object_get(node, "enum");
	const json_t *least = json_object_get(node, "minimum");
	const json_t *most = json_object_get(node, "maximum");
	const json_t *absent = json_object_get(node, "default");

	if (words) {
		fputs("One of ", out);
		put_words(out, words);
		fputs(".\n", out);
	}
	if (least && most)
		fprintf(out, "From %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT ".\n",
			json_integer_value(least), json_integer_value(most));
	if (absent) {
		fputs("Default: \\fB", out);
		if (json_is_integer(absent))
			fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(absent));
		else
			put_text(out, json_string_value(absent));
		fputs("\\fR.\n", out);
	}
}

static void key_text(FILE *out, const json_t *schema, const json_t *level, const char *key,
		     const json_t *node)
{
	const char *said = json_string_value(json_object_get(node, "description"));

	fputs(".TP\n\\fB", out);
	put_text(out, key);
	fprintf(out, "\\fR%s%s\n",
		json_object_get(definition(schema, node), "items") ? " (a list)" : "",
		is_required(level, key) ? " (required)" : "");
	if (said)
		paragraph_text(out, said);
	put_values(out, definition(schema, node));
}

/* The keys of a level; then the levels below it, each under its own heading. */
static void level_text(FILE *out, const json_t *schema, const json_t *level, const char *title)
{
	json_t *properties = json_object_get(level, "properties"), *node;
	const char *key;

	fputs(".SS ", out);
	put_text(out, title);
	fputc('\n', out);
	json_object_foreach(properties, key, node) key_text(out, schema, level, key, node);
	json_object_foreach(properties, key, node)
	{
		const json_t *below = one_of(schema, node);
		char path[256];

		if (!json_object_get(below, "properties"))
			continue;
		snprintf(path, sizeof(path), "%s%s%s", strcmp(title, "The file") != 0 ? title : "",
			 strcmp(title, "The file") != 0 ? ", " : "", key);
		level_text(out, schema, below, path);
	}
}

void man_definitions(FILE *out, const char *date, const json_t *schema, const char *example)
{
	head(out, date, "tenantnat.yaml", 5, "The definitions file of tenantnat");
	fputs(".SH DESCRIPTION\n", out);
	paragraph_text(out, json_string_value(json_object_get(schema, "description")));
	fputs(".SH KEYS\n", out);
	level_text(out, schema, schema, "The file");
	fputs(".SH EXAMPLES\n", out);
	literal(out, example, strlen(example));
	fputs(".SH SEE ALSO\n.BR tenantnat\\-apply (8),\n.BR tenantnat\\-validate (8),\n"
	      ".BR tenantnat (8)\n",
	      out);
}
