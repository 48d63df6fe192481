/*
 * OCSP requests (RFC 6960 4.1.1), top down as the ASN.1 has them. Everything but CertIDs
 * and nonce is passed over: requestor name, signature, the extensions of one CertID.
 */
#include "codec/ocsp_req.h"

#include "codec/der.h"
#include "codec/ext.h"

#define OID_OCSP(n)   SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01" n)
#define OID_NONCE     OID_OCSP("\x02")
#define OID_RESPONSES OID_OCSP("\x04") /* every client must take what we send: 4.4.3 */

static const struct {
	struct span oid;
	size_t len;
} hashes[OCSP_REQ_HASH_N] = {
    [OCSP_REQ_SHA1] = {SPAN_LIT("\x2b\x0e\x03\x02\x1a"), 20},
    [OCSP_REQ_SHA256] = {SPAN_LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), 32},
};

size_t
ocsp_req_hash_len(enum ocsp_req_hash hash)
{
	return hashes[hash].len;
}

struct span
ocsp_req_hash_oid(enum ocsp_req_hash hash)
{
	return hashes[hash].oid;
}

/* --- extensions --- */

static int
read_nonce(struct span value, struct span *ret, struct err *e)
{
	struct span nonce;
	if (ret->p)
		return err_set(e, ERR_PARSE, "two nonces");
	if (der_expect(&value, DER_OCTET_STRING, &nonce, e) < 0 ||
	    der_finish(value, "nonce", e) < 0)
		return -1;
	if (nonce.len == 0 || nonce.len > OCSP_REQ_NONCE_MAX)
		return err_set(e, ERR_PARSE, "nonce of %zu octets", nonce.len);
	*ret = nonce;
	return 0;
}

/* [n] EXPLICIT Extensions, its content; nonce is NULL where none may be. */
static int
read_extensions(struct span in, struct span *nonce, struct err *e)
{
	struct span exts;
	struct ext x;
	if (der_expect(&in, DER_SEQUENCE, &exts, e) < 0 ||
	    der_finish(in, "OCSP extensions", e) < 0)
		return -1;
	while (exts.len) {
		if (ext_next(&exts, &x, e) < 0)
			return -1;
		if (nonce && span_eq(x.oid, OID_NONCE)) {
			if (read_nonce(x.value, nonce, e) < 0)
				return -1;
			continue;
		}
		if (x.critical && !(nonce && span_eq(x.oid, OID_RESPONSES)))
			return err_set(e, ERR_PARSE, "unknown critical OCSP extension");
	}
	return 0;
}

/* --- CertIDs --- */

/* AlgorithmIdentifier, its content. Parameters: NULL, or absent (RFC 5754 2). */
static int
read_hash(struct span alg, enum ocsp_req_hash *ret, struct err *e)
{
	struct span oid, null;
	if (der_expect(&alg, DER_OID, &oid, e) < 0)
		return -1;
	*ret = OCSP_REQ_OTHER;
	for (int i = 0; i < OCSP_REQ_HASH_N; i++)
		if (span_eq(oid, hashes[i].oid))
			*ret = (enum ocsp_req_hash)i;
	if (*ret == OCSP_REQ_OTHER || alg.len == 0)
		return 0;
	if (der_expect(&alg, DER_NULL, &null, e) < 0 || der_finish(null, "NULL", e) < 0)
		return -1;
	return der_finish(alg, "hash algorithm", e);
}

static int
check_id(const struct ocsp_req_id *id, struct err *e)
{
	if (id->serial.len > OCSP_REQ_SERIAL_MAX)
		return err_set(
		    e, ERR_LIMIT, "serial number of %zu octets", id->serial.len);
	if (id->hash == OCSP_REQ_OTHER)
		return 0;
	size_t want = hashes[id->hash].len;
	if (id->name.len != want || id->key.len != want)
		return err_set(e, ERR_PARSE, "CertID with hashes of a wrong length");
	return 0;
}

static int
read_id(struct span in, struct ocsp_req_id *ret, struct err *e)
{
	struct span alg;
	if (der_expect(&in, DER_SEQUENCE, &alg, e) < 0 ||
	    read_hash(alg, &ret->hash, e) < 0 ||
	    der_expect(&in, DER_OCTET_STRING, &ret->name, e) < 0 ||
	    der_expect(&in, DER_OCTET_STRING, &ret->key, e) < 0 ||
	    der_expect_unsigned(&in, &ret->serial, e) < 0 ||
	    der_finish(in, "CertID", e) < 0)
		return -1;
	return check_id(ret, e);
}

/* Request ::= SEQUENCE { CertID, [0] Extensions OPTIONAL } */
static int
read_single(struct span *list, struct ocsp_req_id *ret, struct err *e)
{
	struct span one, id;
	struct der_tlv t;
	if (der_expect(list, DER_SEQUENCE, &one, e) < 0 ||
	    der_expect(&one, DER_SEQUENCE, &id, e) < 0 || read_id(id, ret, e) < 0)
		return -1;
	if (one.len == 0)
		return 0;
	if (der_next(&one, &t, e) < 0)
		return -1;
	if (t.tag != DER_EXPLICIT(0) || one.len)
		return err_set(e, ERR_PARSE, "malformed OCSP request");
	return read_extensions(t.content, NULL, e);
}

static int
read_list(struct span list, struct ocsp_req *r, struct err *e)
{
	while (list.len) {
		if (r->n == OCSP_REQ_IDS_MAX)
			return err_set(e, ERR_LIMIT,
			    "OCSP request for more than %d certificates",
			    OCSP_REQ_IDS_MAX);
		if (read_single(&list, &r->ids[r->n], e) < 0)
			return -1;
		r->n++;
	}
	if (r->n == 0)
		return err_set(e, ERR_PARSE, "OCSP request for no certificate");
	return 0;
}

/* --- the whole --- */

/* [0] version (v1 is the only one) and [1] requestorName, both optional, off *in; what
 * comes behind them goes to *ret. */
static int
skip_head(struct span *in, struct der_tlv *ret, struct err *e)
{
	struct span v;
	if (der_next(in, ret, e) < 0)
		return -1;
	if (ret->tag == DER_EXPLICIT(0)) {
		if (der_expect_unsigned(&ret->content, &v, e) < 0 ||
		    der_finish(ret->content, "version", e) < 0)
			return -1;
		if (v.len)
			return err_set(e, ERR_PARSE, "OCSP request not of version 1");
		if (der_next(in, ret, e) < 0)
			return -1;
	}
	return ret->tag == DER_EXPLICIT(1) ? der_next(in, ret, e) : 0;
}

static int
read_tbs(struct span in, struct ocsp_req *r, struct err *e)
{
	struct der_tlv t;
	if (skip_head(&in, &t, e) < 0)
		return -1;
	if (t.tag != DER_SEQUENCE)
		return err_set(e, ERR_PARSE, "malformed OCSP request");
	if (read_list(t.content, r, e) < 0)
		return -1;
	if (in.len == 0)
		return 0;
	if (der_next(&in, &t, e) < 0)
		return -1;
	if (t.tag != DER_EXPLICIT(2) || in.len)
		return err_set(e, ERR_PARSE, "malformed OCSP request");
	return read_extensions(t.content, &r->nonce, e);
}

int
ocsp_req_parse(struct span der, struct ocsp_req *ret, struct err *e)
{
	struct ocsp_req r = {.n = 0};
	struct span in = der, req, tbs;
	struct der_tlv t;
	if (der.len > OCSP_REQ_MAX)
		return err_set(e, ERR_LIMIT, "OCSP request of %zu bytes", der.len);
	if (der_expect(&in, DER_SEQUENCE, &req, e) < 0 ||
	    der_finish(in, "OCSP request", e) < 0 ||
	    der_expect(&req, DER_SEQUENCE, &tbs, e) < 0 || read_tbs(tbs, &r, e) < 0)
		return -1;
	r.is_signed = req.len > 0;
	if (r.is_signed &&
	    (der_next(&req, &t, e) < 0 || t.tag != DER_EXPLICIT(0) || req.len))
		return err_set(e, ERR_PARSE, "malformed OCSP request");
	*ret = r;
	return 0;
}
