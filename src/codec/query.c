/*
 * Queries: SELECT, FROM, GROUP BY, and what of it goes together.
 */
#include "codec/query.h"

#include "codec/query_expr.h"
#include "codec/utf8.h"

/* ---- paths ------------------------------------------------------------------------- */

static const char *const fields[] = {
#define F(NAME, text) text,
    QUERY_FIELDS(F)
#undef F
};

const char *
query_field_name(enum query_field f)
{
	return fields[f];
}

bool
query_path_eq(const struct query_path *a, const struct query_path *b)
{
	bool same = a->field == b->field && a->n == b->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = span_eq(a->seg[i], b->seg[i]);
	return same;
}

/* ---- SELECT ------------------------------------------------------------------------ */

static int
parse_top(struct query_parser *p, struct query *q, struct err *e)
{
	bool was;
	if (query_lex_take_name(&p->lex, "TOP", &was, e))
		return -1;
	if (!was)
		return 0;
	double n = p->lex.number;
	if (p->lex.word != QUERY_WORD_NUMBER || n < 1 || n > INT32_MAX ||
	    n != (double)(int64_t)n)
		return query_lex_want(&p->lex, "a whole number from 1", e);
	q->top = (int64_t)n;
	return query_lex_next(&p->lex, e);
}

static const struct {
	const char *name;
	enum query_aggregate aggregate;
} aggregates[] = {
    {"COUNT", QUERY_COUNT},
    {"SUM", QUERY_SUM},
    {"AVG", QUERY_AVG},
    {"MIN", QUERY_MIN},
    {"MAX", QUERY_MAX},
};

/* Behind its name. COUNT(*) is what COUNT() is. */
static int
parse_aggregate(struct query_parser *p, struct query_item *it, struct err *e)
{
	bool star = false;
	if (query_lex_need(&p->lex, "(", e))
		return -1;
	if (it->aggregate == QUERY_COUNT) {
		if (query_lex_take(&p->lex, "*", &star, e))
			return -1;
	} else if (query_expr_path(p, &it->path, e)) {
		return -1;
	}
	return query_lex_need(&p->lex, ")", e);
}

/* The last name of a path; what has none is counted, as Azure does ($1, $2). */
static int
parse_alias(struct query_parser *p, size_t index, struct query_item *it, struct err *e)
{
	bool was;
	if (query_lex_take_name(&p->lex, "AS", &was, e))
		return -1;
	if (!was) {
		it->name = it->aggregate == QUERY_PLAIN
			       ? (const char *)it->path.seg[it->path.n - 1].p
			       : arena_printf(p->lex.arena, "$%zu", index + 1);
		return 0;
	}
	if (p->lex.word != QUERY_WORD_NAME && p->lex.word != QUERY_WORD_QUOTED)
		return query_lex_want(&p->lex, "a name", e);
	it->name = arena_str(p->lex.arena, p->lex.value);
	return query_lex_next(&p->lex, e);
}

static int
parse_item(struct query_parser *p, size_t index, struct query_item *it, struct err *e)
{
	*it = (struct query_item){.aggregate = QUERY_PLAIN};
	for (size_t i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++)
		if (query_lex_is_name(&p->lex, aggregates[i].name))
			it->aggregate = aggregates[i].aggregate;
	if (it->aggregate == QUERY_PLAIN) {
		if (query_expr_path(p, &it->path, e))
			return -1;
	} else if (query_lex_next(&p->lex, e) || parse_aggregate(p, it, e)) {
		return -1;
	}
	return parse_alias(p, index, it, e);
}

static int
check_name(const struct query_parser *p, size_t at, const struct query_item *all,
    size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_str(span_str(all[i].name), all[n].name))
			return query_lex_fail(&p->lex, at, e,
			    "two columns have one name; AS gives another");
	return 0;
}

static int
parse_items(struct query_parser *p, struct query *q, struct err *e)
{
	struct query_item *all = arena_alloc(p->lex.arena, QUERY_ITEMS * sizeof(*all));
	bool more = true;
	q->item = all;
	while (more) {
		size_t at = p->lex.at;
		if (q->n_items == QUERY_ITEMS)
			return query_lex_fail(
			    &p->lex, at, e, "over %d columns", QUERY_ITEMS);
		if (parse_item(p, q->n_items, &all[q->n_items], e) ||
		    check_name(p, at, all, q->n_items, e) ||
		    query_lex_take(&p->lex, ",", &more, e))
			return -1;
		q->aggregates |= all[q->n_items].aggregate != QUERY_PLAIN;
		q->n_items++;
	}
	return 0;
}

static int
parse_select(struct query_parser *p, struct query *q, struct err *e)
{
	if (query_lex_need_name(&p->lex, "SELECT", e) || parse_top(p, q, e) ||
	    query_lex_take(&p->lex, "*", &q->star, e))
		return -1;
	if (!q->star)
		return parse_items(p, q, e);
	p->fields = UINT32_MAX;
	return 0;
}

/* ---- FROM, GROUP BY ---------------------------------------------------------------- */

static int
parse_from(struct query_parser *p, struct query *q, struct err *e)
{
	bool dot;
	if (query_lex_need_name(&p->lex, "FROM", e) ||
	    query_lex_need_name(&p->lex, "devices", e) ||
	    query_lex_take(&p->lex, ".", &dot, e))
		return -1;
	if (!dot)
		return 0;
	if (query_lex_is_name(&p->lex, "jobs"))
		return err_set(e, ERR_UNSUPPORTED,
		    "query: devices.jobs is not served; GET /jobs/v2 is");
	q->from = QUERY_MODULES;
	return query_lex_need_name(&p->lex, "modules", e);
}

static int
parse_group_by(struct query_parser *p, struct query *q, struct err *e)
{
	struct query_path *all = arena_alloc(p->lex.arena, QUERY_GROUPS * sizeof(*all));
	bool more;
	if (query_lex_take_name(&p->lex, "GROUP", &more, e))
		return -1;
	if (!more)
		return 0;
	if (query_lex_need_name(&p->lex, "BY", e))
		return -1;
	q->group_by = all;
	while (more) {
		if (q->n_groups == QUERY_GROUPS)
			return query_lex_fail(&p->lex, p->lex.at, e,
			    "groups by more than %d members", QUERY_GROUPS);
		if (query_expr_path(p, &all[q->n_groups++], e) ||
		    query_lex_take(&p->lex, ",", &more, e))
			return -1;
	}
	q->aggregates = true;
	return 0;
}

/* ---- the whole --------------------------------------------------------------------- */

static bool
is_grouped(const struct query *q, const struct query_path *path)
{
	for (size_t i = 0; i < q->n_groups; i++)
		if (query_path_eq(&q->group_by[i], path))
			return true;
	return false;
}

static int
check_groups(const struct query *q, struct err *e)
{
	if (!q->aggregates)
		return 0;
	if (q->star)
		return err_set(
		    e, ERR_PARSE, "query: SELECT * and GROUP BY do not go together");
	for (size_t i = 0; i < q->n_items; i++)
		if (q->item[i].aggregate == QUERY_PLAIN &&
		    !is_grouped(q, &q->item[i].path))
			return err_set(e, ERR_PARSE,
			    "query: column %zu is neither an aggregate nor in GROUP BY",
			    i + 1);
	return 0;
}

static int
check_end(const struct query_parser *p, struct err *e)
{
	if (p->lex.word == QUERY_WORD_END)
		return 0;
	if (query_lex_is_name(&p->lex, "ORDER"))
		return query_lex_fail(
		    &p->lex, p->lex.at, e, "the language has no ORDER BY");
	return query_lex_want(&p->lex, "an operator, or the end", e);
}

static int
parse(struct query_parser *p, struct query *q, struct err *e)
{
	bool where;
	if (parse_select(p, q, e) || parse_from(p, q, e) ||
	    query_lex_take_name(&p->lex, "WHERE", &where, e) ||
	    (where && query_expr_parse(p, &q->where, e)) || parse_group_by(p, q, e) ||
	    check_end(p, e))
		return -1;
	q->fields = p->fields;
	return check_groups(q, e);
}

static size_t
characters(struct span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

static int
check_text(struct span text, struct err *e)
{
	if (!utf8_ok_no_nul(text))
		return err_set(e, ERR_PARSE, "query: no text");
	if (characters(text) > QUERY_CHARS || text.len > QUERY_BYTES)
		return err_set(e, ERR_PARSE, "query: over %d characters", QUERY_CHARS);
	return 0;
}

int
query_parse(struct span text, struct arena *a, struct query *ret, struct err *e)
{
	struct query_parser p = {.depth = 0};
	struct query q = {.from = QUERY_DEVICES};
	if (check_text(text, e) || query_lex_init(&p.lex, text, a, e) || parse(&p, &q, e))
		return -1;
	*ret = q;
	return 0;
}

static int
parse_condition(struct query_parser *p, struct query *q, struct err *e)
{
	if (query_lex_is_name(&p->lex, "FROM") &&
	    (parse_from(p, q, e) || query_lex_need_name(&p->lex, "WHERE", e)))
		return -1;
	return query_expr_parse(p, &q->where, e) || check_end(p, e) ? -1 : 0;
}

int
query_parse_condition(struct span text, struct arena *a, struct query *ret, struct err *e)
{
	struct query_parser p = {.depth = 0};
	struct query q = {.from = QUERY_DEVICES, .star = true};
	bool all = span_eq_str(span_trim(text), "*");
	if (check_text(text, e) ||
	    (!all && (query_lex_init(&p.lex, text, a, e) || parse_condition(&p, &q, e))))
		return -1;
	q.fields = p.fields;
	*ret = q;
	return 0;
}
