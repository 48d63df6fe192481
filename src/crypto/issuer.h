#ifndef CRYPTO_ISSUER_H
#define CRYPTO_ISSUER_H
/*
 * An issuer: CA certificate, private key and the contexts that sign. One thread at a
 * time; issuer_clone gives another thread its own.
 */
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/tbs.h"

struct issuer;

/* From a certificate (the first of cert_pem) and its key: ERR_CRYPTO when they do not
 * belong together, ERR_USAGE when it is no CA that may sign certificates. Takes a
 * reference of key. */
must_check struct issuer *issuer_new(
    struct span cert_pem, struct key *key, struct err *e);
must_check struct issuer *issuer_clone(const struct issuer *i, struct err *e);
void issuer_free(struct issuer *i);
own_define(struct issuer, issuer_free);

const struct cert *issuer_cert(const struct issuer *i);
struct key *issuer_key(const struct issuer *i); /* borrowed */

/* What a certificate is wanted for. life_s 0: the profile's default. */
struct issuer_request {
	enum profile_id profile;
	const char *cn, *org;
	const char *const *san;
	size_t n_san;
	struct span spki;
	int64_t now_s;
	int64_t life_s;
	const int64_t *backdate_s; /* NULL: the profile's margin */
};

struct issuer_result {
	uint8_t serial[TBS_SERIAL];
	int64_t not_before_s, not_after_s;
	bool clamped; /* shorter than asked: it may not outlive its issuer */
	uint8_t sha256[DIGEST_SHA256];
};

/* Fills serial and dates: back-dated by the profile's margin but never before the
 * issuer's notBefore, never past its notAfter. ERR_DENIED when the issuer has expired or
 * is not valid yet, or when the profile is not for this issuer (a CA under pathlen 0). */
must_check int issuer_plan(const struct issuer *i, const struct issuer_request *r,
    struct tbs_fields *ret_f, bool *ret_clamped, struct err *e);
/* Plan, build, sign: appends the certificate's DER to out. */
must_check int issuer_sign(struct issuer *i, const struct issuer_request *r,
    struct buf *out, struct issuer_result *ret, struct err *e);

/* Issues a throw-away leaf for each leaf profile, parses it with OpenSSL, checks every
 * field against the profile and verifies the chain. Run at start, before the first real
 * signature. */
must_check int issuer_self_check(struct issuer *i, int64_t now_s, struct err *e);
/* The check itself, on one certificate. */
must_check int issuer_check(
    const struct issuer *i, enum profile_id profile, struct span der, struct err *e);

/* OpenSSL verifies c with ca as its only trust, at a moment of c's life; no profile is
 * asked for. For CAs that were made elsewhere. */
must_check int issuer_verify(const struct cert *ca, const struct cert *c, struct err *e);

/* A self-signed root for key; its DER is appended to out. */
must_check int issuer_self_sign(struct key *key, const char *cn, const char *org,
    int64_t now_s, int64_t life_s, struct buf *out, struct err *e);

#endif
