/*
 * Kernel randomness.
 */
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <sys/random.h>

void
rand_bytes(void *p, size_t n)
{
	unsigned char *out = p;
	while (n) {
		ssize_t got = getrandom(out, n > 256 ? 256 : n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		out += got;
		n -= (size_t)got;
	}
}

uint64_t
rand_u64(void)
{
	uint64_t v;
	rand_bytes(&v, sizeof(v));
	return v;
}

uint64_t
rand_below(uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n;
	uint64_t v;
	do
		v = rand_u64();
	while (v >= limit);
	return v % n;
}

void
rand_uuid(char out[37])
{
	uint8_t b[16];
	rand_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	char *p = out;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		snprintf(p, 3, "%02x", b[i]);
		p += 2;
	}
}
