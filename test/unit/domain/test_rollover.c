/* Rollovers as rules: shares, windows, gates, groups, states, and a CA in other hands. */
#include "world.h"

#include <stdio.h>

#include "crypto/chain.h"
#include "domain/pki/census.h"
#include "domain/pki/renew.h"
#include "domain/pki/rollover.h"

#define HOUR_MS INT64_C(3600000)

/* ---- what the tests stand on ---- */

static struct issuer *root_key; /* of the root that new_ca signs under */

static void
put_row(struct world *w, const char *name, const char *purpose, const char *state,
    struct span der)
{
	uint8_t sha[DIGEST_SHA256];
	char hex[65];
	digest_sha256(der, sha);
	hex_write(span_of(sha, sizeof(sha)), hex);
	const struct store_issuer row = {.sha256 = hex,
	    .name = name,
	    .purpose = purpose,
	    .state = state,
	    .custody = strcmp(purpose, "root") == 0 ? "" : "file",
	    .cert = der};
	assert_ok(store_issuer_put(w->d.store, &row, &w->e), &w->e);
	assert_ok(issuer_load(&w->d, &w->book, &w->e), &w->e);
	w->d.issuers = &w->book;
}

static void
new_root(struct world *w, const char *name, const char *state)
{
	auto_(key_free) struct key *k = key_generate(KEY_P256, &w->e);
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	assert_ok(issuer_self_sign(k, name, NULL, WORLD_NOW_MS / 1000 - 86400,
		      INT64_C(86400) * 3650, &der, &w->e),
	    &w->e);
	cert_write_pem(buf_span(&der), &pem);
	issuer_free(root_key);
	root_key = issuer_new(buf_span(&pem), k, &w->e);
	assert_non_null(root_key);
	put_row(w, name, "root", state, buf_span(&der));
}

/* A CA under the youngest root. */
static void
new_ca(struct world *w, const char *name, const char *purpose, const char *state)
{
	auto_(key_free) struct key *k = key_generate(KEY_P256, &w->e);
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result got;
	const struct issuer_request r = {.profile = PROFILE_INTERMEDIATE,
	    .cn = name,
	    .spki = key_spki(k),
	    .now_s = WORLD_NOW_MS / 1000 - 3600,
	    .life_s = INT64_C(86400) * 365};
	assert_ok(issuer_sign(root_key, &r, &der, &got, &w->e), &w->e);
	put_row(w, name, purpose, state, buf_span(&der));
}

static struct store_issuer
ca(struct world *w, const char *name)
{
	struct store_issuer i;
	assert_ok(store_issuer_by_name(w->d.store, name, w->arena, &i, &w->e), &w->e);
	return i;
}

static void
assert_state(struct world *w, const char *name, const char *state)
{
	assert_string_equal(ca(w, name).state, state);
}

static int
setup(void **state)
{
	world_setup(state);
	struct world *w = *state;
	new_root(w, "root", "trusted");
	new_ca(w, "old", "device", "active");
	new_ca(w, "new", "device", "standby");
	return 0;
}

static int
teardown(void **state)
{
	issuer_free(root_key);
	root_key = NULL;
	return world_teardown(state);
}

static void
new_group(struct world *w, const char *id, const char *primary, const char *secondary)
{
	struct store_issuer a = ca(w, primary), b = {.sha256 = ""};
	if (secondary)
		b = ca(w, secondary);
	const struct store_enrollment g = {.id = id,
	    .attestation = STORE_ATT_X509,
	    .primary_cert = a.cert,
	    .primary_cert_sha256 = a.sha256,
	    .secondary_cert = b.cert,
	    .secondary_cert_sha256 = b.sha256,
	    .enabled = true,
	    .allocation = "hashed",
	    .hubs = "",
	    .tags = SPAN_LIT("{}"),
	    .desired = SPAN_LIT("{}")};
	assert_ok(store_enrollment_add(w->d.store, &g, &w->e), &w->e);
}

/* second NULL: it has no other. */
static void
assert_group(struct world *w, const char *id, const char *first, const char *second)
{
	struct store_enrollment g;
	assert_ok(store_enrollment_get(w->d.store, STORE_GROUP, id, w->arena, &g, &w->e),
	    &w->e);
	assert_string_equal(g.primary_cert_sha256, ca(w, first).sha256);
	assert_string_equal(g.secondary_cert_sha256, second ? ca(w, second).sha256 : "");
}

/* A device that used a certificate of that CA last, and was heard of at_ms. */
static void
device_on(struct world *w, const char *id, const char *by, int64_t at_ms)
{
	struct store_device dev;
	if (store_device_get(w->d.store, id, w->arena, &dev, &w->e))
		world_device(w, id);
	const struct store_device_cert c = {.device_id = id,
	    .sha256 = "",
	    .issuer = ca(w, by).sha256,
	    .serial = "01",
	    .key_sha256 = "",
	    .not_after_ms = WORLD_NOW_MS + 30 * WORLD_DAY_MS,
	    .first_ms = at_ms,
	    .seen_ms = at_ms,
	    .report_ms = at_ms,
	    .report_key = "",
	    .peer = "",
	    .custody = "",
	    .generation = "",
	    .agent = ""};
	assert_ok(store_device_cert_put(w->d.store, &c, &w->e), &w->e);
}

static struct store_cert
cert_of(struct world *w, const char *subject, const char *by, const char *serial)
{
	struct store_cert c = {.serial = serial,
	    .issuer = ca(w, by).sha256,
	    .profile = "device",
	    .subject = subject,
	    .requester = "test",
	    .sha256 = serial,
	    .not_before_ms = WORLD_NOW_MS - 1000,
	    .not_after_ms = WORLD_NOW_MS + 30 * WORLD_DAY_MS,
	    .issued_ms = clock_wall_ms(&w->clock),
	    .der = SPAN_LIT("certificate"),
	    .key_sha256 = "",
	    .crl_shard = -1};
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
	return c;
}

static struct census
count(
    struct world *w, const struct store_rollover *r, enum census_kind kind, int64_t rows)
{
	struct census c;
	bool more = true;
	assert_ok(census_init(&c, &w->d, r, kind, &w->e), &w->e);
	for (int i = 0; more; i++) {
		assert_true(i < 10000);
		assert_ok(census_step(&w->d, &c, rows, &more, &w->e), &w->e);
	}
	return c;
}

static struct store_rollover
start(struct world *w)
{
	struct store_rollover r;
	assert_ok(
	    rollover_start(&w->d, SPAN_NONE, SPAN_LIT("new"), HOUR_MS, &r, &w->e), &w->e);
	assert_ok(rollover_of(&w->d, SPAN_LIT("new"), &r, &w->e), &w->e);
	return r;
}

static int
wave(struct world *w, struct store_rollover *r, int64_t share, bool force)
{
	struct census c = count(w, r, CENSUS_STATUS, 1000);
	int rc = rollover_wave(&w->d, r, share, HOUR_MS, &c, force, &w->e);
	assert_ok(issuer_load(&w->d, &w->book, &(struct err){0}), &w->e);
	return rc;
}

static int
finish(struct world *w, struct store_rollover *r, bool force)
{
	struct census c = count(w, r, CENSUS_FINAL, 1000);
	return rollover_finish(&w->d, r, &c, force, &w->e);
}

/* ---- shares ---- */

static void
devices_lie_evenly_and_each_at_its_place(void **state)
{
	(void)state;
	char id[32];
	int tenth = 0;
	for (int i = 0; i < 10000; i++) {
		snprintf(id, sizeof(id), "dev-%d", i);
		int64_t at = census_place(span_str(id));
		assert_in_range(at, 0, CENSUS_ALL - 1);
		assert_int_equal(at, census_place(span_str(id)));
		tenth += at < CENSUS_ALL / 10;
	}
	assert_in_range(tenth, 900, 1100);
}

static void
a_window_lies_at_the_waves_start_and_stays_there(void **state)
{
	struct world *w = *state;
	struct rollover_call first, later;
	struct store_rollover r = start(w);
	const char *old = ca(w, "old").sha256;
	assert_ok(rollover_call(&w->d, SPAN_LIT("d"), old, &first, &w->e), &w->e);
	assert_false(first.called);
	assert_int_equal(first.poll_ms, HOUR_MS);
	assert_int_equal(wave(w, &r, CENSUS_ALL, false), 0);
	assert_ok(rollover_call(&w->d, SPAN_LIT("d"), old, &first, &w->e), &w->e);
	assert_true(first.called);
	assert_in_range(first.start_ms, WORLD_NOW_MS, WORLD_NOW_MS + HOUR_MS);
	assert_in_range(first.end_ms, first.start_ms, WORLD_NOW_MS + HOUR_MS);
	w->clock.skew_ms += HOUR_MS / 2;
	assert_ok(rollover_call(&w->d, SPAN_LIT("d"), old, &later, &w->e), &w->e);
	assert_int_equal(first.start_ms, later.start_ms);
	assert_ok(rollover_call(&w->d, SPAN_LIT("d"), ca(w, "new").sha256, &later, &w->e),
	    &w->e);
	assert_false(later.called);
}

static void
who_is_beyond_the_share_is_not_called(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	struct rollover_call call;
	char id[32];
	assert_int_equal(wave(w, &r, 2500, false), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "dev-%d", i);
		assert_ok(
		    rollover_call(&w->d, span_str(id), ca(w, "old").sha256, &call, &w->e),
		    &w->e);
		assert_int_equal(call.called, census_place(span_str(id)) < 2500);
	}
}

/* ---- start ---- */

static void
start_trusts_the_new_one_and_names_it_in_the_group(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	new_group(w, "g", "old", NULL);
	start(w);
	assert_state(w, "new", "trusted");
	assert_state(w, "old", "active");
	assert_group(w, "g", "old", "new");
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("new"), 0, &r, &w->e),
	    &w->e, EXISTS);
}

static void
a_group_in_the_way_is_named_and_nothing_changes(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	new_ca(w, "third", "device", "trusted");
	new_group(w, "full", "old", "third");
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("new"), 0, &r, &w->e),
	    &w->e, CONFLICT);
	assert_non_null(strstr(w->e.text, "full"));
	assert_ok(store_enrollment_del(w->d.store, STORE_GROUP, "full", &w->e), &w->e);
	new_group(w, "mine", "old", NULL);
	new_group(w, "theirs", "new", NULL);
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("new"), 0, &r, &w->e),
	    &w->e, EXISTS);
	assert_non_null(strstr(w->e.text, "theirs"));
	assert_state(w, "new", "standby");
	assert_group(w, "mine", "old", NULL);
}

static void
a_group_that_names_its_ca_by_name_is_its_operators_to_edit(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	struct store_issuer old = ca(w, "old");
	struct store_ca_cert c = {.owner = "",
	    .name = "uploaded",
	    .sha256 = old.sha256,
	    .der = old.cert,
	    .verified = true};
	const struct store_enrollment g = {.id = "by-name",
	    .attestation = STORE_ATT_X509,
	    .primary_ca = "uploaded",
	    .enabled = true};
	assert_ok(store_ca_cert_add(w->d.store, &c, &w->e), &w->e);
	assert_ok(store_enrollment_add(w->d.store, &g, &w->e), &w->e);
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("new"), 0, &r, &w->e),
	    &w->e, CONFLICT);
	assert_non_null(strstr(w->e.text, "by-name"));
	assert_state(w, "new", "standby");
	new_group(w, "theirs", "new", NULL); /* as the error says it is to be done */
	assert_ok(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("new"), 0, &r, &w->e), &w->e);
	assert_group(w, "theirs", "new", NULL);
}

static void
what_cannot_come_next_is_refused(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	static const struct {
		const char *name, *purpose, *state;
	} bad[] = {{"gone", "device", "retired"}, {"burnt", "device", "revoked"}};
	for (size_t i = 0; i < 2; i++) {
		new_ca(w, bad[i].name, bad[i].purpose, bad[i].state);
		assert_fails(
		    rollover_start(&w->d, SPAN_NONE, span_str(bad[i].name), 0, &r, &w->e),
		    &w->e, CONFLICT);
	}
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("root"), 0, &r, &w->e),
	    &w->e, CONFLICT);
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("old"), 0, &r, &w->e),
	    &w->e, CONFLICT);
	assert_fails(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("none"), 0, &r, &w->e),
	    &w->e, NOT_FOUND);
	assert_fails(
	    rollover_start(&w->d, SPAN_LIT("root"), SPAN_LIT("new"), 0, &r, &w->e), &w->e,
	    CONFLICT);
}

static void
a_group_that_names_the_root_gets_the_new_root_beside_it(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	new_group(w, "g", "root", NULL);
	new_root(w, "root-2", "standby");
	new_ca(w, "under-2", "device", "standby");
	assert_ok(
	    rollover_start(&w->d, SPAN_NONE, SPAN_LIT("under-2"), 0, &r, &w->e), &w->e);
	assert_state(w, "root-2", "trusted");
	assert_group(w, "g", "root", "root-2");
}

/* ---- waves ---- */

static void
the_first_wave_lets_the_new_one_issue_and_waves_only_grow(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	assert_int_equal(wave(w, &r, 1000, false), 0);
	assert_state(w, "new", "active");
	assert_state(w, "old", "retiring");
	assert_int_equal(wave(w, &r, 2000, false), 0);
	assert_fails(wave(w, &r, 1000, true), &w->e, CONFLICT);
}

/* Twenty devices, all called; how many may be left behind is a number. */
static void
a_wave_waits_for_the_one_before_it(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	char id[32];
	w->cfg.pki.rollover_tolerance = 5;
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "dev-%d", i);
		device_on(w, id, "old", WORLD_NOW_MS);
	}
	assert_int_equal(wave(w, &r, CENSUS_ALL - 1, false), 0);
	assert_fails(wave(w, &r, CENSUS_ALL, false), &w->e, GATE);
	for (int i = 0; i < 18; i++) {
		snprintf(id, sizeof(id), "dev-%d", i);
		device_on(w, id, "new", WORLD_NOW_MS);
	}
	assert_fails(wave(w, &r, CENSUS_ALL, false), &w->e, GATE);
	device_on(w, "dev-18", "new", WORLD_NOW_MS);
	assert_int_equal(wave(w, &r, CENSUS_ALL, false), 0);
}

static void
who_was_not_heard_of_for_long_holds_nobody_up(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	device_on(w, "lost", "old", WORLD_NOW_MS - 8 * WORLD_DAY_MS);
	assert_int_equal(wave(w, &r, CENSUS_ALL - 1, false), 0);
	struct census c = count(w, &r, CENSUS_STATUS, 1000);
	assert_int_equal(c.silent, 1);
	assert_int_equal(c.overdue, 0);
	assert_int_equal(wave(w, &r, CENSUS_ALL, false), 0);
	device_on(w, "here", "old", WORLD_NOW_MS);
	assert_fails(finish(w, &r, false), &w->e, GATE);
}

static void
overdue_is_who_was_told_and_whose_time_is_over(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	assert_int_equal(wave(w, &r, CENSUS_ALL, false), 0);
	w->clock.skew_ms += HOUR_MS / 2;
	device_on(w, "slow", "old", domain_now(&w->d));
	assert_int_equal(count(w, &r, CENSUS_STATUS, 1000).overdue, 0);
	w->clock.skew_ms += HOUR_MS;
	struct census c = count(w, &r, CENSUS_STATUS, 1000);
	assert_int_equal(c.overdue, 1);
	assert_int_equal(c.silent, 0);
	assert_string_equal(c.is_overdue.v[0], "slow");
}

static void
a_count_in_steps_is_the_count(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	char id[32];
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof(id), "dev-%d", i);
		device_on(w, id, i % 3 ? "old" : "new", WORLD_NOW_MS - i);
		snprintf(id, sizeof(id), "unused-%d", i);
		world_device(w, id);
		cert_of(w, id, "old", arena_printf(w->arena, "a%d", i));
	}
	assert_int_equal(wave(w, &r, 5000, true), 0);
	struct census all = count(w, &r, CENSUS_FINAL, 100000);
	assert_int_equal(all.old, 20);
	assert_int_equal(all.moved, 10);
	assert_int_equal(all.loose, 30);
	assert_int_equal(all.last_old_ms, WORLD_NOW_MS - 1);
	for (int64_t rows = 1; rows < 50; rows += 7) {
		struct census steps = count(w, &r, CENSUS_FINAL, rows);
		assert_int_equal(steps.old, all.old);
		assert_int_equal(steps.moved, all.moved);
		assert_int_equal(steps.loose, all.loose);
		assert_int_equal(steps.called, all.called);
		assert_int_equal(steps.silent, all.silent);
	}
}

/* ---- the end ---- */

static void
finish_wants_proof_that_the_old_one_is_unused(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	new_group(w, "g", "old", "new");
	assert_fails(finish(w, &r, false), &w->e, CONFLICT);
	assert_int_equal(wave(w, &r, CENSUS_ALL, false), 0);
	device_on(w, "d-1", "old", WORLD_NOW_MS);
	assert_fails(finish(w, &r, false), &w->e, GATE);
	assert_non_null(strstr(w->e.text, "d-1"));
	device_on(w, "d-1", "new", WORLD_NOW_MS);
	world_device(w, "unused");
	struct store_cert c = cert_of(w, "unused", "old", "0a");
	assert_fails(finish(w, &r, false), &w->e, GATE);
	assert_non_null(strstr(w->e.text, "unused"));
	assert_state(w, "old", "retiring");
	assert_ok(
	    store_cert_revoke(w->d.store, c.issuer, c.serial, WORLD_NOW_MS, 5, &w->e),
	    &w->e);
	assert_int_equal(finish(w, &r, false), 0);
	assert_state(w, "old", "retired");
	assert_group(w, "g", "new", NULL);
	assert_string_equal(r.state, "finished");
	assert_fails(rollover_of(&w->d, SPAN_NONE, &r, &w->e), &w->e, NOT_FOUND);
}

static void
a_disabled_device_holds_nothing_up_and_force_passes(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	struct store_device dev;
	assert_int_equal(wave(w, &r, CENSUS_ALL, false), 0);
	device_on(w, "off", "old", WORLD_NOW_MS);
	dev = world_get_device(w, "off");
	dev.enabled = false;
	assert_ok(store_device_put(w->d.store, &dev, &w->e), &w->e);
	struct census c = count(w, &r, CENSUS_FINAL, 1000);
	assert_int_equal(c.old, 0);
	assert_int_equal(c.disabled, 1);
	device_on(w, "on", "old", WORLD_NOW_MS);
	assert_fails(finish(w, &r, false), &w->e, GATE);
	assert_int_equal(finish(w, &r, true), 0);
	assert_state(w, "old", "retired");
}

static void
stop_undoes_all_but_what_devices_need_by_now(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w);
	new_group(w, "g", "old", "new");
	assert_int_equal(wave(w, &r, 1000, false), 0);
	assert_ok(rollover_stop(&w->d, &r, &w->e), &w->e);
	assert_state(w, "old", "active");
	assert_state(w, "new", "trusted");
	assert_group(w, "g", "old", NULL);
	w->clock.skew_ms++;
	r = start(w);
	cert_of(w, "moved", "new", "0b");
	assert_ok(rollover_stop(&w->d, &r, &w->e), &w->e);
	assert_group(w, "g", "old", "new");
}

/* ---- servers' CAs ---- */

static void
report(struct world *w, const char *id, const char *anchor, int64_t at_ms)
{
	struct store_device_cert c;
	uint8_t sha[DIGEST_SHA256];
	device_on(w, id, "old", at_ms);
	assert_ok(store_device_cert_get(w->d.store, id, w->arena, &c, &w->e), &w->e);
	assert_ok(
	    hex_parse(span_str(ca(w, anchor).sha256), sha, sizeof(sha), &w->e), &w->e);
	c.anchors = span_of(sha, sizeof(sha));
	assert_ok(store_device_cert_put(w->d.store, &c, &w->e), &w->e);
}

static void
servers_cut_over_when_all_devices_have_told_of_the_new_root(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	new_ca(w, "service-old", "service", "active");
	new_root(w, "root-2", "standby");
	new_ca(w, "service-new", "service", "standby");
	/* the one of the world gives way */
	struct store_issuer other = {.sha256 = ""};
	for (size_t i = 0; i < w->book.n; i++)
		if (w->book.v[i].purpose == CA_SERVICE &&
		    strncmp(w->book.v[i].name, "service-", 8) != 0)
			other = ca(w, w->book.v[i].name);
	if (other.sha256[0]) {
		other.state = "retired";
		assert_ok(store_issuer_put(w->d.store, &other, &w->e), &w->e);
		assert_ok(issuer_load(&w->d, &w->book, &w->e), &w->e);
	}
	report(w, "d-1", "root", WORLD_NOW_MS);
	report(w, "lost", "root", WORLD_NOW_MS - 8 * WORLD_DAY_MS);
	assert_ok(rollover_start(&w->d, SPAN_NONE, SPAN_LIT("service-new"), 0, &r, &w->e),
	    &w->e);
	assert_state(w, "root-2", "trusted");
	assert_ok(rollover_of(&w->d, SPAN_LIT("service-new"), &r, &w->e), &w->e);
	assert_int_equal(count(w, &r, CENSUS_STATUS, 2).lacking_anchor, 1);
	assert_fails(wave(w, &r, 1, false), &w->e, GATE);
	assert_non_null(strstr(w->e.text, "d-1"));
	report(w, "d-1", "root-2", WORLD_NOW_MS);
	assert_int_equal(wave(w, &r, 1, false), 0);
	assert_state(w, "service-new", "active");
	assert_int_equal(r.share, CENSUS_ALL);
}

/* ---- a CA in other hands ---- */

static struct rollover_alarm
alarm_of(const char *name)
{
	return (struct rollover_alarm){
	    .name = span_str(name), .reason = 2, .spread_ms = -1, .operator_issuer = ""};
}

static void
a_ca_is_not_revoked_before_another_can_go_on(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	struct rollover_drill drill;
	struct rollover_alarm m = alarm_of("old");
	struct store_issuer other = ca(w, "new");
	other.custody = "";
	assert_ok(store_issuer_put(w->d.store, &other, &w->e), &w->e);
	assert_fails(rollover_revoke(&w->d, &m, &r, &w->e), &w->e, GATE);
	assert_non_null(strstr(w->e.text, "add one first"));
	assert_state(w, "old", "active");
	assert_ok(rollover_drill(&w->d, &m, &drill, &w->e), &w->e);
	assert_int_equal(drill.n_missing, 1);
	assert_non_null(strstr(drill.missing[0], "add one first"));
	m = alarm_of("root");
	assert_fails(rollover_revoke(&w->d, &m, &r, &w->e), &w->e, CONFLICT);
}

static void
a_revoked_ca_gives_way_at_once_and_everybody_is_called(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	struct rollover_call call;
	struct rollover_alarm m = alarm_of("old");
	new_group(w, "g", "old", NULL);
	for (int i = 0; i < 400; i++)
		device_on(w, arena_printf(w->arena, "dev-%d", i), "old", WORLD_NOW_MS);
	assert_ok(rollover_revoke(&w->d, &m, &r, &w->e), &w->e);
	assert_state(w, "old", "revoked");
	assert_state(w, "new", "active");
	assert_group(w, "g", "new", NULL);
	assert_int_equal(r.share, CENSUS_ALL);
	assert_int_equal(r.spread_ms, rollover_spread_ms(400));
	assert_true(r.spread_ms > 0);
	assert_ok(
	    rollover_call(&w->d, SPAN_LIT("dev-1"), ca(w, "old").sha256, &call, &w->e),
	    &w->e);
	assert_true(call.called);
	assert_string_equal(call.reason, "issuer revoked");
	assert_fails(rollover_revoke(&w->d, &m, &r, &w->e), &w->e, CONFLICT);
	assert_fails(rollover_stop(&w->d, &r, &w->e), &w->e, CONFLICT);
	assert_fails(wave(w, &r, CENSUS_ALL, true), &w->e, CONFLICT);
	assert_fails(finish(w, &r, false), &w->e, GATE);
	for (int i = 0; i < 400; i++)
		device_on(w, arena_printf(w->arena, "dev-%d", i), "new", WORLD_NOW_MS);
	assert_ok(finish(w, &r, false), &w->e);
	assert_state(w, "old", "revoked");
}

static void
a_rollover_under_way_becomes_the_emergencys(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w), now;
	struct rollover_alarm m = alarm_of("old");
	assert_int_equal(wave(w, &r, 100, false), 0);
	assert_ok(rollover_revoke(&w->d, &m, &now, &w->e), &w->e);
	assert_int_equal(now.n, r.n);
	assert_string_equal(now.state, "emergency");
}

static void
if_the_new_one_is_lost_the_old_one_issues_again(void **state)
{
	struct world *w = *state;
	struct store_rollover r = start(w), now;
	struct rollover_list all;
	struct rollover_alarm m = alarm_of("new");
	assert_int_equal(wave(w, &r, 100, false), 0);
	assert_ok(rollover_revoke(&w->d, &m, &now, &w->e), &w->e);
	assert_state(w, "old", "active");
	assert_state(w, "new", "revoked");
	assert_ok(rollover_list(&w->d, &all, &w->e), &w->e);
	assert_int_equal(all.n, 1);
	assert_string_equal(all.v[0].from_issuer, ca(w, "new").sha256);
}

static void
nobody_locks_himself_out_unknowingly(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	struct rollover_alarm m = alarm_of("old");
	m.operator_issuer = ca(w, "old").sha256;
	assert_fails(rollover_revoke(&w->d, &m, &r, &w->e), &w->e, GATE);
	assert_state(w, "old", "active");
	m.force = true;
	assert_ok(rollover_revoke(&w->d, &m, &r, &w->e), &w->e);
}

static void
what_was_issued_before_the_moment_may_come_back(void **state)
{
	struct world *w = *state;
	struct store_rollover r;
	bool before;
	struct store_cert early = cert_of(w, "d", "old", "01");
	w->clock.skew_ms += 1000;
	struct store_cert late = cert_of(w, "d", "old", "02");
	struct rollover_alarm m = alarm_of("old");
	m.since_ms = late.issued_ms;
	assert_ok(rollover_is_before_compromise(&w->d, &late, &before, &w->e), &w->e);
	assert_true(before);
	assert_ok(rollover_revoke(&w->d, &m, &r, &w->e), &w->e);
	assert_ok(rollover_is_before_compromise(&w->d, &early, &before, &w->e), &w->e);
	assert_true(before);
	assert_ok(rollover_is_before_compromise(&w->d, &late, &before, &w->e), &w->e);
	assert_false(before);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(devices_lie_evenly_and_each_at_its_place),
	    T(a_window_lies_at_the_waves_start_and_stays_there),
	    T(who_is_beyond_the_share_is_not_called),
	    T(start_trusts_the_new_one_and_names_it_in_the_group),
	    T(a_group_in_the_way_is_named_and_nothing_changes),
	    T(a_group_that_names_its_ca_by_name_is_its_operators_to_edit),
	    T(what_cannot_come_next_is_refused),
	    T(a_group_that_names_the_root_gets_the_new_root_beside_it),
	    T(the_first_wave_lets_the_new_one_issue_and_waves_only_grow),
	    T(a_wave_waits_for_the_one_before_it),
	    T(who_was_not_heard_of_for_long_holds_nobody_up),
	    T(overdue_is_who_was_told_and_whose_time_is_over),
	    T(a_count_in_steps_is_the_count),
	    T(finish_wants_proof_that_the_old_one_is_unused),
	    T(a_disabled_device_holds_nothing_up_and_force_passes),
	    T(stop_undoes_all_but_what_devices_need_by_now),
	    T(servers_cut_over_when_all_devices_have_told_of_the_new_root),
	    T(a_ca_is_not_revoked_before_another_can_go_on),
	    T(a_revoked_ca_gives_way_at_once_and_everybody_is_called),
	    T(a_rollover_under_way_becomes_the_emergencys),
	    T(if_the_new_one_is_lost_the_old_one_issues_again),
	    T(nobody_locks_himself_out_unknowingly),
	    T(what_was_issued_before_the_moment_may_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
