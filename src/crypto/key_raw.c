/*
 * EC key pairs without EVP around them: the random number and the multiplication that the
 * default provider makes (crypto/ec/ec_key.c, ec_generate_key), read out as bytes at
 * once. An EVP_PKEY of the same pair costs as much again, most of it for asking the point
 * back.
 */
#include <openssl/ec.h>

#include "crypto/key_impl.h"
#include "crypto/ossl.h"

struct key_raw {
	EC_GROUP *group;
	EC_POINT *p;
	BIGNUM *d;
	BN_CTX *ctx;
	size_t len;
	uint8_t scalar[KEY_SCALAR_MAX], point[KEY_POINT_MAX];
};

struct key_raw *
key_raw_new(const struct key_row *row, struct err *e)
{
	auto_(key_raw_free) struct key_raw *r = own_alloc(sizeof(*r));
	r->len = KEY_SCALAR_LEN(row);
	r->group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(row->group));
	r->p = r->group ? EC_POINT_new(r->group) : NULL;
	r->d = BN_secure_new();
	r->ctx = BN_CTX_secure_new();
	if (r->p && r->d && r->ctx)
		return TAKE(r);
	ossl_error(e, ERR_CRYPTO, "key generation, %s", row->name);
	return NULL;
}

void
key_raw_free(struct key_raw *r)
{
	if (!r)
		return;
	BN_CTX_free(r->ctx);
	BN_clear_free(r->d);
	EC_POINT_free(r->p);
	EC_GROUP_free(r->group);
	own_wipe(r->scalar, sizeof(r->scalar));
	free(r);
}

/* A uniform number in [1, n - 1] (FIPS 186-5 A.2.2). */
static int
draw(struct key_raw *r)
{
	do {
		if (!BN_priv_rand_range_ex(
			r->d, EC_GROUP_get0_order(r->group), 0, r->ctx))
			return -1;
	} while (BN_is_zero(r->d));
	return 0;
}

int
key_raw_make(struct key_raw *r, struct span *ret_d, struct span *ret_point, struct err *e)
{
	size_t point_len = 1 + 2 * r->len;
	if (draw(r) < 0 || !EC_POINT_mul(r->group, r->p, r->d, NULL, NULL, r->ctx) ||
	    EC_POINT_point2oct(r->group, r->p, POINT_CONVERSION_UNCOMPRESSED, r->point,
		point_len, r->ctx) != point_len ||
	    BN_bn2binpad(r->d, r->scalar, (int)r->len) < 0)
		return ossl_error(e, ERR_CRYPTO, "key generation");
	*ret_d = span_of(r->scalar, r->len);
	*ret_point = span_of(r->point, point_len);
	return 0;
}
