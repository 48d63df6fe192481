/*
 * Cloud-to-device messages over HTTPS (protocol/device.md 4.2): fetched one at a time,
 * each locked until the device says what became of it. The C SDK compares names of
 * headers with their case, so they are spelled as the cloud spells them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "proto/hub/device_call.h"

enum {
	PROPS_DEPTH = 4,
	HEADER_MAX = 8192,
};

/* ---- headers ----------------------------------------------------------------------- */

/* A field value (RFC 9110 5.5) that cannot end its line. */
static bool
is_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.len && s.len < HEADER_MAX;
}

/* A token (RFC 9110 5.6.2). */
static bool
is_name(struct span s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!letter && !(c >= '0' && c <= '9') && (!c || !strchr(others, c)))
			return false;
	}
	return s.len && s.len < HEADER_MAX;
}

/* What no header can carry is left out: the message is worth more than that property. */
static void
set_text(struct http_call *c, const char *name, struct span value)
{
	if (is_value(value))
		http_call_set(c, name, arena_str(c->arena, value));
}

static void
set_number(struct http_call *c, const char *name, int64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRId64, value);
	http_call_set(c, name, text);
}

static void
set_time(struct http_call *c, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT];
	if (!ms)
		return;
	clock_iso(ms, 7, text);
	http_call_set(c, name, text);
}

static void
set_application(struct http_call *c, const struct js *properties)
{
	for (struct js_iter it = js_members(properties); js_next(&it);) {
		if (!is_name(span_str(it.key)))
			continue;
		set_text(c, arena_printf(c->arena, "iothub-app-%s", it.key),
		    js_as_str(it.value));
	}
}

static void
set_props(struct http_call *c, struct span text)
{
	static const struct {
		const char *name, *header;
	} known[] = {
	    {"content-type", "ContentType"},
	    {"content-encoding", "ContentEncoding"},
	};
	struct err e;
	auto_(js_free) struct js *props = js_parse(text, CAP_C2D, PROPS_DEPTH, &e);
	const struct js *known_props = js_get(props, "system");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		set_text(
		    c, known[i].header, js_as_str(js_get(known_props, known[i].name)));
	set_application(c, js_get(props, "application"));
}

static void
set_headers(struct http_call *c, const struct ipc_c2d *m)
{
	static const char *const acks[] = {[IPC_ACK_NONE] = "none",
	    [IPC_ACK_POSITIVE] = "positive",
	    [IPC_ACK_NEGATIVE] = "negative",
	    [IPC_ACK_FULL] = "full"};
	auto_buf to = BUF_INIT(1024);
	buf_str(&to, "/devices/");
	uri_encode(&to, c->param[0]);
	buf_str(&to, "/messages/devicebound");
	set_text(
	    c, "ETag", span_str(arena_printf(c->arena, "\"%.*s\"", SPAN_FMT(m->lock))));
	set_text(c, "iothub-messageid", m->message_id);
	set_text(c, "iothub-correlationid", m->correlation_id);
	set_text(c, "iothub-userid", m->user_id);
	set_text(c, "iothub-to", buf_span(&to));
	set_text(c, "iothub-ack", span_str(acks[m->ack & IPC_ACK_FULL]));
	set_time(c, "iothub-expiry", m->expires_ms);
	set_time(c, "iothub-enqueuedtime", m->enqueued_ms);
	set_number(c, "iothub-deliverycount", m->deliveries);
	set_number(c, "iothub-sequencenumber", m->seq);
	set_props(c, m->props);
}

/* ---- receive ----------------------------------------------------------------------- */

static void
on_received(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_C2D) {
		const struct ipc_c2d *m = msg;
		set_headers(c, m);
		c->state = c; /* a message came, empty or not */
		buf_put_span(&c->out, m->body);
		return;
	}
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else if (!c->state)
		http_call_no_content(c);
	else
		http_call_reply(c, 200, NULL, buf_span(&c->out));
}

void
c2d_http_receive(struct http_call *c)
{
	struct device_call who;
	if (http_call_refuse_head(c) || device_call_take(c, false, &who))
		return;
	const struct ipc_c2d_receive m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = who.host,
	    .device_id = who.device_id};
	http_call_ask(c, IPC_C2D_RECEIVE, &m, on_received);
}

/* ---- what became of it ------------------------------------------------------------- */

static void
on_settled(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		http_call_fail_done(c, d);
}

static void
settle(struct http_call *c, enum ipc_settle how)
{
	struct err e;
	struct device_call who;
	if (device_call_take(c, false, &who))
		return;
	struct ipc_c2d_settle m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = who.host,
	    .device_id = who.device_id,
	    .lock = c->param[1],
	    .how = (uint8_t)how};
	if (!is_name(m.lock) || m.lock.len > 40) {
		err_set(&e, ERR_CONFLICT, "not a lock token of ours");
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_C2D_SETTLE, &m, on_settled);
}

/* "&reject", without a value. */
static bool
is_reject(struct span query)
{
	struct uri_pair pair;
	while (uri_pair_next(&query, &pair))
		if (span_ieq_str(pair.key, "reject"))
			return true;
	return false;
}

void
c2d_http_complete(struct http_call *c)
{
	settle(c, is_reject(c->query) ? IPC_SETTLE_REJECT : IPC_SETTLE_COMPLETE);
}

void
c2d_http_abandon(struct http_call *c)
{
	settle(c, IPC_SETTLE_ABANDON);
}
