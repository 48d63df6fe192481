/*
 * Certificates within a registration: who waits for an operator, whose key it is, and who
 * gets none.
 */
#include "world.h"

#include <stdio.h>

#include "crypto/crl.h"
#include "domain/hub/device.h"
#include "domain/dps/enrol.h"
#include "domain/access/est_guard.h"
#include "domain/pki/est_request.h"
#include "domain/pki/issue.h"
#include "domain/access/poll_guard.h"
#include "domain/access/throttle.h"

#define assert_refused(w, want) assert_int_equal((w)->no.code, REFUSAL_##want)

static struct est_guard guard;
static struct throttle throttle;

/* A group of WORLD_CA, which is the device CA as well. */
static int
setup(void **state)
{
	if (world_setup(state))
		return -1;
	struct world *w = *state;
	est_guard_init(&guard);
	throttle_init(&throttle, 0, WORLD_NOW_MS);
	w->d.est = &guard;
	w->d.throttle = &throttle;
	w->book.v[w->book.n] = (struct issuer_entry){
	    .name = "device-ca", .purpose = CA_DEVICE, .state = ISSUER_ACTIVE};
	memset(w->book.v[w->book.n++].sha256, 0xc1, 32);
	const struct store_enrollment group = {.kind = STORE_GROUP,
	    .id = "line",
	    .attestation = STORE_ATT_X509,
	    .primary_cert_sha256 = WORLD_CA,
	    .secondary_cert_sha256 = "",
	    .primary_ca = "",
	    .secondary_ca = "",
	    .device_id = "",
	    .enabled = true,
	    .allocation = "hashed",
	    .hubs = "",
	    .tags = SPAN_LIT("{}"),
	    .desired = SPAN_LIT("{}"),
	    .update_hub = true,
	    .migrate_data = true,
	    .webhook_url = "",
	    .webhook_api = ""};
	assert_ok(store_enrollment_add(w->d.store, &group, &w->e), &w->e);
	return 0;
}

static int
teardown(void **state)
{
	est_guard_done(&guard);
	return world_teardown(state);
}

/* A registration whose CSR is for that key; "" = it has none. */
static struct enrol_result
registers(struct world *w, const char *id, struct ipc_cred cred, const char *key)
{
	const struct ipc_dps_register m = {.cred = cred,
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = span_str(id),
	    .csr_cn = span_str(key[0] ? id : ""),
	    .csr_spki = span_str(key)};
	struct enrol_result got;
	assert_ok(enrol_register(&w->d, &m, &got, &w->no, &w->e), &w->e);
	return got;
}

static void
fails(struct world *w, const struct enrol_result *got, enum refusal_code why)
{
	assert_int_equal(w->no.code, why);
	assert_true(span_eq_str(got->state.status, "failed"));
	assert_int_equal(got->next, ENROL_DONE);
}

/* The signer answers, and the record is written, as in the core's turn. */
static struct enrol_result
signer_gives(struct world *w, const struct enrol_result *asked, const char *serial)
{
	static const uint8_t ca[DIGEST_SHA256] = {[0 ... 31] = 0xc1};
	const struct ipc_signer_issued issued = {.der = span_str(serial),
	    .serial = span_str(serial),
	    .issuer = span_of(ca, sizeof(ca)),
	    .not_after_ms = clock_wall_ms(&w->clock) + WORLD_DAY_MS};
	struct enrol_result got;
	assert_int_equal(asked->next, ENROL_ISSUE);
	assert_ok(issue_record(&w->d, &asked->issue, &issued, &w->e), &w->e);
	assert_ok(enrol_issued(&w->d, &asked->pending, &issued, "", &got, &w->no, &w->e),
	    &w->e);
	est_done(&w->d, &asked->pending.promise);
	return got;
}

static const char *
cert_of(struct world *w, const char *id)
{
	struct store_registration r;
	assert_ok(store_registration_get(w->d.store, id, w->arena, &r, &w->e), &w->e);
	return r.cert;
}

static int
take_id(void *ctx, const struct store_enrol *row, struct err *e)
{
	char *id = ctx;
	(void)e;
	assert_string_equal(id, "");
	snprintf(id, 65, "%s", row->id);
	return 0;
}

/* The one request that waits. */
static void
approve(struct world *w)
{
	struct store_enrol r;
	char id[65] = "";
	assert_ok(store_enrol_each(w->d.store, "pending", 10, take_id, id, &w->e), &w->e);
	assert_string_not_equal(id, "");
	const struct ipc_enrol_decide m = {.id = span_str(id), .approve = 1};
	assert_ok(est_request_decide(&w->d, &m, "op", &r, &w->e), &w->e);
}

/* ---- approval ------------------------------------------------------------------------
 */

static void
approval_of_tokens_is_not_got_around_by_registering(void **state)
{
	struct world *w = *state;
	struct ipc_cred foreign = world_cred(w, "d1", "0a");
	w->cfg.est.approval = CONFIG_APPROVAL_TOKEN;
	for (int i = 0; i < 2; i++) {
		struct enrol_result got = registers(w, "d1", foreign, "k1");
		fails(w, &got, REFUSAL_EST_WAITS);
		assert_int_equal(got.state.error, 429002);
	}
	approve(w);
	struct enrol_result other = registers(w, "d1", foreign, "k2");
	fails(w, &other, REFUSAL_EST_WAITS); /* what was approved is a key */
	struct enrol_result got = registers(w, "d1", foreign, "k1");
	assert_refused(w, NONE);
	got = signer_gives(w, &got, "01aa");
	assert_true(span_eq_str(got.state.status, "assigned"));
}

static void
who_has_a_certificate_of_ours_renews_without_approval_of_tokens(void **state)
{
	struct world *w = *state;
	world_cert(w, "d1", "0a");
	world_cert(w, "d2", "0b");
	w->cfg.est.approval = CONFIG_APPROVAL_TOKEN;
	struct enrol_result got = registers(w, "d1", world_cred(w, "d1", "0a"), "k1");
	assert_refused(w, NONE);
	assert_int_equal(got.next, ENROL_ISSUE);
	est_done(&w->d, &got.pending.promise);
	/* d2's by the record, whatever it says of itself */
	got = registers(w, "d3", world_cred(w, "d3", "0b"), "k3");
	fails(w, &got, REFUSAL_EST_WAITS);
	w->cfg.est.approval = CONFIG_APPROVAL_ALL;
	got = registers(w, "d2", world_cred(w, "d2", "0b"), "k2");
	fails(w, &got, REFUSAL_EST_WAITS);
}

/* The answer was lost, the core restarted: the approval is worth one certificate. */
static void
what_was_approved_and_issued_is_answered_again(void **state)
{
	struct world *w = *state;
	struct ipc_cred cred = world_cred(w, "d1", "0a");
	w->cfg.est.approval = CONFIG_APPROVAL_ALL;
	struct enrol_result got = registers(w, "d1", cred, "k1");
	fails(w, &got, REFUSAL_EST_WAITS);
	approve(w);
	got = registers(w, "d1", cred, "k1");
	const char *operation = arena_str(w->arena, got.state.operation_id);
	signer_gives(w, &got, "01aa");
	const char *cert = cert_of(w, "d1");
	assert_int_equal(strlen(cert), 64);
	est_guard_done(&guard);
	est_guard_init(&guard);
	const struct ipc_dps_poll poll = {.cred = cred,
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = SPAN_LIT("d1"),
	    .operation_id = span_str(operation)};
	struct ipc_dps_state st;
	w->clock.skew_ms += WORLD_DAY_MS / 2; /* a poll as late as that */
	assert_ok(enrol_poll(&w->d, &poll, &st, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.status, "assigned"));
	got = registers(w, "d1", cred, "k1");
	assert_refused(w, NONE);
	assert_int_equal(got.next, ENROL_DONE);
	assert_true(span_eq_str(got.state.status, "assigned"));
	assert_string_equal(cert_of(w, "d1"), cert);
	got = registers(w, "d1", cred, "k2");
	fails(w, &got, REFUSAL_EST_WAITS);
}

/* ---- whose key -----------------------------------------------------------------------
 */

static void
another_key_gets_nothing_of_the_registration_under_way(void **state)
{
	struct world *w = *state;
	struct ipc_cred cred = world_cred(w, "d1", "0a");
	struct enrol_result first = registers(w, "d1", cred, "k1");
	assert_int_equal(first.next, ENROL_ISSUE);
	const char *operation = arena_str(w->arena, first.state.operation_id);
	struct enrol_result got = registers(w, "d1", cred, "k1");
	assert_refused(w, NONE);
	assert_int_equal(got.next, ENROL_DONE);
	assert_true(span_eq_str(got.state.operation_id, operation));
	static const char *const others[] = {"k2", ""};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		got = registers(w, "d1", cred, others[i]);
		assert_refused(w, THROTTLED);
		assert_int_equal(got.state.status.len, 0);
	}
	got = signer_gives(w, &first, "01aa"); /* it has not come to harm */
	assert_refused(w, NONE);
	assert_true(span_eq_str(got.state.status, "assigned"));
	got = registers(w, "d1", cred, "k2");
	assert_refused(w, NONE);
	assert_int_equal(got.next, ENROL_ISSUE);
	est_done(&w->d, &got.pending.promise);
}

/* The identity is not made again by the back door, and what was signed is on a list. */
static void
device_that_is_deleted_meanwhile_gets_nothing(void **state)
{
	struct world *w = *state;
	struct store_cert c;
	struct store_device dev;
	const struct ipc_device_delete gone = {
	    .id = SPAN_LIT("d1"), .if_match = SPAN_LIT("*")};
	struct enrol_result got = registers(w, "d1", world_cred(w, "d1", "0a"), "k1");
	assert_ok(device_delete(&w->d, &gone, &w->e), &w->e);
	got = signer_gives(w, &got, "01aa");
	assert_int_equal(w->no.code, REFUSAL_DEVICE_UNKNOWN);
	assert_true(span_eq_str(got.state.status, "failed"));
	assert_string_equal(cert_of(w, "d1"), "");
	assert_ok(
	    store_cert_get(w->d.store, WORLD_CA, "01aa", w->arena, &c, &w->e), &w->e);
	assert_int_not_equal(c.revoked_ms, 0);
	assert_fails(
	    store_device_get(w->d.store, "d1", w->arena, &dev, &w->e), &w->e, NOT_FOUND);
}

static void
device_id_that_is_no_cn_gets_no_certificate(void **state)
{
	struct world *w = *state;
	struct est_grant g;
	struct store_device dev = device_blank(&w->d, "Line'7");
	assert_ok(store_device_add(w->d.store, &dev, &w->e), &w->e);
	const struct est_applicant who = {.device_id = "Line'7",
	    .credential = "symmetricKey",
	    .registration_id = SPAN_LIT("reg-1"),
	    .cn = SPAN_LIT("reg-1"),
	    .spki = SPAN_LIT("k1")};
	assert_ok(est_register(&w->d, &who, &g, &w->no, &w->e), &w->e);
	assert_refused(w, EST_SUBJECT);
}

/* ---- who gets none -------------------------------------------------------------------
 */

static void
revoked_certificate_gets_none_in_the_azure_profile_either(void **state)
{
	struct world *w = *state;
	world_cert(w, "d1", "0a");
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	assert_ok(store_cert_revoke(
		      w->d.store, WORLD_CA, "0a", WORLD_NOW_MS, CRL_SUPERSEDED, &w->e),
	    &w->e);
	struct ipc_cred cred = world_cred(w, "d1", "0a");
	cred.sent = 1;
	registers(w, "d1", cred, "k1");
	assert_refused(w, CERT_REVOKED);
	registers(w, "d1", cred, ""); /* Azure asks neither list nor OCSP */
	assert_refused(w, NONE);
}

/* ---- polls ---------------------------------------------------------------------------
 */

static enum refusal_code
polls(struct world *w, struct ipc_cred cred)
{
	const struct ipc_dps_poll m = {.cred = cred,
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = SPAN_LIT("d1")};
	struct ipc_dps_state st;
	assert_ok(enrol_poll(&w->d, &m, &st, &w->no, &w->e), &w->e);
	return w->no.code;
}

static void
strangers_use_up_nothing_of_what_a_device_may_ask(void **state)
{
	struct world *w = *state;
	struct poll_guard limit;
	struct ipc_cred cred = world_cred(w, "d1", "0a");
	poll_guard_init(&limit, 2);
	w->d.polls = &limit;
	registers(w, "d1", cred, "");
	for (int i = 0; i < 10; i++)
		assert_int_equal(polls(w, (struct ipc_cred){.kind = CRED_NONE}),
		    REFUSAL_NO_CREDENTIAL);
	for (int i = 0; i < 10; i++)
		assert_int_equal(polls(w, world_cred(w, "d2", "0b")), REFUSAL_CERT_CN);
	assert_int_equal(polls(w, cred), REFUSAL_NONE);
	assert_int_equal(polls(w, cred), REFUSAL_NONE);
	assert_int_equal(polls(w, cred), REFUSAL_THROTTLED);
	poll_guard_done(&limit);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(approval_of_tokens_is_not_got_around_by_registering),
	    T(who_has_a_certificate_of_ours_renews_without_approval_of_tokens),
	    T(what_was_approved_and_issued_is_answered_again),
	    T(another_key_gets_nothing_of_the_registration_under_way),
	    T(device_that_is_deleted_meanwhile_gets_nothing),
	    T(device_id_that_is_no_cn_gets_no_certificate),
	    T(revoked_certificate_gets_none_in_the_azure_profile_either),
	    T(strangers_use_up_nothing_of_what_a_device_may_ask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
