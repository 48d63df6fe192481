/*
 * X.509 extensions: the frame, and distribution points.
 */
#include "codec/ext.h"

#include "codec/der.h"

#define URI DER_IMPLICIT(6) /* of a GeneralName */

int
ext_next(struct span *in, struct ext *ret, struct err *e)
{
	struct span rest = *in, seq;
	struct ext x = {.critical = false};
	struct der_tlv t;
	if (der_expect(&rest, DER_SEQUENCE, &seq, e) < 0 ||
	    der_expect(&seq, DER_OID, &x.oid, e) < 0 || der_next(&seq, &t, e) < 0)
		return -1;
	if (t.tag == DER_BOOLEAN) {
		if (t.content.len != 1)
			return err_set(e, ERR_PARSE, "extension's critical flag");
		x.critical = t.content.p[0] != 0;
		if (der_next(&seq, &t, e) < 0)
			return -1;
	}
	if (t.tag != DER_OCTET_STRING)
		return err_set(e, ERR_PARSE, "extension without a value");
	if (der_finish(seq, "extension", e) < 0)
		return -1;
	x.value = t.content;
	*ret = x;
	*in = rest;
	return 0;
}

struct ext_mark
ext_begin(struct buf *b, struct span oid, bool critical)
{
	struct ext_mark m;
	m.seq = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	if (critical)
		der_put_bool(b, true);
	m.octets = der_begin(b, DER_OCTET_STRING);
	return m;
}

void
ext_end(struct buf *b, struct ext_mark m)
{
	der_end(b, m.octets);
	der_end(b, m.seq);
}

bool
ext_is_url(struct span url)
{
	struct span rest = span_skip(url, 7);
	if (span_istarts(url, SPAN_LIT("https://")))
		rest = span_skip(url, 8);
	else if (!span_istarts(url, SPAN_LIT("http://")))
		return false;
	if (rest.len == 0 || rest.p[0] == '/' || url.len > EXT_URL_MAX)
		return false;
	for (size_t i = 0; i < rest.len; i++)
		if (rest.p[i] <= ' ' || rest.p[i] > '~')
			return false;
	return true;
}

void
ext_put_uri(struct buf *b, struct span url)
{
	der_put(b, URI, url);
}

void
ext_put_point_name(struct buf *b, struct span url)
{
	size_t name = der_begin(b, DER_EXPLICIT(0));
	size_t full = der_begin(b, DER_EXPLICIT(0));
	ext_put_uri(b, url);
	der_end(b, full);
	der_end(b, name);
}

int
ext_read_point_name(struct span content, struct span *ret_url, struct err *e)
{
	struct der_tlv full, uri;
	if (der_next(&content, &full, e) < 0 ||
	    der_finish(content, "distribution point", e) < 0)
		return -1;
	if (full.tag != DER_EXPLICIT(0))
		return err_set(e, ERR_UNSUPPORTED, "distribution point without fullName");
	if (der_next(&full.content, &uri, e) < 0)
		return -1;
	if (uri.tag != URI || full.content.len)
		return err_set(
		    e, ERR_UNSUPPORTED, "distribution point that is not one URL");
	*ret_url = uri.content;
	return 0;
}

void
ext_put_points(struct buf *b, struct span oid, struct span url)
{
	struct ext_mark x = ext_begin(b, oid, false);
	size_t points = der_begin(b, DER_SEQUENCE), point = der_begin(b, DER_SEQUENCE);
	ext_put_point_name(b, url);
	der_end(b, point);
	der_end(b, points);
	ext_end(b, x);
}
