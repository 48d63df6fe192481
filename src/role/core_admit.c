/*
 * Devices that come by HTTPS: each request is judged by its own credential, as a
 * connection is, and is none. Nothing is kept of it but the connection log's line
 * (domain/hub/sighting.h).
 */
#include <string.h>

#include "domain/hub/sighting.h"
#include "role/core.h"

#define UNAUTHORIZED 401002

/* A stranger learns neither which devices there are nor what is wrong with one: one
 * number for all, since another for a wrong key would tell that there is one. */
static int
wire_number(const struct refusal_row *row)
{
	return row->err == ERR_DENIED ? UNAUTHORIZED : row->hub;
}

static int
refuse(struct core *c, const struct ask *a, const struct ipc_hub_open *m,
    const struct refusal *no, struct err *e)
{
	const struct refusal_row *row = refusal_row(no->code);
	int http = err_row(row->err)->http;
	if (core_log_not_open(c, m, no, http, e))
		return -1;
	return core_refused(c, a, no, wire_number(row), e);
}

static void
after_sighted(void *arg, const void *item)
{
	struct core *c = arg;
	struct session s;
	memcpy(&s, item, sizeof(s));
	sighting_note(c->sightings, &s, s.opened_ms);
}

/* What an open session leaves behind, where it is time for it. */
static int
note_sighting(
    struct core *c, const struct ipc_hub_open *m, struct session *s, struct err *e)
{
	struct arena *ar = turn_arena(c->turn);
	if (!sighting_is_due(c->sightings, s, s->opened_ms))
		return 0;
	struct store_conn line = {.what = "connect",
	    .plane = "hub",
	    .device_id = s->device_id,
	    .module_id = s->module_id,
	    .auth = session_auth(s),
	    .scope = session_scope(s),
	    .thumb = s->thumb,
	    .reason = "",
	    .peer = arena_str(ar, m->peer.address),
	    .agent = arena_str(ar, m->peer.agent),
	    .proto = arena_str(ar, m->peer.proto)};
	if (core_note_cert(c, m, s, e) || core_log_conn(c, &line, e) ||
	    store_device_active(c->store, s->name, s->opened_ms, e))
		return -1;
	const struct session kept = session_copy(s, turn_kept(c->turn));
	turn_after(c->turn, after_sighted, &kept, sizeof(kept));
	return 0;
}

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
	struct refusal no;
	int64_t close_ms;
	*ret_ok = false;
	if (session_judge(&c->d, &open, ret, &close_ms, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse(c, a, &open, &no, e);
	*ret_ok = true;
	return note_sighting(c, &open, ret, e);
}
