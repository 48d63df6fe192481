/*
 * What may be configured, and what a change of it has looked at anew.
 */
#include "domain/hub/configuration.h"

#include <string.h>

#include "codec/id.h"
#include "codec/query.h"
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"

#define CONDITION_COST 128 /* bytes for each of a condition's (QUERY_ARENA) */
#define ONE_COST       8192

size_t
configuration_bytes(struct span desired, struct span condition)
{
	return ONE_COST + desired.len + CONDITION_COST * condition.len;
}

struct counter {
	const char *hub;
	int n, all;
	size_t bytes;
};

static int
count(void *ctx, const struct store_configuration *x, struct err *e)
{
	struct counter *c = ctx;
	(void)e;
	c->n += !x->gone && strcmp(x->hub, c->hub) == 0;
	c->all++;
	c->bytes += configuration_bytes(x->desired, span_str(x->condition));
	return 0;
}

static int
check_put(struct domain *d, const struct ipc_configuration_put *m, struct err *e)
{
	struct query q;
	if (!id_is_device(m->id))
		return err_set(e, ERR_PARSE, "id: a character that IDs may not have");
	if (!m->condition.len)
		return 0;
	if (query_parse_condition(m->condition, d->arena, &q, e))
		return err_wrap(e, "targetCondition");
	if (m->content.len && (q.from == QUERY_MODULES) != (m->modules != 0))
		return err_set(e, ERR_PARSE,
		    "targetCondition: moduleContent is for devices.modules");
	return 0;
}

/* ---- by ID ------------------------------------------------------------------------- */

int
configuration_get(struct domain *d, struct span host, struct span id,
    struct store_configuration *ret, struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	const char *name = arena_str(d->arena, id);
	if (store_configuration_get(
		d->store, hubs_asked(d->cfg, host), name, d->arena, ret, e) == 0)
		return 0;
	return e->code == ERR_NOT_FOUND
		   ? refusal_set(no, REFUSAL_CONFIGURATION_UNKNOWN, "%s", name)
		   : -1;
}

/* Of a request that changes it. */
static int
find(struct domain *d, struct span host, struct span id, struct span if_match,
    struct store_configuration *ret, struct refusal *no, struct err *e)
{
	struct store_configuration x;
	if (configuration_get(d, host, id, &x, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (if_match.len && !device_etag_matches(if_match, x.etag))
		return err_set(
		    e, ERR_CONFLICT, "configuration %s: etag does not match", x.id);
	*ret = x;
	return 0;
}

/* ---- PUT --------------------------------------------------------------------------- */

static int
create(struct domain *d, const struct ipc_configuration_put *m,
    struct store_configuration *ret, struct refusal *no, struct err *e)
{
	int64_t now = domain_now(d);
	struct counter c = {.hub = hubs_asked(d->cfg, m->peer.host)};
	if (!m->content.len)
		return err_set(e, ERR_PARSE, "content is missing");
	if (store_configuration_each(d->store, count, &c, e))
		return -1;
	if (c.n >= CONFIGURATIONS_MAX)
		return refusal_set(
		    no, REFUSAL_CONFIGURATIONS_FULL, "%d", CONFIGURATIONS_MAX);
	/* a slice has all of them at hand: with one more than it can, none would walk */
	if (c.all >= CONFIGURATIONS_ALL ||
	    c.bytes + configuration_bytes(m->desired, m->condition) >
		CONFIGURATIONS_BYTES)
		return refusal_set(no, REFUSAL_CONFIGURATIONS_FULL, "%d of all hubs",
		    CONFIGURATIONS_ALL);
	const struct store_configuration x = {.hub = c.hub,
	    .id = arena_str(d->arena, m->id),
	    .etag = 1,
	    .schema_version = arena_str(d->arena, m->schema_version),
	    .labels = m->labels,
	    .content = m->content,
	    .desired = m->desired,
	    .modules = m->modules,
	    .condition = arena_str(d->arena, m->condition),
	    .priority = m->priority,
	    .metrics = m->metrics,
	    .created_ms = now,
	    .updated_ms = now,
	    .walk = STORE_WALK_ALL};
	if (store_configuration_add(d->store, &x, e))
		return e->code == ERR_EXISTS
			   ? refusal_set(no, REFUSAL_CONFIGURATION_EXISTS, "%s", x.id)
			   : -1;
	*ret = x;
	return 0;
}

static int
rewrite(struct domain *d, const struct ipc_configuration_put *m,
    struct store_configuration *x, struct refusal *no, struct err *e)
{
	bool same = span_eq_str(m->condition, x->condition) && m->priority == x->priority;
	struct counter c = {.hub = x->hub};
	if (m->content.len &&
	    (!span_eq(m->content, x->content) || m->modules != x->modules))
		return refusal_set(no, REFUSAL_CONFIGURATION_FIXED, "%s", x->id);
	if (store_configuration_each(d->store, count, &c, e))
		return -1;
	if (m->condition.len > strlen(x->condition) &&
	    c.bytes + configuration_bytes(SPAN_NONE, m->condition) > CONFIGURATIONS_BYTES)
		return refusal_set(no, REFUSAL_CONFIGURATIONS_FULL, "%s", x->id);
	x->etag++;
	x->schema_version = arena_str(d->arena, m->schema_version);
	x->labels = m->labels;
	x->condition = arena_str(d->arena, m->condition);
	x->priority = m->priority;
	x->metrics = m->metrics;
	x->updated_ms = domain_now(d);
	if (!same) {
		x->walk = STORE_WALK_MEANT;
		x->at = 0;
	}
	return store_configuration_put(d->store, x, e);
}

int
configuration_put(struct domain *d, const struct ipc_configuration_put *m,
    struct store_configuration *ret, struct refusal *no, struct err *e)
{
	struct store_configuration x;
	*no = (struct refusal){0};
	if (check_put(d, m, e))
		return -1;
	if (!m->if_match.len)
		return create(d, m, ret, no, e);
	if (find(d, m->peer.host, m->id, m->if_match, &x, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (rewrite(d, m, &x, no, e))
		return -1;
	*ret = x;
	return 0;
}

/* ---- DELETE, and the walk ---------------------------------------------------------- */

int
configuration_delete(struct domain *d, const struct ipc_configuration_delete *m,
    struct refusal *no, struct err *e)
{
	struct store_configuration x;
	if (find(d, m->peer.host, m->id, m->if_match, &x, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	x.gone = true;
	x.walk = STORE_WALK_MEANT;
	x.at = 0;
	return store_configuration_put(d->store, &x, e);
}

int
configuration_walked(struct domain *d, struct store_configuration *x, bool over,
    bool *ret_on, struct err *e)
{
	*ret_on = !over || (x->walk == STORE_WALK_MEANT && !x->gone);
	if (over && x->gone)
		return store_configuration_del(d->store, x->n, e);
	if (over) {
		x->walk = x->walk == STORE_WALK_MEANT ? STORE_WALK_ALL : STORE_WALK_NONE;
		x->at = 0;
	}
	return store_configuration_walk(d->store, x, e);
}
