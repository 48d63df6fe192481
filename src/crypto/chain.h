#ifndef CRYPTO_CHAIN_H
#define CRYPTO_CHAIN_H
/*
 * Judges a client's certificate chain against a set of CA certificates. Possession of the
 * key was proved by the TLS handshake; here is only the path. It searches issuers by
 * name, backs out of dead ends (cross-signed rollovers need that), holds each certificate
 * against our own profile (crypto/rules.h) and lets OpenSSL validate each whole candidate
 * path, under a budget. Never logs. docs/path-validation.md says what is taken and why.
 */
#include "crypto/cert.h"
#include "crypto/crlset.h"

#define CHAIN_ANCHORS_MAX 4096
#define CHAIN_DEPTH_MAX   8  /* certificates in a path, leaf and anchor included */
#define CHAIN_CHECKS_MAX  32 /* signatures verified for one leaf: 35 ms of P-384 */
#define CHAIN_STEPS_MAX                                                                  \
	512 /* certificates looked at for one leaf: name loops end here                  \
	     */

/* A set of CA certificates, each parsed once. Build it whole, share it read-only between
 * verifications (one thread); to change it build another and swap. */
struct chain_set;
enum chain_flags {
	CHAIN_TRUSTED = 1 << 0, /* a path may end here, root or intermediate */
	CHAIN_HELPER = 0, /* only completes a path when the device did not send it */
	/* is not known: nothing that was presented with its key stands in a path */
	CHAIN_REFUSED = 1 << 1,
};
struct chain_set *chain_set_new(void);
void chain_set_free(struct chain_set *s);
own_define(struct chain_set, chain_set_free);
/* Adds a CA certificate; adding one again merges its flags. What is refused is so by its
 * key, for the certificate has a second encoding (the twin of an ECDSA signature), and
 * goes for what peers present: what the set itself knows stays. ERR_USAGE when it is no
 * CA, ERR_LIMIT at CHAIN_ANCHORS_MAX. Takes a reference of its own. */
must_check int chain_set_add(
    struct chain_set *s, struct cert *c, enum chain_flags flags, struct err *e);
size_t chain_set_len(const struct chain_set *s);

enum chain_reason {
	CHAIN_OK,
	CHAIN_SELF_SIGNED, /* not an error for thumbprint devices; trusted by no anchor */
	CHAIN_MALFORMED,
	CHAIN_EXPIRED,
	CHAIN_NOT_YET_VALID,
	CHAIN_UNKNOWN_ISSUER, /* no path ends at a trusted certificate */
	CHAIN_BAD_SIGNATURE,
	CHAIN_V1, /* an X.509 v1 leaf carries no profile */
	CHAIN_CA_AS_LEAF,
	CHAIN_NO_CLIENT_AUTH, /* an EKU without it, or key usage without digitalSignature
			       */
	CHAIN_NOT_A_CA,       /* an issuer that may not sign certificates */
	CHAIN_PATH_LENGTH,
	CHAIN_WEAK,      /* key or signature hash below 112 bits of strength */
	CHAIN_PROFILE,   /* unknown critical extension, name constraint, other rule */
	CHAIN_TOO_LONG,  /* path or budget */
	CHAIN_REVOKED,   /* by a list that was given */
	CHAIN_NO_STATUS, /* a list that was given cannot be used, or there is none */
	CHAIN_REASON_N
};
/* "expired", "unknown issuer": for logs and the connection log's reason column. */
const char *chain_reason_name(enum chain_reason r);
/* A certificate that no enrollment and no clock could make good: malformed, v1, a CA's,
 * not for clients, or weak (protocol/device.md 1.3). */
bool chain_reason_is_final(enum chain_reason r);

enum chain_purpose {
	CHAIN_CLIENT, /* what a device or an operator presents */
	CHAIN_SERVER,
	CHAIN_ANY_PURPOSE,
};

/* Inputs of RFC 5280 6.1.1 (c) to (g). */
struct chain_policy {
	const char *const *oids; /* user-initial-policy-set, dotted; none: any-policy */
	size_t n;
	bool explicit_policy, no_mapping, no_any;
};

/* All zero but now_ms is what the product runs with; the rest is somebody's wish. */
struct chain_options {
	int64_t now_ms;
	bool allow_v1;   /* leaves of the old how-to; off by default */
	bool strict_eku; /* the leaf must name clientAuth, and not critically; off: a leaf
			  * that names nothing may do all (RFC 5280 4.2.1.12) */
	enum chain_purpose purpose;
	unsigned depth; /* 0: no limit but CHAIN_DEPTH_MAX; else 1 + the CAs allowed
			 * between leaf and anchor, self-issued ones not counted */
	const struct crlset *crls; /* NULL: revocation is not looked at here */
	bool crl_all; /* a certificate whose issuer has no list in crls is refused too */
	const struct chain_policy *policy; /* NULL: no policy is asked for */
};

struct chain_verdict {
	enum chain_reason reason;
	char text[256]; /* "CN=dev-17: expired 2026-01-01T00:00:00Z"; "" when ok */
	/* of the leaf, filled whatever the reason: */
	char cn[NAME_CN_SIZE]; /* "" unless exactly one */
	char sha1[2 * DIGEST_SHA1 + 1],
	    sha256[2 * DIGEST_SHA256 + 1]; /* upper-case hex */
	int64_t not_before_ms, not_after_ms;
	/* SHA-256 thumbprints of the CAs, the leaf's issuer first, up past the anchor to
	 * the highest known CA; only when ok. The lookup order of protocol/device.md 2.2.
	 */
	uint8_t ca[CHAIN_DEPTH_MAX][DIGEST_SHA256];
	size_t n_ca;
	uint32_t sent;   /* a bit each of ca: it stood in the list */
	unsigned checks; /* signatures it took, as the budget counts them */
};

/* Judges list->v[0] with the rest of list (any order) and the set. The verdict is always
 * filled. Cannot fail otherwise: what is wrong is the verdict's reason. */
void chain_verify(const struct chain_set *s, const struct cert_list *list,
    const struct chain_options *o, struct chain_verdict *ret);

#endif
