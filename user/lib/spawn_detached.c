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

/* The caller's to free. */
static char **argv_of(const struct settings *settings, char *const *words, size_t n)
{
	VEC(char *) argv = { 0 };

	*vec_push(&argv) = "tenantnat";
	*vec_push(&argv) = "--state";
	*vec_push(&argv) = (char *)settings->state;
	*vec_push(&argv) = "--bpffs";
	*vec_push(&argv) = (char *)settings->bpffs;
	for (size_t i = 0; i < n; i++)
		*vec_push(&argv) = words[i];
	*vec_push(&argv) = NULL;
	return argv.v;
}

int spawn_detached(const struct settings *settings, const char *command, char *const *args,
		   size_t n, struct error *err)
{
	VEC(char *) words = { 0 };
	char **argv;
	int ret;

	*vec_push(&words) = (char *)command;
	for (size_t i = 0; i < n; i++)
		*vec_push(&words) = args[i];
	argv = argv_of(settings, words.v, words.n);
	ret = spawn(argv);
	free(argv);
	vec_free(&words);
	return ret ? error_set(err, "cannot start `%s`: %s", command, strerror(ret)) : 0;
}

int spawn_child(const struct settings *settings, char *const *words, size_t n, pid_t *pid, int *out,
		struct error *err)
{
	char **argv = argv_of(settings, words, n);
	posix_spawn_file_actions_t files;
	int ends[2], ret;

	if (pipe2(ends, O_CLOEXEC)) {
		free(argv);
		return error_set(err, "cannot create a pipe: %m");
	}
	posix_spawn_file_actions_init(&files);
	ret = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&files, ends[1], 1);
	if (!ret)
		ret = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (!ret)
		ret = posix_spawn(pid, OWN_EXECUTABLE, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	free(argv);
	close(ends[1]);
	if (ret) {
		close(ends[0]);
		return error_set(err, "cannot start `%s`: %s", words[0], strerror(ret));
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*out = ends[0];
	return 0;
}
