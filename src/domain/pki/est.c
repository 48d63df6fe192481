/*
 * Who may have which certificate. Each rule looks at one thing and stands in a table; the
 * first that refuses is the answer.
 */
#include "domain/pki/est.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "codec/id.h"
#include "crypto/crl.h"
#include "crypto/digest.h"
#include "crypto/name.h"
#include "crypto/profile.h"
#include "domain/compliance.h"
#include "domain/hub/device.h"
#include "domain/access/est_guard.h"
#include "domain/pki/est_key.h"
#include "domain/pki/est_request.h"
#include "domain/pki/est_token.h"
#include "domain/hub/identity.h"
#include "domain/pki/issue.h"
#include "domain/pki/issuer.h"
#include "domain/pki/leaf.h"
#include "domain/access/policy.h"
#include "domain/pki/renew.h"
#include "domain/pki/revoke.h"
#include "domain/hub/hubs.h"
#include "domain/pki/trust.h"

#define BUSY_RETRY_S 2
#define PACE_MS      INT64_C(3600000)

static const char *const door_names[EST_DOORS] = {[EST_OPERATOR] = "operator",
    [EST_DEVICE] = "device",
    [EST_EXPIRED] = "expired",
    [EST_ORPHAN] = "orphan",
    [EST_TOKEN] = "token",
    [EST_REGISTRATION] = "registration"};

const char *
est_door_name(enum est_door d)
{
	return door_names[d];
}

/* A request being judged. */
struct est_case {
	struct domain *d;
	const struct ipc_est_enroll *m;
	struct est_grant *ret;
	struct est_promise *p;    /* in ret */
	struct renew_cert cert;   /* by certificate: what it is good for */
	struct store_token token; /* by token */
	struct store_device dev;
	bool probation; /* its key's custody is not known yet */
	bool renews;    /* by registration: with a certificate that it has from us */
};

typedef int est_rule(struct est_case *c, struct refusal *no, struct err *e);

static bool
is_refused(const struct refusal *no)
{
	return no->code != REFUSAL_NONE;
}

/* ---- who asks ---------------------------------------------------------------------- */

static void
set_credential(struct est_case *c, enum est_door door, const char *what)
{
	c->p->door = door;
	snprintf(c->p->credential, sizeof(c->p->credential), "%s:%s", est_door_name(door),
	    what);
}

static int
by_operator(struct est_case *c, const char *thumb, struct refusal *no, struct err *e)
{
	set_credential(c, EST_OPERATOR, thumb);
	return policy_authorize(c->d, &c->m->cred, RIGHT_ENROLL, no, e);
}

static int
by_device(struct est_case *c, const char *thumb, struct refusal *no, struct err *e)
{
	static const enum est_door doors[] = {[RENEW_GOOD] = EST_DEVICE,
	    [RENEW_LATE] = EST_EXPIRED,
	    [RENEW_ORPHAN] = EST_ORPHAN};
	const struct ipc_cred *cred = &c->m->cred;
	if (renew_stand(c->d, cred, &c->cert, no, e) || is_refused(no))
		return is_refused(no) ? 0 : -1;
	set_credential(c, doors[c->cert.standing], thumb);
	if (!span_to_str(cred->cn, c->p->device_id, sizeof(c->p->device_id)))
		return refusal_set(no, REFUSAL_CERT_CN, "too long");
	return 0;
}

static int
by_certificate(struct est_case *c, struct refusal *no, struct err *e)
{
	char thumb[LEAF_THUMB];
	struct store_operator op;
	leaf_thumb(&c->m->cred, thumb);
	if (store_operator_get(c->d->store, thumb, c->d->arena, &op, e) == 0)
		return by_operator(c, thumb, no, e);
	return e->code == ERR_NOT_FOUND ? by_device(c, thumb, no, e) : -1;
}

static int
by_token(struct est_case *c, struct refusal *no, struct err *e)
{
	const struct ipc_cred *cred = &c->m->cred;
	if (est_token_check(c->d, cred, c->m->peer.address, &c->token, no, e) ||
	    is_refused(no))
		return is_refused(no) ? 0 : -1;
	set_credential(c, EST_TOKEN, c->token.sha256);
	snprintf(c->p->device_id, sizeof(c->p->device_id), "%s", c->token.device_id);
	snprintf(c->p->token_sha256, sizeof(c->p->token_sha256), "%s", c->token.sha256);
	return 0;
}

static int
rule_credential(struct est_case *c, struct refusal *no, struct err *e)
{
	switch ((enum cred_kind)c->m->cred.kind) {
	case CRED_X509:
		return by_certificate(c, no, e);
	case CRED_BASIC:
		return by_token(c, no, e);
	default:
		return refusal_set(no, REFUSAL_NO_CREDENTIAL, "enrolment");
	}
}

/* ---- for whom ---------------------------------------------------------------------- */

static int
rule_name(struct est_case *c, struct refusal *no, struct err *e)
{
	struct span cn = c->m->csr_cn;
	c->ret->is_known = true;
	if (cn.len > ID_CN_MAX || !id_is_registration(cn))
		return err_set(e, ERR_PARSE,
		    "CN '%.*s' is not a registration ID of at most %d characters",
		    SPAN_FMT(cn), ID_CN_MAX);
	if (c->p->door == EST_OPERATOR)
		(void)span_to_str(cn, c->p->device_id, sizeof(c->p->device_id));
	if (span_eq_str(cn, c->p->device_id))
		return 0;
	return refusal_set(no, REFUSAL_EST_SUBJECT, "the CSR is for %.*s, not %s",
	    SPAN_FMT(cn), c->p->device_id);
}

/* RFC 7030 4.2.2: subject and names as in the certificate that is renewed. A registration
 * authority shows its own certificate, not that one: it vouches for the name. */
static int
rule_renewal(struct est_case *c, struct refusal *no, struct err *e)
{
	const struct ipc_est_enroll *m = c->m;
	(void)e;
	bool by_late = c->p->door == EST_EXPIRED || c->p->door == EST_ORPHAN;
	if (!m->renew && by_late)
		return refusal_set(no, REFUSAL_EST_EXPIRED,
		    "what it is still good for is simplereenroll alone");
	if (!m->renew || c->p->door == EST_OPERATOR)
		return 0;
	if (c->p->door == EST_TOKEN)
		return refusal_set(no, REFUSAL_EST_SUBJECT,
		    "simplereenroll wants the certificate that is to be renewed");
	if (!name_same(m->csr_subject, m->cert_subject))
		return refusal_set(
		    no, REFUSAL_EST_SUBJECT, "another subject than the certificate's");
	if (!m->same_names)
		return refusal_set(no, REFUSAL_EST_SUBJECT,
		    "other subject alternative names than the certificate's");
	return 0;
}

static bool
is_pinned(const struct store_device *dev, const struct ipc_cred *cred)
{
	char thumb[LEAF_THUMB];
	leaf_thumb(cred, thumb);
	return strcmp(thumb, dev->primary_thumb) == 0 ||
	       strcmp(thumb, dev->secondary_thumb) == 0;
}

/* By its own certificate a device gets in here as it would into the hub. */
static bool
may_use(const struct est_case *c)
{
	if (c->p->door == EST_OPERATOR || c->p->door == EST_TOKEN ||
	    c->p->door == EST_REGISTRATION)
		return true;
	if (c->dev.auth == STORE_AUTH_SELF_SIGNED)
		return is_pinned(&c->dev, &c->m->cred);
	return c->dev.auth == STORE_AUTH_CA;
}

/* A chain gets in here where it does into the device's hub. */
static int
check_trust(struct est_case *c, struct refusal *no, struct err *e)
{
	enum trust ignored;
	if (c->p->door != EST_DEVICE || c->dev.auth != STORE_AUTH_CA)
		return 0;
	return trust_check(
	    c->d, &c->m->cred, hubs_of(c->d->cfg, &c->dev), &ignored, no, e);
}

static int
rule_device(struct est_case *c, struct refusal *no, struct err *e)
{
	const char *id = c->p->device_id;
	if (store_device_get(c->d->store, id, c->d->arena, &c->dev, e)) {
		if (e->code != ERR_NOT_FOUND || c->p->door == EST_OPERATOR)
			return err_wrap(e, "certificate for %s", id);
		return refusal_set(no, REFUSAL_DEVICE_UNKNOWN, "%s", id);
	}
	if (!c->dev.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", id);
	if (!may_use(c))
		return refusal_set(no, REFUSAL_AUTH_TYPE, "%s", id);
	if (check_trust(c, no, e) || is_refused(no))
		return is_refused(no) ? 0 : -1;
	return revoke_check_enrolment(c->d, span_str(id), no, e);
}

static int
rule_revoked(struct est_case *c, struct refusal *no, struct err *e)
{
	if (c->p->door == EST_OPERATOR || c->p->door == EST_TOKEN)
		return 0;
	return renew_check_revoked(c->d, &c->m->cred, &c->cert, no, e);
}

/* ---- for which key ----------------------------------------------------------------- */

static int
rule_late(struct est_case *c, struct refusal *no, struct err *e)
{
	if (c->p->door != EST_EXPIRED)
		return 0;
	uint8_t key[DIGEST_SHA256];
	digest_sha256(c->m->spki, key);
	bool same = span_eq(c->m->cred.key_sha256, span_of(key, sizeof(key)));
	return renew_check_late(c->d, &c->cert.cert, same, no, e);
}

/* RFC 7030 3.5. A registration authority passes on what a device linked to another
 * connection, or to none: it has checked possession itself (3.7). */
static int
rule_linking(struct est_case *c, struct refusal *no, struct err *e)
{
	int linking = c->d->cfg->est.linking;
	(void)e;
	if (linking == CONFIG_LINKING_OFF || c->p->door == EST_OPERATOR)
		return 0;
	if (c->m->linked == 2)
		return refusal_set(no, REFUSAL_EST_LINKING,
		    "its challengePassword is not of this connection");
	if (linking == CONFIG_LINKING_REQUIRED && !c->m->linked)
		return refusal_set(
		    no, REFUSAL_EST_LINKING, "it has no challengePassword");
	return 0;
}

/* What may be certified. */
static int
rule_key(struct est_case *c, struct refusal *no, struct err *e)
{
	uint8_t key[DIGEST_SHA256];
	char text[65];
	digest_sha256(c->m->spki, key);
	hex_write(span_of(key, sizeof(key)), text);
	if (!c->m->keygen) /* one made here is another at each try */
		memcpy(c->p->key_sha256, text, sizeof(text));
	return est_key_check(c->d, c->p->device_id, text, no, e);
}

static int
rule_compliance(struct est_case *c, struct refusal *no, struct err *e)
{
	const struct compliance_request rq = {.device_id = c->p->device_id,
	    .key_sha256 = c->m->cred.key_sha256,
	    .spki = c->m->spki,
	    .life_ms = c->d->cfg->pki.leaf_life_ms,
	    .made_here = c->m->keygen,
	    .fresh = c->p->door == EST_TOKEN || c->p->door == EST_OPERATOR ||
		     c->p->door == EST_REGISTRATION,
	    .vouched = c->p->door == EST_OPERATOR};
	return compliance_check_issue(c->d, &rq, &c->probation, no, e);
}

struct pace {
	int64_t now_ms;
	int n;
};

static int
count_recent(void *ctx, const struct store_cert *c, struct err *e)
{
	struct pace *p = ctx;
	(void)e;
	p->n += c->issued_ms <= p->now_ms && c->issued_ms > p->now_ms - PACE_MS;
	return 0;
}

/* One device does not fill journal and lists: what it asks for all the time it gets as
 * often as anything sane could need. */
static int
rule_pace(struct est_case *c, struct refusal *no, struct err *e)
{
	struct pace p = {.now_ms = domain_now(c->d)};
	if (c->p->door == EST_OPERATOR)
		return 0;
	if (store_cert_each(c->d->store, c->p->device_id, EST_PACE, count_recent, &p, e))
		return -1;
	if (p.n < EST_PACE)
		return 0;
	return refusal_set(
	    no, REFUSAL_THROTTLED, "%d certificates within an hour", EST_PACE);
}

static est_rule *const rules[] = {
    rule_credential,
    rule_name,
    rule_renewal,
    rule_device,
    rule_revoked,
    rule_late,
    rule_linking,
    rule_key,
    rule_compliance,
    rule_pace,
};

/* ---- what it gets ------------------------------------------------------------------ */

/* "token": whoever has no certificate from us yet. What a registration is judged by, a
 * key or another's certificate, is worth no more than a token, or it would be the way
 * around. */
static bool
needs_approval(const struct est_case *c)
{
	int approval = c->d->cfg->est.approval;
	enum est_door door = c->p->door;
	if (door == EST_OPERATOR || approval == CONFIG_APPROVAL_NONE)
		return false;
	return approval == CONFIG_APPROVAL_ALL || door == EST_TOKEN ||
	       (door == EST_REGISTRATION && !c->renews);
}

static void
answer_wait(struct est_case *c, int64_t retry_s, const char *id)
{
	c->ret->outcome = EST_WAIT;
	c->ret->retry_after_s = (uint32_t)retry_s;
	c->ret->waits_for = arena_str(c->d->arena, span_str(id));
}

/* A device in quarantine gets short lives until it is let out: by an operator's word or
 * act (a token is one), or by the next renewal in time where est.expired = grace. */
static int
choose_life(struct est_case *c, int64_t *ret_ms, struct err *e)
{
	struct store_allow w;
	const struct config *cfg = c->d->cfg;
	enum est_door door = c->p->door;
	if (renew_allow_get(c->d, c->p->device_id, &w, e))
		return -1;
	bool in = w.quarantined_ms != 0;
	c->p->quarantine = door == EST_EXPIRED;
	c->p->release =
	    in && (door == EST_OPERATOR || door == EST_TOKEN ||
		      (door == EST_DEVICE && cfg->est.expired == CONFIG_EXPIRED_GRACE));
	bool is_short = c->probation || c->p->quarantine || (in && !c->p->release);
	*ret_ms = is_short && cfg->est.quarantine_life_ms < cfg->pki.leaf_life_ms
		      ? cfg->est.quarantine_life_ms
		      : cfg->pki.leaf_life_ms;
	return 0;
}

/* Last of all: what it enters must be left again by est_done. */
static int
answer_issue(struct est_case *c, struct err *e)
{
	int64_t life;
	const struct issuer_entry *by;
	if (issuer_active(c->d, CA_DEVICE, &by, e) || choose_life(c, &life, e))
		return -1;
	if (c->p->door != EST_OPERATOR && !est_guard_enter(c->d->est, c->p->device_id)) {
		answer_wait(c, BUSY_RETRY_S, "");
		return 0;
	}
	c->ret->outcome = EST_ISSUE;
	c->ret->issue = (struct ipc_signer_issue){.profile = PROFILE_DEVICE,
	    .subject = span_str(arena_str(c->d->arena, span_str(c->p->device_id))),
	    .spki = c->m->spki,
	    .life_ms = life,
	    .requester = span_str(arena_str(c->d->arena, span_str(c->p->credential))),
	    .issuer = arena_span(c->d->arena, span_of(by->sha256, sizeof(by->sha256)))};
	return 0;
}

/* The answer was lost, and is given again: never another certificate for one token, and
 * for one approval (field/reliability.md row 64). */
static int
answer_again(
    struct est_case *c, const struct store_enrol *r, bool *ret_done, struct err *e)
{
	struct store_cert cert;
	*ret_done = false;
	if (c->m->keygen)
		return 0; /* its key was told once and is kept nowhere */
	if (store_cert_by_sha256(c->d->store, r->cert_sha256, c->d->arena, &cert, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (cert.revoked_ms || domain_now(c->d) > cert.not_after_ms)
		return 0;
	c->ret->outcome = EST_AGAIN;
	c->ret->der = cert.der;
	*ret_done = true;
	return 0;
}

static int
ask_operator(
    struct est_case *c, const struct store_enrol *r, struct refusal *no, struct err *e)
{
	if (strcmp(r->state, "approved") == 0)
		return answer_issue(c, e);
	if (strcmp(r->state, "pending") != 0 &&
	    (est_request_wait(c->d, c->p, no, e) || is_refused(no)))
		return is_refused(no) ? 0 : -1;
	answer_wait(c, c->d->cfg->est.retry_after_s, c->p->request_id);
	return 0;
}

static int
decide(struct est_case *c, struct refusal *no, struct err *e)
{
	struct store_enrol r;
	bool done = false, waits = needs_approval(c);
	if (!waits && c->p->door != EST_TOKEN)
		return answer_issue(c, e);
	est_request_name(c->p);
	if (est_request_get(c->d, c->p, &r, e))
		return -1;
	if (strcmp(r.state, "denied") == 0)
		return refusal_set(no, REFUSAL_EST_DENIED, "%s", r.decided_by);
	if (strcmp(r.state, "issued") == 0 && answer_again(c, &r, &done, e))
		return -1;
	if (done)
		return 0;
	if (c->token.used_ms)
		return refusal_set(no, REFUSAL_EST_TOKEN, "%s: used", c->p->device_id);
	return waits ? ask_operator(c, &r, no, e) : answer_issue(c, e);
}

static int
judge(struct est_case *c, est_rule *const *list, size_t n, struct refusal *no,
    struct err *e)
{
	(void)span_to_str(
	    span_head(c->m->peer.address, 64), c->p->address, sizeof(c->p->address));
	for (size_t i = 0; i < n; i++) {
		if (list[i](c, no, e))
			return -1;
		if (is_refused(no))
			return 0;
	}
	return decide(c, no, e);
}

int
est_enroll(struct domain *d, const struct ipc_est_enroll *m, struct est_grant *ret,
    struct refusal *no, struct err *e)
{
	struct est_case c = {.d = d, .m = m, .ret = ret, .p = &ret->promise};
	*ret = (struct est_grant){.waits_for = ""};
	*no = (struct refusal){0};
	return judge(&c, rules, sizeof(rules) / sizeof(rules[0]), no, e);
}

/* Whether it comes with a certificate that it has from us. */
static int
rule_registered(struct est_case *c, struct refusal *no, struct err *e)
{
	const char *thumb = strchr(c->p->credential, ':') + 1;
	(void)no;
	return issue_is_of(c->d, thumb, c->p->device_id, &c->renews, e);
}

/* The CSR names the registration, or the device where that is called otherwise. */
static bool
is_named(const struct est_applicant *who)
{
	return span_ieq(who->cn, who->registration_id) ||
	       span_eq_str(who->cn, who->device_id);
}

int
est_register(struct domain *d, const struct est_applicant *who, struct est_grant *ret,
    struct refusal *no, struct err *e)
{
	static est_rule *const list[] = {
	    rule_device, rule_registered, rule_key, rule_compliance, rule_pace};
	const struct ipc_est_enroll m = {
	    .peer.address = who->address, .csr_cn = who->cn, .spki = who->spki};
	struct est_case c = {.d = d, .m = &m, .ret = ret, .p = &ret->promise};
	*ret = (struct est_grant){.waits_for = "", .is_known = true};
	*no = (struct refusal){0};
	if (!is_named(who))
		return refusal_set(no, REFUSAL_EST_SUBJECT, "the CSR is for %.*s, not %s",
		    SPAN_FMT(span_head(who->cn, 64)), who->device_id);
	if (strlen(who->device_id) > ID_CN_MAX ||
	    !id_is_registration(span_str(who->device_id)))
		return refusal_set(no, REFUSAL_EST_SUBJECT,
		    "%s: a CN is a registration ID of at most %d characters",
		    who->device_id, ID_CN_MAX);
	set_credential(&c, EST_REGISTRATION, who->credential);
	snprintf(c.p->device_id, sizeof(c.p->device_id), "%s", who->device_id);
	return judge(&c, list, sizeof(list) / sizeof(list[0]), no, e);
}

/* ---- what the signer made ------------------------------------------------------------
 */

static int
check_token_stays(
    struct domain *d, const struct est_promise *p, struct refusal *no, struct err *e)
{
	struct store_token t;
	bool there = store_token_get(d->store, p->device_id, d->arena, &t, e) == 0;
	if (!there && e->code != ERR_NOT_FOUND)
		return -1;
	if (there && strcmp(t.sha256, p->token_sha256) == 0)
		return 0;
	return refusal_set(no, REFUSAL_EST_TOKEN, "%s: taken back", p->device_id);
}

/* One of another CA's is not on record; its device is. */
static int
check_cert_stays(
    struct domain *d, const struct est_promise *p, struct refusal *no, struct err *e)
{
	struct store_cert c;
	const char *thumb = strchr(p->credential, ':') + 1;
	if (store_cert_by_sha256(d->store, thumb, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return c.revoked_ms ? refusal_set(no, REFUSAL_CERT_REVOKED, "%s", c.subject) : 0;
}

static int
check_still(
    struct domain *d, const struct est_promise *p, struct refusal *no, struct err *e)
{
	struct store_device dev;
	if (store_device_get(d->store, p->device_id, d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_DEVICE_UNKNOWN, "%s", p->device_id);
	}
	if (!dev.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", p->device_id);
	if (revoke_check_enrolment(d, span_str(p->device_id), no, e))
		return -1;
	if (is_refused(no) || p->door == EST_OPERATOR || p->door == EST_REGISTRATION)
		return 0;
	return p->door == EST_TOKEN ? check_token_stays(d, p, no, e)
				    : check_cert_stays(d, p, no, e);
}

int
est_discard(struct domain *d, const struct ipc_signer_issued *got, struct err *e)
{
	char issuer[2 * DIGEST_SHA256 + 1];
	hex_write(got->issuer, issuer);
	return store_cert_revoke(d->store, issuer, arena_str(d->arena, got->serial),
	    domain_now(d), CRL_CESSATION, e);
}

int
est_withdraw(struct domain *d, const struct est_promise *p,
    const struct ipc_signer_issued *got, struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	if (check_still(d, p, no, e))
		return -1;
	return is_refused(no) ? est_discard(d, got, e) : 0;
}

/* The certificate that was renewed. */
static const char *
shown_by(const struct est_promise *p)
{
	bool own = p->door != EST_OPERATOR && p->door != EST_TOKEN;
	return own ? strchr(p->credential, ':') + 1 : "";
}

int
est_issued(struct domain *d, const struct est_promise *p,
    const struct ipc_signer_issued *got, struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	char text[65];
	digest_sha256(got->der, sha);
	hex_write(span_of(sha, sizeof(sha)), text);
	if (p->token_sha256[0] && est_token_use(d, p->device_id, p->token_sha256, e))
		return -1;
	if (p->request_id[0] && est_request_close(d, p, text, e))
		return -1;
	if (p->door != EST_REGISTRATION &&
	    identity_renewed(d, p->device_id, shown_by(p), text, e))
		return -1;
	if (p->quarantine || p->release)
		return renew_quarantine(d, p->device_id, p->quarantine, e);
	return 0;
}

void
est_done(struct domain *d, const struct est_promise *p)
{
	if (p->door != EST_OPERATOR)
		est_guard_leave(d->est, p->device_id);
}

const char *
est_fix(enum refusal_code code)
{
	static const char *const fixes[REFUSAL_N] = {
	    [REFUSAL_DEVICE_UNKNOWN] = "an operator has to make the identity first",
	    [REFUSAL_DEVICE_DISABLED] = "an operator has to enable the device",
	    [REFUSAL_AUTH_TYPE] = "the identity has to be of type certificateAuthority",
	    [REFUSAL_CERT_REVOKED] =
		"enrol anew with a one-time token (muster est token)",
	    [REFUSAL_ISSUER_REVOKED] =
		"enrol anew with a one-time token (muster est token)",
	    [REFUSAL_ENROLLMENT_BLOCKED] =
		"an operator can undo a certificateHold, or let the registration ID of a "
		"device that was revoked for good enrol again (muster revoke --allow)",
	    [REFUSAL_THROTTLED] = "ask again later",
	    [REFUSAL_COMPLIANCE] = "docs/compliance.md has every row and its way out",
	    [REFUSAL_CUSTODY] = "check in, or make the key where the policy wants it and "
				"enrol with a one-time token (muster est token)",
	    [REFUSAL_EST_TOKEN] = "ask an operator for a new one (muster est token)",
	    [REFUSAL_EST_SUBJECT] = "make the CSR with the subject of the certificate "
				    "(or the CN of the token's device), nothing else",
	    [REFUSAL_EST_EXPIRED] = "an operator can allow it (muster est allow), or "
				    "give a one-time token (muster est token)",
	    [REFUSAL_EST_KEY_REUSE] = "make a new key pair on the device",
	    [REFUSAL_EST_LINKING] =
		"put the base64 of this connection's tls-exporter (TLS 1.3) or "
		"tls-unique (TLS 1.2) into challengePassword, or leave it out",
	};
	return fixes[code] ? fixes[code] : "";
}
