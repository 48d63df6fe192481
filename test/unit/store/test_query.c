/*
 * What queries read: ranges of indexes, in order, and an index of tags that is what the
 * twins are.
 */
#include "store/module.h"
#include "store/query.h"
#include "verbs.h"

static struct store_device
blank(const char *id)
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

static void
add(struct store *s, const char *id, const char *tags)
{
	struct err e;
	struct store_device d = blank(id);
	d.tags = span_str(tags);
	assert_ok(store_device_add(s, &d, &e), &e);
}

static void
put_tags(struct store *s, const char *id, const char *tags)
{
	struct err e;
	struct store_device d = blank(id);
	d.tags = span_str(tags);
	assert_ok(store_twin_put(s, &d, &e), &e);
}

static int
on_device(void *ctx, const struct store_device *d, struct err *e)
{
	return see(ctx, d->id);
}

/* The IDs of a range after a number, "a b ". */
static struct seen
ids_after(struct store *s, const struct store_range *r, int64_t after, size_t max)
{
	int64_t n[16];
	size_t found;
	struct err e;
	struct seen seen = {0};
	assert_ok(store_range_next(s, r, after, max, n, &found, &e), &e);
	assert_true(found <= max);
	for (size_t i = 0; i < found; i++) {
		assert_true(n[i] > after);
		after = n[i];
		assert_ok(store_device_at(s, n[i], i % 2, on_device, &seen, &e), &e);
	}
	return seen;
}

static void
assert_ids(struct store *s, struct store_range r, const char *want)
{
	struct seen seen = ids_after(s, &r, 0, 16);
	assert_string_equal(seen.text, want);
}

static struct store_range
tag_text(const char *tag, const char *text)
{
	return (struct store_range){STORE_RANGE_TAG_TEXT, .tag = tag, .text = text};
}

static struct store_range
tag_number(const char *tag, int64_t n)
{
	return (struct store_range){STORE_RANGE_TAG_NUMBER, .tag = tag, .number = n};
}

static struct store_range
tag_bool(const char *tag, bool b)
{
	return (struct store_range){STORE_RANGE_TAG_BOOL, .tag = tag, .number = b};
}

static void
identities_are_found_by_what_they_are_in_the_order_they_were_made(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const char *const ids[] = {"c", "a", "b"};
	for (int i = 0; i < 3; i++) {
		struct store_device d = blank(ids[i]);
		d.auth = i ? STORE_AUTH_CA : STORE_AUTH_SAS;
		d.enabled = i != 1;
		assert_ok(store_device_add(s, &d, &e), &e);
	}
	add(s, "a/m2", "{}");
	add(s, "a/m1", "{}");
	assert_ok(store_device_seen(s, "b", true, NOW, &e), &e);
	assert_ids(s, (struct store_range){STORE_RANGE_ALL}, "c a b ");
	assert_ids(s, (struct store_range){STORE_RANGE_ID, .text = "a"}, "a ");
	assert_ids(s, (struct store_range){STORE_RANGE_ID, .text = "A"}, "");
	assert_ids(s, (struct store_range){STORE_RANGE_AUTH, STORE_AUTH_CA}, "a b ");
	assert_ids(s, (struct store_range){STORE_RANGE_AUTH, STORE_AUTH_SAS}, "c ");
	assert_ids(s, (struct store_range){STORE_RANGE_ENABLED, 0}, "a ");
	assert_ids(s, (struct store_range){STORE_RANGE_CONNECTED, 1}, "b ");
	assert_ids(s, (struct store_range){STORE_RANGE_CONNECTED, 0}, "c a ");
	assert_ids(s, (struct store_range){STORE_RANGE_MODULE_AUTH, STORE_AUTH_SAS},
	    "a/m2 a/m1 ");
	assert_ids(
	    s, (struct store_range){STORE_RANGE_MODULES_OF, .text = "a"}, "a/m2 a/m1 ");
	assert_ids(s, (struct store_range){STORE_RANGE_MODULES_OF, .text = "b"}, "");
}

static int
on_kind(void *ctx, const struct store_device *d, int64_t n, struct err *e)
{
	char text[40];
	snprintf(text, sizeof(text), "%d%d%d:%d", d->connected, (int)d->auth, d->enabled,
	    (int)n);
	return see(ctx, text);
}

static void
kinds_of_devices_are_counted_without_modules(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	static const char *const ids[] = {"a", "b", "c", "d"};
	for (int i = 0; i < 4; i++) {
		struct store_device d = blank(ids[i]);
		d.auth = i == 3 ? STORE_AUTH_CA : STORE_AUTH_SAS;
		d.enabled = i != 1;
		assert_ok(store_device_add(s, &d, &e), &e);
	}
	add(s, "a/m", "{}");
	assert_ok(store_device_seen(s, "d", true, NOW, &e), &e);
	assert_ok(store_device_kinds(s, on_kind, &seen, &e), &e);
	assert_string_equal(seen.text, "010:1 011:2 131:1 ");
}

static void
a_range_goes_on_behind_what_it_gave(void **state)
{
	struct store *s = begun(state);
	struct err e;
	const struct store_range all = {STORE_RANGE_ALL};
	int64_t n[2];
	size_t found;
	for (const char *const *id = (const char *const[]){"d", "c", "b", NULL}; *id;
	     id++)
		add(s, *id, "{}");
	assert_ok(store_range_next(s, &all, 0, 2, n, &found, &e), &e);
	assert_int_equal(found, 2);
	add(s, "a", "{}");
	assert_ok(store_device_del(s, "d", &e), &e);
	assert_string_equal(ids_after(s, &all, n[1], 2).text, "b a ");
	struct seen seen = {0};
	assert_ok(store_device_at(s, n[0], true, on_device, &seen, &e), &e);
	assert_int_equal(seen.n, 0);
}

/* A reader that has seen the newest goes on behind its number. */
static void
no_number_is_given_again_also_not_after_a_restart(void **state)
{
	struct dir *d = *state;
	struct err e;
	const struct store_range all = {STORE_RANGE_ALL};
	int64_t n[2];
	size_t found;
	add(begun(state), "a", "{}");
	add(d->s, "b", "{}");
	assert_ok(store_range_next(d->s, &all, 0, 2, n, &found, &e), &e);
	assert_ok(store_device_del(d->s, "b", &e), &e);
	add(d->s, "c", "{}");
	assert_string_equal(ids_after(d->s, &all, n[1], 2).text, "c ");
	assert_ok(store_range_next(d->s, &all, n[1], 2, n, &found, &e), &e);
	assert_ok(store_device_del(d->s, "c", &e), &e);
	assert_ok(store_commit(d->s, &e), &e);
	store_close(d->s);
	d->s = store_open(d->path, &e);
	assert_non_null(d->s);
	add(begun(state), "d", "{}");
	assert_string_equal(ids_after(d->s, &all, n[0], 2).text, "d ");
}

static int
on_hub(void *ctx, const struct store_device *d, int64_t n, struct err *e)
{
	char text[40];
	snprintf(text, sizeof(text), "%s=%d", d->hub, (int)n);
	return see(ctx, text);
}

static void
devices_are_counted_on_the_hub_that_they_are_on(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen made = {0}, moved = {0};
	static const char *const hubs[] = {"one", "ONE", "two", ""};
	struct store_device d;
	for (int i = 0; i < 4; i++) {
		d = blank((const char *const[]){"a", "b", "c", "d"}[i]);
		d.hub = hubs[i];
		assert_ok(store_device_add(s, &d, &e), &e);
	}
	assert_ok(store_device_kinds(s, on_hub, &made, &e), &e);
	assert_string_equal(made.text, "=1 one=2 two=1 ");
	d = blank("c");
	d.hub = "three";
	assert_ok(store_device_put(s, &d, &e), &e);
	assert_ok(store_device_del(s, "d", &e), &e);
	assert_ok(store_device_kinds(s, on_hub, &moved, &e), &e);
	assert_string_equal(moved.text, "one=2 three=1 ");
}

static void
tags_are_found_by_path_and_value_of_their_type(void **state)
{
	struct store *s = begun(state);
	add(s, "a",
	    "{\"site\":{\"name\":\"Ulm\",\"floor\":3},\"live\":true,\"x\":[1,2]}");
	add(s, "b", "{\"site\":{\"name\":\"\\u00dclm\",\"floor\":3.0},\"live\":false}");
	add(s, "c", "{\"site\":\"Ulm\",\"floor\":\"3\",\"live\":1}");
	add(s, "a/m", "{\"site\":{\"name\":\"Ulm\"}}");
	assert_ids(s, tag_text("site.name", "Ulm"), "a a/m ");
	assert_ids(s, tag_text("site.name", "\xc3\x9clm"), "b ");
	assert_ids(s, tag_text("site", "Ulm"), "c ");
	assert_ids(s, tag_number("site.floor", 3), "a b ");
	assert_ids(s, tag_number("floor", 3), "");
	assert_ids(s, tag_text("floor", "3"), "c ");
	assert_ids(s, tag_bool("live", true), "a ");
	assert_ids(s, tag_bool("live", false), "b ");
	assert_ids(s, tag_number("live", 1), "c ");
	assert_ids(s, tag_number("x", 1), "");
	assert_ids(s, tag_text("Site.name", "Ulm"), "");
}

static void
the_index_of_tags_follows_the_twin(void **state)
{
	struct store *s = begun(state);
	struct err e;
	add(s, "a", "{\"t\":\"x\",\"u\":1}");
	add(s, "b", "{}");
	put_tags(s, "a", "{\"t\":\"y\"}");
	put_tags(s, "b", "{\"t\":\"y\"}");
	assert_ids(s, tag_text("t", "x"), "");
	assert_ids(s, tag_number("u", 1), "");
	assert_ids(s, tag_text("t", "y"), "a b ");
	put_tags(s, "a", "{\"t\":\"y\"}");
	assert_ids(s, tag_text("t", "y"), "a b ");
	put_tags(s, "a", "{}");
	assert_ids(s, tag_text("t", "y"), "b ");
	assert_ok(store_device_del(s, "b", &e), &e);
	assert_ids(s, tag_text("t", "y"), "");
}

static void
a_modules_tags_go_with_its_device(void **state)
{
	struct store *s = begun(state);
	struct err e;
	add(s, "a", "{}");
	add(s, "a/m", "{\"t\":\"y\"}");
	assert_ids(s, tag_text("t", "y"), "a/m ");
	assert_ok(store_device_del(s, "a", &e), &e);
	assert_ids(s, tag_text("t", "y"), "");
}

static void
of_a_long_text_the_beginning_is_in_the_index(void **state)
{
	struct store *s = begun(state);
	auto_buf text = BUF_INIT(2048);
	auto_buf tags = BUF_INIT(4096);
	for (int i = 0; i < STORE_TAG_CHARS + 50; i++)
		buf_str(&text, "\xc3\xa9");
	buf_printf(&tags, "{\"t\":\"%s\"}", buf_text(&text));
	add(s, "a", buf_text(&tags));
	assert_ids(s, tag_text("t", buf_text(&text)), "a ");
	buf_str(&text, "more");
	assert_ids(s, tag_text("t", buf_text(&text)), "a ");
	assert_ids(s, tag_text("t", buf_text(&text) + 2 * 51), "");
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(identities_are_found_by_what_they_are_in_the_order_they_were_made),
	    IN_STORE(kinds_of_devices_are_counted_without_modules),
	    IN_STORE(a_range_goes_on_behind_what_it_gave),
	    IN_STORE(no_number_is_given_again_also_not_after_a_restart),
	    IN_STORE(devices_are_counted_on_the_hub_that_they_are_on),
	    IN_STORE(tags_are_found_by_path_and_value_of_their_type),
	    IN_STORE(the_index_of_tags_follows_the_twin),
	    IN_STORE(a_modules_tags_go_with_its_device),
	    IN_STORE(of_a_long_text_the_beginning_is_in_the_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
