/*
 * Public areas of TPM keys: those that the device SDKs make are taken, nothing that would
 * let a secret out is.
 */
#include "../test.h"

#include "codec/tpm_pub.h"

/* The storage root key of the C SDK, Node and iot-identity-service, with a modulus of
 * ours; each field can be another. */
struct parts {
	uint16_t type, name_alg;
	uint32_t attributes;
	uint16_t aes, aes_bits, mode, scheme, bits;
	uint32_t exponent;
	uint8_t first, last; /* of the modulus */
	int longer;          /* bytes behind it */
};

static const struct parts srk = {.type = 0x0001,
    .name_alg = 0x000b,
    .attributes = 0x00030472,
    .aes = 0x0006,
    .aes_bits = 128,
    .mode = 0x0043,
    .scheme = 0x0010,
    .bits = 2048,
    .first = 0x80,
    .last = 1};

static void
write_key(const struct parts *p, struct buf *out)
{
	auto_buf area = BUF_INIT(TPM_PUB_MAX);
	buf_u16(&area, p->type);
	buf_u16(&area, p->name_alg);
	buf_u32(&area, p->attributes);
	buf_u16(&area, 0);
	buf_u16(&area, p->aes);
	buf_u16(&area, p->aes_bits);
	buf_u16(&area, p->mode);
	buf_u16(&area, p->scheme);
	buf_u16(&area, p->bits);
	buf_u32(&area, p->exponent);
	buf_u16(&area, 256);
	for (int i = 0; i < 256; i++)
		buf_u8(&area, i == 0 ? p->first : i == 255 ? p->last : (uint8_t)i);
	for (int i = 0; i < p->longer; i++)
		buf_u8(&area, 0);
	buf_u16(out, (uint16_t)area.len);
	buf_put_span(out, buf_span(&area));
}

static int
parse(const struct parts *p, struct tpm_pub *ret, struct err *e)
{
	static uint8_t kept[TPM_PUB_MAX];
	auto_buf key = BUF_INIT(TPM_PUB_MAX);
	write_key(p, &key);
	memcpy(kept, key.p, key.len);
	return tpm_pub_parse(span_of(kept, key.len), ret, e);
}

static void
storage_keys_of_the_sdks_are_taken(void **state)
{
	struct tpm_pub k;
	struct err e = {0};
	struct parts p = srk;
	assert_ok(parse(&p, &k, &e), &e);
	assert_int_equal(k.bits, 2048);
	assert_int_equal(k.aes_bits, 128);
	assert_int_equal(k.modulus.len, 256);
	assert_int_equal(k.modulus.p[0], 0x80);
	assert_int_equal(k.area.p[1], 0x01);
	p.exponent = 65537;
	p.aes_bits = 256;
	assert_ok(parse(&p, &k, &e), &e);
	assert_int_equal(k.aes_bits, 256);
	p.attributes = 0x000300b2; /* of the endorsement key's template */
	assert_ok(parse(&p, &k, &e), &e);
}

static void
each_missing_attribute_is_one_too_few(void **state)
{
	static const int bits[] = {1, 4, 5, 16, 17};
	struct tpm_pub k = {.bits = 7};
	struct err e = {0};
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		struct parts p = srk;
		p.attributes &= ~(UINT32_C(1) << bits[i]);
		assert_fails(parse(&p, &k, &e), &e, PARSE);
	}
	struct parts p = srk;
	p.attributes |= 1 << 18; /* it signs */
	assert_fails(parse(&p, &k, &e), &e, PARSE);
	assert_int_equal(k.bits, 7);
}

static void
other_algorithms_are_not_served(void **state)
{
	struct tpm_pub k;
	struct err e = {0};
	struct parts wrong[8];
	for (size_t i = 0; i < 8; i++)
		wrong[i] = srk;
	wrong[0].type = 0x0023;     /* ECC */
	wrong[1].name_alg = 0x0004; /* SHA-1 */
	wrong[2].aes = 0x0026;      /* Camellia */
	wrong[3].aes_bits = 192;
	wrong[4].mode = 0x0040; /* CTR */
	wrong[5].exponent = 3;
	wrong[6].bits = 1024;
	wrong[7].bits = 8192;
	for (size_t i = 0; i < 8; i++)
		assert_fails(parse(&wrong[i], &k, &e), &e, UNSUPPORTED);
}

static void
other_shapes_are_no_keys(void **state)
{
	struct tpm_pub k;
	struct err e = {0};
	struct parts wrong[5];
	for (size_t i = 0; i < 5; i++)
		wrong[i] = srk;
	wrong[0].scheme = 0x0014;
	wrong[1].bits = 3072;
	wrong[2].first = 0x7f;
	wrong[3].last = 2;
	wrong[4].longer = 1;
	for (size_t i = 0; i < 5; i++)
		assert_fails(parse(&wrong[i], &k, &e), &e, PARSE);
	auto_buf key = BUF_INIT(TPM_PUB_MAX);
	write_key(&srk, &key);
	for (size_t n = 0; n < key.len; n++)
		assert_int_equal(tpm_pub_parse(span_head(buf_span(&key), n), &k, &e), -1);
	buf_u8(&key, 0);
	assert_fails(tpm_pub_parse(buf_span(&key), &k, &e), &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(storage_keys_of_the_sdks_are_taken),
	    cmocka_unit_test(each_missing_attribute_is_one_too_few),
	    cmocka_unit_test(other_algorithms_are_not_served),
	    cmocka_unit_test(other_shapes_are_no_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
