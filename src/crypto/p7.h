#ifndef CRYPTO_P7_H
#define CRYPTO_P7_H
/*
 * Degenerate PKCS#7 "certs-only" (RFC 5652 5.1, RFC 7030 4.1.3 and 4.2.3), in our own
 * DER.
 */
#include "base/buf.h"

#define P7_CERTS_MAX 16
#define P7_MAX       (128 * 1024)

/* Appends the ContentInfo that holds n certificates, in this order. */
must_check int p7_write(
    const struct span *certs, size_t n, struct buf *out, struct err *e);
/* The certificates as spans into der, not parsed further. ERR_LIMIT beyond max. */
must_check int p7_parse(
    struct span der, struct span *certs, size_t max, size_t *ret_n, struct err *e);

#endif
