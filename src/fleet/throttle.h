#ifndef FLEET_THROTTLE_H
#define FLEET_THROTTLE_H
/*
 * The throttles of a campaign's target, and how long the campaign takes by them: found
 * when it is planned, recorded in it, told by plan and status alike.
 */
#include "fleet/migration.h"

struct js;

/* What the target lets: as targets.conf says, else as the resource manager tells the
 * hub's SKU; of an Azure where neither does, the smallest, and that is said: *ret_from.
 * A muster's are known by its 429 alone. */
must_check int throttle_find(
    struct migration *m, struct pace_limits *ret, const char **ret_from, struct err *e);
/* In the campaign. */
must_check int throttle_record(
    struct migration *m, const struct pace_limits *l, const char *from, struct err *e);
/* What is recorded. */
must_check int throttle_get(struct migration *m, struct pace_limits *ret, struct err *e);

/* For waves of so many devices on a hub of so many; recorded. */
must_check int throttle_predict(struct migration *m, const struct pace_limits *l,
    const size_t *waves, size_t n, size_t on_hub, struct err *e);

/* Two lines. */
must_check int throttle_print(struct migration *m, struct err *e);
/* The same as members of o. */
must_check int throttle_put(struct migration *m, struct js *o, struct err *e);

#endif
