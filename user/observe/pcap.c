/* SPDX-License-Identifier: GPL-2.0-only */
#include "observe/pcap.h"

#include <string.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	LINK_ETHERNET = 1,
	OPTION_COMMENT = 1,
};

static uint32_t padded(uint32_t n)
{
	return (n + 3) & ~3U;
}

static void put(FILE *to, const void *bytes, uint32_t n)
{
	static const uint8_t zeros[4];

	fwrite(bytes, 1, n, to);
	fwrite(zeros, 1, padded(n) - n, to);
}

void pcap_begin(FILE *to, uint32_t snaplen)
{
	/* version 1.0, of a length that is not known yet */
	const uint32_t section[] = { BLOCK_SECTION, 28, BYTE_ORDER_MAGIC, 1, ~0U, ~0U, 28 };
	const uint32_t interface[] = { BLOCK_INTERFACE, 20, LINK_ETHERNET, snaplen, 20 };

	put(to, section, sizeof(section));
	put(to, interface, sizeof(interface));
}

void pcap_frame(FILE *to, uint64_t us, const void *bytes, uint32_t have, uint32_t len,
		const char *comment)
{
	uint16_t option[] = { OPTION_COMMENT, comment ? strlen(comment) : 0 };
	uint32_t options = comment ? sizeof(option) + padded(option[1]) + 4 : 0;
	uint32_t total = 32 + padded(have) + options, end_of_options = 0;
	const uint32_t head[] = { BLOCK_PACKET, total, 0, us >> 32, (uint32_t)us, have, len };

	put(to, head, sizeof(head));
	put(to, bytes, have);
	if (comment) {
		put(to, option, sizeof(option));
		put(to, comment, option[1]);
		put(to, &end_of_options, sizeof(end_of_options));
	}
	put(to, &total, sizeof(total));
}
