#ifndef BASE_NUM_H
#define BASE_NUM_H
/*
 * Numbers from text, strictly: the whole span, base 10, within bounds, no sign or space
 * unless said. Never the locale's idea.
 */
#include "base/err.h"
#include "base/span.h"

/* A decimal in [min, max]; a leading '-' only where min is negative. *ret untouched on
 * failure. */
must_check int num_parse(
    struct span s, int64_t min, int64_t max, int64_t *ret, struct err *e);
/* As num_parse with a unit: ms s m h d (milliseconds come out), or B K M G (bytes, 1024).
 */
must_check int num_parse_duration_ms(
    struct span s, int64_t min, int64_t max, int64_t *ret, struct err *e);
must_check int num_parse_size(
    struct span s, int64_t min, int64_t max, int64_t *ret, struct err *e);
/* True and *ret where s is a decimal in range. For callers that have no error to give. */
bool num_ok(struct span s, int64_t min, int64_t max, int64_t *ret);

#endif
