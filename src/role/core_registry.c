/*
 * Messages about the registry as a whole: several identities at once
 * (protocol/service.md 2.4), and how many there are.
 */
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"
#include "domain/hub/module.h"
#include "role/core.h"
#include "role/core_transfer.h"

/* ---- several at once ----------------------------------------------------------------
 *
 * They are one turn, and so one transaction; what one of them may not do leaves the
 * others as they are.
 */

struct item {
	struct core *c;
	const struct ipc_registry_bulk *bulk;
	const struct ipc_registry_item *m;
	struct refusal no;
	bool warning; /* of e: the identity is there, its twin not as wanted */
};

static void
recheck(struct item *it)
{
	const struct ipc_registry_item *m = it->m;
	const char *name = module_name(&it->c->d, m->id, m->module_id);
	if (name)
		core_recheck_device(it->c, name);
}

static int
put_device(struct item *it, struct span if_match, struct err *e)
{
	const struct ipc_registry_item *m = it->m;
	const struct ipc_device_put put = {.peer = it->bulk->peer,
	    .id = m->id,
	    .if_match = if_match,
	    .enabled = m->enabled,
	    .status_reason = m->status_reason,
	    .auth = m->auth,
	    .primary_key = m->primary_key,
	    .secondary_key = m->secondary_key,
	    .primary_thumb = m->primary_thumb,
	    .secondary_thumb = m->secondary_thumb,
	    .iot_edge = m->iot_edge};
	struct store_device dev;
	return device_put(&it->c->d, &put, &dev, e);
}

static int
put_module(struct item *it, struct span if_match, struct err *e)
{
	const struct ipc_registry_item *m = it->m;
	const struct ipc_module_put put = {.peer = it->bulk->peer,
	    .device_id = m->id,
	    .module_id = m->module_id,
	    .if_match = if_match,
	    .managed_by = m->managed_by,
	    .auth = m->auth,
	    .primary_key = m->primary_key,
	    .secondary_key = m->secondary_key,
	    .primary_thumb = m->primary_thumb,
	    .secondary_thumb = m->secondary_thumb};
	struct store_device mod;
	return module_put(&it->c->d, &put, &mod, &it->no, e);
}

static int
change_twin(struct item *it, struct span if_match, bool replace, struct err *e)
{
	const struct ipc_registry_item *m = it->m;
	const struct ipc_twin_patch patch = {.peer = it->bulk->peer,
	    .id = m->id,
	    .module_id = m->module_id,
	    .if_match = if_match,
	    .replace = replace,
	    .tags = m->tags,
	    .desired = m->desired};
	struct store_device dev;
	struct span change;
	if (device_twin_patch(&it->c->d, &patch, &dev, &change, &it->no, e))
		return -1;
	if (it->no.code != REFUSAL_NONE)
		return 0;
	return core_twin_changed(it->c, dev.id, change, dev.desired_version, e);
}

/* Whether it is made: told to, or where there is none. */
static int
makes(struct item *it, bool *ret, struct err *e)
{
	const struct ipc_registry_item *m = it->m;
	struct store_device dev;
	struct refusal none = {0};
	*ret = m->mode == IPC_IMPORT_CREATE;
	if (m->mode != IPC_IMPORT_PUT && m->mode != IPC_IMPORT_PUT_IF_MATCH)
		return 0;
	int rc = module_find(
	    &it->c->d, it->bulk->peer.host, m->id, m->module_id, &dev, &none, e);
	if (rc && (e->code != ERR_NOT_FOUND || m->module_id.len))
		return -1;
	*ret = rc || none.code != REFUSAL_NONE;
	return 0;
}

/* The identity, then the twin that came with it. */
static int
put(struct item *it, struct err *e)
{
	const struct ipc_registry_item *m = it->m;
	bool create;
	if (makes(it, &create, e))
		return -1;
	struct span if_match = create ? SPAN_NONE : m->if_match;
	if (m->module_id.len ? put_module(it, if_match, e) : put_device(it, if_match, e))
		return -1;
	if (it->no.code != REFUSAL_NONE)
		return 0;
	recheck(it);
	if (!m->tags.len && !m->desired.len)
		return 0;
	it->warning = change_twin(it, SPAN_LIT("*"), create, e) != 0;
	return it->warning ? -1 : 0;
}

static int delete (struct item *it, struct err *e)
{
	const struct ipc_registry_item *m = it->m;
	const struct ipc_module_delete module = {.peer = it->bulk->peer,
	    .device_id = m->id,
	    .module_id = m->module_id,
	    .if_match = m->if_match};
	const struct ipc_device_delete device = {
	    .peer = it->bulk->peer, .id = m->id, .if_match = m->if_match};
	recheck(it); /* first: later nobody knows which modules it had */
	return m->module_id.len ? module_delete(&it->c->d, &module, &it->no, e)
				: device_delete(&it->c->d, &device, e);
}

static int
run(struct item *it, struct err *e)
{
	switch (it->m->mode) {
	case IPC_IMPORT_CREATE:
	case IPC_IMPORT_UPDATE:
	case IPC_IMPORT_UPDATE_IF_MATCH:
	case IPC_IMPORT_PUT:
	case IPC_IMPORT_PUT_IF_MATCH:
		return put(it, e);
	case IPC_IMPORT_DELETE:
	case IPC_IMPORT_DELETE_IF_MATCH:
		return delete (it, e);
	case IPC_IMPORT_UPDATE_TWIN:
	case IPC_IMPORT_UPDATE_TWIN_IF_MATCH:
		return change_twin(it, it->m->if_match, false, e);
	default:
		return err_set(e, ERR_PARSE, "mode unknown");
	}
}

static int
answer_failed(struct item *it, const struct ask *a, const struct err *why, struct err *e)
{
	char text[REFUSAL_TEXT];
	struct ipc_registry_result m = {.id = it->m->id,
	    .module_id = it->m->module_id,
	    .code = (uint8_t)why->code,
	    .text = span_str(why->text),
	    .warning = it->warning};
	if (it->no.code != REFUSAL_NONE) {
		refusal_text(&it->no, text);
		m.code = (uint8_t)refusal_row(it->no.code)->err;
		m.error = (uint32_t)refusal_row(it->no.code)->hub;
		m.text = span_str(text);
	}
	return core_answer(it->c, a, IPC_REGISTRY_RESULT, &m, e);
}

/* As if it had come alone. */
static int
audit(struct item *it, const struct err *why, struct err *e)
{
	static const char *const whats[] = {[IPC_IMPORT_DELETE] = "device delete",
	    [IPC_IMPORT_DELETE_IF_MATCH] = "device delete",
	    [IPC_IMPORT_UPDATE_TWIN] = "twin patch",
	    [IPC_IMPORT_UPDATE_TWIN_IF_MATCH] = "twin patch"};
	size_t mode = it->m->mode;
	const char *what = mode < sizeof(whats) / sizeof(whats[0]) ? whats[mode] : NULL;
	struct err refused = *why;
	if (it->no.code != REFUSAL_NONE)
		err_set(&refused, refusal_row(it->no.code)->err, "%s",
		    refusal_row(it->no.code)->words);
	return core_audit_item(it->c, &it->bulk->peer, &it->bulk->cred,
	    what ? what : "device put", it->m->id, &refused, e);
}

int
core_registry_import(struct core *c, struct span host, const struct ipc_registry_item *m,
    struct err *ret_why, struct err *e)
{
	const struct ipc_registry_bulk bulk = {.peer.host = host};
	struct item it = {.c = c, .bulk = &bulk, .m = m};
	int rc = run(&it, ret_why);
	if (rc && core_is_lost(ret_why))
		return err_copy(e, ret_why);
	if (rc == 0) /* what a rule looked for in vain is no failure */
		*ret_why = (struct err){.code = ERR_OK};
	if (it.no.code != REFUSAL_NONE)
		err_set(ret_why, refusal_row(it.no.code)->err, "%s",
		    refusal_row(it.no.code)->words);
	return 0;
}

/* One packed item; what the store failed at fails all of them. */
static int
take_item(struct core *c, const struct ask *a, const struct ipc_registry_bulk *bulk,
    struct span packed, struct err *e)
{
	struct ipc_registry_item m;
	struct err why;
	static const struct err fine = {.code = ERR_OK};
	if (ipc_msg_unpack(IPC_REGISTRY_ITEM, packed, &m, e))
		return -1;
	struct item it = {.c = c, .bulk = bulk, .m = &m};
	int rc = run(&it, &why);
	if (rc && core_is_lost(&why))
		return err_copy(e, &why);
	bool good = rc == 0 && it.no.code == REFUSAL_NONE;
	if (audit(&it, rc ? &why : &fine, e))
		return -1;
	return good ? 0 : answer_failed(&it, a, rc ? &why : &fine, e);
}

static int
on_registry_bulk(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_registry_bulk *m = msg;
	struct cursor all = cursor_of(m->items);
	while (all.left && !all.bad) {
		struct span packed = cursor_take(&all, cursor_u32(&all));
		arena_reset(turn_arena(c->turn)); /* twins of all would not fit */
		if (!all.bad && take_item(c, a, m, packed, e))
			return -1;
	}
	if (all.bad)
		return err_set(e, ERR_PARSE, "items are cut");
	return core_done(c, a, "", 0, e);
}

/* ---- how many there are --------------------------------------------------------------
 */

static int
answer_counts(struct core *c, const struct ask *a, struct span host, struct err *e)
{
	struct hubs_counts n;
	if (hubs_count(&c->d, hubs_asked(&c->cfg, host), &n, e))
		return -1;
	const struct ipc_statistics m = {
	    .total = n.total, .enabled = n.enabled, .connected = n.connected};
	if (core_answer(c, a, IPC_STATISTICS, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_statistics(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_statistics_devices *asked = msg; /* both are of one shape */
	return answer_counts(c, a, asked->peer.host, e);
}

/* Of the hub that the path names, whatever the host is called. */
static int
on_hub_stats(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_stats *m = msg;
	return answer_counts(c, a, m->host, e);
}

core_handler *
core_registry_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_REGISTRY_BULK] = on_registry_bulk,
	    [IPC_STATISTICS_DEVICES] = on_statistics,
	    [IPC_HUB_STATS] = on_hub_stats,
	    [IPC_STATISTICS_SERVICE] = on_statistics,
	};
	return handlers[type];
}
