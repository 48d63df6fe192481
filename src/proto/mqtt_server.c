/*
 * The set of an edge's MQTT sessions. Deadlines for CONNECT share one timer: sessions owe
 * theirs in the order they were accepted.
 */
#include "proto/mqtt_server.h"

#include <stdlib.h>

#include "codec/ipc_msg.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/mqtt_session.h"

enum {
	SWEEP_MS = 1000,
	HANDSHAKE_MS = 30000,
	CLOSE_MS = 5000,
	IN_MAX = CAP_BODY + 65535 + 16, /* the largest PUBLISH: body, topic, header */
	OUT_MAX = 1024 * 1024,          /* one twin is half of it at most */
};

/* 60 s for CONNECT as Edge Hub has it (protocol/device.md 3.2); a user name and a token
 * are at most 2 KB each, the rest is for a will. */
const struct mqtt_server_opts mqtt_server_defaults = {
    .connect_ms = 60000, .connect_max = 16 * 1024};

struct mqtt_server {
	const struct env *env;
	struct mqtt_server_opts opts;
	struct list all, waiting;
	size_t n;
	bool paused;
	struct loop_timer *sweep; /* runs while somebody owes a CONNECT */
};

static void
on_sweep(void *arg)
{
	struct mqtt_server *m = arg;
	int64_t now = loop_now_ms(m->env->loop);
	while (!list_empty(&m->waiting)) {
		struct mqtt_server_seat *s =
		    list_of(m->waiting.next, struct mqtt_server_seat, waiting);
		if (s->deadline_ms > now)
			return;
		mqtt_session_free(s->session);
	}
}

struct mqtt_server *
mqtt_server_new(const struct env *env, const struct mqtt_server_opts *opts)
{
	struct mqtt_server *m = own_alloc(sizeof(*m));
	m->env = env;
	m->opts = *opts;
	list_init(&m->all);
	list_init(&m->waiting);
	m->sweep = loop_timer_new(env->loop, on_sweep, m);
	return m;
}

void
mqtt_server_free(struct mqtt_server *m)
{
	if (!m)
		return;
	while (!list_empty(&m->all))
		mqtt_session_free(
		    list_of(m->all.next, struct mqtt_server_seat, all)->session);
	loop_timer_free(m->sweep);
	free(m);
}

struct stream_opts
mqtt_server_stream_opts(const struct env *env)
{
	/* idle_ms: until CONNECT is there mqtt_server's own deadline counts. */
	return (struct stream_opts){.handshake_ms = HANDSHAKE_MS,
	    .close_ms = CLOSE_MS,
	    .in_max = IN_MAX,
	    .out_max = OUT_MAX};
}

void
mqtt_server_on_accept(void *arg, struct stream *st)
{
	struct mqtt_server *m = arg;
	struct mqtt_session *s = mqtt_session_new(m, st);
	if (m->paused)
		mqtt_session_pause(s, true);
}

size_t
mqtt_server_count(const struct mqtt_server *m)
{
	return m->n;
}

void
mqtt_server_pause(struct mqtt_server *m, bool paused)
{
	m->paused = paused;
	list_each (it, &m->all)
		mqtt_session_pause(
		    list_of(it, struct mqtt_server_seat, all)->session, paused);
}

void
mqtt_server_close_all(struct mqtt_server *m, const char *reason)
{
	list_each (it, &m->all)
		mqtt_session_close(
		    list_of(it, struct mqtt_server_seat, all)->session, 0, reason);
}

const struct env *
mqtt_server_env(const struct mqtt_server *m)
{
	return m->env;
}

const struct mqtt_server_opts *
mqtt_server_opts_of(const struct mqtt_server *m)
{
	return &m->opts;
}

void
mqtt_server_enter(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	seat->deadline_ms = loop_now_ms(m->env->loop) + m->opts.connect_ms;
	list_push(&m->all, &seat->all);
	list_push(&m->waiting, &seat->waiting);
	m->n++;
	if (!loop_timer_is_started(m->sweep))
		loop_timer_repeat(m->sweep, SWEEP_MS);
}

void
mqtt_server_connected(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	list_del(&seat->waiting);
	if (list_empty(&m->waiting))
		loop_timer_cancel(m->sweep);
}

void
mqtt_server_leave(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	mqtt_server_connected(m, seat);
	list_del(&seat->all);
	m->n--;
}
