/*
 * Configurations: found by hub and ID, in their order; whom they are true of is counted;
 * whoever changes is due.
 */
#include "store/configuration.h"
#include "store/query.h"
#include "verbs.h"

static struct store_configuration
configuration(const char *hub, const char *id, int64_t priority)
{
	return (struct store_configuration){.hub = hub,
	    .id = id,
	    .etag = 1,
	    .schema_version = "1.0",
	    .labels = SPAN_LIT("{}"),
	    .content = SPAN_LIT("{\"c\":1}"),
	    .desired = SPAN_LIT("{\"d\":1}"),
	    .condition = "tags.a = 1",
	    .priority = priority,
	    .metrics = SPAN_LIT("{}"),
	    .created_ms = NOW,
	    .updated_ms = NOW,
	    .walk = STORE_WALK_ALL};
}

static struct store_configuration
get(void **state, const char *hub, const char *id)
{
	struct err e;
	struct store_configuration got;
	assert_ok(store_configuration_get(
		      ((struct dir *)*state)->s, hub, id, arena(state), &got, &e),
	    &e);
	return got;
}

static struct store_configuration
added(void **state, struct store_configuration x)
{
	struct err e;
	assert_ok(store_configuration_add(((struct dir *)*state)->s, &x, &e), &e);
	return get(state, x.hub, x.id);
}

static struct store_device
device(const char *id)
{
	return (struct store_device){.id = id,
	    .generation = "g",
	    .enabled = true,
	    .status_reason = "",
	    .auth = STORE_AUTH_SAS,
	    .primary_thumb = "",
	    .secondary_thumb = "",
	    .group_id = "",
	    .hub = "",
	    .managed_by = "",
	    .tags = SPAN_LIT("{}"),
	    .desired = SPAN_LIT("{}"),
	    .reported = SPAN_LIT("{}"),
	    .desired_meta = SPAN_LIT("{}"),
	    .reported_meta = SPAN_LIT("{}")};
}

static int64_t
add_device(struct store *s, const char *id)
{
	struct err e;
	struct store_device d = device(id);
	int64_t all[16];
	size_t n;
	const struct store_range r = {.kind = STORE_RANGE_ID, .text = id};
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_ok(store_range_next(s, &r, 0, 16, all, &n, &e), &e);
	assert_int_equal(n, 1);
	return all[0];
}

static int
on_configuration(void *ctx, const struct store_configuration *x, struct err *e)
{
	(void)e;
	return see(ctx, x->id);
}

static void
they_come_by_priority_and_age(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	struct store_configuration x = configuration("h", "young", 5);
	added(state, x);
	x = configuration("h", "old", 5);
	x.created_ms = NOW - 1;
	added(state, x);
	added(state, configuration("h2", "low", 1));
	assert_ok(store_configuration_each(s, on_configuration, &seen, &e), &e);
	assert_string_equal(seen.text, "low old young ");
}

static void
one_that_is_gone_leaves_its_id(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_configuration got, x = added(state, configuration("h", "a", 1));
	assert_fails(store_configuration_add(s, &x, &e), &e, EXISTS);
	x.gone = true;
	x.walk = STORE_WALK_MEANT;
	assert_ok(store_configuration_put(s, &x, &e), &e);
	assert_fails(
	    store_configuration_get(s, "h", "a", arena(state), &got, &e), &e, NOT_FOUND);
	struct store_configuration fresh = added(state, configuration("h", "a", 2));
	assert_int_not_equal(fresh.n, x.n);
	assert_span(fresh.desired, SPAN_LIT("{\"d\":1}"));
	assert_ok(store_configuration_del(s, x.n, &e), &e);
	assert_int_equal(get(state, "h", "a").n, fresh.n);
	fresh.walk = STORE_WALK_MEANT;
	fresh.at = 7;
	fresh.condition = "not written";
	assert_ok(store_configuration_walk(s, &fresh, &e), &e);
	got = get(state, "h", "a");
	assert_int_equal(got.walk, STORE_WALK_MEANT);
	assert_int_equal(got.at, 7);
	assert_string_equal(got.condition, "tags.a = 1");
}

static void
assert_counts(void **state, int64_t targeted, int64_t applied)
{
	struct store_configuration x = get(state, "h", "a");
	assert_int_equal(x.targeted, targeted);
	assert_int_equal(x.applied, applied);
}

static void
whom_it_is_true_of_is_counted(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t all[4];
	size_t n;
	struct store_configuration x = added(state, configuration("h", "a", 1));
	int64_t one = add_device(s, "d1"), two = add_device(s, "d2");
	assert_ok(store_configuration_set(s, x.n, one, true, &e), &e);
	assert_ok(store_configuration_set(s, x.n, two, false, &e), &e);
	assert_counts(state, 2, 1);
	assert_ok(store_configuration_set(s, x.n, two, true, &e), &e);
	assert_ok(store_configuration_set(s, x.n, two, true, &e), &e);
	assert_counts(state, 2, 2);
	assert_ok(store_configuration_meant(s, x.n, one, 4, all, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_int_equal(all[0], two);
	assert_ok(store_configuration_of(s, one, 4, all, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_int_equal(all[0], x.n);
	assert_ok(store_configuration_unset(s, x.n, one, &e), &e);
	assert_ok(store_configuration_unset(s, x.n, one, &e), &e);
	assert_counts(state, 1, 1);
	assert_ok(store_device_del(s, "d2", &e), &e);
	assert_counts(state, 0, 0);
}

static size_t
due(struct store *s, int64_t *ret_first)
{
	struct err e;
	int64_t all[4] = {0};
	size_t n;
	assert_ok(store_configuration_due(s, 4, all, &n, &e), &e);
	*ret_first = all[0];
	for (size_t i = 0; i < n; i++)
		assert_ok(store_configuration_done(s, all[i], &e), &e);
	return n;
}

static void
whoever_comes_or_changes_is_due(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t first;
	struct store_device d = device("d1");
	add_device(s, "d0");
	assert_int_equal(due(s, &first), 0); /* nobody wants to know */
	added(state, configuration("h", "a", 1));
	int64_t one = add_device(s, "d1");
	assert_int_equal(due(s, &first), 1);
	assert_int_equal(first, one);
	assert_int_equal(due(s, &first), 0);
	d.desired = SPAN_LIT("{\"x\":1}");
	assert_ok(store_twin_put(s, &d, &e), &e);
	assert_int_equal(due(s, &first), 0);
	d.tags = SPAN_LIT("{\"x\":1}");
	assert_ok(store_twin_put(s, &d, &e), &e);
	assert_int_equal(due(s, &first), 1);
	d.reported = SPAN_LIT("{\"x\":1}");
	assert_ok(store_twin_put(s, &d, &e), &e);
	d.tags = SPAN_LIT("{}");
	assert_ok(store_twin_put(s, &d, &e), &e);
	assert_int_equal(due(s, &first), 1);
	assert_int_equal(first, one);
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_STORE(they_come_by_priority_and_age),
	    WITH_STORE(one_that_is_gone_leaves_its_id),
	    WITH_STORE(whom_it_is_true_of_is_counted),
	    WITH_STORE(whoever_comes_or_changes_is_due),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
