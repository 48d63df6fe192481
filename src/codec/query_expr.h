#ifndef CODEC_QUERY_EXPR_H
#define CODEC_QUERY_EXPR_H
/*
 * Expressions and paths of queries; for codec/query.c.
 */
#include "codec/query.h"
#include "codec/query_lex.h"

/* What the parts of one query share. */
struct query_parser {
	struct query_lex lex;
	int depth;
	size_t nodes;
	uint32_t fields; /* spoken of so far */
};

must_check int query_expr_parse(
    struct query_parser *p, const struct query_expr **ret, struct err *e);
must_check int query_expr_path(
    struct query_parser *p, struct query_path *ret, struct err *e);

#endif
