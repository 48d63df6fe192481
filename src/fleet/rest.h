#ifndef FLEET_REST_H
#define FLEET_REST_H
/*
 * HTTPS requests to one server on the loop (libcurl multi): certificate checked against
 * one pinned CA file (or, for what the world's CAs vouch for, the system's), operator's
 * certificate, time-outs, retries with back-off on 429, 503 and lost connections, none
 * before the time that Retry-After tells: where that is too long, none at all. It knows
 * no API.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

struct loop;
struct rest;
struct rest_call;

#define REST_BODY_MAX  (64 * 1024 * 1024)
#define REST_TOKEN_MAX 4096
#define REST_TRIES     6
#define REST_WAIT_S    60

struct rest_opts {
	const char *base; /* "https://127.0.0.1:443"; http:// on loopback, and metadata */
	const char *ca;   /* PEM file; nothing else is trusted. NULL: the system's */
	const char *cert, *key; /* the operator's PEM files; NULL: none */
	int64_t timeout_ms;     /* of one try */
	int64_t conns_max;
	int64_t wait_max_s; /* the longest Retry-After that is obeyed; 0: REST_WAIT_S */
	/* a machine's own identity endpoint: http:// to 169.254.169.254, which no router
	 * passes on and no certificate can name, is allowed too; never by a proxy */
	bool metadata;
};

struct rest_request {
	const char *method; /* "GET" */
	const char *target; /* "/devices/a%20b?api-version=..." */
	struct span body;   /* kept by the caller until done; secret for all it knows */
	const char *content_type; /* of the body; NULL: application/json */
	const char *accept;
	const char *if_match;
	const char *continuation;  /* x-ms-continuation */
	int64_t max_items;         /* x-ms-max-item-count; 0: not sent */
	const char *authorization; /* replaces the operator's certificate: a secret */
	const char *const
	    *headers; /* more of them, "name: value"; NULL ends; NULL: none */
	bool once;    /* do not retry what may have been done: a lost connection, 503 */
	bool paced;   /* 429 is an answer as others: who asks waits by himself */
};

struct rest_response {
	int status;
	struct span body;
	char continuation[REST_TOKEN_MAX]; /* "" on the last page */
	int64_t server_ms;                 /* of the Date header; 0 without one */
	int64_t retry_after_s;             /* 0 where it does not say */
};

must_check struct rest *rest_new(
    struct loop *l, const struct rest_opts *o, struct err *e);
/* Calls under way are dropped, their callbacks are not called. */
void rest_free(struct rest *r);
own_define(struct rest, rest_free);
const char *rest_base(const struct rest *r);

/* Begins a request, whose texts are copied (the body is not). fn is called once, from the
 * loop: with a response (any status that was not retried), borrowed, or with NULL and why
 * (ERR_UNAVAILABLE: no connection, or a Retry-After beyond wait_max_s; ERR_TIMEOUT;
 * ERR_DENIED for a server that is not the pinned one). */
typedef void (*rest_fn)(
    void *arg, const struct rest_response *response, const struct err *why);
struct rest_call *rest_start(
    struct rest *r, const struct rest_request *q, rest_fn fn, void *arg);
/* fn is not called any more. */
void rest_cancel(struct rest_call *c);

/* Runs the loop until the answer is there. The body is appended to body (whose cap
 * holds). For commands that do one thing after the other; not from a callback. */
must_check int rest_wait(struct rest *r, const struct rest_request *q, struct buf *body,
    struct rest_response *ret, struct err *e);

/* What such a wait is made of, for who has calls of another kind. rest_waited is the
 * call's fn, its arg the waiter, which begins with body alone set. */
struct rest_waiter {
	bool done, failed;
	struct rest_response response;
	struct err why;
	struct buf *body;
};
void rest_waited(void *arg, const struct rest_response *response, const struct err *why);
/* Once it is done. what: the body is, where it is beyond its cap. */
must_check int rest_wait_end(const struct rest_waiter *w, const char *what,
    struct rest_response *ret, struct err *e);

#endif
