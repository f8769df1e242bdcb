/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_fixture.h"

/* --- no state --- */

Test(store, no_directory_is_an_empty_model)
{
	assert_stored(&empty);
	cr_assert_neq(access(dir, F_OK), 0);
}

Test(store, no_file_is_an_empty_model)
{
	mkdir(dir, 0700);
	assert_stored(&empty);
	cr_assert_eq(rmdir(dir), 0, "something was made in it");
}

/* a writer was killed before it made the tables */
Test(store, empty_file_is_an_empty_model)
{
	_cleanup_model_ struct model want = { 0 };
	struct stat st;

	rich(&want);
	mkdir(dir, 0700);
	write_file("state.db", "", 0);
	assert_stored(&empty);
	stat(in_dir("state.db"), &st);
	cr_assert_eq(st.st_size, 0);
	put(&want);
	assert_stored(&want);
}

Test(store, close_of_nothing)
{
	store_close(NULL);
}

Test(store, commit_and_rollback_of_nothing)
{
	_cleanup_store_ struct store *r = open_store(STORE_READ);
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	commit(r);
	store_rollback(r);
	commit(s);
	store_rollback(s);
}

/* --- what is on disk --- */

Test(store, modes)
{
	_cleanup_model_ struct model want = { 0 };
	static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm", "lock" };
	struct store *s;
	struct stat st;

	umask(0);
	rich(&want);
	s = open_store(STORE_WRITE);
	save(s, &empty, &want);
	cr_assert_eq(stat(dir, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cr_assert_eq(stat(in_dir(files[i]), &st), 0, "%s", files[i]);
		cr_expect_eq(st.st_mode & 07777, 0600, "%s: %o", files[i], st.st_mode);
	}
	store_close(s);
}

Test(store, a_file_open_to_others_is_closed_to_them)
{
	struct stat st;

	put(&empty);
	cr_assert_eq(chmod(in_dir("state.db"), 0664), 0);
	put(&empty);
	stat(in_dir("state.db"), &st);
	cr_assert_eq(st.st_mode & 07777, 0600);
}

Test(store, nothing_is_left_beside_the_file)
{
	_cleanup_model_ struct model want = { 0 };

	rich(&want);
	put(&want);
	cr_expect_not(exists("state.db-wal"));
	cr_expect_not(exists("state.db-shm"));
	assert_stored(&want);
	cr_expect_not(exists("state.db-wal"));
	cr_expect_not(exists("state.db-shm"));
}

/* --- transactions --- */

Test(store, rollback_leaves_the_old)
{
	_cleanup_model_ struct model old = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = NULL;

	rich(&old);
	put(&old);
	s = open_store(STORE_WRITE);
	save(s, &old, &empty);
	store_rollback(s);
	load(s, &got);
	assert_same(&got, &old);
	/* and it goes on */
	save(s, &old, &empty);
	commit(s);
	assert_stored(&empty);
}

Test(store, close_leaves_the_old)
{
	_cleanup_model_ struct model old = { 0 };
	struct store *s;

	rich(&old);
	put(&old);
	s = open_store(STORE_WRITE);
	save(s, &old, &empty);
	store_close(s);
	assert_stored(&old);
}

Test(store, two_saves_in_one_transaction)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = open_store(STORE_WRITE);

	rich(&a);
	random_state = 7;
	random_model(&b);
	save(s, &empty, &a);
	save(s, &a, &b);
	load(s, &got);
	assert_same(&got, &b);
	assert_stored(&empty);
	commit(s);
	assert_stored(&b);
}

Test(store, a_refused_row_is_named_and_rolled_back)
{
	_cleanup_model_ struct model old = { 0 }, want = { 0 }, got = { 0 };
	_cleanup_store_ struct store *s = NULL;
	struct error err = { 0 };

	rich(&old);
	put(&old);
	rich(&want);
	model_tenant(&want, "blue")->mappings.v[0].shared = addr("100.64.1.9");
	s = open_store(STORE_WRITE);
	cr_assert_eq(store_save(s, &old, &want, &err), -1);
	cr_expect_not_null(strstr(err.text, "tenant blue: mapping 10.0.0.5 -> 100.64.1.9: "), "%s",
			   err.text);
	cr_expect_not_null(strstr(err.text, "mapping.shared"), "%s", err.text);
	load(s, &got);
	assert_same(&got, &old);
	commit(s);
	assert_stored(&old);
}

Test(store, what_was_read_has_to_be_there)
{
	_cleanup_model_ struct model old = { 0 }, have = { 0 };
	_cleanup_store_ struct store *s = NULL;
	struct error err = { 0 };

	rich(&old);
	put(&old);
	rich(&have);
	add_mapping(model_tenant(&have, "red"), "fd00:10::7", "fd64::77", NULL, false);
	s = open_store(STORE_WRITE);
	cr_assert_eq(store_save(s, &have, &empty, &err), -1);
	cr_expect_not_null(strstr(err.text, "changed by another program"), "%s", err.text);
	assert_stored(&old);
}

Test(store, a_reader_cannot_save)
{
	_cleanup_store_ struct store *none = open_store(STORE_READ), *s = NULL;
	_cleanup_model_ struct model want = { 0 };
	struct error err = { 0 };

	rich(&want);
	cr_assert_eq(store_save(none, &empty, &want, &err), -1);
	cr_expect(err.set);
	put(&empty);
	s = open_store(STORE_READ);
	cr_assert_eq(store_save(s, &empty, &want, &err), -1);
	assert_stored(&empty);
}

Test(store, a_reader_sees_what_is_committed)
{
	_cleanup_model_ struct model old = { 0 }, got = { 0 };
	_cleanup_store_ struct store *writer = NULL, *reader = NULL;

	rich(&old);
	put(&old);
	writer = open_store(STORE_WRITE);
	save(writer, &old, &empty);
	reader = open_store(STORE_READ);
	load(reader, &got);
	assert_same(&got, &old);
	model_free(&got);
	commit(writer);
	load(reader, &got);
	assert_same(&got, &empty);
}

Test(store, a_reader_keeps_no_writer_waiting)
{
	_cleanup_model_ struct model want = { 0 }, got = { 0 };
	_cleanup_store_ struct store *reader = NULL;

	rich(&want);
	put(&want);
	reader = open_store(STORE_READ);
	load(reader, &got);
	put(&empty);
	put(&want);
	model_free(&got);
	load(reader, &got);
	assert_same(&got, &want);
}

/* --- processes --- */

static void half_a_transaction(void)
{
	struct model old, want;
	struct store *s = open_store(STORE_WRITE);

	load(s, &old);
	random_state = 3;
	random_model(&want);
	save(s, &old, &want);
}

Test(store, kill_within_a_transaction_leaves_the_old_and_frees_the_lock)
{
	_cleanup_model_ struct model old = { 0 };

	rich(&old);
	put(&old);
	kill_child(spawn(half_a_transaction));
	assert_stored(&old);
	put(&old);
	assert_stored(&old);
	cr_expect_not(exists("state.db-wal"));
}

static void a_transaction_too_large_for_memory(void)
{
	struct tn_addr fixed = addr("fd00::1"), shared = addr("fd64::1");
	struct store *s = open_store(STORE_WRITE);
	struct model old, want;
	struct tenant *t;

	load(s, &old);
	load(s, &want);
	t = add_tenant(&want, 99, "zebra");
	for (unsigned int i = 0; i < 700000; i++) {
		struct mapping *m = vec_push(&t->mappings);

		m->fixed = addr_add(&fixed, i);
		m->shared = addr_add(&shared, (uint64_t)i * 2654435761U);
	}
	save(s, &old, &want);
}

/* SQLite has then written much of what never was committed */
Test(store, kill_after_much_was_written_leaves_the_old)
{
	_cleanup_model_ struct model old = { 0 };
	struct stat st;

	random_state = 4;
	random_model(&old);
	put(&old);
	kill_child(spawn(a_transaction_too_large_for_memory));
	cr_assert_eq(stat(in_dir("state.db-wal"), &st), 0);
	cr_assert_gt(st.st_size, 1 << 20, "nothing was written: the test tests nothing");
	assert_stored(&old);
}

Test(store, kill_at_any_time_leaves_one_or_the_other)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 };
	_cleanup_free_ char *text_a = NULL, *text_b = NULL;

	rich(&a);
	random_state = 5;
	random_model(&b);
	text_a = dump(&a);
	text_b = dump(&b);
	put(&b);
	for (int i = 0; i < 30; i++) {
		_cleanup_model_ struct model got = { 0 };
		_cleanup_free_ char *text = NULL;
		_cleanup_store_ struct store *s = NULL;
		pid_t pid = fork_child();

		if (pid == 0) {
			for (;;) {
				put(&a);
				put(&b);
			}
		}
		sleep_ms(5 + i);
		kill_child(pid);
		s = open_store(i % 2 ? STORE_WRITE : STORE_READ);
		load(s, &got);
		text = dump(&got);
		cr_assert(strcmp(text, text_a) == 0 || strcmp(text, text_b) == 0, "%s", text);
	}
}

/* readers never see a mixture, and never an error */
Test(store, readers_beside_a_writer)
{
	_cleanup_model_ struct model a = { 0 }, b = { 0 };
	_cleanup_free_ char *text_a = NULL, *text_b = NULL;
	unsigned int seen[2] = { 0 };
	double end = now() + 1;
	pid_t pid;

	rich(&a);
	random_state = 5;
	random_model(&b);
	text_a = dump(&a);
	text_b = dump(&b);
	put(&b);
	pid = fork_child();
	if (pid == 0) {
		for (;;) {
			put(&a);
			put(&b);
		}
	}
	while (now() < end) {
		_cleanup_model_ struct model got = { 0 };
		_cleanup_free_ char *text = NULL;
		_cleanup_store_ struct store *s = open_store(STORE_READ);

		load(s, &got);
		text = dump(&got);
		cr_assert(strcmp(text, text_a) == 0 || strcmp(text, text_b) == 0, "%s", text);
		seen[strcmp(text, text_a) == 0]++;
	}
	kill_child(pid);
	cr_assert(seen[0] && seen[1], "%u %u", seen[0], seen[1]);
}

/* the very first writer, too */
Test(store, readers_beside_the_first_writer)
{
	_cleanup_model_ struct model a = { 0 };
	_cleanup_free_ char *text_a = NULL;

	rich(&a);
	text_a = dump(&a);
	for (int i = 0; i < 20; i++) {
		double end = now() + 20;
		bool done = false;
		pid_t pid = fork_child();

		if (pid == 0) {
			put(&a);
			_exit(0);
		}
		while (!done) {
			_cleanup_model_ struct model got = { 0 };
			_cleanup_free_ char *text = NULL;
			_cleanup_store_ struct store *s = open_store(STORE_READ);

			load(s, &got);
			text = dump(&got);
			done = got.subnets.n;
			cr_assert(!done || strcmp(text, text_a) == 0, "%s", text);
			cr_assert(now() < end, "the writer never came");
		}
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		remove_state();
	}
}

/* --- bad directories --- */

Test(store, missing_parent)
{
	snprintf(dir, sizeof(dir), "%s/no/state", top);
	assert_refused(STORE_WRITE, "cannot create the directory ", dir, "No such file",
		       "--state DIR", NULL);
	assert_stored(&empty);
}

Test(store, directory_is_a_file)
{
	_cleanup_close_ int fd = open(dir, O_WRONLY | O_CREAT, 0600);

	cr_assert_geq(fd, 0);
	assert_refused(STORE_WRITE, dir, "Not a directory", "--state DIR", NULL);
	assert_refused(STORE_READ, dir, "Not a directory", "--state DIR", NULL);
	snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/below");
	assert_refused(STORE_WRITE, dir, "Not a directory", "--state DIR", NULL);
	assert_refused(STORE_READ, dir, "Not a directory", "--state DIR", NULL);
}

Test(store, directory_writable_by_others)
{
	static const mode_t bad[] = { 0777, 0770, 0720, 0702, 01777 },
			    good[] = { 0700, 0755, 0750, 0711 };
	char text[16];

	put(&empty);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		chmod(dir, bad[i]);
		snprintf(text, sizeof(text), "(mode %04o)", bad[i]);
		assert_refused(STORE_WRITE, dir, text, "chmod go-w ", NULL);
		assert_refused(STORE_READ, dir, text, "chmod go-w ", NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		chmod(dir, good[i]);
		assert_stored(&empty);
	}
}

Test(store, directory_of_somebody_else)
{
	if (geteuid() != 0)
		skip("needs root");
	put(&empty);
	cr_assert_eq(chown(dir, 65534, 65534), 0);
	assert_refused(STORE_WRITE, dir, "user 65534", "chown root ", NULL);
	assert_refused(STORE_READ, dir, "user 65534", "chown root ", NULL);
}

Test(store, not_root)
{
	if (geteuid() != 0)
		skip("needs root");
	put(&empty);
	chmod(top, 0755);
	cr_assert_eq(seteuid(65534), 0);
	assert_refused(STORE_READ, in_dir("state.db"), "Permission denied", "run as root", NULL);
	assert_refused(STORE_WRITE, in_dir("lock"), "Permission denied", "run as root", NULL);
	snprintf(dir, sizeof(dir), "%s/other", top);
	assert_refused(STORE_WRITE, "create", dir, "Permission denied", "run as root", NULL);
	cr_assert_eq(seteuid(0), 0);
}

/* --- bad files --- */

Test(store, no_database)
{
	static const char text[] = "shared-network:\n  subnets: [100.64.0.0/16]\n";
	_cleanup_free_ uint8_t *after = NULL;
	size_t n;

	mkdir(dir, 0700);
	write_file("state.db", text, sizeof(text));
	assert_refused(STORE_WRITE, in_dir("state.db"), "is damaged (", "backup", NULL);
	assert_refused(STORE_READ, in_dir("state.db"), "is damaged (", "backup", NULL);
	after = read_file("state.db", &n);
	cr_assert_eq(n, sizeof(text));
	cr_assert_arr_eq(after, text, n);
}

Test(store, file_is_a_directory)
{
	mkdir(dir, 0700);
	mkdir(in_dir("state.db"), 0700);
	assert_refused(STORE_WRITE, in_dir("state.db"), NULL);
	assert_refused(STORE_READ, in_dir("state.db"), NULL);
}

/* --- other things in the place of its files --- */

static void make_fifo(const char *path)
{
	cr_assert_eq(mkfifo(path, 0600), 0);
}

static void make_dir(const char *path)
{
	cr_assert_eq(mkdir(path, 0700), 0);
}

static void make_link(const char *path)
{
	cr_assert_eq(symlink("/dev/null", path), 0);
}

static void make_loose(const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT, 0600);

	cr_assert_eq(fchmod(fd, 0602), 0);
}

static void make_strange(const char *path)
{
	make_loose(path);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_assert_eq(chown(path, 65534, 65534), 0);
}

/* None of them is waited for, followed, or believed. */
Test(store, other_things_in_the_place_of_files)
{
	static const char *const files[] = { "lock", "state.db", "state.db-wal", "state.db-shm",
					     "state.db-journal" };
	static const struct {
		void (*make)(const char *path);
		const char *what, *remedy;
	} things[] = { { make_fifo, "a FIFO", "move it away" },
		       { make_dir, "a directory", "move it away" },
		       { make_link, "a symbolic link", "move it away" },
		       { make_loose, "(mode 0602)", "chmod go-w" },
		       { make_strange, "user 65534", "chown root" } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(things); k++) {
			if (things[k].make == make_strange && geteuid() != 0)
				continue;
			put(&empty);
			remove(in_dir(files[i]));
			things[k].make(in_dir(files[i]));
			assert_refused(STORE_WRITE, in_dir(files[i]), things[k].what,
				       things[k].remedy, NULL);
			/* a reader takes no lock, and nobody is taken for its holder */
			cr_expect_eq(store_holder(dir), 0);
			if (i > 0)
				assert_refused(STORE_READ, in_dir(files[i]), things[k].what,
					       things[k].remedy, NULL);
			remove_state();
		}
	}
}

/* --- bad filesystems --- */

/* A filesystem of its own at `dir`, seen by this process only. */
static void mount_at_dir(const char *options)
{
	mkdir(dir, 0700);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", dir, "tmpfs", 0, options))
		skip("cannot mount: %s", strerror(errno));
}

static void remount(unsigned long flags, const char *options)
{
	cr_assert_eq(mount(NULL, dir, NULL, MS_REMOUNT | flags, options), 0, "%s", strerror(errno));
}

Test(store, read_only_filesystem)
{
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	mount_at_dir("mode=0700");
	put(&m);
	remount(MS_RDONLY, "mode=0700");
	assert_refused(STORE_WRITE, dir, "Read-only file system", "read-write", "--state DIR",
		       NULL);
	assert_stored(&m);
}

Test(store, read_only_filesystem_before_there_is_a_state)
{
	mount_at_dir("mode=0700");
	remount(MS_RDONLY, "mode=0700");
	assert_refused(STORE_WRITE, dir, "Read-only file system", "read-write", NULL);
	assert_stored(&empty);
	snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/new");
	assert_refused(STORE_WRITE, dir, "Read-only file system", "read-write", NULL);
	*strrchr(dir, '/') = '\0';
}

/* the odd characters are those that a URI would take for its own */
Test(store, odd_directory_names)
{
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	snprintf(dir, sizeof(dir), "%s/a b%%41?mode=memory#'\"\xc3\xb6", top);
	mount_at_dir("mode=0700");
	put(&m);
	assert_stored(&m);
	remount(MS_RDONLY, "mode=0700");
	assert_stored(&m);
}

static void commit_and_stay(void)
{
	struct model m;
	struct store *s = open_store(STORE_WRITE);

	rich(&m);
	save(s, &empty, &m);
	commit(s);
}

/* what was committed last is still in the log */
Test(store, read_only_filesystem_after_a_crash)
{
	_cleanup_model_ struct model m = { 0 };

	rich(&m);
	mount_at_dir("mode=0700");
	put(&empty);
	kill_child(spawn(commit_and_stay));
	cr_assert(exists("state.db-wal"));
	remount(MS_RDONLY, "mode=0700");
	assert_stored(&m);
}

Test(store, full_filesystem)
{
	struct tn_addr fixed = addr("10.0.0.1"), shared = addr("100.64.0.1");
	_cleanup_model_ struct model old = { 0 }, want = { 0 }, got = { 0 };
	struct error err = { 0 };
	struct store *s;
	struct tenant *t;

	rich(&old);
	add_prefix(&want.subnets, "100.64.0.0/16");
	t = add_tenant(&want, 1, "red");
	for (unsigned int i = 0; i < 50000; i++) {
		struct mapping *m = vec_push(&t->mappings);

		m->fixed = addr_add(&fixed, i);
		m->shared = addr_add(&shared, i);
	}
	mount_at_dir("mode=0700,size=512k");
	put(&old);
	s = open_store(STORE_WRITE);
	if (store_save(s, &old, &want, &err) == 0)
		cr_assert_eq(store_commit(s, &err), -1);
	cr_expect_not_null(strstr(err.text, in_dir("state.db")), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "no space left"), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "make room"), "%s", err.text);
	/* in the same store, and in one opened after it */
	load(s, &got);
	assert_same(&got, &old);
	store_close(s);
	assert_stored(&old);

	remount(0, "size=64m");
	put(&want);
	assert_stored(&want);
}

Test(store, full_filesystem_from_the_start)
{
	_cleanup_model_ struct model m = { 0 };
	char page[4096] = { 0 };
	int fd;

	rich(&m);
	mount_at_dir("mode=0700,size=64k");
	fd = open(in_dir("ballast"), O_WRONLY | O_CREAT, 0600);
	while (write(fd, page, sizeof(page)) > 0)
		;
	close(fd);
	assert_refused(STORE_WRITE, dir, "no space left", "make room", NULL);
	assert_stored(&empty);
	unlink(in_dir("ballast"));
	remount(0, "size=1m");
	put(&m);
	assert_stored(&m);
}
