#ifndef BASE_OWN_H
#define BASE_OWN_H
/*
 * Ownership at the declaration: auto_(X509_free) X509 *x = NULL; frees x on every way
 * out, return TAKE(x); hands it over. A free function takes part by own_define(type,
 * function) once, in the header that declares it (or the .c that uses a foreign one).
 */
#include <stddef.h>
#include <stdlib.h>

#define own_define(type, fn)                                                             \
	static inline void fn##_auto_(type **p)                                          \
	{                                                                                \
		if (*p)                                                                  \
			fn(*p);                                                          \
	}                                                                                \
	struct own_define_needs_a_semicolon
#define auto_(fn) __attribute__((cleanup(fn##_auto_)))
#define TAKE(p)                                                                          \
	({                                                                               \
		__typeof__(p) take_ = (p);                                               \
		(p) = NULL;                                                              \
		take_;                                                                   \
	})

static inline void
free_auto_(void *p)
{
	free(*(void **)p);
}

/* A file descriptor that closes itself: auto_fd int fd = -1; */
void own_close(int *fd);
#define auto_fd __attribute__((cleanup(own_close)))
#define TAKE_FD(fd)                                                                      \
	({                                                                               \
		int take_ = (fd);                                                        \
		(fd) = -1;                                                               \
		take_;                                                                   \
	})

/* Allocation that does not return NULL: out of memory ends the process with one line. */
void *own_alloc(size_t len) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *own_realloc(void *p, size_t len) __attribute__((returns_nonnull));
char *own_strdup(const char *s) __attribute__((malloc, returns_nonnull));

/* Wipes n bytes in a way the compiler keeps. p may be NULL when n is 0. */
void own_wipe(void *p, size_t n);
/* Equal in constant time (for same lengths). For every comparison of a secret. */
int own_equal(const void *a, const void *b, size_t n);

#endif
