/*
 * Device identities.
 */
#include "domain/hub/device.h"

#include <inttypes.h>

#include "base/hex.h"
#include "base/num.h"
#include "base/rand.h"
#include "codec/id.h"
#include "crypto/sas_key.h"
#include "domain/hub/hubs.h"
#include "domain/hub/module.h"
#include "store/upload.h"
#include "domain/hub/twin.h"
#include "store/c2d.h"
#include "store/pki.h"

bool
device_etag_matches(struct span if_match, int64_t etag)
{
	struct span t = span_trim(if_match);
	if (t.len >= 2 && t.p[0] == '"' && t.p[t.len - 1] == '"')
		t = span_head(span_skip(t, 1), t.len - 2);
	int64_t n;
	return span_eq_str(t, "*") || (num_ok(t, 0, INT64_MAX, &n) && n == etag);
}

const char *
device_new_generation(struct domain *d)
{
	return arena_printf(d->arena, "%" PRIu64, rand_u64() >> 1);
}

struct store_device
device_blank(struct domain *d, const char *id)
{
	struct store_device dev = {.id = id,
	    .generation = device_new_generation(d),
	    .etag = 1,
	    .enabled = true,
	    .status_reason = "",
	    .auth = STORE_AUTH_NONE,
	    .primary_thumb = "",
	    .secondary_thumb = "",
	    .created_ms = domain_now(d),
	    .status_updated_ms = 0,
	    .group_id = "",
	    .hub = "",
	    .managed_by = ""};
	twin_begin(d, &dev);
	return dev;
}

/* A name with a '/' is a module's, whatever door it came in by. */
int
device_get(struct domain *d, struct span id, struct store_device *ret, struct err *e)
{
	if (span_has(id, '/'))
		return err_set(
		    e, ERR_NOT_FOUND, "no device %.*s", SPAN_FMT(span_head(id, CAP_ID)));
	return store_device_get(d->store, arena_str(d->arena, id), d->arena, ret, e);
}

int
device_find(struct domain *d, struct span host, struct span id, struct store_device *ret,
    struct err *e)
{
	return hubs_check(d, host, id, e) ? -1 : device_get(d, id, ret, e);
}

static struct span
key_or_new(struct domain *d, struct span given)
{
	if (given.len)
		return given;
	uint8_t *key = arena_alloc(d->arena, SAS_KEY_MAX);
	sas_key_generate(key);
	return span_of(key, SAS_KEY_MAX);
}

static int
check_thumb(struct span t, const char *what, struct err *e)
{
	uint8_t raw[32];
	if (t.len == 0 || t.len == 40 || t.len == 64) {
		if (hex_parse(t, raw, t.len / 2, e) == 0)
			return 0;
	}
	return err_set(
	    e, ERR_PARSE, "%s: want 40 (SHA-1) or 64 (SHA-256) hex digits", what);
}

static const char *
lower_hex(struct domain *d, struct span t)
{
	char *s = arena_str(d->arena, t);
	for (char *p = s; *p; p++)
		*p = *p >= 'A' && *p <= 'F' ? (char)(*p + 32) : *p;
	return s;
}

static int
check_key(struct span k, const char *what, struct err *e)
{
	if (k.len == 0 || (k.len >= SAS_KEY_MIN && k.len <= SAS_KEY_MAX))
		return 0;
	return err_set(e, ERR_PARSE, "%s: a key is %d to %d bytes before Base64", what,
	    SAS_KEY_MIN, SAS_KEY_MAX);
}

static int
check_put(const struct ipc_device_put *m, struct err *e)
{
	if (m->auth > STORE_AUTH_CA)
		return err_set(e, ERR_PARSE, "authentication type unknown");
	if (check_key(m->primary_key, "primaryKey", e) ||
	    check_key(m->secondary_key, "secondaryKey", e) ||
	    check_thumb(m->primary_thumb, "primaryThumbprint", e) ||
	    check_thumb(m->secondary_thumb, "secondaryThumbprint", e))
		return -1;
	if (m->auth == STORE_AUTH_SELF_SIGNED && m->primary_thumb.len == 0)
		return err_set(e, ERR_PARSE, "selfSigned needs a primaryThumbprint");
	return 0;
}

int
device_fill(struct domain *d, const struct ipc_device_put *m, struct store_device *dev,
    struct err *e)
{
	if (check_put(m, e))
		return -1;
	bool sas = m->auth == STORE_AUTH_SAS;
	bool thumbs = m->auth == STORE_AUTH_SELF_SIGNED;
	if (dev->enabled != (m->enabled != 0))
		dev->status_updated_ms = domain_now(d);
	dev->enabled = m->enabled != 0;
	dev->status_reason = arena_str(d->arena, m->status_reason);
	dev->auth = (enum store_auth)m->auth;
	dev->sas_window = false;
	dev->primary_key = sas ? key_or_new(d, m->primary_key) : SPAN_NONE;
	dev->secondary_key = sas ? key_or_new(d, m->secondary_key) : SPAN_NONE;
	dev->primary_thumb = thumbs ? lower_hex(d, m->primary_thumb) : "";
	dev->secondary_thumb = thumbs ? lower_hex(d, m->secondary_thumb) : "";
	dev->iot_edge = m->iot_edge != 0;
	return 0;
}

int
device_put(struct domain *d, const struct ipc_device_put *m, struct store_device *ret,
    struct err *e)
{
	const char *id = arena_str(d->arena, m->id);
	if (m->if_match.len == 0) {
		if (!id_is_device(m->id))
			return err_set(e, ERR_PARSE, "device ID '%s' is malformed", id);
		struct store_device dev = device_blank(d, id);
		if (device_fill(d, m, &dev, e))
			return err_wrap(e, "device %s", id);
		dev.hub = hubs_asked(d->cfg, m->peer.host);
		if (store_device_add(d->store, &dev, e))
			return -1;
		*ret = dev;
		return 0;
	}
	struct store_device dev;
	if (device_find(d, m->peer.host, m->id, &dev, e))
		return -1;
	if (!device_etag_matches(m->if_match, dev.etag))
		return err_set(e, ERR_CONFLICT, "device %s: etag does not match", id);
	if (device_fill(d, m, &dev, e))
		return err_wrap(e, "device %s", id);
	dev.etag++;
	if (store_device_put(d->store, &dev, e))
		return -1;
	*ret = dev;
	return 0;
}

int
device_new_keys(struct domain *d, struct span host, struct span id, struct span module_id,
    uint8_t which, struct store_device *ret, struct refusal *no, struct err *e)
{
	struct store_device dev;
	if (module_find(d, host, id, module_id, &dev, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (dev.auth != STORE_AUTH_SAS)
		return refusal_set(no, REFUSAL_NO_KEYS, "%s", dev.id);
	if (which != IPC_KEYS_SECONDARY)
		dev.primary_key = key_or_new(d, SPAN_NONE);
	if (which != IPC_KEYS_PRIMARY)
		dev.secondary_key = key_or_new(d, SPAN_NONE);
	dev.etag++;
	if (store_device_put(d->store, &dev, e))
		return -1;
	*ret = dev;
	return 0;
}

/* Who has the ID next inherits nothing (field/reliability.md row 47): no token, no leave
 * to renew late, no message, no upload; and what it connected with goes, or its key could
 * not be used again. */
static int
forget(struct domain *d, const char *id, struct err *e)
{
	static int (*const dels[])(struct store * s, const char *id, struct err *e) = {
	    store_device_cert_del, store_token_del, store_allow_del, store_c2d_forget,
	    store_upload_forget};
	for (size_t i = 0; i < sizeof(dels) / sizeof(dels[0]); i++)
		if (dels[i](d->store, id, e) && e->code != ERR_NOT_FOUND)
			return -1;
	return 0;
}

int
device_delete(struct domain *d, const struct ipc_device_delete *m, struct err *e)
{
	struct store_device dev;
	if (device_find(d, m->peer.host, m->id, &dev, e))
		return -1;
	if (m->if_match.len && !device_etag_matches(m->if_match, dev.etag))
		return err_set(e, ERR_CONFLICT, "device %s: etag does not match", dev.id);
	if (forget(d, dev.id, e))
		return -1;
	return store_device_del(d->store, dev.id, e);
}

int
device_twin_patch(struct domain *d, const struct ipc_twin_patch *m,
    struct store_device *ret, struct span *ret_change, struct refusal *no, struct err *e)
{
	struct store_device dev;
	if (module_find(d, m->peer.host, m->id, m->module_id, &dev, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (m->if_match.len && !device_etag_matches(m->if_match, dev.twin_etag))
		return err_set(e, ERR_CONFLICT, "twin %s: etag does not match", dev.id);
	if (twin_change(d, m, &dev, ret_change, e))
		return err_wrap(e, "twin %s", dev.id);
	*ret = dev;
	return 0;
}
