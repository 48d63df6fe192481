#ifndef DOMAIN_ASSIGN_H
#define DOMAIN_ASSIGN_H
/*
 * What a registration does to an identity: the hub it comes to, what becomes of its data
 * on the way (protocol/device.md 2.4, 2.5), and the word for it. The identity itself is
 * stored by who asks.
 *
 * migrate  the hub is chosen anew; on another one the device keeps twin and all else.
 * reset    chosen anew; the enrollment's initial twin replaces what there was, also where
 *          the hub stays (a factory reset).
 * never    the hub stays, and so does the twin. The credential is written all the same:
 *          a device that renewed its certificate elsewhere would be locked out else.
 */
#include "domain/dps/links.h"
#include "store/enrollment.h"

/* An initial twin that a webhook chose, over the enrollment's. */
struct assign_twin {
	struct span tags, desired; /* JSON objects */
};

struct assign_ask {
	const struct store_enrollment *by;
	const struct store_registration *was; /* NULL: never registered */
	struct span api_version, address;     /* the device's */
	const struct assign_twin *twin;       /* NULL: none */
};

/* The hub that it stays on, without being asked about; NULL: it is to be chosen. Clients
 * of api-version 2018-04-01 or older stay where the enrollment says nothing of
 * re-provisioning (protocol/device.md 0.1). */
const char *assign_kept(const struct config *cfg, const struct assign_ask *a);
/* That one, else what the enrollment's policy chooses; NULL where no hub is left. Not for
 * "custom", which a webhook chooses for. */
const char *assign_choose(const struct config *cfg, const struct links *l,
    const struct assign_ask *a, struct span registration_id);

/* Puts the identity on the hub. is_new: it was made for this registration. The substatus
 * is static; moved: sessions of the identity may have to go; change: what a connected
 * device has to know of its desired properties (twin_change), empty: nothing. A reset
 * drops the messages for it. */
struct assign_outcome {
	const char *substatus;
	bool moved;
	struct span change;
};
must_check int assign_place(struct domain *d, const struct assign_ask *a, const char *hub,
    bool is_new, struct store_device *dev, struct assign_outcome *ret, struct err *e);

/* The registration's list of earlier hubs, with the one it leaves. In d->arena. */
const char *assign_history(
    struct domain *d, const struct store_registration *was, const char *hub);

#endif
