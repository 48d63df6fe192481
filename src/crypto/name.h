#ifndef CRYPTO_NAME_H
#define CRYPTO_NAME_H
/*
 * X.500 names (RFC 5280 4.1.2.4), read and written by our own DER code. Names are
 * compared as DER, never as text.
 */
#include "base/buf.h"

#define NAME_CN_CHARS 64                      /* ub-common-name */
#define NAME_CN_SIZE  (NAME_CN_CHARS * 4 + 1) /* in UTF-8, with the NUL */
#define NAME_DER_MAX  2048
#define NAME_TEXT_MAX 1024

/* Checks the shape of a Name: RDNs of attributes, every string of its type's characters.
 */
must_check int name_check(struct span der, struct err *e);
/* The one common name, as a terminated UTF-8 string without control characters. ERR_PARSE
 * when there is none, more than one, or it holds a NUL, another control character or over
 * 64 characters. */
must_check int name_cn(struct span der, char out[NAME_CN_SIZE], struct err *e);
/* The same attributes with the same characters in the same order, whichever string types
 * hold them (UTF8String, PrintableString, IA5String): what RFC 5280 7.1 asks for, but for
 * the folding of case and white space. False where either is malformed. */
bool name_same(struct span a, struct span b);
/* Appends "CN=Example CA 01, O=Example": RFC 4514 escapes, last RDN first, ", " between.
 * Malformed DER becomes "(malformed name)". */
void name_text(struct span der, struct buf *out);
/* Appends the DER of CN (and O, when not NULL or empty), as UTF8String. ERR_PARSE on what
 * name_cn would refuse. */
must_check int name_write(
    const char *cn, const char *org, struct buf *out, struct err *e);

#endif
