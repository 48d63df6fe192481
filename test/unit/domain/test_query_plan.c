/*
 * Which indexes a query uses, and that no twin it means is outside of them.
 */
#include <stdio.h>

#include "domain/hub/device.h"
#include "domain/hub/query_plan.h"
#include "world.h"

static void
add(struct world *w, const char *id, enum store_auth auth, bool enabled, const char *tags)
{
	struct store_device d = device_blank(&w->d, id);
	d.auth = auth;
	d.enabled = enabled;
	d.tags = span_str(tags);
	assert_ok(store_device_add(w->d.store, &d, &w->e), &w->e);
}

static int
setup(void **state)
{
	if (world_setup(state))
		return -1;
	struct world *w = *state;
	add(w, "a", STORE_AUTH_SAS, true, "{\"site\":\"Ulm\",\"n\":1}");
	add(w, "b", STORE_AUTH_CA, true, "{\"site\":\"Jena\",\"n\":2,\"live\":true}");
	add(w, "c", STORE_AUTH_CA, false, "{\"site\":\"Ulm\"}");
	add(w, "b/m", STORE_AUTH_SAS, true, "{\"site\":\"Ulm\"}");
	assert_ok(store_device_seen(w->d.store, "b", true, WORLD_NOW_MS, &w->e), &w->e);
	return 0;
}

static void
describe(const struct query_plan *p, struct buf *out)
{
	static const char *const names[] = {[STORE_RANGE_ALL] = "all",
	    [STORE_RANGE_ID] = "id",
	    [STORE_RANGE_AUTH] = "auth",
	    [STORE_RANGE_ENABLED] = "enabled",
	    [STORE_RANGE_CONNECTED] = "connected",
	    [STORE_RANGE_TAG_TEXT] = "text",
	    [STORE_RANGE_TAG_NUMBER] = "number",
	    [STORE_RANGE_TAG_BOOL] = "bool",
	    [STORE_RANGE_MODULE_AUTH] = "module",
	    [STORE_RANGE_MODULES_OF] = "of"};
	for (size_t i = 0; i < p->n; i++) {
		const struct store_range *r = &p->range[i];
		buf_printf(out, "%s", names[r->kind]);
		if (r->tag)
			buf_printf(out, ":%s", r->tag);
		if (r->text)
			buf_printf(out, "=%s ", r->text);
		else
			buf_printf(out, "=%d ", (int)r->number);
	}
}

static int
on_device(void *ctx, const struct store_device *d, struct err *e)
{
	buf_printf(ctx, "%s ", d->id);
	return 0;
}

static const struct {
	const char *rest; /* behind "select * from " */
	const char *plan, *candidates;
} plans[] = {
    {"devices", "all=0 ", "a b c "},
    {"devices where deviceId = 'b'", "id=b ", "b "},
    {"devices where deviceId in ['c', 'a', 'a']", "id=c id=a id=a ", "a c "},
    {"devices where deviceId = 7", "all=0 ", "a b c "},
    {"devices where authenticationType = 'sas'", "auth=1 ", "a "},
    {"devices where authenticationType != 'sas'", "auth=0 auth=2 auth=3 ", "b c "},
    {"devices where authenticationType nin ['sas', 'none']", "auth=2 auth=3 ", "b c "},
    {"devices where authenticationType = 'SAS'", "", ""},
    {"devices where connectionState = 'Connected'", "connected=1 ", "b "},
    {"devices where status = 'disabled'", "enabled=0 ", "c "},
    {"devices where status <> 'enabled'", "enabled=0 ", "c "},
    {"devices where startswith(status, 'e')", "all=0 ", "a b c "},
    {"devices where tags.site = 'Ulm'", "text:site=Ulm ", "a c b/m "},
    {"devices where tags.site != 'Ulm'", "all=0 ", "a b c "},
    {"devices where tags.n = 2", "number:n=2 ", "b "},
    {"devices where tags.n = 2.5", "all=0 ", "a b c "},
    /* 2^53 + 1 is the same double */
    {"devices where tags.n = 9007199254740991", "number:n=-1 ", ""},
    {"devices where tags.n = 9007199254740992", "all=0 ", "a b c "},
    {"devices where tags.n = null", "all=0 ", "a b c "},
    {"devices where tags.n in [1, 2]", "number:n=1 number:n=2 ", "a b "},
    {"devices where tags.live", "bool:live=1 ", "b "},
    {"devices where tags.live = true", "bool:live=1 ", "b "},
    {"devices where tags.[[a.b]] = 'x'", "all=0 ", "a b c "},
    {"devices where properties.desired.x = 1", "all=0 ", "a b c "},
    {"devices where not tags.site = 'Ulm'", "all=0 ", "a b c "},
    /* of two that must hold the smaller, by a look at both */
    {"devices where tags.site = 'Ulm' and tags.n = 1", "number:n=1 ", "a "},
    {"devices where tags.n = 1 and tags.site = 'Ulm'", "number:n=1 ", "a "},
    {"devices where properties.desired.x = 1 and status = 'disabled'", "enabled=0 ",
	"c "},
    {"devices where status = 'disabled' or tags.n = 1", "enabled=0 number:n=1 ", "a c "},
    {"devices where status = 'disabled' or properties.desired.x = 1", "all=0 ", "a b c "},
    {"devices.modules", "module=0 module=1 module=2 module=3 ", "b/m "},
    {"devices.modules where deviceId = 'b'", "of=b ", "b/m "},
    {"devices.modules where deviceId = 'a'", "of=a ", ""},
    {"devices.modules where authenticationType = 'sas'", "module=1 ", "b/m "},
    {"devices.modules where tags.site = 'Ulm'", "text:site=Ulm ", "a c b/m "},
    {"devices.modules where status = 'enabled'", "module=0 module=1 module=2 module=3 ",
	"b/m "},
};

static void
conditions_become_ranges_of_indexes(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		struct query q;
		struct query_plan p;
		int64_t n[8];
		size_t found;
		auto_buf text = BUF_INIT(512);
		auto_buf plan = BUF_INIT(512);
		auto_buf ids = BUF_INIT(512);
		auto_(arena_free) struct arena *a = arena_new(4 * 1024 * 1024);
		buf_printf(&text, "select * from %s", plans[i].rest);
		assert_ok(query_parse(buf_span(&text), a, &q, &w->e), &w->e);
		assert_ok(query_plan_make(w->d.store, &q, a, &p, &w->e), &w->e);
		describe(&p, &plan);
		assert_ok(query_plan_next(w->d.store, &p, 0, 8, n, &found, &w->e), &w->e);
		for (size_t k = 0; k < found; k++)
			assert_ok(store_device_at(
				      w->d.store, n[k], false, on_device, &ids, &w->e),
			    &w->e);
		if (strcmp(buf_text(&plan), plans[i].plan) != 0 ||
		    strcmp(buf_text(&ids), plans[i].candidates) != 0)
			fail_msg("%s: %s: %s", buf_text(&text), buf_text(&plan),
			    buf_text(&ids));
	}
}

static void
candidates_come_a_few_at_a_time_each_once(void **state)
{
	struct world *w = *state;
	struct query q;
	struct query_plan p;
	auto_(arena_free) struct arena *a = arena_new(4 * 1024 * 1024);
	int64_t after = 0, n[2];
	size_t found = 2, sum = 0;
	assert_ok(query_parse(SPAN_LIT("select * from devices where status = 'enabled' or"
				       " tags.site = 'Ulm' or tags.n in [1, 2]"),
		      a, &q, &w->e),
	    &w->e);
	assert_ok(query_plan_make(w->d.store, &q, a, &p, &w->e), &w->e);
	while (found == 2) {
		assert_ok(
		    query_plan_next(w->d.store, &p, after, 2, n, &found, &w->e), &w->e);
		for (size_t i = 0; i < found; i++) {
			assert_true(n[i] > after);
			after = n[i];
		}
		sum += found;
	}
	assert_int_equal(sum, 4);
}

static void
more_ranges_than_fit_are_a_walk(void **state)
{
	struct world *w = *state;
	struct query q;
	struct query_plan p;
	auto_buf text = BUF_INIT(8192);
	auto_(arena_free) struct arena *a = arena_new(4 * 1024 * 1024);
	buf_str(&text, "select * from devices where tags.n in [0");
	for (int i = 1; i <= QUERY_PLAN_RANGES; i++)
		buf_printf(&text, ", %d", i);
	buf_str(&text, "]");
	assert_ok(query_parse(buf_span(&text), a, &q, &w->e), &w->e);
	assert_ok(query_plan_make(w->d.store, &q, a, &p, &w->e), &w->e);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.range[0].kind, STORE_RANGE_ALL);
}

/* As long a text as there may be, of which each value repeats the most. */
static void
a_long_list_of_a_long_name_fits_the_arena(void **state)
{
	struct world *w = *state;
	struct query q;
	struct query_plan p;
	auto_buf text = BUF_INIT(QUERY_BYTES);
	auto_(arena_free) struct arena *a = arena_new(4 * 1024 * 1024);
	buf_str(&text, "select * from devices where tags.");
	for (int i = 0; i < 7000; i++)
		buf_str(&text, "\xc3\xa9");
	buf_str(&text, " in [1");
	for (int i = 0; i < 500; i++)
		buf_str(&text, ",1");
	buf_str(&text, "]");
	assert_ok(query_parse(buf_span(&text), a, &q, &w->e), &w->e);
	assert_ok(query_plan_make(w->d.store, &q, a, &p, &w->e), &w->e);
	assert_int_equal(p.range[0].kind, STORE_RANGE_ALL);
}

static void
a_name_longer_than_the_index_has_is_a_walk(void **state)
{
	struct world *w = *state;
	for (size_t len = STORE_TAG_NAME; len <= STORE_TAG_NAME + 1; len++) {
		struct query q;
		struct query_plan p;
		int64_t n[8];
		size_t found;
		char name[STORE_TAG_NAME + 2] = "";
		auto_buf text = BUF_INIT(1024);
		auto_buf tags = BUF_INIT(1024);
		auto_(arena_free) struct arena *a = arena_new(4 * 1024 * 1024);
		memset(name, 'x', len - 2); /* and ".y" */
		buf_printf(&tags, "{\"%s\":{\"y\":7}}", name);
		add(w, len == STORE_TAG_NAME ? "fits" : "long", STORE_AUTH_SAS, true,
		    buf_text(&tags));
		buf_printf(&text, "select * from devices where tags.%s.y = 7", name);
		assert_ok(query_parse(buf_span(&text), a, &q, &w->e), &w->e);
		assert_ok(query_plan_make(w->d.store, &q, a, &p, &w->e), &w->e);
		assert_int_equal(p.n, 1);
		assert_int_equal(p.range[0].kind,
		    len == STORE_TAG_NAME ? STORE_RANGE_TAG_NUMBER : STORE_RANGE_ALL);
		assert_ok(query_plan_next(w->d.store, &p, 0, 8, n, &found, &w->e), &w->e);
		assert_int_equal(found, len == STORE_TAG_NAME ? 1 : 5);
		struct store_range r = {.kind = STORE_RANGE_TAG_NUMBER, .number = 7};
		buf_reset(&text);
		buf_printf(&text, "%s.y", name);
		r.tag = buf_text(&text);
		assert_ok(
		    store_range_next(w->d.store, &r, 0, 8, n, &found, &w->e), &w->e);
		assert_int_equal(found, len == STORE_TAG_NAME ? 1 : 0);
	}
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(conditions_become_ranges_of_indexes),
	    IN_WORLD(candidates_come_a_few_at_a_time_each_once),
	    IN_WORLD(more_ranges_than_fit_are_a_walk),
	    IN_WORLD(a_long_list_of_a_long_name_fits_the_arena),
	    IN_WORLD(a_name_longer_than_the_index_has_is_a_walk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
