/*
 * Signing in to Azure. protocol/service.md 0.4, 1.1, 2.1; RFC 6749 4.4; the managed
 * identity's endpoint as Azure's own libraries ask it.
 */
#include "fleet/sign_in.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/num.h"
#include "codec/conn_string.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "crypto/sas_key.h"
#include "fleet/rest.h"
#include "io/file.h"
#include "io/loop.h"

#define SECRET_MAX   4096
#define HOST_MAX     300
#define SAS_LIFE_S   3600
#define EARLY_S      300 /* a token is replaced so long before its end */
#define ANSWER_MAX   (64 * 1024)
#define ANSWER_DEPTH 8
#define LIFE_MAX_S   (INT64_C(7) * 86400)
#define TIMEOUT_MS   20000
#define MACHINE_MS   5000

struct token {
	struct buf text;  /* of the header, secret; empty: none */
	int64_t renew_ms; /* wall time */
};

/* What a connection string says. */
struct policy {
	char host[HOST_MAX];
	char name[SECRET_MAX];
	struct buf key; /* decoded, secret */
};

struct sign_in {
	struct loop *loop;
	const struct targets_row *row;
	const char *home;
	struct policy policy[SIGN_IN_ARM]; /* of hub and DPS */
	struct buf secret;                 /* of a service principal */
	struct rest *rest;                 /* to whoever gives tokens */
	struct token token[SIGN_IN_PLANES];
};

static const struct {
	const char *name, *audience;
} planes[SIGN_IN_PLANES] = {
    [SIGN_IN_HUB] = {"hub", "https://iothubs.azure.net"},
    [SIGN_IN_DPS] = {"provisioning service", "https://azure-devices-provisioning.net"},
    [SIGN_IN_ARM] = {"resource manager", NULL}, /* its own URL */
};

/* ---- files ---------------------------------------------------------------------------
 */

static int
read_secret(const struct sign_in *s, const char *name, struct buf *out, struct err *e)
{
	auto_buf path = BUF_INIT(4096);
	if (name[0] != '/')
		buf_printf(&path, "%s/", s->home);
	buf_str(&path, name);
	if (buf_check(&path, "path of a secret", e) ||
	    file_read_secret(buf_text(&path), out, e))
		return err_wrap(e, "target %s", s->row->name);
	return 0;
}

static int
read_policy(struct sign_in *s, const char *file, struct policy *p, struct err *e)
{
	auto_buf text = BUF_INIT(SECRET_MAX);
	struct conn_string c;
	if (!file[0])
		return 0;
	if (read_secret(s, file, &text, e))
		return -1;
	if (conn_string_parse(buf_span(&text), &c, e) || sas_key_parse(c.key, &p->key, e))
		return err_wrap(e, "target %s: %s", s->row->name, file);
	if (!span_to_str(c.host, p->host, sizeof(p->host)) ||
	    !span_to_str(c.policy, p->name, sizeof(p->name)))
		return err_set(e, ERR_PARSE, "target %s: %s: not a connection string",
		    s->row->name, file);
	return 0;
}

static int
read_client_secret(struct sign_in *s, struct err *e)
{
	auto_buf text = BUF_INIT(SECRET_MAX);
	if (read_secret(s, s->row->secret, &text, e))
		return -1;
	buf_put_span(&s->secret, span_trim(buf_span(&text)));
	if (s->secret.len)
		return 0;
	return err_set(
	    e, ERR_PARSE, "target %s: %s is empty", s->row->name, s->row->secret);
}

/* ---- whoever gives tokens ------------------------------------------------------------
 */

static int
open_rest(struct sign_in *s, const char *base, struct err *e)
{
	auto_buf ca = BUF_INIT(4096);
	bool machine = s->row->sign_in == TARGETS_MANAGED_IDENTITY;
	if (s->row->ca[0] && s->row->ca[0] != '/')
		buf_printf(&ca, "%s/", s->home);
	buf_str(&ca, s->row->ca);
	const struct rest_opts o = {.base = base,
	    .ca = s->row->ca[0] ? buf_text(&ca) : NULL,
	    /* elsewhere than on Azure nobody answers at the machine's endpoint */
	    .timeout_ms = machine ? MACHINE_MS : TIMEOUT_MS,
	    .conns_max = 1,
	    .metadata = machine};
	s->rest = rest_new(s->loop, &o, e);
	return s->rest ? 0 : err_wrap(e, "target %s", s->row->name);
}

static int
open_way(struct sign_in *s, struct err *e)
{
	switch (s->row->sign_in) {
	case TARGETS_CONNECTION_STRING:
		if (read_policy(s, s->row->hub_connection, &s->policy[SIGN_IN_HUB], e))
			return -1;
		return read_policy(s, s->row->dps_connection, &s->policy[SIGN_IN_DPS], e);
	case TARGETS_SERVICE_PRINCIPAL:
		return read_client_secret(s, e) ? -1 : open_rest(s, s->row->authority, e);
	case TARGETS_MANAGED_IDENTITY:
		return open_rest(s, s->row->imds, e);
	default:
		return err_set(
		    e, ERR_INTERNAL, "target %s: no way to sign in", s->row->name);
	}
}

struct sign_in *
sign_in_new(
    struct loop *l, const struct targets_row *row, const char *home, struct err *e)
{
	auto_(sign_in_free) struct sign_in *s = own_alloc(sizeof(*s));
	s->loop = l;
	s->row = row;
	s->home = home;
	s->secret = BUF_INIT(SECRET_MAX);
	s->secret.secret = true;
	for (int i = 0; i < SIGN_IN_PLANES; i++) {
		s->token[i].text = BUF_INIT(SIGN_IN_TOKEN_MAX);
		s->token[i].text.secret = true;
	}
	for (int i = 0; i < SIGN_IN_ARM; i++) {
		s->policy[i].key = BUF_INIT(SAS_KEY_MAX);
		s->policy[i].key.secret = true;
	}
	return open_way(s, e) ? NULL : TAKE(s);
}

void
sign_in_free(struct sign_in *s)
{
	if (!s)
		return;
	rest_free(s->rest);
	buf_done(&s->secret);
	for (int i = 0; i < SIGN_IN_PLANES; i++)
		buf_done(&s->token[i].text);
	for (int i = 0; i < SIGN_IN_ARM; i++)
		buf_done(&s->policy[i].key);
	free(s);
}

const char *
sign_in_host(const struct sign_in *s, enum sign_in_plane p)
{
	if (s->row->sign_in == TARGETS_CONNECTION_STRING)
		return p == SIGN_IN_ARM ? "" : s->policy[p].host;
	return p == SIGN_IN_HUB ? s->row->hub : p == SIGN_IN_DPS ? s->row->dps : "";
}

/* ---- answers -------------------------------------------------------------------------
 */

int
sign_in_read_token(
    struct span body, struct buf *token, int64_t *ret_life_s, struct err *e)
{
	struct span text;
	int64_t life = 0;
	auto_(js_free) struct js *v = js_parse(body, ANSWER_MAX, ANSWER_DEPTH, e);
	if (!v)
		return err_wrap(e, "token");
	if (js_need_str(v, "access_token", &text, e))
		return err_wrap(e, "token");
	if (!text.len || text.len > SIGN_IN_TOKEN_MAX - 64)
		return err_set(e, ERR_PARSE, "token: empty, or too long");
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f)
			return err_set(
			    e, ERR_PARSE, "token: a character that no header has");
	const struct js *expires = js_get(v, "expires_in");
	struct span number = js_as_str(expires);
	if (js_is(expires, JS_INT))
		life = js_as_int(expires);
	else if (!num_ok(number, 0, LIFE_MAX_S, &life))
		return err_set(e, ERR_PARSE, "token: expires_in is wanted, in seconds");
	if (life < 1)
		return err_set(e, ERR_PARSE, "token: it has ended when it comes");
	*ret_life_s = life > LIFE_MAX_S ? LIFE_MAX_S : life;
	buf_put_span(token, text);
	return 0;
}

void
sign_in_read_refusal(struct span body, char *out, size_t size)
{
	struct err ignored;
	auto_(js_free) struct js *v = js_parse(body, ANSWER_MAX, ANSWER_DEPTH, &ignored);
	const char *said = js_as_text(js_get(v, "error_description"));
	size_t n = 0;
	if (!said[0])
		said = js_as_text(js_get(v, "error"));
	/* the first line; what follows are trace IDs */
	for (; said[n] && said[n] != '\r' && said[n] != '\n' && n + 1 < size; n++)
		out[n] = said[n] >= ' ' && said[n] < 0x7f ? said[n] : '?';
	out[n] = '\0';
}

/* ---- tokens --------------------------------------------------------------------------
 */

static const char *
audience(const struct sign_in *s, enum sign_in_plane p)
{
	return planes[p].audience ? planes[p].audience : s->row->arm;
}

/* sr is the host as Azure knows it, without a port (service.md 1.1). */
static int
make_sas(struct sign_in *s, enum sign_in_plane p, int64_t now_ms, struct token *t,
    struct err *e)
{
	const struct policy *own = &s->policy[p];
	struct span host = span_str(own->host);
	host = span_head(host, span_rfind(host, ':'));
	if (sas_key_sign(host, buf_span(&own->key), now_ms / 1000 + SAS_LIFE_S, own->name,
		&t->text, e))
		return err_wrap(e, "target %s", s->row->name);
	t->renew_ms = now_ms + (SAS_LIFE_S - EARLY_S) * 1000;
	return 0;
}

static void
form(struct buf *b, const char *name, struct span value)
{
	buf_printf(b, "%s%s=", b->len ? "&" : "", name);
	uri_encode(b, value);
}

/* AD FS has no version in its path, and no tenants: its one is called adfs. */
static void
write_principal(
    const struct sign_in *s, enum sign_in_plane p, struct buf *target, struct buf *body)
{
	auto_buf scope = BUF_INIT(1024);
	bool adfs = strcmp(s->row->tenant, "adfs") == 0;
	buf_printf(target, "/%s/oauth2/%stoken", s->row->tenant, adfs ? "" : "v2.0/");
	buf_printf(&scope, "%s/.default", audience(s, p));
	form(body, "client_id", span_str(s->row->client_id));
	form(body, "scope", buf_span(&scope));
	form(body, "grant_type", SPAN_LIT("client_credentials"));
	form(body, "client_secret", buf_span(&s->secret));
}

static void
write_machine(const struct sign_in *s, enum sign_in_plane p, struct buf *target)
{
	buf_str(
	    target, "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=");
	uri_encode(target, span_str(audience(s, p)));
	if (!s->row->client_id[0])
		return;
	buf_str(target, "&client_id=");
	uri_encode(target, span_str(s->row->client_id));
}

static int
refuse(const struct sign_in *s, const struct rest_response *r, struct err *e)
{
	char said[300];
	sign_in_read_refusal(r->body, said, sizeof(said));
	return err_set(e,
	    r->status == 429 || r->status >= 500 ? ERR_UNAVAILABLE : ERR_DENIED,
	    "target %s: no token by %s: HTTP %d%s%s", s->row->name,
	    targets_sign_in_name(s->row->sign_in), r->status, said[0] ? ": " : "", said);
}

static int
fetch(struct sign_in *s, enum sign_in_plane p, int64_t now_ms, struct token *t,
    struct err *e)
{
	static const char *const metadata[] = {"Metadata: true", NULL};
	bool machine = s->row->sign_in == TARGETS_MANAGED_IDENTITY;
	auto_buf target = BUF_INIT(4096), body = BUF_INIT(4 * SECRET_MAX);
	auto_buf got = BUF_INIT(ANSWER_MAX);
	struct rest_response answer;
	int64_t life_s;
	body.secret = got.secret = true;
	if (machine)
		write_machine(s, p, &target);
	else
		write_principal(s, p, &target, &body);
	const struct rest_request q = {.method = machine ? "GET" : "POST",
	    .target = buf_text(&target),
	    .body = buf_span(&body),
	    .content_type = "application/x-www-form-urlencoded",
	    .headers = machine ? metadata : NULL,
	    .once = machine,
	    .accept = "application/json"};
	if (rest_wait(s->rest, &q, &got, &answer, e))
		return err_wrap(e, "target %s: no token", s->row->name);
	answer.body = buf_span(&got);
	if (answer.status != 200)
		return refuse(s, &answer, e);
	buf_str(&t->text, "Bearer ");
	if (sign_in_read_token(answer.body, &t->text, &life_s, e))
		return err_wrap(e, "target %s", s->row->name);
	int64_t early_s = life_s / 2 < EARLY_S ? life_s / 2 : EARLY_S;
	t->renew_ms = now_ms + (life_s - early_s) * 1000;
	return 0;
}

static int
make(struct sign_in *s, enum sign_in_plane p, int64_t now_ms, struct token *t,
    struct err *e)
{
	if (s->row->sign_in != TARGETS_CONNECTION_STRING)
		return fetch(s, p, now_ms, t, e);
	if (p != SIGN_IN_ARM && s->policy[p].key.len)
		return make_sas(s, p, now_ms, t, e);
	if (p == SIGN_IN_ARM)
		return err_set(e, ERR_UNSUPPORTED,
		    "target %s: the %s takes no connection string: sign in by "
		    "service-principal or managed-identity",
		    s->row->name, planes[p].name);
	return err_set(e, ERR_USAGE, "target %s: no %s there: set %s in targets.conf",
	    s->row->name, planes[p].name,
	    p == SIGN_IN_HUB ? "hub_connection" : "dps_connection");
}

int
sign_in_authorization(struct sign_in *s, enum sign_in_plane p, const char **ret,
    bool *ret_fresh, struct err *e)
{
	struct token *t = &s->token[p];
	int64_t now_ms = clock_wall_ms(loop_clock(s->loop));
	bool fresh = !t->text.len || now_ms >= t->renew_ms;
	if (fresh) {
		sign_in_forget(s, p);
		if (make(s, p, now_ms, t, e)) {
			sign_in_forget(s, p);
			return -1;
		}
	}
	if (buf_check(&t->text, "token", e))
		return -1;
	*ret = buf_text(&t->text);
	*ret_fresh = fresh;
	return 0;
}

const char *
sign_in_ready(const struct sign_in *s, enum sign_in_plane p)
{
	const struct token *t = &s->token[p];
	bool good = t->text.len && clock_wall_ms(loop_clock(s->loop)) < t->renew_ms;
	return good ? buf_text(&t->text) : NULL;
}

void
sign_in_forget(struct sign_in *s, enum sign_in_plane p)
{
	buf_reset(&s->token[p].text);
}
