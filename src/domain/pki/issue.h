#ifndef DOMAIN_ISSUE_H
#define DOMAIN_ISSUE_H
/*
 * Certificates of the server itself, and the record of every one that was issued. Who may
 * have a device's is est.h's to say; the signer's own profiles are the second lock.
 */
#include "crypto/profile.h"
#include "domain/domain.h"

/* What the signer is asked for an edge's TLS key: SANs are the configured names, the CN
 * is the first of them where it fits. */
must_check int issue_server(
    struct domain *d, struct span spki, struct ipc_signer_issue *ret, struct err *e);
/* The record of what was issued; asked.spki must be there. */
must_check int issue_record(struct domain *d, const struct ipc_signer_issue *asked,
    const struct ipc_signer_issued *got, struct err *e);
/* Whether the certificate of that SHA-256 (hex) is one that we gave this device. */
must_check int issue_is_of(struct domain *d, const char *sha256, const char *device_id,
    bool *ret, struct err *e);

#endif
