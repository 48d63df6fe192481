#ifndef CRYPTO_CA_H
#define CRYPTO_CA_H
/*
 * The CAs of a home, checked against each other, and the making of new ones. No file is
 * touched here: texts and keys come from the caller (role/ca_dir.h).
 *
 * Devices and operators have issuing CAs of their own, so that a device's certificate can
 * never pass for an operator's or a server's.
 */
#include "codec/ca_conf.h"
#include "crypto/issuer.h"

struct ca_member {
	char name[CA_CONF_NAME_MAX + 1];
	enum ca_purpose purpose;
	struct cert *cert;
	struct issuer *issuer; /* NULL: its key is not here */
};

struct ca {
	struct ca_member v[CA_CONF_MAX];
	size_t n;
};
void ca_done(struct ca *c);
#define auto_ca __attribute__((cleanup(ca_done))) struct ca

/* Adds the CA of a row: pem is its certificate (the first in it), key its key or NULL;
 * takes a reference of key. CORRUPT where key and certificate do not belong together, a
 * root is not self-signed, or the certificate is no CA's. */
must_check int ca_add(struct ca *c, const struct ca_conf_row *row, struct span pem,
    struct key *key, struct err *e);
/* Holds them against each other: there is a device CA and a service CA with a key that
 * may issue now (DENIED and "check the clock" where only their dates forbid it, NOT_FOUND
 * else); each issuing CA verifies to a root or cross certificate that is here (CRYPTO);
 * no device CA has the name or the key of a service CA (CORRUPT). */
must_check int ca_check(const struct ca *c, int64_t now_s, struct err *e);
/* The last two alone, whoever has keys. */
must_check int ca_check_trust(const struct ca *c, struct err *e);
/* The same of one member, held against those before it. */
must_check int ca_check_member(const struct ca *c, size_t i, struct err *e);
/* Takes a member out; those behind it move up. */
void ca_drop(struct ca *c, size_t i);

struct ca_member *ca_find(struct ca *c, struct span sha256);
struct ca_member *ca_by_name(struct ca *c, struct span name);
/* The first of a purpose; issuing CAs only with their key. NULL where there is none. */
struct ca_member *ca_first(struct ca *c, enum ca_purpose p);
/* Which purpose issues a leaf profile; CA_PURPOSE_N: none does. */
enum ca_purpose ca_purpose_of(enum profile_id profile);

/* ---- making ---- */

struct ca_subject {
	const char *cn, *org; /* org NULL: none */
	int64_t life_s;       /* 0: the profile's default */
};
/* A self-signed root; its PEM is appended. */
must_check int ca_make_root(struct key *key, const struct ca_subject *who, int64_t now_s,
    struct buf *pem, struct err *e);
/* An issuing CA under root, for a key that may be somewhere else; its PEM is appended
 * after it was checked against the profile. */
must_check int ca_make_issuing(struct issuer *root, struct span spki,
    const struct ca_subject *who, int64_t now_s, struct buf *pem, struct err *e);

#endif
