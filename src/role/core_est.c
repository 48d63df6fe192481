/*
 * Messages of enrolment and renewal: EST, check-in, and an operator's hand in them
 * (tokens, requests that wait, late renewals).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/digest.h"
#include "domain/pki/est.h"
#include "domain/pki/est_request.h"
#include "domain/pki/est_token.h"
#include "domain/pki/leaf.h"
#include "domain/pki/renew.h"
#include "role/core_pki.h"

#define LIST_MAX 10000
#define TRIM_MS  3600000

/* ---- refusals ------------------------------------------------------------------------
 */

/* Who is known is told why, and what to do; that it is known is what FORBIDDEN says to
 * the edge. */
static int
answer_refused(struct core *c, const struct ask *a, const struct refusal *no,
    bool is_known, struct err *e)
{
	const struct refusal_row *row = refusal_row(no->code);
	char why[REFUSAL_TEXT], text[512];
	const char *fix = est_fix(no->code);
	refusal_text(no, why);
	snprintf(text, sizeof(text), *fix ? "%s; %s" : "%s", why, fix);
	enum err_code code = row->err;
	if (is_known && code == ERR_DENIED)
		code = ERR_FORBIDDEN;
	struct ipc_done m = {.code = (uint8_t)code, .text = span_str(text)};
	return core_answer(c, a, IPC_DONE, &m, e);
}

static struct span
name_of(const struct ipc_cred *cred)
{
	return cred->kind == CRED_BASIC ? cred->basic_user : cred->cn;
}

static int
refuse(struct core *c, const struct ask *a, const struct ipc_peer *peer,
    const struct ipc_cred *cred, const struct refusal *no, bool is_known, struct err *e)
{
	int http = err_row(refusal_row(no->code)->err)->http;
	if (is_known && http == 401)
		http = 403;
	if (core_log_refusal(c, "est", name_of(cred), peer, cred, no, http, e))
		return -1;
	return answer_refused(c, a, no, is_known, e);
}

/* ---- enrolment -----------------------------------------------------------------------
 */

/* While the signer works. */
struct enrolling {
	struct est_promise promise;
	bool by_token;
	char tolerated[301], agent[513];
};

static int
log_enrolled(struct core *c, const struct enrolling *w,
    const struct ipc_signer_issued *got, struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	char thumb[LEAF_THUMB];
	struct arena *ar = turn_arena(c->turn);
	digest_sha256(got->der, sha);
	hex_write(span_of(sha, sizeof(sha)), thumb);
	struct store_conn line = {.what = "enroll",
	    .plane = "est",
	    .device_id = w->promise.device_id,
	    .auth = w->by_token ? "token" : "x509",
	    .scope = est_door_name(w->promise.door),
	    .thumb = thumb,
	    .reason = arena_printf(ar, "serial %.*s%s%s%s", SPAN_FMT(got->serial),
		w->promise.quarantine ? ", in quarantine" : "",
		w->tolerated[0] ? ", tolerated: " : "", w->tolerated),
	    .peer = w->promise.address,
	    .agent = w->agent,
	    .proto = "https"};
	return core_log_conn(c, &line, e);
}

static int
answer_cert(struct core *c, const struct ask *a, struct span der, struct err *e)
{
	struct ipc_cert m = {.der = der};
	if (core_answer(c, a, IPC_CERT, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* Revoked while the signer worked: on record, on the lists, in nobody's hands. */
static int
refuse_late(struct core *c, const struct enrolling *w, const struct core_reply *r,
    const struct refusal *no, struct err *e)
{
	char text[REFUSAL_TEXT];
	refusal_text(no, text);
	struct store_conn line = {.what = "refused",
	    .plane = "est",
	    .device_id = w->promise.device_id,
	    .auth = w->by_token ? "token" : "x509",
	    .scope = est_door_name(w->promise.door),
	    .thumb = "",
	    .code = 403,
	    .reason = text,
	    .peer = w->promise.address,
	    .agent = w->agent,
	    .proto = "https"};
	core_pki_soon(c);
	if (core_log_conn(c, &line, e))
		return -1;
	return r->ask ? answer_refused(c, r->ask, no, true, e) : 0;
}

static int
finish(
    struct core *c, const struct enrolling *w, const struct core_reply *r, struct err *e)
{
	const struct ipc_signer_issued *got = r->msg;
	struct ipc_done failed;
	struct refusal no;
	if (r->type == IPC_SIGNER_ISSUED) {
		if (est_withdraw(&c->d, &w->promise, got, &no, e))
			return -1;
		if (no.code != REFUSAL_NONE)
			return refuse_late(c, w, r, &no, e);
		if (est_issued(&c->d, &w->promise, got, e) || log_enrolled(c, w, got, e))
			return -1;
		return r->ask ? answer_cert(c, r->ask, got->der, e) : 0;
	}
	if (!r->ask)
		return 0;
	core_failure(r->why, &failed);
	return core_answer(c, r->ask, IPC_DONE, &failed, e);
}

static int
on_certified(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct enrolling *w = arg;
	int rc = finish(c, w, r, e);
	est_done(&c->d, &w->promise);
	free(w);
	return rc;
}

static int
ask_signer(struct core *c, const struct ask *a, const struct ipc_est_enroll *m,
    const struct est_grant *g, struct err *e)
{
	struct enrolling *w = own_alloc(sizeof(*w));
	w->promise = g->promise;
	w->by_token = m->cred.kind == CRED_BASIC;
	(void)span_to_str(m->tolerated, w->tolerated, sizeof(w->tolerated));
	(void)span_to_str(m->peer.agent, w->agent, sizeof(w->agent));
	if (core_sign_then(c, a, &g->issue, on_certified, w, e) == 0)
		return 0;
	est_done(&c->d, &w->promise);
	free(w);
	return -1;
}

static int
answer_pending(
    struct core *c, const struct ask *a, const struct est_grant *g, struct err *e)
{
	struct ipc_est_pending m = {
	    .retry_after_s = g->retry_after_s, .id = span_str(g->waits_for)};
	if (core_answer(c, a, IPC_EST_PENDING, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_est_enroll(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_est_enroll *m = msg;
	struct est_grant g;
	struct refusal no;
	if (est_enroll(&c->d, m, &g, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse(c, a, &m->peer, &m->cred, &no, g.is_known, e);
	switch (g.outcome) {
	case EST_WAIT:
		return answer_pending(c, a, &g, e);
	case EST_AGAIN:
		return answer_cert(c, a, g.der, e);
	case EST_ISSUE:
		return ask_signer(c, a, m, &g, e);
	}
	return err_set(e, ERR_INTERNAL, "an enrolment without an outcome");
}

static int
on_checkin(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_checkin *m = msg;
	struct ipc_renewal w;
	struct refusal no;
	if (renew_checkin(&c->d, m, &w, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse(c, a, &m->peer, &m->cred, &no, false, e);
	if (core_answer(c, a, IPC_RENEWAL, &w, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* ---- operators -----------------------------------------------------------------------
 */

/* A list under way. The whole of it is one answer: the tables are bounded, or have a row
 * a device and are asked for by one. */
struct listing {
	struct core *c;
	const struct ask *a;
	const char *device_id; /* "" = any */
	int64_t n;
};

static bool
is_wanted(const struct listing *l, const char *device_id)
{
	return !l->device_id[0] || strcmp(l->device_id, device_id) == 0;
}

static int
finish_list(struct listing *l, int rc, struct err *e)
{
	if (rc < 0)
		return -1;
	return core_done(l->c, l->a, "", l->n > LIST_MAX, e);
}

static int
answer_token(struct core *c, const struct ask *a, const struct store_token *t,
    const char *secret, struct err *e)
{
	struct ipc_token m = {.device_id = span_str(t->device_id),
	    .secret = span_str(secret),
	    .created_ms = t->created_ms,
	    .expires_ms = t->expires_ms,
	    .used_ms = t->used_ms,
	    .created_by = span_str(t->created_by)};
	return core_answer(c, a, IPC_TOKEN, &m, e);
}

static int
on_token_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_token_put *m = msg;
	struct store_token t;
	const char *secret;
	if (est_token_put(&c->d, m, core_operator_of(c, &m->cred), &t, &secret, e) ||
	    answer_token(c, a, &t, secret, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_token_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_token_delete *m = msg;
	if (store_token_del(c->store, arena_str(turn_arena(c->turn), m->device_id), e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
visit_token(void *ctx, const struct store_token *t, struct err *e)
{
	struct listing *l = ctx;
	if (!is_wanted(l, t->device_id))
		return 0;
	if (++l->n > LIST_MAX)
		return 1;
	return answer_token(l->c, l->a, t, "", e);
}

static int
on_token_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_token_query *m = msg;
	struct listing l = {
	    .c = c, .a = a, .device_id = arena_str(turn_arena(c->turn), m->device_id)};
	return finish_list(&l, store_token_each(c->store, visit_token, &l, e), e);
}

static int
answer_request(
    struct core *c, const struct ask *a, const struct store_enrol *r, struct err *e)
{
	struct ipc_enrol_request m = {.id = span_str(r->id),
	    .device_id = span_str(r->device_id),
	    .state = span_str(r->state),
	    .key_sha256 = span_str(r->key_sha256),
	    .credential = span_str(r->credential),
	    .address = span_str(r->address),
	    .created_ms = r->created_ms,
	    .decided_ms = r->decided_ms,
	    .decided_by = span_head(span_str(r->decided_by), 200)};
	return core_answer(c, a, IPC_ENROL_REQUEST, &m, e);
}

static int
on_enrol_decide(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_enrol_decide *m = msg;
	struct store_enrol r;
	if (est_request_decide(&c->d, m, core_operator_of(c, &m->cred), &r, e) ||
	    answer_request(c, a, &r, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
visit_request(void *ctx, const struct store_enrol *r, struct err *e)
{
	struct listing *l = ctx;
	if (++l->n > LIST_MAX)
		return 1;
	return answer_request(l->c, l->a, r, e);
}

static int
on_enrol_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_enrol_query *m = msg;
	const char *state = arena_str(turn_arena(c->turn), m->state);
	struct listing l = {.c = c, .a = a};
	return finish_list(
	    &l, store_enrol_each(c->store, state, LIST_MAX + 1, visit_request, &l, e), e);
}

static int
answer_allow(
    struct core *c, const struct ask *a, const struct store_allow *w, struct err *e)
{
	struct ipc_allow m = {.device_id = span_str(w->device_id),
	    .until_ms = w->until_ms,
	    .quarantined_ms = w->quarantined_ms,
	    .added_by = span_str(w->added_by)};
	return core_answer(c, a, IPC_ALLOW, &m, e);
}

static int
on_allow_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_allow_put *m = msg;
	struct store_allow w;
	if (renew_allow_put(&c->d, m, core_operator_of(c, &m->cred), &w, e) ||
	    answer_allow(c, a, &w, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
visit_allow(void *ctx, const struct store_allow *w, struct err *e)
{
	struct listing *l = ctx;
	if (++l->n > LIST_MAX)
		return 1;
	return answer_allow(l->c, l->a, w, e);
}

static int
on_allow_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct listing l = {.c = c, .a = a};
	(void)msg;
	return finish_list(&l, store_allow_each(c->store, visit_allow, &l, e), e);
}

int
core_est_trim(struct core *c, struct err *e)
{
	int64_t now = loop_now_ms(c->loop);
	if (now < c->est_trim_ms)
		return 0;
	c->est_trim_ms = now + TRIM_MS;
	return est_request_trim(&c->d, e);
}

core_handler *
core_est_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_EST_ENROLL] = on_est_enroll,
	    [IPC_CHECKIN] = on_checkin,
	    [IPC_TOKEN_PUT] = on_token_put,
	    [IPC_TOKEN_QUERY] = on_token_query,
	    [IPC_TOKEN_DELETE] = on_token_delete,
	    [IPC_ENROL_QUERY] = on_enrol_query,
	    [IPC_ENROL_DECIDE] = on_enrol_decide,
	    [IPC_ALLOW_PUT] = on_allow_put,
	    [IPC_ALLOW_QUERY] = on_allow_query,
	};
	return handlers[type];
}
