/*
 * Telemetry of devices over HTTPS. No session stands behind it: core_admit.c says who
 * sends.
 */
#include "codec/event_list.h"
#include "role/core.h"

/* That the list is whole: what is found half-way would leave the first half stored. */
static int
check_list(struct span list, struct err *e)
{
	struct span props, body;
	int r;
	while ((r = event_list_next(&list, &props, &body, e)) > 0)
		if (props.len > CAP_JSON || body.len > CAP_BODY)
			return err_set(e, ERR_LIMIT, "message in a list is too large");
	return r;
}

static int
on_device_send(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_device_send *m = msg;
	struct session s;
	struct span list = m->events, props, body;
	int64_t n = 0, seq;
	bool ok;
	int r;
	if (check_list(list, e) || core_admit(c, a, msg, &s, &ok, e))
		return -1;
	if (!ok)
		return 0;
	while ((r = event_list_next(&list, &props, &body, e)) > 0) {
		if (core_keep_event(c, &s, props, body, &seq, e))
			return -1;
		n++;
	}
	return r ? -1 : core_done(c, a, "", n, e);
}

core_handler *
core_http_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_DEVICE_SEND] = on_device_send,
	};
	return handlers[type];
}
