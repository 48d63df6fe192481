/*
 * Which enrollment a device comes by, what it is given at the hub then, and what the
 * service may enter.
 */
#include "world.h"

#include <stdio.h>

#include "codec/id.h"
#include "codec/sas.h"
#include "crypto/chain.h"
#include "crypto/sas_key.h"
#include "domain/pki/ca_cert.h"
#include "domain/dps/enrol.h"
#include "domain/dps/enrollment.h"
#include "domain/hub/identity.h"
#include "domain/pki/revoke.h"
#include "domain/access/throttle.h"

#define LATER                   ((WORLD_NOW_MS / 1000) + 3600)
#define KEY_1                   SPAN_LIT("the first key of an enrollment..")
#define KEY_2                   SPAN_LIT("the second key of an enrollment.")
#define assert_refused(w, want) assert_int_equal((w)->no.code, REFUSAL_##want)

static struct throttle throttle;

static int
setup(void **state)
{
	if (world_setup(state))
		return -1;
	struct world *w = *state;
	throttle_init(&throttle, 0, WORLD_NOW_MS);
	w->d.throttle = &throttle;
	return 0;
}

/* ---- what stands in enrollments: any bytes are a certificate here
 * ----------------------
 */

static struct ipc_enrollment_put
group_of(const char *id, const char *cert)
{
	return (struct ipc_enrollment_put){.id = span_str(id),
	    .attestation = STORE_ATT_X509,
	    .primary_cert = span_str(cert),
	    .enabled = 1,
	    .update_hub = 1,
	    .migrate_data = 1};
}

static struct ipc_enrollment_put
individual(const char *id, const char *cert)
{
	struct ipc_enrollment_put m = group_of(id, cert);
	m.kind = IPC_KIND_INDIVIDUAL;
	return m;
}

static struct ipc_enrollment_put
keys_of(uint8_t kind, const char *id)
{
	return (struct ipc_enrollment_put){.kind = kind,
	    .id = span_str(id),
	    .attestation = STORE_ATT_SYMMETRIC,
	    .primary_key = KEY_1,
	    .secondary_key = KEY_2,
	    .enabled = 1,
	    .update_hub = 1,
	    .migrate_data = 1};
}

static struct store_enrollment
put(struct world *w, const struct ipc_enrollment_put *m)
{
	struct store_enrollment n;
	assert_ok(enrollment_put(&w->d, m, &n, &w->e), &w->e);
	return n;
}

static void
put_fails(struct world *w, const struct ipc_enrollment_put *m, enum err_code want)
{
	struct store_enrollment n;
	assert_int_equal(enrollment_put(&w->d, m, &n, &w->e), -1);
	assert_int_equal(w->e.code, want);
}

static struct span
sha256(struct world *w, const char *bytes)
{
	uint8_t *sha = arena_alloc(w->arena, DIGEST_SHA256);
	digest_sha256(span_str(bytes), sha);
	return span_of(sha, DIGEST_SHA256);
}

/* ---- what devices present
 * --------------------------------------------------------------
 */

/* cert: the leaf; cas: of the chain, "\n" between, "" for one that is self-signed. */
static struct ipc_cred
leaf(struct world *w, const char *cn, const char *cert, const char *cas)
{
	uint8_t *chain = arena_alloc(w->arena, 8 * DIGEST_SHA256);
	size_t n = 0;
	for (struct span rest = span_str(cas); rest.len; n++)
		digest_sha256(span_split(&rest, '\n'), chain + n * DIGEST_SHA256);
	return (struct ipc_cred){.kind = CRED_X509,
	    .verdict = n ? CHAIN_OK : CHAIN_SELF_SIGNED,
	    .cn = span_str(cn),
	    .sha256 = sha256(w, cert),
	    .sha1 = SPAN_LIT("0123456789abcdef0123"),
	    .serial = SPAN_LIT("0a"),
	    .not_before_ms = WORLD_NOW_MS - 1000,
	    .not_after_ms = WORLD_NOW_MS + WORLD_DAY_MS,
	    .chain = span_of(chain, n * DIGEST_SHA256)};
}

static struct ipc_cred
token(struct world *w, const char *id, struct span key)
{
	struct sas t;
	char resource[300];
	auto_buf text = BUF_INIT(SAS_KEY_TOKEN_MAX);
	snprintf(
	    resource, sizeof(resource), "%s/registrations/%s", w->cfg.dps.id_scope, id);
	assert_ok(
	    sas_key_sign(span_str(resource), key, LATER, "registration", &text, &w->e),
	    &w->e);
	char *kept = arena_str(w->arena, buf_span(&text));
	assert_ok(sas_parse(span_str(kept), &t, &w->e), &w->e);
	return (struct ipc_cred){.kind = CRED_SAS,
	    .sas_sr = t.sr,
	    .sas_se = t.se,
	    .sas_expiry_s = t.se_s,
	    .sas_resource = arena_span(w->arena, span_str(t.resource)),
	    .sas_sig = arena_span(w->arena, span_of(t.sig, sizeof(t.sig)))};
}

/* As a member of a group with KEY_1 signs. */
static struct ipc_cred
member(struct world *w, const char *id)
{
	uint8_t key[SAS_KEY_DERIVED];
	sas_key_derive(KEY_1, span_str(id), key);
	return token(w, id, span_of(key, sizeof(key)));
}

static struct ipc_dps_state
enrols(struct world *w, const char *id, struct ipc_cred cred)
{
	const struct ipc_dps_register m = {.cred = cred,
	    .id_scope = span_str(w->cfg.dps.id_scope),
	    .registration_id = span_str(id)};
	struct enrol_result got;
	assert_ok(enrol_register(&w->d, &m, &got, &w->no, &w->e), &w->e);
	return got.state;
}

/* By which enrollment: "" = an individual one. */
static void
comes_by(struct world *w, const char *group, const char *id, struct ipc_cred cred)
{
	struct ipc_dps_state st = enrols(w, id, cred);
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.status, "assigned"));
	assert_true(span_eq_str(st.group_id, group));
}

/* azure: not at once. */
static void
comes_in(struct world *w, const char *id, struct ipc_cred cred)
{
	enrols(w, id, cred);
	assert_refused(w, NONE);
}

static void
is_disabled(struct world *w, const char *id, struct ipc_cred cred)
{
	struct ipc_dps_state st = enrols(w, id, cred);
	assert_refused(w, ENROLLMENT_DISABLED);
	assert_true(span_eq_str(st.status, "disabled"));
}

/* ---- by certificate
 * --------------------------------------------------------------------
 */

static void
individual_takes_a_self_signed_leaf_and_pins_it_at_the_hub(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	m.secondary_cert = SPAN_LIT("leaf-2");
	put(w, &m);
	comes_by(w, "", "d1", leaf(w, "d1", "leaf-1", ""));
	struct store_device dev = world_get_device(w, "d1");
	assert_int_equal(dev.auth, STORE_AUTH_SELF_SIGNED);
	assert_string_equal(dev.primary_thumb, dev.secondary_thumb);
	assert_string_equal(dev.group_id, "");
	char hex[65];
	hex_write(sha256(w, "leaf-1"), hex);
	assert_string_equal(dev.primary_thumb, hex);
	comes_by(w, "", "d1", leaf(w, "d1", "leaf-2", ""));
	hex_write(sha256(w, "leaf-2"), hex);
	assert_string_equal(world_get_device(w, "d1").primary_thumb, hex);
	enrols(w, "d1", leaf(w, "d1", "leaf-3", ""));
	assert_refused(w, CERT_INVALID); /* self-signed, and enrolled nowhere */
}

static void
individual_refuses_other_names_and_bad_leaves(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	put(w, &m);
	enrols(w, "d2", leaf(w, "d1", "leaf-1", ""));
	assert_refused(w, CERT_CN);
	enrols(w, "d2", leaf(w, "d2", "leaf-1", "")); /* whose enrollment is d1's */
	assert_refused(w, CERT_CN);
	struct ipc_cred c = leaf(w, "d1", "leaf-1", "");
	c.not_after_ms = WORLD_NOW_MS - 1;
	enrols(w, "d1", c);
	assert_refused(w, CERT_INVALID);
	c = leaf(w, "d1", "leaf-1", "");
	c.not_before_ms = WORLD_NOW_MS + 1;
	enrols(w, "d1", c);
	assert_refused(w, CERT_INVALID);
	c = leaf(w, "d1", "leaf-1", "");
	c.verdict = CHAIN_WEAK;
	enrols(w, "d1", c);
	assert_refused(w, CERT_INVALID);
	c.verdict = CHAIN_UNKNOWN_ISSUER; /* nobody asks for its chain */
	comes_by(w, "", "d1", c);
	comes_by(w, "", "D1", leaf(w, "D1", "leaf-1", ""));
}

static void
individual_may_name_another_device(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("reg-1", "leaf-1");
	m.device_id = SPAN_LIT("Line'7");
	put(w, &m);
	put(w, &(struct ipc_enrollment_put){.kind = IPC_KIND_GROUP,
		   .id = SPAN_LIT("cas"),
		   .attestation = STORE_ATT_X509,
		   .primary_cert = SPAN_LIT("CA"),
		   .enabled = 1});
	/* a chain is no good where the CN is not the device */
	struct ipc_dps_state st = enrols(w, "reg-1", leaf(w, "reg-1", "leaf-1", "CA"));
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.device_id, "Line'7"));
	assert_int_equal(world_get_device(w, "Line'7").auth, STORE_AUTH_SELF_SIGNED);
	m.device_id = SPAN_LIT("a/b");
	put_fails(w, &m, ERR_PARSE);
}

/* Not by its chain: whoever has the CN from any trusted CA would be the device. */
static void
individual_binds_the_device_to_the_one_certificate_it_names(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	put(w, &m);
	for (int profile = 0; profile < 2; profile++) {
		w->cfg.server.profile =
		    profile ? CONFIG_PROFILE_AZURE : CONFIG_PROFILE_NATIVE;
		comes_in(w, "d1", leaf(w, "d1", "leaf-1", "CA"));
		struct store_device dev = world_get_device(w, "d1");
		char hex[65];
		hex_write(sha256(w, "leaf-1"), hex);
		assert_int_equal(dev.auth, STORE_AUTH_SELF_SIGNED);
		assert_string_equal(dev.primary_thumb, hex);
	}
}

/* A certificate that muster gave the device for that one, with the CA's bytes "CA". */
static struct ipc_cred
given(struct world *w, const char *id, const char *cert)
{
	struct ipc_cred c = leaf(w, id, cert, "CA");
	char sha[65], ca[65];
	hex_write(c.sha256, sha);
	hex_write(sha256(w, "CA"), ca);
	const struct store_cert row = {.serial = cert,
	    .issuer = ca,
	    .profile = "device",
	    .subject = id,
	    .requester = "test",
	    .sha256 = sha,
	    .not_before_ms = c.not_before_ms,
	    .not_after_ms = c.not_after_ms,
	    .der = SPAN_LIT("x"),
	    .key_sha256 = ""};
	assert_ok(store_cert_add(w->d.store, &row, &w->e), &w->e);
	return c;
}

static void
renewed(struct world *w, const char *id, const char *from, const char *to)
{
	char shown[65], sha[65];
	hex_write(sha256(w, from), shown);
	hex_write(sha256(w, to), sha);
	assert_ok(identity_renewed(&w->d, id, from[0] ? shown : "", sha, &w->e), &w->e);
}

static void
pinned(struct world *w, const char *id, const char *primary, const char *secondary)
{
	struct store_device dev = world_get_device(w, id);
	char hex[2][65];
	hex_write(sha256(w, primary), hex[0]);
	hex_write(sha256(w, secondary), hex[1]);
	assert_string_equal(dev.primary_thumb, hex[0]);
	assert_string_equal(dev.secondary_thumb, hex[1]);
}

static void
renewal_of_a_bound_device_is_bound_and_registers_too(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	put(w, &m);
	comes_by(w, "", "d1", leaf(w, "d1", "leaf-1", "CA"));
	struct ipc_cred second = given(w, "d1", "leaf-2");
	enrols(w, "d1", second);
	assert_refused(w, CERT_NO_GROUP); /* on record, but not bound to it */
	renewed(w, "d1", "leaf-1", "leaf-2");
	pinned(w, "d1", "leaf-1", "leaf-2");
	(void)given(w, "d1", "leaf-3");
	renewed(w, "d1", "leaf-2", "leaf-3");
	pinned(w, "d1", "leaf-2", "leaf-3");
	(void)given(w, "d1", "leaf-4");
	renewed(w, "d1", "", "leaf-4"); /* by a token */
	pinned(w, "d1", "leaf-2", "leaf-4");
	comes_by(w, "", "d1", second);
	pinned(w, "d1", "leaf-2", "leaf-2");
	enrols(w, "d1", leaf(w, "d1", "leaf-9", "CA")); /* nobody's */
	assert_refused(w, CERT_NO_GROUP);
	m.enabled = 0;
	put(w, &m);
	is_disabled(w, "d1", second);
}

static void
renewal_leaves_what_an_operator_entered(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	put(w, &m);
	comes_by(w, "", "d1", leaf(w, "d1", "leaf-1", "CA"));
	struct store_device dev = world_get_device(w, "d1");
	char staged[65];
	hex_write(sha256(w, "staged"), staged);
	dev.secondary_thumb = staged;
	assert_ok(store_device_put(w->d.store, &dev, &w->e), &w->e);
	(void)given(w, "d1", "leaf-2");
	renewed(w, "d1", "leaf-1", "leaf-2");
	pinned(w, "d1", "leaf-1", "staged");
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	comes_in(w, "d1", leaf(w, "d1", "leaf-1", "CA"));
	renewed(w, "d1", "leaf-1", "leaf-2");
	pinned(w, "d1", "leaf-1", "leaf-1");
}

static void
individuals_beyond_their_number_are_refused(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put a = individual("d1", "leaf-1"),
				  b = individual("d2", "leaf-2"),
				  c = individual("d3", "leaf-3"),
				  group = group_of("g", "CA");
	w->cfg.dps.individuals_max = 2;
	put(w, &group);
	put(w, &a);
	put(w, &b);
	put_fails(w, &c, ERR_LIMIT);
	put(w, &b); /* it is there */
	const struct ipc_enrollment_delete del = {
	    .kind = IPC_KIND_INDIVIDUAL, .id = SPAN_LIT("d1")};
	assert_ok(enrollment_delete(&w->d, &del, &w->e), &w->e);
	put(w, &c);
	put_fails(w, &a, ERR_LIMIT);
}

static void
self_signed_leaf_leaves_keys_for_the_window_in_native_alone(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put keys = keys_of(IPC_KIND_GROUP, "keys");
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	put(w, &keys);
	comes_by(w, "keys", "d1", member(w, "d1"));
	put(w, &m);
	comes_by(w, "", "d1", leaf(w, "d1", "leaf-1", ""));
	struct store_device dev = world_get_device(w, "d1");
	assert_int_equal(dev.auth, STORE_AUTH_SELF_SIGNED);
	assert_true(dev.sas_window);
	assert_int_equal(dev.primary_key.len, SAS_KEY_DERIVED);
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	enrols(w, "d1", leaf(w, "d1", "leaf-1", ""));
	dev = world_get_device(w, "d1");
	assert_false(dev.sas_window);
	assert_int_equal(dev.primary_key.len, 0);
}

static void
most_specific_enrollment_decides_and_a_disabled_one_blocks(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = leaf(w, "d1", "leaf-1", "sub\nCA\nroot");
	struct ipc_enrollment_put root = group_of("root", "root"),
				  ca = group_of("ca", "CA"),
				  own = individual("d1", "leaf-1");
	put(w, &root);
	comes_by(w, "root", "d1", c);
	put(w, &ca);
	comes_by(w, "ca", "d1", c);
	ca.enabled = 0;
	put(w, &ca);
	is_disabled(w, "d1", c);
	put(w, &own);
	comes_by(w, "", "d1", c);
	own.enabled = 0;
	put(w, &own);
	ca.enabled = 1;
	put(w, &ca);
	is_disabled(w, "d1", c);
	comes_by(w, "ca", "d2", leaf(w, "d2", "leaf-2", "sub\nCA\nroot"));
}

static void
own_enrollment_is_not_passed_by_with_another_certificate(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put ca = group_of("ca", "CA"),
				  own = individual("d1", "leaf-1");
	struct ipc_cred other = leaf(w, "d1", "leaf-2", "CA");
	put(w, &ca);
	put(w, &own);
	enrols(w, "d1", other);
	assert_refused(w, CERT_OTHER);
	own.enabled = 0;
	put(w, &own);
	is_disabled(w, "d1", other);
	/* blocked, but told so only to who has proven something */
	enrols(w, "d1", leaf(w, "d1", "leaf-2", "CA of nobody"));
	assert_refused(w, CERT_NO_GROUP);
	own = keys_of(IPC_KIND_INDIVIDUAL, "d1");
	put(w, &own);
	comes_by(w, "ca", "d1", other); /* of another kind: on its way to certificates */
	own.enabled = 0;
	put(w, &own);
	is_disabled(w, "d1", other);
}

static void
operators_certificate_is_no_devices(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	char hex[65];
	hex_write(sha256(w, "leaf-1"), hex);
	const struct store_operator op = {
	    .sha256 = hex, .name = "admin", .enabled = true};
	put(w, &m);
	assert_ok(store_operator_put(w->d.store, &op, &w->e), &w->e);
	enrols(w, "d1", leaf(w, "d1", "leaf-1", ""));
	assert_refused(w, CERT_OPERATOR);
}

static void
revoked_leaf_and_revoked_device_do_not_enrol_individually(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("reg-1", "leaf-1");
	struct ipc_cred c = leaf(w, "reg-1", "leaf-1", "");
	char hex[65];
	hex_write(c.sha256, hex);
	m.device_id = SPAN_LIT("dev-1");
	put(w, &m);
	comes_by(w, "", "reg-1", c);
	const struct store_foreign f = {.issuer = hex,
	    .serial = "0a",
	    .sha256 = hex,
	    .device_id = "dev-1",
	    .revoked_ms = WORLD_NOW_MS,
	    .reason = 1};
	assert_ok(store_foreign_put(w->d.store, &f, &w->e), &w->e);
	enrols(w, "reg-1", c);
	assert_refused(w, CERT_REVOKED);
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	const struct ipc_revoke order = {
	    .device_id = SPAN_LIT("dev-1"), .reason = SPAN_LIT("keyCompromise")};
	struct revoke_result done;
	assert_ok(revoke_apply(&w->d, &order, "test", &done, &w->e), &w->e);
	assert_ok(store_device_del(w->d.store, "dev-1", &w->e), &w->e);
	enrols(w, "reg-1", c);
	assert_refused(w, ENROLLMENT_BLOCKED);
}

static void
revoked_leaf_does_not_enrol_by_leaving_out_its_chain(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = individual("d1", "leaf-1");
	char ca[65], hex[65];
	hex_write(sha256(w, "CA"), ca);
	hex_write(sha256(w, "leaf-1"), hex);
	const struct store_foreign f = {.issuer = ca,
	    .serial = "0a",
	    .sha256 = hex,
	    .device_id = "d1",
	    .revoked_ms = WORLD_NOW_MS,
	    .reason = 1};
	put(w, &m);
	comes_by(w, "", "d1", leaf(w, "d1", "leaf-1", "CA"));
	assert_ok(store_foreign_put(w->d.store, &f, &w->e), &w->e);
	enrols(w, "d1", leaf(w, "d1", "leaf-1", "CA"));
	assert_refused(w, CERT_REVOKED);
	enrols(w, "d1", leaf(w, "d1", "leaf-1", ""));
	assert_refused(w, CERT_REVOKED);
}

static void
azure_wants_every_certificate_below_the_enrolled_one(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put root = group_of("root", "root");
	struct ipc_cred c = leaf(w, "d1", "leaf-1", "sub\nCA\nroot");
	put(w, &root);
	comes_by(w, "root", "d1", c);
	w->cfg.server.profile = CONFIG_PROFILE_AZURE;
	enrols(w, "d1", c);
	assert_refused(w, CERT_UNSENT);
	c.sent = 1; /* sub */
	enrols(w, "d1", c);
	assert_refused(w, CERT_UNSENT);
	c.sent = 3;
	enrols(w, "d1", c);
	assert_refused(w, NONE);
	struct ipc_enrollment_put sub = group_of("sub", "sub");
	put(w, &sub);
	c.sent = 0; /* the enrolled one need not come itself */
	enrols(w, "d1", c);
	assert_refused(w, NONE);
}

/* ---- by key
 * ----------------------------------------------------------------------------
 */

static void
individual_keys_are_the_devices_own(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put own = keys_of(IPC_KIND_INDIVIDUAL, "Dev-1");
	put(w, &own);
	comes_by(w, "", "dev-1", token(w, "dev-1", KEY_1));
	struct store_device dev = world_get_device(w, "Dev-1");
	assert_int_equal(dev.auth, STORE_AUTH_SAS);
	assert_true(span_eq(dev.primary_key, KEY_1));
	assert_true(span_eq(dev.secondary_key, KEY_2));
	comes_by(w, "", "dev-1", token(w, "dev-1", KEY_2));
	enrols(w, "dev-1", member(w, "dev-1"));
	assert_refused(w, SAS_SIGNATURE);
	enrols(w, "dev-2", token(w, "dev-2", KEY_1));
	assert_refused(w, SAS_SIGNATURE);
}

static void
individual_keys_come_before_groups(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put keys = keys_of(IPC_KIND_GROUP, "keys");
	struct ipc_enrollment_put own = keys_of(IPC_KIND_INDIVIDUAL, "d1");
	put(w, &keys);
	comes_by(w, "keys", "d1", member(w, "d1"));
	put(w, &own);
	enrols(w, "d1", member(w, "d1"));
	assert_refused(w, SAS_SIGNATURE);
	comes_by(w, "", "d1", token(w, "d1", KEY_1));
	own.enabled = 0;
	put(w, &own);
	is_disabled(w, "d1", token(w, "d1", KEY_1));
	own = individual("d1", "leaf-1");
	put(w, &own); /* on its way to certificates: the group's key still does */
	comes_by(w, "keys", "d1", member(w, "d1"));
	own.enabled = 0;
	put(w, &own);
	is_disabled(w, "d1", member(w, "d1"));
	comes_by(w, "keys", "d2", member(w, "d2"));
	own = individual("d3", "leaf-3");
	put(w, &own); /* nobody has come with a key yet, and nobody shall */
	enrols(w, "d3", member(w, "d3"));
	assert_refused(w, AUTH_TYPE);
}

static void
group_does_not_inherit_the_device_of_an_individual_enrollment(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put keys = keys_of(IPC_KIND_GROUP, "keys"),
				  own = keys_of(IPC_KIND_INDIVIDUAL, "r1");
	const struct ipc_enrollment_delete gone = {
	    .kind = IPC_KIND_INDIVIDUAL, .id = SPAN_LIT("r1")};
	put(w, &keys);
	own.device_id = SPAN_LIT("vip");
	put(w, &own);
	comes_by(w, "", "r1", token(w, "r1", KEY_1));
	assert_ok(enrollment_delete(&w->d, &gone, &w->e), &w->e);
	struct ipc_dps_state st = enrols(w, "R1", member(w, "R1"));
	assert_refused(w, NONE);
	assert_true(span_eq_str(st.device_id, "R1"));
	assert_string_equal(world_get_device(w, "vip").group_id, "");
	assert_true(span_eq(world_get_device(w, "vip").primary_key, KEY_1));
	st = enrols(w, "r1", member(w, "r1")); /* once made, it keeps its spelling */
	assert_true(span_eq_str(st.device_id, "R1"));
}

/* ---- what may be entered
 * ----------------------------------------------------------------
 */

static void
certificate_stands_in_one_enrollment_only(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put g = group_of("g", "cert"),
				  one = individual("d1", "cert");
	put(w, &g);
	put_fails(w, &one, ERR_EXISTS);
	g.primary_cert = SPAN_LIT("another");
	put(w, &g);
	put(w, &one);
	one.id = SPAN_LIT("d2");
	put_fails(w, &one, ERR_EXISTS);
	g.secondary_cert = SPAN_LIT("cert");
	put_fails(w, &g, ERR_EXISTS);
	one.id = SPAN_LIT("D1");
	one.secondary_cert = SPAN_LIT("cert");
	put(w, &one); /* its own, twice */
}

static void
modes_create_or_update_and_etags_decide(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = keys_of(IPC_KIND_INDIVIDUAL, "d1");
	m.mode = IPC_MODE_UPDATE;
	put_fails(w, &m, ERR_NOT_FOUND);
	m.mode = IPC_MODE_CREATE;
	struct store_enrollment n = put(w, &m);
	put_fails(w, &m, ERR_EXISTS);
	m.mode = IPC_MODE_PUT;
	m.if_match = SPAN_LIT("7");
	put_fails(w, &m, ERR_CONFLICT);
	m.if_match = SPAN_LIT("1");
	assert_int_equal(put(w, &m).etag, n.etag + 1);
	struct ipc_enrollment_delete del = {.kind = IPC_KIND_GROUP, .id = SPAN_LIT("d1")};
	assert_fails(enrollment_delete(&w->d, &del, &w->e), &w->e, NOT_FOUND);
	del.kind = IPC_KIND_INDIVIDUAL;
	del.if_match = SPAN_LIT("1");
	assert_fails(enrollment_delete(&w->d, &del, &w->e), &w->e, CONFLICT);
	del.if_match = SPAN_LIT("*");
	assert_ok(enrollment_delete(&w->d, &del, &w->e), &w->e);
}

static void
what_one_attestation_needs_no_other_keeps(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = keys_of(IPC_KIND_INDIVIDUAL, "d1");
	put(w, &m);
	m.primary_key = m.secondary_key = SPAN_NONE;
	struct store_enrollment n = put(w, &m);
	assert_true(span_eq(n.primary_key, KEY_1));
	struct ipc_enrollment_put x = individual("d1", "leaf-1");
	n = put(w, &x);
	assert_int_equal(n.primary_key.len, 0);
	x.keep_primary = 1;
	x.primary_cert = SPAN_NONE;
	n = put(w, &x);
	assert_true(span_eq_str(n.primary_cert, "leaf-1"));
	n = put(w, &m);
	assert_int_equal(n.primary_cert.len, 0);
	assert_string_equal(n.primary_cert_sha256, "");
	assert_int_equal(n.primary_key.len, SAS_KEY_MAX);
	assert_false(span_eq(n.primary_key, KEY_1));
	put_fails(w, &x, ERR_PARSE); /* nothing to keep any more */
}

/* ---- certificates of the service
 * -------------------------------------------------------
 */

static struct store_ca_cert
put_cert(struct world *w, const char *name, const char *der, uint8_t verified)
{
	const struct ipc_ca_cert_put m = {
	    .name = span_str(name), .der = span_str(der), .verified = verified};
	struct store_ca_cert c;
	assert_ok(ca_cert_put(&w->d, &m, &c, &w->e), &w->e);
	return c;
}

static struct ipc_enrollment_put
by_name(const char *id, const char *name)
{
	struct ipc_enrollment_put m = group_of(id, "");
	m.primary_ca = span_str(name);
	return m;
}

static void
named_ca_counts_once_it_is_verified(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = by_name("g", "Root");
	struct ipc_cred c = leaf(w, "d1", "leaf-1", "root");
	put_fails(w, &m, ERR_PARSE);
	put_cert(w, "root", "root", 2);
	assert_string_equal(put(w, &m).primary_ca, "root");
	enrols(w, "d1", c);
	assert_refused(w, CERT_NO_GROUP);
	put_cert(w, "root", "root", 1);
	comes_by(w, "g", "d1", c);
	put_cert(w, "root", "root", 2); /* not said: stays */
	comes_by(w, "g", "d1", c);
	put_cert(w, "root", "another", 2);
	enrols(w, "d1", c);
	assert_refused(w, CERT_NO_GROUP);
	struct ipc_enrollment_put top = group_of("top", "top");
	c = leaf(w, "d1", "leaf-1", "another\ntop");
	put(w, &top);
	comes_by(w, "top", "d1", c);
	m.enabled = 0;
	put(w, &m); /* blocks what it names, proven or not */
	is_disabled(w, "d1", c);
	m.kind = IPC_KIND_INDIVIDUAL;
	put_fails(w, &m, ERR_UNSUPPORTED);
}

static void
possession_is_proven_by_the_code_of_the_moment(void **state)
{
	struct world *w = *state;
	struct store_ca_cert c = put_cert(w, "root", "root", 2), again;
	struct ipc_ca_cert_code ask = {.name = SPAN_LIT("ROOT")};
	struct ipc_ca_cert_verified done = {.name = SPAN_LIT("root"), .etag = c.etag};
	assert_fails(
	    ca_cert_verified(&w->d, &done, &again, &w->e), &w->e, CONFLICT); /* no code */
	assert_ok(ca_cert_code(&w->d, &ask, &c, &w->e), &w->e);
	assert_int_equal(strlen(c.code), CA_CERT_CODE);
	assert_int_equal(strspn(c.code, "0123456789ABCDEF"), CA_CERT_CODE);
	assert_ok(ca_cert_code(&w->d, &ask, &again, &w->e), &w->e);
	assert_string_not_equal(again.code, c.code);
	assert_int_equal(again.etag, c.etag + 1);
	done.etag = c.etag; /* compared with the code before */
	assert_fails(ca_cert_verified(&w->d, &done, &c, &w->e), &w->e, CONFLICT);
	done.etag = again.etag;
	done.if_match = SPAN_LIT("1");
	assert_fails(ca_cert_verified(&w->d, &done, &c, &w->e), &w->e, CONFLICT);
	done.if_match = SPAN_NONE;
	assert_ok(ca_cert_verified(&w->d, &done, &c, &w->e), &w->e);
	assert_true(c.verified);
	assert_string_equal(c.code, "");
	assert_int_equal(c.etag, again.etag + 1);
	assert_ok(ca_cert_get(&w->d, SPAN_NONE, SPAN_LIT("root"), &again, &w->e), &w->e);
	assert_true(again.verified);
}

static void
certificate_in_use_stays_and_has_one_name(void **state)
{
	struct world *w = *state;
	struct ipc_enrollment_put m = by_name("g", "root"), other = group_of("h", "root");
	struct ipc_ca_cert_delete del = {.name = SPAN_LIT("root")};
	struct ipc_ca_cert_put same = {
	    .name = SPAN_LIT("again"), .der = SPAN_LIT("root"), .verified = 2};
	struct store_ca_cert c;
	put_cert(w, "root", "root", 1);
	assert_fails(ca_cert_put(&w->d, &same, &c, &w->e), &w->e, EXISTS);
	put(w, &m);
	assert_fails(ca_cert_delete(&w->d, &del, &w->e), &w->e, GATE);
	put_fails(w, &other, ERR_EXISTS);
	m.id = SPAN_LIT("second");
	put_fails(w, &m, ERR_EXISTS);
	other.primary_cert = SPAN_LIT("its own");
	put(w, &other);
	same.name = SPAN_LIT("root"); /* would put one certificate into two groups */
	same.der = SPAN_LIT("its own");
	assert_fails(ca_cert_put(&w->d, &same, &c, &w->e), &w->e, EXISTS);
	struct ipc_enrollment_delete gone = {.kind = IPC_KIND_GROUP, .id = SPAN_LIT("g")};
	assert_ok(enrollment_delete(&w->d, &gone, &w->e), &w->e);
	del.if_match = SPAN_LIT("77");
	assert_fails(ca_cert_delete(&w->d, &del, &w->e), &w->e, CONFLICT);
	del.if_match = SPAN_NONE;
	assert_ok(ca_cert_delete(&w->d, &del, &w->e), &w->e);
	assert_fails(
	    ca_cert_get(&w->d, SPAN_NONE, SPAN_LIT("root"), &c, &w->e), &w->e, NOT_FOUND);
	same.name = SPAN_LIT("bad name");
	assert_fails(ca_cert_put(&w->d, &same, &c, &w->e), &w->e, PARSE);
}

static void
certificates_of_the_service_are_a_bounded_number(void **state)
{
	struct world *w = *state;
	char name[20];
	for (int i = 0; i < CA_CERT_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		put_cert(w, name, name, 2);
	}
	const struct ipc_ca_cert_put m = {
	    .name = SPAN_LIT("more"), .der = SPAN_LIT("more"), .verified = 2};
	struct store_ca_cert c;
	assert_fails(ca_cert_put(&w->d, &m, &c, &w->e), &w->e, LIMIT);
	put_cert(w, "c0", "c0", 2);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(individual_takes_a_self_signed_leaf_and_pins_it_at_the_hub),
	    IN_WORLD(individual_refuses_other_names_and_bad_leaves),
	    IN_WORLD(individual_may_name_another_device),
	    IN_WORLD(individual_binds_the_device_to_the_one_certificate_it_names),
	    IN_WORLD(renewal_of_a_bound_device_is_bound_and_registers_too),
	    IN_WORLD(renewal_leaves_what_an_operator_entered),
	    IN_WORLD(individuals_beyond_their_number_are_refused),
	    IN_WORLD(self_signed_leaf_leaves_keys_for_the_window_in_native_alone),
	    IN_WORLD(most_specific_enrollment_decides_and_a_disabled_one_blocks),
	    IN_WORLD(own_enrollment_is_not_passed_by_with_another_certificate),
	    IN_WORLD(operators_certificate_is_no_devices),
	    IN_WORLD(revoked_leaf_and_revoked_device_do_not_enrol_individually),
	    IN_WORLD(revoked_leaf_does_not_enrol_by_leaving_out_its_chain),
	    IN_WORLD(azure_wants_every_certificate_below_the_enrolled_one),
	    IN_WORLD(individual_keys_are_the_devices_own),
	    IN_WORLD(individual_keys_come_before_groups),
	    IN_WORLD(group_does_not_inherit_the_device_of_an_individual_enrollment),
	    IN_WORLD(certificate_stands_in_one_enrollment_only),
	    IN_WORLD(modes_create_or_update_and_etags_decide),
	    IN_WORLD(what_one_attestation_needs_no_other_keeps),
	    IN_WORLD(named_ca_counts_once_it_is_verified),
	    IN_WORLD(possession_is_proven_by_the_code_of_the_moment),
	    IN_WORLD(certificate_in_use_stays_and_has_one_name),
	    IN_WORLD(certificates_of_the_service_are_a_bounded_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
