/* SPDX-License-Identifier: GPL-2.0-only */
#include "neutron/inventory.h"

#include <ctype.h>
#include <stdarg.h>

struct list {
	const char *key;
	const char *one;
};

static const struct list lists[] = {
#define X(id, key, one) [NEUTRON_##id] = { key, one },
	NEUTRON_LISTS(X)
#undef X
};

static const char port_fields[] =
	"id,network_id,name,dns_name,device_id,device_owner,project_id,status,"
	"mac_address,fixed_ips,security_groups,created_at,revision_number";

static const char router_fields[] =
	"id,name,project_id,admin_state_up,distributed,ha,tags,created_at,revision_number";

/* Asked for is what is read below; `created_at`, `dns_name` and the like may be no fields there. */
static const char *const fields[] = {
	[NEUTRON_NETWORKS] = "id,name,tags,revision_number",
	[NEUTRON_SUBNETS] = "id,network_id,cidr,gateway_ip,allocation_pools,revision_number",
	[NEUTRON_ROUTERS] = router_fields,
	[NEUTRON_AGENTS] = "id,agent_type,host,alive",
	[NEUTRON_HOSTED] = "id",
	[NEUTRON_PORTS] = port_fields,
	[NEUTRON_GROUPS] = "id,name,project_id,tags,security_group_rules,revision_number",
	[NEUTRON_POLICIES] = "id,object_id,action,target_tenant",
};

#define BY_REVISION "id,revision_number"

static const char *const poll_fields[] = {
	[NEUTRON_NETWORKS] = BY_REVISION, [NEUTRON_SUBNETS] = BY_REVISION,
	[NEUTRON_ROUTERS] = BY_REVISION,  [NEUTRON_AGENTS] = "id,alive",
	[NEUTRON_HOSTED] = "id",	  [NEUTRON_PORTS] = BY_REVISION,
	[NEUTRON_GROUPS] = BY_REVISION,	  [NEUTRON_POLICIES] = "id,target_tenant",
};

const char *neutron_list_key(enum neutron_list list)
{
	return lists[list].key;
}

const char *neutron_list_fields(enum neutron_list list)
{
	return fields[list];
}

const char *neutron_poll_fields(enum neutron_list list)
{
	return poll_fields[list];
}

const char *neutron_shown(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	for (; text[n] && n < size - 1; n++)
		buf[n] = (char)(isprint((unsigned char)text[n]) ? text[n] : '?');
	buf[n] = '\0';
	return buf;
}

/* ------------------------------------------------------------ fields */

/* One object of an answer. After the first fault, what is read of it is empty. */
struct object {
	const json_t *json;
	const char *what;
	char id[NEUTRON_ID]; /* "": not read yet */
	struct error *err;
};

static int fault(struct object *o, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fault(struct object *o, const char *field, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(o->err, "Neutron's answer is not understood: %s%s%s: `%s` %s", o->what,
			 *o->id ? " " : "", o->id, field, text);
}

static const json_t *value_of(struct object *o, const char *field)
{
	const json_t *value = json_object_get(o->json, field);

	if (!value)
		fault(o, field, "is missing");
	return value;
}

static const char *text_value(struct object *o, const char *field, const json_t *value)
{
	if (value && !json_is_string(value))
		fault(o, field, "is no text");
	return json_is_string(value) ? json_string_value(value) : "";
}

static const char *text_of(struct object *o, const char *field)
{
	return text_value(o, field, value_of(o, field));
}

/* "" where it is missing or null. */
static const char *text_if_any(struct object *o, const char *field)
{
	const json_t *value = json_object_get(o->json, field);

	return json_is_null(value) ? "" : text_value(o, field, value);
}

static bool truth_value(struct object *o, const char *field, const json_t *value)
{
	if (value && !json_is_boolean(value))
		fault(o, field, "is neither true nor false");
	return json_is_true(value);
}

static bool truth_of(struct object *o, const char *field)
{
	return truth_value(o, field, value_of(o, field));
}

/* False where it is missing or null: the extension is not loaded. */
static bool truth_if_any(struct object *o, const char *field)
{
	const json_t *value = json_object_get(o->json, field);

	return json_is_null(value) ? false : truth_value(o, field, value);
}

static const json_t *list_of(struct object *o, const char *field)
{
	const json_t *value = value_of(o, field);

	if (value && !json_is_array(value))
		fault(o, field, "is no list");
	return json_is_array(value) ? value : NULL;
}

/* Ids become parts of paths, and names of namespaces and interfaces. */
static bool is_id(const char *text)
{
	return strlen(text) == NEUTRON_ID - 1 &&
	       strspn(text, "0123456789abcdef-") == NEUTRON_ID - 1;
}

static void id_of(struct object *o, const char *field, char out[NEUTRON_ID])
{
	const char *text = text_of(o, field);

	if (is_id(text))
		memcpy(out, text, NEUTRON_ID);
	else if (!o->err->set)
		fault(o, field, "is no UUID: `%s`", SHOWN(text));
}

static struct tn_addr addr_value(struct object *o, const char *field, const char *text)
{
	struct tn_addr a = { 0 };

	if (!o->err->set && !addr_parse(text, &a))
		fault(o, field, "is no address: `%s`", SHOWN(text));
	return a;
}

static struct prefix prefix_value(struct object *o, const char *field, const char *text)
{
	struct prefix p = { 0 };

	if (!o->err->set && !prefix_parse(text, &p))
		fault(o, field, "is no prefix: `%s`", SHOWN(text));
	return p;
}

static void mac_of(struct object *o, const char *field, uint8_t out[6])
{
	const char *text = text_of(o, field);

	if (!o->err->set && (!mac_parse(text, out) || !mac_is_valid(out)))
		fault(o, field, "is no MAC address that an interface can have: `%s`", SHOWN(text));
}

/* A number from 0 to 65535; -1: null. */
static int number_of(struct object *o, const char *field)
{
	const json_t *value = value_of(o, field);
	json_int_t number = json_integer_value(value);

	if (!value || json_is_null(value))
		return -1;
	if (!json_is_integer(value) || number < 0 || number > 0xffff) {
		fault(o, field, "is no number up to 65535");
		return -1;
	}
	return (int)number;
}

/* An object within another, of which errors are said to be. */
static struct object part_of(struct object *o, const char *field, const json_t *json)
{
	struct object part = *o;

	part.json = json;
	if (!json_is_object(json))
		fault(o, field, "has something else than objects in it");
	return part;
}

/* ------------------------------------------------------------ objects */

static void take_tags(struct object *o, bool *tagged, struct neutron_router *r)
{
	size_t head = strlen(NEUTRON_TAG_POOL), host = strlen(NEUTRON_TAG_HOST), i;
	const json_t *tag;

	json_array_foreach(list_of(o, "tags"), i, tag)
	{
		const char *text = text_value(o, "tags", tag);

		*tagged |= strcmp(text, NEUTRON_TAG) == 0;
		if (r && strncmp(text, NEUTRON_TAG_POOL, head) == 0)
			*vec_push(&r->pools) = xstrdup(text + head);
		if (r && !r->host && strncmp(text, NEUTRON_TAG_HOST, host) == 0)
			r->host = xstrdup(text + host);
	}
}

static void take_network(struct inventory *inv, struct object *o)
{
	struct neutron_network *n = vec_push(&inv->networks);

	memcpy(n->id, o->id, NEUTRON_ID);
	n->name = xstrdup(text_if_any(o, "name"));
	take_tags(o, &n->tagged, NULL);
}

static void take_subnet(struct inventory *inv, struct object *o)
{
	struct neutron_subnet *s = vec_push(&inv->subnets);
	const char *gateway = text_if_any(o, "gateway_ip");
	const json_t *range;
	size_t i;

	memcpy(s->id, o->id, NEUTRON_ID);
	id_of(o, "network_id", s->network);
	s->cidr = prefix_value(o, "cidr", text_of(o, "cidr"));
	if (*gateway)
		s->gateway = addr_value(o, "gateway_ip", gateway);
	json_array_foreach(list_of(o, "allocation_pools"), i, range)
	{
		struct object part = part_of(o, "allocation_pools", range);
		struct addr_range *r = vec_push(&s->allocation);

		r->first = addr_value(&part, "start", text_of(&part, "start"));
		r->last = addr_value(&part, "end", text_of(&part, "end"));
		if (!o->err->set &&
		    (!prefix_has(&s->cidr, &r->first) || !prefix_has(&s->cidr, &r->last) ||
		     addr_cmp(&r->first, &r->last) > 0))
			fault(o, "allocation_pools", "is no part of `cidr`");
	}
}

static void take_router(struct inventory *inv, struct object *o)
{
	struct neutron_router *r = vec_push(&inv->routers);

	memcpy(r->id, o->id, NEUTRON_ID);
	r->name = xstrdup(text_if_any(o, "name"));
	r->project = xstrdup(text_of(o, "project_id"));
	r->created = xstrdup(text_if_any(o, "created_at"));
	r->up = truth_of(o, "admin_state_up");
	r->distributed = truth_if_any(o, "distributed");
	r->ha = truth_if_any(o, "ha");
	take_tags(o, &r->tagged, r);
}

static void take_agent(struct inventory *inv, struct object *o)
{
	struct neutron_agent *a = vec_push(&inv->agents);

	memcpy(a->id, o->id, NEUTRON_ID);
	a->host = xstrdup(text_of(o, "host"));
	a->is_l3 = strcmp(text_of(o, "agent_type"), "L3 agent") == 0;
	a->alive = truth_of(o, "alive");
}

static void take_hosted(struct inventory *inv, struct object *o)
{
	struct neutron_hosting *h = vec_push(&inv->hosted);

	memset(h, 0, sizeof(*h));
	memcpy(h->id, o->id, NEUTRON_ID);
	snprintf(h->agent, sizeof(h->agent), "%s", inv->agent ? inv->agent : "");
}

static void take_port(struct inventory *inv, struct object *o)
{
	struct neutron_port *p = vec_push(&inv->ports);
	const json_t *value;
	size_t i;

	memcpy(p->id, o->id, NEUTRON_ID);
	id_of(o, "network_id", p->network);
	p->name = xstrdup(text_if_any(o, "name"));
	p->dns_name = xstrdup(text_if_any(o, "dns_name"));
	p->device = xstrdup(text_of(o, "device_id"));
	p->owner = xstrdup(text_of(o, "device_owner"));
	p->project = xstrdup(text_of(o, "project_id"));
	p->created = xstrdup(text_if_any(o, "created_at"));
	p->down = strcmp(text_of(o, "status"), "DOWN") == 0;
	mac_of(o, "mac_address", p->mac);
	json_array_foreach(list_of(o, "fixed_ips"), i, value)
	{
		struct object part = part_of(o, "fixed_ips", value);
		struct neutron_address *a = vec_push(&p->addrs);

		id_of(&part, "subnet_id", a->subnet);
		a->addr = addr_value(&part, "ip_address", text_of(&part, "ip_address"));
	}
	json_array_foreach(list_of(o, "security_groups"), i, value)
	{
		const char *id = text_value(o, "security_groups", value);

		if (is_id(id))
			memcpy(vec_push(&p->groups)->text, id, NEUTRON_ID);
		else
			fault(o, "security_groups", "has something else than UUIDs in it");
	}
}

static bool is_given(struct object *o, const char *field)
{
	const json_t *value = json_object_get(o->json, field);

	return value && !json_is_null(value);
}

/* Neutron has it as a text, also where it is a number. */
static char *protocol_of(struct object *o)
{
	const json_t *value = value_of(o, "protocol");
	char *text;

	if (!value || json_is_null(value))
		return NULL;
	text = xstrdup(text_value(o, "protocol", value));
	for (char *c = text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return text;
}

static void take_rule(struct neutron_group *g, struct object *group, const json_t *json)
{
	struct object o = part_of(group, "security_group_rules", json);
	const char *direction, *ethertype;
	struct neutron_rule *r;

	o.what = "security group rule";
	memset(o.id, 0, sizeof(o.id));
	id_of(&o, "id", o.id);
	direction = text_of(&o, "direction");
	ethertype = text_of(&o, "ethertype");
	if (!o.err->set && strcmp(direction, "egress") != 0 && strcmp(direction, "ingress") != 0)
		fault(&o, "direction", "is neither ingress nor egress: `%s`", SHOWN(direction));
	if (!o.err->set && strcmp(ethertype, "IPv4") != 0 && strcmp(ethertype, "IPv6") != 0)
		fault(&o, "ethertype", "is neither IPv4 nor IPv6: `%s`", SHOWN(ethertype));
	if (o.err->set || strcmp(direction, "ingress") != 0)
		return;
	r = vec_push(&g->rules);
	memcpy(r->id, o.id, NEUTRON_ID);
	r->family = strcmp(ethertype, "IPv4") == 0 ? IPV4 : IPV6;
	r->protocol = protocol_of(&o);
	r->first = number_of(&o, "port_range_min");
	r->last = number_of(&o, "port_range_max");
	r->by_group = is_given(&o, "remote_group_id") || is_given(&o, "remote_address_group_id");
	r->has_remote = is_given(&o, "remote_ip_prefix");
	if (r->has_remote)
		r->remote = prefix_value(&o, "remote_ip_prefix", text_of(&o, "remote_ip_prefix"));
}

static void take_group(struct inventory *inv, struct object *o)
{
	struct neutron_group *g = vec_push(&inv->groups);
	const json_t *rule;
	size_t i;

	memcpy(g->id, o->id, NEUTRON_ID);
	g->name = xstrdup(text_if_any(o, "name"));
	g->project = xstrdup(text_of(o, "project_id"));
	take_tags(o, &g->tagged, NULL);
	json_array_foreach(list_of(o, "security_group_rules"), i, rule) take_rule(g, o, rule);
}

/* Those of other actions concern no consent. */
static void take_policy(struct inventory *inv, struct object *o)
{
	const char *target = text_of(o, "target_tenant");
	struct neutron_policy policy = { 0 };

	id_of(o, "object_id", policy.object);
	if (strcmp(text_of(o, "action"), "access_as_shared") != 0)
		return;
	policy.target = xstrdup(target);
	*vec_push(&inv->policies) = policy;
}

static void (*const takers[])(struct inventory *inv, struct object *o) = {
	[NEUTRON_NETWORKS] = take_network, [NEUTRON_SUBNETS] = take_subnet,
	[NEUTRON_ROUTERS] = take_router,   [NEUTRON_AGENTS] = take_agent,
	[NEUTRON_HOSTED] = take_hosted,	   [NEUTRON_PORTS] = take_port,
	[NEUTRON_GROUPS] = take_group,	   [NEUTRON_POLICIES] = take_policy,
};

int inventory_take(struct inventory *inv, enum neutron_list list, const json_t *answer,
		   struct error *err)
{
	const json_t *objects = json_object_get(answer, lists[list].key), *json;
	size_t i;

	if (!json_is_array(objects))
		return error_set(err, "Neutron's answer is not understood: it has no list `%s`",
				 lists[list].key);
	json_array_foreach(objects, i, json)
	{
		struct object o = { .json = json, .what = lists[list].one, .err = err };

		if (!json_is_object(json))
			return error_set(err,
					 "Neutron's answer is not understood: `%s` has something "
					 "else than objects in it",
					 lists[list].key);
		id_of(&o, "id", o.id);
		if (!err->set)
			takers[list](inv, &o);
		if (err->set)
			return -1;
	}
	return 0;
}
