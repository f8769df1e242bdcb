/* SPDX-License-Identifier: GPL-2.0-only */
/* The shared interface that a router is probed by: what it is, and whether it is up. */
#ifndef TN_PROBE_INTERFACE_H
#define TN_PROBE_INTERFACE_H

#include "lib/error.h"
#include "probe/probe_input.h"
#include "probe/probe_run.h"

/* Name, MAC address and MTU of the interface with that index, in the current namespace. */
int probe_interface(uint32_t ifindex, struct probe_input *in, struct error *err);
/* The MAC address of an Ethernet interface; -1: it is none. */
int probe_mac(uint32_t ifindex, uint8_t mac[6]);
/* 0: it is gone. */
uint32_t probe_mtu(uint32_t ifindex);
/* What keeps frames from leaving by it: "it is down"; NULL: nothing. */
const char *probe_silence(uint32_t ifindex);

/* Whether it is there, up, and has a carrier: one finding, and run->down. */
void probe_carrier(struct probe_run *run);

#endif
