/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes to stderr, and how much of it. Where stderr is the journal (lib/journal.h), each line
 * is an entry with fields instead: MESSAGE, PRIORITY, and TENANT, ROUTER and REASON where they are
 * known.
 */
#ifndef TN_LOG_H
#define TN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_NOTICE, /* what a process that stays has done */
	LOG_INFO,   /* to the journal alone, on request */
	LOG_DEBUG,  /* -v: also what libbpf, libxdp and the verifier say */
};

/* Set once, by main. Libraries are quiet below LOG_DEBUG. */
void log_setup(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...)	 log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_DEBUG, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_NOTICE, __VA_ARGS__)

/* The same, about a tenant; `reason`: what kind of event it is, in a word. Either may be NULL. */
void log_about(enum log_level level, const char *tenant, const char *reason, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));

/*
 * An entry of the journal with these fields, wherever stderr leads; within the limits of
 * log_limit(). Without a journal it is lost: journal_check().
 */
struct journal_field;
void log_entry(enum log_level level, const struct journal_field *fields, size_t n,
	       const char *message);

/*
 * Who knows the namespace of a tenant's router, for ROUTER: it gives that, or NULL. Once, before
 * the first line.
 */
void log_routers(const char *(*router_of)(const char *tenant, void *arg), void *arg);

/*
 * From now on so many lines at once, and as many in a minute, of errors and warnings, and of the
 * others. For a process that stays. The rest is left out, and counted: log_tell_left_out() says so
 * when there is room again, and so does the next line.
 */
#define LOG_BURST 1000
void log_limit(void);
void log_tell_left_out(void);

/* Lines that may come now: a bucket that holds `burst`, and fills again in a minute. Pure. */
struct log_bucket {
	uint64_t full_at; /* milliseconds of the monotonic clock; when it is full again */
	uint64_t left_out;
};
bool log_bucket_take(struct log_bucket *b, unsigned int burst, uint64_t now);

#endif
