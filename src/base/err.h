#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * Errors. What can fail returns 0 or -1 (or NULL) and takes a struct err last; the struct
 * lives on the caller's stack, so failing allocates nothing. Callers branch on the code,
 * people read the text; what a peer may see is in the code's row of tbl/err.def.
 */
#include <stddef.h>

#define must_check        __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a), nonnull(f)))

enum err_code {
#define ERR(name, http, mqtt, exit, words) ERR_##name,
#include "tbl/err.def"
#undef ERR
	ERR_N
};

struct err {
	enum err_code code;
	int sys;           /* errno at the cause, 0 if none */
	const char *where; /* file:line of the first failure, static */
	char text[512];    /* "enrolment dev-17: CSR signature does not match its key" */
};

struct err_row {
	const char *name;
	int http;          /* status of an HTTP answer */
	int connack;       /* MQTT 3.1.1 return code, 3.2.2.3 */
	int exit;          /* exit status of a command */
	const char *words; /* the only text a peer ever sees */
};

/* The row of a code; never NULL, an unknown code reads as INTERNAL. */
const struct err_row *err_row(enum err_code code);

/* The four below return -1, so a failure is one line: return err_set(e, ...). e may be
 * NULL. */
#define ERR_STR_(x)           #x
#define ERR_STR(x)            ERR_STR_(x)
#define ERR_HERE              __FILE__ ":" ERR_STR(__LINE__)
#define err_set(e, code, ...) err_set_at((e), (code), 0, ERR_HERE, __VA_ARGS__)
/* As err_set, with errno and its text appended. ENOSPC, EDQUOT and EFBIG (ulimit
 * -f) turn any code into ERR_FULL. */
#define err_sys(e, code, ...) err_set_sys((e), (code), ERR_HERE, __VA_ARGS__)
/* Adds context in front: "context: what was there". Code and place stay those of the
 * cause. */
int err_wrap(struct err *e, const char *fmt, ...) printf_like(2, 3);
/* Copies src to e; for handing on an error that was kept. */
int err_copy(struct err *e, const struct err *src);

int err_set_at(struct err *e, enum err_code code, int sys, const char *where,
    const char *fmt, ...) printf_like(5, 6);
int err_set_sys(struct err *e, enum err_code code, const char *where, const char *fmt,
    ...) printf_like(4, 5);

#endif
