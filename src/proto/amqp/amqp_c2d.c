/*
 * Cloud-to-device messages that a service sends (protocol/service.md 2.8). A message is
 * accepted when it is durable in its device's queue.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/hex.h"
#include "codec/js.h"
#include "codec/utf8.h"
#include "proto/amqp/amqp_node.h"
#include "proto/hub/c2d_message.h"

/* COPIES: of any byte of a message, in the arena: a property's name is there twice. */
enum { CREDIT = 16, ARENA_MAX = 64 * 1024, COPIES = 3, PAIRS_MAX = 256 };

static void
on_admitted(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	const struct ipc_done *d = msg;
	(void)tag, (void)type;
	if (d->code != ERR_OK) {
		amqp_node_refuse_done(end, d);
		return;
	}
	amqp_session_prove(end->session);
	amqp_link_accept(end->link, true, CREDIT);
}

static void
on_attach(struct amqp_end *end)
{
	struct ipc_login_service m = {.peer = *amqp_session_peer(end->session)};
	end->entity[0] = '\0'; /* the hub's own */
	amqp_session_cred(end, &m.cred);
	amqp_node_admit(end, IPC_LOGIN_SERVICE, &m, on_admitted);
}

/* ---- a message --------------------------------------------------------------------- */

/* An ID, a user, a property, as text: AMQP has several types for each. */
static int
text_of(const struct amqp_value *v, struct arena *a, struct span *ret, struct err *e)
{
	struct span s = amqp_bytes(v);
	switch (v->kind) {
	case AMQP_NULL:
		return 0;
	case AMQP_TEXT:
	case AMQP_SYMBOL:
	case AMQP_BINARY:
		if (!utf8_ok_no_nul(s))
			return err_set(e, ERR_PARSE, "a property is not UTF-8");
		*ret = arena_span(a, s);
		return 0;
	case AMQP_BOOL:
		*ret = v->number ? SPAN_LIT("true") : SPAN_LIT("false");
		return 0;
	case AMQP_NUMBER:
	case AMQP_TIME:
		*ret = span_str(arena_printf(a, "%" PRId64, v->number));
		return 0;
	default:
		break;
	}
	if (v->raw.len != 17 || v->raw.p[0] != 0x98) /* a UUID */
		return err_set(e, ERR_UNSUPPORTED, "a property of another type");
	char hex[33];
	hex_write(span_skip(v->raw, 1), hex);
	*ret = span_str(arena_printf(
	    a, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20));
	return 0;
}

static int
short_text(const struct amqp_msg *m, enum amqp_msg_property which, struct arena *a,
    struct span *ret, struct err *e)
{
	struct amqp_value v = amqp_at(&m->properties, which);
	struct span s = SPAN_NONE;
	if (text_of(&v, a, &s, e))
		return -1;
	if (s.len > CAP_ID)
		return err_set(e, ERR_PARSE, "a property over %d characters", CAP_ID);
	*ret = s;
	return 0;
}

static int
set_text(struct js *o, const char *name, struct span value, struct err *e)
{
	struct js *v = js_str(value, e);
	if (!v)
		return -1;
	js_set(o, name, v);
	return 0;
}

static int
put_system(const struct amqp_msg *m, enum amqp_msg_property which, const char *name,
    struct arena *a, struct js *o, struct err *e)
{
	struct span s = SPAN_NONE;
	if (short_text(m, which, a, &s, e))
		return -1;
	return s.len ? set_text(o, name, s, e) : 0;
}

/* iothub-ack is the hub's, all others the application's. */
static int
put_application(const struct amqp_msg *m, struct arena *a, struct js *o, uint8_t *ret_ack,
    struct err *e)
{
	struct cursor c = cursor_of(m->application.bytes);
	struct amqp_value k, v;
	int pairs = 0;
	while (amqp_next(&c, &k) && amqp_next(&c, &v)) {
		struct span key = SPAN_NONE, value = SPAN_NONE;
		if (++pairs > PAIRS_MAX)
			return err_set(e, ERR_LIMIT, "too many properties");
		if (text_of(&k, a, &key, e) || text_of(&v, a, &value, e))
			return -1;
		if (span_ieq_str(key, "iothub-ack")) {
			if (c2d_message_ack(value, ret_ack, e))
				return -1;
		} else if (set_text(o, arena_str(a, key), value, e)) {
			return -1;
		}
	}
	return 0;
}

/* Nothing at all where there is none, so that the whole size is the body's. */
static int
put_props(const struct amqp_msg *m, struct arena *a, struct buf *out, uint8_t *ret_ack,
    struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	struct js *app = js_object(), *sys = js_object();
	js_set(o, "application", app);
	js_set(o, "system", sys);
	if (put_system(m, AMQP_MSG_CONTENT_TYPE, "content-type", a, sys, e) ||
	    put_system(m, AMQP_MSG_CONTENT_ENCODING, "content-encoding", a, sys, e) ||
	    put_application(m, a, app, ret_ack, e))
		return -1;
	if (js_len(app) || js_len(sys))
		js_dump(o, JS_SORTED, out);
	return buf_check(out, "properties", e);
}

static int
read_message(const struct amqp_msg *msg, struct arena *a, struct buf *props,
    struct ipc_c2d_send *m, struct err *e)
{
	struct amqp_value to = amqp_at(&msg->properties, AMQP_MSG_TO);
	struct amqp_value expiry = amqp_at(&msg->properties, AMQP_MSG_EXPIRY);
	if (c2d_message_to(amqp_bytes(&to), a, &m->device_id, e) ||
	    short_text(msg, AMQP_MSG_ID, a, &m->message_id, e) ||
	    short_text(msg, AMQP_MSG_CORRELATION_ID, a, &m->correlation_id, e) ||
	    short_text(msg, AMQP_MSG_USER_ID, a, &m->user_id, e) ||
	    put_props(msg, a, props, &m->ack, e))
		return -1;
	if (expiry.kind == AMQP_TIME) /* long ago is not "not given" */
		m->expires_ms = expiry.number > 0 ? expiry.number : 1;
	m->props = buf_span(props);
	m->body = amqp_bytes(&msg->body);
	if (m->body.len > CAP_C2D)
		return err_set(e, ERR_LIMIT, "a message over %d bytes", CAP_C2D);
	return 0;
}

static void
on_sent(void *arg, uint64_t delivery, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	const struct ipc_done *d = msg;
	const struct amqp_error why = amqp_node_error(d);
	bool ok = d->code == ERR_OK;
	(void)type;
	amqp_link_settle(end->link, (uint32_t)delivery,
	    ok ? AMQP_ACCEPTED : AMQP_REJECTED, ok ? NULL : &why);
}

static void
reject(struct amqp_end *end, uint32_t delivery, const struct err *e)
{
	const struct ipc_done d = {.code = e->code};
	struct amqp_error why = amqp_node_error(&d);
	why.text = e->text;
	amqp_link_settle(end->link, delivery, AMQP_REJECTED, &why);
}

static void
on_message(struct amqp_end *end, uint32_t delivery, struct span message)
{
	auto_(arena_free) struct arena *a = arena_new(ARENA_MAX + COPIES * message.len);
	auto_buf props = BUF_INIT(CAP_C2D);
	struct ipc_c2d_send m = {.peer = *amqp_session_peer(end->session)};
	struct amqp_msg msg;
	struct err e = {0};
	if (amqp_msg_parse(message, &msg, &e) || read_message(&msg, a, &props, &m, &e)) {
		reject(end, delivery, &e);
		return;
	}
	if (!c2d_message_is_id(m.device_id)) {
		const struct amqp_error why = {
		    .condition = "amqp:not-found", .text = "no device has that ID"};
		amqp_link_settle(end->link, delivery, AMQP_REJECTED, &why);
		return;
	}
	amqp_session_cred(end, &m.cred); /* none: the core says so */
	amqp_session_ask(end, delivery, IPC_C2D_SEND, &m, on_sent);
}

const struct amqp_node amqp_c2d_node = {.attach = on_attach, .message = on_message};
