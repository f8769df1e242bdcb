/* SPDX-License-Identifier: GPL-2.0-only */
#include "handover/stream_line.h"

#include <jansson.h>
#include <string.h>

#include "lib/output.h"

#define BEAT  "{\"router\":"
#define AGAIN "{\"again\":"

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int take_tenant(const char *name, struct stream_line *out, struct error *err)
{
	if (!tenant_name_valid(name))
		return error_usage(err, "that is no name of a tenant");
	snprintf(out->tenant, sizeof(out->tenant), "%s", name);
	return 0;
}

static int parse_beat(const char *text, struct stream_line *out, struct error *err)
{
	_cleanup_json_ json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *tenant;
	json_int_t unsent;

	out->kind = LINE_BEAT;
	if (!json || json_unpack(json, "{ss sI!}", "router", &tenant, "unsent", &unsent) ||
	    unsent < 0 || unsent > TN_FLOWS)
		return error_usage(err, "that says nothing of a router");
	out->unsent = (uint32_t)unsent;
	return take_tenant(tenant, out, err);
}

static int parse_again(const char *text, struct stream_line *out, struct error *err)
{
	_cleanup_json_ json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *tenant;

	out->kind = LINE_AGAIN;
	if (!json || json_unpack(json, "{ss!}", "again", &tenant))
		return error_usage(err, "that asks for nothing");
	return take_tenant(tenant, out, err);
}

int stream_line_parse(const char *text, struct stream_line *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (begins(text, BEAT))
		return parse_beat(text, out, err);
	if (begins(text, AGAIN))
		return parse_again(text, out, err);
	out->kind = LINE_FLOW;
	if (named_flow_parse(text, &out->flow, err))
		return -1;
	memcpy(out->tenant, out->flow.tenant, sizeof(out->tenant));
	return 0;
}

/* Names of tenants need no escapes. */
void stream_line_beat(const char *tenant, size_t unsent, FILE *to)
{
	fprintf(to, BEAT "\"%s\",\"unsent\":%zu}\n", tenant, unsent < TN_FLOWS ? unsent : TN_FLOWS);
}

void stream_line_again(const char *tenant, FILE *to)
{
	fprintf(to, AGAIN "\"%s\"}\n", tenant);
}
