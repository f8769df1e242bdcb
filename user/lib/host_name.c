/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/host_name.h"

#include <limits.h>
#include <unistd.h>

static const char *given;

const char *host_name_of_machine(void)
{
	static char name[HOST_NAME_MAX + 1];

	/* not asked at each call: one run has one name */
	if (!name[0] && gethostname(name, sizeof(name) - 1))
		name[0] = '\0';
	return name;
}

const char *host_name(void)
{
	return given ? given : host_name_of_machine();
}

void host_name_set(const char *name)
{
	given = name;
}
