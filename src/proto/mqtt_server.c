/*
 * The set of an edge's MQTT sessions. What they owe has its time, and all times share one
 * timer: of each kind sessions owe theirs in the order they began to.
 */
#include "proto/mqtt_server.h"

#include <stdlib.h>

#include "codec/config.h"
#include "codec/ipc_msg.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/mqtt_session.h"

enum {
	SWEEP_MS = 1000,
	HANDSHAKE_MS = 30000,
	WRITE_MS = 60000,
	CLOSE_MS = 5000,
	IN_MAX = CAP_BODY + 65535 + 16, /* the largest PUBLISH: body, topic, header */
	OUT_MAX = 1024 * 1024,          /* one twin is half of it at most */
	LOG_MS = 60000,
	LOG_LINES = 20, /* about strangers, in LOG_MS */
};

enum debt { DEBT_CONNECT, DEBT_PROOF, DEBTS };

/* 60 s for CONNECT as Edge Hub has it (protocol/device.md 3.2); a user name and a token
 * are at most 2 KB each, the rest is for a will. */
const struct mqtt_server_opts mqtt_server_defaults = {
    .connect_ms = 60000, .connect_max = 16 * 1024, .unproven_ms = 120000};

struct mqtt_server {
	const struct env *env;
	struct mqtt_server_opts opts;
	struct list all, owing[DEBTS];
	size_t n;
	bool paused, draining;
	struct loop_timer *sweep; /* runs while somebody owes something */
	int64_t log_since_ms;
	unsigned log_lines, log_more;
};

static void
sweep(struct list *owing, int64_t now)
{
	while (!list_empty(owing)) {
		struct mqtt_server_seat *s =
		    list_of(owing->next, struct mqtt_server_seat, owing);
		if (s->deadline_ms > now)
			return;
		list_del(&s->owing);
		mqtt_session_late(s->session);
	}
}

static bool
nobody_owes(const struct mqtt_server *m)
{
	return list_empty(&m->owing[DEBT_CONNECT]) && list_empty(&m->owing[DEBT_PROOF]);
}

static void
on_sweep(void *arg)
{
	struct mqtt_server *m = arg;
	for (int i = 0; i < DEBTS; i++)
		sweep(&m->owing[i], loop_now_ms(m->env->loop));
	if (nobody_owes(m))
		loop_timer_cancel(m->sweep);
}

struct mqtt_server *
mqtt_server_new(const struct env *env, const struct mqtt_server_opts *opts)
{
	struct mqtt_server *m = own_alloc(sizeof(*m));
	m->env = env;
	m->opts = *opts;
	list_init(&m->all);
	for (int i = 0; i < DEBTS; i++)
		list_init(&m->owing[i]);
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
	    .write_ms = WRITE_MS,
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
	if (m->draining)
		mqtt_session_close(s, 0, "server stops");
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
mqtt_server_drain(struct mqtt_server *m, const char *reason)
{
	m->draining = true;
	list_each (it, &m->all)
		mqtt_session_close(
		    list_of(it, struct mqtt_server_seat, all)->session, 0, reason);
}

bool
mqtt_server_is_draining(const struct mqtt_server *m)
{
	return m->draining;
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

static void
owe(struct mqtt_server *m, struct mqtt_server_seat *seat, enum debt debt, int64_t ms)
{
	list_del(&seat->owing);
	seat->deadline_ms = loop_now_ms(m->env->loop) + ms;
	list_push(&m->owing[debt], &seat->owing);
	if (!loop_timer_is_started(m->sweep))
		loop_timer_repeat(m->sweep, SWEEP_MS);
}

void
mqtt_server_enter(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	list_push(&m->all, &seat->all);
	m->n++;
	owe(m, seat, DEBT_CONNECT, m->opts.connect_ms);
}

void
mqtt_server_owes_proof(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	int64_t told_ms = m->env->config->dps.retry_after_s * 1000;
	owe(m, seat, DEBT_PROOF, m->opts.unproven_ms + told_ms);
}

void
mqtt_server_owes_nothing(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	list_del(&seat->owing);
	if (nobody_owes(m))
		loop_timer_cancel(m->sweep);
}

bool
mqtt_server_may_log(struct mqtt_server *m, unsigned *ret_more)
{
	int64_t now = loop_now_ms(m->env->loop);
	if (now - m->log_since_ms >= LOG_MS) {
		m->log_since_ms = now;
		m->log_lines = 0;
	}
	if (m->log_lines == LOG_LINES) {
		m->log_more++;
		return false;
	}
	m->log_lines++;
	*ret_more = m->log_more;
	m->log_more = 0;
	return true;
}

void
mqtt_server_leave(struct mqtt_server *m, struct mqtt_server_seat *seat)
{
	mqtt_server_owes_nothing(m, seat);
	list_del(&seat->all);
	m->n--;
}
