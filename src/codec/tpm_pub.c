/*
 * Public areas of TPM keys.
 */
#include "codec/tpm_pub.h"

/* objectAttributes (part 2, 8.3) */
enum {
	FIXED_TPM = 1 << 1,
	FIXED_PARENT = 1 << 4,
	SENSITIVE_DATA_ORIGIN = 1 << 5,
	USER_WITH_AUTH = 1 << 6,
	NO_DA = 1 << 10,
	RESTRICTED = 1 << 16,
	DECRYPT = 1 << 17,
	SIGN = 1 << 18,
};

/* What keeps a secret in its TPM that is wrapped for the key: it was made there, cannot
 * be taken elsewhere, and decrypts only what the TPM itself has laid out. */
static bool
holds_secrets(uint32_t attributes)
{
	const uint32_t must =
	    FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | DECRYPT;
	return (attributes & must) == must && !(attributes & SIGN);
}

static struct span
take_2b(struct cursor *c)
{
	return cursor_take(c, cursor_u16(c));
}

/* TPMT_SYM_DEF_OBJECT */
static int
parse_symmetric(struct cursor *c, unsigned *ret_bits, struct err *e)
{
	uint16_t alg = cursor_u16(c), bits = cursor_u16(c), mode = cursor_u16(c);
	if (c->bad)
		return err_set(e, ERR_PARSE, "TPM key: cut short");
	if (alg != TPM_PUB_AES || mode != TPM_PUB_CFB || (bits != 128 && bits != 256))
		return err_set(e, ERR_UNSUPPORTED,
		    "TPM key: protects others by %#x/%u/%#x, not by AES in CFB mode", alg,
		    bits, mode);
	*ret_bits = bits;
	return 0;
}

/* TPMS_RSA_PARMS without the part above, and TPM2B_PUBLIC_KEY_RSA */
static int
parse_rsa(struct cursor *c, struct tpm_pub *k, struct err *e)
{
	uint16_t scheme = cursor_u16(c);
	k->bits = cursor_u16(c);
	uint32_t exponent = cursor_u32(c);
	k->modulus = take_2b(c);
	if (!cursor_done(c))
		return err_set(e, ERR_PARSE, "TPM key: of another length than it says");
	if (scheme != TPM_PUB_NULL)
		return err_set(e, ERR_PARSE, "TPM key: a storage key has no scheme");
	if (exponent != 0 && exponent != TPM_PUB_EXPONENT)
		return err_set(e, ERR_UNSUPPORTED, "TPM key: exponent %u", exponent);
	if (k->bits < TPM_PUB_RSA_MIN || k->bits > TPM_PUB_RSA_MAX)
		return err_set(e, ERR_UNSUPPORTED, "TPM key: RSA of %u bits", k->bits);
	if (k->modulus.len * 8 != k->bits || !(k->modulus.p[0] & 0x80) ||
	    !(k->modulus.p[k->modulus.len - 1] & 1))
		return err_set(e, ERR_PARSE, "TPM key: the modulus is none of its size");
	return 0;
}

int
tpm_pub_parse(struct span s, struct tpm_pub *ret, struct err *e)
{
	struct cursor whole = cursor_of(s);
	struct tpm_pub k = {.area = take_2b(&whole)};
	if (s.len > TPM_PUB_MAX || !cursor_done(&whole))
		return err_set(e, ERR_PARSE, "TPM key: no TPM2B_PUBLIC");
	struct cursor c = cursor_of(k.area);
	uint16_t type = cursor_u16(&c), name_alg = cursor_u16(&c);
	uint32_t attributes = cursor_u32(&c);
	take_2b(&c); /* authPolicy */
	if (c.bad)
		return err_set(e, ERR_PARSE, "TPM key: cut short");
	if (type != TPM_PUB_RSA || name_alg != TPM_PUB_SHA256)
		return err_set(e, ERR_UNSUPPORTED,
		    "TPM key: of type %#x, named by %#x; RSA named by SHA-256 is served",
		    type, name_alg);
	if (!holds_secrets(attributes))
		return err_set(e, ERR_PARSE,
		    "TPM key: its attributes %#x are not of a key that holds secrets in "
		    "its TPM",
		    attributes);
	if (parse_symmetric(&c, &k.aes_bits, e) || parse_rsa(&c, &k, e))
		return -1;
	*ret = k;
	return 0;
}

void
tpm_pub_write_hmac(struct span unique, struct buf *out)
{
	buf_u16(out, TPM_PUB_KEYEDHASH);
	buf_u16(out, TPM_PUB_SHA256);
	buf_u32(out, SIGN | USER_WITH_AUTH | NO_DA);
	buf_u16(out, 0); /* authPolicy */
	buf_u16(out, TPM_PUB_HMAC);
	buf_u16(out, TPM_PUB_SHA256);
	buf_u16(out, (uint16_t)unique.len);
	buf_put_span(out, unique);
}
