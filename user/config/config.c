/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The definitions file: its top level, with the shared network, and the two passes over it.
 */
#include "config/config.h"

#include "config/parse.h"
#include "model/dns.h"

static void network_subnet(struct parse *p, const char *text, struct pos at)
{
	struct prefix prefix;

	if (!take_prefix(p, text, at, &prefix))
		return;
	if (prefix.len == 128) {
		complain(p, at, "the shared subnet `%s` has one address only; make it larger",
			 PREFIX(&prefix));
		return;
	}
	if (p->subnets.n == TN_SUBNETS_MAX) {
		complain(p, at, "more than %d shared subnets; remove this one, or merge some",
			 TN_SUBNETS_MAX);
		return;
	}
	*vec_push(&p->model.subnets) = prefix;
	*vec_push(&p->subnets) = (struct prefix_at){ .prefix = prefix, .at = at };
}

static void names_zone(struct parse *p, const char *text, struct pos at)
{
	if (!dns_zone_valid(text)) {
		complain(p, at,
			 "`%s` is no zone; use letters, digits and `-` with dots between, %d at "
			 "most, such as shared.internal",
			 QUOTE(text), DNS_ZONE_MAX);
		return;
	}
	p->model.zone = xstrdup(text);
	dns_lower(p->model.zone);
}

static const struct key names_keys[] = {
	{ "zone", TEXT, REQUIRED, names_zone, "zone: shared.internal", NULL },
};
static const struct level names_level = LEVEL("`names`", names_keys);

static void network_names(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	(void)at;
	take_level(p, &names_level);
}

static const struct key network_keys[] = {
	{ "subnets", TEXTS, REQUIRED, network_subnet, "subnets: [100.64.0.0/16, \"fd64::/64\"]",
	  NULL },
	{ "names", MAP, 0, network_names, "names: {zone: shared.internal}", &names_level },
};
static const struct level network_level = LEVEL("the shared network", network_keys);

static void file_network(struct parse *p, const char *text, struct pos at)
{
	(void)text;
	(void)at;
	p->subnets_known = take_level(p, &network_level).bad == 0 && p->subnets.n;
}

static const struct key file_keys[] = {
	{ "shared-network", MAP, REQUIRED, file_network,
	  "shared-network: {subnets: [100.64.0.0/16]}", &network_level },
	{ "tenants", MAPS, REQUIRED | MAY_BE_EMPTY, tenants_item, "tenants: [{name: red}]",
	  &tenant_level },
};
const struct level file_level = LEVEL("the file", file_keys);

static void take_file(struct parse *p)
{
	next_event(p); /* the start of the stream */
	if (next_event(p) && p->event.type == YAML_DOCUMENT_START_EVENT)
		next_event(p);
	if (p->over)
		return;
	if (p->event.type == YAML_STREAM_END_EVENT || is_empty_value(p)) {
		complain(p, (struct pos){ 1, 1 },
			 "the file is empty; it needs `shared-network` and `tenants`");
		return;
	}
	if (p->event.type == YAML_MAPPING_START_EVENT) {
		take_level(p, &file_level);
	} else {
		if (p->event.type != YAML_ALIAS_EVENT)
			complain(p, event_pos(p),
				 "the file must be keys and values; it needs `shared-network` and "
				 "`tenants`");
		skip_node(p);
	}
	next_event(p); /* the end of the document */
	if (next_event(p) && p->event.type != YAML_STREAM_END_EVENT)
		complain(p, event_pos(p), "a second document begins here; put everything into one");
}

static void parse_bytes(struct parse *p)
{
	static const char bom[] = "\xef\xbb\xbf";
	size_t head = strlen(bom);

	if (p->len >= head && memcmp(p->bytes, bom, head) == 0) {
		p->bytes += head;
		p->len -= head;
	}
	if (!text_valid(p))
		return;
	if (!yaml_parser_initialize(&p->yaml)) {
		complain(p, (struct pos){ 1, 1 }, "out of memory; free some and try again");
		return;
	}
	yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p->yaml, (const unsigned char *)p->bytes, p->len);
	take_file(p);
	yaml_event_delete(&p->event);
	yaml_parser_delete(&p->yaml);

	if (!p->over)
		check_file(p);
}

static void parse_free(struct parse *p)
{
	vec_each (c, &p->complaints)
		free(c->text);
	vec_free(&p->complaints);
	vec_free(&p->subnets);
	vec_free(&p->pools);
	vec_free(&p->tenants);
	vec_free(&p->mappings);
	vec_free(&p->inside);
	vec_free(&p->from);
	vec_free(&p->to);
	vec_free(&p->routes);
	vec_free(&p->inside_routes);
	model_free(&p->model);
}

/* The model; or, after complaints, an empty one. */
static int parse(struct parse *p, struct model *out)
{
	memset(out, 0, sizeof(*out));
	if (p->len > CONFIG_SIZE_MAX)
		complain(p, (struct pos){ 1, 1 },
			 "the file is larger than %zu MiB; see whether it is the right one",
			 CONFIG_SIZE_MAX >> 20);
	else
		parse_bytes(p);
	if (p->complained)
		return -1;
	*out = p->model;
	memset(&p->model, 0, sizeof(p->model));
	return 0;
}

int config_parse(const char *bytes, size_t len, const char *file, struct model *out,
		 struct config_errors *errors)
{
	struct parse p = { .bytes = bytes, .len = len };
	int ret = parse(&p, out);

	memset(errors, 0, sizeof(*errors));
	complaints_give(&p, file, errors);
	parse_free(&p);
	return ret;
}

int config_parse_part(const char *bytes, size_t len, struct model *out, struct error *err)
{
	struct parse p = { .bytes = bytes, .len = len, .is_part = true };
	int ret = parse(&p, out);

	if (ret)
		complaint_give_first(&p, err);
	parse_free(&p);
	return ret;
}
