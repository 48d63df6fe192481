#ifndef CODEC_QUERY_H
#define CODEC_QUERY_H
/*
 * The hub's query language (protocol/service.md 2.5) as a tree: SELECT, FROM, WHERE,
 * GROUP BY. What is parsed lives in the caller's arena and borrows the text. What it
 * comes to on a twin is codec/query_eval.h's.
 *
 * Keywords, names of functions and the members that every twin has are known in any case;
 * names below tags and properties are not.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#define QUERY_CHARS  8192        /* as at Azure */
#define QUERY_BYTES  (16 * 1024) /* its longest in UTF-8 */
#define QUERY_DEPTH  32
#define QUERY_NODES  512
#define QUERY_ITEMS  64
#define QUERY_GROUPS 8
#define QUERY_SEGS   32
#define QUERY_ARENA  (1024 * 1024) /* what a query of any text needs at most */

/* The members of a twin. */
#define QUERY_FIELDS(F)                                                                  \
	F(DEVICE_ID, "deviceId")                                                         \
	F(MODULE_ID, "moduleId")                                                         \
	F(ETAG, "etag")                                                                  \
	F(DEVICE_ETAG, "deviceEtag")                                                     \
	F(STATUS, "status")                                                              \
	F(STATUS_REASON, "statusReason")                                                 \
	F(STATUS_TIME, "statusUpdateTime")                                               \
	F(CONNECTION, "connectionState")                                                 \
	F(LAST_ACTIVITY, "lastActivityTime")                                             \
	F(C2D_COUNT, "cloudToDeviceMessageCount")                                        \
	F(AUTH, "authenticationType")                                                    \
	F(THUMBPRINT, "x509Thumbprint")                                                  \
	F(MODEL, "modelId")                                                              \
	F(VERSION, "version")                                                            \
	F(CAPABILITIES, "capabilities")                                                  \
	F(SCOPE, "deviceScope")                                                          \
	F(PARENTS, "parentScopes")                                                       \
	F(TAGS, "tags")                                                                  \
	F(PROPERTIES, "properties")

enum query_field {
#define F(NAME, text) QUERY_FIELD_##NAME,
	QUERY_FIELDS(F)
#undef F
	    QUERY_FIELD_N
};
const char *query_field_name(enum query_field f);

/* seg[0] is the field's own name; a prefix "devices." or "devices.modules." is gone. */
struct query_path {
	enum query_field field;
	const struct span *seg; /* each terminated */
	size_t n;
};

enum query_type {
	QUERY_UNDEFINED,
	QUERY_NULL,
	QUERY_BOOL,
	QUERY_NUMBER,
	QUERY_STRING,
	QUERY_TREE /* an object or an array */
};

struct js;
struct query_value {
	enum query_type type;
	bool truth;
	double number;
	struct span text;
	const struct js *tree;
};

enum query_op {
	QUERY_CONST,
	QUERY_PATH,
	QUERY_CALL,
	QUERY_NOT,
	QUERY_MINUS,
	QUERY_AND,
	QUERY_OR,
	QUERY_EQ,
	QUERY_NE,
	QUERY_LT,
	QUERY_GT,
	QUERY_LE,
	QUERY_GE,
	QUERY_IN,
	QUERY_NIN,
	QUERY_ADD,
	QUERY_SUB,
	QUERY_MUL,
	QUERY_DIV,
	QUERY_MOD
};

enum query_function {
	QUERY_IS_DEFINED,
	QUERY_IS_NULL,
	QUERY_IS_BOOL,
	QUERY_IS_NUMBER,
	QUERY_IS_STRING,
	QUERY_IS_OBJECT,
	QUERY_IS_ARRAY,
	QUERY_IS_PRIMITIVE,
	QUERY_STARTS_WITH,
	QUERY_ENDS_WITH,
	QUERY_CONTAINS
};

struct query_expr {
	enum query_op op;
	const struct query_expr *a, *b; /* b NULL: of one operand */
	struct query_value value;       /* CONST */
	struct query_path path;         /* PATH */
	enum query_function function;   /* CALL */
	const struct query_value *list; /* IN, NIN: constants, in a of which */
	size_t n;
};

enum query_aggregate {
	QUERY_PLAIN, /* none: the path itself */
	QUERY_COUNT,
	QUERY_SUM,
	QUERY_AVG,
	QUERY_MIN,
	QUERY_MAX
};

struct query_item {
	enum query_aggregate aggregate;
	struct query_path path; /* of COUNT: none, n = 0 */
	const char *name;       /* in the answer */
};

enum query_from { QUERY_DEVICES, QUERY_MODULES };

struct query {
	enum query_from from;
	int64_t top;                   /* 0: all */
	bool star;                     /* "*"; without items */
	const struct query_item *item; /* of one name each */
	size_t n_items;
	const struct query_expr *where; /* NULL: every one */
	const struct query_path *group_by;
	size_t n_groups;
	bool aggregates; /* an answer is a group, not a twin */
	uint32_t fields; /* a bit for each field that it speaks of; all with "*" */
};

/* ERR_PARSE: with the character and what is wrong there; ERR_UNSUPPORTED: the language
 * has it, this service does not. a: QUERY_ARENA is enough. */
must_check int query_parse(
    struct span text, struct arena *a, struct query *ret, struct err *e);

/* The same of a condition alone, what would stand behind WHERE; "FROM devices.modules
 * WHERE" before it makes it one of modules. "*" is every device. fields are the
 * condition's. */
must_check int query_parse_condition(
    struct span text, struct arena *a, struct query *ret, struct err *e);

bool query_path_eq(const struct query_path *a, const struct query_path *b);

#endif
