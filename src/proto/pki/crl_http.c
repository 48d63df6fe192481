/*
 * CRLs and CA certificates for anybody (RFC 5280 4.2.1.13, 4.2.2.1; RFC 2585), over plain
 * HTTP as over HTTPS: what is handed out is signed by itself. And the lists' own API.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hex.h"
#include "base/num.h"
#include "codec/config.h"
#include "codec/js.h"
#include "crypto/digest.h"
#include "io/loop.h"
#include "proto/pki/crl_cache.h"
#include "proto/env.h"
#include "proto/http_call.h"
#include "proto/json.h"
#include "proto/pki/public_http.h"

#define TYPE_CRL  "application/pkix-crl"
#define TYPE_CERT "application/pkix-cert"
#define FRESH_MS  1000 /* the core is asked no more often for one list */
#define DELTA_S   60   /* what may be revoked next nobody knows: kept for so long */
#define FULL_S    3600
#define CERT_S    86400

/* ---- lists ----------------------------------------------------------------------------
 */

/* "7.crl", "7-delta.crl", and "all.crl" for the whole list of the CA. */
static bool
parse_file(struct span name, struct crl_key *ret)
{
	struct span suffix = SPAN_LIT(".crl"), delta = SPAN_LIT("-delta");
	if (!span_ends(name, suffix))
		return false;
	name = span_head(name, name.len - suffix.len);
	ret->delta = span_ends(name, delta);
	if (ret->delta)
		name = span_head(name, name.len - delta.len);
	ret->shard = -1;
	if (span_eq_str(name, "all"))
		return !ret->delta;
	return num_ok(name, 0, INT32_MAX, &ret->shard);
}

/* Until it is made anew at half its life at the latest, and not for long: a change makes
 * it anew at any time. */
static int64_t
keep_s(const struct http_call *c, const struct crl_key *k, const struct crl_cached *l,
    int64_t now)
{
	int64_t most = k->delta ? DELTA_S : FULL_S;
	int64_t left = l->next_ms - c->env->config->pki.crl_life_ms / 2 - now;
	if (left <= 0) { /* late, or a list of others with a life of its own */
		left = l->next_ms - now;
		most = DELTA_S;
	}
	return left / 1000 > most ? most : left / 1000;
}

/* A list past its nextUpdate is handed out, for an old list is more than none to who
 * decides for himself, but never in silence. */
static void
set_headers(struct http_call *c, const struct crl_key *k, const struct crl_cached *l)
{
	int64_t now = clock_wall_ms(loop_clock(c->env->loop));
	char text[CLOCK_TEXT], control[64];
	clock_rfc1123(l->this_ms, text);
	http_call_set(c, "Last-Modified", text);
	if (now >= l->next_ms) {
		http_call_set(c, "Warning", "110 - \"Response is Stale\"");
		http_call_set(c, "Cache-Control", "no-cache");
		return;
	}
	snprintf(
	    control, sizeof(control), "public, max-age=%" PRId64, keep_s(c, k, l, now));
	http_call_set(c, "Cache-Control", control);
}

static void
reply_list(struct http_call *c, const struct crl_key *k, const struct crl_cached *l)
{
	char tag[32];
	snprintf(tag, sizeof(tag), "\"%" PRId64 "\"", l->number);
	set_headers(c, k, l);
	public_http_reply(c, tag, TYPE_CRL, l->der);
}

static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct crl_key *k = c->state;
	struct crl_cache *cache = c->env->crls;
	int64_t now = loop_now_ms(c->env->loop);
	struct crl_cached *l;
	if (type == IPC_CRL) {
		const struct ipc_crl *m = msg;
		if (m->der.len)
			crl_cache_put(cache, k, m, now);
		else if ((l = crl_cache_get(cache, k)) != NULL)
			l->asked_ms = now;
		return;
	}
	const struct ipc_done *d = msg;
	l = crl_cache_get(cache, k);
	/* a core that is away for a moment takes no list away */
	if (l &&
	    (d->code == ERR_OK || d->code == ERR_UNAVAILABLE || d->code == ERR_TIMEOUT)) {
		reply_list(c, k, l);
		return;
	}
	const struct wire_error w =
	    wire_error_of(d->code == ERR_NOT_FOUND ? 404000 : 503000);
	http_call_fail(c, &w, "");
}

void
crl_http_get(struct http_call *c)
{
	struct crl_key *k = arena_alloc(c->arena, sizeof(*k));
	c->state = k;
	if (!span_to_str(c->param[0], k->issuer, sizeof(k->issuer)) ||
	    !parse_file(c->param[1], k)) {
		const struct wire_error w = wire_error_of(404000);
		http_call_fail(c, &w, "");
		return;
	}
	const struct crl_cached *l = crl_cache_get(c->env->crls, k);
	bool fresh = l && loop_now_ms(c->env->loop) - l->asked_ms < FRESH_MS;
	if (l && (fresh || !core_link_is_up(c->env->core))) {
		reply_list(c, k, l);
		return;
	}
	const struct ipc_crl_get m = {.issuer = span_str(k->issuer),
	    .shard = k->shard,
	    .delta = k->delta,
	    .have = l ? l->number : 0};
	http_call_ask(c, IPC_CRL_GET, &m, on_list);
}

/* ---- CA certificates ------------------------------------------------------------------
 */

static void
on_ca(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_CERT) {
		buf_reset(&c->out);
		buf_put_span(&c->out, ((const struct ipc_cert *)msg)->der);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK) {
		const struct wire_error w =
		    wire_error_of(d->code == ERR_NOT_FOUND ? 404000 : 503000);
		http_call_fail(c, &w, "");
		return;
	}
	uint8_t sha[DIGEST_SHA256];
	char tag[2 * DIGEST_SHA256 + 3] = "\"";
	digest_sha256(buf_span(&c->out), sha);
	hex_write(span_of(sha, sizeof(sha)), tag + 1);
	tag[2 * DIGEST_SHA256 + 1] = '"';
	tag[2 * DIGEST_SHA256 + 2] = '\0';
	char control[48];
	snprintf(control, sizeof(control), "public, max-age=%d", CERT_S);
	http_call_set(c, "Cache-Control", control);
	public_http_reply(c, tag, TYPE_CERT, buf_span(&c->out));
}

void
crl_http_ca(struct http_call *c)
{
	struct span name = c->param[0], suffix = SPAN_LIT(".crt");
	if (!span_ends(name, suffix) || name.len > 64) {
		const struct wire_error w = wire_error_of(404000);
		http_call_fail(c, &w, "");
		return;
	}
	const struct ipc_ca_get m = {.name = span_head(name, name.len - suffix.len)};
	http_call_ask(c, IPC_CA_GET, &m, on_ca);
}

/* ---- the lists there are --------------------------------------------------------------
 */

static void
put_path(struct js *o, const struct ipc_crl_row *m)
{
	char path[160];
	if (m->shard < 0)
		snprintf(path, sizeof(path), "/crl/%.*s/all.crl", SPAN_FMT(m->name));
	else
		snprintf(path, sizeof(path), "/crl/%.*s/%" PRId64 "%s.crl",
		    SPAN_FMT(m->name), m->shard, m->delta ? "-delta" : "");
	js_set_text(o, "path", path);
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_CRL_ROW) {
		const struct ipc_crl_row *m = msg;
		auto_(js_free) struct js *o = js_object();
		json_put_text(o, "issuer", m->name);
		json_put_text(o, "issuerSha256", m->issuer);
		js_set_int(o, "shard", m->shard);
		js_set_bool(o, "delta", m->delta != 0);
		js_set_int(o, "number", m->number);
		js_set_int(o, "thisUpdateMs", m->this_ms);
		js_set_int(o, "nextUpdateMs", m->next_ms);
		put_path(o, m);
		buf_str(&c->out, c->out.len ? "," : "{\"lists\":[");
		js_dump(o, JS_AS_BUILT, &c->out);
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	buf_str(&c->out, c->out.len ? "]}" : "{\"lists\":[]}");
	http_call_json_out(c, 200);
}

void
crl_http_query(struct http_call *c)
{
	const struct ipc_crl_query m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_CRL_QUERY, &m, on_row);
}

static void
on_put(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	(void)type;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	struct js *o = js_object();
	json_put_text(o, "issuer", d->next);
	http_call_json(c, 200, o);
}

void
crl_http_put(struct http_call *c)
{
	const struct ipc_crl_put m = {.peer = c->peer, .cred = c->cred, .der = c->body};
	http_call_ask(c, IPC_CRL_PUT, &m, on_put);
}
