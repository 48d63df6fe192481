/*
 * What is kept of cloud-to-device messages and the feedback on them.
 */
#include "store/c2d.h"
#include "verbs.h"

static const struct store_c2d full = {.device_id = "dev",
    .generation = "7",
    .message_id = "m",
    .correlation_id = "c",
    .user_id = "u",
    .ack = 3,
    .enqueued_ms = NOW,
    .expires_ms = NOW + 100,
    .deliveries = 2,
    .lock = "",
    .props = {(const uint8_t *)"{\"a\":1}", 7},
    .body = {(const uint8_t *)"b\0dy", 4}};

static int64_t
add(struct store *s, const char *device_id, int64_t expires_ms)
{
	struct store_c2d m = full;
	struct err e;
	int64_t seq = 0;
	m.device_id = device_id;
	m.expires_ms = expires_ms;
	assert_ok(store_c2d_add(s, &m, &seq, &e), &e);
	return seq;
}

static int
on_message(void *ctx, const struct store_c2d *m, struct err *e)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)m->seq);
	return see(ctx, text);
}

static void
message_reads_as_it_was_added(void **state)
{
	struct store *s = begun(state);
	struct store_c2d got;
	struct err e;
	assert_fails(
	    store_c2d_next(s, "dev", NOW, arena(state), &got, &e), &e, NOT_FOUND);
	int64_t seq = add(s, "dev", NOW + 100);
	assert_ok(store_c2d_next(s, "dev", NOW, arena(state), &got, &e), &e);
	assert_int_equal(got.seq, seq);
	assert_string_equal(got.device_id, "dev");
	assert_string_equal(got.generation, "7");
	assert_string_equal(got.message_id, "m");
	assert_string_equal(got.correlation_id, "c");
	assert_string_equal(got.user_id, "u");
	assert_int_equal(got.ack, 3);
	assert_int_equal(got.enqueued_ms, NOW);
	assert_int_equal(got.expires_ms, NOW + 100);
	assert_int_equal(got.deliveries, 2);
	assert_int_equal(got.holder, 0);
	assert_string_equal(got.lock, "");
	assert_int_equal(got.locked_until_ms, 0);
	assert_span(got.props, full.props);
	assert_span(got.body, full.body);
	assert_fails(
	    store_c2d_next(s, "Dev", NOW, arena(state), &got, &e), &e, NOT_FOUND);
}

static void
numbers_are_never_given_twice(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t first = add(s, "dev", NOW);
	assert_ok(store_c2d_del(s, first, &e), &e);
	assert_true(add(s, "dev", NOW) > first);
	assert_fails(store_c2d_del(s, first, &e), &e, NOT_FOUND);
}

static void
held_messages_are_their_sessions_alone(void **state)
{
	struct store *s = begun(state);
	struct store_c2d got;
	struct err e;
	int64_t a = add(s, "dev", NOW), b = add(s, "dev", NOW);
	assert_ok(store_c2d_take(s, a, 77, "", 0, &e), &e);
	assert_ok(store_c2d_next(s, "dev", NOW, arena(state), &got, &e), &e);
	assert_int_equal(got.seq, b);
	assert_ok(store_c2d_held(s, "dev", 77, a, arena(state), &got, &e), &e);
	assert_int_equal(got.deliveries, 3);
	assert_fails(
	    store_c2d_held(s, "dev", 78, a, arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(
	    store_c2d_held(s, "other", 77, a, arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(
	    store_c2d_held(s, "dev", 77, b, arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(
	    store_c2d_held(s, "dev", 0, b, arena(state), &got, &e), &e, NOT_FOUND);
	struct seen seen = {0};
	assert_ok(store_c2d_each_held(s, 77, on_message, &seen, &e), &e);
	assert_int_equal(seen.n, 1);
	seen = (struct seen){0};
	assert_ok(store_c2d_each_held(s, 0, on_message, &seen, &e), &e);
	assert_int_equal(seen.n, 0);
	assert_ok(store_c2d_free_all(s, &e), &e);
	assert_ok(store_c2d_next(s, "dev", NOW, arena(state), &got, &e), &e);
	assert_int_equal(got.seq, a);
	assert_int_equal(got.deliveries, 3);
}

static int
on_holder(void *ctx, int64_t holder, struct err *e)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)holder);
	return see(ctx, text);
}

static void
holders_come_once_each_in_their_order(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const int64_t holders[] = {9, 7, 9, 8};
	for (size_t i = 0; i < 4; i++)
		assert_ok(
		    store_c2d_take(s, add(s, "dev", NOW), holders[i], "", 0, &e), &e);
	add(s, "dev", NOW);
	struct seen seen = {0};
	assert_ok(store_c2d_each_holder(s, 0, 9, on_holder, &seen, &e), &e);
	assert_string_equal(seen.text, "7 8 9 ");
	seen = (struct seen){0};
	assert_ok(store_c2d_each_holder(s, 7, 1, on_holder, &seen, &e), &e);
	assert_string_equal(seen.text, "8 ");
}

static void
lock_hides_a_message_until_it_is_over(void **state)
{
	struct store *s = begun(state);
	struct store_c2d got;
	struct err e;
	int64_t a = add(s, "dev", NOW + 100);
	assert_ok(store_c2d_take(s, a, 0, "L", NOW + 10, &e), &e);
	assert_fails(
	    store_c2d_next(s, "dev", NOW + 9, arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_c2d_locked(s, "dev", "L", NOW + 9, arena(state), &got, &e), &e);
	assert_string_equal(got.lock, "L");
	assert_fails(store_c2d_locked(s, "dev", "L", NOW + 10, arena(state), &got, &e),
	    &e, NOT_FOUND);
	assert_fails(store_c2d_locked(s, "other", "L", NOW, arena(state), &got, &e), &e,
	    NOT_FOUND);
	struct seen seen = {0};
	assert_ok(store_c2d_each_unlocked(s, NOW + 9, 10, on_message, &seen, &e), &e);
	assert_int_equal(seen.n, 0);
	assert_ok(store_c2d_each_unlocked(s, NOW + 10, 10, on_message, &seen, &e), &e);
	assert_int_equal(seen.n, 1);
	assert_ok(store_c2d_next(s, "dev", NOW + 10, arena(state), &got, &e), &e);
	assert_ok(store_c2d_free(s, a, &e), &e);
	assert_fails(
	    store_c2d_locked(s, "dev", "", NOW, arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(store_c2d_free(s, a + 1, &e), &e, NOT_FOUND);
}

static void
load_counts_what_waits_and_what_one_session_holds(void **state)
{
	struct store *s = begun(state);
	struct store_c2d_load load;
	struct err e;
	int64_t a = add(s, "dev", NOW + 100), b = add(s, "dev", NOW + 100);
	add(s, "dev", NOW); /* over, and free */
	int64_t held = add(s, "dev", NOW);
	add(s, "other", NOW + 100);
	assert_ok(store_c2d_take(s, a, 77, "", 0, &e), &e);
	assert_ok(store_c2d_take(s, held, 78, "", 0, &e), &e);
	assert_ok(store_c2d_take(s, b, 0, "L", NOW + 10, &e), &e);
	assert_ok(store_c2d_load(s, "dev", 77, NOW, &load, &e), &e);
	assert_int_equal(load.pending, 3);
	assert_int_equal(load.held, 1);
	assert_int_equal(load.held_bytes, 11);
	assert_ok(store_c2d_load(s, "dev", 0, NOW, &load, &e), &e);
	assert_int_equal(load.held, 0);
	assert_int_equal(load.held_bytes, 0);
	assert_ok(store_c2d_load(s, "none", 77, NOW, &load, &e), &e);
	assert_int_equal(load.pending, 0);
}

static void
expired_ones_come_soonest_first_unless_handed_out(void **state)
{
	struct store *s = begun(state);
	struct err e;
	char want[64];
	int64_t late = add(s, "a", NOW), soon = add(s, "b", NOW - 5);
	int64_t held = add(s, "b", NOW - 9), locked = add(s, "b", NOW - 9);
	add(s, "a", NOW + 1);
	assert_ok(store_c2d_take(s, held, 77, "", 0, &e), &e);
	assert_ok(store_c2d_take(s, locked, 0, "L", NOW + 1, &e), &e);
	struct seen seen = {0};
	assert_ok(store_c2d_each_expired(s, NOW, 10, on_message, &seen, &e), &e);
	snprintf(want, sizeof(want), "%lld %lld ", (long long)soon, (long long)late);
	assert_string_equal(seen.text, want);
	seen = (struct seen){0};
	assert_ok(store_c2d_each_expired(s, NOW, 1, on_message, &seen, &e), &e);
	assert_int_equal(seen.n, 1);
	seen = (struct seen){.stop_at = 1};
	assert_int_equal(store_c2d_each(s, "b", on_message, &seen, &e), 7);
}

/* ---- feedback ---- */

static void
tell(struct store *s, const char *id, const char *device_id, int64_t expires_ms)
{
	struct err e;
	const struct store_feedback f = {.message_id = id,
	    .device_id = device_id,
	    .generation = "7",
	    .at_ms = NOW,
	    .outcome = 2,
	    .expires_ms = expires_ms,
	    .lock = ""};
	assert_ok(store_feedback_add(s, &f, &e), &e);
}

static int
on_feedback(void *ctx, const struct store_feedback *f, struct err *e)
{
	assert_string_equal(f->generation, "7");
	assert_int_equal(f->at_ms, NOW);
	assert_int_equal(f->outcome, 2);
	return see(ctx, f->message_id);
}

static void
reads(struct store *s, const char *lock, const char *want)
{
	struct seen seen = {0};
	struct err e;
	assert_ok(store_feedback_each(s, lock, on_feedback, &seen, &e), &e);
	assert_string_equal(seen.text, want);
}

static void
feedback_is_one_readers_until_its_lock_is_over(void **state)
{
	struct store *s = begun(state);
	struct err e;
	tell(s, "a", "dev", NOW + 100);
	tell(s, "b", "dev", NOW + 100);
	tell(s, "c", "dev", NOW + 100);
	tell(s, "old", "dev", NOW);
	assert_ok(store_feedback_lock(s, "L1", NOW + 10, NOW, 2, &e), &e);
	reads(s, "L1", "a b ");
	assert_ok(store_feedback_lock(s, "L2", NOW + 20, NOW, 9, &e), &e);
	reads(s, "L2", "c ");
	assert_fails(store_feedback_del(s, "L1", NOW + 10, &e), &e, NOT_FOUND);
	assert_fails(store_feedback_del(s, "", NOW, &e), &e, NOT_FOUND);
	assert_ok(store_feedback_free(s, "L2", NOW, &e), &e);
	assert_fails(store_feedback_free(s, "L2", NOW, &e), &e, NOT_FOUND);
	assert_ok(store_feedback_lock(s, "L3", NOW + 20, NOW + 10, 9, &e), &e);
	reads(s, "L3", "a b c ");
	reads(s, "", "");
	assert_ok(store_feedback_del(s, "L3", NOW + 19, &e), &e);
	assert_ok(store_feedback_lock(s, "L4", NOW + 90, NOW + 30, 9, &e), &e);
	reads(s, "L4", "");
}

static void
feedback_goes_with_age_and_with_vain_deliveries(void **state)
{
	struct store *s = begun(state);
	struct err e;
	tell(s, "old", "dev", NOW);
	tell(s, "a", "dev", NOW + 100);
	assert_ok(store_feedback_lock(s, "L1", NOW + 10, NOW, 9, &e), &e);
	assert_ok(store_feedback_trim(s, NOW + 5, 1, 9, &e), &e);
	reads(s, "L1", "a "); /* it is being read */
	assert_ok(store_feedback_trim(s, NOW + 10, 2, 9, &e), &e);
	reads(s, "L1", "a ");
	assert_ok(store_feedback_trim(s, NOW + 10, 1, 9, &e), &e);
	reads(s, "L1", "");
}

static void
forgotten_device_leaves_nothing(void **state)
{
	struct store *s = begun(state);
	struct store_c2d got;
	struct err e;
	add(s, "dev", NOW);
	add(s, "other", NOW);
	tell(s, "a", "dev", NOW + 100);
	tell(s, "b", "other", NOW + 100);
	assert_ok(store_c2d_forget(s, "dev", &e), &e);
	assert_fails(
	    store_c2d_next(s, "dev", NOW, arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_c2d_next(s, "other", NOW, arena(state), &got, &e), &e);
	assert_ok(store_feedback_lock(s, "L", NOW + 10, NOW, 9, &e), &e);
	reads(s, "L", "b ");
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(message_reads_as_it_was_added),
	    IN_STORE(numbers_are_never_given_twice),
	    IN_STORE(held_messages_are_their_sessions_alone),
	    IN_STORE(holders_come_once_each_in_their_order),
	    IN_STORE(lock_hides_a_message_until_it_is_over),
	    IN_STORE(load_counts_what_waits_and_what_one_session_holds),
	    IN_STORE(expired_ones_come_soonest_first_unless_handed_out),
	    IN_STORE(feedback_is_one_readers_until_its_lock_is_over),
	    IN_STORE(feedback_goes_with_age_and_with_vain_deliveries),
	    IN_STORE(forgotten_device_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
