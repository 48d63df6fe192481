/*
 * Messages of one size. At QoS 1 a window of them is unacknowledged at any time; with a
 * rate, one is sent when it is due. At QoS 0 they go as fast as they are taken, and the
 * last at QoS 1: its PUBACK says that the server has dealt with all before it.
 */
#include <stdio.h>

#include "modes.h"

enum { WINDOW_MAX = 32, WINDOW_BYTES = 128 << 10 };

struct sending {
	size_t to_send, sent, acked, window;
	double due, every; /* every: 0 without a rate */
	double sent_at[WINDOW_MAX];
	char topic[64];
};

static size_t
clamp(size_t n, size_t min, size_t max)
{
	return n < min ? min : n > max ? max : n;
}

static struct sending *
of(struct conn *c)
{
	return (void *)c->own;
}

static bool
may_send(struct conn *c)
{
	const struct sending *s = of(c);
	if (s->sent == s->to_send || (s->every > 0 && client_now() < s->due))
		return false;
	return !client_options(c)->qos || s->sent - s->acked < s->window;
}

/* Puts the next message behind batch_len bytes of the worker's batch. */
static size_t
put_next(struct conn *c, size_t batch_len)
{
	struct sending *s = of(c);
	struct worker *w = c->worker;
	const struct options *o = client_options(c);
	uint8_t qos = o->qos || s->sent + 1 == s->to_send;
	uint16_t number = (uint16_t)(s->sent % 0xffff + 1);
	s->sent_at[s->sent++ % WINDOW_MAX] = client_now();
	s->due += s->every;
	return packet_publish(
	    w->batch + batch_len, s->topic, qos, number, w->payload, o->size);
}

/* In as few records as they fit. At QoS 0 one batch at a time, that others have a turn.
 */
static int
send_due(struct conn *c)
{
	size_t len;
	do {
		for (len = 0; len < CLIENT_BATCH && may_send(c);)
			len += put_next(c, len);
		if (len && !client_send(c, c->worker->batch, len))
			return -1;
	} while (len >= CLIENT_BATCH && client_options(c)->qos);
	c->wants_room = !client_options(c)->qos && of(c)->sent < of(c)->to_send;
	return 1;
}

static int
begin(struct conn *c)
{
	struct sending *s = of(c);
	const struct load *l = c->worker->load;
	const struct options *o = &l->opt;
	s->to_send = o->messages ? o->messages / l->count : SIZE_MAX;
	s->window = clamp(WINDOW_BYTES / (o->size + 1), 1, WINDOW_MAX);
	s->every = o->rate ? (double)l->count / (double)o->rate : 0;
	s->due = l->start + s->every * (double)c->index / (double)l->count;
	snprintf(
	    s->topic, sizeof(s->topic), "devices/%s/messages/events/", c->device->id);
	int rc = s->to_send ? send_due(c) : 0;
	client_watch(c);
	return rc;
}

static int
on_puback(struct conn *c, const struct packet *p)
{
	struct sending *s = of(c);
	if (p->first >> 4 != PACKET_PUBACK || c->state != CONN_UP)
		return 1;
	size_t n = client_options(c)->qos ? 1 : s->sent;
	client_waited(c, WAIT_ANSWER, s->sent_at[(s->acked + n - 1) % WINDOW_MAX]);
	s->acked += n;
	c->worker->messages += n;
	return s->acked != s->to_send;
}

static int
on_turn(struct conn *c)
{
	return of(c)->to_send ? send_due(c) : 1;
}

const struct mode modes_telemetry = {.name = "telemetry",
    .mqtt = true,
    .stays = true,
    .own_size = sizeof(struct sending),
    .on_secure = client_connect_hub,
    .on_packet = on_puback,
    .on_go = begin,
    .on_turn = on_turn,
    .on_tick = on_turn};
