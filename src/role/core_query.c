/*
 * Queries: candidates come from the plan's indexes, each is judged by the query itself,
 * and goes into the page or its group. A page ends at a number of rows or bytes; where it
 * ended is in the continuation, with what the query was: the number of the last row, so
 * that what is made meanwhile comes behind and nothing comes twice.
 */
#include "role/core_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/num.h"
#include "codec/js.h"
#include "codec/query_group.h"
#include "crypto/digest.h"
#include "domain/hub/hubs.h"
#include "domain/hub/query_plan.h"
#include "proto/hub/twin_row.h"
#include "role/core_list.h"

#define SLICE_ROWS  500
#define SLICE_MS    1 /* until the next */
#define WORK_MS     5 /* what a slice takes: a row costs what the query makes of it */
#define QUERIES_MAX 32
#define PAGE_ROWS   1000
#define PAGE_BYTES                                                                       \
	(3 * 1024 * 1024) /* of JSON: less than an edge puts into an answer              \
			   */
#define ARENA_MAX (4 * 1024 * 1024)
#define KEY_BYTES 8

/* Members that the twin's own row has. */
#define TWIN_FIELDS                                                                      \
	(1u << QUERY_FIELD_TAGS | 1u << QUERY_FIELD_PROPERTIES |                         \
	    1u << QUERY_FIELD_VERSION | 1u << QUERY_FIELD_ETAG)

struct core_queries {
	struct core *core;
	struct list all;
	int n;
	struct loop_timer *timer;
};

struct one_query {
	struct list all;
	struct core *core;
	struct ask ask;
	struct arena *arena;
	struct query q;
	struct query_plan plan;
	const char *hub;
	char key[2 * KEY_BYTES + 1]; /* tells the query */
	int64_t at;                  /* looked at last */
	int64_t last, given;         /* answered last; in all pages */
	int64_t left, bytes;         /* of this page */
	bool more;                   /* there is another page */
	bool count;                  /* the number of rows is all that is asked for */
	struct query_groups *groups; /* NULL: no aggregates */
};

/* ---- continuations ----------------------------------------------------------------- */

static void
make_key(const struct ipc_query *m, const char *hub, char out[2 * KEY_BYTES + 1])
{
	uint8_t hash[DIGEST_SHA256];
	const struct span parts[] = {span_str(hub), SPAN_LIT("\n"), m->text};
	digest_sha256v(parts, 3, hash);
	hex_write(span_of(hash, KEY_BYTES), out);
}

static int
take_token(struct one_query *k, struct span token, struct err *e)
{
	struct span rest = token;
	struct span key = span_split(&rest, '.');
	struct span last = span_split(&rest, '.');
	if (!token.len)
		return 0;
	if (!num_ok(last, 0, INT64_MAX, &k->last) ||
	    !num_ok(rest, 0, INT64_MAX / 2, &k->given))
		return err_set(e, ERR_PARSE, "x-ms-continuation is not one of ours");
	if (!span_eq_str(key, k->key))
		return err_set(
		    e, ERR_PARSE, "x-ms-continuation is of another query, or hub");
	k->at = k->last;
	return 0;
}

static int
end_page(struct one_query *k, struct err *e)
{
	char token[80] = "";
	if (k->more)
		snprintf(token, sizeof(token), "%s.%" PRId64 ".%" PRId64, k->key, k->last,
		    k->given);
	return core_done(k->core, &k->ask, token, k->given, e);
}

/* ---- rows -------------------------------------------------------------------------- */

/* JSON of a twin is no longer than this: each member has its times as well. */
static int64_t
longest(const struct ipc_device *m)
{
	const struct span docs[] = {m->desired, m->reported, m->tags};
	size_t sum = 1024;
	for (size_t i = 0; i < 3; i++) {
		sum += 2 * docs[i].len;
		for (size_t at = 0; at < docs[i].len; at++)
			sum += docs[i].p[at] == ':' ? 100 : 0;
	}
	return (int64_t)sum;
}

static int
answer_json(struct one_query *k, struct js *v, struct err *e)
{
	auto_(js_free) struct js *taken = v;
	auto_buf text = BUF_INIT(CAP_QUERY_ROW);
	js_dump(taken, JS_AS_BUILT, &text);
	if (buf_check(&text, "a row of the answer", e))
		return -1;
	k->bytes += (int64_t)text.len;
	const struct ipc_query_row m = {.json = buf_span(&text)};
	return core_answer(k->core, &k->ask, IPC_QUERY_ROW, &m, e);
}

/* Whether the next row still belongs to the page; there is one. */
static bool
has_room(struct one_query *k)
{
	k->more = k->left == 0 || k->bytes > PAGE_BYTES;
	return !k->more;
}

/* 1: it was the last that was wanted. */
static int
take(struct one_query *k, const struct ipc_device *m, const struct query_row *row,
    struct err *e)
{
	if (k->groups)
		return query_group_add(k->groups, row, 1, e);
	if (k->count)
		return ++k->given == k->q.top ? 1 : 0;
	if (!has_room(k))
		return 1;
	if (k->q.star) {
		k->bytes += longest(m);
		if (core_answer(k->core, &k->ask, IPC_DEVICE, m, e))
			return -1;
	} else if (answer_json(k, query_eval_select(&k->q, row), e)) {
		return -1;
	}
	k->left--;
	k->last = k->at;
	return ++k->given == k->q.top ? 1 : 0;
}

static int
visit(void *ctx, const struct store_device *d, struct err *e)
{
	struct one_query *k = ctx;
	struct ipc_device m;
	bool here;
	if ((strchr(d->id, '/') != NULL) != (k->q.from == QUERY_MODULES))
		return 0;
	if (hubs_has(&k->core->d, k->hub, d, &here, e))
		return -1;
	bool counts = k->q.fields & 1u << QUERY_FIELD_C2D_COUNT;
	if (!here || core_device_row(k->core, d, false, counts, &m, e))
		return here ? -1 : 0;
	struct twin_row t = twin_row_of(&m);
	struct query_row row = twin_row_query(&t);
	int rc = query_eval_where(&k->q, &row) ? take(k, &m, &row, e) : 0;
	twin_row_done(&t);
	return rc;
}

/* ---- by kind ----------------------------------------------------------------------- */

#define KIND_FIELDS                                                                      \
	(1u << QUERY_FIELD_STATUS | 1u << QUERY_FIELD_CONNECTION | 1u << QUERY_FIELD_AUTH)

/* Sums over what a device is need a row of each kind, not each device: "select count()
 * from devices" is what everybody asks first. */
static bool
is_by_kind(const struct one_query *k)
{
	return k->groups && k->q.from == QUERY_DEVICES && !(k->q.fields & ~KIND_FIELDS);
}

static int
visit_kind(void *ctx, const struct store_device *d, int64_t n, struct err *e)
{
	struct one_query *k = ctx;
	const struct ipc_device m = {
	    .auth = (uint8_t)d->auth, .enabled = d->enabled, .connected = d->connected};
	if (!hubs_lists(&k->core->cfg, k->hub, d))
		return 0;
	struct twin_row t = twin_row_of(&m);
	struct query_row row = twin_row_query(&t);
	int rc =
	    query_eval_where(&k->q, &row) ? query_group_add(k->groups, &row, n, e) : 0;
	twin_row_done(&t);
	return rc;
}

/* ---- slices ------------------------------------------------------------------------ */

static int
answer_groups(struct one_query *k, struct err *e)
{
	size_t n = query_group_n(k->groups);
	if (k->q.top && n > (size_t)k->q.top)
		n = (size_t)k->q.top;
	if (k->count)
		k->given = (int64_t)n;
	for (; (size_t)k->given < n && has_room(k); k->given++, k->left--)
		if (answer_json(k, query_group_at(k->groups, (size_t)k->given), e))
			return -1;
	return 0;
}

/* 1: there is no more to look at. */
static int
look(struct one_query *k, struct err *e)
{
	int64_t some[SLICE_ROWS];
	size_t n;
	bool twin = k->q.fields & TWIN_FIELDS;
	struct store *s = k->core->store;
	int64_t end = clock_mono_ms(k->core->d.clock) + WORK_MS;
	if (is_by_kind(k))
		return store_device_kinds(s, visit_kind, k, e) ? -1 : 1;
	if (query_plan_next(s, &k->plan, k->at, SLICE_ROWS, some, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		k->at = some[i];
		int rc = store_device_at(s, some[i], twin, visit, k, e);
		if (rc)
			return rc;
		if (clock_mono_ms(k->core->d.clock) >= end && i + 1 < n)
			return 0;
	}
	return n < SLICE_ROWS;
}

/* *ret_again: come again. */
static int
advance(struct one_query *k, bool *ret_again, struct err *e)
{
	int rc = look(k, e);
	*ret_again = rc == 0;
	if (rc <= 0)
		return rc;
	if (k->groups && answer_groups(k, e))
		return -1;
	return end_page(k, e);
}

static void
drop(struct one_query *k)
{
	query_group_free(k->groups);
	arena_free(k->arena);
	free(k);
}

static void
on_timer(void *arg)
{
	struct core_queries *all = arg;
	struct core *c = all->core;
	struct err e = {0};
	bool again = false;
	if (list_empty(&all->all))
		return;
	struct one_query *k = list_of(all->all.next, struct one_query, all);
	if (turn_enter(c->turn, &k->ask, &e)) {
		core_fail(c, &k->ask, &e);
		core_give_up(c, &e);
		return;
	}
	if (advance(k, &again, &e)) {
		core_settle(c, &k->ask, &e);
		again = false;
	}
	list_del(&k->all);
	if (again) {
		list_push(&all->all, &k->all); /* in turn */
	} else {
		all->n--;
		drop(k);
	}
	if (!list_empty(&all->all))
		loop_timer_start(all->timer, SLICE_MS);
}

/* ---- a query comes ----------------------------------------------------------------- */

static int
begin(struct one_query *k, const struct ipc_query *m, struct err *e)
{
	struct core *c = k->core;
	struct span text = arena_span(k->arena, m->text);
	k->hub = hubs_asked(&c->cfg, m->peer.host);
	k->left = core_list_page(m->limit, PAGE_ROWS);
	k->count = m->count;
	make_key(m, k->hub, k->key);
	if (query_parse(text, k->arena, &k->q, e) || take_token(k, m->after, e) ||
	    query_plan_make(c->store, &k->q, k->arena, &k->plan, e))
		return -1;
	if (k->q.top && k->given >= k->q.top)
		return err_set(e, ERR_PARSE, "x-ms-continuation is not one of ours");
	if (!k->q.aggregates)
		return 0;
	k->groups = query_group_new(&k->q);
	k->at = 0; /* groups are made anew for each of their pages */
	return 0;
}

/* The first slice is done at once: of most queries it is the only one. */
static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct core_queries *all = c->queries;
	bool again = false;
	if (all->n == QUERIES_MAX)
		return err_set(e, ERR_BUSY, "%d queries are under way", QUERIES_MAX);
	struct one_query *k = own_alloc(sizeof(*k));
	*k = (struct one_query){.core = c, .ask = *a, .arena = arena_new(ARENA_MAX)};
	int rc = begin(k, msg, e);
	if (rc == 0)
		rc = advance(k, &again, e);
	if (rc || !again) {
		drop(k);
		return rc;
	}
	list_push(&all->all, &k->all);
	all->n++;
	loop_timer_start(all->timer, SLICE_MS);
	return 0;
}

/* ---- the process ------------------------------------------------------------------- */

struct core_queries *
core_query_new(struct core *c)
{
	struct core_queries *all = own_alloc(sizeof(*all));
	all->core = c;
	list_init(&all->all);
	all->timer = loop_timer_new(c->loop, on_timer, all);
	return all;
}

void
core_query_forget(struct core *c, unsigned edge)
{
	list_each_safe (it, &c->queries->all) {
		struct one_query *k = list_of(it, struct one_query, all);
		if (edge != CORE_EDGES_MAX && k->ask.edge != edge)
			continue;
		list_del(&k->all);
		c->queries->n--;
		drop(k);
	}
}

void
core_query_free(struct core_queries *all)
{
	if (!all)
		return;
	core_query_forget(all->core, CORE_EDGES_MAX);
	loop_timer_free(all->timer);
	free(all);
}

core_handler *
core_query_handler(enum ipc_type type)
{
	return type == IPC_QUERY ? on_query : NULL;
}
