/*
 * Connections to the hub.
 */
#include "domain/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "codec/hub_conf.h"
#include "domain/compliance.h"
#include "domain/device.h"
#include "domain/hubs.h"
#include "domain/leaf.h"
#include "domain/module.h"
#include "domain/policy.h"
#include "domain/revoke.h"
#include "domain/token.h"

#define CALENDAR_END_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

void
session_table_init(struct session_table *t)
{
	/* never the same numbers after a restart: an edge may still name an old one */
	*t = (struct session_table){.next_id = (int64_t)(rand_u64() >> 2)};
}

void
session_table_done(struct session_table *t)
{
	struct session *s, *next;
	HASH_ITER (hh, t->by_id, s, next)
		session_leave(t, s->id);
}

static bool
may_use_keys(const struct store_device *dev)
{
	return dev->auth == STORE_AUTH_SAS || dev->sas_window;
}

/* The seal of devices is not that of modules (protocol/service.md 3.2). */
static bool
is_sas_disabled(const struct store_hub *hub, const struct session *s)
{
	return s->module_id[0] ? hub->disable_module_sas : hub->disable_device_sas;
}

static int
judge_policy(struct domain *d, const struct ipc_hub_open *m, const char *resource,
    struct session *ret, struct refusal *no, struct err *e)
{
	ret->by_policy = true;
	if (!span_to_str(m->cred.sas_policy, ret->policy, sizeof(ret->policy)))
		return refusal_set(no, REFUSAL_SAS_POLICY, "its name is malformed");
	return policy_check_token(
	    d, &m->cred, "hub", resource, RIGHT_DEVICE_CONNECT, no, e);
}

static int
judge_key(struct domain *d, const struct ipc_hub_open *m, const struct store_device *dev,
    const struct store_hub *hub, struct session *ret, struct refusal *no, struct err *e)
{
	const struct ipc_cred *cred = &m->cred;
	bool is_module = ret->module_id[0];
	char *resource = arena_printf(d->arena, "%.*s/devices/%s%s%s", SPAN_FMT(m->host),
	    ret->device_id, is_module ? "/modules/" : "", ret->module_id);
	if (!may_use_keys(dev))
		return refusal_set(
		    no, REFUSAL_AUTH_TYPE, "%s is registered for X.509", dev->id);
	if (cred->sas_policy.len)
		return judge_policy(d, m, resource, ret, no, e);
	if (is_sas_disabled(hub, ret))
		return refusal_set(no, REFUSAL_SAS_DISABLED, "%s is set",
		    is_module ? "disableModuleSAS" : "disableDeviceSAS");
	if (!token_is_for(cred, resource))
		return refusal_set(no, REFUSAL_SAS_RESOURCE, "it names %.*s, wanted %s",
		    SPAN_FMT(span_head(cred->sas_resource, 80)), resource);
	struct span key = token_key(cred, dev->primary_key, dev->secondary_key);
	if (!key.len)
		return refusal_set(no, REFUSAL_SAS_SIGNATURE, "%s", dev->id);
	if (token_is_expired(d, cred))
		return refusal_set(
		    no, REFUSAL_SAS_EXPIRED, "se=%" PRId64, cred->sas_expiry_s);
	ret->by_key = true;
	digest_sha256(key, ret->key);
	return 0;
}

static bool
is_pinned(const struct session *s, const char *want)
{
	return want[0] &&
	       (strcmp(want, s->thumb) == 0 || strcmp(want, s->thumb_sha1) == 0);
}

static bool
is_pinned_by(const struct session *s, const struct store_device *dev)
{
	return is_pinned(s, dev->primary_thumb) || is_pinned(s, dev->secondary_thumb);
}

static void
keep_name(struct session *s, const struct ipc_cred *cred)
{
	struct revoke_name name;
	if (!revoke_name_of(cred, &name))
		return;
	snprintf(s->issuer, sizeof(s->issuer), "%s", name.issuer);
	snprintf(s->serial, sizeof(s->serial), "%s", name.serial);
	for (; s->n_ca < SESSION_CAS && leaf_ca(cred, s->n_ca).len; s->n_ca++)
		memcpy(s->ca[s->n_ca], leaf_ca(cred, s->n_ca).p, DIGEST_SHA256);
}

int
session_check_revoked(
    struct domain *d, const struct session *s, struct refusal *no, struct err *e)
{
	uint8_t own[DIGEST_SHA256];
	if (!s->thumb[0])
		return 0;
	if (hex_parse(span_str(s->thumb), own, sizeof(own), e))
		return -1;
	const struct ipc_cred cred = {.kind = CRED_X509,
	    .sha256 = span_of(own, sizeof(own)),
	    .serial = span_str(s->serial),
	    .chain = span_of(s->ca, s->n_ca * DIGEST_SHA256)};
	return revoke_check(d, &cred, no, e);
}

static int
judge_cert(struct domain *d, const struct ipc_hub_open *m, const struct store_device *dev,
    struct session *ret, struct refusal *no, struct err *e)
{
	const struct ipc_cred *cred = &m->cred;
	leaf_thumb(cred, ret->thumb);
	if (ret->thumb[0] && cred->sha1.len == DIGEST_SHA1)
		hex_write(cred->sha1, ret->thumb_sha1);
	keep_name(ret, cred);
	if (dev->auth == STORE_AUTH_SELF_SIGNED) {
		if (!is_pinned_by(ret, dev))
			return refusal_set(
			    no, REFUSAL_CERT_THUMBPRINT, "presented %s", ret->thumb);
		return leaf_check_dates(d, cred, no, e);
	}
	if (dev->auth != STORE_AUTH_CA)
		return refusal_set(
		    no, REFUSAL_AUTH_TYPE, "%s is registered for SAS", dev->id);
	if (leaf_check_chain(d, cred, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	/* with case: hub IDs have it; "{dev}/{mod}" for a module (device.md 3.4) */
	if (!span_eq_str(cred->cn, dev->id))
		return refusal_set(no, REFUSAL_CERT_CN, "CN %.*s, wanted %s",
		    SPAN_FMT(span_head(cred->cn, 64)), dev->id);
	ret->by_chain = true;
	return 0;
}

/* "se" is any number its sender likes: beyond the calendar it is no time, and a sum with
 * it could overflow. */
static int64_t
closes_at(const struct domain *d, const struct ipc_cred *cred)
{
	if (cred->kind == CRED_SAS && cred->sas_expiry_s > CALENDAR_END_S)
		return 0;
	if (cred->kind == CRED_SAS)
		return (cred->sas_expiry_s + d->cfg->hub.sas_grace_s) * 1000;
	return d->cfg->server.profile == CONFIG_PROFILE_NATIVE ? cred->not_after_ms : 0;
}

static int
judge_credential(struct domain *d, const struct ipc_hub_open *m,
    const struct store_device *dev, const struct store_hub *hub, struct session *ret,
    struct refusal *no, struct err *e)
{
	if (m->cred.kind == CRED_SAS)
		return judge_key(d, m, dev, hub, ret, no, e);
	if (m->cred.kind == CRED_X509)
		return judge_cert(d, m, dev, ret, no, e);
	return refusal_set(no, REFUSAL_NO_CREDENTIAL, "%s", dev->id);
}

static int
find_module(struct domain *d, const struct ipc_hub_open *m, struct store_device *ret,
    struct refusal *no, struct err *e)
{
	const char *name = module_name(d, m->device_id, m->module_id);
	if (name && store_device_get(d->store, name, d->arena, ret, e) == 0)
		return ret->enabled
			   ? 0
			   : refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", name);
	if (name && e->code != ERR_NOT_FOUND)
		return -1;
	return refusal_set(no, REFUSAL_MODULE_UNKNOWN, "%.*s of %.*s",
	    SPAN_FMT(span_head(m->module_id, 64)), SPAN_FMT(span_head(m->device_id, 64)));
}

/* The row of the identity that wants in. A module's device must be enabled too. */
static int
find_identity(struct domain *d, const struct ipc_hub_open *m, const char *hub,
    struct store_device *ret, struct refusal *no, struct err *e)
{
	struct store_device device;
	if (device_get(d, m->device_id, &device, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_DEVICE_UNKNOWN, "%.*s",
		    SPAN_FMT(span_head(m->device_id, CAP_ID)));
	}
	if (!hubs_serves(d->cfg, hub, &device))
		return refusal_set(no, REFUSAL_DEVICE_UNKNOWN, "%s is on %s, not on %s",
		    device.id, device.hub, hub);
	if (!device.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", device.id);
	*ret = device;
	return m->module_id.len ? find_module(d, m, ret, no, e) : 0;
}

static int
name_session(const struct ipc_hub_open *m, const struct store_device *own,
    struct session *s, struct err *e)
{
	if (!span_to_str(m->device_id, s->device_id, sizeof(s->device_id)) ||
	    !span_to_str(m->module_id, s->module_id, sizeof(s->module_id)))
		return err_set(e, ERR_PARSE, "an ID is too long");
	snprintf(s->name, sizeof(s->name), "%s", own->id);
	snprintf(s->generation, sizeof(s->generation), "%s", own->generation);
	s->subs = own->subs;
	return 0;
}

int
session_judge(struct domain *d, const struct ipc_hub_open *m, struct session *ret,
    int64_t *ret_close_ms, struct refusal *no, struct err *e)
{
	struct store_device own;
	struct store_hub hub;
	*no = (struct refusal){0};
	*ret = (struct session){.opened_ms = domain_now(d)};
	ret->hub = hub_conf_find(d->cfg, m->host);
	if (!ret->hub)
		return refusal_set(
		    no, REFUSAL_WRONG_HOST, "%.*s", SPAN_FMT(span_head(m->host, 100)));
	if (find_identity(d, m, ret->hub, &own, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (store_hub_get(d->store, &hub, e) || name_session(m, &own, ret, e) ||
	    judge_credential(d, m, &own, &hub, ret, no, e))
		return -1;
	if (no->code == REFUSAL_NONE && revoke_check(d, &m->cred, no, e))
		return -1;
	if (no->code == REFUSAL_NONE && compliance_check_open(d, &m->cred, &own, no, e))
		return -1;
	if (no->code == REFUSAL_NONE)
		*ret_close_ms = closes_at(d, &m->cred);
	return 0;
}

bool
session_enter(struct session_table *t, const struct session *s, struct session *old,
    int64_t *ret_id)
{
	struct session *was;
	HASH_FIND(hh_name, t->by_name, s->name, strlen(s->name), was);
	if (was) {
		*old = *was;
		HASH_DELETE(hh_name, t->by_name, was);
		was->superseded = true;
	}
	struct session *new = own_alloc(sizeof(*new));
	*new = *s;
	new->id = t->next_id++;
	HASH_ADD(hh, t->by_id, id, sizeof(new->id), new);
	HASH_ADD_KEYPTR(hh_name, t->by_name, new->name, strlen(new->name), new);
	*ret_id = new->id;
	return was != NULL;
}

const struct session *
session_find(const struct session_table *t, int64_t id)
{
	struct session *s;
	HASH_FIND(hh, t->by_id, &id, sizeof(id), s);
	return s;
}

const struct session *
session_of(const struct session_table *t, const char *name)
{
	struct session *s;
	HASH_FIND(hh_name, t->by_name, name, strlen(name), s);
	return s;
}

void
session_yield(struct session_table *t, const char *name, uint64_t turn)
{
	struct session *s;
	HASH_FIND(hh_name, t->by_name, name, strlen(name), s);
	if (s)
		s->yields = turn;
}

void
session_subscribe(struct session_table *t, int64_t id, uint32_t subs)
{
	struct session *s;
	HASH_FIND(hh, t->by_id, &id, sizeof(id), s);
	if (s)
		s->subs = subs;
}

const char *
session_auth(const struct session *s)
{
	return s->thumb[0] ? "x509" : "sas";
}

const char *
session_scope(const struct session *s)
{
	return s->by_policy ? "hub" : "device";
}

bool
session_leave(struct session_table *t, int64_t id)
{
	struct session *s;
	HASH_FIND(hh, t->by_id, &id, sizeof(id), s);
	if (!s)
		return false;
	if (!s->superseded)
		HASH_DELETE(hh_name, t->by_name, s);
	HASH_DELETE(hh, t->by_id, s);
	free(s);
	return true;
}

static bool
is_key_of(const struct session *s, struct span key)
{
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(key, sha);
	return key.len && own_equal(sha, s->key, sizeof(sha));
}

static bool
still_has_key(const struct session *s, const struct store_device *dev)
{
	return is_key_of(s, dev->primary_key) || is_key_of(s, dev->secondary_key);
}

bool
session_still_admitted(const struct config *cfg, const struct session *s,
    const struct store_device *dev, const struct store_hub *hub)
{
	if (!dev->enabled || strcmp(s->generation, dev->generation) != 0 ||
	    !hubs_serves(cfg, s->hub, dev))
		return false;
	if (s->by_key)
		return may_use_keys(dev) && !is_sas_disabled(hub, s) &&
		       still_has_key(s, dev);
	if (s->by_policy)
		return may_use_keys(dev) && !hub->disable_local_auth;
	if (dev->auth == STORE_AUTH_SELF_SIGNED)
		return is_pinned_by(s, dev);
	return dev->auth == STORE_AUTH_CA && s->by_chain;
}
