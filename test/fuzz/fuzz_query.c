/* Queries: any text parses or is refused, within its arena; what parses has a value on a
 * twin, the same each time. */
#include "fuzz.h"

#include "codec/js.h"
#include "codec/query_group.h"

static const char twin[] =
    "{\"deviceId\":\"d\",\"status\":\"enabled\",\"version\":1,\"statusReason\":null,"
    "\"tags\":{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":{\"e\":[1]}},"
    "\"properties\":{\"desired\":{\"a\":1},\"reported\":{\"a\":2.5}}}";

static struct query_value
get(void *arg, const struct query_path *path)
{
	assert(path->n >= 1);
	for (size_t i = 0; i < path->n; i++)
		assert(path->seg[i].p[path->seg[i].len] == 0);
	return query_eval_walk(arg, path->seg, path->n);
}

static void
answer(const struct query *q, const struct query_row *row)
{
	struct err e;
	if (q->star)
		return;
	if (!q->aggregates) {
		js_free(query_eval_select(q, row));
		return;
	}
	auto_(query_group_free) struct query_groups *g = query_group_new(q);
	if (query_group_add(g, row, 1, &e) == 0) {
		assert(query_group_n(g) == 1);
		js_free(query_group_at(g, 0));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err e;
	struct query q;
	auto_(arena_free) struct arena *a = arena_new(QUERY_ARENA);
	if (query_parse_condition(span_of(data, len), a, &q, &e) == 0)
		assert(q.star && !q.aggregates && !q.top && !q.n_items);
	arena_reset(a);
	if (query_parse(span_of(data, len), a, &q, &e))
		return 0;
	auto_(js_free) struct js *doc = js_parse(span_str(twin), sizeof(twin), 10, &e);
	const struct query_row row = {get, doc};
	assert(q.star || q.n_items);
	assert(query_eval_where(&q, &row) == query_eval_where(&q, &row));
	answer(&q, &row);
	return 0;
}
