/*
 * Connections to the hub.
 */
#include "domain/hub/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "codec/hub_conf.h"
#include "domain/compliance.h"
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"
#include "domain/pki/leaf.h"
#include "domain/hub/module.h"
#include "domain/access/policy.h"
#include "domain/pki/revoke.h"
#include "domain/pki/trust.h"
#include "domain/access/token.h"

#define CALENDAR_END_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static const size_t texts[] = {offsetof(struct session, name),
    offsetof(struct session, device_id), offsetof(struct session, module_id),
    offsetof(struct session, generation), offsetof(struct session, policy),
    offsetof(struct session, thumb), offsetof(struct session, thumb_sha1),
    offsetof(struct session, issuer), offsetof(struct session, serial),
    offsetof(struct session, address), offsetof(struct session, address_before)};
#define TEXTS (sizeof(texts) / sizeof(texts[0]))

static const char **
text_of(struct session *s, size_t i)
{
	return (const char **)(void *)((char *)s + texts[i]);
}

void
session_blanks(struct session *s)
{
	for (size_t i = 0; i < TEXTS; i++)
		if (!*text_of(s, i))
			*text_of(s, i) = "";
}

/* What the texts and CAs take. */
static size_t
room_for(struct session s)
{
	size_t n = s.n_ca * sizeof(s.ca[0]);
	for (size_t i = 0; i < TEXTS; i++)
		n += strlen(*text_of(&s, i)) + 1;
	return n;
}

/* Moves what s points to into room. A text that says what the one before it does (a
 * device's name and ID, what is not there) is there once. */
static void
settle_in(struct session *s, uint8_t *room)
{
	const char *before = NULL;
	if (s->n_ca)
		memcpy(room, s->ca, s->n_ca * sizeof(s->ca[0]));
	s->ca = (const uint8_t(*)[DIGEST_SHA256])room;
	room += s->n_ca * sizeof(s->ca[0]);
	for (size_t i = 0; i < TEXTS; i++) {
		const char **text = text_of(s, i);
		size_t len = strlen(*text) + 1;
		if (!before || strcmp(before, *text) != 0) {
			before = memcpy(room, *text, len);
			room += len;
		}
		*text = before;
	}
}

struct session
session_copy(const struct session *s, struct arena *a)
{
	struct session copy = *s;
	settle_in(&copy, arena_alloc(a, room_for(*s)));
	return copy;
}

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
	if (span_has(m->cred.sas_policy, 0))
		return refusal_set(no, REFUSAL_SAS_POLICY, "its name is malformed");
	ret->policy = arena_str(d->arena, m->cred.sas_policy);
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
keep_name(struct domain *d, const struct ipc_cred *cred, struct session *s)
{
	struct revoke_name name;
	if (!revoke_name_of(cred, &name))
		return;
	uint8_t(*ca)[DIGEST_SHA256] = arena_alloc(d->arena, SESSION_CAS * sizeof(*ca));
	s->issuer = arena_str(d->arena, span_str(name.issuer));
	s->serial = arena_str(d->arena, span_str(name.serial));
	for (; s->n_ca < SESSION_CAS && leaf_ca(cred, s->n_ca).len; s->n_ca++)
		memcpy(ca[s->n_ca], leaf_ca(cred, s->n_ca).p, DIGEST_SHA256);
	s->ca = (const uint8_t(*)[DIGEST_SHA256])ca;
}

static void
keep_thumbs(struct domain *d, const struct ipc_cred *cred, struct session *s)
{
	char thumb[LEAF_THUMB], sha1[2 * DIGEST_SHA1 + 1];
	leaf_thumb(cred, thumb);
	s->thumb = arena_str(d->arena, span_str(thumb));
	if (!thumb[0] || cred->sha1.len != DIGEST_SHA1)
		return;
	hex_write(cred->sha1, sha1);
	s->thumb_sha1 = arena_str(d->arena, span_str(sha1));
}

static int
check_hub_ca(struct domain *d, const struct session *s, struct refusal *no, struct err *e)
{
	enum trust trust;
	if (!s->by_hub_ca)
		return 0;
	if (trust_of(d, span_of(s->ca, s->n_ca * DIGEST_SHA256), s->hub, &trust, e))
		return -1;
	return trust == TRUST_NONE ? refusal_set(no, REFUSAL_CERT_ELSEWHERE, "%s", s->hub)
				   : 0;
}

int
session_check_cert(
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
	if (check_hub_ca(d, s, no, e))
		return -1;
	return no->code == REFUSAL_NONE ? revoke_check(d, &cred, no, e) : 0;
}

static int
judge_chain(struct domain *d, const struct ipc_cred *cred, const struct store_device *dev,
    struct session *ret, struct refusal *no, struct err *e)
{
	enum trust trust;
	if (leaf_check_chain(d, cred, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (trust_check(d, cred, ret->hub, &trust, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	/* with case: hub IDs have it; "{dev}/{mod}" for a module (device.md 3.4) */
	if (!span_eq_str(cred->cn, dev->id))
		return refusal_set(no, REFUSAL_CERT_CN, "CN %.*s, wanted %s",
		    SPAN_FMT(span_head(cred->cn, 64)), dev->id);
	ret->by_chain = true;
	ret->by_hub_ca = trust == TRUST_HUB;
	return 0;
}

static int
judge_cert(struct domain *d, const struct ipc_hub_open *m, const struct store_device *dev,
    struct session *ret, struct refusal *no, struct err *e)
{
	const struct ipc_cred *cred = &m->cred;
	keep_thumbs(d, cred, ret);
	keep_name(d, cred, ret);
	if (dev->auth == STORE_AUTH_SELF_SIGNED) {
		if (!is_pinned_by(ret, dev))
			return refusal_set(
			    no, REFUSAL_CERT_THUMBPRINT, "presented %s", ret->thumb);
		return leaf_check_dates(d, cred, no, e);
	}
	if (dev->auth != STORE_AUTH_CA)
		return refusal_set(
		    no, REFUSAL_AUTH_TYPE, "%s is registered for SAS", dev->id);
	return judge_chain(d, cred, dev, ret, no, e);
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
name_session(struct domain *d, const struct ipc_hub_open *m,
    const struct store_device *own, struct session *s, struct err *e)
{
	if (span_has(m->device_id, 0) || span_has(m->module_id, 0))
		return err_set(e, ERR_PARSE, "an ID has a NUL");
	s->device_id = arena_str(d->arena, m->device_id);
	s->module_id = arena_str(d->arena, m->module_id);
	s->name = arena_str(d->arena, span_str(own->id));
	s->generation = arena_str(d->arena, span_str(own->generation));
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
	session_blanks(ret);
	ret->hub = hub_conf_find(d->cfg, m->host);
	if (!ret->hub)
		return refusal_set(
		    no, REFUSAL_WRONG_HOST, "%.*s", SPAN_FMT(span_head(m->host, 100)));
	if (find_identity(d, m, ret->hub, &own, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (store_hub_get(d->store, &hub, e) || name_session(d, m, &own, ret, e) ||
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
	struct session *new = own_alloc(sizeof(*new) + room_for(*s));
	*new = *s;
	settle_in(new, (uint8_t *)(new + 1));
	new->id = t->next_id++;
	HASH_ADD(hh, t->by_id, id, sizeof(new->id), new);
	HASH_ADD_KEYPTR(hh_name, t->by_name, new->name, strlen(new->name), new);
	t->open[new->thumb[0] != '\0'][new->by_policy]++;
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
	if (t->walk == s)
		t->walk = s->hh.next;
	HASH_DELETE(hh, t->by_id, s);
	t->open[s->thumb[0] != '\0'][s->by_policy]--;
	free(s);
	return true;
}

void
session_walk_begin(struct session_table *t)
{
	t->walk = t->by_id;
}

const struct session *
session_walk(struct session_table *t)
{
	const struct session *s = t->walk;
	if (s)
		t->walk = s->hh.next;
	return s;
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
