/*
 * PKCS#10. Read by our own DER reader, so OpenSSL sees of a foreign request only the
 * key's numbers and the signature.
 */
#include "crypto/csr.h"

#include "codec/der.h"
#include "codec/ext.h"
#include "codec/pem.h"
#include "crypto/sig_alg.h"
#include "crypto/tbs.h"

#define LABEL "CERTIFICATE REQUEST"

static const struct ext_row {
	struct span oid;
	const char *name;
} ext_rows[] = {
    {SPAN_LIT("\x55\x1d\x13"), "basicConstraints"},
    {SPAN_LIT("\x55\x1d\x0f"), "keyUsage"},
    {SPAN_LIT("\x55\x1d\x25"), "extKeyUsage"},
    {SPAN_LIT("\x55\x1d\x11"), "subjectAltName"},
    {SPAN_LIT("\x55\x1d\x0e"), "subjectKeyIdentifier"},
    {SPAN_LIT("\x55\x1d\x23"), "authorityKeyIdentifier"},
    {SPAN_LIT("\x55\x1d\x20"), "certificatePolicies"},
    {SPAN_LIT("\x55\x1d\x1e"), "nameConstraints"},
};

#define OID_CHALLENGE   SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07")
#define OID_EXT_REQUEST SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")
#define OID_SUBJECT_ALT SPAN_LIT("\x55\x1d\x11")
/* id-aa-decryptKeyID, id-aa-asymmDecryptKeyID: the key is to come encrypted */
#define OID_DECRYPT_KEY       SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x25")
#define OID_DECRYPT_KEY_ASYMM SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x36")

/* True for BasicConstraints with cA TRUE; a malformed one counts as asking. */
static bool
asks_ca(struct span value)
{
	struct span seq;
	struct der_tlv t;
	if (der_expect(&value, DER_SEQUENCE, &seq, NULL) < 0)
		return true;
	return seq.len && (der_next(&seq, &t, NULL) < 0 || t.tag == DER_BOOLEAN);
}

static void
note_extension(struct csr *c, struct span oid, struct span value)
{
	const char *name = "other";
	for (size_t i = 0; i < sizeof(ext_rows) / sizeof(ext_rows[0]); i++)
		if (span_eq(oid, ext_rows[i].oid))
			name = ext_rows[i].name;
	if (span_eq(oid, ext_rows[0].oid))
		c->wants_ca = asks_ca(value);
	if (span_eq(oid, OID_SUBJECT_ALT))
		c->san = value;
	size_t len = strlen(c->ignored);
	snprintf(
	    c->ignored + len, sizeof(c->ignored) - len, "%s%s", len ? ", " : "", name);
}

static int
read_ext_request(struct csr *c, struct span values, struct err *e)
{
	struct span exts;
	if (der_expect(&values, DER_SEQUENCE, &exts, e) < 0 ||
	    der_finish(values, "extension request", e) < 0)
		return -1;
	while (exts.len) {
		struct ext x;
		if (ext_next(&exts, &x, e) < 0)
			return -1;
		note_extension(c, x.oid, x.value);
	}
	return 0;
}

/* A DirectoryString, or the IA5String that some tools make of it (RFC 2985 5.4.1). */
static int
read_challenge(struct csr *c, struct span values, struct err *e)
{
	struct der_tlv text;
	if (der_next(&values, &text, e) < 0 ||
	    der_finish(values, "challengePassword", e) < 0)
		return -1;
	if (text.tag != DER_UTF8_STRING && text.tag != DER_PRINTABLE_STRING &&
	    text.tag != DER_IA5_STRING)
		return err_set(e, ERR_PARSE, "challengePassword is no string");
	c->challenge = text.content;
	return 0;
}

static int
read_attribute(struct csr *c, struct span oid, struct span values, struct err *e)
{
	if (span_eq(oid, OID_CHALLENGE))
		return read_challenge(c, values, e);
	if (span_eq(oid, OID_EXT_REQUEST))
		return read_ext_request(c, values, e);
	if (span_eq(oid, OID_DECRYPT_KEY) || span_eq(oid, OID_DECRYPT_KEY_ASYMM))
		c->wants_encrypted_key = true;
	return 0;
}

static int
read_attributes(struct csr *c, struct span attrs, struct err *e)
{
	while (attrs.len) {
		struct span attr, oid, values;
		if (der_expect(&attrs, DER_SEQUENCE, &attr, e) < 0 ||
		    der_expect(&attr, DER_OID, &oid, e) < 0 ||
		    der_expect(&attr, DER_SET, &values, e) < 0 ||
		    der_finish(attr, "attribute", e) < 0 ||
		    read_attribute(c, oid, values, e) < 0)
			return -1;
	}
	return 0;
}

/* CertificationRequestInfo (RFC 2986 4.1). Attributes are mandatory there; old tools
 * leave an empty set away, so its absence is let pass. */
static int
read_info(struct csr *c, struct span info, struct err *e)
{
	struct span version, attrs;
	struct der_tlv subject, spki;
	if (der_expect_unsigned(&info, &version, e) < 0)
		return -1;
	if (version.len > 1 || (version.len && version.p[0] != 0))
		return err_set(e, ERR_PARSE, "CSR of an unknown version");
	if (der_next(&info, &subject, e) < 0 || name_check(subject.whole, e) < 0 ||
	    name_cn(subject.whole, c->cn, e) < 0 || der_next(&info, &spki, e) < 0 ||
	    pubkey_parse(spki.whole, &c->key, e) < 0)
		return -1;
	c->subject = subject.whole;
	c->spki = spki.whole;
	digest_sha256(c->spki, c->key_sha256);
	if (!info.len)
		return 0;
	if (der_expect(&info, DER_EXPLICIT(0), &attrs, e) < 0 ||
	    read_attributes(c, attrs, e) < 0)
		return -1;
	return der_finish(info, "CSR's fields", e);
}

static int
parse_der(struct csr *c, struct err *e)
{
	struct span in = c->der, req, alg, sig;
	struct der_tlv info;
	enum key_hash hash = KEY_SHA256;
	if (der_expect(&in, DER_SEQUENCE, &req, e) < 0 || der_finish(in, "CSR", e) < 0 ||
	    der_next(&req, &info, e) < 0)
		return -1;
	if (info.tag != DER_SEQUENCE)
		return err_set(e, ERR_PARSE, "no certificate signing request");
	if (der_expect(&req, DER_SEQUENCE, &alg, e) < 0 ||
	    der_expect_bits(&req, &sig, e) < 0 || der_finish(req, "CSR", e) < 0 ||
	    read_info(c, info.content, e) < 0 ||
	    sig_alg_parse(alg, c->key.kind, &hash, e) < 0)
		return -1;
	if (key_verify(c->spki, hash, info.whole, sig, NULL) < 0)
		return err_set(e, ERR_CRYPTO, "CSR signature does not match its key");
	return 0;
}

/* DER from PEM. Both labels are in use (RFC 7468 section 7). */
static int
unwrap(struct span text, struct buf *der, struct err *e)
{
	struct err first = {0};
	if (pem_find(text, LABEL, der, &first) == 0)
		return 0;
	if (first.code == ERR_NOT_FOUND && pem_find(text, "NEW " LABEL, der, &first) == 0)
		return 0;
	if (first.code == ERR_NOT_FOUND)
		return err_set(
		    e, ERR_PARSE, "no certificate signing request, in DER or PEM");
	return err_copy(e, &first);
}

int
csr_parse(struct span data, struct csr *ret, struct err *e)
{
	if (data.len > CSR_MAX)
		return err_set(
		    e, ERR_LIMIT, "CSR of %zu bytes: larger than %d", data.len, CSR_MAX);
	auto_buf der = BUF_INIT(CSR_MAX);
	if (data.len && data.p[0] == DER_SEQUENCE)
		buf_put_span(&der, data);
	else if (unwrap(data, &der, e) < 0)
		return -1;
	if (buf_check(&der, "CSR", e) < 0)
		return -1;
	struct csr c = {.der = buf_span(&der)};
	if (parse_der(&c, e) < 0)
		return -1;
	der = BUF_INIT(0); /* c owns the bytes now */
	*ret = c;
	return 0;
}

void
csr_done(struct csr *c)
{
	free((void *)c->der.p);
	*c = (struct csr){0};
}

static void
put_challenge(struct buf *out, struct span challenge)
{
	size_t seq = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_CHALLENGE);
	size_t set = der_begin(out, DER_SET);
	der_put_utf8(out, challenge);
	der_end(out, set);
	der_end(out, seq);
}

int
csr_write_name(struct key *k, struct span name, struct span challenge, struct buf *out,
    struct err *e)
{
	auto_buf info = BUF_INIT(CSR_MAX);
	size_t seq = der_begin(&info, DER_SEQUENCE);
	der_put_int(&info, 0);
	buf_put_span(&info, name);
	buf_put_span(&info, key_spki(k));
	size_t attrs = der_begin(&info, DER_EXPLICIT(0));
	if (challenge.len)
		put_challenge(&info, challenge);
	der_end(&info, attrs);
	der_end(&info, seq);
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	if (buf_check(&info, "CSR", e) < 0 ||
	    key_sign(k, buf_span(&info), sig, &len, e) < 0)
		return -1;
	tbs_finish(buf_span(&info), key_algorithm(k), span_of(sig, len), out);
	return buf_check(out, "CSR", e);
}

int
csr_write(struct key *k, const char *cn, const char *org, struct buf *out, struct err *e)
{
	auto_buf name = BUF_INIT(NAME_DER_MAX);
	if (name_write(cn, org, &name, e) < 0)
		return -1;
	return csr_write_name(k, buf_span(&name), SPAN_NONE, out, e);
}

int
csr_write_pem(
    struct key *k, const char *cn, const char *org, struct buf *out, struct err *e)
{
	auto_buf der = BUF_INIT(CSR_MAX);
	if (csr_write(k, cn, org, &der, e) < 0)
		return -1;
	pem_write(out, LABEL, buf_span(&der));
	return buf_check(out, "CSR", e);
}
