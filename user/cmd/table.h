/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of commands and of the options that each of them takes: for main(), and for manuals. */
#ifndef TN_CMD_TABLE_H
#define TN_CMD_TABLE_H

#include "cmd/cmd.h"

#define X(symbol) +1
enum { CMD_COMMANDS = COMMANDS(X) };
#define CMD_GLOBALS 9

/* In the order of the help. */
extern const struct command *const cmd_table[CMD_COMMANDS];
#undef X

/* Options of every command. Values over 255 have no letter. */
enum {
	OPT_STATE = 256,
	OPT_BPFFS,
	OPT_WAIT,
	OPT_PATIENCE,
	OPT_VERSION,
	OPT_COMMAND, /* the first of the command's own */
};

struct cmd_global {
	struct cmd_option option;
	int value; /* its letter, or OPT_… */
};

extern const struct cmd_global cmd_globals[CMD_GLOBALS];

#endif
