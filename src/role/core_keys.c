/*
 * Messages about keys of identities: fresh ones for several at once. They are one turn,
 * and so one transaction; what one of them may not have leaves the others alone.
 */
#include "domain/hub/device.h"
#include "domain/hub/module.h"
#include "role/core.h"

static int
answer_failed(struct core *c, const struct ask *a, const struct ipc_keys_item *it,
    const struct refusal *no, const struct err *why, struct err *e)
{
	char text[REFUSAL_TEXT];
	struct ipc_keys_result m = {.id = it->id,
	    .module_id = it->module_id,
	    .code = (uint8_t)why->code,
	    .text = span_str(why->text)};
	if (no->code != REFUSAL_NONE) {
		refusal_text(no, text);
		m.code = (uint8_t)refusal_row(no->code)->err;
		m.error = (uint32_t)refusal_row(no->code)->hub;
		m.text = span_str(text);
	}
	return core_answer(c, a, IPC_KEYS_RESULT, &m, e);
}

static int
answer_keys(struct core *c, const struct ask *a, const struct ipc_keys_item *it,
    const struct store_device *dev, uint8_t which, struct err *e)
{
	const struct ipc_keys_result m = {.id = it->id,
	    .module_id = it->module_id,
	    .primary_key = which == IPC_KEYS_SECONDARY ? SPAN_NONE : dev->primary_key,
	    .secondary_key = which == IPC_KEYS_PRIMARY ? SPAN_NONE : dev->secondary_key};
	return core_answer(c, a, IPC_KEYS_RESULT, &m, e);
}

/* As if it had come alone. */
static int
audit(struct core *c, const struct ipc_keys_regenerate *m, const struct ipc_keys_item *it,
    const struct refusal *no, const struct err *why, struct err *e)
{
	struct err refused = *why;
	if (no->code != REFUSAL_NONE)
		err_set(&refused, refusal_row(no->code)->err, "%s",
		    refusal_row(no->code)->words);
	return core_audit_item(c, &m->peer, &m->cred, "device keys", it->id, &refused, e);
}

static int
take_item(struct core *c, const struct ask *a, const struct ipc_keys_regenerate *m,
    struct span packed, struct err *e)
{
	struct ipc_keys_item it;
	struct store_device dev;
	struct refusal no = {0};
	struct err why = {.code = ERR_OK};
	if (ipc_msg_unpack(IPC_KEYS_ITEM, packed, &it, e))
		return -1;
	int rc = device_new_keys(
	    &c->d, m->peer.host, it.id, it.module_id, m->which, &dev, &no, &why);
	if (rc && core_is_lost(&why))
		return err_copy(e, &why);
	if (audit(c, m, &it, &no, &why, e))
		return -1;
	if (rc || no.code != REFUSAL_NONE)
		return answer_failed(c, a, &it, &no, &why, e);
	core_recheck_device(c, dev.id);
	return answer_keys(c, a, &it, &dev, m->which, e);
}

static int
on_regenerate(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_keys_regenerate *m = msg;
	struct cursor all = cursor_of(m->items);
	while (all.left && !all.bad) {
		struct span packed = cursor_take(&all, cursor_u32(&all));
		if (!all.bad && take_item(c, a, m, packed, e))
			return -1;
	}
	if (all.bad)
		return err_set(e, ERR_PARSE, "items are cut");
	return core_done(c, a, "", 0, e);
}

core_handler *
core_keys_handler(enum ipc_type type)
{
	return type == IPC_KEYS_REGENERATE ? on_regenerate : NULL;
}
