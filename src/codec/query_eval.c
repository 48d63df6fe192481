/*
 * Values of expressions.
 */
#include "codec/query_eval.h"

#include <math.h>
#include <string.h>

#include "codec/js.h"

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

static const struct query_value undefined = {.type = QUERY_UNDEFINED};

/* ---- values ------------------------------------------------------------------------ */

static struct query_value
truth(bool b)
{
	return (struct query_value){.type = QUERY_BOOL, .truth = b};
}

struct query_value
query_eval_number(double n)
{
	return isfinite(n) ? (struct query_value){.type = QUERY_NUMBER, .number = n}
			   : undefined;
}

struct query_value
query_eval_text(struct span s)
{
	return (struct query_value){.type = QUERY_STRING, .text = s};
}

static struct query_value
of_js(const struct js *v)
{
	if (!v)
		return undefined;
	switch (js_type(v)) {
	case JS_NULL:
		return (struct query_value){.type = QUERY_NULL};
	case JS_BOOL:
		return truth(js_as_bool(v));
	case JS_INT:
	case JS_REAL:
		return query_eval_number(js_as_number(v));
	case JS_STRING:
		return query_eval_text(js_as_str(v));
	case JS_ARRAY:
	case JS_OBJECT:
		break;
	}
	return (struct query_value){.type = QUERY_TREE, .tree = v};
}

struct query_value
query_eval_walk(const struct js *v, const struct span *names, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		v = js_get(v, (const char *)names[i].p);
	return of_js(v);
}

struct js *
query_eval_json(const struct query_value *v)
{
	switch (v->type) {
	case QUERY_UNDEFINED:
		return NULL;
	case QUERY_NULL:
		return js_null();
	case QUERY_BOOL:
		return js_bool(v->truth);
	case QUERY_NUMBER:
		if (fabs(v->number) <= WHOLE_MAX && v->number == trunc(v->number))
			return js_int((int64_t)v->number);
		return js_real(v->number);
	case QUERY_STRING:
		return js_str(v->text, NULL);
	case QUERY_TREE:
		break;
	}
	return js_copy(v->tree);
}

/* ---- comparison -------------------------------------------------------------------- */

/* <0, 0, >0 of two values of one type that has an order. */
static int
order(const struct query_value *a, const struct query_value *b)
{
	if (a->type == QUERY_BOOL)
		return (int)a->truth - (int)b->truth;
	if (a->type == QUERY_NUMBER)
		return (a->number > b->number) - (a->number < b->number);
	size_t n = a->text.len < b->text.len ? a->text.len : b->text.len;
	int c = n ? memcmp(a->text.p, b->text.p, n) : 0;
	return c ? c : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

static bool
equal(const struct query_value *a, const struct query_value *b)
{
	if (a->type == QUERY_NULL)
		return true;
	return a->type == QUERY_TREE ? js_equal(a->tree, b->tree) : order(a, b) == 0;
}

static struct query_value
compare_equal(bool want, const struct query_value *a, const struct query_value *b)
{
	bool null = a->type == QUERY_NULL || b->type == QUERY_NULL;
	if (a->type == b->type)
		return truth(equal(a, b) == want);
	return null ? truth(!want) : undefined;
}

struct query_value
query_eval_compare(
    enum query_op op, const struct query_value *a, const struct query_value *b)
{
	if (a->type == QUERY_UNDEFINED || b->type == QUERY_UNDEFINED)
		return undefined;
	if (op == QUERY_EQ || op == QUERY_NE)
		return compare_equal(op == QUERY_EQ, a, b);
	if (a->type != b->type || a->type == QUERY_NULL || a->type == QUERY_TREE)
		return undefined;
	int c = order(a, b);
	switch (op) {
	case QUERY_LT:
		return truth(c < 0);
	case QUERY_GT:
		return truth(c > 0);
	case QUERY_LE:
		return truth(c <= 0);
	default:
		return truth(c >= 0);
	}
}

/* A value of another type than all of the list is not in it. */
static struct query_value
is_in(const struct query_expr *x, const struct query_value *v)
{
	bool found = false;
	if (v->type == QUERY_UNDEFINED)
		return undefined;
	for (size_t i = 0; i < x->n && !found; i++) {
		struct query_value same = query_eval_compare(QUERY_EQ, v, &x->list[i]);
		found = same.truth;
	}
	return truth(found == (x->op == QUERY_IN));
}

/* ---- logic, arithmetic ------------------------------------------------------------- */

/* Three values: what is no boolean is undefined. stop: the one that decides alone. */
static struct query_value
join(bool stop, const struct query_value *a, const struct query_value *b)
{
	bool a_stops = a->type == QUERY_BOOL && a->truth == stop;
	bool b_stops = b->type == QUERY_BOOL && b->truth == stop;
	if (a_stops || b_stops)
		return truth(stop);
	return a->type == QUERY_BOOL && b->type == QUERY_BOOL ? truth(!stop) : undefined;
}

static struct query_value
eval_logic(const struct query_expr *x, const struct query_row *row)
{
	bool stop = x->op == QUERY_OR;
	struct query_value a = query_eval(x->a, row);
	if (a.type == QUERY_BOOL && a.truth == stop)
		return a;
	struct query_value b = query_eval(x->b, row);
	return join(stop, &a, &b);
}

static struct query_value
calculate(enum query_op op, const struct query_value *a, const struct query_value *b)
{
	if (a->type != QUERY_NUMBER || b->type != QUERY_NUMBER)
		return undefined;
	switch (op) {
	case QUERY_ADD:
		return query_eval_number(a->number + b->number);
	case QUERY_SUB:
		return query_eval_number(a->number - b->number);
	case QUERY_MUL:
		return query_eval_number(a->number * b->number);
	case QUERY_DIV:
		return b->number != 0 ? query_eval_number(a->number / b->number)
				      : undefined;
	default:
		return query_eval_number(fmod(a->number, b->number));
	}
}

/* ---- functions --------------------------------------------------------------------- */

static bool
is_tree(const struct query_value *v, enum js_type type)
{
	return v->type == QUERY_TREE && js_is(v->tree, type);
}

static bool
has_part(struct span s, struct span part)
{
	return part.len == 0 ||
	       (s.len >= part.len && memmem(s.p, s.len, part.p, part.len));
}

static struct query_value
call_of_text(
    enum query_function f, const struct query_value *a, const struct query_value *b)
{
	if (a->type != QUERY_STRING || b->type != QUERY_STRING)
		return undefined;
	if (f == QUERY_STARTS_WITH)
		return truth(span_starts(a->text, b->text));
	if (f == QUERY_ENDS_WITH)
		return truth(span_ends(a->text, b->text));
	return truth(has_part(a->text, b->text));
}

static struct query_value
call(const struct query_expr *x, const struct query_row *row)
{
	struct query_value a = query_eval(x->a, row), b = undefined;
	if (x->b)
		b = query_eval(x->b, row);
	switch (x->function) {
	case QUERY_IS_DEFINED:
		return truth(a.type != QUERY_UNDEFINED);
	case QUERY_IS_NULL:
		return truth(a.type == QUERY_NULL);
	case QUERY_IS_BOOL:
		return truth(a.type == QUERY_BOOL);
	case QUERY_IS_NUMBER:
		return truth(a.type == QUERY_NUMBER);
	case QUERY_IS_STRING:
		return truth(a.type == QUERY_STRING);
	case QUERY_IS_OBJECT:
		return truth(is_tree(&a, JS_OBJECT));
	case QUERY_IS_ARRAY:
		return truth(is_tree(&a, JS_ARRAY));
	case QUERY_IS_PRIMITIVE:
		return truth(a.type != QUERY_UNDEFINED && a.type != QUERY_TREE);
	default:
		return call_of_text(x->function, &a, &b);
	}
}

/* ---- the whole --------------------------------------------------------------------- */

static struct query_value
eval_unary(const struct query_expr *x, const struct query_row *row)
{
	struct query_value a = query_eval(x->a, row);
	if (x->op == QUERY_NOT)
		return a.type == QUERY_BOOL ? truth(!a.truth) : undefined;
	return a.type == QUERY_NUMBER ? query_eval_number(-a.number) : undefined;
}

static struct query_value
eval_binary(const struct query_expr *x, const struct query_row *row)
{
	struct query_value a = query_eval(x->a, row), b = query_eval(x->b, row);
	return x->op <= QUERY_GE ? query_eval_compare(x->op, &a, &b)
				 : calculate(x->op, &a, &b);
}

struct query_value
query_eval(const struct query_expr *x, const struct query_row *row)
{
	struct query_value a;
	switch (x->op) {
	case QUERY_CONST:
		return x->value;
	case QUERY_PATH:
		return row->get(row->arg, &x->path);
	case QUERY_CALL:
		return call(x, row);
	case QUERY_NOT:
	case QUERY_MINUS:
		return eval_unary(x, row);
	case QUERY_AND:
	case QUERY_OR:
		return eval_logic(x, row);
	case QUERY_IN:
	case QUERY_NIN:
		a = query_eval(x->a, row);
		return is_in(x, &a);
	default:
		return eval_binary(x, row);
	}
}

bool
query_eval_where(const struct query *q, const struct query_row *row)
{
	if (!q->where)
		return true;
	struct query_value v = query_eval(q->where, row);
	return v.type == QUERY_BOOL && v.truth;
}

struct js *
query_eval_select(const struct query *q, const struct query_row *row)
{
	struct js *o = js_object();
	for (size_t i = 0; i < q->n_items; i++) {
		struct query_value v = row->get(row->arg, &q->item[i].path);
		struct js *shown = query_eval_json(&v);
		if (shown)
			js_set(o, q->item[i].name, shown);
	}
	return o;
}
