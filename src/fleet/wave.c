/*
 * Waves.
 */
#include "fleet/wave.h"

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

static int
parse_goal(struct span item, size_t devices, size_t *ret, struct err *e)
{
	int64_t v;
	if (!span_ends(item, SPAN_LIT("%"))) {
		if (num_parse(item, 1, INT32_MAX, &v, e))
			return -1;
		*ret = (size_t)v < devices ? (size_t)v : devices;
		return 0;
	}
	if (num_parse(span_head(item, item.len - 1), 1, 100, &v, e))
		return -1;
	*ret = share(devices, (size_t)v);
	return 0;
}

int
wave_parse(struct span list, size_t devices, struct wave_plan *ret, struct err *e)
{
	struct wave_plan p = {0};
	size_t done = 0;
	for (struct span rest = list; rest.p;) {
		struct span item = span_trim(span_split(&rest, ','));
		size_t goal;
		if (parse_goal(item, devices, &goal, e))
			return err_wrap(e, "waves: \"%.*s\"", SPAN_FMT(item));
		if (goal < done)
			return err_set(e, ERR_PARSE,
			    "waves: \"%.*s\" is %zu devices, less than the %zu before "
			    "it; "
			    "each entry counts all devices done by then",
			    SPAN_FMT(item), goal, done);
		if (p.n == WAVE_MAX)
			return err_set(e, ERR_PARSE, "waves: more than %d", WAVE_MAX);
		add(&p, &done, goal);
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
