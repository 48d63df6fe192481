/*
 * Twins: what a change makes of the trees, their versions and their times.
 */
#include "world.h"

#include "domain/hub/twin.h"

#define NOW    "1795319096000"
#define SECOND "1795319097000"

static struct store_device
fresh(struct world *w)
{
	world_device(w, "d1");
	return world_get_device(w, "d1");
}

static int
report(struct world *w, const char *patch, int64_t version, int64_t *ret)
{
	const struct ipc_hub_twin_report m = {
	    .version = version, .patch = span_str(patch)};
	return twin_report(&w->d, "d1", &m, ret, &w->e);
}

/* Desired properties changed by patch; what the device is told. */
static struct span
change(struct world *w, const char *patch, bool replace)
{
	struct span told = SPAN_NONE;
	struct store_device dev = world_get_device(w, "d1");
	const struct ipc_twin_patch m = {
	    .id = SPAN_LIT("d1"), .desired = span_str(patch), .replace = replace};
	assert_ok(twin_change(&w->d, &m, &dev, &told, &w->e), &w->e);
	return told;
}

static void
is(struct span got, const char *want)
{
	if (!span_eq_str(got, want))
		fail_msg("%.*s, not %s", SPAN_FMT(got), want);
}

static void
new_twin_is_empty_at_version_1_and_as_old_as_its_device(void **state)
{
	struct world *w = *state;
	struct store_device dev = fresh(w);
	is(dev.desired, "{}");
	is(dev.reported, "{}");
	assert_int_equal(dev.desired_version, 1);
	assert_int_equal(dev.reported_version, 1);
	is(dev.desired_meta, "{\"\":[" NOW ",1]}");
	is(dev.reported_meta, "{\"\":[" NOW "]}");
}

static void
report_merges_deletes_by_null_and_replaces_arrays(void **state)
{
	struct world *w = *state;
	int64_t version;
	fresh(w);
	assert_ok(
	    report(w, "{\"a\":{\"b\":1,\"c\":[1,2]},\"d\":2}", -1, &version), &w->e);
	assert_int_equal(version, 2);
	assert_ok(
	    report(w, "{\"a\":{\"b\":null,\"c\":[3]},\"d\":{\"e\":1}}", -1, &version),
	    &w->e);
	assert_int_equal(version, 3);
	struct store_device dev = world_get_device(w, "d1");
	is(dev.reported, "{\"a\":{\"c\":[3]},\"d\":{\"e\":1}}");
	assert_int_equal(dev.reported_version, 3);
	assert_int_equal(dev.desired_version, 1);
	assert_int_equal(dev.twin_etag, 1); /* the service's part alone */
}

static void
report_for_another_version_changes_nothing(void **state)
{
	struct world *w = *state;
	int64_t version = 7;
	fresh(w);
	assert_fails(report(w, "{\"a\":1}", 2, &version), &w->e, CONFLICT);
	assert_fails(report(w, "{\"a\":1}", 3, &version), &w->e, CONFLICT);
	assert_int_equal(version, 7);
	is(world_get_device(w, "d1").reported, "{}");
	assert_ok(report(w, "{\"a\":1}", 1, &version), &w->e);
	assert_int_equal(version, 2);
}

/* Java's SDK says 0 where it has no version to name. */
static void
report_for_version_0_is_for_any(void **state)
{
	struct world *w = *state;
	int64_t version;
	fresh(w);
	assert_ok(report(w, "{\"a\":1}", 0, &version), &w->e);
	assert_ok(report(w, "{\"a\":2}", 0, &version), &w->e);
	assert_int_equal(version, 3);
	is(world_get_device(w, "d1").reported, "{\"a\":2}");
}

static void
report_of_nobody_is_not_found(void **state)
{
	int64_t version;
	assert_fails(
	    report(*state, "{}", -1, &version), &((struct world *)*state)->e, NOT_FOUND);
}

static void
every_property_keeps_the_time_of_its_own_change(void **state)
{
	struct world *w = *state;
	int64_t version;
	fresh(w);
	assert_ok(report(w, "{\"a\":{\"b\":1,\"c\":2},\"d\":[1],\"e\":5}", -1, &version),
	    &w->e);
	w->clock.skew_ms += 1000;
	assert_ok(report(w, "{\"a\":{\"c\":3},\"e\":null}", -1, &version), &w->e);
	is(world_get_device(w, "d1").reported_meta,
	    "{\"\":[" SECOND "],\"a\":{\"\":[" SECOND "],\"b\":[" NOW "],\"c\":[" SECOND
	    "]},\"d\":[" NOW "]}");
	/* what was a tree and is none any more has one time, and the other way round */
	assert_ok(report(w, "{\"a\":1,\"d\":{\"x\":1}}", -1, &version), &w->e);
	is(world_get_device(w, "d1").reported_meta,
	    "{\"\":[" SECOND "],\"a\":[" SECOND "],\"d\":{\"\":[" SECOND
	    "],\"x\":[" SECOND "]}}");
}

static void
desired_times_carry_the_version_that_set_them(void **state)
{
	struct world *w = *state;
	fresh(w);
	change(w, "{\"a\":1,\"b\":1}", false);
	w->clock.skew_ms += 1000;
	change(w, "{\"b\":2}", false);
	struct store_device dev = world_get_device(w, "d1");
	assert_int_equal(dev.desired_version, 3);
	assert_int_equal(dev.twin_etag, 3);
	is(dev.desired_meta,
	    "{\"\":[" SECOND ",3],\"a\":[" NOW ",2],\"b\":[" SECOND ",3]}");
}

static void
device_is_told_the_patch_as_it_was_given(void **state)
{
	struct world *w = *state;
	fresh(w);
	is(change(w, "{\"a\":1,\"b\":null}", false), "{\"a\":1,\"b\":null}");
}

/* An SDK merges what it is told, so what a PUT leaves out must be named. */
static void
device_is_told_what_a_replacement_took_away(void **state)
{
	struct world *w = *state;
	fresh(w);
	change(w, "{\"a\":{\"b\":1,\"c\":{\"d\":1}},\"e\":[1],\"f\":{\"g\":1},\"h\":1}",
	    false);
	w->clock.skew_ms += 1000;
	is(change(w, "{\"a\":{\"b\":2,\"n\":null},\"f\":7,\"h\":{\"i\":1}}", true),
	    "{\"a\":{\"b\":2,\"c\":null},\"f\":7,\"h\":{\"i\":1},\"e\":null}");
	struct store_device dev = world_get_device(w, "d1");
	is(dev.desired, "{\"a\":{\"b\":2},\"f\":7,\"h\":{\"i\":1}}");
	is(dev.desired_meta, "{\"\":[" SECOND ",3],\"a\":{\"\":[" SECOND
			     ",3],\"b\":[" SECOND ",3]},\"f\":[" SECOND
			     ",3],\"h\":{\"\":[" SECOND ",3],\"i\":[" SECOND ",3]}}");
}

static void
tags_have_neither_version_nor_notice(void **state)
{
	struct world *w = *state;
	struct span told = SPAN_LIT("untouched");
	struct store_device dev = fresh(w);
	const struct ipc_twin_patch m = {
	    .id = SPAN_LIT("d1"), .tags = SPAN_LIT("{\"t\":1}")};
	assert_ok(twin_change(&w->d, &m, &dev, &told, &w->e), &w->e);
	assert_int_equal(told.len, 0);
	dev = world_get_device(w, "d1");
	is(dev.tags, "{\"t\":1}");
	assert_int_equal(dev.desired_version, 1);
	assert_int_equal(dev.twin_etag, 2);
}

/* {"k0":"xx..","k1":..}: n members of size bytes each, key included. */
static struct span
filled(struct buf *b, int n, int size)
{
	buf_str(b, "{");
	for (int i = 0; i < n; i++) {
		buf_printf(b, "%s\"k%03d\":\"", i ? "," : "", i);
		for (int k = 4; k < size; k++)
			buf_u8(b, 'x');
		buf_str(b, "\"");
	}
	buf_str(b, "}");
	return buf_span(b);
}

static void
sections_are_limited_as_azure_limits_them(void **state)
{
	struct world *w = *state;
	auto_buf full = BUF_INIT(1 << 20), over = BUF_INIT(1 << 20);
	int64_t version;
	struct store_device dev = fresh(w);
	struct span told;
	/* 32 KB reported and desired, 8 KB tags: to the byte, over several patches too */
	const struct ipc_hub_twin_report most = {
	    .version = -1, .patch = filled(&full, 32, 1024)};
	assert_ok(twin_report(&w->d, "d1", &most, &version, &w->e), &w->e);
	assert_fails(report(w, "{\"a\":\"\"}", -1, &version), &w->e, LIMIT);
	assert_ok(report(w, "{\"k000\":null}", -1, &version), &w->e);
	assert_ok(report(w, "{\"a\":\"\"}", -1, &version), &w->e);
	struct ipc_twin_patch m = {.id = SPAN_LIT("d1"), .desired = most.patch};
	assert_ok(twin_change(&w->d, &m, &dev, &told, &w->e), &w->e);
	m.desired = SPAN_LIT("{\"a\":\"\"}");
	assert_fails(twin_change(&w->d, &m, &dev, &told, &w->e), &w->e, LIMIT);
	m.desired = SPAN_NONE;
	m.tags = filled(&over, 9, 1024);
	assert_fails(twin_change(&w->d, &m, &dev, &told, &w->e), &w->e, LIMIT);
}

/* The times of as many properties as 32 KB can hold still fit their cap. */
static void
times_of_the_smallest_properties_fit(void **state)
{
	struct world *w = *state;
	auto_buf b = BUF_INIT(1 << 20);
	int64_t version;
	static const char c[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	enum { N = sizeof(c) - 1, EACH = 2 + N };
	fresh(w);
	buf_str(&b, "{");
	for (int i = 0; (i + 1) * EACH <= 32 * 1024; i++) {
		buf_printf(&b, "%s\"%c%c\":{", i ? "," : "", c[i / N], c[i % N]);
		for (int k = 0; k < N; k++)
			buf_printf(&b, "%s\"%c\":\"\"", k ? "," : "", c[k]);
		buf_str(&b, "}");
	}
	buf_str(&b, "}");
	const struct ipc_hub_twin_report m = {.version = -1, .patch = buf_span(&b)};
	assert_false(b.bad);
	assert_ok(twin_report(&w->d, "d1", &m, &version, &w->e), &w->e);
}

static void
enrollment_replaces_what_was_there(void **state)
{
	struct world *w = *state;
	struct store_device dev = fresh(w);
	change(w, "{\"old\":1}", false);
	dev = world_get_device(w, "d1");
	w->clock.skew_ms += 1000;
	struct span told;
	assert_ok(twin_initial(&w->d, SPAN_LIT("{\"t\":1}"), SPAN_LIT("{\"n\":1}"), &dev,
		      &told, &w->e),
	    &w->e);
	is(told, "{\"n\":1,\"old\":null}");
	is(dev.tags, "{\"t\":1}");
	is(dev.desired, "{\"n\":1}");
	is(dev.desired_meta, "{\"\":[" SECOND ",3],\"n\":[" SECOND ",3]}");
	assert_int_equal(dev.desired_version, 3);
	is(world_get_device(w, "d1").desired, "{\"old\":1}"); /* not stored */
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(new_twin_is_empty_at_version_1_and_as_old_as_its_device),
	    T(report_merges_deletes_by_null_and_replaces_arrays),
	    T(report_for_another_version_changes_nothing),
	    T(report_for_version_0_is_for_any),
	    T(report_of_nobody_is_not_found),
	    T(every_property_keeps_the_time_of_its_own_change),
	    T(desired_times_carry_the_version_that_set_them),
	    T(device_is_told_the_patch_as_it_was_given),
	    T(device_is_told_what_a_replacement_took_away),
	    T(tags_have_neither_version_nor_notice),
	    T(sections_are_limited_as_azure_limits_them),
	    T(times_of_the_smallest_properties_fit),
	    T(enrollment_replaces_what_was_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
