/*
 * The arithmetic of renewal. Every spread comes from the seed, so a device that restarts
 * keeps its place in the queue.
 */
#include "agent/renew_plan.h"

#include "agent/agent_config.h"
#include "crypto/digest.h"

#define REFUSED_FACTOR 4

struct renew_rules
renew_plan_rules(const struct agent_config *cfg)
{
	return (struct renew_rules){.before_ms = cfg->renew.before_ms,
	    .share = cfg->renew.share,
	    .check_ms = cfg->renew.check_ms,
	    .retry_min_ms = cfg->renew.retry_min_ms,
	    .retry_max_ms = cfg->renew.retry_max_ms};
}

const char *
renew_plan_why(enum renew_why w)
{
	static const char *const names[RENEW_WHYS] = {
	    [RENEW_NOT_DUE] = "not due",
	    [RENEW_AGE] = "age",
	    [RENEW_ASKED] = "asked by the server",
	    [RENEW_EXPIRED] = "expired",
	    [RENEW_REUSED] = "the key was used again",
	    [RENEW_MOVED] = "the key moves",
	    [RENEW_TOLD] = "told to",
	};
	return (unsigned)w < RENEW_WHYS ? names[w] : "?";
}

/* SHA-256 of both: seeds of neighbours have nothing to do with each other. */
uint64_t
renew_plan_seed(const char *device_id, const char *thumbprint)
{
	uint8_t id[DIGEST_SHA256], both[DIGEST_SHA256 + DIGEST_SHA256];
	digest_sha256(span_str(device_id), id);
	memcpy(both, id, sizeof(id));
	digest_sha256(span_str(thumbprint), both + sizeof(id));
	digest_sha256(span_of(both, sizeof(both)), id);
	uint64_t seed = 0;
	for (size_t i = 0; i < 8; i++)
		seed = seed << 8 | id[i];
	return seed;
}

/* The seed's point of a span of time: 0 to ms - 1, another for each salt (SplitMix64). */
static int64_t
point_of(uint64_t seed, uint64_t salt, int64_t ms)
{
	uint64_t z = seed + (salt + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return ms > 0 ? (int64_t)(z % (uint64_t)ms) : 0;
}

static int64_t
later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
sooner_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Dates of X.509 end with the year 9999, so none of this overflows. */
static int64_t
own_due_ms(const struct renew_facts *f, const struct renew_rules *r)
{
	int64_t life = f->not_after_ms - f->not_before_ms;
	int64_t at = later_of(
	    f->not_after_ms - r->before_ms, f->not_after_ms - life / 100 * r->share);
	at -= point_of(f->seed, 0, life / 8);
	return later_of(at, f->not_before_ms + life / 4);
}

static bool
has_window(const struct renew_facts *f)
{
	return f->window_start_ms > 0 && f->window_end_ms >= f->window_start_ms;
}

static int64_t
window_due_ms(const struct renew_facts *f)
{
	int64_t len = f->window_end_ms - f->window_start_ms;
	return f->window_start_ms + point_of(f->seed, 1, len + 1);
}

int64_t
renew_plan_due_ms(const struct renew_facts *f, const struct renew_rules *r)
{
	int64_t own = own_due_ms(f, r);
	return has_window(f) ? sooner_of(own, window_due_ms(f)) : own;
}

enum renew_why
renew_plan_judge(const struct renew_facts *f, const struct renew_rules *r, int64_t now_ms)
{
	if (now_ms > f->not_after_ms)
		return RENEW_EXPIRED;
	if (f->told)
		return RENEW_TOLD;
	if (f->reused)
		return RENEW_REUSED;
	if (f->moved)
		return RENEW_MOVED;
	if (now_ms >= own_due_ms(f, r))
		return RENEW_AGE;
	return has_window(f) && now_ms >= window_due_ms(f) ? RENEW_ASKED : RENEW_NOT_DUE;
}

/* No answer may keep a device from asking until its certificate is over: Retry-After can
 * say 68 years, and a date in it does so by itself to a clock at 1970. */
static int64_t
asked_max_ms(const struct renew_facts *f, int64_t pause_max_ms)
{
	return later_of(pause_max_ms, (f->not_after_ms - f->not_before_ms) / 8);
}

/* After the n-th failure in a row: doubled or fourfold each time, the upper half drawn.
 */
static int64_t
pause_ms(
    const struct renew_facts *f, const struct renew_rules *r, const struct renew_past *p)
{
	int64_t factor = p->refused ? REFUSED_FACTOR : 2;
	int64_t max = later_of(r->retry_min_ms, r->retry_max_ms);
	int64_t ms = r->retry_min_ms;
	for (int i = 1; i < p->failures && ms < max; i++)
		ms *= factor;
	ms = sooner_of(ms, max);
	ms -= point_of(f->seed, (uint64_t)p->failures + 2, ms / 2 + 1);
	int64_t asked = sooner_of(p->retry_after_ms, asked_max_ms(f, max));
	if (asked <= ms)
		return ms;
	/* asked of a whole fleet at once: spread it */
	return asked + point_of(f->seed, 1, asked / 4 + 1);
}

int64_t
renew_plan_wait_ms(const struct renew_facts *f, const struct renew_rules *r,
    const struct renew_past *p, int64_t now_ms)
{
	if (p->failures > 0)
		return later_of(1, pause_ms(f, r, p));
	int64_t check = p->poll_ms > 0 ? p->poll_ms : r->check_ms;
	check -= point_of(f->seed, 2, check / 8 + 1);
	if (renew_plan_judge(f, r, now_ms) != RENEW_NOT_DUE)
		return 1;
	return later_of(1, sooner_of(check, renew_plan_due_ms(f, r) - now_ms));
}

int64_t
renew_plan_first_ms(const struct renew_facts *f, const struct renew_rules *r,
    const struct renew_past *p, int64_t last_ms, int64_t now_ms)
{
	int64_t since = last_ms > 0 ? last_ms : f->not_before_ms;
	int64_t soon = sooner_of(r->check_ms, RENEW_PLAN_SOON_MS);
	int64_t left = renew_plan_wait_ms(f, r, p, now_ms) - (now_ms - since);
	if (since > now_ms) /* by a clock that was wrong, then or now */
		left = soon;
	if (p->failures > 0 && left > soon)
		return left;
	return 1 + (int64_t)(f->seed % (uint64_t)later_of(left, soon));
}
