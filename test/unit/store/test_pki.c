/*
 * What is kept of CAs, of the certificates that devices use, and of enrolment.
 */
#include "store/pki.h"
#include "verbs.h"

static void
foreign_certificate_is_named_by_issuer_and_serial(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_foreign got, f = {.issuer = "i1",
				      .serial = "0a",
				      .sha256 = "f1",
				      .device_id = "dev",
				      .revoked_ms = 5,
				      .reason = 6};
	assert_fails(
	    store_foreign_get(s, "i1", "0a", arena(state), &got, &e), &e, NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		assert_ok(store_foreign_put(s, &f, &e), &e);
		assert_ok(store_foreign_get(s, "i1", "0a", arena(state), &got, &e), &e);
		assert_string_equal(got.issuer, "i1");
		assert_string_equal(got.serial, "0a");
		assert_string_equal(got.sha256, f.sha256);
		assert_string_equal(got.device_id, f.device_id);
		assert_int_equal(got.revoked_ms, f.revoked_ms);
		assert_int_equal(got.reason, f.reason);
		assert_ok(
		    store_foreign_by_sha256(s, f.sha256, arena(state), &got, &e), &e);
		assert_string_equal(got.device_id, f.device_id);
		f = (struct store_foreign){"i1", "0a", "f2", "dev-2", 7, 1};
	}
	assert_fails(
	    store_foreign_get(s, "i2", "0a", arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(
	    store_foreign_by_sha256(s, "f1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(
	    store_foreign_by_sha256(s, "", arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(store_foreign_del(s, "i2", "0a", &e), &e, NOT_FOUND);
	assert_ok(store_foreign_del(s, "i1", "0a", &e), &e);
	assert_fails(
	    store_foreign_get(s, "i1", "0a", arena(state), &got, &e), &e, NOT_FOUND);
}

static void
blocked_registration_ids_ignore_case(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_blocked got, b = {.registration_id = "Reg-1",
				      .at_ms = 5,
				      .reason = "stolen",
				      .added_by = "ann"};
	assert_fails(
	    store_blocked_get(s, "Reg-1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_blocked_put(s, &b, &e), &e);
	b = (struct store_blocked){"REG-1", 6, "found", "bob"};
	assert_ok(store_blocked_get(s, "reg-1", arena(state), &got, &e), &e);
	assert_string_equal(got.registration_id, "Reg-1");
	assert_int_equal(got.at_ms, 5);
	assert_string_equal(got.reason, "stolen");
	assert_string_equal(got.added_by, "ann");
	assert_ok(store_blocked_put(s, &b, &e), &e);
	assert_ok(store_blocked_get(s, "reg-1", arena(state), &got, &e), &e);
	assert_int_equal(got.at_ms, 6);
	assert_string_equal(got.reason, "found");
	assert_string_equal(got.added_by, "bob");
	assert_ok(store_blocked_del(s, "rEG-1", &e), &e);
	assert_fails(store_blocked_del(s, "Reg-1", &e), &e, NOT_FOUND);
	assert_fails(
	    store_blocked_get(s, "Reg-1", arena(state), &got, &e), &e, NOT_FOUND);
}

/* ---- what each device uses ---- */

static const struct store_device_cert full_used = {
    .device_id = "Dev-1",
    .sha256 = "f1",
    .issuer = "i1",
    .serial = "0a",
    .key_sha256 = "k1",
    .not_after_ms = 11,
    .first_ms = 12,
    .seen_ms = 13,
    .peer = "192.0.2.1:99",
    .custody = "tpm2",
    .generation = "7",
    .anchors = {(const uint8_t *)"anc\0hor", 7},
    .agent = "muster-agent",
    .clock_off_ms = -14,
    .report_ms = 15,
    .report_key = "k0",
    .traits = {TRAITS_RSA, 3072, 384, true, 16},
};

static void
assert_same_used(const struct store_device_cert *c, const struct store_device_cert *w)
{
	assert_string_equal(c->device_id, w->device_id);
	assert_string_equal(c->sha256, w->sha256);
	assert_string_equal(c->issuer, w->issuer);
	assert_string_equal(c->serial, w->serial);
	assert_string_equal(c->key_sha256, w->key_sha256);
	assert_int_equal(c->not_after_ms, w->not_after_ms);
	assert_int_equal(c->first_ms, w->first_ms);
	assert_int_equal(c->seen_ms, w->seen_ms);
	assert_string_equal(c->peer, w->peer);
	assert_string_equal(c->custody, w->custody);
	assert_string_equal(c->generation, w->generation);
	assert_span(c->anchors, w->anchors);
	assert_string_equal(c->agent, w->agent);
	assert_int_equal(c->clock_off_ms, w->clock_off_ms);
	assert_int_equal(c->report_ms, w->report_ms);
	assert_string_equal(c->report_key, w->report_key);
	assert_int_equal(c->traits.key, w->traits.key);
	assert_int_equal(c->traits.key_bits, w->traits.key_bits);
	assert_int_equal(c->traits.hash_bits, w->traits.hash_bits);
	assert_int_equal(c->traits.revocable, w->traits.revocable);
	assert_int_equal(c->traits.life_ms, w->traits.life_ms);
}

static void
device_certificate_put_inserts_then_rewrites(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device_cert got, c = full_used;
	assert_fails(
	    store_device_cert_get(s, "Dev-1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_device_cert_put(s, &c, &e), &e);
	assert_ok(store_device_cert_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_used(&got, &full_used);
	c = (struct store_device_cert){.device_id = "Dev-1",
	    .sha256 = "f2",
	    .issuer = "i2",
	    .serial = "0b",
	    .key_sha256 = "k2",
	    .not_after_ms = 21,
	    .first_ms = 22,
	    .seen_ms = 23,
	    .peer = "192.0.2.2:98",
	    .custody = "file",
	    .generation = "8",
	    .anchors = SPAN_LIT("other"),
	    .agent = "py",
	    .clock_off_ms = 24,
	    .report_ms = 25,
	    .report_key = "k3",
	    .traits = {TRAITS_EC, 256, 256, false, 26}};
	assert_ok(store_device_cert_put(s, &c, &e), &e);
	assert_ok(store_device_cert_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_used(&got, &c);
	assert_fails(
	    store_device_cert_get(s, "DEV-1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_device_cert_del(s, "Dev-1", &e), &e);
	assert_fails(store_device_cert_del(s, "Dev-1", &e), &e, NOT_FOUND);
}

static void
end_of(struct store *s, const char *id, int64_t not_after_ms)
{
	struct err e;
	struct store_device_cert c = full_used;
	c.device_id = id;
	c.not_after_ms = not_after_ms;
	assert_ok(store_device_cert_put(s, &c, &e), &e);
}

static int64_t
ending(struct store *s, int64_t before_ms)
{
	struct err e;
	int64_t n = -1;
	assert_ok(store_device_cert_ending(s, before_ms, &n, &e), &e);
	return n;
}

static void
certificates_of_devices_are_counted_by_the_hour_of_their_end(void **state)
{
	const int64_t hour = 3600000;
	struct store *s = begun(state);
	struct err e;
	assert_int_equal(ending(s, 1000 * hour), 0);
	end_of(s, "Dev-1", 5 * hour);
	end_of(s, "Dev-2", 6 * hour - 1);
	end_of(s, "Dev-3", 7 * hour);
	assert_int_equal(ending(s, 5 * hour - 1), 0);
	assert_int_equal(ending(s, 5 * hour), 2);
	assert_int_equal(ending(s, 8 * hour), 3);
	end_of(s, "Dev-1", 5 * hour + 7); /* within its hour */
	assert_int_equal(ending(s, 5 * hour), 2);
	end_of(s, "Dev-1", 7 * hour); /* renewed */
	assert_int_equal(ending(s, 5 * hour), 1);
	assert_int_equal(ending(s, 7 * hour), 3);
	assert_ok(store_device_cert_del(s, "Dev-3", &e), &e);
	assert_int_equal(ending(s, 7 * hour), 2);
}

static int
on_used(void *ctx, const struct store_device_cert *c, struct err *e)
{
	assert_string_equal(c->peer, "192.0.2.1:99");
	return see(ctx, c->device_id);
}

static void
add_used(
    struct store *s, const char *id, const char *issuer, const char *key, int64_t seen_ms)
{
	struct err e;
	struct store_device_cert c = full_used;
	c.device_id = id;
	c.issuer = issuer;
	c.key_sha256 = key;
	c.seen_ms = seen_ms;
	assert_ok(store_device_cert_put(s, &c, &e), &e);
}

static void
device_certificates_are_paged_and_filtered(void **state)
{
	struct store *s = begun(state);
	struct err e;
	add_used(s, "d", "i1", "k1", 1);
	add_used(s, "b", "i2", "k2", 2);
	add_used(s, "c", "i1", "", 3);
	add_used(s, "a", "i1", "k2", 4);
	static const struct {
		struct store_device_cert_filter f;
		const char *want;
	} rows[] = {
	    {{.limit = -1}, "a b c d "},
	    {{.limit = 2, .after = "a"}, "b c "},
	    {{.limit = 9, .issuer = "i1"}, "a c d "},
	    {{.limit = 1, .issuer = "i1", .after = "a"}, "c "},
	    {{.limit = 9, .key_sha256 = "k2"}, "a b "},
	    {{.limit = 9, .key_sha256 = "k2", .issuer = "i2", .after = "a"}, "b "},
	    {{.limit = 9, .key_sha256 = "k3"}, ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen = {0};
		assert_ok(store_device_cert_each(s, &rows[i].f, on_used, &seen, &e), &e);
		assert_string_equal(seen.text, rows[i].want);
	}
	struct seen seen = {.stop_at = 1};
	assert_int_equal(store_device_cert_each(s, &rows[0].f, on_used, &seen, &e), 7);
}

static void
users_of_an_issuer_are_counted_with_the_last_moment(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t count, last;
	add_used(s, "a", "i1", "k1", NOW + 5);
	add_used(s, "b", "i1", "k2", NOW);
	add_used(s, "c", "i2", "k3", NOW + 9);
	assert_ok(store_device_cert_count(s, "i1", &count, &last, &e), &e);
	assert_int_equal(count, 2);
	assert_int_equal(last, NOW + 5);
	add_used(s, "a", "i2", "k1", NOW + 10);
	assert_ok(store_device_cert_count(s, "i1", &count, &last, &e), &e);
	assert_int_equal(count, 1);
	assert_int_equal(last, NOW);
	assert_ok(store_device_cert_count(s, "i3", &count, &last, &e), &e);
	assert_int_equal(count, 0);
	assert_int_equal(last, 0);
}

/* ---- CAs and rollovers ---- */

static void
assert_same_issuer(const struct store_issuer *i, const struct store_issuer *w)
{
	assert_string_equal(i->sha256, w->sha256);
	assert_string_equal(i->name, w->name);
	assert_string_equal(i->purpose, w->purpose);
	assert_string_equal(i->state, w->state);
	assert_int_equal(i->reason, w->reason);
	assert_string_equal(i->custody, w->custody);
	assert_span(i->cert, w->cert);
	assert_int_equal(i->added_ms, w->added_ms);
	assert_int_equal(i->state_ms, w->state_ms);
}

static int
on_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	return see(ctx, i->name);
}

static void
issuers_are_found_by_hash_and_by_name(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_issuer got, i = {.sha256 = "a1",
				     .name = "device-ca",
				     .purpose = "device",
				     .state = "active",
				     .reason = 1,
				     .custody = "file",
				     .cert = SPAN_LIT("der"),
				     .added_ms = 2,
				     .state_ms = 3};
	assert_fails(store_issuer_get(s, "a1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_issuer_put(s, &i, &e), &e);
	assert_ok(store_issuer_get(s, "a1", arena(state), &got, &e), &e);
	assert_same_issuer(&got, &i);
	i = (struct store_issuer){"a1", "device-ca-1", "cross", "retired", 4, "pkcs11",
	    SPAN_LIT("other"), 5, 6};
	assert_ok(store_issuer_put(s, &i, &e), &e);
	assert_ok(store_issuer_by_name(s, "device-ca-1", arena(state), &got, &e), &e);
	assert_same_issuer(&got, &i);
	assert_fails(
	    store_issuer_by_name(s, "device-ca", arena(state), &got, &e), &e, NOT_FOUND);
	i.sha256 = "a2";
	assert_fails(store_issuer_put(s, &i, &e), &e, EXISTS);
	assert_string_equal(e.text, "CA device-ca-1 exists already");
	i.name = "a-ca";
	assert_ok(store_issuer_put(s, &i, &e), &e);
	struct seen seen = {0};
	assert_ok(store_issuer_each(s, on_issuer, &seen, &e), &e);
	assert_string_equal(seen.text, "a-ca device-ca-1 ");
	seen = (struct seen){.stop_at = 1};
	assert_int_equal(store_issuer_each(s, on_issuer, &seen, &e), 7);
	assert_ok(store_commit(s, &e), &e);
}

struct rollovers {
	struct store_rollover first;
	struct seen seen;
};

static int
on_rollover(void *ctx, const struct store_rollover *r, struct err *e)
{
	struct rollovers *all = ctx;
	char text[64];
	if (all->seen.n == 0)
		all->first = *r;
	snprintf(text, sizeof(text), "%lld:%s>%s:%s:%lld", (long long)r->n,
	    r->from_issuer, r->to_issuer, r->state, (long long)r->share);
	return see(&all->seen, text);
}

static void
rollovers_come_youngest_first_and_are_rewritten_by_number(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_rollover r = {.from_issuer = "i1",
	    .to_issuer = "i2",
	    .state = "waves",
	    .share = 10,
	    .spread_ms = 11,
	    .started_ms = 12,
	    .wave_ms = 13,
	    .ended_ms = 14};
	assert_ok(store_rollover_put(s, &r, &e), &e);
	assert_fails(store_rollover_put(s, &r, &e), &e, EXISTS);
	r.from_issuer = "i2";
	r.to_issuer = "i3";
	assert_ok(store_rollover_put(s, &r, &e), &e);
	struct rollovers all = {0};
	assert_ok(store_rollover_each(s, -1, on_rollover, &all, &e), &e);
	assert_string_equal(all.seen.text, "2:i2>i3:waves:10 1:i1>i2:waves:10 ");
	assert_int_equal(all.first.spread_ms, 11);
	assert_int_equal(all.first.started_ms, 12);
	assert_int_equal(all.first.wave_ms, 13);
	assert_int_equal(all.first.ended_ms, 14);

	r = (struct store_rollover){2, "i4", "i5", "ended", 20, 21, 22, 23, 24};
	assert_ok(store_rollover_put(s, &r, &e), &e);
	all = (struct rollovers){0};
	assert_ok(store_rollover_each(s, 1, on_rollover, &all, &e), &e);
	assert_string_equal(all.seen.text, "2:i4>i5:ended:20 ");
	assert_int_equal(all.first.spread_ms, 21);
	assert_int_equal(all.first.started_ms, 22);
	assert_int_equal(all.first.wave_ms, 23);
	assert_int_equal(all.first.ended_ms, 24);
	r.n = 3;
	assert_fails(store_rollover_put(s, &r, &e), &e, NOT_FOUND);
	all = (struct rollovers){.seen.stop_at = 1};
	assert_int_equal(store_rollover_each(s, 9, on_rollover, &all, &e), 7);
}

/* ---- enrolment ---- */

static int
on_token(void *ctx, const struct store_token *t, struct err *e)
{
	return see(ctx, t->device_id);
}

static void
token_put_inserts_then_rewrites_the_devices_own(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_token got, t = {.device_id = "Dev-1",
				    .sha256 = "s1",
				    .created_ms = 1,
				    .expires_ms = 2,
				    .used_ms = 3,
				    .created_by = "ann"};
	assert_fails(store_token_get(s, "Dev-1", arena(state), &got, &e), &e, NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		assert_ok(store_token_put(s, &t, &e), &e);
		assert_ok(store_token_get(s, "Dev-1", arena(state), &got, &e), &e);
		assert_string_equal(got.device_id, "Dev-1");
		assert_string_equal(got.sha256, t.sha256);
		assert_int_equal(got.created_ms, t.created_ms);
		assert_int_equal(got.expires_ms, t.expires_ms);
		assert_int_equal(got.used_ms, t.used_ms);
		assert_string_equal(got.created_by, t.created_by);
		t = (struct store_token){"Dev-1", "s2", 11, 12, 13, "bob"};
	}
	t.device_id = "dev-1";
	assert_fails(store_token_put(s, &t, &e), &e, EXISTS);
	t.sha256 = "s3";
	t.device_id = "A";
	assert_ok(store_token_put(s, &t, &e), &e);
	struct seen seen = {0};
	assert_ok(store_token_each(s, on_token, &seen, &e), &e);
	assert_string_equal(seen.text, "A Dev-1 ");
	seen = (struct seen){.stop_at = 1};
	assert_int_equal(store_token_each(s, on_token, &seen, &e), 7);
	assert_ok(store_token_del(s, "Dev-1", &e), &e);
	assert_fails(store_token_del(s, "Dev-1", &e), &e, NOT_FOUND);
}

static void
token_that_was_used_in_a_turn_that_failed_is_not_used(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_token got, t = {.device_id = "d", .sha256 = "s1", .expires_ms = 9};
	assert_ok(store_token_put(s, &t, &e), &e);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_begin(s, &e), &e);
	t.used_ms = 5;
	assert_ok(store_token_put(s, &t, &e), &e);
	store_rollback(s);
	assert_ok(store_token_get(s, "d", arena(state), &got, &e), &e);
	assert_int_equal(got.used_ms, 0);
	assert_fails(store_token_put(s, &t, &e), &e, INTERNAL);
}

static void
assert_same_enrol(const struct store_enrol *r, const struct store_enrol *w)
{
	assert_string_equal(r->id, w->id);
	assert_string_equal(r->device_id, w->device_id);
	assert_string_equal(r->state, w->state);
	assert_string_equal(r->key_sha256, w->key_sha256);
	assert_string_equal(r->credential, w->credential);
	assert_string_equal(r->address, w->address);
	assert_int_equal(r->created_ms, w->created_ms);
	assert_int_equal(r->decided_ms, w->decided_ms);
	assert_string_equal(r->decided_by, w->decided_by);
	assert_string_equal(r->cert_sha256, w->cert_sha256);
}

static void
enrolment_put_inserts_then_rewrites(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_enrol got, r = {.id = "r1",
				    .device_id = "d1",
				    .state = "pending",
				    .key_sha256 = "k1",
				    .credential = "token",
				    .address = "192.0.2.1",
				    .created_ms = 1,
				    .decided_ms = 2,
				    .decided_by = "ann",
				    .cert_sha256 = "c1"};
	assert_fails(store_enrol_get(s, "r1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_enrol_put(s, &r, &e), &e);
	assert_ok(store_enrol_get(s, "r1", arena(state), &got, &e), &e);
	assert_same_enrol(&got, &r);
	r = (struct store_enrol){
	    "r1", "d2", "issued", "k2", "x509", "192.0.2.2", 11, 12, "bob", "c2"};
	assert_ok(store_enrol_put(s, &r, &e), &e);
	assert_ok(store_enrol_get(s, "r1", arena(state), &got, &e), &e);
	assert_same_enrol(&got, &r);
}

static int
on_enrol(void *ctx, const struct store_enrol *r, struct err *e)
{
	return see(ctx, r->id);
}

static void
enrolments_come_oldest_first_by_state_and_go_with_age(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const struct {
		const char *id, *state;
		int64_t created_ms;
	} rows[] = {{"r4", "pending", 10}, {"r3", "denied", 20}, {"r2", "pending", 30},
	    {"r1", "pending", 30}};
	for (size_t i = 0; i < 4; i++) {
		struct store_enrol r = {.id = rows[i].id,
		    .state = rows[i].state,
		    .created_ms = rows[i].created_ms};
		assert_ok(store_enrol_put(s, &r, &e), &e);
	}
	struct seen seen = {0};
	assert_ok(store_enrol_each(s, "", -1, on_enrol, &seen, &e), &e);
	assert_string_equal(seen.text, "r4 r3 r1 r2 ");
	seen = (struct seen){0};
	assert_ok(store_enrol_each(s, "pending", 2, on_enrol, &seen, &e), &e);
	assert_string_equal(seen.text, "r4 r1 ");
	seen = (struct seen){.stop_at = 1};
	assert_int_equal(store_enrol_each(s, "denied", 9, on_enrol, &seen, &e), 7);
	assert_ok(store_enrol_trim(s, 30, &e), &e);
	seen = (struct seen){0};
	assert_ok(store_enrol_each(s, "", 9, on_enrol, &seen, &e), &e);
	assert_string_equal(seen.text, "r1 r2 ");
}

static int
on_allow(void *ctx, const struct store_allow *w, struct err *e)
{
	return see(ctx, w->device_id);
}

static void
renewal_allowance_put_inserts_then_rewrites(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_allow got,
	    w = {.device_id = "d", .until_ms = 1, .quarantined_ms = 2, .added_by = "ann"};
	assert_fails(store_allow_get(s, "d", arena(state), &got, &e), &e, NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		assert_ok(store_allow_put(s, &w, &e), &e);
		assert_ok(store_allow_get(s, "d", arena(state), &got, &e), &e);
		assert_string_equal(got.device_id, "d");
		assert_int_equal(got.until_ms, w.until_ms);
		assert_int_equal(got.quarantined_ms, w.quarantined_ms);
		assert_string_equal(got.added_by, w.added_by);
		w = (struct store_allow){"d", 11, 12, "bob"};
	}
	w.device_id = "b";
	assert_ok(store_allow_put(s, &w, &e), &e);
	struct seen seen = {0};
	assert_ok(store_allow_each(s, on_allow, &seen, &e), &e);
	assert_string_equal(seen.text, "b d ");
	seen = (struct seen){.stop_at = 1};
	assert_int_equal(store_allow_each(s, on_allow, &seen, &e), 7);
	assert_ok(store_allow_del(s, "d", &e), &e);
	assert_fails(store_allow_del(s, "d", &e), &e, NOT_FOUND);
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(foreign_certificate_is_named_by_issuer_and_serial),
	    IN_STORE(blocked_registration_ids_ignore_case),
	    IN_STORE(device_certificate_put_inserts_then_rewrites),
	    IN_STORE(certificates_of_devices_are_counted_by_the_hour_of_their_end),
	    IN_STORE(device_certificates_are_paged_and_filtered),
	    IN_STORE(users_of_an_issuer_are_counted_with_the_last_moment),
	    IN_STORE(issuers_are_found_by_hash_and_by_name),
	    IN_STORE(rollovers_come_youngest_first_and_are_rewritten_by_number),
	    IN_STORE(token_put_inserts_then_rewrites_the_devices_own),
	    IN_STORE(token_that_was_used_in_a_turn_that_failed_is_not_used),
	    IN_STORE(enrolment_put_inserts_then_rewrites),
	    IN_STORE(enrolments_come_oldest_first_by_state_and_go_with_age),
	    IN_STORE(renewal_allowance_put_inserts_then_rewrites),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
