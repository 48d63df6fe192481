/*
 * Strict numbers.
 */
#include "base/num.h"

#include <inttypes.h>

bool
num_ok(struct span s, int64_t min, int64_t max, int64_t *ret)
{
	bool neg = min < 0 && s.len > 1 && s.p[0] == '-';
	if (neg)
		s = span_skip(s, 1);
	if (s.len == 0)
		return false;
	int64_t v = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, neg ? -(s.p[i] - '0') : s.p[i] - '0', &v))
			return false;
	}
	if (v < min || v > max)
		return false;
	*ret = v;
	return true;
}

int
num_parse(struct span s, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	if (num_ok(s, min, max, ret))
		return 0;
	return err_set(e, ERR_PARSE,
	    "'%.*s' is not a whole number from %" PRId64 " to %" PRId64,
	    SPAN_FMT(span_head(s, 40)), min, max);
}

struct unit {
	const char *name;
	int64_t factor;
};

static int
parse_with_unit(struct span s, const struct unit *units, size_t n, const char *kind,
    int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	size_t digits = 0;
	while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	int64_t v;
	if (num_ok(span_head(s, digits), 0, INT64_MAX, &v))
		for (size_t i = 0; i < n; i++) {
			int64_t out;
			if (!span_eq_str(span_skip(s, digits), units[i].name) ||
			    __builtin_mul_overflow(v, units[i].factor, &out) ||
			    out < min || out > max)
				continue;
			*ret = out;
			return 0;
		}
	return err_set(e, ERR_PARSE, "'%.*s' is not a %s within its bounds",
	    SPAN_FMT(span_head(s, 40)), kind);
}

int
num_parse_duration_ms(
    struct span s, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000},
	    {"h", 3600000}, {"d", 86400000}, {"y", INT64_C(31536000000)}};
	return parse_with_unit(s, units, sizeof(units) / sizeof(units[0]),
	    "duration such as 500ms, 30s, 10m, 2h, 90d, 5y", min, max, ret, e);
}

int
num_parse_size(struct span s, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	static const struct unit units[] = {
	    {"", 1}, {"B", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}};
	return parse_with_unit(s, units, sizeof(units) / sizeof(units[0]),
	    "size such as 512, 64K, 16M, 1G", min, max, ret, e);
}
