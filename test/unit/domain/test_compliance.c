/*
 * Compliance: rows, what they refuse while they are enforced, what they find.
 */
#include "../crypto/forge.h"
#include "world.h"

#include <stdlib.h>

#include "crypto/chain.h"
#include "domain/compliance_report.h"
#include "domain/hub/device.h"
#include "domain/pki/device_cert.h"
#include "domain/pki/est.h"
#include "domain/access/est_guard.h"
#include "domain/pki/est_token.h"
#include "domain/pki/issuer.h"
#include "domain/pki/leaf.h"
#include "domain/pki/renew.h"
#include "domain/hub/session.h"

#define DAY   WORLD_DAY_MS
#define DAY_S INT64_C(86400)
#define CRL                                                                              \
	.nid_name = "crlDistributionPoints", .nid_value = "URI:http://ca.example/1.crl"

static struct issuer_book book;
static struct est_guard guard;

/* ---- helpers --------------------------------------------------------------------------
 */

static struct span
forged(struct world *w, const struct forge *how)
{
	auto_party p = forge(how);
	return arena_span(w->arena, p.cert->der);
}

static struct span
public_key(struct world *w, const struct forge *how)
{
	auto_party p = forge(how);
	return arena_span(w->arena, p.cert->spki);
}

/* The active device CA: a P-256 one in a file, unless said otherwise. */
static void
put_ca(struct world *w, const struct forge *how, const char *custody)
{
	const struct store_issuer i = {.sha256 = WORLD_CA,
	    .name = "device-ca",
	    .purpose = "device",
	    .state = "active",
	    .custody = custody,
	    .cert = forged(w, how)};
	assert_ok(store_issuer_put(w->d.store, &i, &w->e), &w->e);
	assert_ok(issuer_load(&w->d, &book, &w->e), &w->e);
	w->d.issuers = &book;
}

static int
setup(void **state)
{
	if (world_setup(state))
		return -1;
	struct world *w = *state;
	est_guard_init(&guard);
	w->d.est = &guard;
	w->cfg.pki.public_url = "http://pki.example";
	put_ca(w, &(struct forge){.cn = "device-ca"}, "file");
	return 0;
}

static int
teardown(void **state)
{
	est_guard_done(&guard);
	return world_teardown(state);
}

static void
enforce(struct world *w, enum config_compliance policy)
{
	w->cfg.pki.compliance = policy;
}

static void
want_custody(struct world *w, const char *word)
{
	const char **v = arena_alloc(w->arena, sizeof(*v));
	*v = word;
	w->cfg.pki.custody = (struct conf_list){.v = v, .n = 1};
}

static void
assert_refused(struct world *w, enum refusal_code want, const char *row)
{
	if (w->no.code != want)
		fail_msg("%s (%s), wanted %s", refusal_row(w->no.code)->name,
		    w->no.detail, refusal_row(want)->name);
	if (!strstr(w->no.detail, row))
		fail_msg("'%s' does not name %s", w->no.detail, row);
}

static void
assert_granted(struct world *w)
{
	if (w->no.code != REFUSAL_NONE)
		fail_msg("%s: %s", refusal_row(w->no.code)->name, w->no.detail);
}

/* What is right for both policies. */
static struct ipc_cred
good_cred(struct world *w, const char *id, const char *serial)
{
	struct ipc_cred c = world_cred(w, id, serial);
	c.key_kind = TRAITS_EC;
	c.key_bits = 384;
	c.hash_bits = 384;
	c.revocable = 1;
	return c;
}

static void
thumbprint_device(struct world *w, const char *id, const struct ipc_cred *cred)
{
	struct store_device dev = device_blank(&w->d, id);
	char thumb[LEAF_THUMB];
	leaf_thumb(cred, thumb);
	dev.auth = STORE_AUTH_SELF_SIGNED;
	dev.primary_thumb = arena_str(w->arena, span_str(thumb));
	assert_ok(store_device_add(w->d.store, &dev, &w->e), &w->e);
}

static void
connect_as(struct world *w, const char *id, const struct ipc_cred *cred)
{
	const struct ipc_hub_open m = {
	    .cred = *cred, .host = SPAN_LIT("127.0.0.1"), .device_id = span_str(id)};
	struct session s;
	int64_t close_ms;
	assert_ok(session_judge(&w->d, &m, &s, &close_ms, &w->no, &w->e), &w->e);
}

/* What the device told of the key of the credential that world_cred makes of serial 01,
 * which is what it uses. */
static void
report_custody(struct world *w, const char *id, const char *custody)
{
	char key[65];
	hex_write(world_cred(w, id, "01").key_sha256, key);
	const struct store_device_cert c = {.device_id = id,
	    .sha256 = "aa",
	    .issuer = WORLD_CA,
	    .serial = "ff",
	    .key_sha256 = key,
	    .peer = "",
	    .custody = custody,
	    .generation = "",
	    .agent = "",
	    .report_ms = WORLD_NOW_MS,
	    .report_key = key};
	assert_ok(store_device_cert_put(w->d.store, &c, &w->e), &w->e);
}

static bool
ask_issue(struct world *w, const struct compliance_request *rq)
{
	bool probation = false;
	w->no = (struct refusal){0};
	assert_ok(compliance_check_issue(&w->d, rq, &probation, &w->no, &w->e), &w->e);
	return probation;
}

/* ---- the table ------------------------------------------------------------------------
 */

static void
every_row_names_its_control_and_asks_something(void **state)
{
	(void)state;
	for (int i = 0; i < COMPLIANCE_N; i++) {
		const struct compliance_row *r = compliance_row((enum compliance_id)i);
		assert_non_null(strstr(r->control, "NIST SP 800-53 "));
		assert_true(r->words[0] != '\0');
		assert_true(r->limit[CONFIG_COMPLIANCE_IL5].kind != COMPLIANCE_OFF);
		assert_int_equal(r->limit[CONFIG_COMPLIANCE_NONE].kind, COMPLIANCE_OFF);
	}
}

/* What passes IL5 passes FedRAMP High. */
static void
no_row_is_laxer_for_il5(void **state)
{
	(void)state;
	for (int i = 0; i < COMPLIANCE_N; i++) {
		const struct compliance_row *r = compliance_row((enum compliance_id)i);
		const struct compliance_limit
		    *high = &r->limit[CONFIG_COMPLIANCE_FEDRAMP_HIGH],
		    *il5 = &r->limit[CONFIG_COMPLIANCE_IL5];
		if (high->kind == COMPLIANCE_OFF)
			continue;
		assert_int_equal(high->kind, il5->kind);
		assert_true(high->rsa <= il5->rsa);
		if (il5->kind == COMPLIANCE_DAYS)
			assert_true(il5->n <= high->n);
		else
			assert_true(il5->n >= high->n);
	}
}

static void
policies_have_names(void **state)
{
	struct err e;
	enum config_compliance p;
	(void)state;
	assert_ok(compliance_policy_parse(SPAN_LIT("il5"), &p, &e), &e);
	assert_int_equal(p, CONFIG_COMPLIANCE_IL5);
	assert_ok(compliance_policy_parse(SPAN_LIT("fedramp-high"), &p, &e), &e);
	assert_int_equal(p, CONFIG_COMPLIANCE_FEDRAMP_HIGH);
	assert_fails(compliance_policy_parse(SPAN_LIT("none"), &p, &e), &e, PARSE);
	assert_fails(compliance_policy_parse(SPAN_LIT(""), &p, &e), &e, PARSE);
}

static void
the_configuration_takes_every_custody_and_nothing_else(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < KEY_CUSTODY_N; i++) {
		want_custody(w, key_custody_name((enum key_custody)i));
		assert_ok(config_check(&w->cfg, &w->e), &w->e);
	}
	want_custody(w, "hsm");
	assert_fails(config_check(&w->cfg, &w->e), &w->e, PARSE);
}

/* ---- at the hub -----------------------------------------------------------------------
 */

static void
a_self_signed_device_is_refused_under_a_policy_alone(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = good_cred(w, "dev-1", "01");
	c.verdict = CHAIN_UNKNOWN_ISSUER;
	c.chain = SPAN_NONE;
	thumbprint_device(w, "dev-1", &c);
	for (int p = CONFIG_PROFILE_NATIVE; p <= CONFIG_PROFILE_AZURE; p++) {
		w->cfg.server.profile = p;
		enforce(w, CONFIG_COMPLIANCE_NONE);
		connect_as(w, "dev-1", &c);
		assert_granted(w);
		enforce(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH);
		connect_as(w, "dev-1", &c);
		assert_refused(
		    w, REFUSAL_COMPLIANCE, "self-signed (NIST SP 800-53 SC-17)");
	}
}

/* Azure's DPS writes the thumbprint of a certificate that a CA issued. */
static void
a_thumbprint_of_a_certificate_with_a_chain_passes(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = good_cred(w, "dev-1", "01");
	thumbprint_device(w, "dev-1", &c);
	enforce(w, CONFIG_COMPLIANCE_IL5);
	connect_as(w, "dev-1", &c);
	assert_granted(w);
}

static void
a_leaf_is_held_to_its_rows(void **state)
{
	struct world *w = *state;
	static const struct {
		enum config_compliance policy;
		uint8_t kind;
		uint32_t bits, hash;
		uint8_t revocable;
		int64_t life;
		const char *row; /* NULL: passes */
	} rows[] = {
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_EC, 256, 256, 1, 365 * DAY, NULL},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_RSA, 2048, 256, 1, 365 * DAY, NULL},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_EC, 256, 256, 1, 367 * DAY, NULL},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_EC, 256, 256, 1, 367 * DAY + 1,
		"leaf-life"},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_RSA, 2047, 256, 1, DAY, "leaf-key"},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_OTHER, 0, 256, 1, DAY, "leaf-key"},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_UNKNOWN, 0, 256, 1, DAY, "leaf-key"},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, 99, 4096, 256, 1, DAY, "leaf-key"},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_EC, 256, 0, 1, DAY, "leaf-signature"},
	    {CONFIG_COMPLIANCE_FEDRAMP_HIGH, TRAITS_EC, 256, 256, 0, DAY,
		"leaf-revocation"},
	    {CONFIG_COMPLIANCE_IL5, TRAITS_EC, 384, 384, 1, 90 * DAY, NULL},
	    {CONFIG_COMPLIANCE_IL5, TRAITS_RSA, 3072, 384, 1, 90 * DAY, NULL},
	    {CONFIG_COMPLIANCE_IL5, TRAITS_EC, 256, 384, 1, 90 * DAY, "leaf-key"},
	    {CONFIG_COMPLIANCE_IL5, TRAITS_RSA, 2048, 384, 1, 90 * DAY, "leaf-key"},
	    {CONFIG_COMPLIANCE_IL5, TRAITS_EC, 384, 256, 1, 90 * DAY, "leaf-signature"},
	    {CONFIG_COMPLIANCE_IL5, TRAITS_EC, 384, 384, 1, 100 * DAY, "leaf-life"},
	    {CONFIG_COMPLIANCE_NONE, TRAITS_UNKNOWN, 0, 0, 0, 9999 * DAY, NULL},
	};
	world_device(w, "dev-1");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ipc_cred c = world_cred(w, "dev-1", "01");
		c.key_kind = rows[i].kind;
		c.key_bits = rows[i].bits;
		c.hash_bits = rows[i].hash;
		c.revocable = rows[i].revocable;
		c.not_after_ms = c.not_before_ms + rows[i].life;
		enforce(w, rows[i].policy);
		connect_as(w, "dev-1", &c);
		if (rows[i].row)
			assert_refused(w, REFUSAL_COMPLIANCE, rows[i].row);
		else
			assert_granted(w);
	}
}

static void
a_device_that_told_of_a_file_is_refused_where_hardware_is_asked(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = good_cred(w, "dev-1", "01");
	world_device(w, "dev-1");
	enforce(w, CONFIG_COMPLIANCE_IL5);
	connect_as(w, "dev-1", &c); /* nothing told yet */
	assert_granted(w);
	report_custody(w, "dev-1", "file");
	connect_as(w, "dev-1", &c);
	assert_refused(w, REFUSAL_CUSTODY, "key-custody (NIST SP 800-53 SC-28(3))");
	enforce(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH);
	connect_as(w, "dev-1", &c);
	assert_granted(w);
	enforce(w, CONFIG_COMPLIANCE_IL5);
	report_custody(w, "dev-1", "tpm2");
	connect_as(w, "dev-1", &c);
	assert_granted(w);
	want_custody(w, "pkcs11");
	connect_as(w, "dev-1", &c);
	assert_refused(w, REFUSAL_CUSTODY, "pki.custody");
	c = good_cred(w, "dev-1", "02"); /* another key, not told of yet */
	connect_as(w, "dev-1", &c);
	assert_granted(w);
}

/* ---- at issuance ----------------------------------------------------------------------
 */

static void
what_is_asked_for_is_held_to_its_rows_before_it_is_signed(void **state)
{
	struct world *w = *state;
	struct span p256 = public_key(w, &(struct forge){.cn = "d"});
	struct span p384 = public_key(w, &(struct forge){.cn = "d", .curve = "P-384"});
	struct compliance_request rq = {
	    .device_id = "dev-1", .spki = p256, .life_ms = 90 * DAY, .vouched = true};
	enforce(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH);
	(void)ask_issue(w, &rq);
	assert_granted(w);
	rq.life_ms = 400 * DAY;
	(void)ask_issue(w, &rq);
	assert_refused(w, REFUSAL_COMPLIANCE, "leaf-life (NIST SP 800-53 SC-12)");
	rq.life_ms = 90 * DAY;
	w->cfg.pki.public_url = "";
	w->cfg.server.http_port = -1;
	(void)ask_issue(w, &rq);
	assert_refused(w, REFUSAL_COMPLIANCE, "leaf-revocation");
	w->cfg.pki.public_url = "http://pki.example";
	enforce(w, CONFIG_COMPLIANCE_IL5);
	(void)ask_issue(w, &rq);
	assert_refused(w, REFUSAL_COMPLIANCE, "leaf-key");
	rq.spki = p384;
	(void)ask_issue(w, &rq); /* the CA's key is P-256 */
	assert_refused(w, REFUSAL_COMPLIANCE, "leaf-signature");
	put_ca(w, &(struct forge){.cn = "device-ca", .curve = "P-384"}, "pkcs11");
	(void)ask_issue(w, &rq);
	assert_granted(w);
	enforce(w, CONFIG_COMPLIANCE_NONE);
	rq.spki = SPAN_LIT("key");
	(void)ask_issue(w, &rq);
	assert_granted(w);
}

static void
an_unknown_custody_stops_renewals_not_first_certificates(void **state)
{
	struct world *w = *state;
	struct compliance_request renewal = {.device_id = "dev-1",
	    .life_ms = DAY,
	    .key_sha256 = world_cred(w, "dev-1", "01").key_sha256};
	struct compliance_request token = renewal, by_operator = renewal, made = renewal;
	token.fresh = true;
	token.key_sha256 = SPAN_NONE;
	by_operator.fresh = by_operator.vouched = true;
	made.made_here = made.fresh = made.vouched = true;
	want_custody(w, "tpm2");
	assert_false(ask_issue(w, &renewal));
	assert_refused(w, REFUSAL_CUSTODY, "check in");
	assert_true(ask_issue(w, &token));
	assert_granted(w);
	assert_false(ask_issue(w, &by_operator));
	assert_granted(w);
	assert_false(ask_issue(w, &made));
	assert_refused(w, REFUSAL_CUSTODY, "file");
	report_custody(w, "dev-1", "file");
	(void)ask_issue(w, &renewal);
	assert_refused(w, REFUSAL_CUSTODY, "file");
	assert_true(ask_issue(w, &token)); /* the report told of the key before */
	assert_granted(w);
	report_custody(w, "dev-1", "tpm2");
	assert_false(ask_issue(w, &renewal));
	assert_granted(w);
	renewal.key_sha256 = world_cred(w, "dev-1", "02").key_sha256;
	(void)ask_issue(w, &renewal);
	assert_refused(w, REFUSAL_CUSTODY, "check in");
}

static void
where_files_will_do_nobody_needs_to_report(void **state)
{
	struct world *w = *state;
	struct compliance_request renewal = {.device_id = "dev-1",
	    .life_ms = DAY,
	    .key_sha256 = world_cred(w, "dev-1", "01").key_sha256};
	want_custody(w, "file");
	assert_false(ask_issue(w, &renewal));
	assert_granted(w);
	report_custody(w, "dev-1", "tpm2");
	(void)ask_issue(w, &renewal);
	assert_refused(w, REFUSAL_CUSTODY, "tpm2");
}

static void
a_certificate_on_probation_is_short_lived(void **state)
{
	struct world *w = *state;
	const struct ipc_token_put put = {.device_id = SPAN_LIT("dev-1"), .create = 1};
	uint8_t sha[DIGEST_SHA256];
	struct store_token t;
	const char *secret;
	assert_ok(est_token_put(&w->d, &put, "test", &t, &secret, &w->e), &w->e);
	digest_sha256(span_str(secret), sha);
	const struct ipc_est_enroll m = {.peer = {.address = SPAN_LIT("192.0.2.1:5")},
	    .cred = {.kind = CRED_BASIC,
		.basic_user = SPAN_LIT("dev-1"),
		.basic_sha256 = span_of(sha, sizeof(sha))},
	    .csr_cn = SPAN_LIT("dev-1"),
	    .spki = SPAN_LIT("key")};
	struct est_grant g;
	want_custody(w, "tpm2");
	assert_ok(est_enroll(&w->d, &m, &g, &w->no, &w->e), &w->e);
	assert_granted(w);
	assert_int_equal(g.outcome, EST_ISSUE);
	assert_int_equal(g.issue.life_ms, w->cfg.est.quarantine_life_ms);
	est_done(&w->d, &g.promise);
	w->cfg.pki.custody.n = 0;
	assert_ok(est_enroll(&w->d, &m, &g, &w->no, &w->e), &w->e);
	assert_int_equal(g.issue.life_ms, w->cfg.pki.leaf_life_ms);
	est_done(&w->d, &g.promise);
}

static void
a_check_in_with_the_wrong_custody_is_refused_and_remembered(void **state)
{
	struct world *w = *state;
	struct ipc_checkin m = {
	    .cred = good_cred(w, "dev-1", "01"), .custody = SPAN_LIT("file")};
	struct ipc_renewal window;
	struct store_device_cert c;
	world_device(w, "dev-1");
	want_custody(w, "tpm2");
	assert_ok(renew_checkin(&w->d, &m, &window, &w->no, &w->e), &w->e);
	assert_refused(w, REFUSAL_CUSTODY, "pki.custody");
	assert_ok(store_device_cert_get(w->d.store, "dev-1", w->arena, &c, &w->e), &w->e);
	assert_string_equal(c.custody, "file");
	assert_int_equal(c.traits.key_bits, 384);
	m.custody = SPAN_LIT("tpm2");
	assert_ok(renew_checkin(&w->d, &m, &window, &w->no, &w->e), &w->e);
	assert_granted(w);
	m.custody = SPAN_NONE; /* an agent that does not tell */
	assert_ok(renew_checkin(&w->d, &m, &window, &w->no, &w->e), &w->e);
	assert_granted(w);
}

/* ---- the report -----------------------------------------------------------------------
 */

struct seen {
	struct buf text; /* "row name\n" each */
	int n;
};

static int
on_finding(void *ctx, const struct compliance_finding *f, struct err *e)
{
	struct seen *s = ctx;
	(void)e;
	assert_true(f->text[0] != '\0');
	buf_printf(&s->text, "%s %s\n", compliance_row(f->row)->name, f->name);
	s->n++;
	return 0;
}

static void
find_all(struct world *w, enum config_compliance policy, const char *after, int64_t limit,
    struct seen *s)
{
	const struct compliance_page p = {policy, after, limit};
	const char *next;
	int64_t n;
	*s = (struct seen){.text = BUF_INIT(1 << 20)};
	assert_ok(
	    compliance_report_page(&w->d, &p, on_finding, s, &next, &n, &w->e), &w->e);
}

/* Devices only: the hub and the CAs of a fresh home have findings of their own. */
static void
assert_found(struct world *w, enum config_compliance policy, const char *want)
{
	struct seen s;
	find_all(w, policy, " ", 100, &s); /* before the first ID there can be */
	assert_string_equal(buf_text(&s.text), want);
	buf_done(&s.text);
}

static void
put_cert(struct world *w, const char *id, const char *serial, const struct forge *how,
    int64_t superseded_ms)
{
	char sha[65];
	uint8_t raw[DIGEST_SHA256];
	digest_sha256(span_str(serial), raw);
	hex_write(span_of(raw, sizeof(raw)), sha);
	const struct store_cert c = {.serial = serial,
	    .issuer = WORLD_CA,
	    .profile = "device",
	    .subject = id,
	    .requester = "test",
	    .sha256 = sha,
	    .not_before_ms = WORLD_NOW_MS - DAY,
	    .not_after_ms = WORLD_NOW_MS + 30 * DAY,
	    .issued_ms = WORLD_NOW_MS - DAY,
	    .der = forged(w, how),
	    .key_sha256 = "",
	    .superseded_ms = superseded_ms,
	    .crl_shard = -1};
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
}

static const struct forge fine = {
    .cn = "d", .basic = "CA:FALSE", .curve = "P-384", .hash = "SHA384", CRL};
static const struct forge weak = {.cn = "d", .basic = "CA:FALSE", CRL};

static void
a_good_device_has_no_findings(void **state)
{
	struct world *w = *state;
	world_device(w, "dev-1");
	put_cert(w, "dev-1", "01", &fine, 0);
	report_custody(w, "dev-1", "tpm2");
	assert_found(w, CONFIG_COMPLIANCE_IL5, "");
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "");
}

static void
each_weak_certificate_that_is_still_good_is_found(void **state)
{
	struct world *w = *state;
	world_device(w, "dev-1");
	put_cert(w, "dev-1", "01", &weak, 0);
	put_cert(w, "dev-1", "02", &fine, 0);
	put_cert(w, "dev-1", "03", &weak, 0);
	report_custody(w, "dev-1", "tpm2");
	assert_ok(
	    store_cert_revoke(w->d.store, WORLD_CA, "03", WORLD_NOW_MS, 1, &w->e), &w->e);
	assert_found(w, CONFIG_COMPLIANCE_IL5, "leaf-key dev-1\nleaf-signature dev-1\n");
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "");
}

static void
a_certificate_that_was_left_behind_is_found_when_it_stays(void **state)
{
	struct world *w = *state;
	world_device(w, "dev-1");
	report_custody(w, "dev-1", "tpm2");
	put_cert(w, "dev-1", "01", &fine, WORLD_NOW_MS - 20 * DAY);
	assert_found(w, CONFIG_COMPLIANCE_IL5, "superseded dev-1\n");
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "");
}

static void
custody_is_found_where_hardware_is_asked(void **state)
{
	struct world *w = *state;
	world_device(w, "dev-1");
	assert_found(w, CONFIG_COMPLIANCE_IL5, "custody-unknown dev-1\n");
	report_custody(w, "dev-1", "file");
	assert_found(w, CONFIG_COMPLIANCE_IL5, "key-custody dev-1\n");
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "");
	struct store_device_cert c;
	assert_ok(store_device_cert_get(w->d.store, "dev-1", w->arena, &c, &w->e), &w->e);
	c.key_sha256 = "beef"; /* it came with another key since */
	assert_ok(store_device_cert_put(w->d.store, &c, &w->e), &w->e);
	assert_found(w, CONFIG_COMPLIANCE_IL5, "custody-unknown dev-1\n");
}

static void
thumbprints_and_shared_keys_are_listed(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = good_cred(w, "b", "01");
	struct device_cert_seen seen;
	struct store_device sas = device_blank(&w->d, "a");
	sas.auth = STORE_AUTH_SAS;
	assert_ok(store_device_add(w->d.store, &sas, &w->e), &w->e);
	thumbprint_device(w, "b", &c);
	assert_found(
	    w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "sas-identity a\nself-signed b\n");
	c.chain = SPAN_NONE;
	assert_ok(device_cert_note(&w->d, &c, "b", SPAN_LIT("192.0.2.1:5"), SPAN_LIT(""),
		      &seen, &w->e),
	    &w->e);
	assert_found(
	    w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "sas-identity a\nself-signed b\n");
	c = good_cred(w, "b", "01");
	assert_ok(device_cert_note(&w->d, &c, "b", SPAN_LIT("192.0.2.1:5"), SPAN_LIT(""),
		      &seen, &w->e),
	    &w->e);
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "sas-identity a\n");
	struct store_device b = world_get_device(w, "b");
	b.sas_window = true;
	assert_ok(store_device_put(w->d.store, &b, &w->e), &w->e);
	assert_found(
	    w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "sas-identity a\nsas-identity b\n");
	sas.enabled = b.enabled = false;
	assert_ok(store_device_put(w->d.store, &sas, &w->e), &w->e);
	assert_ok(store_device_put(w->d.store, &b, &w->e), &w->e);
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "");
}

/* Nothing is kept of it but what its last connection showed. */
static void
a_certificate_of_another_ca_is_judged_by_what_was_seen(void **state)
{
	struct world *w = *state;
	struct ipc_cred c = good_cred(w, "dev-1", "01");
	struct device_cert_seen seen;
	c.key_bits = 256;
	c.revocable = 0;
	world_device(w, "dev-1");
	assert_ok(device_cert_note(&w->d, &c, "dev-1", SPAN_LIT("192.0.2.1:5"),
		      SPAN_LIT(""), &seen, &w->e),
	    &w->e);
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "leaf-revocation dev-1\n");
	assert_found(w, CONFIG_COMPLIANCE_IL5,
	    "leaf-key dev-1\nleaf-revocation dev-1\ncustody-unknown dev-1\n");
	w->clock.skew_ms += 31 * DAY; /* it has ended */
	assert_found(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "");
}

static void
the_hub_and_its_cas_come_first(void **state)
{
	struct world *w = *state;
	struct seen s;
	w->cfg.est.serverkeygen = true;
	find_all(w, CONFIG_COMPLIANCE_IL5, "", 10, &s);
	assert_string_equal(buf_text(&s.text),
	    "device-sas \ndevice-sas \nlocal-auth \nexpired-renewal \nserver-keygen \n"
	    "ca-key device-ca\nca-signature device-ca\nca-custody device-ca\n");
	buf_done(&s.text);
	const struct store_hub sealed = {.disable_device_sas = true,
	    .disable_module_sas = true,
	    .disable_local_auth = true};
	assert_ok(store_hub_put(w->d.store, &sealed, &w->e), &w->e);
	w->cfg.est.expired = CONFIG_EXPIRED_REFUSE;
	w->cfg.est.serverkeygen = false;
	put_ca(w,
	    &(struct forge){.cn = "device-ca",
		.curve = "P-384",
		.hash = "SHA384",
		.from_s = NOW_S,
		.to_s = NOW_S + 1200 * DAY_S},
	    "pkcs11");
	find_all(w, CONFIG_COMPLIANCE_IL5, "", 10, &s);
	assert_string_equal(buf_text(&s.text), "ca-life device-ca\n");
	buf_done(&s.text);
	find_all(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "", 10, &s);
	assert_int_equal(s.n, 0);
	buf_done(&s.text);
}

static void
a_groups_ca_is_looked_at_unless_it_is_ours(void **state)
{
	struct world *w = *state;
	struct seen s;
	const struct store_enrollment g = {.id = "g",
	    .attestation = STORE_ATT_X509,
	    .enabled = true,
	    .allocation = "hashed",
	    .hubs = "",
	    .primary_cert = SPAN_LIT("ours"),
	    .primary_cert_sha256 = WORLD_CA,
	    .secondary_cert = forged(w, &(struct forge){.cn = "x", .rsa_bits = 2048}),
	    .secondary_cert_sha256 = "beef",
	    .tags = SPAN_LIT("{}"),
	    .desired = SPAN_LIT("{}")};
	assert_ok(store_enrollment_add(w->d.store, &g, &w->e), &w->e);
	find_all(w, CONFIG_COMPLIANCE_FEDRAMP_HIGH, "", 10, &s);
	assert_non_null(strstr(buf_text(&s.text), "ca-key group:g\n"));
	assert_null(strstr(buf_text(&s.text), "ca-custody group:g"));
	buf_done(&s.text);
}

static void
pages_meet(void **state)
{
	struct world *w = *state;
	struct seen all, some;
	auto_buf joined = BUF_INIT(1 << 20);
	const char *next = "";
	int64_t n, total = 0;
	for (char id = 'a'; id < 'h'; id++)
		world_device(w, arena_printf(w->arena, "%c", id));
	find_all(w, CONFIG_COMPLIANCE_IL5, "", 100, &all);
	do {
		const struct compliance_page p = {CONFIG_COMPLIANCE_IL5, next, 3};
		some = (struct seen){.text = BUF_INIT(1 << 20)};
		assert_ok(compliance_report_page(
			      &w->d, &p, on_finding, &some, &next, &n, &w->e),
		    &w->e);
		assert_true(n <= 3);
		total += n;
		buf_put_span(&joined, buf_span(&some.text));
		buf_done(&some.text);
	} while (next[0]);
	assert_int_equal(total, 7);
	assert_string_equal(buf_text(&joined), buf_text(&all.text));
	buf_done(&all.text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row_names_its_control_and_asks_something),
	    cmocka_unit_test(no_row_is_laxer_for_il5),
	    cmocka_unit_test(policies_have_names),
	    T(the_configuration_takes_every_custody_and_nothing_else),
	    T(a_self_signed_device_is_refused_under_a_policy_alone),
	    T(a_thumbprint_of_a_certificate_with_a_chain_passes),
	    T(a_leaf_is_held_to_its_rows),
	    T(a_device_that_told_of_a_file_is_refused_where_hardware_is_asked),
	    T(what_is_asked_for_is_held_to_its_rows_before_it_is_signed),
	    T(an_unknown_custody_stops_renewals_not_first_certificates),
	    T(where_files_will_do_nobody_needs_to_report),
	    T(a_certificate_on_probation_is_short_lived),
	    T(a_check_in_with_the_wrong_custody_is_refused_and_remembered),
	    T(a_good_device_has_no_findings),
	    T(each_weak_certificate_that_is_still_good_is_found),
	    T(a_certificate_that_was_left_behind_is_found_when_it_stays),
	    T(custody_is_found_where_hardware_is_asked),
	    T(thumbprints_and_shared_keys_are_listed),
	    T(a_certificate_of_another_ca_is_judged_by_what_was_seen),
	    T(the_hub_and_its_cas_come_first),
	    T(a_groups_ca_is_looked_at_unless_it_is_ours),
	    T(pages_meet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
