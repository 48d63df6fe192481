/*
 * One comparison: > or >= of an annotation with a number, quoted or not.
 */
#include "codec/amqp_selector.h"

#include "base/num.h"

/* az spells the time in its own way (service.md 4.2). An offset is the number here. */
static const struct {
	const char *name;
	int by;
} annotations[] = {
    {"amqp.annotation.x-opt-offset", AMQP_SELECTOR_AFTER},
    {"amqp.annotation.x-opt-sequence-number", AMQP_SELECTOR_AFTER},
    {"amqp.annotation.x-opt-enqueued-time", AMQP_SELECTOR_SINCE},
    {"amqp.annotation.x-opt-enqueuedtimeutc", AMQP_SELECTOR_SINCE},
};

static int
find(struct span name)
{
	for (size_t i = 0; i < sizeof(annotations) / sizeof(annotations[0]); i++)
		if (span_ieq_str(name, annotations[i].name))
			return annotations[i].by;
	return -1;
}

static struct span
unquote(struct span s)
{
	bool quoted = s.len >= 2 && s.p[0] == '\'' && s.p[s.len - 1] == '\'';
	return quoted ? span_of(s.p + 1, s.len - 2) : s;
}

int
amqp_selector_parse(struct span text, struct amqp_selector *ret, struct err *e)
{
	struct span value = text, name = span_split(&value, '>');
	struct amqp_selector s = {0};
	int by = find(span_trim(name));
	bool inclusive = value.len && value.p[0] == '=';
	value = unquote(span_trim(span_skip(value, inclusive)));
	if (by < 0 || !value.len)
		return err_set(e, ERR_PARSE,
		    "a selector compares offset, sequence number or enqueued time");
	s.by = by == AMQP_SELECTOR_SINCE ? AMQP_SELECTOR_SINCE : AMQP_SELECTOR_AFTER;
	if (by == AMQP_SELECTOR_AFTER && span_eq_str(value, "@latest"))
		s.by = AMQP_SELECTOR_LATEST;
	else if (num_parse(value, -1, INT64_MAX - 1, &s.value, e))
		return err_wrap(e, "selector");
	if (s.by == AMQP_SELECTOR_AFTER && inclusive)
		s.value--;
	if (s.by == AMQP_SELECTOR_SINCE && !inclusive)
		s.value++;
	*ret = s;
	return 0;
}
