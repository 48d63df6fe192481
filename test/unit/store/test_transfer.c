/*
 * Jobs that import or export: one after the other, with their progress; what opens their
 * containers is gone when they have ended.
 */
#include "store/job.h"
#include "store/transfer.h"
#include "verbs.h"

static void
add(struct store *s, const char *hub, const char *id)
{
	struct err e;
	const struct store_transfer t = {.hub = hub,
	    .id = id,
	    .exports = true,
	    .input = "https://a/in?sig=1",
	    .input_name = "i",
	    .output = "https://a/out?sig=2",
	    .output_name = "o",
	    .no_keys = true,
	    .created_ms = NOW,
	    .status = STORE_JOB_QUEUED,
	    .reason = ""};
	assert_ok(store_transfer_add(s, &t, &e), &e);
}

static int
on_transfer(void *ctx, const struct store_transfer *t, struct err *e)
{
	(void)e;
	return see(ctx, t->id);
}

static void
the_oldest_is_open_until_it_has_ended(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	struct store_transfer t, got;
	assert_fails(store_transfer_open(s, arena(state), &t, &e), &e, NOT_FOUND);
	add(s, "h", "one");
	add(s, "h", "two");
	add(s, "h2", "other");
	assert_ok(store_transfer_open(s, arena(state), &t, &e), &e);
	assert_string_equal(t.id, "one");
	assert_string_equal(t.output, "https://a/out?sig=2");
	t.status = STORE_JOB_RUNNING;
	t.at = -7;
	t.blocks = 2;
	t.done = 3;
	t.failed = 4;
	t.errors = SPAN_LIT("{}\n");
	assert_ok(store_transfer_put(s, &t, &e), &e);
	assert_ok(store_transfer_get(s, "h", "one", arena(state), &got, &e), &e);
	assert_int_equal(got.at, -7);
	assert_int_equal(got.blocks, 2);
	assert_int_equal(got.done, 3);
	assert_int_equal(got.failed, 4);
	assert_span(got.errors, SPAN_LIT("{}\n"));
	assert_string_equal(got.input, "https://a/in?sig=1");
	t.status = STORE_JOB_FAILED;
	t.ended_ms = NOW;
	t.reason = "why";
	assert_ok(store_transfer_put(s, &t, &e), &e);
	assert_ok(store_transfer_get(s, "h", "one", arena(state), &got, &e), &e);
	assert_string_equal(got.reason, "why");
	assert_string_equal(got.input, "https://a/in");
	assert_string_equal(got.output, "https://a/out");
	assert_ok(store_transfer_open(s, arena(state), &t, &e), &e);
	assert_string_equal(t.id, "two");
	assert_fails(
	    store_transfer_get(s, "h2", "one", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_transfer_each(s, "h", 10, on_transfer, &seen, &e), &e);
	assert_string_equal(seen.text, "two one ");
	assert_ok(store_transfer_trim(s, NOW, &e), &e);
	assert_ok(store_transfer_get(s, "h", "one", arena(state), &got, &e), &e);
	assert_ok(store_transfer_trim(s, NOW + 1, &e), &e);
	assert_fails(
	    store_transfer_get(s, "h", "one", arena(state), &got, &e), &e, NOT_FOUND);
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_STORE(the_oldest_is_open_until_it_has_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
