/*
 * Renewal of a device's certificate over its hub session (Azure's preview of 2025,
 * docs/allocation.md), behind hub.issue: what EST's simplereenroll is, asked by MQTT. The
 * session stays as it is; the new certificate is for the next connection.
 */
#include <stdlib.h>

#include "base/base64.h"
#include "base/rand.h"
#include "codec/config.h"
#include "codec/der.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "crypto/tls.h"
#include "io/loop.h"
#include "proto/credential.h"
#include "proto/dps/csr_json.h"
#include "proto/env.h"
#include "proto/est/est_link.h"
#include "proto/est/est_parts.h"
#include "proto/hub/hub_impl.h"
#include "proto/json.h"
#include "proto/wire_error.h"

enum {
	TOPIC_ROOM = 1024,
	BODY_MAX = 16 * 1024,
	BODY_DEPTH = 4,
	ANSWER_ROOM = 128 * 1024,
	GUID = 37,
	EXPIRES_MS = 120000, /* as long as the SDKs wait */
	RETRY_S = 5,
	CHAIN_MOST = 4,
	CODE_CSR = 400040,
	CODE_ACTIVE = 409005,
	CODE_NONE = 412001,
	CODE_THROTTLED = 429002,
	CODE_FORBIDDEN = 403000,
};

/* What the session's own certificate says, kept for as long as it may be renewed; and the
 * one request under way. */
struct hub_renewal {
	struct credential *cred;
	struct span subject, san; /* into text */
	uint64_t number; /* of the request under way; one superseded has another */
	bool active, pending, asking; /* asking: the core has yet to answer one */
	struct buf cert, csr;         /* DER */
	char correlation[GUID];
	size_t rid_len;
	uint8_t rid[TOPIC_RID_MAX];
	uint8_t text[];
};

void
hub_credential_drop(struct hub *h)
{
	struct hub_renewal *r = h->renewal;
	if (!r)
		return;
	credential_free(r->cred);
	buf_done(&r->cert);
	buf_done(&r->csr);
	free(r);
	h->renewal = NULL;
}

void
hub_credential_look(struct hub *h, struct ssl_st *ssl)
{
	auto_cert_list list = {.n = 0};
	struct span san;
	struct err e;
	if (!h->all->env->config->hub.issue || !ssl)
		return;
	/* one that does not parse is no way in either */
	if (tls_peer_chain(ssl, &list, &e) || !list.n ||
	    est_parts_san(list.v[0]->der, &san, &e))
		return;
	struct span subject = list.v[0]->subject;
	struct hub_renewal *r = own_alloc(sizeof(*r) + subject.len + san.len);
	memcpy(r->text, subject.p, subject.len);
	r->subject = span_of(r->text, subject.len);
	if (san.len)
		memcpy(r->text + subject.len, san.p, san.len);
	r->san = san.p ? span_of(r->text + subject.len, san.len) : SPAN_NONE;
	r->cert = BUF_INIT(CAP_CERT);
	r->csr = BUF_INIT(CSR_MAX);
	h->renewal = r;
}

void
hub_credential_keep(struct hub *h, struct credential *cred)
{
	if (h->renewal && credential_ipc(cred)->kind == CRED_X509) {
		h->renewal->cred = cred;
		return;
	}
	hub_credential_drop(h);
	credential_free(cred);
}

/* ---- answers -------------------------------------------------------------------------
 */

static void
respond(struct hub *h, int status, struct span rid, const struct js *body)
{
	auto_buf topic = BUF_INIT(TOPIC_ROOM), text = BUF_INIT(ANSWER_ROOM);
	int qos = topic_subs_qos(h->subs, TOPIC_SUB_CREDENTIALS);
	topic_write_credential_response(&topic, status, rid);
	js_dump(body, JS_AS_BUILT, &text);
	if (qos >= 0 && !topic.bad && !text.bad)
		mqtt_session_publish(
		    h->mqtt, buf_span(&topic), buf_span(&text), (uint8_t)qos);
}

static int64_t
now_ms(const struct hub *h)
{
	return clock_wall_ms(loop_clock(h->all->env->loop));
}

/* info: taken; NULL: none. */
static void
respond_error(
    struct hub *h, struct span rid, uint32_t number, const char *detail, struct js *info)
{
	auto_buf text = BUF_INIT(4096);
	struct err e;
	const struct wire_error w = wire_error_of(number);
	wire_error_dps_body(&w, detail, now_ms(h), &text);
	auto_(js_free) struct js *o = js_parse(buf_span(&text), 4096, BODY_DEPTH, &e);
	if (!o)
		o = js_object();
	if (w.status >= 429)
		js_set_int(o, "retryAfter", RETRY_S);
	if (info)
		js_set(o, "info", info);
	respond(h, w.status, rid, o);
}

static void
put_cert(struct js *list, struct span der)
{
	auto_buf text = BUF_INIT(2 * CAP_CERT);
	base64_put(&text, der);
	js_append(list, js_text(buf_text(&text)));
}

/* The CA of that name among those we hand out (EST's cacerts). */
static struct cert *
find_ca(const struct env *env, struct span name)
{
	struct span rest = env->ca_chain;
	struct der_tlv one;
	struct err e;
	while (rest.len && der_next(&rest, &one, &e) == 0) {
		struct cert *c = cert_parse(one.whole, &e);
		if (c && span_eq(c->subject, name))
			return c;
		cert_free(c);
	}
	return NULL;
}

/* Leaf first, up to the root. */
static struct js *
chain_json(const struct env *env, struct span leaf)
{
	struct js *list = js_array();
	struct err e;
	struct cert *c = cert_parse(leaf, &e);
	for (int i = 0; c && i < CHAIN_MOST; i++) {
		struct cert *above = c->self_signed ? NULL : find_ca(env, c->issuer);
		put_cert(list, c->der);
		cert_free(c);
		c = above;
	}
	cert_free(c);
	return list;
}

static void
respond_accepted(struct hub *h)
{
	const struct hub_renewal *r = h->renewal;
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "correlationId", r->correlation);
	json_put_time(o, "operationExpires", now_ms(h) + EXPIRES_MS);
	respond(h, 202, span_of(r->rid, r->rid_len), o);
}

static void
respond_issued(struct hub *h)
{
	const struct hub_renewal *r = h->renewal;
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "correlationId", r->correlation);
	js_set(o, "certificates", chain_json(h->all->env, buf_span(&r->cert)));
	respond(h, 200, span_of(r->rid, r->rid_len), o);
}

static uint32_t
number_of(const struct ipc_done *d)
{
	switch ((enum err_code)d->code) {
	case ERR_BUSY:
		return CODE_THROTTLED;
	case ERR_DENIED:
	case ERR_FORBIDDEN:
		return CODE_FORBIDDEN;
	case ERR_PARSE:
	case ERR_UNSUPPORTED:
		return CODE_CSR;
	default:
		return d->code == ERR_UNAVAILABLE ? 503001 : 500001;
	}
}

static void
respond_failed(struct hub *h, const struct ipc_done *d)
{
	const struct hub_renewal *r = h->renewal;
	char text[513];
	struct js *info = js_object();
	bool fits = span_to_str(d->text, text, sizeof(text));
	js_set_text(info, "correlationId", r->correlation);
	respond_error(
	    h, span_of(r->rid, r->rid_len), number_of(d), fits ? text : "", info);
}

static void
on_done(struct hub *h, const struct ipc_done *d)
{
	struct hub_renewal *r = h->renewal;
	const struct ipc_done waits = {.code = ERR_BUSY,
	    .text = SPAN_LIT("an operator has to approve it, or it is being issued")};
	r->active = false;
	if (d->code != ERR_OK)
		respond_failed(h, d);
	else if (r->pending)
		respond_failed(h, &waits);
	else
		respond_issued(h);
}

static void ask_next(struct hub *h);

static void
on_answer(void *arg, uint64_t number, enum ipc_type type, const void *msg)
{
	struct hub *h = arg;
	struct hub_renewal *r = h->renewal;
	const struct ipc_cert *cert = msg;
	bool stale = number != r->number; /* superseded; what is issued is on record */
	if (type == IPC_CERT && !stale) {
		buf_reset(&r->cert);
		buf_put_span(&r->cert, cert->der);
	}
	r->pending |= type == IPC_EST_PENDING && !stale;
	if (type != IPC_DONE)
		return;
	r->asking = false;
	if (stale)
		ask_next(h);
	else
		on_done(h, msg);
}

/* ---- a request ------------------------------------------------------------------------
 */

/* What "replace" says; absent and null are one. */
static int
parse_body(struct hub *h, const struct js *o, struct span *ret_replace, struct csr *ret,
    struct err *e)
{
	struct span id = h->device_id;
	bool there;
	*ret_replace = SPAN_NONE;
	if (js_opt_str(o, "id", &id, e) || js_opt_str(o, "replace", ret_replace, e))
		return -1;
	if (!span_eq(id, h->device_id))
		return err_set(e, ERR_PARSE, "id: not this device's");
	if (csr_json_parse(o, ret, &there, e))
		return -1;
	return there ? 0 : err_set(e, ERR_PARSE, "csr is missing");
}

/* One at a time, unless the newer names what it replaces. False: it was answered. */
static bool
may_begin(struct hub *h, struct span rid, struct span replace)
{
	const struct hub_renewal *r = h->renewal;
	struct span active = span_of(r->rid, r->rid_len);
	struct err e;
	bool any = span_eq_str(replace, "*");
	if (!r->active && (!replace.len || any))
		return true;
	if (!r->active || (replace.len && !any && !span_eq(replace, active))) {
		respond_error(h, rid, CODE_NONE, "", NULL);
		return false;
	}
	if (replace.len)
		return true;
	struct js *info = js_object();
	js_set(info, "requestId", js_str(active, &e));
	js_set_text(info, "correlationId", r->correlation);
	respond_error(h, rid, CODE_ACTIVE, "", info);
	return false;
}

static void
ask(struct hub *h, const struct csr *csr)
{
	struct hub_renewal *r = h->renewal;
	const struct ipc_est_enroll m = {.peer = *mqtt_session_peer(h->mqtt),
	    .cred = *credential_ipc(r->cred),
	    .renew = 1,
	    .csr_cn = span_str(csr->cn),
	    .csr_subject = csr->subject,
	    .cert_subject = r->subject,
	    .same_names = span_eq(r->san, csr->san),
	    .spki = csr->spki,
	    .linked = (uint8_t)est_link_judge(mqtt_session_ssl(h->mqtt), csr->challenge)};
	r->asking = true;
	hub_mqtt_ask(h, IPC_EST_ENROLL, &m, on_answer, r->number);
}

/* What took the place of another, once the core is done with that: it signs for one
 * device one at a time. */
static void
ask_next(struct hub *h)
{
	struct csr csr = {0};
	struct err e;
	if (csr_parse(buf_span(&h->renewal->csr), &csr, &e) == 0)
		ask(h, &csr);
	csr_done(&csr);
}

static void
begin(struct hub *h, struct span rid, const struct csr *csr)
{
	struct hub_renewal *r = h->renewal;
	r->active = true;
	r->pending = false;
	r->number++;
	r->rid_len = rid.len;
	memcpy(r->rid, rid.p, rid.len);
	rand_uuid(r->correlation);
	buf_reset(&r->csr);
	buf_put_span(&r->csr, csr->der);
	respond_accepted(h);
	if (!r->asking)
		ask(h, csr);
}

/* Closing would send the client into a reconnect loop: the publish is dropped, and the
 * connection log says so once. */
static void
tell_off(struct hub *h)
{
	if (!h->told_off)
		mqtt_session_refused(h->mqtt, h->name, HUB_CODE_UNSUPPORTED,
		    "renewal over the session is off (hub.issue)");
	h->told_off = true;
}

void
hub_credential_on_issue(struct hub *h, const struct mqtt_publish *m,
    const struct topic_hub *t, uint64_t ticket)
{
	struct err e = {0};
	struct csr csr = {0};
	struct span replace;
	mqtt_session_acked(h->mqtt, ticket);
	if (!h->all->env->config->hub.issue) {
		tell_off(h);
		return;
	}
	if (!h->renewal || h->module_id.len) {
		respond_error(h, t->rid, CODE_FORBIDDEN,
		    "only a device that came by certificate renews it here", NULL);
		return;
	}
	auto_(js_free) struct js *o =
	    js_parse(span_trim(m->payload), BODY_MAX, BODY_DEPTH, &e);
	if (!o || parse_body(h, o, &replace, &csr, &e))
		respond_error(h, t->rid, CODE_CSR, e.text, NULL);
	else if (may_begin(h, t->rid, replace))
		begin(h, t->rid, &csr);
	csr_done(&csr);
}
