/*
 * Allocation of devices to hubs: how many move, and where to.
 */
#include "world.h"

#include <stdio.h>

#include "domain/dps/alloc.h"

static void
set_conf(struct world *w, const char *key, const char *value)
{
	assert_ok(conf_set(&config_table, span_str(key), span_str(value), &w->cfg,
		      w->cfg_arena, &w->e),
	    &w->e);
	assert_ok(config_check(&w->cfg, &w->e), &w->e);
}

#define FLEET 4000

static const char *
choose(struct world *w, const struct alloc_ask *a)
{
	struct links l;
	assert_ok(links_load(&w->d, &l, &w->e), &w->e);
	return alloc_hub(&w->cfg, &l, a);
}

static const char *
hashed(struct world *w, int i)
{
	char id[20];
	snprintf(id, sizeof(id), "Dev-%d", i);
	const struct alloc_ask a = {
	    .registration_id = span_str(id), .policy = "hashed", .hubs = ""};
	return choose(w, &a);
}

static const char *
allocate(struct world *w, const char *policy, const char *hubs, const char *address)
{
	const struct alloc_ask a = {.registration_id = SPAN_LIT("x"),
	    .policy = policy,
	    .hubs = hubs,
	    .address = span_str(address)};
	return choose(w, &a);
}

static void
alloc_moves_only_what_must_move_when_a_hub_is_added(void **state)
{
	struct world *w = *state;
	const char *was[FLEET];
	int moved = 0, count[4] = {0};
	set_conf(w, "hub.name", "a.x b.x c.x");
	for (int i = 0; i < FLEET; i++)
		was[i] = hashed(w, i);
	set_conf(w, "hub.name", "a.x b.x c.x d.x");
	for (int i = 0; i < FLEET; i++) {
		const char *is = hashed(w, i);
		if (strcmp(was[i], is) != 0) {
			assert_string_equal(is, "d.x");
			moved++;
		}
		count[is[0] - 'a']++;
	}
	assert_in_range(moved, 850, 1150); /* a quarter, all to the new one */
	for (int h = 0; h < 4; h++)
		assert_in_range(count[h], 850, 1150);
	const struct alloc_ask upper = {
	    .registration_id = SPAN_LIT("X"), .policy = "hashed", .hubs = ""};
	assert_ptr_equal(choose(w, &upper), allocate(w, "hashed", "", ""));
}

static void
alloc_gives_each_hub_its_weights_share(void **state)
{
	struct world *w = *state;
	int count[3] = {0};
	set_conf(w, "hub.name", "a.x b.x c.x");
	set_conf(w, "dps.hub_weights", "b.x=2 c.x=5");
	for (int i = 0; i < FLEET; i++)
		count[hashed(w, i)[0] - 'a']++;
	assert_in_range(count[0], 425, 575);
	assert_in_range(count[1], 900, 1100);
	assert_in_range(count[2], 2350, 2650);
}

static void
alloc_of_a_weight_that_grows_takes_from_others_alone(void **state)
{
	struct world *w = *state;
	const char *was[FLEET];
	int moved = 0;
	set_conf(w, "hub.name", "a.x b.x c.x");
	for (int i = 0; i < FLEET; i++)
		was[i] = hashed(w, i);
	set_conf(w, "dps.hub_weights", "c.x=2");
	for (int i = 0; i < FLEET; i++) {
		const char *is = hashed(w, i);
		moved += is != was[i];
		assert_true(is == was[i] || strcmp(is, "c.x") == 0);
	}
	/* from a third to a half */
	assert_in_range(moved, 560, 780);
}

static void
alloc_static_and_subsets_keep_to_what_is_named(void **state)
{
	struct world *w = *state;
	set_conf(w, "hub.name", "a.x b.x c.x d.x");
	set_conf(w, "hub.alias", "old.x=c.x");
	assert_string_equal(allocate(w, "static", "c.x b.x", ""), "c.x");
	assert_string_equal(allocate(w, "static", "OLD.x", ""), "c.x");
	assert_string_equal(allocate(w, "static", "", ""), "a.x");
	assert_string_equal(allocate(w, "hashed", "old.x", ""), "c.x");
	assert_null(allocate(w, "hashed", "z.x", ""));
	set_conf(w, "dps.hubs_excluded", "a.x C.x");
	assert_string_equal(allocate(w, "static", "", ""), "b.x");
	assert_null(allocate(w, "static", "c.x", ""));
	for (int i = 0; i < 100; i++)
		assert_true(hashed(w, i)[0] == 'b' || hashed(w, i)[0] == 'd');
}

static void
alloc_takes_the_nearest_hub_of_the_longest_prefix(void **state)
{
	struct world *w = *state;
	static const char geo[] = "geoLatency";
	set_conf(w, "hub.name", "eu.x us.x us2.x");
	set_conf(w, "dps.regions",
	    "europe=192.0.2.0/24 america=192.0.0.0/16 america=2001:db8::/32");
	set_conf(w, "dps.latencies",
	    "europe:eu.x=8 europe:us.x=90 america:eu.x=90 america:us.x=12 "
	    "america:us2.x=12");
	assert_string_equal(allocate(w, geo, "", "192.0.2.9:5000"), "eu.x");
	assert_string_equal(allocate(w, geo, "us.x us2.x", "192.0.2.9:5000"), "us.x");
	/* as near as the other: by the hash among the two */
	assert_true(strncmp(allocate(w, geo, "", "192.0.7.9:5000"), "us", 2) == 0);
	assert_true(strncmp(allocate(w, geo, "", "[2001:db8::9]:5000"), "us", 2) == 0);
	/* from nowhere known: by the hash among all */
	assert_ptr_equal(
	    allocate(w, geo, "", "203.0.113.1:1"), allocate(w, "hashed", "", ""));
	assert_ptr_equal(allocate(w, geo, "", ""), allocate(w, "hashed", "", ""));
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(alloc_moves_only_what_must_move_when_a_hub_is_added),
	    IN_WORLD(alloc_gives_each_hub_its_weights_share),
	    IN_WORLD(alloc_of_a_weight_that_grows_takes_from_others_alone),
	    IN_WORLD(alloc_static_and_subsets_keep_to_what_is_named),
	    IN_WORLD(alloc_takes_the_nearest_hub_of_the_longest_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
