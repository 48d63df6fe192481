/*
 * Accepting, with reasons to rest.
 */
#include "io/accept.h"

#include <fcntl.h>
#include <unistd.h>

#include <event2/listener.h>

#include "base/log.h"

#define REST_MS 200

struct accept {
	struct list node;
	struct evconnlistener *listener;
	struct loop_timer *rest;
	unsigned holds;
};

/* libevent hands its error callback the argument of the accept callback, which evhttp
 * claims for itself; so the acceptor is found by its listener. */
static struct list all = {&all, &all};

void
accept_hold(struct accept *a, enum accept_hold reason, bool held)
{
	unsigned now = held ? a->holds | reason : a->holds & ~(unsigned)reason;
	if (!now && a->holds)
		evconnlistener_enable(a->listener);
	if (now && !a->holds)
		evconnlistener_disable(a->listener);
	a->holds = now;
}

static void
on_rested(void *arg)
{
	accept_hold(arg, ACCEPT_EMFILE, false);
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)arg;
	struct err e;
	err_sys(&e, ERR_IO, "accept");
	list_each (n, &all) {
		struct accept *a = list_of(n, struct accept, node);
		if (a->listener != listener)
			continue;
		log_event(LOG_WARN, "accept.rest", LOG_ERR(&e));
		accept_hold(a, ACCEPT_EMFILE, true);
		loop_timer_start(a->rest, REST_MS);
		return;
	}
}

struct accept *
accept_new(struct loop *l, int fd, struct err *e)
{
	auto_fd int mine = fd;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		err_sys(e, ERR_INTERNAL, "listening socket %d", fd);
		return NULL;
	}
	struct evconnlistener *n = evconnlistener_new(loop_base(l), NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!n) {
		err_set(e, ERR_INTERNAL, "listening socket %d cannot be watched", fd);
		return NULL;
	}
	(void)TAKE_FD(mine);
	struct accept *a = own_alloc(sizeof(*a));
	a->listener = n;
	a->rest = loop_timer_new(l, on_rested, a);
	list_push(&all, &a->node);
	evconnlistener_set_error_cb(n, on_accept_error);
	return a;
}

struct evconnlistener *
accept_listener(struct accept *a)
{
	return a->listener;
}

void
accept_leave(struct accept *a)
{
	list_del(&a->node);
	loop_timer_free(a->rest);
	free(a);
}

void
accept_free(struct accept *a)
{
	if (!a)
		return;
	evconnlistener_free(a->listener);
	accept_leave(a);
}
