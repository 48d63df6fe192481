/* Each thread opens its share of the connections and turns until all are over. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client.h"

#define EVENTS 128

enum { TICK_MS = 20, PACED_TICK_MS = 1 };

typedef bool done_fn(const struct worker *w);

static bool
is_all_over(const struct worker *w)
{
	return w->over == w->count || w->load->stop;
}

static bool
is_all_up(const struct worker *w)
{
	return w->begun == w->count && !w->opening;
}

/* Whether the next connection is due, where they come at a rate. */
static bool
is_due(const struct worker *w)
{
	const struct load *l = w->load;
	if (!l->opt.rate || l->mode->stays)
		return true;
	double each = (double)CLIENT_THREADS / (double)l->opt.rate;
	return client_now() - l->start >= (double)w->begun * each;
}

static void
open_due(struct worker *w)
{
	while (w->begun < w->count && w->opening < w->load->at_once / CLIENT_THREADS &&
	       is_due(w)) {
		w->opening++;
		client_open(w->conns[w->begun++]);
	}
}

static void
tick(struct worker *w)
{
	for (size_t i = 0; i < w->begun; i++)
		if (w->conns[i]->state != CONN_OVER)
			client_go_on(w->conns[i], w->load->mode->on_tick(w->conns[i]));
}

static void
run_until(struct worker *w, done_fn *is_done)
{
	struct epoll_event got[EVENTS];
	const struct load *l = w->load;
	const int tick_ms = l->opt.rate ? PACED_TICK_MS : TICK_MS;
	double ticked = client_now();
	for (;;) {
		open_due(w);
		if (is_done(w))
			return;
		int n = epoll_wait(w->epoll, got, EVENTS, tick_ms);
		for (int i = 0; i < n; i++)
			client_on_event(got[i].data.ptr);
		if (!l->mode->on_tick || client_now() - ticked < tick_ms * 1e-3)
			continue;
		tick(w);
		ticked = client_now();
	}
}

static void
go(struct worker *w)
{
	const struct mode *m = w->load->mode;
	for (size_t i = 0; i < w->count; i++)
		if (m->on_go && w->conns[i]->state == CONN_UP)
			client_go_on(w->conns[i], m->on_go(w->conns[i]));
}

static void *
run(void *arg)
{
	struct worker *w = arg;
	struct load *l = w->load;
	pthread_barrier_wait(&l->gate);
	if (l->mode->stays) {
		run_until(w, is_all_up);
		pthread_barrier_wait(&l->gate);
		pthread_barrier_wait(&l->gate);
		go(w);
	}
	run_until(w, is_all_over);
	return NULL;
}

static struct conn *
conn_new(struct worker *w, size_t index)
{
	struct load *l = w->load;
	struct conn *c = calloc(1, sizeof(*c) + l->mode->own_size);
	device_need(c != NULL, "memory");
	c->worker = w;
	c->device = &l->devices[index];
	c->index = index;
	c->fd = -1;
	return c;
}

static void
init(struct worker *w, struct load *l, size_t from, size_t to)
{
	*w = (struct worker){.load = l, .count = to - from};
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->conns = calloc(w->count + 1, sizeof(struct conn *));
	w->payload = malloc(l->opt.size + 1);
	w->batch = malloc(CLIENT_BATCH + PACKET_ROOM + l->opt.size);
	device_need(w->epoll >= 0 && w->conns && w->payload && w->batch, "worker");
	memset(w->payload, 'x', l->opt.size);
	for (size_t i = 0; i < w->count; i++)
		w->conns[i] = conn_new(w, from + i);
}

void
worker_start(struct load *l)
{
	l->stop = false;
	pthread_barrier_init(&l->gate, NULL, CLIENT_THREADS + 1);
	for (size_t i = 0; i < CLIENT_THREADS; i++) {
		struct worker *w = &l->workers[i];
		init(w, l, l->count * i / CLIENT_THREADS,
		    l->count * (i + 1) / CLIENT_THREADS);
		device_need(pthread_create(&w->thread, NULL, run, w) == 0, "thread");
	}
	l->start = client_now();
	pthread_barrier_wait(&l->gate);
}

size_t
worker_await_up(struct load *l)
{
	size_t up = l->count;
	pthread_barrier_wait(&l->gate);
	for (size_t i = 0; i < CLIENT_THREADS; i++)
		up -= l->workers[i].over;
	return up;
}

void
worker_go(struct load *l)
{
	l->start = client_now();
	pthread_barrier_wait(&l->gate);
}

void
worker_join(struct load *l)
{
	for (size_t i = 0; i < CLIENT_THREADS; i++)
		pthread_join(l->workers[i].thread, NULL);
}

static void
conn_free(struct conn *c)
{
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	free(c);
}

void
worker_free(struct load *l)
{
	for (size_t i = 0; i < CLIENT_THREADS; i++) {
		struct worker *w = &l->workers[i];
		for (size_t k = 0; k < w->count; k++)
			conn_free(w->conns[k]);
		for (size_t k = 0; k < WAITS; k++)
			free(w->waits[k].v);
		free(w->conns);
		free(w->payload);
		free(w->batch);
		close(w->epoll);
	}
	pthread_barrier_destroy(&l->gate);
}
