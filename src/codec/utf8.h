#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H
/*
 * UTF-8 (RFC 3629), checked and nothing else.
 */
#include "base/span.h"

/* True where s is well-formed: shortest forms only, no surrogates, nothing past U+10FFFF.
 * NUL is well-formed; who refuses it says so. */
bool utf8_ok(struct span s);
/* As utf8_ok, and no NUL: a UTF-8 encoded string of MQTT 3.1.1 1.5.3. */
bool utf8_ok_no_nul(struct span s);

#endif
