#ifndef AGENT_PROVISION_H
#define AGENT_PROVISION_H
/*
 * One registration at the provisioning service, over MQTT (protocol/device.md 1.3
 * to 1.10), with a certificate or a SAS key. Asynchronous on the loop: polls on 202,
 * waits as told on 429 and 5xx, and gives up at its deadline.
 */
#include "agent/dps_answer.h"
#include "base/own.h"

struct loop;
struct provision;
struct tls_client;

struct provision_opts {
	const char *host;
	int64_t port;
	const char *id_scope, *registration_id;
	struct tls_client *tls; /* pinned to host; with the certificate for X.509 */
	struct span sas_key;    /* decoded; empty for X.509. Used before start returns */
	int64_t connect_ms, timeout_ms;
};

/* Once: why is NULL and r the assignment, or r is NULL. retry_after_s: what the service
 * last asked for, 0 for nothing. The operation is still to be freed. */
typedef void (*provision_done)(
    void *arg, const struct dps_answer *r, const struct err *why, int64_t retry_after_s);

must_check int provision_start(struct loop *l, const struct provision_opts *opts,
    provision_done fn, void *arg, struct provision **ret, struct err *e);
/* Also cancels; no callback follows. */
void provision_free(struct provision *p);
own_define(struct provision, provision_free);

/* The same for a caller that may wait: runs l, which has nothing else to do, until the
 * registration is decided. */
must_check int provision_run(struct loop *l, const struct provision_opts *opts,
    struct dps_answer *ret, struct err *e);

#endif
