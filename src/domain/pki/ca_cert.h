#ifndef DOMAIN_CA_CERT_H
#define DOMAIN_CA_CERT_H
/*
 * CA certificates of the provisioning service and of hubs (protocol/service.md 3.5): kept
 * by owner and name, of use once somebody has proven that he holds the key, or an
 * operator vouched for it: to groups that name one of the service's, to identities of
 * type certificateAuthority on the hub whose it is (trust.h). Each step has another etag.
 * owner in a message: a hub's name, or "" for the service; NOT_FOUND where it is neither.
 */
#include "domain/domain.h"
#include "store/enrollment.h"

#define CA_CERT_MAX 100 /* Azure's limit is 25 (6.3) */
/* Of a hub, as Azure's (6.2): every edge judges by all of them. */
#define CA_CERT_HUB  25
#define CA_CERT_CODE 48 /* upper-case hex digits */

must_check int ca_cert_get(struct domain *d, struct span owner, struct span name,
    struct store_ca_cert *ret, struct err *e);
/* Those of an owner. */
must_check int ca_cert_each(struct domain *d, struct span owner,
    int (*visit)(void *ctx, const struct store_ca_cert *c, struct err *e), void *ctx,
    struct err *e);
/* Creates or rewrites. Another certificate under a known name is unverified again. EXISTS
 * where the owner has the certificate under another name, or stands in an enrollment
 * already while this name is a group's; LIMIT at CA_CERT_MAX, CA_CERT_HUB. */
must_check int ca_cert_put(struct domain *d, const struct ipc_ca_cert_put *m,
    struct store_ca_cert *ret, struct err *e);
/* GATE (409) while a group names it. */
must_check int ca_cert_delete(
    struct domain *d, const struct ipc_ca_cert_delete *m, struct err *e);
/* A fresh code, which ends the one before; what was verified stays so. */
must_check int ca_cert_code(struct domain *d, const struct ipc_ca_cert_code *m,
    struct store_ca_cert *ret, struct err *e);
/* Possession was proven to the edge, against the state with that etag. */
must_check int ca_cert_verified(struct domain *d, const struct ipc_ca_cert_verified *m,
    struct store_ca_cert *ret, struct err *e);

#endif
