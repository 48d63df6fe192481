#ifndef AGENT_RENEW_LIVE_H
#define AGENT_RENEW_LIVE_H
/*
 * The outside of a renewal as it is on a device: an EST server over HTTPS, the hub by a
 * second connection, the running agent by its control socket.
 */
#include "agent/renew.h"
#include "base/own.h"

struct renew_live; /* the arg of its operations */

/* Borrows dir, cfg, time. token: a one-time token, with which the enrolment is asked for
 * in the place of a certificate (RFC 7030 3.2.3); NULL: none. */
struct renew_live *renew_live_new(const char *dir, const struct agent_config *cfg,
    struct clock_floor *time, const char *token);
void renew_live_free(struct renew_live *l);
own_define(struct renew_live, renew_live_free);

extern const struct renew_ops renew_live_ops;

#endif
