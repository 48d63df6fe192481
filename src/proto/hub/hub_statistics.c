/*
 * The hub's service API: how many devices there are (protocol/service.md 2.2).
 */
#include "codec/js.h"
#include "proto/hub/identity.h"

static void
on_devices(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_statistics *m = msg;
	if (type == IPC_DONE) {
		identity_done(c, msg);
		return;
	}
	struct js *o = js_object();
	js_set_int(o, "totalDeviceCount", m->total);
	js_set_int(o, "enabledDeviceCount", m->enabled);
	js_set_int(o, "disabledDeviceCount", m->total - m->enabled);
	identity_gather(c, o);
}

static void
on_service(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_statistics *m = msg;
	if (type == IPC_DONE) {
		identity_done(c, msg);
		return;
	}
	struct js *o = js_object();
	js_set_int(o, "connectedDeviceCount", m->connected);
	identity_gather(c, o);
}

void
hub_statistics_devices(struct http_call *c)
{
	const struct ipc_statistics_devices m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_STATISTICS_DEVICES, &m, on_devices);
}

void
hub_statistics_service(struct http_call *c)
{
	const struct ipc_statistics_service m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_STATISTICS_SERVICE, &m, on_service);
}
