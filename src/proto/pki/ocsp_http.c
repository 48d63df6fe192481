/*
 * OCSP over HTTP (RFC 6960 A.1, RFC 5019): requests in, answers out. One certificate a
 * request, as RFC 5019 2.1.1 has it, or several of one CA (RFC 6960 4.1.1). What is asked
 * goes to the core each time, so that no answer here outlives a revocation; caches on the
 * way are told for how long.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/hex.h"
#include "codec/ocsp_req.h"
#include "codec/uri.h"
#include "crypto/ocsp.h"
#include "io/loop.h"
#include "proto/env.h"
#include "proto/http_call.h"
#include "proto/pki/public_http.h"

#define TYPE_ANSWER "application/ocsp-response"
#define KEEP_S      3600 /* longest that a cache may keep one */

/* Unsigned, and of no use to a cache (RFC 5019 2.2.3). */
static void
reply_error(struct http_call *c, enum ocsp_error status)
{
	http_call_set(c, "Cache-Control", "no-store");
	http_call_reply(c, 200, TYPE_ANSWER, ocsp_error(status));
}

/* RFC 5019 6.2 */
static void
set_headers(struct http_call *c, const struct ipc_ocsp *m, int64_t now)
{
	char text[CLOCK_TEXT], control[96];
	int64_t left = (m->next_ms - now) / 1000;
	clock_rfc1123(m->this_ms, text);
	http_call_set(c, "Last-Modified", text);
	clock_rfc1123(m->next_ms, text);
	http_call_set(c, "Expires", text);
	snprintf(control, sizeof(control),
	    "max-age=%" PRId64 ", public, no-transform, must-revalidate",
	    left < KEEP_S ? left : KEEP_S);
	http_call_set(c, "Cache-Control", control);
}

static void
reply_answer(struct http_call *c, const struct ipc_ocsp *m)
{
	int64_t now = clock_wall_ms(loop_clock(c->env->loop));
	char tag[2 * DIGEST_SHA256 + 3], hex[2 * DIGEST_SHA256 + 1] = "";
	if (m->next_ms && m->next_ms <= now) {
		reply_error(c, OCSP_TRY_LATER);
		return;
	}
	if (!m->next_ms || m->tag.len != DIGEST_SHA256) { /* for this client alone */
		http_call_set(c, "Cache-Control", "no-store");
		http_call_reply(c, 200, TYPE_ANSWER, m->der);
		return;
	}
	hex_write(m->tag, hex);
	snprintf(tag, sizeof(tag), "\"%s\"", hex);
	set_headers(c, m, now);
	public_http_reply(c, tag, TYPE_ANSWER, m->der);
}

/* The row lives during its call alone. */
static void
keep(struct http_call *c, const struct ipc_ocsp *m)
{
	struct ipc_ocsp *copy = arena_alloc(c->arena, sizeof(*copy));
	*copy = *m;
	copy->der = arena_span(c->arena, m->der);
	copy->tag = arena_span(c->arena, m->tag);
	c->state = copy;
}

static void
on_answer(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_OCSP) {
		keep(c, msg);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK && c->state)
		reply_answer(c, c->state);
	else
		reply_error(c, d->code == ERR_PARSE ? OCSP_MALFORMED : OCSP_TRY_LATER);
}

/* A delegate signs the answer, and speaks for one CA (RFC 6960 4.2.2.2): all are to name
 * that, in one way. */
static bool
is_of_one_ca(const struct ocsp_req *r)
{
	const struct ocsp_req_id *first = &r->ids[0];
	if (first->hash == OCSP_REQ_OTHER)
		return false;
	for (size_t i = 1; i < r->n; i++)
		if (r->ids[i].hash != first->hash ||
		    !span_eq(r->ids[i].name, first->name) ||
		    !span_eq(r->ids[i].key, first->key))
			return false;
	return true;
}

static struct span
pack_more(struct arena *a, const struct ocsp_req *r)
{
	auto_buf b = BUF_INIT(OCSP_REQ_IDS_MAX * (1 + OCSP_REQ_SERIAL_MAX));
	for (size_t i = 1; i < r->n; i++) {
		buf_u8(&b, (uint8_t)r->ids[i].serial.len);
		buf_put_span(&b, r->ids[i].serial);
	}
	return arena_span(a, buf_span(&b));
}

static void
answer(struct http_call *c, struct span der)
{
	struct err e;
	struct ocsp_req r;
	if (ocsp_req_parse(der, &r, &e)) {
		reply_error(c, OCSP_MALFORMED);
		return;
	}
	if (!is_of_one_ca(&r)) {
		reply_error(c, OCSP_UNAUTHORIZED);
		return;
	}
	if (!core_link_is_up(c->env->core)) {
		reply_error(c, OCSP_TRY_LATER);
		return;
	}
	const struct ipc_ocsp_get m = {.hash = (uint8_t)r.ids[0].hash,
	    .name_hash = r.ids[0].name,
	    .key_hash = r.ids[0].key,
	    .serial = r.ids[0].serial,
	    .more = pack_more(c->arena, &r),
	    .nonce = r.nonce};
	http_call_ask(c, IPC_OCSP_GET, &m, on_answer);
}

void
ocsp_http_post(struct http_call *c)
{
	answer(c, c->body);
}

/* The base64 of a request is percent-encoded where clients follow A.1, and raw where they
 * do not: "//" and "+" and "=" mean themselves either way. */
void
ocsp_http_get(struct http_call *c)
{
	struct err e;
	auto_buf text = BUF_INIT(BASE64_LEN(OCSP_REQ_MAX));
	auto_buf der = BUF_INIT(OCSP_REQ_MAX);
	if (uri_decode(c->param[0], &text, &e) || buf_check(&text, "request", &e) ||
	    base64_parse(buf_span(&text), &der, &e) || buf_check(&der, "request", &e)) {
		reply_error(c, OCSP_MALFORMED);
		return;
	}
	answer(c, arena_span(c->arena, buf_span(&der)));
}
