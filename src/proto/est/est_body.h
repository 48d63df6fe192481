#ifndef PROTO_EST_BODY_H
#define PROTO_EST_BODY_H
/*
 * The body of an EST request, as real clients send it. What RFC 8951 asks for is base64
 * of DER, white space allowed, whatever Content-Transfer-Encoding says. More is read than
 * that, where it can mean only one thing, and every oddity is named, so that its maker
 * can put it right.
 */
#include "base/buf.h"

#define EST_BODY_ODD_MAX 300

struct est_body_in {
	struct span body;
	/* headers; NULL: absent */
	const char *content_type, *transfer_encoding;
};

/* Appends the DER to der, and to odd the oddities as text for a header ("PEM armour; no
 * Content-Type"), "" for none; odd is filled on failure, too. ERR_PARSE says what the
 * body looks like instead. That it is a request is for csr_parse to find. */
must_check int est_body_read(
    const struct est_body_in *in, struct buf *der, struct buf *odd, struct err *e);

#endif
