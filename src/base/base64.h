#ifndef BASE_BASE64_H
#define BASE_BASE64_H
/* Base64 (RFC 4648 section 4), strict: canonical padding, no white space unless asked;
 * and its form for URLs. */
#include "base/buf.h"

void base64_put(struct buf *b, struct span s);
/* Upper bound of what n bytes become, without a NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
/* Appends the decoded bytes to out. ERR_PARSE names the character that is wrong. */
must_check int base64_parse(struct span s, struct buf *out, struct err *e);
/* As above, white space (RFC 8951 section 3: line breaks) skipped. */
must_check int base64_parse_folded(struct span s, struct buf *out, struct err *e);

/* The alphabet for URLs and file names (RFC 4648 section 5), without padding. */
void base64_url_put(struct buf *b, struct span s);
must_check int base64_url_parse(struct span s, struct buf *out, struct err *e);

#endif
