/* SPDX-License-Identifier: GPL-2.0-only */
/* A flow as a line of JSON, and back. */
#include <stdlib.h>

#include "../fixture.h"
#include "handover/named_flow.h"

static char *line_of(const struct named_flow *f)
{
	struct error err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	cr_assert_eq(named_flow_write(f, to, &err), 0, "%s", err.text);
	fclose(to);
	cr_assert_leq(size, NAMED_FLOW_LINE);
	return text;
}

static struct tn_addr any_address(bool v6)
{
	uint8_t bytes[16] = { v6 ? 0xfd : 10 };

	for (size_t i = 1; i < sizeof(bytes); i++)
		bytes[i] = rand();
	return addr_from_bytes(bytes, v6 ? 16 : 4);
}

static void any_name(char out[TENANT_NAME_MAX + 1])
{
	static const char letters[] = "abzAZ09._-";
	size_t n = 1 + rand() % TENANT_NAME_MAX;

	memset(out, 0, TENANT_NAME_MAX + 1);
	out[0] = 'a';
	for (size_t i = 1; i < n; i++)
		out[i] = letters[rand() % (sizeof(letters) - 1)];
}

static struct named_flow any_flow(void)
{
	bool v6 = rand() % 2;
	struct named_flow f = { .fixed = any_address(v6),
				.shared = any_address(v6),
				.peer = any_address(v6),
				.port = rand(),
				.service = rand(),
				.proto = rand(),
				.closing = rand() % 2,
				.left = 1 + rand() % TN_FLOW_TCP };

	any_name(f.tenant);
	if (rand() % 2)
		any_name(f.peer_tenant);
	return f;
}

Test(named_flow, there_and_back)
{
	srand(1);
	for (int i = 0; i < 5000; i++) {
		struct named_flow f = any_flow(), back;
		struct error err = { 0 };
		char *line = line_of(&f), *again;

		cr_assert_eq(named_flow_parse(line, &back, &err), 0, "%s: %s", line, err.text);
		again = line_of(&back);
		cr_assert_str_eq(again, line);
		free(again);
		free(line);
	}
}

Test(named_flow, as_documented)
{
	struct named_flow f = { .tenant = "red",
				.peer_tenant = "blue",
				.proto = 6,
				.port = 40000,
				.service = 443,
				.left = 7440 };
	char *line;

	addr_parse("10.0.0.5", &f.fixed);
	addr_parse("100.64.1.5", &f.shared);
	addr_parse("100.64.2.5", &f.peer);
	line = line_of(&f);
	cr_assert_str_eq(line,
			 "{\"tenant\":\"red\",\"fixed\":\"10.0.0.5\",\"shared\":\"100.64.1.5\","
			 "\"protocol\":6,\"port\":40000,\"peer\":\"100.64.2.5\","
			 "\"peer_tenant\":\"blue\",\"service\":443,\"closing\":false,"
			 "\"left\":7440}\n");
	free(line);
}
