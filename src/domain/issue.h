#ifndef DOMAIN_ISSUE_H
#define DOMAIN_ISSUE_H
/*
 * Which certificates may be asked of the signer (the signer's own profiles are the second
 * lock): a device leaf for a device the hub knows and has enabled, by an operator acting
 * as registration authority; a server leaf for our own names, by our own edge.
 */
#include "crypto/profile.h"
#include "domain/domain.h"

/* Checks an operator's request and fills what the signer is asked. */
must_check int issue_device(struct domain *d, const struct ipc_cert_issue *m,
    struct ipc_signer_issue *ret, struct err *e);
/* What the signer is asked for an edge's TLS key: SANs are the configured names, the CN
 * is the first of them where it fits. */
void issue_server(struct domain *d, struct span spki, struct ipc_signer_issue *ret);
/* The record of what was issued. */
must_check int issue_record(struct domain *d, const struct ipc_signer_issue *asked,
    const struct ipc_signer_issued *got, const uint8_t issuer_sha256[32], struct err *e);

#endif
