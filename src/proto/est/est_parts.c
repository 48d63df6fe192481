/*
 * Bytes of EST's bodies.
 */
#include "proto/est/est_parts.h"

#include "base/base64.h"
#include "codec/der.h"
#include "codec/ext.h"

#define OID_EC_KEY      SPAN_LIT("\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_P256        SPAN_LIT("\x2a\x86\x48\xce\x3d\x03\x01\x07")
#define OID_P384        SPAN_LIT("\x2b\x81\x04\x00\x22")
#define OID_RSA_KEY     SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_ECDSA_256   SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x02")
#define OID_ECDSA_384   SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x03")
#define OID_RSA_256     SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b")
#define OID_CHALLENGE   SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07")
#define EXT_SUBJECT_ALT EXT_CE("\x11")

#define TBS_EXTENSIONS DER_EXPLICIT(3)

/* ---- csrattrs ---- */

static const struct key_row {
	struct span type, curve, signature;
	int bits; /* RSA: of the modulus */
} key_rows[] = {
    [CONFIG_KEY_P256] = {OID_EC_KEY, OID_P256, OID_ECDSA_256, 0},
    [CONFIG_KEY_P384] = {OID_EC_KEY, OID_P384, OID_ECDSA_384, 0},
    [CONFIG_KEY_RSA2048] = {OID_RSA_KEY, {0}, OID_RSA_256, 2048},
    [CONFIG_KEY_RSA3072] = {OID_RSA_KEY, {0}, OID_RSA_256, 3072},
    [CONFIG_KEY_RSA4096] = {OID_RSA_KEY, {0}, OID_RSA_256, 4096},
};

void
est_parts_csrattrs(const struct config *cfg, struct buf *out)
{
	const struct key_row *k = &key_rows[cfg->pki.key];
	size_t seq = der_begin(out, DER_SEQUENCE);
	size_t attr = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, k->type);
	size_t set = der_begin(out, DER_SET);
	if (k->bits)
		der_put_int(out, k->bits);
	else
		der_put_oid(out, k->curve);
	der_end(out, set);
	der_end(out, attr);
	der_put_oid(out, k->signature);
	if (cfg->est.linking == CONFIG_LINKING_REQUIRED)
		der_put_oid(out, OID_CHALLENGE);
	der_end(out, seq);
}

/* ---- serverkeygen ---- */

/* The parts are MIME, so here the header means what it says (RFC 2045 6). */
static void
put_part(struct buf *out, const char *boundary, const char *type, struct span der)
{
	auto_buf text = BUF_INIT(256 * 1024);
	text.secret = true;
	base64_put(&text, der);
	buf_printf(out,
	    "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
	    boundary, type);
	for (struct span rest = buf_span(&text); rest.len; rest = span_skip(rest, 64)) {
		buf_put_span(out, span_head(rest, 64));
		buf_str(out, "\r\n");
	}
}

void
est_parts_keygen(struct span pkcs8, struct span p7, const char *boundary, struct buf *out)
{
	put_part(out, boundary, "application/pkcs8", pkcs8);
	put_part(out, boundary, "application/pkcs7-mime; smime-type=certs-only", p7);
	buf_printf(out, "--%s--\r\n", boundary);
}

/* ---- names ---- */

static int
find_extensions(struct span der, struct span *ret, struct err *e)
{
	struct span outer, tbs;
	*ret = SPAN_NONE;
	if (der_expect(&der, DER_SEQUENCE, &outer, e) ||
	    der_expect(&outer, DER_SEQUENCE, &tbs, e))
		return -1;
	while (tbs.len) {
		struct der_tlv member;
		if (der_next(&tbs, &member, e))
			return -1;
		if (member.tag == TBS_EXTENSIONS)
			return der_expect(&member.content, DER_SEQUENCE, ret, e);
	}
	return 0;
}

int
est_parts_san(struct span der, struct span *ret, struct err *e)
{
	struct span exts, found = SPAN_NONE;
	if (find_extensions(der, &exts, e))
		return -1;
	while (exts.len) {
		struct ext x;
		if (ext_next(&exts, &x, e))
			return -1;
		if (span_eq(x.oid, EXT_SUBJECT_ALT))
			found = x.value;
	}
	*ret = found;
	return 0;
}
