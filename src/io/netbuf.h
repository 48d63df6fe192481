#ifndef IO_NETBUF_H
#define IO_NETBUF_H
/*
 * What stream.c and http.c share of connections, of no use elsewhere: a bufferevent over
 * TLS or plain, deadlines in network time (always the machine's clock: a rehearsal that
 * jumps a month ahead must not time its peers out), and words for how a connection ended.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct bufferevent;
struct event;
struct event_base;
struct ssl_st;
struct tls_server;

/* fd may be -1, to be set later. tls NULL: plain. Owns fd and the SSL from then on. */
must_check struct bufferevent *netbuf_new(struct event_base *base, int fd,
    struct tls_server *tls, bool deferred, struct err *e);
struct ssl_st *netbuf_ssl(struct bufferevent *b); /* NULL when plain */
void netbuf_timeouts(
    struct bufferevent *b, int64_t read_ms, int64_t write_ms); /* 0: none */
/* Sends close_notify, ours of the two (RFC 8446 6.1), and FIN. */
void netbuf_say_goodbye(struct bufferevent *b);
/* Says in e how the connection ended; what: libevent's BEV_EVENT_ bits. Code as in
 * stream_ops.on_closed. Returns -1. */
int netbuf_ended(struct bufferevent *b, short what, bool is_open, struct err *e);

/* A timer of network time; NULL without memory. */
struct event *netbuf_timer_new(
    struct event_base *base, void (*fn)(int fd, short what, void *arg), void *arg);
void netbuf_timer_start(struct event *t, int64_t ms); /* 0: cancels */
/* Fires before anything is read that has not been read yet. */
void netbuf_timer_now(struct event *t);
void netbuf_timer_free(struct event *t);

#endif
