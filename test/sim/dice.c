/*
 * Seeded randomness in the place of the kernel's and of OpenSSL's.
 */
#include "dice.h"

#include <string.h>
#include <sys/random.h>

#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_METHOD: the one way without a provider */
#include <openssl/crypto.h>
#include <openssl/rand.h>

static uint64_t scenario, crypto;

/* SplitMix64 */
static uint64_t
next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
fill(void *p, size_t n)
{
	uint8_t *out = p;
	while (n) {
		uint64_t v = next(&crypto);
		size_t part = n < sizeof(v) ? n : sizeof(v);
		memcpy(out, &v, part);
		out += part;
		n -= part;
	}
}

/* The program's own definition is taken before the C library's. */
ssize_t
getrandom(void *p, size_t n, unsigned flags)
{
	(void)flags;
	fill(p, n);
	return (ssize_t)n;
}

static int
on_bytes(unsigned char *p, int n)
{
	fill(p, (size_t)n);
	return 1;
}

static int
on_status(void)
{
	return 1;
}

#ifdef __SANITIZE_ADDRESS__
/* OpenSSL's own allocations go to the C library: it is not instrumented, and recording
 * each of them took two thirds of the run. Other tests look for its leaks. */
void *__libc_malloc(size_t n);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static void *
on_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return __libc_malloc(n);
}

static void *
on_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return __libc_realloc(p, n);
}

static void
on_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	__libc_free(p);
}

__attribute__((constructor)) static void
take_allocator(void)
{
	CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free);
}
#endif

void
dice_seed(uint64_t seed)
{
	static const RAND_METHOD method = {
	    .bytes = on_bytes, .pseudorand = on_bytes, .status = on_status};
	scenario = seed;
	crypto = ~seed;
	RAND_set_rand_method(&method);
}

uint64_t
dice_u64(void)
{
	return next(&scenario);
}

int64_t
dice_between(int64_t lo, int64_t hi)
{
	return lo + (int64_t)(dice_u64() % (uint64_t)(hi - lo));
}

bool
dice_permille(int n)
{
	return dice_between(0, 1000) < n;
}
