/*
 * The keys of TLS session tickets: made here, in memory alone, and told to every edge, so
 * that a device resumes at whichever it reaches. They change at half of a ticket's life;
 * with the core they are gone, and devices make full handshakes again.
 */
#include <string.h>

#include "base/log.h"
#include "base/rand.h"
#include "crypto/tls.h"
#include "role/core.h"

#define KEY_LIFE_MS (INT64_C(1000) * TLS_TICKET_LIFE_S / 2)

void
core_send_tickets(struct core *c, const struct core_edge *only)
{
	const struct core_tickets *t = &c->tickets;
	const struct ipc_tickets m = {.now = span_of(t->now, sizeof(t->now)),
	    .before = span_of(t->before, sizeof(t->before))};
	auto_buf body = BUF_INIT(1024);
	body.secret = true;
	struct err e;
	if (ipc_msg_pack(IPC_TICKETS, &m, &body, &e)) {
		log_event(LOG_ERROR, "core.tickets", LOG_ERR(&e));
		return;
	}
	for (unsigned i = 0; i < CORE_EDGES_MAX; i++)
		if (!only || only->index == i)
			core_send(c, i, IPC_TICKETS, 0, buf_span(&body));
}

void
core_rotate_tickets(struct core *c)
{
	struct core_tickets *t = &c->tickets;
	int64_t now = loop_now_ms(c->loop);
	if (t->made_ms && now - t->made_ms < KEY_LIFE_MS)
		return;
	memcpy(t->before, t->now, sizeof(t->before));
	rand_bytes(t->now, sizeof(t->now));
	if (!t->made_ms)
		memcpy(t->before, t->now, sizeof(t->before));
	t->made_ms = now;
	core_send_tickets(c, NULL);
}
