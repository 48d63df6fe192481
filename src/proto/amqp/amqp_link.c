/*
 * Links of a connection: attach and detach, credit, messages that come and go, what
 * became of them.
 */
#include <stdlib.h>

#include "proto/amqp/amqp_conn_impl.h"

enum {
	ATTACH_MAX = 8 * 1024, /* of the peer's performative, which is kept */
	GATHERED_MAX = 512 * 1024,
	GOING_MAX = 1024 * 1024,
	SMALL = 512,
	TRANSFER_HEAD = 64, /* more than a transfer's performative takes */
};

/* ---- what it is -------------------------------------------------------------------- */

static struct amqp_value
attach_field(const struct amqp_link *l, unsigned n)
{
	struct amqp_value performative;
	struct cursor c = cursor_of(buf_span(&l->attach));
	if (!amqp_next(&c, &performative))
		return (struct amqp_value){.kind = AMQP_NULL};
	return amqp_at(&performative, n);
}

enum { ATTACH_NAME = 0, ATTACH_RCV_MODE = 4, ATTACH_SOURCE = 5, ATTACH_TARGET = 6 };
enum { SOURCE_ADDRESS = 0, SOURCE_FILTER = 7 };

static struct span
address_of(const struct amqp_link *l, unsigned terminus)
{
	struct amqp_value t = attach_field(l, terminus);
	struct amqp_value address = amqp_at(&t, SOURCE_ADDRESS);
	return amqp_bytes(&address);
}

bool
amqp_link_sends(const struct amqp_link *l)
{
	return l->sends;
}

struct span
amqp_link_address(const struct amqp_link *l)
{
	return address_of(l, l->sends ? ATTACH_SOURCE : ATTACH_TARGET);
}

struct span
amqp_link_peer_address(const struct amqp_link *l)
{
	return address_of(l, l->sends ? ATTACH_TARGET : ATTACH_SOURCE);
}

struct span
amqp_link_filter(const struct amqp_link *l, const char *key)
{
	struct amqp_value source = attach_field(l, ATTACH_SOURCE);
	struct amqp_value filters = amqp_at(&source, SOURCE_FILTER);
	struct amqp_value filter = amqp_get(&filters, key);
	return amqp_bytes(&filter);
}

void
amqp_link_set_ctx(struct amqp_link *l, void *ctx)
{
	l->ctx = ctx;
}

void *
amqp_link_ctx(const struct amqp_link *l)
{
	return l->ctx;
}

bool
amqp_link_is_up(const struct amqp_link *l)
{
	return l->up;
}

/* ---- attaching and detaching ------------------------------------------------------- */

static struct amqp_link *
find(const struct amqp_channel *s, uint32_t handle)
{
	list_each (it, &s->links) {
		struct amqp_link *l = list_of(it, struct amqp_link, node);
		if (l->handle == handle)
			return l;
	}
	return NULL;
}

static void
drop_coming(struct amqp_link *l)
{
	l->conn->gathered -= l->coming.len;
	buf_done(&l->coming);
	l->coming = BUF_INIT(AMQP_CONN_MESSAGE_MAX);
	l->is_coming = false;
}

void
amqp_link_drop(struct amqp_link *l)
{
	list_del(&l->node);
	l->conn->links--;
	drop_coming(l);
	buf_done(&l->attach);
	buf_done(&l->going);
	free(l);
}

void
amqp_link_tell_gone(struct amqp_link *l)
{
	if (l->told_gone)
		return;
	l->told_gone = true;
	l->up = false;
	l->conn->ops->on_gone(l->conn->arg, l);
}

/* A performative of the peer's frame on one of its links; NULL: there is none, and the
 * connection is over. */
static struct amqp_link *
need(struct amqp_conn *c, const struct amqp_frame *f, const struct amqp_value *handle)
{
	int64_t n = amqp_number(handle, -1);
	struct amqp_link *l = n < 0 ? NULL : find(c->sessions[f->channel], (uint32_t)n);
	if (!l)
		amqp_conn_fail(c, "amqp:not-allowed", "no link has that handle");
	return l;
}

void
amqp_link_on_attach(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_channel *s = c->sessions[f->channel];
	struct amqp_value handle = amqp_at(&f->performative, 1);
	struct amqp_value role = amqp_at(&f->performative, 2);
	int64_t n = amqp_number(&handle, -1);
	if (n < 0 || n >= AMQP_CONN_LINKS || find(s, (uint32_t)n)) {
		amqp_conn_fail(c, "amqp:not-allowed", "no such handle is free");
		return;
	}
	if (c->links >= c->links_max || f->performative.raw.len > ATTACH_MAX) {
		amqp_conn_fail(
		    c, "amqp:resource-limit-exceeded", "too many links, or too large");
		return;
	}
	struct amqp_link *l = own_alloc(sizeof(*l));
	l->conn = c;
	l->session = s;
	l->handle = (uint32_t)n;
	l->sends = amqp_number(&role, 0) != 0;
	l->attach = BUF_INIT(ATTACH_MAX);
	l->coming = BUF_INIT(AMQP_CONN_MESSAGE_MAX);
	l->going = BUF_INIT(GOING_MAX);
	buf_put_span(&l->attach, f->performative.raw);
	list_push(&s->links, &l->node);
	c->links++;
	c->ops->on_link(c->arg, l);
}

static void
put_raw(struct buf *b, struct amqp_value v)
{
	if (v.raw.len)
		buf_put_span(b, v.raw);
	else
		amqp_put_null(b);
}

/* accepted: with the termini as the peer wants them; else with none (2.6.3). */
static void
put_attach(struct amqp_link *l, bool accepted)
{
	auto_buf b = BUF_INIT(ATTACH_MAX + SMALL);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, l->session->channel);
	const struct amqp_value none = {.kind = AMQP_NULL};
	amqp_put_descriptor(&b, P_ATTACH);
	size_t list = amqp_open_list(&b);
	put_raw(&b, attach_field(l, ATTACH_NAME));
	amqp_put_uint(&b, l->handle);
	amqp_put_bool(&b, !l->sends);
	amqp_put_ubyte(&b, l->sends ? l->settled : 2);
	put_raw(&b, attach_field(l, ATTACH_RCV_MODE));
	put_raw(&b, accepted ? attach_field(l, ATTACH_SOURCE) : none);
	put_raw(&b, accepted ? attach_field(l, ATTACH_TARGET) : none);
	amqp_put_null(&b);
	amqp_put_null(&b);
	if (l->sends) /* each role has to say its own (protocol/clients.md 1, 3) */
		amqp_put_uint(&b, 0);
	else
		amqp_put_null(&b);
	if (l->sends)
		amqp_put_null(&b);
	else
		amqp_put_ulong(&b, AMQP_CONN_MESSAGE_MAX);
	amqp_close(&b, list, 11);
	amqp_conn_put(l->conn, &b, f);
}

static void
put_detach(struct amqp_link *l, const struct amqp_error *why)
{
	auto_buf b = BUF_INIT(ERROR_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, l->session->channel);
	amqp_put_descriptor(&b, P_DETACH);
	size_t list = amqp_open_list(&b);
	amqp_put_uint(&b, l->handle);
	amqp_put_bool(&b, true);
	amqp_conn_put_error(&b, why);
	amqp_close(&b, list, 3);
	amqp_conn_put(l->conn, &b, f);
}

/* l: whose credit it tells, NULL: the session's window alone. */
static void
put_flow(
    struct amqp_channel *s, struct amqp_conn *c, const struct amqp_link *l, bool drain)
{
	auto_buf b = BUF_INIT(SMALL);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, s->channel);
	s->in_window = WINDOW;
	amqp_put_descriptor(&b, P_FLOW);
	size_t list = amqp_open_list(&b);
	amqp_put_uint(&b, s->next_in);
	amqp_put_uint(&b, s->in_window);
	amqp_put_uint(&b, s->next_out);
	amqp_put_uint(&b, WINDOW);
	if (l) {
		amqp_put_uint(&b, l->handle);
		amqp_put_uint(&b, l->count);
		amqp_put_uint(&b, l->credit);
	}
	if (drain) {
		amqp_put_uint(&b, 0);
		amqp_put_bool(&b, true);
	}
	amqp_close(&b, list, drain ? 9 : l ? 7 : 4);
	amqp_conn_put(c, &b, f);
}

void
amqp_link_accept(struct amqp_link *l, bool settled, uint32_t credit)
{
	if (l->up || l->ended || l->told_gone)
		return;
	l->up = true;
	l->settled = settled;
	put_attach(l, true);
	if (l->sends)
		return;
	l->credit = l->credit_most = credit;
	put_flow(l->session, l->conn, l, false);
}

void
amqp_link_refuse(struct amqp_link *l, const struct amqp_error *why)
{
	if (l->ended || l->told_gone)
		return;
	if (!l->up)
		put_attach(l, false);
	put_detach(l, why);
	l->up = false;
	l->ended = true;
	drop_coming(l);
	buf_reset(&l->going);
}

void
amqp_link_on_detach(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_value handle = amqp_at(&f->performative, 0);
	struct amqp_link *l = need(c, f, &handle);
	if (!l)
		return;
	if (!l->ended && !l->up)
		put_attach(l, false);
	if (!l->ended)
		put_detach(l, NULL);
	amqp_link_tell_gone(l);
	if (c->state != CONN_CLOSED) /* else it is freed with the connection */
		amqp_link_drop(l);
}

/* ---- sending ----------------------------------------------------------------------- */

static bool
has_place(const struct amqp_link *l)
{
	for (unsigned i = 0; i < UNSETTLED_MAX; i++)
		if (!l->unsettled[i].used)
			return true;
	return false;
}

uint32_t
amqp_link_room(const struct amqp_link *l)
{
	if (!l->up || !l->sends || l->going.len || (!l->settled && !has_place(l)))
		return 0;
	return l->credit;
}

static void
put_transfer(struct amqp_link *l, struct span part, bool more)
{
	auto_buf b = BUF_INIT(AMQP_CONN_FRAME_MAX);
	uint8_t tag[4];
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, l->session->channel);
	for (unsigned i = 0; i < sizeof(tag); i++)
		tag[i] = (uint8_t)(l->going_id >> (24 - 8 * i));
	amqp_put_descriptor(&b, P_TRANSFER);
	size_t list = amqp_open_list(&b);
	amqp_put_uint(&b, l->handle);
	amqp_put_uint(&b, l->going_id);
	amqp_put_binary(&b, span_of(tag, sizeof(tag)));
	amqp_put_uint(&b, 0);
	amqp_put_bool(&b, l->settled);
	amqp_put_bool(&b, more);
	amqp_close(&b, list, 6);
	buf_put_span(&b, part);
	amqp_conn_put(l->conn, &b, f);
	l->session->next_out++;
	l->session->out_window--;
}

/* As far as the session's window goes. */
static void
go_on(struct amqp_link *l)
{
	size_t most = l->conn->peer_frame_max - TRANSFER_HEAD;
	while (l->going.len && l->session->out_window) {
		struct span rest = span_skip(buf_span(&l->going), l->gone);
		struct span part = span_head(rest, most);
		bool more = part.len < rest.len;
		put_transfer(l, part, more);
		l->gone += part.len;
		if (!more)
			buf_done(&l->going);
	}
	if (!l->going.len)
		l->going = BUF_INIT(GOING_MAX);
}

uint32_t
amqp_link_send(struct amqp_link *l, struct span message)
{
	uint32_t id = l->session->next_delivery++;
	unsigned i = 0;
	while (!l->settled && l->unsettled[i].used)
		i++;
	if (!l->settled) {
		l->unsettled[i].used = true;
		l->unsettled[i].id = id;
	}
	l->going_id = id;
	l->gone = 0;
	l->credit--;
	l->count++;
	buf_put_span(&l->going, message);
	go_on(l);
	return id;
}

/* 2.6.7: what we know of the peer's credit. */
static void
take_credit(struct amqp_link *l, const struct amqp_frame *f)
{
	struct amqp_value count = amqp_at(&f->performative, 5);
	struct amqp_value credit = amqp_at(&f->performative, 6);
	uint32_t seen = (uint32_t)amqp_number(&count, 0);
	uint32_t given = (uint32_t)amqp_number(&credit, 0);
	uint32_t under_way = l->count - seen; /* serial numbers */
	l->credit = given > under_way ? given - under_way : 0;
}

/* The peer wants its credit used up or given back: there is nothing more just now. */
static void
drain(struct amqp_link *l)
{
	l->count += l->credit;
	l->credit = 0;
	put_flow(l->session, l->conn, l, true);
}

static void
on_link_flow(struct amqp_link *l, const struct amqp_frame *f)
{
	struct amqp_value draining = amqp_at(&f->performative, 8);
	struct amqp_value echo = amqp_at(&f->performative, 9);
	struct amqp_conn *c = l->conn;
	if (l->ended || l->told_gone)
		return;
	if (l->sends) {
		take_credit(l, f);
		c->ops->on_credit(c->arg, l);
	}
	if (c->state == CONN_CLOSED || l->ended)
		return;
	if (l->sends && amqp_number(&draining, 0))
		drain(l);
	else if (amqp_number(&echo, 0))
		put_flow(l->session, c, l, false);
}

static void
on_window(struct amqp_conn *c, struct amqp_channel *s)
{
	list_each (it, &s->links) {
		struct amqp_link *l = list_of(it, struct amqp_link, node);
		if (!l->up || !l->going.len)
			continue;
		go_on(l);
		if (!l->going.len)
			c->ops->on_credit(c->arg, l);
		if (c->state == CONN_CLOSED)
			return;
	}
}

void
amqp_link_on_flow(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_channel *s = c->sessions[f->channel];
	struct amqp_value next_in = amqp_at(&f->performative, 0);
	struct amqp_value window = amqp_at(&f->performative, 1);
	struct amqp_value handle = amqp_at(&f->performative, 4);
	struct amqp_value echo = amqp_at(&f->performative, 9);
	uint32_t under_way = s->next_out - (uint32_t)amqp_number(&next_in, 0);
	uint32_t given = (uint32_t)amqp_number(&window, 0);
	s->out_window = given > under_way ? given - under_way : 0;
	on_window(c, s);
	if (c->state == CONN_CLOSED)
		return;
	if (handle.kind == AMQP_NULL) {
		if (amqp_number(&echo, 0))
			put_flow(s, c, NULL, false);
		return;
	}
	struct amqp_link *l = need(c, f, &handle);
	if (l)
		on_link_flow(l, f);
}

/* ---- receiving --------------------------------------------------------------------- */

static void
put_disposition(struct amqp_link *l, uint32_t id, bool receiver,
    enum amqp_outcome outcome, const struct amqp_error *why)
{
	auto_buf b = BUF_INIT(ERROR_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, l->session->channel);
	amqp_put_descriptor(&b, P_DISPOSITION);
	size_t list = amqp_open_list(&b);
	amqp_put_bool(&b, receiver);
	amqp_put_uint(&b, id);
	amqp_put_uint(&b, id);
	amqp_put_bool(&b, true);
	amqp_put_descriptor(&b, (uint8_t)outcome);
	size_t state = amqp_open_list(&b);
	if (why)
		amqp_conn_put_error(&b, why);
	amqp_close(&b, state, why ? 1 : 0);
	amqp_close(&b, list, 5);
	amqp_conn_put(l->conn, &b, f);
}

/* What may come and what waits to be settled are credit_most together, so that a peer
 * faster than who answers it piles nothing up. */
static void
renew_credit(struct amqp_link *l)
{
	uint32_t most = l->credit_most > l->held ? l->credit_most - l->held : 0;
	if (l->credit >= most / 2 + 1 || l->credit >= most)
		return;
	l->credit = most;
	put_flow(l->session, l->conn, l, false);
}

void
amqp_link_settle(struct amqp_link *l, uint32_t delivery, enum amqp_outcome outcome,
    const struct amqp_error *why)
{
	if (!l->up || l->sends)
		return;
	put_disposition(l, delivery, true, outcome, why);
	l->held -= l->held > 0;
	renew_credit(l);
}

static void
refuse_transfer(struct amqp_link *l, const char *condition, const char *text)
{
	const struct amqp_error why = {.condition = condition, .text = text};
	amqp_link_refuse(l, &why);
}

/* The first frame of a message. False: it may not come. */
static bool
begin_message(struct amqp_link *l, const struct amqp_frame *f)
{
	struct amqp_value id = amqp_at(&f->performative, 1);
	if (id.kind != AMQP_NUMBER) {
		amqp_conn_fail(
		    l->conn, "amqp:invalid-field", "a transfer has no delivery-id");
		return false;
	}
	if (!l->credit) {
		refuse_transfer(
		    l, "amqp:link:transfer-limit-exceeded", "there was no credit");
		return false;
	}
	l->credit--;
	l->count++;
	l->held++;
	l->is_coming = true;
	l->coming_id = (uint32_t)id.number;
	return true;
}

static bool
gather(struct amqp_link *l, struct span part)
{
	if (part.len > AMQP_CONN_MESSAGE_MAX - l->coming.len) {
		refuse_transfer(
		    l, "amqp:link:message-size-exceeded", "the message is too large");
		return false;
	}
	if (part.len > GATHERED_MAX - l->conn->gathered) {
		amqp_conn_fail(l->conn, "amqp:resource-limit-exceeded",
		    "too much is begun and not ended");
		return false;
	}
	buf_put_span(&l->coming, part);
	l->conn->gathered += part.len;
	return true;
}

/* A transfer behind our detach, or for a link that only we send on. */
static bool
may_come(struct amqp_link *l)
{
	if (l->sends || (!l->up && !l->ended)) {
		amqp_conn_fail(
		    l->conn, "amqp:not-allowed", "a transfer on a link that has none");
		return false;
	}
	return l->up;
}

static void
hand_over(struct amqp_link *l, struct span whole)
{
	struct amqp_conn *c = l->conn;
	auto_buf message = l->coming;
	c->gathered -= message.len;
	l->coming = BUF_INIT(AMQP_CONN_MESSAGE_MAX);
	l->is_coming = false;
	c->ops->on_message(
	    c->arg, l, l->coming_id, message.len ? buf_span(&message) : whole);
}

void
amqp_link_on_transfer(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_channel *s = c->sessions[f->channel];
	struct amqp_value handle = amqp_at(&f->performative, 0);
	struct amqp_value more = amqp_at(&f->performative, 5);
	struct amqp_value aborted = amqp_at(&f->performative, 9);
	struct amqp_link *l = need(c, f, &handle);
	if (!l)
		return;
	s->next_in++;
	if (!s->in_window--) {
		amqp_conn_fail(
		    c, "amqp:session:window-violation", "the window is exceeded");
		return;
	}
	if (s->in_window < WINDOW / 2)
		put_flow(s, c, NULL, false);
	if (!may_come(l) || (!l->is_coming && !begin_message(l, f)))
		return;
	if (amqp_number(&aborted, 0)) {
		drop_coming(l);
		l->held--;
		renew_credit(l);
		return;
	}
	/* a message in one frame is handed over as it lies there */
	bool last = !amqp_number(&more, 0);
	bool whole = last && !l->coming.len && f->payload.len <= AMQP_CONN_MESSAGE_MAX;
	if (whole || gather(l, f->payload))
		if (last)
			hand_over(l, f->payload);
}

/* ---- outcomes ---------------------------------------------------------------------- */

/* What is settled without a word may not have been understood: somebody else may have it.
 */
static enum amqp_outcome
outcome_of(const struct amqp_value *state)
{
	if (state->described && state->descriptor >= AMQP_ACCEPTED &&
	    state->descriptor <= AMQP_MODIFIED)
		return (enum amqp_outcome)state->descriptor;
	return AMQP_RELEASED;
}

static bool
is_between(uint32_t id, uint32_t first, uint32_t last)
{
	return id - first <= last - first; /* serial numbers (RFC 1982) */
}

static void
settle_sent(struct amqp_link *l, uint32_t first, uint32_t last, bool settled,
    enum amqp_outcome outcome)
{
	for (unsigned i = 0; i < UNSETTLED_MAX; i++) {
		uint32_t id = l->unsettled[i].id;
		if (!l->unsettled[i].used || !is_between(id, first, last))
			continue;
		l->unsettled[i].used = false;
		if (!settled)
			put_disposition(l, id, false, outcome, NULL);
		l->conn->ops->on_outcome(l->conn->arg, l, id, outcome);
		if (l->conn->state == CONN_CLOSED)
			return;
	}
}

void
amqp_link_on_disposition(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_channel *s = c->sessions[f->channel];
	struct amqp_value role = amqp_at(&f->performative, 0);
	struct amqp_value from = amqp_at(&f->performative, 1);
	struct amqp_value to = amqp_at(&f->performative, 2);
	struct amqp_value settled = amqp_at(&f->performative, 3);
	struct amqp_value state = amqp_at(&f->performative, 4);
	uint32_t first = (uint32_t)amqp_number(&from, 0);
	uint32_t last = (uint32_t)amqp_number(&to, first);
	bool final = amqp_number(&settled, 0) ||
		     (state.described && state.descriptor >= AMQP_ACCEPTED);
	if (!amqp_number(&role, 0) || !final)
		return; /* of what the peer sent: settled by us already */
	list_each (it, &s->links) {
		struct amqp_link *l = list_of(it, struct amqp_link, node);
		if (l->sends && l->up)
			settle_sent(l, first, last, amqp_number(&settled, 0) != 0,
			    outcome_of(&state));
		if (c->state == CONN_CLOSED)
			return;
	}
}
