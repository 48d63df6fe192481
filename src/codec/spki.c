/*
 * SubjectPublicKeyInfo: RFC 5480 (EC), RFC 3279 2.3.1 (RSA).
 */
#include "codec/spki.h"

#include "codec/der.h"

#define OID_EC_PUBLIC_KEY SPAN_LIT("\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_P256          SPAN_LIT("\x2a\x86\x48\xce\x3d\x03\x01\x07")
#define OID_P384          SPAN_LIT("\x2b\x81\x04\x00\x22")
#define OID_RSA           SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")

static int
parse_ec(struct span params, struct spki *k, struct err *e)
{
	struct span curve;
	if (der_expect(&params, DER_OID, &curve, e) != 0 ||
	    der_finish(params, "EC parameters", e) != 0)
		return -1;
	bool p256 = span_eq(curve, OID_P256);
	if (!p256 && !span_eq(curve, OID_P384))
		return err_set(
		    e, ERR_UNSUPPORTED, "EC key on another curve than P-256 or P-384");
	k->kind = p256 ? SPKI_EC_P256 : SPKI_EC_P384;
	k->bits = p256 ? 256 : 384;
	if (k->key.len != 1 + 2 * (size_t)k->bits / 8 || k->key.p[0] != 4)
		return err_set(e, ERR_PARSE, "EC key is not an uncompressed point");
	k->point = k->key;
	return 0;
}

static int
bit_length(struct span magnitude)
{
	int bits = (int)magnitude.len * 8;
	if (magnitude.len == 0)
		return 0;
	for (uint8_t top = 0x80; top && !(magnitude.p[0] & top); top >>= 1)
		bits--;
	return bits;
}

static bool
is_odd(struct span magnitude)
{
	return magnitude.len && magnitude.p[magnitude.len - 1] & 1;
}

static int
parse_rsa(struct span params, struct spki *k, struct err *e)
{
	struct span null, seq, in = k->key;
	if (der_expect(&params, DER_NULL, &null, e) != 0 ||
	    der_finish(params, "RSA parameters", e) != 0)
		return -1;
	if (null.len)
		return err_set(e, ERR_PARSE, "DER: NULL is not empty");
	if (der_expect(&in, DER_SEQUENCE, &seq, e) != 0 ||
	    der_finish(in, "RSA key", e) != 0)
		return -1;
	if (der_expect_unsigned(&seq, &k->modulus, e) != 0 ||
	    der_expect_unsigned(&seq, &k->exponent, e) != 0 ||
	    der_finish(seq, "RSA key", e) != 0)
		return -1;
	k->kind = SPKI_RSA;
	k->bits = bit_length(k->modulus);
	if (k->bits < 2048 || k->bits > 8192 || !is_odd(k->modulus))
		return err_set(e, ERR_PARSE, "RSA modulus of %d bits", k->bits);
	int e_bits = bit_length(k->exponent);
	if (e_bits < 17 || e_bits > 64 || !is_odd(k->exponent))
		return err_set(e, ERR_PARSE, "RSA exponent is even, small or huge");
	return 0;
}

int
spki_parse(struct span der, struct spki *ret, struct err *e)
{
	struct span in = der, seq, alg, oid;
	struct spki k = {0};
	if (der.len > SPKI_MAX)
		return err_set(e, ERR_LIMIT, "public key of %zu bytes", der.len);
	if (der_expect(&in, DER_SEQUENCE, &seq, e) != 0 ||
	    der_finish(in, "public key", e) != 0)
		return -1;
	if (der_expect(&seq, DER_SEQUENCE, &alg, e) != 0 ||
	    der_expect_bits(&seq, &k.key, e) != 0 ||
	    der_finish(seq, "public key", e) != 0 ||
	    der_expect(&alg, DER_OID, &oid, e) != 0)
		return -1;
	int rc;
	if (span_eq(oid, OID_EC_PUBLIC_KEY))
		rc = parse_ec(alg, &k, e);
	else if (span_eq(oid, OID_RSA))
		rc = parse_rsa(alg, &k, e);
	else
		rc = err_set(e, ERR_UNSUPPORTED, "public key is neither EC nor RSA");
	if (rc == 0)
		*ret = k;
	return rc;
}

const char *
spki_kind_name(enum spki_kind kind)
{
	static const char *const words[] = {"P-256", "P-384", "RSA"};
	return words[kind];
}
