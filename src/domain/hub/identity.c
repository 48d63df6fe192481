/*
 * Identities that DPS makes and keeps.
 */
#include "domain/hub/identity.h"

#include <string.h>

#include "domain/hub/device.h"
#include "domain/pki/issue.h"

static bool
is_native(const struct domain *d)
{
	return d->cfg->server.profile == CONFIG_PROFILE_NATIVE;
}

static void
give_keys(const struct attested *a, struct store_device *dev)
{
	dev->auth = STORE_AUTH_SAS;
	dev->sas_window = false;
	dev->primary_key = a->primary_key;
	dev->secondary_key = a->secondary_key;
	dev->primary_thumb = dev->secondary_thumb = "";
}

/* native: the keys stay for the migration window, as with give_ca. */
static void
give_thumbprint(struct domain *d, const struct attested *a, struct store_device *dev)
{
	dev->sas_window =
	    is_native(d) && (dev->auth == STORE_AUTH_SAS || dev->sas_window);
	if (!dev->sas_window)
		dev->primary_key = dev->secondary_key = SPAN_NONE;
	dev->auth = STORE_AUTH_SELF_SIGNED;
	dev->primary_thumb = arena_str(d->arena, span_str(a->thumb));
	dev->secondary_thumb = dev->primary_thumb;
}

static void
give_ca(struct store_device *dev)
{
	dev->sas_window = dev->auth == STORE_AUTH_SAS || dev->sas_window;
	dev->auth = STORE_AUTH_CA;
	dev->primary_thumb = dev->secondary_thumb = "";
}

/* The hub lets a device in by its chain where the CN is its ID. Not one that is enrolled
 * by the certificate itself: whoever has that CN from any trusted CA would be the device.
 */
static bool
goes_by_chain(
    const struct domain *d, const struct attested *a, const struct store_device *dev)
{
	return is_native(d) && a->by.kind == STORE_GROUP && a->has_chain &&
	       strcmp(a->cn, dev->id) == 0;
}

static void
give_credential(struct domain *d, const struct attested *a, struct store_device *dev)
{
	if (a->by_key)
		give_keys(a, dev);
	else if (goes_by_chain(d, a, dev))
		give_ca(dev);
	else
		give_thumbprint(d, a, dev);
}

/* A symmetric registration of a device that has gone over to X.509: within its migration
 * window it changes nothing (the device fell back for now); after it, it is an attack or
 * a mistake, for a group key could otherwise undo the migration. */
static bool
is_downgrade(const struct store_device *dev, const struct attested *a)
{
	bool is_x509 = dev->auth == STORE_AUTH_CA || dev->auth == STORE_AUTH_SELF_SIGNED;
	return a->by_key && is_x509;
}

static const char *
group_of(const struct attested *a)
{
	return a->by.kind == STORE_GROUP ? a->by.id : "";
}

int
identity_write(struct domain *d, const struct identity_change *ch,
    struct assign_outcome *ret, int64_t *ret_version, struct refusal *no, struct err *e)
{
	struct store_device dev;
	const char *id = ch->device_id;
	bool is_new = false;
	if (store_device_get(d->store, id, d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		is_new = true;
		dev = device_blank(d, id);
		dev.iot_edge = ch->by->by.iot_edge;
	}
	if (!dev.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", id);
	bool keep = is_downgrade(&dev, ch->by);
	if (keep && !dev.sas_window)
		return refusal_set(no, REFUSAL_DOWNGRADE, "%s", id);
	if (assign_place(d, ch->assign, ch->hub, is_new, &dev, ret, e))
		return -1;
	if (!keep)
		give_credential(d, ch->by, &dev);
	dev.group_id = group_of(ch->by);
	dev.etag++;
	*ret_version = dev.desired_version;
	return is_new ? store_device_add(d->store, &dev, e)
		      : store_device_put(d->store, &dev, e);
}

static void
pin(struct domain *d, const char *sha256, struct store_device *dev)
{
	dev->auth = STORE_AUTH_SELF_SIGNED;
	dev->sas_window = false;
	dev->primary_key = dev->secondary_key = SPAN_NONE;
	dev->primary_thumb = arena_str(d->arena, span_str(sha256));
	dev->secondary_thumb = dev->primary_thumb;
}

/* native: sha256 is good at the hub beside the one that was shown. That becomes the
 * first; so where the second was shown, the first is what came before it and goes. A
 * second that was not shown goes where it is ours, and not where an operator entered it.
 */
static int
pin_beside(struct domain *d, const char *shown, const char *sha256,
    struct store_device *dev, struct err *e)
{
	bool free = true;
	if (shown[0] && strcmp(shown, dev->secondary_thumb) == 0)
		dev->primary_thumb = dev->secondary_thumb;
	else if (dev->secondary_thumb[0] &&
		 strcmp(dev->secondary_thumb, dev->primary_thumb) != 0 &&
		 issue_is_of(d, dev->secondary_thumb, dev->id, &free, e))
		return -1;
	if (free)
		dev->secondary_thumb = sha256;
	return 0;
}

int
identity_certify(
    struct domain *d, const char *device_id, const char *sha256, struct err *e)
{
	struct store_device dev;
	if (store_device_get(d->store, device_id, d->arena, &dev, e))
		return -1;
	if (!is_native(d))
		pin(d, sha256, &dev);
	else if (dev.auth != STORE_AUTH_SELF_SIGNED)
		give_ca(&dev);
	else if (pin_beside(d, "", sha256, &dev, e))
		return -1;
	dev.etag++;
	return store_device_put(d->store, &dev, e);
}

int
identity_renewed(struct domain *d, const char *device_id, const char *shown,
    const char *sha256, struct err *e)
{
	struct store_device dev;
	if (store_device_get(d->store, device_id, d->arena, &dev, e))
		return -1;
	if (!is_native(d) || dev.auth != STORE_AUTH_SELF_SIGNED)
		return 0;
	if (pin_beside(d, shown, sha256, &dev, e))
		return -1;
	dev.etag++;
	return store_device_put(d->store, &dev, e);
}
