/*
 * Policies, rights, and the one authorization point of the service side.
 */
#include "domain/access/policy.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/hex.h"
#include "base/own.h"
#include "crypto/sas_key.h"
#include "domain/access/principal.h"
#include "domain/pki/revoke.h"
#include "domain/access/signin.h"
#include "domain/access/token.h"

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

#define EVENTS_SCHEME "sb://"

static bool
is_for_events(const struct ipc_cred *cred)
{
	return span_istarts(cred->sas_resource, SPAN_LIT(EVENTS_SCHEME));
}

/* sb://HOST/PATH..: what of its paths a token may read is the reader's to say, for all of
 * them are this one stream (proto/amqp). */
static bool
covers(const struct ipc_cred *cred, const char *resource)
{
	if (!is_for_events(cred))
		return token_covers(cred, resource);
	struct span rest = span_skip(cred->sas_resource, strlen(EVENTS_SCHEME));
	struct span host = span_split(&rest, '/');
	return span_ieq_str(span_head(host, span_find(host, ':')), resource);
}

/* T8: clients of the events' endpoint take a key's text for the key. */
static bool
is_signed(const struct ipc_cred *cred, const struct store_policy *p)
{
	auto_buf primary = BUF_INIT(4 * SAS_KEY_MAX);
	auto_buf secondary = BUF_INIT(4 * SAS_KEY_MAX);
	primary.secret = secondary.secret = true;
	if (!is_for_events(cred))
		return token_is_signed(cred, p->primary_key, p->secondary_key);
	base64_put(&primary, p->primary_key);
	base64_put(&secondary, p->secondary_key);
	return token_is_signed(cred, buf_span(&primary), buf_span(&secondary));
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
	if (!covers(cred, resource))
		return refusal_set(no, REFUSAL_SAS_RESOURCE, "it names %.*s, wanted %s",
		    SPAN_FMT(span_head(cred->sas_resource, 80)), resource);
	if (!is_signed(cred, &p))
		return refusal_set(no, REFUSAL_SAS_SIGNATURE, "policy %s", name);
	if (token_is_expired(d, cred))
		return refusal_set(no, REFUSAL_SAS_EXPIRED, "policy %s", name);
	if ((whole_rights(p.rights) & right) != right)
		return refusal_set(no, REFUSAL_RIGHT, "policy %s", name);
	if (is_for_events(cred) && (right & ~(uint32_t)RIGHT_SERVICE_READ))
		return refusal_set(no, REFUSAL_RIGHT, "it is for reading events");
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

/* ---- a new set
 * ------------------------------------------------------------------------- */

struct policy_set {
	struct store_policy v[POLICY_MAX];
	size_t n;
	const char *names[4 * POLICY_MAX]; /* of those that there are */
	size_t n_names;
	struct arena *arena;
};

static uint32_t
rights_of_plane(const char *plane)
{
	if (strcmp(plane, "dps") == 0)
		return DPS_RIGHTS | RIGHT_DEVICE_CONNECT;
	return RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT |
	       RIGHT_DEVICE_CONNECT;
}

static uint32_t
right_of(struct span word)
{
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (span_ieq_str(word, rights[i].text))
			return rights[i].bit;
	return 0;
}

static int
parse_rights(struct span text, const char *plane, uint32_t *ret, struct err *e)
{
	uint32_t set = 0;
	for (struct span rest = text; rest.p;) {
		struct span word = span_trim(span_split(&rest, ','));
		uint32_t bit = right_of(word);
		if (!(bit & rights_of_plane(plane)))
			return err_set(e, ERR_PARSE,
			    "'%.*s' is no right of a policy here",
			    SPAN_FMT(span_head(word, 40)));
		set |= bit;
	}
	*ret = set;
	return 0;
}

/* It stands in tokens (skn) and paths. */
static bool
is_policy_name(struct span s)
{
	static const char more[] = "-_.!";
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i], lower = c | 0x20;
		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
		    (!c || !strchr(more, c)))
			return false;
	}
	return s.len != 0 && s.len <= 64;
}

static struct span
key_or_new(struct arena *a, struct span key)
{
	uint8_t fresh[SAS_KEY_MAX];
	if (key.len)
		return key;
	sas_key_generate(fresh);
	struct span s = arena_span(a, span_of(fresh, sizeof(fresh)));
	own_wipe(fresh, sizeof(fresh));
	return s;
}

static int
add_policy(
    struct policy_set *set, const char *plane, const struct ipc_policy *m, struct err *e)
{
	struct store_policy p = {.plane = plane};
	if (set->n == POLICY_MAX)
		return err_set(e, ERR_PARSE, "at most %d policies", POLICY_MAX);
	if (!is_policy_name(m->name))
		return err_set(
		    e, ERR_PARSE, "a policy's name has letters, digits and -_.!");
	if (parse_rights(m->rights, plane, &p.rights, e))
		return err_wrap(e, "policy %.*s", SPAN_FMT(m->name));
	for (size_t i = 0; i < set->n; i++)
		if (span_ieq_str(m->name, set->v[i].name))
			return err_set(e, ERR_PARSE, "policy %.*s is there twice",
			    SPAN_FMT(m->name));
	p.name = arena_str(set->arena, m->name);
	p.primary_key = key_or_new(set->arena, m->primary_key);
	p.secondary_key = key_or_new(set->arena, m->secondary_key);
	set->v[set->n++] = p;
	return 0;
}

static int
read_set(struct policy_set *set, const char *plane, struct span list, struct err *e)
{
	struct cursor c = cursor_of(list);
	while (c.left) {
		struct ipc_policy m;
		struct span body = cursor_take(&c, cursor_u32(&c));
		if (c.bad)
			return err_set(e, ERR_PARSE, "policies are cut off");
		if (ipc_msg_unpack(IPC_POLICY, body, &m, e) ||
		    add_policy(set, plane, &m, e))
			return -1;
	}
	return 0;
}

static int
note_name(void *ctx, const struct store_policy *p, struct err *e)
{
	struct policy_set *set = ctx;
	(void)e;
	if (set->n_names < sizeof(set->names) / sizeof(set->names[0]))
		set->names[set->n_names++] = arena_str(set->arena, span_str(p->name));
	return 0;
}

int
policy_replace(struct domain *d, const char *plane, struct span list, struct err *e)
{
	struct policy_set set = {.arena = d->arena};
	if (read_set(&set, plane, list, e) ||
	    store_policy_each(d->store, plane, note_name, &set, e))
		return -1;
	for (size_t i = 0; i < set.n_names; i++)
		if (store_policy_del(d->store, plane, set.names[i], e))
			return -1;
	for (size_t i = 0; i < set.n; i++)
		if (store_policy_put(d->store, &set.v[i], e))
			return -1;
	return 0;
}
