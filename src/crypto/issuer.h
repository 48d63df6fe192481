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
/* Its SKI, or what it would be: the AKI of all it signs. */
struct span issuer_key_id(const struct issuer *i);
/* The contexts that sign, borrowed: for crypto/crl.c, which builds what it signs. */
struct key_signer *issuer_signer(struct issuer *i);

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
	/* From tbs_serial, for who puts the shard of the serial number in crl_url; NULL:
	 * drawn here. */
	const uint8_t *serial;
	const char *crl_url, *freshest_url, *ocsp_url, *issuers_url; /* as in tbs.h */
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

/* A cross certificate: ca's subject, key, key identifier and path length under i, so that
 * who trusts i trusts what ca signs (RFC 4210 4.4: new with old, old with new; RFC 7030
 * 4.1.3). It ends when ca does at the latest. ERR_USAGE when ca is no CA, is i's own
 * certificate or has i's key. Whether ca deserves it was the caller's to find out. */
must_check int issuer_cross(struct issuer *i, const struct cert *ca, int64_t now_s,
    int64_t life_s, struct buf *out, struct issuer_result *ret, struct err *e);

/* Issues a throw-away leaf for each leaf profile, parses it with OpenSSL, checks every
 * field against the profile and verifies the chain. Run at start, before the first real
 * signature. */
must_check int issuer_self_check(struct issuer *i, int64_t now_s, struct err *e);
/* The check itself, on one certificate; its URLs are looked at by the next. */
must_check int issuer_check(
    const struct issuer *i, enum profile_id profile, struct span der, struct err *e);

/* As issuer_check, for what r asked: the URLs are exactly r's. */
must_check int issuer_check_request(const struct issuer *i,
    const struct issuer_request *r, struct span der, struct err *e);
/* As issuer_check, for a cross certificate of ca. */
must_check int issuer_check_cross(
    const struct issuer *i, const struct cert *ca, struct span der, struct err *e);

/* OpenSSL verifies c with ca as its only trust, at a moment of c's life; no profile is
 * asked for. For CAs that were made elsewhere. */
must_check int issuer_verify(const struct cert *ca, const struct cert *c, struct err *e);

/* A self-signed root for key; its DER is appended to out. */
must_check int issuer_self_sign(struct key *key, const char *cn, const char *org,
    int64_t now_s, int64_t life_s, struct buf *out, struct err *e);

#endif
