/*
 * Waves.
 */
#include "fleet/wave.h"

#include <stdbool.h>

#include "base/num.h"

static size_t
share(size_t n, size_t percent)
{
	return (size_t)(((unsigned __int128)n * percent + 99) / 100);
}

static size_t
at_least(size_t a, size_t b)
{
	return a > b ? a : b;
}

size_t
wave_pilot(size_t n)
{
	size_t cap = at_least(20, share(n, 1));
	size_t five = share(n, 5);
	return at_least(1, five < cap ? five : cap);
}

/* Adds the wave after which goal devices are done. */
static void
add(struct wave_plan *p, size_t *done, size_t goal)
{
	if (goal <= *done)
		return;
	p->size[p->n++] = goal - *done;
	*done = goal;
}

void
wave_default(size_t devices, struct wave_plan *ret)
{
	*ret = (struct wave_plan){0};
	if (devices == 0)
		return;
	size_t done = 0;
	add(ret, &done, wave_pilot(devices));
	add(ret, &done, share(devices, 10));
	add(ret, &done, share(devices, 50));
	add(ret, &done, devices);
}

struct goal {
	bool is_share;
	int64_t v;
};

static int
parse_goal(struct span item, struct goal *ret, struct err *e)
{
	struct goal g = {.is_share = span_ends(item, SPAN_LIT("%"))};
	struct span digits = g.is_share ? span_head(item, item.len - 1) : item;
	if (num_parse(digits, 1, g.is_share ? 100 : INT32_MAX, &g.v, e))
		return err_wrap(e, "waves: \"%.*s\"", SPAN_FMT(item));
	*ret = g;
	return 0;
}

/* How many devices are done after it. */
static size_t
reach(const struct goal *g, size_t devices)
{
	if (g->is_share)
		return share(devices, (size_t)g->v);
	return (size_t)g->v < devices ? (size_t)g->v : devices;
}

int
wave_parse(struct span list, size_t devices, struct wave_plan *ret, struct err *e)
{
	struct wave_plan p = {0};
	size_t done = 0;
	int64_t last[2] = {0};
	for (struct span rest = list; rest.p;) {
		struct span item = span_trim(span_split(&rest, ','));
		struct goal g = {0};
		if (parse_goal(item, &g, e))
			return -1;
		if (g.v < last[g.is_share])
			return err_set(e, ERR_PARSE,
			    "waves: \"%.*s\" is less than an entry before it; each "
			    "counts all "
			    "devices done by then",
			    SPAN_FMT(item));
		if (p.n == WAVE_MAX)
			return err_set(e, ERR_PARSE, "waves: more than %d", WAVE_MAX);
		last[g.is_share] = g.v;
		add(&p, &done, reach(&g, devices));
	}
	if (done != devices)
		return err_set(e, ERR_PARSE,
		    "waves: the last one ends at %zu of %zu devices; end the list with "
		    "100%%",
		    done, devices);
	*ret = p;
	return 0;
}

/* SplitMix64 (Steele, Lea, Flood 2014): the order has to be the same on every machine,
 * not hard to guess. */
static uint64_t
next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
wave_shuffle(size_t *order, size_t n, uint64_t seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)(((unsigned __int128)next(&seed) * i) >> 64);
		size_t was = order[i - 1];
		order[i - 1] = order[j];
		order[j] = was;
	}
}
