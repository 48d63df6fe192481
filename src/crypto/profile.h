#ifndef CRYPTO_PROFILE_H
#define CRYPTO_PROFILE_H
/*
 * Issuance profiles: what a certificate of each kind looks like, as a const table.
 * Requests choose a row and fill in names, key and dates; nothing in a request adds a
 * right.
 */
#include "base/err.h"
#include "crypto/cert.h"
#include "crypto/key.h"

enum profile_id {
	PROFILE_ROOT,         /* self-signed, no path limit */
	PROFILE_INTERMEDIATE, /* pathlen 0 */
	PROFILE_DEVICE,       /* clientAuth, CN = device ID */
	PROFILE_SERVER,       /* serverAuth, SAN dNSName and iPAddress */
	PROFILE_OPERATOR,     /* clientAuth, CN = operator name */
	PROFILE_OCSP,         /* OCSPSigning: the delegated responder of its issuer */
	PROFILE_CROSS,        /* an existing CA, signed by another: issuer_cross */
	PROFILE_N
};

enum profile_san { PROFILE_SAN_NONE, PROFILE_SAN_HOSTS };
enum profile_cn { PROFILE_CN_TEXT, PROFILE_CN_DEVICE }; /* codec/id.h: id_is_device */

struct profile {
	const char *name;
	enum profile_cn cn;
	bool is_ca;
	int pathlen;        /* -1: absent; PROFILE_CROSS has the crossed CA's */
	unsigned usage;     /* enum cert_usage, always critical */
	unsigned usage_rsa; /* added for RSA keys */
	unsigned eku;       /* enum cert_eku, 0: absent */
	enum profile_san san;
	bool nocheck;           /* id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1) */
	enum key_hash hash_min; /* weakest hash the issuer may sign with */
	int64_t life_default_s; /* 20 y, 5 y, 90 d, 14 d */
	int64_t life_max_s;
	int64_t backdate_s; /* notBefore stands this far before now */
	unsigned kinds;     /* PROFILE_KIND() of each allowed enum spki_kind */
};
#define PROFILE_KIND(k) (1u << (k))

const struct profile *profile_get(enum profile_id id);
/* "root" "intermediate" "device" "server" "operator" "ocsp" "cross". */
must_check int profile_parse(struct span name, enum profile_id *ret, struct err *e);

#endif
