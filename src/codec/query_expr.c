/*
 * Expressions: operators by precedence, functions, paths.
 */
#include "codec/query_expr.h"

static int parse_level(
    struct query_parser *p, int level, const struct query_expr **ret, struct err *e);

static int
new_node(struct query_parser *p, struct query_expr **ret, struct err *e)
{
	if (++p->nodes > QUERY_NODES)
		return query_lex_fail(
		    &p->lex, p->lex.at, e, "over %d operators and operands", QUERY_NODES);
	*ret = arena_alloc(p->lex.arena, sizeof(**ret));
	return 0;
}

/* ---- paths ------------------------------------------------------------------------- */

struct segs {
	struct span v[QUERY_SEGS];
	size_t n;
};

static int
add_seg(struct query_parser *p, struct segs *s, struct err *e)
{
	if (s->n == QUERY_SEGS)
		return query_lex_fail(
		    &p->lex, p->lex.at, e, "a path has at most %d names", QUERY_SEGS);
	s->v[s->n++] = p->lex.value;
	return query_lex_next(&p->lex, e);
}

/* ".name", ".[[name]]", "['name']"; *ret_was: there was one. */
static int
more_seg(struct query_parser *p, struct segs *s, bool *ret_was, struct err *e)
{
	bool dot, bracket = false;
	if (query_lex_take(&p->lex, ".", &dot, e) ||
	    (!dot && query_lex_take(&p->lex, "[", &bracket, e)))
		return -1;
	*ret_was = dot || bracket;
	if (dot && p->lex.word != QUERY_WORD_NAME && p->lex.word != QUERY_WORD_QUOTED)
		return query_lex_want(&p->lex,
		    "a name (in [[ ]] where it is not letters, digits, _ and $)", e);
	if (bracket && p->lex.word != QUERY_WORD_STRING)
		return query_lex_want(&p->lex, "a name in quotes", e);
	if (!*ret_was)
		return 0;
	if (add_seg(p, s, e))
		return -1;
	return bracket ? query_lex_need(&p->lex, "]", e) : 0;
}

/* "devices.tags.x" and "devices.modules.moduleId" name what "tags.x" and "moduleId" do.
 */
static size_t
prefix_len(const struct segs *s)
{
	if (s->n < 2 || !span_ieq_str(s->v[0], "devices"))
		return 0;
	return s->n > 2 && span_ieq_str(s->v[1], "modules") ? 2 : 1;
}

static int
find_field(struct query_parser *p, struct span name, size_t at, struct query_path *ret,
    struct err *e)
{
	for (int i = 0; i < QUERY_FIELD_N; i++)
		if (span_ieq_str(name, query_field_name((enum query_field)i))) {
			ret->field = (enum query_field)i;
			return 0;
		}
	return query_lex_fail(&p->lex, at, e,
	    "a twin has no member of this name (what a device has is in tags, "
	    "properties.desired and properties.reported)");
}

static int
check_properties(
    struct query_parser *p, struct segs *s, size_t skip, size_t at, struct err *e)
{
	static const char *const parts[] = {"desired", "reported"};
	for (size_t i = 0; s->n > skip + 1 && i < 2; i++)
		if (span_ieq_str(s->v[skip + 1], parts[i])) {
			s->v[skip + 1] = span_str(parts[i]);
			return 0;
		}
	if (s->n == skip + 1)
		return 0;
	return query_lex_fail(
	    &p->lex, at, e, "properties has the members desired and reported");
}

int
query_expr_path(struct query_parser *p, struct query_path *ret, struct err *e)
{
	struct segs s = {.n = 0};
	size_t at = p->lex.at;
	bool more = true;
	if (p->lex.word != QUERY_WORD_NAME && p->lex.word != QUERY_WORD_QUOTED)
		return query_lex_want(&p->lex, "the name of a member", e);
	if (add_seg(p, &s, e))
		return -1;
	while (more)
		if (more_seg(p, &s, &more, e))
			return -1;
	size_t skip = prefix_len(&s);
	if (find_field(p, s.v[skip], at, ret, e))
		return -1;
	if (ret->field == QUERY_FIELD_PROPERTIES && check_properties(p, &s, skip, at, e))
		return -1;
	s.v[skip] = span_str(query_field_name(ret->field));
	struct span *own = arena_alloc(p->lex.arena, (s.n - skip) * sizeof(*own));
	for (size_t i = skip; i < s.n; i++)
		own[i - skip] = span_str(arena_str(p->lex.arena, s.v[i]));
	ret->seg = own;
	ret->n = s.n - skip;
	p->fields |= UINT32_C(1) << ret->field;
	return 0;
}

/* ---- constants --------------------------------------------------------------------- */

/* *ret_was: the word in hand was one. */
static int
take_constant(
    struct query_parser *p, struct query_value *ret, bool *ret_was, struct err *e)
{
	struct query_value v = {.type = QUERY_UNDEFINED};
	bool is_true = query_lex_is_name(&p->lex, "true");
	*ret_was = true;
	if (p->lex.word == QUERY_WORD_STRING)
		v = (struct query_value){.type = QUERY_STRING, .text = p->lex.value};
	else if (p->lex.word == QUERY_WORD_NUMBER)
		v = (struct query_value){.type = QUERY_NUMBER, .number = p->lex.number};
	else if (is_true || query_lex_is_name(&p->lex, "false"))
		v = (struct query_value){.type = QUERY_BOOL, .truth = is_true};
	else if (query_lex_is_name(&p->lex, "null"))
		v.type = QUERY_NULL;
	else if (!query_lex_is_name(&p->lex, "undefined"))
		*ret_was = false;
	if (!*ret_was)
		return 0;
	*ret = v;
	return query_lex_next(&p->lex, e);
}

/* One of a list, where a number may have a sign. */
static int
parse_element(struct query_parser *p, struct query_value *ret, struct err *e)
{
	bool minus, was;
	size_t at = p->lex.at;
	if (query_lex_take(&p->lex, "-", &minus, e) || take_constant(p, ret, &was, e))
		return -1;
	if (!was || (minus && ret->type != QUERY_NUMBER))
		return query_lex_fail(&p->lex, at, e, "a list is of constants");
	ret->number = minus ? -ret->number : ret->number;
	return 0;
}

/* Room for one more behind x->n of them. */
static struct query_value *
grow_list(struct arena *a, const struct query_expr *x, struct query_value *list)
{
	if (x->n & (x->n - 1))
		return list; /* doubled when full, at powers of two */
	struct query_value *wider =
	    arena_alloc(a, (x->n ? 2 * x->n : 1) * sizeof(*wider));
	if (x->n)
		memcpy(wider, list, x->n * sizeof(*wider));
	return wider;
}

/* [a, b, ...] */
static int
parse_list(struct query_parser *p, struct query_expr *x, struct err *e)
{
	struct query_value *list = NULL;
	bool more = true;
	if (!query_lex_is(&p->lex, "["))
		return query_lex_want(&p->lex, "a list in [ ]", e);
	if (query_lex_next(&p->lex, e))
		return -1;
	while (more) {
		if (++p->nodes > QUERY_NODES)
			return query_lex_fail(&p->lex, p->lex.at, e,
			    "over %d operators and operands", QUERY_NODES);
		list = grow_list(p->lex.arena, x, list);
		if (parse_element(p, &list[x->n], e) ||
		    query_lex_take(&p->lex, ",", &more, e))
			return -1;
		x->n++;
	}
	x->list = list;
	return query_lex_need(&p->lex, "]", e);
}

/* ---- functions --------------------------------------------------------------------- */

/* Azure's pages have the names with the line, its hub those without (azure-docs 110329).
 */
static const struct {
	const char *name;
	enum query_function function;
	int args;
} functions[] = {
    {"IS_DEFINED", QUERY_IS_DEFINED, 1},
    {"IS_NULL", QUERY_IS_NULL, 1},
    {"IS_BOOL", QUERY_IS_BOOL, 1},
    {"IS_NUMBER", QUERY_IS_NUMBER, 1},
    {"IS_STRING", QUERY_IS_STRING, 1},
    {"IS_OBJECT", QUERY_IS_OBJECT, 1},
    {"IS_ARRAY", QUERY_IS_ARRAY, 1},
    {"IS_PRIMITIVE", QUERY_IS_PRIMITIVE, 1},
    {"STARTS_WITH", QUERY_STARTS_WITH, 2},
    {"STARTSWITH", QUERY_STARTS_WITH, 2},
    {"ENDS_WITH", QUERY_ENDS_WITH, 2},
    {"ENDSWITH", QUERY_ENDS_WITH, 2},
    {"CONTAINS", QUERY_CONTAINS, 2},
};

/* The word in hand, and a parenthesis behind it. */
static bool
is_call(const struct query_lex *l)
{
	size_t at = l->next;
	while (at < l->text.len &&
	       (l->text.p[at] == ' ' || (l->text.p[at] >= '\t' && l->text.p[at] <= '\r')))
		at++;
	return l->word == QUERY_WORD_NAME && at < l->text.len && l->text.p[at] == '(';
}

static int
parse_args(struct query_parser *p, struct query_expr *x, int n, struct err *e)
{
	if (query_lex_next(&p->lex, e) || query_lex_need(&p->lex, "(", e) ||
	    parse_level(p, 0, &x->a, e))
		return -1;
	if (n == 2 && (query_lex_need(&p->lex, ",", e) || parse_level(p, 0, &x->b, e)))
		return -1;
	return query_lex_need(&p->lex, ")", e);
}

static int
parse_call(struct query_parser *p, struct query_expr *x, struct err *e)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (!query_lex_is_name(&p->lex, functions[i].name))
			continue;
		x->op = QUERY_CALL;
		x->function = functions[i].function;
		return parse_args(p, x, functions[i].args, e);
	}
	return query_lex_want(&p->lex, "a function of conditions on twins", e);
}

/* ---- operators --------------------------------------------------------------------- */

static int
parse_operand(struct query_parser *p, const struct query_expr **ret, struct err *e)
{
	struct query_expr *x = NULL;
	bool was;
	if (query_lex_take(&p->lex, "(", &was, e))
		return -1;
	if (was)
		return parse_level(p, 0, ret, e) ? -1 : query_lex_need(&p->lex, ")", e);
	if (new_node(p, &x, e))
		return -1;
	*ret = x;
	if (is_call(&p->lex))
		return parse_call(p, x, e);
	if (take_constant(p, &x->value, &was, e) || was)
		return was ? 0 : -1;
	x->op = QUERY_PATH;
	return query_expr_path(p, &x->path, e);
}

struct operator
{
	int level;
	const char *word;
	bool is_name;
	enum query_op op;
};

enum { LEVEL_NOT = 2, LEVEL_COMPARE = 3, LEVEL_SIGN = 6 };
static const struct operator operators[] = {
    {0, "OR", true, QUERY_OR},
    {1, "AND", true, QUERY_AND},
    {LEVEL_COMPARE, "=", false, QUERY_EQ},
    {LEVEL_COMPARE, "!=", false, QUERY_NE},
    {LEVEL_COMPARE, "<>", false, QUERY_NE},
    {LEVEL_COMPARE, "<=", false, QUERY_LE},
    {LEVEL_COMPARE, ">=", false, QUERY_GE},
    {LEVEL_COMPARE, "<", false, QUERY_LT},
    {LEVEL_COMPARE, ">", false, QUERY_GT},
    {LEVEL_COMPARE, "IN", true, QUERY_IN},
    {LEVEL_COMPARE, "NIN", true, QUERY_NIN},
    {4, "+", false, QUERY_ADD},
    {4, "-", false, QUERY_SUB},
    {5, "*", false, QUERY_MUL},
    {5, "/", false, QUERY_DIV},
    {5, "%", false, QUERY_MOD},
};

/* The operator in hand, if it is of that level. */
static const struct operator* find_operator(const struct query_lex *l, int level)
{
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		const struct operator* o = & operators[i];
		if (o->level == level && (o->is_name ? query_lex_is_name(l, o->word)
						     : query_lex_is(l, o->word)))
			return o;
	}
	return NULL;
}

/* NOT and the sign stand before what they are about, as often as somebody likes. */
static int
parse_unary(
    struct query_parser *p, int level, const struct query_expr **ret, struct err *e)
{
	struct query_expr *x = NULL;
	bool was;
	if (level == LEVEL_NOT ? query_lex_take_name(&p->lex, "NOT", &was, e)
			       : query_lex_take(&p->lex, "-", &was, e))
		return -1;
	if (!was)
		return level == LEVEL_NOT ? parse_level(p, level + 1, ret, e)
					  : parse_operand(p, ret, e);
	if (new_node(p, &x, e))
		return -1;
	x->op = level == LEVEL_NOT ? QUERY_NOT : QUERY_MINUS;
	*ret = x;
	return parse_level(p, level, &x->a, e);
}

/* x op y, from the left. */
static int
parse_binary(
    struct query_parser *p, int level, const struct query_expr **ret, struct err *e)
{
	const struct operator* o;
	if (parse_level(p, level + 1, ret, e))
		return -1;
	while ((o = find_operator(&p->lex, level))) {
		struct query_expr *x = NULL;
		if (new_node(p, &x, e) || query_lex_next(&p->lex, e))
			return -1;
		x->op = o->op;
		x->a = *ret;
		*ret = x;
		bool list = o->op == QUERY_IN || o->op == QUERY_NIN;
		if (list ? parse_list(p, x, e) : parse_level(p, level + 1, &x->b, e))
			return -1;
	}
	return 0;
}

static int
parse_level(
    struct query_parser *p, int level, const struct query_expr **ret, struct err *e)
{
	if (++p->depth > QUERY_DEPTH * (LEVEL_SIGN + 1))
		return query_lex_fail(&p->lex, p->lex.at, e,
		    "conditions nest deeper than %d levels", QUERY_DEPTH);
	int rc = level == LEVEL_NOT || level == LEVEL_SIGN
		     ? parse_unary(p, level, ret, e)
		     : parse_binary(p, level, ret, e);
	p->depth--;
	return rc;
}

int
query_expr_parse(struct query_parser *p, const struct query_expr **ret, struct err *e)
{
	return parse_level(p, 0, ret, e);
}
