/* SPDX-License-Identifier: GPL-2.0-only */
/* What goes to stderr, and how much of it. */
#ifndef TN_LOG_H
#define TN_LOG_H

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_NOTICE, /* what a process that stays has done */
	LOG_DEBUG,  /* -v: also what libbpf, libxdp and the verifier say */
};

/* Set once, by main. Libraries are quiet below LOG_DEBUG. */
void log_setup(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...)	 log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_DEBUG, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_NOTICE, __VA_ARGS__)

#endif
