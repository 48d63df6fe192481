/*
 * Making keys. EC: one context for all, and the SPKI by our own DER code. RSA: primes
 * come from BN_generate_prime_ex2, for the EVP path's auxiliary primes cost 2 to 3 times
 * more (LIBRARIES 3.1); the checks of FIPS 186-5 A.1.3 on them are here.
 */
#include "crypto/key_impl.h"

#include "crypto/ossl.h"

#define RSA_EXPONENT 65537

struct key_maker {
	enum key_alg alg;
	EVP_PKEY_CTX *ctx;   /* EC */
	struct key_raw *raw; /* EC; made when key_maker_write first wants it */
};

struct key_maker *
key_maker_new(enum key_alg alg, struct err *e)
{
	const struct key_row *row = key_row(alg);
	auto_(key_maker_free) struct key_maker *m = own_alloc(sizeof(*m));
	m->alg = alg;
	if (row->kind == SPKI_RSA)
		return TAKE(m);
	m->ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (m->ctx && EVP_PKEY_keygen_init(m->ctx) == 1 &&
	    EVP_PKEY_CTX_set_group_name(m->ctx, row->group) == 1)
		return TAKE(m);
	ossl_error(e, ERR_CRYPTO, "key generation, %s", row->name);
	return NULL;
}

void
key_maker_free(struct key_maker *m)
{
	if (!m)
		return;
	EVP_PKEY_CTX_free(m->ctx);
	key_raw_free(m->raw);
	free(m);
}

static struct key *
make_ec(struct key_maker *m, struct err *e)
{
	auto_(EVP_PKEY_free) EVP_PKEY *p = NULL;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	uint8_t point[KEY_POINT_MAX];
	size_t len;
	if (EVP_PKEY_generate(m->ctx, &p) != 1) {
		ossl_error(e, ERR_CRYPTO, "key generation");
		return NULL;
	}
	if (key_ec_point(p, point, &len, e) < 0)
		return NULL;
	key_put_ec_spki(&spki, key_row(m->alg), span_of(point, len));
	return key_wrap(&p, &spki, m->alg);
}

/* The numbers of an RSA key while it is made. */
struct rsa {
	BN_CTX *ctx;
	BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi; /* as in RFC 8017 A.1.2 */
	BIGNUM *p1, *q1, *lcm, *t;
};

static int
rsa_alloc(struct rsa *r)
{
	BIGNUM **const all[] = {&r->n, &r->e, &r->d, &r->p, &r->q, &r->dp, &r->dq, &r->qi,
	    &r->p1, &r->q1, &r->lcm, &r->t};
	r->ctx = BN_CTX_new();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*all[i] = BN_new();
		if (!*all[i])
			return -1;
		if (*all[i] != r->n && *all[i] != r->e)
			BN_set_flags(*all[i], BN_FLG_CONSTTIME);
	}
	return r->ctx ? 0 : -1;
}

static void
rsa_done(struct rsa *r)
{
	BIGNUM *const all[] = {r->n, r->e, r->d, r->p, r->q, r->dp, r->dq, r->qi, r->p1,
	    r->q1, r->lcm, r->t};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		BN_clear_free(all[i]);
	BN_CTX_free(r->ctx);
}

/* A prime of bits with gcd(prime - 1, e) = 1. The two top bits are set, so that the
 * product of two has its full length. e is prime: the gcd is 1 unless e divides. */
static int
rsa_prime(struct rsa *r, BIGNUM *out, int bits)
{
	for (;;) {
		if (!BN_generate_prime_ex2(out, bits, 0, NULL, NULL, NULL, r->ctx))
			return -1;
		BN_ULONG rest = BN_mod_word(out, RSA_EXPONENT);
		if (rest == (BN_ULONG)-1)
			return -1;
		if (rest != 1)
			return 0;
	}
}

/* p > q, further apart than 2^(bits/2 - 100) (FIPS 186-5 A.1.3). */
static int
rsa_primes(struct rsa *r, int bits)
{
	if (rsa_prime(r, r->p, bits / 2) < 0)
		return -1;
	do {
		if (rsa_prime(r, r->q, bits / 2) < 0 || !BN_sub(r->t, r->p, r->q))
			return -1;
	} while (BN_num_bits(r->t) <= bits / 2 - 100);
	if (BN_cmp(r->p, r->q) < 0)
		BN_swap(r->p, r->q);
	BN_set_flags(r->p, BN_FLG_CONSTTIME);
	BN_set_flags(r->q, BN_FLG_CONSTTIME);
	return 0;
}

/* n and the private values, d modulo lcm(p-1, q-1). */
static int
rsa_derive(struct rsa *r)
{
	BN_CTX *c = r->ctx;
	if (!BN_mul(r->n, r->p, r->q, c) || !BN_sub(r->p1, r->p, BN_value_one()) ||
	    !BN_sub(r->q1, r->q, BN_value_one()) || !BN_mul(r->d, r->p1, r->q1, c) ||
	    !BN_gcd(r->t, r->p1, r->q1, c) || !BN_div(r->lcm, NULL, r->d, r->t, c) ||
	    !BN_mod_inverse(r->d, r->e, r->lcm, c))
		return -1;
	if (!BN_mod(r->dp, r->d, r->p1, c) || !BN_mod(r->dq, r->d, r->q1, c) ||
	    !BN_mod_inverse(r->qi, r->q, r->p, c))
		return -1;
	return 0;
}

static EVP_PKEY *
rsa_to_pkey(const struct rsa *r)
{
	uint8_t room[8 * 512 + 64], *at = room; /* eight numbers of at most 4096 bits */
	OSSL_PARAM params[] = {
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_N, r->n, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_E, r->e, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_D, r->d, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_FACTOR1, r->p, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_FACTOR2, r->q, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_EXPONENT1, r->dp, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_EXPONENT2, r->dq, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, r->qi, &at),
	    OSSL_PARAM_construct_end(),
	};
	auto_(EVP_PKEY_CTX_free) EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *p = NULL;
	if (c && EVP_PKEY_fromdata_init(c) == 1 &&
	    EVP_PKEY_fromdata(c, &p, EVP_PKEY_KEYPAIR, params) != 1)
		p = NULL;
	own_wipe(room, sizeof(room));
	return p;
}

static void
put_rsa_spki(struct buf *b, const struct rsa *r)
{
	uint8_t n[512];
	int len = BN_bn2bin(r->n, n);
	key_put_rsa_spki(b, span_of(n, (size_t)len), SPAN_LIT("\x01\x00\x01"));
}

static struct key *
make_rsa(enum key_alg alg, struct err *e)
{
	struct rsa r = {0};
	auto_(EVP_PKEY_free) EVP_PKEY *p = NULL;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	if (rsa_alloc(&r) == 0 && BN_set_word(r.e, RSA_EXPONENT) &&
	    rsa_primes(&r, key_row(alg)->bits) == 0 && rsa_derive(&r) == 0)
		p = rsa_to_pkey(&r);
	if (p)
		put_rsa_spki(&spki, &r);
	rsa_done(&r);
	if (p)
		return key_wrap(&p, &spki, alg);
	ossl_error(e, ERR_CRYPTO, "key generation, %s", key_row(alg)->name);
	return NULL;
}

struct key *
key_maker_make(struct key_maker *m, struct err *e)
{
	return m->ctx ? make_ec(m, e) : make_rsa(m->alg, e);
}

static int
write_ec(struct key_maker *m, struct buf *spki, struct buf *pem, struct err *e)
{
	const struct key_row *row = key_row(m->alg);
	struct span d, point;
	if (!m->raw)
		m->raw = key_raw_new(row, e);
	if (!m->raw || key_raw_make(m->raw, &d, &point, e) < 0 ||
	    key_write_ec(row, d, point, pem, e) < 0)
		return -1;
	key_put_ec_spki(spki, row, point);
	return buf_check(spki, "public key", e);
}

int
key_maker_write(struct key_maker *m, struct buf *spki, struct buf *pem, struct err *e)
{
	if (m->ctx)
		return write_ec(m, spki, pem, e);
	auto_(key_free) struct key *k = make_rsa(m->alg, e);
	if (!k || key_write(k, pem, e) < 0)
		return -1;
	buf_put_span(spki, key_spki(k));
	return buf_check(spki, "public key", e);
}
