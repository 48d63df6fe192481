#ifndef ROLE_CORE_METHOD_H
#define ROLE_CORE_METHOD_H
/*
 * Direct methods under way (protocol/device.md 3.11, service.md 2.6). They live in the
 * core's memory alone: a call that nobody waits for any more is nothing.
 */
#include "role/core.h"

struct core_method *core_method_new(struct core *c);
void core_method_free(struct core_method *k);

/* A call of the core's own: fn is told that it ended, once, inside a turn or not; ok: the
 * device answered. What is borrowed is copied. */
typedef void core_method_ended(struct core *c, int64_t job, int64_t device, bool ok);
struct core_method_own {
	const char *name; /* the identity's */
	struct span method, payload;
	uint32_t connect_s, response_s;
	core_method_ended *fn;
	int64_t job, device;
};
void core_method_start(struct core *c, const struct core_method_own *own);

/* A session was opened or subscribed: calls that wait for it are sent. */
void core_method_ready(struct core *c, const struct session *s);
/* An edge is gone, and with it who asked over it. */
void core_method_forget(struct core *c, unsigned edge);

#endif
