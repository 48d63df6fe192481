/*
 * Files: exact modes, secrets, replacement, the growing file, locks, full disks.
 * RLIMIT_FSIZE makes a write fail half-way.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

#include "io/file.h"

static char dir[] = "/tmp/muster-unit-XXXXXX";

static const char *
at(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, PATH_MAX, "%s/%s", dir, name);
	return p;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static int
entries(void)
{
	int n = 0;
	DIR *d = opendir(dir);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void
assert_holds(const char *path, const char *want)
{
	struct err e;
	auto_buf b = BUF_INIT(4096);
	assert_ok(file_read(path, &b, &e), &e);
	assert_string_equal(buf_text(&b), want);
}

static void
write_replaces_with_the_exact_mode_whatever_the_umask(void **state)
{
	(void)state;
	struct err e;
	mode_t was = umask(0777);
	assert_ok(file_write(at("w"), SPAN_LIT("one"), 0644, &e), &e);
	umask(0);
	assert_int_equal(mode_of(at("w")), 0644);
	assert_ok(file_write(at("w"), SPAN_LIT("two"), 0600, &e), &e);
	umask(was);
	assert_int_equal(mode_of(at("w")), 0600);
	assert_holds(at("w"), "two");
}

static void
write_new_leaves_what_is_there(void **state)
{
	(void)state;
	struct err e;
	assert_ok(file_write_new(at("n"), SPAN_LIT("one"), 0600, &e), &e);
	assert_fails(file_write_new(at("n"), SPAN_LIT("two"), 0600, &e), &e, EXISTS);
	assert_non_null(strstr(e.text, at("n")));
	assert_holds(at("n"), "one");
}

static void
a_failed_write_leaves_the_old_file_and_no_litter(void **state)
{
	(void)state;
	struct err e;
	assert_ok(file_write(at("f"), SPAN_LIT("old"), 0600, &e), &e);
	pid_t child = fork();
	if (child == 0) {
		static uint8_t big[65536];
		signal(SIGXFSZ, SIG_IGN);
		struct rlimit l = {1000, 1000};
		setrlimit(RLIMIT_FSIZE, &l);
		int failed = file_write(at("f"), span_of(big, sizeof(big)), 0600, &e);
		_exit(failed && e.sys == EFBIG ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_holds(at("f"), "old");
	assert_int_equal(entries(), 1);
}

static void
read_names_the_path_and_keeps_to_its_cap(void **state)
{
	(void)state;
	struct err e;
	assert_ok(file_write(at("r"), SPAN_LIT("0123456789"), 0600, &e), &e);
	auto_buf b = BUF_INIT(9);
	assert_fails(file_read(at("r"), &b, &e), &e, LIMIT);
	assert_int_equal(b.len, 0);
	auto_buf just = BUF_INIT(10);
	assert_ok(file_read(at("r"), &just, &e), &e);
	assert_string_equal(buf_text(&just), "0123456789");
	assert_fails(file_read(at("none"), &b, &e), &e, NOT_FOUND);
	assert_non_null(strstr(e.text, at("none")));
	assert_fails(file_read(dir, &b, &e), &e, PERM);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_fails(file_read(at("fifo"), &b, &e), &e, PERM);
}

static void
a_secret_that_others_may_read_is_refused_with_the_chmod(void **state)
{
	(void)state;
	struct err e;
	auto_buf b = BUF_INIT(100);
	assert_ok(file_write(at("key"), SPAN_LIT("k"), 0640, &e), &e);
	assert_fails(file_read_secret(at("key"), &b, &e), &e, PERM);
	assert_non_null(strstr(e.text, "chmod 600"));
	assert_int_equal(b.len, 0);
	assert_int_equal(chmod(at("key"), 0600), 0);
	assert_ok(file_read_secret(at("key"), &b, &e), &e);
	assert_true(b.secret);
	assert_int_equal(symlink(at("key"), at("link")), 0);
	assert_fails(file_check_secret(at("link"), &e), &e, PERM);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(at("key"), 12345, (gid_t)-1), 0);
	assert_fails(file_check_secret(at("key"), &e), &e, PERM);
	assert_non_null(strstr(e.text, "chown"));
}

static void
mkdir_makes_parents_and_keeps_modes_of_what_was_there(void **state)
{
	(void)state;
	struct err e;
	mode_t was = umask(0777);
	assert_ok(file_mkdir(at("d/e/f/"), 0700, &e), &e);
	umask(was);
	assert_int_equal(mode_of(at("d/e/f")), 0700);
	assert_int_equal(chmod(at("d"), 0755), 0);
	assert_ok(file_mkdir(at("d/e"), 0700, &e), &e);
	assert_int_equal(mode_of(at("d")), 0755);
	assert_ok(file_write(at("d/file"), SPAN_LIT(""), 0600, &e), &e);
	assert_fails(file_mkdir(at("d/file/sub"), 0700, &e), &e, EXISTS);
	assert_fails(file_mkdir("", 0700, &e), &e, USAGE);
}

static void
remove_tree_follows_no_link(void **state)
{
	(void)state;
	struct err e;
	assert_ok(file_mkdir(at("t/a/b"), 0700, &e), &e);
	assert_ok(file_write(at("t/a/b/x"), SPAN_LIT("x"), 0600, &e), &e);
	assert_ok(file_mkdir(at("outside"), 0700, &e), &e);
	assert_ok(file_write(at("outside/y"), SPAN_LIT("y"), 0600, &e), &e);
	assert_int_equal(symlink(at("outside"), at("t/a/link")), 0);
	assert_ok(file_remove_tree(at("t"), &e), &e);
	assert_false(file_exists(at("t")));
	assert_holds(at("outside/y"), "y");
	assert_ok(file_remove_tree(at("t"), &e), &e);
	assert_fails(file_remove_tree(at("outside/y"), &e), &e, NOT_FOUND);
}

static void
an_append_that_fails_is_cut_back_whole(void **state)
{
	(void)state;
	struct err e;
	struct file_append *f;
	uint64_t len = 99;
	assert_ok(file_append_open(at("j"), 0600, &f, &len, &e), &e);
	assert_int_equal(len, 0);
	assert_ok(file_append(f, SPAN_LIT("first\n"), &e), &e);
	assert_ok(file_append_sync(f, &e), &e);
	pid_t child = fork();
	if (child == 0) {
		static uint8_t big[65536];
		signal(SIGXFSZ, SIG_IGN);
		struct rlimit l = {1000, 1000};
		setrlimit(RLIMIT_FSIZE, &l);
		if (!file_append(f, span_of(big, sizeof(big)), &e))
			_exit(1);
		_exit(file_append(f, SPAN_LIT("second\n"), &e) ? 2 : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	file_append_close(f);
	assert_holds(at("j"), "first\nsecond\n");
	assert_ok(file_append_open(at("j"), 0600, &f, &len, &e), &e);
	assert_int_equal(len, 13);
	assert_ok(file_append_cut(f, 6, &e), &e);
	assert_ok(file_append(f, SPAN_LIT("third\n"), &e), &e);
	file_append_close(f);
	assert_holds(at("j"), "first\nthird\n");
}

static void
a_lock_names_its_holder_and_dies_with_it(void **state)
{
	(void)state;
	struct err e;
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd;
		ssize_t n = file_lock(at("lock"), &fd, &e) ? 0 : write(ready[1], "x", 1);
		pause();
		_exit((int)n);
	}
	char c, want[64];
	assert_int_equal(read(ready[0], &c, 1), 1);
	int fd = -1;
	assert_fails(file_lock(at("lock"), &fd, &e), &e, EXISTS);
	snprintf(want, sizeof(want), "in use by process %d", (int)child);
	assert_non_null(strstr(e.text, want));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_ok(file_lock(at("lock"), &fd, &e), &e);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

/* A small tmpfs in a mount namespace of its own; skipped where that is not allowed. */
static void
a_full_disk_is_err_full(void **state)
{
	(void)state;
	struct err e;
	uint64_t left;
	assert_ok(file_free_bytes(dir, &left, &e), &e);
	pid_t child = fork();
	if (child == 0) {
		static uint8_t big[1 << 20];
		if (unshare(CLONE_NEWNS) ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", dir, "tmpfs", 0, "size=64k"))
			_exit(77);
		struct span data = span_of(big, sizeof(big));
		struct file_append *f;
		if (!file_write(at("big"), data, 0600, &e) || e.code != ERR_FULL ||
		    entries() != 0)
			_exit(1);
		if (file_append_open(at("log"), 0600, &f, NULL, &e) ||
		    !file_append(f, data, &e) || e.code != ERR_FULL)
			_exit(2);
		file_append_close(f);
		_exit(file_free_bytes(dir, &left, &e) || left > 65536 ? 3 : 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	(void)state;
	struct err e;
	return file_remove_tree(dir, &e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_failed_write_leaves_the_old_file_and_no_litter),
	    cmocka_unit_test(write_replaces_with_the_exact_mode_whatever_the_umask),
	    cmocka_unit_test(write_new_leaves_what_is_there),
	    cmocka_unit_test(read_names_the_path_and_keeps_to_its_cap),
	    cmocka_unit_test(a_secret_that_others_may_read_is_refused_with_the_chmod),
	    cmocka_unit_test(mkdir_makes_parents_and_keeps_modes_of_what_was_there),
	    cmocka_unit_test(remove_tree_follows_no_link),
	    cmocka_unit_test(an_append_that_fails_is_cut_back_whole),
	    cmocka_unit_test(a_lock_names_its_holder_and_dies_with_it),
	    cmocka_unit_test(a_full_disk_is_err_full),
	};
	return cmocka_run_group_tests_name("io/file", tests, make_dir, remove_dir);
}
