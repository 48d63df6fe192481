#ifndef ROLE_HOOK_CALL_H
#define ROLE_HOOK_CALL_H
/*
 * Requests to webhooks and to storage, over libcurl's multi interface on the loop. TLS by
 * the CAs it was given, no redirects, no proxy, no cookies; an answer of at most
 * HOOK_CALL_ANSWER_MAX bytes. Nothing is asked twice: who runs a webhook may count.
 */
#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct loop;
struct hook_call_pool;

#define HOOK_CALL_ANSWER_MAX (128 * 1024)
/* Under way at once, each over a connection of its own: none spends its time on waiting
 * for another's. */
#define HOOK_CALL_MAX 128

/* ca_pem: certificates to trust, empty: the system's. It is copied. */
struct hook_call_pool *hook_call_new(struct loop *l, struct span ca_pem, struct err *e);
void hook_call_free(struct hook_call_pool *h);
/* Calls under way end without a word. Not from a hook_call_fn. */
void hook_call_drop(struct hook_call_pool *h);

/* body: valid during the call; NULL with why. */
typedef void hook_call_fn(
    void *arg, uint64_t tag, const struct span *body, const struct err *why);
/* Called once, from the loop, where this succeeds. A webhook answers 200. ERR_BUSY:
 * HOOK_CALL_MAX are under way.
 */
must_check int hook_call_post(struct hook_call_pool *h, struct span url, struct span body,
    int64_t timeout_ms, hook_call_fn *fn, void *arg, uint64_t tag, struct err *e);

/* Any other request, to storage: good is each status of 2xx. Statuses of 4xx are DENIED:
 * it makes no sense to ask again. */
struct hook_call_req {
	const char *noun;   /* what errors speak of */
	const char *method; /* GET, PUT */
	struct span url, body;
	const char *const *headers; /* "Name: value", NULL behind the last */
	size_t answer_max;
	int64_t timeout_ms;
	bool past_end; /* a range behind the end (416) is an empty answer */
};
must_check int hook_call_send(struct hook_call_pool *h, const struct hook_call_req *req,
    hook_call_fn *fn, void *arg, uint64_t tag, struct err *e);

#endif
