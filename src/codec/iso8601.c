/*
 * Times in text.
 */
#include "codec/iso8601.h"

#include <stdbool.h>

/* Exactly n digits off the front, at most max. */
static bool
digits(struct span *s, size_t n, int max, int *ret)
{
	int v = 0;
	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	*s = span_skip(*s, n);
	*ret = v;
	return v <= max;
}

static bool
mark(struct span *s, char lower, char upper)
{
	if (!s->len || (s->p[0] != lower && s->p[0] != upper))
		return false;
	*s = span_skip(*s, 1);
	return true;
}

static int
days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01, a year counted from March so that its leap day comes last. */
static int64_t
days_since(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return y * 365 + y / 4 - y / 100 + y / 400 + in_year - 719468;
}

static bool
parse_date(struct span *s, int64_t *ret_days)
{
	int year, month, day;
	if (!digits(s, 4, 9999, &year) || !mark(s, '-', '-') ||
	    !digits(s, 2, 12, &month) || !mark(s, '-', '-') || !digits(s, 2, 31, &day))
		return false;
	if (year < 1970 || month < 1 || day < 1 || day > days_of(year, month))
		return false;
	*ret_days = days_since(year, month, day);
	return true;
}

/* Behind the point, one digit at least. */
static bool
parse_fraction(struct span *s, int64_t *ret_ms)
{
	int64_t ms = 0;
	int n = 0;
	for (int digit; s->len && digits(s, 1, 9, &digit); n++)
		ms = n < 3 ? ms * 10 + digit : ms;
	for (int i = n; i < 3; i++)
		ms *= 10;
	*ret_ms = ms;
	return n > 0;
}

static bool
parse_time(struct span *s, int64_t *ret_ms)
{
	int hour, minute, second;
	int64_t ms = 0;
	if (!digits(s, 2, 23, &hour) || !mark(s, ':', ':') ||
	    !digits(s, 2, 59, &minute) || !mark(s, ':', ':') ||
	    !digits(s, 2, 60, &second))
		return false;
	if (mark(s, '.', '.') && !parse_fraction(s, &ms))
		return false;
	*ret_ms = (((int64_t)hour * 60 + minute) * 60 + second) * 1000 + ms;
	return true;
}

static bool
parse_offset(struct span *s, int64_t *ret_ms)
{
	int hour, minute;
	int sign = 1;
	*ret_ms = 0;
	if (mark(s, 'z', 'Z'))
		return true;
	if (mark(s, '-', '-'))
		sign = -1;
	else if (!mark(s, '+', '+'))
		return false;
	if (!digits(s, 2, 23, &hour) || !mark(s, ':', ':') || !digits(s, 2, 59, &minute))
		return false;
	*ret_ms = sign * ((int64_t)hour * 60 + minute) * 60 * 1000;
	return true;
}

int
iso8601_parse(struct span s, int64_t *ret_ms, struct err *e)
{
	struct span rest = span_trim(s);
	int64_t days, time, offset;
	if (!parse_date(&rest, &days) || !mark(&rest, 't', 'T') ||
	    !parse_time(&rest, &time) || !parse_offset(&rest, &offset) || rest.len)
		return err_set(e, ERR_PARSE, "'%.*s' is no time as 2026-11-22T05:28:00Z",
		    SPAN_FMT(span_head(s, 40)));
	*ret_ms = days * 86400000 + time - offset;
	return 0;
}
