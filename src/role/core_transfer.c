/*
 * Messages of imports and exports, and their pieces.
 */
#include "role/core_transfer.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/js.h"
#include "domain/access/policy.h"
#include "domain/hub/hubs.h"
#include "domain/hub/query_plan.h"
#include "domain/hub/transfer.h"
#include "proto/json.h"
#include "proto/wire_error.h"
#include "role/core_hook.h"

#define SLICE_MS   1
#define RETRY_MS   1000
#define AGAIN_MS   20
#define WAIT_MS    120000 /* for an answer; the caller itself gives up before */
#define TRIES_MAX  5
#define READ_BYTES (32 * 1024)   /* what a turn can take of it */
#define READ_MOST  (1024 * 1024) /* where a line is longer */
#define ROWS_MAX   200
#define ROWS_BYTES (1024 * 1024)
#define ARENA_MAX  (8 * 1024 * 1024)
#define ERROR_BLOB "importErrors.log"

struct core_transfers {
	struct core *core;
	struct loop_timer *timer;
	uint64_t asked;            /* 0: nothing */
	int64_t job;               /* it was asked for */
	int64_t deadline_ms, next; /* of an export: where the rows that were sent end */
	int64_t rows;
	int tries;
	uint32_t read_bytes;
	enum { PIECE_READ, PIECE_ROWS, PIECE_COMMIT, PIECE_ERRORS } piece;
};

/* ---- questions --------------------------------------------------------------------- */

static int
ask(struct core_transfers *k, const struct store_transfer *t, enum ipc_type type,
    const void *msg, struct err *e)
{
	struct core *c = k->core;
	bool sent;
	uint64_t id = c->next_id++;
	if (core_hook_send(c, type, id, msg, &sent, e))
		return -1;
	loop_timer_start(k->timer, sent ? WAIT_MS : RETRY_MS);
	k->asked = sent ? id : 0;
	k->job = t->n;
	k->deadline_ms = loop_now_ms(c->loop) + WAIT_MS;
	return 0;
}

static int
ask_lines(struct core_transfers *k, const struct store_transfer *t, struct err *e)
{
	const struct ipc_blob_read m = {.container = span_str(t->input),
	    .blob = span_str(t->input_name),
	    .at = t->at,
	    .max = k->read_bytes};
	k->piece = PIECE_READ;
	return ask(k, t, IPC_BLOB_READ, &m, e);
}

static int
ask_write(struct core_transfers *k, const struct store_transfer *t, uint8_t kind,
    const char *blob, struct span rows, struct err *e)
{
	const struct ipc_blob_write m = {.container = span_str(t->output),
	    .blob = span_str(blob),
	    .kind = kind,
	    .number = (uint32_t)t->blocks,
	    .keys = !t->no_keys,
	    .rows = rows};
	return ask(k, t, IPC_BLOB_WRITE, &m, e);
}

/* ---- export ------------------------------------------------------------------------ */

struct gather {
	struct core *core;
	const struct store_transfer *t;
	struct buf *rows;
	int64_t n;
};

static int
add_row(void *ctx, const struct store_device *d, struct err *e)
{
	struct gather *g = ctx;
	struct ipc_device m;
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	bool here;
	body.secret = true;
	if (hubs_has(&g->core->d, g->t->hub, d, &here, e))
		return -1;
	if (!here)
		return 0;
	if (core_device_row(g->core, d, !g->t->no_keys, false, &m, e))
		return -1;
	m.desired_meta = m.reported_meta = SPAN_NONE;
	if (ipc_msg_pack(IPC_DEVICE, &m, &body, e))
		return -1;
	buf_u32(g->rows, (uint32_t)body.len);
	buf_put_span(g->rows, buf_span(&body));
	g->n++;
	return 0;
}

/* Devices first, then modules, which an import needs in that order: at is negative while
 * it is modules' turn. */
static int
gather(struct core_transfers *k, const struct store_transfer *t, struct buf *rows,
    bool *ret_over, struct err *e)
{
	int64_t some[ROWS_MAX];
	size_t n;
	struct query_plan plan;
	struct store *s = k->core->store;
	struct gather g = {.core = k->core, .t = t, .rows = rows};
	const struct query q = {.from = t->at < 0 ? QUERY_MODULES : QUERY_DEVICES};
	auto_(arena_free) struct arena *a = arena_new(ARENA_MAX);
	int64_t at = t->at < 0 ? -1 - t->at : t->at;
	if (query_plan_make(s, &q, a, &plan, e) ||
	    query_plan_next(s, &plan, at, ROWS_MAX, some, &n, e))
		return -1;
	size_t i = 0;
	for (; i < n && rows->len < ROWS_BYTES; i++) {
		arena_reset(turn_arena(k->core->turn));
		if (store_device_at(s, some[i], true, add_row, &g, e))
			return -1;
		at = some[i];
	}
	bool part_over = i == n && n < ROWS_MAX;
	*ret_over = part_over && t->at < 0;
	k->next = t->at < 0 ? -1 - at : at;
	if (part_over && t->at >= 0)
		k->next = -1;
	k->rows = g.n;
	return buf_check(rows, "identities", e);
}

static int
go_on_export(struct core_transfers *k, struct store_transfer *t, struct err *e)
{
	bool over;
	auto_buf rows = BUF_INIT(CAP_BULK);
	rows.secret = true;
	if (gather(k, t, &rows, &over, e))
		return -1;
	if (k->rows) {
		k->piece = PIECE_ROWS;
		return ask_write(
		    k, t, IPC_BLOB_BLOCK, t->output_name, buf_span(&rows), e);
	}
	if (!over) {
		t->at = k->next;
		loop_timer_start(k->timer, SLICE_MS);
		return store_transfer_put(k->core->store, t, e);
	}
	k->piece = PIECE_COMMIT;
	return ask_write(k, t, IPC_BLOB_COMMIT, t->output_name, SPAN_NONE, e);
}

/* ---- import ------------------------------------------------------------------------ */

static void
add_error(struct buf *errors, const struct ipc_registry_item *m, const struct err *why)
{
	const struct wire_error w = wire_error_of_code(why->code, WIRE_HUB);
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "deviceId", m->id);
	json_put_span(o, "moduleId", m->module_id);
	js_set_text(o, "errorCode", w.name);
	json_put_text(o, "errorStatus", span_str(why->text));
	js_dump(o, JS_AS_BUILT, errors);
	buf_str(errors, "\n");
}

static int
take_items(struct core *c, struct store_transfer *t, struct span items,
    struct buf *errors, struct err *e)
{
	struct cursor all = cursor_of(items);
	while (all.left && !all.bad) {
		struct ipc_registry_item m;
		struct err why;
		struct span packed = cursor_take(&all, cursor_u32(&all));
		arena_reset(turn_arena(c->turn));
		if (all.bad || ipc_msg_unpack(IPC_REGISTRY_ITEM, packed, &m, e) ||
		    core_registry_import(c, span_str(t->hub), &m, &why, e))
			return -1;
		t->done += why.code == ERR_OK;
		t->failed += why.code != ERR_OK;
		if (why.code != ERR_OK && errors->len < TRANSFER_ERRORS_MAX)
			add_error(errors, &m, &why);
	}
	return 0;
}

static int
take_lines(struct core_transfers *k, struct store_transfer *t,
    const struct ipc_blob_lines *m, struct err *e)
{
	struct core *c = k->core;
	auto_buf errors = BUF_INIT(2 * TRANSFER_ERRORS_MAX);
	if (!m->used && !m->end && k->read_bytes >= READ_MOST)
		return transfer_end(
		    &c->d, t, STORE_JOB_FAILED, "a line of the input is too long", e);
	k->read_bytes = m->used || m->end ? READ_BYTES : READ_MOST;
	buf_put_span(&errors, t->errors);
	if (errors.len < TRANSFER_ERRORS_MAX)
		buf_put_span(&errors, m->errors);
	t->failed += m->n_errors;
	if (take_items(c, t, m->items, &errors, e))
		return -1;
	t->errors = buf_span(&errors);
	t->at += m->used;
	if (!m->end)
		return store_transfer_put(c->store, t, e);
	if (!errors.len)
		return transfer_end(&c->d, t, STORE_JOB_COMPLETED, "", e);
	k->piece = PIECE_ERRORS;
	if (store_transfer_put(c->store, t, e))
		return -1;
	return ask_write(k, t, IPC_BLOB_TEXT, ERROR_BLOB, t->errors, e);
}

/* ---- answers ----------------------------------------------------------------------- */

static int
take_done(struct core_transfers *k, struct store_transfer *t, struct err *e)
{
	if (k->piece != PIECE_ROWS)
		return transfer_end(&k->core->d, t, STORE_JOB_COMPLETED, "", e);
	t->at = k->next;
	t->blocks++;
	t->done += k->rows;
	return store_transfer_put(k->core->store, t, e);
}

static int
take_failure(struct core_transfers *k, struct store_transfer *t, const struct ipc_done *m,
    struct err *e)
{
	char text[301];
	bool again =
	    m->code == ERR_UNAVAILABLE || m->code == ERR_TIMEOUT || m->code == ERR_BUSY;
	if (again && ++k->tries < TRIES_MAX) {
		loop_timer_start(k->timer, RETRY_MS * k->tries);
		return 0;
	}
	(void)span_to_str(span_head(m->text, 300), text, sizeof(text));
	return transfer_end(&k->core->d, t, STORE_JOB_FAILED, text, e);
}

/* *t: what was asked for; false: it has ended meanwhile. */
static int
take(struct core_transfers *k, const struct ipc_frame *f, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(ARENA_MAX);
	struct store_transfer t;
	struct ipc_blob_lines lines;
	struct ipc_done done;
	if (store_transfer_open(k->core->store, a, &t, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (t.n != k->job)
		return 0;
	if (f->type == IPC_BLOB_LINES) {
		k->tries = 0;
		return ipc_msg_unpack(IPC_BLOB_LINES, f->body, &lines, e) ||
			       take_lines(k, &t, &lines, e)
			   ? -1
			   : 0;
	}
	if (ipc_msg_unpack(IPC_DONE, f->body, &done, e))
		return -1;
	if (done.code != ERR_OK)
		return take_failure(k, &t, &done, e);
	k->tries = 0;
	return take_done(k, &t, e);
}

static void
spoil(struct core_transfers *k, const struct err *e)
{
	log_event(LOG_ERROR, "core.transfer", LOG_ERR(e));
	turn_spoil(k->core->turn, e);
	k->asked = 0;
	loop_timer_start(k->timer, RETRY_MS);
}

void
core_transfer_answer(struct core *c, const struct ipc_frame *f)
{
	struct core_transfers *k = c->transfers;
	struct err e = {0};
	if (!k->asked || f->id != k->asked ||
	    (f->type != IPC_BLOB_LINES && f->type != IPC_DONE))
		return;
	k->asked = 0;
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	loop_timer_start(k->timer, SLICE_MS);
	if (take(k, f, &e))
		spoil(k, &e);
}

/* ---- whose turn it is -------------------------------------------------------------- */

static int
go_on(struct core_transfers *k, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(ARENA_MAX);
	struct store_transfer t;
	if (store_transfer_open(k->core->store, a, &t, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (t.n != k->job)
		k->tries = 0;
	k->job = t.n;
	if (t.status != STORE_JOB_RUNNING) {
		t.status = STORE_JOB_RUNNING;
		if (store_transfer_put(k->core->store, &t, e))
			return -1;
	}
	return t.exports ? go_on_export(k, &t, e) : ask_lines(k, &t, e);
}

static void
on_timer(void *arg)
{
	struct core_transfers *k = arg;
	struct core *c = k->core;
	struct err e = {0};
	if (k->asked && loop_now_ms(c->loop) < k->deadline_ms) {
		loop_timer_start(k->timer, RETRY_MS);
		return;
	}
	k->asked = 0;
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	if (go_on(k, &e))
		spoil(k, &e);
}

void
core_transfer_again(struct core *c)
{
	struct core_transfers *k = c->transfers;
	if (!k)
		return;
	k->asked = 0;
	loop_timer_start(k->timer, AGAIN_MS);
}

/* ---- messages ---------------------------------------------------------------------- */

/* Without what opens the containers. */
static struct span
place(const char *uri)
{
	struct span rest = span_str(uri);
	return span_split(&rest, '?');
}

static int
answer_row(
    struct core *c, const struct ask *a, const struct store_transfer *t, struct err *e)
{
	const struct ipc_transfer m = {.id = span_str(t->id),
	    .exports = t->exports,
	    .input = place(t->input),
	    .input_name = span_str(t->input_name),
	    .output = place(t->output),
	    .output_name = span_str(t->output_name),
	    .no_keys = t->no_keys,
	    .status = (uint8_t)t->status,
	    .start_ms = t->created_ms,
	    .end_ms = t->ended_ms,
	    .reason = span_str(t->reason)};
	return core_answer(c, a, IPC_TRANSFER, &m, e);
}

static int
answer_one(struct core *c, const struct ask *a, const struct store_transfer *t,
    const struct refusal *no, struct err *e)
{
	if (no->code != REFUSAL_NONE)
		return core_refused(c, a, no, refusal_row(no->code)->hub, e);
	if (t && answer_row(c, a, t, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* An export reads identities: a policy that may only write has none of them. */
static int
check_reader(
    struct core *c, const struct ipc_transfer_put *m, struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	return m->exports ? policy_authorize(&c->d, &m->cred, RIGHT_REGISTRY_READ, no, e)
			  : 0;
}

static int
on_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_transfer_put *m = msg;
	struct store_transfer t;
	struct refusal no;
	bool keys;
	if (check_reader(c, m, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return answer_one(c, a, NULL, &no, e);
	if (policy_shows_keys(&c->d, &m->cred, &keys, e) ||
	    transfer_put(&c->d, m, keys, &t, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		loop_timer_start(c->transfers->timer, SLICE_MS);
	return answer_one(c, a, &t, &no, e);
}

static int
on_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_transfer_get *m = msg;
	struct store_transfer t;
	struct refusal no;
	if (transfer_get(&c->d, m->peer.host, m->id, &t, &no, e))
		return -1;
	return answer_one(c, a, &t, &no, e);
}

static int
on_cancel(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_transfer_cancel *m = msg;
	struct refusal no;
	if (transfer_cancel(&c->d, m->peer.host, m->id, &no, e))
		return -1;
	return answer_one(c, a, NULL, &no, e);
}

struct row_list {
	struct core *c;
	const struct ask *a;
};

static int
visit_row(void *ctx, const struct store_transfer *t, struct err *e)
{
	struct row_list *l = ctx;
	return answer_row(l->c, l->a, t, e);
}

static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_transfer_query *m = msg;
	struct row_list l = {c, a};
	if (store_transfer_each(c->store, hubs_asked(&c->cfg, m->peer.host),
		TRANSFER_LIST_MAX, visit_row, &l, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* ---- the process ------------------------------------------------------------------- */

struct core_transfers *
core_transfer_new(struct core *c)
{
	struct core_transfers *k = own_alloc(sizeof(*k));
	k->core = c;
	k->read_bytes = READ_BYTES;
	k->timer = loop_timer_new(c->loop, on_timer, k);
	loop_timer_start(k->timer, SLICE_MS);
	return k;
}

void
core_transfer_free(struct core_transfers *k)
{
	if (!k)
		return;
	loop_timer_free(k->timer);
	free(k);
}

core_handler *
core_transfer_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_TRANSFER_PUT] = on_put,
	    [IPC_TRANSFER_GET] = on_get,
	    [IPC_TRANSFER_CANCEL] = on_cancel,
	    [IPC_TRANSFER_QUERY] = on_query,
	};
	return handlers[type];
}
