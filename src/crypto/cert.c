/*
 * Certificates as plain structs. Places of the fields come from our own DER reader,
 * meaning (extensions, times) from OpenSSL; bytes that either of them does not take are
 * refused.
 */
#include "crypto/cert.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "codec/der.h"
#include "codec/pem.h"
#include "crypto/ossl.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct holder {
	struct cert cert; /* first: what callers hold */
	atomic_int refs;
};

static struct holder *
holder_of(struct cert *c)
{
	return (struct holder *)c;
}

struct cert *
cert_ref(struct cert *c)
{
	atomic_fetch_add_explicit(&holder_of(c)->refs, 1, memory_order_relaxed);
	return c;
}

void
cert_free(struct cert *c)
{
	if (!c ||
	    atomic_fetch_sub_explicit(&holder_of(c)->refs, 1, memory_order_acq_rel) != 1)
		return;
	X509_free(c->x509);
	free((void *)c->der.p);
	free(holder_of(c));
}

/* --- reading --- */

/* Upper case, as Azure's thumbprints and serial numbers are. */
static void
upper_hex(struct span s, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.len; i++) {
		out[2 * i] = digits[s.p[i] >> 4];
		out[2 * i + 1] = digits[s.p[i] & 15];
	}
	out[2 * s.len] = '\0';
}

/* Finds issuer, subject and SPKI in the TBSCertificate (RFC 5280 4.1). */
static int
find_fields(struct cert *c, struct err *e)
{
	struct span in = c->der, cert, tbs;
	struct der_tlv t, spki;
	if (der_expect(&in, DER_SEQUENCE, &cert, e) < 0 ||
	    der_finish(in, "certificate", e) < 0 ||
	    der_expect(&cert, DER_SEQUENCE, &tbs, e) < 0 || der_next(&tbs, &t, e) < 0)
		return -1;
	if (t.tag == DER_EXPLICIT(0) && der_next(&tbs, &t, e) < 0)
		return -1;
	struct der_tlv issuer, subject;
	if (t.tag != DER_INTEGER || der_next(&tbs, &t, e) < 0 ||
	    der_next(&tbs, &issuer, e) < 0 || der_next(&tbs, &t, e) < 0 ||
	    der_next(&tbs, &subject, e) < 0 || der_next(&tbs, &spki, e) < 0)
		return err_set(e, ERR_PARSE, "malformed certificate");
	c->issuer = issuer.whole;
	c->subject = subject.whole;
	c->spki = spki.whole;
	return 0;
}

static int
read_serial(struct cert *c, struct err *e)
{
	const ASN1_INTEGER *n = X509_get0_serialNumber(c->x509);
	struct span s = span_of(ASN1_STRING_get0_data(n), (size_t)ASN1_STRING_length(n));
	while (s.len > 1 && s.p[0] == 0)
		s = span_skip(s, 1);
	if (s.len > CERT_SERIAL_MAX)
		return err_set(e, ERR_PARSE, "serial number of more than %d octets",
		    CERT_SERIAL_MAX);
	upper_hex(s, c->serial);
	c->serial_ok = ASN1_STRING_type(n) == V_ASN1_INTEGER && s.len > 0 &&
		       (s.len > 1 || s.p[0] != 0);
	return 0;
}

static int
read_time(const ASN1_TIME *t, const char *what, int64_t *ret_ms, struct err *e)
{
	struct tm tm;
	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return ossl_error(e, ERR_PARSE, "%s", what);
	*ret_ms = (int64_t)timegm(&tm) * 1000;
	return 0;
}

struct bit_row {
	uint32_t theirs;
	unsigned ours;
};

/* Bits named by the rows; anything else in v is other. */
static unsigned
map_bits(uint32_t v, const struct bit_row *rows, size_t n, unsigned other)
{
	unsigned out = 0;
	for (size_t i = 0; i < n; i++) {
		if (v & rows[i].theirs)
			out |= rows[i].ours;
		v &= ~rows[i].theirs;
	}
	return v ? out | other : out;
}

static struct span
octets(const ASN1_OCTET_STRING *s)
{
	if (!s)
		return SPAN_NONE;
	return span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static int
read_extensions(struct cert *c, struct err *e)
{
	static const struct bit_row usages[] = {
	    {KU_DIGITAL_SIGNATURE, CERT_DIGITAL_SIGNATURE},
	    {KU_KEY_ENCIPHERMENT, CERT_KEY_ENCIPHERMENT},
	    {KU_KEY_CERT_SIGN, CERT_KEY_CERT_SIGN},
	    {KU_CRL_SIGN, CERT_CRL_SIGN},
	    {KU_KEY_AGREEMENT, CERT_KEY_AGREEMENT},
	};
	static const struct bit_row ekus[] = {
	    {XKU_SSL_CLIENT, CERT_CLIENT_AUTH},
	    {XKU_SSL_SERVER, CERT_SERVER_AUTH},
	    {XKU_OCSP_SIGN, CERT_OCSP_SIGNING},
	    {XKU_ANYEKU, CERT_ANY_EKU},
	};
	uint32_t flags = X509_get_extension_flags(c->x509);
	if (flags & EXFLAG_INVALID)
		return ossl_error(e, ERR_PARSE, "malformed extension");
	c->is_ca = c->version == 3 && (flags & EXFLAG_CA);
	c->pathlen = (int)X509_get_pathlen(c->x509);
	uint32_t ku = X509_get_key_usage(c->x509),
		 xku = X509_get_extended_key_usage(c->x509);
	c->has_usage = ku != UINT32_MAX;
	c->has_eku = xku != UINT32_MAX;
	if (c->has_usage)
		c->usage = map_bits(
		    ku, usages, sizeof(usages) / sizeof(usages[0]), CERT_OTHER_USAGE);
	if (c->has_eku)
		c->eku =
		    map_bits(xku, ekus, sizeof(ekus) / sizeof(ekus[0]), CERT_OTHER_EKU);
	c->ski = octets(X509_get0_subject_key_id(c->x509));
	c->aki = octets(X509_get0_authority_key_id(c->x509));
	return 0;
}

static void
read_key_name(struct cert *c)
{
	struct spki k;
	if (spki_parse(c->spki, &k, NULL) == 0) {
		pubkey_name(&k, c->key_name);
		return;
	}
	EVP_PKEY *p = X509_get0_pubkey(c->x509);
	const char *name = p ? EVP_PKEY_get0_type_name(p) : NULL;
	ERR_clear_error();
	snprintf(c->key_name, sizeof(c->key_name), "%s", name ? name : "unknown");
}

static int
read_all(struct cert *c, struct err *e)
{
	if (find_fields(c, e) < 0)
		return -1;
	c->version = (int)X509_get_version(c->x509) + 1;
	if (read_serial(c, e) < 0 ||
	    read_time(X509_get0_notBefore(c->x509), "notBefore", &c->not_before_ms, e) <
		0 ||
	    read_time(X509_get0_notAfter(c->x509), "notAfter", &c->not_after_ms, e) < 0 ||
	    read_extensions(c, e) < 0)
		return -1;
	if (name_cn(c->subject, c->cn, NULL) < 0)
		c->cn[0] = '\0';
	digest_sha1(c->der, c->sha1);
	digest_sha256(c->der, c->sha256);
	digest_sha256(c->spki, c->key_sha256);
	read_key_name(c);
	c->self_signed = X509_self_signed(c->x509, 1) == 1;
	ERR_clear_error();
	return 0;
}

struct cert *
cert_of_x509(X509 *x, struct err *e)
{
	struct holder *h = own_alloc(sizeof(*h));
	auto_(cert_free) struct cert *c = &h->cert;
	atomic_init(&h->refs, 1);
	X509_up_ref(x);
	c->x509 = x;
	int len = i2d_X509(x, NULL);
	if (len <= 0 || len > CERT_MAX) {
		ossl_error(e, len > CERT_MAX ? ERR_LIMIT : ERR_PARSE,
		    "certificate of %d bytes", len);
		return NULL;
	}
	uint8_t *der = own_alloc((size_t)len), *at = der;
	c->der = span_of(der, (size_t)len);
	if (i2d_X509(x, &at) != len) {
		ossl_error(e, ERR_PARSE, "certificate");
		return NULL;
	}
	return read_all(c, e) < 0 ? NULL : TAKE(c);
}

struct cert *
cert_parse(struct span der, struct err *e)
{
	if (der.len > CERT_MAX) {
		err_set(e, ERR_LIMIT, "certificate of %zu bytes", der.len);
		return NULL;
	}
	const uint8_t *at = der.p;
	auto_(X509_free) X509 *x = d2i_X509(NULL, &at, (long)der.len);
	if (!x) {
		ossl_error(e, ERR_PARSE, "malformed certificate");
		return NULL;
	}
	if (at != der.p + der.len) {
		err_set(e, ERR_PARSE, "bytes behind the certificate");
		return NULL;
	}
	return cert_of_x509(x, e);
}

/* --- lists --- */

void
cert_list_done(struct cert_list *l)
{
	while (l->n)
		cert_free(l->v[--l->n]);
}

int
cert_list_add(struct cert_list *l, struct cert *c, struct err *e)
{
	if (l->n == CERT_LIST_MAX) {
		cert_free(c);
		return err_set(e, ERR_LIMIT, "more than %d certificates", CERT_LIST_MAX);
	}
	l->v[l->n++] = c;
	return 0;
}

static int
add_block(struct cert_list *l, struct span label, struct span der, struct err *e)
{
	if (!span_eq_str(label, "CERTIFICATE"))
		return err_set(
		    e, ERR_PARSE, "a block of %.*s among certificates", SPAN_FMT(label));
	struct cert *c = cert_parse(der, e);
	return c ? cert_list_add(l, c, e) : -1;
}

int
cert_list_parse(struct span pem, const char *what, struct cert_list *ret, struct err *e)
{
	if (pem.len > CERT_PEM_MAX)
		return err_set(
		    e, ERR_LIMIT, "%s: larger than %d bytes", what, CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	auto_buf der = BUF_INIT(CERT_MAX);
	der.secret = true; /* it might be a key somebody put there */
	struct span label;
	for (;;) {
		if (pem_next(&pem, &label, &der, e) < 0)
			return err_wrap(e, "%s, certificate %zu", what, l.n + 1);
		if (!label.p)
			break;
		if (add_block(&l, label, buf_span(&der), e) < 0)
			return err_wrap(e, "%s, certificate %zu", what, l.n + 1);
	}
	if (!l.n)
		return err_set(e, ERR_PARSE, "%s: holds no certificate in PEM", what);
	*ret = l;
	l.n = 0;
	return 0;
}

/* --- for people and peers --- */

void
cert_write_pem(struct span der, struct buf *out)
{
	pem_write(out, "CERTIFICATE", der);
}

int64_t
cert_days_left(const struct cert *c, int64_t now_ms)
{
	int64_t left = c->not_after_ms - now_ms;
	/* towards minus infinity: a second past is "-1 day", never "0 days left" */
	return left >= 0 ? left / DAY_MS : -((-left + DAY_MS - 1) / DAY_MS);
}

bool
cert_valid_at(const struct cert *c, int64_t now_ms)
{
	/* a certificate is valid through the second of its notAfter (RFC 5280 4.1.2.5) */
	return now_ms >= c->not_before_ms && now_ms < c->not_after_ms + 1000;
}

int
cert_check_signed_by(const struct cert *c, const struct cert *ca, struct err *e)
{
	int code = X509_check_issued(ca->x509, c->x509);
	if (code != X509_V_OK)
		return err_set(e, ERR_PARSE, "not signed by that CA: %s",
		    X509_verify_cert_error_string(code));
	if (X509_verify(c->x509, X509_get0_pubkey(ca->x509)) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, ERR_PARSE, "the CA's signature does not verify");
}

void
cert_line(const struct cert *c, struct buf *out)
{
	char until[CLOCK_TEXT];
	name_text(c->subject, out);
	clock_iso(c->not_after_ms, 0, until);
	buf_printf(out, " (serial %s, until %.10s)", c->serial, until);
}

static void
text_of(struct span name, char out[NAME_TEXT_MAX])
{
	auto_buf b = BUF_INIT(NAME_TEXT_MAX - 1);
	name_text(name, &b);
	snprintf(out, NAME_TEXT_MAX, "%s", buf_text(&b));
}

void
cert_info(const struct cert *c, struct cert_info *ret)
{
	text_of(c->subject, ret->subject);
	text_of(c->issuer, ret->issuer);
	upper_hex(span_of(c->sha1, sizeof(c->sha1)), ret->sha1);
	upper_hex(span_of(c->sha256, sizeof(c->sha256)), ret->sha256);
	clock_iso(c->not_before_ms, 0, ret->not_before);
	clock_iso(c->not_after_ms, 0, ret->not_after);
	ret->serial = c->serial;
	ret->version = c->version;
}
