/*
 * Planning of CRLs, with a signer played by the test: which lists are due, what stands in
 * them, numbers that only grow.
 */
#include "world.h"

#include <stdio.h>

#include "crypto/crl.h"
#include "domain/pki/crl_plan.h"

#define URL "http://pki.example"

struct stage {
	struct world *w;
	struct issuer *ca;
	const char *hex;
};

static int
setup(void **state)
{
	struct stage *s = own_alloc(sizeof(*s));
	void *w;
	world_setup(&w);
	s->w = w;
	s->w->cfg.pki.public_url = URL;
	s->w->cfg.pki.crl_shards = 2;
	s->ca = world_issuer(s->w, "device-ca", "device");
	s->hex = world_issuer_hex(s->w, s->ca);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;
	void *w = s->w;
	issuer_free(s->ca);
	free(s);
	return world_teardown(&w);
}

/* ---- the signer -----------------------------------------------------------------------
 */

/* As role/signer_status.c. */
static struct span
sign(struct stage *s, const struct crl_job *j)
{
	struct world *w = s->w;
	const struct ipc_signer_crl m = crl_plan_question(j);
	struct span rest = m.entries;
	struct crl_entry *v = own_alloc((rest.len / 11 + 1) * sizeof(*v));
	struct crl_fields f = {.number = (uint64_t)m.number,
	    .base = (uint64_t)m.base,
	    .this_ms = m.this_ms,
	    .next_ms = m.next_ms,
	    .entries = v};
	auto_buf out = BUF_INIT(CRL_MAX);
	char url[200], freshest[200];
	snprintf(url, sizeof(url), URL "/crl/device-ca/%d.crl", (int)m.shard);
	snprintf(
	    freshest, sizeof(freshest), URL "/crl/device-ca/%d-delta.crl", (int)m.shard);
	f.url = m.shard < 0 ? NULL : url;
	f.freshest = m.shard < 0 || m.base ? NULL : freshest;
	for (; rest.len; f.n++)
		assert_ok(crl_entry_unpack(&rest, &v[f.n], &w->e), &w->e);
	assert_ok(crl_build(s->ca, &f, &out, &w->e), &w->e);
	free(v);
	return arena_span(w->arena, buf_span(&out));
}

static size_t
due(struct stage *s, struct crl_place v[CRL_PLAN_BATCH])
{
	size_t n;
	assert_ok(crl_plan_due(&s->w->d, v, &n, &s->w->e), &s->w->e);
	return n;
}

/* Plans, signs and keeps one place; how many lists that were. */
static size_t
make(struct stage *s, const struct crl_place *p)
{
	struct crl_job j[CRL_JOBS];
	size_t n;
	assert_ok(crl_plan_jobs(&s->w->d, p, j, &n, &s->w->e), &s->w->e);
	for (size_t i = 0; i < n; i++)
		assert_ok(
		    crl_plan_keep(&s->w->d, &j[i], sign(s, &j[i]), &s->w->e), &s->w->e);
	return n;
}

/* Until nothing is due; how many lists were signed. */
static size_t
make_all(struct stage *s)
{
	struct crl_place v[CRL_PLAN_BATCH];
	size_t lists = 0, n;
	for (int rounds = 0; (n = due(s, v)) > 0; rounds++) {
		assert_true(rounds < 10);
		for (size_t i = 0; i < n; i++)
			lists += make(s, &v[i]);
	}
	return lists;
}

static struct store_crl
stored(struct stage *s, int64_t shard, bool delta)
{
	struct store_crl c;
	assert_ok(
	    store_crl_get(s->w->d.store, s->hex, shard, delta, s->w->arena, &c, &s->w->e),
	    &s->w->e);
	return c;
}

static struct crl
read(struct stage *s, int64_t shard, bool delta)
{
	struct crl c;
	assert_ok(crl_parse(stored(s, shard, delta).der, &c, &s->w->e), &s->w->e);
	assert_ok(crl_verify(&c, issuer_cert(s->ca), &s->w->e), &s->w->e);
	return c;
}

/* ---- certificates ---------------------------------------------------------------------
 */

static void
issue(struct stage *s, int64_t shard, const char *serial)
{
	struct world *w = s->w;
	const struct store_cert c = {.serial = serial,
	    .issuer = s->hex,
	    .profile = "device",
	    .subject = "dev",
	    .requester = "",
	    .sha256 = serial,
	    .not_before_ms = WORLD_NOW_MS,
	    .not_after_ms = WORLD_NOW_MS + 30 * WORLD_DAY_MS,
	    .key_sha256 = "",
	    .crl_shard = shard};
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
}

static void
revoke(struct stage *s, const char *serial, int reason)
{
	struct world *w = s->w;
	int64_t now = reason ? clock_wall_ms(&w->clock) : 0;
	assert_ok(
	    store_cert_revoke(w->d.store, s->hex, serial, now, reason, &w->e), &w->e);
}

static bool
lists(struct stage *s, const struct crl *c, const char *serial, unsigned *ret_reason)
{
	uint8_t raw[CRL_SERIAL_MAX];
	struct crl_entry en;
	size_t n = strlen(serial) / 2;
	assert_ok(hex_parse(span_str(serial), raw, n, &s->w->e), &s->w->e);
	if (!crl_find(c, span_of(raw, n), &en))
		return false;
	if (ret_reason)
		*ret_reason = en.reason;
	return true;
}

/* ---- tests ----------------------------------------------------------------------------
 */

static void
a_fresh_issuer_gets_an_empty_list_for_every_shard(void **state)
{
	struct stage *s = *state;
	assert_int_equal(make_all(s), 3 + 2); /* -1, 0, 1 and the deltas of two */
	for (int64_t shard = -1; shard < 2; shard++) {
		struct crl c = read(s, shard, false);
		assert_int_equal(c.n, 0);
		assert_int_equal(c.base, 0);
		assert_int_equal(c.url.len > 0, shard >= 0);
	}
	struct crl full = read(s, 0, false), delta = read(s, 0, true);
	assert_int_equal(delta.base, full.number);
	assert_true(delta.number > full.number);
	assert_true(span_eq(delta.url, full.url));
}

static void
thisupdate_is_backdated_but_not_to_before_the_ca(void **state)
{
	struct stage *s = *state;
	make_all(s);
	assert_int_equal(
	    stored(s, 0, false).this_ms, WORLD_NOW_MS - s->w->cfg.pki.backdate_ms);
	s->w->cfg.pki.backdate_ms = 20 * WORLD_DAY_MS;
	s->w->clock.skew_ms += 6 * WORLD_DAY_MS;
	make_all(s);
	assert_int_equal(stored(s, 0, false).this_ms, issuer_cert(s->ca)->not_before_ms);
}

static void
a_revocation_makes_the_lists_of_its_shard_anew_and_no_other(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	unsigned reason;
	make_all(s);
	int64_t other = stored(s, 1, false).number, whole = stored(s, -1, false).number;
	issue(s, 0, "01aa");
	assert_int_equal(due(s, v), 0);
	s->w->clock.skew_ms += 5000;
	revoke(s, "01aa", CRL_KEY_COMPROMISE);
	assert_int_equal(due(s, v), 1);
	assert_int_equal(v[0].shard, 0);
	assert_int_equal(make_all(s), 2);
	struct crl full = read(s, 0, false), delta = read(s, 0, true);
	assert_true(lists(s, &full, "01aa", &reason));
	assert_int_equal(reason, CRL_KEY_COMPROMISE);
	assert_true(lists(s, &delta, "01aa", NULL));
	assert_int_equal(full.number, delta.number); /* issued together: RFC 5280 5.2.3 */
	assert_true(delta.base < full.number);
	assert_int_equal(stored(s, 1, false).number, other);
	assert_int_equal(stored(s, -1, false).number, whole);
}

static void
nothing_is_made_twice(void **state)
{
	struct stage *s = *state;
	make_all(s);
	issue(s, 0, "01aa");
	revoke(s, "01aa", CRL_SUPERSEDED);
	make_all(s);
	assert_int_equal(make_all(s), 0);
}

static void
what_ends_a_hold_is_told_by_the_delta_and_gone_from_the_list(void **state)
{
	struct stage *s = *state;
	unsigned reason;
	make_all(s);
	issue(s, 0, "01aa");
	revoke(s, "01aa", CRL_HOLD);
	make_all(s);
	struct crl full = read(s, 0, false);
	assert_true(lists(s, &full, "01aa", &reason));
	assert_int_equal(reason, CRL_HOLD);
	revoke(s, "01aa", 0);
	make_all(s);
	full = read(s, 0, false);
	struct crl delta = read(s, 0, true);
	assert_false(lists(s, &full, "01aa", NULL));
	assert_true(lists(s, &delta, "01aa", &reason));
	assert_int_equal(reason, CRL_REMOVE);
}

/* Enough entries that a full list is not made for one change. */
static void
fill(struct stage *s, int n)
{
	for (int i = 0; i < n; i++) {
		char serial[40];
		snprintf(serial, sizeof(serial), "01%030x", i);
		issue(s, 0, arena_str(s->w->arena, span_str(serial)));
		revoke(s, serial, CRL_CESSATION);
	}
}

static void
in_a_large_list_a_change_costs_a_delta(void **state)
{
	struct stage *s = *state;
	fill(s, 2500);
	make_all(s);
	struct store_crl full = stored(s, 0, false);
	assert_true(full.der.len > 65536);
	issue(s, 0, "02aa");
	revoke(s, "02aa", CRL_KEY_COMPROMISE);
	assert_int_equal(make_all(s), 1);
	assert_int_equal(stored(s, 0, false).number, full.number);
	struct crl delta = read(s, 0, true);
	assert_int_equal(delta.base, full.number);
	assert_true(lists(s, &delta, "02aa", NULL));
	assert_true(delta.n < 10);

	/* and the next delta has both, on the same base */
	issue(s, 0, "02bb");
	revoke(s, "02bb", CRL_KEY_COMPROMISE);
	assert_int_equal(make_all(s), 1);
	delta = read(s, 0, true);
	assert_int_equal(delta.base, full.number);
	assert_true(lists(s, &delta, "02aa", NULL) && lists(s, &delta, "02bb", NULL));
}

static void
a_delta_that_grows_to_a_quarter_becomes_a_full_list(void **state)
{
	struct stage *s = *state;
	fill(s, 2500);
	make_all(s);
	int64_t number = stored(s, 0, false).number;
	for (int i = 0; i < 900; i++) {
		char serial[40];
		snprintf(serial, sizeof(serial), "02%030x", i);
		issue(s, 0, arena_str(s->w->arena, span_str(serial)));
		revoke(s, serial, CRL_CESSATION);
	}
	assert_int_equal(make_all(s), 2);
	struct crl full = read(s, 0, false), delta = read(s, 0, true);
	assert_true((int64_t)full.number > number);
	assert_int_equal(full.n, 3400);
	assert_int_equal(delta.base, number);
	assert_int_equal(delta.n, 900);

	/* after which one change is a delta again */
	issue(s, 0, "03aa");
	revoke(s, "03aa", CRL_CESSATION);
	assert_int_equal(make_all(s), 1);
	assert_int_equal(read(s, 0, false).number, full.number);
}

static void
whoever_holds_the_list_before_can_go_on_with_the_delta(void **state)
{
	struct stage *s = *state;
	make_all(s);
	issue(s, 0, "01aa");
	revoke(s, "01aa", CRL_CESSATION);
	make_all(s);
	uint64_t held = read(s, 0, false).number;
	issue(s, 0, "01bb");
	revoke(s, "01bb", CRL_CESSATION);
	make_all(s);
	struct crl delta = read(s, 0, true);
	assert_int_equal(delta.base, held);
	assert_true(lists(s, &delta, "01bb", NULL));
}

static void
lists_are_made_anew_at_half_their_life(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	make_all(s);
	s->w->clock.skew_ms += s->w->cfg.pki.crl_life_ms / 2 - 1;
	assert_int_equal(due(s, v), 0);
	s->w->clock.skew_ms += 1;
	assert_int_equal(due(s, v), 3);
	make_all(s);
	assert_int_equal(due(s, v), 0);
	assert_int_equal(stored(s, 0, false).next_ms,
	    clock_wall_ms(&s->w->clock) + s->w->cfg.pki.crl_life_ms);
}

static void
lists_of_the_future_are_made_anew_when_the_clock_is_right_again(void **state)
{
	struct stage *s = *state;
	s->w->clock.skew_ms += 300 * WORLD_DAY_MS;
	make_all(s);
	int64_t wrong = stored(s, 0, false).number;
	s->w->clock.skew_ms -= 300 * WORLD_DAY_MS;
	assert_int_equal(make_all(s) > 0, true);
	assert_true(stored(s, 0, false).this_ms < WORLD_NOW_MS);
	assert_true(stored(s, 0, true).this_ms < WORLD_NOW_MS);
	assert_true(stored(s, 0, false).number > wrong);
	s->w->clock.skew_ms -=
	    s->w->cfg.pki.backdate_ms; /* as far as its own is set back */
	assert_int_equal(make_all(s), 0);
}

static void
an_entry_stays_until_one_list_beyond_its_end(void **state)
{
	struct stage *s = *state;
	make_all(s);
	issue(s, 0, "01aa");
	revoke(s, "01aa", CRL_CESSATION);
	make_all(s);
	s->w->clock.skew_ms += 31 * WORLD_DAY_MS; /* it has ended */
	make_all(s);
	struct crl c = read(s, 0, false);
	assert_true(lists(s, &c, "01aa", NULL));
	s->w->clock.skew_ms += s->w->cfg.pki.crl_life_ms;
	make_all(s);
	c = read(s, 0, false);
	assert_false(lists(s, &c, "01aa", NULL));
}

static void
numbers_grow_whatever_the_clock_or_a_restore_does(void **state)
{
	struct stage *s = *state;
	make_all(s);
	int64_t before = stored(s, 0, false).number;
	assert_true(before >= WORLD_NOW_MS); /* later than any of a younger database */
	s->w->clock.skew_ms -= WORLD_DAY_MS / 2;
	issue(s, 0, "01aa");
	revoke(s, "01aa", CRL_CESSATION);
	make_all(s);
	assert_true(stored(s, 0, false).number > before);
	assert_true(stored(s, 0, true).number > before);
}

static void
what_is_revoked_while_a_list_is_signed_is_in_the_next(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	struct crl_job j[CRL_JOBS];
	size_t n;
	make_all(s);
	issue(s, 0, "01aa");
	issue(s, 0, "01bb");
	revoke(s, "01aa", CRL_CESSATION);
	assert_int_equal(due(s, v), 1);
	assert_ok(crl_plan_jobs(&s->w->d, &v[0], j, &n, &s->w->e), &s->w->e);
	revoke(s, "01bb", CRL_CESSATION);
	for (size_t i = 0; i < n; i++)
		assert_ok(
		    crl_plan_keep(&s->w->d, &j[i], sign(s, &j[i]), &s->w->e), &s->w->e);
	assert_int_equal(due(s, v), 1);
	make_all(s);
	struct crl full = read(s, 0, false), delta = read(s, 0, true);
	assert_true(lists(s, &full, "01aa", NULL) && lists(s, &full, "01bb", NULL));
	assert_true(lists(s, &delta, "01bb", NULL));
}

static void
a_delta_whose_signing_failed_is_made_up_for(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	struct crl_job j[CRL_JOBS];
	size_t n;
	make_all(s);
	issue(s, 0, "01aa");
	revoke(s, "01aa", CRL_CESSATION);
	assert_int_equal(due(s, v), 1);
	assert_ok(crl_plan_jobs(&s->w->d, &v[0], j, &n, &s->w->e), &s->w->e);
	assert_int_equal(n, 2);
	assert_ok(crl_plan_keep(&s->w->d, &j[0], sign(s, &j[0]), &s->w->e), &s->w->e);
	assert_int_equal(due(s, v), 1); /* the old delta is older than the list */
	assert_false(v[0].full);
	make_all(s);
	struct crl full = read(s, 0, false), delta = read(s, 0, true);
	assert_int_equal(delta.base, full.number);
	assert_true(delta.number > full.number);
}

static void
an_answer_that_comes_late_does_not_replace_a_younger_list(void **state)
{
	struct stage *s = *state;
	struct crl_place p = {.shard = 0, .full = true};
	struct crl_job old[CRL_JOBS];
	size_t n;
	memcpy(p.issuer, s->hex, sizeof(p.issuer));
	make_all(s);
	assert_ok(crl_plan_jobs(&s->w->d, &p, old, &n, &s->w->e), &s->w->e);
	struct span late = sign(s, &old[0]);
	s->w->clock.skew_ms += 10;
	make(s, &p);
	int64_t number = stored(s, 0, false).number;
	assert_ok(crl_plan_keep(&s->w->d, &old[0], late, &s->w->e), &s->w->e);
	assert_int_equal(stored(s, 0, false).number, number);
}

static void
the_whole_list_has_every_shard_in_order(void **state)
{
	struct stage *s = *state;
	issue(s, 1, "01aa");
	issue(s, 0, "01bb");
	issue(s, -1, "01ab");
	issue(s, -1, "ff"); /* a short number, which text would put last */
	static const char *const all[] = {"01aa", "01bb", "01ab", "ff"};
	for (size_t i = 0; i < 4; i++)
		revoke(s, all[i], CRL_CESSATION);
	make_all(s);
	struct crl c = read(s, -1, false);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.url.len, 0);
	for (size_t i = 0; i < 4; i++)
		assert_true(lists(s, &c, all[i], NULL));
	assert_int_equal(make_all(s), 0);
}

static void
without_a_public_url_there_is_the_whole_list_alone(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	s->w->cfg.pki.public_url = "";
	s->w->cfg.server.http_port = 0;
	assert_int_equal(due(s, v), 1);
	assert_int_equal(v[0].shard, -1);
	make_all(s);
	issue(s, -1, "01aa");
	revoke(s, "01aa", CRL_CESSATION);
	assert_int_equal(make_all(s), 1);
	struct crl c = read(s, -1, false);
	assert_true(lists(s, &c, "01aa", NULL));
}

static void
put_state(struct stage *s, const char *state, const char *custody)
{
	struct store_issuer i;
	assert_ok(
	    store_issuer_get(s->w->d.store, s->hex, s->w->arena, &i, &s->w->e), &s->w->e);
	i.state = state;
	i.custody = custody;
	assert_ok(store_issuer_put(s->w->d.store, &i, &s->w->e), &s->w->e);
}

static void
an_issuer_that_is_over_has_lists_until_its_last_certificate_ends(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	issue(s, 0, "01aa");
	make_all(s);
	put_state(s, "revoked", "file");
	s->w->clock.skew_ms += s->w->cfg.pki.crl_life_ms;
	assert_true(make_all(s) > 0);
	s->w->clock.skew_ms += 31 * WORLD_DAY_MS;
	assert_int_equal(due(s, v), 0);
}

static void
of_a_key_that_is_not_here_nothing_is_due(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	put_state(s, "active", "");
	assert_int_equal(due(s, v), 0);
	put_state(s, "standby", "file");
	assert_int_equal(due(s, v), 0);
}

static void
more_places_than_a_batch_come_in_several(void **state)
{
	struct stage *s = *state;
	struct crl_place v[CRL_PLAN_BATCH];
	s->w->cfg.pki.crl_shards = 40;
	assert_int_equal(due(s, v), CRL_PLAN_BATCH);
	assert_int_equal(make_all(s), 41 + 40);
}

/* ---- lists of others ------------------------------------------------------------------
 */

static struct span
foreign_list(struct stage *s, struct issuer *by, uint64_t number, const char *url)
{
	const struct crl_fields f = {.number = number,
	    .this_ms = WORLD_NOW_MS - 1000,
	    .next_ms = WORLD_NOW_MS + WORLD_DAY_MS,
	    .url = url};
	auto_buf out = BUF_INIT(65536);
	assert_ok(crl_build(by, &f, &out, &s->w->e), &s->w->e);
	return arena_span(s->w->arena, buf_span(&out));
}

static void
the_list_of_a_key_elsewhere_is_imported_and_its_number_grows(void **state)
{
	struct stage *s = *state;
	struct domain *d = &s->w->d;
	struct err *e = &s->w->e;
	const char *name;
	put_state(s, "trusted", "");
	assert_ok(crl_plan_import(d, foreign_list(s, s->ca, 7, NULL), &name, e), e);
	assert_string_equal(name, "device-ca");
	assert_fails(
	    crl_plan_import(d, foreign_list(s, s->ca, 7, NULL), &name, e), e, CONFLICT);
	assert_ok(crl_plan_import(d, foreign_list(s, s->ca, 8, NULL), &name, e), e);
	struct store_crl c;
	assert_ok(crl_plan_get(d, SPAN_LIT("device-ca"), -1, false, &c, e), e);
	assert_int_equal(c.number, 8);
}

static void
what_may_not_be_imported(void **state)
{
	struct stage *s = *state;
	struct domain *d = &s->w->d;
	struct err *e = &s->w->e;
	const char *name;
	struct span good = foreign_list(s, s->ca, 7, NULL);
	assert_fails(crl_plan_import(d, good, &name, e), e, DENIED); /* made here */
	put_state(s, "trusted", "");
	assert_fails(
	    crl_plan_import(d, foreign_list(s, s->ca, 7, URL "/x.crl"), &name, e), e,
	    DENIED);
	assert_fails(
	    crl_plan_import(d, span_head(good, good.len - 1), &name, e), e, PARSE);
	auto_(issuer_free) struct issuer *other = world_issuer(s->w, "other", "root");
	struct store_issuer i;
	assert_ok(store_issuer_by_name(d->store, "other", s->w->arena, &i, e), e);
	i.custody = "";
	assert_ok(store_issuer_put(d->store, &i, e), e);
	uint8_t *bad = arena_alloc(s->w->arena, good.len);
	memcpy(bad, good.p, good.len);
	bad[good.len - 1] ^= 1;
	assert_int_equal(crl_plan_import(d, span_of(bad, good.len), &name, e), -1);
	s->w->clock.skew_ms += 2 * WORLD_DAY_MS;
	assert_fails(crl_plan_import(d, good, &name, e), e, DENIED); /* past */
	assert_ok(crl_plan_import(d, SPAN_NONE, &name, e) == -1 ? 0 : -1, e);
}

static void
an_unknown_ca_has_no_list(void **state)
{
	struct stage *s = *state;
	struct store_crl c;
	assert_fails(crl_plan_get(&s->w->d, SPAN_LIT("nobody"), 0, false, &c, &s->w->e),
	    &s->w->e, NOT_FOUND);
	assert_fails(
	    crl_plan_get(&s->w->d, SPAN_LIT("device-ca"), 0, false, &c, &s->w->e),
	    &s->w->e, NOT_FOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_fresh_issuer_gets_an_empty_list_for_every_shard),
	    T(thisupdate_is_backdated_but_not_to_before_the_ca),
	    T(a_revocation_makes_the_lists_of_its_shard_anew_and_no_other),
	    T(nothing_is_made_twice),
	    T(what_ends_a_hold_is_told_by_the_delta_and_gone_from_the_list),
	    T(in_a_large_list_a_change_costs_a_delta),
	    T(a_delta_that_grows_to_a_quarter_becomes_a_full_list),
	    T(whoever_holds_the_list_before_can_go_on_with_the_delta),
	    T(lists_are_made_anew_at_half_their_life),
	    T(lists_of_the_future_are_made_anew_when_the_clock_is_right_again),
	    T(an_entry_stays_until_one_list_beyond_its_end),
	    T(numbers_grow_whatever_the_clock_or_a_restore_does),
	    T(what_is_revoked_while_a_list_is_signed_is_in_the_next),
	    T(a_delta_whose_signing_failed_is_made_up_for),
	    T(an_answer_that_comes_late_does_not_replace_a_younger_list),
	    T(the_whole_list_has_every_shard_in_order),
	    T(without_a_public_url_there_is_the_whole_list_alone),
	    T(an_issuer_that_is_over_has_lists_until_its_last_certificate_ends),
	    T(of_a_key_that_is_not_here_nothing_is_due),
	    T(more_places_than_a_batch_come_in_several),
	    T(the_list_of_a_key_elsewhere_is_imported_and_its_number_grows),
	    T(what_may_not_be_imported),
	    T(an_unknown_ca_has_no_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
