/*
 * One-time tokens.
 */
#include "domain/pki/est_token.h"

#include "base/base64.h"
#include "base/hex.h"
#include "base/rand.h"
#include "codec/id.h"
#include "crypto/digest.h"
#include "domain/hub/device.h"
#include "domain/access/est_guard.h"

#define SECRET_BYTES 32

/* Base64 without what a shell, a URL or a user name could trip over. */
static const char *
new_secret(struct domain *d)
{
	uint8_t raw[SECRET_BYTES];
	rand_bytes(raw, sizeof(raw));
	auto_buf text = BUF_INIT(64);
	text.secret = true;
	base64_put(&text, span_of(raw, sizeof(raw)));
	own_wipe(raw, sizeof(raw));
	char *s = arena_str(d->arena, span_head(buf_span(&text), 43));
	for (char *p = s; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return s;
}

static int
need_device(struct domain *d, const struct ipc_token_put *m, struct err *e)
{
	struct store_device dev;
	const char *id = arena_str(d->arena, m->device_id);
	if (device_get(d, m->device_id, &dev, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND || !m->create)
		return -1;
	dev = device_blank(d, id);
	dev.auth = STORE_AUTH_CA;
	return store_device_add(d->store, &dev, e);
}

int
est_token_put(struct domain *d, const struct ipc_token_put *m, const char *by,
    struct store_token *ret, const char **ret_secret, struct err *e)
{
	int64_t now = domain_now(d);
	uint8_t sha[DIGEST_SHA256];
	char hex[65];
	/* its certificate's CN must hold it */
	if (m->device_id.len > ID_CN_MAX || !id_is_registration(m->device_id))
		return err_set(e, ERR_PARSE,
		    "'%.*s' is not a registration ID of at most %d characters",
		    SPAN_FMT(m->device_id), ID_CN_MAX);
	if (m->life_ms < 0 || m->life_ms > INT64_C(365) * 86400 * 1000)
		return err_set(e, ERR_PARSE, "a token lives for a year at most");
	if (need_device(d, m, e))
		return err_wrap(
		    e, "token for %.*s", SPAN_FMT(span_head(m->device_id, 64)));
	const char *secret = new_secret(d);
	digest_sha256(span_str(secret), sha);
	hex_write(span_of(sha, sizeof(sha)), hex);
	struct store_token t = {.device_id = arena_str(d->arena, m->device_id),
	    .sha256 = arena_str(d->arena, span_str(hex)),
	    .created_ms = now,
	    .expires_ms = now + (m->life_ms ? m->life_ms : d->cfg->est.token_life_ms),
	    .created_by = by};
	if (store_token_put(d->store, &t, e))
		return -1;
	*ret = t;
	*ret_secret = secret;
	return 0;
}

static bool
is_secret_of(const struct ipc_cred *cred, const struct store_token *t)
{
	uint8_t want[DIGEST_SHA256];
	struct err e;
	return cred->basic_sha256.len == sizeof(want) &&
	       hex_parse(span_str(t->sha256), want, sizeof(want), &e) == 0 &&
	       own_equal(want, cred->basic_sha256.p, sizeof(want));
}

int
est_token_check(struct domain *d, const struct ipc_cred *cred, struct span address,
    struct store_token *ret, struct refusal *no, struct err *e)
{
	int64_t mono = clock_mono_ms(d->clock);
	const char *id = arena_str(d->arena, cred->basic_user);
	struct store_token t;
	if (!est_guard_may_try(d->est, address, mono))
		return refusal_set(
		    no, REFUSAL_THROTTLED, "wrong tokens from this address");
	bool known = store_token_get(d->store, id, d->arena, &t, e) == 0;
	if (!known && e->code != ERR_NOT_FOUND)
		return -1;
	if (!known || !is_secret_of(cred, &t)) {
		est_guard_wrong(d->est, address, mono);
		return refusal_set(no, REFUSAL_EST_TOKEN, "%s: %s", id,
		    known ? "another secret" : "none given out");
	}
	if (domain_now(d) >= t.expires_ms)
		return refusal_set(no, REFUSAL_EST_TOKEN, "%s: expired", id);
	*ret = t;
	return 0;
}

int
est_token_use(struct domain *d, const char *device_id, const char *sha256, struct err *e)
{
	struct store_token t;
	if (store_token_get(d->store, device_id, d->arena, &t, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (strcmp(t.sha256, sha256) != 0)
		return 0;
	t.used_ms = domain_now(d);
	return store_token_put(d->store, &t, e);
}
