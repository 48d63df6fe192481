#ifndef CODEC_ISO8601_H
#define CODEC_ISO8601_H
/*
 * Points in time as peers write them: 2026-11-22T05:28:00Z, a fraction of the second and
 * an offset allowed (RFC 3339 5.6). base/clock.h writes them.
 */
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* Milliseconds since 1970; digits beyond are dropped, a leap second is the next minute's
 * first. ERR_PARSE on anything else, the years before 1970 included. */
must_check int iso8601_parse(struct span s, int64_t *ret_ms, struct err *e);

#endif
