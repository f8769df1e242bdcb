/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "neutron_fixture.h"

TestSuite(inventory, .init = answers_read, .fini = answers_free);

static void expect_refused(enum neutron_list list, const char *error)
{
	_cleanup_inventory_ struct inventory inv = { 0 };
	struct error err = { 0 };

	cr_assert_eq(inventory_take(&inv, list, answers[list], &err), -1, "%s", error);
	cr_expect(!err.usage);
	cr_expect(strstr(err.text, error), "`%s` is not in `%s`", error, err.text);
}

/* Each field of an object that is read, and what has to be in the first of them. */
static const struct {
	enum neutron_list list;
	const char *what, *field;
	bool may_be_missing;
} fields[] = {
	{ NEUTRON_NETWORKS, "network", "tags", false },
	{ NEUTRON_NETWORKS, "network", "name", true },
	{ NEUTRON_SUBNETS, "subnet", "network_id", false },
	{ NEUTRON_SUBNETS, "subnet", "cidr", false },
	{ NEUTRON_SUBNETS, "subnet", "allocation_pools", false },
	{ NEUTRON_SUBNETS, "subnet", "gateway_ip", true },
	{ NEUTRON_ROUTERS, "router", "name", true },
	{ NEUTRON_ROUTERS, "router", "project_id", false },
	{ NEUTRON_ROUTERS, "router", "admin_state_up", false },
	{ NEUTRON_ROUTERS, "router", "distributed", true },
	{ NEUTRON_ROUTERS, "router", "ha", true },
	{ NEUTRON_ROUTERS, "router", "tags", false },
	{ NEUTRON_ROUTERS, "router", "created_at", true },
	{ NEUTRON_AGENTS, "agent", "agent_type", false },
	{ NEUTRON_AGENTS, "agent", "host", false },
	{ NEUTRON_AGENTS, "agent", "alive", false },
	{ NEUTRON_PORTS, "port", "network_id", false },
	{ NEUTRON_PORTS, "port", "name", true },
	{ NEUTRON_PORTS, "port", "dns_name", true },
	{ NEUTRON_PORTS, "port", "device_id", false },
	{ NEUTRON_PORTS, "port", "device_owner", false },
	{ NEUTRON_PORTS, "port", "project_id", false },
	{ NEUTRON_PORTS, "port", "created_at", true },
	{ NEUTRON_PORTS, "port", "status", false },
	{ NEUTRON_PORTS, "port", "mac_address", false },
	{ NEUTRON_PORTS, "port", "fixed_ips", false },
	{ NEUTRON_PORTS, "port", "security_groups", false },
	{ NEUTRON_GROUPS, "security group", "name", true },
	{ NEUTRON_GROUPS, "security group", "project_id", false },
	{ NEUTRON_GROUPS, "security group", "tags", false },
	{ NEUTRON_GROUPS, "security group", "security_group_rules", false },
	{ NEUTRON_POLICIES, "RBAC policy", "object_id", false },
	{ NEUTRON_POLICIES, "RBAC policy", "action", false },
	{ NEUTRON_POLICIES, "RBAC policy", "target_tenant", false },
};

/* The last object: what came before it is freed. */
static json_t *last_of(enum neutron_list list)
{
	const json_t *objects = json_object_get(answers[list], neutron_list_key(list));

	return json_array_get(objects, json_array_size(objects) - 1);
}

Test(inventory, fields_that_are_missing_or_odd)
{
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		json_t *one = last_of(fields[i].list);
		json_t *was = json_incref(json_object_get(one, fields[i].field));

		json_object_del(one, fields[i].field);
		snprintf(text, sizeof(text), "%s %s: `%s` is missing", fields[i].what,
			 json_string_value(json_object_get(one, "id")), fields[i].field);
		if (!fields[i].may_be_missing) {
			expect_refused(fields[i].list, text);
		} else {
			_cleanup_inventory_ struct inventory inv = { 0 };

			take_all(&inv);
		}
		json_object_set_new(one, fields[i].field, json_integer(7));
		snprintf(text, sizeof(text), "%s %s: `%s` is n", fields[i].what,
			 json_string_value(json_object_get(one, "id")), fields[i].field);
		expect_refused(fields[i].list, text);
		if (was)
			json_object_set(one, fields[i].field, was);
		else
			json_object_del(one, fields[i].field);
		json_decref(was);
	}
}

static void expect_odd(enum neutron_list list, const char *id, const char *with, const char *error)
{
	json_t *was = json_deep_copy(object(list, id));

	change(list, id, with);
	expect_refused(list, error);
	json_object_update(object(list, id), was);
	json_decref(was);
}

#define RULE                                                                         \
	"{'id': '" WHOLE("bbbbbbbb") "', 'direction': 'ingress', "                   \
				     "'ethertype': 'IPv4', 'port_range_min': null, " \
				     "'port_range_max': null, "                      \
				     "'protocol': null, 'remote_ip_prefix': null, "
#define RULES(fields) "{'security_group_rules': [" RULE fields "}]}"

Test(inventory, values_that_are_odd)
{
	expect_odd(NEUTRON_PORTS, "10000030", "{'mac_address': '01:00:5e:00:00:05'}",
		   "`mac_address` is no MAC address that an interface can have: "
		   "`01:00:5e:00:00:05`");
	expect_odd(NEUTRON_PORTS, "10000030", "{'network_id': '../../x'}",
		   "`network_id` is no UUID: `../../x`");
	expect_odd(NEUTRON_PORTS, "10000030",
		   "{'network_id': '10000030-0030-4000-8000-0000/../0030'}",
		   "`network_id` is no UUID");
	expect_odd(NEUTRON_PORTS, "10000030", "{'network_id': 'a\\u001b[31m\\u00fcb'}",
		   "`network_id` is no UUID: `a?[31m??b`");
	expect_odd(NEUTRON_PORTS, "10000030", "{'fixed_ips': [7]}",
		   "`fixed_ips` has something else than objects in it");
	expect_odd(
		NEUTRON_PORTS, "10000030",
		"{'fixed_ips': [{'subnet_id': '" WHOLE("aaaaaaaa") "', 'ip_address': '10.0.0'}]}",
		"`ip_address` is no address: `10.0.0`");
	expect_odd(NEUTRON_PORTS, "10000030", "{'security_groups': ['x']}",
		   "`security_groups` has something else than UUIDs in it");
	expect_odd(NEUTRON_SUBNETS, "1000000c", "{'cidr': '100.96.0.1/16'}",
		   "`cidr` is no prefix: `100.96.0.1/16`");
	expect_odd(NEUTRON_SUBNETS, "1000000c",
		   "{'allocation_pools': [{'start': '100.96.0.9', 'end': '100.96.0.1'}]}",
		   "`allocation_pools` is no part of `cidr`");
	expect_odd(NEUTRON_SUBNETS, "1000000c",
		   "{'allocation_pools': [{'start': '100.97.0.1', 'end': '100.97.0.9'}]}",
		   "`allocation_pools` is no part of `cidr`");
	expect_odd(NEUTRON_GROUPS, "10000023", RULES("'direction': 'sideways'"),
		   "security group rule bbbbbbbb-0000-4000-8000-000000000000: `direction` is "
		   "neither ingress nor egress: `sideways`");
	expect_odd(NEUTRON_GROUPS, "10000023", RULES("'ethertype': 'IPX'"),
		   "`ethertype` is neither IPv4 nor IPv6: `IPX`");
	expect_odd(NEUTRON_GROUPS, "10000023", RULES("'port_range_min': 65536"),
		   "`port_range_min` is no number up to 65535");
	expect_odd(NEUTRON_GROUPS, "10000023", RULES("'port_range_max': -2"),
		   "`port_range_max` is no number up to 65535");
	expect_odd(NEUTRON_GROUPS, "10000023", RULES("'remote_ip_prefix': 'all'"),
		   "`remote_ip_prefix` is no prefix: `all`");
}

Test(inventory, objects_that_are_none)
{
	static const char *const odd[] = { "7", "{'id': 7}", "{'id': 'x'}", "{}" };
	struct error err;

	for (int list = 0; list < NEUTRON_LISTS_COUNT; list++) {
		for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
			_cleanup_inventory_ struct inventory inv = { 0 };
			char text[128], *c = text;
			json_t *answer;

			snprintf(text, sizeof(text), "{'%s': [%s]}", neutron_list_key(list),
				 odd[i]);
			while ((c = strchr(c, '\'')))
				*c = '"';
			answer = json_loads(text, 0, NULL);
			err = (struct error){ 0 };
			cr_expect_eq(inventory_take(&inv, list, answer, &err), -1, "%s", text);
			json_decref(answer);
		}
	}
}

Test(inventory, answers_that_are_none)
{
	json_t *const odd[] = { json_null(), json_array(), json_object(),
				json_pack("{s:s}", "ports", "none"), json_pack("{s:n}", "ports") };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		_cleanup_inventory_ struct inventory inv = { 0 };
		struct error err = { 0 };

		cr_expect_eq(inventory_take(&inv, NEUTRON_PORTS, odd[i], &err), -1);
		cr_expect(strstr(err.text, "it has no list `ports`"), "%s", err.text);
		json_decref(odd[i]);
	}
}

/* Another version's API has fields of its own. */
Test(inventory, unknown_fields_do_not_count)
{
	_cleanup_inventory_ struct inventory inv = { 0 };

	for (int list = 0; list < NEUTRON_LISTS_COUNT; list++) {
		json_object_set_new(last_of(list), "x-new", json_pack("[n]"));
		json_object_set_new(answers[list], "x-new", json_true());
	}
	take_all(&inv);
	cr_expect_eq(inv.ports.n, 16);
}

/* What is asked for is all that is needed. */
Test(inventory, the_fields_that_are_asked_for_are_enough)
{
	_cleanup_inventory_ struct inventory inv = { 0 };

	for (int list = 0; list < NEUTRON_LISTS_COUNT; list++) {
		json_t *one;
		size_t i;

		json_array_foreach(json_object_get(answers[list], neutron_list_key(list)), i, one)
		{
			const char *key;
			json_t *value;
			void *next;

			json_object_foreach_safe(one, next, key, value)
			{
				char asked[256], part[64];

				snprintf(asked, sizeof(asked), ",%s,", neutron_list_fields(list));
				snprintf(part, sizeof(part), ",%s,", key);
				if (!strstr(asked, part))
					json_object_del(one, key);
			}
		}
	}
	take_all(&inv);
}

static uint64_t sum_of_all(void)
{
	uint64_t sum = 0;

	for (int list = 0; list < NEUTRON_LISTS_COUNT; list++)
		sum += neutron_answer_sum(list, answers[list]);
	return sum;
}

/* A poll has to come to what the read came to, as long as nothing has changed. */
Test(inventory, a_sum_tells_that_something_has_changed)
{
	const uint64_t was = sum_of_all();
	json_t *ports = json_object_get(answers[NEUTRON_PORTS], "ports");

	json_array_append(ports, json_array_get(ports, 0));
	json_array_remove(ports, 0);
	cr_expect_eq(sum_of_all(), was, "another order");
	change(NEUTRON_PORTS, "10000030", "{'name': 'x', 'fixed_ips': []}");
	cr_expect_eq(sum_of_all(), was, "what is not asked for");
	change(NEUTRON_PORTS, "10000030", "{'revision_number': 8}");
	cr_expect_neq(sum_of_all(), was, "a revision");
	change(NEUTRON_PORTS, "10000030", "{'revision_number': 7}");
	cr_expect_eq(sum_of_all(), was, "as it was");
	change(NEUTRON_AGENTS, "10000033", "{'alive': false}");
	cr_expect_neq(sum_of_all(), was, "an agent");
	change(NEUTRON_AGENTS, "10000033", "{'alive': true}");
	change(NEUTRON_POLICIES, "1000005b", "{'target_tenant': '*'}");
	cr_expect_neq(sum_of_all(), was, "whom a group is shared with");
	change(NEUTRON_POLICIES, "1000005b",
	       "{'target_tenant': '20000010000000000000000000000010'}");
	cr_expect_eq(sum_of_all(), was, "as it was");
	drop(NEUTRON_HOSTED, "10000012");
	cr_expect_neq(sum_of_all(), was, "a router of this host");
}
