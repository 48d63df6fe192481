#ifndef CRYPTO_CRLSET_H
#define CRYPTO_CRLSET_H
/*
 * Foreign revocation lists that a chain is held against (crypto/chain.h): of the CAs of
 * enrollment groups, by whoever made them, full, delta or indirect (RFC 5280 5, 6.3). Our
 * own devices are judged by the database; our own lists are crypto/crl.h's.
 */
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define CRLSET_MAX      64
#define CRLSET_LIST_MAX (16u << 20) /* one list, DER */

struct X509_crl_st;  /* OpenSSL's X509_CRL */
struct X509_name_st; /* X509_NAME */

/* Build it whole, share it read-only between verifications. */
struct crlset;
struct crlset *crlset_new(void);
void crlset_free(struct crlset *s);
own_define(struct crlset, crlset_free);
/* Takes one list as DER with nothing behind it; whose it is and whether it is signed is
 * the verification's to find out. ERR_PARSE on another shape, a list without a number or
 * with a critical one (5.2.3) or without nextUpdate (5.1.2.5); ERR_LIMIT. */
must_check int crlset_add(struct crlset *s, struct span der, struct err *e);
size_t crlset_len(const struct crlset *s);

/* For the judge: the i-th list, borrowed, or NULL where now is outside thisUpdate to
 * nextUpdate. */
struct X509_crl_st *crlset_current(const struct crlset *s, size_t i, int64_t now_ms);
/* Is a list there, current or not, that this issuer signed by its name? */
bool crlset_speaks_for(const struct crlset *s, const struct X509_name_st *issuer);

#endif
