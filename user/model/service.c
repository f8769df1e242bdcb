/* SPDX-License-Identifier: GPL-2.0-only */
#include "model/service.h"

#include <errno.h>
#include <stdlib.h>

/* X("name", type in ICMP, type in ICMPv6): requests, by which flows begin; -1: there is none. */
#define ICMP_REQUESTS(X)                    \
	X("echo-request", 8, 128)           \
	X("timestamp-request", 13, -1)      \
	X("information-request", 15, -1)    \
	X("address-mask-request", 17, -1)   \
	X("extended-echo-request", 42, 160) \
	X("node-information-query", -1, 139)

struct icmp_request {
	const char *name;
	int v4, v6;
};

static const struct icmp_request icmp_requests[] = {
#define X(name, v4, v6) { name, v4, v6 },
	ICMP_REQUESTS(X)
#undef X
};

/* X("name", number): protocols without ports that have a name here. */
#define PORTLESS(X)  \
	X("gre", 47) \
	X("esp", 50)

struct portless {
	const char *name;
	uint16_t number;
};

static const struct portless portless[] = {
#define X(name, number) { name, number },
	PORTLESS(X)
#undef X
};

static const char *const class_names[] = {
#define X(id, name, protocol) name,
	TN_CLASSES(X)
#undef X
};

static const uint8_t class_protocols[] = {
#define X(id, name, protocol) protocol,
	TN_CLASSES(X)
#undef X
};

bool service_same(const struct service *a, const struct service *b)
{
	return a->class == b->class && a->first == b->first && a->last == b->last;
}

/* A decimal number up to `max`, and nothing behind it but `end`. */
static bool number(const char *text, char end, unsigned long max, uint16_t *out)
{
	unsigned long value;
	char *rest;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &rest, 10);
	if (errno || value > max || *rest != end)
		return false;
	*out = (uint16_t)value;
	return true;
}

static size_t parse_ports(const char *text, const char *ports, struct service *out,
			  struct error *err)
{
	const char *dash = strchr(ports, '-');

	if (!number(ports, dash ? '-' : '\0', SERVICE_LAST, &out->first) ||
	    (dash && !number(dash + 1, '\0', SERVICE_LAST, &out->last))) {
		error_usage(err,
			    "`%s` is no port or range of ports; write it like `tcp/5432` or "
			    "`tcp/8000-8099`",
			    text);
		return 0;
	}
	if (!dash)
		out->last = out->first;
	if (out->last < out->first) {
		error_usage(err, "the range `%s` ends before it begins; exchange its ends", text);
		return 0;
	}
	return 1;
}

static size_t parse_icmp(const char *text, const char *type, struct service *out, struct error *err)
{
	char known[256] = "";
	size_t n = 0;
	uint16_t value;

	for (size_t i = 0; i < ARRAY_SIZE(icmp_requests); i++) {
		const struct icmp_request *r = &icmp_requests[i];
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", r->name);
		if (strcmp(type, r->name) != 0)
			continue;
		if (r->v4 >= 0)
			out[n++] = (struct service){ TN_CLASS_ICMP, r->v4, r->v4 };
		if (r->v6 >= 0)
			out[n++] = (struct service){ TN_CLASS_ICMPV6, r->v6, r->v6 };
		return n;
	}
	if (!number(type, '\0', 255, &value)) {
		error_usage(err, "`%s` is no ICMP request; use its number, or one of %s", text,
			    known);
		return 0;
	}
	out[0] = (struct service){ TN_CLASS_ICMP, value, value };
	out[1] = (struct service){ TN_CLASS_ICMPV6, value, value };
	return 2;
}

static size_t parse_protocol(const char *text, const char *digits, struct service *out,
			     struct error *err)
{
	uint16_t value;

	if (!number(digits, '\0', 255, &value)) {
		error_usage(err, "`%s` is no protocol; write it like `protocol/47`", text);
		return 0;
	}
	for (size_t i = 0; i < TN_CLASSES_COUNT; i++) {
		if (i == TN_CLASS_OTHER || class_protocols[i] != value)
			continue;
		error_usage(err, "`%s` has a name; write `%s`", text,
			    i == TN_CLASS_ICMPV6 ? "icmp" : class_names[i]);
		return 0;
	}
	*out = (struct service){ TN_CLASS_OTHER, value, value };
	return 1;
}

/* The class of that name, of `len` bytes; TN_CLASSES_COUNT: there is none. */
static unsigned int class_of(const char *name, size_t len)
{
	for (unsigned int i = 0; i < TN_CLASSES_COUNT; i++) {
		if (i != TN_CLASS_ICMPV6 && strlen(class_names[i]) == len &&
		    strncmp(name, class_names[i], len) == 0)
			return i;
	}
	return TN_CLASSES_COUNT;
}

/* "tcp/5432" of "5432/tcp", as others write it; false: it is something else. */
static bool turn_round(const char *text, char out[SERVICE_TEXT])
{
	const char *slash = strchr(text, '/');
	struct service parts[SERVICE_PARTS] = { 0 };
	struct error ignored = { 0 };
	int before;

	if (!slash || strlen(text) >= SERVICE_TEXT ||
	    class_of(slash + 1, strlen(slash + 1)) == TN_CLASSES_COUNT)
		return false;
	before = (int)(slash - text);
	snprintf(out, SERVICE_TEXT, "%s/%.*s", slash + 1, before, text);
	return service_parse(out, parts, &ignored) && !service_is_port_zero(parts);
}

static size_t unknown(const char *text, struct error *err)
{
	char turned[SERVICE_TEXT];

	if (turn_round(text, turned)) {
		error_usage(err, "`%s` is the wrong way round; write `%s`", text, turned);
		return 0;
	}
	error_usage(err,
		    "`%s` is no service; use tcp, udp, sctp, dccp or udplite, as in `tcp/5432`, "
		    "`tcp/8000-8099` or `tcp`, icmp as in `icmp/echo-request` or `icmp`, gre, esp, "
		    "or `protocol/47`",
		    text);
	return 0;
}

size_t service_parse(const char *text, struct service out[SERVICE_PARTS], struct error *err)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned int found;

	for (size_t i = 0; !slash && i < ARRAY_SIZE(portless); i++) {
		if (strcmp(text, portless[i].name) != 0)
			continue;
		*out = (struct service){ TN_CLASS_OTHER, portless[i].number, portless[i].number };
		return 1;
	}
	found = class_of(text, len);
	if (found == TN_CLASSES_COUNT || (found == TN_CLASS_OTHER && !slash))
		return unknown(text, err);
	out[0] = (struct service){ (uint8_t)found, 0, SERVICE_LAST };
	out[1] = (struct service){ TN_CLASS_ICMPV6, 0, SERVICE_LAST };
	if (found == TN_CLASS_OTHER)
		return parse_protocol(text, slash + 1, out, err);
	if (found == TN_CLASS_ICMP)
		return slash ? parse_icmp(text, slash + 1, out, err) : 2;
	return slash ? parse_ports(text, slash + 1, out, err) : 1;
}

bool service_is_port_zero(const struct service *s)
{
	return s->last == 0 && s->class != TN_CLASS_ICMP && s->class != TN_CLASS_ICMPV6 &&
	       s->class != TN_CLASS_OTHER;
}

static bool is_request(const struct icmp_request *r, const struct service *s)
{
	return (s->class == TN_CLASS_ICMP ? r->v4 : r->v6) == s->first;
}

/* Of both families when the next service is the other half. */
static size_t icmp_text(const struct service *v, size_t n, char out[SERVICE_TEXT])
{
	bool both = n > 1 && v[0].class == TN_CLASS_ICMP && v[1].class == TN_CLASS_ICMPV6;
	bool same;

	if (v->last != v->first) {
		snprintf(out, SERVICE_TEXT, "icmp");
		return both ? 2 : 1;
	}
	same = both && v[0].first == v[1].first;
	for (size_t i = 0; i < ARRAY_SIZE(icmp_requests); i++) {
		const struct icmp_request *r = &icmp_requests[i];
		bool pair = r->v4 >= 0 && r->v6 >= 0;

		if (!is_request(r, v) || (pair ? !both || !is_request(r, &v[1]) : same))
			continue;
		snprintf(out, SERVICE_TEXT, "icmp/%s", r->name);
		return pair ? 2 : 1;
	}
	snprintf(out, SERVICE_TEXT, "icmp/%u", v->first);
	return same ? 2 : 1;
}

size_t service_text(const struct service *v, size_t n, char out[SERVICE_TEXT])
{
	const char *name = v->class < TN_CLASSES_COUNT ? class_names[v->class] : "?";

	if (v->class == TN_CLASS_ICMP || v->class == TN_CLASS_ICMPV6)
		return icmp_text(v, n, out);
	if (v->first == 0 && v->last == SERVICE_LAST)
		snprintf(out, SERVICE_TEXT, "%s", name);
	else if (v->first == v->last)
		snprintf(out, SERVICE_TEXT, "%s/%u", name, v->first);
	else
		snprintf(out, SERVICE_TEXT, "%s/%u-%u", name, v->first, v->last);
	for (size_t i = 0; v->class == TN_CLASS_OTHER && i < ARRAY_SIZE(portless); i++) {
		if (portless[i].number == v->first)
			snprintf(out, SERVICE_TEXT, "%s", portless[i].name);
	}
	return 1;
}
