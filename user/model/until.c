/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/until.h"

#define DAY 86400

/* So many digits, as a number; -1: they are none. */
static int digits(const char **at, int n)
{
	int value = 0;

	for (; n; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	return value;
}

static bool take(const char **at, char c)
{
	bool there = **at == c;

	*at += there;
	return there;
}

/* YYYY-MM-DD, of a day that there is. */
static bool take_date(const char **at, struct tm *tm)
{
	struct tm same;

	tm->tm_year = digits(at, 4) - 1900;
	if (tm->tm_year < 0 || !take(at, '-'))
		return false;
	tm->tm_mon = digits(at, 2) - 1;
	if (tm->tm_mon < 0 || !take(at, '-'))
		return false;
	tm->tm_mday = digits(at, 2);
	same = *tm;
	return timegm(&same) != -1 && same.tm_mon == tm->tm_mon && same.tm_mday == tm->tm_mday;
}

/* HH:MM, and how many of either there can be. */
static bool take_minutes(const char **at, int *hours, int *minutes)
{
	*hours = digits(at, 2);
	if (*hours < 0 || *hours > 23 || !take(at, ':'))
		return false;
	*minutes = digits(at, 2);
	return *minutes >= 0 && *minutes <= 59;
}

/* Z, or +HH:MM; *seconds is what that is before UTC. */
static bool take_zone(const char **at, int *seconds)
{
	int sign = take(at, '+') ? 1 : take(at, '-') ? -1 : 0, hours, minutes;

	*seconds = 0;
	if (!sign)
		return take(at, 'Z') || take(at, 'z');
	if (!take_minutes(at, &hours, &minutes))
		return false;
	*seconds = sign * (hours * 60 + minutes) * 60;
	return true;
}

/* False: it is neither a date nor a time. */
static bool parse(const char *text, int64_t *out)
{
	struct tm tm = { 0 };
	int zone = 0;

	if (!take_date(&text, &tm))
		return false;
	if (!*text) {
		*out = (int64_t)timegm(&tm) + DAY;
		return true;
	}
	if ((!take(&text, 'T') && !take(&text, 't')) ||
	    !take_minutes(&text, &tm.tm_hour, &tm.tm_min) || !take(&text, ':'))
		return false;
	tm.tm_sec = digits(&text, 2);
	if (tm.tm_sec < 0 || tm.tm_sec > 60 || !take_zone(&text, &zone) || *text)
		return false;
	*out = (int64_t)timegm(&tm) - zone;
	return true;
}

bool until_valid(uint32_t until)
{
	return !until || (until >= UNTIL_FIRST && until <= UNTIL_LAST);
}

int until_parse(const char *text, uint32_t *out, struct error *err)
{
	int64_t until;

	if (!parse(text, &until))
		return error_usage(err,
				   "`%s` is no date and no time: write a date, as in 2027-03-31, "
				   "whose end in UTC is meant, or a time with its zone, as in "
				   "2027-03-31T18:00:00Z or 2027-03-31T18:00:00+02:00",
				   text);
	if (until < UNTIL_FIRST || until > UNTIL_LAST)
		return error_usage(err,
				   "`%s` is not in the years 2000 to 2105; leave `until` out for a "
				   "rule without an end",
				   text);
	*out = (uint32_t)until;
	return 0;
}

const char *until_text(uint32_t until, char buf[UNTIL_TEXT])
{
	bool day = until % DAY == 0;
	time_t at = (time_t)until - day;
	struct tm tm;

	buf[0] = '\0';
	if (until && gmtime_r(&at, &tm))
		strftime(buf, UNTIL_TEXT, day ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf;
}

bool rule_is_over(const struct rule *r, time_t now)
{
	return r->until && now >= (time_t)r->until;
}

bool rule_ends_soon(const struct rule *r, time_t now)
{
	return rule_is_over(r, now + RULE_ENDS_SOON);
}

const char *rule_until_text(const struct rule *r, char buf[RULE_UNTIL_TEXT])
{
	char text[UNTIL_TEXT];

	snprintf(buf, RULE_UNTIL_TEXT, "%s%s", r->until ? " until " : "",
		 until_text(r->until, text));
	return buf;
}
