#ifndef DOMAIN_EST_REQUEST_H
#define DOMAIN_EST_REQUEST_H
/*
 * Requests that are kept: those that wait for an operator's word, and those made by
 * token, so that one whose answer was lost gets the same certificate again. A request is
 * its device, its key and its credential: its bytes change with each try where they are
 * linked to the TLS connection (RFC 7030 3.5).
 */
#include "domain/pki/est.h"
#include "store/pki.h"

/* Waiting at once: more are told to come later. */
#define EST_REQUEST_WAITING 5000
#define EST_REQUEST_DEVICE  4 /* of one device */
/* How long any is kept: the life of a token that is asked with again, at most. */
#define EST_REQUEST_KEEP_MS (INT64_C(30) * 86400 * 1000)

/* Fills p->request_id. */
void est_request_name(struct est_promise *p);
/* The row of p, state "" where there is none. */
must_check int est_request_get(struct domain *d, const struct est_promise *p,
    struct store_enrol *ret, struct err *e);
/* Puts p among those that wait; refuses (THROTTLED) where too many do. */
must_check int est_request_wait(
    struct domain *d, const struct est_promise *p, struct refusal *no, struct err *e);
/* p was given the certificate of that SHA-256. */
must_check int est_request_close(struct domain *d, const struct est_promise *p,
    const char *cert_sha256, struct err *e);

/* An operator's word. ERR_NOT_FOUND; ERR_CONFLICT where it does not wait any more. */
must_check int est_request_decide(struct domain *d, const struct ipc_enrol_decide *m,
    const char *by, struct store_enrol *ret, struct err *e);
/* Forgets what is older than EST_REQUEST_KEEP_MS. */
must_check int est_request_trim(struct domain *d, struct err *e);

#endif
