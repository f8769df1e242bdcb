/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames straight out of an interface and into this process (packet(7)). What is sent passes
 * by tc and netfilter (PACKET_QDISC_BYPASS); what is received is seen before they see it. The
 * caller is in the interface's namespace while it opens; the socket stays there.
 */
#ifndef TN_PACKET_H
#define TN_PACKET_H

#include "lib/error.h"
#include "lib/util.h"
#include "probe/frame.h"

/* Sends alone; gives a descriptor, or -1. */
int packet_sender(uint32_t ifindex, struct error *err);
/* Also receives ARP and neighbour discovery, of the network without a VLAN tag alone. */
int packet_neighbours(uint32_t ifindex, struct error *err);

/* Also receives ARP, and ICMP of both families, of that network alone. */
int packet_messages(uint32_t ifindex, struct error *err);

/*
 * Close a descriptor of packet_sender(), now or with others in packet_close_rest(), which has to
 * follow: the kernel closes one only when all CPUs have seen it, 8 ms where HZ is 250, but many
 * beside each other (synchronize_net() in packet_release(), net/packet/af_packet.c).
 */
void packet_close(int fd);
void packet_close_rest(void);

/* Whether the interface of the socket has this MAC address now. */
bool packet_is_from(int fd, const uint8_t mac[6]);

/* So many frames a second, in batches: what a switch and its hosts learn without losing them. */
#define PACKET_RATE  10000
#define PACKET_BATCH 64

/* The frame that is the i-th of `from`. Gives its length. */
typedef size_t packet_maker(const void *from, size_t i, uint8_t out[FRAME_ROOM]);

/* Send frames 0 to n - 1, at PACKET_RATE. Takes n / PACKET_RATE seconds. */
int packet_send(int fd, packet_maker *make, const void *from, size_t n, struct error *err);

/* A frame that waits to be read: its length, 0 when there is none. */
size_t packet_receive(int fd, uint8_t *out, size_t size);

#endif
