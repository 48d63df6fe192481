/*
 * Keys by URI: which place is meant, and its verb. To add a place: a kind in
 * codec/key_uri.h, a struct key_place, a row here.
 */
#include "crypto/key_impl.h"

static const struct key_place *const places[] = {
    [KEY_URI_FILE] = &key_file_place,
    [KEY_URI_PKCS11] = &key_p11_place,
    [KEY_URI_TPM2] = &key_tpm_place,
};

const struct key_place *
key_place_of(const char *uri, struct key_uri *ret, struct err *e)
{
	return key_uri_parse(span_str(uri), ret, e) ? NULL : places[ret->kind];
}

struct key *
key_open(const char *uri, key_passphrase ask, void *arg, struct err *e)
{
	struct key_uri u;
	const struct key_place *p = key_place_of(uri, &u, e);
	return p ? p->open(&u, ask, arg, e) : NULL;
}

struct key *
key_create(const char *uri, enum key_alg alg, struct err *e)
{
	struct key_uri u;
	const struct key_place *p = key_place_of(uri, &u, e);
	return p ? p->create(&u, alg, e) : NULL;
}

int
key_delete(const char *uri, struct err *e)
{
	struct key_uri u;
	const struct key_place *p = key_place_of(uri, &u, e);
	return p ? p->remove(&u, e) : -1;
}

int
key_each(const char *uri, key_visit visit, void *arg, struct err *e)
{
	struct key_uri u;
	const struct key_place *p = key_place_of(uri, &u, e);
	return p ? p->each(&u, visit, arg, e) : -1;
}

int
key_cert_put(const char *uri, struct span der, struct err *e)
{
	struct key_uri u;
	const struct key_place *p = key_place_of(uri, &u, e);
	return p ? p->cert_put(&u, der, e) : -1;
}

int
key_cert_get(const char *uri, struct buf *out, struct err *e)
{
	struct key_uri u;
	const struct key_place *p = key_place_of(uri, &u, e);
	return p ? p->cert_get(&u, out, e) : -1;
}
