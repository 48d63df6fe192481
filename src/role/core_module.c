/*
 * Messages of the service API about modules.
 */
#include <string.h>

#include "domain/hub/device.h"
#include "domain/hub/module.h"
#include "domain/access/policy.h"
#include "role/core.h"
#include "store/module.h"

/* The answer to a request about one module. */
static int
answer(struct core *c, const struct ask *a, const struct store_device *mod, bool keys,
    const struct refusal *no, struct err *e)
{
	if (no->code != REFUSAL_NONE)
		return core_refused(c, a, no, refusal_row(no->code)->hub, e);
	if (mod && core_answer_device(c, a, mod, keys, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_module_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_module_get *m = msg;
	struct store_device mod;
	struct refusal no;
	bool keys;
	if (policy_shows_keys(&c->d, &m->cred, &keys, e) ||
	    module_find(&c->d, m->peer.host, m->device_id, m->module_id, &mod, &no, e))
		return -1;
	return answer(c, a, &mod, keys, &no, e);
}

static void
recheck(struct core *c, struct span device_id, struct span module_id)
{
	core_recheck_device(c, module_name(&c->d, device_id, module_id));
}

static int
on_module_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_module_put *m = msg;
	struct store_device mod;
	struct refusal no;
	if (module_put(&c->d, m, &mod, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		recheck(c, m->device_id, m->module_id);
	return answer(c, a, &mod, true, &no, e);
}

static int
on_module_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_module_delete *m = msg;
	struct refusal no;
	if (module_delete(&c->d, m, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		recheck(c, m->device_id, m->module_id);
	return answer(c, a, NULL, true, &no, e);
}

struct listing {
	struct core *c;
	const struct ask *a;
	bool keys;
};

static int
visit_module(void *ctx, const struct store_device *mod, struct err *e)
{
	struct listing *l = ctx;
	return core_answer_device(l->c, l->a, mod, l->keys, e);
}

/* MODULES_MAX at most: one page. With keys, as the list of devices. */
static int
on_module_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_module_query *m = msg;
	struct store_device device;
	struct listing l = {.c = c, .a = a};
	if (policy_shows_keys(&c->d, &m->cred, &l.keys, e) ||
	    device_find(&c->d, m->peer.host, m->device_id, &device, e) ||
	    store_module_each(c->store, device.id, visit_module, &l, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_module_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_MODULE_GET] = on_module_get,
	    [IPC_MODULE_PUT] = on_module_put,
	    [IPC_MODULE_DELETE] = on_module_delete,
	    [IPC_MODULE_QUERY] = on_module_query,
	};
	return handlers[type];
}
