/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Real interfaces in the lab's network namespace, for what a test run cannot show:
 * checksums left to the interface, XDP and tc one behind the other, large segments.
 *
 *   far ~ shared0 (the programs) -> lan0 ~ vm
 *
 * What gets past the programs at shared0's ingress is redirected to lan0, so that it
 * can be seen at vm.
 */
#ifndef TN_TEST_WIRE_H
#define TN_TEST_WIRE_H

#include "harness.h"

struct wire {
	int far, shared, vm; /* packet sockets; nothing is received on `shared` */
	uint32_t shared0, lan0;
	uint32_t priority; /* of the next filter at ingress */
};

void wire_open(struct wire *w);
void wire_close(struct wire *w);
/* Whatever comes to that interface, or is sent by it. */
int wire_socket(const char *name);

void wire_attach_xdp(struct wire *w, const struct lab *lab, bool generic);
/* At shared0; at ingress, behind those attached before. */
void wire_attach_tc(struct wire *w, const struct lab *lab, enum program program);
/* The last one at ingress: all that gets there goes to vm. */
void wire_attach_redirect(struct wire *w);
/* The same, but each frame goes back to shared0 by way of far before, and only once. */
void wire_attach_round(struct wire *w);

/* Like tcpdump on shared0: every frame is cloned for this socket, before tc and behind it. */
int wire_sniff(void);

/* By what the description says of checksum and GSO. */
void wire_send(int socket, const struct packet *p);
/* Its checksum is left to the interface, which is told to sum from `start` and write at `field`. */
void wire_send_left(int socket, const struct packet *p, size_t start, size_t field);
/* The next frame as it would be on a wire: with what is left to the interface done. */
bool wire_receive_whole(int socket, struct frame *f);
/*
 * The next frame, and whether its checksum is left to the interface. False: none
 * came within the time.
 */
bool wire_receive(int socket, struct frame *f, bool *partial);
/* Expect `after`, with a checksum that is partial or whole as the kernel says. */
void wire_expect(int socket, const char *what, const struct packet *after, bool want_partial);
/* Expect nothing. */
void wire_expect_silence(int socket, const char *what);

#endif
