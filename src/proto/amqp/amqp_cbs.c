/*
 * $cbs: tokens put on a connection (claims-based security, protocol/service.md 2.8, 4.2).
 * Whether one is good the core says; what it lets its bearer do is asked for each link.
 */
#include <stdlib.h>

#include "proto/amqp/amqp_node.h"
#include "proto/credential.h"

enum {
	CREDIT = 4,
	ANSWER_MAX = 2048,
	ID_MAX = 300,
	REPLY_TO_MAX = 300,
	TOKEN_MAX = 4096
};

/* A token that the core judges. One a link at a time: credit is no promise of more. */
struct put {
	struct credential *credential; /* NULL: none is under way */
	char name[512];
	char reply_to[REPLY_TO_MAX];
	uint8_t id[ID_MAX]; /* the request's, as it came (T12) */
	size_t id_len;
	uint32_t delivery;
};

static void
answer(struct amqp_end *end, const struct put *p, int status, const char *text)
{
	auto_buf b = BUF_INIT(ANSWER_MAX);
	amqp_node_put_properties(&b, span_of(p->id, p->id_len), SPAN_NONE);
	amqp_put_descriptor(&b, AMQP_MSG_APPLICATION);
	size_t m = amqp_open_map(&b);
	amqp_put_text(&b, SPAN_LIT("status-code"));
	amqp_put_int(&b, status); /* nothing but int will do (protocol/clients.md 1, 2) */
	amqp_put_text(&b, SPAN_LIT("status-description"));
	amqp_put_text(&b, span_str(text));
	amqp_close(&b, m, 4);
	amqp_put_descriptor(&b, AMQP_MSG_VALUE);
	amqp_put_null(&b);
	amqp_node_reply(end, span_str(p->reply_to), buf_span(&b));
}

static void
on_judged(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_end *end = arg;
	struct put *p = end->state;
	const struct ipc_done *d = msg;
	struct err e = {0};
	struct credential *c = TAKE(p->credential);
	(void)tag, (void)type;
	amqp_link_settle(end->link, p->delivery, AMQP_ACCEPTED, NULL);
	if (d->code != ERR_OK) {
		credential_free(c);
		answer(end, p, err_row(d->code)->http, amqp_node_error(d).text);
	} else if (amqp_session_claim(
		       end->session, span_str(p->name), c, d->number, &e)) {
		answer(end, p, 403, e.text);
	} else {
		answer(end, p, 200, "OK");
	}
}

static struct credential *
credential_of_text(struct span token, struct err *e)
{
	auto_buf header = BUF_INIT(TOKEN_MAX + 8);
	header.secret = true;
	if (span_istarts(token, SPAN_LIT("SharedAccessSignature ")))
		return credential_of_sas(token, e);
	if (!credential_is_bearer(token)) /* as az has it; others leave the word away */
		buf_str(&header, "Bearer ");
	buf_put_span(&header, token);
	if (buf_check(&header, "token", e))
		return NULL;
	return credential_of_bearer(buf_span(&header), e);
}

static int
read_put(struct put *p, const struct amqp_msg *m, struct err *e)
{
	struct amqp_value operation = amqp_get(&m->application, "operation");
	struct amqp_value name = amqp_get(&m->application, "name");
	struct amqp_value id = amqp_at(&m->properties, AMQP_MSG_ID);
	struct amqp_value reply_to = amqp_at(&m->properties, AMQP_MSG_REPLY_TO);
	if (id.raw.len > ID_MAX || amqp_bytes(&reply_to).len >= REPLY_TO_MAX)
		return err_set(e, ERR_LIMIT, "a request with too long an ID");
	p->id_len = id.raw.len;
	if (id.raw.len)
		memcpy(p->id, id.raw.p, id.raw.len);
	if (!span_to_str(amqp_bytes(&reply_to), p->reply_to, sizeof(p->reply_to)) ||
	    !span_to_str(amqp_bytes(&name), p->name, sizeof(p->name)))
		return err_set(e, ERR_PARSE, "a name that cannot be one");
	if (!span_eq_str(amqp_bytes(&operation), "put-token"))
		return err_set(e, ERR_UNSUPPORTED, "put-token is all that $cbs does");
	p->credential = credential_of_text(amqp_bytes(&m->body), e);
	return p->credential ? 0 : -1;
}

static void
on_message(struct amqp_end *end, uint32_t delivery, struct span message)
{
	struct put *p = end->state;
	struct amqp_msg m;
	struct err e = {0};
	if (p->credential) {
		amqp_link_settle(end->link, delivery, AMQP_RELEASED, NULL);
		return;
	}
	p->delivery = delivery;
	if (amqp_msg_parse(message, &m, &e)) {
		const struct amqp_error why = {
		    "amqp:decode-error", e.text, NULL, NULL, 0};
		amqp_link_settle(end->link, delivery, AMQP_REJECTED, &why);
		return;
	}
	if (read_put(p, &m, &e)) {
		amqp_session_refused(end->session, e.text);
		amqp_link_settle(end->link, delivery, AMQP_ACCEPTED, NULL);
		answer(end, p, 401, e.text);
		return;
	}
	const struct ipc_login login = {.peer = *amqp_session_peer(end->session),
	    .cred = *credential_ipc(p->credential)};
	amqp_session_ask(end, 0, IPC_LOGIN, &login, on_judged);
}

static void
on_attach(struct amqp_end *end)
{
	end->is_open = true;
	if (!amqp_link_sends(end->link))
		end->state = own_alloc(sizeof(struct put));
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
	struct put *p = end->state;
	if (amqp_link_sends(end->link)) {
		amqp_node_drop_replies(end);
		return;
	}
	if (p)
		credential_free(p->credential);
	free(p);
}

const struct amqp_node amqp_cbs_node = {
    .attach = on_attach, .message = on_message, .room = on_room, .gone = on_gone};
