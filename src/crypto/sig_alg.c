/*
 * The table of signature algorithms.
 */
#include "crypto/sig_alg.h"

#include "codec/der.h"

static const struct row {
	struct span oid;
	bool rsa;
	enum key_hash hash;
} rows[] = {
    {SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"), false, KEY_SHA256},
    {SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x03"), false, KEY_SHA384},
    {SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x04"), false, KEY_SHA512},
    {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), true, KEY_SHA256},
    {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), true, KEY_SHA384},
    {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), true, KEY_SHA512},
};

/* Parameters: NULL for RSA (some leave it away, RFC 4055 5 lets verifiers take that),
 * none for ECDSA (RFC 5758 3.2). */
int
sig_alg_parse(struct span alg, enum spki_kind kind, enum key_hash *ret, struct err *e)
{
	struct span oid, null;
	bool rsa = kind == SPKI_RSA;
	if (der_expect(&alg, DER_OID, &oid, e) < 0)
		return -1;
	if (rsa && alg.len &&
	    (der_expect(&alg, DER_NULL, &null, e) < 0 || der_finish(null, "NULL", e) < 0))
		return -1;
	if (der_finish(alg, "signature algorithm", e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].rsa != rsa || !span_eq(oid, rows[i].oid))
			continue;
		*ret = rows[i].hash;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
	    "signature algorithm is not ECDSA or RSA with SHA-256, -384 or -512, or not "
	    "the key's");
}
