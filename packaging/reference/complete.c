/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

#include "lib/util.h"
#include "reference.h"

/* What a word of the command line can be completed from. */
enum kind { KIND_NONE, KIND_FILE, KIND_DIRECTORY, KIND_TENANT, KIND_NAME };

/* Of the value of an option, or an argument, by what the help calls it. */
static enum kind kind_of(const char *called)
{
	if (strstr(called, "MAPPING") || strstr(called, "FROM "))
		return KIND_NAME;
	if (strncmp(called, "TENANT", 6) == 0 || strncmp(called, "[TENANT", 7) == 0)
		return KIND_TENANT;
	if (strcmp(called, "FILE") == 0 || strcmp(called, "[FILE]") == 0)
		return KIND_FILE;
	return strcmp(called, "DIR") == 0 ? KIND_DIRECTORY : KIND_NONE;
}

/* Of the arguments: what stands behind the options in the synopsis, or is all of it. */
static enum kind arguments_of(const struct command *c)
{
	const char *at = c->synopsis;

	for (const char *next; (next = strstr(at, "] [")); at = next + 2) {
		if (at[0] != '[' || at[1] != '-')
			break;
	}
	return c->max_args ? kind_of(at) : KIND_NONE;
}

/* Those of every command, and then those of `c`, if it is not NULL; NULL: there are no more. */
static const struct cmd_option *next_option(const struct command *c, size_t *i)
{
	size_t at = (*i)++;

	if (at < CMD_GLOBALS)
		return &cmd_globals[at].option;
	at -= CMD_GLOBALS;
	return c && at < CMD_OPTIONS_MAX && c->options[at].name ? &c->options[at] : NULL;
}

static const char first_line[] = "# SPDX-License-Identifier: GPL-2.0-only\n"
				 "# Written by the build.\n";

/* TENANT and TENANT/MAPPING, of the definitions in force; nothing where they cannot be read. */
static const char names_function[] =
	"_tenantnat_tenants() {\n"
	"\ttenantnat map list 2>/dev/null | awk 'NR > 1 { print $1 }' | sort -u\n"
	"}\n"
	"_tenantnat_names() {\n"
	"\ttenantnat map list 2>/dev/null |\n"
	"\t\tawk 'NR > 1 { print $1; print $1 \"/\" ($2 == \"-\" ? $3 : $2) }' | sort -u\n"
	"}\n";

/* ------------------------------------------------------------ bash */

static const char *bash_reply(enum kind kind)
{
	switch (kind) {
	case KIND_FILE:
		return "compgen -f -- \"$cur\"";
	case KIND_DIRECTORY:
		return "compgen -d -- \"$cur\"";
	case KIND_TENANT:
		return "compgen -W \"$(_tenantnat_tenants)\" -- \"$cur\"";
	case KIND_NAME:
		return "compgen -W \"$(_tenantnat_names)\" -- \"$cur\"";
	case KIND_NONE:
		break;
	}
	return "true";
}

/* An option that takes a value: its forms, as a pattern of `case`. */
static void bash_forms(FILE *out, const struct cmd_option *o)
{
	if (o->letter)
		fprintf(out, "-%c | ", o->letter);
	fprintf(out, "--%s", o->name);
}

/* Whether it is the first of several whose names begin with the same word. */
static bool is_group(size_t i)
{
	const char *name = cmd_table[i]->name, *space = strchr(name, ' ');

	for (size_t j = 0; space && j < i; j++) {
		if (strncmp(cmd_table[j]->name, name, (size_t)(space - name) + 1) == 0)
			return false;
	}
	return space;
}

/* The same, where that word alone is no command, as `show` is. */
static bool is_bare_group(size_t i)
{
	const char *name = cmd_table[i]->name;
	size_t n = strcspn(name, " ");

	for (size_t j = 0; j < CMD_COMMANDS; j++) {
		if (strncmp(cmd_table[j]->name, name, n) == 0 && !cmd_table[j]->name[n])
			return false;
	}
	return is_group(i);
}

/* Whether another command begins with its name, as `show history` does. */
static bool begins_others(const struct command *c)
{
	size_t n = strlen(c->name);

	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (strncmp(cmd_table[i]->name, c->name, n) == 0 && cmd_table[i]->name[n] == ' ')
			return true;
	}
	return false;
}

/* The words that can stand first: a command, or the first of its two words. */
static void first_words(FILE *out, const char *before, const char *behind)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		int n = (int)strcspn(cmd_table[i]->name, " ");

		if (!cmd_table[i]->name[n] || is_bare_group(i))
			fprintf(out, "%s%.*s%s", before, n, cmd_table[i]->name, behind);
	}
}

/* The second words behind `group`. */
static void second_words(FILE *out, const char *group, const char *before, const char *behind)
{
	size_t n = strcspn(group, " ");

	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (strncmp(cmd_table[i]->name, group, n) == 0 && cmd_table[i]->name[n] == ' ')
			fprintf(out, "%s%s%s", before, cmd_table[i]->name + n + 1, behind);
	}
}

/* What follows `prev` if that is an option with a value; else options, or `words`. */
static void bash_arms(FILE *out, const struct command *c)
{
	const struct cmd_option *o;

	fputs("\t\tcase $prev in\n", out);
	for (size_t i = 0; (o = next_option(c, &i));) {
		if (!o->arg)
			continue;
		fputs("\t\t", out);
		bash_forms(out, o);
		fprintf(out, ") %s; return ;;\n", bash_reply(kind_of(o->arg)));
	}
	fputs("\t\tesac\n\t\tcase $cur in\n\t\t-*) compgen -W \"", out);
	for (size_t i = 0; (o = next_option(c, &i));)
		fprintf(out, "--%s ", o->name);
	fputs("\" -- \"$cur\" ;;\n\t\t*) ", out);
}

static void bash_command(FILE *out, const struct command *c)
{
	fprintf(out, "\t\"%s\")\n", c->name);
	bash_arms(out, c);
	fputs(bash_reply(arguments_of(c)), out);
	if (begins_others(c))
		second_words(out, c->name, "; compgen -W ", " -- \"$cur\"");
	fputs(" ;;\n\t\tesac\n\t\t;;\n", out);
}

/* "a|b|c": what takes a value before the command's name. */
static void bash_global_values(FILE *out)
{
	const char *between = "";

	for (size_t i = 0; i < CMD_GLOBALS; i++) {
		if (!cmd_globals[i].option.arg)
			continue;
		fputs(between, out);
		bash_forms(out, &cmd_globals[i].option);
		between = " | ";
	}
}

void complete_bash(FILE *out)
{
	fputs(first_line, out);
	fputs(names_function, out);
	fputs("# what follows the words before it, a line each\n"
	      "_tenantnat_reply() {\n"
	      "\tlocal command=$1 prev=$2 cur=$3\n"
	      "\tcase $command in\n",
	      out);
	for (size_t i = 0; i < CMD_COMMANDS; i++)
		bash_command(out, cmd_table[i]);
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (!is_bare_group(i))
			continue;
		fprintf(out, "\t%.*s) compgen -W \"", (int)strcspn(cmd_table[i]->name, " "),
			cmd_table[i]->name);
		second_words(out, cmd_table[i]->name, "", " ");
		fputs("\" -- \"$cur\" ;;\n", out);
	}
	fputs("\t\"\")\n", out);
	bash_arms(out, NULL);
	fputs("compgen -W \"", out);
	first_words(out, "", " ");
	fputs("\" -- \"$cur\" ;;\n\t\tesac\n\t\t;;\n\tesac\n}\n"
	      "_tenantnat() {\n"
	      "\tlocal i word command='' skip=''\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\tif [ -n \"$skip\" ]; then\n"
	      "\t\t\tskip=''\n"
	      "\t\t\tcontinue\n"
	      "\t\tfi\n"
	      "\t\tcase $word in\n\t\t",
	      out);
	bash_global_values(out);
	fputs(") skip=yes ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*)\n"
	      "\t\t\tcase $command in\n"
	      "\t\t\t'') command=$word ;;\n\t\t\t",
	      out);
	for (size_t i = 0, n = 0; i < CMD_COMMANDS; i++) {
		if (is_group(i))
			fprintf(out, "%s%.*s", n++ ? " | " : "",
				(int)strcspn(cmd_table[i]->name, " "), cmd_table[i]->name);
	}
	fputs(") case \"$command $word\" in\n\t\t\t\t", out);
	for (size_t i = 0, n = 0; i < CMD_COMMANDS; i++) {
		if (strchr(cmd_table[i]->name, ' '))
			fprintf(out, "%s\"%s\"", n++ ? " | " : "", cmd_table[i]->name);
	}
	fputs(") command=\"$command $word\" ;;\n"
	      "\t\t\t\tesac ;;\n"
	      "\t\t\tesac\n"
	      "\t\t\t;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tmapfile -t COMPREPLY < <(_tenantnat_reply \"$command\" "
	      "\"${COMP_WORDS[COMP_CWORD - 1]}\" \"${COMP_WORDS[COMP_CWORD]}\")\n"
	      "}\n"
	      "complete -o filenames -F _tenantnat tenantnat\n",
	      out);
}

/* ------------------------------------------------------------ zsh */

static const char *zsh_action(enum kind kind)
{
	static const char *const actions[] = {
		[KIND_NONE] = " ",
		[KIND_FILE] = "_files",
		[KIND_DIRECTORY] = "_files -/",
		[KIND_TENANT] = "_tenantnat_tenants",
		[KIND_NAME] = "_tenantnat_names",
	};

	return actions[kind];
}

/* Inside '…' and […]. */
static void zsh_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:\\", *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void zsh_option(FILE *out, const struct cmd_option *o)
{
	if (o->letter)
		fprintf(out, " '(-%c --%s)'{-%c,--%s}'[", o->letter, o->name, o->letter, o->name);
	else
		fprintf(out, " '--%s[", o->name);
	zsh_text(out, o->help);
	fputc(']', out);
	if (o->arg) {
		fputc(':', out);
		zsh_text(out, o->arg);
		fprintf(out, ":%s", zsh_action(kind_of(o->arg)));
	}
	fputs("' \\\n\t\t", out);
}

static void zsh_command(FILE *out, const struct command *c)
{
	const struct cmd_option *o;

	fprintf(out, "\t(%s%s%s) _arguments", strchr(c->name, ' ') ? "\"" : "", c->name,
		strchr(c->name, ' ') ? "\"" : "");
	for (size_t i = 0; (o = next_option(c, &i));)
		zsh_option(out, o);
	fprintf(out, "'*:argument:%s' ;;\n", zsh_action(arguments_of(c)));
}

/* 'word:summary' of the commands that stand alone, or the words of a group. */
static void zsh_word(FILE *out, const char *word, int n, const char *summary)
{
	fprintf(out, " '%.*s:", n, word);
	zsh_text(out, summary);
	fputc('\'', out);
}

static void zsh_first_words(FILE *out)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		int n = (int)strcspn(cmd_table[i]->name, " ");

		if (!cmd_table[i]->name[n])
			zsh_word(out, cmd_table[i]->name, n, cmd_table[i]->summary);
		else if (is_bare_group(i))
			zsh_word(out, cmd_table[i]->name, n, "several commands");
	}
}

static void zsh_group(FILE *out, const char *group)
{
	size_t n = strcspn(group, " ");

	fprintf(out, "\t(%.*s) words=(", (int)n, group);
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		const char *word = cmd_table[i]->name + n + 1;

		if (strncmp(cmd_table[i]->name, group, n + 1) == 0)
			zsh_word(out, word, (int)strlen(word), cmd_table[i]->summary);
	}
	fputs("); _describe command words ;;\n", out);
}

void complete_zsh(FILE *out)
{
	const struct cmd_option *o;

	fputs("#compdef tenantnat\n", out);
	fputs(first_line, out);
	fputs("_tenantnat_tenants() {\n"
	      "\tcompadd -- ${(f)\"$(tenantnat map list 2>/dev/null |\n"
	      "\t\tawk 'NR > 1 { print $1 }' | sort -u)\"}\n"
	      "}\n"
	      "_tenantnat_names() {\n"
	      "\tcompadd -- ${(f)\"$(tenantnat map list 2>/dev/null |\n"
	      "\t\tawk 'NR > 1 { print $1; print $1 \"/\" ($2 == \"-\" ? $3 : $2) }' | sort "
	      "-u)\"}\n"
	      "}\n"
	      "_tenantnat_second() {\n"
	      "\tlocal -a words\n"
	      "\tcase $1 in\n",
	      out);
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (is_bare_group(i))
			zsh_group(out, cmd_table[i]->name);
	}
	fputs("\tesac\n}\n"
	      "_tenantnat_command() {\n"
	      "\tcase $1 in\n",
	      out);
	for (size_t i = 0; i < CMD_COMMANDS; i++)
		zsh_command(out, cmd_table[i]);
	fputs("\tesac\n}\n"
	      "_tenantnat() {\n"
	      "\tlocal context state line first\n"
	      "\tlocal -a words_1\n"
	      "\t_arguments -C",
	      out);
	for (size_t i = 0; (o = next_option(NULL, &i));)
		zsh_option(out, o);
	fputs("'1:command:->first' '*::argument:->rest'\n"
	      "\tcase $state in\n"
	      "\t(first)\n"
	      "\t\twords_1=(",
	      out);
	zsh_first_words(out);
	fputs(")\n"
	      "\t\t_describe command words_1\n"
	      "\t\t;;\n"
	      "\t(rest)\n"
	      "\t\tfirst=$line[1]\n"
	      "\t\tcase $first in\n\t\t(",
	      out);
	for (size_t i = 0, n = 0; i < CMD_COMMANDS; i++) {
		if (is_bare_group(i))
			fprintf(out, "%s%.*s", n++ ? "|" : "",
				(int)strcspn(cmd_table[i]->name, " "), cmd_table[i]->name);
	}
	fputs(")\n"
	      "\t\t\tif ((CURRENT == 1)); then\n"
	      "\t\t\t\t_tenantnat_second $first\n"
	      "\t\t\t\treturn\n"
	      "\t\t\tfi\n"
	      "\t\t\tfirst=\"$first $words[1]\"\n"
	      "\t\t\tshift words\n"
	      "\t\t\t((CURRENT--))\n"
	      "\t\t\twords=(\"$first\" $words)\n"
	      "\t\t\t((CURRENT++))\n"
	      "\t\t\t;;\n"
	      "\t\t(*)\n"
	      "\t\t\twords=(\"$first\" $words)\n"
	      "\t\t\t((CURRENT++))\n"
	      "\t\t\t;;\n"
	      "\t\tesac\n"
	      "\t\t_tenantnat_command \"$first\"\n"
	      "\t\t;;\n"
	      "\tesac\n"
	      "}\n"
	      "_tenantnat \"$@\"\n",
	      out);
}

/* ------------------------------------------------------------ fish */

/* Inside '…'. */
static void fish_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static const char *fish_values(enum kind kind)
{
	static const char *const values[] = {
		[KIND_NONE] = " -x",
		[KIND_FILE] = " -r -F",
		[KIND_DIRECTORY] = " -x -a '(__fish_complete_directories)'",
		[KIND_TENANT] = " -x -a '(__tenantnat_tenants)'",
		[KIND_NAME] = " -x -a '(__tenantnat_names)'",
	};

	return values[kind];
}

/* `when` NULL: always. */
static void fish_option(FILE *out, const char *when, const struct cmd_option *o)
{
	fputs("complete -c tenantnat", out);
	if (when)
		fprintf(out, " -n '__tenantnat_is \"%s\"'", when);
	fprintf(out, " -l %s", o->name);
	if (o->letter)
		fprintf(out, " -s %c", o->letter);
	if (o->arg)
		fputs(fish_values(kind_of(o->arg)), out);
	fputs(" -d '", out);
	fish_text(out, o->help);
	fputs("'\n", out);
}

static void fish_word(FILE *out, const char *when, const char *word, int n, const char *summary)
{
	fprintf(out, "complete -c tenantnat -n '__tenantnat_is \"%s\"' -a '%.*s' -d '", when, n,
		word);
	fish_text(out, summary);
	fputs("'\n", out);
}

static void fish_command(FILE *out, size_t i)
{
	const struct command *c = cmd_table[i];
	int n = (int)strcspn(c->name, " ");
	enum kind kind = arguments_of(c);
	char group[32];

	snprintf(group, sizeof(group), "%.*s", n, c->name);
	if (!c->name[n]) {
		fish_word(out, "", c->name, n, c->summary);
	} else {
		if (is_bare_group(i))
			fish_word(out, "", c->name, n, "several commands");
		fish_word(out, group, c->name + n + 1, (int)strlen(c->name + n + 1), c->summary);
	}
	for (const struct cmd_option *o = c->options; o->name; o++)
		fish_option(out, c->name, o);
	if (kind != KIND_NONE)
		fprintf(out, "complete -c tenantnat -n '__tenantnat_is \"%s\"'%s\n", c->name,
			fish_values(kind) + (kind == KIND_FILE ? 3 : 0));
}

void complete_fish(FILE *out)
{
	fputs(first_line, out);
	fputs("function __tenantnat_tenants\n"
	      "\ttenantnat map list 2>/dev/null | awk 'NR > 1 { print $1 }' | sort -u\n"
	      "end\n"
	      "function __tenantnat_names\n"
	      "\ttenantnat map list 2>/dev/null |\n"
	      "\t\tawk 'NR > 1 { print $1; print $1 \"/\" ($2 == \"-\" ? $3 : $2) }' | sort -u\n"
	      "end\n"
	      "# whether the words before the cursor are these commands, and no more\n"
	      "function __tenantnat_is\n"
	      "\tset -l said\n"
	      "\tset -l skip\n"
	      "\tfor word in (commandline -opc)[2..-1]\n"
	      "\t\tif test -n \"$skip\"\n"
	      "\t\t\tset skip\n"
	      "\t\t\tcontinue\n"
	      "\t\tend\n"
	      "\t\tswitch $word\n"
	      "\t\t\tcase",
	      out);
	for (size_t i = 0; i < CMD_GLOBALS; i++) {
		if (cmd_globals[i].option.arg)
			fprintf(out, " --%s", cmd_globals[i].option.name);
	}
	fputs("\n"
	      "\t\t\t\tset skip yes\n"
	      "\t\t\tcase '-*'\n"
	      "\t\t\tcase '*'\n"
	      "\t\t\t\tset -a said $word\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\tset -l wanted (string split -n ' ' -- \"$argv[1]\")\n"
	      "\tset -l n (count $wanted)\n"
	      "\tif test $n -eq 0; or contains -- \"$argv[1]\"",
	      out);
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (is_bare_group(i))
			fprintf(out, " %.*s", (int)strcspn(cmd_table[i]->name, " "),
				cmd_table[i]->name);
	}
	fputs("\n"
	      "\t\ttest (count $said) -eq $n; and test \"$said\" = \"$argv[1]\"\n"
	      "\telse\n"
	      "\t\ttest (count $said) -ge $n; and test \"$said[1..$n]\" = \"$argv[1]\"\n"
	      "\tend\n"
	      "end\n"
	      "complete -c tenantnat -f\n",
	      out);
	for (size_t i = 0; i < CMD_GLOBALS; i++)
		fish_option(out, NULL, &cmd_globals[i].option);
	for (size_t i = 0; i < CMD_COMMANDS; i++)
		fish_command(out, i);
}
