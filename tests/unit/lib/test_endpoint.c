/* SPDX-License-Identifier: GPL-2.0-only */
/* An address and a port as text. */
#include "../fixture.h"
#include "lib/endpoint.h"

static const char *parsed(const char *text)
{
	static char buf[ENDPOINT_TEXT];
	struct sockaddr_storage e;

	return endpoint_parse(text, 9117, &e) ? endpoint_text(&e, buf) : "none";
}

Test(endpoint, there_and_back)
{
	cr_expect_str_eq(parsed("192.0.2.1"), "192.0.2.1:9117");
	cr_expect_str_eq(parsed("192.0.2.1:1"), "192.0.2.1:1");
	cr_expect_str_eq(parsed("127.0.1.2:65535"), "127.0.1.2:65535");
	cr_expect_str_eq(parsed("2001:db8::1"), "[2001:db8::1]:9117");
	cr_expect_str_eq(parsed("[2001:db8::1]"), "[2001:db8::1]:9117");
	cr_expect_str_eq(parsed("[2001:db8::1]:80"), "[2001:db8::1]:80");
	cr_expect_str_eq(parsed("::1"), "[::1]:9117");
}

Test(endpoint, what_is_none)
{
	static const char *const wrong[] = {
		"",
		":",
		":1",
		"[",
		"[]",
		"[]:1",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:x",
		"192.0.2.1:1x",
		"192.0.2.1: 1",
		"192.0.2",
		"host:1",
		"0.0.0.0",
		"224.0.0.1",
		"[::]:1",
		"fe80::1",
		"ff02::1",
		"[2001:db8::1]x",
		"[2001:db8::1]:",
		"[2001:db8::1]:123456",
		"[192.0.2.1]:1",
		"::ffff:192.0.2.1",
		"1111111111111111111111111111111111111111111111111111111111111111:1"
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_str_eq(parsed(wrong[i]), "none", "%s", wrong[i]);
}

Test(endpoint, loopback)
{
	struct sockaddr_storage e;

	cr_expect(endpoint_parse("127.1.2.3", 1, &e) && endpoint_is_loopback(&e));
	cr_expect(endpoint_parse("::1", 1, &e) && endpoint_is_loopback(&e));
	cr_expect(endpoint_parse("128.0.0.1", 1, &e) && !endpoint_is_loopback(&e));
	cr_expect(endpoint_parse("2001:db8::1", 1, &e) && !endpoint_is_loopback(&e));
}
