/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "observe/prometheus.h"

/* Two tenants, one with two mappings and a router, the other's router is elsewhere. */
static struct fixture {
	struct mapping mappings[3];
	struct router router;
	struct tenant tenants[2];
	struct model model;
	struct router_row row;
	struct kernel_state kernel;
	struct mapping_stats counted[3];
	struct rule said[4];
	struct service service;
	char *from[2];
	struct rule_stats rules[3];
	struct router_stats drops;
	struct room room;
	struct stats stats;
	struct agent_stats agent;
	struct imported imported;
	char *findings[2];
	struct streamed_router handed[2];
	struct streamed streamed;
	struct page page;
} f;

static void setup(void)
{
	memset(&f, 0, sizeof(f));
	addr_parse("192.168.0.5", &f.mappings[0].fixed);
	addr_parse("100.64.0.5", &f.mappings[0].shared);
	f.tenants[0] = (struct tenant){ .name = (char *)"red", .router = &f.router };
	f.tenants[0].mappings.n = 2;
	f.tenants[1] = (struct tenant){ .name = (char *)"far" };
	f.model.tenants.v = f.tenants;
	f.model.tenants.n = 2;
	strcpy(f.row.tenant, "red");
	f.kernel.routers.v = &f.row;
	f.kernel.routers.n = 1;
	f.counted[0] = (struct mapping_stats){ &f.tenants[0], &f.mappings[0], { 1, 20, 3, 40 } };
	f.counted[1] = (struct mapping_stats){ &f.tenants[0], &f.mappings[1], { 5, 60, 7, 80 } };
	f.counted[2] = (struct mapping_stats){ &f.tenants[1], &f.mappings[2], { 9, 9, 9, 9 } };
	f.stats.mappings.v = f.counted;
	f.stats.mappings.n = 3;
	f.from[0] = (char *)"far";
	f.from[1] = (char *)"far/web";
	f.said[0].any = true;
	f.said[0].services = (__typeof__(f.said[0].services)){ &f.service, 1, 1 };
	f.service = (struct service){ TN_CLASS_TCP, 80, 80 };
	f.said[1].from = (__typeof__(f.said[1].from)){ f.from, 2, 2 };
	f.tenants[0].accept.v = f.said;
	f.tenants[0].accept.n = 4;
	f.said[0].until = 1700000900;
	f.said[2].until = 1700000500;
	f.said[3].until = 1700000003;
	f.rules[0] = (struct rule_stats){ &f.tenants[0], &f.said[0], 11 };
	f.rules[1] = (struct rule_stats){ &f.tenants[0], &f.said[1], 22 };
	f.stats.rules.v = f.rules;
	f.rules[2] = (struct rule_stats){ &f.tenants[0], &f.said[3], 5 };
	f.stats.rules.n = 3;
	f.drops = (struct router_stats){ .row = &f.row, .flows = 4 };
	f.row.flows = 65536;
	f.drops.drops.packets[TN_DROP_SPOOFED_SOURCE] = 6;
	f.drops.drops.flows_opened = 8;
	f.drops.drops.events_lost = 2;
	f.stats.routers.v = &f.drops;
	f.stats.routers.n = 1;
	f.room = (struct room){ "by_shared", 3, 1024 };
	f.stats.rooms.v = &f.room;
	f.stats.rooms.n = 1;
	f.agent = (struct agent_stats){ 12,   2,  1,	      1700000000.25, true, true,
					true, 42, 1700000001, true,	     3,	   1 };
	f.imported = (struct imported){ .read_at = 1700000002, .failures = { 3, 2, 1 } };
	f.imported.findings.v = f.findings;
	f.imported.findings.n = 2;
	f.page = (struct page){ "1.2.3", &f.model,     &f.kernel,   &f.stats,	 &f.agent, false,
				0.5,	 1700000003.5, &f.imported, &f.streamed, 70000 };
	f.handed[0] = (struct streamed_router){ .tenant = "red",
						.standby = true,
						.from = "hv1",
						.heard = 5000,
						.received = 13,
						.unsent = 3 };
	f.handed[1] = (struct streamed_router){ .tenant = "far", .sent = 15 };
	f.streamed = (struct streamed){ .at = 67500, .refused = 14, .list = { f.handed, 2, 2 } };
}

TestSuite(prometheus, .init = setup);

/* The caller's to free. */
static __attribute__((noinline)) char *page(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	prometheus_write(&f.page, out);
	fclose(out);
	return text;
}

static void has(const char *text, const char *line)
{
	char *whole;

	cr_assert_gt(asprintf(&whole, "\n%s\n", line), 0);
	cr_assert(strstr(text, whole), "no line %s in\n%s", line, text);
	free(whole);
}

Test(prometheus, every_value)
{
	static const char *const lines[] = {
		"tenantnat_build_info{version=\"1.2.3\"} 1",
		"tenantnat_router_state{tenant=\"red\",state=\"attached\"} 1",
		"tenantnat_router_state{tenant=\"red\",state=\"broken\"} 0",
		"tenantnat_router_state{tenant=\"red\",state=\"detached\"} 0",
		"tenantnat_mappings{tenant=\"red\"} 2",
		"tenantnat_mappings{tenant=\"far\"} 0",
		"tenantnat_packets_total{tenant=\"red\",direction=\"in\"} 6",
		"tenantnat_packets_total{tenant=\"red\",direction=\"out\"} 10",
		"tenantnat_bytes_total{tenant=\"red\",direction=\"in\"} 80",
		"tenantnat_bytes_total{tenant=\"red\",direction=\"out\"} 120",
		"tenantnat_dropped_packets_total{tenant=\"red\",reason=\"spoofed-source\"} 6",
		"tenantnat_dropped_packets_total{tenant=\"red\",reason=\"malformed\"} 0",
		"tenantnat_accepted_packets_total{tenant=\"red\"} 38",
		"tenantnat_accepted_packets_total{tenant=\"far\"} 0",
		"tenantnat_rule_packets_total{tenant=\"red\",rule=\"1\",from=\"*\",to=\"\","
		"ports=\"tcp/80\"} 11",
		"tenantnat_rule_packets_total{tenant=\"red\",rule=\"2\",from=\"far, "
		"far/web\",to=\"\","
		"ports=\"\"} 22",
		"tenantnat_rule_ends_timestamp_seconds{tenant=\"red\"} 1700000500",
		"tenantnat_rules_ended{tenant=\"red\"} 1",
		"tenantnat_flows{tenant=\"red\"} 4",
		"tenantnat_flows_opened_total{tenant=\"red\"} 8",
		"tenantnat_map_entries{map=\"by_shared\"} 3",
		"tenantnat_map_max_entries{map=\"by_shared\"} 1024",
		"tenantnat_events_lost_total{tenant=\"red\"} 2",
		"tenantnat_read_duration_seconds 0.500000",
		"tenantnat_agent_looks_total 12",
		"tenantnat_agent_mends_total 2",
		"tenantnat_agent_failures_total 1",
		"tenantnat_agent_last_look_timestamp_seconds 1700000000.250",
	};
	_cleanup_free_ char *text = page();

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		has(text, lines[i]);
	cr_assert(!strstr(text, "tenantnat_mapping_"));
	cr_assert(!strstr(text, "tenantnat_packets_total{tenant=\"far\""));
}

/* To the byte, with everything that a page can have; reasons at zero, which are many, left out. */
Test(prometheus, whole_page)
{
	_cleanup_fclose_ FILE *file = fopen("tests/unit/observe/metrics.txt", "r");
	_cleanup_free_ char *text = NULL, *want = NULL;
	char *save = NULL, *line;
	size_t size = 0, seen = 0;

	cr_assert(file, "tests/unit/observe/metrics.txt: run in the top directory");
	f.stats.mappings.n = 2;
	f.page.mappings = true;
	text = page();
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t n = strlen(line);

		if (strstr(line, ",reason=") && strcmp(line + n - 2, " 0") == 0)
			continue;
		seen++;
		cr_assert_gt(getline(&want, &size, file), 0, "too much: %s", line);
		want[strcspn(want, "\n")] = '\0';
		cr_assert_str_eq(line, want, "line %zu", seen);
	}
	cr_assert_eq(getline(&want, &size, file), -1, "too little: %s", want);
}

/* HELP and TYPE once for each metric of the list. */
Test(prometheus, heads)
{
	static const char *const heads[] = {
#define X(id, name, type, labels, help) "# HELP " name " " help "\n# TYPE " name " " #type "\n",
		TN_METRICS(X)
#undef X
	};
	_cleanup_free_ char *text = NULL;

	f.page.mappings = true;
	text = page();
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		const char *first = strstr(text, heads[i]);

		cr_assert(first, "no %s in\n%s", heads[i], text);
		cr_assert(!strstr(first + 1, heads[i]), "%s twice", heads[i]);
	}
	has(text, "tenantnat_mapping_packets_total{tenant=\"red\",name=\"\",fixed=\"192.168.0.5\","
		  "shared=\"100.64.0.5\",direction=\"out\"} 3");
	has(text, "tenantnat_mapping_bytes_total{tenant=\"red\",name=\"\",fixed=\"192.168.0.5\","
		  "shared=\"100.64.0.5\",direction=\"in\"} 20");
}

Test(prometheus, states)
{
	_cleanup_free_ char *broken = NULL, *detached = NULL;

	f.row.broken = true;
	broken = page();
	has(broken, "tenantnat_router_state{tenant=\"red\",state=\"broken\"} 1");
	has(broken, "tenantnat_router_state{tenant=\"red\",state=\"attached\"} 0");
	f.kernel.routers.n = 0;
	detached = page();
	has(detached, "tenantnat_router_state{tenant=\"red\",state=\"detached\"} 1");
	cr_assert(!strstr(detached, "tenantnat_router_state{tenant=\"far\""));
}

Test(prometheus, labels_are_escaped)
{
	_cleanup_free_ char *text = NULL;

	f.page.version = "a\"b\\c\nd";
	text = page();
	has(text, "tenantnat_build_info{version=\"a\\\"b\\\\c\\nd\"} 1");
}

Test(prometheus, without_neutron)
{
	_cleanup_free_ char *text = NULL;

	f.page.imported = NULL;
	text = page();
	cr_assert(!strstr(text, "tenantnat_neutron_"));
	cr_assert(strstr(text, "tenantnat_cluster_"));
}

Test(prometheus, without_a_cluster)
{
	_cleanup_free_ char *text = NULL;

	f.agent.member = false;
	text = page();
	cr_assert(!strstr(text, "tenantnat_cluster_"));
	cr_assert(strstr(text, "tenantnat_agent_"));
}

Test(prometheus, without_an_agent)
{
	_cleanup_free_ char *text = NULL;

	f.page.agent = NULL;
	text = page();
	cr_assert(!strstr(text, "tenantnat_agent_"));
}

/* The list and the documentation have the same rows. */
Test(prometheus, documented)
{
	static const char *const rows[] = {
#define X(id, name, type, labels, help) "| `" name "` | " #type " | " labels " | " help " |\n",
		TN_METRICS(X)
#undef X
	};
	FILE *file = fopen("docs/metrics.md", "r");
	char line[512];
	size_t found = 0;

	cr_assert(file, "docs/metrics.md: run in the top directory");
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "| `", 3) != 0)
			continue;
		cr_assert_lt(found, ARRAY_SIZE(rows), "too many: %s", line);
		cr_assert_str_eq(line, rows[found]);
		found++;
	}
	fclose(file);
	cr_assert_eq(found, ARRAY_SIZE(rows));
}
