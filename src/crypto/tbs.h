#ifndef CRYPTO_TBS_H
#define CRYPTO_TBS_H
/*
 * Builds a TBSCertificate (RFC 5280 4.1.2) from fields with codec/der.h. The key comes in
 * as a raw SPKI that is checked by pubkey.h and copied; OpenSSL decodes nothing foreign.
 */
#include "base/buf.h"
#include "crypto/profile.h"

#define TBS_SERIAL  16 /* random octets: 127 bits, positive, never zero */
#define TBS_SAN_MAX 16
#define TBS_MAX     8192
#define TBS_ORG_MAX 64 /* characters, ub-organization-name */

struct tbs_fields {
	enum profile_id profile;
	const char *cn;
	const char *org;              /* NULL or "": none */
	const char *san[TBS_SAN_MAX]; /* host names and IP addresses (v4, v6) as text */
	size_t n_san;
	struct span spki;           /* DER, foreign */
	uint8_t serial[TBS_SERIAL]; /* from tbs_serial */
	int64_t not_before_s,
	    not_after_s; /* since 1970; not_after up to TBS_NO_EXPIRY_S */
	/* Where to ask about the certificate, each a URL that ext_is_url takes, or NULL:
	 * absent. Leaves only. */
	const char *crl_url;      /* CRLDistributionPoints: exactly the URL in the list's
				   * IssuingDistributionPoint */
	const char *freshest_url; /* FreshestCRL */
	const char *ocsp_url;     /* AIA id-ad-ocsp */
	const char *issuers_url;  /* AIA id-ad-caIssuers: one certificate in DER */
	/* PROFILE_CROSS: the CA whose subject, key, key identifier and path length are
	 * taken over; cn, org and spki stay empty. */
	const struct cert *cross;
};

struct tbs_issuer {
	struct span name;   /* Name DER; SPAN_NONE: self-signed, the subject's */
	struct span key_id; /* its SKI; SPAN_NONE: self-signed, the subject's */
	enum key_alg alg;   /* signs with key_alg_hash(alg) */
};

#define TBS_NO_EXPIRY_S                                                                  \
	INT64_C(253402300799) /* 9999-12-31T23:59:59Z, RFC 5280 4.1.2.5                  \
			       */

/* A random serial: top bit clear and the first octet not zero, so that its 16 octets are
 * the number's shortest form and one text names it everywhere. */
void tbs_serial(uint8_t out[TBS_SERIAL]);
/* Appends the DER of the TBSCertificate. ERR_PARSE on names the profile refuses,
 * ERR_CRYPTO or ERR_UNSUPPORTED on the key, ERR_USAGE on dates out of order or range. */
must_check int tbs_build(const struct tbs_fields *f, const struct tbs_issuer *by,
    struct buf *out, struct err *e);
/* Appends the AlgorithmIdentifier that alg signs with. */
void tbs_put_sig_alg(struct buf *out, enum key_alg alg);
/* Wraps tbs and signature to the Certificate. */
void tbs_finish(struct span tbs, enum key_alg alg, struct span sig, struct buf *out);

#endif
