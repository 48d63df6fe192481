#ifndef AGENT_CREDENTIAL_H
#define AGENT_CREDENTIAL_H
/*
 * From a device's credential to the TLS context of one connection.
 */
#include "agent/agent_config.h"
#include "agent/clock_floor.h"
#include "agent/keystore.h"
#include "crypto/tls.h"

/* A context that trusts the configured CA file alone, is pinned to host, and presents the
 * certificate where the credential has one; servers are judged by what time says now. For
 * one connection: a new CA file takes effect at the next one. */
must_check struct tls_client *credential_tls(const char *dir,
    const struct agent_config *cfg, const struct keystore_credential *c, const char *host,
    const struct clock_floor *time, struct err *e);

#endif
