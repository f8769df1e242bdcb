/* SPDX-License-Identifier: GPL-2.0-only */
#include "config/definitions.h"

#include <errno.h>
#include <sys/stat.h>

#include "lib/file.h"
#include "lib/host_name.h"
#include "lib/log.h"
#include "model/until.h"

/* Of a regular file, by what it says; a pipe's is not known before it ends. */
static bool is_too_large(int fd)
{
	struct stat st = { 0 };

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)CONFIG_SIZE_MAX;
}

/* A whole file; "-" is stdin, whatever that is. NUL-terminated, the caller's to free. */
static char *read_file(const char *path, size_t *len, struct error *err)
{
	_cleanup_fclose_ FILE *f = input_open(path, err);
	VEC(char) text = { 0 };
	size_t n;

	if (!f)
		return NULL;
	if (is_too_large(fileno(f))) {
		*len = CONFIG_SIZE_MAX + 1; /* which is all that config_parse() looks at */
		return xstrdup("");
	}
	do {
		text.cap += 1 << 20;
		text.v = xrealloc(text.v, text.cap, 1);
		n = fread(text.v + text.n, 1, text.cap - text.n - 1, f);
		text.n += n;
		/* what has a NUL is no text, and stdin may have no end */
	} while (n && text.n <= CONFIG_SIZE_MAX && !memchr(text.v + text.n - n, '\0', n));
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
	if (config_parse(text, len, input_shown(path), out, errors) == 0) {
		out->file = strcmp(path, "-") ? realpath(path, NULL) : NULL;
		model_locate(out, host_name());
		return 0;
	}
	n = errors->list.n + errors->dropped;
	return error_usage(err, "%zu %s in the definitions; nothing was changed", n,
			   plural(n, "error", "errors"));
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

void definitions_warn_host(const char *path, const struct model *m)
{
	bool here = false, elsewhere = false;

	vec_each (t, &m->tenants) {
		here |= t->router != NULL;
		elsewhere |= t->remote != NULL;
	}
	if (elsewhere && !here)
		log_warning("%s: no router is on this host, which is called `%s`; `host` and "
			    "`hosts` name others",
			    input_shown(path), host_name());
}

int definitions_check_alone(const char *path, const struct model *m, const struct scope *only,
			    struct error *err)
{
	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		if (r && r->active == ACTIVE_ELECTED && scope_has(only, t->name))
			return error_usage(err,
					   "%s:%u:%u: the router of `%s` is `active: elected`, "
					   "which takes a cluster, and this host is in none: join "
					   "one (`tenantnat cluster join`), or write `active: "
					   "address`",
					   input_shown(path), r->pos.line, r->pos.col, t->name);
	}
	return 0;
}

static bool answers_twice(const struct tenant *t)
{
	const struct router *r = tenant_router(t);

	return r && r->hosts.n > 1 && r->active == ACTIVE_ALWAYS;
}

static const struct {
	bool (*is_so)(const struct tenant *t);
	const char *format; /* with the tenant's name */
} warnings[] = {
	{ tenant_lacks_accept,
	  "tenant `%s` has no `accept`, so nobody can reach it; say who may, or `accept: []` if "
	  "that is meant" },
	{ answers_twice,
	  "the router of tenant `%s` has several hosts and is `active: always`: all of them answer "
	  "for the same addresses at once; leave `active` out, or write `active: address`" },
};

char *definitions_warning(const struct tenant *t, unsigned int number)
{
	char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(warnings); i++) {
		if (!warnings[i].is_so(t) || number--)
			continue;
		if (asprintf(&text, warnings[i].format, t->name) < 0)
			abort();
		break;
	}
	return text;
}

char *definitions_rule_warning(const struct rule *r)
{
	char *text = NULL, until[UNTIL_TEXT];

	if (rule_is_over(r, time(NULL)) &&
	    asprintf(&text,
		     "the rule has ended already (`until: %s`), and accepts nobody; give it a "
		     "later `until`, or remove it",
		     until_text(r->until, until)) < 0)
		abort();
	return text;
}

static void warn_of_rules(const char *path, const struct tenant *t)
{
	vec_each (r, &t->accept) {
		_cleanup_free_ char *text = definitions_rule_warning(r);

		if (text)
			log_warning("%s:%u:%u: %s", input_shown(path), r->pos.line, r->pos.col,
				    text);
	}
}

void definitions_warn(const char *path, const struct model *m, const struct scope *only)
{
	char *text;

	vec_each (t, &m->tenants) {
		for (unsigned int i = 0;
		     scope_has(only, t->name) && (text = definitions_warning(t, i)); i++) {
			log_warning("%s:%u:%u: %s", input_shown(path), t->pos.line, t->pos.col,
				    text);
			free(text);
		}
		if (scope_has(only, t->name))
			warn_of_rules(path, t);
	}
}
