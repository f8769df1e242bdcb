/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/fd_guard.h"

#include <fcntl.h>

static uint64_t open_from(int first)
{
	uint64_t open = 0;

	for (int i = 0; i < 64; i++)
		open |= (uint64_t)(fcntl(first + i, F_GETFD) >= 0) << i;
	return open;
}

struct fd_guard fd_guard_begin(void)
{
	struct fd_guard s = { .first = open("/", O_PATH | O_CLOEXEC) };

	if (s.first < 0)
		return s;
	close(s.first);
	s.before = open_from(s.first);
	return s;
}

void fd_guard_end(const struct fd_guard *s)
{
	uint64_t now = s->first < 0 ? 0 : open_from(s->first) & ~s->before;

	for (int i = 0; i < 64; i++) {
		if (now >> i & 1)
			close(s->first + i);
	}
}
