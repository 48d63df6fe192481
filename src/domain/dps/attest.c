/*
 * Which enrollment vouches for a device.
 */
#include "domain/dps/attest.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "codec/id.h"
#include "crypto/chain.h"
#include "crypto/sas_key.h"
#include "domain/dps/enrollment.h"
#include "domain/pki/issue.h"
#include "domain/pki/revoke.h"
#include "domain/access/token.h"
#include "domain/dps/tpm.h"

static bool
is_refused(const struct refusal *no)
{
	return no->code != REFUSAL_NONE;
}

/* The individual enrollment of the registration ID. */
static int
find_own(struct domain *d, struct span id, struct store_enrollment *ret, bool *ret_found,
    struct err *e)
{
	int rc = enrollment_get(d, STORE_INDIVIDUAL, id, ret, e);
	*ret_found = rc == 0;
	return rc && e->code != ERR_NOT_FOUND ? -1 : 0;
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

static void
keep_keys(
    struct domain *d, struct attested *a, struct span primary, struct span secondary)
{
	a->by_key = true;
	a->primary_key = arena_span(d->arena, primary);
	a->secondary_key = arena_span(d->arena, secondary);
}

/* A group vouches when one of its two keys, as the device derives it, made the signature.
 * The ID is hashed as the device spells it, then in lower case (device.md 1.9). */
static bool
derive_and_check(struct key_search *s, const struct store_enrollment *g, struct span id)
{
	uint8_t keys[2][SAS_KEY_DERIVED];
	sas_key_derive(g->primary_key, id, keys[0]);
	sas_key_derive(g->secondary_key, id, keys[1]);
	struct span primary = span_of(keys[0], sizeof(keys[0]));
	struct span secondary = span_of(keys[1], sizeof(keys[1]));
	bool ok = token_is_signed(s->cred, primary, secondary);
	if (ok)
		keep_keys(s->d, s->found, primary, secondary);
	own_wipe(keys, sizeof(keys));
	return ok;
}

static int
try_group(void *ctx, const struct store_enrollment *g, struct err *e)
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
	if (store_enrollment_get(
		s->d->store, STORE_GROUP, g->id, s->d->arena, &s->found->by, e))
		return -1;
	return 1;
}

static int
attest_by_group_key(struct domain *d, const struct ipc_cred *cred, struct span id,
    struct attested *ret, struct refusal *no, struct err *e)
{
	struct key_search s = {.d = d, .cred = cred, .registration_id = id, .found = ret};
	if (store_enrollment_each(
		d->store, STORE_GROUP, "", ENROLLMENT_GROUPS_MAX, try_group, &s, e) < 0)
		return -1;
	if (!s.hit)
		return refusal_set(
		    no, REFUSAL_SAS_SIGNATURE, "no enrollment group's key made it");
	return 0;
}

static int
attest_by_own_key(struct domain *d, const struct ipc_cred *cred,
    const struct store_enrollment *own, struct attested *ret, struct refusal *no)
{
	if (!token_is_signed(cred, own->primary_key, own->secondary_key))
		return refusal_set(no, REFUSAL_SAS_SIGNATURE,
		    "no key of the individual enrollment %s made it", own->id);
	ret->by = *own;
	keep_keys(d, ret, own->primary_key, own->secondary_key);
	return 0;
}

int
attest_check_token(
    struct domain *d, const struct attest_ask *ask, struct refusal *no, struct err *e)
{
	const struct ipc_cred *cred = ask->cred;
	struct store_hub hub;
	if (store_hub_get(d->store, &hub, e))
		return -1;
	if (hub.disable_device_sas)
		return refusal_set(no, REFUSAL_SAS_DISABLED, "disableDeviceSAS is set");
	if (token_is_expired(d, cred))
		return refusal_set(
		    no, REFUSAL_SAS_EXPIRED, "se=%" PRId64, cred->sas_expiry_s);
	char *want = arena_printf(d->arena, "%.*s/registrations/%.*s",
	    SPAN_FMT(ask->scope), SPAN_FMT(ask->registration_id));
	if (!token_is_for(cred, want))
		return refusal_set(no, REFUSAL_SAS_RESOURCE, "it names %.*s",
		    SPAN_FMT(span_head(cred->sas_resource, 100)));
	return 0;
}

/* The individual enrollment for a certificate decides, and no group's key beside it
 * (service.md 7.4): but for a device that is there with keys, on its way to
 * certificates. */
static int
stands_aside(struct domain *d, const struct store_enrollment *own, struct span id,
    bool *ret, struct err *e)
{
	struct store_device dev;
	const char *name = own->device_id[0] ? own->device_id : arena_str(d->arena, id);
	if (store_device_get(d->store, name, d->arena, &dev, e)) {
		*ret = false;
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	}
	*ret = dev.auth == STORE_AUTH_SAS || dev.sas_window;
	return 0;
}

static int
attest_key(struct domain *d, const struct attest_ask *ask, struct attested *ret,
    struct refusal *no, struct err *e)
{
	struct store_enrollment own;
	bool found;
	if (find_own(d, ask->registration_id, &own, &found, e))
		return -1;
	if (found && own.attestation == STORE_ATT_TPM)
		return tpm_attest(d, ask, &own, ret, no, e);
	if (ask->cred->kind != CRED_SAS)
		return refusal_set(no, REFUSAL_NO_CREDENTIAL, "registration");
	if (attest_check_token(d, ask, no, e) || is_refused(no))
		return is_refused(no) ? 0 : -1;
	if (found && own.attestation == STORE_ATT_SYMMETRIC)
		return attest_by_own_key(d, ask->cred, &own, ret, no);
	bool aside = true;
	if (found && own.enabled &&
	    stands_aside(d, &own, ask->registration_id, &aside, e))
		return -1;
	if (!aside)
		return refusal_set(no, REFUSAL_AUTH_TYPE,
		    "the individual enrollment %s is for a certificate", own.id);
	if (attest_by_group_key(d, ask->cred, ask->registration_id, ret, no, e))
		return -1;
	if (!is_refused(no) && found && !own.enabled)
		ret->by = own;
	return 0;
}

/* ---- X.509 ----------------------------------------------------------------------------
 */

static int
check_cn(const struct ipc_cred *cred, struct span id, struct refusal *no)
{
	if (span_ieq(cred->cn, id))
		return 0;
	return refusal_set(no, REFUSAL_CERT_CN, "CN %.*s, registration ID %.*s",
	    SPAN_FMT(span_head(cred->cn, 64)), SPAN_FMT(span_head(id, 64)));
}

static int
find_leaf(struct domain *d, struct attested *ret, bool *ret_found, struct err *e)
{
	*ret_found = false;
	if (!ret->thumb[0])
		return 0;
	int rc = store_enrollment_by_cert(
	    d->store, STORE_INDIVIDUAL, ret->thumb, d->arena, &ret->by, e);
	*ret_found = rc == 0;
	return rc && e->code != ERR_NOT_FOUND ? -1 : 0;
}

/* Enrolled by mistake or worse, an operator's certificate would be a device's. */
static int
check_no_operator(struct domain *d, const char *thumb, struct refusal *no, struct err *e)
{
	struct store_operator op;
	if (store_operator_get(d->store, thumb, d->arena, &op, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return refusal_set(no, REFUSAL_CERT_OPERATOR, "operator %s", op.name);
}

/* The certificate itself is enrolled: no chain is asked for (device.md 2.2, 6), only that
 * it can be used, and when. */
static int
attest_leaf(struct domain *d, const struct ipc_cred *cred, struct span id,
    struct attested *ret, struct refusal *no, struct err *e)
{
	if (chain_reason_is_final((enum chain_reason)cred->verdict))
		return refusal_set(no, REFUSAL_CERT_INVALID, "%s (%.*s)",
		    chain_reason_name((enum chain_reason)cred->verdict),
		    SPAN_FMT(cred->verdict_text));
	if (leaf_check_dates(d, cred, no, e))
		return -1;
	if (!is_refused(no) && check_cn(cred, id, no))
		return -1;
	if (!is_refused(no) && !span_ieq_str(id, ret->by.id))
		return refusal_set(
		    no, REFUSAL_CERT_CN, "it is enrolled as %s", ret->by.id);
	if (!is_refused(no) && check_no_operator(d, ret->thumb, no, e))
		return -1;
	ret->has_chain = cred->verdict == CHAIN_OK;
	return is_refused(no) ? 0 : revoke_check(d, cred, no, e);
}

/* Azure completes no chain: up to the CA that a group names, the device must have sent
 * all of it (device.md 2.2, 1). */
static bool
may_go_up(const struct domain *d, const struct ipc_cred *cred, size_t i)
{
	return d->cfg->server.profile == CONFIG_PROFILE_NATIVE || (cred->sent >> i & 1);
}

/* From the issuer upward: the first CA that a group names decides, enabled or not
 * (device.md 2.2, 3). */
static int
attest_by_group(struct domain *d, const struct ipc_cred *cred, struct attested *ret,
    struct refusal *no, struct err *e)
{
	char sha[LEAF_THUMB];
	bool found;
	for (size_t i = 0; leaf_ca(cred, i).len; i++) {
		hex_write(leaf_ca(cred, i), sha);
		if (enrollment_group_of(d, sha, &ret->by, &found, e))
			return -1;
		if (found)
			return 0;
		if (!may_go_up(d, cred, i))
			return refusal_set(no, REFUSAL_CERT_UNSENT,
			    "CN %.*s: CA %.16s.. is in no group and was not sent",
			    SPAN_FMT(span_head(cred->cn, 64)), sha);
	}
	return refusal_set(
	    no, REFUSAL_CERT_NO_GROUP, "CN %.*s", SPAN_FMT(span_head(cred->cn, 64)));
}

/* A device with an enrollment of its own does not come by a group past it. */
static int
check_own(struct domain *d, struct span id, struct attested *ret, struct refusal *no,
    struct err *e)
{
	struct store_enrollment own;
	bool found;
	if (find_own(d, id, &own, &found, e))
		return -1;
	if (!found)
		return 0;
	if (!own.enabled) {
		ret->by = own;
		return 0;
	}
	if (own.attestation != STORE_ATT_X509)
		return 0;
	return refusal_set(no, REFUSAL_CERT_OTHER, "%s", own.id);
}

/* What we gave an enrolled device for its certificate, and the hub knows it by since
 * (domain/hub/identity.h): its own enrollment decides, as over that one. */
static int
find_heir(struct domain *d, struct span id, struct attested *ret, bool *ret_found,
    struct err *e)
{
	struct store_enrollment own;
	struct store_device dev;
	*ret_found = false;
	bool found;
	if (find_own(d, id, &own, &found, e))
		return -1;
	if (!found || own.attestation != STORE_ATT_X509 || !ret->thumb[0] ||
	    d->cfg->server.profile != CONFIG_PROFILE_NATIVE)
		return 0;
	const char *name = own.device_id[0] ? own.device_id : ret->cn;
	if (store_device_get(d->store, name, d->arena, &dev, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (dev.auth != STORE_AUTH_SELF_SIGNED ||
	    (strcmp(dev.primary_thumb, ret->thumb) != 0 &&
		strcmp(dev.secondary_thumb, ret->thumb) != 0))
		return 0;
	ret->by = own;
	return issue_is_of(d, ret->thumb, dev.id, ret_found, e);
}

static int
attest_chain(struct domain *d, const struct ipc_cred *cred, struct span id,
    struct attested *ret, struct refusal *no, struct err *e)
{
	bool heir = false;
	ret->has_chain = true;
	if (leaf_check_chain(d, cred, no, e))
		return -1;
	if (!is_refused(no) && check_cn(cred, id, no))
		return -1;
	if (!is_refused(no) && revoke_check(d, cred, no, e))
		return -1;
	if (!is_refused(no) && find_heir(d, id, ret, &heir, e))
		return -1;
	if (is_refused(no) || heir)
		return 0;
	if (attest_by_group(d, cred, ret, no, e))
		return -1;
	return is_refused(no) ? 0 : check_own(d, id, ret, no, e);
}

static int
attest_cert(struct domain *d, const struct ipc_cred *cred, struct span id,
    struct attested *ret, struct refusal *no, struct err *e)
{
	bool found;
	leaf_thumb(cred, ret->thumb);
	ret->cn = arena_str(d->arena, cred->cn);
	if (find_leaf(d, ret, &found, e))
		return -1;
	return found ? attest_leaf(d, cred, id, ret, no, e)
		     : attest_chain(d, cred, id, ret, no, e);
}

int
attest(struct domain *d, const struct attest_ask *ask, struct attested *ret,
    struct refusal *no, struct err *e)
{
	if (!span_ieq_str(ask->scope, d->cfg->dps.id_scope))
		return refusal_set(no, REFUSAL_WRONG_SCOPE, "%.*s", SPAN_FMT(ask->scope));
	if (!id_is_registration(ask->registration_id))
		return refusal_set(no, REFUSAL_BAD_ID, "%.*s",
		    SPAN_FMT(span_head(ask->registration_id, 130)));
	if (ask->cred->kind == CRED_SAS || ask->endorsement_key.len)
		return attest_key(d, ask, ret, no, e);
	if (ask->cred->kind == CRED_X509)
		return attest_cert(d, ask->cred, ask->registration_id, ret, no, e);
	return refusal_set(no, REFUSAL_NO_CREDENTIAL, "registration");
}
