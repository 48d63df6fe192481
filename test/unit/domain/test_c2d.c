/*
 * The life of cloud-to-device messages: handed out, done, given up, told of.
 */
#include "world.h"

#include "domain/hub/c2d.h"

#define HOUR_MS INT64_C(3600000)

static int64_t
send_of(struct world *w, const char *device_id, struct ipc_c2d_send m)
{
	int64_t seq = 0;
	m.device_id = span_str(device_id);
	assert_ok(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	return seq;
}

static int64_t
send_text(struct world *w, const char *text)
{
	return send_of(w, "dev",
	    (struct ipc_c2d_send){.message_id = span_str(text),
		.body = span_str(text),
		.ack = IPC_ACK_FULL});
}

/* The number pushed to a session, 0 for none. */
static int64_t
push(struct world *w, int64_t session)
{
	struct store_c2d m;
	bool got;
	assert_ok(c2d_push(&w->d, "dev", session, &m, &got, &w->e), &w->e);
	return got ? m.seq : 0;
}

static void
on_freed(void *ctx, const char *device_id)
{
	snprintf(ctx, 32, "%s", device_id);
}

static void
release(struct world *w, int64_t session, bool want)
{
	char freed[32] = "";
	assert_ok(c2d_release(&w->d, session, on_freed, freed, &w->e), &w->e);
	assert_string_equal(freed, want ? "dev" : "");
}

struct told {
	char text[512];
	size_t n;
};

static int
on_feedback(void *ctx, const struct store_feedback *f, struct err *e)
{
	static const char *const names[] = {
	    "success", "expired", "exhausted", "rejected", "purged"};
	struct told *t = ctx;
	size_t len = strlen(t->text);
	snprintf(t->text + len, sizeof(t->text) - len, "%s %s,", f->message_id,
	    names[f->outcome]);
	t->n++;
	return 0;
}

static void
told(struct world *w, const char *want)
{
	struct told t = {0};
	char lock[C2D_LOCK] = "?";
	assert_ok(c2d_feedback(&w->d, lock, on_feedback, &t, &w->e), &w->e);
	assert_string_equal(t.text, want);
	assert_int_equal(lock[0] != '\0', t.n > 0);
	if (!t.n)
		return;
	assert_ok(c2d_feedback_settle(
		      &w->d, span_str(lock), IPC_SETTLE_COMPLETE, &w->no, &w->e),
	    &w->e);
	assert_int_equal(w->no.code, REFUSAL_NONE);
}

static bool
tidy(struct world *w, char freed[32])
{
	bool more;
	freed[0] = '\0';
	assert_ok(c2d_tidy(&w->d, 10, on_freed, freed, &more, &w->e), &w->e);
	return more;
}

static void
messages_go_out_in_order_and_are_done_once(void **state)
{
	struct world *w = *state;
	world_device(w, "dev");
	int64_t a = send_text(w, "a"), b = send_text(w, "b");
	assert_int_equal(push(w, 1), a);
	assert_int_equal(push(w, 1), b);
	assert_int_equal(push(w, 1), 0);
	for (int i = 0; i < 2; i++)
		assert_ok(c2d_done(&w->d, "dev", 1, a, &w->e), &w->e);
	assert_ok(c2d_done(&w->d, "dev", 2, b, &w->e), &w->e); /* not that session's */
	assert_ok(c2d_done(&w->d, "other", 1, b, &w->e), &w->e);
	told(w, "a success,");
	assert_ok(c2d_done(&w->d, "dev", 1, b, &w->e), &w->e);
	told(w, "b success,");
	release(w, 1, false);
}

static void
what_a_session_leaves_goes_to_the_next_first(void **state)
{
	struct world *w = *state;
	struct store_c2d m;
	bool got;
	world_device(w, "dev");
	int64_t a = send_text(w, "a"), b = send_text(w, "b");
	assert_int_equal(push(w, 1), a);
	assert_int_equal(push(w, 2), b);
	assert_int_equal(push(w, 2), 0); /* never on two connections */
	release(w, 1, true);
	assert_ok(c2d_push(&w->d, "dev", 2, &m, &got, &w->e), &w->e);
	assert_true(got);
	assert_int_equal(m.seq, a);
	assert_int_equal(m.deliveries, 1);
}

static void
message_is_given_up_after_its_deliveries(void **state)
{
	struct world *w = *state;
	world_device(w, "dev");
	int64_t a = send_text(w, "a");
	for (int64_t i = 1; i <= 10; i++) {
		assert_int_equal(push(w, i), a);
		told(w, "");
		release(w, i, true);
	}
	told(w, "a exhausted,");
	assert_int_equal(push(w, 11), 0);
}

/* A core that died freed everything without a look at the counts. */
static void
message_exhausted_by_a_crash_is_given_up_when_its_turn_comes(void **state)
{
	struct world *w = *state;
	w->cfg.hub.c2d_deliveries = 1;
	world_device(w, "dev");
	int64_t a = send_text(w, "a"), b = send_text(w, "b");
	assert_int_equal(push(w, 1), a);
	assert_ok(store_c2d_free_all(w->d.store, &w->e), &w->e);
	assert_int_equal(push(w, 2), b);
	told(w, "a exhausted,");
}

static void
window_is_bounded_by_number_and_bytes(void **state)
{
	struct world *w = *state;
	static uint8_t large[40 * 1024];
	world_device(w, "dev");
	for (int i = 0; i < C2D_WINDOW + 1; i++)
		send_text(w, "x");
	for (int i = 0; i < C2D_WINDOW; i++)
		assert_true(push(w, 1));
	assert_int_equal(push(w, 1), 0);
	world_device(w, "dev-2");
	struct ipc_c2d_send m = {.body = span_of(large, sizeof(large))};
	struct store_c2d got;
	bool any;
	send_of(w, "dev-2", m);
	send_of(w, "dev-2", m);
	assert_ok(c2d_push(&w->d, "dev-2", 1, &got, &any, &w->e), &w->e);
	assert_true(any);
	assert_ok(c2d_push(&w->d, "dev-2", 1, &got, &any, &w->e), &w->e);
	assert_false(any);
	assert_ok(c2d_done(&w->d, "dev-2", 1, got.seq, &w->e), &w->e);
	assert_ok(c2d_push(&w->d, "dev-2", 1, &got, &any, &w->e), &w->e);
	assert_true(any);
}

static void
queue_has_its_depth_and_expired_ones_do_not_count(void **state)
{
	struct world *w = *state;
	struct ipc_c2d_send m = {
	    .device_id = SPAN_LIT("dev"), .expires_ms = WORLD_NOW_MS + 1000};
	int64_t seq;
	w->cfg.hub.c2d_queue = 2;
	world_device(w, "dev");
	send_of(w, "dev", m);
	send_of(w, "dev", m);
	assert_ok(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_QUEUE_DEPTH);
	w->clock.skew_ms += 1000;
	send_text(w, "a");
}

static void
messages_of_yesterday_do_not_pile_up(void **state)
{
	struct world *w = *state;
	struct store_c2d_load load;
	w->cfg.hub.c2d_queue = 2;
	world_device(w, "dev");
	for (int i = 0; i < 7; i++)
		send_of(w, "dev",
		    (struct ipc_c2d_send){.expires_ms = 1,
			.message_id = SPAN_LIT("old"),
			.ack = IPC_ACK_NEGATIVE});
	assert_ok(
	    store_c2d_load(w->d.store, "dev", 0, WORLD_NOW_MS, &load, &w->e), &w->e);
	assert_true(load.all <= 2);
	assert_int_equal(load.pending, 0);
	told(w, "old expired,old expired,old expired,old expired,old expired,"
		"old expired,");
	int64_t a = send_text(w, "a"), b = send_text(w, "b");
	assert_int_equal(push(w, 1), a);
	assert_int_equal(push(w, 1), b);
}

static void
send_checks_device_size_and_ack(void **state)
{
	struct world *w = *state;
	static uint8_t large[C2D_SIZE_MAX];
	int64_t seq;
	world_device(w, "dev");
	world_device(w, "dev/mod");
	struct ipc_c2d_send m = {.device_id = SPAN_LIT("none")};
	assert_fails(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e, NOT_FOUND);
	m.device_id = SPAN_LIT("dev/mod"); /* a module has no queue */
	assert_fails(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e, NOT_FOUND);
	m.device_id = SPAN_LIT("dev");
	m.ack = IPC_ACK_FULL + 1;
	assert_fails(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e, PARSE);
	m.ack = 0;
	m.body = span_of(large, sizeof(large));
	assert_ok(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e);
	m.props = SPAN_LIT("{}");
	assert_fails(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e, LIMIT);
	m.body = SPAN_NONE;
	m.props = span_of(large, C2D_PROPS_MAX + 1);
	assert_fails(c2d_send(&w->d, &m, &seq, &w->no, &w->e), &w->e, LIMIT);
}

static void
time_to_live_is_the_hubs_or_the_senders_within_two_days(void **state)
{
	struct world *w = *state;
	struct store_c2d m;
	bool got;
	world_device(w, "dev");
	static const struct {
		int64_t asked, want;
	} rows[] = {{0, HOUR_MS}, {WORLD_NOW_MS + 5, 5},
	    {WORLD_NOW_MS + 48 * HOUR_MS, 48 * HOUR_MS},
	    {WORLD_NOW_MS + 49 * HOUR_MS, 48 * HOUR_MS}, {INT64_MAX, 48 * HOUR_MS}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		send_of(w, "dev", (struct ipc_c2d_send){.expires_ms = rows[i].asked});
		assert_ok(c2d_push(&w->d, "dev", 1, &m, &got, &w->e), &w->e);
		assert_true(got);
		assert_int_equal(m.expires_ms, WORLD_NOW_MS + rows[i].want);
	}
}

static void
expired_message_is_never_handed_out(void **state)
{
	struct world *w = *state;
	char freed[32];
	world_device(w, "dev");
	send_of(w, "dev",
	    (struct ipc_c2d_send){
		.expires_ms = 1, .message_id = SPAN_LIT("a"), .ack = IPC_ACK_NEGATIVE});
	int64_t b = send_text(w, "b");
	assert_int_equal(push(w, 1), b);
	told(w, "a expired,");
	int64_t c = send_text(w, "c");
	w->clock.skew_ms += HOUR_MS;
	assert_false(tidy(w, freed));
	told(w, "c expired,"); /* b is with its device, whose time is not over */
	assert_int_equal(push(w, 1), 0);
	assert_ok(c2d_done(&w->d, "dev", 1, b, &w->e), &w->e);
	assert_ok(c2d_done(&w->d, "dev", 1, c, &w->e), &w->e);
	told(w, "b success,");
}

static struct store_c2d
receive(struct world *w)
{
	struct store_c2d m = {0};
	bool got;
	assert_ok(c2d_receive(&w->d, "dev", &m, &got, &w->e), &w->e);
	assert_true(got);
	return m;
}

static enum refusal_code
settle(struct world *w, const char *lock, enum ipc_settle how)
{
	assert_ok(c2d_settle(&w->d, "dev", span_str(lock), how, &w->no, &w->e), &w->e);
	return w->no.code;
}

static void
fetched_message_is_settled_by_its_lock(void **state)
{
	struct world *w = *state;
	struct store_c2d none;
	bool got;
	world_device(w, "dev");
	int64_t a = send_text(w, "a");
	struct store_c2d m = receive(w);
	assert_int_equal(m.seq, a);
	assert_int_equal(m.deliveries, 0);
	assert_int_equal(push(w, 1), 0);
	assert_ok(c2d_receive(&w->d, "dev", &none, &got, &w->e), &w->e);
	assert_false(got);
	assert_int_equal(settle(w, "wrong", IPC_SETTLE_COMPLETE), REFUSAL_LOCK_LOST);
	assert_int_equal(settle(w, "", IPC_SETTLE_COMPLETE), REFUSAL_LOCK_LOST);
	assert_int_equal(settle(w, m.lock, IPC_SETTLE_ABANDON), REFUSAL_NONE);
	assert_int_equal(settle(w, m.lock, IPC_SETTLE_COMPLETE), REFUSAL_LOCK_LOST);
	m = receive(w);
	assert_int_equal(m.deliveries, 1);
	assert_int_equal(settle(w, m.lock, IPC_SETTLE_REJECT), REFUSAL_NONE);
	told(w, "a rejected,");
	send_text(w, "b");
	m = receive(w);
	assert_int_equal(settle(w, m.lock, IPC_SETTLE_COMPLETE), REFUSAL_NONE);
	told(w, "b success,");
}

static void
lock_that_ran_out_frees_its_message_and_says_whose(void **state)
{
	struct world *w = *state;
	char freed[32];
	w->cfg.hub.c2d_deliveries = 2;
	world_device(w, "dev");
	int64_t a = send_text(w, "a");
	struct store_c2d m = receive(w);
	w->clock.skew_ms += w->cfg.hub.c2d_lock_ms;
	assert_int_equal(settle(w, m.lock, IPC_SETTLE_COMPLETE), REFUSAL_LOCK_LOST);
	assert_false(tidy(w, freed));
	assert_string_equal(freed, "dev");
	assert_int_equal(push(w, 1), a);
	release(w, 1, true);
	told(w, "a exhausted,");
}

static void
purge_takes_all_of_one_device(void **state)
{
	struct world *w = *state;
	int64_t n = -1;
	world_device(w, "dev");
	world_device(w, "dev-2");
	send_text(w, "a");
	send_text(w, "b");
	send_of(w, "dev-2", (struct ipc_c2d_send){0});
	assert_true(push(w, 1));
	assert_ok(c2d_purge(&w->d, SPAN_LIT("dev"), &n, &w->e), &w->e);
	assert_int_equal(n, 2);
	told(w, "a purged,b purged,");
	assert_ok(c2d_purge(&w->d, SPAN_LIT("dev-2"), &n, &w->e), &w->e);
	assert_int_equal(n, 1);
	assert_fails(c2d_purge(&w->d, SPAN_LIT("none"), &n, &w->e), &w->e, NOT_FOUND);
}

static void
sender_hears_what_he_asked_for(void **state)
{
	struct world *w = *state;
	static const char *const ids[] = {"none", "positive", "negative", "full"};
	world_device(w, "dev");
	for (uint8_t ack = 0; ack < 4; ack++)
		for (int done = 0; done < 2; done++) {
			struct ipc_c2d_send m = {
			    .message_id = span_str(ids[ack]), .ack = ack};
			send_of(w, "dev", m);
			struct store_c2d got = receive(w);
			settle(
			    w, got.lock, done ? IPC_SETTLE_COMPLETE : IPC_SETTLE_REJECT);
		}
	told(w, "positive success,negative rejected,full rejected,full success,");
}

static void
feedback_is_given_up_after_its_deliveries(void **state)
{
	struct world *w = *state;
	int64_t n;
	world_device(w, "dev");
	send_text(w, "a");
	assert_ok(c2d_purge(&w->d, SPAN_LIT("dev"), &n, &w->e), &w->e);
	for (int i = 0; i < 10; i++) {
		struct told t = {0};
		char lock[C2D_LOCK];
		assert_ok(c2d_feedback(&w->d, lock, on_feedback, &t, &w->e), &w->e);
		assert_int_equal(t.n, 1);
		assert_ok(c2d_feedback_settle(
			      &w->d, span_str(lock), IPC_SETTLE_ABANDON, &w->no, &w->e),
		    &w->e);
		assert_int_equal(w->no.code, REFUSAL_NONE);
	}
	told(w, "");
	assert_ok(c2d_feedback_settle(
		      &w->d, SPAN_LIT("stale"), IPC_SETTLE_COMPLETE, &w->no, &w->e),
	    &w->e);
	assert_int_equal(w->no.code, REFUSAL_LOCK_LOST);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(messages_go_out_in_order_and_are_done_once),
	    IN_WORLD(what_a_session_leaves_goes_to_the_next_first),
	    IN_WORLD(message_is_given_up_after_its_deliveries),
	    IN_WORLD(message_exhausted_by_a_crash_is_given_up_when_its_turn_comes),
	    IN_WORLD(window_is_bounded_by_number_and_bytes),
	    IN_WORLD(queue_has_its_depth_and_expired_ones_do_not_count),
	    IN_WORLD(messages_of_yesterday_do_not_pile_up),
	    IN_WORLD(send_checks_device_size_and_ack),
	    IN_WORLD(time_to_live_is_the_hubs_or_the_senders_within_two_days),
	    IN_WORLD(expired_message_is_never_handed_out),
	    IN_WORLD(fetched_message_is_settled_by_its_lock),
	    IN_WORLD(lock_that_ran_out_frees_its_message_and_says_whose),
	    IN_WORLD(purge_takes_all_of_one_device),
	    IN_WORLD(sender_hears_what_he_asked_for),
	    IN_WORLD(feedback_is_given_up_after_its_deliveries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
