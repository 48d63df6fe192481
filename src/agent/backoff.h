#ifndef AGENT_BACKOFF_H
#define AGENT_BACKOFF_H
/*
 * How long a device waits before it tries again: doubled each time, jittered, capped. A
 * failure that may pass and a refusal have their own scales, so that a device whose
 * credential was revoked costs its service next to nothing.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct backoff_scale {
	int64_t min_ms, max_ms;
};

/* True where trying the same again soon is pointless: the service said no. */
bool backoff_is_refusal(enum err_code code);

/* The pause after the n-th failure in a row (n >= 1). A passing failure: between half and
 * the whole of min * 2^(n-1), capped. A refusal: that and up to half more, never below
 * min. Never below retry_after_ms (what the service asked for, 0 for nothing). */
int64_t backoff_ms(
    const struct backoff_scale *s, bool refusal, int n, int64_t retry_after_ms);

#endif
