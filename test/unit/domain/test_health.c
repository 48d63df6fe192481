/*
 * Health: each item's state at its limits, and changes told once.
 */
#include "world.h"

#include <stdio.h>

#include "domain/hub/clone.h"
#include "domain/pki/crl_plan.h"
#include "domain/health.h"

struct stage {
	struct world *w;
	struct issuer *ca;
	const char *hex;
	struct clone_list *clones;
	struct health_inputs in;
};

static int
setup(void **state)
{
	struct stage *s = own_alloc(sizeof(*s));
	void *w;
	world_setup(&w);
	s->w = w;
	s->ca = world_issuer(s->w, "device-ca", "device");
	s->hex = world_issuer_hex(s->w, s->ca);
	s->clones = own_alloc(sizeof(*s->clones));
	s->in = (struct health_inputs){.signer_up = true,
	    .journal_count = -1,
	    .clones = s->clones,
	    .deep = true,
	    .started_ms = WORLD_NOW_MS - WORLD_DAY_MS};
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;
	void *w = s->w;
	issuer_free(s->ca);
	free(s->clones);
	free(s);
	return world_teardown(&w);
}

struct look {
	const char *name;
	int state; /* -1: there is no such item */
	int64_t at_ms;
};

static int
visit(void *ctx, const struct health_item *i, struct err *e)
{
	struct look *l = ctx;
	(void)e;
	assert_true(i->text[0] != '\0');
	if (strcmp(i->name, l->name) == 0) {
		l->state = i->state;
		l->at_ms = i->at_ms;
	}
	return 0;
}

static int
state_of(struct stage *s, const char *name)
{
	struct look l = {.name = name, .state = -1};
	assert_ok(health_each(&s->w->d, &s->in, visit, &l, &s->w->e), &s->w->e);
	return l.state;
}

static void
put_list(struct stage *s, int64_t next_ms)
{
	const struct store_crl c = {.issuer = s->hex,
	    .shard = -1,
	    .number = next_ms,
	    .this_ms = next_ms - s->w->cfg.pki.crl_life_ms,
	    .next_ms = next_ms,
	    .der = SPAN_LIT("list")};
	assert_ok(store_crl_put(s->w->d.store, &c, &s->w->e), &s->w->e);
}

static void
a_signer_that_is_away_is_bad(void **state)
{
	struct stage *s = *state;
	assert_int_equal(state_of(s, "signer"), HEALTH_OK);
	s->in.signer_up = false;
	assert_int_equal(state_of(s, "signer"), HEALTH_BAD);
}

static void
a_list_is_bad_when_half_its_life_went_without_a_new_one(void **state)
{
	struct stage *s = *state;
	int64_t half = s->w->cfg.pki.crl_life_ms / 2;
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_BAD); /* none */
	put_list(s, WORLD_NOW_MS + 2 * half);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_OK);
	put_list(s, WORLD_NOW_MS + half - 50000);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_OK); /* a moment to sign */
	put_list(s, WORLD_NOW_MS + half - 70000);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_BAD);
	put_list(s, WORLD_NOW_MS - 1);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_BAD);
}

static void
a_server_that_has_just_started_has_a_moment(void **state)
{
	struct stage *s = *state;
	s->in.started_ms = WORLD_NOW_MS - 1000;
	assert_int_equal(state_of(s, "crl device-ca"), -1);
	assert_int_equal(state_of(s, "ocsp device-ca"), HEALTH_OK);
}

static void
put_issuer(struct stage *s, const char *state, const char *custody)
{
	struct store_issuer i;
	assert_ok(
	    store_issuer_get(s->w->d.store, s->hex, s->w->arena, &i, &s->w->e), &s->w->e);
	i.state = state;
	i.custody = custody;
	assert_ok(store_issuer_put(s->w->d.store, &i, &s->w->e), &s->w->e);
}

static void
the_list_of_a_key_elsewhere_warns_before_it_ends_and_may_be_missing(void **state)
{
	struct stage *s = *state;
	put_issuer(s, "trusted", "");
	assert_int_equal(state_of(s, "crl device-ca"), -1);
	put_list(s, WORLD_NOW_MS + 20 * WORLD_DAY_MS);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_OK);
	put_list(s, WORLD_NOW_MS + 10 * WORLD_DAY_MS);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_WARN);
	put_list(s, WORLD_NOW_MS);
	assert_int_equal(state_of(s, "crl device-ca"), HEALTH_BAD);
}

static void
add_cert(struct stage *s, const char *profile, const char *subject, int64_t end_ms)
{
	struct world *w = s->w;
	static int n;
	char *serial = arena_printf(w->arena, "01%06x", ++n);
	const struct store_cert c = {.serial = serial,
	    .issuer = s->hex,
	    .profile = profile,
	    .subject = subject,
	    .requester = "",
	    .sha256 = serial,
	    .not_before_ms = WORLD_NOW_MS - 10 * WORLD_DAY_MS,
	    .issued_ms = WORLD_NOW_MS - 10 * WORLD_DAY_MS,
	    .not_after_ms = end_ms,
	    .key_sha256 = ""};
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
}

static void
answers_that_were_not_signed_in_time_are_bad_and_fresh_ones_have_a_moment(void **state)
{
	struct stage *s = *state;
	assert_int_equal(state_of(s, "ocsp device-ca"), HEALTH_OK);
	add_cert(s, "device", "dev", WORLD_NOW_MS + WORLD_DAY_MS);
	assert_int_equal(state_of(s, "ocsp device-ca"), HEALTH_BAD);
	s->w->cfg.pki.ocsp_presign = false;
	assert_int_equal(state_of(s, "ocsp device-ca"), -1);
}

static void
what_ends_warns_and_then_is_bad(void **state)
{
	struct stage *s = *state;
	issuer_free(s->ca);
	s->ca = world_issuer(s->w, "service-ca", "service");
	s->hex = world_issuer_hex(s->w, s->ca);
	add_cert(s, "operator", "a", WORLD_NOW_MS + 31 * WORLD_DAY_MS);
	add_cert(s, "operator", "b", WORLD_NOW_MS + 29 * WORLD_DAY_MS);
	add_cert(s, "operator", "c", WORLD_NOW_MS + 6 * WORLD_DAY_MS);
	add_cert(s, "operator", "d", WORLD_NOW_MS - 1);
	add_cert(s, "server", "host", WORLD_NOW_MS + WORLD_DAY_MS / 16);
	assert_int_equal(state_of(s, "operator a"), HEALTH_OK);
	assert_int_equal(state_of(s, "operator b"), HEALTH_WARN);
	assert_int_equal(state_of(s, "operator c"), HEALTH_BAD);
	assert_int_equal(state_of(s, "operator d"), -1);
	assert_int_equal(state_of(s, "server host"), HEALTH_BAD);
	add_cert(s, "server", "host", WORLD_NOW_MS + WORLD_DAY_MS); /* renewed */
	assert_int_equal(state_of(s, "server host"), HEALTH_OK);
}

static void
a_ca_warns_while_its_leaves_still_get_their_whole_life(void **state)
{
	struct stage *s = *state; /* it ends in 364 days */
	assert_int_equal(state_of(s, "ca device-ca"), HEALTH_OK);
	s->w->clock.skew_ms += 250 * WORLD_DAY_MS;
	assert_int_equal(state_of(s, "ca device-ca"), HEALTH_WARN);
	s->w->clock.skew_ms += 90 * WORLD_DAY_MS;
	assert_int_equal(state_of(s, "ca device-ca"), HEALTH_BAD);
	put_issuer(s, "retired", "file");
	assert_int_equal(state_of(s, "ca device-ca"), -1);
}

static void
a_journal_that_is_shorter_than_the_record_is_bad(void **state)
{
	struct stage *s = *state;
	assert_int_equal(state_of(s, "journal"), -1); /* not told yet */
	add_cert(s, "device", "dev", WORLD_NOW_MS + 1);
	s->in.journal_count = 1;
	assert_int_equal(state_of(s, "journal"), HEALTH_OK);
	s->in.journal_count = 9; /* OCSP delegates, and what was issued offline */
	assert_int_equal(state_of(s, "journal"), HEALTH_OK);
	s->in.journal_count = 0;
	assert_int_equal(state_of(s, "journal"), HEALTH_BAD);
	s->in.deep = false;
	assert_int_equal(state_of(s, "journal"), -1);
}

static void
quarantine_and_clones_warn(void **state)
{
	struct stage *s = *state;
	const struct store_allow a = {
	    .device_id = "dev", .quarantined_ms = WORLD_NOW_MS, .added_by = ""};
	assert_int_equal(state_of(s, "quarantine"), HEALTH_OK);
	assert_int_equal(state_of(s, "clones"), HEALTH_OK);
	assert_ok(store_allow_put(s->w->d.store, &a, &s->w->e), &s->w->e);
	clone_note(s->clones, "dev", WORLD_NOW_MS - WORLD_DAY_MS - 1, "old");
	assert_int_equal(state_of(s, "quarantine"), HEALTH_WARN);
	assert_int_equal(state_of(s, "clones"), HEALTH_OK);
	clone_note(s->clones, "dev", WORLD_NOW_MS - 1, "now");
	assert_int_equal(state_of(s, "clones"), HEALTH_WARN);
}

static void
a_change_is_told_once(void **state)
{
	static struct health_watch w;
	struct health_item i = {.name = "signer", .state = HEALTH_OK, .text = "x"};
	(void)state;
	health_watch_init(&w);
	assert_false(health_watch_changed(&w, &i));
	i.state = HEALTH_BAD;
	assert_true(health_watch_changed(&w, &i));
	assert_false(health_watch_changed(&w, &i));
	i.state = HEALTH_OK;
	assert_true(health_watch_changed(&w, &i));
	i = (struct health_item){.name = "other", .state = HEALTH_WARN, .text = "x"};
	assert_true(health_watch_changed(&w, &i)); /* bad from the start */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_signer_that_is_away_is_bad),
	    T(a_list_is_bad_when_half_its_life_went_without_a_new_one),
	    T(a_server_that_has_just_started_has_a_moment),
	    T(the_list_of_a_key_elsewhere_warns_before_it_ends_and_may_be_missing),
	    T(answers_that_were_not_signed_in_time_are_bad_and_fresh_ones_have_a_moment),
	    T(what_ends_warns_and_then_is_bad),
	    T(a_ca_warns_while_its_leaves_still_get_their_whole_life),
	    T(a_journal_that_is_shorter_than_the_record_is_bad),
	    T(quarantine_and_clones_warn),
	    cmocka_unit_test(a_change_is_told_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
