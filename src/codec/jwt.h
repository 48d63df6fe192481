#ifndef CODEC_JWT_H
#define CODEC_JWT_H
/*
 * JSON Web Tokens (RFC 7519) in the one form that we make: compact (RFC 7515 3.1), signed
 * with ES256, with a kid. Nothing here verifies; who does hands the bytes of "input" to
 * crypto, and reads claims only of what was found good.
 */
#include "base/buf.h"

#define JWT_MAX     4096
#define JWT_SIG     64 /* r and s of P-256 (RFC 7518 3.4) */
#define JWT_KID_MAX 32
#define JWT_SUB_MAX 64
#define JWT_AUD_MAX 255

struct jwt {
	struct span input; /* what is signed; inside the token */
	uint8_t sig[JWT_SIG];
	char kid[JWT_KID_MAX + 1];
};

/* Splits a token. ERR_PARSE on any other alg than ES256, on critical extensions (RFC 7515
 * 4.1.11) and on a header without kid; ERR_LIMIT past JWT_MAX. The error holds nothing of
 * the token. */
must_check int jwt_parse(struct span token, struct jwt *ret, struct err *e);

/* Times in seconds since 1970. secret_ms: which of the operator's secrets it came by. */
struct jwt_claims {
	char sub[JWT_SUB_MAX + 1], aud[JWT_AUD_MAX + 1];
	int64_t iat_s, exp_s, secret_ms;
};

/* The claims in the input of a token whose signature is good. */
must_check int jwt_claims_parse(struct span input, struct jwt_claims *ret, struct err *e);
/* Appends the input of a new token. ERR_PARSE where a text is no UTF-8. */
must_check int jwt_write_input(const struct jwt_claims *c, const char *kid,
    const char *issuer, struct buf *out, struct err *e);
/* Appends the dot and the signature behind its input. */
void jwt_write_sig(const uint8_t sig[JWT_SIG], struct buf *out);

#endif
