/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model to keys and values (JSON), a tenant at a time, and these to YAML. Their order is that of
 * docs/definitions.md. What is the default is left out.
 */
#include "config/write.h"

#include <ctype.h>
#include <inttypes.h>

#include "config/parse.h"
#include "model/prefixes.h"
#include "model/service.h"
#include "model/until.h"

/* ------------------------------------------------------------ to keys and values */

json_t *texts_json(char *const *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(v[i]));
	return list;
}

json_t *prefixes_json(const struct prefix *v, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(PREFIX(&v[i])));
	return list;
}

/* In the largest unit in which it is a whole number. */
static json_t *amount_json(uint64_t amount, const struct unit *units, size_t n)
{
	const struct unit *unit = &units[n - 1];

	while (amount % unit->factor)
		unit--;
	return json_sprintf("%" PRIu64 "%s", amount / unit->factor, unit->name);
}

static json_t *limit_json(const struct limit *l)
{
	json_t *out = json_object();

	if (l->rate)
		json_object_set_new(out, "rate", amount_json(8 * l->rate, rate_units, RATE_UNITS));
	if (l->rate && l->burst != limit_burst_default(l->rate) &&
	    l->burst >= limit_burst_least(l->rate))
		json_object_set_new(out, "burst", amount_json(l->burst, size_units, SIZE_UNITS));
	if (l->packets)
		json_object_set_new(out, "packets", json_integer((json_int_t)l->packets));
	return out;
}

static json_t *addrs_json(const struct addr_list *addrs)
{
	json_t *list = json_array();

	vec_each (a, &addrs->list)
		json_array_append_new(list, json_string(ADDR(a)));
	return list;
}

static json_t *mapping_json(const struct mapping *m)
{
	json_t *out = json_object();

	if (m->name)
		json_object_set_new(out, "name", json_string(m->name));
	json_object_set_new(out, "fixed", json_string(FIXED(m)));
	if (m->pinned)
		json_object_set_new(out, "shared", json_string(SHARED(m)));
	if (m->except)
		json_object_set_new(out, "except", addrs_json(m->except));
	if (!mac_is_unset(m->mac))
		json_object_set_new(out, "mac", json_string(MAC(m->mac)));
	if (m->limit.rate || m->limit.packets)
		json_object_set_new(out, "limit", limit_json(&m->limit));
	return out;
}

json_t *services_json(const struct rule *r)
{
	json_t *list = json_array();
	char text[SERVICE_TEXT];

	for (size_t i = 0; i < r->services.n;) {
		i += service_text(&r->services.v[i], r->services.n - i, text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

json_t *until_json(const struct rule *r)
{
	char text[UNTIL_TEXT];

	return r->until ? json_string(until_text(r->until, text)) : json_null();
}

static json_t *rule_json(const struct rule *r)
{
	json_t *out = json_object();

	json_object_set_new(out, "from",
			    r->any ? json_pack("[s]", "*") : texts_json(r->from.v, r->from.n));
	if (r->to.n)
		json_object_set_new(out, "to", texts_json(r->to.v, r->to.n));
	if (r->services.n)
		json_object_set_new(out, "ports", services_json(r));
	if (r->until)
		json_object_set_new(out, "until", until_json(r));
	return out;
}

/* The router's addresses by the definitions; NULL: none. */
static json_t *own_json(const struct router *r)
{
	json_t *list = json_array(), *one;

	for (int f = 0; f < FAMILIES; f++) {
		if (r->own[f].pinned)
			json_array_append_new(list, json_string(ADDR(&r->own[f].addr)));
	}
	if (json_array_size(list) > 1)
		return list;
	one = json_incref(json_array_get(list, 0));
	json_decref(list);
	return one;
}

static json_t *routes_json(const struct route *routes, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "to", PREFIX(&routes[i].to),
						      "via", ADDR(&routes[i].via)));
	return list;
}

static json_t *router_json(const struct router *r)
{
	json_t *out = json_object(), *own = own_json(r);

	if (r->hosts.n == 1)
		json_object_set_new(out, "host", json_string(r->hosts.v[0]));
	if (r->hosts.n > 1)
		json_object_set_new(out, "hosts", texts_json(r->hosts.v, r->hosts.n));
	if (r->active != active_default(r->hosts.n))
		json_object_set_new(out, "active", json_string(active_name(r->active)));
	if (r->grace)
		json_object_set_new(out, "takeover-grace", json_sprintf("%us", r->grace));
	if (r->netns)
		json_object_set_new(out, "netns", json_string(r->netns));
	if (r->shared)
		json_object_set_new(out, "shared", json_string(r->shared));
	if (r->inside.n)
		json_object_set_new(out, "inside", texts_json(r->inside.v, r->inside.n));
	if (r->hook != HOOK_AUTO)
		json_object_set_new(out, "hook", json_string(hook_name(r->hook)));
	if (r->sources != SOURCES_STRICT)
		json_object_set_new(out, "sources", json_string(sources_name(r->sources)));
	if (r->forwarding != FORWARDING_AUTO)
		json_object_set_new(out, "forwarding", json_string(forwarding_name(r->forwarding)));
	if (r->flows != TN_FLOWS)
		json_object_set_new(out, "flows", json_integer(r->flows));
	if (own)
		json_object_set_new(out, "address", own);
	if (r->routes.n)
		json_object_set_new(out, "routes", routes_json(r->routes.v, r->routes.n));
	if (r->inside_routes.n)
		json_object_set_new(out, "inside-routes",
				    routes_json(r->inside_routes.v, r->inside_routes.n));
	return out;
}

#define OBJECTS(vec, one_json)                                        \
	({                                                            \
		json_t *_list = json_array();                         \
		vec_each (_one, vec)                                  \
			json_array_append_new(_list, one_json(_one)); \
		_list;                                                \
	})

static json_t *tenant_json(const struct tenant *t)
{
	json_t *out = json_object();

	json_object_set_new(out, "name", json_string(t->name));
	if (tenant_router(t))
		json_object_set_new(out, "router", router_json(tenant_router(t)));
	if (t->pools.n)
		json_object_set_new(out, "pool", prefixes_json(t->pools.v, t->pools.n));
	if (t->mappings.n)
		json_object_set_new(out, "mappings", OBJECTS(&t->mappings, mapping_json));
	if (t->has_accept)
		json_object_set_new(out, "accept", OBJECTS(&t->accept, rule_json));
	return out;
}

static json_t *network_json(const struct model *m)
{
	json_t *out = json_pack("{s:o}", "subnets", prefixes_json(m->subnets.v, m->subnets.n));

	if (m->zone)
		json_object_set_new(out, "names", json_pack("{s:s}", "zone", m->zone));
	return out;
}

/* ------------------------------------------------------------ names */

/* How the text can be in a file. */
enum text_kind {
	AS_IT_IS,
	ESCAPED, /* it has characters that config_parse() takes only as an escape */
	NO_TEXT, /* it is no UTF-8 */
};

static enum text_kind text_kind(const char *text)
{
	enum text_kind kind = AS_IT_IS;
	size_t len = text ? strlen(text) : 0, used;
	uint32_t c;

	for (size_t i = 0; i < len; i += used) {
		used = utf8_char((const unsigned char *)text + i, len - i, &c);
		if (!used)
			return NO_TEXT;
		if (!is_printable(c))
			kind = ESCAPED;
	}
	return kind;
}

static enum text_kind worse(enum text_kind a, enum text_kind b)
{
	return a > b ? a : b;
}

/* All other names are ASCII. */
static enum text_kind names_kind(const struct model *m)
{
	enum text_kind kind = AS_IT_IS;

	vec_each (t, &m->tenants) {
		const struct router *r = tenant_router(t);

		if (!r)
			continue;
		kind = worse(kind, text_kind(r->netns));
		kind = worse(kind, text_kind(r->shared));
		vec_each (name, &r->inside)
			kind = worse(kind, text_kind(*name));
	}
	return kind;
}

static int check_names(const struct model *m, enum text_kind *kind, struct error *err)
{
	*kind = names_kind(m);
	if (*kind == NO_TEXT)
		return error_set(err, "the name of a namespace or an interface is not UTF-8, which "
				      "a definitions file has to be; rename it, and apply that");
	return 0;
}

/* ------------------------------------------------------------ to YAML */

struct writing {
	yaml_emitter_t yaml;
	bool failed;
};

/* `made`: what the event's initializer returned. */
static void emit(struct writing *w, yaml_event_t *event, int made)
{
	if (!w->failed)
		w->failed = !made || !yaml_emitter_emit(&w->yaml, event);
	else if (made)
		yaml_event_delete(event);
}

static bool is_word_of_yaml(const char *text)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no",
					     "on",   "off",  "y",     "n" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

/* We take all that is plain for text; others `1e5`, `0x1f`, `no`, 2026-01-01 or 1:30 for something
 * else. */
bool text_is_plain(const char *text)
{
	static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789_./*?-";
	size_t digits = strspn(text, "0123456789");
	struct prefix p;

	if (text[strspn(text, rest)])
		return false;
	if (isalpha((unsigned char)text[0]) || text[0] == '/')
		return !is_word_of_yaml(text);
	/* an IPv4 address, or an amount */
	return prefix_parse(text, &p) || (text[digits] && strchr("bkmg", text[digits]));
}

static void write_text(struct writing *w, const char *text, bool plain)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_scalar_event_initialize(
		     &event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1,
		     plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE));
}

static void begin_list(struct writing *w, bool in_line)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						  in_line ? YAML_FLOW_SEQUENCE_STYLE
							  : YAML_BLOCK_SEQUENCE_STYLE));
}

static void end_list(struct writing *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_sequence_end_event_initialize(&event));
}

static void begin_level(struct writing *w, bool in_line)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
						 in_line ? YAML_FLOW_MAPPING_STYLE
							 : YAML_BLOCK_MAPPING_STYLE));
}

static void end_level(struct writing *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_mapping_end_event_initialize(&event));
}

static void write_value(struct writing *w, const json_t *value, bool in_line);

/* An item is a line: only lists of keys and values take more than one. */
static void write_list(struct writing *w, const json_t *list)
{
	begin_list(w, !json_is_object(json_array_get(list, 0)));
	for (size_t i = 0; i < json_array_size(list); i++)
		write_value(w, json_array_get(list, i), true);
	end_list(w);
}

static void write_level(struct writing *w, const json_t *level, bool in_line)
{
	const char *key;
	json_t *value;

	begin_level(w, in_line);
	json_object_foreach((json_t *)level, key, value)
	{
		write_text(w, key, true);
		write_value(w, value, in_line);
	}
	end_level(w);
}

static void write_number(struct writing *w, json_int_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, number);
	write_text(w, text, true);
}

static void write_value(struct writing *w, const json_t *value, bool in_line)
{
	if (json_is_object(value))
		write_level(w, value, in_line);
	else if (json_is_array(value))
		write_list(w, value);
	else if (json_is_integer(value))
		write_number(w, json_integer_value(value));
	else
		write_text(w, json_string_value(value), text_is_plain(json_string_value(value)));
}

/* The value is freed. */
static void write_new(struct writing *w, json_t *value)
{
	write_value(w, value, false);
	json_decref(value);
}

static void begin_file(struct writing *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(w, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
}

static void end_file(struct writing *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_document_end_event_initialize(&event, 1));
	emit(w, &event, yaml_stream_end_event_initialize(&event));
}

static void write_file(struct writing *w, const struct model *m)
{
	begin_file(w);
	begin_level(w, false);
	write_text(w, "shared-network", true);
	write_new(w, network_json(m));
	write_text(w, "tenants", true);
	begin_list(w, false);
	vec_each (t, &m->tenants)
		write_new(w, tenant_json(t));
	end_list(w);
	end_level(w);
	end_file(w);
}

#define WIDTH 120

static int begin_writing(struct writing *w, FILE *to, enum text_kind kind, struct error *err)
{
	if (!yaml_emitter_initialize(&w->yaml))
		return error_set(err, "out of memory");
	yaml_emitter_set_output_file(&w->yaml, to);
	yaml_emitter_set_unicode(&w->yaml, kind == AS_IT_IS);
	yaml_emitter_set_width(&w->yaml, WIDTH);
	return 0;
}

static int end_writing(struct writing *w, struct error *err)
{
	if (w->failed)
		error_set(err, "cannot write the definitions: %s",
			  w->yaml.problem ? w->yaml.problem : "out of memory");
	yaml_emitter_delete(&w->yaml);
	return w->failed ? -1 : 0;
}

int definitions_write(const struct model *m, FILE *to, struct error *err)
{
	struct writing w = { 0 };
	enum text_kind kind;

	if (check_names(m, &kind, err) || begin_writing(&w, to, kind, err))
		return -1;
	write_file(&w, m);
	return end_writing(&w, err);
}

/* Texts, whole numbers, and lists and levels of these. */
static bool is_of_a_file(const json_t *value)
{
	const char *key;
	json_t *part;
	size_t i;

	json_object_foreach((json_t *)value, key, part)
	{
		if (!is_of_a_file(part))
			return false;
	}
	json_array_foreach(value, i, part)
	{
		if (!is_of_a_file(part))
			return false;
	}
	return json_is_object(value) || json_is_array(value) || json_is_string(value) ||
	       json_is_integer(value);
}

int definitions_json_write(const json_t *definitions, FILE *to, struct error *err)
{
	struct writing w = { 0 };

	if (!is_of_a_file(definitions))
		return error_usage(err, "it has null, true, false or a fraction, which nothing in "
					"a definitions file can be");
	if (begin_writing(&w, to, ESCAPED, err))
		return -1;
	begin_file(&w);
	write_value(&w, definitions, false);
	end_file(&w);
	return end_writing(&w, err);
}

json_t *definitions_json(const struct model *m, struct error *err)
{
	enum text_kind kind;

	if (check_names(m, &kind, err))
		return NULL;
	return json_pack("{s:o, s:o}", "shared-network", network_json(m), "tenants",
			 OBJECTS(&m->tenants, tenant_json));
}
