#ifndef DOMAIN_DEVICE_CERT_H
#define DOMAIN_DEVICE_CERT_H
/*
 * Which certificate each device connects with. Written at every X.509 connection to the
 * hub: what came before it is superseded from then on, and one key in the certificates of
 * two devices is noticed here.
 */
#include "domain/domain.h"

struct device_cert_seen {
	bool is_new; /* another certificate than last time, or the first */
	const char
	    *key_twin; /* a device whose last certificate has the same key, or "" */
};

/* Notes that device_id came with cred (a certificate that was let in) from peer, an
 * address with its port. What the device reported of itself is kept. ret lives in
 * d->arena. */
must_check int device_cert_note(struct domain *d, const struct ipc_cred *cred,
    const char *device_id, struct span peer, struct span agent,
    struct device_cert_seen *ret, struct err *e);

#endif
