/*
 * EST at the edge: bodies as clients send them, pieces of answers, and what the core is
 * asked.
 */
#include "rig.h"

#include <stdio.h>

#include "base/base64.h"
#include "codec/der.h"
#include "codec/pem.h"
#include "crypto/csr.h"
#include "crypto/key.h"
#include "proto/est/est_body.h"
#include "proto/est/est_link.h"
#include "proto/est/est_parts.h"

/* ---- bodies ---------------------------------------------------------------------------
 */

#define DER_SPAN SPAN_LIT("\x30\x82\x01\x02\xfb\xff\xbe")

static int
read_body(struct span body, const char *type, const char *encoding, char odd[400])
{
	struct err e = {0};
	auto_buf der = BUF_INIT(CSR_MAX), said = BUF_INIT(EST_BODY_ODD_MAX);
	const struct est_body_in in = {body, type, encoding};
	int rc = est_body_read(&in, &der, &said, &e);
	snprintf(odd, 400, "%s", rc ? e.text : buf_text(&said));
	if (rc)
		assert_int_equal(e.code, ERR_PARSE);
	else
		assert_true(span_eq(buf_span(&der), DER_SPAN));
	return rc;
}

#define TYPE "application/pkcs10"

static void
every_form_of_a_request_is_read_and_named(void **state)
{
	static const struct {
		struct span body;
		const char *type, *encoding, *odd;
	} rows[] = {
	    {SPAN_LIT("MIIBAvv/vg=="), TYPE, NULL, ""},
	    {SPAN_LIT("MIIB\r\nAvv/\r\nvg==\r\n"), TYPE, "base64", ""},
	    {SPAN_LIT("MIIBAvv/vg=="), "Application/PKCS10 ; x=y", "BASE64", ""},
	    {SPAN_LIT("MIIBAvv_vg=="), TYPE, NULL, "base64url"},
	    {SPAN_LIT("MIIBAvv/vg"), TYPE, NULL, "base64 without padding"},
	    {SPAN_LIT("MIIBAvv_vg"), TYPE, NULL, "base64url; base64 without padding"},
	    {SPAN_LIT("MIIBAvv/vg==\0\0"), TYPE, NULL, "NUL at the end"},
	    {SPAN_LIT("\xef\xbb\xbfMIIBAvv/vg=="), TYPE, NULL, "byte order mark"},
	    {DER_SPAN, TYPE, NULL, "DER without base64"},
	    {DER_SPAN, TYPE, "binary", "DER without base64"},
	    {SPAN_LIT("-----BEGIN CERTIFICATE REQUEST-----\nMIIBAvv/vg==\n-----END "
		      "CERTIFICATE REQUEST-----\n"),
		TYPE, NULL, "PEM armour"},
	    {SPAN_LIT("Certificate Request:\n-----BEGIN NEW CERTIFICATE REQUEST-----\r\n"
		      "MIIBAvv/vg==\r\n-----END NEW CERTIFICATE REQUEST-----"),
		TYPE, NULL, "PEM armour"},
	    {SPAN_LIT("MIIBAvv/vg=="), NULL, NULL, "no Content-Type"},
	    {SPAN_LIT("MIIBAvv/vg=="), "", NULL, "no Content-Type"},
	    {SPAN_LIT("MIIBAvv/vg=="), "text/plain;x", "7bit",
		"Content-Type text/plain; Content-Transfer-Encoding 7bit"},
	    {SPAN_LIT("MIIBAvv/vg=="), "a\r\nSet-Cookie: x", NULL,
		"Content-Type a??Set-Cookie??x"},
	};
	char odd[400];
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (read_body(rows[i].body, rows[i].type, rows[i].encoding, odd))
			fail_msg("row %zu: %s", i, odd);
		assert_string_equal(odd, rows[i].odd);
	}
}

static void
what_is_no_request_is_told_what_it_looks_like(void **state)
{
	static const struct {
		struct span body;
		const char *words;
	} rows[] = {
	    {SPAN_LIT(""), "empty"},
	    {SPAN_LIT(" \r\n\0\0"), "empty"},
	    {SPAN_LIT("{\"csr\":\"MII\"}"), "JSON"},
	    {SPAN_LIT("[1]"), "JSON"},
	    {SPAN_LIT("<?xml"), "XML"},
	    {SPAN_LIT("--x\r\nContent-Disposition: form-data"), "multipart"},
	    {SPAN_LIT("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
		"no CERTIFICATE REQUEST"},
	    {SPAN_LIT("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
		"make a new key pair"},
	    {SPAN_LIT("MIIBAvv/vg==="), "'='"},
	    {SPAN_LIT("MIIBAvv/vg="), "'='"},
	    {SPAN_LIT("MIIB=Avv"), "base64"},
	    {SPAN_LIT("===="), "'='"},
	    {SPAN_LIT("M"), ""},
	};
	char why[400];
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_body(rows[i].body, TYPE, NULL, why), -1);
		if (!strstr(why, rows[i].words))
			fail_msg("row %zu: %s", i, why);
	}
}

static void
a_body_beyond_any_request_is_too_large(void **state)
{
	struct err e = {0};
	auto_buf big = BUF_INIT(1 << 20), der = BUF_INIT(CSR_MAX),
		 odd = BUF_INIT(EST_BODY_ODD_MAX);
	(void)state;
	for (int i = 0; i < 4 * CSR_MAX; i++)
		buf_u8(&big, 'A');
	const struct est_body_in in = {buf_span(&big), TYPE, NULL};
	assert_fails(est_body_read(&in, &der, &odd, &e), &e, LIMIT);
}

/* ---- pieces ---------------------------------------------------------------------------
 */

static void
csrattrs_name_key_signature_and_challenge(void **state)
{
	struct rig *r = *state;
	static const uint8_t p256[] =
	    "\x30\x21\x30\x15\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
	    "\x31\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
	    "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
	static const uint8_t rsa[] = "\x02\x02\x0c\x00"; /* INTEGER 3072 */
	static const uint8_t challenge[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07";
	auto_buf out = BUF_INIT(1024);
	est_parts_csrattrs(&r->config, &out);
	assert_true(span_eq(buf_span(&out), span_of(p256, sizeof(p256) - 1)));
	buf_reset(&out);
	r->config.pki.key = CONFIG_KEY_RSA3072;
	r->config.est.linking = CONFIG_LINKING_REQUIRED;
	est_parts_csrattrs(&r->config, &out);
	assert_non_null(memmem(out.p, out.len, rsa, sizeof(rsa) - 1));
	assert_true(span_ends(buf_span(&out), span_of(challenge, sizeof(challenge) - 1)));
}

static void
a_plain_connection_links_nothing(void **state)
{
	(void)state;
	assert_int_equal(est_link_judge(NULL, SPAN_NONE), EST_LINK_NONE);
	assert_int_equal(est_link_judge(NULL, SPAN_LIT("")), EST_LINK_NONE);
	assert_int_equal(est_link_judge(NULL, SPAN_LIT("AAAA")), EST_LINK_OTHER);
}

/* ---- requests -------------------------------------------------------------------------
 */

#define BASIC "Authorization: Basic ZGV2OjE6c2VjcmV0\r\n" /* dev:1:secret */

static void
post(struct peer *p, struct rig *r, const char *verb, const char *headers,
    struct span body)
{
	auto_buf b = BUF_INIT(1 << 20);
	peer_open(p, r, &r->http_addr);
	buf_printf(&b,
	    "POST /.well-known/est/%s HTTP/1.1\r\nHost: x\r\n%s"
	    "Content-Length: %zu\r\n\r\n",
	    verb, headers, body.len);
	buf_put_span(&b, body);
	peer_send(p, buf_span(&b));
}

static const char *
answer(struct peer *p, const char *status, const char *end)
{
	for (int i = 0; i < 3000 && !strstr(buf_text(&p->in), end); i++)
		peer_pull(p);
	const char *text = buf_text(&p->in);
	if (strncmp(text, "HTTP/1.1 ", 9) || strncmp(text + 9, status, strlen(status)) ||
	    !strstr(text, end))
		fail_msg("wanted %s and %s: %s", status, end, text);
	return text;
}

static void
put_csr(struct buf *b64, struct key *k)
{
	struct err e;
	auto_buf der = BUF_INIT(CSR_MAX);
	assert_ok(csr_write(k, "dev:1", "org", &der, &e), &e);
	base64_put(b64, buf_span(&der));
}

static void
a_token_comes_to_the_core_as_its_hash(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct err e;
	struct ipc_est_enroll m;
	uint8_t sha[DIGEST_SHA256];
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf csr = BUF_INIT(CSR_MAX);
	put_csr(&csr, k);
	post(&p, r, "simpleenroll", BASIC, buf_span(&csr));
	uint64_t id = rig_core_gets(r, IPC_EST_ENROLL, &m);
	digest_sha256(SPAN_LIT("secret"), sha);
	assert_int_equal(m.cred.kind, CRED_BASIC);
	assert_true(span_eq_str(m.cred.basic_user, "dev:1"));
	assert_true(span_eq(m.cred.basic_sha256, span_of(sha, sizeof(sha))));
	assert_true(span_eq_str(m.csr_cn, "dev:1"));
	assert_true(span_eq(m.spki, key_spki(k)));
	assert_true(span_eq_str(m.tolerated, "no Content-Type"));
	assert_int_equal(m.renew, 0);
	const struct ipc_est_pending wait = {.retry_after_s = 9, .id = SPAN_LIT("0abc")};
	rig_core_says(r, id, IPC_EST_PENDING, &wait);
	rig_core_done(r, id, ERR_OK, 0);
	const char *text = answer(&p, "202", "muster est approve 0abc");
	assert_non_null(strstr(text, "Retry-After: 9\r\n"));
	assert_non_null(strstr(text, "Muster-Tolerated: no Content-Type\r\n"));
	peer_close(&p);
}

static void
only_who_is_known_is_told_why(void **state)
{
	static const struct {
		enum err_code code;
		const char *status;
		bool told;
	} rows[] = {{ERR_FORBIDDEN, "403", true}, {ERR_DENIED, "401", false},
	    {ERR_BUSY, "429", false}, {ERR_UNAVAILABLE, "503", false},
	    {ERR_NOT_FOUND, "404", true}, {ERR_IO, "503", false}};
	struct rig *r = *state;
	struct err e;
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf csr = BUF_INIT(CSR_MAX);
	put_csr(&csr, k);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer p;
		struct ipc_est_enroll m;
		post(&p, r, "x/simplereenroll", BASIC, buf_span(&csr));
		uint64_t id = rig_core_gets(r, IPC_EST_ENROLL, &m);
		assert_int_equal(m.renew, 1);
		const struct ipc_done d = {.code = (uint8_t)rows[i].code,
		    .text = SPAN_LIT("the reason; the fix")};
		rig_core_says(r, id, IPC_DONE, &d);
		const char *text = answer(&p, rows[i].status, "\n");
		peer_pull(&p);
		text = buf_text(&p.in);
		assert_int_equal(
		    strstr(text, "the reason; the fix") != NULL, rows[i].told);
		if (rows[i].code == ERR_BUSY)
			assert_non_null(strstr(text, "Retry-After: 30\r\n"));
		if (rows[i].code == ERR_UNAVAILABLE)
			assert_non_null(strstr(text, "Retry-After: 3\r\n"));
		peer_close(&p);
	}
}

static void
a_key_that_was_made_here_is_in_the_answer_and_not_in_the_question(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct err e;
	struct ipc_est_enroll m;
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf csr = BUF_INIT(CSR_MAX);
	r->config.est.serverkeygen = true;
	put_csr(&csr, k);
	post(&p, r, "serverkeygen", BASIC, buf_span(&csr));
	uint64_t id = rig_core_gets(r, IPC_EST_ENROLL, &m);
	assert_int_equal(m.keygen, 1);
	assert_false(span_eq(m.spki, key_spki(k)));
	assert_in_range(m.spki.len, 64, 128); /* a public key, no more */
	const struct ipc_cert cert = {.der = SPAN_LIT("\x30\x00")};
	rig_core_says(r, id, IPC_CERT, &cert);
	rig_core_done(r, id, ERR_OK, 0);
	const char *text = answer(&p, "200", "--\r\n");
	assert_non_null(strstr(text, "Content-Type: multipart/mixed; boundary="));
	assert_non_null(strstr(text, "Content-Type: application/pkcs8\r\n"));
	peer_close(&p);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_form_of_a_request_is_read_and_named),
	    cmocka_unit_test(what_is_no_request_is_told_what_it_looks_like),
	    cmocka_unit_test(a_body_beyond_any_request_is_too_large),
	    T(csrattrs_name_key_signature_and_challenge),
	    cmocka_unit_test(a_plain_connection_links_nothing),
	    T(a_token_comes_to_the_core_as_its_hash),
	    T(only_who_is_known_is_told_why),
	    T(a_key_that_was_made_here_is_in_the_answer_and_not_in_the_question),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
