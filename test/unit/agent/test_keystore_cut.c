/*
 * Power cuts. The linker wraps the calls that change files; a child makes a switch of
 * credentials and dies at the n-th of them: a write is torn in the middle, and what was
 * written but not synced is lost. Whatever n, the device must be left with a usable
 * credential, and the same switch, made again, must succeed
 * (field report: "new certificate, old key, or half a file, after a cut").
 */
#include "kit.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/anchors.h"
#include "agent/renew.h"
#include "io/file.h"

#define DIED 42

/* --- the disk that forgets --- */

static int cut_at; /* 0: never */
static int calls;

static struct {
	int fd, copy; /* copy: ours, lives on when fd is closed */
	off_t synced; /* length that a cut leaves */
} unsynced[64];
static size_t n_unsynced;

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_chmod(const char *path, mode_t mode);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_rename(const char *a, const char *b);
int __real_link(const char *a, const char *b);
int __real_unlink(const char *path);
int __real_unlinkat(int dir, const char *path, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __real_fchmod(int fd, mode_t mode);
int __real_ftruncate(int fd, off_t len);

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t at);
int __wrap_ftruncate64(int fd, off_t len);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __wrap_chmod(const char *path, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *a, const char *b);
int __wrap_link(const char *a, const char *b);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_ftruncate(int fd, off_t len);

static void
power_cut(void)
{
	for (size_t i = 0; i < n_unsynced; i++)
		if (unsynced[i].copy >= 0 &&
		    __real_ftruncate(unsynced[i].copy, unsynced[i].synced))
			_exit(1);
	_exit(DIED);
}

static bool
is_cut(void)
{
	return cut_at && ++calls == cut_at;
}

static void
before(void)
{
	if (is_cut())
		power_cut();
}

static void
note_unsynced(int fd)
{
	struct stat st;
	if (!cut_at || fstat(fd, &st) || !S_ISREG(st.st_mode) || n_unsynced == 64)
		return;
	for (size_t i = 0; i < n_unsynced; i++)
		if (unsynced[i].fd == fd && unsynced[i].copy >= 0)
			return;
	unsynced[n_unsynced].fd = fd;
	unsynced[n_unsynced].copy = dup(fd);
	unsynced[n_unsynced++].synced = st.st_size;
}

static void
note_synced(int fd)
{
	for (size_t i = 0; i < n_unsynced; i++) {
		if (unsynced[i].fd != fd || unsynced[i].copy < 0)
			continue;
		close(unsynced[i].copy);
		unsynced[i].copy = -1;
	}
}

static int
open_cut(const char *path, int flags, mode_t mode)
{
	if (flags & O_CREAT)
		before();
	return __real_open(path, flags, mode);
}

static mode_t
mode_of(int flags, va_list ap)
{
	return flags & O_CREAT ? va_arg(ap, mode_t) : 0;
}

/* Both names of what has two: large file support renames the calls. */
int
__wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = mode_of(flags, ap);
	va_end(ap);
	return open_cut(path, flags, mode);
}

int
__wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = mode_of(flags, ap);
	va_end(ap);
	return open_cut(path, flags, mode);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	note_unsynced(fd);
	if (!is_cut())
		return __real_write(fd, p, n);
	if (__real_write(fd, p, n / 2) < 0)
		_exit(1);
	_exit(DIED); /* this half did reach the disk: the other way to tear a file */
}

ssize_t
__wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	note_unsynced(fd);
	if (!is_cut())
		return __real_pwrite(fd, p, n, at);
	if (__real_pwrite(fd, p, n / 2, at) < 0)
		_exit(1);
	_exit(DIED);
}

ssize_t
__wrap_pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return __wrap_pwrite(fd, p, n, at);
}

int
__wrap_fsync(int fd)
{
	before();
	note_synced(fd);
	return __real_fsync(fd);
}

int
__wrap_fdatasync(int fd)
{
	before();
	note_synced(fd);
	return __real_fdatasync(fd);
}

#define WRAP(decl, call)                                                                 \
	int decl                                                                         \
	{                                                                                \
		before();                                                                \
		return call;                                                             \
	}
WRAP(__wrap_rename(const char *a, const char *b), __real_rename(a, b))
WRAP(__wrap_link(const char *a, const char *b), __real_link(a, b))
WRAP(__wrap_unlink(const char *path), __real_unlink(path))
WRAP(__wrap_unlinkat(int dir, const char *path, int flags),
    __real_unlinkat(dir, path, flags))
WRAP(__wrap_mkdir(const char *path, mode_t mode), __real_mkdir(path, mode))
WRAP(__wrap_rmdir(const char *path), __real_rmdir(path))
WRAP(__wrap_chmod(const char *path, mode_t mode), __real_chmod(path, mode))
WRAP(__wrap_fchmod(int fd, mode_t mode), __real_fchmod(fd, mode))
WRAP(__wrap_ftruncate(int fd, off_t len), __real_ftruncate(fd, len))
WRAP(__wrap_ftruncate64(int fd, off_t len), __real_ftruncate(fd, len))

/* --- switches --- */

static void
need(int failed, const struct err *e)
{
	if (!failed)
		return;
	fprintf(stderr, "%s\n", e->text);
	_exit(1);
}

static struct keystore *
opened(const char *dir)
{
	struct err e;
	struct keystore *k;
	need(keystore_open(dir, &k, &e) || keystore_lock(k, &e), &e);
	return k;
}

static void
migrate(const char *dir)
{
	struct err e;
	struct keystore *k = opened(dir);
	struct keystore_ref r;
	struct key *key;
	struct buf chain = BUF_INIT(CERT_PEM_MAX);
	struct keystore_credential c = {0};
	struct keystore_assignment a = {.hub = "hub.example", .device_id = KIT_ID};
	need(keystore_keygen(k, &kit_place, &r, &key, &e), &e);
	kit_leaf(KIT_ID, key, &chain);
	need(keystore_install(k, &r, buf_span(&chain), KIT_ID, kit_now_ms(), &c, &e), &e);
	need(keystore_set_proven(k, &r, &a, kit_now_ms(), &e), &e);
	need(keystore_promote(k, &r, kit_now_ms(), &e), &e);
	need(keystore_prune(k, 2, &e), &e);
	keystore_credential_done(&c);
	key_free(key);
	buf_done(&chain);
	keystore_close(k);
}

static void
revert(const char *dir)
{
	struct err e;
	struct keystore *k = opened(dir);
	struct keystore_ref r;
	need(keystore_revert(k, kit_now_ms(), &r, &e), &e);
	keystore_close(k);
}

static void
nothing(const char *dir)
{
}

static void
migrate_four_times(const char *dir)
{
	for (int i = 0; i < 4; i++)
		migrate(dir);
}

/* --- a whole renewal, with an outside that always works --- */

static int
on_checkin(void *arg, const struct keystore_credential *c, const struct renew_report *r,
    struct renew_checkin *ret, struct err *e)
{
	*ret = (struct renew_checkin){.now_ms = kit_now_ms(),
	    .leaf_not_before_ms = 1,
	    .leaf_not_after_ms = INT64_MAX,
	    .ca_tag = "ab"};
	return 0;
}

/* The present root and another: the set grows, then nothing is dropped. */
static int
on_cacerts(void *arg, struct buf *ret, struct err *e)
{
	auto_(key_free) struct key *key = key_generate(KEY_P256, e);
	kit_foreign_root(key, ret);
	buf_put_span(ret, kit_root_pem());
	return 0;
}

static int
on_enrol(void *arg, const struct keystore_credential *c, struct key *key, struct buf *ret,
    struct renew_later *later, struct err *e)
{
	kit_leaf(KIT_ID, key, ret);
	return 0;
}

static int
on_prove(void *arg, const struct keystore_credential *c, struct keystore_assignment *ret,
    struct err *e)
{
	*ret = (struct keystore_assignment){"hub.example", KIT_ID};
	return 0;
}

static int
on_take_up(void *arg, const struct keystore_ref *r, struct err *e)
{
	return 0;
}

static int
on_try_anchors(void *arg, struct span pem, struct err *e)
{
	return 0;
}

static void
renew_run_told(const char *dir)
{
	static const struct renew_ops ops = {
	    on_checkin, on_cacerts, on_enrol, on_prove, on_take_up, on_try_anchors};
	struct err e;
	struct agent_config cfg;
	struct clock_floor time;
	struct renew_outcome out;
	struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	agent_config_defaults(&cfg, a);
	cfg.device.id = KIT_ID;
	cfg.est.host = "127.0.0.1";
	cfg.auth.keep_generations = 2;
	clock_floor_init(&time, &clock_system, 0);
	struct renew_opts o = {
	    .dir = dir, .cfg = &cfg, .time = &time, .told = true, .ops = &ops};
	need(renew_run(&o, &out, &e), &e);
	arena_free(a);
}

static void
fall_back(const char *dir)
{
	struct err e;
	struct keystore *k = opened(dir);
	struct keystore_ref r;
	need(keystore_fall_back(k, kit_now_ms(), &r, &e), &e);
	keystore_close(k);
}

static void
go_on_with_the_old_set(const char *dir)
{
	struct err e;
	struct agent_config cfg = {.dps.ca_file = "ca.pem"};
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	kit_foreign_root(key, &pem);
	need(anchors_stage(dir, &cfg, buf_span(&pem), &e) ||
		 anchors_settle(dir, &cfg, &e) || anchors_undo(dir, &cfg, &e),
	    &e);
}

/* --- the cuts --- */

static struct keystore_ref
assert_usable(const char *dir, int n)
{
	struct err e;
	auto_(keystore_close) struct keystore *k = NULL;
	auto_keystore_credential c = {0};
	struct keystore_ref r;
	if (keystore_open(dir, &k, &e) || keystore_active(k, &r, &e) ||
	    keystore_load(k, &r, &c, &e))
		fail_msg("cut %d: no usable credential: %s", n, e.text);
	struct err none;
	struct keystore_ref previous;
	auto_keystore_credential p = {0};
	struct agent_config cfg = {.dps.ca_file = "ca.pem"};
	struct renew_report anchors;
	if (anchors_report(dir, &cfg, &anchors, &e) || !anchors.n_anchors)
		fail_msg("cut %d: no server can be verified: %s", n, e.text);
	if (keystore_previous(k, &previous, &none) == 0 &&
	    keystore_load(k, &previous, &p, &e))
		fail_msg("cut %d: nothing to go back to: %s", n, e.text);
	return r;
}

/* Runs fn in a child that is cut at its n-th call; true when it was. */
static bool
cut(void (*fn)(const char *dir), const char *dir, int n)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		cut_at = n;
		calls = 0;
		fn(dir);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == DIED)
		return true;
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* Cuts fn at every call it makes, each time in a fresh device that before has prepared;
 * then makes the switch again. */
static void
cut_everywhere(void (*prepare)(const char *dir), void (*fn)(const char *dir),
    int at_least, bool x509)
{
	int n = 1;
	for (bool was_cut = true; was_cut; n++) {
		char *top = kit_dir();
		char *dir = kit_device(top, "");
		prepare(dir);
		was_cut = cut(fn, dir, n);
		assert_usable(dir, n);
		if (was_cut)
			fn(dir);
		struct keystore_ref r = assert_usable(dir, n);
		assert_int_equal(r.x509, x509);
		free(dir);
		kit_dir_done(top);
	}
	/* a seam that counts nothing would prove nothing */
	assert_true(n > at_least);
}

static void
a_cut_of_the_migration_leaves_sas_or_x509(void **state)
{
	cut_everywhere(nothing, migrate, 35, true);
}

static void
a_cut_of_a_renewal_leaves_the_old_or_the_new_pair(void **state)
{
	cut_everywhere(migrate_four_times, migrate, 35, true);
}

static void
a_cut_of_the_way_back_leaves_sas_or_x509(void **state)
{
	cut_everywhere(migrate, revert, 8, false);
}

static void
a_cut_of_a_run_of_renewal_leaves_a_pair_and_the_next_run_ends_it(void **state)
{
	cut_everywhere(migrate_four_times, renew_run_told, 60, true);
}

static void
a_cut_of_falling_back_leaves_a_pair(void **state)
{
	cut_everywhere(migrate_four_times, fall_back, 12, true);
}

static void
a_cut_of_changing_anchors_leaves_some(void **state)
{
	cut_everywhere(nothing, go_on_with_the_old_set, 30, false);
}

static int
make_pki(void **state)
{
	kit_pki();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_cut_of_the_migration_leaves_sas_or_x509),
	    cmocka_unit_test(a_cut_of_a_renewal_leaves_the_old_or_the_new_pair),
	    cmocka_unit_test(a_cut_of_the_way_back_leaves_sas_or_x509),
	    cmocka_unit_test(
		a_cut_of_a_run_of_renewal_leaves_a_pair_and_the_next_run_ends_it),
	    cmocka_unit_test(a_cut_of_falling_back_leaves_a_pair),
	    cmocka_unit_test(a_cut_of_changing_anchors_leaves_some),
	};
	return cmocka_run_group_tests(tests, make_pki, NULL);
}
