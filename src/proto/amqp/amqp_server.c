/*
 * The set of an edge's AMQP sessions, and the one timer that drives them.
 */
#include "proto/amqp/amqp_server.h"

#include <stdlib.h>

#include "codec/config.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/amqp/amqp_conn.h"
#include "proto/amqp/amqp_session.h"

enum {
	TICK_MS = 500,
	UNPROVEN_MS = 60000,
	HANDSHAKE_MS = 30000,
	WRITE_MS = 60000,
	CLOSE_MS = 5000,
	OUT_MAX = 4 * 1024 * 1024, /* what is pushed stops far below it */
	LOG_MS = 60000,
	LOG_LINES = 20, /* about strangers, in LOG_MS */
};

struct amqp_server {
	const struct env *env;
	struct list all;
	size_t n;
	int64_t unproven_ms;
	bool paused, draining;
	struct loop_timer *tick; /* runs while there are sessions */
	int64_t log_since_ms;
	unsigned log_lines;
};

static void
on_tick(void *arg)
{
	struct amqp_server *m = arg;
	int64_t now = loop_now_ms(m->env->loop);
	list_each (it, &m->all)
		amqp_session_tick(amqp_session_of(it), now);
}

struct amqp_server *
amqp_server_new(const struct env *env, int64_t unproven_ms)
{
	struct amqp_server *m = own_alloc(sizeof(*m));
	m->env = env;
	m->unproven_ms = unproven_ms ? unproven_ms : UNPROVEN_MS;
	list_init(&m->all);
	m->tick = loop_timer_new(env->loop, on_tick, m);
	return m;
}

void
amqp_server_free(struct amqp_server *m)
{
	if (!m)
		return;
	while (!list_empty(&m->all))
		amqp_session_free(amqp_session_of(m->all.next));
	loop_timer_free(m->tick);
	free(m);
}

struct stream_opts
amqp_server_stream_opts(const struct env *env)
{
	(void)env;
	return (struct stream_opts){.handshake_ms = HANDSHAKE_MS,
	    .idle_ms = 2 * AMQP_CONN_IDLE_MS,
	    .write_ms = WRITE_MS,
	    .close_ms = CLOSE_MS,
	    .in_max = AMQP_CONN_FRAME_MAX,
	    .out_max = OUT_MAX};
}

void
amqp_server_on_accept(void *arg, struct stream *st)
{
	struct amqp_server *m = arg;
	struct amqp_session *s = amqp_session_new(m, st);
	if (m->paused)
		amqp_session_pause(s, true);
	if (m->draining)
		amqp_session_drain(s);
}

size_t
amqp_server_count(const struct amqp_server *m)
{
	return m->n;
}

void
amqp_server_pause(struct amqp_server *m, bool paused)
{
	m->paused = paused;
	list_each (it, &m->all)
		amqp_session_pause(amqp_session_of(it), paused);
}

void
amqp_server_drain(struct amqp_server *m)
{
	m->draining = true;
	list_each (it, &m->all)
		amqp_session_drain(amqp_session_of(it));
}

bool
amqp_server_is_draining(const struct amqp_server *m)
{
	return m->draining;
}

const struct env *
amqp_server_env(const struct amqp_server *m)
{
	return m->env;
}

int64_t
amqp_server_deadline(const struct amqp_server *m)
{
	return loop_now_ms(m->env->loop) + m->unproven_ms;
}

void
amqp_server_enter(struct amqp_server *m, struct list *seat)
{
	list_push(&m->all, seat);
	m->n++;
	if (!loop_timer_is_started(m->tick))
		loop_timer_repeat(m->tick, TICK_MS);
}

void
amqp_server_leave(struct amqp_server *m, struct list *seat)
{
	list_del(seat);
	m->n--;
	if (!m->n)
		loop_timer_cancel(m->tick);
}

bool
amqp_server_may_log(struct amqp_server *m)
{
	int64_t now = loop_now_ms(m->env->loop);
	if (now - m->log_since_ms >= LOG_MS) {
		m->log_since_ms = now;
		m->log_lines = 0;
	}
	return m->log_lines++ < LOG_LINES;
}
