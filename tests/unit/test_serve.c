/* SPDX-License-Identifier: GPL-2.0-only */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "serve.h"

Test(serve, addresses)
{
	struct sockaddr_storage at;
	const struct sockaddr_in *four = (void *)&at;
	const struct sockaddr_in6 *six = (void *)&at;
	struct error err = { 0 };

	cr_assert_eq(serve_parse("127.0.0.1:9876", &at, &err), 0);
	cr_assert_eq(four->sin_family, AF_INET);
	cr_assert_eq(four->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	cr_assert_eq(four->sin_port, htons(9876));
	cr_assert_eq(serve_parse("[::1]:65535", &at, &err), 0);
	cr_assert_eq(six->sin6_family, AF_INET6);
	cr_assert(IN6_IS_ADDR_LOOPBACK(&six->sin6_addr));
	cr_assert_eq(six->sin6_port, htons(65535));
}

Test(serve, refused)
{
	static const char *const cases[][2] = {
		{ "9876", "there is no port" },
		{ ":9876", "open to everybody" },
		{ "localhost:9876", "names are not looked up" },
		{ "::1:9876", "names are not looked up" },
		{ "[::1]", "names are not looked up" },
		{ "[::g]:9876", "the address is none" },
		{ "127.0.0.1:", "from 1 to 65535" },
		{ "127.0.0.1:0", "from 1 to 65535" },
		{ "127.0.0.1:65536", "from 1 to 65535" },
		{ "127.0.0.1:+80", "from 1 to 65535" },
		{ "[::1]:80x", "from 1 to 65535" },
		{ "1234567890123456789012345678901234567890123456789012:1", "the address is none" },
	};
	struct sockaddr_storage at;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };

		cr_assert_eq(serve_parse(cases[i][0], &at, &err), -1, "%s", cases[i][0]);
		cr_assert(strstr(err.text, cases[i][1]), "%s: %s", cases[i][0], err.text);
		cr_assert(strstr(err.text, cases[i][0]), "%s", err.text);
	}
}
