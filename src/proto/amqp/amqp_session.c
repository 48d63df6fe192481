/*
 * The glue of a connection: stream, engine, credentials. All ways out close the stream,
 * whose on_closed frees.
 */
#include "proto/amqp/amqp_session.h"

#include <stdlib.h>

#include "codec/config.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/amqp/amqp_node.h"
#include "proto/amqp/amqp_server.h"
#include "proto/credential.h"
#include "proto/env.h"

enum {
	CLAIMS_MAX = 8, /* a reader of the events puts one an entity (service.md 4.3) */
	NAME_MAX_LEN = 512,
	QUEUE_MAX = 256 * 1024, /* pushed to a peer that does not read */
	STRANGER_LINKS = 8,
	CODE_UNAUTHORIZED = 401002,
};

struct claim {
	char *name;
	struct credential *credential;
	int64_t expires_ms;
};

struct amqp_session {
	struct list seat;
	struct amqp_server *server;
	struct stream *stream;
	struct amqp_conn *conn;
	struct core_owner owner; /* of SASL's question */
	struct ipc_peer peer;
	char host[CAP_HOST + 1];
	struct credential *tls;  /* NULL: not looked at yet */
	struct credential *sasl; /* of PLAIN, until it is judged */
	struct claim claims[CLAIMS_MAX];
	size_t n_claims;
	int64_t deadline_ms; /* to prove itself */
	bool proven, closing;
};

const struct env *
amqp_session_env(const struct amqp_session *s)
{
	return amqp_server_env(s->server);
}

struct amqp_conn *
amqp_session_conn(const struct amqp_session *s)
{
	return s->conn;
}

const struct ipc_peer *
amqp_session_peer(const struct amqp_session *s)
{
	return &s->peer;
}

bool
amqp_session_has_room(const struct amqp_session *s)
{
	return !s->closing && stream_queued(s->stream) < QUEUE_MAX;
}

struct amqp_session *
amqp_session_of(struct list *seat)
{
	return list_of(seat, struct amqp_session, seat);
}

void
amqp_session_prove(struct amqp_session *s)
{
	if (s->proven || s->closing)
		return;
	s->proven = true;
	amqp_conn_links_max(s->conn, AMQP_CONN_LINKS);
	stream_prove(s->stream);
}

void
amqp_session_refused(struct amqp_session *s, const char *why)
{
	if (s->proven || amqp_server_may_log(s->server))
		core_link_refused(amqp_session_env(s)->core, "service", &s->peer,
		    SPAN_NONE, CODE_UNAUTHORIZED, "%s", why);
}

/* ---- credentials ------------------------------------------------------------------- */

static void
drop_claim(struct amqp_session *s, size_t i)
{
	free(s->claims[i].name);
	credential_free(s->claims[i].credential);
	s->claims[i] = s->claims[--s->n_claims];
}

int
amqp_session_claim(struct amqp_session *s, struct span name, struct credential *c,
    int64_t expires_ms, struct err *e)
{
	for (size_t i = 0; i < s->n_claims; i++) {
		if (!span_ieq_str(name, s->claims[i].name))
			continue;
		drop_claim(s, i);
		break;
	}
	char text[NAME_MAX_LEN];
	if (s->n_claims == CLAIMS_MAX || !span_to_str(name, text, sizeof(text))) {
		credential_free(c);
		return err_set(e, ERR_LIMIT, "too many tokens, or for too long a name");
	}
	s->claims[s->n_claims++] = (struct claim){own_strdup(text), c, expires_ms};
	amqp_session_prove(s);
	return 0;
}

/* Whether a token of the events' endpoint (sb://HOST/PATH..) covers the entity, by whole
 * segments. Which host that may be is the core's to say. */
static bool
covers(struct span resource, struct span entity)
{
	static const struct span scheme = SPAN_LIT("sb://");
	struct span path = span_skip(resource, scheme.len);
	span_split(&path, '/');
	while (path.len && path.p[path.len - 1] == '/')
		path.len--;
	return span_istarts(entity, path) &&
	       (entity.len == path.len || !path.len || entity.p[path.len] == '/');
}

static const struct ipc_cred *
find_claim(const struct amqp_session *s, struct span entity, bool of_events)
{
	static const struct span scheme = SPAN_LIT("sb://");
	for (size_t i = 0; i < s->n_claims; i++) {
		const struct ipc_cred *c = credential_ipc(s->claims[i].credential);
		bool sb = span_istarts(c->sas_resource, scheme);
		if (sb == of_events && (!sb || covers(c->sas_resource, entity)))
			return c;
	}
	return NULL;
}

bool
amqp_session_cred(const struct amqp_end *end, struct ipc_cred *ret)
{
	struct amqp_session *s = end->session;
	struct span entity = span_str(end->entity);
	const struct ipc_cred *c = NULL;
	if (entity.len)
		c = find_claim(s, entity, true);
	if (!c)
		c = find_claim(s, SPAN_NONE, false);
	if (!c && !s->tls)
		s->tls = credential_of_tls(stream_ssl(s->stream), amqp_session_env(s));
	if (!c)
		c = credential_ipc(s->tls);
	*ret = *c;
	return c->kind != CRED_NONE;
}

/* ---- the core ---------------------------------------------------------------------- */

void
amqp_session_ask(struct amqp_end *end, uint64_t tag, enum ipc_type type, const void *msg,
    core_link_answer *fn)
{
	struct err e = {0};
	const struct core_asker who = {
	    .owner = &end->owner, .fn = fn, .arg = end, .tag = tag};
	if (!core_link_ask(amqp_session_env(end->session)->core, &who, type, msg, &e))
		return;
	const struct ipc_done done = {.code = e.code, .text = span_str(e.text)};
	fn(end, tag, IPC_DONE, &done);
}

static void
take_pending(struct amqp_session *s)
{
	struct span pending = stream_pending(s->stream);
	stream_consume(s->stream, amqp_conn_feed(s->conn, pending));
}

/* ---- SASL -------------------------------------------------------------------------- */

static void
on_plain_judged(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct amqp_session *s = arg;
	const struct ipc_done *d = msg;
	struct err e;
	struct credential *c = TAKE(s->sasl);
	(void)tag, (void)type;
	if (d->code != ERR_OK) {
		credential_free(c);
		amqp_conn_sasl_done(s->conn, false);
		return;
	}
	bool ok = !amqp_session_claim(s, SPAN_NONE, c, d->number, &e);
	amqp_conn_sasl_done(s->conn, ok);
	take_pending(s); /* what came behind it */
}

/* RFC 4616: authorization, authentication, password; the second is POLICY@sas.root.HUB,
 * which the token says too (service.md 2.8). */
static int
judge_plain(struct amqp_session *s, struct span response, struct err *e)
{
	struct span rest = response;
	span_split(&rest, 0);
	span_split(&rest, 0);
	credential_free(s->sasl);
	s->sasl = credential_of_sas(rest, e);
	if (!s->sasl)
		return -1;
	const struct ipc_login m = {.peer = s->peer, .cred = *credential_ipc(s->sasl)};
	const struct core_asker who = {
	    .owner = &s->owner, .fn = on_plain_judged, .arg = s};
	return core_link_ask(amqp_session_env(s)->core, &who, IPC_LOGIN, &m, e);
}

static void
on_sasl(void *arg, struct span mechanism, struct span response)
{
	struct amqp_session *s = arg;
	struct err e = {0};
	if (!span_eq_str(mechanism, "PLAIN")) {
		/* tokens follow (CBS), or the certificate speaks (T10) */
		amqp_conn_sasl_done(s->conn, span_eq_str(mechanism, "MSSBCBS") ||
						 span_eq_str(mechanism, "ANONYMOUS") ||
						 span_eq_str(mechanism, "EXTERNAL"));
		return;
	}
	if (!judge_plain(s, response, &e))
		return;
	amqp_session_refused(s, e.text);
	amqp_conn_sasl_done(s->conn, false);
}

/* ---- the engine -------------------------------------------------------------------- */

static void
on_write(void *arg, struct span bytes)
{
	struct amqp_session *s = arg;
	stream_write(s->stream, bytes);
}

static void
on_open(void *arg, struct span hostname)
{
	struct amqp_session *s = arg;
	if (!span_to_str(hostname, s->host, sizeof(s->host)))
		return; /* none, or no name of ours */
	s->peer.host = span_str(s->host);
}

static void
on_link(void *arg, struct amqp_link *l)
{
	struct amqp_session *s = arg;
	struct span path = SPAN_NONE;
	struct amqp_end *end = own_alloc(sizeof(*end));
	end->session = s;
	end->link = l;
	core_link_owner_init(&end->owner);
	amqp_link_set_ctx(l, end);
	end->node = amqp_node_find(amqp_link_address(l), amqp_link_sends(l), &path);
	if (!end->node || !span_to_str(path, end->entity, sizeof(end->entity)))
		amqp_node_refuse(end, "amqp:not-found", "there is no such node");
	else
		end->node->attach(end);
}

static void
on_message(void *arg, struct amqp_link *l, uint32_t delivery, struct span message)
{
	struct amqp_end *end = amqp_link_ctx(l);
	(void)arg;
	if (end->node->message)
		end->node->message(end, delivery, message);
}

static void
on_credit(void *arg, struct amqp_link *l)
{
	struct amqp_end *end = amqp_link_ctx(l);
	(void)arg;
	if (end->node && end->node->room)
		end->node->room(end);
}

static void
on_outcome(void *arg, struct amqp_link *l, uint32_t delivery, enum amqp_outcome outcome)
{
	struct amqp_end *end = amqp_link_ctx(l);
	(void)arg;
	if (end->node->outcome)
		end->node->outcome(end, delivery, outcome);
}

static void
free_end(struct amqp_end *end)
{
	if (!end)
		return;
	core_link_drop(amqp_session_env(end->session)->core, &end->owner);
	if (end->node && end->node->gone)
		end->node->gone(end);
	free(end);
}

static void
on_gone(void *arg, struct amqp_link *l)
{
	struct amqp_end *end = amqp_link_ctx(l);
	(void)arg;
	amqp_link_set_ctx(l, NULL);
	free_end(end);
}

/* The stranger's name is in the connection log's line as its address. */
static void
on_conn_closed(void *arg, const struct err *why)
{
	struct amqp_session *s = arg;
	s->closing = true;
	if (why->code != ERR_OK && !s->proven && why->code != ERR_DENIED)
		amqp_session_refused(s, why->text);
	stream_close(s->stream);
}

static const struct amqp_conn_ops conn_ops = {.write = on_write,
    .on_sasl = on_sasl,
    .on_open = on_open,
    .on_link = on_link,
    .on_message = on_message,
    .on_credit = on_credit,
    .on_outcome = on_outcome,
    .on_gone = on_gone,
    .on_closed = on_conn_closed};

/* ---- the stream -------------------------------------------------------------------- */

static void
on_data(void *arg, struct span pending)
{
	(void)pending;
	take_pending(arg);
}

static void
each_end(struct amqp_session *s, void (*fn)(struct amqp_end *end))
{
	for (struct amqp_link *l = amqp_conn_next(s->conn, NULL); l && !s->closing;
	     l = amqp_conn_next(s->conn, l))
		if (amqp_link_is_up(l))
			fn(amqp_link_ctx(l));
}

static void
look_for_room(struct amqp_end *end)
{
	if (end->node->room)
		end->node->room(end);
}

static void
on_drained(void *arg)
{
	each_end(arg, look_for_room);
}

static void
destroy(struct amqp_session *s)
{
	core_link_drop(amqp_session_env(s)->core, &s->owner);
	for (struct amqp_link *l = amqp_conn_next(s->conn, NULL); l;
	     l = amqp_conn_next(s->conn, l))
		free_end(amqp_link_ctx(l));
	amqp_conn_free(s->conn);
	amqp_server_leave(s->server, &s->seat);
	while (s->n_claims)
		drop_claim(s, 0);
	credential_free(s->sasl);
	credential_free(s->tls);
	free(s);
}

static void
on_closed(void *arg, const struct err *why)
{
	struct amqp_session *s = arg;
	s->closing = true;
	if (!s->proven && why->code != ERR_OK && why->code != ERR_IO)
		amqp_session_refused(s, why->text);
	destroy(s);
}

struct amqp_session *
amqp_session_new(struct amqp_server *srv, struct stream *st)
{
	static const struct stream_ops ops = {
	    .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed};
	struct amqp_session *s = own_alloc(sizeof(*s));
	s->server = srv;
	s->stream = st;
	s->conn = amqp_conn_new(&conn_ops, s);
	amqp_conn_links_max(s->conn, STRANGER_LINKS);
	s->deadline_ms = amqp_server_deadline(srv);
	s->peer = (struct ipc_peer){.address = span_head(span_str(stream_peer(st)), 64),
	    .proto = stream_is_websocket(st) ? SPAN_LIT("amqp-ws") : SPAN_LIT("amqp")};
	core_link_owner_init(&s->owner);
	amqp_server_enter(srv, &s->seat);
	stream_handle(st, &ops, s);
	return s;
}

void
amqp_session_free(struct amqp_session *s)
{
	s->closing = true;
	stream_free(s->stream);
	destroy(s);
}

void
amqp_session_pause(struct amqp_session *s, bool paused)
{
	stream_pause(s->stream, paused);
}

void
amqp_session_drain(struct amqp_session *s)
{
	static const struct amqp_error why = {
	    .condition = "amqp:connection:forced", .text = "the server stops"};
	if (s->closing)
		return;
	amqp_conn_end(s->conn, &why);
}

/* ---- time -------------------------------------------------------------------------- */

static void
look_at_token(struct amqp_end *end)
{
	struct ipc_cred none;
	if (!end->is_open && !amqp_session_cred(end, &none))
		amqp_node_refuse(
		    end, "amqp:unauthorized-access", "the token has expired");
}

static void
expire_claims(struct amqp_session *s)
{
	int64_t now = clock_wall_ms(loop_clock(amqp_session_env(s)->loop));
	size_t before = s->n_claims;
	for (size_t i = s->n_claims; i > 0; i--)
		if (s->claims[i - 1].expires_ms && s->claims[i - 1].expires_ms < now)
			drop_claim(s, i - 1);
	if (s->n_claims != before)
		each_end(s, look_at_token);
}

void
amqp_session_tick(struct amqp_session *s, int64_t now_ms)
{
	if (s->closing)
		return;
	if (!s->proven && now_ms >= s->deadline_ms) {
		static const struct amqp_error why = {
		    .condition = "amqp:unauthorized-access",
		    .text = "nothing was proved in time"};
		amqp_conn_end(s->conn, &why);
		return;
	}
	expire_claims(s);
	each_end(s, look_for_room);
	if (!s->closing)
		amqp_conn_beat(s->conn, now_ms);
}
