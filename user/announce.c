/* SPDX-License-Identifier: GPL-2.0-only */
#include "announce.h"

struct news_of {
	const struct tn_addr *addrs;
	const uint8_t *mac;
	bool router;
};

static size_t make(const void *from, size_t i, uint8_t out[FRAME_ROOM])
{
	const struct news_of *of = from;

	return frame_announce(out, &of->addrs[i], of->mac, of->router);
}

int announce(uint32_t ifindex, const uint8_t mac[6], bool router, const struct tn_addr *addrs,
	     size_t n, size_t max, size_t *left, struct error *err)
{
	struct news_of of = { .addrs = addrs, .mac = mac, .router = router };
	size_t count = n < max ? n : max;
	_cleanup_close_ int fd = -1;

	*left = n;
	if (!count)
		return 0;
	fd = packet_sender(ifindex, err);
	if (fd >= 0 && !packet_is_from(fd, mac)) {
		*left = 0;
		return 0;
	}
	if (fd < 0 || packet_send(fd, make, &of, count, err))
		return error_prefix(err, "addresses could not be announced");
	*left = n - count;
	return 0;
}
