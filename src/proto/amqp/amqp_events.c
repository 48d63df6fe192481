/*
 * Readers of the telemetry, as an event hub has them (protocol/service.md 4): one
 * partition, "0", which is the durable stream that "muster events" reads; an event's
 * number is its offset. Rows are fetched as the reader's credit and its reading allow,
 * so nothing is held for one that does not read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "codec/amqp_selector.h"
#include "codec/js.h"
#include "proto/amqp/amqp_node.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"

enum {
	PAGE = 16, /* rows of at most 300 KB each */
	READERS_MAX = 8,
	MESSAGE_MAX = 1024 * 1024,
	PROPS_DEPTH = 3,
};

struct reader {
	struct amqp_selector from;
	int64_t after, since_ms;
	bool asking, full; /* full: a row of this page could not be sent */
	uint32_t rows;     /* of this page */
};

/* ---- one event --------------------------------------------------------------------- */

/* A map under way. */
struct pairs {
	struct buf *b;
	size_t open;
	uint32_t n;
};

static struct pairs
begin_pairs(struct buf *b, enum amqp_msg_section section)
{
	amqp_put_descriptor(b, (uint8_t)section);
	return (struct pairs){.b = b, .open = amqp_open_map(b)};
}

static void
end_pairs(struct pairs *p)
{
	amqp_close(p->b, p->open, p->n);
}

static void
put_key(struct pairs *p, const char *key)
{
	amqp_put_symbol(p->b, span_str(key));
	p->n += 2;
}

static void
put_text(struct pairs *p, const char *key, struct span value)
{
	if (!value.len)
		return;
	put_key(p, key);
	amqp_put_text(p->b, value);
}

/* service.md 4.4 */
static void
put_auth_method(struct pairs *p, const struct ipc_event *m)
{
	bool x509 = span_eq_str(m->auth, "x509");
	char text[160];
	snprintf(text, sizeof(text),
	    "{\"scope\":\"%s\",\"type\":\"%s\",\"issuer\":\"%s\","
	    "\"acceptingIpFilterRule\":null}",
	    m->module_id.len ? "module" : "device", x509 ? "x509Certificate" : "sas",
	    x509 ? "external" : "iothub");
	put_text(p, "iothub-connection-auth-method", span_str(text));
}

static bool
is_standard(const char *name)
{
	static const char *const names[] = {"message-id", "correlation-id", "user-id",
	    "to", "content-type", "content-encoding", "absolute-expiry-time"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void
put_annotations(struct buf *b, const struct ipc_event *m, const struct js *sys)
{
	char offset[24];
	struct js_iter it = js_members(sys);
	struct pairs p = begin_pairs(b, AMQP_MSG_ANNOTATIONS);
	snprintf(offset, sizeof(offset), "%" PRId64, m->seq);
	put_key(&p, "x-opt-sequence-number");
	amqp_put_long(b, m->seq);
	put_text(&p, "x-opt-offset", span_str(offset));
	put_key(&p, "x-opt-enqueued-time");
	amqp_put_time(b, m->enqueued_ms);
	put_text(&p, "x-opt-partition-key", m->device_id);
	put_text(&p, "iothub-connection-device-id", m->device_id);
	put_text(&p, "iothub-connection-module-id", m->module_id);
	put_text(&p, "iothub-connection-auth-generation-id", m->generation);
	put_auth_method(&p, m);
	put_key(&p, "iothub-enqueuedtime");
	amqp_put_time(b, m->enqueued_ms);
	put_text(&p, "iothub-message-source", SPAN_LIT("Telemetry"));
	while (js_next(&it))
		if (!is_standard(it.key))
			put_text(&p, it.key, js_as_str(it.value));
	end_pairs(&p);
}

static void
put_field(struct buf *b, const struct js *sys, const char *name,
    void (*put)(struct buf *b, struct span s))
{
	struct span s = js_as_str(js_get(sys, name));
	if (s.len)
		put(b, s);
	else
		amqp_put_null(b);
}

/* In the order of part 3, 3.2.4. */
static void
put_standard(struct buf *b, const struct js *sys)
{
	amqp_put_descriptor(b, AMQP_MSG_STANDARD);
	size_t l = amqp_open_list(b);
	put_field(b, sys, "message-id", amqp_put_text);
	put_field(b, sys, "user-id", amqp_put_binary);
	put_field(b, sys, "to", amqp_put_text);
	amqp_put_null(b);
	amqp_put_null(b);
	put_field(b, sys, "correlation-id", amqp_put_text);
	put_field(b, sys, "content-type", amqp_put_symbol);
	put_field(b, sys, "content-encoding", amqp_put_symbol);
	amqp_close(b, l, 8);
}

static void
put_application(struct buf *b, const struct js *app)
{
	struct js_iter it = js_members(app);
	struct pairs p = begin_pairs(b, AMQP_MSG_APPLICATION);
	while (js_next(&it)) {
		p.n += 2;
		amqp_put_text(b, span_str(it.key));
		if (js_is(it.value, JS_STRING))
			amqp_put_text(b, js_as_str(it.value));
		else
			amqp_put_null(b); /* a pair without a value (device.md 3.8) */
	}
	end_pairs(&p);
}

static void
put_event(struct buf *b, const struct ipc_event *m)
{
	struct err none;
	auto_(js_free) struct js *props =
	    js_parse(m->props, CAP_JSON, PROPS_DEPTH, &none);
	const struct js *sys = js_get(props, "system");
	put_annotations(b, m, sys);
	put_standard(b, sys);
	put_application(b, js_get(props, "application"));
	amqp_put_descriptor(b, AMQP_MSG_DATA);
	amqp_put_binary(b, m->body);
}

/* ---- pages ------------------------------------------------------------------------- */

static void ask_page(struct amqp_end *end);

static void
on_event(struct amqp_end *end, const struct ipc_event *m)
{
	struct reader *r = end->state;
	auto_buf b = BUF_INIT(MESSAGE_MAX);
	r->full =
	    r->full || !amqp_link_room(end->link) || !amqp_session_has_room(end->session);
	if (r->full)
		return; /* it is fetched again when there is room */
	put_event(&b, m);
	r->rows++;
	r->after = m->seq;
	r->since_ms = 0; /* what follows is younger, by its number */
	if (!b.bad)
		amqp_link_send(end->link, buf_span(&b));
}

/* A page without rows may have looked at as much as a turn should: what follows begins
 * behind that. Behind a row that could not be sent nothing was looked at. */
static bool
looked_on(struct reader *r, struct span next)
{
	int64_t n;
	if (r->full || !num_ok(next, 0, INT64_MAX, &n) || n <= r->after)
		return false;
	r->after = n;
	return true;
}

static void
on_page(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	struct reader *r = end->state;
	const struct ipc_done *d = msg;
	(void)tag;
	if (type == IPC_EVENT) {
		on_event(end, msg);
		return;
	}
	r->asking = false;
	if (err_row(d->code)->http == 401 || err_row(d->code)->http == 403)
		amqp_node_refuse_done(end, d);
	else if (d->code == ERR_OK && (looked_on(r, d->next) || r->rows))
		ask_page(end);
	/* else the tail is reached, or the core is not there: time asks again */
}

static void
ask_page(struct amqp_end *end)
{
	struct reader *r = end->state;
	uint32_t room = amqp_link_room(end->link);
	if (r->asking || !room || !amqp_session_has_room(end->session))
		return;
	struct ipc_events_read m = {.peer = *amqp_session_peer(end->session),
	    .after_seq = r->after,
	    .since_ms = r->since_ms,
	    .limit = room < PAGE ? room : PAGE};
	r->asking = true;
	r->full = false;
	r->rows = 0;
	amqp_session_cred(end, &m.cred);
	amqp_session_ask(end, 0, IPC_EVENTS_READ, &m, on_page);
}

/* ---- attaching --------------------------------------------------------------------- */

/* Where to begin. What is asked for by time, and begins behind everything there is, would
 * be looked for from the start again each time. */
static void
begin_at(struct reader *r, const struct ipc_bounds *b)
{
	switch (r->from.by) {
	case AMQP_SELECTOR_LATEST:
		r->after = b->last_seq;
		break;
	case AMQP_SELECTOR_AFTER:
		r->after = r->from.value > 0 ? r->from.value : 0;
		break;
	case AMQP_SELECTOR_SINCE:
		if (r->from.value > b->last_ms)
			r->after = b->last_seq;
		else
			r->since_ms = r->from.value;
		break;
	}
}

static void
on_admitted(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	const struct ipc_done *d = msg;
	(void)tag;
	if (type == IPC_BOUNDS) {
		begin_at(end->state, msg);
		return;
	}
	if (d->code != ERR_OK) {
		amqp_node_refuse_done(end, d);
		return;
	}
	amqp_session_prove(end->session);
	amqp_link_accept(end->link, true, 0);
}

/* PATH/ConsumerGroups/$Default/Partitions/0, PATH the hub's name (arm_name.h). */
static bool
is_there(struct amqp_end *end)
{
	auto_(arena_free) struct arena *a = arena_new(16 * 1024);
	const struct env *env = amqp_session_env(end->session);
	struct span rest = span_str(end->entity);
	size_t hub;
	struct span path = span_split(&rest, '/');
	span_split(&rest, '/');
	struct span group = span_split(&rest, '/');
	span_split(&rest, '/');
	return arm_name_find_hub(env->config, path, a, &hub) &&
	       span_ieq_str(group, "$default") && span_eq_str(rest, "0");
}

static unsigned
readers_of(struct amqp_session *s)
{
	struct amqp_conn *c = amqp_session_conn(s);
	unsigned n = 0;
	for (struct amqp_link *l = amqp_conn_next(c, NULL); l; l = amqp_conn_next(c, l)) {
		const struct amqp_end *end = amqp_link_ctx(l);
		n += end && end->node == &amqp_events_node;
	}
	return n;
}

static int
read_filter(struct amqp_end *end, struct amqp_selector *ret, struct err *e)
{
	struct span text =
	    amqp_link_filter(end->link, "apache.org:selector-filter:string");
	*ret = (struct amqp_selector){.by = AMQP_SELECTOR_AFTER};
	return text.len ? amqp_selector_parse(text, ret, e) : 0;
}

static void
on_attach(struct amqp_end *end)
{
	struct ipc_events_bounds m = {.peer = *amqp_session_peer(end->session)};
	struct reader *r = end->state = own_alloc(sizeof(*r));
	struct err e;
	if (!is_there(end)) {
		amqp_node_refuse(end, "amqp:not-found",
		    "there is the hub's name, the group $Default and the partition 0");
	} else if (readers_of(end->session) > READERS_MAX) {
		amqp_node_refuse(end, "amqp:resource-limit-exceeded", "too many readers");
	} else if (read_filter(end, &r->from, &e)) {
		amqp_node_refuse(end, "amqp:invalid-field", e.text);
	} else {
		amqp_session_cred(end, &m.cred);
		amqp_node_admit(end, IPC_EVENTS_BOUNDS, &m, on_admitted);
	}
}

static void
on_gone(struct amqp_end *end)
{
	free(end->state);
}

const struct amqp_node amqp_events_node = {
    .attach = on_attach, .room = ask_page, .gone = on_gone};
