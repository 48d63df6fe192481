/*
 * TPM2_MakeCredential and TPM2_Duplicate in software.
 */
#include "crypto/tpm_cred.h"

#include <openssl/rsa.h>

#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"

enum {
	SEED_LEN = DIGEST_SHA256, /* of the digest that names the key (part 1, B.10.3) */
	INNER_LEN = 16,           /* clients import with AES-128 */
	NAME_LEN = 2 + DIGEST_SHA256,
	AES_MAX = 32,
};

own_define(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free);

/* nameAlg and its hash of the public area (part 1, 16) */
static void
name_of(struct span area, uint8_t out[NAME_LEN])
{
	out[0] = TPM_PUB_SHA256 >> 8;
	out[1] = TPM_PUB_SHA256 & 0xff;
	digest_sha256(area, out + 2);
}

/* KDFa (part 1, 11.4.10.2) with SHA-256: one round, since nobody asks for more bits than
 * that has. label with its NUL. */
static void
kdf_a(struct span key, struct span label, struct span context, unsigned bits,
    uint8_t out[DIGEST_SHA256])
{
	auto_buf m = BUF_INIT(256);
	buf_u32(&m, 1);
	buf_put_span(&m, label);
	buf_put_span(&m, context);
	buf_u32(&m, bits);
	digest_hmac_sha256(key, buf_span(&m), out);
}

/* AES in CFB mode from an IV of zeros. */
static int
encrypt(struct span key, struct span text, struct buf *out, struct err *e)
{
	static const uint8_t iv[16];
	const EVP_CIPHER *how =
	    key.len == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
	auto_(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *to = buf_room(out, text.len);
	int n = 0;
	if (!to)
		return buf_check(out, "TPM credential", e);
	if (!ctx || EVP_EncryptInit_ex(ctx, how, NULL, key.p, iv) != 1 ||
	    EVP_EncryptUpdate(ctx, to, &n, text.p, (int)text.len) != 1 ||
	    (size_t)n != text.len)
		return ossl_error(e, ERR_CRYPTO, "AES of a TPM credential");
	buf_grew(out, text.len);
	return 0;
}

/* ---- seeds ---- */

static EVP_PKEY *
rsa_of(const struct tpm_pub *k, struct err *e)
{
	uint8_t room[TPM_PUB_RSA_MAX / 8 + 16], *at = room;
	EVP_PKEY *key = NULL;
	auto_(BN_clear_free) BIGNUM *n =
	    BN_bin2bn(k->modulus.p, (int)k->modulus.len, NULL);
	auto_(BN_clear_free) BIGNUM *exponent = BN_new();
	auto_(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx =
	    EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (!n || !exponent || BN_set_word(exponent, TPM_PUB_EXPONENT) != 1)
		abort();
	OSSL_PARAM params[] = {ossl_bn_param(OSSL_PKEY_PARAM_RSA_N, n, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_E, exponent, &at),
	    OSSL_PARAM_construct_end()};
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		ossl_error(e, ERR_CRYPTO, "public key of a TPM");
		return NULL;
	}
	return key;
}

/* OAEP with a label that ends in a NUL (part 1, B.4). The context takes a copy of it. */
static bool
set_oaep(EVP_PKEY_CTX *ctx, struct span label)
{
	if (EVP_PKEY_encrypt_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) != 1)
		return false;
	void *copy = OPENSSL_memdup(label.p, label.len);
	if (copy && EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label.len) == 1)
		return true;
	OPENSSL_free(copy);
	return false;
}

/* TPM2B_ENCRYPTED_SECRET of a seed for k. */
static int
put_secret(const struct tpm_pub *k, struct span label, struct span seed, struct buf *out,
    struct err *e)
{
	auto_(EVP_PKEY_free) EVP_PKEY *key = rsa_of(k, e);
	if (!key)
		return -1;
	auto_(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx =
	    EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	size_t n = k->modulus.len;
	buf_u16(out, (uint16_t)n);
	uint8_t *to = buf_room(out, n);
	if (!to)
		return buf_check(out, "TPM credential", e);
	if (!ctx || !set_oaep(ctx, label) ||
	    EVP_PKEY_encrypt(ctx, to, &n, seed.p, seed.len) != 1 || n != k->modulus.len)
		return ossl_error(e, ERR_CRYPTO, "RSA for a TPM");
	buf_grew(out, n);
	return 0;
}

/* ---- the two wrappings ---- */

/* HMAC and ciphertext, as both have it: encrypted and authenticated by keys of a seed,
 * bound to a name (part 1, 22 "Protected Storage"). */
static int
put_protected(struct span seed, unsigned aes_bits, struct span name, struct span text,
    struct buf *out, struct err *e)
{
	uint8_t aes[DIGEST_SHA256], mac_key[DIGEST_SHA256], mac[DIGEST_SHA256];
	auto_buf cipher = BUF_INIT(1024);
	kdf_a(seed, span_of("STORAGE", 8), name, aes_bits, aes);
	kdf_a(seed, span_of("INTEGRITY", 10), SPAN_NONE, 8 * DIGEST_SHA256, mac_key);
	int rc = encrypt(span_of(aes, aes_bits / 8), text, &cipher, e);
	size_t n = cipher.len;
	buf_put_span(&cipher, name);
	digest_hmac_sha256(span_of(mac_key, sizeof(mac_key)), buf_span(&cipher), mac);
	own_wipe(aes, sizeof(aes));
	own_wipe(mac_key, sizeof(mac_key));
	if (rc)
		return -1;
	buf_u16(out, (uint16_t)(2 + sizeof(mac) + n));
	buf_u16(out, sizeof(mac));
	buf_put(out, mac, sizeof(mac));
	buf_put_span(out, span_head(buf_span(&cipher), n));
	return buf_check(out, "TPM credential", e);
}

/* Part 1, 24.4: the credential can be had where both keys are loaded. */
static int
put_credential(const struct tpm_pub *ek, const struct tpm_pub *srk,
    struct span credential, struct buf *out, struct err *e)
{
	uint8_t seed[SEED_LEN], name[NAME_LEN];
	auto_buf text = BUF_INIT(128);
	text.secret = true;
	rand_bytes(seed, sizeof(seed));
	name_of(srk->area, name);
	buf_u16(&text, (uint16_t)credential.len);
	buf_put_span(&text, credential);
	int rc =
	    put_protected(span_of(seed, sizeof(seed)), ek->aes_bits,
		span_of(name, sizeof(name)), buf_span(&text), out, e) ||
	    put_secret(ek, span_of("IDENTITY", 9), span_of(seed, sizeof(seed)), out, e);
	own_wipe(seed, sizeof(seed));
	return rc ? -1 : 0;
}

/* TPM2B_SENSITIVE of an HMAC key (part 2, 12.3.2.4); *ret_unique binds it to its public
 * area. */
static void
put_sensitive(struct span key, struct buf *out, uint8_t ret_unique[DIGEST_SHA256])
{
	uint8_t seed[DIGEST_SHA256];
	rand_bytes(seed, sizeof(seed));
	const struct span parts[] = {span_of(seed, sizeof(seed)), key};
	digest_sha256v(parts, 2, ret_unique);
	buf_u16(out, (uint16_t)(2 + 2 + 2 + sizeof(seed) + 2 + key.len));
	buf_u16(out, TPM_PUB_KEYEDHASH);
	buf_u16(out, 0); /* authValue */
	buf_u16(out, sizeof(seed));
	buf_put(out, seed, sizeof(seed));
	buf_u16(out, (uint16_t)key.len);
	buf_put_span(out, key);
	own_wipe(seed, sizeof(seed));
}

/* Part 1, 23.3.2.3: its hash with the name in front, encrypted by the inner key. */
static int
wrap_inner(struct span sensitive, struct span name, struct span inner, struct buf *out,
    struct err *e)
{
	uint8_t sum[DIGEST_SHA256];
	auto_buf text = BUF_INIT(512);
	text.secret = true;
	const struct span parts[] = {sensitive, name};
	digest_sha256v(parts, 2, sum);
	buf_u16(&text, sizeof(sum));
	buf_put(&text, sum, sizeof(sum));
	buf_put_span(&text, sensitive);
	return encrypt(inner, buf_span(&text), out, e);
}

static int
put_duplicate(const struct tpm_pub *srk, struct span key, struct span inner,
    struct buf *out, struct err *e)
{
	uint8_t seed[SEED_LEN], unique[DIGEST_SHA256], name[NAME_LEN];
	auto_buf sensitive = BUF_INIT(256), area = BUF_INIT(256), wrapped = BUF_INIT(512);
	sensitive.secret = true;
	put_sensitive(key, &sensitive, unique);
	tpm_pub_write_hmac(span_of(unique, sizeof(unique)), &area);
	name_of(buf_span(&area), name);
	struct span as = span_of(name, sizeof(name));
	rand_bytes(seed, sizeof(seed));
	int rc = wrap_inner(buf_span(&sensitive), as, inner, &wrapped, e) ||
		 put_protected(span_of(seed, sizeof(seed)), srk->aes_bits, as,
		     buf_span(&wrapped), out, e) ||
		 put_secret(
		     srk, span_of("DUPLICATE", 10), span_of(seed, sizeof(seed)), out, e);
	own_wipe(seed, sizeof(seed));
	if (rc)
		return -1;
	buf_u16(out, (uint16_t)area.len);
	buf_put_span(out, buf_span(&area));
	return 0;
}

int
tpm_cred_activation(const struct tpm_pub *ek, const struct tpm_pub *srk, struct span key,
    struct buf *out, struct err *e)
{
	uint8_t inner[INNER_LEN];
	if (!key.len || key.len > TPM_CRED_KEY_MAX)
		return err_set(e, ERR_USAGE, "a TPM's key of %zu bytes", key.len);
	rand_bytes(inner, sizeof(inner));
	struct span by = span_of(inner, sizeof(inner));
	int rc =
	    put_credential(ek, srk, by, out, e) || put_duplicate(srk, key, by, out, e);
	own_wipe(inner, sizeof(inner));
	buf_u16(out, 0);
	return rc ? -1 : buf_check(out, "TPM credential", e);
}
