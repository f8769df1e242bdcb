/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "model/service.h"

/* What is written is read, and what is read is written the same. */
Test(service, there_and_back)
{
	static const struct {
		const char *text;
		size_t n;
		struct service parts[SERVICE_PARTS];
	} cases[] = {
		{ "tcp", 1, { { TN_CLASS_TCP, 0, 65535 } } },
		{ "tcp/5432", 1, { { TN_CLASS_TCP, 5432, 5432 } } },
		{ "udp/0", 1, { { TN_CLASS_UDP, 0, 0 } } },
		{ "udp/65535", 1, { { TN_CLASS_UDP, 65535, 65535 } } },
		{ "sctp/8000-8099", 1, { { TN_CLASS_SCTP, 8000, 8099 } } },
		{ "dccp", 1, { { TN_CLASS_DCCP, 0, 65535 } } },
		{ "udplite/7", 1, { { TN_CLASS_UDPLITE, 7, 7 } } },
		{ "icmp", 2, { { TN_CLASS_ICMP, 0, 65535 }, { TN_CLASS_ICMPV6, 0, 65535 } } },
		{ "icmp/echo-request",
		  2,
		  { { TN_CLASS_ICMP, 8, 8 }, { TN_CLASS_ICMPV6, 128, 128 } } },
		{ "icmp/timestamp-request", 1, { { TN_CLASS_ICMP, 13, 13 } } },
		{ "icmp/13", 2, { { TN_CLASS_ICMP, 13, 13 }, { TN_CLASS_ICMPV6, 13, 13 } } },
		{ "icmp/8", 2, { { TN_CLASS_ICMP, 8, 8 }, { TN_CLASS_ICMPV6, 8, 8 } } },
		{ "icmp/node-information-query", 1, { { TN_CLASS_ICMPV6, 139, 139 } } },
		{ "gre", 1, { { TN_CLASS_OTHER, 47, 47 } } },
		{ "protocol/89", 1, { { TN_CLASS_OTHER, 89, 89 } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct service got[SERVICE_PARTS];
		struct error err = { 0 };
		char text[SERVICE_TEXT];
		size_t n = service_parse(cases[i].text, got, &err);

		cr_assert_eq(n, cases[i].n, "%s: %zu parts, %s", cases[i].text, n, err.text);
		for (size_t k = 0; k < n; k++)
			cr_expect(service_same(&got[k], &cases[i].parts[k]), "%s: part %zu",
				  cases[i].text, k);
		cr_expect_eq(service_text(got, n, text), n, "%s: the parts", cases[i].text);
		cr_expect_str_eq(text, cases[i].text);
	}
}

/* What stands for several is told from its neighbours in a list. */
Test(service, in_a_list)
{
	static const char *const texts[] = { "icmp/timestamp-request", "icmp/13", "icmp", "tcp/1",
					     "icmp/echo-request",      "icmp/8",  "esp" };
	VEC(struct service) list = { 0 };
	struct error err = { 0 };
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct service parts[SERVICE_PARTS];
		size_t n = service_parse(texts[i], parts, &err);

		for (size_t k = 0; k < n; k++)
			*vec_push(&list) = parts[k];
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[SERVICE_TEXT];

		at += service_text(&list.v[at], list.n - at, text);
		cr_expect_str_eq(text, texts[i]);
	}
	cr_expect_eq(at, list.n);
	vec_free(&list);
}

Test(service, refused)
{
	static const char *const bad[] = {
		"",
		"TCP",
		"tcp/",
		"tcp/-",
		"tcp/1-",
		"tcp/-1",
		"tcp/65536",
		"tcp/1-65536",
		"tcp/2-1",
		"tcp/1,2",
		"tcp/ 1",
		"tcp/1 ",
		"tcp/+1",
		"tcp/0x1",
		"icmp/",
		"icmp/256",
		"icmp/1-2",
		"icmpv6",
		"protocol",
		"protocol/",
		"protocol/6",
		"protocol/256",
		"protocol/58",
		"gre/1",
		"http",
		"tcp/99999999999999999999",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct service got[SERVICE_PARTS];
		struct error err = { 0 };

		cr_expect_eq(service_parse(bad[i], got, &err), 0, "`%s` was read", bad[i]);
		cr_expect(err.usage && strstr(err.text, bad[i]), "`%s`: %s", bad[i], err.text);
	}
}
