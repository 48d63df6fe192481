/*
 * Certificates as policies see them (RFC 5280 4.1), straight off the DER.
 */
#include "crypto/traits.h"

#include <stdio.h>

#include "codec/der.h"
#include "codec/ext.h"
#include "codec/spki.h"
#include "crypto/sig_alg.h"

#define EXT_INFO_ACCESS SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x01\x01") /* 4.2.2.1 */
#define ACCESS_OCSP     SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01")
#define VERSION         DER_EXPLICIT(0)
#define EXTENSIONS      DER_EXPLICIT(3)

void
traits_of_spki(struct span spki, struct traits *ret)
{
	struct spki k;
	*ret = (struct traits){.key = TRAITS_OTHER};
	if (spki_parse(spki, &k, NULL))
		return;
	ret->key = k.kind == SPKI_RSA ? TRAITS_RSA : TRAITS_EC;
	ret->key_bits = k.bits;
}

void
traits_key_name(const struct traits *t, char out[TRAITS_NAME])
{
	static const char *const kinds[TRAITS_KEY_N] = {
	    [TRAITS_EC] = "P", [TRAITS_RSA] = "RSA"};
	if (kinds[t->key])
		snprintf(out, TRAITS_NAME, "%s-%d", kinds[t->key], t->key_bits);
	else
		snprintf(out, TRAITS_NAME, "another kind");
}

/* The issuer's key is not at hand, and what it is does not matter here: each algorithm is
 * one kind's alone. */
static int
hash_of(struct span alg)
{
	static const int bits[] = {
	    [KEY_SHA256] = 256, [KEY_SHA384] = 384, [KEY_SHA512] = 512};
	enum key_hash hash;
	if (sig_alg_parse(alg, SPKI_RSA, &hash, NULL) &&
	    sig_alg_parse(alg, SPKI_EC_P256, &hash, NULL))
		return 0;
	return bits[hash];
}

static int
read_info_access(struct span value, bool *ret_ocsp, struct err *e)
{
	struct span list, one, method;
	if (der_expect(&value, DER_SEQUENCE, &list, e))
		return -1;
	while (list.len) {
		if (der_expect(&list, DER_SEQUENCE, &one, e) ||
		    der_expect(&one, DER_OID, &method, e))
			return -1;
		*ret_ocsp |= span_eq(method, ACCESS_OCSP);
	}
	return 0;
}

static int
read_extensions(struct span in, struct traits *t, struct err *e)
{
	struct span list;
	struct ext x;
	if (der_expect(&in, DER_SEQUENCE, &list, e))
		return -1;
	while (list.len) {
		if (ext_next(&list, &x, e))
			return -1;
		t->revocable |= span_eq(x.oid, EXT_CRL_POINTS);
		if (span_eq(x.oid, EXT_INFO_ACCESS) &&
		    read_info_access(x.value, &t->revocable, e))
			return -1;
	}
	return 0;
}

static int
read_validity(struct span in, struct traits *t, struct err *e)
{
	int64_t begin_s, end_s;
	if (der_expect_time(&in, &begin_s, e) || der_expect_time(&in, &end_s, e))
		return -1;
	t->life_ms = (end_s - begin_s) * 1000;
	return 0;
}

/* version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, and
 * what follows by its tag. */
static int
read_tbs(struct span tbs, struct traits *ret, struct err *e)
{
	struct der_tlv m, alg, spki;
	struct span validity, at = tbs;
	if (der_next(&at, &m, e))
		return -1;
	if (m.tag == VERSION)
		tbs = at;
	if (der_next(&tbs, &m, e) || der_next(&tbs, &alg, e) || der_next(&tbs, &m, e) ||
	    der_expect(&tbs, DER_SEQUENCE, &validity, e) || der_next(&tbs, &m, e) ||
	    der_next(&tbs, &spki, e))
		return -1;
	traits_of_spki(spki.whole, ret);
	ret->hash_bits = hash_of(alg.content);
	if (read_validity(validity, ret, e))
		return -1;
	while (tbs.len) {
		if (der_next(&tbs, &m, e))
			return -1;
		if (m.tag == EXTENSIONS && read_extensions(m.content, ret, e))
			return -1;
	}
	return 0;
}

int
traits_read(struct span der, struct traits *ret, struct err *e)
{
	struct span outer, tbs;
	struct traits t = {0};
	if (der_expect(&der, DER_SEQUENCE, &outer, e) ||
	    der_finish(der, "certificate", e) ||
	    der_expect(&outer, DER_SEQUENCE, &tbs, e) || read_tbs(tbs, &t, e))
		return err_wrap(e, "traits of a certificate");
	*ret = t;
	return 0;
}
