/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What systemd is told of a service of Type=notify, and asks of it (WatchdogSec=): sd_notify(3),
 * sd_watchdog_enabled(3). In a build with SYSTEMD=no these do nothing.
 */
#ifndef TN_SYSTEMD_H
#define TN_SYSTEMD_H

#include "lib/error.h"

#ifndef TN_WITHOUT_SYSTEMD
#include <systemd/sd-daemon.h>

#define SYSTEMD_HELP "Type=notify"

static inline int systemd_check(struct error *err)
{
	(void)err;
	return 0;
}

#else /* `make SYSTEMD=no`: without libsystemd */
#include <stdint.h>
#include <stdlib.h>

#define SYSTEMD_HELP "Type=exec; what Type=notify needs is not in this build: SYSTEMD=no"

/* Before anything is done: systemd would wait for what is never said, and end us then. */
static inline int systemd_check(struct error *err)
{
	if (!getenv("NOTIFY_SOCKET"))
		return 0;
	return error_usage(
		err, "cannot tell systemd when this is ready: this tenantnat was built with "
		     "SYSTEMD=no; build it without that, or use Type=exec without WatchdogSec=");
}

static inline int sd_notify(int unset, const char *state)
{
	(void)unset, (void)state;
	return 0;
}

static inline __attribute__((format(printf, 2, 3))) int sd_notifyf(int unset, const char *format,
								   ...)
{
	(void)unset, (void)format;
	return 0;
}

static inline int sd_watchdog_enabled(int unset, uint64_t *us)
{
	(void)unset, (void)us;
	return 0;
}

#endif

#endif
