/* SPDX-License-Identifier: GPL-2.0-only */
#include <criterion/criterion.h>

#include "lib/util.h"
#include "observe/pcap.h"

static uint32_t word(const char *bytes, size_t i)
{
	uint32_t w;

	memcpy(&w, bytes + 4 * i, sizeof(w));
	return w;
}

/* Every block says its length at both ends, a multiple of four, up to the end. */
Test(pcap, blocks_are_whole)
{
	for (uint32_t have = 0; have < 9; have++) {
		char *bytes = NULL, comment[16] = "";
		size_t size = 0, at = 0, blocks = 0;
		FILE *f = open_memstream(&bytes, &size);

		memset(comment, 'c', have);
		pcap_begin(f, 164);
		pcap_frame(f, 1, "12345678", have, 1500, NULL);
		pcap_frame(f, 1, "12345678", have, 1500, comment);
		fclose(f);
		for (; at < size; blocks++) {
			uint32_t len = word(bytes + at, 1);

			cr_assert(len >= 12 && len % 4 == 0 && at + len <= size);
			cr_assert_eq(word(bytes + at + len - 4, 0), len);
			at += len;
		}
		cr_assert_eq(at, size);
		cr_assert_eq(blocks, 4);
		free(bytes);
	}
}

Test(pcap, frame_has_time_lengths_and_comment)
{
	char *bytes = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&bytes, &size);

	pcap_frame(f, 0x123456789abULL, "abcde", 5, 1500, "why");
	fclose(f);
	cr_assert_eq(word(bytes, 0), 6);
	cr_assert_eq(word(bytes, 3), 0x123, "the upper half of the time");
	cr_assert_eq(word(bytes, 4), 0x456789ab);
	cr_assert_eq(word(bytes, 5), 5);
	cr_assert_eq(word(bytes, 6), 1500);
	cr_assert_arr_eq(bytes + 28, "abcde\0\0\0", 8);
	cr_assert_arr_eq(bytes + 36, "\1\0\3\0why\0\0\0\0\0", 12);
	free(bytes);
}
