/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/journal.h"
#include "lib/progress.h"
#include "lib/util.h"

static enum log_level limit = LOG_NOTICE;
static bool to_journal, is_limited;
static struct log_bucket grave, other;
static const char *(*known_router_of)(const char *tenant, void *arg);
static void *known_arg;

void log_setup(enum log_level level)
{
	limit = level;
	to_journal = journal_is_stderr();
}

void log_routers(const char *(*router_of)(const char *tenant, void *arg), void *arg)
{
	known_router_of = router_of;
	known_arg = arg;
}

/* ------------------------------------------------------------ how much */

#define MINUTE 60000 /* milliseconds */

bool log_bucket_take(struct log_bucket *b, unsigned int burst, uint64_t now)
{
	uint64_t begin = b->full_at > now ? b->full_at : now;

	if (begin + MINUTE / burst > now + MINUTE) {
		b->left_out++;
		return false;
	}
	b->full_at = begin + MINUTE / burst;
	return true;
}

void log_limit(void)
{
	is_limited = true;
}

static bool may_say(enum log_level level)
{
	return !is_limited ||
	       log_bucket_take(level <= LOG_WARNING ? &grave : &other, LOG_BURST, clock_ms());
}

/* ------------------------------------------------------------ where to */

static const int priorities[] = {
	[LOG_ERROR] = 3, [LOG_WARNING] = 4, [LOG_NOTICE] = 5, [LOG_INFO] = 6, [LOG_DEBUG] = 7
};

static void write_entry(enum log_level level, const char *tenant, const char *reason,
			const char *text)
{
	const char *router = tenant && known_router_of ? known_router_of(tenant, known_arg) : NULL;
	const struct journal_field fields[] = { { "TENANT", tenant },
						{ "ROUTER", router },
						{ "REASON", reason } };

	if (to_journal && !journal_send(priorities[level], text, fields, ARRAY_SIZE(fields)))
		return;
	progress_pause();
	fprintf(stderr, "tenantnat: %s\n", text);
	progress_resume();
}

static void tell(struct log_bucket *b, enum log_level level)
{
	char text[96];
	uint64_t n = b->left_out;

	if (!n || !log_bucket_take(b, LOG_BURST, clock_ms())) {
		b->left_out = n;
		return;
	}
	b->left_out = 0;
	snprintf(text, sizeof(text), "%" PRIu64 " more %s left out: there were too many at once", n,
		 plural(n, "line was", "lines were"));
	write_entry(level, NULL, "left-out", text);
}

void log_tell_left_out(void)
{
	tell(&grave, LOG_WARNING);
	tell(&other, LOG_NOTICE);
}

static void say(enum log_level level, const char *tenant, const char *reason, const char *format,
		va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (level > limit)
		return;
	log_tell_left_out();
	if (!may_say(level) || vasprintf(&text, format, args) < 0)
		return;
	write_entry(level, tenant, reason, text);
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(level, NULL, NULL, format, args);
	va_end(args);
}

void log_about(enum log_level level, const char *tenant, const char *reason, const char *format,
	       ...)
{
	va_list args;

	va_start(args, format);
	say(level, tenant, reason, format, args);
	va_end(args);
}

void log_entry(enum log_level level, const struct journal_field *fields, size_t n,
	       const char *message)
{
	if (may_say(level))
		journal_send(priorities[level], message, fields, n);
}
