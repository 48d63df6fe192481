/*
 * Certificates of the provisioning service and of hubs in the resource manager's manner
 * (protocol/service.md 3.5), with their proof of possession: a certificate made out to a
 * code of ours, signed by the CA. Who compares it is this process; the core takes its
 * word for the state that it compared with, and for no later one.
 */
#include "base/base64.h"
#include "base/clock.h"
#include "codec/config.h"
#include "codec/id.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"
#include "proto/json.h"

enum { BODY_DEPTH = 8 };

enum { SUBSCRIPTION, GROUP, RESOURCE, NAME }; /* the path's parameters */

/* In c->state. */
struct cert_call {
	bool of_hub;
	struct span owner; /* as the core calls it: the hub's host name, or "" */
	/* of a proof: what was asked for while the core says what it must prove */
	struct span der, if_match;
	int64_t etag;
	struct err why; /* code OK: it proves it */
};

/* ---- answers ----------------------------------------------------------------------- */

static const char *
provider_type(const struct http_call *c)
{
	const struct cert_call *call = c->state;
	return call->of_hub ? "IotHubs" : "provisioningServices";
}

static void
put_id(struct js *o, const struct http_call *c, struct span name)
{
	const char *kind = provider_type(c);
	auto_buf id = BUF_INIT(2048);
	buf_printf(&id,
	    "/subscriptions/%.*s/resourceGroups/%.*s/providers/Microsoft.Devices/%s/%.*s/"
	    "certificates/%.*s",
	    SPAN_FMT(c->param[SUBSCRIPTION]), SPAN_FMT(c->param[GROUP]), kind,
	    SPAN_FMT(c->param[RESOURCE]), SPAN_FMT(name));
	json_put_text(o, "id", buf_span(&id));
	js_set_text(
	    o, "type", arena_printf(c->arena, "Microsoft.Devices/%s/Certificates", kind));
}

/* az takes nothing but RFC 1123 (clients.md 1.11). */
static void
put_time(struct js *o, const char *key, int64_t ms)
{
	char text[CLOCK_TEXT];
	clock_rfc1123(ms, text);
	js_set_text(o, key, text);
}

/* The subject: its CN alone on the service, all of it on a hub (3.5). */
static void
put_certificate(struct js *o, struct span der, bool whole)
{
	struct err e;
	struct cert_info i;
	auto_(cert_free) struct cert *cert = cert_parse(der, &e);
	if (!cert)
		return; /* it was one when it was stored */
	cert_info(cert, &i);
	bool by_cn = cert->cn[0] && !whole;
	json_put_text(o, "subject", span_str(by_cn ? cert->cn : i.subject));
	put_time(o, "expiry", cert->not_after_ms);
	js_set_text(o, "thumbprint", i.sha1);
}

static struct js *
cert_json(const struct http_call *c, const struct ipc_ca_cert *m, bool with_code)
{
	struct js *o = js_object();
	struct js *p = js_object();
	const struct cert_call *call = c->state;
	put_certificate(p, m->der, call->of_hub);
	js_set_bool(p, "isVerified", m->verified);
	put_time(p, "created", m->created_ms);
	put_time(p, "updated", m->updated_ms);
	json_put_key(p, "certificate", m->der);
	if (with_code)
		json_put_text(p, "verificationCode", m->code);
	js_set(o, "properties", p);
	put_id(o, c, m->name);
	json_put_text(o, "name", m->name);
	json_put_etag(o, "etag", m->etag);
	return o;
}

static void
fail(struct http_call *c, const struct ipc_done *d)
{
	if (d->code != ERR_GATE) {
		http_call_fail_done(c, d);
		return;
	}
	/* a group names it: a conflict in the resource manager's words */
	const struct wire_error w = wire_error_of(409000);
	http_call_fail(c, &w, arena_str(c->arena, d->text));
}

static void
take(struct http_call *c, enum ipc_type type, const void *msg, bool with_code)
{
	const struct ipc_done *d = msg;
	if (type == IPC_CA_CERT) {
		auto_(js_free) struct js *v = cert_json(c, msg, with_code);
		buf_reset(&c->out);
		js_dump(v, JS_AS_BUILT, &c->out);
		return;
	}
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		fail(c, d);
}

static void
on_cert(struct http_call *c, enum ipc_type type, const void *msg)
{
	take(c, type, msg, false);
}

static void
on_code(struct http_call *c, enum ipc_type type, const void *msg)
{
	take(c, type, msg, true);
}

static void
on_deleted(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		fail(c, d);
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_CA_CERT) {
		auto_(js_free) struct js *v = cert_json(c, msg, false);
		arm_json_list_add(c, v);
		return;
	}
	if (d->code == ERR_OK)
		arm_json_list_end(c);
	else
		http_call_fail_done(c, d);
}

/* ---- certificates on their way in -------------------------------------------------- */

/* base64 of the PEM file's text, or of DER (clients.md 1.12). */
static struct cert *
parse_cert(struct span text, struct err *e)
{
	auto_buf bytes = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list list = {0};
	if (base64_parse_folded(span_trim(text), &bytes, e) ||
	    buf_check(&bytes, "certificate", e))
		return NULL;
	struct span s = span_trim(buf_span(&bytes));
	if (!span_starts(s, SPAN_LIT("-----BEGIN")))
		return cert_parse(buf_span(&bytes), e);
	if (cert_list_parse(s, "certificate", &list, e))
		return NULL;
	if (list.n == 1)
		return cert_ref(list.v[0]);
	err_set(e, ERR_PARSE, "%zu certificates where one belongs", list.n);
	return NULL;
}

/* Whatever is wrong with a certificate, the request is. */
static struct cert *
need_cert(const struct js *o, struct err *e)
{
	struct span text;
	if (js_need_str(o, "certificate", &text, e))
		return NULL;
	struct cert *c = parse_cert(text, e);
	if (!c)
		e->code = ERR_PARSE;
	return c;
}

/* At the top in 2021-10-15, below "properties" since (clients.md 1.12). */
static int
find_properties(const struct js *o, const struct js **ret, struct err *e)
{
	*ret = o;
	return js_opt(o, "properties", JS_OBJECT, ret, e);
}

static int
parse_put(
    const struct js *o, struct cert **ret_cert, uint8_t *ret_verified, struct err *e)
{
	const struct js *p, *flag = NULL;
	if (find_properties(o, &p, e) || js_opt(p, "isVerified", JS_BOOL, &flag, e))
		return -1;
	auto_(cert_free) struct cert *cert = need_cert(p, e);
	if (!cert)
		return -1;
	if (!cert->is_ca)
		return err_set(e, ERR_PARSE, "not a certificate of a CA");
	*ret_verified = flag ? js_as_bool(flag) : 2;
	*ret_cert = TAKE(cert);
	return 0;
}

/* ---- which resource ---------------------------------------------------------------- */

/* The call's state; NULL: there is no such resource, and the call is answered. */
static struct cert_call *
begin(struct http_call *c, bool of_hub)
{
	const struct config *cfg = c->env->config;
	struct cert_call *call = arena_alloc(c->arena, sizeof(*call));
	size_t hub = 0;
	*call = (struct cert_call){.of_hub = of_hub};
	c->state = call;
	bool found = of_hub ? arm_name_find_hub(cfg, c->param[RESOURCE], c->arena, &hub)
			    : arm_name_is_dps(cfg, c->param[RESOURCE], c->arena);
	if (found) {
		call->owner = of_hub ? span_str(cfg->hub.name.v[hub]) : SPAN_LIT("");
		return call;
	}
	arm_json_not_found(
	    c, of_hub ? "hub" : "provisioning service", c->param[RESOURCE]);
	return NULL;
}

/* The same of a request about one certificate. */
static struct cert_call *
begin_one(struct http_call *c, bool of_hub)
{
	struct cert_call *call = begin(c, of_hub);
	if (!call || id_is_certificate(c->param[NAME]))
		return call;
	arm_json_not_found(c, "certificate", c->param[NAME]);
	return NULL;
}

/* ---- requests ---------------------------------------------------------------------- */

static void
list(struct http_call *c, bool of_hub)
{
	const struct cert_call *call = begin(c, of_hub);
	if (!call)
		return;
	const struct ipc_ca_cert_query m = {
	    .peer = c->peer, .cred = c->cred, .owner = call->owner};
	arm_json_list_begin(c);
	http_call_ask(c, IPC_CA_CERT_QUERY, &m, on_row);
}

static void
get(struct http_call *c, bool of_hub)
{
	const struct cert_call *call = begin_one(c, of_hub);
	if (!call)
		return;
	const struct ipc_ca_cert_get m = {.peer = c->peer,
	    .cred = c->cred,
	    .owner = call->owner,
	    .name = c->param[NAME]};
	http_call_ask(c, IPC_CA_CERT_GET, &m, on_cert);
}

static void
put(struct http_call *c, bool of_hub)
{
	struct err e = {0};
	auto_(cert_free) struct cert *cert = NULL;
	const struct cert_call *call = begin_one(c, of_hub);
	if (!call)
		return;
	struct ipc_ca_cert_put m = {.peer = c->peer,
	    .cred = c->cred,
	    .owner = call->owner,
	    .name = c->param[NAME]};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || http_call_if_match(c, &m.if_match, &e) ||
	    parse_put(o, &cert, &m.verified, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.der = cert->der;
	http_call_ask(c, IPC_CA_CERT_PUT, &m, on_cert);
}

/* service.md 3.5: If-Match must be there; empty is what az sends without an etag, and as
 * good as "*" (trap T17). */
static int
need_if_match(const struct http_call *c, struct span *ret, struct err *e)
{
	if (!http_call_header(c, "If-Match"))
		return err_set(e, ERR_PARSE, "header If-Match is missing");
	return http_call_if_match(c, ret, e);
}

static void
change(struct http_call *c, bool of_hub, enum ipc_type type,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	const struct cert_call *call = begin_one(c, of_hub);
	if (!call)
		return;
	/* ca_cert_delete and ca_cert_code have one list of fields */
	struct ipc_ca_cert_delete m = {.peer = c->peer,
	    .cred = c->cred,
	    .owner = call->owner,
	    .name = c->param[NAME]};
	if (need_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, type, &m, fn);
}

/* ---- proof of possession ----------------------------------------------------------- */

static int
compare(struct span proof_der, const struct ipc_ca_cert *m, struct err *e)
{
	auto_(cert_free) struct cert *ca = cert_parse(m->der, e);
	auto_(cert_free) struct cert *proof = cert_parse(proof_der, e);
	if (!ca || !proof)
		return -1;
	if (!m->code.len)
		return err_set(e, ERR_CONFLICT, "no verification code was asked for");
	if (!span_eq_str(m->code, proof->cn))
		return err_set(
		    e, ERR_PARSE, "the certificate's CN is not the verification code");
	return cert_check_signed_by(proof, ca, e);
}

static void
on_compare(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	struct cert_call *p = c->state;
	if (type == IPC_CA_CERT) {
		const struct ipc_ca_cert *m = msg;
		p->etag = m->etag;
		if (compare(p->der, m, &p->why) && p->why.code == ERR_OK)
			p->why.code = ERR_PARSE;
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	if (p->why.code != ERR_OK) {
		http_call_fail_err(c, &p->why);
		return;
	}
	const struct ipc_ca_cert_verified m = {.peer = c->peer,
	    .cred = c->cred,
	    .owner = p->owner,
	    .name = c->param[NAME],
	    .if_match = p->if_match,
	    .etag = p->etag};
	http_call_ask(c, IPC_CA_CERT_VERIFIED, &m, on_cert);
}

static void
verify(struct http_call *c, bool of_hub)
{
	struct err e = {0};
	const struct js *p = NULL;
	struct cert_call *call = begin_one(c, of_hub);
	if (!call)
		return;
	const struct ipc_ca_cert_get m = {.peer = c->peer,
	    .cred = c->cred,
	    .owner = call->owner,
	    .name = c->param[NAME]};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	auto_(cert_free) struct cert *cert = NULL;
	if (!o || need_if_match(c, &call->if_match, &e) || find_properties(o, &p, &e) ||
	    !(cert = need_cert(p, &e))) {
		http_call_fail_err(c, &e);
		return;
	}
	call->der = arena_span(c->arena, cert->der);
	http_call_ask(c, IPC_CA_CERT_GET, &m, on_compare);
}

/* ---- routes ------------------------------------------------------------------------ */

void
arm_cert_dps_list(struct http_call *c)
{
	list(c, false);
}

void
arm_cert_hub_list(struct http_call *c)
{
	list(c, true);
}

void
arm_cert_dps_get(struct http_call *c)
{
	get(c, false);
}

void
arm_cert_hub_get(struct http_call *c)
{
	get(c, true);
}

void
arm_cert_dps_put(struct http_call *c)
{
	put(c, false);
}

void
arm_cert_hub_put(struct http_call *c)
{
	put(c, true);
}

void
arm_cert_dps_delete(struct http_call *c)
{
	change(c, false, IPC_CA_CERT_DELETE, on_deleted);
}

void
arm_cert_hub_delete(struct http_call *c)
{
	change(c, true, IPC_CA_CERT_DELETE, on_deleted);
}

void
arm_cert_dps_code(struct http_call *c)
{
	change(c, false, IPC_CA_CERT_CODE, on_code);
}

void
arm_cert_hub_code(struct http_call *c)
{
	change(c, true, IPC_CA_CERT_CODE, on_code);
}

void
arm_cert_dps_verify(struct http_call *c)
{
	verify(c, false);
}

void
arm_cert_hub_verify(struct http_call *c)
{
	verify(c, true);
}
