/*
 * The edge process: its links, its listeners, its certificate, its end. What is spoken on
 * the connections is proto's.
 */
#include "role/edge.h"

#include <unistd.h>

#include "base/log.h"
#include "codec/der.h"
#include "codec/js.h"
#include "crypto/chain.h"
#include "crypto/tls.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/amqp/amqp_server.h"
#include "proto/core_link.h"
#include "proto/pki/crl_cache.h"
#include "proto/dps/dps_mqtt.h"
#include "proto/env.h"
#include "proto/http_server.h"
#include "proto/hub/hub_mqtt.h"
#include "proto/mqtt_server.h"
#include "role/boot.h"
#include "role/key_client.h"
#include "role/server_cert.h"

enum {
	LISTENERS = 4, /* kinds of them */
	LISTENERS_MAX = 8,
	DRAIN_TICK_MS = 50,
	DRAIN_MS = 3000,
	SPARE_FDS = 256,
	MAIN_QUEUE_MAX = IPC_BODY_MAX + (1 << 20),
};

/* A listening socket that waits for the certificate. */
struct waiting {
	int fd;
	uint8_t kind; /* 'm' MQTT, 'a' AMQP, 'h' HTTPS, 'p' plain HTTP */
};

struct edge {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct env env;
	struct ipc_link *main;
	struct core_link *core;
	struct hub_mqtt *hub;
	struct mqtt_server *mqtt;
	struct amqp_server *amqp;
	struct http_server *http, *public; /* HTTPS; plain HTTP */

	struct waiting waiting[LISTENERS_MAX];
	size_t n_waiting;
	struct stream_listener *listeners[LISTENERS_MAX];
	size_t n_listeners;

	struct server_cert *cert;
	struct key_client *keys; /* for server.tls_key in a token */
	struct loop_timer *drained;

	struct chain_set *anchors;
	struct buf ca_chain;
	bool has_anchors;

	bool draining;
	int64_t drain_until_ms;
};

/* ---- listeners --------------------------------------------------------------------- */

static int
listen_for(struct edge *d, int fd, const struct stream_opts *opts,
    void (*on_accept)(void *arg, struct stream *st), void *server, struct err *e)
{
	if (d->n_listeners == LISTENERS_MAX) {
		own_close(&fd);
		return err_set(e, ERR_LIMIT, "over %d listeners", LISTENERS_MAX);
	}
	struct stream_listener *n = stream_listen(d->loop, fd, server_cert_tls(d->cert),
	    opts, (size_t)d->cfg.server.max_connections, on_accept, server, e);
	if (!n)
		return -1;
	d->listeners[d->n_listeners++] = n;
	return 0;
}

static int
start_listener(struct edge *d, const struct waiting *w, struct err *e)
{
	const struct stream_opts mqtt = mqtt_server_stream_opts(&d->env);
	const struct stream_opts amqp = amqp_server_stream_opts(&d->env);
	if (w->kind == 'm')
		return listen_for(d, w->fd, &mqtt, mqtt_server_on_accept, d->mqtt, e);
	if (w->kind == 'a')
		return listen_for(d, w->fd, &amqp, amqp_server_on_accept, d->amqp, e);
	return http_server_listen(w->kind == 'p' ? d->public : d->http, w->fd, e);
}

/* A socket is listened on when there is a certificate to show and there are anchors to
 * judge by; until then peers wait in the kernel's backlog. */
static void
open_listeners(struct edge *d)
{
	struct err e = {0};
	if (!server_cert_tls(d->cert) || !d->has_anchors || d->draining)
		return;
	while (d->n_waiting) {
		struct waiting w = d->waiting[--d->n_waiting];
		if (start_listener(d, &w, &e))
			log_event(LOG_ERROR, "edge.listen", LOG_ERR(&e));
	}
}

static void
on_certificate(void *arg, struct tls_server *tls)
{
	struct edge *d = arg;
	http_server_set_tls(d->http, tls);
	open_listeners(d);
}

/* ---- the core ---------------------------------------------------------------------- */

static int
add_anchor(struct chain_set *set, struct span der, uint8_t flag, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(der, e);
	if (!c)
		return -1;
	return chain_set_add(set, c, (enum chain_flags)flag, e);
}

/* One certificate that cannot be used takes no other away. */
static struct chain_set *
build_anchors(const struct ipc_anchors *m)
{
	struct chain_set *set = chain_set_new();
	struct cursor flags = cursor_of(m->flags);
	struct span rest = m->certs;
	struct err e = {0};
	for (struct der_tlv one; rest.len;) {
		if (der_next(&rest, &one, &e)) {
			log_event(LOG_ERROR, "edge.anchors", LOG_ERR(&e));
			break;
		}
		if (add_anchor(set, one.whole, cursor_u8(&flags), &e))
			log_event(LOG_WARN, "edge.anchor", LOG_ERR(&e));
	}
	return set;
}

/* ---- pushes: a function a message; to add one, a row in pushes[] ---- */

static void
on_anchors(struct edge *d, const void *msg)
{
	const struct ipc_anchors *m = msg;
	struct chain_set *old = d->anchors;
	d->anchors = build_anchors(m);
	d->env.anchors = d->anchors;
	chain_set_free(old);
	buf_reset(&d->ca_chain);
	buf_put_span(&d->ca_chain, m->ca_chain);
	d->env.ca_chain = buf_span(&d->ca_chain);
	d->has_anchors = true;
	log_event(LOG_INFO, "edge.anchors", LOG_INT("count", chain_set_len(d->anchors)));
	open_listeners(d);
	server_cert_issuer(d->cert, m->server_issuer);
}

static void
on_session_close(struct edge *d, const void *msg)
{
	hub_mqtt_on_session_close(d->hub, msg);
}

static void
on_tickets(struct edge *d, const void *msg)
{
	server_cert_tickets(d->cert, msg);
}

static void
on_desired(struct edge *d, const void *msg)
{
	hub_twin_on_desired(d->hub, msg);
}

static void
on_method(struct edge *d, const void *msg)
{
	hub_method_on_push(d->hub, msg);
}

static void
on_c2d(struct edge *d, const void *msg)
{
	hub_c2d_on_push(d->hub, msg);
}

typedef void push_fn(struct edge *d, const void *msg);
static push_fn *const pushes[IPC_N] = {
    [IPC_ANCHORS] = on_anchors,
    [IPC_SESSION_CLOSE] = on_session_close,
    [IPC_TICKETS] = on_tickets,
    [IPC_HUB_DESIRED] = on_desired,
    [IPC_METHOD_PUSH] = on_method,
    [IPC_C2D_PUSH] = on_c2d,
};

/* A DONE here is the failure of what had no answer to fail (HUB_CLOSED): nobody waits. */
static void
on_core_push(void *arg, enum ipc_type type, const void *msg)
{
	struct edge *d = arg;
	if (pushes[type])
		pushes[type](d, msg);
}

static void
on_core_orphan(void *arg, enum ipc_type type, const void *msg)
{
	struct edge *d = arg;
	if (type == IPC_HUB_OPENED)
		hub_mqtt_on_orphan(d->hub, msg);
}

static void
on_core_lost(void *arg)
{
	struct edge *d = arg;
	log_event(
	    LOG_WARN, "edge.core_lost", LOG_INT("sessions", hub_mqtt_sessions(d->hub)));
	hub_mqtt_on_core_lost(d->hub);
}

static void
on_core_pressure(void *arg, bool high)
{
	struct edge *d = arg;
	mqtt_server_pause(d->mqtt, high);
	amqp_server_pause(d->amqp, high);
}

static const struct core_link_ops core_ops = {.on_push = on_core_push,
    .on_orphan = on_core_orphan,
    .on_lost = on_core_lost,
    .on_pressure = on_core_pressure};

/* ---- main -------------------------------------------------------------------------- */

static void
on_drain(void *arg)
{
	struct edge *d = arg;
	bool busy = mqtt_server_count(d->mqtt) || amqp_server_count(d->amqp) ||
		    http_server_conns(d->http) || http_server_conns(d->public);
	if (!busy || loop_now_ms(d->loop) >= d->drain_until_ms)
		loop_stop(d->loop);
}

/* Nothing new; what is under way is ended in order, and then so are we. */
static void
drain(struct edge *d)
{
	if (d->draining)
		return;
	d->draining = true;
	d->drain_until_ms = loop_now_ms(d->loop) + DRAIN_MS;
	for (size_t i = 0; i < d->n_listeners; i++)
		stream_listener_drain(d->listeners[i]);
	http_server_drain(d->http);
	http_server_drain(d->public);
	mqtt_server_drain(d->mqtt, "server stops");
	amqp_server_drain(d->amqp);
	server_cert_rest(d->cert);
	d->drained = loop_timer_new(d->loop, on_drain, d);
	loop_timer_repeat(d->drained, DRAIN_TICK_MS);
}

static void
take_listener(struct edge *d, uint8_t kind, int fd)
{
	if (d->n_waiting == LISTENERS_MAX || d->draining) {
		own_close(&fd);
		return;
	}
	d->waiting[d->n_waiting++] = (struct waiting){.fd = fd, .kind = kind};
	open_listeners(d);
}

static void
attach_core(struct edge *d, int fd)
{
	struct err e = {0};
	if (core_link_attach(d->core, fd, &e))
		log_event(LOG_ERROR, "edge.core", LOG_ERR(&e));
	else
		server_cert_hurry(d->cert);
}

static void
on_main_frame(void *arg, struct ipc_frame *f)
{
	struct edge *d = arg;
	struct ipc_attach attach;
	struct ipc_listen listen;
	struct err e = {0};
	if (f->type == IPC_STOP) {
		drain(d);
		return;
	}
	if (f->fd < 0)
		return;
	if (f->type == IPC_ATTACH && !ipc_msg_unpack(IPC_ATTACH, f->body, &attach, &e)) {
		if (attach.peer == 'c')
			attach_core(d, TAKE_FD(f->fd));
		else if (attach.peer == 'k')
			key_client_attach(d->keys, TAKE_FD(f->fd));
		return;
	}
	if (f->type == IPC_LISTEN && !ipc_msg_unpack(IPC_LISTEN, f->body, &listen, &e))
		take_listener(d, listen.kind, TAKE_FD(f->fd));
}

static void
on_main_closed(void *arg, const struct err *why)
{
	struct edge *d = arg;
	log_event(LOG_WARN, "edge.main_gone", LOG_ERR(why));
	loop_stop(d->loop);
}

static const struct ipc_ops main_ops = {
    .on_frame = on_main_frame, .on_closed = on_main_closed};

/* ---- life -------------------------------------------------------------------------- */

static int
make_servers(struct edge *d, struct err *e)
{
	d->keys = key_client_new();
	d->anchors = chain_set_new();
	d->ca_chain = BUF_INIT(CAP_CHAIN);
	d->core = core_link_new(d->loop, &core_link_defaults, &core_ops, d);
	d->cert = server_cert_new(&(struct server_cert_opts){.loop = d->loop,
	    .config = &d->cfg,
	    .core = d->core,
	    .keys = d->keys,
	    .on_ready = on_certificate,
	    .arg = d});
	d->env = (struct env){
	    .loop = d->loop, .config = &d->cfg, .core = d->core, .anchors = d->anchors};
	d->hub = hub_mqtt_new(&d->env);
	struct mqtt_server_opts opts = mqtt_server_defaults;
	opts.dps = &dps_mqtt_endpoint;
	opts.hub = &hub_mqtt_endpoint;
	opts.hub_arg = d->hub;
	d->mqtt = mqtt_server_new(&d->env, &opts);
	d->env.mqtt = d->mqtt;
	d->amqp = amqp_server_new(&d->env, 0);
	if (d->cfg.server.amqp_port >= 0)
		d->env.amqp = d->amqp;
	d->env.crls = crl_cache_new(CRL_CACHE_BYTES);
	d->http = http_server_new(&d->env, e);
	d->public = d->http ? http_server_new_public(&d->env, e) : NULL;
	return d->public ? 0 : -1;
}

/* MQTT, AMQP, HTTPS and plain HTTP each hold max_connections at most; where the system
 * grants fewer descriptors, fewer connections are accepted rather than none. */
static unsigned
descriptors(struct config *cfg)
{
	/* as many again may wait for their handshake (io/gate.h), of HTTP a quarter */
	const unsigned each = LISTENERS + 2 - (cfg->server.amqp_port < 0);
	unsigned wanted = each * (unsigned)cfg->server.max_connections + SPARE_FDS;
	unsigned given = boot_descriptors(wanted);
	if (given < wanted)
		cfg->server.max_connections =
		    given > SPARE_FDS ? (given - SPARE_FDS) / each : 1;
	return given;
}

static int
start(struct edge *d, int fd, struct err *e)
{
	static const struct ipc_opts link_opts = {
	    .body_max = IPC_BODY_MAX, .queue_max = MAIN_QUEUE_MAX};
	struct boot b;
	if (boot_receive(fd, "edge", &d->cfg, &d->cfg_arena, &b, e))
		return -1;
	unsigned nofile = descriptors(&d->cfg);
	js_free(js_object()); /* draws the hash seed while files can be opened */
	if (tls_init(e))
		return -1;
	d->loop = loop_new(&clock_system, e);
	if (!d->loop || make_servers(d, e))
		return -1;
	d->main = ipc_new(d->loop, fd, &link_opts, &main_ops, d, e);
	if (!d->main)
		return -1;
	if (boot_jail(JAIL_EDGE, &b, nofile, NULL, e))
		return -1;
	return boot_ready(d->main, e);
}

static void
stop(struct edge *d)
{
	amqp_server_free(d->amqp);
	mqtt_server_free(d->mqtt); /* before listeners and HTTP: it frees their streams */
	http_server_free(d->http);
	http_server_free(d->public);
	crl_cache_free(d->env.crls);
	for (size_t i = 0; i < d->n_listeners; i++)
		stream_listener_free(d->listeners[i]);
	while (d->n_waiting)
		own_close(&d->waiting[--d->n_waiting].fd);
	hub_mqtt_free(d->hub);
	server_cert_free(d->cert);
	core_link_free(d->core);
	ipc_free(d->main);
	loop_timer_free(d->drained);
	key_client_free(d->keys);
	chain_set_free(d->anchors);
	buf_done(&d->ca_chain);
	loop_free(d->loop);
	arena_free(d->cfg_arena);
}

int
edge_main(int fd)
{
	static struct edge d; /* large; one a process */
	struct err e = {0};
	log_role("edge");
	if (start(&d, fd, &e) || loop_run(d.loop, &e)) {
		log_event(LOG_ERROR, "edge.failed", LOG_ERR(&e));
		return err_row(e.code)->exit;
	}
	stop(&d);
	return 0;
}
