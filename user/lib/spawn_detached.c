/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/spawn_detached.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"

/* Of a dead executable's name there may be a new one by now, or none: the link is to ours. */
#define OWN_EXECUTABLE "/proc/self/exe"

static int spawn(char *const *argv)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	pid_t pid;
	int ret;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	ret = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	for (int fd = 1; fd <= 2 && !ret; fd++)
		ret = posix_spawn_file_actions_adddup2(&files, 0, fd);
	if (!ret)
		ret = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (!ret)
		ret = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	if (!ret)
		ret = posix_spawn(&pid, OWN_EXECUTABLE, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return ret;
}

int spawn_detached(const struct settings *settings, const char *command, char *const *args,
		   size_t n, struct error *err)
{
	VEC(char *) argv = { 0 };
	int ret;

	*vec_push(&argv) = "tenantnat";
	*vec_push(&argv) = "--state";
	*vec_push(&argv) = (char *)settings->state;
	*vec_push(&argv) = "--bpffs";
	*vec_push(&argv) = (char *)settings->bpffs;
	*vec_push(&argv) = (char *)command;
	for (size_t i = 0; i < n; i++)
		*vec_push(&argv) = args[i];
	*vec_push(&argv) = NULL;
	ret = spawn(argv.v);
	vec_free(&argv);
	return ret ? error_set(err, "cannot start `%s`: %s", command, strerror(ret)) : 0;
}
