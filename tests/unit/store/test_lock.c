/* SPDX-License-Identifier: GPL-2.0-only */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_fixture.h"

static void hold(void)
{
	struct error err = { 0 };
	struct store *s;

	if (store_open(dir, STORE_WRITE, 0, "apply", &s, &err))
		_exit(1);
}

Test(store, the_lock_is_free_after_close)
{
	struct stat st;

	store_close(open_store(STORE_WRITE));
	store_close(open_store(STORE_WRITE));
	stat(in_dir("lock"), &st);
	cr_assert_eq(st.st_size, 0);
}

Test(store, the_lock_is_kept_until_close)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	commit(s);
	assert_refused(STORE_WRITE, "state in ", dir, " is held by ", NULL);
	save(s, &empty, &empty);
	commit(s);
	assert_refused(STORE_WRITE, "state in ", dir, " is held by ", NULL);
}

Test(store, the_holder_is_in_the_file)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);
	_cleanup_free_ uint8_t *text = NULL;
	char want[64];
	size_t n;

	snprintf(want, sizeof(want), "%d test\n", getpid());
	text = read_file("lock", &n);
	cr_assert_str_eq((char *)text, want);
}

Test(store, the_error_names_the_holder)
{
	pid_t pid = spawn(hold);
	char want[700];

	snprintf(want, sizeof(want),
		 "state in %s is held by process %d (apply); wait for it to end, or use --wait "
		 "SECONDS",
		 dir, pid);
	assert_refused(STORE_WRITE, want, NULL);
	/* and a reader does not care */
	assert_stored(&empty);
	kill_child(pid);
	put(&empty);
}

Test(store, waiting_ends)
{
	pid_t pid = spawn(hold);
	struct error err = { 0 };
	double began = now(), took;
	struct store *s;

	cr_assert_eq(store_open(dir, STORE_WRITE, 1, "test", &s, &err), -1);
	took = now() - began;
	/* the clock of the wait has milliseconds */
	cr_expect(took >= 0.99 && took < 10, "%f", took);
	cr_expect_not_null(strstr(err.text, "(apply)"), "%s", err.text);
	kill_child(pid);
}

Test(store, waiting_gets_the_lock)
{
	struct error err = { 0 };
	double began = now(), took;
	struct store *s, *held = open_store(STORE_WRITE);
	pid_t pid = fork_child();

	/* the lock is let go of when the last process that has the descriptor closes it */
	if (pid == 0) {
		sleep_ms(400);
		_exit(0);
	}
	store_close(held);
	cr_assert_eq(store_open(dir, STORE_WRITE, 20, "test", &s, &err), 0, "%s", err.text);
	took = now() - began;
	cr_expect(took >= 0.3 && took < 15, "%f", took);
	store_close(s);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static const char *stale;

/* Another process, that took the lock and did not come to say who it is. */
static void hold_silently(void)
{
	int fd = open(in_dir("lock"), O_RDWR | O_CREAT, 0600);

	if (flock(fd, LOCK_EX) || write(fd, stale, strlen(stale)) < 0)
		_exit(1);
}

Test(store, a_stale_name_is_not_the_holder)
{
	static const char *const texts[] = { "", "1 init\n", "999999 ghost\n", "rubbish", "\n" };
	char parent[64];

	mkdir(dir, 0700);
	snprintf(parent, sizeof(parent), "%d ghost\n", getppid());
	for (size_t i = 0; i <= ARRAY_SIZE(texts); i++) {
		pid_t pid;

		stale = i < ARRAY_SIZE(texts) ? texts[i] : parent;
		unlink(in_dir("lock"));
		pid = spawn(hold_silently);
		assert_refused(STORE_WRITE, " is held by another process; ", NULL);
		kill_child(pid);
	}
}

/* the process that holds it is known, but the name is that of one before it */
Test(store, a_stale_name_is_not_given_to_the_holder)
{
	pid_t pid = spawn(hold);
	char want[64];

	write_file("lock", "999999 ghost\n", 13);
	snprintf(want, sizeof(want), " is held by process %d; ", pid);
	assert_refused(STORE_WRITE, want, NULL);
	write_file("lock", "", 0);
	assert_refused(STORE_WRITE, want, NULL);
	kill_child(pid);
}

Test(store, the_lock_is_not_inherited_by_programs)
{
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	cr_assert_not_null(s);
	for (int fd = 3; fd < 64; fd++) {
		char link[64], target[600] = "";

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) > 0 && strstr(target, top))
			cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC, "%s", target);
	}
}

/* many at once, each of which adds one mapping to what it finds */
Test(store, writers_take_turns)
{
	_cleanup_model_ struct model m = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = NULL;
	pid_t pids[8];

	add_prefix(&m.subnets, "100.64.0.0/16");
	add_tenant(&m, 1, "red");
	put(&m);
	for (int i = 0; i < 8; i++) {
		pids[i] = fork_child();
		if (pids[i])
			continue;
		for (int j = 0; j < 5; j++) {
			struct model have = { 0 }, want = { 0 };
			struct error err = { 0 };
			struct store *w;
			char fixed[32], shared[32];

			if (store_open(dir, STORE_WRITE, 60, "turn", &w, &err) ||
			    store_load(w, &have, &err) || store_load(w, &want, &err))
				_exit(1);
			snprintf(fixed, sizeof(fixed), "10.0.%d.%d", i, j);
			snprintf(shared, sizeof(shared), "100.64.0.%zu",
				 have.tenants.v[0].mappings.n);
			add_mapping(&want.tenants.v[0], fixed, shared, NULL, false);
			model_sort(&want);
			if (store_save(w, &have, &want, &err) || store_commit(w, &err))
				_exit(1);
			store_close(w);
		}
		_exit(0);
	}
	for (int i = 0; i < 8; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_expect_eq(status, 0);
	}
	s = open_store(STORE_READ);
	load(s, &got);
	cr_assert_eq(got.tenants.v[0].mappings.n, 40);
}
