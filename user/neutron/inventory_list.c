/* SPDX-License-Identifier: GPL-2.0-only */
/* All that was read of Neutron: sorted, told apart, and freed. */
#include "neutron/inventory.h"

static void network_clear(struct neutron_network *n)
{
	free(n->name);
}

static void subnet_clear(struct neutron_subnet *s)
{
	vec_free(&s->allocation);
}

static void neutron_router_clear(struct neutron_router *r)
{
	free(r->name);
	free(r->project);
	free(r->created);
	free(r->host);
	vec_each (pool, &r->pools)
		free(*pool);
	vec_free(&r->pools);
}

static void agent_clear(struct neutron_agent *a)
{
	free(a->host);
}

static void port_clear(struct neutron_port *p)
{
	free(p->name);
	free(p->dns_name);
	free(p->device);
	free(p->owner);
	free(p->project);
	free(p->created);
	vec_free(&p->addrs);
	vec_free(&p->groups);
}

static void group_clear(struct neutron_group *g)
{
	free(g->name);
	free(g->project);
	vec_each (r, &g->rules)
		free(r->protocol);
	vec_free(&g->rules);
}

#define CLEAR(vec, clear)          \
	do {                       \
		vec_each (_o, vec) \
			clear(_o); \
		vec_free(vec);     \
	} while (0)

void inventory_free(struct inventory *inv)
{
	CLEAR(&inv->networks, network_clear);
	CLEAR(&inv->subnets, subnet_clear);
	CLEAR(&inv->routers, neutron_router_clear);
	CLEAR(&inv->agents, agent_clear);
	vec_free(&inv->hosted);
	CLEAR(&inv->ports, port_clear);
	CLEAR(&inv->groups, group_clear);
	vec_each (policy, &inv->policies)
		free(policy->target);
	vec_free(&inv->policies);
}

int neutron_id_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Of those with one id, one stays. */
#define SORT_ONCE(vec, clear)                                                            \
	do {                                                                             \
		__auto_type _v = (vec);                                                  \
		size_t _kept = 0;                                                        \
                                                                                         \
		vec_sort(_v, neutron_id_cmp);                                            \
		for (size_t _i = 0; _i < _v->n; _i++) {                                  \
			if (_kept && neutron_id_cmp(&_v->v[_kept - 1], &_v->v[_i]) == 0) \
				clear(&_v->v[_i]);                                       \
			else                                                             \
				_v->v[_kept++] = _v->v[_i];                              \
		}                                                                        \
		_v->n = _kept;                                                           \
	} while (0)

static int policy_cmp(const void *a, const void *b)
{
	const struct neutron_policy *x = a, *y = b;
	int order = strcmp(x->object, y->object);

	return order ? order : strcmp(x->target, y->target);
}

static int hosting_cmp(const void *a, const void *b)
{
	const struct neutron_hosting *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order ? order : strcmp(x->agent, y->agent);
}

void inventory_sort(struct inventory *inv)
{
	SORT_ONCE(&inv->networks, network_clear);
	SORT_ONCE(&inv->subnets, subnet_clear);
	SORT_ONCE(&inv->routers, neutron_router_clear);
	SORT_ONCE(&inv->agents, agent_clear);
	vec_sort_once(&inv->hosted, hosting_cmp);
	SORT_ONCE(&inv->ports, port_clear);
	SORT_ONCE(&inv->groups, group_clear);
	vec_sort(&inv->policies, policy_cmp);
}

bool neutron_is_interface(const struct neutron_port *p)
{
	return strcmp(p->owner, "network:router_interface") == 0 ||
	       strcmp(p->owner, "network:ha_router_replicated_interface") == 0;
}

bool neutron_is_sidecar(const struct neutron_port *p)
{
	return strcmp(p->owner, NEUTRON_SIDECAR) == 0;
}

/* Of texts, numbers and truths, which is what poll fields are. */
static uint64_t mix_value(uint64_t sum, const json_t *value)
{
	const json_int_t number = json_integer_value(value);
	const int type = value ? (int)json_typeof(value) : -1;

	sum = fnv1a(sum, &type, sizeof(type));
	if (json_is_string(value))
		return fnv1a(sum, json_string_value(value), json_string_length(value));
	return fnv1a(sum, &number, sizeof(number));
}

static uint64_t object_sum(enum neutron_list list, const json_t *object)
{
	char names[64], *rest = names, *field;
	uint64_t sum = FNV1A + (uint64_t)list;

	snprintf(names, sizeof(names), "%s", neutron_poll_fields(list));
	while ((field = strsep(&rest, ",")))
		sum = mix_value(sum, json_object_get(object, field));
	return sum;
}

uint64_t neutron_answer_sum(enum neutron_list list, const json_t *answer)
{
	const json_t *object;
	uint64_t sum = 0;
	size_t i;

	json_array_foreach(json_object_get(answer, neutron_list_key(list)), i, object) sum +=
		object_sum(list, object);
	return sum;
}
