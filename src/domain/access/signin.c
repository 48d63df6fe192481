/*
 * Signing in, and the tokens of who did.
 */
#include "domain/access/signin.h"

#include "base/hex.h"
#include "base/own.h"
#include "base/rand.h"
#include "codec/hub_conf.h"
#include "codec/jwt.h"
#include "crypto/es256.h"
#include "domain/access/policy.h"
#include "domain/access/principal.h"
#include "domain/access/signin_guard.h"

/* ---- audiences --------------------------------------------------------------------- */

enum audience { AUD_NONE, AUD_ARM, AUD_HUB, AUD_DPS };

/* What the SDKs and az ask tokens for (protocol/service.md 1.1, 2.1). */
static const struct {
	const char *uri;
	enum audience audience;
} known[] = {
    {"https://iothubs.azure.net", AUD_HUB},
    {"https://azure-devices-provisioning.net", AUD_DPS},
    {"https://management.azure.com", AUD_ARM},
    {"https://management.core.windows.net", AUD_ARM},
};

static struct span
without_slashes(struct span s)
{
	while (s.len && s.p[s.len - 1] == '/')
		s.len--;
	return s;
}

/* One of our own names, whatever the port. */
static bool
is_own(const struct config *cfg, struct span uri)
{
	static const struct span scheme = SPAN_LIT("https://");
	struct span host = span_skip(uri, scheme.len);
	if (!span_istarts(uri, scheme))
		return false;
	for (size_t i = 0; i < cfg->server.name.n; i++) {
		struct span name = span_str(cfg->server.name.v[i]);
		if (span_istarts(host, name) &&
		    (host.len == name.len || host.p[name.len] == ':'))
			return true;
	}
	return hub_conf_find(cfg, host) != NULL;
}

static enum audience
audience_of(const struct config *cfg, struct span uri)
{
	uri = without_slashes(uri);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_ieq_str(uri, known[i].uri))
			return known[i].audience;
	return is_own(cfg, uri) ? AUD_ARM : AUD_NONE;
}

/* Whom a token must be for to do this. */
static enum audience
audience_for(uint32_t right)
{
	if (right & (RIGHT_MANAGE | RIGHT_ENROLL | RIGHT_OBSERVE))
		return AUD_ARM;
	return policy_is_dps(right) ? AUD_DPS : AUD_HUB;
}

/* ---- keys ----------------------------------------------------------------------------
 */

static int
new_key(struct domain *d, struct store_token_key *ret, struct err *e)
{
	uint8_t raw[8];
	char kid[2 * sizeof(raw) + 1];
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = true;
	auto_(key_free) struct key *k = key_generate(KEY_P256, e);
	if (!k || key_write(k, &pem, e))
		return -1;
	rand_bytes(raw, sizeof(raw));
	hex_write(span_of(raw, sizeof(raw)), kid);
	*ret = (struct store_token_key){.kid = arena_str(d->arena, span_str(kid)),
	    .key = arena_span(d->arena, buf_span(&pem)),
	    .spki = arena_span(d->arena, key_spki(k)),
	    .made_ms = domain_now(d)};
	return store_token_key_add(d->store, ret, e);
}

/* The key that signs. Those that no living token is signed with go. */
static int
signing_key(struct domain *d, struct store_token_key *ret, struct err *e)
{
	int64_t old = domain_now(d) - SIGNIN_KEY_LIFE_MS;
	int rc = store_token_key_newest(d->store, d->arena, ret, e);
	if (rc && e->code != ERR_NOT_FOUND)
		return -1;
	if (rc == 0 && ret->made_ms > old)
		return 0;
	if (store_token_key_trim(d->store, old - INT64_C(1000) * SIGNIN_LIFE_S, e))
		return -1;
	return new_key(d, ret, e);
}

static int
sign(struct domain *d, const struct jwt_claims *claims, const char *issuer,
    const char **ret, struct err *e)
{
	struct store_token_key row;
	uint8_t sig[ES256_SIG];
	auto_buf token = BUF_INIT(JWT_MAX);
	token.secret = true;
	if (signing_key(d, &row, e))
		return -1;
	auto_(key_free) struct key *k =
	    key_parse(row.key, NULL, NULL, "the key of tokens", e);
	if (!k || jwt_write_input(claims, row.kid, issuer, &token, e) ||
	    es256_sign(k, buf_span(&token), sig, e))
		return -1;
	jwt_write_sig(sig, &token);
	if (buf_check(&token, "token", e))
		return -1;
	*ret = arena_str(d->arena, buf_span(&token));
	return 0;
}

/* ---- signing in
 * ------------------------------------------------------------------------ */

static int
refuse_secret(
    struct domain *d, const struct ipc_signin *m, const char *why, struct refusal *no)
{
	signin_guard_wrong(
	    d->signins, m->peer.address, m->app_id, clock_mono_ms(d->clock));
	return refusal_set(
	    no, REFUSAL_SIGNIN, "%.*s: %s", SPAN_FMT(span_head(m->app_id, 64)), why);
}

static int
give_token(struct domain *d, struct store_principal *p, const struct ipc_signin *m,
    const char **ret, struct err *e)
{
	int64_t now_s = clock_wall_s(d->clock);
	struct jwt_claims c = {
	    .iat_s = now_s, .exp_s = now_s + SIGNIN_LIFE_S, .secret_ms = p->secret_ms};
	if (!span_to_str(span_str(p->app_id), c.sub, sizeof(c.sub)) ||
	    !span_to_str(m->resource, c.aud, sizeof(c.aud)))
		return err_set(e, ERR_PARSE, "resource is too long");
	if (sign(d, &c, arena_str(d->arena, m->issuer), ret, e))
		return -1;
	p->signin_ms = domain_now(d);
	return store_principal_put(d->store, p, e);
}

int
signin_check(struct domain *d, const struct ipc_signin *m, const char **ret_token,
    struct refusal *no, struct err *e)
{
	struct store_principal p;
	*no = (struct refusal){0};
	if (!signin_guard_may_try(
		d->signins, m->peer.address, m->app_id, clock_mono_ms(d->clock)))
		return refusal_set(no, REFUSAL_THROTTLED, "wrong secrets");
	const char *app = arena_str(d->arena, m->app_id);
	if (store_principal_by_app(d->store, app, d->arena, &p, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refuse_secret(d, m, "no such application", no);
	}
	if (!principal_is_secret(&p, m->secret_sha256, domain_now(d)))
		return refuse_secret(d, m, "wrong secret, or its time is over", no);
	signin_guard_right(
	    d->signins, m->peer.address, m->app_id, clock_mono_ms(d->clock));
	if (audience_of(d->cfg, m->resource) == AUD_NONE)
		return refusal_set(
		    no, REFUSAL_AUDIENCE, "%.*s", SPAN_FMT(span_head(m->resource, 120)));
	return give_token(d, &p, m, ret_token, e);
}

/* ---- tokens
 * ---------------------------------------------------------------------------- */

static int
check_signature(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e)
{
	struct store_token_key k;
	struct err bad;
	const char *kid = arena_str(d->arena, cred->jwt_kid);
	if (cred->jwt_sig.len != ES256_SIG)
		return refusal_set(no, REFUSAL_BEARER, "no signature");
	if (store_token_key_get(d->store, kid, d->arena, &k, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_BEARER, "key %s is not ours", kid);
	}
	if (es256_verify(k.spki, cred->jwt_input, cred->jwt_sig.p, &bad))
		return refusal_set(no, REFUSAL_BEARER, "signature does not match");
	return 0;
}

static int
check_claims(struct domain *d, const struct jwt_claims *c,
    const struct store_principal *p, struct refusal *no)
{
	int64_t now_s = clock_wall_s(d->clock);
	if (now_s >= c->exp_s || now_s < c->iat_s - d->cfg->hub.clock_skew_s)
		return refusal_set(no, REFUSAL_BEARER, "operator %s: expired", p->name);
	if (c->secret_ms != p->secret_ms)
		return refusal_set(no, REFUSAL_BEARER,
		    "operator %s: its secret was rotated since", p->name);
	if (p->secret_end_ms && domain_now(d) >= p->secret_end_ms)
		return refusal_set(no, REFUSAL_BEARER,
		    "operator %s: the time of its secret is over", p->name);
	return 0;
}

/* Who bears it. A refusal leaves *ret alone. */
static int
take_bearer(struct domain *d, const struct ipc_cred *cred, struct jwt_claims *c,
    struct store_principal *ret, struct refusal *no, struct err *e)
{
	if (check_signature(d, cred, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (jwt_claims_parse(cred->jwt_input, c, e))
		return -1; /* we wrote it */
	if (store_principal_by_app(d->store, c->sub, d->arena, ret, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_BEARER, "%s is no operator now", c->sub);
	}
	return check_claims(d, c, ret, no);
}

int
signin_authorize(struct domain *d, const struct ipc_cred *cred, uint32_t right,
    struct refusal *no, struct err *e)
{
	struct store_principal p;
	struct jwt_claims c;
	if (take_bearer(d, cred, &c, &p, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (audience_of(d->cfg, span_str(c.aud)) != audience_for(right))
		return refusal_set(
		    no, REFUSAL_BEARER, "operator %s: for %s", p.name, c.aud);
	signin_guard_saw(d->signins, c.sub, p.name);
	if ((principal_rights(p.role) & right) != right)
		return refusal_set(
		    no, REFUSAL_RIGHT, "operator %s is %s", p.name, p.role);
	return 0;
}

int
signin_name(
    struct domain *d, const struct ipc_cred *cred, const char **ret, struct err *e)
{
	struct store_principal p;
	struct jwt_claims c;
	if (jwt_claims_parse(cred->jwt_input, &c, e))
		return -1;
	const char *seen = signin_guard_name(d->signins, c.sub);
	if (!seen && store_principal_by_app(d->store, c.sub, d->arena, &p, e))
		return -1;
	*ret = seen ? arena_str(d->arena, span_str(seen)) : p.name;
	return 0;
}
