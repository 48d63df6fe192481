/*
 * What the core says: answers within the turn, failures of a turn, the connection log.
 */
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "domain/metrics.h"
#include "role/core.h"

int
core_answer(struct core *c, const struct ask *a, enum ipc_type type, const void *msg,
    struct err *e)
{
	if (type == IPC_DONE) {
		const struct ipc_done *d = msg;
		c->last_done.id = a->id;
		c->last_done.edge = a->edge;
		c->last_done.code = (enum err_code)d->code;
	}
	return turn_send(c->turn, a->edge, type, a->id, msg, e);
}

int
core_done(
    struct core *c, const struct ask *a, const char *next, int64_t number, struct err *e)
{
	struct ipc_done m = {.next = span_str(next), .number = number};
	return core_answer(c, a, IPC_DONE, &m, e);
}

int
core_refused(struct core *c, const struct ask *a, const struct refusal *no,
    int wire_number, struct err *e)
{
	char text[REFUSAL_TEXT];
	refusal_text(no, text);
	struct ipc_done m = {.code = (uint8_t)refusal_row(no->code)->err,
	    .error = (uint32_t)wire_number,
	    .text = span_str(text)};
	return core_answer(c, a, IPC_DONE, &m, e);
}

/* A number for the wire where a handler failed by class. */
void
core_failure(const struct err *why, struct ipc_done *m)
{
	*m = (struct ipc_done){.code = (uint8_t)why->code, .text = span_str(why->text)};
}

void
core_give_up(struct core *c, const struct err *why)
{
	log_event(LOG_ERROR, "core.store_lost", LOG_ERR(why));
	c->status = err_row(why->code)->exit;
	loop_stop(c->loop);
}

bool
core_is_lost(const struct err *e)
{
	return e->code == ERR_IO || e->code == ERR_FULL || e->code == ERR_CORRUPT ||
	       e->code == ERR_INTERNAL;
}

void
core_settle(struct core *c, const struct ask *a, const struct err *why)
{
	struct ipc_done m;
	struct err e;
	if (core_is_lost(why)) {
		turn_spoil(c->turn, why);
		return;
	}
	core_failure(why, &m);
	if (a && a->id && core_answer(c, a, IPC_DONE, &m, &e))
		turn_spoil(c->turn, &e);
}

void
core_send(void *arg, unsigned edge, enum ipc_type type, uint64_t id, struct span body)
{
	struct core *c = arg;
	struct ipc_link *link = c->edges[edge].link;
	struct err e;
	if (!link)
		return;
	struct ipc_frame f = {.type = type, .id = id, .body = body, .fd = -1};
	if (ipc_send(link, &f, &e))
		log_event(LOG_WARN, "core.send", LOG_INT("edge", edge), LOG_ERR(&e));
}

/* What a request gets when its turn was lost: the refusal that its kind of answer knows.
 */
void
core_fail(void *arg, const struct ask *a, const struct err *why)
{
	struct core *c = arg;
	struct ipc_hub_opened opened = {.connack = (uint8_t)err_row(ERR_IO)->connack};
	struct ipc_done done;
	core_failure(why, &done);
	auto_buf body = BUF_INIT(4096);
	struct err e;
	bool is_open = a->type == IPC_HUB_OPEN;
	const void *msg = is_open ? (const void *)&opened : &done;
	enum ipc_type type = is_open ? IPC_HUB_OPENED : IPC_DONE;
	log_event(LOG_ERROR, "core.turn", LOG_STR("asked", ipc_msg_row(a->type)->name),
	    LOG_ERR(why));
	if (!a->id)
		return; /* it was told, not asked */
	if (ipc_msg_pack(type, msg, &body, &e) == 0)
		core_send(c, a->edge, type, a->id, buf_span(&body));
}

/* ---- the connection log ---------------------------------------------------------------
 */

int
core_log_conn(struct core *c, const struct store_conn *line, struct err *e)
{
	bool refused = strcmp(line->what, "refused") == 0;
	metrics_line(c->metrics, line);
	if (refused && !throttle_take(&c->refusals, loop_now_ms(c->loop))) {
		c->refusals_unlogged++;
		return 0;
	}
	struct store_conn l = *line;
	l.at_ms = domain_now(&c->d);
	return store_conn_add(c->store, &l, e);
}

const char *
core_auth_name(const struct ipc_cred *cred)
{
	static const char *const names[] = {[CRED_NONE] = "none",
	    [CRED_SAS] = "sas",
	    [CRED_X509] = "x509",
	    [CRED_BASIC] = "token",
	    [CRED_BEARER] = "bearer"};
	return cred->kind <= CRED_BEARER ? names[cred->kind] : "none";
}

/* "dev" or "dev/mod" as the log has it: the module apart. */
static void
name_line(struct arena *a, struct span name, struct store_conn *line)
{
	struct span module_id = name;
	line->device_id = arena_str(a, span_split(&module_id, '/'));
	line->module_id = arena_str(a, module_id);
}

int
core_log_refusal(struct core *c, const char *plane, struct span id,
    const struct ipc_peer *peer, const struct ipc_cred *cred, const struct refusal *no,
    int code, struct err *e)
{
	char text[REFUSAL_TEXT], thumb[65] = "";
	struct arena *a = turn_arena(c->turn);
	refusal_text(no, text);
	metrics_refusal(c->metrics, plane, no->code);
	if (cred->kind == CRED_X509 && cred->sha256.len == DIGEST_SHA256)
		hex_write(cred->sha256, thumb);
	struct store_conn line = {.what = "refused",
	    .plane = plane,
	    .auth = core_auth_name(cred),
	    .scope = cred->kind == CRED_SAS && cred->sas_policy.len ? "hub" : "device",
	    .thumb = thumb,
	    .code = code,
	    .reason = text,
	    .peer = arena_str(a, peer->address),
	    .agent = arena_str(a, peer->agent),
	    .proto = arena_str(a, peer->proto)};
	name_line(a, id, &line);
	return core_log_conn(c, &line, e);
}

int
core_log_not_open(struct core *c, const struct ipc_hub_open *m, const struct refusal *no,
    int code, struct err *e)
{
	struct span name = m->device_id;
	if (m->module_id.len)
		name = span_str(arena_printf(turn_arena(c->turn), "%.*s/%.*s",
		    SPAN_FMT(m->device_id), SPAN_FMT(m->module_id)));
	return core_log_refusal(c, "hub", name, &m->peer, &m->cred, no, code, e);
}
