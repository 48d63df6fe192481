/*
 * Revocation: what is refused because of it, and what the verb does.
 */
#include "world.h"

#include <stdio.h>

#include "codec/der.h"
#include "crypto/chain.h"
#include "crypto/crl.h"
#include "crypto/issuer.h"
#include "domain/hub/clone.h"
#include "domain/pki/device_cert.h"
#include "domain/pki/revoke.h"
#include "domain/pki/revoke_allow.h"

/* ---- helpers --------------------------------------------------------------------------
 */

static enum refusal_code
check(struct world *w, struct ipc_cred cred)
{
	w->no = (struct refusal){0};
	assert_ok(revoke_check(&w->d, &cred, &w->no, &w->e), &w->e);
	return w->no.code;
}

static bool
is_blocked(struct world *w, const char *id)
{
	w->no = (struct refusal){0};
	assert_ok(revoke_check_enrolment(&w->d, span_str(id), &w->no, &w->e), &w->e);
	return w->no.code == REFUSAL_ENROLLMENT_BLOCKED;
}

static struct ipc_revoke
order(const char *device, const char *reason)
{
	return (struct ipc_revoke){
	    .device_id = span_str(device), .reason = span_str(reason)};
}

static struct revoke_result
revoke(struct world *w, struct ipc_revoke m)
{
	struct revoke_result r;
	assert_ok(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e);
	return r;
}

static bool
did(const struct revoke_result *r, enum revoke_effect_id id)
{
	assert_true(r->effect[id].text[0] != '\0');
	return strcmp(r->effect[id].state, "done") == 0;
}

/* ---- the question ---------------------------------------------------------------------
 */

static void
a_revoked_certificate_is_refused_and_others_are_not(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	world_cert(w, "dev-2", "01bb");
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_NONE);
	assert_ok(store_cert_revoke(w->d.store, WORLD_CA, "01aa", WORLD_NOW_MS,
		      CRL_KEY_COMPROMISE, &w->e),
	    &w->e);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	assert_non_null(strstr(w->no.detail, "keyCompromise"));
	assert_int_equal(check(w, world_cred(w, "dev-2", "01bb")), REFUSAL_NONE);
	assert_int_equal(check(w, world_cred(w, "x", "01cc")), REFUSAL_NONE);
}

static void
the_same_serial_of_another_issuer_is_another_certificate(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	assert_ok(store_cert_revoke(w->d.store, WORLD_CA, "01aa", WORLD_NOW_MS, 1, &w->e),
	    &w->e);
	struct ipc_cred cred = world_cred(w, "dev-1", "01aa");
	cred.chain = SPAN_LIT("another issuer's SHA-256, 32 byt");
	assert_int_equal(check(w, cred), REFUSAL_NONE);
}

static void
put_issuer(struct world *w, const char *state)
{
	const struct store_issuer i = {.sha256 = WORLD_CA,
	    .name = "device-ca",
	    .purpose = "device",
	    .state = state,
	    .custody = "file",
	    .cert = SPAN_LIT("ca")};
	assert_ok(store_issuer_put(w->d.store, &i, &w->e), &w->e);
}

static void
add_to_book(struct world *w, const char *hex)
{
	struct issuer_entry *en = &w->book.v[w->book.n++];
	*en = (struct issuer_entry){.purpose = CA_DEVICE, .state = ISSUER_ACTIVE};
	snprintf(en->hex, sizeof(en->hex), "%s", hex);
	assert_ok(hex_parse(span_str(hex), en->sha256, 32, &w->e), &w->e);
}

/* The path went by another certificate of the CA: its second encoding, or one issued
 * anew for the same key. */
static void
another_certificate_of_its_ca_does_not_hide_what_is_revoked(void **state)
{
	struct world *w = *state;
	struct store_cert c = world_cert(w, "dev-1", "01aa");
	struct ipc_cred cred = world_cred(w, "dev-1", "01aa");
	add_to_book(w, WORLD_CA);
	assert_ok(store_cert_revoke(w->d.store, WORLD_CA, "01aa", WORLD_NOW_MS, 1, &w->e),
	    &w->e);
	cred.chain = SPAN_LIT("another of its issuer, 32 bytes.");
	assert_int_equal(check(w, cred), REFUSAL_CERT_REVOKED);
	/* another CA may have given the same number to another key */
	c.serial = "01ee";
	c.sha256 = c.key_sha256 = WORLD_CA;
	c.revoked_ms = WORLD_NOW_MS;
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
	cred.serial = SPAN_LIT("01ee");
	assert_int_equal(check(w, cred), REFUSAL_NONE);
	cred.key_sha256 = SPAN_NONE;
	assert_int_equal(check(w, cred), REFUSAL_CERT_REVOKED);
	put_issuer(w, "revoked");
	world_cert(w, "dev-2", "01bb");
	cred = world_cred(w, "dev-2", "01bb");
	cred.chain = SPAN_LIT("another of its issuer, 32 bytes.");
	assert_int_equal(check(w, cred), REFUSAL_ISSUER_REVOKED);
}

static void
a_token_is_not_asked_about(void **state)
{
	struct world *w = *state;
	assert_int_equal(
	    check(w, (struct ipc_cred){.kind = CRED_SAS, .serial = SPAN_LIT("01")}),
	    REFUSAL_NONE);
}

static void
what_a_revoked_or_retired_issuer_signed_is_refused(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *state;
		enum refusal_code code;
	} rows[] = {{"active", REFUSAL_NONE}, {"trusted", REFUSAL_NONE},
	    {"retiring", REFUSAL_NONE}, {"retired", REFUSAL_ISSUER_REVOKED},
	    {"revoked", REFUSAL_ISSUER_REVOKED}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_issuer(w, rows[i].state);
		assert_int_equal(check(w, world_cred(w, "d", "01")), rows[i].code);
	}
}

static void
the_azure_profile_asks_for_no_revocation_but_blocks_enrolment(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	revoke(w, order("dev-1", "keyCompromise"));
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_NONE);
	assert_true(is_blocked(w, "dev-1"));
	assert_false(world_get_device(w, "dev-1").enabled);
}

/* ---- the second encoding --------------------------------------------------------------
 */

/* n - s for the order n of P-256: as good a signature, other bytes. */
static void
negate(const struct span s, uint8_t out[32])
{
	static const char order_hex[] =
	    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	struct err e;
	uint8_t n[32], v[32] = {0};
	int borrow = 0;
	assert_ok(hex_parse(span_str(order_hex), n, sizeof(n), &e), &e);
	assert_true(s.len <= 32);
	memcpy(v + 32 - s.len, s.p, s.len);
	for (int i = 31; i >= 0; i--) {
		int d = n[i] - v[i] - borrow;
		borrow = d < 0;
		out[i] = (uint8_t)(d + (borrow ? 256 : 0));
	}
}

/* The certificate with its signature (r, s) written as (r, n - s). */
static void
write_twin(struct span der, struct buf *out)
{
	struct err e;
	struct span cert, sig, rs, r, s;
	struct der_tlv tbs, alg;
	uint8_t neg[32];
	auto_buf twin = BUF_INIT(128);
	assert_ok(der_expect(&der, DER_SEQUENCE, &cert, &e), &e);
	assert_ok(der_next(&cert, &tbs, &e) || der_next(&cert, &alg, &e) ||
		      der_expect_bits(&cert, &sig, &e) ||
		      der_expect(&sig, DER_SEQUENCE, &rs, &e) ||
		      der_expect_unsigned(&rs, &r, &e) ||
		      der_expect_unsigned(&rs, &s, &e),
	    &e);
	negate(s, neg);
	size_t seq = der_begin(&twin, DER_SEQUENCE);
	der_put_unsigned(&twin, r);
	der_put_unsigned(&twin, span_of(neg, sizeof(neg)));
	der_end(&twin, seq);
	size_t whole = der_begin(out, DER_SEQUENCE);
	buf_put_span(out, tbs.whole);
	buf_put_span(out, alg.whole);
	der_put_bits(out, buf_span(&twin), 0);
	der_end(out, whole);
}

static struct issuer *
make_ca(void)
{
	struct err e;
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	assert_ok(
	    issuer_self_sign(k, "CA", NULL, WORLD_NOW_MS / 1000, 86400 * 365, &der, &e),
	    &e);
	cert_write_pem(buf_span(&der), &pem);
	struct issuer *i = issuer_new(buf_span(&pem), k, &e);
	assert_non_null(i);
	return i;
}

static struct cert *
parse(struct span der)
{
	struct err e;
	struct cert *c = cert_parse(der, &e);
	if (!c)
		fail_msg("%s", e.text);
	return c;
}

/* As proto/credential.c: the chain judged, the serial in lower case. */
static struct ipc_cred
show(struct world *w, struct cert *leaf, struct cert *ca)
{
	auto_(chain_set_free) struct chain_set *set = chain_set_new();
	auto_cert_list list = {0};
	struct chain_verdict v;
	const struct chain_options o = {.now_ms = WORLD_NOW_MS};
	assert_ok(chain_set_add(set, ca, CHAIN_TRUSTED, &w->e), &w->e);
	assert_ok(cert_list_add(&list, cert_ref(leaf), &w->e), &w->e);
	chain_verify(set, &list, &o, &v);
	assert_int_equal(v.reason, CHAIN_OK);
	char *serial = arena_str(w->arena, span_str(leaf->serial));
	for (char *p = serial; *p; p++)
		*p = (char)(*p >= 'A' ? *p + 32 : *p);
	return (struct ipc_cred){.kind = CRED_X509,
	    .verdict = CHAIN_OK,
	    .sha256 = arena_span(w->arena, span_of(leaf->sha256, DIGEST_SHA256)),
	    .chain = arena_span(w->arena, span_of(v.ca, v.n_ca * DIGEST_SHA256)),
	    .serial = span_str(serial)};
}

static void
record(struct world *w, const struct cert *leaf, const struct cert *ca)
{
	char sha[65], issuer[65];
	hex_write(span_of(leaf->sha256, DIGEST_SHA256), sha);
	hex_write(span_of(ca->sha256, DIGEST_SHA256), issuer);
	struct store_cert c = {.serial = arena_str(w->arena, span_str(leaf->serial)),
	    .issuer = issuer,
	    .profile = "device",
	    .subject = "dev-1",
	    .requester = "",
	    .sha256 = sha,
	    .not_after_ms = leaf->not_after_ms,
	    .key_sha256 = ""};
	for (char *p = (char *)c.serial; *p; p++)
		*p = (char)(*p >= 'A' ? *p + 32 : *p);
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
}

static void
a_revoked_certificate_written_with_its_other_signature_is_refused(void **state)
{
	struct world *w = *state;
	auto_(issuer_free) struct issuer *ca = make_ca();
	auto_(key_free) struct key *k = key_generate(KEY_P256, &w->e);
	auto_buf der = BUF_INIT(CERT_MAX), twin_der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	const struct issuer_request r = {.profile = PROFILE_DEVICE,
	    .cn = "dev-1",
	    .spki = key_spki(k),
	    .now_s = WORLD_NOW_MS / 1000};
	assert_ok(issuer_sign(ca, &r, &der, &res, &w->e), &w->e);
	write_twin(buf_span(&der), &twin_der);
	auto_(cert_free) struct cert *leaf = parse(buf_span(&der));
	auto_(cert_free) struct cert *twin = parse(buf_span(&twin_der));
	struct cert *by = (struct cert *)issuer_cert(ca);

	assert_memory_not_equal(leaf->sha256, twin->sha256, DIGEST_SHA256);
	record(w, leaf, by);
	assert_int_equal(check(w, show(w, twin, by)), REFUSAL_NONE);
	revoke(w, order("dev-1", "keyCompromise"));
	assert_int_equal(check(w, show(w, leaf, by)), REFUSAL_CERT_REVOKED);
	assert_int_equal(check(w, show(w, twin, by)), REFUSAL_CERT_REVOKED);
}

/* ---- the verb -------------------------------------------------------------------------
 */

static void
one_order_has_all_effects_and_again_none(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	world_cert(w, "dev-1", "01bb");
	world_cert(w, "dev-2", "01cc");
	world_device(w, "dev-1");
	struct revoke_result r = revoke(w, order("dev-1", "keyCompromise"));
	for (int i = REVOKE_CRL; i <= REVOKE_ENROLLMENT; i++)
		assert_true(did(&r, (enum revoke_effect_id)i));
	assert_int_equal(r.changed, 2);
	assert_string_equal(r.device_id, "dev-1");
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01bb")), REFUSAL_CERT_REVOKED);
	assert_int_equal(check(w, world_cred(w, "dev-2", "01cc")), REFUSAL_NONE);
	assert_false(world_get_device(w, "dev-1").enabled);
	assert_true(is_blocked(w, "DEV-1")); /* registration IDs have no case */
	int64_t etag = world_get_device(w, "dev-1").etag;

	r = revoke(w, order("dev-1", "keyCompromise"));
	for (int i = REVOKE_CRL; i <= REVOKE_ENROLLMENT; i++)
		assert_false(did(&r, (enum revoke_effect_id)i));
	assert_int_equal(world_get_device(w, "dev-1").etag, etag);
}

/* One that could still be renewed is not left alone (est.grace). */
static void
an_expired_certificate_is_left_alone_once_it_is_good_for_nothing(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	world_cert(w, "dev-2", "01bb");
	world_device(w, "dev-2");
	w->clock.skew_ms += 30 * WORLD_DAY_MS + w->cfg.est.grace_ms;
	struct revoke_result r = revoke(w, order("dev-1", ""));
	assert_true(did(&r, REVOKE_CRL));
	w->clock.skew_ms += 1;
	r = revoke(w, order("dev-2", ""));
	assert_false(did(&r, REVOKE_CRL));
	assert_true(did(&r, REVOKE_IDENTITY));
}

static void
only_the_certificate_leaves_identity_and_enrolment(void **state)
{
	struct world *w = *state;
	struct store_cert c = world_cert(w, "dev-1", "01aa");
	world_cert(w, "dev-1", "01bb");
	world_device(w, "dev-1");
	uint8_t sha[DIGEST_SHA256];
	assert_ok(hex_parse(span_str(c.sha256), sha, sizeof(sha), &w->e), &w->e);
	struct revoke_result r =
	    revoke(w, (struct ipc_revoke){.sha256 = span_of(sha, sizeof(sha)),
			  .reason = SPAN_LIT("superseded"),
			  .only_certificate = 1});
	assert_true(did(&r, REVOKE_CRL));
	assert_false(did(&r, REVOKE_IDENTITY));
	assert_false(did(&r, REVOKE_ENROLLMENT));
	assert_string_equal(r.device_id, "dev-1");
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01bb")), REFUSAL_NONE);
	assert_true(world_get_device(w, "dev-1").enabled);
	assert_false(is_blocked(w, "dev-1"));
}

static void
a_name_that_means_nothing_is_not_found(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	struct ipc_revoke m = order("dev-typo", "");
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, NOT_FOUND);
	assert_false(is_blocked(w, "dev-typo"));
	world_cert(w, "dev-1", "01aa");
	m = order("dev-1", "");
	m.sha256 = SPAN_LIT("no certificate has this SHA-256!");
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, NOT_FOUND);
	m = (struct ipc_revoke){0};
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, PARSE);
}

static void
a_certificate_of_another_device_is_not_found_under_this_name(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	uint8_t sha[DIGEST_SHA256];
	struct store_cert c = world_cert(w, "dev-2", "01aa");
	world_device(w, "dev-1");
	struct ipc_revoke m = order("dev-1", "");
	assert_ok(hex_parse(span_str(c.sha256), sha, sizeof(sha), &w->e), &w->e);
	m.sha256 = span_of(sha, sizeof(sha));
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, NOT_FOUND);
	assert_true(world_get_device(w, "dev-1").enabled);
	assert_int_equal(check(w, world_cred(w, "dev-2", "01aa")), REFUSAL_NONE);
}

static void
reasons_of_cas_and_lists_are_none_of_a_device(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	world_cert(w, "dev-1", "01aa");
	static const char *const bad[] = {
	    "cACompromise", "aACompromise", "removeFromCRL", "because"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ipc_revoke m = order("dev-1", bad[i]);
		assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, PARSE);
	}
}

static void
a_hold_ends_and_gives_back_what_it_took(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "certificateHold"));
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	struct ipc_revoke m = order("dev-1", "");
	m.undo = 1;
	struct revoke_result r = revoke(w, m);
	for (int i = REVOKE_CRL; i <= REVOKE_ENROLLMENT; i++)
		assert_true(did(&r, (enum revoke_effect_id)i));
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_NONE);
	assert_true(world_get_device(w, "dev-1").enabled);
	assert_string_equal(world_get_device(w, "dev-1").status_reason, "");
	assert_false(is_blocked(w, "dev-1"));
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, CONFLICT);
}

static void
a_hold_of_a_device_without_certificates_ends_too(void **state)
{
	struct world *w = *state;
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "certificateHold"));
	struct ipc_revoke m = order("dev-1", "");
	m.undo = 1;
	struct revoke_result r = revoke(w, m);
	assert_true(did(&r, REVOKE_IDENTITY));
	assert_true(world_get_device(w, "dev-1").enabled);
}

static void
ending_a_hold_leaves_what_another_hand_disabled(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	struct store_device dev = world_get_device(w, "dev-1");
	dev.enabled = false;
	dev.status_reason = "stolen";
	assert_ok(store_device_put(w->d.store, &dev, &w->e), &w->e);
	struct revoke_result r = revoke(w, order("dev-1", "certificateHold"));
	assert_false(did(&r, REVOKE_IDENTITY));
	struct ipc_revoke m = order("dev-1", "");
	m.undo = 1;
	r = revoke(w, m);
	assert_true(did(&r, REVOKE_CRL));
	assert_false(did(&r, REVOKE_IDENTITY));
	assert_false(world_get_device(w, "dev-1").enabled);
	assert_string_equal(world_get_device(w, "dev-1").status_reason, "stolen");
}

static void
nothing_but_a_hold_ends(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "keyCompromise"));
	struct ipc_revoke m = order("dev-1", "");
	m.undo = 1;
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, CONFLICT);
	assert_non_null(strstr(w->e.text, "keyCompromise"));
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	assert_false(world_get_device(w, "dev-1").enabled);
}

static void
a_hold_may_become_final_and_then_does_not_end(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "certificateHold"));
	r = revoke(w, order("dev-1", "cessationOfOperation"));
	assert_true(did(&r, REVOKE_CRL));
	assert_true(did(&r, REVOKE_IDENTITY));
	assert_true(did(&r, REVOKE_ENROLLMENT));
	struct ipc_revoke m = order("dev-1", "");
	m.undo = 1;
	assert_fails(revoke_apply(&w->d, &m, "test", &r, &w->e), &w->e, CONFLICT);
	assert_true(is_blocked(w, "dev-1"));
}

static struct ipc_revoke
allow_order(const char *device)
{
	struct ipc_revoke m = order(device, "");
	m.allow = 1;
	m.comment = SPAN_LIT("a new board");
	return m;
}

static void
an_id_that_was_revoked_for_good_may_enrol_again_and_nothing_else_comes_back(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	struct ipc_revoke m = allow_order("dev-1");
	world_cert(w, "dev-1", "01aa");
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "keyCompromise"));
	assert_ok(revoke_allow(&w->d, &m, &r, &w->e), &w->e);
	assert_string_equal(r.device_id, "dev-1");
	for (int i = REVOKE_CRL; i < REVOKE_EFFECTS; i++)
		assert_int_equal(
		    did(&r, (enum revoke_effect_id)i), i == REVOKE_ENROLLMENT);
	assert_non_null(strstr(r.effect[REVOKE_ENROLLMENT].text, "keyCompromise"));
	assert_non_null(strstr(r.effect[REVOKE_IDENTITY].text, "stays disabled"));
	assert_false(is_blocked(w, "dev-1"));
	assert_false(world_get_device(w, "dev-1").enabled);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	assert_fails(revoke_allow(&w->d, &m, &r, &w->e), &w->e, CONFLICT);

	revoke(w, order("dev-1", "keyCompromise"));
	assert_true(is_blocked(w, "dev-1"));
}

static void
a_hold_is_not_for_allowing(void **state)
{
	struct world *w = *state;
	struct revoke_result r;
	struct ipc_revoke m = allow_order("dev-1");
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "certificateHold"));
	assert_fails(revoke_allow(&w->d, &m, &r, &w->e), &w->e, CONFLICT);
	assert_non_null(strstr(w->e.text, "undo"));
	assert_true(is_blocked(w, "dev-1"));
}

static void
to_allow_takes_a_device_and_a_comment(void **state)
{
	static const uint8_t sha[32] = {1};
	struct world *w = *state;
	struct revoke_result r;
	struct ipc_revoke bad[5];
	for (int i = 0; i < 5; i++)
		bad[i] = allow_order("dev-1");
	bad[0].comment = SPAN_NONE;
	bad[1].device_id = SPAN_NONE;
	bad[2].reason = SPAN_LIT("superseded");
	bad[3].undo = 1;
	bad[4].sha256 = span_of(sha, sizeof(sha));
	world_device(w, "dev-1");
	revoke(w, order("dev-1", "keyCompromise"));
	for (int i = 0; i < 5; i++)
		assert_fails(revoke_allow(&w->d, &bad[i], &r, &w->e), &w->e, PARSE);
	assert_true(is_blocked(w, "dev-1"));
}

static void
an_operator_is_known_by_his_certificate(void **state)
{
	struct world *w = *state;
	struct store_cert c = world_cert(w, "admin", "01aa");
	uint8_t sha[DIGEST_SHA256];
	struct store_operator op = {.sha256 = c.sha256, .name = "admin", .enabled = true};
	assert_ok(store_operator_put(w->d.store, &op, &w->e), &w->e);
	assert_ok(hex_parse(span_str(c.sha256), sha, sizeof(sha), &w->e), &w->e);
	struct ipc_revoke m = {
	    .sha256 = span_of(sha, sizeof(sha)), .reason = SPAN_LIT("certificateHold")};
	struct revoke_result r = revoke(w, m);
	assert_true(did(&r, REVOKE_IDENTITY));
	w->no = (struct refusal){0};
	assert_ok(revoke_check_operator(&w->d, c.sha256, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_CERT_REVOKED);
	m.undo = 1;
	r = revoke(w, m);
	assert_true(did(&r, REVOKE_IDENTITY));
	w->no = (struct refusal){0};
	assert_ok(revoke_check_operator(&w->d, c.sha256, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	assert_ok(store_operator_get(w->d.store, c.sha256, w->arena, &op, &w->e), &w->e);
	assert_true(op.enabled);
}

static void
what_was_compromised_says_so_in_the_end(void **state)
{
	struct world *w = *state;
	struct store_cert c;
	world_cert(w, "dev-1", "01aa");
	revoke(w, order("dev-1", "superseded"));
	revoke(w, order("dev-1", "keyCompromise"));
	struct revoke_result r = revoke(w, order("dev-1", "unspecified"));
	assert_false(did(&r, REVOKE_CRL));
	assert_ok(
	    store_cert_get(w->d.store, WORLD_CA, "01aa", w->arena, &c, &w->e), &w->e);
	assert_int_equal(c.reason, CRL_KEY_COMPROMISE);
}

/* ---- what each device uses ------------------------------------------------------------
 */

static struct device_cert_seen
connect(struct world *w, const char *device, const char *serial)
{
	struct device_cert_seen seen;
	struct ipc_cred cred = world_cred(w, device, serial);
	assert_ok(device_cert_note(&w->d, &cred, device, SPAN_LIT("192.0.2.1:1000"),
		      SPAN_LIT("agent"), &seen, &w->e),
	    &w->e);
	return seen;
}

static int64_t
superseded_since(struct world *w, const char *serial)
{
	struct store_cert c;
	assert_ok(
	    store_cert_get(w->d.store, WORLD_CA, serial, w->arena, &c, &w->e), &w->e);
	return c.superseded_ms;
}

static void
the_certificate_of_another_ca_is_revoked_by_its_name(void **state)
{
	struct world *w = *state;
	world_device(w, "dev-1");
	connect(w, "dev-1", "01ff"); /* on no record of ours */
	struct revoke_result r = revoke(w, order("dev-1", "certificateHold"));
	assert_false(did(&r, REVOKE_CRL)); /* that CA's to list */
	assert_int_equal(check(w, world_cred(w, "dev-1", "01ff")), REFUSAL_CERT_REVOKED);
	struct ipc_revoke m = order("dev-1", "");
	m.undo = 1;
	revoke(w, m);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01ff")), REFUSAL_NONE);
}

static void
a_new_certificate_in_use_supersedes_the_old_one(void **state)
{
	struct world *w = *state;
	world_cert(w, "dev-1", "01aa");
	assert_true(connect(w, "dev-1", "01aa").is_new);
	assert_false(connect(w, "dev-1", "01aa").is_new);
	w->clock.skew_ms += WORLD_DAY_MS;
	world_cert(w, "dev-1", "01bb");
	assert_int_equal(superseded_since(w, "01aa"), 0); /* not by being issued */
	assert_true(connect(w, "dev-1", "01bb").is_new);
	assert_int_equal(superseded_since(w, "01aa"), WORLD_NOW_MS + WORLD_DAY_MS);
	assert_int_equal(superseded_since(w, "01bb"), 0);
	connect(w, "dev-1", "01aa"); /* it went back */
	assert_int_equal(superseded_since(w, "01aa"), 0);
}

static void
what_is_superseded_is_revoked_after_the_soak_unless_it_is_in_use(void **state)
{
	struct world *w = *state;
	bool more;
	world_cert(w, "dev-1", "01aa");
	world_cert(w, "dev-2", "02aa");
	connect(w, "dev-1", "01aa");
	connect(w, "dev-2", "02aa");
	w->clock.skew_ms += 1000;
	world_cert(w, "dev-1", "01bb");
	world_cert(w, "dev-2", "02bb");
	connect(w, "dev-1", "01bb");
	connect(w, "dev-2", "02bb");
	/* dev-2 went back while nothing of it was noted on its certificate */
	struct store_device_cert seen;
	assert_ok(
	    store_device_cert_get(w->d.store, "dev-2", w->arena, &seen, &w->e), &w->e);
	seen.serial = "02aa";
	assert_ok(store_device_cert_put(w->d.store, &seen, &w->e), &w->e);

	w->clock.skew_ms += w->cfg.pki.superseded_soak_ms - 10;
	assert_ok(revoke_superseded(&w->d, 10, &more, &w->e), &w->e);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_NONE);
	w->clock.skew_ms += 20;
	assert_ok(revoke_superseded(&w->d, 10, &more, &w->e), &w->e);
	assert_false(more);
	assert_int_equal(check(w, world_cred(w, "dev-1", "01aa")), REFUSAL_CERT_REVOKED);
	assert_non_null(strstr(w->no.detail, "superseded"));
	assert_int_equal(check(w, world_cred(w, "dev-1", "01bb")), REFUSAL_NONE);
	assert_int_equal(check(w, world_cred(w, "dev-2", "02aa")), REFUSAL_NONE);
	assert_int_equal(superseded_since(w, "02aa"), 0);
}

static void
the_superseded_are_revoked_in_batches(void **state)
{
	struct world *w = *state;
	bool more;
	int turns = 0;
	for (int i = 0; i < 7; i++) {
		char *dev = arena_printf(w->arena, "dev-%d", i);
		world_cert(w, dev, arena_printf(w->arena, "0%daa", i + 1));
		world_cert(w, dev, arena_printf(w->arena, "0%dbb", i + 1));
		connect(w, dev, arena_printf(w->arena, "0%dbb", i + 1));
	}
	w->clock.skew_ms += w->cfg.pki.superseded_soak_ms + 1;
	do {
		assert_ok(revoke_superseded(&w->d, 3, &more, &w->e), &w->e);
		turns++;
	} while (more);
	assert_int_equal(turns, 3);
	for (int i = 0; i < 7; i++) {
		char *dev = arena_printf(w->arena, "dev-%d", i);
		assert_int_equal(
		    check(w, world_cred(w, dev, arena_printf(w->arena, "0%daa", i + 1))),
		    REFUSAL_CERT_REVOKED);
	}
}

static void
one_key_in_the_certificates_of_two_devices_is_noticed(void **state)
{
	struct world *w = *state;
	struct device_cert_seen seen;
	assert_string_equal(connect(w, "dev-1", "01aa").key_twin, "");
	struct ipc_cred copy = world_cred(w, "dev-2", "01bb");
	copy.key_sha256 = world_cred(w, "dev-1", "01aa").key_sha256;
	assert_ok(device_cert_note(&w->d, &copy, "dev-2", SPAN_LIT("192.0.2.2:1"),
		      SPAN_NONE, &seen, &w->e),
	    &w->e);
	assert_string_equal(seen.key_twin, "dev-1");
}

/* ---- clones ---------------------------------------------------------------------------
 */

static bool
follow(struct world *w, struct session *s, const struct session *was, const char *serial,
    int64_t at_ms, const char *peer)
{
	*s = (struct session){.opened_ms = at_ms, .issuer = WORLD_CA, .serial = serial};
	session_blanks(s);
	return clone_follow(s, was, span_str(peer), w->arena);
}

static void
two_addresses_in_turn_are_a_sign_and_one_move_is_none(void **state)
{
	struct world *w = *state;
	struct session a, b, c, d;
	assert_false(follow(w, &a, NULL, "01", 1000, "192.0.2.1:1"));
	assert_false(follow(w, &b, &a, "01", 2000, "192.0.2.1:2")); /* another port */
	assert_false(follow(w, &c, &b, "01", 3000, "[2001:db8::1]:3"));
	assert_true(follow(w, &d, &c, "01", 4000, "192.0.2.1:4"));
	assert_false(follow(w, &d, &c, "01", 3000 + CLONE_WINDOW_MS, "192.0.2.1:4"));
	assert_false(follow(w, &d, &c, "02", 4000, "192.0.2.1:4")); /* renewed */
	assert_false(follow(w, &d, &c, "01", 4000, "192.0.2.9:4"));
	assert_false(follow(w, &d, NULL, "01", 4000, "192.0.2.1:4")); /* it was closed */
}

static void
signs_are_counted_by_device_and_the_list_is_bounded(void **state)
{
	(void)state;
	struct clone_list *l = own_alloc(sizeof(*l));
	const struct clone_sign *last;
	clone_note(l, "dev-1", 100, "one");
	clone_note(l, "dev-1", 200, "two");
	assert_int_equal(clone_count(l, 0, &last), 1);
	assert_string_equal(last->text, "two");
	assert_int_equal(clone_count(l, 201, NULL), 0);
	for (int i = 0; i < CLONE_MAX + 10; i++) {
		char id[20];
		snprintf(id, sizeof(id), "d-%d", i);
		clone_note(l, id, 1000 + i, "x");
	}
	assert_int_equal(clone_count(l, 0, &last), CLONE_MAX);
	assert_int_equal(last->at_ms, 1000 + CLONE_MAX + 9);
	free(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_revoked_certificate_is_refused_and_others_are_not),
	    T(the_same_serial_of_another_issuer_is_another_certificate),
	    T(another_certificate_of_its_ca_does_not_hide_what_is_revoked),
	    T(a_token_is_not_asked_about),
	    T(what_a_revoked_or_retired_issuer_signed_is_refused),
	    T(the_azure_profile_asks_for_no_revocation_but_blocks_enrolment),
	    T(a_revoked_certificate_written_with_its_other_signature_is_refused),
	    T(one_order_has_all_effects_and_again_none),
	    T(an_expired_certificate_is_left_alone_once_it_is_good_for_nothing),
	    T(only_the_certificate_leaves_identity_and_enrolment),
	    T(a_name_that_means_nothing_is_not_found),
	    T(a_certificate_of_another_device_is_not_found_under_this_name),
	    T(reasons_of_cas_and_lists_are_none_of_a_device),
	    T(a_hold_ends_and_gives_back_what_it_took),
	    T(a_hold_of_a_device_without_certificates_ends_too),
	    T(ending_a_hold_leaves_what_another_hand_disabled),
	    T(nothing_but_a_hold_ends),
	    T(a_hold_may_become_final_and_then_does_not_end),
	    T(an_id_that_was_revoked_for_good_may_enrol_again_and_nothing_else_comes_back),
	    T(a_hold_is_not_for_allowing),
	    T(to_allow_takes_a_device_and_a_comment),
	    T(an_operator_is_known_by_his_certificate),
	    T(what_was_compromised_says_so_in_the_end),
	    T(the_certificate_of_another_ca_is_revoked_by_its_name),
	    T(a_new_certificate_in_use_supersedes_the_old_one),
	    T(what_is_superseded_is_revoked_after_the_soak_unless_it_is_in_use),
	    T(the_superseded_are_revoked_in_batches),
	    T(one_key_in_the_certificates_of_two_devices_is_noticed),
	    T(two_addresses_in_turn_are_a_sign_and_one_move_is_none),
	    T(signs_are_counted_by_device_and_the_list_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
