/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"

static bool parse_port(const char *text, uint16_t *out)
{
	size_t n = strlen(text);
	unsigned long port = strtoul(text, NULL, 10);

	*out = port;
	return n && n <= 5 && strspn(text, "0123456789") == n && port && port <= UINT16_MAX;
}

/* The address alone, and where its port begins; NULL: none is given. False: it is too long. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], const char **port)
{
	const char *end = strchr(text, ':'), *from = text;
	size_t n;

	if (*text == '[') {
		from = text + 1;
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*port = end[1] ? end + 2 : NULL;
	} else if (end && strchr(end + 1, ':')) {
		end = NULL;
		*port = NULL;
	} else {
		*port = end ? end + 1 : NULL;
	}
	n = end ? (size_t)(end - from) : strlen(from);
	if (!n || n >= INET6_ADDRSTRLEN)
		return false;
	memcpy(host, from, n);
	host[n] = '\0';
	return true;
}

static bool is_of_a_host(const struct tn_addr *a)
{
	/* loopback is special elsewhere, and a choice here */
	struct tn_addr six;

	addr_parse("::1", &six);
	return !addr_is_special(a) || addr_cmp(a, &six) == 0 ||
	       (addr_is_v4(a) && ntohl(a->w[3]) >> 24 == 127);
}

bool endpoint_parse(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (void *)out;
	struct sockaddr_in *four = (void *)out;
	char host[INET6_ADDRSTRLEN];
	const char *given = NULL;
	struct tn_addr addr;

	memset(out, 0, sizeof(*out));
	if (!split(text, host, &given) || (given && !parse_port(given, &port)) ||
	    !addr_parse(host, &addr) || !is_of_a_host(&addr))
		return false;
	if (addr_is_v4(&addr)) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		four->sin_addr.s_addr = addr.w[3];
		return *text != '[' && !strchr(host, ':');
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, &addr, sizeof(addr));
	return true;
}

const char *endpoint_text(const struct sockaddr_storage *e, char buf[ENDPOINT_TEXT])
{
	const struct sockaddr_in6 *six = (const void *)e;
	const struct sockaddr_in *four = (const void *)e;
	char host[INET6_ADDRSTRLEN] = "";

	if (e->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		snprintf(buf, ENDPOINT_TEXT, "[%s]:%u", host, ntohs(six->sin6_port));
	} else {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		snprintf(buf, ENDPOINT_TEXT, "%s:%u", host, ntohs(four->sin_port));
	}
	return buf;
}

bool endpoint_is_loopback(const struct sockaddr_storage *e)
{
	const struct sockaddr_in6 *six = (const void *)e;
	const struct sockaddr_in *four = (const void *)e;

	if (e->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
	return ntohl(four->sin_addr.s_addr) >> 24 == 127;
}
