/*
 * Several enrollments in one request (protocol/service.md 1.7): each is asked for by
 * itself, one after the other, and what fails is told beside what went well.
 */
#include "codec/id.h"
#include "codec/js.h"
#include "proto/dps/enrollment_body.h"
#include "proto/http_call.h"
#include "proto/json.h"

enum { ITEMS_MAX = 10, BODY_DEPTH = ENROLLMENT_BODY_DEPTH + 2 };

enum mode { MODE_CREATE, MODE_UPDATE, MODE_UPDATE_IF_MATCH, MODE_DELETE, MODE_N };

/* In c->state. The errors gather in c->out, as the inside of an array. */
struct bulk {
	uint8_t kind;
	enum mode mode;
	size_t at, n;
	struct span id; /* of the item under way; lives in the call's arena */
};

static void next(struct http_call *c);

static const char *
list_member(uint8_t kind)
{
	return kind == IPC_KIND_GROUP ? "enrollmentGroups" : "enrollments";
}

static int
parse_mode(const struct js *o, enum mode *ret, struct err *e)
{
	static const char *const names[MODE_N] = {
	    "create", "update", "updateIfMatchETag", "delete"};
	struct span text;
	if (js_need_str(o, "mode", &text, e))
		return -1;
	for (int i = 0; i < MODE_N; i++) {
		if (span_ieq_str(text, names[i])) {
			*ret = (enum mode)i;
			return 0;
		}
	}
	return err_set(e, ERR_PARSE, "mode: create, update, updateIfMatchETag or delete");
}

/* The request's object, whose list is checked; parsed for each item, so that nothing of
 * it must outlive a wait. */
static struct js *
parse_all(
    const struct http_call *c, uint8_t kind, const struct js **ret_list, struct err *e)
{
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, e);
	if (!o || js_need(o, list_member(kind), JS_ARRAY, ret_list, e))
		return NULL;
	if (js_len(*ret_list) <= ITEMS_MAX)
		return TAKE(o);
	err_set(e, ERR_PARSE, "%s: at most %d", list_member(kind), ITEMS_MAX);
	return NULL;
}

/* ---- results ----------------------------------------------------------------------- */

static void
add_error(struct http_call *c, const struct wire_error *w, struct span text)
{
	struct bulk *b = c->state;
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, enrollment_body_id_member(b->kind), b->id);
	js_set_int(o, "errorCode", w->number);
	json_put_text(o, "errorStatus", text.len ? text : span_str(w->words));
	if (c->out.len)
		buf_str(&c->out, ",");
	js_dump(o, JS_AS_BUILT, &c->out);
}

static void
finish(struct http_call *c)
{
	auto_buf errors = BUF_INIT(HTTP_CALL_OUT_MAX);
	buf_put_span(&errors, buf_span(&c->out));
	buf_reset(&c->out);
	buf_printf(
	    &c->out, "{\"isSuccessful\":%s,\"errors\":[", errors.len ? "false" : "true");
	buf_put_span(&c->out, buf_span(&errors));
	buf_str(&c->out, "]}");
	http_call_json_out(c, 200);
}

/* A caller who may not do it at all is told so at once. */
static void
on_item(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type != IPC_DONE)
		return;
	if (d->code == ERR_DENIED || d->code == ERR_FORBIDDEN) {
		http_call_fail_done(c, d);
		return;
	}
	if (d->code != ERR_OK) {
		const struct wire_error w = wire_error_of_done(d, WIRE_DPS);
		add_error(c, &w, d->text);
	}
	next(c);
}

/* ---- one item ---------------------------------------------------------------------- */

/* Its ID, for the errors; "" where it has none. */
static void
keep_id(struct http_call *c, const struct js *item)
{
	struct bulk *b = c->state;
	struct span id = js_as_str(js_get(item, enrollment_body_id_member(b->kind)));
	b->id = arena_span(c->arena, span_head(id, CAP_ID));
}

static int
parse_etag(struct http_call *c, const struct js *item, struct span *ret, struct err *e)
{
	char etag[JSON_ETAG_MAX];
	struct span text = SPAN_NONE;
	if (js_need_str(item, "etag", &text, e))
		return -1;
	/* an empty one would ask for no comparison */
	if (!json_etag_parse(arena_str(c->arena, text), etag) || !etag[0])
		return err_set(e, ERR_CONFLICT, "etag does not match");
	*ret = span_str(arena_str(c->arena, span_str(etag)));
	return 0;
}

/* Where the item cannot be asked for, the call goes on (-1); else the answer carries it
 * on. */
static int
ask_delete(struct http_call *c, struct err *e)
{
	const struct bulk *b = c->state;
	const struct ipc_enrollment_delete m = {
	    .peer = c->peer, .cred = c->cred, .kind = b->kind, .id = b->id};
	if (!id_is_registration(m.id))
		return err_set(e, ERR_PARSE, "ID is malformed");
	http_call_ask(c, IPC_ENROLLMENT_DELETE, &m, on_item);
	return 0;
}

static int
ask_put(struct http_call *c, const struct js *item, struct err *e)
{
	const struct bulk *b = c->state;
	auto_enrollment_body r;
	enrollment_body_init(&r);
	struct ipc_enrollment_put m = {.peer = c->peer,
	    .cred = c->cred,
	    .kind = b->kind,
	    .mode = b->mode == MODE_CREATE ? IPC_MODE_CREATE : IPC_MODE_UPDATE};
	if (b->mode == MODE_UPDATE_IF_MATCH && parse_etag(c, item, &m.if_match, e))
		return -1;
	if (enrollment_body_parse(item, &r, &m, e))
		return -1;
	http_call_ask(c, IPC_ENROLLMENT_PUT, &m, on_item);
	return 0;
}

static int
ask(struct http_call *c, struct err *e)
{
	struct bulk *b = c->state;
	const struct js *list = NULL;
	auto_(js_free) struct js *o = parse_all(c, b->kind, &list, e);
	if (!o)
		return -1; /* it was fine when it came */
	const struct js *item = js_at(list, b->at++);
	keep_id(c, item);
	return b->mode == MODE_DELETE ? ask_delete(c, e) : ask_put(c, item, e);
}

static void
next(struct http_call *c)
{
	struct bulk *b = c->state;
	while (b->at < b->n) {
		struct err e = {0};
		if (ask(c, &e) == 0)
			return;
		const struct wire_error w = wire_error_of_code(e.code, WIRE_DPS);
		add_error(c, &w, span_str(e.text));
	}
	finish(c);
}

static void
start(struct http_call *c, enum ipc_enrollment_kind kind)
{
	struct err e = {0};
	const struct js *list = NULL;
	struct bulk *b = arena_alloc(c->arena, sizeof(*b));
	*b = (struct bulk){.kind = (uint8_t)kind};
	auto_(js_free) struct js *o = parse_all(c, b->kind, &list, &e);
	if (!o || parse_mode(o, &b->mode, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	b->n = js_len(list);
	c->state = b;
	next(c);
}

void
dps_bulk_groups(struct http_call *c)
{
	start(c, IPC_KIND_GROUP);
}

void
dps_bulk_individuals(struct http_call *c)
{
	start(c, IPC_KIND_INDIVIDUAL);
}
