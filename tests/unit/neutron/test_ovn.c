/* SPDX-License-Identifier: GPL-2.0-only */
/* Definitions of routers that have sidecars. */
#include "../fixture.h"
#include "neutron_fixture.h"

#define ALPHA	   "10000012"
#define ALPHA_PORT "10000024"
#define ALPHA_IN   "10000026"
#define ALPHA_SUB  "1000000a"
#define TRANSIT	   "30000011"

static const char tags[] = "{'tags': ['tenantnat', 'tenantnat:pool=100.96.1.0/24', "
			   "'tenantnat:host=node1']}";

/* alpha's router as `neutron --ovn` has left it; of the others there are no sidecars. */
static void begin(void)
{
	answers_read();
	with_ovn = true;
	change(NEUTRON_ROUTERS, ALPHA, tags);
	copy(NEUTRON_SUBNETS, ALPHA_SUB, "30000012",
	     "{'network_id': '" WHOLE(
		     TRANSIT) "', 'cidr': '192.0.2.0/30', 'allocation_pools': [], 'gateway_ip': "
			      "'192.0.2.1'}");
	copy(NEUTRON_PORTS, ALPHA_PORT, "30000001", "{'device_owner': 'tenantnat:sidecar'}");
	copy(NEUTRON_PORTS, ALPHA_PORT, "30000002",
	     "{'device_owner': 'tenantnat:sidecar', 'network_id': '" WHOLE(
		     TRANSIT) "', "
			      "'fixed_ips': [{'subnet_id': '" WHOLE(
				      "30000012") "', 'ip_address': '192.0.2.2'}]}");
	copy(NEUTRON_PORTS, ALPHA_IN, "30000003",
	     "{'network_id': '" WHOLE(TRANSIT) "', 'fixed_ips': [{'subnet_id': '" WHOLE(
		     "30000012") "', 'ip_address': '192.0.2.1'}]}");
	drop(NEUTRON_PORTS, ALPHA_PORT);
}

TestSuite(neutron_ovn, .init = begin, .fini = answers_free);

static const char alpha[] = "- name: alpha-router\n"
			    "  router:\n"
			    "    netns: tnat-10000012-0012-4000-8000-000000000012\n"
			    "    shared: ts-30000001-00\n"
			    "    inside: [ti-30000002-00]\n"
			    "    address: 100.96.255.10\n"
			    "    inside-routes:\n"
			    "    - {to: 10.0.0.0/24, via: 192.0.2.1}\n"
			    "  pool: [100.96.1.0/24]\n"
			    "  mappings:\n"
			    "  - {name: alpha-vm1, fixed: 10.0.0.10}\n"
			    "  - {name: alpha-evil, fixed: 10.0.0.20}\n";
static const char elsewhere[] = "- name: alpha-router\n"
				"  pool: [100.96.1.0/24]\n"
				"  mappings:\n"
				"  - {name: alpha-vm1, fixed: 10.0.0.10}\n";

/* The legs are no VMs, and what comes from VMs has the router's MAC address. */
Test(neutron_ovn, a_sidecar_here)
{
	_cleanup_made_ struct made m = make();

	expect_in(m.whole, alpha);
	expect_not_in(m.whole, "mac:");
	expect_not_in(m.whole, "qrouter-");
	expect_in(m.findings, "router beta-router (10000013-0013-4000-8000-000000000013) is not "
			      "joined, on no host: no tag says which host has its sidecar");
	expect_not_in(m.findings, "alpha-router");
}

/* What an L3 agent would make of it does not count. */
Test(neutron_ovn, kinds_of_routers)
{
	_cleanup_made_ struct made m = { 0 };

	change(NEUTRON_ROUTERS, ALPHA, "{'distributed': true, 'ha': true}");
	m = make();
	expect_in(m.whole, alpha);
}

Test(neutron_ovn, a_sidecar_elsewhere)
{
	_cleanup_made_ struct made there = make_for("node2"), ends = { 0 };

	expect_in(there.whole, elsewhere);
	expect_not_in(there.findings, "alpha-router");
	ovn_ends = true;
	ends = make();
	expect_in(ends.whole, elsewhere);
}

Test(neutron_ovn, a_disabled_router)
{
	_cleanup_made_ struct made m = { 0 };

	change(NEUTRON_ROUTERS, ALPHA, "{'admin_state_up': false}");
	m = make();
	expect_in(m.whole, elsewhere);
	expect_in(m.findings, "router alpha-router (10000012-0012-4000-8000-000000000012) is "
			      "disabled");
}

/* A tenant says of a port of his that it is a leg of this router. */
Test(neutron_ovn, a_leg_of_a_tenant)
{
	static const char *const ids[] = { "00000001", "f0000001" };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		_cleanup_made_ struct made m = { 0 };

		copy(NEUTRON_PORTS, "30000002", ids[i],
		     "{'project_id': 'evil', 'network_id': '10000009-0009-4000-8000-000000000009', "
		     "'fixed_ips': []}");
		m = make();
		expect_in(m.whole, alpha);
	}
}

/* Whatever of it is missing. */
Test(neutron_ovn, a_sidecar_that_is_not_made)
{
	static const char *const parts[] = { "30000001", "30000002", "30000003" };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		_cleanup_made_ struct made m = { 0 };

		answers_free();
		begin();
		drop(NEUTRON_PORTS, parts[i]);
		m = make();
		expect_in(m.whole, elsewhere);
		expect_in(m.findings, "router alpha-router (10000012-0012-4000-8000-000000000012) "
				      "is not joined: its sidecar is not made yet");
	}
}

Test(neutron_ovn, subnets_that_cannot_be_behind_it)
{
	_cleanup_made_ struct made m = { 0 };

	change(NEUTRON_SUBNETS, ALPHA_SUB, "{'cidr': '100.0.0.0/8', 'allocation_pools': []}");
	m = make();
	expect_not_in(m.whole, "inside-routes");
	expect_in(m.findings, "router alpha-router: its subnet 100.0.0.0/8 cannot be behind a "
			      "sidecar");
}
