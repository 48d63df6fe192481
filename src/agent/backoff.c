/*
 * Pauses.
 */
#include "agent/backoff.h"

#include "base/rand.h"

bool
backoff_is_refusal(enum err_code code)
{
	switch (code) {
	case ERR_DENIED:
	case ERR_FORBIDDEN:
	case ERR_NOT_FOUND:
	case ERR_UNSUPPORTED:
		return true;
	default:
		return false;
	}
}

static int64_t
doubled(const struct backoff_scale *s, int n)
{
	int64_t ms = s->min_ms;
	for (int i = 1; i < n && ms < s->max_ms; i++)
		ms *= 2;
	return ms < s->max_ms ? ms : s->max_ms;
}

int64_t
backoff_ms(const struct backoff_scale *s, bool refusal, int n, int64_t retry_after_ms)
{
	int64_t whole = doubled(s, n);
	int64_t half = (int64_t)rand_below((uint64_t)whole / 2 + 1);
	int64_t ms = refusal ? whole + half : whole - half;
	if (ms >= retry_after_ms)
		return ms;
	/* asked of a whole fleet at once: spread it */
	return retry_after_ms + (int64_t)rand_below((uint64_t)retry_after_ms / 4 + 1);
}
