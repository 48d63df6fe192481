/*
 * From conditions to ranges of indexes.
 */
#include "domain/hub/query_plan.h"

#include "codec/query_eval.h"

#define PROBE 256 /* entries of an index that are looked at to see which is smaller */
#define WHOLE                                                                            \
	INT64_C(9007199254740992) /* 2^53: from it on several whole numbers are one      \
				   * double                                              \
				   */

/* Ranges whose union holds what a condition may be true of. */
struct set {
	bool all;    /* nothing is known: every twin may be meant */
	bool sized;  /* size was looked up */
	size_t size; /* see size_of */
	size_t n;
	struct store_range range[QUERY_PLAN_RANGES];
};

struct planner {
	struct store *store;
	struct arena *arena;
	bool modules;
};

static struct set *
everything(struct planner *p)
{
	struct set *s = arena_alloc(p->arena, sizeof(*s));
	s->all = true;
	return s;
}

static struct set *
nothing(struct planner *p)
{
	return arena_alloc(p->arena, sizeof(struct set));
}

static void
add(struct set *s, const struct store_range *r)
{
	s->all |= s->n == QUERY_PLAN_RANGES;
	if (!s->all)
		s->range[s->n++] = *r;
}

/* ---- one condition ----------------------------------------------------------------- */

/* What a member can be, and the index of each. */
struct member {
	enum query_field field;
	const char *value;
	struct store_range range;
};
static const struct member members[] = {
    {QUERY_FIELD_STATUS, "enabled", {STORE_RANGE_ENABLED, .number = 1}},
    {QUERY_FIELD_STATUS, "disabled", {STORE_RANGE_ENABLED, .number = 0}},
    {QUERY_FIELD_CONNECTION, "Connected", {STORE_RANGE_CONNECTED, .number = 1}},
    {QUERY_FIELD_CONNECTION, "Disconnected", {STORE_RANGE_CONNECTED, .number = 0}},
    {QUERY_FIELD_AUTH, "none", {STORE_RANGE_AUTH, .number = STORE_AUTH_NONE}},
    {QUERY_FIELD_AUTH, "sas", {STORE_RANGE_AUTH, .number = STORE_AUTH_SAS}},
    {QUERY_FIELD_AUTH, "selfSigned",
	{STORE_RANGE_AUTH, .number = STORE_AUTH_SELF_SIGNED}},
    {QUERY_FIELD_AUTH, "certificateAuthority",
	{STORE_RANGE_AUTH, .number = STORE_AUTH_CA}},
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static struct query_value
get_member(void *arg, const struct query_path *path)
{
	const struct member *m = arg;
	return query_eval_text(span_str(m->value));
}

/* The values of one member for which x, a comparison of it with constants, is true. */
static struct set *
of_member(struct planner *p, const struct query_expr *x, enum query_field field)
{
	struct set *s = nothing(p);
	for (size_t i = 0; i < N_MEMBERS; i++) {
		struct member m = members[i];
		const struct query_row row = {get_member, &m};
		if (m.field != field)
			continue;
		struct query_value v = query_eval(x, &row);
		if (v.type != QUERY_BOOL || !v.truth)
			continue;
		if (p->modules)
			m.range.kind = STORE_RANGE_MODULE_AUTH;
		add(s, &m.range);
	}
	return s;
}

static bool
is_whole(double v)
{
	return v > -(double)WHOLE && v < (double)WHOLE && v == (double)(int64_t)v;
}

/* The path of a tag as the index has it; NULL where it has none. In the arena once,
 * however many values it is compared with. */
static const char *
tag_name(struct planner *p, const struct query_path *path)
{
	auto_buf name = BUF_INIT(STORE_TAG_NAME + 1);
	for (size_t i = 1; i < path->n; i++) {
		if (span_has(path->seg[i], '.'))
			return NULL; /* no key has one, but a path could look like it */
		buf_printf(&name, "%s%s", i > 1 ? "." : "", (const char *)path->seg[i].p);
	}
	if (path->n < 2 || name.bad || name.len > STORE_TAG_NAME)
		return NULL;
	return arena_str(p->arena, buf_span(&name));
}

/* False where the index cannot say: null is in no index, fractions may be there in
 * another rounding. */
static bool
tag_range(struct planner *p, const char *name, const struct query_value *v,
    struct store_range *ret)
{
	struct store_range r = {.kind = STORE_RANGE_TAG_TEXT};
	if (v->type == QUERY_STRING)
		r.text = arena_str(p->arena, v->text);
	else if (v->type == QUERY_BOOL)
		r = (struct store_range){
		    .kind = STORE_RANGE_TAG_BOOL, .number = v->truth};
	else if (v->type == QUERY_NUMBER && is_whole(v->number))
		r = (struct store_range){
		    .kind = STORE_RANGE_TAG_NUMBER, .number = (int64_t)v->number};
	else
		return false;
	r.tag = name;
	*ret = r;
	return true;
}

static bool
id_range(struct planner *p, const struct query_value *v, struct store_range *ret)
{
	if (v->type != QUERY_STRING)
		return false;
	*ret = (struct store_range){
	    .kind = p->modules ? STORE_RANGE_MODULES_OF : STORE_RANGE_ID,
	    .text = arena_str(p->arena, v->text)};
	return true;
}

/* path = one of values. */
static struct set *
of_values(struct planner *p, const struct query_path *path, const struct query_value *v,
    size_t n)
{
	struct set *s = nothing(p);
	bool is_tag = path->field == QUERY_FIELD_TAGS;
	const char *tag = is_tag ? tag_name(p, path) : NULL;
	s->all =
	    n > QUERY_PLAN_RANGES || (is_tag && (!tag || !store_tags_ready(p->store)));
	for (size_t i = 0; i < n && !s->all; i++) {
		struct store_range r;
		if (is_tag ? tag_range(p, tag, &v[i], &r) : id_range(p, &v[i], &r))
			add(s, &r);
		else
			s->all = true;
	}
	return s;
}

/* x compares the member a with constants alone. */
static struct set *
of_comparison(struct planner *p, const struct query_expr *x)
{
	const struct query_path *path = &x->a->path;
	enum query_field f = path->field;
	if (f == QUERY_FIELD_AUTH ||
	    (!p->modules && (f == QUERY_FIELD_STATUS || f == QUERY_FIELD_CONNECTION)))
		return path->n == 1 ? of_member(p, x, f) : nothing(p);
	if (f != QUERY_FIELD_TAGS && (f != QUERY_FIELD_DEVICE_ID || path->n != 1))
		return everything(p);
	if (x->op == QUERY_EQ)
		return of_values(p, path, &x->b->value, 1);
	return x->op == QUERY_IN ? of_values(p, path, x->list, x->n) : everything(p);
}

/* ---- conditions together ----------------------------------------------------------- */

/* How many a set holds, as far as it is looked at. */
static int
size_of(struct planner *p, struct set *s, size_t *ret, struct err *e)
{
	int64_t unused[PROBE];
	size_t n, sum = 0;
	for (size_t i = 0; i < s->n && !s->sized; i++) {
		if (store_range_next(p->store, &s->range[i], 0, PROBE, unused, &n, e))
			return -1;
		sum += n;
	}
	if (!s->sized)
		s->size = sum;
	s->sized = true;
	*ret = s->size;
	return 0;
}

/* Both must hold: either set will do. */
static int
both(struct planner *p, struct set *a, struct set *b, struct set **ret, struct err *e)
{
	size_t in_a, in_b;
	if (a->all || b->all) {
		*ret = a->all ? b : a;
		return 0;
	}
	if (size_of(p, a, &in_a, e) || size_of(p, b, &in_b, e))
		return -1;
	*ret = in_b < in_a ? b : a;
	return 0;
}

static void
either(struct set *a, const struct set *b)
{
	a->all |= b->all;
	a->sized = false;
	for (size_t i = 0; i < b->n && !a->all; i++)
		add(a, &b->range[i]);
}

static int
plan(struct planner *p, const struct query_expr *x, struct set **ret, struct err *e)
{
	struct set *a, *b;
	const struct query_value yes = {.type = QUERY_BOOL, .truth = true};
	if (x->op == QUERY_AND || x->op == QUERY_OR) {
		if (plan(p, x->a, &a, e) || plan(p, x->b, &b, e))
			return -1;
		if (x->op == QUERY_AND)
			return both(p, a, b, ret, e);
		either(a, b);
		*ret = a;
		return 0;
	}
	bool compares = x->op >= QUERY_EQ && x->op <= QUERY_NIN &&
			x->a->op == QUERY_PATH && (!x->b || x->b->op == QUERY_CONST);
	if (compares)
		*ret = of_comparison(p, x);
	else if (x->op == QUERY_PATH && x->path.field == QUERY_FIELD_TAGS)
		*ret = of_values(p, &x->path, &yes, 1);
	else
		*ret = everything(p);
	return 0;
}

/* Modules have no walk of their own; they are what their indexes by credential hold. */
static void
walk_all(const struct planner *p, struct query_plan *plan)
{
	plan->n = 0;
	if (!p->modules)
		plan->range[plan->n++] = (struct store_range){.kind = STORE_RANGE_ALL};
	for (int auth = STORE_AUTH_NONE; p->modules && auth <= STORE_AUTH_CA; auth++)
		plan->range[plan->n++] =
		    (struct store_range){.kind = STORE_RANGE_MODULE_AUTH, .number = auth};
}

int
query_plan_make(struct store *s, const struct query *q, struct arena *a,
    struct query_plan *ret, struct err *e)
{
	struct planner p = {s, a, q->from == QUERY_MODULES};
	struct set *found = NULL;
	if (q->where && plan(&p, q->where, &found, e))
		return -1;
	if (!found || found->all) {
		walk_all(&p, ret);
		return 0;
	}
	memcpy(ret->range, found->range, found->n * sizeof(found->range[0]));
	ret->n = found->n;
	return 0;
}

/* ---- candidates -------------------------------------------------------------------- */

/* The max smallest of both, each once, into out. */
static size_t
merge(const int64_t *a, size_t in_a, const int64_t *b, size_t in_b, int64_t *out,
    size_t max)
{
	size_t i = 0, k = 0, n = 0;
	while (n < max && (i < in_a || k < in_b)) {
		bool from_a = k == in_b || (i < in_a && a[i] <= b[k]);
		int64_t v = from_a ? a[i] : b[k];
		i += i < in_a && a[i] == v;
		k += k < in_b && b[k] == v;
		out[n++] = v;
	}
	return n;
}

int
query_plan_next(struct store *s, const struct query_plan *p, int64_t after, size_t max,
    int64_t *ret, size_t *ret_n, struct err *e)
{
	auto_(free) int64_t *some = own_alloc((max + 1) * sizeof(*some));
	auto_(free) int64_t *joined = own_alloc((max + 1) * sizeof(*joined));
	size_t n = 0, more;
	for (size_t i = 0; i < p->n; i++) {
		if (store_range_next(s, &p->range[i], after, max, some, &more, e))
			return -1;
		n = merge(ret, n, some, more, joined, max);
		memcpy(ret, joined, n * sizeof(*ret));
	}
	*ret_n = n;
	return 0;
}
