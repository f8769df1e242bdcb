/* SPDX-License-Identifier: GPL-2.0-only */
#include "../fixture.h"
#include "neutron_fixture.h"

TestSuite(neutron, .init = answers_read, .fini = answers_free);

#define ALPHA	    "10000012"
#define BETA	    "10000013"
#define ALPHA_VM    "10000016"
#define ALPHA_EVIL  "10000030"
#define BETA_VM1    "10000020"
#define BETA_VM2    "1000002d"
#define ALPHA_IN    "10000026"
#define BETA_IN	    "1000002c"
#define ALPHA_PORT  "10000024"
#define SHARED_NET  "1000000b"
#define SHARED_SUB  "1000000c"
#define ALPHA_GROUP "10000019"
#define BETA_GROUP  "10000023"

#define ALPHA_PROJECT "20000010000000000000000000000010"
#define BETA_PROJECT  "2000000e00000000000000000000000e"
#define GAMMA_PROJECT "2000000d00000000000000000000000d"

static void expect_yaml(const char *part)
{
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, part);
	cr_expect_str_eq(m.findings, "");
}

/* The file has one, and does not have the other; and somebody is told. */
static void expect_told(const char *yes, const char *no, const char *finding)
{
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, yes);
	expect_not_in(m.yaml, no);
	expect_in(m.findings, finding);
	cr_expect_eq(strchr(m.findings, '\n') - m.findings, (long)strlen(m.findings) - 1,
		     "more than one:\n%s", m.findings);
}

static const char sample[] =
	"shared-network:\n"
	"  subnets: [100.96.0.0/16]\n"
	"tenants:\n"
	"- name: alpha-router\n"
	"  router:\n"
	"    netns: qrouter-10000012-0012-4000-8000-000000000012\n"
	"    shared: qr-10000024-00\n"
	"    inside: [qr-10000026-00]\n"
	"    address: 100.96.255.10\n"
	"  pool: [100.96.1.0/24]\n"
	"  mappings:\n"
	"  - {name: alpha-vm1, fixed: 10.0.0.10}\n"
	"  - {name: alpha-evil, fixed: 10.0.0.20}\n"
	"  accept:\n"
	"  - {from: [alpha-router, beta-router, gamma-router], to: [alpha-vm1, alpha-evil]}\n"
	"- name: beta-router\n"
	"  router:\n"
	"    netns: qrouter-10000013-0013-4000-8000-000000000013\n"
	"    shared: qr-1000001a-00\n"
	"    inside: [qr-1000002c-00]\n"
	"    address: 100.96.255.54\n"
	"  pool: [100.96.2.0/24]\n"
	"  mappings:\n"
	"  - {name: beta-vm1, fixed: 10.0.0.10}\n"
	"  - {name: beta-vm2, fixed: 10.0.0.20}\n"
	"  accept:\n"
	"  - {from: [alpha-router, beta-router], to: [beta-vm1, beta-vm2], ports: [tcp/8000-9099, "
	"icmp]}\n"
	"- name: gamma-router\n"
	"  router:\n"
	"    active: address\n"
	"    netns: qrouter-10000011-0011-4000-8000-000000000011\n"
	"    shared: qr-10000027-00\n"
	"    inside: [qr-1000002f-00]\n"
	"  pool: [100.96.3.0/24]\n"
	"  mappings:\n"
	"  - {name: gamma-vm1, fixed: 10.0.0.10}\n"
	"  accept:\n"
	"  - {from: [alpha-router, beta-router, gamma-router], to: [gamma-vm1]}\n";

Test(neutron, definitions_of_a_real_cloud)
{
	_cleanup_made_ struct made m = make();

	expect_text(xstrdup(m.yaml), sample, "definitions");
	cr_expect_str_eq(m.findings, "");
}

static void reverse(json_t *list)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		json_array_append(list, json_array_get(list, i));
		json_array_remove(list, i);
	}
}

/* Neutron promises no order, and pages overlap when something is added meanwhile. */
Test(neutron, order_and_repetition_do_not_count)
{
	_cleanup_made_ struct made m = { 0 };

	for (int i = 0; i < NEUTRON_LISTS_COUNT; i++) {
		json_t *list = json_object_get(answers[i], neutron_list_key(i));

		reverse(list);
		json_array_append(list, json_array_get(list, 0));
	}
	m = make();
	cr_expect_str_eq(m.yaml, sample);
}

Test(neutron, the_shared_network_is_the_one_with_the_tag)
{
	struct error err;

	change(NEUTRON_NETWORKS, "10000009", "{'tags': ['tenantnat']}");
	err = make_fails();
	expect_in(err.text, "2 networks in Neutron have the tag `tenantnat`");
	change(NEUTRON_NETWORKS, "10000009", "{'tags': []}");
	change(NEUTRON_NETWORKS, SHARED_NET, "{'tags': ['tenantnat2']}");
	err = make_fails();
	expect_in(err.text, "no network in Neutron has the tag `tenantnat`");
}

Test(neutron, the_shared_network_needs_subnets)
{
	drop(NEUTRON_SUBNETS, SHARED_SUB);
	expect_in(make_fails().text, "the shared network tnat-shared (1000000b-000b-4000-8000-"
				     "00000000000b) has no subnet");
}

Test(neutron, a_host_without_an_agent)
{
	change(NEUTRON_AGENTS, "10000033", "{'host': 'node2'}");
	expect_in(make_fails().text, "no L3 agent of a host `node1`");
	change(NEUTRON_AGENTS, "10000033", "{'host': 'node1', 'agent_type': 'DHCP agent'}");
	expect_in(make_fails().text, "no L3 agent of a host `node1`");
}

Test(neutron, an_agent_that_is_not_alive)
{
	change(NEUTRON_AGENTS, "10000033", "{'alive': false}");
	expect_told("netns: qrouter-10000012", "?",
		    "the L3 agent of this host (node1) is not alive");
}

/* ------------------------------------------------------------ routers */

static const char alpha_elsewhere[] = "- name: alpha-router\n"
				      "  pool: [100.96.1.0/24]\n"
				      "  mappings:\n"
				      "  - {name: alpha-vm1, fixed: 10.0.0.10}\n"
				      "  - {name: alpha-evil, fixed: 10.0.0.20}\n"
				      "  accept:\n";

Test(neutron, a_router_of_another_host)
{
	drop(NEUTRON_HOSTED, ALPHA);
	expect_yaml(alpha_elsewhere);
}

Test(neutron, a_router_that_is_disabled)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'admin_state_up': false}");
	expect_told(alpha_elsewhere, "qrouter-10000012", "is disabled; its addresses are kept");
}

Test(neutron, a_distributed_router)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'distributed': true}");
	expect_told(alpha_elsewhere, "qrouter-10000012", "it is distributed (DVR)");
}

Test(neutron, a_router_without_a_shared_port)
{
	drop(NEUTRON_PORTS, ALPHA_PORT);
	expect_told(alpha_elsewhere, "qrouter-10000012", "has no port on the shared network");
}

Test(neutron, a_router_with_its_gateway_on_the_shared_network)
{
	change(NEUTRON_PORTS, ALPHA_PORT, "{'device_owner': 'network:router_gateway'}");
	expect_told(alpha_elsewhere, "qrouter-10000012",
		    "its port on the shared network is its gateway (qg-)");
}

Test(neutron, a_router_with_two_shared_ports)
{
	copy(NEUTRON_PORTS, ALPHA_PORT, "aaaaaaaa",
	     "{'fixed_ips': [{'subnet_id': '" WHOLE(
		     "1000000c") "', 'ip_address': '100.96.255.11'}]}");
	expect_told(alpha_elsewhere, "qrouter-10000012", "several ports on the shared network");
}

Test(neutron, routers_without_the_tag_do_not_count)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat:pool=100.96.1.0/24', 'x']}");
	_cleanup_made_ struct made m = make();

	expect_not_in(m.yaml, "alpha");
	expect_in(m.yaml, "from: [beta-router], to: [beta-vm1, beta-vm2]");
	cr_expect_str_eq(m.findings, "");
}

Test(neutron, ha_routers_get_no_address)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'ha': true}");
	change(NEUTRON_PORTS, ALPHA_PORT,
	       "{'device_owner': 'network:ha_router_replicated_interface'}");
	change(NEUTRON_PORTS, ALPHA_IN,
	       "{'device_owner': 'network:ha_router_replicated_interface'}");
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, "    active: address\n"
			  "    netns: qrouter-10000012-0012-4000-8000-000000000012\n"
			  "    shared: qr-10000024-00\n    inside: [qr-10000026-00]\n");
	expect_not_in(m.yaml, "address: 100.96.255.10");
}

Test(neutron, inside_is_never_everything)
{
	drop(NEUTRON_PORTS, ALPHA_IN);
	expect_yaml("    inside: [qr-*]\n    address: 100.96.255.10\n  pool: [100.96.1.0/24]\n"
		    "  accept: []\n");
}

Test(neutron, more_inside_ports_than_a_router_can_have)
{
	char id[9];

	for (int i = 0; i < TN_INSIDE_MAX; i++) {
		snprintf(id, sizeof(id), "aaaaaa%02x", i);
		copy(NEUTRON_PORTS, ALPHA_IN, id, "{'fixed_ips': []}");
	}
	expect_told(alpha_elsewhere, "qrouter-10000012", "more than 16 ports to VMs");
}

Test(neutron, router_ports_that_are_down)
{
	change(NEUTRON_PORTS, ALPHA_IN, "{'status': 'DOWN'}");
	expect_told("inside: [qr-10000026-00]", "?",
		    "router alpha-router: its port 10000026-0026-4000-8000-000000000026 is DOWN");
}

/* ------------------------------------------------------------ names */

Test(neutron, whoever_is_older_keeps_the_plain_name)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'name': 'Web / 1', 'created_at': '2026-03-01T00:00:00Z'}");
	change(NEUTRON_ROUTERS, BETA, "{'name': 'web-1', 'created_at': '2026-02-01T00:00:00Z'}");
	change(NEUTRON_ROUTERS, "10000011",
	       "{'name': 'WEB-1-10000012', 'created_at': '2026-01-01T00:00:00Z'}");
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, "name: web-1\n  router:\n    netns: qrouter-10000013");
	expect_in(m.yaml, "name: web-1-10000012\n  router:\n    active: address\n    netns: "
			  "qrouter-10000011");
	/* that one is taken, so it is all of the id */
	expect_in(m.yaml, "name: web-1-10000012-0012-4000-8000-000000000012\n  router:\n"
			  "    netns: qrouter-10000012");
	expect_in(m.yaml, "from: [web-1, web-1-10000012, web-1-10000012-0012-4000-8000-"
			  "000000000012]");
}

/* In a cluster each router says which hosts have it. */
Test(neutron, for_all_hosts)
{
	_cleanup_made_ struct made m = make_for(NULL);

	expect_in(m.yaml,
		  "name: alpha-router\n  router:\n    host: node1\n    netns: qrouter-10000012");
	expect_in(m.yaml, "name: gamma-router\n  router:\n    host: node1\n    active: address\n");
	change(NEUTRON_AGENTS, "10000033", "{'host': 'no such/host'}");
	_cleanup_made_ struct made odd = make_for(NULL);

	expect_in(odd.findings, "no such/host has a name that no host of a cluster can have");
}

/* It is the same router, and so is its tenant; another one with the old name is not. */
Test(neutron, routers_that_are_renamed)
{
	_cleanup_made_ struct made before = make();

	expect_in(before.yaml, "name: beta-router\n  router:\n    netns: qrouter-10000013");
	change(NEUTRON_ROUTERS, BETA, "{'name': 'renamed'}");
	change(NEUTRON_ROUTERS, ALPHA, "{'name': 'beta-router'}");
	_cleanup_made_ struct made m = make();

	cr_expect_str_eq(m.yaml, before.yaml);
	forget_names();
	_cleanup_made_ struct made anew = make();

	expect_in(anew.yaml, "name: renamed\n  router:\n    netns: qrouter-10000013");
	expect_in(anew.yaml, "name: beta-router\n  router:\n    netns: qrouter-10000012");
}

Test(neutron, routers_without_a_name)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'name': ''}");
	change(NEUTRON_ROUTERS, BETA, "{'name': '/// \\u00fc'}");
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, "name: router\n  router:\n    netns: qrouter-10000012");
	expect_in(m.yaml, "name: router-10000013\n  router:\n    netns: qrouter-10000013");
}

/* A port that comes in the place of another one has the address, and nothing else of it. */
Test(neutron, vms_are_known_by_their_mac_address)
{
	_cleanup_made_ struct made m = make();

	expect_in(m.whole, "  - {name: alpha-vm1, fixed: 10.0.0.10, mac: \"fa:16:3e:cc:1b:58\"}\n");
	change(NEUTRON_PORTS, ALPHA_VM, "{'name': 'new', 'mac_address': 'FA:16:3E:00:00:05'}");
	_cleanup_made_ struct made after = make();

	expect_in(after.whole, "  - {name: new, fixed: 10.0.0.10, mac: \"fa:16:3e:00:00:05\"}\n");
}

Test(neutron, vms_are_called_by_their_dns_name)
{
	change(NEUTRON_PORTS, ALPHA_VM, "{'dns_name': 'www'}");
	change(NEUTRON_PORTS, ALPHA_EVIL, "{'dns_name': null, 'name': ''}");
	expect_yaml(
		"  - {name: www, fixed: 10.0.0.10}\n  - {fixed: 10.0.0.20}\n  accept:\n"
		"  - {from: [alpha-router, beta-router, gamma-router], to: [www, 10.0.0.20]}\n");
}

Test(neutron, names_of_vms_that_are_there_twice)
{
	change(NEUTRON_PORTS, ALPHA_VM, "{'name': 'vm', 'created_at': '2026-03-01T00:00:00Z'}");
	change(NEUTRON_PORTS, ALPHA_EVIL, "{'name': 'vm', 'created_at': '2026-02-01T00:00:00Z'}");
	expect_yaml(
		"  - {name: vm-10000016, fixed: 10.0.0.10}\n  - {name: vm, fixed: 10.0.0.20}\n");
}

/* ------------------------------------------------------------ mappings */

Test(neutron, only_ports_of_vms)
{
	const char *const others[] = { "", "network:dhcp", "network:distributed",
				       "network:router_interface" };
	char fields[128];

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(fields, sizeof(fields), "{'device_owner': '%s'}", others[i]);
		change(NEUTRON_PORTS, ALPHA_EVIL, fields);
		_cleanup_made_ struct made m = make();
		expect_not_in(m.yaml, "alpha-evil");
	}
	change(NEUTRON_PORTS, ALPHA_EVIL, "{'device_owner': 'baremetal:none'}");
	expect_yaml("name: alpha-evil");
}

Test(neutron, a_vm_that_is_down_keeps_its_mapping)
{
	change(NEUTRON_PORTS, ALPHA_VM, "{'status': 'DOWN'}");
	expect_told("name: alpha-vm1", "?", "router alpha-router: the port alpha-vm1 is DOWN");
}

Test(neutron, several_vms_that_are_down_are_one_finding)
{
	change(NEUTRON_PORTS, BETA_VM1, "{'status': 'DOWN'}");
	change(NEUTRON_PORTS, BETA_VM2, "{'status': 'DOWN'}");
	expect_told("name: beta-vm1", "?", "the port beta-vm1 and 1 more are DOWN");
}

/* Another subnet of the same network leads by another router, or by none. */
Test(neutron, only_addresses_of_subnets_behind_the_router)
{
	copy(NEUTRON_SUBNETS, "1000000a", "aaaaaaaa",
	     "{'cidr': '10.7.0.0/24', 'gateway_ip': '10.7.0.1', 'allocation_pools': []}");
	change(NEUTRON_PORTS, ALPHA_VM,
	       "{'fixed_ips': [{'subnet_id': '" WHOLE("aaaaaaaa") "', 'ip_address': '10.7.0.5'}]}");
	_cleanup_made_ struct made m = make();

	expect_not_in(m.yaml, "10.7.0.5");
	cr_expect_str_eq(m.findings, "");
}

/* Beta's router has a port on alpha's subnet, too; VMs answer by their gateway. */
Test(neutron, a_subnet_behind_two_routers_is_its_gateways)
{
	copy(NEUTRON_PORTS, ALPHA_IN, "00000001",
	     "{'device_id': '10000013-0013-4000-8000-000000000013', 'fixed_ips': [{'subnet_id': "
	     "'1000000a-000a-4000-8000-00000000000a', 'ip_address': '10.0.0.254'}]}");
	expect_told("name: alpha-vm1", "?",
		    "the subnet 1000000a-000a-4000-8000-00000000000a is behind router beta-router "
		    "as well as alpha-router, which is its gateway; its VMs are mapped for "
		    "alpha-router alone");
}

Test(neutron, private_networks_with_shared_addresses)
{
	change(NEUTRON_PORTS, ALPHA_VM,
	       "{'fixed_ips': [{'subnet_id': '1000000a-000a-4000-8000-00000000000a', "
	       "'ip_address': '100.96.1.5'}]}");
	expect_told("name: alpha-evil", "alpha-vm1", "has 100.96.1.5, which is in a shared subnet");
}

static void both_families(void)
{
	copy(NEUTRON_SUBNETS, SHARED_SUB, "aaaaaaa1",
	     "{'cidr': 'fd96::/64', 'gateway_ip': null, 'allocation_pools': "
	     "[{'start': 'fd96::ffff:1', 'end': 'fd96::ffff:ffff'}]}");
	copy(NEUTRON_SUBNETS, "1000000a", "aaaaaaa2",
	     "{'cidr': 'fd00:a::/64', 'gateway_ip': 'fd00:a::1', 'allocation_pools': []}");
	change(NEUTRON_ROUTERS, ALPHA,
	       "{'tags': ['tenantnat', 'tenantnat:pool=100.96.1.0/24', "
	       "'tenantnat:pool=fd96::1:0/112']}");
	change(NEUTRON_PORTS, ALPHA_PORT,
	       "{'fixed_ips': [{'subnet_id': '" WHOLE(
		       "aaaaaaa1") "', 'ip_address': 'fd96::ffff:1'}, "
				   "{'subnet_id': '1000000c-000c-4000-8000-00000000000c', "
				   "'ip_address': "
				   "'100.96.255.10'}]}");
	copy(NEUTRON_PORTS, ALPHA_IN, "aaaaaaa3",
	     "{'fixed_ips': [{'subnet_id': '" WHOLE("aaaaaaa2") "', 'ip_address': 'fd00:a::1'}]}");
	change(NEUTRON_PORTS, ALPHA_VM,
	       "{'fixed_ips': [{'subnet_id': '" WHOLE(
		       "aaaaaaa2") "', 'ip_address': 'fd00:a::10'}, "
				   "{'subnet_id': '1000000a-000a-4000-8000-00000000000a', "
				   "'ip_address': "
				   "'10.0.0.10'}]}");
}

Test(neutron, both_families_are_one_name)
{
	both_families();
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, "subnets: [100.96.0.0/16, \"fd96::/64\"]");
	expect_in(m.yaml, "inside: [qr-10000026-00, qr-aaaaaaa3-00]\n"
			  "    address: [100.96.255.10, \"fd96::ffff:1\"]\n"
			  "  pool: [100.96.1.0/24, \"fd96::1:0/112\"]\n");
	expect_in(m.yaml, "  - {name: alpha-vm1, fixed: 10.0.0.10}\n"
			  "  - {name: alpha-evil, fixed: 10.0.0.20}\n"
			  "  - {name: alpha-vm1, fixed: \"fd00:a::10\"}\n");
	/* the group has a rule for IPv4 alone, and a name would be both */
	expect_in(m.yaml, "to: [10.0.0.10, 10.0.0.20]}");
	cr_expect_str_eq(m.findings, "");
}

/* A tenant without IPv6 on the shared network loses nothing but that. */
Test(neutron, a_family_that_the_shared_network_does_not_have)
{
	both_families();
	drop(NEUTRON_SUBNETS, "aaaaaaa1");
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat', 'tenantnat:pool=100.96.1.0/24']}");
	change(NEUTRON_PORTS, ALPHA_PORT,
	       "{'fixed_ips': [{'subnet_id': '1000000c-000c-4000-8000-00000000000c', "
	       "'ip_address': '100.96.255.10'}]}");
	_cleanup_made_ struct made m = make();

	expect_not_in(m.yaml, "fd00");
	expect_in(m.yaml, "to: [alpha-vm1, alpha-evil]}");
	cr_expect_str_eq(m.findings, "");
}

/* ------------------------------------------------------------ pools */

Test(neutron, without_a_tag_what_is_left)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat']}");
	expect_yaml("  pool: [100.96.0.0/23, 100.96.4.0/22, 100.96.8.0/21, 100.96.16.0/20, ");
	expect_yaml("100.96.252.0/23, 100.96.254.0/24, 100.96.255.0/32]\n  mappings:\n"
		    "  - {name: alpha-vm1");
}

Test(neutron, pools_that_cannot_be)
{
	static const struct {
		const char *pool, *why;
	} cases[] = {
		{ "100.96.1.0/33", "is no prefix" },
		{ "100.96.1.1/24", "is no prefix" },
		{ "", "is no prefix" },
		{ "10.0.0.0/24", "is in no subnet of the shared network" },
		{ "100.96.0.0/15", "is in no subnet of the shared network" },
		{ "fd00::/64", "is in no subnet of the shared network" },
		{ "100.96.255.0/24", "has addresses of 100.96.255.1 to 100.96.255.254 in it" },
		{ "100.96.0.0/16", "has addresses of 100.96.255.1 to 100.96.255.254 in it" },
		{ "100.96.0.0/32", "has no address that a VM can have" },
	};
	char fields[256], finding[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(fields, sizeof(fields), "{'tags': ['tenantnat', 'tenantnat:pool=%s']}",
			 cases[i].pool);
		snprintf(finding, sizeof(finding), "is left out: the pool `%s` of its tags %s",
			 cases[i].pool, cases[i].why);
		change(NEUTRON_ROUTERS, ALPHA, fields);
		expect_told("from: [beta-router], to: [beta-vm1, beta-vm2]", "alpha", finding);
	}
}

Test(neutron, pools_of_one_router_that_overlap)
{
	change(NEUTRON_ROUTERS, ALPHA,
	       "{'tags': ['tenantnat', 'tenantnat:pool=100.96.1.0/24', "
	       "'tenantnat:pool=100.96.1.128/25']}");
	expect_told("beta", "alpha", "`100.96.1.128/25` of its tags overlaps another of them");
}

/* Who tags a router must not take anything from others by that. */
Test(neutron, a_pool_of_somebody_else)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat', 'tenantnat:pool=100.96.2.0/25']}");
	expect_told("pool: [100.96.2.0/24]\n  mappings:\n  - {name: beta-vm1", "?",
		    "the pool 100.96.2.0/24 of router beta-router overlaps 100.96.2.0/25 of router "
		    "alpha-router");
}

Test(neutron, ports_within_a_pool)
{
	copy(NEUTRON_PORTS, ALPHA_PORT, "aaaaaaaa",
	     "{'device_id': '', 'device_owner': 'network:dhcp', 'fixed_ips': [{'subnet_id': "
	     "'1000000c-000c-4000-8000-00000000000c', 'ip_address': '100.96.1.7'}]}");
	expect_told("alpha", "?",
		    "the port aaaaaaaa-0000-4000-8000-000000000000 on the shared "
		    "network has 100.96.1.7, which is in the pool 100.96.1.0/24");
}

/* The youngest wait: a tenant with too many VMs must not keep all others from being applied. */
Test(neutron, a_pool_without_room)
{
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat', 'tenantnat:pool=100.96.1.4/32']}");
	change(NEUTRON_PORTS, ALPHA_VM, "{'created_at': '2026-03-01T00:00:00Z'}");
	expect_told("  - {name: alpha-evil, fixed: 10.0.0.20}\n  accept:\n"
		    "  - {from: [alpha-router, beta-router, gamma-router], to: [alpha-evil]}\n",
		    "alpha-vm1", "its pool has no room for 1 IPv4 address of VMs");
}

/* All that have no pool of their own have the rest together. */
Test(neutron, one_pool_without_room_for_several)
{
	change(NEUTRON_SUBNETS, SHARED_SUB,
	       "{'allocation_pools': [{'start': '100.96.0.4', 'end': '100.96.255.254'}]}");
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat']}");
	change(NEUTRON_ROUTERS, BETA, "{'tags': ['tenantnat']}");
	change(NEUTRON_ROUTERS, "10000011", "{'tags': []}");
	expect_told("  - {name: beta-vm1, fixed: 10.0.0.10}\n  accept:\n", "beta-vm2",
		    "router beta-router: its pool has no room for 1 IPv4 address of VMs");
}

Test(neutron, neutron_gives_out_everything)
{
	change(NEUTRON_SUBNETS, SHARED_SUB,
	       "{'allocation_pools': [{'start': '100.96.0.1', 'end': '100.96.255.254'}]}");
	change(NEUTRON_ROUTERS, ALPHA, "{'tags': ['tenantnat']}");
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, "tenants: []");
	expect_in(m.findings, "router alpha-router (10000012-0012-4000-8000-000000000012) is left "
			      "out: Neutron gives out all addresses of the shared network");
}

/* ------------------------------------------------------------ consent */

Test(neutron, without_a_group_nobody)
{
	change(NEUTRON_GROUPS, BETA_GROUP, "{'tags': []}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
}

Test(neutron, only_ports_that_carry_the_group)
{
	change(NEUTRON_PORTS, BETA_VM2, "{'security_groups': []}");
	expect_yaml("to: [beta-vm1], ports: [tcp/8000-9099, icmp]}");
}

Test(neutron, a_group_that_is_shared_with_nobody)
{
	json_array_clear(json_object_get(answers[NEUTRON_POLICIES], "rbac_policies"));
	expect_yaml("- {from: [beta-router], to: [beta-vm1, beta-vm2], ports:");
}

Test(neutron, a_group_that_is_shared_with_all)
{
	change(NEUTRON_POLICIES, "1000005b", "{'target_tenant': '*'}");
	expect_yaml("- {from: [\"*\"], to: [beta-vm1, beta-vm2], ports:");
}

Test(neutron, other_actions_share_nothing)
{
	change(NEUTRON_POLICIES, "1000005b", "{'action': 'access_as_external'}");
	expect_yaml("- {from: [beta-router], to: [beta-vm1, beta-vm2], ports:");
}

/* All of a project's routers, also of the one that has the group. */
Test(neutron, a_project_with_two_routers)
{
	change(NEUTRON_ROUTERS, "10000011", "{'project_id': '" ALPHA_PROJECT "'}");
	expect_yaml(
		"- {from: [alpha-router, beta-router, gamma-router], to: [beta-vm1, beta-vm2], ");
}

/* Who shares a group lets others see it, and does not decide for their ports. */
Test(neutron, a_group_of_another_project)
{
	change(NEUTRON_GROUPS, BETA_GROUP, "{'project_id': '" ALPHA_PROJECT "'}");
	_cleanup_made_ struct made m = make();

	expect_in(m.yaml, "  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
	expect_in(m.findings, "the port 10000020-0020-4000-8000-000000000020 carries the security "
			      "group reach-beta-web (10000023-0023-4000-8000-000000000023) of "
			      "another project");
}

#define RULE                                                                                \
	"{'id': '" WHOLE("bbbbbbbb") "', 'direction': 'ingress', 'remote_group_id': null, " \
				     "'remote_address_group_id': null, "

static void rules(const char *text)
{
	char fields[1024];

	snprintf(fields, sizeof(fields), "{'security_group_rules': [%s]}", text);
	change(NEUTRON_GROUPS, BETA_GROUP, fields);
}

/* One rule of IPv4 from everybody, and the ports that it becomes. */
static void expect_ports(const char *protocol, const char *first, const char *last,
			 const char *ports)
{
	char rule[512], text[128];

	snprintf(rule, sizeof(rule),
		 RULE "'ethertype': 'IPv4', 'protocol': %s, 'port_range_min': %s, "
		      "'port_range_max': %s, 'remote_ip_prefix': null}",
		 protocol, first, last);
	snprintf(text, sizeof(text), "to: [beta-vm1, beta-vm2]%s}\n", ports);
	rules(rule);
	expect_yaml(text);
}

Test(neutron, protocols_and_ports)
{
	expect_ports("null", "null", "null", "");
	expect_ports("'any'", "null", "null", "");
	expect_ports("'tcp'", "null", "null", ", ports: [tcp]");
	expect_ports("'tcp'", "1", "65535", ", ports: [tcp]");
	expect_ports("'TCP'", "22", "22", ", ports: [tcp/22]");
	expect_ports("'6'", "80", "443", ", ports: [tcp/80-443]");
	expect_ports("'17'", "53", "53", ", ports: [udp/53]");
	expect_ports("'sctp'", "7", "9", ", ports: [sctp/7-9]");
	expect_ports("'udplite'", "null", "null", ", ports: [udplite]");
	expect_ports("'icmp'", "8", "0", ", ports: [icmp/echo-request]");
	expect_ports("'1'", "13", "null", ", ports: [icmp/13]");
	expect_ports("'47'", "null", "null", ", ports: [gre]");
	expect_ports("'esp'", "null", "null", ", ports: [esp]");
	expect_ports("'vrrp'", "null", "null", ", ports: [protocol/112]");
	expect_ports("'89'", "null", "null", ", ports: [protocol/89]");
}

Test(neutron, a_protocol_that_nobody_knows)
{
	rules(RULE "'ethertype': 'IPv4', 'protocol': 'quic', 'port_range_min': null, "
		   "'port_range_max': null, 'remote_ip_prefix': null}");
	expect_told("name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n", "?",
		    "there is no service for its protocol `quic`");
}

#define TCP "'ethertype': 'IPv4', 'protocol': 'tcp', 'port_range_min': 22, 'port_range_max': 22, "

Test(neutron, senders_by_address)
{
	/* wider than the shared network, or a part with all of alpha's VMs, or somewhere else */
	rules(RULE TCP "'remote_ip_prefix': '100.64.0.0/10'}");
	expect_yaml(
		"from: [alpha-router, beta-router], to: [beta-vm1, beta-vm2], ports: [tcp/22]}");
	rules(RULE TCP "'remote_ip_prefix': '100.96.0.0/23'}");
	expect_yaml("from: [alpha-router], to: [beta-vm1, beta-vm2], ports: [tcp/22]}");
	rules(RULE TCP "'remote_ip_prefix': '100.96.1.0/25'}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
	rules(RULE TCP "'remote_ip_prefix': '192.0.2.0/24'}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
}

/* What comes from the shared network has addresses that are no member's. */
Test(neutron, senders_by_group)
{
	rules("{'id': '" WHOLE("bbbbbbbb") "', 'direction': 'ingress', " TCP
					   "'remote_ip_prefix': null, 'remote_group_id': '" WHOLE(
						   "cccccccc") "'}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
	rules("{'id': '" WHOLE(
		"bbbbbbbb") "', 'direction': 'ingress', " TCP
			    "'remote_ip_prefix': null, 'remote_address_group_id': '" WHOLE(
				    "cccccccc") "'}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
}

Test(neutron, egress_rules_open_nothing)
{
	rules("{'id': '" WHOLE("bbbbbbbb") "', 'direction': 'egress', " TCP
					   "'remote_ip_prefix': null}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
}

#define ALPHA_RULES(v4, v6)                                                                   \
	"{'security_group_rules': [" RULE "'ethertype': 'IPv4', 'protocol': '" v4             \
	"', 'port_range_min': null, 'port_range_max': null, 'remote_ip_prefix': null}, " RULE \
	"'ethertype': 'IPv6', 'protocol': '" v6                                               \
	"', 'port_range_min': null, 'port_range_max': null, 'remote_ip_prefix': null}]}"

Test(neutron, the_same_for_both_families_is_one_rule)
{
	both_families();
	change(NEUTRON_GROUPS, ALPHA_GROUP, ALPHA_RULES("tcp", "tcp"));
	expect_yaml("  accept:\n  - {from: [alpha-router, beta-router, gamma-router], to: "
		    "[alpha-vm1, alpha-evil], ports: [tcp]}\n- name: beta-router");
	change(NEUTRON_GROUPS, ALPHA_GROUP, ALPHA_RULES("icmp", "ipv6-icmp"));
	expect_yaml("[alpha-vm1, alpha-evil], ports: [icmp]}\n- name: beta-router");
	change(NEUTRON_GROUPS, ALPHA_GROUP, ALPHA_RULES("tcp", "udp"));
	expect_yaml("to: [10.0.0.10, 10.0.0.20], ports: [tcp]}\n"
		    "  - {from: [alpha-router, beta-router, gamma-router], to: [\"fd00:a::10\"], "
		    "ports: [udp]}\n- name: beta-router");
}

/* A rule without `to` would be for all of the tenant's VMs. */
Test(neutron, a_family_that_no_member_has)
{
	both_families();
	change(NEUTRON_GROUPS, BETA_GROUP,
	       "{'security_group_rules': [" RULE "'ethertype': 'IPv6', 'protocol': null, "
	       "'port_range_min': null, 'port_range_max': null, 'remote_ip_prefix': null}]}");
	expect_yaml("  - {name: beta-vm2, fixed: 10.0.0.20}\n  accept: []\n");
}
