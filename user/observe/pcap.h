/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames for wireshark and tcpdump: pcapng (draft-ietf-opsawg-pcapng), one section with one
 * Ethernet interface, in host byte order. Errors are the stream's (ferror).
 */
#ifndef TN_PCAP_H
#define TN_PCAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

void pcap_begin(FILE *to, uint32_t snaplen);

/*
 * A frame of `len` bytes of which there are the first `have`, at `us` microseconds since 1970.
 * `comment`, UTF-8 of at most 65535 bytes, is shown with it; NULL: none.
 */
void pcap_frame(FILE *to, uint64_t us, const void *bytes, uint32_t have, uint32_t len,
		const char *comment);

#endif
