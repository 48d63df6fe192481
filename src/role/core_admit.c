/*
 * Devices that come by HTTPS: each request is judged by its own credential, as a
 * connection is, and is none.
 */
#include "role/core.h"

int
core_admit(struct core *c, const struct ask *a, const void *msg, struct session *ret,
    bool *ret_ok, struct err *e)
{
	const struct core_device_head *h = msg;
	const struct ipc_hub_open open = {.peer = h->peer,
	    .cred = h->cred,
	    .host = h->host,
	    .device_id = h->device_id,
	    .module_id = h->module_id};
	int64_t close_ms;
	struct refusal no;
	*ret_ok = false;
	if (session_judge(&c->d, &open, ret, &close_ms, &no, e))
		return -1;
	*ret_ok = no.code == REFUSAL_NONE;
	if (*ret_ok)
		return 0;
	int number = refusal_row(no.code)->hub;
	if (core_log_refusal(c, "hub", h->device_id, &h->peer, &h->cred, &no, number, e))
		return -1;
	return core_refused(c, a, &no, number, e);
}
