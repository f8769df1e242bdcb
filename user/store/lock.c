/* SPDX-License-Identifier: GPL-2.0-only */
/* One writer at a time: an flock(2) on the file `lock`, which also says who holds it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/log.h"
#include "store/store_internal.h"

/*
 * The process that holds the lock; 0: it cannot be told. The text in the file may be that of a
 * process that died. So the holder has a record lock on the file, too, of which the kernel says
 * whose it is. It is there for this question only.
 */
static pid_t lock_holder(int fd)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &record) || record.l_type == F_UNLCK || record.l_pid <= 0)
		return 0;
	return record.l_pid;
}

pid_t store_holder(const char *dir)
{
	_cleanup_free_ char *path = path_in(dir, "lock");
	struct error ignored = { 0 };
	_cleanup_close_ int fd = file_open(path, O_RDONLY, &ignored);

	return fd < 0 ? 0 : lock_holder(fd);
}

#define HOLDER_TEXT 128

/* "process 123 (apply)" */
static void describe_holder(int fd, char who[HOLDER_TEXT])
{
	char text[128] = "";
	pid_t pid = lock_holder(fd);
	long named;
	int used;

	/* it may have taken the lock only now, and the record lock not yet */
	if (!pid) {
		clock_sleep(20);
		pid = lock_holder(fd);
	}
	snprintf(who, HOLDER_TEXT, pid ? "process %d" : "another process", (int)pid);
	if (pid && pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	    sscanf(text, "%ld %n", &named, &used) == 1 && named == pid) {
		text[strcspn(text, "\n")] = '\0';
		snprintf(who, HOLDER_TEXT, "process %d (%.64s)", (int)pid, text + used);
	}
}

static int lock_held(const struct store *s, int fd, struct error *err)
{
	char who[HOLDER_TEXT];

	describe_holder(fd, who);
	return error_set(err,
			 "state in %s is held by %s; wait for it to end, or use --wait SECONDS",
			 s->dir, who);
}

/* Milliseconds that nobody has to be told of. */
#define WAIT_SILENT 200

static void say_wait(int fd, unsigned int wait)
{
	char who[HOLDER_TEXT];

	describe_holder(fd, who);
	log_notice("waiting up to %u s for %s, which changes something", wait, who);
}

/* Say who we are, for the errors of others. A failure is ignored: the lock is ours without it. */
static void lock_name(int fd, const char *holder)
{
	struct flock record = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[96];
	int n = snprintf(text, sizeof(text), "%d %.64s\n", (int)getpid(), holder);

	fcntl(fd, F_SETLK, &record);
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, n, 0) != n)
		(void)!ftruncate(fd, 0);
}

int lock_take(struct store *s, unsigned int wait, const char *holder, struct error *err)
{
	_cleanup_free_ char *path = path_in(s->dir, "lock");
	_cleanup_close_ int fd = file_open(path, O_RDWR | O_CREAT, err);
	uint64_t start = clock_ms(), deadline = start + 1000ULL * wait, now;
	unsigned int step = 1;
	bool said = false;

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return system_error(err, "lock", path);
		now = clock_ms();
		if (now >= deadline)
			return lock_held(s, fd, err);
		if (interrupt_check(err))
			return -1;
		if (!said && now - start >= WAIT_SILENT) {
			say_wait(fd, wait);
			said = true;
		}
		clock_sleep(step < deadline - now ? step : deadline - now);
		step = step < 50 ? 2 * step : 100;
	}
	lock_name(fd, holder);
	s->lock = fd;
	fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): read by its cleanup */
	return 0;
}

void lock_release(struct store *s)
{
	if (s->lock < 0)
		return;
	(void)!ftruncate(s->lock, 0);
	close(s->lock);
	s->lock = -1;
}
