/*
 * Module identities.
 */
#include "domain/hub/module.h"

#include "codec/id.h"
#include "domain/hub/device.h"
#include "store/module.h"

const char *
module_name(struct domain *d, struct span device_id, struct span module_id)
{
	if (span_has(device_id, '/') || span_has(device_id, 0) ||
	    span_has(module_id, '/') || span_has(module_id, 0))
		return NULL;
	if (!module_id.len)
		return arena_str(d->arena, device_id);
	return arena_printf(
	    d->arena, "%.*s/%.*s", SPAN_FMT(device_id), SPAN_FMT(module_id));
}

static int
no_module(struct refusal *no, struct span device_id, struct span module_id)
{
	return refusal_set(no, REFUSAL_NO_MODULE, "%.*s of %.*s",
	    SPAN_FMT(span_head(module_id, 64)), SPAN_FMT(span_head(device_id, 64)));
}

int
module_find(struct domain *d, struct span host, struct span device_id,
    struct span module_id, struct store_device *ret, struct refusal *no, struct err *e)
{
	struct store_device device;
	const char *name = module_name(d, device_id, module_id);
	*no = (struct refusal){0};
	if (device_find(d, host, device_id, &device, e))
		return -1;
	if (!module_id.len)
		*ret = device;
	else if (!name)
		return no_module(no, device_id, module_id);
	else if (store_device_get(d->store, name, d->arena, ret, e))
		return e->code == ERR_NOT_FOUND ? no_module(no, device_id, module_id)
						: -1;
	return 0;
}

/* ---- PUT ------------------------------------------------------------------------------
 */

static int
count(void *ctx, const struct store_device *m, struct err *e)
{
	int *n = ctx;
	(void)m;
	(void)e;
	++*n;
	return 0;
}

static int
add(struct domain *d, const struct ipc_module_put *m, struct store_device *mod,
    struct refusal *no, struct err *e)
{
	int n = 0;
	const char *device_id = arena_str(d->arena, m->device_id);
	if (store_module_each(d->store, device_id, count, &n, e))
		return -1;
	if (n >= MODULES_MAX)
		return refusal_set(no, REFUSAL_MODULES_FULL, "%d", MODULES_MAX);
	if (store_device_add(d->store, mod, e) == 0)
		return 0;
	if (e->code != ERR_EXISTS)
		return -1;
	return refusal_set(
	    no, REFUSAL_MODULE_EXISTS, "%.*s", SPAN_FMT(span_head(m->module_id, 128)));
}

/* As a device's; a module has neither a status nor capabilities. */
static int
fill(struct domain *d, const struct ipc_module_put *m, struct store_device *mod,
    struct err *e)
{
	const struct ipc_device_put as = {.enabled = mod->enabled,
	    .status_reason = span_str(mod->status_reason),
	    .auth = m->auth,
	    .primary_key = m->primary_key,
	    .secondary_key = m->secondary_key,
	    .primary_thumb = m->primary_thumb,
	    .secondary_thumb = m->secondary_thumb};
	if (device_fill(d, &as, mod, e))
		return err_wrap(e, "module %s", mod->id);
	mod->managed_by = arena_str(d->arena, m->managed_by);
	return 0;
}

static int
create(struct domain *d, const struct ipc_module_put *m, struct store_device *ret,
    struct refusal *no, struct err *e)
{
	struct store_device device;
	if (!id_is_device(m->module_id))
		return err_set(e, ERR_PARSE, "module ID '%.*s' is malformed",
		    SPAN_FMT(span_head(m->module_id, ID_MAX)));
	if (device_find(d, m->peer.host, m->device_id, &device, e))
		return -1;
	*ret = device_blank(d, module_name(d, m->device_id, m->module_id));
	return fill(d, m, ret, e) ? -1 : add(d, m, ret, no, e);
}

int
module_put(struct domain *d, const struct ipc_module_put *m, struct store_device *ret,
    struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	if (!m->if_match.len)
		return create(d, m, ret, no, e);
	if (module_find(d, m->peer.host, m->device_id, m->module_id, ret, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (!device_etag_matches(m->if_match, ret->etag))
		return err_set(
		    e, ERR_CONFLICT, "module %s: etag does not match", ret->id);
	if (fill(d, m, ret, e))
		return -1;
	ret->etag++;
	return store_device_put(d->store, ret, e);
}

int
module_delete(struct domain *d, const struct ipc_module_delete *m, struct refusal *no,
    struct err *e)
{
	struct store_device mod;
	if (module_find(d, m->peer.host, m->device_id, m->module_id, &mod, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (m->if_match.len && !device_etag_matches(m->if_match, mod.etag))
		return err_set(e, ERR_CONFLICT, "module %s: etag does not match", mod.id);
	return store_device_del(d->store, mod.id, e);
}
