/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text of one value to an address, a prefix, a name or an amount.
 */
#include "config/parse.h"

#include <arpa/inet.h>

static bool refuse_special(struct parse *p, const char *text, struct pos at,
			   const struct prefix *prefix)
{
	const struct special_range *range = prefix_special(prefix);

	if (range && prefix->len == 128)
		complain(p, at, "`%s` is a %s address; use one that a VM can have", QUOTE(text),
			 range->what);
	else if (range)
		complain(p, at, "`%s` has %s addresses (%s) in it; use another prefix", QUOTE(text),
			 range->what, range->prefix);
	return range;
}

/* What is before the slash, if that is an address. */
static bool host_parse(const char *text, struct tn_addr *out)
{
	size_t n = strcspn(text, "/");
	char host[ADDR_TEXT];

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return addr_parse(host, out);
}

static bool is_v4_as_v6(const char *text, struct tn_addr *out)
{
	size_t n = strcspn(text, "/");
	char host[ADDR_TEXT];
	uint8_t raw[16];

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(AF_INET6, host, raw) != 1)
		return false;
	*out = addr_from_bytes(raw, sizeof(raw));
	return addr_is_v4(out);
}

static void bad_addr(struct parse *p, const char *text, struct pos at)
{
	struct tn_addr addr;

	if (is_v4_as_v6(text, &addr))
		complain(p, at, "`%s` is an IPv4 address written as IPv6; write `%s`", QUOTE(text),
			 ADDR(&addr));
	else if (strchr(text, '/') && host_parse(text, &addr))
		complain(p, at, "`%s` is a prefix, not an address; write `%s`", QUOTE(text),
			 ADDR(&addr));
	else
		complain(p, at, "`%s` is not an IPv4 or IPv6 address; correct it", QUOTE(text));
}

bool take_addr(struct parse *p, const char *text, struct pos at, struct tn_addr *out)
{
	struct prefix one = { .len = 128 };

	if (!addr_parse(text, &one.addr) && strcmp(text, "::") != 0) {
		bad_addr(p, text, at);
		return false;
	}
	if (addr_is_special(&one.addr) && refuse_special(p, text, at, &one))
		return false;
	*out = one.addr;
	return true;
}

static void bad_prefix(struct parse *p, const char *text, struct pos at)
{
	const char *slash = strchr(text, '/');
	struct prefix whole = { 0 };
	struct tn_addr addr, mask;
	char zero[ADDR_TEXT];

	if (is_v4_as_v6(text, &addr)) {
		complain(p, at, "`%s` is IPv4 written as IPv6; write it like `100.64.0.0/16`",
			 QUOTE(text));
		return;
	}
	if (slash && host_parse(text, &addr)) {
		snprintf(zero, sizeof(zero), "%s%s", addr_is_v4(&addr) ? "0.0.0.0" : "::", slash);
		if (strlen(slash) < 8 && prefix_parse(zero, &whole)) {
			mask = prefix_mask(&whole);
			whole.addr = addr;
			for (int i = 0; i < 4; i++)
				whole.addr.w[i] &= mask.w[i];
			complain(p, at, "`%s` has bits set behind its length; write `%s`",
				 QUOTE(text), PREFIX(&whole));
			return;
		}
	}
	complain(p, at, "`%s` is not a prefix; write it like `100.64.0.0/16`", QUOTE(text));
}

bool take_prefix(struct parse *p, const char *text, struct pos at, struct prefix *out)
{
	if (!prefix_parse(text, out)) {
		bad_prefix(p, text, at);
		return false;
	}
	return !refuse_special(p, text, at, out);
}

void bad_name(struct parse *p, const char *what, const char *text, struct pos at)
{
	struct tn_addr addr;

	if (addr_parse(text, &addr))
		complain(p, at,
			 "the name `%s` is an address; use a name that cannot be taken for one",
			 QUOTE(text));
	else
		complain(p, at,
			 "`%s` is not a %s name; use up to %d of A-Z a-z 0-9 . _ - and begin with "
			 "a letter or digit",
			 QUOTE(text), what, TENANT_NAME_MAX);
}

const char *family_name(const struct tn_addr *a)
{
	return addr_is_v4(a) ? "IPv4" : "IPv6";
}

bool amount_parse(const char *text, const struct unit *units, size_t n, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value = 0;

	if (!digits || digits > 12)
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text + digits, units[i].name) == 0) {
			*out = value * units[i].factor;
			return value <= UINT64_MAX / units[i].factor;
		}
	}
	return false;
}

bool count_parse(const char *text, uint64_t *out)
{
	static const struct unit none = { "", 1 };

	return amount_parse(text, &none, 1, out);
}

bool take_interface(struct parse *p, const char *text, struct pos at)
{
	if (interface_name_valid(text))
		return true;
	complain(p, at,
		 "`%s` is not an interface name; use up to %d characters without `/`, `:` and "
		 "spaces",
		 QUOTE(text), INTERFACE_NAME_MAX);
	return false;
}

bool take_pattern(struct parse *p, const char *text, struct pos at)
{
	if (pattern_is_open(text)) {
		complain(p, at, "the pattern `%s` has a `[` without `]`; close it", QUOTE(text));
		return false;
	}
	if (pattern_valid(text))
		return true;
	complain(p, at,
		 "`%s` is not a pattern of interface names; use up to %d characters without `/` "
		 "and spaces",
		 QUOTE(text), PATTERN_MAX);
	return false;
}
