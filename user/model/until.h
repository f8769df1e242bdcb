/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a rule of `accept` ends: a date, with which the rule ends when that day is over in UTC, or a
 * time as RFC 3339 has it. In the model it is the first second in which the rule accepts nothing
 * more, since 1970 (CLOCK_REALTIME); 0: the rule has no end. Pure.
 */
#ifndef TN_UNTIL_H
#define TN_UNTIL_H

#include <time.h>

#include "model/model.h"

/* The years that an end can be in: the programs count seconds in 32 bits. */
#define UNTIL_FIRST 946684800U	/* 2000-01-01 */
#define UNTIL_LAST  4291747200U /* 2106-01-01 */

/* -1 with a usage error, which says what is wrong and what to write, but not where it is. */
int until_parse(const char *text, uint32_t *out, struct error *err);

#define UNTIL_TEXT 24
/* "2027-03-31", where a day ends with it, or "2027-03-31T12:00:00Z"; "" for 0. In `buf`. */
const char *until_text(uint32_t until, char buf[UNTIL_TEXT]);

bool until_valid(uint32_t until);

/* Whether the rule has ended at that time. */
bool rule_is_over(const struct rule *r, time_t now);

#define RULE_ENDS_SOON 604800 /* seconds: a week */
/* The same, or whether it ends within a week. */
bool rule_ends_soon(const struct rule *r, time_t now);

/* " until 2027-03-31" behind the rest of a rule in words; "" when it has no end. In `buf`. */
#define RULE_UNTIL_TEXT (UNTIL_TEXT + 8)
const char *rule_until_text(const struct rule *r, char buf[RULE_UNTIL_TEXT]);

#endif
