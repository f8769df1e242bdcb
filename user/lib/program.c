/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"

/* `said` becomes its stderr. */
static int start(const char *const argv[], int said, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int ret;

	posix_spawn_file_actions_init(&files);
	ret = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&files, 0, 1);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&files, said, 2);
	if (!ret)
		ret = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (!ret)
		ret = posix_spawnp(pid, argv[0], &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	return ret;
}

/* The first line of what comes; the rest is read, so that the writer does not wait. */
static void hear(int fd, char *text, size_t size)
{
	char rest[512];
	size_t n = 0;
	ssize_t got;

	while ((got = n < size - 1 ? read(fd, text + n, size - 1 - n)
				   : read(fd, rest, sizeof(rest))) > 0 ||
	       (got < 0 && errno == EINTR)) {
		if (got > 0 && n < size - 1)
			n += (size_t)got;
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

int program_run(const char *const argv[], struct error *err)
{
	char said[400];
	int pipes[2], status, ret;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return error_set(err, "cannot run %s: %s", argv[0], strerror(errno));
	ret = start(argv, pipes[1], &pid);
	close(pipes[1]);
	if (!ret)
		hear(pipes[0], said, sizeof(said));
	close(pipes[0]);
	if (ret)
		return error_set(err, "cannot run %s: %s", argv[0],
				 ret == ENOENT ? "it is not in PATH" : strerror(ret));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return error_set(err, "cannot wait for %s: %s", argv[0], strerror(errno));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(err, "%s failed: %s", argv[0], *said ? said : "it does not say why");
}
