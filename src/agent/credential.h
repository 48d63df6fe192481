#ifndef AGENT_CREDENTIAL_H
#define AGENT_CREDENTIAL_H
/*
 * From a device's credential to the TLS context of one connection.
 */
#include "agent/agent_config.h"
#include "agent/keystore.h"
#include "crypto/tls.h"

/* A context that trusts the configured CA file alone, is pinned to host, and presents the
 * certificate where the credential has one. The CA file is read each time, so a new one
 * takes effect at the next connection. */
must_check struct tls_client *credential_tls(const char *dir,
    const struct agent_config *cfg, const struct keystore_credential *c, const char *host,
    struct err *e);

#endif
