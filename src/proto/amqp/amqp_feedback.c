/*
 * What services are told: feedback on cloud-to-device messages, notices of uploads
 * (protocol/service.md 2.8). One of either is out on a link at a time; its lock is ended
 * by what the peer says became of it, or by time.
 */
#include <stdlib.h>

#include "codec/js.h"
#include "proto/amqp/amqp_node.h"
#include "proto/hub/outcome_json.h"

enum { BATCH_MAX = 512 * 1024, LOCK_MAX = 64 };

struct told {
	bool asking, is_out;
	uint32_t delivery;
	char lock[LOCK_MAX + 1];
	struct buf json; /* rows that came */
};

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
	amqp_link_accept(end->link, false, 0);
}

static void
on_attach(struct amqp_end *end)
{
	struct ipc_login_service m = {.peer = *amqp_session_peer(end->session)};
	struct told *t = end->state = own_alloc(sizeof(*t));
	t->json = BUF_INIT(BATCH_MAX);
	end->entity[0] = '\0'; /* the hub's own */
	amqp_session_cred(end, &m.cred);
	amqp_node_admit(end, IPC_LOGIN_SERVICE, &m, on_admitted);
}

static void
on_gone(struct amqp_end *end)
{
	struct told *t = end->state;
	if (t)
		buf_done(&t->json);
	free(t);
}

/* The batch or notice has come, or there is none. */
static void
send_out(struct amqp_end *end, struct span lock, struct span type)
{
	struct told *t = end->state;
	auto_buf b = BUF_INIT(BATCH_MAX + 1024);
	if (!amqp_link_room(end->link) || !span_to_str(lock, t->lock, sizeof(t->lock)))
		return; /* the lock ends by itself */
	amqp_node_put_properties(&b, SPAN_NONE, type);
	amqp_put_descriptor(&b, AMQP_MSG_DATA);
	amqp_put_binary(&b, buf_span(&t->json));
	if (b.bad || t->json.bad)
		return;
	t->is_out = true;
	t->delivery = amqp_link_send(end->link, buf_span(&b));
}

/* What the core could not do now is asked again; what it will not do ends the link. */
static void
on_failed(struct amqp_end *end, const struct ipc_done *d)
{
	if (err_row(d->code)->http == 401 || err_row(d->code)->http == 403)
		amqp_node_refuse_done(end, d);
}

static bool
may_ask(const struct amqp_end *end)
{
	const struct told *t = end->state;
	return !t->asking && !t->is_out && amqp_link_room(end->link) &&
	       amqp_session_has_room(end->session);
}

static void
begin_asking(struct told *t)
{
	t->asking = true;
	buf_reset(&t->json);
}

static void
on_settled(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	(void)arg, (void)tag, (void)type, (void)msg; /* a lock that is over is over */
}

static bool
is_mine(const struct told *t, uint32_t delivery)
{
	return t->is_out && t->delivery == delivery;
}

/* ---- feedback ---------------------------------------------------------------------- */

static void
on_feedback(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	struct told *t = end->state;
	const struct ipc_done *d = msg;
	(void)tag;
	if (type == IPC_FEEDBACK) {
		auto_(js_free) struct js *o = outcome_json_feedback(msg);
		buf_str(&t->json, t->json.len ? "," : "[");
		js_dump(o, JS_AS_BUILT, &t->json);
		return;
	}
	t->asking = false;
	if (d->code != ERR_OK) {
		on_failed(end, d);
	} else if (d->next.len) {
		buf_str(&t->json, "]");
		send_out(end, d->next, SPAN_LIT(OUTCOME_JSON_FEEDBACK));
	}
}

static void
ask_feedback(struct amqp_end *end)
{
	struct ipc_feedback_receive m = {.peer = *amqp_session_peer(end->session)};
	if (!may_ask(end))
		return;
	begin_asking(end->state);
	amqp_session_cred(end, &m.cred);
	amqp_session_ask(end, 0, IPC_FEEDBACK_RECEIVE, &m, on_feedback);
}

static void
settle_feedback(struct amqp_end *end, uint32_t delivery, enum amqp_outcome outcome)
{
	struct told *t = end->state;
	struct ipc_feedback_settle m = {.peer = *amqp_session_peer(end->session),
	    .lock = span_str(t->lock),
	    .how = outcome == AMQP_ACCEPTED || outcome == AMQP_REJECTED
		       ? IPC_SETTLE_COMPLETE
		       : IPC_SETTLE_ABANDON};
	if (!is_mine(t, delivery))
		return;
	t->is_out = false;
	amqp_session_cred(end, &m.cred);
	amqp_session_ask(end, 0, IPC_FEEDBACK_SETTLE, &m, on_settled);
	ask_feedback(end);
}

const struct amqp_node amqp_feedback_node = {.attach = on_attach,
    .room = ask_feedback,
    .outcome = settle_feedback,
    .gone = on_gone};

/* ---- notices ----------------------------------------------------------------------- */

static void
on_notice(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	struct told *t = end->state;
	const struct ipc_done *d = msg;
	(void)tag;
	if (type == IPC_NOTICE) {
		const struct ipc_notice *m = msg;
		auto_(js_free) struct js *o = outcome_json_notice(m);
		js_dump(o, JS_AS_BUILT, &t->json);
		send_out(end, m->lock, SPAN_LIT("application/json"));
		return;
	}
	t->asking = false;
	if (d->code != ERR_OK)
		on_failed(end, d);
}

static void
ask_notice(struct amqp_end *end)
{
	struct ipc_notice_get m = {.peer = *amqp_session_peer(end->session)};
	if (!may_ask(end))
		return;
	begin_asking(end->state);
	amqp_session_cred(end, &m.cred);
	amqp_session_ask(end, 0, IPC_NOTICE_GET, &m, on_notice);
}

static void
end_notice(struct amqp_end *end, uint32_t delivery, enum amqp_outcome outcome)
{
	struct told *t = end->state;
	struct ipc_notice_end m = {.peer = *amqp_session_peer(end->session),
	    .lock = span_str(t->lock),
	    .release = outcome != AMQP_ACCEPTED && outcome != AMQP_REJECTED};
	if (!is_mine(t, delivery))
		return;
	t->is_out = false;
	amqp_session_cred(end, &m.cred);
	amqp_session_ask(end, 0, IPC_NOTICE_END, &m, on_settled);
	ask_notice(end);
}

const struct amqp_node amqp_feedback_notices_node = {
    .attach = on_attach, .room = ask_notice, .outcome = end_notice, .gone = on_gone};
