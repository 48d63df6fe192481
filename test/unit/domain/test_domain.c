/*
 * Rules, on a real store and a clock of our own: enrollment, sessions, policies,
 * identities.
 */
#include "../test.h"

#include <stdio.h>
#include <unistd.h>

#include "base/hex.h"
#include "codec/sas.h"
#include "crypto/chain.h"
#include "crypto/digest.h"
#include "crypto/sas_key.h"
#include "domain/hub/device.h"
#include "domain/domain.h"
#include "domain/dps/enrol.h"
#include "domain/dps/enrollment.h"
#include "domain/pki/issue.h"
#include "domain/pki/issuer.h"
#include "domain/access/policy.h"
#include "domain/access/principal.h"
#include "domain/hub/session.h"
#include "domain/access/throttle.h"
#include "domain/pki/ca_cert.h"
#include "io/file.h"

#define NOW_MS INT64_C(1795319096000)

struct world {
	char dir[64];
	struct domain d;
	struct config cfg;
	struct clock clock;
	struct arena *arena, *cfg_arena;
	struct throttle throttle;
	struct issuer_book book;
	struct err e;
	struct refusal no;
};

static int
setup(void **state)
{
	struct world *w = own_alloc(sizeof(*w));
	char path[100];
	snprintf(w->dir, sizeof(w->dir), "/tmp/muster-domain-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(path, sizeof(path), "%s/hub.db", w->dir);
	w->arena = arena_new(64 << 20);
	w->cfg_arena = arena_new(4 * CONF_FILE_MAX);
	w->clock = clock_fake(NOW_MS);
	conf_defaults(&config_table, &w->cfg, w->cfg_arena);
	throttle_init(&w->throttle, 0, NOW_MS);
	struct store *s = store_open(path, &w->e);
	assert_non_null(s);
	w->d = (struct domain){.store = s,
	    .cfg = &w->cfg,
	    .clock = &w->clock,
	    .arena = w->arena,
	    .throttle = &w->throttle};
	w->book.n = 1;
	w->book.v[0] = (struct issuer_entry){
	    .name = "service-ca", .purpose = CA_SERVICE, .state = ISSUER_ACTIVE};
	memset(w->book.v[0].sha256, 0x55, sizeof(w->book.v[0].sha256));
	w->d.issuers = &w->book;
	assert_ok(store_begin(s, &w->e), &w->e);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	store_rollback(w->d.store);
	store_close(w->d.store);
	arena_free(w->arena);
	arena_free(w->cfg_arena);
	assert_ok(file_remove_tree(w->dir, &w->e), &w->e);
	free(w);
	return 0;
}

/* ---- credentials ----------------------------------------------------------------------
 */

/* A SAS credential as an edge would pass it on. */
static struct ipc_cred
sas(struct world *w, const char *resource, struct span key, const char *policy,
    int64_t expiry_s)
{
	struct buf *token = arena_alloc(w->arena, sizeof(*token));
	static struct sas t;
	*token = BUF_INIT(SAS_KEY_TOKEN_MAX);
	assert_ok(
	    sas_key_sign(span_str(resource), key, expiry_s, policy, token, &w->e), &w->e);
	char *text = arena_str(w->arena, buf_span(token));
	buf_done(token);
	assert_ok(sas_parse(span_str(text), &t, &w->e), &w->e);
	return (struct ipc_cred){.kind = CRED_SAS,
	    .sas_sr = t.sr,
	    .sas_se = t.se,
	    .sas_expiry_s = t.se_s,
	    .sas_resource = arena_span(w->arena, span_str(t.resource)),
	    .sas_sig = arena_span(w->arena, span_of(t.sig, sizeof(t.sig))),
	    .sas_policy = arena_span(w->arena, span_str(t.policy))};
}

static const uint8_t group_ca_der[] = "certificate of the device CA";

static struct ipc_cred
leaf(struct world *w, const char *cn)
{
	uint8_t *ca = arena_alloc(w->arena, DIGEST_SHA256);
	digest_sha256(span_of(group_ca_der, sizeof(group_ca_der)), ca);
	return (struct ipc_cred){.kind = CRED_X509,
	    .verdict = CHAIN_OK,
	    .cn = span_str(cn),
	    .sha256 = SPAN_LIT("0123456789abcdef0123456789abcdef"),
	    .sha1 = SPAN_LIT("0123456789abcdef0123"),
	    .not_before_ms = NOW_MS - 1000,
	    .not_after_ms = NOW_MS + 86400000,
	    .chain = span_of(ca, DIGEST_SHA256)};
}

static struct store_enrollment
put_group(struct world *w, const char *id, int attestation, bool enabled)
{
	struct ipc_enrollment_put m = {.id = span_str(id),
	    .attestation = (uint8_t)attestation,
	    .enabled = enabled,
	    .update_hub = 1,
	    .migrate_data = 1,
	    .tags = SPAN_LIT("{\"site\":\"a\"}")};
	if (attestation == STORE_ATT_X509)
		m.primary_cert = span_of(group_ca_der, sizeof(group_ca_der));
	struct store_enrollment g;
	assert_ok(enrollment_put(&w->d, &m, &g, &w->e), &w->e);
	return g;
}

static struct ipc_dps_state
register_(struct world *w, const char *id, struct ipc_cred cred)
{
	struct ipc_dps_register m = {.cred = cred,
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = span_str(id)};
	struct enrol_result got;
	assert_ok(enrol_register(&w->d, &m, &got, &w->no, &w->e), &w->e);
	return got.state;
}

static struct ipc_cred
group_token(
    struct world *w, const struct store_enrollment *g, const char *id, int64_t expiry_s)
{
	uint8_t key[SAS_KEY_DERIVED];
	char resource[300];
	sas_key_derive(g->primary_key, span_str(id), key);
	snprintf(
	    resource, sizeof(resource), "%s/registrations/%s", w->cfg.dps.id_scope, id);
	return sas(w, resource, span_of(key, sizeof(key)), "registration", expiry_s);
}

static struct store_device
device(struct world *w, const char *id)
{
	struct store_device d;
	assert_ok(store_device_get(w->d.store, id, w->arena, &d, &w->e), &w->e);
	return d;
}

static void
open_hub(struct world *w, const char *id, struct ipc_cred cred)
{
	struct ipc_hub_open m = {
	    .cred = cred, .host = SPAN_LIT("127.0.0.1"), .device_id = span_str(id)};
	struct session s;
	int64_t close_ms;
	assert_ok(session_judge(&w->d, &m, &s, &close_ms, &w->no, &w->e), &w->e);
}

static struct ipc_cred
device_token(struct world *w, const char *id, int64_t expiry_s)
{
	struct store_device d = device(w, id);
	char resource[300];
	snprintf(resource, sizeof(resource), "127.0.0.1/devices/%s", id);
	return sas(w, resource, d.primary_key, NULL, expiry_s);
}

#define assert_refused(w, want) assert_int_equal((w)->no.code, REFUSAL_##want)
#define LATER                   ((NOW_MS / 1000) + 3600)

/* ---- enrollment -----------------------------------------------------------------------
 */

static void
enrol_by_group_key_makes_a_sas_identity_with_the_derived_key(void **state)
{
	struct world *w = *state;
	struct store_enrollment g = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	struct ipc_dps_state st =
	    register_(w, "Dev-1", group_token(w, &g, "Dev-1", LATER));
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.status, "assigned"));
	assert_true(span_eq_str(st.device_id, "Dev-1"));
	assert_true(span_eq_str(st.hub, "127.0.0.1"));
	struct store_device d = device(w, "Dev-1");
	uint8_t key[SAS_KEY_DERIVED];
	sas_key_derive(g.primary_key, SPAN_LIT("Dev-1"), key);
	assert_true(span_eq(d.primary_key, span_of(key, sizeof(key))));
	assert_int_equal(d.auth, STORE_AUTH_SAS);
	assert_true(span_eq_str(d.tags, "{\"site\":\"a\"}"));
	open_hub(w, "Dev-1", device_token(w, "Dev-1", LATER));
	assert_refused(w, NONE);
}

static void
enrol_refuses_wrong_key_scope_resource_and_expired_token(void **state)
{
	struct world *w = *state;
	struct store_enrollment g = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	struct store_enrollment other = g;
	other.primary_key = SPAN_LIT("another key, long enough to be one");
	register_(w, "d1", group_token(w, &other, "d1", LATER));
	assert_refused(w, SAS_SIGNATURE);
	register_(w, "d2", group_token(w, &g, "d1", LATER));
	assert_refused(w, SAS_RESOURCE);
	register_(w, "d1", group_token(w, &g, "d1", NOW_MS / 1000 - 301));
	assert_refused(w, SAS_EXPIRED);
	register_(w, "d1", group_token(w, &g, "d1", NOW_MS / 1000 - 299));
	assert_refused(w, NONE);
	struct ipc_dps_register m = {.cred = group_token(w, &g, "d1", LATER),
	    .id_scope = SPAN_LIT("0neOTHER"),
	    .registration_id = SPAN_LIT("d1")};
	struct enrol_result got;
	assert_ok(enrol_register(&w->d, &m, &got, &w->no, &w->e), &w->e);
	assert_refused(w, WRONG_SCOPE);
	register_(w, "d1", (struct ipc_cred){0});
	assert_refused(w, NO_CREDENTIAL);
}

static void
enrol_by_chain_keeps_the_sas_keys_for_the_migration_window(void **state)
{
	struct world *w = *state;
	struct store_enrollment keys = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	put_group(w, "certs", STORE_ATT_X509, true);
	register_(w, "d1", group_token(w, &keys, "d1", LATER));
	struct ipc_cred token = device_token(w, "d1", LATER);
	register_(w, "d1", leaf(w, "d1"));
	assert_refused(w, NONE);
	struct store_device d = device(w, "d1");
	assert_int_equal(d.auth, STORE_AUTH_CA);
	assert_true(d.sas_window);
	open_hub(w, "d1", leaf(w, "d1"));
	assert_refused(w, NONE);
	open_hub(w, "d1", token);
	assert_refused(w, NONE);
	/* a fallback to the group key within the window changes nothing */
	register_(w, "d1", group_token(w, &keys, "d1", LATER));
	assert_refused(w, NONE);
	assert_int_equal(device(w, "d1").auth, STORE_AUTH_CA);
}

static void
enrol_by_key_cannot_undo_x509_once_the_window_is_closed(void **state)
{
	struct world *w = *state;
	struct store_enrollment keys = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	put_group(w, "certs", STORE_ATT_X509, true);
	register_(w, "d1", leaf(w, "d1"));
	assert_false(device(w, "d1").sas_window);
	register_(w, "d1", group_token(w, &keys, "d1", LATER));
	assert_refused(w, DOWNGRADE);
	assert_int_equal(device(w, "d1").auth, STORE_AUTH_CA);
}

static void
enrol_in_azure_profile_writes_a_thumbprint_and_answers_on_the_poll(void **state)
{
	struct world *w = *state;
	struct store_enrollment keys = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	put_group(w, "certs", STORE_ATT_X509, true);
	register_(w, "d1", group_token(w, &keys, "d1", LATER));
	struct ipc_cred token = device_token(w, "d1", LATER);
	struct ipc_dps_state st = register_(w, "d1", leaf(w, "d1"));
	assert_true(span_eq_str(st.status, "assigning"));
	assert_int_equal(st.retry_after_s, 3);
	struct store_device d = device(w, "d1");
	assert_int_equal(d.auth, STORE_AUTH_SELF_SIGNED);
	assert_string_equal(d.primary_thumb, d.secondary_thumb);
	assert_int_equal(d.primary_key.len, 0);
	struct ipc_dps_poll poll = {.cred = leaf(w, "d1"),
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = SPAN_LIT("d1"),
	    .operation_id = arena_span(w->arena, st.operation_id)};
	w->clock.skew_ms += 3000;
	assert_ok(enrol_poll(&w->d, &poll, &st, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.status, "assigned"));
	open_hub(w, "d1", leaf(w, "d1"));
	assert_refused(w, NONE);
	open_hub(w, "d1", token);
	assert_refused(w, AUTH_TYPE);
	struct ipc_cred renewed = leaf(w, "d1");
	renewed.sha256 = SPAN_LIT("another leaf, same chain, same C");
	open_hub(w, "d1", renewed);
	assert_refused(w, CERT_THUMBPRINT);
	poll.operation_id = SPAN_LIT("4.0.x");
	assert_ok(enrol_poll(&w->d, &poll, &st, &w->no, &w->e), &w->e);
	assert_refused(w, OPERATION);
}

static void
enrol_refuses_bad_leaves_by_their_own_reason(void **state)
{
	struct world *w = *state;
	put_group(w, "certs", STORE_ATT_X509, true);
	struct ipc_cred c = leaf(w, "d1");
	register_(w, "d2", c);
	assert_refused(w, CERT_CN);
	c.not_after_ms = NOW_MS - 1;
	register_(w, "d1", c);
	assert_refused(w, CERT_INVALID);
	c = leaf(w, "d1");
	c.not_before_ms = NOW_MS + 1;
	register_(w, "d1", c);
	assert_refused(w, CERT_INVALID);
	c = leaf(w, "d1");
	c.verdict = CHAIN_UNKNOWN_ISSUER;
	register_(w, "d1", c);
	assert_refused(w, CERT_INVALID);
	c = leaf(w, "d1");
	c.chain = SPAN_LIT("some other CA, also of 32 bytes.");
	register_(w, "d1", c);
	assert_refused(w, CERT_NO_GROUP);
	c.chain = span_of(w->book.v[0].sha256, sizeof(w->book.v[0].sha256));
	register_(w, "d1", c);
	assert_refused(w, CERT_OPERATOR);
	struct store_device d;
	assert_fails(
	    store_device_get(w->d.store, "d1", w->arena, &d, &w->e), &w->e, NOT_FOUND);
}

static void
enrol_by_chain_waits_for_the_names_of_the_cas(void **state)
{
	struct world *w = *state;
	struct enrol_result st;
	struct ipc_dps_register m = {.cred = leaf(w, "d1"),
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = SPAN_LIT("d1")};
	put_group(w, "certs", STORE_ATT_X509, true);
	w->book.n = 0;
	assert_fails(enrol_register(&w->d, &m, &st, &w->no, &w->e), &w->e, UNAVAILABLE);
}

static void
enrol_in_a_disabled_group_says_disabled_and_makes_no_device(void **state)
{
	struct world *w = *state;
	put_group(w, "certs", STORE_ATT_X509, false);
	struct ipc_dps_state st = register_(w, "d1", leaf(w, "d1"));
	assert_refused(w, ENROLLMENT_DISABLED);
	assert_true(span_eq_str(st.status, "disabled"));
	assert_int_not_equal(st.error, 0);
	struct store_device d;
	assert_fails(
	    store_device_get(w->d.store, "d1", w->arena, &d, &w->e), &w->e, NOT_FOUND);
}

static void
enrol_by_key_ends_when_device_sas_is_switched_off(void **state)
{
	struct world *w = *state;
	struct store_enrollment g = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	struct store_hub h;
	register_(w, "d1", group_token(w, &g, "d1", LATER));
	struct ipc_cred token = device_token(w, "d1", LATER);
	assert_ok(store_hub_get(w->d.store, &h, &w->e), &w->e);
	h.disable_device_sas = true;
	assert_ok(store_hub_put(w->d.store, &h, &w->e), &w->e);
	register_(w, "d1", group_token(w, &g, "d1", LATER));
	assert_refused(w, SAS_DISABLED);
	open_hub(w, "d1", token);
	assert_refused(w, SAS_DISABLED);
}

/* ---- connections ----------------------------------------------------------------------
 */

static void
session_refuses_by_the_right_reason(void **state)
{
	struct world *w = *state;
	struct ipc_device_put put = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d;
	assert_ok(device_put(&w->d, &put, &d, &w->e), &w->e);
	open_hub(w, "nobody", device_token(w, "d1", LATER));
	assert_refused(w, DEVICE_UNKNOWN);
	open_hub(w, "D1", device_token(w, "d1", LATER)); /* hub IDs have case */
	assert_refused(w, DEVICE_UNKNOWN);
	open_hub(w, "d1", leaf(w, "d1"));
	assert_refused(w, AUTH_TYPE);
	open_hub(w, "d1", (struct ipc_cred){0});
	assert_refused(w, NO_CREDENTIAL);
	open_hub(w, "d1", device_token(w, "d1", NOW_MS / 1000 - 301));
	assert_refused(w, SAS_EXPIRED);
	open_hub(w, "d1", sas(w, "127.0.0.1/devices/d2", d.primary_key, NULL, LATER));
	assert_refused(w, SAS_RESOURCE);
	open_hub(w, "d1",
	    sas(w, "127.0.0.1/devices/d1", SPAN_LIT("not the key of this one"), NULL,
		LATER));
	assert_refused(w, SAS_SIGNATURE);
	open_hub(w, "d1",
	    sas(w, "127.0.0.1/devices/d1/?api-version=2020-09-30", d.secondary_key, NULL,
		LATER));
	assert_refused(w, NONE);
	put.if_match = SPAN_LIT("\"*\"");
	put.enabled = 0;
	assert_ok(device_put(&w->d, &put, &d, &w->e), &w->e);
	open_hub(w, "d1", device_token(w, "d1", LATER));
	assert_refused(w, DEVICE_DISABLED);
}

static void
session_by_policy_token_works_until_local_auth_is_disabled(void **state)
{
	struct world *w = *state;
	struct ipc_device_put put = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d;
	struct store_policy p;
	struct store_hub h;
	assert_ok(device_put(&w->d, &put, &d, &w->e), &w->e);
	assert_ok(policy_defaults(&w->d, &w->e), &w->e);
	assert_ok(
	    store_policy_get(w->d.store, "hub", "device", w->arena, &p, &w->e), &w->e);
	struct ipc_cred token =
	    sas(w, "127.0.0.1/devices", p.primary_key, "device", LATER);
	open_hub(w, "d1", token);
	assert_refused(w, NONE);
	open_hub(w, "d1", sas(w, "127.0.0.1/devices/d", p.primary_key, "device", LATER));
	assert_refused(w, SAS_RESOURCE);
	assert_ok(
	    store_policy_get(w->d.store, "hub", "registryRead", w->arena, &p, &w->e),
	    &w->e);
	open_hub(w, "d1", sas(w, "127.0.0.1", p.primary_key, "registryRead", LATER));
	assert_refused(w, RIGHT);
	assert_ok(store_hub_get(w->d.store, &h, &w->e), &w->e);
	h.disable_local_auth = true;
	assert_ok(store_hub_put(w->d.store, &h, &w->e), &w->e);
	open_hub(w, "d1", token);
	assert_refused(w, SAS_DISABLED);
}

static void
session_by_a_token_without_end_is_never_closed_for_it(void **state)
{
	struct world *w = *state;
	struct ipc_device_put put = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d;
	assert_ok(device_put(&w->d, &put, &d, &w->e), &w->e);
	/* the largest that the edge lets through: times 1000 it fits, plus grace not */
	int64_t se = INT64_MAX / 1000, close_ms = -1;
	struct ipc_hub_open m = {.cred = device_token(w, "d1", se),
	    .host = SPAN_LIT("127.0.0.1"),
	    .device_id = SPAN_LIT("d1")};
	struct session s;
	assert_ok(session_judge(&w->d, &m, &s, &close_ms, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_int_equal(close_ms, 0);
	m.cred = device_token(w, "d1", LATER);
	assert_ok(session_judge(&w->d, &m, &s, &close_ms, &w->no, &w->e), &w->e);
	assert_int_equal(close_ms, (LATER + w->cfg.hub.sas_grace_s) * 1000);
}

static struct session
judged(struct world *w, const char *id, struct ipc_cred cred)
{
	struct ipc_hub_open m = {
	    .cred = cred, .host = SPAN_LIT("127.0.0.1"), .device_id = span_str(id)};
	struct session s;
	int64_t close_ms;
	assert_ok(session_judge(&w->d, &m, &s, &close_ms, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	return s;
}

static bool
stays(struct world *w, const struct session *s)
{
	struct store_device d = device(w, s->device_id);
	struct store_hub h;
	assert_ok(store_hub_get(w->d.store, &h, &w->e), &w->e);
	return session_still_admitted(&w->cfg, s, &d, &h);
}

static void
put_device(struct world *w, const struct ipc_device_put *m)
{
	struct store_device d;
	assert_ok(device_put(&w->d, m, &d, &w->e), &w->e);
}

static void
session_by_key_ends_with_that_key_or_with_the_identity(void **state)
{
	struct world *w = *state;
	struct ipc_device_put m = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	put_device(w, &m);
	struct session s = judged(w, "d1", device_token(w, "d1", LATER));
	struct store_device was = device(w, "d1");
	assert_true(stays(w, &s));
	m.if_match = SPAN_LIT("*");
	m.primary_key = was.secondary_key; /* swapped, as a rotation does */
	m.secondary_key = was.primary_key;
	put_device(w, &m);
	assert_true(stays(w, &s));
	m.secondary_key = SPAN_LIT("a key that was not there before");
	put_device(w, &m);
	assert_false(stays(w, &s));
	/* made anew with the old key: another identity all the same */
	struct ipc_device_delete gone = {.id = SPAN_LIT("d1")};
	assert_ok(device_delete(&w->d, &gone, &w->e), &w->e);
	m.if_match = SPAN_NONE;
	m.primary_key = was.primary_key;
	put_device(w, &m);
	assert_false(stays(w, &s));
}

static void
session_by_certificate_ends_with_what_admitted_it(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = leaf(w, "d1");
	char sha1[41];
	hex_write(c.sha1, sha1);
	struct ipc_device_put m = {.id = SPAN_LIT("d1"),
	    .enabled = 1,
	    .auth = STORE_AUTH_SELF_SIGNED,
	    .primary_thumb = SPAN_LIT("00000000000000000000000000000000"
				      "00000000000000000000000000000000"),
	    .secondary_thumb = span_str(sha1)};
	put_device(w, &m);
	struct session pinned = judged(w, "d1", c);
	assert_true(stays(w, &pinned));
	m.if_match = SPAN_LIT("*");
	m.primary_thumb = span_str("0000000000000000000000000000000000000000");
	m.secondary_thumb = SPAN_NONE;
	put_device(w, &m);
	assert_false(stays(w, &pinned));
	m.auth = STORE_AUTH_CA;
	m.primary_thumb = SPAN_NONE;
	put_device(w, &m);
	assert_false(stays(w, &pinned)); /* nobody has judged its chain */
	put_group(w, "certs", STORE_ATT_X509, true);
	struct session chained = judged(w, "d1", c);
	assert_true(stays(w, &chained));
	m.enabled = 0;
	put_device(w, &m);
	assert_false(stays(w, &chained));
}

static void
upload(struct world *w, const char *owner, uint8_t verified)
{
	const struct ipc_ca_cert_put m = {.owner = span_str(owner),
	    .name = SPAN_LIT("ca"),
	    .der = span_of(group_ca_der, sizeof(group_ca_der)),
	    .verified = verified};
	struct store_ca_cert c;
	assert_ok(ca_cert_put(&w->d, &m, &c, &w->e), &w->e);
}

static enum refusal_code
comes_by_chain(struct world *w, struct session *ret)
{
	struct ipc_hub_open m = {.cred = leaf(w, "d1"),
	    .host = SPAN_LIT("127.0.0.1"),
	    .device_id = SPAN_LIT("d1")};
	int64_t close_ms;
	m.cred.serial = SPAN_LIT("0a");
	assert_ok(session_judge(&w->d, &m, ret, &close_ms, &w->no, &w->e), &w->e);
	return w->no.code;
}

static void
a_ca_of_the_hub_counts_once_it_is_verified_and_until_it_goes(void **state)
{
	struct world *w = *state;
	struct session s;
	struct ipc_device_put m = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_CA};
	put_device(w, &m);
	assert_int_equal(comes_by_chain(w, &s), REFUSAL_CERT_ELSEWHERE);
	upload(w, "", 1); /* no group names it */
	assert_int_equal(comes_by_chain(w, &s), REFUSAL_CERT_ELSEWHERE);
	upload(w, "127.0.0.1", 0);
	assert_int_equal(comes_by_chain(w, &s), REFUSAL_CERT_ELSEWHERE);
	upload(w, "127.0.0.1", 1);
	assert_int_equal(comes_by_chain(w, &s), REFUSAL_NONE);
	assert_true(s.by_chain && s.by_hub_ca);
	w->no = (struct refusal){0};
	assert_ok(session_check_cert(&w->d, &s, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	upload(w, "127.0.0.1", 0);
	assert_ok(session_check_cert(&w->d, &s, &w->no, &w->e), &w->e);
	assert_refused(w, CERT_ELSEWHERE);
	register_(w, "d1", leaf(w, "d1"));
	assert_refused(w, CERT_NO_GROUP);
}

static void
session_table_keeps_one_connection_a_device(void **state)
{
	struct session_table t;
	struct session s = {.name = "d1"}, old = {0};
	int64_t first, second;
	session_blanks(&s);
	session_table_init(&t);
	assert_false(session_enter(&t, &s, &old, &first));
	assert_true(session_enter(&t, &s, &old, &second));
	assert_int_equal(old.id, first);
	assert_true(session_find(&t, first)->superseded); /* its will may still come */
	session_yield(&t, "d1", 7);
	session_yield(&t, "nobody", 7);
	assert_int_equal(session_find(&t, first)->yields, 0);
	assert_int_equal(session_find(&t, second)->yields, 7);
	assert_int_equal(session_of(&t, "d1")->id, second);
	session_subscribe(&t, second, 5);
	session_subscribe(&t, second + 1000, 7); /* nobody's */
	assert_int_equal(session_of(&t, "d1")->subs, 5);
	assert_int_equal(session_find(&t, first)->subs, 0);
	assert_true(session_leave(&t, first));
	assert_false(session_leave(&t, first));
	assert_int_equal(session_of(&t, "d1")->id, second);
	assert_true(session_leave(&t, second));
	assert_null(session_of(&t, "d1"));
	session_table_done(&t);
}

static void
a_walk_over_sessions_steps_over_those_that_leave(void **state)
{
	struct session_table t;
	struct session old;
	int64_t id[4];
	static const char *const names[] = {"a", "b", "c", "d"};
	session_table_init(&t);
	session_walk_begin(&t);
	assert_null(session_walk(&t));
	for (int i = 0; i < 4; i++) {
		struct session s = {.name = names[i]};
		session_blanks(&s);
		session_enter(&t, &s, &old, &id[i]);
	}
	session_walk_begin(&t);
	assert_string_equal(session_walk(&t)->name, "a");
	assert_true(session_leave(&t, id[0])); /* behind */
	assert_true(session_leave(&t, id[1])); /* the next */
	assert_true(session_leave(&t, id[2])); /* and the one that was it then */
	assert_string_equal(session_walk(&t)->name, "d");
	assert_null(session_walk(&t));
	session_walk_begin(&t);
	assert_string_equal(session_walk(&t)->name, "d");
	session_table_done(&t);
	assert_null(t.walk);
}

static struct session
whole(const char *name, const uint8_t (*ca)[32], size_t n_ca)
{
	return (struct session){.name = name,
	    .device_id = "d1",
	    .module_id = "m",
	    .generation = "g-1",
	    .policy = "p",
	    .thumb = "t256",
	    .thumb_sha1 = "t1",
	    .issuer = "iss",
	    .serial = "01",
	    .address = "192.0.2.1",
	    .address_before = "192.0.2.1",
	    .ca = ca,
	    .n_ca = (uint8_t)n_ca};
}

/* What was borrowed for the question is gone when the session is asked. */
static void
session_table_has_its_own_texts(void **state)
{
	static const uint8_t cas[2][32] = {{1, 2}, {3, 4}};
	struct session_table t;
	struct session old;
	int64_t id;
	session_table_init(&t);
	struct session s = whole("d1/m", cas, 2);
	struct arena *a = arena_new(1 << 20);
	struct session lent = session_copy(&s, a);
	assert_ptr_not_equal(lent.name, s.name);
	session_enter(&t, &lent, &old, &id);
	arena_free(a);
	const struct session *in = session_of(&t, "d1/m");
	assert_string_equal(in->device_id, "d1");
	assert_string_equal(in->module_id, "m");
	assert_string_equal(in->generation, "g-1");
	assert_string_equal(in->policy, "p");
	assert_string_equal(in->thumb, "t256");
	assert_string_equal(in->thumb_sha1, "t1");
	assert_string_equal(in->issuer, "iss");
	assert_string_equal(in->serial, "01");
	assert_string_equal(in->address, "192.0.2.1");
	assert_string_equal(in->address_before, "192.0.2.1");
	assert_int_equal(in->n_ca, 2);
	assert_memory_equal(in->ca, cas, sizeof(cas));
	session_table_done(&t);
}

/* ---- the service side -----------------------------------------------------------------
 */

static void
policy_tokens_may_do_what_their_rights_say_and_no_more(void **state)
{
	struct world *w = *state;
	struct store_policy p;
	assert_ok(policy_defaults(&w->d, &w->e), &w->e);
	assert_ok(
	    store_policy_get(w->d.store, "hub", "registryRead", w->arena, &p, &w->e),
	    &w->e);
	struct ipc_cred c = sas(w, "127.0.0.1", p.primary_key, "registryRead", LATER);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_REGISTRY_READ, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_ok(
	    policy_authorize(&w->d, &c, RIGHT_REGISTRY_WRITE, &w->no, &w->e), &w->e);
	assert_refused(w, RIGHT);
	assert_ok(
	    policy_authorize(&w->d, &c, RIGHT_ENROLLMENT_READ, &w->no, &w->e), &w->e);
	assert_refused(w, SAS_POLICY); /* a hub's policy is unknown to the DPS */
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, RIGHT);
	c.sas_policy = SPAN_NONE;
	assert_ok(policy_authorize(&w->d, &c, RIGHT_REGISTRY_READ, &w->no, &w->e), &w->e);
	assert_refused(w, SAS_POLICY);
}

static void
policy_lets_only_registered_enabled_unexpired_operators_in(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = leaf(w, "admin");
	char sha[65];
	hex_write(c.sha256, sha);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, NOT_OPERATOR);
	struct store_operator op = {.sha256 = sha, .name = "admin", .enabled = true};
	assert_ok(store_operator_put(w->d.store, &op, &w->e), &w->e);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, NOT_OPERATOR); /* was removed, or never there */
	struct store_principal p = principal_new("admin", "reader", NOW_MS, w->arena);
	assert_ok(store_principal_put(w->d.store, &p, &w->e), &w->e);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_OBSERVE, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, RIGHT);
	p.role = "owner";
	assert_ok(store_principal_put(w->d.store, &p, &w->e), &w->e);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	c.not_after_ms = NOW_MS - 1;
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, CERT_INVALID);
	op.enabled = false;
	assert_ok(store_operator_put(w->d.store, &op, &w->e), &w->e);
	assert_ok(policy_authorize(&w->d, &c, RIGHT_MANAGE, &w->no, &w->e), &w->e);
	assert_refused(w, NOT_OPERATOR);
}

static void
device_put_obeys_if_match_and_clears_what_is_absent(void **state)
{
	struct world *w = *state;
	struct ipc_device_put m = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d;
	assert_ok(device_put(&w->d, &m, &d, &w->e), &w->e);
	assert_int_equal(d.primary_key.len, SAS_KEY_MAX);
	assert_fails(device_put(&w->d, &m, &d, &w->e), &w->e, EXISTS);
	m.if_match = SPAN_LIT("\"99\"");
	assert_fails(device_put(&w->d, &m, &d, &w->e), &w->e, CONFLICT);
	m.if_match = SPAN_LIT("1");
	m.auth = STORE_AUTH_CA;
	assert_ok(device_put(&w->d, &m, &d, &w->e), &w->e);
	assert_int_equal(d.primary_key.len, 0);
	assert_int_equal(d.etag, 2);
	m.if_match = SPAN_LIT("*");
	m.auth = STORE_AUTH_SELF_SIGNED;
	assert_fails(device_put(&w->d, &m, &d, &w->e), &w->e, PARSE);
	m.primary_thumb = SPAN_LIT("ABCDEF0123456789abcdef0123456789abcdef01");
	assert_ok(device_put(&w->d, &m, &d, &w->e), &w->e);
	assert_string_equal(d.primary_thumb, "abcdef0123456789abcdef0123456789abcdef01");
	m.id = SPAN_LIT("a/b");
	m.if_match = SPAN_NONE;
	assert_fails(device_put(&w->d, &m, &d, &w->e), &w->e, PARSE);
}

static void
twin_patch_merges_and_null_deletes(void **state)
{
	struct world *w = *state;
	struct ipc_device_put put = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d;
	struct span change;
	assert_ok(device_put(&w->d, &put, &d, &w->e), &w->e);
	struct ipc_twin_patch m = {
	    .id = SPAN_LIT("d1"), .tags = SPAN_LIT("{\"a\":1,\"b\":{\"c\":2}}")};
	assert_ok(device_twin_patch(&w->d, &m, &d, &change, &w->no, &w->e), &w->e);
	m.tags = SPAN_LIT("{\"a\":null,\"b\":{\"d\":3}}");
	assert_ok(device_twin_patch(&w->d, &m, &d, &change, &w->no, &w->e), &w->e);
	assert_true(span_eq_str(d.tags, "{\"b\":{\"c\":2,\"d\":3}}"));
	m.tags = SPAN_LIT("{\"a$\":1}");
	assert_fails(
	    device_twin_patch(&w->d, &m, &d, &change, &w->no, &w->e), &w->e, PARSE);
	m.tags = SPAN_LIT("{}");
	m.if_match = SPAN_LIT("\"1\"");
	assert_fails(
	    device_twin_patch(&w->d, &m, &d, &change, &w->no, &w->e), &w->e, CONFLICT);
}

static void
issue_for_a_server_takes_names_too_long_for_a_cn(void **state)
{
	struct world *w = *state;
	static const char *names[] = {
	    "a-balancer-that-a-cloud-has-given-a-name-of-its-own.of.a.region.example"};
	struct ipc_signer_issue m;
	assert_ok(issue_server(&w->d, SPAN_LIT("key"), &m, &w->e), &w->e);
	assert_true(span_eq_str(m.subject, "127.0.0.1"));
	w->cfg.server.name = (struct conf_list){names, 1};
	assert_ok(issue_server(&w->d, SPAN_LIT("key"), &m, &w->e), &w->e);
	assert_in_range(m.subject.len, 1, 64);
	assert_true(span_starts(m.names, span_str(names[0])));
}

static void
group_refuses_a_certificate_that_stands_in_another(void **state)
{
	struct world *w = *state;
	put_group(w, "one", STORE_ATT_X509, true);
	struct ipc_enrollment_put m = {.id = SPAN_LIT("two"),
	    .attestation = STORE_ATT_X509,
	    .primary_cert = span_of(group_ca_der, sizeof(group_ca_der))};
	struct store_enrollment g;
	assert_fails(enrollment_put(&w->d, &m, &g, &w->e), &w->e, EXISTS);
	m.id = SPAN_LIT("ONE"); /* the same group: IDs have no case */
	m.keep_primary = 1;
	m.primary_cert = SPAN_NONE;
	assert_ok(enrollment_put(&w->d, &m, &g, &w->e), &w->e);
	assert_string_equal(g.id, "one");
	assert_int_equal(g.primary_cert.len, sizeof(group_ca_der));
	m.hubs = SPAN_LIT("elsewhere.example");
	assert_fails(enrollment_put(&w->d, &m, &g, &w->e), &w->e, PARSE);
}

static void
group_beyond_the_limit_is_refused_not_ignored(void **state)
{
	struct world *w = *state;
	struct store_enrollment g = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	char id[20];
	g.id = id;
	for (int i = 1; i < ENROLLMENT_GROUPS_MAX; i++) {
		snprintf(id, sizeof(id), "g%d", i);
		assert_ok(store_enrollment_add(w->d.store, &g, &w->e), &w->e);
	}
	struct ipc_enrollment_put m = {
	    .id = SPAN_LIT("one-more"), .attestation = STORE_ATT_SYMMETRIC, .enabled = 1};
	assert_fails(enrollment_put(&w->d, &m, &g, &w->e), &w->e, LIMIT);
	m.id = SPAN_LIT("keys");
	assert_ok(enrollment_put(&w->d, &m, &g, &w->e), &w->e);
}

static void
throttle_refills_evenly_and_never_above_its_burst(void **state)
{
	struct throttle t;
	throttle_init(&t, 60, 0);
	for (int i = 0; i < 60; i++)
		assert_true(throttle_take(&t, 0));
	assert_false(throttle_take(&t, 0));
	assert_false(throttle_take(&t, 999));
	assert_true(throttle_take(&t, 1000));
	for (int i = 0; i < 60; i++)
		assert_true(throttle_take(&t, 3600000));
	assert_false(throttle_take(&t, 3600000));
	throttle_init(&t, 0, 0);
	assert_true(throttle_take(&t, 0));
}

/* A flood of askers must not keep the bucket empty for good. */
static void
throttle_refills_at_a_slow_rate_however_often_it_is_asked(void **state)
{
	struct throttle t;
	int taken = 0;
	throttle_init(&t, 10, 0);
	for (int64_t ms = 0; ms <= 60000; ms++)
		taken += throttle_take(&t, ms);
	assert_int_equal(taken, 20); /* the burst, and a minute's */
}

static void
strangers_do_not_use_up_the_registrations(void **state)
{
	struct world *w = *state;
	struct store_enrollment g = put_group(w, "keys", STORE_ATT_SYMMETRIC, true);
	struct store_enrollment other = g;
	other.primary_key = SPAN_LIT("another key, long enough to be one");
	throttle_init(&w->throttle, 1, clock_mono_ms(&w->clock));
	for (int i = 0; i < 3; i++) {
		register_(w, "d1", group_token(w, &other, "d1", LATER));
		assert_refused(w, SAS_SIGNATURE);
	}
	register_(w, "d1", group_token(w, &g, "d1", LATER));
	assert_refused(w, NONE);
	register_(w, "d1", group_token(w, &g, "d1", LATER));
	assert_refused(w, THROTTLED);
}

static void
webhook_that_cannot_be_asked_leaves_nothing_to_wait_for(void **state)
{
	struct world *w = *state;
	const struct ipc_enrollment_put m = {.id = SPAN_LIT("hook"),
	    .attestation = STORE_ATT_SYMMETRIC,
	    .enabled = 1,
	    .allocation = SPAN_LIT("custom"),
	    .webhook_url = SPAN_LIT("https://hook.example/"),
	    .webhook_api = SPAN_LIT("2019-03-31")};
	struct store_enrollment g;
	struct store_registration r;
	assert_ok(enrollment_put(&w->d, &m, &g, &w->e), &w->e);
	w->d.hooks_full = true;
	register_(w, "d1", group_token(w, &g, "d1", LATER));
	assert_refused(w, THROTTLED);
	assert_fails(store_registration_get(w->d.store, "d1", w->arena, &r, &w->e), &w->e,
	    NOT_FOUND);
	w->d.hooks_full = false;
	struct ipc_dps_state st = register_(w, "d1", group_token(w, &g, "d1", LATER));
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.status, "assigning"));
	/* asked again by the same device it is the same operation, room or not */
	w->d.hooks_full = true;
	register_(w, "d1", group_token(w, &g, "d1", LATER));
	assert_refused(w, NONE);
}

#define row(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    row(enrol_by_group_key_makes_a_sas_identity_with_the_derived_key),
	    row(enrol_refuses_wrong_key_scope_resource_and_expired_token),
	    row(enrol_by_chain_keeps_the_sas_keys_for_the_migration_window),
	    row(enrol_by_key_cannot_undo_x509_once_the_window_is_closed),
	    row(enrol_in_azure_profile_writes_a_thumbprint_and_answers_on_the_poll),
	    row(enrol_refuses_bad_leaves_by_their_own_reason),
	    row(enrol_by_chain_waits_for_the_names_of_the_cas),
	    row(enrol_in_a_disabled_group_says_disabled_and_makes_no_device),
	    row(enrol_by_key_ends_when_device_sas_is_switched_off),
	    row(session_refuses_by_the_right_reason),
	    row(session_by_policy_token_works_until_local_auth_is_disabled),
	    row(session_by_a_token_without_end_is_never_closed_for_it),
	    row(session_by_key_ends_with_that_key_or_with_the_identity),
	    row(session_by_certificate_ends_with_what_admitted_it),
	    row(a_ca_of_the_hub_counts_once_it_is_verified_and_until_it_goes),
	    cmocka_unit_test(session_table_keeps_one_connection_a_device),
	    cmocka_unit_test(a_walk_over_sessions_steps_over_those_that_leave),
	    cmocka_unit_test(session_table_has_its_own_texts),
	    row(policy_tokens_may_do_what_their_rights_say_and_no_more),
	    row(policy_lets_only_registered_enabled_unexpired_operators_in),
	    row(device_put_obeys_if_match_and_clears_what_is_absent),
	    row(twin_patch_merges_and_null_deletes),
	    row(issue_for_a_server_takes_names_too_long_for_a_cn),
	    row(group_refuses_a_certificate_that_stands_in_another),
	    row(group_beyond_the_limit_is_refused_not_ignored),
	    row(strangers_do_not_use_up_the_registrations),
	    row(webhook_that_cannot_be_asked_leaves_nothing_to_wait_for),
	    cmocka_unit_test(throttle_refills_evenly_and_never_above_its_burst),
	    cmocka_unit_test(throttle_refills_at_a_slow_rate_however_often_it_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
