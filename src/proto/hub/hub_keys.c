/*
 * The hub's service API: fresh keys for up to a hundred identities in one request
 * (protocol/service.md 2.2; the shapes are those of Azure's own clients). All go to the
 * core in one message, so that it is one transaction; each has a result of its own.
 */
#include "codec/js.h"
#include "proto/hub/identity.h"
#include "proto/json.h"

enum {
	ITEMS_MAX = 100,
	BODY_DEPTH = 6,
	FAILED = 400036,
	BAD_KEY = 400035,
	SOME_FAILED = 207, /* HTTP: as Azure's clients expect it */
};

/* As clients spell them; the order of enum ipc_keys. */
static const char *const names[] = {"primaryKey", "secondaryKey", "both"};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

/* ---- results -------------------------------------------------------------------------
 *
 * They wait in c->out, a line each, as the peer may go at any time: 'K' or 'E' and the
 * object.
 */

static void
add_line(struct http_call *c, char kind, struct js *o)
{
	c->out.secret = true;
	buf_u8(&c->out, (uint8_t)kind);
	js_dump(o, JS_AS_BUILT, &c->out);
	buf_str(&c->out, "\n");
	js_free(o);
}

static void
add_result(struct http_call *c, const struct ipc_keys_result *m)
{
	struct js *o = js_object();
	json_put_text(o, "id", m->id);
	json_put_span(o, "moduleId", m->module_id);
	if (m->code == ERR_OK) {
		json_put_key(o, "primaryKey", m->primary_key);
		json_put_key(o, "secondaryKey", m->secondary_key);
		add_line(c, 'K', o);
		return;
	}
	const struct ipc_done as = {.code = m->code, .error = m->error};
	const struct wire_error w = wire_error_of_done(&as, WIRE_HUB);
	js_set_text(o, "errorCode", w.name);
	json_put_text(o, "errorStatus", m->text.len ? m->text : span_str(w.words));
	add_line(c, 'E', o);
}

/* The lines of one kind as the inside of an array; how many there are. */
static size_t
put_lines(struct span lines, char kind, struct buf *out)
{
	size_t n = 0;
	while (lines.len) {
		struct span line = span_split(&lines, '\n');
		if (!line.len || line.p[0] != (uint8_t)kind)
			continue;
		buf_str(out, n++ ? "," : "");
		buf_put_span(out, span_skip(line, 1));
	}
	return n;
}

static void
finish(struct http_call *c)
{
	auto_buf lines = BUF_INIT(HTTP_CALL_OUT_MAX);
	const struct wire_error failed = wire_error_of(FAILED);
	const char *name = c->state;
	lines.secret = true;
	buf_put_span(&lines, buf_span(&c->out));
	buf_reset(&c->out);
	buf_printf(&c->out, "{\"policyKey\":\"%s\",\"rotatedKeys\":[", name);
	size_t done = put_lines(buf_span(&lines), 'K', &c->out);
	buf_str(&c->out, "],\"errors\":[");
	size_t errors = put_lines(buf_span(&lines), 'E', &c->out);
	buf_str(&c->out, "]}");
	if (errors)
		http_call_set(c, "iothub-errorcode", failed.name);
	http_call_json_out(c, !errors ? 200 : done ? SOME_FAILED : failed.status);
}

static void
on_result(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_KEYS_RESULT)
		add_result(c, msg);
	else if (d->code == ERR_OK)
		finish(c);
	else
		http_call_fail_done(c, d);
}

/* ---- the request ------------------------------------------------------------------- */

static int
parse_item(const struct js *o, struct buf *packed, struct err *e)
{
	struct ipc_keys_item m = {.id = SPAN_NONE};
	auto_buf body = BUF_INIT(1024);
	if (js_need_str(o, "id", &m.id, e) ||
	    js_opt_str(o, "moduleId", &m.module_id, e) ||
	    ipc_msg_pack(IPC_KEYS_ITEM, &m, &body, e))
		return -1;
	buf_u32(packed, (uint32_t)body.len);
	buf_put_span(packed, buf_span(&body));
	return 0;
}

static int
parse_items(const struct js *o, struct buf *packed, struct err *e)
{
	const struct js *items;
	if (js_need(o, "devices", JS_ARRAY, &items, e))
		return -1;
	if (js_len(items) < 1 || js_len(items) > ITEMS_MAX)
		return err_set(e, ERR_PARSE, "devices: 1 to %d", ITEMS_MAX);
	for (size_t i = 0; i < js_len(items); i++)
		if (parse_item(js_at(items, i), packed, e))
			return -1;
	return buf_check(packed, "devices", e);
}

void
hub_keys_regenerate(struct http_call *c)
{
	struct err e = {0};
	struct span name = SPAN_NONE;
	auto_buf packed = BUF_INIT(CAP_KEYS);
	struct ipc_keys_regenerate m = {.peer = c->peer, .cred = c->cred};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || js_need_str(o, "policyKey", &name, &e) || parse_items(o, &packed, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	while (m.which < N_NAMES && !span_ieq_str(name, names[m.which]))
		m.which++;
	if (m.which == N_NAMES) {
		const struct wire_error w = wire_error_of(BAD_KEY);
		http_call_fail(c, &w, "policyKey: primaryKey, secondaryKey or both");
		return;
	}
	c->state = (void *)(uintptr_t)names[m.which];
	m.items = buf_span(&packed);
	http_call_ask(c, IPC_KEYS_REGENERATE, &m, on_result);
}
