/*
 * Messages of configurations, and their slices. Whoever is looked at is compared with all
 * configurations at once: what they set together, in order, is merged into its desired
 * properties where these are not so already.
 */
#include "role/core_configuration.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/js.h"
#include "codec/query.h"
#include "codec/query_eval.h"
#include "domain/hub/configuration.h"
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"
#include "domain/hub/query_plan.h"
#include "proto/hub/twin_row.h"
#include "role/core_list.h"

#define SLICE_ROWS 500
#define SLICE_MS   1   /* until the next */
#define WORK_MS    5   /* what a slice takes */
#define POLL_MS    500 /* while there are configurations: the database notes changes */
#define FAILED_MS  2000
#define ARENA_MAX  (256u << 20)
#define DOC_DEPTH  32

struct core_configurations {
	struct core *core;
	struct loop_timer *timer;
	bool walking; /* one may walk */
};

/* A configuration as a slice has it. */
struct one {
	struct store_configuration c; /* n, hub, id, gone, modules, walk, at, desired */
	struct query q;
	bool is_on; /* it means somebody: not gone, with a condition */
};

/* A slice. */
struct slice {
	struct core *core;
	struct arena *arena;
	struct one *all; /* in the order in which they are merged */
	size_t n;
	int64_t end_ms;
	uint32_t fields; /* that conditions speak of */
	/* of the identity that is looked at */
	bool *matches; /* for each of all */
	bool found, same;
	char name[SESSION_NAME];
	const char *hub;
	struct js *wanted; /* NULL: nothing */
};

/* ---- what there is ----------------------------------------------------------------- */

static int
load_one(void *ctx, const struct store_configuration *x, struct err *e)
{
	struct slice *s = ctx;
	struct arena *a = s->arena;
	struct err why;
	if (s->n == CONFIGURATIONS_ALL)
		return err_set(
		    e, ERR_LIMIT, "over %d configurations", CONFIGURATIONS_ALL);
	if (arena_left(a) <
	    configuration_bytes(x->desired, span_str(x->condition)) + 2 * QUERY_ARENA)
		return err_set(e, ERR_LIMIT, "configurations need too much memory");
	struct one *o = &s->all[s->n++];
	*o = (struct one){.c = *x};
	o->c.hub = arena_str(a, span_str(x->hub));
	o->c.id = arena_str(a, span_str(x->id));
	o->c.condition = arena_str(a, span_str(x->condition));
	o->c.desired = arena_span(a, x->desired);
	/* it was parsed before it was stored */
	o->is_on = !x->gone && x->condition[0] &&
		   query_parse_condition(span_str(o->c.condition), a, &o->q, &why) == 0;
	s->fields |= o->is_on ? o->q.fields : 0;
	return 0;
}

static int
load(struct slice *s, struct err *e)
{
	s->all = arena_alloc(s->arena, CONFIGURATIONS_ALL * sizeof(*s->all));
	s->matches = arena_alloc(s->arena, CONFIGURATIONS_ALL * sizeof(*s->matches));
	return store_configuration_each(s->core->store, load_one, s, e);
}

/* ---- one identity ------------------------------------------------------------------ */

static int
want(struct slice *s, const struct one *o, struct err *e)
{
	auto_(js_free) struct js *patch = js_parse(o->c.desired, CAP_TWIN, DOC_DEPTH, e);
	if (!patch)
		return err_wrap(e, "configuration %s", o->c.id);
	struct js *sum = s->wanted ? js_merge(s->wanted, patch) : js_copy(patch);
	js_free(s->wanted);
	s->wanted = sum;
	return 0;
}

static int
match_all(struct slice *s, const struct store_device *d, const struct query_row *row,
    struct err *e)
{
	bool is_module = strchr(d->id, '/') != NULL, here;
	for (size_t i = 0; i < s->n; i++) {
		const struct one *o = &s->all[i];
		if (!o->is_on || (o->q.from == QUERY_MODULES) != is_module ||
		    o->c.modules != is_module)
			continue;
		if (hubs_has(&s->core->d, o->c.hub, d, &here, e))
			return -1;
		if (!here || !query_eval_where(&o->q, row))
			continue;
		s->matches[i] = true;
		s->hub = o->c.hub;
		if (want(s, o, e))
			return -1;
	}
	return 0;
}

static int
visit(void *ctx, const struct store_device *d, struct err *e)
{
	struct slice *s = ctx;
	struct ipc_device m;
	bool counts = s->fields & 1u << QUERY_FIELD_C2D_COUNT;
	if (core_device_row(s->core, d, false, counts, &m, e))
		return -1;
	struct twin_row t = twin_row_of(&m);
	struct query_row row = twin_row_query(&t);
	int rc = match_all(s, d, &row, e);
	twin_row_done(&t);
	if (rc)
		return -1;
	s->found = true;
	snprintf(s->name, sizeof(s->name), "%s", d->id);
	if (!s->wanted)
		return 0;
	auto_(js_free) struct js *was = js_parse(d->desired, CAP_TWIN, DOC_DEPTH, e);
	if (!was)
		return -1;
	auto_(js_free) struct js *is = js_merge(was, s->wanted);
	s->same = js_equal(was, is);
	return 0;
}

/* *ret: whether its desired properties are now as wanted. */
static int
apply(struct slice *s, bool *ret, struct err *e)
{
	struct core *c = s->core;
	struct span module = span_str(s->name), id = span_split(&module, '/');
	auto_buf desired = BUF_INIT(CAP_TWIN);
	struct store_device dev;
	struct span change;
	struct refusal no = {0};
	struct err why;
	js_dump(s->wanted, JS_AS_BUILT, &desired);
	const struct ipc_twin_patch m = {.peer.host = span_str(s->hub),
	    .id = id,
	    .module_id = module,
	    .desired = buf_span(&desired)};
	*ret = false;
	if (buf_check(&desired, "desired", &why) ||
	    device_twin_patch(&c->d, &m, &dev, &change, &no, &why))
		return core_is_lost(&why) ? err_copy(e, &why) : 0;
	*ret = no.code == REFUSAL_NONE;
	return *ret ? core_twin_changed(c, dev.id, change, dev.desired_version, e) : 0;
}

/* Who is in which configuration. */
static int
note(struct slice *s, int64_t device, bool applied, struct err *e)
{
	struct store *store = s->core->store;
	int64_t in[CONFIGURATIONS_ALL];
	size_t n;
	if (store_configuration_of(store, device, CONFIGURATIONS_ALL, in, &n, e))
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		int64_t x = s->all[i].c.n;
		bool was = false;
		for (size_t k = 0; k < n; k++)
			was |= in[k] == x;
		if (s->matches[i] &&
		    store_configuration_set(store, x, device, applied, e))
			return -1;
		if (was && !s->matches[i] &&
		    store_configuration_unset(store, x, device, e))
			return -1;
	}
	return 0;
}

/* What is wrong with one twin leaves the others alone: it is then not applied. */
static int
look_at(struct slice *s, int64_t device, struct err *e)
{
	struct err why = {.code = ERR_OK};
	bool applied = true;
	arena_reset(turn_arena(s->core->turn));
	memset(s->matches, 0, s->n * sizeof(*s->matches));
	s->found = s->same = false;
	int rc = store_device_at(s->core->store, device, true, visit, s, &why);
	if (rc && core_is_lost(&why)) {
		rc = err_copy(e, &why);
	} else if (rc) {
		rc = 0;
		applied = false;
	} else if (s->wanted && !s->same) {
		rc = apply(s, &applied, e);
	}
	js_free(s->wanted);
	s->wanted = NULL;
	if (rc || !s->found)
		return rc;
	return note(s, device, applied, e);
}

static bool
is_over(const struct slice *s)
{
	return clock_mono_ms(s->core->d.clock) >= s->end_ms;
}

/* ---- slices ------------------------------------------------------------------------ */

/* Those that the database noted. */
static int
look_at_due(struct slice *s, bool *ret_any, struct err *e)
{
	int64_t some[SLICE_ROWS];
	size_t n;
	if (store_configuration_due(s->core->store, SLICE_ROWS, some, &n, e))
		return -1;
	*ret_any = n > 0;
	for (size_t i = 0; i < n && (i == 0 || !is_over(s)); i++)
		if (look_at(s, some[i], e) ||
		    store_configuration_done(s->core->store, some[i], e))
			return -1;
	return 0;
}

static int
next_of(struct slice *s, const struct one *o, int64_t *ret, size_t *ret_n, struct err *e)
{
	struct query_plan plan;
	struct store *store = s->core->store;
	*ret_n = 0;
	if (o->c.walk == STORE_WALK_MEANT)
		return store_configuration_meant(
		    store, o->c.n, o->c.at, SLICE_ROWS, ret, ret_n, e);
	if (!o->is_on)
		return 0;
	if (query_plan_make(store, &o->q, s->arena, &plan, e))
		return -1;
	return query_plan_next(store, &plan, o->c.at, SLICE_ROWS, ret, ret_n, e);
}

static int
walk(struct slice *s, struct one *o, struct err *e)
{
	int64_t some[SLICE_ROWS];
	size_t n, i = 0;
	bool on;
	if (next_of(s, o, some, &n, e))
		return -1;
	for (; i < n && (i == 0 || !is_over(s)); i++) {
		if (look_at(s, some[i], e))
			return -1;
		o->c.at = some[i];
	}
	return configuration_walked(&s->core->d, &o->c, i == n && n < SLICE_ROWS, &on, e);
}

static int
walk_first(struct slice *s, bool *ret_any, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->all[i].c.walk != STORE_WALK_NONE) {
			*ret_any = true;
			return walk(s, &s->all[i], e);
		}
	*ret_any = false;
	return 0;
}

/* Outside of a turn: most of the time there is nothing to do. */
static int
has_work(struct core_configurations *k, bool *ret, struct err *e)
{
	int64_t one;
	size_t n;
	if (store_configuration_due(k->core->store, 1, &one, &n, e))
		return -1;
	*ret = k->walking || n > 0;
	return 0;
}

static int
advance(struct core_configurations *k, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(ARENA_MAX);
	struct slice s = {.core = k->core,
	    .arena = a,
	    .end_ms = clock_mono_ms(k->core->d.clock) + WORK_MS};
	bool any;
	if (load(&s, e) || look_at_due(&s, &any, e))
		return -1;
	if (!any && walk_first(&s, &k->walking, e))
		return -1;
	if (any || k->walking)
		loop_timer_start(k->timer, SLICE_MS);
	else if (s.n)
		loop_timer_start(k->timer, POLL_MS);
	return 0;
}

static void
on_timer(void *arg)
{
	struct core_configurations *k = arg;
	struct core *c = k->core;
	struct err e = {0};
	bool work = true;
	if (has_work(k, &work, &e) == 0 && !work) {
		loop_timer_start(k->timer, POLL_MS);
		return;
	}
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	if (advance(k, &e) == 0)
		return;
	log_event(LOG_ERROR, "core.configuration", LOG_ERR(&e));
	turn_spoil(c->turn, &e);
	k->walking = true;
	loop_timer_start(k->timer, FAILED_MS);
}

static void
kick(struct core_configurations *k)
{
	k->walking = true;
	loop_timer_start(k->timer, SLICE_MS);
}

/* ---- messages ---------------------------------------------------------------------- */

static int
answer_row(struct core *c, const struct ask *a, const struct store_configuration *x,
    struct err *e)
{
	const struct ipc_configuration m = {.id = span_str(x->id),
	    .schema_version = span_str(x->schema_version),
	    .labels = x->labels,
	    .content = x->content,
	    .desired = x->desired,
	    .modules = x->modules,
	    .condition = span_str(x->condition),
	    .priority = x->priority,
	    .metrics = x->metrics,
	    .etag = x->etag,
	    .created_ms = x->created_ms,
	    .updated_ms = x->updated_ms,
	    .targeted = x->targeted,
	    .applied = x->applied};
	return core_answer(c, a, IPC_CONFIGURATION, &m, e);
}

static int
answer_one(struct core *c, const struct ask *a, const struct store_configuration *x,
    const struct refusal *no, struct err *e)
{
	if (no->code != REFUSAL_NONE)
		return core_refused(c, a, no, refusal_row(no->code)->hub, e);
	if (x && answer_row(c, a, x, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_configuration x;
	struct refusal no;
	if (configuration_put(&c->d, msg, &x, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		kick(c->configurations);
	return answer_one(c, a, &x, &no, e);
}

static int
on_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_configuration_get *m = msg;
	struct store_configuration x;
	struct refusal no;
	if (configuration_get(&c->d, m->peer.host, m->id, &x, &no, e))
		return -1;
	return answer_one(c, a, &x, &no, e);
}

static int
on_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct refusal no;
	if (configuration_delete(&c->d, msg, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		kick(c->configurations);
	return answer_one(c, a, NULL, &no, e);
}

struct row_list {
	struct core_list l;
	const char *hub;
};

static int
visit_row(void *ctx, const struct store_configuration *x, struct err *e)
{
	struct row_list *l = ctx;
	if (x->gone || strcmp(x->hub, l->hub) != 0)
		return 0;
	size_t bytes = 1024 + x->content.len + x->labels.len + x->metrics.len;
	if (!core_list_take(&l->l, x->id, bytes))
		return 1;
	return answer_row(l->l.c, l->l.a, x, e);
}

static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_configuration_query *m = msg;
	struct row_list l = {
	    .l = {.c = c, .a = a, .left = core_list_page(m->limit, CONFIGURATIONS_MAX)},
	    .hub = hubs_asked(&c->cfg, m->peer.host)};
	return core_list_end(
	    &l.l, store_configuration_each(c->store, visit_row, &l, e), e);
}

/* ---- the process ------------------------------------------------------------------- */

struct core_configurations *
core_configuration_new(struct core *c)
{
	struct core_configurations *k = own_alloc(sizeof(*k));
	k->core = c;
	k->timer = loop_timer_new(c->loop, on_timer, k);
	kick(k);
	return k;
}

void
core_configuration_free(struct core_configurations *k)
{
	if (!k)
		return;
	loop_timer_free(k->timer);
	free(k);
}

core_handler *
core_configuration_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_CONFIGURATION_PUT] = on_put,
	    [IPC_CONFIGURATION_GET] = on_get,
	    [IPC_CONFIGURATION_DELETE] = on_delete,
	    [IPC_CONFIGURATION_QUERY] = on_query,
	};
	return handlers[type];
}
