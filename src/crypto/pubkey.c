/*
 * The key policy, by arithmetic on the modulus's bytes.
 */
#include "crypto/pubkey.h"

#include <stdio.h>

/* Every odd prime that ROCA's primorial for 2048-bit keys is made of, up to 167. */
static const uint8_t primes[] = {3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53,
    59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149,
    151, 157, 163, 167};

static unsigned
modulo(struct span n, unsigned p)
{
	unsigned r = 0;
	for (size_t i = 0; i < n.len; i++)
		r = (r << 8 | n.p[i]) % p;
	return r;
}

/* True when r is a power of 65537 modulo p. */
static bool
is_power(unsigned r, unsigned p)
{
	unsigned g = 65537 % p, x = 1;
	do {
		if (x == r)
			return true;
		x = x * g % p;
	} while (x != 1);
	return false;
}

static int
check_modulus(struct span n, struct err *e)
{
	/* Infineon's primes are k * M + 65537^a mod M, so their product is a power of
	 * 65537 modulo every prime of M; of random moduli one in 2^27 is */
	bool roca = true;
	for (size_t i = 0; i < sizeof(primes); i++) {
		unsigned r = modulo(n, primes[i]);
		if (r == 0)
			return err_set(
			    e, ERR_CRYPTO, "weak RSA key: divisible by %u", primes[i]);
		roca = roca && is_power(r, primes[i]);
	}
	if (roca)
		return err_set(
		    e, ERR_CRYPTO, "weak RSA key: of ROCA's shape (CVE-2017-15361)");
	return 0;
}

int
pubkey_parse(struct span spki, struct spki *ret, struct err *e)
{
	struct spki k;
	if (spki_parse(spki, &k, e) < 0)
		return -1;
	if (k.kind == SPKI_RSA) {
		if (k.bits < 2048 || k.bits > 4096 || k.bits % 8)
			return err_set(e, ERR_UNSUPPORTED,
			    "RSA key of %d bits: not 2048 to 4096", k.bits);
		if (check_modulus(k.modulus, e) < 0)
			return -1;
	}
	*ret = k;
	return 0;
}

void
pubkey_name(const struct spki *k, char out[PUBKEY_NAME])
{
	snprintf(out, PUBKEY_NAME, "%s-%d", k->kind == SPKI_RSA ? "RSA" : "P", k->bits);
}

void
pubkey_id(const struct spki *k, uint8_t out[PUBKEY_ID])
{
	uint8_t full[DIGEST_SHA256];
	digest_sha256(k->key, full);
	memcpy(out, full, PUBKEY_ID);
}
