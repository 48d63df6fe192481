#ifndef BASE_HEX_H
#define BASE_HEX_H
/* Hexadecimal, lower case out, either case in. */
#include "base/buf.h"

/* out gets 2 * s.len characters and a NUL. */
void hex_write(struct span s, char *out);
void hex_put(struct buf *b, struct span s);
/* Decodes exactly n bytes; ERR_PARSE on another length or a foreign character. */
must_check int hex_parse(struct span s, uint8_t *out, size_t n, struct err *e);

#endif
