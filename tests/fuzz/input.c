/* SPDX-License-Identifier: GPL-2.0-only */
#include "input.h"

#include <string.h>

#define GUARDS_ONLY 0x04
#define HAIRPIN	    0x08
#define GSO	    0x10
#define TO_SHIFT    5
/* of byte 3 */
#define INGRESS	   0x03
#define OF_HELD	   0x04
#define SPENT	   0x08
#define HELD	   0x10
#define HELD_OTHER 0x20
#define NO_SOCKET  0x40
#define NOTED	   0x80
/* Both headers that pkt_start() compares. */
#define LEAST_LINEAR (2 * ETH_HLEN)

static const char *const macs[] = {
	[TO_ROUTER] = MAC_ROUTER,	  [TO_EVERYBODY] = MAC_BROADCAST,
	[TO_GROUP] = "01:00:5e:01:02:03", [TO_GROUP_6] = "33:33:00:00:00:01",
	[TO_OTHER] = MAC_OTHER,
};

/* What comes out of the kernel's queue for a neighbour. */
static void read_held(struct input *i, uint8_t how)
{
	uint16_t words[3];

	if (!(how & HELD))
		return;
	memcpy(words, i->frame, sizeof(words));
	i->in.mark = TN_HELD_MARK << 16 | words[0];
	i->in.priority = (uint32_t)words[1] << 16 | words[2];
	if (how & HELD_OTHER)
		i->in.priority ^= 1;
}

/* Where the kernel's tables lead, by which interface it came, and what is left to the device. */
static void read_circumstances(struct input *i, const uint8_t *at)
{
	i->in.to_vms = (at[0] & 0xf) % WAYS;
	i->in.to_shared = (at[0] >> 4) % WAYS;
	i->in.ingress = i->in.program == TC_OUT ? at[1] & INGRESS : FROM_ROUTER;
	i->in.no_socket = i->in.program == TC_OUT && at[1] & NO_SOCKET;
	i->in.noted = i->in.program == TC_OUT && at[1] & NOTED;
	i->in.spent = at[1] & SPENT;
	if (i->in.program == XDP_IN || !(at[2] | at[3]))
		return;
	i->in.summed = SUMMED_PARTLY;
	i->in.left_start = ETH_HLEN + at[2];
	i->in.left_field = at[3];
}

void input_read(struct input *i, const uint8_t *given, size_t size)
{
	uint8_t data[INPUT_MAX] = { 0 };
	unsigned int to;

	if (size > sizeof(data))
		size = sizeof(data);
	memcpy(data, given, size);
	if (size < INPUT_HEAD + ETH_HLEN)
		size = INPUT_HEAD + ETH_HLEN;
	memset(&i->in, 0, sizeof(i->in));
	i->in.program = data[3] & OF_HELD ? INSIDE_OUT : data[0] & 3;
	i->in.guards_only = i->in.program == XDP_IN && data[0] & GUARDS_ONLY;
	if (i->in.program != XDP_IN && data[0] & HAIRPIN)
		i->in.mark = TN_HAIRPIN_MARK;
	if (i->in.program != XDP_IN && data[0] & GSO) {
		i->in.gso_size = 1000;
		i->in.gso_segs = 3;
	}
	i->in.bytes = i->frame;
	i->in.len = size - INPUT_HEAD;
	memcpy(i->frame, data + INPUT_HEAD, i->in.len);
	to = data[0] >> TO_SHIFT;
	if (to && to <= TO_OTHER)
		mac_parse(macs[to], i->frame);
	i->linear = data[1] ? LEAST_LINEAR + data[1] - 1U : 0;
	read_circumstances(i, data + 2);
	if (i->in.program == INSIDE_OUT)
		read_held(i, data[3]);
}

size_t input_write(uint8_t data[INPUT_MAX], enum program program, bool guards_only,
		   const struct packet *p, const struct frame *f)
{
	if (f->len > INPUT_FRAME_MAX)
		return 0;
	data[0] = program | (guards_only ? GUARDS_ONLY : 0) |
		  (p->mark == TN_HAIRPIN_MARK ? HAIRPIN : 0) | (p->gso_size ? GSO : 0);
	memset(data + 1, 0, INPUT_HEAD - 1);
	memcpy(data + INPUT_HEAD, f->bytes, f->len);
	return INPUT_HEAD + f->len;
}
