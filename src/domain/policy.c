/*
 * Policies, rights, and the one authorization point of the service side.
 */
#include "domain/policy.h"

#include <stdio.h>

#include "base/hex.h"
#include "crypto/sas_key.h"
#include "domain/principal.h"
#include "domain/revoke.h"
#include "domain/signin.h"
#include "domain/token.h"

static const struct {
	uint32_t bit;
	const char *text;
} rights[] = {
#define RIGHT(NAME, text) {RIGHT_##NAME, text},
#include "tbl/right.def"
#undef RIGHT
};

#define DPS_RIGHTS                                                                       \
	(RIGHT_SERVICE_CONFIG | RIGHT_ENROLLMENT_READ | RIGHT_ENROLLMENT_WRITE |         \
	    RIGHT_REGISTRATION_READ | RIGHT_REGISTRATION_WRITE)
#define OPERATOR_RIGHTS (RIGHT_MANAGE | RIGHT_ENROLL | RIGHT_OBSERVE)

void
policy_rights_text(uint32_t set, struct buf *out)
{
	const char *sep = "";
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (!(set & rights[i].bit))
			continue;
		buf_printf(out, "%s%s", sep, rights[i].text);
		sep = ", ";
	}
}

bool
policy_is_dps(uint32_t right)
{
	return (right & DPS_RIGHTS) != 0;
}

static const struct {
	const char *plane, *name;
	uint32_t rights;
} defaults[] = {
    {"hub", "iothubowner",
	RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT |
	    RIGHT_DEVICE_CONNECT},
    {"hub", "service", RIGHT_SERVICE_CONNECT},
    {"hub", "device", RIGHT_DEVICE_CONNECT},
    {"hub", "registryRead", RIGHT_REGISTRY_READ},
    {"hub", "registryReadWrite", RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE},
    {"dps", "provisioningserviceowner", DPS_RIGHTS | RIGHT_DEVICE_CONNECT},
};

int
policy_defaults(struct domain *d, struct err *e)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		uint8_t keys[2][SAS_KEY_MAX];
		sas_key_generate(keys[0]);
		sas_key_generate(keys[1]);
		struct store_policy p = {.plane = defaults[i].plane,
		    .name = defaults[i].name,
		    .rights = defaults[i].rights,
		    .primary_key = span_of(keys[0], sizeof(keys[0])),
		    .secondary_key = span_of(keys[1], sizeof(keys[1]))};
		int rc = store_policy_put(d->store, &p, e);
		own_wipe(keys, sizeof(keys));
		if (rc)
			return err_wrap(e, "policy %s", p.name);
	}
	return 0;
}

/* What a policy's rights hold besides. */
static uint32_t
whole_rights(uint32_t set)
{
	if (set & RIGHT_SERVICE_CONNECT)
		set |= RIGHT_SERVICE_READ;
	return set | RIGHT_SECRETS;
}

int
policy_check_token(struct domain *d, const struct ipc_cred *cred, const char *plane,
    const char *resource, uint32_t right, struct refusal *no, struct err *e)
{
	const char *name = arena_str(d->arena, cred->sas_policy);
	struct store_hub hub;
	if (store_hub_get(d->store, &hub, e))
		return -1;
	if (hub.disable_local_auth)
		return refusal_set(
		    no, REFUSAL_SAS_DISABLED, "policy %s: disableLocalAuth is set", name);
	struct store_policy p;
	if (store_policy_get(d->store, plane, name, d->arena, &p, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_SAS_POLICY, "%s", name);
	}
	if (!token_covers(cred, resource))
		return refusal_set(no, REFUSAL_SAS_RESOURCE, "it names %.*s, wanted %s",
		    SPAN_FMT(span_head(cred->sas_resource, 80)), resource);
	if (!token_is_signed(cred, p.primary_key, p.secondary_key))
		return refusal_set(no, REFUSAL_SAS_SIGNATURE, "policy %s", name);
	if (token_is_expired(d, cred))
		return refusal_set(no, REFUSAL_SAS_EXPIRED, "policy %s", name);
	if ((whole_rights(p.rights) & right) != right)
		return refusal_set(no, REFUSAL_RIGHT, "policy %s", name);
	return 0;
}

static int
check_role(
    struct domain *d, const char *name, uint32_t right, struct refusal *no, struct err *e)
{
	struct store_principal p;
	if (store_principal_get(d->store, name, d->arena, &p, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(
		    no, REFUSAL_NOT_OPERATOR, "operator %s was removed", name);
	}
	if ((principal_rights(p.role) & right) != right)
		return refusal_set(
		    no, REFUSAL_RIGHT, "operator %s is %s", p.name, p.role);
	return 0;
}

static int
check_operator(struct domain *d, const struct ipc_cred *cred, uint32_t right,
    struct refusal *no, struct err *e)
{
	char sha[65];
	if (cred->sha256.len != 32)
		return refusal_set(no, REFUSAL_NOT_OPERATOR, "no thumbprint");
	hex_write(cred->sha256, sha);
	struct store_operator op;
	if (store_operator_get(d->store, sha, d->arena, &op, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_NOT_OPERATOR, "%s", sha);
	}
	if (!op.enabled)
		return refusal_set(
		    no, REFUSAL_NOT_OPERATOR, "operator %s is disabled", op.name);
	int64_t now = domain_now(d);
	if (now < cred->not_before_ms || now > cred->not_after_ms)
		return refusal_set(
		    no, REFUSAL_CERT_INVALID, "operator %s: outside its dates", op.name);
	if (revoke_check_operator(d, sha, no, e))
		return -1;
	return no->code == REFUSAL_NONE ? check_role(d, op.name, right, no, e) : 0;
}

/* The name a token for the service must cover: any of ours; which one the caller used is
 * in the token itself. */
static int
check_policy(struct domain *d, const struct ipc_cred *cred, uint32_t right,
    struct refusal *no, struct err *e)
{
	bool dps = right & DPS_RIGHTS;
	const struct conf_list *names = dps ? &d->cfg->server.name : &d->cfg->hub.name;
	for (size_t i = 0; i < names->n; i++) {
		*no = (struct refusal){0};
		if (policy_check_token(
			d, cred, dps ? "dps" : "hub", names->v[i], right, no, e))
			return -1;
		if (no->code != REFUSAL_SAS_RESOURCE)
			return 0;
	}
	return 0;
}

int
policy_authorize(struct domain *d, const struct ipc_cred *cred, uint32_t right,
    struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	if (cred->kind == CRED_X509)
		return check_operator(d, cred, right, no, e);
	if (cred->kind == CRED_BEARER)
		return signin_authorize(d, cred, right, no, e);
	if (cred->kind != CRED_SAS)
		return refusal_set(no, REFUSAL_NO_CREDENTIAL, "service request");
	if (right & OPERATOR_RIGHTS)
		return refusal_set(
		    no, REFUSAL_RIGHT, "an operator's certificate or token is needed");
	if (cred->sas_policy.len == 0)
		return refusal_set(no, REFUSAL_SAS_POLICY, "token names none (skn)");
	return check_policy(d, cred, right, no, e);
}

int
policy_shows_keys(struct domain *d, const struct ipc_cred *cred, bool *ret, struct err *e)
{
	struct refusal no;
	*ret = true;
	if (cred->kind == CRED_SAS)
		return 0; /* whole_rights */
	if (policy_authorize(d, cred, RIGHT_REGISTRY_READ | RIGHT_SECRETS, &no, e))
		return -1;
	*ret = no.code == REFUSAL_NONE;
	return 0;
}
