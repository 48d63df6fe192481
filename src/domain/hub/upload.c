/*
 * The right to write a blob, and who is told that it was written.
 */
#include "domain/hub/upload.h"

#include <string.h>

#include "base/rand.h"
#include "codec/blob_sas.h"
#include "codec/blob_url.h"
#include "codec/uri.h"
#include "codec/utf8.h"
#include "store/upload.h"

#define RIGHTS "rw" /* as the cloud's */

int
upload_account_parse(const struct config *cfg, struct span key_text,
    struct upload_account *ret, struct err *e)
{
	struct blob_url u;
	if (blob_url_parse(span_str(cfg->hub.upload_container), &u, e))
		return err_wrap(e, "hub.upload_container");
	if (blob_key_parse(key_text, &ret->key, e))
		return err_wrap(e, "hub.upload_key_file");
	ret->host = u.host;
	ret->path = u.path;
	ret->account = u.account;
	ret->container = u.container;
	return 0;
}

/* ---- names ----------------------------------------------------------------------------
 */

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '\\')
			return true;
	return false;
}

/* Clients and storage take "." and ".." for steps (RFC 3986 5.2.4), which would lead out
 * of the device's own folder. */
static bool
has_steps(struct span name)
{
	struct span rest = name;
	while (rest.p) {
		struct span part = span_split(&rest, '/');
		if (span_eq_str(part, ".") || span_eq_str(part, ".."))
			return true;
	}
	return false;
}

static bool
is_blob_name(struct span s)
{
	return s.len && s.len <= UPLOAD_BLOB_MAX && s.p[0] != '/' && utf8_ok_no_nul(s) &&
	       !has_control(s) && !has_steps(s);
}

/* ---- uploads --------------------------------------------------------------------------
 */

static int
write_sas(struct domain *d, const struct upload_account *acct, const char *blob,
    int64_t expires_ms, struct span *ret, struct err *e)
{
	const struct blob_sas s = {.account = acct->account,
	    .container = acct->container,
	    .blob = span_str(blob),
	    .rights = RIGHTS,
	    .expires_ms = expires_ms};
	uint8_t sig[DIGEST_SHA256];
	auto_buf text = BUF_INIT(4096), query = BUF_INIT(1024);
	query.secret = true;
	blob_sas_to_sign(&text, &s);
	if (buf_check(&text, "name of the blob", e))
		return -1;
	blob_key_sign(&acct->key, buf_span(&text), sig);
	buf_str(&query, "?");
	blob_sas_write(&query, &s, sig);
	own_wipe(sig, sizeof(sig));
	if (buf_check(&query, "name of the blob", e))
		return -1;
	*ret = arena_span(d->arena, buf_span(&query));
	return 0;
}

static int
grant(struct domain *d, const struct upload_account *acct, const char *device_id,
    struct span blob, struct ipc_upload *ret, struct err *e)
{
	char id[37];
	rand_uuid(id);
	int64_t now = domain_now(d);
	struct store_upload u = {.id = arena_str(d->arena, span_str(id)),
	    .device_id = device_id,
	    .blob = arena_printf(d->arena, "%s/%.*s", device_id, SPAN_FMT(blob)),
	    .started_ms = now,
	    .expires_ms = now + d->cfg->hub.upload_life_ms};
	struct span sas;
	if (write_sas(d, acct, u.blob, u.expires_ms, &sas, e) ||
	    store_upload_add(d->store, &u, e))
		return -1;
	*ret = (struct ipc_upload){.id = span_str(u.id),
	    .host = acct->host,
	    .container = span_skip(acct->path, 1),
	    .blob = span_str(u.blob),
	    .sas = sas};
	return 0;
}

int
upload_start(struct domain *d, const struct upload_account *acct, const char *device_id,
    struct span blob, struct ipc_upload *ret, struct refusal *no, struct err *e)
{
	int64_t open;
	*no = (struct refusal){0};
	if (!acct)
		return refusal_set(no, REFUSAL_NO_STORAGE, "hub.upload_container");
	if (!is_blob_name(blob))
		return refusal_set(no, REFUSAL_BLOB_NAME, "%.*s",
		    SPAN_FMT(span_head(blob, utf8_ok(blob) ? 100 : 0)));
	if (store_upload_count(d->store, device_id, domain_now(d), &open, e))
		return -1;
	if (open >= UPLOAD_OPEN_MAX)
		return refusal_set(no, REFUSAL_UPLOADS_OPEN, "%s", device_id);
	return grant(d, acct, device_id, blob, ret, e);
}

static int
add_notice(struct domain *d, const struct store_upload *u, struct err *e)
{
	const struct store_notice x = {.device_id = u->device_id,
	    .blob = u->blob,
	    .ended_ms = domain_now(d),
	    .token = ""};
	return store_notice_add(d->store, &x, e);
}

int
upload_end(struct domain *d, const char *device_id, struct span id, bool succeeded,
    struct refusal *no, struct err *e)
{
	struct store_upload u;
	*no = (struct refusal){0};
	const char *name = arena_str(d->arena, id);
	if (store_upload_get(d->store, name, d->arena, &u, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_UPLOAD_UNKNOWN, "%s", device_id);
	}
	if (strcmp(u.device_id, device_id) != 0)
		return refusal_set(no, REFUSAL_UPLOAD_UNKNOWN, "not %s's", device_id);
	if (u.expires_ms <= domain_now(d))
		return refusal_set(no, REFUSAL_UPLOAD_EXPIRED, "%s", u.blob);
	if (store_upload_del(d->store, u.id, e))
		return -1;
	return succeeded && d->cfg->hub.upload_notices ? add_notice(d, &u, e) : 0;
}

/* ---- notices --------------------------------------------------------------------------
 */

/* The next one that may still be given out; what was given out too often goes. */
static int
next_notice(struct domain *d, struct store_notice *ret, struct err *e)
{
	for (;;) {
		if (store_notice_next(d->store, domain_now(d), d->arena, ret, e))
			return -1;
		if (ret->deliveries < NOTICE_DELIVERIES)
			return 0;
		if (store_notice_del(d->store, ret->n, e))
			return -1;
	}
}

/* https://host/container/device/name, the name as a URL has it. */
static struct span
uri_of(struct domain *d, const struct upload_account *acct, const char *blob)
{
	auto_buf uri = BUF_INIT(4096);
	struct span rest = span_str(blob);
	if (!acct)
		return SPAN_NONE;
	buf_str(&uri, "https://");
	buf_put_span(&uri, acct->host);
	buf_put_span(&uri, acct->path);
	while (rest.p) {
		buf_str(&uri, "/");
		uri_encode(&uri, span_split(&rest, '/'));
	}
	return arena_span(d->arena, buf_span(&uri));
}

int
upload_take_notice(struct domain *d, const struct upload_account *acct,
    struct ipc_notice *ret, struct err *e)
{
	struct store_notice x;
	char token[37];
	if (next_notice(d, &x, e))
		return -1;
	rand_uuid(token);
	x.token = arena_str(d->arena, span_str(token));
	x.locked_ms = domain_now(d) + NOTICE_LOCK_MS;
	x.deliveries++;
	if (store_notice_put(d->store, &x, e))
		return -1;
	*ret = (struct ipc_notice){.lock = span_str(x.token),
	    .device_id = span_str(x.device_id),
	    .uri = uri_of(d, acct, x.blob),
	    .blob = span_str(x.blob),
	    .ended_ms = x.ended_ms,
	    .deliveries = x.deliveries};
	return 0;
}

int
upload_end_notice(
    struct domain *d, struct span lock, bool release, struct refusal *no, struct err *e)
{
	struct store_notice x;
	*no = (struct refusal){0};
	const char *token = arena_str(d->arena, lock);
	int rc = store_notice_by_token(d->store, token, d->arena, &x, e);
	if (rc && e->code != ERR_NOT_FOUND)
		return -1;
	if (rc || x.locked_ms <= domain_now(d))
		return refusal_set(no, REFUSAL_LOCK_LOST, "notice of an upload");
	if (!release)
		return store_notice_del(d->store, x.n, e);
	x.locked_ms = 0;
	x.token = "";
	return store_notice_put(d->store, &x, e);
}

int
upload_trim(struct domain *d, struct err *e)
{
	int64_t now = domain_now(d);
	if (store_upload_trim(d->store, now - UPLOAD_KEPT_MS, e))
		return -1;
	return store_notice_trim(d->store, now - NOTICE_LIFE_MS, NOTICE_ROWS, e);
}
