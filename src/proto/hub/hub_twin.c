/*
 * Twins of devices over MQTT (protocol/device.md 3.12): GET, reports, and notice of
 * desired properties. Reports are checked and written anew here; the core merges them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "io/loop.h"
#include "proto/env.h"
#include "proto/hub/hub_impl.h"
#include "proto/hub/twin_json.h"
#include "proto/wire_error.h"

enum {
	TOPIC_ROOM = 1024,
	ERROR_ROOM = 4096,
	DETAIL_ROOM = 513, /* the text of a DONE */
	TOO_MANY = 429,    /* from here on a status says that we are in trouble */
};

/* What waits for the core. */
struct twin_call {
	struct list all;
	uint64_t ticket;
	size_t rid_len;
	uint8_t rid[];
};

static void
keep_call(struct hub *h, struct span rid, uint64_t ticket)
{
	struct twin_call *c = own_alloc(sizeof(*c) + rid.len);
	c->ticket = ticket;
	c->rid_len = rid.len;
	memcpy(c->rid, rid.p, rid.len);
	list_push(&h->twin_calls, &c->all);
}

/* The call of that ticket, taken out; the caller frees it. There is one: answers come
 * once, and no more after hub_twin_drop. */
static struct twin_call *
take_call(struct hub *h, uint64_t ticket)
{
	struct list *at = h->twin_calls.next;
	while (list_of(at, struct twin_call, all)->ticket != ticket)
		at = at->next;
	list_del(at);
	return list_of(at, struct twin_call, all);
}

void
hub_twin_drop(struct hub *h)
{
	list_each_safe (it, &h->twin_calls) {
		list_del(it);
		free(list_of(it, struct twin_call, all));
	}
}

/* ---- answers ----------------------------------------------------------------------- */

/* To nobody where the client has not subscribed. */
static void
respond(struct hub *h, int status, struct span rid, int64_t version, struct span body)
{
	auto_buf topic = BUF_INIT(TOPIC_ROOM);
	int qos = topic_subs_qos(h->subs, TOPIC_SUB_TWIN_RES);
	topic_write_twin_response(&topic, status, rid, version);
	if (qos >= 0 && !topic.bad)
		mqtt_session_publish(h->mqtt, buf_span(&topic), body, (uint8_t)qos);
}

/* Node sees an error only in a body (section 7 row 16). detail: about the device's own
 * words. */
static void
respond_error(
    struct hub *h, struct span rid, const struct wire_error *w, const char *detail)
{
	auto_buf body = BUF_INIT(ERROR_ROOM);
	int64_t now = clock_wall_ms(loop_clock(h->all->env->loop));
	wire_error_dps_body(w, detail, now, &body);
	respond(h, w->status, rid, -1, buf_span(&body));
}

static void
respond_failed(struct hub *h, struct span rid, const struct ipc_done *d)
{
	char detail[DETAIL_ROOM];
	const struct wire_error w = wire_error_of_done(d, WIRE_HUB);
	bool fits = span_to_str(d->text, detail, sizeof(detail));
	respond_error(h, rid, &w, fits ? detail : "");
}

/* The core's JSON object with a $version. */
static void
put_versioned(struct buf *b, struct span doc, int64_t version)
{
	struct span open = doc.len > 2 ? span_head(doc, doc.len - 1) : SPAN_LIT("{");
	buf_put_span(b, open);
	buf_printf(b, "%s\"$version\":%" PRId64 "}", open.len > 1 ? "," : "", version);
}

/* Both trees, always, and no $metadata (section 7 row 12). */
static void
respond_twin(struct hub *h, struct span rid, const struct ipc_hub_twin *m)
{
	auto_buf body = BUF_INIT(2 * CAP_TWIN + 256);
	buf_str(&body, "{\"desired\":");
	put_versioned(&body, m->desired, m->desired_version);
	buf_str(&body, ",\"reported\":");
	put_versioned(&body, m->reported, m->reported_version);
	buf_str(&body, "}");
	respond(h, 200, rid, -1, buf_span(&body));
}

/* ---- GET --------------------------------------------------------------------------- */

static void
on_twin(void *arg, uint64_t ticket, enum ipc_type type, const void *msg)
{
	struct hub *h = arg;
	auto_(free) struct twin_call *c = take_call(h, ticket);
	if (type != IPC_HUB_TWIN) {
		hub_mqtt_close_failed(h, "twin not read", msg);
		return;
	}
	mqtt_session_acked(h->mqtt, ticket);
	respond_twin(h, span_of(c->rid, c->rid_len), msg);
}

void
hub_twin_on_get(struct hub *h, const struct mqtt_publish *m, const struct topic_hub *t,
    uint64_t ticket)
{
	const struct ipc_hub_twin_get q = {.session = h->session};
	keep_call(h, t->rid, ticket);
	hub_mqtt_ask(h, IPC_HUB_TWIN_GET, &q, on_twin, ticket);
}

/* ---- reports ----------------------------------------------------------------------- */

/* 204 and no body: embedded C tells a report's answer from a GET's by it (row 15). */
static void
on_reported(void *arg, uint64_t ticket, enum ipc_type type, const void *msg)
{
	struct hub *h = arg;
	const struct ipc_done *d = msg;
	auto_(free) struct twin_call *c = take_call(h, ticket);
	struct span rid = span_of(c->rid, c->rid_len);
	if (err_row(d->code)->http >= TOO_MANY) {
		hub_mqtt_close_failed(h, "report not stored", d);
		return;
	}
	mqtt_session_acked(h->mqtt, ticket);
	if (d->code == ERR_OK)
		respond(h, 204, rid, d->number, SPAN_NONE);
	else
		respond_failed(h, rid, d);
}

void
hub_twin_on_report(struct hub *h, const struct mqtt_publish *m, const struct topic_hub *t,
    uint64_t ticket)
{
	struct err e = {0};
	auto_buf patch = BUF_INIT(CAP_TWIN);
	if (twin_json_report(m->payload, &patch, &e)) {
		const struct wire_error w = wire_error_of_code(e.code, WIRE_HUB);
		mqtt_session_acked(h->mqtt, ticket);
		respond_error(h, t->rid, &w, e.text);
		return;
	}
	const struct ipc_hub_twin_report q = {
	    .session = h->session, .version = t->version, .patch = buf_span(&patch)};
	keep_call(h, t->rid, ticket);
	hub_mqtt_ask(h, IPC_HUB_TWIN_REPORT, &q, on_reported, ticket);
}

/* ---- desired ----------------------------------------------------------------------- */

void
hub_twin_on_desired(struct hub_mqtt *all, const struct ipc_hub_desired *m)
{
	struct hub *h = hub_mqtt_find(all, m->session);
	auto_buf topic = BUF_INIT(TOPIC_ROOM);
	auto_buf body = BUF_INIT(CAP_TWIN_CHANGE + 64);
	int qos = h ? topic_subs_qos(h->subs, TOPIC_SUB_TWIN_DESIRED) : -1;
	if (qos < 0)
		return;
	topic_write_twin_desired(&topic, m->version);
	put_versioned(&body, m->patch, m->version);
	mqtt_session_publish(h->mqtt, buf_span(&topic), buf_span(&body), (uint8_t)qos);
}
