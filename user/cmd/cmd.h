/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Commands. Each one is a struct that owns its name, help, options and function;
 * the list of them is here once.
 */
#ifndef TN_CMD_H
#define TN_CMD_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/settings.h"

/* X(symbol): in the order of the help. */
#define COMMANDS(X)       \
	X(init)           \
	X(apply)          \
	X(validate)       \
	X(diff)           \
	X(export)         \
	X(neutron)        \
	X(undo)           \
	X(restore)        \
	X(agent)          \
	X(map_add)        \
	X(map_del)        \
	X(map_list)       \
	X(names)          \
	X(status)         \
	X(show_history)   \
	X(show)           \
	X(stats)          \
	X(graph)          \
	X(monitor)        \
	X(trace)          \
	X(check)          \
	X(announce)       \
	X(flows_export)   \
	X(flows_import)   \
	X(flows_stream)   \
	X(detach)         \
	X(doctor)         \
	X(cluster_join)   \
	X(cluster_leave)  \
	X(cluster_elect)  \
	X(cluster_follow) \
	X(cluster_status) \
	X(cluster_sync)

/*
 * An option of one command. `arg` NULL: a flag. One that ends with "…" takes a list, "a,b", and may
 * be given more than once.
 */
struct cmd_option {
	const char *name;
	char letter; /* 0: none */
	const char *arg;
	const char *help;
};

#define CMD_OPTIONS_MAX 10

struct invocation;

struct command {
	const char *name;     /* one or two words */
	const char *synopsis; /* what follows the name */
	const char *summary;  /* one line */
	const char *help;     /* paragraphs; NULL: the summary says it all */
	struct cmd_option options[CMD_OPTIONS_MAX + 1]; /* the last one is empty */
	int min_args;
	int max_args; /* -1: any number */
	/* 0: done; -1: it failed, as the error says; 1: done, and the answer is exit status 1 */
	int (*run)(const struct invocation *inv, struct error *err);
};

/* One call of a command, with what the user gave. */
struct invocation {
	const struct command *command;
	struct settings settings;
	bool json;
	bool verbose;
	int nargs;
	char **args;
	const char *values[CMD_OPTIONS_MAX]; /* of the command's options; NULL: not given */
};

/* The value of an option of the command, "" for a flag that was given, NULL when not given. */
const char *cmd_value(const struct invocation *inv, const char *option);

/*
 * Which of `keys`, which end with a NULL, the option --sort names; the first without it. -1: a
 * usage error lists them.
 */
int cmd_sort_key(const struct invocation *inv, const char *const *keys, struct error *err);

#define DEFAULT_FILE "/etc/tenantnat/tenantnat.yaml"
/* For the help of an option that has it as default. */
#define FILE_HELP "the definitions (YAML); `-` is stdin (default " DEFAULT_FILE ")"
/*
 * The definitions file that the call names: with --file, or as `argument`, which may be NULL; else
 * DEFAULT_FILE, if it is there. NULL with a usage error.
 */
const char *cmd_file(const struct invocation *inv, const char *argument, struct error *err);

/*
 * What a change was, or would be, to stdout: as JSON if that was asked for; else as text, but
 * nothing with --quiet.
 */
struct outcome;
int cmd_print_outcome(const struct invocation *inv, const struct outcome *out, bool dry_run,
		      struct error *err);
/* For the help of a command that does. */
#define OUTCOME_HELP                                                                   \
	"JSON: {\"lines\": [{\"sign\": \"+\", \"~\" or \"-\", \"text\"}], \"added\", " \
	"\"changed\",\n"                                                               \
	"\"removed\": numbers, \"failed\": [{\"tenant\", \"text\": why it was passed over}]}"

/* The call as it can be typed in again: the command, its arguments and options. Freed by the
 * caller. */
char *cmd_text(const struct invocation *inv);

/* As in the file VERSION. */
extern const char tenantnat_version[];

#define X(symbol) extern const struct command cmd_##symbol;
COMMANDS(X)
#undef X

#endif
