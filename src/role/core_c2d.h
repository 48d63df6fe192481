#ifndef ROLE_CORE_C2D_H
#define ROLE_CORE_C2D_H
/*
 * The core's standing work on cloud-to-device messages: sessions that may have something
 * to get are noted, and served in turns of their own, so that what is pushed is durable
 * as handed out, and a storm of reconnects does not make one long turn.
 */
#include "role/core.h"

struct core_c2d *core_c2d_new(struct core *c);
void core_c2d_free(struct core_c2d *k);

/* A session was opened or subscribed, or its device has a message more: whatever waits is
 * pushed as far as its window goes. Nothing where it does not listen. */
void core_c2d_due(struct core *c, const struct session *s);
/* A session is over: what it was handed waits again. Inside a turn. */
must_check int core_c2d_ended(struct core *c, const struct session *s, struct err *e);
/* Gives up what expired, frees what sessions of the past hold; inside a turn. */
must_check int core_c2d_tidy(
    struct core *c, int64_t batch, bool *ret_more, struct err *e);

#endif
