/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: help, options, and the only place that prints an error. */
#include <bpf/libbpf.h>
#include <ctype.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <xdp/libxdp.h>

#include "cmd/table.h"
#include "lib/log.h"
#include "lib/progress.h"
#include "lib/typo.h"
#include "lib/util.h"

enum { DONE = 0, FAILED = 1, WRONG = 2 };

static void print_option(const struct cmd_option *o)
{
	char text[64];

	if (o->letter)
		snprintf(text, sizeof(text), "-%c, --%s%s%s", o->letter, o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
	else
		snprintf(text, sizeof(text), "    --%s%s%s", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
	printf("  %-22s %s\n", text, o->help);
}

static void print_globals(void)
{
	for (size_t i = 0; i < CMD_GLOBALS; i++)
		print_option(&cmd_globals[i].option);
}

static void print_help(const struct command *c)
{
	if (!c) {
		printf("Usage: tenantnat [OPTION…] COMMAND …\n\n"
		       "Cross-tenant communication over an internal shared "
		       "network.\n\nCommands:\n");
		for (size_t i = 0; i < CMD_COMMANDS; i++)
			printf("  %-22s %s\n", cmd_table[i]->name, cmd_table[i]->summary);
		printf("\nOptions:\n");
		print_globals();
		printf("\n`tenantnat COMMAND --help` tells more. Exit status: 0 done, 1 it failed, "
		       "2 the request\nor the input was wrong.\n");
		return;
	}
	printf("Usage: tenantnat [OPTION…] %s%s%s\n\n%s.\n", c->name, *c->synopsis ? " " : "",
	       c->synopsis, c->summary);
	if (c->help)
		printf("\n%s\n", c->help);
	if (c->options[0].name) {
		printf("\nOptions:\n");
		for (const struct cmd_option *o = c->options; o->name; o++)
			print_option(o);
	}
	printf("\nOptions of every command:\n");
	print_globals();
}

/* The options of all commands, and those of `c`, as getopt_long() wants them. */
struct getopt_table {
	struct option longs[CMD_GLOBALS + CMD_OPTIONS_MAX + 1];
	char letters[4 + 2 * (CMD_GLOBALS + CMD_OPTIONS_MAX)];
};

static void add_option(struct getopt_table *t, size_t *n, const struct cmd_option *o, int value)
{
	t->longs[(*n)++] = (struct option){ .name = o->name,
					    .has_arg = o->arg ? required_argument : no_argument,
					    .val = value };
	if (o->letter) {
		size_t at = strlen(t->letters);

		t->letters[at] = o->letter;
		if (o->arg)
			t->letters[at + 1] = ':';
	}
}

static void build_table(struct getopt_table *t, const struct command *c)
{
	size_t n = 0;

	memset(t, 0, sizeof(*t));
	/* '+': before the command's name, stop at the first word; ':': say nothing, and tell a
	 * value that is missing apart */
	snprintf(t->letters, sizeof(t->letters), "%s", c ? ":" : "+:");
	for (size_t i = 0; i < CMD_GLOBALS; i++)
		add_option(t, &n, &cmd_globals[i].option, cmd_globals[i].value);
	for (int i = 0; c && i < CMD_OPTIONS_MAX && c->options[i].name; i++)
		add_option(t, &n, &c->options[i], OPT_COMMAND + i);
}

static int hint(const struct command *c)
{
	fprintf(stderr, "Try `tenantnat%s%s --help`.\n", c ? " " : "", c ? c->name : "");
	return WRONG;
}

/* ------------------------------------------------------------ options that are wrong */

/* The option that getopt_long() names by its value or letter; NULL: there is none. */
static const struct cmd_option *option_of(const struct command *c, int value)
{
	for (size_t i = 0; i < CMD_GLOBALS; i++) {
		if (cmd_globals[i].value == value)
			return &cmd_globals[i].option;
	}
	for (int i = 0; c && i < CMD_OPTIONS_MAX && c->options[i].name; i++) {
		if (value == OPT_COMMAND + i || value == c->options[i].letter)
			return &c->options[i];
	}
	return NULL;
}

/* "--name" is the beginning of several, or of none; `n` is the length of the name. */
static void say_unknown(const struct getopt_table *t, const char *name, size_t n)
{
	_cleanup_free_ char *typed = strndup(name, n);
	struct typo near = { .typed = typed };
	size_t begin = 0;

	for (const struct option *o = t->longs; o->name; o++) {
		typo_try(&near, o->name, strlen(o->name));
		begin += n && strncmp(o->name, typed, n) == 0;
	}
	if (begin < 2) {
		fprintf(stderr, "there is no option --%s%s%s%s\n", typed,
			*near.meant ? "; did you mean `--" : "", near.meant,
			*near.meant ? "`?" : "");
		return;
	}
	fprintf(stderr, "--%s can be more than one option:", typed);
	for (const struct option *o = t->longs; o->name; o++) {
		if (strncmp(o->name, typed, n) == 0)
			fprintf(stderr, " --%s%s", o->name, --begin ? "," : "");
	}
	fputc('\n', stderr);
}

/* What getopt_long() has just refused: `word` is the argument, if it is a long option. */
static int wrong_option(const struct command *c, const struct getopt_table *t, bool no_value,
			const char *word)
{
	const struct cmd_option *o = optopt ? option_of(c, optopt) : NULL;

	fprintf(stderr, "tenantnat%s%s: ", c ? " " : "", c ? c->name : "");
	if (o && no_value)
		fprintf(stderr, "--%s needs a value: --%s %s\n", o->name, o->name, o->arg);
	else if (o)
		fprintf(stderr, "--%s takes no value\n", o->name);
	else if (optopt)
		fprintf(stderr,
			isgraph(optopt) ? "there is no option -%c\n"
					: "there is no option of that letter\n",
			optopt);
	else
		say_unknown(t, word + 2, strcspn(word + 2, "="));
	return hint(c);
}

/* ------------------------------------------------------------ options */

static bool takes_list(const struct cmd_option *o)
{
	return o->arg && strstr(o->arg, "…");
}

/* The value of the command's option that was read last. */
static void take_value(struct invocation *inv, int i)
{
	static char *joined[CMD_OPTIONS_MAX];
	char *text;

	if (!inv->values[i] || !takes_list(&inv->command->options[i])) {
		inv->values[i] = optarg ? optarg : "";
		return;
	}
	if (asprintf(&text, "%s,%s", inv->values[i], optarg) < 0)
		return;
	free(joined[i]);
	inv->values[i] = joined[i] = text;
}

/* -1: go on; otherwise the exit status. */
static int take_option(struct invocation *inv, int value, bool *verbose)
{
	char *end;

	switch (value) {
	case OPT_STATE:
		inv->settings.state = optarg;
		return -1;
	case OPT_BPFFS:
		inv->settings.bpffs = optarg;
		return -1;
	case OPT_WAIT:
		inv->settings.wait = strtoul(optarg, &end, 10);
		inv->settings.waits_for_hosts = inv->settings.wait;
		if (optarg[0] >= '0' && optarg[0] <= '9' && !*end)
			return -1;
		fprintf(stderr, "tenantnat: --wait %s: give a number of seconds\n", optarg);
		return hint(inv->command);
	case OPT_PATIENCE:
		inv->settings.patience = strtoul(optarg, &end, 10);
		if (optarg[0] >= '1' && optarg[0] <= '9' && !*end && inv->settings.patience <= 100)
			return -1;
		fprintf(stderr, "tenantnat: --patience %s: give a number from 1 to 100\n", optarg);
		return hint(inv->command);
	case 'j':
		inv->json = true;
		return -1;
	case 'q':
		inv->settings.quiet = true;
		return -1;
	case 'v':
		*verbose = inv->verbose = true;
		return -1;
	case 'h':
		print_help(inv->command);
		return DONE;
	case OPT_VERSION:
		printf("tenantnat %s\n", tenantnat_version);
		return DONE;
	}
	for (int i = 0; inv->command && i < CMD_OPTIONS_MAX && inv->command->options[i].name; i++) {
		if (value == OPT_COMMAND + i || value == inv->command->options[i].letter)
			take_value(inv, i);
	}
	return -1;
}

static int take_options(struct invocation *inv, int argc, char **argv, bool *verbose)
{
	struct getopt_table table;
	int value, status;

	build_table(&table, inv->command);
	while ((value = getopt_long(argc, argv, table.letters, table.longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return wrong_option(inv->command, &table, value == ':', argv[optind - 1]);
		status = take_option(inv, value, verbose);
		if (status >= 0)
			return status;
	}
	return -1;
}

/* The command whose name the words begin with; *used is how many words that is. */
static const struct command *find_command(char **words, int n, int *used)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		const char *name = cmd_table[i]->name, *space = strchr(name, ' ');
		size_t first = space ? (size_t)(space - name) : strlen(name);

		*used = space ? 2 : 1;
		if (n >= *used && strlen(words[0]) == first && !strncmp(words[0], name, first) &&
		    (!space || !strcmp(words[1], space + 1)))
			return cmd_table[i];
	}
	return NULL;
}

/* Whether the command's name is `group` and a word: `map add` of `map`. */
static bool is_of_group(const struct command *c, const char *group)
{
	size_t n = strlen(group);

	return strncmp(c->name, group, n) == 0 && c->name[n] == ' ';
}

static void print_group(const char *group, FILE *to)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (is_of_group(cmd_table[i], group))
			fprintf(to, "  %-22s %s\n", cmd_table[i]->name, cmd_table[i]->summary);
	}
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		if (is_of_group(cmd_table[i], word))
			return true;
	}
	return false;
}

static int group_help(const char *group)
{
	printf("Usage: tenantnat [OPTION…] %s COMMAND …\n\nCommands:\n", group);
	print_group(group, stdout);
	printf("\n`tenantnat %s COMMAND --help` tells more.\n", group);
	return DONE;
}

/* A command, or a group when its name stands alone. */
static struct typo guess_command(char **words, int n)
{
	struct typo best = { 0 };
	_cleanup_free_ char *two = NULL;

	if (n > 1 && asprintf(&two, "%s %s", words[0], words[1]) < 0)
		two = NULL;
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		const char *name = cmd_table[i]->name, *space = strchr(name, ' ');

		best.typed = space && two ? two : words[0];
		typo_try(&best, name, strlen(name));
		if (space && !two)
			typo_try(&best, name, (size_t)(space - name));
	}
	best.typed = words[0];
	return best;
}

/* The words name no command; the first may be that of a group. */
static int unknown_command(char **words, int n)
{
	bool group = is_group(words[0]);
	struct typo best;

	if (group && n > 1 && (!strcmp(words[1], "--help") || !strcmp(words[1], "-h")))
		return group_help(words[0]);
	if (group && n == 1) {
		fprintf(stderr, "tenantnat %s: one of these is needed:\n", words[0]);
		print_group(words[0], stderr);
		return WRONG;
	}
	best = guess_command(words, n);
	fprintf(stderr, "tenantnat: there is no command `%s%s%s`%s%s%s\n", words[0],
		group ? " " : "", group ? words[1] : "", *best.meant ? "; did you mean `" : "",
		best.meant, *best.meant ? "`?" : "");
	return hint(NULL);
}

static int run(const struct invocation *inv)
{
	struct error err = { 0 };
	int ret = inv->command->run(inv, &err);

	progress_end();
	if (ret >= 0 && !err.set) {
		if (fflush(stdout) == 0 && !ferror(stdout))
			return ret ? FAILED : DONE;
		error_set(&err, "cannot write to stdout: %m");
	}
	fflush(stdout);
	log_line(LOG_ERROR, "%s", err.text);
	return err.usage ? WRONG : FAILED;
}

static bool verbose_output;

static int library_print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	return verbose_output ? vfprintf(stderr, format, args) : 0;
}

static int libxdp_output(enum libxdp_print_level level, const char *format, va_list args)
{
	(void)level;
	return verbose_output ? vfprintf(stderr, format, args) : 0;
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *line = NULL;
	struct invocation inv = { .settings = { .state = "/var/lib/tenantnat",
						.bpffs = "/sys/fs/bpf/tenantnat",
						.wait = 30,
						.patience = 1 } };
	int status, used;

	signal(SIGPIPE, SIG_IGN);
	status = take_options(&inv, argc, argv, &verbose_output);
	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	if (!argc) {
		fprintf(stderr, "tenantnat: no command given\n");
		return hint(NULL);
	}
	inv.command = find_command(argv, argc, &used);
	if (!inv.command)
		return unknown_command(argv, argc);

	/* getopt_long() skips the word at index 0: the last word of the command's name */
	argc -= used - 1;
	argv += used - 1;
	optind = 0;
	status = take_options(&inv, argc, argv, &verbose_output);
	if (status >= 0)
		return status;
	inv.nargs = argc - optind;
	inv.args = argv + optind;
	if (inv.nargs < inv.command->min_args ||
	    (inv.command->max_args >= 0 && inv.nargs > inv.command->max_args)) {
		fprintf(stderr, "tenantnat: usage: tenantnat %s%s%s\n", inv.command->name,
			*inv.command->synopsis ? " " : "", inv.command->synopsis);
		return hint(inv.command);
	}
	line = cmd_text(&inv);
	inv.settings.command = inv.command->name;
	inv.settings.line = line;
	inv.settings.all_lines = inv.json || !inv.settings.quiet;
	log_setup(verbose_output ? LOG_DEBUG : inv.settings.quiet ? LOG_ERROR : LOG_NOTICE);
	progress_setup(!verbose_output && !inv.settings.quiet);
	libbpf_set_print(library_print);
	libxdp_set_print(libxdp_output);
	return run(&inv);
}
