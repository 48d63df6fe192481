/*
 * What handlers of requests share: asking, answering, errors in each dialect, pages.
 */
#include "proto/http_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/num.h"
#include "base/rand.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/credential.h"
#include "proto/env.h"
#include "proto/json.h"

#define TYPE_JSON   "application/json; charset=utf-8"
#define TYPE_NDJSON "application/x-ndjson"

enum {
	ARENA_MAX = 1 << 20,
	PAGE_BYTES = 4 << 20, /* a page ends early beyond this */
	CONTINUATION_MAX = 1024,
	ERROR_MAX = 8192,
	RETRY_USUAL_S = 3,
	BODY_MAX = 1 << 20,
};

/* Everything of the call but the request itself, which was answered or dropped. */
static void
call_free(struct http_call *c)
{
	core_link_drop(c->env->core, &c->owner);
	list_del(&c->all);
	credential_free(c->credential);
	buf_done(&c->out);
	arena_free(c->arena);
	free(c);
}

void
http_call_drop(struct http_call *c)
{
	struct http_req *r = c->req;
	http_on_gone(r, NULL, NULL);
	call_free(c);
	http_drop(r);
}

static void
on_gone(void *arg)
{
	http_call_drop(arg);
}

struct http_call *
http_call_new(const struct env *env, struct http_req *r, struct list *all)
{
	struct http_call *c = own_alloc(sizeof(*c));
	c->env = env;
	c->req = r;
	c->arena = arena_new(ARENA_MAX);
	c->body = http_body(r);
	c->out = BUF_INIT(HTTP_CALL_OUT_MAX);
	core_link_owner_init(&c->owner);
	list_push(all, &c->all);
	http_on_gone(r, on_gone, c);
	return c;
}

static void
finish(struct http_call *c, int status, struct span body)
{
	struct http_req *r = c->req;
	char id[37];
	rand_uuid(id);
	http_on_gone(r, NULL, NULL);
	http_set(r, "x-ms-request-id", id);
	http_reply(r, status, body);
	call_free(c); /* body may lie in it */
}

struct stream *
http_call_upgrade(struct http_call *c, struct span answer, const struct stream_opts *opts)
{
	struct http_req *r = c->req;
	http_on_gone(r, NULL, NULL);
	struct stream *st = stream_websocket(c->env->loop, r, answer, opts);
	call_free(c); /* answer may lie in it */
	return st;
}

void
http_call_set(struct http_call *c, const char *name, const char *value)
{
	http_set(c->req, name, value);
}

const char *
http_call_header(const struct http_call *c, const char *name)
{
	return http_header(c->req, name);
}

void
http_call_reply(struct http_call *c, int status, const char *type, struct span body)
{
	if (type)
		http_call_set(c, "Content-Type", type);
	finish(c, status, body);
}

void
http_call_json_out(struct http_call *c, int status)
{
	struct err e = {0};
	if (buf_check(&c->out, "answer", &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_reply(c, status, TYPE_JSON, buf_span(&c->out));
}

void
http_call_json(struct http_call *c, int status, struct js *v)
{
	buf_reset(&c->out);
	js_dump(v, JS_AS_BUILT, &c->out);
	js_free(v);
	http_call_json_out(c, status);
}

void
http_call_line(struct http_call *c, const struct js *o)
{
	js_dump(o, JS_AS_BUILT, &c->out);
	buf_str(&c->out, "\n");
}

void
http_call_lines_out(struct http_call *c, const char *what)
{
	struct err e = {0};
	if (buf_check(&c->out, what, &e))
		http_call_fail_err(c, &e);
	else
		http_call_reply(c, 200, TYPE_NDJSON, buf_span(&c->out));
}

void
http_call_no_content(struct http_call *c)
{
	http_call_reply(c, 204, NULL, SPAN_NONE);
}

bool
http_call_refuse_head(struct http_call *c)
{
	if (http_method(c->req) != HTTP_HEAD)
		return false;
	const struct wire_error w = wire_error_of(405000);
	http_call_set(c, "Allow", "GET");
	http_call_fail(c, &w, "");
	return true;
}

/* ---- errors ------------------------------------------------------------------------ */

/* RFC 7030 3.2.3: what EST takes where there is no certificate. */
static const char *
challenge(enum http_dialect dialect)
{
	switch (dialect) {
	case HTTP_DIALECT_PLAIN:
		return "Basic realm=\"EST\", charset=\"UTF-8\"";
	case HTTP_DIALECT_ARM:
		return "Bearer";
	case HTTP_DIALECT_OAUTH:
		return "Basic realm=\"operators\", charset=\"UTF-8\"";
	default:
		return "SharedAccessSignature";
	}
}

static void
set_retry(struct http_call *c)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld",
	    (long long)(c->retry_s ? c->retry_s : RETRY_USUAL_S));
	http_call_set(c, "Retry-After", text);
}

void
http_call_fail(struct http_call *c, const struct wire_error *w, const char *detail)
{
	auto_buf b = BUF_INIT(ERROR_MAX);
	int64_t now = clock_wall_ms(loop_clock(c->env->loop));
	const char *type = TYPE_JSON;
	if (w->status == 401)
		http_call_set(c, "WWW-Authenticate", challenge(c->dialect));
	if (w->status == 429 || w->status == 503)
		set_retry(c);
	switch (c->dialect) {
	case HTTP_DIALECT_HUB:
		http_call_set(c, "iothub-errorcode", w->name);
		wire_error_hub_body(w, detail, now, &b);
		break;
	case HTTP_DIALECT_METHOD:
		http_call_set(c, "iothub-errorcode", w->name);
		wire_error_method_body(w, detail, now, &b);
		break;
	case HTTP_DIALECT_DPS:
		wire_error_dps_body(w, detail, now, &b);
		break;
	case HTTP_DIALECT_ARM:
		wire_error_arm_body(w, detail, &b);
		break;
	case HTTP_DIALECT_OAUTH:
		wire_error_oauth_body(w, detail, &b);
		break;
	case HTTP_DIALECT_PLAIN:
		type = "text/plain; charset=utf-8";
		buf_printf(&b, "%s%s%s\n", w->words, *detail ? ": " : "", detail);
		break;
	}
	http_call_reply(c, w->status, type, buf_span(&b));
}

static enum wire_plane
plane_of(const struct http_call *c)
{
	return c->dialect == HTTP_DIALECT_DPS ? WIRE_DPS : WIRE_HUB;
}

void
http_call_fail_err(struct http_call *c, const struct err *e)
{
	const struct wire_error w = wire_error_of_code(e->code, plane_of(c));
	http_call_fail(c, &w, e->text);
}

/* Failures whose text says what the caller did; the others tell of our insides, or come
 * before the caller was let in. */
static bool
may_show(enum err_code code)
{
	switch (code) {
	case ERR_USAGE:
	case ERR_PARSE:
	case ERR_LIMIT:
	case ERR_UNSUPPORTED:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_GATE:
		return true;
	default:
		return false;
	}
}

void
http_call_fail_done(struct http_call *c, const struct ipc_done *d)
{
	const struct wire_error w = wire_error_of_done(d, plane_of(c));
	char text[513] = "";
	if (may_show(d->code) && !span_to_str(d->text, text, sizeof(text)))
		text[0] = '\0';
	http_call_fail(c, &w, text);
}

/* ---- the core ---------------------------------------------------------------------- */

/* The core judges a credential with the request it came with: what it then does proves
 * who asked. A refusal proves nothing, even one that only a known caller can get. */
static bool
is_good(enum ipc_type type, const void *msg)
{
	return type != IPC_DONE || ((const struct ipc_done *)msg)->code == ERR_OK;
}

static void
on_answer(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct http_call *c = arg;
	if (c->cred.kind != CRED_NONE && is_good(type, msg))
		http_prove(c->req);
	c->on_answer(c, type, msg);
}

void
http_call_ask(struct http_call *c, enum ipc_type type, const void *msg,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	http_call_ask_for(c, 0, type, msg, fn);
}

void
http_call_ask_for(struct http_call *c, int64_t wait_ms, enum ipc_type type,
    const void *msg, void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	const struct core_asker who = {
	    .owner = &c->owner, .fn = on_answer, .arg = c, .wait_ms = wait_ms};
	c->on_answer = fn;
	if (!core_link_ask(c->env->core, &who, type, msg, &e))
		return;
	if (c->streaming)
		http_call_stream_end(c, true);
	else
		http_call_fail_err(c, &e);
}

/* ---- streams ----------------------------------------------------------------------- */

void
http_call_stream_start(struct http_call *c, const char *type, void (*on_room)(void *call))
{
	http_call_set(c, "Content-Type", type);
	c->streaming = true;
	http_stream_start(c->req, 200, on_room, c);
}

void
http_call_stream_end(struct http_call *c, bool cut)
{
	struct http_req *r = c->req;
	if (cut) {
		http_call_drop(c);
		return;
	}
	http_on_gone(r, NULL, NULL);
	call_free(c);
	http_stream_end(r);
}

/* ---- what requests hold ------------------------------------------------------------ */

int
http_call_query_text(const struct http_call *c, const char *key, size_t cap,
    struct span *ret, struct err *e)
{
	struct span s = SPAN_NONE;
	if (uri_query_get(c->query, key, c->arena, &s, e))
		return -1;
	if (s.len > cap || span_has(s, 0))
		return err_set(e, ERR_PARSE, "%s: at most %zu characters", key, cap);
	if (s.p)
		*ret = s;
	return 0;
}

int
http_call_query_int(const struct http_call *c, const char *key, int64_t min, int64_t max,
    int64_t *ret, struct err *e)
{
	struct span s = SPAN_NONE;
	if (uri_query_get(c->query, key, c->arena, &s, e))
		return -1;
	if (!s.p)
		return 0;
	if (num_parse(s, min, max, ret, e))
		return err_wrap(e, "%s", key);
	return 0;
}

int
http_call_if_match(const struct http_call *c, struct span *ret, struct err *e)
{
	char text[JSON_ETAG_MAX];
	if (!json_etag_parse(http_call_header(c, "If-Match"), text))
		return err_set(e, ERR_CONFLICT, "If-Match is no etag of this service");
	*ret = span_str(arena_str(c->arena, span_str(text)));
	return 0;
}

struct js *
http_call_object(const struct http_call *c, int max_depth, struct err *e)
{
	auto_(js_free) struct js *v = js_parse(c->body, BODY_MAX, max_depth, e);
	if (!v)
		return NULL;
	if (!js_is(v, JS_OBJECT)) {
		err_set(e, ERR_PARSE, "body is no JSON object");
		return NULL;
	}
	return TAKE(v);
}

/* ---- pages ------------------------------------------------------------------------- */

/* A continuation is the last ID, in base64: opaque, and good for a header. */
static int
parse_continuation(const struct http_call *c, struct span *ret, struct err *e)
{
	const char *text = http_call_header(c, "x-ms-continuation");
	auto_buf id = BUF_INIT(CAP_ID);
	if (!text || !*text)
		return 0;
	if (base64_parse(span_str(text), &id, e) || buf_check(&id, "token", e) ||
	    span_has(buf_span(&id), 0))
		return err_set(e, ERR_PARSE, "x-ms-continuation is not one of ours");
	*ret = arena_span(c->arena, buf_span(&id));
	return 0;
}

int
http_call_page(const struct http_call *c, uint32_t most, uint32_t *ret_limit,
    struct span *ret_after, struct err *e)
{
	const char *text = http_call_header(c, "x-ms-max-item-count");
	int64_t limit = most;
	if (text && *text &&
	    num_parse(span_trim(span_str(text)), 1, INT32_MAX, &limit, e))
		return err_wrap(e, "x-ms-max-item-count");
	if (parse_continuation(c, ret_after, e))
		return -1;
	*ret_limit = limit < most ? (uint32_t)limit : most;
	return 0;
}

void
http_call_list_begin(struct http_call *c)
{
	buf_str(&c->out, "[");
}

void
http_call_list_add(struct http_call *c, const struct js *v, struct span id)
{
	if (c->list_full || c->out.len > PAGE_BYTES) {
		c->list_full = true;
		return;
	}
	if (c->out.len > 1)
		buf_str(&c->out, ",");
	js_dump(v, JS_AS_BUILT, &c->out);
	if (!span_to_str(id, c->list_last, sizeof(c->list_last)))
		c->list_last[0] = '\0';
}

void
http_call_list_end(struct http_call *c, const char *item, const struct ipc_done *d)
{
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	struct span next = c->list_full ? span_str(c->list_last) : d->next;
	auto_buf token = BUF_INIT(CONTINUATION_MAX);
	base64_put(&token, next);
	if (next.len)
		http_call_set(c, "x-ms-continuation", buf_text(&token));
	http_call_set(c, "x-ms-item-type", item);
	buf_str(&c->out, "]");
	http_call_json_out(c, 200);
}
