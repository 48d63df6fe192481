/*
 * $management of the events' endpoint: what hub and partition there are (protocol/
 * service.md 4.2, 4.3); and the hub's own addresses of it, which lead there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/config.h"
#include "proto/amqp/amqp_node.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"

enum { CREDIT = 4, ID_MAX = 300, TEXT_MAX = 300, ANSWER_MAX = 4096, NAMES_MAX = 16384 };

/* A question that the core answers. */
struct asked {
	bool busy, is_partition, has_bounds;
	uint32_t delivery;
	uint8_t id[ID_MAX];
	size_t id_len;
	char reply_to[TEXT_MAX], name[TEXT_MAX], partition[TEXT_MAX];
	struct ipc_bounds bounds;
};

/* ---- answers ----------------------------------------------------------------------- */

static void
put_text(struct buf *b, const char *key, const char *value)
{
	amqp_put_text(b, span_str(key));
	amqp_put_text(b, span_str(value));
}

static void
put_hub(struct buf *b, const struct asked *q)
{
	size_t m = amqp_open_map(b);
	put_text(b, "name", q->name);
	put_text(b, "type", "com.microsoft:eventhub");
	amqp_put_text(b, SPAN_LIT("created_at"));
	amqp_put_time(b, q->bounds.created_ms);
	amqp_put_text(b, SPAN_LIT("partition_count"));
	amqp_put_int(b, 1);
	amqp_put_text(b, SPAN_LIT("partition_ids"));
	size_t ids = amqp_open_texts(b);
	amqp_put_item(b, SPAN_LIT("0"));
	amqp_close(b, ids, 1);
	amqp_put_text(b, SPAN_LIT("georeplication_factor"));
	amqp_put_int(b, 1);
	amqp_close(b, m, 12);
}

static void
put_partition(struct buf *b, const struct asked *q)
{
	char offset[24];
	snprintf(offset, sizeof(offset), "%" PRId64, q->bounds.last_seq);
	size_t m = amqp_open_map(b);
	put_text(b, "name", q->name);
	put_text(b, "type", "com.microsoft:partition");
	put_text(b, "partition", q->partition);
	amqp_put_text(b, SPAN_LIT("begin_sequence_number"));
	amqp_put_long(b, q->bounds.first_seq);
	amqp_put_text(b, SPAN_LIT("last_enqueued_sequence_number"));
	amqp_put_long(b, q->bounds.last_seq);
	put_text(b, "last_enqueued_offset", offset);
	amqp_put_text(b, SPAN_LIT("last_enqueued_time_utc"));
	amqp_put_time(b, q->bounds.last_ms);
	amqp_put_text(b, SPAN_LIT("is_partition_empty"));
	amqp_put_bool(b, q->bounds.first_seq > q->bounds.last_seq);
	amqp_close(b, m, 16);
}

static void
answer(struct amqp_end *end, struct asked *q, int status, const struct amqp_error *why)
{
	auto_buf b = BUF_INIT(ANSWER_MAX);
	amqp_node_put_properties(&b, span_of(q->id, q->id_len), SPAN_NONE);
	amqp_put_descriptor(&b, AMQP_MSG_APPLICATION);
	size_t m = amqp_open_map(&b);
	amqp_put_text(&b, SPAN_LIT("status-code"));
	amqp_put_int(&b, status);
	put_text(&b, "status-description", why ? why->text : "OK");
	if (why)
		put_text(&b, "error-condition", why->condition);
	amqp_close(&b, m, why ? 6 : 4);
	amqp_put_descriptor(&b, AMQP_MSG_VALUE);
	if (why)
		amqp_put_null(&b);
	else if (q->is_partition)
		put_partition(&b, q);
	else
		put_hub(&b, q);
	q->busy = false;
	amqp_link_settle(end->link, q->delivery, AMQP_ACCEPTED, NULL);
	amqp_node_reply(end, span_str(q->reply_to), buf_span(&b));
}

static void
on_bounds(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	struct asked *q = end->state;
	const struct ipc_done *d = msg;
	(void)tag;
	if (type == IPC_BOUNDS) {
		q->bounds = *(const struct ipc_bounds *)msg;
		return;
	}
	const struct amqp_error why = amqp_node_error(d);
	if (d->code == ERR_OK)
		amqp_session_prove(end->session);
	answer(end, q, d->code == ERR_OK ? 200 : err_row(d->code)->http,
	    d->code == ERR_OK ? NULL : &why);
}

/* ---- questions --------------------------------------------------------------------- */

static void
take_text(const struct amqp_msg *m, const char *key, char *ret, size_t size)
{
	struct amqp_value v = amqp_get(&m->application, key);
	if (!span_to_str(amqp_bytes(&v), ret, size))
		ret[0] = '\0';
}

static void
take_head(struct asked *q, const struct amqp_msg *m)
{
	struct amqp_value id = amqp_at(&m->properties, AMQP_MSG_ID);
	struct amqp_value reply_to = amqp_at(&m->properties, AMQP_MSG_REPLY_TO);
	q->id_len = id.raw.len <= ID_MAX ? id.raw.len : 0;
	if (q->id_len)
		memcpy(q->id, id.raw.p, q->id_len);
	if (!span_to_str(amqp_bytes(&reply_to), q->reply_to, sizeof(q->reply_to)))
		q->reply_to[0] = '\0';
	take_text(m, "name", q->name, sizeof(q->name));
	take_text(m, "partition", q->partition, sizeof(q->partition));
}

/* What is asked for, and whether there is such a thing. */
static bool
take_question(struct amqp_end *end, struct asked *q, const struct amqp_msg *m)
{
	auto_(arena_free) struct arena *a = arena_new(NAMES_MAX);
	const struct config *cfg = amqp_session_env(end->session)->config;
	char operation[TEXT_MAX], type[TEXT_MAX];
	size_t hub;
	take_head(q, m);
	take_text(m, "operation", operation, sizeof(operation));
	take_text(m, "type", type, sizeof(type));
	q->is_partition = !strcmp(type, "com.microsoft:partition");
	return !strcmp(operation, "READ") &&
	       arm_name_find_hub(cfg, span_str(q->name), a, &hub) &&
	       (q->is_partition ? !strcmp(q->partition, "0")
				: !strcmp(type, "com.microsoft:eventhub"));
}

static void
on_message(struct amqp_end *end, uint32_t delivery, struct span message)
{
	static const struct amqp_error nothing = {
	    .condition = "amqp:not-found", .text = "there is no such thing to read"};
	struct asked *q = end->state;
	struct ipc_events_bounds m = {.peer = *amqp_session_peer(end->session)};
	struct amqp_msg msg;
	struct err e;
	if (q->busy) {
		amqp_link_settle(end->link, delivery, AMQP_RELEASED, NULL);
		return;
	}
	if (amqp_msg_parse(message, &msg, &e)) {
		const struct amqp_error why = {
		    .condition = "amqp:decode-error", .text = e.text};
		amqp_link_settle(end->link, delivery, AMQP_REJECTED, &why);
		return;
	}
	q->busy = true;
	q->delivery = delivery;
	if (!take_question(end, q, &msg)) {
		answer(end, q, 404, &nothing);
		return;
	}
	/* the token for it was put for PATH/$management */
	snprintf(end->entity, sizeof(end->entity), "%s/$management", q->name);
	amqp_session_cred(end, &m.cred); /* none: the core says so */
	amqp_session_ask(end, 0, IPC_EVENTS_BOUNDS, &m, on_bounds);
}

static void
on_attach(struct amqp_end *end)
{
	end->is_open = true; /* each question is judged */
	if (!amqp_link_sends(end->link))
		end->state = own_alloc(sizeof(struct asked));
	amqp_link_accept(end->link, true, CREDIT);
}

static void
on_room(struct amqp_end *end)
{
	if (amqp_link_sends(end->link))
		amqp_node_flush(end);
}

static void
on_gone(struct amqp_end *end)
{
	if (amqp_link_sends(end->link))
		amqp_node_drop_replies(end);
	else
		free(end->state);
}

const struct amqp_node amqp_manage_node = {
    .attach = on_attach, .message = on_message, .room = on_room, .gone = on_gone};

/* ---- the hub's own addresses of it ------------------------------------------------- */

/* Who may read is told where (service.md 4.1): the same host, under the hub's name. */
static void
on_admitted(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	auto_(arena_free) struct arena *a = arena_new(NAMES_MAX);
	struct amqp_end *end = arg;
	const struct env *env = amqp_session_env(end->session);
	const struct ipc_done *d = msg;
	struct span host = amqp_session_peer(end->session)->host;
	size_t hub = 0;
	if (type == IPC_BOUNDS)
		return;
	(void)tag;
	if (d->code != ERR_OK) {
		amqp_node_refuse_done(end, d);
		return;
	}
	amqp_session_prove(end->session);
	if (!arm_name_find_hub(
		env->config, span_head(host, span_find(host, ':')), a, &hub))
		hub = 0;
	const char *name = arm_name_of_hub(env->config, hub, a);
	const char *hub_host = env->config->hub.name.v[hub];
	uint16_t port = (uint16_t)env->config->server.amqp_port;
	const struct amqp_error why = {.condition = "amqp:link:redirect",
	    .text = "the events are read elsewhere",
	    .host = hub_host,
	    .port = port,
	    .address = arena_printf(a, "amqps://%s:%u/%s/%s", hub_host, port, name,
		end->entity + strlen("messages/events/"))};
	amqp_link_refuse(end->link, &why);
}

static void
on_attach_elsewhere(struct amqp_end *end)
{
	struct ipc_events_bounds m = {.peer = *amqp_session_peer(end->session)};
	amqp_session_cred(end, &m.cred);
	amqp_node_admit(end, IPC_EVENTS_BOUNDS, &m, on_admitted);
}

const struct amqp_node amqp_manage_redirect_node = {.attach = on_attach_elsewhere};
