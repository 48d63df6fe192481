/*
 * Re-provisioning: which hub a device stays on or comes to, and what becomes of its twin.
 */
#include "world.h"

#include "domain/dps/assign.h"
#include "domain/hub/device.h"
#include "store/c2d.h"

static void
set_conf(struct world *w, const char *key, const char *value)
{
	assert_ok(conf_set(&config_table, span_str(key), span_str(value), &w->cfg,
		      w->cfg_arena, &w->e),
	    &w->e);
}

/* An enrollment and what is on record of a device that was assigned to "was". */
struct scene {
	struct store_enrollment by;
	struct store_registration was;
	struct assign_ask ask;
	struct store_device dev;
	struct assign_outcome got;
};

static struct scene
scene(struct world *w, const char *was, bool update, bool migrate)
{
	set_conf(w, "hub.name", "a.x b.x c.x");
	struct scene s = {.by = {.allocation = "static",
			      .hubs = "b.x",
			      .tags = SPAN_LIT("{\"from\":\"group\"}"),
			      .desired = SPAN_LIT("{\"n\":1}"),
			      .update_hub = update,
			      .migrate_data = migrate},
	    .was = {.id = "dev", .device_id = "dev", .hub = was, .hubs = ""},
	    .dev = device_blank(&w->d, "dev")};
	s.dev.hub = was;
	s.dev.tags = SPAN_LIT("{\"mine\":1}");
	s.dev.reported = SPAN_LIT("{\"r\":1}");
	return s;
}

/* The hub it comes to. */
static const char *
register_(struct world *w, struct scene *s, bool is_new)
{
	s->ask.by = &s->by;
	s->ask.was = &s->was;
	struct links links;
	links_default(&w->cfg, &links);
	const char *hub = assign_choose(&w->cfg, &links, &s->ask, SPAN_LIT("dev"));
	assert_non_null(hub);
	assert_ok(
	    assign_place(&w->d, &s->ask, hub, is_new, &s->dev, &s->got, &w->e), &w->e);
	assert_string_equal(s->dev.hub, hub);
	return hub;
}

static void
assert_twin(const struct scene *s, const char *tags, const char *reported)
{
	assert_true(span_eq_str(s->dev.tags, tags));
	assert_true(span_eq_str(s->dev.reported, reported));
}

static void
migrate_moves_the_device_with_its_twin(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "a.x", true, true);
	const char *generation = s.dev.generation;
	assert_string_equal(register_(w, &s, false), "b.x");
	assert_string_equal(s.got.substatus, "deviceDataMigrated");
	assert_true(s.got.moved);
	assert_twin(&s, "{\"mine\":1}", "{\"r\":1}");
	assert_string_equal(s.dev.generation, generation);
}

static void
migrate_without_another_hub_changes_nothing(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "b.x", true, true);
	register_(w, &s, false);
	assert_string_equal(s.got.substatus, "initialAssignment");
	assert_false(s.got.moved);
	assert_twin(&s, "{\"mine\":1}", "{\"r\":1}");
}

static void
reset_takes_the_messages_of_that_device_and_migration_none(void **state)
{
	struct world *w = *state;
	struct store_c2d_load load;
	static const char *const ids[] = {"dev", "dev", "other"};
	for (size_t i = 0; i < 3; i++) {
		const struct store_c2d m = {.device_id = ids[i],
		    .generation = "g",
		    .message_id = "m",
		    .correlation_id = "",
		    .user_id = "",
		    .expires_ms = WORLD_NOW_MS + 1000,
		    .lock = ""};
		int64_t seq;
		assert_ok(store_c2d_add(w->d.store, &m, &seq, &w->e), &w->e);
	}
	for (int migrate = 1; migrate >= 0; migrate--) {
		struct scene s = scene(w, "b.x", true, migrate);
		register_(w, &s, false);
		assert_ok(
		    store_c2d_load(w->d.store, "dev", 0, WORLD_NOW_MS, &load, &w->e),
		    &w->e);
		assert_int_equal(load.all, migrate ? 2 : 0);
	}
	assert_ok(
	    store_c2d_load(w->d.store, "other", 0, WORLD_NOW_MS, &load, &w->e), &w->e);
	assert_int_equal(load.all, 1);
}

static void
migrate_back_to_where_it_was_has_a_word_of_its_own(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "a.x", true, true);
	s.was.hubs = "c.x B.x";
	register_(w, &s, false);
	assert_string_equal(s.got.substatus, "reprovisionedToInitialAssignment");
	assert_true(s.got.moved);
}

static void
reset_writes_the_initial_twin_on_the_same_hub_too(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "b.x", true, false);
	const char *generation = s.dev.generation;
	int64_t desired = s.dev.desired_version, reported = s.dev.reported_version;
	register_(w, &s, false);
	assert_string_equal(s.got.substatus, "deviceDataReset");
	assert_twin(&s, "{\"from\":\"group\"}", "{}");
	assert_true(span_eq_str(s.got.change, "{\"n\":1}"));
	assert_true(s.dev.desired_version > desired);
	assert_true(s.dev.reported_version > reported);
	assert_string_equal(s.dev.generation, generation);
}

static void
reset_on_another_hub_makes_the_identity_anew(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "a.x", true, false);
	const char *generation = s.dev.generation;
	assert_string_equal(register_(w, &s, false), "b.x");
	assert_string_equal(s.got.substatus, "deviceDataReset");
	assert_string_not_equal(s.dev.generation, generation);
	assert_twin(&s, "{\"from\":\"group\"}", "{}");
}

static void
never_keeps_hub_and_twin(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "a.x", false, false);
	assert_string_equal(register_(w, &s, false), "a.x");
	assert_string_equal(s.got.substatus, "initialAssignment");
	assert_false(s.got.moved);
	assert_twin(&s, "{\"mine\":1}", "{\"r\":1}");
}

static void
never_chooses_where_its_hub_is_gone(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "gone.x", false, true);
	assert_string_equal(register_(w, &s, false), "b.x");
	assert_string_equal(s.got.substatus, "initialAssignment");
	assert_twin(&s, "{\"mine\":1}", "{\"r\":1}");
}

static void
a_new_identity_begins_with_the_initial_twin(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "", true, true);
	register_(w, &s, true);
	assert_string_equal(s.got.substatus, "initialAssignment");
	assert_false(s.got.moved);
	assert_true(span_eq_str(s.dev.tags, "{\"from\":\"group\"}"));
	/* one that an operator made keeps what he wrote */
	s = scene(w, "", true, true);
	register_(w, &s, false);
	assert_string_equal(s.got.substatus, "initialAssignment");
	assert_twin(&s, "{\"mine\":1}", "{\"r\":1}");
}

static void
old_clients_stay_where_the_enrollment_says_nothing(void **state)
{
	static const struct {
		const char *version, *hub;
	} rows[] = {{"2017-08-31-preview", "a.x"}, {"2018-04-01", "a.x"},
	    {"2018-09-01-preview", "b.x"}, {"2019-03-31", "b.x"}, {"", "b.x"},
	    {"2017", "b.x"}};
	struct world *w = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene s = scene(w, "a.x", true, true);
		s.by.reprovision_unset = true;
		s.ask.api_version = span_str(rows[i].version);
		assert_string_equal(register_(w, &s, false), rows[i].hub);
		s = scene(w, "a.x", true, true); /* it says something */
		s.ask.api_version = span_str(rows[i].version);
		assert_string_equal(register_(w, &s, false), "b.x");
	}
}

static void
a_webhooks_twin_goes_over_migration(void **state)
{
	struct world *w = *state;
	const struct assign_twin twin = {SPAN_LIT("{\"hook\":1}"), SPAN_LIT("{\"d\":2}")};
	struct scene s = scene(w, "a.x", true, true);
	s.ask.twin = &twin;
	register_(w, &s, false);
	assert_string_equal(s.got.substatus, "deviceDataReset");
	assert_twin(&s, "{\"hook\":1}", "{}");
}

static void
history_has_each_hub_once(void **state)
{
	struct world *w = *state;
	struct scene s = scene(w, "a.x", true, true);
	const char *a = w->cfg.hub.name.v[0], *b = w->cfg.hub.name.v[1];
	assert_string_equal(assign_history(&w->d, NULL, a), "");
	assert_string_equal(assign_history(&w->d, &s.was, a), "");
	assert_string_equal(assign_history(&w->d, &s.was, b), "a.x");
	s.was.hubs = "c.x";
	assert_string_equal(assign_history(&w->d, &s.was, b), "c.x a.x");
	s.was.hubs = "c.x A.x";
	assert_string_equal(assign_history(&w->d, &s.was, b), "c.x A.x");
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(migrate_moves_the_device_with_its_twin),
	    IN_WORLD(migrate_without_another_hub_changes_nothing),
	    IN_WORLD(migrate_back_to_where_it_was_has_a_word_of_its_own),
	    IN_WORLD(reset_takes_the_messages_of_that_device_and_migration_none),
	    IN_WORLD(reset_writes_the_initial_twin_on_the_same_hub_too),
	    IN_WORLD(reset_on_another_hub_makes_the_identity_anew),
	    IN_WORLD(never_keeps_hub_and_twin),
	    IN_WORLD(never_chooses_where_its_hub_is_gone),
	    IN_WORLD(a_new_identity_begins_with_the_initial_twin),
	    IN_WORLD(old_clients_stay_where_the_enrollment_says_nothing),
	    IN_WORLD(a_webhooks_twin_goes_over_migration),
	    IN_WORLD(history_has_each_hub_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
