#ifndef BASE_RAND_H
#define BASE_RAND_H
/*
 * Randomness from the kernel. Cannot fail: without it the process ends.
 */
#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);
/* Uniform in [0, n); n > 0. */
uint64_t rand_below(uint64_t n);
/* A random UUID (RFC 4122 4.4) as 36 characters and a NUL. */
void rand_uuid(char out[37]);

#endif
