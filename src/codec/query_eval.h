#ifndef CODEC_QUERY_EVAL_H
#define CODEC_QUERY_EVAL_H
/*
 * What a query comes to on one twin. Values are those of the document database behind
 * Azure's hubs: a member that is not there is undefined; a comparison with it, or of
 * values of two types, is undefined as well; NOT of that stays so, and what is not true
 * is not in the answer. (Equality and comparison operators in Azure Cosmos DB.) One thing
 * is more than there: "= null" and "!= null" ask of any value whether it is null.
 */
#include "codec/query.h"

struct js;

/* A twin. get: the value at a path, UNDEFINED where there is none; what it lends lives as
 * long as the row does. */
struct query_row {
	struct query_value (*get)(void *arg, const struct query_path *path);
	void *arg;
};

struct query_value query_eval(const struct query_expr *x, const struct query_row *row);
/* Whether the row is in the answer. */
bool query_eval_where(const struct query *q, const struct query_row *row);
/* The row as the columns show it; what is undefined is left out. Not of aggregates. */
struct js *query_eval_select(const struct query *q, const struct query_row *row);

/* a op b for the operators of comparison. */
struct query_value query_eval_compare(
    enum query_op op, const struct query_value *a, const struct query_value *b);

/* A value, and the member of it that names lead to (none: itself); v may be NULL. */
struct query_value query_eval_walk(
    const struct js *v, const struct span *names, size_t n);
struct query_value query_eval_text(struct span s);
struct query_value query_eval_number(double n);
/* JSON of it; NULL: undefined. */
struct js *query_eval_json(const struct query_value *v);

#endif
