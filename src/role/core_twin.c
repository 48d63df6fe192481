/*
 * Twins as their devices see them: GET, reports, and the push of desired properties.
 */
#include "codec/topic.h"
#include "domain/hub/twin.h"
#include "role/core.h"

static int
on_hub_twin_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_twin_get *m = msg;
	const struct session *s = core_session(c, a, m->session);
	struct store_device dev;
	if (!s)
		return err_set(e, ERR_UNAVAILABLE, "the session is over");
	if (store_device_get(c->store, s->name, turn_arena(c->turn), &dev, e))
		return -1;
	struct ipc_hub_twin twin = {.desired = dev.desired,
	    .desired_version = dev.desired_version,
	    .reported = dev.reported,
	    .reported_version = dev.reported_version};
	return core_answer(c, a, IPC_HUB_TWIN, &twin, e);
}

static int
on_hub_twin_report(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_twin_report *m = msg;
	const struct session *s = core_session(c, a, m->session);
	int64_t version;
	if (!s)
		return err_set(e, ERR_UNAVAILABLE, "the session is over");
	if (twin_report(&c->d, s->name, m, &version, e))
		return -1;
	return core_done(c, a, "", version, e);
}

int
core_twin_changed(
    struct core *c, const char *name, struct span change, int64_t version, struct err *e)
{
	const struct session *s = change.len ? session_of(&c->sessions, name) : NULL;
	if (!s || topic_subs_qos(s->subs, TOPIC_SUB_TWIN_DESIRED) < 0)
		return 0;
	struct ipc_hub_desired m = {
	    .session = s->id, .version = version, .patch = change};
	return turn_send(c->turn, s->edge, IPC_HUB_DESIRED, 0, &m, e);
}

core_handler *
core_twin_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_HUB_TWIN_GET] = on_hub_twin_get,
	    [IPC_HUB_TWIN_REPORT] = on_hub_twin_report,
	};
	return handlers[type];
}
