#ifndef TEST_UNIT_CRYPTO_FORGE_H
#define TEST_UNIT_CRYPTO_FORGE_H
/*
 * Certificates as others make them, good and bad, by OpenSSL's own builder: what our
 * issuer would never write. Failing here fails the test.
 */
#include "../test.h"

#include "crypto/cert.h"
#include "crypto/key.h"

#define NOW_S     INT64_C(1795300000) /* November 2026 */
#define NOW_MS    (NOW_S * 1000)
#define FORGE_DAY INT64_C(86400)

/* A name with its key; what signs and is signed. */
struct party {
	struct key *key;
	struct cert *cert;
};

struct forge {
	const char *cn;             /* NULL: a subject without one */
	const struct party *issuer; /* NULL: self-signed */
	int version;                /* 0: 3 */
	int64_t from_s, to_s;       /* 0: an hour ago, in 30 days */
	const char *basic; /* basicConstraints as openssl.cnf has it; NULL: none */
	const char *usage, *eku;
	const char *nid_name, *nid_value; /* one more extension */
	bool twice;                       /* that one */
	const char *hash;                 /* NULL: SHA256 */
	bool no_ids;                      /* neither SKI nor AKI */
	bool zero_serial, negative_serial;
	bool refused;      /* cert_parse must refuse it: the party has no cert */
	int rsa_bits;      /* 0: EC */
	const char *curve; /* NULL: P-256 */
	struct key *key;   /* NULL: fresh */
};

/* A forged certificate and its key (key NULL when it is of a kind ours does not hold). */
struct party forge(const struct forge *f);
void party_done(struct party *p);
#define auto_party __attribute__((cleanup(party_done))) struct party

/* A root, pathlen 0 intermediate and device leaf as ours are. */
struct party forge_root(const char *cn);
struct party forge_ca(const char *cn, const struct party *issuer);
struct party forge_leaf(const char *cn, const struct party *issuer);

#endif
