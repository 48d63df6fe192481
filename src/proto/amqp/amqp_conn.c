/*
 * The connection: protocol headers, SASL, frames, sessions. What happens on links is in
 * amqp_link.c; both share amqp_conn_impl.h.
 */
#include "proto/amqp/amqp_conn_impl.h"

#include <stdlib.h>

#include "base/sm.h"

static const struct sm_state states[] = {
    [CONN_HEADER] = {"header",
	SM_TO(CONN_SASL) | SM_TO(CONN_OPENING) | SM_TO(CONN_CLOSED)},
    [CONN_SASL] = {"SASL", SM_TO(CONN_JUDGED) | SM_TO(CONN_CLOSED)},
    [CONN_JUDGED] = {"SASL judged", SM_TO(CONN_AGAIN) | SM_TO(CONN_CLOSED)},
    [CONN_AGAIN] = {"header behind SASL", SM_TO(CONN_OPENING) | SM_TO(CONN_CLOSED)},
    [CONN_OPENING] = {"opening", SM_TO(CONN_OPEN) | SM_TO(CONN_CLOSED)},
    [CONN_OPEN] = {"open", SM_TO(CONN_CLOSED)},
    [CONN_CLOSED] = {"closed", 0},
};
static const struct sm machine = {"amqp", states, CONN_STATES};

enum { FRAME_LEAST = 512, OPEN_MAX = 512 };

static const uint8_t header_amqp[8] = {'A', 'M', 'Q', 'P', 0, 1, 0, 0};
static const uint8_t header_sasl[8] = {'A', 'M', 'Q', 'P', 3, 1, 0, 0};

struct amqp_conn *
amqp_conn_new(const struct amqp_conn_ops *ops, void *arg)
{
	struct amqp_conn *c = own_alloc(sizeof(*c));
	c->ops = ops;
	c->arg = arg;
	c->peer_frame_max = FRAME_LEAST;
	c->links_max = AMQP_CONN_LINKS;
	return c;
}

static void
free_session(struct amqp_conn *c, uint16_t channel)
{
	struct amqp_channel *s = c->sessions[channel];
	while (!list_empty(&s->links))
		amqp_link_drop(list_of(s->links.next, struct amqp_link, node));
	free(s);
	c->sessions[channel] = NULL;
}

void
amqp_conn_free(struct amqp_conn *c)
{
	if (!c)
		return;
	for (uint16_t i = 0; i < AMQP_CONN_SESSIONS; i++)
		if (c->sessions[i])
			free_session(c, i);
	free(c);
}

void
amqp_conn_links_max(struct amqp_conn *c, size_t max)
{
	c->links_max = max;
}

/* ---- writing ----------------------------------------------------------------------- */

void
amqp_conn_put(struct amqp_conn *c, struct buf *frame, size_t begun)
{
	amqp_frame_end(frame, begun);
	if (frame->bad || c->state == CONN_CLOSED)
		return;
	c->wrote = true;
	c->ops->write(c->arg, buf_span(frame));
}

static void
put_open(struct amqp_conn *c)
{
	auto_buf b = BUF_INIT(OPEN_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, 0);
	amqp_put_descriptor(&b, P_OPEN);
	size_t l = amqp_open_list(&b);
	amqp_put_text(&b, SPAN_LIT("muster"));
	amqp_put_null(&b);
	amqp_put_uint(&b, AMQP_CONN_FRAME_MAX);
	amqp_put_ushort(&b, AMQP_CONN_SESSIONS - 1);
	amqp_put_uint(&b, AMQP_CONN_IDLE_MS);
	amqp_close(&b, l, 5);
	amqp_conn_put(c, &b, f);
	c->opened = true;
}

static void
put_redirect(struct buf *b, const struct amqp_error *why)
{
	size_t m = amqp_open_map(b);
	amqp_put_symbol(b, SPAN_LIT("hostname"));
	amqp_put_text(b, span_str(why->host));
	amqp_put_symbol(b, SPAN_LIT("network-host"));
	amqp_put_text(b, span_str(why->host));
	amqp_put_symbol(b, SPAN_LIT("port"));
	amqp_put_uint(b, why->port);
	amqp_put_symbol(b, SPAN_LIT("address"));
	amqp_put_text(b, span_str(why->address));
	amqp_close(b, m, 8);
}

void
amqp_conn_put_error(struct buf *b, const struct amqp_error *why)
{
	if (!why) {
		amqp_put_null(b);
		return;
	}
	amqp_put_descriptor(b, P_ERROR);
	size_t l = amqp_open_list(b);
	amqp_put_symbol(b, span_str(why->condition));
	amqp_put_text(b, span_head(span_str(why->text), ERROR_TEXT));
	if (why->address)
		put_redirect(b, why);
	amqp_close(b, l, why->address ? 3 : 2);
}

static void
put_close(struct amqp_conn *c, const struct amqp_error *why)
{
	auto_buf b = BUF_INIT(ERROR_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, 0);
	amqp_put_descriptor(&b, P_CLOSE);
	size_t l = amqp_open_list(&b);
	amqp_conn_put_error(&b, why);
	amqp_close(&b, l, 1);
	amqp_conn_put(c, &b, f);
}

/* ---- the end ----------------------------------------------------------------------- */

static void
finish(struct amqp_conn *c, const struct err *why)
{
	sm_move(&machine, &c->state, CONN_CLOSED);
	for (uint16_t i = 0; i < AMQP_CONN_SESSIONS; i++) {
		struct amqp_channel *s = c->sessions[i];
		if (!s)
			continue;
		list_each (it, &s->links)
			amqp_link_tell_gone(list_of(it, struct amqp_link, node));
	}
	c->ops->on_closed(c->arg, why);
}

void
amqp_conn_end(struct amqp_conn *c, const struct amqp_error *why)
{
	struct err e;
	if (c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_OPENING && !c->opened)
		put_open(c); /* 2.4.3: a close comes behind an open */
	if (c->state == CONN_OPENING || c->state == CONN_OPEN)
		put_close(c, why);
	if (why)
		err_set(&e, ERR_PARSE, "%s: %s", why->condition, why->text);
	else
		err_set(&e, ERR_OK, "closed by us");
	finish(c, &e);
}

void
amqp_conn_fail(struct amqp_conn *c, const char *condition, const char *text)
{
	const struct amqp_error why = {.condition = condition, .text = text};
	amqp_conn_end(c, &why);
}

static void
malformed(struct amqp_conn *c, const struct err *e)
{
	amqp_conn_fail(c, "amqp:connection:framing-error", e->text);
}

/* ---- protocol headers and SASL ----------------------------------------------------- */

static void
put_mechanisms(struct amqp_conn *c)
{
	/* T10. An array of symbols: 0xf0, size, count, constructor, items. */
	static const char *const names[] = {"EXTERNAL", "MSSBCBS", "ANONYMOUS", "PLAIN"};
	auto_buf b = BUF_INIT(OPEN_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME_SASL, 0);
	amqp_put_descriptor(&b, P_SASL_MECHANISMS);
	size_t l = amqp_open_list(&b);
	size_t a = amqp_open_symbols(&b);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		amqp_put_item(&b, span_str(names[i]));
	amqp_close(&b, a, sizeof(names) / sizeof(names[0]));
	amqp_close(&b, l, 1);
	amqp_conn_put(c, &b, f);
}

/* 2.2: another protocol is told which one is spoken here. */
static void
wrong_header(struct amqp_conn *c)
{
	struct err e;
	err_set(&e, ERR_PARSE, "it does not speak AMQP 1.0");
	c->ops->write(c->arg, span_of(header_amqp, sizeof(header_amqp)));
	finish(c, &e);
}

static size_t
take_header(struct amqp_conn *c, struct span rest)
{
	const size_t len = sizeof(header_amqp);
	if (rest.len < len)
		return 0;
	if (c->state == CONN_HEADER && !memcmp(rest.p, header_sasl, len)) {
		c->ops->write(c->arg, span_of(header_sasl, len));
		sm_move(&machine, &c->state, CONN_SASL);
		put_mechanisms(c);
	} else if (!memcmp(rest.p, header_amqp, len)) {
		c->ops->write(c->arg, span_of(header_amqp, len));
		sm_move(&machine, &c->state, CONN_OPENING);
	} else {
		wrong_header(c);
	}
	return len;
}

static void
on_sasl_frame(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct err e;
	struct amqp_value mechanism = amqp_at(&f->performative, 0);
	struct amqp_value response = amqp_at(&f->performative, 1);
	if (f->type != AMQP_FRAME_SASL || f->performative.descriptor != P_SASL_INIT) {
		err_set(&e, ERR_PARSE, "a frame out of place in SASL");
		finish(c, &e);
		return;
	}
	sm_move(&machine, &c->state, CONN_JUDGED);
	c->ops->on_sasl(c->arg, amqp_bytes(&mechanism), amqp_bytes(&response));
}

void
amqp_conn_sasl_done(struct amqp_conn *c, bool ok)
{
	struct err e;
	if (c->state != CONN_JUDGED)
		return;
	auto_buf b = BUF_INIT(OPEN_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME_SASL, 0);
	amqp_put_descriptor(&b, P_SASL_OUTCOME);
	size_t l = amqp_open_list(&b);
	amqp_put_ubyte(&b, ok ? 0 : 1); /* 5.3.3.6: 1 is "auth" */
	amqp_close(&b, l, 1);
	amqp_conn_put(c, &b, f);
	if (ok) {
		sm_move(&machine, &c->state, CONN_AGAIN);
		return;
	}
	err_set(&e, ERR_DENIED, "SASL: not let in");
	finish(c, &e);
}

/* ---- open, begin, end, close ------------------------------------------------------- */

static uint32_t
field(const struct amqp_frame *f, unsigned n, uint32_t otherwise)
{
	struct amqp_value v = amqp_at(&f->performative, n);
	int64_t number = amqp_number(&v, otherwise);
	return number < 0 || number > UINT32_MAX ? otherwise : (uint32_t)number;
}

static void
on_open(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_value hostname = amqp_at(&f->performative, 1);
	uint32_t most = field(f, 2, UINT32_MAX);
	if (most < FRAME_LEAST) {
		amqp_conn_fail(c, "amqp:invalid-field", "max-frame-size is under 512");
		return;
	}
	c->peer_frame_max = most < AMQP_CONN_FRAME_MAX ? most : AMQP_CONN_FRAME_MAX;
	c->beat_ms = field(f, 4, 0) / 2;
	put_open(c);
	sm_move(&machine, &c->state, CONN_OPEN);
	c->ops->on_open(c->arg, amqp_bytes(&hostname));
}

static void
put_begin(struct amqp_conn *c, uint16_t channel)
{
	auto_buf b = BUF_INIT(OPEN_MAX);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, channel);
	amqp_put_descriptor(&b, P_BEGIN);
	size_t l = amqp_open_list(&b);
	amqp_put_ushort(&b, channel);
	amqp_put_uint(&b, 0);
	amqp_put_uint(&b, WINDOW);
	amqp_put_uint(&b, WINDOW);
	amqp_put_uint(&b, AMQP_CONN_LINKS - 1);
	amqp_close(&b, l, 5);
	amqp_conn_put(c, &b, f);
}

static void
on_begin(struct amqp_conn *c, const struct amqp_frame *f)
{
	if (f->channel >= AMQP_CONN_SESSIONS || c->sessions[f->channel]) {
		amqp_conn_fail(c, "amqp:not-allowed", "no such channel is free");
		return;
	}
	struct amqp_channel *s = own_alloc(sizeof(*s));
	s->channel = f->channel;
	s->next_in = field(f, 1, 0);
	s->in_window = WINDOW;
	s->out_window = field(f, 2, 0);
	list_init(&s->links);
	c->sessions[f->channel] = s;
	put_begin(c, f->channel);
}

static void
on_end(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct amqp_channel *s = c->sessions[f->channel];
	list_each (it, &s->links)
		amqp_link_tell_gone(list_of(it, struct amqp_link, node));
	if (c->state == CONN_CLOSED)
		return;
	free_session(c, f->channel);
	auto_buf b = BUF_INIT(OPEN_MAX);
	size_t at = amqp_frame_begin(&b, AMQP_FRAME, f->channel);
	amqp_put_descriptor(&b, P_END);
	amqp_close(&b, amqp_open_list(&b), 0);
	amqp_conn_put(c, &b, at);
}

static void
on_close(struct amqp_conn *c, const struct amqp_frame *f)
{
	struct err e;
	(void)f;
	put_close(c, NULL);
	err_set(&e, ERR_OK, "closed by the peer");
	finish(c, &e);
}

/* ---- frames ------------------------------------------------------------------------ */

typedef void performative_fn(struct amqp_conn *c, const struct amqp_frame *f);

/* needs: a session on the frame's channel. */
static const struct {
	performative_fn *fn;
	bool needs;
} performatives[] = {
    [P_OPEN - P_OPEN] = {NULL, false}, /* a second one */
    [P_BEGIN - P_OPEN] = {on_begin, false},
    [P_ATTACH - P_OPEN] = {amqp_link_on_attach, true},
    [P_FLOW - P_OPEN] = {amqp_link_on_flow, true},
    [P_TRANSFER - P_OPEN] = {amqp_link_on_transfer, true},
    [P_DISPOSITION - P_OPEN] = {amqp_link_on_disposition, true},
    [P_DETACH - P_OPEN] = {amqp_link_on_detach, true},
    [P_END - P_OPEN] = {on_end, true},
    [P_CLOSE - P_OPEN] = {on_close, false},
};

static void
on_frame(struct amqp_conn *c, const struct amqp_frame *f)
{
	uint64_t code = f->performative.descriptor;
	if (f->type != AMQP_FRAME) {
		amqp_conn_fail(c, "amqp:connection:framing-error", "not a frame of AMQP");
		return;
	}
	if (!f->performative.described)
		return; /* a sign of life */
	if (c->state == CONN_OPENING && code == P_OPEN) {
		on_open(c, f);
		return;
	}
	size_t i = (size_t)(code - P_OPEN);
	if (c->state == CONN_OPENING || code < P_OPEN || code > P_CLOSE ||
	    !performatives[i].fn) {
		amqp_conn_fail(c, "amqp:not-allowed", "a frame out of place");
		return;
	}
	if (performatives[i].needs &&
	    (f->channel >= AMQP_CONN_SESSIONS || !c->sessions[f->channel])) {
		amqp_conn_fail(c, "amqp:not-allowed", "no session has that channel");
		return;
	}
	performatives[i].fn(c, f);
}

static size_t
take_frame(struct amqp_conn *c, struct span rest)
{
	struct err e = {0};
	struct amqp_frame f;
	size_t len;
	if (amqp_frame_len(rest, AMQP_CONN_FRAME_MAX, &len, &e)) {
		malformed(c, &e);
		return 0;
	}
	if (!len)
		return 0;
	if (amqp_frame_parse(span_head(rest, len), &f, &e))
		malformed(c, &e);
	else if (c->state == CONN_SASL)
		on_sasl_frame(c, &f);
	else
		on_frame(c, &f);
	return len;
}

static size_t
step(struct amqp_conn *c, struct span rest)
{
	switch (c->state) {
	case CONN_HEADER:
	case CONN_AGAIN:
		return take_header(c, rest);
	case CONN_JUDGED:
		return 0;
	case CONN_CLOSED:
		return rest.len;
	default:
		return take_frame(c, rest);
	}
}

size_t
amqp_conn_feed(struct amqp_conn *c, struct span pending)
{
	struct span rest = pending;
	size_t n;
	while (rest.len && (n = step(c, rest)))
		rest = span_skip(rest, n);
	return pending.len - rest.len;
}

void
amqp_conn_beat(struct amqp_conn *c, int64_t now_ms)
{
	if (c->state != CONN_OPEN || !c->beat_ms)
		return;
	if (c->wrote) {
		c->wrote = false;
		c->wrote_ms = now_ms;
	}
	if (now_ms - c->wrote_ms < c->beat_ms)
		return;
	auto_buf b = BUF_INIT(AMQP_FRAME_HEAD);
	size_t f = amqp_frame_begin(&b, AMQP_FRAME, 0);
	amqp_conn_put(c, &b, f);
}

struct amqp_link *
amqp_conn_next(struct amqp_conn *c, struct amqp_link *l)
{
	uint16_t channel = l ? l->session->channel : 0;
	if (l && l->node.next != &l->session->links)
		return list_of(l->node.next, struct amqp_link, node);
	for (uint16_t i = l ? channel + 1 : 0; i < AMQP_CONN_SESSIONS; i++) {
		struct amqp_channel *s = c->sessions[i];
		if (s && !list_empty(&s->links))
			return list_of(s->links.next, struct amqp_link, node);
	}
	return NULL;
}
