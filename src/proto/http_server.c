/*
 * The walk from a request to its handler: target, route, credential, body. Whatever is
 * refused here goes to the connection log, like a device's.
 */
#include "proto/http_server.h"

#include <stdlib.h>

#include "codec/config.h"
#include "codec/uri.h"
#include "codec/utf8.h"
#include "io/http.h"
#include "io/loop.h"
#include "proto/credential.h"
#include "proto/env.h"
#include "proto/http_call.h"

enum {
	HEAD_MAX = 16 * 1024,
	OUT_MAX = 4 << 20,
	REQUEST_MS = 30000,
	IDLE_MS = 60000,
	WRITE_MS = 30000,
	UNPROVEN_MS = 60000,
};

struct http_route {
	enum http_method method;
	const char *path;
	enum http_accepts accepts;
	enum http_dialect dialect;
	size_t body_max;
	void (*handle)(struct http_call *c);
};

static const struct http_route routes[] = {
#define ROUTE(method, path, accepts, dialect, cap, handler)                              \
	{HTTP_##method, path, HTTP_ACCEPTS_##accepts, HTTP_DIALECT_##dialect, cap,       \
	    handler},
#include "tbl/route.def"
#undef ROUTE
};

static const size_t n_routes = sizeof(routes) / sizeof(routes[0]);

struct http_server {
	const struct env *env;
	struct http *http;
	struct list calls;
	bool public; /* over plain HTTP: what is signed by itself and no secret */
};

/* ---- routes ------------------------------------------------------------------------ */

/* Whether path fits pattern; its parameters go to param (HTTP_CALL_PARAMS of them). Those
 * of a pattern that fits only at first may be left there. */
static bool
fits(const char *pattern, const struct uri_path *path, struct span *param)
{
	struct span rest = span_str(pattern + 1);
	size_t i = 0, n = 0;
	if (!rest.len)
		return path->n == 0;
	while (rest.p) {
		struct span want = span_split(&rest, '/');
		if (i == path->n)
			return false;
		struct span have = path->seg[i++];
		if (span_eq_str(want, "{}"))
			param[n++] = have;
		else if (!span_ieq(want, have))
			return false;
	}
	return i == path->n;
}

/* A route that takes the rest of the path as it came: base64 has slashes, two in a row
 * too (RFC 6960 A.1), which are no segments. */
static bool
fits_raw(const struct http_route *r, struct span path, struct span *param)
{
	struct span prefix = span_str(r->path);
	if (prefix.p[prefix.len - 1] != '*')
		return false;
	prefix.len--;
	if (!span_istarts(path, prefix) || path.len == prefix.len)
		return false;
	param[0] = span_skip(path, prefix.len);
	return true;
}

/* What was found on the way to a handler. */
struct match {
	const struct http_route *route; /* NULL: none for the method */
	unsigned methods; /* that the path knows, bits of enum http_method */
};

static void
note_route(const struct http_server *h, const struct http_route *r,
    enum http_method method, const struct span *param, struct http_call *c,
    struct match *m)
{
	enum http_method want = method == HTTP_HEAD ? HTTP_GET : method;
	if (h->public && r->accepts != HTTP_ACCEPTS_PUBLIC)
		return;
	m->methods |= 1u << r->method;
	if (m->route || r->method != want)
		return;
	m->route = r;
	memcpy(c->param, param, sizeof(c->param));
}

static struct match
find_raw(const struct http_server *h, enum http_method method, struct span path,
    struct http_call *c)
{
	struct match m = {0};
	struct span p[HTTP_CALL_PARAMS] = {{0}};
	for (size_t i = 0; i < n_routes; i++)
		if (fits_raw(&routes[i], path, p))
			note_route(h, &routes[i], method, p, c, &m);
	return m;
}

static struct match
find_route(const struct http_server *h, enum http_method method,
    const struct uri_path *path, struct http_call *c)
{
	struct match m = {0};
	for (size_t i = 0; i < n_routes; i++) {
		struct span p[HTTP_CALL_PARAMS] = {{0}};
		if (fits(routes[i].path, path, p))
			note_route(h, &routes[i], method, p, c, &m);
	}
	return m;
}

/* In which dialect a path that has no route is refused. */
static enum http_dialect
dialect_of(struct span path)
{
	static const struct {
		const char *prefix;
		enum http_dialect dialect;
	} prefixes[] = {
	    {"/subscriptions", HTTP_DIALECT_ARM},
	    {"/enrollment", HTTP_DIALECT_DPS},
	    {"/registrations", HTTP_DIALECT_DPS},
	    {"/adfs/", HTTP_DIALECT_OAUTH},
	    {"/.well-known", HTTP_DIALECT_PLAIN},
	    {"/crl/", HTTP_DIALECT_PLAIN},
	    {"/ca/", HTTP_DIALECT_PLAIN},
	    {"/ocsp", HTTP_DIALECT_PLAIN},
	};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (span_istarts(path, span_str(prefixes[i].prefix)))
			return prefixes[i].dialect;
	}
	return HTTP_DIALECT_HUB;
}

static void
fail_method(struct http_call *c, unsigned methods)
{
	auto_buf allow = BUF_INIT(128);
	for (int m = 0; m < HTTP_METHODS; m++) {
		if (methods & (1u << m))
			buf_printf(
			    &allow, "%s%s", allow.len ? ", " : "", http_method_name(m));
	}
	http_call_set(c, "Allow", buf_text(&allow));
	const struct wire_error w = wire_error_of(405000);
	http_call_fail(c, &w, "");
}

/* ---- credentials ------------------------------------------------------------------- */

/* In the connection log: on whose side, and of which device. */
static const char *
plane_of(const struct http_call *c, enum http_accepts accepts)
{
	if (accepts == HTTP_ACCEPTS_DEVICE)
		return c->dialect == HTTP_DIALECT_DPS ? "dps" : "hub";
	return accepts == HTTP_ACCEPTS_ENROL ? "est" : "service";
}

static struct span
device_of(const struct http_call *c, enum http_accepts accepts)
{
	struct span id = c->param[c->dialect == HTTP_DIALECT_DPS ? 1 : 0]; /* or scope */
	return accepts == HTTP_ACCEPTS_DEVICE && utf8_ok(id) ? id : SPAN_NONE;
}

static void
refuse(struct http_call *c, enum http_accepts accepts, const char *why)
{
	core_link_refused(c->env->core, plane_of(c, accepts), &c->peer,
	    device_of(c, accepts), 401002, "%s", why);
	const struct wire_error w = wire_error_of(401002);
	http_call_fail(c, &w, "");
}

static bool
is_operators(enum http_accepts accepts)
{
	return accepts == HTTP_ACCEPTS_ANY || accepts == HTTP_ACCEPTS_OPERATOR;
}

/* The Authorization header where there is one, else the certificate of the TLS session.
 * It is judged for each request: a resumed session may be older than the judgement. */
static int
take_credential(struct http_call *c, enum http_accepts accepts, struct err *e)
{
	const char *header = http_header(c->req, "Authorization");
	/* the C SDK with a certificate sends a blank one (protocol/device.md 4.1) */
	struct span text = span_trim(span_str(header));
	if (http_header_count(c->req, "Authorization") > 1)
		return err_set(e, ERR_PARSE, "Authorization came twice");
	if (accepts == HTTP_ACCEPTS_ENROL && text.len)
		c->credential = credential_of_basic(text, e);
	else if (is_operators(accepts) && credential_is_bearer(text))
		c->credential = credential_of_bearer(text, e);
	else
		c->credential = credential_of(text, http_ssl(c->req), c->env, e);
	if (!c->credential)
		return -1;
	c->cred = *credential_ipc(c->credential);
	return 0;
}

static bool
is_accepted(enum http_accepts accepts, unsigned kind)
{
	if (accepts == HTTP_ACCEPTS_CERT)
		return kind == CRED_X509;
	if (accepts == HTTP_ACCEPTS_OPERATOR)
		return kind == CRED_X509 || kind == CRED_BEARER;
	if (accepts == HTTP_ACCEPTS_ENROL)
		return kind == CRED_X509 || kind == CRED_BASIC;
	if (accepts == HTTP_ACCEPTS_DEVICE)
		return true;
	return kind != CRED_NONE;
}

/* ---- requests ---------------------------------------------------------------------- */

static void
take_peer(struct http_call *c)
{
	struct err e = {0};
	const char *agent = http_header(c->req, "User-Agent");
	struct span version = SPAN_NONE;
	if (uri_query_get(c->query, "api-version", c->arena, &version, &e))
		version = SPAN_NONE; /* nothing depends on it (protocol/service.md 0.2) */
	c->peer = (struct ipc_peer){.address = span_head(span_str(http_peer(c->req)), 64),
	    .proto = http_ssl(c->req) ? SPAN_LIT("https") : SPAN_LIT("http"),
	    .agent = span_head(span_str(agent), 512),
	    .api_version = span_has(version, 0) ? SPAN_NONE : span_head(version, 64),
	    .host = span_head(span_str(http_header(c->req, "Host")), CAP_HOST)};
}

static void
run(struct http_call *c, const struct http_route *route)
{
	struct err e = {0};
	c->dialect = route->dialect;
	if (c->body.len > route->body_max) {
		/* Node sends a body "{}" with GET (protocol/clients.md 1.21) */
		if (route->body_max) {
			err_set(&e, ERR_LIMIT, "body over %zu bytes", route->body_max);
			http_call_fail_err(c, &e);
			return;
		}
		c->body = SPAN_NONE;
	}
	if (route->accepts == HTTP_ACCEPTS_NONE ||
	    route->accepts == HTTP_ACCEPTS_PUBLIC) {
		route->handle(c);
		return;
	}
	if (take_credential(c, route->accepts, &e)) {
		refuse(c, route->accepts, e.text);
		return;
	}
	if (!is_accepted(route->accepts, c->cred.kind)) {
		refuse(c, route->accepts,
		    c->cred.kind == CRED_NONE ? "neither a token nor a certificate"
		    : route->accepts == HTTP_ACCEPTS_OPERATOR
			? "only an operator's certificate or token is taken"
			: "only a certificate is taken");
		return;
	}
	route->handle(c);
}

static void
on_request(void *arg, struct http_req *r)
{
	struct http_server *h = arg;
	struct err e = {0};
	struct http_call *c = http_call_new(h->env, r, &h->calls);
	struct uri_target t;
	struct uri_path path;
	if (uri_target_parse(http_target(r), &t, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	c->query = t.query;
	c->dialect = dialect_of(t.path);
	take_peer(c);
	struct match m = find_raw(h, http_method(r), t.path, c);
	/* az resource sends a double slash to the resource manager (protocol/service.md
	 * T2) */
	if (!m.methods &&
	    uri_path_parse(t.path, c->dialect == HTTP_DIALECT_ARM, c->arena, &path, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	if (!m.methods)
		m = find_route(h, http_method(r), &path, c);
	if (m.route) {
		run(c, m.route);
		return;
	}
	if (m.methods) {
		fail_method(c, m.methods);
		return;
	}
	const struct wire_error w = wire_error_of(404000);
	http_call_fail(c, &w, "");
}

static size_t
largest_body(bool public)
{
	size_t max = 0;
	for (size_t i = 0; i < n_routes; i++) {
		if (public && routes[i].accepts != HTTP_ACCEPTS_PUBLIC)
			continue;
		max = routes[i].body_max > max ? routes[i].body_max : max;
	}
	return max;
}

static struct http_server *
server_new(const struct env *env, bool public, struct err *e)
{
	const struct http_opts opts = {.head_max = HEAD_MAX,
	    .body_max = largest_body(public),
	    .out_max = OUT_MAX,
	    .conns_max = (size_t)env->config->server.max_connections,
	    .request_ms = REQUEST_MS,
	    .idle_ms = IDLE_MS,
	    .write_ms = WRITE_MS,
	    .unproven_ms = UNPROVEN_MS};
	struct http_server *h = own_alloc(sizeof(*h));
	h->env = env;
	h->public = public;
	list_init(&h->calls);
	h->http = http_new(env->loop, &opts, on_request, h, e);
	if (h->http)
		return h;
	free(h);
	return NULL;
}

struct http_server *
http_server_new(const struct env *env, struct err *e)
{
	return server_new(env, false, e);
}

struct http_server *
http_server_new_public(const struct env *env, struct err *e)
{
	return server_new(env, true, e);
}

void
http_server_free(struct http_server *h)
{
	if (!h)
		return;
	while (!list_empty(&h->calls))
		http_call_drop(list_of(h->calls.next, struct http_call, all));
	http_free(h->http);
	free(h);
}

int
http_server_listen(struct http_server *h, int fd, struct err *e)
{
	return http_listen(h->http, fd, e);
}

void
http_server_set_tls(struct http_server *h, struct tls_server *tls)
{
	http_set_tls(h->http, tls);
}

void
http_server_drain(struct http_server *h)
{
	http_drain(h->http);
}

size_t
http_server_conns(const struct http_server *h)
{
	return http_conns(h->http);
}
