/*
 * The store's promises when something goes wrong: kill -9, full disk, failed syncs, other
 * processes, other programs' files, the jail.
 */
#include "dir.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "store/schema.h"

/* Countdowns to one failing call; 0 = never. Stands before the C library's own, also for
 * libsqlite3. */
static int syncs_until_failure, writes_until_failure, write_errno;

int fdatasync(int fd);
int fsync(int fd);

static bool
is_due(int *countdown)
{
	return *countdown > 0 && --*countdown == 0;
}

int
fdatasync(int fd)
{
	if (!is_due(&syncs_until_failure))
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

int
fsync(int fd)
{
	return fdatasync(fd);
}

static ssize_t
failing_pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	if (!is_due(&writes_until_failure))
		return pwrite(fd, p, n, at);
	errno = write_errno;
	return -1;
}

static int
inject_setup(void **state)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)failing_pwrite64);
	return dir_setup(state);
}

static int
inject_teardown(void **state)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	syncs_until_failure = writes_until_failure = 0;
	vfs->xSetSystemCall(vfs, "pwrite64", NULL);
	return dir_teardown(state);
}

static struct store *
must_open(struct dir *d)
{
	struct err e;
	d->s = store_open(d->path, &e);
	if (!d->s)
		fail_msg("%s", e.text);
	return d->s;
}

static int
put_value(struct store *s, const char *key, struct err *e)
{
	if (store_begin(s, e) || store_meta_put(s, key, "1", e) || store_commit(s, e))
		return -1;
	return 0;
}

static bool
has_value(struct dir *d, const char *key)
{
	const char *v;
	struct err e;
	if (store_meta_get(d->s, key, d->a, &v, &e) == 0)
		return true;
	assert_int_equal(e.code, ERR_NOT_FOUND);
	return false;
}

/* ---- kill -9 ---- */

static int
write_and_die_before_commit(struct dir *d)
{
	struct err e;
	struct store *s = store_open(d->path, &e);
	if (!s || put_value(s, "committed", &e) || store_begin(s, &e) ||
	    store_meta_put(s, "open", "1", &e))
		return 1;
	raise(SIGKILL);
	return 2;
}

static void
a_kill_between_begin_and_commit_leaves_nothing_of_the_turn(void **state)
{
	struct dir *d = *state;
	struct err e;
	assert_int_equal(dir_in_child(write_and_die_before_commit, d), 256 + SIGKILL);
	must_open(d);
	assert_true(has_value(d, "committed"));
	assert_false(has_value(d, "open"));
	assert_ok(store_verify(d->s, &e), &e);
}

static int
write_and_die_after_commit(struct dir *d)
{
	struct err e;
	struct store *s = store_open(d->path, &e);
	struct store_event ev = {.device_id = "dev", .body = SPAN_LIT("1234")};
	int64_t seq;
	if (!s || store_begin(s, &e))
		return 1;
	for (int i = 0; i < 1000; i++)
		if (store_event_add(s, &ev, &seq, &e))
			return 1;
	if (store_meta_put(s, "last", "1", &e) || store_commit(s, &e))
		return 1;
	raise(SIGKILL);
	return 2;
}

static void
a_kill_after_commit_loses_nothing(void **state)
{
	struct dir *d = *state;
	struct err e;
	int64_t seq;
	assert_int_equal(dir_in_child(write_and_die_after_commit, d), 256 + SIGKILL);
	struct store *s = must_open(d);
	assert_true(has_value(d, "last"));
	assert_ok(store_verify(s, &e), &e);
	assert_ok(store_begin(s, &e), &e);
	assert_ok(
	    store_event_add(s, &(struct store_event){.device_id = "dev"}, &seq, &e), &e);
	assert_int_equal(seq, 1001);
}

/* ---- transactions ---- */

static void
a_write_outside_a_transaction_is_refused(void **state)
{
	struct dir *d = *state;
	struct store *s = must_open(d);
	struct err e;
	assert_fails(store_meta_put(s, "k", "v", &e), &e, INTERNAL);
	assert_fails(store_commit(s, &e), &e, INTERNAL);
	assert_ok(store_begin(s, &e), &e);
	assert_fails(store_begin(s, &e), &e, INTERNAL);
	assert_fails(store_checkpoint(s, &e), &e, INTERNAL);
	assert_ok(store_commit(s, &e), &e);
	assert_false(has_value(d, "k"));
}

static void
after_a_failed_write_the_turn_only_repeats_the_error_until_rollback(void **state)
{
	struct dir *d = *state;
	struct store *s = must_open(d);
	struct err e, first;
	int64_t seq;
	size_t len = 17 << 20;
	uint8_t *big = own_alloc(len);
	struct store_event ev = {.device_id = "dev", .body = {big, len}};
	assert_ok(store_begin(s, &e), &e);
	assert_ok(store_meta_put(s, "before", "1", &e), &e);
	assert_fails(store_event_add(s, &ev, &seq, &first), &first, LIMIT);
	assert_non_null(strstr(first.text, d->path));
	assert_fails(store_meta_put(s, "after", "1", &e), &e, LIMIT);
	assert_string_equal(e.text, first.text);
	assert_fails(store_commit(s, &e), &e, LIMIT);
	assert_true(store_in_transaction(s));
	store_rollback(s);
	assert_ok(put_value(s, "next", &e), &e);
	assert_false(has_value(d, "before"));
	assert_false(has_value(d, "after"));
	assert_true(has_value(d, "next"));
	free(big);
}

/* ---- disks ---- */

/* Three turns with the n-th call failing. Bit i of the result: turn i was acknowledged.
 */
static unsigned
run_turns(struct dir *d, struct err *e)
{
	static const char *const keys[] = {"0", "1", "2"};
	unsigned acknowledged = 0;
	for (unsigned i = 0; i < 3; i++) {
		if (put_value(d->s, keys[i], e) == 0)
			acknowledged |= 1u << i;
		else if (store_in_transaction(d->s))
			store_rollback(d->s);
	}
	return acknowledged;
}

/* What was acknowledged must be there after a restart. */
static void
check_turns(struct dir *d, unsigned acknowledged)
{
	static const char *const keys[] = {"0", "1", "2"};
	struct err e;
	must_open(d);
	for (unsigned i = 0; i < 3; i++)
		if (acknowledged & 1u << i)
			assert_true(has_value(d, keys[i]));
	assert_ok(store_verify(d->s, &e), &e);
	store_close(TAKE(d->s));
	char wal[128];
	snprintf(wal, sizeof(wal), "%s-wal", d->path);
	assert_int_equal(unlink(d->path), 0);
	assert_int_equal(unlink(wal), 0);
}

static void
any_write_that_fails_costs_its_turn_only_and_no_acknowledged_one(void **state)
{
	struct dir *d = *state;
	unsigned acknowledged = 0;
	for (int n = 1; n < 40 && acknowledged != 7; n++) {
		struct err e = {0};
		must_open(d);
		write_errno = n % 2 ? ENOSPC : EIO;
		writes_until_failure = n;
		acknowledged = run_turns(d, &e);
		writes_until_failure = 0;
		if (acknowledged != 7)
			assert_int_equal(e.code, n % 2 ? ERR_FULL : ERR_IO);
		/* one turn at most: the others went on */
		assert_true(
		    acknowledged != 0 && (acknowledged & (acknowledged - 1)) != 0);
		store_close(TAKE(d->s));
		check_turns(d, acknowledged);
	}
	assert_int_equal(acknowledged, 7); /* the loop went past the last write */
}

static void
after_a_sync_that_failed_nothing_is_acknowledged_until_a_restart(void **state)
{
	struct dir *d = *state;
	unsigned acknowledged = 0;
	int n = 0;
	for (n = 1; n < 20 && acknowledged != 7; n++) {
		struct err e = {0};
		must_open(d);
		syncs_until_failure = n;
		acknowledged = run_turns(d, &e);
		syncs_until_failure = 0;
		assert_true((acknowledged & (acknowledged + 1)) == 0); /* no later one */
		if (acknowledged != 7) {
			assert_int_equal(e.code, ERR_IO);
			assert_fails(store_begin(d->s, &e), &e, IO);
		}
		store_close(TAKE(d->s));
		check_turns(d, acknowledged);
	}
	assert_true(n > 3);
	assert_int_equal(acknowledged, 7);
}

static void
a_checkpoint_whose_sync_failed_ends_the_store(void **state)
{
	struct dir *d = *state;
	struct store *s = must_open(d);
	struct err e;
	assert_ok(put_value(s, "k", &e), &e);
	syncs_until_failure = 1;
	assert_fails(store_checkpoint(s, &e), &e, IO);
	assert_fails(store_begin(s, &e), &e, IO);
	assert_fails(store_checkpoint(s, &e), &e, IO);
	store_close(TAKE(d->s));
	must_open(d);
	assert_true(has_value(d, "k"));
}

static int
fill_tmpfs(struct dir *d)
{
	struct err e;
	int64_t seq, before = 0;
	char ballast[128], body[4096] = {1};
	snprintf(ballast, sizeof(ballast), "%s/ballast", d->root);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", d->root, "tmpfs", 0, "size=2m"))
		return 77;
	FILE *f = fopen(ballast, "w");
	for (int i = 0; i < 128; i++)
		if (fwrite(body, sizeof(body), 1, f) != 1)
			return 1;
	fclose(f);
	struct store *s = must_open(d);
	struct store_event ev = {.device_id = "d", .body = span_of(body, sizeof(body))};
	for (;;) {
		int failed = store_begin(s, &e) || store_event_add(s, &ev, &seq, &e) ||
			     store_commit(s, &e);
		if (failed)
			break;
		before = seq;
	}
	if (e.code != ERR_FULL || !strstr(e.text, d->path) || before < 10)
		return 2;
	store_rollback(s);
	if (unlink(ballast) || store_begin(s, &e) || store_event_add(s, &ev, &seq, &e) ||
	    store_commit(s, &e) || seq != before + 1 || store_verify(s, &e))
		return 3;
	return 0;
}

static void
a_full_disk_is_told_and_survived(void **state)
{
	int status = dir_in_child(fill_tmpfs, *state);
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

/* ---- the jail ---- */

static bool
forbid_files(void)
{
	static const int calls[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2),
	    SCMP_SYS(creat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
	    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(chmod), SCMP_SYS(socket)};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, calls[i], 0))
			return false;
	bool ok = seccomp_load(ctx) == 0;
	seccomp_release(ctx);
	return ok;
}

static int
on_event(void *ctx, const struct store_event *ev, struct err *e)
{
	return 0;
}

/* Some 40 MB through the WAL: past its limit, so that commits checkpoint by themselves.
 */
static int
work(struct store *s, struct err *e)
{
	static char body[2000];
	struct store_event ev = {.device_id = "dev", .body = span_of(body, sizeof(body))};
	const struct store_event_filter all = {.limit = -1};
	int64_t n;
	for (int turn = 0; turn < 40; turn++) {
		if (store_begin(s, e))
			return -1;
		for (int i = 0; i < 500; i++)
			if (store_event_add(s, &ev, &n, e))
				return -1;
		if (store_event_trim(s, 0, 8 << 20, 1000, &n, e) || store_commit(s, e))
			return -1;
	}
	if (store_checkpoint(s, e) || store_begin(s, e) || store_event_add(s, &ev, &n, e))
		return -1;
	store_rollback(s);
	if (store_event_each(s, &all, on_event, NULL, e) || store_verify(s, e))
		return -1;
	return put_value(s, "done", e);
}

static off_t
size_of(struct dir *d, const char *suffix)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s%s", d->path, suffix);
	return stat(path, &st) ? -1 : st.st_size;
}

static int
work_in_jail(struct dir *d)
{
	struct err e;
	struct store *s = store_open(d->path, &e);
	if (!s || !forbid_files())
		return 1;
	if (work(s, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	if (size_of(d, "-wal") > 24 << 20 || size_of(d, "-shm") != -1)
		return 3;
	store_close(s);
	return 0;
}

static void
after_open_no_file_is_opened_or_removed_not_even_by_close(void **state)
{
	struct dir *d = *state;
	assert_int_equal(dir_in_child(work_in_jail, d), 0);
	must_open(d);
	assert_true(has_value(d, "done"));
	/* and once more over files that are there already */
	store_close(TAKE(d->s));
	assert_int_equal(dir_in_child(work_in_jail, d), 0);
}

/* ---- other processes ---- */

static void
a_second_process_is_told_busy_and_a_second_open_drops_no_lock(void **state)
{
	struct dir *d = *state;
	struct err e;
	int go[2];
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(go[1]);
		ssize_t n = read(go[0], &c, 1);
		struct store *s = n == 1 ? store_open(d->path, &e) : NULL;
		_exit(!s && n == 1 && e.code == ERR_BUSY && strstr(e.text, d->path) ? 0
										    : 1);
	}
	close(go[0]);
	must_open(d);
	assert_null(store_open(d->path, &e)); /* of this same process */
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(write(go[1], "x", 1), 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(go[1]);
	assert_ok(put_value(d->s, "k", &e), &e);
}

/* ---- files ---- */

static mode_t
mode_of(const char *root, const char *name)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
files_are_0600_whatever_the_umask(void **state)
{
	struct dir *d = *state;
	for (int i = 0; i < 2; i++) {
		mode_t was = umask(i ? 0277 : 0);
		must_open(d);
		umask(was);
		assert_int_equal(mode_of(d->root, "file"), 0600);
		assert_int_equal(mode_of(d->root, "file-wal"), 0600);
		store_close(TAKE(d->s));
		assert_int_equal(unlink(d->path), 0);
	}
}

static void
a_file_others_may_read_is_refused(void **state)
{
	struct dir *d = *state;
	struct err e;
	must_open(d);
	store_close(TAKE(d->s));
	assert_int_equal(chmod(d->path, 0640), 0);
	assert_null(store_open(d->path, &e));
	assert_int_equal(e.code, ERR_PERM);
	assert_non_null(strstr(e.text, "0640"));
	assert_int_equal(mode_of(d->root, "file"), 0640);
}

static void
a_symbolic_link_or_missing_directory_is_refused(void **state)
{
	struct dir *d = *state;
	struct err e;
	assert_int_equal(symlink("copy", d->path), 0);
	assert_null(store_open(d->path, &e));
	assert_int_equal(e.code, ERR_IO);
	char path[128];
	snprintf(path, sizeof(path), "%s/absent/file", d->root);
	assert_null(store_open(path, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.text, path));
}

static void
write_at(const char *path, off_t at, const char *bytes, size_t n)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
}

static void
a_file_that_is_no_database_is_corrupt(void **state)
{
	struct dir *d = *state;
	struct err e;
	char junk[4096];
	memset(junk, 'j', sizeof(junk));
	write_at(d->path, 0, junk, sizeof(junk));
	assert_null(store_open(d->path, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_non_null(strstr(e.text, d->path));
}

static void
verify_finds_a_damaged_page(void **state)
{
	struct dir *d = *state;
	struct err e;
	struct stat empty, st;
	must_open(d);
	store_close(TAKE(d->s));
	assert_int_equal(stat(d->path, &empty), 0);
	struct store *s = must_open(d);
	assert_ok(store_begin(s, &e), &e);
	for (int i = 0; i < 500; i++) {
		char id[16];
		snprintf(id, sizeof(id), "dev-%d", i);
		assert_ok(store_device_add(s, &(struct store_device){.id = id}, &e), &e);
	}
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
	store_close(TAKE(d->s));
	char junk[2048];
	memset(junk, 0x5a, sizeof(junk));
	assert_int_equal(stat(d->path, &st), 0);
	assert_true(st.st_size > empty.st_size);
	for (off_t at = empty.st_size; at < st.st_size; at += 4096)
		write_at(d->path, at, junk, sizeof(junk));
	must_open(d);
	assert_fails(store_verify(d->s, &e), &e, CORRUPT);
	assert_non_null(strstr(e.text, d->path));
}

/* ---- schema ---- */

static void
raw(const char *path, const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(chmod(path, 0600), 0);
}

static void
an_empty_file_is_migrated_from_the_start(void **state)
{
	struct dir *d = *state;
	struct err e;
	write_at(d->path, 0, "", 0);
	assert_int_equal(mode_of(d->root, "file"), 0600);
	must_open(d);
	assert_ok(put_value(d->s, "k", &e), &e);
	assert_ok(store_verify(d->s, &e), &e);
}

static void
a_schema_newer_than_the_program_is_refused_naming_both(void **state)
{
	struct dir *d = *state;
	struct err e;
	char ours[32];
	must_open(d);
	store_close(TAKE(d->s));
	raw(d->path, "PRAGMA user_version = 99");
	assert_null(store_open(d->path, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	snprintf(ours, sizeof(ours), "program's %zu;", schema_steps_n);
	assert_non_null(strstr(e.text, "version 99"));
	assert_non_null(strstr(e.text, ours));
}

static void
another_programs_database_is_refused_and_left_alone(void **state)
{
	struct dir *d = *state;
	struct err e;
	raw(d->path, "CREATE TABLE theirs (x); PRAGMA journal_mode = DELETE");
	struct stat was, is;
	assert_int_equal(stat(d->path, &was), 0);
	assert_null(store_open(d->path, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_int_equal(stat(d->path, &is), 0);
	assert_memory_equal(&was.st_mtim, &is.st_mtim, sizeof(was.st_mtim));
}

static int
objects(sqlite3 *db)
{
	sqlite3_stmt *q;
	const char sql[] = "SELECT count(*) FROM sqlite_schema";
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	int n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return n;
}

static void
migrations_run_in_order_and_a_failed_one_leaves_the_last_whole_step(void **state)
{
	struct dir *d = *state;
	struct err e;
	int version;
	sqlite3 *db;
	struct schema_step steps[] = {
	    {"0001-a.sql", "CREATE TABLE a (x);"},
	    {"0002-b.sql", "CREATE TABLE b (x); ALTER TABLE missing ADD y;"},
	    {"0003-c.sql", "ALTER TABLE b ADD y; CREATE TABLE c (x);"},
	};
	assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
	assert_fails(schema_migrate(db, d->path, steps, 3, &e), &e, INTERNAL);
	assert_non_null(strstr(e.text, "0002-b.sql"));
	assert_ok(schema_check(db, d->path, 3, &version, &e), &e);
	assert_int_equal(version, 1);
	assert_int_equal(objects(db), 1);
	steps[1].sql = "CREATE TABLE b (x);";
	assert_ok(schema_migrate(db, d->path, steps, 3, &e), &e);
	assert_ok(schema_check(db, d->path, 3, &version, &e), &e);
	assert_int_equal(version, 3);
	assert_int_equal(objects(db), 3);
	assert_ok(schema_migrate(db, d->path, steps, 3, &e), &e); /* nothing twice */
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define IN_DIR(f)   cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)
#define INJECTED(f) cmocka_unit_test_setup_teardown(f, inject_setup, inject_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(a_kill_between_begin_and_commit_leaves_nothing_of_the_turn),
	    IN_DIR(a_kill_after_commit_loses_nothing),
	    IN_DIR(a_write_outside_a_transaction_is_refused),
	    IN_DIR(after_a_failed_write_the_turn_only_repeats_the_error_until_rollback),
	    INJECTED(any_write_that_fails_costs_its_turn_only_and_no_acknowledged_one),
	    INJECTED(after_a_sync_that_failed_nothing_is_acknowledged_until_a_restart),
	    INJECTED(a_checkpoint_whose_sync_failed_ends_the_store),
	    IN_DIR(a_full_disk_is_told_and_survived),
	    IN_DIR(after_open_no_file_is_opened_or_removed_not_even_by_close),
	    IN_DIR(a_second_process_is_told_busy_and_a_second_open_drops_no_lock),
	    IN_DIR(files_are_0600_whatever_the_umask),
	    IN_DIR(a_file_others_may_read_is_refused),
	    IN_DIR(a_symbolic_link_or_missing_directory_is_refused),
	    IN_DIR(a_file_that_is_no_database_is_corrupt),
	    IN_DIR(verify_finds_a_damaged_page),
	    IN_DIR(an_empty_file_is_migrated_from_the_start),
	    IN_DIR(a_schema_newer_than_the_program_is_refused_naming_both),
	    IN_DIR(another_programs_database_is_refused_and_left_alone),
	    IN_DIR(migrations_run_in_order_and_a_failed_one_leaves_the_last_whole_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
