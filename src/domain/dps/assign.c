/*
 * Re-provisioning.
 */
#include "domain/dps/assign.h"

#include <string.h>

#include "codec/hub_conf.h"
#include "domain/dps/alloc.h"
#include "domain/hub/c2d.h"
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"
#include "domain/hub/twin.h"

#define STICKY_VERSION "2018-04-01" /* the last one before policies */
#define HISTORY_MAX    4096

static bool
was_assigned(const struct assign_ask *a)
{
	return a->was && a->was->hub[0];
}

/* Versions are dates, some with "-preview" behind. */
static bool
is_sticky(const struct assign_ask *a)
{
	struct span day = span_head(a->api_version, sizeof(STICKY_VERSION) - 1);
	if (!a->by->reprovision_unset || day.len != sizeof(STICKY_VERSION) - 1)
		return false;
	return memcmp(day.p, STICKY_VERSION, day.len) <= 0;
}

static bool
may_move(const struct assign_ask *a)
{
	return a->by->update_hub && !is_sticky(a);
}

const char *
assign_kept(const struct config *cfg, const struct assign_ask *a)
{
	if (!was_assigned(a) || may_move(a))
		return NULL;
	return hub_conf_find(cfg, span_str(a->was->hub));
}

const char *
assign_choose(const struct config *cfg, const struct links *l, const struct assign_ask *a,
    struct span registration_id)
{
	const struct alloc_ask ask = {.registration_id = registration_id,
	    .policy = a->by->allocation,
	    .hubs = a->by->hubs,
	    .address = a->address};
	const char *kept = assign_kept(cfg, a);
	return kept ? kept : alloc_hub(cfg, l, &ask);
}

/* ---- the identity ---------------------------------------------------------------------
 */

static int
write_twin(struct domain *d, const struct assign_ask *a, struct store_device *dev,
    struct span *ret_change, struct err *e)
{
	struct span tags = a->twin ? a->twin->tags : a->by->tags;
	struct span desired = a->twin ? a->twin->desired : a->by->desired;
	return twin_initial(d, tags, desired, dev, ret_change, e);
}

/* As if it had been deleted from one hub and made in the other. */
static int
reset(struct domain *d, const struct assign_ask *a, bool moved, struct store_device *dev,
    struct span *ret_change, struct err *e)
{
	int64_t dropped;
	twin_drop_reported(d, dev);
	if (moved)
		dev->generation = device_new_generation(d);
	if (c2d_drop(d, dev->id, &dropped, e))
		return -1;
	return write_twin(d, a, dev, ret_change, e);
}

static bool
is_among(const struct config *cfg, const char *hub, const char *hubs)
{
	struct span rest = span_str(hubs);
	while (rest.len)
		if (hub_conf_find(cfg, span_split(&rest, ' ')) == hub)
			return true;
	return false;
}

static const char *
word(const struct config *cfg, const struct assign_ask *a, const char *hub, bool moved)
{
	if (!moved)
		return "initialAssignment";
	return is_among(cfg, hub, a->was->hubs) ? "reprovisionedToInitialAssignment"
						: "deviceDataMigrated";
}

/* The hub that the identity is on, else the one that it was assigned to. */
static const char *
hub_before(
    const struct config *cfg, const struct assign_ask *a, const struct store_device *dev)
{
	const char *on = hubs_of(cfg, dev);
	return on || !was_assigned(a) ? on : hub_conf_find(cfg, span_str(a->was->hub));
}

int
assign_place(struct domain *d, const struct assign_ask *a, const char *hub, bool is_new,
    struct store_device *dev, struct assign_outcome *ret, struct err *e)
{
	const char *on = hub_before(d->cfg, a, dev);
	bool moved = !is_new && on && on != hub;
	bool again = was_assigned(a) && !is_new;
	bool data_goes = again && may_move(a) && (!a->by->migrate_data || a->twin);
	ret->change = SPAN_NONE;
	if (is_new && write_twin(d, a, dev, &ret->change, e))
		return -1;
	if (data_goes && reset(d, a, moved, dev, &ret->change, e))
		return -1;
	dev->hub = hub;
	ret->moved = moved;
	ret->substatus =
	    data_goes ? "deviceDataReset" : word(d->cfg, a, hub, again && moved);
	return 0;
}

/* ---- where it has been ----------------------------------------------------------------
 */

const char *
assign_history(struct domain *d, const struct store_registration *was, const char *hub)
{
	const char *left = was ? hub_conf_find(d->cfg, span_str(was->hub)) : NULL;
	if (!left || left == hub || is_among(d->cfg, left, was->hubs))
		return was ? was->hubs : "";
	if (strlen(was->hubs) + strlen(left) >= HISTORY_MAX)
		return was->hubs;
	return arena_printf(d->arena, "%s%s%s", was->hubs, was->hubs[0] ? " " : "", left);
}
