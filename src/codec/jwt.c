/*
 * Tokens of operators: header and claims as JSON. Errors name parts, never what is in
 * them.
 */
#include "codec/jwt.h"

#include "base/base64.h"
#include "codec/js.h"

#define DEPTH    4
#define TIME_MAX INT64_C(253402300799) /* the year 9999 */

/* A part of a token as an object. */
static struct js *
parse_part(struct span part, const char *what, struct err *e)
{
	auto_buf text = BUF_INIT(JWT_MAX);
	struct err cause;
	auto_(js_free) struct js *v = NULL;
	if (base64_url_parse(part, &text, &cause) == 0)
		v = js_parse(buf_span(&text), JWT_MAX, DEPTH, &cause);
	if (v && js_is(v, JS_OBJECT))
		return TAKE(v);
	err_set(e, ERR_PARSE, "token: its %s is no JSON object in base64url", what);
	return NULL;
}

static int
take_text(const struct js *o, const char *key, char *dst, size_t size, struct err *e)
{
	struct span s = js_as_str(js_get(o, key));
	if (s.len && span_to_str(s, dst, size))
		return 0;
	return err_set(e, ERR_PARSE, "token: %s is missing or too long", key);
}

static int
parse_header(struct span part, struct jwt *ret, struct err *e)
{
	auto_(js_free) struct js *o = parse_part(part, "header", e);
	if (!o)
		return -1;
	if (!span_eq_str(js_as_str(js_get(o, "alg")), "ES256") || js_get(o, "crit"))
		return err_set(e, ERR_PARSE, "token: not signed as ours are (ES256)");
	return take_text(o, "kid", ret->kid, sizeof(ret->kid), e);
}

static int
parse_sig(struct span part, struct jwt *ret, struct err *e)
{
	auto_buf sig = BUF_INIT(JWT_SIG);
	struct err cause;
	if (base64_url_parse(part, &sig, &cause) || sig.len != JWT_SIG)
		return err_set(
		    e, ERR_PARSE, "token: its signature is not %d bytes", JWT_SIG);
	memcpy(ret->sig, sig.p, JWT_SIG);
	return 0;
}

int
jwt_parse(struct span token, struct jwt *ret, struct err *e)
{
	struct jwt t = {.input = span_head(token, span_rfind(token, '.'))};
	struct span sig = span_skip(token, t.input.len + 1);
	struct span payload = t.input;
	struct span header = span_split(&payload, '.');
	if (token.len > JWT_MAX)
		return err_set(e, ERR_LIMIT, "token longer than %d bytes", JWT_MAX);
	if (!header.len || !payload.len || span_has(payload, '.'))
		return err_set(e, ERR_PARSE, "token: not three parts");
	if (parse_header(header, &t, e) || parse_sig(sig, &t, e))
		return -1;
	*ret = t;
	return 0;
}

int
jwt_claims_parse(struct span input, struct jwt_claims *ret, struct err *e)
{
	struct jwt_claims c;
	struct span payload = span_skip(input, span_find(input, '.') + 1);
	auto_(js_free) struct js *o = parse_part(payload, "payload", e);
	if (!o || take_text(o, "sub", c.sub, sizeof(c.sub), e) ||
	    take_text(o, "aud", c.aud, sizeof(c.aud), e) ||
	    js_need_int(o, "iat", 0, TIME_MAX, &c.iat_s, e) ||
	    js_need_int(o, "exp", 0, TIME_MAX, &c.exp_s, e) ||
	    js_need_int(o, "secret_ms", 0, TIME_MAX * 1000, &c.secret_ms, e))
		return -1;
	*ret = c;
	return 0;
}

static void
put_part(const struct js *o, struct buf *out)
{
	auto_buf text = BUF_INIT(JWT_MAX);
	js_dump(o, JS_AS_BUILT, &text);
	base64_url_put(out, buf_span(&text));
}

static struct js *
claims_json(const struct jwt_claims *c, const char *issuer, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (js_set_str(o, "iss", span_str(issuer), e) ||
	    js_set_str(o, "sub", span_str(c->sub), e) ||
	    js_set_str(o, "aud", span_str(c->aud), e))
		return NULL;
	/* clients read who they are from these two */
	js_set(o, "appid", js_copy(js_get(o, "sub")));
	js_set(o, "oid", js_copy(js_get(o, "sub")));
	js_set_text(o, "tid", "adfs");
	js_set_int(o, "iat", c->iat_s);
	js_set_int(o, "nbf", c->iat_s);
	js_set_int(o, "exp", c->exp_s);
	js_set_int(o, "secret_ms", c->secret_ms);
	return TAKE(o);
}

int
jwt_write_input(const struct jwt_claims *c, const char *kid, const char *issuer,
    struct buf *out, struct err *e)
{
	auto_(js_free) struct js *header = js_object();
	auto_(js_free) struct js *claims = claims_json(c, issuer, e);
	if (!claims)
		return -1;
	js_set_text(header, "alg", "ES256");
	js_set_text(header, "kid", kid);
	js_set_text(header, "typ", "JWT");
	put_part(header, out);
	buf_str(out, ".");
	put_part(claims, out);
	return buf_check(out, "token", e);
}

void
jwt_write_sig(const uint8_t sig[JWT_SIG], struct buf *out)
{
	buf_str(out, ".");
	base64_url_put(out, span_of(sig, JWT_SIG));
}
