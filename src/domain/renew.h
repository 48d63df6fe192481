#ifndef DOMAIN_RENEW_H
#define DOMAIN_RENEW_H
/*
 * The server's side of renewal: when a device is told to renew (the idea of RFC 9773),
 * and what an expired certificate, or one whose issuer is revoked, is still good for.
 */
#include "domain/domain.h"
#include "store/pki.h"

/* When to renew: at a moment of the device's choice in [start, end]. */
struct renew_window {
	int64_t start_ms, end_ms;
	const char *reason; /* static: "scheduled", "expired", "issuer revoked" */
};

/* Pure. Certificates that were issued together are renewed apart: the windows of many
 * devices lie evenly over a tenth of the life or more, each where the device's ID puts
 * it. Most of the lead (renew_before, or a third of the life: the shorter) is left after
 * the last of them. */
void renew_spread(struct span device_id, int64_t not_before_ms, int64_t not_after_ms,
    int64_t renew_before_ms, struct renew_window *ret);

/* The window of a certificate of ours, by every rule there is: its dates, its issuer's
 * state. report: what its device said last, NULL = never. */
must_check int renew_window(struct domain *d, const struct store_cert *c,
    const struct store_device_cert *report, struct renew_window *ret, struct err *e);
/* How long a device with that window may wait before it asks again. */
uint32_t renew_poll_s(
    const struct store_cert *c, const struct renew_window *w, int64_t now_ms);

/* The certificate of ours that cred is: byte for byte (its SHA-256), under the serial and
 * for the CN that cred shows, of the device profile. False in *ret_ours where it is none.
 */
must_check int renew_find(struct domain *d, const struct ipc_cred *cred,
    struct store_cert *ret, bool *ret_ours, struct err *e);

/* Whether an expired certificate of ours may be renewed with that key (est.expired,
 * est.grace; SHA-256 of the SPKI): same key, neither revoked nor superseded, its issuer
 * neither revoked nor retired, its device allowed. Refusals are EST_EXPIRED and why. */
must_check int renew_judge_expired(struct domain *d, const struct store_cert *c,
    struct span key_sha256, struct refusal *no, struct err *e);
/* Whether a certificate of ours, not itself revoked and within its dates, stands under an
 * issuer that was revoked: it may be replaced, and do nothing else. Who stole the CA's
 * key can make certificates, but not one that our own record has. */
must_check int renew_is_orphan(
    struct domain *d, const struct store_cert *c, bool *ret, struct err *e);

/* POST /muster/checkin. */
must_check int renew_checkin(struct domain *d, const struct ipc_checkin *m,
    struct ipc_renewal *ret, struct refusal *no, struct err *e);

/* Quarantine and the list of devices that may renew late. */
must_check int renew_allow_get(struct domain *d, const char *device_id,
    struct store_allow *ret, struct err *e); /* zero where there is no row */
must_check int renew_allow_put(struct domain *d, const struct ipc_allow_put *m,
    const char *by, struct store_allow *ret, struct err *e);
must_check int renew_quarantine(
    struct domain *d, const char *device_id, bool in, struct err *e);

#endif
