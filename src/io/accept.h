#ifndef IO_ACCEPT_H
#define IO_ACCEPT_H
/*
 * What stream.c and http.c share of accepting, of no use elsewhere: a libevent listener
 * on a socket that listens already, which rests while there is a reason to, and for a
 * moment when descriptors or memory run out (accept would fail in a busy loop otherwise).
 */
#include <stdbool.h>

#include "base/err.h"
#include "io/loop.h"

struct accept;
struct evconnlistener;
enum accept_hold { ACCEPT_FULL = 1, ACCEPT_OWNER = 2, ACCEPT_EMFILE = 4 };

/* Takes fd over, also when it fails. */
struct accept *accept_new(struct loop *l, int fd, struct err *e);
/* The caller sets its accept callback; the error callback is taken. */
struct evconnlistener *accept_listener(struct accept *a);
/* Accepts only while no reason holds. */
void accept_hold(struct accept *a, enum accept_hold reason, bool held);
void accept_free(struct accept *a);
/* As accept_free, but the listener was handed to another owner (evhttp) and stays. */
void accept_leave(struct accept *a);

#endif
