/*
 * OCSP as rules, with a responder played by the test.
 */
#include "world.h"

#include <stdio.h>

#include "domain/pki/ocsp_book.h"

struct stage {
	struct world *w;
	struct issuer *ca;
	const char *hex;
	struct key *key;
	struct ocsp_responder *responder;
	struct ocsp_issuer id;
	struct ocsp_book book;
};

static void
delegate(struct stage *s)
{
	struct world *w = s->w;
	struct issuer_result res;
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	s->key = key_generate(KEY_P256, &w->e);
	const struct issuer_request r = {.profile = PROFILE_OCSP,
	    .cn = "responder",
	    .spki = key_spki(s->key),
	    .now_s = WORLD_NOW_MS / 1000 - 3600,
	    .life_s = 86400 * 30};
	assert_ok(issuer_sign(s->ca, &r, &der, &res, &w->e), &w->e);
	cert_write_pem(buf_span(&der), &pem);
	s->responder =
	    ocsp_responder_new(buf_span(&pem), s->key, issuer_cert(s->ca), &w->e);
	if (!s->responder)
		fail_msg("%s", w->e.text);
}

static int
setup(void **state)
{
	struct stage *s = own_alloc(sizeof(*s));
	void *w;
	world_setup(&w);
	s->w = w;
	s->ca = world_issuer(s->w, "device-ca", "device");
	s->hex = world_issuer_hex(s->w, s->ca);
	delegate(s);
	assert_ok(ocsp_issuer_of(issuer_cert(s->ca), &s->id, &s->w->e), &s->w->e);
	assert_ok(ocsp_book_load(&s->w->d, &s->book, &s->w->e), &s->w->e);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;
	void *w = s->w;
	ocsp_responder_free(s->responder);
	key_free(s->key);
	issuer_free(s->ca);
	free(s);
	return world_teardown(&w);
}

static void
issue(struct stage *s, const char *serial)
{
	struct world *w = s->w;
	const struct store_cert c = {.serial = serial,
	    .issuer = s->hex,
	    .profile = "device",
	    .subject = "dev",
	    .requester = "",
	    .sha256 = serial,
	    .not_before_ms = WORLD_NOW_MS - 1,
	    .not_after_ms = WORLD_NOW_MS + 30 * WORLD_DAY_MS,
	    .key_sha256 = "",
	    .crl_shard = 0};
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
}

static void
revoke(struct stage *s, const char *serial)
{
	assert_ok(store_cert_revoke(s->w->d.store, s->hex, serial,
		      clock_wall_ms(&s->w->clock), CRL_KEY_COMPROMISE, &s->w->e),
	    &s->w->e);
}

static struct ipc_ocsp_get
ask(struct stage *s, enum ocsp_req_hash hash, const char *serial)
{
	size_t n = strlen(serial) / 2;
	uint8_t *raw = arena_alloc(s->w->arena, n);
	assert_ok(hex_parse(span_str(serial), raw, n, &s->w->e), &s->w->e);
	return (struct ipc_ocsp_get){.hash = hash,
	    .name_hash = span_of(s->id.name[hash], ocsp_req_hash_len(hash)),
	    .key_hash = span_of(s->id.key[hash], ocsp_req_hash_len(hash)),
	    .serial = span_of(raw, n)};
}

static struct ocsp_ruling
judge(struct stage *s, struct ipc_ocsp_get m)
{
	struct ocsp_ruling r;
	assert_ok(ocsp_book_judge(&s->w->d, &s->book, &m, &r, &s->w->e), &s->w->e);
	return r;
}

/* As role/signer_status.c: the index-th answer. */
static struct span
sign(struct stage *s, const struct ocsp_batch *b, size_t index, struct ocsp_single *ret)
{
	struct world *w = s->w;
	struct span rest = b->ask.queries;
	struct ocsp_single one;
	auto_buf out = BUF_INIT(OCSP_MAX);
	for (size_t i = 0; i <= index; i++)
		assert_ok(ocsp_single_unpack(&rest, &one, &w->e), &w->e);
	one.this_ms = b->ask.this_ms;
	one.next_ms = b->ask.next_ms;
	const struct ocsp_fields f = {.produced_ms = clock_wall_ms(&w->clock),
	    .singles = &one,
	    .n = 1,
	    .nonce = b->ask.nonce};
	assert_ok(ocsp_build(s->responder, &f, &out, &w->e), &w->e);
	if (ret)
		*ret = one;
	return arena_span(w->arena, buf_span(&out));
}

/* Signs and keeps all that is due; how many. */
static size_t
presign(struct stage *s)
{
	struct ocsp_batch b;
	assert_ok(ocsp_book_due(&s->w->d, &s->book, 0, &b, &s->w->e), &s->w->e);
	for (size_t i = 0; i < b.n; i++)
		assert_ok(ocsp_book_keep(&s->w->d, &b, i, sign(s, &b, i, NULL), &s->w->e),
		    &s->w->e);
	return b.n;
}

static void
a_certificate_of_no_ca_of_ours_is_nobodys_to_answer_for(void **state)
{
	struct stage *s = *state;
	struct ipc_ocsp_get m = ask(s, OCSP_REQ_SHA1, "01aa");
	m.key_hash = SPAN_LIT("twenty octets of hash");
	m.key_hash.len = 20;
	assert_int_equal(judge(s, m).way, OCSP_FOREIGN);
}

static void
answers_are_signed_ahead_once_and_then_are_ready(void **state)
{
	struct stage *s = *state;
	issue(s, "01aa");
	issue(s, "01bb");
	assert_int_equal(presign(s), 2);
	assert_int_equal(presign(s), 0);
	struct ocsp_ruling r = judge(s, ask(s, OCSP_REQ_SHA1, "01aa"));
	assert_int_equal(r.way, OCSP_READY);
	assert_int_equal(
	    r.ready.next_ms, (WORLD_NOW_MS + s->w->cfg.pki.ocsp_life_ms) / 1000 * 1000);
}

static void
what_was_never_issued_is_answered_unknown_and_not_kept(void **state)
{
	struct stage *s = *state;
	struct ocsp_single one;
	struct ocsp_ruling r = judge(s, ask(s, OCSP_REQ_SHA1, "0123"));
	assert_int_equal(r.way, OCSP_SIGN);
	assert_int_equal(r.ready.der.len, 0);
	sign(s, &r.batch, 0, &one);
	assert_int_equal(one.status, OCSP_UNKNOWN);
	assert_false(r.batch.keep);
}

static void
another_hash_or_a_nonce_is_signed_live(void **state)
{
	struct stage *s = *state;
	struct ocsp_single one;
	issue(s, "01aa");
	presign(s);
	struct ocsp_ruling r = judge(s, ask(s, OCSP_REQ_SHA256, "01aa"));
	assert_int_equal(r.way, OCSP_SIGN);
	assert_false(r.batch.keep);
	sign(s, &r.batch, 0, &one);
	assert_int_equal(one.status, OCSP_GOOD);
	assert_int_equal(one.hash, OCSP_REQ_SHA256);
	struct ipc_ocsp_get m = ask(s, OCSP_REQ_SHA1, "01aa");
	m.nonce = SPAN_LIT("nonce");
	r = judge(s, m);
	assert_int_equal(r.way, OCSP_SIGN);
	assert_true(r.ready.der.len > 0); /* where signing fails (RFC 5019 4) */
	assert_true(span_eq_str(r.batch.ask.nonce, "nonce"));
}

/* As an edge packs those behind the first. */
static struct span
more(struct stage *s, size_t n)
{
	uint8_t *p = arena_alloc(s->w->arena, n * 3 + 1);
	for (size_t i = 0; i < n; i++)
		memcpy(p + 3 * i, "\x02\x01\xbb", 3);
	return span_of(p, 3 * n);
}

static void
several_at_once_are_one_answer_that_is_not_kept(void **state)
{
	struct stage *s = *state;
	struct ipc_ocsp_get m = ask(s, OCSP_REQ_SHA1, "01aa");
	issue(s, "01aa");
	issue(s, "01bb");
	presign(s);
	m.more = more(s, 1);
	struct ocsp_ruling r = judge(s, m);
	assert_int_equal(r.way, OCSP_SIGN);
	assert_int_equal(r.batch.n, 2);
	assert_string_equal(r.batch.v[1].serial, "01bb");
	assert_true(r.batch.ask.together);
	assert_false(r.batch.keep);
	m.more = more(s, OCSP_REQ_IDS_MAX - 1);
	assert_int_equal(judge(s, m).batch.n, OCSP_REQ_IDS_MAX);
}

static void
serial_numbers_that_cannot_be_are_refused(void **state)
{
	struct stage *s = *state;
	struct ocsp_ruling r;
	const struct span bad[] = {more(s, OCSP_REQ_IDS_MAX), SPAN_LIT("\x02\x01"),
	    SPAN_LIT("\x00"), SPAN_LIT("\x15yyyyyyyyyyyyyyyyyyyyy")};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ipc_ocsp_get m = ask(s, OCSP_REQ_SHA1, "01aa");
		m.more = bad[i];
		assert_fails(ocsp_book_judge(&s->w->d, &s->book, &m, &r, &s->w->e),
		    &s->w->e, PARSE);
	}
}

static void
an_answer_signed_on_demand_is_kept_for_the_next(void **state)
{
	struct stage *s = *state;
	issue(s, "01aa");
	struct ocsp_ruling r = judge(s, ask(s, OCSP_REQ_SHA1, "01aa"));
	assert_int_equal(r.way, OCSP_SIGN);
	assert_true(r.batch.keep);
	assert_ok(
	    ocsp_book_keep(&s->w->d, &r.batch, 0, sign(s, &r.batch, 0, NULL), &s->w->e),
	    &s->w->e);
	assert_int_equal(judge(s, ask(s, OCSP_REQ_SHA1, "01aa")).way, OCSP_READY);
}

static void
a_revocation_replaces_the_answer_at_once(void **state)
{
	struct stage *s = *state;
	struct ocsp_single one;
	issue(s, "01aa");
	presign(s);
	revoke(s, "01aa");
	struct ocsp_ruling r = judge(s, ask(s, OCSP_REQ_SHA1, "01aa"));
	assert_int_equal(r.way, OCSP_SIGN);
	sign(s, &r.batch, 0, &one);
	assert_int_equal(one.status, OCSP_REVOKED);
	assert_int_equal(one.reason, CRL_KEY_COMPROMISE);
	assert_int_equal(presign(s), 1);
	assert_int_equal(judge(s, ask(s, OCSP_REQ_SHA1, "01aa")).way, OCSP_READY);
}

static void
an_answer_that_a_revocation_has_overtaken_is_dropped(void **state)
{
	struct stage *s = *state;
	struct ocsp_batch b;
	issue(s, "01aa");
	assert_ok(ocsp_book_due(&s->w->d, &s->book, 0, &b, &s->w->e), &s->w->e);
	struct span good = sign(s, &b, 0, NULL);
	revoke(s, "01aa");
	assert_ok(ocsp_book_keep(&s->w->d, &b, 0, good, &s->w->e), &s->w->e);
	assert_int_equal(judge(s, ask(s, OCSP_REQ_SHA1, "01aa")).way, OCSP_SIGN);
}

static void
nothing_past_its_nextupdate_is_handed_out(void **state)
{
	struct stage *s = *state;
	issue(s, "01aa");
	presign(s);
	s->w->clock.skew_ms += s->w->cfg.pki.ocsp_life_ms;
	struct ipc_ocsp_get m = ask(s, OCSP_REQ_SHA1, "01aa");
	assert_int_equal(judge(s, m).way, OCSP_SIGN);
	assert_int_equal(judge(s, m).ready.der.len, 0);
	m.nonce = SPAN_LIT("nonce");
	assert_int_equal(judge(s, m).ready.der.len, 0);
}

static void
nothing_of_the_future_is_handed_out_when_the_clock_is_right_again(void **state)
{
	struct stage *s = *state;
	issue(s, "01aa");
	s->w->clock.skew_ms += 10 * WORLD_DAY_MS;
	presign(s);
	struct ipc_ocsp_get m = ask(s, OCSP_REQ_SHA1, "01aa");
	assert_int_equal(judge(s, m).way, OCSP_READY);
	s->w->clock.skew_ms -= 10 * WORLD_DAY_MS;
	assert_int_equal(judge(s, m).way, OCSP_SIGN);
	assert_true(judge(s, m).batch.keep);
}

static void
answers_are_signed_anew_at_half_their_life(void **state)
{
	struct stage *s = *state;
	issue(s, "01aa");
	presign(s);
	s->w->clock.skew_ms += s->w->cfg.pki.ocsp_life_ms / 2 - 2000;
	assert_int_equal(presign(s), 0);
	s->w->clock.skew_ms += 4000;
	assert_int_equal(presign(s), 1);
	assert_int_equal(presign(s), 0);
}

static void
a_batch_is_bounded(void **state)
{
	struct stage *s = *state;
	for (int i = 0; i < OCSP_BOOK_BATCH + 5; i++) {
		char serial[40];
		snprintf(serial, sizeof(serial), "01%030x", i);
		issue(s, arena_str(s->w->arena, span_str(serial)));
	}
	assert_int_equal(presign(s), OCSP_BOOK_BATCH);
	assert_int_equal(presign(s), 5);
}

static void
the_times_of_an_answer_are_read_from_it(void **state)
{
	struct stage *s = *state;
	int64_t from, to;
	issue(s, "01aa");
	revoke(s, "01aa");
	struct ocsp_ruling r = judge(s, ask(s, OCSP_REQ_SHA1, "01aa"));
	r.batch.ask.next_ms = WORLD_NOW_MS + 5000; /* a signer that makes it shorter */
	struct span der = sign(s, &r.batch, 0, NULL);
	assert_ok(ocsp_book_times(der, &from, &to, &s->w->e), &s->w->e);
	assert_int_equal(from, r.batch.ask.this_ms / 1000 * 1000);
	assert_int_equal(to, (WORLD_NOW_MS + 5000) / 1000 * 1000);
	assert_fails(ocsp_book_times(ocsp_error(OCSP_TRY_LATER), &from, &to, &s->w->e),
	    &s->w->e, PARSE);
}

static void
only_cas_with_their_key_here_are_answered_for(void **state)
{
	struct stage *s = *state;
	struct store_issuer i;
	assert_ok(
	    store_issuer_get(s->w->d.store, s->hex, s->w->arena, &i, &s->w->e), &s->w->e);
	i.custody = "";
	assert_ok(store_issuer_put(s->w->d.store, &i, &s->w->e), &s->w->e);
	assert_ok(ocsp_book_load(&s->w->d, &s->book, &s->w->e), &s->w->e);
	assert_int_equal(s->book.n, 0);
	assert_int_equal(judge(s, ask(s, OCSP_REQ_SHA1, "01aa")).way, OCSP_FOREIGN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_certificate_of_no_ca_of_ours_is_nobodys_to_answer_for),
	    T(answers_are_signed_ahead_once_and_then_are_ready),
	    T(what_was_never_issued_is_answered_unknown_and_not_kept),
	    T(another_hash_or_a_nonce_is_signed_live),
	    T(several_at_once_are_one_answer_that_is_not_kept),
	    T(serial_numbers_that_cannot_be_are_refused),
	    T(an_answer_signed_on_demand_is_kept_for_the_next),
	    T(a_revocation_replaces_the_answer_at_once),
	    T(an_answer_that_a_revocation_has_overtaken_is_dropped),
	    T(nothing_past_its_nextupdate_is_handed_out),
	    T(nothing_of_the_future_is_handed_out_when_the_clock_is_right_again),
	    T(answers_are_signed_anew_at_half_their_life),
	    T(a_batch_is_bounded),
	    T(the_times_of_an_answer_are_read_from_it),
	    T(only_cas_with_their_key_here_are_answered_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
