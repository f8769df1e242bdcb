/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "cmd/table.h"

/* What goes through the options stops at the empty one, which the compiler lets anybody overwrite.
 */
Test(table, options_end)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++)
		cr_expect_null(cmd_table[i]->options[CMD_OPTIONS_MAX].name,
			       "%s: more options than CMD_OPTIONS_MAX", cmd_table[i]->name);
}

Test(table, no_command_is_there_twice)
{
	for (size_t i = 0; i < CMD_COMMANDS; i++) {
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(cmd_table[i]->name, cmd_table[j]->name);
	}
}
