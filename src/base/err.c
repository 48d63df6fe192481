/*
 * The error struct and its table. Nothing here logs or allocates.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_row rows[ERR_N] = {
#define ERR(name, http, mqtt, exit, words)                                               \
	[ERR_##name] = {#name, http, mqtt, exit, words},
#include "tbl/err.def"
#undef ERR
};

const struct err_row *
err_row(enum err_code code)
{
	if ((unsigned)code >= ERR_N)
		code = ERR_INTERNAL;
	return &rows[code];
}

/* Texts quote what peers and files hold, and end on terminals and in logs: no control
 * character goes through. */
static void
make_printable(char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) /* C1: another escape */
			s[0] = s[1] = '?';
		else if (c < ' ' || c == 0x7f)
			*s = '?';
	}
}

static int
set(struct err *e, enum err_code code, int sys, const char *where, const char *fmt,
    va_list ap)
{
	if (!e)
		return -1;
	e->code = code;
	e->sys = sys;
	e->where = where;
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	make_printable(e->text);
	if (!sys)
		return -1;
	size_t len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ": %s", strerror(sys));
	return -1;
}

int
err_set_at(
    struct err *e, enum err_code code, int sys, const char *where, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set(e, code, sys, where, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_set_sys(struct err *e, enum err_code code, const char *where, const char *fmt, ...)
{
	int sys = errno;
	if (sys == ENOSPC || sys == EDQUOT || sys == EFBIG)
		code = ERR_FULL;
	va_list ap;
	va_start(ap, fmt);
	set(e, code, sys, where, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -1;
	char was[sizeof(e->text)];
	memcpy(was, e->text, sizeof(was));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	make_printable(e->text);
	size_t len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ": %s", was);
	return -1;
}

int
err_copy(struct err *e, const struct err *src)
{
	if (e && e != src)
		*e = *src;
	return -1;
}
