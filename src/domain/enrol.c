/*
 * Registration of devices.
 */
#include "domain/enrol.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/rand.h"
#include "codec/id.h"
#include "crypto/sas_key.h"
#include "domain/alloc.h"
#include "domain/device.h"
#include "domain/group.h"
#include "domain/leaf.h"
#include "domain/revoke.h"
#include "domain/throttle.h"
#include "domain/token.h"
#include "domain/twin.h"

/* azure profile: how long a registration is "assigning" before a poll may succeed. */
#define AZURE_ASSIGN_MS 1500

/* What a device proved, and the group that vouches for it. */
struct attested {
	struct store_group group;
	bool by_key;
	uint8_t keys[2][SAS_KEY_DERIVED]; /* by_key: the device's own, derived */
	char thumb[LEAF_THUMB];
};

static bool
is_refused(const struct refusal *no)
{
	return no->code != REFUSAL_NONE;
}

/* ---- symmetric keys -------------------------------------------------------------------
 */

struct key_search {
	struct domain *d;
	const struct ipc_cred *cred;
	struct span registration_id;
	struct attested *found;
	bool hit;
};

/* A group vouches when one of its two keys, as the device derives it, made the signature.
 * The ID is hashed as the device spells it, then in lower case (device.md 1.9). */
static bool
derive_and_check(struct key_search *s, const struct store_group *g, struct span id)
{
	uint8_t keys[2][SAS_KEY_DERIVED];
	sas_key_derive(g->primary_key, id, keys[0]);
	sas_key_derive(g->secondary_key, id, keys[1]);
	bool ok = token_is_signed(s->cred, span_of(keys[0], sizeof(keys[0])),
	    span_of(keys[1], sizeof(keys[1])));
	if (ok)
		memcpy(s->found->keys, keys, sizeof(keys));
	own_wipe(keys, sizeof(keys));
	return ok;
}

static int
try_group(void *ctx, const struct store_group *g, struct err *e)
{
	struct key_search *s = ctx;
	if (g->attestation != STORE_ATT_SYMMETRIC)
		return 0;
	char *lower = arena_str(s->d->arena, s->registration_id);
	for (char *p = lower; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	if (!derive_and_check(s, g, s->registration_id) &&
	    !derive_and_check(s, g, span_str(lower)))
		return 0;
	s->hit = true;
	if (store_group_get(s->d->store, g->id, s->d->arena, &s->found->group, e))
		return -1;
	return 1;
}

static int
attest_key(struct domain *d, const struct ipc_cred *cred, struct span scope,
    struct span id, struct attested *ret, struct refusal *no, struct err *e)
{
	struct store_hub hub;
	if (store_hub_get(d->store, &hub, e))
		return -1;
	if (hub.disable_device_sas)
		return refusal_set(no, REFUSAL_SAS_DISABLED, "disableDeviceSAS is set");
	if (token_is_expired(d, cred))
		return refusal_set(
		    no, REFUSAL_SAS_EXPIRED, "se=%" PRId64, cred->sas_expiry_s);
	char *want = arena_printf(
	    d->arena, "%.*s/registrations/%.*s", SPAN_FMT(scope), SPAN_FMT(id));
	if (!token_is_for(cred, want))
		return refusal_set(no, REFUSAL_SAS_RESOURCE, "it names %.*s",
		    SPAN_FMT(span_head(cred->sas_resource, 100)));
	struct key_search s = {.d = d, .cred = cred, .registration_id = id, .found = ret};
	if (store_group_each(d->store, "", GROUP_MAX, try_group, &s, e) < 0)
		return -1;
	if (!s.hit)
		return refusal_set(
		    no, REFUSAL_SAS_SIGNATURE, "no enrollment group's key made it");
	ret->by_key = true;
	return 0;
}

/* ---- X.509 ----------------------------------------------------------------------------
 */

/* From the issuer upward: the first CA that a group names decides, enabled or not
 * (device.md 2.2, 3). */
static int
attest_chain(struct domain *d, const struct ipc_cred *cred, struct span id,
    struct attested *ret, struct refusal *no, struct err *e)
{
	if (leaf_check_chain(d, cred, no, e))
		return -1;
	if (is_refused(no))
		return 0;
	if (!span_ieq(cred->cn, id))
		return refusal_set(no, REFUSAL_CERT_CN, "CN %.*s, registration ID %.*s",
		    SPAN_FMT(span_head(cred->cn, 64)), SPAN_FMT(span_head(id, 64)));
	if (revoke_check(d, cred, no, e))
		return -1;
	if (is_refused(no))
		return 0;
	leaf_thumb(cred, ret->thumb);
	for (size_t i = 0; leaf_ca(cred, i).len; i++) {
		char sha[LEAF_THUMB];
		hex_write(leaf_ca(cred, i), sha);
		if (store_group_by_cert(d->store, sha, d->arena, &ret->group, e) == 0)
			return 0;
		if (e->code != ERR_NOT_FOUND)
			return -1;
	}
	return refusal_set(
	    no, REFUSAL_CERT_NO_GROUP, "CN %.*s", SPAN_FMT(span_head(cred->cn, 64)));
}

static int
attest(struct domain *d, const struct ipc_cred *cred, struct span scope, struct span id,
    struct attested *ret, struct refusal *no, struct err *e)
{
	if (!span_ieq_str(scope, d->cfg->dps.id_scope))
		return refusal_set(no, REFUSAL_WRONG_SCOPE, "%.*s", SPAN_FMT(scope));
	if (!id_is_registration(id))
		return refusal_set(
		    no, REFUSAL_BAD_ID, "%.*s", SPAN_FMT(span_head(id, 130)));
	if (cred->kind == CRED_SAS)
		return attest_key(d, cred, scope, id, ret, no, e);
	if (cred->kind == CRED_X509)
		return attest_chain(d, cred, id, ret, no, e);
	return refusal_set(no, REFUSAL_NO_CREDENTIAL, "registration");
}

/* ---- the identity in the hub ----------------------------------------------------------
 */

static void
give_keys(struct domain *d, const struct attested *a, struct store_device *dev)
{
	dev->auth = STORE_AUTH_SAS;
	dev->sas_window = false;
	dev->primary_key = arena_span(d->arena, span_of(a->keys[0], SAS_KEY_DERIVED));
	dev->secondary_key = arena_span(d->arena, span_of(a->keys[1], SAS_KEY_DERIVED));
	dev->primary_thumb = dev->secondary_thumb = "";
}

static void
give_thumbprint(struct domain *d, const struct attested *a, struct store_device *dev)
{
	dev->auth = STORE_AUTH_SELF_SIGNED;
	dev->sas_window = false;
	dev->primary_key = dev->secondary_key = SPAN_NONE;
	dev->primary_thumb = arena_str(d->arena, span_str(a->thumb));
	dev->secondary_thumb = dev->primary_thumb;
}

static void
give_ca(struct store_device *dev)
{
	dev->sas_window = dev->auth == STORE_AUTH_SAS || dev->sas_window;
	dev->auth = STORE_AUTH_CA;
	dev->primary_thumb = dev->secondary_thumb = "";
}

static void
give_credential(struct domain *d, const struct attested *a, struct store_device *dev)
{
	if (a->by_key)
		give_keys(d, a, dev);
	else if (d->cfg->server.profile == CONFIG_PROFILE_AZURE)
		give_thumbprint(d, a, dev);
	else
		give_ca(dev);
}

/* A symmetric registration of a device that has gone over to X.509: within its migration
 * window it changes nothing (the device fell back for now); after it, it is an attack or
 * a mistake, for a group key could otherwise undo the migration. */
static bool
is_downgrade(const struct store_device *dev, const struct attested *a)
{
	bool is_x509 = dev->auth == STORE_AUTH_CA || dev->auth == STORE_AUTH_SELF_SIGNED;
	return a->by_key && is_x509;
}

static int
write_identity(struct domain *d, const struct attested *a, const char *id,
    const char *hub, bool reset, struct refusal *no, struct err *e)
{
	struct store_device dev;
	bool is_new = false;
	if (store_device_get(d->store, id, d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		is_new = true;
		dev = device_blank(d, id);
		dev.iot_edge = a->group.iot_edge;
	}
	if (!dev.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", id);
	bool keep = is_downgrade(&dev, a);
	if (keep && !dev.sas_window)
		return refusal_set(no, REFUSAL_DOWNGRADE, "%s", id);
	if ((is_new || reset) &&
	    twin_initial(d, a->group.tags, a->group.desired, &dev, e))
		return -1;
	if (!keep)
		give_credential(d, a, &dev);
	dev.group_id = a->group.id;
	dev.hub = hub;
	dev.etag++;
	return is_new ? store_device_add(d->store, &dev, e)
		      : store_device_put(d->store, &dev, e);
}

/* ---- the registration -----------------------------------------------------------------
 */

static const char *
new_operation_id(struct domain *d)
{
	char guid[37];
	rand_uuid(guid);
	return arena_printf(d->arena, "4.%016" PRIx64 ".%s", rand_u64(), guid);
}

struct ipc_dps_state
enrol_state(const struct store_registration *r)
{
	return (struct ipc_dps_state){
	    .operation_id = span_str(r->operation_id),
	    .status = span_str(r->status),
	    .substatus = span_str(r->substatus),
	    .registration_id = span_str(r->id),
	    .group_id = span_str(r->group_id),
	    .device_id = span_str(r->device_id),
	    .hub = span_str(r->hub),
	    .attestation = span_str(r->attestation),
	    .thumb = span_str(r->thumb),
	    .error = (uint32_t)r->error_code,
	    .error_text = span_str(r->error_text),
	    .etag = r->etag,
	    .created_ms = r->created_ms,
	    .updated_ms = r->updated_ms,
	};
}

/* The answer a device gets now: a registration still under way says "assigning". */
static struct ipc_dps_state
answer(struct domain *d, const struct store_registration *r)
{
	struct ipc_dps_state st = enrol_state(r);
	if (r->ready_ms > domain_now(d)) {
		st.status = SPAN_LIT("assigning");
		st.retry_after_s = (uint32_t)d->cfg->dps.retry_after_s;
	}
	return st;
}

static const char *
substatus(
    const struct store_registration *was, const struct store_group *g, const char *hub)
{
	if (!was)
		return "initialAssignment";
	if (!g->update_hub)
		return "initialAssignment";
	if (!g->migrate_data)
		return "deviceDataReset";
	return strcasecmp(was->hub, hub) == 0 ? "initialAssignment"
					      : "deviceDataMigrated";
}

/* The record of a device whose group is disabled: it is told so, with a status its SDK
 * knows (device.md 1.10), and the operator finds it among the registrations. */
static int
record_disabled(struct domain *d, struct store_registration *r, const struct attested *a,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e)
{
	const struct refusal_row *row = refusal_row(REFUSAL_GROUP_DISABLED);
	r->status = "disabled";
	r->substatus = "initialAssignment";
	r->error_code = row->dps;
	r->error_text = row->words;
	if (store_registration_put(d->store, r, e))
		return -1;
	*ret = enrol_state(r);
	return refusal_set(no, REFUSAL_GROUP_DISABLED, "%s", a->group.id);
}

static int
assign(struct domain *d, const struct attested *a, struct store_registration *r,
    const struct store_registration *was, struct refusal *no, struct err *e)
{
	const struct alloc_ask ask = {.registration_id = span_str(r->id),
	    .policy = a->group.allocation,
	    .hubs = a->group.hubs};
	const char *hub =
	    was && !a->group.update_hub ? was->hub : alloc_hub(d->cfg, &ask);
	if (!hub)
		return refusal_set(no, REFUSAL_ALLOCATION, "group %s", a->group.id);
	bool reset = was && a->group.update_hub && !a->group.migrate_data;
	if (write_identity(d, a, r->device_id, hub, reset, no, e))
		return -1;
	r->hub = hub;
	r->status = "assigned";
	r->substatus = substatus(was, &a->group, hub);
	r->error_code = 0;
	r->error_text = "";
	if (d->cfg->server.profile == CONFIG_PROFILE_AZURE)
		r->ready_ms = domain_now(d) + AZURE_ASSIGN_MS;
	return 0;
}

/* Which device a registration is for: the one it was before; else the ID as the
 * certificate or the device spells it (hub IDs keep their case, device.md 1.2). */
static const char *
device_of(struct domain *d, const struct ipc_dps_register *m, const struct attested *a,
    const struct store_registration *was)
{
	if (was && was->device_id[0])
		return was->device_id;
	return arena_str(d->arena, a->by_key ? m->registration_id : m->cred.cn);
}

int
enrol_register(struct domain *d, const struct ipc_dps_register *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	if (!throttle_take(d->throttle, clock_mono_ms(d->clock)))
		return refusal_set(no, REFUSAL_THROTTLED, "registrations a minute");
	struct attested a = {0};
	if (attest(d, &m->cred, m->id_scope, m->registration_id, &a, no, e) ||
	    is_refused(no) || revoke_check_enrolment(d, m->registration_id, no, e) ||
	    is_refused(no))
		return is_refused(no) ? 0 : -1;
	const char *id = arena_str(d->arena, m->registration_id);
	struct store_registration stored, *was = NULL;
	if (store_registration_get(d->store, id, d->arena, &stored, e) == 0)
		was = &stored;
	else if (e->code != ERR_NOT_FOUND)
		return -1;
	int64_t now = domain_now(d);
	struct store_registration r = {.id = was ? was->id : id,
	    .group_id = a.group.id,
	    .device_id = device_of(d, m, &a, was),
	    .hub = was ? was->hub : "",
	    .operation_id = new_operation_id(d),
	    .attestation = a.by_key ? "symmetricKey" : "x509",
	    .thumb = arena_str(d->arena, span_str(a.thumb)),
	    .etag = was ? was->etag + 1 : 1,
	    .created_ms = was ? was->created_ms : now,
	    .updated_ms = now};
	int rc = a.group.enabled ? assign(d, &a, &r, was, no, e)
				 : record_disabled(d, &r, &a, ret, no, e);
	own_wipe(a.keys, sizeof(a.keys));
	if (rc || is_refused(no))
		return rc;
	if (store_registration_put(d->store, &r, e))
		return -1;
	*ret = answer(d, &r);
	return 0;
}

int
enrol_poll(struct domain *d, const struct ipc_dps_poll *m, struct ipc_dps_state *ret,
    struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	struct attested a = {0};
	int rc = attest(d, &m->cred, m->id_scope, m->registration_id, &a, no, e);
	own_wipe(a.keys, sizeof(a.keys));
	if (rc || is_refused(no))
		return rc;
	struct store_registration r;
	const char *id = arena_str(d->arena, m->registration_id);
	if (store_registration_get(d->store, id, d->arena, &r, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_OPERATION, "%s was never registered", id);
	}
	if (m->operation_id.len && !span_eq_str(m->operation_id, r.operation_id))
		return refusal_set(
		    no, REFUSAL_OPERATION, "%s: not the latest operation", id);
	*ret = answer(d, &r);
	return 0;
}
