/*
 * Modules in the store: rows of the devices that belong to one of them.
 */
#include "store/module.h"
#include "verbs.h"

static void
add(struct store *s, const char *id)
{
	struct err e;
	assert_ok(
	    store_device_add(s,
		&(struct store_device){.id = id, .enabled = true, .auth = STORE_AUTH_SAS},
		&e),
	    &e);
}

static int
on_device(void *ctx, const struct store_device *d, struct err *e)
{
	(void)e;
	return see(ctx, d->id);
}

/* Two devices of which one's name begins with the other's, with modules. */
static struct store *
with_modules(void **state)
{
	static const char *const ids[] = {"a", "a/m", "a/K", "ab", "ab/m"};
	struct store *s = begun(state);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		add(s, ids[i]);
	return s;
}

static void
modules_are_found_by_their_device_alone(void **state)
{
	struct store *s = with_modules(state);
	struct seen seen = {0}, none = {0}, stopped = {.stop_at = 1};
	struct err e;
	assert_ok(store_module_each(s, "a", on_device, &seen, &e), &e);
	assert_string_equal(seen.text, "a/K a/m ");
	assert_ok(store_module_each(s, "A", on_device, &none, &e), &e);
	assert_ok(store_module_each(s, "a/m", on_device, &none, &e), &e);
	assert_string_equal(none.text, "");
	assert_int_equal(store_module_each(s, "a", on_device, &stopped, &e), 7);
}

static void
lists_and_counts_of_devices_leave_modules_out(void **state)
{
	struct store *s = with_modules(state);
	struct seen seen = {0};
	struct counted c;
	struct err e;
	assert_ok(store_device_each(s, "", 2, on_device, &seen, &e), &e);
	assert_string_equal(seen.text, "a ab ");
	assert_ok(store_device_seen(s, "a/m", true, NOW, &e), &e);
	c = count_devices(s);
	assert_int_equal(c.total, 2);
	assert_int_equal(c.by_auth[STORE_AUTH_SAS], 2);
	assert_int_equal(c.connected, 0);
}

static void
a_module_is_read_and_written_as_a_device_is(void **state)
{
	struct store *s = with_modules(state);
	struct store_device d;
	struct err e;
	assert_ok(store_device_get(s, "a/m", arena(state), &d, &e), &e);
	d.managed_by = "IotEdge";
	d.reported = SPAN_LIT("{\"r\":1}");
	d.primary_key = SPAN_LIT("sixteen bytes..!");
	assert_ok(store_device_put(s, &d, &e), &e);
	assert_ok(store_device_seen(s, "a/m", true, NOW, &e), &e);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_device_get(s, "a/m", arena(state), &d, &e), &e);
	assert_string_equal(d.managed_by, "IotEdge");
	assert_span(d.reported, SPAN_LIT("{\"r\":1}"));
	assert_span(d.primary_key, SPAN_LIT("sixteen bytes..!"));
	assert_true(d.connected);
	assert_ok(store_device_get(s, "ab/m", arena(state), &d, &e), &e);
	assert_string_equal(d.managed_by, "");
	assert_false(d.connected);
}

static void
start_of_the_core_disconnects_modules_too(void **state)
{
	struct store *s = with_modules(state);
	struct store_device d;
	struct err e;
	assert_ok(store_device_seen(s, "a/m", true, 1, &e), &e);
	assert_ok(store_device_connected(s, let_go, s, &e), &e);
	assert_ok(store_device_get(s, "a/m", arena(state), &d, &e), &e);
	assert_false(d.connected);
	assert_int_equal(d.conn_updated_ms, NOW);
}

static void
a_device_takes_its_modules_along(void **state)
{
	struct store *s = with_modules(state);
	struct store_device d;
	struct seen seen = {0};
	struct err e;
	assert_ok(store_device_del(s, "a/K", &e), &e);
	assert_ok(store_device_get(s, "a", arena(state), &d, &e), &e);
	assert_ok(store_device_del(s, "a", &e), &e);
	assert_fails(store_device_get(s, "a/m", arena(state), &d, &e), &e, NOT_FOUND);
	assert_ok(store_device_get(s, "ab/m", arena(state), &d, &e), &e);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);

	assert_ok(store_begin(s, &e), &e);
	add(s, "a"); /* made anew it has none */
	assert_ok(store_module_each(s, "a", on_device, &seen, &e), &e);
	assert_string_equal(seen.text, "");
}

static void
a_module_without_its_device_is_refused(void **state)
{
	static const char *const ids[] = {"z/m", "/m"};
	struct dir *dir = *state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct store *s = begun(state);
		struct err e;
		struct seen seen = {0};
		assert_int_equal(
		    store_device_add(s, &(struct store_device){.id = ids[i]}, &e), -1);
		assert_int_not_equal(e.code, ERR_EXISTS);
		store_rollback(s);
		assert_ok(store_device_each(dir->s, "", 9, on_device, &seen, &e), &e);
		assert_string_equal(seen.text, "");
	}
}

static int
on_event(void *ctx, const struct store_event *ev, struct err *e)
{
	(void)e;
	assert_string_equal(ev->device_id, "a");
	return see(ctx, ev->module_id);
}

static int
on_conn(void *ctx, const struct store_conn *c, struct err *e)
{
	(void)e;
	assert_string_equal(c->device_id, "a");
	return see(ctx, c->module_id);
}

static void
what_a_device_sent_includes_its_modules(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen events = {0}, conns = {0};
	static const char *const modules[] = {NULL, "m"};
	int64_t seq;
	for (size_t i = 0; i < 2; i++) {
		const struct store_event ev = {
		    .device_id = "a", .module_id = modules[i], .props = SPAN_LIT("{}")};
		const struct store_conn c = {.device_id = "a", .module_id = modules[i]};
		assert_ok(store_event_add(s, &ev, &seq, &e), &e);
		assert_ok(store_conn_add(s, &c, &e), &e);
	}
	const struct store_event_filter ef = {.device_id = "a", .limit = -1};
	const struct store_conn_filter cf = {.device_id = "a", .limit = -1};
	assert_ok(store_event_each(s, &ef, on_event, &events, &e), &e);
	assert_string_equal(events.text, " m ");
	assert_ok(store_conn_each(s, &cf, on_conn, &conns, &e), &e);
	assert_string_equal(conns.text, " m ");
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(modules_are_found_by_their_device_alone),
	    IN_STORE(lists_and_counts_of_devices_leave_modules_out),
	    IN_STORE(a_module_is_read_and_written_as_a_device_is),
	    IN_STORE(start_of_the_core_disconnects_modules_too),
	    IN_STORE(a_device_takes_its_modules_along),
	    IN_STORE(a_module_without_its_device_is_refused),
	    IN_STORE(what_a_device_sent_includes_its_modules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
