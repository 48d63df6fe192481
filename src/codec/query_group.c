/*
 * Groups and their sums.
 */
#include "codec/query_group.h"

#include "base/buf.h"
#include "base/map.h"
#include "codec/js.h"

enum { KEY_MAX = 256 * 1024 };

/* What a column has come to. */
struct sum {
	int64_t n; /* of numbers, for AVG */
	double sum;
	bool spoiled;    /* something that is no number was among them */
	struct js *best; /* MIN, MAX; NULL: none yet */
};

struct group {
	char *key; /* the group's values as a JSON array; plain columns show them */
	size_t key_len;
	int64_t rows;
	struct sum *sums; /* one a column */
	UT_hash_handle hh;
};

struct query_groups {
	const struct query *q;
	struct group *all;
	struct group *at[QUERY_GROUPS_MAX]; /* in order of their first rows */
	size_t n, bytes;
};

static struct group *
new_group(struct query_groups *g, struct span key)
{
	struct group *one = own_alloc(sizeof(*one));
	size_t sums = (g->q->n_items + 1) * sizeof(*one->sums);
	one->key = own_alloc(key.len + 1);
	memcpy(one->key, key.p, key.len);
	one->key_len = key.len;
	one->sums = own_alloc(sums);
	g->bytes += key.len + sizeof(*one) + sums;
	g->at[g->n++] = one;
	HASH_ADD_KEYPTR(hh, g->all, one->key, one->key_len, one);
	return one;
}

static void
free_group(const struct query *q, struct group *one)
{
	for (size_t i = 0; i < q->n_items; i++)
		js_free(one->sums[i].best);
	free(one->sums);
	free(one->key);
	free(one);
}

struct query_groups *
query_group_new(const struct query *q)
{
	struct query_groups *g = own_alloc(sizeof(*g));
	g->q = q;
	if (!q->n_groups)
		new_group(g, SPAN_LIT("[]"));
	return g;
}

void
query_group_free(struct query_groups *g)
{
	if (!g)
		return;
	HASH_CLEAR(hh, g->all);
	for (size_t i = 0; i < g->n; i++)
		free_group(g->q, g->at[i]);
	free(g);
}

/* ---- rows -------------------------------------------------------------------------- */

/* Values apart by type, undefined from null too. */
static int
put_key(
    const struct query *q, const struct query_row *row, struct buf *key, struct err *e)
{
	auto_(js_free) struct js *values = js_array();
	for (size_t i = 0; i < q->n_groups; i++) {
		struct query_value v = row->get(row->arg, &q->group_by[i]);
		struct js *one = js_array();
		struct js *shown = query_eval_json(&v);
		if (shown)
			js_append(one, shown);
		js_append(values, one);
	}
	js_dump(values, JS_SORTED, key);
	return buf_check(key, "a group", e);
}

static int
find(struct query_groups *g, const struct query_row *row, struct group **ret,
    struct err *e)
{
	auto_buf key = BUF_INIT(KEY_MAX);
	struct group *one = NULL;
	if (!g->q->n_groups) {
		*ret = g->all;
		return 0;
	}
	if (put_key(g->q, row, &key, e))
		return -1;
	HASH_FIND(hh, g->all, key.p, key.len, one);
	if (!one && g->n == QUERY_GROUPS_MAX)
		return err_set(
		    e, ERR_UNSUPPORTED, "query: over %d groups", QUERY_GROUPS_MAX);
	*ret = one ? one : new_group(g, buf_span(&key));
	return 0;
}

static void
add_number(struct sum *s, const struct query_value *v, int64_t times)
{
	s->spoiled |= v->type != QUERY_NUMBER;
	s->sum += v->type == QUERY_NUMBER ? v->number * (double)times : 0;
	s->n += times;
}

/* Of several types the first one's values count. */
static void
keep_best(
    struct query_groups *g, struct sum *s, enum query_op op, const struct query_value *v)
{
	struct query_value best = query_eval_walk(s->best, NULL, 0);
	if (s->best && !query_eval_compare(op, v, &best).truth)
		return;
	if (v->type == QUERY_TREE || v->type == QUERY_NULL)
		return; /* these have no order */
	g->bytes += v->text.len - best.text.len;
	js_free(s->best);
	s->best = query_eval_json(v);
}

static void
add_item(struct query_groups *g, const struct query_item *it, struct sum *s,
    const struct query_row *row, int64_t times)
{
	if (it->aggregate == QUERY_COUNT || it->aggregate == QUERY_PLAIN)
		return;
	struct query_value v = row->get(row->arg, &it->path);
	if (v.type == QUERY_UNDEFINED)
		return;
	if (it->aggregate == QUERY_SUM || it->aggregate == QUERY_AVG)
		add_number(s, &v, times);
	else
		keep_best(g, s, it->aggregate == QUERY_MIN ? QUERY_LT : QUERY_GT, &v);
}

int
query_group_add(
    struct query_groups *g, const struct query_row *row, int64_t times, struct err *e)
{
	struct group *one = NULL;
	if (find(g, row, &one, e))
		return -1;
	one->rows += times;
	for (size_t i = 0; i < g->q->n_items; i++)
		add_item(g, &g->q->item[i], &one->sums[i], row, times);
	if (g->bytes > QUERY_GROUPS_BYTES)
		return err_set(e, ERR_UNSUPPORTED, "query: groups of over %d MB",
		    QUERY_GROUPS_BYTES >> 20);
	return 0;
}

/* ---- answers ----------------------------------------------------------------------- */

size_t
query_group_n(const struct query_groups *g)
{
	return g->n;
}

static struct js *
shown(const struct query_item *it, const struct group *one, const struct sum *s)
{
	struct query_value v;
	switch (it->aggregate) {
	case QUERY_COUNT:
		return js_int(one->rows);
	case QUERY_SUM:
	case QUERY_AVG:
		if (!s->n || s->spoiled)
			return NULL;
		v = query_eval_number(
		    it->aggregate == QUERY_SUM ? s->sum : s->sum / (double)s->n);
		return query_eval_json(&v);
	default:
		return s->best ? js_copy(s->best) : NULL;
	}
}

/* What GROUP BY has of a plain column, out of the group's key. */
static struct js *
shown_plain(const struct query *q, const struct query_item *it, const struct js *values)
{
	size_t i = 0;
	while (i < q->n_groups && !query_path_eq(&q->group_by[i], &it->path))
		i++;
	const struct js *v = js_at(js_at(values, i), 0);
	return v ? js_copy(v) : NULL;
}

struct js *
query_group_at(const struct query_groups *g, size_t i)
{
	struct err e;
	const struct group *one = g->at[i];
	const struct query *q = g->q;
	struct js *o = js_object();
	auto_(js_free) struct js *values =
	    js_parse(span_of(one->key, one->key_len), KEY_MAX, JS_TWIN_DEPTH + 16, &e);
	for (size_t k = 0; k < q->n_items; k++) {
		const struct query_item *it = &q->item[k];
		struct js *v = it->aggregate == QUERY_PLAIN
				   ? shown_plain(q, it, values)
				   : shown(it, one, &one->sums[k]);
		if (v)
			js_set(o, it->name, v);
	}
	return o;
}
