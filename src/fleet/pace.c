/*
 * Throttles and buckets.
 */
#include "fleet/pace.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define BURST_MS  5000 /* what may be saved up while nothing is asked */
#define LEAST     6    /* a minute: it never stops for good */
/* Of a target that throttles and whose throttles are not known. */
#define UNKNOWN 600

static const char *const names[PACE_FAMILIES] = {
    [PACE_REGISTRY] = "identity registry",
    [PACE_QUERY] = "queries",
    [PACE_TWIN_READ] = "twin reads",
    [PACE_TWIN_WRITE] = "twin updates",
    [PACE_DPS] = "provisioning service operations",
    [PACE_REGISTER] = "registrations",
    [PACE_ARM] = "resource manager",
};

const char *
pace_name(enum pace_family f)
{
	return names[f];
}

/* ---- throttles ---- */

/* 6.2, a minute: max(whole, unit * units). */
static const struct {
	const char *tiers;
	struct {
		int64_t whole, unit;
	} of[PACE_FAMILIES];
} tables[] = {
    {"F1 B1 S1", {[PACE_REGISTRY] = {0, 100},
		     [PACE_QUERY] = {0, 20},
		     [PACE_TWIN_READ] = {6000, 0},
		     [PACE_TWIN_WRITE] = {3000, 0}}},
    {"B2 S2", {[PACE_REGISTRY] = {0, 100},
		  [PACE_QUERY] = {0, 20},
		  [PACE_TWIN_READ] = {6000, 600},
		  [PACE_TWIN_WRITE] = {3000, 300}}},
    {"B3 S3", {[PACE_REGISTRY] = {0, 5000},
		  [PACE_QUERY] = {0, 1000},
		  [PACE_TWIN_READ] = {0, 30000},
		  [PACE_TWIN_WRITE] = {0, 15000}}},
};

/* 6.3: of a provisioning service, whatever its units. */
#define DPS_PER_MIN 1000

static bool
has_word(const char *list, struct span word)
{
	for (struct span rest = span_str(list); rest.p;)
		if (span_eq(span_split(&rest, ' '), word))
			return true;
	return false;
}

int
pace_limits_of(struct span tier, int64_t units, struct pace_limits *ret, struct err *e)
{
	struct pace_limits l = {.units = units};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (!tier.len || !has_word(tables[i].tiers, tier) ||
		    !span_to_str(tier, l.tier, sizeof(l.tier)))
			continue;
		for (int f = 0; f < PACE_FAMILIES; f++) {
			int64_t sum = tables[i].of[f].unit * units;
			int64_t whole = tables[i].of[f].whole;
			l.per_min[f] = sum > whole ? sum : whole;
		}
		l.per_min[PACE_DPS] = l.per_min[PACE_REGISTER] = DPS_PER_MIN;
		*ret = l;
		return 0;
	}
	return err_set(e, ERR_PARSE, "tier %.*s: its throttles are not known",
	    SPAN_FMT(span_head(tier, 16)));
}

/* ---- a bucket ---- */

static int64_t
at_least(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
full(const struct pace *p)
{
	return at_least(MINUTE_MS, p->rate * BURST_MS);
}

static int64_t
allowed(int64_t per_min)
{
	return per_min ? at_least(1, per_min * PACE_SHARE / 100) : 0;
}

void
pace_init(struct pace *p, int64_t per_min, int64_t now_ms)
{
	*p = (struct pace){.limit = allowed(per_min), .at_ms = now_ms};
	p->rate = p->limit;
	p->credit = full(p);
}

static void
fill(struct pace *p, int64_t now_ms)
{
	int64_t since = now_ms - p->at_ms;
	int64_t most = full(p);
	if (since <= 0)
		return;
	p->at_ms = now_ms;
	/* a long rest fills it, and would not fit the number */
	p->credit = since >= MINUTE_MS ? most : p->credit + since * p->rate;
	if (p->credit > most)
		p->credit = most;
}

int64_t
pace_wait(struct pace *p, int64_t now_ms)
{
	if (now_ms < p->hold_ms)
		return p->hold_ms - now_ms;
	if (!p->rate)
		return 0;
	fill(p, now_ms);
	if (p->credit < MINUTE_MS)
		return (MINUTE_MS - p->credit + p->rate - 1) / p->rate;
	return 0;
}

int64_t
pace_take(struct pace *p, int64_t now_ms)
{
	int64_t wait_ms = pace_wait(p, now_ms);
	if (!wait_ms && p->rate)
		p->credit -= MINUTE_MS;
	return wait_ms;
}

void
pace_refused(struct pace *p, int64_t now_ms, int64_t wait_ms)
{
	/* many that were under way are refused at once: that is one refusal */
	bool again = now_ms < p->hold_ms;
	int64_t until = now_ms + at_least(wait_ms, 1000);
	p->hold_ms = at_least(p->hold_ms, until);
	p->credit = 0;
	p->at_ms = p->hold_ms;
	if (!again)
		p->rate = at_least(LEAST, p->rate ? p->rate / 2 : UNKNOWN);
}

void
pace_taken(struct pace *p)
{
	if (!p->rate || (p->limit && p->rate >= p->limit))
		return;
	p->rate += at_least(1, p->rate / 50);
	if (p->limit && p->rate > p->limit)
		p->rate = p->limit;
}

/* ---- a prediction ---- */

static int64_t
divided_up(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

static int64_t
wave_ms(
    const struct pace_limits *l, const struct pace_cost *c, int64_t devices, int *ret_by)
{
	int64_t longest = divided_up(devices, at_least(1, c->parallel)) * c->device_ms;
	*ret_by = PACE_BY_DEVICES;
	for (int f = 0; f < PACE_FAMILIES; f++) {
		int64_t rate = allowed(l->per_min[f]);
		int64_t n = devices * c->device[f] + c->wave[f];
		int64_t ms = rate ? divided_up(n * MINUTE_MS, rate) : 0;
		if (ms <= longest)
			continue;
		longest = ms;
		*ret_by = f;
	}
	return longest;
}

void
pace_predict(const struct pace_limits *l, const struct pace_cost *c, const size_t *waves,
    size_t n, struct pace_prediction *ret)
{
	struct pace_prediction p = {.by = PACE_BY_DEVICES};
	int64_t longest = -1;
	for (size_t i = 0; i < n; i++) {
		int by;
		int64_t ms = wave_ms(l, c, (int64_t)waves[i], &by);
		p.ms += ms;
		if (ms <= longest)
			continue;
		longest = ms;
		p.by = by;
	}
	*ret = p;
}

void
pace_text(int64_t ms, char out[PACE_TEXT])
{
	long long s = (long long)divided_up(ms, 1000);
	if (s >= 48 * 3600)
		snprintf(out, PACE_TEXT, "%lld d %lld h", s / 86400, s % 86400 / 3600);
	else if (s >= 2 * 3600)
		snprintf(out, PACE_TEXT, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else if (s >= 120)
		snprintf(out, PACE_TEXT, "%lld min", (s + 30) / 60);
	else
		snprintf(out, PACE_TEXT, "%lld s", s);
}
