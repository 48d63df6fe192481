/*
 * One MQTT connection: the state machine, the order of PUBACKs, back-pressure and the way
 * out. Topics, identities and credentials are the endpoint's.
 */
#include "proto/mqtt_session.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/sm.h"
#include "codec/username.h"
#include "crypto/tls.h"
#include "io/stream.h"
#include "proto/credential.h"
#include "proto/env.h"
#include "proto/mqtt_server.h"

enum { ST_AWAIT, ST_AUTHORIZING, ST_UP, ST_CLOSING, ST_N };
static const struct sm_state states[] = {
    [ST_AWAIT] = {"await connect", SM_TO(ST_AUTHORIZING) | SM_TO(ST_CLOSING)},
    [ST_AUTHORIZING] = {"authorizing", SM_TO(ST_UP) | SM_TO(ST_CLOSING)},
    [ST_UP] = {"up", SM_TO(ST_CLOSING)},
    [ST_CLOSING] = {"closing", 0},
};
static const struct sm machine = {"mqtt session", states, ST_N};

/* Why the stream is not read. */
enum { PAUSE_AUTH = 1, PAUSE_INFLIGHT = 2, PAUSE_CORE = 4 };

enum {
	FILTERS_MAX = 16, /* of one SUBSCRIBE; SDKs send five at most */
	DELIVER_ID = 1,
	PUBLISH_ID = 1024, /* the first for what nobody waits for */
	AGENT_MAX = 512,
	API_VERSION_MAX = 64,
	REASON_MAX = 200,
	OUT_PACKET_MAX =
	    560 * 1024, /* a twin in which every byte is escaped; its topic */
};

/* Numbers of protocol/device.md 3.14 for the connection log. */
enum {
	CODE_BAD_VERSION = 400001,
	CODE_FORMAT = 400006,
	CODE_GONE = 404104,
	CODE_UNAUTHORIZED = 401002,
	CODE_TOO_LARGE = 413001,
};

/* What is not acknowledged to the device yet: a PUBLISH, a SUBSCRIBE or an UNSUBSCRIBE.
 */
struct flight {
	uint16_t id;
	uint8_t type; /* of the packet that came */
	uint8_t qos;  /* of a PUBLISH */
	uint8_t n;    /* of codes */
	bool acked;
	uint8_t *codes; /* of a SUBSCRIBE, else NULL */
};

/* What the device has not acknowledged to us. Its packet ID is that of its place, from
 * DELIVER_ID on; publishes that nobody waits for take the IDs above. */
struct delivery {
	bool used;
	int64_t token;
};

struct mqtt_session {
	struct mqtt_server *server;
	struct stream *stream;
	struct mqtt_server_seat seat;
	int state;
	unsigned paused;
	bool graceful, proven;
	uint32_t close_code;
	char *close_reason; /* NULL until closing */

	const struct mqtt_endpoint *endpoint; /* NULL before CONNECT */
	void *arg, *ctx;
	struct core_owner owner;
	struct ipc_peer peer;
	char *agent; /* agent and api_version, what peer's spans point into */

	size_t frame_max;
	/* A ring of inflight_max entries, made with the first PUBLISH; entry of ticket t
	 * at t % inflight_max. */
	struct flight *ring;
	size_t inflight_max;
	uint64_t first_ticket, next_ticket;

	struct delivery *deliveries; /* MQTT_DELIVER_MAX, made with the first */
	uint16_t publish_id;         /* the last that was given, 0: none yet */
};

static size_t
inflight(const struct mqtt_session *s)
{
	return (size_t)(s->next_ticket - s->first_ticket);
}

static void
set_pause(struct mqtt_session *s, unsigned why, bool on)
{
	unsigned was = s->paused;
	s->paused = on ? was | why : was & ~why;
	if (!was != !s->paused)
		stream_pause(s->stream, s->paused != 0);
}

/* About a peer that has not said who it is. */
static void
log_stranger(struct mqtt_session *s, uint32_t code, const char *reason)
{
	unsigned more;
	if (!mqtt_server_may_log(s->server, &more))
		return;
	if (more)
		mqtt_session_refused(s, SPAN_NONE, code,
		    "%s (%u like it were not logged before this one)", reason, more);
	else
		mqtt_session_refused(s, SPAN_NONE, code, "%s", reason);
}

void
mqtt_session_close(struct mqtt_session *s, uint32_t code, const char *reason)
{
	if (s->state == ST_CLOSING)
		return;
	if (s->state == ST_AWAIT && code)
		log_stranger(s, code, reason);
	sm_move(&machine, &s->state, ST_CLOSING);
	s->close_code = code;
	s->close_reason = own_strdup(reason);
	core_link_drop(mqtt_server_env(s->server)->core, &s->owner);
	stream_close(s->stream);
}

static void
close_err(struct mqtt_session *s, uint32_t code, const struct err *e)
{
	char reason[REASON_MAX];
	snprintf(reason, sizeof(reason), "%s", e->text);
	mqtt_session_close(s, code, reason);
}

void
mqtt_session_refused(
    struct mqtt_session *s, struct span name, uint32_t code, const char *fmt, ...)
{
	auto_buf reason = BUF_INIT(4096);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&reason, fmt, ap);
	va_end(ap);
	core_link_refused(mqtt_server_env(s->server)->core,
	    s->endpoint ? s->endpoint->plane : "mqtt", &s->peer, name, code, "%s",
	    buf_text(&reason));
}

static void
write_packet(struct mqtt_session *s, const struct buf *b)
{
	if (!b->bad)
		stream_write(s->stream, buf_span(b));
}

static void
write_connack(struct mqtt_session *s, bool present, uint8_t code)
{
	auto_buf b = BUF_INIT(8);
	mqtt_write_connack(&b, present, code);
	write_packet(s, &b);
}

void
mqtt_session_refuse(struct mqtt_session *s, uint8_t code)
{
	if (s->state == ST_CLOSING)
		return;
	write_connack(s, false, code);
	mqtt_session_close(s, 0, "refused");
}

void
mqtt_session_accept(struct mqtt_session *s, const struct mqtt_terms *t, bool present)
{
	if (s->state == ST_CLOSING)
		return;
	sm_move(&machine, &s->state, ST_UP);
	s->frame_max = t->frame_max;
	s->inflight_max = t->inflight_max;
	stream_idle(s->stream, t->idle_ms);
	if (!s->proven)
		mqtt_server_owes_proof(s->server, &s->seat);
	write_connack(s, present, 0);
	set_pause(s, PAUSE_AUTH, false);
}

void
mqtt_session_prove(struct mqtt_session *s)
{
	if (s->state == ST_CLOSING)
		return;
	s->proven = true;
	mqtt_server_owes_nothing(s->server, &s->seat);
	stream_prove(s->stream);
}

int64_t
mqtt_session_idle_ms(uint16_t keep_alive_s, int64_t max_s)
{
	int64_t ms = (int64_t)keep_alive_s * 1500; /* 3.1.2.10 */
	if (!ms || ms > max_s * 1000)
		return max_s * 1000;
	return ms;
}

static void
write_publish(struct mqtt_session *s, struct span topic, struct span payload, uint8_t qos,
    bool dup, uint16_t id)
{
	auto_buf b = BUF_INIT(OUT_PACKET_MAX);
	mqtt_write_publish(&b, topic, payload, qos, dup, id);
	write_packet(s, &b);
}

void
mqtt_session_publish(
    struct mqtt_session *s, struct span topic, struct span payload, uint8_t qos)
{
	if (s->state != ST_UP)
		return;
	if (qos)
		s->publish_id = s->publish_id < PUBLISH_ID || s->publish_id == UINT16_MAX
				    ? PUBLISH_ID
				    : s->publish_id + 1;
	write_publish(s, topic, payload, qos ? 1 : 0, false, qos ? s->publish_id : 0);
}

bool
mqtt_session_deliver(struct mqtt_session *s, struct span topic, struct span payload,
    bool dup, int64_t token)
{
	size_t i = 0;
	if (s->state != ST_UP)
		return false;
	if (!s->deliveries)
		s->deliveries = own_alloc(MQTT_DELIVER_MAX * sizeof(*s->deliveries));
	while (i < MQTT_DELIVER_MAX && s->deliveries[i].used)
		i++;
	if (i == MQTT_DELIVER_MAX)
		return false;
	s->deliveries[i] = (struct delivery){.used = true, .token = token};
	write_publish(s, topic, payload, 1, dup, (uint16_t)(DELIVER_ID + i));
	return true;
}

size_t
mqtt_session_queued(const struct mqtt_session *s)
{
	return s->stream ? stream_queued(s->stream) : 0;
}

static void
write_ack(struct buf *b, const struct flight *f)
{
	if (f->type == MQTT_SUBSCRIBE)
		mqtt_write_suback(b, f->id, f->codes, f->n);
	else if (f->type == MQTT_UNSUBSCRIBE)
		mqtt_write_unsuback(b, f->id);
	else if (f->qos == 1)
		mqtt_write_puback(b, f->id);
}

/* Takes the done requests off the front, ack by ack, in the order they came. */
static void
settle(struct mqtt_session *s)
{
	auto_buf b = BUF_INIT(8 * 1024);
	while (inflight(s)) {
		const struct flight *f = &s->ring[s->first_ticket % s->inflight_max];
		if (!f->acked)
			break;
		write_ack(&b, f);
		free(f->codes);
		s->first_ticket++;
	}
	if (b.len)
		write_packet(s, &b);
	if (inflight(s) <= s->inflight_max / 2)
		set_pause(s, PAUSE_INFLIGHT, false);
}

void
mqtt_session_acked(struct mqtt_session *s, uint64_t ticket)
{
	if (s->state != ST_UP)
		return;
	s->ring[ticket % s->inflight_max].acked = true;
	settle(s);
}

/* ---- packets ----------------------------------------------------------------------- */

static const struct mqtt_endpoint *
choose_endpoint(struct mqtt_session *s, struct span user, void **ret_arg)
{
	const struct mqtt_server_opts *o = mqtt_server_opts_of(s->server);
	bool dps = username_is_dps(user);
	*ret_arg = dps ? o->dps_arg : o->hub_arg;
	return dps ? o->dps : o->hub;
}

static void
on_connect(struct mqtt_session *s, const struct mqtt_packet *p)
{
	const struct mqtt_connect *m = &p->connect;
	mqtt_server_owes_nothing(s->server, &s->seat);
	sm_move(&machine, &s->state, ST_AUTHORIZING);
	set_pause(s, PAUSE_AUTH, true);
	if (!m->user.len) {
		mqtt_session_refused(
		    s, m->client_id, CODE_UNAUTHORIZED, "CONNECT without a user name");
		mqtt_session_refuse(s, 5);
		return;
	}
	s->endpoint = choose_endpoint(s, m->user, &s->arg);
	s->endpoint->on_connect(s, m);
}

static void
on_second_connect(struct mqtt_session *s, const struct mqtt_packet *p)
{
	mqtt_session_close(s, CODE_FORMAT, "second CONNECT (MQTT 3.1.0-2)");
}

/* A place in the ring for what the endpoint will acknowledge. */
static struct flight *
take_off(struct mqtt_session *s, uint8_t type, uint16_t id, uint64_t *ret_ticket)
{
	if (!s->ring)
		s->ring = own_alloc(s->inflight_max * sizeof(*s->ring));
	*ret_ticket = s->next_ticket++;
	struct flight *f = &s->ring[*ret_ticket % s->inflight_max];
	*f = (struct flight){.type = type, .id = id};
	if (inflight(s) == s->inflight_max)
		set_pause(s, PAUSE_INFLIGHT, true);
	return f;
}

static void
on_publish(struct mqtt_session *s, const struct mqtt_packet *p)
{
	const struct mqtt_publish *m = &p->publish;
	uint64_t ticket;
	if (m->qos == 2) {
		mqtt_session_close(s, CODE_FORMAT, "QoS 2 publish");
		return;
	}
	take_off(s, MQTT_PUBLISH, m->id, &ticket)->qos = m->qos;
	s->endpoint->on_publish(s, m, ticket);
}

/* One that names nothing under way is for what nobody waits for, or came twice. */
static void
on_puback(struct mqtt_session *s, const struct mqtt_packet *p)
{
	size_t i = (size_t)p->puback_id - DELIVER_ID;
	if (!s->deliveries || i >= MQTT_DELIVER_MAX || !s->deliveries[i].used)
		return;
	s->deliveries[i].used = false;
	s->endpoint->on_delivered(s, s->deliveries[i].token);
}

/* The filters of a packet, or FILTERS_MAX + 1 where there are too many. */
static size_t
gather(struct mqtt_subscribe m, struct mqtt_filter *ret)
{
	size_t n = 0;
	if (m.n > FILTERS_MAX)
		return FILTERS_MAX + 1;
	while (n < FILTERS_MAX && mqtt_filter_next(&m, &ret[n]))
		n++;
	return n;
}

static void
on_subscribe(struct mqtt_session *s, const struct mqtt_packet *p)
{
	struct mqtt_filter filters[FILTERS_MAX];
	uint64_t ticket;
	size_t n = gather(p->subscribe, filters);
	if (n > FILTERS_MAX) {
		mqtt_session_close(s, CODE_TOO_LARGE, "too many filters in one packet");
		return;
	}
	struct flight *f = take_off(s, MQTT_SUBSCRIBE, p->subscribe.id, &ticket);
	f->n = (uint8_t)n;
	f->codes = own_alloc(n + 1);
	s->endpoint->on_subscribe(s, filters, n, f->codes, ticket);
}

static void
on_unsubscribe(struct mqtt_session *s, const struct mqtt_packet *p)
{
	struct mqtt_filter filters[FILTERS_MAX];
	uint64_t ticket;
	size_t n = gather(p->subscribe, filters);
	if (n > FILTERS_MAX) {
		mqtt_session_close(s, CODE_TOO_LARGE, "too many filters in one packet");
		return;
	}
	take_off(s, MQTT_UNSUBSCRIBE, p->subscribe.id, &ticket);
	s->endpoint->on_unsubscribe(s, filters, n, ticket);
}

static void
on_pingreq(struct mqtt_session *s, const struct mqtt_packet *p)
{
	auto_buf b = BUF_INIT(8);
	mqtt_write_pingresp(&b);
	write_packet(s, &b);
}

static void
on_disconnect(struct mqtt_session *s, const struct mqtt_packet *p)
{
	s->graceful = true;
	mqtt_session_close(s, 0, "client disconnected");
}

typedef void packet_fn(struct mqtt_session *s, const struct mqtt_packet *p);
/* Which packet may come when. What is not here closes the connection. */
static packet_fn *const packets[ST_N][16] = {
    [ST_AWAIT] = {[MQTT_CONNECT] = on_connect},
    [ST_UP] =
	{
	    [MQTT_CONNECT] = on_second_connect,
	    [MQTT_PUBLISH] = on_publish,
	    [MQTT_PUBACK] = on_puback,
	    [MQTT_SUBSCRIBE] = on_subscribe,
	    [MQTT_UNSUBSCRIBE] = on_unsubscribe,
	    [MQTT_PINGREQ] = on_pingreq,
	    [MQTT_DISCONNECT] = on_disconnect,
	},
};

/* A first packet that does not parse: another protocol level is told so (3.1.2.2). */
static void
on_malformed(struct mqtt_session *s, const struct err *e)
{
	if (s->state == ST_AWAIT && e->code == ERR_UNSUPPORTED) {
		mqtt_session_refused(s, SPAN_NONE, CODE_BAD_VERSION, "%s", e->text);
		mqtt_session_refuse(s, 1);
		return;
	}
	close_err(s, CODE_FORMAT, e);
}

static void
on_packet(struct mqtt_session *s, struct span bytes)
{
	struct err e = {0};
	struct mqtt_packet p;
	if (mqtt_parse(bytes, &p, &e)) {
		on_malformed(s, &e);
		return;
	}
	packet_fn *fn = packets[s->state][p.type & 15];
	if (!fn) {
		mqtt_session_close(s, CODE_FORMAT, "packet out of place");
		return;
	}
	fn(s, &p);
}

/* ---- the stream -------------------------------------------------------------------- */

static void
on_data(void *arg, struct span pending)
{
	struct mqtt_session *s = arg;
	struct span rest = pending;
	while (!s->paused && s->state != ST_CLOSING) {
		struct err e = {0};
		size_t len;
		if (mqtt_frame(rest, s->frame_max, &len, &e)) {
			close_err(
			    s, e.code == ERR_LIMIT ? CODE_TOO_LARGE : CODE_FORMAT, &e);
			break;
		}
		if (!len)
			break;
		on_packet(s, span_head(rest, len));
		rest = span_skip(rest, len);
	}
	stream_consume(s->stream, pending.len - rest.len);
}

static void
on_drained(void *arg)
{
	struct mqtt_session *s = arg;
	if (s->state == ST_UP && s->endpoint->on_drained)
		s->endpoint->on_drained(s);
}

static void
end(struct mqtt_session *s)
{
	core_link_drop(mqtt_server_env(s->server)->core, &s->owner);
	mqtt_server_leave(s->server, &s->seat);
	if (s->endpoint)
		s->endpoint->on_gone(s, s->graceful, s->close_code, s->close_reason);
	free(s->close_reason);
	free(s->agent);
	while (inflight(s))
		free(s->ring[s->first_ticket++ % s->inflight_max].codes);
	free(s->ring);
	free(s->deliveries);
	free(s);
}

static void
on_closed(void *arg, const struct err *why)
{
	struct mqtt_session *s = arg;
	char reason[REASON_MAX] = "peer closed without DISCONNECT";
	if (why->code != ERR_OK)
		snprintf(reason, sizeof(reason), "%s", why->text);
	if (s->state == ST_AWAIT && why->code != ERR_OK && why->code != ERR_IO)
		log_stranger(s, CODE_UNAUTHORIZED, why->text);
	s->stream = NULL; /* frees itself */
	if (!s->close_reason) {
		s->close_code = CODE_GONE;
		s->close_reason = own_strdup(reason);
	}
	end(s);
}

struct mqtt_session *
mqtt_session_new(struct mqtt_server *srv, struct stream *st)
{
	static const struct stream_ops ops = {
	    .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed};
	struct mqtt_session *s = own_alloc(sizeof(*s));
	s->server = srv;
	s->stream = st;
	s->seat.session = s;
	s->frame_max = mqtt_server_opts_of(srv)->connect_max;
	s->peer = (struct ipc_peer){.address = span_head(span_str(stream_peer(st)), 64),
	    .proto = stream_is_websocket(st) ? SPAN_LIT("mqtt-ws") : SPAN_LIT("mqtt")};
	core_link_owner_init(&s->owner);
	mqtt_server_enter(srv, &s->seat);
	stream_handle(st, &ops, s);
	return s;
}

void
mqtt_session_free(struct mqtt_session *s)
{
	if (!s->close_reason) {
		s->close_code = CODE_GONE;
		s->close_reason = own_strdup("server ends");
	}
	stream_free(s->stream);
	s->stream = NULL;
	end(s);
}

void
mqtt_session_late(struct mqtt_session *s)
{
	if (s->state == ST_UP) {
		s->endpoint->on_late(s);
		return;
	}
	if (s->state != ST_AWAIT)
		return; /* closing */
	log_stranger(s, CODE_UNAUTHORIZED, "no CONNECT in time");
	mqtt_session_free(s);
}

void
mqtt_session_pause(struct mqtt_session *s, bool paused)
{
	if (s->state != ST_CLOSING)
		set_pause(s, PAUSE_CORE, paused);
}

/* ---- what endpoints ask ------------------------------------------------------------ */

void
mqtt_session_set_ctx(struct mqtt_session *s, void *ctx)
{
	s->ctx = ctx;
}

void *
mqtt_session_ctx(const struct mqtt_session *s)
{
	return s->ctx;
}

struct core_owner *
mqtt_session_owner(struct mqtt_session *s)
{
	return &s->owner;
}

const struct env *
mqtt_session_env(const struct mqtt_session *s)
{
	return mqtt_server_env(s->server);
}

void *
mqtt_session_arg(const struct mqtt_session *s)
{
	return s->arg;
}

struct ssl_st *
mqtt_session_ssl(const struct mqtt_session *s)
{
	return stream_ssl(s->stream);
}

struct credential *
mqtt_session_credential(struct mqtt_session *s, struct span password, struct err *e)
{
	struct ssl_st *ssl = stream_ssl(s->stream);
	struct credential *c = credential_of(password, ssl, mqtt_session_env(s), e);
	if (ssl)
		tls_forget_peer(ssl);
	return c;
}

const struct ipc_peer *
mqtt_session_peer(const struct mqtt_session *s)
{
	return &s->peer;
}

void
mqtt_session_set_agent(struct mqtt_session *s, struct span agent, struct span api_version)
{
	struct span a = span_head(agent, AGENT_MAX),
		    v = span_head(api_version, API_VERSION_MAX);
	free(s->agent);
	s->agent = own_alloc(a.len + v.len + 1);
	if (a.len)
		memcpy(s->agent, a.p, a.len);
	if (v.len)
		memcpy(s->agent + a.len, v.p, v.len);
	s->peer.agent = span_of(s->agent, a.len);
	s->peer.api_version = span_of(s->agent + a.len, v.len);
}

bool
mqtt_session_is_closing(const struct mqtt_session *s)
{
	return s->state == ST_CLOSING;
}
