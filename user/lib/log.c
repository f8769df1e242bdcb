/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/progress.h"

static enum log_level limit = LOG_NOTICE;

void log_setup(enum log_level level)
{
	limit = level;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	if (level > limit)
		return;
	progress_pause();
	va_start(args, format);
	fputs("tenantnat: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	progress_resume();
}
