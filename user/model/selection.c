/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/selection.h"

#include "lib/typo.h"
#include "model/dns.h"
#include "model/prefixes.h"

struct called called(const char *word)
{
	struct called by = { 0 };
	struct prefix prefix;

	if (strchr(word, '/') && prefix_parse(word, &prefix)) {
		by.fixed = prefix.addr;
		by.bits = (uint8_t)(128 - prefix.len);
	} else if (!addr_parse(word, &by.fixed)) {
		by.name = word;
	}
	return by;
}

bool is_called(const struct mapping *m, const struct called *by)
{
	return by->name
		       ? m->name && strcmp(m->name, by->name) == 0
		       : addr_cmp(&m->fixed, &by->fixed) == 0 && (!by->bits || m->bits == by->bits);
}

bool has_called(const struct tenant *t, const struct called *by)
{
	vec_each (m, &t->mappings) {
		if (is_called(m, by))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------ what is said when there is none */

/* A mapping that has the word as its name or an address, which stands without its tenant. */
static bool find_without_tenant(const struct model *m, const char *word, char out[160])
{
	struct called by = called(word);

	vec_each (t, &m->tenants) {
		vec_each (one, &t->mappings) {
			if (!is_called(one, &by) &&
			    (by.name || addr_cmp(&one->shared, &by.fixed) != 0))
				continue;
			snprintf(out, 160, "%s/%s", t->name, one->name ?: FIXED(one));
			return true;
		}
	}
	return false;
}

static int no_tenant(const struct model *m, const char *name, struct error *err)
{
	struct typo near = { .typed = name };
	char meant[160];

	vec_each (t, &m->tenants)
		typo_try(&near, t->name, strlen(t->name));
	if (near.meant[0] || find_without_tenant(m, name, meant))
		return error_usage(err, "there is no tenant %s; did you mean `%s`?", name,
				   near.meant[0] ? near.meant : meant);
	return error_usage(err, "there is no tenant %s; `tenantnat show` lists them", name);
}

struct tenant *tenant_named(const struct model *m, const char *name, struct error *err)
{
	struct tenant *t = model_tenant((struct model *)m, name);
	const char *slash = strchr(name, '/');

	if (!t && slash)
		error_usage(err, "%s: this is about tenants, not single mappings; give `%.*s`",
			    name, (int)(slash - name), name);
	else if (!t)
		no_tenant(m, name, err);
	return t;
}

int no_mapping(const struct tenant *t, const char *word, struct error *err)
{
	const struct called by = called(word);
	struct typo near = { .typed = word };

	vec_each (m, &t->mappings) {
		if (!by.name && !by.bits && m->bits && mapping_has_fixed(m, &by.fixed))
			return error_usage(
				err,
				"tenant %s has no mapping of %s alone, which is in the prefix "
				"%s; give `%s/%s`",
				t->name, word, FIXED(m), t->name, m->name ?: FIXED(m));
	}
	vec_each (m, &t->mappings) {
		if (m->name)
			typo_try(&near, m->name, strlen(m->name));
	}
	if (near.meant[0])
		return error_usage(err, "tenant %s has no mapping %s; did you mean `%s`?", t->name,
				   word, near.meant);
	return error_usage(err, "tenant %s has no mapping %s; `tenantnat map list %s` lists them",
			   t->name, word, t->name);
}

/* ------------------------------------------------------------ the words */

static int read_word(const char *word, struct selection *out, struct error *err)
{
	const char *slash = strchr(word, '/');
	struct choice *c;

	if (!*word || slash == word || (slash && !slash[1]))
		return error_usage(err, "`%s` names nothing; give TENANT or TENANT/MAPPING", word);
	c = vec_push(&out->list);
	c->tenant = slash ? strndup(word, slash - word) : xstrdup(word);
	c->mapping = slash ? xstrdup(slash + 1) : NULL;
	if (c->mapping)
		c->by = called(c->mapping);
	*vec_push(&out->tenants) = c->tenant;
	return 0;
}

int selection_read(char *const *words, int n, struct selection *out, struct error *err)
{
	for (int i = 0; i < n; i++) {
		if (read_word(words[i], out, err))
			return -1;
	}
	out->scope = (struct scope){ out->tenants.v, (int)out->tenants.n };
	return 0;
}

void selection_free(struct selection *s)
{
	vec_each (c, &s->list) {
		free(c->tenant);
		free(c->mapping);
	}
	vec_free(&s->list);
	vec_free(&s->tenants);
	s->scope = (struct scope){ 0 };
}

/* A name in DNS becomes the mapping that has it. */
static void resolve(struct choice *c, char **listed, const struct model *m)
{
	const struct tenant *t;
	const char *mapping;

	if (c->mapping || model_tenant((struct model *)m, c->tenant))
		return;
	t = dns_find(m, c->tenant, &mapping);
	if (!t)
		return;
	free(c->tenant);
	*listed = c->tenant = xstrdup(t->name);
	c->mapping = xstrdup(mapping);
	c->by = called(c->mapping);
}

int selection_check(struct selection *s, const struct model *m, struct error *err)
{
	for (size_t i = 0; i < s->list.n; i++) {
		struct choice *c = &s->list.v[i];
		const struct tenant *t;

		resolve(c, &s->tenants.v[i], m);
		t = tenant_named(m, c->tenant, err);
		if (!t || (c->mapping && !has_called(t, &c->by) && no_mapping(t, c->mapping, err)))
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------ what it has */

const struct scope *selection_scope(const struct selection *s)
{
	return s->list.n ? &s->scope : NULL;
}

bool selection_has(const struct selection *s, const struct tenant *t)
{
	return scope_has(selection_scope(s), t->name);
}

bool selection_is_narrow(const struct selection *s, const struct tenant *t)
{
	vec_each (c, &s->list) {
		if (!c->mapping && strcmp(c->tenant, t->name) == 0)
			return false;
	}
	return selection_has(s, t) && s->list.n;
}

bool selection_has_mapping(const struct selection *s, const struct tenant *t,
			   const struct mapping *m)
{
	vec_each (c, &s->list) {
		if (strcmp(c->tenant, t->name) == 0 && (!c->mapping || is_called(m, &c->by)))
			return true;
	}
	return !s->list.n;
}

static bool is_about(const struct rule *r, const struct mapping *m)
{
	vec_each (to, &r->to) {
		struct called by = called(*to);

		if (is_called(m, &by))
			return true;
	}
	return !r->to.n;
}

bool selection_has_rule(const struct selection *s, const struct tenant *t, const struct rule *r)
{
	if (!selection_is_narrow(s, t))
		return selection_has(s, t);
	vec_each (m, &t->mappings) {
		if (selection_has_mapping(s, t, m) && is_about(r, m))
			return true;
	}
	return false;
}
