/*
 * Operators sign in as service principals (protocol/service.md 0.4): an authority of the
 * shape that MSAL takes for ADFS, with the client credentials grant (RFC 6749 4.4) and
 * nothing else.
 */
#include "base/num.h"
#include "codec/config.h"
#include "codec/hub_conf.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "crypto/digest.h"
#include "proto/credential.h"
#include "proto/env.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define SCOPE_TAIL "/.default"

/* ---- where we are
 * ---------------------------------------------------------------------- */

static bool
is_ours(const struct config *cfg, struct span host)
{
	for (size_t i = 0; i < cfg->server.name.n; i++)
		if (span_ieq_str(host, cfg->server.name.v[i]))
			return true;
	return hub_conf_find(cfg, host) != NULL;
}

/* The authority's URL as the caller knows it; a Host that is none of ours is not echoed.
 */
static const char *
authority_of(const struct http_call *c)
{
	int64_t port = 443;
	struct err none;
	const struct config *cfg = c->env->config;
	struct span host = c->peer.host;
	size_t colon = span_rfind(host, ':');
	struct span name = span_head(host, colon);
	bool has_port = colon < host.len && num_parse(span_skip(host, colon + 1), 1,
						65535, &port, &none) == 0;
	if (!has_port)
		name = host;
	if (!is_ours(cfg, name))
		name = span_str(cfg->server.name.v[0]);
	if (port == 443)
		return arena_printf(c->arena, "https://%.*s/adfs", SPAN_FMT(name));
	return arena_printf(c->arena, "https://%.*s:%d/adfs", SPAN_FMT(name), (int)port);
}

void
signin_discovery(struct http_call *c)
{
	const char *base = authority_of(c);
	static const struct {
		const char *name, *tail;
	} members[] = {
	    {"issuer", ""},
	    {"authorization_endpoint", "/oauth2/authorize"},
	    {"token_endpoint", "/oauth2/token"},
	};
	struct js *o = js_object(), *grants = js_array(), *methods = js_array();
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		js_set_text(o, members[i].name,
		    arena_printf(c->arena, "%s%s", base, members[i].tail));
	js_append(grants, js_text("client_credentials"));
	js_append(methods, js_text("client_secret_post"));
	js_append(methods, js_text("client_secret_basic"));
	js_set(o, "grant_types_supported", grants);
	js_set(o, "token_endpoint_auth_methods_supported", methods);
	http_call_json(c, 200, o);
}

/* ---- tokens
 * ---------------------------------------------------------------------------- */

static void
on_token(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_bearer *m = msg;
	if (type == IPC_DONE) {
		http_call_fail_done(c, msg);
		return;
	}
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "token_type", "Bearer");
	js_set_int(o, "expires_in", m->life_s);
	js_set_int(o, "ext_expires_in", m->life_s);
	json_put_text(o, "access_token", m->token);
	c->out.secret = true;
	js_dump(o, JS_AS_BUILT, &c->out);
	http_call_set(c, "Cache-Control", "no-store");
	http_call_json_out(c, 200);
}

/* One of the form's fields; '+' is a space there (URL living standard, 5.1). */
static int
take_field(const struct http_call *c, const char *name, size_t cap, struct span *ret,
    struct err *e)
{
	struct span raw = arena_span(c->arena, c->body), s = SPAN_NONE;
	uint8_t *p = (uint8_t *)raw.p;
	for (size_t i = 0; i < raw.len; i++)
		p[i] = p[i] == '+' ? ' ' : p[i];
	if (uri_query_get(raw, name, c->arena, &s, e))
		return -1;
	if (s.len > cap || span_has(s, 0))
		return err_set(e, ERR_PARSE, "%s: at most %zu characters", name, cap);
	*ret = s;
	return 0;
}

/* In the form, or by HTTP Basic (RFC 6749 2.3.1). */
static int
take_client(struct http_call *c, struct ipc_signin *m, struct err *e)
{
	struct span secret, header = span_str(http_call_header(c, "Authorization"));
	if (header.len) {
		c->credential = credential_of_basic(header, e);
		if (!c->credential)
			return -1;
		m->app_id = span_head(credential_ipc(c->credential)->basic_user, 64);
		m->secret_sha256 = credential_ipc(c->credential)->basic_sha256;
		return 0;
	}
	if (take_field(c, "client_id", 64, &m->app_id, e) ||
	    take_field(c, "client_secret", 256, &secret, e))
		return -1;
	if (!m->app_id.len || !secret.len)
		return err_set(e, ERR_PARSE, "client_id and client_secret are wanted");
	uint8_t *sha = arena_alloc(c->arena, DIGEST_SHA256);
	digest_sha256(secret, sha);
	m->secret_sha256 = span_of(sha, DIGEST_SHA256);
	return 0;
}

/* "scope" of version 2 ends in /.default, behind a resource that may end in a slash of
 * its own; "resource" is version 1's. */
static int
take_resource(const struct http_call *c, struct ipc_signin *m, struct err *e)
{
	struct span scope, grant;
	if (take_field(c, "grant_type", 64, &grant, e) ||
	    take_field(c, "scope", 300, &scope, e) ||
	    take_field(c, "resource", 255, &m->resource, e))
		return -1;
	if (!span_eq_str(grant, "client_credentials"))
		return err_set(e, ERR_PARSE, "grant_type: only client_credentials");
	if (!m->resource.len)
		m->resource = span_split(&scope, ' ');
	if (span_ends(m->resource, SPAN_LIT(SCOPE_TAIL)))
		m->resource.len -= strlen(SCOPE_TAIL);
	if (!m->resource.len || m->resource.len > 255)
		return err_set(e, ERR_PARSE, "scope or resource is wanted");
	return 0;
}

void
signin_token(struct http_call *c)
{
	struct err e = {0};
	struct ipc_signin m = {.peer = c->peer, .issuer = span_str(authority_of(c))};
	arena_keep_secret(c->arena); /* of the form, client_secret too is copied there */
	if (take_client(c, &m, &e) || take_resource(c, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_SIGNIN, &m, on_token);
}
