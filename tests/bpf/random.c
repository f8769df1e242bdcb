/* SPDX-License-Identifier: GPL-2.0-only */
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/util.h"

/* splitmix64 */
uint64_t draw(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned int below(struct random *r, unsigned int n)
{
	return draw(r) % n;
}

bool one_in(struct random *r, unsigned int n)
{
	return !below(r, n);
}

struct random random_seed(void)
{
	const char *given = getenv("SEED");
	struct random r = { .state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) };

	printf("SEED=%llu\n", (unsigned long long)r.state);
	fflush(stdout);
	return r;
}

static uint8_t draw_proto(struct random *r, bool v4)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_TCP,	IPPROTO_UDP,  IPPROTO_UDP,
					  IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_DCCP, IPPROTO_SCTP,
					  IPPROTO_GRE, IPPROTO_ESP };

	if (one_in(r, 6))
		return v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (one_in(r, 10))
		return 150 + below(r, 100);
	return protos[below(r, ARRAY_SIZE(protos))];
}

static enum csum draw_csum(struct random *r, uint8_t proto)
{
	switch (below(r, 6)) {
	case 0:
		return CSUM_WRONG;
	case 1:
		return proto == IPPROTO_UDP ? CSUM_ABSENT : CSUM_RIGHT;
	case 2:
		return proto == IPPROTO_UDP || proto == IPPROTO_TCP ? CSUM_PARTIAL : CSUM_RIGHT;
	default:
		return CSUM_RIGHT;
	}
}

static void draw_fragment(struct random *r, bool v4, struct packet *p)
{
	p->payload += 64;
	/* behind the longest header: what would overwrite it is dropped */
	p->frag_at = one_in(r, 2) ? 0 : 24 + 8 * below(r, 2);
	p->frag_len = p->frag_at ? 1 + below(r, 32) : 32;
	if (!v4)
		p->ext = one_in(r, 2) ? "F" : "HDRF";
}

struct packet draw_packet(struct random *r, bool v4)
{
	static const char *const ext[] = { "H", "D", "R", "F", "HD", "HDRFD", "DDDDDD" };
	struct packet p = { .proto = draw_proto(r, v4),
			    .payload = below(r, 1200),
			    .fill = draw(r),
			    .sport = 1 + below(r, 65535),
			    .dport = 1 + below(r, 65535),
			    .ttl = 1 + below(r, 255) };

	p.csum = draw_csum(r, p.proto);
	if (one_in(r, 4))
		p.trailer = below(r, 40);
	if (one_in(r, 4)) {
		draw_fragment(r, v4, &p);
	} else if (one_in(r, 4) && v4) {
		p.options = 4 * (1 + below(r, 10));
	} else if (one_in(r, 3) && !v4) {
		p.ext = ext[below(r, ARRAY_SIZE(ext))];
		p.ext_len = below(r, 8);
	}
	if (p.proto == IPPROTO_UDPLITE && one_in(r, 2))
		p.coverage = 8 + below(r, p.payload + 1);
	return p;
}
