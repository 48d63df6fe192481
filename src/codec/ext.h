#ifndef CODEC_EXT_H
#define CODEC_EXT_H
/*
 * X.509 extensions (RFC 5280 4.1.2.9) as certificates, CRLs and OCSP messages carry them:
 * the frame around a value, and the one value that several of them share, a distribution
 * point that is a URL. What a value means is the business of who reads it.
 */
#include "base/buf.h"

/* The OID's content for an arc of id-ce, 2.5.29: EXT_CE("\x1f"). */
#define EXT_CE(n)           SPAN_LIT("\x55\x1d" n)
#define EXT_AUTHORITY_KEY   EXT_CE("\x23")
#define EXT_CRL_NUMBER      EXT_CE("\x14")
#define EXT_CRL_POINTS      EXT_CE("\x1f")
#define EXT_CRL_REASON      EXT_CE("\x15")
#define EXT_DELTA_CRL       EXT_CE("\x1b")
#define EXT_FRESHEST_CRL    EXT_CE("\x2e")
#define EXT_ISSUING_POINT   EXT_CE("\x1c")
#define EXT_INVALIDITY_DATE EXT_CE("\x18")

#define EXT_URL_MAX 512

struct ext {
	struct span oid; /* content bytes */
	bool critical;
	struct span value; /* content of the OCTET STRING */
};

/* Takes the first Extension off the content of an Extensions. ERR_PARSE on another shape;
 * an explicit "critical FALSE" is let through, as half the world writes it. */
must_check int ext_next(struct span *in, struct ext *ret, struct err *e);

/* Opens an extension; what is written until ext_end is its value. */
struct ext_mark {
	size_t seq, octets;
};
must_check struct ext_mark ext_begin(struct buf *b, struct span oid, bool critical);
void ext_end(struct buf *b, struct ext_mark m);

/* True for "http://" or "https://", printable ASCII without spaces, EXT_URL_MAX at most:
 * what may be put in a certificate as a place to fetch from. */
bool ext_is_url(struct span url);
/* A GeneralName that is a URI (4.2.1.6). */
void ext_put_uri(struct buf *b, struct span url);
/* DistributionPointName [0] whose fullName is that one URI (4.2.1.13). */
void ext_put_point_name(struct buf *b, struct span url);
/* The content of such a [0], read: ERR_UNSUPPORTED where it is not one URI. */
must_check int ext_read_point_name(
    struct span content, struct span *ret_url, struct err *e);
/* A whole extension, not critical: CRLDistributionPoints or FreshestCRL with one point.
 */
void ext_put_points(struct buf *b, struct span oid, struct span url);

#endif
