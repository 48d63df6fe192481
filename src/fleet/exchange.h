#ifndef FLEET_EXCHANGE_H
#define FLEET_EXCHANGE_H
/*
 * Many exchanges with a target under way at once: each signed in, each when its family of
 * operations is next (fleet/pace.h). A 429 is obeyed by the whole family and the exchange
 * asked again; a 401 fetches another token, once.
 *
 * Contract of time: a token is fetched by running the loop, so it is done between turns:
 * whoever uses this turns the loop by exchange_turn alone.
 */
#include "fleet/pace.h"
#include "fleet/service.h"

struct exchange;
struct exchange_call;

/* Borrows loop and service. wait_max_s: the longest Retry-After that is obeyed. ERR_USAGE
 * for a target without hub or provisioning service. */
must_check struct exchange *exchange_new(
    struct loop *l, struct service *s, int64_t wait_max_s, struct err *e);
/* Calls under way are dropped, their callbacks are not called. */
void exchange_free(struct exchange *x);
own_define(struct exchange, exchange_free);

/* From here on. Without it nothing is paced but by 429. */
void exchange_limit(struct exchange *x, const struct pace_limits *l);

/* As rest_start, its contract of memory and callbacks too; fn hears also of a token that
 * is not given. Not once, which is decided here: what changes something and names no
 * version may be repeated. */
struct exchange_call *exchange_start(struct exchange *x, enum pace_family f,
    const struct rest_request *q, rest_fn fn, void *arg);
/* fn is not called any more. */
void exchange_cancel(struct exchange_call *c);

/* A device is about to register, which counts, and so does what the provisioning service
 * then writes to the hub. 0: go ahead; else how long to wait before asking again. */
int64_t exchange_registers(struct exchange *x);

must_check int exchange_turn(struct exchange *x, int64_t max_ms, struct err *e);
/* Turns until the answer is there, whose body is appended to body. Not from a callback.
 */
must_check int exchange_wait(struct exchange *x, enum pace_family f,
    const struct rest_request *q, struct buf *body, struct rest_response *ret,
    struct err *e);

/* The hub's clock before ours, by the Date of its last answer (cut to the second, so
 * never fast). */
int64_t exchange_ahead_ms(const struct exchange *x);
/* How often a family was told to wait. */
int64_t exchange_refused(const struct exchange *x, enum pace_family f);

#endif
