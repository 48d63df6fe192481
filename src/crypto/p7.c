/*
 * Certs-only SignedData (RFC 5652 5.1): no signer, no content, a bag of certificates.
 */
#include "crypto/p7.h"

#include "codec/der.h"

#define OID_DATA        SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
#define OID_SIGNED_DATA SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")

int
p7_write(const struct span *certs, size_t n, struct buf *out, struct err *e)
{
	if (n > P7_CERTS_MAX)
		return err_set(
		    e, ERR_LIMIT, "%zu certificates: at most %d", n, P7_CERTS_MAX);
	size_t info = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_SIGNED_DATA);
	size_t content = der_begin(out, DER_EXPLICIT(0));
	size_t signed_data = der_begin(out, DER_SEQUENCE);
	der_put_int(out, 1);
	der_put(out, DER_SET, SPAN_NONE); /* digestAlgorithms */
	size_t encap = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_DATA);
	der_end(out, encap);
	size_t bag = der_begin(out, DER_EXPLICIT(0)); /* [0] IMPLICIT SET OF */
	for (size_t i = 0; i < n; i++)
		buf_put_span(out, certs[i]);
	der_end(out, bag);
	der_put(out, DER_SET, SPAN_NONE); /* signerInfos */
	der_end(out, signed_data);
	der_end(out, content);
	der_end(out, info);
	return buf_check(out, "PKCS#7", e);
}

static int
expect_oid(struct span *in, struct span want, const char *what, struct err *e)
{
	struct span oid;
	if (der_expect(in, DER_OID, &oid, e) < 0)
		return -1;
	if (!span_eq(oid, want))
		return err_set(e, ERR_PARSE, "PKCS#7: not %s", what);
	return 0;
}

/* Down to the content of SignedData. */
static int
open_signed_data(struct span der, struct span *ret, struct err *e)
{
	struct span info, content;
	if (der_expect(&der, DER_SEQUENCE, &info, e) < 0 ||
	    der_finish(der, "PKCS#7", e) < 0 ||
	    expect_oid(&info, OID_SIGNED_DATA, "signed data", e) < 0 ||
	    der_expect(&info, DER_EXPLICIT(0), &content, e) < 0 ||
	    der_finish(info, "PKCS#7", e) < 0 ||
	    der_expect(&content, DER_SEQUENCE, ret, e) < 0)
		return -1;
	return der_finish(content, "PKCS#7", e);
}

static int
read_bag(struct span bag, struct span *certs, size_t max, size_t *ret_n, struct err *e)
{
	size_t n = 0;
	while (bag.len) {
		struct der_tlv t;
		if (der_next(&bag, &t, e) < 0)
			return -1;
		if (t.tag != DER_SEQUENCE)
			return err_set(
			    e, ERR_PARSE, "PKCS#7: no certificate where one should be");
		if (n == max)
			return err_set(
			    e, ERR_LIMIT, "PKCS#7: more than %zu certificates", max);
		certs[n++] = t.whole;
	}
	*ret_n = n;
	return 0;
}

int
p7_parse(struct span der, struct span *certs, size_t max, size_t *ret_n, struct err *e)
{
	struct span data, version, algs, encap;
	struct der_tlv t = {0};
	size_t n = 0;
	if (der.len > P7_MAX)
		return err_set(e, ERR_LIMIT, "PKCS#7 of %zu bytes", der.len);
	if (open_signed_data(der, &data, e) < 0 ||
	    der_expect_unsigned(&data, &version, e) < 0 ||
	    der_expect(&data, DER_SET, &algs, e) < 0 ||
	    der_expect(&data, DER_SEQUENCE, &encap, e) < 0 ||
	    expect_oid(&encap, OID_DATA, "certificates only", e) < 0 ||
	    der_finish(encap, "PKCS#7 content", e) < 0 || der_next(&data, &t, e) < 0)
		return -1;
	if (t.tag == DER_EXPLICIT(0) &&
	    (read_bag(t.content, certs, max, &n, e) < 0 || der_next(&data, &t, e) < 0))
		return -1;
	if (t.tag == DER_EXPLICIT(1) &&
	    der_next(&data, &t, e) < 0) /* crls: passed over */
		return -1;
	if (t.tag != DER_SET || t.content.len)
		return err_set(
		    e, ERR_PARSE, "PKCS#7: has signers, should be certificates only");
	*ret_n = n;
	return der_finish(data, "PKCS#7", e);
}
