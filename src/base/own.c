/*
 * Helpers of ownership: allocation that ends the process rather than fail, wiping,
 * closing.
 */
#include "base/own.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static void
out_of_memory(void)
{
	static const char line[] = "<2>muster: out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, line, sizeof(line) - 1);
	(void)ignored;
	abort();
}

void *
own_alloc(size_t len)
{
	void *p = calloc(1, len ? len : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *
own_realloc(void *p, size_t len)
{
	void *q = realloc(p, len ? len : 1);
	if (!q)
		out_of_memory();
	return q;
}

char *
own_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	return memcpy(own_alloc(len), s, len);
}

void
own_close(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void
own_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

int
own_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}
