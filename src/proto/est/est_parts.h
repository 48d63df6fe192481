#ifndef PROTO_EST_PARTS_H
#define PROTO_EST_PARTS_H
/*
 * Pieces of EST's answers and requests that are bytes alone: csrattrs, the two parts of
 * serverkeygen, what a certificate's names are.
 */
#include "base/buf.h"
#include "codec/config.h"

/* Appends the DER of CsrAttrs (RFC 7030 4.5.2, RFC 8951): the key and the signature that
 * are wanted, challengePassword where requests must be linked. */
void est_parts_csrattrs(const struct config *cfg, struct buf *out);

/* Appends the body of serverkeygen's answer (RFC 7030 4.4.2): the key (PKCS#8) and the
 * certificate (certs-only), both DER. out holds the key then: secret. */
void est_parts_keygen(
    struct span pkcs8, struct span p7, const char *boundary, struct buf *out);

/* The value of a certificate's subject alternative name, SPAN_NONE where it has none;
 * into der. ERR_PARSE on what is no certificate. */
must_check int est_parts_san(struct span der, struct span *ret, struct err *e);

#endif
