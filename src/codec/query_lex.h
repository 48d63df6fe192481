#ifndef CODEC_QUERY_LEX_H
#define CODEC_QUERY_LEX_H
/*
 * The words of a query (protocol/service.md 2.5): names, strings, numbers, signs. One
 * ahead at a time. For the query's own parsers, codec/query.c and query_expr.c.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum query_word {
	QUERY_WORD_END,
	QUERY_WORD_NAME,   /* text: as written */
	QUERY_WORD_QUOTED, /* [[name]]; text: what stands inside */
	QUERY_WORD_STRING, /* text: unescaped */
	QUERY_WORD_NUMBER,
	QUERY_WORD_SIGN /* text: ( ) [ ] , . * + - / % = != <> < > <= >= */
};

struct query_lex {
	struct span text;
	struct arena *arena;
	size_t next; /* where the word after this one begins */
	/* the word in hand */
	enum query_word word;
	struct span value;
	double number;
	size_t at; /* where it begins, in bytes */
};

/* Stands on the first word. text is well-formed UTF-8. */
must_check int query_lex_init(
    struct query_lex *l, struct span text, struct arena *a, struct err *e);
/* On to the next word. ERR_PARSE says where. */
must_check int query_lex_next(struct query_lex *l, struct err *e);

/* Whether the word in hand is this sign; this name, in any case. */
bool query_lex_is(const struct query_lex *l, const char *sign);
bool query_lex_is_name(const struct query_lex *l, const char *name);
/* Passes it by where it is that one. -1: the next word is none. */
must_check int query_lex_take(
    struct query_lex *l, const char *sign, bool *ret_was, struct err *e);
must_check int query_lex_take_name(
    struct query_lex *l, const char *name, bool *ret_was, struct err *e);
/* ERR_PARSE where it is another. */
must_check int query_lex_need(struct query_lex *l, const char *sign, struct err *e);
must_check int query_lex_need_name(struct query_lex *l, const char *name, struct err *e);

/* -1 and ERR_PARSE: the query is wrong at that byte; characters are what people count. */
int query_lex_fail(const struct query_lex *l, size_t at, struct err *e, const char *fmt,
    ...) printf_like(4, 5);
/* The same at the word in hand, which is shown: "want WHAT, have WORD". */
int query_lex_want(const struct query_lex *l, const char *what, struct err *e);

#endif
