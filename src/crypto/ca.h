#ifndef CRYPTO_CA_H
#define CRYPTO_CA_H
/*
 * The CA directory, as named texts: made and checked here, written and read (with
 *permission checks, atomically, refusing one that exists) by the caller through io/file.
 *
 *	root.pem root.key		the root; its key encrypted, meant to leave the
 *machine device-ca.pem device-ca.key	issues device leaves, nothing else service-ca.pem
 *service-ca.key	issues server and operator leaves
 *	chain.pem			both intermediates and the root
 *
 * Two intermediates, so a device certificate can never pass for an operator's or a
 *server's.
 */
#include "crypto/chain.h"
#include "crypto/issuer.h"

#define CA_FILES_MAX 7

struct ca_file {
	const char *name; /* static */
	struct buf pem;
	bool secret; /* mode 0600 */
};
struct ca_material {
	struct ca_file files[CA_FILES_MAX];
	size_t n;
};
void ca_material_done(struct ca_material *m); /* wipes */
#define auto_ca_material __attribute__((cleanup(ca_material_done))) struct ca_material

/* The names and modes that make a CA directory, in the order they are written. */
struct ca_file_row {
	const char *name;
	bool secret;
	bool optional; /* root.key may have left the machine */
};
extern const struct ca_file_row ca_file_rows[CA_FILES_MAX];
/* The member of that name, NULL when it is absent. */
struct ca_file *ca_material_get(struct ca_material *m, const char *name);
/* Adds a text the caller has read. name must stand in ca_file_rows (ERR_USAGE). */
must_check int ca_material_put(
    struct ca_material *m, const char *name, struct span pem, struct err *e);

struct ca_options {
	const char *root_cn, *device_cn,
	    *service_cn; /* NULL: "muster Root CA" and so on */
	const char *org; /* NULL: none */
	enum key_alg root_alg, issuing_alg;
	int64_t root_life_s, issuing_life_s; /* 0: the profile's default */
	struct span passphrase; /* of the root key, KEY_PASSPHRASE_MIN at least */
};

must_check int ca_create(
    const struct ca_options *o, int64_t now_s, struct ca_material *ret, struct err *e);

struct ca {
	struct issuer *device, *service;
	struct cert *root;
};
/* Parses and checks: keys match, both intermediates are of their profile and verify to
 * the root, now. The root's key is not opened. */
must_check int ca_load(
    struct ca_material *m, int64_t now_s, struct ca *ret, struct err *e);
void ca_done(struct ca *c);
/* The issuer that a leaf profile belongs to; NULL for CA profiles. */
struct issuer *ca_issuer(struct ca *c, enum profile_id profile);

#endif
