/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int set(struct error *err, bool usage, const char *format, va_list args)
{
	if (err->set)
		return -1;
	err->set = true;
	err->usage = usage;
	vsnprintf(err->text, sizeof(err->text), format, args);
	return -1;
}

int error_set(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, false, format, args);
	va_end(args);
	return -1;
}

int error_usage(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, true, format, args);
	va_end(args);
	return -1;
}

int error_prefix(struct error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	size_t n;

	if (!err->set)
		return -1;
	memcpy(text, err->text, sizeof(text));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", text);
	return -1;
}
