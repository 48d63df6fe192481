/*
 * Certificates: found, revoked, superseded; what CRLs and OCSP answers are made from.
 */
#include "store/pki.h"
#include "verbs.h"

#define HOLD 6

static const struct store_cert full_cert = {
    .serial = "0a1b",
    .issuer = "i1",
    .profile = "device",
    .subject = "dev-1",
    .requester = "dps",
    .sha256 = "f1",
    .not_before_ms = 11,
    .not_after_ms = NOW + 12,
    .issued_ms = 13,
    .der = {(const uint8_t *)"\x30\x82", 2},
    .key_sha256 = "k1",
    .crl_shard = 14,
    .revoked_ms = 15,
    .reason = 4,
    .superseded_ms = 16,
};

static void
assert_same_cert(const struct store_cert *c, const struct store_cert *w, int64_t n)
{
	assert_string_equal(c->serial, w->serial);
	assert_string_equal(c->issuer, w->issuer);
	assert_string_equal(c->profile, w->profile);
	assert_string_equal(c->subject, w->subject);
	assert_string_equal(c->requester, w->requester);
	assert_string_equal(c->sha256, w->sha256);
	assert_int_equal(c->not_before_ms, w->not_before_ms);
	assert_int_equal(c->not_after_ms, w->not_after_ms);
	assert_int_equal(c->issued_ms, w->issued_ms);
	assert_span(c->der, w->der);
	assert_string_equal(c->key_sha256, w->key_sha256);
	assert_int_equal(c->crl_shard, w->crl_shard);
	assert_int_equal(c->revoked_ms, w->revoked_ms);
	assert_int_equal(c->reason, w->reason);
	assert_int_equal(c->superseded_ms, w->superseded_ms);
	assert_int_equal(c->n, n);
}

/* An unrevoked one of dev-1 by i1 in distribution point 0; serial and SHA-256 as named.
 */
static struct store_cert
fresh(const char *serial)
{
	struct store_cert c = full_cert;
	c.serial = c.sha256 = serial;
	c.crl_shard = c.revoked_ms = c.reason = c.superseded_ms = 0;
	return c;
}

static void
add(struct store *s, struct store_cert c)
{
	struct err e;
	assert_ok(store_cert_add(s, &c, &e), &e);
}

static void
revoke_it(struct store *s, const char *serial, int64_t at_ms, int reason)
{
	struct err e;
	assert_ok(store_cert_revoke(s, "i1", serial, at_ms, reason, &e), &e);
}

static struct store_cert
get(void **state, const char *serial)
{
	struct dir *d = *state;
	struct store_cert c;
	struct err e;
	assert_ok(store_cert_get(d->s, "i1", serial, d->a, &c, &e), &e);
	return c;
}

static int
on_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	return see(ctx, c->serial);
}

static int
on_entry(void *ctx, const struct store_cert *c, struct err *e)
{
	char text[64];
	assert_string_equal(c->subject, "");
	snprintf(text, sizeof(text), "%s/%s/%lld:%lld:%d", c->issuer, c->serial,
	    (long long)c->crl_shard, (long long)c->revoked_ms, c->reason);
	return see(ctx, text);
}

static void
certificate_comes_back_as_it_was_added_by_either_name(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_cert got = {.n = 77};
	add(s, fresh("01"));
	add(s, full_cert);
	assert_ok(store_cert_by_sha256(s, "f1", arena(state), &got, &e), &e);
	assert_same_cert(&got, &full_cert, 2);
	assert_ok(store_cert_get(s, "i1", "0a1b", arena(state), &got, &e), &e);
	assert_same_cert(&got, &full_cert, 2);
	got.n = 77;
	assert_fails(
	    store_cert_get(s, "i2", "0a1b", arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(
	    store_cert_get(s, "i1", "0A1B", arena(state), &got, &e), &e, NOT_FOUND);
	assert_int_equal(got.n, 77);
}

static void
revocation_marks_the_certificate_and_notes_the_change(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	struct store_cert want = fresh("01");
	add(s, want);
	add(s, fresh("02"));
	revoke_it(s, "01", NOW, 1);
	struct store_cert got = get(state, "01");
	want.revoked_ms = NOW;
	want.reason = 1;
	assert_same_cert(&got, &want, 1);
	got = get(state, "02");
	assert_int_equal(got.revoked_ms, 0);
	assert_ok(store_crl_changes(s, "i1", 0, on_entry, &seen, &e), &e);
	assert_string_equal(seen.text, "i1/01/0:1790000000000:1 ");
	assert_fails(store_cert_revoke(s, "i1", "03", NOW, 1, &e), &e, NOT_FOUND);
	assert_fails(store_cert_revoke(s, "i2", "01", NOW, 1, &e), &e, NOT_FOUND);
	assert_ok(store_commit(s, &e), &e);
}

static void
revocation_for_the_same_reason_again_changes_nothing(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t mark = 0, again = 0;
	add(s, fresh("01"));
	revoke_it(s, "01", 0, 0); /* it is not on hold */
	assert_ok(store_crl_mark(s, &mark, &e), &e);
	assert_int_equal(mark, 0);
	revoke_it(s, "01", NOW, 1);
	assert_ok(store_crl_mark(s, &mark, &e), &e);
	assert_int_equal(mark, 1);
	revoke_it(s, "01", NOW + 5, 1);
	assert_int_equal(get(state, "01").revoked_ms, NOW);
	assert_ok(store_crl_mark(s, &again, &e), &e);
	assert_int_equal(again, mark);
}

static void
only_a_hold_ends(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	add(s, fresh("01"));
	add(s, fresh("02"));
	revoke_it(s, "01", NOW, HOLD);
	revoke_it(s, "01", 0, 0);
	struct store_cert got = get(state, "01");
	assert_int_equal(got.revoked_ms, 0);
	assert_int_equal(got.reason, 0);
	revoke_it(s, "02", NOW, HOLD);
	revoke_it(s, "02", NOW + 1, 1);
	assert_fails(store_cert_revoke(s, "i1", "02", 0, 0, &e), &e, CONFLICT);
	assert_fails(store_cert_revoke(s, "i1", "02", NOW + 2, HOLD, &e), &e, CONFLICT);
	revoke_it(s, "02", NOW + 3, 4);
	got = get(state, "02");
	assert_int_equal(got.revoked_ms, NOW + 3);
	assert_int_equal(got.reason, 4);
	assert_ok(store_crl_changes(s, "i1", 0, on_entry, &seen, &e), &e);
	assert_string_equal(
	    seen.text, "i1/01/0:1790000000000:8 i1/02/0:1790000000003:4 ");
	assert_ok(store_commit(s, &e), &e); /* the refusals did not end the turn */
}

static void
rollback_takes_a_revocation_back_whole(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	struct store_ocsp o = {.issuer = "i1",
	    .serial = "01",
	    .this_ms = NOW,
	    .next_ms = NOW + 9,
	    .der = SPAN_LIT("good")};
	add(s, fresh("01"));
	assert_ok(store_ocsp_put(s, &o, &e), &e);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_begin(s, &e), &e);
	revoke_it(s, "01", NOW, 1);
	assert_fails(store_ocsp_get(s, "i1", "01", arena(state), &o, &e), &e, NOT_FOUND);
	store_rollback(s);
	assert_int_equal(get(state, "01").revoked_ms, 0);
	assert_ok(store_crl_changes(s, "i1", 0, on_entry, &seen, &e), &e);
	assert_string_equal(seen.text, "");
	assert_ok(store_ocsp_get(s, "i1", "01", arena(state), &o, &e), &e);
	assert_span(o.der, SPAN_LIT("good"));
	assert_fails(store_cert_revoke(s, "i1", "01", NOW, 1, &e), &e, INTERNAL);
}

static void
certificates_without_a_distribution_point_share_one(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	struct store_cert c = fresh("01");
	c.crl_shard = -1;
	add(s, c);
	revoke_it(s, "01", NOW, 5);
	assert_ok(store_crl_entries(s, "i1", -1, 0, on_entry, &seen, &e), &e);
	assert_ok(store_crl_changes(s, "i1", -1, on_entry, &seen, &e), &e);
	assert_string_equal(
	    seen.text, "i1/01/-1:1790000000000:5 i1/01/-1:1790000000000:5 ");
}

/* ---- superseding ---- */

static void
newer_certificate_supersedes_the_older_ones_of_its_subject(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const char *const serials[] = {"01", "02", "03", "04", "05", "06"};
	for (size_t i = 0; i < 6; i++) {
		struct store_cert c = fresh(serials[i]);
		c.subject = i == 2 ? "dev-2" : "dev-1";
		c.profile = i == 3 ? "operator" : "device";
		add(s, c);
	}
	revoke_it(s, "02", NOW, 1);
	assert_ok(store_cert_supersede(s, "dev-1", "05", NOW, &e), &e);
	static const int64_t want[] = {NOW, 0, 0, 0, 0, 0};
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(get(state, serials[i]).superseded_ms, want[i]);
	/* later again, by a newer one: the first moment stays */
	assert_ok(store_cert_supersede(s, "dev-1", "06", NOW + 5, &e), &e);
	assert_int_equal(get(state, "01").superseded_ms, NOW);
	assert_int_equal(get(state, "05").superseded_ms, NOW + 5);
	/* the device fell back to its former one */
	assert_ok(store_cert_supersede(s, "dev-1", "05", NOW + 9, &e), &e);
	assert_int_equal(get(state, "05").superseded_ms, 0);
	assert_int_equal(get(state, "06").superseded_ms, 0);
}

static void
certificate_of_another_supersedes_nothing(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_cert c = fresh("02");
	c.subject = "dev-2";
	add(s, fresh("01"));
	add(s, c);
	assert_ok(store_cert_supersede(s, "dev-1", "02", NOW, &e), &e);
	assert_ok(store_cert_supersede(s, "dev-1", "ff", NOW, &e), &e);
	assert_int_equal(get(state, "01").superseded_ms, 0);
}

/* ---- finding ---- */

static void
find_joins_its_filters_and_pages_in_the_order_of_issue(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const struct {
		const char *serial, *subject, *issuer, *key, *profile;
		int64_t ends, superseded, revoked;
	} rows[] = {
	    {"09", "a", "i1", "k1", "device", NOW + 10, 0, 0},
	    {"08", "b", "i1", "k2", "device", NOW + 20, NOW + 1, 0},
	    {"07", "a", "i2", "k1", "device", NOW + 30, NOW + 2, NOW},
	    {"06", "b", "i2", "", "server", NOW + 40, 0, NOW},
	    {"05", "a", "i1", "k3", "operator", NOW + 50, NOW + 3, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_cert c = fresh(rows[i].serial);
		c.subject = rows[i].subject;
		c.issuer = rows[i].issuer;
		c.key_sha256 = rows[i].key;
		c.profile = rows[i].profile;
		c.not_after_ms = rows[i].ends;
		c.superseded_ms = rows[i].superseded;
		c.revoked_ms = rows[i].revoked;
		add(s, c);
	}
	static const struct {
		struct store_cert_filter f;
		const char *want;
	} asked[] = {
	    {{.limit = -1}, "09 08 07 06 05 "},
	    {{.limit = 2, .after = 2}, "07 06 "},
	    {{.limit = 9, .subject = "a"}, "09 07 05 "},
	    {{.limit = 9, .subject = "a", .after = 1, .revoked = -1}, "05 "},
	    {{.limit = 9, .issuer = "i1"}, "09 08 05 "},
	    {{.limit = 1, .issuer = "i1", .after = 1}, "08 "},
	    {{.limit = 9, .issuer = "i1", .expires_after_ms = NOW + 20}, "08 05 "},
	    {{.limit = 9, .key_sha256 = "k1"}, "09 07 "},
	    {{.limit = 9, .key_sha256 = "k1", .issuer = "i2"}, "07 "},
	    {{.limit = 9, .profile = "device", .subject = ""}, "09 08 07 "},
	    {{.limit = 9, .revoked = 1}, "07 06 "},
	    {{.limit = 9, .revoked = -1}, "09 08 05 "},
	    {{.limit = 9, .expires_before_ms = NOW + 30}, "09 08 "},
	    {{.limit = 9, .expires_after_ms = NOW + 30}, "07 06 05 "},
	    {{.limit = 9, .superseded_before_ms = NOW + 3}, "08 07 "},
	    {{.limit = 9, .superseded_before_ms = NOW + 3, .revoked = -1}, "08 "},
	    {{.limit = 9, .superseded_before_ms = NOW + 9, .revoked = -1}, "08 05 "},
	    {{.limit = 1, .superseded_before_ms = NOW + 9, .revoked = -1, .after = 2},
		"05 "},
	    {{.limit = 9,
		 .superseded_before_ms = NOW + 9,
		 .revoked = -1,
		 .expires_before_ms = NOW + 50},
		"08 "},
	    {{.limit = 9, .subject = "c"}, ""},
	    {{.limit = 0}, ""},
	};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct seen seen = {0};
		assert_ok(store_cert_find(s, &asked[i].f, on_cert, &seen, &e), &e);
		assert_string_equal(seen.text, asked[i].want);
	}
	struct seen seen = {.stop_at = 2};
	assert_int_equal(store_cert_find(s, &asked[0].f, on_cert, &seen, &e), 7);
}

static int
on_revoke_it(void *ctx, const struct store_cert *c, struct err *e)
{
	struct seen *seen = ctx;
	char serial[8];
	snprintf(serial, sizeof(serial), "%s", c->serial);
	if (store_cert_revoke(seen->s, c->issuer, c->serial, NOW, 4, e))
		return -1;
	return see(seen, serial);
}

static void
superseded_certificates_may_be_revoked_while_they_are_walked(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const char *const serials[] = {"01", "02", "03", "04"};
	for (size_t i = 0; i < 4; i++)
		add(s, fresh(serials[i]));
	assert_ok(store_cert_supersede(s, "dev-1", "04", NOW, &e), &e);
	struct seen seen = {.s = s};
	const struct store_cert_filter f = {
	    .superseded_before_ms = NOW + 1, .revoked = -1, .limit = 2};
	assert_ok(store_cert_find(s, &f, on_revoke_it, &seen, &e), &e);
	assert_string_equal(seen.text, "01 02 ");
	assert_ok(store_cert_find(s, &f, on_revoke_it, &seen, &e), &e);
	assert_ok(store_cert_find(s, &f, on_revoke_it, &seen, &e), &e);
	assert_string_equal(seen.text, "01 02 03 ");
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

static void
counts_tell_an_issuers_live_certificates(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const int64_t ends[] = {NOW - 1, NOW, NOW + 1, NOW - 1, NOW + 1};
	static const char *const serials[] = {"01", "02", "03", "04", "05"};
	for (size_t i = 0; i < 5; i++) {
		struct store_cert c = fresh(serials[i]);
		c.not_after_ms = ends[i];
		c.issuer = i == 4 ? "i2" : "i1";
		add(s, c);
	}
	revoke_it(s, "03", NOW, 1);
	revoke_it(s, "04", NOW, 1); /* it has ended: no longer of interest */
	struct store_cert_counts c;
	assert_ok(store_cert_count(s, "i1", NOW, &c, &e), &e);
	assert_int_equal(c.unexpired, 2);
	assert_int_equal(c.revoked, 1);
	assert_ok(store_cert_count(s, "i3", NOW, &c, &e), &e);
	assert_int_equal(c.unexpired + c.revoked, 0);
	struct store_cert_issued n;
	assert_ok(store_cert_issued(s, "i1", &n, &e), &e);
	assert_int_equal(n.count, 4);
	assert_int_equal(n.last_end_ms, NOW + 1);
	assert_ok(store_cert_issued(s, "i3", &n, &e), &e);
	assert_int_equal(n.count + n.last_end_ms, 0);
}

/* ---- CRLs ---- */

static const struct store_crl full_crl = {
    .issuer = "i1",
    .shard = 3,
    .delta = true,
    .number = 21,
    .this_ms = 22,
    .next_ms = 23,
    .mark = 24,
    .der = {(const uint8_t *)"\x30\x00", 2},
};

static void
assert_same_crl(const struct store_crl *c, const struct store_crl *w)
{
	assert_string_equal(c->issuer, w->issuer);
	assert_int_equal(c->shard, w->shard);
	assert_int_equal(c->delta, w->delta);
	assert_int_equal(c->number, w->number);
	assert_int_equal(c->this_ms, w->this_ms);
	assert_int_equal(c->next_ms, w->next_ms);
	assert_int_equal(c->mark, w->mark);
	assert_span(c->der, w->der);
}

static void
crl_put_inserts_then_rewrites_its_distribution_points_own(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_crl got, c = full_crl;
	assert_fails(
	    store_crl_get(s, "i1", 3, true, arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_crl_put(s, &c, &e), &e);
	assert_ok(store_crl_get(s, "i1", 3, true, arena(state), &got, &e), &e);
	assert_same_crl(&got, &full_crl);
	assert_fails(
	    store_crl_get(s, "i1", 3, false, arena(state), &got, &e), &e, NOT_FOUND);
	c = (struct store_crl){.issuer = "i1",
	    .shard = 3,
	    .delta = true,
	    .number = 31,
	    .this_ms = 32,
	    .next_ms = 33,
	    .mark = 34,
	    .der = SPAN_LIT("other")};
	assert_ok(store_crl_put(s, &c, &e), &e);
	assert_ok(store_crl_get(s, "i1", 3, true, arena(state), &got, &e), &e);
	assert_same_crl(&got, &c);
}

static int
on_crl(void *ctx, const struct store_crl *c, struct err *e)
{
	char text[32];
	assert_int_equal(c->der.len, 0);
	assert_int_equal(c->number, 21);
	assert_int_equal(c->this_ms, 22);
	assert_int_equal(c->mark, 24);
	snprintf(text, sizeof(text), "%s:%lld%s", c->issuer, (long long)c->shard,
	    c->delta ? "d" : "");
	return see(ctx, text);
}

static void
crl_each_shows_what_ends_first_without_its_bytes(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_crl c = full_crl;
	static const int64_t ends[] = {30, 10, 20};
	for (int i = 0; i < 3; i++) {
		c.shard = i - 1;
		c.delta = i == 2;
		c.next_ms = ends[i];
		assert_ok(store_crl_put(s, &c, &e), &e);
	}
	struct seen seen = {0};
	assert_ok(store_crl_each(s, on_crl, &seen, &e), &e);
	assert_string_equal(seen.text, "i1:0 i1:1d i1:-1 ");
}

static void
crl_entries_ascend_and_stay_until_a_crl_beyond_their_end(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const struct {
		const char *serial, *issuer;
		int64_t shard, ends;
	} rows[] = {
	    {"0c", "i1", 0, NOW + 9},
	    {"0a", "i1", 0, NOW},
	    {"0b", "i1", 0, NOW - 1}, /* an earlier CRL, of NOW, was beyond its end */
	    {"0d", "i1", 1, NOW + 9},
	    {"0e", "i2", 0, NOW + 9},
	    {"0f", "i1", 0, NOW + 9},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_cert c = fresh(rows[i].serial);
		c.issuer = rows[i].issuer;
		c.crl_shard = rows[i].shard;
		c.not_after_ms = rows[i].ends;
		add(s, c);
		if (i < 5)
			assert_ok(store_cert_revoke(
				      s, c.issuer, c.serial, 40 + (int64_t)i, 1, &e),
			    &e);
	}
	struct seen seen = {0};
	assert_ok(store_crl_entries(s, "i1", 0, NOW, on_entry, &seen, &e), &e);
	assert_string_equal(seen.text, "i1/0a/0:41:1 i1/0c/0:40:1 ");
	seen = (struct seen){.stop_at = 1};
	assert_int_equal(store_crl_entries(s, "i1", 1, NOW, on_entry, &seen, &e), 7);
	assert_string_equal(seen.text, "i1/0d/1:43:1 ");
}

static int
on_point(void *ctx, const char *issuer, int64_t shard, int64_t changes, struct err *e)
{
	char text[32];
	snprintf(text, sizeof(text), "%s:%lld:%lld", issuer, (long long)shard,
	    (long long)changes);
	return see(ctx, text);
}

static void
assert_dirty(struct store *s, const char *want)
{
	struct seen seen = {0};
	struct err e;
	assert_ok(store_crl_dirty(s, on_point, &seen, &e), &e);
	assert_string_equal(seen.text, want);
}

static void
distribution_point_is_dirty_until_a_crl_holds_its_changes(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_crl c = full_crl;
	struct store_cert other = fresh("03");
	c.shard = 0;
	other.crl_shard = 7;
	add(s, fresh("01"));
	add(s, fresh("02"));
	add(s, other);
	assert_dirty(s, "");
	revoke_it(s, "01", NOW, HOLD);
	revoke_it(s, "03", NOW, 1);
	assert_dirty(s, "i1:0:1 i1:7:1 ");
	/* the delta holds it; the full one does not yet */
	assert_ok(store_crl_mark(s, &c.mark, &e), &e);
	assert_ok(store_crl_put(s, &c, &e), &e);
	assert_dirty(s, "i1:7:1 ");
	/* one more, and the former in another state */
	revoke_it(s, "02", NOW, 1);
	assert_dirty(s, "i1:0:2 i1:7:1 ");
	assert_ok(store_crl_mark(s, &c.mark, &e), &e);
	assert_ok(store_crl_put(s, &c, &e), &e);
	revoke_it(s, "01", 0, 0);
	assert_dirty(s, "i1:0:2 i1:7:1 ");
}

static void
settling_keeps_what_came_while_the_crl_was_signed(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	int64_t mark;
	add(s, fresh("01"));
	add(s, fresh("02"));
	add(s, fresh("03"));
	revoke_it(s, "01", NOW, HOLD);
	revoke_it(s, "02", NOW, 1);
	assert_ok(store_crl_mark(s, &mark, &e), &e);
	revoke_it(s, "01", 0, 0);        /* noted before, changed since */
	revoke_it(s, "03", NOW - 99, 1); /* the clock was set back */
	assert_ok(store_crl_settle(s, "i1", 1, mark, &e), &e);
	assert_ok(store_crl_settle(s, "i1", 0, mark, &e), &e);
	assert_ok(store_crl_changes(s, "i1", 0, on_entry, &seen, &e), &e);
	assert_string_equal(
	    seen.text, "i1/01/0:1790000000000:8 i1/03/0:1789999999901:1 ");
}

static void
change_numbers_are_never_reused_not_even_after_all_went_and_a_restart(void **state)
{
	struct dir *d = *state;
	struct store *s = begun(state);
	struct err e;
	int64_t mark;
	add(s, fresh("01"));
	add(s, fresh("02"));
	revoke_it(s, "01", NOW, 1);
	assert_ok(store_crl_settle(s, "i1", 0, 1, &e), &e);
	assert_ok(store_commit(s, &e), &e);
	store_close(TAKE(d->s));
	d->s = store_open(d->path, &e);
	assert_non_null(d->s);
	s = begun(state);
	revoke_it(s, "02", NOW, 1);
	assert_ok(store_crl_mark(s, &mark, &e), &e);
	assert_int_equal(mark, 2);
	assert_ok(store_crl_settle(s, "i1", 0, 1, &e), &e); /* a late answer of before */
	assert_dirty(s, "i1:0:1 ");
}

/* ---- OCSP ---- */

static const struct store_ocsp full_ocsp = {
    .issuer = "i1",
    .serial = "01",
    .this_ms = 31,
    .next_ms = 32,
    .revoked_ms = 33,
    .reason = 4,
    .der = {(const uint8_t *)"\x30\x03", 2},
};

static void
ocsp_answer_comes_back_as_it_was_put(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_ocsp got, o = full_ocsp;
	add(s, fresh("01"));
	revoke_it(s, "01", 33, 4);
	assert_fails(
	    store_ocsp_get(s, "i1", "01", arena(state), &got, &e), &e, NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		assert_ok(store_ocsp_put(s, &o, &e), &e);
		assert_ok(store_ocsp_get(s, "i1", "01", arena(state), &got, &e), &e);
		assert_string_equal(got.issuer, "i1");
		assert_string_equal(got.serial, "01");
		assert_int_equal(got.this_ms, o.this_ms);
		assert_int_equal(got.next_ms, o.next_ms);
		assert_int_equal(got.revoked_ms, 33);
		assert_int_equal(got.reason, 4);
		assert_span(got.der, o.der);
		o.this_ms = 41;
		o.next_ms = 42;
		o.der = SPAN_LIT("other");
	}
	o.serial = "02";
	assert_fails(store_ocsp_put(s, &o, &e), &e, NOT_FOUND);
	assert_fails(
	    store_ocsp_get(s, "i2", "01", arena(state), &got, &e), &e, NOT_FOUND);
}

static void
ocsp_answer_of_a_state_that_has_passed_is_not_kept(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_ocsp got, good = full_ocsp, held;
	good.revoked_ms = 0;
	good.reason = 0;
	held = good;
	held.revoked_ms = NOW;
	held.reason = HOLD;
	add(s, fresh("01"));
	assert_ok(store_ocsp_put(s, &good, &e), &e);
	revoke_it(s, "01", NOW, HOLD);
	assert_fails(
	    store_ocsp_get(s, "i1", "01", arena(state), &got, &e), &e, NOT_FOUND);
	assert_fails(store_ocsp_put(s, &good, &e), &e, NOT_FOUND);
	assert_fails(
	    store_ocsp_get(s, "i1", "01", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_ocsp_put(s, &held, &e), &e);
	revoke_it(s, "01", 0, 0);
	assert_fails(store_ocsp_put(s, &held, &e), &e, NOT_FOUND);
	assert_fails(
	    store_ocsp_get(s, "i1", "01", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_commit(s, &e), &e);
}

static void
put_answer(struct store *s, const char *serial, int64_t next_ms)
{
	struct err e;
	struct store_ocsp o = {.issuer = "i1",
	    .serial = serial,
	    .this_ms = NOW,
	    .next_ms = next_ms,
	    .der = SPAN_LIT("x")};
	assert_ok(store_ocsp_put(s, &o, &e), &e);
}

static void
assert_due(struct store *s, const char *issuer, int64_t limit, const char *want)
{
	struct seen seen = {0};
	struct err e;
	assert_ok(
	    store_ocsp_due(s, issuer, NOW, NOW + 50, limit, on_cert, &seen, &e), &e);
	assert_string_equal(seen.text, want);
}

static void
ocsp_is_due_where_valid_and_missing_or_ending(void **state)
{
	struct store *s = begun(state);
	static const struct {
		const char *serial, *issuer;
		int64_t begins, ends;
	} rows[] = {
	    {"01", "i1", 0, NOW},
	    {"02", "i1", 0, NOW - 1},
	    {"03", "i1", NOW + 1, NOW + 99},
	    {"04", "i2", 0, NOW + 99},
	    {"05", "i1", NOW, NOW + 99},
	    {"06", "i1", 0, NOW + 99},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_cert c = fresh(rows[i].serial);
		c.issuer = rows[i].issuer;
		c.not_before_ms = rows[i].begins;
		c.not_after_ms = rows[i].ends;
		add(s, c);
	}
	assert_due(s, "i1", -1, "01 05 06 ");
	assert_due(s, "i2", 9, "04 ");
	put_answer(s, "01", NOW + 49);
	put_answer(s, "05", NOW + 50);
	assert_due(s, "i1", 9, "06 01 ");
	assert_due(s, "i1", 1, "06 ");
	put_answer(s, "06", NOW + 60);
	assert_due(s, "i1", 9, "01 ");
	revoke_it(s, "05", NOW, 1);
	assert_due(s, "i1", 9, "05 01 ");
}

static int
on_whole(void *ctx, const struct store_cert *c, struct err *e)
{
	assert_same_cert(c, ctx, 1);
	return 7;
}

static void
ocsp_due_shows_the_whole_certificate(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_cert want = full_cert;
	add(s, want);
	assert_int_equal(store_ocsp_due(s, "i1", NOW, NOW, 9, on_whole, &want, &e), 7);
}

static void
ocsp_trim_drops_answers_of_ended_certificates_in_batches(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_ocsp o;
	static const char *const serials[] = {"01", "02", "03"};
	for (int i = 0; i < 3; i++) {
		struct store_cert c = fresh(serials[i]);
		c.not_after_ms = NOW + i;
		add(s, c);
		put_answer(s, serials[i], NOW);
	}
	assert_ok(store_ocsp_trim(s, NOW + 2, 1, &e), &e);
	assert_fails(store_ocsp_get(s, "i1", "01", arena(state), &o, &e), &e, NOT_FOUND);
	assert_ok(store_ocsp_get(s, "i1", "02", arena(state), &o, &e), &e);
	assert_ok(store_ocsp_trim(s, NOW + 2, 9, &e), &e);
	assert_fails(store_ocsp_get(s, "i1", "02", arena(state), &o, &e), &e, NOT_FOUND);
	assert_ok(store_ocsp_get(s, "i1", "03", arena(state), &o, &e), &e);
	assert_int_equal(get(state, "01").not_after_ms, NOW); /* the record stays */
	revoke_it(s, "01", NOW, 1);
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(certificate_comes_back_as_it_was_added_by_either_name),
	    IN_STORE(revocation_marks_the_certificate_and_notes_the_change),
	    IN_STORE(revocation_for_the_same_reason_again_changes_nothing),
	    IN_STORE(only_a_hold_ends),
	    IN_STORE(rollback_takes_a_revocation_back_whole),
	    IN_STORE(certificates_without_a_distribution_point_share_one),
	    IN_STORE(newer_certificate_supersedes_the_older_ones_of_its_subject),
	    IN_STORE(certificate_of_another_supersedes_nothing),
	    IN_STORE(find_joins_its_filters_and_pages_in_the_order_of_issue),
	    IN_STORE(superseded_certificates_may_be_revoked_while_they_are_walked),
	    IN_STORE(counts_tell_an_issuers_live_certificates),
	    IN_STORE(crl_put_inserts_then_rewrites_its_distribution_points_own),
	    IN_STORE(crl_each_shows_what_ends_first_without_its_bytes),
	    IN_STORE(crl_entries_ascend_and_stay_until_a_crl_beyond_their_end),
	    IN_STORE(distribution_point_is_dirty_until_a_crl_holds_its_changes),
	    IN_STORE(settling_keeps_what_came_while_the_crl_was_signed),
	    IN_STORE(
		change_numbers_are_never_reused_not_even_after_all_went_and_a_restart),
	    IN_STORE(ocsp_answer_comes_back_as_it_was_put),
	    IN_STORE(ocsp_answer_of_a_state_that_has_passed_is_not_kept),
	    IN_STORE(ocsp_is_due_where_valid_and_missing_or_ending),
	    IN_STORE(ocsp_due_shows_the_whole_certificate),
	    IN_STORE(ocsp_trim_drops_answers_of_ended_certificates_in_batches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
