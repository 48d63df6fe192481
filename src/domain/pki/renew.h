#ifndef DOMAIN_RENEW_H
#define DOMAIN_RENEW_H
/*
 * The server's side of renewal: when a device is told to renew (the idea of RFC 9773),
 * what an expired certificate, or one whose issuer is revoked, is still good for, and
 * the quarantine that follows.
 */
#include "domain/domain.h"
#include "store/pki.h"

/* When to renew: at a moment of the device's choice in [start, end]. */
struct renew_window {
	int64_t start_ms, end_ms;
	int64_t poll_ms; /* ask again within, for a rollover's sake; 0: no wish */
	const char
	    *reason; /* static: "scheduled", "expired", "rollover", "issuer revoked"
		      */
};

/* Pure. Certificates that were issued together are renewed apart: the windows of many
 * devices lie evenly over a tenth of the life or more, each where the device's ID puts
 * it. Two thirds of the lead (renew_before, or a third of the life: the shorter) are left
 * after the last of them. */
void renew_spread(struct span device_id, int64_t not_before_ms, int64_t not_after_ms,
    int64_t renew_before_ms, struct renew_window *ret);
/* How long a device may wait before it asks again, by its certificate's life. */
uint32_t renew_poll_s(int64_t not_before_ms, int64_t not_after_ms);

/* What a device's certificate is good for. */
enum renew_standing {
	RENEW_GOOD,   /* its chain is, and its dates are */
	RENEW_LATE,   /* ours, byte for byte, and past its end */
	RENEW_ORPHAN, /* ours, byte for byte, within its dates; its issuer was revoked.
			 Who stole the CA's key can make certificates, but none that
			 our own record has */
};
struct renew_cert {
	enum renew_standing standing;
	bool ours;              /* cert is the record of it */
	struct store_cert cert; /* in d->arena */
};
/* Refuses what is none of them, and what has no CN. Not asked here: whether it was
 * revoked, and what its device may. */
must_check int renew_stand(struct domain *d, const struct ipc_cred *cred,
    struct renew_cert *ret, struct refusal *no, struct err *e);
/* Refuses (CERT_REVOKED, ISSUER_REVOKED) what was revoked. */
must_check int renew_check_revoked(struct domain *d, const struct ipc_cred *cred,
    const struct renew_cert *c, struct refusal *no, struct err *e);
/* Whether one that is late may be renewed (est.expired, est.grace): with the same key,
 * not superseded, its device allowed. Refusals are EST_EXPIRED and why. */
must_check int renew_check_late(struct domain *d, const struct store_cert *c,
    bool same_key, struct refusal *no, struct err *e);

/* The window of a certificate, by every rule there is. ours: NULL where another CA made
 * it, then cred's dates count. */
must_check int renew_window(struct domain *d, const struct ipc_cred *cred,
    const struct store_cert *ours, struct renew_window *ret, struct err *e);

/* POST /muster/checkin: keeps the report, tells time and window. */
must_check int renew_checkin(struct domain *d, const struct ipc_checkin *m,
    struct ipc_renewal *ret, struct refusal *no, struct err *e);

/* The device's row of quarantine and late renewal; zero where it has none. */
must_check int renew_allow_get(
    struct domain *d, const char *device_id, struct store_allow *ret, struct err *e);
/* An operator's word; ERR_NOT_FOUND where there is no such device. */
must_check int renew_allow_put(struct domain *d, const struct ipc_allow_put *m,
    const char *by, struct store_allow *ret, struct err *e);
must_check int renew_quarantine(
    struct domain *d, const char *device_id, bool in, struct err *e);

#endif
