/*
 * The campaign file: what was committed survives kill -9, at any moment; nothing else
 * does.
 */
#include "../test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"
#include "store/campaign.h"

struct place {
	char dir[64], file[96];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	snprintf(p->dir, sizeof(p->dir), "/tmp/muster-campaign-XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->file, sizeof(p->file), "%s/campaign.db", p->dir);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	struct err e;
	int failed = file_remove_tree(p->dir, &e);
	free(p);
	return failed;
}

static struct campaign_device
device(const char *id, int64_t ord)
{
	return (struct campaign_device){
	    .id = id, .ord = ord, .wave = 1, .state = "planned", .identity = "{\"k\":1}"};
}

static void
rows_come_back_as_they_were_written(void **state)
{
	struct place *p = *state;
	struct err e;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	auto_(campaign_close) struct campaign *c = campaign_create(p->file, &e);
	assert_non_null(c);
	struct campaign_device d = device("dev-1", 0), got;
	d.reason = "disk full";
	d.proof_seq = 42;
	assert_ok(campaign_device_add(c, &d, &e), &e);
	assert_ok(campaign_device_get(c, "dev-1", a, &got, &e), &e);
	assert_string_equal(got.reason, "disk full");
	assert_string_equal(got.fix, "");
	assert_int_equal(got.proof_seq, 42);
	assert_fails(campaign_device_add(c, &d, &e), &e, EXISTS);
	assert_fails(campaign_device_get(c, "dev-2", a, &got, &e), &e, NOT_FOUND);
	d.id = "dev-2";
	assert_fails(campaign_device_put(c, &d, &e), &e, NOT_FOUND);
}

static void
the_file_is_the_owners_alone(void **state)
{
	struct place *p = *state;
	struct err e;
	struct stat st;
	mode_t was = umask(0);
	campaign_close(campaign_create(p->file, &e));
	umask(was);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_null(campaign_create(p->file, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(chmod(p->file, 0640), 0);
	assert_null(campaign_open(p->file, &e));
	assert_int_equal(e.code, ERR_PERM);
}

static void
foreign_and_newer_files_are_refused(void **state)
{
	struct place *p = *state;
	struct err e;
	assert_ok(
	    file_write(p->file, SPAN_LIT("no database at all, just some text"), 0600, &e),
	    &e);
	assert_null(campaign_open(p->file, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_ok(file_write(p->file, SPAN_NONE, 0600, &e), &e);
	assert_null(campaign_open(p->file, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
}

static int
visit_stage(void *ctx, const struct campaign_stage *row, struct err *e)
{
	assert_int_equal(row->before, 0);
	assert_int_equal(row->after, 5);
	return 0;
}

static void
a_stage_keeps_its_first_before(void **state)
{
	struct place *p = *state;
	struct err e;
	auto_(campaign_close) struct campaign *c = campaign_create(p->file, &e);
	struct campaign_stage s = {
	    .name = "device", .what = "w", .before = 0, .after = 5, .unit = "CONNACK"};
	assert_ok(campaign_stage_put(c, &s, &e), &e);
	s.before = -1;
	assert_ok(campaign_stage_put(c, &s, &e), &e);
	assert_ok(campaign_stage_each(c, visit_stage, NULL, &e), &e);
}

/* Commits device after device, telling each number only after its commit. */
static void
write_for_ever(const char *file, int tell)
{
	struct err e;
	struct campaign *c = campaign_open(file, &e);
	for (int64_t i = 1; c; i++) {
		struct campaign_device d = device("dev-1", 0);
		d.attempts = i;
		d.state = i % 2 ? "keyed" : "signed";
		if (campaign_begin(c, &e) || campaign_device_put(c, &d, &e) ||
		    campaign_commit(c, &e) || write(tell, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
	_exit(2);
}

static void
what_was_committed_survives_kill_9(void **state)
{
	struct place *p = *state;
	struct err e;
	struct campaign *c = campaign_create(p->file, &e);
	struct campaign_device d = device("dev-1", 0), got;
	assert_ok(campaign_device_add(c, &d, &e), &e);
	campaign_close(c);
	for (int round = 0; round < 20; round++) {
		int fds[2];
		int64_t told = 0, n;
		auto_(arena_free) struct arena *a = arena_new(1 << 20);
		assert_int_equal(pipe(fds), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_for_ever(p->file, fds[1]);
		close(fds[1]);
		while (told < 1 + round && read(fds[0], &n, sizeof(n)) == sizeof(n))
			told = n;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(fds[0], &n, sizeof(n)) == sizeof(n))
			told = n;
		close(fds[0]);
		c = campaign_open(p->file, &e);
		assert_non_null(c);
		assert_ok(campaign_device_get(c, "dev-1", a, &got, &e), &e);
		campaign_close(c);
		assert_true(told >= 1 + round);
		/* told is durable; the one after may be, whole */
		assert_true(got.attempts == told || got.attempts == told + 1);
		assert_string_equal(got.state, got.attempts % 2 ? "keyed" : "signed");
	}
}

static void
another_process_may_look_and_pause_meanwhile(void **state)
{
	struct place *p = *state;
	struct err e;
	const char *v;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	auto_(campaign_close) struct campaign *one = campaign_create(p->file, &e);
	auto_(campaign_close) struct campaign *two = campaign_open(p->file, &e);
	assert_non_null(two);
	struct campaign_device d = device("dev-1", 0), got;
	assert_ok(campaign_begin(one, &e), &e);
	assert_ok(campaign_device_add(one, &d, &e), &e);
	assert_fails(campaign_device_get(two, "dev-1", a, &got, &e), &e, NOT_FOUND);
	assert_ok(campaign_commit(one, &e), &e);
	assert_ok(campaign_device_get(two, "dev-1", a, &got, &e), &e);
	assert_ok(campaign_meta_put(two, "paused", "1", &e), &e);
	assert_ok(campaign_meta_get(one, "paused", a, &v, &e), &e);
	assert_string_equal(v, "1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		rows_come_back_as_they_were_written, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		the_file_is_the_owners_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		foreign_and_newer_files_are_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_stage_keeps_its_first_before, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_was_committed_survives_kill_9, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		another_process_may_look_and_pause_meanwhile, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
