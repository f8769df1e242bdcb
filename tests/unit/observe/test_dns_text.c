/* SPDX-License-Identifier: GPL-2.0-only */
/* Names as DNS servers read them. */
#include <criterion/criterion.h>

#include "../fixture.h"
#include "observe/dns_text.h"

static struct model m;
static struct dns_names names;

static void setup(void)
{
	m = model_of("net 100.64.0.0/16 fd64::/64; zone shared.internal;"
		     "tenant blue; map 10.0.0.5 Web lease=100.64.2.5; map fd00::5 Web "
		     "lease=fd64::2:5; map 10.0.0.7 my_db lease=100.64.2.7;"
		     "tenant red; map fd00::5 db lease=fd64::1:5; map 10.0.0.9 lease=100.64.1.9;");
	dns_names_make(&m, &names);
}

static void teardown(void)
{
	dns_names_free(&names);
	model_free(&m);
}

TestSuite(dns_text, .init = setup, .fini = teardown);

Test(dns_text, hosts_and_dnsmasq)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	dns_write_hosts("shared.internal", &names, f);
	dns_write_dnsmasq("shared.internal", &names, f);
	fclose(f);
	expect_text(text,
		    "100.64.2.5 blue-web.shared.internal\n"
		    "fd64::2:5 blue-web.shared.internal\n"
		    "fd64::1:5 red-db.shared.internal\n"
		    "host-record=blue-web.shared.internal,100.64.2.5,fd64::2:5\n"
		    "host-record=red-db.shared.internal,fd64::1:5\n",
		    "hosts");
}

Test(dns_text, zone_files)
{
	struct prefix v4 = prefix_of("100.64.2.0/24"), v6 = prefix_of("fd64::/64");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	dns_write_zone("shared.internal", &names, NULL, f);
	dns_write_zone("shared.internal", &names, &v4, f);
	dns_write_zone("shared.internal", &names, &v6, f);
	fclose(f);
	expect_text(
		text,
		"blue-web.shared.internal. 60 IN A 100.64.2.5\n"
		"blue-web.shared.internal. 60 IN AAAA fd64::2:5\n"
		"red-db.shared.internal. 60 IN AAAA fd64::1:5\n"
		"5.2.64.100.in-addr.arpa. 60 IN PTR blue-web.shared.internal.\n"
		"5.0.0.0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.d.f.ip6.arpa. 60 IN "
		"PTR blue-web.shared.internal.\n"
		"5.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.6.d.f.ip6.arpa. 60 IN "
		"PTR red-db.shared.internal.\n",
		"zone");
}

Test(dns_text, json)
{
	json_t *json = dns_json("shared.internal", &names);

	expect_text(json_dumps(json, JSON_SORT_KEYS),
		    "{\"left_out\": [{\"mapping\": \"my_db\", \"tenant\": \"blue\", \"why\": \"it "
		    "has a `_`\"}], \"names\": [{\"mapping\": \"Web\", \"name\": "
		    "\"blue-web.shared.internal\", \"shared\": [\"100.64.2.5\", \"fd64::2:5\"], "
		    "\"tenant\": \"blue\"}, {\"mapping\": \"db\", \"name\": "
		    "\"red-db.shared.internal\", \"shared\": [\"fd64::1:5\"], \"tenant\": "
		    "\"red\"}], \"zone\": \"shared.internal\"}",
		    "json");
	json_decref(json);
}
