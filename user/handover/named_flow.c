/* SPDX-License-Identifier: GPL-2.0-only */
#include "handover/named_flow.h"

#include <jansson.h>
#include <string.h>

#include "lib/output.h"

int named_flow_write(const struct named_flow *f, FILE *to, struct error *err)
{
	_cleanup_json_ json_t *json =
		json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:o, s:i, s:b, s:I}", "tenant", f->tenant,
			  "fixed", ADDR(&f->fixed), "shared", ADDR(&f->shared), "protocol",
			  f->proto, "port", f->port, "peer", ADDR(&f->peer), "peer_tenant",
			  json_text(*f->peer_tenant ? f->peer_tenant : NULL), "service", f->service,
			  "closing", f->closing, "left", (json_int_t)f->left);

	if (!json || json_dumpf(json, to, JSON_COMPACT) || fputc('\n', to) == EOF)
		return error_set(err, "cannot write a flow: %m");
	return 0;
}

static int take_address(const char *key, const char *text, struct tn_addr *out, struct error *err)
{
	if (addr_parse(text, out) && !addr_is_special(out))
		return 0;
	return error_usage(err, "`%s`: `%s` is not an address of a host", key, text);
}

static int take_name(const char *key, const char *text, char out[TENANT_NAME_MAX + 1],
		     struct error *err)
{
	if (!tenant_name_valid(text))
		return error_usage(err, "`%s`: `%s` cannot be a tenant's name", key, text);
	snprintf(out, TENANT_NAME_MAX + 1, "%s", text);
	return 0;
}

static int take_number(const char *key, json_int_t value, json_int_t least, json_int_t most,
		       struct error *err)
{
	if (value >= least && value <= most)
		return 0;
	return error_usage(err,
			   "`%s` is %" JSON_INTEGER_FORMAT "; it is %" JSON_INTEGER_FORMAT
			   " to %" JSON_INTEGER_FORMAT,
			   key, value, least, most);
}

/* The values as they stand in the line; texts are borrowed of the JSON. */
struct raw_flow {
	const char *tenant, *fixed, *shared, *peer;
	json_t *peer_tenant;
	json_int_t proto, port, service, left;
	int closing;
};

static int check_numbers(const struct raw_flow *raw, struct error *err)
{
	return take_number("protocol", raw->proto, 0, UINT8_MAX, err) ||
	       take_number("port", raw->port, 0, UINT16_MAX, err) ||
	       take_number("service", raw->service, 0, UINT16_MAX, err) ||
	       take_number("left", raw->left, 1, TN_FLOW_TCP, err);
}

static int check_families(const struct named_flow *f, struct error *err)
{
	int family = addr_family(&f->fixed);

	if (addr_family(&f->shared) == family && addr_family(&f->peer) == family)
		return 0;
	return error_usage(err, "`fixed`, `shared` and `peer` are of different families");
}

static int take(const struct raw_flow *raw, struct named_flow *out, struct error *err)
{
	if (take_name("tenant", raw->tenant, out->tenant, err) ||
	    take_address("fixed", raw->fixed, &out->fixed, err) ||
	    take_address("shared", raw->shared, &out->shared, err) ||
	    take_address("peer", raw->peer, &out->peer, err) || check_numbers(raw, err) ||
	    check_families(out, err))
		return -1;
	out->proto = raw->proto;
	out->port = raw->port;
	out->service = raw->service;
	out->closing = raw->closing;
	out->left = raw->left;
	if (json_is_null(raw->peer_tenant))
		return 0;
	if (!json_is_string(raw->peer_tenant))
		return error_usage(err, "`peer_tenant` is the name of a tenant, or null");
	return take_name("peer_tenant", json_string_value(raw->peer_tenant), out->peer_tenant, err);
}

int named_flow_parse(const char *line, struct named_flow *out, struct error *err)
{
	json_error_t why;
	_cleanup_json_ json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &why);
	struct raw_flow raw;

	memset(out, 0, sizeof(*out));
	if (!json || json_unpack_ex(json, &why, JSON_STRICT,
				    "{s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:I, s:b, s:I}", "tenant",
				    &raw.tenant, "fixed", &raw.fixed, "shared", &raw.shared,
				    "protocol", &raw.proto, "port", &raw.port, "peer", &raw.peer,
				    "peer_tenant", &raw.peer_tenant, "service", &raw.service,
				    "closing", &raw.closing, "left", &raw.left))
		return error_usage(err, "that is no flow as `flows export` writes it: %s",
				   why.text);
	return take(&raw, out, err);
}
