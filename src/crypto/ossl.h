#ifndef CRYPTO_OSSL_H
#define CRYPTO_OSSL_H
/*
 * What the files of this folder share about OpenSSL: ownership of its types, its error
 * queue, algorithms fetched once. Included by .c files here only.
 */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

own_define(BIO, BIO_free_all);
own_define(BIGNUM, BN_clear_free);
own_define(BN_CTX, BN_CTX_free);
own_define(EVP_MAC_CTX, EVP_MAC_CTX_free);
own_define(EVP_MD_CTX, EVP_MD_CTX_free);
own_define(EVP_PKEY, EVP_PKEY_free);
own_define(EVP_PKEY_CTX, EVP_PKEY_CTX_free);
own_define(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free);
own_define(SSL, SSL_free);
own_define(SSL_CTX, SSL_CTX_free);
own_define(X509, X509_free);
own_define(X509_ALGOR, X509_ALGOR_free);
own_define(X509_SIG, X509_SIG_free);
own_define(X509_STORE, X509_STORE_free);
own_define(X509_STORE_CTX, X509_STORE_CTX_free);

/* Fetched once a process; a library that lacks one ends it. */
struct ossl_algs {
	EVP_MD *sha1, *sha256, *sha384;
	EVP_MAC *hmac;
};
const struct ossl_algs *ossl_algs(void);

/* Sets e to the text plus the reason of OpenSSL's first queued error (its words, never
 * its data), and empties the queue. Returns -1. */
#define ossl_error(e, code, ...) ossl_error_at((e), (code), ERR_HERE, __VA_ARGS__)
int ossl_error_at(struct err *e, enum err_code code, const char *where, const char *fmt,
    ...) printf_like(4, 5);

/* Queues e's text as an error of ours, for callbacks inside OpenSSL; ossl_error gives it
 * back. */
void ossl_raise(const struct err *e);

/* A number as a parameter, in native byte order; its bytes go to *room, which moves on.
 */
OSSL_PARAM ossl_bn_param(const char *name, const BIGNUM *v, uint8_t **room);

/* Appends what a memory BIO holds. */
void ossl_put_bio(struct buf *out, BIO *b);

#endif
