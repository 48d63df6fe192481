#ifndef CRYPTO_RULES_H
#define CRYPTO_RULES_H
/*
 * Our own profile of what stands in a chain, on top of what OpenSSL judges of a path:
 * what RFC 5280 demands of a certificate by itself and OpenSSL lets through. Pure, per
 * certificate, no signatures. docs/path-validation.md lists the rules and why.
 */
#include "crypto/chain.h"

#define RULES_EXTENSIONS_MAX 32  /* in one certificate */
#define RULES_NAMES_MAX      128 /* alternative names in one certificate */
#define RULES_SUBTREES_MAX   256 /* name constraints in one certificate */

enum rules_role {
	RULES_LEAF = 1 << 0,
	RULES_CA = 1 << 1,     /* a CA between leaf and anchor */
	RULES_ANCHOR = 1 << 2, /* a CA somebody here trusts by name: key identifiers may
				  be missing (RFC 5280 6.1.1 (d)) */
};

/* What is wrong with a certificate; text NULL: nothing. */
struct rules_fault {
	enum chain_reason reason;
	const char *text; /* static */
};

/* Of o counts what is asked of one certificate: purpose, strict_eku, policy. */
struct rules_fault rules_check(
    const struct cert *c, enum rules_role role, const struct chain_options *o);

/* The key alone: of a kind and size that we take from anybody. */
struct rules_fault rules_key(const struct cert *c);

#endif
