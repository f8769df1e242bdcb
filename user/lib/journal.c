/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/journal.h"

#ifndef TN_WITHOUT_SYSTEMD

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* which line of which file it was is nothing to those who run it */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "lib/util.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

bool journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode &&
	       access(JOURNAL_SOCKET, W_OK) == 0;
}

/* libsystemd takes an entry that nobody reads for one that was sent. */
int journal_check(struct error *err)
{
	if (access(JOURNAL_SOCKET, W_OK) == 0)
		return 0;
	return error_set(err, "there is no journal to write to: %s: %m", JOURNAL_SOCKET);
}

static void add(struct iovec *v, const char *name, const char *value)
{
	char *text;
	int n = asprintf(&text, "%s=%s", name, value);

	if (n < 0)
		abort();
	*v = (struct iovec){ text, (size_t)n };
}

int journal_send(int priority, const char *message, const struct journal_field *fields, size_t n)
{
	struct iovec v[2 + JOURNAL_FIELDS_MAX];
	char number[] = { (char)('0' + priority), '\0' };
	int used = 2, ret;

	add(&v[0], "MESSAGE", message);
	add(&v[1], "PRIORITY", number);
	for (size_t i = 0; i < n && i < JOURNAL_FIELDS_MAX; i++) {
		if (fields[i].value)
			add(&v[used++], fields[i].name, fields[i].value);
	}
	ret = sd_journal_sendv(v, used);
	for (int i = 0; i < used; i++)
		free(v[i].iov_base);
	return ret < 0 ? -1 : 0;
}

#else /* `make SYSTEMD=no` */

bool journal_is_stderr(void)
{
	return false;
}

int journal_check(struct error *err)
{
	return error_usage(err, "this tenantnat was built with SYSTEMD=no, and cannot write to the "
				"journal");
}

int journal_send(int priority, const char *message, const struct journal_field *fields, size_t n)
{
	(void)priority, (void)message, (void)fields, (void)n;
	return -1;
}

#endif
