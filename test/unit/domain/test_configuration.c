/*
 * Configurations: how many there may be.
 */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "codec/query.h"
#include "domain/hub/configuration.h"

static void
add_gone(struct world *w)
{
	const struct store_configuration x = {.hub = "elsewhere",
	    .id = "gone",
	    .etag = 1,
	    .schema_version = "",
	    .labels = SPAN_LIT("{}"),
	    .content = SPAN_LIT("{}"),
	    .desired = SPAN_LIT("{}"),
	    .condition = "",
	    .metrics = SPAN_LIT("{}"),
	    .gone = true,
	    .walk = STORE_WALK_MEANT};
	assert_ok(store_configuration_add(w->d.store, &x, &w->e), &w->e);
}

static struct store_configuration
put(struct world *w, const char *id)
{
	const struct ipc_configuration_put m = {.id = span_str(id),
	    .content = SPAN_LIT("{\"deviceContent\":{}}"),
	    .desired = SPAN_LIT("{}"),
	    .labels = SPAN_LIT("{}"),
	    .metrics = SPAN_LIT("{}")};
	struct store_configuration x = {.n = 0};
	assert_ok(configuration_put(&w->d, &m, &x, &w->no, &w->e), &w->e);
	return x;
}

/* Those that are deleted and still walk fill what a slice can hold, too. */
static void
what_a_slice_cannot_hold_is_not_made(void **state)
{
	struct world *w = *state;
	struct store_configuration x;
	for (int i = 0; i < CONFIGURATIONS_ALL - 1; i++)
		add_gone(w);
	put(w, "last");
	assert_int_equal(w->no.code, REFUSAL_NONE);
	put(w, "more");
	assert_int_equal(w->no.code, REFUSAL_CONFIGURATIONS_FULL);
	assert_ok(
	    configuration_get(&w->d, SPAN_NONE, SPAN_LIT("last"), &x, &w->no, &w->e),
	    &w->e);
	assert_ok(store_configuration_del(w->d.store, x.n, &w->e), &w->e);
	put(w, "more");
	assert_int_equal(w->no.code, REFUSAL_NONE);
}

/* Each is read in every slice: what they need together has a bound. */
static void
what_needs_too_much_memory_is_not_made(void **state)
{
	struct world *w = *state;
	static char condition[QUERY_CHARS];
	static const char head[] = "tags.a = '";
	char id[8];
	struct store_configuration x;
	struct ipc_configuration_put m = {.content = SPAN_LIT("{\"deviceContent\":{}}"),
	    .desired = SPAN_LIT("{}"),
	    .labels = SPAN_LIT("{}"),
	    .metrics = SPAN_LIT("{}")};
	memset(condition, 'x', sizeof(condition) - 2);
	memcpy(condition, head, sizeof(head) - 1);
	condition[sizeof(condition) - 2] = '\'';
	m.condition = span_str(condition);
	w->no.code = REFUSAL_NONE;
	int n = 0;
	const char *const hubs[] = {"h1", "h2", "h3"};
	for (; n < 300; n++) {
		const struct store_configuration big = {.hub = hubs[n / 100],
		    .id = "gone",
		    .schema_version = "",
		    .labels = m.labels,
		    .content = m.content,
		    .desired = m.desired,
		    .condition = condition,
		    .metrics = m.metrics,
		    .gone = true,
		    .walk = STORE_WALK_MEANT};
		if ((size_t)(n + 2) * configuration_bytes(m.desired, m.condition) >
		    CONFIGURATIONS_BYTES)
			break;
		assert_ok(store_configuration_add(w->d.store, &big, &w->e), &w->e);
	}
	assert_true(n > 100 && n < 300);
	for (int i = 0; i < 2; i++) {
		snprintf(id, sizeof(id), "c-%d", i);
		m.id = span_str(id);
		assert_ok(configuration_put(&w->d, &m, &x, &w->no, &w->e), &w->e);
		assert_int_equal(
		    w->no.code, i ? REFUSAL_CONFIGURATIONS_FULL : REFUSAL_NONE);
	}
	m.condition = SPAN_LIT("tags.a = 1");
	assert_ok(configuration_put(&w->d, &m, &x, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	m.if_match = SPAN_LIT("*");
	m.condition = span_str(condition);
	assert_ok(configuration_put(&w->d, &m, &x, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_CONFIGURATIONS_FULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		what_a_slice_cannot_hold_is_not_made, world_setup, world_teardown),
	    cmocka_unit_test_setup_teardown(
		what_needs_too_much_memory_is_not_made, world_setup, world_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
