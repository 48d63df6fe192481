/*
 * Throttles of a target.
 */
#include "fleet/throttle.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define HUB_MAX (1024 * 1024)
/* From the first word of ssh to the switch, of one device; what its own network adds is
 * not known. */
#define DEVICE_MS 10000

/* ---- finding ---- */

int
throttle_record(
    struct migration *m, const struct pace_limits *l, const char *from, struct err *e)
{
	return campaign_meta_put(m->file, "tier", l->tier, e) ||
		       campaign_meta_put(m->file, "tier_from", from, e) ||
		       migration_put_int(m, "units", l->units, e)
		   ? -1
		   : 0;
}

/* The SKU is GEN2 for hubs whose throttles nobody has published (service.md 9.10): an
 * error that says what to do. */
static int
ask_sku(struct migration *m, struct pace_limits *ret, struct err *e)
{
	struct rest_request q;
	struct rest_response r;
	auto_buf body = BUF_INIT(HUB_MAX);
	azure_hub_get(m->arena, m->target->resource, &q);
	if (migration_ask(m, PACE_ARM, &q, "hub properties", &body, &r, e))
		return -1;
	auto_(js_free) struct js *hub = js_parse(r.body, HUB_MAX, 32, e);
	if (!hub)
		return err_wrap(e, "hub properties");
	const struct js *sku = js_get(hub, "sku");
	int64_t units = js_as_int(js_get(sku, "capacity"));
	if (units < 1 || units > PACE_UNITS_MAX)
		units = 1;
	if (pace_limits_of(js_as_str(js_get(sku, "name")), units, ret, e))
		return err_wrap(e, "set tier and units in targets.conf");
	return 0;
}

static int
find_limits(
    struct migration *m, struct pace_limits *ret, const char **from, struct err *e)
{
	const char *tier, *units;
	struct err why;
	int64_t n = 1;
	service_tier(m->service, &tier, &units);
	(void)num_ok(span_str(units), 1, PACE_UNITS_MAX, &n);
	*from = "targets.conf";
	if (tier[0])
		return pace_limits_of(span_str(tier), n, ret, e);
	*from = "";
	if (m->logs)
		return 0;
	*from = "the hub's SKU";
	if (m->target->resource[0] && ask_sku(m, ret, &why) == 0)
		return 0;
	if (m->target->resource[0] && why.code == ERR_PARSE)
		return err_copy(e, &why);
	*from = "assumed, the smallest: set tier and units in targets.conf";
	return pace_limits_of(SPAN_LIT("S1"), n, ret, e);
}

int
throttle_find(
    struct migration *m, struct pace_limits *ret, const char **ret_from, struct err *e)
{
	struct pace_limits l = {0};
	const char *from;
	if (find_limits(m, &l, &from, e))
		return err_wrap(e, "throttles of the target");
	*ret = l;
	*ret_from = from;
	return 0;
}

int
throttle_get(struct migration *m, struct pace_limits *ret, struct err *e)
{
	const char *tier;
	int64_t units;
	*ret = (struct pace_limits){0};
	if (migration_get(m, "tier", "", &tier, e) ||
	    migration_get_int(m, "units", 1, &units, e))
		return -1;
	return tier[0] ? pace_limits_of(span_str(tier), units, ret, e) : 0;
}

/* ---- the prediction ---- */

/* Of a target without logs all is asked of identities and twins: read before the first
 * change, written by the provisioning service (which counts too), and looked at until the
 * hub knows. */
static const struct pace_cost cost_plain = {
    .device = {[PACE_REGISTRY] = 2,
	[PACE_TWIN_READ] = 6,
	[PACE_TWIN_WRITE] = 1,
	[PACE_REGISTER] = 1},
    .wave = {[PACE_QUERY] = 1},
    .device_ms = DEVICE_MS,
};
static const struct pace_cost cost_logs = {
    .device = {[PACE_REGISTRY] = 2, [PACE_TWIN_WRITE] = 1, [PACE_REGISTER] = 1},
    .device_ms = DEVICE_MS,
};

int
throttle_predict(struct migration *m, const struct pace_limits *l, const size_t *waves,
    size_t n, size_t on_hub, struct err *e)
{
	struct pace_cost c = m->logs ? cost_logs : cost_plain;
	struct pace_prediction p;
	c.parallel = m->o->parallel;
	/* the devices are counted when a run ends, which usually is after each wave */
	c.wave[PACE_QUERY] += (int64_t)(on_hub / AZURE_PAGE + 1);
	pace_predict(l, &c, waves, n, &p);
	return migration_put_int(m, "predicted_ms", p.ms, e) ||
		       migration_put_int(m, "predicted_by", p.by, e) ||
		       migration_put_int(m, "predicted_parallel", c.parallel, e)
		   ? -1
		   : 0;
}

/* ---- telling ---- */

struct told {
	struct pace_limits limits;
	const char *from;
	int64_t ms, by, parallel;
};

static int
get_all(struct migration *m, struct told *t, struct err *e)
{
	return throttle_get(m, &t->limits, e) ||
		       migration_get(m, "tier_from", "", &t->from, e) ||
		       migration_get_int(m, "predicted_ms", 0, &t->ms, e) ||
		       migration_get_int(m, "predicted_by", 0, &t->by, e) ||
		       migration_get_int(m, "predicted_parallel", 0, &t->parallel, e)
		   ? -1
		   : 0;
}

static const char *
name_of(int64_t by)
{
	return by >= 0 && by < PACE_FAMILIES ? pace_name((enum pace_family)by)
					     : "devices at once";
}

static void
print_limits(const struct told *t)
{
	const char *between = "";
	printf("throttles: %s, %lld unit%s (%s): ", t->limits.tier,
	    (long long)t->limits.units, t->limits.units == 1 ? "" : "s", t->from);
	for (int f = 0; f < PACE_FAMILIES; f++) {
		if (!t->limits.per_min[f])
			continue;
		printf("%s%s %lld", between, pace_name((enum pace_family)f),
		    (long long)t->limits.per_min[f]);
		between = ", ";
	}
	printf(" a minute; %d %% of it is used\n", PACE_SHARE);
}

int
throttle_print(struct migration *m, struct err *e)
{
	struct told t;
	char text[PACE_TEXT];
	if (get_all(m, &t, e))
		return -1;
	if (t.limits.tier[0])
		print_limits(&t);
	if (!t.ms)
		return 0;
	pace_text(t.ms, text);
	if (t.by == PACE_BY_DEVICES)
		printf("predicted: %s, by the devices' own time (%lld at once)\n", text,
		    (long long)t.parallel);
	else
		printf("predicted: %s, by the throttle of %s\n", text, name_of(t.by));
	return 0;
}

int
throttle_put(struct migration *m, struct js *o, struct err *e)
{
	struct told t;
	const char *target;
	if (get_all(m, &t, e) || migration_get(m, "target", "", &target, e))
		return -1;
	js_set_text(o, "target", target);
	js_set_text(o, "tier", t.limits.tier);
	js_set_int(o, "units", t.limits.tier[0] ? t.limits.units : 0);
	js_set_int(o, "predictedMilliseconds", t.ms);
	js_set_text(o, "limit", t.ms ? name_of(t.by) : "");
	return 0;
}
