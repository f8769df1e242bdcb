/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/names.h"

#include <ctype.h>
#include <uthash.h>

#include "model/model.h"

static bool is_kept(char c, bool lower)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (!lower && ((c >= 'A' && c <= 'Z') || c == '.' || c == '_'));
}

/* Dashes, and what no name begins with, at the ends. */
static void trim(char *text)
{
	size_t n = strlen(text), head = strspn(text, "._-");

	while (n > head && strchr("._-", text[n - 1]))
		n--;
	memmove(text, text + head, n - head);
	text[n - head] = '\0';
}

char *name_slug(const char *text, bool lower)
{
	char *slug = xzalloc(strlen(text) + 1), *to = slug;
	struct tn_addr a;

	for (; *text; text++) {
		char c = lower ? (char)tolower((unsigned char)*text) : *text;

		if (is_kept(c, lower))
			*to++ = c;
		else if (to > slug && to[-1] != '-')
			*to++ = '-';
	}
	trim(slug);
	if (strlen(slug) > TENANT_NAME_MAX)
		slug[TENANT_NAME_MAX] = '\0';
	trim(slug);
	/* an address is no name: rules take it for one */
	for (char *c = slug; addr_parse(slug, &a) && (c = strchr(c, '.'));)
		*c = '-';
	if (*slug)
		return slug;
	free(slug);
	return NULL;
}

struct name_entry {
	char name[TENANT_NAME_MAX + 1];
	UT_hash_handle hh;
};

void name_set_free(struct name_set *set)
{
	struct name_entry *e, *next;

	HASH_ITER (hh, set->head, e, next) {
		HASH_DEL(set->head, e);
		free(e);
	}
}

static bool is_taken(const struct name_set *set, const char *name)
{
	struct name_entry *e;

	HASH_FIND_STR(set->head, name, e);
	return e;
}

/* How much of the id is put behind the name, in the order in which it is tried. */
static const int tails[] = { 0, 8, NEUTRON_ID - 1 };

char *name_take(struct name_set *set, const char *slug, const char id[NEUTRON_ID])
{
	struct name_entry *e = xzalloc(sizeof(*e));

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		int tail = tails[i];

		if (tail)
			snprintf(e->name, sizeof(e->name), "%.*s-%.*s", TENANT_NAME_MAX - tail - 1,
				 slug, tail, id);
		else
			snprintf(e->name, sizeof(e->name), "%s", slug);
		if (!is_taken(set, e->name))
			break;
	}
	HASH_ADD_STR(set->head, name, e);
	return xstrdup(e->name);
}
