/*
 * The EST client against a server of our own.
 */
#include "kit_est.h"

#include <stdio.h>
#include <string.h>

#include "agent/est_client.h"
#include "crypto/csr.h"
#include "crypto/tls.h"

/* A client of the kit's server, with a certificate of dev-17 (or none). */
struct device {
	struct key *key;
	struct cert_list chain;
	struct tls_client *tls;
	struct est_client *client;
};

static void
dial(struct device *d, int port, const struct tls_client_options *more, const char *user,
    const char *password)
{
	struct err e;
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	*d = (struct device){.key = key_generate(KEY_P256, &e)};
	kit_leaf(KIT_ID, d->key, &pem);
	assert_ok(cert_list_parse(buf_span(&pem), "kit", &d->chain, &e), &e);
	struct tls_client_options o = *more;
	o.roots_pem = kit_root_pem();
	if (!user) {
		o.chain_pem = buf_span(&pem);
		o.key = d->key;
	}
	d->tls = tls_client_new(&o, &e);
	assert_non_null(d->tls);
	assert_ok(tls_client_pin_host(d->tls, "127.0.0.1", &e), &e);
	struct est_client_opts eo = {.host = "127.0.0.1",
	    .port = port,
	    .label = "",
	    .timeout_ms = 10000,
	    .tls = d->tls,
	    .user = user,
	    .password = password};
	assert_ok(est_client_new(&eo, &d->client, &e), &e);
}

static void
hang_up(struct device *d)
{
	est_client_free(d->client);
	tls_client_free(d->tls);
	cert_list_done(&d->chain);
	key_free(d->key);
}

static const struct tls_client_options plain = {.now_ms = 0};

static int
enrol(struct device *d, struct renew_later *later, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	auto_(key_free) struct key *fresh = key_generate(KEY_P256, e);
	if (est_client_enrol(d->client, EST_SIMPLEREENROLL, fresh, d->chain.v[0]->subject,
		&der, later, e))
		return -1;
	auto_(cert_free) struct cert *c = cert_parse(buf_span(&der), e);
	assert_non_null(c);
	assert_true(key_is_spki(fresh, c->spki));
	assert_string_equal(c->cn, KIT_ID);
	return 0;
}

static void
a_certificate_is_had_by_the_old_one_bound_to_its_connection(void **state)
{
	for (int v12 = 0; v12 < 2; v12++) {
		struct err e;
		struct device d;
		struct renew_later later;
		struct kit_est_script s = {.bound = true, .v12 = v12};
		struct kit_est k = kit_est(&s);
		dial(&d, k.port, &plain, NULL, NULL);
		assert_ok(enrol(&d, &later, &e), &e);
		assert_true(k.seen->authenticated);
		assert_int_equal(k.seen->reenrols, 1);
		assert_int_equal(k.seen->bindings, 1);
		assert_string_equal(k.seen->cn, KIT_ID);
		hang_up(&d);
		kit_est_done(&k);
	}
}

static void
a_server_that_hangs_up_gets_the_new_connections_binding(void **state)
{
	struct err e;
	struct device d;
	struct renew_later later;
	struct kit_est_script s = {.bound = true, .close = true};
	struct kit_est k = kit_est(&s);
	dial(&d, k.port, &plain, NULL, NULL);
	/* csrattrs' connection is gone, and so is the refusal's */
	assert_fails(enrol(&d, &later, &e), &e, UNSUPPORTED);
	assert_int_equal(k.seen->reenrols, 2);
	hang_up(&d);
	kit_est_done(&k);
}

static void
the_ca_certificates_come_as_pem(void **state)
{
	struct err e;
	struct device d;
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	struct kit_est_script s = {0};
	struct kit_est k = kit_est(&s);
	dial(&d, k.port, &plain, NULL, NULL);
	assert_ok(est_client_cacerts(d.client, &pem, &e), &e);
	assert_ok(cert_list_parse(buf_span(&pem), "answer", &l, &e), &e);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0]->cn, "Test Root");
	hang_up(&d);
	kit_est_done(&k);
}

static void
an_approval_to_come_says_when_to_ask_again(void **state)
{
	struct err e;
	struct device d;
	struct renew_later later;
	struct kit_est_script s = {.pending = 1};
	struct kit_est k = kit_est(&s);
	dial(&d, k.port, &plain, NULL, NULL);
	assert_fails(enrol(&d, &later, &e), &e, UNAVAILABLE);
	assert_true(later.pending);
	assert_int_equal(later.retry_after_ms, 7000);
	assert_ok(enrol(&d, &later, &e), &e);
	assert_false(later.pending);
	hang_up(&d);
	kit_est_done(&k);
}

static void
refusals_carry_their_meaning_and_the_servers_words(void **state)
{
	static const struct {
		int status;
		enum err_code code;
	} rows[] = {{401, ERR_DENIED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
	    {400, ERR_UNSUPPORTED}, {429, ERR_BUSY}, {503, ERR_UNAVAILABLE}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e;
		struct device d;
		struct renew_later later;
		struct kit_est_script s = {.refuse = rows[i].status};
		struct kit_est k = kit_est(&s);
		dial(&d, k.port, &plain, NULL, NULL);
		assert_int_equal(enrol(&d, &later, &e), -1);
		assert_int_equal(e.code, rows[i].code);
		assert_non_null(strstr(e.text, "no certificate for you"));
		hang_up(&d);
		kit_est_done(&k);
	}
}

static void
a_token_enrols_without_a_certificate(void **state)
{
	struct err e;
	struct device d;
	struct renew_later later;
	auto_buf name = BUF_INIT(NAME_DER_MAX), der = BUF_INIT(CERT_MAX);
	/* dev-17:s3cret */
	struct kit_est_script s = {.basic = "Basic ZGV2LTE3OnMzY3JldA=="};
	struct kit_est k = kit_est(&s);
	assert_ok(name_write(KIT_ID, NULL, &name, &e), &e);
	dial(&d, k.port, &plain, KIT_ID, "wrong");
	assert_int_equal(est_client_enrol(d.client, EST_SIMPLEENROLL, d.key,
			     buf_span(&name), &der, &later, &e),
	    -1);
	assert_int_equal(e.code, ERR_DENIED);
	assert_null(strstr(e.text, "wrong"));
	hang_up(&d);
	dial(&d, k.port, &plain, KIT_ID, "s3cret");
	assert_ok(est_client_enrol(d.client, EST_SIMPLEENROLL, d.key, buf_span(&name),
		      &der, &later, &e),
	    &e);
	assert_false(k.seen->authenticated);
	hang_up(&d);
	kit_est_done(&k);
}

static void
a_check_in_tells_and_learns(void **state)
{
	struct err e;
	struct device d;
	struct renew_checkin got;
	struct kit_est_script s = {
	    .checkin = "{\"nowMs\":1790000000000,\"renewStartMs\":5,\"renewEndMs\":9,"
		       "\"pollSeconds\":60,\"reason\":\"rollover\",\"caTag\":\"ab12\"}"};
	struct kit_est k = kit_est(&s);
	struct renew_report r = {
	    .custody = "tpm2", .generation = "0042", .clock_ms = 77, .n_anchors = 1};
	dial(&d, k.port, &plain, NULL, NULL);
	assert_ok(est_client_checkin(d.client, &r, &got, &e), &e);
	assert_string_equal(k.seen->custody, "tpm2");
	assert_string_equal(k.seen->generation, "0042");
	assert_int_equal(k.seen->clock_ms, 77);
	assert_int_equal(k.seen->anchors, 1);
	assert_int_equal(got.now_ms, INT64_C(1790000000000));
	assert_int_equal(got.renew_start_ms, 5);
	assert_int_equal(got.poll_ms, 60000);
	assert_string_equal(got.ca_tag, "ab12");
	/* the server's certificate, as it was on this very connection */
	int64_t now = kit_now_ms();
	assert_true(got.leaf_not_before_ms <= now && got.leaf_not_after_ms > now);
	hang_up(&d);
	kit_est_done(&k);
}

static void
answers_that_are_none_are_refused(void **state)
{
	static const char *const answers[] = {"", "[]", "{\"nowMs\":\"soon\"}",
	    "{\"nowMs\":-1}", "{\"pollSeconds\":99999999999}",
	    "{\"caTag\":"
	    "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0011223344"
	    "5"
	    "566778899aabbccddeeff00112233445566778899aabbccddeeff0\"}"};
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct err e;
		struct device d;
		struct renew_checkin got;
		struct renew_report r = {.custody = "file", .generation = "0001"};
		struct kit_est_script s = {.checkin = answers[i]};
		struct kit_est k = kit_est(&s);
		dial(&d, k.port, &plain, NULL, NULL);
		assert_fails(est_client_checkin(d.client, &r, &got, &e), &e, PARSE);
		hang_up(&d);
		kit_est_done(&k);
	}
}

static int
check_in_at(
    const struct tls_client_options *o, const struct kit_est_script *s, struct err *e)
{
	struct device d;
	struct renew_checkin got;
	struct renew_report r = {.custody = "file", .generation = "0001"};
	struct kit_est k = kit_est(s);
	dial(&d, k.port, o, NULL, NULL);
	int rc = est_client_checkin(d.client, &r, &got, e);
	hang_up(&d);
	kit_est_done(&k);
	return rc;
}

#define DAY INT64_C(86400000)

/* Two days' certificates, made ten days from now. */
static void
servers_are_judged_by_the_time_that_is_handed_in(void **state)
{
	struct err e;
	int64_t t = kit_now_ms();
	struct kit_est_script s = {.at_ms = t + 10 * DAY, .life_s = 2 * 86400};
	static const struct {
		int day;
		bool is_floor, good;
	} rows[] = {{0, false, false}, {11, false, true}, {14, false, false},
	    /* only "not before": a later certificate is fine, one that ended is not */
	    {0, true, true}, {11, true, true}, {14, true, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_client_options o = {
		    .now_ms = t + rows[i].day * DAY, .is_floor = rows[i].is_floor};
		int rc = check_in_at(&o, &s, &e);
		if (rc != (rows[i].good ? 0 : -1))
			fail_msg("row %zu: %s", i, rc ? e.text : "let in");
		if (rc)
			assert_int_equal(e.code, ERR_CRYPTO);
	}
}

static void
a_foreign_server_is_refused_whatever_the_time_rule(void **state)
{
	struct err e;
	struct kit_est_script s = {0};
	struct kit_est k = kit_est(&s);
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf foreign = BUF_INIT(CERT_PEM_MAX);
	kit_foreign_root(key, &foreign);
	for (int is_floor = 0; is_floor < 2; is_floor++) {
		struct tls_client_options o = {.roots_pem = buf_span(&foreign),
		    .now_ms = kit_now_ms(),
		    .is_floor = is_floor};
		auto_(tls_client_free) struct tls_client *tls = tls_client_new(&o, &e);
		assert_fails(
		    est_client_greet("127.0.0.1", k.port, tls, 5000, &e), &e, CRYPTO);
	}
	struct tls_client_options good = {.roots_pem = kit_root_pem()};
	auto_(tls_client_free) struct tls_client *tls = tls_client_new(&good, &e);
	assert_ok(est_client_greet("127.0.0.1", k.port, tls, 5000, &e), &e);
	assert_ok(tls_client_pin_host(tls, "127.0.0.2", &e), &e);
	assert_fails(est_client_greet("127.0.0.1", k.port, tls, 5000, &e), &e, CRYPTO);
	kit_est_done(&k);
	assert_fails(
	    est_client_greet("127.0.0.1", k.port, tls, 5000, &e), &e, UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_certificate_is_had_by_the_old_one_bound_to_its_connection),
	    cmocka_unit_test(a_server_that_hangs_up_gets_the_new_connections_binding),
	    cmocka_unit_test(the_ca_certificates_come_as_pem),
	    cmocka_unit_test(an_approval_to_come_says_when_to_ask_again),
	    cmocka_unit_test(refusals_carry_their_meaning_and_the_servers_words),
	    cmocka_unit_test(a_token_enrols_without_a_certificate),
	    cmocka_unit_test(a_check_in_tells_and_learns),
	    cmocka_unit_test(answers_that_are_none_are_refused),
	    cmocka_unit_test(servers_are_judged_by_the_time_that_is_handed_in),
	    cmocka_unit_test(a_foreign_server_is_refused_whatever_the_time_rule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
