#ifndef DOMAIN_DPS_CERT_H
#define DOMAIN_DPS_CERT_H
/*
 * The provisioning service's CA certificates (protocol/service.md 3.5): kept by name, of
 * use to groups once somebody has proven that he holds the key, or an operator vouched
 * for it. Each step has another etag.
 */
#include "domain/domain.h"
#include "store/enrollment.h"

#define DPS_CERT_MAX  100 /* Azure's limit is 25 (6.3) */
#define DPS_CERT_CODE 48  /* upper-case hex digits */

must_check int dps_cert_get(
    struct domain *d, struct span name, struct store_dps_cert *ret, struct err *e);
/* Creates or rewrites. Another certificate under a known name is unverified again. EXISTS
 * where the certificate has another name, or stands in an enrollment already while this
 * name is a group's; LIMIT at DPS_CERT_MAX. */
must_check int dps_cert_put(struct domain *d, const struct ipc_dps_cert_put *m,
    struct store_dps_cert *ret, struct err *e);
/* GATE (409) while a group names it. */
must_check int dps_cert_delete(
    struct domain *d, const struct ipc_dps_cert_delete *m, struct err *e);
/* A fresh code, which ends the one before; what was verified stays so. */
must_check int dps_cert_code(struct domain *d, const struct ipc_dps_cert_code *m,
    struct store_dps_cert *ret, struct err *e);
/* Possession was proven to the edge, against the state with that etag. */
must_check int dps_cert_verified(struct domain *d, const struct ipc_dps_cert_verified *m,
    struct store_dps_cert *ret, struct err *e);

#endif
