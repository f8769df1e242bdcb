/* SPDX-License-Identifier: GPL-2.0-only */
#include "config/definitions.h"

#include <errno.h>

/* A whole file; "-" is stdin. NUL-terminated, the caller's to free. */
static char *read_file(const char *path, size_t *len, struct error *err)
{
	_cleanup_fclose_ FILE *f = strcmp(path, "-") ? fopen(path, "re") : fdopen(dup(0), "r");
	VEC(char) text = { 0 };
	size_t n;

	if (!f) {
		error_usage(err, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	do {
		text.cap += 1 << 20;
		text.v = xrealloc(text.v, text.cap, 1);
		n = fread(text.v + text.n, 1, text.cap - text.n - 1, f);
		text.n += n;
		/* what has a NUL is no text, and /dev/zero has no end */
	} while (n && !memchr(text.v + text.n - n, '\0', n));
	if (ferror(f)) {
		error_usage(err, "cannot read %s: %s", path, strerror(errno));
		free(text.v);
		return NULL;
	}
	text.v[text.n] = '\0';
	*len = text.n;
	return text.v;
}

int definitions_parse(const char *path, struct model *out, struct config_errors *errors,
		      struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len, n;

	memset(errors, 0, sizeof(*errors));
	text = read_file(path, &len, err);
	if (!text)
		return -1;
	if (config_parse(text, len, strcmp(path, "-") ? path : "<stdin>", out, errors) == 0) {
		out->file = strcmp(path, "-") ? realpath(path, NULL) : NULL;
		return 0;
	}
	n = errors->list.n + errors->dropped;
	return error_usage(err, "%zu %s in the definitions; nothing was changed", n,
			   n == 1 ? "error" : "errors");
}

int definitions_read(const char *path, struct model *out, struct error *err)
{
	struct config_errors errors;
	int ret = definitions_parse(path, out, &errors, err);

	vec_each (line, &errors.list)
		fprintf(stderr, "%s\n", *line);
	config_errors_free(&errors);
	return ret;
}
